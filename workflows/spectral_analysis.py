"""Is there a period in uneven data, and which? With --signal modes: which modes make up a signal?

Reads times, values and error bars, infers the period with its harmonics, mean and jitter, weighs it
against no period at all and against its half, its double and its aliases, and compares with
Lomb-Scargle. With --data a folder, a pattern such as 'stars/*.csv', or a table with --each: all
light curves, on one page.
"""

from functools import partial
from typing import Annotated, Literal

import typer

from bayesinf import workflow


@workflow.script
def main(
    run: workflow.Run,
    signal: Annotated[
        Literal["period", "modes"],
        typer.Option(help="A periodic source, or the spectrum of any signal by its modes."),
    ] = "period",
    harmonics: Annotated[
        int | None, typer.Option(min=1, help="Of the period; default: as the evidence says.")
    ] = None,
    shortest: Annotated[
        float | None, typer.Option(help="Shortest period, in the unit of the times.")
    ] = None,
    longest: Annotated[float | None, typer.Option(help="Longest period.")] = None,
    period_unit: Annotated[
        str | None, typer.Option(help="s, min, h, d or yr; default: that of the times.")
    ] = None,
    time_unit: Annotated[str | None, typer.Option(help="Where the file does not say.")] = None,
    t: Annotated[str | None, typer.Option(help="Column of times: name, or position.")] = None,
    y: Annotated[str | None, typer.Option(help="Column of values.")] = None,
    error: Annotated[str | None, typer.Option(help="Column of error bars, or 'none'.")] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal mark, '.' or ',', where the file leaves it open.")
    ] = None,
    memory: Annotated[
        bool, typer.Option("--memory", help="Model residuals that remember each other: red noise.")
    ] = False,
    window: workflow.Windows = None,
    prior: workflow.Priors = None,
    each: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Of many light curves in a table: what names each."),
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of many light curves: this one by itself.")
    ] = None,
    modes: Annotated[
        list[int] | None, typer.Option(min=2, help="Modes to fit, then others to compare.")
    ] = None,
):
    """Find the period of a source in uneven observations, if it has one."""
    from bayesinf.errors import DataError
    from bayesinf.systems import spectral_analysis as system

    batch = False
    with run.step("read"):
        stated = workflow.priors(prior)
        if stated and (memory or signal == "modes"):
            raise DataError("--prior is of the period without memory", remedy="leave it out")
        if run.data is not None:
            columns = [workflow.column(name) for name in (t, y, error)]
            chosen = {"decimal": decimal, "windows": workflow.windows(window)}
            chosen["time_unit"] = time_unit
            many = system.light_curves(run.data, *columns, each=each, **chosen)
            if only is not None and many is None:
                raise workflow.misread("only", "many light curves in --data", only)
            batch = many is not None and only is None
            if batch and (memory or signal == "modes"):
                found = "--memory" if memory else "--signal modes"
                raise DataError("many light curves are asked for a period", found=found)
            if batch:
                data = run.report_reading(many)
            else:
                data = (
                    system.read(run.data, *columns, **chosen) if many is None else many.single(only)
                )
                data = run.report_reading(data)
        elif signal == "modes":
            data = system.simulate_modes(rng=run.settings.generator("modes"))
        else:
            data = system.read(run.shipped("star.nc"))
    ranges = {"shortest": shortest, "longest": longest}
    if batch:
        loop = system.loop(harmonics=harmonics, priors=stated, period_unit=period_unit, **ranges)
        return workflow.batch(run, data, loop)
    with run.step("fit"):
        if signal == "modes":
            call = partial(system.fit_modes, data, modes or (45, 25), settings=run.settings)
            return {"modes": elsewhere(run, call)}
        options = {"period_unit": period_unit, "settings": run.settings, "priors": stated}
        found = elsewhere(run, partial(system.fit, data, harmonics, **ranges, **options))
    if not memory:
        return {"period": found}
    with run.step("red noise"):
        call = partial(system.with_memory, found, data, **ranges, settings=run.settings)
        return {"red_noise": elsewhere(run, call)}


def elsewhere(run, call):
    """Call on the cluster, if there is one, else here, with all cores."""
    (found,) = run.map(_called, [call]) if run.scheduler else [call()]
    return found


def _called(call):
    return call()


if __name__ == "__main__":
    workflow.cli(main)
