"""The two routes from a ``NonlinearRegression`` to draws and the evidence for the checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bayesinf.errors import FitError
from bayesinf.inference import ensemble
from bayesinf.inference import laplace as quadratic
from bayesinf.inference.importance import resampled
from bayesinf.inference.tangent import Tangent
from bayesinf.models.curve.definition import NOISE, NonlinearRegression
from bayesinf.models.curve.edges import beyond, box_shift
from bayesinf.models.curve.maximum import mode, walked
from bayesinf.models.problem import Sample
from bayesinf.posterior import dataset
from bayesinf.priors import InverseChi
from bayesinf.settings import Settings

__all__ = ["emcee", "laplace"]

OF_BOXES = dict.fromkeys(("box_shift", "stated_shift"), ("fitted",))
WALKERS = 64  # or four times the number of parameters, if that is more


def laplace(problem: NonlinearRegression, settings: Settings) -> Sample:
    """Draw from the quadratic approximation, and resample the draws by their weights.

    u | noise ~ N(0, noise²) and noise ~ inverse-χ(ν, s), s² = RSS/ν, ν = n − k; where the noise is
    known u ~ N(0, 1). u are the coordinates of θ in the plane that touches the curve at θ̂, where
    θ ≈ θ̂ + R⁻¹u. For a linear f and flat priors this is the posterior, and no weight differs from
    another. Where the data scatter in another way, the normal is that of the curvature at the mode,
    in θ and the logarithms of the scatter, and is weighed but not resampled.
    """
    shape = settings.chains, settings.draws
    found, best = _approximation(problem, settings, shape), problem.optimum
    names = problem.free if problem.is_normal else problem.names
    evidence = {
        "gradient": found.gradient,
        "hessian_eigenvalue": found.hessian_eigenvalue,
        "start_excess": problem.log_ratio(best.ends, best.ends.min()),
        "rounding": _rounding(problem),
    }
    dims = {"start_excess": ("start",), "rounding": ()}
    flat = found.draws.reshape(-1, len(problem.names))
    if not problem.is_normal:
        evidence |= _box_shifts(problem, flat)
        weights = dataset({"log_weight": found.log_weight})
        found_evidence = _by_parameter(problem, evidence, dims, names)
        return Sample(problem.draws(found.draws), found_evidence.merge(weights))
    taken = resampled(flat, found.log_weight.ravel(), settings.generator("resampling"))
    free = len(problem.free)
    evidence |= {
        "pareto_k": taken.pareto_k,
        "effective_draws": taken.effective,
        "weight_shift": taken.shift[:free],
        "weight_log_ratio": taken.log_ratio[:free],
        "beyond": beyond(problem, taken.draws),
        **_box_shifts(problem, taken.draws),
    }
    dims |= dict.fromkeys(("pareto_k", "effective_draws"), ())
    draws = problem.draws(taken.draws.reshape(*shape, -1))
    return Sample(draws, _by_parameter(problem, evidence, dims, names))


def _rounding(problem):
    """Rounding of the curve in units of the noise: of residuals without any, it is all there is."""
    best, error = problem.optimum, problem.error
    noise = best.scale * (1.0 if error is None else np.asarray(error))
    return float(np.max(np.finfo(float).eps * np.abs(problem.curve(best.theta)) / noise))


def _box_shifts(problem, draws):
    """What smaller boxes would change: of those nobody stated, and of the user's."""
    return {
        "box_shift": box_shift(problem, draws),
        "stated_shift": box_shift(problem, draws, stated=True),
    }


def _by_parameter(problem, evidence, dims, names):
    dims = dict.fromkeys(evidence, ("parameter",)) | OF_BOXES | dims
    return dataset(evidence, dims, {"parameter": names, "fitted": problem.free}, sampled=False)


def emcee(problem: NonlinearRegression, settings: Settings) -> Sample:
    """Walk from the quadratic approximation into the posterior itself, a chain a walker.

    Now and then a walker is offered a draw of the approximation instead of a step, which takes it
    through narrow curved valleys at once.
    """
    walkers, free = max(WALKERS, 4 * len(problem.names)), len(problem.free)
    theta, log_density = walked(problem)
    start = _approximation(problem, settings, (1, walkers)).draws[0]
    start[:, free:] = np.log(start[:, free:])
    kept = -(-settings.draws * settings.chains // walkers)
    offer = _Offered(_quadratic(problem), theta) if problem.is_normal else None
    found = ensemble.sample(
        log_density, start, settings.generator("ensemble"), kept, independent=offer
    )
    evidence = dataset(
        {
            "autocorrelation_time": found.autocorrelation_time,
            "steps": found.steps,
            "acceptance_rate": found.acceptance_rate,
            **_box_shifts(problem, theta(found.draws).reshape(-1, len(problem.names))),
        },
        {
            "autocorrelation_time": ("parameter",),
            "acceptance_rate": ("chain",),
            **OF_BOXES,
        },
        {"parameter": problem.names, "fitted": problem.free, "chain": np.arange(walkers)},
        {"autocorrelation_time": "steps", "steps": "steps"},
        sampled=False,
    )
    return Sample(problem.draws(theta(found.draws)), evidence)


@dataclass(frozen=True)
class _Offered:
    """The quadratic approximation in the coordinates of the walk, the logarithm of the noise."""

    quadratic: quadratic.Quadratic
    theta: Callable

    def draw(self, rng, size):
        points, log_q = self.quadratic.draw(rng, size)
        free = len(self.quadratic.optimum)
        points[:, free:] = np.log(points[:, free:])
        return points, log_q + points[:, free:].sum(axis=1)

    def log_density(self, points):
        free = len(self.quadratic.optimum)
        return self.quadratic.log_density(self.theta(points)) + points[:, free:].sum(axis=1)


def _approximation(problem, settings, shape):
    rng = settings.generator("laplace")
    if not problem.is_normal:
        theta, log_density = walked(problem)
        at = mode(problem)
        found = quadratic.sample(
            log_density,
            quadratic.Quadratic(at.point, np.linalg.cholesky(at.covariance)),
            rng,
            shape,
        )
        return replace(found, draws=theta(found.draws))
    around = _quadratic(problem)
    found = quadratic.sample(problem.log_density, around, rng, shape)
    # The optimum is that of the squares; where it lies under a prior is for the weights to say.
    slope, _ = quadratic.derivatives(around.along(problem.log_prior), len(around.optimum))
    with np.errstate(invalid="ignore"):  # beyond the prior's edge neither is a number
        return replace(found, gradient=found.gradient - slope)


def _quadratic(problem):
    """The quadratic approximation where squares count, in the plane that touches the curve."""
    best, scale = problem.optimum, None
    if problem.inferred:
        scale, prior = InverseChi(best.dof, best.scale), problem.prior[NOISE]
        drawn = scale.sample(np.random.default_rng(0), 1000)
        if not np.isfinite(prior.log_density(drawn)).any():
            raise FitError(
                f"the residuals' standard deviation, {best.scale:.3g}, lies outside the prior of "
                f"the noise, {prior}: state a wider prior, or error bars",
                residual_sd=best.scale,
            )
    weight = np.ones(len(problem.y)) / (1.0 if problem.error is None else problem.error)
    plane = Tangent.at(problem.curve, weight, best.theta)
    return quadratic.Quadratic(best.theta, np.linalg.cholesky(best.covariance), scale, plane)
