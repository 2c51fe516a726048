"""A folder of results is one run's: published whole, or left as it was.

A run writes into a hidden folder beside its output, ``.NAME.RUN.partial``, which it holds locked
as long as it lives. When all is written, a manifest joins it (``files.json``: the run's id, and the
SHA-256 of each file), and the hidden folder is renamed to ``.coming`` inside the output. This
rename is the moment of publication: before it the output is the earlier run's, after it the new
one's. Then the files move to their places, the manifest last. Who is killed between two moves
leaves ``.coming``, and the next run or reader (``settled``) moves the rest. Runs into one output
take turns by a lock on it, which ends with its process. Files of the user's stay where they are.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bayesinf.errors import DataError

try:
    import fcntl
except ImportError:  # Windows has no such locks: there the runs of one folder are not held apart
    fcntl = None

__all__ = ["MANIFEST", "changed", "new_run", "refuse_clash", "settled", "staged"]

MANIFEST = "files.json"
COMING = ".coming"


def new_run() -> str:
    """Return an id that no other run has."""
    return secrets.token_hex(8)


@contextmanager
def staged(output: Path, keep: Iterable[str] = (), run: str | None = None) -> Iterator[Path]:
    """Give a hidden folder to write into, and publish it in the output if all went well.

    Files of the run before that this one did not write are removed, but for those to ``keep``;
    anything else in the output folder is left alone.

    Parameters
    ----------
    output : folder of the results; made where it is missing.
    keep : names of files that stay, as they are.
    run : its id; None for a new one.

    Raises
    ------
    DataError : a file of the run would have to take the place of a folder, or a folder that of one.
    """
    home, run = output.resolve(), run or new_run()
    _sweep(home)
    folder = home.with_name(f".{home.name}.{run}.partial")
    held = None
    try:
        while held is None or not folder.is_dir():  # another run may take it for a dead one's
            _unlock(held)
            folder.mkdir(parents=True, exist_ok=True)
            held = _lock(folder)
        yield folder
        _publish(folder, home, keep, run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _unlock(held)


def settled(folder: Path) -> Mapping | None:
    """Finish the publication that a killed run left in the middle, and return the manifest.

    Returns
    -------
    ``run`` (id) and ``files`` (name to SHA-256); None where no run of ours wrote the folder.
    """
    home = Path(folder).resolve()
    if (home / COMING).is_dir():
        held = _lock(home)
        try:
            with _undisturbed():
                _settle(home)
        finally:
            _unlock(held)
    return _listed(home)


def changed(folder: Path, names: Iterable[str]) -> list[str]:
    """Return those of the files that are not as the run wrote them, by the folder's manifest."""
    known = (_listed(Path(folder).resolve()) or {"files": {}})["files"]
    return [name for name in names if known.get(name) not in (None, _sha256(Path(folder) / name))]


def refuse_clash(output: Path, names: Iterable[str]) -> None:
    """Refuse an output in which a folder has the name of a file of the run, or a file a folder's.

    Raises
    ------
    DataError : naming it.
    """
    for name in names:
        *folders, _ = Path(name).parents  # without the output itself
        for place in map(output.joinpath, folders):
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                raise _clash(place, "a folder of the report", "a file or a link")
        if (output / name).is_dir():
            raise _clash(output / name, "a file of the report", "a folder")


def _clash(place, expected, found):
    return DataError(
        "the output cannot be written",
        source=place,
        expected=f"the place of {expected} to be free",
        found=found,
        remedy="move it away, or choose another --output",
    )


def _publish(folder, home, keep, run):
    written = _files(folder)
    home.mkdir(parents=True, exist_ok=True)
    held = _lock(home)
    try:
        with _undisturbed():
            _settle(home)
            refuse_clash(home, [*written, MANIFEST])
            before = (_listed(home) or {"files": {}})["files"]
            files = {name: _sha256(home / name) for name in keep if name in before}
            files |= {name: _sha256(folder / name) for name in written}
            manifest = {"written_by": "bayesinf", "run": run, "files": dict(sorted(files.items()))}
            (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            os.rename(folder, home / COMING)
            _settle(home)
    finally:
        _unlock(held)


def _files(folder):
    """Names of all files below a folder; unlike ``rglob``, what cannot be read is an error."""

    def fail(error):
        raise error

    return sorted(
        Path(place, name).relative_to(folder).as_posix()
        for place, _, names in os.walk(folder, onerror=fail)
        for name in names
    )


def _settle(home):
    """Move what has come to its place; may be cut off anywhere and done again."""
    coming = home / COMING
    listed = _listed(coming)
    if listed is not None:
        before = (_listed(home) or {"files": {}})["files"]
        for name in listed["files"]:
            if (coming / name).is_file():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(coming / name, home / name)
        for name in set(before) - set(listed["files"]):
            if (home / name).is_file():
                (home / name).unlink()
        os.replace(coming / MANIFEST, home / MANIFEST)
    if coming.is_dir():
        shutil.rmtree(coming)


def _sweep(home):
    """Remove the hidden folders of runs into this output that are dead: nobody holds them."""
    ours = re.compile(rf"\.{re.escape(home.name)}\.[0-9a-f]{{16}}\.partial")
    there = home.parent.iterdir() if home.parent.is_dir() else ()
    for folder in [path for path in there if ours.fullmatch(path.name) and path.is_dir()]:
        held = _lock(folder, wait=False)
        if held is not None:
            shutil.rmtree(folder, ignore_errors=True)
            _unlock(held)


def _listed(folder):
    """A manifest of ours, with the names of files inside the folder alone; None without one."""
    try:
        listed = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if listed["written_by"] != "bayesinf":
            return None
        files = listed["files"]
        files = (
            files if isinstance(files, dict) else dict.fromkeys(files)
        )  # before there were hashes
        paths = {name: (folder / name).resolve() for name in files}
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    inside = {
        name: files[name]
        for name, path in paths.items()
        if folder in path.parents and not path.is_dir()
    }
    return {"run": listed.get("run"), "files": inside}


def _sha256(path):
    try:
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except FileNotFoundError:
        return "missing"


def _lock(folder, wait=True):
    """Hold a folder until ``_unlock`` or the end of this process; None if another has it, or none.

    It may go between two looks at it: other runs publish theirs, and remove those of the dead.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError:  # a file system without locks
        pass
    return handle


def _unlock(handle):
    if handle is not None:
        os.close(handle)


@contextmanager
def _undisturbed():
    """Let an interrupt or a request to end wait for the milliseconds that the moves take."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting = []
    before = {
        number: signal.signal(number, lambda number, frame: waiting.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in waiting:
            signal.raise_signal(number)
