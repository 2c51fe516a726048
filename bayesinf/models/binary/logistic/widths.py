"""Normal approximations of the posterior: at the optimum, at the mean, at several widths.

Given the width of the couplings the blocks are independent and each log density is concave.
``at_width`` is the Laplace approximation at one width. ``at_mean`` moves it from the mode to the
mean of the posterior. With many couplings a row these are far apart: at 100 sites and 2000 strong
transitions the mode is 0.6 posterior sd from the mean (root mean square over the parameters), the
moved normal 0.1. ``LogisticWidths`` finds the best width, of great data by a part of them first.

Of many symmetric couplings the precision is not written out (``joint``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bayesinf.errors import FitError
from bayesinf.inference import factors
from bayesinf.inference.importance import Weights, log_mean
from bayesinf.inference.normal import AtWidth, BlockNormal, expectations, variational_mean
from bayesinf.models.binary.logistic.joint import Joint, UnwrittenNormal
from bayesinf.models.binary.logistic.likelihood import Logistic
from bayesinf.models.binary.logistic.optimum import maximum, written
from bayesinf.models.binary.widths import FAR, NEAR, SHARP, Widths, without_fields

__all__ = [
    "GREAT",
    "LogisticAtWidth",
    "LogisticWidths",
    "at_mean",
    "at_width",
    "drift",
    "log_weights",
    "with_evidence",
]

# Steps from the mode to the mean.
ROUNDS = 2
# Products that all curvatures of such a step may cost: the more data, the fewer pairs of draws.
EFFORT = 1e10
# Fewest and most pairs of draws.
PAIRS = 2, 32
# Fewest and most draws whose importance weights correct an evidence.
WEIGHED = 30, 500
# Steps of the width after the approximation has been moved to the mean.
SHIFTS = 15
# Products of one curvature from which the search begins with a part of the data.
GREAT = 2e10
# One in so many transitions is in that part.
COARSE = 8
# Symmetric parameters from which their precision is not written out.
BROAD = 3000


@dataclass(frozen=True)
class LogisticAtWidth(AtWidth):
    """A normal approximation at one width.

    Parameters
    ----------
    scale, normal, gradient, log_density : as of ``AtWidth``. The log density is that at the
        optimum, where the normal touches it, or after ``with_evidence`` what makes the evidence
        right.
    slopes, joint : of symmetric couplings the rows' slopes (site, 1 + site) and curvatures.
    """

    slopes: np.ndarray | None = None
    joint: Joint | None = None

    @property
    def unwritten(self) -> bool:
        """Whether the precision is not written out."""
        return isinstance(self.normal, UnwrittenNormal)


def at_width(
    problem: Logistic,
    scale: float,
    start: np.ndarray | None = None,
    looseness: float = 1.0,
    unwritten: bool = False,
) -> LogisticAtWidth:
    """Return the Laplace approximation at a width.

    Parameters
    ----------
    problem, scale, start, looseness : as of ``maximum``.
    unwritten : whether the precision of many symmetric couplings may be left unwritten.
    """
    top, slopes = maximum(problem, scale, start, looseness), None
    if problem.symmetric:
        slopes = problem.sums - problem.design.expectations(problem.rows(top.theta))[1]
    normal, joint = _normal(problem, scale, top.theta, top.curvature, unwritten)
    return LogisticAtWidth(scale, normal, top.gradient, top.log_density, slopes, joint)


def _normal(problem, scale, mean, precision, unwritten):
    """The normal of a mean and a precision, as ``curvature`` gives it, and the joint precision."""
    from scipy.linalg import cholesky

    if not problem.symmetric:
        return BlockNormal(mean, factors.cholesky(precision)), None
    joint = Joint(problem, precision, scale)
    if unwritten and problem.dim > BROAD:
        return UnwrittenNormal(mean, joint), joint
    # Transposed it is in Fortran's order, and so its root takes its own place.
    matrix = written(problem, precision, scale).T
    root = cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)
    return BlockNormal(mean, root[None]), joint


def at_mean(
    problem: Logistic,
    near: LogisticAtWidth,
    rng: np.random.Generator,
    scale: float | None = None,
    rounds: int = ROUNDS,
) -> LogisticAtWidth:
    """Move a normal from the mode to the mean of the posterior, as of ``variational_mean``.

    Slope and curvature are averages over pairs of draws, a few where there is much to sum.

    Parameters
    ----------
    problem, near : the posterior, and a normal near it.
    rng : of the draws.
    scale : the width; by default that of ``near``.
    rounds : steps.
    """
    pairs = int(np.clip(EFFORT / problem.work / 2, *PAIRS))

    def look(theta):
        if not problem.symmetric:
            return problem.curvature(theta, near.scale)[1:]
        _, slopes, curvature = problem.row_curvature(theta)
        slope = problem.gathered(slopes) + problem.prior_slope(theta, near.scale)
        return slope, curvature, slopes

    def expect(at):
        away = at.normal.draws(rng, pairs)
        slope, precision, *slopes = expectations(look, at.theta, away)
        normal, joint = _normal(problem, at.scale, at.theta, precision, near.unwritten)
        slopes = slopes[0] if slopes else None
        return replace(at, normal=normal, gradient=slope, slopes=slopes, joint=joint)

    near = near if scale is None else replace(near, scale=scale)
    return variational_mean(near, expect, rounds)


def with_evidence(
    problem: Logistic, near: LogisticAtWidth, rng: np.random.Generator
) -> LogisticAtWidth:
    """Give a normal the ``log_density`` that makes its evidence that of importance sampling.

        log p(data) = log E [p(data, θ) / N(θ; mean, P⁻¹)]

    Each row has its own weights. Symmetric couplings stand in two rows, whose log weights are then
    correlated: half of the summed covariances is added, as for the mean of a log-normal.
    """
    away = _weighed_draws(problem, near, rng)
    near = replace(near, log_density=np.mean(_excess(problem, near, away), axis=0))
    rows = log_weights(problem, near, away)
    gain = log_mean(rows, axis=0)
    if problem.symmetric:
        shared = np.var(rows.sum(axis=1)) - np.var(rows, axis=0).sum()
        gain = np.array([gain.sum() + 0.5 * shared])
    return replace(near, log_density=near.log_density + gain)


def _weighed_draws(problem, near, rng):
    return near.normal.draws(rng, int(np.clip(20 * EFFORT / problem.work, *WEIGHED)))


def _excess(problem, near, away):
    """Log density less the normal's exponent, (draw, block)."""
    theta = near.theta + away
    height = problem.log_likelihood(theta) + problem.log_prior(theta, near.scale)
    return height + near.normal.exponent(away)


def log_weights(problem: Logistic, near: LogisticAtWidth, away: np.ndarray) -> np.ndarray:
    """Log density over that of the normal, of each row apart, (draw, site).

    Without symmetry rows are independent, and each has the weights of a posterior of its own.
    Symmetric couplings make one block of all parameters, whose log weight adds up what the normal
    misses in every row: among hundreds of parameters hardly two draws weigh alike, however good
    each marginal is. But it is a sum over rows,

        log w = Σ_i [ℓ_i(θ) − ∇ℓ_i · (θ − θ̂) + ½ (θ − θ̂)ᵀ H_i (θ − θ̂)] + const

    of which each term weighs the parameters of one row, apart from what other rows say of the same
    couplings. These terms are returned.

    Parameters
    ----------
    problem, near : the posterior and the normal.
    away : θ − θ̂ of draws, (draw, block, dim).
    """
    if not problem.symmetric:
        return _excess(problem, near, away) - near.log_density
    values = problem.row_log_likelihood(near.theta + away)
    v = away[:, 0].T
    rows = values + near.joint.parts(v).T
    rows -= np.sum(near.slopes[..., None] * near.joint.rows(v), axis=1).T
    height = values.sum(axis=1) + problem.log_prior(near.theta + away, near.scale)[:, 0]
    whole = height + near.normal.exponent(away)[:, 0] - near.log_density[0]
    return rows + (whole - rows.sum(axis=1))[:, None] / problem.sites


def drift(problem: Logistic, near: LogisticAtWidth) -> np.ndarray:
    """How the centre moves with the logarithm of the width, dθ̂ / d log τ = P⁻¹ 2 J / τ²."""
    return near.normal.solve(2 * without_fields(problem, near) / near.scale**2)


class LogisticWidths(Widths):
    """``Widths`` of transitions, of which there may be very many.

    Parameters
    ----------
    problem : likelihood and prior.
    start : parameters near the optimum, (block, dim), where they are known.
    unwritten : as of ``at_width``; without roots there is no evidence, only its slope.
    whole : whether, of great problems, the best width is that of a part, near which it is.
    """

    def __init__(
        self,
        problem: Logistic,
        start: np.ndarray | None = None,
        unwritten: bool = False,
        whole: bool = True,
    ):
        if problem.prior.local:
            raise FitError(
                "under this prior couplings are normal only given variances of their own: use the "
                "method gibbs"
            )
        super().__init__(problem)
        self.has_evidence = not (unwritten and problem.symmetric and problem.dim > BROAD)
        great = problem.work > GREAT and start is None
        if great:
            part = LogisticWidths(problem.part(COARSE), unwritten=unwritten, whole=False)
            self.centre, self.spread, start = part.centre, part.spread, part.best.theta
        search = problem.prior.inferred and not (great and unwritten and whole)
        self.find_best(start, search)

    def at_width(self, scale, start, looseness=1.0):
        """The Laplace approximation at a width."""
        return at_width(self.problem, scale, start, looseness, not self.has_evidence)

    def at_means(self, rng: np.random.Generator) -> tuple[list[AtWidth], np.ndarray]:
        """Normals at the mean of the posterior, at one width or several, and their log shares."""
        if not self.problem.prior.inferred:
            return [at_mean(self.problem, self.best, rng)], np.zeros(1)
        if not self.has_evidence or self.spread < SHARP:
            return [self._at_best_width(rng)], np.zeros(1)

        def moved(near):
            return with_evidence(self.problem, at_mean(self.problem, near, rng), rng)

        return self.mixture(moved)

    def _at_best_width(self, rng):
        """The normal at the mean, at the width at which the evidence is highest."""
        near, more, corrected = at_mean(self.problem, self.best, rng, rounds=1), 0.0, False
        for _ in range(SHIFTS):
            slope, bend = self.slope(near, more)
            hop = float(np.clip(-slope / bend, -FAR, FAR))
            if abs(hop) > NEAR * (-bend) ** -0.5:
                near = at_mean(self.problem, near, rng, near.scale * np.exp(hop), rounds=1)
                corrected = False
            elif corrected:
                break
            else:
                # At the top of the lower bound, or near that of the evidence.
                more, corrected = more_square(self.problem, near, rng), True
        self.spread = (-bend) ** -0.5
        return near


def more_square(problem: Logistic, near: LogisticAtWidth, rng: np.random.Generator) -> float:
    """Return how much larger Σ J² is under the posterior than under the normal, by weighed draws.

    The lower bound of the evidence alone prefers a width at which the normal fits well, too narrow
    a one. Each row has its own weights; a coupling of two rows is moved by both.
    """
    away = _weighed_draws(problem, near, rng)
    weights = Weights.of(log_weights(problem, near, away).T)
    square = np.sum(problem.matrix(near.theta + away) ** 2, axis=2).T
    return float(np.sum(weights.mean(square) - square.mean(axis=-1)))
