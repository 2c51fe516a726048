"""Calibration: curves drawn from the prior, seen at few fixed places; where are they lowest?"""

from __future__ import annotations

from functools import partial

import numpy as np

from bayesinf import calibration, optimisation
from bayesinf.optimisation import minimum
from bayesinf.priors import LogNormal, Normal
from bayesinf.settings import Settings
from bayesinf.systems.bayesian_optimisation.data import campaign_of, data_of

__all__ = ["calibration_problem"]

X = np.array([0.03, 0.2, 0.31, 0.5, 0.64, 0.81, 0.98])
GRID = np.linspace(0.0, 1.0, 401)
PRIORS = {
    "length_scale": LogNormal(0.25, 0.3),
    "amplitude": LogNormal(1.0, 0.3),
    "constant": Normal(0.0, 1.0),
}
NOISE = LogNormal(0.2, 0.3)
# Variant to kernel, and whether values have noise.
FORMS = {
    "exact": ("squared_exponential", False),
    "noisy": ("squared_exponential", True),
    "rough": ("matern52", False),
}
TRACE = 1e-10  # added to the variance of a curve on the grid, so that it has a Cholesky factor


def calibration_problem(variant: str | None = None) -> calibration.Machine:
    """Seven values, exact or noisy, of a smooth or rougher curve: its minimum is ranked as well."""
    variant = calibration.variant_of(variant, FORMS)
    return calibration.Machine(
        name=f"bayesian_optimisation ({variant})",
        simulate=partial(_simulate, variant),
        fit=partial(_fit, variant),
        settings=Settings(draws=50, chains=4, prior_draws=20),
    )


def _given(variant):
    """Priors that do not look at the data."""
    return PRIORS | ({"noise": NOISE} if FORMS[variant][1] else {})


def _campaign(variant, y):
    campaign = optimisation.campaign({"x": (0.0, 1.0)}, noise=None if FORMS[variant][1] else 0.0)
    for x, value in zip(X, y, strict=True):
        campaign = campaign.told(x, float(value))
    return campaign


def _simulate(variant, rng):
    stated = minimum.problem(_campaign(variant, np.sin(6 * X)), FORMS[variant][0], _given(variant))
    draws = stated.sample_prior(rng, 1)
    at = np.append(X, GRID)
    mean, _, among = stated.joint(stated.complete(draws), at, False)
    square = float(draws["amplitude"][0]) ** 2
    root = np.linalg.cholesky(among[0] + TRACE * square * np.eye(len(at)))
    curve = mean[0] + root @ rng.standard_normal(len(at))
    y, curve = curve[: len(X)], curve[len(X) :]
    truth = {name: value[0] for name, value in draws.items()}
    if FORMS[variant][1]:
        y = y + truth["noise"] * rng.standard_normal(len(y))
    place, depth = _lowest(curve)
    truth |= {"minimum": np.float64(depth), "x_at_minimum": np.float64(place)}
    return truth, data_of(_campaign(variant, y))


def _lowest(curve):
    """Place and depth of the lowest point, between the places of the grid by a parabola."""
    k = int(np.argmin(curve))
    if k in (0, len(curve) - 1):
        return GRID[k], curve[k]
    left, middle, right = curve[k - 1 : k + 2]
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend > 0 else 0.0
    return GRID[k] + shift * (GRID[1] - GRID[0]), middle - 0.25 * (left - right) * shift


def _fit(variant, data, settings):
    kernel, given = FORMS[variant][0], _given(variant)
    of = {"given": given, "settings": settings, "system": "bayesian_optimisation"}
    return minimum.posterior(campaign_of(data), kernel, **of)
