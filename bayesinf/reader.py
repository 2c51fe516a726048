"""Foreign binary files are read in a process of their own, with limits of time and memory.

A damaged MAT or HDF5 file can kill the library that reads it, or send it round for ever, and a
small one may unfold to more than there is memory. One process reads them all; where it dies or
takes too long the file is refused in one line, and the next file gets a new one.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from bayesinf.errors import DataError
from bayesinf.sealed import most, refuse_large, refuse_reaching

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["apart"]

SECONDS = 60.0  # that a file may take
ROOM = 4  # bytes of memory that the process may have, for each that the arrays of a file may have
REMEDY = "it may be truncated or of another format: save it again as plain numbers"

_reader: list[tuple[subprocess.Popen, Connection, int]] = []  # the one at work, and its limit


def apart[Read](
    load: Callable[[Path, str], Read], path: Path, place: str, kind: str, remedy: str = REMEDY
) -> Read:
    """Call a loader of this package in the reading process.

    Parameters
    ----------
    load : a function of a module, of a path and a place in the file.
    path, place : what it is called with.
    kind : of file, as a message calls it.
    remedy : what to do about a file that cannot be read.

    Raises
    ------
    DataError : what the loader raised; the file reaches for others, unfolds to too much, kills its
        reader, takes too long, or cannot be read.
    """

    def damaged(found):
        return DataError(
            "the file cannot be read",
            source=path,
            expected=f"a complete {kind} file",
            found=found,
            remedy=remedy,
        )

    process, connection, _ = _started()
    try:
        connection.send((load.__module__, load.__name__, os.getcwd(), path, place))
        if not connection.poll(SECONDS):
            raise damaged(f"one that is not read in {SECONDS:g} s")
        fine, found = connection.recv()
    except (EOFError, OSError) as error:
        _end()
        raise damaged(f"one that ends its reader (status {process.wait()})") from error
    except BaseException:  # an interrupt too: the process may be in the middle of an answer
        _end()
        raise
    if fine:
        return found
    raise found if isinstance(found, DataError) else damaged(found)


def _started():
    if _reader and _reader[0][0].poll() is None and _reader[0][2] == most():
        return _reader[0]
    _end()
    import multiprocessing

    ours, its = multiprocessing.Pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import serve; serve({its.fileno()})"],
        pass_fds=[its.fileno()],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [*sys.path, os.getcwd()]))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    its.close()
    _reader.append((process, ours, most()))
    ours.recv()  # its start is not the file's time
    return _reader[0]


@atexit.register
def _end():
    while _reader:
        process, connection, _ = _reader.pop()
        process.kill()
        process.wait()
        connection.close()


def serve(handle: int) -> None:
    """Answer requests until the other side has gone."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the process that asks
    with contextlib.suppress(ImportError, ValueError, OSError, DataError):
        import resource

        limit = ROOM * most()
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What takes long to start is there before the first file: on a busy machine it took seconds,
    # and they are not the file's.
    for name in ("xarray", "netCDF4", "h5netcdf", "scipy.io"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)

    connection = Connection(handle)
    connection.send("ready")
    while True:
        try:
            module, name, folder, path, place = connection.recv()
        except EOFError:
            return
        try:
            os.chdir(folder)
            refuse_reaching(path)
            refuse_large(path)
            answer = True, getattr(importlib.import_module(module), name)(path, place)
        except DataError as error:
            answer = False, error
        except Exception as error:  # the libraries raise a dozen kinds for a damaged file
            answer = False, type(error).__name__
        connection.send(answer)
