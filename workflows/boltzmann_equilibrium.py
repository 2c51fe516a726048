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
    effective: Annotated[
        str | None,
        typer.Option(
            metavar="auto|N",
            help="As how many independent states all of them count; auto: by their memory.",
        ),
    ] = None,
):
    """Infer fields and couplings of binary states, and ask whether pairs are enough."""
    from bayesinf.posterior import annotated
    from bayesinf.systems import boltzmann_equilibrium as system

    with run.step("load"):
        found = system.read(run.data or run.shipped("population.npz"), **asdict(recording))
        population = run.report_reading(found)
    asked = {"settings": run.settings, "exact": "draws" in run.given}
    method, chained, said = system.plan(population, method, **asked)
    _, independent, _ = system.plan(population, "laplace", **asked)
    counted = {"effective": effective}
    with run.step("states"):
        sample = system.draw_reweighting_sample(population, prior, **counted, settings=run.settings)
    fit = partial(system.fit, population, prior, method=method, settings=chained, **counted)
    climb = partial(system.maximum_likelihood_fit, population, settings=independent, **counted)
    jobs = {"posterior": fit, "mle": climb}
    # Each fills the local cores by itself, one after the other; a cluster gets both at once.
    each = run.map if run.scheduler else map
    with run.step("posterior and maximum likelihood"):
        done = each(lambda fit: fit(reweighting=sample), jobs.values())
        fits = dict(zip(jobs, done, strict=True))
    fits["posterior"].attrs |= {"plan": said} if said else {}
    with run.step("quick routes"):
        sides = {"approximate": system.approximations(population)}
        covered = system.coverage(population, **counted, settings=run.settings)
        sides |= {} if covered is None else {"coverage": covered}
    if run.look:
        run.shortened += ["how errors shrink with more data is left out"]
    elif run.data is None:
        with run.step("learning"):
            sides["learning"] = system.learning_study(run.settings)
    return fits | {"mle": annotated(fits["mle"], **sides)}


if __name__ == "__main__":
    workflow.cli(main)
