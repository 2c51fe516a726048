"""Figures of this system: InferenceData in, matplotlib Figure out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import COLORS, canvas, key, matrices, styled, with_units
from bayesinf.posterior import noted

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["chimera", "couplings", "decided", "intervals", "order"]

SHOWN = 60  # couplings in a picture of intervals


def matrix(values: np.ndarray, network: xr.Dataset) -> np.ndarray:
    """Lay values of pairs out as (target, source), NaN on the diagonal."""
    count = len(np.unique(network["target"]))
    found = np.full((count, count), np.nan)
    found[~np.eye(count, dtype=bool)] = values
    return found


def known(fit: xr.DataTree) -> np.ndarray | None:
    """True couplings, (pair,), where they are known."""
    truth = noted(fit, "couplings")
    return None if truth is None else truth["K"].values


def couplings(fit: xr.DataTree) -> Figure:
    """Draw coupling matrices: truth, posterior mean and sd, and the forward difference."""
    network, true = noted(fit, "network"), known(fit)
    panels = {} if true is None else {"truth": true}
    panels |= {"posterior mean": network["K_mean"].values}
    panels |= {"forward difference": noted(fit, "forward")["K"].values}
    limit = float(np.quantile(np.abs(panels.get("truth", panels["posterior mean"])), 0.99)) * 1.2
    return matrices(
        {title: matrix(values, network) for title, values in panels.items()},
        label=with_units("coupling K", network["K_mean"].attrs["units"]),
        roles={"truth": "truth", "posterior mean": "posterior", "forward difference": "classical"},
        limit=limit,
        axes_labels=("source j", "target i"),
    )


@styled
def intervals(fit: xr.DataTree) -> Figure:
    """Draw couplings with their intervals: against the truth where it is known, else by size."""
    network, true = noted(fit, "network"), known(fit)
    mean, low, high = (network[f"K_{name}"].values for name in ("mean", "low", "high"))
    fig, axes = canvas(1, 1, height=3.2)
    label = with_units("K", network["K_mean"].attrs["units"])
    if true is None:
        order = np.argsort(-np.abs(mean))[:SHOWN]
        place = np.arange(len(order))
        axes.set_xlabel(f"the {len(order)} strongest of {len(mean)} couplings, in order")
    else:
        order = np.arange(len(mean))[:: max(1, len(mean) // 600)]
        width = (np.ptp(true) or abs(true[0]) or 1.0) * 0.25
        # Couplings of one size stand side by side.
        shift = np.random.default_rng(0).uniform(-width, width, len(order)) / 2
        place = true[order] + shift
        for value in np.unique(true[order]) if len(np.unique(true)) <= 8 else ():
            axes.hlines(
                value, value - width / 2, value + width / 2, color=COLORS["truth"], zorder=3
            )
        if len(np.unique(true)) > 8:
            place = true[order]
            axes.axline((0, 0), slope=1, color=COLORS["truth"], lw=1.2)
        axes.set_xlabel(with_units("true K, spread sideways", network["K_mean"].attrs["units"]))
    axes.vlines(place, low[order], high[order], color=COLORS["posterior"], lw=0.6, alpha=0.6)
    axes.plot(place, mean[order], ".", color=COLORS["posterior"], ms=2.5)
    axes.axhline(0, color=COLORS["prior"], lw=0.6)
    axes.set_ylabel(label)
    roles = {"posterior, 95 %": "posterior"} | ({} if true is None else {"truth": "truth"})
    key(axes, roles, "upper left")
    return fig


@styled
def decided(fit: xr.DataTree) -> Figure:
    """Draw how much of each coupling the data decide."""
    network = noted(fit, "network")
    values = matrix(network["decided"].values, network)
    fig, axes = canvas(1, 1, height=3.2)
    image = axes.imshow(values, cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xlabel("source j")
    axes.set_ylabel("target i")
    fig.colorbar(image, ax=axes, label="share decided by the data")
    return fig


@styled
def order(fit: xr.DataTree) -> Figure:
    """Draw the order parameter along the instants, and the posterior of the lag."""
    network = noted(fit, "network")
    fig, axes = canvas(1, 2, height=2.6)
    axes[0].plot(network["order"].values, color=COLORS["data"], lw=0.8)
    axes[0].set_ylim(0, 1.02)
    axes[0].set_xlabel("instant")
    axes[0].set_ylabel("order parameter r")
    alpha, truth = network["alpha"].values.ravel(), noted(fit, "couplings")
    if np.ptp(alpha) > 0:
        axes[1].hist(alpha, 30, color=COLORS["posterior"], density=True, histtype="stepfilled")
        if truth is not None:
            axes[1].axvline(float(truth["alpha"]), color=COLORS["truth"], lw=1.5)
        axes[1].set_xlabel(with_units("lag α", "rad"))
        axes[1].set_ylabel("density")
        key(axes[1], {"posterior": "posterior"} | ({} if truth is None else {"truth": "truth"}))
    else:
        axes[1].set_axis_off()
    return fig


@styled
def chimera(fit: xr.DataTree) -> Figure:
    """Draw the order parameters of two populations against time, and their phases at the end."""
    found = noted(fit, "chimera")
    fig, axes = canvas(1, 2, height=2.6)
    for k, (population, shade) in enumerate(
        zip(found["population"].values, ("data", "classical"), strict=True)
    ):
        axes[0].plot(found["time"], found["order"][k], color=COLORS[shade], lw=1)
        turned = np.angle(np.exp(1j * found["phase"][k].values))
        place = np.arange(len(turned)) + k * len(turned)
        axes[1].plot(place, turned, ".", ms=1, color=COLORS[shade])
        axes[0].annotate(
            f"population {population}",
            (found["time"][-1], found["order"][k, -1]),
            (-4, -10),
            textcoords="offset points",
            ha="right",
            color=COLORS[shade],
            fontsize=8,
        )
    axes[0].set_ylim(0, 1.05)
    axes[0].set_xlabel("time")
    axes[0].set_ylabel("order parameter r")
    axes[1].set_xlabel("oscillator")
    axes[1].set_ylabel(with_units("phase at the end", "rad"))
    return fig
