"""The ``bayesinf`` command: every script by its name, and what is asked of files of results.

    bayesinf list                              what there is
    bayesinf gaussian_peaks --data FILE ...    a script; a hyphen serves as well
    bayesinf check FILE.nc ...                 the verdict of a file, of whatever library
    bayesinf report FILE.nc ... | FOLDER       its page, or that of a run once more
    bayesinf gallery FOLDER                    the page that shows all reports of a folder
    bayesinf audit FILE.nc                     may mean and covariance stand for its draws?
    bayesinf warm                              compile beforehand what scripts need
    bayesinf ask FILE, bayesinf tell FILE ...  a campaign of measurements, in one file

A script is imported when it is asked for, so that what it brings is the same as under ``python
workflows/<name>.py``: one set of options, one way to end.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup
from typer.main import get_command

from bayesinf import scripts
from bayesinf.errors import DataError
from bayesinf.workflow.script import ended

__all__ = ["app", "main"]

Files = Annotated[list[Path], typer.Argument(metavar="FILE.nc...", help="Files of InferenceData.")]


class Commands(TyperGroup):
    """Commands of its own, and the scripts, each imported when it is asked for."""

    def list_commands(self, context):
        """Return the names of all."""
        return [*super().list_commands(context), *scripts.names()]

    def get_command(self, context, name):
        """Return one of them; None where there is none of that name."""
        name = name.replace("-", "_")
        if name not in scripts.names():
            return super().get_command(context, name)
        script = import_module(f"bayesinf.scripts.{name}")
        alone = typer.Typer(add_completion=False)
        alone.command(name, rich_help_panel="Questions, each a script")(script.main)
        return get_command(alone)


app = typer.Typer(
    cls=Commands,
    help="A probabilistic inference workflow in which every fit is a posterior.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line, and end with its status."""
    ended(app, "bayesinf")


def _version(asked: bool):
    if asked:
        from importlib.metadata import version

        print(f"bayesinf {version('bayesinf')}")
        raise typer.Exit


@app.callback()
def _shared(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Which this is.")
    ] = False,
):
    pass


@app.command("list")
def _list():
    """Say which scripts there are, and the question of each."""
    import ast

    width = max(map(len, scripts.names()))
    for name in scripts.names():
        source = (scripts.HOME / "workflows" / f"{name}.py").read_text(encoding="utf-8")
        question, *_ = (ast.get_docstring(ast.parse(source)) or "").splitlines() or [""]
        print(f"{name:<{width}}  {question}")


@app.command()
def check(files: Files):
    """May these posteriors be believed? Exit status 3 where one may not."""
    from bayesinf.checks import check as judged

    believed = True
    for file, fit in _opened(files).items():
        verdict = judged(fit)
        print(f"{file}: {verdict.words}" if files[1:] else verdict.words)
        believed &= verdict.believed
    raise typer.Exit(0 if believed else 3)


@app.command()
def report(
    sources: Annotated[
        list[Path], typer.Argument(metavar="FILE.nc... | FOLDER", help="Fits, or a run's folder.")
    ],
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Default: reports/<name of the first file>.")
    ] = None,
):
    """Write the page of any InferenceData, or that of a run again from its folder."""
    from bayesinf.workflow.options import REPORTS
    from bayesinf.workflow.retelling import retell, write_report

    if len(sources) == 1 and sources[0].is_dir():
        if output is not None:
            raise DataError(
                "a run's page stands in its own folder", where="--output", remedy="leave it out"
            )
        page = retell(sources[0])
    else:
        fits = _opened(sources)
        page = write_report(fits, output or REPORTS / next(iter(fits)))
    print(f"Report: {page}")


@app.command()
def audit(
    file: Annotated[Path, typer.Argument(metavar="FILE.nc", help="Of a posterior.")],
    output: Annotated[
        Path | None, typer.Option(metavar="FILE.nc", help="Keep the audit in a file.")
    ] = None,
):
    """May mean and covariance stand for a posterior's draws? Exit status 3 where they may not."""
    from bayesinf import audits
    from bayesinf.foreign import load
    from bayesinf.posterior import save

    found = audits.audit(load(file))
    judged = audits.verdict(found)
    print(found.attrs["answer"], judged.words, sep="\n")
    if output is not None:
        print(f"File: {save(found, output)}")
    raise typer.Exit(0 if judged.believed else 3)


# A value may be negative, which is no option.
NUMBERS = {"ignore_unknown_options": True}


@app.command(context_settings=NUMBERS)
def ask(
    file: Annotated[Path, typer.Argument(help="Of a campaign, JSON.")],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=LOW:HIGH...]", help="Begins one: bounds, then :integer or :log."
        ),
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="How many places; default 1.")] = None,
    rule: Annotated[str | None, typer.Option(help="ei (default), lcb or thompson.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the value; default y.")] = None,
    maximise: Annotated[bool, typer.Option("--maximise", help="Seek the largest.")] = False,
    noise: Annotated[
        float | None, typer.Option(help="Sd of the noise, 0 for exact values; else inferred.")
    ] = None,
    constraint: Annotated[
        list[str] | None, typer.Option(help="Name of what must be ≤ 0; repeat for others.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of all randomness.")] = None,
):
    """Ask where to measure next."""
    from bayesinf.optimisation import store

    begun = {
        "name": name,
        "goal": "maximise" if maximise else None,
        "noise": noise,
        "constraints": tuple(constraint) if constraint else None,
        "seed": seed,
    }
    print(store.main("ask", [str(file), *(inputs or ())], batch=batch, rule=rule, **begun))


@app.command(context_settings=NUMBERS)
def tell(
    file: Annotated[Path, typer.Argument(help="Of a campaign.")],
    words: Annotated[
        list[str],
        typer.Argument(metavar="X... Y", help="Place and value; or 'failed', or 'withdrawn'."),
    ],
):
    """Tell what was measured, and where."""
    from bayesinf.optimisation import store

    print(store.main("tell", [str(file), *words]))


@app.command()
def gallery(folder: Annotated[Path, typer.Argument(help="Of reports, such as reports/.")]):
    """Write the page that shows each report of a folder by its picture, question and verdict."""
    from bayesinf.report import gallery as written

    if not folder.is_dir():
        raise DataError("no such folder", source=folder, expected="a folder of reports")
    print(f"Gallery: {written(folder)}")


@app.command()
def warm(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Scripts; default: all.")
    ] = None,
):
    """Compile what scripts need, so that their first run is as quick as the others."""
    from bayesinf.workflow.warming import warm as warmed

    for name, seconds in warmed(names or ()):
        print(f"{name}: {seconds:.0f} s", flush=True)


def _opened(files):
    """Stem to InferenceData, of ours or dressed as ours."""
    from bayesinf.foreign import load

    fits = {}
    for file in files:
        if file.stem in fits:
            raise DataError(
                "two files of one name", source=file, remedy="name them apart, or one at a time"
            )
        fits[file.stem] = load(file)
    return fits
