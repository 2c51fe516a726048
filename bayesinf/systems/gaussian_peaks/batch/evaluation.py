"""The curve of a spectrum with its exact slopes, and how far data lie off it, compiled.

A point θ holds the background's parameters and those of each peak; ``slots`` (peak, 4) says where
in θ a peak keeps height, centre, sigma and fraction, so that a width may be shared. A background is
linear in its parameters, with the columns of ``design`` (parameter, point), or an exponential. The
slopes are exact, in rows (parameter, point). A test holds curve and slopes to lmfit's.

Importing it imports numba.
"""

from math import exp, inf, log, pi, sqrt

import numba
import numpy as np

from bayesinf.inference.elementary import exponentials, logarithms
from bayesinf.systems.gaussian_peaks.batch.algebra import INNER, OPTIONS

__all__ = ["SHAPES", "curve", "misfit"]

SHAPES = {"gaussian": 0, "lorentzian": 1, "pseudo-voigt": 2}
G0, L0 = sqrt(log(2) / pi), 1 / pi  # heights of a Gaussian and a Lorentzian of area and width 1


@numba.njit(**INNER)
def _bells(x, center, rate, found, work):
    """Fill in exp(−rate (x − center)²)."""
    for i in range(len(x)):
        shift = x[i] - center
        found[i] = -rate * shift * shift
    exponentials(found, work)


@numba.njit(**OPTIONS)
def curve(x, design, exponential, origin, shape, slots, theta, mean, slopes):
    """Fill in the mean (point,) and, unless they have no rows, its slopes (parameter, point)."""
    n, background, sloped = len(x), design.shape[0], slopes.shape[0] > 0
    line, bend, work = np.empty(n), np.empty(n), np.empty(n)
    if sloped:
        for a in range(slopes.shape[0]):
            for i in range(n):
                slopes[a, i] = 0.0
    for i in range(n):
        mean[i] = 0.0
    if exponential:
        level, decay = theta[0], theta[1]
        for i in range(n):
            shift = x[i] - origin
            e = exp(-shift / decay)
            mean[i] = level * e
            if sloped:
                slopes[0, i] = e
                slopes[1, i] = level * e * shift / (decay * decay)
    for b in range(background):
        for i in range(n):
            mean[i] += theta[b] * design[b, i]
        if sloped:
            for i in range(n):
                slopes[b, i] = design[b, i]
    for k in range(slots.shape[0]):
        at_h, at_c, at_s, at_f = slots[k, 0], slots[k, 1], slots[k, 2], slots[k, 3]
        h, c, per = theta[at_h], theta[at_c], 1.0 / theta[at_s]
        share = theta[at_f] if shape == 2 else 0.0
        whole = (1 - share) * G0 + share * L0
        # The line of height 1, and its slope along −z over z.
        if shape == 0:
            _bells(x, c, 0.5 * per * per, line, work)
            for i in range(n):
                bend[i] = line[i]
        elif shape == 1:
            for i in range(n):
                z = (x[i] - c) * per
                line[i] = 1.0 / (1.0 + z * z)
                bend[i] = 2.0 * line[i] * line[i]
        else:
            _bells(x, c, log(2) * per * per, line, work)
            for i in range(n):
                z = (x[i] - c) * per
                bell, hill = line[i], 1.0 / (1.0 + z * z)
                line[i] = ((1 - share) * G0 * bell + share * L0 * hill) / whole
                bend[i] = 2 * (log(2) * (1 - share) * G0 * bell + share * L0 * hill * hill) / whole
                if sloped:
                    mixed = h * G0 * L0 * (hill - bell) / (whole * whole)
                    slopes[at_f, i] += mixed
        for i in range(n):
            mean[i] += h * line[i]
        if sloped:
            for i in range(n):
                z = (x[i] - c) * per
                turn = h * bend[i] * z * per
                slopes[at_h, i] += line[i]
                slopes[at_c, i] += turn
                slopes[at_s, i] += turn * z


@numba.njit(**INNER)
def misfit(y, weight, counted, mean, residual, slopes):
    """Fill in weighted residuals, weigh the slopes likewise, and return how far off the data are.

        χ² = Σ w² (y − f)²,   or of counts   D = 2 Σ w² (f − y + y log(y / f))

    The deviance D of counts, y w² ~ Poisson(f w²), is χ² to second order with w / √f for w; it is
    infinite where the mean f cannot have made them. Half of it is minus the log likelihood, up to
    what the data alone decide, and minus half its slope is Jᵀr of either kind.

    Parameters
    ----------
    weight : one over the error bars, or over the root of what one count adds to y, (point,).
    residual, slopes : to fill in, (point,), and to change in place, (parameter, point); without
        rows neither is.
    """
    n, total = len(y), 0.0
    if not counted:
        for i in range(n):
            residual[i] = (y[i] - mean[i]) * weight[i]
            total += residual[i] * residual[i]
        for a in range(slopes.shape[0]):
            for i in range(n):
                slopes[a, i] *= weight[i]
        return total
    scale, possible = np.empty(n), True
    for i in range(n):
        possible &= mean[i] > 0.0
        scale[i] = mean[i] / y[i] if y[i] > 0.0 else 1.0
    if not possible:
        return inf
    logarithms(scale, scale)
    for i in range(n):
        total += weight[i] * weight[i] * (mean[i] - y[i] - y[i] * scale[i])
    if slopes.shape[0] > 0:
        for i in range(n):
            scale[i] = weight[i] / sqrt(mean[i])
            residual[i] = (y[i] - mean[i]) * scale[i]
        for a in range(slopes.shape[0]):
            for i in range(n):
                slopes[a, i] *= scale[i]
    return 2.0 * total
