"""Fisher scoring with damped steps: many descents of a deviance, side by side.

    θ ← θ + (JᵀJ + λ D²)⁻¹ Jᵀ r,   J = w ∂mean/∂θ

For normal noise r are the residuals and w is 1 over the noise, so these are the steps of Gauss and
Newton; for another likelihood w is the root of the information in a datum about its mean and r its
score over w. The damping λ follows the ratio of what a step gains to what it promised (Nielsen
1999). D, the column norms of J with a fading memory of larger ones, makes the path the same
whatever the unit of a parameter (Moré 1978). Many descents cost little more than one where the
model takes arrays.

Where the path bends little over a step the step follows the bend (geodesic acceleration), which
is what takes it along narrow curved valleys.

Moré, Lecture Notes in Mathematics 630, 105 (1978), doi:10.1007/BFb0067700.
Transtrum & Sethna (2012), arXiv:1201.5885.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayesinf.inference.derivatives import central, steps

__all__ = ["descend"]

FIRST_DAMPING = 1e-2
LARGEST_DAMPING = 1e20  # beyond which rounding swallows every step
LEAST_RATIO = 1e-4  # of gain to promise, below which a step is not taken
ROUNDING = 1e-14  # share of the deviance below which a promised gain cannot be seen
BENDING = 0.1  # share of a step over which the bend of the path is measured
BEND = 0.375  # of a step's length, up to which a step follows the bend
HUGE = 1e150  # derivatives from here on have no square
MEMORY = 0.5  # share of a column's largest norm that the scale D keeps from step to step

Score = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


@np.errstate(all="ignore")  # a search looks where functions overflow
def descend(
    mean: Callable[[np.ndarray], np.ndarray],
    score: Score,
    theta: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    *,
    held: np.ndarray | bool = False,
    span: np.ndarray | None = None,
    tolerance: float = ROUNDING,
    most: int = 1000,
) -> tuple[np.ndarray, np.ndarray]:
    """Descend from each point until a further step promises no gain, or none that can be seen.

    Parameters
    ----------
    mean : (..., parameter) -> (..., datum).
    score : mean -> deviance (...), inf where there is none, r and w (..., datum).
    theta : where to begin, (point, parameter).
    lower, upper : bounds, (parameter,); a step that would cross one ends on it.
    held : parameters that stay, (point, parameter).
    span : steps of differences to begin with, (parameter,); by default they are sought.
    tolerance : share of the deviance; a descent ends where a step promises no larger a gain.
    most : steps at most.

    Returns
    -------
    where each ended, (point, parameter), and the deviance there, inf where it began so.
    """
    theta = np.array(theta, dtype=float)
    held = np.broadcast_to(held, theta.shape)
    value, residual, weight = score(mean(theta))
    live = np.flatnonzero(np.isfinite(value))
    residual, weight = residual[live], weight[live]
    damping, growth = np.full(len(theta), FIRST_DAMPING), np.full(len(theta), 2.0)
    scale = np.zeros_like(theta)
    jacobian = np.zeros((len(live), residual.shape[-1], theta.shape[1]))
    stale = np.full(len(live), span is None)  # where steps of differences are to be sought
    span = np.zeros_like(theta) if span is None else np.tile(span, (len(theta), 1))
    moved = np.ones(len(live), dtype=bool)
    for _ in range(most):
        if not len(live):
            break
        if stale.any():
            span[live[stale]] = steps(mean, theta[live[stale]])
        if moved.any():
            slopes = central(mean, theta[live[moved]], span[live[moved]])
            slopes = weight[moved][..., None] * slopes
            jacobian[moved] = np.where(np.abs(slopes) < HUGE, slopes, 0.0)
        norms = np.linalg.norm(jacobian, axis=1)
        scale[live] = np.maximum(MEMORY * scale[live], norms)
        at, slope = theta[live], np.einsum("kij,ki->kj", jacobian, residual)
        stuck = held[live] | ((at <= lower) & (slope < 0)) | ((at >= upper) & (slope > 0))
        free = np.where(stuck[:, None, :], 0.0, jacobian)
        solved = Damped.of(free, damping[live], scale[live])
        move, promised = solved.step(residual), solved.promise(residual)
        bend = solved.step(_bend(mean, at, move, weight))
        mild = solved.length(bend) <= BEND * solved.length(move)
        move = move + np.where(mild[:, None], bend, 0.0)
        there = np.clip(at + move, lower, upper)
        found, new_residual, new_weight = score(mean(there))
        ratio = np.where(np.isfinite(found), (value[live] - found) / promised, -1.0)
        good = ratio > LEAST_RATIO
        ended = (promised <= tolerance * value[live]) | (damping[live] > LARGEST_DAMPING)
        better, worse = live[good], live[~good]
        theta[better], value[better] = there[good], found[good]
        damping[better] *= np.maximum(1 / 3, 1 - (2 * np.minimum(ratio[good], 2.0) - 1) ** 3)
        stale = ~good & (growth[live] == 2.0)  # the first refusal: the derivatives may be at fault
        moved = good | stale
        growth[better] = 2.0
        damping[worse] *= growth[worse]
        growth[worse] *= 2.0
        residual = np.where(good[:, None], new_residual, residual)
        weight = np.where(good[:, None], new_weight, weight)
        on = ~ended
        live, residual, weight, jacobian = live[on], residual[on], weight[on], jacobian[on]
        stale, moved = stale[on], moved[on]
    return theta, value


@dataclass(frozen=True)
class Damped:
    """The damped inverse of J for each point, by the singular values of J D⁻¹.

    Parameters
    ----------
    left, values, rows : these, and the singular vectors.
    share : of each singular direction, that is left by the damping.
    scale : D, (point, parameter).
    """

    left: np.ndarray
    values: np.ndarray
    rows: np.ndarray
    share: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, jacobian: np.ndarray, damping: np.ndarray, scale: np.ndarray) -> Damped:
        """Decompose J, (point, datum, parameter), damped by λ, (point,), and D."""
        scale = np.where(scale > 0, scale, 1.0)
        left, values, rows = np.linalg.svd(jacobian / scale[:, None, :], full_matrices=False)
        total = values**2 + damping[:, None]
        share = np.divide(values**2, total, out=np.zeros_like(values), where=total > 0)
        return cls(left, values, rows, share, scale)

    def step(self, residual: np.ndarray) -> np.ndarray:
        """Return the step that takes up residuals, (point, datum), as far as damping lets it."""
        along = self.share * np.einsum("kij,ki->kj", self.left, residual)
        along = np.divide(along, self.values, out=np.zeros_like(along), where=self.values > 0)
        return np.einsum("kij,ki->kj", self.rows, along) / self.scale

    def promise(self, residual: np.ndarray) -> np.ndarray:
        """Return by how much the deviance would fall if the mean were linear, (point,)."""
        along = np.einsum("kij,ki->kj", self.left, residual)
        return np.sum((2 * self.share - self.share**2) * along**2, axis=1)

    def length(self, step: np.ndarray) -> np.ndarray:
        """Return the length of D times a step, (point,)."""
        return np.linalg.norm(self.scale * step, axis=1)


def _bend(mean, at, move, weight):
    """Minus half the second derivative of the weighted mean along a step, (point, datum)."""
    part = BENDING * move
    up, here, down = (mean(at + side * part) for side in (1, 0, -1))
    found = -weight * (up - 2 * here + down) / (2 * BENDING**2)
    return np.where(np.isfinite(found), found, 0.0)
