"""What data a pairwise model expects: exact samples of all states, and their statistics.

Replicas are drawn from the probabilities of all states, so they are independent and of the size of
the data. The statistics beyond means and pairs (how many sites are on at once, triple moments, how
often all are silent) are those that the model is not told, and by which it can fail.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesinf.models.pairwise import enumeration
from bayesinf.models.binary import pairs, triples
from bayesinf.models.pairwise.likelihood import Pairwise

# Which of them need more of the data than means and pair moments.
OF_MOMENTS = ("largest mean residual", "largest pair residual", "variance of the number on")
OF_STATES = ("all sites off", "third moment of the number on")


@dataclass(frozen=True)
class Summary:
    """Statistics of one set of states.

    Parameters
    ----------
    phi : means and pair moments, (parameter,).
    triple : ⟨s_i s_j s_k⟩, (triple,).
    population : share of the states with K sites on, (N + 1,).
    """

    phi: np.ndarray
    triple: np.ndarray
    population: np.ndarray

    @classmethod
    def of(cls, weights: np.ndarray, encoding: str) -> Summary:
        """Summarise weights of all states, (2^N,), that add up to one."""
        q = enumeration.products(weights, encoding)
        sets = np.sum(1 << triples(int(q.size).bit_length() - 1), axis=1)
        return cls(enumeration.statistics(q), q[sets.astype(int)], enumeration.population(weights))


def replicas(problem: Pairwise, theta: np.ndarray, rng: np.random.Generator) -> list[Summary]:
    """Draw as many states as the data have at each θ (draw, parameter), and summarise them."""

    def one(point):
        _, p = enumeration.probabilities(point, problem.encoding)
        counts = enumeration.sample(p, problem.samples, rng)
        return Summary.of(counts / problem.samples, problem.encoding)

    return [one(point) for point in theta]


def discrepancies(
    problem: Pairwise, phi: np.ndarray, expected: np.ndarray, population: np.ndarray | None
) -> np.ndarray:
    """Statistics by which data and replicas are compared, (..., statistic).

    Residuals are those to what the same θ expects, in standard errors of independent samples.

    Parameters
    ----------
    problem : encoding, number of sites and samples.
    phi : means and pair moments of the data or a replica, (..., parameter).
    expected : the same of the model, (..., parameter).
    population : share of the states with K sites on, (..., N + 1), or None where it is not known.
    """
    sites, spins = problem.sites, problem.encoding == "±1"
    variance = np.maximum((1.0 if spins else expected) - expected**2, 1e-300)
    z = np.abs(phi - expected) / np.sqrt(variance / problem.samples)
    mean = phi[..., :sites]
    i, j = pairs(sites)
    covariance = phi[..., sites:] - mean[..., i] * mean[..., j]
    own = 1 - mean**2 if spins else mean * (1 - mean)
    spread = (own.sum(axis=-1) + 2 * covariance.sum(axis=-1)) / (4 if spins else 1)
    pair = z[..., sites:].max(axis=-1, initial=0.0)
    found = [z[..., :sites].max(axis=-1), pair, spread]
    if population is not None:
        number = np.arange(sites + 1)
        centred = number - (population @ number)[..., None]
        found += [population[..., 0], np.sum(population * centred**3, axis=-1)]
    return np.stack(np.broadcast_arrays(*found), axis=-1)
