"""Least squares: where lmfit ends from several starts, and how steep the valley is there."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.settings import DEFAULT

if TYPE_CHECKING:
    from bayesinf.models.curve.definition import NonlinearRegression

RESTARTS = 4  # besides the starts given, from 5 standard errors around the best of them


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
    """

    theta: np.ndarray
    ends: np.ndarray
    rss: float
    dof: int
    scale: float
    covariance: np.ndarray

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
    """Descend from each start, then from ``RESTARTS`` places around the best end."""
    params, free = problem.curve.params, problem.free
    values = {name: params[name].value for name in free}
    ends = [
        _descend(problem, [(values | dict(start))[name] for name in free])
        for start in problem.starts
    ]
    best, rss = min(ends, key=lambda end: end[1])
    dof = len(problem.y) - len(free)

    def scale(rss):
        return float(np.sqrt(rss / dof)) if problem.inferred else 1.0

    spread = np.linalg.cholesky(_covariance(problem, best, dof)) * scale(rss)
    lower, upper = np.transpose([(params[name].min, params[name].max) for name in free])
    rng = DEFAULT.generator("starts")  # where priors rest on the optimum, no seed may move them
    for _ in range(RESTARTS):
        start = best + 5 * spread @ rng.standard_normal(len(best))
        ends.append(_descend(problem, np.where((start > lower) & (start < upper), start, best)))
    best = problem.sorted(min(ends, key=lambda end: end[1])[0])
    rss = _sum_of_squares(problem, best)
    sums = np.array([end[1] for end in ends])
    return LeastSquares(best, sums, rss, dof, scale(rss), _covariance(problem, best, dof))


def _weighted(problem, values):
    return values if problem.error is None else values / problem.error


def _residual(problem, theta):
    with np.errstate(all="ignore"):
        return np.nan_to_num(_weighted(problem, problem.y - problem.curve(theta)), nan=1e100)


def _sum_of_squares(problem, theta):
    return float(np.sum(_residual(problem, theta) ** 2))


def _descend(problem, start):
    """One run of lmfit: where it ends, and the sum of squares there."""
    import lmfit

    free, params = problem.free, copy.deepcopy(problem.curve.params)
    limit = 1000 * (1 + len(free))

    def at(params):
        return np.array([params[name].value for name in free])

    def run():
        tried = []

        def residual(p):
            tried.append(at(p))
            return _residual(problem, tried[-1])

        options = {"xtol": 1e-14, "ftol": 1e-14, "max_nfev": limit, "calc_covar": False}
        result = lmfit.minimize(residual, params, method="leastsq", **options)
        # Of a run cut short lmfit returns MINPACK's working array, whose memory is free by then.
        return tried[limit - 1] if result.aborted else at(result.params)

    for name, value in zip(free, start, strict=True):
        params[name].value = value
    end = run()
    found = dict(zip(free, end, strict=True))
    priors = {name: problem.given[name] for name in free if name in problem.given}
    if not all(prior.log_density(found[name]) > -np.inf for name, prior in priors.items()):
        # Only an end beyond the prior is worth bending lmfit's path by the prior's bounds.
        for name, prior in priors.items():
            if hasattr(prior, "lower"):
                p, margin = params[name], 1e-3 * (prior.upper - prior.lower)
                lower, upper = max(p.min, prior.lower), min(p.max, prior.upper)
                value = np.clip(p.value, lower + margin, upper - margin)
                p.set(value=value, min=lower, max=upper)
        end = run()
    return end, _sum_of_squares(problem, end)


def _covariance(problem, theta, dof):
    """(JᵀWJ)⁻¹, or a FitError that names what the data leave open."""
    small = 6e-6 * np.maximum(np.abs(theta), 1e-6)
    lengths = np.linalg.norm(_jacobian(problem, theta, small), axis=0)
    # Once more with steps of 1/1000 of what the noise would hide: these suit each parameter.
    with np.errstate(divide="ignore"):
        step = 1e-3 * np.sqrt(_sum_of_squares(problem, theta) / dof) / lengths
    usable = np.isfinite(step) & (step > 1e-9 * np.abs(theta)) & (step > 0)
    jacobian = _jacobian(problem, theta, np.where(usable, step, small))
    lengths = np.linalg.norm(jacobian, axis=0)
    seen = np.isfinite(lengths) & (lengths > 0)
    if not seen.all():
        blind = [name for name, known in zip(problem.free, seen, strict=True) if not known]
        raise FitError(f"the curve does not depend on {', '.join(blind)} at the optimum: "
                       "fix it, or start elsewhere", optimum=theta)  # fmt: skip
    _, values, rows = np.linalg.svd(jacobian / lengths, full_matrices=False)
    if values[-1] < 1e-10 * values[0]:
        worst = [name for name, v in zip(problem.free, rows[-1], strict=True) if abs(v) > 0.3]
        raise FitError(f"the data do not tell {' from '.join(worst)}: fix or drop one of them",
                       optimum=theta, singular_values=values)  # fmt: skip
    root = (rows.T / values) / lengths[:, None]
    return root @ root.T


def _jacobian(problem, theta, step):
    """Derivatives of the weighted curve by central differences, (point, parameter)."""
    points = theta + np.vstack([np.diag(step), -np.diag(step)])
    with np.errstate(all="ignore"):
        up, down = np.split(problem.curve(points), 2)
    return _weighted(problem, (up - down) / (2 * step[:, None])).T
