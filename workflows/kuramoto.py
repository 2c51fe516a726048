"""Which oscillators pull on which, how strongly, and with which lag?

Reads phases (or signals), infers natural frequencies, all couplings, the lag and the noise,
compares priors by the stretches of time that they foretell, and says what the data leave open.
"""

from enum import StrEnum
from typing import Annotated

import typer

from bayesinf import workflow

Prior = StrEnum("Prior", ["normal", "mean_field", "spike_and_slab"])


LOOK = 8  # oscillators that a look simulates


@workflow.script
def main(
    run: workflow.Run,
    prior: Annotated[
        list[Prior] | None, typer.Option(help="Repeat for several; default normal, mean_field.")
    ] = None,
    lag: Annotated[
        float | None, typer.Option(help="The lag α in radians, where it is known.")
    ] = None,
    stride: Annotated[int, typer.Option(min=1, help="Use every so many-th sample.")] = 1,
    signal: Annotated[
        bool, typer.Option("--signal", help="Columns are signals; take their Hilbert phases.")
    ] = False,
    time: Annotated[str | None, typer.Option(help="Column of times: name, or position.")] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal mark, '.' or ',', where the file leaves it open.")
    ] = None,
    oscillators: Annotated[
        int | None, typer.Option(min=2, help="Simulate so many instead.")
    ] = None,
    samples: Annotated[int, typer.Option(min=20, help="Instants that are simulated.")] = 2000,
    spread: Annotated[
        float, typer.Option(min=0.0, help="Standard deviation of simulated frequencies.")
    ] = 0.1414,
):
    """Infer frequencies, couplings and lag of oscillators from their phases."""
    from bayesinf.systems import kuramoto as system

    if run.look and oscillators is None:
        oscillators = LOOK
        run.shortened += [f"the phases are of {LOOK} oscillators, simulated"]
    with run.step("read"):
        if run.data is not None:
            when = workflow.column(time)
            own = system.read(run.data, signal=signal, time=when, decimal=decimal)
            phases = run.report_reading(own)
        elif oscillators is not None:
            rng = run.settings.generator("simulate")
            phases = system.simulate(oscillators, samples, spread=spread, rng=rng)
        else:
            phases = system.read(run.shipped("phases.nc"))
    names = [str(name) for name in prior or ("normal", "mean_field")]
    settings = run.settings if "draws" in run.given else run.settings.replace(draws=100)
    options = {"lag": lag, "stride": stride}
    with run.step(f"fit {', '.join(names)}"):
        fits = {n: system.fit(phases, n, **options, settings=settings) for n in names}
    with run.step("classical"):
        shown = None if run.data or oscillators or run.quick else system.chimera()
        return system.with_classical(fits, phases, chimera=shown, **options)


if __name__ == "__main__":
    workflow.cli(main)
