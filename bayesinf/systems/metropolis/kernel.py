"""The inner loops, compiled: densities of a few shapes, their gradients, and Metropolis' rule.

A density is a number for its kind and an array of what it needs to know: mean and precision of a
normal, the bend and the width of a banana, the width of a funnel's top, place and width of modes.
Importing this module imports numba.
"""

from __future__ import annotations

import numba
import numpy as np

from bayesinf.systems.metropolis.targets import BANANA, FUNNEL, NORMAL

__all__ = ["log_densities", "look", "variances", "walk"]


@numba.njit(nogil=True, cache=True)
def look(kind, known, x, slope):
    """Log density at a point, up to a constant; its gradient is written to ``slope``."""
    size = len(x)
    if kind == NORMAL:  # known: mean, then rows of the precision
        value = 0.0
        for i in range(size):
            pull = 0.0
            for j in range(size):
                pull += known[size + i * size + j] * (x[j] - known[j])
            slope[i] = -pull
            value -= 0.5 * pull * (x[i] - known[i])
        return value
    if kind == BANANA:  # known: bend, width
        off = x[1] - known[0] * (x[0] * x[0] - 1)
        steep = off / known[1] ** 2
        slope[0] = -x[0] + 2 * known[0] * x[0] * steep
        slope[1] = -steep
        return -0.5 * x[0] * x[0] - 0.5 * off * steep
    if kind == FUNNEL:  # known: sd of the first coordinate
        v, total = x[0], 0.0
        for i in range(1, size):
            total += x[i] * x[i]
            slope[i] = -x[i] * np.exp(-v)
        square = total * np.exp(-v)
        slope[0] = -v / known[0] ** 2 - 0.5 * (size - 1) + 0.5 * square
        return -0.5 * (v / known[0]) ** 2 - 0.5 * (size - 1) * v - 0.5 * square
    # MODES, known: place of one, minus that of the other; width; share of the first
    up, down = np.log(known[2]), np.log(1 - known[2])
    for i in range(size):
        up -= 0.5 * ((x[i] - known[0]) / known[1]) ** 2
        down -= 0.5 * ((x[i] + known[0]) / known[1]) ** 2
    top = max(up, down)
    share = np.exp(up - top) / (np.exp(up - top) + np.exp(down - top))
    for i in range(size):
        slope[i] = -(x[i] - known[0] * (2 * share - 1)) / known[1] ** 2
    return top + np.log(np.exp(up - top) + np.exp(down - top))


@numba.njit(nogil=True, cache=True)
def log_densities(kind, known, points):
    """Log density at points, (point, dim) -> (point,)."""
    found, slope = np.empty(len(points)), np.empty(points.shape[1])
    for k in range(len(points)):
        found[k] = look(kind, known, points[k], slope)
    return found


@numba.njit(nogil=True, cache=True)
def walk(kind, known, state, root, normals, log_uniform, chain, accepted):
    """Take random-walk Metropolis steps, and record where the chain is after each.

    Parameters
    ----------
    kind, known : of the density.
    state : where it begins, (dim,); left where it ends.
    root : lower root of the proposal's covariance, (dim, dim).
    normals, log_uniform : (step, dim) and (step,).
    chain : where the states are written, (step, dim).
    accepted : whether each move was, (step,).
    """
    size = len(state)
    slope, new = np.empty(size), np.empty(size)
    value = look(kind, known, state, slope)
    for t in range(len(log_uniform)):
        for i in range(size):
            new[i] = state[i]
            for j in range(i + 1):
                new[i] += root[i, j] * normals[t, j]
        there = look(kind, known, new, slope)
        accepted[t] = log_uniform[t] < there - value
        if accepted[t]:
            value = there
        for i in range(size):
            if accepted[t]:
                state[i] = new[i]
            chain[t, i] = state[i]


@numba.njit(nogil=True, cache=True)
def variances(chain, accepted, found):
    """Write the variance of each coordinate of all states, and of those after accepted moves."""
    size = chain.shape[1]
    for i in range(size):
        for rule in range(2):
            n, mean, square = 0, 0.0, 0.0
            for t in range(len(chain)):
                if rule == 0 or accepted[t]:
                    n += 1
                    off = chain[t, i] - mean
                    mean += off / n
                    square += off * (chain[t, i] - mean)
            found[rule, i] = square / n
