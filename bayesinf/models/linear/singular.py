"""The singular value decomposition of features, to the digits that their columns deserve.

LAPACK's is right to a few units of the last digit of the largest singular value, whatever the
small ones; columns of unlike units, or nearly dependent ones (polynomials), then lose what they
know. One-sided Jacobi rotations leave each column its own digits (Demmel & Veselić, SIAM J. Matrix
Anal. Appl. 13, 1204 (1992), doi:10.1137/0613074), and take extended precision where the platform
has it, so that the few nearly dependent columns that double precision holds come out right.
"""

from __future__ import annotations

import numpy as np

from bayesinf.inference import factors

__all__ = ["decomposed", "loses_digits"]

EPS = np.finfo(float).eps
STEEP = 1e-6  # smallest singular value beside the largest from which LAPACK's is trusted
MOST = 40  # columns at which rotations, which cost the cube of them, still take no time
SWEEPS = 60


def decomposed(A: np.ndarray, t: np.ndarray, *, fully: bool = False):
    """Decompose A = U diag(s) Vᵀ.

    Parameters
    ----------
    A : (observation, weight).
    t : data, (observation,).
    fully : whether by rotations, to the last digit of each column.

    Returns
    -------
    U, s, V, without singular values that rounding has made, and Uᵀt.
    """
    if fully:
        U, s, V = _rotated(A.astype(np.longdouble))
        y = U.T @ t.astype(np.longdouble)
        return tuple(np.asarray(part, dtype=float) for part in (U, s, V, y))
    U, s, Vt = factors.svd(A)
    kept = s > s[:1] * EPS * max(A.shape)
    U, s, V = U[:, kept], s[kept], Vt[kept].T
    return U, s, V, U.T @ t


def loses_digits(shape: tuple[int, int], s: np.ndarray, log_rho: float) -> bool:
    """Whether the data decide directions of which LAPACK leaves few digits, and rotations may help.

    Parameters
    ----------
    shape : of A.
    s : its singular values as LAPACK finds them.
    log_rho : largest ratio of prior to noise variance; the data decide where ρ s² > 1.
    """
    count, weights = shape
    if not len(s) or weights > min(MOST, count):
        return False
    steep = len(s) < weights or s[-1] < STEEP * s[0]
    return bool(steep and log_rho + 2 * np.log(STEEP * s[0]) > 0)


def _rotated(A):
    """Turn pairs of columns until all are orthogonal: their lengths are the singular values."""
    count = A.shape[1]
    length = np.sqrt(np.sum(A**2, axis=0))
    order = np.argsort(-length)  # the longest first: rotations then converge in a few sweeps
    A, V = A[:, order], np.eye(count, dtype=A.dtype)[:, order]
    small = 4 * np.finfo(A.dtype).eps
    for _ in range(SWEEPS):
        turned = False
        for i in range(count - 1):
            for j in range(i + 1, count):
                a, b, c = A[:, i] @ A[:, i], A[:, j] @ A[:, j], A[:, i] @ A[:, j]
                if np.abs(c) <= small * np.sqrt(a * b):
                    continue
                turned = True
                zeta = (b - a) / (2 * c)
                tangent = np.copysign(1, zeta) / (np.abs(zeta) + np.sqrt(1 + zeta**2))
                cosine = 1 / np.sqrt(1 + tangent**2)
                for M in (A, V):
                    one, other = M[:, i].copy(), M[:, j].copy()
                    M[:, i] = cosine * (one - tangent * other)
                    M[:, j] = cosine * (tangent * one + other)
        if not turned:
            break
    s = np.sqrt(np.sum(A**2, axis=0))
    # What is left of a column beside what it was tells whether it is a sum of the others.
    began = np.sqrt(np.sum((V.T**2 * length**2), axis=1))
    kept = s > A.shape[0] * np.finfo(float).eps * began
    order = np.flatnonzero(kept)[np.argsort(-s[kept])]
    return A[:, order] / s[order], s[order], V[:, order]
