"""What every picture is drawn on: colours, style, axes, labels and the draws behind them.

A role keeps its colour in every picture: whoever has learnt once that the posterior is blue and the
classical fit vermilion reads all of them. Pictures are built without pyplot, so none of them leaves
global state behind.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesinf.errors import DataError
from bayesinf.foreign import adopted
from bayesinf.posterior import element_names

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLORS",
    "axis_label",
    "canvas",
    "elements",
    "few_ticks",
    "in_lines",
    "interval",
    "key",
    "padded",
    "span",
    "styled",
    "with_units",
]

# Told apart with any colour vision (a test simulates them); blue and vermilion are Okabe & Ito's.
COLORS = {
    "data": "#222222",
    "truth": "#00875F",
    "posterior": "#0072B2",
    "classical": "#D55E00",
    "prior": "#999999",
    "second": "#AA3377",
}


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Let a function that returns a Figure draw in the style of bayesinf, of any InferenceData."""

    @functools.wraps(draw)
    def drawn(*args, **kwargs):
        from matplotlib import style

        args = [_adopted(each) for each in args]
        kwargs = {name: _adopted(each) for name, each in kwargs.items()}
        with style.context(Path(__file__).with_name("bayesinf.mplstyle")):
            figure = draw(*args, **kwargs)
            for axes in getattr(figure, "axes", ()):
                _say_offset(axes.xaxis)
                _say_offset(axes.yaxis)
            _leave_dollars(figure)
            return figure

    return drawn


def _leave_dollars(figure):
    """Show a text with dollar signs as it stands where it is no formula, as a name of a file's."""
    from matplotlib.mathtext import MathTextParser
    from matplotlib.text import Text

    for text in figure.findobj(Text) if hasattr(figure, "findobj") else ():
        if "$" in text.get_text():
            # The letters of formulas lack superscripts of their own, as in cm⁻¹.
            said = text.get_text()
            raised = re.sub(f"[{_RAISED}]+", _as_formula, said) if said.count("$") > 1 else said
            try:
                MathTextParser("path").parse(raised)
                text.set_text(raised)
            except ValueError:
                text.set_parse_math(False)


def _say_offset(axis):
    """Put what is taken off the numbers of an axis, and their power of ten, into its label.

    matplotlib writes "1e−4+1.81" into a corner, where it runs into other labels: the label says
    "frequency − 1.81 (10⁻⁴ 1/d)" instead.
    """
    formatter = axis.get_major_formatter()
    ticks = axis.get_major_ticks()
    if not axis.get_visible() or not (ticks and ticks[0].label1.get_visible()):
        return
    formatter.set_locs(axis.get_majorticklocs())
    found = _OFFSET.fullmatch(formatter.get_offset().replace("−", "-"))
    power, offset = found.groups() if found else (None, None)
    if not (power or offset):
        return
    name, unit = re.fullmatch(r"(.*?)(?:\s\((.*)\))?", axis.get_label_text(), re.S).groups()
    if offset:
        size = Decimal(offset[1:])  # 5.209e2 is 520.9 to a reader
        size = f"{size:f}" if -5 < size.adjusted() < 10 else offset[1:]
        name += f" {'−' if offset[0] == '+' else '+'} {size}"
    if power:
        unit = f"10{power.lstrip('+').translate(_SUPERSCRIPTS)} {unit or ''}".rstrip()
    said = with_units(name.strip(), unit or "")
    axis.set_label_text(said.replace(" (", "\n(") if "\n(" in axis.get_label_text() else said)
    axis.get_offset_text().set_visible(False)


_OFFSET = re.compile(r"(?:1e([+-]?\d+))?([+-].+)?")  # as matplotlib writes it: 1e-4+1.81
_RAISED = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"
_SUPERSCRIPTS = str.maketrans("-0123456789", _RAISED)


def _as_formula(found):
    return f"$^{{{found[0].translate(str.maketrans(_RAISED, '-0123456789'))}}}$"


def _adopted(given):
    """What a picture is drawn from, where it is a fit, or fits by name, of whatever library."""
    if hasattr(given, "children"):
        return adopted(given)
    # A Dataset is a mapping too, and is left as it is.
    if isinstance(given, dict) and all(hasattr(each, "children") for each in given.values()):
        return {name: adopted(each) for name, each in given.items()}
    return given


def canvas(
    rows: int = 1, columns: int = 1, height: float = 3.2, width: float = 7.2, **kwargs: Any
) -> tuple[Figure, Any]:
    """Open a Figure as wide as the report's page.

    Parameters
    ----------
    rows, columns : grid of axes.
    height, width : of the whole figure, in inches.
    **kwargs : passed on to ``Figure.subplots`` (``sharex``, ``squeeze``, ``width_ratios``, ...).

    Returns
    -------
    the Figure and its axes, as ``Figure.subplots`` gives them.
    """
    from bayesinf.figures.picture import Picture

    fig = Picture(figsize=(width, height), layout="constrained")
    return fig, fig.subplots(rows, columns, **kwargs)


def with_units(name: str, units: str) -> str:
    """Return the axis label ``name (units)``, or the bare name of a dimensionless quantity."""
    return name if units in ("", "1") else f"{name} ({units})"


def axis_label(array: xr.DataArray) -> str:
    """Return the axis label of a variable: its name as its file has it, with its unit."""
    name = array.attrs.get("long_name", array.name or "y")
    return with_units(str(name), array.attrs.get("units", "1"))


def in_lines(label: str) -> str:
    """Break a label before its unit, where small axes stand side by side."""
    return label.replace(" (", "\n(")


def key(
    axis: Axes,
    words: Mapping[str, str] | Iterable[tuple[str, str]],
    corner: str = "upper right",
    step: float = 13,
) -> None:
    """Write words in the colours of what they stand for, which says more than a legend's box.

    Parameters
    ----------
    axis : to write on.
    words : word to colour: a role of ``COLORS``, or any colour of matplotlib's.
    corner : "upper left", "upper right", "lower left", "lower right", one word below the other; or
        "above" the axis, in one line.
    step : from one line to the next, in points.

    Raises
    ------
    ValueError : another corner.
    """
    words = list(words.items() if isinstance(words, Mapping) else words)
    if corner == "above":
        at: Any = "axes fraction"
        place, shift = (0, 1), (0, 6)
        for word, color in words:
            at = axis.annotate(
                word,
                place,
                shift,
                xycoords=at,
                textcoords="offset points",
                va="bottom",
                color=COLORS.get(color, color),
            )  # each word stands beside the one before
            place, shift = (1, 0), (9, 0)
        return
    down, _, side = corner.partition(" ")
    if down not in ("upper", "lower") or side not in ("left", "right"):
        raise ValueError(f"no corner {corner!r}: upper or lower, left or right; or above")
    place = (1 if side == "right" else 0), (1 if down == "upper" else 0)
    for k, (word, color) in enumerate(words):
        below = -4 - step * k if down == "upper" else 4 + step * (len(words) - 1 - k)
        axis.annotate(
            word,
            place,
            (-4 if side == "right" else 4, below),
            color=COLORS.get(color, color),
            xycoords="axes fraction",
            textcoords="offset points",
            ha=side,
            va="top" if down == "upper" else "bottom",
        )


def interval(
    draws: np.ndarray, level: float = 0.95, axis: int | tuple[int, ...] = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the equal-tailed interval of draws and their median: low, median, high.

    Parameters
    ----------
    draws : draws along ``axis``.
    level : share of the draws inside.
    axis : of the draws; (0, 1) where chain and draw stand first.

    Returns
    -------
    three arrays, each as ``draws`` without ``axis``.
    """
    tail = (1 - level) / 2
    return tuple(np.quantile(draws, [tail, 0.5, 1 - tail], axis=axis))


def elements(
    fit: xr.DataTree, var_names: Sequence[str] | None = None, group: str = "posterior"
) -> dict[str, xr.DataArray]:
    """Take a group apart into scalars.

    Parameters
    ----------
    fit : InferenceData.
    var_names : variables or single elements; None takes all.
    group : the group they stand in.

    Returns
    -------
    label to DataArray (chain, draw); an element is labelled by its coordinates, ``J[0, 1]``.

    Raises
    ------
    DataError : the group has no variable or element of that name.
    """
    content = adopted(fit)[group].to_dataset()
    found: dict[str, xr.DataArray] = {}
    for name in map(str, content.data_vars) if var_names is None else var_names:
        stem = name.split("[")[0]
        if stem not in content.data_vars:
            raise DataError(
                f"no variable {stem!r}", source=group, expected=f"one of {list(content.data_vars)}"
            )
        parts = element_names(content[stem])
        if name != stem and name not in parts:
            raise DataError(
                f"no element {name!r}",
                source=group,
                expected=f"an element such as {next(iter(parts))!r}",
            )
        chosen = parts if name == stem else {name: parts[name]}
        found |= {label: content[stem][index] for label, index in chosen.items()}
    return found


def span(draws: np.ndarray, tail: float) -> np.ndarray:
    """Return the quantiles of all draws that leave ``tail`` out at either end."""
    return np.quantile(draws, [tail, 1 - tail])


def padded(values: Iterable, more: Iterable = (), pad: float = 0.06) -> tuple[float, float]:
    """Return the ends of an axis that holds all values with a margin, never empty."""
    low, high = min([*values, *more]), max([*values, *more])
    margin = pad * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def few_ticks(axis: Axes) -> None:
    """Let small axes have few ticks, at round numbers."""
    from matplotlib.ticker import MaxNLocator

    for side in (axis.xaxis, axis.yaxis):
        side.set_major_locator(MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]))
