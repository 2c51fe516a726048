"""Slice sampling: draws of one number from any density, without a step to tune.

It moves many numbers at once, each under a density of its own: widths of priors given all else,
and the local scales of shrinking priors.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["slice_sample"]


def slice_sample(
    rng: np.random.Generator, log_density: Callable, x: np.ndarray, width: float
) -> np.ndarray:
    """Move each element of x by one slice-sampling step, all at once.

    An interval of the given width is laid at random around each x and shrunk towards it until a
    point under the curve is found: Neal, Ann. Stat. 31, 705 (2003), doi:10.1214/aos/1056562461.

    Parameters
    ----------
    log_density : elementwise, x -> log p(x).
    x : current values, any shape.
    width : about the width of the widest density; the draw is valid for any.
    """
    level = log_density(x) - rng.exponential(size=x.shape)
    low = x - width * rng.random(x.shape)
    high = low + width
    result, open_ = x.copy(), np.ones(x.shape, dtype=bool)
    while np.any(open_):
        proposal = np.where(open_, rng.uniform(low, high), result)
        value = log_density(proposal)
        accepted = open_ & (value >= level)
        result = np.where(accepted, proposal, result)
        open_ = open_ & ~accepted
        below = proposal < x
        low = np.where(open_ & below, proposal, low)
        high = np.where(open_ & ~below, proposal, high)
    return result
