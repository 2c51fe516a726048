"""Figures of scattered light and of what it says: InferenceData in, matplotlib Figure out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import (
    COLORS,
    canvas,
    density,
    few_ticks,
    in_lines,
    interval,
    key,
    styled,
    with_units,
)
from bayesinf.posterior import noted
from bayesinf.systems.thomson_surrogate.plasma import UNITS

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["CALLED", "SHADES", "coverage", "known", "plasmas", "residuals", "spectrum"]

CALLED = {"spectrum": "all channels", "features": "three features"}
SHADES = {"spectrum": "posterior", "features": "second"}


@styled
def spectrum(fit: xr.DataTree) -> Figure:
    """Draw the counts with the band of new ones, and the residuals below."""
    shift = fit["constant_data"]["shift_of_channel"].values
    name = next(iter(fit["observed_data"].data_vars))
    counts = fit["observed_data"][name].values
    replicas = fit["posterior_predictive"][name].values.reshape(-1, len(shift))
    low, _, high = interval(replicas)
    fig, axes = canvas(2, 1, height=4.2, sharex=True, height_ratios=(3, 1))
    axes[0].fill_between(shift, low, high, color=COLORS["posterior"], alpha=0.3, lw=0, step="mid")
    axes[0].plot(shift, replicas.mean(axis=0), color=COLORS["posterior"], lw=1.2)
    axes[0].plot(shift, counts, ".", ms=3.5, color=COLORS["data"])
    axes[0].set_ylabel("photons")
    key(axes[0], {"data": "data", "95 % of new data": "posterior"}, "upper right")
    mean = replicas.mean(axis=0)
    axes[1].axhspan(-2, 2, color=COLORS["posterior"], alpha=0.2, lw=0)
    axes[1].plot(shift, (counts - mean) / np.sqrt(mean), ".", ms=3.5, color=COLORS["data"])
    axes[1].set_ylabel("residual\n(√mean)")
    axes[1].set_xlabel("shift of wavelength (nm)")
    return fig


@styled
def plasmas(fits: Mapping[str, xr.DataTree]) -> Figure:
    """Draw the marginals of all parameters: prior, by all channels, by three features."""
    fig, grid = canvas(2, 4, height=3.9)
    axes = grid.ravel()
    first = next(iter(fits.values()))
    truth = noted(first, "truth")
    for axis, (name, unit) in zip(axes, UNITS.items(), strict=False):
        prior = first["prior"][name].values.ravel()
        low, high = np.quantile(prior, [0.01, 0.99])
        places = np.linspace(low, high, 400)
        axis.plot(places, density(prior, places), color=COLORS["prior"], lw=1.2)
        top = 0.0
        for label, fit in fits.items():
            drawn = density(fit["posterior"][name].values.ravel(), places)
            color = COLORS[SHADES[label]]
            axis.fill_between(places, drawn, color=color, alpha=0.3, lw=0)
            axis.plot(places, drawn, color=color, lw=1.1)
            # What all channels know far better would hide the rest.
            top = max(top, min(drawn.max(), 4 * density(prior, places).max()))
        if truth is not None and name in truth:
            axis.axvline(float(truth[name]), color=COLORS["truth"], lw=1.2)
        axis.set_ylim(0, 1.1 * top)
        few_ticks(axis)
        axis.set_yticks([])
        axis.set_xlabel(in_lines(with_units(name.replace("_", " "), unit)))
    axes[-1].axis("off")
    words = {CALLED[label]: SHADES[label] for label in fits} | {"prior": "prior"}
    key(axes[-1], words | ({} if truth is None else {"truth": "truth"}), "upper left")
    return fig


@styled
def known(fits: Mapping[str, xr.DataTree]) -> Figure:
    """Draw by how much the posterior is narrower than the prior, quantity by quantity."""
    fig, axis = canvas(height=3.6)
    for k, (label, fit) in enumerate(fits.items()):
        found = noted(fit, "known")
        ratio = (found["sd"] / found["prior_sd"]).values
        rows = np.arange(len(ratio)) + 0.18 * (2 * k - len(fits) + 1)
        axis.plot(ratio, rows, "o", ms=5, color=COLORS[SHADES[label]])
    names = [str(n).replace("_", " ") if n in UNITS else str(n) for n in found["quantity"].values]
    axis.axvline(1.0, color=COLORS["prior"], lw=1)
    axis.axhline(len(UNITS) - 0.5, color=COLORS["prior"], lw=0.6)
    axis.set_yticks(np.arange(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xscale("log")
    axis.set_xlabel("sd of the posterior over that of the prior")
    key(axis, {CALLED[label]: SHADES[label] for label in fits}, "above")
    return fig


@styled
def residuals(found: xr.Dataset) -> Figure:
    """Draw the network's errors in units of its bands against the distance from the middle."""
    fig, axes = canvas(1, found.sizes["feature"], height=2.7, sharey=True)
    radius = found["radius"].values
    for k, (axis, name) in enumerate(zip(axes, found["feature"].values, strict=True)):
        scaled = (found["error"] / found["band"]).values[:, k]
        axis.axhspan(-1.96, 1.96, color=COLORS["posterior"], alpha=0.2, lw=0)
        axis.plot(radius, np.clip(scaled, -8, 8), ".", ms=2, color=COLORS["data"], alpha=0.6)
        axis.axvline(1.0, color=COLORS["classical"], lw=1.2)
        axis.set_title(str(name))
        axis.set_xlabel("radius over that of the range")
    axes[0].set_ylabel("error (sd of the band)")
    return fig


@styled
def coverage(found: xr.Dataset) -> Figure:
    """Draw the share of spectra in the bands of each surrogate, region by region."""
    fig, axes = canvas(1, found.sizes["region"], height=2.7, sharey=True)
    shades = dict(zip(found["surrogate"].values, ("posterior", "second"), strict=False))
    levels = found["level"].values
    for axis, region in zip(axes, found["region"].values, strict=True):
        axis.plot([0.4, 1], [0.4, 1], color=COLORS["prior"], lw=1)
        for name, shade in shades.items():
            share = found["covered"].sel(surrogate=name, region=region).values
            axis.plot(levels, share, "o-", ms=3.5, lw=0.9, color=COLORS[shade])
        axis.set_title(str(region))
        axis.set_xlabel("level of the band")
        axis.set_ylim(0, 1.02)
    axes[0].set_ylabel("share inside")
    key(axes[0], {str(name): shade for name, shade in shades.items()}, "lower right")
    return fig
