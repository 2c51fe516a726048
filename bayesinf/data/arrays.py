"""Arrays as every reader checks them: labelled, of one length, finite, each refusal with its place.

What cannot be used is refused by a DataError that names the entry as the reader knows it: the row
of the file where that is known, else counted from 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.codes import LARGEST, coded
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

__all__ = [
    "enough",
    "finite",
    "heading",
    "labelled",
    "labels",
    "listing",
    "number",
    "place",
    "refuse_codes",
    "refuse_sizes",
    "shown",
    "to_numbers",
    "vector",
]


def number(cell: str) -> float | None:
    """Return the number that a cell of text holds, NaN for NA, None where it is none."""
    try:
        return None if "_" in cell else float(cell)  # Python alone reads 1_000
    except ValueError:
        return np.nan if cell.upper() in ("NA", "N/A") else None


def listing(names: Iterable[str]) -> str:
    """Write names in a row; of many the first and the last."""
    names = list(map(str, names))
    few = names if len(names) <= 12 else [*names[:9], "...", names[-1]]
    return f"{', '.join(few)} ({len(names)} in all)" if len(names) > 12 else ", ".join(few)


def labelled(values: ArrayLike | xr.DataArray, name: str, source) -> xr.DataArray:
    """Label an array; one that has a name keeps it."""
    import xarray as xr

    if isinstance(values, xr.DataArray):
        return values if values.name is not None else values.rename(name)
    try:
        if np.ma.isMaskedArray(values):
            values = np.ma.filled(values.astype(float), np.nan)
        return xr.DataArray(np.asarray(values), name=name)
    except ValueError as error:
        raise DataError(
            "the rows differ in length", source=source, where=name, expected="an array"
        ) from error


def vector(values: ArrayLike | xr.DataArray, name: str, source) -> xr.DataArray:
    """Label an array of one axis."""
    array = labelled(values, name, source)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(
            f"{array.name} has the wrong shape",
            source=source,
            expected="one axis",
            found=f"shape {array.shape}",
        )
    return array


def labels(array: xr.DataArray) -> dict[str, str]:
    """Return the attributes ``long_name`` and ``units`` that an array has or else deserves."""
    return {
        "long_name": array.attrs.get("long_name", array.name),
        "units": array.attrs.get("units") or "1",
    }


def enough(count: int, least: int, source, repeat: object = None) -> None:
    """Refuse too few rows, in all or of one of several repeats."""
    if count < least:
        alone = "rows are samples and columns are variables: transpose a table on its side"
        raise DataError(
            "too few rows",
            source=source,
            where=None if repeat is None else f"repeat {repeat}",
            expected=f"at least {least}",
            found=count,
            remedy=alone if repeat is None else "leave this repeat out",
        )


def to_numbers(values: np.ndarray) -> np.ndarray:
    """Return values as numbers; NaN where a text is none."""
    if values.dtype.kind in "biuf":
        return values
    numbers = [number(word) for word in values.astype(str).ravel().tolist()]
    return np.array(numbers, dtype=np.float64).reshape(values.shape)  # None becomes NaN


def finite(array: xr.DataArray, source) -> np.ndarray:
    """Return an array's numbers; refuse NaN, infinity and text."""
    numbers = to_numbers(array.to_numpy()).astype(np.float64)
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers)))
        raise DataError(
            "not a finite number",
            source=source,
            where=place(array, row),
            expected="a number",
            found=shown(array.to_numpy()[row]),
            remedy="correct or remove the row",
        )
    if source is not None:
        refuse_codes(numbers, array, source)
        refuse_sizes(numbers, array, source)
    return numbers


def refuse_codes(numbers: np.ndarray, array: xr.DataArray, source) -> None:
    """Refuse a column that holds codes for missing values.

    Parameters
    ----------
    numbers : of a column, (row,); NaN where there is none.
    array : the column as it was read, which knows its name and its rows.
    source : the file.
    """
    code = coded(numbers)
    if not code.any():
        return
    row, more = int(np.argmax(code)), int(code.sum()) - 1
    others = numbers[~code & np.isfinite(numbers)]
    raise DataError(
        "a code for a missing value",
        source=source,
        where=place(array, row) + (f", and {more} more" if more else ""),
        expected=f"a measured value (the others lie from {others.min():.4g} to {others.max():.4g})",
        found=shown(numbers[row]),
        remedy="leave the cell empty or remove the row; if it was measured, fit from Python",
    )


def refuse_sizes(numbers: np.ndarray, array: xr.DataArray, source) -> None:
    """Refuse a column whose numbers are so large, or so small, that sums of their squares are none.

    Parameters
    ----------
    numbers, array, source : as of ``refuse_codes``.
    """
    size = float(np.max(np.abs(numbers), initial=0.0, where=np.isfinite(numbers)))
    if size > 0 and not 1 / LARGEST < size < LARGEST:
        raise DataError(
            "numbers whose squares are none",
            source=source,
            where=heading(array),
            expected=f"sizes from {1 / LARGEST:g} to {LARGEST:g}",
            found=f"{size:.3g}",
            remedy="give it in another unit",
        )


def place(array: xr.DataArray, row: int, site: int | None = None) -> str:
    """Say where an entry stands: at a row and in a column, or at a site."""
    known = "row" in array.coords
    number = f"{array.row.to_numpy()[row]}" if known else f"{row + 1} (counting from 1)"
    return f"row {number}, " + (heading(array) if site is None else f"site {site + 1}")


def heading(array: xr.DataArray) -> str:
    """Say which column an array is."""
    return f"column {str(array.name).removeprefix('column_')}"


def shown(value) -> str:
    """Write one entry of an array."""
    if isinstance(value, str):
        return repr(str(value[:40])) if value.strip() else "an empty cell"
    if isinstance(value, float | np.floating):
        return "NaN" if np.isnan(value) else f"{value:.10g}"
    return str(value)
