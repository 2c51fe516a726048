"""The exponential family of means and pairs, with its prior: densities, slopes and curvature.

The likelihood of M independent states depends on them through their means and pair moments alone,

    log p(data | θ) = M (θ · ⟨φ⟩_data − log Z(θ))

and is concave: its gradient is M (⟨φ⟩_data − ⟨φ⟩_θ), and minus its Hessian M times the Fisher
information of one state, whatever the data.
"""

from __future__ import annotations

import numpy as np

from bayesinf.inference.kinds import Question
from bayesinf.models.binary import Moments, matrix
from bayesinf.models.binary.couplings import CouplingPrior
from bayesinf.models.binary.pairwise import enumeration

__all__ = ["Pairwise"]


class Pairwise:
    """P(s) = exp(Σ h_i s_i + Σ_{i<j} J_ij s_i s_j) / Z, seen through the moments of data.

    Parameters
    ----------
    data : moments and number of the states, in their encoding.
    prior : of the parameters; None for the likelihood alone.
    workers : cores for batches; None takes all.
    """

    questions: tuple[Question, ...] = ()  # that a fit by these sums is asked
    known_width: float | None = None  # of the couplings, where it is known beforehand

    def __init__(self, data: Moments, prior: CouplingPrior | None = None, workers: int | None = 1):
        self.data, self.prior, self.workers = data, prior, workers
        self.encoding, self.sites, self.samples = data.encoding, data.sites, data.samples
        self.statistics = data.statistics
        self.size = self.statistics.size
        # One block of all parameters, fields first.
        self.fields, self.couplings, self.shape = self.sites, data.pair.size, (1, self.size)

    def split(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fields (..., site) and couplings (..., pair) of parameters (..., 1, parameter)."""
        return enumeration.unpack(theta[..., 0, :])

    def scaled(self, theta: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Parameters (chain, 1, parameter) whose couplings are scaled, by factors (chain,).

        The fields make up for it where all sites are at their means. Else no large move of
        couplings between sites that are seldom on would be accepted.
        """
        h, J = self.split(theta)
        h = h + (1 - factor)[:, None] * (matrix(J, self.sites) @ self.data.mean)
        return enumeration.pack(h, factor[:, None] * J)[:, None]

    def log_partition(self, theta: np.ndarray) -> np.ndarray:
        """Return log Z, (...), at parameters (..., parameter)."""
        return enumeration.log_partition(theta, self.encoding, self.workers)

    def expectations(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return log Z, (...), and means and pair moments, (..., parameter)."""
        return enumeration.expectations(theta, self.encoding, self.workers)

    def state_curvature(self, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return log Z, its gradient and its Hessian at one θ (parameter,)."""
        return enumeration.curvature(theta, self.encoding)

    def evidence(self, theta: np.ndarray) -> tuple[dict, dict]:
        """Arrays that say how far the sums may be trusted, and their dimensions; none here."""
        return {}, {}

    def log_likelihood(self, theta: np.ndarray) -> np.ndarray:
        """Log likelihood of all samples, (...), at parameters (..., parameter)."""
        return self.samples * (theta @ self.statistics - self.log_partition(theta))

    def likelihood_gradient(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log likelihood (...) and its gradient (..., parameter)."""
        return self._value_and_slope(theta, *self.expectations(theta))

    def rough_gradient(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same as precisely as chains need it, which pass by errors far below their noise."""
        return self.likelihood_gradient(theta)

    def _value_and_slope(self, theta, log_z, phi):
        value = self.samples * (theta @ self.statistics - log_z)
        return value, self.samples * (self.statistics - phi)

    def log_density(self, theta: np.ndarray, scale: np.ndarray | float = 1.0) -> np.ndarray:
        """Log likelihood plus log prior, (...), at parameters (..., parameter), widths (...)."""
        value = self.log_likelihood(theta)
        return value if self.prior is None else value + self._log_prior(theta, scale)

    def _log_prior(self, theta, scale):
        return self.prior.log_density(*enumeration.unpack(theta), scale)

    def gradient(
        self, theta: np.ndarray, scale: np.ndarray | float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Log density (...), and its gradient (..., parameter) in the parameters."""
        value, slope = self.likelihood_gradient(theta)
        if self.prior is None:
            return value, slope
        mean, precision = self.prior.moments(self.fields, self.couplings, scale)
        return value + self._log_prior(theta, scale), slope - precision * (theta - mean)

    def curvature(
        self, theta: np.ndarray, scale: float = 1.0
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Log density, gradient (parameter,) and minus the Hessian (parameter, parameter)."""
        log_z, phi, fisher = self.state_curvature(theta)
        value = self.samples * (theta @ self.statistics - log_z)
        slope, hessian = self.samples * (self.statistics - phi), self.samples * fisher
        if self.prior is None:
            return value, slope, hessian
        mean, precision = self.prior.moments(self.fields, self.couplings, scale)
        value = value + self._log_prior(theta, scale)
        return value, slope - precision * (theta - mean), hessian + np.diag(precision)
