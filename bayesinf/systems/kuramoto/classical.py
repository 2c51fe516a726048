"""The classical side: least squares on forward differences, correlations, phase-locking values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import annotated, dataset, noted
from bayesinf.systems.kuramoto.data import coordinates, pairs, per_time
from bayesinf.systems.kuramoto.drift import Increments, Path
from bayesinf.systems.kuramoto.model import least_squares

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["classical", "with_classical"]


def classical(phases: xr.Dataset, *, lag: float | None = None, stride: int = 1) -> xr.Dataset:
    """Estimate couplings from differences between instants, and score pairs by what moves alike.

    Parameters
    ----------
    phases, lag, stride : as of ``fit``.

    Returns
    -------
    Dataset with ``sine`` and ``cosine`` (pair), K cos α and K sin α by least squares of
    (θ(t + Δt) − θ(t)) / Δt on sines and cosines at t; ``correlation`` (pair) of the velocities; and
    ``locking`` (pair), |mean of e^{i(θ_i − θ_j)}| (Lachaux et al., Hum. Brain Mapp. 8, 194
    (1999)).
    """
    data = Increments.of(phases, stride)
    drift = least_squares(Path.of(data, None), data, lag)
    coupling = pairs(drift.pull.T * data.shape[1])
    velocity = data.velocity - data.velocity.mean(axis=0)
    size = np.linalg.norm(velocity, axis=0)
    alike = velocity.T @ velocity / np.maximum(np.outer(size, size), np.finfo(float).tiny)
    turned = np.exp(1j * data.theta)
    locked = np.abs(turned.T @ turned.conj()) / len(turned)
    arrays = {
        "sine": coupling.real,
        "cosine": -coupling.imag,
        "correlation": pairs(alike),
        "locking": pairs(locked),
    }
    per = per_time(phases)
    dims, coords = dict.fromkeys(arrays, ("pair",)), coordinates(phases["oscillator"].values)
    return dataset(arrays, dims, coords, {"sine": per, "cosine": per}, sampled=False)


def with_classical(
    fits: Mapping[str, xr.DataTree],
    phases: xr.Dataset,
    *,
    chimera: xr.Dataset | None = None,
    **options,
) -> dict[str, xr.DataTree]:
    """Put the classical answer beside each fit; where the truth is known, also how well each score
    tells the stronger half of the pairs from the weaker: the area under its ROC curve. A simulated
    ``chimera`` goes along.
    """
    found, answered = classical(phases, **options), {}
    for name, fit in fits.items():
        network, truth = noted(fit, "network"), noted(fit, "couplings")
        beside = {"classical": found}
        beside |= {} if chimera is None else {"chimera": chimera}
        alpha = float(network["alpha"].mean())
        K = found["sine"].values * np.cos(alpha) + found["cosine"].values * np.sin(alpha)
        beside["forward"] = dataset(
            {"K": K},
            {"K": ("pair",)},
            coordinates(phases["oscillator"].values),
            {"K": network["K_mean"].attrs["units"]},
            sampled=False,
        )
        if truth is not None and (strong := _strong(truth["K"].values)) is not None:
            scores = {
                "posterior mean": network["K_mean"].values,
                "forward difference": K,
                "correlation of velocities": found["correlation"].values,
                "phase-locking value": found["locking"].values,
            }
            area = [ranked(score, strong) for score in scores.values()]
            beside["recovery"] = dataset(
                {"area": np.array(area)},
                {"area": ("score",)},
                {"score": list(scores)},
                sampled=False,
            )
        answered[name] = annotated(fit, **beside)
    return answered


def _strong(K):
    """Which pairs are coupled the stronger, where the couplings fall into two kinds; None else."""
    middle = (np.min(K) + np.max(K)) / 2
    strong = middle < K
    return strong if 0 < strong.sum() < len(K) else None


def ranked(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a positive one scores above a negative one."""
    from scipy.stats import rankdata

    rank, count = rankdata(score), int(positive.sum())
    above = rank[positive].sum() - count * (count + 1) / 2
    return float(above / (count * (len(score) - count)))
