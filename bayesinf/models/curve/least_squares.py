"""Least squares: the best end of many independent descents, polished, and how steep it is there.

Each descent is one of damped scoring steps (``inference.scoring``). The best end is polished by
undamped steps with derivatives to about ten digits, so that it does not depend on the way there.
What is to become small is the deviance of ``NonlinearRegression.score``, with normal noise the
weighted sum of squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import kept
from bayesinf.errors import FitError
from bayesinf.inference.derivatives import extrapolated, steps
from bayesinf.inference.scoring import descend
from bayesinf.models.curve import starts

if TYPE_CHECKING:
    from bayesinf.models.curve.definition import NonlinearRegression

__all__ = ["LeastSquares", "bounds", "least_squares"]

POLISHING = 30  # undamped steps at most
POLISHED = 1e-10  # length of a step, in standard errors, at which they end
DEGENERATE = 1e-10  # ratio of singular values of JD⁻¹ below which the data leave something open
ROUGH = 1e-9  # share of the deviance that a step must promise, in the search for the best end
MOST = 400  # steps of a descent in that search


@dataclass(frozen=True)
class LeastSquares:
    """The classical answer.

    Parameters
    ----------
    theta : (parameter,).
    ends : (start,), residual sum of squares where each start ended; in units of error² where that
        is known, as is ``rss``, that of theta.
    dof : degrees of freedom, n − k.
    scale : sd of the noise, √(rss / dof), where that is inferred, else 1.
    covariance : (JᵀWJ)⁻¹, (parameter, parameter); times scale² it is that of θ.
    points : (start, parameter), where each start ended.
    """

    theta: np.ndarray
    ends: np.ndarray
    rss: float
    dof: int
    scale: float
    covariance: np.ndarray
    points: np.ndarray

    @property
    def standard_error(self) -> np.ndarray:
        """Standard errors, (parameter,)."""
        return np.sqrt(np.diag(self.covariance)) * self.scale

    @property
    def correlation(self) -> np.ndarray:
        """Correlation of the errors, (parameter, parameter)."""
        sd = np.sqrt(np.diag(self.covariance))
        return self.covariance / np.outer(sd, sd)


def least_squares(problem: NonlinearRegression) -> LeastSquares:
    """Descend from the starts given and from independent ones, and polish the best end.

    Raises
    ------
    FitError : no start has a finite deviance; the data leave parameters open at the best end.
    """
    lower, upper = bounds(problem)
    ends, sums = np.empty((0, len(problem.free))), np.empty(0)
    for points in starts.batches(problem, lower, upper):
        how = {"tolerance": ROUGH, "most": MOST}
        found, deviance = kept.once(
            partial(descend, problem.curve, problem.score, points, lower, upper, **how)
        )
        ends, sums = np.vstack([ends, found]), np.append(sums, deviance)
        if starts.agree(problem, sums) > 1:
            break
    if not np.isfinite(sums).any():
        raise FitError(
            f"none of {len(sums)} starts leads to a finite curve: start elsewhere, or state bounds",
            starts=dict(zip(problem.free, ends[0], strict=True)),
        )
    # Of ends that are the same but for the names of like components, the start given has its own.
    best = ends[np.argmax(problem.log_ratio(sums, sums.min()) <= starts.SAME)]
    theta = descend(problem.curve, problem.score, best[np.newaxis], lower, upper)[0][0]
    theta = _polished(problem, theta, lower, upper)
    theta = problem.sorted(theta)
    _, covariance = _curvature(problem, theta)
    rss, dof = _deviance(problem, theta), len(problem.y) - len(problem.free)
    scale = float(np.sqrt(rss / dof)) if problem.inferred else 1.0
    return LeastSquares(theta, np.maximum(sums, rss), rss, dof, scale, covariance, ends)


def bounds(problem: NonlinearRegression) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of the free parameters, lmfit's and their priors', (parameter,) each."""
    limits = [
        (
            max(problem.curve.params[name].min, getattr(prior, "lower", -np.inf)),
            min(problem.curve.params[name].max, getattr(prior, "upper", np.inf)),
        )
        for name, prior in ((name, problem.given.get(name)) for name in problem.free)
    ]
    return tuple(np.array(limits, dtype=float).T)


def _deviance(problem, theta):
    return float(problem.score(problem.curve(theta))[0])


def _curvature(problem, theta):
    """The step of scoring and (JᵀWJ)⁻¹, or a FitError that names what the data leave open."""
    _, residual, weight = problem.score(problem.curve(theta))
    largest = 16 * steps(problem.curve, theta)
    jacobian = weight[:, None] * extrapolated(problem.curve, theta, largest)
    lengths = np.linalg.norm(jacobian, axis=0)
    seen = np.isfinite(lengths) & (lengths > 0)
    if not seen.all():
        blind = [name for name, known in zip(problem.free, seen, strict=True) if not known]
        raise FitError(
            f"the curve does not depend on {problem.called(blind)} at the optimum: fix it, or "
            "start elsewhere",
            optimum=theta,
        )
    left, values, rows = np.linalg.svd(jacobian / lengths, full_matrices=False)
    if values[-1] < DEGENERATE * values[0]:
        worst = [name for name, v in zip(problem.free, rows[-1], strict=True) if abs(v) > 0.3]
        raise FitError(
            f"the data do not tell {problem.called(worst, ' from ')}: fix or drop one of them",
            optimum=theta,
            singular_values=values,
        )
    root = (rows.T / values) / lengths[:, None]
    return root @ (left.T @ residual), root @ root.T


def _polished(problem, theta, lower, upper):
    """Take undamped steps while they shrink."""
    before = np.inf
    for _ in range(POLISHING):
        step, covariance = _curvature(problem, theta)
        sd = np.sqrt(np.diag(covariance) * max(_deviance(problem, theta), 1e-300))
        length = np.max(np.abs(step) / sd)
        there = theta + step
        if not length < before or np.any((there < lower) | (there > upper)):
            break
        theta, before = there, length
        if length < POLISHED:
            break
    return theta
