"""What a table is asked besides its fit: a row that nothing else supports, an outcome taken for a
measurement, a target that its columns were computed from.

A residual says little of a row whose columns lie far off, as it draws the line to itself. So each
row is held to what the others say of it (the externally studentised residual of least squares):

    t_i = r_i / (s_(i) √(1 − h_i)),   (n − p − 1) s_(i)² = Σ r² − r_i² / (1 − h_i)

with h the leverages; the largest of n is compared with Student's law of n − p − 1 degrees of
freedom. Cook & Weisberg, Residuals and Influence in Regression (1982), chapter 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.inference import kinds

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.systems.regression.design import Design

__all__ = ["doubted"]

FEWEST = 8  # rows, and degrees of freedom, from which anything is asked
ALONE = 1e-12  # share of a row that the others explain, below which they say nothing of it
EXACT = 1e-12  # residuals over the target's spread, as rounding leaves them
OUTLYING = "outlying row"
OUTCOME = kinds.Question(
    "values of the target",
    "target_values",
    "min",
    3,
    "≥",
    True,
    "the target takes {value:.0f} values alone",
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


def doubted(found: xr.DataTree, design: Design, response: str) -> xr.DataTree:
    """Ask a fit of a measured target of its farthest row, and how many values the target takes."""
    y, leverage, rest, rank = _least_squares(design)
    if response not in ("normal", "student") or len(y) < FEWEST:
        return found
    found = kinds.asked(found, OUTCOME, np.unique(y).size)
    dof = len(y) - rank - 1
    spread = np.linalg.norm(y - y.mean())
    exact = np.linalg.norm(rest) < EXACT * spread
    if exact and dof >= FEWEST:
        return kinds.asked(found, COMPUTED, np.linalg.norm(rest) / spread)
    if response == "student" or dof < FEWEST or exact:
        return found
    own = 1 - leverage
    asked = np.flatnonzero(own > ALONE)
    square = rest[asked] ** 2 / own[asked]
    others = np.maximum(np.sum(rest**2) - square, np.finfo(float).tiny) / dof
    worst = int(np.argmax(square / others))
    p = _two_sided(np.sqrt(square[worst] / others[worst]), dof)
    row = str(design.table["row"].values[asked[worst]]).replace("{", "(").replace("}", ")")
    question = kinds.Question(
        OUTLYING,
        "outlying_row_p",
        "min",
        1e-3,
        "≥",
        True,
        f"a row as far from where the others put it as row {row} has a chance of {{value:.2g}}",
        "look at its cells (a slip, another unit?), or take --response student",
    )
    return kinds.asked(found, question, min(1.0, len(asked) * p))


def _two_sided(t, dof):
    from scipy.special import stdtr

    return 2 * float(stdtr(dof, -t))


def _least_squares(design):
    """Target, leverages, residuals (row,), and the rank, all over the error bars."""
    error, y = design.table.attrs.get("error"), design.target.values.astype(float)
    root = np.ones(len(y)) if not error else 1 / design.table[error].values
    columns = [design.columns(), *design.lines().values()]
    columns += [np.ones(len(y))] if design.intercept else []
    X = np.column_stack(columns) * root[:, np.newaxis]
    size = np.max(np.abs(X), axis=0)
    X = X / np.where(size > 0, size, 1.0)
    basis, s, _ = np.linalg.svd(X / np.maximum(np.linalg.norm(X, axis=0), 1e-300), False)
    basis = basis[:, s > 1e-9 * s[0]]
    y = y * root
    # Twice: what rounding leaves of the first projection is taken off by the second.
    rest = y - basis @ (basis.T @ y)
    rest = rest - basis @ (basis.T @ rest)
    return y, np.sum(basis**2, axis=1), rest, basis.shape[1]
