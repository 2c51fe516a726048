"""The measurement: y = mean + ε with normal noise, shared by every family that has it.

A ``Measured`` problem says its mean and its noise's standard deviation at some draws; from these
follow the replicated data, the pointwise log likelihood and the discrepancies, that is the
statistics T(y, θ) of the data and of their replicas from which posterior predictive p-values are
read (Gelman, Meng & Stern 1996). They are stored beside the replicas, so a posterior can be checked
from its file alone.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from bayesinf.models.problem import Draws, Outlook, Problem
from bayesinf.settings import Settings

# Takes y, the mean and the noise, broadcast to (..., observation), and drops the last axis.
Discrepancy = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _in_units_of_their_spread(y, mean, noise):
    """Residuals over the noise, divided by their own rms.

    So the shape of the residuals is judged and not their size, which an inferred noise follows
    anyway; with stated error bars ``chi_square`` judges the size.
    """
    z = (y - mean) / noise
    rms = np.sqrt(np.mean(z * z, axis=-1, keepdims=True))
    return z / np.maximum(rms, np.finfo(float).tiny)


def largest_residual(y, mean, noise):
    """Largest absolute residual, in units of their rms: outliers show here."""
    return np.max(np.abs(_in_units_of_their_spread(y, mean, noise)), axis=-1)


def residual_skewness(y, mean, noise):
    """Third moment of the residuals, in units of their rms: lopsided noise shows here."""
    z = _in_units_of_their_spread(y, mean, noise)
    return np.mean(z * z * z, axis=-1)


def residual_memory(y, mean, noise):
    """Mean product of neighbouring residuals over the noise: a trend left over shows here."""
    z = (y - mean) / noise
    return np.mean(z[..., 1:] * z[..., :-1], axis=-1)


def chi_square(y, mean, noise):
    """Sum of squared standardised residuals: wrongly stated error bars show here."""
    return np.sum(((y - mean) / noise) ** 2, axis=-1)


RESIDUALS: Mapping[str, Discrepancy] = {
    "largest residual": largest_residual,
    "residual skewness": residual_skewness,
}


def log_density(y, mean, noise):
    """Pointwise log density of y under N(mean, noise²), normalised."""
    return -0.5 * ((y - mean) / noise) ** 2 - np.log(noise) - 0.5 * np.log(2 * np.pi)


class Measured(Problem):
    """A problem whose data are a mean plus normal noise: y_i ~ N(mean_i, noise_i²).

    A family, a dataclass with the field ``y``, writes ``mean`` and ``noise_sd``. Here T of
    ``discrepancies`` takes (y, mean, noise).
    """

    y: np.ndarray

    @abstractmethod
    def mean(self, draws: Draws) -> np.ndarray:
        """Mean of the data, (..., observation)."""

    @abstractmethod
    def noise_sd(self, draws: Draws) -> np.ndarray:
        """Standard deviation of the noise, in a shape that broadcasts against the mean."""

    @property
    def measured(self) -> str:
        """Name of the data."""
        return next(iter(self.observed.data_vars))

    def log_likelihood(self, draws: Draws) -> Draws:
        """Pointwise log likelihood, log N(y; mean, noise²)."""
        return {self.measured: log_density(self.y, self.mean(draws), self.noise_sd(draws))}

    def replicate(self, draws: Draws, rng: np.random.Generator) -> Draws:
        """Draw data like those observed, mean + noise z."""
        mean = self.mean(draws)
        return {self.measured: mean + self.noise_sd(draws) * rng.standard_normal(mean.shape)}

    def observing(self, data: Draws) -> Measured:
        """Return the same model of other data."""
        return replace(self, y=np.asarray(data[self.measured]))

    def outlook(self, draws: Draws, settings: Settings) -> Outlook:
        """Look at the data from draws; the mean, which may be dear, is evaluated once."""
        mean, noise = self.mean(draws), self.noise_sd(draws)
        rng = settings.generator("posterior predictive")
        replicas = mean + noise * rng.standard_normal(mean.shape)
        of_replicas, of_data = (
            np.stack([t(y, mean, noise) for t in self.discrepancies.values()], axis=-1)
            for y in (replicas, self.y)
        )
        density = log_density(self.y, mean, noise)
        name = self.measured
        return Outlook({name: replicas}, {name: density}, of_replicas, of_data)
