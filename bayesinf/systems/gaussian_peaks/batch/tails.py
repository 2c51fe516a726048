"""How heavy the tail of the weights of each spectrum is: Pareto k̂ of many sets at once."""

from __future__ import annotations

import numpy as np

__all__ = ["tails"]

FLAT = 1e-6  # spread of the logarithms, below which it is rounding
PRIOR = 10.0  # draws that a k̂ of one half weighs as much as


def tails(log_weight: np.ndarray) -> np.ndarray:
    """Return Pareto k̂ of the weights of each spectrum; inf where they are no numbers.

    The estimate of Zhang and Stephens (2009) with the prior of Vehtari et al. (2024), as of
    ``diagnostics.smoothed_weights``, to which a test holds it; doi:10.1198/tech.2009.08017.

    Parameters
    ----------
    log_weight : (spectrum, draw).
    """
    draws = log_weight.shape[1]
    size = int(3 * np.sqrt(draws)) if draws > 225 else draws // 5
    found = np.full(len(log_weight), np.inf)
    ordered = np.partition(log_weight, draws - size - 1, axis=1)[:, draws - size - 1 :]
    ordered.sort(axis=1)
    top = ordered[:, -1:]
    with np.errstate(all="ignore"):
        cut = ordered[:, :1] - top
        low = np.exp(np.maximum(cut, -700.0))
        above = np.exp(np.maximum(ordered[:, 1:] - top, -700.0)) - low
        quarter = above[:, int(size / 4 + 0.5) - 1]
        usable = np.isfinite(top[:, 0])
        found[usable & (-cut[:, 0] <= FLAT)] = 0.0
        some = np.flatnonzero(usable & (-cut[:, 0] > FLAT) & (quarter > above[:, 0]))
        above, quarter = above[some], quarter[some, None]
        tries = 30 + int(np.sqrt(size))
        b = (1 - np.sqrt(tries / (np.arange(tries) + 0.5))) / (3 * quarter) + 1 / above[:, -1:]
        k = np.log1p(-b[:, :, None] * above[:, None, :]).mean(axis=2)
        gain = size * (np.log(-b / k) - k - 1)
        share = np.exp(gain - gain.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        share[~(share >= 10 * np.finfo(float).eps)] = 0.0
        best = np.sum(share * b, axis=1, keepdims=True) / share.sum(axis=1, keepdims=True)
        k = np.log1p(-best * above).mean(axis=1)
    found[some] = (k * size + PRIOR / 2) / (size + PRIOR)
    return found
