"""Which spins are coupled? Couplings of an Ising model from its states and their energies.

Reads states and energies, infers every coupling under priors that shrink (Laplace, normal) and that
select (spike and slab), predicts held-out energies, and compares with least squares, ridge, lasso
and elastic net.
"""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from bayesinf import parallel, workflow

SHIPPED = Path(__file__).resolve().parent.parent / "data" / "ising_couplings" / "ring.npz"
Prior = StrEnum("Prior", ["laplace", "spike_and_slab", "normal", "horseshoe"])


def main(
    data: workflow.DataFile = None,
    output: workflow.Output = None,
    seed: workflow.Seed = 1,
    draws: workflow.Draws = None,
    tune: workflow.Tune = None,
    chains: workflow.Chains = None,
    quick: workflow.Quick = False,
    scheduler: workflow.Scheduler = None,
    prior: Annotated[
        list[Prior] | None, typer.Option(help="Repeat for several; default all but horseshoe.")
    ] = None,
    gauge: Annotated[
        Literal["pairs", "full"], typer.Option(help="Products i < j, or all L².")
    ] = "pairs",
    train: Annotated[int, typer.Option(min=2, help="States to learn from.")] = 400,
    held_out: Annotated[int, typer.Option(min=4, help="States to choose λ and test on.")] = 400,
    sites: Annotated[
        int | None, typer.Option(min=3, help="Simulate a ring of that many spins instead.")
    ] = None,
    sigma: Annotated[
        float | None, typer.Option(min=0.0, help="Simulate with this measurement noise.")
    ] = None,
    sampler: Annotated[
        Literal["nuts"] | None, typer.Option(help="Instead of the prior's own.")
    ] = None,
):
    """Infer every coupling of an Ising model from states and energies."""
    with workflow.run("ising_couplings", output, seed=seed, draws=draws, tune=tune, chains=chains,
                      quick=quick, scheduler=scheduler) as run:  # fmt: skip
        with run.step("read"):
            from bayesinf.posterior import annotated
            from bayesinf.systems import ising_couplings as ising

            if data is None and (sites is not None or sigma is not None):
                spins = ising.simulate(
                    sites or 40,
                    train + held_out,
                    0.1 if sigma is None else sigma,
                    rng=run.settings.generator("simulate"),
                )
            else:
                spins = ising.read(data or SHIPPED)
            known, unseen = ising.split(
                spins, train, held_out, rng=run.settings.generator("split")
            )
        names = [str(name) for name in prior or ising.PRIORS]
        options = {"gauge": gauge, "method": sampler, "settings": run.settings}
        fit = partial(ising.fit, known, held_out=unseen, **options)
        # Here a fit's chains run side by side, one fit after the other; a cluster gets a fit each.
        each = partial(parallel.map, scheduler=scheduler) if scheduler else map
        with run.step(f"fit {', '.join(names)}"):
            fits = dict(zip(names, each(lambda name: fit(prior=name), names), strict=True))
        with run.step("classical"):
            best = "spike_and_slab" if "spike_and_slab" in fits else names[0]
            group = "posterior" if "sigma" in fits[best]["posterior"] else "constant_data"
            sigma = float(fits[best][group]["sigma"].mean())
            textbook = ising.classical(known, unseen, gauge=gauge, sigma=sigma)
            fits[best] = annotated(fits[best], classical=textbook)
        run.finish(ising.story, fits)


if __name__ == "__main__":
    workflow.cli(main)
