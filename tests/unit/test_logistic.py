"""Kinetic spins: sums against plain loops, optima against formulas, routes against quadrature."""

import json
import math
from dataclasses import replace

import density
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from bayesinf import diagnostics
from bayesinf.checks import check, loo
from bayesinf.errors import DataError, FitError
from bayesinf.inference.normal import BlockNormal
from bayesinf.models.binary import ENCODINGS, convert_directed, logistic
from bayesinf.models.binary.couplings import CouplingPrior, named
from bayesinf.models.binary.logistic import (
    definition,
    design,
    joint,
    kernel,
    optimum,
    predictive,
    routes,
    widths,
)
from bayesinf.models.binary.logistic.likelihood import Logistic
from bayesinf.posterior import REQUIRED_GROUPS, load, save
from bayesinf.priors import HalfCauchy, LogNormal, Normal
from bayesinf.priors.weights import Gaussian, Horseshoe, Laplace
from bayesinf.settings import Settings

SHORT = Settings(draws=150, tune=150, chains=4, prior_draws=20)
LONG = Settings(draws=600, tune=200, chains=4, prior_draws=20)
FEW = Settings(draws=4, tune=3, chains=2, prior_draws=2)
FIXED = CouplingPrior(Normal(0.2, 1.0), Normal(-0.1, 0.8))
LIMIT = 5.0  # standard errors

both = pytest.mark.parametrize("encoding", ["±1", "0/1"])


def rng(*key):
    return np.random.default_rng(key)


def random_states(encoding, repeats, times, sites, key=0, on=0.4):
    drawn = rng(key, times, sites).random((repeats, times, sites)) < on
    return np.where(drawn, 1, ENCODINGS[encoding])


def kinetic(h, J, encoding, times, key=0):
    """States (time, site) that follow the law itself, in plain numbers."""
    generator, low = rng(key, times, len(h)), ENCODINGS[encoding]
    state, found = np.ones(len(h), dtype=int), []
    for _ in range(times):
        found.append(state)
        theta = h + J @ state
        on = np.exp(theta) / (np.exp(theta) + np.exp(low * theta))
        state = np.where(generator.random(len(h)) < on, 1, low)
    return np.array(found)


def couplings(sites, key=0, width=0.5):
    generator = rng(key, sites)
    return generator.normal(0, 0.3, sites), generator.normal(0, width, (sites, sites))


def problem_of(encoding, symmetric=False, self_coupling=True, prior=FIXED, sites=3, times=25):
    steps = logistic.transitions(random_states(encoding, 2, times, sites), encoding)
    return Logistic(steps, prior, symmetric=symmetric, self_coupling=self_coupling)


forms = pytest.mark.parametrize(
    ("symmetric", "self_coupling"), [(False, True), (False, False), (True, True), (True, False)]
)

# ── Transitions ──────────────────────────────────────────────────────────────────────────────────


def test_transitions_do_not_cross_the_seams():
    states = np.array([[[0, 1], [1, 1], [1, 0]], [[0, 0], [0, 1], [1, 1]]])
    steps = logistic.transitions(states, "0/1")
    assert steps.now.tolist() == [[0, 1], [1, 1], [0, 0], [0, 1]]
    assert steps.next.tolist() == [[1, 1], [1, 0], [0, 1], [1, 1]]
    assert steps.repeat.tolist() == [0, 0, 1, 1] and len(steps) == 4 and steps.sites == 2
    assert steps.now.dtype == np.int8 and not steps.same
    named_axes = xr.DataArray(states, dims=("repeat", "time", "site"), coords={"site": [5, 9]})
    turned = logistic.transitions(named_axes.transpose("site", "repeat", "time"), "0/1")
    assert (turned.now == steps.now).all() and (turned.next == steps.next).all()
    assert turned.labels.tolist() == [5, 9] and steps.labels.tolist() == [0, 1]
    single = logistic.transitions(states[1], "0/1")
    part = steps.take(steps.repeat == 1)
    assert (single.now == part.now).all() and (single.next == part.next).all()


def test_states_that_are_their_own_next_ones():
    steps = logistic.same_time(random_states("±1", 1, 9, 3)[0], "±1")
    assert steps.same and steps.take([1, 4]).same and len(steps) == 9
    with pytest.raises(DataError, match="self_coupling=False"):
        logistic.fit(steps, encoding="±1", settings=FEW)


@pytest.mark.parametrize(
    ("states", "words"),
    [
        (np.ones(4), "wrong form"),
        (np.ones((1, 5)), "fewer samples"),
        (np.ones((3, 1, 2)), "at least 2 times"),
        (np.array([[0, 1], [1, 2], [1, 1]]), "not of the encoding"),
        (np.array([[0, 1], [1, np.nan], [1, 1]]), "not of the encoding"),
        (np.array([[-1, 1], [1, 1], [1, 1]]), "say encoding='±1'"),
        (xr.DataArray(np.ones((3, 2)), dims=("time", "cell")), "wrong dimensions"),
    ],
)
def test_bad_states_are_refused_in_one_line(states, words):
    with pytest.raises(DataError, match=words) as error:
        logistic.transitions(states, "0/1")
    assert "\n" not in str(error.value)


def test_transitions_of_unequal_length_and_another_encoding():
    now = np.ones((3, 2), dtype=np.int8)
    with pytest.raises(DataError, match="do not fit together"):
        logistic.Transitions(now, now[:2], "0/1", np.zeros(3, int), np.arange(2))
    steps = logistic.transitions(random_states("±1", 1, 9, 2), "±1")
    with pytest.raises(DataError, match="say encoding='±1'"):
        logistic.fit(steps, encoding="0/1", settings=FEW)


# ── Likelihood ───────────────────────────────────────────────────────────────────────────────────


def by_hand(h, J, steps):
    """Log probability of each transition, with the law written out."""
    found, low = [], ENCODINGS[steps.encoding]
    for now, then in zip(steps.now, steps.next, strict=True):
        total = 0.0
        for i in range(len(h)):
            theta = h[i] + sum(J[i, j] * now[j] for j in range(len(h)))
            total += then[i] * theta - math.log(math.exp(theta) + math.exp(low * theta))
        found.append(total)
    return np.array(found)


@both
@forms
def test_likelihood_is_that_of_the_law(encoding, symmetric, self_coupling):
    problem = problem_of(encoding, symmetric, self_coupling)
    theta = rng(1).normal(0, 0.7, (2, *problem.shape))
    h, J = problem.split(theta)[0], problem.matrix(theta)
    if symmetric:
        assert (np.swapaxes(J, -1, -2) == J).all()
    assert self_coupling or not np.diagonal(J, axis1=-2, axis2=-1).any()
    expected = [by_hand(*each, problem.data) for each in zip(h, J, strict=True)]
    np.testing.assert_allclose(logistic.log_likelihood(problem.data, h, J), expected)
    np.testing.assert_allclose(
        logistic.log_likelihood(problem.data, h[0], J[0], [7, 2]), expected[0][[7, 2]]
    )
    np.testing.assert_allclose(
        problem.log_likelihood(theta).sum(axis=-1), np.sum(expected, axis=1), rtol=1e-12
    )
    np.testing.assert_array_equal(problem.join(*problem.split(theta)), theta)


@given(st.integers(0, 10**6), st.booleans())
def test_both_encodings_are_one_distribution(seed, forth):
    source, target = ("±1", "0/1") if forth else ("0/1", "±1")
    h, J = couplings(3, seed)
    steps = logistic.transitions(random_states(source, 1, 12, 3, seed), source)

    def new(states):
        return np.where(states == 1, 1, ENCODINGS[target])

    other = logistic.Transitions(
        new(steps.now), new(steps.next), target, steps.repeat, steps.labels
    )
    np.testing.assert_allclose(
        logistic.log_likelihood(other, *convert_directed(h, J, source, target)),
        logistic.log_likelihood(steps, h, J),
        rtol=1e-10,
    )


@both
@forms
def test_slopes_and_curvature_are_differences(encoding, symmetric, self_coupling):
    problem = problem_of(encoding, symmetric, self_coupling)
    theta, step = rng(2).normal(0, 0.5, problem.shape), 1e-5
    value, slope, H = problem.curvature(theta, 1.0)
    np.testing.assert_allclose(value, problem.gradient(theta)[0])
    np.testing.assert_allclose(slope, problem.gradient(theta)[1], atol=1e-10)
    H = optimum.written(problem, H, 1.0)[None] if symmetric else H
    for block, k in np.ndindex(problem.shape):
        up, down = theta.copy(), theta.copy()
        up[block, k] += step
        down[block, k] -= step
        (value_up, slope_up), (value_down, slope_down) = map(problem.gradient, (up, down))
        np.testing.assert_allclose(
            (value_up - value_down)[block] / (2 * step), slope[block, k], atol=1e-6
        )
        np.testing.assert_allclose(
            (slope_down - slope_up)[block] / (2 * step), H[block, k], atol=1e-6
        )
    if not symmetric:
        value, slope, part = problem.curvature(theta[[2, 0]], 1.0, np.array([2, 0]))
        np.testing.assert_allclose(part, H[[2, 0]])


@both
@forms
def test_sums_over_active_sites_are_those_of_all(encoding, symmetric, self_coupling):
    # More states than are looked at together, some of them equal, and a site that is mostly on.
    states = random_states(encoding, 1, 700, 12, on=0.15)
    states[..., 3] = ENCODINGS[encoding] + 1 - states[..., 3]
    steps = logistic.transitions(states, encoding)
    kind = {"symmetric": symmetric, "self_coupling": self_coupling}
    dense, sparse = (Logistic(steps, **kind, sparse=choice) for choice in (False, True))
    assert isinstance(sparse.design, design.Sparse) and isinstance(dense.design, design.Dense)
    theta = rng(3).normal(0, 0.5, dense.shape)
    for one, other in zip(dense.curvature(theta), sparse.curvature(theta), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    exact = dense.likelihood_gradient(theta)[1]
    for each in (dense, sparse):
        np.testing.assert_allclose(each.likelihood_gradient(theta)[1], exact, atol=1e-9)
        np.testing.assert_allclose(each.log_likelihood(theta), dense.log_likelihood(theta))
        np.testing.assert_allclose(each.coarse_gradient(theta), exact, atol=2e-3)
        now = steps.now.astype(float)
        x = each.design.slope * np.column_stack([np.ones(len(now)), now])
        np.testing.assert_allclose(each.design.total, x.sum(axis=0))


def test_few_active_sites_are_summed_over_and_equal_states_counted():
    rare, dense = (
        Logistic(logistic.transitions(random_states("0/1", 1, 50, 20, on=p), "0/1"))
        for p in (0.03, 0.5)
    )
    assert isinstance(rare.design, design.Sparse) and isinstance(dense.design, design.Dense)
    whole = design.design(random_states("±1", 1, 500, 3)[0], "±1")
    states, count = whole.states, whole.count
    assert len(states) == 8 and count.sum() == 500
    assert len({tuple(state) for state in states.tolist()}) == 8


# ── Optimum ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("sparse", [False, True])
def test_states_that_occur_once_and_more_often_are_added_up_in_parts(sparse, monkeypatch):
    monkeypatch.setattr(design, "PART", 4)
    monkeypatch.setattr(design, "ROWS", 2)
    monkeypatch.setattr(design, "ABREAST", 3)
    steps = logistic.transitions(random_states("0/1", 2, 60, 5, on=0.3), "0/1")
    problem = Logistic(steps, sparse=sparse)
    count = problem.design.count
    assert 6 < problem.design.repeated < len(count) - 6 and count.max() > 2
    theta = rng(3).normal(0, 1.0, problem.shape)
    h, J = problem.split(theta)[0], problem.matrix(theta)
    exact = logistic.log_likelihood(steps, h, J).sum()
    assert problem.log_likelihood(theta).sum() == pytest.approx(exact, rel=1e-12)
    assert problem.likelihood_gradient(theta)[0].sum() == pytest.approx(exact, rel=1e-12)
    assert problem.curvature(theta)[0].sum() == pytest.approx(exact, rel=1e-12)
    np.testing.assert_allclose(
        problem.curvature(theta)[1], problem.likelihood_gradient(theta)[1], atol=1e-10
    )


@both
def test_one_site_has_the_logits_of_its_table(encoding):
    states = random_states(encoding, 1, 60, 1, 5)
    steps = logistic.transitions(states, encoding)
    found = logistic.maximum_likelihood(steps)

    def share(now):
        return np.mean(steps.next[steps.now == now] == 1)

    low, slope = ENCODINGS[encoding], 1 - ENCODINGS[encoding]
    on, off = (np.log(p / (1 - p)) / slope for p in (share(1), share(low)))
    assert found.J[0, 0] == pytest.approx((on - off) / (1 - low), rel=1e-9)
    assert found.h[0] == pytest.approx(on - found.J[0, 0], rel=1e-9)
    assert found.gradient <= 1e-8
    assert found.log_likelihood == pytest.approx(by_hand(found.h, found.J, steps).sum())


@both
@forms
@pytest.mark.parametrize("prior", [None, FIXED], ids=["none", "normal"])
def test_the_optimum_is_that_of_a_general_optimiser(encoding, symmetric, self_coupling, prior):
    problem = problem_of(encoding, symmetric, self_coupling, prior, times=80)
    kind = {"symmetric": symmetric, "self_coupling": self_coupling}
    found = logistic.maximum_likelihood(problem.data, prior=prior, **kind)

    def target(flat):
        theta = flat.reshape(problem.shape)
        h, J = problem.split(theta)
        value = logistic.log_likelihood(problem.data, h, problem.matrix(theta)).sum()
        return -(value if prior is None else value + prior.log_density(h, J))

    general = optimize.minimize(
        target, np.zeros(problem.shape).ravel(), method="BFGS", options={"gtol": 1e-4}
    )
    theta = general.x.reshape(problem.shape)
    np.testing.assert_allclose(found.h, problem.split(theta)[0], atol=2e-5)
    np.testing.assert_allclose(found.J, problem.matrix(theta), atol=2e-5)
    assert found.gradient <= 1e-8 and found.steps >= 1
    if not symmetric:
        h = np.linalg.inv(found.precision)[:, 0, 0]
        np.testing.assert_array_equal(found.precision.shape, (*problem.shape, problem.dim))
        assert (h > 0).all()


def test_symmetric_couplings_without_their_matrix(monkeypatch):
    problem = problem_of("±1", True, False, sites=6, times=60)
    with_prior = {"symmetric": True, "self_coupling": False}
    written = logistic.maximum_likelihood(problem.data, **with_prior)
    monkeypatch.setattr(optimum, "WRITTEN", 0)
    conjugate = logistic.maximum_likelihood(problem.data, **with_prior)
    np.testing.assert_allclose(conjugate.J, written.J, atol=1e-8)
    np.testing.assert_allclose(conjugate.h, written.h, atol=1e-8)
    # One Newton step alone, which does not correct itself.
    theta = rng(7).normal(0, 0.3, problem.shape)
    _, slope, H = problem.curvature(theta)
    exact = np.linalg.solve(optimum.written(problem, H, 1.0), slope[0])
    np.testing.assert_allclose(joint.Joint(problem, H, 1.0).solve(slope.T)[:, 0], exact, rtol=1e-5)


def test_gradient_descent_is_plain_and_ends_at_the_optimum():
    problem = problem_of("±1", times=60, prior=None)
    steps = problem.data
    first = logistic.gradient_descent(steps, 0.1, 1)
    y = steps.next.astype(float)  # at zero each site is expected to be zero
    np.testing.assert_allclose(first.h, 0.1 * y.mean(axis=0))
    np.testing.assert_allclose(first.J, 0.1 * y.T @ steps.now / len(steps), atol=1e-12)
    np.testing.assert_allclose(first.log_likelihood[0], -len(steps) * 3 * np.log(2))
    long = logistic.gradient_descent(steps, 0.5, 400)
    assert long.log_likelihood.shape == (401,) and (np.diff(long.log_likelihood) > -1e-9).all()
    best = logistic.maximum_likelihood(steps)
    np.testing.assert_allclose(long.J, best.J, atol=1e-6)
    assert long.log_likelihood[-1] == pytest.approx(best.log_likelihood)


def edge(name):
    """Transitions that have no optimum, and what is said of them."""
    states = random_states("0/1", 1, 120, 4, 3)[0]
    if name == "silent":
        states[1:, 2] = 0
        return states, "site 12 never or always on", [2]
    if name == "twins":
        states[:, 3] = states[:, 1]
        return states, r"\(11, 13\) always equal", []
    if name == "never":
        states[1:, 3] *= 1 - states[:-1, 0]
        return states, "13 after 10 without one of the four", []
    # No two sites show it, but 3 is on where at least two of the others have been.
    if name == "foretold":
        states[1:, 3] = states[:-1, :3].sum(axis=1) >= 2
        return states, "present states of 10, 11, 12 decide the next one of 13 in 119 of 119", [3]
    # Both on or both off decide; one alone leaves it to chance.
    both = states[:-1, :2].sum(axis=1)
    states[1:, 3] = np.where(both == 1, states[1:, 3], both == 2)
    count = np.sum(both != 1)
    return states, f"states of 10, 11 decide the next one of 13 in {count} of 119 .* in none", [3]


@pytest.mark.parametrize("name", ["silent", "twins", "never", "foretold", "nearly"])
def test_what_the_data_leave_open_is_named_and_left_to_the_prior(name):
    states, words, sites = edge(name)
    steps = logistic.transitions(
        xr.DataArray(states, dims=("time", "site"), coords={"site": [10, 11, 12, 13]}), "0/1"
    )
    with pytest.raises(FitError, match=words) as error:
        logistic.maximum_likelihood(steps)
    assert error.value.evidence["sites"].tolist() == sites
    if name != "twins":
        with pytest.raises(FitError):
            logistic.maximum_likelihood(steps, symmetric=True, self_coupling=False) if (
                name == "silent"
            ) else logistic.maximum_likelihood(steps, self_coupling=False)
    assert logistic.maximum_likelihood(steps, prior=FIXED).gradient <= 1e-8


def test_a_symmetric_coupling_is_open_where_both_directions_leave_it_open():
    states = random_states("0/1", 1, 120, 4, 3)[0]
    states[1:, 0] *= 1 - states[:-1, 3]
    form = {"symmetric": True, "self_coupling": False}
    # The other direction shows all four combinations, and so determines the coupling.
    steps = logistic.transitions(states, "0/1")
    assert logistic.maximum_likelihood(steps, **form).gradient <= 1e-8
    states[1:, 3] *= 1 - states[:-1, 0]
    with pytest.raises(FitError, match="site 0 and 3 after each other without") as error:
        logistic.maximum_likelihood(logistic.transitions(states, "0/1"), **form)
    assert error.value.evidence["pairs"].tolist() == [[0, 3]]


def test_an_optimum_needs_a_prior_of_fixed_width():
    steps = problem_of("±1").data
    for prior in (named("inferred", "±1"), CouplingPrior(Normal(), Laplace(1.0))):
        with pytest.raises(FitError, match="fixed width"):
            logistic.maximum_likelihood(steps, prior=prior)


# ── The definition ───────────────────────────────────────────────────────────────────────────────

INFERRED = CouplingPrior(Normal(0.1, 1.5), LogNormal(0.7, 0.6))
PRIORS = {
    "normal": FIXED,
    "inferred": INFERRED,
    "laplace": CouplingPrior(Normal(0.0, 1.5), Laplace(HalfCauchy(0.6))),
    "horseshoe": CouplingPrior(Normal(0.0, 1.5), Horseshoe(HalfCauchy(0.4))),
}


@pytest.mark.parametrize(
    ("name", "encoding", "symmetric", "self_coupling"),
    [
        ("normal", "0/1", False, True),
        ("inferred", "±1", False, False),
        ("laplace", "±1", True, True),
        ("inferred", "0/1", True, False),
    ],
)
def test_the_density_is_the_definitions(name, encoding, symmetric, self_coupling):
    problem = problem_of(encoding, symmetric, self_coupling, PRIORS[name])
    named = logistic.KineticIsing(problem)
    in_a_row = {"values": lambda one: one | {"J": one["J"][problem.pairs]}, "centred": True}
    density.holds(named, **in_a_row)
    density.must_fail(named, **in_a_row)
    theta = rng(4).normal(0, 0.6, (3, *problem.shape))
    scale = np.array([0.4, 1.0, 1.7])
    h, J = problem.split(theta)
    own = problem.log_likelihood(theta).sum(axis=-1) + problem.prior.log_density(h, J, scale)
    np.testing.assert_allclose(density.stored(named, named.draws(theta, scale)), own)
    if not problem.prior.local:
        width = scale if problem.prior.inferred else 1.0
        block = problem.log_likelihood(theta) + problem.log_prior(theta, width)
        np.testing.assert_allclose(problem.gradient(theta, width)[0], block)
        above = problem.prior.log_scale(scale) if problem.prior.inferred else 0.0
        np.testing.assert_allclose(block.sum(axis=-1) + above, own)


# ── Pólya-Gamma ──────────────────────────────────────────────────────────────────────────────────


def pg_moments(z):
    """Mean and variance of PG(1, z)."""
    if z == 0:
        return 1 / 4, 1 / 24
    mean = np.tanh(z / 2) / (2 * z)
    return mean, (np.sinh(z) - z) / (4 * z**3 * np.cosh(z / 2) ** 2)


@pytest.mark.parametrize("z", [0.0, 0.3, -1.5, 3.0, 4.0, 12.0, 60.0])
def test_polya_gamma_has_its_moments_and_transform(z):
    drawn = np.full((20_000, 1), z)
    kernel.polya_gammas(rng(8), np.ones(len(drawn)), drawn)
    drawn = drawn.ravel()
    mean, variance = pg_moments(z)

    def close(x, expected):
        return abs(x.mean() - expected) < LIMIT * x.std() / math.sqrt(x.size)

    assert close(drawn, mean)
    assert close((drawn - mean) ** 2, variance)
    for t in (0.5, 4.0):
        # E exp(−t ω) = cosh(z / 2) / cosh(√((z² / 2 + t) / 2))
        def log_cosh(x):
            return abs(x) + np.log1p(np.exp(-2 * abs(x))) - np.log(2)

        expected = np.exp(log_cosh(z / 2) - log_cosh(math.sqrt((z**2 / 2 + t) / 2)))
        assert close(np.exp(-t * drawn), expected)


def test_polya_gamma_has_the_distribution_of_its_series():
    # ω = Σ_k g_k / ((k − ½)² 2 π²), g_k ~ Exponential, is PG(1, 0).
    drawn = np.zeros((5000, 1))
    kernel.polya_gammas(rng(9), np.ones(5000), drawn)
    k = np.arange(1, 400) - 0.5
    series = rng(10).exponential(size=(5000, k.size)) @ (1 / (2 * math.pi**2 * k**2))
    assert stats.ks_2samp(drawn.ravel(), series).pvalue > 1e-4
    wrong = np.full((5000, 1), 2.5)
    kernel.polya_gammas(rng(11), np.ones(5000), wrong)
    assert stats.ks_2samp(wrong.ravel(), series).pvalue < 1e-4


def test_what_lies_above_the_series_is_refused():
    # One proposal in a thousand is, too few for a sample to show: so here proposals are handed in.
    class Given:
        def __init__(self, uniform, exponential):
            self.random = iter(uniform).__next__
            self.standard_exponential = iter(exponential).__next__

    rate, start = math.pi**2 / 8, kernel.TRUNCATION

    def beyond(e):
        return (start + e / rate) / 4

    # Just beyond the truncation the second term of the series is 0.6 % of the first.
    def draw(level):
        return kernel.polya_gamma.py_func(Given([0, level, 0, 0.5], [0.001, 0.7]), 0.0)

    assert draw(0.99) == pytest.approx(beyond(0.001), rel=1e-12)
    assert draw(0.999) == pytest.approx(beyond(0.7), rel=1e-12)


def test_polya_gamma_of_a_count_is_a_sum():
    drawn = np.full((4000, 1), 1.2)
    kernel.polya_gammas(rng(12), np.full(4000, 7.0), drawn)
    mean, variance = pg_moments(1.2)
    assert abs(drawn.mean() - 7 * mean) < LIMIT * math.sqrt(7 * variance / 4000)
    assert drawn.var() == pytest.approx(7 * variance, rel=0.15)


# ── Routes ───────────────────────────────────────────────────────────────────────────────────────


def estimates(draws):
    """Mean of draws (chain, draw, ...) and its standard error from their ESS, per element."""
    flat = np.moveaxis(draws.reshape(*draws.shape[:2], -1), 2, 0)
    size = np.fmin(diagnostics.tie_weighted_mixing(flat)[1], flat[0].size)
    return flat.mean(axis=(1, 2)), flat.std(axis=(1, 2)) / np.sqrt(size)


def scores(draws, expected):
    """Standard errors that means of θ and of θ² are off; ``expected`` holds both, or draws."""
    found = []
    for power in (1, 2):
        own, error = estimates(draws**power)
        if isinstance(expected, tuple):
            other, other_error = np.ravel(expected[power - 1]), 0.0
        else:
            other, other_error = estimates(expected**power)
        found.append((own - other) / np.hypot(error, other_error))
    return np.abs(found).max()


def run(method, problem, settings):
    """Draws in blocks, as the routes of the family's Problem name them, with their evidence."""
    named = logistic.KineticIsing(problem)
    sample = named.routes[method].run(named, settings)
    h, J = sample.draws["h"], sample.draws["J"]
    theta, evidence = problem.join(h, J[..., *problem.pairs]), sample.evidence
    scale = sample.draws.get("scale", np.ones(theta.shape[:2]))
    assert theta.shape == (settings.chains, settings.draws, *problem.shape)
    assert scale.shape == theta.shape[:2]
    return theta, scale, evidence


def single(encoding, prior):
    steps = logistic.transitions(random_states(encoding, 1, 21, 1, 6), encoding)
    return Logistic(steps, prior)


def by_quadrature(problem):
    """Means and mean squares of h, J and log scale, of one site, from a fine grid."""
    # An odd number of cells keeps zero, where a horseshoe is infinite, off the grid.
    h, J = np.linspace(-6, 6, 241), np.linspace(-9, 9, 1201)
    J = J + 0.5 * (J[1] - J[0])
    H, K = np.meshgrid(h, J, indexing="ij")
    rows = np.stack([H.ravel(), K.ravel()], axis=-1)[:, None]
    prior = problem.prior
    of_J = prior.log_marginal(np.zeros((J.size, 0)), J[:, None])
    log_p = problem.log_likelihood(rows)[:, 0].reshape(H.shape) + of_J + prior.h.log_density(H)
    weight = np.exp(log_p - log_p.max())
    weight /= weight.sum()
    return tuple(np.array([np.sum(weight * H**k), np.sum(weight * K**k)]) for k in (1, 2))


@both
@pytest.mark.parametrize("name", ["normal", "inferred"])
@pytest.mark.parametrize("method", ["mcmc", "gibbs"])
def test_one_site_has_the_posterior_of_quadrature(encoding, name, method):
    problem = single(encoding, PRIORS[name])
    theta, scale, _ = run(method, problem, LONG)
    assert scores(theta, by_quadrature(problem)) < LIMIT
    if name == "inferred":
        # p(log τ | data) by integrating over h and J at each width.
        z, weight = np.polynomial.hermite_e.hermegauss(60)

        def height(log_tau):
            h, J = np.meshgrid(INFERRED.h.mean + INFERRED.h.sd * z, np.exp(log_tau) * z)
            rows = np.stack([h.ravel(), J.ravel()], axis=-1)[:, None]
            like = np.exp(problem.log_likelihood(rows)[:, 0] + 12)
            own = INFERRED.log_scale(np.exp(log_tau)) + log_tau
            return np.exp(own) * np.sum(np.outer(weight, weight).ravel() * like)

        t = np.linspace(-4, 3.5, 300)
        density = np.array([height(each) for each in t])
        density /= density.sum()
        expected = tuple(np.array([density @ t**k]) for k in (1, 2))
        assert scores(np.log(scale)[..., None], expected) < LIMIT


@pytest.mark.parametrize("name", ["laplace", pytest.param("horseshoe", marks=pytest.mark.slow)])
def test_shrinking_priors_have_the_posterior_of_quadrature(name):
    problem = single("±1", PRIORS[name])
    theta, _, _ = run("gibbs", problem, LONG)
    assert scores(theta, by_quadrature(problem)) < LIMIT


def test_a_shrinking_prior_of_stated_width_has_the_posterior_of_quadrature():
    problem = single("0/1", CouplingPrior(Normal(), Laplace(0.5)))
    theta, scale, _ = run("gibbs", problem, LONG)
    assert scores(theta, by_quadrature(problem)) < LIMIT
    assert (scale == 1.0).all()


@pytest.mark.parametrize("name", ["normal", "inferred"])
def test_weighed_draws_of_laplace_have_the_posterior_of_quadrature(name):
    problem = single("±1", PRIORS[name])
    theta, _, evidence = run("laplace", problem, LONG.replace(draws=4000))
    log_weight = evidence["log_weight"].values[..., 0].ravel()
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    for k, expected in zip((1, 2), by_quadrature(problem), strict=True):
        x = theta.reshape(-1, 2) ** k
        mean = weight @ x
        error = np.sqrt(weight**2 @ (x - mean) ** 2)
        assert (np.abs(mean - expected) / error < LIMIT).all()
    assert evidence.sizes["block"] == 1 and (evidence["hessian_eigenvalue"] > 0).all()
    assert np.abs(evidence["gradient"]).max() < 1e-6


@pytest.fixture(scope="module")
def three_sites():
    """Symmetric couplings of three sites, few data, a width to be inferred: wide and skewed."""
    h, J = couplings(3, 2)
    steps = logistic.transitions(kinetic(h, (J + J.T) / 2, "0/1", 60), "0/1")
    prior = CouplingPrior(Normal(0.0, 2.0), LogNormal(1.0, 0.5))
    problem = Logistic(steps, prior, symmetric=True, self_coupling=False)
    return problem, run("mcmc", problem, LONG)


@pytest.mark.parametrize("method", ["gibbs", pytest.param("nuts", marks=pytest.mark.slow)])
def test_samplers_agree(three_sites, method):
    problem, (theta, scale, _) = three_sites
    other, other_scale, _ = run(method, problem, LONG)
    assert scores(theta, other) < LIMIT
    assert scores(np.log(scale)[..., None], np.log(other_scale)[..., None]) < LIMIT


def test_a_wrong_target_is_told_apart(three_sites):
    # The same comparison fails where the chain follows a slightly different posterior.
    problem, (theta, scale, _) = three_sites
    wrong = Logistic(
        problem.data.take(np.arange(52)), problem.prior, symmetric=True, self_coupling=False
    )
    assert scores(theta, run("mcmc", wrong, LONG)[0]) > LIMIT
    half = CouplingPrior(problem.prior.h, LogNormal(0.6, 0.5))
    narrower = Logistic(problem.data, half, symmetric=True, self_coupling=False)
    other = run("mcmc", narrower, LONG)[1]
    assert scores(np.log(scale)[..., None], np.log(other)[..., None]) > LIMIT


@both
def test_rows_are_drawn_as_if_alone(encoding):
    # The first row of several, under a fixed width, has the posterior of a regression on all.
    h, J = couplings(3, 4)
    steps = logistic.transitions(kinetic(h, J, encoding, 90), encoding)
    problem = Logistic(steps, FIXED, self_coupling=False)
    theta, _, evidence = run("mcmc", problem, LONG)
    gibbs, _, _ = run("gibbs", problem, LONG)
    assert scores(theta, gibbs) < LIMIT
    assert not evidence["diverging"].any()
    assert (problem.matrix(theta)[..., np.arange(3), np.arange(3)] == 0).all()


def test_many_data_make_the_posterior_normal():
    h, J = couplings(4, 5, 0.3)
    steps = logistic.transitions(kinetic(h, J, "±1", 6000), "±1")
    for symmetric in (False, True):
        problem = Logistic(steps, named("inferred", "±1"), symmetric=symmetric)
        chain, width, _ = run("mcmc", problem, LONG)
        flat, flat_width, _ = run("laplace", problem, LONG)
        widths = np.log(width)[..., None], np.log(flat_width)[..., None]
        for own, other in ((chain, flat), widths):
            sd = other.std(axis=(0, 1))
            np.testing.assert_allclose(
                (own.mean(axis=(0, 1)) - other.mean(axis=(0, 1))) / sd, 0, atol=0.3
            )
            np.testing.assert_allclose(own.std(axis=(0, 1)), sd, rtol=0.2)
    best = logistic.maximum_likelihood(steps)
    sd = np.sqrt(np.diagonal(np.linalg.inv(best.precision), axis1=1, axis2=2))
    assert (np.abs(best.h - h) < LIMIT * sd[:, 0]).all()
    assert (np.abs(best.J - J) < LIMIT * sd[:, 1:]).all()


def skewed(symmetric=False, sites=5, times=120, key=31):
    """Strong couplings and few transitions: the mode of the posterior is far from its mean."""
    h, J = couplings(sites, key, 1.0)
    J = (J + J.T) / 2 if symmetric else J
    steps = logistic.transitions(kinetic(h, J, "±1", times), "±1")
    return Logistic(steps, CouplingPrior(Normal(0.0, 1.0), Normal(0.0, 1.0)), symmetric=symmetric)


def test_the_unwritten_precision_is_the_written_one():
    problem = problem_of("0/1", True, False, sites=6, times=60)
    theta = rng(7).normal(0, 0.3, problem.shape)
    H = problem.curvature(theta)[2]
    own, matrix = joint.Joint(problem, H, 1.0), optimum.written(problem, H, 1.0)
    v = rng(8).standard_normal((problem.dim, 3))
    np.testing.assert_allclose(own.product(v), matrix @ v, rtol=1e-10)
    np.testing.assert_allclose(own.solve(v), np.linalg.solve(matrix, v), atol=1e-5)
    # Rows see the likelihood alone, and the prior is what is missing to all of ½ vᵀ P v.
    whole = 0.5 * np.sum(v * (matrix @ v), axis=0) - 0.5 * np.sum(own.prior * v**2, axis=0)
    np.testing.assert_allclose(own.parts(v).sum(axis=0), whole, rtol=1e-10)
    count = 20_000
    noise = own.noise(rng(9), count)
    spread = np.sqrt((matrix**2 + np.outer(*[np.diagonal(matrix)] * 2)) / count)
    assert np.abs((noise @ noise.T / count - matrix) / spread).max() < LIMIT + 1
    with pytest.raises(np.linalg.LinAlgError):
        joint.Joint(problem, -H, 1.0).solve(v)


@pytest.mark.parametrize("symmetric", [False, True])
def test_weights_of_rows_add_up_to_the_density_over_the_normal(symmetric, monkeypatch):
    problem = skewed(symmetric)
    near = widths.at_mean(problem, widths.at_width(problem, 1.0), rng(1))
    away = near.normal.draws(rng(2), 40)
    rows = widths.log_weights(problem, near, away)
    assert rows.shape == (40, 5)
    root = near.normal.root
    z = np.einsum("bki,nbk->nbi", root, away)
    height = problem.gradient(near.theta + away)[0]
    target = height + 0.5 * np.sum(z**2, axis=-1) - near.log_density
    expected = target if not symmetric else target.sum(axis=1)
    np.testing.assert_allclose(rows if not symmetric else rows.sum(axis=1), expected, atol=1e-9)
    # The factors are what their rows deviate by, without slopes that cancel in the sum only.
    assert rows.var(axis=0).sum() < 4 * expected.var(axis=0).sum()
    if symmetric:
        monkeypatch.setattr(widths, "BROAD", 0)
        other = widths.at_width(problem, 1.0, unwritten=True)
        unwritten = widths.at_mean(problem, other, rng(1), rounds=1)
        assert unwritten.unwritten and not near.unwritten
        precision = optimum.written(problem, unwritten.joint.precision, 1.0)
        normal = BlockNormal(unwritten.theta, np.linalg.cholesky(precision)[None])
        written = replace(unwritten, normal=normal)
        np.testing.assert_allclose(
            widths.log_weights(problem, unwritten, away),
            widths.log_weights(problem, written, away),
            atol=1e-9,
        )
        step = unwritten.normal.solve(away[0])
        np.testing.assert_allclose(step, normal.solve(away[0]), atol=1e-5)
        covariance = np.linalg.inv(precision)
        exact = np.trace(covariance[5:, 5:]), np.sum(covariance[5:, 5:] ** 2)
        np.testing.assert_allclose(normal.spread(problem.fields), exact)
        many = [unwritten.normal.spread(problem.fields, rng(k)) for k in range(60)]
        np.testing.assert_allclose(np.mean(many, axis=0), exact, rtol=0.1)
        drawn = unwritten.normal.draws(rng(5), 4000)[:, 0]
        scale = np.sqrt((covariance**2 + np.outer(*[np.diagonal(covariance)] * 2)) / 4000)
        assert np.abs((drawn.T @ drawn / 4000 - covariance) / scale).max() < LIMIT + 1


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_moved_normal_is_at_the_mean_of_the_posterior(symmetric):
    problem = skewed(symmetric)
    top = widths.at_width(problem, 1.0)
    near = top
    for turn in range(10):  # averages of several rounds, since each is of a few draws
        near = widths.at_mean(problem, near, rng(turn), rounds=1)
    theta, _, _ = run("mcmc", problem, LONG)
    mean, sd = theta.mean(axis=(0, 1)).ravel(), theta.std(axis=(0, 1)).ravel()

    def off(each):
        return np.sqrt(np.mean(((each.theta.ravel() - mean) / sd) ** 2))

    assert off(top) > 0.15 and off(near) < 0.4 * off(top)
    many = near.theta + near.normal.draws(rng(4), 4000)
    slope = np.mean([near.normal.solve(problem.gradient(each)[1]) for each in many], axis=0).ravel()
    assert np.sqrt(np.mean((slope / sd) ** 2)) < 0.1


def test_laplace_finds_the_width_of_the_chains():
    # So many couplings that one width stands for all. The lower bound of the evidence alone would
    # choose one 3 sd too narrow.
    h, J = couplings(30, 33, 0.8)
    steps = logistic.transitions(kinetic(h, J, "±1", 300), "±1")
    problem = Logistic(steps, named("inferred", "±1"))
    ladder = widths.LogisticWidths(problem, unwritten=True)
    assert ladder.spread < widths.SHARP
    settings = Settings(draws=250, tune=150, chains=2)
    theta, width, _ = run("mcmc", problem, settings)
    flat, flat_width, _ = run("laplace", problem, settings)
    mean, error = estimates(np.log(width)[..., None])
    sd = np.log(width).std()
    assert abs(np.log(flat_width).mean() - mean[0]) < LIMIT * error[0] + 0.7 * sd
    assert 0.6 * sd < np.log(flat_width).std() < 1.4 * sd
    own = flat.std(axis=(0, 1))
    top = widths.at_width(problem, float(width.mean())).theta

    def off(each):
        return np.sqrt(np.mean(((each - theta.mean((0, 1))) / own) ** 2))

    assert off(flat.mean((0, 1))) < 0.6 * off(top)
    # Couplings and width are drawn together, not each around its own mean.
    follows = [
        np.corrcoef(np.log(w).ravel(), np.log(np.sum(t[..., 1:] ** 2, axis=(2, 3))).ravel())
        for t, w in ((theta, width), (flat, flat_width))
    ]
    assert follows[1][0, 1] == pytest.approx(follows[0][0, 1], abs=0.25) and follows[0][0, 1] > 0.5


@pytest.mark.parametrize("symmetric", [False, True])
def test_great_problems_start_from_a_part_of_the_data(symmetric, monkeypatch):
    h, J = couplings(12, 35, 0.4)
    J = (J + J.T) / 2 if symmetric else J
    steps = logistic.transitions(kinetic(h, J, "±1", 2500), "±1")
    problem = Logistic(steps, named("inferred", "±1"), symmetric=symmetric)
    settings = Settings(draws=400, chains=2)
    monkeypatch.setattr(widths, "PAIRS", (8, 8))
    monkeypatch.setattr(widths, "WEIGHED", (100, 100))
    plain, width, _ = run("laplace", problem, settings)
    monkeypatch.setattr(widths, "GREAT", 0.5 * problem.work)
    monkeypatch.setattr(routes, "GREAT", 0.5 * problem.work)
    monkeypatch.setattr(widths, "BROAD", 0)
    asked = []
    whole = Logistic.part
    monkeypatch.setattr(Logistic, "part", lambda self, *a: asked.append(a) or whole(self, *a))
    great, great_width, evidence = run("laplace", problem, settings)
    assert asked == [(widths.COARSE,)]
    sd = plain.std(axis=(0, 1))
    away = (great.mean(axis=(0, 1)) - plain.mean(axis=(0, 1))) / sd
    # 800 independent draws each: the largest of so many differences, and what settling leaves.
    assert np.abs(away).max() < LIMIT * np.sqrt(2 / 800) + 0.15
    np.testing.assert_allclose(great.std(axis=(0, 1)), sd, rtol=0.2)
    assert np.log(great_width).mean() == pytest.approx(np.log(width).mean(), abs=0.03)
    assert np.abs(evidence["gradient"]).max() < 1e-3
    assert np.abs(evidence["start_excess"]).max() < 1e-3


def test_draws_near_a_known_optimum_are_those_of_a_fit():
    h, J = couplings(5, 36)
    steps = logistic.transitions(kinetic(h, J, "±1", 700), "±1")
    settings = Settings(draws=500, chains=2, prior_draws=4)
    for symmetric in (False, True):
        kind = {"prior": FIXED, "symmetric": symmetric, "self_coupling": False}
        fit = logistic.fit(steps, encoding="±1", method="laplace", settings=settings, **kind)
        found = logistic.near(steps, h, J, settings=settings, **kind)
        for name in ("h", "J"):
            one, other = (each[name].values.reshape(1000, -1) for each in (found, fit["posterior"]))
            sd = np.maximum(other.std(axis=0), 1e-12)
            assert np.abs((one.mean(axis=0) - other.mean(axis=0)) / sd).max() < 0.4
            np.testing.assert_allclose(one.std(axis=0), other.std(axis=0), rtol=0.2)


def test_evidence_is_the_integral():
    problem = single("±1", FIXED)
    ladder = widths.LogisticWidths(problem)

    def rows(h, J):
        return np.array([[h, J]])

    def density(J, h):
        return np.exp(problem.gradient(rows(h, J))[0].sum())

    exact = integrate.dblquad(density, -5, 5, -5, 5, epsabs=1e-12)[0]
    approximate = ladder.best.log_evidence + np.log(2 * np.pi)
    assert approximate == pytest.approx(np.log(exact), abs=0.05)


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_corrected_evidence_is_that_of_many_weighed_draws(symmetric):
    problem = skewed(symmetric, sites=4, times=30)
    near = widths.at_mean(problem, widths.at_width(problem, 1.0), rng(1))
    found = np.mean(
        [widths.with_evidence(problem, near, rng(k)).log_density for k in range(10)], axis=0
    )
    away = near.normal.draws(rng(3), 40_000)
    z = np.einsum("bki,nbk->nbi", near.normal.root, away)
    excess = problem.gradient(near.theta + away)[0] + 0.5 * np.sum(z**2, axis=-1)
    exact = np.log(np.mean(np.exp(excess - excess.max(axis=0)), axis=0)) + excess.max(axis=0)
    bound = excess.mean(axis=0)
    assert (exact - bound).sum() > 0.1
    assert abs((found - exact).sum()) < 0.4 * (exact - bound).sum()


@pytest.fixture
def heavy(monkeypatch):
    """Work on a few sites counts as heavy: it is parted, and chains go on their own."""
    for module in (design, optimum):
        monkeypatch.setattr(module, "HEAVY", 0)
    monkeypatch.setattr(design, "ROWS", 2)
    monkeypatch.setattr(optimum, "TOGETHER", 4)
    monkeypatch.setattr(routes, "LIGHT", 0)
    monkeypatch.setattr(widths, "PAIRS", (1, 1))
    monkeypatch.setattr(widths, "WEIGHED", (8, 8))
    return logistic.transitions(kinetic(*couplings(6, 7), "±1", 80), "±1")


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("method", ["mcmc", "laplace", "gibbs"])
def test_workers_change_no_draw(method, symmetric, heavy):
    settings = Settings(draws=6, tune=5, chains=2, prior_draws=3)
    one, other = (
        logistic.fit(
            heavy,
            encoding="±1",
            method=method,
            symmetric=symmetric,
            settings=settings.replace(workers=workers),
        )
        for workers in (1, 2)
    )
    for name in ("h", "J", "scale"):
        assert (one["posterior"][name].values == other["posterior"][name].values).all()
    for name in ("discrepancy", "discrepancy_observed"):
        assert (one["sample_stats"][name].values == other["sample_stats"][name].values).all()


def test_chains_together_and_alone_have_one_posterior(heavy, monkeypatch):
    settings = Settings(draws=300, tune=100)
    problem = Logistic(heavy, FIXED)
    alone = routes.mcmc(problem, settings)[0]
    # Those that go alone do so around where the mass is rather than the optimum.
    top = widths.at_width(problem, 1.0)
    near = widths.at_mean(problem, top, rng(21))
    mean = alone.mean(axis=(0, 1))
    assert np.mean((mean - near.theta) ** 2) < 0.5 * np.mean((mean - top.theta) ** 2)
    monkeypatch.setattr(routes, "LIGHT", np.inf)
    together = routes.mcmc(problem, settings)[0]
    assert scores(alone, together) < LIMIT


@pytest.mark.parametrize("name", [pytest.param("inferred", marks=pytest.mark.slow), "normal"])
def test_ranks_of_the_truth_are_uniform(name):
    prior, ranks, kept = PRIORS[name], [], 40
    settings = Settings(draws=100, tune=60, chains=2)
    for k in range(40):
        h, J, scale = prior.sample(rng(20, k), 2, 4, 1)
        steps = logistic.transitions(kinetic(h[0], J[0].reshape(2, 2), "±1", 40, k), "±1")
        theta, width, _ = run("mcmc", Logistic(steps, prior), settings.replace(seed=k))
        truth = Logistic(steps, prior).join(h, J)[0].ravel()
        drawn = theta.reshape(-1, 6)[:: 200 // kept]
        if prior.inferred:
            truth = np.append(truth, scale)
            drawn = np.column_stack([drawn, width.ravel()[:: 200 // kept]])
        ranks.append((drawn < truth).sum(axis=0))
    ranks = np.array(ranks)
    # Four bins each: 0–9, 10–20, 21–30, 31–40 of 41 ranks, nearly as likely.
    edges, count = [0, 10, 21, 31, 41], len(ranks)
    share = np.diff(edges) / 41
    for column in ranks.T:
        seen = np.histogram(column, edges)[0]
        assert stats.chisquare(seen, count * share).pvalue > 1e-4
    pooled = np.histogram(ranks, edges)[0] / ranks.size
    np.testing.assert_allclose(pooled, share, atol=0.12)


# ── Fits ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("method", "prior", "kind", "symmetric"),
    [
        ("mcmc", "inferred", "mle+mcmc", False),
        ("laplace", "normal", "laplace", True),
        ("gibbs", "horseshoe", "gibbs", False),
    ],
)
def test_a_fit_is_complete_and_can_be_rebuilt(method, prior, kind, symmetric, tmp_path):
    h, J = couplings(3, 8)
    states = xr.DataArray(
        np.stack([kinetic(h, J, "±1", 60, key) for key in (1, 2)]),
        dims=("repeat", "time", "site"),
        coords={"site": [3, 5, 8]},
    )
    found = logistic.fit(
        states,
        encoding="±1",
        prior=prior,
        method=method,
        symmetric=symmetric,
        self_coupling=False,
        settings=SHORT,
    )
    assert set(REQUIRED_GROUPS) <= set(found.children)
    assert found.attrs["inference"] == kind and found.attrs["model"] == "logistic"
    assert found.attrs["encoding"] == "±1" and found.attrs["method"] == method
    assert (found.attrs["symmetric"], found.attrs["self_coupling"]) == (int(symmetric), 0)
    told = ["h", "J"] if prior == "normal" else ["h", "J", "scale"]
    assert list(json.loads(found.attrs["priors"])) == told
    posterior = found["posterior"]
    assert posterior["J"].dims == ("chain", "draw", "target", "source")
    assert posterior["h"].site.values.tolist() == posterior.target.values.tolist() == [3, 5, 8]
    assert (posterior["J"].values.diagonal(axis1=2, axis2=3) == 0).all()
    assert ("scale" in posterior) == (prior != "normal")
    steps = logistic.transitions(states, "±1")
    expected = logistic.log_likelihood(steps, posterior["h"].values, posterior["J"].values)
    places = found["log_likelihood"]["transition"].values
    assert sorted(places) == list(range(118))
    np.testing.assert_allclose(found["log_likelihood"]["states"].values, expected[..., places])
    observed = found["observed_data"]
    np.testing.assert_array_equal(observed["next"].values, steps.next)
    np.testing.assert_array_equal(observed["now"].values, steps.now)
    assert found["constant_data"]["transitions"] == 118
    factors = sum(found["log_prior"].data_vars.values())
    if method != "laplace":
        total = expected.sum(axis=-1) + factors.values
        given_width = total - found["log_prior"].get("scale", xr.zeros_like(factors)).values
        lp = found["sample_stats"]["lp"].values
        assert np.allclose(lp, total) or np.ptp(lp - given_width) < np.inf
    verdict = check(found)
    assert "predictive p" in {each.name for each in verdict.checks}
    assert all(each.name != "present" for each in verdict.checks)
    save(found, tmp_path / "fit.nc")
    again = load(tmp_path / "fit.nc")
    assert check(again).to_dict() == verdict.to_dict()
    xr.testing.assert_equal(again["posterior"].to_dataset(), posterior.to_dataset())


def test_many_transitions_are_replicated_in_part(monkeypatch):
    h, J = couplings(3, 9)
    states = kinetic(h, J, "0/1", 300)
    settings = Settings(draws=10, tune=10, chains=2, prior_draws=4)
    monkeypatch.setattr(definition, "REPLICATED", 20 * 3 * 200)
    monkeypatch.setattr(definition, "POINTWISE", 20 * 50)
    monkeypatch.setattr(definition, "ALWAYS", 40)
    monkeypatch.setattr(definition, "KEPT", 9 * 7)
    found = {
        symmetric: logistic.fit(states, encoding="0/1", symmetric=symmetric, settings=settings)
        for symmetric in (True, False)
    }
    for fit in found.values():
        assert fit["constant_data"]["transitions"] == 299
        replicated = fit["constant_data"]["replicated"].values
        assert len(set(replicated)) == 200
        places = fit["log_likelihood"]["transition"].values
        np.testing.assert_array_equal(places, replicated[:50])
        np.testing.assert_array_equal(places, np.sort(places))
        steps = logistic.transitions(states, "0/1")
        post = fit["posterior"]
        np.testing.assert_allclose(
            fit["log_likelihood"]["states"].values,
            logistic.log_likelihood(steps, post["h"].values, post["J"].values, places),
        )
        seen = logistic.statistics(steps.now[replicated], steps.next[replicated], "0/1")
        for name, value in seen.items():
            np.testing.assert_allclose(fit["observed_data"][name].values, value, atol=1e-6)
        kept = fit["posterior_predictive"]
        assert kept.sizes["draw"] == 4 and kept["draw"].values.tolist() == [0, 3, 6, 9]
    same = [fit["log_likelihood"]["transition"].values for fit in found.values()]
    np.testing.assert_array_equal(*same)  # so that models are compared on the same ones


@both
def test_statistics_are_those_of_plain_sums(encoding):
    states = random_states(encoding, 2, 700, 4)
    steps = logistic.transitions(states, encoding)
    found = logistic.statistics(steps.now, steps.next, encoding)
    full = np.cov(steps.next.T, steps.now.T, bias=True)
    np.testing.assert_allclose(found["mean"], steps.next.mean(axis=0), atol=1e-7)
    np.testing.assert_allclose(found["delayed"], full[:4, 4:], atol=1e-6)
    np.testing.assert_allclose(found["equal"], full[:4, :4][np.triu_indices(4, 1)], atol=1e-6)
    number = (steps.next == 1).sum(axis=1)
    np.testing.assert_allclose(found["population"], np.bincount(number, minlength=5) / len(number))


@both
def test_replicas_and_residuals_are_what_they_say(encoding):
    problem = problem_of(encoding, times=700)
    theta = rng(13).normal(0, 0.4, problem.shape)
    count = len(problem.data)
    view = predictive.Predictive(problem, np.arange(count), 30)
    h, J = problem.split(theta)[0], problem.matrix(theta)
    seen = [view.look(h, J, rng(14, k), True) for k in range(60)]
    np.testing.assert_allclose(
        seen[0].log_likelihood, logistic.log_likelihood(problem.data, h, J)[:30]
    )
    low = ENCODINGS[encoding]
    p = 1 / (1 + np.exp(-(1 - low) * (h + problem.data.now @ J.T)))
    expected = (low + (1 - low) * p).mean(axis=0)
    means = np.array([each.moments["mean"] for each in seen])
    error = (1 - low) * np.sqrt((p * (1 - p)).sum(axis=0)) / count / math.sqrt(60)
    assert (np.abs(means.mean(axis=0) - expected) < LIMIT * error).all()
    away = (problem.data.next == 1) - p
    spread = np.sqrt((p * (1 - p)).sum(axis=0))
    now = problem.data.now - problem.data.now.mean(axis=0)
    delayed = np.abs(away.T @ now) / spread[:, None] / np.sqrt((now**2).mean(axis=0))
    equal = np.abs(away.T @ away)[np.triu_indices(3, 1)] * math.sqrt(count)
    equal /= np.outer(spread, spread)[np.triu_indices(3, 1)]
    number = (problem.data.next == 1).sum(axis=1)
    inside = np.flatnonzero(np.diff(problem.data.repeat) == 0) + 1
    before = problem.data.now[inside - 1] - problem.data.now[inside - 1].mean(axis=0)
    earlier = np.abs(away[inside].T @ before) / spread[:, None]
    earlier /= np.sqrt((before**2).sum(axis=0) / count)
    half = count // 2
    by_hand = [
        np.max(np.abs(away.sum(axis=0)) / spread),
        delayed.max(),
        equal.max(),
        (away.sum(axis=1) ** 2).sum() / (p * (1 - p)).sum(),
        number.var(),
        np.mean(number == 0),
        earlier.max(),
        np.max(np.abs(away[half:].sum(axis=0) - away[:half].sum(axis=0)) / spread),
    ]
    np.testing.assert_allclose(seen[3].observed, by_hand, rtol=1e-4)
    # Residuals of replicas are those of a standard normal, the largest of a few.
    largest = np.array([each.discrepancy for each in seen])
    assert 0.9 < np.median(largest[:, 0]) < 2.2 and 1.2 < np.median(largest[:, 1]) < 3
    assert (seen[0].discrepancy != seen[1].discrepancy).any()


@both
def test_next_states_are_replicated_and_fitted_in_place_of_those_observed(encoding):
    problem = logistic.KineticIsing(problem_of(encoding, self_coupling=False, times=700))
    draws = problem.sample_prior(rng(16), 40)
    replicas = problem.replicate(draws, rng(17))["next"]
    steps, low = problem.transitions, ENCODINGS[encoding]
    theta = draws["h"][:, None] + np.einsum("kij,tj->kti", draws["J"], steps.now)
    chance = 1 / (1 + np.exp(-(1 - low) * theta))
    assert replicas.shape == chance.shape and set(np.unique(replicas)) == {low, 1}
    away = ((replicas == 1) - chance).sum(axis=1) / np.sqrt((chance * (1 - chance)).sum(axis=1))
    assert abs(away.mean()) < LIMIT / math.sqrt(away.size) and 0.8 < away.std() < 1.2
    other = problem.observing({"next": replicas[0]})
    assert (other.transitions.now == steps.now).all() and other.attrs == problem.attrs
    told = other.log_likelihood({name: value[0] for name, value in draws.items()})["states"]
    np.testing.assert_allclose(told, np.log(np.where(replicas == 1, chance, 1 - chance))[0].sum(-1))


def test_what_the_model_leaves_out_is_found():
    # All sites share a hidden input, so they fire together more than each on its own would.
    generator = rng(15)
    shared = 1.2 * generator.standard_normal((1500, 1))
    states = np.where(generator.random((1500, 4)) < 1 / (1 + np.exp(-shared)), 1, -1)
    verdict = check(logistic.fit(states, encoding="±1", settings=SHORT))
    bad = {each.name: each.message for each in verdict.checks if not each.passed}
    assert "largest equal-time residual" in bad["predictive p"]
    # Noise of one sign that no single pair shows: the sum of all residuals does.
    h, J = couplings(8, 10, 0.3)
    states = np.ones((601, 8))
    for step in range(600):
        common = np.where(generator.random(8) < 0.4, generator.random(), generator.random(8))
        states[step + 1] = np.where(common < 1 / (1 + np.exp(-2 * (h + J @ states[step]))), 1, -1)
    weak = logistic.fit(states.astype(int), encoding="±1", settings=SHORT)
    (one,) = (each for each in check(weak).checks if each.name == "predictive p")
    assert not one.passed and "residual that sites share" in one.message
    h, J = couplings(4, 10)
    fine = logistic.fit(kinetic(h, J, "±1", 1500), encoding="±1", settings=SHORT.replace(draws=400))
    assert check(fine).believed


def test_symmetric_and_asymmetric_are_told_apart_by_leaving_transitions_out():
    h, J = couplings(3, 11, 0.6)
    for symmetric, couples in ((False, J), (True, (J + J.T) / 2)):
        states = kinetic(h, couples, "±1", 800)
        scored = [
            loo(logistic.fit(states, encoding="±1", symmetric=kind, settings=SHORT))
            for kind in (False, True)
        ]
        away = scored[0]["pointwise"] - scored[1]["pointwise"]
        error = math.sqrt(away.size) * away.std()
        if symmetric:
            assert away.sum() < 3 * error
        else:
            assert away.sum() > 3 * error


def test_a_site_that_never_changes_stays_at_its_prior():
    states = random_states("0/1", 1, 200, 3)[0]
    states[:, 1] = 0
    found = logistic.fit(states, encoding="0/1", prior=FIXED, settings=LONG)["posterior"]
    # Nothing is seen to follow from it, so what it does to others is the prior alone.
    assert scores(found["J"].values[..., 0, 1][..., None], (-0.1, 0.8**2 + 0.01)) < LIMIT
    assert found["h"].values[..., 1].mean() < -1


def test_pseudo_likelihood_has_no_self_coupling():
    steps = logistic.same_time(random_states("±1", 1, 200, 3), "±1")
    found = logistic.fit(steps, encoding="±1", symmetric=True, self_coupling=False, settings=FEW)
    assert "now" not in found["observed_data"]
    assert (found["posterior"]["J"].values.diagonal(axis1=2, axis2=3) == 0).all()


def test_other_bad_input():
    states = random_states("0/1", 1, 20, 2)[0]
    with pytest.raises(FitError, match="unknown method 'guess'"):
        logistic.fit(states, encoding="0/1", method="guess")
    with pytest.raises(FitError, match="unknown prior"):
        logistic.fit(states, encoding="0/1", prior="flat")
    with pytest.raises(DataError, match="unknown encoding"):
        logistic.fit(states, encoding="on/off")
    for method in ("mcmc", "laplace"):
        with pytest.raises(FitError, match="use the method gibbs"):
            logistic.fit(states, encoding="0/1", prior="horseshoe", method=method, settings=FEW)
    with pytest.raises(FitError, match="no posterior"):
        logistic.KineticIsing(Logistic(logistic.transitions(states, "0/1"))).pymc()
    assert Gaussian(1.0).local is False
