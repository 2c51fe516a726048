"""Figures of this system: InferenceData in, matplotlib Figure out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import COLORS, canvas, heat_map, interval, key, styled
from bayesinf.models import binary
from bayesinf.posterior import noted
from bayesinf.systems.boltzmann_equilibrium.learning import RATES
from bayesinf.systems.boltzmann_equilibrium.statistics import CONNECTED, differences

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = [
    "agreement",
    "approximate",
    "distributions",
    "flat",
    "learning",
    "matrices",
    "parameters",
]

NULLS = {"halves": COLORS["prior"], "even/odd": COLORS["second"]}
BY_RATE = ("#E69F00", "#CC79A7", COLORS["classical"])
MANY = 150  # points from which bars are drawn thinner


def flat(draws: xr.DataArray) -> np.ndarray:
    """Return draws as (draw, element)."""
    return draws.values.reshape(-1, draws.shape[-1])


@styled
def parameters(posterior: xr.DataTree, likelihood: xr.DataTree | None = None) -> Figure:
    """Draw every coupling and field, and how far they are from the truth, or the classical fit."""
    truth = noted(posterior, "truth")
    classical = None if likelihood is None else noted(likelihood, "classical")
    reference = classical if truth is None else truth
    fig, axes = canvas(2, 2, height=5.0, width_ratios=(2.6, 1), sharex="col")
    for (axis, below), (name, what) in zip(
        axes.T, {"J": "coupling", "h": "field"}.items(), strict=True
    ):
        draws = flat(posterior["posterior"][name])
        low, centre, high = interval(draws)
        origin = np.zeros_like(centre) if reference is None else reference[name].values
        # Where the likelihood has no maximum there is nothing to subtract, and nothing is drawn.
        order = np.argsort(np.where(np.isfinite(origin) & (origin != 0), origin, centre))
        place, dense = np.arange(order.size), order.size > MANY
        bars = {"color": COLORS["posterior"], "lw": 0.5 if dense else 2.2, "alpha": 0.5}
        rings = {"ms": 2 if dense else 4.5, "mew": 0.4 if dense else 0.8, "mfc": "none"}
        rings |= {"mec": COLORS["classical"], "zorder": 1 if dense else 3}
        dots = {"ms": 1.5 if dense else 4, "color": COLORS["posterior"]}
        for panel, zero in ((axis, np.zeros_like(origin)), (below, origin)):
            bottom, middle, top = ((values - zero)[order] for values in (low, centre, high))
            panel.vlines(place, bottom, top, **bars)
            panel.plot(place, middle, ".", **dots)
            if classical is not None and not (panel is below and truth is None):
                panel.plot(place, (classical[name].values - zero)[order], "o", **rings)
            if truth is not None:
                step = {"where": "mid", "color": COLORS["truth"], "lw": 1.2, "zorder": 4}
                panel.step(place, (truth[name].values - zero)[order], **step)
            else:
                color = "prior" if panel is axis or classical is None else "classical"
                panel.axhline(0, color=COLORS[color], lw=0.8, zorder=0)
            # A classical estimate that is off the scale must not squeeze all others.
            shown = np.concatenate([bottom, top])
            shown = shown[np.isfinite(shown)]
            if shown.size:
                pad = 0.08 * np.ptp(shown) + 1e-9
                panel.set_ylim(shown.min() - pad, shown.max() + pad)
        axis.margins(x=0.02)
        axis.set_ylabel(f"{what} {name}")
        below.set_xlabel(f"{what}s, in order of size")
        below.xaxis.get_major_locator().set_params(integer=True)
    called = "" if likelihood is None else likelihood.attrs["classical"]
    axes[1, 0].set_ylabel("− truth" if truth is not None else f"− {called}")
    entries = {"posterior, 95 % interval": "posterior"}
    entries |= {called: "classical"} if classical is not None else {}
    entries |= {"truth": "truth"} if truth is not None else {}
    key(axes[0, 0], entries, "upper left")
    fig.align_ylabels()
    return fig


@styled
def matrices(posterior: xr.DataTree) -> Figure:
    """Draw the coupling matrix, and beside it the true one, or how clear of zero each entry is."""
    group, truth = posterior["posterior"], noted(posterior, "truth")
    draws, sites = flat(group["J"]), group.sizes["site"]
    mean, sd = draws.mean(axis=0), draws.std(axis=0)
    known = () if truth is None else truth["J"].values
    limit = np.abs([*mean, *known]).max(initial=0.0) or 1.0
    panels = {"posterior mean": (mean, limit, "J")}
    if truth is None:
        panels["posterior mean / sd"] = mean / np.maximum(sd, 1e-300), 5.0, "J / sd"
    else:
        panels["truth"] = known, limit, "J"
    ticks = np.arange(0, sites, max(1, -(-sites // 10)))
    labels = group["site"].values[ticks]
    long = sum(len(str(label)) for label in labels) > 36
    fig, axes = canvas(1, 2, height=3.5)
    for axis, (title, (values, top, label)) in zip(axes, panels.items(), strict=True):
        image = heat_map(axis, binary.matrix(values, sites), top)
        axis.set(title=title, xlabel="site", ylabel="site")
        axis.set_xticks(ticks, labels, rotation=90 if long else 0)
        axis.set_yticks(ticks, labels)
        beyond = np.abs(values).max(initial=0.0) > top * (1 + 1e-9)
        extend = "both" if beyond else "neither"
        fig.colorbar(image, ax=axis, shrink=0.7, extend=extend, label=label)
    return fig


@styled
def agreement(posterior: xr.DataTree) -> Figure:
    """Draw means, pair correlations and triplets: predicted against seen, and by how much off."""
    found = {name: entry for name, entry in differences(posterior).items() if name in CONNECTED}
    fig, axes = canvas(2, len(found), height=5.4, squeeze=False)
    for (name, entry), (top, bottom) in zip(found.items(), axes.T, strict=True):
        for k, color in enumerate(NULLS.values()):
            first, second = entry["parts"][2 * k : 2 * k + 2]
            top.plot(first, second, "x", ms=3, mew=0.7, color=color, alpha=0.7, zorder=1)
        many = entry["data"].size > MANY
        points = {"fmt": "o", "ms": 1.8 if many else 3, "lw": 0.5, "alpha": 0.5 if many else 0.9}
        points |= {"color": COLORS["posterior"], "mec": "none"}
        top.errorbar(entry["data"], entry["model"], 1.96 * entry["replica"], **points)
        top.axline((entry["data"][0],) * 2, slope=1, color=COLORS["data"], lw=0.7, zorder=0)
        top.set_title(CONNECTED[name] + ("" if name == "mean" else ", connected"))
        top.set_xlabel("data (× first half, even)")
        kinds = {"misfit": COLORS["posterior"], **NULLS}
        width = max(np.quantile(np.abs(entry[kind]), 0.98) for kind in kinds) or 1.0
        bins = int(np.clip(entry["data"].size / 5, 7, 27))
        edges = np.linspace(-1.3 * width, 1.3 * width, bins + 1)
        for kind, color in kinds.items():
            drawn = {"histtype": "step", "alpha": 1.0}
            if kind == "misfit":
                drawn = {"histtype": "stepfilled", "alpha": 0.45}
            values = np.clip(entry[kind], edges[0], edges[-1])
            bottom.hist(values, edges, density=True, color=color, lw=1.2, **drawn)
        bottom.set_xlabel("difference")
        bottom.set_yticks([])
        bottom.spines["left"].set_visible(False)
        bottom.locator_params(axis="x", nbins=4)
        top.locator_params(nbins=4)
        for axis in (bottom.xaxis, top.xaxis, top.yaxis):
            axis.set_major_formatter("{x:.3g}")
    axes[0, 0].set_ylabel("posterior (× second half, odd)")
    nulls = ("(one half − other) / 2", "(even − odd) / 2")
    entries = zip(nulls, NULLS.values(), strict=True)
    key(axes[1, 0], [("data − posterior", "posterior"), *entries], "upper left")
    axes[1, 0].set_ylim(0, 1.5 * axes[1, 0].get_ylim()[1])
    return fig


@styled
def distributions(posterior: xr.DataTree) -> Figure:
    """Draw P(K) and the histogram of the energy, and below each what data and parts are off."""
    predicted = flat(posterior["posterior_predictive"]["population"])
    observed, energy = posterior["observed_data"]["population"].values, noted(posterior, "energy")
    edges = energy["edges"].values
    low, _, high = interval(predicted)
    number = np.arange(observed.size)
    seen = np.flatnonzero((observed > 0) | (high > 0))
    last = seen[-1] + 1
    of_parts = noted(posterior, "null")["population"].values
    by_number = (number, observed, of_parts, predicted.mean(axis=0), low, high)
    middle = 0.5 * (edges[1:] + edges[:-1])
    by_energy = (middle, energy["data"].values, energy["parts"].values)
    columns = {
        "sites on at once, K": tuple(values[..., :last] for values in by_number),
        "energy E (kT)": (*by_energy, *energy["predicted"].values),
    }
    fig, axes = canvas(2, 2, height=4.8, sharex="col", height_ratios=(1.5, 1))
    for (label, columns_of), (top, bottom) in zip(columns.items(), axes.T, strict=True):
        x, data, parts, mean, low, high = columns_of
        gap = float(np.min(np.diff(x))) if x.size > 1 else 1.0
        band = {"color": COLORS["posterior"], "alpha": 0.3, "lw": 0, "step": "mid"}
        floor = 0.5 * np.min(data[data > 0])
        top.fill_between(x, np.maximum(low, floor), np.maximum(high, floor), **band)
        top.step(x, np.maximum(mean, floor), where="mid", color=COLORS["posterior"], lw=1)
        top.plot(x, np.where(data > 0, data, np.nan), "o", ms=3.2, color=COLORS["data"])
        top.set_yscale("log")
        top.set_ylim(floor, 2.5 * max(data.max(), mean.max()))
        bottom.fill_between(x, _ratio(low, mean), _ratio(high, mean), **band)
        bottom.axhline(1, color=COLORS["posterior"], lw=0.8)
        for k, color in enumerate(NULLS.values()):
            for m, mark in enumerate(("_", "x")):
                shift = (0.12 + 0.12 * k) * gap
                marks = {"ms": 4, "mew": 0.9, "color": color}
                bottom.plot(x + shift, _ratio(parts[2 * k + m], mean), mark, **marks)
        at = _ratio(data, mean)
        bottom.plot(x, at, "o", ms=3.2, color=COLORS["data"])
        reach = np.nanmax(np.abs(at[data * 400 > data.max()] - 1), initial=0.0)
        reach = float(np.clip(2 * reach, 0.05, 1.0))
        bottom.set_ylim(1 - reach, 1 + reach)
        for mark, beyond, edge in (("v", at < 1 - reach, 0.03), ("^", at > 1 + reach, 0.97)):
            marks = {"ms": 4, "color": COLORS["data"]}
            marks["transform"] = bottom.get_xaxis_transform()
            bottom.plot(x[beyond], np.full(beyond.sum(), edge), mark, **marks)
        bottom.set_xlabel(label)
    axes[0, 0].set_ylabel("share of states")
    axes[1, 0].set_ylabel("relative to posterior")
    axes[0, 0].xaxis.get_major_locator().set_params(integer=True)
    drawn = {"data": "data", "posterior, 95 %": "posterior"}
    drawn |= {"two halves": NULLS["halves"], "even and odd": NULLS["even/odd"]}
    key(axes[0, 1], drawn)
    fig.align_ylabels()
    return fig


def _ratio(values, mean):
    """Values over the mean; NaN where that is zero."""
    return np.where(mean > 0, values, np.nan) / np.where(mean > 0, mean, 1.0)


@styled
def learning(likelihood: xr.DataTree) -> Figure:
    """Draw how gradient ascent climbs, where it is when it stops, and what more data bring."""
    found = noted(likelihood, "learning")
    fig, axes = canvas(1, 3, height=3.4)
    top = float(found["newton"][-1])
    samples, count = int(found["size"][-1]), found.sizes["parameter"]
    for k, rate in enumerate(RATES):
        line = np.maximum(top - found["log_likelihood"].sel(rate=rate).values, 1e-12)
        axes[0].plot(np.arange(1, line.size), line[1:], color=BY_RATE[k], lw=1.4)
    newton = np.maximum(top - found["newton"].values, 1e-12)[1:]
    axes[0].plot(np.arange(1, newton.size + 1), newton, "o-", ms=3, color=COLORS["data"], lw=1)
    level = count / (2 * samples)
    axes[0].axhline(level, color=COLORS["truth"], lw=1, ls=(0, (4, 2)))
    words = {"textcoords": "offset points", "color": COLORS["truth"]}
    axes[0].annotate("P / 2M", (0.28, level), (0, 3), xycoords=("axes fraction", "data"), **words)
    axes[0].set_xscale("log")
    axes[0].set_yscale("log")
    axes[0].set_ylim(1e-11, 5)
    axes[0].set_xlabel("iteration")
    axes[0].set_title("log likelihood below its top")
    truth = found["truth"].values
    axes[1].axline((0, 0), slope=1, color=COLORS["truth"], lw=1)
    colors = (*BY_RATE, COLORS["data"])
    for k, color in enumerate(colors):
        rings = {"ms": (7, 5.5, 4, 2)[k], "mew": 0.9, "mec": color}
        filled = color if k == len(BY_RATE) else "none"
        axes[1].plot(truth, found["inferred"].values[k], "o", mfc=filled, **rings)
    axes[1].set_xlabel("true parameter")
    axes[1].set_title("inferred parameter")
    names = [str(name) for name in found["method"].values]
    key(axes[1], zip(names, colors, strict=True), "upper left")
    sizes = found["size"].values
    for k, color in enumerate(colors):
        error = found["error"].values[k]
        centre, spread = error.mean(axis=1), error.std(axis=1)
        beside = sizes * (1 + 0.03 * (k - 1.5))
        axes[2].errorbar(beside, centre, spread, fmt="o", ms=3, lw=0.9, color=color)
    axes[2].plot(sizes, found["expected"].values, color=COLORS["truth"], lw=1)
    place = (sizes[2], found["expected"].values[2])
    axes[2].annotate("∝ 1/√M", place, (-9, -13), ha="right", **words)
    axes[2].set_xscale("log")
    axes[2].set_yscale("log")
    axes[2].set_xlabel("states M")
    axes[2].set_title("rms error of h and J")
    return fig


@styled
def approximate(likelihood: xr.DataTree) -> Figure:
    """Draw couplings of quick routes against those of maximum likelihood, and their errors."""
    found, classical = noted(likelihood, "approximate"), noted(likelihood, "classical")
    fig, (left, right) = canvas(1, 2, height=3.3)
    exact, error = classical["J"].values, classical["J_error"].values
    entries = []
    for name, color in (("mean field", COLORS["prior"]), ("pseudo-likelihood", COLORS["second"])):
        values = found["J"].sel(approximation=name).values
        if np.isfinite(values).all():
            left.plot(exact, values, "o", ms=3.2, color=color, mec="none", alpha=0.8)
            entries.append((name, color))
    quick = found["J_sd"].sel(approximation="pseudo-likelihood").values
    right.plot(error, quick, "o", ms=3.2, color=COLORS["second"], mec="none", alpha=0.8)
    for axis, values in ((left, exact), (right, error)):
        axis.axline((np.nanmean(values),) * 2, slope=1, color=COLORS["classical"], lw=0.8)
    called = likelihood.attrs["classical"]
    left.set_xlabel(f"J by {called}")
    left.set_ylabel("J by the quick route")
    right.set_xlabel(f"standard error of J by {called}")
    right.set_ylabel("by pseudo-likelihood")
    key(left, entries[::-1], "upper left")
    return fig
