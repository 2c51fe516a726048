"""Calibration: the draws that an audit hands out, of a peak with priors that know no data."""

from __future__ import annotations

from functools import partial

import numpy as np

from bayesinf import calibration
from bayesinf.data import curve_from_arrays
from bayesinf.models import curve
from bayesinf.models import problem as driver
from bayesinf.priors import Uniform
from bayesinf.settings import Settings
from bayesinf.systems.laplace_audit.data import NAMES, peak

__all__ = ["calibration_problem"]

PRIORS = {
    "A": Uniform(0.5, 1.5),
    "mu": Uniform(-0.5, 1.0),
    "sigma": Uniform(0.3, 0.7),
    "B": Uniform(-0.3, 0.3),
}
X = np.linspace(-2, 2, 60)
NOISE = 0.05
METHODS = ("laplace", "emcee")


def calibration_problem(variant: str | None = None) -> calibration.Machine:
    """Sixty points with known noise, by resampled draws of the normal, or by walkers."""
    method = calibration.variant_of(variant, METHODS)
    return calibration.Machine(
        name=f"laplace_audit ({method})",
        simulate=_simulate,
        fit=partial(_fit, method),
        settings=Settings(draws=100, chains=4, prior_draws=20),
        log_likelihood=_log_likelihood,
    )


def _problem(data):
    import lmfit

    start = lmfit.Parameters()
    for name, prior in PRIORS.items():
        start.add(name, value=(prior.lower + prior.upper) / 2)
    return curve.problem(lmfit.Model(peak), start, data, priors=PRIORS)


def _simulate(rng):
    truth = {name: prior.sample(rng, 1)[0] for name, prior in PRIORS.items()}
    y = peak(X, *(truth[name] for name in NAMES)) + NOISE * rng.standard_normal(len(X))
    return truth, curve_from_arrays(X, y, np.full(len(X), NOISE))


def _fit(method, data, settings):
    return driver.fit(_problem(data), method, settings)


def _log_likelihood(truth, data):
    off = (data["y"].values - peak(X, *(truth[name] for name in NAMES))) / NOISE
    return float(np.sum(-0.5 * off**2 - np.log(NOISE * np.sqrt(2 * np.pi))))
