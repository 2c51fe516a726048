"""Which spins are coupled? Couplings of an Ising model from its states and their energies.

Reads states and energies, infers every coupling under priors that shrink (Laplace, normal) and that
select (spike and slab), predicts held-out energies where there are any, and compares with least
squares, ridge, lasso and elastic net.
"""

from enum import StrEnum
from functools import partial
from typing import Annotated, Literal

import typer

from bayesinf import workflow

Prior = StrEnum("Prior", ["laplace", "spike_and_slab", "normal", "horseshoe"])
LOOK = 250  # states that a look learns from


@workflow.script
def main(
    run: workflow.Run,
    prior: Annotated[
        list[Prior] | None, typer.Option(help="Repeat for several; default all but horseshoe.")
    ] = None,
    gauge: Annotated[
        Literal["pairs", "full"], typer.Option(help="Products i < j, or all L².")
    ] = "pairs",
    train: Annotated[
        int | None,
        typer.Option(min=2, help="States to learn from; default 400, of your data all others."),
    ] = None,
    held_out: Annotated[
        int | None,
        typer.Option(min=4, help="States to predict and choose λ on; default 400, of yours none."),
    ] = None,
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
    from bayesinf.systems import ising_couplings as ising

    if run.data is None:
        if run.look and train is None:
            train = LOOK
            run.shortened += [f"{LOOK} states are learnt from, not 400"]
        train, held_out = train or 400, held_out or 400
    with run.step("read"):
        if run.data is None and (sites is not None or sigma is not None):
            noise, rng = 0.1 if sigma is None else sigma, run.settings.generator("simulate")
            spins = ising.simulate(sites or 40, train + held_out, noise, rng=rng)
        else:
            spins = run.report_reading(ising.read(run.data or run.shipped("ring.npz")))
        parts = ising.split(spins, train, held_out or 0, rng=run.settings.generator("split"))
    names = [str(name) for name in prior or ising.PRIORS]
    if run.look and not prior:
        run.shortened += [f"the prior {names.pop()} is left out"]
    options = {"gauge": gauge, "method": sampler, "settings": run.settings}
    fit = partial(ising.fit, parts[0], held_out=parts[1], **options)
    # Here a fit's chains run side by side, one fit after the other; a cluster gets a fit each.
    each = run.map if run.scheduler else map
    with run.step(f"fit {', '.join(names)}"):
        fits = dict(zip(names, each(fit, names), strict=True))
    with run.step("classical"):
        return ising.with_classical(fits, *parts)


if __name__ == "__main__":
    workflow.cli(main)
