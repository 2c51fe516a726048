"""Faults that the checks of a fit should see: five oscillators, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import annotated, noted
from bayesinf.settings import Settings
from bayesinf.systems.kuramoto.data import from_arrays, simulate
from bayesinf.systems.kuramoto.stating import fit

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["faults"]

OSCILLATORS, SAMPLES, NOISE = 5, 300, 2e-3
SETTINGS = Settings(draws=250, chains=4, prior_draws=10, workers=1)


def faults() -> dict[str, Callable[[np.random.Generator], xr.DataTree]]:
    """Fault to a function from a generator to a fit of data that have it; ``none`` has none."""
    return {
        "none": _fitted,
        "sines at the first instant (forward difference)": partial(_fitted, along_path=False),
        "noise in the phases that are read off": partial(_fitted, measurement=0.01),
        "an oscillator that is not recorded": partial(_fitted, change=_hidden),
        "a pull that the model lacks (second harmonic)": _harmonic,
        "noise that all have in common": partial(_fitted, change=_shaken),
        "frequencies that drift": partial(_fitted, change=_drifting),
        "two runs of different couplings": _two_networks,
    }


def _fitted(rng, change=None, couplings=None, measurement=0.0, **options):
    """A fit of phases as ``change`` leaves them, with their truth, which it was not told."""
    phases = simulate(
        OSCILLATORS, SAMPLES, couplings=couplings, noise=NOISE, measurement=measurement, rng=rng
    )
    truth = noted(phases, "truth")[["K", "alpha"]]
    phases = _plain(phases) if change is None else change(_plain(phases), rng)
    found = fit(phases, settings=SETTINGS.replace(seed=int(rng.integers(2**31))), **options)
    if change is _hidden:
        return found  # whose couplings are fewer
    return annotated(found, truth=truth)


def _plain(phases):
    """The same without the truth, so that the data alone are judged."""
    return from_arrays(phases["time"].values, phases["phase"].values)


def _hidden(phases, _):
    return phases.isel(oscillator=slice(1, None))


def _shaken(phases, rng):
    """All phases walk together, by as much between two samples as each does by itself."""
    steps = NOISE * rng.standard_normal(SAMPLES)
    return phases.assign(phase=phases["phase"] + np.cumsum(steps)[:, np.newaxis])


def _drifting(phases, _):
    later = phases["time"] / float(phases["time"].max())
    return phases.assign(phase=phases["phase"] + 2.0 * later**2)


def _harmonic(rng):
    """Each is also pulled by sin 2(θ_j − θ_i), a third as strongly."""
    h, omega = 0.05, rng.normal(1.0, 0.14, OSCILLATORS)
    state, phases = rng.uniform(0, 2 * np.pi, OSCILLATORS), np.empty((1, SAMPLES, OSCILLATORS))
    for k in range(SAMPLES):
        phases[0, k] = state
        for _ in range(20):
            apart = state - state[:, np.newaxis]
            pull = 0.1 * np.sin(apart).mean(axis=1) + 0.033 * np.sin(2 * apart).mean(axis=1)
            kicks = NOISE * np.sqrt(h) * rng.standard_normal(OSCILLATORS)
            state = state + (omega + pull) * h + kicks
    phases = from_arrays(np.arange(SAMPLES, dtype=float)[np.newaxis], phases)
    return fit(phases, settings=SETTINGS.replace(seed=int(rng.integers(2**31))))


def _two_networks(rng):
    import xarray as xr

    same = int(rng.integers(2**31))  # frequencies and phases of both
    runs = [
        simulate(
            OSCILLATORS,
            SAMPLES,
            couplings=strength * np.ones((OSCILLATORS,) * 2),
            noise=NOISE,
            rng=np.random.default_rng(same),
        )
        for strength in (0.05, 0.15)
    ]
    joined = xr.concat([_plain(run).assign_coords(run=[k]) for k, run in enumerate(runs)], "run")
    return fit(joined, settings=SETTINGS.replace(seed=int(rng.integers(2**31))))
