"""One file of InferenceData, written portion by portion.

Variables are made at full size before the first portion, and each portion fills in its part, so
that memory holds one portion whatever the size of the batch. Along the spectra a variable has the
mark ``EACH`` in its dimensions, which stands for one dimension, or for those of a map: portions are
stacked over these, and unstacked as they are written.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bayesinf.posterior import REQUIRED_GROUPS

__all__ = ["EACH", "Held", "Store"]

EACH = "*"
CHUNK = 2**16  # numbers that are compressed together


@dataclass(frozen=True)
class Held:
    """A variable of the file.

    Parameters
    ----------
    dims : dimensions after the spectra's, which ``EACH`` stands for where they are not the first.
    kind : "f8", "i4", or "str".
    units : of it.
    """

    dims: tuple[str, ...] = (EACH,)
    kind: str = "f8"
    units: str = "1"


@dataclass
class Store:
    """A file that is being written.

    Parameters
    ----------
    path : of the file.
    each : dimension of the spectra to its size, or those of a map.
    groups : group to name to ``Held``.
    sizes : every other dimension to its size.
    coords : dimension to coordinate and unit.
    """

    path: str | os.PathLike
    each: Mapping[str, int]
    groups: Mapping[str, Mapping[str, Held]]
    sizes: Mapping[str, int]
    coords: Mapping[str, tuple[Sequence, str]] = field(default_factory=dict)

    def __enter__(self):
        import h5netcdf

        self._file = h5netcdf.File(self.path, "w")
        for name in REQUIRED_GROUPS:
            self._group(name, self.groups.get(name, {}))
        return self

    def __exit__(self, *failed):
        self._file.close()

    def _dims(self, name, held):
        """Dimensions as the file has them; those of a note bear its name, as ``annotated`` has."""
        found = [d for dim in held.dims for d in (self.each if dim == EACH else (dim,))]
        note, dot, _ = name.rpartition(".")
        return tuple(f"{note}{dot}{dim}" for dim in found)

    def _group(self, name, variables):
        import h5py

        group, sizes = self._file.create_group(name), {**self.sizes, **self.each}
        of_each = {each: self._dims(each, held) for each, held in variables.items()}
        for dim in dict.fromkeys(dim for dims in of_each.values() for dim in dims):
            plain = dim.rpartition(".")[2]
            group.dimensions[dim] = sizes[plain]
            values, units = self.coords.get(plain, (np.arange(sizes[plain]), "1"))
            values = np.asarray(values)
            text = values.dtype.kind in "UO"
            made = group.create_variable(dim, (dim,), h5py.string_dtype() if text else values.dtype)
            made[...] = values.astype(object) if text else values
            made.attrs["units"] = units
        for each, held in variables.items():
            dims = of_each[each]
            shape = [group.dimensions[dim].size for dim in dims]
            options = {}
            if held.kind != "str" and np.prod(shape) > 1:
                options = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
                options["chunks"] = self._chunks(dims, shape)
            kind = h5py.string_dtype() if held.kind == "str" else np.dtype(held.kind)
            fill = {"fillvalue": np.nan} if held.kind == "f8" else {}
            made = group.create_variable(each, dims, kind, **fill, **options)
            made.attrs["units"] = held.units

    def _chunks(self, dims, shape):
        """Shape of what is compressed together: whole rows of few spectra, one draw at a time."""
        found = [1 if dim in ("chain", "draw") else n for dim, n in zip(dims, shape, strict=True)]
        for k, dim in enumerate(dims):
            if dim.rpartition(".")[2] in self.each:
                others = np.prod(found) / found[k]
                found[k] = int(max(1, min(found[k], CHUNK // max(others, 1))))
        return tuple(found)

    def put(self, first: int, arrays: Mapping[tuple[str, str], np.ndarray]) -> None:
        """Fill in a portion.

        Parameters
        ----------
        first : place of its first spectrum among all.
        arrays : (group, name) to the portion's values, the spectra first and the variable's other
            dimensions in their order.
        """
        sizes = tuple(self.each.values())
        for (group, name), values in arrays.items():
            held, made = self.groups[group][name], self._file[group][name]
            before = held.dims.index(EACH)
            for begin, end, place in _runs(first, len(values), sizes):
                part = np.moveaxis(values[begin:end], 0, before)
                if held.kind == "str":
                    part = part.astype(object)
                made[(*[slice(None)] * before, *place)] = part

    def whole(self, group: str, values: Mapping[str, tuple[tuple[str, ...], object]]) -> None:
        """Add what is of the batch and not of a spectrum: name to dimensions and values."""
        for name, (dims, value) in values.items():
            made = self._file[group].create_variable(name, dims, np.float64)
            made[...] = np.asarray(value, dtype=float)
            made.attrs["units"] = "1"

    def attrs(self, values: Mapping[str, object]) -> None:
        """Add root attributes."""
        for name, value in values.items():
            self._file.attrs[name] = value


def _runs(first, count, sizes):
    """Cut stacked places first to first + count into runs along the last dimension."""
    last, at = sizes[-1], first
    while at < first + count:
        *lead, begin = np.unravel_index(at, sizes)
        end = min(int(begin) + first + count - at, last)
        step = end - int(begin)
        place = (*map(int, lead), slice(int(begin), end))
        yield at - first, at - first + step, place
        at += step
