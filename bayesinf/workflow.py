"""The frame that every script in ``workflows/`` shares: options, errors, files and exit status.

A script reads its data, fits, and hands the fits to ``run.finish``, which checks each of them,
writes everything into a hidden folder beside the output and moves it into place at the end. So a
bad input, a failed fit or a killed run leaves the output folder as it was. Exit status: 0 done and
believed; 2 bad usage or bad input, one line on stderr, nothing written; 3 done, but a check failed.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import TyperException

from bayesinf.errors import BayesinfError, DataError
from bayesinf.settings import DEFAULT, QUICK, Settings

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayesinf.report import Story

DataFile = Annotated[
    Path | None, typer.Option("--data", metavar="FILE", help="Your data; else what data/ holds.")
]
Output = Annotated[
    Path | None, typer.Option("--output", metavar="DIR", help="Default: reports/<workflow>.")
]
Seed = Annotated[int, typer.Option(min=0, help="All randomness follows from it.")]
Draws = Annotated[int | None, typer.Option(min=4, help="Draws kept in each chain.")]
Tune = Annotated[int | None, typer.Option(min=0, help="Draws made before those and discarded.")]
Chains = Annotated[int | None, typer.Option(min=1, help="Independent chains.")]
Quick = Annotated[bool, typer.Option("--quick", help="Short chains: a look, not a result.")]
Scheduler = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler to send the work to.")
]

# What to take of binary data, as ``bayesinf.data.raster`` reads them.
Cells = Annotated[
    str | None, typer.Option(help="Sites to keep, from 0: '40' the first forty, or '0-9,12'.")
]
Repeats = Annotated[str | None, typer.Option(help="Repeats to keep, likewise.")]
Encoding = Annotated[
    str | None, typer.Option(help="'±1' or '0/1': of the result; default: that of the data.")
]
Axes = Annotated[str | None, typer.Option(help="Order of the axes, as in 'repeat,time,site'.")]

REPORTS = Path("reports")


@dataclass
class Run:
    """One run of a workflow: its settings, its clock, and where its results go."""

    name: str
    settings: Settings
    output: Path
    scheduler: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, label: str):
        """Say what is being done while it is done, and note how long it took."""
        from rich.console import Console

        started = time.perf_counter()
        with Console(stderr=True).status(label):
            yield
        self.seconds[label] = self.seconds.get(label, 0.0) + time.perf_counter() - started

    def finish(
        self,
        story: Callable[[Mapping[str, xr.DataTree]], Story],
        fits: Mapping[str, xr.DataTree],
    ) -> None:
        """Check the fits, write all results, and say in one line whether to believe them.

        Parameters
        ----------
        story : from the fits to the system's part of the report.
        fits : file stem to InferenceData; each becomes ``<stem>.nc``.

        Raises
        ------
        typer.Exit : with status 3 where a check failed; everything is written all the same.
        """
        from threadpoolctl import threadpool_limits

        from bayesinf.checks import check
        from bayesinf.posterior import save
        from bayesinf.report import write

        with self.step("check"):
            verdicts = {name: check(fit) for name, fit in fits.items()}
        with self.staging() as folder:
            with self.step("save"):
                for name, fit in fits.items():
                    save(fit, folder / f"{name}.nc")
            # Small matrices by the hundred: threads of BLAS that wait for each other cost more than
            # they bring, on a busy machine tenfold.
            with self.step("report"), threadpool_limits(1):
                summary(fits).to_csv(folder / "summary.csv", index=False)
                command = shlex.join(["python", *sys.argv]) if sys.argv[0] else self.name
                write(folder, story(fits), fits, verdicts, command=command)
        self.say(
            {name: verdict.words for name, verdict in verdicts.items()},
            all(verdict.believed for verdict in verdicts.values()),
        )

    def say(self, words: Mapping[str, str], believed: bool) -> None:
        """Print verdict, place of the results and where the time went; exit 3 if not believed."""
        print("Believed." if believed else "NOT BELIEVED: a check failed.")
        for name, text in words.items():
            print(f"  {name}: {text}")
        print(f"Report: {self.output / 'index.html'}")
        total = sum(self.seconds.values())
        parts = ", ".join(f"{label} {seconds:.1f}" for label, seconds in self.seconds.items())
        print(f"Time: {total:.1f} s ({parts})")
        if not believed:
            raise typer.Exit(3)

    @contextmanager
    def staging(self):
        """Give a hidden folder to write into, and move its files to the output if all went well.

        Files of the run before that this one did not write are removed; anything else in the output
        folder is left alone.
        """
        home = self.output.resolve()
        folder = home.with_name(f".{home.name}.{os.getpid()}.partial")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
            written = sorted(
                str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
            )
            manifest = folder / "files.json"
            manifest.write_text(json.dumps({"written_by": "bayesinf", "files": written}, indent=1))
            stale = set(_previous(home)) - set(written)
            for name in (*written, manifest.name):
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(folder / name, home / name)
            for name in stale:
                (home / name).unlink()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def run(
    name: str,
    output: Path | None,
    *,
    seed: int = DEFAULT.seed,
    draws: int | None = None,
    tune: int | None = None,
    chains: int | None = None,
    quick: bool = False,
    scheduler: str | None = None,
):
    """Open a run of the workflow ``name``; the options are those of the command line."""
    output = (REPORTS / name) if output is None else Path(output)
    there = next(folder for folder in (output, *output.absolute().parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise DataError(
            "the output cannot be written",
            source=output,
            expected="a folder, or a name that is free",
            found=f"{there}, {'which is read-only' if there.is_dir() else 'a file'}",
        )
    given = {"seed": seed, "draws": draws, "tune": tune, "chains": chains}
    settings = (QUICK if quick else DEFAULT).replace(
        **{field: value for field, value in given.items() if value is not None}
    )
    yield Run(name, settings, output, scheduler)


def summary(fits: Mapping[str, xr.DataTree]) -> pd.DataFrame:
    """Tabulate every posterior variable of every fit.

    Returns
    -------
    one row a scalar: fit, variable, mean, sd, the 95 % equal-tailed interval, R-hat, bulk and tail
    ESS (empty for walkers, which are no chains, and for independent draws), unit.
    """
    import numpy as np
    import pandas as pd

    from bayesinf.diagnostics import mixing
    from bayesinf.figures import elements
    from bayesinf.inference import kinds

    tables = []
    for name, fit in fits.items():
        scalars = elements(fit)
        draws = np.stack([array.values for array in scalars.values()])
        low, high = np.quantile(draws, [0.025, 0.975], axis=(1, 2))
        chains = kinds.of(fit.attrs).chains
        rhat, bulk, tail = mixing(draws) if chains else np.full((3, len(draws)), np.nan)
        columns = {
            "fit": name,
            "variable": list(scalars),
            "mean": draws.mean((1, 2)),
            "sd": draws.std((1, 2)),
            "q2.5": low,
            "q97.5": high,
            "r_hat": rhat,
            "ess_bulk": bulk,
            "ess_tail": tail,
            "units": [array.attrs["units"] for array in scalars.values()],
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def column(given: str | None) -> str | int | None:
    """Read a column that the command line names, by its name or by its position from 1."""
    return int(given) if given is not None and given.isdecimal() else given


def cli(main: Callable) -> None:
    """Run a script's ``main`` with its options from the command line.

    A user's mistake becomes one line on stderr and exit status 2.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        status = app(standalone_mode=False)
    except (BayesinfError, TyperException) as error:
        text = error.format_message() if hasattr(error, "format_message") else str(error)
        print(f"error: {' '.join(text.split())}", file=sys.stderr)
        status = 2
    sys.exit(status or 0)


def _previous(output: Path) -> list[str]:
    """What the run before wrote and is still there; nothing where the list is not ours."""
    try:
        listed = json.loads((output / "files.json").read_text())
        names = listed["files"] if listed["written_by"] == "bayesinf" else []
        paths = {name: (output / name).resolve() for name in names}
    except (OSError, ValueError, LookupError, TypeError):
        return []
    return [name for name, path in paths.items() if path.is_file() and output in path.parents]
