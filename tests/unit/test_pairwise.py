"""Pairwise models: sums over states against brute force, routes against quadrature and NUTS."""

import itertools
import math

import density
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayesinf.checks import check, loo
from bayesinf.errors import DataError, FitError
from bayesinf.models import binary as coding
from bayesinf.models.binary import pairwise
from bayesinf.models.binary.couplings import CouplingPrior, default
from bayesinf.models.binary.pairwise import enumeration, optimum, predictive, routes, widths
from bayesinf.models.binary.pairwise.likelihood import Pairwise
from bayesinf.posterior import REQUIRED_GROUPS, load, save
from bayesinf.priors import HalfCauchy, LogNormal, Normal, Uniform
from bayesinf.settings import Settings

SHORT = Settings(draws=200, tune=150, chains=4, prior_draws=30)
LONG = Settings(draws=1500, tune=300, chains=4, prior_draws=30)

both = pytest.mark.parametrize("encoding", ["±1", "0/1"])


def rng(*key):
    return np.random.default_rng(key)


def parameters(sites, key=0, width=0.7):
    """Random fields and couplings, packed."""
    return rng(key, sites).normal(0, width, sites * (sites + 1) // 2)


def sampled(sites, encoding, samples, key=0, width=0.5):
    """States of random parameters in the ±1 encoding, written in another; shuffled."""
    theta = parameters(sites, key, width)
    _, p = enumeration.probabilities(theta, "±1")
    drawn = rng(key, samples).choice(p.size, samples, p=p)
    return coding.decoded(drawn, sites, encoding)


# ── Brute force ──────────────────────────────────────────────────────────────────────────────────


def every_state(sites, encoding):
    """All states, one after the other as tuples."""
    return list(itertools.product((-1, 1) if encoding == "±1" else (0, 1), repeat=sites))


def exponent(theta, state):
    """Σ h s + Σ J s s, in plain numbers."""
    sites, total, place = len(state), 0.0, len(state)
    for i in range(sites):
        total += theta[i] * state[i]
        for j in range(i + 1, sites):
            total += theta[place] * state[i] * state[j]
            place += 1
    return total


def features(state):
    return [*state, *(a * b for a, b in itertools.combinations(state, 2))]


def brute(theta, sites, encoding):
    """log Z, moments and Fisher information by a sum over tuples."""
    states = every_state(sites, encoding)
    weights = np.array([math.exp(exponent(theta, state)) for state in states])
    phi = np.array([features(state) for state in states], dtype=float)
    p = weights / weights.sum()
    mean = p @ phi
    return math.log(weights.sum()), mean, (phi - mean).T @ ((phi - mean) * p[:, None])


# ── Enumeration ──────────────────────────────────────────────────────────────────────────────────


def test_one_two_and_three_sites_are_as_by_hand():
    h, J = 0.3, -0.8
    assert enumeration.log_partition(np.array([h]), "±1") == pytest.approx(
        math.log(2 * math.cosh(h)), rel=1e-15
    )
    assert enumeration.log_partition(np.array([h]), "0/1") == pytest.approx(
        math.log1p(math.exp(h)), rel=1e-15
    )
    # Two spins without fields: Z = 4 cosh J and ⟨s s'⟩ = tanh J.
    log_z, phi = enumeration.expectations(np.array([0, 0, J]), "±1")
    assert log_z == pytest.approx(math.log(4 * math.cosh(J)), rel=1e-15)
    np.testing.assert_allclose(phi, [0, 0, math.tanh(J)], atol=1e-15)
    z = 1 + math.exp(0.2) + math.exp(0.5) + math.exp(0.7 + J)
    log_z, phi = enumeration.expectations(np.array([0.2, 0.5, J]), "0/1")
    assert log_z == pytest.approx(math.log(z), rel=1e-15)
    expected = [math.exp(0.2), math.exp(0.5), 0] + np.array([1, 1, 1]) * math.exp(0.7 + J)
    np.testing.assert_allclose(phi, expected / z, rtol=1e-14)
    # A triangle of equal couplings: two states of exponent 3J, six of −J.
    log_z, phi = enumeration.expectations(np.array([0, 0, 0, J, J, J]), "±1")
    z = 2 * math.exp(3 * J) + 6 * math.exp(-J)
    assert log_z == pytest.approx(math.log(z), rel=1e-15)
    pair = (2 * math.exp(3 * J) - 2 * math.exp(-J)) / z
    np.testing.assert_allclose(phi, [0, 0, 0, pair, pair, pair], atol=1e-15)


@both
@pytest.mark.parametrize("sites", [1, 2, 3, 5, 7])
def test_sums_are_those_of_brute_force(sites, encoding):
    theta = parameters(sites)
    log_z, phi, fisher = brute(theta, sites, encoding)
    found = enumeration.expectations(theta, encoding)
    assert found[0] == pytest.approx(log_z, rel=1e-14)
    np.testing.assert_allclose(found[1], phi, atol=1e-14)
    for name, value in zip(
        ("log Z", "φ", "F"), enumeration.curvature(theta, encoding), strict=True
    ):
        expected = {"log Z": log_z, "φ": phi, "F": fisher}[name]
        np.testing.assert_allclose(value, expected, atol=1e-14, err_msg=name)


@both
@pytest.mark.parametrize("width", [0.5, 60.0])
def test_sums_by_rows_are_those_of_all_states_together(width, encoding):
    # Of 13 sites three are held in a row; couplings this strong are in vain in all of them.
    sites, theta = 13, parameters(13, 4, width)
    states = coding.decoded(np.arange(1 << sites), sites, encoding).astype(float)
    i, j = coding.pairs(sites)
    phi = np.concatenate([states, states[:, i] * states[:, j]], axis=1)
    exponents = phi @ theta
    weights = np.exp(exponents - exponents.max())
    log_z = exponents.max() + np.log(weights.sum())
    found, moments = enumeration.expectations(theta, encoding)
    assert [found, enumeration.log_partition(theta, encoding)] == pytest.approx([log_z] * 2)
    np.testing.assert_allclose(moments, weights @ phi / weights.sum(), atol=1e-12)
    log_z, p = enumeration.probabilities(theta, encoding)
    assert log_z == found
    np.testing.assert_allclose(p, weights / weights.sum(), rtol=1e-9, atol=1e-100)


@both
def test_states_are_drawn_as_often_as_they_are_probable_and_averaged(encoding):
    sites, theta = 12, parameters(12, 6, 0.5)
    _, p = enumeration.probabilities(theta, encoding)
    drawn = enumeration.drawn(p, 100_001, rng(8))
    counts, common = np.bincount(drawn, minlength=p.size), p * len(drawn) > 10
    expected = p[common] * len(drawn)
    chi_square = np.sum((counts[common] - expected) ** 2 / expected)
    assert stats.chi2(common.sum()).sf(chi_square) > 1e-4
    triples = predictive.followed(sites)
    for found, summed in zip(
        enumeration.weighed(drawn, sites, encoding, triples),
        vars(predictive.Summary.of(counts / len(drawn), encoding)).values(),
        strict=True,
    ):
        np.testing.assert_allclose(found, summed, atol=1e-12)


@both
def test_independent_sites_and_twenty_of_them(encoding):
    sites = 20
    h = rng(1).normal(-1, 0.5, sites)
    theta = enumeration.pack(h, np.zeros(190))
    log_z, phi = enumeration.expectations(theta, encoding)
    i, j = coding.pairs(sites)
    each = np.log(2 * np.cosh(h)) if encoding == "±1" else np.log1p(np.exp(h))
    mean = np.tanh(h) if encoding == "±1" else 1 / (1 + np.exp(-h))
    assert log_z == pytest.approx(each.sum(), rel=1e-13)
    np.testing.assert_allclose(phi, [*mean, *mean[i] * mean[j]], atol=1e-12)
    fisher = enumeration.curvature(theta, encoding)[2]
    variance = mean * (1 - mean) if encoding == "0/1" else 1 - mean**2
    np.testing.assert_allclose(fisher[:sites, :sites], np.diag(variance), atol=1e-12)


@both
def test_derivatives_of_log_z_are_differences(encoding):
    sites, step = 5, 1e-5
    theta = parameters(sites, 2)
    unit = step * np.eye(theta.size)
    up, down = (enumeration.expectations(theta + side * unit, encoding) for side in (1, -1))
    _, phi, fisher = enumeration.curvature(theta, encoding)
    np.testing.assert_allclose(phi, (up[0] - down[0]) / (2 * step), atol=1e-9)
    np.testing.assert_allclose(fisher, (up[1] - down[1]) / (2 * step), atol=1e-9)


@both
def test_batches_large_exponents_and_cores_change_nothing(encoding):
    theta = np.stack([parameters(12, key) for key in range(40)]).reshape(8, 5, -1)
    one = np.array([[enumeration.log_partition(t, encoding) for t in row] for row in theta])
    for workers in (1, 2):
        np.testing.assert_array_equal(enumeration.log_partition(theta, encoding, workers), one)
        log_z, phi = enumeration.expectations(theta, encoding, workers)
        np.testing.assert_allclose(log_z, one, rtol=1e-14)
        np.testing.assert_array_equal(phi[3, 2], enumeration.expectations(theta[3, 2], encoding)[1])
    # The states of the largest exponent alone count: a log-sum-exp does not overflow.
    assert enumeration.log_partition(np.array([2000.0, 3000.0, 0.0]), encoding) == 5000.0


@both
def test_products_population_and_entropy_are_those_of_brute_force(encoding):
    theta = parameters(5, 3)
    log_z, p = enumeration.probabilities(theta, encoding)
    q = enumeration.products(p, encoding)
    states = coding.decoded(np.arange(32), 5, encoding)
    np.testing.assert_array_equal(coding.codes(states), np.arange(32))
    expected = [math.exp(exponent(theta, state) - log_z) for state in states]
    np.testing.assert_allclose(p, expected, rtol=1e-13)
    for subset in range(32):
        chosen = [i for i in range(5) if subset >> i & 1]
        assert q[subset] == pytest.approx(p @ np.prod(states[:, chosen], axis=1), abs=1e-14)
    on = np.sum(states == 1, axis=1)
    np.testing.assert_allclose(
        enumeration.population(p), [p[on == k].sum() for k in range(6)], atol=1e-15
    )
    assert enumeration.entropy(p) == pytest.approx(-np.sum(p * np.log2(p)), rel=1e-13)


@pytest.mark.parametrize("size", [20, 5000])
def test_samples_have_the_probabilities_of_the_states(size):
    sites = 9
    _, p = enumeration.probabilities(parameters(sites, 4, 0.4), "±1")
    counts = sum(enumeration.sample(p, size, rng(5, k)) for k in range(60_000 // size))
    assert counts.sum() == 60_000
    assert stats.chisquare(counts, counts.sum() * p / p.sum()).pvalue > 1e-3


# ── Encodings ────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(1, 6), st.floats(0.01, 3.0), st.integers(0, 10**6), st.booleans())
def test_converted_parameters_are_the_same_distribution(sites, width, seed, forth):
    theta = rng(seed).normal(0, width, sites * (sites + 1) // 2)
    source, target = ("±1", "0/1") if forth else ("0/1", "±1")
    h, J, constant = coding.convert(*enumeration.unpack(theta), source, target)
    before, p = enumeration.probabilities(theta, source)
    after, other = enumeration.probabilities(enumeration.pack(h, J), target)
    np.testing.assert_allclose(other, p, atol=1e-12)
    assert after - before == pytest.approx(constant, abs=1e-11)
    back_h, back_J, back = coding.convert(h, J, target, source)
    np.testing.assert_allclose(enumeration.pack(back_h, back_J), theta, atol=1e-12)
    assert back == pytest.approx(-constant, abs=1e-11)


def test_conversion_takes_leading_axes_and_refuses_nonsense():
    theta = np.stack([parameters(4, key) for key in range(6)]).reshape(2, 3, -1)
    h, J = enumeration.unpack(theta)
    found = coding.convert(h, J, "±1", "0/1")
    assert [part.shape for part in found] == [(2, 3, 4), (2, 3, 6), (2, 3)]
    alone = coding.convert(h[1, 2], J[1, 2], "±1", "0/1")
    for part, expected in zip(found, alone, strict=True):
        np.testing.assert_array_equal(part[1, 2], expected)
    same = coding.convert(h, J, "±1", "±1")
    np.testing.assert_array_equal(same[0], h)
    with pytest.raises(DataError, match="do not fit together"):
        coding.convert(h, J[..., :-1], "±1", "0/1")
    with pytest.raises(DataError, match="unknown encoding; expected '±1' or '0/1', found '01'"):
        coding.convert(h, J, "±1", "01")


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(6, 40))
def test_moments_change_encoding_exactly(seed, sites, samples):
    spins = rng(seed).choice([-1, 1], (samples, sites))
    of_spins, of_counts = coding.moments(spins, "±1"), coding.moments((spins + 1) // 2, "0/1")
    for a, b in ((of_spins.encoded("0/1"), of_counts), (of_counts.encoded("±1"), of_spins)):
        np.testing.assert_allclose(a.statistics, b.statistics, atol=1e-14)
    products = [features(state) for state in spins]
    np.testing.assert_allclose(of_spins.statistics, np.mean(products, axis=0), atol=1e-14)


def test_moments_of_another_encoding_are_not_fitted():
    counts = coding.moments(sampled(3, "0/1", 500, 2), "0/1")
    with pytest.raises(DataError, match="another encoding; expected ±1, found 0/1"):
        pairwise.fit(counts, encoding="±1")


# ── Optimum ──────────────────────────────────────────────────────────────────────────────────────


@both
def test_maximum_likelihood_matches_moments(encoding):
    states = sampled(10, encoding, 20_000, 6)
    data = coding.moments(states, encoding)
    found = pairwise.maximum_likelihood(states, encoding=encoding)
    phi = enumeration.expectations(found.theta, encoding)[1]
    assert np.max(np.abs(phi - data.statistics)) < 1e-10
    # The likelihood knows no encoding.
    other = "0/1" if encoding == "±1" else "±1"
    elsewhere = pairwise.maximum_likelihood(data.encoded(other), encoding=other)
    h, J, _ = coding.convert(elsewhere.h, elsewhere.J, other, encoding)
    np.testing.assert_allclose(enumeration.pack(h, J), found.theta, atol=1e-7)
    assert elsewhere.log_density == pytest.approx(found.log_density, rel=1e-10)


def test_maximum_likelihood_of_few_sites_is_a_formula():
    states = np.array([[1, 1]] * 5 + [[1, -1]] * 2 + [[-1, 1]] * 3 + [[-1, -1]] * 4)
    found = pairwise.maximum_likelihood(states, encoding="±1")
    both_, first, second, none = np.log([5, 2, 3, 4])
    assert found.J.item() == pytest.approx((both_ + none - first - second) / 4, rel=1e-10)
    assert found.h[0] == pytest.approx((both_ + first - second - none) / 4, rel=1e-9)
    found = pairwise.maximum_likelihood(np.array([[1]] * 3 + [[0]]), encoding="0/1")
    assert found.h.item() == pytest.approx(math.log(3), rel=1e-8)


def test_what_the_data_leave_open_is_named_and_left_to_the_prior():
    states = sampled(5, "0/1", 60, 7)
    states[:, 2] = 0  # never on
    states[:, 4] &= 1 - states[:, 0]  # never on together with 0
    with pytest.raises(FitError, match=r"site 2 never.*pair \(0, 4\)") as error:
        pairwise.maximum_likelihood(states, encoding="0/1")
    assert error.value.evidence["sites"].tolist() == [2]
    assert [0, 4] in error.value.evidence["pairs"].tolist()
    found = pairwise.maximum_likelihood(states, encoding="0/1", prior=default("0/1"))
    assert found.h[2] < -2 and np.abs(found.theta).max() < 20
    assert np.max(np.abs(found.gradient)) < 60 * 1e-10
    assert check(pairwise.fit(states, encoding="0/1", settings=SHORT.replace(draws=600))).believed
    with pytest.raises(FitError, match="no common optimum"):
        pairwise.maximum_likelihood(states, encoding="0/1", prior=default("0/1", inferred=True))


def test_a_ray_that_no_single_pair_shows_is_no_optimum():
    # Never all three alike: every pair has all four combinations, yet Σ s s' is at its least.
    states = [s for s in every_state(3, "±1") if abs(sum(s)) < 3] * 4
    assert not any(part.size for part in optimum.edges(coding.moments(np.array(states), "±1")))
    with pytest.raises(FitError, match="no optimum was found"):
        pairwise.maximum_likelihood(np.array(states), encoding="±1")


# ── Definition and priors ────────────────────────────────────────────────────────────────────────

PRIORS = {
    "normal": CouplingPrior(Normal(-0.3, 1.5), Normal(0.1, 0.7)),
    "inferred": CouplingPrior(Normal(0.2, 1.0), HalfCauchy(0.5)),
}


@pytest.mark.parametrize(("name", "encoding"), [("normal", "0/1"), ("inferred", "±1")])
def test_the_density_is_that_of_the_model(name, encoding):
    problem = pairwise.problem(sampled(4, encoding, 80, 8), encoding=encoding, prior=PRIORS[name])
    density.holds(problem, centred=True)
    density.must_fail(problem, centred=True)


@pytest.mark.parametrize(("name", "encoding"), [("normal", "0/1"), ("inferred", "±1")])
def test_its_slopes_are_those_of_the_model(name, encoding):
    problem = pairwise.problem(sampled(4, encoding, 80, 8), encoding=encoding, prior=PRIORS[name])
    own, model = problem.sums, problem.pymc(centred=True)
    free = [model[v] for v in ("h", "J")]
    slope = model.compile_dlogp(vars=free, jacobian=False, mode="FAST_COMPILE")
    for key, scale in ((1, 0.4), (2, 1.3), (3, 0.7)):
        theta = parameters(4, key)
        draws = problem.named(theta, np.float64(scale))
        value, gradient = own.gradient(theta, scale)
        assert value == pytest.approx(own.log_density(theta, scale), rel=1e-13)
        assert value == pytest.approx(own.curvature(theta, scale)[0], rel=1e-13)
        stored = sum(np.sum(each) for each in problem.log_likelihood(draws).values())
        stored += sum(problem.log_factors(draws).values())
        assert value == pytest.approx(stored, rel=1e-12)
        np.testing.assert_allclose(
            gradient, slope(density.point(model, draws)), rtol=1e-9, atol=1e-9
        )


def test_curvature_is_a_difference_of_gradients():
    problem = Pairwise(coding.moments(sampled(3, "0/1", 50, 9), "0/1"), PRIORS["inferred"])
    theta, step = parameters(3, 9), 1e-5
    unit = step * np.eye(6)
    up, down = (problem.gradient(theta + side * unit, 0.6)[1] for side in (1, -1))
    precision = problem.curvature(theta, 0.6)[2]
    np.testing.assert_allclose(precision, (down - up) / (2 * step), atol=1e-6)


@pytest.mark.parametrize("hyper", [HalfCauchy(0.5), LogNormal(0.8, 0.6)], ids=str)
@pytest.mark.parametrize("sites", [2, 4, 12])
def test_the_width_is_integrated_out_and_drawn(hyper, sites):
    from scipy.integrate import quad

    prior = CouplingPrior(Normal(0, 1), hyper)
    h, J = enumeration.unpack(parameters(sites, 10, 0.3))

    def area(low, high):
        return quad(
            lambda t: math.exp(prior.log_density(h, J, math.exp(t)) + t - level),
            low,
            high,
            limit=200,
            points=[math.log(0.3)] if low < math.log(0.3) < high else None,
        )[0]

    level = prior.log_density(h, J, 0.3)
    whole = area(-8, 25)
    assert prior.log_marginal(h, J) == pytest.approx(math.log(whole) + level, abs=1e-5)
    for u in (0.05, 0.5, 0.9):
        drawn = prior.sample_scale(J[None], np.array([u]))
        assert area(-8, math.log(drawn.item())) / whole == pytest.approx(u, abs=2e-3)


# ── Posteriors ───────────────────────────────────────────────────────────────────────────────────


def summary(tree, name):
    values = tree["posterior"][name].values
    return values.mean(axis=(0, 1)), values.std(axis=(0, 1))


@pytest.mark.parametrize("method", ["mcmc", "laplace"])
def test_one_site_has_the_posterior_of_quadrature(method):
    states = np.array([[1]] * 9 + [[0]] * 21)
    prior = CouplingPrior(Normal(0.0, 1.0), Normal(0.0, 1.0))
    found = pairwise.fit(states, encoding="0/1", prior=prior, method=method, settings=LONG)
    h = np.linspace(-5, 4, 4001)
    weight = np.exp(9 * h - 30 * np.log1p(np.exp(h)) - 0.5 * h**2)
    weight /= weight.sum()
    mean = weight @ h
    sd = math.sqrt(weight @ (h - mean) ** 2)
    # A quadratic approximation misses the skewness of a mere thirty states.
    slack = 0.06 if method == "mcmc" else 0.15
    found_mean, found_sd = summary(found, "h")
    assert abs(found_mean[0] - mean) < slack * sd
    assert found_sd[0] == pytest.approx(sd, rel=slack)


@pytest.mark.parametrize("prior", ["normal", "inferred"])
def test_two_sites_have_the_posterior_of_quadrature(prior):
    states = sampled(2, "±1", 25, 11)
    found = pairwise.fit(states, encoding="±1", prior=prior, settings=LONG)
    problem = Pairwise(coding.moments(states, "±1"), default("±1", prior == "inferred"))
    axis = [np.linspace(centre - 2, centre + 2, 81) for centre in summary(found, "h")[0]]
    axis.append(np.linspace(-1.7, 1.9, 88))  # J = 0, where an inferred width peaks, is no point
    grid = np.stack(np.meshgrid(*axis, indexing="ij"), axis=-1).reshape(-1, 3)
    of_J = problem.prior.log_marginal(np.zeros((88, 2)), axis[2][:, None])
    of_J = of_J - 2 * problem.prior.h.log_density(0.0)
    log_p = problem.log_likelihood(grid) + np.tile(of_J, 81 * 81)
    log_p += problem.prior.h.log_density(grid[:, :2]).sum(axis=1)
    weight = np.exp(log_p - log_p.max())
    weight /= weight.sum()
    mean = weight @ grid
    sd = np.sqrt(weight @ (grid - mean) ** 2)
    draws = enumeration.pack(found["posterior"]["h"].values, found["posterior"]["J"].values)
    np.testing.assert_allclose((draws.mean(axis=(0, 1)) - mean) / sd, 0, atol=0.1)
    np.testing.assert_allclose(draws.std(axis=(0, 1)), sd, rtol=0.1)


@pytest.fixture(scope="module")
def four_sites():
    """Sixty states of four sites: a posterior that is wide and skewed."""
    states = sampled(4, "0/1", 60, 12)
    return states, pairwise.fit(states, encoding="0/1", settings=LONG)


@pytest.mark.slow
def test_own_sampler_and_nuts_agree(four_sites):
    states, own = four_sites
    nuts = pairwise.fit(states, encoding="0/1", method="nuts", settings=LONG)
    assert check(own).believed and check(nuts).believed
    assert own.attrs["inference"] == "mle+mcmc" and nuts.attrs["inference"] == "nuts"
    for name in ("h", "J"):
        (a, sd_a), (b, sd_b) = summary(own, name), summary(nuts, name)
        np.testing.assert_allclose((a - b) / sd_b, 0, atol=0.1)
        np.testing.assert_allclose(sd_a, sd_b, rtol=0.08)


def test_a_wrong_target_is_told_apart(four_sites):
    # The same comparison fails where the chain follows a slightly different posterior.
    states, own = four_sites
    wrong = pairwise.fit(states[:54], encoding="0/1", settings=LONG)
    away = [
        np.abs(summary(wrong, n)[0] - summary(own, n)[0]) / summary(own, n)[1] for n in ("h", "J")
    ]
    assert np.concatenate(away).max() > 0.2


@pytest.mark.parametrize("prior", ["normal", "inferred"])
def test_many_data_make_the_posterior_normal(prior):
    states = sampled(4, "±1", 20_000, 13, width=0.4)
    own, flat = (
        pairwise.fit(
            states, encoding="±1", prior=prior, method=method, settings=LONG.replace(draws=600)
        )
        for method in ("mcmc", "laplace")
    )
    assert check(own).believed and check(flat).believed
    for name in ("h", "J", *(["scale"] if prior == "inferred" else [])):
        (a, sd_a), (b, sd_b) = summary(own, name), summary(flat, name)
        np.testing.assert_allclose((a - b) / sd_b, 0, atol=0.1)
        np.testing.assert_allclose(sd_a, sd_b, rtol=0.1)
    best = pairwise.maximum_likelihood(states, encoding="±1")
    np.testing.assert_allclose((summary(own, "J")[0] - best.J) / summary(own, "J")[1], 0, atol=0.3)


def test_few_data_and_a_width_that_may_vanish_are_sampled():
    # The same posterior by importance weights of the mixture, which knows nothing of chains.
    data = coding.moments(sampled(4, "±1", 25, 14, width=0.2), "±1")
    problem = Pairwise(data, default("±1", inferred=True))
    theta, scale, evidence = routes.mcmc(problem, Settings(draws=1200, tune=200))
    assert not evidence["diverging"].any()
    mixed, widths, evidence = routes.laplace(problem, Settings(draws=3000))
    weight = np.exp(evidence["log_weight"].values - evidence["log_weight"].values.max())
    weight /= weight.sum()
    for own, other in ((np.log(scale), np.log(widths)), (theta[..., 5], mixed[..., 5])):
        mean = np.sum(weight * other)
        sd = math.sqrt(np.sum(weight * (other - mean) ** 2))
        assert abs(own.mean() - mean) < 0.2 * sd
        assert own.std() == pytest.approx(sd, rel=0.15)


@pytest.mark.parametrize(
    ("encoding", "inferred"),
    [("±1", False), pytest.param("0/1", True, marks=pytest.mark.slow)],
)
def test_ranks_of_the_truth_are_uniform(encoding, inferred):
    wide = 0.8 if encoding == "±1" else 1.5
    prior = CouplingPrior(Normal(0, wide), HalfCauchy(0.4) if inferred else Normal(0, wide))
    ranks = []
    for seed in range(40):
        settings = Settings(seed=seed, draws=45, tune=30, chains=2)
        h, J, _ = prior.sample(settings.generator("truth"), 3, 3, 1)
        theta = enumeration.pack(h, J)
        _, p = enumeration.probabilities(theta[0], encoding)
        states = settings.generator("data").choice(8, 80, p=p)
        data = coding.moments(coding.decoded(states, 3, encoding), encoding)
        draws, _, _ = routes.mcmc(Pairwise(data, prior), settings)
        ranks.append(np.mean(draws[:, ::3].reshape(-1, 6) < theta[0], axis=0))
    # Loose: forty replications see gross errors only.
    worst = min(stats.kstest(np.array(ranks)[:, k], "uniform").pvalue for k in range(6))
    assert worst > 1e-3


# ── The container ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("prior", ["normal", "inferred"])
def test_a_fit_is_complete_and_can_be_rebuilt(prior, tmp_path):
    states = xr.DataArray(
        sampled(3, "0/1", 1203, 15).T, dims=("site", "sample"), coords={"site": ["a", "b", "c"]}
    )
    found = pairwise.fit(states, encoding="0/1", prior=prior, settings=SHORT.replace(draws=400))
    assert set(REQUIRED_GROUPS) <= set(found.children)
    verdict = check(found)
    assert verdict.believed, verdict.words
    assert found.attrs["encoding"] == "0/1"
    draws = found["posterior"]
    assert draws["J"].dims == ("chain", "draw", "pair") and draws["h"].dims[2:] == ("site",)
    assert draws["i"].values.tolist() == ["a", "a", "b"]
    assert draws["j"].values.tolist() == ["b", "c", "c"]
    # The blocks add up to the likelihood of all data, and so does what is observed.
    theta = enumeration.pack(draws["h"].values, draws["J"].values)
    problem = Pairwise(coding.moments(states, "0/1"), default("0/1", prior == "inferred"))
    total = found["log_likelihood"]["states"].sum("block")
    assert found["log_likelihood"].sizes["block"] == 500
    np.testing.assert_allclose(total, problem.log_likelihood(theta), rtol=1e-10)
    seen = found["observed_data"]
    log_p = [[exponent(t, s) for s in seen["states"].values] for t in theta[0, :3]]
    log_z = found["sample_stats"]["log_partition"].values[0, :3]
    expected = log_p @ seen["count"].values - 1203 * log_z
    np.testing.assert_allclose(total[0, :3], expected, rtol=1e-10)
    assert loo(found)["elpd"] == pytest.approx(float(total.mean()), abs=20)
    factors = sum(found["log_prior"][name] for name in found["log_prior"])
    scale = draws["scale"].values if prior == "inferred" else 1.0
    h, J = draws["h"].values, draws["J"].values
    np.testing.assert_allclose(factors, problem.prior.log_density(h, J, scale))
    assert found["prior_predictive"].sizes["draw"] == SHORT.prior_draws
    replica = found["posterior_predictive"]
    np.testing.assert_allclose(replica["population"].sum("active"), 1.0)
    np.testing.assert_allclose(replica["triple_mean"][..., 0], replica["population"][..., 3])
    np.testing.assert_allclose(seen["mean"], states.values.mean(axis=1))
    again = load(save(found, tmp_path / "fit.nc"))
    assert again["posterior"].equals(found["posterior"]) and again.attrs == found.attrs


def test_moments_alone_give_the_same_posterior():
    states = sampled(4, "±1", 300, 16)
    whole = pairwise.fit(states, encoding="±1", settings=SHORT)
    short = pairwise.fit(coding.moments(states, "±1"), encoding="±1", settings=SHORT)
    np.testing.assert_allclose(short["posterior"]["J"], whole["posterior"]["J"], rtol=1e-6)
    assert short["log_likelihood"].sizes["block"] == 1
    judged = short["sample_stats"]["discrepancy_observed"]
    assert judged["statistic"].values.tolist() == [
        "largest mean residual",
        "largest pair residual",
        "variance of the number on",
    ]
    both_ = whole["sample_stats"]["discrepancy_observed"].sel(statistic=judged["statistic"])
    np.testing.assert_allclose(judged, both_, rtol=1e-6)
    number = np.sum(states == 1, axis=1)
    assert float(judged[0, 0, 2]) == pytest.approx(number.var(), rel=1e-10)
    third = whole["sample_stats"]["discrepancy_observed"].values[0, 0]
    assert third[3] == pytest.approx(np.mean(number == 0))
    assert third[4] == pytest.approx(np.mean((number - number.mean()) ** 3))
    again = pairwise.fit(states, encoding="±1", settings=SHORT.replace(workers=1))
    np.testing.assert_array_equal(again["posterior"]["J"], whole["posterior"]["J"])


@both
def test_triples_beyond_the_pairs_are_a_sum_of_squares(encoding):
    """At θ itself T is χ², one for each triple; a model without them does not move it."""
    theta = parameters(5, 3, 0.4)
    _, p = enumeration.probabilities(theta, encoding)
    weighed = {"triples": predictive.beyond_pairs(theta, encoding)}

    def statistic(weights, samples):
        made = predictive.statistics([predictive.Summary.of(weights, encoding)], (1,))
        data = coding.Moments(encoding, samples, made["mean"][0], made["pair_mean"][0])
        return predictive.triple_residual(made, weighed, data)[0]

    found = [statistic(enumeration.sample(p, 4000, rng(k)) / 4000, 4000) for k in range(400)]
    assert stats.kstest(found, "chi2", (10,)).pvalue > 1e-3
    # A tilt along means and pairs is what a fit takes up; one along a triple is not.
    states = np.array(every_state(5, encoding))[:, ::-1]
    for column, by, seen in (
        (states[:, 0], 0.05, False),
        (states[:, 0] * states[:, 3], 0.05, False),
        (np.prod(states[:, :3], axis=1), 0.4, True),
    ):
        tilted = p * np.exp(by * column)
        assert (statistic(tilted / tilted.sum(), 100_000) > 30) == seen


def test_a_model_that_is_not_pairwise_is_not_believed():
    # Three spins whose product is always 1 have no couplings at all.
    states = [s for s in every_state(3, "±1") if math.prod(s) == 1] * 100
    verdict = check(pairwise.fit(np.array(states), encoding="±1", settings=SHORT))
    failed = [item.name for item in verdict.checks if not item.passed and item.required]
    assert "predictive p" in failed


# ── Bad input ────────────────────────────────────────────────────────────────────────────────────


def with_value(value):
    states = sampled(3, "±1", 20).astype(float)
    states[4, 1] = value
    return states


@pytest.mark.parametrize(
    ("states", "words"),
    [
        (
            with_value(0.5),
            r"row 4, site 1: a state is not of the encoding ±1; expected -1 or 1, "
            r"found 0\.5$",
        ),
        (with_value(np.nan), "row 4, site 1: .*found nan$"),
        (with_value(0), "found 0$"),
        (sampled(3, "0/1", 20), "say encoding='0/1'$"),
        (sampled(6, "±1", 30).T, "fewer samples than sites.*transpose"),
        (sampled(6, "±1", 5), "DataArray with dimensions sample and site$"),
        (np.ones(5), r"expected numbers \(sample, site\)"),
        (np.ones((0, 3)), "wrong form"),
        (np.full((4, 2), "1"), "wrong form"),
    ],
)
def test_bad_states_are_refused_in_one_line(states, words):
    with pytest.raises(DataError, match=words) as error:
        pairwise.fit(states, encoding="±1")
    assert "\n" not in str(error.value)


def test_other_bad_input():
    states = sampled(3, "±1", 40)
    with pytest.raises(DataError, match="unknown encoding"):
        pairwise.fit(states, encoding="spins")
    with pytest.raises(FitError, match="unknown method 'gibbs': use one of mcmc, laplace, nuts"):
        pairwise.fit(states, encoding="±1", method="gibbs")
    with pytest.raises(FitError, match="unknown prior 'lasso'"):
        pairwise.fit(states, encoding="±1", prior="lasso")
    with pytest.raises(DataError, match="no such prior of the couplings"):
        CouplingPrior(Normal(), Uniform())
    with pytest.raises(DataError, match="no such prior of the fields"):
        CouplingPrior(HalfCauchy(), Normal())
    with pytest.raises(DataError, match="prior of J is not proper"):
        CouplingPrior(Normal(), Normal(0, math.inf))
    with pytest.raises(FitError, match="at most 12 sites"):
        pairwise.fit(sampled(13, "±1", 40), encoding="±1", method="nuts")
    with pytest.raises(DataError, match="contradict each other; expected no negative"):
        coding.Moments("0/1", 10, [0.5, 0.5], [0.6])
    with pytest.raises(DataError, match="impossible in the encoding 0/1"):
        coding.Moments("0/1", 10, [-0.5], [])
    with pytest.raises(DataError, match=r"means \(N,\) and pair moments"):
        coding.Moments("0/1", 10, [0.5, 0.5], [])
    few = xr.DataArray(sampled(6, "±1", 5), dims=("sample", "site"))
    assert coding.moments(few, "±1").samples == 5


# ── Reference data ───────────────────────────────────────────────────────────────────────────────


def test_ten_retinal_cells_have_the_published_entropies(reference_data):
    from bayesinf import data

    path = reference_data / "retina" / "bint_fishmovie32_100.mat"
    if not path.is_file():
        pytest.skip("no retina recording in ../shared/data")
    cells = data.read(path)["bint"].values[:, :10, :]
    states = np.moveaxis(cells, 1, 2).reshape(-1, 10)
    found = pairwise.maximum_likelihood(states, encoding="0/1")
    seen = coding.moments(states, "0/1")
    log_z, p = enumeration.probabilities(found.theta, "0/1")

    def bits(q):
        return stats.entropy(q, base=2)

    alone = sum(bits([mean, 1 - mean]) for mean in seen.mean)
    counts = np.bincount(coding.codes(states), minlength=1024)
    assert alone == pytest.approx(1.649651, abs=1e-6)
    assert enumeration.entropy(p) == pytest.approx(1.609104, abs=1e-6)
    assert bits(counts) == pytest.approx(1.603539, abs=1e-6)
    assert log_z == pytest.approx(0.239387, abs=1e-6)


@both
def test_a_normal_whose_slopes_vanish_on_average_is_nearer_to_the_posterior_mean(encoding):
    data = coding.moments(sampled(5, encoding, 150, key=3), encoding)
    problem = Pairwise(data, default(encoding))
    top = widths.PairwiseWidths(problem).best
    moved = widths.at_mean(problem, top, rng(4))
    theta = routes.mcmc(problem, LONG.replace(draws=1000))[0]
    mean = theta.mean(axis=(0, 1))

    def off(near):
        return np.linalg.norm(near.normal.root[0].T @ (near.theta[0] - mean))

    # 4000 draws, nearly independent: their own mean is off by √(15 / 4000) = 0.06.
    assert off(top) > 0.5
    assert off(moved) < 0.5 * off(top)
