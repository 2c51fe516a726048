"""Calibration: a few dozen uneven times, two harmonics, and priors that do not look at the data."""

from __future__ import annotations

import numpy as np

from bayesinf.calibration import Machine, of, variant_of
from bayesinf.data import curve_from_arrays
from bayesinf.models import problem as driver
from bayesinf.priors import HalfCauchy, InverseChi, LogNormal, Normal, Uniform
from bayesinf.settings import Settings
from bayesinf.systems.spectral_analysis.data import light_curve
from bayesinf.systems.spectral_analysis.model import Curve, periodic
from bayesinf.systems.spectral_analysis.modes import modes_problem

__all__ = ["calibration_problem"]

VARIANTS = ("period", "modes")
HARMONICS, SHORTEST, LONGEST = 2, 0.4, 2.0
PRIORS = {
    "frequency": Uniform(1 / LONGEST, 1 / SHORTEST),
    "jitter": LogNormal(0.1, 0.5),
    "level": Normal(15.0, 0.5),
    "scale": HalfCauchy(0.3),
}
OF_MODES = {
    "scale": HalfCauchy(0.5),
    "level": Normal(0.0, 1.0),
    "sigma": InverseChi(4.0, 0.3),
}


def calibration_problem(variant: str | None = None) -> Machine:
    """Forty observations of a periodic source, or (variant ``modes``) a signal of six modes."""
    length = Settings(draws=100, chains=4, prior_draws=4, workers=1)
    if variant_of(variant, VARIANTS) == "modes":
        t = np.linspace(0.0, 1.0, 40)
        return of(
            modes_problem(curve_from_arrays(t, np.cos(9 * t)), 6, OF_MODES),
            name="spectral_analysis (modes)",
            settings=length,
        )
    return Machine("spectral_analysis", _simulate, _fit, length, _log_likelihood)


def _times():
    """Uneven times of twelve nights, the same for all."""
    rng = np.random.default_rng(20)
    return np.sort(rng.integers(0, 12, 40) + rng.uniform(0, 0.4, 40)), rng.uniform(0.05, 0.15, 40)


def _problem(y):
    t, error = _times()
    return periodic(Curve(light_curve(t, y, error), SHORTEST, LONGEST, PRIORS), HARMONICS)


def _simulate(rng):
    problem = _problem(np.cos(_times()[0]))
    draws = problem.sample_prior(rng, 1)
    ((_, y),) = problem.replicate(draws, rng).items()
    t, error = _times()
    return {name: value[0] for name, value in draws.items()}, light_curve(t, y[0], error)


def _fit(data, settings):
    return driver.fit(_problem(data["mag"].values), settings=settings)


def _log_likelihood(truth, data):
    problem = _problem(data["mag"].values)
    one = {name: np.asarray(value) for name, value in truth.items()}
    return float(sum(np.sum(values) for values in problem.log_likelihood(one).values()))
