"""Data with a band: what the draws say along the axis that the data were measured on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesinf.errors import DataError
from bayesinf.figures.canvas import COLORS, axis_label, canvas, interval, key, styled
from bayesinf.foreign import adopted

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["abscissa", "along_abscissa", "band", "predictive_band"]

ERRORS = {"error", "errors", "sigma", "sd", "se", "std", "yerr"}  # error bars, by their name


def band(
    axis: Axes,
    x: np.ndarray,
    draws: np.ndarray,
    color: str,
    *,
    level: float = 0.95,
    alpha: float = 0.22,
    line: bool = True,
    **options: Any,
) -> None:
    """Draw the interval that holds a share of the draws at each point, and their mean.

    Parameters
    ----------
    axis : to draw on.
    x : where, (point,).
    draws : (..., point).
    color : a role of ``COLORS``, or any colour of matplotlib's.
    level : share of the draws inside.
    alpha : opacity of the band.
    line : whether the mean is drawn.
    **options : of that line.
    """
    color = COLORS.get(color, color)
    draws = np.reshape(draws, (-1, len(x)))
    low, _, high = interval(draws, level)
    axis.fill_between(x, low, high, color=color, alpha=alpha, lw=0)
    if line:
        axis.plot(x, draws.mean(axis=0), color=color, **options)


def abscissa(
    fit: xr.DataTree, y: str | None = None, x: str | None = None
) -> tuple[xr.DataArray, xr.DataArray] | None:
    """Find what was measured, and against what.

    Parameters
    ----------
    fit : InferenceData.
    y : of ``observed_data``; None takes the first variable along one dimension that is replicated.
    x : of ``constant_data`` or a coordinate; None takes the first numbers along that dimension.

    Returns
    -------
    x and y, (point,); None where the data have no such axis.

    Raises
    ------
    DataError : a name was given that is not there.
    """
    fit = adopted(fit)
    observed, constants = fit["observed_data"], fit["constant_data"]
    if y is not None and y not in observed.data_vars:
        raise DataError(
            f"no variable {y!r}", source="observed_data", expected=f"one of {list(observed)}"
        )
    replicated = fit["posterior_predictive"].data_vars
    names = [y] if y is not None else [n for n in observed.data_vars if n in replicated]
    values = next((observed[n] for n in names if observed[n].ndim == 1), None)
    if values is None:
        return None
    (dim,) = values.dims
    if x is not None:
        if x not in constants.variables:
            raise DataError(
                f"no variable {x!r}", source="constant_data", expected=f"one of {list(constants)}"
            )
        return constants[x], values
    # A name with a dot is a result that was put beside the fit, an error bar no place.
    found = [
        variable
        for name, variable in constants.data_vars.items()
        if variable.dims == (dim,) and "." not in name and name not in ERRORS
    ]
    found += [coordinate for coordinate in values.coords.values() if coordinate.dims == (dim,)]
    found = [variable for variable in found if variable.dtype.kind in "iuf"]
    return (found[0], values) if found else None


def along_abscissa(
    fit: xr.DataTree, y: str | None = None, x: str | None = None
) -> tuple[xr.DataArray, xr.DataArray, np.ndarray]:
    """Return what ``abscissa`` finds, and the order in which x ascends.

    Raises
    ------
    DataError : the data have no abscissa.
    """
    found = abscissa(fit, y, x)
    if found is None:
        raise DataError("the data have no abscissa", expected="numbers along the data's dimension")
    return *found, np.argsort(found[0].values)


@styled
def predictive_band(
    fit: xr.DataTree, y: str | None = None, x: str | None = None, curve: np.ndarray | None = None
) -> Figure:
    """Draw the data with the band that holds 95 % of data replicated from the posterior.

    Parameters
    ----------
    fit : InferenceData whose data have an ``abscissa``.
    y, x : names, as ``abscissa`` takes them.
    curve : draws of the noiseless curve at x, (..., point); None draws the replicas' mean.

    Returns
    -------
    a Figure.

    Raises
    ------
    DataError : the data have no abscissa.
    """
    x, y, order = along_abscissa(fit, y, x)
    replicas = fit["posterior_predictive"][y.name].transpose("chain", "draw", ...).values
    fig, axis = canvas(height=3.4)
    band(axis, x.values[order], replicas[..., order], "posterior", alpha=0.18, line=curve is None)
    if curve is not None:
        curve = np.reshape(curve, (-1, x.size))[:, order]
        band(axis, x.values[order], curve, "posterior", alpha=0.35)
    bars = fit["constant_data"].get("error")
    bars = bars.values if bars is not None and bars.dims == y.dims else None
    axis.errorbar(x, y, bars, fmt="o", ms=2.5, lw=0.7, color=COLORS["data"], zorder=1.9)
    axis.set_xlabel(axis_label(x))
    axis.set_ylabel(axis_label(y))
    key(axis, [("data", "data"), ("95 % of replicas", "posterior")])
    return fig
