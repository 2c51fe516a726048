"""Binary data: spins with their energies, and who is on and who off at which time.

``spins`` are states (sample, site) of ±1, a sample for each measured energy. A raster is states
(repeat, time, site), ±1 or 0/1, one repeat or several. Both take whatever of the two a file is
written in, and refuse what mixes them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.arrays import (
    enough,
    finite,
    labelled,
    labels,
    listing,
    place,
    shown,
    to_numbers,
    vector,
)
from bayesinf.data.columns import columns_of, known_name
from bayesinf.data.tables import read
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

STATES_NAMES = ("states", "state", "spins")
ENERGIES_NAMES = ("energies", "energy")
RASTER_NAMES = (*STATES_NAMES, "raster", "spikes", "bint", "votes")
REPEAT_NAMES = ("repeat", "trial", "sweep")
# Axes of a raster, by the names that files give them; without names an array of three axes is taken
# to be (repeat, site, time), as multi-electrode recordings are published, and one of two to be
# (time, site).
AXES = {
    "repeat": (*REPEAT_NAMES, "repeats", "trials"),
    "time": ("time", "bin", "bins", "sample", "samples", "row"),
    "site": ("site", "sites", "cell", "cells", "neuron", "neurons", "spin", "unit"),
}
_COUNTED = re.compile(r"(.+_)?\d+")  # a column that the file gives no name


def spins(
    path: str | os.PathLike,
    *,
    energies: bool = True,
    also: Sequence[str] = (),
    least: int = 2,
) -> xr.Dataset:
    """Read spin configurations, with their energies.

    A file of arrays names them ``states``, (sample, site), and ``energies``, (sample,). In a table
    the column ``energy`` (or, where columns have no names, the last one) is the energy, and each
    other column a spin.

    Parameters
    ----------
    path : a file that ``read`` reads.
    energies : whether the file holds energies, and they are wanted.
    also : names of other arrays that are wanted where a file of arrays has them.
    least : fewest samples that will do.

    Returns
    -------
    a Dataset with ``states`` (sample, site), ±1 as int8, whose attribute ``encoding_read`` says
    whether the file held "±1" or "0/1", ``energies`` (sample,) where they are
    wanted, and what is found of ``also``, as it is, on axes NAME_dim_0, NAME_dim_1.

    Raises
    ------
    DataError : the file cannot be read, an array is missing, or the numbers will not do.
    """
    data = read(path)
    states = known_name(data.variables, STATES_NAMES)
    energy = known_name(data.variables, ENERGIES_NAMES)
    table = states is None and all(variable.ndim == 1 for variable in data.variables.values())
    columns = columns_of(data) if table else {}
    last = next(reversed(columns), None)
    if energies and energy is None and last == f"column_{len(columns)}":
        energy = last
    sites = [name for name in columns if name != energy]
    missing = "states" if not (states or sites) else "energies" if energies and not energy else ""
    if missing:
        raise DataError(
            f"there is no array or column of {missing}",
            source=path,
            expected="arrays states and energies, or columns of spins and a column energy",
            found=listing(data.data_vars),
            remedy=f"give that name to what holds the {missing}",
        )
    result = spins_from_arrays(
        data[states] if states else _stack([columns[name] for name in sites], path),
        data[energy] if energies else None,
        least=least,
        source=path,
    )
    result = result.assign({} if table else _beside(data, also))
    return result.assign_attrs(source=data.attrs["source"])


def spins_from_arrays(
    states: ArrayLike,
    energies: ArrayLike | None = None,
    *,
    least: int = 2,
    source: object = None,
) -> xr.Dataset:
    """Validate and label spins and energies held in memory; 0/1 becomes ±1 by s = 2 n − 1.

    Parameters
    ----------
    states : (sample, site), all ±1 or all 0/1.
    energies : (sample,), in the unit of their attribute, else dimensionless.
    least : fewest samples that will do.
    source : what an error message calls the origin of the arrays.

    Returns
    -------
    a Dataset as of ``spins``.

    Raises
    ------
    DataError : wrong or differing shapes, too few samples, a spin that is neither ±1 nor 0/1, an
        energy that is NaN or infinite.
    """
    import xarray as xr

    states = labelled(states, "states", source)
    if states.ndim != 2 or states.shape[1] == 0:
        raise DataError(
            "states has the wrong shape",
            source=source,
            expected="two axes (sample, site)",
            found=f"shape {states.shape}",
        )
    count, sites = states.shape
    if energies is not None:
        energies = vector(energies, "energies", source)
        if energies.size != count:
            raise DataError(
                "states and energies differ in length",
                source=source,
                expected=f"{count} energies, one for each row of states",
                found=f"{energies.size} energies for states of shape {states.shape}",
                remedy="states lies on its side: transpose it to (sample, site)"
                if energies.size == sites
                else "give one energy for each row of states",
            )
    enough(count, least, source)

    def where(row, site):
        return place(states, row, site)

    up, read_as = _read_states(states.to_numpy(), "spin", where, source)
    values = np.where(up, np.int8(1), np.int8(-1))
    attrs = {**labels(states), "encoding_read": read_as or "±1"}
    variables = {"states": (("sample", "site"), values, attrs)}
    if energies is not None:
        variables["energies"] = ("sample", finite(energies, source), labels(energies))
    return xr.Dataset(variables)


def raster(
    path: str | os.PathLike,
    *,
    sites: str | None = None,
    repeats: str | None = None,
    encoding: str | None = None,
    axes: str | None = None,
    also: Sequence[str] = (),
    least: int = 2,
) -> xr.Dataset:
    """Read who is on and who is off: spins, spikes or votes over time, in one repeat or several.

    A file of arrays names it ``states`` (or ``raster``, ``spikes``, ``bint``), else it is the one
    array of two or three axes. In a table each column is a site and each row a time; a column
    ``repeat`` or ``trial`` says which rows belong together.

    Parameters
    ----------
    path : a file that ``read`` reads.
    sites, repeats : which to keep, counted from 0: "40" the first forty, "0-9,12" these.
    encoding : "±1" or "0/1", to which the states are brought; by default the one they are in.
    axes : names of the axes in their order, such as "repeat,time,site", where the file has none.
    also : names of other arrays that are wanted where a file of arrays has them.
    least : fewest times that will do.

    Returns
    -------
    a Dataset with ``states`` (repeat, time, site), int8, whose attribute ``encoding`` says how to
    read it and ``encoding_read`` how the file was written; ``site`` and ``repeat`` hold the numbers
    in the file, or ``site`` the names of the columns where a table has names. What is found of
    ``also`` is there as it is, all sites of it, on axes NAME_dim_0, NAME_dim_1.

    Raises
    ------
    DataError : the file cannot be read, holds no such array, or the numbers will not do.
    """
    data = read(path)
    name = known_name(data.variables, RASTER_NAMES)
    if name is None:
        large = [str(n) for n, v in data.data_vars.items() if v.ndim >= 2]
        name = large[0] if len(large) == 1 else None
    if name is None and (large or any(v.ndim != 1 for v in data.data_vars.values())):
        raise DataError(
            "there is no array of states",
            source=path,
            expected="an array states, or one array of two or three axes",
            found=listing(data.data_vars),
            remedy="give the array of states that name",
        )
    array, group = data.get(name) if name else None, None
    table = array is None or array.ndim == 1
    if table:
        columns = columns_of(data)
        grouped = known_name(columns, REPEAT_NAMES)
        group = columns.pop(grouped).to_numpy() if grouped else None
        columns = {n: c for n, c in columns.items() if n not in AXES["time"]}
        if not columns:
            raise DataError("the table has no columns of sites", source=path,
                            expected="a column for each site")  # fmt: skip
        array = _stack(list(columns.values()), path).rename(site="column")
        axes = axes if group is None else "time,site"
        if not all(map(_COUNTED.fullmatch, columns)):
            array = array.assign_coords(column=list(columns))
    result = raster_from_arrays(
        array,
        group=group,
        sites=sites,
        repeats=repeats,
        encoding=encoding,
        axes=axes,
        least=least,
        source=path,
    ).assign({} if table else _beside(data, also))
    return result.assign_attrs(source=data.attrs["source"])


def raster_from_arrays(
    states: ArrayLike,
    *,
    group: ArrayLike | None = None,
    sites: str | None = None,
    repeats: str | None = None,
    encoding: str | None = None,
    axes: str | None = None,
    least: int = 2,
    source: object = None,
) -> xr.Dataset:
    """Validate and label binary data held in memory.

    Parameters
    ----------
    states : two or three axes, (time, site) or (repeat, site, time), or as ``axes`` or the
        dimensions of a DataArray say.
    group : (time,), equal in rows of the same repeat, where ``states`` has two axes.
    sites, repeats, encoding, axes, least : as for ``raster``.
    source : what an error message calls the origin of the arrays.

    Returns
    -------
    a Dataset as of ``raster``.

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
    called, rows = keep_sites, None
    if named == ["time", "site"] and "row" in array.coords:
        rows = array["row"].values.reshape(count, times)[keep_repeats]
        called = array["column"].values[keep_sites] if "column" in array.coords else keep_sites

    def where(k, t, i):
        moment = f"repeat {keep_repeats[k]}, time {t}" if rows is None else f"row {rows[k, t]}"
        return f"{moment}, site {called[i]}"

    values, attrs = _encoded(values, where, encoding, source)
    return xr.Dataset(
        {"states": (("repeat", "time", "site"), values, attrs)},
        {"repeat": keep_repeats, "time": np.arange(times), "site": called},
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
        raise DataError("the rows of a repeat do not stand together", source=source,
                        remedy="sort the rows by repeat and time")  # fmt: skip
    if len(set(lengths)) > 1:
        raise DataError("repeats differ in length", source=source,
                        expected=f"{lengths[0]} rows each, as in the first",
                        found=f"{lengths[lengths != lengths[0]][0]}",
                        remedy="cut them to one length, or leave repeats out")  # fmt: skip
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
    on, read_as = _read_states(
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


def _read_states(given, what, where, source, correct=None, agree=None):
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


def _beside(data, names):
    """What else a file holds, on axes of its own, as sites or times may have been left out."""
    return {
        name: ([f"{name}_dim_{k}" for k in range(data[name].ndim)], data[name].values)
        for name in names
        if name in data.variables
    }


def _stack(columns: list[xr.DataArray], source) -> xr.DataArray:
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
