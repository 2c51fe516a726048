"""Numbers as people read them: the digits that their uncertainty leaves, with their units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesinf import figures

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = [
    "CENTRAL",
    "ESTIMATED",
    "aligned",
    "brief",
    "described",
    "estimate",
    "estimates",
    "exact",
    "goodness",
    "interval",
    "number",
    "quantity",
    "resolution",
    "short",
    "signed",
    "summarised",
    "uneven",
    "value_with_unit",
]

# What stands in a column of estimates.
ESTIMATED = "mean ± sd; where the two sides differ, the median and the way to both ends of 68 %"
CENTRAL = 0.6827  # of a normal marginal, within one sd
SKEWED = 1.35  # ratio of the two halves of a 68 % interval from which mean ± sd misleads
HEAVY = 2.0  # sd over half of that interval, likewise
MOST_LINES = 24  # of a terminal, that numbers may fill


def number(mean: float, sd: float | None = None) -> str:
    """Print a value with the digits that its uncertainty leaves.

    The uncertainty keeps two digits, three where the first is a 1, and the value stops at the same
    place: ``number(67.48132, 0.10517)`` is ``67.481 ± 0.105``. Very large and very small ones share
    a power of ten.

    Parameters
    ----------
    mean : the value.
    sd : its standard deviation; None, or 0 for a value known exactly, prints the value alone.
    """
    if sd is None or sd == 0 or not math.isfinite(sd) or not math.isfinite(mean):
        return short(mean, 6)
    texts, power = _aligned([mean, sd], sd)
    if not power and len(texts[1]) > 11:  # a row of zeros says less than a power of ten
        texts[1] = short(sd, 2)
    return f"({' ± '.join(texts)}){power}" if power else " ± ".join(texts)


def described(draws: np.ndarray) -> str:
    """Print a marginal: mean ± sd, or median and the way to both ends of 68 % where it is skewed.

    A posterior at a bound, or one with a long tail, is none that mean and sd describe: 4.06 +0.31
    −0.12. It is called skewed where one way is more than ``SKEWED`` times the other.

    Parameters
    ----------
    draws : of a number, any shape.
    """
    draws = np.ravel(draws)
    return summarised(
        float(draws.mean()), float(draws.std()), *map(float, figures.interval(draws, CENTRAL))
    )


def summarised(mean: float, sd: float, low: float, middle: float, high: float) -> str:
    """Print what is known of a marginal as ``described`` does.

    Parameters
    ----------
    mean, sd : its moments.
    low, middle, high : its median between the ends of the interval that holds ``CENTRAL`` of it.
    """
    if not uneven(sd, low, middle, high):
        return number(mean, sd)
    down, up = float(middle - low), float(high - middle)
    texts, power = _aligned([middle, up, down], min(down, up) or max(down, up))
    said = f"{texts[0]} +{texts[1]} −{texts[2]}"
    return f"({said}){power}" if power else said


def uneven(sd: float, low: float, middle: float, high: float) -> bool:
    """Tell whether mean ± sd would mislead: two sides that differ, or tails that make the sd."""
    down, up = middle - low, high - middle
    if not (math.isfinite(sd) and down >= 0 and up >= 0 and down + up > 0):
        return False
    return max(down, up) > SKEWED * min(down, up) or sd > HEAVY * max(down, up)


def resolution(draws: np.ndarray) -> float:
    """Return what says how many digits an estimate has: its sd, or the shorter of its two sides."""
    draws = np.ravel(draws)
    low, middle, high = map(float, figures.interval(draws, CENTRAL))
    sd, sides = float(draws.std()), (middle - low, high - middle)
    return (min(sides) or max(sides)) if uneven(sd, low, middle, high) else sd


def interval(low: float, high: float, sd: float) -> str:
    """Print an interval with the digits that the standard deviation leaves."""
    if not (sd > 0 and math.isfinite(sd) and math.isfinite(low) and math.isfinite(high)):
        return f"{short(low, 6)} to {short(high, 6)}"
    texts, power = _aligned([low, high], sd)
    return f"({' to '.join(texts)}){power}" if power else " to ".join(texts)


def value_with_unit(mean: float, sd: float | None, unit: str) -> str:
    """Print a value as ``number`` does, with its unit; "1" is the unit of a pure number."""
    said = number(mean, sd)
    if unit in ("", "1"):
        return said
    return f"({said}) {unit}" if "±" in said and not said.startswith("(") else f"{said} {unit}"


def quantity(draws: xr.DataArray) -> str:
    """Print a marginal as ``described`` does, with its unit."""
    said, unit = described(draws.values), draws.attrs.get("units", "1")
    if unit in ("", "1"):
        return said
    spread = "±" in said or "+" in said
    return f"({said}) {unit}" if spread and not said.startswith("(") else f"{said} {unit}"


def estimate(
    draws: np.ndarray, unit: str, label: str = "", truth: Mapping[str, float] | None = None
) -> dict[str, str]:
    """Return a row of a table: the estimate, 95 % interval, unit, and the truth of that label."""
    low, _, high = map(float, figures.interval(np.ravel(draws)))
    sd = resolution(draws)
    row = {"estimate": described(draws), "95 % interval": interval(low, high, sd)}
    row["unit"] = "" if unit == "1" else unit
    if truth is not None:
        row["truth"] = exact(truth[label], sd) if label in truth else ""
    return row


def estimates(
    fit: xr.DataTree,
    var_names: Sequence[str] | None = None,
    truth: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Tabulate parameters for a report: estimate, 95 % interval; unit and truth where known.

    Parameters
    ----------
    fit : InferenceData.
    var_names : variables or elements, as in ``bayesinf.figures``; None takes all.
    truth : label to known value.

    Returns
    -------
    one row a scalar, ready for a ``Table``.
    """
    import pandas as pd

    rows = {
        label: estimate(array.values, array.units, label, truth)
        for label, array in figures.elements(fit, var_names).items()
    }
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("parameter")
    return frame if any(frame["unit"]) else frame.drop(columns="unit")


def brief(fit: xr.DataTree, derived: Mapping[str, xr.DataArray] | None = None) -> pd.DataFrame:
    """Tabulate the answer for a terminal: as ``estimates``, no more than a screen holds.

    Where there are more elements than lines, scalars and those that stand clearest of zero stay; of
    a curve, whose elements are places along an axis, none says anything by itself.

    Parameters
    ----------
    fit : InferenceData.
    derived : name to draws of what follows from it; these come first.
    """
    import pandas as pd

    from bayesinf.posterior import reported

    shown = {name: draws for name, draws in (derived or {}).items() if np.isfinite(draws).all()}
    head = {name: estimate(draws.values, draws.units) for name, draws in shown.items()}
    labels = list(figures.elements(fit, reported(fit)))
    kept, few = labels, len(labels) <= MOST_LINES
    if not few:
        # What is there or not, as a coupling of a spike and slab, is said by the coupling itself.
        clearest = figures.elements(fit, figures.representative(fit, MOST_LINES, clearest=True))
        kept = [
            name
            for name, draws in clearest.items()
            if np.unique(draws.values).size > 2 and not _along_a_curve(fit, name)
        ][: MOST_LINES // 2]
    rows = head | {
        name: estimate(a.values, a.units) for name, a in figures.elements(fit, kept).items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index")
    if not few:
        rest = f"… {len(labels) - len(kept)} more in summary.csv"
        table = pd.concat([table, pd.DataFrame("", [rest], table.columns)])
    table = table.rename_axis("quantity" if head else "parameter")
    return table if any(table["unit"]) else table.drop(columns="unit")


def aligned(table: pd.DataFrame) -> str:
    """Set a table of text as lines of a terminal, the first column its index."""
    rows = [[str(table.index.name or ""), *map(str, table.columns)]]
    rows += [[str(name), *map(str, cells)] for name, *cells in table.itertuples()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _along_a_curve(fit, label):
    """Whether an element is one place of many along an axis of numbers that are no counts."""
    variable = fit["posterior"][label.split("[")[0]]
    return any(variable[dim].dtype.kind == "f" for dim in variable.dims)


def goodness(fit: xr.DataTree) -> str:
    """Say how well a fit meets its error bars: χ²_red with n and ν; "" where there is neither.

    Without error bars it is what the residuals say of the noise, s = √(RSS/ν).

    Parameters
    ----------
    fit : InferenceData, of a problem that states them (``models.noise.Measured``).
    """
    stats = fit["sample_stats"]
    if "degrees_of_freedom" not in stats:
        return ""
    n, dof = int(stats["observations"]), float(stats["degrees_of_freedom"])
    counted = f"n = {n}, ν = {dof:.{0 if dof == round(dof) else 1}f}"
    if dof <= 0:
        return f"{counted}: as many parameters as data."
    if "chi_square" in stats:
        square = float(stats["chi_square"])
        ratio = square / dof
        said = f"{ratio:#.3g}" if 0.1 <= ratio < 100 else short(ratio, 3)
        return f"χ²_red = χ²/ν = {said} (χ² = {short(square)}, {counted})."
    size = short(math.sqrt(float(stats["residual_sum_of_squares"]) / dof), 3)
    (unit, *_) = {v.attrs.get("units", "1") for v in fit["observed_data"].data_vars.values()}
    unit = "" if unit == "1" else f" {unit}"
    return f"Residuals s = √(RSS/ν) = {size}{unit} ({counted}; no error bars, so no χ²)."


def signed(value: float, places: int) -> str:
    """Write a difference with its sign, a real minus, and so many decimals."""
    text = f"{value:+.{places}f}"
    return f"{0:.{places}f}" if not text.strip("+-0.") else text.replace("-", "−")


def exact(value: float, sd: float) -> str:
    """Write a value known exactly, with no more digits than an estimate with that sd beside it."""
    whole = short(value, 6)
    if not (sd > 0 and math.isfinite(sd) and math.isfinite(value)):
        return whole
    texts, power = _aligned([value, sd], sd)
    return min(whole, texts[0] + power, key=len)


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def short(value: Any, digits: int = 4) -> str:
    """Write a cell: numbers with so many digits and a real minus sign, the rest as it stands."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return "yes" if value else "no"
    if hasattr(value, "__index__"):
        return str(int(value)).replace("-", "−")
    try:
        value = float(value)
    except (TypeError, ValueError):
        return str(value)
    if math.isnan(value):
        return "–"
    text = f"{value:.{digits}g}".replace("inf", "∞")
    mantissa, _, exponent = text.partition("e")
    power = f" × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}" if exponent else ""
    return mantissa.replace("-", "−") + power


def _aligned(values, sd):
    """The values as text down to the last digit that sd leaves, and their power of ten."""
    lead = math.floor(math.log10(sd))
    last = lead - (2 if sd / 10.0**lead < 2 else 1)
    size = math.floor(math.log10(max(map(abs, values)) or sd))
    power = 0 if -3 <= size <= 5 else size
    places = power - last
    scaled = [value / 10.0**power for value in values]
    texts = [
        f"{round(value, places) + 0.0:.{max(places, 0)}f}".replace("-", "−") for value in scaled
    ]
    return texts, f" × 10{str(power).translate(_SUPERSCRIPTS)}" if power else ""
