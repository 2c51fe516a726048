"""Calibration: five spins, ten couplings, 24 states, and priors that do not look at the data."""

from __future__ import annotations

from functools import partial

import numpy as np

from bayesinf.calibration import Machine, variant_of
from bayesinf.data import spins_from_arrays
from bayesinf.models import linear
from bayesinf.priors import Beta, HalfCauchy, InverseChi
from bayesinf.settings import Settings
from bayesinf.systems.ising_couplings.model import features, fit

__all__ = ["calibration_problem"]

SITES, SAMPLES, NOISE = 5, 24, InverseChi(4.0, 0.5)
VARIANTS = {
    "spike_and_slab": linear.SpikeAndSlab(Beta(2.0, 2.0), InverseChi(6.0, 1.0)),
    "laplace": linear.Laplace(HalfCauchy(0.5)),
    "normal": linear.Gaussian(HalfCauchy(0.5)),
    "horseshoe": linear.Horseshoe(HalfCauchy(0.3), InverseChi(6.0, 1.0)),
}


def calibration_problem(variant: str | None = None) -> Machine:
    """State the problem for simulation-based calibration; a variant is a prior."""
    variant = variant_of(variant, VARIANTS)
    prior = VARIANTS[variant]
    return Machine(
        name=f"ising_couplings ({variant.replace('_', ' ')})",
        simulate=partial(_simulate, prior),
        fit=partial(_fit, prior),
        settings=Settings(draws=500, tune=300, chains=2, prior_draws=4, workers=1),
        log_likelihood=partial(_log_likelihood, prior),
    )


def _problem(prior, states, energies):
    return linear.regression(features(states), energies, prior, noise=NOISE, name="J")


def _simulate(prior, rng):
    states = rng.choice(np.array([-1, 1], np.int8), (SAMPLES, SITES))
    problem = _problem(prior, states, np.arange(SAMPLES, dtype=float))
    draws = problem.sample_prior(rng, 1)
    (energies,) = problem.replicate(draws, rng)["y"]
    truth = {name: value[0] for name, value in draws.items()}
    return truth, spins_from_arrays(states, energies)


def _fit(prior, data, settings):
    return fit(data, prior, noise=NOISE, settings=settings)


def _log_likelihood(prior, truth, data):
    problem = _problem(prior, data["states"], data["energies"].values)
    return float(problem.log_likelihood(truth)["y"].sum())
