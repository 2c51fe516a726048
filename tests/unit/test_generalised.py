"""Several terms, smooth curves, responses with a link: densities, closed forms, quadrature."""

from copy import deepcopy

import numpy as np
import pytest
import xarray as xr
from density import holds
from scipy import integrate, special, stats

from bayesinf.errors import DataError, FitError
from bayesinf.models import linear
from bayesinf.models import problem as driver
from bayesinf.models.likelihoods import NegativeBinomial
from bayesinf.models.linear import joint
from bayesinf.priors import HalfNormal, LogNormal, Normal
from bayesinf.settings import Settings

SETTINGS = Settings(draws=500, tune=300, chains=2, prior_draws=20, workers=1)
RNG = np.random.default_rng(16)
X = RNG.normal(size=(40, 3))
SITE = np.eye(4)[RNG.integers(0, 4, 40)]
ETA = 0.3 + X @ [0.8, -0.4, 0.0]
TERMS = linear.Terms(
    {"": (linear.Gaussian(HalfNormal(0.5)), 3), "site": (linear.Gaussian(HalfNormal(0.5)), 4)}
)


def stated(response, y, prior=TERMS, **options):
    options |= {"scales": np.r_[1 / X.std(axis=0), np.ones(4)]}
    options |= {"trials": TRIALS} if response == "binomial" else {}
    return linear.generalised(np.hstack([X, SITE]), y, response, prior, **options)


DATA = {
    "normal": ETA + 0.3 * RNG.standard_normal(40),
    "student": ETA + 0.3 * RNG.standard_t(3, 40),
    "poisson": RNG.poisson(np.exp(ETA)).astype(float),
    "bernoulli": (RNG.random(40) < special.expit(ETA)).astype(float),
}
TRIALS = 1.0 + np.arange(40) % 9
DATA |= {
    "negbinomial": np.random.default_rng(4).negative_binomial(2.0, 2 / (2 + np.exp(ETA))) * 1.0,
    "binomial": np.random.default_rng(4).binomial(TRIALS.astype(int), special.expit(ETA)) * 1.0,
}


OFFSET = np.log(np.linspace(0.2, 5.0, 40))


@pytest.mark.parametrize(
    ("response", "offset"),
    [*((name, None) for name in DATA), ("poisson", OFFSET), ("bernoulli", OFFSET)],
)
def test_what_a_fit_stores_is_the_density_of_its_pymc_model(response, offset):
    problem = stated(response, DATA[response], offset=offset)

    def values(point):
        inner = problem.inner(point)
        weights = inner["beta"]
        free = {"beta_weight_term_0": weights[..., :3], "beta_weight_term_1": weights[..., 3:]}
        return {**point, **free, "beta_weight": weights, "intercept_centred": inner["intercept"]}

    def renamed(point):
        found = values(point)
        return found | {"beta_weight": found["beta_weight_term_0"]}

    model = problem.pymc(centred=True)
    assert {"scale", "scale_site"} <= {variable.name for variable in model.free_RVs}
    holds(problem, values=renamed, centred=True)


@pytest.mark.parametrize("response", ["normal", "poisson"])
def test_terms_are_the_single_prior_where_there_is_one(response):
    """One term through the joint moves, against the closed form or the same without terms."""
    if response == "normal":
        # A prior of the width, and one of the noise, that pull hard against the data.
        prior, y = linear.Gaussian(HalfNormal(0.15)), DATA["normal"]
        options = {"scales": np.ones(3), "intercept": True, "noise": LogNormal(0.15, 0.1)}
        exact = linear.exact.Posterior(linear.regression(X, y, prior, **options))
        mean, sd = exact.moments()
        posterior = driver.fit(
            linear.generalised(X, y, "normal", linear.Terms({"": (prior, 3)}), **options),
            settings=SETTINGS,
        )["posterior"]
        draws, _ = exact.draw(np.random.default_rng(0), 4000)
        for name in ("scale", "sigma"):
            away = posterior[name].values.mean() - draws[name].mean()
            assert abs(away) < 4.5 * draws[name].std() / np.sqrt(300), name
        found = posterior["beta"].values.reshape(-1, 3)
        np.testing.assert_allclose(found.mean(axis=0), mean, atol=4.5 * sd.max() / np.sqrt(400))
        np.testing.assert_allclose(found.std(axis=0), sd, rtol=0.15)
        return
    # One coefficient of fixed width, an offset, no intercept: quadrature knows all of it.
    x, y = X[:, :1], DATA["poisson"]
    problem = linear.generalised(
        x, y, "poisson", linear.Gaussian(0.7), scales=np.ones(1), intercept=False, offset=OFFSET
    )
    grid = np.linspace(-2, 3, 4001)
    rate = np.exp(np.outer(grid, x[:, 0]) + OFFSET)
    density = stats.poisson.logpmf(y, rate).sum(axis=1) + stats.norm.logpdf(grid, 0, 0.7)
    weight = np.exp(density - density.max())
    total = integrate.simpson(weight, x=grid)
    mean = integrate.simpson(grid * weight, x=grid) / total
    sd = np.sqrt(integrate.simpson((grid - mean) ** 2 * weight, x=grid) / total)
    fit = driver.fit(problem, settings=SETTINGS)
    found = fit["posterior"]["beta"].values.ravel()
    assert abs(found.mean() - mean) < 4.5 * sd / np.sqrt(400)
    assert found.std() == pytest.approx(sd, rel=0.15)
    settings = [Settings(seed=k) for k in range(200)]
    own = [linear.log_evidence(problem, fit["posterior"], one)[0] for one in settings]
    known = np.log(total) + density.max()
    assert special.logsumexp(own) - np.log(200) == pytest.approx(known, abs=0.05)


def test_outcomes_of_one_coefficient_are_those_of_quadrature():
    x, y = X[:, :1], DATA["bernoulli"]
    problem = linear.generalised(
        x, y, "bernoulli", linear.Laplace(0.5), scales=np.ones(1), intercept=False
    )
    grid = np.linspace(-4, 5, 4001)
    chance = special.expit(np.outer(grid, x[:, 0]))
    density = stats.bernoulli.logpmf(y, chance).sum(axis=1) + stats.laplace.logpdf(grid, 0, 0.5)
    weight = np.exp(density - density.max())
    total = integrate.simpson(weight, x=grid)
    mean = integrate.simpson(grid * weight, x=grid) / total
    sd = np.sqrt(integrate.simpson((grid - mean) ** 2 * weight, x=grid) / total)
    found = driver.fit(problem, settings=SETTINGS)["posterior"]["beta"].values.ravel()
    assert abs(found.mean() - mean) < 4.5 * sd / np.sqrt(300)
    assert found.std() == pytest.approx(sd, rel=0.15)


@pytest.mark.parametrize("response", ["negbinomial", "binomial"])
def test_the_link_says_what_the_likelihood_does(response):
    """Log density but for a constant of the data, its slope and its curvature, at any η."""
    problem, law = stated(response, DATA[response]), {"noise_excess": 0.4, "trials": TRIALS}
    eta, step = np.linspace(-4.0, 4.0, 40), 1e-4

    def whole(eta, law=law):
        mean = problem.responding(eta)
        return problem.likelihood.log_density(problem.y, mean, law)

    link, y = problem.link, problem.y
    apart = whole(eta) - link.log_density(eta, y, law)
    np.testing.assert_allclose(whole(-eta) - link.log_density(-eta, y, law), apart, atol=1e-9)
    if response == "negbinomial":  # nor does it depend on the excess, however small
        for excess in (3.0, 1e-9):
            other = {**law, "noise_excess": excess}
            same = whole(eta, other) - link.log_density(eta, y, other)
            np.testing.assert_allclose(same, apart, atol=1e-6)
    slope = (whole(eta + step) - whole(eta - step)) / (2 * step)
    np.testing.assert_allclose(link.slope(eta, y, law), slope, atol=1e-6)
    bend = (link.slope(eta - step, y, law) - link.slope(eta + step, y, law)) / (2 * step)
    np.testing.assert_allclose(link.curvature(eta, y, law), bend, atol=1e-6)


def test_counts_that_scatter_more_are_those_of_quadrature():
    """One coefficient and the excess of its counts, both over a grid, and the evidence."""
    x, y = X[:, :1], DATA["negbinomial"]
    law = NegativeBinomial(own={"noise_excess": LogNormal(0.5, 0.5)})
    problem = linear.generalised(
        x, y, law, linear.Gaussian(0.7), scales=np.ones(1), intercept=False, offset=OFFSET
    )
    beta, log_excess = np.linspace(-2, 3, 301), np.linspace(-4, 3, 141)
    rate = np.exp(np.outer(beta, x[:, 0]) + OFFSET)[:, np.newaxis]
    r = np.exp(-log_excess)[:, np.newaxis]
    density = stats.nbinom.logpmf(y, r, r / (r + rate)).sum(axis=2)
    density += stats.norm.logpdf(beta, 0, 0.7)[:, np.newaxis]
    density += stats.norm.logpdf(log_excess, np.log(0.5), 0.5)
    weight = np.exp(density - density.max())
    total = integrate.simpson(integrate.simpson(weight, x=log_excess), x=beta)
    posterior = driver.fit(problem, settings=SETTINGS.replace(draws=250, tune=150))["posterior"]
    for name, grid, shape in (("beta", beta, (-1, 1)), ("noise_excess", log_excess, (1, -1))):
        share = weight / weight.sum()
        mean = np.sum(grid.reshape(shape) * share)
        sd = np.sqrt(np.sum((grid.reshape(shape) - mean) ** 2 * share))
        found = posterior[name].values.ravel()
        found = np.log(found) if name == "noise_excess" else found
        assert abs(found.mean() - mean) < 4.5 * sd / np.sqrt(150), name
        assert found.std() == pytest.approx(sd, rel=0.2), name
    value, error = linear.log_evidence(problem, posterior, Settings(seed=5))
    assert error < 0.1
    assert value == pytest.approx(np.log(total) + density.max(), abs=max(5 * error, 0.02))


def test_counts_of_trials_are_the_same_as_their_outcomes_one_by_one():
    """k of n is n outcomes: the same posterior, and evidence but for the ways to choose."""
    x, y, n = X[:8, :1], DATA["binomial"][:8], TRIALS[:8]
    options = {"scales": np.ones(1), "intercept": False, "prior": linear.Gaussian(0.7)}
    whole = linear.generalised(x, y, "binomial", trials=n, **options)
    outcomes = np.concatenate([np.arange(t) < k for k, t in zip(y, n, strict=True)]) * 1.0
    one = linear.generalised(np.repeat(x, n.astype(int), axis=0), outcomes, "bernoulli", **options)
    chains = [joint.Chain(each, np.random.default_rng(1)) for each in (whole, one)]
    for a, b in zip(*(vars(chain.current).values() for chain in chains), strict=True):
        if isinstance(a, np.ndarray):
            np.testing.assert_allclose(a, b, rtol=1e-9)
    draws = {"beta": np.array([[-0.3], [0.4], [1.1]])}
    ways = np.sum(np.log(special.binom(n, y)))
    more, less = (p.log_likelihood(draws)["y"].sum(axis=-1) for p in (whole, one))
    np.testing.assert_allclose(more - less, ways)


def test_the_evidence_of_terms_is_that_of_the_closed_form():
    options = {"scales": np.ones(3), "intercept": True}
    prior, y = linear.Gaussian(HalfNormal(1.0)), DATA["normal"]
    exact = linear.regression(X, y, prior, **options)
    problem = linear.generalised(X, y, "normal", linear.Terms({"": (prior, 3)}), **options)
    draws = driver.fit(exact, settings=SETTINGS)["posterior"]
    value, error = linear.log_evidence(problem, draws)
    assert error < 0.1 and value == pytest.approx(exact.log_evidence(), abs=5 * error)
    with pytest.raises(FitError, match="local"):
        linear.log_evidence(stated("student", DATA["student"]), draws)


def test_the_evidence_sees_a_width_of_nothing_which_draws_have_missed():
    """A width that its draws decide well, though without the weights the data were as probable."""
    prior, y = linear.Gaussian(HalfNormal(1.0)), 0.3 * np.random.default_rng(3).normal(size=40)
    options = {"scales": np.ones(3), "intercept": False, "noise": 0.3}
    exact = linear.regression(X, y, prior, **options).log_evidence()
    problem = linear.generalised(X, y, "normal", linear.Terms({"": (prior, 3)}), **options)
    scale = 0.2 * np.exp(0.1 * np.random.default_rng(4).standard_normal((2, 200)))
    value, error = linear.log_evidence(problem, xr.Dataset({"scale": (("chain", "draw"), scale)}))
    assert error < 0.1 and value == pytest.approx(exact, abs=5 * error)


def test_the_chain_stands_where_its_state_says():
    """A chain that is taken up again goes on as it would have."""
    for response in ("student", "poisson", "negbinomial"):
        problem = stated(response, DATA[response])
        one = joint.Chain(problem, np.random.default_rng(1))
        for _ in range(3):
            one.sweep(np.random.default_rng(2), 1)
            one.given_theta(np.random.default_rng(3))
        other = joint.Chain(problem, np.random.default_rng(5))
        other.__setstate__(deepcopy(one.__getstate__()))
        for chain in (one, other):
            chain.sweep(np.random.default_rng(4), 2)
        np.testing.assert_allclose(one.theta, other.theta, rtol=1e-6)


def test_tails_and_noise_follow_their_density_given_the_coefficients():
    """Student's law with local precisions integrated out, against a grid over (log ν, log σ)."""
    problem, rng = stated("student", DATA["student"]), np.random.default_rng(6)
    chain, drawn = joint.Chain(problem, rng), []
    for _ in range(1500):  # while θ stays where the chain starts
        chain.given_theta(rng)
        drawn.append([np.log(chain.state["dof"]), chain.state["log_sigma"]])
    residual = chain.seen.t - chain.seen.stacked @ chain.theta
    x, y = np.meshgrid(np.linspace(-3, 7, 400), np.linspace(-4, 1, 300), indexing="ij")
    density = x + y + problem.noise.log_density(np.exp(y))
    density += problem.likelihood.own["noise_dof"].log_density(np.exp(x))
    for one in residual:
        density += stats.t.logpdf(one, np.exp(x), scale=np.exp(y))
    weight = np.exp(density - density.max())
    log_dof, log_sigma = np.array(drawn)[100:].T
    ours = [log_dof, log_sigma, log_dof * log_sigma, log_dof**2]
    for values, truth in zip(ours, [x, y, x * y, x**2], strict=True):
        means = values.reshape(20, -1).mean(axis=1)  # of stretches longer than the chain's memory
        error = means.std(ddof=1) / np.sqrt(20)
        assert means.mean() == pytest.approx(np.sum(weight * truth) / np.sum(weight), abs=4 * error)


def test_columns_of_a_curve_are_what_they_say():
    x = RNG.uniform(2.0, 5.0, 50)
    curve = linear.smooth(x, 12)
    columns, line = curve.columns(x), curve.line(x)
    assert columns.shape == (50, 10)
    np.testing.assert_allclose(columns.T @ line, 0, atol=1e-9)
    np.testing.assert_allclose(columns.sum(axis=0), 0, atol=1e-9)
    assert np.mean(np.sum(columns**2, axis=1)) == pytest.approx(1.0)
    # Equal weights in any direction bend equally: ∫ s″² of u is |u|² times one number.
    fine = np.linspace(curve.knots[0], curve.knots[-1], 20_001)
    bend = np.gradient(np.gradient(curve.columns(fine), fine, axis=0), fine, axis=0)[2:-2]
    gram = integrate.simpson(bend[:, :, None] * bend[:, None, :], x=fine[2:-2], axis=0)
    np.testing.assert_allclose(gram / gram[0, 0], np.eye(10), atol=0.02)
    beyond = curve.columns(np.array([6.0, 7.0, 8.0]))
    np.testing.assert_allclose(np.diff(beyond, n=2, axis=0), 0, atol=1e-9)
    with pytest.raises(DataError, match="different values"):
        linear.smooth(np.repeat([1.0, 2.0, 3.0], 5))


@pytest.mark.parametrize(
    ("response", "y", "options", "said"),
    [
        ("bernoulli", DATA["poisson"] + 2, {}, "0 or 1"),
        ("poisson", DATA["normal"], {}, "counts"),
        ("gamma", DATA["normal"], {}, "unknown response"),
        ("poisson", DATA["poisson"], {"error": 1.0}, "error bars"),
        ("negbinomial", DATA["normal"], {}, "a negbinomial response is of counts"),
        ("binomial", TRIALS + 1, {}, "row 0.*no more counts than trials.*2 of 1"),
        ("poisson", DATA["poisson"], {"trials": TRIALS}, "a poisson response has no trials"),
    ],
)
def test_what_is_no_response_is_refused(response, y, options, said):
    with pytest.raises(DataError, match=said):
        stated(response, y, **options)


def test_only_the_term_without_a_name_may_select():
    with pytest.raises(FitError, match="'site'"):
        linear.Terms({"site": (linear.Horseshoe(), 4)})
    said = stated("normal", DATA["normal"]).priors["beta"]
    assert "scale_site" in said and stated("poisson", DATA["poisson"]).priors["intercept"]
    assert isinstance(stated("poisson", DATA["poisson"]).unshrunk["intercept"][1], Normal)


@pytest.mark.parametrize(
    ("response", "offset", "said"),
    [
        ("normal", OFFSET, "a normal response has no offset"),
        ("poisson", OFFSET[:-1], "does not fit the data.*40 finite numbers.*39"),
        ("poisson", np.where(np.arange(40) == 7, np.nan, OFFSET), "nan at row 7"),
    ],
)
def test_an_offset_that_cannot_be_is_refused(response, offset, said):
    with pytest.raises(DataError, match=said):
        stated(response, DATA[response], offset=offset)
