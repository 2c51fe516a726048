"""The compiled loops of ``enumeration``; importing this module imports numba.

A state is a number whose bit i says whether site i is on. ``down`` is what a site shows when off,
−1 or 0. Arrays over states are built and folded by doubling and halving, one site at a time.

Sums over all states go by rows, in which the first ``ROW`` sites are free and the others held. A
row is the weights that the free sites have by themselves, times a product over them of what the
held ones do to each: it is built without an exponential, summed and forgotten, all in the nearest
cache. Factors are at most one, so nothing overflows; where all underflows (couplings of hundreds,
most of them in vain), exponents are summed up first and the largest is taken off.
"""

from math import exp, log

import numba
import numpy as np

from bayesinf.models.bits import ones

__all__ = [
    "ROW",
    "drawn",
    "expectations",
    "exponents",
    "fold",
    "partitions",
    "transform",
    "weighed",
    "weights",
]

ROW = 10  # sites of a row at the most, whose states fit into the nearest cache
# Sum of all weights, the largest that they could be being one, below which rare states underflow.
LEAST = 1e-100
SUMMED = {"reassoc", "nsz", "contract"}  # sums may be taken in any order


@numba.njit(nogil=True, cache=True, inline="always")
def _place(sites, j, k):
    """Where the coupling of sites j < k stands."""
    return sites + j * sites - j * (j + 1) // 2 + k - j - 1


@numba.njit(nogil=True, cache=True)
def _parted(theta, sites, down):
    """Part the sites in two.

    Returns
    -------
    weights (2^free,) of the free sites by themselves, the largest of them one; the field (2^held,
    free) that the held ones make for each; exponents (2^held,) of the held ones with the most that
    their row could add, less the largest of them, and that largest.
    """
    free = min(sites, ROW)
    held = sites - free
    first = np.empty(free * (free + 1) // 2)
    last = np.empty(held * (held + 1) // 2)
    for j in range(free):
        first[j] = theta[j]
        for k in range(j + 1, free):
            first[_place(free, j, k)] = theta[_place(sites, j, k)]
    for j in range(held):
        last[j] = theta[free + j]
        for k in range(j + 1, held):
            last[_place(held, j, k)] = theta[_place(sites, free + j, free + k)]
    own, scratch = np.empty(1 << free), np.empty(1 << max(free - 1, held - 1, 0))
    top = exponents(first, free, down, own, scratch)
    for s in range(len(own)):
        own[s] = exp(own[s] - top)
    level = np.empty(1 << held)
    exponents(last, held, down, level, scratch)
    field = np.zeros((1 << held, free))
    highest = -np.inf
    for a in range(1 << held):
        for k in range(held):
            value = 1.0 if a >> k & 1 else down
            for j in range(free):
                field[a, j] += value * theta[_place(sites, j, free + k)]
        level[a] += top
        for j in range(free):
            level[a] += max(field[a, j], down * field[a, j])
        highest = max(highest, level[a])
    for a in range(1 << held):
        level[a] -= highest
    return own, field, level, highest


@numba.njit(nogil=True, cache=True)
def _row(own, field, level, down, row):
    """Fill in the weights of one row."""
    row[0] = exp(level)
    for j in range(len(field)):
        half, top = 1 << j, max(field[j], down * field[j])
        on, off = exp(field[j] - top), exp(down * field[j] - top)
        for s in range(half):
            row[half + s] = row[s] * on
            row[s] *= off
    for s in range(len(row)):
        row[s] *= own[s]


@numba.njit(nogil=True, cache=True, fastmath=SUMMED)
def _sum(row):
    total = 0.0
    for s in range(len(row)):
        total += row[s]
    return total


@numba.njit(nogil=True, cache=True)
def exponents(theta, sites, down, energy, field):
    """Fill in Σ h s + Σ J s s of all states, one site after the other; return the largest."""
    energy[0] = 0.0
    for k in range(sites):
        size = 1 << k
        # The field that site k feels, on all states of the sites before it.
        field[0] = theta[k]
        for j in range(k):
            coupling = theta[sites + j * sites - j * (j + 1) // 2 + k - j - 1]
            half = 1 << j
            low, high = down * coupling, coupling
            for s in range(half):
                field[half + s] = field[s] + high
                field[s] += low
        for s in range(size):
            energy[size + s] = energy[s] + field[s]
            energy[s] += down * field[s]
    top = energy[0]
    for s in range(1 << sites):
        top = max(top, energy[s])
    return top


@numba.njit(nogil=True, cache=True)
def weights(theta, sites, down, p):
    """Fill in the probabilities of all states; return log Z."""
    own, field, level, highest = _parted(theta, sites, down)
    size, total = len(own), 0.0
    for a in range(len(level)):
        row = p[a * size : (a + 1) * size]
        _row(own, field[a], level[a], down, row)
        total += _sum(row)
    if total < LEAST:
        highest = exponents(theta, sites, down, p, np.empty(1 << max(sites - 1, 0)))
        total = 0.0
        for s in range(1 << sites):
            p[s] = exp(p[s] - highest)
            total += p[s]
    for s in range(1 << sites):
        p[s] /= total
    return highest + log(total)


@numba.njit(nogil=True, cache=True)
def partitions(theta, sites, down, result):
    """Fill in log Z of each row of theta."""
    for point in range(len(theta)):
        own, field, level, highest = _parted(theta[point], sites, down)
        row, total = np.empty(len(own)), 0.0
        for a in range(len(level)):
            _row(own, field[a], level[a], down, row)
            total += _sum(row)
        if total < LEAST:
            result[point] = weights(theta[point], sites, down, np.empty(1 << sites))
        else:
            result[point] = highest + log(total)


@numba.njit(nogil=True, cache=True, fastmath=SUMMED)
def fold(p, sites, down, difference, result):
    """Fill in means and pair moments under weights p, which are used up.

    Summed over the last site, p holds weights of the other sites; multiplied by it first, the
    weights under which products with it are averages. Both have half the states.
    """
    for k in range(sites - 1, -1, -1):
        half = 1 << k
        mean = 0.0
        for s in range(half):
            difference[s] = p[half + s] + down * p[s]
            p[s] += p[half + s]
            mean += difference[s]
        result[k] = mean
        for j in range(k - 1, -1, -1):
            quarter = 1 << j
            product = 0.0
            for s in range(quarter):
                product += difference[quarter + s] + down * difference[s]
                difference[s] += difference[quarter + s]
            result[sites + j * sites - j * (j + 1) // 2 + k - j - 1] = product


@numba.njit(nogil=True, cache=True, fastmath=SUMMED)
def _halved(row, down, means):
    """Fill in the means of the sites of a row, which is used up; return its sum."""
    for j in range(len(means) - 1, -1, -1):
        half, mean = 1 << j, 0.0
        for s in range(half):
            mean += row[half + s] + down * row[s]
            row[s] += row[half + s]
        means[j] = mean
    return row[0]


@numba.njit(nogil=True, cache=True, fastmath=SUMMED)
def _summed(theta, sites, down, result):
    """Fill in means and pair moments; return log Z, or not a number where all underflows."""
    own, field, level, highest = _parted(theta, sites, down)
    free = field.shape[1]
    held = sites - free
    row, means = np.empty(len(own)), np.empty(free)
    of_free, of_held = np.zeros(len(own)), np.empty(len(level))
    result[:] = 0.0
    total = 0.0
    for a in range(len(level)):
        _row(own, field[a], level[a], down, row)
        for s in range(len(row)):
            of_free[s] += row[s]
        of_held[a] = _halved(row, down, means)
        total += of_held[a]
        for k in range(held):
            value = 1.0 if a >> k & 1 else down
            for j in range(free):
                result[_place(sites, j, free + k)] += value * means[j]
    if total < LEAST:
        return np.nan
    scratch = np.empty(1 << max(free - 1, held - 1, 0))
    first, last = np.empty(free * (free + 1) // 2), np.empty(held * (held + 1) // 2)
    fold(of_free, free, down, scratch, first)
    fold(of_held, held, down, scratch, last)
    for j in range(free):
        result[j] = first[j]
        for k in range(j + 1, free):
            result[_place(sites, j, k)] = first[_place(free, j, k)]
    for j in range(held):
        result[free + j] = last[j]
        for k in range(j + 1, held):
            result[_place(sites, free + j, free + k)] = last[_place(held, j, k)]
    for k in range(len(result)):
        result[k] /= total
    return highest + log(total)


@numba.njit(nogil=True, cache=True)
def expectations(theta, sites, down, partition, result):
    """Fill in log Z, and means and pair moments, of each row of theta."""
    for point in range(len(theta)):
        partition[point] = _summed(theta[point], sites, down, result[point])
        if np.isnan(partition[point]):
            p = np.empty(1 << sites)
            partition[point] = weights(theta[point], sites, down, p)
            fold(p, sites, down, np.empty(1 << max(sites - 1, 0)), result[point])


@numba.njit(nogil=True, cache=True)
def transform(p, down):
    """Replace weights p by the means of all products of sites: entry S is ⟨Π_{i in S} s_i⟩.

    For ±1 this is the fast Walsh-Hadamard transform, for 0/1 the sum over supersets.
    """
    size = len(p)
    half = 1
    while half < size:
        for start in range(0, size, 2 * half):
            for s in range(start, start + half):
                off, on = p[s], p[half + s]
                p[s] = off + on
                p[half + s] = on + down * off
        half *= 2


@numba.njit(nogil=True, cache=True)
def drawn(rng, p, in_row, size, states):
    """Draw states from their probabilities, row after row of 2^size of them.

    Parameters
    ----------
    p : of all states, (2^N,).
    in_row : how many states are drawn of each row.
    states : where their numbers go, (draw,).
    """
    cumulative, place = np.empty(size), 0
    for a in range(len(in_row)):
        if in_row[a] == 0:
            continue
        total = 0.0
        for s in range(size):
            total += p[a * size + s]
            cumulative[s] = total
        for _ in range(in_row[a]):
            u = rng.random() * total
            low, high = 0, size - 1
            while low < high:
                middle = (low + high) // 2
                if cumulative[middle] > u:
                    high = middle
                else:
                    low = middle + 1
            states[place] = a * size + low
            place += 1


@numba.njit(nogil=True, cache=True)
def weighed(states, sites, down, triples, phi, triple, population):
    """Fill in means and pair moments, triple moments and how many sites are on, of drawn states.

    A site's states are bits of words. A product of sites is one where all of them are on (0/1), or
    where an even number of them is off (±1).
    """
    count = len(states)
    words = (count + 63) // 64
    on = np.zeros((sites, words), np.uint64)
    population[:] = 0.0
    for m in range(count):
        state = np.uint64(states[m])
        population[ones(state)] += 1.0 / count
        for i in range(sites):
            on[i, m >> 6] |= ((state >> np.uint64(i)) & np.uint64(1)) << np.uint64(m & 63)
    signs = down < 0.0
    if signs:
        # Of a product it matters which are off; behind the last state all are on.
        for i in range(sites):
            for word in range(words):
                on[i, word] = ~on[i, word]
            if count & 63:
                on[i, words - 1] &= (np.uint64(1) << np.uint64(count & 63)) - np.uint64(1)
    pair = np.empty(words, np.uint64)
    at, third = sites, 0
    for i in range(sites):
        few = np.uint64(0)
        for word in range(words):
            few += ones(on[i, word])
        phi[i] = 1.0 - 2.0 * few / count if signs else few / count
        for j in range(i + 1, sites):
            few = np.uint64(0)
            for word in range(words):
                both = on[i, word] ^ on[j, word] if signs else on[i, word] & on[j, word]
                pair[word] = both
                few += ones(both)
            phi[at] = 1.0 - 2.0 * few / count if signs else few / count
            at += 1
            while third < len(triples) and triples[third, 0] == i and triples[third, 1] == j:
                other, few = on[triples[third, 2]], np.uint64(0)
                for word in range(words):
                    few += ones(pair[word] ^ other[word] if signs else pair[word] & other[word])
                triple[third] = 1.0 - 2.0 * few / count if signs else few / count
                third += 1
