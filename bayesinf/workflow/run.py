"""One run of a script: its data, settings and clock, where its results go, and how it ends."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING

import typer

from bayesinf import kept, parallel, progress
from bayesinf.errors import DataError, printable
from bayesinf.publication import MANIFEST, new_run, refuse_clash, staged
from bayesinf.settings import Settings
from bayesinf.workflow.ending import failed
from bayesinf.workflow.retelling import of_run, tell
from bayesinf.workflow.tables import summary

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayesinf.checks import Verdict
    from bayesinf.report import Story

__all__ = ["Run"]

LARGEST = 1e75  # of numbers, and of their inverses: the square of such a ratio is finite

# What every run writes: a folder of the user's of that name is found before any work is done.
EXPECTED = ("index.html", "verdict.json", "summary.csv", MANIFEST, "figures/any.png")


@dataclass
class Run:
    """One run of a script: its data, settings and clock, and where its results go.

    Parameters
    ----------
    name : of the script, and of the system that it asks.
    settings : length and seed.
    output : folder of the results.
    data : a file of the user's; None where none was given.
    scheduler : address of a Dask scheduler; None for the local cores.
    quick : whether short chains were asked for.
    shortened : what a look at the shipped data leaves out or takes a part of, in words.
    given : names of the options that the user gave.
    home : folder of the script.
    seconds : label of a step to how long it took.
    kept : folder of what this command has done, while it runs (``bayesinf.kept``).
    id : what the files of this run bear, and those of no other.
    read_as : how the user's file was read, in words; "" where none was.
    tables : name to a table that the script adds to the results, as ``<name>.csv``.
    """

    name: str
    settings: Settings
    output: Path
    data: Path | None = None
    scheduler: str | None = None
    quick: bool = False
    shortened: list[str] = field(default_factory=list)
    given: frozenset[str] = frozenset()
    home: Path = Path("workflows")
    seconds: dict[str, float] = field(default_factory=dict)
    kept: Path | None = None
    id: str = field(default_factory=new_run)
    read_as: str = ""
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    def __post_init__(self):
        places = (self.output, *self.output.absolute().parents)
        there = next(folder for folder in places if folder.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise DataError(
                "the output cannot be written",
                source=self.output,
                expected="a folder, or a name that is free",
                found=f"{there}, {'which is read-only' if there.is_dir() else 'a file'}",
            )
        refuse_clash(self.output, EXPECTED)

    @property
    def look(self) -> bool:
        """Whether a short look at the shipped data was asked for, of which a part will do."""
        return self.quick and self.data is None

    @property
    def command(self) -> str:
        """The command of this run, to type again."""
        called, *options = sys.argv
        if Path(called).suffix != ".py":  # the bayesinf command, or none
            return shlex.join(["bayesinf", *options]) if called else self.name
        words = ["-m", "bayesinf"] if Path(called).name == "__main__.py" else [called]
        return shlex.join(["python", *words, *options])

    @property
    def taken_up(self) -> str:
        """What was taken up of a run that was cut off, in words; "" for nothing."""
        return kept.taken(self.kept) if self.kept else ""

    @contextmanager
    def step(self, label: str):
        """Say what is being done while it is done, and note how long it took."""
        started = time.perf_counter()

        def told():
            return f"{label}: {time.perf_counter() - started:.0f} s so far"

        with _turning(label), progress.heartbeat(told):
            yield
        self.seconds[label] = self.seconds.get(label, 0.0) + time.perf_counter() - started

    def map[Item, Result](
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        label: str | None = None,
        threads: bool = False,
    ) -> list[Result]:
        """Apply a function to each item, as ``parallel.map`` does, where this run's work goes."""
        return parallel.map(
            function,
            items,
            workers=self.settings.workers,
            scheduler=self.scheduler,
            threads=threads,
            label=label,
        )

    def report_reading(self, data: xr.Dataset) -> xr.Dataset:
        """Say what was taken from the user's file and why, for the terminal, page and verdict.

        Parameters
        ----------
        data : what a reader made of the file; its attribute ``read_as`` says it in words.

        Returns
        -------
        the data as they are.

        Raises
        ------
        DataError : numbers so large or small that squares of them are infinite or zero.
        """
        if self.data is not None and hasattr(data, "data_vars"):
            _refuse_extreme(data, self.data)
        said = data.attrs.get("read_as") if hasattr(data, "attrs") else data.said
        if self.data is not None and said:
            self.read_as = said
            print(f"Read {self.data}: {said}.")
        return data

    def shipped(self, name: str) -> Path:
        """Return the path of a file that data/ holds for this script."""
        return self.home.parent / "data" / self.name / name

    def finish(
        self, fits: Mapping[str, xr.DataTree], story: Callable[[Mapping[str, xr.DataTree]], Story]
    ) -> None:
        """Check the fits, write all results, and say in one line whether to believe them.

        Parameters
        ----------
        fits : file stem to InferenceData; each becomes ``<stem>.nc``.
        story : from the fits to the system's part of the report.

        Raises
        ------
        typer.Exit : with status 3 where a check failed, and with status 1 where the story could not
            be told; everything else is written all the same.
        """
        from bayesinf.checks import check
        from bayesinf.posterior import save
        from bayesinf.report import write_verdict
        from bayesinf.rounding import compact

        if self.read_as:
            for fit in fits.values():
                fit.attrs["data_read_as"] = self.read_as
        few = ["few draws are made"] if self.quick and "draws" not in self.given else []
        if said := "; ".join([*few, *self.shortened]):
            for fit in fits.values():
                fit.attrs["look"] = said
        # The page, the verdict and the files are of the same numbers.
        fits = {name: compact(fit) for name, fit in fits.items()}
        with self.step("check"):
            verdicts = {name: check(fit) for name, fit in fits.items()}
        fits = {name: of_run(fit, self.id) for name, fit in fits.items()}
        told = untold = None
        with staged(self.output, run=self.id) as folder:
            with self.step("save"):
                for name, fit in fits.items():
                    save(fit, folder / f"{name}.nc")
                summary(fits).assign(run=self.id).to_csv(folder / "summary.csv", index=False)
                for name, table in self.tables.items():
                    table.assign(run=self.id).to_csv(folder / f"{name}.csv", index=False)
                write_verdict(folder, verdicts, next(iter(fits)), command=self.command, run=self.id)
            with self.step("report"):
                try:
                    told = tell(folder, story, fits, verdicts, self.command)
                except Exception as error:  # whatever it is, it must not cost the fits
                    untold = error
                    (folder / "index.html").unlink(missing_ok=True)
                    shutil.rmtree(folder / "figures", ignore_errors=True)
        if untold is None:
            self.answer(told, fits, verdicts)
            return
        place = extract_tb(untold.__traceback__)[-1]
        said = f"{type(untold).__name__}: {untold} ({Path(place.filename).name}:{place.lineno})"
        failed(
            f"the report could not be told, {said}; the fits are in {self.output}, and "
            "bayesinf.retell makes the page of them"
        )
        raise typer.Exit(1)

    def answer(
        self, told: Story, fits: Mapping[str, xr.DataTree], verdicts: Mapping[str, Verdict]
    ) -> None:
        """Print the answer: its sentence, its numbers, and the verdict of the fit that carries it.

        Parameters
        ----------
        told : the story.
        fits, verdicts : by name.
        """
        from bayesinf import report

        carries = report.answering(told, fits)
        said = told.answer.paragraphs[0] if told.answer.paragraphs else f"{told.answer.title}."
        self.say(
            verdicts[carries].words,
            verdicts[carries].believed,
            answer=" ".join(part for part in (said, report.known(verdicts[carries])) if part),
            numbers=report.brief(fits[carries], told.derived),
            goodness=report.goodness(fits[carries]),
            beside=report.beside(verdicts, carries),
        )

    def say(
        self,
        words: str,
        believed: bool,
        *,
        answer: str = "",
        numbers: pd.DataFrame | None = None,
        goodness: str = "",
        beside: str = "",
    ) -> None:
        """Print a verdict, what it is of, and where the results are; exit 3 if not believed.

        Parameters
        ----------
        words, believed : the verdict.
        answer : the sentence that it judges.
        numbers : a table of the answer, its index the names of the rows.
        goodness : how well the answer meets the data's error bars.
        beside : how other fits did.
        """
        from bayesinf.report.numbers import aligned

        total = sum(self.seconds.values())
        parts = ", ".join(f"{label} {seconds:.1f}" for label, seconds in self.seconds.items())
        told = [
            "Believed." if believed else "NOT BELIEVED: a check failed.",
            answer and f"\n{answer}",
            "" if numbers is None else f"\n{aligned(numbers)}\n",
            goodness and f"{goodness}\n",
            words,
            beside,
            f"Report: {self.output / 'index.html'}",
            self.taken_up,
            f"Time: {total:.1f} s ({parts})",
        ]
        print(printable("\n".join(filter(None, told))))  # names and units are those of the file
        if not believed:
            raise typer.Exit(3)


def _turning(label):
    """A sign that turns while the work lasts, where stderr is a terminal that shows it."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(label)


def _refuse_extreme(data, source):
    """Refuse numbers, and error bars, of which squares would be infinite or zero."""
    for name, variable in data.data_vars.items():
        if variable.dtype.kind != "f" or not variable.size:
            continue
        sizes = abs(variable.values)
        least = sizes.min() if name == "error" else sizes.max()
        if sizes.max() > LARGEST or 0 < least < 1 / LARGEST:
            extreme = sizes.max() if sizes.max() > LARGEST else least
            raise DataError(
                f"the numbers of {name} are too {'large' if extreme > 1 else 'small'} to be fitted",
                source=source,
                expected=f"sizes between {1 / LARGEST:g} and {LARGEST:g}",
                found=f"{extreme:g}",
                remedy="write them in another unit",
            )
