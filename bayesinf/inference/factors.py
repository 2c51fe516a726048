"""Cholesky factors of matrices of any size, by a route that was tested at that size.

NumPy's and SciPy's wheels bring an OpenBLAS each. That of NumPy 2.5 (0.3.34, kernels for AVX-512,
one thread) writes beyond its memory when it factorises 11 000 × 11 000: the process dies, or goes
on with a corrupted heap. SciPy's does not; ``make torture`` holds both sizes, below and above where
the other fails, to a factor that is known. Small matrices, by the thousand, go to NumPy, which
takes them in one call.
"""

from __future__ import annotations

import numpy as np

__all__ = ["cholesky"]

LARGE = 2000  # rows from which SciPy factorises


def cholesky(matrix: np.ndarray) -> np.ndarray:
    """Return the lower factors L, L Lᵀ = A, of symmetric matrices (..., n, n).

    Raises
    ------
    LinAlgError : a matrix that is not positive definite.
    """
    if matrix.shape[-1] < LARGE:
        return np.linalg.cholesky(matrix)
    from scipy import linalg

    if matrix.ndim == 2:
        return linalg.cholesky(matrix, lower=True, check_finite=False)
    lower = np.empty(matrix.shape)
    for index in np.ndindex(matrix.shape[:-2]):
        lower[index] = linalg.cholesky(matrix[index], lower=True, check_finite=False)
    return lower
