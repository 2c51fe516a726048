"""Factors of matrices of any size, by a route that was tested at that size.

NumPy's and SciPy's wheels bring an OpenBLAS each. That of NumPy 2.5 (0.3.34, kernels for AVX-512,
one thread) writes beyond its memory when it makes the Cholesky factor of 11 000 × 11 000: the
process dies, or goes on with a corrupted heap. SciPy's does not. Of the other calls nothing of the
kind is known, but they go the same way. ``make torture`` holds the Cholesky factor, and ``python
tests/large_matrices.py`` all calls of both libraries, to answers that are known. Small matrices, by
the thousand, go to NumPy, which takes them in one call.
"""

from __future__ import annotations

import numpy as np

__all__ = ["cholesky", "eigvalsh", "qr", "solve", "svd"]

LARGE = 2000  # size of the smaller side from which SciPy factorises


def _large(matrix):
    return min(matrix.shape[-2:]) >= LARGE


def cholesky(matrix: np.ndarray) -> np.ndarray:
    """Return the lower factors L, L Lᵀ = A, of symmetric matrices (..., n, n).

    Raises
    ------
    LinAlgError : a matrix that is not positive definite.
    """
    if not _large(matrix):
        return np.linalg.cholesky(matrix)
    from scipy import linalg

    if matrix.ndim == 2:
        return linalg.cholesky(matrix, lower=True, check_finite=False)
    lower = np.empty(matrix.shape)
    for index in np.ndindex(matrix.shape[:-2]):
        lower[index] = linalg.cholesky(matrix[index], lower=True, check_finite=False)
    return lower


def solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return x, A x = b, of one matrix (n, n).

    Raises
    ------
    LinAlgError : a matrix that is singular.
    """
    if not _large(matrix):
        return np.linalg.solve(matrix, right)
    from scipy import linalg

    return linalg.lu_solve(linalg.lu_factor(matrix, check_finite=False), right, check_finite=False)


def qr(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Q (n, k) and R (k, p), Q R = A, of one matrix (n, p), with k = min(n, p)."""
    if not _large(matrix):
        return np.linalg.qr(matrix)
    from scipy import linalg

    return linalg.qr(matrix, mode="economic", check_finite=False)


def svd(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return U (n, k), s (k,) and Vᵀ (k, p), U diag(s) Vᵀ = A, of one matrix (n, p).

    Raises
    ------
    LinAlgError : numbers that are not finite.
    """
    if not _large(matrix):
        return np.linalg.svd(matrix, full_matrices=False)
    from scipy import linalg

    return linalg.svd(matrix, full_matrices=False, check_finite=False)


def eigvalsh(matrix: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of one symmetric matrix (n, n), the smallest first."""
    if not _large(matrix):
        return np.linalg.eigvalsh(matrix)
    from scipy import linalg

    return linalg.eigvalsh(matrix, check_finite=False)
