"""Spectra that have a fault which a fit of them should not pass unseen, one each.

Each is fitted as somebody would who does not know of the fault, by a short Laplace approximation.
Where the data themselves say what they are, the likelihood is stated nevertheless, so that the
checks of the fit are on trial, and not what was noticed before it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import axes, curve_from_arrays
from bayesinf.posterior import annotated, dataset
from bayesinf.settings import Settings
from bayesinf.systems.gaussian_peaks.data import simulate
from bayesinf.systems.gaussian_peaks.model import fit

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["faults"]

SETTINGS = Settings(draws=500, chains=4, prior_draws=20)
X = np.linspace(0, 10, 120)
PEAK = {"height": (10.0,), "center": (4.0,), "sigma": (0.8,)}


def faults() -> dict[str, Callable[[np.random.Generator], xr.DataTree]]:
    """Return each fault as a function from a generator to a fit of data that have it.

    ``none`` is the right model of its own data, with noise that is inferred.
    """
    return {
        "none": partial(_fitted, lambda mean, rng: mean + 0.5 * rng.standard_normal(mean.size)),
        "none, rounded readings": partial(
            _fitted, lambda mean, rng: np.round(mean + 0.5 * rng.standard_normal(mean.size), 1)
        ),
        "readings rounded to twice the noise": partial(
            _fitted, lambda mean, rng: np.round(mean + 0.5 * rng.standard_normal(mean.size))
        ),
        "counts taken for normal noise": partial(_counts, bars=False),
        "counts with √N bars": partial(_counts, bars=True),
        "correlated noise": _correlated,
        "noise that grows with the signal": partial(
            _fitted, lambda mean, rng: mean + 0.1 * mean * rng.standard_normal(mean.size)
        ),
        "an outlier": _outlier,
        "error bars too small by a third": _small_bars,
        "a missing peak": _missing,
        "one peak too many": partial(
            _fitted,
            lambda mean, rng: mean + 0.5 * rng.standard_normal(mean.size),
            peaks=2,
            truth=None,
        ),
        "a dip": _dip,
        "a detector that was full": _full,
        "readings that stand there twice": _twice,
    }


def _mean(**parameters):
    """The curve of a simulated spectrum without noise."""
    found = simulate(X, **PEAK | parameters, noise=0.0, rng=np.random.default_rng(0))
    return axes(found)[1].to_numpy()


def _of(y, error=None, truth=PEAK, **model):
    """The fit of a spectrum, and beside it the truth of the peak, which it was not told."""
    found = fit(curve_from_arrays(X, y, error), settings=SETTINGS, **model)
    if truth is None:
        return found
    known = {name: np.array(values) for name, values in truth.items()}
    return annotated(found, truth=dataset(known, dict.fromkeys(known, ("peak",)), sampled=False))


def _fitted(measured, rng, **model):
    return _of(measured(_mean(), rng), likelihood="normal", **model)


def _counts(rng, bars):
    bright = PEAK | {"height": (30.0,)}
    y = rng.poisson(_mean(**bright, background_level=2.0)).astype(float)
    return _of(y, np.sqrt(np.maximum(y, 1)) if bars else None, bright, likelihood="normal")


def _correlated(rng):
    noise = rng.standard_normal(X.size)
    for i in range(1, X.size):
        noise[i] = 0.6 * noise[i - 1] + 0.8 * noise[i]
    return _of(_mean() + 0.5 * noise, likelihood="normal")


def _outlier(rng):
    y = _mean() + 0.5 * rng.standard_normal(X.size)
    y[rng.integers(70, 110)] += 5.0
    return _of(y, likelihood="normal")


def _small_bars(rng):
    y = _mean() + 0.5 * rng.standard_normal(X.size)
    return _of(y, np.full(X.size, 0.5 / 1.5))


def _missing(rng):
    two = {"height": (10.0, 6.0), "center": (4.0, 6.2), "sigma": (0.8, 0.7)}
    return _of(_mean(**two) + 0.5 * rng.standard_normal(X.size), likelihood="normal")


def _dip(rng):
    dip = PEAK | {"height": (-6.0,)}
    y = _mean(**dip, background_level=9.0) + 0.5 * rng.standard_normal(X.size)
    return _of(y, truth=dip, likelihood="normal")


def _full(rng):
    """Under noise with memory, which explains a plateau away."""
    y = np.minimum(_mean() + 0.5 * rng.standard_normal(X.size), 8.0)
    return _of(y, likelihood="correlated")


def _twice(rng):
    y, half = _mean() + 0.5 * rng.standard_normal(X.size), X.size // 2
    points = curve_from_arrays(np.append(X, X[:half]), np.append(y, y[:half]))
    return fit(points, likelihood="normal", settings=SETTINGS)
