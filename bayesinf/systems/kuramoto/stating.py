"""Phases to a posterior: which problem is stated, and what stands beside its fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.checks import loo
from bayesinf.errors import DataError
from bayesinf.models import linear
from bayesinf.models import problem as driver
from bayesinf.posterior import annotated, dataset, noted
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.kuramoto.data import per_time
from bayesinf.systems.kuramoto.drift import Increments, Path
from bayesinf.systems.kuramoto.lag import CommonLag
from bayesinf.systems.kuramoto.model import Network, least_squares
from bayesinf.systems.kuramoto.results import summary

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["PRIORS", "fit", "network"]

# What is known of the couplings beforehand: of each pair alone, that most are none, or that all
# sources pull an oscillator alike (the mean field).
PRIORS = ("normal", "spike_and_slab", "mean_field")
ROUNDS = 2  # fits by which the path between two instants is found


def fit(
    phases: xr.Dataset,
    prior: str | linear.WeightPrior = "normal",
    *,
    lag: float | None = None,
    stride: int = 1,
    along_path: bool = True,
    method: str | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer frequencies, couplings, lag and noise from phases.

    Parameters
    ----------
    phases : Dataset of phases, as of ``simulate`` or ``read``.
    prior : one of ``PRIORS``, or a prior of weights of the caller's.
    lag : α where it is known; None to infer it: under a normal prior the one α of the model, under
        others through a sine and a cosine part of every coupling.
    stride : every so many-th sample is used.
    along_path : whether sines are averaged along the path between two instants; else they are taken
        at the first, the forward difference.
    method : None for the prior's own route, or ``nuts``.
    settings : length and seed.

    Returns
    -------
    InferenceData with ``omega`` and ``sigma`` (oscillator), ``K`` (pair), or (oscillator) in a mean
    field, and ``alpha`` where it is inferred; under priors that are not normal, with a lag to be
    inferred, ``sine`` and ``cosine`` (pair), K cos α and K sin α, in their place. The note
    ``network`` has K and α of every prior alike, and how much of each coupling the data decide.

    Raises
    ------
    DataError : too few instants.
    """
    problem = network(phases, prior, lag=lag, stride=stride, along_path=along_path)
    every = noted(phases, "truth")
    every = None if every is None else problem.told(every)
    truth = couplings = None
    if every is not None:
        truth = every[[name for name in problem.parameters_known if name in every]]
        couplings = every[["K", "alpha"]] if {"K", "alpha"} <= {*every} else None
    runs, rows = phases.sizes["run"], len(problem.data_rows.interval)
    used = f"The fit is to {rows} increments of {problem.count} phases in "
    used += "1 run" if runs == 1 else f"{runs} runs"
    if gaps := problem.data_rows.gaps:
        used += f", without {gaps} over {'a gap' if gaps == 1 else 'gaps'} in the times"
    found = driver.fit(
        problem,
        method,
        settings,
        system="kuramoto",
        notes={"truth": truth, "couplings": couplings},
        attrs={"data_used": f"{used}.", "along_path": int(along_path), "stride": stride},
    )
    scored = loo(found)
    left_out = {name: np.float64(scored[name]) for name in ("elpd", "se")}
    return annotated(
        found, left_out=dataset(left_out, sampled=False), network=summary(problem, found)
    )


def network(
    phases: xr.Dataset,
    prior: str | linear.WeightPrior = "normal",
    *,
    lag: float | None = None,
    stride: int = 1,
    along_path: bool = True,
    priors: Mapping[str, object] | None = None,
) -> Network:
    """State the problem, every prior included; arguments as of ``fit``.

    ``priors`` replaces those of ``omega``, ``sigma`` and, of a normal prior, ``scale`` and
    ``alpha``, which is even on half a circle.
    """
    data = Increments.of(phases, stride)
    rows, count = data.shape
    if rows < 10:
        raise DataError("there are too few instants", expected="more than ten", found=rows + 1)
    pattern = np.ones((count - 1, 1)) if prior == "mean_field" else None
    drift = None
    for _ in range(ROUNDS if along_path else 0):
        drift = least_squares(Path.of(data, drift), data, lag)
    names, units = phases["oscillator"].values, (per_time(phases), per_time(phases, "√"))
    normal = prior in ("normal", "mean_field") or isinstance(prior, linear.Gaussian)
    kind = CommonLag if lag is None and normal else Network
    return kind(data, Path.of(data, drift), prior, lag, pattern, names, units, dict(priors or {}))
