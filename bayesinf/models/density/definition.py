"""A density of the user's own: what a PyMC model and a log density in NumPy have in common.

Both are looked at in unconstrained coordinates, where every point is allowed; there the optimum is
sought and walkers walk. Draws go back to the variables that the user named.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from bayesinf.diagnostics import comparisons
from bayesinf.models.problem import Draws, Outlook, Problem
from bayesinf.settings import Settings

__all__ = ["Density"]

MOST_REPLICATED = 4_000_000  # numbers of the replicas of a variable; beyond, draws are thinned


class Density(Problem):
    """A density in unconstrained coordinates, with the names of its variables.

    Attributes
    ----------
    variables : what the posterior holds: the parameters, and what follows from them.
    coordinates : labels of the unconstrained coordinates.
    unasked : questions of ``checks`` that this model cannot be asked, to the reason in words.
    """

    family = "density"
    variables: Sequence[str]
    coordinates: Sequence[str]
    unasked: Mapping[str, str] = {}

    @abstractmethod
    def starts(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Points from which the optimum is sought, (start, coordinate)."""

    @abstractmethod
    def value_and_gradient(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density, with the Jacobian, and its gradient at one point, (coordinate,)."""

    @abstractmethod
    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Log density with the Jacobian at many points, (point, coordinate) -> (point,)."""

    @abstractmethod
    def at(self, points: np.ndarray) -> Draws:
        """Values of the variables at points, (..., coordinate) -> (..., own dimensions)."""

    @cached_property
    def discrepancies(self):
        """General statistics of each observed variable; none where data cannot be replicated."""
        return {} if "predictive check" in self.unasked else comparisons(self.observed)

    @property
    def attrs(self):
        """What the checks cannot ask of this model, for the root attributes."""
        return {"not_asked": json.dumps(dict(self.unasked))} if self.unasked else {}

    def outlook(self, draws: Draws, settings: Settings) -> Outlook:
        """Look at the data from draws; of many data the replicas are thinned, not the statistics.

        A model that cannot replicate its data has no statistics of them.
        """
        shape = next(iter(draws.values())).shape[:2]
        likelihood = self.log_likelihood(draws)
        if not self.discrepancies:
            return Outlook({}, likelihood, np.empty((*shape, 0)), np.empty((*shape, 0)))
        replicas = self.replicate(draws, settings.generator("posterior predictive"))
        observed = {name: self.observed[name].values for name in replicas}
        asked = self.discrepancies.values()
        of_replicas, of_data = (
            np.stack([np.broadcast_to(t(side, replicas), shape) for t in asked], axis=-1)
            for side in (replicas, observed)
        )
        largest = max(values.size for values in replicas.values())
        kept = np.arange(0, shape[1], -(-largest // MOST_REPLICATED))
        thinned = {name: values[:, kept] for name, values in replicas.items()}
        kept = None if len(kept) == shape[1] else kept
        return Outlook(thinned, likelihood, of_replicas, of_data, kept=kept)
