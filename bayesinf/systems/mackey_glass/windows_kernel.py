"""The compiled loop of ``mechanism``: one window of a series, its history integrated out.

Within a window the solution follows from its history alone, and that is linear in weights w ~ N(0,
1): x = mean + B w on the first delay. Gauss-Newton steps lead to the weights that data and prior
agree on; the solution is taken for linear in w around them, as the Laplace approximation does, and
each observation is then normal given those before it, by the recursion of Kalman. Importing this
module imports numba.
"""

import numba
import numpy as np

from bayesinf.systems.mackey_glass.kernel import OPTIONS, solve, tangents

__all__ = [
    "cubic",
    "curvature",
    "descended",
    "first_guess",
    "followed",
    "in_turn",
    "optimum",
    "pointwise",
    "replicas",
    "residuals",
    "tangent",
    "total",
]

MOST = 25  # steps to the optimum
SMALL = 1e-7  # gain in log density that another step promises, at which they end
PARTS = 3  # of a window: its beginning is explained before the whole
ROUGH = 0.1  # gain at which the search ends in a beginning
STIFF = 1e14  # curvature beside that of the prior, beyond which no solution is left in doubles
LEVERED = 1e-3  # least share of its noise that an observation's residual is taken to keep
DAMPED = 1e-3  # first damping of a step that has failed


@numba.njit(**OPTIONS)
def cubic(s, h, out):
    """Weights of value, value, slope and slope at both ends of a step h, a share s along it."""
    a = 1.0 - s
    out[0] = (1.0 + 2.0 * s) * a * a
    out[1] = s * s * (3.0 - 2.0 * s)
    out[2] = s * a * a * h
    out[3] = -s * s * a * h


@numba.njit(**OPTIONS)
def followed(numbers, t, basis, rise, mean, w, f):
    """Fill in the solution at times t from the window's start, (time,).

    Return the slopes of production along it, (2 step + 1,), which ``tangent`` takes.
    """
    beta, gamma, n, tau = numbers
    half = len(basis) - 1
    steps = half // 2
    past, past_slope = basis @ w + mean, rise @ w
    count = max(int(np.ceil((t[-1] / tau - 1.0) * steps)), 1)
    x, slope, steep = np.empty(count + 1), np.empty(count + 1), np.empty(2 * count + 1)
    solve(beta, gamma, n, tau, past, x, slope, steep, np.empty(0))
    weight = np.empty(4)
    for i in range(len(t)):
        u = t[i] / tau - 1.0
        if u <= 0.0:
            place = (u + 1.0) * half
            k = min(int(place), half - 1)
            cubic(place - k, 1.0 / half, weight)
            f[i] = weight[0] * past[k] + weight[1] * past[k + 1]
            f[i] += weight[2] * past_slope[k] + weight[3] * past_slope[k + 1]
        else:
            place = u * steps
            k = min(int(place), count - 1)
            cubic(place - k, 1.0 / steps, weight)
            f[i] = weight[0] * x[k] + weight[1] * x[k + 1]
            f[i] += weight[2] * slope[k] + weight[3] * slope[k + 1]
    return steep


@numba.njit(**OPTIONS)
def tangent(numbers, t, basis, rise, steep, J):
    """Fill in the slope of the solution in w, (time, direction)."""
    _, gamma, _, tau = numbers
    half, directions = len(basis) - 1, basis.shape[1]
    steps, count = half // 2, len(steep) // 2
    d, d_slope = np.empty((count + 1, directions)), np.empty((count + 1, directions))
    tangents(gamma, tau, steep, basis, d, d_slope)
    weight = np.empty(4)
    for i in range(len(t)):
        u = t[i] / tau - 1.0
        if u <= 0.0:
            place = (u + 1.0) * half
            k = min(int(place), half - 1)
            cubic(place - k, 1.0 / half, weight)
            for j in range(directions):
                J[i, j] = weight[0] * basis[k, j] + weight[1] * basis[k + 1, j]
                J[i, j] += weight[2] * rise[k, j] + weight[3] * rise[k + 1, j]
        else:
            place = u * steps
            k = min(int(place), count - 1)
            cubic(place - k, 1.0 / steps, weight)
            for j in range(directions):
                J[i, j] = weight[0] * d[k, j] + weight[1] * d[k + 1, j]
                J[i, j] += weight[2] * d_slope[k, j] + weight[3] * d_slope[k + 1, j]


@numba.njit(**OPTIONS)
def first_guess(tau, sigma, t, y, basis, mean, w):
    """Take w to where the observations of the first delay alone would have it, which is linear."""
    half, directions = len(basis) - 1, basis.shape[1]
    matrix, toward = np.eye(directions), np.zeros(directions)
    for i in range(len(t)):
        place = t[i] / tau * half
        if place > half:
            break
        k = min(int(place), half - 1)
        row = basis[k] + (place - k) * (basis[k + 1] - basis[k])
        off = (y[i] - mean) / sigma**2
        for j in range(directions):
            toward[j] += row[j] * off
            for m in range(directions):
                matrix[j, m] += row[j] * row[m] / sigma**2
    w[:] = np.linalg.solve(matrix, toward)


@numba.njit(**OPTIONS)
def curvature(J, sigma):
    """J^T J / sigma^2 + 1."""
    matrix = J.T @ J / sigma**2
    for j in range(len(matrix)):
        matrix[j, j] += 1.0
    return matrix


@numba.njit(**OPTIONS)
def descended(numbers, sigma, t, y, basis, rise, mean, small, w, f, J):
    """Take w down to where a step promises less than ``small``; f and J are left there.

    Return half the sum of squares of residuals and weights, or infinity where no solution is
    finite.
    """
    directions, damping = basis.shape[1], 0.0
    tangent(numbers, t, basis, rise, followed(numbers, t, basis, rise, mean, w, f), J)
    r = (y - f) / sigma
    value = 0.5 * (r @ r + w @ w)
    new_f, new_J = np.empty_like(f), np.empty_like(J)
    if not (np.isfinite(value) and np.sum(J * J) < STIFF * sigma**2):
        return np.inf
    matrix, slope = curvature(J, sigma), J.T @ r / sigma - w
    for _ in range(MOST):
        damped = matrix + damping * np.eye(directions)
        step = np.linalg.solve(damped, slope)
        if 0.5 * (slope @ step) < small:
            break
        new = w + step
        steep = followed(numbers, t, basis, rise, mean, new, new_f)
        new_r = (y - new_f) / sigma
        tried = 0.5 * (new_r @ new_r + new @ new)
        finite = tried <= value
        if finite:
            tangent(numbers, t, basis, rise, steep, new_J)
            finite = np.sum(new_J * new_J) < STIFF * sigma**2
        if finite:
            w[:], f[:], J[:, :], r, value = new, new_f, new_J, new_r, tried
            matrix, slope = curvature(J, sigma), J.T @ r / sigma - w
            damping *= 0.1
        else:
            damping = max(10.0 * damping, DAMPED * np.trace(matrix) / directions)
    return value


@numba.njit(**OPTIONS)
def optimum(numbers, sigma, t, y, basis, rise, mean, w, f, J):
    """Take w to the optimum, where f and J are left; return the log density of all observations,
    w integrated out, or −∞ where no solution is finite.

    The search begins with the observations of the first delay, then takes those of ever more of
    the window: in chaos the whole of it, from afar, has many optima that explain nothing.
    """
    first_guess(numbers[3], sigma, t, y, basis, mean, w)
    for part in range(1, PARTS):
        end = np.searchsorted(t, t[-1] * part / PARTS, side="right")
        descended(numbers, sigma, t[:end], y[:end], basis, rise, mean, ROUGH, w, f[:end], J[:end])
    value = descended(numbers, sigma, t, y, basis, rise, mean, SMALL, w, f, J)
    if value == np.inf:
        return -np.inf
    factor = np.linalg.cholesky(curvature(J, sigma))
    volume = 0.0
    for j in range(basis.shape[1]):
        volume += np.log(factor[j, j])
    return -value - volume - len(t) * np.log(np.sqrt(2.0 * np.pi) * sigma)


@numba.njit(**OPTIONS)
def in_turn(sigma, y, at_zero, J, out):
    """Fill in log p(y_i | those before it), (time,), y = at_zero + J w + noise, w ~ N(0, 1)."""
    directions = J.shape[1]
    centre, spread, toward = np.zeros(directions), np.eye(directions), np.empty(directions)
    for i in range(len(y)):
        variance, off = sigma**2, y[i] - at_zero[i]
        for j in range(directions):
            total = 0.0
            for m in range(directions):
                total += spread[j, m] * J[i, m]
            toward[j] = total
            variance += J[i, j] * total
            off -= J[i, j] * centre[j]
        out[i] = -0.5 * (off * off / variance + np.log(2.0 * np.pi * variance))
        for j in range(directions):
            centre[j] += toward[j] * off / variance
            for m in range(directions):
                spread[j, m] -= toward[j] * toward[m] / variance


@numba.njit(**OPTIONS)
def total(points, t, y, edges, basis, rise, mean, out):
    """Log density of all observations at parameters (point, 5), β, γ, n, τ, σ: out (point,)."""
    for p in range(len(points)):
        numbers = (points[p, 0], points[p, 1], points[p, 2], points[p, 3])
        out[p] = 0.0
        for k in range(len(edges) - 1):
            a, b = edges[k], edges[k + 1]
            w, f, J = np.empty(basis.shape[1]), np.empty(b - a), np.empty((b - a, basis.shape[1]))
            found = optimum(numbers, points[p, 4], t[a:b], y[a:b], basis, rise, mean, w, f, J)
            out[p] += found
            if found == -np.inf:
                break


@numba.njit(**OPTIONS)
def pointwise(points, t, y, edges, basis, rise, mean, out):
    """The same of each observation given those before it in its window: out (point, time)."""
    for p in range(len(points)):
        numbers = (points[p, 0], points[p, 1], points[p, 2], points[p, 3])
        for k in range(len(edges) - 1):
            a, b = edges[k], edges[k + 1]
            w, f, J = np.empty(basis.shape[1]), np.empty(b - a), np.empty((b - a, basis.shape[1]))
            sigma = points[p, 4]
            found = optimum(numbers, sigma, t[a:b], y[a:b], basis, rise, mean, w, f, J)
            if found == -np.inf:
                out[p, a:b] = -np.inf
            else:
                in_turn(sigma, y[a:b], f - J @ w, J, out[p, a:b])


@numba.njit(**OPTIONS)
def residuals(points, t, y, edges, basis, rise, mean, out):
    """Fill in residuals about the optimum over their standard deviations there, (point, time).

    An observation draws the solution towards itself by its leverage h: its residual has the
    variance σ² (1 − h), h = Jᵢ (JᵀJ/σ² + 1)⁻¹ Jᵢᵀ / σ².
    """
    for p in range(len(points)):
        numbers = (points[p, 0], points[p, 1], points[p, 2], points[p, 3])
        for k in range(len(edges) - 1):
            a, b = edges[k], edges[k + 1]
            w, f, J = np.empty(basis.shape[1]), np.empty(b - a), np.empty((b - a, basis.shape[1]))
            sigma = points[p, 4]
            found = optimum(numbers, sigma, t[a:b], y[a:b], basis, rise, mean, w, f, J)
            if found == -np.inf:
                out[p, a:b] = np.nan
                continue
            factor = np.linalg.cholesky(curvature(J, sigma))
            drawn = np.linalg.solve(factor, np.ascontiguousarray(J.T)) / sigma
            for i in range(b - a):
                left = max(1.0 - np.sum(drawn[:, i] ** 2), LEVERED)
                out[p, a + i] = (y[a + i] - f[i]) / (sigma * np.sqrt(left))


@numba.njit(**OPTIONS)
def replicas(points, t, y, edges, basis, rise, mean, normals, out):
    """Solutions from histories drawn given the data, normals (point, window, direction)."""
    for p in range(len(points)):
        numbers = (points[p, 0], points[p, 1], points[p, 2], points[p, 3])
        for k in range(len(edges) - 1):
            a, b = edges[k], edges[k + 1]
            w, f, J = np.empty(basis.shape[1]), np.empty(b - a), np.empty((b - a, basis.shape[1]))
            sigma = points[p, 4]
            found = optimum(numbers, sigma, t[a:b], y[a:b], basis, rise, mean, w, f, J)
            if found == -np.inf:
                out[p, a:b] = np.nan
                continue
            factor = np.linalg.cholesky(curvature(J, sigma))
            w += np.linalg.solve(factor.T, normals[p, k])
            followed(numbers, t[a:b], basis, rise, mean, w, out[p, a:b])
