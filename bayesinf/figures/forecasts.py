"""Forecasts: a fan over what came, and how good forecasts are the further they reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.figures.bands import band
from bayesinf.figures.canvas import COLORS, canvas, key, styled, with_units

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

__all__ = ["forecast_fan"]

FAN = {0.95: 0.15, 0.8: 0.2, 0.5: 0.25}  # central intervals, and how opaque they are
REFERENCES = ("classical", "second", "prior")  # colours of references, in their order


@styled
def forecast_fan(
    draws: xr.DataArray,
    observed: ArrayLike | None = None,
    scored: xr.Dataset | None = None,
    past: ArrayLike | None = None,
) -> Figure:
    """Draw a forecast as a fan by horizon, what came, and the scores by horizon.

    Above, from one origin: the median of the draws and their central intervals of 50, 80 and 95 %.
    Below, over all origins, with standard errors: the CRPS beside that of the references, and how
    often intervals cover what came, less what they say.

    Parameters
    ----------
    draws : of one variable from one origin, (chain, draw, horizon), as of ``forecasts.forecast``.
    observed : what came, (horizon,).
    scored : as of ``forecasts.scores``; None leaves the lower row out.
    past : what was measured up to the origin, (time,), in steps of the horizon's spacing.

    Returns
    -------
    a Figure.

    Raises
    ------
    DataError : the draws have other axes.
    """
    if set(draws.dims) != {"chain", "draw", "horizon"}:
        raise DataError(
            "these are no draws of one forecast",
            expected="chain, draw and horizon",
            found=", ".join(map(str, draws.dims)),
            remedy="choose one origin and one variable",
        )
    if scored is None:
        fig, axis = canvas(height=2.8)
    else:
        fig, axes = canvas(2, 2, height=5.0, height_ratios=(3, 2))
        axis, (crps, coverage) = _joined(axes[0]), axes[1]
        _scores(crps, scored, draws)
        _coverage(coverage, scored)
    h, unit = draws["horizon"].values, draws["horizon"].attrs.get("units", "1")
    paths = draws.transpose("chain", "draw", "horizon").values.reshape(-1, h.size)
    for level, alpha in FAN.items():
        band(axis, h, paths, "posterior", level=level, alpha=alpha, line=False)
    axis.plot(h, np.median(paths, axis=0), color=COLORS["posterior"])
    if past is not None:
        before = h[0] * np.arange(1 - np.size(past), 1)
        axis.plot(before, past, "-", lw=0.8, marker="o", ms=2.5, color=COLORS["data"])
        axis.axvline(0, color=COLORS["prior"], lw=0.8)
    if observed is not None:
        axis.plot(h, observed, "o", ms=3.5, color=COLORS["data"], zorder=3)
    axis.set_xlabel(with_units("time after the origin", unit))
    axis.set_ylabel(with_units(str(draws.name or "y"), draws.attrs.get("units", "1")))
    axis.margins(x=0.02)
    words = [("forecast: median, 50, 80 and 95 %", "posterior")]
    key(axis, words + ([("what was measured", "data")] if observed is not None else []), "above")
    return fig


def _joined(row):
    """One axis in the place of a row of two."""
    fig, grid = row[0].figure, row[0].get_gridspec()
    for axis in row:
        axis.remove()
    return fig.add_subplot(grid[0, :])


def _scores(axis, scored, draws):
    """The CRPS by horizon, and that of the references."""
    h, own = scored["horizon"].values, scored["crps"].values
    axis.errorbar(h, own, scored["crps_error"].values, fmt="o-", ms=3, color=COLORS["posterior"])
    words = [("forecast", "posterior")]
    names = scored["reference"].values if "skill" in scored else []
    for name, color in zip(names, REFERENCES, strict=False):
        axis.plot(h, own / (1 - scored["skill"].sel(reference=name)), "--", color=COLORS[color])
        words.append((str(name), color))
    key(axis, words, "above")
    axis.set_ylim(bottom=0)
    axis.set_xlabel(_horizon(scored))
    axis.set_ylabel(with_units("CRPS", draws.attrs.get("units", "1")))


def _coverage(axis, scored):
    """How often central intervals cover what came, less what they say, by horizon."""
    h = scored["horizon"].values
    width = 0.12 * np.min(np.diff(h)) if h.size > 1 else 0.1
    levels = scored["level"].values
    shades = np.linspace(0.45, 1.0, len(levels))
    axis.axhline(0, color=COLORS["prior"], lw=0.8)
    for k, (level, shade) in enumerate(zip(levels, shades, strict=True)):
        off, error = (
            100 * scored[name].sel(level=level).values for name in ("coverage", "coverage_error")
        )
        place = h + width * (k - (len(levels) - 1) / 2)
        axis.errorbar(
            place,
            off - 100 * level,
            error,
            fmt="o",
            ms=3,
            color=COLORS["posterior"],
            alpha=shade,
            label=f"{level:.0%}",
        )
    axis.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=len(levels),
        handletextpad=0.1,
        columnspacing=0.8,
        borderaxespad=0.1,
    )
    axis.set_xlabel(_horizon(scored))
    axis.set_ylabel("coverage − nominal (%)")


def _horizon(scored):
    return with_units("horizon", scored["horizon"].attrs.get("units", "1"))
