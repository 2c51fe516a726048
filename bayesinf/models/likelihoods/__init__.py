"""How data scatter about their mean: normal, heavy-tailed, growing with the signal, with memory,
counted, or yes and no.

A ``Likelihood`` is p(y | mean, scatter), stated once for the fast routes and once for PyMC. Its
scatter is the standard deviation ``noise``, known or inferred, where it has one, and parameters of
its own, all positive. Every family whose data are a mean plus something may take one;
``models.noise`` holds residuals against replicas in the same terms for all of them.

The mean of counts must not be negative: where it is at any point, the density is zero, so the
posterior lives where the whole curve is a rate.
"""

from __future__ import annotations

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models.likelihoods.base import NOISE, TRIALS, Likelihood, log_density
from bayesinf.models.likelihoods.correlated import AND_MEMORY, Correlated
from bayesinf.models.likelihoods.counts import Bernoulli, Binomial, NegativeBinomial, Poisson
from bayesinf.models.likelihoods.normal import NORMAL, Normal, Proportional, Shot, Student

__all__ = [
    "LIKELIHOODS",
    "NOISE",
    "NORMAL",
    "TRIALS",
    "Bernoulli",
    "Binomial",
    "Correlated",
    "Likelihood",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "Proportional",
    "Shot",
    "Student",
    "likelihood_of",
    "log_density",
]

LIKELIHOODS = {
    one.name: one
    for one in (Normal, Student, Poisson, NegativeBinomial, Proportional, Shot, Correlated)
}


def likelihood_of(name: str | Likelihood, x: np.ndarray, y: np.ndarray) -> Likelihood:
    """Return the likelihood of that name for data of this extent; one that stands already as it is.

    Parameters
    ----------
    name : one of ``LIKELIHOODS``; ``proportional+correlated`` and ``shot+correlated`` have memory
        besides.
    x, y : (point,), sorted by x.

    Raises
    ------
    FitError : an unknown name. DataError : data that cannot be of this kind.
    """
    if isinstance(name, Likelihood):
        return name
    first = name.removesuffix(AND_MEMORY)
    kind = LIKELIHOODS.get(first)
    if kind is None or (first != name and kind not in (Proportional, Shot)):
        raise FitError(
            f"unknown likelihood {name!r}: use one of {', '.join(LIKELIHOODS)}, "
            f"{', '.join(one.name + AND_MEMORY for one in (Proportional, Shot))}"
        )
    return kind.of(x, y) if first == name else Correlated.of(x, y, kind.of(x, y))
