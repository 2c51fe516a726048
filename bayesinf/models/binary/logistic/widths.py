"""Normal approximations of the posterior: at the optimum, at the mean, at several widths.

Given the width of the couplings the blocks are independent and each log density is concave.
``at_width`` is the Laplace approximation at one width. ``at_mean`` moves it from the mode to the
mean of the posterior. With many couplings a row these are far apart: at 100 sites and 2000 strong
transitions the mode is 0.6 posterior sd from the mean (root mean square over the parameters), the
moved normal 0.1. ``Widths`` finds the best width, and the approximations around it.

Of many symmetric couplings the precision is not written out (``joint``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Lock

import numpy as np

from bayesinf.errors import FitError
from bayesinf.inference.importance import Weights, log_mean, shares
from bayesinf.inference.normal import AtWidth, BlockNormal, expectations, variational_mean
from bayesinf.models.binary.logistic.joint import Joint, UnwrittenNormal
from bayesinf.models.binary.logistic.likelihood import Logistic
from bayesinf.models.binary.logistic.optimum import maximum, written

__all__ = [
    "GREAT",
    "LOOSE",
    "LogisticAtWidth",
    "Widths",
    "at_mean",
    "at_width",
    "drift",
    "log_weights",
    "with_evidence",
]

# Largest distance of two widths at which approximations are made, in log τ.
SPACING = 0.35
# sd of log τ below which Laplace takes one width for all.
SHARP = 0.05
# Log evidence below the best from which a width is left out.
NEGLIGIBLE = 8.0
# Widths on either side of the best, at most.
LEVELS = 40
# Steps of the search for the best width; the longest in log τ, and the shortest in its sd.
HOPS, FAR, NEAR = 40, 1.5, 0.2
# Factor on the tolerances of optima on the way to the best width.
LOOSE = 1e3
# Steps from the mode to the mean.
ROUNDS = 2
# Products (of a curvature) for one such step, from which follows the number of pairs of draws.
EFFORT = 1e10
# Fewest and most pairs of draws.
PAIRS = 2, 32
# Fewest and most draws whose importance weights correct an evidence.
WEIGHED = 30, 500
# Steps of the width after the approximation has been moved to the mean.
SHIFTS = 15
# Products of a curvature from which a part of the data leads the way.
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
        return BlockNormal(mean, np.linalg.cholesky(precision)), None
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

    Rows have their own weights, and of what they have in common the variance is counted.
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

    Without symmetry rows are independent, and each has the weights of a posterior of its own. Where
    all parameters are one block, the ratio is that of their number: among hundreds of dimensions
    hardly two draws have comparable weights, however near each marginal is. It is a product over
    the rows though,

        log w = Σ_i [ℓ_i(θ) − ∇ℓ_i · (θ − θ̂) + ½ (θ − θ̂)ᵀ H_i (θ − θ̂)] + const

    and the factor of a row is, but for what other rows say of the same couplings, the weight of the
    marginal of its parameters. So it is the factors that are returned; they add up to log w.

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


def _couplings(problem, near):
    """The centre with its fields set to zero."""
    J = near.theta.copy()
    J[:, : problem.fields] = 0.0
    return J


def drift(problem: Logistic, near: LogisticAtWidth) -> np.ndarray:
    """How the centre moves with the logarithm of the width, dθ̂ / d log τ = P⁻¹ 2 J / τ²."""
    return near.normal.solve(2 * _couplings(problem, near) / near.scale**2)


class Widths:
    """Laplace approximations at widths around the best, in equal steps of log τ, made when needed.

    ``centre`` and ``spread`` are the mode and standard deviation of log τ by Laplace's evidence.

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
        self.problem, self.lock, self.inferred = problem, Lock(), problem.prior.inferred
        self.unwritten = unwritten and problem.symmetric and problem.dim > BROAD
        # Of the traces of the covariance, which need not be exact.
        self.rng = np.random.default_rng(0)
        self.centre, self.spread = np.log(problem.prior.typical) - self.inferred, 0.0
        great = problem.work > GREAT and start is None
        if great:
            part = Widths(problem.part(COARSE), unwritten=unwritten, whole=False)
            self.centre, self.spread, start = part.centre, part.spread, part.best.theta
        if self.inferred and not (great and unwritten and whole):
            self.centre, self.spread, start = self._search(start)
        self.best = self._at(float(np.exp(self.centre)), start)
        self.levels = {0: self.best}

    def _at(self, scale, start, looseness=1.0):
        return at_width(self.problem, scale, start, looseness, self.unwritten)

    def _search(self, start):
        """Mode and standard deviation of log τ, and the parameters near there.

        The evidence changes with t = log τ through the width and through the curvature; the slope

            Σ_k (J_k² + var J_k) / τ² − count + ∂ log(τ p(τ)) / ∂t

        is the part of it that one approximation tells (MacKay, Neural Comput. 4, 415 (1992),
        doi:10.1162/neco.1992.4.3.415). The rest varies little, and two approximations tell it.
        """
        t, before, rest, bend, evidence = self.centre, None, 0.0, -2.0, 0.0
        here = self._at(float(np.exp(t)), start, LOOSE)
        for _ in range(HOPS):
            slope = self.slope(here)[0]
            evidence = None if self.unwritten else self.evidence(here)
            if before is not None:
                hop = t - before[0]
                bend = (slope - before[1]) / hop
                if not self.unwritten:
                    rest = (evidence - before[2]) / hop - 0.5 * (slope + before[1])
            # Where the slope does not fall yet the mode is far: take the longest step.
            hop = -(slope + rest) / bend if bend < 0 else np.copysign(FAR, slope + rest)
            if before and bend < 0 and abs(hop) < NEAR * max((-bend) ** -0.5, SHARP):
                break
            before = t, slope, evidence
            t += np.copysign(np.clip(abs(hop), NEAR * SHARP, FAR), hop)
            here = self._at(float(np.exp(t)), here.theta, LOOSE)
        return t, float((-bend) ** -0.5 if bend < 0 else SPACING), here.theta

    def slope(self, near: LogisticAtWidth, more: float = 0.0) -> tuple[float, float]:
        """Slope of the evidence in log τ, its curvature left as it is, and that slope's own slope.

            S / τ² − count + ...,   −2 S / τ² + (4 J · P⁻¹ J + 2 Σ cov²) / τ⁴,   S = Σ ⟨J²⟩

        At the variational mean the first is the whole slope of the lower bound of the evidence;
        with ``more``, what ⟨J²⟩ is larger under the posterior than under the normal, it is that of
        the evidence itself.
        """
        problem, step, t = self.problem, 1e-4, np.log(near.scale)
        free, square = near.normal.spread(problem.fields, self.rng)
        J = _couplings(problem, near)
        size = (np.sum(J**2) + free + more) / near.scale**2
        bend = (4 * np.sum(J * near.normal.solve(J)) + 2 * square) / near.scale**4 - 2 * size
        of_prior = (self._log_prior(t + step) - self._log_prior(t - step)) / (2 * step)
        return float(of_prior + size - problem.couplings), float(min(bend, -1.0))

    def _log_prior(self, t):
        """Log density of log τ."""
        return self.problem.prior.log_scale(np.exp(t)) + t

    def at(self, level: int) -> LogisticAtWidth:
        """The approximation so many steps from the best, the same whoever asks first."""
        with self.lock:
            if level not in self.levels:
                scale = float(np.exp(self.centre + level * SPACING))
                self.levels[level] = self._at(scale, self.best.theta)
            return self.levels[level]

    def nearest(self, scale: np.ndarray) -> np.ndarray:
        """The levels nearest to widths."""
        away = (np.log(scale) - self.centre) / SPACING
        return np.clip(np.rint(away), -LEVELS, LEVELS).astype(int)

    def evidence(self, near: LogisticAtWidth) -> float:
        """log p(data, log τ), up to a constant: Laplace's, or that of ``with_evidence``."""
        return near.log_evidence + float(self._log_prior(np.log(near.scale)))

    def mixture(self, rng: np.random.Generator) -> tuple[list[LogisticAtWidth], np.ndarray]:
        """Normals at the mean, one standard deviation of log τ apart, or one; their log shares."""
        if not self.inferred:
            return [at_mean(self.problem, self.best, rng)], np.zeros(1)
        if self.unwritten or self.spread < SHARP:
            return [self._at_best_width(rng)], np.zeros(1)

        def moved(near):
            return with_evidence(self.problem, at_mean(self.problem, near, rng), rng)

        normals = [moved(self.best)]
        height = [self.evidence(normals[0])]
        step = min(self.spread, SPACING)
        for way in (-1, 1):
            near = self.best
            for level in range(1, LEVELS):
                scale = float(np.exp(self.centre + way * level * step))
                near = self._at(scale, near.theta)
                normals.append(moved(near))
                height.append(self.evidence(normals[-1]))
                if height[-1] < max(height) - NEGLIGIBLE:
                    break
        return normals, shares(np.array(height))

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
