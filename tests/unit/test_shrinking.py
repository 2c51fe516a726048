"""The compiled sweep under shrinking priors: its densities, and the joint distribution it keeps."""

import numpy as np
import pytest
from scipy import integrate, stats

from bayesinf import priors
from bayesinf.errors import FitError
from bayesinf.models import linear
from bayesinf.models.linear import gibbs, gibbs_kernel, scales_kernel
from bayesinf.models.linear.conditional import Factors
from bayesinf.models.linear.scale_priors import told, told_weights
from bayesinf.priors.positive import Positive
from bayesinf.settings import Settings

SCALES = [
    priors.InverseChi(3.0, 0.5),
    priors.InverseGamma(2.0, 0.3),
    priors.OnVariance(priors.InverseGamma(2.0, 0.3)),
    priors.OnVariance(priors.HalfCauchy(0.3)),
    priors.HalfCauchy(0.5),
    priors.LogNormal(0.1, 2.0),
    priors.LogUniform(0.05, 3.0),
    priors.HalfNormal(0.7),
    priors.Exponential(2.0),
    priors.Gamma(2.0, 3.0),
    priors.Uniform(0.1, 2.0),
    priors.Beta(2.0, 3.0),
]
WEIGHTS = {
    "normal": linear.Gaussian(priors.LogNormal(0.7, 0.5)),
    "laplace": linear.Laplace(priors.LogNormal(0.7, 0.5)),
    "relative laplace": linear.Laplace(priors.LogNormal(0.7, 0.5), relative=True),
    "student": linear.Student(priors.LogNormal(0.7, 0.5), dof=4.0),
    "horseshoe": linear.Horseshoe(priors.LogNormal(0.7, 0.5), priors.LogNormal(0.5, 0.4)),
}
NOISE = priors.LogNormal(0.8, 0.5)


@pytest.mark.parametrize("prior", SCALES, ids=str)
def test_a_prior_as_it_is_told_has_its_density(prior):
    x = np.log([0.3, 0.11, 0.9, 0.99, 1.9])
    expected = prior.log_density(np.exp(x)) + x
    found = np.array([scales_kernel.log_prior(told(prior), one) for one in x])
    inside = np.isfinite(expected)
    np.testing.assert_array_equal(np.isfinite(found), inside)
    np.testing.assert_allclose(
        np.diff(found[inside]), np.diff(expected[inside]), rtol=1e-9, atol=1e-12
    )


def test_a_prior_of_the_callers_own_is_refused():
    class Own(Positive):
        pass

    with pytest.raises(FitError, match="use the method nuts"):
        told(Own())


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_have_the_density_of_their_prior(name):
    """As a function of width and slab; the small weights reach the series, the large the rest."""
    prior, w = WEIGHTS[name], np.array([1e-7, -0.02, 0.6, -1.8, 40.0])
    kind, dof, _, _ = told_weights(prior)
    size = np.sum(np.abs(w)) if "laplace" in name else np.sum(w**2)
    found, expected = [], []
    for tau, slab in ((0.3, 2.0), (1.1, 2.0), (1.1, 0.9), (2.0, 2.0)):
        slab = slab if name == "horseshoe" else np.inf
        own = {"slab": slab} if name == "horseshoe" else {}
        found.append(scales_kernel.log_weights(kind, dof, w, size, np.log(tau), slab))
        expected.append(prior.log_sum(w, np.array([tau]), **own)[0])
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-9)
    local = np.array([0.3, 2.0, 9.0])
    if name == "horseshoe":
        found = [scales_kernel.log_local(kind, tau, 2.0, local) for tau in (0.3, 1.1)]
        expected = [prior.log_local(tau, local, slab=2.0) for tau in (0.3, 1.1)]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("name", list(WEIGHTS)[1:])
@pytest.mark.parametrize("x", [0.05, 1.0, 3.0])
def test_local_variances_follow_their_density(name, x):
    """p(v | w) ∝ N(x; 0, v) p(v), by quadrature on log v; and not of a weight half as large."""
    kind, dof, _, _ = told_weights(WEIGHTS[name])
    draws = np.empty(4000)
    scales_kernel.locals_given(np.random.default_rng(2), kind, dof, np.full(4000, x), draws)
    u = np.linspace(-25, 40, 40_001)
    v = np.exp(u)
    if name == "horseshoe":
        log_local = -0.5 * u - np.log1p(v)
    elif name == "student":
        log_local = stats.invgamma(dof / 2, scale=dof / 2).logpdf(v)
    else:
        log_local = -v / 2

    def cdf(x):
        log_density = log_local + u - 0.5 * u - 0.5 * x**2 / v
        total = integrate.cumulative_trapezoid(
            np.exp(log_density - log_density.max()), u, initial=0
        )
        return lambda values: np.interp(np.log(values), u, total / total[-1])

    assert stats.kstest(draws, cdf(x)).pvalue > 1e-3
    assert x < 0.1 or stats.kstest(draws, cdf(x / 2)).pvalue < 1e-3


def data_of(X, y):
    """What the compiled sweep sees of features and data."""
    one = Factors(X, y)
    R, n = np.ascontiguousarray(one.R), float(len(y))
    return one.X, y, one.gram, one.correlation, R, one.Qty, one.floor, n


def test_conditional_and_leave_one_out_are_those_of_the_plain_form():
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(7, 3)), rng.normal(size=7)
    factors, data, found, expected = Factors(X, y), data_of(X, y), [], []
    for sigma, v in ((0.3, np.array([1.0, 0.2, 1e-9])), (1.2, np.array([4.0, 0.0, 2.0]))):
        U, mean = np.empty((3, 3)), np.empty(3)
        found.append(gibbs_kernel._condition(data, v, np.log(sigma), U, mean))
        plain = factors.condition(factors.kernel(v), v, sigma)
        expected.append(plain.log_marginal())
        np.testing.assert_allclose(mean, plain.mean(), rtol=1e-10, atol=1e-14)
        left_out, (centre, variance) = np.empty(7), plain.leave_one_out()
        gibbs_kernel._leave_one_out(X, y, v, U, mean, sigma, left_out)
        np.testing.assert_allclose(left_out, stats.norm.logpdf(y, centre, variance**0.5))
        rng, again = (np.random.default_rng(4) for _ in range(2))
        draws = [gibbs_kernel._coefficients(rng, v, U, mean) for _ in range(2000)]
        others = [plain.draw(again) for _ in range(2000)]
        np.testing.assert_allclose(np.cov(np.array(draws).T), np.cov(np.array(others).T), rtol=0.2)
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-10)


def standard_errors(values, expected):
    """How far the mean of a chain is from what is expected, its memory counted by batches."""
    batches = values.reshape(40, -1).mean(axis=1)
    return (batches.mean() - expected) / (batches.std(ddof=1) / np.sqrt(len(batches)))


@pytest.mark.parametrize("name", WEIGHTS)
def test_sweeps_between_draws_of_the_data_keep_the_prior(name):
    """Geweke's test (J. Am. Stat. Assoc. 99, 799 (2004)): parameters given data, data given
    parameters, by turns, have the prior as their distribution, whatever the sweep is made of.
    """
    prior, sweeps = WEIGHTS[name], 16_000
    rng = np.random.default_rng(5)
    X = rng.normal(size=(5, 3)) * 0.6
    X[:, 0] = 0.5  # a coefficient without a width, such as the intercept
    hyper = prior.inferred
    walk = np.array([*np.log([0.8, 0.7, 0.5 if "slab" in hyper else np.inf]), 0.6, 0.6, 0.6])
    local, beta = np.ones(2), np.zeros((1, 3))
    told_priors = told(NOISE), told_weights(prior), getattr(prior, "relative", False)
    found, scales, left_out = [], np.empty((1, 3)), np.empty((1, 5))
    for _ in range(sweeps):
        y = X @ beta[0] + np.exp(walk[0]) * rng.standard_normal(5)
        state = data_of(X, y), told_priors, walk, local
        gibbs_kernel.run(rng, *state, -1, 1, 1, beta, scales, left_out)
        width = np.exp(walk[1] + told_priors[2] * walk[0])
        found.append([*walk[:3], beta[0, 0], np.tanh(beta[0, 1] / width), np.log(local[1])])
    kept = np.array(found)
    for k, one in enumerate((NOISE, *hyper.values())):
        z = (kept[:, k] - np.log(one.median)) / one.spread
        assert abs(standard_errors(z, 0.0)) < 4.5, one
        assert abs(standard_errors(z**2, 1.0)) < 4.5, one
    assert abs(standard_errors(kept[:, 3] ** 2, 1.0)) < 4.5
    drawn = prior.sample(np.random.default_rng(6), 100_000, (2,), np.full(100_000, 1.0))
    share = np.tanh(drawn["beta"][:, 0] / drawn["scale"]) ** 2
    assert abs(standard_errors(kept[:, 4] ** 2, share.mean())) < 4.5


def test_width_and_slab_given_local_variances_where_data_say_nothing():
    """Against quadrature, with what the local variances say of them, and not without."""
    prior, local, rng = WEIGHTS["horseshoe"], np.array([30.0, 5.0, 0.2]), np.random.default_rng(9)
    data = data_of(1e-9 * rng.normal(size=(4, 3)), rng.normal(size=4))
    told_priors = told(1.0), told_weights(prior), False
    walk, found = np.array([0.0, 0.0, 0.0, 0.0, 0.7, 0.7]), []
    for _ in range(20_000):
        gibbs_kernel._with_data(rng, data, told_priors, walk, local, -1)
        found.append(walk[1:3].copy())
    u = np.linspace(-4, 4, 161)

    def means(heard):
        log_density = [
            [
                prior.scale.log_density(np.exp(x)) + x + prior.slab.log_density(np.exp(z)) + z
                + heard * prior.log_local(np.exp(x), local, slab=np.exp(z))
                for z in u
            ]
            for x in u
        ]  # fmt: skip
        weight = np.exp(log_density - np.max(log_density))
        return [np.sum(weight.sum(axis=1 - k) * u) / np.sum(weight) for k in range(2)]

    pairs = list(zip(np.array(found).T, means(1.0), means(0.0), strict=True))
    assert all(abs(standard_errors(x, right)) < 4.5 for x, right, _ in pairs)
    assert all(abs(standard_errors(x, wrong)) > 4.5 for x, _, wrong in pairs)


def test_both_forms_of_the_sweep_draw_from_the_same_posterior(monkeypatch):
    rng = np.random.default_rng(7)
    X = rng.normal(size=(20, 4))
    y = X @ [1.0, 0.0, 0.0, -1.0] + 0.5 * rng.normal(size=20)
    problem = linear.regression(X, y, WEIGHTS["horseshoe"], noise=NOISE, intercept=True)

    def draws():
        found = gibbs.chain(problem, np.random.default_rng(8), 1500, 200)
        columns = found["beta"][:, :2], np.log([found[k] for k in ("scale", "slab", "sigma")]).T
        return np.hstack([*columns, found["log_marginal"][:, :2]])

    compiled = draws()
    monkeypatch.setattr(gibbs, "SMALL", 0)
    plain = draws()
    for one, other in zip(compiled.T, plain.T, strict=True):
        apart = standard_errors(one[:1480], 0) - 0  # scale of the batches
        error = np.hypot(
            *(np.std(x[:1480].reshape(40, -1).mean(1)) / 40**0.5 for x in (one, other))
        )
        assert abs(one.mean() - other.mean()) < 4.5 * error, apart
        assert np.log(one.std() / other.std()) == pytest.approx(0, abs=0.25)


def test_compiled_chains_say_where_numbers_end():
    X = np.array([[1e200, 0.0], [0.0, 1.0], [1.0, 1.0]])
    with pytest.raises(FitError, match="rescale X and y"), np.errstate(all="ignore"):
        linear.fit(
            X,
            np.array([1.0, 2.0, 3.0]),
            linear.Laplace(1.0),
            noise=1.0,
            settings=Settings(draws=10, tune=0, chains=1, prior_draws=4),
        )
