"""The spectrum with its fit, and the posterior of each parameter with its approximation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import (
    COLORS,
    abscissa,
    axis_label,
    band,
    canvas,
    density,
    few_ticks,
    in_lines,
    key,
    styled,
    with_units,
)
from bayesinf.posterior import noted
from bayesinf.systems.gaussian_peaks.classical import known, scalars, widening
from bayesinf.systems.gaussian_peaks.lines import Lines

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["marginals", "numbers_of_peaks", "spectrum"]


@styled
def spectrum(fit: xr.DataTree) -> Figure:
    """Draw the data with predictive band, curve and components, and the residuals below."""
    (x, y), mean, color = abscissa(fit), noted(fit, "curve"), COLORS["posterior"]
    fig, (above, below) = canvas(2, 1, height=4.6, sharex=True, height_ratios=[3, 1])
    grid, floor, lines = (mean[name].to_numpy() for name in ("grid", "background", "peaks"))
    replicas = fit["posterior_predictive"][y.name].to_numpy()
    band(above, x.to_numpy(), replicas, "posterior", alpha=0.18, line=False)
    label = partial(above.annotate, textcoords="offset points", color=color)
    if fit.attrs["background"] != "none":
        # Under the highest peak the data are far away.
        above.plot(grid, floor, color=color, lw=1, ls=(0, (1, 1.5)))
        top = int(np.argmax(lines.sum(axis=0)))
        label("background", (grid[top], floor[top]), (-4, -4), ha="right", va="top")
    curve, down = floor + lines.sum(axis=0), lines.sum() < 0
    crest = [(grid[k], k) for k in np.argmax(np.abs(lines), axis=1)]
    for k, line in enumerate(lines):
        above.plot(grid, floor + line, color=color, lw=1, ls=(0, (4, 2)))
        # On the far side of the data; of two that stand close the second one is further off.
        close = k and crest[k][0] - crest[k - 1][0] < 0.08 * np.ptp(grid)
        away = (9 + 12 * (k % 2 if close else 0)) * (-1 if down else 1)
        near = np.abs(x.to_numpy() - crest[k][0]) < 0.04 * np.ptp(grid)
        there = np.append(y.to_numpy()[near], curve[crest[k][1]])
        place = crest[k][0], float(there.min() if down else there.max())
        label(f"peak {k + 1}", place, (0, away), ha="center", va="top" if down else "bottom")
    above.margins(y=0.12)
    above.plot(grid, curve, color=color)
    bars = fit["constant_data"]["error"].to_numpy() if "error" in fit["constant_data"] else None
    above.errorbar(x, y, bars, fmt="o", ms=2.5, lw=0.7, color=COLORS["data"], zorder=1.9)
    above.set_ylabel(axis_label(y))
    below.axhspan(-1.96, 1.96, color=color, alpha=0.18, lw=0)
    below.axhline(0, color=color, lw=1)
    below.plot(x, mean["residual"], "o", ms=2.5, color=COLORS["data"])
    below.set_ylabel("residual / noise")
    below.set_xlabel(axis_label(x))
    fig.align_ylabels()
    return fig


@styled
def marginals(fit: xr.DataTree) -> Figure:
    """Draw the posterior of each fitted parameter with its quadratic approximation."""
    shown, certified = list(scalars(fit, Lines.of(fit).fitted)), known(fit, "certified")
    truth = known(fit, "truth") | certified
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    fig, axes = canvas(rows, columns, height=0.4 + 1.7 * rows, squeeze=False)
    for axis in axes.flat[len(shown) :]:
        axis.set_axis_off()
    for axis, (label, draws, best, error, unit) in zip(axes.flat, shown, strict=False):
        sd = error * widening(fit)
        low, high = np.quantile(draws, [0.001, 0.999])
        grid = np.linspace(min(low, best - 3.3 * sd), max(high, best + 3.3 * sd), 300)
        sampled = density(draws.ravel(), grid)
        normal = np.exp(-0.5 * ((grid - best) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
        axis.fill_between(grid, sampled, color=COLORS["posterior"], alpha=0.3, lw=0)
        axis.plot(grid, normal, color=COLORS["second"])
        if label in truth:
            axis.axvline(truth[label], color=COLORS["truth"], lw=1, ls=(0, (4, 2)))
        axis.set_ylim(0, 1.12 * max(sampled.max(), normal.max()))
        few_ticks(axis)
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        axis.set_xlabel(in_lines(with_units(label, unit)))
    second = "Laplace" if fit.attrs["likelihood"] == "normal" else "curvature"
    words = [("emcee", "posterior"), (second, "second")]
    key(
        axes[0, 0],
        words + [("certified" if certified else "truth", "truth")] * bool(truth),
        "upper left",
        12,
    )
    return fig


@styled
def numbers_of_peaks(differences: Mapping[int, tuple[float, float]]) -> Figure:
    """Draw how far each number of peaks is behind the one chosen, in leave-one-out log density.

    Parameters
    ----------
    differences : number of peaks to elpd − that of the chosen number, and its standard error.
    """
    fig, axis = canvas(1, 1, height=2.2)
    numbers = sorted(differences)
    values, errors = zip(*(differences[number] for number in numbers), strict=True)
    axis.axhline(0, color=COLORS["truth"], lw=1, ls=(0, (4, 2)))
    axis.errorbar(numbers, values, errors, fmt="o", color=COLORS["posterior"])
    axis.set_xticks(numbers)
    axis.set_xlabel("number of peaks")
    axis.set_ylabel("elpd − best")
    return fig
