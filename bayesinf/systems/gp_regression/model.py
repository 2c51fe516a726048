"""The process behind the data: what is stated of it, and the fit.

    y_i = m(x_i) + f(x_i) + ε_i,   f ~ GP(0, k),   ε_i ~ N(0, error_i² + noise²)

The kernel is written as ``matern52 + periodic(1.0) * se``; the mean is a constant, or a trend by
formula on it; the noise is inferred, stated, or grows along x.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.checks import loo
from bayesinf.errors import DataError
from bayesinf.inference import kinds
from bayesinf.models import gp
from bayesinf.models import problem as driver
from bayesinf.models.gp.coordinates import GROWS
from bayesinf.models.gp.signal import SIGNAL
from bayesinf.posterior import annotated, dataset
from bayesinf.priors import Prior
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.gp_regression import results
from bayesinf.systems.gp_regression.data import checked, known

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "KERNEL",
    "RIVALS",
    "chosen",
    "compared",
    "fit",
    "inferred",
    "noise_of",
    "plan",
    "predict",
    "problem",
]

KERNEL = "se"
# Data times draws of a chain, and the draws that are taken of however many data: with 100 a fit of
# 100 000 points had too few effective ones to be believed.
MOST, LEAST = 4_000_000, 400
FEW = 500  # points up to which it is asked whether noise that is stated is too small
RIVALS = ("se", "matern52", "matern32")  # compared where nobody asks for a kernel


def problem(
    data: xr.Dataset,
    kernel: str | gp.kernels.Kernel = KERNEL,
    *,
    trend: str | None = None,
    noise: Prior | float | str | None = None,
    priors: Mapping[str, Prior] | None = None,
    workers: int | None = None,
) -> gp.Process:
    """State the process; arguments as for ``fit``."""
    mean = "constant" if trend is None else f"trend({trend}) + constant"
    if trend is None and data.attrs.get("mean") == "zero":
        mean = "zero"
    return gp.process(checked(data), kernel, mean, noise=noise, priors=priors, workers=workers)


def fit(
    data: xr.Dataset,
    kernel: str | gp.kernels.Kernel = KERNEL,
    *,
    trend: str | None = None,
    noise: Prior | float | str | None = None,
    priors: Mapping[str, Prior] | None = None,
    held_out: xr.Dataset | None = None,
    method: str | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer length scales, amplitudes, noise and mean of a Gaussian process.

    Parameters
    ----------
    data : as of ``simulate`` or ``read``.
    kernel : as it is written, or of ``bayesinf.models.gp.kernels``.
    trend : by formula, as ``t + t**2``, on a constant; None for the constant alone.
    noise : a number (0 for values that are exact), a prior, ``grows`` along x, ``signal`` for noise
        that grows with the signal, or None for the default prior.
    priors : name of a parameter to its prior; else those of ``gp.process``.
    held_out : data of the same columns, which are predicted and scored.
    method : as for ``gp.fit``.
    settings : length and seed.

    Returns
    -------
    InferenceData of ``gp.fit``. Beside it stand ``curve`` (of one input: what is known of it over
    the data, and what maximum likelihood makes of it), ``classical`` (the estimates of that),
    ``parts`` of a sum of kernels, ``steps`` (the band as the points come in), ``truth``, where it
    is known, and ``forecast`` of what was held out. Where the true curve is known the checks ask
    whether the band covers it; where the noise is stated, whether the evidence is for more.
    """
    stated = {"trend": trend, "noise": noise, "priors": priors}
    found, process = inferred(data, kernel, method=method, settings=settings, **stated)
    return results.beside(found, process, held_out, settings)


def inferred(
    data: xr.Dataset,
    kernel: str | gp.kernels.Kernel = KERNEL,
    *,
    method: str | None = None,
    settings: Settings = DEFAULT,
    **options,
) -> tuple[xr.DataTree, gp.Process]:
    """Infer as ``fit`` does, without what stands beside it for the report, most of the time.

    Parameters
    ----------
    data, kernel, method, settings, **options : as for ``fit``.

    Returns
    -------
    InferenceData of ``gp.fit``, which the checks ask what they ask of ``fit`` (but for the true
    curve), and the process.
    """
    stated = problem(data, kernel, workers=settings.workers, **options)
    written = kernel if isinstance(kernel, str) else type(kernel).__name__
    attrs = {"written": written, "log": int(data.attrs.get("log", 0))}
    attrs |= {"log_of": data.attrs["log_of"]} if "log_of" in data.attrs else {}
    attrs |= {"curve": data.attrs["curve"]} if "curve" in data.attrs else {}
    notes = {"truth": known(data)}
    found = driver.fit(stated, method, settings, system="gp_regression", notes=notes, attrs=attrs)
    if gp.NOISE not in stated.fixed or len(stated.y) > FEW:
        return found, stated
    rival = problem(data, kernel, **options | {"noise": None})
    beyond = gp.log_evidence(rival, settings) - gp.log_evidence(stated, settings)
    return kinds.asked(found, gp.questions.NOISE_BEYOND, beyond), stated


def predict(found: xr.DataTree, new: xr.Dataset) -> xr.DataTree:
    """Predict at new places: the curve, and data.

    Parameters
    ----------
    found : what ``fit`` returned.
    new : places, as of ``new_rows``.

    Returns
    -------
    the fit with the group ``predictions``: draws of the curve as ``mean``, and of new data under
    the name of y, (chain, draw, new_row), in the unit of y also where its logarithm was fitted. New
    data have the noise that was inferred, and no error bar beside it.
    """
    return results.predicted(found, new)


def plan(
    data: xr.Dataset, method: str | None = None, settings: Settings = DEFAULT
) -> tuple[str | None, Settings]:
    """Return method and settings whose draws of such data can be afforded: fewer of many."""
    draws = min(settings.draws, max(LEAST, MOST // data.sizes["point"]))
    return method, settings.replace(draws=draws)


def chosen(
    job: Mapping[str, object], fits: Mapping[str, xr.DataTree], settings: Settings = DEFAULT
) -> xr.DataTree:
    """Return the fit of the kernel with the largest evidence, the comparison beside it.

    Parameters
    ----------
    job : the arguments of ``fit`` that all had in common.
    fits : kernel to its fit; of one alone there is nothing to compare.
    settings : its seed.
    """
    if len(fits) == 1:
        return next(iter(fits.values()))
    stated = {name: job.get(name) for name in ("trend", "noise", "priors")}
    note = compared(job["data"], fits, settings=settings, **stated)
    best = list(fits)[int(np.argmax(note["log_evidence"].values))]
    return annotated(fits[best], comparison=note)


def compared(
    data: xr.Dataset, fits: Mapping[str, xr.DataTree], *, settings: Settings = DEFAULT, **options
) -> xr.Dataset:
    """Compare kernels by their evidence and by leave-one-out.

    Parameters
    ----------
    data, settings, **options : as for ``fit``, of all of them.
    fits : kernel to its fit.

    Returns
    -------
    a Dataset over ``rival``: ``log_evidence`` (Laplace's, hyperparameters integrated out), ``elpd``
    with how far it is ``behind`` the best and the standard error of that, ``behind_se``, and the
    largest Pareto k̂, ``pareto_k``.
    """
    evidence = [gp.log_evidence(problem(data, kernel, **options), settings) for kernel in fits]
    scores = [loo(one) for one in fits.values()]
    best = max(scores, key=lambda one: one["elpd"])
    behind = [best["pointwise"] - one["pointwise"] for one in scores]
    arrays = {
        "log_evidence": np.array(evidence),
        "elpd": np.array([one["elpd"] for one in scores]),
        "behind": np.array([one.sum() for one in behind]),
        "behind_se": np.array([np.sqrt(one.size) * one.std() for one in behind]),
        "pareto_k": np.array([one["pareto_k"].max() for one in scores]),
    }
    dims = dict.fromkeys(arrays, ("rival",))
    return dataset(arrays, dims, {"rival": list(fits)}, sampled=False)


def noise_of(text: str | None) -> float | str | None:
    """Read the noise that the command line states: a number, ``grows``, ``signal``, or nothing.

    Raises
    ------
    DataError : anything else.
    """
    if text in (None, GROWS, SIGNAL):
        return text
    try:
        found = float(text)
    except ValueError:
        found = np.nan
    if not 0 <= found < np.inf:
        raise DataError(
            "--noise cannot be read", expected="a number from 0, grows, or signal", found=text
        )
    return found
