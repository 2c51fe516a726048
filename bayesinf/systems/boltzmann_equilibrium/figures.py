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
        order = np.argsort(centre if reference is None else reference[name].values)
        place, dense = np.arange(order.size), order.size > MANY
        origin = np.zeros_like(centre) if reference is None else reference[name].values
        for panel, zero in ((axis, np.zeros_like(origin)), (below, origin)):
            at = lambda values, zero=zero, order=order: (values - zero)[order]
            panel.vlines(place, at(low), at(high), color=COLORS["posterior"],
                         lw=0.5 if dense else 2.2, alpha=0.5)  # fmt: skip
            panel.plot(place, at(centre), ".", ms=1.5 if dense else 4, color=COLORS["posterior"])
            if classical is not None and not (panel is below and truth is None):
                panel.plot(place, at(classical[name].values), "o", ms=2 if dense else 4.5,
                           mew=0.4 if dense else 0.8, mfc="none", mec=COLORS["classical"],
                           zorder=1 if dense else 3)  # fmt: skip
            if truth is not None:
                step = {"where": "mid", "color": COLORS["truth"], "lw": 1.2, "zorder": 4}
                panel.step(place, at(truth[name].values), **step)
            else:
                color = "prior" if panel is axis or classical is None else "classical"
                panel.axhline(0, color=COLORS[color], lw=0.8, zorder=0)
            # A classical estimate that is off the scale must not squeeze all others.
            shown = np.concatenate([at(low), at(high)])
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
        top.errorbar(entry["data"], entry["model"], 1.96 * entry["replica"], fmt="o",
                     ms=1.8 if many else 3, lw=0.5, color=COLORS["posterior"],
                     alpha=0.5 if many else 0.9, mec="none")  # fmt: skip
        top.axline((entry["data"][0],) * 2, slope=1, color=COLORS["data"], lw=0.7, zorder=0)
        top.set_title(CONNECTED[name] + ("" if name == "mean" else ", connected"))
        top.set_xlabel("data (× first half, even)")
        kinds = {"misfit": COLORS["posterior"], **NULLS}
        width = max(np.quantile(np.abs(entry[kind]), 0.98) for kind in kinds) or 1.0
        bins = int(np.clip(entry["data"].size / 5, 7, 27))
        edges = np.linspace(-1.3 * width, 1.3 * width, bins + 1)
        for kind, color in kinds.items():
            bottom.hist(np.clip(entry[kind], edges[0], edges[-1]), edges, density=True,
                        histtype="stepfilled" if kind == "misfit" else "step", color=color,
                        alpha=0.45 if kind == "misfit" else 1.0, lw=1.2)  # fmt: skip
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
    columns = {
        "sites on at once, K": (number[:last], observed[:last],
                                noted(posterior, "null")["population"].values[:, :last],
                                predicted.mean(axis=0)[:last], low[:last], high[:last]),
        "energy E (kT)": (0.5 * (edges[1:] + edges[:-1]), energy["data"].values,
                          energy["parts"].values, *energy["predicted"].values),
    }  # fmt: skip
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
        good = mean > 0
        ratio = lambda y, x=mean, good=good: np.where(good, y, np.nan) / np.where(good, x, 1.0)
        bottom.fill_between(x, ratio(low), ratio(high), **band)
        bottom.axhline(1, color=COLORS["posterior"], lw=0.8)
        for k, color in enumerate(NULLS.values()):
            for m, mark in enumerate(("_", "x")):
                shift = (0.12 + 0.12 * k) * gap
                bottom.plot(x + shift, ratio(parts[2 * k + m]), mark, ms=4, mew=0.9, color=color)
        at = ratio(data)
        bottom.plot(x, at, "o", ms=3.2, color=COLORS["data"])
        reach = np.nanmax(np.abs(at[data * 400 > data.max()] - 1), initial=0.0)
        reach = float(np.clip(2 * reach, 0.05, 1.0))
        bottom.set_ylim(1 - reach, 1 + reach)
        for mark, beyond, edge in (("v", at < 1 - reach, 0.03), ("^", at > 1 + reach, 0.97)):
            bottom.plot(x[beyond], np.full(beyond.sum(), edge), mark, ms=4, color=COLORS["data"],
                        transform=bottom.get_xaxis_transform())  # fmt: skip
        bottom.set_xlabel(label)
    axes[0, 0].set_ylabel("share of states")
    axes[1, 0].set_ylabel("relative to posterior")
    axes[0, 0].xaxis.get_major_locator().set_params(integer=True)
    drawn = {"data": "data", "posterior, 95 %": "posterior"}
    drawn |= {"two halves": NULLS["halves"], "even and odd": NULLS["even/odd"]}
    key(axes[0, 1], drawn)
    fig.align_ylabels()
    return fig


@styled
def learning(likelihood: xr.DataTree) -> Figure:
    """Draw how gradient ascent climbs, where it is when it stops, and what more data bring."""
    found = noted(likelihood, "learning")
    fig, axes = canvas(1, 3, height=3.4)
    top = float(found["newton"][-1])
    samples, count = int(found["size"][-1]), found.sizes["parameter"]
    short = lambda values: np.maximum(top - values, 1e-12)
    for k, rate in enumerate(RATES):
        line = short(found["log_likelihood"].sel(rate=rate).values)
        axes[0].plot(np.arange(1, line.size), line[1:], color=BY_RATE[k], lw=1.4)
    newton = short(found["newton"].values)[1:]
    axes[0].plot(np.arange(1, newton.size + 1), newton, "o-", ms=3, color=COLORS["data"], lw=1)
    level = count / (2 * samples)
    axes[0].axhline(level, color=COLORS["truth"], lw=1, ls=(0, (4, 2)))
    axes[0].annotate("P / 2M", (0.28, level), (0, 3), xycoords=("axes fraction", "data"),
                     textcoords="offset points", color=COLORS["truth"])  # fmt: skip
    axes[0].set_xscale("log")
    axes[0].set_yscale("log")
    axes[0].set_ylim(1e-11, 5)
    axes[0].set_xlabel("iteration")
    axes[0].set_title("log likelihood below its top")
    truth = found["truth"].values
    axes[1].axline((0, 0), slope=1, color=COLORS["truth"], lw=1)
    colors = (*BY_RATE, COLORS["data"])
    for k, color in enumerate(colors):
        axes[1].plot(truth, found["inferred"].values[k], "o", ms=(7, 5.5, 4, 2)[k], mew=0.9,
                     mfc=color if k == 3 else "none", mec=color)  # fmt: skip
    axes[1].set_xlabel("true parameter")
    axes[1].set_title("inferred parameter")
    names = [str(name) for name in found["method"].values]
    key(axes[1], zip(names, colors, strict=True), "upper left")
    sizes = found["size"].values
    for k, color in enumerate(colors):
        error = found["error"].values[k]
        centre, spread = error.mean(axis=1), error.std(axis=1)
        axes[2].errorbar(sizes * (1 + 0.03 * (k - 1.5)), centre, spread, fmt="o", ms=3, lw=0.9,
                         color=color)  # fmt: skip
    axes[2].plot(sizes, found["expected"].values, color=COLORS["truth"], lw=1)
    axes[2].annotate("∝ 1/√M", (sizes[2], found["expected"].values[2]), (-9, -13), ha="right",
                     textcoords="offset points", color=COLORS["truth"])  # fmt: skip
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
        axis.axline((values.mean(),) * 2, slope=1, color=COLORS["classical"], lw=0.8)
    called = likelihood.attrs["classical"]
    left.set_xlabel(f"J by {called}")
    left.set_ylabel("J by the quick route")
    right.set_xlabel(f"standard error of J by {called}")
    right.set_ylabel("by pseudo-likelihood")
    key(left, entries[::-1], "upper left")
    return fig
