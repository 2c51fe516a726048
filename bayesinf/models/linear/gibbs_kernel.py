"""The compiled sweep of ``gibbs`` in the primal form; importing this module imports numba.

The prior variances v of the coefficients given, with D = diag(√v) their posterior is normal:

    M = I + D XᵀX D / σ² = UᵀU,   mean = D M⁻¹ D Xᵀy / σ²,   covariance = D M⁻¹ D

U is upper triangular and stored by rows, along which all loops over it run.
"""

from math import exp, inf, log, pi, sqrt

import numba
import numpy as np

from bayesinf.models.linear.scale_priors import FIXED
from bayesinf.models.linear.scales_kernel import (
    locals_given,
    log_local,
    log_prior,
    move,
    scale2,
)

__all__ = ["SLICES", "TARGET_ACCEPTANCE", "run"]

TARGET_ACCEPTANCE = 0.4  # about the best for a random walk in one dimension
SLICES = 2  # slice steps on width and slab a sweep
NOISE, WIDTH, SLAB = range(3)  # what ``walk`` holds the logarithms of; their steps stand behind
ROUNDING = 2.0**-53


@numba.njit(nogil=True, cache=True)
def _variances(walk, local, relative, first, v):
    """Set the prior variances: one of the first coefficients, which have no width."""
    width2 = exp(2.0 * (walk[WIDTH] + (walk[NOISE] if relative else 0.0)))
    precision = exp(-2.0 * walk[SLAB])
    for j in range(first):
        v[j] = 1.0
    for j in range(len(local)):
        wide = width2 * local[j]
        v[first + j] = wide / (1.0 + wide * precision)


@numba.njit(nogil=True, cache=True)
def _forward(U, z):
    """Solve Uᵀx = z in place."""
    for k in range(len(z)):
        z[k] /= U[k, k]
        for j in range(k + 1, len(z)):
            z[j] -= z[k] * U[k, j]


@numba.njit(nogil=True, cache=True)
def _backward(U, z):
    """Solve Ux = z in place."""
    for k in range(len(z) - 1, -1, -1):
        for j in range(k + 1, len(z)):
            z[k] -= U[k, j] * z[j]
        z[k] /= U[k, k]


@numba.njit(nogil=True, cache=True)
def _condition(data, v, log_sigma, U, mean):
    """Factorise M and set the mean; return log N(y; 0, X diag(v) Xᵀ + σ²), but for a constant."""
    _, _, gram, correlation, R, Qty, floor, count = data
    p, precision = len(v), exp(-2.0 * log_sigma)
    for i in range(p):
        mean[i] = sqrt(v[i])
    for i in range(p):
        for j in range(i, p):
            U[i, j] = gram[i, j] * (mean[i] * precision * mean[j])
        U[i, i] += 1.0
    log_det = 0.0
    for k in range(p):
        if not 0.0 < U[k, k] < inf:
            raise np.linalg.LinAlgError("not positive definite")
        pivot = sqrt(U[k, k])
        log_det += log(pivot)
        for j in range(k, p):
            U[k, j] /= pivot
        for i in range(k + 1, p):
            row = U[k, i]
            for j in range(i, p):
                U[i, j] -= row * U[k, j]
    for i in range(p):
        mean[i] *= correlation[i] * precision
    _forward(U, mean)
    _backward(U, mean)
    # yᵀK⁻¹y is the penalised residual at the mode: a sum of squares, nothing to cancel.
    penalty = 0.0
    for i in range(p):
        penalty += mean[i] ** 2
        mean[i] *= sqrt(v[i])
    square = _residual_square(R, Qty, floor, mean)
    return -0.5 * (precision * square + penalty) - log_det - count * log_sigma


@numba.njit(nogil=True, cache=True)
def _residual_square(R, Qty, floor, beta):
    """|y - Xβ|² = |Qᵀy - Rβ|² + what no column reaches."""
    total = floor
    for i in range(len(beta)):
        rest = Qty[i]
        for j in range(i, len(beta)):
            rest -= R[i, j] * beta[j]
        total += rest * rest
    return total


@numba.njit(nogil=True, cache=True)
def _with_data(rng, data, priors, walk, local, tuned):
    """Move noise, width and slab by Metropolis steps, the coefficients integrated out.

    Returns
    -------
    prior variances, U and mean, of which the coefficients are drawn.
    """
    noise, weights, relative = priors
    p = len(data[3])
    first = p - len(local)
    v, U, mean = np.empty(p), np.empty((p, p)), np.empty(p)
    other_v, other_U, other_mean = np.empty(p), np.empty((p, p)), np.empty(p)
    _variances(walk, local, relative, first, v)
    level = _condition(data, v, walk[NOISE], U, mean)
    for which in range(3):
        prior = noise if which == NOISE else weights[2] if which == WIDTH else weights[3]
        if prior[0] == FIXED:
            continue
        before = walk[which]
        of_prior = log_prior(prior, before)
        of_local = log_local(weights[0], exp(walk[WIDTH]), exp(walk[SLAB]), local)
        walk[which] = before + walk[3 + which] * rng.standard_normal()
        _variances(walk, local, relative, first, other_v)
        value = _condition(data, other_v, walk[NOISE], other_U, other_mean)
        gain = value - level + log_prior(prior, walk[which]) - of_prior
        gain += log_local(weights[0], exp(walk[WIDTH]), exp(walk[SLAB]), local) - of_local
        acceptance = exp(min(0.0, gain))
        if tuned >= 0:
            walk[3 + which] *= exp((acceptance - TARGET_ACCEPTANCE) / (tuned + 2) ** 0.6)
        if rng.random() < acceptance:
            level = value
            v, U, mean, other_v, other_U, other_mean = other_v, other_U, other_mean, v, U, mean
        else:
            walk[which] = before
    return v, U, mean


@numba.njit(nogil=True, cache=True)
def _coefficients(rng, v, U, mean):
    """Draw the coefficients from their normal."""
    beta = np.empty(len(v))
    for j in range(len(v)):
        beta[j] = rng.standard_normal()
    _backward(U, beta)
    for j in range(len(v)):
        beta[j] = mean[j] + sqrt(v[j]) * beta[j]
    return beta


@numba.njit(nogil=True, cache=True)
def _locals_alone(rng, data, priors, walk, local):
    """Draw the coefficients, then local variances given them, at the scales as they are."""
    weights, relative = priors[1], priors[2]
    p = len(data[3])
    v, U, mean = np.empty(p), np.empty((p, p)), np.empty(p)
    _variances(walk, local, relative, p - len(local), v)
    _condition(data, v, walk[NOISE], U, mean)
    beta = _coefficients(rng, v, U, mean)[p - len(local) :]
    beta *= exp(-walk[WIDTH] - (walk[NOISE] if relative else 0.0))
    locals_given(rng, weights[0], weights[1], beta, local)


@numba.njit(nogil=True, cache=True)
def _given(rng, data, priors, walk, local, coefficients):
    """Draw noise given the coefficients, then width and slab, then local variances."""
    _, _, _, _, R, Qty, floor, count = data
    noise, weights, relative = priors
    beta = coefficients[len(coefficients) - len(local) :].copy()
    square = _residual_square(R, Qty, floor, coefficients)
    if relative:
        count += len(beta)
        for j in range(len(beta)):
            square += beta[j] ** 2 / (exp(2.0 * walk[WIDTH]) * local[j])
    if noise[0] != FIXED:
        walk[NOISE] = 0.5 * log(scale2(rng, noise, exp(2.0 * walk[NOISE]), count, square))
    if relative:
        beta *= exp(-walk[NOISE])
    width, slab = move(rng, weights, beta, exp(walk[WIDTH]), exp(walk[SLAB]), SLICES)
    walk[WIDTH], walk[SLAB] = log(width), log(slab)
    beta /= width
    locals_given(rng, weights[0], weights[1], beta, local)


@numba.njit(nogil=True, cache=True)
def run(rng, data, priors, walk, local, tuned, thin, light, coefficients, scales, left_out):
    """Make sweeps and keep every thin-th, in place.

    Parameters
    ----------
    data : X, y, XᵀX, Xᵀy, R and Qᵀy of X = QR, the squared length of what no column reaches, and
        the number of all data.
    priors : of the noise, as ``scale_priors.told`` tells it; of the weights; whether these are
        in units of the noise.
    walk : logarithms of noise, width and slab, and the steps of their random walks.
    local : variances, (weight,).
    tuned : sweeps of tuning done before; negative where tuning is over.
    thin : sweeps for each draw.
    light : moves of coefficients and local variances alone before each sweep.
    coefficients, scales, left_out : where draws go, (draw, coefficient), (draw, 3), and, tuning
        over, the log density of each y given the others and the scales that made these
        coefficients, (draw, observation).
    """
    for kept in range(len(coefficients)):
        for sweep in range(thin):
            for _ in range(light):
                _locals_alone(rng, data, priors, walk, local)
            adapting = tuned + kept if tuned >= 0 else -1
            v, U, mean = _with_data(rng, data, priors, walk, local, adapting)
            beta = _coefficients(rng, v, U, mean)
            if sweep == thin - 1:
                for j in range(beta.size):
                    coefficients[kept, j] = beta[j]
                if adapting < 0:
                    sigma = exp(walk[NOISE])
                    _leave_one_out(data[0], data[1], v, U, mean, sigma, left_out[kept])
            _given(rng, data, priors, walk, local, beta)
        for k in range(3):
            scales[kept, k] = exp(walk[k])


@numba.njit(nogil=True, cache=True)
def _leave_one_out(X, y, v, U, mean, sigma, found):
    """Set the log density of each y given the others: K⁻¹ has the diagonal (1 - h) / σ², where h =
    |X D U⁻¹|² / σ² by rows, and K⁻¹y is the residual at the mean over σ².
    """
    n, p = X.shape
    inverse = np.zeros((p, p))
    for i in range(p):
        inverse[i, i] = sqrt(v[i]) / sigma
        for k in range(i, p):
            inverse[i, k] /= U[k, k]
            for j in range(k + 1, p):
                inverse[i, j] -= inverse[i, k] * U[k, j]
    half, fitted = np.dot(X, inverse), np.dot(X, mean)
    for i in range(n):
        free = 1.0
        for j in range(p):
            free -= half[i, j] ** 2
        free = max(free, ROUNDING)
        rest = (y[i] - fitted[i]) / sigma
        found[i] = 0.5 * (log(free / (2.0 * pi)) - rest * rest / free) - log(sigma)
