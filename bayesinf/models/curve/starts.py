"""Where descents begin: at the starts given, and at independent ones that know nothing of an end.

A parameter that has a proper prior, or bounds on both sides, begins at a draw from it. Any other
begins at the start given, times a random factor or moved by a random share of the distance over
which it alone would take up the residuals there; both are the same whatever the units.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.inference.derivatives import central, steps
from bayesinf.priors import Uniform
from bayesinf.settings import DEFAULT

if TYPE_CHECKING:
    from bayesinf.models.curve.definition import NonlinearRegression

__all__ = ["SAME", "agree", "batches"]

LEAST, PER_PARAMETER = 8, 2  # independent starts in a batch: the larger of the two
BATCHES = 4  # at most, while the best end was found but once
SAME = 0.01  # log density that may part two descents that found the same end
DECADES = 1.0  # sd of the random factor
TRIES = 20  # to find a start at which the curve is finite


def batches(
    problem: NonlinearRegression, lower: np.ndarray, upper: np.ndarray
) -> Iterator[np.ndarray]:
    """Give the starts of one batch of descents after another, (start, parameter) each."""
    given = _given(problem, lower, upper)
    rng = DEFAULT.generator("starts")  # where priors rest on the optimum, no seed may move them
    size = max(LEAST, PER_PARAMETER * len(problem.free))
    if problem.search == "global":
        # Two populations that know nothing of each other: members of one are no two witnesses.
        found = [_evolved(problem, given, lower, upper, rng) for _ in range(2)]
        given = np.vstack([given, *found])
    yield np.vstack([given, _independent(problem, given, lower, upper, rng, size)])
    for _ in range(BATCHES - 1):
        yield _independent(problem, given, lower, upper, rng, size)


def agree(problem: NonlinearRegression, deviance: np.ndarray) -> int:
    """Count the descents that ended at the best end, by the log density that parts them."""
    best = np.min(deviance)
    if not np.isfinite(best):
        return 0
    return int(np.sum(problem.log_ratio(deviance, best) <= SAME))


def _given(problem, lower, upper):
    values = {name: problem.curve.params[name].value for name in problem.free}
    points = [[(values | dict(start))[name] for name in problem.free] for start in problem.starts]
    return np.clip(np.array(points, dtype=float), lower, upper)


def _independent(problem, given, lower, upper, rng, size):
    points = _drawn(problem, given, lower, upper, rng, size)
    for _ in range(TRIES):
        lost = ~np.isfinite(problem.score(problem.curve(points))[0])
        if not lost.any():
            break
        points[lost] = _drawn(problem, given, lower, upper, rng, size)[lost]
    return points


def _drawn(problem, given, lower, upper, rng, size):
    around = given[rng.integers(len(given), size=size)]
    _, residual, weight = problem.score(problem.curve(around))
    with np.errstate(all="ignore"):
        slopes = weight[..., None] * central(problem.curve, around, steps(problem.curve, around))
        reach = np.linalg.norm(residual, axis=-1)[:, None] / np.linalg.norm(slopes, axis=-2)
    reach = np.where(np.isfinite(reach), reach, 0.0) * rng.standard_normal(around.shape)
    factor = 10 ** (DECADES * rng.standard_normal(around.shape))
    by_factor = rng.random(around.shape) < 0.5
    points = np.where(by_factor, around * factor, around + reach)
    for i, name in enumerate(problem.free):
        prior = problem.given.get(name)
        if prior is None and np.isfinite(lower[i]) and np.isfinite(upper[i]):
            prior = Uniform(lower[i], upper[i])
        if prior is not None:
            points[:, i] = prior.sample(rng, size)
    inside = (points > lower) & (points < upper)
    return np.where(inside, points, around)


def _evolved(problem, given, lower, upper, rng):
    """Where differential evolution ends, in the box that independent starts span."""
    from scipy.optimize import differential_evolution

    drawn = _independent(problem, given, lower, upper, rng, 200)

    def deviance(points):
        found = problem.score(problem.curve(points.T))[0]
        return np.where(np.isfinite(found), found, 1e300)

    found = differential_evolution(
        deviance,
        list(zip(drawn.min(axis=0), drawn.max(axis=0), strict=True)),
        rng=rng,
        vectorized=True,
        updating="deferred",
        polish=False,
        maxiter=200,
    )
    return found.x
