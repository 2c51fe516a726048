"""Figures of this system: InferenceData in, matplotlib Figure out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import COLORS, axis_label, band, canvas, density, key, styled, with_units
from bayesinf.posterior import noted

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["directions", "penalties", "side_by_side", "signal", "true_signal"]

TRUE_LINE = {"color": COLORS["truth"], "lw": 1.2, "ls": (0, (4, 2)), "zorder": 3}
RULE_STYLES = {"cross-validation": "-", "L-curve": (0, (4, 2)), "discrepancy": (0, (1, 1.5))}


def true_signal(fit: xr.DataTree) -> xr.DataArray | None:
    """The signal that the data were made of; None where nobody knows."""
    truth = noted(fit, "truth")
    return truth["signal"] if truth is not None and "signal" in truth else None


@styled
def signal(fit: xr.DataTree) -> Figure:
    """Draw the signal with its bands, the truth and Tikhonov's answer; below, the data."""
    found, truth = noted(fit, "band"), noted(fit, "truth")
    textbook, s = noted(fit, "classical"), found["position"].values
    fig, (above, below) = canvas(2, 1, height=5.4, sharex=True, height_ratios=(1.6, 1))
    words = {"posterior mean, 95 % bands": "posterior"}
    mean, wide = found["mean"].values, float(found["factor"]) * found["sd"].values
    above.fill_between(s, mean - wide, mean + wide, color=COLORS["posterior"], alpha=0.16, lw=0)
    above.fill_between(s, found["low"], found["high"], color=COLORS["posterior"], alpha=0.3, lw=0)
    above.plot(s, mean, color=COLORS["posterior"])
    if textbook is not None:
        line = textbook["signal"].sel(rule="cross-validation")
        above.plot(s, line, color=COLORS["classical"], lw=0.9)
        words["Tikhonov, cross-validation"] = "classical"
    if truth is not None and "signal" in truth:
        above.plot(s, truth["signal"], **TRUE_LINE)
        words["truth"] = "truth"
    key(above, words, "upper left")
    above.set_ylabel(with_units("signal", found["mean"].units))
    (y,) = fit["observed_data"].data_vars.values()
    (x, *_) = (v for v in fit["constant_data"].data_vars.values() if v.dims == ("point",))
    band(below, x.values, fit["posterior_predictive"][y.name].values, "posterior", lw=0.8)
    below.plot(x, y, ".", ms=2.5, color=COLORS["data"])
    key(below, {"data": "data", "95 % of replicas": "posterior"})
    below.set_ylabel(axis_label(y))
    below.set_xlabel(axis_label(x))
    fig.align_ylabels()
    return fig


@styled
def side_by_side(fits: Mapping[str, xr.DataTree], called: Mapping[str, str]) -> Figure:
    """Draw a panel a fit: draws and band of the signal, less the truth where it is known."""
    fig, axes = canvas(1, len(fits), height=2.9, sharey=True, squeeze=False)
    for axis, (name, fit) in zip(axes[0], fits.items(), strict=True):
        draws, truth = fit["posterior"]["signal"], noted(fit, "truth")
        known = truth is not None and "signal" in truth
        values = draws.values.reshape(-1, draws.sizes["position"])
        values = values - (truth["signal"].values if known else 0.0)
        s = draws["position"].values
        band(axis, s, values, "posterior", lw=1.2)
        axis.plot(s, values[:: len(values) // 6][:6].T, color=COLORS["posterior"], lw=0.5)
        axis.axhline(0, **TRUE_LINE if known else {"color": COLORS["prior"], "lw": 0.6})
        axis.set_title(called.get(name, name.replace("_", " ")), loc="left")
        axis.set_xlabel(with_units("position", draws["position"].attrs.get("units", "1")))
    axes[0, 0].set_ylabel(with_units("signal − truth" if known else "signal", draws.units))
    return fig


@styled
def penalties(fit: xr.DataTree, textbook: xr.Dataset) -> Figure:
    """Draw the rules' λ on their curves, and the posterior of λ above the same axis."""
    trials, chosen = textbook["trial"].values, textbook["penalty"]
    draws = np.log10(noted(fit, "penalty")["penalty"].values.ravel())
    fig, ((top, empty), (score, corner)) = canvas(2, 2, height=4.6, width_ratios=(1.5, 1))
    empty.set_axis_off()
    around = np.linspace(draws.min() - 0.3, draws.max() + 0.3, 300)
    top.fill_between(10**around, density(draws, around), color=COLORS["posterior"], alpha=0.35)
    top.set_ylabel("posterior density")
    top.set_yticks([])
    score.plot(trials, textbook["score"], color=COLORS["data"], lw=1)
    score.set_yscale("log")
    score.set_ylabel("cross-validation score")
    residual, size = np.sqrt(textbook["residual"].values), np.sqrt(textbook["size"].values)
    corner.loglog(residual, size, color=COLORS["data"], lw=1)
    marks = dict(zip(textbook["rule"].values, "sovD", strict=True))
    for rule, mark in marks.items():
        penalty = float(chosen.sel(rule=rule))
        place = int(np.argmin(np.abs(np.log(trials / penalty))))
        style = {"color": COLORS["classical"], "marker": mark, "ms": 5, "mfc": "none", "ls": ""}
        score.plot(penalty, textbook["score"][place], **style, label=str(rule))
        corner.plot(residual[place], size[place], **style)
        top.axvline(penalty, color=COLORS["classical"], lw=0.8, ls=RULE_STYLES.get(rule, "-."))
    low = min(float(chosen.min()), 10 ** draws.min()) / 30
    high = max(float(chosen.max()), 10 ** draws.max()) * 30
    near = (trials > low) & (trials < high)
    for axis in (top, score):
        axis.set_xscale("log")
        axis.set_xlim(low, high)
    seen = textbook["score"].values[near]
    score.set_ylim(0.9 * seen.min(), 1.2 * seen.max())
    corner.set_xlim(0.95 * residual[near].min(), 1.3 * residual[near].max())
    corner.set_ylim(0.5 * size[near].min(), 2 * size[near].max())
    score.legend(frameon=False, fontsize=7)
    score.set_xlabel("λ")
    corner.set_xlabel("|y − A f|")
    corner.set_ylabel("|D f|")
    corner.minorticks_off()
    key(top, {"posterior of λ = (σ / scale h)²": "posterior", "λ by rule": "classical"}, "above")
    return fig


@styled
def directions(fit: xr.DataTree) -> Figure:
    """Draw what the data say of each direction, and some directions on either side of one."""
    found = noted(fit, "directions")
    information, rank = found["information"].values, found["rank"].values
    decided, s = int(found["decided"]), found["position"].values
    fig, (left, right) = canvas(1, 2, height=3.8, width_ratios=(1, 1.4))
    floor = 1e-8
    shown = np.flatnonzero(information > floor)[: max(4 * decided, 20)]
    colors = np.where(shown < decided, COLORS["posterior"], COLORS["prior"])
    left.scatter(shown + 1, information[shown], c=colors, s=9)
    left.set_yscale("log")
    left.axhline(1, color=COLORS["data"], lw=0.6)
    left.set_xlabel("direction")
    left.set_ylabel("data's information / prior's")
    key(left, {"the data decide": "posterior", "the prior decides": "prior"})
    for k, (number, vector) in enumerate(zip(rank, found["vector"].values, strict=True)):
        color = COLORS["posterior" if number <= decided else "prior"]
        right.plot(s, vector - 2.3 * k, color=color, lw=1)
        right.annotate(
            f"{number}",
            (s[-1], -2.3 * k),
            (4, 0),
            textcoords="offset points",
            va="center",
            color=color,
        )
    right.set_yticks([])
    right.spines["left"].set_visible(False)
    right.set_xlabel(with_units("position", found["position"].attrs.get("units", "1")))
    return fig
