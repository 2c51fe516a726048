"""Calibration: a short autoregression, under priors that do not look at the data."""

from __future__ import annotations

from functools import partial

import numpy as np

from bayesinf.calibration import Machine, variant_of
from bayesinf.models import linear
from bayesinf.models import problem as driver
from bayesinf.priors import Beta, LogNormal, Normal
from bayesinf.settings import Settings
from bayesinf.systems.mackey_glass.data import from_values
from bayesinf.systems.mackey_glass.features import Lags
from bayesinf.systems.mackey_glass.model import Readout

LAGS, SAMPLES = 5, 150
WIDTH, NOISE = LogNormal(0.15, 0.3), LogNormal(1.0, 0.3)
PRIORS = {
    "normal": linear.Gaussian(WIDTH),
    "laplace": linear.Laplace(WIDTH),
    "horseshoe": linear.Horseshoe(WIDTH, 0.3),
    "spike_and_slab": linear.SpikeAndSlab(Beta(2.0, 2.0), WIDTH),
}


def calibration_problem(variant: str | None = None) -> Machine:
    """State the problem: a readout of five lags, under one of its priors."""
    variant = variant_of(variant, PRIORS)
    return Machine(
        name=f"mackey_glass ({variant.replace('_', ' ')})",
        simulate=partial(_simulate, variant),
        fit=partial(_fit, variant),
        settings=Settings(draws=100, chains=4, prior_draws=4, workers=1),
    )


def _readout(series, variant):
    stated = Readout(series, Lags(lookback=LAGS), held_out=0.1)
    fixed = {"scales": 1.0, "noise": NOISE, "intercept": Normal(0.0, 1.0)}
    return stated.problem(PRIORS[variant], **fixed)


def _simulate(variant, rng):
    problem = _readout(from_values(rng.standard_normal(SAMPLES)), variant)  # for its prior alone
    truth = {name: value[0] for name, value in problem.sample_prior(rng, 1).items()}
    values = np.zeros(SAMPLES)
    values[:LAGS] = rng.standard_normal(LAGS)
    for k in range(LAGS, SAMPLES):
        mean = truth["intercept"] + truth["weight"] @ values[k - LAGS : k][::-1]
        values[k] = mean + truth["sigma"] * rng.standard_normal()
    return truth, from_values(values)


def _fit(variant, series, settings):
    return driver.fit(_readout(series, variant), settings=settings)
