"""Files of arrays: NumPy's, MATLAB's, HDF5 and netCDF, whatever groups, structures and cells hold.

Arrays are called by the last part of their place, ``counts`` for ``/entry/data/counts`` or
``result.counts``, where no other ends so, else by all of it. A place that is asked for is a group,
a structure or an array.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.arrays import listing
from bayesinf.data.columns import dataset, said
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import h5py
    import xarray as xr

__all__ = ["hdf5", "matlab", "netcdf", "npy", "npz"]

LARGEST = 2**28  # entries of a sparse matrix that is written out


def npy(path: Path) -> xr.Dataset:
    """Read an NPY file: an array, the columns of a table, or named fields."""
    with path.open("rb") as file:  # opened here, as numpy leaves a damaged file open
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            return _labelled({name: loaded[name] for name in loaded.files}, "", path)
    if loaded.dtype.names:
        return dataset((name, loaded[name]) for name in loaded.dtype.names)
    return dataset(("", column) for column in (loaded.T if loaded.ndim == 2 else [loaded]))


def npz(path: Path, place: str = "") -> xr.Dataset:
    """Read an NPZ file, or one array of it."""
    with path.open("rb") as file:
        loaded = np.load(file, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            return npy(path)
        return _labelled({name: loaded[name] for name in loaded.files}, place, path)


def netcdf(path: Path, place: str = "") -> xr.Dataset:
    """Read a netCDF file, or one group of it."""
    import xarray as xr

    # Opened here: xarray would map a classic file into memory, and leave a damaged one open.
    group = {"group": place} if place else {}
    with path.open("rb") as file, xr.open_dataset(file, decode_times=False, **group) as opened:
        found = opened.load()
    found.attrs.pop("read_as", None)  # told of another file
    told = [*_kept_text(found.attrs, ("x", "y", "error", "reason"), "the file")]
    for name in map(str, found.variables):
        told += _kept_text(found[name].attrs, ("units", "long_name", "since"), name)
    return found.assign_attrs(said(found, *told))


def _kept_text(attrs, keys, name):
    """Leave out what should be text and is none; say what that was."""
    for key in keys:
        if key in attrs and not isinstance(attrs[key], str):
            attrs[key] = _words(attrs[key])
            if not attrs[key]:
                yield f"the attribute {key} of {name} is no text and left out"
                del attrs[key]


def matlab(path: Path, place: str = "") -> xr.Dataset:
    """Read a MAT file of any version: arrays, sparse matrices, and what structures and cells hold.

    Cells of equal arrays are stacked along a first axis; vectors of unequal lengths, such as spike
    times of each unit, become one array, and beside it, as ``NAME_cell``, the cell of each entry,
    from 0.
    """
    import scipy.io

    try:
        loaded = scipy.io.loadmat(path, squeeze_me=True, spmatrix=False)
    except NotImplementedError:  # version 7.3 is HDF5, with the axes in reverse order
        import h5py

        with h5py.File(path) as file:
            found = dict(_of_group(file, "", ".", matlab=True))
    else:
        given = {name: item for name, item in loaded.items() if not name.startswith("__")}
        found = {n: array for name, item in given.items() for n, array in _of_item(name, item)}
    return _labelled(found, place, path)


def hdf5(path: Path, place: str = "") -> xr.Dataset:
    """Read an HDF5 file, or one group or array of it.

    Units are those of an attribute ``units``. Where a NeXus group names its ``signal`` and
    ``axes``, they are y and x, and ``NAME_errors`` are the error bars.
    """
    import h5py

    with h5py.File(path) as file:
        found = dict(_of_group(file, "", "/"))
        units = {n: u for n in found if n in file and (u := _words(file[n].attrs.get("units")))}
        signals = dict(_signals(file, place.strip("/")))
    roles = next(iter(signals.values())) if len(signals) == 1 else {}
    return _labelled(found, place.strip("/"), path, units, roles)


def _labelled(found, place, source, units: Mapping = {}, roles: Mapping = {}):
    """A Dataset of arrays by their places, or of those at one place."""
    arrays = {}
    for name, array in found.items():
        if place and name != place and not name.startswith((f"{place}/", f"{place}.")):
            continue
        if array.dtype.names:
            arrays |= {f"{name}/{part}": array[part] for part in array.dtype.names}
        elif array.dtype.kind in "biufcUSM":
            arrays[name] = array
    if place and not arrays:
        raise DataError(
            f"the file holds no numbers at {place}", source=source, found=listing(found) or "none"
        )
    ends = Counter(_end(name) for name in arrays)
    called = {name: _end(name) if ends[_end(name)] == 1 else name for name in arrays}
    attrs = {new: {"units": units[old]} for old, new in called.items() if old in units}
    made = dataset(((new, arrays[old]) for old, new in called.items()), attrs=attrs)
    known = {role: called[name] for role, name in roles.items() if name in called}
    return made.assign_attrs(known if {"x", "y"} <= known.keys() else {})


def _end(name):
    return name.replace("/", ".").rpartition(".")[2] or name


# --- MATLAB ---------------------------------------------------------------------------------------


def _of_item(name, item) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays in what loadmat gives for a variable."""
    if hasattr(item, "toarray"):
        yield name, _full(item, name)
        return
    item = np.asarray(item)
    if item.dtype.names:
        for part in item.dtype.names:
            values = item[part]
            yield from _of_item(f"{name}.{part}", values.item() if values.ndim == 0 else values)
    elif item.dtype.kind == "O":
        parts = [each for _, each in _of_cells(name, item)]
        yield from _joined(name, parts, item.shape)
    else:
        yield name, item


def _of_cells(name, cells):
    for cell in cells.ravel():
        found = list(_of_item(name, cell))
        if len(found) == 1:
            yield found[0]


def _joined(name, parts, shape):
    """One array of what cells hold, if they hold numbers or words alike."""
    kinds = {part.dtype.kind in "US" for part in parts}
    if len(parts) != np.prod(shape) or len(kinds) != 1:
        return
    if len({part.shape for part in parts}) == 1:
        yield name, np.stack(parts)
    elif all(part.ndim <= 1 for part in parts):
        parts = [np.atleast_1d(part) for part in parts]
        yield name, np.concatenate(parts)
        yield f"{name}_cell", np.repeat(np.arange(len(parts)), [part.size for part in parts])


def _full(matrix, name):
    if np.prod(matrix.shape, dtype=float) > LARGEST:
        raise DataError(
            f"the sparse matrix {name} is too large to be written out",
            expected=f"at most {LARGEST} entries",
            found=" × ".join(map(str, matrix.shape)),
            remedy="save fewer columns of it",
        )
    matrix.check_format()  # places outside the matrix would be written to all the same
    return np.squeeze(matrix.toarray())


# --- HDF5 -----------------------------------------------------------------------------------------


def _of_group(group: h5py.Group, lead: str, mark: str, matlab: bool = False):
    """Arrays in a group and those below it, by their places."""
    import h5py

    for key, item in group.items():
        name = f"{lead}{key}"
        if key == "#refs#" or item is None:
            continue
        if "MATLAB_sparse" in item.attrs:
            yield name, _sparse(item, name)
        elif isinstance(item, h5py.Group):
            yield from _of_group(item, f"{name}{mark}", mark, matlab)
        elif item.dtype.kind == "O" and h5py.check_ref_dtype(item.dtype):
            cells = [
                np.squeeze(np.transpose(group.file[ref][()]))
                for ref in item[()].ravel()
                if isinstance(group.file[ref], h5py.Dataset)
            ]
            yield from _joined(name, cells, item.shape) if matlab else ()
        elif item.shape is not None:
            yield name, _values(item, matlab)


def _values(item, matlab):
    import h5py

    if h5py.check_string_dtype(item.dtype):
        return np.asarray(item.asstr()[()], dtype=str)
    return np.squeeze(np.transpose(item[()])) if matlab else np.asarray(item[()])


def _sparse(group, name):
    from scipy.sparse import csc_array

    starts = group["jc"][()]
    if "data" not in group:  # no entry but zeros
        return np.zeros((int(group.attrs["MATLAB_sparse"]), len(starts) - 1))
    shape = (int(group.attrs["MATLAB_sparse"]), len(starts) - 1)
    return _full(csc_array((group["data"][()], group["ir"][()], starts), shape=shape), name)


def _signals(file, place):
    """Groups in which NeXus says what is to be drawn against what: place to the parts' places."""
    import h5py

    groups = {"": file}
    file.visititems(lambda name, item: groups.update({name: item}))
    for name, group in groups.items():
        inside = not place or name == place or name.startswith(f"{place}/")
        if not inside or not isinstance(group, h5py.Group) or "signal" not in group.attrs:
            continue
        lead = f"{name}/" if name else ""
        x = _words(np.ravel(group.attrs.get("axes", ()))[:1])
        y = _words(group.attrs["signal"])
        bars = next((n for n in (f"{y}_errors", "errors") if n in group), None)
        parts = {"x": x, "y": y, "error": bars}
        if x and y and x in group and y in group:
            yield name, {role: lead + part for role, part in parts.items() if part}


def _words(value) -> str:
    """The text of an attribute, alone or as an array of one; "" where it is something else."""
    first = np.ravel(value).tolist() if value is not None else []
    if len(first) != 1 or not isinstance(first[0], str | bytes):
        return ""
    return first[0].decode(errors="replace") if isinstance(first[0], bytes) else first[0]
