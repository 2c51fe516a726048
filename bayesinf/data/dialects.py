"""How a file writes its numbers: decimal commas or points, marks between thousands, D exponents.

``1,046`` is 1046 in one office and 1.046 in the next. What a whole file shows decides: ``0,5`` or
``1,04`` can only have decimal commas, ``1,234,567`` or ``1,234.5`` only commas between thousands.
Where nothing in a file decides, it is refused with the option that does, since the wrong choice is
wrong by a thousand and looks right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bayesinf.data.arrays import number
from bayesinf.errors import DataError

__all__ = ["BROKEN", "Dialect", "dialect_of", "numberlike", "parsed", "shows"]

# A number in any dialect: thousands in groups of three, an exponent with e or, in Fortran, d.
_ANY = re.compile(
    r"[+\-−–]?(?:\d{1,3}([,.'’ \u00a0\u2009\u202f])\d{3}(?:\1\d{3})*(?:[.,]\d*)?"
    r"|\d+\.\d*|\d+(?:,\d+)?|[.,]\d+)(?:[eEdD][+\-−–]?\d+)?"
)
_WORDS = {"na", "n/a", "nan", "inf", "+inf", "-inf", "infinity", "-infinity"}
# What a spreadsheet writes where a formula failed: no number, but a cell of data all the same.
BROKEN = r"#(?:REF!|N/A|DIV/0!|VALUE!|NAME\?|NUM!|NULL!|SPILL!|CALC!)"
_BROKEN = re.compile(BROKEN, re.IGNORECASE)
_GROUPED = {
    mark: re.compile(rf"\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+") for mark in (",", ".", "'", " ")
}
_ALIKE = str.maketrans({"’": "'", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "−": "-", "–": "-"})


@dataclass(frozen=True)
class Dialect:
    """The decimal mark of a file, and the evidence for it in words, "" where none was needed."""

    decimal: str = "."
    said: str = ""

    @property
    def thousands(self) -> str:
        """The other of the two marks, which can only stand between thousands."""
        return {".": ",", ",": "."}[self.decimal]


def numberlike(cell: str) -> bool:
    """Whether a cell is a number in some dialect, a word such as NaN, or a broken formula."""
    return bool(_ANY.fullmatch(cell)) or cell.casefold() in _WORDS or bool(_BROKEN.match(cell))


def dialect_of(
    columns: Mapping[str, Sequence[str]],
    rows: Sequence[int],
    *,
    decimal: str | None = None,
    separator: str | None = None,
    source: object = None,
) -> Dialect:
    """Tell the decimal mark of a table by its cells.

    Parameters
    ----------
    columns : name to cells, of the columns that hold numbers.
    rows : of the file, one for each cell of a column.
    decimal : the mark, "." or ",", where the user says it.
    separator : of the columns. Semicolons are written where the comma is taken, so that ``1.046``
        beside them is in doubt too.
    source : what an error message calls the file.

    Raises
    ------
    DataError : nothing decides, or cells contradict each other.
    """
    if decimal is not None:
        return Dialect(decimal)
    seen: dict[str, tuple] = {}
    for name, cells in columns.items():
        for row, cell in zip(rows, cells, strict=True):
            if verdict := shows(cell):
                seen.setdefault(verdict, (row, name, cell))
        if {",", "."} <= seen.keys():
            break
    if {",", "."} <= seen.keys():
        (row, name, cell), (other, column, found) = seen[","], seen["."]
        raise DataError(
            "the decimal mark is not the same throughout",
            source=source,
            where=f"row {row}, column {name.removeprefix('column_')}",
            expected=f"decimal points as in {found!r} (row {other}, column "
            f"{column.removeprefix('column_')}), or decimal commas",
            found=repr(cell),
            remedy="correct the cell, or say --decimal . or --decimal ,",
        )
    if "," in seen:
        return Dialect(",", f"decimal commas, as in {seen[','][2]}")
    doubt = seen.get("?,") or (seen.get("?.") if separator == ";" and "." not in seen else None)
    if doubt is None:
        return Dialect()
    row, name, cell = doubt
    if "." in seen and "," in cell:
        return Dialect(".", f"decimal points, as in {seen['.'][2]}, and commas between thousands")
    mark = "," if "," in cell else "."
    whole, part = cell.replace(mark, ""), cell.replace(mark, ".")
    options = {mark: part, {",": ".", ".": ","}[mark]: whole}
    raise DataError(
        f"{cell!r} is {whole} or {part}, and no other cell decides",
        source=source,
        where=f"row {row}, column {name.removeprefix('column_')}",
        remedy=" or ".join(f"--decimal {m} for {value}" for m, value in options.items()),
    )


def shows(cell: str) -> str | None:
    """Return the decimal mark that a cell must have, "?" and its mark where it may be either."""
    if not _ANY.fullmatch(cell) or not {",", "."} & set(cell):
        return None
    body = cell.translate(_ALIKE).lstrip("+-")
    mantissa = re.split("[eEdD]", body)[0]
    commas, points = mantissa.count(","), mantissa.count(".")
    if commas and points:
        last = max(",", ".", key=mantissa.rfind)
        return last if mantissa.count(last) == 1 else None
    mark, count = (",", commas) if commas else (".", points)
    if count > 1:
        return {",": ".", ".": ","}[mark] if _GROUPED[mark].fullmatch(mantissa) else None
    plain = _GROUPED[mark].fullmatch(mantissa) and mantissa[0] != "0" and mantissa == body
    return f"?{mark}" if plain else mark


def parsed(column: Iterable[str], dialect: Dialect = Dialect()) -> np.ndarray:
    """Return numbers where every cell is one; else text, in which numbers have decimal points."""
    column = list(column)
    if dialect.decimal == ".":
        try:
            found = np.array(column, dtype=np.float64)
            if not any("_" in cell for cell in column):  # Python's own mark between digits
                return found
        except ValueError:
            pass
    numbers = [_number(cell, dialect) for cell in column]
    if all(value is not None and value == value for value in numbers):
        return np.array(numbers, dtype=np.float64)
    # What is missing or no number stays as it is written, to be shown; numbers in Python's dialect.
    known = [value is not None and value == value for value in numbers]
    return np.array([repr(n) if k else c for n, k, c in zip(numbers, known, column, strict=True)])


def _number(cell: str, dialect: Dialect) -> float | None:
    """The number that a cell of this dialect holds, None where it is none."""
    if not _ANY.fullmatch(cell):
        return number(cell)
    text = cell.translate(_ALIKE)
    sign, body = ("-", text[1:]) if text[0] == "-" else ("", text.lstrip("+"))
    mantissa, power = (*re.split("[eEdD]", body, maxsplit=1), "0")[:2]
    whole, _, part = mantissa.partition(dialect.decimal)
    for mark in (dialect.thousands, "'", " "):
        if _GROUPED[mark].fullmatch(whole):
            whole = whole.replace(mark, "")
    if not re.fullmatch(r"\d+,\d*|,\d+", f"{whole},{part}"):
        return None
    return float(f"{sign}{whole or 0}.{part or 0}e{power}")
