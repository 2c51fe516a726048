"""A peak on a constant: simulated, or from a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import data
from bayesinf.posterior import annotated, dataset
from bayesinf.settings import DEFAULT

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NAMES", "peak", "read", "simulate"]

NAMES = ("A", "mu", "sigma", "B")


def peak(x, A, mu, sigma, B):
    """Return A exp(−(x − μ)² / 2σ²) + B."""
    return A * np.exp(-0.5 * ((x - mu) / sigma) ** 2) + B


def simulate(
    mu: float = 0.25,
    sigma: float = 0.5,
    amplitude: float = 1.0,
    background: float = 0.0,
    noise: float = 0.05,
    points: int = 100,
    *,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Draw a peak on [−2, 2] with normal noise of known size.

    Parameters
    ----------
    mu, sigma, amplitude, background : of the peak.
    noise : sd of the noise, which stands with the data as their error bars.
    points : evenly spaced.
    rng : generator of the noise; None takes that of the default settings.

    Returns
    -------
    Dataset as of ``bayesinf.data.curve``, with its truth.
    """
    rng = DEFAULT.generator("simulate") if rng is None else rng
    truth = dict(zip(NAMES, (amplitude, mu, sigma, background), strict=True))
    x = np.linspace(-2.0, 2.0, points)
    y = peak(x, **truth) + noise * rng.standard_normal(points)
    known = dataset({name: np.float64(value) for name, value in truth.items()}, sampled=False)
    return annotated(data.curve_from_arrays(x, y, np.full(points, noise)), truth=known)


def read(
    path: str | os.PathLike,
    x: str | int | None = None,
    y: str | int | None = None,
    error: str | int | None = None,
    **how,
) -> xr.Dataset:
    """Read a peak from a file, as ``bayesinf.data.curve`` does.

    Parameters
    ----------
    path : any table.
    x, y, error : columns by name or position; None leaves the choice to the file.
    **how : as of ``bayesinf.data.curve``.
    """
    return data.curve(path, x, y, error, **how)
