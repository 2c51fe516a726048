"""What data a pairwise model expects: samples of all states, and their statistics.

Replicas are drawn from the probabilities of all states, or of a reweighting sample, so they are
independent and of the size of the data. The statistics beyond means and pairs (how many sites are
on at once, triple moments, how often all are silent) are those that the model is not told, and by
which it can fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bayesinf.models.binary import (
    Moments,
    of_states,
    pairs,
    population,
    triple_moments,
    triples,
)
from bayesinf.models.binary.batches import by_draw
from bayesinf.models.binary.pairwise import enumeration
from bayesinf.models.binary.pairwise.likelihood import Pairwise
from bayesinf.settings import Settings

__all__ = [
    "OF_MOMENTS",
    "OF_STATES",
    "OF_TRIPLES",
    "Discrepancy",
    "Summary",
    "all_sites_off",
    "beyond_pairs",
    "followed",
    "largest_mean_residual",
    "largest_pair_residual",
    "replicas",
    "short_replicas",
    "spread",
    "statistics",
    "third_moment_of_number_on",
    "triple_residual",
    "variance_of_number_on",
]

# Triples that are followed where there are too many sites to follow all.
TRIPLES = 500
# Chains at draws from the prior, of many sites.
SHORT = {"count": 2048, "burn": 200, "thin": 10}
# Eigenvalue of a correlation matrix below which two products are one.
FAINT = 1e-6
# Sites up to which threads cost more than the sums over their states.
FEW = 8


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

    chosen = followed(problem.sites)

    def one(point):
        _, p = enumeration.probabilities(point, problem.encoding)
        if p.size <= problem.samples:
            counts = enumeration.sample(p, problem.samples, rng)
            return Summary.of(counts / problem.samples, problem.encoding)
        states = enumeration.drawn(p, problem.samples, rng)
        return Summary(*enumeration.weighed(states, problem.sites, problem.encoding, chosen))

    return [one(point) for point in theta]


def short_replicas(problem: Pairwise, theta: np.ndarray, rng: np.random.Generator) -> list[Summary]:
    """Summarise 2048 states from short chains at each θ (draw, parameter).

    For draws from the prior of many sites, which are anywhere.
    """
    from bayesinf.models.binary.pairwise.large import sampling

    def one(point):
        states = sampling.sample(point, problem.encoding, rng=rng, workers=1, **SHORT).states
        return Summary.of_states(states, of_states(states, problem.encoding).statistics)

    return [one(point) for point in theta]


def spread(
    problem: Pairwise, make: Callable, theta: np.ndarray, settings: Settings, stream: str
) -> dict[str, np.ndarray]:
    """Make replicas at each draw θ (..., parameter), over all cores.

    Parameters
    ----------
    problem : sums over states.
    make : ``replicas`` or ``short_replicas``.
    theta : draws.
    settings, stream : seed and name of the random streams; as of ``by_draw``.

    Returns
    -------
    name of a statistic to (..., element).
    """
    flat = theta.reshape(-1, problem.size)

    def of_draws(which, rng):
        return make(problem, flat[which], rng)

    made = by_draw(of_draws, len(flat), settings, stream, problem.sites > FEW)
    return statistics(made, theta.shape[:-1])


def statistics(made: Sequence[Summary], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Gather summaries of as many draws as ``shape`` has: name to (..., element)."""

    def gathered(name):
        return np.reshape([getattr(summary, name) for summary in made], (*shape, -1))

    mean, pair = enumeration.unpack(gathered("phi"))
    beyond = {"triple_mean": gathered("triple"), "population": gathered("population")}
    return {"mean": mean, "pair_mean": pair} | beyond


# Statistics by which data and replicas are compared: they take the statistics of the data or of
# replicas, (..., element), what the same θ expects of means and pairs, and the moments of the data
# for their number and encoding. Residuals are in standard errors of independent samples.

Statistics = Mapping[str, np.ndarray]
Discrepancy = Callable[[Statistics, Statistics, Moments], np.ndarray]


def _largest_residual(seen, expected, data):
    square = 1.0 if data.encoding == "±1" else expected
    variance = np.maximum(square - expected**2, 1e-300)
    z = np.abs(seen - expected) / np.sqrt(variance / data.samples)
    return z.max(axis=-1, initial=0.0)


def largest_mean_residual(seen: Statistics, expected: Statistics, data: Moments) -> np.ndarray:
    """Largest residual of a mean."""
    return _largest_residual(seen["mean"], expected["mean"], data)


def largest_pair_residual(seen: Statistics, expected: Statistics, data: Moments) -> np.ndarray:
    """Largest residual of a pair moment."""
    return _largest_residual(seen["pair_mean"], expected["pair_mean"], data)


def variance_of_number_on(seen: Statistics, _: Statistics, data: Moments) -> np.ndarray:
    """Variance of the number of sites that are on."""
    mean, spins = seen["mean"], data.encoding == "±1"
    i, j = pairs(mean.shape[-1])
    covariance = seen["pair_mean"] - mean[..., i] * mean[..., j]
    variance = 1 - mean**2 if spins else mean * (1 - mean)
    return (variance.sum(axis=-1) + 2 * covariance.sum(axis=-1)) / (4 if spins else 1)


def all_sites_off(seen: Statistics, *_) -> np.ndarray:
    """Share of the states in which no site is on."""
    return seen["population"][..., 0]


def third_moment_of_number_on(seen: Statistics, *_) -> np.ndarray:
    """Third central moment of the number of sites that are on."""
    number = np.arange(seen["population"].shape[-1])
    centred = number - (seen["population"] @ number)[..., None]
    return np.sum(seen["population"] * centred**3, axis=-1)


def triple_residual(seen: Statistics, expected: Statistics, data: Moments) -> np.ndarray:
    """Squared size of what triples show beyond what the means and pairs at hand imply.

        T = M |W (t − ⟨t⟩ − B (φ − ⟨φ⟩))|²,   B = C_tφ C_φφ⁻¹,   WᵀW = (C_tt − B C_φt)⁻¹

    with all expectations at one θ. What it leaves out, the means and pairs φ, is what a fit moves,
    so data that were fitted and replicas that were not are alike (a score test for triples).
    """
    matrix, offset = expected["triples"]
    found = np.concatenate([seen[n] for n in ("triple_mean", "mean", "pair_mean")], axis=-1)
    return data.samples * np.sum((found @ matrix.T - offset) ** 2, axis=-1)


def beyond_pairs(theta: np.ndarray, encoding: str) -> tuple[np.ndarray, np.ndarray]:
    """Return what ``triple_residual`` weighs by at θ, (parameter,): (W, −W B) and the offset."""
    _, p = enumeration.probabilities(theta, encoding)
    q = enumeration.products(p, encoding)
    sites = int(q.size).bit_length() - 1
    of_triples = np.sum(1 << triples(sites), axis=1).astype(int)
    single = 1 << np.arange(sites)
    i, j = pairs(sites)
    sets = np.concatenate([of_triples, single, single[i] + single[j]])
    covariance = enumeration.covariance(q, sets, encoding)
    # Sites that are hardly ever on have products of unlike size.
    size = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    covariance /= np.outer(size, size)
    count = len(of_triples)
    values, axes = np.linalg.eigh(covariance[count:, count:])
    told = axes / np.sqrt(np.maximum(values, FAINT))
    slope = covariance[:count, count:] @ told @ told.T
    left = covariance[:count, :count] - slope @ covariance[count:, :count]
    values, axes = np.linalg.eigh((left + left.T) / 2)
    seen = values > FAINT
    root = (axes[:, seen] / np.sqrt(values[seen])).T
    matrix = np.concatenate([root, -root @ slope], axis=1) / size
    return matrix, matrix @ q[sets]


OF_MOMENTS: Mapping[str, Discrepancy] = {
    "largest mean residual": largest_mean_residual,
    "largest pair residual": largest_pair_residual,
    "variance of the number on": variance_of_number_on,
}
# These need more of the data than means and pair moments.
OF_STATES: Mapping[str, Discrepancy] = {
    "all sites off": all_sites_off,
    "third moment of the number on": third_moment_of_number_on,
}
# This needs the sums over all states.
OF_TRIPLES: Mapping[str, Discrepancy] = {"triples beyond the pairs": triple_residual}
