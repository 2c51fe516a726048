"""The classical side: Lomb-Scargle by astropy, its false-alarm probability, the spectral window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import dataset
from bayesinf.systems.spectral_analysis import search
from bayesinf.systems.spectral_analysis.model import Curve

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["classical", "window_peaks"]

DRAWN = 3000  # frequencies of a picture, each the highest of those around it
WINDOW_STEPS = 200_000
APART = 3.0  # cycles over the record by which peaks of the window are apart


def classical(
    dataset: xr.Dataset,
    harmonics: int = 1,
    *,
    shortest: float | None = None,
    longest: float | None = None,
) -> xr.Dataset:
    """Search for a period by least squares, with no prior and no jitter.

    Parameters
    ----------
    dataset : as of ``simulate``.
    harmonics : of the periodogram that is drawn, and of ``frequency``.
    shortest, longest : periods between which to search, as for ``fit``.

    Returns
    -------
    a Dataset: ``power`` (trial), that of Lomb-Scargle with floating mean and so many harmonics,
    ``window`` (lag), the spectral window; of the sine alone ``sine_frequency``, ``sine_power`` and
    ``false_alarm``, the probability that noise alone shows such a peak (Baluev's bound); and
    ``frequency``, where the power of all harmonics is highest.

    References
    ----------
    VanderPlas, Astrophys. J. Suppl. 236, 16 (2018), doi:10.3847/1538-4365/aab766.
    Baluev, Mon. Not. R. Astron. Soc. 385, 1279 (2008), doi:10.1111/j.1365-2966.2008.12689.x.
    """
    return of_curve(Curve(dataset, shortest, longest), harmonics)


def of_curve(curve: Curve, harmonics: int) -> xr.Dataset:
    """The same of a ``Curve``."""
    from astropy.timeseries import LombScargle

    error = curve.error if np.all(curve.error) else np.full(len(curve.y), np.std(curve.y))
    count, (low, high) = curve.steps_at(20), curve.range
    frequency = low + (high - low) * (np.arange(count) + 0.5) / count
    power = curve.power(count, harmonics, error)
    sine = power if harmonics == 1 else curve.power(count, 1, error)
    model = LombScargle(curve.t, curve.y, error)
    best = frequency[np.argmax(sine)]
    peak = float(model.power(best, method="chi2"))
    lag, window = _window(curve, error)
    drawn, shown = _highest(frequency, power)
    lags, seen = _highest(lag, window)
    alarm = model.false_alarm_probability(peak, method="baluev", maximum_frequency=high)
    arrays = {
        "power": shown,
        "window": seen,
        "frequency": frequency[np.argmax(power)],
        "sine_frequency": best,
        "sine_power": peak,
        "false_alarm": float(alarm),
    }
    unit = curve.frequency_unit
    return dataset(
        {name: np.asarray(value) for name, value in arrays.items()},
        {"power": ("trial",), "window": ("lag",)},
        {"trial": drawn, "lag": lags},
        {"frequency": unit, "sine_frequency": unit},
        sampled=False,
    )


def window_peaks(curve: Curve, most: int = 2) -> list[float]:
    """Frequencies of the highest peaks of the window, which part a period from its aliases."""
    lag, power = _window(curve, curve.noise)
    power, found = power.copy(), []
    power[lag < APART / curve.span] = 0.0
    for _ in range(most):
        found.append(float(lag[np.argmax(power)]))
        power[np.abs(lag - found[-1]) < APART / curve.span] = 0.0
    return found


def _window(curve, error):
    """Frequencies from zero, and the window there."""
    step = 0.1 / curve.span
    count = int(np.clip(curve.range[1] / step, 64, WINDOW_STEPS))
    return step * np.arange(count), search.window(curve.t, error, 0.0, step, count)


def _highest(x, y):
    """So few points that they can be drawn: of each stretch the highest."""
    parts = np.array_split(np.arange(len(x)), min(DRAWN, len(x)))
    best = [part[np.argmax(y[part])] for part in parts]
    return x[best], y[best]
