"""What couplings lead from one state to the next, and are they symmetric?

Without --data: 8 repeats of 500 steps of 12 simulated sites, whose couplings are not symmetric.
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bayesinf import workflow

POPULATION = Path(__file__).parents[1] / "data" / "glauber" / "population.nc"

MODELS = ("symmetric", "asymmetric")


def main(
    data: workflow.DataFile = None,
    output: workflow.Output = None,
    seed: workflow.Seed = 1,
    draws: workflow.Draws = None,
    tune: workflow.Tune = None,
    chains: workflow.Chains = None,
    quick: workflow.Quick = False,
    scheduler: workflow.Scheduler = None,
    cells: Annotated[
        str | None, typer.Option(help="Sites to keep, counted from 0: '40', or '0-9,12'.")
    ] = None,
    repeats: Annotated[str | None, typer.Option(help="Repeats to keep, likewise.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="'±1' or '0/1'; default: as in the file.")
    ] = None,
    axes: Annotated[
        str | None, typer.Option(help="Their order in the file, as in 'repeat,time,site'.")
    ] = None,
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
        from bayesinf.systems import glauber as system

        with run.step("load"):
            choice = {"sites": cells, "repeats": repeats, "encoding": encoding, "axes": axes}
            population = system.read(POPULATION if data is None else data, **choice)
            steps = system.transitions(population)
            asked = {"method": method, "settings": run.settings, "exact": draws is not None}
            method, settings, said = system.plan(steps, **asked)
        kind = {"self_coupling": self_coupling, "prior": prior, "method": method}
        kind |= {"settings": settings, "attrs": {"plan": said}}
        with run.step("fit"):
            fits, refits = fitted(population, steps, kind, scheduler)
        with run.step("classical"):
            for name in MODELS:
                best = system.classical(steps, symmetric=name == "symmetric",
                                        self_coupling=self_coupling)  # fmt: skip
                fits[name] = system.annotated(fits[name], classical=best)
        with run.step("compare"):
            fits = system.judged(fits, population, refits, settings=settings)
        run.finish(system.story, fits)


def fitted(population, steps, kind, scheduler):
    """Fit both models to all transitions, and to those that are not held out."""
    from bayesinf import parallel
    from bayesinf.systems import glauber as system

    unseen = system.split(steps)
    call = partial(fit_one, data=population, unseen=unseen, **kind)
    if system.large(steps):  # a large fit fills the cores by itself
        fits = {name: call((name, False)) for name in MODELS}
        stated = kind["prior"] == "inferred"
        prior = lambda fit: {"prior": system.at_width(fit)} if stated else {}
        return fits, {name: call((name, True), **prior(fit)) for name, fit in fits.items()}
    jobs = [(name, part) for part in (False, True)[: 1 + (unseen is not None)] for name in MODELS]
    found = parallel.map(call, jobs, scheduler=scheduler, label="Fitting")
    return [dict(zip(MODELS, part, strict=False)) for part in (found[:2], found[2:])]


def fit_one(job, data, unseen, settings, **options):
    """Fit one model to all transitions, or to those that are not held out."""
    from bayesinf.systems import glauber as system

    name, part = job
    if part:  # only to be scored, for which fewer draws do
        data = system.transitions(data).take(~unseen)
        settings = settings.replace(draws=min(settings.draws, 250))
    return system.fit(data, symmetric=name == "symmetric", settings=settings, **options)


if __name__ == "__main__":
    workflow.cli(main)
