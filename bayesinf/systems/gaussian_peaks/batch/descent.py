"""Descents to the least misfit within the bounds, and what is around it.

Descents are those of ``inference.scoring``: damped steps (Nielsen 1999), scaled by the column norms
of the slopes (Moré 1978), that end on a bound and leave it where the slope points inwards.
"""

from math import inf, sqrt

import numba
import numpy as np

from bayesinf.systems.gaussian_peaks.batch.algebra import (
    INNER,
    OPTIONS,
    copied,
    factor,
    products,
    solve,
)
from bayesinf.systems.gaussian_peaks.batch.evaluation import curve, misfit

__all__ = ["descend", "gradients", "polish"]

FIRST_DAMPING = 1e-2
LARGEST_DAMPING = 1e16
LEAST_RATIO = 1e-4  # of gain to promise, below which a step is not taken
MEMORY = 0.5  # share of a column's largest norm that the scale keeps from step to step
MOST = 200  # steps of a descent
POLISHING = 30  # undamped steps at most
POLISHED = 1e-7  # length of a step, in standard errors, at which they end


@numba.njit(**INNER)
def stepped(normal, slope, scale, damping, stuck, damped, root, step):
    """Fill in (JᵀJ + λ D²)⁻¹ Jᵀr of what is not stuck; return its promise, −1 where it has none."""
    count = len(slope)
    for a in range(count):
        step[a] = 0.0 if stuck[a] else slope[a] / scale[a]
        for b in range(count):
            if stuck[a] or stuck[b]:
                damped[a, b] = 1.0 if a == b else 0.0
            else:
                damped[a, b] = normal[a, b] / (scale[a] * scale[b])
        if not stuck[a]:
            damped[a, a] += damping
    if not factor(damped, root):
        return -1.0
    solve(root, step)
    promise = 0.0
    for a in range(count):
        # Of a linear mean the gain of a step δ is 2 δᵀg − δᵀAδ = δᵀg + λ |Dδ|².
        if not stuck[a]:
            promise += step[a] * slope[a] / scale[a] + damping * step[a] * step[a]
        step[a] /= scale[a]
    return promise


@numba.njit(**INNER)
def held(theta, slope, lower, upper, stuck):
    """Fill in which parameters stand on a bound that their slope points across."""
    for a in range(len(theta)):
        low = theta[a] <= lower[a] and slope[a] < 0
        stuck[a] = low or (theta[a] >= upper[a] and slope[a] > 0)


@numba.njit(**OPTIONS)
def descend(
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
    chosen,
    tolerance,
    points,
    ends,
):
    """Descend from where chosen spectra are to the least misfit within their bounds.

    Parameters
    ----------
    x, y, weight : of all spectra one after the other, (point,), as for ``misfit``.
    counted : whether the data are counts.
    at : where each spectrum begins and ends, (spectrum + 1,).
    design : of all spectra, (parameter, point).
    origin : (spectrum,).
    lower, upper : (spectrum, parameter).
    chosen : the places of spectra.
    tolerance : share of the misfit that a step must promise.
    points : θ, which is changed in place, (spectrum, parameter).
    ends : the misfit, to fill in, (spectrum,); inf where the start has none.
    """
    count = points.shape[1]
    normal, slope = np.empty((count, count)), np.empty(count)
    damped, root, step = np.empty((count, count)), np.empty((count, count)), np.empty(count)
    scale, there, stuck = np.empty(count), np.empty(count), np.zeros(count, dtype=np.bool_)
    for s in chosen:
        left, right, theta, low, high = at[s], at[s + 1], points[s], lower[s], upper[s]
        own, seen, by = x[left:right], y[left:right], weight[left:right]
        base, n = design[:, left:right], len(own)
        mean, residual, slopes = np.empty(n), np.empty(n), np.empty((count, n))
        for a in range(count):
            there[a] = theta[a] = min(max(theta[a], low[a]), high[a])
            scale[a] = 0.0
        value, damping, growth, promise = inf, FIRST_DAMPING, 2.0, 0.0
        for taken in range(MOST + 1):
            found = inf
            if promise >= 0:
                # With the slopes, as most steps are taken.
                curve(own, base, exponential, origin[s], shape, slots, there, mean, slopes)
                found = misfit(seen, by, counted, mean, residual, slopes)
            if taken == 0 and not found < inf:
                break
            ratio = (value - found) / promise if found < inf and promise > 0 else -1.0
            ended = taken > 0 and 0 <= promise <= tolerance * value
            if taken == 0 or ratio > LEAST_RATIO:
                copied(there, theta)
                value = found
                products(slopes, residual, normal, slope)
                if taken > 0:
                    damping *= max(1 / 3, 1 - (2 * min(ratio, 2.0) - 1) ** 3)
                growth = 2.0
            else:
                damping *= growth
                growth *= 2.0
            if ended or damping > LARGEST_DAMPING:
                break
            for a in range(count):
                scale[a] = max(MEMORY * scale[a], sqrt(normal[a, a]), 1e-300)
            held(theta, slope, low, high, stuck)
            promise = stepped(normal, slope, scale, damping, stuck, damped, root, step)
            for a in range(count):
                there[a] = min(max(theta[a] + step[a], low[a]), high[a])
        ends[s] = value


@numba.njit(**OPTIONS)
def polish(
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
    points,
    ends,
    lengths,
    covariance,
):
    """Take undamped steps while they shrink, and fill in (JᵀJ)⁻¹ where they end.

    The length of the last step is that in the metric of the curvature, for noise as large as the
    residuals, and no change of a parameter is longer in its standard errors.

    Parameters
    ----------
    as for ``descend``; a spectrum whose end is not finite is left alone, and
    lengths, covariance : to fill in, (spectrum,) and (spectrum, parameter, parameter), NaN where
        there is none.
    """
    count = points.shape[1]
    normal, slope = np.empty((count, count)), np.empty(count)
    damped, root, step = np.empty((count, count)), np.empty((count, count)), np.empty(count)
    scale, stuck = np.empty(count), np.zeros(count, dtype=np.bool_)
    for s in range(len(at) - 1):
        lengths[s] = inf
        if not ends[s] < inf:
            continue
        left, right, theta, low, high = at[s], at[s + 1], points[s], lower[s], upper[s]
        own, seen, by = x[left:right], y[left:right], weight[left:right]
        base, n = design[:, left:right], len(own)
        mean, residual, slopes = np.empty(n), np.empty(n), np.empty((count, n))
        before = inf
        for _ in range(POLISHING):
            curve(own, base, exponential, origin[s], shape, slots, theta, mean, slopes)
            ends[s] = misfit(seen, by, counted, mean, residual, slopes)
            products(slopes, residual, normal, slope)
            for a in range(count):
                scale[a] = max(sqrt(normal[a, a]), 1e-300)
            held(theta, slope, low, high, stuck)
            gain = stepped(normal, slope, scale, 0.0, stuck, damped, root, step)
            if gain < 0:
                before = inf
                break
            length = sqrt(gain / max(ends[s] / max(n - count, 1), 1e-300))
            inside = True
            for a in range(count):
                inside = inside and low[a] <= theta[a] + step[a] <= high[a]
            if not length < before or not inside or length < POLISHED:
                before = min(before, length) if inside else length
                break
            for a in range(count):
                theta[a] += step[a]
            before = length
        lengths[s] = before
        for a in range(count):
            for b in range(count):
                damped[a, b] = normal[a, b] / (scale[a] * scale[b])
        fine = factor(damped, root)
        for a in range(count):
            for b in range(count):
                step[b] = 1.0 if a == b else 0.0
            solve(root, step)
            for b in range(count):
                covariance[s, b, a] = step[b] / (scale[a] * scale[b]) if fine else np.nan


@numba.njit(**OPTIONS)
def gradients(x, y, weight, counted, at, design, exponential, origin, shape, slots, points, found):
    """Fill in minus half the slope of each misfit, Jᵀr, (spectrum, parameter).

    Parameters
    ----------
    as for ``descend``, at ``points`` (spectrum, parameter); NaN where the misfit is not finite.
    """
    count = points.shape[1]
    for s in range(len(at) - 1):
        left, right = at[s], at[s + 1]
        own, n = x[left:right], right - left
        mean, residual, slopes = np.empty(n), np.empty(n), np.empty((count, n))
        base = design[:, left:right]
        curve(own, base, exponential, origin[s], shape, slots, points[s], mean, slopes)
        off = misfit(y[left:right], weight[left:right], counted, mean, residual, slopes)
        for a in range(count):
            total = 0.0 if off < inf else np.nan
            for i in range(n):
                total += slopes[a, i] * residual[i]
            found[s, a] = total
