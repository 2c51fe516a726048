"""Tables of text in whatever dialect an instrument or an office writes them.

Numbers are looked for where they begin: after a heading of words and settings, below names and
units, before a footer. Columns are set apart by semicolons, tabs, commas or spaces, whichever the
numbers themselves show. Rows are counted as an editor does, from 1, headings and remarks included,
and what was passed over or concluded is said.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import dialects
from bayesinf.data.arrays import listing
from bayesinf.data.columns import dataset
from bayesinf.data.dates import seconds
from bayesinf.data.headings import is_header, names_of, words_of
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["decoded", "table"]

SAMPLE = 400  # rows from which the layout of a long table is told
# A remark starts a row, or follows a space: 5,3#1 holds none, and #REF! is a broken formula.
_REMARK = re.compile(
    r"(?:^\s*|(?<= ))#(?!(?:REF!|N/A|DIV/0!|VALUE!|NAME\?|NUM!|NULL!|SPILL!|CALC!)).*",
    re.IGNORECASE,
)
_BLANK = " \t,;\r\f\x1a"  # a row of nothing but separators is blank: spreadsheets leave them
_BEGINS = re.compile(r"""[\s"']*[+\-−]?[.,]?\d""")
# What only decimal commas leave: not three digits after one, a zero or four digits before it.
_DECIMAL_COMMA = re.compile(r"(?<![\d,])0\d*,\d|,\d{1,2}(?!\d)|,\d{4}|\d{4},\d|,\d+[eE]")
_TWO_COMMAS = re.compile(r"\d,\d+,\d")
_DECIMAL_POINT = re.compile(r"(?<![\d.])0\d*\.|\.\d{0,2}(?!\d)|\.\d{4}|\d{4}\.|\.\d+[eE]")


def decoded(raw: bytes, source: object = None) -> str:
    """Return the text of a file; refuse what is none."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16")
    if b"\0" in raw:
        raise DataError(
            "the file is not text", source=source, remedy="give it the suffix of its format"
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")  # every byte is a letter: µ and ° of older Windows programs


@dataclass
class _Block:
    """Where the numbers of a text stand, and what stands around them."""

    rows: list[int]  # of the file, one for each line
    lines: list[str]
    separator: str | None
    width: int = 0
    names: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    attrs: dict[str, dict[str, str]] = field(default_factory=dict)  # of columns, by their headers


def table(text: str, source: object = None, *, decimal: str | None = None) -> xr.Dataset:
    """Read the table that a text holds.

    Parameters
    ----------
    text : of a file.
    source : what an error message calls it.
    decimal : its decimal mark, "." or ",", where nothing in it may decide.

    Returns
    -------
    a Dataset with a variable for each column over ``row``, whose numbers are those of the file.
    Columns of dates are seconds since the first. The attribute ``read_as`` says what was passed
    over or concluded.

    Raises
    ------
    DataError : there are no rows of numbers, or some do not fit.
    """
    block = _found(text, source)
    columns = _quickly(block, decimal)
    if columns is None:
        columns = _carefully(block, decimal, source)
    names = block.names or [""] * block.width
    if any(names) and not names[0] and _counts(columns[0]):
        columns[0] = None  # the index that pandas writes before the columns
    arrays = [
        (name or f"column_{position}", column)
        for position, (name, column) in enumerate(zip(names, columns, strict=True), 1)
        if column is not None and (name or _holds(column))
    ]
    return dataset(arrays, block.rows, attrs=block.attrs, said=block.said)


def _counts(column):
    return column.dtype.kind == "f" and np.array_equal(column, np.arange(len(column)))


def _holds(column):
    """Whether a column holds anything: a separator at the end of each row makes one of nothing."""
    return column.dtype.kind not in "US" or any(column.tolist())


# --- where the numbers are ------------------------------------------------------------------------


def _found(text, source) -> _Block:
    """Find the rows of numbers, their separator, their names, and what stands around them."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    remarks = _without_remarks(lines, text)
    places = [at for at, line in enumerate(lines) if line.strip(_BLANK)]
    if not places:
        raise DataError("the file is empty", source=source, expected="rows of numbers")
    firm = list(islice((lines[at] for at in places if _BEGINS.match(lines[at])), 2 * SAMPLE))
    few = len(firm) < max(
        1, min(2, len(places) - 1)
    )  # where rows begin with words, as those of labels
    sample = [lines[at] for at in places[:SAMPLE]] if few else firm[-SAMPLE:]
    separator = _separator(sample)
    cells = [_cells(line, separator) for line in sample]
    width = Counter(map(len, cells)).most_common(1)[0][0]
    cells = [row for row in cells if len(row) == width]
    while width > 1 and not any(row[width - 1] for row in cells):
        width -= 1  # a separator at the end of each row makes a column of nothing
    cells = [row[:width] for row in cells]
    key = _key(cells)
    around = _Around(lines, places, separator, width, key)
    start, stop = around.start(), around.stop()
    if start >= stop:
        raise DataError(
            "the file has a header and no rows below it",
            source=source,
            expected="rows of numbers",
            found=listing(_cells(lines[places[0]], separator)),
        )
    rows = [at + 1 for at in places[start:stop]]
    block = _Block(rows, [lines[at] for at in places[start:stop]], separator, width)
    around.name(block, start, remarks, source)
    if stop < len(places):
        after = places[stop:]
        block.said.append(f"{_span(after)} after the numbers {_left_out(after)}")
    return block


def _without_remarks(lines, text):
    """Take remarks out of the lines; return those lines that hold nothing else, by their place."""
    remarks = {}
    for at, line in enumerate(lines) if "#" in text else ():
        if "#" in line and (bare := _REMARK.sub("", line)) != line:
            remarks[at], lines[at] = line, bare
    for at, line in enumerate(lines) if any(mark in text for mark in ("%", "!", "//")) else ():
        if line.lstrip().startswith(("%", "!", "//")):
            remarks[at], lines[at] = line, ""
    return {at: line for at, line in remarks.items() if not lines[at].strip()}


def _separator(lines: Sequence[str]) -> str | None:
    """What sets apart the columns of most lines; None for spaces."""
    for mark in (";", "\t"):
        if 2 * sum(mark in line for line in lines) > len(lines):
            return mark
    if 2 * sum("," in line for line in lines) <= len(lines):
        return None
    if 2 * sum(len(line.split()) > 1 for line in lines) <= len(lines):
        return ","
    shares = {}
    for mark in (",", None):  # 610,00 153,0 are two numbers, with decimal commas
        cells = [cell for line in lines for cell in _cells(line, mark)]
        shares[mark] = sum(map(dialects.numberlike, cells)) / max(len(cells), 1)
    return max(shares, key=shares.get)


def _cells(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return [cell.strip('"') for cell in line.split()]
    if '"' not in line:
        return [cell.strip() for cell in line.split(separator)]
    reader = csv.reader([line], delimiter=separator, skipinitialspace=True)
    return [cell.strip() for cell in next(reader)]


def _trimmed(cells):
    """Cells without the empty ones at the end."""
    end = len(cells)
    while end and not cells[end - 1]:
        end -= 1
    return cells[:end]


def _key(rows):
    """The first column that holds numbers in most rows; None where none does."""
    for k, column in enumerate(zip(*rows, strict=True)):
        if 2 * sum(map(dialects.numberlike, column)) > len(column):
            return k
    return None


@dataclass(frozen=True)
class _Around:
    """The lines that are not blank, and how wide those of numbers are: ``key`` is a column."""

    lines: list[str]
    places: list[int]
    separator: str | None
    width: int
    key: int | None

    def cells(self, k):
        """Cells of a line, without empty ones beyond the width."""
        cells = _cells(self.lines[self.places[k]], self.separator)
        return (
            cells
            if len(cells) <= self.width
            else cells[: self.width] + _trimmed(cells[self.width :])
        )

    def words(self, k):
        """Cells of a line that may be one of names."""
        line = self.lines[self.places[k]]
        return _cells(line, self.separator) if self.separator else words_of(line, self.width)

    def is_data(self, k):
        """Whether a line is a row of numbers, of which some may be bad."""
        cells = self.cells(k)
        good = len(cells) == self.width and dialects.numberlike(cells[self.key])
        return good and not is_header(cells)

    def start(self):
        """How many lines come before the numbers."""
        if self.key is None:
            return int(is_header(self.words(0)))
        last = len(self.places)
        for k in range(last):
            if self.is_data(k):
                following = [self.is_data(j) for j in range(k + 1, min(k + 5, last))]
                if 2 * sum(following) >= len(following):  # else a setting that looks like a row
                    return self.with_bad_rows(k)
        return last

    def with_bad_rows(self, start):
        """The first row of data, which may be one above the first good one.

        Rows that mix words and numbers are settings if there are several; one alone, or any below
        names, is a row with a bad cell, to be reported. So is a row of too few numbers, but for one
        that counts those that follow.
        """
        if not start:
            return 0
        above = _trimmed(self.cells(start - 1))
        if above and all(map(dialects.numberlike, above)) and not is_header(above):
            counts = [str(len(self.places) - start), str(len(self.places) - start - 1)]
            return start - (len(above) > 1 or above[0] not in counts)
        first = start
        while first and len(row := self.cells(first - 1)) == self.width and not is_header(row):
            if not any(map(dialects.numberlike, row)):
                break
            first -= 1
        named = (
            first and len(self.cells(first - 1)) == self.width and is_header(self.words(first - 1))
        )
        return first if named or (first == 0 and start == 1) else start

    def stop(self):
        """How many lines come before the footer: rows of words, or of words of another shape."""
        last = len(self.places)
        if self.key is None:
            return last
        for stop in range(last, 0, -1):
            cells = _trimmed(self.cells(stop - 1))
            at = cells[self.key] if len(cells) > self.key else cells[0]
            if len(cells) == self.width > 1 or not at or dialects.numberlike(at):
                return stop
        return 0

    def name(self, block, start, remarks, source):
        """Take names and units from the rows directly above the numbers, else from a remark."""
        above = []
        for k in range(start - 1, max(start - 5, -1), -1):
            cells, full = self.cells(k), self.words(k)
            known = len(full) >= self.width and len(_trimmed(full)) <= self.width + 1
            if not known or (self.separator is None and len(full) != self.width) or not cells:
                break
            above.insert(0, full)
        block.names, used = names_of(above)
        block.names = _trimmed(block.names)
        left = self.places[: start - used]
        if len(block.names) == self.width + 1 and block.names[-1].casefold() == "comment":
            block.names.pop()  # a column of remarks that holds none
        alone = [] if used or start != 1 else _trimmed(self.words(0))
        near = self.separator is not None or abs(len(alone) - self.width) == 1
        wrong = block.names if len(block.names) > self.width else alone if near else []
        if wrong and len(wrong) != self.width and is_header(wrong) and len(wrong) > 1:
            raise DataError(
                f"the row has too {'few' if len(wrong) > self.width else 'many'} columns",
                source=source,
                where=f"row {block.rows[0]}",
                expected=f"{len(wrong)} ({listing(wrong)})",
                found=self.width,
                remedy="give each column a name, or start the row of names with # if it is none",
            )
        block.names += [""] * (self.width - len(block.names)) if block.names else []
        if not block.names:
            self.name_by_remarks(block, remarks)
        if left:
            block.said.append(f"{_span(left)} before the numbers {_left_out(left)}")

    def name_by_remarks(self, block, remarks):
        """Take the names that remarks directly above the numbers hold, as NumPy writes them."""
        rows, at = [], block.rows[0] - 2
        while at in remarks and len(rows) < 4 and self.width > 1:
            line = re.sub(r"^(?:[#!/\s]|%(?=\s))+", "", remarks[at])
            cells = _cells(line, self.separator) if self.separator else words_of(line, self.width)
            if len(cells) != self.width or not all(cells):
                break
            rows.insert(0, cells)
            at -= 1
        block.names, used = names_of(rows)
        if used:
            block.said.append(f"names from the remark in row {block.rows[0] - used}")


def _span(places):
    first, last = places[0] + 1, places[-1] + 1
    return f"row {first}" if first == last else f"rows {first} to {last}"


def _left_out(places):
    return f"{'is' if len(places) == 1 else 'are'} left out"


# --- what the numbers are -------------------------------------------------------------------------


def _quickly(block, decimal):
    """Columns of a table that holds nothing but plain numbers; None for any other."""
    lines, mark = block.lines, block.separator
    if decimal == "," and mark == ",":
        return None
    if mark != "," and decimal != "." and (mark == ";" or any("," in line for line in lines)):
        text = "\n".join(lines)
        if "," in text:
            found = _DECIMAL_COMMA.search(text)
            if "." in text or not (found or decimal) or _TWO_COMMAS.search(text):
                return None
            block.said += [] if decimal else ["decimal commas"]
            lines = text.replace(",", ".").split("\n")
        elif "." in text and (decimal == "," or not _DECIMAL_POINT.search(text)):
            return None  # 1.046 beside semicolons may be 1046
    elif decimal == "," and any("." in line for line in lines):
        return None
    try:
        found = np.loadtxt(lines, delimiter=mark, comments=None, quotechar='"', ndmin=2)
    except ValueError:
        return None
    return list(found.T) if found.shape == (len(lines), block.width) else None


def _carefully(block, decimal, source):
    """Columns of a table of any cells: numbers of its dialect, dates, and text as it stands."""
    width, names = block.width, block.names or [""] * block.width
    table = [_cells(line, block.separator) for line in block.lines]
    for row, cells in zip(block.rows, table, strict=True):
        if len(cells) < width or any(cells[width:]):
            raise DataError(
                f"the row has too {'few' if len(cells) < width else 'many'} columns",
                source=source,
                where=f"row {row}",
                expected=f"{width} ({listing(names)})"
                if any(names)
                else f"{width} as in most rows",
                found=len(_trimmed(cells)) if len(cells) > width else len(cells),
                remedy=f"data seem to begin in row {block.rows[0]}: correct the row, or start it "
                "with # if it is a comment",
            )
    columns = list(zip(*(cells[:width] for cells in table), strict=True))
    labels = [name or f"column_{k}" for k, name in enumerate(names, 1)]
    numeric = {
        label: column
        for label, column in zip(labels, columns, strict=True)
        if 2 * sum(map(dialects.numberlike, column)) > sum(map(bool, column))
    }
    dialect = dialects.dialect_of(
        numeric, block.rows, decimal=decimal, separator=block.separator, source=source
    )
    block.said += [dialect.said] if dialect.said else []
    return [
        dialects.parsed(column, dialect)
        if label in numeric
        else _told(column, label, block, source)
        for label, column in zip(labels, columns, strict=True)
    ]


def _told(column, label, block, source):
    """A column of dates as seconds, any other as the text it is."""
    found = seconds(column, block.rows, source)
    if found is None:
        return np.array(column)
    values, since = found
    block.attrs[label] = {"units": "s", "since": since}
    block.said.append(f"{label.replace('column_', 'column ')} in seconds since {since}")
    return values
