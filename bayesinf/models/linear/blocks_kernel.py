"""The compiled inner loop of ``blocks``; importing this module imports numba."""

from math import erfc, exp, log, log1p, sqrt

import numba
import numpy as np

LEAST = 1e-200  # the smallest variance whose inverse is taken


@numba.njit(nogil=True, cache=True)
def _inverse_gaussian(rng, mean):
    """Draw from the inverse Gaussian of a mean and shape 1; Michael, Schucany & Haas (1976)."""
    w = mean * rng.standard_normal() ** 2
    # The smaller root in the form that does not cancel, however large the mean.
    x = mean / (1.0 + 0.5 * (w + sqrt(w * (4.0 + w))))
    return x if rng.random() * (mean + x) <= mean else mean * (mean / x)


@numba.njit(nogil=True, cache=True)
def _beyond(rng, c):
    """Draw from the standard normal beyond c; Robert, Stat. Comput. 5, 121 (1995)."""
    if c < 0.45:
        while True:
            z = rng.standard_normal()
            if z > c:
                return z
    rate = 0.5 * (c + sqrt(c * c + 4.0))
    while True:
        z = c + rng.standard_exponential() / rate
        if rng.standard_exponential() > 0.5 * (z - rate) ** 2:
            return z


@numba.njit(nogil=True, cache=True)
def _log_mass(m):
    """log ∫ exp(m z - z²/2) dz over z > 0, less log √(2π)."""
    if m > -12.0:
        return 0.5 * m * m + log(0.5 * erfc(-m * 0.7071067811865476))
    return -log(-m) - 0.9189385332046727 + log1p((3.0 / (m * m) - 1.0) / (m * m))


@numba.njit(nogil=True, cache=True)
def _normal_times_laplace(rng, precision, mean, width):
    """Draw β from a density proportional to N(β; mean, 1 / precision) exp(-|β| / width)."""
    root = sqrt(precision)
    m, d = mean * root, 1.0 / (width * root)
    positive, negative = m - d, -m - d
    # Beyond nine standard deviations the other side is out of a random number's reach.
    if positive > 9.0:
        return (positive + _beyond(rng, -positive)) / root
    if negative > 9.0:
        return -(negative + _beyond(rng, -negative)) / root
    gap = _log_mass(negative) - _log_mass(positive)
    if gap < 700.0 and rng.random() * (1.0 + exp(gap)) < 1.0:
        return (positive + _beyond(rng, -positive)) / root
    return -(negative + _beyond(rng, -negative)) / root


@numba.njit(nogil=True, cache=True)
def _shift(row, rest, change):
    """Carry the running correlation along as one coefficient changes."""
    for k in range(rest.size):
        rest[k] -= row[k] * change


@numba.njit(nogil=True, cache=True)
def _one_block(rng, gram, rest, beta, variances, sigma2, low, high):
    """Draw the coefficients from low to high given the others and the variances."""
    size = high - low
    precision = gram[low:high, low:high] / sigma2
    b = np.empty(size)
    for i in range(size):
        b[i] = rest[low + i] / sigma2
        for k in range(size):
            b[i] += precision[i, k] * beta[low + k]
    for i in range(size):
        precision[i, i] += 1.0 / max(variances[low + i], LEAST)
    L = np.linalg.cholesky(precision)
    for i in range(size):
        for k in range(i):
            b[i] -= L[i, k] * b[k]
        b[i] /= L[i, i]
    for i in range(size):
        b[i] += rng.standard_normal()
    for i in range(size - 1, -1, -1):
        b[i] /= L[i, i]
        for k in range(i):
            b[k] -= L[i, k] * b[i]
    for i in range(size):
        _shift(gram[low + i], rest, b[i] - beta[low + i])
        beta[low + i] = b[i]


@numba.njit(nogil=True, cache=True)
def mixing_variances(rng, beta, width, variances):
    """Draw the variances of the normals that a Laplace prior mixes, given the coefficients."""
    for j in range(beta.size):
        mean = width / max(abs(beta[j]), 1e-100 * width)
        variances[j] = width * width / _inverse_gaussian(rng, mean)


@numba.njit(nogil=True, cache=True)
def sweep(rng, gram, rest, beta, variances, sigma2, width, first, block):
    """Draw the coefficients of many regressions once, in place.

    Parameters
    ----------
    gram : AᵀA, (group, coefficient, coefficient).
    rest : Aᵀ(t - Aβ), which is carried along, and β, (group, coefficient).
    variances : of the coefficients' normal prior, (group, coefficient).
    sigma2 : (group,).
    width : of the Laplace prior, (group,), whose mixing variances are then drawn here; zero where
        the prior is another one.
    first : how many coefficients, the first, have variances of their own, which stay.
    block : coefficients drawn at a time.
    """
    groups, p = beta.shape
    for g in range(groups):
        w = width[g]
        if w > 0.0:
            mixing_variances(rng, beta[g, first:], w, variances[g, first:])
        for low in range(0, p, block):
            high = min(low + block, p)
            _one_block(rng, gram[g], rest[g], beta[g], variances[g], sigma2[g], low, high)
        if w > 0.0:
            for j in range(first, p):
                mean = beta[g, j] + rest[g, j] / gram[g, j, j]
                value = _normal_times_laplace(rng, gram[g, j, j] / sigma2[g], mean, w)
                _shift(gram[g, j], rest[g], value - beta[g, j])
                beta[g, j] = value
