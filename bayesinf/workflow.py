"""The frame that every script in ``workflows/`` shares: options, errors, files and exit status.

A script is a function that reads, fits, and returns its fits by name; ``script`` gives it the
options that all have in common, and a ``Run`` as its first argument. Then every fit is checked and
everything written into a hidden folder beside the output, and moved into place at the end. So a bad
input, a failed fit or a killed run leaves the output folder as it was. The story is told last, and
where that fails the fits are kept: ``retell`` makes the page once it can be told.

One fit carries the answer, as the story says: its verdict is that of the run. Exit status: 0 done
and believed; 1 done, but the report could not be told, one line on stderr; 2 bad usage or bad
input, one line on stderr, nothing written; 3 done, but the answer's fit failed a check.
"""

from __future__ import annotations

import inspect
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Annotated, get_type_hints

import typer
from typer.exceptions import TyperException

from bayesinf.errors import BayesinfError, DataError
from bayesinf.settings import DEFAULT, QUICK, Settings
from bayesinf.systems import names, system

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayesinf.checks import Verdict
    from bayesinf.report import Story

__all__ = ["REPORTS", "Recording", "Run", "cli", "column", "retell", "script", "staged", "summary",
           "write_report"]  # fmt: skip

# The options of every script.
SHARED = {
    "data": (
        Annotated[
            Path | None,
            typer.Option("--data", metavar="FILE", help="Your data; else what data/ holds."),
        ],
        None,
    ),
    "output": (
        Annotated[
            Path | None,
            typer.Option("--output", metavar="DIR", help="Default: reports/<workflow>."),
        ],
        None,
    ),
    "seed": (Annotated[int, typer.Option(min=0, help="All randomness follows from it.")], 1),
    "draws": (
        Annotated[int | None, typer.Option(min=4, help="Draws kept in each chain.")],
        None,
    ),
    "tune": (
        Annotated[int | None, typer.Option(min=0, help="Draws made before those and discarded.")],
        None,
    ),
    "chains": (Annotated[int | None, typer.Option(min=1, help="Independent chains.")], None),
    "quick": (
        Annotated[bool, typer.Option("--quick", help="Short chains: a look, not a result.")],
        False,
    ),
    "scheduler": (
        Annotated[
            str | None,
            typer.Option(metavar="ADDRESS", help="A Dask scheduler to send the work to."),
        ],
        None,
    ),
}
REPORTS = Path("reports")


@dataclass(frozen=True)
class Recording:
    """Options that say what to take of binary data, as ``bayesinf.data.raster`` reads them."""

    cells: Annotated[
        str | None, typer.Option(help="Sites to keep, from 0: '40' the first forty, or '0-9,12'.")
    ] = None
    repeats: Annotated[str | None, typer.Option(help="Repeats to keep, likewise.")] = None
    encoding: Annotated[
        str | None, typer.Option(help="'±1' or '0/1': of the result; default: that of the data.")
    ] = None
    axes: Annotated[
        str | None, typer.Option(help="Order of the axes, as in 'repeat,time,site'.")
    ] = None
    bin: Annotated[
        float | None, typer.Option(metavar="WIDTH", help="Of the bins of spike times.")
    ] = None


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
    given : names of the options that the user gave.
    home : folder of the script.
    seconds : label of a step to how long it took.
    read_as : how the user's file was read, in words; "" where none was.
    """

    name: str
    settings: Settings
    output: Path
    data: Path | None = None
    scheduler: str | None = None
    quick: bool = False
    given: frozenset[str] = frozenset()
    home: Path = Path("workflows")
    seconds: dict[str, float] = field(default_factory=dict)
    read_as: str = ""

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

    @contextmanager
    def step(self, label: str):
        """Say what is being done while it is done, and note how long it took."""
        from rich.console import Console

        started = time.perf_counter()
        with Console(stderr=True).status(label):
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
        from bayesinf import parallel

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
        """
        if self.data is not None and (said := data.attrs.get("read_as")):
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

        command = shlex.join(["python", *sys.argv]) if sys.argv[0] else self.name
        if self.read_as:
            for fit in fits.values():
                fit.attrs["data_read_as"] = self.read_as
        with self.step("check"):
            verdicts = {name: check(fit) for name, fit in fits.items()}
        told = untold = None
        with staged(self.output) as folder:
            with self.step("save"):
                for name, fit in fits.items():
                    save(fit, folder / f"{name}.nc")
                summary(fits).to_csv(folder / "summary.csv", index=False)
                write_verdict(folder, verdicts, next(iter(fits)), command=command)
            with self.step("report"):
                try:
                    told = _tell(folder, story, fits, verdicts, command)
                except Exception as error:  # whatever it is, it must not cost the fits
                    untold = error
                    (folder / "index.html").unlink(missing_ok=True)
                    shutil.rmtree(folder / "figures", ignore_errors=True)
        if untold is None:
            self.answer(told, fits, verdicts)
            return
        place = extract_tb(untold.__traceback__)[-1]
        said = f"{type(untold).__name__}: {untold} ({Path(place.filename).name}:{place.lineno})"
        print(
            f"error: the report could not be told, {' '.join(said.split())}; the fits are in "
            f"{self.output}, and bayesinf.retell makes the page of them",
            file=sys.stderr,
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
            numbers=report.brief(fits[carries]),
            beside=report.beside(verdicts, carries),
        )

    def say(
        self,
        words: str,
        believed: bool,
        *,
        answer: str = "",
        numbers: pd.DataFrame | None = None,
        beside: str = "",
    ) -> None:
        """Print a verdict, what it is of, and where the results are; exit 3 if not believed.

        Parameters
        ----------
        words, believed : the verdict.
        answer : the sentence that it judges.
        numbers : a table of the answer, its index the names of the rows.
        beside : how other fits did.
        """
        print("Believed." if believed else "NOT BELIEVED: a check failed.")
        if answer:
            print(f"\n{answer}")
        if numbers is not None:
            print(f"\n{aligned(numbers)}\n")
        print(words)
        if beside:
            print(beside)
        print(f"Report: {self.output / 'index.html'}")
        total = sum(self.seconds.values())
        parts = ", ".join(f"{label} {seconds:.1f}" for label, seconds in self.seconds.items())
        print(f"Time: {total:.1f} s ({parts})")
        if not believed:
            raise typer.Exit(3)


def aligned(table: pd.DataFrame) -> str:
    """Set a table of text as lines of a terminal, the first column its index."""
    rows = [[str(table.index.name or ""), *map(str, table.columns)]]
    rows += [[str(name), *map(str, cells)] for name, *cells in table.itertuples()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


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


def script(
    function: Callable | None = None,
    *,
    name: str | None = None,
    story: Callable[[Mapping[str, xr.DataTree]], Story] | None = None,
    without: Iterable[str] = (),
) -> Callable:
    """Make a script of a function from a ``Run``, and options of its own, to fits by name.

    The options of ``SHARED`` become fields of the run. A parameter that is annotated with a
    dataclass, such as ``Recording``, becomes an option for each of its fields. What the function
    returns is finished with the story of the system that the script is named after, or told plainly
    where that has none; a script that returns None has seen to its results itself.

    Parameters
    ----------
    function : its first parameter is the run; its docstring asks the question.
    name : of the script; None takes its file's.
    story : from the fits to the system's part of the report, in place of the system's own.
    without : shared options that mean nothing to this script.

    Returns
    -------
    a function of all options, for ``cli``.
    """
    if function is None:
        return partial(script, name=name, story=story, without=without)
    file = Path(function.__code__.co_filename)
    title = name or file.stem
    shared = {each: entry for each, entry in SHARED.items() if each not in without}
    hints = get_type_hints(function, include_extras=True)
    _, *own = inspect.signature(function).parameters.values()
    gathered = {p.name: hints[p.name] for p in own if is_dataclass(hints[p.name])}
    options = {each: (kind, default) for each, (kind, default) in shared.items()}
    for parameter in own:
        if parameter.name in gathered:
            kinds = get_type_hints(gathered[parameter.name], include_extras=True)
            options |= {
                f.name: (kinds[f.name], f.default) for f in fields(gathered[parameter.name])
            }
        else:
            options[parameter.name] = hints[parameter.name], parameter.default

    def main(context: typer.Context = None, **given):
        values = {each: default for each, (_, default) in options.items()} | given
        common = {each: values[each] for each in SHARED if each in values}
        run = _opened(title, file, common, _given(context, given))
        arguments = {
            parameter.name: gathered[parameter.name](
                **{f.name: values[f.name] for f in fields(gathered[parameter.name])}
            )
            if parameter.name in gathered
            else values[parameter.name]
            for parameter in own
        }
        fits = function(run, **arguments)
        if fits is not None:
            question = " ".join((function.__doc__ or title).split("\n\n")[0].split())
            run.finish(fits, story or _story(title, title.replace("_", " "), question))

    parameters = {"context": (typer.Context, inspect.Parameter.empty)} | options
    main.__signature__ = inspect.Signature(
        [
            inspect.Parameter(
                each, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind
            )
            for each, (kind, default) in parameters.items()
        ]
    )
    main.__annotations__ = {each: kind for each, (kind, _) in parameters.items()}
    main.__name__, main.__doc__, main.__module__ = "main", function.__doc__, function.__module__
    return main


def retell(folder: str | os.PathLike) -> Path:
    """Make the page of a report again from the files in its folder alone.

    Parameters
    ----------
    folder : of a run of a script.

    Returns
    -------
    the path of ``index.html``; fits and ``summary.csv`` stay as they are.

    Raises
    ------
    DataError : no run wrote this folder, or a fit cannot be read.
    """
    from bayesinf.checks import check
    from bayesinf.posterior import load

    folder = Path(folder)
    try:
        told = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
        stems, command = list(told["fits"]), told["command"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        found = "a verdict.json without fits, as a calibration has it"
        if isinstance(error, OSError):
            found = "no verdict.json" if folder.is_dir() else "no such folder"
        elif isinstance(error, ValueError):
            found = "a verdict.json that is no JSON"
        raise DataError(
            "no report to tell again",
            source=folder,
            expected="a folder with the fits and the verdict.json of a run",
            found=found,
        ) from error
    fits = {name: load(folder / f"{name}.nc") for name in stems}
    asked = str(next(iter(fits.values())).attrs["system"])
    title = told.get("title") or asked.replace("_", " ")
    question = told.get("question") or f"What do the data say about {title}?"
    verdicts = {name: check(fit) for name, fit in fits.items()}
    with staged(folder, keep=[*(f"{name}.nc" for name in stems), "summary.csv"]) as hidden:
        _tell(hidden, _story(asked, title, question), fits, verdicts, command)
    return folder / "index.html"


def write_report(
    fits: xr.DataTree | Mapping[str, xr.DataTree],
    folder: str | os.PathLike,
    *,
    title: str | None = None,
    question: str | None = None,
    inference: str | None = None,
) -> Path:
    """Write a report of any InferenceData: files, tables, verdict and page.

    Parameters
    ----------
    fits : an InferenceData, or name to InferenceData, the first of which carries the answer; of
        bayesinf, or of whatever library (``foreign.adopted``).
    folder : where to; what a report before left there goes, anything else stays.
    title, question : of the page.
    inference : kind of inference; None for what each file says, or shows.

    Returns
    -------
    the path of ``index.html``.

    Raises
    ------
    DataError : there is no posterior; the kind of inference is unknown.
    """
    from bayesinf.checks import check
    from bayesinf.foreign import adopted
    from bayesinf.posterior import save

    several = isinstance(fits, Mapping) and not hasattr(fits, "children")
    named = fits if several else {"posterior": fits}
    named = {name: adopted(fit, inference) for name, fit in named.items()}
    title = title or str(next(iter(named.values())).attrs["model"])
    question = question or "What do the data say about the parameters?"
    verdicts = {name: check(fit) for name, fit in named.items()}
    command = f"bayesinf.write_report(fits, {str(folder)!r})"
    with staged(Path(folder)) as hidden:
        for name, fit in named.items():
            save(fit, hidden / f"{name}.nc")
        summary(named).to_csv(hidden / "summary.csv", index=False)
        plain = partial(_plain_story, title=title, question=question)
        _tell(hidden, plain, named, verdicts, command)
    return Path(folder) / "index.html"


def _plain_story(fits, title, question):
    from bayesinf.report import plain_story

    return plain_story(fits, title, question)


def _tell(folder, story, fits, verdicts, command):
    """Tell the story, write the page, and return what was told."""
    from threadpoolctl import threadpool_limits

    from bayesinf.report import write

    # Small matrices by the hundred: threads of BLAS that wait for each other cost more than they
    # bring, on a busy machine tenfold.
    with threadpool_limits(1):
        told = story(fits)
        write(folder, told, fits, verdicts, command=command)
    return told


def _story(name, title, question):
    """The story of a system of that name; a plain one where there is none."""
    from bayesinf.report import plain_story

    told = getattr(system(name), "story", None) if name in names() else None
    return told or partial(plain_story, title=title, question=question)


def _opened(name, file, common, given):
    """The run that the shared options describe."""
    lengths = {each: common.get(each) for each in ("seed", "draws", "tune", "chains")}
    quick = common.get("quick", False)
    settings = (QUICK if quick else DEFAULT).replace(
        **{each: value for each, value in lengths.items() if value is not None}
    )
    output = common.get("output")
    return Run(
        name,
        settings,
        REPORTS / name if output is None else Path(output),
        data=common.get("data"),
        scheduler=common.get("scheduler"),
        quick=quick,
        given=given,
        home=file.parent,
    )


def _given(context, options):
    """Names of the options that stand on the command line, or in a call from Python."""
    if context is None:
        return frozenset(options)
    source = context.get_parameter_source
    return frozenset(each for each in options if source(each).name == "COMMANDLINE")


def summary(fits: Mapping[str, xr.DataTree]) -> pd.DataFrame:
    """Tabulate every posterior variable of every fit, or those that are its ``quantities``.

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
    from bayesinf.posterior import reported

    tables = []
    for name, fit in fits.items():
        scalars = elements(fit, reported(fit))
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
