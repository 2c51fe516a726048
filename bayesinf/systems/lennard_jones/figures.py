"""Figures of this system: InferenceData in, matplotlib Figure out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import COLORS, canvas, density, styled, with_units
from bayesinf.models import gp
from bayesinf.models.gp import splits
from bayesinf.posterior import noted
from bayesinf.systems.lennard_jones.data import scales
from bayesinf.systems.lennard_jones.process import curves, true_virial, truth_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

CALLED = {"zero": "zero mean", "repulsive": "repulsive mean",
          "lennard_jones": "Lennard-Jones mean"}  # fmt: skip
LINES = {"zero": COLORS["second"], "repulsive": COLORS["posterior"], "lennard_jones": "#E69F00"}


def first(of: Mapping[str, xr.DataTree]) -> xr.DataTree:
    """Return the fit that speaks for some data: the one with the wall, if there is one."""
    return of.get("repulsive", next(iter(of.values())))


def _band(axis, x, draws, color, **options):
    flat = draws.reshape(-1, len(x))
    low, high = np.quantile(flat, [0.025, 0.975], axis=0)
    axis.fill_between(x, low, high, color=color, alpha=0.22, lw=0)
    axis.plot(x, flat.mean(axis=0), color=color, **options)


@styled
def potential(of: Mapping[str, xr.DataTree]) -> Figure:
    """Draw wall, well, width of the bands and force of one set of data, by prior mean."""
    fit = first(of)
    x, y = fit["constant_data"]["x"], fit["observed_data"]["y"]
    sigma, epsilon = scales(x.values, y.values, (x.units, y.units))
    known = truth_of(fit)
    fig, ((wall, bottom), (width, force)) = canvas(2, 2, height=5.4)
    for mean, one in of.items():
        drawn = curves(one)
        r, color = drawn["x"].values, LINES[mean]
        for axis in (wall, bottom):
            _band(axis, r, drawn["curve"].values, color, lw=1.2)
        flat = drawn["curve"].values.reshape(-1, len(r))
        low, high = np.quantile(flat, [0.025, 0.975], axis=0)
        width.plot(r, (high - low) / 2, color=color, lw=1.2)
        if known is not None:
            width.plot(r, np.abs(flat.mean(axis=0) - known(r)), color=color, lw=0.8,
                       ls=(0, (1, 1.5)))  # fmt: skip
        if "slope" in drawn:
            _band(force, r, -drawn["slope"].values, color, lw=1.2)
    grid = np.linspace(float(x.min()), float(x.max()), 400)
    if known is not None:
        line = {"color": COLORS["truth"], "lw": 1, "ls": (0, (4, 2)), "zorder": 3}
        for axis in (wall, bottom):
            axis.plot(grid, known(grid), **line)
        force.plot(grid, -np.gradient(known(grid), grid), **line)
    bars = fit["constant_data"]["error"].values if "error" in fit["constant_data"] else None
    for axis in (wall, bottom):
        axis.errorbar(x, y, bars, fmt="o", ms=2.8, lw=0.7, color=COLORS["data"], zorder=4)
        axis.set_ylabel(with_units("energy", y.units))
    edge, top = 1.06 * sigma, float(y.max())
    wall.set_xlim(float(x.min()) - 0.02 * sigma, max(edge, float(x.min()) + 0.1 * sigma))
    wall.set_ylim(-0.25 * abs(top) - 0.2 * epsilon, 1.15 * abs(top) + 0.2 * epsilon)
    reach = min(float(x.max()), 2.2 * sigma)
    for axis in (bottom, force):
        axis.set_xlim(0.97 * sigma, reach)
    bottom.set_ylim(-1.35 * epsilon, 0.6 * epsilon)
    force.set_ylim(-3.6 * epsilon / sigma, 5 * epsilon / sigma)
    force.axhline(0, color=COLORS["prior"], lw=0.6)
    width.set_yscale("log")
    width.set_ylabel(with_units("half width of band", y.units))
    for k, word in enumerate(("solid: half width",) + (("dotted: error",) if known else ())):
        width.annotate(word, (1, 1), (-4, -4 - 12 * k), color=COLORS["data"], ha="right", va="top",
                       xycoords="axes fraction", textcoords="offset points")  # fmt: skip
    force.set_ylabel(with_units("force", gp.ratio(y.units, x.units)))
    for axis in (width, force):
        axis.set_xlabel(with_units("r", x.units))
    words = [(CALLED[mean], LINES[mean]) for mean in of]
    words += [("truth", COLORS["truth"])] if known is not None else []
    for k, (word, color) in enumerate(words):
        bottom.annotate(word, (1, 1), (-4, -4 - 13 * k), color=color, ha="right", va="top",
                        xycoords="axes fraction", textcoords="offset points")  # fmt: skip
    fig.align_ylabels()
    return fig


@styled
def learning_figure(fit: xr.DataTree) -> Figure:
    """Draw the learning curves with their power laws, and the posterior of the exponents."""
    scores, posterior = noted(fit, "score"), fit["posterior"]
    fig, (left, right) = canvas(1, 2, height=3.4, width_ratios=(1.5, 1))
    sizes = scores["size"].values
    grid = np.geomspace(sizes.min(), sizes.max(), 60)
    for wall in ("zero", "repulsive"):
        color = LINES[wall]
        for numbers, fill in (("fixed", color), ("inferred", "none")):
            at = {"wall": wall, "numbers": numbers}
            left.errorbar(sizes, scores["error"].sel(at), scores["error_se"].sel(at), fmt="o", ms=4,
                          mfc=fill, color=color, lw=0.8)  # fmt: skip
        beta, nu = (posterior[n].sel(wall=wall).values.reshape(-1, 1) for n in ("beta", "nu"))
        _band(left, grid, beta * grid**nu, color, lw=1)
        draws = nu.ravel()
        around = np.linspace(*np.quantile(draws, [0.0005, 0.9995]), 200)
        right.fill_between(around, density(draws, around), color=color, alpha=0.3, lw=0)
        right.plot(around, density(draws, around), color=color)
    left.set_xscale("log")
    left.set_yscale("log")
    left.set_xticks(sizes[[0, 1, 2, 4, -1]] if len(sizes) > 5 else sizes)
    left.xaxis.set_major_formatter("{x:.0f}")
    _plain(left)
    left.set_xlabel("training points N")
    left.set_ylabel(with_units("mean error of held-out energies", scores["error"].units))
    for k, (word, wall) in enumerate((("zero mean", "zero"), ("repulsive mean", "repulsive"))):
        left.annotate(word, (1, 1), (-4, -4 - 13 * k), color=LINES[wall], ha="right", va="top",
                      xycoords="axes fraction", textcoords="offset points")  # fmt: skip
    right.set_ylim(0)
    right.set_yticks([])
    right.spines["left"].set_visible(False)
    right.set_xlabel("exponent ν of E = β Nᵛ")
    return fig


@styled
def calibration_figure(fit: xr.DataTree) -> Figure:
    """Draw coverage and scores against the number of training points."""
    scores = noted(fit, "score")
    fig, axes = canvas(2, 3, height=4.8, sharex=True)
    sizes = scores["size"].values
    panels = [(f"coverage_{100 * level:.0f}", f"coverage of {level:.0%} interval", level)
              for level in splits.LEVELS]  # fmt: skip
    panels += [("z2", "mean squared z-score", 1.0), ("crps", "CRPS", None),
               ("log_density", "log predictive density", None)]  # fmt: skip
    for axis, (name, title, ideal) in zip(axes.flat, panels, strict=True):
        for numbers, color in (("fixed", COLORS["classical"]), ("inferred", COLORS["posterior"])):
            for wall, style in (("zero", (0, (4, 2))), ("repulsive", "-")):
                line = scores[name].sel(wall=wall, numbers=numbers)
                axis.plot(sizes, line, color=color, ls=style, lw=1.3)
        if ideal is not None:
            axis.axhline(ideal, color=COLORS["prior"], lw=2, alpha=0.5, zorder=0)
        axis.set_title(with_units(title, scores[name].units), loc="left")
        if name in ("z2", "crps"):
            axis.set_yscale("log")
            _plain(axis)
    axes[0, 0].set_ylim(0.4, 1.02)
    axes[0, 1].set_ylim(0.6, 1.02)
    axes[0, 2].set_ylim(0.75, 1.01)
    for axis in axes[1]:
        axis.set_xlabel("training points N")
    lowest = float(scores["log_density"].min())
    axes[1, 2].set_ylim(max(lowest, -8.0) - 0.3)
    words = (("fixed numbers", "classical"), ("inferred", "posterior"))
    for k, (word, role) in enumerate(words):
        axes[0, 2].annotate(word, (1, 0), (-4, 30 - 12 * k), color=COLORS[role], ha="right",
                            xycoords="axes fraction", textcoords="offset points")  # fmt: skip
    axes[0, 2].annotate("dashed: zero mean", (1, 0), (-4, 6), color=COLORS["data"], ha="right",
                        xycoords="axes fraction", textcoords="offset points")  # fmt: skip
    return fig


def _plain(axis):
    """Write the ticks of a logarithmic axis as plain numbers, at 1, 2 and 5."""
    from matplotlib.ticker import LogLocator

    axis.minorticks_off()
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:g}")


@styled
def wall_figure(fit: xr.DataTree) -> Figure:
    """Draw what each model predicts inside its training range, and what is there."""
    found = noted(fit, "wall")
    inside, energy = found["inside"].values, found["energy"]
    fig, axis = canvas(height=3.6)
    shown = [
        k for k in range(found.sizes["model"])
        if str(found["numbers"].values[k]) == "fixed"
        or str(found["model_kernel"].values[k]) == "squared_exponential"
    ]  # fmt: skip
    gap = np.min(np.diff(inside)) if len(inside) > 1 else 1.0
    styles = {("zero", "fixed"): (COLORS["classical"], "none"),
              ("repulsive", "fixed"): (COLORS["classical"], COLORS["classical"])}  # fmt: skip
    for place, k in enumerate(shown):
        mean, numbers = (str(found[n].values[k]) for n in ("model_mean", "numbers"))
        color, fill = styles.get((mean, numbers), (LINES[mean], LINES[mean]))
        at = inside + gap * 0.7 * ((place + 0.5) / len(shown) - 0.5)
        centre, low, high = (found[n].values[k] for n in ("predicted", "low", "high"))
        bars = np.maximum([centre - low, high - centre], 0)
        axis.errorbar(at, centre, bars, fmt="o", ms=4, color=color, mfc=fill, lw=1)
        mark = "open" if fill == "none" else "filled"
        word = CALLED[mean] if numbers == "inferred" else f"classical, {CALLED[mean]} ({mark})"
        axis.annotate(word, (1, 1), (-4, -18 - 13 * place), color=color, ha="right", va="top",
                      xycoords="axes fraction", textcoords="offset points")  # fmt: skip
    axis.hlines(energy, inside - 0.42 * gap, inside + 0.42 * gap, color=COLORS["data"], lw=1.4,
                zorder=1)  # fmt: skip
    axis.annotate("held-out energy", (1, 1), (-4, -4), color=COLORS["data"], ha="right", va="top",
                  xycoords="axes fraction", textcoords="offset points")  # fmt: skip
    top = float(energy.max())
    axis.set_ylim(-0.6 * top, 2.2 * top)
    axis.axhline(0, color=COLORS["prior"], lw=0.6)
    axis.set_xticks(inside, [f"{r:.3g}" for r in inside])
    axis.set_xlabel(with_units("r", found["inside"].attrs.get("units", "1")))
    axis.set_ylabel(with_units("energy", energy.units))
    return fig


@styled
def virial_figure(fit: xr.DataTree, drawn: Mapping[str, xr.Dataset]) -> Figure:
    """Draw second virial coefficients, less those of the true potential where that is known."""
    fig, axis = canvas(height=2.8)
    temperatures = next(iter(drawn.values()))["temperature"].values
    source = true_virial(fit, temperatures)
    for k, (mean, found) in enumerate(drawn.items()):
        values = found["B2"].values - (0 if source is None else source)
        _band(axis, temperatures, values, LINES[mean], lw=1.2, marker="o", ms=3)
        axis.annotate(CALLED[mean], (1, 1), (-4, -4 - 13 * k), color=LINES[mean], ha="right",
                      va="top", xycoords="axes fraction", textcoords="offset points")  # fmt: skip
    axis.axhline(0, color=COLORS["prior" if source is None else "truth"], lw=0.8)
    axis.set_xlabel("temperature (K)")
    axis.set_ylabel("B₂ (cm³/mol)" if source is None else "B₂ − B₂ of the truth (cm³/mol)")
    return fig
