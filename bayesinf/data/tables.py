"""From a file to labelled arrays, whatever its format.

``read`` opens a file and labels what it holds; the suffix says which of the readers beside this
module knows the format. What was guessed on the way stands in the attribute ``read_as``.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from bayesinf import reader
from bayesinf.data import containers, instruments, jcamp, sheets, text
from bayesinf.errors import DataError
from bayesinf.sealed import refuse_large

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SUFFIXES", "place_in", "read"]


def read(path: str | os.PathLike, *, decimal: str | None = None) -> xr.Dataset:
    """Read every column or array of a file.

    A unit in brackets after a name, as in ``wavelength (nm)`` or ``energy [K]``, after a stroke, as
    in ``r/Å``, or in a row of units becomes the attribute ``units``; without one that is "1".
    Columns without a name are called ``column_1``, ``column_2``, ...

    Parameters
    ----------
    path : a table of text; a spreadsheet; JCAMP-DX; NPY, NPZ, MAT, HDF5 or netCDF. The suffix says
        which. ``file.h5:/group/dataset`` names a place in a file of arrays,
        ``book.xlsx:sheet`` a sheet.
    decimal : the decimal mark of a text, "." or ",", where its numbers do not show it.

    Returns
    -------
    a Dataset with a variable for each column or array, along ``row`` (netCDF keeps its own
    dimensions). For a table of text the coordinate ``row`` holds the rows' numbers in the file. The
    attribute ``read_as``, where it is there, says what was passed over or concluded.

    Raises
    ------
    DataError : the file is missing, empty, truncated, ragged or of an unknown kind.
    """
    path, place = place_in(Path(path))
    if not path.is_file():
        raise DataError("no such file", source=path, remedy="check the name and the folder")
    if path.suffix.lower() not in _LOADERS:
        raise DataError(
            "unknown kind of file",
            source=path,
            expected=f"one of {', '.join(_LOADERS)}",
            found=path.suffix or "no suffix",
            remedy=_remedy(path),
        )
    kind, load = _LOADERS[path.suffix.lower()]
    options = {"decimal": decimal} if kind == "text" else {}
    if place and kind not in _PLACED:
        raise DataError(
            f"a {kind} file holds no places", source=path, found=place, remedy="leave it out"
        )
    try:
        if path.stat().st_size == 0:
            raise DataError("the file is empty", source=path, expected=f"a {kind} file")
        if kind in _APART:
            data = reader.apart(load, path, place, kind)
        elif kind in _FOLDED:
            refuse_large(path)
            with warnings.catch_warnings():  # of letters in a damaged header
                warnings.simplefilter("ignore")
                data = load(path, place) if kind in _PLACED else load(path)
        else:
            data = load(path, **options)
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
    return data.assign_attrs(source=f"{path.name}:{place}" if place else path.name)


def place_in(path: Path) -> tuple[Path, str]:
    """Split a path from the place in the file that may follow a colon."""
    whole = str(path)
    for suffix in (suffix for suffix, (kind, _) in _LOADERS.items() if kind in _PLACED):
        front, mark, place = whole.partition(f"{suffix}:")
        if mark and place:
            return Path(front + suffix), place
    return path, ""


def _remedy(path):
    """What to do about a file whose suffix is unknown, by how it begins."""
    with path.open("rb") as file:
        head = file.read(512)
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<?xml"):
        return "it is XML: export a table of text from the program that wrote it"
    if b"\0" in head or any(byte < 7 for byte in head):
        return "it is binary: export a table of text from the program that wrote it"
    return "if it is a table of text, give it the suffix .txt"


def _text(path: Path, decimal: str | None = None) -> xr.Dataset:
    return text.table(text.decoded(path.read_bytes(), path), path, decimal=decimal)


_TEXT = (
    ".csv",
    ".tsv",
    ".txt",
    ".dat",
    ".xy",
    ".dpt",
    ".prn",
    ".lvm",
    ".log",
    ".out",
    ".tab",
    ".table",
)
_APART = ("MAT", "HDF5", "netCDF", "spreadsheet")  # whose libraries a damaged file can kill
_FOLDED = ("NPZ", "NPY")  # read here, and perhaps larger than they look
_PLACED = ("NPZ", "MAT", "HDF5", "netCDF", "spreadsheet")
_LOADERS = {
    **dict.fromkeys(_TEXT, ("text", _text)),
    ".asc": ("text", instruments.rigaku),
    ".xye": ("text", instruments.xye),
    ".chi": ("text", instruments.chi),
    ".uxd": ("UXD", instruments.uxd),
    ".spe": ("Spe", instruments.spe),
    **dict.fromkeys((".jdx", ".dx", ".jcamp", ".jcm"), ("JCAMP-DX", jcamp.jcamp)),
    ".xlsx": ("spreadsheet", sheets.workbook),
    ".npy": ("NPY", containers.npy),
    ".npz": ("NPZ", containers.npz),
    ".mat": ("MAT", containers.matlab),
    **dict.fromkeys((".h5", ".hdf5", ".hdf", ".nxs"), ("HDF5", containers.hdf5)),
    **dict.fromkeys((".nc", ".nc4", ".cdf"), ("netCDF", containers.netcdf)),
}
SUFFIXES = tuple(_LOADERS)  # of the files that are read
