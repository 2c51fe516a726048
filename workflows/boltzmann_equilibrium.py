"""Which fields and couplings do the states of a population speak for, and are pairs enough?

Without --data: 20 000 simulated states of 10 sites, whose couplings are known.
"""

from pathlib import Path
from typing import Annotated

import typer

from bayesinf import workflow

POPULATION = Path(__file__).parents[1] / "data" / "boltzmann_equilibrium" / "population.npz"


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
        str, typer.Option(help="Of the couplings: normal, inferred, laplace or horseshoe.")
    ] = "inferred",
    method: Annotated[
        str | None, typer.Option(help="mcmc (default to 40 sites), laplace (above), or pseudo.")
    ] = None,
):
    """Infer fields and couplings of binary states, and ask whether pairs are enough."""
    with workflow.run(
        "boltzmann_equilibrium", output, seed=seed, draws=draws, tune=tune, chains=chains,
        quick=quick, scheduler=scheduler,
    ) as run:  # fmt: skip
        from bayesinf.posterior import annotated
        from bayesinf.systems import boltzmann_equilibrium as system

        with run.step("load"):
            population = system.read(
                data or POPULATION, cells=cells, repeats=repeats, encoding=encoding, axes=axes
            )
        asked = {"settings": run.settings, "exact": draws is not None}
        method, chained, said = system.plan(population, method, **asked)
        _, independent, _ = system.plan(population, "laplace", **asked)
        with run.step("states"):
            bank = system.draw_bank(population, prior, settings=run.settings)
        with run.step("posterior"):
            options = {"method": method, "bank": bank, "settings": chained}
            posterior = system.fit(population, prior, **options)
            posterior.attrs |= {"plan": said} if said else {}
        with run.step("maximum likelihood"):
            likelihood = system.maximum_likelihood_fit(population, bank=bank, settings=independent)
        with run.step("quick routes"):
            sides = {"approximate": system.approximations(population)}
            covered = system.coverage(population, settings=run.settings)
            sides |= {} if covered is None else {"coverage": covered}
        if data is None:
            with run.step("learning"):
                sides["learning"] = system.learning_study(run.settings)
        run.finish(system.story, {"posterior": posterior,
                                  "mle": annotated(likelihood, **sides)})  # fmt: skip


if __name__ == "__main__":
    workflow.cli(main)
