"""What is asked of a file of others before it is read: that it is whole in itself, and of a size.

Links and data sets of HDF5 can name another file, whose bytes then come as numbers: of a file from
others that may be any file that its reader can open. And a small file can unfold to more than there
is memory, so the sizes that a file states are added up before anything is read.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bayesinf.errors import DataError

if TYPE_CHECKING:
    import h5py

__all__ = ["MOST", "most", "reading", "refuse_large", "refuse_reaching"]

MOST = "BAYESINF_READ_BYTES"  # environment variable: bytes that the arrays of a file may have
BYTES = 2_000_000_000


def most() -> int:
    """Return the bytes that the arrays of a file may have."""
    try:
        return int(float(os.environ.get(MOST, BYTES)))
    except ValueError as error:
        raise DataError(
            f"{MOST} cannot be read", expected="bytes, as in 8e9", found=os.environ[MOST]
        ) from error


@contextmanager
def reading(size: float | None) -> Iterator[None]:
    """Let the arrays of a file have so many bytes for a while; None changes nothing."""
    before = os.environ.get(MOST)
    if size is not None:
        os.environ[MOST] = str(size)
    try:
        yield
    finally:
        os.environ.pop(MOST, None)
        if before is not None:
            os.environ[MOST] = before


def refuse_large(path: str | os.PathLike) -> None:
    """Refuse a file whose arrays, by the sizes that it states of them, have more than ``most``.

    NPZ and spreadsheets, HDF5 and netCDF 4, MAT of any version; a file of another kind passes.

    Raises
    ------
    DataError : naming the array that passes the limit.
    """
    total, limit = 0, most()
    for name, size in _sizes(Path(path)):
        total += size
        if total > limit:
            raise DataError(
                "the file unfolds to more than may be read",
                source=path,
                where=name,
                expected=f"at most {limit:.3g} bytes in all",
                found=f"{total:.3g} up to there",
                remedy="save a part of it, or allow more, where there is as much memory, by "
                f"--read-bytes or {MOST}",
            )


def refuse_reaching(path: str | os.PathLike) -> None:
    """Refuse an HDF5 file that reaches for another; a file of another kind passes.

    Raises
    ------
    DataError : an external link, external storage, or a virtual data set; the message names it.
    """
    import h5py

    if not h5py.is_hdf5(path):
        return
    with h5py.File(path) as file:
        for place, item in _met(file):
            if isinstance(item, h5py.ExternalLink):
                raise _reaches(path, place, f"a link to {item.filename}")
            if item.external:
                raise _reaches(path, place, f"storage in {item.external[0][0]}")
            if item.is_virtual:
                raise _reaches(path, place, "a virtual data set")


def _met(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset | h5py.ExternalLink]]:
    """Every data set of a file, and every link out of it, by their places."""
    import h5py

    groups, seen = [file["/"]], set()
    while groups:
        group = groups.pop()
        where = h5py.h5o.get_info(group.id)
        if (where.fileno, where.addr) in seen:  # groups may hold each other
            continue
        seen.add((where.fileno, where.addr))
        for name in group:
            link = group.get(name, getlink=True)
            place = f"{group.name.rstrip('/')}/{name}"
            if isinstance(link, h5py.ExternalLink):
                yield place, link
            elif not isinstance(link, h5py.SoftLink):  # which leads to what is met by itself
                item = group[name]
                if isinstance(item, h5py.Group):
                    groups.append(item)
                elif isinstance(item, h5py.Dataset):
                    yield place, item


def _sizes(path) -> Iterable[tuple[str, int]]:
    """What a file states that its parts have, in bytes, by their names."""
    import h5py

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            return [(info.filename, info.file_size) for info in file.infolist()]
    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            sets = [(at, item) for at, item in _met(file) if isinstance(item, h5py.Dataset)]
            return [(at, (item.size or 0) * item.dtype.itemsize) for at, item in sets]
    with path.open("rb") as file:
        head = file.read(128)
        return _unfolded(file, "<>"[head[126:128] == b"MI"]) if head[:6] == b"MATLAB" else ()


def _unfolded(file, order):
    """Bytes of the variables of a MAT file of version 5, where they are compressed."""
    sizes = []
    while len(tag := file.read(8)) == 8:
        kind, size = struct.unpack(f"{order}II", tag)
        if kind == 15:  # miCOMPRESSED: what it holds starts with a tag of its own
            begin = zlib.decompressobj().decompress(file.read(min(size, 1024)), 8)
            inner = struct.unpack(f"{order}II", begin)[1] if len(begin) == 8 else 0
            sizes.append((f"variable {len(sizes) + 1}", inner))
            file.seek(max(size - 1024, 0), os.SEEK_CUR)
        else:  # stands there as it is
            sizes.append((f"variable {len(sizes) + 1}", 0))
            file.seek(size, os.SEEK_CUR)
    return sizes


def _reaches(path, place, found):
    return DataError(
        "the file reaches for another file",
        source=path,
        where=place,
        expected="arrays of its own",
        found=found,
        remedy="copy them into one file, as by h5repack",
    )
