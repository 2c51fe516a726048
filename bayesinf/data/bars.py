"""Error bars as people write them, made the standard deviations of y that a likelihood asks for.

A column of error bars need not hold standard deviations in the unit of y: it may hold percent of y,
two standard deviations, variances, the same quantity in another unit, or stand in two columns,
below and above. Its heading says so. What it says is done and told; what it says and cannot be
done, as of an interval of which half or all may be meant, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.arrays import finite, heading, place
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["deviations", "other_side"]

PARTS = {"%": 1e-2, "percent": 1e-2, "pct": 1e-2, "‰": 1e-3, "ppm": 1e-6, "ppb": 1e-9}
RELATIVE = {"relative", "rel", "fractional", "relerr"}
VARIANCES = {"variance", "variances", "var"}
PRECISIONS = {"ivar", "invvar", "precision", "weight", "weights"}
# Headings of which nobody knows whether the whole or half is meant.
INTERVAL = re.compile(
    r"\b\d\d(\.\d+)?\s*%?\s*(ci|cl|ci\w*|conf\w*|cred\w*|hdi|interval)\b|\b(ci|conf\w*|hdi)\s*\d\d",
    re.IGNORECASE,
)
MULTIPLE = re.compile(
    r"\b([2-5])\s*(?:σ|sigmas?|s\.?d\.?|std|stdev)(?!\w)|\bk\s*=\s*([2-5])\b", re.IGNORECASE
)
BELOW = {"lo", "low", "lower", "minus", "neg", "down", "below", "-"}
ABOVE = {"hi", "high", "upper", "plus", "pos", "up", "above", "+"}
SKEW = 2.0  # times that a bar on one side may be longer than its other side


def deviations(
    error: xr.DataArray, y: xr.DataArray, source: object = None, other: xr.DataArray | None = None
) -> tuple[xr.DataArray, str]:
    r"""Return error bars as standard deviations in the unit of y, and what was done in words.

    .. math:: σ_i = f\,e_i, \quad f\,e_i\,|y_i|, \quad \sqrt{e_i}
              \quad\text{or}\quad (e_i^- + e_i^+)/2

    Parameters
    ----------
    error : as read, (point,), with its heading as ``name`` and ``units``.
    y : what it is an error of, (point,).
    source : what an error message calls the file.
    other : the bars on the other side, (point,), where they stand in a column of their own.

    Raises
    ------
    DataError : the heading says something that is no standard deviation of y.
    """
    units, of_y = (str(each.attrs.get("units") or "1") for each in (error, y))
    text = f"{error.name} {units}".replace("_", " ")
    words = set(re.split(r"[\W_]+", text.casefold())) - set(
        re.split(r"[\W_]+", str(y.name).casefold())
    )
    made, told = error, []
    if other is not None:
        made = made.copy(data=_middle(error, other, source))
        told.append(f"the mean of {error.name} and {other.name}")
    if INTERVAL.search(text):
        raise _refused(error, source, "an interval", "divide half of one of 95 % by 1.96")
    if words & PRECISIONS:
        raise _refused(error, source, "weights", "give 1/√weight, if the weights are 1/variance")
    if found := MULTIPLE.search(text):
        times = int(found[1] or found[2])
        made = made.copy(data=finite(made, source) / times)
        told.append(f"divided by {times}")
    share = next((PARTS[w] for w in (units, *words) if w in PARTS and w != of_y), None)
    if "%" in str(error.name) and of_y != "%":
        share = PARTS["%"]
    if words & RELATIVE and share is None:
        share = PARTS.get(units, 1.0)
    if words & VARIANCES:
        made = made.copy(data=_root(made, source))
        told.append("the square root of variances")
    elif share is not None:
        made = made.copy(data=share * finite(made, source) * _sizes(y, error, source))
        told.append("parts of y" if share == 1 else f"{share:g} of y" if share < 1e-2 else "% of y")
    else:
        factor = _factor(units, of_y, error, source)
        if factor != 1:
            made = made.copy(data=factor * finite(made, source))
            told.append(f"{units} made {of_y}")
    if not told:
        return error, ""
    return made.assign_attrs(units=of_y), f"error bars were taken as {', '.join(told)}"


def other_side(name: str, names: Collection[str]) -> str | None:
    """Return the column of bars on the other side of one that holds those of one side alone.

    Parameters
    ----------
    name : of error bars, such as ``err_lo`` and ``dy-``.
    names : of all columns.
    """
    sides = {each: _side(each) for each in names}
    rest, side = sides.get(name, ("", None))
    if side is None:
        return None
    return next((n for n, (r, s) in sides.items() if r == rest and s not in (None, side)), None)


def _side(name):
    """What is left of a name without the word of its side, and which side: True above."""
    words = re.findall(r"[^\W_]+|[+-]$", name.casefold())
    for side, known in ((False, BELOW), (True, ABOVE)):
        if found := [word for word in words if word in known]:
            return tuple(word for word in words if word != found[0]), side
    return tuple(words), None


def _middle(error, other, source):
    sides = [np.abs(finite(each, source)) for each in (error, other)]
    low, high = np.minimum(*sides), np.maximum(*sides)
    if np.any(high > SKEW * low):
        row = int(np.argmax(high > SKEW * low))
        raise DataError(
            "error bars are longer on one side",
            source=source,
            where=place(error, row),
            expected=f"sides that differ by less than {SKEW:g} times",
            found=f"{sides[0][row]:.4g} and {sides[1][row]:.4g}",
            remedy="name one column of error bars, or choose 'none'",
        )
    return (low + high) / 2


def _sizes(y, error, source):
    sizes = np.abs(finite(y, source))
    if not np.all(sizes > 0):
        raise DataError(
            "an error bar is not positive",
            source=source,
            where=place(y, int(np.argmin(sizes))),
            expected=f"a y other than zero, of which {heading(error)} is a part",
            found=f"{sizes.min():g}",
            remedy="give the error bars in the unit of y, or choose 'none'",
        )
    return sizes


def _root(error, source):
    values = finite(error, source)
    if np.any(values < 0):
        raise _refused(error, source, "negative variances", "check the column")
    return np.sqrt(values)


def _factor(units, of_y, error, source):
    """How many units of y are one of the error bars; 1 where either is none that is known."""
    if units in ("1", of_y) or of_y == "1":
        return 1.0
    from astropy import units as astropy_units

    def parsed(text):
        try:
            return astropy_units.Unit(text)
        except (ValueError, TypeError):
            return None

    ours, theirs = parsed(units), parsed(of_y)
    if ours is None or theirs is None:
        return 1.0
    try:
        return float(ours.to(theirs))
    except astropy_units.UnitConversionError:
        raise _refused(error, source, f"{units}, and y is in {of_y}", "correct a unit") from None


def _refused(error, source, found, remedy):
    return DataError(
        "error bars are no standard deviations of y",
        source=source,
        where=heading(error),
        expected="standard deviations in the unit of y",
        found=found,
        remedy=f"{remedy}, or choose 'none' for the error bars",
    )
