"""What is measured of a claim, before anybody judges it: one Dataset over its parameters.

Lengths are in standard deviations: of the claim where its own normal is looked at, of the density
at its mode where the distance to that is meant.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import scipy

from bayesinf.audits.claims import Claim, climbed, covariance_root
from bayesinf.audits.transformations import tested, transformed
from bayesinf.diagnostics import smoothed_weights
from bayesinf.inference.laplace import derivatives
from bayesinf.posterior import dataset

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.settings import Settings

__all__ = ["LEVEL", "NORMAL_END", "measured", "of_draws"]

LEVEL = 0.95  # of intervals
CENTRAL = 0.6827  # of a normal, within one sd
NORMAL_END = NormalDist().inv_cdf(0.5 + LEVEL / 2)  # of the normal's interval, in sd
REACH = np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0])  # of a profile, in sd from the mode
PROFILED = 12  # parameters at most whose profile is found
BELOW = -8.0  # log density at which a profile has gone far enough
WEIGHED = 4000  # draws of the normal
AT_A_BOUND = 0.1  # sd from a bound, within which a parameter is at it
REACHED = 3.0  # sd, likewise, within which draws are of a place
SAME_PLACE = 1.0  # sd, within which two ends are one place


def measured(
    claim: Claim, draws: np.ndarray, settings: Settings, beyond: np.ndarray | None = None
) -> xr.Dataset:
    """Measure all that the verdict rests on.

    Parameters
    ----------
    claim : what is audited.
    draws : of the density by a better method, (draw, parameter).
    settings : seed.
    beyond : by how much what lies beyond the draws moves each mean, in sd, where that is known.

    Returns
    -------
    a Dataset over ``parameter``; numbers of the whole have no dimension.
    """
    rng = settings.generator("audit")
    root = covariance_root(claim.covariance)
    sound = root is not None
    root = scipy.linalg.cholesky(claim.spread, lower=True) if root is None else root
    claimed = root @ root.T
    arrays = {
        "point": claim.point,
        "sd": np.sqrt(np.diag(claimed)),
        "mode": claim.mode,
        "mode_sd": claim.sd,
        "from_mode": (claim.point - claim.mode) / claim.sd,
        "is_covariance": np.bool_(sound),
        "chi_square": np.float64(claim.chi_square),
        "chi_square_p": np.float64(_p_value(claim)),
        "degrees_of_freedom": np.int64(claim.dof),
        "inferred_noise": np.bool_(claim.inferred),
        "lower": claim.lower,
        "upper": claim.upper,
        "claimed_covariance": claimed,
        "ratio": _ratio(claimed, claim.spread),
    }
    arrays |= _local(claim, root)
    arrays |= _weights(claim, root, rng)
    arrays |= _optima(claim, draws)
    profile, found = _profiles(claim)
    arrays |= profile
    arrays |= of_draws(draws)
    arrays |= transformed(claim.names, draws, claim.lower, claim.upper)
    arrays |= tested(claim, draws, rng)
    dims = {
        "hessian_eigenvalue": ("direction",),
        "ratio": ("direction",),
        "claimed_covariance": ("parameter", "other"),
        "profile_value": ("parameter", "node"),
        "profile_log_density": ("parameter", "node"),
    }
    arrays |= found
    if beyond is not None:
        arrays["open"] = beyond
    dims = {
        name: dims.get(name, ("parameter",) if np.ndim(each) == 1 else ())
        for name, each in arrays.items()
    }
    names = list(claim.names)
    units = dict.fromkeys(arrays, "1")
    return dataset(
        arrays,
        dims,
        {"parameter": names, "other": names, "unit": ("parameter", list(claim.units))},
        units,
        sampled=False,
    )


def of_draws(draws: np.ndarray) -> dict[str, np.ndarray]:
    """Moments and quantiles of draws, (draw, parameter)."""
    tails = [0.5 - LEVEL / 2, 0.5 - CENTRAL / 2, 0.5, 0.5 + CENTRAL / 2, 0.5 + LEVEL / 2]
    names = ("low", "central_low", "median", "central_high", "high")
    quantiles = dict(zip(names, np.quantile(draws, tails, axis=0), strict=True))
    found = {f"drawn_{name}": value for name, value in quantiles.items()}
    return {
        "drawn_mean": draws.mean(axis=0),
        "drawn_sd": draws.std(axis=0),
        "kurtosis": _kurtosis(draws),
        **found,
    }


def _kurtosis(draws):
    """Mardia's kurtosis of draws over that of a normal: 1 for a normal, more for a bent ridge."""
    size = draws.shape[1]
    sd = draws.std(axis=0)
    white = (draws - draws.mean(axis=0)) / np.where(sd > 0, sd, 1.0)
    try:
        root = scipy.linalg.cholesky(np.atleast_2d(np.cov(white.T)), lower=True)
    except scipy.linalg.LinAlgError:  # parameters that are tied to each other
        return np.nan
    square = np.sum(scipy.linalg.solve_triangular(root, white.T, lower=True) ** 2, axis=0)
    return float(np.mean(square**2) / (size * (size + 2)))


def _p_value(claim):
    """Chance of so large a χ², or of so small a one, whichever is less; two-sided."""
    if not claim.dof or claim.inferred or not np.isfinite(claim.chi_square):
        return np.nan
    total = claim.chi_square * claim.dof
    upper, lower = scipy.special.chdtrc(claim.dof, total), scipy.special.chdtr(claim.dof, total)
    return 2 * min(upper, lower, 0.5)


def _ratio(claimed, spread):
    """Sds of the claim over those that least squares, or the curvature, give at the mode."""
    return np.sqrt(scipy.linalg.eigh(claimed, spread, eigvals_only=True))


def _local(claim, root):
    """Slope and curvature at the point, in units of the claim's own normal.

    What is at a bound has no curvature, and the others are looked at with it held: their normal is
    then the claim's given the bound.
    """
    size = len(claim.point)
    sd = np.sqrt(np.sum(root**2, axis=1))
    room = np.minimum(claim.point - claim.lower, claim.upper - claim.point)
    free = np.flatnonzero(room > AT_A_BOUND * sd)
    found, decrement = np.full(size, np.nan), np.nan
    if len(free):
        # Steps are those of the density's own width, whatever width is claimed for it.
        own = _conditional(scipy.linalg.cholesky(claim.spread, lower=True), free)
        steps = np.zeros((size, len(free)))
        steps[free] = own
        with np.errstate(all="ignore"):
            gradient, hessian = derivatives(
                lambda z: claim.log_density(claim.point + z @ steps.T), len(free)
            )
        units = scipy.linalg.solve(own, _conditional(root, free)) / np.sqrt(claim.curvature)
        gradient, hessian = units.T @ gradient, units.T @ hessian @ units
        if np.isfinite(gradient).all() and np.isfinite(hessian).all():
            values, axes = np.linalg.eigh(-hessian)
            found[: len(values)] = values
            # Newton decrement: the step to the quadratic's optimum, in its own sds.
            along = (axes.T @ gradient) ** 2 / np.maximum(np.abs(values), 1e-300)
            decrement = float(np.sqrt(along.sum()))
    held = np.ones(size, dtype=bool)
    held[free] = False
    return {"hessian_eigenvalue": found, "slope": decrement, "at_edge": held}


def _conditional(root, free):
    """A root of the covariance of some parameters, given all others."""
    precision = scipy.linalg.cho_solve((root, True), np.eye(len(root)))[np.ix_(free, free)]
    # L⁻ᵀ of the precision's root is a root of its inverse.
    return scipy.linalg.inv(scipy.linalg.cholesky(precision, lower=True)).T


def _weights(claim, root, rng):
    """Weights of draws of the normal: their tail, their moments, and what of it is nowhere."""
    z = rng.standard_normal((WEIGHED, len(claim.point)))
    points = claim.point + z @ root.T
    with np.errstate(all="ignore"):
        log_weight = claim.log_density(points) + 0.5 * np.sum(z**2, axis=1)
    inside = np.isfinite(log_weight)
    low, high = (np.mean(side, axis=0) for side in (points < claim.lower, points > claim.upper))
    nothing = {"weighted_mean": claim.point * np.nan, "weighted_sd": claim.point * np.nan}
    arrays = {"outside": float(1 - inside.mean()), "beyond_bounds": low + high}
    if inside.sum() < WEIGHED // 10:
        return arrays | nothing | {"pareto_k": np.inf, "effective_draws": 0.0}
    log_weight = log_weight[inside] - log_weight[inside].max()
    smooth, shape = smoothed_weights(log_weight)
    weight = np.exp(smooth)
    mean = weight @ points[inside]
    sd = np.sqrt(weight @ (points[inside] - mean) ** 2)
    return arrays | {
        "weighted_mean": mean,
        "weighted_sd": sd,
        "pareto_k": float(shape),
        "effective_draws": float(1 / np.sum(weight**2)),
    }


def _optima(claim, draws):
    """How much higher the best optimum is than that of the point, and who else is nearly so high.

    Places that say the same of the data, as two peaks that have changed names, are one.
    """
    root = scipy.linalg.cholesky(claim.spread, lower=True)
    points = np.vstack([claim.mode, claim.ends])
    with np.errstate(all="ignore"):
        heights = claim.log_density(points)
    finite = np.isfinite(heights)
    below = heights[0] - np.where(finite, heights, -np.inf)

    def apart(a, b):
        off = np.linalg.norm(np.linalg.solve(root, a - b))
        return off > SAME_PLACE and not claim.alike(a, b)

    own, height = points[1], float(below[1])
    elsewhere = apart(own, points[0])
    rivals, heights, summit = [], [], float(heights[0])
    for point, lower in sorted(zip(points[2:], below[2:], strict=True), key=lambda each: each[1]):
        known = [points[0], *rivals] + ([own] if elsewhere else [])
        if not lower < 3.0 or not all(apart(point, each) for each in known):
            continue
        # A search may have stopped on its way to a place that is known.
        top, found = climbed(claim.log_density, point, root)
        if all(apart(top, each) for each in known):
            rivals.append(top)
            heights.append(summit - found)
    if elsewhere and height < 3.0:
        rivals.append(own)
        heights.append(height)
    other = rivals[int(np.argmin(heights))] if rivals else claim.mode * np.nan
    return {
        "better": max(height, 0.0) if elsewhere else 0.0,
        "is_elsewhere": np.bool_(elsewhere),
        "rivals": np.int64(len(rivals)),
        "rival": other,
        "rival_below": min(heights, default=np.inf),
        "own_end": own,
        "rivals_missed": np.int64(sum(not _reached(draws, each, root) for each in rivals)),
    }


def _reached(draws, place, root):
    """Whether a share of the draws is at a place that could be its own."""
    off = np.linalg.norm(scipy.linalg.solve_triangular(root, (draws - place).T, lower=True), axis=0)
    return np.sum(off < REACHED * np.sqrt(len(place))) > 1e-3 * len(draws)


def _profiles(claim):
    """Profile log density of each parameter around the mode, and where it has fallen by 1.92."""
    root, sd = scipy.linalg.cholesky(claim.spread, lower=True), claim.sd
    size = len(sd)
    nodes = np.concatenate([-REACH[::-1], [0.0], REACH])
    value = claim.mode[:, None] + sd[:, None] * nodes
    height = np.full(value.shape, np.nan)
    top = float(claim.log_density(claim.mode[None])[0])
    middle = len(REACH)
    ends = np.full((2, size), np.nan)
    for i in range(min(size, PROFILED)):
        height[i, middle] = 0.0
        slope = claim.spread[:, i] / claim.spread[i, i]
        for side, way in ((0, range(middle - 1, -1, -1)), (1, range(middle + 1, len(nodes)))):
            at, before = claim.mode, middle
            for k in way:
                if not claim.lower[i] <= value[i, k] <= claim.upper[i]:
                    break
                start = at + slope * (value[i, k] - value[i, before])
                start = np.clip(start, claim.lower, claim.upper)
                with np.errstate(all="ignore"):
                    if not np.isfinite(claim.log_density(start[None])[0]):
                        break
                at, found = climbed(claim.log_density, start, root, held=i)
                height[i, k], before = found - top, k
                if height[i, k] < BELOW:
                    break
            ends[side, i] = _fallen(value[i], height[i], middle, side)
    nothing = claim.mode * np.nan
    low, high = ends if size else (nothing, nothing)
    edge_low = np.isnan(low) & np.isfinite(claim.lower)
    edge_high = np.isnan(high) & np.isfinite(claim.upper)
    arrays = {
        "profile_low": np.where(edge_low, claim.lower, low),
        "profile_high": np.where(edge_high, claim.upper, high),
        "profiled": np.arange(size) < PROFILED,
    }
    return arrays, {"profile_value": value, "profile_log_density": height}


def _fallen(value, height, middle, side):
    """Where the signed root of the profile's fall reaches the normal's end; NaN for nowhere."""
    chosen = slice(None, middle + 1) if side == 0 else slice(middle, None)
    x, fall = value[chosen], np.sqrt(np.maximum(-2 * height[chosen], 0.0))
    x, fall = (x[::-1], fall[::-1]) if side == 0 else (x, fall)
    there = np.isfinite(fall)
    x, fall = x[there], fall[there]
    past = np.flatnonzero(fall >= NORMAL_END)
    if not len(past):
        return np.nan
    k = past[0]
    share = (NORMAL_END - fall[k - 1]) / (fall[k] - fall[k - 1])
    return x[k - 1] + share * (x[k] - x[k - 1])
