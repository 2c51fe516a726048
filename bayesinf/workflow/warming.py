"""What is compiled when a script first runs, compiled beforehand.

Loops are compiled by numba, and models by PyMC, when they are first called, and kept beside the
sources, or in the user's cache where these cannot be written to, until the sources change. The way
to have all of a script's that is right by construction is to run it: ``--quick``, its results
thrown away.
"""

from __future__ import annotations

import compileall
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from bayesinf import scripts
from bayesinf.errors import DataError, MachineError
from bayesinf.systems import names as systems

__all__ = ["warm"]

_DONE = (0, 3)  # exit status of a run, whether its answer is believed or not


def warm(names: Iterable[str] = ()) -> Iterator[tuple[str, float]]:
    """Compile the package's modules, then run scripts of these names, one after the other.

    Parameters
    ----------
    names : of scripts that bear a system's name; none for all of them.

    Yields
    ------
    the name of a script, and how many seconds it took.

    Raises
    ------
    DataError : there is no such script. MachineError : one could not be run.
    """
    known = [name for name in scripts.names() if name in systems()]
    names = [name.replace("-", "_") for name in names] or known
    for name in names:
        if name not in known:
            raise DataError(
                "no such script to warm", expected=f"one of {', '.join(known)}", found=name
            )
    compileall.compile_dir(Path(scripts.__file__).parents[1], quiet=2)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            started = time.perf_counter()
            options = ["--quick", "--fresh", "--output", str(Path(folder, name))]
            command = [sys.executable, "-m", "bayesinf", name, *options]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode not in _DONE:
                *_, said = done.stderr.strip().splitlines() or ["it said nothing"]
                raise MachineError(f"{name} ended with status {done.returncode}: {said}")
            yield name, time.perf_counter() - started
