"""How far can a chaotic series be foretold, and which delay equation made it?

Reads a series in even steps, learns from its past, and forecasts what is held out: by lags,
products of lags, random features and a reservoir, each with the intervals of its posterior. The
equation's own numbers are inferred from noisy observations, some of them missing.
"""

from enum import StrEnum
from typing import Annotated, Literal

import typer

from bayesinf import workflow

Kind = StrEnum("Kind", ["lags", "polynomial", "random", "reservoir"])
Weights = StrEnum("Weights", ["normal", "laplace", "horseshoe", "spike_and_slab"])


@workflow.script
def main(
    run: workflow.Run,
    task: Annotated[
        Literal["forecast", "equation", "both"] | None,
        typer.Option(help="Default: both, and of a file the forecast alone."),
    ] = None,
    features: Annotated[
        list[Kind] | None, typer.Option(help="Repeat for several; default: all kinds.")
    ] = None,
    weights: Annotated[
        list[Weights] | None, typer.Option(help="Priors of the lags' coefficients; default: all.")
    ] = None,
    lookback: Annotated[
        int | None, typer.Option(min=1, help="Lags of the linear forecast.")
    ] = None,
    ahead: Annotated[
        int | None, typer.Option(min=1, help="Steps ahead that the lags forecast; default 1.")
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(min=1, help="Steps of free-running forecasts; default 100.")
    ] = None,
    held_out: Annotated[float, typer.Option(help="Share, at the end, that is forecast.")] = 0.2,
    value: Annotated[str | None, typer.Option(help="Column of values: name, or position.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of times.")] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal mark, '.' or ',', where the file leaves it open.")
    ] = None,
    window: Annotated[
        float | None, typer.Option(help="Length of the windows in which the equation is fitted.")
    ] = None,
    prior: workflow.Priors = None,
):
    """Forecast a chaotic series with intervals, and infer the delay equation that made it."""
    from bayesinf.systems import mackey_glass as system

    task = task or ("both" if run.data is None else "forecast")
    with run.step("read"):
        if run.data is not None:
            columns = {"value": workflow.column(value), "time": workflow.column(time)}
            own = system.read(run.data, **columns, decimal=decimal, even=task != "equation")
            series = embedded = noisy = run.report_reading(own)
            still = None
        else:
            series, noisy = (system.read(run.shipped(n), even=False) for n in SHIPPED)
            embedded = system.simulate(*EMBEDDED, system.TWO, noise=0.01)
            still = system.simulate(*EMBEDDED, system.TWO)
            ahead = ahead or AHEAD
            if run.look:
                noisy = noisy.isel(step=slice(noisy.sizes["step"] // LOOK))
                run.shortened += [f"the equation is inferred from 1/{LOOK} of its series"]
                if not features:
                    features = [Kind.lags]
                    run.shortened += ["of readouts only the one of lags is fitted"]
    settings = run.settings.replace(prior_draws=100)
    own = "draws" in run.given
    exact = settings if own else settings.replace(draws=250)
    walked = settings if own else settings.replace(draws=500)  # of 250 chains agree nineteen in 20
    fits, seen = {}, {} if lookback is None else {"lookback": lookback}
    if task != "equation":
        for kind in map(str, features or Kind):
            with run.step(kind):
                options = {"held_out": held_out} | (seen if kind == "lags" else {})
                found = system.fit(series, kind, horizon=horizon, settings=exact, **options)
                fits[kind] = system.with_classical(found, series, kind, **options)
        options = {"ahead": ahead or 1, "held_out": held_out, **seen}
        for each in map(str, weights or (() if run.look else Weights)):
            with run.step(f"lags, {each}"):
                found = system.fit(embedded, "lags", each, horizon=0, settings=exact, **options)
                fits[f"lags_{each}"] = system.with_classical(
                    found, embedded, "lags", still=still, **options
                )
    if task != "forecast":
        with run.step("equation"):
            stated = {"window": window, "priors": workflow.priors(prior)}
            fits["equation"] = system.fit_equation(noisy, **stated, settings=walked)
    return fits


SHIPPED = "series.nc", "noisy.nc"
LOOK = 3  # part of the noisy series that a look takes
EMBEDDED, AHEAD = (30000, 0.12), 30  # every 30th of steps of 0.004, and as many samples ahead


if __name__ == "__main__":
    workflow.cli(main)
