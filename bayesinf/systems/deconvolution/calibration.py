"""Calibration: 24 data of as many positions, and priors that do not look at the data."""

from __future__ import annotations

from functools import cache, partial

import numpy as np

from bayesinf.calibration import Machine, variant_of
from bayesinf.priors import InverseChi, LogNormal, Normal
from bayesinf.settings import Settings
from bayesinf.systems.deconvolution.data import simulate
from bayesinf.systems.deconvolution.model import fit, problem

__all__ = ["calibration_problem"]

POINTS, RESPONSE = 24, "gaussian:0.5"
STATED = {"noise": InverseChi(6.0, 0.1), "level": Normal(0.0, 1.0)}
VARIANTS = {
    "squared_exponential": {"scale": InverseChi(6.0, 1.0), "length": LogNormal(1.0, 0.3)},
    "first_differences": {"prior": "first_differences", "scale": InverseChi(6.0, 1.0)},
    "second_differences": {"prior": "second_differences", "scale": InverseChi(6.0, 2.0)},
    "positive": {
        "prior": "second_differences",
        "scale": InverseChi(6.0, 2.0),
        "positive": True,
    },
    "width": {
        "scale": InverseChi(6.0, 1.0),
        "length": 1.0,
        "width_spread": 0.2,
    },
}


def calibration_problem(variant: str | None = None) -> Machine:
    """State the problem for simulation-based calibration; a variant is a prior of the signal."""
    variant = variant_of(variant, VARIANTS)
    options = {**STATED, **VARIANTS[variant]}
    return Machine(
        name=f"deconvolution ({variant.replace('_', ' ')})",
        simulate=partial(_simulate, options),
        fit=partial(_fit, options),
        settings=Settings(draws=60, tune=200, chains=4, prior_draws=4, workers=1),
        log_likelihood=partial(_log_likelihood, options),
    )


@cache
def _template():
    """Positions and response; what was measured there is replaced."""
    blurred = simulate(POINTS, RESPONSE, rng=np.random.default_rng(1))
    return blurred.drop_vars([v for v in blurred.variables if str(v).startswith("truth.")])


def _simulate(options, rng):
    stated = problem(_template(), **options)
    draws = stated.sample_prior(rng, 1)
    (y,) = stated.replicate(draws, rng)["blurred"]
    measured = _template()["blurred"].copy(data=y)
    truth = {name: values[0] for name, values in draws.items()}
    return truth, _template().assign(blurred=measured)


def _fit(options, blurred, settings):
    return fit(blurred, settings=settings, **options)


def _log_likelihood(options, truth, blurred):
    one = {name: np.asarray(value)[np.newaxis] for name, value in truth.items()}
    return float(problem(blurred, **options).log_likelihood(one)["blurred"].sum())
