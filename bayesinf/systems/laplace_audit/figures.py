"""Figures of the audit: InferenceData in, matplotlib Figure out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import COLORS, axis_label, canvas, density, few_ticks, key, styled, with_units
from bayesinf.posterior import noted
from bayesinf.systems.laplace_audit.data import NAMES, peak
from bayesinf.systems.laplace_audit.optimisers import ENDS

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["claims", "curve", "map_of_basins"]

# Of each of ``ENDS``: told apart with any colour vision, by their lightness too.
SHADES = ("#0072B2", "#8FC7E8", "#D55E00", "#F2D9A6", "#666666")
CURVES = 150  # draws whose curves make up the band


@styled
def claims(fit: xr.DataTree) -> Figure:
    """Draw, for each parameter, the normal that is claimed, the draws and the profile."""
    found = noted(fit, "audit")
    names = [str(name) for name in found["parameter"].values][:8]
    across = 2
    down = -(-len(names) // across)
    fig, axes = canvas(down, across, height=0.5 + 2.1 * down, squeeze=False)
    for k, axis in enumerate(np.ravel(axes)):
        if k >= len(names):
            axis.set_visible(False)
            continue
        _one(axis, fit, found.isel(parameter=k), names[k])
    key(
        np.ravel(axes)[0],
        {"claimed": "classical", "draws": "posterior", "profile": "second"}
        | ({"truth": "truth"} if noted(fit, "truth") is not None else {}),
        "above",
    )
    return fig


def _one(axis, fit, one, name):
    point, sd = float(one["point"]), float(one["sd"])
    draws = fit["posterior"][name].values.ravel()
    low = min(point - 3.5 * sd, np.quantile(draws, 0.002))
    high = max(point + 3.5 * sd, np.quantile(draws, 0.998))
    grid = np.linspace(low, high, 400)
    heights = density(draws, grid)
    axis.fill_between(grid, heights / heights.max(), color=COLORS["posterior"], alpha=0.3, lw=0)
    normal = np.exp(-0.5 * ((grid - point) / sd) ** 2)
    axis.plot(grid, normal, color=COLORS["classical"], lw=1.4)
    value, height = one["profile_value"].values, one["profile_log_density"].values
    known = np.isfinite(height)
    inner = grid[(grid >= value[known].min()) & (grid <= value[known].max())]
    smooth = _between(value[known], height[known], inner)
    line = {"color": COLORS["second"], "lw": 1.2, "ls": (0, (4, 2))}
    axis.plot(inner, np.exp(smooth), **line)
    truth = noted(fit, "truth")
    if truth is not None and name in truth:
        axis.axvline(float(truth[name]), color=COLORS["truth"], lw=1.0)
    axis.set_ylim(0, 1.08)
    axis.set_yticks([])
    axis.set_xlabel(with_units(name, str(one["unit"].values)))
    few_ticks(axis)
    axis.set_yticks([])


def _between(value, height, grid):
    """A curve through the nodes of a profile: the signed root of its fall is nearly a line."""
    from scipy.interpolate import PchipInterpolator

    root = np.sign(value - value[np.argmax(height)]) * np.sqrt(np.maximum(-2 * height, 0))
    return -0.5 * PchipInterpolator(value, root)(grid) ** 2


@styled
def curve(fit: xr.DataTree) -> Figure:
    """Draw the data, the curve where the optimiser stopped, and the band of the draws."""
    fig, axis = canvas(height=3.2)
    observed = fit["observed_data"]
    y = next(iter(observed.data_vars.values()))
    x = next(c for c in y.coords.values() if c.dims == y.dims and c.name not in y.dims)
    error = fit["constant_data"].get("error")
    style = {"fmt": "o", "ms": 2.2, "lw": 0.6, "color": COLORS["data"], "zorder": 2}
    axis.errorbar(x, y, error, **style)
    grid = np.linspace(float(x.min()), float(x.max()), 300)
    posterior = fit["posterior"]
    draws = [posterior[name].values.ravel() for name in NAMES]
    some = np.linspace(0, len(draws[0]) - 1, CURVES).astype(int)
    curves = peak(grid, *(each[some, None] for each in draws))
    low, high = np.quantile(curves, [0.025, 0.975], axis=0)
    axis.fill_between(grid, low, high, color=COLORS["posterior"], alpha=0.45, lw=0, zorder=3)
    at = noted(fit, "audit")["point"].values
    axis.plot(grid, peak(grid, *at), color=COLORS["classical"], lw=1.6, zorder=4)
    axis.set_xlabel(axis_label(x))
    axis.set_ylabel(axis_label(y))
    words = {"data": "data", "draws, 95 %": "posterior", "where the optimiser stopped": "classical"}
    key(axis, words, "above")
    return fig


@styled
def map_of_basins(found: xr.Dataset) -> Figure:
    """Draw which start ends where, a panel an optimiser."""
    from matplotlib.colors import BoundaryNorm, ListedColormap

    names = [str(name) for name in found["optimiser"].values]
    fig, axes = canvas(1, len(names), height=3.2, sharey=True)
    shades = ListedColormap(SHADES)
    norm = BoundaryNorm(np.arange(len(ENDS) + 1) - 0.5, len(ENDS))
    mu, sigma = found["mu_start"].values, found["sigma_start"].values
    for axis, name in zip(axes, names, strict=True):
        end = found["end"].sel(optimiser=name).values
        axis.pcolormesh(mu, sigma, end, cmap=shades, norm=norm, shading="nearest", rasterized=True)
        axis.plot(*found["mode"].values[[1, 2]], "+", color="white", ms=9, mew=1.6)
        axis.set_title(name)
        axis.set_xlabel("μ at the start")
    axes[0].set_ylabel("σ at the start")
    seen = sorted({int(each) for each in np.unique(found["end"].values)})
    handles = [_patch(SHADES[k], ENDS[k]) for k in seen]
    fig.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return fig


def _patch(color, label):
    from matplotlib.patches import Patch

    return Patch(color=color, label=label)
