"""How the spectra of a batch scatter, as its first ones show: counts, or normal noise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bayesinf.data import curve_from_arrays
from bayesinf.data.spectra import Source, Spectrum
from bayesinf.errors import DataError, FitError
from bayesinf.models.likelihoods import NOISE
from bayesinf.systems.gaussian_peaks.batch.fitting import fit_portion
from bayesinf.systems.gaussian_peaks.batch.statement import Model
from bayesinf.systems.gaussian_peaks.choice import counted

__all__ = ["FIRST", "chosen"]

FIRST = 20  # spectra that are looked at before the others
DISPERSED = 1e-4  # p-value of the dispersion, below which a spectrum scatters otherwise
LOCAL = 0.25  # logarithm by which neighbours may scatter more or less than counts do


def chosen(source: Source, options: Mapping[str, object]) -> tuple[str, str]:
    """Choose the likelihood of a batch where none is asked for.

    Whole numbers without error bars, or with bars that are their square roots, are counts, where
    most of the first spectra scatter as such about their curves, or about their own neighbours.

    Parameters
    ----------
    source : of the spectra.
    options : of ``Model``, the likelihood aside.

    Returns
    -------
    normal or poisson, and what was noticed, "" for nothing.
    """
    some = [one for one in source.part(0, min(len(source), FIRST)).read() if not one.reason]
    if not some or NOISE in (options.get("priors") or {}) or not all(map(_counts, some)):
        return "normal", ""
    seen = "the spectra hold whole numbers, as counts do"
    try:
        p = fit_portion(some, Model(**options, likelihood="poisson"))["p_value"][:, -1]
    except (DataError, FitError):
        return "normal", ""
    p = p[np.isfinite(p)]
    if len(p) and np.median(p) > DISPERSED:
        return "poisson", f"{seen}, and scatter about their curves as counts: a Poisson likelihood"
    local = _local([one.y for one in some])
    if abs(np.log(max(local, 1e-6))) < LOCAL:
        scatter = f"neighbours scatter {local:.2f} times as counts do"
        return "poisson", f"{seen}, and {scatter}: a Poisson likelihood"
    return "normal", (
        f"{seen}, but neighbours scatter {local:.2f} times as counts do: normal noise of one size "
        "for each spectrum"
    )


def _counts(one: Spectrum) -> bool:
    """Whether a spectrum holds counts, one for each 1 of y."""
    if not np.isfinite(one.y).all() or np.any(one.y < 0) or np.any(one.y != np.round(one.y)):
        return False
    if one.error is None:
        return True
    try:
        return counted(curve_from_arrays(one.x, one.y, one.error))[0] == 1.0
    except DataError:
        return False


def _local(spectra):
    """How much neighbours differ, over what counts of their size do."""
    square = whole = 0.0
    for y in spectra:
        middle, around = y[1:-1], (y[:-2] + y[2:]) / 2
        square += np.sum((middle - around) ** 2)
        whole += np.sum(middle + around / 2)
    return square / max(whole, 1.0)
