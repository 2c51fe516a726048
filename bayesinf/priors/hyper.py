"""What the priors of many weights share: hyperparameters, each a number or with a prior of its own.

Every hyperparameter is a number, which fixes it, a prior of a positive number, or None, which takes
the default of the family that uses the prior. ``resolve`` fills the defaults in, so that what a fit
reports is a stated prior.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np

from bayesinf.priors.positive import HalfCauchy
from bayesinf.priors.scalar import Prior

__all__ = ["Hyper", "WeightPrior", "log_normal"]

Hyper = float | Prior | None


def log_normal(w: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Log density of N(0, sd²)."""
    return -0.5 * (w / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)


@dataclass(frozen=True)
class WeightPrior(ABC):
    """A prior of many weights; its hyperparameters are its fields, but for those in ``options``."""

    options: ClassVar[tuple[str, ...]] = ()

    @property
    def hyperparameters(self) -> dict[str, float | Prior]:
        """Name to number or prior."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in self.options}

    @property
    def inferred(self) -> dict[str, Prior]:
        """Those hyperparameters that are inferred."""
        return {k: v for k, v in self.hyperparameters.items() if not isinstance(v, int | float)}

    @property
    def fixed(self) -> dict[str, float]:
        """Those hyperparameters that the caller has fixed."""
        return {k: float(v) for k, v in self.hyperparameters.items() if k not in self.inferred}

    @property
    def by_default(self) -> bool:
        """Whether every hyperparameter is left to its default."""
        return all(value is None for value in self.hyperparameters.values())

    def resolve(self, reach: float, count: int) -> WeightPrior:
        """Return the prior with its defaults filled in.

        Parameters
        ----------
        reach : size at which one weight alone explains the data.
        count : how many weights share them.
        """
        missing = [k for k, v in self.hyperparameters.items() if v is None]
        return replace(self, **{k: self.default(k, reach, reach / count**0.5) for k in missing})

    def default(self, name: str, reach: float, share: float) -> float | Prior:
        """Default of a hyperparameter; weights of size ``share`` make data like those seen."""
        return HalfCauchy(share)

    def sample(
        self, rng, size: int, shape: tuple[int, ...], sigma: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Draw hyperparameters, (size,), and weights, (size, *shape), from the prior.

        ``sigma``, (size,) or (size, group), is the noise drawn beside them; only a relative scale
        looks at it.
        """
        draws = {k: v.sample(rng, size) for k, v in self.inferred.items()}
        aside = (-1,) + (1,) * (len(shape) - 1)
        hyper = {k: np.reshape(v, aside) for k, v in (self.fixed | draws).items()}
        return draws | self.sample_weights(rng, hyper, (size, *shape), np.asarray(sigma))

    def log_factors(self, draws: Mapping[str, np.ndarray], axes: int = 1) -> dict[str, np.ndarray]:
        """Log density of each factor of the prior, for draws in the posterior's layout.

        Parameters
        ----------
        draws : hyperparameters (chain, draw), ``sigma`` (chain, draw) or (chain, draw, group),
            ``beta`` and other variables of weights (chain, draw, weight) or (chain, draw, group,
            weight).
        axes : how many axes the variables of weights have of their own, one or two.

        Returns
        -------
        one (chain, draw) array for each hyperparameter inferred, and those of the weights.
        """
        factors = {k: v.log_density(draws[k]) for k, v in self.inferred.items()}
        own = tuple(range(-axes, 0))
        hyper = {
            k: np.expand_dims(np.asarray(v), own)
            for k, v in (self.fixed | {k: draws[k] for k in self.inferred}).items()
        }
        elements = self.log_elements(hyper, draws)
        return factors | {k: np.sum(v, axis=own) for k, v in elements.items()}

    @abstractmethod
    def sample_weights(self, rng, hyper, shape, sigma) -> dict[str, np.ndarray]:
        """Draw ``beta``, and what else the weights have of their own, given hyperparameters."""

    @abstractmethod
    def log_elements(self, hyper, draws) -> dict[str, np.ndarray]:
        """Log density of each weight given the hyperparameters, which broadcast against it."""

    @abstractmethod
    def define(self, name: str, sigma, dims, centred: bool):
        """Add hyperparameters and weights to the open PyMC model, these under a name."""

    @abstractmethod
    def words(self) -> str:
        """Say the prior of a weight, given its hyperparameters."""

    def define_hyperparameters(self) -> dict[str, object]:
        """Add the hyperparameters that are inferred to the open PyMC model; return all of them."""
        return self.fixed | {k: v.pymc(k) for k, v in self.inferred.items()}
