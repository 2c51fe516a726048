"""Bayesian optimisation: its densities, rules and places against closed forms and brute force."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

from bayesinf import optimisation
from bayesinf.errors import BayesinfError, DataError, FitError
from bayesinf.inference.ascents import climb
from bayesinf.models.gp.acquisition import log_improvement
from bayesinf.optimisation import asking, feasibility, kernel, minimum, paths, places, rules, store
from bayesinf.optimisation.surrogate import LEVEL, Density, Nodes, Transform, surrogate
from bayesinf.settings import Settings

SHORT = Settings(draws=50, chains=2, prior_draws=20)


def rng(*key):
    return np.random.default_rng(key)


def bowl(x):
    return (x - 0.3) ** 2


def forrester(x):
    return (6 * x - 2) ** 2 * np.sin(12 * x - 4)


def run(campaign, function, count, **options):
    """A campaign after so many evaluations of a function of its inputs."""
    for _ in range(count):
        asked = optimisation.ask(campaign, **options)
        x = [float(asked[one.name][0]) for one in campaign.inputs]
        campaign = campaign.told(x, float(function(*x)))
    return campaign


# --- ascents --------------------------------------------------------------------------------------


def test_ascents_end_at_the_top_within_the_box():
    centre = np.array([0.4, 1.7, -0.6])
    curve = np.array([[3.0, 1.0, 0.2], [1.0, 2.0, 0.1], [0.2, 0.1, 40.0]])

    def hill(x, rows):
        off = x - centre
        return -0.5 * np.einsum("ni,ij,nj->n", off, curve, off), -off @ curve

    _, point = climb(hill, rng(1).uniform(0, 1, (6, 3)))
    np.testing.assert_allclose(point, np.tile(centre, (6, 1)), atol=1e-4)
    # In the box two inputs are at their bounds, and the third is what these leave.
    _, point = climb(hill, rng(2).uniform(0, 1, (6, 3)), 0.0, 1.0)
    first = 0.4 - (1.0 * (1.0 - 1.7) + 0.2 * 0.6) / 3.0
    np.testing.assert_allclose(point, np.tile([first, 1.0, 0.0], (6, 1)), atol=1e-4)
    held, start = np.array([True, False, False]), np.full((1, 3), 0.5)
    assert climb(hill, start, 0.0, 1.0, held=held)[1][0, 0] == 0.5


# --- what is known of a function ------------------------------------------------------------------


def few(count=6, size=2, seed=3):
    draw = rng(seed)
    X = draw.random((count, size))
    y = np.sin(3 * X[:, 0]) + X.sum(axis=1) ** 2
    return X, (y - y.mean()) / y.std()


@pytest.mark.parametrize("kind", [kernel.SMOOTH, kernel.ROUGH])
def test_the_density_is_that_of_the_gp_family(kind):
    """The constant is integrated out here, and a parameter there: its posterior is normal."""
    campaign = optimisation.campaign({"a": (0, 1), "b": (0, 1)}, noise=None)
    X, y = few()
    for x, value in zip(X, y, strict=True):
        campaign = campaign.told(x, value)
    stated = minimum.problem(campaign, ("squared_exponential", "matern52")[kind])
    density = Density(kind, X, y, np.zeros(len(y)), True)
    u = rng(5).standard_normal((4, 4))
    ours = density.log_density(u)
    grid = np.linspace(-8, 8, 401)
    for k, point in enumerate(u):
        theirs = np.array([[*point[:3], point[3], c] for c in grid])
        order = [stated.names.index(n) for n in _names(stated)]
        rows = np.empty_like(theirs)
        rows[:, order] = theirs
        total = np.log(integrate.trapezoid(np.exp(stated.log_density(rows)), grid))
        np.testing.assert_allclose(ours[k], total, atol=1e-6)


def _names(stated):
    return ["length_scale[a]", "length_scale[b]", "amplitude", "noise", "constant"]


@pytest.mark.parametrize("kind", [kernel.SMOOTH, kernel.ROUGH])
def test_gradients_are_differences(kind):
    X, y = few()
    density = Density(kind, X, y, np.full(len(y), 0.01), True)
    bending = Density(kind, X, y, np.full(len(y), 0.01), False, bends=True)
    u, step = rng(6).standard_normal((3, 4)), 1e-6
    for one in (density, bending):
        _, found = kernel.gradients(u, *one.stated)
        for k in range(4):
            e = step * np.eye(4)[k]
            change = (one.log_density(u + e) - one.log_density(u - e)) / (2 * step)
            np.testing.assert_allclose(found[:, k], change, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [kernel.SMOOTH, kernel.ROUGH])
def test_the_density_of_a_power_is_that_of_what_it_makes_times_the_slopes(kind):
    """With none, the power one, it is that of the plain values; and no power is too large."""
    X, y = few()
    bending = Density(kind, X, y, np.zeros(len(y)), False, bends=True)
    u = rng(8).standard_normal((5, 4))
    u[0, 3], made, steep = 0.0, np.empty(len(y)), np.empty(len(y))
    for row, value in zip(u, bending.log_density(u), strict=True):
        power = bending.hyperparameters(row[None])[0, 3]
        _, _, slopes, _ = kernel.bent(y, power, made, steep)
        plain = Density(kind, X, made, np.zeros(len(y)), False).log_density(row[None, :3])[0]
        np.testing.assert_allclose(value, plain + slopes + stats.norm.logpdf(row[3]), atol=1e-9)
        assert (row[3] == 0) == np.allclose(made, y)
    assert np.all(bending.log_density(np.array([[0.0, 0.0, 0.0, 9.0], [0, 0, 0, -9]])) == -np.inf)


def test_values_are_transformed_as_scipy_does_and_back():
    """The slopes are differences; their product makes a density of the values integrate to one."""
    _, y = few()
    powers = np.array([0.0, 0.6, 1.0, 2.0, 2.6])
    transform, made = Transform.of(y, powers)
    back, steep = transform.plain(made)
    np.testing.assert_allclose(back, np.tile(y, (5, 1)), atol=1e-9)
    step = 1e-6
    ends = [transform.plain(made + side * step)[0] for side in (1, -1)]
    np.testing.assert_allclose(steep, (ends[0] - ends[1]) / (2 * step), rtol=1e-6)
    room = np.empty((2, len(y)))
    log_slopes = [kernel.bent(y, power, *room)[2] for power in powers]
    np.testing.assert_allclose(log_slopes, -np.log(steep).sum(axis=1), atol=1e-9)
    np.testing.assert_allclose(transform.log_units, np.log(steep[:, np.argmin(y)]), atol=1e-9)
    for k, power in enumerate(powers):
        theirs = stats.yeojohnson(y, power)
        np.testing.assert_allclose(made[k], stats.zscore(theirs), atol=1e-9)


def test_values_that_were_transformed_are_seen_to_be_and_plain_ones_to_be_plain():
    X = rng(31).random((16, 1))
    wave = stats.zscore(np.sin(9 * X[:, 0]) + X[:, 0])
    one = np.ones(1)
    for power, low, high in ((-1.0, -6.0, 0.2), (1.0, 0.8, 1.2)):
        y, _ = Transform(power * one, 0 * one, one, 0.0).plain(0.4 * wave[None])
        found = surrogate(X, y[0], 0.0, rng(32), bends=True).nodes
        assert low < np.median(found.transform.powers) < high


def nodes(kinds=(0, 1, 0)):
    X, y = few()
    scales = np.array([[0.4, 0.7], [0.5, 0.3], [0.9, 0.8]])[: len(kinds)]
    squares, noises = np.array([1.3, 0.8, 2.0])[: len(kinds)], np.full((len(kinds), len(y)), 0.01)
    return Nodes(X, np.tile(y, (len(kinds), 1)), noises, np.array(kinds), scales, squares)


def test_moments_are_those_of_a_normal_conditioned_on_data():
    found = nodes()
    points = rng(7).random((5, 2))
    mean, variance, *_ = found.moments(points)
    both = np.vstack([found.X, points])
    for s, kind in enumerate(found.kinds):
        square = np.sum(((both[:, None] - both) / found.scales[s]) ** 2, axis=-1)
        K = found.squares[s] * kernel.correlations(kind, square) + LEVEL
        K[: len(found.X), : len(found.X)] += np.diag(found.noises[s])
        A, B, C = K[:6, :6], K[6:, :6], K[6:, 6:]
        np.testing.assert_allclose(mean[s], B @ np.linalg.solve(A, found.y[s]), atol=1e-8)
        left = np.diag(C - B @ np.linalg.solve(A, B.T))
        np.testing.assert_allclose(variance[s], left, atol=1e-8)


def test_the_expected_improvement_is_its_integral():
    """Averaged over nodes, each by quadrature of the improvement of a normal number."""
    found, points = nodes(), rng(8).random((4, 2))
    incumbents = np.array([-0.8, -1.0, 0.3])
    mean, variance, *_ = found.moments(points)
    value, _ = found.improvement(points, incumbents)
    for c in range(len(points)):
        each = []
        for s in range(3):
            sd = np.sqrt(variance[s, c])
            density = stats.norm(mean[s, c], sd).pdf
            low = mean[s, c] - 12 * sd
            gain = lambda f, s=s, p=density: (incumbents[s] - f) * p(f)
            top = incumbents[s]
            each.append(integrate.quad(gain, min(low, top), top, epsabs=1e-14, limit=200)[0])
        np.testing.assert_allclose(np.exp(value[c]), np.mean(each), rtol=1e-6, atol=1e-13)


def test_the_compiled_logarithm_of_an_improvement_is_the_familys():
    for z in [*np.linspace(-40, 20, 1201), *-np.logspace(0, 5, 200)]:
        value, below, at = kernel._log_improvement(z)
        np.testing.assert_allclose(value, log_improvement(z), rtol=1e-10, atol=1e-10)
        # Φ/h is the slope of log h, and φ/h follows from h = φ + z Φ.
        step = 1e-4 * max(1.0, abs(z))
        ends = log_improvement(np.array([z - step, z + step]))
        np.testing.assert_allclose(below, (ends[1] - ends[0]) / (2 * step), rtol=1e-3, atol=1e-9)
        np.testing.assert_allclose(at + z * below, 1.0, atol=1e-6 * z**2 + 1e-9)


def test_improvements_too_small_for_a_number_still_order_places():
    found = nodes((0,))
    points = np.linspace(0.0, 1.0, 7)[:, None] * np.ones(2)
    value, _ = found.improvement(points, np.array([-1e4]))
    assert np.all(np.exp(value) == 0) and np.isfinite(value).all() and np.ptp(value) > 1


def test_gradients_of_every_rule_are_differences():
    X, y = few()
    transform, made = Transform.of(y, np.array([0.4, 1.0, 1.7]))
    found = replace(nodes(), y=made, transform=transform)
    parts = (
        feasibility.classes(X, y < 1.0),
        surrogate(X, y - 0.5, None, rng(9)),
    )
    curve = paths.drawn(nodes((1,)), rng(10))
    scores = [
        rules.Improvement(found, np.array([-0.8, -1.0, 0.3]), parts),
        rules.Bound(found, 2.0, 5.0, parts),
        rules.Curve(curve, 9.0, parts),
        rules.Lowest(rules.Bound(found, 1.0, 5.0), parts),
    ]
    points, step = rng(11).random((5, 2)), 1e-6
    for score in scores:
        _, slopes = score(points, None, True)
        for k in range(2):
            e = step * np.eye(2)[k]
            change = (score(points + e)[0] - score(points - e)[0]) / (2 * step)
            np.testing.assert_allclose(slopes[:, k], change, rtol=1e-4, atol=1e-4)


def test_weighted_nodes_are_the_posterior_on_a_grid():
    X = np.array([[0.05], [0.3], [0.55], [0.7], [0.95]])
    y = np.array([0.9, -0.3, -1.4, 0.1, 0.7])
    density = Density(0, X, y, np.zeros(5), False)
    axis = np.linspace(-5, 5, 161)
    u = np.stack([a.ravel() for a in np.meshgrid(axis, axis, indexing="ij")], axis=1)
    height = density.log_density(u)
    weight = np.exp(height - height.max())
    exact = (weight[:, None] * u).sum(axis=0) / weight.sum()
    evidence = np.log(weight.sum() * (axis[1] - axis[0]) ** 2) + height.max()
    sums = []
    for seed in range(30):
        points, log_weight = density.weighted(rng(12, seed))
        share = np.exp(log_weight - np.logaddexp.reduce(log_weight))
        sums.append([*(share @ points), np.logaddexp.reduce(log_weight)])
    found, error = np.mean(sums, axis=0), np.std(sums, axis=0) / np.sqrt(30)
    np.testing.assert_allclose(found, [*exact, evidence], atol=4 * error.max() + 0.01)


@pytest.mark.parametrize("kind", [kernel.SMOOTH, kernel.ROUGH])
def test_drawn_curves_go_through_the_data_and_have_the_moments(kind):
    found = nodes((kind,))
    exact = replace(found, noises=np.zeros_like(found.noises))
    many = Nodes(
        exact.X,
        np.tile(exact.y, (1500, 1)),
        np.zeros((1500, 6)),
        np.full(1500, kind),
        np.tile(exact.scales, (1500, 1)),
        np.tile(exact.squares, 1500),
    )
    curves = paths.drawn(many, rng(13))
    for k, point in enumerate(exact.X):
        values, _ = curves(np.tile(point, (1500, 1)), np.arange(1500))
        np.testing.assert_allclose(values, exact.y[0, k], atol=1e-4)
    at = np.array([[0.5, 0.1], [0.9, 0.9]])
    mean, variance, *_ = exact.moments(at)
    for k, point in enumerate(at):
        values, _ = curves(np.tile(point, (1500, 1)), np.arange(1500))
        sd = np.sqrt(variance[0, k])
        assert abs(values.mean() - mean[0, k]) < 4 * sd / np.sqrt(1500)
        assert abs(values.std() / sd - 1) < 0.1


@pytest.mark.parametrize(("kind", "scale"), [(0, 0.25), (0, 0.35), (1, 0.25)])
def test_between_exact_values_drawn_curves_part_as_far_as_they_should(kind, scale):
    """The sd there hangs on waves of which the kernel has next to none: 0.05 % of the prior's."""
    X, count = np.array([0.03, 0.2, 0.31, 0.5, 0.64, 0.81, 0.98])[:, None], 3000
    of = np.tile(np.sin(6 * X[:, 0]), (count, 1)), np.zeros((count, 7)), np.full(count, kind)
    many = Nodes(X, *of, np.full((count, 1), scale), np.ones(count))
    curves, at = paths.drawn(many, rng(29)), np.array([[0.1], [0.25], [0.57], [0.9], [1.0]])
    drawn = [curves(at, np.full(len(at), row))[0] for row in range(count)]
    sd = np.sqrt(many.moments(at)[1][0])
    # A standard error is 1.3 %; waves of the kernel's own density alone are off by half and twice.
    np.testing.assert_allclose(np.std(drawn, axis=0) / sd, 1, atol=0.06)


# --- asking ---------------------------------------------------------------------------------------


def test_the_waves_of_both_kernels_have_their_correlation():
    """Over all frequencies the mean of w cos ω·d is ρ(d)."""
    gaps = np.array([[0.1, 0.0], [0.3, 0.2], [0.0, 2.0]])
    for kind in (kernel.SMOOTH, kernel.ROUGH):
        frequencies, weight = paths.waves(np.full(8, kind), 2, rng(23))
        found = np.mean(weight[..., None] * np.cos(frequencies @ gaps.T), axis=(0, 1))
        exact = kernel.correlations(kind, np.sum(gaps**2, axis=1)[None])[0]
        np.testing.assert_allclose(found, exact, atol=0.005)
        assert weight.mean() == pytest.approx(1, abs=0.005)


@pytest.mark.parametrize("rule", optimisation.RULES)
def test_the_best_place_is_that_of_brute_force(rule):
    campaign = run(optimisation.campaign({"x": (-2.0, 2.0)}, noise=0.0), np.cos, 4)
    knowledge = asking.known(campaign, rng(14))
    score = asking._score(knowledge, campaign, rule, 2.0, np.empty((0, 1)), rng(15))
    scan = asking._scan(campaign, knowledge, rng(16))
    height, place = next(places.ascents(score, scan, campaign, asking.STARTS))
    grid = np.linspace(0, 1, 20_001)[:, None]
    values, _ = score(grid, None, False)
    assert height >= values.max() - 1e-9
    assert abs(place[0] - grid[np.argmax(values), 0]) < 1e-3


def test_every_other_place_is_where_the_mean_is_lowest_if_that_promises_something():
    def wells(x):
        return -np.exp(-(((x - 0.25) / 0.1) ** 2)) - 1.3 * np.exp(-(((x - 0.75) / 0.1) ** 2))

    campaign = optimisation.campaign({"x": (0.0, 1.0)}, noise=0.0)
    for x in (0.0, 0.1, 0.2, 0.24, 0.27, 0.4, 1.0):
        campaign = campaign.told([x], wells(x))
    scan = np.linspace(0, 1, 101)[:, None]
    knowledge = asking.known(campaign, rng(33), bends=True)
    lowest = asking._deepest(campaign, knowledge, scan)[0]
    score = asking._score(knowledge, campaign, optimisation.RULES[0], 2.0, None, rng(34))
    largest = scan[np.argmax(score(scan)[0]), 0]
    assert abs(lowest - largest) > 0.2
    assert float(optimisation.ask(campaign)["x"][0]) == pytest.approx(lowest, abs=0.02)
    noisy = replace(campaign, noise=1e-3)
    assert float(optimisation.ask(noisy)["x"][0]) > 0.6
    even = campaign.told([0.9], wells(0.9))
    assert float(optimisation.ask(even)["x"][0]) > 0.6
    # Measured there: next to nothing is left to gain but elsewhere.
    for x in (lowest, 0.25):
        campaign = campaign.told([x], wells(x))
    assert float(optimisation.ask(campaign)["x"][0]) > 0.6


def test_forresters_minimum_is_found_to_a_thousandth_in_few_steps():
    short = [
        run(optimisation.campaign({"x": (0, 1)}, noise=0.0, seed=seed), forrester, 14).best.y
        for seed in (1, 2, 3)
    ]
    assert np.max(np.array(short) + 6.020740055767083) < 1e-3


def test_a_campaign_gives_the_same_places_again_and_a_batch_has_them_apart():
    campaign = run(optimisation.campaign({"x": (0, 1)}, noise=0.0), bowl, 4)
    one, two = (optimisation.ask(campaign, 3) for _ in range(2))
    assert one.identical(two)
    x = np.sort(one["x"].values)
    assert np.min(np.diff(x)) > 1e-3
    waiting = campaign.expecting([(float(x[0]),)])
    assert abs(float(optimisation.ask(waiting)["x"][0]) - x[0]) > 1e-3


def test_what_is_pending_counts_as_drawn_and_not_as_guessed():
    found = nodes()
    some = found.imagined(np.array([[0.2, 0.2]]), rng(17), np.zeros(3))
    assert some.y.shape == (3, 7) and np.ptp(some.y[:, -1]) > 0
    assert np.all(some.moments(np.array([[0.2, 0.2]]))[1] < 1e-5)


def test_integers_stay_whole_and_are_never_asked_twice():
    bounds = {"n": (1, 6), "m": (0, 1)}
    campaign = optimisation.campaign(bounds, integers=["n", "m"], noise=0.0)
    campaign = run(campaign, lambda n, m: (n - 4) ** 2 + m, 12)
    told = [one.x for one in campaign.evaluations]
    assert len(set(told)) == 12 and np.all(np.array(told) % 1 == 0)
    assert campaign.best.x == (4.0, 0.0)
    with pytest.raises(FitError, match="all 12 places"):
        optimisation.ask(campaign)


def test_an_ascent_moves_integers_by_whole_steps_alone():
    campaign = optimisation.campaign({"n": (0, 10), "x": (0.0, 1.0)}, integers=["n"])
    top = np.array([0.734, 0.21])

    def hill(points, rows, slopes):
        return -np.sum((points - top) ** 2, axis=1), -2 * (points - top)

    start = campaign.snapped(rng(24).random((4, 2)))
    _, ends = places.climbed(hill, start, campaign)
    np.testing.assert_allclose(ends, np.tile([0.7, 0.21], (4, 1)), atol=1e-6)


def test_mixed_inputs_find_the_best_of_both_and_keep_to_their_bounds():
    bounds = {"n": (1, 9), "x": (1e-3, 10.0)}
    campaign = optimisation.campaign(bounds, integers=["n"], logs=["x"], noise=0.0)
    campaign = run(campaign, lambda n, x: (n - 7) ** 2 + (np.log10(x) + 1) ** 2, 18)
    n, x = campaign.best.x
    assert n == 7 and abs(np.log10(x) + 1) < 0.05
    assert all(1e-3 <= one.x[1] <= 10 for one in campaign.evaluations)


def test_failures_are_learnt_and_kept_away_from():
    campaign = optimisation.campaign({"x": (0.0, 1.0)}, noise=0.0, starts=5)
    for _ in range(12):
        x = float(optimisation.ask(campaign)["x"][0])
        campaign = campaign.failed([x]) if x < 0.4 else campaign.told([x], (x - 0.5) ** 2)
    # While there is something to gain: after that it looks where nothing is known.
    assert not any(one.failed for one in campaign.evaluations[5:8])
    assert abs(campaign.best.x[0] - 0.5) < 0.01
    parts = asking.known(campaign, rng(18)).parts
    chance = np.exp(feasibility.log_feasible(parts, np.array([[0.1], [0.9]]))[0])
    assert chance[0] < 0.3 and chance[1] > 0.8


def test_while_all_fails_another_place_is_tried_each_time():
    campaign = optimisation.campaign({"x": (0.0, 1.0)}, noise=0.0)
    for _ in range(5):
        campaign = campaign.failed([float(optimisation.ask(campaign)["x"][0])])
    x = np.sort([one.x[0] for one in campaign.evaluations])
    assert np.min(np.diff(x)) > 0.05


def test_classes_have_the_moments_of_quadrature():
    """One datum: f ~ N(0, v) times Φ(f), of which expectation propagation has the moments."""
    X = np.array([[0.5]])
    found = feasibility.classes(X, np.array([True]))
    mean, variance, *_ = found.moments(X)
    evidence = feasibility._propagated(found.nodes.y, feasibility._covariances(found.nodes))[2]
    np.testing.assert_allclose(evidence, np.log(0.5), atol=1e-6)
    for s in (0, 12, 24):
        sd = np.sqrt(found.nodes.squares[s] + LEVEL)
        f = np.linspace(-10 * sd, 10 * sd, 20_001)
        p = stats.norm.pdf(f, 0, sd) * stats.norm.cdf(f)
        first = np.sum(p * f) / np.sum(p)
        np.testing.assert_allclose(mean[s, 0], first, rtol=1e-5)
        np.testing.assert_allclose(variance[s, 0], np.sum(p * f**2) / np.sum(p) - first**2, 1e-5)


def test_a_constraint_is_met_and_the_minimum_beyond_it_is_not_taken():
    options = {"noise": 0.0, "constraints": ["c"], "starts": 4}
    campaign = optimisation.campaign({"x": (0.0, 1.0)}, **options)
    for _ in range(9):
        x = float(optimisation.ask(campaign)["x"][0])
        campaign = campaign.told([x], bowl(x), [0.45 - x])  # allowed from 0.45 on
    assert 0.45 <= campaign.best.x[0] < 0.46
    found = minimum.posterior(campaign, settings=SHORT)
    place = found["posterior"]["x_at_minimum"].values
    assert np.quantile(place, 0.05) > 0.44 and np.quantile(place, 0.95) < 0.47


def test_under_noise_the_lowest_value_is_not_the_incumbent():
    x = np.linspace(0, 1, 25)
    y = bowl(x) + 0.02 * rng(19).standard_normal(25)
    y[22] -= 1.0  # low by chance, where the function is high
    campaign = optimisation.campaign({"x": (0.0, 1.0)}, noise=None)
    for place, value in zip(x, y, strict=True):
        campaign = campaign.told([place], float(value))
    assert campaign.best.x[0] == x[22]
    knowledge = asking.known(campaign, rng(20))
    level = rules.incumbents(knowledge.values.nodes, True, knowledge.allowed)
    nodes = knowledge.values.nodes
    np.testing.assert_allclose(level, nodes.moments(nodes.X)[0].min(axis=1))
    assert np.all(level > nodes.y.min())


def test_under_noise_the_place_to_use_is_that_of_the_mean():
    draw, campaign = rng(21), optimisation.campaign({"x": (0.0, 1.0)}, noise=None)
    for place in np.linspace(0, 1, 30):
        campaign = campaign.told([place], bowl(place) + 0.05 * draw.standard_normal())
    place = optimisation.recommended(campaign)[0]
    assert abs(place - 0.3) < 0.1 and place not in [one.x[0] for one in campaign.evaluations]


def test_the_word_is_to_stop_when_nothing_is_left_to_gain():
    campaign = optimisation.campaign({"x": (0, 1)}, noise=0.0)
    early = optimisation.ask(run(campaign, forrester, 5))
    late = optimisation.ask(run(campaign, bowl, 9))
    assert early.attrs["stop"] == 0 and early.attrs["word"].startswith("go on")
    assert late.attrs["stop"] == 1 and late.attrs["word"].startswith("stop: one more")
    share = late.attrs["expected_improvement"] / late.attrs["scale"]
    assert share < asking.EXACT < early.attrs["expected_improvement"] / early.attrs["scale"]


def test_a_maximum_is_the_minimum_of_the_negative():
    one = optimisation.campaign({"x": (0, 1)}, noise=0.0)
    other = replace(one, goal="maximise")
    one, other = run(one, bowl, 7), run(other, lambda x: -bowl(x), 7)
    assert [e.x for e in one.evaluations] == [e.x for e in other.evaluations]
    found = minimum.posterior(other, settings=SHORT)["posterior"]
    assert abs(float(found["maximum"].median())) < 1e-3
    assert abs(float(found["x_at_maximum"].median()) - 0.3) < 0.02


# --- the answer -----------------------------------------------------------------------------------


def test_the_minimum_is_that_of_curves_drawn_on_a_grid():
    """Place and depth, against curves drawn jointly by the family at the same hyperparameters."""
    from bayesinf.models import gp

    campaign = optimisation.campaign({"x": (0.0, 1.0)}, noise=0.0)
    for x in (0.02, 0.3, 0.45, 0.6, 0.97):
        campaign = campaign.told([x], np.sin(7 * x))
    settings = Settings(draws=500, chains=2, prior_draws=20)
    found = minimum.posterior(campaign, "squared_exponential", settings=settings)
    grid = np.linspace(0, 1, 201)
    drawn = gp.predict(found, grid, most=1000)["curve"].values.reshape(-1, 201)
    ours = found["posterior"]["minimum"].values.ravel()
    theirs = drawn.min(axis=1)
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-3
    place = found["posterior"]["x_at_minimum"].values.ravel()
    assert stats.ks_2samp(place, grid[np.argmin(drawn, axis=1)]).pvalue > 1e-4
    assert found["sample_stats"]["shortfall"].min() >= 0
    assert np.all(ours <= campaign.best.y + 1e-6)


# --- the file -------------------------------------------------------------------------------------


def plain(**options):
    return optimisation.campaign({"x": (0.0, 1.0), "n": (1, 4)}, integers=["n"], **options)


def test_a_campaign_comes_back_from_its_file_as_it_was(tmp_path):
    path = tmp_path / "c.json"
    store.create(path, plain(constraints=["c"], noise=0.1, goal="maximise", name="gain"))
    store.ask(path, 2)
    store.tell(path, {"x": 0.1234567890123456, "n": 2}, 1 / 3, [-0.5])
    store.fail(path, [0.7, 1])
    found = store.load(path)
    assert found.evaluations[0].x == (0.1234567890123456, 2.0)
    assert found.evaluations[0].y == 1 / 3 and found.evaluations[1].failed
    assert len(found.pending) == 2 and found.goal == "maximise"
    assert store.loads(store.dumps(found)) == found
    assert json.loads(path.read_text())["evaluations"][0] == {
        "x": 0.1234567890123456,
        "n": 2.0,
        "gain": 1 / 3,
        "c": -0.5,
    }
    store.withdraw(path, found.pending[0])
    assert len(store.load(path).pending) == 1


def _tell_some(path, start, count):
    for k in range(start, start + count):
        store.tell(path, [k / 1000, 1], float(k))


def test_two_that_tell_at_once_lose_nothing(tmp_path):
    path = tmp_path / "c.json"
    store.create(path, plain(noise=0.1))
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_tell_some, args=(path, k, 20)) for k in (0, 500)]
    for one in both:
        one.start()
    for one in both:
        one.join()
        assert one.exitcode == 0
    told = sorted(one.y for one in store.load(path).evaluations)
    assert told == [*range(20), *range(500, 520)]


TELLER = """
import sys
from bayesinf.optimisation import store
for k in range(10_000):
    store.tell(sys.argv[1], [k / 10_000, 1], float(k))
    print(k, flush=True)
"""


def test_a_kill_at_any_time_leaves_the_file_whole(tmp_path):
    """Each value that was acknowledged is there, and at most one more."""
    path = tmp_path / "c.json"
    store.create(path, plain(noise=0.1))
    for delay in (0.0, 0.003, 0.011):
        before = len(store.load(path).evaluations)
        teller = subprocess.Popen(
            [sys.executable, "-c", TELLER, str(path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3):
            teller.stdout.readline()
        time.sleep(delay)
        os.kill(teller.pid, signal.SIGKILL)
        said = 3 + len(teller.stdout.read().split())
        teller.stdout.close()
        teller.wait()
        kept = len(store.load(path).evaluations) - before
        assert said <= kept <= said + 1
    assert store.tell(path, [0.5, 2], 1.0).evaluations[-1].y == 1.0


def test_a_kill_between_writing_and_renaming_leaves_the_state_before(tmp_path, monkeypatch):
    path = tmp_path / "c.json"
    store.create(path, plain(noise=0.1))
    before = path.read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store.os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            store.tell(path, [0.5, 2], 1.0)
    assert path.read_bytes() == before and not store.load(path).evaluations
    assert len(store.tell(path, [0.5, 2], 1.0).evaluations) == 1


def test_words_of_a_command_line(tmp_path):
    path = str(tmp_path / "c.json")
    said = store.main(
        "ask", [path, "x=0:1", "rate=1e-6:1:log", "n=1:4:integer"], batch=2, noise=0.0
    )
    *rows, word = said.splitlines()
    assert len(rows) == 2 and all(len(row.split()) == 3 for row in rows)
    assert word.startswith("# go on: 6 of 6 starts")
    assert store.main("tell", [path, *rows[0].split(), "2.5"]).startswith("1 evaluation; 1 pending")
    assert "2 evaluations" in store.main("tell", [path, *rows[1].split(), "failed"])
    assert store.load(path).inputs[1].log
    store.main("ask", [path], rule="lcb")


def test_a_code_for_a_missing_value_is_not_told_as_one(tmp_path):
    path = tmp_path / "c.json"
    store.main("ask", [str(path), "x=0:1"], constraints=("heat",))
    for k, y in enumerate([1.2, 0.7, 1.9, 2.4, 0.9]):
        store.main("tell", [str(path), str(k / 9), str(y), str(-y)])
    before = path.read_bytes()
    for words, name in ((["-999", "-1"], "y"), (["1", "1e30"], "heat")):
        with pytest.raises(DataError, match=f"{name}: a code for a missing value.*say failed"):
            store.main("tell", [str(path), "0.8", *words])
    assert path.read_bytes() == before
    assert store.tell(path, [0.8], -999.0, [-1.0]).best.y == -999.0  # who tells numbers knows them
    store.main("tell", [str(path), "0.85", "12.5", "-1"])


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda c, p: c.told([0.5, 2], 1e200), "below 1e+100"),
        (lambda c, p: optimisation.campaign({"x": (1, 0)}), "low < high"),
        (lambda c, p: optimisation.campaign({"x": (0, np.inf)}), "low < high"),
        (lambda c, p: optimisation.campaign({"x": (0.5, 2)}, integers=["x"]), "whole numbers"),
        (lambda c, p: optimisation.campaign({"x": (0, 2)}, logs=["x"]), "above zero"),
        (lambda c, p: optimisation.campaign({"a b": (0, 2)}), "letters, digits"),
        (lambda c, p: optimisation.campaign({"x": (0, 2)}, goal="up"), "minimise or maximise"),
        (lambda c, p: optimisation.campaign({"x": (0, 2)}, noise=-1.0), "an sd from 0"),
        (lambda c, p: optimisation.campaign({"x": (0, 2)}, integers=["z"]), "no input z"),
        (lambda c, p: c.told([0.5, 2], np.nan), "no finite number"),
        (lambda c, p: c.told([0.5], 1.0), "wrong number of inputs"),
        (lambda c, p: c.told([1.5, 2], 1.0), "outside the bounds"),
        (lambda c, p: c.told([0.5, 2.5], 1.0), "a whole number"),
        (lambda c, p: c.told([np.nan, 2], 1.0), "no number"),
        (lambda c, p: c.told([0.5, 2], 1.0, [3.0]), "wrong number of constraints"),
        (lambda c, p: c.told([0.1, 2], 1.0).told([0.1, 2], 2.0), "two values at one place"),
        (lambda c, p: c.withdrawn([0.5, 2]), "nobody waits"),
        (lambda c, p: optimisation.ask(c, 0), "an integer from 1"),
        (lambda c, p: optimisation.ask(c, rule="best"), "unknown rule"),
        (lambda c, p: minimum.posterior(c), "too few values"),
        (lambda c, p: store.load(p / "none.json"), "no such file"),
        (lambda c, p: store.load(_file(p, "{")), "no JSON"),
        (lambda c, p: store.load(_file(p, "[1]")), "no campaign"),
        (lambda c, p: store.load(_file(p, '{"form": "x"}')), "another form"),
        (
            lambda c, p: store.load(_file(p, store.dumps(c).replace('"low": 0.0', '"low": 7.0'))),
            "low <",
        ),
        (lambda c, p: store.create(_file(p, "{}"), c), "there already"),
        (lambda c, p: store.main("ask", [str(p / "c"), "x"]), "NAME=LOW:HIGH"),
        (lambda c, p: store.main("ask", [str(p / "c"), "x=a:1"]), "a number, found a"),
        (lambda c, p: store.main("tell", [str(_file(p, store.dumps(c))), "1"]), "found 1"),
        (
            lambda c, p: store.main("tell", [str(_file(p, store.dumps(c))), "0", "1", "z"]),
            "found z",
        ),
    ],
)
def test_what_will_not_do_is_refused_in_one_line(call, said, tmp_path):
    with pytest.raises(BayesinfError) as caught:
        call(plain(noise=0.0), tmp_path)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def _file(folder, text):
    path = folder / "f.json"
    path.write_text(text)
    return path
