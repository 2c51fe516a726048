"""May the covariance of a fit be used?

A peak is fitted, the inverse Hessian where the optimiser stopped is claimed for a covariance, and
the claim is audited. Without --data: the textbook's gradient descent, stopped too early, beside
Levenberg and Marquardt's method, a map of which start ends where, and other claims that go wrong.
Of any other fit bayesinf.audit, in Python, asks the same: curve_fit, lmfit, PyMC, a posterior.
"""

from typing import Annotated

import typer

from bayesinf import workflow


@workflow.script
def main(
    run: workflow.Run,
    optimiser: Annotated[
        str | None, typer.Option(help="levenberg-marquardt, newton or gradient-descent.")
    ] = None,
    x: Annotated[str | None, typer.Option(help="Column of x: name, or position from 1.")] = None,
    y: Annotated[str | None, typer.Option(help="Column of values: name, or position.")] = None,
    error: Annotated[str | None, typer.Option(help="Column of error bars, or 'none'.")] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal mark, '.' or ',', where the file leaves it open.")
    ] = None,
):
    """Audit the covariance of a peak's fit: slope, curvature, weights, profiles, edges, rivals."""
    from bayesinf.posterior import annotated, noted
    from bayesinf.systems import laplace_audit as system

    settings = run.settings
    with run.step("read"):
        if run.data is not None:
            columns = [workflow.column(each) for each in (x, y, error)]
            data = run.report_reading(system.read(run.data, *columns, decimal=decimal))
        else:
            data = system.simulate(rng=settings.generator("simulate"))
    if run.data is not None:
        with run.step("audit"):
            how = {"optimiser": optimiser or system.OPTIMISERS[0]}
            return {"posterior": system.fit(data, settings=settings, **how)}
    with run.step("audit"):
        how = optimiser or "gradient-descent"
        fits = {
            "stopped": system.fit(data, optimiser=how, start=system.START, settings=settings),
            "converged": system.fit(data, settings=settings),
        }
    with run.step("basins"):
        found = noted(fits["converged"], "audit")
        size = {"size": 15} if run.look else {}
        at = found["mode"].values, found["mode_sd"].values
        basins = system.basins(data, *at, rate=1e-5, **size).assign(mode=found["mode"])
        sides = {"basins": basins}
    if run.look:
        run.shortened += ["the map of basins is coarse", "the cases of known answers are left out"]
    else:
        with run.step("cases"):
            sides["cases"] = system.cases(settings)
    fits["stopped"] = annotated(fits["stopped"], **sides)
    return fits


if __name__ == "__main__":
    workflow.cli(main)
