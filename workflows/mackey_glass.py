"""How far can a chaotic series be foretold, and which delay equation made it?

Reads a series in even steps, learns from its past, and forecasts what is held out: by lags,
products of lags, random features and a reservoir, each with the intervals of its posterior.
"""

from enum import StrEnum
from typing import Annotated

import typer

from bayesinf import workflow

Kind = StrEnum("Kind", ["lags", "polynomial", "random", "reservoir"])
Prior = StrEnum("Prior", ["normal", "laplace", "horseshoe", "spike_and_slab"])


@workflow.script
def main(
    run: workflow.Run,
    features: Annotated[
        list[Kind] | None, typer.Option(help="Repeat for several; default: all kinds.")
    ] = None,
    prior: Annotated[
        list[Prior] | None, typer.Option(help="Of the lags' coefficients; default: all.")
    ] = None,
    lookback: Annotated[int, typer.Option(min=1, help="Lags of the linear forecast.")] = 50,
    ahead: Annotated[
        int | None, typer.Option(min=1, help="Steps ahead that the lags forecast.")
    ] = None,
    horizon: Annotated[int, typer.Option(min=1, help="Steps of free-running forecasts.")] = 100,
    held_out: Annotated[float, typer.Option(help="Share, at the end, that is forecast.")] = 0.2,
    value: Annotated[str | None, typer.Option(help="Column of values: name, or position.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of times.")] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal mark, '.' or ',', where the file leaves it open.")
    ] = None,
):
    """Forecast a chaotic series, with intervals that hold what comes."""
    from bayesinf.systems import mackey_glass as system

    with run.step("read"):
        if run.data is not None:
            columns = {"value": workflow.column(value), "time": workflow.column(time)}
            own = system.read(run.data, **columns, decimal=decimal)
            series = embedded = run.report_reading(own)
        else:
            series = system.read(run.shipped("series.nc"))
            embedded = system.simulate(30000, 0.12, system.TWO)
    settings = run.settings if "draws" in run.given else run.settings.replace(draws=250)
    shared = {"held_out": held_out, "settings": settings}
    fits, kinds = {}, [str(kind) for kind in features or Kind]
    for kind in kinds:
        with run.step(kind):
            fits[kind] = system.fit(series, kind, horizon=horizon, **shared)
            fits[kind] = system.with_classical(fits[kind], series, kind, held_out=held_out)
    steps = ahead or (30 if run.data is None else 1)
    options = {"ahead": steps, "held_out": held_out, "lookback": lookback}
    for each in prior or Prior:
        with run.step(f"lags, {each}"):
            found = system.fit(embedded, "lags", str(each), horizon=0, settings=settings, **options)
            fits[f"lags_{each}"] = found
    return fits


if __name__ == "__main__":
    workflow.cli(main)
