"""Many tables of one kind, as a batch: the same formula fitted to each, by the single fit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

from bayesinf.batches.looping import Loop
from bayesinf.data import several
from bayesinf.systems.regression.data import read
from bayesinf.systems.regression.model import fit

__all__ = ["DIM", "loop", "tables"]

DIM = "table"


def tables(
    path: str | os.PathLike,
    formula: str | None = None,
    *,
    each: str | None = None,
    target: str | None = None,
    features: Sequence[str] | None = None,
    error: str | None = None,
    response: str = "normal",
    trials: str | None = None,
    decimal: str | None = None,
) -> several.Sets | None:
    """Return the source of many tables that a path names; None where it is one alone.

    Parameters
    ----------
    path : a folder, a pattern such as ``runs/*.csv``, or a table.
    each : column of a table that names the one to which each row belongs.
    formula, target, features, error, response, trials, decimal : as of ``read``.
    """
    options = {"target": target, "features": features, "error": error, "response": response}
    reading = partial(read, formula=formula, **options, trials=trials, decimal=decimal)
    return several.sets(path, reading, DIM, each=each, decimal=decimal)


def loop(**options) -> Loop:
    """Return how tables are fitted, with the options of ``fit``."""
    return Loop(
        "regression",
        "Regressions of many tables",
        "What has the target to do with the columns, in each table, and whose fit may be used?",
        partial(fit, **options),
    )
