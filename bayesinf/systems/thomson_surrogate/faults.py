"""Faults that the checks of a fit should see: spectra, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import annotated, dataset
from bayesinf.priors import LogNormal
from bayesinf.settings import Settings
from bayesinf.systems.thomson_surrogate.data import CHANNELS, TRUTH, spectrum
from bayesinf.systems.thomson_surrogate.fitting import fit
from bayesinf.systems.thomson_surrogate.model import PRIORS
from bayesinf.systems.thomson_surrogate.spectrum import Setup, Spectrometer

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["faults"]

SETTINGS = Settings(draws=250, chains=4, prior_draws=10, workers=1)
TRACE = LogNormal(1e-3, 0.1)  # counts of a background that is as good as none
LIGHT = {"ion_mass": 2.0, "charge": 1.0}  # of a second ion
RIPPLE = 0.15  # share of the counts by which a detector's channels differ


def faults() -> dict[str, Callable[[np.random.Generator], xr.DataTree]]:
    """Fault to a function from a generator to a fit of data that have it; ``none`` has none."""
    return {
        "none": _fitted,
        "none, of few photons": partial(_fitted, photons=3000.0),
        "an instrument twice as wide as stated": partial(_fitted, seen_by=Setup(width=0.12)),
        "an instrument half as wide as stated": partial(_fitted, seen_by=Setup(width=0.03)),
        "a background that is left out": partial(_fitted, priors={"background": TRACE}),
        "a background that slopes": partial(_fitted, change=_sloped),
        "a second, lighter ion": partial(_fitted, change=_second),
        "light of the probe itself": partial(_fitted, change=_stray),
        "channels that differ by 15 %": partial(_fitted, change=_rippled),
        "photons that are counted tenfold": partial(_fitted, change=_tenfold, photons=2000.0),
    }


def _fitted(rng, change=None, seen_by=Setup(), photons=TRUTH["photons"], priors=None):
    """A fit of the counts that ``change`` makes, of a plasma of the prior, with that plasma."""
    while True:
        truth = {name: float(prior.sample(rng)) for name, prior in PRIORS.items()}
        truth |= {"photons": photons, "background": TRUTH["background"]}
        spectrometer = Spectrometer(seen_by, CHANNELS)
        mean = spectrometer.counts(truth)
        if np.isfinite(mean).all():
            break
    counts = rng.poisson(mean) if change is None else change(rng, mean, spectrometer, truth)
    settings = SETTINGS.replace(seed=int(rng.integers(2**31)))
    found = fit(spectrum(CHANNELS, counts, Setup()), priors=priors, settings=settings)
    sought = {name: np.float64(truth[name]) for name in PRIORS}
    return annotated(found, truth=dataset(sought, sampled=False))


def _sloped(rng, mean, spectrometer, truth):
    return rng.poisson(mean + 10 * truth["background"] * np.linspace(0, 1, len(mean)))


def _second(rng, mean, spectrometer, truth):
    """A third of the photons from a part of the plasma that is of another ion."""
    other = spectrometer.counts(truth | LIGHT | {"photons": truth["photons"] / 2, "background": 0})
    return rng.poisson(mean + np.nan_to_num(other))


def _stray(rng, mean, spectrometer, truth):
    """A tenth of the photons at the probe's wavelength, as wide as the instrument."""
    line = np.exp(-0.5 * (CHANNELS / 0.0255) ** 2)
    return rng.poisson(mean + 0.1 * truth["photons"] * line / line.sum())


def _rippled(rng, mean, spectrometer, truth):
    return rng.poisson(mean * np.exp(RIPPLE * rng.standard_normal(len(mean))))


def _tenfold(rng, mean, spectrometer, truth):
    return 10 * rng.poisson(mean)
