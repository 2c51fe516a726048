"""The compiled loop of ``mechanism``: one window of a series, its history integrated out.

Within a window the solution follows from its history alone, and that is linear in weights w ~ N(0,
1): x = mean + B w on the first delay. Gauss-Newton steps lead to the weights that data and prior
agree on; the solution is taken for linear in w around them, as the Laplace approximation does, and
each observation is then normal given those before it, by the recursion of Kalman. Importing this
module imports numba.

Sums and factors are written out in loops, for a dozen weights: a product or a solution of NumPy's
takes numba seconds to compile, and of these loops all is compiled once, behind ``windows``.
"""

import numba
import numpy as np

from bayesinf.systems.mackey_glass.kernel import OPTIONS, solve, tangents

__all__ = ["POINTWISE", "REPLICAS", "RESIDUALS", "TOTAL", "windows"]

TOTAL, POINTWISE, RESIDUALS, REPLICAS = range(4)  # what is asked of the windows

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
def product(A, w, offset, out):
    """Write A w + offset into out."""
    for i in range(len(A)):
        total = offset
        for j in range(len(w)):
            total += A[i, j] * w[j]
        out[i] = total


@numba.njit(**OPTIONS)
def factorise(matrix):
    """Replace the lower triangle of a symmetric matrix by its Cholesky factor L."""
    for i in range(len(matrix)):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = np.sqrt(total) if i == j else total / matrix[j, j]


@numba.njit(**OPTIONS)
def forward(L, b):
    """Replace b by L⁻¹ b."""
    for i in range(len(b)):
        for k in range(i):
            b[i] -= L[i, k] * b[k]
        b[i] /= L[i, i]


@numba.njit(**OPTIONS)
def backward(L, b):
    """Replace b by L⁻ᵀ b."""
    for i in range(len(b) - 1, -1, -1):
        b[i] /= L[i, i]
        for k in range(i):
            b[k] -= L[i, k] * b[i]


@numba.njit(**OPTIONS)
def curvature(J, sigma, matrix):
    """Write JᵀJ/σ² + 1 into the lower triangle of a matrix; return its trace."""
    trace = 0.0
    for j in range(len(matrix)):
        for k in range(j + 1):
            matrix[j, k] = 1.0 if j == k else 0.0
    for i in range(len(J)):
        for j in range(len(matrix)):
            weight = J[i, j] / sigma**2
            for k in range(j + 1):
                matrix[j, k] += weight * J[i, k]
    for j in range(len(matrix)):
        trace += matrix[j, j]
    return trace


@numba.njit(**OPTIONS)
def followed(numbers, t, basis, rise, mean, w, f):
    """Fill in the solution at times t from the window's start, (time,).

    Return the slopes of production along it, (2 step + 1,), which ``tangent`` takes.
    """
    beta, gamma, n, tau = numbers
    half = len(basis) - 1
    steps = half // 2
    past, past_slope = np.empty(len(basis)), np.empty(len(basis))
    product(basis, w, mean, past)
    product(rise, w, 0.0, past_slope)
    count = max(int(np.ceil((t[-1] / tau - 1.0) * steps)), 1)
    x, slope, steep = np.empty(count + 1), np.empty(count + 1), np.empty(2 * count + 1)
    solve(beta, gamma, n, tau, past, x, slope, steep, np.empty(0))
    weight = np.empty(4)
    for i in range(len(t)):
        u = t[i] / tau - 1.0
        if u <= 0.0:
            values, slopes, each, place = past, past_slope, half, (u + 1.0) * half
        else:
            values, slopes, each, place = x, slope, steps, u * steps
        k = min(int(place), len(values) - 2)
        cubic(place - k, 1.0 / each, weight)
        f[i] = weight[0] * values[k] + weight[1] * values[k + 1]
        f[i] += weight[2] * slopes[k] + weight[3] * slopes[k + 1]
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
            values, slopes, each, place = basis, rise, half, (u + 1.0) * half
        else:
            values, slopes, each, place = d, d_slope, steps, u * steps
        k = min(int(place), len(values) - 2)
        cubic(place - k, 1.0 / each, weight)
        for j in range(directions):
            J[i, j] = weight[0] * values[k, j] + weight[1] * values[k + 1, j]
            J[i, j] += weight[2] * slopes[k, j] + weight[3] * slopes[k + 1, j]


@numba.njit(**OPTIONS)
def first_guess(tau, sigma, t, y, basis, mean, matrix, w):
    """Take w to where the observations of the first delay alone would have it, which is linear."""
    half, directions = len(basis) - 1, basis.shape[1]
    row = np.empty(directions)
    for j in range(directions):
        w[j] = 0.0
        for m in range(directions):
            matrix[j, m] = 1.0 if j == m else 0.0
    for i in range(len(t)):
        place = t[i] / tau * half
        if place > half:
            break
        k = min(int(place), half - 1)
        off = (y[i] - mean) / sigma**2
        for j in range(directions):
            row[j] = basis[k, j] + (place - k) * (basis[k + 1, j] - basis[k, j])
            w[j] += row[j] * off
            for m in range(j + 1):
                matrix[j, m] += row[j] * row[m] / sigma**2
    factorise(matrix)
    forward(matrix, w)
    backward(matrix, w)


@numba.njit(**OPTIONS)
def descended(numbers, sigma, t, y, basis, rise, mean, small, w, f, J, matrix):
    """Take w down to where a step promises less than ``small``; f, J and the curvature are left
    there, the last in the lower triangle of ``matrix``.

    Return half the sum of squares of residuals and weights, or infinity where no solution is
    finite.
    """
    directions, damping, value, trace = basis.shape[1], 0.0, np.inf, 0.0
    new, slope, step = np.empty_like(w), np.empty_like(w), np.empty_like(w)
    new_f, new_J, factor = np.empty_like(f), np.empty_like(J), np.empty_like(matrix)
    for j in range(directions):
        new[j] = w[j]
    for turn in range(MOST + 1):
        steep = followed(numbers, t, basis, rise, mean, new, new_f)
        tried = 0.0
        for j in range(directions):
            tried += 0.5 * new[j] ** 2
        for i in range(len(t)):
            tried += 0.5 * ((y[i] - new_f[i]) / sigma) ** 2
        better = np.isfinite(tried) and tried <= value
        if better:
            tangent(numbers, t, basis, rise, steep, new_J)
            size = 0.0
            for i in range(len(t)):
                for j in range(directions):
                    size += new_J[i, j] ** 2
            better = size < STIFF * sigma**2
        if better:
            value = tried
            damping *= 0.1
            for j in range(directions):
                w[j] = new[j]
                slope[j] = -new[j]
            for i in range(len(t)):
                f[i] = new_f[i]
                weight = (y[i] - f[i]) / sigma**2
                for j in range(directions):
                    J[i, j] = new_J[i, j]
                    slope[j] += weight * J[i, j]
            trace = curvature(J, sigma, matrix)
        elif turn == 0:
            return np.inf
        else:
            damping = max(10.0 * damping, DAMPED * trace / directions)
        for j in range(directions):
            step[j] = slope[j]
            for k in range(j + 1):
                factor[j, k] = matrix[j, k]
            factor[j, j] += damping
        factorise(factor)
        forward(factor, step)
        backward(factor, step)
        promised = 0.0
        for j in range(directions):
            promised += 0.5 * slope[j] * step[j]
            new[j] = w[j] + step[j]
        if promised < small:
            break
    return value


@numba.njit(**OPTIONS)
def optimum(numbers, sigma, t, y, basis, rise, mean, w, f, J, factor):
    """Take w to the optimum, where f, J and the Cholesky factor of the curvature are left; return
    the log density of all observations, w integrated out, or −∞ where no solution is finite.

    The search begins with the observations of the first delay, then takes those of ever more of
    the window: in chaos the whole of it, from afar, has many optima that explain nothing.
    """
    first_guess(numbers[3], sigma, t, y, basis, mean, factor, w)
    value, end = np.inf, 0
    for part in range(1, PARTS + 1):
        while end < len(t) and (part == PARTS or t[end] <= t[-1] * part / PARTS):
            end += 1
        small = SMALL if part == PARTS else ROUGH
        seen = t[:end], y[:end], basis, rise, mean, small, w, f[:end], J[:end], factor
        value = descended(numbers, sigma, *seen)
    if value == np.inf:
        return -np.inf
    factorise(factor)
    volume = 0.0
    for j in range(len(w)):
        volume += np.log(factor[j, j])
    return -value - volume - len(t) * np.log(np.sqrt(2.0 * np.pi) * sigma)


@numba.njit(**OPTIONS)
def in_turn(sigma, y, at_zero, J, out):
    """Fill in log p(y_i | those before it), (time,), y = at_zero + J w + noise, w ~ N(0, 1)."""
    directions = J.shape[1]
    centre, toward = np.zeros(directions), np.empty(directions)
    spread = np.zeros((directions, directions))
    for j in range(directions):
        spread[j, j] = 1.0
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
def windows(asked, points, t, y, edges, basis, rise, mean, normals, out):
    """Answer, at parameters (point, 5), β, γ, n, τ, σ, what is asked of all windows, into ``out``.

    TOTAL : the log density of all observations, (point, 1).
    POINTWISE : that of each observation given those before it in its window, (point, time).
    RESIDUALS : about the optimum, over their standard deviations there, (point, time). An
        observation draws the solution towards itself by its leverage h: its residual has the
        variance σ² (1 − h), h = Jᵢ (JᵀJ/σ² + 1)⁻¹ Jᵢᵀ / σ².
    REPLICAS : solutions from histories drawn given the data, (point, time), of ``normals`` (point,
        window, direction); else these are not used.

    Where no solution is finite, densities are −∞ and all else NaN.
    """
    directions = basis.shape[1]
    w, row, factor = np.empty(directions), np.empty(directions), np.empty((directions, directions))
    for p in range(len(points)):
        numbers = (points[p, 0], points[p, 1], points[p, 2], points[p, 3])
        sigma = points[p, 4]
        if asked == TOTAL:
            out[p, 0] = 0.0
        for k in range(len(edges) - 1):
            a, b = edges[k], edges[k + 1]
            when, seen, f, J = t[a:b], y[a:b], np.empty(b - a), np.empty((b - a, directions))
            found = optimum(numbers, sigma, when, seen, basis, rise, mean, w, f, J, factor)
            if asked == TOTAL:
                out[p, 0] += found
                if found == -np.inf:
                    break
            elif found == -np.inf:
                for i in range(a, b):
                    out[p, i] = -np.inf if asked == POINTWISE else np.nan
            elif asked == POINTWISE:
                for i in range(b - a):
                    for j in range(directions):
                        f[i] -= J[i, j] * w[j]
                in_turn(sigma, seen, f, J, out[p, a:b])
            elif asked == RESIDUALS:
                for i in range(b - a):
                    left = 1.0
                    for j in range(directions):
                        row[j] = J[i, j] / sigma
                    forward(factor, row)
                    for j in range(directions):
                        left -= row[j] ** 2
                    out[p, a + i] = (seen[i] - f[i]) / (sigma * np.sqrt(max(left, LEVERED)))
            else:
                for j in range(directions):
                    row[j] = normals[p, k, j]
                backward(factor, row)
                for j in range(directions):
                    w[j] += row[j]
                followed(numbers, when, basis, rise, mean, w, out[p, a:b])
