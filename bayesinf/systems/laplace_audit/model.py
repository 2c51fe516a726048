"""A peak fitted by one of three optimisers, and its claim audited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import audits
from bayesinf.audits.claims import Claim
from bayesinf.audits.curves import of_curve_fit
from bayesinf.errors import FitError
from bayesinf.posterior import dataset, noted
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.laplace_audit.data import NAMES, peak
from bayesinf.systems.laplace_audit.optimisers import (
    Loss,
    gradient_descent,
    levenberg_marquardt,
    newton,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["OPTIMISERS", "RATE", "START", "STEPS", "claim", "classical", "fit"]

OPTIMISERS = ("levenberg-marquardt", "newton", "gradient-descent")
START = {"A": 0.8, "mu": 0.3, "sigma": 0.8, "B": 0.2}  # of the textbook's descent
STEPS, RATE = 25, 1e-5


def fit(
    data: xr.Dataset,
    *,
    optimiser: str = OPTIMISERS[0],
    start: Mapping[str, float] | None = None,
    steps: int = STEPS,
    rate: float = RATE,
    method: str | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Fit a peak by an optimiser, claim the inverse Hessian where it stopped, and audit the claim.

    Parameters
    ----------
    data : x and y, with error bars where the noise is known.
    optimiser : one of ``OPTIMISERS``.
    start : where it begins; by default a guess from the data.
    steps, rate : of gradient descent.
    method : of the better draws, "laplace" or "emcee"; None for the quickest that is believed.
    settings : length and seed of these.

    Returns
    -------
    InferenceData, as of ``bayesinf.audit``.

    Raises
    ------
    FitError : an unknown optimiser or method; no end that is a number.
    """
    begun = _guess(data) if start is None else np.array([float(start[name]) for name in NAMES])
    at, covariance = _optimised(data, optimiser, begun, steps, rate)
    stated = claim(data, at, covariance)
    if method is not None:
        stated = _by(stated, method)
    path = dataset(
        {"start": begun, "end": at, "steps": np.int64(steps), "rate": np.float64(rate)},
        {"start": ("parameter",), "end": ("parameter",)},
        {"parameter": list(NAMES)},
        sampled=False,
    )
    return audits.audited(
        stated,
        settings,
        system="laplace_audit",
        notes={"truth": noted(data, "truth"), "path": path},
        attrs={"optimiser": optimiser},
    )


def claim(data: xr.Dataset, at: np.ndarray, covariance: np.ndarray) -> Claim:
    """State the claim about a peak: its parameters and their covariance."""
    loss = Loss(data)
    return of_curve_fit(peak, loss.x, loss.y, at, covariance, loss.error, names=NAMES)


def classical(data: xr.Dataset) -> xr.Dataset:
    """Return least squares with standard errors, by Levenberg and Marquardt from a guess.

    Returns
    -------
    Dataset with each parameter, and NAME_error.
    """
    at, covariance = _optimised(data, OPTIMISERS[0], _guess(data), STEPS, RATE)
    errors = np.sqrt(np.diag(covariance))
    found = {name: np.float64(value) for name, value in zip(NAMES, at, strict=True)}
    found |= {f"{n}_error": np.float64(e) for n, e in zip(NAMES, errors, strict=True)}
    return dataset(found, sampled=False)


def _by(stated, method):
    from dataclasses import replace

    if method not in ("laplace", "emcee"):
        raise FitError(f"unknown method {method!r}: use one of laplace, emcee")
    return replace(stated, routes=(method,))


def _optimised(data, optimiser, start, steps, rate):
    """Where an optimiser stops, and the inverse Hessian there."""
    loss = Loss(data)
    match optimiser:
        case "levenberg-marquardt":
            at = levenberg_marquardt(loss, start[None])[0]
            at[2] = abs(at[2])  # the same peak
        case "newton":
            at = newton(loss, start)
        case "gradient-descent":
            at = gradient_descent(loss, start, steps, rate)
        case _:
            raise FitError(f"unknown optimiser {optimiser!r}: use one of {', '.join(OPTIMISERS)}")
    if not np.isfinite(at).all():
        raise FitError(f"{optimiser} diverged: take smaller steps, or another start", start=start)
    _, hessian = loss.derivatives(at)
    if loss.error is None:  # as every fitting program does: χ² per degree of freedom is one
        hessian = hessian * (len(loss.y) - 4) / (2 * loss(at))
    size = np.sqrt(np.abs(np.diag(hessian)))
    values, axes = np.linalg.eigh(hessian / np.outer(size, size))
    return at, (axes / values) @ axes.T / np.outer(size, size)


def _guess(data):
    """A peak by its tallest point, the width in which half of it lies, and the median."""
    loss = Loss(data)
    level = float(np.median(loss.y))
    above = loss.y - level
    top = int(np.argmax(np.abs(above)))
    half = np.abs(above) > 0.5 * abs(above[top])
    width = max(half.mean() * np.ptp(loss.x) / 2.355, np.ptp(loss.x) / len(loss.x))
    return np.array([above[top], loss.x[top], width, level])
