"""y(x) with error bars, from a file or from arrays, under the user's own names.

The Dataset of a curve is validated once and then passed on as it is: over ``point``, sorted by x,
with the variables called as the user calls them, such as ``wavelength`` and ``counts``, and the
error bars always ``error``. Its attributes ``x``, ``y`` and ``error`` say which variable plays
which part, and ``axes`` gets them. ``long_name`` keeps the header as the user wrote it.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.arrays import enough, finite, heading, labels, listing, place, shown, vector
from bayesinf.data.tables import columns_of, known_name, pick, read
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

# Names by which columns are known, in the order in which they are looked for, in small letters.
X_NAMES = ("x", "wavelength", "wavenumber", "frequency", "energy", "time", "t", "angle", "theta",
           "2theta", "q", "position", "distance", "temperature", "channel")  # fmt: skip
Y_NAMES = ("y", "intensity", "counts", "signal", "absorbance", "transmittance", "reflectance",
           "response")  # fmt: skip
# Names that mean something else in a fit: its dimensions, and the error bars.
RESERVED = ("point", "chain", "draw", "error")
# A column is one of error bars if a word of its name, as in counts_err, is one of these.
ERROR_WORDS = {"error", "errors", "err", "stderr", "uncertainty", "unc", "sigma", "sd", "std", "dy",
               "yerr", "yerror", "dx", "xerr"}  # fmt: skip


def curve(
    path: str | os.PathLike,
    x: str | int | None = None,
    y: str | int | None = None,
    error: str | int | None = None,
    *,
    x_names: Sequence[str] = (),
    y_names: Sequence[str] = (),
    least: int = 3,
    sort: bool = True,
) -> xr.Dataset:
    """Read y(x), with error bars where the file has them.

    Columns that are not asked for are those that a file made from a curve says they are. Else they
    are found by well-known names (``X_NAMES``, ``Y_NAMES``, ``ERROR_WORDS``), else they are the
    first, the second and, as error bars, the third; but of more than three columns, some of them
    known or asked for, none is guessed to be error bars.

    Parameters
    ----------
    path : a file that ``read`` reads.
    x, y, error : name of the column, or its position from 1; ``error="none"`` reads no error bars.
    x_names, y_names : what x and y are likely to be called here, in small letters and in the order
        in which to look for them; a column that is found so counts as asked for.
    least : fewest rows that will do.
    sort : whether to sort the rows by x.

    Returns
    -------
    a Dataset over ``point`` with x, y and, where there are error bars, ``error``. The attributes
    ``x``, ``y`` and ``error`` say what the variables are called, which is what the file calls them
    as far as ``variable_name`` allows; the variables' ``long_name`` and ``units`` are the file's.

    Raises
    ------
    DataError : the file cannot be read, a column is missing, or the numbers will not do.
    """
    data = read(path)
    columns = columns_of(data)
    asked = {"x": x, "y": y, "error": error}
    stored = {role: name for role in asked if (name := str(data.attrs.get(role))) in columns}
    if {"x", "y"} <= stored.keys() and x is None and y is None:
        asked = {"error": "none"} | stored | ({} if error is None else {"error": error})
    for role, names in (("x", x_names), ("y", y_names)):
        if asked[role] is None:
            free = [name for name in columns if name not in asked.values()]
            asked[role] = known_name(free, names)
    chosen = _choose(columns, asked, path)
    arrays = {role: columns[name] for role, name in chosen.items()}
    result = curve_from_arrays(**arrays, least=least, sort=sort, source=path)
    return result.assign_attrs(source=data.attrs["source"])


def curve_from_arrays(
    x: ArrayLike,
    y: ArrayLike,
    error: ArrayLike | None = None,
    *,
    least: int = 3,
    sort: bool = True,
    source: object = None,
) -> xr.Dataset:
    """Validate and label y(x) held in memory.

    Parameters
    ----------
    x, y, error : arrays or DataArrays, (point,); those keep their units and, as far as
        ``variable_name`` allows, their names; arrays are called x and y.
    least, sort : as for ``curve``.
    source : what an error message calls the origin of the arrays.

    Returns
    -------
    a Dataset as of ``curve``.

    Raises
    ------
    DataError : lengths differ, too few rows, NaN or infinity, error bars that are not positive,
        all x equal.
    """
    import xarray as xr

    given = {"x": x, "y": y, "error": error}
    columns = {
        role: vector(values, role, source) for role, values in given.items() if values is not None
    }
    numbers = _validated(columns, least, source)
    order = np.argsort(numbers["x"], kind="stable") if sort else slice(None)
    names = {"x": variable_name(columns["x"].name, "x")}
    names["y"] = variable_name(columns["y"].name, "y", taken=names.values())
    names |= {"error": "error"} if "error" in columns else {}
    result = xr.Dataset(
        {
            name: ("point", numbers[role][order], labels(columns[role]))
            for role, name in names.items()
        },
        attrs=names,
    )
    if "error" in result and result["error"].units == "1":
        result["error"].attrs["units"] = result[names["y"]].units
    return result


def axes(dataset: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray | None]:
    """Return x, y and the error bars, or None, of a Dataset that ``curve`` made."""
    variables = getattr(dataset, "variables", {})  # an array has none
    names = [getattr(dataset, "attrs", {}).get(role) for role in ("x", "y", "error")]
    missing = [name for name in names if name is not None and name not in variables]
    if missing or None in names[:2]:
        raise DataError(
            "the dataset does not say which variables are x and y",
            expected="attributes x and y with the names of variables, as of bayesinf.data.curve",
            found=listing(missing or variables) or type(dataset).__name__,
            remedy="make it with bayesinf.data.curve_from_arrays(x, y, error)",
        )
    x, y, error = (None if name is None else dataset[name] for name in names)
    return x, y, error


def variable_name(name: object, role: str, taken: Collection[str] = ()) -> str:
    """Return the name that a column goes by where xarray and netCDF must hold it.

    What is no letter, digit or underscore becomes an underscore, as ``I_I0`` for ``I/I0``; a name
    that is taken (``point``, ``chain``, ``draw``, ``error``, or that of x for y) is followed by its
    role, as ``error_y``.

    Parameters
    ----------
    name : what the user calls the column.
    role : ``x`` or ``y``, which is also the name where nothing is left of the user's.
    taken : further names that are taken.
    """
    name = unicodedata.normalize("NFC", str(name))
    name = re.sub(r"\W+", " ", name).strip().replace(" ", "_") or role
    while name in RESERVED or name in taken:
        name = f"{name}_{role}"
    return name


def _validated(columns, least, source) -> dict[str, np.ndarray]:
    """Return the numbers of x, y and error; refuse what is no curve."""
    sizes = {name: column.size for name, column in columns.items()}
    if len(set(sizes.values())) > 1:
        raise DataError(
            "columns differ in length",
            source=source,
            expected="as many entries in each",
            found=", ".join(f"{size} in {name}" for name, size in sizes.items()),
        )
    enough(sizes["x"], least, source)
    numbers = {name: finite(column, source) for name, column in columns.items()}
    if "error" in numbers and not np.all(numbers["error"] > 0):
        row = int(np.argmin(numbers["error"] > 0))
        raise DataError(
            "an error bar is not positive",
            source=source,
            where=place(columns["error"], row),
            expected="a standard deviation above zero",
            found=shown(columns["error"].values[row]),
            remedy="correct or remove the row, or choose 'none' for the error bars",
        )
    if np.all(numbers["x"] == numbers["x"][0]):
        raise DataError(
            "all x are equal",
            source=source,
            where=heading(columns["x"]),
            expected="at least two different values",
            found=shown(columns["x"].values[0]),
            remedy="check which column is x",
        )
    return numbers


def _choose(
    columns: Mapping[str, xr.DataArray], asked: Mapping[str, str | int | None], source
) -> dict[str, str]:
    """Column names of x, y and error: those asked for, else by well-known names, else by order."""
    bars = asked["error"] != "none"
    chosen = {
        role: pick(columns, wanted, source)
        for role, wanted in asked.items()
        if wanted is not None and (bars or role != "error")
    }
    words = {name: set(re.split(r"[\W_]+", name.casefold())) for name in columns}

    def free():
        return [name for name in columns if name not in chosen.values()]

    for role, names in (("x", X_NAMES), ("y", Y_NAMES)):
        if role not in chosen and (found := known_name(free(), names)):
            chosen[role] = found
    third = not {"x", "y"} & chosen.keys() or (len(columns) == 3 and not any(asked.values()))
    for role in ("x", "y"):
        left = sorted(free(), key=lambda name: bool(ERROR_WORDS & words[name]))
        if role not in chosen and not left:
            raise DataError(
                "too few columns",
                source=source,
                expected="a column of x and another of y",
                found=listing(columns) or "none",
            )
        if role not in chosen:
            chosen[role] = left[0]
    if bars and "error" not in chosen:
        named = [name for name in free() if ERROR_WORDS & words[name]]
        found = [
            name
            for name in named
            if not (words[name] & {"x", "dx", "xerr"} or words[chosen["x"]] <= words[name])
        ]
        found.sort(key=lambda name: not words[chosen["y"]] & words[name])
        if third and not named:
            found = [name for name in list(columns)[2:3] if name in free()]
        chosen |= {"error": found[0]} if found else {}
    return chosen
