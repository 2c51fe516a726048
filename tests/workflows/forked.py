"""A script in a process of its own, as a user starts it, but begun from one in which the libraries
are imported already: that costs two seconds a script, of its ten."""

import os
import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

# Of these none starts a thread, which a fork would not have.
LIBRARIES = [
    *("dask.array", "h5netcdf", "joblib", "matplotlib.backends.backend_agg", "matplotlib.figure"),
    *("numba", "pandas", "scipy.optimize", "scipy.stats", "typer", "xarray"),
]


def run(script: Path, folder: Path, arguments: Sequence[str]) -> int:
    """Run a script in a folder, what it says in ``said`` and ``complained`` there; its status."""
    os.chdir(folder)
    for number, name in ((1, "said"), (2, "complained")):
        handle = os.open(folder.with_suffix(f".{name}"), os.O_WRONLY | os.O_CREAT)
        os.dup2(handle, number)
        os.close(handle)
    sys.argv[:] = [str(script), *arguments]
    sys.path[0] = str(script.parent)
    try:
        runpy.run_path(str(script), run_name="__main__")
        status = 0
    except SystemExit as ended:
        status = ended.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return status
