"""Numbers as people read them: the digits that their uncertainty leaves, with their units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import figures

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = [
    "brief",
    "described",
    "estimate",
    "estimates",
    "interval",
    "number",
    "short",
    "value_with_unit",
]


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
    low, middle, high = map(float, figures.interval(draws, 0.6827))
    down, up = middle - low, high - middle
    if not (down >= 0 and up >= 0 and max(down, up) > SKEWED * min(down, up)):
        return number(float(draws.mean()), float(draws.std()))
    texts, power = _aligned([middle, up, down], min(down, up) or max(down, up))
    said = f"{texts[0]} +{texts[1]} −{texts[2]}"
    return f"({said}){power}" if power else said


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


def estimate(
    draws: np.ndarray, unit: str, label: str = "", truth: Mapping[str, float] | None = None
) -> dict[str, str]:
    """Return a row of a table: the estimate, 95 % interval, unit, and the truth of that label."""
    low, _, high = map(float, figures.interval(np.ravel(draws)))
    row = {
        "estimate": described(draws),
        "95 % interval": interval(low, high, float(np.std(draws))),
    }
    row["unit"] = "" if unit == "1" else unit
    if truth is not None:
        row["truth"] = short(truth[label], 6) if label in truth else ""
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


SKEWED = 1.35  # ratio of the two halves of a 68 % interval from which mean ± sd misleads
MOST_LINES = 24  # of a terminal, that numbers may fill


def brief(fit: xr.DataTree) -> pd.DataFrame:
    """Tabulate the answer for a terminal: as ``estimates``, no more than a screen holds.

    Where there are more elements than lines, scalars and those that stand clearest of zero stay.
    """
    import pandas as pd

    from bayesinf.posterior import reported

    labels = list(figures.elements(fit, reported(fit)))
    if len(labels) <= MOST_LINES:
        return estimates(fit, labels)
    # What is there or not, as a coupling of a spike and slab, is said by the coupling itself.
    clearest = figures.elements(fit, figures.representative(fit, MOST_LINES, clearest=True))
    counted = [name for name, draws in clearest.items() if np.unique(draws.values).size > 2]
    table = estimates(fit, counted[: MOST_LINES // 2])
    rest = f"… {len(labels) - len(table)} more in summary.csv"
    return pd.concat([table, pd.DataFrame("", [rest], table.columns)]).rename_axis(table.index.name)


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def short(value: object, digits: int = 4) -> str:
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
