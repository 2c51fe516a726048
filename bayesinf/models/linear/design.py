"""What every route of the linear family sees, whatever the regression: t = Aβ + Zα + σε.

Error bars, means, widths, bases and centres are folded in here, once: t is the data in units of its
error bars, less all prior means, A the features of the weights β that have the shrinking prior, and
Z the columns of those with a normal prior of their own, each times its prior's sd, so that α ~ N(0,
1). The regression takes what a route draws back to the user's names and units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Design", "Rest", "compressed"]


@dataclass(frozen=True)
class Rest:
    """What is left of data that were turned until few of them hold all that the features reach.

    Parameters
    ----------
    count : of data that no feature reaches.
    square : their squared length, in units of their error bars.
    log_jacobian : Σ log |dt/dy| of all data, those that are held included.
    """

    count: int = 0
    square: float = 0.0
    log_jacobian: float = 0.0


@dataclass(frozen=True)
class Design:
    """t = Aβ + Zα + σε, α ~ N(0, 1), ε ~ N(0, 1).

    Parameters
    ----------
    A : features of the weights β, (observation, weight).
    Z : columns of the unshrunk coefficients α, (observation, free).
    t : data, (observation,).
    log_jacobian : log |dt/dy| of each observation, (observation,).
    rest : further data, of which the features explain nothing.
    """

    A: np.ndarray
    Z: np.ndarray
    t: np.ndarray
    log_jacobian: np.ndarray
    rest: Rest = Rest()

    @property
    def count(self) -> int:
        """Number of data."""
        return len(self.t) + self.rest.count

    @property
    def square(self) -> float:
        """Squared length of the data."""
        return float(self.t @ self.t) + self.rest.square

    @property
    def total_log_jacobian(self) -> float:
        """Log |dt/dy| of all data together."""
        return float(np.sum(self.log_jacobian)) + self.rest.log_jacobian

    @property
    def stacked(self) -> np.ndarray:
        """Z and A side by side, (observation, free + weight)."""
        return np.hstack([self.Z, self.A]) if self.Z.shape[1] else self.A

    def alike(self, other: Design) -> bool:
        """Whether another design has the same features and columns."""
        return np.array_equal(self.A, other.A) and np.array_equal(self.Z, other.Z)


def compressed(columns: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, Rest]:
    """Turn data until as few rows as there are columns hold all that the columns reach.

        y = M f + ε,   M = QR:   Qᵀy = R f + Qᵀε,   and |y|² − |Qᵀy|² is noise alone

    The likelihood of f and σ is the same to the last digit, for an orthogonal matrix leaves normal
    noise what it is; many rows then cost no more than few.

    Parameters
    ----------
    columns : M, all columns of the model, (observation, column).
    y : data, (observation,), as M in units of their error bars.

    Returns
    -------
    R, (row, column); Qᵀy, (row,); and the rest.
    """
    from scipy import linalg

    if len(y) <= columns.shape[1] + 1:
        return columns, y, Rest()
    together = np.column_stack([columns, y])
    (R,) = linalg.qr(together, mode="r", overwrite_a=True, check_finite=False)
    rows = columns.shape[1]
    rest = Rest(len(y) - rows, float(R[rows, rows] ** 2))
    return R[:rows, :rows], R[:rows, rows], rest
