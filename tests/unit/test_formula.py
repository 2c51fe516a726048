"""A curve as it is written: read safely, fitted as any lmfit model, refused in one line."""

import numpy as np
import pytest
from lmfit import models

import bayesinf
from bayesinf.errors import BayesinfError, DataError, FitError
from bayesinf.models import curve
from bayesinf.models.curve import formula
from bayesinf.posterior import noted
from bayesinf.priors import LogNormal, Normal
from bayesinf.settings import Settings

SHORT = Settings(draws=100, chains=4, tune=50, prior_draws=20)
TEXT = "a*exp(-t/tau) + c"
STARTS = {"a": 8.0, "tau": 1.0, "c": 0.5}
T = np.linspace(0, 6, 40)
Y = 10 * np.exp(-T / 2) + 1 + 0.2 * np.random.default_rng(1).normal(size=40)


@pytest.fixture(scope="module")
def written():
    return curve.fit(expression=TEXT, data={"t": T, "counts": Y}, params=STARTS, settings=SHORT)


def built_in():
    return models.ExponentialModel() + models.ConstantModel()


def test_it_is_the_curve_that_lmfit_has(written):
    model = built_in()
    same = curve.fit(model, model.make_params(amplitude=8, decay=1, c=0.5), T, Y, settings=SHORT)
    ours, theirs = noted(written, "classical"), noted(same, "classical")
    for name, other in {"a": "amplitude", "tau": "decay", "c": "c"}.items():
        assert ours[name].item() == pytest.approx(theirs[other].item(), rel=1e-8)
        assert ours[f"{name}_error"].item() == pytest.approx(theirs[f"{other}_error"].item(), 1e-6)
    assert (written.attrs["expression"], written.attrs["independent"]) == (TEXT, "t")
    assert list(written["observed_data"].data_vars) == ["counts"]


@pytest.mark.slow  # guarded for lmfit's own models by test_curve
def test_the_pymc_model_has_the_same_density_and_slopes():
    model, params, priors = formula.stated(
        "a*exp(-t/tau) + c*sin(pi*t)**2 + erf(t/tau)",
        params={"a": Normal(8, 3), "tau": LogNormal(1, 1), "c": Normal(0, 1)},
    )
    points = bayesinf.data.curve_from_arrays(T, Y, np.full(40, 0.2))
    problem = curve.problem(model, params, points, priors=priors)
    pm, draws = problem.pymc(), problem.sample_prior(np.random.default_rng(3), 2)
    free = [pm.rvs_to_values[rv] for rv in pm.free_RVs]
    density = pm.compile_logp(vars=[*pm.free_RVs, *pm.observed_RVs], jacobian=False)
    ours = problem.log_density(problem.theta(draws))

    def at(k):
        values = {name: draws[name][k] for name in problem.free}
        values["tau"] = np.log(values["tau"])
        return {v.name: values[v.name.removesuffix("_log__")] for v in free}

    theirs = [float(density(at(k))) for k in range(2)]
    assert ours[1] - ours[0] == pytest.approx(theirs[1] - theirs[0], rel=1e-9)
    assert np.isfinite(pm.compile_dlogp()(at(0))).all()


@pytest.mark.parametrize(
    ("text", "x", "value"),
    [
        ("a*x**2 - -b/3", 2.0, 2 * 4 + 5 / 3),
        ("maximum(a - x, 0) + arctan2(b, x)", 1.0, 1 + np.arctan2(5, 1)),
        ("log10(a*x) + sqrt(abs(-b)) + 1e-3", 3.0, np.log10(6) + np.sqrt(5) + 1e-3),
        ("2**a*x + 0*b", 1.0, 4.0),
    ],
)
def test_arithmetic(text, x, value):
    model, params, _ = formula.stated(text, params={"a": 2.0, "b": 5.0})
    assert model.eval(params, x=np.array([x]))[0] == pytest.approx(value, rel=1e-14)


REFUSED = {
    "unknown function foo": {"expression": "a*foo(t) + tau + c"},
    "cannot be read": {"expression": "a*exp(-t/tau"},
    "'lambda' is a word of Python's": {"expression": "lambda*t"},
    "a power is written **": {"expression": "a*t^2 + tau + c"},
    "exp takes 1 argument, not 2": {"expression": "exp(a, t) + tau + c"},
    "exp without its brackets": {"expression": "exp + a*t"},
    "holds \"__import__('os').system('x')\"": {"expression": "__import__('os').system('x') + a"},
    "holds 'a.real'": {"expression": "a.real*t"},
    "holds '[t for t in a]'": {"expression": "[t for t in a]"},
    "nothing to infer": {"expression": "3*t"},
    "no starting value or prior of c": {"params": {"a": 1, "tau": 1}, "independent": "t"},
    "which name of": {"params": {"a": 1}},
    "no parameter 'd'": {"params": {**STARTS, "d": 1}},
    "starts at a number or has a prior": {"params": {**STARTS, "a": "many"}},
    "does not hold 'z'": {"independent": "z"},
    "no such column 'k'": {"data": {"t": T, "n": Y}, "x": None, "y": "k"},
    "no column is x": {"data": {"time": T, "n": Y}, "x": None, "y": None},
    "which column is y is not clear": {"data": {"t": T, "n": Y, "m": Y}, "x": None, "y": None},
    "which the data call time": {
        "data": {"time": T, "n": Y},
        "x": "time",
        "y": "n",
        "params": {"a": 1, "tau": 1},
    },
    "two columns of the data, t and tau": {
        "data": {"t": T, "tau": T, "n": Y},
        "x": "t",
        "y": "n",
        "params": {"a": 1, "c": 1},
    },
    "finite curve": {"expression": "a*9**9**9**9*t + tau + c"},
    "twice over": {"model": built_in()},
    "no curve to fit": {"expression": None},
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_will_not_do_is_refused_in_one_line(said):
    arguments = {"expression": TEXT, "x": T, "y": Y, "params": STARTS} | REFUSED[said]
    with pytest.raises(BayesinfError) as raised:
        curve.fit(settings=SHORT, **arguments)
    assert said in str(raised.value) and "\n" not in str(raised.value)


# --- what follows at other x ----------------------------------------------------------------------


def test_a_file_predicts(written, tmp_path):
    found = bayesinf.load(bayesinf.save(written, tmp_path / "fit.nc"))
    told = curve.predict(found, [0.0, 2.0, 30.0])
    draws = found["posterior"].isel(draw=told["draw"].values)
    expected = draws["a"] * np.exp(-2.0 / draws["tau"]) + draws["c"]
    np.testing.assert_allclose(told["mean"][..., 1], expected, rtol=1e-12)
    np.testing.assert_array_equal(told["t"], [0.0, 2.0, 30.0])
    spread = float((told["counts"] - told["mean"]).std())
    assert spread == pytest.approx(float(draws["noise"].mean()), rel=0.1)
    same = curve.predict(written, [0.0, 2.0, 30.0])
    np.testing.assert_array_equal(told["counts"], same["counts"])


def test_an_lmfit_model_is_asked_for_and_ties_are_kept():
    model = built_in()
    params = model.make_params(amplitude=8, decay=1, c=0.5)
    params["c"].set(expr="amplitude/10")
    found = curve.fit(model, params, T, np.round(10 * Y), likelihood="poisson", settings=SHORT)
    with pytest.raises(FitError, match="pass it as model="):
        curve.predict(found, [1.0])
    told = curve.predict(found, [1e9, 0.0], model=model)
    amplitude = found["posterior"]["amplitude"].isel(draw=told["draw"].values)
    np.testing.assert_allclose(told["mean"][..., 0], amplitude / 10, rtol=1e-12)
    counts = told["y"].values
    assert (counts == np.round(counts)).all() and counts.min() >= 0
    with pytest.raises(FitError, match="of another model"):
        curve.predict(found, [1.0], model=models.GaussianModel())


def test_new_data_need_to_know_their_noise():
    found = curve.fit(TEXT, STARTS, T, Y, 0.2, independent="t", settings=SHORT)
    assert list(curve.predict(found, [1.0]).data_vars) == ["mean"]
    told = curve.predict(found, np.zeros(50), error=2.0)
    assert float((told["y"] - told["mean"]).std()) == pytest.approx(2.0, rel=0.05)
    with pytest.raises(DataError, match="x is not finite"):
        curve.predict(found, [np.nan])


def test_stacked_parameters_are_found_in_the_file():
    model = models.GaussianModel(prefix="p1_") + models.GaussianModel(prefix="p2_")
    params = model.make_params(
        p1_amplitude=5, p1_center=2, p1_sigma=0.5, p2_amplitude=3, p2_center=4, p2_sigma=0.5
    )
    data = bayesinf.data.curve_from_arrays(T, model.eval(params, x=T) + 0.01 * Y)
    stacked = {"center": ("peak", ["p1_center", "p2_center"])}
    problem = curve.problem(model, params, data, stacked=stacked)
    draws = {k: v[None] for k, v in problem.sample_prior(np.random.default_rng(1), 4).items()}
    from bayesinf.models import problem as driver

    found = driver.fit(problem, "laplace", SHORT)
    told = curve.predict(found, T, model=model)
    mine = {k: v.values for k, v in found["posterior"].isel(draw=told["draw"].values).items()}
    np.testing.assert_allclose(told["mean"], problem.mean(mine), rtol=1e-9, atol=1e-12)
    assert draws["center"].shape == (1, 4, 2)
