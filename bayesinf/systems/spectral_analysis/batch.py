"""Many light curves, as a batch: period, swing, level and jitter of each, by the single fit."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from bayesinf.batches.looping import Loop
from bayesinf.data import several
from bayesinf.posterior import noted
from bayesinf.systems.spectral_analysis.data import read
from bayesinf.systems.spectral_analysis.model import fit

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["DIM", "light_curves", "loop"]

DIM = "series"


def light_curves(
    path: str | os.PathLike, *columns: str | int | None, each: str | None = None, **options
) -> several.Sets | None:
    """Return the source of many light curves that a path names; None where it is one alone.

    Parameters
    ----------
    path : a folder, a pattern such as ``stars/*.csv``, or a table.
    *columns, **options : as of ``read``.
    each : column of a table that names the one to which each row belongs.
    """
    reading = several.with_columns(read, columns, options)
    return several.sets(path, reading, DIM, each=each, decimal=options.get("decimal"))


def loop(**options) -> Loop:
    """Return how light curves are fitted, with the options of ``fit``."""
    return Loop(
        "spectral_analysis",
        "Periods of many light curves",
        "Which light curves have a period, and which is it?",
        partial(fit, **options),
        _kept,
        _numbers,
        portion=1,
    )


def _kept(fit: xr.DataTree) -> xr.Dataset:
    """Draws that every light curve has, whatever the number of its harmonics."""
    drawn = noted(fit, "source")[["period", "peak_to_peak"]]
    return drawn.merge(fit["posterior"].dataset[["frequency", "level", "jitter"]])


def _numbers(fit: xr.DataTree) -> dict[str, float]:
    """Whether there is a period, and of how many harmonics."""
    factor = float(noted(fit, "models")["log_bayes_factor"].min())
    return {"log_bayes_factor": factor, "harmonics": float(fit.attrs["harmonics"])}
