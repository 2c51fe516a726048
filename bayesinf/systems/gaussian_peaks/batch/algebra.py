"""Small symmetric matrices in compiled loops: factors, solutions, least squares, determinants.

Importing it imports numba. ``OPTIONS`` are those of every compiled function of the batch.
"""

from math import sqrt

import numba
import numpy as np

__all__ = [
    "OPTIONS",
    "copied",
    "determinant",
    "factor",
    "linear",
    "products",
    "solve",
]

OPTIONS = {"nogil": True, "cache": True, "fastmath": {"contract", "reassoc"}}
OPTIONS |= {"error_model": "numpy"}
INNER = OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


@numba.njit(**INNER)
def copied(source, target):
    """Copy a vector; slices would take seconds to compile."""
    for i in range(len(source)):
        target[i] = source[i]


@numba.njit(**INNER)
def products(slopes, residual, normal, slope):
    """Fill in JᵀJ, its lower half and its upper, and Jᵀr."""
    count, n = slopes.shape
    for a in range(count):
        total = 0.0
        for i in range(n):
            total += slopes[a, i] * residual[i]
        slope[a] = total
        for b in range(a + 1):
            total = 0.0
            for i in range(n):
                total += slopes[a, i] * slopes[b, i]
            normal[a, b] = normal[b, a] = total


@numba.njit(**INNER)
def factor(matrix, root):
    """Cholesky's factor of a positive definite matrix; False where it is none."""
    count = len(matrix)
    for a in range(count):
        for b in range(a + 1):
            total = matrix[a, b]
            for c in range(b):
                total -= root[a, c] * root[b, c]
            if a == b:
                if not total > 1e-15 * matrix[a, a]:
                    return False
                root[a, a] = sqrt(total)
            else:
                root[a, b] = total / root[b, b]
        for b in range(a + 1, count):
            root[a, b] = 0.0
    return True


@numba.njit(**INNER)
def solve(root, vector):
    """Solve L Lᵀ v = vector in place."""
    count = len(vector)
    for a in range(count):
        for b in range(a):
            vector[a] -= root[a, b] * vector[b]
        vector[a] /= root[a, a]
    for a in range(count - 1, -1, -1):
        for b in range(a + 1, count):
            vector[a] -= root[b, a] * vector[b]
        vector[a] /= root[a, a]


@numba.njit(**INNER)
def linear(design, value, low, points):
    """Least squares through the first of some points, (parameter,)."""
    count = design.shape[0]
    normal, found, root = np.zeros((count, count)), np.zeros(count), np.empty((count, count))
    scale = np.empty(count)
    for a in range(count):
        for k in range(points):
            found[a] += design[a, low[k]] * value[low[k]]
        for b in range(count):
            for k in range(points):
                normal[a, b] += design[a, low[k]] * design[b, low[k]]
    for a in range(count):
        scale[a] = max(sqrt(normal[a, a]), 1e-300)
    for a in range(count):
        found[a] /= scale[a]
        for b in range(count):
            normal[a, b] /= scale[a] * scale[b]
        normal[a, a] += 1e-10
    fine = factor(normal, root)
    if fine:
        solve(root, found)
    for a in range(count):
        found[a] = found[a] / scale[a] if fine else 0.0
    return found


@numba.njit(**INNER)
def determinant(matrix):
    """Return the determinant of a matrix, by elimination in place."""
    count, found = len(matrix), 1.0
    for a in range(count):
        pivot = a
        for b in range(a + 1, count):
            if abs(matrix[b, a]) > abs(matrix[pivot, a]):
                pivot = b
        if matrix[pivot, a] == 0.0:
            return 0.0
        if pivot != a:
            found = -found
            for c in range(a, count):
                matrix[a, c], matrix[pivot, c] = matrix[pivot, c], matrix[a, c]
        found *= matrix[a, a]
        for b in range(a + 1, count):
            share = matrix[b, a] / matrix[a, a]
            for c in range(a, count):
                matrix[b, c] -= share * matrix[a, c]
    return found
