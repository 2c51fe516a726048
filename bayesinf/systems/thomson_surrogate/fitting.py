"""From a spectrum to a posterior of the plasma: by every channel, or by three features."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.inference.kinds import FIFTYFOLD, Question, asked
from bayesinf.models import problem as driver
from bayesinf.posterior import noted
from bayesinf.priors import Prior
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.thomson_surrogate.knowledge import classical, with_knowledge
from bayesinf.systems.thomson_surrogate.model import Spectrum
from bayesinf.systems.thomson_surrogate.routes import log_evidence

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["fit", "plan", "problem"]

PRIOR_DRAWS = 400  # whose spectra make up a large part of a file
WEIGHED = 50  # draws of a chain from which an evidence follows to a tenth of a unit
LOOKED_AT = 100  # draws whose spectra are computed on a finer grid
RESOLVED = Question(
    "inner grid",
    "grid_error",
    "max",
    0.3,
    "≤",
    True,
    "on a grid twice as fine a channel moves by {value:.1g} of its photons' noise",
    "the peaks are too narrow to be computed so: state priors of a plasma whose waves are damped",
)


NUISANCES = ("photons", "background")  # whose default priors look at the counts
NUISANCE = Question(
    "stated photons and background",
    "nuisance_evidence",
    "max",
    FIFTYFOLD,
    "≤",
    True,
    "that photons and background are as the counts suggest, and not as stated, has a log Bayes "
    "factor of {value:.2g}",
    "leave their priors to the default, or state wider ones: what they may not explain, "
    "temperatures and flow do",
)


def problem(data: xr.Dataset, *, priors: Mapping[str, Prior] | None = None) -> Spectrum:
    """State the problem of a spectrum, every prior included; arguments as of ``fit``."""
    return Spectrum.of(data, priors)


def plan(method: str | None = None, settings: Settings = DEFAULT) -> tuple[str | None, Settings]:
    """Method and length that a spectrum can afford."""
    return method, settings.replace(prior_draws=min(settings.prior_draws, PRIOR_DRAWS))


def fit(
    data: xr.Dataset,
    *,
    priors: Mapping[str, Prior] | None = None,
    method: str | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer a plasma from the light that it scatters.

    Parameters
    ----------
    data : spectrum, as of ``simulate`` or ``read``.
    priors : parameter to its prior in place of the default.
    method : ``importance`` (the default), ``population`` or ``ensemble``.
    settings : length and seed.

    Returns
    -------
    InferenceData with the parameters of ``plasma.UNITS``, ``photons`` and ``background``.

    Raises
    ------
    DataError : a prior of no parameter. FitError : an unknown method; no density anywhere.
    """
    stated = problem(data, priors=priors)
    notes = {"truth": noted(data, "truth"), "classical": classical(data, priors)}
    found = driver.fit(stated, method, settings, system="thomson_surrogate", notes=notes)
    error, finer = _grid_error(stated, found), replace(stated, finer=2)
    if error > RESOLVED.limit and _grid_error(finer, found) <= RESOLVED.limit:
        # Twice as fine a grid resolves the peaks: the fit is made anew on it.
        found = driver.fit(finer, method, settings, system="thomson_surrogate", notes=notes)
        error = _grid_error(finer, found)
    found = asked(found, RESOLVED, error)
    plain = {name: prior for name, prior in (priors or {}).items() if name not in NUISANCES}
    if len(plain) < len(priors or {}):
        rival, few = (
            problem(data, priors=plain),
            settings.replace(draws=min(settings.draws, WEIGHED)),
        )
        with suppress(FitError):  # the rival describes nothing
            beyond = log_evidence(rival, few) - log_evidence(stated, few)
            found = asked(found, NUISANCE, beyond)
    return with_knowledge(found, stated.spectrometer.setup)


def _grid_error(stated, found):
    """By how much of its noise the counts of a channel change, on average, on a finer grid."""
    flat = {name: values.values.ravel() for name, values in found["posterior"].data_vars.items()}
    size = flat["photons"].size
    some = np.unique(np.linspace(0, size - 1, min(size, LOOKED_AT)).astype(int))
    draws = {name: values[some] for name, values in flat.items()}
    counts = stated.mean(draws)
    off = replace(stated, finer=2 * stated.finer).spectrometer.counts(draws) - counts
    return float(np.max(np.mean(np.abs(off) / np.sqrt(counts), axis=0)))
