"""What couplings lead from one state to the next, and are they symmetric?

Without --data: 8 repeats of 500 steps of 12 simulated sites, whose couplings are not symmetric.
"""

from functools import partial
from typing import Annotated

import typer

from bayesinf import workflow

MODELS = ("symmetric", "asymmetric")


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
    from bayesinf.posterior import annotated
    from bayesinf.systems import boltzmann_kinetic as system

    with run.step("load"):
        choice = {"sites": recording.cells, "repeats": recording.repeats}
        choice |= {"encoding": recording.encoding, "axes": recording.axes}
        population = system.read(run.data or run.shipped("population.nc"), **choice)
        steps = system.transitions(population)
        asked = {"method": method, "settings": run.settings, "exact": "draws" in run.given}
        method, settings, said = system.plan(steps, **asked)
    kind = {"self_coupling": self_coupling, "prior": prior, "method": method}
    kind |= {"settings": settings, "attrs": {"plan": said}}
    with run.step("fit"):
        fits, refits = fitted(run, population, steps, kind)
    with run.step("classical"):
        classical = partial(classical_one, steps=steps, self_coupling=self_coupling)
        tops = run.map(classical, MODELS, threads=True, label="Climbing")
        for name, top in zip(MODELS, tops, strict=True):
            fits[name] = annotated(fits[name], classical=top)
    with run.step("compare"):
        return system.judged(fits, population, refits, settings=settings)


def fitted(run, population, steps, kind):
    """Fit both models to all transitions, and to those that are not held out."""
    from bayesinf.systems import boltzmann_kinetic as system

    unseen = system.split(steps)
    call = partial(fit_one, data=population, unseen=unseen, **kind)
    if system.large(steps):  # a large fit fills the cores by itself
        fits = {name: call((name, False)) for name in MODELS}
        if kind["method"] == "laplace":
            seen, settings = steps.take(~unseen), kind["settings"]
            return fits, {n: system.refitted(fits[n], seen, settings) for n in MODELS}
        return fits, {name: call((name, True)) for name in MODELS}
    jobs = [(name, part) for part in (False, True)[: 1 + (unseen is not None)] for name in MODELS]
    found = run.map(call, jobs, label="Fitting")
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
