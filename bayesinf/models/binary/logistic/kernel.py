"""The compiled loops of ``design`` and of ``gibbs``; importing this module imports numba.

Sites that are active in state u are ``sites[first[u] : first[u + 1]]``, ascending.
"""

from math import erfc, exp, log, log1p, pi, sqrt

import numba
import numpy as np

from bayesinf.inference.elementary import exponentials

__all__ = [
    "TRUNCATION",
    "collect",
    "densities",
    "fields",
    "polya_gamma",
    "polya_gammas",
    "scatter",
    "visit",
]


@numba.njit(nogil=True, cache=True)
def fields(first, sites, start, rows, eta):
    """Fill in Σ_j b_j a_j (state, row) from states ``start`` on, of columns b (1 + site, row)."""
    for u in range(len(eta)):
        for k in range(eta.shape[1]):
            eta[u, k] = rows[0, k]
        for place in range(first[start + u], first[start + u + 1]):
            row = rows[1 + sites[place]]
            for k in range(eta.shape[1]):
                eta[u, k] += row[k]


@numba.njit(nogil=True, cache=True)
def collect(first, sites, start, weights, result):
    """Add Σ_u w_u (1, a_u), (1 + site, row), of weights (state, row)."""
    for u in range(len(weights)):
        for k in range(weights.shape[1]):
            result[0, k] += weights[u, k]
        for place in range(first[start + u], first[start + u + 1]):
            row = result[1 + sites[place]]
            for k in range(weights.shape[1]):
                row[k] += weights[u, k]


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def visit(first, sites, start, count, rows, V, G, weights):
    """Add the sums of some states, from ``start`` on, to V (row,) and G (1 + site, row).

        V = Σ_u c_u log(1 + e^η_u),   G = Σ_u c_u tanh(η_u / 2) (1, a_u),   w_u = c_u σ(η) σ(−η)

    with η_u as of ``fields``, of columns ``rows``, and counts c (state,). ``weights`` (state, row)
    are filled in; where it or G has no entries, that is not wanted. States, 1000 at most, of which
    each occurs once share a logarithm: that of a product, none of whose factors is above 2.
    """
    number = rows.shape[1]
    eta, tail, power = np.empty(number), np.empty(number), np.empty(number)
    product = np.ones(number)
    for u in range(count.size):
        low, high, c = first[start + u], first[start + u + 1], count[u]
        for k in range(number):
            eta[k] = rows[0, k]
        for place in range(low, high):
            row = rows[1 + sites[place]]
            for k in range(number):
                eta[k] += row[k]
        for k in range(number):
            tail[k] = -abs(eta[k])
            V[k] += c * max(eta[k], 0.0)
        exponentials(tail, power)
        if c == 1.0:
            for k in range(number):
                product[k] *= 1.0 + tail[k]
        else:
            for k in range(number):
                V[k] += c * log1p(tail[k])
        if weights.size:
            w = weights[u]
            for k in range(number):
                base = 1.0 + tail[k]
                w[k] = c * tail[k] / (base * base)
        if not G.size:
            continue
        for k in range(number):
            eta[k] = np.copysign(c * (1.0 - tail[k]) / (1.0 + tail[k]), eta[k])
        for k in range(number):
            G[0, k] += eta[k]
        for place in range(low, high):
            row = G[1 + sites[place]]
            for k in range(number):
                row[k] += eta[k]
    for k in range(number):
        V[k] += log(product[k])


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def densities(eta, on, result):
    """Fill in Σ_i log P of states (transition, site) of log odds η, (transition,).

    Sites, 1000 at a time, share a logarithm as the states of ``visit`` do.
    """
    sites = eta.shape[1]
    tail, power = np.empty(sites), np.empty(sites)
    for t in range(len(eta)):
        row, seen = eta[t], on[t]
        lost = 0.0
        for i in range(sites):
            tail[i] = -abs(row[i])
        exponentials(tail, power)
        for i in range(sites):
            lost += max(-row[i] if seen[i] else row[i], 0.0)
        for first in range(0, sites, 1000):
            product = 1.0
            for i in range(first, min(first + 1000, sites)):
                product *= 1.0 + tail[i]
            lost += log(product)
        result[t] = -lost


@numba.njit(nogil=True, cache=True)
def scatter(first, sites, start, weights, result):
    """Add the lower triangles of Σ_u w_u (1, a_u) (1, a_u)ᵀ, (1 + site, 1 + site, row).

    Rows stand last, so that the one addition in the loop is of vectors, and of few enough rows
    together the result stays in the cache.
    """
    for u in range(len(weights)):
        w = weights[u]
        low, high = first[start + u], first[start + u + 1]
        for k in range(w.size):
            result[0, 0, k] += w[k]
        for p in range(low, high):
            line = result[1 + sites[p]]
            for k in range(w.size):
                line[0, k] += w[k]
            for q in range(low, p + 1):
                place = 1 + sites[q]
                for k in range(w.size):
                    line[place, k] += w[k]


TRUNCATION = 0.64  # where the two series of the density change over


@numba.njit(nogil=True, cache=True)
def _normal(x):
    """Distribution function of the standard normal."""
    return 0.5 * erfc(-x / sqrt(2.0))


@numba.njit(nogil=True, cache=True)
def _coefficient(n, x):
    """n-th term of the alternating series of the density of J*(1, 0) at x."""
    k = n + 0.5
    if x > TRUNCATION:
        return pi * k * exp(-0.5 * k * k * pi * pi * x)
    return pi * k * (2.0 / (pi * x)) ** 1.5 * exp(-2.0 * k * k / x)


@numba.njit(nogil=True, cache=True)
def _inverse_normal(rng, z):
    """Draw from the inverse normal of mean 1 / z and shape 1, below ``TRUNCATION``."""
    if z * TRUNCATION < 1.0:
        while True:
            while True:
                e, f = rng.standard_exponential(), rng.standard_exponential()
                if e * e <= 2.0 * f / TRUNCATION:
                    break
            x = TRUNCATION / (1.0 + TRUNCATION * e) ** 2
            if rng.random() <= exp(-0.5 * z * z * x):
                return x
    mean = 1.0 / z
    while True:
        y = rng.standard_normal() ** 2
        x = mean + 0.5 * mean * mean * y
        x -= 0.5 * mean * sqrt(4.0 * mean * y + (mean * y) ** 2)
        if rng.random() > mean / (mean + x):
            x = mean * mean / x
        if x <= TRUNCATION:
            return x


@numba.njit(nogil=True, cache=True)
def polya_gamma(rng, z):
    """Draw from PG(1, z), exactly: Devroye's alternating series.

    Polson, Scott & Windle, J. Am. Stat. Assoc. 108, 1339 (2013),
    doi:10.1080/01621459.2013.829001.
    """
    z = 0.5 * abs(z)
    rate = 0.125 * pi * pi + 0.5 * z * z
    # Weights of the exponential beyond the truncation and of the inverse normal before it.
    root = sqrt(1.0 / TRUNCATION)
    beyond = 0.5 * pi / rate * exp(-rate * TRUNCATION)
    low = _normal(root * (TRUNCATION * z - 1.0))
    high = exp(2.0 * z) * _normal(-root * (TRUNCATION * z + 1.0)) if z < 300.0 else 0.0
    before = 2.0 * exp(-z) * (low + high)
    share = beyond / (beyond + before) if before > 0.0 else 0.0
    while True:
        if rng.random() < share:
            x = TRUNCATION + rng.standard_exponential() / rate
        else:
            x = _inverse_normal(rng, z)
        total = _coefficient(0, x)
        level = rng.random() * total
        n = 0
        while True:
            n += 1
            if n % 2:
                total -= _coefficient(n, x)
                if level <= total:
                    return 0.25 * x
            else:
                total += _coefficient(n, x)
                if level > total:
                    break


@numba.njit(nogil=True, cache=True)
def polya_gammas(rng, count, eta):
    """Replace η (state, row) by draws of PG(count_u, η), sums of independent PG(1, η)."""
    for u in range(eta.shape[0]):
        for row in range(eta.shape[1]):
            total = 0.0
            for _ in range(int(count[u])):
                total += polya_gamma(rng, eta[u, row])
            eta[u, row] = total
