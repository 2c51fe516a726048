"""Faults that the checks of a fit should see: a population whose law is not the model's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import data as reading
from bayesinf.inference import kinds
from bayesinf.models.binary import logistic
from bayesinf.posterior import annotated, noted
from bayesinf.settings import Settings
from bayesinf.systems.boltzmann_kinetic.comparison import foretold
from bayesinf.systems.boltzmann_kinetic.data import simulate
from bayesinf.systems.boltzmann_kinetic.model import SCORED, fit, split, transitions

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["faults"]

SITES, STEPS, REPEATS = 5, 80, 4
SETTINGS = Settings(draws=600, tune=300, chains=4, prior_draws=10, workers=1)


def faults() -> dict[str, Callable[[np.random.Generator], xr.DataTree]]:
    """Fault to a function from a generator to a fit of data that have it; ``none`` has none."""
    return {
        "none": _plain,
        "couplings are not symmetric, the model is": _symmetric_model,
        "memory of two steps": _two_steps,
        "drift": _drift,
        "sites that step together": _together,
        "every other state is missing": _skipped,
        "time runs backwards": _backwards,
    }


def _plain(rng):
    return _fit(_population(rng), rng)


def _symmetric_model(rng):
    return _fit(_population(rng), rng, symmetric=True)


def _population(rng):
    return simulate(SITES, STEPS, REPEATS, rng=rng)


def _fit(population, rng, symmetric=False):
    """The fit of one model, with what is asked of transitions that it has not seen."""
    settings = SETTINGS.replace(seed=int(rng.integers(2**31)))
    steps = transitions(population)
    unseen = split(steps)
    refit = logistic.fit(
        steps.take(~unseen),
        encoding=steps.encoding,
        symmetric=symmetric,
        prior="inferred",
        method="laplace",
        settings=settings.replace(draws=SCORED),
    )
    found = fit(population, symmetric=symmetric, settings=settings)
    return kinds.asked(found, *foretold(refit, steps.take(unseen), settings))


def _changed(population, states):
    """The same truth beside other states (repeat, time, site)."""
    other = reading.raster_from_arrays(states, axes="repeat,time,site", encoding="±1")
    return annotated(other, truth=noted(population, "truth"))


def _driven(rng, log_odds, change=None):
    """States whose log odds are those of the model plus ``log_odds`` (t, states so far)."""
    population = _population(rng)
    truth = noted(population, "truth")
    h, J = truth["h"].values, truth["J"].values
    states = np.ones((REPEATS, STEPS + 1, SITES), np.int8)
    states[:, 0] = rng.choice([-1, 1], states[:, 0].shape)
    for t in range(STEPS):
        odds = 2 * (h + states[:, t] @ J.T) + log_odds(t, states[:, : t + 1])
        draw = rng.random(odds.shape) if change is None else change(odds.shape)
        states[:, t + 1] = np.where(draw * (1 + np.exp(-odds)) < 1, 1, -1)
    return _fit(_changed(population, states), rng)


def _two_steps(rng):
    """Each site is drawn to where it was two steps before."""
    return _driven(rng, lambda t, states: 1.0 * states[:, max(t - 1, 0)])


def _drift(rng):
    """Fields rise over the repeats."""
    rise = np.linspace(-1.5, 1.5, REPEATS)[:, np.newaxis]
    return _driven(rng, lambda t, states: np.broadcast_to(rise, states[:, 0].shape))


def _together(rng):
    """All sites share a part of their noise at each step."""

    def shared(shape):
        own, common = rng.random(shape), rng.random((shape[0], 1))
        return np.where(rng.random(shape) < 0.4, common, own)

    return _driven(rng, lambda t, states: 0.0, shared)


def _skipped(rng):
    population = simulate(SITES, 2 * STEPS, REPEATS, rng=rng)
    return _fit(_changed(population, population["states"].values[:, ::2]), rng)


def _backwards(rng):
    population = _population(rng)
    return _fit(_changed(population, population["states"].values[:, ::-1]), rng)
