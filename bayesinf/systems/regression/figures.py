"""Figures of this system: InferenceData in, matplotlib Figure out."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import COLORS, canvas, interval, styled, with_units
from bayesinf.posterior import noted

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["MARKS", "comparison", "curves", "effects", "fitted", "groups"]

SHOWN = 30  # rows of a forest
MARKS = {
    "ols": "o",
    "ridge": "^",
    "lasso": "x",
    "ml": "o",
    "quasi_poisson": "o",
}  # of the classical estimates
LETTERS = 28  # of a label
COLUMNS = 3  # of panels


def short(label: str) -> str:
    """Return a label that is no longer than the margin of a picture."""
    return label if len(label) <= LETTERS else f"{label[: LETTERS - 2]}…"


def target(fit: xr.DataTree, prefix: str = "") -> str:
    """Label of the target, with its unit."""
    observed = fit["observed_data"][fit.attrs["target"]]
    return with_units(f"{prefix}{fit.attrs['target']}", observed.attrs.get("units", "1"))


def scale_label(fit: xr.DataTree) -> str:
    """Label of the linear predictor."""
    links = dict.fromkeys(("poisson", "negbinomial"), "log rate of ")
    links |= dict.fromkeys(("bernoulli", "binomial"), "log odds of ")
    link = links.get(fit.attrs["response"])
    return f"{link}{fit.attrs['target']}" if link else target(fit)


AROUND = 1.0  # lengths of the intervals together, to either side of which classical marks are drawn


@styled
def effects(fit: xr.DataTree) -> Figure:
    """Draw the effect of one standard deviation of each column, with classical estimates."""
    found = noted(fit, "effects")
    spread = found["spread"].values
    size = np.abs(found["mean"].values * spread)
    order = np.sort(np.argsort(-size, kind="stable")[:SHOWN])
    fig, axis = canvas(1, 1, height=max(2.0, 0.8 + 0.26 * len(order)))
    place = np.arange(len(order))[::-1]
    low, mean, high = (
        found[name].values[order] * spread[order] for name in ("low", "mean", "high")
    )
    axis.axvline(0, color=COLORS["prior"], lw=0.8)
    axis.hlines(place, low, high, color=COLORS["posterior"], lw=2.2)
    axis.plot(mean, place, "|", color=COLORS["posterior"], ms=9, mew=1.6)
    # Columns that repeat one another leave classical estimates far out, and all else a dot.
    reach = AROUND * (max(high.max(), 0.0) - min(low.min(), 0.0))
    ends = min(low.min(), 0.0) - reach, max(high.max(), 0.0) + reach
    names = [name for name in MARKS if name in found]
    for k, name in enumerate(names):
        at = place - 0.16 * (k + 1)
        style = {"color": COLORS["classical"], "ms": 4.5, "mfc": "none", "label": _CALLED[name]}
        value = found[name].values[order] * spread[order]
        inside = (value >= ends[0]) & (value <= ends[1])
        axis.plot(value[inside], at[inside], MARKS[name], **style)
        for arrow, end, beyond in (
            ("<", ends[0], value < ends[0]),
            (">", ends[1], value > ends[1]),
        ):
            axis.plot(np.full(beyond.sum(), end), at[beyond], arrow, **style | {"label": None})
    axis.set_yticks(place, [short(str(name)) for name in found["feature"].values[order]])
    axis.set_ylim(-0.8, len(order) - 0.4)
    axis.set_xlabel(f"change of {scale_label(fit)}\nper standard deviation of the column")
    axis.plot([], [], color=COLORS["posterior"], lw=2.2, label="posterior, 95 %")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False)
    return fig


_CALLED = {"ols": "least squares", "ridge": "ridge", "lasso": "lasso", "ml": "maximum likelihood"}
_CALLED |= {"quasi_poisson": "Poisson's maximum likelihood"}


@styled
def curves(fit: xr.DataTree) -> Figure:
    """Draw the mean of the target along each column."""
    found = noted(fit, "curves")
    names = [str(name) for name in found["column"].values]
    across = min(COLUMNS, len(names))
    down = -(-len(names) // across)
    fig, axes = canvas(down, across, height=0.5 + 2.1 * down, squeeze=False, sharey=True)
    for k, axis in enumerate(np.ravel(axes)):
        if k >= len(names):
            axis.set_visible(False)
            continue
        grid = found[f"at_{k}"].values
        low, mean, high = (found[f"{what}_{k}"].values for what in ("low", "mean", "high"))
        if grid.dtype.kind in "US" or len(grid) <= 8:
            place = np.arange(len(grid))
            axis.vlines(place, low, high, color=COLORS["posterior"], lw=2.2)
            axis.plot(place, mean, "o", color=COLORS["posterior"], ms=4)
            words = [short(f"{v:g}" if grid.dtype.kind == "f" else str(v)) for v in grid]
            turn = 35 if sum(map(len, words)) > 18 else 0
            axis.set_xticks(place, words, rotation=turn, ha="right" if turn else "center")
            axis.set_xlim(-0.6, len(grid) - 0.4)
        else:
            axis.fill_between(grid, low, high, color=COLORS["posterior"], alpha=0.25, lw=0)
            axis.plot(grid, mean, color=COLORS["posterior"])
            known = fit["constant_data"].get(names[k])
            if known is not None:
                rug = np.quantile(known.values, np.linspace(0, 1, 60))
                axis.plot(
                    rug,
                    np.full(60, 0.02),
                    "|",
                    color=COLORS["data"],
                    ms=5,
                    mew=0.5,
                    transform=axis.get_xaxis_transform(),
                )
        unit = fit["constant_data"].get(names[k])
        unit = "1" if unit is None else unit.attrs.get("units", "1")
        axis.set_xlabel(short(with_units(names[k], unit)))
        if k % across == 0:
            axis.set_ylabel(target(fit, "mean "))
    return fig


@styled
def groups(fit: xr.DataTree) -> Figure:
    """Draw the effects of the groups with their intervals."""
    found = noted(fit, "groups")
    along = found["along"].values
    panels = [found.isel(effect=along == column) for column in dict.fromkeys(along.tolist())]
    counts = [min(one.sizes["effect"], 2 * SHOWN) for one in panels]
    fig, axes = canvas(
        len(panels),
        1,
        height=max(2.0, 0.8 * len(panels) + 0.2 * sum(counts)),
        squeeze=False,
        height_ratios=counts,
    )
    for axis, one, count in zip(axes[:, 0], panels, counts, strict=True):
        order = np.argsort(one["mean"].values, kind="stable")
        order = order[np.unique(np.linspace(0, len(order) - 1, count).astype(int))]
        place = np.arange(count)
        low, mean, high = (one[name].values[order] for name in ("low", "mean", "high"))
        axis.axvline(0, color=COLORS["prior"], lw=0.8)
        axis.hlines(place, low, high, color=COLORS["posterior"], lw=2)
        axis.plot(mean, place, "o", color=COLORS["posterior"], ms=3.5)
        named = [str(name).replace("|", " | ") for name in one["effect"].values[order]]
        axis.set_yticks(place, [short(name) for name in named])
        column = str(one["along"].values[0])
        what = f"shift of {scale_label(fit)}"
        axis.set_xlabel(f"{what} per unit of {short(column)}" if column else what)
    axes[0, 0].plot([], [], color=COLORS["posterior"], lw=2, label="posterior, 95 %")
    axes[0, 0].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    return fig


@styled
def fitted(fit: xr.DataTree) -> Figure:
    """Draw the data against what the posterior foretells of them."""
    name = fit.attrs["target"]
    y = fit["observed_data"][name].values
    replicas = fit["posterior_predictive"][name].transpose("chain", "draw", ...).values
    replicas = replicas.reshape(-1, len(y))
    low, _, high = interval(replicas, 0.95)
    mean = replicas.mean(axis=0)
    fig, axis = canvas(1, 1, height=3.6)
    axis.vlines(mean, low, high, color=COLORS["posterior"], lw=0.8, alpha=0.35)
    axis.plot(mean, y, ".", color=COLORS["data"], ms=3.5)
    axis.axline((mean.mean(), mean.mean()), slope=1, color=COLORS["posterior"], lw=1)
    axis.set_xlabel(target(fit, "expected "))
    axis.set_ylabel(target(fit))
    axis.plot([], [], ".", color=COLORS["data"], label="data")
    axis.plot([], [], color=COLORS["posterior"], lw=2, alpha=0.5, label="95 % of replicas")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return fig


@styled
def comparison(fit: xr.DataTree) -> Figure:
    """Draw how far each formula's score lies behind the best."""
    found = noted(fit, "comparison")
    count = found.sizes["formula"]
    fig, axis = canvas(1, 1, height=1.2 + 0.6 * count)
    place = np.arange(count)[::-1]
    behind, error = found["elpd_behind"].values, found["behind_se"].values
    axis.axvline(0, color=COLORS["prior"], lw=0.8)
    axis.hlines(place, behind - 2 * error, behind + 2 * error, color=COLORS["posterior"], lw=2)
    axis.plot(behind, place, "o", color=COLORS["posterior"], ms=5)
    said = [textwrap.fill(str(name), 36) for name in found["formula"].values]
    axis.set_yticks(place, said, fontsize="small")
    axis.set_ylim(-0.7, count - 0.3)
    axis.set_xlabel("log score of left-out rows, less that of the best formula")
    return fig
