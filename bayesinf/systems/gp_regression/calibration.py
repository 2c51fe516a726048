"""Calibration: few points at fixed places, under priors that do not look at the data."""

from __future__ import annotations

from functools import partial

import numpy as np

from bayesinf import calibration
from bayesinf.data import curve_from_arrays
from bayesinf.models import gp
from bayesinf.models import problem as driver
from bayesinf.priors import LogNormal, Normal
from bayesinf.settings import Settings

__all__ = ["calibration_problem"]

X = np.sort(np.random.default_rng(20).uniform(size=20))
FLOOR = 0.3  # of the signal with which noise grows
PRIORS = {
    "length_scale": LogNormal(0.2, 0.5),
    "amplitude": LogNormal(1.0, 0.5),
    "noise": LogNormal(0.1, 0.5),
    "noise_growth": Normal(0.0, 1.0),
    "noise_power": Normal(0.5, 0.5),
    "constant": Normal(0.0, 1.0),
    "trend_1": Normal(0.0, 1.0),
    "length_scale_1": LogNormal(0.5, 0.4),
    "amplitude_1": LogNormal(1.0, 0.4),
    "length_scale_2": LogNormal(1.0, 0.4),
    "amplitude_2": LogNormal(1.0, 0.4),
}
# Variant to the arguments of ``gp.process``.
FORMS = {
    "se": {"kernel": "se"},
    "matern52": {"kernel": "matern52"},
    "exact": {"kernel": "se", "mean": "zero", "noise": 0.0},
    "grows": {"kernel": "se", "noise": "grows"},
    "signal": {"kernel": "se", "noise": gp.WithSignal(scale=1.0, floor=FLOOR)},
    "trend": {"kernel": "se", "mean": "trend(x) + constant"},
    "sum": {"kernel": "se + periodic(0.25)"},
}


def calibration_problem(variant: str | None = None) -> calibration.Machine:
    """Twenty points: a kernel, values without noise, noise that grows, a trend, or a sum."""
    variant = calibration.variant_of(variant, FORMS)
    return calibration.Machine(
        name=f"gp_regression ({variant})",
        simulate=partial(_simulate, variant),
        fit=partial(_fit, variant),
        settings=Settings(draws=200, chains=4, prior_draws=20),
        log_likelihood=partial(_log_likelihood, variant),
    )


def _stated(variant, y=None):
    """The process of a variant, with priors that do not depend on the data."""
    form = {"mean": "constant"} | FORMS[variant]
    data = curve_from_arrays(X, np.sin(6 * X) if y is None else y)
    needed = gp.process(data, **form).inferred
    return gp.process(data, priors={name: PRIORS[name] for name in needed}, **form)


def _simulate(variant, rng):
    stated = _stated(variant)
    draws = stated.sample_prior(rng, 1)
    if variant == "signal":
        y = _with_signal(draws, rng)
    else:
        (y,) = stated.replicate(draws, rng)["y"]
    return {name: value[0] for name, value in draws.items()}, curve_from_arrays(X, y)


def _with_signal(draws, rng):
    """Data whose noise grows with the curve itself, and not with an estimate of it."""
    form = {"kernel": "se", "mean": "constant", "noise": 0.0}
    exact = gp.process(curve_from_arrays(X, np.sin(6 * X)), **form)
    (curve,) = exact.replicate({name: draws[name] for name in exact.inferred}, rng)["y"]
    sd = draws["noise"] * np.hypot(curve, FLOOR) ** draws["noise_power"]
    return curve + sd * rng.standard_normal(len(X))


def _fit(variant, data, settings):
    return driver.fit(_stated(variant, data["y"].values), settings=settings)


def _log_likelihood(variant, truth, data):
    stated = _stated(variant, data["y"].values)
    theta = {name: np.asarray(truth[name]) for name in stated.inferred}
    return float(stated.log_marginal(stated.complete(theta, ())))
