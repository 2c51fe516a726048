"""A fit in as many digits, and as many replicas, as their use needs.

Sixteen digits of a draw that is off by its whole spread are noise, which no compression makes
smaller. How far a number may be off follows from what is done with it, and nothing that is told of
a fit may change by more than another seed would change it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bayesinf.posterior import SAMPLE_DIMS, evenly

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

__all__ = ["compact"]

# Draws that are kept, in all chains together.
THINNED = {"posterior_predictive": 250, "predictions": 400, "prior": 200, "prior_predictive": 200}
# What is stored is rounded to this share of its spread over the draws, pointwise log densities to
# this share of the root mean square of all.
SHARES = {
    "posterior": 2.0**-7,
    "prior": 2.0**-5,
    "posterior_predictive": 2.0**-5,
    "prior_predictive": 2.0**-5,
    "predictions": 2.0**-5,
    "log_prior": 2.0**-7,
    "log_likelihood": 2.0**-3,
}
# Share of its variance that rounding may add to a weighted sum of parameters.
ADDED = 2.0**-6
# Of more parameters than this share of the draws, or so many, correlations are not estimated.
FEW, MANY = 1 / 4, 1000
# Of the interquartile range, beyond which a spread is that of rare draws: nearly all are closer.
CORE = 3.0
# What others decide up to this share of its spread, they decide.
DECIDED = 2.0**-20
# What replicas and data are compared by.
COMPARED = ("discrepancy", "discrepancy_observed")


def compact(posterior: xr.DataTree) -> xr.DataTree:
    """Return a fit in as many digits and replicas as their use needs, an eighth of the file.

    Numbers are rounded to a power of two, about a share of a spread over the draws:

    - parameters, results beside them and log densities of the prior 1/128 of their own, of
      parameters 3/128 of the interquartile range where that is less, as of few draws far off; and
      fine enough that no weighted sum of parameters, however strongly they are correlated, has its
      variance off by more than 1/64;
    - replicas, predictions and the prior 1/32 of their own;
    - pointwise log densities 1/8 of the root mean square of all, so that what leave-one-out takes
      for the effective number of parameters is off by less than 1/768 of it; the lowest of each
      observation, from which its k̂ is found, 1/16;
    - discrepancies of replicas and data 1/256 of how far the two are apart, on one grid.

    Positive parameters keep their relative size as well. What is off is far below what another seed
    would change. Of replicas 250 draws are kept, of predictions 400, of the prior 200.
    """
    import xarray as xr

    thin = posterior.copy()
    for name, share in SHARES.items():
        if name not in posterior.children:
            continue
        group = posterior[name].to_dataset()
        if name in THINNED and {*SAMPLE_DIMS} <= {*group.dims}:
            group = evenly(group, THINNED[name])
        sampled = [
            label
            for label, variable in group.data_vars.items()
            if variable.dtype.kind == "f" and set(SAMPLE_DIMS) <= set(variable.dims)
        ]
        drawn = group[sampled]
        spreads = _spreads(drawn, share) if name == "posterior" else drawn.std(SAMPLE_DIMS)
        if name == "log_likelihood":
            spreads = spreads.assign({n: _in_tails(drawn[n], spreads[n]) for n in sampled})
        rounded = {
            label: group[label].copy(
                data=_rounded(group[label], spreads[label], share, name != "log_likelihood")
            )
            for label in sampled
        }
        thin[name] = xr.DataTree(group.assign(rounded))
    if "sample_stats" in thin.children:
        compared = thin["sample_stats"].to_dataset()
        thin["sample_stats"] = xr.DataTree(compared.assign(_compared(compared)))
    if "constant_data" in thin.children:
        beside = thin["constant_data"].to_dataset()
        thin["constant_data"] = xr.DataTree(beside.assign(_of_draws(beside)))
    return thin


def _in_tails(variable, own):
    """A spread for pointwise log densities: for all their root mean square, for the lowest of each
    observation, whose shape is the k̂ of leave-one-out, half of that, or of their own.
    """
    import numpy as np
    import xarray as xr

    own = own.where(own > 0)
    together = np.sqrt((own**2).mean())
    # Pareto's distribution is fitted to at most 3 √draws of them.
    share = min(0.25, 3.2 / math.sqrt(math.prod(variable.sizes[dim] for dim in SAMPLE_DIMS)))
    low = variable <= variable.quantile(share, SAMPLE_DIMS).drop_vars("quantile")
    return xr.where(low, np.minimum(together, own) / 2, np.minimum(together, 4 * own))


def _compared(statistics):
    """Discrepancies of replicas and data on one grid, so that what is equal stays so."""
    if not set(COMPARED) <= set(statistics):
        return {}
    gap = statistics[COMPARED[0]] - statistics[COMPARED[1]]
    low, high = (gap.quantile(q, SAMPLE_DIMS).drop_vars("quantile") for q in (0.25, 0.75))
    return {
        name: statistics[name].copy(data=_rounded(statistics[name], high - low, 2.0**-8, False))
        for name in COMPARED
    }


def _of_draws(beside):
    """Results beside a fit, as of ``annotated``, that have a number a draw, rounded likewise."""
    found = {}
    for name, variable in beside.data_vars.items():
        note = str(name).rpartition(".")[0]
        draws = {f"{note}.{dim}": dim for dim in SAMPLE_DIMS}
        if variable.dtype.kind == "f" and set(draws) <= set(variable.dims):
            plain = variable.rename(draws)
            spread = plain.std(SAMPLE_DIMS)
            found[name] = variable.copy(data=_rounded(plain, spread, SHARES["posterior"], True))
    return found


def _spreads(draws, share):
    """The spread of each parameter of which a share is a step that is fine enough, by variable.

    That is its own, or that of nearly all draws where it is that of few which are far off, or less
    where others decide it: rounding to steps δ adds aᵀ diag(δ²/12) a to
    the variance aᵀ Σ a of a sum. With steps that are a share s of each one's standard deviation
    given all others, 1/√(Σ⁻¹)ᵢᵢ, that is at most λ s²/12 of it, where λ is the largest eigenvalue
    of Σ⁻¹ scaled to ones on its diagonal.
    """
    import numpy as np
    from scipy.linalg import solve_triangular

    own, size = draws.std(SAMPLE_DIMS), math.prod(draws.sizes.get(dim, 1) for dim in SAMPLE_DIMS)
    names, most = [name for name in own if own[name].size], min(FEW * size, MANY)
    if not 0 < sum(own[name].size for name in names) <= 2 * most:
        return own
    columns = [draws[name].transpose(*SAMPLE_DIMS, ...).values.reshape(size, -1) for name in names]
    columns = np.concatenate(columns, axis=1)
    spread = np.concatenate([own[name].values.ravel() for name in names])
    low, high = np.quantile(columns, [0.25, 0.75], axis=0)
    core = CORE * (high - low)
    spread = np.where(core > 0, np.fmin(spread, core), spread)
    moving = np.flatnonzero(np.isfinite(spread) & (spread > 0))
    columns = (columns[:, moving] - columns[:, moving].mean(axis=0)) / spread[moving]
    # A symmetric matrix holds each of its numbers twice.
    columns, place = np.unique(columns, axis=1, return_inverse=True)
    if not 0 < columns.shape[1] <= most:
        return own
    triangle = np.linalg.qr(columns / math.sqrt(size), mode="r")
    end = np.arange(len(triangle))
    triangle[end, end] += np.copysign(DECIDED, triangle[end, end])
    inverse = solve_triangular(triangle, np.eye(len(triangle)))
    given = 1 / np.linalg.norm(inverse, axis=1)
    largest = np.linalg.norm(given[:, np.newaxis] * inverse, 2)
    fine = np.minimum(1, given * math.sqrt(12 * ADDED) / largest / share)
    spread[moving] *= fine[place.reshape(-1)]
    parts = np.split(spread, np.cumsum([own[name].size for name in names])[:-1])
    found = {
        name: own[name].copy(data=part.reshape(own[name].shape))
        for name, part in zip(names, parts, strict=True)
    }
    return own.assign(found)


def _rounded(variable: xr.DataArray, spread, share: float, keeps_sign: bool) -> np.ndarray:
    """Numbers to a power of two below that share of the spread; as they are where there is none.

    One that has a sign in all draws keeps it, and its logarithm, where that is asked.
    """
    import numpy as np

    with np.errstate(all="ignore"):
        step = share * spread
        if keeps_sign:
            one = (variable.min(SAMPLE_DIMS) > 0) | (variable.max(SAMPLE_DIMS) < 0)
            step = np.minimum(step, share * abs(variable)).where(one, step)
        step = np.exp2(np.floor(np.log2(step)))
        found = np.round(variable / step) * step
    fine = np.isfinite(found) & (step > 0) & np.isfinite(step)
    return found.where(fine, variable).transpose(*variable.dims).values
