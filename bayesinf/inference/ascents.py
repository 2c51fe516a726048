"""Ascents within a box, many side by side: BFGS steps, cut off where they would leave it.

    x ← clip(x + t H g),   t shortened until the function rises,   H ← BFGS(H; Δx, Δg)

Inputs at a bound that the gradient points beyond are held. All functions that are climbed are
evaluated in one call, so that many ascents cost little more than one.

Nocedal & Wright, Numerical Optimization, Springer (2006), chapter 6.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["climb"]

RISE = 1e-4  # share of the rise that the slope promises, below which a step is shortened
SHORTEST = 1e-12  # factor of a step, below which there is none
LONGEST = 0.5  # of a step, in any input
FIRST = 0.1  # length of the first step

Function = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@np.errstate(all="ignore")  # a search looks where functions overflow
def climb(
    function: Function,
    start: np.ndarray,
    low: float | np.ndarray = -np.inf,
    high: float | np.ndarray = np.inf,
    *,
    held: np.ndarray | bool = False,
    most: int = 60,
    tolerance: float = 1e-10,
) -> tuple[np.ndarray, np.ndarray]:
    """Climb from each point until a step gains nothing.

    Parameters
    ----------
    function : points, (point, input), and of which ascent each is, (point,) -> values, (point,),
        and gradients, (point, input). Inputs should be of order one.
    start : (ascent, input).
    low, high : bounds of the inputs.
    held : which inputs do not move, (input,).
    most : evaluations of each ascent.
    tolerance : gain of a step, relative to 1 + |value|, below which an ascent is done.

    Returns
    -------
    values, (ascent,), and points, (ascent, input).
    """
    x = np.clip(np.array(start, dtype=float), low, high)
    count, size = x.shape
    value, slope = (np.array(part) for part in function(x, np.arange(count)))
    inverse = np.tile(np.eye(size), (count, 1, 1))
    fresh, factor = np.ones(count, dtype=bool), np.ones(count)
    step = np.zeros_like(x)
    alive, moved = np.isfinite(value), np.ones(count, dtype=bool)
    for _ in range(most - 1):
        # A new direction for those that moved.
        rows = np.flatnonzero(alive & moved)
        g = slope[rows]
        blocked = held | ((x[rows] <= low) & (g < 0)) | ((x[rows] >= high) & (g > 0))
        g = np.where(blocked, 0.0, g)
        along = np.where(blocked, 0.0, np.einsum("nij,nj->ni", inverse[rows], g))
        uphill = np.sum(along * g, axis=1) > 0
        along = np.where(uphill[:, None], along, g)
        longest = np.max(np.abs(along), axis=1)
        limit = np.where(fresh[rows] | ~uphill, FIRST, LONGEST)
        along *= np.minimum(1.0, limit / np.maximum(longest, 1e-300))[:, None]
        step[rows], factor[rows] = along, 1.0
        alive[rows] = longest > 0
        rows = np.flatnonzero(alive)
        if not len(rows):
            break
        trial = np.clip(x[rows] + factor[rows, None] * step[rows], low, high)
        there, steep = function(trial, rows)
        change = trial - x[rows]
        promised = np.sum(change * slope[rows], axis=1)
        gain = there - value[rows]
        fine = np.isfinite(there) & (gain >= RISE * promised) & (gain >= 0)
        moved[rows] = fine
        some = rows[fine]
        _update(inverse, fresh, some, change[fine], slope[some] - steep[fine])
        x[some], value[some], slope[some] = trial[fine], there[fine], steep[fine]
        alive[some] = gain[fine] > tolerance * (1 + np.abs(there[fine]))
        # Shorten by a parabola through both ends, within reason.
        others = rows[~fine]
        bend = promised[~fine] - gain[~fine]
        short = np.where(np.isfinite(bend), promised[~fine] / (2 * bend), 0.1)
        factor[others] *= np.clip(short, 0.1, 0.5)
        alive[others] = factor[others] > SHORTEST
    return value, x


def _update(inverse, fresh, rows, s, y):
    """BFGS steps of the inverses, minus the Hessian's, where the curvature is positive."""
    curve = np.sum(s * y, axis=1)
    fine = curve > 1e-10 * np.sqrt(np.sum(s**2, axis=1) * np.sum(y**2, axis=1))
    rows, s, y, curve = rows[fine], s[fine], y[fine], curve[fine]
    first = fresh[rows]
    scale = curve / np.maximum(np.sum(y**2, axis=1), 1e-300)
    inverse[rows[first]] *= scale[first, None, None]
    fresh[rows] = False
    H = inverse[rows]
    Hy = np.einsum("nij,nj->ni", H, y)
    yHy = np.sum(y * Hy, axis=1)
    both = s[:, :, None] * Hy[:, None, :]
    outer = s[:, :, None] * s[:, None, :]
    weight = ((1 + yHy / curve) / curve)[:, None, None]
    inverse[rows] = H - (both + both.swapaxes(1, 2)) / curve[:, None, None] + weight * outer
