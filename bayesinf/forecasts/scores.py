"""How good forecasts were: coverage, CRPS, log score and skill, horizon by horizon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.posterior import SAMPLE_DIMS

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

__all__ = ["crps", "log_density", "references", "scores"]

LEVELS = (0.5, 0.8, 0.95)  # central intervals whose coverage is counted


def crps(draws: ArrayLike, observed: ArrayLike, *, fair: bool = True) -> np.ndarray:
    """Return the continuous ranked probability score of draws, in the unit of the data.

        CRPS = mean_i |x_i − y| − Σ_{i<j} |x_i − x_j| / (m (m − 1))

    computed from the sorted draws in O(m log m). Small is good; for a single number it is |x − y|.

    Parameters
    ----------
    draws : (..., draw); NaN is no draw.
    observed : y, (...).
    fair : whether to divide by m (m − 1), which makes the score of m independent draws that of
        their distribution in expectation; else by m², the score of the draws as a distribution.

    Returns
    -------
    (...).

    References
    ----------
    Gneiting & Raftery, JASA 102, 359 (2007), doi:10.1198/016214506000001437; Ferro, Quarterly
    Journal of the Royal Meteorological Society 140, 1917 (2014), doi:10.1002/qj.2270.
    """
    # About the observation, so that a large offset costs no digits.
    x = np.sort(np.asarray(draws, dtype=float) - np.asarray(observed, float)[..., None], axis=-1)
    count = np.sum(np.isfinite(x), axis=-1, keepdims=True)
    weight = 2 * np.arange(1, x.shape[-1] + 1) - count - 1
    pairs = np.nansum(weight * x, axis=-1)
    count = count[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = pairs / (count * np.where(fair, np.maximum(count - 1, 1), count))
        return np.where(np.isnan(observed), np.nan, np.nansum(np.abs(x), axis=-1) / count - spread)


def log_density(draws: ArrayLike, observed: ArrayLike) -> np.ndarray:
    """Return the log density at what came of a normal kernel estimate from draws.

        log (1/m) Σ_i N(y; x_i, w²),   w = 0.9 min(sd, interquartile range / 1.34) m^(−1/5)

    It is an approximation, too low far outside the draws: where p(y | draw) is known, the mean of
    that over the draws is the predictive density itself (``forecast`` with ``density``).

    Parameters
    ----------
    draws : (..., draw).
    observed : y, (...).

    Returns
    -------
    (...), in the log of 1 over the unit of the data; −∞ where all draws are equal.

    References
    ----------
    Silverman, Density Estimation for Statistics and Data Analysis (1986), eq. 3.31.
    """
    from scipy.special import logsumexp

    x, y = np.asarray(draws, dtype=float), np.asarray(observed, dtype=float)[..., None]
    low, high = np.quantile(x, [0.25, 0.75], axis=-1, keepdims=True)
    sd, count = x.std(axis=-1, keepdims=True), x.shape[-1]
    middle = np.where(high > low, (high - low) / 1.34, sd)
    width = 0.9 * np.minimum(sd, middle) * count**-0.2
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = -0.5 * ((y - x) / width) ** 2 - np.log(width * np.sqrt(2 * np.pi))
    found = logsumexp(np.where(width > 0, terms, -np.inf), axis=-1) - np.log(count)
    return np.where(np.isnan(y[..., 0]), np.nan, found)


def references(past: ArrayLike, horizon: int) -> dict[str, xr.DataArray]:
    """Return the forecasts of whoever knows the past and no model, as draws (member, horizon).

    Parameters
    ----------
    past : values up to the origin in even steps, (time,), more of them than the horizon.
    horizon : number of steps.

    Returns
    -------
    ``climatology``, all values of the past at each horizon, and ``persistence``, the last value
    plus all changes over as many steps that the past has seen.

    Raises
    ------
    DataError : the past is too short.
    """
    import xarray as xr

    past = np.asarray(past, dtype=float)
    if past.ndim != 1 or past.size < horizon + 2:
        raise DataError(
            "the past is too short for references",
            found=f"shape {past.shape}",
            expected=f"at least {horizon + 2} values in one row",
        )
    changes = np.full((past.size - 1, horizon), np.nan)
    for h in range(1, horizon + 1):
        changes[: past.size - h, h - 1] = past[h:] - past[:-h]
    whole = np.repeat(past[:, np.newaxis], horizon, axis=1)
    found = {"climatology": whole, "persistence": past[-1] + changes}
    # Numbered members: those of several origins, of unequal number, can then be joined.
    return {
        name: xr.DataArray(draws, {"member": np.arange(len(draws))}, ("member", "horizon"))
        for name, draws in found.items()
    }


def scores(
    draws: xr.DataArray,
    observed: xr.DataArray | ArrayLike,
    *,
    log_densities: xr.DataArray | None = None,
    references: Mapping[str, xr.DataArray] | None = None,
    levels: Sequence[float] = LEVELS,
    block: int = 1,
) -> xr.Dataset:
    """Score forecasts against what came, horizon by horizon.

    Parameters
    ----------
    draws : (chain, draw, horizon), and ``origin`` where there are several: forecasts as of
        ``forecast``, joined along it.
    observed : (horizon,) or (origin, horizon); NaN where nothing was measured.
    log_densities : log p(y | draw) at what came, as ``draws``, where that is known: the log score
        is then that of its mean over the draws, exact up to their number. Without it the draws are
        smoothed (``log_density``). The attribute ``log_score_by`` says which.
    references : name to other draws, (member, horizon), and origin as ``draws``: those of the
        function ``references``, or another model's.
    levels : probabilities of the central intervals.
    block : consecutive origins that are taken for one observation in standard errors: as many as
        have horizons in common.

    Returns
    -------
    a Dataset over ``horizon``, means over the origins: ``coverage`` (level, horizon), ``crps``,
    ``log_score`` (mean log density, large is good), ``skill`` (reference, horizon), which is
    1 − CRPS / CRPS of the reference, and NAME_error, their standard errors, NaN where there are
    fewer than two blocks, for the coverage at least those of independent origins where it is as it
    says; ``origins`` (horizon), how many there were.

    Raises
    ------
    DataError : draws that are not finite, axes that do not fit.
    """
    import xarray as xr

    x, y = _by_origin(draws), _by_origin(observed, draws)
    _refuse(x, y)
    own, (by, logs) = crps(x, y), _log_score(x, y, log_densities)
    found = {
        "coverage": (("level", "horizon"), *_coverage(_inside(x, y, levels), levels, block)),
        "crps": (("horizon",), *_mean(own, block)),
        "log_score": (("horizon",), *_mean(logs, block)),
    }
    others = {name: crps(_by_origin(each), y) for name, each in (references or {}).items()}
    if others:
        skills = [_skill(own, other, block) for other in others.values()]
        found["skill"] = (("reference", "horizon"), *map(np.stack, zip(*skills, strict=True)))
    result = xr.Dataset(
        {
            **{name: (dims, mean) for name, (dims, mean, _) in found.items()},
            **{f"{name}_error": (dims, error) for name, (dims, _, error) in found.items()},
            "origins": ("horizon", np.sum(~np.isnan(y), axis=0)),
        },
        {"level": np.asarray(levels)} | ({"reference": list(others)} if others else {}),
        {"log_score_by": by, "block": block},
    )
    for name in result.data_vars:
        result[name].attrs["units"] = draws.attrs.get("units", "1") if "crps" in str(name) else "1"
    return result.assign_coords(horizon=draws["horizon"]) if "horizon" in draws.coords else result


def _refuse(x, y):
    """Raise DataError where forecasts cannot be scored."""
    if not np.isfinite(x).all():
        share = np.mean(~np.isfinite(x).all(axis=(0, 1)))
        raise DataError(
            "forecasts that are not finite have no score",
            expected="finite draws",
            found=f"{share:.2%} of the draws run away",
        )
    if x.shape[:2] != y.shape:
        raise DataError(
            "forecasts and what came do not fit together",
            expected=f"{x.shape[0]} origins and {x.shape[1]} horizons",
            found=" and ".join(map(str, y.shape)),
        )


def _inside(x, y, levels):
    """Whether what came lies in each central interval, (level, origin, horizon), by its rank.

    Of m draws and what came, all alike, each rank is as likely, so the coverage of a true forecast
    is the interval's probability up to 1 / (m + 1).
    """
    below, tied = (op(x, y[..., np.newaxis]).sum(axis=-1) for op in (np.less, np.equal))
    rank = (below + (tied + 1) / 2) / (x.shape[-1] + 1)
    inside = np.abs(rank - 0.5) <= np.asarray(levels)[:, np.newaxis, np.newaxis] / 2
    return np.where(np.isnan(y), np.nan, inside)


def _coverage(inside, levels, block):
    """Mean over the origins and its standard error, none too small where all are inside."""
    share, error = _mean(inside, block)
    level, count = np.asarray(levels)[:, np.newaxis], (~np.isnan(inside)).sum(axis=-2)
    with np.errstate(divide="ignore"):
        return share, np.maximum(error, np.sqrt(level * (1 - level) / count))


def _log_score(x, y, log_densities):
    """How the predictive density was had, and its log at what came, (origin, horizon)."""
    from scipy.special import logsumexp

    if log_densities is None:
        return "draws smoothed by normal kernels of Silverman's width", log_density(x, y)
    terms = _by_origin(log_densities)
    found = logsumexp(terms, axis=-1) - np.log(terms.shape[-1])
    return "mean of the density over the draws", np.where(np.isnan(y), np.nan, found)


def _by_origin(array, like=None):
    """Plain numbers (origin, horizon, draw), or (origin, horizon) of what came."""
    import xarray as xr

    if not isinstance(array, xr.DataArray):
        array = np.asarray(array, dtype=float)
        dims = ("origin", "horizon") if "origin" in like.dims else ("horizon",)
        if array.ndim != len(dims):
            raise DataError(
                "what came has the wrong shape",
                expected=f"axes {', '.join(dims)}",
                found=f"shape {array.shape}",
            )
        array = xr.DataArray(array, dims=dims)
    rest = [dim for dim in array.dims if dim not in ("origin", "horizon")]
    strange = set(rest) - {*SAMPLE_DIMS, "member"}
    if "horizon" not in array.dims or strange:
        raise DataError(
            "forecasts have other axes",
            expected="horizon, origin, and those of draws",
            found=", ".join(map(str, array.dims)),
        )
    array = array if "origin" in array.dims else array.expand_dims("origin")
    values = array.transpose("origin", "horizon", *rest).values.astype(float)
    return values.reshape(*values.shape[:2], -1) if rest else values


def _mean(values, block):
    """Mean over the origins, (..., origin, horizon), and its standard error from blocks of them."""
    there = ~np.isnan(values)
    count = there.sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(values, axis=-2) / count
        return mean, _error(values - mean[..., np.newaxis, :], block) / count


def _error(deviations, block):
    """Standard error of a sum of deviations from their mean, (..., origin, horizon)."""
    starts, there = np.arange(0, deviations.shape[-2], block), ~np.isnan(deviations)
    sums = np.add.reduceat(np.where(there, deviations, 0.0), starts, axis=-2)
    size = np.logical_or.reduceat(there, starts, axis=-2).sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(size > 1, np.sqrt(np.sum(sums**2, axis=-2) * size / (size - 1)), np.nan)


def _skill(own, other, block):
    """1 − CRPS / CRPS of a reference, and its standard error to first order."""
    there = ~np.isnan(own + other)
    of_own, of_other = (np.where(there, each, 0.0).sum(axis=0) for each in (own, other))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = of_own / of_other
        deviations = np.where(there, own - ratio * other, np.nan)
        return 1 - ratio, _error(deviations, block) / of_other
