"""From a ``Pairwise`` to draws of its parameters, by several routes, with their evidence.

``laplace`` draws from the normal around the optimum (``widths``); where the width of the couplings
is inferred, from a mixture of the normals at several widths, each weighed by its Laplace
approximation of the evidence, and then the width given the couplings, exactly. The derivatives that
its checks ask for are known exactly, so no differences are taken: with 20 sites those would cost
minutes. Beyond enumeration ``nearest`` moves the normal to where slopes vanish on average, and
holds it against the exact conditionals of its parameters.

``mcmc`` is split Hamiltonian Monte Carlo (``inference.hamiltonian``) in the coordinates in which
that normal is standard; between trajectories ``chains`` moves the width. Under a Laplace or
horseshoe prior the couplings are normal given their local variances: a trajectory keeps these
fixed, and runs in the coordinates of the normal that they make with the likelihood.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps

import numpy as np

from bayesinf.errors import FitError
from bayesinf.inference.importance import log_mixture
from bayesinf.inference.kinds import Question
from bayesinf.models import problem as driver
from bayesinf.models.binary import chains
from bayesinf.models.binary.couplings import CouplingPrior
from bayesinf.models.binary.pairwise import enumeration, large
from bayesinf.models.binary.pairwise.conditionals import QUESTIONS, beside_normal
from bayesinf.models.binary.pairwise.definition import BoltzmannMachine
from bayesinf.models.binary.pairwise.likelihood import Pairwise
from bayesinf.models.binary.pairwise.optimum import independent, maximum
from bayesinf.models.binary.pairwise.widths import PairwiseWidths, at_mean
from bayesinf.models.binary.widths import FAR, NEAR, without_fields
from bayesinf.models.problem import Route, Sample
from bayesinf.posterior import dataset
from bayesinf.priors import HalfCauchy
from bayesinf.settings import Settings

__all__ = ["BEYOND_ENUMERATION", "ROUTES", "laplace", "mcmc", "nearest", "route"]

# Parameters beyond which no eigenvalues are taken.
LARGE = 3000
# Steps to the width of the highest evidence.
SHIFTS = 15
# Climbs that must find the same optimum.
STARTS = 4
# Acceptance that the step size of the integrator is tuned to.
WANTED = 0.9
# Times that a reweighting sample which does not cover the posterior is drawn anew.
REDRAWN = 2


def laplace(problem: Pairwise, settings: Settings, start: np.ndarray | None = None):
    """Draws of θ (chain, draw, parameter) and of the width (chain, draw), and their evidence.

    ``start`` (parameter,) is near the optimum, where that is known.
    """
    widths, rng = PairwiseWidths(problem, start), settings.generator("laplace")
    normals, log_share = widths.mixture(lambda near: near)
    which = rng.choice(len(normals), (settings.chains, settings.draws), p=np.exp(log_share))
    theta, scale, evidence = _drawn(problem, normals, which, rng)
    log_q = log_mixture(log_share, [near.normal.log_density(theta) for near in normals])
    theta = theta[..., 0, :]
    log_p = problem.log_likelihood(theta) + problem.prior.log_marginal(*enumeration.unpack(theta))
    return theta, scale, evidence.merge(dataset({"log_weight": log_p - log_q}))


def nearest(problem: Pairwise, settings: Settings):
    """Draws of the normal at the mean, and what its conditionals say of it; as of ``laplace``."""
    rng, shape = settings.generator("laplace"), (settings.chains, settings.draws)
    near, spread = _at_best_width(problem, rng)
    theta, scale, evidence = _drawn(problem, [near], np.zeros(shape, dtype=int), rng)
    if spread:
        # So many couplings that log τ is normal, and that they follow it in a line.
        away = spread * rng.standard_normal(shape)
        scale = near.scale * np.exp(away)
        theta += away[..., None, None] * near.normal.solve(
            2 * without_fields(problem, near) / near.scale**2
        )
    theta = theta[..., 0, :]
    moved, log_ratio = beside_normal(problem, near, settings.generator("conditionals"))
    compared = {
        "conditional_shift": np.abs(moved) / theta.std(axis=(0, 1)),
        "conditional_ratio": np.expm1(np.abs(log_ratio)),
    }
    labels = {"parameter": enumeration.names(problem.sites)}
    compared = dataset(compared, dict.fromkeys(compared, ("parameter",)), labels, sampled=False)
    return theta, scale, evidence.merge(compared)


def _at_best_width(problem, rng):
    """The normal at the mean, at the width of the highest evidence, and the sd of log τ there.

    The evidence is that of its lower bound, whose slope is known there. Of thousands of couplings
    the width that EM told is as good, and no sd is known.
    """
    widths = PairwiseWidths(problem)
    near, bend = at_mean(problem, widths.best, rng), -np.inf
    if not problem.prior.inferred or problem.size > LARGE:
        return near, 0.0
    for _ in range(SHIFTS):
        slope, bend = widths.slope(near)
        hop = float(np.clip(-slope / bend, -FAR, FAR))
        if abs(hop) <= NEAR * (-bend) ** -0.5:
            break
        near = widths.at_width(float(near.scale * np.exp(hop)), near.theta)
        near = at_mean(problem, near, rng)
    return near, (-bend) ** -0.5


def _drawn(problem, normals, which, rng):
    """Draws of the normals that ``which`` (chain, draw) numbers, their widths, and evidence."""
    theta = rng.standard_normal((*which.shape, 1, problem.size))
    for k, near in enumerate(normals):
        theta[which == k] = near.normal.place(theta[which == k])
    scale = np.ones(which.shape)
    if problem.prior.inferred:
        scale = problem.prior.sample_scale(problem.split(theta)[1], rng.random(which.shape))
    return theta, scale, _optimum_evidence(problem, normals[0], rng)


def _optimum_evidence(problem, best, rng):
    """What is known of the optimum: its slopes in posterior sd, its bends, and other ways up."""
    from scipy.linalg import eigh

    optimum, root = best.optimum, best.normal.root[0]
    away = rng.standard_normal((STARTS - 1, problem.size))
    # A concave function has one top: where a climb takes a minute, one more will do.
    away = away if problem.size <= LARGE else away[:1]
    starts = [independent(problem.data), *(optimum.theta + 0.5 * away)]
    ends = np.array([_climbed(problem, best.scale, start) for start in starts])
    if problem.size <= LARGE:
        eigenvalues = eigh(optimum.precision, root @ root.T, eigvals_only=True)
    else:
        # Share of each parameter's precision that is left where those before it are unknown: like
        # eigenvalues all are positive where the matrix is, and small where it is nearly singular.
        eigenvalues = np.diag(root) ** 2 / np.diag(optimum.precision)
    return dataset(
        {
            "gradient": best.normal.whiten(optimum.gradient[None])[0],
            "hessian_eigenvalue": eigenvalues,
            "start_excess": optimum.log_density - ends,
        },
        {
            "gradient": ("parameter",),
            "hessian_eigenvalue": ("direction",),
            "start_excess": ("start",),
        },
        {"parameter": enumeration.names(problem.sites)},
        sampled=False,
    )


def _climbed(problem, scale, start):
    """Log density where a climb ends; minus infinity where it comes to no end.

    That is one start the less which found the optimum, and no reason to give up what was found.
    """
    try:
        return maximum(problem, scale, start).log_density
    except FitError:
        return -np.inf


def mcmc(problem: Pairwise, settings: Settings):
    """Draws of θ (chain, draw, parameter) and of the width (chain, draw), and their evidence."""
    widths = PairwiseWidths(_normal(problem))

    def target(rngs):
        return _PairwiseTarget(problem, widths, rngs)

    tuned = {"size": 0.25 * np.pi, "wanted": WANTED}
    theta, scale, evidence = chains.sample(target, problem.shape, settings, **tuned)
    return theta[..., 0, :], scale, evidence


def _normal(problem):
    """The same likelihood under a normal prior of inferred width, if its own is not normal."""
    if not problem.prior.local:
        return problem
    other, width = copy.copy(problem), problem.prior.kind.scale
    other.prior = CouplingPrior(
        problem.prior.h, width if problem.prior.inferred else HalfCauchy(width)
    )
    return other


class _PairwiseTarget(chains.CouplingTarget):
    """The posterior of states, in the coordinates that each chain's own prior makes."""

    def likelihood(self, theta):
        """Log likelihood (chain, 1) and its gradient (chain, 1, parameter)."""
        value, slope = self.problem.rough_gradient(theta[:, 0])
        return value[:, None], slope[:, None]

    def normals_at(self, levels):
        """The normal that the likelihood's expansion makes with the prior of each chain."""
        problem, widths = self.problem, self.widths
        if not widths.spread:
            return [(widths.best.normal, slice(None))]
        mean, precisions = problem.prior.moments(
            problem.fields, problem.couplings, self.scale, self.local
        )
        nearest = [widths.best if problem.prior.local else widths.at(int(k)) for k in levels]
        return [
            (near.given(mean, precision), [chain])
            for chain, (near, precision) in enumerate(zip(nearest, precisions, strict=True))
        ]


def route(draw: Callable, kind: str, questions: Sequence[Question] = ()) -> Route:
    """Make a route of what draws from a ``Pairwise``.

    First it decides what sums over states rest on: all states, or beyond 20 sites a reweighting
    sample. If that does not cover the posterior, it is drawn anew at the mean of the draws.

    Parameters
    ----------
    draw : (``Pairwise``, settings) -> θ (chain, draw, parameter), widths (chain, draw), and the
        evidence that checks ask for.
    kind : of inference, as of ``Route``.
    questions : what its draws are asked besides.
    """

    @wraps(draw)
    def run(problem: BoltzmannMachine, settings: Settings) -> Sample:
        rng = settings.generator("bank")
        model = problem.moments, problem.prior
        sums = large.make_likelihood(*model, rng, settings.workers, problem.reweighting)
        theta, scale, evidence = draw(sums, settings)
        of_sums = sums.evidence(theta)
        for turn in range(REDRAWN):
            if large.covers(of_sums[0]):
                break
            sums = large.redrawn(sums, theta, settings.generator("bank", turn))
            theta, scale, evidence = draw(sums, settings)
            of_sums = sums.evidence(theta)
        evidence = evidence.merge(dataset(*of_sums)).merge(problem.order)
        draws, posed = problem.named(theta, scale), replace(problem, posed=sums)
        return Sample(draws, evidence, problem=posed, questions=questions)

    return Route(run, kind)


def _nuts(problem: BoltzmannMachine, settings: Settings) -> Sample:
    """Sample the PyMC model, and answer for the order of the states."""
    sample = driver.nuts(problem, settings)
    return replace(sample, evidence=sample.evidence.merge(problem.order))


ROUTES = {
    "mcmc": route(mcmc, "mle+mcmc"),
    "laplace": route(laplace, "laplace"),
    "nuts": Route(_nuts, "nuts"),
}
BEYOND_ENUMERATION = ROUTES | {"laplace": route(nearest, "normal", QUESTIONS)}
