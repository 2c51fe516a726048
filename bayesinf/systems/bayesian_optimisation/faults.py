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
TERMS = 80  # of a drawn curve; those beyond are below 1e-20 between 0 and 1
PLACES = 4001  # of a scan for the least; a second goes about the best place of the first


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
    curve = _drawn(rng)
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


def _drawn(rng):
    """Draw a curve of the squared exponential of size 1, known everywhere.

        f(x) = e^(−t²/2) Σ_n w_n tⁿ / √n!,   t = (x − ½) / SCALE,   w_n ~ N(0, 1)

    The sum has the kernel's covariance to rounding: two dozen exact values feel the kernel's
    spectrum to its far tail, which curves of thousands of random waves do not have.
    """
    from scipy.special import gammaln, xlogy

    n = np.arange(TERMS)
    weights = rng.standard_normal(TERMS)

    def curve(x):
        t = (np.asarray(x)[..., None] - 0.5) / SCALE
        size = np.exp(-0.5 * t**2 + xlogy(n, np.abs(t)) - 0.5 * gammaln(n + 1))
        return np.where(n % 2 == 1, np.sign(t), 1.0) * size @ weights

    return curve
