"""Importance weights: draws of an approximation, weighed by the density that it stands for.

    w = p(θ) / q(θ),   θ ~ q

Their mean is the evidence, means under them are those of the target, and where the tail of the
weights is heavy (Pareto k̂ above 0.7) neither may be believed.

Vehtari, Simpson, Gelman, Yao & Gabry, JMLR 25, 72 (2024), arXiv:1507.02646.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesinf.diagnostics import smoothed_weights

__all__ = ["Weights", "log_mean", "log_mixture", "shares"]


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

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean of values (..., draw) under the target, (...)."""
        return np.sum(np.exp(self.log_weight) * values, axis=-1)


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
