"""Reweighting samples: sums over them against sums over all, and optima against exact ones."""

import math
from dataclasses import replace

import numpy as np
import pytest

from bayesinf.models import binary
from bayesinf.models.binary.couplings import CouplingPrior, default
from bayesinf.models.binary.pairwise import enumeration, large, optimum, predictive
from bayesinf.models.binary.pairwise.large import ReweightedLikelihood, search, state_sums
from bayesinf.models.binary.pairwise.large.centred import CentredStatistics
from bayesinf.models.binary.pairwise.large.likelihood import inferred_width
from bayesinf.models.binary.pairwise.large.long_run import draw_sample, thinned
from bayesinf.models.binary.pairwise.large.sampling import Bias
from bayesinf.models.binary.pairwise.large.tuning import DEFAULT
from bayesinf.models.binary.pairwise.likelihood import Pairwise
from bayesinf.priors import HalfCauchy, Normal

both = pytest.mark.parametrize("encoding", ["±1", "0/1"])


def rng(*key):
    return np.random.default_rng(key)


def parameters(sites, key=0, width=0.4):
    """Random fields and couplings, packed."""
    return rng(key, sites).normal(0, width, sites * (sites + 1) // 2)


def exact_moments(theta, encoding, samples):
    """Moments that data of this size would have without sampling error."""
    _, phi = enumeration.expectations(theta, encoding)
    sites = binary.sites_of(theta.size)
    return binary.Moments(encoding, samples, phi[:sites], phi[sites:])


def sampled(theta, encoding, samples, key=0):
    """Moments of data, and their distinct states with counts."""
    _, p = enumeration.probabilities(theta, encoding)
    counts = enumeration.sample(p, samples, rng(key, samples))
    seen = np.flatnonzero(counts)
    states = binary.decoded(seen, binary.sites_of(theta.size), encoding)
    data = binary.of_states(np.repeat(states, counts[seen], axis=0), encoding)
    return data, (states, counts[seen])


def drawn_at(theta, encoding, size=50_000, key=0, **more):
    return draw_sample(theta, encoding, size, rng(key, size), workers=2, **more)


# ── Sums ─────────────────────────────────────────────────────────────────────────────────────────


@both
def test_triples_and_population_of_a_biased_run_are_those_of_the_model(encoding):
    theta = parameters(8)
    bias = Bias(rng(7).random(8) < 0.5, rng(8).normal(0, 0.7, 9))
    found = drawn_at(theta, encoding, bias=bias)
    true = predictive.Summary.of(enumeration.probabilities(theta, encoding)[1], encoding)
    # Worth 50 000 states: five standard errors, twice that for what the weights cost.
    error = 10 / np.sqrt(found.effective)
    assert np.abs(found.triple_means - true.triple).max() < error
    assert np.abs(found.population - true.population).max() < error / 2


@both
@pytest.mark.parametrize("biased", [False, True])
def test_ratios_and_moments_are_those_of_all_states(encoding, biased):
    theta = parameters(8)
    bias = Bias(rng(7).random(8) < 0.5, rng(8).normal(0, 0.7, 9)) if biased else None
    found = drawn_at(theta, encoding, bias=bias)
    away = theta + rng(1).normal(0, 0.05, (5, theta.size))
    ratio, phi, size = found.evaluate(away, gradient=True)
    here, expected = enumeration.expectations(theta, encoding)
    there, moments = enumeration.expectations(away, encoding)
    fisher = enumeration.curvature(theta, encoding)[2]
    # The first order has the error of the long run; what is left is of second order in Δ.
    delta = away - theta
    variance = np.einsum("ri,ij,rj->r", delta, fisher, delta)
    error = np.sqrt((variance + variance**2) / found.effective)
    assert np.max(np.abs(ratio - (there - here)) / error) < 5
    spread = np.sqrt(np.diag(fisher) / found.effective)
    assert np.max(np.abs(found.moments - expected) / spread) < 6
    assert np.max(np.abs(phi - moments) / spread) < 8
    (whole,) = found.evaluate(theta[None])[2]
    assert np.all(size > 0.5 * whole) and whole == pytest.approx(50_000, rel=0.5)
    np.testing.assert_allclose(found.evaluate(theta[None])[0], 0.0, atol=1e-12)


def test_states_of_another_model_are_found_out():
    theta = parameters(8)
    other = drawn_at(parameters(8, 3), "±1")
    lied = replace(other, centre=theta)
    _, expected = enumeration.expectations(theta, "±1")
    spread = np.sqrt(np.diag(enumeration.curvature(theta, "±1")[2]) / lied.effective)
    assert np.max(np.abs(lied.moments - expected) / spread) > 20


@both
@pytest.mark.parametrize("kind", [state_sums.SparseStates, state_sums.DenseStates])
def test_derivatives_are_those_of_the_sum_itself(encoding, kind):
    theta, step = parameters(6), 1e-5
    found = drawn_at(theta, encoding, 3000)
    found.__dict__["sums"] = kind(found.states)
    point = theta + rng(2).normal(0, 0.1, theta.size)
    unit = step * np.eye(theta.size)
    up, down = (found.evaluate(point + side * unit, gradient=True) for side in (1, -1))
    _, phi, _ = found.evaluate(point[None], gradient=True)
    fisher = found.fisher(point)
    np.testing.assert_allclose(phi[0], (up[0] - down[0]) / (2 * step), atol=1e-8)
    np.testing.assert_allclose(fisher, (up[1] - down[1]) / (2 * step), atol=1e-8)
    v = rng(3).normal(size=theta.size)
    np.testing.assert_allclose(
        found.fisher_product(found.weights(point), v), fisher @ v, atol=1e-12
    )
    # By hand, state by state.
    low = binary.ENCODINGS[encoding]
    s = np.where(found.states == 1, 1.0, low)
    i, j = binary.pairs(6)
    features = np.concatenate([s, s[:, i] * s[:, j]], axis=1)
    w = found.count * found.importance * np.exp(features @ (point - theta))
    w /= w.sum()
    np.testing.assert_allclose(found.weights(point), w, atol=1e-12)
    centred = features - w @ features
    np.testing.assert_allclose(fisher, (centred.T * w) @ centred, atol=1e-12)
    plain = found.count * found.importance / (found.count @ found.importance)
    np.testing.assert_allclose(phi[0], found.moments + (w - plain) @ features, atol=1e-12)


def test_blocks_and_workers_change_nothing():
    theta = parameters(14)
    found = drawn_at(theta, "0/1", 40_000)
    points = theta + rng(4).normal(0, 0.05, (3, theta.size))
    one = found.evaluate(points, gradient=True)
    found = replace(found, tuning=replace(found.tuning, block=700))
    many = found.evaluate(points, gradient=True)
    for a, b in zip(one, many, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    alone = replace(found, workers=1)
    for a, b in zip(many, alone.evaluate(points, gradient=True), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(found.fisher(theta), drawn_at(theta, "0/1", 40_000).fisher(theta))


def test_single_precision_is_near_enough_for_chains():
    theta = parameters(7)
    data = exact_moments(theta, "±1", 5000)
    problem = ReweightedLikelihood(data, None, 1, drawn_at(theta, "±1", 20_000))
    assert isinstance(problem.sample.sums, state_sums.DenseStates)
    near = theta + rng(3).normal(0, 0.05, (4, theta.size))
    (value, slope), (rough, rough_slope) = (
        problem.likelihood_gradient(near),
        problem.rough_gradient(near),
    )
    np.testing.assert_allclose(rough, value, atol=5000 * 1e-6)
    np.testing.assert_allclose(rough_slope, slope, atol=5000 * 1e-6)
    assert np.any(rough != value)


def test_rare_pairs_and_few_data_ask_for_more_states():
    def kept(share, samples, sites=30):
        mean, pair = np.full(sites, share), np.full(sites * (sites - 1) // 2, share**2)
        return large._kept_states(binary.Moments("0/1", samples, mean, pair), DEFAULT)

    often, each = kept(0.5, 100_000), 50 * 30 * 31 // 2
    assert often == each
    assert kept(0.5, 100_000, 21) == pytest.approx(16_000 * np.exp(231 / 100_000), rel=1e-3)
    assert kept(0.5, 300) == pytest.approx(16_000 * np.exp(465 / 300), rel=0.02)
    assert kept(0.03, 100_000) == DEFAULT.kept_states


def test_far_away_nothing_overflows():
    found = drawn_at(parameters(6), "±1", 2000)
    ratio, phi, size = found.evaluate(found.centre[None] + 300.0, gradient=True)
    assert np.isfinite(ratio).all() and np.isfinite(phi).all() and 1 <= size[0] < 2000


@both
def test_the_same_seed_gives_the_same_sample(encoding):
    a, b = (drawn_at(parameters(7), encoding, 5000) for _ in range(2))
    for name in ("states", "count", "importance", "moments", "population", "triple_means", "last"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    assert a.count.sum() >= 5000 and len(np.unique(binary.codes(a.states))) == len(a.states)


@pytest.mark.parametrize("fields", [0.0, -3.0])
def test_of_too_many_states_those_with_leverage_are_kept_and_nothing_is_biased(fields):
    theta = parameters(24, 5, 0.3)
    theta[:24] += fields
    whole = drawn_at(theta, "0/1", 60_000, keep=math.inf)
    direct = whole.fisher(theta)
    work = 0.3 * state_sums.cost(whole.states).sum()
    shift, scale = [], np.sqrt(np.diag(direct))
    for key in range(12):
        keep, inverse = thinned(whole.states, whole.count, work, rng(6, key))
        assert state_sums.cost(whole.states[keep]).sum() < 1.1 * work
        weight = whole.count[keep] * inverse[keep]
        assert weight.sum() == pytest.approx(whole.count.sum(), rel=0.05)
        on = whole.states[keep].astype(float)
        i, j = binary.pairs(24)
        features = np.concatenate([on, on[:, i] * on[:, j]], axis=1)
        shift.append((weight @ features**2 / whole.count.sum() - whole.moments) / scale)
    shift = np.array(shift)
    # The mean over repeated choices against its own error; 300 statistics are looked at.
    z = shift.mean(axis=0) / (shift.std(axis=0, ddof=1) / math.sqrt(len(shift)) + 1e-9)
    assert np.max(np.abs(shift)) < 0.5 and np.sqrt(np.mean(z**2)) < 2
    np.testing.assert_array_equal(thinned(whole.states, whole.count, math.inf, rng(7))[1], 1)


@both
def test_centred_statistics_are_diagonal_where_sites_are_independent(encoding):
    sites = 6
    theta = enumeration.pack(rng(8).normal(-0.5, 0.7, sites), np.zeros(15))
    data = exact_moments(theta, encoding, 100)
    centred = CentredStatistics(data)
    fisher = enumeration.curvature(theta, encoding)[2]
    change = np.array([centred.times_a(unit) for unit in np.eye(theta.size)]).T
    diagonal = change @ fisher @ change.T
    np.testing.assert_allclose(diagonal, np.diag(centred.variances(data.statistics)), atol=1e-12)
    v = rng(9).normal(size=theta.size)
    np.testing.assert_allclose(centred.times_a_transposed(v), change.T @ v, atol=1e-12)
    np.testing.assert_allclose(change @ centred.over_a(v), v, atol=1e-12)
    np.testing.assert_allclose(change.T @ centred.over_a_transposed(v), v, atol=1e-12)
    # And their variances, where they are not.
    theta = parameters(sites, 4, 0.8)
    _, phi, fisher = enumeration.curvature(theta, encoding)
    np.testing.assert_allclose(
        centred.variances(phi), np.diag(change @ fisher @ change.T), atol=1e-12
    )


# ── Optima ───────────────────────────────────────────────────────────────────────────────────────


def solved(data, prior, key=0, size=25.0):
    """Optimum by reweighting alone."""
    near = search.find_optimum(data, prior, rng(key, 1), 2)
    chains = {"start": near.last, "bias": near.bias, "workers": 2}
    found = draw_sample(near.theta, data.encoding, size * data.samples, rng(key, 2), **chains)
    problem = ReweightedLikelihood(data, prior, 2, found)
    return problem, optimum.maximum(problem)


@both
def test_the_optimum_is_the_exact_one_but_for_the_error_of_the_long_run(encoding):
    data, _ = sampled(parameters(10, 1), encoding, 8000)
    prior = default(encoding)
    exact = optimum.maximum(Pairwise(data, prior))
    problem, found = solved(data, prior)
    sds = np.linalg.cholesky(exact.precision).T @ (found.theta - exact.theta)
    # 55 numbers of that size each: five standard errors of their rms above it.
    shift = np.sqrt(data.samples / problem.sample.effective)
    assert np.sqrt(np.mean(sds**2)) < 1.5 * shift < 0.4
    assert (
        np.linalg.norm(np.linalg.solve(np.linalg.cholesky(found.precision), found.gradient)) < 0.01
    )
    assert np.abs(found.precision / exact.precision - 1)[np.diag_indices(55)].max() < 0.1
    elsewhere = optimum.maximum(problem, start=found.theta + 5.0)
    np.testing.assert_allclose(elsewhere.theta, found.theta, atol=1e-3)
    judged = optimum.with_residuals(found, problem, rng(11))
    assert judged.residual_error == pytest.approx(1 / 3, rel=0.05)
    assert np.abs(judged.residual).max() < 3
    moved = optimum.MaximumLikelihood(found.theta + 0.1, 0.0, found.gradient, lambda: None, 0)
    assert np.abs(optimum.with_residuals(moved, problem, rng(11)).residual).max() > 5


@pytest.mark.slow
def test_twenty_four_sites_in_two_independent_halves():
    halves = [parameters(12, key, 0.3) for key in (1, 2)]
    parts = [exact_moments(theta, "±1", 20_000) for theta in halves]
    mean = np.concatenate([part.mean for part in parts])
    second = np.outer(mean, mean)
    for k, part in enumerate(parts):
        block = slice(12 * k, 12 * (k + 1))
        second[block, block] = binary.matrix(part.pair, 12)
    data = binary.Moments("±1", 20_000, mean, second[binary.pairs(24)])
    problem, found = solved(data, None)
    h = np.concatenate([theta[:12] for theta in halves])
    J = np.zeros((24, 24))
    for k, theta in enumerate(halves):
        J[12 * k : 12 * (k + 1), 12 * k : 12 * (k + 1)] = binary.matrix(theta[12:], 12)
    truth = enumeration.pack(h, J[binary.pairs(24)])
    sds = np.linalg.cholesky(found.precision).T @ (found.theta - truth)
    assert np.sqrt(np.mean(sds**2)) < 1.5 * np.sqrt(data.samples / problem.sample.effective) < 0.4
    # Ratios of partition functions add up too.
    near = truth + rng(12).normal(0, 0.005, truth.size)
    near[24:][J[binary.pairs(24)] == 0] = 0.0

    def of_half(theta, k):
        half = slice(12 * k, 12 * (k + 1))
        J = binary.matrix(theta[24:], 24)[half, half][binary.pairs(12)]
        return enumeration.log_partition(enumeration.pack(theta[half], J), "±1")

    expected = sum(of_half(near, k) - of_half(truth, k) for k in (0, 1))
    got = np.diff(problem.log_partition(np.stack([truth, near]))).item()
    sd = np.sqrt((near - truth) @ (found.precision / data.samples) @ (near - truth))
    assert abs(got - expected) < 6 * sd / np.sqrt(problem.sample.effective) + 1e-4


def homogeneous(sites, field, coupling, samples):
    """Moments of 0/1 sites that all are alike, from a sum over how many are on."""
    number = np.arange(sites + 1)
    ways = [math.log(math.comb(sites, k)) for k in number]
    log_p = ways + field * number + coupling * number * (number - 1) / 2
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    mean = p @ number / sites
    pair = p @ (number * (number - 1)) / (sites * (sites - 1))
    count = sites * (sites - 1) // 2
    data = binary.Moments("0/1", samples, np.full(sites, mean), np.full(count, pair))
    return data, enumeration.pack(np.full(sites, field), np.full(count, coupling)), p


@pytest.mark.slow
def test_sites_that_burst_together_are_solved():
    # Independent sites of this mean would vary by 4.6 about 5.5, most often 5; these by 22.8.
    data, truth, p = homogeneous(32, -2.5, 0.15, 20_000)
    number = np.arange(33)
    mean = p @ number
    assert p @ (number - mean) ** 2 > 4 * mean and np.all(np.diff(p[3:]) < 0)
    problem, found = solved(data, None)
    sds = np.linalg.cholesky(found.precision).T @ (found.theta - truth)
    assert np.sqrt(np.mean(sds**2)) < 2 * np.sqrt(data.samples / problem.sample.effective) < 0.5
    np.testing.assert_allclose(problem.sample.population, p, atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("camps", [1, 2])
def test_phases_that_chains_do_not_leave_are_weighed(camps):
    # Few sites are on, or nearly all, and hardly ever something between; with two camps the sites
    # of one show the contrary of those of the other, and as many are on in both phases.
    sites, coupling = 28, 0.32
    plain, truth, p = homogeneous(sites, -coupling * (sites - 1) / 2 - 0.03, coupling, 5000)
    low, between, high = p[:8].sum(), p[12:17].sum(), p[21:].sum()
    assert 0.05 < high < low and between < 1e-3
    flip = np.arange(sites) >= (sites if camps == 1 else sites // 2)
    spins = plain.encoded("±1")
    sign = np.where(flip, -1.0, 1.0)
    i, j = binary.pairs(sites)
    data = binary.Moments("±1", 5000, sign * spins.mean, sign[i] * sign[j] * spins.pair)
    h, J, _ = binary.convert(truth[:sites], truth[sites:], "0/1", "±1")
    truth = enumeration.pack(sign * h, sign[i] * sign[j] * J)
    near = search.find_optimum(data, None, rng(3), 2)
    assert len(set(near.bias.pattern ^ flip)) == 1
    chains = {"start": near.last, "bias": near.bias, "workers": 2}
    found = draw_sample(near.theta, "±1", 5e4, rng(4), **chains)
    problem = ReweightedLikelihood(data, None, 2, found)
    top = optimum.maximum(problem)
    sds = np.linalg.cholesky(top.precision).T @ (top.theta - truth)
    assert np.sqrt(np.mean(sds**2)) < 2 * np.sqrt(data.samples / found.effective) < 0.8
    # The weight of the phase, which one parameter or two decide: to five sampling errors.
    as_counted = np.bincount(
        np.count_nonzero((found.states == 1) ^ flip, axis=1), found.central_weights, sites + 1
    )
    assert as_counted[21:].sum() == pytest.approx(high, abs=0.05)
    # Chains without the bias would never be worth the states that judge: they stay in a phase.
    judged = optimum.with_residuals(top, problem, rng(5))
    assert judged.residual_error < 0.34
    assert np.sqrt(np.mean(judged.residual**2)) < 2  # all follow the weight of the phase


def test_a_width_settles_at_that_of_the_couplings():
    sites = 40
    J = rng(13).normal(0, 0.3, sites * (sites - 1) // 2)
    data = binary.Moments("±1", 10**6, np.zeros(sites), np.zeros(J.size))
    theta = enumeration.pack(np.zeros(sites), J)
    prior = CouplingPrior(Normal(0, 1), HalfCauchy(1.0))
    assert inferred_width(prior, data, theta) == pytest.approx(J.std(), rel=0.01)
    assert inferred_width(default("±1"), data, theta) == 1.0
    few = binary.Moments("±1", 10, np.zeros(sites), np.zeros(J.size))
    width = inferred_width(prior, few, theta)
    assert width**2 == pytest.approx(np.mean(J**2) + 1 / (10 * 21 / 22 + width**-2), rel=0.2)


@pytest.mark.parametrize("always", [0, 1])
def test_sites_that_never_change_do_not_lead_the_search_astray(always):
    """Levels that need such a site otherwise have hardly any weight: chains must not go there."""
    states = draw_sample(parameters(9), "0/1", 3000, rng(3), workers=1).states[:300].astype(int)
    states[:, [2, 6]] = always
    data = binary.moments(states, "0/1")
    found = search.find_optimum(data, default("0/1"), rng(1), 1)
    _, phi = enumeration.expectations(found.theta, "0/1")
    changing = np.delete(np.arange(9), [2, 6])
    error = np.sqrt(data.mean * (1 - data.mean) / data.samples)
    assert np.all(np.abs(phi[:9] - data.mean)[changing] < error[changing])
    assert np.all(np.abs(phi[[2, 6]] - always) < 0.02)
