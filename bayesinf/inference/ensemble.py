"""emcee: an ensemble of walkers that sees a log density and nothing else.

The whole ensemble is evaluated in one call, so a density that works on arrays costs little more for
64 walkers than for one. The run goes on until it is long against its own autocorrelation time τ;
where it is cut short, it says so in its evidence and leaves the judgement to the checks.

Foreman-Mackey et al., PASP 125, 306 (2013), doi:10.1086/670067.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import numpy as np

from bayesinf import kept, progress

__all__ = ["Ensemble", "sample"]

LENGTH = 50  # of the run after burn-in, in autocorrelation times
BURN_IN = 5  # likewise
MAXIMUM = 50_000  # steps, burn-in included
ENOUGH_TO_TELL = 4_000  # steps, after which a run ends that would not be long enough by the maximum
OFFERED = 0.2  # share of the moves that offer draws of an approximation
AHEAD = 16  # steps for which they are drawn at once
BLOCK = 100  # least steps between two times that the run may be kept


@dataclass(frozen=True)
class Ensemble:
    """What the walkers leave behind.

    Parameters
    ----------
    draws : (walker, draw, parameter), thinned.
    autocorrelation_time : (parameter,), in steps.
    acceptance_rate : (walker,).
    steps : length of the run after burn-in, before thinning.
    """

    draws: np.ndarray
    autocorrelation_time: np.ndarray
    acceptance_rate: np.ndarray
    steps: int


def sample(
    log_density: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    rng: np.random.Generator,
    draws: int,
    *,
    length: float = LENGTH,
    maximum: int = MAXIMUM,
    moves=None,
    independent=None,
) -> Ensemble:
    """Walk until the run is ``length`` autocorrelation times long.

    Parameters
    ----------
    log_density : (walker, parameter) -> (walker,); -inf outside the support.
    start : (walker, parameter), all inside the support; at least twice as many walkers as
        parameters.
    rng : generator that seeds the run.
    draws : kept of each walker, by thinning.
    length : of the run after burn-in, in autocorrelation times of the slowest parameter.
    maximum : steps after which the run ends, long enough or not.
    moves : as in emcee; by default differential evolution, ter Braak, Stat. Comput. 16, 239 (2006),
        doi:10.1007/s11222-006-8769-1.
    independent : an approximation with ``draw(rng, size)`` -> points and log densities and
        ``log_density(points)``, as ``laplace.Quadratic``; a fifth of the moves offer draws of it.
    """
    import emcee

    walkers, size = start.shape
    # On a normal in 9 dimensions τ is 29 steps, against 103 for the stretch move. Not the snooker
    # of emcee 3.1: it does not leave a normal as it is (sd 0.80 in place of 1).
    moves = emcee.moves.DEMove() if moves is None else moves
    if independent is not None:
        offer = _Offer(independent, rng)
        moves = [(moves, 1 - OFFERED), (emcee.moves.MHMove(offer), OFFERED)]
    sampler = emcee.EnsembleSampler(walkers, size, log_density, vectorize=True, moves=moves)
    # A state is the one public way to seed emcee, whose generator is NumPy's legacy one.
    sampler.random_state = np.random.MT19937(int(rng.integers(2**32))).state
    walk = {"state": start, "goal": max(500, draws)}
    began, foreseen = None, False
    changing = (rng, sampler.backend, walk) + (() if independent is None else (offer,))
    # What the steps are made in makes no difference to them.
    for _ in kept.steps(count(), *changing, fixed=(independent,)):
        began = began or (sampler.iteration, time.monotonic())
        goal = min(walk["goal"], maximum)
        block = min(goal - sampler.iteration, max(BLOCK, sampler.iteration // 10))
        walk["state"] = sampler.run_mcmc(walk["state"], block)
        if sampler.iteration < goal:
            continue
        with np.errstate(invalid="ignore"):  # a walker that has never moved has no τ yet
            tau = emcee.autocorr.integrated_time(sampler.get_chain(), tol=0)
        tau = np.where(np.isfinite(tau), np.maximum(tau, 1.0), sampler.iteration)
        burn_in = int(np.ceil(BURN_IN * tau.max()))
        needed = burn_in + max(int(np.ceil(length * tau.max())), draws)
        hopeless = sampler.iteration >= ENOUGH_TO_TELL and needed > maximum
        if sampler.iteration >= min(needed, maximum) or hopeless:
            break
        if not foreseen:
            _foresee(min(needed, maximum), sampler.iteration, *began, length)
            foreseen = True
        # The estimate grows with the run, so it is better to creep up on it than to jump.
        walk["goal"] = min(int(1.05 * needed), 2 * sampler.iteration)
    chain = sampler.get_chain()[min(burn_in, sampler.iteration // 2) :]
    thin = max(len(chain) // draws, 1)
    return Ensemble(
        draws=np.swapaxes(chain[::-1][::thin][:draws][::-1], 0, 1),
        autocorrelation_time=tau,
        acceptance_rate=sampler.acceptance_fraction,
        steps=len(chain),
    )


def _foresee(needed, done, first, started, length):
    """Say how long the run will be, once its first steps show their autocorrelation time."""
    each = (time.monotonic() - started) / (done - first)
    progress.foresee(
        each * (needed - done),
        f"for {needed - done} more steps of {each:.2g} s of emcee, as {done - first} of them took, "
        f"to be {length:g} autocorrelation times long",
        "the curvature alone (method laplace), fewer points, or fewer parameters",
    )


class _Offer:
    """Draws of an approximation for every walker, whatever its place: (place, _) -> new, log ratio.

    The log ratio is that of the approximation's densities, old over new, as Hastings needs it.
    """

    def __init__(self, independent, rng):
        self.independent, self.rng = independent, rng
        self.points = self.log_q = np.empty(0)

    def __call__(self, place, _):
        size = len(place)
        if len(self.points) < size:
            self.points, self.log_q = self.independent.draw(self.rng, AHEAD * size)
        new, log_new = self.points[:size], self.log_q[:size]
        self.points, self.log_q = self.points[size:], self.log_q[size:]
        return new, self.independent.log_density(place) - log_new
