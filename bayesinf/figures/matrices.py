"""Couplings as heat maps: one symmetric scale, so that colours can be compared across panels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures.canvas import COLORS, canvas, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

__all__ = ["heat_map", "matrices"]


def heat_map(axis: Axes, matrix: np.ndarray, limit: float) -> AxesImage:
    """Draw a matrix (row, column) in red (positive) and blue, white at 0, on −limit to limit."""
    from matplotlib.ticker import MaxNLocator

    axis.tick_params(length=2)
    for side in (axis.xaxis, axis.yaxis):  # there is no row 2.5
        side.set_major_locator(MaxNLocator(5, integer=True))
    return axis.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")


@styled
def matrices(
    panels: Mapping[str, np.ndarray] | Sequence[Mapping[str, np.ndarray]],
    *,
    label: str,
    roles: Mapping[str, str] | None = None,
    limit: float | None = None,
    axes_labels: tuple[str, str] = ("site j", "site i"),
) -> Figure:
    """Draw matrices side by side on one scale.

    Parameters
    ----------
    panels : title to matrix, (row, column); several such mappings make several rows of panels.
    label : of the colour bar.
    roles : title to a role of ``COLORS``, in which the title is written.
    limit : largest value on the scale; None takes the 99.9 % quantile of each panel, at most.
    axes_labels : of columns and rows.

    Returns
    -------
    a Figure.
    """
    rows = [panels] if isinstance(panels, Mapping) else list(panels)
    if limit is None:
        limit = max(np.nanquantile(np.abs(m), 0.999) for row in rows for m in row.values()) or 1.0
    columns = max(map(len, rows))
    fig, axes = canvas(
        len(rows), columns, height=0.3 + 2.0 * len(rows), squeeze=False, sharex=True, sharey=True
    )
    for row, entries in zip(axes, rows, strict=True):
        for axis in row[len(entries) :]:
            axis.set_axis_off()
        for axis, (title, matrix) in zip(row, entries.items(), strict=False):
            image = heat_map(axis, matrix, float(limit))
            role = (roles or {}).get(title, "data")
            axis.set_title(title, color=COLORS.get(role, role), fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel(axes_labels[0])
    for axis in axes[:, 0]:
        axis.set_ylabel(axes_labels[1])
    fig.colorbar(image, ax=axes, label=label, shrink=0.7)
    return fig
