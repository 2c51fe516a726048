"""Finished fits of a run that was cut off: the same command again takes them up.

While a script runs, each fit that took longer than ``WORTH`` is kept as it ends, in a folder of its
command (``FOLDER`` names it to every process at work). Its key is a hash of whatever decides
the result: the problem with its data, the route, the settings, the source of bayesinf and of the
script, and the versions of the libraries. A run that ends well removes its folder, so that
nothing is kept but what would have to be made again. What is kept is pickled, for it must come back
to the last bit and of the same types: the folder is its owner's alone, and one that others may
write to is not read.

    python -m bayesinf.kept          says what is kept, and where
    python -m bayesinf.kept clear    removes it
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FunctionType

from bayesinf.posterior import LIBRARIES, library_version

__all__ = ["FOLDER", "fit", "forget", "keeping", "reused", "root"]

FOLDER = "BAYESINF_KEPT"  # environment variable: where the run at work keeps its fits
ROOT = "BAYESINF_CACHE"  # environment variable: where all runs do
WORTH = 2.0  # seconds from which a fit is kept
MOST = 2_000_000_000  # bytes of all that is kept; the oldest goes first
ENDING = ".fit"


def root() -> Path:
    """Return the folder of all that is kept, $BAYESINF_CACHE or below the user's caches."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(ROOT) or Path(home, "bayesinf"))


@contextmanager
def keeping(command: list[str], fresh: bool = False):
    """Have fits kept while a command runs; ``forget`` removes them where it has ended well.

    Parameters
    ----------
    command : its words; the same words find the same folder.
    fresh : forget what an earlier run of this command left.

    Yields
    ------
    the folder.
    """
    words = "\0".join([os.getcwd(), *command]).encode()
    folder = root() / hashlib.sha256(words).hexdigest()[:16]
    if fresh:
        forget(folder)
    before = os.environ.get(FOLDER)
    os.environ[FOLDER] = str(folder)
    try:
        yield folder
    finally:
        if before is None:
            del os.environ[FOLDER]
        else:
            os.environ[FOLDER] = before


def forget(folder: Path) -> None:
    """Remove what was kept for a run."""
    shutil.rmtree(folder, ignore_errors=True)


def fit[Result](make: Callable[[], Result], *decides: object) -> Result:
    """Return what was kept of a fit, or make it, and keep it where that took long.

    Parameters
    ----------
    make : makes it.
    decides : all that the result follows from; where that cannot be pickled, nothing is kept.
    """
    folder = os.environ.get(FOLDER)
    key = None if folder is None else _key(decides)
    if key is None:
        return make()
    file = Path(folder, key + ENDING)
    found = _read(file)
    if found is not None:
        return found
    started = time.perf_counter()
    made = make()
    if time.perf_counter() - started >= WORTH:
        _write(file, made)
    return made


def reused(folder: Path, since: float) -> int:
    """Count the kept fits that were taken up since a time, of ``time.time()``."""
    return sum(file.stat().st_atime >= since > file.stat().st_mtime for file in _files(folder))


def _key(decides):
    from joblib.hashing import NumpyHasher

    class Hasher(NumpyHasher):
        """Takes a function, also one inside another, by its name and by what it closes over."""

        def save(self, obj):
            if isinstance(obj, FunctionType):
                cells = [cell.cell_contents for cell in obj.__closure__ or ()]
                defaults = obj.__defaults__, obj.__kwdefaults__
                obj = (obj.__module__, obj.__qualname__, *defaults, cells)
            super().save(obj)

    try:
        return Hasher("sha1").hash((decides, _versions(), _source()))
    except Exception:  # whatever an object may raise when it is pickled
        return None


@cache
def _versions():
    return {name: library_version(name) for name in LIBRARIES}


@cache
def _source():
    """The SHA-256 of the source of bayesinf and of the script."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    script = Path(sys.argv[0])
    digest = hashlib.sha256()
    for file in [*files, *([script] if script.is_file() else [])]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _read(file):
    """What a file holds; None where there is none, or others than its owner may write to it."""
    try:
        if not _private(file.parent):
            return None
        with file.open("rb") as opened:
            found = pickle.load(opened)
        os.utime(file, (time.time(), file.stat().st_mtime))  # read just now, made then
        return found
    except Exception:  # of another version of a library, or damaged: it is made again
        return None


def _private(folder):
    state = folder.stat()
    return not hasattr(os, "getuid") or (state.st_uid == os.getuid() and not state.st_mode & 0o022)


def _write(file, made):
    """Keep it if it can be: a full disk must not cost the run."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with partial.open("wb") as opened:
            pickle.dump(made, opened, protocol=pickle.HIGHEST_PROTOCOL)
        os.replace(partial, file)
        _trim(file.parent.parent)
    except Exception:
        partial.unlink(missing_ok=True)


def _trim(folder):
    files = sorted(_files(folder), key=lambda file: file.stat().st_mtime)
    excess = sum(file.stat().st_size for file in files) - MOST
    for file in files:
        if excess <= 0:
            break
        excess -= file.stat().st_size
        file.unlink(missing_ok=True)


def _files(folder):
    return list(folder.rglob(f"*{ENDING}"))


def main() -> None:
    """Say what is kept, or remove it."""
    if sys.argv[1:] == ["clear"]:
        shutil.rmtree(root(), ignore_errors=True)
    files = _files(root())
    size = sum(file.stat().st_size for file in files) / 1e6
    print(f"{root()}: {len(files)} fits of runs that were cut off, {size:.1f} MB")


if __name__ == "__main__":
    main()
