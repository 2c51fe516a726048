"""The compiled loops of ``state_sums``, over states that are lists of the sites that are on.

Sites are 0/1 throughout. Where few are on, a state costs as many additions as it has pairs that are
on together, however many sites there are. Importing this module imports numba.
"""

import numba
import numpy as np

__all__ = ["complete", "exponents", "moments", "products"]


@numba.njit(nogil=True, cache=True)
def exponents(h, J, starts, active, first, last, result):
    """Fill in Σ h n + Σ_{i<j} J n n of states; J is read above its diagonal."""
    for state in range(first, last):
        total = 0.0
        for a in range(starts[state], starts[state + 1]):
            row = J[active[a]]
            total += h[active[a]]
            for b in range(a + 1, starts[state + 1]):
                total += row[active[b]]
        result[state - first] = total


@numba.njit(nogil=True, cache=True)
def moments(weight, starts, active, first, last, result):
    """Add up ⟨n_i n_j⟩ on and above the diagonal under the weights of these states."""
    for state in range(first, last):
        w = weight[state - first]
        for a in range(starts[state], starts[state + 1]):
            row = result[active[a]]
            for b in range(a, starts[state + 1]):
                row[active[b]] += w


@numba.njit(nogil=True, cache=True)
def products(weight, starts, active, sites, part, parts, result):
    """Add up ⟨φ φᵀ⟩ on and below the diagonal, in every ``parts``-th of the rows."""
    features = np.empty(sites * (sites + 1) // 2, dtype=np.int64)
    for state in range(len(weight)):
        first, last = starts[state], starts[state + 1]
        count = last - first
        for a in range(first, last):
            features[a - first] = active[a]
        for a in range(first, last):
            i = np.int64(active[a])
            before = sites + i * sites - i * (i + 1) // 2 - i - 1
            for b in range(a + 1, last):
                features[count] = before + active[b]
                count += 1
        w = weight[state]
        for f in range(count):
            if features[f] % parts == part:
                row = result[features[f]]
                for g in range(f + 1):
                    row[features[g]] += w


@numba.njit(nogil=True, cache=True)
def complete(result, mean):
    """Make a covariance of the lower triangle of ⟨φ φᵀ⟩, and fill in the upper."""
    size, step = len(mean), 64
    for top in range(0, size, step):
        for left in range(0, top + 1, step):
            for f in range(top, min(top + step, size)):
                for g in range(left, min(left + step, f + 1)):
                    result[f, g] -= mean[f] * mean[g]
                    result[g, f] = result[f, g]
