"""Structure among coefficients: f = C β + N γ, where β has the regression's prior.

A smoothness prior is one on the differences of f, a kernel one on weights of its eigenvectors, a
spline one on its knots: each is a matrix C of full column rank. What such a prior leaves free, its
null space (a level, a slope), is a column of N each, with a wide normal prior of its own, so that
the whole is proper and can be compared by evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy

from bayesinf.errors import DataError
from bayesinf.priors import Normal

if TYPE_CHECKING:
    from scipy import sparse

__all__ = ["Basis", "covariance", "differences", "precision"]

# Directions whose prior variance is this small beside the largest are left out of a kernel: they
# change f by a millionth, and the rest of C then gives the weights back to ten digits.
LEAST_VARIANCE = 1e-12

# Eigenvalues of a precision this small beside the largest count as zero.
NULL_EIGENVALUE = 1e-10

ORDINALS = {1: "first", 2: "second"}

Null = Mapping[str, tuple[np.ndarray, Normal | None]]


@dataclass(frozen=True)
class Basis:
    """f = matrix β + Σ_k null_k γ_k.

    Parameters
    ----------
    matrix : C, (coefficient, weight), of full column rank.
    null : name to a column (coefficient,) and the prior of its γ; None for one ten times as wide as
        the data allow.
    said : what β is, for the words of the prior.

    Raises
    ------
    DataError : the columns are dependent, or the shapes do not fit.
    """

    matrix: np.ndarray
    null: Null = field(default_factory=dict)
    said: str = "weights of the basis"

    def __post_init__(self):
        shapes = {name: np.shape(column) for name, (column, _) in self.null.items()}
        if self.matrix.ndim != 2 or any(s != self.matrix.shape[:1] for s in shapes.values()):
            raise DataError(
                "the basis does not fit together",
                expected="a matrix (coefficient, weight) and null columns (coefficient,)",
                found=f"{np.shape(self.matrix)} and {shapes}",
            )
        size = np.abs(np.diag(self._qr[1])) if self.matrix.shape[0] >= self.matrix.shape[1] else [0]
        if np.min(size) <= 1e-13 * np.max(size):
            raise DataError(
                "the columns of the basis depend on each other",
                expected="a matrix of full column rank",
                found=f"shape {self.matrix.shape}",
                remedy="give X times the matrix as features, whose coefficients are then reported",
            )

    @cached_property
    def _qr(self):
        return scipy.linalg.qr(self.matrix, mode="economic")

    @property
    def columns(self) -> np.ndarray:
        """The null columns, (coefficient, null)."""
        columns = [column for column, _ in self.null.values()]
        return np.stack(columns, axis=1) if columns else np.zeros((len(self.matrix), 0))

    def weights(self, f: np.ndarray) -> np.ndarray:
        """Return β of f = C β, (..., weight); f without its null part."""
        Q, R = self._qr
        flat = (f @ Q).reshape(-1, R.shape[1])
        return scipy.linalg.solve_triangular(R, flat.T).T.reshape(*f.shape[:-1], -1)


def differences(
    count: int,
    order: int = 1,
    spacing: float = 1.0,
    *,
    level: Normal | None = None,
    slope: Normal | None = None,
) -> Basis:
    """State a smoothness prior: differences of f have the regression's prior.

        (Δ^order f)_i / spacing^order = β_i

    Order 1 leaves the ``level`` of f free (its mean), order 2 its ``slope`` as well (the mean is
    that of a line through f): each has a normal prior of its own.

    Parameters
    ----------
    count : of coefficients, evenly spaced.
    order : 1 or 2.
    spacing : of the coefficients; β is then the slope or the curvature of f.
    level, slope : priors of the null space; None for ten times as wide as the data allow.

    Returns
    -------
    the basis: C is the pseudo-inverse of the difference operator, whose columns are orthogonal to
    level and slope.

    Raises
    ------
    DataError : another order, or too few coefficients.
    """
    if order not in ORDINALS:
        raise DataError("no such order of differences", expected="1 or 2", found=order)
    if count <= order + 1:
        raise DataError(
            "too few coefficients for differences", expected=f"more than {order + 1}", found=count
        )
    # Sums undo differences; what they leave of level and slope is projected out.
    summed = _sums(count) if order == 1 else _sums(count) @ _sums(count - 1)
    position = spacing * (np.arange(count) - (count - 1) / 2)
    null = {"level": (np.ones(count), level)}
    null |= {"slope": (position, slope)} if order == 2 else {}
    flat = scipy.linalg.qr(np.stack([c for c, _ in null.values()], axis=1), mode="economic")[0]
    matrix = spacing**order * (summed - flat @ (flat.T @ summed))
    return Basis(matrix, null, f"{ORDINALS[order]} differences / {spacing:.4g}^{order}")


def covariance(
    K: np.ndarray, *, level: Normal | None = None, with_level: bool = True, said: str = "g"
) -> Basis:
    """State a prior by its covariance: f = level + g, g ~ N(0, scale² K).

    Parameters
    ----------
    K : positive semi-definite, (coefficient, coefficient).
    level : prior of the level; None for ten times as wide as the data allow.
    with_level : whether there is one.
    said : what g is, for the words of the prior.

    Returns
    -------
    the basis: eigenvectors of K times the roots of their eigenvalues; those below 1e-12 of the
    largest are left out.
    """
    K = _square(K)
    value, vector = scipy.linalg.eigh(K)
    kept = value > LEAST_VARIANCE * value[-1]
    null = {"level": (np.ones(len(K)), level)} if with_level else {}
    matrix = vector[:, kept] * np.sqrt(value[kept])
    return Basis(matrix[:, ::-1], null, f"{said}, its covariance / K")


def precision(Q: np.ndarray | sparse.sparray, *, null: Null | None = None) -> Basis:
    """State a prior by its precision, as splines and Markov random fields have it.

        p(f) ∝ exp(-fᵀ Q f / 2 scale²), on what Q does not leave free

    Parameters
    ----------
    Q : positive semi-definite, (coefficient, coefficient), sparse or dense.
    null : name to a column of the null space of Q, (coefficient,), and the prior of its γ, as many
        as there are.

    Raises
    ------
    DataError : Q has another null space.
    """
    Q, null = _square(Q.toarray() if hasattr(Q, "toarray") else Q), dict(null or {})
    value, vector = scipy.linalg.eigh(Q)
    kept = value > NULL_EIGENVALUE * value[-1]
    said = [np.abs(Q @ np.asarray(column, float)).max() for column, _ in null.values()]
    size = value[-1] * max([np.abs(column).max() for column, _ in null.values()], default=0.0)
    if len(null) != np.sum(~kept) or any(one > 1e-8 * size for one in said):
        raise DataError(
            "the precision leaves directions free that have no prior",
            expected=f"{np.sum(~kept)} columns of its null space",
            found=f"{len(null)} columns, at which |Q column| is {said}",
            remedy="name them as null={name: (column, prior)}",
        )
    return Basis(vector[:, kept] / np.sqrt(value[kept]), null, "roots of the precision times f")


def _sums(count):
    """The sums of all that stand before: a right inverse of first differences."""
    return np.tril(np.ones((count, count - 1)), -1)


def _square(K):
    K = np.asarray(K, dtype=float)
    if K.ndim != 2 or K.shape[0] != K.shape[1] or not np.allclose(K, K.T, rtol=1e-8):
        raise DataError("no covariance or precision", expected="a symmetric matrix", found=K.shape)
    return (K + K.T) / 2
