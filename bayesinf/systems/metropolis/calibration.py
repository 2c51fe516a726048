"""Calibration: the posterior of a place, whose truth is drawn from its prior, by each sampler."""

from __future__ import annotations

from functools import partial

import numpy as np

from bayesinf import calibration
from bayesinf.settings import Settings
from bayesinf.systems.metropolis.data import NAMES, SCATTER, simulate
from bayesinf.systems.metropolis.model import WIDE, fit, problem
from bayesinf.systems.metropolis.samplers import SAMPLERS

__all__ = ["calibration_problem"]


def calibration_problem(variant: str | None = None) -> calibration.Machine:
    """Twenty measurements of a place that the prior has drawn; a variant is a sampler."""
    method = calibration.variant_of(variant, SAMPLERS)
    return calibration.Machine(
        name=f"metropolis ({method})",
        simulate=_simulate,
        fit=partial(_fit, method),
        settings=Settings(draws=200, chains=4, prior_draws=20),
        log_likelihood=_log_likelihood,
    )


def _simulate(rng):
    place = WIDE * rng.standard_normal(2)
    truth = {name: np.float64(value) for name, value in zip(NAMES, place, strict=True)}
    return truth, simulate(tuple(place), rng=rng)


def _fit(method, data, settings):
    return fit(data, scatter=SCATTER, method=method, settings=settings)


def _log_likelihood(truth, data):
    found = problem(data, SCATTER).log_likelihood(truth)
    return float(sum(np.sum(each) for each in found.values()))
