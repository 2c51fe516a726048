"""From draws of a reference to those of a density near it: weights in steps, and moves after each.

    p_s(x) ∝ q(x) (p(x) / q(x))^s,   0 < s ≤ 1

Importance weights p / q turn draws of q into draws of p where they are even enough. Where they are
not, s rises in steps whose weights are; after each, draws that stand for several are moved apart by
Metropolis steps that leave p_s as it is. A proposal that is reversible for q, such as
x' = √(1 − β²) x + β z of a standard normal q, is accepted by the ratio of (p / q)^s alone, whatever
the dimension.

Neal, Statistics and Computing 11, 125 (2001), doi:10.1023/A:1008923215028; Del Moral, Doucet &
Jasra, JRSS B 68, 411 (2006), doi:10.1111/j.1467-9868.2006.00553.x; of the proposal: Cotter,
Roberts, Stuart & White, Statistical Science 28, 424 (2013), doi:10.1214/13-STS421.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayesinf.inference.importance import Weights, resampled

__all__ = ["Tempered", "tempered"]

WORTH = 0.5  # share of their number that draws are worth after each step
APART = 0.5  # correlation before and after the moves, below which draws that were one are apart
SMOOTH = 0.6  # Pareto k̂ of the weights of one step
SMALLEST = 1 / 8  # step that is taken whatever its weights are
MOVES = 40  # at most, of all steps together
TAKEN = 0.4  # share of accepted proposals towards which their largest β is moved


@dataclass(frozen=True)
class Tempered:
    """Draws of the density, and what they cost.

    Parameters
    ----------
    points : (draw, ...) as given.
    pareto_k : of the step whose weights have the heaviest tail.
    effective : number of independent draws that they are worth.
    steps, moves : how many were taken.
    """

    points: np.ndarray
    pareto_k: float
    effective: float
    steps: int
    moves: int


def tempered(
    points: np.ndarray,
    log_ratio: np.ndarray,
    count: int,
    *,
    density: Callable[[np.ndarray], np.ndarray],
    propose: Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray],
    judged: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
) -> Tempered:
    """Turn draws of a reference into draws of a density, by weights and by moves where needed.

    Parameters
    ----------
    points : (draw, parameter) of the reference.
    log_ratio : log p − log q there, (draw,), up to a constant; −∞ where p has nothing.
    count : draws to keep, no more than there are.
    density : points to log p − log q.
    propose : (points, β, rng) to points, reversible for the reference at any β, (draw, 1).
    judged : points to (draw, quantity): what is to be independent.
    rng : generator of all this.

    Returns
    -------
    ``Tempered``. Draws that weights have made alike are worth 1 / (ρ / E + (1 − ρ) / N)
    independent ones, where E is what the weights leave and ρ the correlation of a quantity before
    and after the moves, the largest of all.
    """

    from scipy.stats import rankdata

    def seen(points, log_ratio):
        # Along the ratio itself weights err most, and moves go slowest; its tail may be long.
        return np.column_stack([judged(points), rankdata(log_ratio)])

    share, shape, worth, steps, moves = 0.0, 0.0, 1.0, 0, 0
    while share < 1.0:
        step, weights, even = _step(log_ratio, 1.0 - share)
        share, steps, shape = share + step, steps + 1, max(shape, weights.pareto_k)
        kept = resampled(np.arange(len(points))[:, np.newaxis], step * log_ratio, rng)
        lost = 1 / count - 1 / len(points)
        # The order is random, so that the first are as good as any.
        chosen = kept.draws[:count, 0]
        left = 1 / (1 / (worth * _worth(weights, seen(points, log_ratio))) + lost)
        points, log_ratio = points[chosen], log_ratio[chosen]
        first, worth, width, alike = seen(points, log_ratio), left / count, 1.0, 1.0
        # Draws that are one would weigh alike in the next step, and make its tail look heavy. What
        # not even a small step reaches is missed, and moves would not mend it.
        while even and (worth < WORTH or (share < 1.0 and alike > APART)) and moves < MOVES:
            # Draws of much weight leave their place by small steps, the others by large ones.
            there = propose(points, width * np.sqrt(rng.random((count, 1))), rng)
            log_there = density(there)
            taken = np.log(rng.random(count)) < share * (log_there - log_ratio)
            points = np.where(taken[:, None], there, points)
            log_ratio = np.where(taken, log_there, log_ratio)
            width = float(np.clip(width * np.exp(taken.mean() - TAKEN), 0.05, 1.0))
            alike = _alike(first, seen(points, log_ratio))
            worth = 1 / (alike * count / left + 1 - alike)
            moves += 1
    return Tempered(points, float(shape), float(worth * count), steps, moves)


def _step(log_ratio, rest):
    """The largest of the rest, its half and so on whose weights are even; they, and if it was."""
    step = rest
    while True:
        weights = Weights.of(step * log_ratio)
        even = weights.effective >= WORTH * len(log_ratio) and weights.pareto_k <= SMOOTH
        if even or step / 2 < SMALLEST:
            return step, weights, even
        step /= 2


def _worth(weights, values):
    """Least number of independent draws of a quantity, (draw, quantity), that weights leave.

    σ² / Σ w² (x − μ)², which is 1 / Σ w² where the quantity has nothing to do with the weights.
    """
    weight = np.exp(weights.log_weight)
    square = (values - weight @ values) ** 2
    spread, lost = weight @ square, weight**2 @ square
    moving = lost > 0
    return float(np.min(spread[moving] / lost[moving], initial=weights.effective))


def _alike(before, after):
    """Largest correlation of a quantity before and after, (draw, quantity) each.

    Of two draws that were one it would be its square, were moves alike everywhere; those that stand
    for many are moved less often than others, so that the root is nearer.
    """
    a, b = (x - x.mean(axis=0) for x in (before, after))
    size = np.sqrt(np.sum(a**2, axis=0) * np.sum(b**2, axis=0))
    return float(np.max(np.abs(np.sum(a * b, axis=0)) / np.where(size > 0, size, 1.0)))
