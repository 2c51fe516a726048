"""An HDF5 file that is whole in itself: it may not pull in other files.

Links and data sets of HDF5 can name another file, whose bytes then come as numbers: of a file from
others that may be any file that its reader can open.
"""

from __future__ import annotations

import os

from bayesinf.errors import DataError

__all__ = ["refuse_reaching"]


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
                    raise _reaches(path, place, f"a link to {link.filename}")
                if isinstance(link, h5py.SoftLink):
                    continue  # leads to a place of this file, which is met by itself
                item = group[name]
                if isinstance(item, h5py.Group):
                    groups.append(item)
                elif isinstance(item, h5py.Dataset):
                    if item.external:
                        raise _reaches(path, place, f"storage in {item.external[0][0]}")
                    if item.is_virtual:
                        raise _reaches(path, place, "a virtual data set")


def _reaches(path, place, found):
    return DataError(
        "the file reaches for another file",
        source=path,
        where=place,
        expected="arrays of its own",
        found=found,
        remedy="copy them into one file, as by h5repack",
    )
