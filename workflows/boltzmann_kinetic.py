"""What couplings lead from one state to the next, and are they symmetric?

Without --data: 8 repeats of 500 steps of 12 simulated sites, whose couplings are not symmetric.
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bayesinf import workflow

POPULATION = Path(__file__).parents[1] / "data" / "boltzmann_kinetic" / "population.nc"

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
        from bayesinf import parallel
        from bayesinf.posterior import annotated
        from bayesinf.systems import boltzmann_kinetic as system

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
            classical = partial(classical_one, steps=steps, self_coupling=self_coupling)
            tops = parallel.map(classical, MODELS, threads=True, label="Climbing")
            for name, top in zip(MODELS, tops, strict=True):
                fits[name] = annotated(fits[name], classical=top)
        with run.step("compare"):
            fits = system.judged(fits, population, refits, settings=settings)
        run.finish(system.story, fits)


def fitted(population, steps, kind, scheduler):
    """Fit both models to all transitions, and to those that are not held out."""
    from bayesinf import parallel
    from bayesinf.systems import boltzmann_kinetic as system

    unseen = system.split(steps)
    call = partial(fit_one, data=population, unseen=unseen, **kind)
    if system.large(steps):  # a large fit fills the cores by itself
        fits = {name: call((name, False)) for name in MODELS}
        again = lambda name: call((name, True))
        if kind["method"] == "laplace":
            seen, settings = steps.take(~unseen), kind["settings"]
            again = lambda name: system.refitted(fits[name], seen, settings)
        return fits, {name: again(name) for name in MODELS}
    jobs = [(name, part) for part in (False, True)[: 1 + (unseen is not None)] for name in MODELS]
    found = parallel.map(call, jobs, scheduler=scheduler, label="Fitting")
    return [dict(zip(MODELS, part, strict=False)) for part in (found[:2], found[2:])]


def fit_one(job, data, unseen, settings, **options):
    """Fit one model to all transitions, or to those that are not held out."""
    from bayesinf.systems import boltzmann_kinetic as system

    name, part = job
    if part:  # only to be scored, for which fewer draws do
        data = system.transitions(data).take(~unseen)
        settings = settings.replace(draws=min(settings.draws, 100))
    return system.fit(data, symmetric=name == "symmetric", settings=settings, **options)


def classical_one(name, steps, self_coupling):
    """Maximum likelihood and gradient descent of one model."""
    from bayesinf.systems import boltzmann_kinetic as system

    return system.classical(steps, symmetric=name == "symmetric", self_coupling=self_coupling)


if __name__ == "__main__":
    workflow.cli(main)
