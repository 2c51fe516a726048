"""Cholesky factors of many covariance matrices at once, and what they say of data.

With L Lᵀ = K all comes from L: the row L⁻¹(y − m) is found by bordering K with y − m, as one more
row of the same factorisation. Where K is singular to working precision, its diagonal is raised by a
jitter relative to each entry, tenfold until the factorisation holds, so that rows of any units and
sizes are met alike.
"""

from __future__ import annotations

import numpy as np

from bayesinf.inference import factors

__all__ = ["BORDER", "cholesky", "diagonal", "log_conditional"]

JITTER = 10.0 ** np.arange(-14, -5)  # relative to each entry of the diagonal
BORDER = 1e300  # corner of a bordered matrix: above any square of the row beside it


def cholesky(matrix: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Factorise symmetric matrices, with as much jitter as that takes.

    Parameters
    ----------
    matrix : (..., n, n); it is overwritten.
    size : rows, from the first, whose diagonal may be raised.

    Returns
    -------
    lower factors, (..., n, n), NaN where even the largest jitter did not do; and the jitter, (...),
    relative to the diagonal.
    """
    jitter = np.zeros(matrix.shape[:-2])
    try:
        lower = factors.cholesky(matrix)
        poor = _at_rounding(lower, matrix)
    except np.linalg.LinAlgError:
        lower, poor = np.full_like(matrix, np.nan), np.ones(jitter.shape, dtype=bool)
    for index in map(tuple, np.argwhere(poor)):
        raised = diagonal(matrix[index])[:size]
        bare = raised.copy()
        for relative in (0.0, *JITTER):
            raised[...] = bare * (1 + relative)
            try:
                found = factors.cholesky(matrix[index])
            except np.linalg.LinAlgError:
                continue
            if not _at_rounding(found, matrix[index]):
                lower[index], jitter[index] = found, relative
                break
        else:
            lower[index] = np.nan
    return lower, jitter


def _at_rounding(lower, matrix):
    """Whether a pivot is what rounding left of the diagonal, and says nothing."""
    noise = 2 * np.sqrt(matrix.shape[-1]) * np.finfo(float).eps
    return np.any(diagonal(lower) ** 2 < noise * diagonal(matrix), axis=-1)


def diagonal(matrix: np.ndarray) -> np.ndarray:
    """Return the diagonals as a view that can be written to, (..., n)."""
    return np.einsum("...ii->...i", matrix)


def log_conditional(lower: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return log p(y_i | y_1, ..., y_{i−1}), whose sum is the log marginal likelihood.

    Parameters
    ----------
    lower : factors L of the covariance, (..., point, point).
    z : L⁻¹(y − m), (..., point).
    """
    return -0.5 * z**2 - np.log(diagonal(lower)) - 0.5 * np.log(2 * np.pi)
