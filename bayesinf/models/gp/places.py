"""Data on several inputs and data that are slopes: from arrays to one labelled table and back.

The Dataset of such data holds the inputs as columns, each with its name and unit, beside the values
y; slopes, measured where they may, are variables of their own, ``dy_dx`` with the places
``dy_dx_at_x``. Its attributes ``y``, ``inputs`` and ``slopes`` (JSON) say which variable is which.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.arrays import enough, finite, labels, vector
from bayesinf.data.curve import variable_name
from bayesinf.errors import DataError
from bayesinf.models.gp.definition import ratio
from bayesinf.models.gp.slopes import VALUE

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Data", "columns", "places", "read", "several", "slope_name", "table"]

RESERVED = ("point", "chain", "draw", "error", "input", "new", "candidate")
LEAST = 3  # data, values and slopes together


@dataclass(frozen=True)
class Data:
    """Values and slopes in one row, values first, then the slopes input by input.

    Parameters
    ----------
    x : places, (point, input).
    y : values and slopes, (point,).
    error : sd of what is known of their noise, (point,), 0 where nothing is; None for nowhere.
    along : the input of each slope, (point,); ``VALUE`` for values.
    inputs : their names.
    y_name : what the values are called.
    attributes : variable to its attributes, such as ``units``.
    """

    x: np.ndarray
    y: np.ndarray
    error: np.ndarray | None
    along: np.ndarray
    inputs: tuple[str, ...]
    y_name: str
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def dataset(self) -> xr.Dataset:
        """Return the data as variables, with their places as coordinates."""
        import xarray as xr

        variables, coords, slopes, known = {}, {}, {}, {}
        for k in np.unique(self.along):
            where = self.along == k
            name = self.y_name if k == VALUE else slope_name(self.y_name, self.inputs[k])
            dim = "point" if k == VALUE else f"{name}_point"
            for number, one in enumerate(self.inputs):
                column = one if k == VALUE else f"{name}_at_{one}"
                coords[column] = (dim, self.x[where, number], self._labels(one))
            variables[name] = (dim, self.y[where], self._labels(name))
            if self.error is not None and np.any(self.error[where]):
                bars = "error" if k == VALUE else f"{name}_error"
                variables[bars] = (dim, self.error[where], {"units": self._labels(name)["units"]})
                known |= {"error": "error"} if k == VALUE else {}
            if k != VALUE:
                slopes[self.inputs[k]] = name
        roles = {"y": self.y_name, "y_units": self._labels(self.y_name)["units"]}
        roles |= {"inputs": json.dumps(self.inputs), "slopes": json.dumps(slopes)}
        if len(self.inputs) == 1 and self.inputs[0] in coords:
            roles["x"] = self.inputs[0]
        return xr.Dataset(variables, coords, attrs=roles | known)

    def _labels(self, name):
        return {"units": "1"} | dict(self.attributes.get(name, {}))


def slope_name(y_name: str, one: str) -> str:
    """Return what the slope of y along an input is called."""
    return f"d{y_name}_d{one}"


def times(of_slope: str, of_x: str) -> str:
    """Return the unit of y from those of a slope and of x: the reverse of ``ratio``."""
    if of_x == "1" or of_slope.endswith(f"/{of_x}"):
        return of_slope.removesuffix(f"/{of_x}")
    return of_x if of_slope == "1" else f"{of_slope} {of_x}"


def several(x) -> bool:
    """Whether x is of more than one input."""
    return len(x) > 1 if isinstance(x, Mapping) else np.ndim(x) == 2 and np.shape(x)[1] > 1


def table(x=None, y=None, error=None, *, slopes: Mapping | None = None, name: str = "y") -> Data:
    """Validate and label values and slopes held in memory.

    Parameters
    ----------
    x : places of the values, (point, input): an array, a DataArray whose second coordinate names
        the inputs, or a mapping or Dataset of columns; of one input (point,) will do. None where
        there are slopes alone.
    y, error : (point,), the error one number if need be.
    slopes : input to (x, values) or (x, values, error) of the slopes of y along it.
    name : what y is called where no values say.

    Raises
    ------
    DataError : lengths differ, too few data, NaN or infinity, errors that are not positive, an
        input that does not vary or is not known, names that mean something else.
    """
    slopes = dict(slopes or {})
    if (x is None) != (y is None):
        raise DataError("x and y come together", expected="both or neither", found="one of them")
    if y is None and not slopes:
        raise DataError("there are no data", expected="x and y, or slopes")
    blocks, inputs, units = [], (), {}
    if y is not None:
        found = columns(x)
        inputs, units = tuple(found), {k: labels(v) for k, v in found.items()}
        values = vector(y, name, None)
        name = variable_name(values.name, "y", taken=inputs)
        blocks.append((VALUE, name, _block(found, values, error, name)))
        units[name] = labels(values)
    name = variable_name(name, "y", taken=inputs)
    for key, given in slopes.items():
        one = variable_name(key, "x")
        if not isinstance(given, tuple | list) or len(given) not in (2, 3):
            raise DataError(
                f"the slopes along {one} are not understood",
                expected="(x, values) or (x, values, error)",
                found=type(given).__name__,
            )
        found = columns(given[0], inputs or None)
        inputs = inputs or tuple(found)
        units = {k: labels(v) for k, v in found.items()} | units
        if one not in inputs:
            raise DataError(
                f"no input {one!r}",
                expected=f"one of {', '.join(inputs)}",
                remedy="give slopes by the input that they are along",
            )
        called = slope_name(name, one)
        values = vector(given[1], called, None)
        of_x, of_slope = units[one]["units"], values.attrs.get("units")
        if name not in units and of_slope:  # no values that say what y is measured in
            units[name] = {"units": times(of_slope, of_x)}
        units[called] = {"units": of_slope or ratio(units.get(name, {}).get("units", "1"), of_x)}
        block = _block(found, values, given[2] if len(given) == 3 else None, called)
        blocks.append((inputs.index(one), called, block))
    return _checked(blocks, inputs, name, units)


def _block(found, values, error, called):
    """Places (point, input), values and errors of one variable, or a refusal."""
    x = np.stack([finite(column, None) for column in found.values()], axis=1)
    y = finite(values, None)
    bars = np.zeros(len(y)) if error is None else error
    bars = np.full(len(y), bars) if np.ndim(bars) == 0 else bars
    bars = finite(vector(bars, "error", None), None)
    if not len(x) == len(y) == len(bars):
        raise DataError(
            f"columns of {called} differ in length",
            expected="as many entries in each",
            found=f"{len(x)} in x, {len(y)} in the values, {len(bars)} in the errors",
        )
    if error is not None and not np.all(bars > 0):
        raise DataError(
            "an error bar is not positive",
            where=f"entry {int(np.argmin(bars > 0)) + 1} of {called}",
            expected="a standard deviation above zero",
            found=f"{bars[np.argmin(bars > 0)]:g}",
        )
    if len(found) == 1:  # as of a curve, so that the memory of residuals means something
        order = np.argsort(x[:, 0], kind="stable")
        x, y, bars = x[order], y[order], bars[order]
    return x, y, bars


def _checked(blocks, inputs, name, units):
    """Join the blocks into one row, or refuse what says nothing."""
    x, y, error = (np.concatenate(part) for part in zip(*(b for _, _, b in blocks), strict=True))
    along = np.concatenate([np.full(len(values), k) for k, _, (_, values, _) in blocks])
    enough(len(y), LEAST, None)
    for k, one in enumerate(inputs):
        if one in RESERVED or one == name:
            raise DataError(
                f"an input cannot be called {one}",
                expected="a name that is not taken",
                remedy="rename it",
            )
        if np.ptp(x[:, k]) == 0:
            raise DataError(
                f"the input {one} does not vary",
                expected="at least two values",
                found=f"{x[0, k]} throughout",
                remedy="leave it out",
            )
    if len(blocks) == 1 and along[0] == VALUE and np.ptp(y) == 0:
        raise DataError("y does not vary", expected="a curve", found=f"{y[0]} throughout")
    if np.any(along != VALUE) and not np.any(y[along != VALUE]):
        raise DataError("all slopes are zero", expected="a curve", found="0 throughout")
    attributes = {one: dict(attrs) for one, attrs in units.items()}
    return Data(x, y, error if np.any(error) else None, along, tuple(inputs), name, attributes)


def columns(x, known: tuple[str, ...] | None = None) -> dict[str, xr.DataArray]:
    """Return each input of some places by its name; ``known`` are the inputs, where they are."""
    import xarray as xr

    if isinstance(x, Mapping):
        found = {str(name): vector(column, str(name), None) for name, column in x.items()}
    else:
        array = x if isinstance(x, xr.DataArray) else xr.DataArray(np.asarray(x, dtype=float))
        if array.ndim == 1:
            array = array.rename(None).expand_dims("input", 1)
        if array.ndim != 2:
            raise DataError(
                "x has the wrong shape", expected="(point, input)", found=f"shape {array.shape}"
            )
        count, dim = array.shape[1], array.dims[1]
        if dim in array.coords:
            names = list(map(str, array[dim].values))
        elif getattr(x, "name", None) is not None and count == 1:
            names = [str(x.name)]
        elif known and count == len(known):
            names = known
        else:
            names = [f"x{k + 1}" for k in range(count)] if count > 1 else ["x"]
        attrs = {"units": array.attrs.get("units", "1")}
        found = {
            name: xr.DataArray(array.values[:, k], dims="point", name=name, attrs=attrs)
            for k, name in enumerate(names)
        }
    found = {variable_name(name, "x"): column for name, column in found.items()}
    if not found or (known and set(found) != set(known)):
        raise DataError(
            "the inputs do not agree",
            expected=f"{', '.join(known or ('columns',))}",
            found=", ".join(found) or "none",
        )
    return {name: found[name] for name in known or found}


def places(x, inputs: tuple[str, ...]) -> np.ndarray:
    """Return new places as (new, input): of an array, or columns by the inputs' names."""
    if np.ndim(x) == 0 and not isinstance(x, Mapping):
        x = [x]
    elif len(inputs) > 1 and not isinstance(x, Mapping) and np.ndim(x) == 1:
        x = np.reshape(x, (1, -1))  # one place
    found = columns(x, inputs)
    return np.stack([finite(column, None) for column in found.values()], axis=1)


def read(data: xr.Dataset) -> Data:
    """Return the values and slopes of a Dataset as ``Data.dataset`` makes it."""
    y_name, inputs = data.attrs["y"], tuple(json.loads(data.attrs["inputs"]))
    named = {VALUE: y_name} if y_name in data.variables else {}
    slopes = json.loads(data.attrs["slopes"])
    named |= {k: slopes[one] for k, one in enumerate(inputs) if one in slopes}
    parts, attributes = [], {y_name: {"units": data.attrs["y_units"]}}
    for k, name in named.items():
        lead, bars = ("", "error") if k == VALUE else (f"{name}_at_", f"{name}_error")
        x = np.stack([data[f"{lead}{one}"].values for one in inputs], axis=1).astype(float)
        y = data[name].values.astype(float)
        error = data[bars].values if bars in data.variables else np.zeros(len(y))
        parts.append((x, y, error, np.full(len(y), k)))
        attributes[name] = dict(data[name].attrs)
        attributes |= {one: dict(data[f"{lead}{one}"].attrs) for one in inputs}
    x, y, error, along = (np.concatenate(part) for part in zip(*parts, strict=True))
    known = error if np.any(error) else None
    return Data(x, y, known, along, inputs, y_name, attributes)
