"""Several passes over the same x: one thing measured again, or curves of different things?

A table may hold scans of one sample one below the other, which are one curve measured several
times, or the curves of several samples, methods or temperatures, of which a fit of one curve gives
a mean that none of them has. Where passes share their x the difference of two tells: of one curve
it is noise about zero, without memory from one x to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.arrays import place, shown, to_numbers
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["refuse_different"]

FEWEST = 6  # x that two passes share
CHANCE = 1e-3  # by which passes over one curve differ as much
MOST = 50  # passes, or levels of a column that tells them apart


def refuse_different(
    x: xr.DataArray, y: xr.DataArray, others: Mapping[str, xr.DataArray], source: object = None
) -> None:
    """Refuse passes over the same x whose difference is no noise.

    Of the differences d_k at the K shared x, in order, are asked Student's t of their mean and the
    ratio of von Neumann,

    .. math:: z = (1 - V/2)\\sqrt{(K^2 - 1)/(K - 2)}, \\quad
              V = \\frac{\\sum_k (d_{k+1} - d_k)^2}{\\sum_k (d_k - \\bar d)^2}

    Parameters
    ----------
    x, y : in the order of the file, (row,).
    others : columns that play no part, of which one may tell passes apart.
    source : what an error message calls the file.

    Raises
    ------
    DataError : which passes differ.

    References
    ----------
    von Neumann, Ann. Math. Stat. 12, 367 (1941), doi:10.1214/aoms/1177731677
    """
    at, values = (to_numbers(each.to_numpy()).astype(float) for each in (x, y))
    if np.unique(at).size == at.size:
        return
    label, level = next(_labels(at, others), (None, _runs(at)))
    levels = list(dict.fromkeys(level.tolist()))
    if not 2 <= len(levels) <= MOST:
        return
    passes = [np.flatnonzero(level == one) for one in levels]
    for first, second, one, other in zip(passes, passes[1:], levels, levels[1:], strict=False):
        _, a, b = np.intersect1d(at[first], at[second], return_indices=True)
        if len(a) < FEWEST:
            continue
        if _chance(values[first][a] - values[second][b]) < CHANCE / (len(levels) - 1):
            raise DataError(
                "the table holds several curves",
                source=source,
                where=f"column {label}" if label else place(x, int(second[0])),
                expected="one curve, or the same one measured again",
                found=f"{shown(one)} and {shown(other)} differ by more than noise"
                if label
                else "x begins anew, and y differs by more than noise",
                remedy="fit each by itself" + (f": keep the rows of one {label}" if label else ""),
            )


def _labels(x, others):
    """Columns in each of whose levels no x comes twice, (name, level of each row)."""
    for name, column in others.items():
        level = column.to_numpy()
        if level.dtype.kind not in "iufUSb" or level.shape != x.shape:
            continue
        if level.dtype.kind in "US" and not np.isnan(to_numbers(level).astype(float)).all():
            continue
        count = np.unique(level).size
        if 2 <= count <= min(MOST, x.size // FEWEST):
            pairs = {(one, at) for one, at in zip(level.tolist(), x.tolist(), strict=True)}
            if len(pairs) == x.size:
                yield name, level


def _runs(x):
    """Numbers of the passes in one direction, (row,): each return to the start begins another."""
    step = np.sign(np.diff(x))
    back = np.flatnonzero(step == -(np.sign(np.sum(step)) or 1.0))
    if not np.any(np.diff(back) == 1):  # x jumps back
        cuts = back
    else:  # x turns; where it stands still the next pass has begun
        moved = np.flatnonzero(step)
        ahead = step[
            moved[np.minimum(np.searchsorted(moved, np.arange(step.size)), moved.size - 1)]
        ]
        cuts = np.flatnonzero(np.diff(ahead)) + 1
    return np.searchsorted(cuts, np.arange(x.size), side="left")


def _chance(difference):
    """How probable as much of a mean, or of a memory, is in noise."""
    from scipy import stats

    count, away = len(difference), difference - difference.mean()
    square = np.sum(away**2)
    if square <= (1e-12 * np.abs(difference).max()) ** 2 * count:
        return 1.0 if np.all(difference == 0) else 0.0
    mean = stats.ttest_1samp(difference, 0.0).pvalue
    ratio = np.sum(np.diff(difference) ** 2) / square
    memory = stats.norm.sf((1 - ratio / 2) * np.sqrt((count**2 - 1) / (count - 2)))
    return 2 * min(mean, memory)
