"""Light curves and signals that have a fault which a fit should not pass unseen, one each.

Each is fitted as somebody would who does not know of the fault. A period is held to what its page
announces: where it says that no period stands out, nobody is misled, and that counts as refused.

What no check can see is not planted: a value a day, always at the same hour, is the same for a
period and for its aliases, whichever of them is within the range of the search.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import curve_from_arrays
from bayesinf.errors import DataError
from bayesinf.posterior import annotated, dataset
from bayesinf.priors import LogNormal
from bayesinf.settings import Settings
from bayesinf.systems.spectral_analysis.data import light_curve
from bayesinf.systems.spectral_analysis.model import fit
from bayesinf.systems.spectral_analysis.modes import fit_modes
from bayesinf.systems.spectral_analysis.results import stands_out

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["faults"]

SETTINGS = Settings(draws=250, chains=4, prior_draws=5, workers=1)
COUNT, NIGHTS, SHORTEST, LONGEST = 50, 12, 0.4, 2.0
NO_JITTER = {"jitter": LogNormal(1e-3, 0.1)}  # error bars are taken as they are
SAMPLES, MODES = 120, (16, 12)  # of a signal over the unit of time


def faults() -> dict[str, Callable[[np.random.Generator], xr.DataTree]]:
    """Return each fault as a function from a generator to a fit of data that have it.

    ``none`` is the right model of its own data: a star with one or two harmonics and jitter.
    """
    return {
        "none": _star,
        "none, no jitter and known error bars": partial(_star, jitter=0.0, priors=NO_JITTER),
        "none, modes": _signal,
        "error bars too small by a third": partial(
            _star, jitter=0.0, stated=1 / 1.5, priors=NO_JITTER
        ),
        "scatter that is not modelled": partial(_star, jitter=0.1, priors=NO_JITTER),
        "red noise": partial(_star, beside=_red),
        "red noise without a period": partial(_star, size=0.0, beside=_red),
        "a second period": partial(_star, beside=_second),
        "a period shorter than those searched": partial(_star, between=(0.15, 0.3)),
        "a period longer than those searched": partial(_star, between=(2.3, 8.0)),
        "no period": partial(_star, size=0.0),
        "a harmonic is missing": _one_harmonic,
        "modes that stop short of a line": partial(_signal, highest=20.0),
        "a line between two modes beyond the last": partial(_signal, highest=15.5),
    }


def _star(
    rng, size=0.3, jitter=0.05, stated=1.0, between=(0.5, 1.8), beside=None, priors=None, count=None
):
    """The fit of a star by night, its size that of the first harmonic in magnitudes."""
    t = np.sort(rng.integers(0, NIGHTS, COUNT) + rng.uniform(0.0, 0.4, COUNT))
    error = rng.uniform(0.05, 0.1, COUNT)
    harmonics = int(rng.integers(1, 3)) if count is None else 2
    frequency = 1 / rng.uniform(*between)
    y = 15.0 + sum(
        size / k * np.sin(2 * np.pi * k * frequency * t + rng.uniform(0, 2 * np.pi))
        for k in range(1, harmonics + 1)
    )
    y = y + np.hypot(error, jitter) * rng.standard_normal(COUNT)
    if beside is not None:
        y = y + beside(t, frequency, rng)
    found = fit(
        light_curve(t, y, stated * error, "d", "mag"),
        count or harmonics,
        shortest=SHORTEST,
        longest=LONGEST,
        priors=priors,
        settings=SETTINGS.replace(seed=int(rng.integers(2**31))),
    )
    if not stands_out(found):
        raise DataError("no period stands out")
    if size == 0.0:
        return found  # there is no period to be right about
    return annotated(found, truth=dataset({"frequency": np.float64(frequency)}, sampled=False))


def _red(t, frequency, rng):
    """An Ornstein-Uhlenbeck process that lasts for some hours, of twice the noise."""
    covariance = 0.2**2 * np.exp(-np.abs(t[:, np.newaxis] - t) / 0.4)
    return np.linalg.cholesky(covariance + 1e-9 * np.eye(len(t))) @ rng.standard_normal(len(t))


def _second(t, frequency, rng):
    """Half as large, at a frequency that is no multiple."""
    return 0.15 * np.sin(2 * np.pi * 1.37 * frequency * t + rng.uniform(0, 2 * np.pi))


def _one_harmonic(rng):
    return _star(rng, count=1)


def _signal(rng, highest=10.0):
    """The fit of lines within an envelope, the last at so many cycles over the record."""
    t = np.linspace(0.0, 1.0, SAMPLES)
    lines = [(rng.uniform(1.0, 5.0), 1.0), (highest, 0.5)]
    y = sum(size * np.sin(2 * np.pi * line * t + rng.uniform(0, 2 * np.pi)) for line, size in lines)
    y = y * np.exp(-8 * (t - 0.5) ** 2) + 0.1 * rng.standard_normal(SAMPLES)
    settings = SETTINGS.replace(seed=int(rng.integers(2**31)))
    return fit_modes(curve_from_arrays(t, y), MODES, settings=settings)
