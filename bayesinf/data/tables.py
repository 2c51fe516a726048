"""From a file to labelled arrays, whatever its format and dialect.

``read`` opens a file and labels what it holds. What is only unusual is read right: a byte-order
mark, Windows line ends, comments after ``#``, rows of them after ``%``, blank rows, columns set
apart by commas, semicolons, tabs or spaces, decimal commas beside semicolons or tabs. Rows of a
text file are counted as an editor does, from 1, header and comments included. By ``columns_of``,
``known_name`` and ``pick`` the other readers find in it what they need.
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

from bayesinf.data.arrays import listing, number
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

_NAME_AND_UNITS = re.compile(r"\s*(.*?\S)\s*(?:\(([^()]*)\)|\[([^\[\]]*)\])\s*")
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


# Loaders: a path to a Dataset, one for each kind of file.


def _text(path: Path) -> xr.Dataset:
    lines = (line.partition("#")[0] for line in io.StringIO(_decoded(path), newline=None))
    # A row of nothing but separators is a blank one: spreadsheets leave them at the end.
    kept = [(row, line.rstrip("\n")) for row, line in enumerate(lines, 1) if line.strip(" \t,;\n")]
    kept = _without_percent(kept)
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
            found=listing(names),
        )
    width = len(names) or Counter(len(cells) for _, cells in table).most_common(1)[0][0]
    for row, cells in table:
        if len(cells) < width or any(cells[width:]):
            raise DataError(
                f"the row has too {'few' if len(cells) < width else 'many'} columns",
                source=path,
                where=f"row {row}",
                expected=f"{width} ({listing(names)})" if names else f"{width} as in most rows",
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


def _without_percent(rows):
    """Leave out remarks after %, as MATLAB writes them, and keep a header such as ``%T, angle``.

    It is a header where it has as many words as the next row.
    """
    bare = [row for row in rows if not row[1].lstrip().startswith("%")]
    if not bare or rows[0] is bare[0]:
        return bare
    widths = [len(re.split(r"[,;\t]\s*|\s+", line.strip())) for _, line in (rows[0], bare[0])]
    return [rows[0], *bare] if widths[0] == widths[1] else bare


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
    numbers = [cell for cell in cells if number(cell.replace(",", ".")) is not None]
    counts = [[str(k + start) for k in range(len(numbers))] for start in (0, 1)]
    words = len(numbers) < sum(map(bool, cells))
    return words and (not numbers or (len(numbers) > 1 and numbers in counts))


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
        name, units = name_and_units(header)
        name = name or f"column_{position}"
        while name in variables or name == "row":
            name = f"{name}_{position}"
        dims = [f"axis {axis} of {name}" for axis in range(values.ndim)]
        if dims:
            count = len(values) if count is None else count
            dims[0] = "row" if len(values) == count else dims[0]
        variables[name] = (dims, values, {"units": units or "1", "long_name": name})
    return xr.Dataset(variables, None if rows is None else {"row": np.array(rows)})


def name_and_units(header: str) -> tuple[str, str]:
    """Split a header into the name and the unit in brackets after it, "" where there is none."""
    match = _NAME_AND_UNITS.fullmatch(header)
    return (match[1], (match[2] or match[3] or "").strip()) if match else (header.strip(), "")


# Choosing columns.


def columns_of(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return one-dimensional arrays and columns of tables; coordinates, as x of y(x), first."""
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
