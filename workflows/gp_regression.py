"""What curve runs through some points, and how surely is it known between them?

Any data of one input or several, a kernel as it is written ('matern52 + periodic(1.0) * se'), error
bars, a trend, noise that grows. Without --data: cos(20 x) e^(−2x) from 8 exact points and from 20
noisy ones.
"""

from functools import partial
from typing import Annotated

import typer

from bayesinf import workflow


@workflow.script
def main(
    run: workflow.Run,
    kernel: Annotated[
        list[str] | None,
        typer.Option(help="Such as 'matern52 + periodic(1.0) * se'; repeat to compare."),
    ] = None,
    x: Annotated[str | None, typer.Option(help="Column, or several, a,b,c.")] = None,
    y: Annotated[str | None, typer.Option(help="Column of values: name, or position.")] = None,
    error: Annotated[str | None, typer.Option(help="Column of error bars, or 'none'.")] = None,
    trend: Annotated[str | None, typer.Option(help="On a constant, such as 'x + x**2'.")] = None,
    noise: Annotated[
        str | None, typer.Option(help="A number, 0 for exact values, or 'grows'.")
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Fit log y: noise a share of y.")] = False,
    forecast: Annotated[
        float | None, typer.Option(metavar="X", help="Hold out what lies after X, and score it.")
    ] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal mark, '.' or ',', where the file leaves it open.")
    ] = None,
    window: workflow.Windows = None,
    prior: workflow.Priors = None,
):
    """Infer a curve with its kernel's hyperparameters, and say how sure it is everywhere."""
    from bayesinf.posterior import annotated
    from bayesinf.systems import gp_regression as system

    kernels = list(kernel or system.RIVALS)
    stated = {"trend": trend, "noise": system.noise_of(noise), "priors": workflow.priors(prior)}
    with run.step("read"):
        if run.data is not None:
            columns = [workflow.column(name.strip()) for name in x.split(",")] if x else None
            named = [columns, *map(workflow.column, (y, error))]
            chosen = {"decimal": decimal, "windows": workflow.windows(window), "log": log}
            data = {"posterior": (run.report_reading(system.read(run.data, *named, **chosen)), {})}
        else:
            rng = run.settings.generator("simulate")
            exact = {"noise": 0.0} if noise is None else {}
            data = {"posterior": (system.simulate(8, noise=0.0, rng=rng), exact)}
            data["noisy"] = (system.simulate(20, noise=0.1, rng=rng), {})
        jobs = {}
        for name, (one, own) in data.items():
            seen, held_out = (one, None) if forecast is None else system.split(one, forecast)
            jobs[name] = {"data": seen, "held_out": held_out, **stated, **own}
            for each in kernels:  # what cannot be stated is refused here
                system.problem(seen, each, **{**stated, **own})
    fits = {}
    for name, job in jobs.items():
        with run.step(f"fit {name}"):
            settings = run.settings.replace(workers=1)
            calls = [partial(system.fit, kernel=each, settings=settings, **job) for each in kernels]
            fits[name] = system.chosen(
                job, dict(zip(kernels, run.map(_called, calls), strict=True))
            )
    if run.data is None:
        with run.step("designs"):
            count = 40 if run.quick else 200
            note = system.designs(count, settings=run.settings)
            fits["posterior"] = annotated(fits["posterior"], designs=note)
    return fits


def _called(call):
    return call()


if __name__ == "__main__":
    workflow.cli(main)
