"""Calibration: spectra of plasmas drawn from the prior, fitted by all channels or by features."""

from __future__ import annotations

from functools import cache, partial

import numpy as np

from bayesinf.calibration import Machine, variant_of
from bayesinf.priors import LogNormal
from bayesinf.settings import Settings
from bayesinf.systems.thomson_surrogate.data import simulate, spectrum
from bayesinf.systems.thomson_surrogate.fitting import fit, problem
from bayesinf.systems.thomson_surrogate.inverse import fit_features
from bayesinf.systems.thomson_surrogate.model import PRIORS
from bayesinf.systems.thomson_surrogate.plasma import UNITS
from bayesinf.systems.thomson_surrogate.spectrum import Setup, Spectrometer
from bayesinf.systems.thomson_surrogate.surrogate import train

__all__ = ["calibration_problem"]

ALL = PRIORS | {"photons": LogNormal(10000.0, 0.3), "background": LogNormal(10.0, 0.5)}
SHIFT = np.linspace(-1.0, 1.0, 81)  # nm
VARIANTS = ("spectrum", "features")


def calibration_problem(variant: str | None = None) -> Machine:
    """State the problem for simulation-based calibration.

    ``spectrum``: every channel is asked; ``features``: three features, by one network.
    """
    variant = variant_of(variant, VARIANTS)
    whole = variant == "spectrum"
    return Machine(
        name=f"thomson_surrogate ({variant})",
        simulate=partial(_simulate, list(ALL if whole else UNITS)),
        fit=_fit if whole else _fit_features,
        settings=Settings(draws=100, chains=4, prior_draws=4, workers=1),
        log_likelihood=_log_likelihood if whole else None,
    )


def _simulate(judged, rng):
    stated = problem(spectrum(SHIFT, np.ones(len(SHIFT)), Setup()), priors=ALL)
    truth = {name: np.float64(values[0]) for name, values in stated.sample_prior(rng, 1).items()}
    return {name: truth[name] for name in judged}, simulate(truth, shift=SHIFT, rng=rng)


def _fit(data, settings):
    return fit(data, priors=ALL, settings=settings)


def _fit_features(data, settings):
    return fit_features(data, _network(), settings=settings)


@cache
def _network():
    return train(Spectrometer(Setup(), SHIFT), settings=Settings(draws=100, prior_draws=4))


def _log_likelihood(truth, data):
    return float(problem(data, priors=ALL).total(truth))
