"""Figures of this system: InferenceData in, matplotlib Figure out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import COLORS, axis_label, canvas, density, key, styled, with_units
from bayesinf.posterior import noted

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = [
    "along",
    "bands",
    "designs",
    "held_out",
    "parts",
    "prior_curves",
    "profile",
    "slices",
    "steps",
]

TRUE_LINE = {"color": COLORS["truth"], "lw": 1.2, "ls": (0, (4, 2)), "zorder": 3}
CROWD = 500  # points that are drawn behind the curve and not before it
EDGE = 1.96  # sds from the mean to the end of a normal's 95 % band


def along(found: xr.Dataset) -> xr.DataArray:
    """Return the coordinate along which a note's curves lie."""
    return next(c for name, c in found.coords.items() if c.dims == ("new",) and name != "new")


def _labels(axis, fit, x=None):
    data = fit["observed_data"]
    y = data[next(iter(data.data_vars))]
    x = data[x.name] if x is not None and x.name in data.variables else x
    axis.set_xlabel(axis_label(x) if x is not None else "")
    axis.set_ylabel(axis_label(y))


def _points(axis, fit, **style):
    data = fit["observed_data"]
    y = data[next(iter(data.data_vars))]
    bars = fit["constant_data"].get("error")
    size = 3.2 if y.size < 60 else 1.6
    style = {"fmt": "o", "ms": size, "lw": 0.7, "color": COLORS["data"], "zorder": 4} | style
    x, drawn = data[along(noted(fit, "curve")).name].values, along(noted(fit, "curve"))
    shown = (x >= float(drawn.min())) & (x <= float(drawn.max()))
    bars = None if bars is None else bars.values[shown]
    if shown.sum() > CROWD:  # they would hide the curve
        style |= {"zorder": 1, "alpha": 0.3}
    axis.errorbar(x[shown], y.values[shown], bars, **style)


@styled
def bands(fit: xr.DataTree) -> Figure:
    """Draw the curve's band, that of maximum likelihood, data, and the truth where it is known."""
    found = noted(fit, "curve")
    x = along(found)
    fig, axis = canvas(height=3.6)
    words = {"data": "data", "posterior, 95 %": "posterior"}
    band = {"color": COLORS["posterior"], "lw": 0}
    axis.fill_between(x, found["low"], found["high"], alpha=0.3, **band)
    if "new_low" in found and _wider(found):
        axis.fill_between(x, found["new_low"], found["new_high"], alpha=0.12, **band)
        words["new data, 95 %"] = "#80B8D8"
    axis.plot(x, found["mean"], color=COLORS["posterior"], lw=1.3)
    if "likelihood" in found:
        line = {"color": COLORS["classical"], "lw": 1.0}
        for side in (-EDGE, EDGE):
            axis.plot(x, found["likelihood"] + side * found["likelihood_sd"], **line)
        words["maximum likelihood, 95 %"] = "classical"
    if "truth" in found:
        axis.plot(x, found["truth"], **TRUE_LINE)
        words["truth"] = "truth"
    _points(axis, fit)
    if noted(fit, "scores") is not None:
        known = fit["predictions_constant_data"]
        y = next(iter(known.data_vars.values()))
        axis.plot(known[x.name], y, "o", ms=1.6, mfc="none", color=COLORS["truth"], mew=0.6)
        words["held out"] = "truth"
    _labels(axis, fit, x)
    key(axis, words, "above")
    return fig


def _wider(found):
    """Whether the band of new data is to be told from that of the curve."""
    more = (found["new_high"] - found["new_low"]) / (found["high"] - found["low"])
    return bool(np.median(more) > 1.05)


@styled
def slices(fit: xr.DataTree) -> Figure:
    """Draw the curve along each input, the others at the middle of their data."""
    found = noted(fit, "slices")
    names = [str(name) for name in found["along"].values]
    across = min(3, len(names))
    down = -(-len(names) // across)
    fig, axes = canvas(down, across, height=0.6 + 2.2 * down, squeeze=False, sharey=True)
    for k, axis in enumerate(np.ravel(axes)):
        if k >= len(names):
            axis.set_visible(False)
            continue
        one = found.isel(along=k)
        axis.fill_between(one["at"], one["low"], one["high"], color=COLORS["posterior"], alpha=0.3)
        axis.plot(one["at"], one["mean"], color=COLORS["posterior"])
        x = fit["observed_data"][names[k]]
        rug = {"color": COLORS["data"], "ms": 5, "mew": 0.5}
        low = axis.get_xaxis_transform()
        axis.plot(x, np.full(x.size, 0.02), "|", transform=low, **rug)
        _labels(axis, fit, x)
        if k % across:
            axis.set_ylabel("")
    return fig


@styled
def profile(fit: xr.DataTree) -> Figure:
    """Draw posterior, prior and profile likelihood of the length scale."""
    draws = fit["posterior"]["length_scale"]
    prior = fit["prior"]["length_scale"].values.ravel()
    found = noted(fit, "profile")
    low, high = np.quantile(draws, [0.0005, 0.9995])
    grid = np.geomspace(max(low / 2, 1e-300), 2 * high, 300)
    fig, axis = canvas(height=2.8)
    log = np.log(grid)
    curves = {"posterior": draws.values.ravel(), "prior": prior}
    for name, values in curves.items():
        heights = density(np.log(values), log)
        axis.fill_between(grid, heights / heights.max(), color=COLORS[name], alpha=0.25, lw=0)
    line = {"color": COLORS["classical"], "lw": 1.4}
    axis.plot(found["length_scale"], np.exp(found["log_likelihood"]), **line)
    axis.axvline(float(noted(fit, "classical")["length_scale"]), ls=(0, (3, 2)), **line)
    axis.set_xscale("log")
    axis.set_xlim(grid[0], grid[-1])
    axis.set_ylim(0, 1.08)
    axis.set_ylabel("relative to its maximum")
    axis.set_xlabel(with_units("length scale", draws.attrs["units"]))
    words = {"posterior": "posterior", "prior": "prior", "profile likelihood": "classical"}
    key(axis, words, "above")
    return fig


@styled
def designs(fit: xr.DataTree) -> Figure:
    """Draw how much of the true curve each band covers over random designs, and how wide it is."""
    found = noted(fit, "designs")
    fig, (left, right) = canvas(1, 2, height=3.0)
    edges = np.linspace(0, 1, 21)
    for name, color in (("likelihood", "classical"), ("posterior", "posterior")):
        style = {"color": COLORS[color], "alpha": 0.35 if color == "classical" else 0.5}
        left.hist(found[name], edges, histtype="stepfilled", **style)
        left.axvline(float(found[name].mean()), color=COLORS[color], lw=1.6)
    left.axvline(0.95, color=COLORS["prior"], lw=1, ls=(0, (3, 2)))
    left.set_xlabel("share of the true curve that the 95 % band covers")
    left.set_ylabel("designs")
    key(left, {"posterior": "posterior", "maximum likelihood": "classical"}, "upper left")
    right.plot(found["likelihood_width"], found["posterior_width"], ".", ms=3, color=COLORS["data"])
    right.axline((0, 0), slope=1, color=COLORS["prior"], lw=1)
    right.set_xlabel("half width, maximum likelihood")
    right.set_ylabel("half width, posterior")
    return fig


@styled
def steps(fit: xr.DataTree) -> Figure:
    """Draw the band at the posterior's median hyperparameters as the points come in."""
    found, data = noted(fit, "steps"), fit["observed_data"]
    x = along(found)
    counts = found["count"].values
    across = min(3, len(counts))
    down = -(-len(counts) // across)
    fig, axes = canvas(down, across, height=0.5 + 1.9 * down, squeeze=False, sharey=True)
    y = data[next(iter(data.data_vars))].values
    for k, axis in enumerate(np.ravel(axes)):
        if k >= len(counts):
            axis.set_visible(False)
            continue
        one, seen = found.isel(count=k), found["order"].values[: counts[k]]
        low, high = (one["mean"] + side * EDGE * one["sd"] for side in (-1, 1))
        axis.fill_between(x, low, high, color=COLORS["posterior"], alpha=0.25, lw=0)
        axis.plot(x, one["drawn"].T, color=COLORS["posterior"], lw=0.7)
        axis.plot(data[x.name].values[seen], y[seen], "o", ms=3.2, color=COLORS["data"], zorder=4)
        axis.set_title(f"{counts[k]} point{'' if counts[k] == 1 else 's'}", loc="left")
        if k >= len(counts) - across:
            axis.set_xlabel(axis_label(data[x.name]))
    return fig


@styled
def prior_curves(fit: xr.DataTree) -> Figure:
    """Draw curves of the prior at a short, a middle and a long length scale."""
    found, data = noted(fit, "prior_curves"), fit["observed_data"]
    x, scales = along(found), found["length_scale"].values
    fig, axes = canvas(1, len(scales), height=2.1, sharey=True)
    unit = fit["posterior"]["length_scale"].attrs["units"]
    for k, axis in enumerate(axes):
        axis.plot(x, found["drawn"].isel(length_scale=k).T, color=COLORS["prior"], lw=1.1)
        said = with_units(f"{scales[k]:.3g}", unit).replace("(", "").replace(")", "")
        axis.set_title(f"length scale {said}", loc="left")
        axis.set_xlabel(axis_label(data[x.name]))
    return fig


@styled
def parts(fit: xr.DataTree) -> Figure:
    """Draw what each term of the kernel's sum has of the curve, and the trend."""
    found = noted(fit, "parts")
    x = along(found)
    names = [str(name) for name in found["part"].values]
    rows = [("trend", *(found[f"trend_{end}"] for end in ("low", "mean", "high")))]
    rows = rows if "trend" in fit.attrs["mean"] else []
    ends = ("low", "mean", "high")
    rows += [(n, *(found[end].isel(part=k) for end in ends)) for k, n in enumerate(names)]
    fig, axes = canvas(len(rows), 1, height=0.5 + 1.6 * len(rows), squeeze=False, sharex=True)
    for axis, (name, low, mean, high) in zip(axes[:, 0], rows, strict=True):
        axis.fill_between(x, low, high, color=COLORS["posterior"], alpha=0.3, lw=0)
        axis.plot(x, mean, color=COLORS["posterior"], lw=1)
        axis.set_title(name, loc="left")
    data = fit["observed_data"]
    axes[-1, 0].set_xlabel(axis_label(data[x.name]))
    fig.supylabel(axis_label(data[next(iter(data.data_vars))]), fontsize="medium")
    return fig


@styled
def held_out(fit: xr.DataTree) -> Figure:
    """Draw the forecast with what came, less the mean of the forecast below."""
    drawn, known = fit["predictions"], fit["predictions_constant_data"]
    name, y = next(iter(known.data_vars.items()))
    x = along(known)
    draws = drawn[name].values.reshape(-1, y.size)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    fig, (top, below) = canvas(2, 1, height=4.4, sharex=True)
    for axis, less in ((top, 0.0), (below, draws.mean(axis=0))):
        axis.fill_between(x, low - less, high - less, color=COLORS["posterior"], alpha=0.3, lw=0)
        axis.plot(x, y.values - less, ".", ms=3, color=COLORS["truth"])
    top.plot(x, draws.mean(axis=0), color=COLORS["posterior"], lw=1)
    _labels(top, fit)
    below.axhline(0, color=COLORS["posterior"], lw=1)
    below.set_ylabel("less the forecast")
    below.set_xlabel(axis_label(fit["observed_data"][x.name]))
    key(top, {"held out": "truth", "forecast, 95 %": "posterior"}, "above")
    return fig
