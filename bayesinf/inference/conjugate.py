"""Conjugate gradients with a preconditioner, for many right-hand sides side by side.

``scipy.sparse.linalg.cg`` takes one vector at a time; here a matrix that is known by its products
alone is multiplied with all of them at once, which is most of the work.

Hestenes & Stiefel, J. Res. Nat. Bur. Stand. 49, 409 (1952), doi:10.6028/jres.049.044.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["solve"]


def solve(
    product: Callable[[np.ndarray], np.ndarray],
    precondition: Callable[[np.ndarray], np.ndarray],
    b: np.ndarray,
    exact: float,
    most: int = 500,
) -> np.ndarray:
    """Solve P x = b for a positive definite P.

    Parameters
    ----------
    product : v -> P v.
    precondition : v -> M v with a positive definite M near P⁻¹.
    b : (dim,) or (dim, vector).
    exact : share of b that may be left of each vector, in the norm √(vᵀ M v).
    most : products at most; what they reach is returned.

    Raises
    ------
    LinAlgError : P is not positive definite.
    """
    x, rest = np.zeros_like(b), b.copy()
    z = precondition(rest)
    direction, level = z, _dot(rest, z)
    enough = exact**2 * level
    for _ in range(most):
        if not np.any(level > enough):
            break
        along = product(direction)
        bend = _dot(direction, along)
        if not np.all((bend > 0) | (level == 0)):
            raise np.linalg.LinAlgError("no step along a direction of no curvature")
        length = level / np.where(level > 0, bend, 1.0)
        x, rest = x + length * direction, rest - length * along
        z = precondition(rest)
        before, level = level, _dot(rest, z)
        direction = z + level / np.where(before > 0, before, 1.0) * direction
    return x


def _dot(a, b):
    """Products a · b of vectors (dim,), or of each column (dim, vector)."""
    return a @ b if a.ndim == 1 else np.sum(a * b, axis=0)
