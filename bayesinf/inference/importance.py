"""Importance weights: draws of an approximation, weighed by the density that it stands for.

    w = p(θ) / q(θ),   θ ~ q

Their mean is the evidence, means under them are those of the target, and where the tail of the
weights is heavy (Pareto k̂ above 0.7) neither may be believed.

Vehtari, Simpson, Gelman, Yao & Gabry, JMLR 25, 72 (2024), arXiv:1507.02646.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.diagnostics import smoothed_weights
from bayesinf.posterior import dataset

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Resampled", "Weights", "evidence", "log_mean", "log_mixture", "resampled", "shares"]


@dataclass(frozen=True)
class Weights:
    """Normalised, Pareto-smoothed weights of draws.

    Parameters
    ----------
    log_weight : (..., draw); their exponentials add up to one.
    pareto_k : how heavy their tail is, (...).
    """

    log_weight: np.ndarray
    pareto_k: np.ndarray

    @classmethod
    def of(cls, log_ratio: np.ndarray) -> Weights:
        """Smooth log p − log q, (..., draw), known up to a constant."""
        return cls(*smoothed_weights(log_ratio))

    @property
    def effective(self) -> np.ndarray:
        """Number of independent draws that they are worth, 1 / Σ w², (...)."""
        return np.exp(-np.logaddexp.reduce(2 * self.log_weight, axis=-1))

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean of values (..., draw) under the target, (...)."""
        return np.sum(np.exp(self.log_weight) * values, axis=-1)


@dataclass(frozen=True)
class Resampled:
    """Draws that weights have turned into draws of the target.

    Parameters
    ----------
    draws : (draw, parameter).
    pareto_k : how heavy the tail of the weights is.
    effective : number of independent draws that they are worth, 1 / Σ w².
    shift : of the mean by the weights, in sd, (parameter,).
    log_ratio : log of the sd before over that after, (parameter,).
    """

    draws: np.ndarray
    pareto_k: float
    effective: float
    shift: np.ndarray
    log_ratio: np.ndarray


def resampled(draws: np.ndarray, log_ratio: np.ndarray, rng: np.random.Generator) -> Resampled:
    """Keep each draw as often as its weight p / q says, so that equal weights keep all once.

    Parameters
    ----------
    draws : (draw, parameter).
    log_ratio : log p − log q of each, (draw,), up to a constant.
    rng : generator of the rounding and of the order.
    """
    found, count = Weights.of(log_ratio), len(draws)
    weight = np.exp(found.log_weight)
    # Each count is rounded up or down at random, and those nearest to the other make up the sum: so
    # a last digit of one weight decides about one draw, and not about all behind it.
    share = count * weight + rng.random(count)
    kept, rest = np.floor(share).astype(int), share % 1
    missing = count - kept.sum()
    if missing > 0:
        kept[np.argsort(-rest)[:missing]] += 1
    elif missing < 0:
        some = np.flatnonzero(kept)
        kept[some[np.argsort(rest[some])[:-missing]]] -= 1
    chosen = np.repeat(np.arange(count), kept)
    after = draws[rng.permutation(chosen)]
    mean = weight @ draws
    sd = np.sqrt(weight @ (draws - mean) ** 2)
    return Resampled(
        after,
        float(found.pareto_k),
        float(found.effective),
        (draws.mean(axis=0) - mean) / sd,
        np.log(draws.std(axis=0) / sd),
    )


def evidence(
    pareto_k: float,
    effective: float,
    shift: np.ndarray,
    log_ratio: np.ndarray,
    names: Sequence[str],
    **more: np.ndarray,
) -> xr.Dataset:
    """Label what is asked of weighted draws, and ``more``; arguments as of ``Resampled``."""
    found = {"pareto_k": pareto_k, "effective_draws": effective, **more}
    found |= {"weight_shift": shift, "weight_log_ratio": log_ratio}
    dims = dict.fromkeys(("weight_shift", "weight_log_ratio"), ("parameter",))
    return dataset(found, dims, {"parameter": list(names)}, sampled=False)


def log_mean(log_ratio: np.ndarray, axis: int = -1) -> np.ndarray:
    """Log of the mean weight: log evidence, where q is normalised."""
    return np.logaddexp.reduce(log_ratio, axis=axis) - np.log(np.shape(log_ratio)[axis])


def shares(log_evidence: np.ndarray) -> np.ndarray:
    """Logarithms of the shares of the components of a mixture, by their evidence, (component,)."""
    return log_evidence - np.logaddexp.reduce(log_evidence)


def log_mixture(log_share: np.ndarray, log_density: np.ndarray) -> np.ndarray:
    """Log density of a mixture, (...), of shares (component,) and densities (component, ...)."""
    lead = (-1,) + (1,) * (np.ndim(log_density) - 1)
    return np.logaddexp.reduce(np.reshape(log_share, lead) + log_density, axis=0)
