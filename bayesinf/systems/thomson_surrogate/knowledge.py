"""What is known of a plasma, parameter by parameter and in combinations, and by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import annotated, dataset
from bayesinf.priors import Prior
from bayesinf.settings import DEFAULT
from bayesinf.systems.thomson_surrogate import plasma as physics
from bayesinf.systems.thomson_surrogate.data import counts_of, spectrometer_of
from bayesinf.systems.thomson_surrogate.features import FEATURES, Features
from bayesinf.systems.thomson_surrogate.model import priors_of
from bayesinf.systems.thomson_surrogate.plasma import UNITS
from bayesinf.systems.thomson_surrogate.spectrum import Setup

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["COMBINED", "classical", "combined", "with_knowledge"]

COMBINED = {
    "acoustic speed": "km/s",
    "Z T_e / m_i": "eV/u",
    "T_i / m_i": "eV/u",
    "Z T_e / T_i": "1",
    "α": "1",
}


def combined(draws: Mapping[str, np.ndarray], setup: Setup) -> dict[str, np.ndarray]:
    """Return what peaks depend on: combinations of parameters, in units of ``COMBINED``.

    Parameters
    ----------
    draws : parameter to (...).
    setup : of the experiment, whose k is that of the waves.
    """
    k = setup.wave_number
    electrons = draws["charge"] * draws["electron_temperature"]
    found = (
        physics.acoustic_speed(k, draws) / physics.SPEED,
        electrons / draws["ion_mass"],
        draws["ion_temperature"] / draws["ion_mass"],
        electrons / draws["ion_temperature"],
        physics.alpha(k, draws),
    )
    return dict(zip(COMBINED, found, strict=True))


def with_knowledge(found: xr.DataTree, setup: Setup) -> xr.DataTree:
    """Return a fit with the note ``known``: how much narrower the posterior is than the prior.

    Parameters
    ----------
    found : InferenceData; a copy comes back.
    setup : of the experiment.

    Returns
    -------
    InferenceData; ``noted(fit, "known")`` has by ``quantity`` the ``prior_sd`` and the ``sd`` of
    parameters and combinations, relative ones of positive quantities, and the ``correlation`` of
    the parameters (parameter, other) under the posterior.
    """
    sides = []
    for group in ("prior", "posterior"):
        draws = {n: found[group][n].values.ravel() for n in UNITS}
        sides.append(draws | combined(draws, setup))
    positive = {n: np.all(sides[1][n] > 0) and np.all(sides[0][n] > 0) for n in sides[0]}
    of_prior, of_posterior = (
        [np.std(np.log(v) if positive[n] else v) for n, v in side.items()] for side in sides
    )
    with np.errstate(invalid="ignore"):  # where weights have left one draw there is none
        correlation = np.corrcoef([sides[1][n] for n in UNITS])
    names = list(UNITS)
    return annotated(
        found,
        known=dataset(
            {"prior_sd": np.array(of_prior), "sd": np.array(of_posterior), "r": correlation},
            {"prior_sd": ("quantity",), "sd": ("quantity",), "r": ("parameter", "other")},
            {"quantity": list(sides[0]), "parameter": names, "other": names},
            sampled=False,
        ),
    )


def classical(data: xr.Dataset, priors: Mapping[str, Prior] | None = None) -> xr.Dataset:
    """Read the electron temperature off the peaks by hand: the fluid's formula, all else as usual.

        Δλ / 2 = λ² k c / 2πc₀,   c² = (Z T_e α²/(1 + α²) + 3 T_i) / m_i

    Parameters
    ----------
    data : spectrum.
    priors : whose medians stand for what the formula takes as known; None for the default.

    Returns
    -------
    Dataset with ``electron_temperature`` and its error by the photons' noise in the separation
    alone; NaN where the formula has none.
    """
    spectrometer = spectrometer_of(data)
    setup = spectrometer.setup
    seen = Features(spectrometer).seen(counts_of(data), DEFAULT.generator("features"))
    k = list(FEATURES).index("separation")
    medians = {name: prior.from_normal(0.0) for name, prior in priors_of(data, priors).items()}
    error = np.sqrt(seen.covariance[k, k])
    ends = seen.value[k] + error * np.array([-1.0, 0.0, 1.0])
    speed = ends / 2 / abs(setup.shift_of(1.0))
    low, middle, high = physics.temperature_at(speed, setup.wave_number, medians)
    found = {"electron_temperature": middle, "electron_temperature_error": (high - low) / 2}
    return dataset(found, units=dict.fromkeys(found, "eV"), sampled=False)
