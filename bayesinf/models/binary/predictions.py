"""What a posterior of fields and couplings says of single sites: the chance that each is on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.models.binary.states import logit_slope, validated
from bayesinf.posterior import dataset, evenly

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["chances", "predicted"]


def chances(states: np.ndarray, h: np.ndarray, J: np.ndarray, encoding: str) -> np.ndarray:
    """Return the probability that a site is on, given what acts on it.

        P(s_i = on) = σ(k (h_i + Σ_j J_ij s_j)),   k = 2 for ±1, 1 for 0/1

    Parameters
    ----------
    states : s_j, (state, site).
    h, J : (..., site) and (..., target, source).
    encoding : "±1" or "0/1", of all three.

    Returns
    -------
    (..., state, site)
    """
    theta = h[..., np.newaxis, :] + states.astype(float) @ np.swapaxes(J, -1, -2)
    return 0.5 + 0.5 * np.tanh(0.5 * logit_slope(encoding) * theta)


def predicted(
    posterior: xr.DataTree,
    states: np.ndarray | xr.DataArray,
    most: int,
    full: Callable[[np.ndarray], np.ndarray],
) -> xr.Dataset:
    """Return ``probability`` (chain, draw, new, site) of some draws.

    Parameters
    ----------
    posterior : what a fit returned.
    states : (new, site), in the encoding of the fit.
    most : draws of the posterior, taken evenly, that are followed.
    full : from its J, (chain, draw, ...), to J (chain, draw, target, source).
    """
    import xarray as xr

    draws, encoding = evenly(posterior["posterior"].to_dataset(), most), posterior.attrs["encoding"]
    labelled = states if isinstance(states, xr.DataArray) else xr.DataArray(np.atleast_2d(states))
    if "site" not in labelled.dims:
        labelled = labelled.rename(dict(zip(labelled.dims, ("new", "site"), strict=False)))
    now, sites = validated(labelled, encoding), draws.sizes["site"]
    if now.shape[1] != sites:
        raise DataError(
            "the states are of other sites",
            expected=f"(new, site) with {sites} sites",
            found=f"shape {now.shape}",
        )
    found = chances(now, draws["h"].values, full(draws["J"].values), encoding)
    coords = {dim: draws[dim] for dim in ("chain", "draw", "site") if dim in draws.coords}
    return dataset({"probability": found}, {"probability": ("new", "site")}, coords)
