"""Pictures of a batch: each parameter with its error over the map, or along the list; the verdicts.

What is not believed is seen in every picture: it is drawn in the verdict's colour, and where a fit
failed nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.batches.verdict import BELIEVED, DOUBTED, FAILED
from bayesinf.figures.canvas import COLORS, canvas, in_lines, key, styled, with_units

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["VERDICTS", "Quantity", "p_values", "values", "verdicts"]

VERDICTS = {BELIEVED: "believed", DOUBTED: "doubted", FAILED: "not fitted"}
SHADES = {BELIEVED: "#D6E6F0", DOUBTED: COLORS["classical"], FAILED: COLORS["data"]}
CUT = 0.01  # share of the values that a colour scale leaves out at either end
MOST = 3000  # spectra of a list that are drawn with their errors
BINS = 20
NAMED = 20  # data sets of a list that are called by their names, not their numbers


@dataclass(frozen=True)
class Quantity:
    """A parameter over the batch.

    Parameters
    ----------
    name, units : what it is called.
    value, sd : posterior mean and standard deviation, over the spectra's dimensions.
    group : what those that are drawn together are called.
    """

    name: str
    units: str
    value: np.ndarray
    sd: np.ndarray
    group: str = "parameters"


@styled
def values(quantities: Sequence[Quantity], code: np.ndarray, axes: Mapping[str, Axis]) -> Figure:
    """Draw each quantity and its error, as two maps, or against the place in the list.

    Parameters
    ----------
    quantities : a row each.
    code : verdict, over the spectra's dimensions.
    axes : name of each dimension to what stands along it; two of them make a map.
    """
    if len(axes) == 2:
        return _maps(quantities, code, axes)
    return _lists(quantities, code.ravel(), axes)


def _maps(quantities, code, axes):
    shape = code.shape
    tall = min(max(1.9 * shape[0] / shape[1], 0.9), 2.6) if shape[1] else 1.9
    fig, rows = canvas(
        len(quantities),
        2,
        height=0.6 + (tall + 0.55) * len(quantities),
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    for row, each in zip(rows, quantities, strict=True):
        for axis, array, word in zip(row, (each.value, each.sd), ("", "sd of "), strict=True):
            shown = np.where(code == FAILED, np.nan, array)
            believed = array[(code == BELIEVED) & np.isfinite(array)]
            scale = believed if believed.size else array[np.isfinite(array)]
            ends = np.quantile(scale, [CUT, 1 - CUT]) if scale.size else (0.0, 1.0)
            image = axis.imshow(
                shown,
                origin="lower",
                aspect="auto",
                vmin=ends[0],
                vmax=ends[1],
                extent=_extent(axes),
            )
            axis.set_title(f"{word}{each.name}")
            bar = fig.colorbar(image, ax=axis, label=each.units if each.units != "1" else "")
            bar.outline.set_visible(False)
            bar.formatter.set_powerlimits((-5, 6))
            bar.formatter.set_useOffset(False)
            bar.update_ticks()
    _label(rows, axes)
    return fig


def _extent(axes):
    """Ends of a picture whose cells are centred on their places."""
    found = []
    for along in reversed(list(axes.values())):
        at = along.values
        half = (at[-1] - at[0]) / max(len(at) - 1, 1) / 2 or 0.5
        found += [at[0] - half, at[-1] + half]
    return found


def _label(rows, axes):
    (down, of_down), (right, of_right) = axes.items()
    for axis in np.atleast_2d(rows)[-1]:
        axis.set_xlabel(with_units(right, of_right.units))
    for axis in np.atleast_2d(rows)[:, 0]:
        axis.set_ylabel(with_units(down, of_down.units))


@dataclass(frozen=True)
class Axis:
    """What stands along a dimension of the batch: places and their unit, and names in a list."""

    values: np.ndarray
    units: str = "1"
    names: Sequence[str] = ()


def _in_order(axis, axes):
    """Say below a list what each is called, where they are few, or that they are numbered."""
    ((name, along),) = axes.items()
    if 0 < len(along.names) <= NAMED:
        slant = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
        axis.set_xticks(range(1, len(along.names) + 1), along.names, **slant)
        axis.set_xlabel(name)
    else:
        axis.set_xlabel(f"{name} (in order)")


def _lists(quantities, code, axes):
    fig, rows = canvas(
        len(quantities), 1, height=0.6 + 1.35 * len(quantities), squeeze=False, sharex=True
    )
    at = np.arange(1, len(code) + 1)
    for axis, each in zip(rows[:, 0], quantities, strict=True):
        value, sd = each.value.ravel(), each.sd.ravel()
        for verdict, color in ((BELIEVED, COLORS["posterior"]), (DOUBTED, COLORS["classical"])):
            some = np.flatnonzero((code == verdict) & np.isfinite(value))
            if len(code) <= MOST:
                axis.errorbar(
                    at[some], value[some], 1.96 * sd[some], fmt=".", ms=3, lw=0.7, color=color
                )
            else:
                axis.plot(at[some], value[some], ",", color=color, rasterized=True)
        good = value[(code == BELIEVED) & np.isfinite(value)]
        good = good if good.size else value[np.isfinite(value)]
        if good.size:
            low, high = np.quantile(good, [CUT / 2, 1 - CUT / 2])
            margin = 0.25 * (high - low) + 3 * np.nanmedian(np.where(np.isfinite(sd), sd, 0.0))
            axis.set_ylim(low - margin, high + margin if margin else high + 1)
        axis.set_ylabel(in_lines(with_units(each.name, each.units)))
        for place in at[code == FAILED][:MOST]:
            axis.axvline(place, 0, 0.04, color=COLORS["data"], lw=0.8)
    _in_order(rows[-1, 0], axes)
    key(
        rows[0, 0],
        [("believed", "posterior"), ("doubted", "classical"), ("not fitted", "data")],
        corner="above",
    )
    return fig


@styled
def verdicts(code: np.ndarray, axes: Mapping[str, Axis]) -> Figure:
    """Draw the verdict of each spectrum, over the map or along the list."""
    from matplotlib.colors import ListedColormap

    colors = ListedColormap([SHADES[k] for k in sorted(SHADES)])
    if len(axes) == 2:
        tall = min(max(6.4 * code.shape[0] / code.shape[1], 1.6), 5.0)
        fig, axis = canvas(height=0.9 + tall)
        axis.imshow(
            code,
            origin="lower",
            aspect="auto",
            cmap=colors,
            vmin=-0.5,
            vmax=2.5,
            extent=_extent(axes),
        )
        _label([[axis]], axes)
    else:
        fig, axis = canvas(height=1.3)
        axis.imshow(
            code.reshape(1, -1),
            aspect="auto",
            cmap=colors,
            vmin=-0.5,
            vmax=2.5,
            extent=(0.5, code.size + 0.5, 0, 1),
        )
        axis.set_yticks([])
        _in_order(axis, axes)
    count = np.bincount(code.ravel(), minlength=3)
    words = [(f"{count[k]} {VERDICTS[k]}", k) for k in sorted(VERDICTS)]
    shades = {BELIEVED: COLORS["posterior"], DOUBTED: SHADES[DOUBTED], FAILED: SHADES[FAILED]}
    key(axis, [(word, shades[k]) for word, k in words], corner="above")
    return fig


@styled
def p_values(p: Mapping[str, np.ndarray]) -> Figure:
    """Draw how the p-values of each statistic are spread: evenly where the model is right.

    Parameters
    ----------
    p : statistic to p-values, (spectrum,).
    """
    fig, axes = canvas(1, len(p), height=2.2, squeeze=False, sharey=True)
    for axis, (name, values_) in zip(axes[0], p.items(), strict=True):
        found, edges = np.histogram(values_[np.isfinite(values_)], BINS, (0, 1))
        even = max(found.sum() / BINS, 1e-9)
        axis.stairs(found / even, edges, fill=True, color=COLORS["posterior"], alpha=0.6)
        axis.axhline(1.0, color=COLORS["data"], lw=0.8)
        axis.set_title(name.replace(" ", "\n", 1), fontsize=9.5)
        axis.set_xlabel("p-value")
        axis.set_xticks([0, 0.5, 1])
    axes[0, 0].set_ylabel("how many, over\nan even spread")
    return fig
