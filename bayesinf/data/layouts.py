"""How the arrays of a series lie: one table, an axis of repeats, or a list of repeats.

``parts`` takes each layout apart into repeats, each with its times and the values of its variables,
all along one axis. Nothing is looked at but shapes, names of axes and labels of repeats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.arrays import labelled, listing, to_numbers, vector
from bayesinf.data.rasters import REPEAT_NAMES
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

__all__ = ["Part", "parts"]

AXES = ("repeat", "time", "step", "row")  # of arrays, where they are named, in this order


@dataclass(frozen=True)
class Part:
    """A repeat as it was given: its label, its times and, by name, its values, all (time,)."""

    label: object
    time: xr.DataArray
    values: Mapping[str, xr.DataArray]


def parts(
    time: ArrayLike | Sequence[ArrayLike],
    given: Mapping[str, ArrayLike | Sequence[ArrayLike]],
    repeat: ArrayLike | None,
    source: object,
) -> list[Part]:
    """Take arrays apart into repeats; the arguments are those of ``series_from_arrays``.

    Raises
    ------
    DataError : lengths, repeats or labels that do not fit together, axes that are not clear.
    """
    when = _each(time, "time", source)
    if len(when) == 1 and np.size(repeat) == when[0].size:
        marks = vector(repeat, "repeat", source)
        flat = {name: _columns(values, name, 1, when, source) for name, values in given.items()}
        columns = {n: part for each in flat.values() for n, part in each[0].items()}
        _same_length(when[0], {str(marks.name): marks} | columns, source)
        return list(_by_label(marks, when[0], columns))
    found = {
        name: _columns(values, name, len(when), when, source) for name, values in given.items()
    }
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
    repeats = []
    for k in range(count):
        columns = {name: column for each in found.values() for name, column in each[k].items()}
        _same_length(when[k], columns, source)
        end = _end(when[k]) if count > 1 else when[k].size
        ended = {name: column[:end] for name, column in columns.items()}
        repeats.append(Part(marks[k], when[k][:end], ended))
    return repeats


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
    return (
        [_apart(each, name, source) for each in array]
        if repeated
        else [_apart(array, name, source)]
    )


def _fronted(array):
    """An array with the axes that are known by their names in front, repeats under that name."""
    called = [dim for dim in array.dims if str(dim).lower() in REPEAT_NAMES]
    if called and "repeat" not in (*array.dims, *array.coords):
        array = array.rename({called[0]: "repeat"})
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
        yield Part(label, when[rows], {name: column[rows] for name, column in columns.items()})
