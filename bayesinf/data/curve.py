"""y(x) with error bars, from a file or from arrays, under the user's own names.

The Dataset of a curve is validated once and then passed on as it is: over ``point``, sorted by x,
with the variables called as the user calls them, such as ``wavelength`` and ``counts``, and the
error bars always ``error``. Its attributes ``x``, ``y`` and ``error`` say which variable plays
which part, and ``axes`` gets them. ``long_name`` keeps the header as the user wrote it.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.arrays import (
    enough,
    finite,
    heading,
    labels,
    listing,
    place,
    shown,
    to_numbers,
    vector,
)
from bayesinf.data.bars import deviations, other_side
from bayesinf.data.columns import columns_of, said
from bayesinf.data.roles import choose
from bayesinf.data.sweeps import refuse_different
from bayesinf.data.tables import read
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

__all__ = ["RESERVED", "axes", "curve", "curve_from_arrays", "variable_name", "within"]

# Names that mean something else in a fit: its dimensions, and the error bars.
RESERVED = ("point", "chain", "draw", "error")
ROLES = ("x", "y", "error")


def curve(
    path: str | os.PathLike | xr.Dataset,
    x: str | int | None = None,
    y: str | int | None = None,
    error: str | int | None = None,
    *,
    x_names: Sequence[str] = (),
    y_names: Sequence[str] = (),
    index: bool = True,
    least: int = 3,
    sort: bool = True,
    decimal: str | None = None,
    rows: bool = False,
    windows: Sequence[tuple[float, float]] = (),
) -> xr.Dataset:
    """Read y(x), with error bars where the file has them.

    Columns that are not asked for are those that the file says they are. Else they are found by
    well-known names, a column of dates is x, and else the first is x and the next is y, columns
    that never change left aside, as ``data.roles`` has it. Error bars are taken by name, by a
    format that has them, or as asked for, and never by place; what their heading says of them
    (percent, another unit, two σ, variances) is done, as ``data.bars`` has it.

    Parameters
    ----------
    path : a file that ``read`` reads, or what it returned.
    x, y, error : name of the column, or its position from 1; ``error="none"`` reads no error bars.
    x_names, y_names : what x and y are likely to be called here, in small letters and in the order
        in which to look for them.
    index : whether x may be a column that only counts the rows, if it is not asked for.
    least : fewest rows that will do.
    sort : whether to sort the rows by x.
    decimal : the decimal mark of a table of text, "." or ",", where its numbers do not show it.
    rows : whether to keep the numbers of the rows in the file, as the coordinate ``row``.
    windows : lowest and highest x of each window to read; none for all x.

    Returns
    -------
    a Dataset over ``point`` with x, y and, where there are error bars, ``error``. The attributes
    ``x``, ``y`` and ``error`` say what the variables are called, which is what the file calls them
    as far as ``variable_name`` allows; the variables' ``long_name`` and ``units`` are the file's.
    The attribute ``read_as`` says in words which columns were taken, why, and what else was
    concluded.

    Raises
    ------
    DataError : the file cannot be read, a column is missing, y is the same in all rows, or the
        numbers will not do.
    """
    import xarray as xr

    data = path if isinstance(path, xr.Dataset) else read(path, decimal=decimal)
    path = data.attrs.get("source") if path is data else path
    columns = columns_of(data)
    stored = {role: name for role in ROLES if (name := str(data.attrs.get(role))) in columns}
    roles = choose(
        columns,
        {"x": x, "y": y, "error": error},
        stored=stored if len({stored.get("x"), stored.get("y"), None}) == 3 else None,
        reason=data.attrs.get("reason", "as the file says"),
        x_names=x_names,
        y_names=y_names,
        index=index,
        source=path,
    )
    arrays = {role: columns[name] for role, name in roles.names.items()}
    for role in ("x", "y"):
        _refuse_constant(role, columns, roles.names, path)
    _refuse_several(arrays["x"], path)
    bars = ""
    if "error" in arrays:
        name = roles.names["error"]
        # Asked for by name, one side stands for both.
        other = None if error is not None else other_side(name, columns)
        other = None if other is None else columns[other]
        arrays["error"], bars = deviations(arrays["error"], arrays["y"], path, other)
    result = curve_from_arrays(**arrays, least=least, sort=sort, source=path)
    before = np.asarray(finite(arrays["x"], path))
    unused = {name: columns[name] for name in roles.unused}
    refuse_different(arrays["x"], arrays["y"], unused, path)
    if rows:
        known = "row" in arrays["x"].coords
        numbers = arrays["x"]["row"].to_numpy() if known else np.arange(1, before.size + 1)
        order = np.argsort(before, kind="stable") if sort else slice(None)
        result = result.assign_coords(row=("point", numbers[order]))
    moved = "the rows were sorted by x" if sort and np.any(np.diff(before) < 0) else ""
    places = np.unique(before).size
    often = f"x has {places} different values in {before.size} rows"
    often = often if 2 * places <= before.size else ""
    told = said(data, roles.words, bars, often, moved)
    result = within(result.assign_attrs(source=data.attrs["source"], **told), windows)
    enough(result.sizes["point"], least, path)
    return result


def curve_from_arrays(
    x: ArrayLike,
    y: ArrayLike,
    error: ArrayLike | None = None,
    *,
    least: int = 3,
    sort: bool = True,
    source: object = None,
) -> xr.Dataset:
    """Validate and label y(x) held in memory.

    Parameters
    ----------
    x, y, error : arrays or DataArrays, (point,); those keep their units and, as far as
        ``variable_name`` allows, their names; arrays are called x and y.
    least, sort : as for ``curve``.
    source : what an error message calls the origin of the arrays.

    Returns
    -------
    a Dataset as of ``curve``.

    Raises
    ------
    DataError : lengths differ, too few rows, NaN or infinity, error bars that are not positive,
        all x equal.
    """
    import xarray as xr

    given = {"x": x, "y": y, "error": error}
    columns = {
        role: vector(values, role, source) for role, values in given.items() if values is not None
    }
    numbers = _validated(columns, least, source)
    order = np.argsort(numbers["x"], kind="stable") if sort else slice(None)
    names = {"x": variable_name(columns["x"].name, "x")}
    names["y"] = variable_name(columns["y"].name, "y", taken=names.values())
    names |= {"error": "error"} if "error" in columns else {}
    result = xr.Dataset(
        {
            name: ("point", numbers[role][order], labels(columns[role]))
            for role, name in names.items()
        },
        attrs=names,
    )
    if "error" in result and result["error"].units == "1":
        result["error"].attrs["units"] = result[names["y"]].units
    return result


def within(dataset: xr.Dataset, windows: Sequence[tuple[float, float]]) -> xr.Dataset:
    """Keep the points of a curve whose x lies in one of some windows, ends included, and say so.

    Parameters
    ----------
    dataset : as of ``curve``.
    windows : lowest and highest x of each; none keeps all.

    Raises
    ------
    DataError : a window without points, or whose ends are not in order.
    """
    if not windows:
        return dataset
    x, _, _ = axes(dataset)
    kept = np.zeros(x.size, dtype=bool)
    for low, high in windows:
        inside = (x.to_numpy() >= low) & (x.to_numpy() <= high)
        if not low < high or not inside.any():
            raise DataError(
                f"no points in the window {low:g},{high:g}",
                source=dataset.attrs.get("source"),
                expected=f"two values of {x.name}, the lower first, between {float(x.min()):g} and "
                f"{float(x.max()):g}",
            )
        kept |= inside
    said = f"{int(kept.sum())} of {x.size} rows lie in the windows"
    before = dataset.attrs.get("read_as", "")
    return dataset.isel(point=kept).assign_attrs(read_as=f"{before}; {said}".lstrip("; "))


def axes(dataset: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray | None]:
    """Return x, y and the error bars, or None, of a Dataset that ``curve`` made."""
    variables = getattr(dataset, "variables", {})  # an array has none
    names = [getattr(dataset, "attrs", {}).get(role) for role in ("x", "y", "error")]
    missing = [name for name in names if name is not None and name not in variables]
    if missing or None in names[:2]:
        raise DataError(
            "the dataset does not say which variables are x and y",
            expected="attributes x and y with the names of variables, as of bayesinf.data.curve",
            found=listing(missing or variables) or type(dataset).__name__,
            remedy="make it with bayesinf.data.curve_from_arrays(x, y, error)",
        )
    x, y, error = (None if name is None else dataset[name] for name in names)
    return x, y, error


def variable_name(name: object, role: str, taken: Collection[str] = ()) -> str:
    """Return the name that a column goes by where xarray and netCDF must hold it.

    What is no letter, digit or underscore becomes an underscore, as ``I_I0`` for ``I/I0``; a name
    that is taken (``point``, ``chain``, ``draw``, ``error``, or that of x for y) is followed by its
    role, as ``error_y``.

    Parameters
    ----------
    name : what the user calls the column.
    role : ``x`` or ``y``, which is also the name where nothing is left of the user's.
    taken : further names that are taken.
    """
    name = unicodedata.normalize("NFC", str(name))
    name = re.sub(r"\W+", " ", name).strip().replace(" ", "_") or role
    while name in RESERVED or name in taken:
        name = f"{name}_{role}"
    return name


def _refuse_constant(role, columns, names, source):
    """Refuse a column of x or y that never changes: it is a setting, and no measurement."""

    def varies(column):
        return np.ptp(to_numbers(column.to_numpy()).astype(float)) > 0

    taken = columns[names[role]]
    values = to_numbers(taken.to_numpy()).astype(float)
    if values.size < 2 or not np.all(values == values[0]):
        return
    others = [name for name in columns if name not in names.values() and varies(columns[name])]
    raise DataError(
        f"all {role} are equal",
        source=source,
        where=heading(taken),
        expected="at least two different values",
        found=shown(taken.values[0]),
        remedy=f"name another column for {role}, one of {listing(others)}"
        if others
        else f"check which column is {role}",
    )


def _refuse_several(x, source):
    """Refuse rows that stand in several tables, each of which begins x anew."""
    values = to_numbers(x.to_numpy()).astype(float)
    gaps = np.diff(x["row"].to_numpy()) > 1 if "row" in x.coords else np.empty(0)
    steps = np.sign(np.diff(values))
    if gaps.any() and not gaps.all() and steps[~gaps].all() and np.ptp(steps[~gaps]) == 0:
        anew = gaps & (steps != steps[~gaps][0])
        if anew.any():
            starts = x["row"].to_numpy()[np.flatnonzero(np.r_[True, anew])]
            raise DataError(
                "the file holds several tables, each of which begins x anew",
                source=source,
                found=f"tables from rows {listing(starts)}",
                remedy="save them one by one",
            )


def _validated(columns, least, source) -> dict[str, np.ndarray]:
    """Return the numbers of x, y and error; refuse what is no curve."""
    sizes = {name: column.size for name, column in columns.items()}
    if len(set(sizes.values())) > 1:
        raise DataError(
            "columns differ in length",
            source=source,
            expected="as many entries in each",
            found=", ".join(f"{size} in {name}" for name, size in sizes.items()),
        )
    enough(sizes["x"], least, source)
    numbers = {name: finite(column, source) for name, column in columns.items()}
    if "error" in numbers and not np.all(numbers["error"] > 0):
        row = int(np.argmin(numbers["error"] > 0))
        raise DataError(
            "an error bar is not positive",
            source=source,
            where=place(columns["error"], row),
            expected="a standard deviation above zero",
            found=shown(columns["error"].values[row]),
            remedy="correct or remove the row, or choose 'none' for the error bars",
        )
    if np.all(numbers["x"] == numbers["x"][0]):
        raise DataError(
            "all x are equal",
            source=source,
            where=heading(columns["x"]),
            expected="at least two different values",
            found=shown(columns["x"].values[0]),
            remedy="check which column is x",
        )
    return numbers
