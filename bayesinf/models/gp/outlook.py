"""How the data look from the posterior: each against all others, and new data at the same places.

Of many points, draws are looked at some at a time, replicas are kept of some draws, and the
pointwise log likelihood of stretches of neighbours: what a file holds does not grow without bounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.models import noise, ties
from bayesinf.models.problem import Draws, Outlook
from bayesinf.settings import Settings

if TYPE_CHECKING:
    from bayesinf.models.gp.definition import Process

__all__ = ["REPLICAS", "STRETCHES", "TOGETHER", "look", "stretches"]

MANY, STRETCHES = 10_000, 2000  # points from which stretches are summed over, and how many of them
TOGETHER = 2**22  # numbers of an array at a time
REPLICAS = 2**22  # numbers of replicas that are kept where the points are many


def stretches(size: int) -> np.ndarray | None:
    """Return the stretch of each of so many points, (point,); None where each is one."""
    return np.arange(size) * STRETCHES // size if size > MANY else None


def look(process: Process, draws: Draws, settings: Settings) -> Outlook:
    """Look at each observation from all the others; replicas are new data at x, one by one.

    Parameters
    ----------
    process : on its data.
    draws : of its posterior, (chain, draw).
    settings : its seed.
    """
    shape, size = process.lead(draws), len(process.y)
    theta = process.flat(process.complete(draws), shape)
    total, blocks = int(np.prod(shape)), stretches(size)
    kept = None if blocks is None else noise.kept_draws(shape, size, REPLICAS)
    rngs = settings.generator("replicas"), settings.generator("posterior predictive")
    batch = total if blocks is None else max(1, TOGETHER // size)
    parts, tied = [], ties.Ties.of(process.y)
    for start in range(0, total, batch):
        some = {name: value[start : start + batch] for name, value in theta.items()}
        left_out = process.left_out(some, rngs[0])
        new = rngs[1].standard_normal(left_out.mean.shape)
        of = np.arange(start, start + len(new)) % shape[1]
        shown = slice(None) if kept is None else np.isin(of, kept)
        density = left_out.log_conditional, left_out.log_density
        if blocks is not None:
            density = [noise.summed(one, blocks) for one in density]
        judged = (
            np.stack([t(at + z, at, 1.0) for t in process.discrepancies.values()], axis=-1)
            for z, at in (
                (left_out.replica, _scaled(left_out.replica_expected)),
                (left_out.residual, _scaled(left_out.expected)),
            )
        )
        replicas = left_out.mean + left_out.sd * new
        if tied is not None:
            tied.add(replicas, left_out.mean)
        parts.append((replicas[shown], *density, *judged, left_out.jitter))
    found = [np.concatenate(one) for one in zip(*parts, strict=True)]
    replicas, pointwise, alone, of_replicas, of_data, jitter = (
        one.reshape(shape[0], -1, *one.shape[1:]) for one in found
    )
    alone = {f"{name}_marginal": one for name, one in process.apart(alone).items()}
    return Outlook(
        process.apart(replicas),
        process.apart(pointwise) | alone,
        of_replicas,
        of_data,
        {"jitter": jitter},
        kept,
        **({} if tied is None else tied.asked),
    )


def _scaled(expected):
    """Fitted values in the size of standardised residuals, so that their sum loses neither."""
    about = expected - expected.mean(axis=-1, keepdims=True)
    spread = about.std(axis=-1, keepdims=True)
    return about / np.where(spread > 0, spread, 1.0)
