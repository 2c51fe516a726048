"""Series that have a fault which a fit should not pass unseen, one each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import annotated, noted
from bayesinf.settings import Settings
from bayesinf.systems.mackey_glass.data import from_values, simulate, values_of
from bayesinf.systems.mackey_glass.delay import LITERATURE, Equation
from bayesinf.systems.mackey_glass.mechanism import fit_equation
from bayesinf.systems.mackey_glass.model import fit

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["faults"]

SETTINGS = Settings(draws=250, chains=4, prior_draws=5, workers=1)
COUNT, NOISE = 700, 0.01  # of the readouts: samples, and noise of the dynamics
OBSERVED, STEP, ERROR = 160, 2.0, 0.03  # of the equation: samples, their step, and their noise


def faults() -> dict[str, Callable[[np.random.Generator], xr.DataTree]]:
    """Fault to a function from a generator to a fit of data that have it.

    Under ``none`` stand a readout of random features, of a series with noise in its dynamics, and
    the equation, of a series that is measured with noise. Beside the equation's fits stands the
    truth.
    """
    return {
        "none": _readout,
        "none, equation": _equation,
        "a linear readout": partial(_readout, features="lags", lookback=2),
        "noise that grows with the signal": partial(_readout, change=_growing),
        "a level that jumps": partial(_readout, change=_jump),
        "spikes": partial(_readout, change=_spikes),
        "equation: noise in the dynamics": partial(_equation, dynamical=0.03),
        "equation: another equation half-way": partial(_equation, later=True),
        "equation: spikes": partial(_equation, change=_spikes),
        "equation: a trend": partial(_equation, change=_trend),
    }


def _seeded(rng, draws=SETTINGS.draws):
    return SETTINGS.replace(seed=int(rng.integers(2**31)), draws=draws)


def _readout(rng, features="random", change=None, **options):
    options = options or {"lookback": 20, "count": 60}
    values = values_of(simulate(COUNT, dynamical=NOISE, rng=rng)).values
    values = values if change is None else change(values, rng)
    return fit(from_values(values), features, horizon=0, settings=_seeded(rng), **options)


def _equation(rng, change=None, dynamical=0.0, later=False):
    options = {"noise": ERROR, "dynamical": dynamical}
    series = simulate(OBSERVED, STEP, LITERATURE, **options, rng=rng)
    values, truth = values_of(series).values, noted(series, "truth")
    if later:
        other = simulate(OBSERVED, STEP, Equation(0.2, 0.1, 10.0, 13.0), **options, rng=rng)
        half = OBSERVED // 2
        values = np.concatenate([values[:half], values_of(other).values[half:]])
    values = values if change is None else change(values, rng)
    found = fit_equation(from_values(values, STEP), settings=_seeded(rng, draws=500))
    return found if later else annotated(found, truth=truth)


def _growing(values, rng):
    size = np.clip((values - values.min()) / np.ptp(values), 0.0, 1.0) ** 3
    return values + 0.1 * size * rng.standard_normal(len(values))


def _jump(values, rng):
    return values + 0.5 * (np.arange(len(values)) > rng.uniform(0.3, 0.6) * len(values))


def _spikes(values, rng):
    place = rng.choice(len(values) // 2, 4, replace=False) + len(values) // 4
    return values + 0.4 * np.isin(np.arange(len(values)), place)


def _trend(values, rng):
    return values + np.linspace(0.0, 0.4, len(values))
