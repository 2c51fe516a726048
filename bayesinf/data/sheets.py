"""Spreadsheets: a sheet of an Excel workbook, read as the table of text that it looks like."""

from __future__ import annotations

import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from bayesinf.data import text
from bayesinf.data.columns import said
from bayesinf.data.dialects import numberlike
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["workbook"]


def workbook(path: Path, sheet: str = "", *, decimal: str | None = None) -> xr.Dataset:
    """Read a sheet of a workbook, by default the only one that holds numbers.

    Values are those that the program last worked out, with all their digits; formulas that were
    never worked out are empty cells. Rows are numbered as the program numbers them.

    Raises
    ------
    DataError : several sheets hold numbers and none is named; there is no sheet of that name.
    """
    import openpyxl

    with path.open("rb") as file:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        pages = {page.title: page for page in book.worksheets}
        if sheet and sheet not in pages:
            raise DataError(
                f"there is no sheet {sheet}", source=path, expected=f"one of {', '.join(pages)}"
            )
        tables = {
            name: [list(map(_cell, row)) for row in page.iter_rows(values_only=True)]
            for name, page in pages.items()
            if sheet in ("", name)
        }
        book.close()
    full = {
        name: rows
        for name, rows in tables.items()
        if any(map(numberlike, chain.from_iterable(rows)))
    }
    if len(full) != 1:
        raise DataError(
            "several sheets hold numbers" if full else "no sheet holds numbers",
            source=path,
            expected="rows of numbers" if not full else None,
            found=", ".join(full) or None,
            remedy=f"name one, as in {path.name}:{next(iter(full))}" if full else None,
        )
    ((name, rows),) = full.items()
    found = text.table("\n".join(map("\t".join, rows)), path, decimal=decimal)
    return found.assign_attrs(said(found, f"sheet {name}" if len(pages) > 1 else ""))


def _cell(value) -> str:
    """A cell as text that reads back exactly, on one line and without tabs."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return " ".join(str(value).replace('"', "'").split())
