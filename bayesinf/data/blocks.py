"""Where the numbers of a text stand: below a heading, names and units, above a footer.

Instruments write settings above the numbers and remarks below them. Here rows of numbers are told
from those by their width and by a column that holds numbers in most rows; a row among them that has
a bad cell stays one of theirs, so that it is reported and not swallowed.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice

from bayesinf.data import dialects
from bayesinf.data.arrays import listing
from bayesinf.data.columns import refuse_wide
from bayesinf.data.headings import is_header, names_of, words_of
from bayesinf.errors import DataError

__all__ = ["Block", "cells_of", "found", "trimmed"]

SAMPLE = 400  # rows from which the layout of a long table is told
# A remark starts a row, or follows a space: 5,3#1 holds none, and #REF! is a broken formula.
_REMARK = re.compile(rf"(?:^\s*|(?<= ))(?!{dialects.BROKEN})#.*", re.IGNORECASE)
_BLANK = " \t,;|\r\f\x1a"  # a row of nothing but separators is blank: spreadsheets leave them
_RULE = re.compile(r"[\s|+:]*[-=_]{3,}[\s|+:=_-]*")  # a line drawn below the names
_BEGINS = re.compile(r"""[\s"']*[+\-−–]?[.,]?\d""")


@dataclass
class Block:
    """Rows of numbers, their names, and in ``said`` what was passed over or concluded.

    ``rows`` are numbers of the file, one for each line; ``separator`` is None for spaces; ``attrs``
    are of columns, by their headers.
    """

    rows: list[int]
    lines: list[str]
    separator: str | None
    width: int
    names: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    attrs: dict[str, dict[str, str]] = field(default_factory=dict)


def found(text: str, source: object = None) -> Block:
    """Find the rows of numbers, their separator, their names, and what stands around them.

    Raises
    ------
    DataError : there are none, or their names are more or fewer than their columns.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    remarks = _without_remarks(lines, text)
    places = [at for at, line in enumerate(lines) if line.strip(_BLANK)]
    places = [at for at in places if lines[at][-1] not in "-=_|+" or not _RULE.fullmatch(lines[at])]
    if not places:
        raise DataError("the file is empty", source=source, expected="rows of numbers")
    firm = list(islice((at for at in places if _BEGINS.match(lines[at])), 2 * SAMPLE))
    few = len(firm) < max(1, min(2, len(places) - 1))  # where rows begin with words
    sample = places[:SAMPLE] if few else firm[-SAMPLE:]
    separator = _separator([lines[at] for at in sample], source)
    table = {at: cells_of(lines[at], separator) for at in sample}
    width, key = _shape(table)
    refuse_wide(width, source)
    around = _Around(lines, places, separator, width, key, _blank(table.values(), key))
    start, stop = around.start(), around.stop()
    if start >= stop:
        raise DataError(
            "the file has a header and no rows below it",
            source=source,
            expected="rows of numbers",
            found=listing(cells_of(lines[places[0]], separator)),
        )
    rows = [at + 1 for at in places[start:stop]]
    block = Block(rows, [lines[at] for at in places[start:stop]], separator, width)
    above = around.name(block, start, source)
    if not block.names:
        _name_by_remarks(block, remarks)
    for part, where in ((above, "before"), (places[stop:], "after")):
        if part:
            out = f"{'is' if len(part) == 1 else 'are'} left out"
            block.said.append(f"{_span(part)} {where} the numbers {out}")
    return block


def cells_of(line: str, separator: str | None) -> list[str]:
    """Take a line apart."""
    if separator is None:
        return [cell.strip('"') for cell in line.split()]
    if '"' not in line:
        return [cell.strip() for cell in line.split(separator)]
    reader = csv.reader([line], delimiter=separator, skipinitialspace=True)
    return [cell.strip() for cell in next(reader)]


def trimmed(cells: Sequence[str]) -> list[str]:
    """Return cells without the empty ones at the end."""
    end = len(cells)
    while end and not cells[end - 1]:
        end -= 1
    return list(cells[:end])


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


def _separator(lines: Sequence[str], source) -> str | None:
    """What sets apart the columns of most lines; None for spaces."""
    for mark in (";", "\t", "|"):
        if 2 * sum(mark in line.strip(" \t") for line in lines) > len(lines):
            return mark
    commas = 2 * sum("," in line for line in lines) > len(lines)
    spaces = 2 * sum(len(line.split()) > 1 for line in lines) > len(lines)
    shares = {
        mark: _share([cell for line in lines for cell in cells_of(line, mark)])
        for mark, there in ((",", commas), (None, spaces))
        if there
    }
    mark = max(shares, key=shares.get, default=None)  # 610,00 153,0 are two with decimal commas
    doubt = mark in shares and (_spaced_alike(lines) if mark else _apart(lines))
    if doubt:
        raise DataError(
            f"{'commas' if mark else 'spaces'} may set columns apart or be of the numbers",
            source=source,
            found=repr(lines[0].strip()[:40]),
            remedy="set the columns apart by tabs or semicolons",
        )
    return mark


def _share(cells):
    return sum(map(dialects.numberlike, cells)) / max(len(cells), 1)


def _spaced_alike(lines):
    """Whether some commas are followed by a space and some not, alike in all lines: 1,5, 2,5."""
    spaced = [[cell[:1] == " " for cell in line.split(",")[1:]] for line in lines]
    pointed = any(dialects.shows(cell) == "." for line in lines for cell in cells_of(line, ","))
    return len(set(spaced[0])) == 2 and all(each == spaced[0] for each in spaced) and not pointed


def _apart(lines):
    """Whether numbers stand two spaces apart, and have single ones in them: 1 046  2 500."""
    cells = [re.split(r"\s{2,}", line.strip()) for line in lines]
    width, flat = len(cells[0]), [cell for row in cells for cell in row]
    alike = width > 1 and all(len(row) == width for row in cells)
    return alike and any(" " in cell for cell in flat) and all(map(dialects.numberlike, flat))


def _shape(table):
    """The width of most rows that follow each other, and the first column of numbers in them."""
    runs, counts = Counter(), Counter(map(len, table.values()))
    order = {at: k for k, at in enumerate(table)}
    for (_, width), rows in groupby(table, lambda at: (at - order[at], len(table[at]))):
        runs[width] = max(runs[width], sum(1 for _ in rows))
    width = max(runs, key=lambda width: (runs[width], counts[width]))
    rows = [row for row in table.values() if len(row) == width]
    while width > 1 and not any(row[width - 1] for row in rows):
        width -= 1  # a separator at the end of each row makes a column of nothing
    for key, column in enumerate(list(zip(*rows, strict=True))[:width]):
        if 2 * sum(map(dialects.numberlike, column)) > len(column):
            return width, key
    return width, None


def _blank(rows, key):
    """How many columns before the first one of numbers are empty in most rows."""
    empty = [not any(row[:key]) for row in rows if key and len(row) > key]
    return key if 2 * sum(empty) > len(empty) else 0


@dataclass(frozen=True)
class _Around:
    """Lines, the places of those that are not blank, and how rows of numbers look.

    ``key`` is a column that holds numbers, None where there is none, and ``blank`` how many before
    it hold nothing.
    """

    lines: list[str]
    places: list[int]
    separator: str | None
    width: int
    key: int | None
    blank: int

    def cells(self, k):
        """Cells of a line, without empty ones beyond the width."""
        cells = cells_of(self.lines[self.places[k]], self.separator)
        return cells[: self.width] + trimmed(cells[self.width :])

    def words(self, k):
        """Cells of a line that may be one of names."""
        line = self.lines[self.places[k]]
        return cells_of(line, self.separator) if self.separator else words_of(line, self.width)

    def is_data(self, k):
        """Whether a line is a row of numbers, of which some may be bad."""
        cells = self.cells(k)
        good = len(cells) == self.width and dialects.numberlike(cells[self.key])
        return good and not any(cells[: self.blank]) and not is_header(cells)

    def adjoin(self, k):
        """Whether no blank row or remark stands between a line and the one before it."""
        return k > 0 and self.places[k] == self.places[k - 1] + 1

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
        """The first row of data, which may be above the first good one.

        Rows that mix words and numbers are settings if there are several; one alone, or any below
        names, is a row with a bad cell, to be reported. So is a row of too few numbers, but for one
        that counts those that follow.
        """
        if not self.adjoin(start):
            return start
        above = trimmed(self.cells(start - 1))
        if all(map(dialects.numberlike, above)) and not is_header(above):
            counts = [str(len(self.places) - start), str(len(self.places) - start - 1)]
            return start - (len(above) > 1 or above[0] not in counts)
        first = start
        while first and len(row := self.cells(first - 1)) == self.width and not is_header(row):
            if not any(map(dialects.numberlike, row)):
                break
            first -= 1
        named = first and len(row) == self.width and is_header(row)
        return first if named or (first == 0 and start == 1) else start

    def stop(self):
        """How many lines come before the footer, which are those that begin with words.

        A last row as wide as the others, and with no gap before it, is one of data.
        """
        last = stop = len(self.places)
        if self.key is None:
            return last
        while stop > 1:
            cells = trimmed(self.cells(stop - 1))
            at = cells[self.key] if len(cells) > self.key else cells[0]
            if not at or dialects.numberlike(at):
                break
            stop -= 1
        while 0 < stop < last and self.adjoin(stop) and len(self.cells(stop)) == self.width > 1:
            if len(trimmed(self.cells(stop))) == 1:
                break
            stop += 1
        return stop

    def name(self, block, start, source):
        """Take names and units from the rows directly above the numbers.

        Returns
        -------
        the places of those above that hold neither.
        """
        above = []
        for k in range(start - 1, max(start - 5, -1), -1):
            words = self.words(k)
            if self.width == 1 and words and re.search(r"[,;=]|:$", words[0]):
                break  # a setting
            fits = len(words) >= self.width and len(trimmed(words)) <= self.width + 1
            if not fits or (self.separator is None and len(words) != self.width):
                break
            above.insert(0, words)
        names, used = names_of(above)
        names = trimmed(names)
        if self.width > 1 and names[:1] == names and names and names[0][-1:] == ":":
            names, used = [], 0  # the title of the numbers
        if len(names) == self.width + 1 and names[-1].casefold() == "comment":
            names.pop()  # a column of remarks that holds none
        wrong = names if len(names) > self.width else [] if used else self.unnamed(start)
        if wrong:
            raise DataError(
                f"the row has too {'few' if len(wrong) > self.width else 'many'} columns",
                source=source,
                where=f"row {block.rows[0]}",
                expected=f"{len(wrong)} ({listing(wrong)})",
                found=self.width,
                remedy="give each column a name, or start the row of names with # if it is none",
            )
        block.names = names + [""] * (self.width - len(names)) if names else []
        return self.places[: start - used]

    def unnamed(self, start):
        """Cells of the row directly above, where they look like names for other columns."""
        if not self.adjoin(start):
            return []
        words = trimmed(self.words(start - 1))
        other = len(words) > 1 and len(words) != self.width
        if self.separator is None:
            near = start == 1 and is_header(words) and abs(len(words) - self.width) == 1
            return words if other and near else []
        return words if other and (is_header(words) or len(words) > self.width) else []


def _name_by_remarks(block, remarks):
    """Take the names that remarks directly above the numbers hold, as NumPy writes them."""
    rows, at = [], block.rows[0] - 2
    while at in remarks and len(rows) < 4 and block.width > 1:
        line = re.sub(r"^(?:[#!/\s]|%(?=\s))+", "", remarks[at])
        cells = cells_of(line, block.separator) if block.separator else words_of(line, block.width)
        cells = [cell.lstrip("# ") for cell in cells]
        if len(cells) > block.width:  # names that are set apart twice
            cells = [cell for cell in cells if cell]
        if len(cells) != block.width or not all(cells) or cells[0][-1] in ":=":
            break
        rows.insert(0, cells)
        at -= 1
    block.names, used = names_of(rows)
    if used:
        block.said.append(f"names from the remark in row {block.rows[0] - used}")


def _span(places):
    first, last = places[0] + 1, places[-1] + 1
    return f"row {first}" if first == last else f"rows {first} to {last}"
