"""Scales of normals, and of the priors that mix them, in compiled code.

One definition of each density, as a function of the logarithm x of a scale, serves spike and slab,
the shrinking priors of one regression and those of many. Importing this module imports numba.
"""

from math import asinh, atan2, exp, expm1, inf, log, log1p, pi, sqrt

import numba

from bayesinf.models.linear.scale_priors import (
    FIXED,
    GAMMA,
    HALF_CAUCHY,
    HALF_NORMAL,
    HORSESHOE,
    INVERSE_GAMMA,
    LAPLACE,
    LOG_NORMAL,
    LOG_UNIFORM,
    NORMAL,
    STUDENT,
    UNIFORM,
)

__all__ = [
    "inverse_gaussian",
    "locals_given",
    "log_e1",
    "log_local",
    "log_prior",
    "log_scales",
    "log_weights",
    "log_z",
    "move",
    "scale2",
]

STEP = 2.0  # by which a slice of the logarithm of a scale is stepped out
WIDE = 8.0  # first interval of a slice along the logarithm of a width, about as wide as its prior
EULER = 0.5772156649015329
TINY = 1e-300  # the smallest number whose inverse is taken


@numba.njit(nogil=True, cache=True)
def log_prior(prior, x):
    """Log density of x, the logarithm of a scale, but for what does not depend on it."""
    kind, power, a, b = prior
    y = power * x
    if kind == INVERSE_GAMMA:
        return -a * y - b * exp(-y)
    if kind == HALF_CAUCHY:
        return y - log1p(exp(2.0 * (y - log(b))))
    if kind == LOG_NORMAL:
        return -0.5 * ((y - a) / b) ** 2
    if kind == LOG_UNIFORM:
        return 0.0 if a <= y <= b else -inf
    if kind == HALF_NORMAL:
        return y - 0.5 * exp(2.0 * y) / a**2
    if kind == GAMMA:
        return a * y - b * exp(y)
    if kind == UNIFORM:
        return y if a <= y <= b else -inf
    return a * y + (b - 1.0) * log1p(-exp(y)) if y < 0.0 else -inf  # a beta's


# A scale given normal values


@numba.njit(nogil=True, cache=True)
def _log_scale(prior, x, count, square):
    return log_prior(prior, x) - count * x - 0.5 * square * exp(-2.0 * x)


@numba.njit(nogil=True, cache=True)
def _sliced(rng, prior, current, count, square):
    """Draw a squared scale by slice sampling its logarithm, the slice found by stepping out."""
    x = 0.5 * log(current)
    level = _log_scale(prior, x, count, square) - rng.standard_exponential()
    low = x - STEP * rng.random()
    high = low + STEP
    while _log_scale(prior, low, count, square) > level:
        low -= STEP
    while _log_scale(prior, high, count, square) > level:
        high += STEP
    while True:
        proposal = low + (high - low) * rng.random()
        if _log_scale(prior, proposal, count, square) >= level:
            return exp(2.0 * proposal)
        if proposal < x:
            low = proposal
        else:
            high = proposal


@numba.njit(nogil=True, cache=True)
def scale2(rng, prior, current, count, square):
    """Draw a squared scale given ``count`` normal values of summed square ``square``.

    An inverse gamma of the square is conjugate, and so is a half-Cauchy, an inverse gamma whose
    rate is itself drawn: Makalic & Schmidt, IEEE Signal Process. Lett. 23, 179 (2016),
    doi:10.1109/LSP.2015.2503725.
    """
    kind, power, a, b = prior
    if kind == FIXED:
        return current
    if kind == HALF_CAUCHY and power == 1.0:
        a, b = 0.5, rng.standard_gamma(1.0) / (1.0 / current + 1.0 / b**2)
    elif kind != INVERSE_GAMMA or power != 2.0:
        return _sliced(rng, prior, current, count, square)
    return (0.5 * square + b) / rng.standard_gamma(0.5 * count + a)


@numba.njit(nogil=True, cache=True)
def log_scales(rng, prior, x, counts, squares):
    """Draw logarithms x of scales, each given its normal values, in place."""
    for g in range(len(x)):
        x[g] = 0.5 * log(scale2(rng, prior, exp(2.0 * x[g]), counts[g], squares[g]))


# Width and slab of weights, local variances integrated out


@numba.njit(nogil=True, cache=True)
def log_e1(z):
    """Log of exp(z) E₁(z), the exponential integral: its series, else its continued fraction."""
    if z < 1.5:
        total, term = -EULER - log(z), -1.0
        for k in range(1, 40):
            term *= -z / k
            total += term / k
            if abs(term) < 1e-17:
                break
        return z + log(total)
    b = z + 1.0
    c, d = 1e300, 1.0 / b
    value = d
    for k in range(1, 200):
        b += 2.0
        d = 1.0 / (b - k * k * d)
        c = b - k * k / c
        value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return log(value)


@numba.njit(nogil=True, cache=True)
def log_z(tau, slab):
    """Log of the horseshoe's ⟨(1 + a λ²)^(−1/2)⟩, a = (τ / slab)², over the half-Cauchy of λ."""
    ratio = tau / slab
    root = max(sqrt(abs(1.0 - ratio**2)), 1e-9)
    return log(2.0 / pi * (atan2(root, ratio) if ratio < 1.0 else asinh(root)) / root)


@numba.njit(nogil=True, cache=True)
def log_local(kind, tau, slab, local):
    """Log density of local variances at a width, but for what does not depend on width or slab."""
    if kind != HORSESHOE or slab == inf:
        return 0.0
    ratio2, value = (tau / slab) ** 2, 0.0
    for k in range(len(local)):
        value -= log1p(ratio2 * local[k])
    return 0.5 * value - len(local) * log_z(tau, slab)


@numba.njit(nogil=True, cache=True)
def log_weights(kind, dof, w, size, x, slab):
    """Log density of weights at the width exp(x), but for what does not depend on width or slab.

    ``size`` is Σ w² of them under a normal prior and a horseshoe, Σ |w| under Laplace's.
    """
    value, count = 0.0, len(w)
    if kind == NORMAL:
        value = -0.5 * size * exp(-2.0 * x)
    elif kind == LAPLACE:
        value = -size * exp(-x)
    elif kind == STUDENT:
        for k in range(count):
            value -= log1p((w[k] * exp(-x)) ** 2 / dof)
        value *= 0.5 * (dof + 1.0)
    else:
        for k in range(count):
            value += log_e1(max(0.5 * (w[k] * exp(-x)) ** 2, TINY))
        value -= count * log_z(exp(x), slab) + 0.5 * size / slab**2
    return value - count * x


@numba.njit(nogil=True, cache=True)
def _log_hyper(told, of_slab, w, size, x, other):
    """Log density of the logarithm x of width or slab, given the weights and the other one."""
    kind, dof, of_width, prior = told
    if not of_slab:
        return log_prior(of_width, x) + log_weights(kind, dof, w, size, x, other)
    slab = exp(x)
    return log_prior(prior, x) - 0.5 * size / slab**2 - len(w) * log_z(other, slab)


@numba.njit(nogil=True, cache=True)
def _slice(rng, told, of_slab, w, size, current, other):
    """Draw width or slab by a slice step on its logarithm, narrower the more weights there are."""
    x, first = log(current), WIDE / sqrt(1.0 + len(w) / 10.0)
    level = _log_hyper(told, of_slab, w, size, x, other) - rng.standard_exponential()
    low = x - first * rng.random()
    high = low + first
    while True:
        proposal = low + (high - low) * rng.random()
        if _log_hyper(told, of_slab, w, size, proposal, other) >= level:
            return exp(proposal)
        if proposal < x:
            low = proposal
        else:
            high = proposal


@numba.njit(nogil=True, cache=True)
def move(rng, told, w, scale, slab, steps):
    """Draw width and slab given the weights, so many slice steps each, local variances integrated
    out; return both.
    """
    kind = told[0]
    size = 0.0
    for k in range(len(w)):
        size += abs(w[k]) if kind == LAPLACE else w[k] ** 2
    for _ in range(steps):
        if told[2][0] != FIXED:
            scale = _slice(rng, told, False, w, size, scale, slab)
        if told[3][0] != FIXED:
            slab = _slice(rng, told, True, w, size, slab, scale)
    return scale, slab


# Local variances


@numba.njit(nogil=True, cache=True)
def inverse_gaussian(rng, mean):
    """Draw from the inverse Gaussian of a mean and shape 1; Michael, Schucany & Haas (1976)."""
    w = mean * rng.standard_normal() ** 2
    # The smaller root in the form that does not cancel, however large the mean.
    x = mean / (1.0 + 0.5 * (w + sqrt(w * (4.0 + w))))
    return x if rng.random() * (mean + x) <= mean else mean * (mean / x)


@numba.njit(nogil=True, cache=True)
def _of_horseshoe(rng, x):
    """Draw as ``priors.weights.Horseshoe.local_given`` does, which says why."""
    z = max(0.5 * x * x, TINY)
    flat = max(-log(z) - 1.0 + z, 0.0)
    while True:
        tail = rng.standard_exponential()
        if z > 1.0:
            u = tail / z
            height = -log1p(u)
        else:
            t = flat + tail
            if rng.random() * (flat + 1.0) < flat:
                t = flat * rng.random()
            u = expm1(t)
            height = -z * u + max(t - flat, 0.0)
        if rng.standard_exponential() > -height:
            return 1.0 / max(u, TINY)


@numba.njit(nogil=True, cache=True)
def locals_given(rng, kind, dof, x, local):
    """Draw local variances given the weights in units of the width, in place."""
    for k in range(len(x)):
        if kind == LAPLACE:
            local[k] = 1.0 / inverse_gaussian(rng, 1.0 / max(abs(x[k]), 1e-100))
        elif kind == STUDENT:
            local[k] = 0.5 * (dof + x[k] * x[k]) / rng.standard_gamma(0.5 * (dof + 1.0))
        elif kind == HORSESHOE:
            local[k] = _of_horseshoe(rng, x[k])
