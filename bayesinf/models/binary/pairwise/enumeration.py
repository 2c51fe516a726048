"""Sums over all 2^N states: log Z, moments, Fisher information, exact samples.

Parameters θ are packed as N fields, then N (N − 1) / 2 couplings, and may have leading axes. One
butterfly over the 2^N probabilities gives the mean of every product of sites at once: the
Walsh-Hadamard transform for ±1, the sum over supersets for 0/1. The product of two products is
again a product of sites, of the symmetric difference of both for ±1 (s² = 1) and of their union for
0/1 (n² = n), so the Fisher information, which needs moments up to the fourth, is read off the same
array. Where only means and pairs are needed, folding one site after the other gives them in about
two passes in place of N.

Fino & Algazi, IEEE Trans. Comput. C-25, 1142 (1976), doi:10.1109/TC.1976.1674569.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from bayesinf.errors import DataError
from bayesinf.models.binary import ENCODINGS, known, pairs, sites_of

__all__ = [
    "LARGEST",
    "covariance",
    "curvature",
    "drawn",
    "entropy",
    "expectations",
    "fisher",
    "log_partition",
    "names",
    "pack",
    "population",
    "probabilities",
    "products",
    "sample",
    "statistics",
    "unpack",
    "weighed",
]

LARGEST = 20  # sites whose states can be enumerated
SPLIT = 2**17  # states times points from which a batch is spread over the cores


def pack(h: np.ndarray, J: np.ndarray) -> np.ndarray:
    """Join fields and couplings to θ, (..., parameter)."""
    return np.concatenate([h, J], axis=-1).astype(float, copy=False)


def unpack(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split θ into fields (..., site) and couplings (..., pair)."""
    sites = sites_of(theta.shape[-1])
    return theta[..., :sites], theta[..., sites:]


def names(sites: int) -> list[str]:
    """Name the parameters, ``h[3]`` and ``J[3, 7]``."""
    couplings = [f"J[{a}, {b}]" for a, b in zip(*pairs(sites), strict=True)]
    return [f"h[{k}]" for k in range(sites)] + couplings


def log_partition(theta: np.ndarray, encoding: str, workers: int | None = 1) -> np.ndarray:
    """Sum over all states.

        log Z = log Σ_s exp(Σ_i h_i s_i + Σ_{i<j} J_ij s_i s_j)

    Parameters
    ----------
    theta : (..., parameter).
    encoding : "±1" or "0/1".
    workers : cores for a batch; None takes all.

    Returns
    -------
    log Z, (...).
    """
    from bayesinf.models.binary.pairwise import kernel

    rows, sites, down = _rows(theta, encoding)
    result = np.empty(len(rows))

    def run(part):
        kernel.partitions(rows[part], sites, down, result[part])

    _spread(run, len(rows), sites, workers)
    return result.reshape(np.shape(theta)[:-1])[()]


def expectations(
    theta: np.ndarray, encoding: str, workers: int | None = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Sum over all states, with means and pair moments.

        φ = ∂ log Z / ∂θ = (⟨s_i⟩, ⟨s_i s_j⟩)

    Parameters
    ----------
    theta, encoding, workers : as for ``log_partition``.

    Returns
    -------
    log Z, (...), and φ, (..., parameter).
    """
    from bayesinf.models.binary.pairwise import kernel

    rows, sites, down = _rows(theta, encoding)
    partition, moments = np.empty(len(rows)), np.empty_like(rows)

    def run(part):
        kernel.expectations(rows[part], sites, down, partition[part], moments[part])

    _spread(run, len(rows), sites, workers)
    shape = np.shape(theta)
    return partition.reshape(shape[:-1])[()], moments.reshape(shape)


def probabilities(theta: np.ndarray, encoding: str) -> tuple[float, np.ndarray]:
    """Return log Z and the probabilities of all states, (state,), in the order of their numbers.

    Parameters
    ----------
    theta : (parameter,).
    encoding : "±1" or "0/1".
    """
    from bayesinf.models.binary.pairwise import kernel

    rows, sites, down = _rows(theta, encoding)
    p = np.empty(1 << sites)
    return kernel.weights(rows[0], sites, down, p), p


def products(p: np.ndarray, encoding: str) -> np.ndarray:
    """Means of all products of sites under weights p.

        q_S = Σ_s p(s) Π_{i in S} s_i

    Parameters
    ----------
    p : weights of all states, (2^N,); they are left as they are.
    encoding : "±1" or "0/1".

    Returns
    -------
    q, (2^N,): the entry of a set of sites stands where their state alone would.
    """
    from bayesinf.models.binary.pairwise import kernel

    q = np.array(p, dtype=float)
    kernel.transform(q, float(ENCODINGS[known(encoding)]))
    return q


def fisher(q: np.ndarray, encoding: str) -> np.ndarray:
    """Read the Fisher information of one state off the means of all products.

        F = ⟨φ φᵀ⟩ − ⟨φ⟩⟨φ⟩ᵀ = ∂² log Z / ∂θ ∂θᵀ

    Parameters
    ----------
    q : what ``products`` returned, (2^N,).
    encoding : "±1" or "0/1".

    Returns
    -------
    F, (parameter, parameter).
    """
    return covariance(q, _sets(int(q.size).bit_length() - 1), encoding)


def covariance(q: np.ndarray, sets: np.ndarray, encoding: str) -> np.ndarray:
    """Read the covariance of products of sites, (set, set), off the means of all products.

    Parameters
    ----------
    q : as of ``products``.
    sets : each a sum of 2^i over its sites i, (set,).
    encoding : a site that stands in both sets counts once in 0/1, and not at all in ±1.
    """
    both = sets[:, None] ^ sets if known(encoding) == "±1" else sets[:, None] | sets
    return q[both] - np.outer(q[sets], q[sets])


def statistics(q: np.ndarray) -> np.ndarray:
    """Read means and pair moments, (parameter,), off the means of all products."""
    return q[_sets(int(q.size).bit_length() - 1)]


def curvature(theta: np.ndarray, encoding: str) -> tuple[float, np.ndarray, np.ndarray]:
    """Return log Z, its gradient φ (parameter,) and its Hessian F (parameter, parameter)."""
    log_z, p = probabilities(theta, encoding)
    q = products(p, encoding)
    return log_z, statistics(q), fisher(q, encoding)


def population(p: np.ndarray) -> np.ndarray:
    """Return the distribution of the number of sites that are on, (N + 1,), under weights p."""
    sites = int(p.size).bit_length() - 1
    return np.bincount(_counts(sites), p, sites + 1)


def entropy(p: np.ndarray) -> float:
    """Return −Σ p log₂ p in bits; states of no weight add nothing."""
    from scipy.special import entr

    return float(entr(p).sum() / np.log(2))


def sample(p: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw independent states from their probabilities; return how often each came, (2^N,).

    Parameters
    ----------
    p : probabilities of all states, (2^N,).
    size : how many states.
    rng : the generator.
    """
    if p.size <= 8 * size:
        return rng.multinomial(size, p / p.sum())
    cumulative = np.cumsum(p)
    drawn = np.searchsorted(cumulative, rng.random(size) * cumulative[-1], side="right")
    return np.bincount(np.minimum(drawn, p.size - 1), minlength=p.size)


def drawn(p: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw independent states from their probabilities; return their numbers, (size,), not mixed.

    Parameters
    ----------
    p, size, rng : as for ``sample``, which is quicker where the states are fewer than the draws.
    """
    from bayesinf.models.binary.pairwise import kernel

    rows = p.reshape(-1, min(p.size, 1 << kernel.ROW))
    share, states = rows.sum(axis=1), np.empty(size, np.int64)
    kernel.drawn(rng, p, rng.multinomial(size, share / share.sum()), rows.shape[1], states)
    return states


def weighed(
    states: np.ndarray, sites: int, encoding: str, triples: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Average products of sites over drawn states.

    Parameters
    ----------
    states : their numbers, (draw,).
    sites, encoding : what the numbers stand for.
    triples : sites i < j < k in their order, (triple, 3).

    Returns
    -------
    means and pair moments, (parameter,); triple moments, (triple,); the share of the states in
    which K sites are on, (N + 1,).
    """
    from bayesinf.models.binary.pairwise import kernel

    phi, triple = np.empty(sites * (sites + 1) // 2), np.empty(len(triples))
    population, down = np.empty(sites + 1), float(ENCODINGS[known(encoding)])
    kernel.weighed(states, sites, down, triples, phi, triple, population)
    return phi, triple, population


@cache
def _sets(sites):
    """The state in which the sites of each statistic alone are on."""
    i, j = pairs(sites)
    return np.concatenate([1 << np.arange(sites), (1 << i) | (1 << j)]).astype(np.int64)


@cache
def _counts(sites):
    return np.bitwise_count(np.arange(1 << sites, dtype=np.uint32)).astype(np.int64)


def _rows(theta, encoding):
    theta = np.ascontiguousarray(theta, dtype=float)
    sites = sites_of(theta.shape[-1])
    if sites > LARGEST:
        raise DataError(
            "too many sites for enumeration",
            expected=f"at most {LARGEST}",
            found=sites,
            remedy="choose some of the sites",
        )
    return theta.reshape(-1, theta.shape[-1]), sites, float(ENCODINGS[known(encoding)])


def _spread(run, rows, sites, workers):
    from bayesinf import parallel

    if workers == 1 or rows << sites < SPLIT:
        return run(slice(None))
    step = max(1, SPLIT >> sites)
    parts = [slice(start, start + step) for start in range(0, rows, step)]
    return parallel.map(run, parts, workers=workers, threads=True, label="states")
