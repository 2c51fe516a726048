"""Rolling origins: at each of several moments, the past to learn from and the future to forecast.

    past: times up to the origin | gap | future: the horizon

A forecast is honest where nothing of the future has gone into it. So a split is made by time and
not by row, within one repeat, and it takes parts of whatever bears times: of a series itself, or of
a table of lagged features, each row of which says when it is ``known``. A row is learnt from where
its target lies in the past, and forecast where its target lies in the future and its features were
known at the origin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.arrays import listing
from bayesinf.data.series import repeats, times
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Split", "lagged", "rolling_origins"]

ROUNDING = 1e-9  # of the span of the times: what differs by less is the same moment


@dataclass(frozen=True)
class Split:
    """One origin: what is past there, and what is to be forecast.

    Parameters
    ----------
    repeat : label of the repeat.
    origin : the last moment of the past, in the unit of the times.
    opening, closing : the future is after ``opening`` and up to ``closing``.
    beginning : the past is after this, −∞ where all of it is learnt from.
    """

    repeat: object
    origin: float
    opening: float
    closing: float
    beginning: float = -np.inf

    def past(self, data: xr.Dataset) -> xr.Dataset:
        """Return the part to learn from, of a series or of a table that ``lagged`` made."""
        part, at, _ = self._own(data)
        return _rows(part, (at > self.beginning) & (at <= self.origin))

    def future(self, data: xr.Dataset) -> xr.Dataset:
        """Return the part to forecast; of a table, with features that are known at the origin."""
        part, at, known = self._own(data)
        return _rows(part, (at > self.opening) & (at <= self.closing) & (known <= self.origin))

    def _own(self, data):
        """The rows of the split's repeat, their times, and the times when they are known."""
        if "known" in data.coords:
            part = data.isel(row=np.flatnonzero(data["repeat"].values == self.repeat))
            return part, part["time"].values, part["known"].values
        place = np.flatnonzero(times(data)["repeat"].values == self.repeat)
        if place.size != 1:
            raise DataError(
                "no such repeat", expected=listing(data["repeat"].values), found=self.repeat
            )
        (part,) = repeats(data.isel(repeat=place))
        at = times(data).isel(repeat=place[0]).values[: part.sizes["step"]]
        return part, at, np.full(at.shape, -np.inf)  # what is measured is itself the target


def _rows(data, chosen):
    return data.isel({"row" if "row" in data.dims else "step": np.flatnonzero(chosen)})


def rolling_origins(
    series: xr.Dataset,
    *,
    horizon: float,
    least: float,
    step: float | None = None,
    gap: float = 0.0,
    window: float | None = None,
) -> Iterator[Split]:
    """Walk through each repeat of a series, from one origin to the next.

    Parameters
    ----------
    series : as of ``bayesinf.data.series``.
    horizon : how far a forecast reaches beyond the gap; all lengths are in the unit of the times.
    least : how much of a repeat is past at its first origin.
    step : from one origin to the next; by default the horizon, so that no two futures overlap.
    gap : left out between past and future, where what is measured becomes known that much later.
    window : how much of the past is learnt from; None for all.

    Yields
    ------
    a ``Split`` for each origin whose whole horizon lies within its repeat, and whose past and
    future hold anything.

    Raises
    ------
    DataError : a length that is not positive, or a series that is too short for a single origin.
    """
    step = horizon if step is None else step
    lengths = {"horizon": horizon, "least": least, "step": step}
    lengths |= {} if window is None else {"window": window}
    for name, value in lengths.items() if gap >= 0 else [("gap", gap)]:
        if not (np.isfinite(value) and (value > 0)):
            raise DataError(
                f"{name} is no length of time", expected="a number above zero", found=value
            )
    found = False
    for part in repeats(series):
        at = part[series.attrs["time"]].values
        slack = ROUNDING * np.ptp(at)
        count = int((np.ptp(at) - least - gap - horizon + slack) // step) + 1
        for k in range(max(count, 0)):
            origin = at[0] + least + k * step + slack
            beginning = -np.inf if window is None else origin - window
            split = Split(
                part["repeat"].item(), origin, origin + gap, origin + gap + horizon, beginning
            )
            if _any(at, beginning, origin) and _any(at, split.opening, split.closing):
                found = True
                yield split
    if not found:
        longest = max(np.ptp(part[series.attrs["time"]].values) for part in repeats(series))
        raise DataError(
            "the series is too short to forecast any part of it",
            expected=f"a repeat longer than {least + gap + horizon:g}, with rows before and after",
            found=f"{longest:g} at most",
            remedy="take a shorter horizon, or learn from less",
        )


def _any(at, after, until):
    return bool(np.any((at > after) & (at <= until)))


def lagged(series: xr.Dataset, lags: int | Sequence[int], ahead: int = 1) -> xr.Dataset:
    """Make a table of targets and lagged features, as a direct forecast sees them.

        target y_k,   features y_{k − ahead − lag}

    Parameters
    ----------
    series : as of ``bayesinf.data.series``, in even steps: lags count rows of a repeat.
    lags : which, from 0, the last value that is known; a number means 0 up to below it.
    ahead : steps from there to the target.

    Returns
    -------
    a Dataset over ``row`` with each variable as target, and NAME_lagged (row, lag) beside it; the
    coordinates are ``repeat``, ``time`` of the target, and ``known``, the time from which on the
    features are. No row spans two repeats, and rows that lack a value are left out.

    Raises
    ------
    DataError : lags below zero or ahead below one, which would look ahead; no repeat long enough.
    """
    import xarray as xr

    lags = list(range(lags)) if np.ndim(lags) == 0 else [int(lag) for lag in lags]
    if not lags or min(lags) < 0 or ahead < 1:
        raise DataError(
            "these lags look ahead",
            expected="lags from 0, and at least one step ahead",
            found=f"lags {listing(lags)}, {ahead} steps ahead",
        )
    reach, name, tables = ahead + max(lags), series.attrs["time"], []
    for part in repeats(series):
        at, rows = part[name].values, np.arange(reach, part.sizes["step"])
        places = rows[:, np.newaxis] - ahead - np.array(lags)
        columns = {}
        for variable in part.data_vars:
            values, attrs = part[variable].values, part[variable].attrs
            columns[variable] = ("row", values[rows], attrs)
            columns[f"{variable}_lagged"] = (("row", "lag"), values[places], attrs)
        coords = {
            "repeat": ("row", np.full(len(rows), part["repeat"].item())),
            "time": ("row", at[rows], part[name].attrs),
            "known": ("row", at[rows - ahead], part[name].attrs),
            "lag": lags,
        }
        tables.append(xr.Dataset(columns, coords).dropna("row"))
    table = xr.concat(tables, "row")
    if not table.sizes["row"]:
        raise DataError(
            "no repeat is long enough for these lags",
            expected=f"more than {reach} rows without a gap",
            found=f"{int(series['length'].max())} at most",
        )
    return table
