"""Figures of this system: InferenceData in, matplotlib Figure out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import COLORS, canvas, interval, key, matrices, styled, with_units
from bayesinf.systems.ising_couplings.model import (
    equivalent_penalty,
    halves,
    known,
    matrix,
    mean_score,
    prior_of,
    scored_on_held_out,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["called", "couplings", "gauge", "held_out", "intervals", "penalties", "prior_energies"]


def couplings(fits: Mapping[str, xr.DataTree], textbook: xr.Dataset) -> Figure:
    """Draw coupling matrices as heat maps: truth, each posterior mean, each classical fit."""
    some = next(iter(fits.values()))
    i, j = (some["posterior"][name].values for name in "ij")
    true, posteriors = known(some), {}
    for fit in fits.values():
        title = called(fit)
        title += f", R² {mean_score(fit):.4f}" if scored_on_held_out(fit) else ""
        posteriors[title] = fit["posterior"]["J"].mean(("chain", "draw")).values
    top = ({} if true is None else {"truth": true["J"].values}) | posteriors
    bottom = {
        f"{method}, R² {float(textbook['score'].sel(estimator=method)):.4f}": J.values
        for method, J in zip(textbook["estimator"].values, textbook["J"], strict=True)
    }
    roles = dict.fromkeys(top, "posterior") | dict.fromkeys(bottom, "classical")
    return matrices(
        [{title: matrix(J, i, j) for title, J in row.items()} for row in (top, bottom)],
        label=with_units("coupling J", some["posterior"]["J"].attrs["units"]),
        roles=roles | {"truth": "truth"},
        limit=max(np.quantile(np.abs(J), 0.999) for J in top.values()),
    )


@styled
def intervals(fits: Mapping[str, xr.DataTree], count: int = 60) -> Figure:
    """Draw the strongest couplings with intervals, and each pair's inclusion probability."""
    spiked = [fit for fit in fits.values() if "included" in fit["posterior"]]
    rows = len(fits) + bool(spiked)
    fig, axes = canvas(rows, 2, height=0.4 + 1.75 * rows, squeeze=False, width_ratios=(1.3, 1))
    for (axis, beside), fit in zip(axes, fits.values(), strict=False):
        J, truth = fit["posterior"]["J"], known(fit)
        mean = J.mean(("chain", "draw")).values
        order = np.argsort(-np.abs(mean), kind="stable")[:count]
        low, _, high = interval(J.values[..., order], axis=(0, 1))
        x = np.arange(len(order))
        if truth is not None:
            axis.plot(x, truth["J"].values[order], "_", color=COLORS["truth"], ms=7, mew=1.5)
        axis.vlines(x, low, high, color=COLORS["posterior"], lw=2)
        axis.plot(x, mean[order], ".", color=COLORS["posterior"], ms=4)
        axis.axhline(0, color=COLORS["prior"], lw=0.6)
        axis.set_title(f"{called(fit)} prior", color=COLORS["posterior"])
        axis.set_ylabel(with_units("J", J.attrs["units"]))
        axis.set_xlim(-1, len(order))
        axis.set_xlabel(f"the {len(order)} strongest of {len(mean)} couplings, in order")
        # Beside couplings of one, an interval of a hundredth is a point: it has its own scale.
        centre = mean[order]
        reach = 1.3 * max(np.max(high - centre), np.max(centre - low)) or 1.0
        if truth is not None:
            away = truth["J"].values[order] - centre
            beside.plot(x, away, "_", color=COLORS["truth"], ms=5, mew=1.5)
            reach = np.clip(1.1 * np.abs(away).max(), reach, 3 * reach)
        beside.vlines(x, low - centre, high - centre, color=COLORS["posterior"], lw=1.5)
        beside.axhline(0, color=COLORS["prior"], lw=0.6)
        beside.set_ylim(-reach, reach)
        beside.set_xlim(-1, len(order))
        beside.set_ylabel(with_units("J − mean", J.attrs["units"]))
        beside.set_xlabel("the same")
    if spiked:
        beneath = axes[-1, 0].get_gridspec()
        for axis in axes[-1]:
            axis.remove()
        _inclusion(fig.add_subplot(beneath[-1, :]), spiked[0]["posterior"]["included"])
    return fig


def _inclusion(axis, included):
    """The probability of each pair to be coupled at all, the most probable first."""
    probability = np.sort(included.mean(("chain", "draw")).values)[::-1]
    floor = 0.5 / (included.sizes["chain"] * included.sizes["draw"])
    place = np.arange(1, len(probability) + 1)
    axis.plot(place, np.maximum(probability, floor), ".", color=COLORS["posterior"], ms=3)
    axis.axhline(0.5, color=COLORS["prior"], lw=0.8, ls="--")
    axis.annotate(
        "one half",
        (1, 0.5),
        (0, 3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        color=COLORS["prior"],
    )
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("pair, in order of its inclusion probability")
    axis.set_ylabel("P(included)")
    axis.set_title("spike and slab: is the pair coupled at all?", color=COLORS["posterior"])


@styled
def held_out(fits: Mapping[str, xr.DataTree]) -> Figure:
    """Draw measured against predicted energies of the held-out states."""
    fig, axes = canvas(1, len(fits), height=2.9, squeeze=False, sharex=True, sharey=True)
    for axis, fit in zip(axes[0], fits.values(), strict=True):
        observed = fit["predictions_constant_data"]["energies"]
        low, centre, high = interval(fit["predictions"]["energies"].values, axis=(0, 1))
        inside = np.mean((observed.values >= low) & (observed.values <= high))
        axis.axline((0, 0), slope=1, color=COLORS["prior"], lw=0.8)
        axis.vlines(observed, low, high, color=COLORS["posterior"], lw=0.5, alpha=0.5)
        axis.plot(observed, centre, ".", color=COLORS["posterior"], ms=3)
        unit = observed.attrs["units"]
        axis.set_xlabel(with_units("measured energy", unit))
        axis.set_title(
            f"{called(fit)}: R² {mean_score(fit):.4f}\n{100 * inside:.1f} % in the 95 % band",
            color=COLORS["posterior"],
        )
    axes[0, 0].set_ylabel(with_units("predicted energy", unit))
    return fig


@styled
def penalties(fits: Mapping[str, xr.DataTree], textbook: xr.Dataset) -> Figure:
    """Draw R² against λ for each classical method, with the posterior of the equivalent λ."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.ticker import LogLocator, NullLocator

    classical, posterior = COLORS["classical"], COLORS["posterior"]
    counterparts = {"normal": "ridge", "laplace": "lasso"}
    equivalents = {counterparts.get(prior_of(fit)): fit for fit in fits.values()}
    methods = ["ridge", "lasso", "elastic net"]
    split = "test" in textbook["part"].values
    rows = 1 + split
    fig, axes = canvas(
        rows, len(methods), height=0.6 + 2.0 * rows, squeeze=False, sharex="col", sharey=True
    )
    for method, column in zip(methods, axes.T, strict=True):
        one, (upper, lower) = textbook.sel(estimator=method), column[[0, -1]]
        lower.errorbar(
            one["fold_penalty"], one["folds"], one["folds_error"], color=classical, marker=".", lw=1
        )
        if split:
            upper.plot(one["penalty"], one["path"].sel(part="train"), ls="--", color=classical)
            upper.plot(one["penalty"], one["path"].sel(part="test"), color=classical)
        plain = float(textbook["score"].sel(estimator="least squares"))
        upper.axhline(plain, color=COLORS["prior"], lw=0.8, ls=":")
        if method in equivalents:
            low, centre, high = interval(equivalent_penalty(equivalents[method]))
            for axis in column:
                axis.axvspan(low, high, color=posterior, alpha=0.2, lw=0)
                axis.axvline(centre, color=posterior, lw=1)
            if split:
                upper.axhline(mean_score(equivalents[method]), color=posterior, lw=0.8, ls="-.")
        upper.set_title(method, color=classical)
        upper.set_xscale("log")
        upper.set_ylim(-0.08, 1.08)
        upper.xaxis.set_major_locator(LogLocator(numticks=6))
        upper.xaxis.set_minor_locator(NullLocator())
        lower.set_xlabel("λ")
    axes[-1, 0].set_ylabel("R², 5-fold")
    lines = {"posterior of λ, 95 %": Patch(color=posterior, alpha=0.2)}
    lines["least squares"] = Line2D([], [], color=COLORS["prior"], ls=":")
    if split:
        axes[0, 0].set_ylabel("R², one split")
        lines |= {
            "test": Line2D([], [], color=classical),
            "training": Line2D([], [], color=classical, ls="--"),
            "posterior mean, test": Line2D([], [], color=posterior, lw=0.8, ls="-."),
        }
    fig.legend(lines.values(), lines, loc="outside lower center", ncols=5, fontsize=8.5)
    return fig


@styled
def prior_energies(fits: Mapping[str, xr.DataTree]) -> Figure:
    """Draw the energies that each prior expects, against those measured."""
    fig, axes = canvas(1, len(fits), height=2.4, squeeze=False, sharex=True)
    for axis, fit in zip(axes[0], fits.values(), strict=True):
        energies = fit["observed_data"]["energies"]
        replicas = fit["prior_predictive"]["energies"].values.reshape(-1, energies.size)
        level = (np.arange(energies.size) + 0.5) / energies.size
        for replica in np.sort(replicas[:60], axis=-1):
            axis.plot(replica, level, color=COLORS["prior"], lw=0.5, alpha=0.5)
        axis.plot(np.sort(energies), level, color=COLORS["data"], lw=2)
        limit = 20 * float(energies.std())
        axis.set_xlim(-limit, limit)
        axis.set_xlabel(with_units("energy", energies.attrs["units"]))
        axis.set_title(f"{called(fit)} prior")
        key(axis, {"prior draws": "prior", "data": "data"}, "lower right")
    axes[0, 0].set_ylabel("share of states below")
    return fig


@styled
def gauge(fit: xr.DataTree) -> Figure:
    """Draw the posterior of J_ij - J_ji and of J_ij + J_ji against their prior.

    The prior is that of draws of the scale: √2 scale z, z ~ N(0, 1).
    """
    upper, lower = halves(fit, fit["posterior"]["J"].values)
    group = "posterior" if "scale" in fit["posterior"] else "constant_data"
    scale = np.broadcast_to(fit[group]["scale"].values, upper.shape[:2])[..., np.newaxis]
    prior = np.sqrt(2) * scale * np.random.default_rng(0).standard_normal(upper.shape)
    fig, axes = canvas(1, 2, height=2.7)
    limit = 1.2 * np.quantile(np.abs(prior), 0.9999)
    for axis, values, sign in ((axes[0], upper - lower, "−"), (axes[1], upper + lower, "+")):
        reach = limit if sign == "−" else max(limit, 1.1 * np.max(np.abs(values)))
        bins = np.linspace(-reach, reach, 81)
        for draws, role, width in ((values, "posterior", 1.8), (prior, "prior", 1.2)):
            height, _ = np.histogram(draws, bins, density=True)
            shown = np.where(height > 0, height, np.nan)
            axis.stairs(shown, bins, color=COLORS[role], lw=width)
        axis.set_yscale("log")
        unit = fit["posterior"]["J"].attrs["units"]
        axis.set_xlabel(with_units(rf"$J_{{ij}} {sign} J_{{ji}}$", unit))
        axis.set_ylabel("density")
    key(axes[0], {"posterior": "posterior", "prior": "prior"}, "upper left")
    return fig


def called(fit: xr.DataTree) -> str:
    """Return what a reader calls the prior of a fit."""
    return {"laplace": "Laplace"}.get(prior_of(fit), prior_of(fit).replace("_", " "))
