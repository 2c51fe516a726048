"""What every likelihood can be asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from bayesinf.priors import LogUniform, Prior

__all__ = ["NOISE", "TRIALS", "Likelihood", "Scatter", "log_density"]

NOISE = "noise"
TRIALS = "trials"
# Noise, own parameters and known trials, each broadcast against the mean.
Scatter = Mapping[str, np.ndarray]


def log_density(y, mean, noise):
    """Pointwise log density of y under N(mean, noise²), normalised."""
    return -0.5 * ((y - mean) / noise) ** 2 - np.log(noise) - 0.5 * np.log(2 * np.pi)


class Likelihood(ABC):
    """p(y | mean, scatter), pointwise.

    Attributes
    ----------
    name : as an option spells it.
    equation : in LaTeX, for a report.
    noisy : whether it has the standard deviation ``noise``; counts have none.
    own : further parameters, all positive, to their priors.
    """

    name: ClassVar[str]
    equation: ClassVar[str]
    noisy: ClassVar[bool] = True
    own: Mapping[str, Prior] = MappingProxyType({})

    def __str__(self):
        return self.name

    @classmethod
    @abstractmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> Likelihood:
        """Return the likelihood with default priors for data of this extent.

        Raises
        ------
        DataError : data that cannot be of this kind.
        """

    def noise_prior(self, extent: float) -> Prior:
        """Return the default prior of the noise, for data that extend over so much."""
        return LogUniform(1e-15 * extent, 10 * extent)

    def start(self, y: np.ndarray, mean: np.ndarray, noise: np.ndarray) -> dict[str, float]:
        """Guess its own parameters from residuals of least squares and their noise."""
        return {}

    @abstractmethod
    def log_density(self, y: np.ndarray, mean: np.ndarray, scatter: Scatter) -> np.ndarray:
        """Log density of each observation, (..., observation); their sum is that of all."""

    @abstractmethod
    def draw(self, mean: np.ndarray, scatter: Scatter, rng: np.random.Generator) -> np.ndarray:
        """Draw data, (..., observation)."""

    @abstractmethod
    def expected(
        self, y: np.ndarray, mean: np.ndarray, scatter: Scatter
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale of each observation given those before it.

        (y − mean) / scale are the residuals that should be alike and know nothing of each other.
        """

    @abstractmethod
    def pymc(self, name: str, mean, scatter: Mapping[str, object], y: np.ndarray):
        """Add the observed variable ``name`` to the open PyMC model."""

    def left_out(self, y: np.ndarray, mean: np.ndarray, scatter: Scatter) -> np.ndarray | None:
        """Log density of each observation given all others; None where these say nothing of it."""
        return None
