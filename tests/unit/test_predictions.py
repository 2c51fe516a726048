"""What follows from a posterior at new places, and what more data make of it, family by family."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from scipy import special

import bayesinf
from bayesinf.errors import BayesinfError, DataError, FitError
from bayesinf.models import density, linear
from bayesinf.models import problem as driver
from bayesinf.models.binary import logistic, pairwise
from bayesinf.priors import HalfCauchy, LogNormal, Normal
from bayesinf.settings import Settings

SHORT = Settings(draws=100, chains=2, tune=50, prior_draws=20)
RNG = np.random.default_rng(5)
X = RNG.normal(size=(60, 3)) * [1.0, 5.0, 0.1] + [0.0, 2.0, 0.0]
ETA = X @ [0.6, -0.1, 2.0]
Y = ETA + 0.3 * RNG.normal(size=60)


def enough(**draws):
    """As much of a fit as a prediction of sites asks for."""
    group = xr.Dataset({name: (dims, values) for name, (dims, values) in draws.items()})
    tree = xr.DataTree.from_dict({"posterior": group})
    tree.attrs = {"encoding": "±1", "seed": 1}
    return tree


def test_a_site_follows_from_all_others():
    h, J = np.array([0.2, -0.1, 0.4]), np.array([0.5, -0.3, 0.7])  # pairs 01, 02, 12
    fit = enough(
        h=(("chain", "draw", "site"), h[None, None]), J=(("chain", "draw", "pair"), J[None, None])
    )
    states = np.array([[1, -1, 1], [-1, -1, 1]])
    found = pairwise.predict(fit, states)["probability"][0, 0]

    def weight(s):  # by the law itself, not by the formula
        return np.exp(h @ s + J[0] * s[0] * s[1] + J[1] * s[0] * s[2] + J[2] * s[1] * s[2])

    for row, state in enumerate(states):
        for site in range(3):
            on, off = state.copy(), state.copy()
            on[site], off[site] = 1, -1
            expected = weight(on) / (weight(on) + weight(off))
            assert float(found[row, site]) == pytest.approx(expected, rel=1e-12)


def test_the_next_state_follows_from_the_present_one():
    h, J = np.array([0.2, -0.1]), np.array([[0.3, -0.8], [1.1, 0.0]])
    one = (("chain", "draw", "site"), np.tile(h, (1, 400, 1)))
    two = (("chain", "draw", "target", "source"), np.tile(J, (1, 400, 1, 1)))
    found = logistic.predict(enough(h=one, J=two), np.array([[1, -1], [-1, -1]]))
    expected = special.expit(2 * (h + np.array([[1, -1], [-1, -1]]) @ J.T))
    np.testing.assert_allclose(found["probability"][0, 7], expected, rtol=1e-12)
    share = (found["next"] == 1).mean(["chain", "draw"])
    np.testing.assert_allclose(share, expected, atol=4 * 0.5 / np.sqrt(400))
    assert set(np.unique(found["next"])) <= {-1, 1}


@pytest.mark.parametrize("states", [np.zeros((1, 2)), np.ones((1, 3)), np.ones((1, 2, 2))])
def test_other_states_are_refused(states):
    h, J = np.zeros((1, 4, 2)), np.zeros((1, 4, 2, 2))
    fit = enough(h=(("chain", "draw", "site"), h), J=(("chain", "draw", "t", "s"), J))
    with pytest.raises(DataError):
        logistic.predict(fit, states)


@pytest.mark.parametrize(
    ("response", "y", "inverse"),
    [
        ("poisson", RNG.poisson(np.exp(ETA)), np.exp),
        ("bernoulli", (RNG.random(60) < special.expit(ETA)).astype(float), special.expit),
        ("student", Y, lambda eta: eta),
    ],
)
def test_a_response_is_predicted_by_its_link(response, y, inverse):
    found = driver.fit(linear.generalised(X, y, response), settings=SHORT)
    told = linear.predict(found, X[:2])
    draws = found["posterior"]
    eta = draws["beta"].values @ X[:2].T + draws["intercept"].values[..., None]
    np.testing.assert_allclose(told["mean"], inverse(eta), rtol=1e-9)
    values = np.unique(told["y"])
    assert response == "student" or (values == np.round(values)).all()
    assert response != "bernoulli" or set(values) <= {0.0, 1.0}


def test_coefficients_of_another_name_are_asked_for():
    found = linear.fit(X, Y, settings=SHORT, name="slope")
    with pytest.raises(FitError, match="said by name="):
        linear.predict(found, X)
    assert linear.predict(found, X[:1], name="slope")["mean"].shape == (2, 100, 1)


@pytest.mark.usefixtures("interpreted")
def test_a_pymc_model_takes_new_data():
    import pymc as pm

    t = np.arange(6.0)
    with pm.Model(coords={"time": t}) as model:
        at = pm.Data("t", t, dims="time")
        rate = pm.LogNormal("rate", 0, 1)
        mean = pm.Deterministic("mean", 100 * pm.math.exp(-rate * at), dims="time")
        pm.Poisson("counts", mean, observed=[98, 62, 35, 23, 13, 8], dims="time")
    found = bayesinf.fit(model, method="laplace", settings=SHORT)
    told = density.predict(found, model, {"t": [7.0, 8.0]}, coords={"time": [7.0, 8.0]})
    rates = found["posterior"]["rate"].sel(draw=told["draw"])
    np.testing.assert_allclose(told["mean"][..., 1], 100 * np.exp(-8 * rates), rtol=1e-9)
    assert told["counts"].shape == (2, 100, 2)
    np.testing.assert_array_equal(model["t"].get_value(), t)
    for data, said in (({"z": 1.0}, "no pm.Data 'z'"), ({"t": [1.0, 2.0]}, "do not go together")):
        with pytest.raises(FitError, match=said):
            density.predict(found, model, data)
    with pytest.raises(FitError, match="nothing of new data"):
        density.predict(found, density.LogDensity({"a": Normal()}, lambda a: -a), {})


# --- more data ------------------------------------------------------------------------------------

PRIORS = {
    "known scale": {"prior": linear.Gaussian(scale=2.0), "noise": 0.3},
    "inferred scales": {
        "prior": linear.Gaussian(scale=HalfCauchy(1.0)),
        "noise": LogNormal(0.3, 1.0),
    },
    "own intercept": {
        "prior": linear.Gaussian(scale=1.5),
        "noise": LogNormal(0.3, 1.0),
        "intercept": Normal(0.0, 10.0),
    },
}


def alike(one, other):
    for name in one["posterior"].data_vars:
        np.testing.assert_allclose(
            one["posterior"][name], other["posterior"][name], rtol=1e-9, atol=1e-11
        )
    np.testing.assert_array_equal(
        one["observed_data"]["y"].values, other["observed_data"]["y"].values
    )


@pytest.mark.parametrize("case", PRIORS)
def test_an_updated_fit_is_that_of_all_data(case, tmp_path):
    first, second = (linear.fit(X[k], Y[k], settings=SHORT, **PRIORS[case]) for k in HALVES)
    whole = linear.fit(X, Y, settings=SHORT, **PRIORS[case])
    alike(linear.update(first, X[25:], Y[25:]), whole)
    alike(linear.combine(first, second), whole)
    stored = bayesinf.load(bayesinf.save(first, tmp_path / "first.nc"))
    step = linear.update(linear.update(stored, X[25:40], Y[25:40]), X[40:], Y[40:])
    alike(step, whole)


HALVES = slice(0, 25), slice(25, None)


def test_known_noise_and_scale_have_a_closed_form():
    more = linear.fit(X[:25], Y[:25], settings=SHORT, **PRIORS["known scale"])
    found = linear.update(more, X[25:], Y[25:], settings=Settings(draws=4000, chains=2))
    precision = X.T @ X / 0.09 + np.eye(3) / 4.0
    mean = np.linalg.solve(precision, X.T @ Y / 0.09)
    sd = np.sqrt(np.diag(np.linalg.inv(precision)))
    draws = found["posterior"]["beta"].values.reshape(-1, 3)
    np.testing.assert_allclose((draws.mean(axis=0) - mean) / sd, 0, atol=5 / np.sqrt(8000))
    np.testing.assert_allclose(draws.std(axis=0) / sd, 1, atol=0.05)


def test_defaults_that_looked_at_the_first_rows_stay():
    problem = linear.regression(X[:25], Y[:25], intercept=True)
    (_, own) = problem.unshrunk["intercept"]
    whole = replace(
        problem,
        X=X,
        y=Y,
        unshrunk={"intercept": (np.ones(60), own)},
        names=replace(problem.names, coords={}),
    )
    first = linear.fit(X[:25], Y[:25], intercept=True, settings=SHORT)
    found = linear.update(first, X[25:], Y[25:])
    alike(found, driver.fit(whole, settings=SHORT))
    assert found.attrs["stated"] == first.attrs["stated"]


def test_error_bars_and_columns_go_along():
    column, bars = np.cos(np.arange(60.0)), np.linspace(0.2, 0.5, 60)
    options = {"prior": linear.Gaussian(scale=2.0)}

    def fitted(rows):
        wave = {"wave": (column[rows], Normal(0.0, 3.0))}
        rest = {"unshrunk": wave, "error": bars[rows], "settings": SHORT}
        return linear.fit(X[rows], Y[rows], **options, **rest)

    more = linear.update(
        fitted(HALVES[0]), X[25:], Y[25:], unshrunk={"wave": column[25:]}, error=bars[25:]
    )
    alike(more, fitted(slice(None)))


REFUSED = {
    "do not go with the fit": lambda fit: linear.update(fit, X[:, :2], Y),
    "error bars are not those": lambda fit: linear.update(fit, X, Y, error=0.1),
    "new row is not finite": lambda fit: linear.update(fit, X * np.nan, Y),
    "columns are not those": lambda fit: linear.update(fit, X, Y, unshrunk={"wave": Y}),
    "count twice": lambda fit: linear.combine(fit, fit),
    "two fits and more": lambda fit: linear.combine(fit),
    "different priors": lambda fit: linear.combine(
        fit, linear.fit(X[25:], Y[25:], intercept=True, settings=SHORT)
    ),
    "cannot be extended exactly": lambda fit: linear.update(
        linear.fit(X, Y, basis=np.eye(3), settings=SHORT), X, Y
    ),
    "(another library, unknown)": lambda fit: linear.update(SimpleNamespace(attrs={}), X, Y),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_cannot_be_extended_is_refused(said):
    fit = linear.fit(X[:25], Y[:25], intercept=True, settings=SHORT)
    with pytest.raises(BayesinfError) as raised:
        REFUSED[said](fit)
    assert said in str(raised.value) and "\n" not in str(raised.value)
