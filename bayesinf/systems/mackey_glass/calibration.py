"""Calibration: a short autoregression, under priors that do not look at the data."""

from __future__ import annotations

from functools import partial

import numpy as np

from bayesinf.calibration import Machine, variant_of
from bayesinf.models import linear
from bayesinf.models import problem as driver
from bayesinf.priors import Beta, LogNormal, Normal
from bayesinf.settings import Settings
from bayesinf.systems.mackey_glass.data import from_values
from bayesinf.systems.mackey_glass.delay import Equation, trajectory
from bayesinf.systems.mackey_glass.features import Lags
from bayesinf.systems.mackey_glass.mechanism import KNOTS, METHOD, PARAMETERS, stated
from bayesinf.systems.mackey_glass.model import Readout

__all__ = ["calibration_problem"]

LAGS, SAMPLES = 5, 150
WIDTH, NOISE = LogNormal(0.15, 0.3), LogNormal(1.0, 0.3)
# Of the equation: instants, how many of them are observed, windows and histories; by variant the
# time between instants, which leaves so many observations in a delay of 2; and its priors.
OBSERVED, WINDOW, HISTORY = (80, 60), 16.0, (0.9, 0.15)
EQUATIONS = {"equation": 0.375, "equation_3": 0.5, "equation_5": 0.3}
OF_EQUATION = {
    "beta": LogNormal(2.0, 0.15),
    "gamma": LogNormal(1.0, 0.15),
    "n": LogNormal(9.0, 0.15),
    "tau": LogNormal(2.0, 0.15),
    "noise": LogNormal(0.03, 0.3),
}
PRIORS = {
    "normal": linear.Gaussian(WIDTH),
    "laplace": linear.Laplace(WIDTH),
    "horseshoe": linear.Horseshoe(WIDTH, 0.3),
    "spike_and_slab": linear.SpikeAndSlab(Beta(2.0, 2.0), WIDTH),
}


def calibration_problem(variant: str | None = None) -> Machine:
    """State the problem: a readout of five lags, under one of its priors, or the equation.

    Of the equation four observations are in a delay, or three or five of them (``equation_3``,
    ``equation_5``); histories are drawn from their prior in each window, and
    solutions integrated in steps four times finer than those of the fit.
    """
    variant = variant_of(variant, (*PRIORS, *EQUATIONS))
    if variant in EQUATIONS:
        length = Settings(draws=50, chains=4, prior_draws=4, workers=1)
        simulated = partial(_simulate_equation, EQUATIONS[variant])
        name = f"mackey_glass ({variant.replace('_', ', ')})"
        return Machine(name, simulated, _fit_equation, length)
    return Machine(
        name=f"mackey_glass ({variant.replace('_', ' ')})",
        simulate=partial(_simulate, variant),
        fit=partial(_fit, variant),
        settings=Settings(draws=100, chains=4, prior_draws=4, workers=1),
    )


def _readout(series, variant):
    stated = Readout(series, Lags(lookback=LAGS), held_out=0.1)
    fixed = {"scales": 1.0, "noise": NOISE, "intercept": Normal(0.0, 1.0)}
    return stated.problem(PRIORS[variant], **fixed)


def _simulate(variant, rng):
    problem = _readout(from_values(rng.standard_normal(SAMPLES)), variant)  # for its prior alone
    truth = {name: value[0] for name, value in problem.sample_prior(rng, 1).items()}
    values = np.zeros(SAMPLES)
    values[:LAGS] = rng.standard_normal(LAGS)
    for k in range(LAGS, SAMPLES):
        mean = truth["intercept"] + truth["weight"] @ values[k - LAGS : k][::-1]
        values[k] = mean + truth["sigma"] * rng.standard_normal()
    return truth, from_values(values)


def _fit(variant, series, settings):
    return driver.fit(_readout(series, variant), settings=settings)


def _equation(series):
    return stated(series, window=WINDOW, priors=OF_EQUATION, history=HISTORY)


def _simulate_equation(step, rng):
    from scipy.interpolate import CubicSpline

    at = np.sort(rng.choice(OBSERVED[0], OBSERVED[1], replace=False))
    t = step * at
    empty = from_values(1.0 + 0.2 * np.sin(t), step, place=at)
    problem = _equation(empty)
    truth = {name: value[0] for name, value in problem.sample_prior(rng, 1).items()}
    equation, cut = Equation(*(float(truth[n]) for n in PARAMETERS[:4])), problem.windows
    x = np.empty(len(t))
    for a, b in zip(cut.edges, cut.edges[1:], strict=False):
        past = HISTORY[0] + cut.history[0] @ rng.standard_normal(KNOTS)
        since, knots = cut.since[a:b], np.linspace(-equation.tau, 0.0, len(past))
        curve = CubicSpline(knots, past)
        late = np.maximum(since - equation.tau, 0.0)
        after = trajectory(equation, late, lambda s, c=curve: c(s), steps=80)
        x[a:b] = np.where(since <= equation.tau, curve(since - equation.tau), after)
    y = x + truth["noise"] * rng.standard_normal(len(t))
    return truth, from_values(y, step, place=at)


def _fit_equation(series, settings):
    return driver.fit(_equation(series), METHOD, settings)
