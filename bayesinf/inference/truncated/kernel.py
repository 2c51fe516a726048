"""The compiled flight of ``truncated``; importing this module imports numba."""

from math import acos, atan2, cos, hypot, inf, pi, sin

import numba
import numpy as np

__all__ = ["fly"]


@numba.njit(nogil=True, cache=True)
def fly(z, v, B, b, products, known, time, most):
    """Move z along z cos t + v sin t for a time, off each wall B_j z + b_j = 0 on the way.

    Parameters
    ----------
    z, v : place and velocity, (weight,), changed in place.
    B, b : walls, (wall, weight) and (wall,).
    products, known : B Bᵀ, of which the rows that are known are filled in, changed in place.
    time : of the flight.
    most : bounces after which it ends.

    Returns
    -------
    bounces, -1 where they were more than the most.
    """
    at, slope = np.zeros(len(b)), np.zeros(len(b))
    for j in range(len(b)):
        for k in range(len(z)):
            at[j] += B[j, k] * z[k]
            slope[j] += B[j, k] * v[k]
    for bounce in range(most + 1):
        first, wall = inf, -1
        for j in range(len(b)):
            if at[j] + b[j] <= 0.0 and slope[j] < 0.0:  # on the wall, or by rounding beyond it
                first, wall = 0.0, j
                break
            reach = hypot(at[j], slope[j])
            if reach <= abs(b[j]):
                continue
            # at cos t + slope sin t + b is falling where it crosses zero at this time.
            when = atan2(slope[j], at[j]) + acos(-b[j] / reach)
            when = when % (2 * pi)
            if when < first:
                first, wall = when, j
        turn = min(first, time)
        c, s = cos(turn), sin(turn)
        for k in range(len(z)):
            z[k], v[k] = z[k] * c + v[k] * s, v[k] * c - z[k] * s
        if first >= time:
            return bounce
        time -= first
        if not known[wall]:
            for j in range(len(b)):
                products[wall, j] = 0.0
                for k in range(len(z)):
                    products[wall, j] += B[j, k] * B[wall, k]
            known[wall] = True
        own = products[wall]
        for j in range(len(b)):
            at[j], slope[j] = at[j] * c + slope[j] * s, slope[j] * c - at[j] * s
        at[wall] = -b[wall]
        push = -2.0 * slope[wall] / own[wall]
        for j in range(len(b)):
            slope[j] += push * own[j]
        for k in range(len(v)):
            v[k] += push * B[wall, k]
    return -1
