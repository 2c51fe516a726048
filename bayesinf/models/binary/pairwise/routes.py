"""From a ``Pairwise`` to draws of its parameters, by three routes, with their evidence.

``laplace`` draws from the normal around the optimum (``widths``); where the width of the couplings
is inferred, from a mixture of the normals at several widths, each weighed by its Laplace
approximation of the evidence, and then the width given the couplings, exactly. The derivatives that
its checks ask for are known exactly, so no differences are taken: with 20 sites those would cost
minutes. Beyond enumeration the normal is moved to where slopes vanish on average.

``mcmc`` is split Hamiltonian Monte Carlo (``inference.hamiltonian``) in the coordinates in which
that normal is standard. The width is drawn given the couplings, and once more moved together with
them, which mixes where data are few. Under a Laplace or horseshoe prior the couplings are normal
given their local variances: a trajectory takes these as they are, in the coordinates of the normal
that they make, and then all scales are drawn anew given the couplings.

Yu & Meng, J. Comput. Graph. Stat. 20, 531 (2011), doi:10.1198/jcgs.2011.203main.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import wraps

import numpy as np

from bayesinf.inference import hamiltonian
from bayesinf.inference.importance import log_mixture, shares
from bayesinf.inference.normal import ByChain
from bayesinf.models import problem as driver
from bayesinf.models.binary import matrix
from bayesinf.models.binary.couplings import CouplingPrior
from bayesinf.models.binary.pairwise import enumeration, large
from bayesinf.models.binary.pairwise.definition import BoltzmannMachine
from bayesinf.models.binary.pairwise.likelihood import Pairwise
from bayesinf.models.binary.pairwise.optimum import independent, maximum
from bayesinf.models.binary.pairwise.widths import at_mean, at_widths
from bayesinf.models.problem import Route, Sample
from bayesinf.posterior import dataset
from bayesinf.priors import HalfCauchy
from bayesinf.settings import Settings

__all__ = ["ROUTES", "laplace", "mcmc", "route"]

# Parameters beyond which no eigenvalues are taken.
LARGE = 3000
# Climbs that must find the same optimum.
STARTS = 4
# Acceptance that the step size of the integrator is tuned to.
WANTED = 0.9
# Times that a reweighting sample which does not cover the posterior is drawn anew.
REDRAWN = 2
# sd of the moves of width and couplings together, in the logarithm.
SCALINGS = (0.1, 0.4, 1.5)


def laplace(problem: Pairwise, settings: Settings):
    """Draws of θ (chain, draw, parameter) and of the width (chain, draw), and their evidence."""
    normals, rng = at_widths(problem), settings.generator("laplace")
    if problem.settled is not None:
        normals = [at_mean(problem, near, rng) for near in normals]
    shape = (settings.chains, settings.draws)
    log_share = shares(np.array([near.log_weight for near in normals]))
    which = rng.choice(len(normals), shape, p=np.exp(log_share))
    theta = rng.standard_normal((*shape, 1, problem.size))
    for k, near in enumerate(normals):
        theta[which == k] = near.normal.place(theta[which == k])
    log_q = log_mixture(log_share, [near.normal.log_density(theta) for near in normals])
    theta = theta[..., 0, :]
    h, J = enumeration.unpack(theta)
    log_p = problem.log_likelihood(theta) + problem.prior.log_marginal(h, J)
    scale = np.ones(shape)
    if problem.prior.inferred:
        scale = problem.prior.sample_scale(J, rng.random(shape))
    best = max(normals, key=lambda near: near.log_weight)
    evidence = _optimum_evidence(problem, best, rng)
    return theta, scale, evidence.merge(dataset({"log_weight": log_p - log_q}))


def _optimum_evidence(problem, best, rng):
    """What is known of the optimum: its slopes in posterior sd, its bends, and other ways up."""
    from scipy.linalg import eigh

    optimum, root = best.optimum, best.normal.root[0]
    away = rng.standard_normal((STARTS - 1, problem.size))
    # A concave function has one top: where a climb takes a minute, one more will do.
    away = away if problem.size <= LARGE else away[:1]
    starts = [independent(problem.data), *(optimum.theta + 0.5 * away)]
    ends = np.array([maximum(problem, best.scale, start).log_density for start in starts])
    if problem.size <= LARGE:
        eigenvalues = eigh(optimum.precision, root @ root.T, eigvals_only=True)
    else:
        # Shares of each parameter's precision that the others leave: their product is det / Π.
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


def mcmc(problem: Pairwise, settings: Settings):
    """Draws of θ (chain, draw, parameter) and of the width (chain, draw), and their evidence."""
    rngs = [settings.generator("chain", chain) for chain in range(settings.chains)]
    target = _PairwiseTarget(problem, at_widths(_normal(problem)), rngs)
    shared, length = settings.generator("trajectories"), (settings.tune, settings.draws)
    theta = np.empty((settings.chains, settings.draws, problem.size))
    scale = np.empty(theta.shape[:2])

    def keep(draw, state):
        theta[:, draw], scale[:, draw] = state.carried[0], target.scale

    tuned = {"size": 0.25 * np.pi, "wanted": WANTED}
    statistics, size = hamiltonian.sample(target, keep, rngs, shared, *length, **tuned)
    step = dataset({"step_size": np.float64(size)}, sampled=False)
    return theta, scale, dataset(statistics).merge(step)


def _normal(problem):
    """The same likelihood under a normal prior of inferred width, if its own is not normal."""
    if not problem.prior.local:
        return problem
    other, width = copy.copy(problem), problem.prior.kind.scale
    other.prior = CouplingPrior(
        problem.prior.h, width if problem.prior.inferred else HalfCauchy(width)
    )
    return other


class _PairwiseTarget:
    """The posterior in the coordinates of the normal that is nearest, chain by chain.

    All parameters are one block, and a ``State`` carries them. The scales of the prior are constant
    along a trajectory.
    """

    rough = None

    def __init__(self, problem, normals, rngs):
        self.problem, self.at_widths, self.rngs = problem, normals, rngs
        self.sizes = problem.sites, problem.size - problem.sites
        share = np.exp(shares(np.array([near.log_weight for near in normals])))
        self.best = normals[int(np.argmax(share))]
        self.log_scales = np.log([near.scale for near in normals])
        self.scale = np.exp(self._each(lambda rng: rng.choice(self.log_scales, p=share)))
        self.local = np.ones((len(rngs), self.sizes[1])) if problem.prior.local else None
        self._choose()

    def _each(self, draw):
        return np.array([draw(rng) for rng in self.rngs])

    def _choose(self):
        """Take the normal that the likelihood's expansion makes with the prior of each chain."""
        prior = self.problem.prior
        if not (prior.inferred or prior.local):
            groups = [(self.best.normal, slice(None))]
        else:
            away = np.abs(np.log(self.scale)[:, None] - self.log_scales)
            nearest = [self.at_widths[k] for k in np.argmin(away, axis=1)]
            mean, precisions = prior.moments(*self.sizes, self.scale, self.local)
            groups = [
                ((self.best if prior.local else near).given(mean, precision), [chain])
                for chain, (near, precision) in enumerate(zip(nearest, precisions, strict=True))
            ]
        self.normals = ByChain(groups)
        self.log_volume = self.normals.log_volume(len(self.rngs))

    def start(self):
        """Begin at draws of the normals."""
        return self.look(self._each(lambda rng: rng.standard_normal((1, self.problem.size))))

    def look(self, z):
        """Log density and gradient."""
        prior, sites = self.problem.prior, self.problem.sites
        theta = self.normals.place(z)[:, 0]
        value, slope = self.problem.likelihood_gradient(theta)
        mean, precision = prior.moments(*self.sizes, self.scale, self.local)
        value += prior.log_given(theta[:, :sites], theta[:, sites:], self.scale, self.local)
        slope -= precision * (theta - mean)
        whitened = self.normals.whiten(slope[:, None])
        return hamiltonian.State(z, value[:, None], whitened, (theta,))

    def update(self, state, turn):
        """Move width and couplings together, then draw the scales given the couplings."""
        prior, (theta,), z = self.problem.prior, state.carried, state.z
        if not (prior.inferred or prior.local):
            return state
        # Many sites go with many data, under which a width hardly moves: then neither the slow move
        # nor new coordinates are worth their price.
        moving = self.problem.settled is None
        if prior.inferred and moving:
            theta = self._rescaled(theta)
        for chain, rng in enumerate(self.rngs):
            local = None if self.local is None else self.local[chain]
            J = theta[chain, self.problem.sites :]
            self.scale[chain], local = prior.update(rng, J, self.scale[chain], local)
            if local is not None:
                self.local[chain] = local
        if moving:
            self._choose()
            z = self.normals.coordinates(theta[:, None])
        return self.look(z)

    def _rescaled(self, theta):
        """Scale width and couplings by one factor, with the local variances integrated out."""
        sites = self.problem.sites
        height = self._log_density(theta, self.scale)
        for size in SCALINGS:
            factor = np.exp(size * self._each(lambda rng: rng.standard_normal()))
            moved, scale = theta.copy(), self.scale * factor
            # The fields make up for it where the others are at their means, or no large move of
            # couplings between sites that are seldom on would be accepted.
            pull = matrix(moved[:, sites:], sites) @ self.problem.statistics[:sites]
            moved[:, :sites] += (1 - factor)[:, None] * pull
            moved[:, sites:] *= factor[:, None]
            other = self._log_density(moved, scale)
            move = np.log(self._each(lambda rng: rng.random())) < other - height
            theta, self.scale, height = hamiltonian.accepted(
                move, (moved, scale, other), (theta, self.scale, height)
            )
        return theta

    def _log_density(self, theta, scale):
        """Log density, with the volume factor of a move of all couplings and the width."""
        sites, count = self.sizes
        prior = self.problem.prior.log_density(theta[:, :sites], theta[:, sites:], scale)
        return self.problem.log_likelihood(theta) + prior + (count + 1) * np.log(scale)


def route(draw: Callable, kind: str) -> Route:
    """Make a route of what draws from a ``Pairwise``.

    First it decides what sums over states rest on: all states, or beyond 20 sites a reweighting
    sample. If that does not cover the posterior, it is drawn anew at the mean of the draws.

    Parameters
    ----------
    draw : (``Pairwise``, settings) -> θ (chain, draw, parameter), widths (chain, draw), and the
        evidence that checks ask for.
    kind : of inference, as of ``Route``.
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
        return Sample(problem.named(theta, scale), evidence, problem=replace(problem, posed=sums))

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
