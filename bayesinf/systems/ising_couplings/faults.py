"""Faults that the checks of a fit should see: a ring of eight spins, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.settings import Settings
from bayesinf.systems.ising_couplings.data import simulate, split
from bayesinf.systems.ising_couplings.model import fit

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["faults"]

SITES, SAMPLES, HELD_OUT, NOISE = 8, 150, 100, 0.1
SETTINGS = Settings(draws=1000, tune=200, chains=4, prior_draws=10, workers=1)


def faults() -> dict[str, Callable[[np.random.Generator], xr.DataTree]]:
    """Fault to a function from a generator to a fit of data that have it; ``none`` has none."""
    return {
        "none": _ring,
        "some energies in another unit": _two_units,
        "outliers": _outliers,
        "a field that the model lacks": _field,
        "triples that the model lacks": _triples,
        "noise that follows itself": _slow_noise,
        "a prior that does not select": _smeared,
        "held-out states of another ring": _another_ring,
    }


def _ring(rng, change=None, prior="spike_and_slab"):
    """A fit of the ring, its energies as ``change`` (states, energies, rng) leaves them."""
    spins = simulate(SITES, SAMPLES + HELD_OUT, NOISE, rng=rng)
    if change is not None:
        energies = change(spins["states"].values.astype(float), spins["energies"].values, rng)
        spins["energies"] = spins["energies"].copy(data=energies)
    known, unseen = split(spins, SAMPLES, HELD_OUT, rng=rng)
    return fit(known, prior, held_out=unseen, settings=SETTINGS.replace(seed=_seed(rng)))


def _seed(rng):
    return int(rng.integers(2**31))


def _two_units(rng):
    def change(states, energies, rng):
        return np.where(np.arange(len(energies)) < len(energies) // 4, 2.0, 1.0) * energies

    return _ring(rng, change)


def _outliers(rng):
    def change(states, energies, rng):
        moved = energies.copy()
        moved[rng.choice(len(energies), 5, replace=False)] += 20 * NOISE
        return moved

    return _ring(rng, change)


def _field(rng):
    return _ring(rng, lambda states, energies, rng: energies - 0.3 * states.sum(axis=1))


def _triples(rng):
    def change(states, energies, rng):
        after, later = (np.roll(states, -k, axis=1) for k in (1, 2))
        return energies - 0.3 * np.sum(states * after * later, axis=1)

    return _ring(rng, change)


def _slow_noise(rng):
    """Noise of the same size whose neighbours have correlation 0.6."""

    def change(states, energies, rng):
        slow = np.zeros(len(energies))
        for k, step in enumerate(rng.standard_normal(len(energies))):
            slow[k] = 0.6 * slow[k - 1] + 0.8 * step
        exact = -np.sum(states * np.roll(states, -1, axis=1), axis=1)
        return exact + NOISE * slow

    return _ring(rng, change)


def _smeared(rng):
    """More couplings than states, few of them not zero, under a normal prior."""
    spins = simulate(30, 200, NOISE, rng=rng)
    return fit(spins, "normal", settings=SETTINGS.replace(seed=_seed(rng)))


def _another_ring(rng):
    """What is to be predicted has weaker couplings."""
    known = simulate(SITES, SAMPLES, NOISE, rng=rng)
    unseen = simulate(SITES, HELD_OUT, NOISE, rng=rng)
    weaker = unseen.assign(energies=0.8 * unseen["energies"]).rename(sample="held_out")
    settings = SETTINGS.replace(seed=_seed(rng))
    return fit(known, "spike_and_slab", held_out=weaker, settings=settings)
