"""Figures of this system: InferenceData in, matplotlib Figure out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import COLORS, band, canvas, density, interval, key, styled, with_units
from bayesinf.models.gp import ratio, splits
from bayesinf.posterior import noted
from bayesinf.systems.lennard_jones.data import scales

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = [
    "CALLED",
    "OUTSIDE",
    "calibration_figure",
    "called",
    "decimals",
    "leading",
    "learning_figure",
    "potential",
    "virial_figure",
    "wall_figure",
]

CALLED = {
    "falling": "log r, size falling off",
    "zero": "zero mean in r",
    "repulsive": "repulsive mean in r",
    "lennard_jones": "Lennard-Jones mean in r",
}
LINES = {
    "falling": COLORS["posterior"],
    "zero": COLORS["second"],
    "repulsive": "#56B4E9",
    "lennard_jones": "#E69F00",
}
OUTSIDE = "not within the data"
TRUE_LINE = {"color": COLORS["truth"], "lw": 1, "ls": (0, (4, 2)), "zorder": 3}


def leading(of: Mapping[str, xr.DataTree]) -> tuple[str, xr.DataTree]:
    """Return the form, and the fit, that speaks for some data: beside it the comparison stands."""
    chosen = [(form, fit) for form, fit in of.items() if noted(fit, "comparison") is not None]
    return (chosen or list(of.items()))[0]


def called(fit: xr.DataTree) -> str:
    """Return what the data of a fit are called."""
    return fit.attrs["case"] or "the pair"


def decimals(places: int) -> Callable[[float], str]:
    """Return a function that writes numbers with so many decimals and a real minus sign."""

    def written(value: float) -> str:
        return f"{value:.{places}f}".replace("-", "−")

    return written


@styled
def potential(of: Mapping[str, xr.DataTree]) -> Figure:
    """Draw wall, well, width of the bands and force of one set of data, by form.

    Energies that stand on a constant are drawn from there, less its posterior median.
    """
    _, fit = leading(of)
    x, y = fit["constant_data"]["distances"], fit["observed_data"]["energies"]
    drawn = noted(fit, "curve")
    level = float(drawn["constant"].median()) if "constant" in drawn else 0.0
    y = (y - level).assign_attrs(y.attrs)
    named = f"energy above {_rounded(level, noted(fit, 'well')['depth'])}" if level else "energy"
    bars = fit["constant_data"].get("error")
    truth = noted(fit, "truth")
    known = truth is not None and "curve" in truth
    fig, ((wall, bottom), (width, force)) = canvas(2, 2, height=5.4)
    for mean, one in of.items():
        drawn, color = noted(one, "curve"), LINES[mean]
        r = drawn["distances"].values
        curves = drawn["curve"].values.reshape(-1, drawn.sizes["new"]) - level
        for axis in (wall, bottom):
            band(axis, r, curves, color, lw=1.2)
        low, _, high = interval(curves)
        width.plot(r, (high - low) / 2, color=color, lw=1.2)
        if known:
            error = np.abs(curves.mean(axis=0) + level - truth["curve"].values)
            width.plot(r, error, color=color, lw=0.8, ls=(0, (1, 1.5)))
        if "slope" in drawn:
            band(force, r, -drawn["slope"].values, color, lw=1.2)
    if known:
        for axis in (wall, bottom):
            axis.plot(truth["distances"], truth["curve"] - level, **TRUE_LINE)
        force.plot(truth["distances"], -truth["slope"], **TRUE_LINE)
    for axis in (wall, bottom):
        axis.errorbar(x, y, bars, fmt="o", ms=2.8, lw=0.7, color=COLORS["data"], zorder=4)
        axis.set_ylabel(with_units(named, y.units))
    sigma, epsilon = scales(x, y)
    innermost, top = float(x.min()), abs(float(y.max()))
    wall.set_xlim(innermost - 0.02 * sigma, max(1.06 * sigma, innermost + 0.1 * sigma))
    wall.set_ylim(-0.25 * top - 0.2 * epsilon, 1.15 * top + 0.2 * epsilon)
    for axis in (bottom, force):
        axis.set_xlim(0.97 * sigma, min(float(x.max()), 2.2 * sigma))
    bottom.set_ylim(-1.35 * epsilon, 0.6 * epsilon)
    force.set_ylim(-3.6 * epsilon / sigma, 5 * epsilon / sigma)
    force.axhline(0, color=COLORS["prior"], lw=0.6)
    force.set_ylabel(with_units("force", ratio(y.units, x.units)))
    width.set_yscale("log")
    width.set_ylabel(with_units("half width of band", y.units))
    words = ("solid: half width", "dotted: error") if known else ("solid: half width",)
    key(width, dict.fromkeys(words, "data"), step=12)
    for axis in (width, force):
        axis.set_xlabel(with_units("r", x.units))
    words = {CALLED[form]: LINES[form] for form in of} | ({"truth": "truth"} if known else {})
    key(bottom, words, "lower right")
    fig.align_ylabels()
    return fig


def _rounded(level, depth):
    """A constant, to a thousandth of the well."""
    size = float(depth.median()) if bool(np.isfinite(depth).any()) else abs(level)
    return decimals(max(0, 3 - int(np.floor(np.log10(size)))))(level)


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
            line = scores.sel(wall=wall, numbers=numbers)
            style = {"fmt": "o", "ms": 4, "mfc": fill, "color": color, "lw": 0.8}
            left.errorbar(sizes, line["error"], line["error_se"], **style)
        beta, nu = (posterior[n].sel(wall=wall).values.reshape(-1, 1) for n in ("beta", "nu"))
        band(left, grid, beta * grid**nu, color, lw=1)
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
    key(left, {CALLED[wall]: LINES[wall] for wall in ("zero", "repulsive")})
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
    panels = [
        (f"coverage_{100 * level:.0f}", f"coverage of {level:.0%} interval", level)
        for level in splits.LEVELS
    ]
    panels += [
        ("z2", "mean squared z-score", 1.0),
        ("crps", "CRPS", None),
        ("log_density", "log predictive density", None),
    ]
    for axis, (name, title, ideal) in zip(axes.flat, panels, strict=True):
        for numbers, color in (("fixed", COLORS["classical"]), ("inferred", COLORS["posterior"])):
            for wall, style in (("zero", (0, (4, 2))), ("repulsive", "-")):
                line = scores[name].sel(wall=wall, numbers=numbers)
                axis.plot(scores["size"], line, color=color, ls=style, lw=1.3)
        if ideal is not None:
            axis.axhline(ideal, color=COLORS["prior"], lw=2, alpha=0.5, zorder=0)
        axis.set_title(with_units(title, scores[name].units), loc="left")
        if name in ("z2", "crps"):
            axis.set_yscale("log")
            _plain(axis)
    for axis, limits in zip(axes[0], ((0.4, 1.02), (0.6, 1.02), (0.75, 1.01)), strict=True):
        axis.set_ylim(limits)
    for axis in axes[1]:
        axis.set_xlabel("training points N")
    axes[1, 2].set_ylim(max(float(scores["log_density"].min()), -8.0) - 0.3)
    words = {"fixed numbers": "classical", "inferred": "posterior", "dashed: zero mean": "data"}
    key(axes[0, 2], words, "lower right", step=12)
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
    gap = np.min(np.diff(inside)) if len(inside) > 1 else 1.0
    columns = (found[name].values for name in ("form", "model_kernel", "numbers"))
    models = enumerate(zip(*columns, strict=True))
    shown = [
        (k, str(mean), numbers == "fixed")
        for k, (mean, kernel, numbers) in models
        if numbers == "fixed" or kernel == "squared_exponential"
    ]
    words = {"held-out energy": COLORS["data"]}
    for place, (k, mean, fixed) in enumerate(shown):
        color = COLORS["classical"] if fixed else LINES[mean]
        filled = not fixed or mean == "repulsive"
        at = inside + gap * 0.7 * ((place + 0.5) / len(shown) - 0.5)
        centre, low, high = (found[n].values[k] for n in ("predicted", "low", "high"))
        bars = np.maximum([centre - low, high - centre], 0)
        fill = color if filled else "none"
        axis.errorbar(at, centre, bars, fmt="o", ms=4, color=color, mfc=fill, lw=1)
        mark = "filled" if filled else "open"
        words[f"classical, {CALLED[mean]} ({mark})" if fixed else CALLED[mean]] = color
    bar = {"color": COLORS["data"], "lw": 1.4, "zorder": 1}
    axis.hlines(energy, inside - 0.42 * gap, inside + 0.42 * gap, **bar)
    top = float(energy.max())
    axis.set_ylim(-0.6 * top, 2.2 * top)
    axis.set_xlim(right=inside.max() + 0.5 * gap + 0.55 * (np.ptp(inside) + gap))  # for the key
    key(axis, words)
    axis.axhline(0, color=COLORS["prior"], lw=0.6)
    axis.set_xticks(inside, [f"{r:.3g}" for r in inside])
    axis.set_xlabel(with_units("r", found["inside"].attrs.get("units", "1")))
    axis.set_ylabel(with_units("energy", energy.units))
    return fig


@styled
def virial_figure(of: Mapping[str, xr.DataTree]) -> Figure:
    """Draw second virial coefficients, less those of the true potential where that is known."""
    fig, axis = canvas(height=2.8)
    truth = noted(leading(of)[1], "truth")
    known = truth is not None and "B2" in truth
    for mean, fit in of.items():
        found = noted(fit, "virial")
        values = found["B2"].values - (truth["B2"].values if known else 0)
        band(axis, found["temperature"].values, values, LINES[mean], lw=1.2, marker="o", ms=3)
    key(axis, {CALLED[mean]: LINES[mean] for mean in of})
    axis.axhline(0, color=COLORS["truth" if known else "prior"], lw=0.8)
    axis.set_xlabel("temperature (K)")
    axis.set_ylabel("B₂ − B₂ of the truth (cm³/mol)" if known else "B₂ (cm³/mol)")
    return fig
