"""What couplings lead from one state to the next, and are they symmetric?

Without --data: 8 repeats of 500 steps of 12 simulated sites, whose couplings are not symmetric.
"""

from dataclasses import asdict, replace
from typing import Annotated

import typer

from bayesinf import workflow

LOOK = "0,1"  # repeats that a look takes


@workflow.script
def main(
    run: workflow.Run,
    recording: workflow.Recording,
    prior: Annotated[
        str,
        typer.Option(help="Of the couplings: normal, inferred (its width is), laplace, horseshoe."),
    ] = "inferred",
    method: Annotated[
        str | None, typer.Option(help="mcmc, gibbs, nuts or laplace; default: by size.")
    ] = None,
    self_coupling: Annotated[
        bool, typer.Option(help="Whether a site may depend on its own present state.")
    ] = True,
):
    """Infer couplings from the steps of a population, and ask whether they are symmetric."""
    from bayesinf.systems import boltzmann_kinetic as system

    with run.step("load"):
        if run.look and recording.repeats is None:
            recording = replace(recording, repeats=LOOK)
            run.shortened += [f"repeats {LOOK} of 0-7 are used"]
        found = system.read(run.data or run.shipped("population.nc"), **asdict(recording))
        population = run.report_reading(found)
    with run.step("fit"):
        model = {"prior": prior, "self_coupling": self_coupling, "method": method}
        how = {"exact": "draws" in run.given, "refit": not run.quick, "scheduler": run.scheduler}
        fits, refits = system.fit_both(population, **model, settings=run.settings, **how)
    with run.step("classical"):
        fits = system.with_classical(fits, population)
    with run.step("compare"):
        return system.compared(fits, population, refits, settings=run.settings)


if __name__ == "__main__":
    workflow.cli(main)
