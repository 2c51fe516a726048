import lmfit
import numpy as np
import pytest
import xarray as xr
from density import MODE, holds
from scipy import optimize, special, stats

from bayesinf.checks import check, loo
from bayesinf.data import curve_from_arrays
from bayesinf.errors import DataError, FitError
from bayesinf.models import curve
from bayesinf.models.curve.maximum import _Rooted
from bayesinf.posterior import REQUIRED_GROUPS, load, noted, save
from bayesinf.priors import LogUniform, Normal, Uniform
from bayesinf.settings import Settings

SHORT = Settings(draws=250, chains=4, prior_draws=50)
X = np.linspace(0, 10, 40)


def rng(*key):
    return np.random.default_rng(key)


def line(noise=0.3):
    model = lmfit.models.LinearModel()
    y = 2 + 0.7 * X + noise * rng(1).normal(size=40)
    return model, model.make_params(slope=1.0, intercept=0.0), y


def shapes():
    """Models of every kind, with parameters: composite, tied, fixed, sums of unlike things."""
    m = lmfit.models
    two = m.GaussianModel(prefix="a_") + m.GaussianModel(prefix="b_") + m.LinearModel()
    params = two.make_params(
        a_amplitude=5,
        a_center=3,
        a_sigma=0.8,
        b_amplitude=3,
        b_center=6,
        b_sigma=1.1,
        slope=0.1,
        intercept=1,
    )
    params["b_sigma"].set(expr="a_sigma * max(1.2, sqrt(2))")
    params["slope"].set(vary=False)
    yield "composite", two, params
    voigt = m.VoigtModel(prefix="v_")
    params = voigt.make_params(v_amplitude=3, v_center=5, v_sigma=0.8)
    params["v_gamma"].set(expr="", value=0.4, vary=True)
    yield "Voigt with its own gamma", voigt, params
    for name in (
        "Lorentzian",
        "Voigt",
        "PseudoVoigt",
        "Moffat",
        "Pearson7",
        "StudentsT",
        "SkewedGaussian",
        "BreitWigner",
        "Sine",
        "Step",
        "Exponential",
        "Quadratic",
        "PowerLaw",
    ):
        model = getattr(m, f"{name}Model")()
        params = model.make_params()
        for i, parameter in enumerate(p for p in params.values() if p.expr is None):
            parameter.set(value=np.clip(0.7 + 0.2 * i, parameter.min, 0.9 * parameter.max))
        yield name, model, params
    product = m.GaussianModel(prefix="g_") * m.ExponentialModel(prefix="e_")
    params = product.make_params(g_amplitude=4, g_center=5, g_sigma=2, e_amplitude=2, e_decay=3)
    yield "product", product, params
    yield "own", lmfit.Model(own), lmfit.Model(own).make_params(height=2.0, rate=0.4)


def own(x, height, rate):
    return height * np.exp(-rate * x) + np.sqrt(height)


def stubborn(x, height, rate):
    return height * np.exp(-rate * x) if float(rate) > -5 else 0 * x


@pytest.mark.parametrize(
    ("name", "model", "params"), list(shapes()), ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_model_on_arrays_is_lmfits_own_point_by_point(name, model, params):
    x = X + 0.05
    free = [n for n, p in params.items() if p.vary and p.expr is None]
    theta = np.array([params[n].value for n in free]) * rng(2).uniform(0.9, 1.1, (7, len(free)))
    on_arrays = curve.Curve(model, params, x)
    assert on_arrays.vectorised is not None
    np.testing.assert_allclose(on_arrays(theta), on_arrays.one_by_one(theta), rtol=1e-12)
    derived = on_arrays.tied(theta)
    for i, point in enumerate(theta):
        for n, value in zip(free, point, strict=True):
            params[n].value = value
        for n, values in derived.items():
            assert values[i] == pytest.approx(params[n].value, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "model", "params"), list(shapes()), ids=lambda v: v if isinstance(v, str) else ""
)
@pytest.mark.parametrize("rooted", [False, True])
def test_a_curve_with_each_parameter_moved_is_that_of_whole_points(rooted, name, model, params):
    """Of the composite three summands, of which two share a width and one a fixed slope."""
    made = curve.Curve(model, params, X + 0.05)
    made = _Rooted(made, 0.5) if rooted else made
    base = np.array([params[n].value for n in made.free] + [0.3])  # what follows is not read
    theta = base * rng(2).uniform(0.9, 1.1, (5, len(base)))
    step = 0.01 * np.abs(theta)
    moved = step[..., None, :] * np.eye(len(base))
    for side, found in zip((1, -1), made.around(theta, step), strict=True):
        np.testing.assert_allclose(found, made(theta[:, None] + side * moved), 1e-12, 1e-12)


def test_of_a_sum_the_summand_alone_is_evaluated_that_a_parameter_is_in():
    _, model, params = next(shapes())
    made = curve.Curve(model, params, X)
    alone = {tuple(made.free[i] for i in columns) for _, columns in made.summands}
    a, b = ("a_amplitude", "a_center"), ("b_amplitude", "b_center")  # a_sigma is in both
    assert alone == {a, b, ("intercept",)}
    _, model, params = list(shapes())[-2]  # a product
    assert len(curve.Curve(model, params, X).summands) == 1


def test_a_function_that_takes_only_numbers_is_called_point_by_point():
    model = lmfit.Model(stubborn)
    params = model.make_params(height=2.0, rate=0.4)
    y = 2 * np.exp(-0.4 * X) + 0.05 * rng(3).normal(size=40)
    assert curve.Curve(model, params, X).vectorised is None
    smooth = lmfit.Model(lambda x, height, rate: height * np.exp(-rate * x))
    slow, fast = (curve.fit(m, params, X, y, settings=SHORT) for m in (model, smooth))
    for name in ("height", "rate", "noise"):
        np.testing.assert_allclose(slow["posterior"][name], fast["posterior"][name], rtol=1e-6)


@pytest.mark.parametrize(
    ("tie", "known"),
    [
        ("2 * sqrt(a_sigma) + 7 % 3", lambda a: 2 * np.sqrt(a) + 7 % 3),  # arithmetic
        ("[a_sigma, a_sigma**2][1]", lambda a: a**2),  # more than that: left to asteval
        ("mine(a_sigma)", lambda a: a + 1),  # a function of the caller's own
    ],
)
def test_ties_are_evaluated_in_the_language_of_lmfit(tie, known):
    m = lmfit.models
    model = m.GaussianModel(prefix="a_") + m.GaussianModel(prefix="b_")
    params = model.make_params(a_amplitude=5, a_center=3, a_sigma=0.8, b_amplitude=3, b_center=6)
    params._asteval.symtable["mine"] = lambda a: a + 1
    params["b_sigma"].set(expr=tie)
    on_arrays = curve.Curve(model, params, X)
    theta = np.array([5.0, 3.0, 0.8, 3.0, 6.0]) * rng(5).uniform(0.9, 1.1, (4, 5))
    assert on_arrays.vectorised is not None  # not point by point, where all would be right
    np.testing.assert_allclose(on_arrays.tied(theta)["b_sigma"], known(theta[:, 2]), rtol=1e-14)
    np.testing.assert_allclose(on_arrays(theta), on_arrays.one_by_one(theta), rtol=1e-12)


@pytest.mark.parametrize("known", [True, False])
def test_the_pymc_definition_is_the_density_of_the_fast_route(known):
    m = lmfit.models
    model = m.GaussianModel(prefix="a_") + m.GaussianModel(prefix="b_") + m.ConstantModel()
    params = model.make_params(
        a_amplitude=6, a_center=3, a_sigma=0.8, b_amplitude=4, b_center=6, b_sigma=0.9, c=1
    )
    params["b_sigma"].set(expr="1.1 * a_sigma * sqrt(log(2) / log(2))")
    y = model.eval(params, x=X) + 0.2 * rng(4).normal(size=40)
    error = np.full(40, 0.2) if known else None
    priors = {
        "a_amplitude": Normal(5, 3),
        "b_amplitude": Uniform(0, 20),
        "c": Normal(0, 5),
        "a_center": Uniform(0, 10),
        "b_center": Uniform(0, 10),
        "a_sigma": LogUniform(0.1, 5),
    }
    ordered = [("a_center", "a_amplitude"), ("b_center", "b_amplitude")]
    points = curve_from_arrays(X, y, error)
    options = {"priors": priors, "ordered": ordered}
    holds(curve.problem(model, params, points, **options))

    # Stacked parameters that share a prior are one variable of the definition.
    stacked = {
        name: ("line", [f"a_{name}", f"b_{name}"]) for name in ("center", "sigma", "amplitude")
    }
    stated = curve.problem(model, params, points, stacked=stacked, **options)
    free = {rv.name for rv in stated.pymc().free_RVs} - {"noise"}
    assert free == {"center", "a_sigma", "a_amplitude", "b_amplitude", "c"}

    def apart(one):
        names = [name for name in free if "_" in name]
        return one | {name: one[name[2:]]["ab".index(name[0])] for name in names}

    holds(stated, values=apart)


def test_draws_and_points_are_the_same_thing():
    model, params, y = line()
    points, parts = curve_from_arrays(X, y), {"zero": "intercept", "one": "slope"}
    stated = curve.problem(model, params, points, stacked={"beta": ("power", parts)})
    theta = np.abs(rng(7).normal(size=(2, 5, 3)))
    draws = stated.draws(theta)
    np.testing.assert_array_equal(stated.theta(draws), theta)
    assert stated.parameters.group(draws)["beta"].sel(power="one").values == pytest.approx(
        theta[..., 0]
    )


def test_the_fit_of_replicated_data_has_their_residuals():
    model, params, y = line()
    stated = curve.problem(model, params, curve_from_arrays(X, y))
    other = stated.observing({"y": 2 * y})
    np.testing.assert_allclose(other.optimum.theta, 2 * stated.optimum.theta, rtol=1e-8)
    assert other.observed["y"].values == pytest.approx(2 * stated.observed["y"].values)


@pytest.mark.filterwarnings("ignore:Numba will use object mode")  # there is no other for a profile
def test_a_lineshape_without_symbols_is_defined_all_the_same():
    model = lmfit.models.VoigtModel()
    params = model.make_params(amplitude=5, center=4, sigma=0.7)
    y = model.eval(params, x=X) + 0.1 * rng(5).normal(size=40)
    prior = {"amplitude": Normal(5, 3), "center": Normal(4, 3), "sigma": Normal(1, 3)}
    points = curve_from_arrays(X, y, np.full(40, 0.1))
    stated, theta = curve.problem(model, params, points, priors=prior), np.array([5.2, 4.1, 0.75])
    point = dict(zip(stated.free, theta, strict=True))
    log_density = stated.pymc().compile_logp(mode=MODE)
    assert log_density(point) == pytest.approx(stated.log_density(theta), rel=1e-12)


def test_what_a_prior_adds_moves_the_draws_and_is_no_slope_of_the_optimum():
    """Least squares ended where it should; what a prior adds is what the weights are for."""
    model, params, y = line()
    design = np.stack([X, np.ones(40)], axis=1)
    normal = design.T @ design / 0.3**2
    best = np.linalg.solve(normal, design.T @ y / 0.3**2)
    sd = np.sqrt(np.linalg.inv(normal)[0, 0])
    prior = Normal(best[0] + 2 * sd, 4 * sd)
    settings = Settings(draws=2000, chains=4, prior_draws=20)
    given = {"priors": {"slope": prior}, "method": "laplace", "settings": settings}
    fit = curve.fit(model, params, X, y, 0.3, **given)
    slope = fit["posterior"]["slope"].values.ravel()
    assert slope.mean() == pytest.approx(best[0] + 2 / 17 * sd, abs=0.06 * sd)
    assert slope.std() == pytest.approx(np.sqrt(16 / 17) * sd, rel=0.05)
    assert check(fit).believed, check(fit).words


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("method", ["laplace", "emcee"])
def test_a_straight_line_has_its_closed_form(known, method):
    model, params, y = line()
    design = np.stack([X, np.ones(40)], axis=1)
    best, rss = np.linalg.lstsq(design, y, rcond=None)[:2]
    s2 = 0.3**2 if known else float(rss[0]) / 38
    sd = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * s2)
    widening = 1.0 if known else np.sqrt(38 / 36)
    settings = Settings(draws=1500 if method == "laplace" else 3000, chains=4, prior_draws=20)
    fit = curve.fit(model, params, X, y, 0.3 if known else None, method=method, settings=settings)
    classical = noted(fit, "classical")
    for name, mean, spread in zip(("slope", "intercept"), best, sd, strict=True):
        assert float(classical[name]) == pytest.approx(mean, rel=1e-8)
        assert float(classical[f"{name}_error"]) == pytest.approx(spread, rel=1e-7)
        draws = fit["posterior"][name].values.ravel()
        assert draws.mean() == pytest.approx(mean, abs=0.08 * spread)
        assert draws.std() == pytest.approx(spread * widening, rel=0.05)
    if not known:
        assert float(classical["noise"]) == pytest.approx(np.sqrt(s2), rel=1e-8)
        assert float(classical["noise_error"]) == pytest.approx(np.sqrt(s2 / (2 * 38)), rel=1e-8)
        noise = fit["posterior"]["noise"].values.ravel()
        exact = 1 / np.sqrt(stats.chi2(38).rvs(200_000, random_state=1) / (38 * s2))
        np.testing.assert_allclose(
            np.quantile(noise, [0.05, 0.5, 0.95]), np.quantile(exact, [0.05, 0.5, 0.95]), rtol=0.02
        )
    if method == "laplace":  # it is the posterior, so no draw weighs more than another
        assert float(fit["sample_stats"]["effective_draws"]) == pytest.approx(6000, rel=1e-9)
        np.testing.assert_allclose(fit["sample_stats"]["hessian_eigenvalue"], 1, rtol=1e-6)
    assert check(fit).believed


def test_walkers_find_the_noise_of_few_points():
    """Six points leave it four degrees of freedom: one more or less would move it by a tenth."""
    model, params, y = line()
    x, y = X[::7], y[::7]
    rss = np.polyfit(x, y, 1, full=True)[1].item()
    settings = Settings(draws=1500, chains=4, prior_draws=20)
    noise = curve.fit(model, params, x, y, method="emcee", settings=settings)["posterior"]["noise"]
    exact = np.sqrt(rss / stats.chi2(4).isf([0.25, 0.5, 0.75]))
    np.testing.assert_allclose(np.quantile(noise, [0.25, 0.5, 0.75]), exact, rtol=0.06)


def test_standard_errors_are_lmfits():
    model = lmfit.models.GaussianModel()
    params = model.make_params(amplitude=5, center=4, sigma=0.7)
    y = model.eval(params, x=X) + 0.1 * rng(6).normal(size=40)
    theirs = model.fit(y, params, x=X).params
    ours = curve.fit(model, params, X, y, settings=SHORT)
    ours = noted(ours, "classical")
    for name in ("amplitude", "center", "sigma", "fwhm", "height"):
        assert float(ours[name]) == pytest.approx(theirs[name].value, rel=1e-5)
        assert float(ours[f"{name}_error"]) == pytest.approx(theirs[name].stderr, rel=2e-3)
    noise, error = float(ours["noise"]), float(ours["noise_error"])
    assert error == pytest.approx(noise / np.sqrt(2 * (40 - 3)), rel=1e-9)


def test_a_side_that_is_open_ends_a_hundred_standard_errors_away():
    fit = curve.fit(*line()[:2], X, line()[2], settings=SHORT)
    error = float(noted(fit, "classical")["slope_error"])
    np.testing.assert_allclose(fit["log_prior"]["slope"], -np.log(200 * error), rtol=1e-9)


def test_every_group_and_unit_survives_the_file(tmp_path):
    model, params, y = line()
    fit = curve.fit(model, params, X, y, method="emcee", units={"slope": "V/s"}, settings=SHORT)
    back = load(save(fit, tmp_path / "fit.nc"))
    assert set(REQUIRED_GROUPS) <= set(back.children)
    assert back["posterior"]["slope"].units == "V/s"
    assert back.attrs["inference"] == "ensemble"
    for group in ("log_prior", "prior"):
        assert set(back[group].data_vars) == {"slope", "intercept", "noise"}
    assert back["log_prior"]["slope"].units == "1"
    again = curve.fit(model, params, X, y, method="emcee", settings=SHORT)
    np.testing.assert_array_equal(again["posterior"]["slope"], fit["posterior"]["slope"])


def test_columns_keep_their_names_to_the_file(tmp_path):
    model, params, y = line()
    x = xr.DataArray(X, dims="row", name="wavelength", attrs={"units": "nm"})
    counts = xr.DataArray(y, dims="row", name="counts", attrs={"units": "1/s"})
    for error in (None, 0.3):
        fit = curve.fit(model, params, x, counts, error, settings=SHORT)
        back = load(save(fit, tmp_path / "fit.nc"))
        for group in (
            "observed_data",
            "log_likelihood",
            "posterior_predictive",
            "prior_predictive",
        ):
            assert list(back[group].data_vars) == ["counts"]
            assert back[group]["counts"].dims[-1] == "point"
            np.testing.assert_array_equal(back[group]["wavelength"], X)
        assert back["constant_data"]["wavelength"].units == "nm"
        assert back["observed_data"]["counts"].units == "1/s"
        assert ("error" in back["constant_data"]) == (error is not None)
        np.testing.assert_array_equal(back["observed_data"]["counts"], y)


def test_points_measured_twice_are_told_apart():
    model, params, y = line()
    x = np.repeat(X[:20], 2)
    names = loo(curve.fit(model, params, x, y, settings=SHORT))["names"]
    assert names[:2] == [f"y at x = {X[0]:.6g} (point {k})" for k in (1, 2)]
    assert len(set(names)) == 40
    single = loo(curve.fit(model, params, X, y, settings=SHORT))["names"]
    assert single[1] == f"y at x = {X[1]:.6g}"


@pytest.mark.parametrize("noise", [0.3, LogUniform(0.1, 1.0)])
def test_the_noise_is_an_argument(noise):
    model, params, y = line()
    fit = curve.fit(model, params, X, y, noise=noise, settings=SHORT)
    known = noise == 0.3
    assert ("noise" in fit["posterior"]) != known
    if known:
        assert float(fit["constant_data"]["noise"]) == 0.3
        bars = curve.fit(model, params, X, y, 0.3, settings=SHORT)
        np.testing.assert_array_equal(fit["posterior"]["slope"], bars["posterior"]["slope"])
        np.testing.assert_array_equal(fit["log_likelihood"]["y"], bars["log_likelihood"]["y"])
        assert "chi-square" in fit["sample_stats"]["statistic"]
    else:
        assert float(fit["prior"]["noise"].min()) >= 0.1


@pytest.mark.parametrize("known", [True, False])
def test_a_worse_start_is_told_by_the_log_density_that_it_misses(known):
    """Another frequency is an optimum too; noise that is inferred is integrated out of both."""
    model = lmfit.Model(lambda x, frequency: np.sin(frequency * x))
    y = np.sin(2.0 * X) + 0.1 * rng(7).normal(size=40)
    starts = [{"frequency": 2.05}, {"frequency": 2.95}]
    error = 0.1 if known else None
    params = model.make_params(frequency=2.0)
    fit = curve.fit(model, params, X, y, error, starts=starts, settings=SHORT)
    scale = np.array([[0.1]]) if known else np.geomspace(1e-2, 1e2, 4001)[:, None]

    def best(low, high):
        rss = lambda frequency: np.sum((y - np.sin(frequency * X)) ** 2)
        at = optimize.minimize_scalar(rss, bounds=(low, high), method="bounded").x
        return special.logsumexp(stats.norm.logpdf(y, np.sin(at * X), scale).sum(axis=1))

    expected = best(1.9, 2.1) - best(2.6, 3.0)
    assert expected > 10
    excess = fit["sample_stats"]["start_excess"].values
    assert excess[0] == pytest.approx(0, abs=1e-6)
    assert excess[1] == pytest.approx(expected, rel=1e-4)


def test_an_optimum_beyond_the_prior_is_not_believed():
    model, params, y = line()
    priors = {"slope": Uniform(-1, 0.6), "intercept": Uniform(-50, 50)}
    fit = curve.fit(model, params, X, y, priors=priors, settings=SHORT)
    assert float(fit["posterior"]["slope"].max()) <= 0.6
    assert not check(fit).believed


def test_mistakes_are_said_in_one_line():
    model, params, y = line()

    def fit(**changes):
        return curve.fit(**({"model": model, "params": params, "x": X, "y": y} | changes))

    for changes, kind, words in (
        ({"method": "magic"}, FitError, "laplace, emcee"),
        ({"priors": {"slop": Normal()}}, FitError, "slope, intercept"),
        ({"starts": [{"noise": 1.0}]}, FitError, "not a free parameter"),
        ({"x": X[:3], "y": y[:2]}, DataError, "length"),
        ({"x": X[:2], "y": y[:2]}, DataError, "rows"),
        ({"y": np.ones(40)}, DataError, "vary"),
        ({"y": 1 + X}, FitError, "prior of the noise"),
        ({"error": np.zeros(40)}, DataError, "error bar"),
        ({"error": 0.3, "noise": 0.3}, DataError, "twice"),
        ({"noise": 0.0}, DataError, "above zero"),
        ({"priors": {"noise": LogUniform(1, 2)}}, FitError, "argument 'noise'"),
    ):
        with pytest.raises(kind, match=words) as caught:
            fit(**changes)
        assert "\n" not in str(caught.value)
    twice = lmfit.models.ConstantModel(prefix="a_") + lmfit.models.ConstantModel(prefix="b_")
    with pytest.raises(FitError, match="a_c from b_c"):
        curve.fit(twice, twice.make_params(a_c=1, b_c=2), X, y)
