"""The posterior of a place, a normal in closed form, and draws of it by each sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import axes
from bayesinf.errors import DataError, FitError
from bayesinf.models import density
from bayesinf.models import problem as driver
from bayesinf.posterior import dataset, noted
from bayesinf.priors import Normal
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.metropolis.data import NAMES, points
from bayesinf.systems.metropolis.samplers import SAMPLERS, route
from bayesinf.systems.metropolis.targets import Target, normal

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["WIDE", "classical", "closed_form", "fit", "problem"]

WIDE = 100.0  # sd of the prior of each coordinate, in sds of one measurement
FAR = 3.0  # such sds from zero, beyond which the prior grows with the distance


def fit(
    data: xr.Dataset,
    *,
    scatter: np.ndarray | None = None,
    method: str | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Draw from the posterior of a place.

    Parameters
    ----------
    data : measurements of it, a row each.
    scatter : covariance of one measurement, (2, 2); None for that of the rows, taken as known.
    method : one of ``SAMPLERS``; None for Metropolis' rule.
    settings : length and seed; a draw is kept every 50 steps of a chain.

    Returns
    -------
    InferenceData; beside it ``noted(fit, "target")``, the closed form.

    Raises
    ------
    DataError : a scatter that is no covariance.
    FitError : an unknown sampler.
    """
    method = next(iter(SAMPLERS)) if method is None else method
    if method not in SAMPLERS:
        raise FitError(f"unknown sampler {method!r}: use one of {', '.join(SAMPLERS)}")
    covariance = _scatter(data, scatter)
    target = closed_form(data, covariance)
    note = dataset(
        {
            "mean": target.mean,
            "sd": target.sd,
            "covariance": np.linalg.inv(target.known[2:].reshape(2, 2)),
            "scatter": covariance,
        },
        {
            "mean": ("parameter",),
            "sd": ("parameter",),
            "covariance": ("parameter", "other"),
            "scatter": ("parameter", "other"),
        },
        {"parameter": list(NAMES), "other": list(NAMES)},
        sampled=False,
    )
    return driver.fit(
        problem(data, covariance),
        route(method, target),
        settings,
        system="metropolis",
        notes={"truth": noted(data, "truth"), "target": note},
    )


def problem(data: xr.Dataset, scatter: np.ndarray) -> density.Density:
    """State the model: x_i ~ N(μ, S), factorised as p(x) p(y | x), and wide priors."""
    measured = points(data)
    slope = scatter[0, 1] / scatter[0, 0]
    sds = np.sqrt([scatter[0, 0], scatter[1, 1] - slope * scatter[0, 1]])
    x, y, _ = axes(data)

    def means(mu_x, mu_y, first):
        mu_x, mu_y = (np.asarray(each)[..., None] for each in (mu_x, mu_y))
        return mu_x, mu_y + slope * (first - mu_x)

    def pointwise(mu_x, mu_y):
        found = {}
        pairs = zip((x.name, y.name), means(mu_x, mu_y, measured[:, 0]), strict=True)
        for k, (name, mean) in enumerate(pairs):
            off = (measured[:, k] - mean) / sds[k]
            found[name] = -0.5 * off**2 - np.log(sds[k] * np.sqrt(2 * np.pi))
        return found

    def replicate(rng, mu_x, mu_y):
        shape = (*np.shape(mu_x), len(measured))
        first = np.asarray(mu_x)[..., None] + sds[0] * rng.standard_normal(shape)
        _, mean = means(mu_x, mu_y, first)
        return {x.name: first, y.name: mean + sds[1] * rng.standard_normal(shape)}

    stated = density.LogDensity(
        {n: Normal(0.0, float(w)) for n, w in zip(NAMES, _wide(data, scatter), strict=True)},
        pointwise=pointwise,
        replicate=replicate,
        observed=_rows(x, y, measured),
        vectorised=True,
    )
    units = {n: each.attrs.get("units", "1") for n, each in zip(NAMES, (x, y), strict=True)}
    units |= {each.name: each.attrs.get("units", "1") for each in (x, y)}
    return density.problem(stated, name="a place", units=units)


def _rows(x, y, measured):
    import xarray as xr

    return xr.Dataset({each.name: ("row", measured[:, k]) for k, each in enumerate((x, y))})


def closed_form(data: xr.Dataset, scatter: np.ndarray) -> Target:
    """Return the posterior N(x̄, S/n), with the wide prior in it, as a target."""
    measured = points(data)
    precision = len(measured) * np.linalg.inv(scatter)
    covariance = np.linalg.inv(precision + np.diag(_wide(data, scatter) ** -2.0))
    return normal(covariance @ (precision @ measured.mean(axis=0)), covariance, NAMES)


def _wide(data, scatter):
    """Sds of the priors about zero, so wide that they say nothing, whatever the unit."""
    far = np.abs(points(data).mean(axis=0)) / FAR
    return np.maximum(WIDE * np.sqrt(np.diag(scatter)), far)


def classical(data: xr.Dataset, scatter: np.ndarray | None = None) -> xr.Dataset:
    """Return the mean of the measurements with its standard errors."""
    covariance = _scatter(data, scatter) / len(points(data))
    mean = points(data).mean(axis=0)
    found = {name: np.float64(value) for name, value in zip(NAMES, mean, strict=True)}
    errors = zip(NAMES, np.sqrt(np.diag(covariance)), strict=True)
    found |= {f"{name}_error": np.float64(value) for name, value in errors}
    return dataset(found, sampled=False)


def _scatter(data, scatter):
    if scatter is None:
        rows = points(data)
        scatter = np.cov(rows.T)
    scatter = np.asarray(scatter, dtype=float)
    if scatter.shape != (2, 2) or not np.isfinite(scatter).all():
        raise DataError("no scatter", where="scatter", expected="a covariance, (2, 2)")
    if not np.linalg.det(scatter) > 1e-12 * scatter[0, 0] * scatter[1, 1]:
        raise DataError(
            "the two columns lie on a line",
            where="scatter",
            expected="measurements that scatter in both directions",
        )
    return scatter
