"""What is the signal behind a blur, and how much of it do the data decide?

Without --data: exp(−x²) behind a box, simulated, with the prior's order chosen by evidence; the
same data with the signal free to go on beyond them; and Shaw's inverse problem.
"""

from functools import partial
from typing import Annotated, Literal

import typer

from bayesinf import workflow

LOOK = 150  # points that a look measures


@workflow.script
def main(
    run: workflow.Run,
    response: Annotated[
        str, typer.Option(help="box|gaussian|exponential:WIDTH[:area], or a file.")
    ] = "box:1.5",
    x: Annotated[str | None, typer.Option(help="Column of x: name, or position.")] = None,
    y: Annotated[str | None, typer.Option(help="Column of the blurred signal.")] = None,
    error: Annotated[str | None, typer.Option(help="Column of error bars, or 'none'.")] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal mark, '.' or ',', where the file leaves it open.")
    ] = None,
    edges: Annotated[
        Literal["open", "zero"] | None,
        typer.Option(help="Whether the signal goes on beyond the data; default for files: open."),
    ] = None,
    signal: Annotated[
        Literal["gaussian", "shaw"], typer.Option(help="What to simulate without --data.")
    ] = "gaussian",
    positive: Annotated[bool, typer.Option("--positive", help="Signal above zero.")] = False,
    window: workflow.Windows = None,
    width_spread: Annotated[
        float, typer.Option(min=0.0, help="Infer the response's width, known within this share.")
    ] = 0.0,
):
    """Infer a signal from what a known response has made of it."""
    from bayesinf.errors import DataError
    from bayesinf.systems import deconvolution as system

    if signal == "shaw" and (clash := {"data", "response", "edges"} & run.given):
        raise DataError(
            "Shaw's problem has its own data, response and edges",
            where=", ".join(f"--{name}" for name in sorted(clash)),
            remedy="leave these options out",
        )
    # A width that is not known may turn out larger: the signal's grid reaches that far.
    margin = 1.0 + 3.0 * width_spread
    simulated = partial(system.simulate, response=response, margin=margin)
    if run.look:
        simulated = partial(simulated, LOOK)
        if "draws" not in run.given:  # they are independent: so many are as good as a chain's
            run.settings = run.settings.replace(draws=50)
        run.shortened += [f"{LOOK} points are measured, not 500", "one width is compared"]
    with run.step("load"):
        if run.data is not None:
            columns = dict(zip("xy", map(workflow.column, (x, y)), strict=True))
            columns["error"] = workflow.column(error)
            options = {"edges": edges or "open", "margin": margin, "decimal": decimal}
            options["windows"] = workflow.windows(window)
            blurred = run.report_reading(system.read(run.data, response, **options, **columns))
        elif signal == "shaw":
            blurred = system.shaw(rng=run.settings.generator("shaw"))
        else:
            blurred = simulated(edges=edges or "zero", rng=run.settings.generator("simulate"))
    options = {"width_spread": width_spread}
    jobs = {name: (blurred, {"prior": name, **options}) for name in system.SMOOTH}
    if positive:
        jobs["positive"] = blurred, {"prior": "second_differences", "positive": True}
    if run.data is None and signal == "gaussian" and not run.quick:
        if edges is None:
            opened = simulated(edges="open", rng=run.settings.generator("simulate"))
            jobs["open_edges"] = opened, options
        jobs["shaw"] = system.shaw(rng=run.settings.generator("shaw")), {}
    with run.step("fit"):
        one = partial(fit, settings=run.settings, exact="draws" in run.given)
        # Each fills the local cores by itself, one after the other; a cluster gets all at once.
        each = run.map if run.scheduler else map
        fits = dict(zip(jobs, each(one, jobs.values()), strict=True))
    with run.step("compare"):
        widths = (1.0,) if run.look else system.WIDTHS
        return system.with_comparison(fits, blurred, widths=widths, **options)


def fit(job, settings, exact):
    """Fit one data set under one prior."""
    from bayesinf.systems import deconvolution as system

    blurred, options = job
    positive = options.get("positive", False)
    method, settings, _ = system.plan(blurred, None, settings, exact=exact, positive=positive)
    return system.fit(blurred, method=method, settings=settings, **options)


if __name__ == "__main__":
    workflow.cli(main)
