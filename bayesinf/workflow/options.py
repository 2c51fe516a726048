"""The options that all scripts have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bayesinf.errors import DataError

__all__ = ["REPORTS", "SHARED", "Priors", "Recording", "Windows", "column", "misread", "numbers"]
__all__ += ["priors", "windows"]

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
        Annotated[bool, typer.Option("--quick", help="Short, and one example: a look, no result.")],
        False,
    ),
    "fresh": (
        Annotated[
            bool,
            typer.Option("--fresh", help="Take up nothing of a run that was cut off."),
        ],
        False,
    ),
    "read_bytes": (
        Annotated[
            float | None,
            typer.Option(
                metavar="BYTES", min=1, help="A file may unfold to that many; default 2e9."
            ),
        ],
        None,
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


# Options of the scripts that can use them, read by ``priors`` and ``windows``.
Priors = Annotated[
    list[str] | None,
    typer.Option("--prior", help="Such as 'center[1] ~ Normal(656.3, 0.5)'; repeat for others."),
]
Windows = Annotated[
    list[str] | None,
    typer.Option(
        "--window", metavar="LOW,HIGH", help="Take these x only; repeat for more windows."
    ),
]


def priors(given: list[str] | None) -> dict[str, object]:
    """Read the priors that the command line states, by the names of what they are of."""
    from bayesinf.priors import parse

    return dict(parse(text) for text in given or ())


def windows(given: list[str] | None) -> list[tuple[float, float]]:
    """Read lowest and highest x of each window."""
    return [tuple(numbers("window", text, 2)) for text in given or ()]


def numbers(option: str, text: str, count: int | None = None) -> list[float]:
    """Read numbers between commas.

    Raises
    ------
    DataError : there are none, or not so many as ``count``.
    """
    try:
        found = [float(part) for part in text.replace("\u2212", "-").split(",")]
    except ValueError:
        found = []
    if not found or count not in (None, len(found)):
        raise misread(option, "LOW,HIGH" if count == 2 else "numbers such as 10.2,14", text)
    return found


def misread(option: str, expected: str, found: str) -> DataError:
    """Return the error of an option that cannot be read."""
    return DataError(f"--{option} cannot be read", expected=expected, found=repr(found))


def column(given: str | None) -> str | int | None:
    """Read a column that the command line names, by its name or by its position from 1."""
    return int(given) if given is not None and given.isdecimal() else given
