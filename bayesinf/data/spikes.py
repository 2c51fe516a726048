"""Spike times of several cells, and the states that bins make of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.arrays import to_numbers
from bayesinf.data.columns import columns_of
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Trains", "binned", "trains"]

LARGEST = 2**28  # states that bins may make
CELLS = "unit units cell cells neuron neurons cluster clusters channel electrode id ids"
TIMES = "spike spikes time times timestamp timestamps t"
TRIALS = "trial repeat sweep"
_CELLS, _TIMES, _TRIALS = ({*words.split()} for words in (CELLS, TIMES, TRIALS))


@dataclass(frozen=True)
class Trains:
    """Spikes one by one: ``times`` and, by its number, ``cells`` of each, both (spike,).

    ``labels`` (cell,) are what the file calls the cells, ``trials`` (spike,) numbers of repeats.
    """

    times: np.ndarray
    cells: np.ndarray
    trials: np.ndarray
    labels: np.ndarray
    unit: str = ""

    def words(self, states: xr.DataArray, width: float) -> str:
        """Say what bins made of the spikes."""
        count, busy = self.times.size, int(states.sum())
        more = f", of which {count - busy} fell beside another" if busy < count else ""
        return (
            f"{count} spike times of {self.labels.size} cells in {states.sizes['time']} bins of "
            f"{width:g} {self.unit}".rstrip()
            + more
        )


def trains(data: xr.Dataset) -> Trains | None:
    """Find spike times: a column of cells beside one of times, or an array of times for each cell.

    None where a file holds something else.
    """
    if any(data.variables[name].ndim > 1 for name in data.data_vars):
        return None
    columns = {n: c for n, c in columns_of(data).items() if c.dtype.kind in "biufUS"}
    numbers = {name: to_numbers(c.to_numpy()).astype(float) for name, c in columns.items()}
    long = _long(columns, numbers)
    return long or _wide(columns, numbers)


def _long(columns, numbers):
    """Spikes one a row."""
    words = {name: {*re.split(r"[\W_\d]+", name.casefold())} for name in columns}
    if len(columns) == 2 and all(re.fullmatch(r"column_\d", name) for name in columns):
        first, second = numbers.values()
        names = list(columns)
        if not (_codes(first) and _times(second)):
            return None
        cell, time, trial = *names, None
    else:
        trial = next((name for name in columns if words[name] & _TRIALS), None)
        timed = [name for name in columns if words[name] & _TIMES and _times(numbers[name])]
        timed.sort(key=lambda name: bool(words[name] & _CELLS))
        timed = [name for name in columns if f"{name}_cell" in columns] or timed
        time = next(iter(timed), None)
        cell = next((n for n in columns if words[n] & _CELLS and n not in (time, trial)), None)
        if None in (time, cell) or len(columns) > 2 + (trial is not None):
            return None
    if columns[cell].size != columns[time].size:
        return None
    labels, cells = np.unique(columns[cell].to_numpy(), return_inverse=True)
    if labels.dtype.kind == "f" and np.array_equal(labels, np.round(labels)):
        labels = labels.astype(int)
    trials = np.zeros(cells.size, int)
    if trial is not None:
        _, trials = np.unique(columns[trial].to_numpy(), return_inverse=True)
    return Trains(numbers[time], cells, trials, labels, _unit(columns[time]))


def _wide(columns, numbers):
    """A column or an array of times for each cell, ends padded."""
    there = {name: values[~np.isnan(values)] for name, values in numbers.items()}
    ascending = [np.all(np.diff(values) > 0) and _times(values) for values in there.values()]
    if len(there) < 2 or not all(ascending) or not _ragged(numbers):
        return None
    times = np.concatenate(list(there.values()))
    cells = np.repeat(np.arange(len(there)), [values.size for values in there.values()])
    unit = _unit(next(iter(columns.values())))
    return Trains(times, cells, np.zeros(times.size, int), np.array(list(there)), unit)


def _ragged(numbers):
    """Whether arrays differ in length, or columns end at different rows."""
    ends = {int(np.isnan(v)[::-1].argmin()) if np.isnan(v).any() else 0 for v in numbers.values()}
    return len({v.size for v in numbers.values()}) > 1 or len(ends) > 1


def _times(values):
    """Whether numbers may be times, and are no states."""
    return values.size > 2 and np.isfinite(values).all() and not np.isin(values, (-1, 0, 1)).all()


def _codes(values):
    """Whether numbers may be those of cells."""
    whole = np.isfinite(values).all() and np.array_equal(values, np.round(values))
    return whole and 1 < np.unique(values).size <= values.size / 2


def _unit(column):
    unit = column.attrs.get("units", "1")
    tail = str(column.name).rpartition("_")[2]
    return unit if unit != "1" else tail if tail in ("s", "ms", "us", "µs", "ns") else ""


def binned(trains: Trains, width: float | None, source: object = None) -> xr.DataArray:
    """Put spikes into bins of a width, from the one of the first spike to that of the last.

    Returns
    -------
    states (repeat, time, site), 1 where a cell spikes in a bin, else 0.

    Raises
    ------
    DataError : no width, one that is not above zero, or one that makes too many bins.
    """
    import xarray as xr

    gap = float(np.median(np.diff(np.sort(trains.times))))
    suggested = f"--bin {float(f'{max(gap, 1e-300):.1g}'):g}"
    if width is None:
        raise DataError(
            "these are spike times, not states",
            source=source,
            found=f"{trains.times.size} times of {trains.labels.size} cells",
            remedy=f"say the width of a bin in their unit{f' ({trains.unit})' * bool(trains.unit)},"
            f" as in {suggested}",
        )
    if not (np.isfinite(width) and width > 0):
        raise DataError("a bin has no width", expected="--bin above zero", found=f"{width:g}")
    bins = np.floor(trains.times / width + 1e-9)  # 0.3 / 0.1 is a little less than 3
    bins -= bins.min()
    count, repeats = float(bins.max()) + 1, int(trains.trials.max()) + 1
    if count * repeats * trains.labels.size > LARGEST:
        raise DataError(
            "the bins are too narrow",
            source=source,
            expected=f"at most {LARGEST} states",
            found=f"{count:.3g} bins for each of {trains.labels.size} cells",
            remedy=f"say a wider one, as in {suggested}",
        )
    states = np.zeros((repeats, int(count), trains.labels.size), np.int8)
    states[trains.trials, bins.astype(int), trains.cells] = 1
    return xr.DataArray(states, dims=("repeat", "time", "site"), name="states")
