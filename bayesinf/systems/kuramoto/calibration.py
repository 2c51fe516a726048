"""Calibration: four oscillators from random phases, under priors that do not look at the data."""

from __future__ import annotations

from functools import partial

import numpy as np

from bayesinf.calibration import Machine, variant_of
from bayesinf.models import problem as driver
from bayesinf.priors import LogNormal, Normal, Uniform
from bayesinf.settings import Settings
from bayesinf.systems.kuramoto.data import from_arrays
from bayesinf.systems.kuramoto.drift import Drift
from bayesinf.systems.kuramoto.stating import network

__all__ = ["PRIORS", "calibration_problem"]

OSCILLATORS, SAMPLES, STEP, FINER = 4, 80, 0.5, 20
PRIORS = {
    "omega": Normal(1.0, 0.5),
    "sigma": LogNormal(0.05, 0.5),
    "scale": LogNormal(0.4, 0.4),
    "alpha": Uniform(-np.pi / 2, np.pi / 2),
}
LAG = 0.3
VARIANTS = {"lag": None, "known_lag": LAG}


def calibration_problem(variant: str | None = None) -> Machine:
    """State the problem for simulation-based calibration: the lag inferred, or known.

    The oscillators move by steps twenty times finer than those that are fitted, so that the path
    between two instants is on trial as well.
    """
    variant = variant_of(variant, VARIANTS)
    lag = VARIANTS[variant]
    return Machine(
        name=f"kuramoto ({variant.replace('_', ' ')})",
        simulate=partial(_simulate, lag),
        fit=partial(_fit, lag),
        settings=Settings(draws=100, chains=4, prior_draws=4, workers=1),
    )


def _simulate(lag, rng):
    still = from_arrays(
        STEP * np.arange(SAMPLES)[np.newaxis], 9 * rng.uniform(size=(1, SAMPLES, OSCILLATORS))
    )
    problem = network(still, lag=lag, along_path=False, priors=PRIORS)  # for its prior alone
    truth = {name: value[0] for name, value in problem.sample_prior(rng, 1).items()}
    drift = Drift.of(truth["omega"], problem.matrix(truth), truth["sigma"])
    phases, state = np.empty((1, SAMPLES, OSCILLATORS)), rng.uniform(0, 2 * np.pi, OSCILLATORS)
    h = STEP / FINER
    for k in range(SAMPLES):
        phases[0, k] = state
        for _ in range(FINER):
            kicks = truth["sigma"] * np.sqrt(h) * rng.standard_normal(OSCILLATORS)
            first = drift.velocity(state)
            state = state + 0.5 * (first + drift.velocity(state + h * first + kicks)) * h + kicks
    return truth, from_arrays(STEP * np.arange(SAMPLES)[np.newaxis], phases)


def _fit(lag, phases, settings):
    return driver.fit(network(phases, lag=lag, priors=PRIORS), settings=settings)
