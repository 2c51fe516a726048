"""Population Monte Carlo: a proposal fitted to the density, then independence Metropolis chains.

For densities of few parameters that are evaluated many points at a time. A mixture of Student's t
is fitted to the density by importance sampling: a few rounds of expectation maximisation on
weighted draws, and a new component wherever single draws weigh so much that the mixture must have
missed something. Then every chain proposes from it and accepts by the ratio of importance weights.
Proposals do not depend on the chain, so all of them are evaluated in one call, and only the
accepting is a loop. One component is never moved nor given up: the proposal stays as wide as it.

Cappé, Douc, Guillin, Marin & Robert, Statistics and Computing 18, 447 (2008),
doi:10.1007/s11222-008-9059-x; Raftery & Bao, Biometrics 66, 1162 (2010),
doi:10.1111/j.1541-0420.2010.01399.x; Tierney, Annals of Statistics 22, 1701 (1994),
doi:10.1214/aos/1176325750.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import scipy

from bayesinf import kept
from bayesinf.errors import FitError

__all__ = [
    "LEAST_ROUNDS",
    "POINTS",
    "Mixture",
    "Population",
    "em_step",
    "initial_mixture",
    "sample",
]

LEAST_ROUNDS, ROUNDS = 4, 12  # of fitting the proposal
POINTS = 300  # a round, for each parameter
TRIES = 4  # of the chains, should they come upon what the proposal misses
HEAVY = 0.003  # share of all weight from which a point shows that the proposal misses something
HEAVIER = 5.0  # than the average: the same, where points are few
MOST_ADDED = 3  # components that such points bring a round,
SHARE_ADDED = 0.2  # and the weight that they begin with
STEP = 1e-3  # of the differences that say how wide such a component is
DOF = 6.0  # of Student's t
DEFENSIVE = 0.1  # weight of the component that stays
WANTED = 1.5  # effective draws for each draw kept, which proposals in between bring about
MOST_BETWEEN = 8
PART = 2500  # points that are evaluated at once


@dataclass(frozen=True)
class Mixture:
    """Student's t: weights (k,), centres (k, p), lower roots of the scales (k, p, p)."""

    weight: np.ndarray
    centre: np.ndarray
    root: np.ndarray

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Draw points, (size, p)."""
        which = rng.choice(len(self.weight), size, p=self.weight)
        z = rng.standard_normal((size, self.centre.shape[1]))
        z *= np.sqrt(DOF / rng.chisquare(DOF, size))[:, None]
        return self.centre[which] + np.einsum("nij,nj->ni", self.root[which], z)

    @cached_property
    def whitener(self) -> np.ndarray:
        """What turns the roots into ones, (k, p, p)."""
        return np.linalg.solve(
            self.root, np.broadcast_to(np.eye(self.root.shape[1]), self.root.shape)
        )

    def squares(self, points: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distances from each component, (size, k)."""
        size, p = points.shape
        rows = self.whitener.reshape(-1, p)
        white = points @ rows.T - np.sum(rows * np.repeat(self.centre, p, axis=0), axis=1)
        return np.sum(white.reshape(size, -1, p) ** 2, axis=2)

    def at(self, centre: np.ndarray) -> Mixture:
        """Itself with all components but the last moved to one place."""
        moved = np.broadcast_to(centre, self.centre.shape).copy()
        moved[-1] = self.centre[-1]
        return Mixture(self.weight, moved, self.root)

    def log_components(self, points: np.ndarray) -> np.ndarray:
        """Log of weight times density of each component, (size, k)."""
        p = self.centre.shape[1]
        square = self.squares(points)
        volume = np.sum(np.log(np.diagonal(self.root, axis1=1, axis2=2)), axis=1)
        constant = (
            scipy.special.gammaln((DOF + p) / 2)
            - scipy.special.gammaln(DOF / 2)
            - 0.5 * p * np.log(DOF * np.pi)
        )
        return np.log(self.weight) + constant - volume - 0.5 * (DOF + p) * np.log1p(square / DOF)

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Log density at points, (size,)."""
        return np.logaddexp.reduce(self.log_components(points), axis=1)


@dataclass(frozen=True)
class Population:
    """What the chains leave behind.

    Parameters
    ----------
    draws : (chain, draw, parameter).
    log_weight : (chain, draw), log density − log proposal at the draws.
    acceptance_rate : (chain,).
    efficiency : effective share of the proposals, 1 where the proposal is the density.
    evaluations : of the log density.
    """

    draws: np.ndarray
    log_weight: np.ndarray
    acceptance_rate: np.ndarray
    efficiency: float
    evaluations: int


def sample(
    log_density: Callable[[np.ndarray], np.ndarray],
    centres: Sequence[np.ndarray],
    covariances: Sequence[np.ndarray],
    rngs: Sequence[np.random.Generator],
    draws: int,
    *,
    base: tuple[np.ndarray, np.ndarray] | None = None,
) -> Population:
    """Fit a proposal, and run a chain with it for each generator but the first.

    Parameters
    ----------
    log_density : (point, parameter) -> (point,), up to a constant; -inf outside the support.
    centres, covariances : (component, parameter) and (component, parameter, parameter), where the
        mixture begins: optima, and what the curvature there says.
    rngs : a generator for the fit of the proposal, and one for each chain.
    draws : kept of each chain; where the proposal fits badly, up to eight are made for one kept.
    base : centre and covariance of the component that stays; by default N(0, 1) in each parameter.

    Raises
    ------
    FitError : no proposal lies in the support of the density.
    """
    log_density = partial(_evaluated, log_density)
    mixture, latest, evaluations = _fit(log_density, centres, covariances, rngs[0], base)
    for turn in range(TRIES):
        between = int(np.clip(np.ceil(WANTED / latest.efficiency), 1, MOST_BETWEEN))
        steps = draws * between
        proposals = np.stack([mixture.sample(rng, steps) for rng in rngs[1:]])
        flat = proposals.reshape(-1, proposals.shape[-1])
        trial = _Round.of(mixture, flat, log_density(flat))
        evaluations += len(flat)
        # A chain would stick to a point that weighs as much as many others.
        heavy = trial.heavy()
        if not len(heavy) or turn == TRIES - 1:
            break
        mixture = _extended(em_step(mixture, flat, trial.weight), flat[heavy], log_density)
        evaluations += len(heavy) * 2 * flat.shape[1] * (flat.shape[1] + 1)
        latest = trial
    log_weight = trial.log_weight.reshape(proposals.shape[:2])
    log_uniform = np.log([rng.random(steps) for rng in rngs[1:]])
    # Each chain begins at a point of the last round, drawn by its weight.
    start = [rng.choice(len(latest.points), p=latest.weight) for rng in rngs[1:]]
    # The mixture may have been extended since: what a point weighs, it weighs in the last one.
    first = latest.points[start]
    first_weight = log_density(first) - mixture.log_density(first)
    evaluations += len(first)
    place, weight = np.full(len(start), -1), first_weight
    places = np.empty(proposals.shape[:2], dtype=int)
    accepted = np.zeros(len(start))
    for step in range(steps):
        move = log_uniform[:, step] < log_weight[:, step] - weight
        weight = np.where(move, log_weight[:, step], weight)
        place = np.where(move, step, place)
        places[:, step], accepted = place, accepted + move
    kept = places[:, between - 1 :: between]
    chain = np.arange(len(start))[:, None]
    begun = kept[..., None] >= 0
    return Population(
        draws=np.where(begun, proposals[chain, kept], first[:, None, :]),
        log_weight=np.where(begun[..., 0], log_weight[chain, kept], first_weight[:, None]),
        acceptance_rate=accepted / steps,
        efficiency=trial.efficiency,
        evaluations=evaluations,
    )


def _evaluated(log_density, points):
    """The log density at points, part by part, so that a part that was done may be kept."""
    values = np.empty(len(points))
    for first in kept.steps(range(0, len(points), PART), values):
        values[first : first + PART] = log_density(points[first : first + PART])
    return values


def _fit(log_density, centres, covariances, rng, base):
    """Fit the mixture; also its last round, and how often the density was evaluated."""
    p, mixture = len(centres[0]), initial_mixture(centres, covariances, base)
    size, evaluations = POINTS * p, 0
    for turn in range(ROUNDS):
        points = mixture.sample(rng, size)
        latest = _Round.of(mixture, points, log_density(points))
        evaluations += size
        heavy = latest.heavy()
        if (turn >= LEAST_ROUNDS - 1 and not len(heavy)) or turn == ROUNDS - 1:
            return mixture, latest, evaluations
        mixture = em_step(mixture, points, latest.weight)
        if len(heavy):
            mixture = _extended(mixture, points[heavy], log_density)
            evaluations += len(heavy) * 2 * p * (p + 1)


@dataclass(frozen=True)
class _Round:
    """Points drawn from a mixture, with their importance weights."""

    points: np.ndarray
    log_weight: np.ndarray
    weight: np.ndarray  # adds up to one

    @classmethod
    def of(cls, mixture, points, log_density):
        log_weight = log_density - mixture.log_density(points)
        if not np.isfinite(log_weight.max()):
            raise FitError(
                "no draw of the proposal lies in the support of the posterior: state "
                "priors that fit the data",
                centres=mixture.centre,
            )
        return cls(points, log_weight, np.exp(log_weight - np.logaddexp.reduce(log_weight)))

    @property
    def efficiency(self):
        return 1 / (len(self.weight) * np.sum(self.weight**2))

    def heavy(self):
        """The heaviest points where some weigh so much that the mixture must have missed them."""
        order = np.argsort(-self.weight)[:MOST_ADDED]
        return order[self.weight[order] > max(HEAVY, HEAVIER / len(self.weight))]


def _extended(mixture, points, log_density):
    """Add a component at each point that the mixture had missed, as wide as the density there."""
    p = points.shape[1]
    rows, columns = np.triu_indices(p)
    unit = STEP * np.eye(p)
    # f(a + b) - f(a - b) - f(b - a) + f(-a - b) over all pairs of axes, all points in one call.
    shifts = np.stack([sa * unit[rows] + sb * unit[columns] for sa in (1, -1) for sb in (1, -1)])
    around = points[:, None, None, :] + shifts
    values = log_density(around.reshape(-1, p)).reshape(around.shape[:-1])
    second = np.einsum("nsk,s->nk", values, [1, -1, -1, 1]) / (4 * STEP**2)
    hessian = np.zeros((len(points), p, p))
    hessian[:, rows, columns] = hessian[:, columns, rows] = -np.nan_to_num(second)
    values, vectors = np.linalg.eigh(hessian)
    spread = 1 / np.clip(np.abs(values), 1.0, 1 / STEP**2)
    covariance = np.einsum("nij,nj,nkj->nik", vectors, spread, vectors)
    before = mixture.weight[:-1] * (1 - SHARE_ADDED / (1 - DEFENSIVE))
    weight = np.append(before, np.full(len(points), SHARE_ADDED / len(points)))
    return Mixture(
        np.append(weight, DEFENSIVE),
        np.vstack([mixture.centre[:-1], points, mixture.centre[-1:]]),
        np.concatenate([mixture.root[:-1], np.linalg.cholesky(covariance), mixture.root[-1:]]),
    )


def initial_mixture(centres, covariances, base=None) -> Mixture:
    """Return the mixture to begin with; arguments as for ``sample``."""
    p, count = len(centres[0]), len(centres)
    centre, covariance = base or (np.zeros(p), np.eye(p))
    return Mixture(
        np.append(np.full(count, (1 - DEFENSIVE) / count), DEFENSIVE),
        np.vstack([*centres, centre]),
        np.linalg.cholesky(np.stack([*covariances, covariance])),
    )


def em_step(mixture: Mixture, points: np.ndarray, weight: np.ndarray) -> Mixture:
    """Take one step of expectation maximisation; the last component stays.

    Parameters
    ----------
    mixture : what the points were drawn from.
    points : (size, p).
    weight : (size,), of each under the density that the mixture is to resemble; they add up to 1.
    """
    p = points.shape[1]
    # Few heavy weights would pull the mixture onto themselves (Ionides 2008).
    weight = np.minimum(weight, 1 / np.sqrt(len(points)))
    weight = weight / weight.sum()
    log_parts = mixture.log_components(points)
    share = np.exp(log_parts - np.logaddexp.reduce(log_parts, axis=1)[:, None]) * weight[:, None]
    square = mixture.squares(points)
    pull = share * (DOF + p) / (DOF + square)  # of Student's t: far points pull less
    weights, centres, roots = [], [], []
    for k in range(len(mixture.weight) - 1):
        # A component that hardly any point belongs to keeps its place and loses its weight.
        if 1 / np.sum((share[:, k] / max(share[:, k].sum(), 1e-300)) ** 2) < 5 * p:
            centres.append(mixture.centre[k])
            roots.append(mixture.root[k])
        else:
            centre = pull[:, k] @ points / pull[:, k].sum()
            off = points - centre
            scatter = (off * pull[:, k, None]).T @ off / share[:, k].sum()
            before = mixture.root[k] @ mixture.root[k].T
            centres.append(centre)
            roots.append(np.linalg.cholesky(0.95 * scatter + 0.05 * before))
        weights.append(max(share[:, k].sum(), 1e-3))
    weights = (1 - DEFENSIVE) * np.array(weights) / np.sum(weights)
    return Mixture(
        np.append(weights, DEFENSIVE),
        np.vstack([*centres, mixture.centre[-1]]),
        np.stack([*roots, mixture.root[-1]]),
    )
