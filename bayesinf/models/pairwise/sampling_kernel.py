"""The compiled loops of ``sampling``; importing this module imports numba.

All of it works on sites that are on or off, 0/1, whose log odds of being on, given the others, are
the local field h_i + Σ_j J_ij n_j. The field of every site is kept, and changed by a row of J where
a site flips: a visit costs a comparison, and a flip one pass over a row.

A site flips with a probability p(d) of its gain d, the log odds of the flip. That a uniform number
u is below p(d) means that d is above p⁻¹(u), so of u one byte is drawn first: where it lies, two
entries of a table of p⁻¹ tell, and only when d is between these, once in 256 visits, the rest of u
and an exponential are needed. The decision is exact, and eight of them share one random word.
"""

from math import exp

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic

_BYTE = np.arange(257) / 256
with np.errstate(divide="ignore"):
    # The least gain at which a flip is accepted, for u = 0, 1/256, ..., 1.
    HEAT_BATH = np.log(_BYTE) - np.log1p(-_BYTE)
    METROPOLIS = np.log(_BYTE)

WORDS = 128  # words of 64 samples that are counted at once: columns stay in the cache


# Random words: xoshiro256++, Blackman & Vigna, ACM Trans. Math. Softw. 47, 36 (2021),
# doi:10.1145/3460772. Its state, four words, is an array that each chain has for itself.


@numba.njit(nogil=True, cache=True)
def word(seed):
    """Advance a generator; return 64 random bits."""
    total = seed[0] + seed[3]
    result = ((total << np.uint64(23)) | (total >> np.uint64(41))) + seed[0]
    shifted = seed[1] << np.uint64(17)
    seed[2] ^= seed[0]
    seed[3] ^= seed[1]
    seed[1] ^= seed[2]
    seed[0] ^= seed[3]
    seed[2] ^= shifted
    seed[3] = (seed[3] << np.uint64(45)) | (seed[3] >> np.uint64(19))
    return result


@numba.njit(nogil=True, cache=True)
def uniform(seed):
    """Draw from [0, 1), a multiple of 2⁻⁵³."""
    return (word(seed) >> np.uint64(11)) * 2.0**-53


@numba.njit(nogil=True, cache=True)
def words(seed, result):
    """Fill in random words, one after the other."""
    for k in range(result.size):
        result[k] = word(seed)


# Chains


@numba.njit(nogil=True, cache=True)
def accepts(gain, byte, seed, heat):
    """Whether a uniform number whose first byte is known is below p(gain)."""
    table = HEAT_BATH if heat else METROPOLIS
    if gain < table[byte]:
        return False
    if gain >= table[byte + np.uint64(1)]:
        return True
    u = (byte + uniform(seed)) / 256.0
    return u < (1.0 / (1.0 + exp(-gain)) if heat else exp(gain))


@numba.njit(nogil=True, cache=True)
def sweep(J, field, sign, seed, heat, toward, rise, level):
    """Visit as many sites as there are; return how many flipped, and the new level.

    ``sign`` is 1 where a site is off and −1 where it is on. The heat bath goes along the sites.
    Metropolis picks them at random: in a row, sites without fields would flip at every sweep.

    ``level`` is how many sites are as in a pattern, whose sites that are on have ``toward`` 1 and
    the others −1; ``rise[k]`` is the log weight, beyond the model, of level k over k − 1.
    """
    sites = sign.size
    flips = 0
    up, down = rise[level + 1], -rise[level]
    bits = np.uint64(0)
    fresh = 7 if heat else 1  # visits that share a word, less one
    for visit in range(sites):
        if visit & fresh == 0:
            bits = word(seed)
        byte = bits & np.uint64(255)
        bits >>= np.uint64(8)
        i = visit
        if not heat:
            i = np.int64(((bits & np.uint64(0xFFFFFF)) * np.uint64(sites)) >> np.uint64(24))
            bits >>= np.uint64(24)
        step = sign[i]
        closer = step * toward[i] > 0.0
        if accepts(step * field[i] + (up if closer else down), byte, seed, heat):
            row = J[i]
            for k in range(sites):
                field[k] += step * row[k]
            sign[i] = -step
            flips += 1
            level += 1 if closer else -1
            up, down = rise[level + 1], -rise[level]
    return flips, level


@numba.njit(nogil=True, cache=True)
def run(h, J, on, seeds, heat, toward, rise, burn, thin, down, kept):
    """Move chains on, and keep a state every ``thin`` sweeps; return the flips since the burn-in.

    ``on`` (chain, site) is where they begin, and then where they end; ``kept`` (chain, draw, site)
    shows ``down`` where a site is off.
    """
    sites = h.size
    field, sign = np.empty(sites), np.empty(sites)
    flips = 0
    for chain in range(len(on)):
        seed = seeds[chain]
        field[:] = h
        level = 0
        for i in range(sites):
            sign[i] = 1.0 - 2.0 * on[chain, i]
            level += sign[i] * toward[i] < 0.0
            if on[chain, i]:
                for k in range(sites):
                    field[k] += J[i, k]
        for _ in range(burn):
            _, level = sweep(J, field, sign, seed, heat, toward, rise, level)
        for draw in range(kept.shape[1]):
            for _ in range(thin):
                moved, level = sweep(J, field, sign, seed, heat, toward, rise, level)
                flips += moved
            for i in range(sites):
                kept[chain, draw, i] = 1 if sign[i] < 0.0 else down
        for i in range(sites):
            on[chain, i] = sign[i] < 0.0
    return flips


@numba.njit(nogil=True, cache=True)
def anneal(h, J, base, seeds, steps, log_weight):
    """Fill in the log weights of chains that go from independent sites, fields ``base``, to h, J.

    At β the field is base + β e with e = h + J n − base, and the log density has the slope
    Σ_i n_i (h_i − base_i + ½ Σ_j J_ij n_j) in β.
    """
    sites = h.size
    away, sign = np.empty(sites), np.empty(sites)
    for chain in range(len(seeds)):
        seed = seeds[chain]
        away[:] = h - base
        for i in range(sites):
            sign[i] = 1.0
            if uniform(seed) < 1.0 / (1.0 + exp(-base[i])):
                sign[i] = -1.0
                for k in range(sites):
                    away[k] += J[i, k]
        total = 0.0
        for step in range(1, steps + 1):
            for i in range(sites):
                if sign[i] < 0.0:
                    total += 0.5 * (away[i] + h[i] - base[i])
            if step == steps:
                break
            beta = step / steps
            bits = np.uint64(0)
            for i in range(sites):
                if i & 7 == 0:
                    bits = word(seed)
                byte = bits & np.uint64(255)
                bits >>= np.uint64(8)
                if accepts(sign[i] * (base[i] + beta * away[i]), byte, seed, True):
                    change, row = sign[i], J[i]
                    for k in range(sites):
                        away[k] += change * row[k]
                    sign[i] = -change
        log_weight[chain] = total / steps


# Counts of pairs and quadruples of sites that are on, by bits of 64 samples at once


@intrinsic
def _ones(typing, number):
    """Number of bits that are set."""

    def code(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), code


@numba.njit(nogil=True, cache=True)
def _transpose(block):
    """Exchange rows and columns of 64 × 64 bits (Warren, Hacker's Delight, 7-3)."""
    size, mask = 32, np.uint64(0x00000000FFFFFFFF)
    while size:
        shift = np.uint64(size)
        k = 0
        while k < 64:
            moved = ((block[k] >> shift) ^ block[k + size]) & mask
            block[k + size] ^= moved
            block[k] ^= moved << shift
            k = (k + size + 1) & ~size
        size >>= 1
        mask ^= mask << np.uint64(size)


@numba.njit(nogil=True, cache=True)
def counts(rows, count, begin, columns, result):
    """Fill in how often two sites, from ``begin`` on, are on at once: upper triangle and diagonal.

    ``rows`` (sample, word) has bit i of a sample for site i, ``count`` of them; ``columns`` is
    scratch of (64 × words, WORDS).
    """
    sites = len(result)
    result[:] = 0
    block = np.empty(64, np.uint64)
    for start in range(0, count, 64 * WORDS):
        used = min((count - start + 63) // 64, WORDS)
        for w in range(used):
            first = start + 64 * w
            here = min(64, count - first)
            for v in range(begin // 64, rows.shape[1]):
                for r in range(here):
                    block[r] = rows[first + r, v]
                block[here:] = np.uint64(0)
                _transpose(block)
                for i in range(64):
                    columns[64 * v + i, w] = block[i]
        for i in range(begin, sites):
            for j in range(i, sites):
                a, b = columns[i], columns[j]
                total = np.uint64(0)
                for w in range(used):
                    total += _ones(a[w] & b[w])
                result[i, j] += np.int64(total)
                if j == i and total == 0:  # never on here: nor with another
                    break


@numba.njit(nogil=True, cache=True)
def _having(rows, count, site, result):
    """Copy the samples in which a site is on; return how many they are."""
    v, shift = site // 64, np.uint64(site % 64)
    found = 0
    for r in range(count):
        for k in range(rows.shape[1]):
            result[found, k] = rows[r, k]
        found += np.int64((rows[r, v] >> shift) & np.uint64(1))
    return found


@numba.njit(nogil=True, cache=True)
def covariance_rows(rows, i, phi, result):
    """Fill in the upper triangle of the covariance, in the rows of site i and of its pairs (i, j).

    The counts of all pairs among the samples in which i, or i and j, are on, are those of all
    triples and quadruples that begin so.
    """
    sites = int((np.sqrt(8.0 * phi.size + 1.0) - 1.0) / 2.0)
    samples, vs = rows.shape
    # A spare row: what is copied without being kept still needs a place.
    some, fewer = np.empty((samples + 1, vs), np.uint64), np.empty((samples + 1, vs), np.uint64)
    columns = np.empty((64 * vs, WORDS), np.uint64)
    both = np.empty((sites, sites), np.int64)
    found = _having(rows, samples, i, some)
    counts(some, found, 0, columns, both)
    for k in range(i, sites):
        result[i, k] = both[k, k] / samples - phi[i] * phi[k]
    place = sites
    for k in range(sites):
        for m in range(k + 1, sites):
            result[i, place] = both[k, m] / samples - phi[i] * phi[place]
            place += 1
    own = sites + i * sites - i * (i + 1) // 2
    for j in range(i + 1, sites):
        number = _having(some, found, j, fewer)
        counts(fewer, number, i, columns, both)
        place = own
        for k in range(i, sites):
            for m in range(k + 1, sites):
                if place >= own + j - i - 1:
                    result[own + j - i - 1, place] = both[k, m] / samples
                place += 1
        first = own + j - i - 1
        for place in range(first, phi.size):
            result[first, place] -= phi[first] * phi[place]


@numba.njit(nogil=True, cache=True)
def mirror(matrix, start, stop):
    """Copy the upper triangle onto the lower, for rows from start to stop; by blocks."""
    size = 32
    for first in range(0, stop, size):
        for r in range(start, stop):
            for c in range(first, min(first + size, r)):
                matrix[r, c] = matrix[c, r]


@numba.njit(nogil=True, cache=True)
def recode_columns(matrix, offset, factor, start, stop):
    """Turn statistics of sites m into those of offset + factor m, along the rows given."""
    sites = offset.size
    for r in range(start, stop):
        row = matrix[r]
        place = sites
        for i in range(sites):
            for j in range(i + 1, sites):
                row[place] = (factor[i] * factor[j] * row[place] + offset[i] * factor[j] * row[j]
                              + offset[j] * factor[i] * row[i])  # fmt: skip
                place += 1
        for i in range(sites):
            row[i] *= factor[i]


@numba.njit(nogil=True, cache=True)
def recode_rows(matrix, offset, factor, start, stop):
    """Do the same to the rows of pairs, given by their columns from start to stop."""
    sites = offset.size
    place = sites
    for i in range(sites):
        for j in range(i + 1, sites):
            own, straight = factor[i] * factor[j], offset[i] * factor[j]
            other = offset[j] * factor[i]
            for c in range(start, stop):
                matrix[place, c] = (own * matrix[place, c] + straight * matrix[j, c]
                                    + other * matrix[i, c])  # fmt: skip
            place += 1
    for i in range(sites):
        for c in range(start, stop):
            matrix[i, c] *= factor[i]
