"""The quadratic approximation: a normal around the optimum, with what is needed to doubt it.

The route asks for an optimum and a covariance, draws from the normal that they define, and weighs
each draw by the true log density. Where the density is a normal, the weights are equal; where it is
not, they show it (Pareto k̂), and so do the derivatives of the log density at the optimum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayesinf.errors import FitError


@dataclass(frozen=True)
class Approximation:
    """What the approximation leaves behind.

    Parameters
    ----------
    draws : (chain, draw, parameter), independent.
    log_weight : (chain, draw), log density − log of the approximation, up to a constant.
    gradient : (parameter,), Lᵀ∇ at the optimum with L Lᵀ the covariance: the distance to the true
        optimum, in posterior sd.
    hessian_eigenvalue : (parameter,), of −Lᵀ(∇∇)L: all 1 where the covariance is the curvature's.
    """

    draws: np.ndarray
    log_weight: np.ndarray
    gradient: np.ndarray
    hessian_eigenvalue: np.ndarray


def sample(
    log_density: Callable[[np.ndarray], np.ndarray],
    optimum: np.ndarray,
    covariance: np.ndarray,
    rng: np.random.Generator,
    shape: tuple[int, int],
    scale=None,
) -> Approximation:
    """Draw from the quadratic approximation of a density.

        θ ~ N(optimum, scale² covariance),   scale = 1, or drawn first and kept as last parameter

    With a scale the approximation is exact for linear models whose noise is inferred, and leaves
    nothing but non-linearity to the weights. Draws where the density is zero are drawn again.

    Parameters
    ----------
    log_density : (point, parameter) -> (point,); -inf outside the support.
    optimum, covariance : (parameter,) and (parameter, parameter), without the scale.
    rng : generator of the draws.
    shape : chains and draws.
    scale : distribution of the scale, an object with ``sample``, ``log_density`` and ``scale``, its
        typical value (``priors.InverseChi``); None for a scale of 1.

    Raises
    ------
    FitError : hardly any of the approximation lies in the support of the density.
    """
    root = np.linalg.cholesky(covariance)

    def propose(size):
        z = rng.standard_normal((size, len(optimum)))
        log_q = -0.5 * np.sum(z**2, axis=1)
        if scale is None:
            return optimum + z @ root.T, log_q
        s = scale.sample(rng, size)
        theta = optimum + s[:, None] * (z @ root.T)
        log_q += scale.log_density(s) - len(optimum) * np.log(s)
        return np.column_stack([theta, s]), log_q

    draws, log_q = propose(shape[0] * shape[1])
    log_p = log_density(draws)
    for _ in range(1000):
        outside = np.flatnonzero(~np.isfinite(log_p))
        if not len(outside):
            break
        draws[outside], log_q[outside] = propose(len(outside))
        log_p[outside] = log_density(draws[outside])
    else:
        raise FitError(
            "the normal around the optimum lies outside the prior's support: widen the priors, or "
            "drop parameters that the data do not determine",
            optimum=optimum,
            covariance=covariance,
        )
    typical, last = (1.0, ()) if scale is None else (scale.scale, (scale.scale,))

    def around(z):
        theta = optimum + typical * (z @ root.T)
        return log_density(np.column_stack([theta, np.tile(last, (len(z), 1))]))

    gradient, hessian = _derivatives(around, len(optimum))
    finite = np.isfinite(hessian).all()
    eigenvalue = np.linalg.eigvalsh(-hessian) if finite else np.full(len(optimum), np.nan)
    return Approximation(
        draws.reshape(*shape, -1), (log_p - log_q).reshape(shape), gradient, eigenvalue
    )


def _derivatives(log_density, size: int, step: float = 0.02):
    """Gradient and Hessian at zero by central differences, all points in one call."""
    unit = step * np.eye(size)
    rows, columns = np.triu_indices(size, 1)
    plus, minus = unit[rows] + unit[columns], unit[rows] - unit[columns]
    values = log_density(np.vstack([np.zeros((1, size)), unit, -unit, plus, -plus, minus, -minus]))
    splits = 1 + np.cumsum([0, size, size, *[len(rows)] * 3])
    with np.errstate(invalid="ignore"):  # -inf beside the support's edge: not a number, rightly
        centre, up, down, pp, mm, pm, mp = np.split(values, splits)
        hessian = np.diag((up - 2 * centre + down) / step**2)
        mixed = (pp + mm - pm - mp) / (4 * step**2)
        hessian[rows, columns] = hessian[columns, rows] = mixed
        return (up - down) / (2 * step), hessian
