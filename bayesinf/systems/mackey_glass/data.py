"""Series: of the delay equation, or of a file of the user's, in even steps."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import data as reading
from bayesinf.errors import DataError
from bayesinf.posterior import annotated, dataset
from bayesinf.settings import DEFAULT
from bayesinf.systems.mackey_glass.delay import (
    LITERATURE,
    Equation,
    exponent,
    random_history,
    trajectory,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["even_step", "from_values", "read", "simulate", "values_of"]

TIMES = ("time", "t", "times", "date", "year", "day", "hour", "minute", "second", "seconds")
UNEVEN = 1e-3  # of a step, by which steps may differ
DISCARDED = 60  # delays before the first sample, until the attractor is reached
LEAST = 60  # values of a series
KNOWN = ("beta", "gamma", "n", "tau", "noise", "dynamical", "exponent", "exponent_error")


def simulate(
    count: int = 2000,
    step: float = 1.0,
    equation: Equation = LITERATURE,
    *,
    noise: float = 0.0,
    dynamical: float = 0.0,
    kept: float = 1.0,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Sample the delay equation on its attractor, from a history drawn at random.

        y_k = x(k · step) + noise z_k,   z ~ N(0, 1)

    Parameters
    ----------
    count : samples.
    step : time between them; the delay need be no multiple of it.
    equation : its numbers.
    noise : standard deviation of what is measured about the solution.
    dynamical : noise of the dynamics, x per √time.
    kept : share of the samples that are observed, chosen at random.
    rng : by default the stream "simulate" of the default settings.

    Returns
    -------
    a series as of ``bayesinf.data.series`` with the variable ``x``, and beside it the ``truth``:
    numbers of the equation, ``noise``, ``dynamical``, and the largest Lyapunov ``exponent`` with
    its error.

    Raises
    ------
    DataError : fewer than 60 samples, a step that is not positive, noise below zero.
    """
    rng = DEFAULT.generator("simulate") if rng is None else rng
    if count < LEAST or not step > 0 or min(noise, dynamical) < 0:
        raise DataError(
            "no such series",
            expected=f"at least {LEAST} samples, a step above zero, noise from zero",
            found=f"{count}, {step}, {noise}, {dynamical}",
        )
    start = DISCARDED * equation.tau
    history = random_history(equation.tau, rng)
    times = start + step * np.arange(count)
    x = trajectory(equation, times, history, noise=dynamical, rng=rng)
    rate = exponent(equation)
    known = *equation.numbers, noise, dynamical, rate.value, rate.error
    truth = dict(zip(KNOWN, known, strict=True))
    y = x + noise * rng.standard_normal(count)
    seen = np.arange(count) if kept == 1 else np.flatnonzero(rng.random(count) < kept)
    return from_values(y[seen], step, truth=truth, place=seen)


def from_values(values, step=1.0, name="x", truth=None, place=None) -> xr.Dataset:
    """Label values in even steps, or those at some places, with what is known of them."""
    times = step * (np.arange(len(values)) if place is None else place)
    found = reading.series_from_arrays(times, {name: values}, least=LEAST)
    if truth is None:
        return found
    arrays = {key: np.float64(value) for key, value in truth.items()}
    return annotated(found, truth=dataset(arrays, sampled=False))


def read(
    path: str | os.PathLike,
    *,
    value: str | int | None = None,
    time: str | int | None = None,
    decimal: str | None = None,
    even: bool = True,
) -> xr.Dataset:
    """Read a series in even steps: a column of values, or times and values.

    Parameters
    ----------
    path : a file that ``bayesinf.data.read`` reads; a netCDF file of ``simulate`` keeps its truth.
    value : name of the column, or its position from 1; by default the only one beside the times.
    time : likewise; a file of one column, and one without times, counts its rows.
    decimal : the decimal mark, where the numbers do not show it.
    even : whether to refuse times that are uneven, which ``fit_equation`` takes.

    Returns
    -------
    a series of one repeat and one variable, under the user's names.

    Raises
    ------
    DataError : fewer than 60 values, some missing, all equal, times that are not even, or several
        columns of values none of which was asked for.
    """
    table = reading.read(path, decimal=decimal)
    names = [str(n) for n in [*table.coords, *table.data_vars] if not str(n).startswith("truth.")]
    timed = time is not None or "time" in table.attrs or any(n.casefold() in TIMES for n in names)
    names = [n for n in names if n not in table.dims]
    if timed:
        wanted = [value] if value is not None else _stored(table, names)
        found = reading.series(
            path, time=time, repeat="none", variables=wanted, least=LEAST, decimal=decimal
        )
    else:
        found = _counted(table, _column(names, value, path), path)
    _one(found, path)
    known = {n: table[f"truth.{n}"] for n in KNOWN if f"truth.{n}" in table}
    arrays = {n: variable.values.reshape(()) for n, variable in known.items()}
    if even:
        even_step(found, path)
    return annotated(found, truth=dataset(arrays, sampled=False)) if known else found


def _stored(table, names):
    """The values of a file of ``simulate``, whose truth is no column; None for all columns."""
    return [n for n in names if n in table.data_vars] if len(names) < len(table.data_vars) else None


def _column(names, value, path):
    """The column of values: the one asked for, by name or by its position from 1, or the only."""
    if value is None and len(names) > 1:
        raise DataError(
            "several columns, and none of times",
            source=path,
            expected="one column, or one called time",
            found=", ".join(names),
            remedy="say which is which (--value, --time)",
        )
    place = 1 if value is None else value
    if isinstance(place, int):
        place = names[place - 1] if 1 <= place <= len(names) else place
    if place not in names:
        raise DataError(
            "no such column", source=path, expected=f"one of {', '.join(names)}", found=value
        )
    return place


def _counted(table, name, path):
    """A column by the number of its rows."""
    column = table[name].rename(name)
    found = reading.series_from_arrays(
        np.arange(column.size, dtype=float), {name: column}, least=LEAST, source=path
    )
    said = f"values are in {name}; rows are counted, as there are no times"
    return found.assign_attrs(source=table.attrs["source"], read_as=said)


def _one(found, path):
    """Raise DataError unless there is one variable that varies."""
    if len(found.data_vars) != 1:
        raise DataError(
            "several columns of values",
            source=path,
            expected="one beside the times",
            found=", ".join(map(str, found.data_vars)),
            remedy="say which one (--value)",
        )
    (variable,) = found.data_vars.values()
    if np.ptp(variable.values) == 0:
        raise DataError("the values are all equal", source=path, expected="a series that varies")


def values_of(series: xr.Dataset) -> xr.DataArray:
    """Return the values of the first repeat, (time,), with the times as their coordinate."""
    import xarray as xr

    name = next(str(n) for n in series.data_vars if "." not in str(n))
    part = series[name].isel(repeat=0)
    times = reading.times(series).isel(repeat=0)
    coords = {"time": ("time", times.values, times.attrs)}
    return xr.DataArray(part.values, coords, ("time",), name, part.attrs)


def even_step(series: xr.Dataset, source: object = None) -> float:
    """Return the time between two samples.

    Raises
    ------
    DataError : steps differ.
    """
    steps = np.diff(values_of(series)["time"].values)
    step = float(np.median(steps))
    worst = int(np.argmax(np.abs(steps - step)))
    if abs(steps[worst] - step) > UNEVEN * step:
        raise DataError(
            "the times are not even",
            source=source,
            where=f"after row {worst + 1}",
            expected=f"steps of {step:g}",
            found=f"one of {steps[worst]:g}",
            remedy="interpolate, or cut the series where rows are missing",
        )
    return step
