"""The quadratic approximation: a normal around the optimum, with what is needed to doubt it.

The route asks for an optimum and a covariance, draws from the normal that they define, and weighs
each draw by the true log density. Where the density is a normal, the weights are equal; where it is
not, they show it (Pareto k̂), and so do the derivatives of the log density at the optimum. The
normal may be one in other coordinates, such as those of a curve's tangent plane.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayesinf.errors import FitError

__all__ = ["Approximation", "Quadratic", "derivatives", "sample"]

SAME_POINT = 1e-3  # sd, by which a point brought back may be off


@dataclass(frozen=True)
class Quadratic:
    """The approximation itself, which can be drawn from and has a density.

        u ~ N(0, scale²),   θ = optimum + root u, or the point that has the coordinates u in a plane

    Parameters
    ----------
    optimum : (parameter,).
    root : (parameter, parameter), root rootᵀ is the covariance without the scale.
    scale : distribution of the scale, an object with ``sample``, ``log_density`` and ``scale``, its
        typical value (``priors.InverseChi``), which is then the last parameter; None for a scale
        of 1.
    plane : a ``tangent.Tangent``, in whose coordinates the draws are normal, or None.
    """

    optimum: np.ndarray
    root: np.ndarray
    scale: object = None
    plane: object = None

    def draw(self, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw points, (point, parameter), and give their log density; inf where there is none.

        So that what has no point weighs nothing.
        """
        u = rng.standard_normal((size, len(self.optimum)))
        s = np.ones(size) if self.scale is None else self.scale.sample(rng, size)
        return self._placed(s[:, None] * u, s)

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Log density at points, (point, parameter), up to a constant; -inf where it has none."""
        size = len(self.optimum)
        theta = points[:, :size]
        s = np.ones(len(points)) if self.scale is None else points[:, size]
        if self.plane is None:
            return self._log_density(np.linalg.solve(self.root, (theta - self.optimum).T).T, s)
        # Where a curve comes back to the same coordinates, only one of the points is ever drawn.
        u = self.plane.coordinates(theta)
        usable = np.isfinite(u).all(axis=1) & (s > 0)
        found = np.full(len(points), -np.inf)
        back, log_q = self._placed(u[usable], s[usable])
        apart = np.abs(back[:, :size] - theta[usable]) / self.plane.spread
        same = np.max(apart, axis=1, initial=0.0) < SAME_POINT * s[usable]
        found[usable] = np.where(same & (log_q < np.inf), log_q, -np.inf)
        return found

    def along(self, log_density: Callable[[np.ndarray], np.ndarray]) -> Callable:
        """A log density by standard deviations from the optimum, the scale at its typical value."""
        typical, last = (1.0, ()) if self.scale is None else (self.scale.scale, (self.scale.scale,))

        def around(z):
            theta = self.optimum + typical * (z @ self.root.T)
            return log_density(np.column_stack([theta, np.tile(last, (len(z), 1))]))

        return around

    def _log_density(self, u, s):
        size = len(self.optimum)
        log_q = -0.5 * np.sum((u / s[:, None]) ** 2, axis=1) - size * np.log(s)
        return log_q if self.scale is None else log_q + self.scale.log_density(s)

    def _placed(self, u, s):
        log_q = self._log_density(u, s)
        if self.plane is None:
            theta = self.optimum + u @ self.root.T
        else:
            theta, found = self.plane.points(u, s)
            log_q = np.where(found, log_q + self.plane.log_volume(theta), np.inf)
        return (theta if self.scale is None else np.column_stack([theta, s])), log_q


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
    approximation: Quadratic,
    rng: np.random.Generator,
    shape: tuple[int, int],
) -> Approximation:
    """Draw from the quadratic approximation of a density, and weigh the draws.

    With a scale the approximation is exact for linear models whose noise is inferred, and leaves
    nothing but non-linearity to the weights. Draws where the density is zero are drawn again.

    Parameters
    ----------
    log_density : (point, parameter) -> (point,); -inf outside the support.
    approximation : what is drawn from.
    rng : generator of the draws.
    shape : chains and draws.

    Raises
    ------
    FitError : hardly any of the approximation lies in the support of the density.
    """
    draws, log_q = approximation.draw(rng, shape[0] * shape[1])
    log_weight = log_density(draws) - log_q
    for _ in range(1000):
        outside = np.flatnonzero(~np.isfinite(log_weight))
        if not len(outside):
            break
        draws[outside], log_q = approximation.draw(rng, len(outside))
        log_weight[outside] = log_density(draws[outside]) - log_q
    else:
        raise FitError(
            "the normal around the optimum lies outside the prior's support: widen the priors, or "
            "drop parameters that the data do not determine",
            optimum=approximation.optimum,
            covariance=approximation.root @ approximation.root.T,
        )
    size = len(approximation.optimum)
    gradient, hessian = derivatives(approximation.along(log_density), size)
    finite = np.isfinite(hessian).all()
    eigenvalue = np.linalg.eigvalsh(-hessian) if finite else np.full(size, np.nan)
    draws, log_weight = draws.reshape(*shape, -1), log_weight.reshape(shape)
    return Approximation(draws, log_weight, gradient, eigenvalue)


def derivatives(
    log_density: Callable[[np.ndarray], np.ndarray], size: int, step: float = 0.02
) -> tuple[np.ndarray, np.ndarray]:
    """Take gradient and Hessian at zero by central differences, all points in one call.

    Parameters
    ----------
    log_density : (point, parameter) -> (point,).
    size : number of parameters, in whose units one is about a standard deviation.
    step : of the differences.
    """
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
