"""From a file of the user's to labelled, validated data.

``read`` opens a file and labels whatever it holds. ``curve``, ``spins`` and ``raster`` take from it
what a fit needs, y(x) with error bars, spins with energies, or who was on and who off at which
time, and refuse what no fit should see: each refusal is a DataError that names the file, the row
and the remedy. ``curve_from_arrays``, ``spins_from_arrays`` and ``raster_from_arrays`` are the same
gate for arrays in memory.

What is only unusual is read right: a byte-order mark, Windows line ends, comments after ``#``,
blank rows, columns set apart by commas, semicolons, tabs or spaces, decimal commas beside
semicolons or tabs, rows in any order, 0/1 for spins. Rows of a text file are counted as an editor
does, from 1, header and comments included.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

# Names by which columns are known, in the order in which they are looked for, in small letters.
X_NAMES = ("x", "wavelength", "wavenumber", "frequency", "energy", "time", "t", "angle", "theta",
           "2theta", "q", "position", "distance", "temperature", "channel")  # fmt: skip
Y_NAMES = ("y", "intensity", "counts", "signal", "absorbance", "transmittance", "reflectance",
           "response")  # fmt: skip
# A column is one of error bars if a word of its name, as in counts_err, is one of these.
ERROR_WORDS = {"error", "errors", "err", "stderr", "uncertainty", "unc", "sigma", "sd", "std", "dy",
               "yerr", "yerror", "dx", "xerr"}  # fmt: skip
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

_NAME_AND_UNITS = re.compile(r"\s*(.*?\S)\s*(?:\(([^()]*)\)|\[([^\[\]]*)\])\s*")
_COUNTED = re.compile(r"(.+_)?\d+")  # a column that the file gives no name
# A word of a header that spaces set apart, with the unit in brackets that may follow it.
_WORD = re.compile(r'(?:"[^"]*"|\S+)(?:\s+(?:\([^()]*\)|\[[^\[\]]*\]))?')


def read(path: str | os.PathLike) -> xr.Dataset:
    """Read every column or array of a file.

    A unit in brackets after a name, as in ``wavelength (nm)`` or ``energy [K]``, becomes the
    attribute ``units``; without one that is "1". Columns without a name are called ``column_1``,
    ``column_2``, ...

    Parameters
    ----------
    path : CSV, TSV, TXT or DAT table; NPY or NPZ; MAT; netCDF. The suffix says which.

    Returns
    -------
    a Dataset with a variable for each column or array, along ``row`` (netCDF keeps its own
    dimensions). For a table of text the coordinate ``row`` holds the rows' numbers in the file.

    Raises
    ------
    DataError : the file is missing, empty, truncated, ragged or of an unknown kind.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError("no such file", source=path, remedy="check the name and the folder")
    if path.suffix.lower() not in _LOADERS:
        raise DataError(
            "unknown kind of file",
            source=path,
            expected=f"one of {', '.join(_LOADERS)}",
            found=path.suffix or "no suffix",
        )
    kind, load = _LOADERS[path.suffix.lower()]
    try:
        if path.stat().st_size == 0:
            raise DataError("the file is empty", source=path, expected=f"a {kind} file")
        data = load(path)
    except DataError:
        raise
    except Exception as error:  # the libraries raise a dozen kinds for a damaged file
        raise DataError(
            "the file cannot be read",
            source=path,
            expected=f"a complete {kind} file",
            found=type(error).__name__,
            remedy="it may be truncated or of another format: save it again as plain numbers",
        ) from error
    if not data.variables:
        raise DataError(
            "the file holds no arrays of numbers", source=path, expected=f"a {kind} file with data"
        )
    return data.assign_attrs(source=path.name)


def curve(
    path: str | os.PathLike,
    x: str | int | None = None,
    y: str | int | None = None,
    error: str | int | None = None,
    *,
    least: int = 3,
    sort: bool = True,
) -> xr.Dataset:
    """Read y(x), with error bars where the file has them.

    Columns that are not asked for are found by well-known names (``X_NAMES``, ``Y_NAMES``,
    ``ERROR_WORDS``), else they are the first, the second and, as error bars, the third; but of
    more than three columns, some of them known or asked for, none is guessed to be error bars.

    Parameters
    ----------
    path : a file that ``read`` reads.
    x, y, error : name of the column, or its position from 1; ``error="none"`` reads no error bars.
    least : fewest rows that will do.
    sort : whether to sort the rows by x.

    Returns
    -------
    a Dataset over ``point`` with ``x``, ``y`` and, where there are error bars, ``error``; the
    attributes ``long_name`` and ``units`` are the file's.

    Raises
    ------
    DataError : the file cannot be read, a column is missing, or the numbers will not do.
    """
    data = read(path)
    columns = _columns(data)
    chosen = _choose(columns, {"x": x, "y": y, "error": error}, path)
    arrays = {role: columns[name] for role, name in chosen.items()}
    result = curve_from_arrays(**arrays, least=least, sort=sort, source=path)
    return result.assign_attrs(source=data.attrs["source"])


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
    x, y, error : arrays or DataArrays, (point,); those keep their units and names.
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
        name: _vector(values, name, source) for name, values in given.items() if values is not None
    }
    sizes = {name: column.size for name, column in columns.items()}
    if len(set(sizes.values())) > 1:
        raise DataError(
            "columns differ in length",
            source=source,
            expected="as many entries in each",
            found=", ".join(f"{size} in {name}" for name, size in sizes.items()),
        )
    _enough(sizes["x"], least, source)
    numbers = {name: _finite(column, source) for name, column in columns.items()}
    if "error" in numbers and not np.all(numbers["error"] > 0):
        row = int(np.argmin(numbers["error"] > 0))
        raise DataError(
            "an error bar is not positive",
            source=source,
            where=_place(columns["error"], row),
            expected="a standard deviation above zero",
            found=_shown(columns["error"], row),
            remedy="correct or remove the row, or choose 'none' for the error bars",
        )
    if np.all(numbers["x"] == numbers["x"][0]):
        raise DataError(
            "all x are equal",
            source=source,
            where=_column(columns["x"]),
            expected="at least two different values",
            found=_shown(columns["x"], 0),
            remedy="check which column is x",
        )
    order = np.argsort(numbers["x"], kind="stable") if sort else slice(None)
    result = xr.Dataset(
        {name: ("point", values[order], _labels(columns[name])) for name, values in numbers.items()}
    )
    if "error" in result and result.error.units == "1":
        result.error.attrs["units"] = result.y.units
    return result


def spins(path: str | os.PathLike, *, energies: bool = True, least: int = 2) -> xr.Dataset:
    """Read spin configurations, with their energies.

    A file of arrays names them ``states``, (sample, site), and ``energies``, (sample,). In a table
    the column ``energy`` (or, where columns have no names, the last one) is the energy, and each
    other column a spin.

    Parameters
    ----------
    path : a file that ``read`` reads.
    energies : whether the file holds energies, and they are wanted.
    least : fewest samples that will do.

    Returns
    -------
    a Dataset with ``states`` (sample, site), ±1 as int8, whose attribute ``encoding_read`` says
    whether the file held "±1" or "0/1", and ``energies`` (sample,) where they are wanted.

    Raises
    ------
    DataError : the file cannot be read, an array is missing, or the numbers will not do.
    """
    data = read(path)
    states = _known(data.variables, STATES_NAMES)
    energy = _known(data.variables, ENERGIES_NAMES)
    table = states is None and all(variable.ndim == 1 for variable in data.variables.values())
    columns = _columns(data) if table else {}
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
            found=_listing(data.data_vars),
            remedy=f"give that name to what holds the {missing}",
        )
    result = spins_from_arrays(
        data[states] if states else _stack([columns[name] for name in sites], path),
        data[energy] if energies else None,
        least=least,
        source=path,
    )
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

    states = _labelled(states, "states", source)
    if states.ndim != 2 or states.shape[1] == 0:
        raise DataError(
            "states has the wrong shape",
            source=source,
            expected="two axes (sample, site)",
            found=f"shape {states.shape}",
        )
    count, sites = states.shape
    if energies is not None:
        energies = _vector(energies, "energies", source)
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
    _enough(count, least, source)
    values = _numbers(states.to_numpy())
    zero, minus = values == 0, values == -1
    wrong = ~(zero | minus | (values == 1))
    if wrong.any() or (zero.any() and minus.any()):
        mixed = not wrong.any()
        row, site = np.argwhere(zero if mixed else wrong)[0]
        raise DataError(
            "a spin is neither ±1 nor 0/1",
            source=source,
            where=_place(states, row, site),
            expected="−1 and 1 throughout, or 0 and 1 throughout",
            found=_shown(states, row, site) + (" beside −1" if mixed else ""),
        )
    binary = bool(zero.any())
    values = values.astype(np.int8)
    labels = {**_labels(states), "encoding_read": "0/1" if binary else "±1"}
    variables = {"states": (("sample", "site"), 2 * values - 1 if binary else values, labels)}
    if energies is not None:
        variables["energies"] = ("sample", _finite(energies, source), _labels(energies))
    return xr.Dataset(variables)


def raster(
    path: str | os.PathLike,
    *,
    sites: str | None = None,
    repeats: str | None = None,
    encoding: str | None = None,
    axes: str | None = None,
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
    least : fewest times that will do.

    Returns
    -------
    a Dataset with ``states`` (repeat, time, site), int8, whose attribute ``encoding`` says how to
    read it and ``encoding_read`` how the file was written; ``site`` and ``repeat`` hold the numbers
    in the file, or ``site`` the names of the columns where a table has names.

    Raises
    ------
    DataError : the file cannot be read, holds no such array, or the numbers will not do.
    """
    data = read(path)
    name = _known(data.variables, RASTER_NAMES)
    if name is None:
        large = [str(n) for n, v in data.data_vars.items() if v.ndim >= 2]
        name = large[0] if len(large) == 1 else None
    if name is None and (large or any(v.ndim != 1 for v in data.data_vars.values())):
        raise DataError(
            "there is no array of states",
            source=path,
            expected="an array states, or one array of two or three axes",
            found=_listing(data.data_vars),
            remedy="give the array of states that name",
        )
    array, group = data.get(name) if name else None, None
    if array is None or array.ndim == 1:
        columns = _columns(data)
        grouped = _known(columns, REPEAT_NAMES)
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
        array, group=group, sites=sites, repeats=repeats, encoding=encoding, axes=axes,
        least=least, source=path,
    )  # fmt: skip
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

    array = _labelled(states, "states", source)
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
    _enough(times, least, source)
    table, labels = named == ["time", "site"] and "row" in array.coords, keep_sites
    place = lambda k, t, i: f"repeat {keep_repeats[k]}, time {t}, site {labels[i]}"
    if table:
        rows = array["row"].values.reshape(count, times)[keep_repeats]
        place = lambda k, t, i: f"row {rows[k, t]}, site {labels[i]}"
        labels = array["column"].values[keep_sites] if "column" in array.coords else keep_sites
    values, read_as = _binary(values, place, encoding, source)
    target = encoding or read_as
    attrs = {"units": "1", "encoding": target, "encoding_read": read_as}
    return xr.Dataset(
        {"states": (("repeat", "time", "site"), values, attrs)},
        {"repeat": keep_repeats, "time": np.arange(times), "site": labels},
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


def _binary(given, place, encoding, source):
    """States as int8 in the encoding that is asked for, and the one that they were in."""
    values = _numbers(given)
    zero, minus, one = values == 0, values == -1, values == 1
    wrong = ~(zero | minus | one)
    mixed = not wrong.any() and zero.any() and minus.any()
    if wrong.any() or mixed:
        k, t, i = np.argwhere(zero if mixed else wrong)[0]
        raise DataError(
            "a state is neither ±1 nor 0/1",
            source=source,
            where=place(k, t, i),
            expected="−1 and 1 throughout, or 0 and 1 throughout",
            found=_value(given[k, t, i]) + (" beside −1" if mixed else ""),
            remedy="write off as −1 or as 0, but all of it in one way"
            if mixed
            else "correct it, or leave the site or the repeat out",
        )
    if not (zero.any() or minus.any()) and encoding is None:
        raise DataError("all states are 1, which belongs to both encodings", source=source,
                        remedy="say --encoding ±1 or --encoding 0/1")  # fmt: skip
    read_as = "0/1" if zero.any() else "±1" if minus.any() else encoding
    if encoding not in (None, "±1", "0/1"):
        raise DataError("unknown encoding", source=source, expected="'±1' or '0/1'",
                        found=repr(encoding))  # fmt: skip
    off = -1 if (encoding or read_as) == "±1" else 0
    return np.where(one, np.int8(1), np.int8(off)), read_as


# Loaders: a path to a Dataset, one for each kind of file.


def _text(path: Path) -> xr.Dataset:
    lines = (line.partition("#")[0] for line in io.StringIO(_decoded(path), newline=None))
    # A row of nothing but separators is a blank one: spreadsheets leave them at the end.
    kept = [(row, line.rstrip("\n")) for row, line in enumerate(lines, 1) if line.strip(" \t,;\n")]
    if not kept:
        raise DataError("the file is empty", source=path, expected="rows of numbers")
    frequent = (mark for mark in ";\t," if 2 * sum(mark in line for _, line in kept) > len(kept))
    separator = next(frequent, None)
    table = [(row, _cells(line, separator)) for row, line in kept]
    first = table[0][1] if separator else [word.strip('"') for word in _WORD.findall(kept[0][1])]
    names = first if _is_header(first) else []
    while names and not names[-1]:
        names.pop()
    if not (table := table[1:] if names else table):
        raise DataError(
            "the file has a header and no rows below it",
            source=path,
            expected="rows of numbers",
            found=_listing(names),
        )
    width = len(names) or Counter(len(cells) for _, cells in table).most_common(1)[0][0]
    for row, cells in table:
        if len(cells) < width or any(cells[width:]):
            raise DataError(
                f"the row has too {'few' if len(cells) < width else 'many'} columns",
                source=path,
                where=f"row {row}",
                expected=f"{width} ({_listing(names)})" if names else f"{width} as in most rows",
                found=len(cells),
                remedy="correct the row, or start it with # if it is a comment",
            )
    names = names or [""] * width
    rows, table = zip(*table, strict=True)
    columns = list(zip(*(cells[:width] for cells in table), strict=True))
    if any(names) and not names[0] and columns[0] == tuple(map(str, range(len(rows)))):
        columns[0] = ()  # the index that pandas writes before the columns
    if separator in (";", "\t") and not any("." in cell for cell in chain.from_iterable(columns)):
        columns = [[cell.replace(",", ".") for cell in column] for column in columns]
    arrays = [
        (name or f"column_{position}", _parsed(column))
        for position, (name, column) in enumerate(zip(names, columns, strict=True), 1)
        if name or any(column)  # a separator at the end of each row makes a column of nothing
    ]
    return _dataset(arrays, rows)


def _numpy(path: Path) -> xr.Dataset:
    with path.open("rb") as file:  # opened here, as numpy leaves a damaged file open
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            return _dataset((name, loaded[name]) for name in loaded.files)
    if loaded.dtype.names:
        return _dataset((name, loaded[name]) for name in loaded.dtype.names)
    return _dataset(("", column) for column in (loaded.T if loaded.ndim == 2 else [loaded]))


def _matlab(path: Path) -> xr.Dataset:
    import scipy.io

    try:
        loaded = scipy.io.loadmat(path, squeeze_me=True)
    except NotImplementedError:  # version 7.3 is HDF5, with the axes in reverse order
        import h5py

        with h5py.File(path) as file:
            loaded = {
                name: np.squeeze(np.transpose(item[()]))
                for name, item in file.items()
                if isinstance(item, h5py.Dataset)
            }
    return _dataset((name, array) for name, array in loaded.items() if not name.startswith("__"))


def _netcdf(path: Path) -> xr.Dataset:
    import xarray as xr

    # Opened here: xarray would map a classic file into memory, and leave a damaged one open.
    with path.open("rb") as file, xr.open_dataset(file, decode_times=False) as opened:
        return opened.load()


_LOADERS = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".dat"), ("text", _text)),
    ".npy": ("NPY", _numpy),
    ".npz": ("NPZ", _numpy),
    ".mat": ("MAT", _matlab),
    **dict.fromkeys((".nc", ".nc4", ".cdf"), ("netCDF", _netcdf)),
}


def _decoded(path: Path) -> str:
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16")
    if b"\0" in raw:
        raise DataError(
            "the file is not text", source=path, remedy="give it the suffix of its format"
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")  # every byte is a letter: µ and ° of older Windows programs


def _cells(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return [cell.strip('"') for cell in line.split()]
    reader = csv.reader([line], delimiter=separator, skipinitialspace=True)
    return [cell.strip() for cell in next(reader)]


def _is_header(cells: list[str]) -> bool:
    """Whether a first row is one of names, which may be 0, 1, 2, ... beside a word.

    Anything else with a number in it is data, so that a bad cell is reported and not swallowed.
    """
    numbers = [cell for cell in cells if _number(cell.replace(",", ".")) is not None]
    counts = [[str(k + start) for k in range(len(numbers))] for start in (0, 1)]
    words = len(numbers) < sum(map(bool, cells))
    return words and (not numbers or (len(numbers) > 1 and numbers in counts))


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return np.nan if cell.upper() in ("NA", "N/A") else None


def _parsed(column: Iterable[str]) -> np.ndarray:
    """Numbers where every cell is one; else the text as it stands."""
    try:
        return np.array(column, dtype=np.float64)
    except ValueError:
        return np.array(column)


def _dataset(arrays: Iterable[tuple[str, ArrayLike]], rows=None) -> xr.Dataset:
    """Label (header, array) pairs; arrays as long as the first share the dimension ``row``."""
    import xarray as xr

    variables, count = {}, None
    for position, (header, values) in enumerate(arrays, 1):
        values = np.asarray(values)
        if values.dtype.kind not in "biufcUSM":  # cells, structures
            continue
        name, units = _name_and_units(header)
        name = name or f"column_{position}"
        while name in variables or name == "row":
            name = f"{name}_{position}"
        dims = [f"axis {axis} of {name}" for axis in range(values.ndim)]
        if dims:
            count = len(values) if count is None else count
            dims[0] = "row" if len(values) == count else dims[0]
        variables[name] = (dims, values, {"units": units or "1", "long_name": name})
    return xr.Dataset(variables, None if rows is None else {"row": np.array(rows)})


def _name_and_units(header: str) -> tuple[str, str]:
    match = _NAME_AND_UNITS.fullmatch(header)
    return (match[1], (match[2] or match[3] or "").strip()) if match else (header.strip(), "")


# Choosing columns.


def _columns(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """One-dimensional arrays and the columns of tables; coordinates, such as x of y(x), first."""
    columns = {}
    for name in map(str, [*data.coords, *data.data_vars]):
        array = data[name]
        if array.ndim == 1 and name != "row":
            columns[name] = array
        elif array.ndim == 2:
            for k in range(array.shape[1]):
                label = name if array.shape[1] == 1 else f"{name}_{k + 1}"
                columns[label] = array[:, k].rename(label).assign_attrs(long_name=label)
    return columns


def _choose(
    columns: Mapping[str, xr.DataArray], asked: Mapping[str, str | int | None], source
) -> dict[str, str]:
    """Column names of x, y and error: those asked for, else by well-known names, else by order."""
    bars = asked["error"] != "none"
    chosen = {
        role: _pick(columns, wanted, source)
        for role, wanted in asked.items()
        if wanted is not None and (bars or role != "error")
    }
    words = {name: set(re.split(r"[\W_]+", name.casefold())) for name in columns}
    free = lambda: [name for name in columns if name not in chosen.values()]
    for role, known in (("x", X_NAMES), ("y", Y_NAMES)):
        if role not in chosen and (found := _known(free(), known)):
            chosen[role] = found
    third = not {"x", "y"} & chosen.keys() or (len(columns) == 3 and not any(asked.values()))
    for role in ("x", "y"):
        left = sorted(free(), key=lambda name: bool(ERROR_WORDS & words[name]))
        if role not in chosen and not left:
            raise DataError(
                "too few columns",
                source=source,
                expected="a column of x and another of y",
                found=_listing(columns) or "none",
            )
        if role not in chosen:
            chosen[role] = left[0]
    if bars and "error" not in chosen:
        named = [name for name in free() if ERROR_WORDS & words[name]]
        of_x = lambda name: words[name] & {"x", "dx", "xerr"} or words[chosen["x"]] <= words[name]
        found = [name for name in named if not of_x(name)]
        found.sort(key=lambda name: not words[chosen["y"]] & words[name])
        if third and not named:
            found = [name for name in list(columns)[2:3] if name in free()]
        chosen |= {"error": found[0]} if found else {}
    return chosen


def _pick(columns: Mapping[str, xr.DataArray], wanted: str | int, source) -> str:
    """The column of a name or, from 1, of a position."""
    text = str(wanted).strip()
    names = [] if isinstance(wanted, int) else [text, _name_and_units(text)[0]]
    for name in names:
        if found := _known(columns, [name, name.casefold()]):
            return found
    if text.isdecimal() and 1 <= int(text) <= len(columns):
        return list(columns)[int(text) - 1]
    raise DataError(
        f"there is no column {text}",
        source=source,
        expected=f"a name, or a position from 1 to {len(columns)}",
        found=_listing(columns),
    )


def _known(names: Iterable[str], wanted: Iterable[str]) -> str | None:
    """The first of the wanted names that is there, whatever its capitals."""
    there = {str(name).casefold(): str(name) for name in reversed(list(names))}
    there |= {str(name): str(name) for name in there.values()}
    return next((there[name] for name in wanted if name in there), None)


def _stack(columns: list[xr.DataArray], source) -> xr.DataArray:
    import xarray as xr

    if len({column.size for column in columns}) > 1:
        raise DataError(
            "columns differ in length",
            source=source,
            expected="as many entries in each",
            found=_listing(f"{column.size} in {column.name}" for column in columns),
        )
    rows = {"row": columns[0].row.to_numpy()} if "row" in columns[0].coords else None
    values = np.column_stack([column.to_numpy() for column in columns])
    return xr.DataArray(values, rows, ("row", "site"), "states")


def _listing(names: Iterable[str]) -> str:
    names = list(map(str, names))
    shown = names if len(names) <= 12 else [*names[:9], "...", names[-1]]
    return f"{', '.join(shown)} ({len(names)} in all)" if len(names) > 12 else ", ".join(shown)


# Validating arrays.


def _labelled(values: ArrayLike | xr.DataArray, name: str, source) -> xr.DataArray:
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


def _vector(values: ArrayLike | xr.DataArray, name: str, source) -> xr.DataArray:
    array = _labelled(values, name, source)
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


def _labels(array: xr.DataArray) -> dict[str, str]:
    return {
        "long_name": array.attrs.get("long_name", array.name),
        "units": array.attrs.get("units") or "1",
    }


def _enough(count: int, least: int, source) -> None:
    if count < least:
        raise DataError(
            "too few rows",
            source=source,
            expected=f"at least {least}",
            found=count,
            remedy="rows are samples and columns are variables: transpose a table on its side",
        )


def _numbers(values: np.ndarray) -> np.ndarray:
    """The values as numbers; NaN where a text is none."""
    if values.dtype.kind in "biuf":
        return values
    numbers = [_number(word) for word in values.astype(str).ravel().tolist()]
    return np.array(numbers, dtype=np.float64).reshape(values.shape)  # None becomes NaN


def _finite(array: xr.DataArray, source) -> np.ndarray:
    numbers = _numbers(array.to_numpy()).astype(np.float64)
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers)))
        raise DataError(
            "not a finite number",
            source=source,
            where=_place(array, row),
            expected="a number",
            found=_shown(array, row),
            remedy="correct or remove the row",
        )
    return numbers


def _place(array: xr.DataArray, row: int, site: int | None = None) -> str:
    """Where an entry stands: the row of the file where that is known, else counted from 1."""
    known = "row" in array.coords
    number = f"{array.row.to_numpy()[row]}" if known else f"{row + 1} (counting from 1)"
    return f"row {number}, " + (_column(array) if site is None else f"site {site + 1}")


def _column(array: xr.DataArray) -> str:
    return f"column {str(array.name).removeprefix('column_')}"


def _shown(array: xr.DataArray, *index: int) -> str:
    return _value(array.to_numpy()[index])


def _value(value) -> str:
    if isinstance(value, str):
        return repr(str(value[:40])) if value.strip() else "an empty cell"
    if isinstance(value, float | np.floating):
        return "NaN" if np.isnan(value) else f"{value:.10g}"
    return str(value)
