"""Calibration: spectra of plasmas drawn from the prior, fitted channel by channel."""

from __future__ import annotations

import numpy as np

from bayesinf.calibration import Machine, variant_of
from bayesinf.priors import LogNormal
from bayesinf.settings import Settings
from bayesinf.systems.thomson_surrogate.data import simulate, spectrum
from bayesinf.systems.thomson_surrogate.fitting import fit, problem
from bayesinf.systems.thomson_surrogate.model import PRIORS
from bayesinf.systems.thomson_surrogate.spectrum import Setup

__all__ = ["calibration_problem"]

ALL = PRIORS | {"photons": LogNormal(10000.0, 0.3), "background": LogNormal(10.0, 0.5)}
SHIFT = np.linspace(-1.0, 1.0, 81)  # nm
VARIANTS = ("spectrum",)


def calibration_problem(variant: str | None = None) -> Machine:
    """State the problem for simulation-based calibration."""
    variant = variant_of(variant, VARIANTS)
    return Machine(
        name=f"thomson_surrogate ({variant})",
        simulate=_simulate,
        fit=_fit,
        settings=Settings(draws=100, chains=4, prior_draws=4, workers=1),
        log_likelihood=_log_likelihood,
    )


def _simulate(rng):
    stated = problem(spectrum(SHIFT, np.ones(len(SHIFT)), Setup()), priors=ALL)
    truth = {name: np.float64(values[0]) for name, values in stated.sample_prior(rng, 1).items()}
    return truth, simulate(truth, shift=SHIFT, rng=rng)


def _fit(data, settings):
    return fit(data, priors=ALL, settings=settings)


def _log_likelihood(truth, data):
    return float(problem(data, priors=ALL).total(truth))
