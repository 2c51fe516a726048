"""Tables of text in whatever dialect an instrument or an office writes them.

Numbers are looked for where they begin: after a heading of words and settings, below names and
units, before a footer. Columns are set apart by semicolons, tabs, commas or spaces, whichever the
numbers themselves show. Rows are counted as an editor does, from 1, headings and remarks included,
and what was passed over or concluded is said.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import blocks, dialects, steps
from bayesinf.data.arrays import listing
from bayesinf.data.columns import dataset
from bayesinf.data.dates import seconds
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["decoded", "table"]

# What only decimal commas leave: not three digits after one, a zero or four digits before it.
_DECIMAL_COMMA = re.compile(r"(?<![\d,])0\d*,\d|,\d{1,2}(?!\d)|,\d{4}|\d{4},\d|,\d+[eE]")
_TWO_COMMAS = re.compile(r"\d,\d+,\d")
_DECIMAL_POINT = re.compile(r"(?<![\d.])0\d*\.|\.\d{0,2}(?!\d)|\.\d{4}|\d{4}\.|\.\d+[eE]")


def decoded(raw: bytes, source: object = None) -> str:
    """Return the text of a file; refuse what is none."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16")
    if b"\0" in raw:
        for odd, coding in enumerate(("utf-16-be", "utf-16-le")):
            if not len(raw) % 2 and not any(raw[odd:4096:2]):  # plain letters, without a mark
                return raw.decode(coding)
        raise DataError(
            "the file is not text", source=source, remedy="give it the suffix of its format"
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")  # every byte is a letter: µ and ° of older Windows programs


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
    if decimal not in (None, ".", ","):
        raise DataError("unknown decimal mark", expected="'.' or ','", found=repr(decimal))
    text, even = steps.told(text)
    block = blocks.found(text, source)
    columns = _quickly(block, decimal)
    if columns is None:
        columns = _carefully(block, decimal, source)
    names = block.names or [""] * block.width
    if even is None and any(names) and not names[0] and _counts(columns[0]):
        columns[0] = None  # the index that pandas writes before the columns
    place = None if even is None or columns[0] is None else steps.axis(even, columns)
    arrays = [
        (name or f"column_{position}", column)
        for position, (name, column) in enumerate(zip(names, columns, strict=True), 1)
        if column is not None and (name or _holds(column)) and position - 1 != place
    ]
    if place is not None:
        arrays.insert(0, (f"x ({even.unit})", even.start + even.step * np.arange(len(block.rows))))
        block.said.append(even.words)
    return dataset(arrays, block.rows, attrs=block.attrs, said=block.said)


def _counts(column):
    return column.dtype.kind == "f" and np.array_equal(column, np.arange(len(column)))


def _holds(column):
    """Whether a column holds anything: a separator at the end of each row makes one of nothing."""
    return column.dtype.kind not in "US" or any(column.tolist())


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
    table = [blocks.cells_of(line, block.separator) for line in block.lines]
    for row, cells in zip(block.rows, table, strict=True):
        if len(cells) < width or any(cells[width:]):
            raise DataError(
                f"the row has too {'few' if len(cells) < width else 'many'} columns",
                source=source,
                where=f"row {row}",
                expected=f"{width} ({listing(names)})"
                if any(names)
                else f"{width} as in most rows",
                found=len(blocks.trimmed(cells)) if len(cells) > width else len(cells),
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
    found = [
        dialects.parsed(column, dialect)
        if label in numeric
        else _told(column, label, block, source)
        for label, column in zip(labels, columns, strict=True)
    ]
    _count_days(labels, columns, found, block)
    return found


def _count_days(labels, columns, found, block):
    """Add days to times of day: those of a column of dates, else one at each midnight."""
    dated = [k for k, label in enumerate(labels) if label in block.attrs]
    clocks = [k for k in dated if re.fullmatch(r"\d+:[\d:.,]+", columns[k][0])]
    days = [k for k in dated if ":" not in columns[k][0]]
    for clock in clocks:
        if len(days) == 1:
            found[clock] = found[clock] + found[days[0]]
            found[days[0]] = np.array(columns[days[0]])
            block.attrs.pop(labels[days[0]])
        else:
            found[clock] = found[clock] + 86400 * np.cumsum(
                np.diff(found[clock], prepend=0) < -43200
            )


def _told(column, label, block, source):
    """A column of dates as seconds, any other as the text it is."""
    found = seconds(column, block.rows, source)
    if found is None:
        return np.array(column)
    values, since = found
    block.attrs[label] = {"units": "s", "since": since}
    block.said.append(f"{label.replace('column_', 'column ')} in seconds since {since}")
    return values
