"""What a table is asked besides its fit: a row that nothing else supports, an outcome taken for a
measurement, a target that its columns were computed from.

A residual says little of a row whose columns lie far off, as it draws the line to itself. So each
row is held to what the others say of it (the externally studentised residual of least squares):

    t_i = r_i / (s_(i) √(1 − h_i)),   (n − p − 1) s_(i)² = Σ r² − r_i² / (1 − h_i)

with h the leverages; the largest of n is compared with Student's law of n − p − 1 degrees of
freedom. Where the noise is not normal, residuals of least squares have no such law, and a row is
asked for its leverage alone: near one, no other row says anything of one direction of the columns,
as of a cell in another unit. Cook & Weisberg, Residuals and Influence in Regression (1982),
chapter 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.inference import kinds

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.systems.regression.design import Design

__all__ = ["Doubts"]

FEWEST = 8  # rows, and degrees of freedom, from which anything is asked
ALONE = 1e-12  # share of a row that the others explain, below which they say nothing of it
MOST_LEVERAGE, ROWS_EACH = 0.95, 10  # of a row; asked where there are so many for each column
FAR = 1e3  # times the distance of any other row from the middle of a column
EXACT = 1e-12  # residuals over the target's spread, as rounding leaves them
MEASUREMENTS = ("normal", "student")  # responses of a target that is measured, not counted
OUTCOME = kinds.Question(
    "values of the target",
    "target_values",
    "min",
    3,
    "≥",
    True,
    "the target takes {value:.0f} different values",
    "an outcome of two kinds is no measurement: take --response bernoulli",
)

# Remarked, since exact data may be what somebody tries a program with.
COMPUTED = kinds.Question(
    "scatter of the target",
    "target_scatter",
    "min",
    EXACT,
    "≥",
    False,
    "the columns leave a share of {value:.2g} of the target's spread",
    "if the target was computed from one of them, leave that out",
)


@dataclass(frozen=True)
class Doubts:
    """Least squares of all columns of a formula, those of curves and groups among them.

    Parameters
    ----------
    design : the columns.
    y, leverage, rest : target over the error bars, and its leverages and residuals, (row,).
    far : whether a column has a row so far off that all others are one beside it, (row,).
    rank : of the columns.
    """

    design: Design
    y: np.ndarray
    leverage: np.ndarray
    rest: np.ndarray
    far: np.ndarray
    rank: int

    @classmethod
    def of(cls, design: Design) -> Doubts:
        """Project the target onto the columns."""
        error, y = design.table.attrs.get("error"), design.target.values.astype(float)
        root = np.ones(len(y)) if not error else 1 / design.table[error].values
        columns = [design.columns(), *design.lines().values()]
        columns += [np.ones(len(y))] if design.intercept else []
        columns = np.column_stack(columns)
        X = columns * root[:, np.newaxis]
        size = np.linalg.norm(X, axis=0)
        basis, s, _ = np.linalg.svd(X / np.where(size > 0, size, 1.0), full_matrices=False)
        basis, y = basis[:, s > 1e-9 * s[0]], y * root
        # Twice: what rounding leaves of the first projection is taken off by the second.
        rest = y - basis @ (basis.T @ y)
        rest = rest - basis @ (basis.T @ rest)
        far = np.any([_off(column) for column in columns.T], axis=0)
        return cls(design, y, np.sum(basis**2, axis=1), rest, far, basis.shape[1])

    def asked(self, found: xr.DataTree, response: str) -> xr.DataTree:
        """Ask a fit of its farthest row, and of a measurement how many values there are."""
        if len(self.y) < FEWEST:
            return found
        if response != "normal" or self.far.any():
            found = self._alone(found)
        if response not in MEASUREMENTS:
            return found
        found = kinds.asked(found, OUTCOME, np.unique(self.design.target.values).size)
        dof, own = len(self.y) - self.rank - 1, 1 - self.leverage
        scatter = np.linalg.norm(self.rest) / np.linalg.norm(self.y - self.y.mean())
        if scatter < EXACT and dof >= FEWEST and not self.design.table.attrs.get("error"):
            return kinds.asked(found, COMPUTED, scatter)
        if response != "normal" or dof < FEWEST:
            return found
        rows = np.flatnonzero(own > ALONE)
        square = self.rest[rows] ** 2 / own[rows]
        others = np.maximum(np.sum(self.rest**2) - square, np.finfo(float).tiny) / dof
        worst = int(np.argmax(square / others))
        p = _two_sided(np.sqrt(square[worst] / others[worst]), dof)
        row = self._named(rows[worst])
        question = kinds.Question(
            "outlying row",
            "outlying_row_p",
            "min",
            1e-3,
            "≥",
            True,
            f"a row as far from where the others put it as row {row} has a chance of {{value:.2g}}",
            "look at its cells (a slip, another unit?), or take --response student",
        )
        return kinds.asked(found, question, min(1.0, len(rows) * p))

    def _alone(self, found):
        """Ask of the row with the largest leverage; that of a label's one row is as it must be."""
        shared = np.where((1 - self.leverage > ALONE) | self.far, self.leverage, 0.0)
        if len(shared) < ROWS_EACH * self.rank:
            return found
        worst = int(np.argmax(shared))
        question = kinds.Question(
            "row that stands alone",
            "largest_leverage",
            "max",
            MOST_LEVERAGE,
            "≤",
            True,
            f"row {self._named(worst)} lies so far from all others in the columns that it has "
            "{value:.3f} of the weight in one direction",
            "look at its cells (a slip, another unit?), transform the column, or leave the row out",
        )
        return kinds.asked(found, question, float(shared[worst]))

    def _named(self, row):
        """The row as the file counts it, without what a format would take for a place."""
        return str(self.design.table["row"].values[row]).replace("{", "(").replace("}", ")")


def _off(column):
    """The row that lies a thousand times as far off as any other, which vary too, (row,)."""
    off = np.abs(column - np.median(column))
    *_, second, first = np.argsort(off)
    return (np.arange(len(off)) == first) & (off[first] > FAR * off[second]) & (off[second] > 0)


def _two_sided(t, dof):
    from scipy.special import stdtr

    return 2 * float(stdtr(dof, -t))
