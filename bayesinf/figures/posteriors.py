"""What the posterior says: densities against the prior, and parameters in pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures.canvas import (
    COLORS,
    canvas,
    elements,
    few_ticks,
    in_lines,
    interval,
    key,
    padded,
    span,
    styled,
    with_units,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["density", "forest", "pair", "prior_posterior"]


def density(draws: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Estimate the density of draws by a normal kernel, robust against heavy tails.

    Parameters
    ----------
    draws : any shape; where all are positive the estimate is reflected at zero.
    grid : points, (point,).

    Returns
    -------
    density, (point,).
    """
    draws = np.ravel(draws).astype(float)
    draws = draws[:: max(1, draws.size // 20_000)]
    quartiles = np.quantile(draws, [0.25, 0.75])
    spreads = [draws.std(), (quartiles[1] - quartiles[0]) / 1.34]
    width = 1.06 * min([s for s in spreads if s > 0] or [1e-3]) * draws.size**-0.2
    width = max(width, 0.2 * (grid[1] - grid[0]))

    def kernel(x):
        return np.exp(-0.5 * ((x[:, None] - draws) / width) ** 2).sum(1)

    total = kernel(grid)
    if draws.min() > 0:
        total = np.where(grid < 0, 0.0, total + kernel(-grid))
    return total / (draws.size * width * np.sqrt(2 * np.pi))


@styled
def pair(
    fits: xr.DataTree | Mapping[str, xr.DataTree],
    var_names: Sequence[str],
    truth: Mapping[str, float] | None = None,
) -> Figure:
    """Draw every pair of parameters: regions of highest density that hold 50 and 90 %.

    Parameters
    ----------
    fits : an InferenceData, or name to InferenceData; the first is filled, the others are lines.
    var_names : variables or elements, the same in each fit.
    truth : label to known value.

    Returns
    -------
    a Figure with a triangle of axes, marginal densities on its diagonal.
    """
    fits = fits if isinstance(fits, Mapping) and not hasattr(fits, "children") else {"": fits}
    truth = truth or {}
    # The closest parallel of a third and a fourth posterior; more than that nobody tells apart.
    colors = [COLORS["posterior"], COLORS["second"], "#56B4E9", "#E69F00"]
    parts = [elements(fit, var_names) for fit in fits.values()]
    labels = list(parts[0])
    size = len(labels)
    side = min(7.2, 1.2 + 1.7 * size)
    named = in_lines if size > 3 else str
    fig, axes = canvas(size, size, height=side, squeeze=False, sharex="col")
    fig.get_layout_engine().set(w_pad=0.03, h_pad=0.03)
    ranges = {
        label: padded(
            np.concatenate([span(part[label].values, 0.002) for part in parts]),
            [truth[label]] if label in truth else [],
        )
        for label in labels
    }
    for i, below in enumerate(labels):
        for j, beside in enumerate(labels):
            axis = axes[i, j]
            if j > i:
                axis.set_axis_off()
                continue
            if i == j:
                grid = np.linspace(*ranges[below], 200)
                for part, color in zip(parts, colors, strict=False):
                    curve = density(part[below].values, grid)
                    axis.plot(grid, curve / curve.max(), color=color)
                axis.set_ylim(0, 1.15)
                axis.spines["left"].set_visible(False)
            else:
                for k, (part, color) in enumerate(zip(parts, colors, strict=False)):
                    _regions(axis, part[beside].values, part[below].values, color, filled=k == 0)
                axis.set_ylim(ranges[below])
                if below in truth:
                    axis.axhline(truth[below], color=COLORS["truth"], lw=1, ls=(0, (4, 2)))
            if beside in truth:
                axis.axvline(truth[beside], color=COLORS["truth"], lw=1, ls=(0, (4, 2)))
            axis.set_xlim(ranges[beside])
            few_ticks(axis)
            if j == 0 and i > 0:
                axis.set_ylabel(named(with_units(below, parts[0][below].units)))
            else:
                axis.tick_params(labelleft=False, left=j == 0 and i > 0)
            if i == size - 1:
                axis.set_xlabel(named(with_units(beside, parts[0][beside].units)))
                axis.tick_params(axis="x", labelrotation=35 if size > 3 else 0)
            else:
                axis.tick_params(labelbottom=False)
            if i != j:
                axis.tick_params(left=True)
    fig.align_labels()
    words = [(name, color) for name, color in zip(fits, colors, strict=False) if name]
    words += [("truth", COLORS["truth"])] if truth else []
    corner = axes[0, -1] if size > 1 else axes[0, 0]
    key(corner, words)
    return fig


@styled
def prior_posterior(
    fit: xr.DataTree, var_names: Sequence[str], truth: Mapping[str, float] | None = None
) -> Figure:
    """Draw what was believed before the data against what is believed after them.

    Each axis spans the posterior and what of the prior lies near it, so a heavy-tailed prior does
    not squeeze the posterior into a line; where it is so wide that it would be a line on the axis,
    a number says how many times narrower the posterior is. Densities share the vertical scale; a
    mass on a single value (a spike at zero, an indicator) is drawn as a bar of its probability.

    Parameters
    ----------
    fit : InferenceData with the group ``prior``.
    var_names : variables or elements that both groups hold.
    truth : label to known value.

    Returns
    -------
    a Figure, three parameters to a row.
    """
    after, before = elements(fit, var_names), elements(fit, var_names, "prior")
    truth = truth or {}
    columns = min(3, len(after))
    rows = -(-len(after) // columns)
    fig, axes = canvas(rows, columns, height=0.4 + 1.9 * rows, squeeze=False)
    for axis in axes.flat[len(after) :]:
        axis.set_axis_off()
    for axis, (label, array) in zip(axes.flat, after.items(), strict=False):
        known = [truth[label]] if label in truth else []
        posterior, prior = np.ravel(array.values), np.ravel(before[label].values)
        axis.set_xlabel(with_units(label, array.units))
        axis.yaxis.set_visible(False)
        axis.spines["left"].set_visible(False)
        spikes = {"posterior": _masses(posterior), "prior": _masses(prior)}
        slab = posterior[~np.isin(posterior, list(spikes["posterior"]))]
        low, high = span(slab if slab.size > 50 else posterior, 0.025)
        wide = 0.8 * (high - low)
        floor, ceiling = span(prior, 0.01)
        window = min(low, max(low - wide, floor)), max(high, min(high + wide, ceiling))
        window = padded(window, [*known, *spikes["posterior"], *spikes["prior"]])
        if posterior.min() > 0 and prior.min() > 0:
            window = max(0.0, window[0]), window[1]
        axis.set_xlim(window)
        grid = np.linspace(*window, 300)
        curves = []
        for draws, role in ((posterior, "posterior"), (prior, "prior")):
            masses = spikes[role]
            rest = draws[~np.isin(draws, list(masses))]
            if rest.size > 1:
                curve = density(rest, grid) * rest.size / draws.size
                axis.plot(grid, curve, color=COLORS[role])
                if role == "posterior":
                    axis.fill_between(grid, curve, color=COLORS[role], alpha=0.18)
                curves.append(curve)
            if masses:
                # A probability has a scale of its own, the height of the axis.
                shift = 0.006 * (window[1] - window[0]) * (1 if role == "posterior" else -1)
                heights = [0.9 * share for share in masses.values()]
                places, scale = [value + shift for value in masses], axis.get_xaxis_transform()
                axis.vlines(places, 0, heights, color=COLORS[role], lw=3, transform=scale)
        axis.set_ylim(0, 1.25 * max((c.max() for c in curves), default=1.0))
        for value in known:
            axis.axvline(value, color=COLORS["truth"], lw=1, ls=(0, (4, 2)))
        narrower = _narrowing(posterior, prior)
        if narrower > FLAT_PRIOR:
            axis.annotate(
                f"{float(f'{narrower:.2g}'):.0f} × narrower"
                if narrower < 1e4
                else "> 10 000 × narrower",
                (1, 1),
                (0, -2),
                xycoords="axes fraction",
                textcoords="offset points",
                ha="right",
                va="top",
                color=COLORS["prior"],
                fontsize="small",
                bbox={"fc": "white", "ec": "none", "pad": 1},
            )
        few_ticks(axis)
    roles = ("posterior", "prior", "truth")[: 2 + bool(truth)]
    key(axes[0, 0], zip(roles, roles, strict=True), "above")
    return fig


@styled
def forest(
    fit: xr.DataTree, var_names: Sequence[str], truth: Mapping[str, float] | None = None
) -> Figure:
    """Draw intervals that hold 50 and 95 % of the posterior, with its median, one below the other.

    Parameters
    ----------
    fit : InferenceData.
    var_names : variables or elements; parameters of one unit share a scale, so give those that do.
    truth : label to known value.

    Returns
    -------
    a Figure, a row for each.
    """
    arrays, truth = elements(fit, var_names), truth or {}
    fig, axis = canvas(height=0.7 + 0.24 * len(arrays))
    for row, (label, array) in enumerate(arrays.items()):
        for level, width in ((0.95, 1.2), (0.5, 3.5)):
            low, middle, high = interval(np.ravel(array.values), level)
            axis.plot([low, high], [row, row], color=COLORS["posterior"], lw=width)
        axis.plot(middle, row, "o", ms=4, color=COLORS["posterior"], mec="white", mew=0.6)
        if label in truth:
            axis.plot(truth[label], row, "|", ms=9, mew=1.5, color=COLORS["truth"])
    axis.set_yticks(range(len(arrays)), list(arrays))
    axis.set_ylim(len(arrays) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    units = {array.units for array in arrays.values()}
    axis.set_xlabel(with_units("value", units.pop() if len(units) == 1 else "1"))
    return fig


FLAT_PRIOR = 12.0  # how much wider a prior must be to be a line on the axis


def _narrowing(posterior, prior):
    """How many times narrower the central half of the posterior is than that of the prior."""
    low, high = np.quantile(posterior, [0.25, 0.75])
    floor, ceiling = np.quantile(prior, [0.25, 0.75])
    return (ceiling - floor) / (high - low) if high > low else 0.0


def _masses(draws):
    """Value to probability, for the values on which more than one draw in fifty falls."""
    values, counts = np.unique(draws, return_counts=True)
    heavy = counts > max(5, draws.size / 50)
    return dict(zip(values[heavy], counts[heavy] / draws.size, strict=True))


def _regions(axis, x, y, color, *, filled):
    """Regions of highest density with 50 and 90 %, from a smoothed histogram of whitened draws.

    Whitening lets one smoothing width serve the narrowest ridge.
    """
    from scipy.ndimage import gaussian_filter

    draws = np.stack([np.ravel(x), np.ravel(y)]).astype(float)
    covariance = np.cov(draws)
    if not np.linalg.det(covariance) > 1e-12 * covariance[0, 0] * covariance[1, 1]:
        axis.plot(*draws[:, :: max(1, draws.shape[1] // 500)], ".", color=color, ms=2, alpha=0.3)
        return
    centre, root = draws.mean(1, keepdims=True), np.linalg.cholesky(covariance)
    white = np.linalg.solve(root, draws - centre)
    edges = [np.linspace(*padded(span(w, 0.001), pad=0.25), 81) for w in white]
    counts, *_ = np.histogram2d(*white, edges)
    smooth = [1.3 * white.shape[1] ** (-1 / 6) / (edge[1] - edge[0]) for edge in edges]
    height = gaussian_filter(counts, smooth, mode="constant")
    # The level above which a share of the draws lies, whatever the smoothing (Hyndman 1996).
    place = [np.clip(np.digitize(w, edge) - 1, 0, 79) for w, edge in zip(white, edges, strict=True)]
    levels = np.quantile(height[*place], [0.1, 0.5])
    middles = np.meshgrid(*[(edge[1:] + edge[:-1]) / 2 for edge in edges], indexing="ij")
    grid = np.tensordot(root, np.stack(middles), 1) + centre[..., None]
    if filled:
        for level, alpha in zip(levels, (0.25, 0.45), strict=True):
            axis.contourf(*grid, height, [level, height.max() * 1.01], colors=[color], alpha=alpha)
    axis.contour(*grid, height, levels, colors=[color], linewidths=1.0)
