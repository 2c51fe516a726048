"""Figures of this system: InferenceData in, matplotlib Figure out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import COLORS, canvas, key, styled, with_units
from bayesinf.posterior import noted

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["CALLED", "coverage", "energies", "errors", "motions", "portrait"]

CALLED = {"paths": "paths followed", "ignored": "noise in states ignored"}
SHADES = {"paths": "posterior", "ignored": "classical"}
LINES = 9  # of equal energy


def _unit(fit):
    return noted(fit, "map")["mean"].attrs.get("units", "1")


def _axes(axis, fit):
    units = fit["predictions"] if "predictions" in fit.children else {}
    names = {n: units[n].attrs.get("units", "1") if n in units else "1" for n in ("q", "p")}
    axis.set_xlabel(with_units("q", names["q"]))
    axis.set_ylabel(with_units("p", names["p"]))


def _states(fit):
    constants = fit["constant_data"]
    return constants["measured_q"].values, constants["measured_p"].values


@styled
def portrait(fits: Mapping[str, xr.DataTree]) -> Figure:
    """Draw lines of equal energy through the measured states: posterior mean, and the truth."""
    fig, row = canvas(1, len(fits), height=3.6, squeeze=False, sharex=True, sharey=True)
    for axis, (name, fit) in zip(row[0], fits.items(), strict=True):
        found = noted(fit, "map")
        q, p = found["q"].values, found["p"].values
        axis.plot(*_states(fit), ".", ms=1.5, color=COLORS["data"], alpha=0.35)
        levels = np.linspace(*np.quantile(found["mean"], [0.02, 0.95]), LINES)
        shade = COLORS[SHADES.get(name, "posterior")]
        if "truth" in found:
            levels = np.linspace(*np.quantile(found["truth"], [0.02, 0.95]), LINES)
            axis.contour(
                q,
                p,
                found["truth"].values.T,
                levels,
                colors=COLORS["truth"],
                linewidths=2.2,
                linestyles="solid",
            )
        axis.contour(
            q, p, found["mean"].values.T, levels, colors=shade, linewidths=0.9, linestyles="solid"
        )
        words = [("data", "data"), ("posterior mean", SHADES.get(name, "posterior"))]
        key(axis, words + ([("truth", "truth")] if "truth" in found else []), "above")
        axis.set_title(CALLED.get(name, name), pad=20)
        _axes(axis, fit)
    for axis in row[0][1:]:
        axis.set_ylabel("")
    return fig


@styled
def errors(fits: Mapping[str, xr.DataTree]) -> Figure:
    """Draw over phase space how far the energy is off, where it is known, and its sd."""
    panels = {}
    for name, fit in fits.items():
        found, said = noted(fit, "map"), CALLED.get(name, name)
        if "truth" in found:
            panels[f"|error|, {said}"] = fit, np.abs(found["mean"] - found["truth"]).values
    first = next(iter(fits.values()))
    panels["posterior sd"] = first, noted(first, "map")["sd"].values
    top = max(np.quantile(values, 0.9) for _, values in panels.values())
    fig, row = canvas(1, len(panels), height=2.9, squeeze=False, sharex=True, sharey=True)
    for axis, (title, (fit, values)) in zip(row[0], panels.items(), strict=True):
        found = noted(fit, "map")
        image = axis.pcolormesh(
            found["q"], found["p"], values.T, cmap="viridis", vmin=0, vmax=top, shading="nearest"
        )
        axis.plot(*_states(fit), ".", ms=0.8, color="white", alpha=0.5)
        axis.set_title(title, fontsize=8)
        _axes(axis, fit)
    for axis in row[0][1:]:
        axis.set_ylabel("")
    fig.colorbar(image, ax=row[0].tolist(), label=with_units("energy", _unit(first)), extend="max")
    return fig


@styled
def motions(fit: xr.DataTree) -> Figure:
    """Draw held-out motions with the forecast from their first measured state."""
    found = noted(fit, "forecast")
    count = found.sizes["shown"]
    fig, grid = canvas(2, count, height=3.8, sharex=True, sharey="row", squeeze=False)
    for k in range(count):
        t = found["since"].values[k]
        for row, name in enumerate(("q", "p")):
            axis = grid[row, k]
            part = found.sel(coordinate=name).isel(shown=k)
            axis.fill_between(
                t, part["low"], part["high"], color=COLORS["posterior"], alpha=0.25, lw=0
            )
            axis.plot(t, part["middle"], color=COLORS["posterior"], lw=1)
            axis.plot(t, part["seen"], ".", color=COLORS["data"], ms=2.5)
        grid[1, k].set_xlabel("time since the first state")
    for row, name in enumerate(("q", "p")):
        grid[row, 0].set_ylabel(name)
    key(grid[0, 0], {"measured": "data", "forecast, 95 %": "posterior"}, "above")
    return fig


@styled
def coverage(fits: Mapping[str, xr.DataTree]) -> Figure:
    """Draw what share of held-out states lies within central intervals, by horizon."""
    told = {name: noted(fit, "forecast") for name, fit in fits.items()}
    told = {name: found for name, found in told.items() if found is not None}
    fig, row = canvas(1, 2, height=2.6, sharex=True)
    for axis, level in zip(row, (0, 1), strict=True):
        for k, (name, found) in enumerate(told.items()):
            share, n = found["covered"].values[level], int(found["count"])
            claimed = float(found["level"][level])
            sd = np.sqrt(claimed * (1 - claimed) / n)
            h = found["horizon"].values
            shift = 0.02 * (k - 0.5) * np.ptp(h)
            color = COLORS[SHADES.get(name, "posterior")]
            axis.plot(h + shift, share, "o-", color=color, ms=4, lw=0.8)
        axis.axhspan(
            claimed - 2 * sd, min(1.0, claimed + 2 * sd), color=COLORS["prior"], alpha=0.3, lw=0
        )
        axis.set_ylim(0, 1.03)
        axis.set_xlabel("horizon")
        axis.set_ylabel(f"share within {100 * claimed:.0f} %")
    key(row[0], [(CALLED.get(n, n), SHADES.get(n, "posterior")) for n in told], "above")
    return fig


@styled
def energies(fits: Mapping[str, xr.DataTree]) -> Figure:
    """Draw the true energy along forecasts of one held-out motion, of every model."""
    lines = {}
    for name, fit in fits.items():
        found = noted(fit, "error")
        if found is not None:
            color = COLORS[SHADES.get(name, "posterior")]
            lines[CALLED.get(name, name)] = found["since"][0], found["kept_energy"][0], color
            true = found["since"][0], found["true_energy"][0]
    networks = noted(next(iter(fits.values())), "classical")
    shades = (COLORS["second"], "#777777", "#E69F00")
    if networks is not None and "kept_energy" in networks:
        for k, name in enumerate(networks["fitted"].values):
            lines[str(name)] = true[0], networks["kept_energy"][k, 0], shades[k % len(shades)]
    fig, axis = canvas(1, 1, height=2.9)
    axis.plot(*true, color=COLORS["truth"], lw=2.4, alpha=0.7)
    for t, energy, color in lines.values():
        axis.plot(t, energy, color=color, lw=1.1)
    axis.set_xlabel("time since the first state")
    axis.set_ylabel("true energy along the forecast")
    low, high = axis.get_ylim()
    axis.set_ylim(low, high + 0.12 * len(lines) * (high - low))
    key(
        axis,
        [("truth", "truth"), *((name, color) for name, (*_, color) in lines.items())],
        "upper left",
    )
    return fig
