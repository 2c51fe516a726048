"""Several terms, smooth curves, responses with a link: densities, closed forms, quadrature."""

from copy import deepcopy

import numpy as np
import pytest
from density import holds
from scipy import integrate, special, stats

from bayesinf.errors import DataError, FitError
from bayesinf.models import linear
from bayesinf.models import problem as driver
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
    return linear.generalised(np.hstack([X, SITE]), y, response, prior, **options)


DATA = {
    "normal": ETA + 0.3 * RNG.standard_normal(40),
    "student": ETA + 0.3 * RNG.standard_t(3, 40),
    "poisson": RNG.poisson(np.exp(ETA)).astype(float),
    "bernoulli": (RNG.random(40) < special.expit(ETA)).astype(float),
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


def test_the_chain_stands_where_its_state_says():
    """A chain that is taken up again goes on as it would have."""
    for response in ("student", "poisson"):
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
