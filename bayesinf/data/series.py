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
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.arrays import (
    enough,
    finite,
    labelled,
    labels,
    listing,
    number,
    place,
    shown,
    to_numbers,
    vector,
)
from bayesinf.data.binary import REPEAT_NAMES
from bayesinf.data.curve import variable_name
from bayesinf.data.tables import columns_of, known_name, pick, read
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

__all__ = ["repeats", "series", "series_from_arrays", "times"]

TIME_NAMES = ("time", "t", "times", "date", "jd", "mjd", "hjd", "bjd", "year", "day", "hour",
              "minute", "second", "seconds")  # fmt: skip
AXES = ("repeat", "time", "step", "row")  # of arrays, where they are named, in this order
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
) -> xr.Dataset:
    """Read a series, with its repeats where the file has several.

    In a table one column holds the times, wherever it stands, and one that is called ``repeat`` or
    ``trial`` says which rows belong together. A file of arrays has times (time,) or (repeat, time)
    and values (time,), (time, variable), (repeat, time) or (repeat, time, variable).

    Parameters
    ----------
    path : a file that ``read`` reads.
    time, repeat : name of the column, or its position from 1; by default found by a well-known name
        (``TIME_NAMES``, ``REPEAT_NAMES``). ``repeat="none"`` takes all rows for one repeat; times
        without a name are called ``time``.
    variables : names or positions of those wanted, or new name to either; by default all others.
    units : variable, or time, to its unit, where the file does not say it.
    missing, least : as for ``series_from_arrays``.

    Returns
    -------
    a Dataset as of ``series_from_arrays``.

    Raises
    ------
    DataError : the file cannot be read, a column is missing, or the numbers will not do.
    """
    data = read(path)
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
        picked = {new: pick(arrays, new if old is None else old, path)
                  for new, old in renamed.items()}  # fmt: skip
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
    return result.assign_attrs(source=data.attrs["source"])


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
    given = (
        values if isinstance(values, Mapping) else {getattr(values, "name", None) or "y": values}
    )
    parts = _parts(time, given, repeat, source)
    name = variable_name(getattr(parts[0][1], "name", None) or "time", "time", TAKEN)
    read_in = [_ordered(*part, name, missing, least, source) for part in parts]
    names = {}
    for old in read_in[0][2]:
        names[old] = variable_name(old, "value", (*TAKEN, name, *names.values()))
    result = _laid_out(read_in, name, names, units or {})
    remark = "; ".join(_remarks(read_in, name))
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
    found = known_name(arrays, TIME_NAMES)
    if found is None:
        raise DataError(
            "there is no column of times",
            source=source,
            expected=f"one called {TIME_NAMES[0]} or {TIME_NAMES[1]}",
            found=listing(arrays),
            remedy="say which column it is, by name or by position from 1",
        )
    return found


# --- repeats --------------------------------------------------------------------------------------


def _parts(time, given, repeat, source):
    """Each repeat: its label, its times and, by name, its values, all (time,)."""
    when = _each(time, "time", source)
    if len(when) == 1 and np.size(repeat) == when[0].size:
        marks = vector(repeat, "repeat", source)
        flat = {name: _columns(values, name, 1, when, source) for name, values in given.items()}
        columns = {n: part for each in flat.values() for n, part in each[0].items()}
        _same_length(when[0], {str(marks.name): marks} | columns, source)
        return list(_by_label(marks, when[0], columns))
    found = {name: _columns(values, name, len(when), when, source)
             for name, values in given.items()}  # fmt: skip
    count = max(len(each) for each in found.values())
    when = when * count if len(when) == 1 else when
    for name, each in found.items():
        if len(each) != count:
            raise DataError(
                "variables differ in their repeats",
                source=source,
                where=name,
                expected=f"{count} repeats",
                found=len(each),
            )
    marks = np.arange(count) if repeat is None else np.asarray(repeat)
    if len(marks) != count or len(set(marks.tolist())) != count:
        raise DataError(
            "the labels of the repeats do not fit them",
            source=source,
            expected=f"{count} different ones",
            found=listing(marks.tolist()),
        )
    parts = []
    for k in range(count):
        columns = {name: column for each in found.values() for name, column in each[k].items()}
        _same_length(when[k], columns, source)
        end = _end(when[k]) if count > 1 else when[k].size
        parts.append((marks[k], when[k][:end], {n: column[:end] for n, column in columns.items()}))
    return parts


def _end(when):
    """How many times there are before the NaN that pad a repeat to the length of the longest."""
    there = ~np.isnan(to_numbers(when.to_numpy()).astype(float))
    return len(there) - int(np.argmax(there[::-1])) if there.any() else len(there)


def _each(given, name, source):
    """One-dimensional arrays, one a repeat."""
    if isinstance(given, list | tuple) and len(given) and np.ndim(given[0]):
        return [vector(each, name, source) for each in given]
    array = _fronted(labelled(given, name, source))
    return list(array) if array.ndim == 2 and array.shape[1] > 1 else [vector(array, name, source)]


def _columns(values, name, count, when, source):
    """Values as one mapping a repeat: name to array, (time,)."""
    if isinstance(values, list | tuple) and len(values) and np.ndim(values[0]):
        return [_apart(labelled(each, name, source), name, source) for each in values]
    array, length = _fronted(labelled(values, name, source)), when[0].size
    repeated = "repeat" in array.dims or count > 1 or array.ndim == 3
    if array.ndim == 2 and not repeated:
        if array.shape == (length, length) and not {*AXES} & {*array.dims}:
            raise DataError(
                f"the axes of {name} are not clear",
                source=source,
                expected="(time, variable) or (repeat, time)",
                found=f"shape {array.shape} at {length} times",
                remedy="give the times as (repeat, time), or the variables one by one",
            )
        repeated = array.shape[0] != length
    return [_apart(each, name, source) for each in array] if repeated else [
        _apart(array, name, source)]  # fmt: skip


def _fronted(array):
    """An array with the axes that are known by their names in front."""
    return array.transpose(*(axis for axis in AXES if axis in array.dims), ...)


def _apart(array, name, source):
    """The columns of an array (time,) or (time, variable)."""
    if array.ndim > 2 or not array.ndim:
        raise DataError(
            f"{name} has the wrong shape",
            source=source,
            expected="(time,), (time, variable), (repeat, time) or (repeat, time, variable)",
            found=f"{array.ndim} axes within a repeat",
        )
    if array.ndim == 1:
        return {name: array.rename(name)}
    count = array.shape[1]
    labels = [name] if count == 1 else [f"{name}_{k + 1}" for k in range(count)]
    return {label: array[:, k].rename(label) for k, label in enumerate(labels)}


def _same_length(when, columns, source):
    for name, column in columns.items():
        if column.size != when.size:
            raise DataError(
                "columns differ in length",
                source=source,
                expected=f"{when.size} entries in each, as there are times",
                found=f"{column.size} in {name}",
            )


def _by_label(marks, when, columns):
    """Rows of one label together, labels in the order in which they are first met."""
    codes = marks.to_numpy()
    if codes.dtype.kind == "f" and np.array_equal(codes, np.round(codes)):
        codes = codes.astype(int)
    found, first = np.unique(codes, return_index=True)
    for label in found[np.argsort(first)]:
        rows = np.flatnonzero(codes == label)
        yield label, when[rows], {name: column[rows] for name, column in columns.items()}


# --- one repeat -----------------------------------------------------------------------------------


def _ordered(label, when, columns, name, missing, least, source):
    """A repeat whose rows ascend in time: label, times, values, rows moved and values missing."""
    when = when.rename(when.name or name)
    enough(when.size, least, source)
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
    moved = int(np.sum(np.maximum.accumulate(at) > at))
    values = {n: _numbers(column, missing, source)[order] for n, column in columns.items()}
    kept = {n: labels(column) for n, column in columns.items()}
    return label, (at[order], labels(when)), values, kept, moved


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
    return numbers


def _remarks(parts, name):
    """What was changed, in words."""
    moved = sum(part[4] for part in parts)
    if moved:
        total = sum(part[1][0].size for part in parts)
        yield f"{moved} of {total} rows stood out of order along {name} and were sorted"
    for variable in parts[0][2]:
        count = sum(int(np.isnan(part[2][variable]).sum()) for part in parts)
        if count:
            yield f"{count} values of {variable} are missing and kept as NaN"


def _laid_out(parts, name, names, units):
    """The Dataset: a row a repeat, NaN beyond its end."""
    import xarray as xr

    lengths = np.array([part[1][0].size for part in parts])
    shape = len(parts), int(lengths.max())

    def filled(pieces):
        array = np.full(shape, np.nan)
        for row, piece in zip(array, pieces, strict=True):
            row[: piece.size] = piece
        return array

    def said(attrs, *known):
        given = [units[each] for each in known if each in units]
        return attrs | ({"units": given[0]} if given else {})

    first, dims = parts[0], ("repeat", "step")
    variables = {
        new: (dims, filled([part[2][old] for part in parts]), said(first[3][old], old, new))
        for old, new in names.items()
    }
    coords = {
        "repeat": [part[0] for part in parts],
        name: (dims, filled([part[1][0] for part in parts]), said(first[1][1], name)),
        "length": ("repeat", lengths, {"units": "1"}),
    }
    return xr.Dataset(variables, coords)
