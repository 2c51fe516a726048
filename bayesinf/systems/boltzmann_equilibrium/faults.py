"""Faults that the checks of a fit should see: states that no pairwise equilibrium makes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import annotated, noted
from bayesinf.settings import Settings
from bayesinf.systems.boltzmann_equilibrium.classical import maximum_likelihood_fit
from bayesinf.systems.boltzmann_equilibrium.data import draw_states, simulate
from bayesinf.systems.boltzmann_equilibrium.model import fit

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["faults"]

SITES, SAMPLES = 5, 1500
SETTINGS = Settings(draws=800, tune=200, chains=4, prior_draws=10, workers=1)


def faults() -> dict[str, Callable[[np.random.Generator], xr.DataTree]]:
    """Fault to a function from a generator to a fit of data that have it; ``none`` has none."""
    return {
        "none": _plain,
        "states that follow each other, τ = 2": partial(_following, stay=1 / 3),
        "states that follow each other, τ = 5": partial(_following, stay=2 / 3),
        "states that follow each other, τ = 50": partial(_following, stay=49 / 51),
        "drift": _drift,
        "a hidden site": _hidden,
        "two populations mixed": _mixed,
        "a site never on, by maximum likelihood": _silent,
        "two sites that are one, by maximum likelihood": _identical,
        "a truth in the other encoding": _other_encoding,
    }


def _settings(rng):
    return SETTINGS.replace(seed=int(rng.integers(2**31)))


def _fit(data, rng, states=None):
    """The fit of a population whose states were replaced, with the truth of before."""
    if states is not None:
        data = data.assign(states=data["states"].copy(data=states.astype(np.int8)))
    return fit(data, settings=_settings(rng))


def _plain(rng):
    return _fit(simulate(SITES, SAMPLES, rng=rng), rng)


def _following(rng, stay):
    """Each state is repeated with a chance: τ = (1 + stay) / (1 − stay) for every statistic."""
    data = simulate(SITES, SAMPLES, rng=rng)
    kept = rng.random(SAMPLES) < stay
    kept[0] = False
    last = np.maximum.accumulate(np.where(kept, 0, np.arange(SAMPLES)))
    return _fit(data, rng, data["states"].values[last])


def _drift(rng):
    """Fields rise by 0.4 from the first state to the last."""
    data = simulate(SITES, SAMPLES, rng=rng)
    truth = noted(data, "truth")
    parts = [
        draw_states(truth["h"].values + rise, truth["J"].values, "±1", SAMPLES // 10, rng)
        for rise in np.linspace(-0.2, 0.2, 10)
    ]
    return _fit(data, rng, np.concatenate(parts))


def _hidden(rng):
    """All sites are coupled to one that is not recorded, on two times in three."""
    hidden = np.where(rng.random(SAMPLES) < 2 / 3, 1, -1)
    chance = 1 / (1 + np.exp(-2 * (0.9 * hidden[:, np.newaxis] - 0.3)))
    states = np.where(rng.random((SAMPLES, SITES)) < chance, 1, -1)
    return _fit(simulate(SITES, SAMPLES, rng=rng)[["states"]], rng, states)


def _mixed(rng):
    """States of two populations, shuffled."""
    one, other = (
        simulate(SITES, SAMPLES // 2, width=1.0, rng=rng)["states"].values for _ in range(2)
    )
    states = rng.permutation(np.concatenate([one, other]))
    return _fit(simulate(SITES, SAMPLES, rng=rng)[["states"]], rng, states)


def _silent(rng):
    data = simulate(SITES, SAMPLES, rng=rng)[["states"]]
    data["states"][:, 2] = -1
    return maximum_likelihood_fit(data, settings=_settings(rng))


def _identical(rng):
    data = simulate(SITES, SAMPLES, rng=rng)[["states"]]
    data["states"][:, 2] = data["states"][:, 0]
    return maximum_likelihood_fit(data, settings=_settings(rng))


def _other_encoding(rng):
    """Fields and couplings of 0/1 that are taken for those of ±1."""
    data = simulate(SITES, SAMPLES, encoding="0/1", width=1.0, rng=rng)
    states = 2 * data["states"].values - 1
    attrs = {"encoding": "±1", "encoding_read": "±1", "units": "1"}
    bare = data[["states"]].assign(states=(("sample", "site"), states.astype(np.int8), attrs))
    return _fit(annotated(bare, truth=noted(data, "truth")), rng)
