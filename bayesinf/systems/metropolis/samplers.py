"""Four samplers, each as a route from a target to draws and the evidence its checks ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.inference import ensemble
from bayesinf.models.problem import Route, Sample
from bayesinf.posterior import dataset

if TYPE_CHECKING:
    from bayesinf.settings import Settings
    from bayesinf.systems.metropolis.targets import Target

__all__ = ["EACH", "PROPOSAL", "SAMPLERS", "chain_of", "route"]

PROPOSAL = 0.0025  # variance of the proposal in each coordinate, unless a target has its own
EACH = 50  # steps for a draw that is kept
ADAPTING = 10_000  # steps over which the proposal is adapted, before any draw is kept
ROUNDS = 20  # of adapting
OPTIMAL = 2.38  # over the root of the dimension: the scale that is best for a normal
WALKERS = 64
LONGEST = 10_000  # steps of the walkers
ACCEPT = 0.8  # that NUTS' step aims at


@dataclass(frozen=True)
class Run:
    """Chains of a sampler.

    Parameters
    ----------
    draws : (chain, draw, coordinate).
    evidence : name to array; those of two dimensions are (chain, draw).
    """

    draws: np.ndarray
    evidence: dict


def chain_of(target: Target, start: np.ndarray, root: np.ndarray, steps: int, rng):
    """Run a chain of Metropolis' rule: states (step, coordinate), and whether moves were taken."""
    from bayesinf.systems.metropolis import kernel

    chain, accepted = np.empty((steps, target.size)), np.empty(steps, dtype=bool)
    state = np.array(start, dtype=float)
    normals = rng.standard_normal((steps, target.size))
    log_uniform = np.log(rng.random(steps))
    kernel.walk(target.kind, target.known, state, root, normals, log_uniform, chain, accepted)
    return chain, accepted


def metropolis(target: Target, settings: Settings) -> Run:
    """Random-walk Metropolis with a proposal of fixed width; what it begins with is thrown away."""
    root = np.diag(np.sqrt(np.broadcast_to(target.proposal or PROPOSAL, target.size)))
    return _chains(target, settings, lambda start, rng: (start, root))


def adaptive(target: Target, settings: Settings) -> Run:
    """Metropolis whose proposal takes the shape of the chain so far, and is held from then on."""

    def adapted(start, rng):
        scale = OPTIMAL / np.sqrt(target.size)
        first = np.sqrt(np.broadcast_to(target.proposal or PROPOSAL, target.size))
        root, seen = np.diag(first), []
        for _ in range(ROUNDS):
            chain, _ = chain_of(target, start, root, ADAPTING // ROUNDS, rng)
            start = chain[-1]
            seen.append(chain)
            recent = np.concatenate(seen[len(seen) // 2 :])
            covariance = np.cov(recent.T) + 1e-6 * np.diag(first**2)
            root = scale * np.linalg.cholesky(covariance)
        return start, root

    return _chains(target, settings, adapted)


def _chains(target, settings, prepared):
    draws, rates = [], []
    starts = target.starts(settings.generator("starts"), settings.chains)
    for k, start in enumerate(starts):
        rng = settings.generator("chain", k)
        start, root = prepared(start, rng)
        burn, kept = settings.tune * EACH, settings.draws * EACH
        chain, accepted = chain_of(target, start, root, burn + kept, rng)
        draws.append(chain[burn:][EACH - 1 :: EACH])
        rates.append(accepted[burn:].mean())
    return Run(np.stack(draws), {"acceptance_rate": np.array(rates)})


def emcee(target: Target, settings: Settings) -> Run:
    """An ensemble of walkers with the stretch move, emcee's own default."""
    from emcee.moves import StretchMove

    kept = -(-settings.draws * settings.chains // WALKERS)
    start = target.starts(settings.generator("starts"), WALKERS)
    found = ensemble.sample(
        target.log_density,
        start,
        settings.generator("ensemble"),
        kept,
        maximum=LONGEST,
        moves=StretchMove(),
    )
    evidence = {
        "autocorrelation_time": found.autocorrelation_time,
        "steps": found.steps,
        "acceptance_rate": found.acceptance_rate,
    }
    return Run(found.draws, evidence)


def nuts(target: Target, settings: Settings) -> Run:
    """The no-U-turn sampler of nutpie, of a gradient in compiled code: nothing is built for it."""
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    from bayesinf.systems.metropolis import kernel

    size = target.size

    def make_density():
        slope = np.empty(size)

        def density(x):
            value = kernel.look(target.kind, target.known, x, slope)
            return value, slope.copy()

        return density

    def make_expanded(*_):
        return lambda x: {"x": np.asarray(x)}

    starts = target.starts(settings.generator("starts"), settings.chains)
    draws, evidence = [], {"diverging": [], "energy": []}
    for k, start in enumerate(starts):
        model = from_pyfunc(
            size,
            make_density,
            make_expanded,
            [np.dtype("float64")],
            [(size,)],
            ["x"],
            make_initial_point_fn=lambda seed, start=start: start,
        )
        tree = nutpie.sample(
            model,
            draws=settings.draws,
            tune=max(settings.tune, 200),
            chains=1,
            cores=1,
            target_accept=ACCEPT,
            seed=int(settings.generator("nuts", k).integers(2**31)),
            progress_bar=False,
        )
        draws.append(tree["posterior"]["x"].values[0])
        for name, values in evidence.items():
            values.append(tree["sample_stats"][name].values[0])
    return Run(np.stack(draws), {name: np.stack(each) for name, each in evidence.items()})


SAMPLERS = {
    "metropolis": (metropolis, "mcmc"),
    "adaptive": (adaptive, "mcmc"),
    "emcee": (emcee, "ensemble"),
    "nuts": (nuts, "nuts"),
}


def route(name: str, target: Target) -> Route:
    """Return a sampler as a route of a problem whose parameters are the target's coordinates."""
    sampler, kind = SAMPLERS[name]

    def run(problem, settings):
        found = sampler(target, settings)
        draws = {each: found.draws[..., i] for i, each in enumerate(target.names)}
        own = {n: np.asarray(v) for n, v in found.evidence.items() if np.ndim(v) == 2}
        whole = {n: np.asarray(v) for n, v in found.evidence.items() if np.ndim(v) < 2}
        dims = {n: d for n, d in DIMS.items() if n in whole}
        coords = {"parameter": list(target.names), "chain": np.arange(len(found.draws))}
        evidence = dataset(whole, dims, coords, UNITS, sampled=False).merge(dataset(own))
        return Sample(draws, evidence)

    run.__name__ = name
    return Route(run, kind)


DIMS = {"autocorrelation_time": ("parameter",), "acceptance_rate": ("chain",)}
UNITS = {"autocorrelation_time": "steps", "steps": "steps"}
