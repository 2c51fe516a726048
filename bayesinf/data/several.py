"""Many data sets of one kind: the files of a folder, or a table with a column that names them.

``sets`` returns a source that is read in parts, each by whoever fits it; what cannot be read of a
data set is a ``reason`` in its place, and never the end of the others. Many spectra of points are
read by ``spectra``, which lays them out for compiled loops.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import tables
from bayesinf.data.arrays import listing
from bayesinf.data.columns import columns_of, pick
from bayesinf.errors import DataError, one_line

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["One", "Sets", "files", "grouped", "many", "named", "sets", "with_columns"]


@dataclass(frozen=True)
class One:
    """One data set of many.

    Parameters
    ----------
    name : what it is called.
    data : as the system's ``read`` returns it; None where it could not be read.
    reason : why it cannot be fitted; "" where it can.
    """

    name: str
    data: xr.Dataset | None = None
    reason: str = ""


@dataclass(frozen=True)
class _Part:
    """Some data sets, to be read by whoever fits them; a file that changes is another."""

    names: tuple[str, ...]
    places: tuple[object, ...]
    stamps: tuple[object, ...]
    reading: Callable[[object], xr.Dataset]

    def read(self) -> list[One]:
        """Read them, each whole or with the reason why it cannot be."""
        return [self._one(*each) for each in zip(self.names, self.places, strict=True)]

    def _one(self, name, place):
        try:
            return One(name, self.reading(place))
        except DataError as error:
            where = f" ({error.where})" if error.where else ""
            return One(name, reason=one_line(f"{error.problem}{where}"))
        except Exception as error:  # whatever one of thousands may do, the others go on
            return One(name, reason=f"cannot be read ({type(error).__name__})")


@dataclass(frozen=True)
class Sets:
    """Where many data sets come from.

    Parameters
    ----------
    path : what the user named.
    names : of the data sets, in order.
    said : how they were found, in words.
    dims : dimension of the data sets to its size.
    places : path of each, or table of each, as ``reading`` takes it.
    reading : from one of these to a Dataset.
    coords : of the dimension, none.
    """

    path: str
    names: Sequence[str]
    said: str
    dims: Mapping[str, int]
    places: Sequence[object]
    reading: Callable[[object], xr.Dataset]
    coords: Mapping[str, tuple[np.ndarray, str]] = field(default_factory=dict)

    def __len__(self):
        return len(self.names)

    def part(self, first: int, end: int) -> _Part:
        """Return data sets first to end, to be read."""
        places = tuple(self.places[first:end])
        stats = [os.stat(place) for place in places if isinstance(place, Path)]
        stamps = tuple((stat.st_size, stat.st_mtime_ns) for stat in stats)
        return _Part(tuple(self.names[first:end]), places, stamps, self.reading)

    def single(self, name: str) -> xr.Dataset:
        """Return the data set of a name.

        Raises
        ------
        DataError : there is none, or it cannot be used.
        """
        at = [k for k, each in enumerate(self.names) if each == name]
        if not at:
            raise DataError(
                f"there is no data set {name}", source=self.path, expected=listing(self.names)
            )
        found = self.part(at[0], at[0] + 1).read()[0]
        if found.reason:
            raise DataError(found.reason, source=self.path, where=name)
        told = "; ".join(filter(None, (found.data.attrs.get("read_as"), f"{name} of {self.path}")))
        return found.data.assign_attrs(read_as=told)


def sets(
    path: str | os.PathLike,
    reading: Callable[[object], xr.Dataset],
    dim: str,
    *,
    each: str | int | None = None,
    decimal: str | None = None,
) -> Sets | None:
    """Return the source of many data sets that a path names; None where it is one alone.

    Parameters
    ----------
    path : a folder, a pattern such as ``runs/*.csv``, or a table.
    reading : from a path, or a part of the table, to a Dataset.
    dim : what the dimension of the data sets is called.
    each : column of a table that names the data set of each row.
    decimal : decimal mark of a table, where it leaves it open.

    Raises
    ------
    DataError : there is nothing to read, or no such column.
    """
    path = Path(path)
    if each is not None:
        table = tables.read(path, decimal=decimal)
        columns = columns_of(table)
        name = pick(columns, each, path)
        row, whole = columns[name].dims[0], table.drop_vars(name, errors="ignore")
        names, rows = grouped(columns[name].to_numpy())
        places = [whole.isel({row: at}).assign_attrs(source=str(path)) for at in rows]
        said = f"{len(names)} data sets, named by {name}"
        return Sets(str(path), names, said, {dim: len(names)}, places, reading)
    if not many(path):
        return None
    found = files(path)
    names, said = named(found), f"{len(found)} files"
    return Sets(str(path), names, said, {dim: len(found)}, found, reading)


def with_columns(
    read: Callable[..., xr.Dataset], columns: Sequence[str | int | None], options: Mapping
) -> Callable[[object], xr.Dataset]:
    """Return the ``reading`` of a place, with columns and options; it can be pickled."""
    return partial(_read, read, tuple(columns), dict(options))


def _read(read, columns, options, place):
    return read(place, *columns, **options)


def many(path: Path) -> bool:
    """Whether a path is a folder, or a pattern."""
    return path.is_dir() or (any(mark in str(path) for mark in "*?[") and not path.exists())


def files(path: Path) -> list[Path]:
    """Return the files of a folder that can be read, or those of a pattern, scan2 before scan10.

    Raises
    ------
    DataError : there are none.
    """
    place = Path(path)
    if place.is_dir():
        known = tables.SUFFIXES
        found = [each for each in place.iterdir() if each.suffix.lower() in known]
        found = [each for each in found if each.is_file() and not each.name.startswith(".")]
    else:
        found = [each for each in map(Path, glob.glob(str(path))) if each.is_file()]
    if not found:
        raise DataError(
            "there are no files to read",
            source=path,
            expected="a folder of tables, or a pattern such as 'scans/*.csv'",
            remedy="check the name, and quote the pattern so that the shell leaves it alone",
        )
    return sorted(found, key=_natural)


def named(found: Sequence[Path]) -> list[str]:
    """Name files by their stems where these differ."""
    stems = [each.stem for each in found]
    return stems if len(set(stems)) == len(stems) else [each.name for each in found]


def grouped(labels: np.ndarray) -> tuple[list[str], list[np.ndarray]]:
    """Return the names in a column, in the order of their first rows, and the rows of each."""
    called, of_row = np.unique(labels.astype(str), return_inverse=True)
    first = np.full(len(called), len(labels))
    np.minimum.at(first, of_row, np.arange(len(labels)))
    order = np.argsort(first)
    by_row = np.argsort(of_row, kind="stable")
    ends = np.searchsorted(of_row[by_row], np.arange(len(called) + 1))
    rows = [by_row[ends[k] : ends[k + 1]] for k in order]
    return [_number(str(each)) for each in called[order]], rows


def _number(name):
    """A name as people write it: 3 for 3.0."""
    return name.removesuffix(".0") if name.removesuffix(".0").isdecimal() else name


def _natural(path):
    """Sort scan2 before scan10."""
    parts, word = [], ""
    for letter in path.name:
        if word and letter.isdecimal() != word[-1].isdecimal():
            parts, word = [*parts, word], ""
        word += letter
    return [
        (each.isdecimal(), int(each) if each.isdecimal() else 0, each) for each in [*parts, word]
    ]
