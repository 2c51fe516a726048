"""A posterior's own mean and covariance, asked whether their normal may stand for the draws.

A file holds draws and no density to look at elsewhere. So there is no slope, no weight and no
profile to ask for beyond what the fit's own checks ask; the draws are the answer, and the normal of
their moments is held to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy

from bayesinf.audits.findings import of_draws
from bayesinf.audits.sampling import of_checks
from bayesinf.audits.transformations import transformed
from bayesinf.checks import elements
from bayesinf.errors import DataError
from bayesinf.posterior import dataset, element_names, reported

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["measured"]

MOST = 60  # elements that are looked at, of which the table and the sentence tell
FEWEST = 100  # draws


def measured(fit: xr.DataTree) -> xr.Dataset:
    """Measure how far a posterior's draws are from the normal of their mean and covariance.

    Parameters
    ----------
    fit : InferenceData of bayesinf's.

    Returns
    -------
    a Dataset over ``parameter``, with what can be known of draws alone.

    Raises
    ------
    DataError : fewer than a hundred draws, or none that vary.
    """
    names, draws, prior, units = _columns(fit)
    if len(draws) < FEWEST:
        raise DataError("too few draws", expected=f"at least {FEWEST}", found=len(draws))
    lower, upper = _range(draws, prior)
    mean, sd = draws.mean(axis=0), draws.std(axis=0)
    beyond = scipy.special.ndtr((lower - mean) / sd) + scipy.special.ndtr((mean - upper) / sd)
    arrays = {
        "point": mean,
        "sd": sd,
        "lower": lower,
        "upper": upper,
        "claimed_covariance": np.atleast_2d(np.cov(draws.T)),
        "beyond_bounds": beyond,
        "outside": float(beyond.max()),
        **of_draws(draws),
        **transformed(names, draws, lower, upper),
    }
    dims = {name: ("parameter",) if np.ndim(each) == 1 else () for name, each in arrays.items()} | {
        "claimed_covariance": ("parameter", "other")
    }
    coords = {"parameter": names, "other": names, "unit": ("parameter", units)}
    found = dataset(arrays, dims, coords, dict.fromkeys(arrays, "1"), sampled=False)
    return found.assign(of_checks(fit))


def _columns(fit):
    """Elements of the posterior that vary, (draw, element), and their prior's, with units."""
    names, columns, prior, units = [], [], [], []
    for name in reported(fit):
        variable = fit["posterior"][name]
        before = fit["prior"].get(name)
        before = None if before is None else elements(before)
        for k, (label, each) in enumerate(
            zip(element_names(variable), elements(variable), strict=True)
        ):
            if np.ptp(each) > 0 and len(names) < MOST:
                names.append(label)
                columns.append(each.ravel())
                prior.append(None if before is None else before[k].ravel())
                units.append(str(variable.attrs.get("units", "1")))
    if not names:
        raise DataError("no draws that vary", source="posterior")
    return names, np.stack(columns, axis=1), prior, units


def _range(draws, prior):
    """Zero below, or one above, where neither prior nor posterior ever goes there."""
    low, high = np.full(draws.shape[1], -np.inf), np.full(draws.shape[1], np.inf)
    for k, before in enumerate(prior):
        known = draws[:, k] if before is None else np.concatenate([draws[:, k], before])
        if before is not None and known.min() >= 0:
            low[k] = 0.0
            if known.max() <= 1 and known.max() > 0.9:
                high[k] = 1.0
    return low, high
