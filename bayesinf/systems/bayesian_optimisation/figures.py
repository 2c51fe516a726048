"""Figures of this system: InferenceData in, matplotlib Figure out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import COLORS, canvas, key, styled, with_units
from bayesinf.posterior import noted

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["inputs", "least", "minimum", "places", "progress", "slices", "steps", "terms"]

TRUE_LINE = {"color": COLORS["truth"], "lw": 1.2, "ls": (0, (4, 2)), "zorder": 3}
EDGE = 1.96  # sds from the mean to the end of a normal's 95 % band
BINS = 60


def terms(fit: xr.DataTree) -> dict:
    """Return what a fit says of its campaign: inputs, the value's name and unit, the goal."""
    return json.loads(fit.attrs["campaign"])


def least(fit: xr.DataTree) -> str:
    """Return ``minimum``, or ``maximum``."""
    return "maximum" if terms(fit)["goal"] == "maximise" else "minimum"


def inputs(fit: xr.DataTree) -> list[str]:
    """Return the names of the inputs."""
    return [one["name"] for one in terms(fit)["inputs"]]


def _value(fit):
    """The label of the value's axis."""
    return with_units(terms(fit)["name"], terms(fit)["units"])


def _label(fit, name):
    """The label of an input's axis."""
    one = next(one for one in terms(fit)["inputs"] if one["name"] == name)
    return with_units(name, one["units"])


def _truth(fit, name):
    found = noted(fit, "truth")
    return float(found[name]) if found is not None and name in found else None


def _mark(axis, fit, x, rows=slice(None)):
    """Draw evaluations: dots, hollow where a constraint was not met, crosses where they failed."""
    told = noted(fit, "evaluations").isel(evaluation=rows)
    y, ok = told[terms(fit)["name"]].values, told["feasible"].values == 1
    x = np.asarray(x)[rows]
    style = {"color": COLORS["data"], "ms": 3.8, "zorder": 5, "ls": ""}
    axis.plot(x[ok], y[ok], "o", **style)
    met = told["measured"].values == 1
    axis.plot(x[met & ~ok], y[met & ~ok], "o", mfc="white", **style)
    low = axis.get_xaxis_transform()
    axis.plot(x[~met], np.full((~met).sum(), 0.03), "x", transform=low, **style)


@styled
def minimum(fit: xr.DataTree) -> Figure:
    """Draw the curve over its one input, and below the densities of place and depth."""
    found, kind = noted(fit, "curve"), least(fit)
    (name,) = inputs(fit)
    x = found[name]
    fig, axes = canvas(2, 2, height=5.0, height_ratios=[2.2, 1])
    for axis in axes[0]:
        axis.remove()
    curve = fig.add_subplot(axes[0, 0].get_gridspec()[0, :])
    color = {"color": COLORS["posterior"]}
    curve.fill_between(x, found["low"], found["high"], alpha=0.3, lw=0, **color)
    curve.plot(x, found["mean"], lw=1.3, **color)
    words = {"evaluations": "data", "curve, 95 %": "posterior"}
    if "truth" in found:
        curve.plot(x, found["truth"], **TRUE_LINE)
        words["truth"] = "truth"
    _mark(curve, fit, noted(fit, "evaluations")[name].values)
    told = noted(fit, "evaluations")[terms(fit)["name"]].values
    curve.set_ylim(*_padded(np.concatenate([found["low"], found["high"], told])))
    asked = noted(fit, "next")[name].values
    high = np.full(len(asked), 0.97)
    style = {"color": COLORS["second"], "ms": 6, "zorder": 6}
    curve.plot(asked, high, "v", transform=curve.get_xaxis_transform(), **style)
    words["measure next"] = "second"
    curve.set_xlabel(_label(fit, name))
    curve.set_ylabel(_value(fit))
    place, depth = axes[1]
    _histogram(place, fit, f"{name}_at_{kind}")
    place.set_xlabel(f"place of the {kind}, {_label(fit, name)}")
    _histogram(depth, fit, kind)
    depth.set_xlabel(f"depth of the {kind}, {_value(fit)}")
    key(curve, words, "above")
    return fig


def _histogram(axis, fit, name, ends=None):
    """Draw the draws of a variable between ends, by default those of 99 % of them."""
    draws = fit["posterior"][name].values.ravel()
    low, high = np.quantile(draws, [0.005, 0.995]) if ends is None else ends
    room = 0.1 * (high - low) or 1e-9 if ends is None else 0.0
    bins = np.linspace(low - room, high + room, BINS + 1)
    axis.hist(draws, bins, color=COLORS["posterior"], alpha=0.6, histtype="stepfilled")
    if (true := _truth(fit, name)) is not None:
        axis.axvline(true, **TRUE_LINE)
    best = noted(fit, "classical")[name]
    if np.isfinite(best) and bins[0] <= best <= bins[-1]:
        axis.axvline(float(best), color=COLORS["classical"], lw=1.2)
    axis.set_xlim(bins[0], bins[-1])
    axis.set_yticks([])


def _padded(values):
    low, high = np.nanmin(values), np.nanmax(values)
    return low - 0.04 * (high - low), high + 0.08 * (high - low)


@styled
def steps(fit: xr.DataTree) -> Figure:
    """Draw what was known before each evaluation, what was promised, and what then came."""
    found, told = noted(fit, "steps"), noted(fit, "evaluations")
    (name,) = inputs(fit)
    x, counts = found[name], found["count"].values
    across = min(3, len(counts))
    down = -(-len(counts) // across)
    heights = {"height_ratios": [3, 1] * down}
    fig, axes = canvas(
        2 * down, across, height=0.6 + 2.3 * down, squeeze=False, sharex=True, **heights
    )
    ends = [found["mean"] + side * EDGE * found["sd"] for side in (-1, 1)]
    span = _padded(np.concatenate([np.ravel(end) for end in ends]))
    for k in range(down * across):
        curve, promise = (
            axes[2 * (k // across), k % across],
            axes[2 * (k // across) + 1, k % across],
        )
        if k >= len(counts):
            curve.set_visible(False)
            promise.set_visible(False)
            continue
        one, count = found.isel(count=k), int(counts[k])
        low, high = (one["mean"] + side * EDGE * one["sd"] for side in (-1, 1))
        curve.fill_between(x, low, high, color=COLORS["posterior"], alpha=0.3, lw=0)
        curve.plot(x, one["mean"], color=COLORS["posterior"], lw=1.0)
        curve_true = noted(fit, "curve")
        if "truth" in curve_true:
            curve.plot(curve_true[name], curve_true["truth"], **TRUE_LINE)
        _mark(curve, fit, told[name].values, slice(0, count))
        asked = told[name].values[count] if count < told.sizes["evaluation"] else None
        asked = noted(fit, "next")[name].values[0] if asked is None else asked
        top = float(one["improvement"].max()) or 1.0
        promise.fill_between(x, one["improvement"] / top, color=COLORS["second"], alpha=0.5, lw=0)
        for axis in (curve, promise):
            axis.axvline(asked, color=COLORS["second"], lw=1.0)
        curve.set_ylim(*span)
        promise.set_ylim(0, 1.05)
        curve.set_title(f"after {count}: EI up to {top:.2g}", loc="left")
        promise.set_yticks([])
        if k % across:
            curve.set_yticklabels([])
        else:
            curve.set_ylabel(_value(fit))
            promise.set_ylabel("EI")
        if k + across >= len(counts):
            promise.set_xlabel(_label(fit, name))
            promise.xaxis.set_tick_params(labelbottom=True)
    return fig


@styled
def progress(fit: xr.DataTree) -> Figure:
    """Draw the evaluations in their order, the best so far, and the posterior of the minimum."""
    told, kind, name = noted(fit, "evaluations"), least(fit), terms(fit)["name"]
    number = np.arange(1, told.sizes["evaluation"] + 1)
    fig, axis = canvas(height=3.0)
    low, high = np.quantile(fit["posterior"][kind], [0.025, 0.975])
    axis.axhspan(low, high, color=COLORS["posterior"], alpha=0.35, lw=0)
    axis.axhline(float(fit["posterior"][kind].median()), color=COLORS["posterior"], lw=1.2)
    axis.step(number, told["best"], where="post", color=COLORS["classical"], lw=1.2)
    words = {"evaluations": "data", "best so far": "classical", f"{kind}, 95 %": "posterior"}
    if (true := _truth(fit, kind)) is not None:
        axis.axhline(true, **TRUE_LINE)
        words["truth"] = "truth"
    _mark(axis, fit, number)
    values = told[name].values
    known = np.append(values[np.isfinite(values)], [low, high])
    axis.set_ylim(*_padded(known))
    axis.set_xlabel("evaluation")
    axis.set_ylabel(_value(fit))
    key(axis, words, "above")
    return fig


@styled
def places(fit: xr.DataTree) -> Figure:
    """Draw the density of the minimum's place along each input, and of its depth."""
    kind, names = least(fit), inputs(fit)
    across = min(4, len(names) + 1)
    down = -(-(len(names) + 1) // across)
    fig, axes = canvas(down, across, height=0.6 + 1.9 * down, squeeze=False)
    panels = np.ravel(axes)
    for axis in panels[len(names) + 1 :]:
        axis.set_visible(False)
    for axis, name in zip(panels, [*names, None], strict=False):
        if name is None:
            _histogram(axis, fit, kind)
        else:
            one = next(one for one in terms(fit)["inputs"] if one["name"] == name)
            _histogram(axis, fit, f"{name}_at_{kind}", (one["low"], one["high"]))
        axis.set_xlabel(f"depth, {_value(fit)}" if name is None else _label(fit, name))
    words = {"posterior": "posterior", "best measured": "classical"}
    words |= {"truth": "truth"} if noted(fit, "truth") is not None else {}
    key(panels[0], words, "above")
    return fig


@styled
def slices(fit: xr.DataTree) -> Figure:
    """Draw the curve along each input, the others at the recommended place."""
    found, middle = noted(fit, "slices"), noted(fit, "recommended")
    names = inputs(fit)
    across = min(3, len(names))
    down = -(-len(names) // across)
    fig, axes = canvas(down, across, height=0.6 + 2.1 * down, squeeze=False, sharey=True)
    for k, axis in enumerate(np.ravel(axes)):
        if k >= len(names):
            axis.set_visible(False)
            continue
        one = found.sel(along=names[k])
        axis.fill_between(one["at"], one["low"], one["high"], color=COLORS["posterior"], alpha=0.3)
        axis.plot(one["at"], one["mean"], color=COLORS["posterior"])
        axis.axvline(float(middle[names[k]]), color=COLORS["second"], lw=1.0)
        told = noted(fit, "evaluations")[names[k]].values
        rug = {
            "color": COLORS["data"],
            "ms": 5,
            "mew": 0.5,
            "transform": axis.get_xaxis_transform(),
        }
        axis.plot(told, np.full(told.size, 0.02), "|", **rug)
        axis.set_xlabel(_label(fit, names[k]))
        if k % across == 0:
            axis.set_ylabel(_value(fit))
    words = {"curve, 95 %": "posterior", "recommended": "second"}
    key(axes[0, 0], words, "above")
    return fig
