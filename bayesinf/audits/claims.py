"""What is audited: a point, a covariance, and the density for which their normal is to stand.

A ``Claim`` is all that the questions need, whatever it was made of. The density is that of the
parameters as the user has them, not of coordinates in which a sampler likes to walk, for it is in
these that a covariance is quoted. Noise that is not known is integrated out of it. ``curves``
states claims about least squares, ``densities`` such about a model of PyMC or a log density.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy

from bayesinf.errors import DataError

if TYPE_CHECKING:
    from bayesinf.models.problem import Draws, Problem, Route

__all__ = ["Claim", "climbed", "covariance_root", "matrix", "point_of"]

STEP = 0.01  # of differences, in standard deviations
CLIMBS = 200  # steps of a climb at most
NOWHERE = 1e100  # −log density where there is none, for the search


@dataclass(frozen=True)
class Claim:
    """A normal that somebody wants to use, and the density that it is to stand for.

    Parameters
    ----------
    names : of the parameters.
    point, covariance : of the normal, (parameter,) and (parameter, parameter).
    log_density : (point, parameter) -> (point,), up to a constant; -inf where there is none.
    lower, upper : where each parameter may be, (parameter,).
    problem : what the better draws are drawn from.
    routes : ways to these draws, the quickest first; the first that is believed is taken.
    theta : draws of the problem by name -> (..., parameter).
    mode, spread : the best optimum that was found, and the inverse curvature there.
    ends : other places where a search ended, (end, parameter), and first where one ends that
        begins at the point.
    alike : (a, b) -> whether two places say the same of the data, as where two peaks have changed
        names.
    curvature : of the density over the inverse of a covariance that is right: 1, or n / (n − k)
        where the noise is integrated out.
    chi_square : of the data at the mode, over the degrees of freedom ``dof``; NaN where nobody
        knows the error bars.
    inferred : whether the noise is.
    units : of each parameter.
    """

    names: Sequence[str]
    point: np.ndarray
    covariance: np.ndarray
    log_density: Callable[[np.ndarray], np.ndarray]
    lower: np.ndarray
    upper: np.ndarray
    problem: Problem
    routes: Sequence[str | Route]
    theta: Callable[[Draws], np.ndarray]
    mode: np.ndarray
    spread: np.ndarray
    ends: np.ndarray
    alike: Callable[[np.ndarray, np.ndarray], bool]
    curvature: float = 1.0
    chi_square: float = np.nan
    dof: int = 0
    inferred: bool = False
    units: Sequence[str] = ()

    @property
    def sd(self) -> np.ndarray:
        """Standard deviations of the density at its mode, (parameter,)."""
        return np.sqrt(np.diag(self.spread))


def point_of(popt, names: Sequence[str] | None = None, where: str = "popt") -> np.ndarray:
    """Return a point as an array, (parameter,), or say what is wrong with it."""
    try:
        point = np.atleast_1d(np.asarray(popt, dtype=float))
    except (TypeError, ValueError):
        point = np.empty((0, 0))
    size = None if names is None else len(names)
    if point.ndim != 1 or not point.size or size not in (None, point.size):
        said = f"one number for each of {', '.join(names)}" if names else "the fitted parameters"
        raise DataError("no point to audit", where=where, expected=said, found=np.shape(popt))
    if not np.isfinite(point).all():
        raise DataError("not all numbers are finite", where=where, found=point)
    return point


def matrix(pcov, size: int, where: str = "pcov") -> np.ndarray:
    """Return a covariance as an array; what is not finite may stand in it, as SciPy puts it."""
    try:
        found = np.atleast_2d(np.asarray(pcov, dtype=float))
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.shape != (size, size):
        raise DataError(
            "no covariance of these parameters",
            where=where,
            expected=f"shape ({size}, {size})",
            found=f"shape {np.shape(pcov)}",
        )
    finite = np.isfinite(found).all()
    if finite and not np.allclose(found, found.T, rtol=1e-6, atol=1e-9 * np.abs(found).max()):
        raise DataError("the covariance is not symmetric", where=where, expected="pcov = pcovᵀ")
    return found


def covariance_root(covariance: np.ndarray) -> np.ndarray | None:
    """Return L with L Lᵀ the covariance; None where it is not finite or not positive definite."""
    sd = np.sqrt(np.abs(np.diag(covariance)))
    if not np.isfinite(covariance).all() or not (np.diag(covariance) > 0).all():
        return None
    try:
        return sd[:, None] * scipy.linalg.cholesky(covariance / np.outer(sd, sd), lower=True)
    except scipy.linalg.LinAlgError:
        return None


def climbed(
    log_density: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    root: np.ndarray,
    held: int | None = None,
) -> tuple[np.ndarray, float]:
    """Climb from a point by a quasi-Newton search with central differences.

    Parameters
    ----------
    log_density : (point, parameter) -> (point,).
    start : (parameter,).
    root : (parameter, parameter), in whose units the search walks.
    held : position of a parameter that stays.

    Returns
    -------
    where the climb ends, and the log density there.
    """
    from scipy.optimize import minimize

    if held is not None:  # an orthogonal basis of all moves that leave the parameter where it is
        root = root @ scipy.linalg.null_space(root[held][None])
    size = root.shape[1]
    if not size:
        return start, float(log_density(start[None])[0])
    around = STEP * np.vstack([np.zeros((1, size)), np.eye(size), -np.eye(size)])

    def downhill(z):
        with np.errstate(all="ignore"):
            values = log_density(start + (z + around) @ root.T)
        if not np.isfinite(values[0]):
            return NOWHERE, np.zeros(size)
        up, down = np.split(values[1:], 2)
        slope = np.where(np.isfinite(up - down), (up - down) / (2 * STEP), 0.0)
        # At an edge of the support there is a slope on one side alone.
        slope = np.where(np.isfinite(up) & ~np.isfinite(down), (up - values[0]) / STEP, slope)
        slope = np.where(np.isfinite(down) & ~np.isfinite(up), (values[0] - down) / STEP, slope)
        return -values[0], -slope

    options = {"maxiter": CLIMBS, "gtol": 1e-6}
    end = minimize(downhill, np.zeros(size), jac=True, method="BFGS", options=options)
    return start + root @ end.x, -float(end.fun)
