"""The ``bayesinf`` command: every script by its name, and what is asked of files of results.

    bayesinf list                              what there is
    bayesinf gaussian_peaks --data FILE ...    a script; a hyphen serves as well
    bayesinf check FILE.nc ...                 the verdict of a file, of whatever library
    bayesinf report FILE.nc ... | FOLDER       its page, or that of a run once more
    bayesinf gallery FOLDER                    the page that shows all reports of a folder

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
def gallery(folder: Annotated[Path, typer.Argument(help="Of reports, such as reports/.")]):
    """Write the page that shows each report of a folder by its picture, question and verdict."""
    from bayesinf.report import gallery as written

    if not folder.is_dir():
        raise DataError("no such folder", source=folder, expected="a folder of reports")
    print(f"Gallery: {written(folder)}")


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
