"""What data a pairwise model expects: samples of all states, and their statistics.

Replicas are drawn from the probabilities of all states, or of those in a bank, so they are
independent and of the size of the data. The statistics beyond means and pairs (how many sites are
on at once, triple moments, how often all are silent) are those that the model is not told, and by
which it can fail.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesinf.models.binary import pairs, population, triple_moments, triples
from bayesinf.models.pairwise import enumeration
from bayesinf.models.pairwise.likelihood import Pairwise

TRIPLES = 500  # triples that are followed where there are too many sites to follow all
SHORT = {"count": 2048, "burn": 200, "thin": 10}  # chains at draws from the prior, of many sites

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

    @classmethod
    def of_states(cls, states: np.ndarray, phi: np.ndarray) -> Summary:
        """Summarise states (sample, site), whose means and pair moments φ are known."""
        chosen = followed(states.shape[1])
        return cls(phi, triple_moments(states, chosen), population(states))


def followed(sites: int) -> np.ndarray:
    """Return the triples (triple, 3) whose moments are looked at: beyond 20 sites, some of them."""
    return triples(sites, None if sites <= enumeration.LARGEST else TRIPLES)


def replicas(problem: Pairwise, theta: np.ndarray, rng: np.random.Generator) -> list[Summary]:
    """Draw as many states as the data have at each θ (draw, parameter), and summarise them."""
    if problem.sites > enumeration.LARGEST:
        return problem.replicas(theta, rng)

    def one(point):
        _, p = enumeration.probabilities(point, problem.encoding)
        counts = enumeration.sample(p, problem.samples, rng)
        return Summary.of(counts / problem.samples, problem.encoding)

    return [one(point) for point in theta]


def short_replicas(problem: Pairwise, theta: np.ndarray, rng: np.random.Generator):
    """Summaries of 2048 states from short chains at each θ (draw, parameter): for draws from the
    prior of many sites, which are anywhere.
    """  # fmt: skip
    from bayesinf.models.pairwise import sampling

    def one(point):
        states = sampling.sample(point, problem.encoding, rng=rng, workers=1, **SHORT).states
        return Summary.of_states(states, sampling.feature_moments(states, problem.encoding))

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
