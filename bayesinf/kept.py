"""What a run that was cut off had done: the same command again goes on where it stood.

While a script runs, work is kept as it ends, in a folder of its command (``FOLDER`` names it to
every process at work): fits and the items of ``parallel.map`` whole (``once``), the long loops
inside them every ten seconds, with all that changes, draws and random generators included
(``steps``). A piece of work is named by a hash of whatever decides it: the problem with its data,
the route, the settings, the source of bayesinf and of the script, the versions of the libraries.
What is kept inside of a piece is named by its number there, since nothing else decides it, and is
removed when the piece is whole. A run that ends well removes the folder.

Keeping may cost a hundredth of the time: nothing is kept whose writing would take longer.

What is kept is pickled, for it must come back to the last bit and of the same types: the folder is
its owner's alone, and one that others may write to is not read.

    python -m bayesinf.kept          says what is kept, and where
    python -m bayesinf.kept clear    removes it
"""

from __future__ import annotations

import hashlib
import itertools
import os
import pickle
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType

from bayesinf import progress
from bayesinf.posterior import LIBRARIES, library_version

__all__ = [
    "FOLDER",
    "forget",
    "keeping",
    "once",
    "places",
    "read",
    "root",
    "steps",
    "taken",
    "within",
    "write",
]

FOLDER = "BAYESINF_KEPT"  # environment variable: where the run at work keeps what it has done
ROOT = "BAYESINF_CACHE"  # environment variable: where all runs do
WORTH = 0.1  # seconds from which a piece of work is kept
EVERY = 10.0  # seconds from one time that a loop is kept to the next, or
PATIENCE = 100.0  # times as long as the last one took
RATE = 5e6  # bytes kept for each second of work: a hundredth, where the disk takes 500 MB/s
MOST = 2_000_000_000  # bytes of all that is kept; the oldest goes first
ENDING = ".kept"
TAKEN = "taken"  # file: a line for whatever a run took up

_at = threading.local()  # .work: the piece that this thread is at


def root() -> Path:
    """Return the folder of all that is kept, $BAYESINF_CACHE or below the user's caches."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(ROOT) or Path(home, "bayesinf"))


@contextmanager
def keeping(command: list[str], fresh: bool = False):
    """Have work kept while a command runs; ``forget`` removes it where it has ended well.

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
    with suppress(OSError):
        (folder / TAKEN).unlink(missing_ok=True)
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


def taken(folder: Path) -> str:
    """Say what a run took up of an earlier one; "" for nothing."""
    try:
        lines = (folder / TAKEN).read_text(encoding="ascii").split()
    except OSError:
        return ""
    count = {kind: lines.count(kind) for kind in ("whole", "begun")}
    said = [f"{count['whole']} finished", f"{count['begun']} begun"]
    return f"Taken up from an earlier run of this command: {' and '.join(said)} pieces of work."


def once[Result](make: Callable[[], Result], *decides: object) -> Result:
    """Return what was kept of a piece of work, or do it and keep the result.

    Parameters
    ----------
    make : does it.
    decides : all that the result follows from; asked only where the work is no part of another.
        Where it cannot be pickled, and where it is not said, nothing is kept.
    """
    name = _name(decides)
    found = read(name)
    if found is not None:
        return found[0]
    started = time.perf_counter()
    with within(name):
        made = make()
    write(name, made, time.perf_counter() - started)
    return made


def steps[Step](
    numbers: Iterable[Step], *changing: object, fixed: Sequence[object] = (), shorter: str = ""
) -> Iterator[Step]:
    """Go through a long loop, or through what an earlier run left of it.

        for sweep in kept.steps(range(tune + draws), rng, state, draws):

    Parameters
    ----------
    numbers : of the steps; those that were done before are passed over.
    changing : whatever a step changes: arrays, generators, lists, dicts, and objects, of which
        their attributes are kept, or what their own ``__getstate__`` returns. They are
        brought to where they stood in place, so that who else holds one sees the same.
    fixed : what those refer to and no step changes, such as the data: it is not kept.
    shorter : what makes such a loop shorter, where that is not fewer draws.
    """
    name, live = _name(()), (*changing, *fixed)
    total = len(numbers) if isinstance(numbers, Sized) else 0
    numbers, done = iter(numbers), 0
    found = read(name, live)
    if found is not None:
        done, contents = found[0]
        for each, content in zip(changing, contents, strict=True):
            _restore(each, content)
        next(itertools.islice(numbers, done, done), None)
    first, started, before = done, time.monotonic(), getattr(_at, "work", None)
    timed = done  # steps before those that say how long the others take
    kept, patience = time.perf_counter(), EVERY

    def told():
        left = progress.left(done - timed, total - timed, started)
        return f"step {done} of {total}{left}" if total else ""

    with progress.telling(told):
        try:
            for number in numbers:
                _at.work = before if name is None else _Work(f"{name}/{done}")
                yield number
                done += 1
                if timed == first:  # the first step may compile what it calls
                    timed, started = done, time.monotonic()
                progress.foresee_loop(done - timed, total - first, started, shorter)
                now = time.perf_counter()
                if name is None or now - kept < patience:
                    continue
                state = done, [_content(each) for each in changing]
                if write(name, state, now - kept, live):
                    kept = time.perf_counter()
                    patience = max(EVERY, PATIENCE * (kept - now))
                else:
                    patience *= 2
        finally:
            _at.work = before
    if name is not None:
        # Not where a loop is left before its last step: it may then stand in the middle of one.
        state = done, [_content(each) for each in changing]
        write(name, state, time.perf_counter() - kept, live)


class _Work:
    """A piece that is being done, and how many parts of it have had their name."""

    def __init__(self, name):
        self.name, self.numbers = name, itertools.count()


@contextmanager
def within(name: str | None) -> Iterator[None]:
    """Be at a piece of work: what is kept meanwhile, in this thread, is part of it."""
    before = getattr(_at, "work", None)
    _at.work = None if name is None else _Work(name)
    try:
        yield
    finally:
        _at.work = before


def places(function: Callable, items: Sequence, pure: bool = True) -> list[str | None]:
    """Return the names under which the items of a map are kept; None where they are not.

    Parameters
    ----------
    function, items : of the map.
    pure : whether the function does nothing but return; of another, only what it keeps is kept.
    """
    if os.environ.get(FOLDER) is None:
        return [None] * len(items)
    if getattr(_at, "work", None) is not None:
        name = _name(())
        return [f"{name}/{k}" for k in range(len(items))]
    function = _key(function) if pure else None
    return [None if function is None else _key((function, item)) for item in items]


def _name(decides):
    """The name of the next piece: its number within another, else a hash of what decides it."""
    if os.environ.get(FOLDER) is None:
        return None
    work = getattr(_at, "work", None)
    if work is not None:
        return f"{work.name}/{next(work.numbers)}"
    return _key(decides) if decides else None


def _key(decides):
    from joblib import cpu_count
    from joblib.hashing import NumpyHasher

    class Hasher(NumpyHasher):
        """Takes a function, also one inside another, by its code and by what it closes over."""

        def save(self, obj):
            if isinstance(obj, FunctionType):
                cells = [cell.cell_contents for cell in obj.__closure__ or ()]
                defaults = obj.__defaults__, obj.__kwdefaults__
                code = _code(obj.__code__)
                obj = (obj.__module__, obj.__qualname__, *defaults, cells, code)
            super().save(obj)

    try:
        # How work is cut into pieces may follow from the number of cores.
        return Hasher("sha1").hash((decides, _versions(), _source(), cpu_count()))
    except Exception:  # whatever an object may raise when it is pickled
        return None


def _code(code):
    """What a function does, without where it stands."""
    constants = [_code(one) if isinstance(one, CodeType) else one for one in code.co_consts]
    return code.co_code, code.co_names, constants


@cache
def _versions():
    return {name: library_version(name) for name in LIBRARIES}


@cache
def _source():
    """The SHA-256 of the source of bayesinf and of the script, run or imported."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    files += sorted(
        Path(module.__file__)
        for name, module in sys.modules.items()
        if name.startswith("bayesinf.scripts.")
    )
    script = Path(sys.argv[0])
    digest = hashlib.sha256()
    for file in [*files, *([script] if script.is_file() else [])]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


# --- files ----------------------------------------------------------------------------------------


class _Pickler(pickle.Pickler):
    """Refers to objects that live on by their number."""

    def __init__(self, file, live):
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.number = {id(each): number for number, each in enumerate(live)}

    def persistent_id(self, obj):
        return self.number.get(id(obj))


class _Unpickler(pickle.Unpickler):
    def __init__(self, file, live):
        super().__init__(file)
        self.live = live

    def persistent_load(self, number):
        return self.live[number]


class _Limited:
    """A file that takes so many bytes and no more."""

    def __init__(self, file, most):
        self.file, self.left = file, most

    def write(self, data):
        size = memoryview(data).nbytes
        self.left -= size
        if self.left < 0:
            raise OSError("too large to be kept")
        self.file.write(data)
        return size


def read(name: str | None, live: Sequence[object] = ()) -> tuple | None:
    """Return what was kept under a name, in a tuple; None where there is nothing to be read.

    That is also where others than the owner may write to the folder.
    """
    if name is None:
        return None
    folder = Path(os.environ[FOLDER])
    file = folder / f"{name}{ENDING}"
    try:
        if not file.exists() or not _private(folder):
            return None
        with file.open("rb") as opened:
            found = _Unpickler(opened, live).load()
        with (folder / TAKEN).open("a", encoding="ascii") as opened:
            opened.write("begun\n" if live else "whole\n")
        return (found,)
    except Exception:  # of another version of a library, or damaged: it is made again
        return None


def write(name: str | None, made: object, seconds: float, live: Sequence[object] = ()) -> bool:
    """Keep what was made in so many seconds, if that can be: a full disk must not cost the run.

    Returns
    -------
    whether it is kept now. Its parts are then removed.
    """
    if name is None or seconds < WORTH:
        return False
    folder = Path(os.environ[FOLDER])
    file = folder / f"{name}{ENDING}"
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    most = min(RATE * max(seconds, 1.0), MOST)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as opened:
            limited = _Limited(opened, most)
            _Pickler(limited, live).dump(made)
        os.replace(partial, file)
        shutil.rmtree(folder / name, ignore_errors=True)
        _trim(folder.parent, most - limited.left)
        return True
    except Exception:
        return False
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _content(each):
    """What is kept of an object that lives on."""
    import numpy as np

    match each:
        case np.random.Generator():
            return each.bit_generator.state
        case np.ndarray():
            return each[...]
        case list() | dict():
            return each.copy()
        case _:
            return each.__getstate__()


def _restore(each, content):
    """Bring an object that lives on to where it stood."""
    import numpy as np

    match each:
        case np.random.Generator():
            each.bit_generator.state = content
        case np.ndarray():
            each[...] = content
        case list():
            each[:] = content
        case dict():
            each.clear()
            each.update(content)
        case _ if hasattr(each, "__setstate__"):
            each.__setstate__(content)
        case _:
            vars(each).clear()
            vars(each).update(content)


def _private(folder):
    state = folder.stat()
    return not hasattr(os, "getuid") or (state.st_uid == os.getuid() and not state.st_mode & 0o022)


_since = {"written": float("inf")}  # bytes since the last look at how much there is


def _trim(folder, written):
    _since["written"] += written
    if _since["written"] < MOST / 20:
        return
    _since["written"] = 0
    files = sorted((file.stat().st_mtime, file.stat().st_size, file) for file in _files(folder))
    excess = sum(size for _, size, _ in files) - MOST
    for _, size, file in files:
        if excess <= 0:
            break
        excess -= size
        file.unlink(missing_ok=True)


def _files(folder):
    return [file for file in folder.rglob("*") if file.is_file()]


def main() -> None:
    """Say what is kept, or remove it."""
    if sys.argv[1:] == ["clear"]:
        shutil.rmtree(root(), ignore_errors=True)
    files = _files(root())
    size = sum(file.stat().st_size for file in files) / 1e6
    print(f"{root()}: {len(files)} files of runs that were cut off, {size:.1f} MB")


if __name__ == "__main__":
    main()
