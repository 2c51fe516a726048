"""The linear family: each fast route against closed forms, enumeration and the definition."""

import itertools
import json

import arviz as az
import density
import numpy as np
import pytest
from regressions import beside, free_values, horseshoe
from scipy import integrate, stats

from bayesinf import priors
from bayesinf.errors import DataError, FitError
from bayesinf.models import linear
from bayesinf.models.linear import exact, gibbs, regression, spike, spike_kernel
from bayesinf.models.linear.conditional import Factors
from bayesinf.models.linear.scale_priors import told
from bayesinf.priors import Beta, HalfCauchy, InverseChi
from bayesinf.settings import Settings

SHORT = Settings(draws=50, tune=50, chains=2, prior_draws=20, workers=1)

PRIORS = {
    "normal": linear.Gaussian(HalfCauchy(1.0)),
    "laplace": linear.Laplace(HalfCauchy(0.5)),
    "relative laplace": linear.Laplace(HalfCauchy(2.0), relative=True),
    "spike_and_slab": linear.SpikeAndSlab(Beta(1.0, 2.0), HalfCauchy(1.0)),
    "student": linear.Student(HalfCauchy(0.5), dof=4.0),
    "horseshoe": linear.Horseshoe(HalfCauchy(0.5), InverseChi(4.0, 1.0)),
}


def toy(n=12, p=4, seed=0, noise=0.3, intercept=0.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    beta = np.where(np.arange(p) % 2, 0.0, 1.0 - 0.3 * np.arange(p))
    return X, X @ beta + intercept + noise * rng.normal(size=n)


def flat(fit, name):
    values = fit["posterior"][name].values
    return values.reshape(-1, *values.shape[2:])


# ── The definition ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("noise", [None, 0.4])
@pytest.mark.parametrize("name", PRIORS)
def test_densities_are_those_of_the_definition(name, noise, intercept):
    X, y = toy(intercept=0.7)
    problem = regression(X, y, PRIORS[name], noise=noise, intercept=intercept, name="J")
    density.holds(problem, values=free_values(problem), extra=beside(problem), centred=True)


# PyMC's forward draws leave out the potential that is the horseshoe's slab.
@pytest.mark.parametrize("name", [name for name in PRIORS if name != "horseshoe"])
def test_prior_draws_follow_the_definition(name):
    import pymc as pm

    X, y = toy()
    problem = regression(X, y, PRIORS[name])
    ours = problem.sample_prior(np.random.default_rng(1), 4000)
    with problem.pymc(centred=True):
        theirs = pm.sample_prior_predictive(
            4000, random_seed=2, compile_kwargs={"mode": "FAST_COMPILE"}
        )["prior"]
    for variable, draws in ours.items():
        first = draws.reshape(len(draws), -1)[:, 0].astype(float)
        other = theirs[variable].values.reshape(4000, -1)[:, 0].astype(float)
        assert stats.ks_2samp(first, other).pvalue > 1e-3, variable


def test_prior_draws_of_a_horseshoe_follow_its_density():
    X, y = toy()
    problem = regression(X, y, linear.Horseshoe(0.5, 1.5))
    draws = problem.sample_prior(np.random.default_rng(1), 4000)["beta"][:, 0]
    w = np.exp(np.linspace(-25, 4, 20_001))
    share = integrate.cumulative_simpson(
        2 * np.exp(problem.prior.log_density(w, 0.5)) * w, x=np.log(w), initial=0
    )
    assert share[-1] == pytest.approx(1, abs=1e-6)
    size = stats.kstest(np.abs(draws), lambda x: np.interp(x, w, share))
    assert size.pvalue > 1e-3 and abs(np.mean(draws > 0) - 0.5) < 0.03


# ── The coefficients given the scales ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (5, 5)])
def test_conditional_against_the_dense_normal(shape):
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=shape), rng.normal(size=shape[0])
    variances, sigma = rng.gamma(1.0, size=shape[1]), 0.4
    variances[0] = 0.0  # a coefficient that a prior has switched off
    design = Factors(X, y)
    given = design.condition(design.kernel(variances), variances, sigma)
    K = X @ np.diag(variances) @ X.T + sigma**2 * np.eye(len(y))
    assert given.log_marginal() == pytest.approx(
        stats.multivariate_normal(cov=K).logpdf(y), rel=1e-10
    )
    gain = np.diag(variances) @ X.T @ np.linalg.inv(K)
    np.testing.assert_allclose(given.mean(), gain @ y, atol=1e-11)
    draws = np.stack([given.draw(rng) for _ in range(20_000)])
    covariance = np.diag(variances) - gain @ X @ np.diag(variances)
    np.testing.assert_allclose(draws.mean(0), gain @ y, atol=5 * np.sqrt(variances.max() / 20_000))
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.04 * variances.max())
    mean, variance = given.leave_one_out()
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        weights = np.linalg.solve(K[np.ix_(rest, rest)], K[rest, i])
        assert mean[i] == pytest.approx(weights @ y[rest], abs=1e-9)
        assert variance[i] == pytest.approx(K[i, i] - weights @ K[rest, i], rel=1e-9)


def test_single_precision_changes_no_draw():
    rng = np.random.default_rng(8)
    X, y = rng.choice([-1.0, 1.0], (60, 64)), rng.normal(size=60)
    variances, sigma = rng.exponential(size=64), 1e-4
    design = Factors(X, y)
    exact = design.condition(design.kernel(variances), variances, sigma)
    kernel = design.kernel(variances, single=True)
    given = design.condition(kernel, variances, sigma)
    assert kernel.dtype == given.factor.dtype == np.float32
    drawn, wanted = (one.draw(np.random.default_rng(9)) for one in (given, exact))
    # A third of the noise by the rounded factor alone, which no draw of the noise would survive.
    np.testing.assert_allclose(drawn, wanted, rtol=0, atol=1e-3 * sigma)
    assert given.log_marginal() == pytest.approx(exact.log_marginal(), abs=1e-3)
    for ours, theirs in zip(given.leave_one_out(), exact.leave_one_out(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    # Where rounding would be felt, in eigenvalues that noise alone keeps from zero, none is.
    X = np.vstack([X, X[:3]])
    design = Factors(X, np.append(y, y[:3]))
    kernel = design.kernel(variances, single=True)
    assert design.condition(kernel, variances, sigma).factor.dtype == float


# ── Exact ────────────────────────────────────────────────────────────────────────────────────────


def dense_log_density(problem, scale, sigma):
    """log p(y, scale, σ) by the dense covariance: the slow twin of ``exact.Scales``."""
    X, y = problem.X, problem.y
    mean, alpha = 0.0, problem.free.get("intercept")
    X = X if problem.centre is None else X - problem.centre
    K = scale**2 * X @ X.T + sigma**2 * np.eye(len(y))
    if alpha:
        K, mean = K + alpha.sd**2, alpha.mean
    value = stats.multivariate_normal(np.full(len(y), mean), K).logpdf(y)
    if "scale" in problem.prior.inferred:
        value += problem.prior.scale.log_density(scale)
    return value if problem.noise_fixed else value + problem.noise.log_density(sigma)


@pytest.mark.parametrize("shape", [(7, 3), (4, 9)])
@pytest.mark.parametrize("intercept", [False, True])
def test_exact_scales_against_the_dense_covariance(shape, intercept):
    X, y = toy(*shape, intercept=1.0)
    problem = regression(X, y, linear.Gaussian(HalfCauchy(1.0)), intercept=intercept)
    scales = exact.Posterior(problem).scales
    points = [(0.3, 0.2), (2.0, 0.01), (0.05, 1.5)]
    ours, slow = [], []
    for scale, sigma in points:
        log_rho = np.array([[2 * np.log(scale / sigma)]])
        b = np.log(sigma) - scales._profile(log_rho)
        jacobian = np.log(scale / 2) + np.log(sigma)
        ours.append(float(scales.log_density(log_rho, b)[0, 0]) - jacobian)
        slow.append(dense_log_density(problem, scale, sigma))
    np.testing.assert_allclose(ours, slow, rtol=1e-8)


@pytest.mark.parametrize(
    "fixed", [{}, {"scale": 0.7}, {"noise": 0.4}, {"scale": 0.7, "noise": 0.4}]
)
@pytest.mark.parametrize("intercept", [False, True])
def test_exact_moments_against_two_dimensional_quadrature(fixed, intercept):
    X, y = toy(9, 3, intercept=0.5)
    prior = linear.Gaussian(fixed.get("scale", HalfCauchy(1.0)))
    problem = regression(X, y, prior, noise=fixed.get("noise"), intercept=intercept)
    alpha = problem.free.get("intercept")
    if intercept:
        X = np.hstack([np.ones((len(X), 1)), X - problem.centre])

    def moments(scale, sigma):
        variances = np.full(X.shape[1], scale**2)
        shift = alpha.mean if intercept else 0.0
        if intercept:
            variances[0] = alpha.sd**2
        design = Factors(X, y - shift)
        given = design.condition(design.kernel(variances), variances, sigma)
        gain = np.linalg.inv(np.diag(1 / variances) + X.T @ X / sigma**2)
        mean = given.mean()[-1]
        return np.array([1.0, mean, mean**2 + gain[-1, -1]])

    def grid(name, low, high):
        return (
            [fixed[name]] if name in fixed else np.exp(np.linspace(np.log(low), np.log(high), 80))
        )

    values, parts = [], []
    for scale, sigma in itertools.product(grid("scale", 1e-2, 1e2), grid("noise", 0.02, 30.0)):
        value = dense_log_density(problem, scale, sigma)
        value += 0 if "scale" in fixed else np.log(scale)
        values.append(value + (0 if "noise" in fixed else np.log(sigma)))
        parts.append(moments(scale, sigma))
    total = np.exp(np.array(values) - max(values)) @ np.array(parts)
    mean, square = total[1:] / total[0]
    settings = Settings(draws=5000, chains=4, prior_draws=4)
    fit = linear.fit(
        problem.X, y, prior, noise=fixed.get("noise"), intercept=intercept, settings=settings
    )
    stored = fit["sample_stats"]
    assert float(stored["beta_closed_form_mean"][-1]) == pytest.approx(mean, abs=2e-3)
    assert float(stored["beta_closed_form_sd"][-1]) == pytest.approx(
        np.sqrt(square - mean**2), rel=5e-3
    )
    draws = flat(fit, "beta")[:, -1]
    assert draws.mean() == pytest.approx(mean, abs=4 * draws.std() / np.sqrt(len(draws)))
    assert draws.std() == pytest.approx(np.sqrt(square - mean**2), rel=0.03)


@pytest.mark.parametrize("shape", [(4, 9), (6, 6)])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("intercept", [False, True])
def test_exact_moments_where_features_outnumber_data_against_the_dense_normal(
    shape, known, intercept
):
    """Of every coefficient: the data leave p - n directions to the prior alone."""
    X, y = toy(*shape, intercept=0.5)
    prior = linear.Gaussian(0.7 if known else HalfCauchy(1.0))
    noise = 0.4 if known else InverseChi(1.0, 0.02)
    problem = regression(X, y, prior, noise=noise, intercept=intercept)
    mean, sd = exact.Posterior(problem).moments()
    alpha = problem.free.get("intercept")
    X = X - problem.centre if intercept else X

    def conditional(scale, sigma):
        ones = alpha.sd**2 if intercept else 0.0
        gain = scale**2 * X.T @ np.linalg.inv(scale**2 * X @ X.T + ones + sigma**2 * np.eye(len(y)))
        centre = gain @ (y - (alpha.mean if intercept else 0.0))
        return centre, scale**2 * (1 - np.sum(gain * X.T, axis=1)) + centre**2

    grid = [(0.7, 0.4)]
    if not known:
        axes = np.exp(np.linspace(np.log(1e-3), np.log(1e3), 40)), np.exp(np.linspace(-6, 3, 40))
        grid = list(itertools.product(*axes))
    weight = [dense_log_density(problem, *at) + (0 if known else np.log(at).sum()) for at in grid]
    weight = np.exp(np.array(weight) - max(weight))
    parts = np.array([conditional(*at) for at in grid])
    first, second = np.tensordot(weight / weight.sum(), parts, 1)
    tolerance = {"rtol": 1e-9} if known else {"rtol": 0.01, "atol": 2e-3}
    np.testing.assert_allclose(mean, first, **tolerance)
    np.testing.assert_allclose(sd, np.sqrt(second - first**2), **tolerance)


@pytest.mark.parametrize("intercept", [False, True])
def test_marginal_log_likelihood_is_that_of_the_left_out_point(intercept):
    X, y = toy(8, 3, intercept=0.5)
    fit = linear.fit(X, y, linear.Gaussian(0.6), noise=0.4, intercept=intercept, settings=SHORT)
    X, centre = X - X.mean(axis=0) if intercept else X, 0.0
    K = 0.36 * X @ X.T + 0.16 * np.eye(len(y))
    if intercept:
        centre, sd = np.mean(y), 10 * np.std(y)  # of its default prior
        K = K + sd**2
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        weights = np.linalg.solve(K[np.ix_(rest, rest)], K[rest, i])
        sd = np.sqrt(K[i, i] - weights @ K[rest, i])
        expected = stats.norm.logpdf(y[i], centre + weights @ (y[rest] - centre), sd)
        np.testing.assert_allclose(fit["log_likelihood"]["y"][..., i], expected, rtol=1e-7)


def test_condition_number_is_that_of_what_the_data_decide():
    """A wide prior leaves it to the features alone; a narrow one takes the weak direction out."""
    X, y = toy(20, 3)
    X[:, 2] = X[:, 1] + 1e-6 * X[:, 2]
    s = np.linalg.svd(X, compute_uv=False)
    for scale, last in ((1e9, 2), (0.6, 1)):
        fit = linear.fit(X, y, linear.Gaussian(scale), noise=0.4, settings=SHORT)
        assert float(fit["sample_stats"]["condition_number"]) == pytest.approx(s[0] / s[last])


@pytest.mark.parametrize("intercept", [False, True])
def test_default_priors_follow_the_units_of_the_data(intercept):
    X, y = toy(intercept=0.5)

    def moments(X, y):
        problem = regression(X, y, "normal", intercept=intercept)
        return np.array(exact.Posterior(problem).moments())

    np.testing.assert_allclose(moments(10 * X, 1000 * y), 100 * moments(X, y), rtol=1e-6)


# ── Gibbs ────────────────────────────────────────────────────────────────────────────────────────


def posterior_of_one(X, y, log_prior, sigma):
    """Mean and sd of a single coefficient by quadrature."""
    X = X[:, 0]
    grid = np.linspace(-4, 4, 40_001)
    log_density = log_prior(grid) - (X @ X * grid**2 - 2 * grid * (X @ y)) / (2 * sigma**2)
    density = np.exp(log_density - log_density.max())
    mean = np.sum(grid * density) / np.sum(density)
    return mean, np.sqrt(np.sum((grid - mean) ** 2 * density) / np.sum(density))


@pytest.mark.parametrize(
    "name",
    ["laplace", "relative laplace", "student", pytest.param("horseshoe", marks=pytest.mark.slow)],
)
def test_gibbs_finds_the_posterior_of_one_coefficient_and_not_another(name):
    X, y = toy(5, 1, noise=1.0)
    sigma = 1.0
    if name == "horseshoe":
        prior = linear.Horseshoe(scale=0.4, slab=2.0)

        def log_prior(beta):
            u = np.linspace(-12, 12, 1001)
            local = np.exp(u)
            return np.log(np.sum(horseshoe(beta[:, None], local, 0.4, 2.0) * local, axis=1))
    elif name == "student":
        prior = linear.Student(scale=0.3, dof=2.0)
        log_prior = lambda beta: stats.t.logpdf(beta, 2.0, scale=0.3)
    else:
        prior = linear.Laplace(scale=0.3, relative=name.startswith("relative"))
        log_prior = lambda beta: -np.abs(beta) / 0.3
    settings = Settings(draws=2500, tune=100, chains=4, prior_draws=4, workers=1)
    draws = flat(linear.fit(X, y, prior, noise=sigma, settings=settings), "beta")[:, 0]

    def agrees(mean, sd):
        return abs(draws.mean() - mean) < 0.06 * sd and abs(draws.std() / sd - 1) < 0.05

    assert agrees(*posterior_of_one(X, y, log_prior, sigma))
    assert not agrees(*posterior_of_one(X, y, lambda beta: 2 * log_prior(beta), sigma))


def test_gibbs_finds_the_noise_whatever_its_unit():
    X, y = toy(3, 1, noise=1.0)
    y, noise = 0.01 * y, InverseChi(3.0, 0.005)
    beta, log_sigma = np.linspace(-0.2, 0.2, 801)[:, None, None], np.linspace(-8, -1, 401)
    value = -np.abs(beta[..., 0]) / 0.005 + noise.log_density(np.exp(log_sigma)) + log_sigma
    value = value + stats.norm.logpdf(y[:, None], X * beta, np.exp(log_sigma)).sum(axis=1)
    weight = np.exp(value - value.max()).sum(axis=0)
    mean = np.average(log_sigma, weights=weight)
    sd = np.sqrt(np.average((log_sigma - mean) ** 2, weights=weight))
    settings = Settings(draws=2500, tune=100, chains=4, prior_draws=4, workers=1)
    found = linear.fit(X, y, linear.Laplace(0.005), noise=noise, settings=settings)["posterior"]
    draws = np.log(found["sigma"].values)
    assert draws.mean() == pytest.approx(mean, abs=0.06 * sd)
    assert draws.std() == pytest.approx(sd, rel=0.06)


def enumerate_models(X, y, rate, width, sigma):
    """Inclusion probabilities and means by the sum over all models, and the evidence."""
    p = X.shape[1]
    weights, means, members = [], [], []
    for model in itertools.product([0, 1], repeat=p):
        on = np.array(model, dtype=bool)
        K = sigma**2 * np.eye(len(y)) + width**2 * X[:, on] @ X[:, on].T
        prior = on.sum() * np.log(rate) + (p - on.sum()) * np.log1p(-rate)
        weights.append(stats.multivariate_normal(cov=K).logpdf(y) + prior)
        mean = np.zeros(p)
        mean[on] = width**2 * X[:, on].T @ np.linalg.solve(K, y)
        means.append(mean)
        members.append(on)
    weights = np.exp(np.array(weights) - np.max(weights))
    weights /= weights.sum()
    return weights @ np.array(members), weights @ np.array(means)


@pytest.mark.parametrize("copies", [pytest.param(False, marks=pytest.mark.slow), True])
def test_spike_and_slab_against_enumeration(copies):
    X, y = toy(10, 5, noise=0.8)
    if copies:  # two identical columns and one nearly so, among which single steps would stick
        X = np.column_stack([X, X[:, 0], X[:, 0] + 0.05 * X[:, 1]])
    rate, width, sigma = 0.3, 1.0, 0.8
    prior = linear.SpikeAndSlab(rate, width)
    settings = Settings(draws=10_000, tune=200, chains=4, prior_draws=4)
    fit = linear.fit(X, y, prior, noise=sigma, settings=settings)
    probability, mean = enumerate_models(X, y, rate, width, sigma)
    found = flat(fit, "included").mean(0)
    np.testing.assert_allclose(found, probability, atol=0.015)
    np.testing.assert_allclose(flat(fit, "beta").mean(0), mean, atol=0.02)
    wrong, _ = enumerate_models(X, y, 0.5, width, sigma)
    assert np.max(np.abs(found - wrong)) > 0.05


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("inside", [(0, 2), ()])
def test_evidence_that_chooses_a_start_against_the_dense_normal(intercept, inside):
    X, y = toy(8, 4, intercept=0.6)
    prior = linear.SpikeAndSlab(Beta(1.0, 2.0), HalfCauchy(1.0))
    problem = regression(X, y, prior, intercept=intercept)
    sigma, width, rate = 0.4, 0.9, 0.3
    beta = np.zeros(4)
    beta[list(inside)] = 1.0
    K = sigma**2 * np.eye(8) + width**2 * X[:, list(inside)] @ X[:, list(inside)].T
    offset = 0.0
    if intercept:
        X = X - problem.centre
        K = sigma**2 * np.eye(8) + width**2 * X[:, list(inside)] @ X[:, list(inside)].T
        K, offset = K + problem.free["intercept"].sd ** 2, problem.free["intercept"].mean
        beta = np.append(0.7, beta)
    expected = stats.multivariate_normal(cov=K).logpdf(y - offset)
    expected += len(inside) * np.log(rate) + (4 - len(inside)) * np.log1p(-rate)
    expected += prior.slab_width.log_density(width) + prior.inclusion_rate.log_density(rate)
    expected += problem.noise.log_density(sigma)
    found = spike._log_evidence(
        problem, spike.Gram(problem), beta[np.newaxis], [sigma], (width, rate)
    )
    assert found == pytest.approx(expected, rel=1e-9)


def test_the_first_coefficient_to_come_in_against_its_probability():
    diagonal, correlation = np.array([50.0, 50.0, 80.0, 20.0]), np.array([12.0, 3.0, -18.0, 9.0])
    sigma2, tau2, log_odds, draws = 2.0, 0.5, -1.0, 20_000
    v = 1 / (diagonal / sigma2 + 1 / tau2)
    log_in = log_odds + 0.5 * np.log(v / tau2) + 0.5 * v * (correlation / sigma2) ** 2
    comes = 1 / (1 + np.exp(-log_in))
    out = np.cumprod(1 - comes)
    expected = np.append(comes * np.append(1.0, out[:-1]), out[-1])
    most, rng = 1.5 * np.max(np.log1p(np.exp(log_in))), np.random.default_rng(1)
    state = diagonal, correlation, 0, 4, most, sigma2, tau2, log_odds
    found = np.bincount([spike_kernel._first_in(rng, *state) for _ in range(draws)], minlength=5)
    np.testing.assert_allclose(found / draws, expected, atol=4 * 0.5 / draws**0.5)
    assert np.all(expected > 0.05)


@pytest.mark.slow
def test_spike_and_slab_scales_against_quadrature():
    X, y = toy(10, 3, noise=0.6)
    prior = linear.SpikeAndSlab(Beta(2.0, 3.0), HalfCauchy(1.0))
    noise = InverseChi(3.0, 0.5)
    axes = [np.exp(np.linspace(np.log(0.02), np.log(50), 40)), np.exp(np.linspace(-2.5, 2.0, 40))]
    total = np.zeros(4)
    for width, sigma in itertools.product(*axes):
        for model in itertools.product([0, 1], repeat=3):
            on = np.array(model, dtype=bool)
            k = on.sum()
            K = sigma**2 * np.eye(10) + width**2 * X[:, on] @ X[:, on].T
            value = stats.multivariate_normal(cov=K).logpdf(y)
            value += prior.slab_width.log_density(width) + np.log(width)
            value += noise.log_density(sigma) + np.log(sigma)
            # The inclusion rate integrates to a ratio of Beta functions.
            value += np.log(stats.betabinom(3, 2.0, 3.0).pmf(k)) - np.log(
                len(list(itertools.combinations(range(3), k)))
            )
            total += np.exp(value + 20) * np.array([1.0, np.log(width), np.log(sigma), on[0]])
    expected = total[1:] / total[0]
    settings = Settings(draws=10_000, tune=200, chains=4, prior_draws=4)
    fit = linear.fit(X, y, prior, noise=noise, settings=settings)
    found = [
        np.mean(np.log(flat(fit, "slab_width"))),
        np.mean(np.log(flat(fit, "sigma"))),
        flat(fit, "included")[:, 0].mean(),
    ]
    assert np.all(np.abs(np.array(found) - expected) < [0.05, 0.01, 0.015])


@pytest.mark.parametrize(
    "prior",
    [
        priors.InverseChi(3.0, 0.5),
        priors.OnVariance(priors.InverseGamma(2.0, 0.3)),
        priors.HalfCauchy(0.5),
        priors.LogNormal(0.1, 2.0),
        priors.LogUniform(0.05, 3.0),
        priors.HalfNormal(0.7),
        priors.Exponential(2.0),
        priors.Gamma(2.0, 3.0),
    ],
    ids=str,
)
def test_spike_and_slab_draws_a_scale_under_each_prior(prior):
    """Given five values of summed square two, against quadrature; and not another prior's."""
    from bayesinf.models.linear import scales_kernel

    rng, stated, value, kept = np.random.default_rng(0), told(prior), 1.0, []
    for step in range(8000):
        value = scales_kernel.scale2(rng, stated, value, 5, 2.0)
        kept += [0.5 * np.log(value)] if step % 4 == 0 else []
    x = np.linspace(-6, 6, 20_001)
    log_density = prior.log_density(np.exp(x)) + x - 5 * x - np.exp(-2 * x)

    def share(log_density):
        density = np.exp(log_density - log_density.max())
        total = np.cumsum(density) / density.sum()
        return lambda values: np.interp(values, x, total)

    assert stats.kstest(kept, share(log_density)).pvalue > 1e-3
    assert stats.kstest(kept, share(log_density + x)).pvalue < 1e-3


@pytest.mark.parametrize("intercept", [False, True])
def test_inclusion_rate_where_every_feature_is_in(intercept):
    """Beta(1, 1) and three of three: Beta(4, 1). The intercept is none of them."""
    X, _ = toy(40, 3)
    y = X @ [5.0, 5.0, -5.0] + 0.1 * np.random.default_rng(1).normal(size=40)
    prior = linear.SpikeAndSlab(Beta(1.0, 1.0), 5.0)
    settings = Settings(draws=1000, tune=50, chains=2, prior_draws=4)
    fit = linear.fit(X, y, prior, noise=0.1, intercept=intercept, settings=settings)
    assert flat(fit, "included").all()
    assert stats.kstest(flat(fit, "inclusion_rate"), stats.beta(4, 1).cdf).pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["normal", "laplace", "relative laplace", "horseshoe"])
def test_fast_route_and_nuts_draw_from_the_same_posterior(name):
    X, y = toy(12, 3)
    settings = Settings(draws=1500, tune=500, chains=2, prior_draws=4)
    own = linear.fit(X, y, PRIORS[name], settings=settings)
    nuts = linear.fit(X, y, PRIORS[name], method="nuts", settings=settings)
    assert nuts.attrs["inference"] == "nuts"
    assert "energy" in nuts["sample_stats"] and "diverging" in nuts["sample_stats"]
    for variable in own["posterior"].data_vars:
        logs = [np.log(np.abs(f["posterior"][variable]) + 1e-3) for f in (own, nuts)]
        # Six standard errors; NUTS may stick where a scale meets zero, so its own ESS sets them.
        count = [np.minimum(az.ess(x).values, az.ess(x, method="sd").values) for x in logs]
        mean, sd = (
            [getattr(x, m)(("chain", "draw")).values for x in logs] for m in ("mean", "std")
        )
        error = 6 * np.hypot(sd[0] / np.sqrt(count[0]), sd[1] / np.sqrt(count[1]))
        assert np.all(np.abs(mean[0] - mean[1]) < error), variable
        # Of a logarithm of an sd: 1/√(2 ESS) for a normal, more for the tails of these.
        error = 6 * np.hypot(count[0] ** -0.5, count[1] ** -0.5)
        assert np.all(np.abs(np.log(sd[0] / sd[1])) < error), variable


@pytest.mark.parametrize("relative", [False, True])
def test_noise_given_coefficients_is_scaled_inverse_chi_and_no_other(relative):
    rng = np.random.default_rng(0)
    scales = gibbs.Scales(linear.Laplace(0.8, relative=relative), 4, 1.0, rng)
    beta, square, count, prior = np.array([0.3, -1.0, 0.2, 0.9]), 5.0, 12, InverseChi(3.0, 0.5)
    z = scales.standardised(beta)
    if relative:  # β_j ~ N(0, v_j(σ)) with v_j in units of σ²
        np.testing.assert_allclose(z, 0.7 * beta / np.sqrt(scales.variances(0.7)))
    x, kept = 0.0, []
    for step in range(6000):
        x = gibbs.noise_given(rng, prior, x, count, square, z)
        kept += [np.exp(2 * x)] if step % 3 == 0 else []
    dof = prior.dof + count + 4 * relative
    total = prior.dof * prior.scale**2 + square + relative * np.sum(z**2)
    assert stats.kstest(total / np.array(kept), stats.chi2(dof).cdf).pvalue > 1e-3
    assert stats.kstest(total / np.array(kept), stats.chi2(dof + 2).cdf).pvalue < 1e-3


# ── As a user meets it ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", PRIORS)
def test_same_seed_same_draws_whatever_the_workers(name):
    X, y = toy()
    one = linear.fit(X, y, PRIORS[name], settings=SHORT)
    two = linear.fit(X, y, PRIORS[name], settings=SHORT.replace(workers=2))
    other = linear.fit(X, y, PRIORS[name], settings=SHORT.replace(seed=2))
    for variable in one["posterior"].data_vars:
        np.testing.assert_array_equal(one["posterior"][variable], two["posterior"][variable])
    assert not np.array_equal(one["posterior"]["beta"], other["posterior"]["beta"])


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("shape", [(20, 5), (8, 12)])
def test_noise_free_data_neither_crash_nor_stick(name, shape):
    X, y = toy(*shape, noise=0.0)
    settings = Settings(draws=200, tune=300, chains=2, prior_draws=4)
    fit = linear.fit(X, y, PRIORS[name], settings=settings)
    sigma, beta = fit["posterior"]["sigma"].values, flat(fit, "beta")
    assert np.all(np.isfinite(beta)) and np.all(sigma > 0)
    assert len(np.unique(sigma)) > 50
    if shape[0] > shape[1]:
        truth = np.linalg.lstsq(X, y, rcond=None)[0]
        np.testing.assert_allclose(beta.mean(0), truth, atol=0.02)


@pytest.mark.parametrize("name", PRIORS)
def test_every_route_finds_the_intercept(name):
    X, y = toy(30, 2, intercept=100.0)
    fit = linear.fit(X, y, PRIORS[name], intercept=True, settings=SHORT)
    assert float(fit["posterior"]["intercept"].mean()) == pytest.approx(100.0, abs=0.5)


def test_intercept_and_fixed_scales_are_told_apart():
    X, y = toy(30, 2, intercept=100.0)
    fit = linear.fit(X, y, linear.Gaussian(5.0), noise=0.3, intercept=True, settings=SHORT)
    assert float(fit["posterior"]["intercept"].mean()) == pytest.approx(100.0, abs=0.3)
    assert "scale" not in fit["posterior"] and "sigma" not in fit["posterior"]
    assert float(fit["constant_data"]["scale"]) == 5.0
    assert float(fit["constant_data"]["sigma"]) == 0.3
    assert json.loads(fit.attrs["hyperparameters"]) == ["intercept"]


def test_labels_and_units_come_from_the_arrays():
    import xarray as xr

    X, y = toy()
    X = xr.DataArray(X, dims=("time", "mode"), coords={"mode": list("abcd")})
    y = xr.DataArray(y, dims="time", name="height", attrs={"units": "mm"})
    fit = linear.fit(X, y, "laplace", settings=SHORT, name="weight")
    assert fit["posterior"]["weight"].dims == ("chain", "draw", "mode")
    assert fit["posterior"]["weight"].attrs["units"] == "mm"
    assert fit["observed_data"]["height"].attrs["units"] == "mm"
    assert list(fit["posterior"]["mode"].values) == list("abcd")


def test_prediction_uses_the_noise_and_the_intercept():
    X, y = toy(200, 2, intercept=3.0)
    settings = Settings(draws=2000, chains=2, prior_draws=4)
    fit = linear.fit(X, y, "normal", intercept=True, settings=settings)
    new = np.array([[0.0, 0.0], [1.0, 0.0]])
    predicted = linear.predict(fit, new)
    assert predicted["mean"].dims == ("chain", "draw", "held_out")
    assert float(predicted["mean"].mean(("chain", "draw"))[0]) == pytest.approx(3.0, abs=0.1)
    extra = predicted["y"].values.var((0, 1)) - predicted["mean"].values.var((0, 1))
    assert extra[1] == pytest.approx(float((fit["posterior"]["sigma"] ** 2).mean()), rel=0.1)


@pytest.mark.parametrize(
    ("X", "y", "keywords", "words"),
    [
        (np.ones((3, 2)), np.ones(4), {}, "do not fit together"),
        (np.array([[1.0], [np.nan], [2.0]]), np.arange(3.0), {}, "row 1"),
        (np.ones((3, 2)), np.zeros(3), {}, "y all equal"),
        (np.zeros((3, 2)), np.arange(3.0), {}, "X all zero"),
        (np.ones((3, 2)), np.arange(3.0), {"prior": "lasso"}, "unknown prior"),
        (np.ones((3, 2)), np.arange(3.0), {"noise": -1.0}, "above zero"),
        (np.ones((3, 2)), np.arange(3.0), {"prior": linear.Gaussian(0.0)}, "above zero"),
    ],
)
def test_bad_input_is_named(X, y, keywords, words):
    with pytest.raises(DataError, match=words):
        linear.fit(X, y, **keywords)


def test_samplers_that_do_not_go_with_a_prior_are_refused():
    X, y = toy()
    with pytest.raises(FitError, match="'exact': use one of gibbs, nuts"):
        linear.fit(X, y, "laplace", method="exact")
    with pytest.raises(FitError, match="'nuts': use one of gibbs"):
        linear.fit(X, y, "spike_and_slab", method="nuts")


def test_priors_are_normalised():
    """Each continuous prior's coefficient density integrates to one at given hyperparameters."""
    for prior in (linear.Gaussian(0.7), linear.Laplace(0.7)):
        density = lambda b, prior=prior: np.exp(
            prior.log_factors({"beta": np.array([b]), "sigma": np.array(1.0)})["beta"]
        )
        assert integrate.quad(density, -30, 30, points=[0])[0] == pytest.approx(1.0, abs=1e-6)
