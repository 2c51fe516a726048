"""Many pairs of atoms, as a batch: the well of each, by the single fit of the default form."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from bayesinf.batches.looping import Loop
from bayesinf.data import several
from bayesinf.posterior import evenly, log_likelihood, noted
from bayesinf.systems.lennard_jones.data import read
from bayesinf.systems.lennard_jones.derived import FOLLOWED
from bayesinf.systems.lennard_jones.level import constant_of
from bayesinf.systems.lennard_jones.model import fit

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["DIM", "loop", "pairs"]

DIM = "pair"


def pairs(
    path: str | os.PathLike, *columns: str | int | None, each: str | None = None, **options
) -> several.Sets | None:
    """Return the source of many pairs of atoms that a path names; None where it is one alone.

    Parameters
    ----------
    path : a folder, a pattern such as ``dimers/*.csv``, or a table.
    *columns, **options : as of ``read``.
    each : column of a table that names the pair of each row.
    """
    reading = several.with_columns(read, columns, options)
    return several.sets(path, reading, DIM, each=each, decimal=options.get("decimal"))


def loop(**options) -> Loop:
    """Return how energies are fitted, with the options of ``fit``."""
    return Loop(
        "lennard_jones",
        "Potentials of many pairs",
        "How deep is the well of each pair of atoms, and where?",
        partial(fit, **options),
        _kept,
        _numbers,
        portion=1,
    )


def _kept(fit: xr.DataTree) -> xr.Dataset:
    """Draws that every pair has, of those whose curves are followed: the well, and the noise."""
    found = noted(fit, "well")[["depth", "minimum", "crossing"]]
    drawn = fit["posterior"].dataset.assign(log_likelihood=log_likelihood(fit))
    which = [each for each in ("length_scale", "noise", "log_likelihood") if each in drawn]
    same = {"chain": found["chain"], "draw": found["draw"]}
    return found.merge(evenly(drawn[which], FOLLOWED).assign_coords(same))


def _numbers(fit: xr.DataTree) -> dict[str, float]:
    """The energy of the pair apart, 0 where the energies count from there."""
    level = constant_of(fit["posterior"])
    return {"constant": float(level.mean()) if hasattr(level, "mean") else level}
