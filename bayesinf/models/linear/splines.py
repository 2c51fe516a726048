"""A smooth curve of one variable: cubic splines whose second derivative is penalised.

    s(x) = slope · (x − x̄) + Σ_k z_k(x) u_k,   u_k ~ N(0, scale²),   Σ_k u_k² ∝ ∫ s″(x)² dx

The curve is a natural cubic spline: its second derivative is straight between knots and zero at the
ends, so it is known by its values m at the inner knots, and ∫ s″² = mᵀ L Lᵀ m. The weights are
u = Lᵀ m; the straight line, which no penalty holds, is a column of its own. Columns are taken
orthogonal to the line at the data, and scaled so that ``scale`` is about the size of the departure
from a straight line, in the unit of the data.

Wahba, J. R. Stat. Soc. B 40, 364 (1978), doi:10.1111/j.2517-6161.1978.tb01050.x; Wood, Generalized
Additive Models, CRC 2017, doi:10.1201/9781315370279.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy

from bayesinf.errors import DataError

__all__ = ["KNOTS", "Smooth", "smooth"]

KNOTS = 10
FEWEST = 4  # different values of x, and knots


@dataclass(frozen=True)
class Smooth:
    """Columns of a smooth curve at any x.

    Parameters
    ----------
    knots : where the pieces meet, ascending, (knot,).
    x : of the data, (observation,).
    """

    knots: np.ndarray
    x: np.ndarray

    @property
    def centre(self) -> float:
        """Where the line is zero."""
        return float(self.x.mean())

    def line(self, x: np.ndarray) -> np.ndarray:
        """Column of the straight line, (observation,)."""
        return np.asarray(x, dtype=float) - self.centre

    def columns(self, x: np.ndarray) -> np.ndarray:
        """Columns of what departs from a line, (observation, knot − 2); lines beyond the ends."""
        taken, size = self._at_data
        raw = self._curves(x)
        return (raw - self._lines(x) @ taken) / size

    @cached_property
    def _at_data(self):
        """What the data's columns have of a line, and their size."""
        raw, lines = self._curves(self.x), self._lines(self.x)
        taken = np.linalg.lstsq(lines, raw, rcond=None)[0]
        rest = raw - lines @ taken
        return taken, float(np.sqrt(np.mean(np.sum(rest**2, axis=1))))

    def _scaled(self, x):
        low, high = self.knots[0], self.knots[-1]
        return (np.asarray(x, dtype=float) - low) / (high - low)

    def _lines(self, x):
        x = self._scaled(x)
        return np.column_stack([np.ones(len(x)), x])

    @cached_property
    def _bent(self):
        """The curve of each second derivative that is one at an inner knot and straight between
        knots: (knot − 2) of them, integrated twice.
        """
        from scipy.interpolate import make_interp_spline

        at = self._scaled(self.knots)
        return make_interp_spline(at, np.eye(len(at))[:, 1:-1], k=1).antiderivative(2)

    def _curves(self, x):
        """Curves of equal ∫ s″², orthogonal in it, (observation, knot − 2)."""
        x = self._scaled(x)
        inside = np.clip(x, 0.0, 1.0)
        bent = self._bent(inside) + self._bent(inside, 1) * (x - inside)[:, np.newaxis]
        return scipy.linalg.solve_triangular(self._energy, bent.T, lower=True).T

    @cached_property
    def _energy(self):
        """Lower factor of ∫ s″² as a form of the second derivatives at the inner knots."""
        step = np.diff(self._scaled(self.knots))
        between = np.diag(step[1:-1] / 6, 1)
        return np.linalg.cholesky(np.diag((step[:-1] + step[1:]) / 3) + between + between.T)


def smooth(x: np.ndarray, knots: int | None = None) -> Smooth:
    """Lay the knots of a smooth curve.

    Parameters
    ----------
    x : of the data, (observation,).
    knots : how many; by default ``KNOTS``, or as many as there are different x. They stand at
        quantiles of these, and evenly where there are more knots than different x.

    Raises
    ------
    DataError : too few different values, or too few knots.
    """
    x = np.asarray(x, dtype=float)
    distinct = np.unique(x)
    if len(distinct) < FEWEST or (knots is not None and knots < FEWEST):
        raise DataError(
            "no smooth curve",
            expected=f"{FEWEST} different values and {FEWEST} knots at least",
            found=f"{len(distinct)} values and {knots or KNOTS} knots",
            remedy="enter the column as it is, or by C(...)",
        )
    count = min(KNOTS, len(distinct)) if knots is None else knots
    even = count > len(distinct)
    places = (
        np.linspace(distinct[0], distinct[-1], count)
        if even
        else np.quantile(distinct, np.linspace(0.0, 1.0, count))
    )
    return Smooth(places, x)
