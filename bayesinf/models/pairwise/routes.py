"""From a ``Pairwise`` to draws of its parameters, by three routes, with their evidence.

Given the width of the couplings the log density is concave with exact slope and curvature, so the
normal around its optimum is a good coordinate system. ``laplace`` draws from that normal; where the
width is inferred, from a mixture of the normals at several widths, each weighing what its own
Laplace approximation of the evidence says, and then the width given the couplings, exactly. The
derivatives that its checks ask for are known exactly, so no differences are taken: with 20 sites
those would cost minutes. Beyond enumeration the normal is moved to where slopes vanish on average.

``mcmc`` is Hamiltonian Monte Carlo in the coordinates in which that normal is standard. The motion
in the normal itself is a rotation and is solved exactly; only what the density adds to it is
integrated by kicks, so that with many data a few of them make an independent draw. The width is
drawn given the couplings, and once more moved together with them, which mixes where data are few.
Under a Laplace or horseshoe prior the couplings are normal given their local variances: a
trajectory takes these as they are, in the coordinates of the normal that they make, and then all
scales are drawn anew given the couplings.

Shahbaba, Lan, Johnson & Neal, Stat. Comput. 24, 339 (2014), doi:10.1007/s11222-012-9373-1; Yu &
Meng, J. Comput. Graph. Stat. 20, 531 (2011), doi:10.1198/jcgs.2011.203main.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps

import numpy as np

from bayesinf.models import problem as driver
from bayesinf.models.binary import matrix
from bayesinf.models.couplings import Prior
from bayesinf.models.pairwise import enumeration, large
from bayesinf.models.pairwise.definition import BoltzmannMachine
from bayesinf.models.pairwise.likelihood import Pairwise
from bayesinf.models.pairwise.optimum import MaximumLikelihood, independent, maximum
from bayesinf.models.problem import Route, Sample
from bayesinf.posterior import dataset
from bayesinf.priors import HalfCauchy
from bayesinf.settings import Settings

SCAN = np.linspace(-7.0, 5.0, 25)  # widths that are tried first: log, from the prior's median
NODES = 15  # widths of the mixture
NEGLIGIBLE = 10.0  # log evidence below the best from which a width is left out
LARGE = 3000  # parameters beyond which no eigenvalues are taken
PAIRS, ROUNDS = 16, 2  # draws, and steps, by which a normal of many parameters is moved
STARTS = 4  # climbs that must find the same optimum
TARGET = 0.9  # acceptance that the step of the integrator aims at
TURN = (0.25 * np.pi, 0.75 * np.pi)  # how far a trajectory turns
SHORTEST, LONGEST = 0.02, 0.5 * np.pi  # step of the integrator, in the same units
DIVERGENT = 1000.0  # rise of the energy along a trajectory that counts as a divergence
REDRAWN = 2  # times that a reweighting sample which does not cover the posterior is drawn anew
SCALINGS = (0.1, 0.4, 1.5)  # sd of the moves of width and couplings together, in the logarithm


@dataclass(frozen=True)
class Frame:
    """Coordinates z in which the normal of a mean and a lower root L of its precision is N(0, 1).

    θ = mean + L⁻ᵀ z
    """

    mean: np.ndarray
    root: np.ndarray

    def place(self, z: np.ndarray) -> np.ndarray:
        """Parameters (..., parameter) of coordinates z."""
        from scipy.linalg import solve_triangular

        flat = z.reshape(-1, z.shape[-1])
        moved = solve_triangular(self.root, flat.T, lower=True, trans="T", check_finite=False)
        return self.mean + moved.T.reshape(z.shape)

    def whiten(self, slope: np.ndarray) -> np.ndarray:
        """Slopes in z of slopes in the parameters, (..., parameter)."""
        from scipy.linalg import solve_triangular

        flat = slope.reshape(-1, slope.shape[-1])
        return solve_triangular(self.root, flat.T, lower=True, check_finite=False).T.reshape(
            slope.shape
        )

    def coordinates(self, theta: np.ndarray) -> np.ndarray:
        """Coordinates z (..., parameter) of parameters."""
        return (theta - self.mean) @ self.root

    @property
    def log_volume(self) -> float:
        """Logarithm of the volume in θ of a unit of z."""
        return -float(np.sum(np.log(np.diag(self.root))))

    def log_density(self, theta: np.ndarray) -> np.ndarray:
        """Log density of its normal, up to (2π)^(−P/2)."""
        return -self.log_volume - 0.5 * np.sum(self.coordinates(theta) ** 2, axis=-1)


@dataclass(frozen=True)
class WidthNode:
    """The optimum at one width, its weight, the normal around it, and the moments of the prior."""

    scale: float
    log_weight: float
    optimum: MaximumLikelihood
    frame: Frame
    prior: tuple[np.ndarray, np.ndarray]

    def given(self, mean: np.ndarray, precision: np.ndarray) -> Frame:
        """Coordinates of the normal that the likelihood, expanded here, makes with a prior.

        Parameters
        ----------
        mean, precision : of the prior, (parameter,) both.
        """
        from scipy.linalg import cho_solve

        fisher = self.optimum.precision - np.diag(self.prior[1])
        slope = self.optimum.gradient + self.prior[1] * (self.optimum.theta - self.prior[0])
        # Any coordinates do: these stay positive definite under a prior as wide as it likes.
        precision = np.maximum(precision, 1e-9 * self.prior[1])
        root = np.linalg.cholesky(fisher + np.diag(precision))
        rise = slope - precision * (self.optimum.theta - mean)
        return Frame(self.optimum.theta + cho_solve((root, True), rise), root)


def nodes(problem: Pairwise) -> list[WidthNode]:
    """Optima at the widths that have weight, or the one optimum where the width is fixed."""
    if not problem.prior.inferred:
        return [_node(problem, 1.0, 0.0, None)]
    if problem.settled is not None:  # so many couplings leave no choice of the width
        return [_node(problem, problem.settled, 0.0, None)]
    if problem.sites == 1:  # no coupling tells anything about the width
        return [_node(problem, problem.prior.typical, 0.0, None)]
    centre = np.log(problem.prior.typical)
    log_scale = centre + SCAN
    tried = _ladder(problem, log_scale)
    height = np.array([node.log_weight for node in tried])
    inside = np.flatnonzero(height > height.max() - NEGLIGIBLE)
    first, last = max(inside[0] - 1, 0), min(inside[-1] + 1, len(SCAN) - 1)
    found = _ladder(problem, np.linspace(log_scale[first], log_scale[last], NODES))
    best = max(node.log_weight for node in found)
    return [node for node in found if node.log_weight > best - NEGLIGIBLE]


def _ladder(problem, log_scales):
    """Nodes at these widths, each but the widest begun where the next wider has ended."""
    found, start = [], None
    for log_scale in log_scales[::-1]:
        found.append(_node(problem, float(np.exp(log_scale)), log_scale, start))
        start = found[-1].optimum.theta
    return found[::-1]


def _node(problem, scale, log_scale, start):
    top = maximum(problem, scale, start)
    frame = Frame(top.theta, np.linalg.cholesky(top.precision))
    moments = problem.prior.moments(problem.sites, problem.size - problem.sites, scale)
    weight = float(top.log_density + log_scale + frame.log_volume)
    return WidthNode(scale, weight, top, frame, moments)


def laplace(problem: Pairwise, settings: Settings):
    """Draws of θ (chain, draw, parameter) and of the width (chain, draw), and their evidence."""
    from scipy.linalg import eigh

    found, rng = nodes(problem), settings.generator("laplace")
    if problem.settled is not None:
        found = [averaged(problem, node, rng) for node in found]
    shape = (settings.chains, settings.draws)
    log_share = np.array([node.log_weight for node in found])
    log_share -= np.logaddexp.reduce(log_share)
    which = rng.choice(len(found), shape, p=np.exp(log_share))
    z = rng.standard_normal((*shape, problem.size))
    theta = np.empty_like(z)
    for k, node in enumerate(found):
        theta[which == k] = node.frame.place(z[which == k])
    of_node = lambda share, node: share + node.frame.log_density(theta)
    log_q = np.logaddexp.reduce(list(map(of_node, log_share, found)))
    log_p = problem.log_likelihood(theta) + problem.prior.log_marginal(*enumeration.unpack(theta))
    scale = np.ones(shape)
    if problem.prior.inferred:
        scale = problem.prior.sample_scale(enumeration.unpack(theta)[1], rng.random(shape))
    best = max(found, key=lambda node: node.log_weight)
    root = best.frame.root
    gradient, precision = best.optimum.gradient, best.optimum.precision
    excess = best.optimum.log_density - _ends(problem, best, rng)
    if problem.size <= LARGE:
        eigenvalues = eigh(precision, root @ root.T, eigvals_only=True)
    else:  # shares of the precision of each parameter that others leave: their product is det / Π
        eigenvalues = np.diag(root) ** 2 / np.diag(precision)
    evidence = dataset(
        {"gradient": best.frame.whiten(gradient),
         "hessian_eigenvalue": eigenvalues,
         "start_excess": excess},
        {"gradient": ("parameter",), "hessian_eigenvalue": ("direction",),
         "start_excess": ("start",)},
        {"parameter": enumeration.names(problem.sites)},
        sampled=False,
    )  # fmt: skip
    return theta, scale, evidence.merge(dataset({"log_weight": log_p - log_q}))


def averaged(problem: Pairwise, node: WidthNode, rng: np.random.Generator) -> WidthNode:
    """Move the normal of a node to where the slope vanishes on average, not only at its centre.

        ∫ N(θ | m, H⁻¹) ∇ log p(θ) dθ = 0

    Of many parameters each moves the moments a little when it is off its optimum, and always
    upwards, since log Z is convex: draws around the optimum would all be too active.

    Parameters
    ----------
    problem, node : the likelihood, and the optimum with its curvature.
    rng : of the draws over which slopes are averaged, in pairs on both sides of the centre.

    Opper & Archambeau, Neural Comput. 21, 786 (2009), doi:10.1162/neco.2008.08-07-592.
    """
    from scipy.linalg import cho_solve

    z = rng.standard_normal((PAIRS, problem.size))
    frame = node.frame
    for _ in range(ROUNDS):
        slope = 0.0
        for row in z:
            both = frame.place(np.stack([row, -row]))
            slope = slope + problem.gradient(both, node.scale)[1].mean(axis=0) / PAIRS
        frame = Frame(frame.mean + cho_solve((frame.root, True), slope), frame.root)
    return replace(node, frame=frame)


def _ends(problem, best, rng):
    """Log densities that climbs from scattered starts reach."""
    away = rng.standard_normal((STARTS - 1, problem.size))
    starts = [independent(problem.data)]
    # A concave function has one top: where a climb takes a minute, one more will do.
    away = away if problem.size <= LARGE else away[:1]
    starts += [*(best.optimum.theta + 0.5 * away)]
    return np.array([maximum(problem, best.scale, start).log_density for start in starts])


def mcmc(problem: Pairwise, settings: Settings):
    """Draws of θ (chain, draw, parameter) and of the width (chain, draw), and their evidence."""
    walk = _JointTrajectories(problem, nodes(_normal(problem)), settings)
    for turn in range(settings.tune):
        walk.advance(turn)
    shape = (settings.chains, settings.draws)
    theta, scale = np.empty((*shape, problem.size)), np.empty(shape)
    stats = {name: np.empty(shape) for name in ("energy", "lp", "acceptance_rate", "n_steps")}
    stats["diverging"] = np.empty(shape, dtype=bool)
    for draw in range(settings.draws):
        found = walk.advance()
        theta[:, draw], scale[:, draw] = walk.theta, walk.scale
        for name, value in found.items():
            stats[name][:, draw] = value
    step = dataset({"step_size": np.float64(walk.step)}, sampled=False)
    return theta, scale, dataset(stats).merge(step)


def _normal(problem):
    """The same likelihood under a normal prior of inferred width, if its own is not normal."""
    if not problem.prior.local:
        return problem
    other, width = copy.copy(problem), problem.prior.kind.scale
    other.prior = Prior(problem.prior.h, width if problem.prior.inferred else HalfCauchy(width))
    return other


class _JointTrajectories:
    """All chains side by side, each in the coordinates of the normal that is nearest."""

    def __init__(self, problem, found, settings):
        self.problem, self.nodes, self.chains = problem, found, settings.chains
        self.sizes = problem.sites, problem.size - problem.sites
        self.rngs = [settings.generator("chain", chain) for chain in range(settings.chains)]
        self.shared = settings.generator("trajectories")
        self.step = 0.25 * np.pi
        log_weight = np.array([node.log_weight for node in found])
        share = np.exp(log_weight - np.logaddexp.reduce(log_weight))
        self.best = found[int(np.argmax(share))]
        self.level = self.best.optimum.log_density
        self.log_scales = np.log([node.scale for node in found])
        self.scale = np.exp(self._each(lambda rng: rng.choice(self.log_scales, p=share)))
        self.local = np.ones((self.chains, self.sizes[1])) if problem.prior.local else None
        self._choose()
        self.z = self._each(lambda rng: rng.standard_normal(problem.size))
        self._look()

    def _each(self, draw):
        return np.array([draw(rng) for rng in self.rngs])

    def _choose(self):
        """Take the coordinates of each chain: its scales are constant along a trajectory.

        The normal is that of the likelihood's expansion at a node, times the prior.
        """
        prior = self.problem.prior
        if not (prior.inferred or prior.local):
            self.frames = [(self.best.frame, slice(None))]
        else:
            away = np.abs(np.log(self.scale)[:, None] - self.log_scales)
            nodes = [self.best if prior.local else self.nodes[k] for k in np.argmin(away, axis=1)]
            mean, precision = prior.moments(*self.sizes, self.scale, self.local)
            self.frames = [(node.given(mean, own), [chain]) for chain, (node, own)
                           in enumerate(zip(nodes, precision, strict=True))]  # fmt: skip
        # The energy is that of the coordinates z: it must not follow the size of their unit.
        self.volume = self._by_frame(lambda frame, _: frame.log_volume, self.scale)

    def _by_frame(self, function, points):
        result = np.empty_like(points)
        for frame, chains in self.frames:
            result[chains] = function(frame, points[chains])
        return result

    def _rest(self, z):
        """What the log density has beyond the standard normal in z, and its slope."""
        prior, sites = self.problem.prior, self.problem.sites
        theta = self._by_frame(Frame.place, z)
        value, slope = self.problem.likelihood_gradient(theta)
        mean, precision = prior.moments(*self.sizes, self.scale, self.local)
        value += prior.log_given(theta[:, :sites], theta[:, sites:], self.scale, self.local)
        slope -= precision * (theta - mean)
        rest = value - self.level + 0.5 * np.sum(z**2, axis=-1)
        return theta, rest, self._by_frame(Frame.whiten, slope) + z

    def _look(self):
        self.theta, self.rest, self.slope = self._rest(self.z)

    def advance(self, turn=None):
        """One trajectory of all chains; ``turn`` counts those in which the step is adapted."""
        angle = self.shared.uniform(*TURN)
        count = int(np.ceil(angle / self.step))
        cosine, sine = np.cos(angle / count), np.sin(angle / count)
        z, rest, slope, theta = self.z, self.rest, self.slope, self.theta
        p = self._each(lambda rng: rng.standard_normal(self.problem.size))
        energy = 0.5 * np.sum(z**2 + p**2, axis=-1) - rest
        half = 0.5 * angle / count
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(count):
                p = p + half * slope
                z, p = cosine * z + sine * p, cosine * p - sine * z
                theta, rest, slope = self._rest(z)
                p = p + half * slope
            rise = 0.5 * np.sum(z**2 + p**2, axis=-1) - rest - energy
        rise = np.where(np.isfinite(rise), rise, 1e300)
        chance = np.exp(-np.maximum(rise, 0.0))
        move = self._each(lambda rng: rng.random()) < chance
        for name, new in (("z", z), ("theta", theta), ("slope", slope)):
            setattr(self, name, np.where(move[:, None], new, getattr(self, name)))
        self.rest = np.where(move, rest, self.rest)
        if turn is not None:
            factor = np.exp((chance.mean() - TARGET) / (0.2 * turn + 1) ** 0.6)
            self.step = float(np.clip(self.step * factor, SHORTEST, LONGEST))
        found = {
            "energy": np.where(move, energy + rise, energy) - self.level - self.volume,
            "acceptance_rate": chance,
            "n_steps": count,
            "diverging": rise > DIVERGENT,
        }
        if self.problem.prior.inferred or self.problem.prior.local:
            self._scales()
        return found | {"lp": self.level + self.rest - 0.5 * np.sum(self.z**2, axis=-1)}

    def _scales(self):
        """Move width and couplings together, then draw the scales given the couplings."""
        prior, sites = self.problem.prior, self.problem.sites
        # Many sites go with many data, under which a width hardly moves: then neither the slow move
        # nor new coordinates are worth their price.
        moving = self.problem.settled is None
        if prior.inferred and moving:
            self._rescale()
        for chain, rng in enumerate(self.rngs):
            local = None if self.local is None else self.local[chain]
            self.scale[chain], local = prior.update(
                rng, self.theta[chain, sites:], self.scale[chain], local
            )
            if local is not None:
                self.local[chain] = local
        if moving:
            self._choose()
            self.z = self._by_frame(Frame.coordinates, self.theta)
        self._look()

    def _rescale(self):
        # The local variances are integrated out here, and drawn anew afterwards.
        sites, count = self.sizes

        def density(theta, scale):
            prior = self.problem.prior.log_density(theta[:, :sites], theta[:, sites:], scale)
            return self.problem.log_likelihood(theta) + prior + (count + 1) * np.log(scale)

        height = density(self.theta, self.scale)
        for size in SCALINGS:
            factor = np.exp(size * self._each(lambda rng: rng.standard_normal()))
            theta, scale = self.theta.copy(), self.scale * factor
            # The fields make up for it where the others are at their means, or no large move of
            # couplings between sites that are seldom on would be accepted.
            pull = matrix(theta[:, sites:], sites) @ self.problem.statistics[:sites]
            theta[:, :sites] += (1 - factor)[:, None] * pull
            theta[:, sites:] *= factor[:, None]
            other = density(theta, scale)
            move = np.log(self._each(lambda rng: rng.random())) < other - height
            self.theta = np.where(move[:, None], theta, self.theta)
            self.scale, height = np.where(move, scale, self.scale), np.where(move, other, height)


def route(draw: Callable, kind: str) -> Route:
    """Make a route of what draws from a ``Pairwise``.

    It settles first on what sums over states rest on, and afterwards draws a reweighting sample
    that does not cover the posterior anew, at the mean of the draws.

    Parameters
    ----------
    draw : (``Pairwise``, settings) -> θ (chain, draw, parameter), widths (chain, draw), and the
        evidence that checks ask for.
    kind : of inference, as of ``Route``.
    """

    @wraps(draw)
    def run(problem: BoltzmannMachine, settings: Settings) -> Sample:
        sums = large.make_likelihood(problem.moments, problem.prior, settings.generator("bank"),
                            settings.workers, problem.bank)  # fmt: skip
        theta, scale, evidence = draw(sums, settings)
        of_sums = sums.evidence(theta)
        for turn in range(REDRAWN):
            if large.covers(of_sums[0]):
                break
            sums = large.redrawn(sums, theta, settings.generator("bank", turn))
            theta, scale, evidence = draw(sums, settings)
            of_sums = sums.evidence(theta)
        evidence = evidence.merge(dataset(*of_sums))
        return Sample(problem.named(theta, scale), evidence, problem=replace(problem, found=sums))

    return Route(run, kind)


ROUTES = {
    "mcmc": route(mcmc, "mle+mcmc"),
    "laplace": route(laplace, "laplace"),
    "nuts": Route(driver.nuts, "nuts"),
}
