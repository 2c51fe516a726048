"""The numbers behind a campaign, compiled: densities of hyperparameters, moments and drawn curves.

The others import this module inside functions, since it imports numba. Places lie in the unit
cube. A covariance is a² ρ(r) + τ², r² = Σ_k (x_k − x′_k)²/ℓ_k²: a curve on a constant N(0, τ²) that
is integrated out. ``kind`` says which ρ: ``SMOOTH``, exp(−r²/2), or ``ROUGH``, that of a Matérn
process of order 5/2. With the correlation comes ``slope``, −ρ′(r)/r, and with it all derivatives:

    ∂ρ/∂x_k = −slope (x_k − x′_k)/ℓ_k²,   ∂ρ/∂log ℓ_k = slope (x_k − x′_k)²/ℓ_k²
"""

from __future__ import annotations

import math

import numba
import numpy as np

__all__ = [
    "ROUGH",
    "SMOOTH",
    "bent",
    "correlations",
    "curves",
    "factorised",
    "gradients",
    "improvement",
    "log_densities",
    "log_density",
    "moments",
]

SMOOTH, ROUGH = 0, 1  # squared exponential, Matérn 5/2
LEAST = 1e-20  # variance of which the root is a number to divide by
FAR = 25.0  # |z| from which a series is closer than a difference of numbers near one
NUGGET, LARGEST = 1e-12, 1e-6  # added to the diagonal, relative to a²: least, and most
SMALL = 1e-3  # |q log(1 + |y|)| below which a transform is taken by its series
FAST = {"reassoc", "contract", "arcp", "nsz"}  # sums may be taken in any order
OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": FAST}
LOG_TAU = math.log(2 * math.pi)


@numba.njit(**OPTIONS)
def correlation(kind, square):
    """ρ and its slope where the scaled distance has this square."""
    if kind == SMOOTH:
        rho = math.exp(-0.5 * square)
        return rho, rho
    s = math.sqrt(5.0 * square)
    e = math.exp(-s)
    return (1 + s + s * s / 3) * e, (5.0 / 3.0) * (1 + s) * e


@numba.njit(**OPTIONS)
def correlations(kind, squares):
    """ρ at many squared distances, (..., ...)."""
    found = np.empty(squares.shape)
    for i in range(squares.shape[0]):
        for j in range(squares.shape[1]):
            found[i, j] = correlation(kind, squares[i, j])[0]
    return found


@numba.njit(**OPTIONS)
def _lower(A, L):
    """Write the Cholesky factor of A into L; False where a pivot is not positive."""
    n = A.shape[0]
    for i in range(n):
        for j in range(i):
            total = A[i, j]
            for k in range(j):
                total -= L[i, k] * L[j, k]
            L[i, j] = total / L[j, j]
        total = A[i, i]
        for k in range(i):
            total -= L[i, k] * L[i, k]
        if not total > 1e-15 * A[i, i]:
            return False
        L[i, i] = math.sqrt(total)
    return True


@numba.njit(**OPTIONS)
def _covariance(kind, X, scale, square, level, noise, K, G):
    """Write the covariance of the data into K, and a² slope into G; both symmetric."""
    n, d = X.shape
    for i in range(n):
        for j in range(i + 1):
            r = 0.0
            for k in range(d):
                step = (X[i, k] - X[j, k]) / scale[k]
                r += step * step
            rho, slope = correlation(kind, r)
            K[i, j] = K[j, i] = square * rho + level
            G[i, j] = G[j, i] = square * slope
        K[i, i] += noise[i]


@numba.njit(**OPTIONS)
def _raised(K, L, square):
    """Factorise K with the least nugget that does; return it, or −1 where none does."""
    nugget = NUGGET
    before = 0.0
    while nugget <= LARGEST * 1.01:
        for i in range(K.shape[0]):
            K[i, i] += (nugget - before) * square
        if _lower(K, L):
            return nugget
        before = nugget
        nugget *= 10
    return -1.0


@numba.njit(**OPTIONS)
def _forward(L, y, z):
    """Write L⁻¹ y into z."""
    for i in range(y.size):
        total = y[i]
        for k in range(i):
            total -= L[i, k] * z[k]
        z[i] = total / L[i, i]


@numba.njit(**OPTIONS)
def _backward(L, z):
    """Replace z by L⁻ᵀ z."""
    for i in range(z.size - 1, -1, -1):
        z[i] /= L[i, i]
        for k in range(i):
            z[k] -= L[i, k] * z[i]


@numba.njit(**OPTIONS)
def bent(y, power, made, steep):
    """Yeo and Johnson's transform of values, (point,), standardised again.

    Parameters
    ----------
    made, steep : (point,), filled with what comes, and its derivative in the power.

    Returns
    -------
    mean and sd of what the transform made before it was standardised; the logarithm of the product
    of all slopes, and its derivative in the power.
    """
    n = y.size
    slopes, along = 0.0, 0.0
    for i in range(n):
        sign = 1.0 if y[i] >= 0 else -1.0
        log, q = math.log1p(abs(y[i])), 1 + sign * (power - 1)
        z = q * log
        if abs(z) < SMALL:
            g = log * (1 + z / 2 + z * z / 6)
            made[i], steep[i] = sign * g, log * log * (0.5 + z / 3 + z * z / 8)
        else:
            g = math.expm1(z) / q
            made[i], steep[i] = sign * g, (log * math.exp(z) - g) / q
        slopes += (q - 1) * log
        along += sign * log
    centre, drift = made.mean(), steep.mean()
    square, rate = 0.0, 0.0
    for i in range(n):
        made[i] -= centre
        square += made[i] * made[i]
        rate += made[i] * steep[i]
    spread = math.sqrt(square / n)
    if spread == 0:
        spread = 1.0
    rate /= n * spread
    for i in range(n):
        made[i] /= spread
        steep[i] = (steep[i] - drift - made[i] * rate) / spread
    return centre, spread, slopes - n * math.log(spread), along - n * rate / spread


@numba.njit(**OPTIONS)
def log_density(u, kind, X, y, noise, centre, spread, level, bends, gradient):
    """Log of likelihood times prior at standardised hyperparameters, normalised.

    Logarithms are centre + spread u, in the order of length scales, amplitude and, where there is
    one more, the sd of the noise beyond what is known of it; or that is the power by which values
    are transformed, centre + spread sinh u.

    Parameters
    ----------
    u, centre, spread : (parameter,).
    X, y, noise : places, (point, input), values, and known variances of their noise, (point,).
    level : τ².
    bends : whether the last parameter is a power.
    gradient : (parameter,), which is filled with the gradient in u; of no entries for none.
    """
    n, d = X.shape
    scale = np.exp(centre[:d] + spread[:d] * u[:d])
    square = math.exp(2 * (centre[d] + spread[d] * u[d]))
    inferred = u.size > d + 1 and not bends
    extra = math.exp(2 * (centre[d + 1] + spread[d + 1] * u[d + 1])) if inferred else 0.0
    gradient[:] = 0.0
    K, G, L, alpha = np.empty((n, n)), np.empty((n, n)), np.zeros((n, n)), np.empty(n)
    _covariance(kind, X, scale, square, level, noise + extra, K, G)
    nugget = _raised(K, L, square)
    if nugget < 0:
        return -np.inf
    value, along, steep = -0.5 * n * LOG_TAU, 0.0, np.empty(n)
    if bends:
        made = np.empty(n)
        power = centre[d + 1] + spread[d + 1] * math.sinh(u[d + 1])
        _, _, slopes, along = bent(y, power, made, steep)
        value += slopes
        _forward(L, made, alpha)
    else:
        _forward(L, y, alpha)
    for i in range(n):
        value -= 0.5 * alpha[i] * alpha[i] + math.log(L[i, i])
    for p in range(u.size):
        value -= 0.5 * (u[p] * u[p] + LOG_TAU)
    if not math.isfinite(value):  # so large a power that values overflow
        return -np.inf
    if gradient.size == 0:
        return value
    _backward(L, alpha)
    if bends:
        gradient[d + 1] = along
        for i in range(n):
            gradient[d + 1] -= alpha[i] * steep[i]
        gradient[d + 1] *= math.cosh(u[d + 1])
    # K⁻¹ = WᵀW, W = L⁻¹; row by row of W, so that sums run along rows.
    W, inverse = np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        W[i, i] = 1 / L[i, i]
        for j in range(i):
            factor = -L[i, j] / L[i, i]
            for k in range(j + 1):
                W[i, k] += factor * W[j, k]
        for j in range(i + 1):
            for k in range(j + 1):
                inverse[j, k] += W[i, j] * W[i, k]
    for i in range(n):
        for j in range(i + 1):
            pull = alpha[i] * alpha[j] - inverse[i, j]
            if i == j:
                own = noise[i] + extra
                gradient[d] += pull * (K[i, i] - level - own)
                if inferred:
                    gradient[d + 1] += pull * extra
            else:
                gradient[d] += 2 * pull * (K[i, j] - level)
                for k in range(d):
                    step = (X[i, k] - X[j, k]) / scale[k]
                    gradient[k] += pull * G[i, j] * step * step
    for p in range(u.size):
        gradient[p] = gradient[p] * spread[p] - u[p]
    return value


@numba.njit(**OPTIONS)
def log_densities(u, kind, X, y, noise, centre, spread, level, bends):
    """``log_density`` at many points, (point, parameter)."""
    found, none = np.empty(u.shape[0]), np.empty(0)
    for s in range(u.shape[0]):
        found[s] = log_density(u[s], kind, X, y, noise, centre, spread, level, bends, none)
    return found


@numba.njit(**OPTIONS)
def gradients(u, kind, X, y, noise, centre, spread, level, bends):
    """``log_density`` with its gradient at many points, (point, parameter)."""
    found, slopes = np.empty(u.shape[0]), np.empty(u.shape)
    for s in range(u.shape[0]):
        row = slopes[s]
        found[s] = log_density(u[s], kind, X, y, noise, centre, spread, level, bends, row)
    return found, slopes


@numba.njit(**OPTIONS)
def factorised(kinds, scales, squares, level, noises, X, y):
    """Factors of the covariances of many nodes, and K⁻¹ y.

    Parameters
    ----------
    kinds, scales, squares : of the nodes, (node,), (node, input), (node,).
    level : τ².
    noises : variances, (node, point).
    X, y : places, (point, input), and values, (node, point).

    Returns
    -------
    factors, (node, point, point), NaN where there is none; α, (node, point); the nuggets, (node,),
    relative to a².
    """
    S, n = y.shape
    L, alpha, nuggets = np.zeros((S, n, n)), np.empty((S, n)), np.empty(S)
    K, G = np.empty((n, n)), np.empty((n, n))
    for s in range(S):
        _covariance(kinds[s], X, scales[s], squares[s], level, noises[s], K, G)
        nuggets[s] = _raised(K, L[s], squares[s])
        if nuggets[s] < 0:
            L[s] = np.nan
        _forward(L[s], y[s], alpha[s])
        _backward(L[s], alpha[s])
    return L, alpha, nuggets


@numba.njit(**OPTIONS)
def _moment(x, X, kind, scale, square, level, root, L, alpha, slopes, k, slope, v, up, out):
    """Mean and variance at one place and node; gradients are written into ``up`` and ``out``."""
    n, d = X.shape
    mean = 0.0
    for i in range(n):
        r = 0.0
        for m in range(d):
            step = (x[m] - X[i, m]) / scale[m]
            r += step * step
        rho, steep = correlation(kind, r)
        covariance = square * rho + level
        slope[i] = square * steep
        mean += covariance * alpha[i]
        k[i] = root[i] * covariance
    _forward(L, k, v)
    left = square + level
    for i in range(n):
        left -= v[i] * v[i]
    if slopes:
        _backward(L, v)
        up[:] = 0.0
        out[:] = 0.0
        for i in range(n):
            a, b = alpha[i] * slope[i], -2 * root[i] * v[i] * slope[i]
            for m in range(d):
                step = (X[i, m] - x[m]) / scale[m] ** 2
                up[m] += a * step
                out[m] += b * step
    return mean, max(left, 0.0)


@numba.njit(**OPTIONS)
def moments(points, X, kinds, scales, squares, level, roots, L, alpha, slopes):
    """Mean and variance of the curve at points, for many nodes; and their gradients, if asked.

        mean = k·α,   variance = a² + τ² − |L⁻¹ (root k)|²

    Parameters
    ----------
    points : (place, input).
    X : places of the data, (point, input).
    kinds, scales, squares, level : as for ``factorised``.
    roots : (node, point), one each for data that are normal; of classes √τ.
    L, alpha : as of ``factorised``.
    slopes : whether gradients are wanted.

    Returns
    -------
    mean and variance, (node, place), their gradients, (node, place, input), zero where not asked.
    """
    (C, d), n, S = points.shape, X.shape[0], L.shape[0]
    mean, variance = np.empty((S, C)), np.empty((S, C))
    size = C if slopes else 0
    of_mean, of_variance = np.zeros((S, size, d)), np.zeros((S, size, d))
    k, slope, v, up, out = np.empty(n), np.empty(n), np.empty(n), np.empty(d), np.empty(d)
    for s in range(S):
        of = (X, kinds[s], scales[s], squares[s], level, roots[s], L[s], alpha[s], slopes)
        for c in range(C):
            mean[s, c], variance[s, c] = _moment(points[c], *of, k, slope, v, up, out)
            if slopes:
                for m in range(d):
                    of_mean[s, c, m], of_variance[s, c, m] = up[m], out[m]
    return mean, variance, of_mean, of_variance


@numba.njit(**OPTIONS)
def _log_improvement(z):
    """log h(z), h(z) = φ(z) + z Φ(z), with Φ/h and φ/h; as ``gp.acquisition.log_improvement``."""
    log_phi = -0.5 * z * z - 0.5 * LOG_TAU
    if z > -1:
        phi, below = math.exp(log_phi), 0.5 * math.erfc(-z / math.sqrt(2.0))
        h = phi + z * below
        return math.log(h), below / h, phi / h
    size = -z
    if size < FAR:
        # Φ/φ by erfcx, which is e^{t²} erfc(t).
        ratio = math.sqrt(math.pi / 2) * math.exp(0.5 * z * z) * math.erfc(size / math.sqrt(2.0))
        left = 1 - size * ratio
    else:
        inverse = 1 / (size * size)
        left = inverse * (1 + inverse * (-3 + inverse * (15 + inverse * (-105 + 945 * inverse))))
        ratio = (1 - left) / size
    return log_phi + math.log(left), ratio / left, 1 / left


@numba.njit(**OPTIONS)
def improvement(
    points, X, kinds, scales, squares, level, roots, L, alpha, incumbents, log_units, slopes
):
    """Log of the expected improvement at points, averaged over nodes; and its gradient, if asked.

    Parameters
    ----------
    incumbents : what is to be improved on, (node,).
    log_units : logarithm of what a unit of each node is worth, (node,).
    others : as for ``moments``.

    Returns
    -------
    values, (place,), and gradients, (place, input), zero where not asked.
    """
    (C, d), n, S = points.shape, X.shape[0], L.shape[0]
    value, gradient = np.empty(C), np.zeros((C, d))
    k, slope, v, up, out = np.empty(n), np.empty(n), np.empty(n), np.empty(d), np.empty(d)
    each, along = np.empty(S), np.zeros((S, d))
    for c in range(C):
        largest = -np.inf
        for s in range(S):
            of = (X, kinds[s], scales[s], squares[s], level, roots[s], L[s], alpha[s], slopes)
            mean, variance = _moment(points[c], *of, k, slope, v, up, out)
            sd = math.sqrt(max(variance, LEAST))
            log_h, below, at = _log_improvement((incumbents[s] - mean) / sd)
            each[s] = log_units[s] + math.log(sd) + log_h
            largest = max(largest, each[s])
            if slopes:  # ∂(σ h) = −Φ ∂μ + φ ∂σ, over σ h
                for m in range(d):
                    along[s, m] = (at * out[m] / (2 * sd) - below * up[m]) / sd
        total = 0.0
        for s in range(S):
            share = math.exp(each[s] - largest)
            total += share
            if slopes:
                for m in range(d):
                    gradient[c, m] += share * along[s, m]
        value[c] = largest + math.log(total / S)
        for m in range(d):
            gradient[c, m] /= total
    return value, gradient


@numba.njit(**OPTIONS)
def curves(points, rows, level, frequencies, even, odd, kinds, X, scales, weights, slopes):
    """Drawn curves at points: waves, and what pulls them through the data.

        f(x) = level + Σ_m even_m cos(ω_m·x) + odd_m sin(ω_m·x) + Σ_i weight_i ρ(x, x_i)

    Parameters
    ----------
    points : (place, input).
    rows : which curve is wanted at each, (place,); all else leads with the curve.

    Returns
    -------
    values, (place,), and gradients, (place, input), zero where not asked.
    """
    (C, d), n = points.shape, X.shape[0]
    value, gradient = np.empty(C), np.zeros((C, d))
    for c in range(C):
        s = rows[c]
        total = level[s]
        for m in range(even.shape[1]):
            phase = 0.0
            for k in range(d):
                phase += frequencies[s, m, k] * points[c, k]
            cos, sin = math.cos(phase), math.sin(phase)
            total += even[s, m] * cos + odd[s, m] * sin
            if slopes:
                turn = odd[s, m] * cos - even[s, m] * sin
                for k in range(d):
                    gradient[c, k] += turn * frequencies[s, m, k]
        for i in range(n):
            r = 0.0
            for k in range(d):
                step = (points[c, k] - X[i, k]) / scales[s, k]
                r += step * step
            rho, steep = correlation(kinds[s], r)
            total += weights[s, i] * rho
            if slopes:
                for k in range(d):
                    step = (points[c, k] - X[i, k]) / scales[s, k] ** 2
                    gradient[c, k] -= weights[s, i] * steep * step
        value[c] = total
    return value, gradient
