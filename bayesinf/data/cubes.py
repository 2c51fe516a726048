"""Cubes in netCDF and HDF5: what a file holds, and a slice of it, read in the reading process.

``layout`` and ``part`` are called there by ``reader.apart``, which refuses what reaches for other
files or unfolds to too much; a map larger than memory passes through in slices.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["Held", "layout", "part"]

LONGEST = 1_000_000  # entries of an axis


@dataclass(frozen=True)
class Held:
    """An array of a file.

    Parameters
    ----------
    dims, shape : of it.
    units, long_name : as the file says.
    values : of an axis of numbers, else None.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    units: str
    long_name: str
    values: np.ndarray | None = None


def layout(path: Path, place: str = "") -> dict[str, Held]:
    """Return what a file, or one group of it, holds, by name."""
    with _opened(path, place) as opened:
        found = {}
        for name, variable in opened.variables.items():
            if variable.dtype.kind not in "biuf":
                continue
            short = variable.ndim == 1 and variable.size <= LONGEST
            found[str(name)] = Held(
                tuple(map(_named, variable.dims)),
                variable.shape,
                _text(variable.attrs.get("units")) or "1",
                _text(variable.attrs.get("long_name")) or str(name),
                np.asarray(variable.values, dtype=float) if short else None,
            )
    return found


def part(path: Path, place: str) -> np.ndarray:
    """Return a slice of an array along its first axis but one, which comes last.

    Parameters
    ----------
    path : of the file.
    place : JSON of the group, the array, the axis that comes last, and where the slice begins and
        ends; one without an end is all of it.
    """
    group, name, last, first, end = json.loads(place)
    with _opened(path, group) as opened:
        array = opened[name].rename({dim: _named(dim) for dim in opened[name].dims})
        lead = [dim for dim in array.dims if dim != last]
        if lead:
            array = array.isel({lead[0]: slice(first, end)})
        return np.asarray(array.transpose(*lead, last).values, dtype=float)


def _opened(path, group):
    import h5py
    import xarray as xr

    options = {"decode_times": False, **({"group": group} if group else {})}
    if h5py.is_hdf5(path):
        # Names for axes that have none: HDF5 need not name them.
        options |= {"engine": "h5netcdf", "phony_dims": "access"}
    return xr.open_dataset(path, **options)


def _named(dim):
    """An axis by its name; one without is called by its place among those of the file."""
    return str(dim).replace("phony_dim_", "axis_")


def _text(value):
    return value if isinstance(value, str) else ""
