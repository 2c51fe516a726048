"""Blurred data that have a fault which a fit of them should not pass unseen, one each.

Each is fitted as somebody would who does not know of the fault: by second differences, whose
posterior is exact. A response that is too wide is none of them: a rougher signal makes the same
data, which no check of the fit can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import annotated, noted
from bayesinf.settings import Settings
from bayesinf.systems.deconvolution.data import simulate
from bayesinf.systems.deconvolution.model import fit

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["faults"]

SETTINGS = Settings(draws=250, chains=4, prior_draws=20, workers=1)
POINTS, RESPONSE, NOISE = 120, "gaussian:0.5", 0.03


def faults() -> dict[str, Callable[[np.random.Generator], xr.DataTree]]:
    """Return each fault as a function from a generator to a fit of data that have it.

    ``none`` is the right model of its own data, with noise that is inferred.
    """
    return {
        "none": partial(_fitted, _even),
        "none, known error bars": partial(_fitted, _even, bars=NOISE),
        "correlated noise": partial(_fitted, _correlated),
        "noise that grows with the signal": partial(_fitted, _growing),
        "an outlier": partial(_fitted, _outlier),
        "error bars too small by a third": partial(_fitted, _even, bars=NOISE / 1.5),
        "error bars too large by a half": partial(_fitted, _even, bars=1.5 * NOISE),
    }


def _fitted(noise, rng, bars=None):
    """The fit of blurred data with some noise, and beside it the truth, which it was not told."""
    blurred = simulate(POINTS, RESPONSE, noise=0.0, rng=rng)
    truth = noted(blurred, "truth")[["signal"]]
    blurred = blurred.drop_vars([v for v in blurred.variables if str(v).startswith("truth.")])
    mean = blurred["blurred"].values
    measured = blurred.assign(blurred=blurred["blurred"].copy(data=mean + noise(mean, rng)))
    if bars is not None:
        measured = measured.assign(error=("point", np.full(POINTS, bars)))
        measured.attrs["error"] = "error"
    return annotated(fit(measured, "second_differences", settings=SETTINGS), truth=truth)


def _even(mean, rng):
    return NOISE * rng.standard_normal(mean.size)


def _correlated(mean, rng):
    noise = rng.standard_normal(mean.size)
    for i in range(1, mean.size):
        noise[i] = 0.6 * noise[i - 1] + 0.8 * noise[i]
    return NOISE * noise


def _growing(mean, rng):
    return (0.1 * NOISE + 0.1 * mean) * rng.standard_normal(mean.size)


def _outlier(mean, rng):
    noise = _even(mean, rng)
    noise[rng.integers(mean.size)] += 8 * NOISE
    return noise
