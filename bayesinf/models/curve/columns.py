"""Which columns of a table, or which arrays, are x and y."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import axes, curve_from_arrays
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["points"]


def points(
    x: object, y: object, error: object, data: object, known: Sequence[str]
) -> tuple[xr.Dataset, str | None, list[str]]:
    """Return x, y and error bars as ``problem`` takes them.

    Parameters
    ----------
    x, y, error : arrays, or names of columns of the data.
    data : a table of columns, a Dataset as of ``bayesinf.data.curve``, or None.
    known : names of the expression, one of which may be the column that is x.

    Returns
    -------
    the Dataset; what the data call x, None where they have no name for it; the other columns.

    Raises
    ------
    DataError : no such column; it is not clear which is x or y; as of ``curve_from_arrays``.
    """
    others: list[str] = []
    if data is not None:
        if x is None and y is None and {"x", "y"} <= getattr(data, "attrs", {}).keys():
            chosen, of_y, _ = axes(data)
            return data, str(chosen.name), [str(of_y.name)]
        table = {str(name): data[name] for name in data}
        x = _only([name for name in table if name in known], table, "x") if x is None else x
        if y is None:
            rest = [name for name in table if name not in (x, error) and name not in known]
            y = _only(rest, table, "y")
        x, y, error = (_column(given, table) for given in (x, y, error))
        others = [name for name in table if name != getattr(x, "name", None)]
    if x is None or y is None:
        raise DataError("no data to fit", expected="x and y, or data with columns of these")
    if error is not None and np.ndim(error) == 0:
        error = np.full(np.shape(y), float(error))
    name = getattr(x, "name", None)
    return curve_from_arrays(x, y, error), None if name is None else str(name), others


def _only(found, table, role):
    if len(found) != 1:
        raise DataError(
            f"which column is {role} is not clear" if found else f"no column is {role}",
            where="data",
            expected=f"one column, or its name as {role}=",
            found=f"{', '.join(found)}" if found else f"columns {', '.join(table)}",
        )
    return found[0]


def _column(given, table):
    """An array under its name, where it was given by that."""
    import xarray as xr

    if not isinstance(given, str):
        return given
    if given not in table:
        raise DataError(
            f"no such column {given!r}", where="data", expected=f"one of {', '.join(table)}"
        )
    column, values = table[given], np.asarray(table[given])
    attrs = dict(column.attrs) if isinstance(column, xr.DataArray) else {}
    return xr.DataArray(
        values, dims=("point",) if values.ndim == 1 else None, name=given, attrs=attrs
    )
