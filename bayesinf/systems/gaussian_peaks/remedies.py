"""Where a fit is not like its data: which other model is, and how many peaks there are.

Other likelihoods are tried, and the best of those that pass their checks may carry the answer: the
peaks that were asked for, with honest errors. Another curve, with a peak more or a background that
bends, answers another question: it is named as the cause, and not taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.checks import PREDICTIVE_P, check, loo, p_values
from bayesinf.data import axes
from bayesinf.errors import BayesinfError
from bayesinf.models.likelihoods import LIKELIHOODS
from bayesinf.posterior import noted
from bayesinf.settings import Settings
from bayesinf.systems.gaussian_peaks.choice import row_of
from bayesinf.systems.gaussian_peaks.lines import POLYNOMIALS, Lines
from bayesinf.systems.gaussian_peaks.model import fit

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["best_count", "counts", "explained"]

BETTER = 4.0  # elpd by which a richer curve must be ahead; less says nothing
SURE = 2.0  # standard errors of that difference, likewise

# Which likelihoods allow what the residuals show.
ALLOW = {
    "residual spread": ("proportional", "shot"),
    "residual memory": ("correlated", "proportional+correlated", "shot+correlated"),
    "largest residual": ("student", "proportional", "shot"),
    "residual tails": ("student", "proportional", "shot"),
    "residual skewness": ("student", "proportional", "shot"),
}
OF_COUNTS = ("negbinomial",)


def explained(
    spectrum: xr.Dataset,
    found: xr.DataTree,
    model: Mapping[str, object],
    settings: Settings,
    map_: Callable = map,
) -> tuple[xr.DataTree, dict[str, xr.DataTree]]:
    """Look for what a fit leaves out, where its residuals are not those of its replicas.

    Parameters
    ----------
    spectrum : the data.
    found : its fit, by emcee.
    model : the options of that fit.
    settings : length and seed.
    map_ : applies a function to jobs, as ``Run.map`` does.

    Returns
    -------
    the fit, with the cause in its root attribute ``cause`` where one is found, and the fit of the
    likelihood that explains the residuals, by its name, where one does.
    """
    failing = _failing(found)
    if not failing or model.get("likelihood") is not None:
        return _with(found, cause=_words(spectrum, found, failing)), {}
    lines, own = Lines.of(found), str(found.attrs["likelihood"])
    likelihoods = (
        OF_COUNTS
        if not LIKELIHOODS[own].noisy
        else sum((ALLOW.get(name, ()) for name in failing), ())
    )
    likelihoods = [name for name in dict.fromkeys(likelihoods) if name != own]
    richer = {f"likelihood {name}": {"likelihood": name} for name in likelihoods}
    curves = _richer(lines, model)
    jobs = [dict(model) | change for change in (*richer.values(), *curves.values())]
    one = partial(_tried, spectrum, settings)
    fits = dict(zip((*richer, *curves), map_(one, jobs), strict=True))
    fits = {name: each for name, each in fits.items() if each is not None}
    passing = {name: each for name, each in fits.items() if check(each).believed}
    ahead = sorted(passing, key=lambda name: -loo(passing[name])["elpd"])
    elsewhere = [name for name in ahead if name in curves and _ahead(passing[name], found)]
    likely = [name for name in ahead if name in richer]
    best = {name: loo(passing[name])["elpd"] for name in (*elsewhere[:1], *likely[:1])}
    if elsewhere and best[elsewhere[0]] > best.get(next(iter(likely), ""), -np.inf) - BETTER:
        cause = f"{elsewhere[0]} explains it: {_gain(passing[elsewhere[0]], found)}"
        return _with(found, cause=cause), {}
    if likely:
        name = richer[likely[0]]["likelihood"]
        why = (
            f"With {own} noise the data's {' and '.join(failing)} could not be believed; "
            f"a {name} likelihood explains it ({_gain(passing[likely[0]], found)})."
        )
        said = " ".join(part for part in (found.attrs["why"], why) if part)
        cause = f"take the {name} likelihood, which explains it"
        taken = _with(passing[likely[0]], why=said)
        return _with(found, cause=cause), {name.replace("+", "-"): taken}
    return _with(found, cause=_words(spectrum, found, failing)), {}


def _with(found, **attrs):
    """The same fit with further root attributes."""
    copy = found.copy()
    copy.attrs = found.attrs | attrs
    return copy


def _failing(found):
    """The statistics that a fit's replicas do not have."""
    p = p_values(found)
    return [name for name, value in p.items() if value < PREDICTIVE_P / len(p)]


def _richer(lines, model):
    """Curves with a peak more, or a background that bends more; words to options."""
    found = {
        f"one more peak (--peaks {lines.peaks + 1})": {"peaks": lines.peaks + 1, "centers": ()}
    }
    order = list(POLYNOMIALS)
    if lines.background in order[:-2]:
        above = order[order.index(lines.background) + 1]
        found[f"a {above} background (--background {above})"] = {"background": above}
    if lines.shape == "gaussian":
        found["another shape (--shape pseudo-voigt)"] = {"shape": "pseudo-voigt"}
    return found


def _tried(spectrum, settings, options):
    try:
        return fit(spectrum, method="emcee", settings=settings, **options)
    except BayesinfError:  # a curve that the data do not determine explains nothing
        return None


def _difference(one, other):
    gap = loo(one)["pointwise"] - loo(other)["pointwise"]
    return float(gap.sum()), float(np.sqrt(gap.size) * gap.std())


def _gain(one, other):
    gap, error = _difference(one, other)
    return f"leave-one-out log density {gap:+.0f} ± {error:.0f}"


def _ahead(one, other):
    gap, error = _difference(one, other)
    return gap > max(BETTER, SURE * error)


def _words(spectrum, found, failing):
    """What to do where no other model was found."""
    if "largest residual" not in failing:
        return ""
    mean = noted(found, "curve")["mean"].to_numpy()
    off = np.abs(axes(spectrum)[1].to_numpy() - mean)
    return (
        f"look at {row_of(spectrum, int(np.argmax(off)))}, which lies farthest off, or take "
        "--likelihood student"
    )


# How many peaks


def counts(
    spectrum: xr.Dataset,
    numbers: range,
    model: Mapping[str, object],
    settings: Settings,
    map_: Callable = map,
) -> dict[int, xr.DataTree | str]:
    """Fit a spectrum with each number of peaks, by emcee.

    Returns
    -------
    number to its fit, or to the reason why there is none.
    """
    jobs = [dict(model) | {"peaks": number} for number in numbers]
    return dict(zip(numbers, map_(partial(_counted, spectrum, settings), jobs), strict=True))


def _counted(spectrum, settings, options):
    try:
        return fit(spectrum, method="emcee", settings=settings, **options)
    except BayesinfError as error:
        return str(error)


def best_count(fits: Mapping[int, xr.DataTree]) -> int:
    """Return the number of peaks that predicts best by leave-one-out.

    A peak more must be ahead by ``BETTER`` and by ``SURE`` standard errors of the difference;
    Sivula, Magnusson, Matamoros & Vehtari, Bayesian Analysis (2025), doi:10.1214/25-BA1569.
    """
    numbers = sorted(fits)
    best = numbers[0]
    for number in numbers[1:]:
        best = number if _ahead(fits[number], fits[best]) else best
    return best
