"""What curve runs through some points, and how surely is it known between them?

Any data of one input or several, a kernel as it is written ('matern52 + periodic(1.0) * se'), error
bars, a trend, noise that grows. Without --data: cos(20 x) e^(−2x) from 8 exact points and from 20
noisy ones.
"""

from functools import partial
from pathlib import Path
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
        str | None,
        typer.Option(help="A number, 0 for exact values; 'grows' (along x), or 'signal' (with y)."),
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Fit log y: noise a share of y.")] = False,
    forecast: Annotated[
        float | None, typer.Option(metavar="X", help="Hold out what lies after X, and score it.")
    ] = None,
    new: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Places to foretell at: predictions.csv.")
    ] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal mark, '.' or ',', where the file leaves it open.")
    ] = None,
    window: workflow.Windows = None,
    prior: workflow.Priors = None,
):
    """Infer a curve with its kernel's hyperparameters, and say how sure it is everywhere."""
    from bayesinf.errors import DataError
    from bayesinf.posterior import annotated
    from bayesinf.systems import gp_regression as system

    if new is not None and (run.data is None or forecast is not None):
        raise DataError(
            "--new foretells at places of your own, for data of your own",
            expected="--data FILE beside it, and no --forecast, which foretells what it holds out",
        )
    kernels = list(dict.fromkeys(kernel or system.RIVALS))
    stated = {"trend": trend, "noise": system.noise_of(noise), "priors": workflow.priors(prior)}
    with run.step("read"):
        if run.data is not None:
            columns = [workflow.column(name.strip()) for name in x.split(",")] if x else None
            named = [columns, *map(workflow.column, (y, error))]
            chosen = {"decimal": decimal, "windows": workflow.windows(window), "log": log}
            own = run.report_reading(system.read(run.data, *named, **chosen))
            jobs = {"posterior": {"data": own}}
            places = system.new_rows(new, own, decimal=decimal) if new else None
        else:
            rng = run.settings.generator("simulate")
            exact = {"noise": 0.0} if noise is None else {}
            jobs = {"posterior": {"data": system.simulate(8, noise=0.0, rng=rng)} | exact}
            jobs["noisy"] = {"data": system.simulate(20, noise=0.1, rng=rng)}
        jobs = {name: stated | job for name, job in jobs.items()}
        for job in jobs.values():
            if forecast is not None:
                job["data"], job["held_out"] = system.split(job["data"], forecast)
            for each in kernels:  # what cannot be stated is refused here
                system.problem(job["data"], each, **{key: job[key] for key in stated})
        settings = run.settings
        if "draws" not in run.given:
            _, settings = system.plan(jobs["posterior"]["data"], settings=settings)
    calls = [
        (name, partial(system.fit, kernel=k, **job)) for name, job in jobs.items() for k in kernels
    ]
    if run.look:
        run.shortened += ["the carbon dioxide of Mauna Loa and the random designs are left out"]
    elif run.data is None:
        jobs["co2"] = system.carbon_dioxide(run.shipped("co2.csv"))
        calls.insert(0, ("co2", partial(system.fit, **jobs["co2"])))
    with run.step("fit"):
        call = partial(_called, settings=settings.replace(workers=1))
        made = run.map(call, [one for _, one in calls], label="Fitting")
        done = list(zip([name for name, _ in calls], made, strict=True))
    with run.step("compare"):
        fits = {
            name: system.chosen(job, {one.attrs["written"]: one for n, one in done if n == name})
            for name, job in jobs.items()
        }
    if new is not None:
        with run.step("predict"):
            told = system.predict(fits["posterior"], places)
            fits["posterior"], run.tables["predictions"] = told, system.predictions(told)
    if run.data is None and not run.quick:
        with run.step("designs"):
            over = {"posterior": (8, 0.0), "noisy": (20, 0.1)}
            for name, (points, spread) in over.items():
                note = system.designs(200, points, spread, settings=run.settings)
                fits[name] = annotated(fits[name], designs=note)
    return fits


def _called(call, settings):
    return call(settings=settings)


if __name__ == "__main__":
    workflow.cli(main)
