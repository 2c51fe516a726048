"""How the fit follows each point: leverages, and the condition of the slopes, compiled."""

from math import sqrt

import numba
import numpy as np

from bayesinf.systems.gaussian_peaks.batch.algebra import OPTIONS, factor, products
from bayesinf.systems.gaussian_peaks.batch.evaluation import curve, misfit

__all__ = ["influence"]


@numba.njit(**OPTIONS)
def influence(
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
    mean,
    residual,
    leverage,
    beside,
    gram,
    gradient,
):
    """Fill in mean, weighted residuals and the hat matrix H = J (JᵀJ)⁻¹ Jᵀ of each spectrum.

    Parameters
    ----------
    as for ``descend``, and to fill in
    mean, residual : (point,).
    leverage, beside : H_ii and H_{i,i+1}, (point,); NaN where JᵀJ has no inverse.
    gram : JᵀJ of slopes of length one, (spectrum, parameter, parameter).
    gradient : Jᵀr, (spectrum, parameter), which is minus half the slope of the misfit.
    """
    count = theta.shape[1]
    root = np.empty((count, count))
    for s in range(len(at) - 1):
        left, right = at[s], at[s + 1]
        own, base = x[left:right], design[:, left:right]
        middle, off = mean[left:right], residual[left:right]
        slopes = np.empty((count, right - left))
        curve(own, base, exponential, origin[s], shape, slots, theta[s], middle, slopes)
        misfit(y[left:right], weight[left:right], counted, middle, off, slopes)
        products(slopes, off, gram[s], gradient[s])
        for a in range(count):
            length = max(sqrt(gram[s, a, a]), 1e-300)
            for i in range(right - left):
                slopes[a, i] /= length
        products(slopes, off, gram[s], root[0])
        fine = factor(gram[s], root)
        for i in range(left, right):
            leverage[i] = beside[i] = 0.0 if fine else np.nan
        for a in range(count if fine else 0):  # Q = L⁻¹ J, its rows orthonormal
            for b in range(a):
                for i in range(right - left):
                    slopes[a, i] -= root[a, b] * slopes[b, i]
            for i in range(right - left):
                slopes[a, i] /= root[a, a]
                leverage[left + i] += slopes[a, i] * slopes[a, i]
            for i in range(right - left - 1):
                beside[left + i] += slopes[a, i] * slopes[a, i + 1]
