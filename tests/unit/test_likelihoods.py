"""How data scatter about a curve: densities against PyMC's and SciPy's, draws, routes."""

import lmfit
import numpy as np
import pytest
from density import holds
from scipy import stats

from bayesinf.checks import check
from bayesinf.data import curve_from_arrays
from bayesinf.errors import DataError, FitError
from bayesinf.models import curve
from bayesinf.models.likelihoods import (
    LIKELIHOODS,
    NOISE,
    Correlated,
    NegativeBinomial,
    Poisson,
    likelihood_of,
)
from bayesinf.posterior import noted
from bayesinf.priors import Uniform
from bayesinf.settings import Settings

SHORT = Settings(draws=250, chains=4, prior_draws=20)
X = np.cumsum(np.random.default_rng(0).uniform(0.1, 0.4, 40))
MEAN = 3 + 8 * np.exp(-0.5 * (X - 5) ** 2)
NAMES = (*LIKELIHOODS, "proportional+correlated", "shot+correlated")
SCATTER = {
    NOISE: 0.7,
    "noise_dof": 4.0,
    "noise_share": 0.2,
    "noise_gain": 0.4,
    "noise_length": 0.5,
    "noise_excess": 0.3,
}
every = pytest.mark.parametrize("name", NAMES)


def scatter_of(one, shape=()):
    names = [NOISE] * one.noisy + list(one.own)
    return {name: np.full((*shape, 1), SCATTER[name]) for name in names}


def drawn(name, seed=1, mean=MEAN):
    one = likelihood_of(name, X, np.round(mean))
    return one, one.draw(mean, scatter_of(one), np.random.default_rng(seed))


def stated(name, error=None, **options):
    model = lmfit.models.GaussianModel() + lmfit.models.ConstantModel()
    _, y = drawn(name)
    params = model.make_params(amplitude=20, center=5, sigma=1, c=3)
    priors = {
        "amplitude": Uniform(1, 60),
        "center": Uniform(3, 7),
        "sigma": Uniform(0.3, 3),
        "c": Uniform(0.1, 9),
    }
    points = curve_from_arrays(X, y, error)
    return curve.problem(model, params, points, likelihood=name, priors=priors, **options)


@every
@pytest.mark.parametrize("known", [False, True])
def test_the_pymc_definition_is_the_density_of_the_fast_routes(name, known):
    if known and not likelihood_of(name, X, np.round(MEAN)).noisy:
        return
    holds(stated(name, np.linspace(0.5, 1, 40) if known else None))


def test_counts_in_a_unit_have_the_density_of_counts():
    model = lmfit.models.ConstantModel()
    y = np.random.default_rng(2).poisson(6, 40) / 8
    points, prior = curve_from_arrays(X, y), {"c": Uniform(0.1, 3)}
    for one in (Poisson(1 / 8), NegativeBinomial(1 / 8)):
        holds(curve.problem(model, model.make_params(c=1.0), points, likelihood=one, priors=prior))


def test_the_densities_are_scipys():
    y, few = MEAN + 0.3, {NOISE: 0.7, "noise_dof": 4.0, "noise_excess": 0.3}
    of = lambda name: likelihood_of(name, X, np.round(MEAN))
    np.testing.assert_allclose(
        of("student").log_density(y, MEAN, few), stats.t(4, MEAN, 0.7).logpdf(y)
    )
    counts = np.arange(40.0)
    np.testing.assert_allclose(
        of("poisson").log_density(counts, MEAN, {}), stats.poisson(MEAN).logpmf(counts)
    )
    shape = 1 / 0.3
    exact = stats.nbinom(shape, shape / (shape + MEAN)).logpmf(counts)
    np.testing.assert_allclose(of("negbinomial").log_density(counts, MEAN, few), exact)
    for excess in (1e-4, 1e-7, 1e-9, 1e-12):  # it ends in Poisson's, without cancellation
        near = of("negbinomial").log_density(counts, MEAN, {"noise_excess": excess})
        exact = of("poisson").log_density(counts, MEAN, {})
        np.testing.assert_allclose(near, exact, atol=2e3 * excess + 1e-8)


@every
def test_residuals_of_draws_are_alike_and_know_nothing_of_each_other(name):
    one = likelihood_of(name, X, np.round(MEAN))
    mean = np.broadcast_to(MEAN, (20000, 40))
    y = one.draw(mean, scatter_of(one, (20000,)), np.random.default_rng(3))
    expected, scale = one.expected(y, mean, scatter_of(one, (20000,)))
    z = (y - expected) / scale
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=0.04)
    if name != "student":  # whose far points count for less
        np.testing.assert_allclose(z.std(axis=0), 1, atol=0.04)
    neighbours = np.mean(z[:, 1:] * z[:, :-1], axis=0)
    np.testing.assert_allclose(neighbours, 0, atol=0.04)


@pytest.mark.parametrize("name", [name for name in NAMES if "correlated" in name])
def test_noise_with_memory_is_a_normal_of_many_dimensions(name):
    one, y = drawn(name)
    assert isinstance(one, Correlated)
    own = scatter_of(one)
    _, sd = one.sized.expected(y, MEAN, own)
    covariance = np.exp(-np.abs(X[:, None] - X) / 0.5) * np.outer(*[np.broadcast_to(sd, 40)] * 2)
    whole = stats.multivariate_normal(MEAN, covariance).logpdf(y)
    assert one.log_density(y, MEAN, own).sum() == pytest.approx(whole)
    precision = np.linalg.inv(covariance)
    variance = 1 / np.diag(precision)
    off = precision @ (y - MEAN) * variance
    exact = stats.norm(0, np.sqrt(variance)).logpdf(off)
    np.testing.assert_allclose(one.left_out(y, MEAN, own), exact)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_both_routes_find_the_truth_and_each_other(name):
    fits = [
        curve.fit(*_model(), X, drawn(name, 4)[1], likelihood=name, method=method, settings=SHORT)
        for method in ("laplace", "emcee")
    ]
    for parameter, true in {"c": 3.0, "center": 5.0, "sigma": 1.0}.items():
        laplace, emcee = (fit["posterior"][parameter] for fit in fits)
        sd = float(emcee.std())
        assert float(emcee.mean()) == pytest.approx(true, abs=4 * sd)
        assert float(laplace.mean()) == pytest.approx(float(emcee.mean()), abs=0.8 * sd)
        best = float(noted(fits[0], "classical")[parameter])
        assert best == pytest.approx(float(emcee.mean()), abs=1.2 * sd)
    assert check(fits[1]).believed
    assert fits[1].attrs["likelihood"] == name


def _model():
    model = lmfit.models.GaussianModel() + lmfit.models.ConstantModel()
    params = model.make_params(amplitude=15, center=4.5, sigma=1.4, c=2)
    for parameter in ("amplitude", "sigma", "c"):
        params[parameter].set(min=1e-3)
    return model, params


def test_a_constant_rate_has_gammas_posterior():
    """Flat prior, Poisson counts: a gamma distribution in closed form."""
    model, y = lmfit.models.ConstantModel(), np.random.default_rng(5).poisson(2.0, 40)
    params = model.make_params(c=1.0)
    params["c"].set(min=0, max=50)
    exact = stats.gamma(y.sum() + 1, scale=1 / 40)
    settings = Settings(draws=1500, chains=4, prior_draws=20)
    for method in ("laplace", "emcee"):
        fit = curve.fit(model, params, X, y, likelihood="poisson", method=method, settings=settings)
        draws = fit["posterior"]["c"].to_numpy().ravel()
        skew = 0.2 if method == "laplace" else 0.08  # the mode of a gamma lies 0.12 sd below
        assert draws.mean() == pytest.approx(exact.mean(), abs=skew * exact.std())
        assert draws.std() == pytest.approx(exact.std(), rel=0.06)
        assert float(noted(fit, "classical")["c"]) == pytest.approx(y.mean(), rel=1e-4)
        error = float(noted(fit, "classical")["c_error"])
        assert error == pytest.approx(np.sqrt(y.mean() / 40), rel=1e-3)


def test_a_rate_is_nowhere_negative():
    """A line through few counts, which least squares would draw below zero."""
    model, y = lmfit.models.LinearModel(), np.array([9, 6, 7, 4, 2, 1, 0, 1, 0, 0, 0, 0.0])
    x, params = np.arange(12.0), model.make_params(slope=-0.5, intercept=6.0)
    assert np.polyval(np.polyfit(x, y, 1), x).min() < 0
    priors = {"slope": Uniform(-3, 3), "intercept": Uniform(0, 30)}
    fit = curve.fit(
        model, params, x, y, likelihood="poisson", method="emcee", priors=priors, settings=SHORT
    )
    assert float((fit["posterior"]["intercept"] + 11 * fit["posterior"]["slope"]).min()) >= 0


def test_mistakes_are_said_in_one_line():
    model, params = _model()
    for y, options, kind, words in (
        (MEAN, {"likelihood": "poisson"}, DataError, "whole numbers"),
        (-np.round(MEAN), {"likelihood": "negbinomial"}, DataError, "whole numbers"),
        (MEAN, {"likelihood": "cauchy"}, FitError, "normal, student, poisson"),
        (MEAN, {"likelihood": "poisson+correlated"}, FitError, "shot[+]correlated"),
        (np.round(MEAN), {"likelihood": "poisson", "noise": 1.0}, DataError, "has no noise"),
    ):
        with pytest.raises(kind, match=words) as caught:
            curve.fit(model, params, X, y, **options)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="points that differ in x"):
        curve.fit(model, params, np.repeat(X[::2], 2), MEAN, likelihood="correlated")
