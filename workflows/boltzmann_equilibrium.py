"""Which fields and couplings do the states of a population speak for, and are pairs enough?

Without --data: 20 000 simulated states of 10 sites, whose couplings are known.
"""

from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from bayesinf import workflow


@workflow.script
def main(
    run: workflow.Run,
    recording: workflow.Recording,
    prior: Annotated[
        str, typer.Option(help="Of the couplings: normal, inferred, laplace or horseshoe.")
    ] = "inferred",
    method: Annotated[
        str | None, typer.Option(help="mcmc (default to 40 sites), laplace (above), or pseudo.")
    ] = None,
):
    """Infer fields and couplings of binary states, and ask whether pairs are enough."""
    from bayesinf.posterior import annotated
    from bayesinf.systems import boltzmann_equilibrium as system

    with run.step("load"):
        population = system.read(run.data or run.shipped("population.npz"), **asdict(recording))
    sites = population.sizes["site"]
    method = method or system.default_method(sites)
    chained = independent = run.settings
    if "draws" not in run.given:
        # R-hat of fifty parameters and more asks for longer chains than a look at a few.
        longer = chained.replace(draws=max(chained.draws, 400))
        chained = system.affordable(longer, sites, independent=method != "mcmc")
        independent = system.affordable(longer, sites, independent=True)
    with run.step("states"):
        bank = system.draw_bank(population, prior, settings=run.settings)
    jobs = {
        "posterior": partial(system.fit, population, prior, method, settings=chained),
        "mle": partial(system.maximum_likelihood_fit, population, settings=independent),
    }
    # Each fills the local cores by itself, one after the other; a cluster gets both at once.
    each = run.map if run.scheduler else map
    with run.step("posterior and maximum likelihood"):
        fits = dict(zip(jobs, each(lambda fit: fit(bank=bank), jobs.values()), strict=True))
    with run.step("quick routes"):
        sides = {"approximate": system.approximations(population)}
        covered = system.coverage(population, settings=run.settings)
        sides |= {} if covered is None else {"coverage": covered}
    if run.data is None:
        with run.step("learning"):
            sides["learning"] = system.learning_study(run.settings)
    return fits | {"mle": annotated(fits["mle"], **sides)}


if __name__ == "__main__":
    workflow.cli(main)
