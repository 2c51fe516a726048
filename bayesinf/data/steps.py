"""An axis that is not written but told: its start and its step stand in the heading.

Oscilloscopes and programs that record in even steps leave out x, and write ``Sample Interval``,
``XInc`` or ``Start`` and ``Increment`` above the numbers. Where x stands there all the same, or any
first column that goes one way, nothing is done.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayesinf.data.dialects import numberlike
from bayesinf.data.units import known_unit

__all__ = ["Steps", "axis", "told"]

HEAD = 20_000  # characters in which a heading is looked for
# Keywords in small letters, without signs.
STEP = """
    sample interval, sampling interval, sampling period, increment, xinc, x inc, xincr, xincrement,
    x increment, dx, deltax, delta x, tinc, dt, delta t, horizontal interval, step, step size,
    stepsize, time step, timestep
"""
START = """
    start, x0, xorg, x org, xorigin, x origin, xzero, x zero, t0, start time, firstx, first x
"""
RATE = "sampling rate, sample rate, sampling frequency, fs"
ZERO = "zero index, trigger point"
UNIT = "horizontal units, horizontal unit, x units, x unit, xunit, xunits, time unit"
_KEYS = {
    word.strip(): role
    for role, words in zip(
        ("step", "start", "rate", "zero", "unit"), (STEP, START, RATE, ZERO, UNIT), strict=True
    )
    for word in words.split(",")
}
_NUMBER = r"[+\-−]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+\-−]?\d+)?"
_SETTING = re.compile(
    rf"([^\W\d][\w ./-]*?)\s*(?:\(([^()]*)\))?[\s:=,;]+({_NUMBER})(?![\w.:])\s*([^\W\d_]*)"
)
_UNIT = re.compile(r"([^\W\d][\w ./-]*?)[\s:=,;]+\"?([^\W\d][^\s,;]*)[\"\s,;]*")


@dataclass(frozen=True)
class Steps:
    """What a heading says of an even axis: ``start``, ``step``, ``unit``, and whether in full."""

    start: float
    step: float
    unit: str
    complete: bool

    @property
    def words(self) -> str:
        """What was concluded."""
        unit = "" if self.unit == "1" else f" {self.unit}"
        begin = f"from {self.start:g}" if self.complete else "from 0, as no start is told,"
        return f"x is told in the heading, {begin} in steps of {self.step:g}{unit}"


def told(text: str) -> tuple[str, Steps | None]:
    """Find start and step in the heading of a text.

    Returns
    -------
    the text, in which cells that hold them beside names are gone, so that they are not taken for
    names; and what was found, None where no step is told.
    """
    end = text.rfind("\n", 0, HEAD) if len(text) > HEAD else len(text)
    head = text[:end].replace("\r\n", "\n").replace("\r", "\n")
    lines, found, numbers = head.split("\n"), {}, 0
    for at, line in enumerate(lines):
        if line.strip()[:1] in (*"+-.0123456789",):
            numbers += 1
            if numbers > 2:
                break
        else:
            found = _below(lines, at) | _beside(lines, at) | found
    steps = _steps(found)
    edited = "\n".join(lines)
    return (text if edited == head or steps is None else edited + text[end:]), steps


def axis(steps: Steps, columns: Sequence[np.ndarray]) -> int | None:
    """Say where the axis belongs among the columns of a table.

    Returns
    -------
    the place of the column that it replaces, which is empty or counts the rows; -1 to stand before
    the others; None where x is written.
    """
    first = columns[0]
    if first.dtype.kind in "US":
        return 0 if len(columns) > 1 and not any(first) else None
    if len(first) < 2 or any(np.allclose(_steps_of(c), steps.step, 1e-2, 0) for c in columns):
        return None
    if len(columns) == 1:
        return -1
    own = _steps_of(first)
    counts = first[0] in (0, 1) and (own == 1).all()
    if not steps.complete:
        return None
    return 0 if counts else None if (own > 0).all() or (own < 0).all() else -1


def _steps_of(column):
    return np.diff(column) if column.dtype.kind in "iuf" else np.array([np.nan])


def _beside(lines, at):
    """Settings of a line, each a keyword and its value; those behind names are taken out."""
    found, line = {}, lines[at]
    for match in _SETTING.finditer(line):
        role = _KEYS.get(_plain(match[1]))
        if role in ("step", "start", "rate", "zero"):
            value = float(re.sub("[dD]", "e", match[3].replace("−", "-")))
            found.setdefault(role, (value, match[2] or match[4]))
            if before := line[: match.start()].strip(" #,;*\t"):
                lines[at] = before if len(before) < len(lines[at]) else lines[at]
    if (match := _UNIT.fullmatch(line.strip())) and _KEYS.get(_plain(match[1])) == "unit":
        found["unit"] = (match[2], "")
    return found


def _below(lines, at):
    """Settings that stand below their keywords, behind the names of columns."""
    if at + 1 >= len(lines):
        return {}
    for mark in ",;\t":
        above, below = (line.split(mark) for line in lines[at : at + 2])
        roles = {k: _KEYS.get(_plain(cell)) for k, cell in enumerate(above[: len(below)])}
        told = {k: role for k, role in roles.items() if role and numberlike(below[k].strip())}
        if {*told.values()} == {"start", "step"} and min(told) > 0:
            lines[at], lines[at + 1] = (mark.join(row[: min(told)]) for row in (above, below))
            return {role: (float(below[k]), "") for k, role in told.items()}
    return {}


def _plain(word):
    return " ".join(word.replace("_", " ").split()).casefold()


def _steps(found):
    """What the settings say together; None where no step is among them."""
    rate, rated = found.get("rate", (0.0, ""))
    step, unit = found.get("step", (1 / rate if rate else 0.0, ""))
    if not (np.isfinite(step) and step):
        return None
    if "step" not in found and rated.casefold() in ("", "hz"):
        unit = "s"
    unit = found.get("unit", (unit, ""))[0]
    unit = "s" if unit.casefold() in ("second", "seconds", "sec") else unit.rstrip(".")
    zero = found.get("zero", (0.0, ""))[0]
    start = found.get("start", (-step * zero, ""))[0]
    complete = not found.keys().isdisjoint({"start", "zero"})
    return Steps(start, step, unit if known_unit(unit) else "1", complete)
