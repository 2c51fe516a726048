"""Newton's method on a concave function that falls apart into blocks, each with steps of its own.

    θ ← θ + t H⁻¹ ∇,   t halved until the log density of the block rises

Gradient and curvature are exact, so a handful of steps end at the optimum to rounding. A block that
does not get there is reported and not raised: only the caller knows what that says of the data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Optimum", "newton"]

HALVINGS = 40  # of a step, until the log density rises
LEAST_RISE = 1e-4  # share of the rise that the slope promises, below which a step is halved
ROUNDING = 1e-13  # error of the sums that a log density is made of, relative to their size


@dataclass(frozen=True)
class Optimum:
    """Where the steps ended.

    Parameters
    ----------
    theta : (block, dim).
    log_density : (block,).
    gradient : (block, dim).
    curvature : minus the Hessian, in the form that ``look`` returns.
    steps : of the block that took most.
    step : the last of each block, (block, dim).
    unfinished : positions of the blocks that came to no end.
    singular : whether that is because the curvature was not positive definite.
    """

    theta: np.ndarray
    log_density: np.ndarray
    gradient: np.ndarray
    curvature: object
    steps: int
    step: np.ndarray
    unfinished: np.ndarray
    singular: bool = False


def newton(
    look: Callable, solve: Callable, done: Callable, theta: np.ndarray, *, size: float, most: int
) -> Optimum:
    """Climb to the optimum of each block.

    Parameters
    ----------
    look : (θ, blocks) -> log density (block,), gradient (block, dim) and curvature of these blocks
        (positions). Of several blocks the curvature is an array that leads with them.
    solve : (θ, gradient, curvature, blocks) -> Newton's steps of these blocks, (block, dim), from θ
        and its like of all blocks; LinAlgError where there is none.
    done : (gradient, step) -> whether each block is at its optimum, (block,).
    theta : where to begin, (block, dim).
    size : of the sums that make up the log density (the number of data), for their rounding error.
    most : steps at most.
    """
    theta, still = theta.copy(), np.arange(len(theta))
    value, gradient, curvature = look(theta, still)
    last = np.zeros_like(theta)

    def ended(steps, unfinished, singular=False):
        return Optimum(theta, value, gradient, curvature, steps, last, unfinished, singular)

    for steps in range(most + 1):
        try:
            step = solve(theta, gradient, curvature, still)
        except np.linalg.LinAlgError:
            return ended(steps, still, singular=True)
        last[still] = step
        there = done(gradient[still], step)
        still, step = still[~there], step[~there]
        if not still.size or steps == most:
            return ended(steps, still)
        rise = np.sum(gradient[still] * step, axis=1)
        least = value[still] - ROUNDING * (np.abs(value[still]) + size)
        length, left = np.ones(still.size), np.arange(still.size)
        for _ in range(HALVINGS):
            at = still[left]
            point = theta[at] + length[left, None] * step[left]
            new_value, new_gradient, new_curvature = look(point, at)
            good = new_value >= least[left] + LEAST_RISE * length[left] * rise[left]
            theta[at[good]] = point[good]
            value[at[good]], gradient[at[good]] = new_value[good], new_gradient[good]
            if len(theta) > 1:
                curvature[at[good]] = new_curvature[good]
            elif good[0]:
                curvature = new_curvature
            left = left[~good]
            length[left] /= 2
            if not left.size:
                break
        else:
            return ended(steps + 1, still[left])
