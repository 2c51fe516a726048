"""A place that was measured several times: simulated, or from a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import data
from bayesinf.posterior import annotated, dataset
from bayesinf.settings import DEFAULT

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NAMES", "SCATTER", "points", "read", "simulate"]

NAMES = ("mu_x", "mu_y")
SCATTER = np.array([[1.0, 0.4], [0.4, 1.0]])  # covariance of one measurement


def simulate(
    mu: tuple[float, float] = (1.0, 1.0),
    count: int = 20,
    *,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Draw measurements of a place, x ~ N(μ, S).

    Parameters
    ----------
    mu : the place.
    count : of measurements.
    rng : generator; None takes that of the default settings.

    Returns
    -------
    Dataset as of ``bayesinf.data.curve``, a row a measurement, with its truth.
    """
    rng = DEFAULT.generator("simulate") if rng is None else rng
    drawn = np.asarray(mu) + rng.standard_normal((count, 2)) @ np.linalg.cholesky(SCATTER).T
    known = {name: np.float64(value) for name, value in zip(NAMES, mu, strict=True)}
    found = data.curve_from_arrays(*drawn.T, sort=False)
    return annotated(found, truth=dataset(known, sampled=False))


def read(path: str | os.PathLike, x: str | int | None = None, y: str | int | None = None, **how):
    """Read measurements from a file of two columns.

    Parameters
    ----------
    path : any table.
    x, y : columns by name or position; None leaves the choice to the file.
    **how : as of ``bayesinf.data.curve``.
    """
    return data.curve(path, x, y, "none", sort=False, index=False, **how)


def points(measured: xr.Dataset) -> np.ndarray:
    """Return the measurements as an array, (row, 2)."""
    x, y, _ = data.axes(measured)
    return np.stack([x.values, y.values], axis=1).astype(float)
