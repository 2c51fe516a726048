"""From a density of the user's own to draws: NUTS, Laplace, an ensemble, population Monte Carlo.

The optimum is sought in unconstrained coordinates from several starts, by a quasi-Newton search and
a few Newton steps at its end; the curvature there is the difference of exact gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.inference import ensemble, population
from bayesinf.inference import laplace as quadratic
from bayesinf.inference import nuts as no_u_turn
from bayesinf.models.problem import Sample
from bayesinf.posterior import dataset

if TYPE_CHECKING:
    from bayesinf.models.density.definition import Density
    from bayesinf.settings import Settings

__all__ = ["Mode", "chains", "laplace", "mode", "nuts", "walkers"]

STARTS = 8
WIDER = 3.0  # than the curvature says: the component of a proposal that stays
WALKERS = 64  # or four times the number of coordinates, if that is more
NEWTON_STEPS = 20
FLAT = 1e-4  # slope in log density per posterior sd at which the Newton steps end
DIFFERENCE = 0.01  # step of the difference of gradients, in posterior sd
RIVAL = 3.0  # log density below the best at which another optimum still counts (5 % of it)
ELSEWHERE = 0.1  # least that another optimum is said to be below the best, however high it is
NOTHING = 1e100  # −log density where there is none, for the search


@dataclass(frozen=True)
class Mode:
    """The best optimum that was found.

    Parameters
    ----------
    point : (coordinate,).
    covariance : inverse of the negative Hessian, (coordinate, coordinate); where that is not
        positive definite, of the matrix with its eigenvalues' absolute values.
    excess : log density of each start's end below the best, (start,); at least ``ELSEWHERE`` where
        it is another place, so that modes of equal height are told apart.
    rivals : ends at another place that are nearly as good, (rival, coordinate).
    """

    point: np.ndarray
    covariance: np.ndarray
    excess: np.ndarray
    rivals: np.ndarray


def nuts(problem: Density, settings: Settings) -> Sample:
    """Sample by NUTS; what follows from the parameters is kept."""
    draws, statistics = no_u_turn.sample(problem.pymc(), problem.variables, settings)
    return Sample(draws, dataset(statistics))


def laplace(problem: Density, settings: Settings) -> Sample:
    """Draw independently from the normal around the optimum, in unconstrained coordinates."""
    found, best = _approximation(problem, settings, (settings.chains, settings.draws))
    evidence = dataset(
        {
            "gradient": found.gradient,
            "hessian_eigenvalue": found.hessian_eigenvalue,
            "start_excess": best.excess,
        },
        {
            "gradient": ("parameter",),
            "hessian_eigenvalue": ("parameter",),
            "start_excess": ("start",),
        },
        {"parameter": list(problem.coordinates)},
        sampled=False,
    )
    weights = dataset({"log_weight": found.log_weight})
    return Sample(problem.at(found.draws), evidence.merge(weights))


def walkers(problem: Density, settings: Settings) -> Sample:
    """Walk from the Laplace approximation into the posterior itself, a chain a walker.

    Where there are other optima nearly as good, the walkers start around all of them, so that a run
    that does not pass from one to the other is seen to be too short.
    """
    count = max(WALKERS, 4 * len(problem.coordinates))
    found, best = _approximation(problem, settings, (1, count))
    start = found.draws[0]
    moved = start.copy()
    for k, rival in enumerate(best.rivals, start=1):
        moved[k :: len(best.rivals) + 1] += rival - best.point
    start = np.where(np.isfinite(problem.log_density(moved))[:, np.newaxis], moved, start)
    kept = -(-settings.draws * settings.chains // count)
    with np.errstate(all="ignore"):
        spread = np.linalg.cond(np.corrcoef(start.T)) if start.shape[1] > 1 else np.ptp(start) > 0
    if not 0 < spread < 1e12:
        raise FitError(
            "the walkers have no place to start, as the approximation around the optimum is "
            "degenerate: use method='nuts', or other parameters",
            start=start,
        )
    found = ensemble.sample(problem.log_density, start, settings.generator("ensemble"), kept)
    evidence = dataset(
        {
            "autocorrelation_time": found.autocorrelation_time,
            "steps": found.steps,
            "acceptance_rate": found.acceptance_rate,
        },
        {"autocorrelation_time": ("parameter",), "acceptance_rate": ("chain",)},
        {"parameter": list(problem.coordinates), "chain": np.arange(count)},
        {"autocorrelation_time": "steps", "steps": "steps"},
        sampled=False,
    )
    return Sample(problem.at(found.draws), evidence)


def chains(problem: Density, settings: Settings) -> Sample:
    """Run independence Metropolis chains with a proposal fitted to the density, from all optima."""
    best = mode(problem, settings.generator("starts"))
    centres = [best.point, *best.rivals]
    rngs = [settings.generator("proposal")]
    rngs += [settings.generator("chain", chain) for chain in range(settings.chains)]
    found = population.sample(
        problem.log_density,
        centres,
        [best.covariance] * len(centres),
        rngs,
        settings.draws,
        base=(best.point, WIDER**2 * best.covariance),
    )
    evidence = dataset(
        {
            "acceptance_rate": found.acceptance_rate,
            "efficiency": found.efficiency,
            "evaluations": found.evaluations,
            "start_excess": best.excess,
        },
        {"acceptance_rate": ("chain",), "start_excess": ("start",)},
        {"chain": np.arange(settings.chains)},
        sampled=False,
    )
    return Sample(problem.at(found.draws), evidence)


def _approximation(problem, settings, shape):
    best = mode(problem, settings.generator("starts"))
    rng = settings.generator("laplace")
    return (
        quadratic.sample(
            problem.log_density,
            quadratic.Quadratic(best.point, np.linalg.cholesky(best.covariance)),
            rng,
            shape,
        ),
        best,
    )


def mode(problem: Density, rng: np.random.Generator, starts: int = STARTS) -> Mode:
    """Seek the optimum in unconstrained coordinates from several starts.

    Raises
    ------
    FitError : no start leads to a point of finite density and curvature.
    """
    from scipy.optimize import minimize

    def negative(point):
        with np.errstate(all="ignore"):
            value, gradient = problem.value_and_gradient(point)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return NOTHING, np.zeros_like(point)
        return -value, -gradient

    points = problem.starts(rng, starts)
    method = "BFGS" if points.shape[1] <= 200 else "L-BFGS-B"
    ends, values = [], np.full(len(points), np.inf)
    for k, start in enumerate(points):
        with np.errstate(all="ignore"):
            end = minimize(negative, start, jac=True, method=method, options={"maxiter": 5000})
        ends.append(end.x)
        values[k] = end.fun if end.fun < NOTHING else np.inf
    best = int(np.argmin(values))
    if not np.isfinite(values[best]):
        raise FitError(
            f"none of {starts} starts leads to a point where the density is not zero: look at the "
            "priors and the data for what excludes each other",
            starts=points,
        )
    point, covariance = _climbed(negative, ends[best])
    excess = values - min(negative(point)[0], values[best])
    others = _apart(np.stack(ends), point, covariance)
    elsewhere = others >= 0
    excess = np.where(elsewhere, np.maximum(excess, ELSEWHERE), excess)
    near = others[elsewhere & (excess <= RIVAL)]
    return Mode(point, covariance, excess, np.stack(ends)[np.unique(near)])


def _apart(ends, point, covariance):
    """For each end the first end at the same place, (end,); −1 at the optimum itself.

    Places are the same within one posterior sd. An end that is below its optimum by 0.01 in log
    density is off by a seventh of that.
    """
    root = np.linalg.cholesky(covariance)
    with np.errstate(all="ignore"):
        white = np.linalg.solve(root, (np.vstack([point, ends]) - point).T).T
        distance = np.linalg.norm(white[:, np.newaxis] - white, axis=2)
    np.fill_diagonal(distance, 0.0)
    return np.argmax(distance <= 1, axis=1)[1:] - 1


def _climbed(negative, point):
    """Newton steps to the top, and the covariance there."""
    value, slope = negative(point)
    scale = 1e-4 * np.maximum(1.0, np.abs(point))
    for step in range(NEWTON_STEPS):
        covariance = _covariance(negative, point, scale)
        scale = DIFFERENCE * np.sqrt(np.diag(covariance))
        if step and np.sqrt(slope @ covariance @ slope) < FLAT:
            break
        move, share = -covariance @ slope, 1.0
        while share > 1e-3:
            tried = negative(point + share * move)
            if tried[0] <= value:
                point, (value, slope) = point + share * move, tried
                break
            share /= 2
    return point, covariance


def _covariance(negative, point, scale):
    """Inverse of the Hessian of −log density by central differences of its gradient."""
    columns = [
        (negative(point + step)[1] - negative(point - step)[1]) / (2 * size)
        for step, size in zip(np.diag(scale), scale, strict=True)
    ]
    hessian = np.stack(columns)
    if not np.isfinite(hessian).all():
        raise _unbounded(point)
    # Equal scales before the eigenvalues are looked at, so that rounding spoils none of them.
    size = np.sqrt(np.abs(np.diag(hessian)))
    size[size == 0] = 1.0
    eigenvalues, axes = np.linalg.eigh((hessian + hessian.T) / 2 / np.outer(size, size))
    eigenvalues = np.maximum(np.abs(eigenvalues), 1e-10)
    covariance = (axes / eigenvalues) @ axes.T / np.outer(size, size)
    if not np.isfinite(covariance).all():
        raise _unbounded(point)
    return covariance


def _unbounded(point):
    return FitError(
        "the curvature at the optimum is not finite: the density rises without bound, or has an "
        "edge there; use method='nuts', or other parameters",
        optimum=point,
    )
