"""Every sampler on every target of known moments: what the checks say, and if that is right."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.checks import check
from bayesinf.errors import FitError
from bayesinf.models import density
from bayesinf.models import problem as driver
from bayesinf.posterior import dataset
from bayesinf.priors import Uniform
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.metropolis.accepted import COVARIANCE, MEAN
from bayesinf.systems.metropolis.samplers import SAMPLERS, route
from bayesinf.systems.metropolis.targets import TARGETS, normal

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["RIGHT", "drawn", "trial"]

RIGHT = 0.2  # sd of a mean, and share of an sd, to which draws must have the known moments
SHOWN = 400  # draws of each that the picture shows


def trial(settings: Settings = DEFAULT) -> xr.Dataset:
    """Run every sampler on every target, and hold its draws to the known moments.

    Parameters
    ----------
    settings : length and seed.

    Returns
    -------
    Dataset over ``target`` and ``sampler``: ``bias`` of a mean in sd and ``ratio`` of an sd, those
    that are farthest off, whether the draws are ``right`` and whether they are ``believed``, what
    ``failed``, the smallest effective ``size``, ``seconds``; and ``shown``, a few draws.
    """
    targets = {"normal": normal(MEAN, COVARIANCE, ("x", "y")), **TARGETS}
    shape = len(targets), len(SAMPLERS)
    columns = {name: np.full(shape, np.nan) for name in ("bias", "ratio", "size", "seconds")}
    columns |= {name: np.zeros(shape, dtype=bool) for name in ("right", "believed")}
    failed = np.empty(shape, dtype="<U200")
    shown = np.full((*shape, SHOWN, 2), np.nan)
    for i, target in enumerate(targets.values()):
        for j, sampler in enumerate(SAMPLERS):
            started = time.perf_counter()
            fit = drawn(target, sampler, settings)
            judged = check(fit)
            draws = np.stack([fit["posterior"][name].values.ravel() for name in target.names])
            bias, ratio = _moments(draws, target)
            columns["seconds"][i, j] = time.perf_counter() - started
            columns["bias"][i, j], columns["ratio"][i, j] = bias, ratio
            columns["right"][i, j] = abs(bias) <= RIGHT and abs(np.log(ratio)) <= np.log1p(RIGHT)
            columns["believed"][i, j] = judged.believed
            columns["size"][i, j] = _size(judged, fit)
            failed[i, j] = ", ".join(c.name for c in judged.checks if c.required and not c.passed)
            some = np.linspace(0, draws.shape[1] - 1, SHOWN).astype(int)
            shown[i, j] = draws[:2, some].T
    lead = ("target", "sampler")
    return dataset(
        {**columns, "failed": failed, "shown": shown, "trap": [t.trap for t in targets.values()]},
        {
            **dict.fromkeys([*columns, "failed"], lead),
            "shown": (*lead, "point", "coordinate"),
            "trap": ("target",),
        },
        {"target": list(targets), "sampler": list(SAMPLERS)},
        {"seconds": "s"},
        sampled=False,
    )


def drawn(target, sampler: str, settings: Settings) -> xr.DataTree:
    """Return one sampler's draws of one target, as a fit like any other.

    Raises
    ------
    FitError : an unknown sampler.
    """
    if sampler not in SAMPLERS:
        raise FitError(f"unknown sampler {sampler!r}: use one of {', '.join(SAMPLERS)}")
    size = len(target.names)

    def log_likelihood(**values):
        return target.log_density(np.stack([values[name] for name in target.names], axis=-1))

    box = dict.fromkeys(target.names, Uniform(-target.box, target.box))
    stated = density.LogDensity(box, log_likelihood, vectorised=True)
    problem = density.problem(stated, name=f"{target.name} ({size} coordinates)")
    return driver.fit(problem, route(sampler, target), settings.replace(prior_draws=4))


def _moments(draws, target):
    """The mean that is farthest off, in sd, and the ratio of sds that is."""
    judged = np.isfinite(target.mean)
    bias = (draws.mean(axis=1)[judged] - target.mean[judged]) / target.sd[judged]
    ratio = draws.std(axis=1)[judged] / target.sd[judged]
    return bias[np.argmax(np.abs(bias))], ratio[np.argmax(np.abs(np.log(ratio)))]


def _size(judged, fit):
    """The smallest effective sample size, or what the walkers' autocorrelation time leaves."""
    sizes = [each.value for each in judged.checks if each.name.endswith("ESS")]
    if sizes:
        return min(sizes)
    evidence = fit["sample_stats"]
    walkers = fit["posterior"].sizes["chain"]
    return walkers * float(evidence["steps"]) / float(evidence["autocorrelation_time"].max())
