"""Do samplers draw from what they should, and do the checks see it where they do not?

The posterior of a place that was measured several times is a normal in closed form. Without --data:
twenty measurements whose posterior is N((1, 1), [[0.05, 0.02], [0.02, 0.05]]), Metropolis' rule and
a published mistake beside it over 200 runs, and four samplers on targets of known moments.
"""

from typing import Annotated

import typer

from bayesinf import workflow


@workflow.script
def main(
    run: workflow.Run,
    x: Annotated[str | None, typer.Option(help="Column: name, or position from 1.")] = None,
    y: Annotated[str | None, typer.Option(help="Column: name, or position from 1.")] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal mark, '.' or ',', where the file leaves it open.")
    ] = None,
):
    """Draw from a posterior by Metropolis' rule, adaptive Metropolis, emcee and NUTS."""
    from bayesinf.posterior import annotated
    from bayesinf.systems import metropolis as system

    settings = run.settings
    if run.quick and "draws" not in run.given:
        settings = settings.replace(draws=500)  # of 200 that remember each other too few are left
    with run.step("read"):
        columns = map(workflow.column, (x, y))
        path = run.data or run.shipped("place.csv")
        data = run.report_reading(system.read(path, *columns, decimal=decimal))
        scatter = None if run.data is not None else system.SCATTER
    with run.step("sample"):
        names = ("metropolis", "adaptive", "emcee", "nuts")
        how = {"scatter": scatter, "settings": settings}
        fits = {name: system.fit(data, method=name, **how) for name in names}
    if run.data is None:
        with run.step("the mistake"):
            sides = {"mistake": system.mistake(20 if run.look else 200, settings=settings)}
        if run.look:
            run.shortened += ["the trial of samplers on hard targets is left out"]
        else:
            with run.step("trial"):
                sides["trial"] = system.trial(settings)
        fits["metropolis"] = annotated(fits["metropolis"], **sides)
    return fits


if __name__ == "__main__":
    workflow.cli(main)
