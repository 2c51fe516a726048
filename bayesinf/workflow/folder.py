"""The folder of a run: written whole into a hidden one beside it, and moved into place."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["staged"]


@contextmanager
def staged(output: Path, keep: Iterable[str] = ()) -> Iterator[Path]:
    """Give a hidden folder to write into, and move its files to the output if all went well.

    Files of the run before that this one did not write are removed, but for those to ``keep``;
    anything else in the output folder is left alone.
    """
    home = output.resolve()
    folder = home.with_name(f".{home.name}.{os.getpid()}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
        written = sorted(
            str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
        )
        before = _previous(home)
        kept = sorted({*written, *(name for name in keep if name in before)})
        manifest = folder / "files.json"
        manifest.write_text(json.dumps({"written_by": "bayesinf", "files": kept}, indent=1))
        for name in (*written, manifest.name):
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(folder / name, home / name)
        for name in set(before) - set(kept):
            (home / name).unlink()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _previous(output: Path) -> list[str]:
    """What the run before wrote and is still there; nothing where the list is not ours."""
    try:
        listed = json.loads((output / "files.json").read_text())
        names = listed["files"] if listed["written_by"] == "bayesinf" else []
        paths = {name: (output / name).resolve() for name in names}
    except (OSError, ValueError, LookupError, TypeError):
        return []
    return [name for name, path in paths.items() if path.is_file() and output in path.parents]
