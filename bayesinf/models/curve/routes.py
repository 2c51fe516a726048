"""The two routes from a ``Problem`` to draws and the evidence for the checks."""

from __future__ import annotations

import numpy as np

from bayesinf.errors import FitError
from bayesinf.inference import ensemble
from bayesinf.inference import laplace as quadratic
from bayesinf.models.curve.problem import NOISE, Problem
from bayesinf.priors import InverseChi
from bayesinf.settings import Settings

WALKERS = 64  # or four times the number of parameters, if that is more


def laplace(problem: Problem, settings: Settings):
    """Draws (chain, draw, parameter) of the quadratic approximation, and their evidence."""
    from bayesinf.posterior import dataset

    found = _approximation(problem, settings, (settings.chains, settings.draws))
    rss = problem.optimum.ends
    # Flat in its logarithm, the noise leaves −n/2 log RSS; where it is known, −RSS/2.
    excess = len(problem.y) * np.log(rss / rss.min()) if problem.inferred else rss - rss.min()
    evidence = dataset(
        {"gradient": found.gradient, "hessian_eigenvalue": found.hessian_eigenvalue,
         "start_excess": excess / 2},
        {"gradient": ("parameter",), "hessian_eigenvalue": ("parameter",),
         "start_excess": ("start",)},
        {"parameter": problem.free},
        sampled=False,
    )  # fmt: skip
    return found.draws, evidence.merge(dataset({"log_weight": found.log_weight}))


def emcee(problem: Problem, settings: Settings):
    """Draws (walker, draw, parameter) by an ensemble that starts from the approximation."""
    from bayesinf.posterior import dataset

    walkers, free = max(WALKERS, 4 * len(problem.names)), len(problem.free)

    # The ensemble walks in log noise, the column after the free ones, nearer to a normal.
    def theta(point):
        with np.errstate(over="ignore"):
            return np.concatenate([point[..., :free], np.exp(point[..., free:])], axis=-1)

    start = _approximation(problem, settings, (1, walkers)).draws[0]
    start[:, free:] = np.log(start[:, free:])
    found = ensemble.sample(
        lambda point: problem.log_density(theta(point)) + point[:, free:].sum(axis=1),
        start,
        settings.generator("ensemble"),
        -(-settings.draws * settings.chains // walkers),
    )
    evidence = dataset(
        {"autocorrelation_time": found.autocorrelation_time, "steps": found.steps,
         "acceptance_rate": found.acceptance_rate},
        {"autocorrelation_time": ("parameter",), "acceptance_rate": ("chain",)},
        {"parameter": problem.names, "chain": np.arange(walkers)},
        {"autocorrelation_time": "steps", "steps": "steps"},
        sampled=False,
    )  # fmt: skip
    return theta(found.draws), evidence


def _approximation(problem, settings, shape):
    best, rng, scale = problem.optimum, settings.generator("laplace"), None
    if problem.inferred:
        scale, prior = InverseChi(best.dof, best.scale), problem.priors[NOISE]
        if not np.isfinite(prior.log_density(scale.sample(rng, 1000))).any():
            raise FitError(
                f"the residuals' standard deviation, {best.scale:.3g}, lies outside the prior of "
                f"the noise, {prior}: state a wider prior, or error bars",
                residual_sd=best.scale,
            )
    return quadratic.sample(problem.log_density, best.theta, best.covariance, rng, shape, scale)
