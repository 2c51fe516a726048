"""The compiled inner loop of ``blocks``; importing this module imports numba."""

from math import sqrt

import numba
import numpy as np

from bayesinf.models.linear.scales_kernel import inverse_gaussian

__all__ = ["LEAST", "mixing_variances", "sweep"]

LEAST = 1e-200  # the smallest variance whose inverse is taken


@numba.njit(nogil=True, cache=True)
def _normal_times_laplace(rng, precision, mean, width):
    """Draw β from a density proportional to N(β; mean, 1 / precision) exp(-|β| / width).

    In units of the normal's sd the log density is m z - d |z| - z²/2. Rejection from what lies
    above it: a normal at the mode, or, where that is a narrow cusp at zero, two exponentials.
    """
    root = sqrt(precision)
    m, d = mean * root, 1.0 / (width * root)
    sign = 1.0
    if m < 0.0:
        m, sign = -m, -1.0
    mode = max(m - d, 0.0)
    right, left = max(d - m, 0.0), d + m  # how steeply it falls on either side of the cusp
    while True:
        if right < 0.7:
            z = mode + rng.standard_normal()
            # What is left is flat on the side of a mode, and falls from the cusp elsewhere.
            log_accept = -right * z if z > 0.0 else (left - mode) * z
        else:
            if rng.random() * (left + right) < left:
                z = rng.standard_exponential() / right
            else:
                z = -rng.standard_exponential() / left
            log_accept = -0.5 * z * z
        if log_accept >= 0.0 or rng.standard_exponential() > -log_accept:
            return sign * z / root


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
        variances[j] = width * width / inverse_gaussian(rng, mean)


@numba.njit(nogil=True, cache=True)
def sweep(rng, gram, groups, rest, beta, variances, sigma, width, first, block):
    """Draw the coefficients of many regressions once, in place.

    Parameters
    ----------
    gram : AᵀA of those that are drawn, (drawn, coefficient, coefficient).
    groups : which these are, (drawn,).
    rest : Aᵀ(t - Aβ), which is carried along, and β, (group, coefficient).
    variances : of the coefficients' normal prior, (group, coefficient).
    sigma : (group,).
    width : of the Laplace prior, (group,), whose mixing variances are then drawn here; zero where
        the prior is another one.
    first : how many coefficients, the first, have variances of their own, which stay.
    block : coefficients drawn at a time.
    """
    p = beta.shape[1]
    for k in range(len(groups)):
        g = groups[k]
        w, sigma2 = width[g], sigma[g] ** 2
        if w > 0.0:
            mixing_variances(rng, beta[g, first:], w, variances[g, first:])
        for low in range(0, p, block):
            high = min(low + block, p)
            _one_block(rng, gram[k], rest[g], beta[g], variances[g], sigma2, low, high)
        if w > 0.0:
            for j in range(first, p):
                mean = beta[g, j] + rest[g, j] / gram[k, j, j]
                value = _normal_times_laplace(rng, gram[k, j, j] / sigma2, mean, w)
                _shift(gram[k, j], rest[g], value - beta[g, j])
                beta[g, j] = value
