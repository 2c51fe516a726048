"""Points with a curve through them: simulated, or read from a file of the user's."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import axes, curve, curve_from_arrays
from bayesinf.data import read as read_table
from bayesinf.data import rows as cells
from bayesinf.data.arrays import refuse_codes, refuse_sizes, to_numbers
from bayesinf.data.columns import columns_of, pick, said
from bayesinf.errors import DataError
from bayesinf.models import gp
from bayesinf.posterior import annotated, dataset, noted
from bayesinf.settings import DEFAULT

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "CO2_KERNEL",
    "CURVES",
    "carbon_dioxide",
    "checked",
    "new_rows",
    "read",
    "simulate",
    "split",
    "wave",
]

FEWEST_COUNTS = 4  # different whole numbers that may be counts


def wave(x: np.ndarray) -> np.ndarray:
    """Return cos(20 x) e^(−2x)."""
    return np.cos(20 * x) * np.exp(-2 * x)


# Carbon dioxide at Mauna Loa: a trend, a season of one year, and a rest with memory; every fifth
# month before 1982 teaches, so that all months of the year come, and what came after is forecast.
# All 281 months are believed too, but 1000 draws took 82 s of a processor, and with this kernel,
# whose one Matérn then follows the months, the 95 % interval held 37 % of what came.
CO2_KERNEL, CO2_TREND, CO2_AFTER, CO2_EVERY = (
    "periodic(1.0) + matern52",
    "time + (time - 1970)**2",
    1981.99,
    5,
)
CURVES = {"wave": wave}  # what data whose attribute ``curve`` names it are known to follow


def simulate(
    points: int = 20, *, noise: float = 0.1, rng: np.random.Generator | None = None
) -> xr.Dataset:
    """Measure cos(20 x) e^(−2x) at places drawn evenly from 0 to 1.

    Parameters
    ----------
    points : how many.
    noise : standard deviation of the normal noise; 0 for values that are exact.
    rng : generator; by default the stream "simulate" of the default settings.

    Returns
    -------
    a Dataset as of ``bayesinf.data.curve`` with x and y; beside it ``truth``, the noise. Attributes
    say that the mean is zero, and which curve of ``CURVES`` it is.
    """
    rng = DEFAULT.generator("simulate") if rng is None else rng
    x = np.sort(rng.random(points))
    found = curve_from_arrays(x, wave(x) + noise * rng.standard_normal(points))
    found = found.assign_attrs(curve="wave", mean="zero")
    return annotated(found, truth=dataset({"noise": np.float64(noise)}, sampled=False))


def read(
    path: str | os.PathLike,
    x: str | int | Sequence[str | int] | None = None,
    y: str | int | None = None,
    error: str | int | None = None,
    *,
    decimal: str | None = None,
    windows: Sequence[tuple[float, float]] = (),
    log: bool = False,
) -> xr.Dataset:
    """Read y at x, with error bars where the file has them; x may be several columns.

    Parameters
    ----------
    path, y, error, decimal, windows : as for ``bayesinf.data.curve``.
    x : a column, or several, each an input of its own.
    log : whether to take the logarithm of y, whose noise is then a share of y everywhere.

    Raises
    ------
    DataError : columns that are not there, numbers that will not do.
    """
    if isinstance(x, str | int | None) or len(x) == 1:
        one = x if isinstance(x, str | int | None) else x[0]
        found = curve(path, one, y, error, decimal=decimal, windows=windows)
        return _logarithm(found, path) if log else _counted(found)
    if windows:
        raise DataError("--window takes one input", expected="--x with one column")
    if y is None:
        raise DataError(
            "nobody says which column is y",
            source=path,
            expected="--y NAME beside several columns for --x",
        )
    table = read_table(path, decimal=decimal)
    columns = columns_of(table)
    names = [pick(columns, one, path) for one in (*x, y)]
    bars = None if error in (None, "none") else columns[pick(columns, error, path)]
    if len(set(names)) < len(names):
        raise DataError("a column is named twice", source=path, found=", ".join(names))
    for name in names:
        numbers = to_numbers(columns[name].values).astype(float)
        refuse_codes(numbers, columns[name], path)
        refuse_sizes(numbers, columns[name], path)
    inputs = {name: columns[name] for name in names[:-1]}
    found = gp.data(inputs, columns[names[-1]], bars)
    words = f"x is {', '.join(names[:-1])} and y is {names[-1]}, as asked for"
    found = found.assign_attrs(said(table, words), source=str(path))
    return _logarithm(found, path) if log else found


def _counted(found):
    """The same data; of what may be counts, how their noise is stated."""
    values = found[found.attrs["y"]].values
    whole = np.all(values >= 0) and np.array_equal(values, np.round(values))
    if "error" in found or not whole or np.unique(values).size < FEWEST_COUNTS:
        return found
    words = f"if {found.attrs['y']} are counts, --noise signal lets their noise grow with them"
    return found.assign_attrs(said(found, words))


def _logarithm(found, path):
    """The same data with log y in place of y."""
    name = found.attrs["y"]
    y = found[name]
    if not np.all(y.values > 0):
        raise DataError(
            "a logarithm takes values above zero",
            source=path,
            where=f"column {name}",
            found=f"{float(y.min()):g}",
            remedy="leave --log out",
        )
    unit = y.attrs.get("units", "1")
    called = f"log({name}{'' if unit == '1' else f' / {unit}'})"
    attrs = {"units": "1", "long_name": called}
    changed = {name: y.copy(data=np.log(y.values)).assign_attrs(attrs)}
    if "error" in found:
        changed["error"] = (found["error"] / y).assign_attrs(units="1")
    attrs = {"y_units": "1"} if "y_units" in found.attrs else {}
    return found.assign(changed).assign_attrs(attrs, log=1, log_of=unit)


def checked(data: xr.Dataset) -> xr.Dataset:
    """Return data as ``gp.process`` takes them: of one input sorted, and nothing beside them."""
    own = [v for v in data.variables if "." not in str(v)]
    if "inputs" in data.attrs:
        return data[own]
    x, y, error = axes(data[own].assign_attrs(data.attrs))
    return curve_from_arrays(x, y, error)


def split(data: xr.Dataset, after: float) -> tuple[xr.Dataset, xr.Dataset]:
    """Split data of one input into those up to a place, and those after it, which are held out.

    Raises
    ------
    DataError : fewer than three points before it, or none after.
    """
    if "inputs" in data.attrs:
        raise DataError("--forecast takes one input", expected="--x with one column")
    x, _, _ = axes(data)
    seen = x.values <= after
    if seen.sum() < 3 or seen.all():
        raise DataError(
            f"nothing to learn from, or nothing to forecast, around {after:g}",
            expected=f"a value of {x.name} between {float(x.min()):g} and {float(x.max()):g}, "
            "with three points before it",
            found=f"{int(seen.sum())} of {x.size} points before it",
        )
    return data.isel(point=seen), data.isel(point=~seen)


def carbon_dioxide(path: str | os.PathLike) -> dict[str, object]:
    """Return the arguments of ``fit`` for the carbon dioxide that data/ holds."""
    seen, later = split(read(path), CO2_AFTER)
    seen = seen.isel(point=slice(None, None, CO2_EVERY))
    return {"data": seen, "held_out": later, "kernel": CO2_KERNEL, "trend": CO2_TREND}


def new_rows(
    path: str | os.PathLike, data: xr.Dataset, *, decimal: str | None = None
) -> xr.Dataset:
    """Read places at which to foretell: the columns of x, and y where that is known too.

    Parameters
    ----------
    path : a file with the columns that x has in the data, of the same names and units.
    data : as of ``read``.
    decimal : as for ``read``.

    Returns
    -------
    Dataset over ``new_row``: the inputs and, where it is there and whole, y (its logarithm, if the
    data hold that).

    Raises
    ------
    DataError : a column that is not there, in another unit or no number; a value that is missing.
    """
    several = "inputs" in data.attrs
    inputs = json.loads(data.attrs["inputs"]) if several else [data.attrs["x"]]
    called = {name: str(data[name].attrs.get("long_name", name)) for name in inputs}
    y = data.attrs["y"]
    columns, rows = cells.wanted(path, list(called.values()), y, decimal=decimal)
    for name, column in called.items():
        units = [one.attrs.get("units", "1") for one in (data[name], columns[column])]
        if units[1] not in ("1", units[0]):
            raise DataError(
                "a column has another unit than in the data",
                source=path,
                where=f"column {column}",
                expected=units[0],
                found=units[1],
            )
    arrays = {name: columns[column].values for name, column in called.items()}
    if y in columns:
        came = columns[y].values
        if data.attrs.get("log"):
            with np.errstate(all="ignore"):
                came = np.log(came)
        arrays |= {y: came} if np.isfinite(came).all() else {}
    dims = dict.fromkeys(arrays, ("new_row",))
    units = {name: data[name].attrs.get("units", "1") for name in arrays}
    return dataset(arrays, dims, {"new_row": rows}, units, sampled=False)


def known(data: xr.Dataset) -> xr.Dataset | None:
    """Return what is known beforehand of simulated data, under the names of the posterior."""
    return noted(data, "truth")
