"""Claims about a model of the user's: a PyMC model, or a log density, at its maximum.

The density is looked at in the parameters themselves, without the Jacobian of the coordinates in
which a sampler walks: it is there that a maximum a posteriori (``pymc.find_MAP``) is one, and that
a covariance is quoted.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy

from bayesinf.audits.claims import Claim, climbed, matrix, point_of
from bayesinf.errors import DataError, FitError
from bayesinf.inference.laplace import derivatives
from bayesinf.models import density
from bayesinf.models.density import routes
from bayesinf.models.problem import Route
from bayesinf.settings import Settings

__all__ = ["of_density"]

FEW = 10  # parameters, up to which population Monte Carlo draws
POLISHING = 30  # Newton steps at most


def of_density(
    model,
    popt=None,
    pcov=None,
    *,
    units: Mapping[str, str] | None = None,
    settings: Settings,
) -> Claim:
    """State that a model's posterior is the normal around its maximum.

    Parameters
    ----------
    model : a ``pymc.Model``, a ``bambi.Model`` or a ``LogDensity``.
    popt : parameter to value, as ``pymc.find_MAP`` returns it, or (parameter,); None for the
        maximum that is found here.
    pcov : (parameter, parameter), elements in C order; None for the inverse curvature at ``popt``.
    units : variable to unit.
    settings : seed of the starts.

    Raises
    ------
    DataError : a point or covariance of other parameters.
    FitError : the model cannot be stated, has no maximum, or parameters that are no plain numbers.
    """
    stated = density.problem(model, units=units)
    names, log_density, theta, unit = _parts(stated)
    best = routes.mode(stated, settings.generator("starts"))
    ends = theta(stated.at(np.vstack([best.point, *best.rivals])))
    root = _root(theta, stated, best)
    mode, spread = _topped(log_density, ends[0], root)
    start = mode if popt is None else point_of(_flat(popt, stated, theta), names)
    with np.errstate(all="ignore"):
        if not np.isfinite(log_density(start[None])[0]):
            raise DataError("the density is zero at popt", where="popt", found=start)
    covariance = spread if pcov is None else matrix(pcov, len(names))
    if pcov is None and popt is not None:
        covariance = _curvature(log_density, start, scipy.linalg.cholesky(spread, lower=True))
    end, _ = climbed(log_density, start, scipy.linalg.cholesky(spread, lower=True))
    span = [_support(stated, name) for name in names]
    low, high = (np.array([ends[side] for ends in span]) for side in (0, 1))
    few = len(names) <= FEW
    chains = Route(routes.chains, "mle+mcmc")
    others = [name for name in ("nuts", "ensemble") if name in stated.routes]
    return Claim(
        names=names,
        point=start,
        covariance=covariance,
        log_density=log_density,
        lower=low,
        upper=high,
        problem=stated,
        routes=[chains] if few else others[:1],
        theta=theta,
        mode=mode,
        spread=spread,
        ends=np.vstack([end, ends[1:]]),
        alike=lambda a, b: False,
        units=unit,
    )


def _parts(stated):
    """Names of the parameters' elements, their density, draws as points, units."""
    if isinstance(stated, density.Program):
        names = list(stated.coordinates)
        stated.require_own_coordinates()
        inner = stated.parameter_names

        def log_density(points):
            return stated.log_density_at(points)
    else:
        names = inner = list(stated.variables)

        def log_density(points):
            draws = {name: points[..., k] for k, name in enumerate(names)}
            with np.errstate(all="ignore"):
                total = sum(stated.log_factors(draws).values())
                for each in stated.log_likelihood(draws).values():
                    total = total + each.reshape(*points.shape[:-1], -1).sum(axis=-1)
            return np.where(np.isnan(total), -np.inf, total)

    def theta(draws):
        lead = next(iter(draws[name].shape for name in inner))
        axes = len(lead) - _own(stated, inner[0])
        parts = [np.reshape(draws[name], (*lead[:axes], -1)) for name in inner]
        return np.concatenate(parts, axis=-1)

    known = stated.parameters.units
    return names, log_density, theta, [known.get(name.split("[")[0], "1") for name in names]


def _own(stated, name):
    """Number of axes that a variable has of its own."""
    return len(stated.parameters.dims.get(name, ()))


def _flat(popt, stated, theta):
    if not isinstance(popt, Mapping):
        return popt
    names = stated.parameter_names if hasattr(stated, "parameter_names") else stated.variables
    missing = [name for name in names if name not in popt]
    if missing:
        raise DataError("a parameter is missing", where="popt", expected=", ".join(missing))
    return theta({name: np.asarray(popt[name], dtype=float) for name in names})


def _root(theta, stated, best):
    """A square root of the covariance of the parameters, by that of the coordinates."""
    shifts = 1e-3 * scipy.linalg.cholesky(best.covariance, lower=True).T
    up, down = (theta(stated.at(best.point + side * shifts)) for side in (1, -1))
    return (up - down).T / 2e-3


def _topped(log_density, start, root):
    """The maximum in the parameters themselves, and the inverse curvature there."""
    point, _ = climbed(log_density, start, root)
    for _ in range(POLISHING):
        covariance = _curvature(log_density, point, root)
        root = scipy.linalg.cholesky(covariance, lower=True)
        gradient, _ = _looked(log_density, point, root)
        step = root @ gradient
        if not np.linalg.norm(gradient) > 1e-5:
            break
        here, there = log_density(np.stack([point, point + step]))
        if not there >= here:
            break
        point = point + step
    return point, covariance


def _looked(log_density, point, root):
    with np.errstate(all="ignore"):
        return derivatives(lambda z: log_density(point + z @ root.T), len(point))


def _curvature(log_density, point, root):
    """Inverse curvature; where that is not positive definite, of its eigenvalues' sizes."""
    _, hessian = _looked(log_density, point, root)
    if not np.isfinite(hessian).all():
        raise FitError(
            "the density has an edge at its maximum, and no curvature there: sample the model, by "
            "bayesinf.fit with method='nuts'",
            optimum=point,
        )
    values, axes = np.linalg.eigh(-hessian)
    values = np.maximum(np.abs(values), 1e-10)
    return root @ (axes / values) @ axes.T @ root.T


def _support(stated, name):
    spans = getattr(stated, "spans", None)
    if spans is None:
        return -np.inf, np.inf
    return spans[name].low, spans[name].high
