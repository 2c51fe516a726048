"""Names and units of columns, out of the rows above the numbers or out of one header each.

``wavelength (nm)``, ``energy [K]`` and ``r/Å`` hold a unit; so does a row of units below the names,
or between the names and a row of remarks, as in the export of a plotting program.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bayesinf.data.dialects import numberlike
from bayesinf.data.units import known_unit

__all__ = ["is_header", "name_and_units", "names_of", "words_of"]

_BRACKETS = re.compile(r"\s*(.*?\S)\s*(?:\(([^()]*)\)|\[([^\[\]]*)\])\s*")
_SLASH = re.compile(r"\s*(.*?\S)\s*(?:/|,\s)\s*(\S+)\s*")
# A word of a header that spaces set apart, with the unit in brackets that may follow it.
_WORD = re.compile(r'(?:"[^"]*"|\S+)(?:\s+(?:\([^()]*\)|\[[^\[\]]*\]))?')
# What counts in time: counts/s is a rate, where t/s is a time in seconds.
_COUNTED = {"counts", "count", "cts", "photons", "events", "pulses", "1"}


def name_and_units(header: str) -> tuple[str, str]:
    """Split a header into the name and its unit, "" where there is none."""
    if match := _BRACKETS.fullmatch(header):
        return match[1].rstrip("/ ") or match[1], (match[2] or match[3] or "").strip()
    match = _SLASH.fullmatch(header)
    if (
        match
        and known_unit(match[2])
        and match[1].casefold() not in _COUNTED
        and not known_unit(match[1])
    ):
        return match[1], match[2]
    return header.strip(), ""


def words_of(line: str, width: int) -> list[str]:
    """Take apart a header that spaces set apart, as many words as there are columns if it can be.

    Columns may stand two spaces apart where names have one in them.
    """
    words = [word.strip('"') for word in _WORD.findall(line)]
    if len(words) != width:
        apart = [word.strip('"') for word in re.split(r"\s{2,}", line.strip())]
        words = apart if len(apart) == width else words
    return words


def is_header(cells: Sequence[str]) -> bool:
    """Whether a row is one of names, which may be 0, 1, 2, ... beside a word.

    Anything else with a number in it is data, so that a bad cell is reported and not swallowed.
    """
    numbers = [cell for cell in cells if numberlike(cell)]
    counts = [[str(k + start) for k in range(len(numbers))] for start in (0, 1)]
    words = len(numbers) < sum(map(bool, cells))
    return words and (not numbers or (len(numbers) > 1 and numbers in counts))


def names_of(rows: Sequence[Sequence[str]]) -> tuple[list[str], int]:
    """Read names, with units in brackets, from the rows of words directly above the numbers.

    Parameters
    ----------
    rows : cells of those that are as wide as the numbers, the last one directly above them.

    Returns
    -------
    the names, none where there are none, and how many rows at the end hold names, units or remarks.
    """
    units = next((k for k in range(len(rows) - 1, 0, -1) if _is_units(rows[k])), None)
    if units is not None and any(rows[units - 1]):
        names, used = rows[units - 1], len(rows) - units + 1
        marks = [_bare(cell) for cell in rows[units]] + [""] * len(names)
        pairs = zip(names, marks, strict=False)
        return [f"{name} ({u})" if name and u else name for name, u in pairs], used
    if rows and is_header(rows[-1]):
        return list(rows[-1]), 1
    return [], 0


def _is_units(cells):
    """Whether all cells of a row that are not empty are units, in brackets or known."""
    given = [cell for cell in cells if cell and cell not in ("-", "--", "1")]
    return bool(given) and all(_bare(cell) != cell or known_unit(cell) for cell in given)


def _bare(cell):
    """A unit without its brackets."""
    cell = cell.strip()
    return cell[1:-1].strip() if cell[:1] + cell[-1:] in ("()", "[]", "{}", "<>") else cell
