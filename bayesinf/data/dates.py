"""Columns of dates and times of day, as seconds since the first row: an axis, whatever its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from bayesinf.errors import DataError

__all__ = ["seconds"]

_CLOCK = r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(?:([AaPp])\.?[Mm]\.?)?)?Z?"
_YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})" + _CLOCK)
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})" + _CLOCK)
_TIME = re.compile(r"(\d{1,3}):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?")


def seconds(cells: Sequence[str], rows: Sequence[int], source) -> tuple[np.ndarray, str] | None:
    """Return seconds since the first row and, in words, since when; None for other columns.

    Parameters
    ----------
    cells : dates such as 2021-03-12, 12.03.2021 10:14 or 3/12/2021 10:14:05 AM, or times of day.
    rows : of the file, one for each cell.
    source : what an error message calls the file.

    Raises
    ------
    DataError : days and months of 3/4/2021 cannot be told apart, or there is no such date.
    """
    first = cells[0]
    if all(map(_TIME.fullmatch, cells)):
        found = [_TIME.fullmatch(cell).groups() for cell in cells]
        times = [int(h) * 3600 + int(m) * 60 + int(s) + _part(f) for h, m, s, f in found]
        return np.array(times) - times[0], first
    if all(map(_YEAR_FIRST.fullmatch, cells)):
        dates = [
            (int(y), int(m), int(d), clock)
            for y, _, m, d, *clock in (_YEAR_FIRST.fullmatch(cell).groups() for cell in cells)
        ]
    elif all(map(_YEAR_LAST.fullmatch, cells)):
        found = [_YEAR_LAST.fullmatch(cell).groups() for cell in cells]
        one, two = ({int(each[k]) for each in found} for k in (0, 2))
        pointed = found[0][1] == "."  # days come first where points are written
        if not pointed and max(one) <= 12 and max(two) <= 12 and one != two:
            raise DataError(
                f"{first} may be day and month or month and day",
                source=source,
                where=f"row {rows[0]}",
                remedy="write dates as 2021-12-31",
            )
        day, month = (2, 0) if max(two) > 12 else (0, 2)
        dates = [(int(each[3]), int(each[month]), int(each[day]), each[4:]) for each in found]
    else:
        return None
    moments = [_moment(*date, row, source) for date, row in zip(dates, rows, strict=True)]
    origin = moments[0][0]
    since = [(moment - origin) / timedelta(seconds=1) + part for moment, part in moments]
    return np.array(since) - since[0], first


def _moment(year, month, day, clock, row, source):
    """A date with its hours and minutes, and beside it the fraction of a second."""
    hours, minutes, whole, fraction, half = clock
    hours = int(hours or 0)
    if half:
        hours = hours % 12 + 12 * (half in "Pp")
    try:
        moment = datetime(year, month, day, hours, int(minutes or 0), int(whole or 0))
    except ValueError as error:
        raise DataError(
            f"there is no such date: {error}", source=source, where=f"row {row}"
        ) from error
    return moment, _part(fraction)


def _part(digits):
    return float(f"0.{digits}") if digits else 0.0
