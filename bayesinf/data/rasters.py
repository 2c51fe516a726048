"""Rasters: who is on and who is off at which time, in one repeat or several.

A raster is states (repeat, time, site), ±1 or 0/1. Files hold it as an array, as a table of sites,
or as the times of spikes, which are put into bins. Rows in which a state is missing are left out
where the caller has no use for their order.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import spikes
from bayesinf.data.arrays import enough, finite, labelled, listing, place, shown
from bayesinf.data.columns import columns_of, known_name, said
from bayesinf.data.copies import refuse_copies
from bayesinf.data.states import NAMES, beside, is_missing, read_states, sites_of, stack
from bayesinf.data.tables import read
from bayesinf.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import ArrayLike

__all__ = ["REPEAT_NAMES", "raster", "raster_from_arrays"]

RASTER_NAMES = (*NAMES, "raster", "spikes", "bint", "votes")
REPEAT_NAMES = ("repeat", "trial", "sweep")
# Axes of a raster, by the names that files give them; without names an array of three axes is taken
# to be (repeat, site, time), as multi-electrode recordings are published, and one of two to be
# (time, site).
AXES = {
    "repeat": (*REPEAT_NAMES, "repeats", "trials"),
    "time": ("time", "bin", "bins", "sample", "samples", "row"),
    "site": ("site", "sites", "cell", "cells", "neuron", "neurons", "spin", "unit"),
}
TIMES = (*AXES["time"], "t", "times", "date")  # columns that order the rows of a table
UNEVEN = 0.5  # of a step, by which times may be off it
_COUNTED = re.compile(r"(.+_)?\d+")  # a column that the file gives no name


def raster(
    path: str | os.PathLike,
    *,
    sites: str | None = None,
    repeats: str | None = None,
    encoding: str | None = None,
    axes: str | None = None,
    bin: float | None = None,
    missing: str = "refuse",
    also: Sequence[str] = (),
    least: int = 2,
    even: bool = False,
) -> xr.Dataset:
    """Read who is on and who is off: spins, spikes or votes over time, in one repeat or several.

    A file of arrays names it ``states`` (or ``raster``, ``spikes``, ``bint``), else it is the one
    array of two or three axes. In a table each column is a site and each row a time; a column
    ``repeat`` or ``trial`` says which rows belong together, one such as ``time`` orders them (where
    each state follows from the one before, any that counts the rows), and labels are left out. A
    file of spike times is binned.

    Parameters
    ----------
    path : a file that ``read`` reads.
    sites, repeats : which to keep, counted from 0: "40" the first forty, "0-9,12" these.
    encoding : "±1" or "0/1", to which the states are brought; by default the one they are in.
    axes : names of the axes in their order, such as "repeat,time,site", where the file has none.
    bin : width of a bin of spike times, in their unit; a site is on where it spikes in a bin.
    missing : "refuse" states that are missing, or "drop" the rows that hold one, which says that
        they are missing at random.
    also : names of other arrays that are wanted where a file of arrays has them.
    least : fewest times that will do.
    even : whether a column of times must go by equal steps, as where each state follows from the
        one before.

    Returns
    -------
    a Dataset with ``states`` (repeat, time, site), int8, whose attribute ``encoding`` says how to
    read it and ``encoding_read`` how the file was written; ``site`` and ``repeat`` hold the numbers
    in the file, or ``site`` the names of the columns where a table has names. What is found of
    ``also`` is there as it is, all sites of it, on axes NAME_dim_0, NAME_dim_1. The attribute
    ``read_as`` says what was concluded.

    Raises
    ------
    DataError : the file cannot be read, holds no such array, the numbers will not do, or a stretch
        of time stands there twice.
    """
    data = read(path)
    chosen = {"sites": sites, "repeats": repeats, "encoding": encoding, "least": least}
    if (trains := spikes.trains(data)) is not None:
        binned = spikes.binned(trains, bin, path)
        found = raster_from_arrays(binned, source=path, **chosen)
        found = found.assign_coords(site=trains.labels[found["site"].values])
        return found.assign_attrs(
            source=data.attrs["source"], **said(data, trains.words(binned, bin))
        )
    if bin is not None:
        raise DataError(
            "there are no spike times to put into bins",
            source=path,
            expected="a column of cells and one of times, or an array of times for each cell",
            found=listing(data.variables),
            remedy="leave --bin out",
        )
    name = _array_name(data, path)
    array, options, told = data.get(name) if name else None, {}, [f"states are in {name}"]
    table = array is None or array.ndim == 1
    if table:
        array, options, told = _of_table(columns_of(data), path, even)
        axes = axes if options.get("group") is None else "time,site"
    found = raster_from_arrays(
        array, axes=axes, missing=missing, source=path, **options, **chosen
    ).assign({} if table else beside(data, also))
    refuse_copies(found, path)
    if not table:
        of = {
            axis: size
            for axis, size in found["states"].sizes.items()
            if axis != "repeat" or size > 1
        }
        told[0] += ", " + ", ".join(f"{size} {axis}s" for axis, size in of.items())
    told += [found.attrs.pop("remark")] if "remark" in found.attrs else []
    return found.assign_attrs(source=data.attrs["source"], **said(data, *told))


def _array_name(data, source):
    """Name of the array of states; None for a table."""
    name = known_name(data.variables, RASTER_NAMES)
    if name is not None:
        return name
    shapes = {str(n): data.variables[n].ndim for n in data.data_vars}
    large = [n for n, axes in shapes.items() if axes >= 2]
    if len(large) == 1:
        return large[0]
    if large or any(axes != 1 for axes in shapes.values()):
        raise DataError(
            "there is no array of states",
            source=source,
            expected="an array states, or one array of two or three axes",
            found=listing(data.data_vars),
            remedy="give the array of states that name",
        )
    return None


def _of_table(columns, source, even):
    """The columns of sites as (row, column), options of its repeats, and what there is to say."""
    grouped = known_name(columns, REPEAT_NAMES)
    group = columns.pop(grouped).to_numpy() if grouped else None
    when = known_name(columns, TIMES)
    time = columns.pop(when) if when else None
    found, left = sites_of(columns)
    if not found:
        raise DataError(
            "the table has no columns of sites",
            source=source,
            expected="a column for each site",
            found=listing(columns) or None,
        )
    array = stack(list(found.values()), source).rename(site="column")
    if not all(map(_COUNTED.fullmatch, found)):
        array = array.assign_coords(column=list(found))
    told = [f"states of {len(found)} sites are in {listing(found)}"]
    counted = [
        name
        for name in left
        if columns[name].dtype.kind in "iuf" and "since" not in columns[name].attrs
    ]
    if even and time is None and counted:  # frames, say, some of which may be missing
        when = counted[0]
        time = columns[when]
        left.remove(when)
    told += [f"not used: {listing(left)}"] if left else []
    if time is not None and time.dtype.kind in "biuf":
        order = _ordered(time, group, source, even)
        if np.any(order != np.arange(order.size)):
            told.append(f"the rows were sorted by {when}")
            array = array.isel(row=order)
            group = None if group is None else group[order]
    return array, {"group": group}, told


def _ordered(time, group, source, even):
    """The order of rows by time, repeat by repeat as they are first met."""
    at = finite(time, source)
    codes = np.zeros(at.size, int)
    if group is not None:
        _, first, codes = np.unique(group, return_index=True, return_inverse=True)
        codes = np.argsort(np.argsort(first))[codes]
    order = np.lexsort((at, codes))
    twice = np.flatnonzero((np.diff(at[order]) == 0) & (np.diff(codes[order]) == 0))
    if twice.size:
        row = int(order[twice[0] + 1])
        raise DataError(
            "a time comes twice",
            source=source,
            where=place(time, row),
            expected="one row for each time of a repeat",
            found=shown(time.to_numpy()[row]),
            remedy="remove the row, or name the column that tells repeats apart repeat",
        )
    steps, within = np.diff(at[order]), np.diff(codes[order]) == 0
    usual = np.median(steps[within]) if within.any() else 0.0
    odd = np.flatnonzero(within & (np.abs(steps - usual) > UNEVEN * usual))
    if even and odd.size:
        row = int(order[odd[0] + 1])
        raise DataError(
            "times do not go by equal steps",
            source=source,
            where=place(time, row) + (f", and {odd.size - 1} more" if odd.size > 1 else ""),
            expected=f"a step of {usual:.6g} from each state to the next",
            found=f"a step of {steps[odd[0]]:.6g}",
            remedy="cut the recording there into repeats (a column repeat), or fill the gap in",
        )
    return order


def raster_from_arrays(
    states: ArrayLike,
    *,
    group: ArrayLike | None = None,
    sites: str | None = None,
    repeats: str | None = None,
    encoding: str | None = None,
    axes: str | None = None,
    missing: str = "refuse",
    least: int = 2,
    source: object = None,
) -> xr.Dataset:
    """Validate and label binary data held in memory.

    Parameters
    ----------
    states : two or three axes, (time, site) or (repeat, site, time), or as ``axes`` or the
        dimensions of a DataArray say.
    group : (time,), equal in rows of the same repeat, where ``states`` has two axes.
    sites, repeats, encoding, axes, missing, least : as for ``raster``.
    source : what an error message calls the origin of the arrays.

    Returns
    -------
    a Dataset as of ``raster``; the attribute ``remark`` tells of rows that were left out.

    Raises
    ------
    DataError : values other than −1 and 1 or 0 and 1, NaN, axes in another order, repeats of
        unequal length, too few times, sites or repeats that the data do not have.
    """
    import xarray as xr

    array = labelled(states, "states", source)
    named = _axes(array, axes, source)
    order = [named.index(axis) for axis in ("repeat", "time", "site") if axis in named]
    values = array.to_numpy().transpose(order)
    if "repeat" not in named:
        values = _grouped(values, group, source) if group is not None else values[np.newaxis]
    count, times, width = values.shape
    if axes is None and width > times and not any(d in AXES["site"] for d in map(str, array.dims)):
        raise DataError(
            "there are more sites than times",
            source=source,
            expected=f"axes ({', '.join(named)})",
            found=f"shape {array.shape}: {width} sites, {times} times",
            remedy=f"say the order of the axes: --axes {','.join(named)} if it is that, else "
            f"--axes {','.join({'time': 'site', 'site': 'time'}.get(n, n) for n in named)}",
        )
    keep_sites = _selected(sites, width, "site", source)
    keep_repeats = _selected(repeats, count, "repeat", source)
    values = values[keep_repeats][:, :, keep_sites]
    enough(times, least, source)
    called, rows, moments = keep_sites, None, np.arange(times)
    if named == ["time", "site"] and "row" in array.coords:
        rows = array["row"].values.reshape(count, times)[keep_repeats]
        called = array["column"].values[keep_sites] if "column" in array.coords else keep_sites

    there = (
        ~is_missing(values).any(axis=2) if missing == "drop" else np.ones(values.shape[:2], bool)
    )
    if not there.all():
        _refuse_few(values, there, called, least, source)
        values, moments = values[:, there[0]], moments[there[0]]
        rows = None if rows is None else rows[:, there[0]]

    def where(k, t, i):
        moment = (
            f"repeat {keep_repeats[k]}, time {moments[t]}" if rows is None else f"row {rows[k, t]}"
        )
        return f"{moment}, site {called[i]}"

    values, attrs = _encoded(values, where, encoding, source)
    lost = int((~there).sum())
    remark = f"{lost} of {times} rows, in which a state is missing, are left out"
    return xr.Dataset(
        {"states": (("repeat", "time", "site"), values, attrs)},
        {"repeat": keep_repeats, "time": moments, "site": called},
        {"remark": remark} if lost else {},
    )


def _refuse_few(values, there, called, least, source):
    """Refuse to leave out rows of several repeats, or more of them than are kept."""
    gaps = is_missing(values).mean(axis=(0, 1))
    if len(there) > 1 or there.sum() < max(least, 0.5 * there.size):
        worst = f"site {called[int(np.argmax(gaps))]} ({gaps.max():.0%} of it)"
        raise DataError(
            "states are missing",
            source=source,
            expected="one repeat, and all states of at least half of its rows",
            found=f"{len(there)} repeats, {there.sum()} of {there.size} rows whole",
            remedy=f"leave out what is missing most, {worst}, by --cells",
        )


def _axes(array, axes, source):
    """Names of the axes, in the order of the array."""
    known = {name: axis for axis, names in AXES.items() for name in names}
    given = (
        [part.strip().lower() for part in axes.split(",")] if axes else list(map(str, array.dims))
    )
    named = [known.get(name.strip()) for name in given]
    if axes is None and "site" not in named:
        named = {2: ["time", "site"], 3: ["repeat", "site", "time"]}.get(array.ndim, [])
    wrong = len(named) != array.ndim or len(set(named)) != len(named)
    if wrong or not {"time", "site"} <= set(named):
        raise DataError(
            "the axes of the states are not clear",
            source=source,
            expected="time and site, or repeat, time and site, each once",
            found=axes or f"shape {array.shape}",
            remedy="say their order, as in --axes repeat,time,site",
        )
    return named


def _grouped(values, group, source):
    """Rows (time, site) as (repeat, time, site)."""
    group = np.asarray(group)
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    lengths = np.diff(np.r_[starts, len(group)])
    if len(np.unique(group[starts])) != len(starts):
        raise DataError(
            "the rows of a repeat do not stand together",
            source=source,
            remedy="sort the rows by repeat and time",
        )
    if len(set(lengths)) > 1:
        raise DataError(
            "repeats differ in length",
            source=source,
            expected=f"{lengths[0]} rows each, as in the first",
            found=f"{lengths[lengths != lengths[0]][0]}",
            remedy="cut them to one length, or leave repeats out",
        )
    return values.reshape(len(starts), lengths[0], -1)


def _selected(text, count, what, source):
    """Numbers that a choice such as "40" or "0-9,12" names."""
    if text is None:
        return np.arange(count)
    error = DataError(
        f"{what}s are not chosen like this",
        source=source,
        expected=f"a number of {what}s up to {count}, or a list such as 0-9,12",
        found=repr(text),
    )
    text = str(text).strip()
    if text.isdecimal():
        if not 1 <= int(text) <= count:
            raise error
        return np.arange(int(text))
    numbers = []
    for part in text.strip(",").split(","):
        ends = [end.strip() for end in part.split("-")]
        if len(ends) > 2 or not all(end.isdecimal() for end in ends):
            raise error
        numbers.extend(range(int(ends[0]), int(ends[-1]) + 1))
    if not numbers or len(set(numbers)) < len(numbers) or max(numbers) >= count:
        raise error
    return np.array(numbers)


def _encoded(given, where, encoding, source):
    """States as int8 in the encoding that is asked for, and attributes that tell of it."""
    on, read_as = read_states(
        given,
        "state",
        where,
        source,
        correct="correct it, or leave the site or the repeat out",
        agree="write off as −1 or as 0, but all of it in one way",
    )
    if read_as is None and encoding is None:
        raise DataError(
            "all states are 1, which belongs to both encodings",
            source=source,
            remedy="say --encoding ±1 or --encoding 0/1",
        )
    if encoding not in (None, "±1", "0/1"):
        raise DataError(
            "unknown encoding", source=source, expected="'±1' or '0/1'", found=repr(encoding)
        )
    encoding = encoding or read_as
    off = np.int8(-1 if encoding == "±1" else 0)
    attrs = {"units": "1", "encoding": encoding, "encoding_read": read_as or encoding}
    return np.where(on, np.int8(1), off), attrs
