"""The options that all scripts have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["REPORTS", "SHARED", "Recording", "column"]

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
    "fresh": (
        Annotated[
            bool,
            typer.Option("--fresh", help="Take up nothing of a run that was cut off."),
        ],
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


def column(given: str | None) -> str | int | None:
    """Read a column that the command line names, by its name or by its position from 1."""
    return int(given) if given is not None and given.isdecimal() else given
