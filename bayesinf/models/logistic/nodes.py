"""The normal around an optimum, around where the mass is, and at several widths of the couplings.

Given the width of the couplings the blocks are independent and each log density is concave. A
``Node`` is a normal at one width: its precision is that at the optimum (``node``) or, ``settled``,
that averaged over the posterior, around the posterior's mean rather than its mode. With many
couplings a row these are far apart: at 100 sites and 2000 strong transitions the mode is 0.6
posterior sd from the mean, in the root mean square, and the settled node 0.1.

``Node`` holds the root of the precision. ``Wide`` is for many symmetric couplings, whose precision
is not written out. A ``Ladder`` finds the width.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Lock

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models.logistic.joint import Joint
from bayesinf.models.logistic.likelihood import Logistic
from bayesinf.models.logistic.optimum import maximum, written

SPACING = 0.35  # largest distance of the widths at which an optimum is found, in the logarithm
SHARP = 0.05  # sd of the logarithm of the width below which Laplace takes one width for all
NEGLIGIBLE = 8.0  # log evidence below the best from which a width is left out
RUNGS = 40  # widths on either side of the best, at most
HOPS, FAR, NEAR = 40, 1.5, 0.2  # steps that search the best width: number, longest, last in sd
LOOSE = 1e3  # how much less exact the optima on the way need be
SETTLING, EFFORT = 2, 1e10  # times that a node is moved, and products that say where to, in
PAIRS = 2, 32  # pairs of draws, at least and at most
SHIFTS, WEIGHED = 15, (30, 500)  # steps of the width, and draws whose weights correct it
GREAT = 2e10  # products of a curvature from which a part of the data leads the way
COARSE = 8  # of so many transitions one is in that part
BROAD = 3000  # symmetric parameters from which their precision is not written out
PROBES = 16  # random signs that a trace of its inverse is estimated by


@dataclass(frozen=True)
class Node:
    """A normal at one width, with the lower root L of its precision.

    Parameters
    ----------
    scale : the width.
    theta : its centre, (block, dim).
    gradient : of the log density there, or its mean, (block, dim).
    log_density : of each block given the width at the optimum, where the normal touches it; of
        nodes that are ``levelled`` that for which the evidence is right.
    root : L, (block, dim, dim).
    inverse : L⁻¹ where there are several blocks, which are then multiplied with all at once.
    slopes, joint : of symmetric couplings the rows' slopes (site, 1 + site) and curvatures.
    """

    scale: float
    theta: np.ndarray
    gradient: np.ndarray
    log_density: np.ndarray
    root: np.ndarray
    inverse: np.ndarray | None
    slopes: np.ndarray | None = None
    joint: Joint | None = None

    @property
    def log_root(self) -> float:
        """Σ log L_kk over all blocks."""
        return float(np.log(np.diagonal(self.root, axis1=1, axis2=2)).sum())

    def place(self, z: np.ndarray) -> np.ndarray:
        """Parameters (..., block, dim) of standard normal coordinates z, θ = θ̂ + L⁻ᵀ z."""
        return self.theta + self._solve(z, True)

    def whiten(self, slope: np.ndarray) -> np.ndarray:
        """Slopes in z, L⁻¹ ∇, of slopes in the parameters, (..., block, dim)."""
        return self._solve(slope, False)

    def coordinates(self, theta: np.ndarray) -> np.ndarray:
        """Standard normal coordinates z = Lᵀ (θ − θ̂), (..., block, dim)."""
        away = np.moveaxis((theta - self.theta).reshape(-1, *self.theta.shape), 0, -1)
        z = np.matmul(np.swapaxes(self.root, 1, 2), away)
        return np.moveaxis(z, -1, 0).reshape(theta.shape)

    def _solve(self, x, transposed):
        from scipy.linalg import solve_triangular

        flat = np.moveaxis(x.reshape(-1, *self.theta.shape), 0, -1)
        if self.inverse is None:
            found = solve_triangular(self.root[0], flat[0], lower=True, check_finite=False,
                                     trans="T" if transposed else "N")[None]  # fmt: skip
        else:
            left = np.swapaxes(self.inverse, 1, 2) if transposed else self.inverse
            found = np.matmul(left, flat)
        return np.moveaxis(found, -1, 0).reshape(x.shape)

    def step(self, slope: np.ndarray) -> np.ndarray:
        """P⁻¹ ∇ of a slope (block, dim)."""
        return self._solve(self._solve(slope, False), True)

    def draws(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw θ − θ̂, (count, block, dim)."""
        return self._solve(rng.standard_normal((count, *self.theta.shape)), True)

    def exponent(self, away: np.ndarray) -> np.ndarray:
        """½ (θ − θ̂)ᵀ P (θ − θ̂) of each block, (..., block)."""
        return 0.5 * np.sum(self.coordinates(self.theta + away) ** 2, axis=-1)

    def spread(self, fields: int, rng: np.random.Generator) -> tuple[float, float]:
        """Σ of the variances of the couplings, which begin at ``fields``, and Σ of covariances²."""
        if self.inverse is not None:
            half = self.inverse[:, :, fields:]
            square = np.sum(np.matmul(np.swapaxes(half, 1, 2), half) ** 2)
            return float(np.sum(half**2)), float(square)
        # Column after column of P⁻¹, a few at a time, since all would take as much room again.
        total, square, size = 0.0, 0.0, self.theta.size
        for first in range(fields, size, 256):
            place = first + np.arange(min(256, size - first))
            unit = np.zeros((len(place), 1, size))
            unit[np.arange(len(place)), 0, place] = 1.0
            column = self.step(unit)[:, 0]
            total += column[np.arange(len(place)), place].sum()
            square += np.sum(column[:, fields:] ** 2)
        return float(total), float(square)


@dataclass(frozen=True)
class Wide:
    """A normal of many symmetric couplings at one width; parameters and methods as of ``Node``."""

    scale: float
    theta: np.ndarray
    gradient: np.ndarray
    log_density: np.ndarray
    slopes: np.ndarray
    joint: Joint

    def step(self, slope):
        """P⁻¹ ∇ of a slope (block, dim)."""
        return self.joint.solve(slope.T).T

    def draws(self, rng, count):
        """Draw θ − θ̂, (count, block, dim)."""
        return self.joint.solve(self.joint.noise(rng, count)).T[:, None]

    def exponent(self, away):
        """½ (θ − θ̂)ᵀ P (θ − θ̂), (draw, block)."""
        v = away[:, 0].T
        return 0.5 * np.sum(v * self.joint.product(v), axis=0)[:, None]

    def spread(self, fields, rng):
        """Estimate Σ of the variances of the couplings, and of their covariances²."""
        v = rng.choice(np.array([-1.0, 1.0]), (self.theta.size, PROBES))
        v[:fields] = 0.0
        x = self.joint.solve(v)
        return float(np.sum(v * x) / PROBES), float(np.sum(x[fields:] ** 2) / PROBES)


def node(
    problem: Logistic, scale: float, start: np.ndarray | None = None, looseness: float = 1.0,
    wide: bool = False,
) -> Node | Wide:  # fmt: skip
    """Climb to the optimum at a width and factor the precision there.

    Parameters
    ----------
    problem, scale, start, looseness : as of ``maximum``.
    wide : whether the precision of many symmetric couplings may be left unwritten.
    """
    top = maximum(problem, scale, start, looseness)
    slopes = None
    if problem.symmetric:
        slopes = problem.sums - problem.design.expectations(problem.rows(top.theta))[1]
    return _normal(problem, scale, top.theta, top.gradient, top.log_density, top.precision,
                   slopes, wide)  # fmt: skip


def _normal(problem, scale, theta, gradient, log_density, precision, slopes, wide):
    """The node of a centre and a precision, as ``curvature`` gives it."""
    from scipy.linalg import cholesky, solve_triangular

    point = scale, theta, gradient, log_density
    if not problem.symmetric:
        root, one = np.linalg.cholesky(precision), np.eye(problem.dim)
        return Node(*point, root, np.array([solve_triangular(each, one, lower=True)
                                            for each in root]))  # fmt: skip
    joint = Joint(problem, precision, scale)
    if wide and problem.dim > BROAD:
        return Wide(*point, slopes, joint)
    matrix = written(problem, precision, scale).T  # in Fortran's order, so in its own place
    root = cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)
    return Node(*point, root[None], None, slopes, joint)


def settled(
    problem: Logistic, found: Node | Wide, rng: np.random.Generator, scale: float | None = None,
    rounds: int = SETTLING,
) -> Node | Wide:  # fmt: skip
    """Move a node from the optimum to where the mass is: mean slope zero, mean curvature.

        E ∇ log p(θ) = 0,   P = − E ∇∇ log p(θ),   θ ~ N(θ̂, P⁻¹)

    It is the normal nearest to the posterior, which with many couplings a row is another one than
    that at the optimum: Opper & Archambeau, Neural Comput. 21, 786 (2009),
    doi:10.1162/neco.2008.08-07-592. Draws make the averages, a few where there is much to sum.

    Parameters
    ----------
    problem, found : the posterior, and a normal near it.
    rng : of the draws, which come in pairs on either side of the centre.
    scale : the width to settle at; by default that of ``found``.
    rounds : how often.
    """
    scale = found.scale if scale is None else scale
    for _ in range(rounds):
        points = found.theta + _pairs(problem, found, rng)
        looks = [_look(problem, theta, scale) for theta in points]
        slope, precision, slopes = (None if parts[0] is None else np.mean(parts, axis=0)
                                    for parts in zip(*looks, strict=True))  # fmt: skip
        around = _normal(problem, scale, found.theta, slope, found.log_density, precision, slopes,
                         isinstance(found, Wide))  # fmt: skip
        found = replace(around, theta=around.theta + around.step(slope))
    return found


def _look(problem, theta, scale):
    """Slope and minus the Hessian of the log density, and the rows' slopes where these share."""
    if not problem.symmetric:
        return *problem.curvature(theta, scale)[1:], None
    _, slopes, H = problem.row_curvature(theta)
    return problem.gathered(slopes) + problem.prior_slope(theta, scale), H, slopes


def _pairs(problem, found, rng):
    """Draws of θ − θ̂ and their mirror images."""
    away = found.draws(rng, int(np.clip(EFFORT / problem.work / 2, *PAIRS)))
    return np.concatenate([away, -away])


def levelled(problem: Logistic, found: Node | Wide, rng: np.random.Generator) -> Node | Wide:
    """Give a settled node its ``log_density``, so that its evidence is that by importance sampling.

        log p(data) = log E [p(data, θ) / N(θ; θ̂, P⁻¹)]

    Rows have their own weights, and of what they have in common the variance is counted.
    """
    from scipy.special import logsumexp

    away = _weighed_draws(problem, found, rng)
    found = replace(found, log_density=np.mean(_excess(problem, found, away), axis=0))
    rows = log_weights(problem, found, away)
    gain = logsumexp(rows, axis=0) - np.log(len(rows))
    if problem.symmetric:
        shared = np.var(rows.sum(axis=1)) - np.var(rows, axis=0).sum()
        gain = np.array([gain.sum() + 0.5 * shared])
    return replace(found, log_density=found.log_density + gain)


def _weighed_draws(problem, found, rng):
    return found.draws(rng, int(np.clip(20 * EFFORT / problem.work, *WEIGHED)))


def _excess(problem, found, away):
    """Log density less the normal's exponent, (draw, block)."""
    theta = found.theta + away
    height = problem.log_likelihood(theta) + problem.log_prior(theta, found.scale)
    return height + found.exponent(away)


def log_weights(problem: Logistic, found: Node | Wide, away: np.ndarray) -> np.ndarray:
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
    problem, found : the posterior and the normal.
    away : θ − θ̂ of draws, (draw, block, dim).
    """
    if not problem.symmetric:
        return _excess(problem, found, away) - found.log_density
    values = problem.row_log_likelihood(found.theta + away)
    v = away[:, 0].T
    rows = values + found.joint.parts(v).T
    rows -= np.sum(found.slopes[..., None] * found.joint.rows(v), axis=1).T
    height = values.sum(axis=1) + problem.log_prior(found.theta + away, found.scale)[:, 0]
    whole = height + found.exponent(away)[:, 0] - found.log_density[0]
    return rows + (whole - rows.sum(axis=1))[:, None] / problem.sites


def _couplings(problem, found):
    """The centre with its fields set to zero."""
    J = found.theta.copy()
    J[:, : problem.fields] = 0.0
    return J


def drift(problem: Logistic, found: Node | Wide) -> np.ndarray:
    """How the centre moves with the logarithm of the width, dθ̂ / d log τ = P⁻¹ 2 J / τ²."""
    return found.step(2 * _couplings(problem, found) / found.scale**2)


class Ladder:
    """Optima at widths of equal steps in the logarithm around the best, made when asked for.

    ``centre`` and ``spread`` are the mode and standard deviation of log τ by Laplace's evidence.

    Parameters
    ----------
    problem : likelihood and prior.
    start : parameters near the optimum, (block, dim), where they are known.
    wide : as of ``node``; without roots there is no evidence, only its slope.
    whole : whether, of great problems, the best width is that of a part, near which it is.
    """

    def __init__(
        self, problem: Logistic, start: np.ndarray | None = None, wide: bool = False,
        whole: bool = True,
    ):  # fmt: skip
        if problem.prior.local:
            raise FitError("under this prior couplings are normal only given variances of their "
                           "own: use the method gibbs")  # fmt: skip
        self.problem, self.lock, self.inferred = problem, Lock(), problem.prior.inferred
        self.wide = wide and problem.symmetric and problem.dim > BROAD
        self.rng = np.random.default_rng(0)  # of the traces, which need not be exact
        self.centre, self.spread = np.log(problem.prior.typical) - self.inferred, 0.0
        great = problem.work > GREAT and start is None
        if great:
            part = Ladder(problem.part(COARSE), wide=wide, whole=False)
            self.centre, self.spread, start = part.centre, part.spread, part.best.theta
        if self.inferred and not (great and wide and whole):
            self.centre, self.spread, start = self._search(start)
        self.best = self._node(float(np.exp(self.centre)), start)
        self.nodes = {0: self.best}

    def _node(self, scale, start, looseness=1.0):
        return node(self.problem, scale, start, looseness, self.wide)

    def _search(self, start):
        """Mode and standard deviation of log τ, and the parameters near there.

        The evidence changes with t = log τ through the width and through the curvature; the slope

            Σ_k (J_k² + var J_k) / τ² − count + ∂ log(τ p(τ)) / ∂t

        is that part of it that a node knows (MacKay, Neural Comput. 4, 415 (1992),
        doi:10.1162/neco.1992.4.3.415), and the rest, which varies little, is what two nodes show.
        """
        t, seen, rest, bend, evidence = self.centre, None, 0.0, -2.0, 0.0
        found = self._node(float(np.exp(t)), start, LOOSE)
        for _ in range(HOPS):
            slope = self.slope(found)[0]
            evidence = None if self.wide else self.evidence(found)
            if seen is not None:
                hop = t - seen[0]
                bend = (slope - seen[1]) / hop
                if not self.wide:
                    rest = (evidence - seen[2]) / hop - 0.5 * (slope + seen[1])
            # Where the slope does not fall yet the mode is far: there the step is the longest.
            hop = -(slope + rest) / bend if bend < 0 else np.copysign(FAR, slope + rest)
            if seen is not None and bend < 0 and abs(hop) < NEAR * max((-bend) ** -0.5, SHARP):
                break
            seen = t, slope, evidence
            t += np.copysign(np.clip(abs(hop), NEAR * SHARP, FAR), hop)
            found = self._node(float(np.exp(t)), found.theta, LOOSE)
        return t, float((-bend) ** -0.5 if bend < 0 else SPACING), found.theta

    def slope(self, found: Node | Wide, more: float = 0.0) -> tuple[float, float]:
        """Slope of the evidence in log τ at a node, its curvature left as it is, and that slope's.

            S / τ² − count + ...,   −2 S / τ² + (4 J · P⁻¹ J + 2 Σ cov²) / τ⁴,   S = Σ ⟨J²⟩

        At a settled node the first is the whole slope of the lower bound of the evidence, and of
        the evidence itself with what ⟨J²⟩ is ``more`` under the posterior than under the normal.
        """
        problem, step, t = self.problem, 1e-4, np.log(found.scale)
        own = lambda t: problem.prior.log_scale(np.exp(t)) + t
        free, square = found.spread(problem.fields, self.rng)
        J = _couplings(problem, found)
        size = (np.sum(J**2) + free + more) / found.scale**2
        bend = (4 * np.sum(J * found.step(J)) + 2 * square) / found.scale**4 - 2 * size
        slope = (own(t + step) - own(t - step)) / (2 * step) + size - problem.couplings
        return float(slope), float(min(bend, -1.0))

    def at(self, rung: int) -> Node | Wide:
        """The node at a rung, the same whoever asks first."""
        with self.lock:
            if rung not in self.nodes:
                scale = float(np.exp(self.centre + rung * SPACING))
                self.nodes[rung] = self._node(scale, self.best.theta)
            return self.nodes[rung]

    def rung(self, scale: np.ndarray) -> np.ndarray:
        """The rungs nearest to widths."""
        away = (np.log(scale) - self.centre) / SPACING
        return np.clip(np.rint(away), -RUNGS, RUNGS).astype(int)

    def evidence(self, found: Node) -> float:
        """log p(data, log τ), up to a constant: Laplace's, or that of levelled nodes."""
        own = self.problem.prior.log_scale(found.scale) + np.log(found.scale)
        return float(found.log_density.sum() - found.log_root + own)

    def weighed(self, rng: np.random.Generator) -> tuple[list[Node | Wide], np.ndarray]:
        """Settled nodes a standard deviation of log τ apart, or one, and their log weights."""
        settle = lambda found: levelled(self.problem, settled(self.problem, found, rng), rng)
        if not self.inferred:
            return [settled(self.problem, self.best, rng)], np.zeros(1)
        if self.wide or self.spread < SHARP:
            return [self._settled_width(rng)], np.zeros(1)
        found = [settle(self.best)]
        height = [self.evidence(found[0])]
        step = min(self.spread, SPACING)
        for way in (-1, 1):
            start = self.best
            for rung in range(1, RUNGS):
                scale = float(np.exp(self.centre + way * rung * step))
                start = self._node(scale, start.theta)
                found.append(settle(start))
                height.append(self.evidence(found[-1]))
                if height[-1] < max(height) - NEGLIGIBLE:
                    break
        return found, np.array(height) - np.logaddexp.reduce(height)

    def _settled_width(self, rng):
        """The settled node at the width at which the evidence is highest."""
        found, more, corrected = settled(self.problem, self.best, rng, rounds=1), 0.0, False
        for _ in range(SHIFTS):
            slope, bend = self.slope(found, more)
            hop = float(np.clip(-slope / bend, -FAR, FAR))
            if abs(hop) > NEAR * (-bend) ** -0.5:
                found = settled(self.problem, found, rng, found.scale * np.exp(hop), rounds=1)
                corrected = False
            elif corrected:
                break
            else:  # at the top of the lower bound, or near that of the evidence
                more, corrected = more_square(self.problem, found, rng), True
        self.spread = (-bend) ** -0.5
        return found


def more_square(problem: Logistic, found: Node | Wide, rng: np.random.Generator) -> float:
    """Return what Σ J² is more under the posterior than under the normal, by weighted draws.

    The lower bound of the evidence alone prefers a width at which the normal fits well, too narrow
    a one. Each row has its own weights; a coupling of two rows is moved by both.
    """
    from bayesinf.diagnostics import smoothed_weights

    away = _weighed_draws(problem, found, rng)
    weight, _ = smoothed_weights(log_weights(problem, found, away).T)
    square = np.sum(problem.matrix(found.theta + away) ** 2, axis=2).T
    return float(np.sum((np.exp(weight) - 1 / len(away)) * square))
