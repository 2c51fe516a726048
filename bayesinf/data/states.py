"""States of two values as files write them: ±1 or 0/1, in columns or arrays, some of them missing.

What ``spins`` and ``raster`` share: which columns of a table are sites, which states are on, and
what else a file holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.arrays import listing, shown, to_numbers
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NAMES", "beside", "is_missing", "read_states", "sites_of", "stack"]

NAMES = ("states", "state", "spins")  # of an array of them
_TRUTH = ("true", "false")
_MISSING = {"", "na", "n/a", "nan", "null", "none", ".", "-", "--", "?"}


def sites_of(columns: Mapping[str, xr.DataArray]) -> tuple[dict[str, xr.DataArray], list[str]]:
    """Tell columns of states from those that label or count the rows.

    Returns
    -------
    the columns of states, and the names of those left out: text without a number, dates, and
    numbers that ascend from row to row and are no states.
    """
    sites, left = {}, []
    for name, column in columns.items():
        if column.dtype.kind in "US":
            column = _from_words(column)
        values = to_numbers(column.to_numpy()) if column.dtype.kind in "biufUS" else np.empty(0)
        values = values.astype(float)
        words = column.dtype.kind in "US" and np.isnan(values).all()
        states = np.isin(values[~np.isnan(values)], (-1, 0, 1)).all()
        ascends = values.size > 2 and not states and bool((np.diff(values) > 0).all())
        if words or ascends or "since" in column.attrs:
            left.append(name)
        else:
            sites[name] = column
    return sites, left


def _from_words(column):
    """A column of True and False as 1 and 0; any other as it is."""
    words = np.char.lower(column.to_numpy().astype(str))
    return column.copy(data=(words == "true") * 1) if np.isin(words, _TRUTH).all() else column


def is_missing(values: np.ndarray) -> np.ndarray:
    """Which states are missing: NaN, or NA or an empty cell in a table."""
    if values.dtype.kind not in "USO":
        return np.isnan(values) if values.dtype.kind in "fc" else np.zeros(values.shape, bool)
    words = [word.strip().casefold() in _MISSING for word in values.astype(str).ravel()]
    return np.array(words).reshape(values.shape)


def read_states(given, what, where, source, correct=None, agree=None):
    """Which states are on, and how off is written: "±1", "0/1", or None where all are on."""
    values = to_numbers(given)
    zero, minus, on = values == 0, values == -1, values == 1
    wrong = ~(zero | minus | on)
    mixed = not wrong.any() and zero.any() and minus.any()
    if wrong.any() or mixed:
        index = tuple(np.argwhere(zero if mixed else wrong)[0])
        raise DataError(
            f"a {what} is neither ±1 nor 0/1",
            source=source,
            where=where(*index),
            expected="−1 and 1 throughout, or 0 and 1 throughout",
            found=shown(given[index]) + (" beside −1" if mixed else ""),
            remedy=agree if mixed else correct,
        )
    return on, "0/1" if zero.any() else "±1" if minus.any() else None


def beside(data, names):
    """What else a file holds, on axes of its own, as sites or times may have been left out."""
    return {
        name: ([f"{name}_dim_{k}" for k in range(data[name].ndim)], data[name].values)
        for name in names
        if name in data.variables
    }


def stack(columns: list[xr.DataArray], source) -> xr.DataArray:
    """Columns of a table as (row, site)."""
    import xarray as xr

    if len({column.size for column in columns}) > 1:
        raise DataError(
            "columns differ in length",
            source=source,
            expected="as many entries in each",
            found=listing(f"{column.size} in {column.name}" for column in columns),
        )
    rows = {"row": columns[0].row.to_numpy()} if "row" in columns[0].coords else None
    values = np.column_stack([column.to_numpy() for column in columns])
    return xr.DataArray(values, rows, ("row", "site"), "states")
