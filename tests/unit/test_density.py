"""Models of the user's own: PyMC models and log densities, by every route.

PyMC compiles for seconds, so the fits that tests share are made once.
"""

import dataclasses
import json

import arviz as az
import density as checker
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import xarray as xr
from scipy import stats

import bayesinf
from bayesinf import calibration, priors
from bayesinf.checks import loo
from bayesinf.diagnostics import comparisons
from bayesinf.errors import DataError, FitError
from bayesinf.models import problem as driver
from bayesinf.models.density import LogDensity, problem
from bayesinf.posterior import load, reported, save
from bayesinf.settings import Settings
from bayesinf.workflow import summary

SETTINGS = Settings(draws=500, tune=500, chains=4, prior_draws=200)
# Effects of coaching on a test, and their standard errors: Rubin, Journal of Educational Statistics
# 6, 377 (1981), doi:10.3102/10769986006004377, table 1.
SCHOOLS = [
    "Choate",
    "Deerfield",
    "Andover",
    "Exeter",
    "Hotchkiss",
    "Lawrenceville",
    "Paul",
    "Hermon",
]
EFFECT = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
ERROR = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])


def eight_schools(centred):
    with pm.Model(coords={"school": SCHOOLS}, name="") as model:
        error = pm.Data("error", ERROR, dims="school")
        mu, tau = pm.Normal("mu", 0, 5), pm.HalfCauchy("tau", 5)
        if centred:
            theta = pm.Normal("theta", mu, tau, dims="school")
        else:
            z = pm.Normal("z", 0, 1, dims="school")
            theta = pm.Deterministic("theta", mu + tau * z, dims="school")
        pm.Normal("effect", theta, error, observed=EFFECT, dims="school")
    return model


X = np.linspace(-1, 2, 30)
Y = 0.5 + 1.5 * X + 0.3 * np.random.default_rng(7).normal(size=30)
DESIGN = np.column_stack([np.ones(30), X])
COVARIANCE = np.linalg.inv(DESIGN.T @ DESIGN / 0.3**2 + np.eye(2) / 2**2)
MEAN = COVARIANCE @ DESIGN.T @ Y / 0.3**2


@pytest.fixture(scope="module")
def line():
    with pm.Model(coords={"time": X}) as model:
        x = pm.Data("x", X, dims="time")
        a, b = pm.Normal("a", 0, 2), pm.Normal("b", 0, 2)
        pm.Normal("y", a + b * x, 0.3, observed=Y, dims="time")
    return model


def normal_line(**changes):
    def density(a, b):
        return stats.norm.logpdf(Y, a + b * X, 0.3)

    def replicate(rng, a, b):
        return a + b * X + 0.3 * rng.normal(size=30)

    stated = {
        "priors": dict.fromkeys(["a", "b"], priors.Normal(0, 2)),
        "pointwise": density,
        "replicate": replicate,
        "observed": {"y": xr.DataArray(Y, {"time": X})},
    }
    return LogDensity(**stated | changes)


def agrees(fit, mean, covariance, names=("a", "b"), sizes=4.5):
    """Means and covariance within ``sizes`` standard errors of at least 400 independent draws."""
    draws = np.stack([fit["posterior"][name].values.ravel() for name in names])
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_array_less(np.abs(draws.mean(1) - mean) / sd, sizes / np.sqrt(400))
    np.testing.assert_allclose(draws.std(1) / sd, 1, atol=sizes / np.sqrt(800))
    found = np.corrcoef(draws)[0, 1]
    assert found == pytest.approx(covariance[0, 1] / np.prod(sd), abs=0.15)


# --- PyMC models ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schools():
    return bayesinf.fit(
        eight_schools(False),
        # Which draws a seed gives is a matter of how numba compiled, too, in the last bit, and one
        # run in twenty has a transition that diverges: not this one, compiled anew or not.
        settings=SETTINGS.replace(seed=8),
        quantities=["mu", "tau", "theta"],
        name="eight schools",
        units={"theta": "points"},
    )


def test_a_pymc_model_fills_every_group_under_its_own_names(schools, tmp_path):
    posterior = schools["posterior"]
    assert set(posterior.data_vars) == {"mu", "tau", "z", "theta"}
    assert list(posterior["theta"]["school"].values) == SCHOOLS
    assert posterior["theta"].units == "points" and posterior["mu"].units == "1"
    np.testing.assert_allclose(
        posterior["theta"], posterior["mu"] + posterior["tau"] * posterior["z"], rtol=1e-10
    )
    for group in ("observed_data", "log_likelihood", "posterior_predictive", "prior_predictive"):
        assert schools[group]["effect"].dims[-1] == "school"
    np.testing.assert_array_equal(schools["constant_data"]["error"], ERROR)
    assert set(schools["log_prior"].data_vars) == {"mu", "tau", "z"}
    np.testing.assert_allclose(
        schools["log_prior"]["tau"], stats.halfcauchy.logpdf(posterior["tau"], scale=5)
    )
    np.testing.assert_allclose(
        schools["log_likelihood"]["effect"], stats.norm.logpdf(EFFECT, posterior["theta"], ERROR)
    )
    words = json.loads(schools.attrs["priors"])
    assert words["tau"] == "HalfCauchy(5)" and schools.attrs["model"] == "eight schools"
    prior = schools["prior"]["mu"].values
    assert stats.kstest(prior.ravel(), stats.norm(0, 5).cdf).pvalue > 1e-3
    again = load(save(schools, tmp_path / "a.nc"))
    assert bayesinf.check(again).words == bayesinf.check(schools).words


def test_eight_schools_is_believed_non_centred_and_not_centred(schools):
    assert bayesinf.check(schools).believed
    # Known to two digits: Gelman et al., Bayesian Data Analysis, with tau ~ half-Cauchy(5).
    assert float(schools["posterior"]["mu"].mean()) == pytest.approx(4.4, abs=0.5)
    assert float(schools["posterior"]["tau"].mean()) == pytest.approx(3.6, abs=0.6)
    centred = bayesinf.fit(eight_schools(True), settings=SETTINGS)
    verdict = bayesinf.check(centred)
    assert not verdict.believed
    assert {"divergences", "bulk ESS", "tail ESS"} & {
        c.name for c in verdict.checks if not c.passed
    }


def test_a_report_of_ones_own_model_is_written(schools, tmp_path):
    page = bayesinf.write_report(
        schools, tmp_path, title="Eight schools", question="Does coaching help?"
    )
    text = page.read_text()
    for part in ("Eight schools", "Does coaching help?", "Believed", "HalfCauchy(5)", "points"):
        assert part in text
    assert "theta[Choate]" in (tmp_path / "summary.csv").read_text()
    again = bayesinf.check(load(tmp_path / "posterior.nc"))
    assert again.words == bayesinf.check(schools).words


def nudged():
    with pm.Model() as model:
        rate = pm.Gamma("rate", 2, 1)
        bend = pm.Normal("bend", 0, 1, shape=3)
        pm.Potential("nudge", -0.1 * rate)
        pm.Potential("even", -5.0 * (bend - rate) ** 2)
        pm.Potential("still", pt.constant(-1.5))
        pm.Poisson("counts", rate, observed=[3, 1, 4])
    return model


@pytest.mark.usefixtures("interpreted")
def test_a_potential_is_stored_and_is_no_prior_that_is_scaled():
    stated = problem(nudged())
    checker.holds(stated)
    fit = driver.fit(stated, "laplace", SETTINGS)
    rate, bend = fit["posterior"]["rate"], fit["posterior"]["bend"]
    factors = fit["log_prior"]
    np.testing.assert_allclose(factors["nudge"], -0.1 * rate)
    np.testing.assert_allclose(factors["even"], -5 * ((bend - rate) ** 2).sum(bend.dims[-1]))
    assert (factors["still"] == -1.5).all()
    assert json.loads(fit.attrs["hyperparameters"]) == ["rate", "bend"]
    with pytest.raises(FitError, match="leave out the potential nudge, even, still"):
        stated.observing({"counts": np.array([1, 2, 3])})


@pytest.mark.usefixtures("interpreted")
def test_the_density_that_is_stored_is_the_models():
    stated = problem(eight_schools(True))
    checker.holds(stated)
    checker.must_fail(stated)
    points = stated.starts(np.random.default_rng(1), 5)
    values = stated.log_density(points)
    draws = stated.at(points)
    own = checker.stored(stated, draws)
    np.testing.assert_allclose(values, own + np.log(draws["tau"]))  # the Jacobian of log tau
    for point, value in zip(points, values, strict=True):
        assert stated.value_and_gradient(point)[0] == pytest.approx(value)
    assert stated.hyperparameters == ["mu", "tau"]  # theta's prior is part of the model
    assert stated.coordinates[:3] == ["mu", "tau", "theta[Choate]"]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("method", ["nuts", "laplace", "ensemble"])
def test_every_route_of_a_regression_is_the_closed_form(line, method, tmp_path, request):
    if method != "nuts":
        request.getfixturevalue("interpreted")
    fit = bayesinf.fit(line, method=method, settings=SETTINGS)
    verdict = bayesinf.check(fit)
    assert verdict.believed, verdict.words
    agrees(fit, MEAN, COVARIANCE)
    text = bayesinf.write_report(fit, tmp_path).read_text()
    assert "Believed" in text and "The data, and replicas" in text
    assert fit.attrs["method"] == method
    assert "memory of steps" in fit["sample_stats"]["statistic"].values  # along time


def test_quantities_are_judged_and_the_others_are_stored(schools):
    bad = schools.copy(deep=True)
    bad["posterior"]["z"].values[0] += 50  # the weights of one chain have permuted
    assert bayesinf.check(bad).believed and "z" in bad["posterior"]
    assert set(summary({"a": bad})["variable"].str.split("[").str[0]) == {"mu", "tau", "theta"}
    assert reported(bad) == ["mu", "tau", "theta"]
    bad.attrs.pop("quantities")
    assert not bayesinf.check(bad).believed
    bad.attrs["quantities"] = '["tau"]'
    bad["posterior"]["tau"].values[0] += 50
    assert not bayesinf.check(bad).believed


def test_arviz_reads_what_is_fitted(schools):
    assert "theta[Choate]" in az.summary(schools).index
    assert az.loo(schools).elpd == pytest.approx(loo(schools)["elpd"], abs=0.02)
    assert len(az.psense_summary(schools, var_names=["mu", "tau"])) == 2


@pytest.mark.usefixtures("interpreted")
def test_a_simplex_a_potential_and_two_data_sets_have_a_place():
    with pm.Model() as model:
        share = pm.Dirichlet("share", np.ones(3))
        rate = pm.Gamma("rate", 2, 1)
        pm.Potential("nudge", -0.1 * rate)
        pm.Multinomial("votes", 30, share, observed=[5, 10, 15])
        pm.Poisson("counts", rate, observed=[3, 1, 4])
    fit = bayesinf.fit(model, method="laplace", settings=SETTINGS)
    assert bayesinf.check(fit).believed, bayesinf.check(fit).words
    exact = np.array([6, 11, 16]) / 33
    np.testing.assert_allclose(fit["posterior"]["share"].mean(["chain", "draw"]), exact, atol=0.02)
    # Gamma(2 + 8, 1 + 3 + 0.1)
    assert float(fit["posterior"]["rate"].mean()) == pytest.approx(10 / 4.1, abs=0.15)
    assert "mean of counts" in fit["sample_stats"]["statistic"].values
    assert "factor" in json.loads(fit.attrs["priors"])["nudge"]


@pytest.mark.usefixtures("interpreted")
def test_missing_data_are_parameters():
    with pm.Model() as model:
        m = pm.Normal("m", 0, 1)
        with pytest.warns(pm.exceptions.ImputationWarning):
            pm.Normal("y", m, 1, observed=[1.0, np.nan, 2.0])
    fit = bayesinf.fit(model, method="laplace", settings=SETTINGS, quantities=["m", "y_unobserved"])
    assert bayesinf.check(fit).believed, bayesinf.check(fit).words
    assert fit["log_likelihood"]["y_observed"].shape == (4, 500, 2)
    assert float(fit["posterior"]["y_unobserved"].mean()) == pytest.approx(1.0, abs=0.15)


def test_what_cannot_be_fitted_is_refused():
    with pm.Model() as discrete:
        pm.Poisson("k", 3)
    with pytest.raises(FitError, match="k are discrete"):
        bayesinf.fit(discrete)
    with pm.Model() as empty:
        pm.Normal("y", 0, 1, observed=[1.0])
    with pytest.raises(FitError, match="no parameters"):
        bayesinf.fit(empty)
    with pm.Model() as flat:
        pm.Flat("m")
    with pytest.raises(FitError, match="proper prior"):
        bayesinf.fit(flat, method="laplace")
    with pytest.raises(DataError, match=r"expected a pymc\.Model"):
        bayesinf.fit(3)
    with pytest.raises(DataError, match="quantities: no such variable"):
        bayesinf.fit(normal_line(), quantities=["c"])
    with pytest.raises(DataError, match="units: no such variable"):
        bayesinf.fit(normal_line(), units={"c": "m"})
    with pytest.raises(FitError, match="unknown method 'nuts': use one of laplace, ensemble"):
        bayesinf.fit(normal_line(), method="nuts")


# --- of other data --------------------------------------------------------------------------------


@pytest.mark.usefixtures("interpreted")
def test_a_model_of_other_data_is_the_same_model(line):
    stated = problem(line, units={"y": "V"})
    other = stated.observing({"y": Y[::-1].copy()})
    draws = stated.sample_prior(np.random.default_rng(3), 4)
    for name, density in stated.log_factors(draws).items():
        np.testing.assert_allclose(other.log_factors(draws)[name], density)
    mean = draws["a"][:, None] + draws["b"][:, None] * X
    np.testing.assert_allclose(
        other.log_likelihood(draws)["y"], stats.norm.logpdf(Y[::-1], mean, 0.3)
    )
    np.testing.assert_array_equal(other.observed["y"], Y[::-1])
    assert other.observed["y"].units == "V" and list(other.observed["y"].coords) == ["time"]
    np.testing.assert_array_equal(stated.observed["y"], Y)  # the user's model is as it was


def restated(data):
    y = data["y"]

    def density(a, b):
        return stats.norm.logpdf(y, a[:, None] + b[:, None] * X, 0.3)

    def replicate(rng, a, b):
        return a[:, None] + b[:, None] * X + 0.3 * rng.normal(size=(len(a), 30))

    return LogDensity(
        dict.fromkeys(["a", "b"], priors.Normal(0, 2)),
        pointwise=density,
        replicate=replicate,
        observed={"y": y},
        observing=restated,
        vectorised=True,
    )


def wrongly(data):
    """A likelihood half as wide as the data it makes."""
    right = restated(data)
    narrow = lambda a, b: stats.norm.logpdf(data["y"], a[:, None] + b[:, None] * X, 0.1)
    return dataclasses.replace(right, pointwise=narrow, observing=wrongly)


@pytest.mark.parametrize(
    ("stated", "count", "words"),
    [
        (restated, 40, "Too few to tell: 40 simulated data sets show no fault"),
        (wrongly, 30, "Not calibrated: "),
    ],
)
def test_a_log_density_of_ones_own_is_calibrated(stated, count, words):
    machine = calibration.of(problem(stated({"y": Y})), name="own")
    verdict = calibration.verdict(calibration.calibrate(machine, count, workers=1))
    assert verdict["words"].startswith(words), verdict["words"]
    with pytest.raises(FitError, match="cannot be stated of other data: give its LogDensity"):
        problem(normal_line()).observing({"y": Y})


@pytest.mark.usefixtures("interpreted")
def test_a_pymc_model_is_a_machine_that_can_be_calibrated(line):
    """One replication of many, as PyMC compiles for seconds."""
    machine = calibration.of(problem(line), name="line", method="laplace", settings=SETTINGS)
    truth, made = machine.simulate(np.random.default_rng(6))
    fit = machine.fit(made, machine.settings)
    agrees(fit, COVARIANCE @ DESIGN.T @ made["y"] / 0.3**2, COVARIANCE)
    density = stats.norm.logpdf(made["y"], truth["a"] + truth["b"] * X, 0.3).sum()
    assert machine.log_likelihood(truth, made) == pytest.approx(density)


# --- log densities --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["laplace", "ensemble"])
def test_a_log_density_has_the_closed_form(method):
    fit = bayesinf.fit(normal_line(), method=method, settings=SETTINGS, units={"y": "V"})
    verdict = bayesinf.check(fit)
    assert verdict.believed and not verdict.unasked, verdict.words
    agrees(fit, MEAN, COVARIANCE)
    assert fit["observed_data"]["y"].units == "V"
    assert fit["log_likelihood"]["y"].dims == ("chain", "draw", "time")


def test_replicas_of_many_data_are_thinned_and_their_statistics_are_not(monkeypatch):
    monkeypatch.setattr("bayesinf.models.density.definition.MOST_REPLICATED", 20_000)
    fit = bayesinf.fit(normal_line(), settings=SETTINGS)
    assert fit["posterior_predictive"]["y"].shape == (4, 167, 30)
    np.testing.assert_array_equal(fit["posterior_predictive"]["draw"], np.arange(0, 500, 3))
    assert fit["sample_stats"]["discrepancy"].shape[:2] == (4, 500)
    np.testing.assert_allclose(
        fit["posterior_predictive"]["y"].mean("time"),
        fit["sample_stats"]["discrepancy"].sel(statistic="mean", draw=np.arange(0, 500, 3)),
    )


SD, RHO = np.array([1e-3, 50.0]), 0.9
NORMAL = np.outer(SD, SD) * np.array([[1, RHO], [RHO, 1]])
PRECISION = np.linalg.inv(NORMAL)


def correlated(a, b):
    z = np.stack([np.asarray(a), np.asarray(b)], axis=-1) - [0.2, -10]
    return -0.5 * np.einsum("...i,ij,...j", z, PRECISION, z)


def slope(a, b):
    z = np.stack([np.asarray(a), np.asarray(b)], axis=-1) - [0.2, -10]
    return -z @ PRECISION


@pytest.mark.parametrize("method", ["laplace", "ensemble"])
@pytest.mark.parametrize("vectorised", [False, True])
def test_a_correlated_normal_with_gradient_or_without(method, vectorised):
    stated = LogDensity(
        {"a": priors.Normal(0, 10), "b": priors.Uniform(-1e4, 1e4)},
        correlated,
        gradient=slope if vectorised else None,
        vectorised=vectorised,
    )
    target = problem(stated)
    point = target.starts(np.random.default_rng(1), 1)[0] * 0.01
    gradient = target.value_and_gradient(point)[1]
    numeric = [
        (target.log_density((point + h)[None]) - target.log_density((point - h)[None]))[0] / 2e-6
        for h in 1e-6 * np.eye(2)
    ]
    np.testing.assert_allclose(gradient, numeric, rtol=1e-3)
    fit = bayesinf.fit(stated, method=method, settings=SETTINGS)
    verdict = bayesinf.check(fit)
    assert verdict.believed, verdict.words
    assert set(verdict.unasked) == {"predictive check", "leave-one-out"}
    assert verdict.words.startswith("Believed") and "no function that replicates" in verdict.words
    agrees(fit, [0.2, -10], NORMAL)


BOUNDED = [
    (priors.Normal(1, 2), (0, np.inf)),
    (priors.Normal(1, 2), (-np.inf, 0)),
    (priors.Normal(1, 2), (-1, 4)),
    (priors.LogNormal(2, 1), (0.5, 3)),
    (priors.HalfCauchy(2), (1, np.inf)),
    (priors.InverseChi(2, 1), None),
    (priors.LogUniform(0.1, 10), None),
    (priors.Beta(2, 3), (0.1, 0.5)),
]


@pytest.mark.parametrize(("prior", "bounds"), BOUNDED, ids=[f"{p} {b}" for p, b in BOUNDED])
def test_bounds_cut_a_prior_and_leave_it_normalised(prior, bounds):
    from scipy.integrate import quad

    cut = {} if bounds is None else {"a": bounds}
    target = problem(LogDensity({"a": prior}, lambda a: 0 * a, bounds=cut, vectorised=True))
    low, high = target.spans["a"].low, target.spans["a"].high

    def density(a):
        return np.exp(target.log_factors({"a": np.array([a])})["a"][0])

    assert quad(density, low, high)[0] == pytest.approx(1, rel=1e-4)
    x = np.linspace(-3, 3, 7)[:, np.newaxis]
    values = target.at(x)["a"]
    np.testing.assert_allclose(target.spans["a"].to_real(values), x[:, 0], rtol=1e-8, atol=1e-9)
    stretch = (target.at(x + 1e-6)["a"] - target.at(x - 1e-6)["a"]) / 2e-6
    expected = np.log([density(a) for a in values]) + np.log(stretch)
    np.testing.assert_allclose(target.log_density(x), expected, rtol=1e-5, atol=1e-6)
    draws = target.sample_prior(np.random.default_rng(3), 4000)["a"]
    assert low <= draws.min() and draws.max() <= high
    share = quad(density, low, np.median(draws))[0]
    assert share == pytest.approx(0.5, abs=0.04)


def funnel(v, a, b, c):
    return -0.5 * (a**2 + b**2 + c**2) * np.exp(-v) - 1.5 * v


def two_modes(a):
    return np.logaddexp(-0.5 * ((a - 5) / 0.5) ** 2, -0.5 * ((a + 5) / 0.5) ** 2)


WIDE = priors.Normal(0, 1000)
FUNNEL = LogDensity(
    {"v": priors.Normal(0, 3)} | dict.fromkeys("abc", WIDE), funnel, vectorised=True
)
TWO_MODES = LogDensity({"a": priors.Normal(0, 10)}, two_modes, vectorised=True)


@pytest.mark.parametrize("wrong", [FUNNEL, TWO_MODES], ids=["funnel", "two modes"])
def test_laplace_is_not_believed_of_what_is_no_normal(wrong):
    verdict = bayesinf.check(bayesinf.fit(wrong, settings=SETTINGS))
    assert not verdict.believed, verdict.words


def test_walkers_start_around_every_mode(monkeypatch):
    seen = []

    def sample(log_density, start, *rest):
        seen.append(start)
        raise FitError("enough")

    monkeypatch.setattr("bayesinf.inference.ensemble.sample", sample)
    with pytest.raises(FitError, match="enough"):
        bayesinf.fit(TWO_MODES, method="ensemble")
    values = problem(TWO_MODES).at(seen[0])["a"]
    assert (values > 0).sum() == (values < 0).sum() == 32


@pytest.mark.usefixtures("undrawn")
def test_a_density_without_data_is_saved_and_told(tmp_path):
    fit = bayesinf.fit(
        LogDensity({"a": priors.Normal(0, 10), "b": priors.Uniform(-1e4, 1e4)}, correlated),
        settings=SETTINGS,
        name="two numbers",
    )
    page = bayesinf.write_report(fit, tmp_path)
    text = page.read_text()
    assert "two numbers" in text and "replicas of them" not in text
    assert "Not asked: predictive check" in text
    again = load(tmp_path / "posterior.nc")
    assert bayesinf.check(again).words == bayesinf.check(fit).words
    assert "two numbers" in bayesinf.retell(tmp_path).read_text()


def test_a_log_density_says_what_it_lacks():
    flat = {"a": priors.Normal()}
    with pytest.raises(DataError, match="no likelihood"):
        LogDensity(flat)
    with pytest.raises(DataError, match="no data"):
        LogDensity(flat, pointwise=lambda a: [a])
    with pytest.raises(DataError, match="no such bounds"):
        LogDensity(flat, lambda a: a, bounds={"a": (2, 1)})
    with pytest.raises(DataError, match="leave nothing of the prior"):
        problem(LogDensity({"a": priors.Uniform(0, 1)}, lambda a: a, bounds={"a": (2, 3)}))
    with pytest.raises(DataError, match="a number for each point"):
        bayesinf.fit(LogDensity(flat, lambda a: [a, a]))
    with pytest.raises(DataError, match="another shape than the data"):
        bayesinf.fit(normal_line(replicate=lambda rng, a, b: np.zeros(3)), settings=SETTINGS)
    with pytest.raises(FitError, match="none of 8 starts"):
        bayesinf.fit(LogDensity(flat, lambda a: -np.inf))


# --- statistics of any data -----------------------------------------------------------------------


def test_memory_of_steps_is_asked_of_what_has_an_order_and_sees_correlated_errors():
    rng = np.random.default_rng(1)
    white = rng.normal(size=(200, 300)) + 0.1 * np.arange(300)
    walk = np.cumsum(rng.normal(size=(200, 300)), axis=1)
    timed = comparisons(xr.Dataset({"y": ("time", white[0])}))["memory of steps"]
    assert np.mean(timed({"y": white})) == pytest.approx(-0.5, abs=0.02)
    assert np.mean(timed({"y": walk})) == pytest.approx(0, abs=0.02)
    dated = xr.Dataset({"y": ("n", white[0])}, {"n": np.arange(300).astype("datetime64[D]")})
    assert "memory of steps" in comparisons(dated)
    assert list(comparisons(xr.Dataset({"y": ("site", white[0])}))) == [
        "mean",
        "sd",
        "smallest",
        "largest",
    ]


def test_population_monte_carlo_draws_what_is_known_and_begins_where_it_is_told():
    """A mean of normal data under a normal prior, in closed form; starts are the caller's."""
    y, asked = np.array([0.3, 1.1, 0.7, 0.9]), []

    def starts(rng, count):
        asked.append(count)
        return {"mean": rng.normal(0.5, 0.1, count)}

    stated = LogDensity(
        {"mean": priors.Normal(0.0, 1.0)},
        lambda mean: -0.5 * np.sum((y - mean[:, np.newaxis]) ** 2 / 0.25, axis=1),
        starts=starts,
        vectorised=True,
    )
    settings = Settings(draws=400, chains=4, prior_draws=5)
    fit = bayesinf.fit(stated, method="population", settings=settings)
    draws = fit["posterior"]["mean"].values.ravel()
    sd = 1 / np.sqrt(1 + 4 / 0.25)
    assert asked and fit.attrs["inference"] == "mle+mcmc"
    assert abs(draws.mean() - sd**2 * y.sum() / 0.25) < 5 * sd / np.sqrt(800)
    assert abs(draws.std() / sd - 1) < 0.15
