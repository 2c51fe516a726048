"""Data that have a fault which a fit should not pass unseen, one each.

Each is fitted as somebody would who does not know of the fault.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import curve_from_arrays
from bayesinf.models import gp
from bayesinf.posterior import annotated, dataset
from bayesinf.settings import Settings
from bayesinf.systems.gp_regression.model import inferred

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["faults"]

SETTINGS = Settings(draws=600, chains=4, prior_draws=20, workers=1)
POINTS, NOISE = 80, 0.15
KERNEL = {"length_scale": 0.15, "amplitude": 1.0}


def faults() -> dict[str, Callable[[np.random.Generator], xr.DataTree]]:
    """Return each fault as a function from a generator to a fit of data that have it.

    ``none`` is the right model of its own data: a draw of the process. Beside the fits of such
    draws stands the truth: the kernel's numbers, and those of noise that is even.
    """
    return {
        "none": _fitted,
        "none, matern32": partial(_fitted, kernel="matern32"),
        "none, known error bars": partial(_fitted, error=1.0),
        "none, values without noise": partial(_fitted, noise=_none, stated=0.0, every=6),
        "none, noise with the signal": partial(_fitted, share=0.1, stated="signal"),
        "an outlier": partial(_fitted, noise=_outlier),
        "heavy tails": partial(_fitted, noise=_heavy),
        "lopsided noise": partial(_fitted, noise=_lopsided),
        "error bars too small by a third": partial(_fitted, error=1 / 1.5),
        "noise where none is stated": partial(_fitted, stated=0.0),
        "noise with the signal": partial(_fitted, share=0.1),
        "a step": partial(_fitted, step=2.0),
        "a step, matern32": partial(_fitted, step=2.0, kernel="matern32"),
    }


def _fitted(rng, noise=None, *, kernel="se", error=None, stated=None, step=0.0, every=1, share=0.0):
    """The fit of a curve drawn from the kernel, with its truth; or of e^curve, whose noise is a
    share of itself.
    """
    x = np.sort(rng.random(POINTS))
    covariance = gp.parse(kernel).value(x[:, None] - x, KERNEL)
    covariance = covariance + 1e-10 * np.eye(POINTS)
    y = np.linalg.cholesky(covariance) @ rng.standard_normal(POINTS) + step * (x > 0.5)
    if share:
        y = np.exp(y) * (1 + share * rng.standard_normal(POINTS))
    else:
        y = y + (_even if noise is None else noise)(rng)
    bars = None if error is None else np.full(POINTS, error * NOISE)
    x, y = x[::every], y[::every]
    settings = SETTINGS.replace(seed=int(rng.integers(2**31)))
    known = 0.0 if error is not None else stated
    found = inferred(curve_from_arrays(x, y, bars), kernel, noise=known, settings=settings)[0]
    if share:
        return found
    truth = KERNEL | ({"noise": NOISE} if noise is None else {})
    return annotated(found, truth=dataset(truth, sampled=False))


def _even(rng):
    return NOISE * rng.standard_normal(POINTS)


def _none(rng):
    return np.zeros(POINTS)


def _outlier(rng):
    found = _even(rng)
    found[rng.integers(POINTS)] += 8 * NOISE
    return found


def _heavy(rng):
    return NOISE * rng.standard_t(2, POINTS)


def _lopsided(rng):
    return NOISE * (rng.exponential(size=POINTS) - 1)
