"""Rows of a table: numbers or words with gaps, and the rows that somebody wants foretold.

numbers, absent   a column as numbers, and where it has none
refuse_sums       a last row that adds up those above it
wanted            the complete columns that a fit knows, of a file of new rows
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.arrays import listing
from bayesinf.data.columns import columns_of
from bayesinf.data.tables import read
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["absent", "known", "numbers", "refuse_sums", "row_numbers", "wanted"]

FEWEST_ADDED = 5  # rows from which the last may be the sum of the others
OFF = 1e-3  # of a sum, by which rounding of what is added may move it
MISSING = {"", "na", "n/a", "nan", "null", "none", "?", "-", ".", "missing"}


def numbers(column: xr.DataArray, comma: bool = False) -> np.ndarray:
    """Return a column's numbers, NaN where they are missing, or its words.

    Parameters
    ----------
    column : (row,).
    comma : whether that is its decimal mark.
    """
    values = column.values
    if values.dtype.kind in "biuf":
        return values.astype(float)
    if values.dtype.kind not in "US":
        return values.astype(str)
    words = np.char.strip(values.astype(str))
    gone = np.isin(np.char.lower(words), list(MISSING))
    if gone.all():
        return np.full(len(words), np.nan)
    try:
        found = np.full(len(words), np.nan)
        mark = "," if comma else "."
        found[~gone] = [float(w.replace("−", "-").replace(mark, ".")) for w in words[~gone]]
        return found
    except ValueError:
        return np.where(gone, "", words)


def absent(column: np.ndarray) -> np.ndarray:
    """Tell where values of ``numbers`` are missing, (row,)."""
    return column == "" if column.dtype.kind == "U" else ~np.isfinite(column)


def row_numbers(found: xr.Dataset, count: int) -> np.ndarray:
    """Return which rows of the file those of a table are, (row,); from 1 where nobody says."""
    rows = found.coords.get("row")
    return np.arange(1, count + 1) if rows is None or len(rows) != count else rows.values


def refuse_sums(columns: dict[str, np.ndarray], rows: np.ndarray, path) -> None:
    """Refuse a last row in which each of several columns of numbers is the sum of those above it.

    Parameters
    ----------
    columns : name to complete values, (row,), numbers or words.
    rows : which rows of the file these are, (row,).
    path : the file.

    Raises
    ------
    DataError : it is such a row, and one of its sums lies beyond all that it adds up.
    """
    found = [column for column in columns.values() if column.dtype.kind == "f"]
    if len(found) < 2 or len(rows) < FEWEST_ADDED:
        return
    above, last = np.stack(found)[:, :-1], np.stack(found)[:, -1]
    total = above.sum(axis=1)
    equal = np.abs(last - total) <= OFF * np.abs(total)
    beyond = (last > above.max(axis=1)) | (last < above.min(axis=1))
    if equal.all() and beyond.any():
        raise DataError(
            "the last row is the sum of those above it",
            source=path,
            where=f"row {rows[-1]}",
            expected="rows that were measured",
            remedy="leave the row of sums out",
        )


def known(columns, name: str, path) -> None:
    """Refuse a name that none of the columns has.

    Raises
    ------
    DataError : it is not there.
    """
    if name not in columns:
        raise DataError(
            f"there is no column {name}",
            source=path,
            expected=f"one of {listing(columns)}",
            remedy="spell it as the file does",
        )


def wanted(
    path: str | os.PathLike,
    names: Sequence[str],
    target: str,
    words: Sequence[str] = (),
    *,
    decimal: str | None = None,
) -> tuple[dict[str, xr.DataArray], np.ndarray]:
    """Read rows to foretell: columns that a fit knows, and the target where it is there and whole.

    Parameters
    ----------
    path : of the file.
    names : of the columns, all of which must be there, without gaps.
    target : what is foretold.
    words : those of the columns that hold words.
    decimal : as for ``bayesinf.data.read``.

    Returns
    -------
    name to column, (row,), and which rows of the file they are.

    Raises
    ------
    DataError : a column that is not there or of another kind, a value that is missing.
    """
    found = read(path, decimal=decimal)
    columns = {str(name): column for name, column in columns_of(found).items()}
    for name in names:
        known(columns, name, path)
    comma = "decimal commas" in found.attrs.get("read_as", "")
    values = {name: numbers(columns[name], comma) for name in names}
    rows = row_numbers(found, len(next(iter(values.values()))))
    for name, column in values.items():
        if (gone := absent(column)).any():
            raise DataError(
                "a value is missing",
                source=path,
                where=f"row {rows[int(np.argmax(gone))]}, column {name}",
                expected="rows that are complete",
                remedy="fill it in, or leave the row out",
            )
        if (column.dtype.kind == "U") != (name in words):
            raise DataError(
                "a column is of another kind than in the data",
                source=path,
                where=f"column {name}",
                expected="words" if name in words else "numbers",
                found=str(column[0]),
            )
    if target in columns:
        held_out = numbers(columns[target], comma)
        if held_out.dtype.kind != "U" and not absent(held_out).any():
            values[target] = held_out
    return {name: columns[name].copy(data=column) for name, column in values.items()}, rows
