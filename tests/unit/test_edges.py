"""What lies beyond the draws, what a default box decides, and where descents begin."""

from dataclasses import replace

import lmfit
import numpy as np
import pytest

from bayesinf.checks import check
from bayesinf.data import curve_from_arrays
from bayesinf.models import curve
from bayesinf.models.curve.edges import beyond, box_shift
from bayesinf.priors import Uniform
from bayesinf.settings import Settings

SHORT = Settings(draws=250, chains=4, prior_draws=20)


def saturating(x, b1, b2):
    return b1 * (1 - np.exp(-b2 * x))


def hill(x, b1, b2):
    return b1 * x**2 / (b2**2 + x**2)


def power(x, b1, b2):
    return b1 * (1 - x**-b2)


def rational(x, b1, b2):
    return b1 * b2 * x / (1 + b2 * x)


# Each tends to a constant as b2 grows (or falls to zero), and was measured where it nearly is one.
OPEN = {
    "saturation": (saturating, (200.0, 0.9), np.array([1.0, 2, 3, 5, 7, 10])),
    "Hill": (hill, (100.0, 0.8), np.array([1.0, 2, 3, 4, 6, 8])),
    "power": (power, (50.0, 2.5), np.array([1.8, 2.5, 3, 4, 6, 9])),
    "rational": (rational, (100.0, 6.0), np.array([1.0, 2, 3, 4, 6, 8])),
}
CLOSED = {
    "saturation": (saturating, (200.0, 0.9), np.linspace(0.1, 6, 30)),
    "Hill": (hill, (100.0, 0.8), np.linspace(0.1, 6, 30)),
    "rational": (rational, (100.0, 0.8), np.linspace(0.1, 10, 30)),
}


def stated(function, truth, x, noise, seed=1, **options):
    y = function(x, *truth) + noise * np.random.default_rng(seed).normal(size=len(x))
    model = lmfit.Model(function)
    params = model.make_params(**{f"b{i + 1}": value for i, value in enumerate(truth)})
    return curve.problem(model, params, curve_from_arrays(x, y), **options)


def failed(problem):
    from bayesinf.models.problem import fit

    return {one.name for one in check(fit(problem, "laplace", SHORT)).checks if not one.passed}


@pytest.mark.parametrize("name", OPEN)
def test_a_likelihood_that_does_not_fall_to_zero_is_not_believed(name):
    function, truth, x = OPEN[name]
    assert failed(stated(function, truth, x, 0.12 * truth[0])) & {"edges", "box"}


@pytest.mark.parametrize("name", CLOSED)
def test_one_that_does_is(name):
    function, truth, x = CLOSED[name]
    assert not failed(stated(function, truth, x, 0.02 * truth[0])) & {"edges", "box", "moments"}


def test_what_is_beyond_vanishes_for_a_straight_line():
    problem = stated(lambda x, b1, b2: b1 + b2 * x, (1.0, 2.0), np.linspace(0, 1, 20), 0.1)
    best = problem.optimum
    draws = best.theta + np.random.default_rng(2).normal(size=(4000, 2)) * best.standard_error
    assert np.all(beyond(problem, draws) < 0.02)


def test_half_a_default_box_says_what_the_box_decides():
    problem = stated(lambda x, b1, b2: b1 + b2 * x, (1.0, 2.0), np.linspace(0, 1, 20), 0.1)
    best, rng = problem.optimum, np.random.default_rng(3)
    near = best.theta + rng.normal(size=(4000, 2)) * best.standard_error
    assert np.all(box_shift(problem, near) == 0)
    spread = near.copy()
    spread[:, 1] = best.theta[1] + rng.uniform(-100, 100, 4000) * best.standard_error[1]
    assert box_shift(problem, spread)[1] > 0.5
    told = stated(
        lambda x, b1, b2: b1 + b2 * x,
        (1.0, 2.0),
        np.linspace(0, 1, 20),
        0.1,
        priors={"b2": Uniform(-100, 100)},
    )
    assert np.all(box_shift(told, spread) == 0)  # a box that somebody stated is what they meant
    edges = best.theta[1] + 100 * best.standard_error[1] * np.array([-1, 1])
    narrow = replace(told, given={"b2": Uniform(*edges)})
    assert np.all(box_shift(narrow, spread) == 0)
    assert box_shift(narrow, spread, stated=True)[1] > 0.5  # and decides as much
    # A box of which one edge is a default's and nobody's knowledge.
    loose = replace(told, given={"b2": Uniform(-2.0, 6.0)}, unstated={"b2": (True, False)})
    assert box_shift(loose, spread)[1] > 0.25
    # An optimum at such an edge is the box's word, however far the other edge is.
    low = float(best.theta[1])
    pressed = replace(told, given={"b2": Uniform(low, 6.0)}, unstated={"b2": (True, True)})
    near[:, 1] = low + np.abs(near[:, 1] - low)
    assert box_shift(pressed, near)[1] > 0.5
    assert np.all(box_shift(replace(pressed, unstated={"b2": (False, True)}), near) == 0)


@pytest.mark.parametrize("by", ["prior", "bound"])
def test_a_stated_edge_that_decides_is_named_and_believed(by):
    """A slope that may not be negative, half a standard error above zero."""
    from bayesinf.models.problem import fit

    x = np.linspace(-1, 1, 40)
    z = np.random.default_rng(2).normal(size=40)
    z -= np.polyval(np.polyfit(x, z, 1), x)  # noise without a slope of its own
    for slope, decides in ((0.5 / np.linalg.norm(x), True), (20.0, False)):
        model = lmfit.Model(lambda x, b1, b2: b1 + b2 * x)
        params = model.make_params(b1=1.0, b2=max(slope, 0.1))
        priors = {"b2": Uniform(0.0, 1e3)} if by == "prior" else {}
        if by == "bound":
            params["b2"].set(min=0.0)
        points = curve_from_arrays(x, 1 + slope * x + z, np.ones(40))
        verdict = check(fit(curve.problem(model, params, points, priors=priors), "emcee", SHORT))
        (one,) = (each for each in verdict.checks if each.name == "stated box")
        assert one.passed is not decides and not one.required
        assert verdict.believed and ("defend these edges" in verdict.words) is decides


def wave(x, amplitude, frequency):
    return amplitude * np.sin(frequency * x)


def test_a_global_search_finds_what_the_start_does_not():
    x = np.linspace(0, 40, 60)
    y = wave(x, 1.0, 2.7) + 0.1 * np.random.default_rng(4).normal(size=60)
    model = lmfit.Model(wave)
    params = model.make_params(amplitude=0.5, frequency=0.4)
    params["frequency"].set(min=0, max=4)
    found = curve.problem(model, params, curve_from_arrays(x, y), search="global").optimum
    assert found.theta[1] == pytest.approx(2.7, abs=0.01)


def test_starts_are_independent_and_agree_about_the_optimum():
    function, truth, x = CLOSED["saturation"]
    best = stated(function, truth, x, 2.0).optimum
    assert len(best.ends) >= 9 and np.sum(best.ends < best.rss * 1.001) >= 2


def test_restarts_beside_the_best_are_no_witnesses_for_it():
    """Counts that oscillate, begun from a wrong frequency: few starts find the right one."""
    x = np.linspace(0, 40, 80)
    rng = np.random.default_rng(5)

    def rate(x, level, amplitude, frequency):
        return level + amplitude * np.sin(frequency * x)

    model = lmfit.Model(rate)
    params = model.make_params(level=20, amplitude=5, frequency=0.4)
    params["frequency"].set(min=0, max=4)
    points = curve_from_arrays(x, rng.poisson(rate(x, 20, 10, 2.7)).astype(float))
    best = curve.problem(model, params, points, likelihood="poisson").optimum
    found = np.sum(best.ends < best.ends.min() + 0.02)
    assert len(best.ends) >= 9 and found < len(best.ends) / 2
