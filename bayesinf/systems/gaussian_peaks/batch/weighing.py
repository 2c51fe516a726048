"""Draws around an optimum, normal in the plane that touches the curve, and their weights."""

from math import inf, log, sqrt

import numba
import numpy as np

from bayesinf.systems.gaussian_peaks.batch.algebra import INNER, OPTIONS, determinant
from bayesinf.systems.gaussian_peaks.batch.evaluation import curve, misfit

__all__ = ["bends", "weigh"]

BENDING = 0.1  # of the noise, over which the bend of the curve is measured


@numba.njit(**INNER)
def tilted(weight, counted, first, mean, slopes):
    """Weigh slopes, in place, as those of what is nearly normal."""
    n = len(mean)
    scale = np.empty(n)
    for i in range(n):
        scale[i] = weight[i]
        if counted:
            # (f / f̂)^(−⅔) to first order, all that a second derivative sees.
            share = max(mean[i] / first[i], 0.0)
            scale[i] *= 3.0 / ((1.0 + 2.0 * share) * sqrt(first[i]))
    for a in range(slopes.shape[0]):
        for i in range(n):
            slopes[a, i] *= scale[i]


@numba.njit(**OPTIONS)
def bends(
    x,
    y,
    weight,
    counted,
    at,
    design,
    exponential,
    origin,
    shape,
    slots,
    theta,
    roots,
    typical,
    bend,
):
    """Fill in how each curve bends along its tangent plane.

        T_abc = Q_aᵀ ∂²(w f) / ∂u_b ∂u_c,   θ = θ̂ + L u,   Q = J L with orthonormal columns

    by differences of the exact slopes over a part of the noise. Of counts, whose likelihood is near
    a normal in the cube root of their mean, w f is 3 w √f̂ (f / f̂)^⅓.

    Parameters
    ----------
    as for ``descend``, with
    theta, roots : θ̂ and L, (spectrum, parameter) and (spectrum, parameter, parameter).
    typical : noise, (spectrum,).
    bend : to fill in, T (spectrum, parameter, parameter, parameter).
    """
    count = theta.shape[1]
    there, change = np.empty(count), np.empty((count, count))
    for s in range(len(at) - 1):
        left, right, root, turn = at[s], at[s + 1], roots[s], bend[s]
        own, by, base = x[left:right], weight[left:right], design[:, left:right]
        n, step = len(own), BENDING * typical[s]
        first, mean, plane = np.empty(n), np.empty(n), np.zeros((count, n))
        up, down = np.empty((count, n)), np.empty((count, n))
        curve(own, base, exponential, origin[s], shape, slots, theta[s], first, up)
        tilted(by, counted, first, first, up)
        for a in range(count):
            for b in range(a, count):  # the factor is lower triangular
                for i in range(n):
                    plane[a, i] += root[b, a] * up[b, i]
        for c in range(count):
            for side, slopes in ((1.0, up), (-1.0, down)):
                for a in range(count):
                    there[a] = theta[s, a] + side * step * root[a, c]
                curve(own, base, exponential, origin[s], shape, slots, there, mean, slopes)
                tilted(by, counted, first, mean, slopes)
            for b in range(count):
                for i in range(n):
                    up[b, i] = (up[b, i] - down[b, i]) / (2 * step)
            for a in range(count):
                for b in range(count):
                    total = 0.0
                    for i in range(n):
                        total += plane[a, i] * up[b, i]
                    change[a, b] = total
            for a in range(count):
                for b in range(count):
                    total = 0.0
                    for d in range(b, count):
                        total += change[a, d] * root[d, b]
                    turn[a, b, c] = total


@numba.njit(**OPTIONS)
def weigh(
    x,
    y,
    weight,
    counted,
    at,
    design,
    exponential,
    origin,
    shape,
    slots,
    lower,
    upper,
    theta,
    roots,
    bend,
    rss,
    kept_ascending,
    normals,
    scales,
    points,
    squared,
    log_weight,
):
    """Draw around each optimum, and weigh the draws by the likelihood.

        θ = θ̂ + L (u − T(u, u) / 2),   u = noise · z
        log w = −(χ²(θ) − χ²(θ̂)) / 2 noise² + zᵀz / 2 + log det(1 − T(u, ·))

    These are normal in the plane that touches the curve, as of ``inference.tangent``, to second
    order; the density of what is drawn is exact. A weight is zero (−inf) outside the box, where
    centres do not ascend, and where the map folds.

    Parameters
    ----------
    as for ``bends``, and
    rss : the least misfit, (spectrum,).
    kept_ascending : whether centres are.
    normals, scales : z (spectrum, draw, parameter), and the noise of each draw (spectrum, draw).
    points, squared, log_weight : to fill in: θ (spectrum, draw, parameter), χ² and log w
        (spectrum, draw).
    """
    count, peaks = theta.shape[1], slots.shape[0]
    turn, u = np.empty((count, count)), np.empty(count)
    for s in range(len(at) - 1):
        left, right, root = at[s], at[s + 1], roots[s]
        own, seen, by = x[left:right], y[left:right], weight[left:right]
        base, n = design[:, left:right], len(own)
        mean, residual, none = np.empty(n), np.empty(n), np.empty((0, n))
        for d in range(normals.shape[1]):
            length, inside, noise = 0.0, True, scales[s, d]
            for a in range(count):
                length += normals[s, d, a] ** 2
                u[a] = noise * normals[s, d, a]
            for a in range(count):
                for b in range(count):
                    turn[a, b] = 0.0
                    for c in range(count):
                        turn[a, b] += bend[s, a, b, c] * u[c]
            for a in range(count):
                points[s, d, a] = theta[s, a]
                for b in range(a + 1):
                    back = u[b]
                    for c in range(count):
                        back -= turn[b, c] * u[c] / 2
                    points[s, d, a] += root[a, b] * back
                inside = inside and lower[s, a] <= points[s, d, a] <= upper[s, a]
            if kept_ascending:
                for k in range(1, peaks):
                    inside = inside and points[s, d, slots[k, 1]] > points[s, d, slots[k - 1, 1]]
            for a in range(count):
                for b in range(count):
                    turn[a, b] = (1.0 if a == b else 0.0) - turn[a, b]
            volume = determinant(turn)
            if not inside or not volume > 0:
                squared[s, d], log_weight[s, d] = inf, -inf
                continue
            curve(own, base, exponential, origin[s], shape, slots, points[s, d], mean, none)
            squared[s, d] = misfit(seen, by, counted, mean, residual, none)
            excess = (squared[s, d] - rss[s]) / (noise * noise)
            log_weight[s, d] = 0.5 * length - 0.5 * excess + log(volume)
