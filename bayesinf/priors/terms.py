"""Weights in terms, each with a prior of its own: coefficients, a smooth curve, effects of groups.

    w = (w_1, w_2, ...),   w_k ~ the prior of term k, whose width is inferred beside the others'

Hyperparameters of the term without a name keep theirs, those of another stand under name_term:
``scale``, ``scale_site``, ``scale_s(x)``. Only the former may have local variances or a slab.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import numpy as np

from bayesinf.errors import FitError
from bayesinf.priors.hyper import WeightPrior
from bayesinf.priors.weights import Scaled

__all__ = ["Terms"]


@dataclass(frozen=True)
class Terms(WeightPrior):
    """Weights side by side, each with the prior of its term.

    Parameters
    ----------
    terms : name to the prior of its weights and how many these are, in the order of the columns.

    Raises
    ------
    FitError : a term with a name has local variances, or a prior is none of a width.
    """

    terms: Mapping[str, tuple[Scaled, int]]

    def __post_init__(self):
        for name, (prior, _) in self.terms.items():
            if not isinstance(prior, Scaled) or (name and prior.local):
                raise FitError(
                    f"the term {name!r} cannot have the prior {type(prior).__name__}: terms have "
                    "priors with a width, and those with a name a normal one"
                )

    def named(self, term: str, hyperparameter: str) -> str:
        """Return what a hyperparameter of a term is called."""
        return f"{hyperparameter}_{term}" if term else hyperparameter

    @property
    def hyperparameters(self):
        """Name to number or prior, of all terms."""
        return {
            self.named(term, name): value
            for term, (prior, _) in self.terms.items()
            for name, value in prior.hyperparameters.items()
        }

    @property
    def relative(self) -> bool:
        """Whether the width of the term without a name is in units of the noise."""
        return bool(getattr(self.terms.get("", (None,))[0], "relative", False))

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Name of each term to the place of its weights."""
        ends = list(accumulate(count for _, count in self.terms.values()))
        places = zip([0, *ends], ends, strict=False)
        return {name: slice(*place) for name, place in zip(self.terms, places, strict=True)}

    def resolve(self, reach, count):
        """Return the priors with their defaults filled in, each for its own number of weights."""
        resolved = {k: (prior.resolve(reach, n), n) for k, (prior, n) in self.terms.items()}
        return replace(self, terms=resolved)

    def _own(self, term, values):
        """Hyperparameters of one term, under their own names."""
        prior = self.terms[term][0]
        return {name: values[self.named(term, name)] for name in prior.hyperparameters}

    def sample_weights(self, rng, hyper, shape, sigma):
        """Draw the weights given hyperparameters."""
        parts = [
            prior.sample_weights(rng, self._own(name, hyper), (*shape[:-1], count), sigma)["beta"]
            for name, (prior, count) in self.terms.items()
        ]
        return {"beta": np.concatenate(parts, axis=-1)}

    def log_elements(self, hyper, draws):
        """Log density of each weight."""
        parts = []
        for name, (prior, _) in self.terms.items():
            own = {**draws, "beta": draws["beta"][..., self.slices[name]]}
            parts.append(prior.log_elements(self._own(name, hyper), own)["beta"])
        return {"beta": np.concatenate(parts, axis=-1)}

    def define(self, name, sigma, dims, centred):
        """Add hyperparameters and weights to the open PyMC model, all weights under a name."""
        import pymc as pm

        hyper, model, parts = self.define_hyperparameters(), pm.modelcontext(None), []
        for k, (term, (prior, count)) in enumerate(self.terms.items()):
            own, label = self._own(term, hyper), f"{name}_term_{k}"
            model.add_coord(f"{label}_place", np.arange(count))
            width = prior.width(own.pop("scale"), sigma)
            parts.append(prior.pymc(label, width, (f"{label}_place",), centred, **own))
        return pm.Deterministic(name, pm.math.concatenate(parts), dims=dims)

    def words(self):
        """Say the prior of a weight, term by term."""
        said = []
        for term, (prior, _) in self.terms.items():
            words = prior.words()
            for name in prior.hyperparameters:
                words = words.replace(name, self.named(term, name))
            said.append(f"{term}: {words}" if term else words)
        return "; ".join(said)
