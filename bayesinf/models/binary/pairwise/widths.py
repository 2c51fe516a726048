"""Normal approximations of the posterior at the widths of the couplings that have weight.

Given the width the log density is concave with exact slope and curvature, so the Laplace
approximation is the normal of its optimum and curvature there. Several widths are found by
levels: a coarse scan over all that the prior allows, then a finer one where there is evidence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from bayesinf.inference.normal import AtWidth, BlockNormal, expectations, variational_mean
from bayesinf.models.binary.pairwise.likelihood import Pairwise
from bayesinf.models.binary.pairwise.optimum import MaximumLikelihood, maximum

__all__ = ["PairwiseAtWidth", "at_mean", "at_widths"]

# Widths of the coarse scan: log τ, from the median of its prior.
SCAN = np.linspace(-7.0, 5.0, 25)
# Widths of the fine one.
FINE = 15
# Log evidence below the best from which a width is left out.
NEGLIGIBLE = 10.0
# Pairs of draws, and steps, by which a normal of many parameters is moved to the mean.
PAIRS, ROUNDS = 16, 2


@dataclass(frozen=True)
class PairwiseAtWidth(AtWidth):
    """The Laplace approximation at one width.

    Parameters
    ----------
    scale, normal, gradient, log_density : as of ``AtWidth``; all parameters are one block.
    optimum : where the log density is highest.
    prior : means and precisions of the prior at this width, (parameter,) both.
    """

    optimum: MaximumLikelihood
    prior: tuple[np.ndarray, np.ndarray]

    @property
    def log_weight(self) -> float:
        """Log evidence of log τ, up to a constant."""
        return self.log_evidence + float(np.log(self.scale))

    def given(self, mean: np.ndarray, precision: np.ndarray) -> BlockNormal:
        """The normal that the likelihood, expanded at the optimum, makes with another prior.

        Parameters
        ----------
        mean, precision : of the prior, (parameter,) both.
        """
        from scipy.linalg import cho_solve

        old_mean, old_precision = self.prior
        theta = self.optimum.theta
        fisher = self.optimum.precision - np.diag(old_precision)
        slope = self.optimum.gradient + old_precision * (theta - old_mean)
        # Any coordinates do: these stay positive definite under a prior as wide as it likes.
        precision = np.maximum(precision, 1e-9 * old_precision)
        root = np.linalg.cholesky(fisher + np.diag(precision))
        rise = slope - precision * (theta - mean)
        return BlockNormal((theta + cho_solve((root, True), rise))[None], root[None])


def at_widths(problem: Pairwise) -> list[PairwiseAtWidth]:
    """Approximations at the widths that have weight, or the one where the width is fixed."""
    prior = problem.prior
    if not prior.inferred:
        return [_at(problem, 1.0)]
    if problem.settled is not None:
        # So many couplings leave no choice of the width.
        return [_at(problem, problem.settled)]
    if problem.sites == 1:
        # No coupling tells anything about the width.
        return [_at(problem, prior.typical)]
    log_scale = np.log(prior.typical) + SCAN
    height = np.array([each.log_weight for each in _ladder(problem, log_scale)])
    inside = np.flatnonzero(height > height.max() - NEGLIGIBLE)
    first, last = max(inside[0] - 1, 0), min(inside[-1] + 1, len(SCAN) - 1)
    fine = _ladder(problem, np.linspace(log_scale[first], log_scale[last], FINE))
    best = max(each.log_weight for each in fine)
    return [each for each in fine if each.log_weight > best - NEGLIGIBLE]


def _ladder(problem: Pairwise, log_scales: Iterable[float]) -> list[PairwiseAtWidth]:
    """Approximations at these widths, each but the widest begun where the next wider has ended."""
    result, start = [], None
    for log_scale in log_scales[::-1]:
        result.append(_at(problem, float(np.exp(log_scale)), start))
        start = result[-1].optimum.theta
    return result[::-1]


def _at(problem, scale, start=None):
    top = maximum(problem, scale, start)
    normal = BlockNormal(top.theta[None], np.linalg.cholesky(top.precision)[None])
    moments = problem.prior.moments(problem.sites, problem.size - problem.sites, scale)
    height = np.array([top.log_density])
    return PairwiseAtWidth(scale, normal, top.gradient[None], height, top, moments)


def at_mean(problem: Pairwise, near: PairwiseAtWidth, rng: np.random.Generator) -> PairwiseAtWidth:
    """Move a normal from the mode to the mean of the posterior, as of ``variational_mean``.

    When one of many parameters is off its optimum, in either direction, moments move upwards, since
    log Z is convex: draws around the optimum would all be too active.

    Parameters
    ----------
    problem, near : the likelihood, and the approximation at its optimum, whose curvature is kept.
    rng : of the draws over which slopes are averaged.
    """
    away = near.normal.place(rng.standard_normal((PAIRS, 1, problem.size))) - near.theta

    def look(theta):
        return [problem.gradient(theta, near.scale)[1]]

    def expect(at):
        return replace(at, gradient=expectations(look, at.theta, away)[0])

    return variational_mean(near, expect, ROUNDS)
