"""From a ``Logistic`` to draws of its parameters, by three routes, with their evidence.

Given the width of the couplings the blocks are independent, and each has a concave log density with
exact slope and curvature: a normal near its optimum is a good coordinate system (``nodes``).
``laplace`` draws from that normal, moved from the mode to the mean of the posterior. Where the
width is inferred it is found by the evidence, from which weighted draws take what the normal
misses: of many couplings one width is the best and they follow it in a line, of few there are
several, each with its share, and the width is drawn given the couplings.

``mcmc`` is Hamiltonian Monte Carlo in the coordinates in which that normal is standard. The motion
in the normal itself is a rotation and is solved exactly; only what the density adds to it is
integrated by kicks, so that a few of them make an independent draw. Each block is accepted or left
on its own, while all of them share the products with the states. The width is drawn given the
couplings, and once more moved together with them, which mixes where data are few.

``gibbs`` is Pólya-Gamma augmentation: given a variable for each site and transition the posterior
is normal, whatever the mixture of normals that is its prior.

Shahbaba, Lan, Johnson & Neal, Stat. Comput. 24, 339 (2014), doi:10.1007/s11222-012-9373-1; Yu &
Meng, J. Comput. Graph. Stat. 20, 531 (2011), doi:10.1198/jcgs.2011.203main; Polson, Scott & Windle,
J. Am. Stat. Assoc. 108, 1339 (2013), doi:10.1080/01621459.2013.829001.
"""

from __future__ import annotations

import numpy as np

from bayesinf.models.logistic.likelihood import Logistic
from bayesinf.models.logistic.nodes import (
    GREAT,
    LOOSE,
    Ladder,
    Node,
    drift,
    log_weights,
    settled,
)
from bayesinf.models.logistic.optimum import independent, maximum
from bayesinf.settings import Settings

LIGHT = 2e6  # products of a gradient up to which the chains go side by side, not on their own
TARGET = 0.95  # acceptance that the step of the integrator aims at
TURN = (0.25 * np.pi, 0.75 * np.pi)  # how far a trajectory turns
SHORTEST, LONGEST = 0.02, 0.5 * np.pi  # step of the integrator, in the same units
DIVERGENT = 1000.0  # rise of the energy along a trajectory that counts as a divergence
RESCALED = 0.4  # acceptance that the moves of width and couplings together aim at
SCALINGS = (1.0, 4.0)  # their sizes, in units of what is adapted
FREE = 4.0  # variance of the width over that given the couplings from which they are needed
TOGETHER = 32  # draws that are placed at once
POWER = 20  # steps of the search for the smallest eigenvalue


def laplace(problem: Logistic, settings: Settings):
    """Draws of θ (chain, draw, block, dim) and of the width (chain, draw), and their evidence."""
    from bayesinf import parallel
    from bayesinf.posterior import dataset

    ladder, rng = Ladder(problem, wide=True), settings.generator("laplace")
    found, log_share = ladder.weighed(settings.generator("settling"))
    shape = (settings.chains, settings.draws)
    which = rng.choice(len(found), shape, p=np.exp(log_share))
    theta = np.empty((*shape, *problem.shape))
    log_weight = np.empty((*shape, problem.sites))
    scale = np.full(shape, problem.prior.typical)

    def place(part):
        at, each = tuple(part.T), found[which[tuple(part[0])]]
        own = settings.generator("laplace", *(int(k) for k in part[0]))
        away = each.draws(own, len(part))
        theta[at], log_weight[at] = each.theta + away, log_weights(problem, each, away)

    places = [np.argwhere(which == k) for k in range(len(found))]
    parts = [each[k : k + TOGETHER] for each in places for k in range(0, len(each), TOGETHER)]
    light = problem.design.states.size * problem.sites <= LIGHT
    parallel.map(place, parts, workers=1 if light else settings.workers, threads=True,
                 label="draws")  # fmt: skip
    if problem.prior.inferred and len(found) == 1:
        # So many couplings that log τ is normal, and that they follow it in a line.
        away = ladder.spread * rng.standard_normal(shape)
        scale = found[0].scale * np.exp(away)
        theta += away[..., None, None] * drift(problem, found[0])
    elif problem.prior.inferred:
        scale = problem.prior.sample_scale(problem.split(theta)[1], rng.random(shape))
    evidence = dataset(
        _top(problem, ladder.best, found[0], theta, rng),
        {"gradient": ("parameter",), "hessian_eigenvalue": ("block",),
         "start_excess": ("start",)},
        {"parameter": names(problem)},
        sampled=False,
    )  # fmt: skip
    weights = dataset({"log_weight": log_weight}, {"log_weight": ("row",)},
                      {"row": problem.data.labels})  # fmt: skip
    return theta, scale, evidence.merge(weights)


def _top(problem, best, near, theta, rng):
    """What is known of the optimum: its slopes in posterior sd, its bends, and another way up."""
    sd = theta.std(axis=(0, 1))
    # It is concave, so a second start serves to find a climb that stopped too early.
    start = theta[0, 0] if problem.work > GREAT else independent(problem)
    other = maximum(problem, best.scale, start, LOOSE).log_density.sum()
    return {"gradient": (best.gradient * sd).ravel(),
            "hessian_eigenvalue": _smallest(near, rng),
            "start_excess": np.array([0.0, best.log_density.sum() - other])}  # fmt: skip


def _smallest(found, rng):
    """Smallest eigenvalue of each block's precision, by powers of its inverse, (block,)."""
    v = rng.standard_normal(found.theta.shape)
    for _ in range(POWER):
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        before, v = v, found.step(v)
    return 1 / np.sum(before * v, axis=1)


def names(problem: Logistic) -> np.ndarray:
    """Name the parameters, ``h[3]`` and ``J[3, 7]``, in their order."""
    label, (i, j) = problem.data.labels, problem.pairs
    h = np.array([f"h[{k}]" for k in label], dtype=object)
    J = np.array([f"J[{label[a]}, {label[b]}]" for a, b in zip(i, j, strict=True)], dtype=object)
    return problem.join(h, J).ravel().astype(str)


def mcmc(problem: Logistic, settings: Settings):
    """Draws of θ (chain, draw, block, dim) and of the width (chain, draw), and their evidence."""
    from bayesinf import parallel
    from bayesinf.posterior import dataset

    ladder = Ladder(problem)
    light = problem.design.states.size * problem.sites <= LIGHT
    if not light:
        ladder.nodes[0] = settled(problem, ladder.best, settings.generator("settling"))
    # Who goes with whom depends on the problem alone, so that draws do not depend on the workers.
    chains = np.arange(settings.chains)
    teams = [chains] if light else chains[:, None]
    shape = (settings.chains, settings.draws)
    theta, scale = np.empty((*shape, *problem.shape)), np.empty(shape)
    stats = {name: np.empty(shape) for name in ("energy", "lp", "acceptance_rate", "n_steps")}
    stats["diverging"] = np.empty(shape, dtype=bool)
    steps = np.empty(settings.chains)

    def run(team):
        walk = _Trajectories(problem, ladder, settings, [int(chain) for chain in team])
        for turn in range(settings.tune):
            walk.advance(turn)
        for draw in range(settings.draws):
            found = walk.advance()
            theta[team, draw], scale[team, draw] = walk.theta, walk.scale
            for name, value in found.items():
                stats[name][team, draw] = value
        steps[team] = walk.step

    parallel.map(run, teams, workers=settings.workers, threads=True, label="chains")
    step = dataset({"step_size": steps}, {"step_size": ("chain",)}, sampled=False)
    return theta, scale, dataset(stats).merge(step)


class _Trajectories:
    """Chains side by side, each in the coordinates of the node whose width is nearest."""

    def __init__(self, problem, ladder, settings, chains):
        self.problem, self.ladder, self.count = problem, ladder, len(chains)
        self.rngs = [settings.generator("chain", chain) for chain in chains]
        self.shared = settings.generator("trajectories", chains[0])
        self.step, self.rescaling = 0.5 * np.pi, 2.4 * max(ladder.spread, 1e-3)
        self.free = 2 * problem.couplings * ladder.spread**2 > FREE
        away = np.clip(self._each(lambda rng: rng.standard_normal()), -2.0, 2.0)
        self.scale = np.exp(ladder.centre + ladder.spread * away)
        self._choose()
        self.z = self._each(lambda rng: rng.standard_normal(problem.shape))
        self.theta, *self.known = self._look(self.z)

    def _each(self, draw):
        return np.array([draw(rng) for rng in self.rngs])

    def _choose(self):
        """Take the node of each chain: the width is constant along a trajectory, so it may."""
        rungs = self.ladder.rung(self.scale)
        self.groups = [(self.ladder.at(int(r)), np.flatnonzero(rungs == r))
                       for r in np.unique(rungs)]  # fmt: skip
        # The energy is that of the coordinates z, and so depends on their unit.
        self.volume = np.empty(self.count)
        for each, chains in self.groups:
            self.volume[chains] = -each.log_root

    def _by_node(self, function, points):
        if len(self.groups) == 1:
            return function(self.groups[0][0], points)
        result = np.empty_like(points)
        for each, chains in self.groups:
            result[chains] = function(each, points[chains])
        return result

    def _look(self, z):
        """Parameters, log density of each block and its slope in z, of the likelihood as well."""
        theta = self._by_node(Node.place, z)
        return theta, *self._add_prior(theta, *self.problem.likelihood_gradient(theta))

    def _guess(self, z):
        """The slope in z, roughly."""
        theta = self._by_node(Node.place, z)
        slope = self.problem.coarse_gradient(theta) + self.problem.prior_slope(theta, self.scale)
        return self._by_node(Node.whiten, slope)

    def _add_prior(self, theta, likelihood, likelihood_slope):
        value, slope = self.problem.add_prior(theta, self.scale, likelihood, likelihood_slope)
        return value, self._by_node(Node.whiten, slope), likelihood, likelihood_slope

    def advance(self, turn=None):
        """One trajectory of all blocks; ``turn`` counts those in which the steps are adapted."""
        angle = self.shared.uniform(*TURN)
        count = int(np.ceil(angle / self.step))
        cosine, sine = np.cos(angle / count), np.sin(angle / count)
        half = 0.5 * angle / count
        z, theta, known = self.z, self.theta, self.known
        p = self._each(lambda rng: rng.standard_normal(self.problem.shape))
        energy = 0.5 * np.sum(p**2, axis=-1) - known[0]
        with np.errstate(over="ignore", invalid="ignore"):
            for k in range(count):
                p = p + half * (known[1] + z)
                z, p = cosine * z + sine * p, cosine * p - sine * z
                if k < count - 1:
                    # A kick by any function of z keeps the volume, and back is as forth: only the
                    # energies at the ends have to be exact.
                    known = None, self._guess(z)
                else:
                    theta, *known = self._look(z)
                p = p + half * (known[1] + z)
            rise = 0.5 * np.sum(p**2, axis=-1) - known[0] - energy
        rise = np.where(np.isfinite(rise), rise, 1e300)
        chance = np.exp(-np.maximum(rise, 0.0))
        move = self._each(lambda rng: rng.random(self.problem.blocks)) < chance
        self.z, self.theta = _chosen(move, z, self.z), _chosen(move, theta, self.theta)
        self.known = [_chosen(move, *pair) for pair in zip(known, self.known, strict=True)]
        if turn is not None:
            factor = np.exp((chance.mean() - TARGET) / (0.2 * turn + 1) ** 0.6)
            self.step = float(np.clip(self.step * factor, SHORTEST, LONGEST))
        found = {
            "lp": self.known[0].sum(axis=1),
            "energy": np.where(move, energy + rise, energy).sum(axis=1) - self.volume,
            "acceptance_rate": chance.mean(axis=1),
            "n_steps": count,
            "diverging": (rise > DIVERGENT).any(axis=1),
        }
        if self.problem.prior.inferred:
            self._widths(turn)
        return found

    def _widths(self, turn):
        """Draw the width given the couplings, then move both together."""
        problem, prior = self.problem, self.problem.prior
        J = problem.split(self.theta)[1]
        self.scale = prior.sample_scale(J, self._each(lambda rng: rng.random()))
        own = lambda scale: prior.log_scale(scale) + np.log(scale)
        likelihood = self.known[2:]
        for size in SCALINGS if self.free else ():
            # Couplings in units of the width stay, so their own prior does not change.
            factor = np.exp(size * self.rescaling * self._each(lambda rng: rng.standard_normal()))
            theta, scale = self.theta.copy(), self.scale * factor
            theta[..., problem.fields :] *= factor[:, None, None]
            other = problem.likelihood_gradient(theta)
            rise = (other[0] - likelihood[0]).sum(axis=1) + own(scale) - own(self.scale)
            move = np.log(self._each(lambda rng: rng.random())) < rise
            self.theta = _chosen(move, theta, self.theta)
            self.scale = _chosen(move, scale, self.scale)
            likelihood = [_chosen(move, *pair) for pair in zip(other, likelihood, strict=True)]
            if turn is not None and size == 1.0:
                excess = np.exp(np.minimum(rise, 0.0)).mean() - RESCALED
                self.rescaling *= np.exp(excess / (0.2 * turn + 1) ** 0.6)
        self._choose()
        self.z = self._by_node(Node.coordinates, self.theta)
        self.known = list(self._add_prior(self.theta, *likelihood))


def _chosen(move, new, old):
    """Entries of ``new`` where ``move``, of its first axes, is true, else of ``old``."""
    return np.where(move.reshape(move.shape + (1,) * (new.ndim - move.ndim)), new, old)


def gibbs(problem: Logistic, settings: Settings):
    """Draws of θ and of the width by Pólya-Gamma augmentation, as of ``mcmc``."""
    from bayesinf import parallel
    from bayesinf.posterior import dataset

    shape = (settings.chains, settings.draws)
    theta, scale = np.empty((*shape, *problem.shape)), np.empty(shape)

    def run(chain):
        rng = settings.generator("gibbs", chain)
        for sweep, found in enumerate(sweeps(problem, rng, settings.tune)):
            if sweep >= settings.tune:
                theta[chain, sweep - settings.tune], scale[chain, sweep - settings.tune] = found
            if sweep == settings.tune + settings.draws - 1:
                return

    parallel.map(run, range(settings.chains), workers=settings.workers, threads=True,
                 label="chains")  # fmt: skip
    h, J = problem.split(theta)
    lp = problem.prior.log_density(h, J, scale)
    return theta, scale, dataset({"lp": lp + _by_draw(problem.log_likelihood, theta).sum(axis=-1)})


def _by_draw(function, theta):
    return np.array([[function(draw) for draw in chain] for chain in theta])


def sweeps(problem: Logistic, rng: np.random.Generator, tune: int):
    """Sweep for ever: yield θ (block, dim) and the width after each.

    With ω_t ~ PG(1, η_t) for each site and transition its row is normal,

        precision P = Σ_t ω_t x_t x_tᵀ + prior,   mean P⁻¹ (Σ_t (y_t − ½) x_t + prior × its mean)
    """
    prior, design = problem.prior, problem.design
    theta = independent(problem) + 0.1 * rng.standard_normal(problem.shape)
    scale = np.asarray(prior.typical * np.exp(0.5 * rng.standard_normal()))
    scale = scale if prior.inferred else np.asarray(1.0)
    local = np.ones(problem.couplings) if prior.local else None
    pull = problem.gathered(problem.sums - design.total / 2)
    mean = problem.join(np.full(problem.sites, prior.h.mean),
                        np.full(problem.couplings, prior.mean))  # fmt: skip
    own = lambda scale: prior.log_scale(scale) + np.log(scale)
    rescaling, turn = 0.5, 0
    while True:
        precision = problem.join(np.full(problem.sites, prior.h.sd**-2.0),
                                 prior.precision(problem.couplings, scale, local))  # fmt: skip
        H = design.augmented(problem.rows(theta), rng)
        theta = _normal(problem, rng, H, precision, pull + precision * mean)
        J = problem.split(theta)[1]
        scale, local = prior.update(rng, J, scale, local)
        if prior.inferred and problem.couplings:
            height = problem.log_likelihood(theta).sum() + own(scale)
            for size in SCALINGS:
                factor = np.exp(size * rescaling * rng.standard_normal())
                other = theta.copy()
                other[:, problem.fields :] *= factor
                rise = problem.log_likelihood(other).sum() + own(scale * factor) - height
                if np.log(rng.random()) < rise:
                    theta, scale, height = other, scale * factor, height + rise
                if turn < tune and size == 1.0:
                    excess = np.exp(min(rise, 0.0)) - RESCALED
                    rescaling *= np.exp(excess / (0.2 * turn + 1) ** 0.6)
        turn += 1
        yield theta, float(scale)


def _normal(problem, rng, H, precision, pull):
    """Draw θ from the normal of a precision, in rows without the prior's, and pull P mean."""
    z = rng.standard_normal(problem.shape)
    if problem.symmetric:
        from scipy.linalg import cholesky, solve_triangular

        matrix = problem.joint(H)
        matrix[np.diag_indices(problem.dim)] += precision[0]
        root = cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)
        half = solve_triangular(root, pull[0], lower=True, check_finite=False) + z[0]
        return solve_triangular(root, half, lower=True, trans="T", check_finite=False)[None]
    H = problem.own(H)
    H[:, np.arange(problem.dim), np.arange(problem.dim)] += precision
    root = np.linalg.cholesky(H)
    half = np.linalg.solve(root, pull[..., None]) + z[..., None]
    return np.linalg.solve(np.swapaxes(root, 1, 2), half)[..., 0]


# Method to the sampler of blocks, (problem, settings) -> θ, width and evidence, and to the kind of
# inference; the first is the default.
SAMPLERS = {
    "mcmc": (mcmc, "mle+mcmc"),
    "laplace": (laplace, "laplace"),
    "gibbs": (gibbs, "gibbs"),
}
