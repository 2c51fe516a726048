"""Evaluations with a fault which a fit should not pass unseen, one each.

Each is fitted as somebody would who does not know of the fault.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import optimisation
from bayesinf.optimisation import minimum
from bayesinf.posterior import annotated, dataset
from bayesinf.settings import Settings

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["faults"]

SETTINGS = Settings(draws=500, chains=4, prior_draws=20, workers=1)
POINTS, SCALE, NOISE = 24, 0.15, 0.1
WAVES = 4000  # of a drawn curve, which is so known everywhere: exact values say where it is least
# more sharply than any grid would. A second scan goes about the best place of the first.
PLACES = 4001


def faults() -> dict[str, Callable[[np.random.Generator], xr.DataTree]]:
    """Return each fault as a function from a generator to a fit of data that have it.

    ``none`` is the right model of its own data: a draw of the process. Beside each fit stands the
    truth: where the drawn curve is least and how deep, and the kernel's numbers.
    """
    return {
        "none": _fitted,
        "none, noisy values": partial(_fitted, noise=NOISE),
        "noise where values are said to be exact": partial(_fitted, noise=NOISE, stated=0.0),
        "noise three times what is stated": partial(_fitted, noise=3 * NOISE, stated=NOISE),
        "an outlier": partial(_fitted, noise=NOISE, outlier=12 * NOISE),
    }


def _fitted(rng, noise=0.0, *, stated=None, outlier=0.0):
    """The fit of a drawn curve of size 1, by a campaign that believes what is stated."""
    frequency = rng.standard_normal(WAVES) / SCALE
    even, odd = rng.standard_normal((2, WAVES)) / np.sqrt(WAVES)

    def curve(x):
        phase = np.multiply.outer(x, frequency)
        return np.cos(phase) @ even + np.sin(phase) @ odd

    x = np.sort(rng.uniform(size=POINTS))
    y = curve(x) + noise * rng.standard_normal(POINTS)
    y[rng.integers(POINTS)] += outlier
    known = 0.0 if noise == 0 else stated
    campaign = optimisation.campaign({"x": (0.0, 1.0)}, noise=known)
    for place, value in zip(x, y, strict=True):
        campaign = campaign.told(float(place), float(value))
    settings = SETTINGS.replace(seed=int(rng.integers(2**31)))
    found = minimum.posterior(campaign, settings=settings, system="bayesian_optimisation")
    scan = np.linspace(0.0, 1.0, PLACES)
    near = scan[np.argmin(curve(scan))] + np.linspace(-1, 1, PLACES) / PLACES
    near = np.clip(near, 0.0, 1.0)
    least = near[np.argmin(curve(near))]
    truth = {"minimum": curve(least), minimum.place_name(campaign, "x"): least}
    truth |= {"length_scale": SCALE, "amplitude": 1.0} | ({"noise": noise} if noise else {})
    return annotated(found, truth=dataset(truth, sampled=False))
