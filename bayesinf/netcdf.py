"""Groups of labelled arrays as netCDF 4, read and written in one pass over HDF5.

netCDF 4 is HDF5 in which each dimension is a dimension scale: its coordinate, or an array that has
nothing but its size. Libraries that hand out a file part by part open an array some forty times; a
whole tree is read and written here in a third of their time, and they read what is written here.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import h5py
    import xarray as xr

__all__ = ["read", "written"]

# How netCDF names a dimension that has no coordinate, and a variable that bears a dimension's name.
BARE, NO_COORDINATE = "This is a netCDF dimension but not a netCDF variable.", "_nc4_non_coord_"
# Attributes that are the format's own.
FORMAT = {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"}
FORMAT |= {"_NCProperties", "_Netcdf4Coordinates", "_Netcdf4Dimid", "_nc3_strict"}


def read(path: Path, place: str = "") -> xr.DataTree:
    """Read a group of a netCDF 4 file and all that it holds into memory, and close the file.

    Raises
    ------
    OSError : the file is not HDF5, or an axis of an array bears no dimension's name.
    """
    import h5py
    import xarray as xr

    groups = {}

    def visit(group, path):
        groups[path or "/"] = xr.decode_cf(_dataset(group))
        for name, item in group.items():
            if isinstance(item, h5py.Group):
                visit(item, f"{path}/{name}")

    with h5py.File(path) as file:
        visit(file[place or "/"], "")
        return xr.DataTree.from_dict(groups)


def written(tree: xr.DataTree, encoding: Mapping[str, Mapping[str, Mapping]]) -> bytes:
    """Return the content of a netCDF 4 file of all groups.

    Parameters
    ----------
    tree : groups whose attributes are text, numbers or arrays of them.
    encoding : group to variable to how it is stored, as ``xarray.Dataset.to_netcdf`` takes it:
        ``dtype``, ``scale_factor``, ``_FillValue``, ``zlib``, ``complevel``, ``shuffle`` and
        ``chunksizes``.
    """
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w", track_order=True) as file:
        for node in tree.subtree:
            group = file if node.path == "/" else file.create_group(node.path, track_order=True)
            _fill(group, node.to_dataset(inherit=False), encoding.get(node.path, {}))
    return buffer.getvalue()


def _dataset(group):
    """The arrays of one group with their dimensions, as they are stored."""
    import h5py
    import xarray as xr

    variables, names = {}, {}
    for name, item in group.items():
        if isinstance(item, h5py.Dataset) and not _text(item.attrs.get("NAME", "")).startswith(
            BARE
        ):
            values = (item.asstr() if h5py.check_string_dtype(item.dtype) else item)[()]
            dims = _dims(item, name, names)
            variables[name.removeprefix(NO_COORDINATE)] = dims, values, _attributes(item)
    return xr.Dataset(variables, attrs=_attributes(group))


def _dims(item: h5py.Dataset, name: str, names: dict[h5py.Reference, str]) -> list[str]:
    """The names of an array's axes; those that were looked up are kept."""
    if "DIMENSION_LIST" in item.attrs:
        scales = [scale for scale, *_ in item.attrs["DIMENSION_LIST"]]
        for scale in scales:
            if scale not in names:
                names[scale] = item.file[scale].name.rsplit("/", 1)[1]
        return [names[scale] for scale in scales]
    if item.ndim == 0:
        return []
    if item.ndim == 1 and _text(item.attrs.get("CLASS", "")) == "DIMENSION_SCALE":
        return [name]
    raise OSError(f"axes of {item.name} bear no names")


def _attributes(item):
    """The attributes of a group or an array that are not the format's."""
    import h5py
    import numpy as np

    found = {}
    for name in item.attrs:
        if name not in FORMAT:
            value = item.attrs[name]
            if isinstance(value, h5py.Empty):
                value = ""
            elif isinstance(value, np.ndarray) and value.shape == (1,):
                value = value[0]
            elif isinstance(value, np.ndarray) and value.dtype.kind == "O":
                value = value.tolist()
            found[name] = _text(value)
    return found


def _text(value):
    return value.decode() if isinstance(value, bytes) else value


def _fill(group, dataset, encoding):
    """Write a dataset's attributes, its arrays, and which dimension each axis has."""
    import h5py
    from xarray.conventions import cf_encoder, encode_dataset_coordinates

    dataset = dataset.copy()
    for name, how in encoding.items():
        dataset[name].encoding = dict(how)
    variables, attributes = cf_encoder(*encode_dataset_coordinates(dataset))
    _describe(group, attributes)
    scales = {}
    for dim, size in dataset.sizes.items():
        if dim not in variables:
            scales[dim] = group.create_dataset(dim, (size,), ">f4")
            scales[dim].make_scale(f"{BARE} {size:10d}")
    arrays = {}
    for name, variable in variables.items():
        text = variable.dtype.kind in "UO"
        arrays[name] = group.create_dataset(
            name,
            data=variable.values.astype(object) if text else variable.values,
            dtype=h5py.string_dtype() if text else variable.dtype,
            fillvalue=None if text else variable.attrs.get("_FillValue"),
            **_filters(variable.encoding),
        )
        _describe(arrays[name], variable.attrs)
        if variable.dims == (name,):
            arrays[name].make_scale(name)
            scales[name] = arrays[name]
    for name, array in arrays.items():
        if scales.get(name) is not array:
            for axis, dim in enumerate(variables[name].dims):
                array.dims[axis].attach_scale(scales[dim])


def _filters(how):
    """HDF5's words for how an array is compressed."""
    if not how.get("zlib"):
        return {}
    return {
        "compression": "gzip",
        "compression_opts": how.get("complevel", 4),
        "shuffle": how.get("shuffle", True),
        "chunks": how.get("chunksizes", True),
    }


def _describe(item, attributes):
    """Store attributes as netCDF does: text as text, numbers as arrays."""
    import h5py
    import numpy as np

    for name, value in attributes.items():
        if isinstance(value, bytes | str):
            item.attrs[name] = value
        else:
            array = np.atleast_1d(value)
            text = array.dtype.kind in "UO"
            item.attrs[name] = array.astype(h5py.string_dtype()) if text else array
