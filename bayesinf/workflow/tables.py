"""Numbers of a run, for ``summary.csv``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["summary"]


def summary(fits: Mapping[str, xr.DataTree]) -> pd.DataFrame:
    """Tabulate every posterior variable of every fit, or those that are its ``quantities``.

    Returns
    -------
    one row a scalar: fit, variable, the estimate as the page prints it, mean, sd, median, the 95 %
    equal-tailed interval, R-hat, bulk and tail ESS (empty for walkers, which are no chains, and for
    independent draws), unit.
    """
    import numpy as np
    import pandas as pd

    from bayesinf.diagnostics import mixing
    from bayesinf.figures import elements
    from bayesinf.inference import kinds
    from bayesinf.posterior import reported
    from bayesinf.report.numbers import CENTRAL, summarised

    tables = []
    for name, fit in fits.items():
        scalars = elements(fit, reported(fit))
        draws = np.stack([array.values for array in scalars.values()])
        mean, sd = draws.mean((1, 2)), draws.std((1, 2))
        beyond = (1 - CENTRAL) / 2
        low, down, middle, up, high = np.quantile(
            draws, [0.025, beyond, 0.5, 1 - beyond, 0.975], axis=(1, 2)
        )
        chains = kinds.of(fit.attrs).chains
        rhat, bulk, tail = mixing(draws) if chains else np.full((3, len(draws)), np.nan)
        columns = {
            "fit": name,
            "variable": list(map(_no_formula, scalars)),
            "estimate": list(map(summarised, mean, sd, down, middle, up)),
            "mean": mean,
            "sd": sd,
            "median": middle,
            "q2.5": low,
            "q97.5": high,
            "r_hat": rhat,
            "ess_bulk": bulk,
            "ess_tail": tail,
            "units": [_no_formula(array.attrs["units"]) for array in scalars.values()],
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def _no_formula(name):
    """A name that a spreadsheet takes for text, as one may come from a file of others."""
    return f"'{name}" if name[:1] in ("=", "+", "-", "@") else name
