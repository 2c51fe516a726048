"""What every route of the linear family sees, whatever the regression: t = Aβ + Zα + σε.

Error bars, means, widths, bases and centres are folded in here, once: t is the data in units of its
error bars, less all prior means, A the features of the weights β that have the shrinking prior, and
Z the columns of those with a normal prior of their own, each times its prior's sd, so that α ~ N(0,
1). The regression takes what a route draws back to the user's names and units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Design"]


@dataclass(frozen=True)
class Design:
    """t = Aβ + Zα + σε, α ~ N(0, 1), ε ~ N(0, 1).

    Parameters
    ----------
    A : features of the weights β, (observation, weight).
    Z : columns of the unshrunk coefficients α, (observation, free).
    t : data, (observation,).
    log_jacobian : log |dt/dy| of each observation, (observation,).
    """

    A: np.ndarray
    Z: np.ndarray
    t: np.ndarray
    log_jacobian: np.ndarray

    @property
    def stacked(self) -> np.ndarray:
        """Z and A side by side, (observation, free + weight)."""
        return np.hstack([self.Z, self.A]) if self.Z.shape[1] else self.A

    def alike(self, other: Design) -> bool:
        """Whether another design has the same features and columns."""
        return np.array_equal(self.A, other.A) and np.array_equal(self.Z, other.Z)
