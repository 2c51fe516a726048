"""Rows of a new file, foretold: the group that a fit keeps of them, and their table.

The group ``predictions`` holds, over chain, draw and ``new_row``, draws of the ``mean`` of such
data and of new data under the target's name; ``predictions_constant_data`` what is known of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import dataset

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["foretold", "predictions", "target_of"]

MEAN = "mean"


def foretold(
    found: xr.DataTree,
    draws: Mapping[str, np.ndarray],
    rows: np.ndarray,
    unit: str,
    known: Mapping[str, np.ndarray | xr.DataArray] | None = None,
) -> xr.DataTree:
    """Return a fit with predictions of new rows.

    Parameters
    ----------
    found : InferenceData; a copy comes back.
    draws : ``mean`` and the target, (chain, draw, new_row).
    rows : what the rows are called, (new_row,).
    unit : of the target.
    known : name to values, (new_row,): the target where it is known, which is then held out, and
        asked whether it lies among those predicted; where the rows are, with ``units``.
    """
    import xarray as xr

    dims, units = dict.fromkeys(draws, ("new_row",)), dict.fromkeys(draws, unit)
    told = found.copy()
    told["predictions"] = xr.DataTree(dataset(draws, dims, {"new_row": rows}, units))
    beside = {"row": ("new_row", rows, {"units": "1"})}
    for name, values in (known or {}).items():
        own = getattr(values, "attrs", {}).get("units", units.get(name, "1"))
        beside[name] = ("new_row", np.asarray(values), {"units": own})
    told["predictions_constant_data"] = xr.DataTree(xr.Dataset(beside, {"new_row": rows}))
    return told


def target_of(group: xr.Dataset | xr.DataTree) -> str:
    """Return which variable of ``predictions`` is the target."""
    return next(str(name) for name in group.data_vars if name != MEAN)


def predictions(found: xr.DataTree) -> pd.DataFrame:
    """Tabulate the predictions of a fit: a row of the new file each, mean and both 95 % bands."""
    import pandas as pd

    group = found["predictions"].to_dataset()
    known = found["predictions_constant_data"].to_dataset()
    target = target_of(group)
    columns = {str(n): known[n].values for n in known.data_vars if n not in ("row", target)}
    for name, label in ((MEAN, "mean"), (target, "new")):
        draws = group[name].transpose("chain", "draw", ...).values
        low, high = np.quantile(draws, [0.025, 0.975], axis=(0, 1))
        columns |= {"mean": draws.mean(axis=(0, 1))} if name == MEAN else {}
        columns |= {f"{label}_low_95": low, f"{label}_high_95": high}
    return pd.DataFrame(columns, pd.Index(group["new_row"].values, name="row")).reset_index()
