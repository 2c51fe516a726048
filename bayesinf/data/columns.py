"""Labelled columns: what every reader of files makes, and how the others find in it what they need.

``dataset`` labels what a file holds; ``columns_of``, ``known_name`` and ``pick`` choose from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.arrays import listing
from bayesinf.data.headings import name_and_units
from bayesinf.errors import DataError, printable

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

__all__ = ["columns_of", "dataset", "known_name", "pick", "refuse_wide", "said"]

WIDEST = 10_000  # columns of a table


def dataset(
    arrays: Iterable[tuple[str, ArrayLike]],
    rows: Sequence[int] | None = None,
    *,
    attrs: Mapping[str, Mapping[str, str]] | None = None,
    said: Iterable[str] = (),
) -> xr.Dataset:
    """Label (header, array) pairs; arrays as long as the first share the dimension ``row``.

    Parameters
    ----------
    arrays : headers, with their units in brackets or after a stroke, and values. What holds neither
        numbers nor text is left out.
    rows : of the file, one for each entry, where it is one of rows.
    attrs : header to further attributes of its variable.
    said : what a reader has to tell of the file, for the attribute ``read_as``.
    """
    import xarray as xr

    arrays = list(arrays)
    refuse_wide(len(arrays))
    variables, count = {}, None
    for position, (header, values) in enumerate(arrays, 1):
        values = np.asarray(values)
        if values.dtype.kind not in "biufcUSM":
            continue
        name, units = name_and_units(header)
        name = name or f"column_{position}"
        while name in variables or name == "row":
            name = f"{name}_{position}"
        dims = [f"axis {axis} of {name}" for axis in range(values.ndim)]
        if dims:
            count = len(values) if count is None else count
            dims[0] = "row" if len(values) == count else dims[0]
        more = (attrs or {}).get(header, {})
        variables[name] = (dims, values, {"units": units or "1", "long_name": name, **more})
    found = xr.Dataset(variables, None if rows is None else {"row": np.array(rows)})
    told = "; ".join(said)
    return found.assign_attrs(read_as=told) if told else found


def refuse_wide(count: int, source: object = None) -> None:
    """Refuse more columns than a table may have.

    Raises
    ------
    DataError : saying how many there are.
    """
    if count > WIDEST:
        raise DataError(
            "the table has too many columns",
            source=source,
            expected=f"at most {WIDEST}",
            found=count,
            remedy="rows are samples and columns are variables: transpose a table on its side",
        )


def said(data: xr.Dataset, *more: str) -> dict[str, str]:
    """Return as attributes what is told of how a file was read, and ``more`` before it."""
    told = printable("; ".join(part for part in (*more, data.attrs.get("read_as")) if part))
    return {"read_as": told} if told else {}


def columns_of(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return one-dimensional arrays and columns of tables; coordinates, as x of y(x), first."""
    import xarray as xr

    columns, known = {}, dict(data.coords)
    for name in map(str, [*known, *data.data_vars]):
        # Not data[name], which looks at all the others, of which there may be thousands.
        variable = data.variables[name]
        beside = {n: c for n, c in known.items() if set(c.dims) <= set(variable.dims)}
        array = xr.DataArray(variable, beside, name=name)
        if array.ndim == 1 and name != "row":
            columns[name] = array
        elif array.ndim == 2:
            refuse_wide(array.shape[1])
            for k in range(array.shape[1]):
                label = name if array.shape[1] == 1 else f"{name}_{k + 1}"
                columns[label] = array[:, k].rename(label).assign_attrs(long_name=label)
    return columns


def pick(columns: Mapping[str, xr.DataArray], wanted: str | int, source) -> str:
    """Return the name of the column that is asked for by name or, from 1, by position."""
    text = str(wanted).strip()
    names = [] if isinstance(wanted, int) else [text, name_and_units(text)[0]]
    for name in names:
        if found := known_name(columns, [name, name.casefold()]):
            return found
    if text.isdecimal() and 1 <= int(text) <= len(columns):
        return list(columns)[int(text) - 1]
    raise DataError(
        f"there is no column {text}",
        source=source,
        expected=f"a name, or a position from 1 to {len(columns)}",
        found=listing(columns),
    )


def known_name(names: Iterable[str], wanted: Iterable[str]) -> str | None:
    """Return the first of the wanted names that is there, whatever its capitals."""
    there = {str(name).casefold(): str(name) for name in reversed(list(names))}
    there |= {str(name): str(name) for name in there.values()}
    return next((there[name] for name in wanted if name in there), None)
