"""The compiled loops of ``enumeration``; importing this module imports numba.

A state is a number whose bit i says whether site i is on. ``down`` is what a site shows when off,
−1 or 0. Arrays over states are built and folded by doubling and halving, one site at a time.
"""

from math import exp

import numba
import numpy as np

__all__ = ["expectations", "exponents", "fold", "partitions", "transform", "weights"]


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
def weights(theta, sites, down, energy, field):
    """Turn exponents into probabilities in place; return log Z by log-sum-exp."""
    top = exponents(theta, sites, down, energy, field)
    total = 0.0
    for s in range(1 << sites):
        energy[s] = exp(energy[s] - top)
        total += energy[s]
    for s in range(1 << sites):
        energy[s] /= total
    return top + np.log(total)


@numba.njit(nogil=True, cache=True)
def partitions(theta, sites, down, result):
    """Fill in log Z of each row of theta."""
    energy, field = np.empty(1 << sites), np.empty(1 << max(sites - 1, 0))
    for row in range(len(theta)):
        top = exponents(theta[row], sites, down, energy, field)
        total = 0.0
        for s in range(1 << sites):
            total += exp(energy[s] - top)
        result[row] = top + np.log(total)


@numba.njit(nogil=True, cache=True)
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


@numba.njit(nogil=True, cache=True)
def expectations(theta, sites, down, partition, result):
    """Fill in log Z, and means and pair moments, of each row of theta."""
    energy, field = np.empty(1 << sites), np.empty(1 << max(sites - 1, 0))
    for row in range(len(theta)):
        partition[row] = weights(theta[row], sites, down, energy, field)
        fold(energy, sites, down, field, result[row])


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
