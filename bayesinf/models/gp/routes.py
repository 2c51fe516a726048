"""From a ``Process`` to draws of its hyperparameters, by three routes, with their evidence."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import kept, progress
from bayesinf.errors import FitError
from bayesinf.inference import laplace as quadratic
from bayesinf.inference import population
from bayesinf.models import problem as driver
from bayesinf.models.problem import Route, Sample
from bayesinf.posterior import dataset
from bayesinf.settings import Settings

if TYPE_CHECKING:
    from bayesinf.models.gp.definition import Process

__all__ = [
    "ROUTES",
    "Optima",
    "curvature",
    "descend",
    "laplace",
    "log_evidence",
    "mcmc",
    "optima",
]

FROM_PRIOR = 64  # prior draws for each parameter, among which descents begin
STARTS, SCANS = 6, 10  # descents from the best of those, and from ridges seen from the optimum
MODES = 8  # optima that the proposal begins with
RIVAL = 10.0  # log density below the best at which an optimum still counts as one
SAME = 0.01  # log density that may part two descents that ended together
LINE = 61  # points of a line on which ridges are looked for
MANY = 1000  # points of data from which it is said how long the fit will take,
DESCENT = 100  # where a descent costs about so many evaluations,
MINUTES = 300.0  # and how many points would take so many seconds
CLOSE = 1e7 * np.finfo(float).eps  # relative gain at which a descent ends
POLISH = 4  # Newton steps at each of them
STEP = 1e-3  # of the differences that make the Hessian from gradients
FLATTEST = 1.0  # least curvature: that of the standardised prior


@dataclass(frozen=True)
class Optima:
    """Where the posterior density is highest, in standardised parameters.

    Parameters
    ----------
    points : (mode, parameter), the best first; no two of them alike.
    covariances : (mode, parameter, parameter), inverse of the curvature there.
    ends : (start,), log density where each descent from an independent draw of the prior ended,
        the highest first, and where those from ridges through the best did that ended elsewhere.
    """

    points: np.ndarray
    covariances: np.ndarray
    ends: np.ndarray


def _foresee(problem, further=0):
    """Say how long it will be to find the optima and to evaluate the density so often besides."""
    count, size = len(problem.y), len(problem.names)
    if count < MANY:
        return
    problem.log_density(np.zeros((1, size)))  # what is compiled is compiled now
    started = time.perf_counter()
    problem.log_density(np.zeros((1, size)))
    each = time.perf_counter() - started
    evaluations = (FROM_PRIOR + LINE) * size + (STARTS + SCANS) * DESCENT + further
    seconds = each * evaluations
    progress.foresee(
        seconds,
        f"for {evaluations} covariances of {count} points, {each:.2g} s each as measured",
        f"thin the data, {count * (MINUTES / seconds) ** (1 / problem.power):.0f} points take some "
        "minutes",
    )


def optima(problem: Process, rng: np.random.Generator) -> Optima:
    """Find the optima: from prior draws, then along each coordinate through the best of them.

    A wall or a period makes likelihoods with several optima, most often apart in that one
    parameter: what a scan of each coordinate shows as a ridge is where further descents begin.
    """
    size = len(problem.names)
    starts = rng.standard_normal((FROM_PRIOR * size, size))
    height = problem.log_density(starts)
    if not np.isfinite(height.max()):
        raise FitError("no draw of the priors gives the data a density: state other priors")
    begin = [starts[k] for k in np.argsort(-height)[:STARTS]]
    found = [kept.once(partial(descend, problem, point)) for point in begin]
    best = max(found, key=lambda end: end[0])[1]
    ends = [value for value, _ in found]
    for start in _ridges(problem, best):
        value, point = kept.once(partial(descend, problem, start))
        found.append((value, point))
        if np.min(np.abs(value - np.array(ends))) > SAME:
            ends.append(value)
    found.sort(key=lambda end: -end[0])
    ends = -np.sort(-np.array(ends))
    points, covariances = [], []
    for value, point in found:
        if len(points) == MODES or value < ends[0] - RIVAL:
            break
        away = [
            (point - other) @ np.linalg.solve(spread, point - other)
            for other, spread in zip(points, covariances, strict=True)
        ]
        if all(distance > 1 for distance in away):
            points.append(_polished(problem, point, curvature(problem, point)))
            covariances.append(curvature(problem, points[-1]))
    return Optima(np.array(points), np.array(covariances), ends)


def log_evidence(problem: Process, settings: Settings) -> float:
    """Return log p(y) by Laplace's method, the hyperparameters integrated out around each optimum.

        log p(y) ≈ log Σ_k p(y, u_k) |2π C_k|^½

    with C_k the inverse curvature at the optimum u_k, in standardised parameters.

    Parameters
    ----------
    problem : the process.
    settings : its seed; of a process that was fitted with it the optima are known already.
    """
    from scipy.special import logsumexp

    centred = problem.centred
    _foresee(centred)
    found = problem.optima(settings)
    _, volume = np.linalg.slogdet(2 * np.pi * found.covariances)
    return float(logsumexp(centred.log_density(found.points) + 0.5 * volume))


def descend(problem, start, close=CLOSE):
    """Climb from a point to an optimum, until the relative gain is small: log density and place."""
    from scipy.optimize import minimize

    def downhill(u):
        value, gradient = problem.gradient(u)
        # A number, where the covariance has none: L-BFGS turns back from it.
        return (-value, -gradient) if np.isfinite(value) else (1e10, gradient)

    options = {"maxiter": 300, "ftol": close}
    end = minimize(downhill, start, jac=True, method="L-BFGS-B", options=options)
    return -float(end.fun), end.x


def _polished(problem, point, covariance):
    """Take Newton steps from near an optimum, so that where a descent stopped leaves no trace."""
    height, slope = problem.gradient(point)
    for _ in range(POLISH):
        further = point + covariance @ slope
        value, there = problem.gradient(further)
        if not value > height - 1e-9 * (1 + abs(height)):
            break  # a kink, or no maximum
        point, height, slope = further, value, there
    return point


def _ridges(problem, point, reach=3.0, steps=LINE):
    """Local maxima on lines through a point along each coordinate, the highest first."""
    grid = np.linspace(-reach, reach, steps)
    size = len(point)
    lines = np.tile(point, (size, steps, 1))
    lines[np.arange(size), :, np.arange(size)] = grid
    height = problem.log_density(lines)
    inner = height[:, 1:-1]
    axis, place = np.nonzero((inner >= height[:, :-2]) & (inner >= height[:, 2:]))
    order = np.argsort(-inner[axis, place])[:SCANS]
    return lines[axis[order], place[order] + 1]


def curvature(problem, point):
    """Invert minus the Hessian, its eigenvalues kept between those of prior and precision."""
    unit = STEP * np.eye(len(point))
    up, down = (np.array([problem.gradient(point + side * e)[1] for e in unit]) for side in (1, -1))
    hessian = (down - up) / (2 * STEP)
    values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    return (vectors / np.clip(np.abs(values), FLATTEST, 1 / STEP**2)) @ vectors.T


def mcmc(problem: Process, settings: Settings) -> Sample:
    """Draw by population Monte Carlo."""
    centred = problem.centred
    rounds = population.LEAST_ROUNDS * population.POINTS * len(centred.names)
    _foresee(centred, rounds + settings.chains * settings.draws)
    found = problem.optima(settings)
    rngs = [settings.generator("proposal")]
    rngs += [settings.generator("chain", chain) for chain in range(settings.chains)]
    chains = population.sample(
        centred.log_density, found.points, found.covariances, rngs, settings.draws
    )
    evidence = dataset(
        {
            "acceptance_rate": chains.acceptance_rate,
            "efficiency": chains.efficiency,
            "evaluations": chains.evaluations,
        },
        {"acceptance_rate": ("chain",)},
        {"chain": np.arange(settings.chains)},
        sampled=False,
    )
    return _sample(problem, found, chains, evidence)


def laplace(problem: Process, settings: Settings) -> Sample:
    """Draw from the normal around the optimum in u."""
    centred = problem.centred
    _foresee(centred, settings.chains * settings.draws)
    found = problem.optima(settings)
    normal = quadratic.sample(
        centred.log_density,
        quadratic.Quadratic(found.points[0], np.linalg.cholesky(found.covariances[0])),
        settings.generator("laplace"),
        (settings.chains, settings.draws),
    )
    evidence = dataset(
        {
            "gradient": normal.gradient,
            "hessian_eigenvalue": normal.hessian_eigenvalue,
            "start_excess": found.ends[0] - found.ends,
        },
        {
            "gradient": ("parameter",),
            "hessian_eigenvalue": ("parameter",),
            "start_excess": ("start",),
        },
        {"parameter": problem.names},
        sampled=False,
    )
    return _sample(problem, found, normal, evidence)


def _sample(problem, found, drawn, evidence):
    """Draws by name, and beside their evidence the best optimum and the condition number there."""
    theta = problem.theta(found.points[0])
    number = problem.condition(theta)
    labels = problem.parameters
    summit = dataset(
        {f"{name}_optimum": theta[name] for name in problem.inferred}
        | ({} if number is None else {"condition_number": number})
        | {"log_density_optimum": found.ends[0]},
        {f"{name}_optimum": dims for name, dims in labels.dims.items()},
        labels.coords,
        {f"{name}_optimum": labels.units.get(name, "1") for name in problem.inferred},
        sampled=False,
    )
    weights = dataset({"log_weight": drawn.log_weight})
    draws = problem.theta(drawn.draws)
    return Sample({n: draws[n] for n in problem.inferred}, evidence.merge(weights).merge(summit))


ROUTES = {
    "mcmc": Route(mcmc, "mle+mcmc"),
    "laplace": Route(laplace, "laplace"),
    "nuts": Route(driver.nuts, "nuts"),
}
