"""Numbers that say how far draws can be trusted, for thousands of quantities at once.

Arrays in, arrays out: R-hat and effective sample sizes of chains, and the tail of importance
weights. They are the published estimators, and equal ArviZ's where ArviZ has them (a test holds
them to it); they are written again because ArviZ takes one quantity after the other, which for
5000 couplings means half a minute instead of two seconds. ``comparisons`` are the statistics by
which data of any kind are held against their replicas, and ``neighbours`` says which of the data
follow each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

__all__ = [
    "TIMES",
    "Coverage",
    "Neighbours",
    "comparisons",
    "coverage",
    "largest_covered",
    "mixing",
    "neighbours",
    "smoothed_weights",
    "tie_weighted_mixing",
]


def mixing(draws: np.ndarray, workers: int | None = None) -> np.ndarray:
    """Return R-hat, bulk ESS and tail ESS of many quantities at once, as ArviZ defines them.

    Parameters
    ----------
    draws : (element, chain, draw).
    workers : threads that share the elements; None for one per core.

    Returns
    -------
    (3, element): rank-normalised split R-hat, NaN of a constant and of one chain alone; bulk and
    tail effective sample size. All are NaN of draws that are not finite.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter & Bürkner, Bayesian Analysis 16, 667 (2021),
    doi:10.1214/20-BA1221.
    """
    _, chains, length = draws.shape
    result = _many(_standard, draws, workers, (np.nan, *[2.0 * chains * (length // 2)] * 2))
    if chains < 2:
        result[0] = np.nan
    return result


def tie_weighted_mixing(draws: np.ndarray, workers: int | None = None) -> np.ndarray:
    """Return R-hat, bulk ESS and tail ESS that may be held to thresholds where draws tie.

    An indicator that is 1 in twenty draws of 4000, or a coefficient that is exactly zero in all the
    others, has an R-hat and effective sample sizes that hang on those twenty draws, although its
    probability is known to a fraction of a per cent. A threshold on the effective sample size is a
    demand on the accuracy of a probability f, whose Monte Carlo error is √(f (1 − f) / ESS); an
    event rarer than the nominal one (1/2 for the bulk, 5 % for the tails) meets it with fewer
    draws. So, with the weight

        w = min(1, f (1 − f) / (nominal (1 − nominal))),

    what is returned is ESS / w, and R-hat² = 1 + w (R-hat² − 1), where f is the share of the draws
    away from the commonest value (at most 1/2), in the tails the share at or below the quantile.
    For a continuous quantity w = 1 and these are those of ``mixing``. A quantile that falls into
    a tie at the end has an indicator that never changes: that tail is left out. A quantity that
    never moves agrees (R-hat 1); one that is stuck at different values in different chains, or is
    not finite, has an infinite R-hat.

    Parameters
    ----------
    draws, workers : as ``mixing`` takes them.

    Returns
    -------
    (3, element): R-hat, bulk and tail effective sample size; NaN where an effective sample size is
    undefined.
    """
    return _many(_tie_weighted, draws, workers, (1.0, np.nan, np.nan))


@dataclass(frozen=True)
class Coverage:
    """How known values lie among draws.

    Parameters
    ----------
    covered : elements within their central 95 % interval.
    fewest : the 0.1 % quantile of that number when a draw stands for the known values.
    farthest : the element that lies farthest out, in units of its sd.
    distance : how far.
    p_farthest : chance that a draw's farthest element lies as far out.
    """

    covered: int
    fewest: int
    farthest: int
    distance: float
    p_farthest: float


def coverage(draws: np.ndarray, known: np.ndarray) -> Coverage:
    """Hold known values against draws, which say themselves how far out a draw may lie.

    With intervals [l_k, u_k] that hold 95 % of element k, c(θ) = Σ_k [l_k ≤ θ_k ≤ u_k] and d(θ) =
    max_k |θ_k − mean_k| / sd_k, the known values should not fall behind the draws in c nor exceed
    them in d; correlations between elements are those of the draws.

    Parameters
    ----------
    draws : (element, draw); the tail of a thousandth needs some thousands.
    known : (element,).

    Returns
    -------
    a ``Coverage``.
    """
    low, high = np.quantile(draws, [0.025, 0.975], axis=1)
    mean, sd = draws.mean(1), draws.std(1)

    def inside(theta):
        return np.sum((low <= theta) & (theta <= high), axis=-1)

    def distances(theta):
        # A value that the draws never leave is either met or infinitely far.
        off = np.abs(theta - mean)
        slack = 1e-9 * (np.abs(mean) + np.abs(theta))
        with np.errstate(over="ignore"):
            far = off / np.where(sd > 0, sd, np.finfo(float).tiny)
        return np.where(off > slack, far, 0.0)

    known_out, drawn_out = distances(known), distances(draws.T).max(-1)
    farthest = int(np.argmax(known_out))
    beyond = np.sum(drawn_out >= known_out[farthest])
    return Coverage(
        covered=int(inside(known)),
        fewest=int(np.quantile(inside(draws.T), 0.001, method="lower")),
        farthest=farthest,
        distance=float(known_out[farthest]),
        p_farthest=float((1 + beyond) / (1 + draws.shape[1])),
    )


def largest_covered(draws: np.ndarray, known: np.ndarray) -> tuple[int, int]:
    """Count how many of the known values that are not zero lie within their 95 % intervals.

    Where most are zero, as couplings of a sparse network are, these alone can fill the intervals
    while all others lie outside. Each draw shows what is due: of its own as many largest elements,
    how many lie within.

    Parameters
    ----------
    draws : (element, draw).
    known : (element,), some of which are zero.

    Returns
    -------
    how many do, and what a draw falls below once in a thousand times.
    """
    low, high = np.quantile(draws, [0.025, 0.975], axis=1)
    inside = (low[:, np.newaxis] <= draws) & (draws <= high[:, np.newaxis])
    count = int(np.count_nonzero(known))
    largest = np.argpartition(-np.abs(draws), count - 1, axis=0)[:count]
    drawn = np.take_along_axis(inside, largest, axis=0).sum(axis=0)
    found = ((low <= known) & (known <= high))[known != 0]
    return int(found.sum()), int(np.quantile(drawn, 0.001, method="lower"))


def _many(diagnose, draws, workers, of_constants):
    """Diagnose the elements that move, in blocks that fit the processor's cache."""
    from bayesinf import parallel

    result = np.tile(np.array(of_constants)[:, np.newaxis], len(draws))
    moving = np.flatnonzero((draws != draws[:, :1, :1]).any(axis=(1, 2)))
    size = max(1, 2**18 // math.prod(draws.shape[1:]))
    blocks = np.split(moving, range(size, len(moving), size))

    def run(block):
        return diagnose(*_parts(draws[block]))

    found = parallel.map(run, blocks, threads=True, workers=workers, label="checking")
    result[:, moving] = np.concatenate(found, axis=1)
    return result


def _parts(draws):
    """What both diagnostics are made of, (element): R-hat² − 1; effective sizes of the bulk and of
    the two tails, NaN of a constant; shares of the draws away from the commonest value, and in each
    tail; whether draws are not finite. The number of draws comes last."""
    half = draws.shape[2] // 2
    draws = np.concatenate([draws[:, :, :half], draws[:, :, -half:]], axis=1).astype(float)
    shape, size = draws.shape, math.prod(draws.shape[1:])
    draws = draws.reshape(len(draws), size)
    broken = ~np.isfinite(draws).all(axis=1)
    draws[broken] = 0.0

    z, ordered, commonest = _normal_scores(draws)
    split = z.reshape(shape)
    median = (ordered[:, (size - 1) // 2] + ordered[:, size // 2]) / 2
    folded, _, _ = _normal_scores(np.abs(draws - median[:, np.newaxis]))
    ratio = np.fmax(_variance_ratio(split), _variance_ratio(folded.reshape(shape)))
    sizes, shares = [_effective_size(split)], [np.minimum(1 - commonest / size, 0.5)]
    for probability in (0.05, 0.95):
        quantile = ordered[:, int(probability * (size - 1))]
        below = draws <= quantile[:, np.newaxis]
        sizes.append(_effective_size(below.reshape(shape).astype(float)))
        shares.append(below.mean(axis=1))
    return ratio, sizes, shares, broken, size


def _standard(ratio, sizes, shares, broken, size):
    # An indicator that never changes is worth all draws.
    bulk, *tails = (np.where(np.isnan(each), size, each) for each in sizes)
    result = np.stack([np.sqrt(1 + ratio), bulk, np.minimum(*tails)])
    result[:, broken] = np.nan
    return result


def _tie_weighted(ratio, sizes, shares, broken, size):
    weights = [_weight(f, nominal) for f, nominal in zip(shares, (0.5, 0.05, 0.05), strict=True)]
    with np.errstate(invalid="ignore", divide="ignore"):
        rhat = np.sqrt(1 + weights[0] * ratio)
        bulk, *tails = (each / weight for each, weight in zip(sizes, weights, strict=True))
    rhat[broken] = np.inf
    sizes = np.stack([bulk, np.fmin(*tails)])
    return np.stack([rhat, *np.where(np.isfinite(sizes), sizes, np.nan)])


def _weight(share, nominal):
    return np.minimum(1.0, share * (1 - share) / (nominal * (1 - nominal)))


def _normal_scores(draws):
    """Normal scores of the ranks (ties at their mean), the sorted values, the largest tie."""
    from scipy.special import ndtri

    size = draws.shape[1]
    order = np.argsort(draws, axis=1)
    ordered = np.take_along_axis(draws, order, axis=1)
    fresh = np.ones(draws.shape, dtype=bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=fresh[:, 1:])
    position = np.arange(size)
    twice_rank = np.broadcast_to(2 * position, draws.shape)
    largest = np.ones(len(draws), dtype=int)
    tied = ~fresh.all(axis=1)
    if tied.any():
        first = np.maximum.accumulate(np.where(fresh[tied], position, 0), axis=1)
        closing = np.ones(first.shape, dtype=bool)
        closing[:, :-1] = fresh[tied, 1:]
        last = np.where(closing, position, size)[:, ::-1]
        last = np.minimum.accumulate(last, axis=1)[:, ::-1]
        twice_rank = twice_rank.copy()
        twice_rank[tied] = first + last
        largest[tied] = np.max(last - first, axis=1) + 1
    score = ndtri((np.arange(2 * size - 1) / 2 + 5 / 8) / (size + 1 / 4))  # Blom's offset
    z = np.empty(draws.shape)
    np.put_along_axis(z, order, score[twice_rank], axis=1)
    return z, ordered, largest


def _variance_ratio(z):
    """R-hat² − 1: variance between the chains over variance within, less what noise gives."""
    within = z.var(axis=2, ddof=1).mean(axis=1)
    within[within < 1e-12] = 0.0  # of a constant, where only rounding is left
    between = z.mean(axis=2).var(axis=1, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return between / within - 1 / z.shape[2]


def _effective_size(z):
    """Effective sample size of the means of (element, chain, draw), by Geyer's sequence."""
    from scipy import fft

    _, chains, length = z.shape
    mean = z.mean(axis=2)
    padded = fft.next_fast_len(2 * length, real=True)
    spectrum = fft.rfft(z - mean[..., np.newaxis], padded, axis=2)
    power = np.mean(spectrum.real**2 + spectrum.imag**2, axis=1)
    covariance = fft.irfft(power, padded, axis=1)[:, :length] / length
    total = covariance[:, :1] + mean.var(axis=1, ddof=1)[:, np.newaxis]
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = 1 - (covariance[:, :1] * length / (length - 1) - covariance) / total
    correlation[:, 0] = 1.0
    # Sums of neighbouring pairs stay positive and fall in an exact chain: cut and flatten them so.
    count = max(1, (length - 2) // 2)
    pairs = correlation[:, 0 : 2 * count : 2] + correlation[:, 1 : 2 * count + 1 : 2]
    stop = np.where((pairs <= 0).any(axis=1), np.argmax(pairs <= 0, axis=1), count - 1)
    kept = np.where(np.arange(count) < stop[:, np.newaxis], np.minimum.accumulate(pairs, axis=1), 0)
    rest = np.maximum(correlation[np.arange(len(z)), 2 * stop], 0)
    time = np.maximum(2 * kept.sum(axis=1) + rest - 1, 1 / np.log10(chains * length))
    return np.where(total[:, 0] > 0, chains * length / time, np.nan)


def smoothed_weights(log_weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pareto-smooth importance weights and say how heavy their upper tail is.

    Parameters
    ----------
    log_weight : log importance ratios, log target − log proposal, (..., draw).

    Returns
    -------
    normalised smoothed log weights, same shape, and Pareto k̂, (...); weights with a flat tail need
    no smoothing and have k̂ = 0; where the draws are fewer than 25 or not numbers it is infinite.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao & Gabry, JMLR 25, 1 (2024), arXiv:1507.02646.
    """
    log_weight = np.asarray(log_weight, dtype=float)
    lead, draws = log_weight.shape[:-1], log_weight.shape[-1]
    if draws < 25:
        return _normalised(log_weight), np.full(lead, np.inf)
    values = log_weight.reshape(-1, draws)
    smooth, shape = np.empty_like(values), np.full(len(values), np.inf)
    tail = int(min(draws / 5, 3 * math.sqrt(draws))) + 1
    top = np.max(values, axis=-1)
    usable = np.isfinite(top)
    with np.errstate(invalid="ignore"):
        near = np.count_nonzero(top[:, np.newaxis] - values <= 1e-6, axis=-1)
    flat = usable & (near >= tail)  # a spread that is rounding only
    shape[flat] = 0.0
    uneven = usable & ~flat
    smooth[~uneven] = _normalised(values[~uneven])
    step, rows = max(1, PORTION // draws), np.flatnonzero(uneven)
    for some in (rows[i : i + step] for i in range(0, len(rows), step)):
        smooth[some], shape[some] = _with_pareto_tails(values[some])
    shape = np.where(np.isnan(shape), np.inf, shape)
    return smooth.reshape(log_weight.shape), shape.reshape(lead)


def _normalised(log_weight):
    """Log weights whose exponentials add up to one along the last axis."""
    with np.errstate(invalid="ignore", divide="ignore"):
        values = log_weight - np.max(log_weight, axis=-1, keepdims=True)
        return values - np.log(np.sum(np.exp(values), axis=-1, keepdims=True))


def _with_pareto_tails(log_weight):
    """Smooth the tails of many rows at once, (row, draw), as ArviZ does of one after the other.

    The largest weights become quantiles of the generalised Pareto distribution that is fitted to
    what they exceed the one before them by. A test holds this to ArviZ.
    """
    count = log_weight.shape[1]
    tail = math.floor(3 * math.sqrt(count)) if count > 225 else count // 5
    smooth = log_weight - log_weight.max(axis=1, keepdims=True)
    places = np.argpartition(smooth, count - tail - 1, axis=1)[:, count - tail - 1 :]
    top = np.take_along_axis(smooth, places, axis=1)
    order = np.argsort(top, axis=1)
    places, top = (np.take_along_axis(each, order, axis=1) for each in (places, top))
    cutoff, places = np.exp(top[:, :1]), places[:, 1:]
    excess = np.exp(top[:, 1:]) - cutoff
    step = max(1, PORTION // (tail * (30 + math.isqrt(tail))))
    parts = [_pareto(excess[i : i + step]) for i in range(0, len(excess), step)]
    shape, scale = (np.concatenate(each) for each in zip(*parts, strict=True))
    rank = np.log1p(-(np.arange(tail) + 0.5) / tail)
    with np.errstate(all="ignore"):
        beyond = np.expm1(-shape[:, np.newaxis] * rank) / shape[:, np.newaxis]
        beyond = np.where(shape[:, np.newaxis] == 0, -rank, beyond)
        fitted = np.minimum(np.log(cutoff + scale[:, np.newaxis] * beyond), top[:, -1:])
    fine = (np.isfinite(shape) & (scale > 0))[:, np.newaxis]
    np.put_along_axis(smooth, places, np.where(fine, fitted, top[:, 1:]), axis=1)
    return _normalised(smooth), shape


PORTION = 2**18  # numbers that are worked on together: what a cache holds


def _pareto(excess):
    """Shape and scale of generalised Pareto distributions, (row,) each, of sorted rows of excesses.

    Zhang & Stephens, Technometrics 51, 316 (2009), doi:10.1198/tech.2009.08017, with a weak prior
    about 1/2 on the shape; NaN where the first quartile is the least value.
    """
    count = excess.shape[1]
    trials = 30 + math.isqrt(count)
    quartile = excess[:, int(count / 4 - 0.5)]
    with np.errstate(all="ignore"):
        b = 1 - np.sqrt(trials / (np.arange(1, trials + 1) - 0.5))
        b = b / (3 * quartile[:, np.newaxis]) + 1 / excess[:, -1:]
        each = -b[..., np.newaxis] * excess[:, np.newaxis]
        k = np.mean(np.log1p(each, out=each), axis=-1)
        weight = np.exp(_normalised(count * (np.log(-b / k) - k - 1)))
        weight[weight < 10 * np.finfo(float).eps] = 0.0
        b = np.sum(b * weight, axis=1) / np.sum(weight, axis=1)
        shape = np.mean(np.log1p(-b[:, np.newaxis] * excess), axis=1)
        scale = -shape / b
    shape = (count * shape + 10 * 0.5) / (count + 10)
    return np.where(quartile > excess[:, 0], shape, np.nan), scale


TIMES = {"time", "times", "t", "date", "year", "month", "week", "day", "hour", "minute", "second"}
# Names of coordinates that tell repeats apart, across which nothing is a neighbour.
REPEATS = {"repeat", "trial", "run", "segment", "session", "group"}
# Names under which integers count rows and order nothing.
COUNTS = {"row", "index", "observation", "sample", "point"}


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Which entries of an axis follow each other, whatever the order in which they stand.

    Parameters
    ----------
    earlier, later : positions of the two of each pair, (pair,), along the order; no pair spans two
        repeats.
    """

    earlier: np.ndarray
    later: np.ndarray

    @classmethod
    def along(cls, order: np.ndarray, repeats: np.ndarray | None = None) -> Neighbours:
        """Sort by a coordinate, (entry,), within each repeat, whose label each entry bears."""
        labels = np.zeros(len(order)) if repeats is None else np.asarray(repeats)
        codes = np.unique(labels, return_inverse=True)[1]
        places = np.lexsort((np.asarray(order), codes))
        together = codes[places[1:]] == codes[places[:-1]]
        return cls(places[:-1][together], places[1:][together])

    @property
    def linked(self) -> np.ndarray:
        """Whether each pair, but the last, ends where the next begins, (pair − 1,)."""
        return self.later[:-1] == self.earlier[1:]


def neighbours(dim: str, size: int, labels: Mapping[str, ArrayLike]) -> Neighbours | None:
    """Return which entries of a dimension follow each other, where it has an order.

    An order is a coordinate of finite numbers or dates. Integers that only count the entries are
    none, unless their name is one of time (``TIMES``). A coordinate of the name of a repeat
    (``REPEATS``) parts the entries.

    Parameters
    ----------
    dim : its name; one of time is an order without coordinate.
    size : its length.
    labels : coordinate to its values along the dimension; that of the dimension's own name comes
        first, then times, then the first that will do.

    Returns
    -------
    the neighbours; None where there is no order, or no two entries are neighbours.
    """
    arrays = {str(name): np.asarray(values) for name, values in labels.items()}
    orders = [name for name in arrays if _is_order(name, arrays[name])]
    orders.sort(key=lambda name: (name != dim, name.lower() not in TIMES))
    if not orders and dim.lower() not in TIMES:
        return None
    order = arrays[orders[0]] if orders else np.arange(size)
    repeats = [np.unique(v, return_inverse=True)[1] for n, v in arrays.items() if _parts_rows(n)]
    joint = np.unique(np.stack(repeats), axis=1, return_inverse=True)[1] if repeats else None
    found = Neighbours.along(order, joint)
    return found if len(found.earlier) else None


def _parts_rows(name):
    return name.lower() in REPEATS


def _is_order(name, values):
    if values.ndim != 1 or not values.size or values.dtype.kind not in "iufM" or _parts_rows(name):
        return False
    if values.dtype.kind == "M":
        return not np.isnat(values).any()
    if not np.isfinite(values).all():
        return False
    if values.dtype.kind == "f" or name.lower() in TIMES:
        return True
    counts = values.min() + np.arange(len(values))
    return name.lower() not in COUNTS and not np.array_equal(np.sort(values), counts)


def comparisons(observed: xr.Dataset) -> dict[str, Callable]:
    """Return statistics by which data of any kind are compared with their replicas.

    Of each variable: mean, standard deviation, smallest and largest value; along a dimension that
    has an order (``neighbours``) also the memory of the residuals and of the steps,

        mean of z_k z_{k+1},   z = (y − ȳ) / s;     Σ d_k d_{k+1} / Σ d_k²,   d_k = y_{k+1} − y_k

    with mean ȳ and standard deviation s of all replicas at each place. The first shows a trend that
    the model leaves over; the second is −1/2 for independent errors about any slow trend.

    Parameters
    ----------
    observed : the data; variables that are not numbers are left out.

    Returns
    -------
    name to T(data, replicas), where data map variables to arrays (..., own dimensions), replicas to
    (chain, draw, own dimensions), and T is (...).
    """
    found = {}
    for name, variable in observed.data_vars.items():
        if variable.dtype.kind not in "biuf" or not variable.size:
            continue
        own, of = variable.ndim, f" of {name}" if len(observed.data_vars) > 1 else ""
        found[f"mean{of}"] = partial(_reduced, np.mean, name, own)
        if variable.size > 1:
            found[f"sd{of}"] = partial(_reduced, np.std, name, own)
            found[f"smallest{of}"] = partial(_reduced, np.min, name, own)
            found[f"largest{of}"] = partial(_reduced, np.max, name, own)
        for axis, order in _orders(variable).items():
            place = name, own, axis - own, order
            along = "" if len(_orders(variable)) == 1 else f" along {variable.dims[axis]}"
            found[f"residual memory{of}{along}"] = partial(_residual_memory, *place)
            if order.linked.sum() > 1:
                found[f"memory of steps{of}{along}"] = partial(_step_memory, *place)
    return found


def _orders(variable):
    """Axis to neighbours along it, of the axes that have some."""
    found = {}
    for axis, dim in enumerate(variable.dims):
        labels = {n: c.values for n, c in variable.coords.items() if c.dims == (dim,)}
        order = neighbours(str(dim), variable.sizes[dim], labels)
        if order is not None:
            found[axis] = order
    return found


def _reduced(function, name, own, data, replicas=None):
    values = np.asarray(data[name], dtype=float)
    return function(values.reshape(*values.shape[: values.ndim - own], -1), axis=-1)


def _residual_memory(name, own, axis, order, data, replicas):
    mean, sd = (moment(replicas[name], axis=(0, 1)) for moment in (np.mean, np.std))
    z = (np.asarray(data[name], dtype=float) - mean) / np.where(sd > 0, sd, np.inf)
    lead, z = z.shape[: z.ndim - own], np.moveaxis(z, axis, -1)
    return (z[..., order.earlier] * z[..., order.later]).reshape(*lead, -1).mean(axis=-1)


def _step_memory(name, own, axis, order, data, replicas=None):
    values = np.asarray(data[name], dtype=float)
    lead, values = values.shape[: values.ndim - own], np.moveaxis(values, axis, -1)
    steps = values[..., order.later] - values[..., order.earlier]
    pairs = (steps[..., 1:] * steps[..., :-1])[..., order.linked].reshape(*lead, -1).sum(axis=-1)
    size = (steps**2).reshape(*lead, -1).sum(axis=-1)
    return pairs / np.maximum(size, np.finfo(float).tiny)
