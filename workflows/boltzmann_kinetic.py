"""What couplings lead from one state to the next, and are they symmetric?

Without --data: 8 repeats of 500 steps of 12 simulated sites, whose couplings are not symmetric.
"""

from pathlib import Path
from typing import Annotated

import typer

from bayesinf import workflow

POPULATION = Path(__file__).parents[1] / "data" / "boltzmann_kinetic" / "population.nc"


def main(
    data: workflow.DataFile = None,
    output: workflow.Output = None,
    seed: workflow.Seed = 1,
    draws: workflow.Draws = None,
    tune: workflow.Tune = None,
    chains: workflow.Chains = None,
    quick: workflow.Quick = False,
    scheduler: workflow.Scheduler = None,
    cells: workflow.Cells = None,
    repeats: workflow.Repeats = None,
    encoding: workflow.Encoding = None,
    axes: workflow.Axes = None,
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
    with workflow.run(
        "boltzmann_kinetic", output, seed=seed, draws=draws, tune=tune, chains=chains, quick=quick,
        scheduler=scheduler,
    ) as run:  # fmt: skip
        from bayesinf.systems import boltzmann_kinetic as system

        with run.step("load"):
            choice = {"cells": cells, "repeats": repeats, "encoding": encoding, "axes": axes}
            population = system.read(POPULATION if data is None else data, **choice)
        with run.step("fit"):
            length = {"settings": run.settings, "exact": draws is not None, "scheduler": scheduler}
            model = {"prior": prior, "self_coupling": self_coupling, "method": method}
            fits, refits = system.fit_both(population, **model, **length)
        with run.step("classical"):
            fits = system.with_classical(fits, population)
        with run.step("compare"):
            fits = system.compared(fits, population, refits, settings=run.settings)
        run.finish(system.story, fits)


if __name__ == "__main__":
    workflow.cli(main)
