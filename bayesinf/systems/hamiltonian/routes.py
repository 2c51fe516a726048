"""From motions to draws: the linear problem in closed form, and weights that correct it.

Given the hyperparameters, data that are linear in the rest have a closed form, so population Monte
Carlo draws the few hyperparameters and the rest follows exactly. Where states are followed along
their paths, the data are linear around the optimum only: draws of the linear problem are brought to
the true one by the ratio of the likelihoods, in steps and with Metropolis moves where its weights
would rest on a few (``inference.tempering``). The posterior is that of the model itself; what the
linear form costs is effective draws, and the tail of the weights says whether it will do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.inference import population
from bayesinf.inference.importance import Weights, evidence
from bayesinf.inference.laplace import derivatives
from bayesinf.inference.tempering import tempered
from bayesinf.models.problem import Route, Sample
from bayesinf.posterior import dataset

if TYPE_CHECKING:
    from bayesinf.settings import Settings
    from bayesinf.systems.hamiltonian.linear import Linear
    from bayesinf.systems.hamiltonian.model import Motion

__all__ = ["CLOSED", "FOLLOWED", "Optimum", "chains", "linearised", "optimum"]

ROUNDS = 6  # of finding hyperparameters and, at them, the optimum
NEWTON = 40  # Gauss-Newton steps in each of them
FLAT = 1e-3  # posterior sds that a step moves, below which the optimum is found
OFFERED = 2  # draws of the linear problem for each that is kept
ENOUGH = 0.25  # share of their number that they are worth, below which they are offered anew,
THINNED = 8  # as every so many-th of them says
SLOPE = 1e-3  # step of the differences that lead to the best hyperparameters
STEP = 1e-2  # of the differences for the curvature in the hyperparameters
PART = 250  # proposals that are followed at once


@dataclass(frozen=True)
class Optimum:
    """Where the joint density is highest, at the most probable hyperparameters.

    Parameters
    ----------
    linear : the problem linearised there.
    u : standardised hyperparameters.
    covariance : of those, (hyper, hyper).
    moved : posterior sds by which the last Gauss-Newton step moved.
    """

    linear: Linear
    u: np.ndarray
    covariance: np.ndarray
    moved: float


def chains(problem: Motion, settings: Settings) -> Sample:
    """Draw hyperparameters by population Monte Carlo, and what is linear in closed form."""
    found = optimum(problem)
    hyper, told = _hyper(found, settings, settings.draws)
    flat = hyper.reshape(-1, hyper.shape[-1])
    theta = found.linear.draw(flat, settings.generator("weights"))
    return Sample(problem.posterior(hyper, theta.reshape(*hyper.shape[:-1], -1)), told)


def linearised(problem: Motion, settings: Settings) -> Sample:
    """Draw from the problem that is linear around its optimum, and turn that into the true one."""
    found = optimum(problem)
    moves, offered, told = _offered(found, settings)
    some = moves.log_ratio(offered[::THINNED])
    if not np.isfinite(some).any() or Weights.of(some).effective < ENOUGH * len(some):
        # The hyperparameters have gone elsewhere, to where the data are linear around another
        # optimum: begin again from there.
        again = _settled(problem, found.linear, np.median(moves.pool, axis=0))
        moves, offered, told = _offered(again, settings)
    log_ratio = moves.log_ratio(offered)
    if not np.isfinite(log_ratio).any():
        raise FitError("no motion near the optimum follows the data: state other priors")
    kept = tempered(
        offered,
        log_ratio,
        settings.chains * settings.draws,
        density=moves.log_ratio,
        propose=moves.propose,
        judged=moves.judged,
        rng=settings.generator("tempering"),
    )
    u, _, theta = moves.apart(kept.points)
    shape = settings.chains, settings.draws, -1
    draws = problem.posterior(u.reshape(shape), theta.reshape(shape))
    before, after = moves.judged(offered), moves.judged(kept.points)
    sd = after.std(axis=0)
    shift = (before.mean(axis=0) - after.mean(axis=0)) / sd
    log_ratio = np.log(before.std(axis=0) / sd)
    cost = {"tempering_steps": np.int64(kept.steps), "moves": np.int64(kept.moves)}
    weights = evidence(kept.pareto_k, kept.effective, shift, log_ratio, moves.names, **cost)
    return Sample(draws, told.merge(weights))


@dataclass(frozen=True)
class Moves:
    """Points of the linear problem, in columns hyperparameters, standard normal z, and θ(u, z).

    Parameters
    ----------
    problem : the true one.
    linear : around its optimum.
    pool : draws of the hyperparameters of the linear problem, (draw, hyper).
    """

    problem: Motion
    linear: Linear
    pool: np.ndarray

    @property
    def names(self) -> list[str]:
        """Names of what is judged: single weights are no answer, what they make is the energy."""
        found = [*self.problem.hyper, *self.problem.labels[self.problem.energy.size :]]
        return found + [f"energy[{site}]" for site in self.problem.parameters.coords["site"]]

    def placed(self, u: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Points of hyperparameters and z."""
        return np.hstack([u, z, self.linear.placed(u, z)])

    def apart(self, points: np.ndarray) -> list[np.ndarray]:
        """Hyperparameters, z and θ."""
        first = self.pool.shape[1]
        return np.split(points, [first, first + self.problem.size], axis=1)

    def judged(self, points: np.ndarray) -> np.ndarray:
        """Hyperparameters, damping, initial states and energies, (point, quantity)."""
        (u, _, theta), size = self.apart(points), self.problem.energy.size
        energy = self.problem.energy_at_sites(theta[:, :size])
        return np.hstack([u, theta[:, size:], energy])

    def log_ratio(self, points: np.ndarray) -> np.ndarray:
        """Log of the true likelihood over the linear one."""
        u, _, theta = self.apart(points)
        return log_likelihood(self.problem, u, theta) - self.linear.log_likelihood(u, theta)

    def propose(
        self, points: np.ndarray, width: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Move z, and half of the hyperparameters: reversible for the linear problem."""
        u, z, _ = self.apart(points)
        z = np.sqrt(1 - width**2) * z + width * rng.standard_normal(z.shape)
        anew = rng.random(len(u)) < 0.5
        u = np.where(anew[:, None], self.pool[rng.integers(len(self.pool), size=len(u))], u)
        return self.placed(u, z)


def _offered(found, settings):
    """Draws of the linear problem around an optimum, how they are moved, and evidence."""
    hyper, told = _hyper(found, settings, OFFERED * settings.draws)
    u = hyper.reshape(-1, hyper.shape[-1])
    z = settings.generator("weights").standard_normal((len(u), len(found.linear.theta)))
    moves = Moves(found.linear.problem, found.linear, u)
    return moves, moves.placed(u, z), told


def _hyper(found, settings, count):
    """Draws of the hyperparameters of the linear problem, (chain, draw, hyper), and evidence."""
    rngs = [settings.generator("proposal")]
    rngs += [settings.generator("chain", chain) for chain in range(settings.chains)]
    drawn = population.sample(found.linear.log_density, [found.u], [found.covariance], rngs, count)
    told = {"acceptance_rate": drawn.acceptance_rate, "efficiency": drawn.efficiency}
    told |= {"last_step": found.moved}
    labels = {"chain": np.arange(settings.chains)}
    return drawn.draws, dataset(told, {"acceptance_rate": ("chain",)}, labels, sampled=False)


def log_likelihood(problem: Motion, u: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Total log likelihood at standardised hyperparameters and parameters, (point,)."""
    found = np.zeros(len(u))
    hyper = problem.values(u)
    with np.errstate(all="ignore"):  # far out a motion may run away, which has no likelihood
        for first in range(0, len(u), PART):
            part = slice(first, first + PART)
            means = problem.predicted(theta[part])
            for name, values in problem.rows.items():
                sigma = hyper[f"noise[{name}]"][part]
                square = np.sum((values - means[name]) ** 2, axis=-1)
                found[part] -= 0.5 * square / sigma**2
                found[part] -= len(values) * (np.log(sigma) + 0.5 * np.log(2 * np.pi))
    return np.where(np.isfinite(found), found, -np.inf)


def optimum(problem: Motion) -> Optimum:
    """Find hyperparameters and parameters in turn, and the curvature in the hyperparameters."""
    theta, u = beginning(problem)
    return _settled(problem, problem.linearised(theta), u)


def _settled(problem, linear, u):
    """The optimum in hyperparameters and in what is linear given them, from a beginning."""
    from scipy.optimize import minimize

    moved = np.inf
    for _ in range(1 if problem.linear else ROUNDS):
        best = minimize(
            _downhill, u, (linear,), jac=True, method="L-BFGS-B", bounds=[(-6, 6)] * len(u)
        )
        shift, u = np.max(np.abs(best.x - u)), best.x
        if problem.linear:
            break
        linear, moved = _climbed(problem, linear, u)
        if moved < FLAT and shift < 0.05:
            break
    moved = 0.0 if problem.linear else moved
    return Optimum(linear, u, _curvature(linear, u), float(moved))


def _downhill(u, linear):
    """Minus the log density of the hyperparameters, and its slope by differences."""
    unit = SLOPE * np.eye(len(u))
    around = u + np.concatenate([0 * unit[:1], unit, -unit])
    here, *beside = -np.nan_to_num(linear.log_density(around), neginf=-1e100)
    up, down = np.split(np.array(beside), 2)
    return here, (up - down) / (2 * SLOPE)


def beginning(problem: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Where the search begins: states as measured, and the weights that their rates ask for."""
    theta, u = np.zeros(problem.size), np.zeros(len(problem.hyper))
    if not problem.treated:
        if not problem.linear:
            theta[: problem.energy.size] = problem.energy.begun(np.random.default_rng(0))
        return theta, u
    plain = problem.ignoring()
    first = optimum(plain)
    weights = first.linear.optimum(first.u) if plain.linear else first.linear.theta
    states = np.stack([problem.record.values[name][:, 0] for name in ("q", "p")], axis=-1)
    names, before = list(problem.hyper), dict(zip(plain.hyper, first.u, strict=True))
    u = np.array([before.get(name, 0.0) if "noise" not in name else 1.0 for name in names])
    return np.concatenate([weights, states.ravel()]), u


def _climbed(problem, linear, u):
    """Gauss-Newton steps to the most probable parameters at fixed hyperparameters."""
    hyper = problem.values(u)
    mean, sd = problem.prior_mean, problem.prior_sd(hyper)
    noise = {name: hyper[f"noise[{name}]"] for name in problem.measured}

    def cost(theta):
        with np.errstate(all="ignore"):
            found = problem.predicted(theta)
            square = sum(
                np.sum(((problem.rows[name] - found[name]) / noise[name]) ** 2) for name in noise
            )
            square = square + np.sum(((theta - mean) / sd) ** 2)
        return square if np.isfinite(square) else np.inf

    here = cost(linear.theta)
    for _ in range(NEWTON):
        step = linear.optimum(u) - linear.theta
        moved = float(np.max(np.abs(step) / linear.sd(u)))
        share, there = 1.0, cost(linear.theta + step)
        while there > here + 1e-9 * abs(here) and share > 1e-6:
            share /= 2
            there = cost(linear.theta + share * step)
        if there > here + 1e-9 * abs(here):
            break
        linear, here = problem.linearised(linear.theta + share * step), there
        if moved < FLAT:
            break
    return linear, moved


def _curvature(linear, u):
    """Invert minus the Hessian of the log density, with no eigenvalue below the prior's."""
    _, hessian = derivatives(lambda shift: linear.log_density(u + shift), len(u), STEP)
    values, vectors = np.linalg.eigh(-hessian)
    return (vectors / np.clip(np.abs(values), 1.0, 1 / STEP**2)) @ vectors.T


CLOSED = {"population": Route(chains, "mcmc")}
FOLLOWED = {"linearised": Route(linearised, "linearised")}
