"""Series: what was measured at which times, once or in several repeats, under the user's own names.

The Dataset of a series has the dimensions ``repeat`` and ``step`` and a variable for each thing
that was measured. Its times, which may be uneven and differ from repeat to repeat, are a coordinate
(repeat, step) under the user's own name, which the attribute ``time`` tells and ``times`` gets.
Repeats of unequal ``length`` end in NaN; none is joined to the next, and ``repeats`` takes them one
by one. What was changed on the way in, rows that were sorted or values that are missing, the
attribute ``remark`` says in words.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import layouts
from bayesinf.data.arrays import (
    enough,
    finite,
    labels,
    listing,
    number,
    place,
    refuse_codes,
    refuse_sizes,
    shown,
    to_numbers,
)
from bayesinf.data.columns import columns_of, known_name, pick, said
from bayesinf.data.curve import variable_name
from bayesinf.data.rasters import REPEAT_NAMES
from bayesinf.data.tables import read
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

__all__ = ["repeats", "series", "series_from_arrays", "times"]

TIME_NAMES = (
    "time",
    "t",
    "times",
    "date",
    "jd",
    "mjd",
    "hjd",
    "bjd",
    "year",
    "day",
    "hour",
    "minute",
    "second",
    "seconds",
)
TAKEN = ("repeat", "step", "length")  # names of the Dataset's own


def series(
    path: str | os.PathLike,
    *,
    time: str | int | None = None,
    repeat: str | int | None = None,
    variables: Sequence[str | int] | Mapping[str, str | int] | None = None,
    units: Mapping[str, str] | None = None,
    missing: str = "refuse",
    least: int = 3,
    decimal: str | None = None,
) -> xr.Dataset:
    """Read a series, with its repeats where the file has several.

    In a table one column holds the times, wherever it stands, and one that is called ``repeat`` or
    ``trial`` says which rows belong together. A file of arrays has times (time,) or (repeat, time)
    and values (time,), (time, variable), (repeat, time) or (repeat, time, variable).

    Parameters
    ----------
    path : a file that ``read`` reads.
    time, repeat : name of the column, or its position from 1; by default found by a well-known name
        (``TIME_NAMES``, ``REPEAT_NAMES``), the times also by their dates. ``repeat="none"`` takes
        all rows for one repeat; times without a name are called ``time``.
    variables : names or positions of those wanted, or new name to either; by default all others.
    units : variable, or time, to its unit, where the file does not say it.
    missing, least : as for ``series_from_arrays``.
    decimal : the decimal mark of a table of text, "." or ",", where its numbers do not show it.

    Returns
    -------
    a Dataset as of ``series_from_arrays``; the attribute ``read_as`` says what was taken and why.

    Raises
    ------
    DataError : the file cannot be read, a column is missing, or the numbers will not do.
    """
    data = read(path, decimal=decimal)
    arrays = _arrays(data)
    stored = data.attrs.get("time")
    when = _time(arrays, stored if time is None and stored in arrays else time, path)
    told = arrays.pop("repeat") if stored == when and "repeat" in arrays else None
    arrays.pop("length", None) if stored == when else None
    grouped = None
    if repeat != "none" and told is None:
        grouped = known_name(arrays, REPEAT_NAMES) if repeat is None else pick(arrays, repeat, path)
    chosen = {name: name for name in arrays if name not in (when, grouped)}
    if variables is not None:
        renamed = variables if isinstance(variables, Mapping) else dict.fromkeys(variables)
        picked = {
            new: pick(arrays, new if old is None else old, path) for new, old in renamed.items()
        }
        named = isinstance(variables, Mapping)
        chosen = {new if named else old: old for new, old in picked.items()}
    if not chosen:
        raise DataError(
            "there is nothing besides the times",
            source=path,
            expected="a column or array of what was measured",
            found=listing(arrays),
        )
    given = {new: arrays[old].rename(new) for new, old in chosen.items()}
    unnamed = when.startswith("column_")
    result = series_from_arrays(
        arrays[when].rename("time" if unnamed else when),
        given,
        repeat=told if grouped is None else arrays[grouped],
        units=units,
        missing=missing,
        least=least,
        source=path,
    )
    told = [f"times are in {when}", f"values are in {listing(chosen.values())}"]
    told += [f"repeats are told apart by {grouped}"] if grouped else []
    left = [name for name in arrays if name not in (when, grouped, *chosen.values())]
    told += [f"not used: {listing(left)}"] if left else []
    told += [result.attrs["remark"]] if "remark" in result.attrs else []
    return result.assign_attrs(source=data.attrs["source"], **said(data, *told))


def series_from_arrays(
    time: ArrayLike | Sequence[ArrayLike],
    values: ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike],
    *,
    repeat: ArrayLike | None = None,
    units: Mapping[str, str] | None = None,
    missing: str = "refuse",
    least: int = 3,
    source: object = None,
) -> xr.Dataset:
    """Validate and label series held in memory.

    Parameters
    ----------
    time : (time,), (repeat, time), or a sequence with the times of each repeat.
    values : name to array, or one array, called y: (time,), (time, variable), (repeat, time) or
        (repeat, time, variable), or a sequence with the values of each repeat, (time,) or
        (time, variable). Of several variables in one array, NAME_1, NAME_2, ... are made.
    repeat : a label for each row, (time,), where all repeats stand in one table, their rows
        together or not; else one for each repeat, (repeat,).
    units : variable, or time, to its unit; by default that of its attribute, else 1.
    missing : "refuse" values that are missing (NaN, NA or an empty cell), or "keep" them as NaN.
        A time is never missing.
    least : fewest rows of a repeat that will do.
    source : what an error message calls the origin of the arrays.

    Returns
    -------
    a Dataset with the variables (repeat, step), the times under their name as a coordinate
    (repeat, step), ascending, and the coordinates ``repeat`` and ``length`` (repeat,). The
    attribute ``time`` is the name of the times, ``remark`` says what was sorted or is missing.

    Raises
    ------
    DataError : lengths differ, too few rows, a time twice in one repeat, NaN or infinity, axes that
        are not clear.
    """
    if missing not in ("refuse", "keep"):
        raise DataError(
            "unknown way with missing values", expected="refuse or keep", found=repr(missing)
        )
    alone = {getattr(values, "name", None) or "y": values}
    given = values if isinstance(values, Mapping) else alone
    layout = layouts.parts(time, given, repeat, source)
    name = variable_name(layout[0].time.name or "time", "time", TAKEN)
    for part in layout:
        enough(part.time.size, least, source, part.label if len(layout) > 1 else None)
    done = [_ordered(part, name, missing, source) for part in layout]
    names = {}
    for old in done[0].values:
        names[old] = variable_name(old, "value", (*TAKEN, name, *names.values()))
    result = _laid_out(done, name, names, units or {})
    remark = "; ".join(_remarks(done, name))
    return result.assign_attrs({"time": name} | ({"remark": remark} if remark else {}))


def times(series: xr.Dataset) -> xr.DataArray:
    """Return the times of a series, (repeat, step), NaN beyond the end of a repeat.

    Raises
    ------
    DataError : the Dataset is none that ``series`` made.
    """
    name = getattr(series, "attrs", {}).get("time")
    if name is None or name not in series.coords or {"repeat", "step"} - set(series.dims):
        raise DataError(
            "the dataset does not say which variable is the time",
            expected="an attribute time with the name of a coordinate (repeat, step)",
            found=name or type(series).__name__,
            remedy="make it with bayesinf.data.series_from_arrays(time, values)",
        )
    return series[name]


def repeats(series: xr.Dataset) -> Iterator[xr.Dataset]:
    """Take the repeats of a series one by one, each (step,), without what lies beyond its end."""
    times(series)
    for k, length in enumerate(series["length"].values):
        yield series.isel(repeat=k, step=slice(int(length)))


# --- what a file holds ----------------------------------------------------------------------------


def _arrays(data):
    """Columns of a table; of a file of arrays all that are numbers, whatever their axes."""
    if all(variable.ndim == 1 for variable in data.variables.values()):
        return columns_of(data)
    return {str(n): data[n] for n in [*data.coords, *data.data_vars] if data[n].ndim}


def _time(arrays, asked, source):
    """Name of the times."""
    if asked is not None:
        return pick(arrays, asked, source)
    dated = (name for name, array in arrays.items() if "since" in array.attrs)
    found = known_name(arrays, TIME_NAMES) or next(dated, None)
    if found is None:
        raise DataError(
            "there is no column of times",
            source=source,
            expected=f"one called {TIME_NAMES[0]} or {TIME_NAMES[1]}",
            found=listing(arrays),
            remedy="say which column it is, by name or by position from 1",
        )
    return found


# --- one repeat -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Repeat:
    """A repeat whose rows ascend in time."""

    label: object
    times: np.ndarray
    values: Mapping[str, np.ndarray]
    attrs: Mapping[str, Mapping[str, str]]  # of the variables, and of the times as ""
    moved: int  # rows that stood out of order


def _ordered(part, name, missing, source):
    """Check one repeat and sort it by time."""
    when = part.time.rename(part.time.name or name)
    at = finite(when, source)
    order = np.argsort(at, kind="stable")
    twice = np.flatnonzero(np.diff(at[order]) == 0)
    if twice.size:
        row = int(order[twice[0] + 1])
        raise DataError(
            "a time comes twice",
            source=source,
            where=place(when, row),
            expected="one row for each time of a repeat",
            found=shown(when.to_numpy()[row]),
            remedy="average the rows, or name the column that tells repeats apart",
        )
    columns = part.values.items()
    return _Repeat(
        part.label,
        at[order],
        {name: _numbers(column, missing, source)[order] for name, column in columns},
        {"": labels(when)} | {name: labels(column) for name, column in columns},
        int(np.sum(np.maximum.accumulate(at) > at)),
    )


def _numbers(column, missing, source):
    """Values as numbers; those that are missing are NaN where that is allowed."""
    if missing == "refuse":
        return finite(column, source)
    cells = column.to_numpy()
    numbers = to_numbers(cells).astype(float)
    wrong = np.isinf(numbers)
    if cells.dtype.kind in "US":
        words = [bool(word.strip()) and number(word) is None for word in cells.astype(str)]
        wrong = wrong | np.array(words)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            "neither a number nor missing",
            source=source,
            where=place(column, row),
            expected="a finite number, NaN, NA or an empty cell",
            found=shown(cells[row]),
            remedy="correct or remove the row",
        )
    if source is not None:
        refuse_codes(numbers, column, source)
        refuse_sizes(numbers, column, source)
    return numbers


def _remarks(done, name):
    """What was changed, in words."""
    moved, total = sum(each.moved for each in done), sum(each.times.size for each in done)
    if moved:
        yield f"{moved} of {total} rows stood out of order along {name} and were sorted"
    for variable in done[0].values:
        count = sum(int(np.isnan(each.values[variable]).sum()) for each in done)
        if count:
            yield f"{count} values of {variable} are missing and kept as NaN"


def _laid_out(done, name, names, units):
    """The Dataset: a row a repeat, NaN beyond its end."""
    import xarray as xr

    lengths = np.array([each.times.size for each in done])

    def filled(pieces):
        array = np.full((len(done), lengths.max()), np.nan)
        for row, piece in zip(array, pieces, strict=True):
            row[: piece.size] = piece
        return array

    def labelled(attrs, *known):
        given = [units[each] for each in known if each in units]
        return dict(attrs) | ({"units": given[0]} if given else {})

    attrs, dims = done[0].attrs, ("repeat", "step")
    variables = {
        new: (dims, filled([each.values[old] for each in done]), labelled(attrs[old], old, new))
        for old, new in names.items()
    }
    coords = {
        "repeat": [each.label for each in done],
        name: (dims, filled([each.times for each in done]), labelled(attrs[""], name)),
        "length": ("repeat", lengths, {"units": "1"}),
    }
    return xr.Dataset(variables, coords)
