"""The compiled inner loop of ``spike``; importing this module imports numba."""

from math import exp, log, log1p, sqrt

import numba
import numpy as np

from bayesinf.models.bits import ones
from bayesinf.models.linear.scales_kernel import scale2

__all__ = ["products_of_signs", "run"]

CANCELS = 1e-6  # squared residuals this small beside the data's are summed up anew
LEAST = 1e-28  # rounding of sums over the data, squared
STRETCH = 64  # coefficients that are looked at together, all out
OFTEN = 0.5  # of them that may come in, above which each is drawn by itself
ROWS = 4  # of the Gram matrix that share one pass over the correlations
TILE = 64  # columns on either side that are multiplied together, so that they stay in the cache


@numba.njit(nogil=True, cache=True)
def products_of_signs(bits, count, gram):
    """Fill in XᵀX of columns of signs: count less twice the places where two of them differ.

    Parameters
    ----------
    bits : a bit for each sign, (column, word), zeros behind.
    count : of signs in a column.
    gram : (column, column).
    """
    columns, words = bits.shape
    for top in range(0, columns, TILE):
        for left in range(top, columns, TILE):
            for i in range(top, min(columns, top + TILE)):
                one = bits[i]
                for j in range(max(i, left), min(columns, left + TILE)):
                    other, differing = bits[j], np.uint64(0)
                    for word in range(words):
                        differing += ones(one[word] ^ other[word])
                    gram[i, j] = count - 2 * np.int64(differing)
                    gram[j, i] = gram[i, j]


@numba.njit(nogil=True, cache=True)
def _shift(gram, correlation, beta, j, value):
    """Set β_j and carry the running correlation along."""
    change = value - beta[j]
    if change != 0.0:
        row = gram[j]
        for k in range(row.size):
            correlation[k] -= row[k] * change
        beta[j] = value


@numba.njit(nogil=True, cache=True)
def _pair(rng, gram, correlation, beta, j, k, sigma2, tau2, log_odds):
    """Draw (included, β) of two columns jointly given the rest."""
    gj, gk, g = float(gram[j, j]), float(gram[k, k]), float(gram[j, k])
    cj = (correlation[j] + gj * beta[j] + g * beta[k]) / sigma2
    ck = (correlation[k] + gk * beta[k] + g * beta[j]) / sigma2
    aj, ak, a = gj / sigma2 + 1.0 / tau2, gk / sigma2 + 1.0 / tau2, g / sigma2
    # Cholesky of the 2 x 2 precision; the second pivot written so that copies do not cancel it.
    pivot = 1.0 / tau2 + (gk / tau2 / sigma2 + (gj * gk - g * g) / sigma2**2) / aj
    rest = ck - a * cj / aj
    log_j = log_odds - 0.5 * log(aj * tau2) + 0.5 * cj * cj / aj
    log_k = log_odds - 0.5 * log(ak * tau2) + 0.5 * ck * ck / ak
    log_both = log_j + log_odds - 0.5 * log(pivot * tau2) + 0.5 * rest * rest / pivot
    top = max(0.0, log_j, log_k, log_both)
    none, only_j, only_k = exp(-top), exp(log_j - top), exp(log_k - top)
    u = rng.random() * (none + only_j + only_k + exp(log_both - top))
    new_j, new_k = 0.0, 0.0
    if u < none:
        pass
    elif u < none + only_j:
        new_j = cj / aj + rng.standard_normal() / sqrt(aj)
    elif u < none + only_j + only_k:
        new_k = ck / ak + rng.standard_normal() / sqrt(ak)
    else:
        new_k = rest / pivot + rng.standard_normal() / sqrt(pivot)
        new_j = (cj - a * new_k) / aj + rng.standard_normal() / sqrt(aj)
    _shift(gram, correlation, beta, j, new_j)
    _shift(gram, correlation, beta, k, new_k)


@numba.njit(nogil=True, cache=True)
def _residual_square(X, t, beta):
    """|t - Xβ|² by its definition: what is left of large numbers is not their difference."""
    total = 0.0
    for i in range(len(t)):
        rest = t[i]
        for j in range(len(beta)):
            if beta[j] != 0.0:
                rest -= X[i, j] * beta[j]
        total += rest * rest
    return total


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def _values(rng, gram, diagonal, correlation, beta, sigma2, tau2, first):
    """Draw the values of those that are in, one given the others.

    Only their own correlations are needed on the way; all others follow in one pass, in which four
    rows of the Gram matrix share a look at them.
    """
    members = np.flatnonzero(beta)
    if first:
        members = np.concatenate((np.arange(first), members[members >= first]))
    change = np.zeros((members.size + ROWS - 1) // ROWS * ROWS)
    for a in range(members.size):
        j = members[a]
        row, own = gram[j], correlation[j] + diagonal[j] * beta[j]
        for b in range(a):
            own -= row[members[b]] * change[b]
        v = 1.0 / (diagonal[j] / sigma2 + (1.0 if j < first else 1.0 / tau2))
        value = v * own / sigma2 + sqrt(v) * rng.standard_normal()
        change[a], beta[j] = value - beta[j], value
    last = members.size - 1
    for a in range(0, members.size, ROWS):
        one, two = gram[members[a]], gram[members[min(a + 1, last)]]
        three, four = gram[members[min(a + 2, last)]], gram[members[min(a + 3, last)]]
        x, y, z, w = change[a], change[a + 1], change[a + 2], change[a + 3]
        for k in range(correlation.size):
            correlation[k] -= one[k] * x + two[k] * y + three[k] * z + four[k] * w


@numba.njit(nogil=True, cache=True, fastmath={"nnan", "nsz"})
def _largest(values):
    """Largest size; told that none is a NaN, the compiler looks at several at a time."""
    top = 0.0
    for k in range(values.size):
        top = max(top, abs(values[k]))
    return top


@numba.njit(nogil=True, cache=True)
def _singly(rng, gram, diagonal, correlation, beta, start, stop, sigma2, tau2, log_odds):
    """Draw whether these coefficients are in, one after the other.

    One that stays in keeps its value: to leave with the probability of being out, and to come with
    that of being in and a value drawn given the rest, is in detailed balance.
    """
    g, v, half, log_empty = -1.0, 0.0, 0.0, 0.0
    for j in range(start, stop):
        if diagonal[j] != g:
            g = diagonal[j]
            v, half, log_empty = _odds(g, sigma2, tau2, log_odds)
        pull = correlation[j] + g * beta[j]
        log_in = log_empty + half * pull * pull
        # With e ~ Exponential(1), P(e > log(1 + exp(-x))) is the logistic function of x. Most
        # coefficients are far from inclusion and are settled without the logarithm.
        e = rng.standard_exponential()
        if e > -log_in and log_in > -700.0 and e > log1p(exp(-log_in)):
            if beta[j] == 0.0:
                drawn = v * pull / sigma2 + sqrt(v) * rng.standard_normal()
                _shift(gram, correlation, beta, j, drawn)
        elif beta[j] != 0.0:
            _shift(gram, correlation, beta, j, 0.0)


@numba.njit(nogil=True, cache=True)
def _odds(g, sigma2, tau2, log_odds):
    """Variance of a coefficient that is in, and the log odds of being so: log_empty + half · c²."""
    v = 1.0 / (g / sigma2 + 1.0 / tau2)
    return v, 0.5 * v / sigma2**2, log_odds - 0.5 * log1p(g * tau2 / sigma2)


@numba.njit(nogil=True, cache=True)
def _first_in(rng, diagonal, correlation, start, stop, most, sigma2, tau2, log_odds):
    """The first of these coefficients, all out, that comes in; ``stop`` where none does.

    Being out has the probability exp(-h), h = log(1 + exp(log odds)). So who comes first is the
    first event of a Poisson process with the rate h on the stretch of each: of one with the rate
    ``most`` throughout, which bounds them, each event counts with probability h / most.
    """
    place = 0.0
    while True:
        place += rng.standard_exponential() / most
        if place >= stop - start:
            return stop
        j = start + int(place)
        _, half, log_empty = _odds(diagonal[j], sigma2, tau2, log_odds)
        if rng.random() * most < log1p(exp(log_empty + half * correlation[j] ** 2)):
            return j


@numba.njit(nogil=True, cache=True)
def _sweep(rng, gram, diagonal, correlation, beta, pairs, sigma2, tau2, log_odds, first):
    """Draw of every coefficient whether it is in, then every pair, then the values of all in."""
    _, half, log_empty = _odds(np.min(diagonal[first:]), sigma2, tau2, log_odds)  # the most likely
    members = np.append(np.flatnonzero(beta), beta.size)
    j, following = first, 0
    while j < beta.size:
        while members[following] < j:
            following += 1
        stop = min(members[following], j + STRETCH)
        if stop == j:  # it is in
            stop, most = j + 1, np.inf
        else:
            top = _largest(correlation[j:stop])
            most = log1p(exp(min(log_empty + half * top * top, 700.0)))
        if most * (stop - j) > OFTEN:
            _singly(rng, gram, diagonal, correlation, beta, j, stop, sigma2, tau2, log_odds)
            j = stop
            continue
        found = _first_in(rng, diagonal, correlation, j, stop, most, sigma2, tau2, log_odds)
        if found < stop:
            v, _, _ = _odds(diagonal[found], sigma2, tau2, log_odds)
            drawn = v * correlation[found] / sigma2 + sqrt(v) * rng.standard_normal()
            _shift(gram, correlation, beta, found, drawn)
        j = found + 1 if found < stop else stop
    for i in range(len(pairs)):
        _pair(rng, gram, correlation, beta, pairs[i, 0], pairs[i, 1], sigma2, tau2, log_odds)
    _values(rng, gram, diagonal, correlation, beta, sigma2, tau2, first)


@numba.njit(nogil=True, cache=True)
def run(
    rng,
    gram,
    start,
    X,
    t,
    rows,
    counts,
    apart,
    pairs,
    ends,
    noise,
    slab,
    rate,
    first,
    draws,
    thin,
    beta,
    sigma,
    scales,
):
    """Run the chain from (beta, sigma, scales); the arguments are those that ``spike.chain``
    prepares.

    Arrays lead with the group; rows and pairs of group g end before ``rows[g]`` and ``ends[g]``. It
    has ``counts[g]`` data, of which those beyond its rows have the squared length ``apart[g]``.
    The ``first`` columns are always in, with a standard normal prior.
    """
    groups, p = start.shape
    beta, correlation, sigma2 = beta.copy(), start.copy(), sigma**2
    # A copy, because walking down the diagonal of a large matrix misses the cache at every step.
    diagonal = np.empty((groups, p))
    for g in range(groups):
        for j in range(p):
            diagonal[g, j] = gram[g, j, j]
            if beta[g, j] != 0.0:
                for k in range(p):
                    correlation[g, k] -= gram[g, j, k] * beta[g, j]
    square = np.empty(groups)
    for g in range(groups):
        square[g] = apart[g]
        for i in range(rows[g - 1] if g else 0, rows[g]):
            square[g] += t[i] * t[i]
    coefficients = np.empty((draws, groups, p))
    kept_sigma, kept = np.empty((draws, groups)), np.empty((draws, 2))
    tau2, pi = scales[0] ** 2, scales[1]
    for draw in range(draws):
        for _ in range(thin):
            log_odds, count, size = log(pi) - log1p(-pi), 0, 0.0
            for g in range(groups):
                of_group = pairs[ends[g - 1] if g else 0 : ends[g]]
                state = correlation[g], beta[g], of_group, sigma2[g], tau2, log_odds, first
                _sweep(rng, gram[g], diagonal[g], *state)
                fitted = 0.0
                for j in range(p):
                    if beta[g, j] != 0.0:
                        fitted += beta[g, j] * (start[g, j] + correlation[g, j])
                        if j >= first:
                            count += 1
                            size += beta[g, j] ** 2
                rest = square[g] - fitted
                below = rows[g - 1] if g else 0
                if rest < CANCELS * square[g]:
                    rest = _residual_square(X[below : rows[g]], t[below : rows[g]], beta[g])
                    rest += apart[g]
                rest = max(rest, LEAST * square[g])
                sigma2[g] = scale2(rng, noise, sigma2[g], counts[g], rest)
            tau2 = scale2(rng, slab, tau2, count, size)
            if rate[0] > 0.0:
                yes = rng.standard_gamma(rate[0] + count)
                no = rng.standard_gamma(rate[1] + groups * (p - first) - count)
                pi = min(max(yes / (yes + no), 1e-300), 1.0 - 1e-16)
        for g in range(groups):
            kept_sigma[draw, g] = sqrt(sigma2[g])
            for j in range(p):
                coefficients[draw, g, j] = beta[g, j]
        kept[draw, 0], kept[draw, 1] = sqrt(tau2), pi
    return coefficients, kept_sigma, kept
