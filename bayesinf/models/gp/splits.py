"""One process, many splits of one data set: how far can its predictions be trusted?

Everything a split needs comes from one factorisation. With the observations ordered training first,
the first columns of L, where K = L Lᵀ, hold the factor of the training covariance and, below it,
what the held-out data share with the training data; a row y − m that borders K becomes L⁻¹(y − m).
So a thousand splits are one call of LAPACK. Hyperparameters are fixed, or integrated over: most
points θ serve all splits of a size, some are drawn for each split, which weighs all of them by the
marginal likelihood of its own training data.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy

from bayesinf import parallel
from bayesinf.inference import population
from bayesinf.models.gp.cholesky import BORDER, cholesky
from bayesinf.models.gp.definition import Process
from bayesinf.models.gp.routes import FROM_PRIOR, RIVAL, curvature, descend, optima

__all__ = [
    "CHUNK",
    "LEVELS",
    "OWN",
    "SCORES",
    "SHARED",
    "fixed",
    "integrated",
    "mixture_scores",
    "normal_scores",
    "orders",
]

LEVELS = (0.5, 0.8, 0.95)
SCORES = ("error", "z2", "crps", "log_density", *(f"coverage_{100 * p:.0f}" for p in LEVELS))
CHUNK = 2**20  # numbers in the matrices that are factorised together
SHARED = 150  # points of θ that serve all splits of a size
OWN = 80  # points for each split
ROUNDS = 4  # in which the proposal of those is fitted,
LEARNERS = 30  # on so many of the splits
CLIMBERS, CLIMBS = 6, 2  # splits whose own optima are sought, by so many descents each
RESAMPLED = 512  # draws of those points, by their weights, whose predictions are mixed by default
NEGLIGIBLE = 1e-9  # weight, relative to the largest, below which a point is left out of any mixture
PAIRED = 16  # parts of a mixture behind its CRPS


def orders(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Return random orders of the observations, (split, observation): training comes first."""
    return np.argsort(rng.random((count, size)), axis=1)


def fixed(
    problem: Process, theta: Mapping[str, np.ndarray], orders: np.ndarray, training: int
) -> dict[str, np.ndarray]:
    """Score splits at stated hyperparameters.

    Parameters
    ----------
    problem : the process on all of the data.
    theta : name to hyperparameters, (mean,): prior means that go with one and the same covariance,
        which is that of the first entry.
    orders : (split, observation), training first.
    training : how many observations a split trains on.

    Returns
    -------
    score to its average over the held-out data, (mean, split): ``error`` |y − ŷ|, ``z2`` squared
    z-score, ``crps`` and ``log_density`` of the predictive density, ``coverage_50``, ``_80`` and
    ``_95`` of its central intervals.
    """
    covariance = problem.covariance({name: np.ravel(value)[0] for name, value in theta.items()})
    mean = problem.expected(theta)  # of a zero mean, one row for all
    rows = max(np.size(value) for value in theta.values())
    residual = problem.y - np.broadcast_to(mean, (rows, len(problem.y)))

    def run(part):
        centre, variance, _ = _predict(
            covariance[part[:, :, None], part[:, None, :]],
            np.moveaxis(residual[:, part], 0, 1),
            training,
        )
        held_out = np.moveaxis(residual[:, part[:, training:]], 0, 1)
        return normal_scores((held_out - centre), np.sqrt(variance)[:, None])

    step = max(1, CHUNK // len(problem.y) ** 2)
    parts = [orders[i : i + step] for i in range(0, len(orders), step)]
    found = parallel.map(run, parts, workers=problem.workers, threads=True)
    return {name: np.concatenate([part[name] for part in found]).T for name in SCORES}


def integrated(
    problem: Process,
    orders: Mapping[int, np.ndarray],
    rng: np.random.Generator,
    resampled: int | None = RESAMPLED,
) -> dict[int, dict[str, np.ndarray]]:
    """Score splits with the hyperparameters integrated over their posterior, split by split.

        p(y* | y) = Σ_b w_b N(y*; μ_b, s_b²),   w_b ∝ p(y | θ_b) p(θ_b) / q(θ_b),  θ_b ~ q

    The proposal q begins at the posterior of all data and widens as the training data get fewer;
    part of the points are drawn for each split from what it made of the others.

    Parameters
    ----------
    problem : the process on all of the data.
    orders : number of training observations to orders (split, observation), training first.
    rng : generator of the points θ_b.
    resampled : of those points, by their weights, as many are mixed; None mixes all of them. Few
        do for averages over splits, the density of one datum far from all predictions needs all.

    Returns
    -------
    number of training observations to scores as of ``fixed``, (split,), and ``effective``, the
    effective number of points.
    """
    # One BLAS thread: the matrices are small, and curves are worth a process each.
    with parallel.one_blas_thread():
        found = optima(problem, rng)
        mixture = population.initial_mixture(found.points, found.covariances)
        result = {}
        for training in sorted(orders, reverse=True):
            mixture = _learnt(problem, mixture, orders[training], training, rng)
            result[training] = _scored(problem, mixture, orders[training], training, rng, resampled)
    return {training: result[training] for training in orders}


def _learnt(problem, mixture, orders, training, rng):
    """Fit the proposal to the average of the posteriors of some splits."""
    learners = orders[:: max(1, len(orders) // LEARNERS)]
    # Without an influential observation the optimum can be far from all that has been seen: where
    # single ones are left out each split may have its own, else a few random splits show them.
    size = len(problem.names)
    draws = rng.standard_normal((FROM_PRIOR * size, size))
    climbers = learners if training == len(problem.y) - 1 else learners[:CLIMBERS]
    found = [optimum for order in climbers for optimum in _optima(problem, order[:training], draws)]
    mixture = _extended(mixture, found)
    for _ in range(ROUNDS):
        points = _Points(problem, mixture.sample(rng, SHARED))
        proposed = mixture.log_density(points.u)
        found = [points.log_density(order[:training]) - proposed for order in learners]
        weight = np.mean([_tempered(log_weight, SHARED / 8) for log_weight in found], axis=0)
        mixture = population.em_step(mixture, points.u, weight)
    return mixture


def _optima(problem, seen, draws):
    """Where descents from the best of some draws end, on part of the data; covariances there."""
    part = problem.part(np.sort(seen))
    starts = draws[np.argsort(-part.log_density(draws))[:CLIMBS]]
    ends = sorted((descend(part, start) for start in starts), key=lambda end: -end[0])
    least = ends[0][0] - RIVAL
    return [(point, curvature(part, point)) for value, point in ends if value > least]


def _extended(mixture, optima):
    """Add a component at each optimum that is not near a component or another optimum."""
    known = [(c, r @ r.T) for c, r in zip(mixture.centre[:-1], mixture.root[:-1], strict=True)]
    before = len(known)
    for point, covariance in optima:
        if all((point - c) @ np.linalg.solve(s, point - c) > 1 for c, s in known):
            known.append((point, covariance))
    return (
        mixture if len(known) == before else population.initial_mixture(*zip(*known, strict=True))
    )


def _scored(problem, mixture, orders, training, rng, resampled):
    """Score each split, on points that all share and some of its own."""
    shared = _Points(problem, mixture.sample(rng, SHARED))
    proposed = mixture.log_density(shared.u)
    found = []
    for order in orders:
        log_shared = shared.log_density(order[:training])
        # Where this split's posterior lies is seen in weights that are not left to a few points.
        weight = _tempered(log_shared - proposed, 5 * len(problem.names))
        near = population.em_step(mixture.at(weight @ shared.u), shared.u, weight)
        own = near.sample(rng, OWN)
        log_own = problem.part(np.sort(order[:training])).log_density(own)
        u = np.concatenate([shared.u, own])
        both = [np.log(SHARED) + mixture.log_density(u), np.log(OWN) + near.log_density(u)]
        weight = _normalised(np.concatenate([log_shared, log_own]) - np.logaddexp(*both))
        mixed, share = _resampled(weight, resampled, rng)
        parts = [shared.predict(order, training, mixed[mixed < SHARED])]
        own = _Points(problem, own[mixed[mixed >= SHARED] - SHARED])
        parts.append(own.predict(order, training, slice(None)))
        centre, variance = map(np.concatenate, zip(*parts, strict=True))
        few = np.searchsorted(np.cumsum(share), (np.arange(PAIRED) + rng.random()) / PAIRED)
        few = np.minimum(few, len(share) - 1)
        scores = mixture_scores(problem.y[order[training:]], centre, variance**0.5, share, few)
        found.append(scores | {"effective": 1 / np.sum(weight**2)})
    return {name: np.array([scores[name] for scores in found]) for name in found[0]}


def _resampled(weight, size, rng):
    """Indices of the points to be mixed, ascending, and their weights."""
    if size is None:
        kept = np.flatnonzero(weight > NEGLIGIBLE * weight.max())
        return kept, weight[kept] / weight[kept].sum()
    place = (np.arange(size) + rng.random()) / size
    drawn = np.minimum(np.searchsorted(np.cumsum(weight), place), len(weight) - 1)
    kept, counts = np.unique(drawn, return_counts=True)
    return kept, counts / size


class _Points:
    """Points of θ, with all that does not depend on the split."""

    def __init__(self, problem, u):
        theta = problem.theta(u)
        with np.errstate(all="ignore"):  # what lies beyond all bounds gets no weight
            self.u, self.covariance = u, problem.covariance(theta)
            mean = problem.expected(theta)
        self.mean = np.broadcast_to(mean, self.covariance.shape[:-1])
        self.residual = problem.y - self.mean
        self.bordered = _bordered(self.covariance, self.residual[:, None])
        self.log_prior = -0.5 * np.sum(u**2 + np.log(2 * np.pi), axis=1)

    def log_density(self, chosen):
        """Log posterior density of each point given the chosen observations."""
        rows = np.append(chosen, self.residual.shape[-1])
        with np.errstate(all="ignore"):
            lower, _ = cholesky(self.bordered[:, rows[:, None], rows], len(chosen))
            log_marginal = _log_marginal(lower, len(chosen), len(chosen))
        return np.where(np.isfinite(log_marginal), log_marginal, -np.inf) + self.log_prior

    def predict(self, order, training, kept):
        """Means and variances of the held-out data at some of the points."""
        matrix = self.covariance[kept][:, order[:, None], order]
        centre, variance, _ = _predict(matrix, self.residual[kept][:, None, order], training)
        return centre[:, 0] + self.mean[kept][:, order[training:]], variance


def _tempered(log_weight, least):
    """Weights raised to the power that leaves at least so many points effective."""
    weight = _normalised(np.multiply.outer(0.7 ** np.arange(20), log_weight))
    enough = 1 / np.sum(weight**2, axis=-1) >= least
    return weight[np.argmax(enough) if enough.any() else -1]


def _normalised(log_weight):
    weight = np.exp(log_weight - log_weight.max(axis=-1, keepdims=True))
    return weight / weight.sum(axis=-1, keepdims=True)


def _predict(covariance, residual, training):
    """Predict held-out residuals, for matrices (..., n, n) and rows (..., row, n) in split order.

    Returns means (..., row, held out), variances (..., held out), and the log marginal likelihood
    of the training data, of the first row (...).
    """
    size = covariance.shape[-1]
    diagonal = np.einsum("...ii->...i", covariance)
    lower, _ = cholesky(_bordered(covariance, residual), size)
    z, across = lower[..., size:, :training], lower[..., training:size, :training]
    return (
        z @ np.swapaxes(across, -1, -2),
        np.maximum(diagonal[..., training:] - np.sum(across**2, axis=-1), 1e-300),
        _log_marginal(lower, size, training),
    )


def _bordered(covariance, residual):
    size, rows = covariance.shape[-1], residual.shape[-2]
    bordered = np.zeros((*covariance.shape[:-2], size + rows, size + rows))
    bordered[..., :size, :size] = covariance
    bordered[..., size:, :size] = residual
    bordered[..., np.arange(size, size + rows), np.arange(size, size + rows)] = BORDER
    return bordered


def _log_marginal(lower, size, training):
    z, pivots = lower[..., size, :training], np.einsum("...ii->...i", lower)[..., :training]
    return -np.sum(0.5 * (z**2 + np.log(2 * np.pi)) + np.log(pivots), axis=-1)


def normal_scores(away: np.ndarray, sd: np.ndarray) -> dict[str, np.ndarray]:
    """Score normal predictions of data that lie ``away`` from their means, over the last axis."""
    z = away / sd
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return _averages(
        error=np.abs(away),
        z2=z**2,
        crps=sd * (z * (2 * scipy.special.ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi)),
        log_density=-0.5 * z**2 - np.log(sd) - 0.5 * np.log(2 * np.pi),
        below=np.abs(z),
        edges=[scipy.special.ndtri((1 + level) / 2) for level in LEVELS],
    )


def mixture_scores(
    y: np.ndarray,
    centre: np.ndarray,
    sd: np.ndarray,
    weight: np.ndarray | None = None,
    few: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Score mixtures of normals, centres and sds (part, point), at y (point,).

    The CRPS is ⟨|Y − y|⟩ − ½ ⟨|Y − Y′|⟩, in closed form for normals; ``few``, indices of parts
    drawn by their weights, stand for all parts in its pairs. Parts weigh the same where no weights
    (part,) are given.
    """
    weight = np.full(len(centre), 1 / len(centre)) if weight is None else weight
    few = np.arange(len(centre)) if few is None else few
    mean = weight @ centre
    spread = np.sqrt(weight @ (sd**2 + (centre - mean) ** 2))
    z = (y - centre) / sd
    log_parts = np.log(weight)[:, None] - 0.5 * z**2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
    some, widths = centre[few], sd[few]
    pairs = _absolute(some[:, None] - some, np.hypot(widths[:, None], widths))
    return _averages(
        error=np.abs(y - mean),
        z2=((y - mean) / spread) ** 2,
        crps=_absolute(y - some, widths).mean(axis=0) - 0.5 * pairs.mean(axis=(0, 1)),
        log_density=np.logaddexp.reduce(log_parts, axis=0),
        below=np.abs(weight @ scipy.special.ndtr(z) - 0.5),
        edges=[level / 2 for level in LEVELS],
    )


def _absolute(mean, sd):
    """⟨|X|⟩ of X ~ N(mean, sd²)."""
    z = mean / sd
    return mean * (2 * scipy.special.ndtr(z) - 1) + 2 * sd * np.exp(-0.5 * z**2) / np.sqrt(
        2 * np.pi
    )


def _averages(below, edges, **scores):
    covered = {
        f"coverage_{100 * level:.0f}": below <= edge
        for level, edge in zip(LEVELS, edges, strict=True)
    }
    return {name: np.mean(value, axis=-1) for name, value in (scores | covered).items()}
