"""Many spectra: files of a folder, a table with a column that names them, a cube of a map.

``spectra`` finds out which it is and returns a source that is read in parts, so that no more of a
map is in memory than is at work. What cannot be read of a spectrum is a ``reason`` in its place,
and never the end of the others.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import reader
from bayesinf.data import cubes, tables
from bayesinf.data.arrays import listing, to_numbers
from bayesinf.data.bars import deviations
from bayesinf.data.columns import columns_of, pick
from bayesinf.data.curve import axes, curve, curve_from_arrays, variable_name
from bayesinf.data.roles import choose
from bayesinf.data.several import files, grouped, many, named
from bayesinf.errors import DataError, one_line

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Cube", "Files", "Several", "Source", "Spectrum", "Table", "spectra"]

# Axes of spectra, in the order in which they are looked for; x and y are places in a map.
_ALONG = "energy wavelength wavenumber frequency raman_shift shift channel lambda q tth theta"
ALONG = tuple(_ALONG.split())
CUBES = (".nc", ".nc4", ".cdf", ".h5", ".hdf5", ".hdf", ".nxs")
TRIED = 20  # files that are read first, to know what most call x and y


@dataclass(frozen=True)
class Spectrum:
    """One spectrum of many.

    Parameters
    ----------
    name : what it is called.
    x, y : (point,), sorted by x; None where it could not be read.
    error : sd of the noise, (point,), where it is known.
    reason : why it cannot be fitted; "" where it can.
    """

    name: str
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    error: np.ndarray | None = None
    reason: str = ""


@dataclass(frozen=True)
class Several:
    """Spectra that are at hand."""

    held: tuple[Spectrum, ...]

    def read(self) -> list[Spectrum]:
        """Return them."""
        return list(self.held)


@dataclass(frozen=True)
class Source:
    """Where many spectra come from.

    Parameters
    ----------
    path : what the user named.
    names : of the spectra, in order.
    labels : "x" and "y" to name and unit.
    said : how it was read, in words.
    dims : dimension of the spectra to its size; of a map, its own.
    coords : dimension to coordinate and unit, where it has one.
    """

    path: str
    names: Sequence[str]
    labels: Mapping[str, tuple[str, str]]
    said: str
    dims: Mapping[str, int]
    coords: Mapping[str, tuple[np.ndarray, str]] = field(default_factory=dict)

    def __len__(self):
        return len(self.names)

    def part(self, first: int, end: int) -> object:
        """Return spectra first to end as something small with a method ``read``."""
        raise NotImplementedError

    def find(self, name: str) -> Spectrum:
        """Return the spectrum of a name.

        Raises
        ------
        DataError : there is none, or it cannot be used.
        """
        wanted = name.replace(" ", "")
        at = [k for k, each in enumerate(self.names) if each.replace(" ", "") == wanted]
        if not at:
            raise DataError(
                f"there is no spectrum {name}",
                source=self.path,
                expected=listing(self.names),
            )
        found = self.part(at[0], at[0] + 1).read()[0]
        if found.reason:
            raise DataError(found.reason, source=self.path, where=f"spectrum {name}")
        return found

    def single(self, name: str) -> xr.Dataset:
        """Return the spectrum of a name as of ``bayesinf.data.curve``.

        Raises
        ------
        DataError : there is none, or it is no curve.
        """
        import xarray as xr

        found = self.find(name)
        x, y = (
            xr.DataArray(array, dims="point", name=named, attrs={"units": unit})
            for array, (named, unit) in zip((found.x, found.y), self.labels.values(), strict=True)
        )
        made = curve_from_arrays(x, y, found.error, source=f"{self.path}, spectrum {name}")
        told = f"spectrum {name} of {len(self)}; {self.said}"
        return made.assign_attrs(case=f"{Path(self.path).name}, {name}", read_as=told, source=name)


# --- files ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Paths:
    """Some files, to be read by whoever fits them; a file that changes is another."""

    paths: tuple[str, ...]
    names: tuple[str, ...]
    stamps: tuple[tuple[int, int], ...]
    options: Mapping[str, object]
    units: tuple[str, str]

    def read(self) -> list[Spectrum]:
        """Read them, each whole or with the reason why it cannot be."""
        return [self._one(*each) for each in zip(self.paths, self.names, strict=True)]

    def _one(self, path, name):
        try:
            found = curve(path, **self.options)
        except DataError as error:
            where = f" ({error.where})" if error.where else ""
            return Spectrum(name, reason=one_line(f"{error.problem}{where}"))
        except Exception as error:  # whatever one file of thousands may do, the others go on
            return Spectrum(name, reason=f"cannot be read ({type(error).__name__})")
        x, y, error = axes(found)
        for each, unit in zip((x, y), self.units, strict=True):
            if each.units != unit:
                return Spectrum(name, reason=f"{each.name} is in {each.units}, others in {unit}")
        arrays = (None if each is None else each.to_numpy() for each in (x, y, error))
        return Spectrum(name, *arrays)


@dataclass(frozen=True)
class Files(Source):
    """Spectra of which each is a file."""

    paths: Sequence[str] = ()
    options: Mapping[str, object] = field(default_factory=dict)

    def part(self, first, end):
        """Return some files."""
        paths = tuple(self.paths[first:end])
        stats = [os.stat(path) for path in paths]
        return _Paths(
            paths,
            tuple(self.names[first:end]),
            tuple((stat.st_size, stat.st_mtime_ns) for stat in stats),
            self.options,
            tuple(unit for _, unit in self.labels.values()),
        )


def _files(path, options):
    found = files(path)
    tried, failed = {}, None
    for each in found[:TRIED]:
        try:
            tried[each.name] = curve(each, **options)
        except DataError as error:
            failed = failed or error
    if not tried:
        raise failed
    # What most call it; a file in other units is told apart when it is read.
    names = Counter(_labels(read) for read in tried.values())
    (x, y), _ = names.most_common(1)[0]
    first = next(name for name, read in tried.items() if _labels(read) == (x, y))
    names = named(found)
    told = f"{len(found)} files; of {first}: {tried[first].attrs.get('read_as', '')}"
    dims = {"spectrum": len(found)}
    labels = {"x": x, "y": y}
    return Files(str(path), names, labels, told, dims, {}, [str(each) for each in found], options)


def _labels(read):
    """Name and unit of x and of y."""
    return tuple((str(one.name), one.units) for one in axes(read)[:2])


# --- a table --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table(Source):
    """Spectra in the rows of a table, of which a column says whose each row is."""

    rows: Sequence[np.ndarray] = ()
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    windows: Sequence[tuple[float, float]] = ()

    def part(self, first, end):
        """Return some spectra."""
        return Several(tuple(self._one(k) for k in range(first, end)))

    def _one(self, k):
        arrays = {role: column[self.rows[k]] for role, column in self.columns.items()}
        order = np.argsort(arrays["x"], kind="stable")
        inside = _inside(arrays["x"][order], self.windows)
        arrays = {role: values[order][inside] for role, values in arrays.items()}
        return Spectrum(self.names[k], **arrays)


def _table(path, spectrum, x, y, error, decimal, windows):
    read = tables.read(path, decimal=decimal)
    columns = columns_of(read)
    name = pick(columns, spectrum, path)
    others = {each: column for each, column in columns.items() if each != name}
    roles = choose(others, {"x": x, "y": y, "error": error}, source=path)
    names, rows = grouped(columns[name].to_numpy())
    numbers = {r: to_numbers(others[n].to_numpy()).astype(float) for r, n in roles.names.items()}
    labels = {
        role: (variable_name(others[roles.names[role]].name, role), others[roles.names[role]].units)
        for role in ("x", "y")
    }
    told = f"{len(names)} spectra, named by {name}; {roles.words}"
    if "error" in numbers:
        held = {role: others[n].copy(data=numbers[role]) for role, n in roles.names.items()}
        bars, words = deviations(held["error"], held["y"], path)
        numbers["error"], told = bars.to_numpy(), "; ".join(filter(None, (told, words)))
    dims = {"spectrum": len(names)}
    return Table(str(path), names, labels, told, dims, {}, rows, numbers, tuple(windows))


# --- a cube ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Slice:
    """Spectra of a cube, to be read by whoever fits them."""

    path: str
    kind: str
    group: str
    arrays: tuple[str, str | None]
    last: str
    first: int
    end: int
    lead: tuple[int, ...]
    names: tuple[str, ...]
    x: np.ndarray
    windows: tuple[tuple[float, float], ...]
    stamp: tuple[int, int]
    bars: np.ndarray | None = None

    def read(self) -> list[Spectrum]:
        """Read them: rows of the first axis of the map, of which the ends may be cut."""
        inner = int(np.prod(self.lead[1:]))
        rows = self.first // inner, -(-self.end // inner)
        cut = slice(self.first - rows[0] * inner, self.end - rows[0] * inner)
        order = np.argsort(self.x, kind="stable")
        x = self.x[order]
        kept = order[_inside(x, self.windows)]

        def held(name):
            place = json.dumps([self.group, name, self.last, *rows])
            found = reader.apart(cubes.part, Path(self.path), place, self.kind)
            return found.reshape(-1, found.shape[-1])[cut][:, kept]

        y = held(self.arrays[0])
        error = held(self.arrays[1]) if self.arrays[1] else None
        if self.bars is not None:
            error = np.broadcast_to(self.bars[kept], y.shape)
        x = self.x[kept]
        return [
            Spectrum(name, x, y[k], None if error is None else error[k])
            for k, name in enumerate(self.names)
        ]


@dataclass(frozen=True)
class Cube(Source):
    """Spectra along one axis of an array, which has a place for each along the others."""

    group: str = ""
    kind: str = "netCDF"
    arrays: tuple[str, str | None] = ("", None)
    last: str = ""
    x: np.ndarray | None = None
    bars: np.ndarray | None = None
    windows: tuple[tuple[float, float], ...] = ()

    def part(self, first, end):
        """Return some spectra."""
        stat = os.stat(self.path)
        return _Slice(
            self.path,
            self.kind,
            self.group,
            self.arrays,
            self.last,
            first,
            end,
            tuple(self.dims.values()),
            tuple(self.names[first:end]),
            self.x,
            self.windows,
            (stat.st_size, stat.st_mtime_ns),
            self.bars,
        )


@dataclass(frozen=True)
class _Places(Sequence):
    """Names of the places of a map, "3,17", made as they are asked for."""

    sizes: tuple[int, ...]

    def __len__(self):
        return int(np.prod(self.sizes))

    def __getitem__(self, at):
        if isinstance(at, slice):
            return [self[k] for k in range(*at.indices(len(self)))]
        return ",".join(map(str, np.unravel_index(at, self.sizes)))

    def __iter__(self) -> Iterator[str]:
        return (self[k] for k in range(len(self)))


def _cube(path, group, x, y, error, windows):
    kind = "netCDF" if path.suffix.lower().startswith((".nc", ".cdf")) else "HDF5"
    held = reader.apart(cubes.layout, path, group, kind)
    wide = {name: one for name, one in held.items() if len(one.shape) > 1}
    if y is not None:
        chosen = pick(dict.fromkeys(held), y, path)
        if chosen not in wide:
            return None
    else:
        likely = {name: one for name, one in wide.items() if not _bars_of(name, wide)}
        if not likely:
            return None
        chosen = max(likely, key=lambda name: np.prod(likely[name].shape))
    cube = held[chosen]
    last, why = _axis(held, cube, x, path)
    axis = _values(held, cube, last, x)
    lead = {d: n for d, n in zip(cube.dims, cube.shape, strict=True) if d != last}
    bars, own = None, None
    if error is None:
        own = next((name for name in wide if _bars_of(name, {chosen: cube}) == chosen), None)
    elif error != "none":
        own = pick(dict.fromkeys(held), error, path)
        if held[own].dims == (last,):
            own, bars = None, held[own].values
        elif held[own].dims != cube.dims:
            raise DataError(
                "the error bars are of another shape",
                source=path,
                where=f"array {own}",
                expected=f"that of {chosen}, {' × '.join(map(str, cube.shape))}",
                found=" × ".join(map(str, held[own].shape)),
            )
    if axis is None:
        values, x_label = (
            np.arange(dict(zip(cube.dims, cube.shape, strict=True))[last]),
            (last, "1"),
        )
        why += ", which has no coordinate and counts from 0"
    else:
        values, x_label = held[axis].values, (variable_name(axis, "x"), held[axis].units)
    if values is None or not np.isfinite(values).all() or np.ptp(values) == 0:
        raise DataError(
            "the axis of the spectra is no axis",
            source=path,
            where=f"array {axis}",
            expected="finite numbers that differ",
        )
    coords = {
        d: (held[d].values, held[d].units) for d in lead if d in held and held[d].dims == (d,)
    }
    sizes = " × ".join(f"{n} {dim}" for dim, n in lead.items())
    of_bars = own or (error if bars is not None else None)
    told = f"{chosen} holds {sizes} spectra along {last}, {why}"
    told += f"; error bars are in {of_bars}" if of_bars else "; no error bars"
    named = {"x": x_label, "y": (variable_name(chosen, "y", taken=[x_label[0]]), cube.units)}
    _refuse_window(values, windows, path, last)
    return Cube(
        str(path),
        _Places(tuple(lead.values())),
        named,
        told,
        lead,
        coords,
        group,
        kind,
        (chosen, own),
        last,
        np.asarray(values, dtype=float),
        bars,
        tuple(windows),
    )


def _bars_of(name, others):
    """The array of which another holds the error bars; None where it is no such."""
    for ending in ("_errors", "_error", "_err", "_sd", "_sigma", "_uncertainty"):
        if name.endswith(ending) and name.removesuffix(ending) in others:
            return name.removesuffix(ending)
    return None


def _axis(held, cube, x, path):
    """Which axis is that of the spectra, and why."""
    if x is not None:
        asked = str(x)
        if asked in cube.dims:
            return asked, "as asked for"
        if asked in held and len(held[asked].dims) == 1 and held[asked].dims[0] in cube.dims:
            return held[asked].dims[0], "as asked for"
        raise DataError(
            f"there is no axis {asked}",
            source=path,
            expected=f"one of {listing(cube.dims)}, or an array along one",
            found=listing(held),
        )
    for name in ALONG:
        for dim in cube.dims:
            if dim.casefold() == name:
                return dim, "which goes by a well-known name"
    return cube.dims[-1], "the last axis"


def _values(held, cube, last, x):
    """Name of the array with the values along an axis; None where there is none."""
    if x is not None and str(x) in held and held[str(x)].dims == (last,):
        return str(x)
    if last in held and held[last].dims == (last,):
        return last
    size = dict(zip(cube.dims, cube.shape, strict=True))[last]
    along = [name for name, one in held.items() if one.dims == (last,) and one.shape == (size,)]
    # HDF5 need not say which axis an array goes along: one of its length and name is taken.
    loose = [
        name for name, one in held.items() if one.shape == (size,) and name.casefold() in ALONG
    ]
    found = along or loose
    return found[0] if len(found) == 1 else None


def _inside(x, windows):
    kept = np.zeros(len(x), dtype=bool) if windows else np.ones(len(x), dtype=bool)
    for low, high in windows:
        kept |= (x >= low) & (x <= high)
    return kept


def _refuse_window(x, windows, path, name):
    for low, high in windows:
        if not low < high or not np.any((x >= low) & (x <= high)):
            raise DataError(
                f"no points in the window {low:g},{high:g}",
                source=path,
                expected=f"two values of {name}, the lower first, between {np.min(x):g} and "
                f"{np.max(x):g}",
            )


# --- which it is ----------------------------------------------------------------------------------


def spectra(
    path: str | os.PathLike,
    x: str | int | None = None,
    y: str | int | None = None,
    error: str | int | None = None,
    *,
    spectrum: str | int | None = None,
    decimal: str | None = None,
    windows: Sequence[tuple[float, float]] = (),
) -> Source | None:
    """Return the source of many spectra that a path names; None where it is a single curve.

    Parameters
    ----------
    path : a folder, a pattern such as ``scans/*.csv``, a table, or a file of arrays with a cube, of
        which ``file.h5:/group`` names a place.
    x, y, error, decimal, windows : as for ``bayesinf.data.curve``; of a cube x is an axis, or an
        array along one, and y an array.
    spectrum : column of a table that names the spectrum.

    Raises
    ------
    DataError : there is nothing to read, or not what was asked for.
    """
    path, group = tables.place_in(Path(path))
    if spectrum is not None:
        place = f"{path}:{group}" if group else path
        return _table(Path(place), spectrum, x, y, error, decimal, windows)
    if many(path):
        options = {"x": x, "y": y, "error": error, "decimal": decimal, "windows": tuple(windows)}
        return _files(path, options)
    if path.suffix.lower() in CUBES and path.is_file():
        return _cube(path, group, x, y, error, windows)
    return None
