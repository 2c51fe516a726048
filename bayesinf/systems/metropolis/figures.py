"""Figures of samplers at work: InferenceData and notes in, matplotlib Figure out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import COLORS, canvas, density, key, styled
from bayesinf.posterior import noted

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["place", "rules", "trials", "work"]

CIRCLE = np.linspace(0, 2 * np.pi, 200)
ENDS = (1.1774, 2.4477)  # radii, in sd, that hold 50 and 95 % of a normal in a plane
GRID = 160


@styled
def place(fit: xr.DataTree) -> Figure:
    """Draw the chain's draws over the regions of the closed form, and both marginals."""
    target = noted(fit, "target")
    names = [str(name) for name in target["parameter"].values]
    draws = [fit["posterior"][name].values.ravel() for name in names]
    fig, axes = canvas(1, 3, height=2.9, width_ratios=(1.2, 1, 1))
    some = np.linspace(0, len(draws[0]) - 1, min(2000, len(draws[0]))).astype(int)
    axes[0].plot(draws[0][some], draws[1][some], ".", ms=1.2, color=COLORS["posterior"], alpha=0.5)
    _ellipses(axes[0], target["mean"].values, target["covariance"].values)
    axes[0].set_xlabel(names[0])
    axes[0].set_ylabel(names[1])
    for k, axis in enumerate(axes[1:]):
        mean, sd = float(target["mean"][k]), float(target["sd"][k])
        grid = np.linspace(mean - 4 * sd, mean + 4 * sd, 300)
        axis.fill_between(
            grid, density(draws[k], grid), color=COLORS["posterior"], alpha=0.35, lw=0
        )
        height = np.exp(-0.5 * ((grid - mean) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
        axis.plot(grid, height, color=COLORS["truth"])
        axis.set_ylim(bottom=0)
        axis.set_yticks([])
        axis.set_xlabel(names[k])
    key(axes[0], {"draws": "posterior", "closed form": "truth"}, "above")
    return fig


def _ellipses(axis, mean, covariance):
    root = np.linalg.cholesky(covariance)
    ring = np.stack([np.cos(CIRCLE), np.sin(CIRCLE)])
    for radius in ENDS:
        axis.plot(*(mean[:, None] + radius * root @ ring), color=COLORS["truth"], lw=1.2)


@styled
def rules(found: xr.Dataset) -> Figure:
    """Draw the variance that each run reports by either rule, and what each leads to."""
    fig, axis = canvas(height=2.8)
    colors = ("posterior", "classical")
    values = found["variance"].values
    edges = np.linspace(values.min(), values.max(), 31)
    for k, color in enumerate(colors):
        each = {"color": COLORS[color], "alpha": 0.45, "lw": 0}
        axis.hist(values[:, k], edges, histtype="stepfilled", **each)
        limit = float(found["integral"][k])
        mean = float(values[:, k].mean())
        axis.axvline(limit, color=COLORS[color], lw=1.6, ls=(0, (4, 2)))
        axis.plot(mean, 0, "^", color=COLORS[color], ms=8, clip_on=False, zorder=5)
    axis.set_xlabel("variance of x that a run reports")
    axis.set_ylabel("runs")
    words = {"every step recorded": "posterior", "accepted moves alone": "classical"}
    key(axis, words, "above")
    return fig


@styled
def work(found: xr.Dataset) -> Figure:
    """Draw a stretch of a chain, and its autocorrelation."""
    fig, (left, right) = canvas(1, 2, height=2.7, width_ratios=(1.5, 1))
    chain = found["chain"].values[:, 0]
    left.plot(chain, color=COLORS["posterior"], lw=0.8)
    covariance = found["covariance"].values
    for side in (-1.96, 1.96):
        left.axhline(1 + side * np.sqrt(covariance[0, 0]), color=COLORS["truth"], lw=1)
    left.set_xlabel("step")
    left.set_ylabel("x")
    right.plot(found["lag"], found["autocorrelation"], color=COLORS["posterior"])
    right.axhline(0, color=COLORS["prior"], lw=0.8)
    right.set_xlabel("lag (steps)")
    right.set_ylabel("autocorrelation of x")
    return fig


@styled
def trials(found: xr.Dataset) -> Figure:
    """Draw each sampler's draws over each target, with the verdict and whether it is right."""
    from bayesinf.systems.metropolis.targets import TARGETS

    targets = [str(name) for name in found["target"].values if str(name) in TARGETS]
    samplers = [str(name) for name in found["sampler"].values]
    shape = len(targets), len(samplers)
    fig, axes = canvas(*shape, height=0.4 + 1.75 * shape[0], squeeze=False)
    for i, name in enumerate(targets):
        target = TARGETS[name]
        window = _window(target, found["shown"].sel(target=name).values)
        for j, sampler in enumerate(samplers):
            one = found.sel(target=name, sampler=sampler)
            _panel(axes[i, j], target, one, window)
            if i == 0:
                axes[i, j].set_title(sampler)
            if j == 0:
                axes[i, j].set_ylabel(name.replace(", ", ",\n"))
    return fig


def _window(target, shown):
    """Ends of both axes: the target's own, which draws may leave."""
    if target.name == "banana":
        return (-3.6, 3.6), (-5, 26)
    if target.name == "funnel":
        return (-9, 9), (-25, 25)
    return (-6, 6), (-6, 6)


def _panel(axis: Axes, target, one, window):
    (left, right), (low, high) = window
    x, y = np.linspace(left, right, GRID), np.linspace(low, high, GRID)
    xs, ys = np.meshgrid(x, y)
    points = np.zeros((*xs.shape, target.size))
    points[..., 0], points[..., 1] = xs, ys
    height = target.log_density(points)
    if target.name == "funnel":  # the other coordinates integrated out
        height = height + 0.5 * (target.size - 2) * xs
    p = np.exp(height - height.max()).ravel()
    order = np.argsort(-p)
    held = np.cumsum(p[order]) / p.sum()
    levels = sorted(p[order[np.searchsorted(held, share)]] for share in (0.95, 0.5))
    axis.contour(x, y, p.reshape(xs.shape), levels, colors=COLORS["truth"], linewidths=0.9)
    shown = one["shown"].values
    axis.plot(*shown.T, ".", ms=1.6, color=COLORS["posterior"], alpha=0.7)
    axis.set_xlim(left, right)
    axis.set_ylim(low, high)
    axis.set_xticks([])
    axis.set_yticks([])
    believed, right_ = bool(one["believed"]), bool(one["right"])
    said = "believed" if believed else "not believed"
    color = COLORS["data"] if believed == right_ or not believed else COLORS["classical"]
    axis.set_xlabel(said + (", and wrong" if believed and not right_ else ""), color=color)
