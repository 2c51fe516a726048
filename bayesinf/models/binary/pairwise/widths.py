"""Normal approximations of the posterior at the widths of the couplings that have weight.

Given the width the log density is concave with exact slope and curvature, so the Laplace
approximation is the normal of its optimum and curvature there. Beyond enumeration the width is
known beforehand, and ``at_mean`` moves its normal from the mode to the mean.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bayesinf.inference import factors
from bayesinf.inference.normal import AtWidth, BlockNormal, expectations, variational_mean
from bayesinf.models.binary.pairwise.likelihood import Pairwise
from bayesinf.models.binary.pairwise.optimum import MaximumLikelihood, maximum
from bayesinf.models.binary.widths import Widths

__all__ = ["PairwiseAtWidth", "PairwiseWidths", "at_mean"]

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
        root = factors.cholesky(fisher + np.diag(precision))
        rise = slope - precision * (theta - mean)
        return BlockNormal((theta + cho_solve((root, True), rise))[None], root[None])


class PairwiseWidths(Widths):
    """``Widths`` of states, of which sums may say beforehand what the width is.

    Parameters
    ----------
    problem : likelihood and prior.
    start : parameters near the optimum, (parameter,), where they are known.
    """

    def __init__(self, problem: Pairwise, start: np.ndarray | None = None):
        super().__init__(problem)
        if problem.known_width is not None:
            self.centre = np.log(problem.known_width)
        known = problem.known_width is not None or not problem.couplings  # which tell it alone
        start = None if start is None else start[np.newaxis]
        self.find_best(start, search=problem.prior.inferred and not known)

    def at_width(self, scale, start, looseness=1.0):
        """The Laplace approximation at a width; exact sums need no looser tolerance."""
        problem = self.problem
        top = maximum(problem, scale, None if start is None else start[0])
        normal = BlockNormal(top.theta[None], factors.cholesky(top.precision)[None])
        moments = problem.prior.moments(problem.fields, problem.couplings, scale)
        height = top.log_density - (problem.prior.log_scale(scale) if problem.prior.inferred else 0)
        return PairwiseAtWidth(scale, normal, top.gradient[None], np.array([height]), top, moments)


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
