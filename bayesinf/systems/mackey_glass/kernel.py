"""The compiled loops of ``delay`` and ``mechanism``: the delay equation in steps that divide its
delay.

In the time u = t/τ the equation is dx/du = τ [β g(x(u − 1)) − γ x(u)], g(x) = x / (1 + xⁿ). With
``steps`` equal steps a delay, what is delayed by one stands on the grid, or half-way between two
points of it, where the cubic that has the values and slopes of both is taken; and the kinks of the
solution, at whole u, stand on the grid too, so that the fourth order of Runge and Kutta is kept.
Importing this module imports numba.
"""

import numba
import numpy as np

__all__ = ["OPTIONS", "at", "growth", "solve", "tangents"]

OPTIONS = {"nogil": True, "cache": True}


@numba.njit(inline="always", **OPTIONS)
def _pull(x, n):
    """g(x), zero for x ≤ 0, where a real power of x is none."""
    return x / (1.0 + x**n) if x > 0.0 else 0.0


@numba.njit(inline="always", **OPTIONS)
def _pull_slope(x, n):
    """dg/dx."""
    if x <= 0.0:
        return 0.0
    power = x**n
    return (1.0 + (1.0 - n) * power) / (1.0 + power) ** 2


@numba.njit(**OPTIONS)
def solve(beta, gamma, n, tau, past, x, slope, kicks):
    """Integrate from a history on [−1, 0], given at half steps.

    Parameters: ``past`` (2 steps + 1,), x at u = −1, −1 + h/2, ..., 0; ``x`` and ``slope``
    (count + 1,), filled with x and dx/du at u = 0, h, 2h, ...; ``kicks`` (count,), added to x at
    the end of each step, or empty.
    """
    steps = (len(past) - 1) // 2
    h = 1.0 / steps
    b, c = tau * beta, tau * gamma
    x[0] = past[2 * steps]
    first = b * _pull(past[0], n)
    slope[0] = first - c * x[0]
    for k in range(len(x) - 1):
        if k < steps:
            middle, last = past[2 * k + 1], past[2 * k + 2]
        else:
            i = k - steps
            last = x[i + 1]
            # Before a kick the solution ends elsewhere than where the next step begins.
            end = last - kicks[i] if len(kicks) else last
            end_slope = slope[i + 1] + (c * kicks[i] if len(kicks) else 0.0)
            middle = 0.5 * (x[i] + end) + 0.125 * h * (slope[i] - end_slope)
        half, full = b * _pull(middle, n), b * _pull(last, n)
        k1 = first - c * x[k]
        k2 = half - c * (x[k] + 0.5 * h * k1)
        k3 = half - c * (x[k] + 0.5 * h * k2)
        k4 = full - c * (x[k] + h * k3)
        x[k + 1] = x[k] + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        if len(kicks):
            x[k + 1] += kicks[k]
        first = full
        slope[k + 1] = full - c * x[k + 1]


@numba.njit(**OPTIONS)
def at(u, x, slope, steps, out):
    """Values between steps, by the cubic of both ends; u (time,), from 0 on."""
    h = 1.0 / steps
    for j in range(len(u)):
        k = min(int(u[j] * steps), len(x) - 2)
        s = u[j] * steps - k
        a = 1.0 - s
        out[j] = (1.0 + 2.0 * s) * a * a * x[k] + s * s * (3.0 - 2.0 * s) * x[k + 1]
        out[j] += s * a * h * (a * slope[k] - s * slope[k + 1])


@numba.njit(**OPTIONS)
def tangents(beta, gamma, n, tau, past, x, slope, basis, d, d_slope):
    """Integrate small changes of the history along a solution, all directions at once.

    ``basis`` (2 steps + 1, direction) are changes of ``past``; ``d`` and ``d_slope`` (count + 1,
    direction) are filled with the changes of x and of dx/du.
    """
    steps, directions = (len(past) - 1) // 2, basis.shape[1]
    h = 1.0 / steps
    b, c = tau * beta, tau * gamma
    before = b * _pull_slope(past[0], n)
    for j in range(directions):
        d[0, j] = basis[2 * steps, j]
        d_slope[0, j] = before * basis[0, j] - c * d[0, j]
    for k in range(len(x) - 1):
        i = k - steps
        if k < steps:
            middle, last = past[2 * k + 1], past[2 * k + 2]
        else:
            middle = 0.5 * (x[i] + x[i + 1]) + 0.125 * h * (slope[i] - slope[i + 1])
            last = x[i + 1]
        half, full = b * _pull_slope(middle, n), b * _pull_slope(last, n)
        for j in range(directions):
            if k < steps:
                of_half, of_full = half * basis[2 * k + 1, j], full * basis[2 * k + 2, j]
            else:
                of_half = 0.5 * (d[i, j] + d[i + 1, j])
                of_half += 0.125 * h * (d_slope[i, j] - d_slope[i + 1, j])
                of_half *= half
                of_full = full * d[i + 1, j]
            k1 = d_slope[k, j]
            k2 = of_half - c * (d[k, j] + 0.5 * h * k1)
            k3 = of_half - c * (d[k, j] + 0.5 * h * k2)
            k4 = of_full - c * (d[k, j] + h * k3)
            d[k + 1, j] = d[k, j] + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
            d_slope[k + 1, j] = of_full - c * d[k + 1, j]


@numba.njit(**OPTIONS)
def growth(beta, gamma, n, tau, past, change, delays):
    """Log of the factor by which a small change grows in each of so many delays, (delay,).

    ``past`` and ``change`` (2 steps + 1,) are taken on from delay to delay; the change is made unit
    size, root mean square over the delay, at the end of each.
    """
    steps = (len(past) - 1) // 2
    x, slope = np.empty(steps + 1), np.empty(steps + 1)
    d, d_slope = np.empty((steps + 1, 1)), np.empty((steps + 1, 1))
    none, basis, found = np.empty(0), np.empty((len(past), 1)), np.empty(delays)
    for delay in range(delays):
        for j in range(len(change)):
            basis[j, 0] = change[j]
        solve(beta, gamma, n, tau, past, x, slope, none)
        tangents(beta, gamma, n, tau, past, x, slope, basis, d, d_slope)
        h, size = 1.0 / steps, 0.0
        for k in range(steps + 1):
            past[2 * k], change[2 * k] = x[k], d[k, 0]
            if k < steps:
                past[2 * k + 1] = 0.5 * (x[k] + x[k + 1]) + 0.125 * h * (slope[k] - slope[k + 1])
                change[2 * k + 1] = 0.5 * (d[k, 0] + d[k + 1, 0])
                change[2 * k + 1] += 0.125 * h * (d_slope[k, 0] - d_slope[k + 1, 0])
        for j in range(len(change)):
            size += change[j] * change[j]
        size = np.sqrt(size / len(change))
        found[delay] = np.log(size)
        for j in range(len(change)):
            change[j] /= size
    return found
