"""The inner loop of the simulation, compiled: all sites at once, one step after the other.

States are on or off here, so that only the sites that are on add to the log odds: a silent
population costs next to nothing.
"""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["advance"]


@numba.njit(nogil=True, cache=True)
def advance(bias, weight, state, uniform, states):
    """Run some repeats on from where they are.

    Parameters
    ----------
    bias : log odds of each site when all are off, (site,).
    weight : what a source that is on adds to them, (source, target), rows contiguous.
    state : 1 where a site is on, int8 (repeat, site); left at the last step.
    uniform : numbers in [0, 1), (repeat, step, site).
    states : where the steps are written, int8 (repeat, step, site).
    """
    repeats, steps, sites = uniform.shape
    odds = np.empty(sites)
    for k in range(repeats):
        for t in range(steps):
            for i in range(sites):
                odds[i] = bias[i]
            for j in range(sites):
                if state[k, j]:
                    for i in range(sites):
                        odds[i] += weight[j, i]
            for i in range(sites):
                on = uniform[k, t, i] * (1.0 + np.exp(-odds[i])) < 1.0
                state[k, i] = on
                states[k, t, i] = on
