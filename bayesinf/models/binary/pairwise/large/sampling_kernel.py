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

__all__ = ["accepts", "anneal", "run", "sweep", "uniform", "word", "words"]

_BYTE = np.arange(257) / 256
with np.errstate(divide="ignore"):
    # The least gain at which a flip is accepted, for u = 0, 1/256, ..., 1.
    LEAST_GAIN = np.log(_BYTE) - np.log1p(-_BYTE)


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
def accepts(gain, byte, seed):
    """Whether a uniform number whose first byte is known is below p(gain)."""
    if gain < LEAST_GAIN[byte]:
        return False
    if gain >= LEAST_GAIN[byte + np.uint64(1)]:
        return True
    return (byte + uniform(seed)) / 256.0 < 1.0 / (1.0 + exp(-gain))


@numba.njit(nogil=True, cache=True)
def sweep(J, field, sign, seed, toward, rise, level):
    """Visit one site after the other; return how many flipped, and the new level.

    ``sign`` is 1 where a site is off and −1 where it is on.

    ``level`` is how many sites are as in a pattern, whose sites that are on have ``toward`` 1 and
    the others −1; ``rise[k]`` is the log weight, beyond the model, of level k over k − 1.
    """
    sites = sign.size
    flips = 0
    up, down = rise[level + 1], -rise[level]
    bits = np.uint64(0)
    for i in range(sites):
        if i & 7 == 0:
            bits = word(seed)
        byte = bits & np.uint64(255)
        bits >>= np.uint64(8)
        step = sign[i]
        closer = step * toward[i] > 0.0
        if accepts(step * field[i] + (up if closer else down), byte, seed):
            row = J[i]
            for k in range(sites):
                field[k] += step * row[k]
            sign[i] = -step
            flips += 1
            level += 1 if closer else -1
            up, down = rise[level + 1], -rise[level]
    return flips, level


@numba.njit(nogil=True, cache=True)
def run(h, J, on, seeds, toward, rise, burn, thin, down, kept):
    """Move chains on, and keep a state every ``thin`` sweeps; return the flips since the burn-in.

    ``on`` (chain, site) is where they begin, and then where they end; ``kept`` (chain, draw, site)
    shows ``down`` where a site is off.
    """
    sites = h.size
    field, sign = np.empty(sites), np.empty(sites)
    flips = 0
    for chain in range(len(on)):
        seed = seeds[chain]
        level = 0
        for i in range(sites):
            field[i] = h[i]
        for i in range(sites):
            sign[i] = 1.0 - 2.0 * on[chain, i]
            level += sign[i] * toward[i] < 0.0
            if on[chain, i]:
                for k in range(sites):
                    field[k] += J[i, k]
        for _ in range(burn):
            _, level = sweep(J, field, sign, seed, toward, rise, level)
        for draw in range(kept.shape[1]):
            for _ in range(thin):
                moved, level = sweep(J, field, sign, seed, toward, rise, level)
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
        for i in range(sites):
            away[i] = h[i] - base[i]
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
                if accepts(sign[i] * (base[i] + beta * away[i]), byte, seed):
                    change, row = sign[i], J[i]
                    for k in range(sites):
                        away[k] += change * row[k]
                    sign[i] = -change
        log_weight[chain] = total / steps
