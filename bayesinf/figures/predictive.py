"""What the model expects of data, before and after it has seen any."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.figures.bands import along_abscissa, band
from bayesinf.figures.canvas import (
    COLORS,
    axis_label,
    canvas,
    few_ticks,
    interval,
    padded,
    span,
    styled,
    with_units,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["new_rows", "predictive_statistics", "prior_predictive"]

ROWS = 60  # of a new file that are drawn
TITLE = 24  # letters to a line above axes a third of the page wide


@styled
def predictive_statistics(fit: xr.DataTree) -> Figure:
    """Draw statistics of the data against those of data replicated from the posterior.

    The posterior predictive p-value is the share of draws in which the replica's statistic is the
    larger one (Gelman, Meng & Stern, Statistica Sinica 6, 733 (1996)). A statistic that depends
    on the parameters has its own value of the data for each draw, and is shown draw by draw.

    Parameters
    ----------
    fit : InferenceData with ``discrepancy`` and ``discrepancy_observed`` in ``sample_stats``.

    Returns
    -------
    a Figure, three statistics to a row.

    Raises
    ------
    DataError : there are none.
    """
    statistics = fit["sample_stats"]
    if "discrepancy" not in statistics or not statistics["discrepancy"].size:
        raise DataError(
            "no statistics of replicas", source="sample_stats", expected="replicas of the data"
        )
    replicated, observed = (
        fit["sample_stats"][name].stack(sample=("chain", "draw"))
        for name in ("discrepancy", "discrepancy_observed")
    )
    names = [str(name) for name in replicated.statistic.values]
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    fig, axes = canvas(rows, columns, height=0.5 + 2.3 * rows, squeeze=False)
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    for axis, name in zip(axes.flat, names, strict=False):
        replica, data = replicated.sel(statistic=name).values, observed.sel(statistic=name).values
        level = np.mean(replica > data) + np.mean(replica == data) / 2
        axis.set_title("\n".join([*textwrap.wrap(name, TITLE), f"p {_tail(level)}"]))
        if np.ptp(data) <= 1e-9 * max(1.0, np.abs(data).max()):
            bars = min(30, max(8, np.unique(replica).size))
            look = {"color": COLORS["posterior"], "alpha": 0.45}
            ends = _resolved(np.min(replica), np.max(replica))
            axis.hist(replica, bars, range=ends, histtype="stepfilled", **look)
            axis.axvline(data[0], color=COLORS["data"], lw=2)
            axis.annotate(
                "data",
                (data[0], 1),
                (4, 0),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                va="top",
                color=COLORS["data"],
            )
            axis.set_xlabel("statistic of a replica")
            axis.yaxis.set_visible(False)
            axis.spines["left"].set_visible(False)
            axis.set_xlim(padded([*_resolved(*span(replica, 0.001)), data[0]]))
            axis.margins(y=0.15)
        else:
            step = -(-replica.size // 1500)
            axis.plot(
                data[::step],
                replica[::step],
                ".",
                color=COLORS["posterior"],
                ms=3,
                alpha=0.35,
                mec="none",
            )
            axis.axline((data[0], data[0]), slope=1, color=COLORS["data"], lw=1)
            axis.set_xlim(padded(span(data, 0.002)))
            axis.set_ylim(padded(np.concatenate([span(replica, 0.002), span(data, 0.002)])))
            axis.set_xlabel("of the data")
            axis.set_ylabel("of a replica")
        few_ticks(axis)
    return fig


@styled
def prior_predictive(fit: xr.DataTree, y: str | None = None, x: str | None = None) -> Figure:
    """Draw the data that the priors expect, 50 and 90 % of them, with the data that came.

    Parameters
    ----------
    fit : InferenceData whose data have an ``abscissa``.
    y, x : names, as ``abscissa`` takes them.

    Returns
    -------
    a Figure, scaled to the data and to most of what was expected.

    Raises
    ------
    DataError : the data have no abscissa.
    """
    x, y, order = along_abscissa(fit, y, x)
    expected = fit["prior_predictive"][y.name].to_numpy().reshape(-1, x.size)[:, order]
    expected = expected[np.isfinite(expected).all(axis=1)]
    place = x.values[order]
    fig, axis = canvas(height=3.2)
    for level, alpha in ((0.9, 0.2), (0.5, 0.35)):
        band(axis, place, expected, "prior", level=level, alpha=alpha, line=False)
        axis.annotate(
            f"{level:.0%}",
            (float(place[-1]), interval(expected, level)[2][-1]),
            (3, 0),
            va="center",
            color=COLORS["prior"],
            textcoords="offset points",
            annotation_clip=False,
        )
    axis.plot(place, np.median(expected, axis=0), color=COLORS["prior"])
    axis.plot(x, y, "o", ms=2, color=COLORS["data"])
    axis.set_xlabel(axis_label(x))
    axis.set_ylabel(axis_label(y))
    return fig


def _resolved(low, high):
    """The ends, farther apart where they differ by rounding alone, which no axis shows."""
    least = 1e-9 * max(abs(low), abs(high)) or 1.0
    if high - low >= least:
        return low, high
    middle = (low + high) / 2
    return middle - least, middle + least


def _tail(level):
    """A share near 0 or 1 as a bound, since 1.00 would read as the best of agreements."""
    if 0.001 <= level <= 0.999:
        return f"= {level:.{2 if 0.1 <= level < 0.995 else 3}f}"
    return "< 0.001" if level < 0.5 else "> 0.999"


@styled
def new_rows(fit: xr.DataTree, target: str) -> Figure:
    """Draw the predictions of rows of a new file: bands of the mean and of data.

    Parameters
    ----------
    fit : InferenceData with predictions over ``new_row``.
    target : which of them are new data.
    """
    group = fit["predictions"]
    count = min(group.sizes["new_row"], ROWS)
    fig, axis = canvas(1, 1, height=3.4)
    place = np.arange(count)
    for what, width, alpha in ((target, 5.0, 0.3), ("mean", 2.0, 1.0)):
        draws = group[what].transpose("chain", "draw", ...).values[..., :count]
        low, _, high = interval(draws.reshape(-1, count), 0.95)
        axis.vlines(place, low, high, color=COLORS["posterior"], lw=width, alpha=alpha)
    rows = group["new_row"].values[:count]
    step = max(1, count // 15)
    axis.set_xticks(place[::step], [str(row) for row in rows[::step]])
    axis.set_xlabel("row of the new file")
    axis.set_ylabel(with_units(target, group[target].attrs.get("units", "1")))
    axis.plot([], [], color=COLORS["posterior"], lw=2, label="mean, 95 %")
    axis.plot([], [], color=COLORS["posterior"], lw=5, alpha=0.3, label="new data, 95 %")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return fig
