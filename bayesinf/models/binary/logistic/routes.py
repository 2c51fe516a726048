"""From a ``Logistic`` to draws of its parameters, by three routes, with their evidence.

Given the width of the couplings the blocks are independent, and each has a concave log density with
exact slope and curvature: a normal near its optimum is a good coordinate system (``widths``).
``laplace`` draws from that normal, moved from the mode to the mean of the posterior. An inferred
width is found by its evidence, which importance weights correct for what the normal misses. Many
couplings leave a narrow peak of it: log τ is drawn from a normal, and the couplings move with it
along a line (``drift``). Few leave several widths: draws come from a mixture of their normals, each
with the share of its evidence, and the width is then drawn given the couplings.

``mcmc`` is split Hamiltonian Monte Carlo (``inference.hamiltonian``) in the coordinates in which
that normal is standard, and ``chains`` moves the width. Each block is accepted by itself, while all
of them share the products with the states.

``gibbs`` is Pólya-Gamma augmentation: given a variable for each site and transition the posterior
is normal, whatever the mixture of normals that is its prior.

Polson, Scott & Windle, J. Am. Stat. Assoc. 108, 1339 (2013), doi:10.1080/01621459.2013.829001.
"""

from __future__ import annotations

import numpy as np

from bayesinf import kept, parallel
from bayesinf.inference import factors
from bayesinf.inference.normal import BlockNormal
from bayesinf.models.binary import chains
from bayesinf.models.binary.chains import CommonScaling
from bayesinf.models.binary.logistic.likelihood import Logistic
from bayesinf.models.binary.logistic.optimum import independent, maximum
from bayesinf.models.binary.logistic.widths import (
    GREAT,
    LogisticWidths,
    at_mean,
    drift,
    log_weights,
)
from bayesinf.models.binary.widths import LOOSE
from bayesinf.posterior import dataset
from bayesinf.settings import Settings

__all__ = ["SAMPLERS", "gibbs", "laplace", "mcmc", "names"]

# Products of a gradient up to which the chains go side by side, not on their own.
LIGHT = 2e6
# Acceptance that the step size of the integrator is tuned to.
WANTED = 0.95
# Draws that are placed at once.
TOGETHER = 32
# Steps of the search for the smallest eigenvalue.
POWER = 20


def laplace(problem: Logistic, settings: Settings):
    """Draws of θ (chain, draw, block, dim) and of the width (chain, draw), and their evidence."""
    widths, rng = LogisticWidths(problem, unwritten=True), settings.generator("laplace")
    normals, log_share = widths.at_means(settings.generator("settling"))
    shape = (settings.chains, settings.draws)
    which = rng.choice(len(normals), shape, p=np.exp(log_share))
    theta, log_weight = _placed(problem, normals, which, settings)
    scale = np.full(shape, problem.prior.typical)
    if problem.prior.inferred and len(normals) == 1:
        # So many couplings that log τ is normal, and that they follow it in a line.
        away = widths.spread * rng.standard_normal(shape)
        scale = normals[0].scale * np.exp(away)
        theta += away[..., None, None] * drift(problem, normals[0])
    elif problem.prior.inferred:
        scale = problem.prior.sample_scale(problem.split(theta)[1], rng.random(shape))
    evidence = dataset(
        _optimum_evidence(problem, widths.best, normals[0], theta, rng),
        {"gradient": ("parameter",), "hessian_eigenvalue": ("block",), "start_excess": ("start",)},
        {"parameter": names(problem)},
        sampled=False,
    )
    row = {"row": problem.data.labels}
    weights = dataset({"log_weight": log_weight}, {"log_weight": ("row",)}, row)
    return theta, scale, evidence.merge(weights)


def _placed(problem, normals, which, settings):
    """Draws of the normals that ``which`` (chain, draw) numbers, and their log weights by rows."""
    theta = np.empty((*which.shape, *problem.shape))
    log_weight = np.empty((*which.shape, problem.sites))

    def place(part):
        at, near = tuple(part.T), normals[which[tuple(part[0])]]
        stream = settings.generator("laplace", *(int(k) for k in part[0]))
        away = near.normal.draws(stream, len(part))
        theta[at], log_weight[at] = near.theta + away, log_weights(problem, near, away)

    places = [np.argwhere(which == k) for k in range(len(normals))]
    parts = [each[k : k + TOGETHER] for each in places for k in range(0, len(each), TOGETHER)]
    workers = 1 if _light(problem) else settings.workers
    parallel.map(place, parts, workers=workers, threads=True, label="draws")
    return theta, log_weight


def _light(problem):
    """Whether chains and draws cost less than threads would."""
    return problem.design.states.size * problem.sites <= LIGHT


def _optimum_evidence(problem, best, near, theta, rng):
    """What is known of the optimum: its slopes in posterior sd, its bends, and another way up."""
    sd = theta.std(axis=(0, 1))
    # It is concave, so a second start serves to find a climb that stopped too early.
    start = theta[0, 0] if problem.work > GREAT else independent(problem)
    other = maximum(problem, best.scale, start, LOOSE).log_density.sum()
    return {
        "gradient": (best.gradient * sd).ravel(),
        "hessian_eigenvalue": _smallest(near.normal, rng),
        "start_excess": np.array([0.0, best.log_density.sum() - other]),
    }


def _smallest(normal, rng):
    """Smallest eigenvalue of each block's precision, by powers of its inverse, (block,)."""
    v = rng.standard_normal(normal.mean.shape)
    for _ in range(POWER):
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        before, v = v, normal.solve(v)
    return 1 / np.sum(before * v, axis=1)


def names(problem: Logistic) -> np.ndarray:
    """Name the parameters, ``h[3]`` and ``J[3, 7]``, in their order."""
    label, (i, j) = problem.data.labels, problem.pairs
    h = np.array([f"h[{k}]" for k in label], dtype=object)
    J = np.array([f"J[{label[a]}, {label[b]}]" for a, b in zip(i, j, strict=True)], dtype=object)
    return problem.join(h, J).ravel().astype(str)


def mcmc(problem: Logistic, settings: Settings):
    """Draws of θ (chain, draw, block, dim) and of the width (chain, draw), and their evidence."""
    widths, light = LogisticWidths(problem), _light(problem)
    if not light:
        widths.levels[0] = at_mean(problem, widths.best, settings.generator("settling"))

    def target(rngs):
        return _LogisticTarget(problem, widths, rngs)

    tuned = {"size": 0.5 * np.pi, "wanted": WANTED}
    return chains.sample(target, problem.shape, settings, together=light, **tuned)


class _LogisticTarget(chains.CouplingTarget):
    """The posterior of transitions, whose kicks on the way take gradients in single precision."""

    def rough(self, z):
        """The gradient in z in single precision."""
        theta = self.normals.place(z)
        slope = self.problem.coarse_gradient(theta) + self.problem.prior_slope(theta, self.scale)
        return self.normals.whiten(slope)


def gibbs(problem: Logistic, settings: Settings):
    """Draws of θ and of the width by Pólya-Gamma augmentation, as of ``mcmc``."""
    shape = (settings.chains, settings.draws)
    theta, scale = np.empty((*shape, *problem.shape)), np.empty(shape)

    def run(chain):
        rng = settings.generator("gibbs", chain)
        _gibbs_chain(problem, rng, settings.tune, theta[chain], scale[chain])

    parallel.map(
        run, range(settings.chains), workers=settings.workers, threads=True, label="chains"
    )
    h, J = problem.split(theta)
    likelihood = [[problem.log_likelihood(draw).sum() for draw in chain] for chain in theta]
    lp = problem.prior.log_density(h, J, scale) + np.array(likelihood)
    return theta, scale, dataset({"lp": lp})


def _gibbs_chain(problem, rng, tune, drawn_theta, drawn_scale):
    """Sweep, and fill θ (draw, block, dim) and the widths (draw,) after those of tuning.

    With ω_t ~ PG(1, η_t) for each site and transition its row is normal,

        precision P = Σ_t ω_t x_t x_tᵀ + prior,   mean P⁻¹ (Σ_t (y_t − ½) x_t + prior × its mean)
    """
    prior, design = problem.prior, problem.design
    theta = independent(problem) + 0.1 * rng.standard_normal(problem.shape)
    scale = np.asarray(prior.typical * np.exp(0.5 * rng.standard_normal()))
    scale = scale if prior.inferred else np.asarray(1.0)
    local = np.ones(problem.couplings) if prior.local else None
    pull = problem.gathered(problem.sums - design.total / 2)
    fields = np.full(problem.sites, prior.h.mean)
    mean = problem.join(fields, np.full(problem.couplings, prior.mean))
    of_fields = np.full(problem.sites, prior.h.sd**-2.0)
    scaling = CommonScaling(problem, 2.0)

    def evaluate(theta):
        return (problem.log_likelihood(theta),)

    walk = {"at": (theta, scale, local)}
    changing = rng, walk, drawn_theta, drawn_scale
    for draw in kept.steps(range(-tune, len(drawn_theta)), *changing, fixed=(problem,)):
        theta, scale, local = walk["at"]
        precision = problem.join(of_fields, prior.precision(problem.couplings, scale, local))
        H = design.augmented(problem.rows(theta), rng)
        theta = _normal_draw(problem, rng, H, precision, pull + precision * mean)
        if prior.inferred and problem.couplings:
            known = theta[None], *evaluate(theta[None])
            (theta, _), scale = scaling.move([rng], known, scale[None], evaluate)
            theta, scale = theta[0], scale[0]
        scale, local = prior.update(rng, problem.split(theta)[1], scale, local)
        walk["at"] = theta, scale, local
        if draw >= 0:
            drawn_theta[draw], drawn_scale[draw] = theta, scale


def _normal_draw(problem, rng, H, precision, pull):
    """Draw θ from the normal of a precision, in rows without the prior's, and pull P mean."""
    matrix = problem.joint(H)[None] if problem.symmetric else problem.of_blocks(H)
    matrix[:, np.arange(problem.dim), np.arange(problem.dim)] += precision
    normal = BlockNormal(np.zeros(problem.shape), factors.cholesky(matrix))
    return normal.solve(pull) + normal.draws(rng, 1)[0]


# Method to the sampler of blocks, (problem, settings) -> θ, width and evidence, and to the kind of
# inference; the first is the default.
SAMPLERS = {
    "mcmc": (mcmc, "mle+mcmc"),
    "laplace": (laplace, "laplace"),
    "gibbs": (gibbs, "gibbs"),
}
