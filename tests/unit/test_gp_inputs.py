"""Processes of several inputs, a length scale for each: every number against a dense twin."""

import json

import density
import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayesinf import calibration
from bayesinf.checks import check, loo
from bayesinf.errors import DataError, FitError
from bayesinf.models import gp
from bayesinf.models.gp import marginal
from bayesinf.models.gp.field import PerInput
from bayesinf.models.gp.splits import integrated, orders
from bayesinf.posterior import load, save
from bayesinf.priors import LogNormal, Normal, Uniform
from bayesinf.settings import Settings

SHORT = Settings(draws=100, chains=4, prior_draws=50)

SE, RQ, M12 = gp.SquaredExponential, gp.RationalQuadratic, gp.Exponential
M32, M52 = gp.Matern32, gp.Matern52


def rng(*key):
    return np.random.default_rng(key)


# ── Twins: one pair of points at a time, in the textbook's words ─────────────────────────────────


def far(a, b, scales):
    """Distance in units of the length scales."""
    return np.sqrt(np.sum(((a - b) / scales) ** 2))


def twin(rho, suffix="", others=()):
    """k(x, x′, θ) of one leaf."""

    def covariance(a, b, theta):
        r = far(a, b, theta[f"length_scale{suffix}"])
        return theta[f"amplitude{suffix}"] ** 2 * rho(r, *(theta[f"{o}{suffix}"] for o in others))

    return covariance


def squared_exponential(r):
    return np.exp(-(r**2) / 2)


def exponential(r):
    return np.exp(-r)


def matern32(r):
    return (1 + np.sqrt(3) * r) * np.exp(-np.sqrt(3) * r)


def matern52(r):
    return (1 + np.sqrt(5) * r + 5 * r**2 / 3) * np.exp(-np.sqrt(5) * r)


def rational_quadratic(r, alpha):
    return (1 + r**2 / (2 * alpha)) ** (-alpha)


def cases():
    """Name to a kernel and its twin."""
    found = {
        "squared_exponential": (SE(), twin(squared_exponential)),
        "exponential": (M12(), twin(exponential)),
        "matern32": (M32(), twin(matern32)),
        "matern52": (M52(), twin(matern52)),
        "rational_quadratic": (RQ(), twin(rational_quadratic, others=("alpha",))),
    }
    a, b = twin(squared_exponential, "_1"), twin(exponential, "_2")
    found["sum"] = SE() + M12(), lambda x, y, t: a(x, y, t) + b(x, y, t)
    c, d = twin(matern52, "_1"), twin(rational_quadratic, "_2", ("alpha",))
    e = twin(squared_exponential, "_3")
    found["both"] = M52() + RQ() * SE(), lambda x, y, t: c(x, y, t) + d(x, y, t) * e(x, y, t)
    return found


CASES = cases()
every_kernel = pytest.mark.parametrize("name", CASES)


def dense(name, x, other, theta):
    return np.array([[CASES[name][1](a, b, theta) for b in other] for a in x])


def bowl(x, height=Normal(0.0, 2.0), tilt=Normal(0.0, 1.0), power=2.0):
    """A mean of two inputs, which it takes apart."""
    q, p = x
    return height + 0.3 * q**power + tilt * np.sin(p)


def points(n=14, key=0):
    """Data on two inputs of unlike size, with a repeated place and errors of many sizes."""
    draw = rng(1, key)
    x = draw.uniform(0, 1, (n, 2)) * [8.0, 0.02] + [-3.0, 5.0]
    x[4] = x[5]
    error = draw.uniform(0.05, 0.6, n)
    return x, np.sin(x[:, 0]) + 40 * (x[:, 1] - 5) + error * draw.normal(size=n), error


def process(x, y, kernel="squared_exponential", mean="zero", error=None, **options):
    return gp.process(gp.data(x, y, error), kernel, mean, **options)


def some_theta(problem, key=(0,), shape=()):
    return problem.theta(0.5 * rng(2, *key).normal(size=(*shape, len(problem.names))))


def moments(name, problem, theta, x, error):
    """Mean and covariance of the data by the twins."""
    m = problem.mean.value(x.T, theta)
    return m, dense(name, x, x, theta) + np.diag(theta["noise"] ** 2 + error**2)


# ── The marginal likelihood ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mean", ["zero", bowl])
@every_kernel
def test_the_marginal_likelihood_is_that_of_a_multivariate_normal(name, mean):
    x, y, error = points()
    problem = process(x, y, CASES[name][0], mean, error, noise=LogNormal(0.3, 0.3))
    for key in range(2):
        theta = some_theta(problem, (key,))
        assert np.shape(theta[next(iter(theta))]) == (2,)
        expected = stats.multivariate_normal(*moments(name, problem, theta, x, error)).logpdf(y)
        assert problem.log_marginal(theta) == pytest.approx(expected, rel=1e-8)


@every_kernel
def test_many_at_once_are_those_one_by_one(name, monkeypatch):
    x, y, error = points()
    problem = process(x, y, CASES[name][0], bowl, error)
    theta = some_theta(problem, (3,), (2, 5))
    at_once = problem.log_marginal(theta)
    assert at_once.shape == (2, 5)
    for place in np.ndindex(2, 5):
        one = problem.log_marginal({k: v[place] for k, v in theta.items()})
        assert at_once[place] == pytest.approx(float(one), rel=1e-11)
    monkeypatch.setattr(marginal, "CHUNK", 3 * 14**2)
    np.testing.assert_array_equal(problem.log_marginal(theta), at_once)


@pytest.mark.parametrize("mean", ["zero", bowl])
@every_kernel
def test_the_gradient_is_that_of_the_log_density(name, mean):
    x, y, error = points()
    problem = process(x, y, CASES[name][0], mean, error)
    u = 0.6 * rng(4).normal(size=len(problem.names))
    value, gradient = problem.gradient(u)
    assert value == pytest.approx(problem.log_density(u), rel=1e-12)
    shifts = 1e-5 * np.eye(len(u))
    expected = (problem.log_density(u + shifts) - problem.log_density(u - shifts)) / 2e-5
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-5)
    assert np.abs(gradient[:2]).min() > 1e-3  # both length scales have one to get wrong


def test_scikit_learn_agrees():
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    x, y, _ = points()
    scales = np.array([1.3, 0.004])
    theirs = GaussianProcessRegressor(
        ConstantKernel(0.9**2) * RBF(scales) + WhiteKernel(0.2**2), alpha=0.0, optimizer=None
    ).fit(x, y)
    stated = {"length_scale": scales, "amplitude": 0.9, "noise": 0.2}
    found = gp.log_marginal_likelihood(x, y, **stated)
    assert np.ndim(found) == 0
    assert found == pytest.approx(theirs.log_marginal_likelihood_value_, rel=1e-9)
    new = points(9, 1)[0][:5]
    mean, sd = theirs.predict(new, return_std=True)
    one = {name: np.array([value]) for name, value in stated.items()}
    problem = process(x, y)
    ours, root, jitter = problem.conditional(one, new)
    spread = np.sqrt(np.sum(root[0] ** 2, axis=-1) + 0.2**2)
    assert jitter == 0
    np.testing.assert_allclose(ours[0], mean, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(spread, sd, rtol=1e-8)
    # Point by point, without the covariance among new places.
    centre, width = problem.pointwise_curve(one, new)
    np.testing.assert_allclose(centre[0], mean, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(np.hypot(width[0], 0.2), sd, rtol=1e-8)


@pytest.mark.parametrize("name", ["exponential", "both"])
def test_the_curve_at_given_parameters_is_the_closed_form(name):
    x, y, error = points()
    problem = process(x, y, CASES[name][0], bowl, error)
    new = np.concatenate([points(7, 2)[0], x[2:3], x[3:4] + 1e-5])
    theta = some_theta(problem, (5,), (3,))
    means, roots, _ = problem.conditional(theta, new)
    for i in range(3):
        one = {k: v[i] for k, v in theta.items()}
        m, K = moments(name, problem, one, x, error)
        across = dense(name, new, x, one)
        expected = problem.mean.value(new.T, one) + across @ np.linalg.solve(K, y - m)
        covariance = dense(name, new, new, one) - across @ np.linalg.solve(K, across.T)
        scale = CASES[name][1](new[0], new[0], one)
        np.testing.assert_allclose(means[i], expected, atol=1e-7 * np.sqrt(scale))
        np.testing.assert_allclose(roots[i] @ roots[i].T, covariance, atol=1e-8 * scale)


def test_each_point_against_the_others_is_what_deleting_it_says():
    x, y, error = points()
    problem = process(x, y, "matern52", bowl, error)
    theta = some_theta(problem, (6,), (1,))
    one = {k: v[0] for k, v in theta.items()}
    m, K = moments("matern52", problem, one, x, error)
    left_out = problem.left_out(theta, rng(7))
    for i in range(len(x)):
        rest = np.arange(len(x)) != i
        weights = np.linalg.solve(K[np.ix_(rest, rest)], K[rest, i])
        sd = np.sqrt(K[i, i] - weights @ K[rest, i])
        expected = stats.norm.logpdf(y[i], m[i] + weights @ (y - m)[rest], sd)
        assert left_out.log_density[0, i] == pytest.approx(expected, rel=1e-8)


# ── The definition and the priors ────────────────────────────────────────────────────────────────

DEFINED = [
    (M32() * M52() + RQ(amplitude=0.7), "zero", 1e-7),
    (M12() + SE(), bowl, 1e-5),
    (SE(length_scale={"x1": 1.5, "x2": 0.01}), bowl, 1e-9),
    (SE(), "zero", 1e-9),
]


@pytest.mark.parametrize(("kernel", "mean", "tolerance"), DEFINED)
def test_the_pymc_definition_is_the_density_of_the_fast_route(kernel, mean, tolerance):
    # PyMC measures distances as √(d² + 1e-12), which is felt where kernels have a kink.
    x, y, error = points()
    problem = process(x, y, kernel, mean, error, noise=LogNormal(0.4, 0.2))

    def apart(one):
        """A vector as the definition has it, a variable for each input."""
        vectors = {n: v for n, v in one.items() if np.ndim(v)}
        scalars = {f"{n}_x{k + 1}": v[k] for n, v in vectors.items() for k in range(2)}
        return scalars | {n: v for n, v in one.items() if n not in vectors}

    theta = some_theta(problem, (30,), (4,))
    draws = {name: theta[name] for name in problem.inferred}
    density.holds(problem, draws, values=apart, rel=tolerance)
    fast = problem.log_marginal(theta) + sum(problem.log_factors(theta).values())
    np.testing.assert_allclose(density.stored(problem, draws), fast, rtol=1e-10)


def test_the_density_in_standardised_parameters_is_that_of_the_parameters():
    x, y, error = points()
    problem = process(x, y, "rational_quadratic", bowl, error)
    for key in range(3):
        u = rng(25, key).normal(size=len(problem.names))
        theta, step = problem.theta(u), 1e-5 * np.eye(len(u))
        up, down = problem.theta(u + step), problem.theta(u - step)
        volume = 0.0
        for i, (name, k, _) in enumerate(problem.columns):
            pick = (i,) if k is None else (i, k)
            volume += np.log((up[name][pick] - down[name][pick]) / 2e-5)
        in_theta = problem.log_marginal(theta) + sum(problem.log_factors(theta).values())
        assert problem.log_density(u) == pytest.approx(float(in_theta + volume), abs=1e-6)


def test_priors_follow_the_spread_of_each_input_and_are_said_in_words():
    x, y, _ = points()
    problem = process({"q": x[:, 0], "p": x[:, 1]}, y)
    prior = problem.inferred["length_scale"]
    assert prior == PerInput(("q", "p"), tuple(LogNormal(w / 2, 1.5) for w in np.ptp(x, axis=0)))
    assert problem.priors["length_scale"].startswith("q: log-normal(")
    assert "; p: log-normal(" in problem.priors["length_scale"]
    assert problem.names == ["length_scale[q]", "length_scale[p]", "amplitude", "noise"]
    # One for all, one for each, and those not named keep the default.
    same = process(x, y, priors={"length_scale": LogNormal(2.0, 0.3)}).inferred["length_scale"]
    assert same.priors == (LogNormal(2.0, 0.3),) * 2
    part = process(x, y, SE(length_scale={"x2": Uniform(0.001, 1)})).inferred["length_scale"]
    assert part.priors == (LogNormal(np.ptp(x[:, 0]) / 2, 1.5), Uniform(0.001, 1))
    # Draws are those of each prior, and the density is their product.
    u = rng(8).normal(size=(4000, 2))
    drawn = prior.from_normal(u)
    for k in range(2):
        z = np.log(drawn[:, k] / prior.priors[k].median) / 1.5
        assert stats.kstest(z, "norm").pvalue > 1e-3
    total = sum(prior.priors[k].log_density(drawn[:, k]) for k in range(2))
    np.testing.assert_allclose(prior.log_density(drawn), total, rtol=1e-13)


# ── The fit ──────────────────────────────────────────────────────────────────────────────────────


def columns():
    """Two inputs and a value with names and units."""
    x, y, error = points()
    x[4] -= [0.3, 0.001]  # no place twice, so that each datum has a name
    inputs = {
        "angle": ("point", x[:, 0], {"units": "rad"}),
        "momentum": ("point", x[:, 1], {"units": "kg m/s"}),
    }
    energy = xr.DataArray(y, dims="point", name="energy", attrs={"units": "J"})
    return xr.Dataset(inputs), energy, error


@pytest.fixture(scope="module")
def one_fit():
    x, y, error = columns()
    return gp.fit(x, y, error, kernel="matern52", mean=bowl, settings=SHORT)


def test_names_and_units_of_the_inputs_stand_in_the_result(one_fit, tmp_path):
    x, _, _ = columns()
    scale = one_fit["posterior"]["length_scale"]
    assert scale.dims == ("chain", "draw", "input") and scale.units == "rad, kg m/s"
    assert list(scale["input"].values) == ["angle", "momentum"]
    assert one_fit["posterior"]["amplitude"].units == "J"
    assert set(one_fit["constant_data"].data_vars) == {"angle", "momentum", "error", "power"}
    for group in ("observed_data", "posterior_predictive", "log_likelihood"):
        for name in x:
            np.testing.assert_array_equal(one_fit[group][name], x[name])
    assert one_fit["constant_data"]["momentum"].units == "kg m/s"
    assert one_fit["log_prior"]["length_scale"].dims == ("chain", "draw")
    assert loo(one_fit)["names"][0] == (
        f"energy[{x['angle'][0].item():.4g}, {x['momentum'][0].item():.4g}]"
    )
    assert dict(one_fit["sample_stats"].sizes)["input"] == 2
    back = load(save(one_fit, tmp_path / "fit.nc"))
    new = {"momentum": [5.0, 5.01], "angle": [0.0, 1.0]}  # by name, in any order
    here, there = (gp.predict(f, new, mean=bowl, slope=True) for f in (one_fit, back))
    for name, variable in here.data_vars.items():
        np.testing.assert_array_equal(there[name], variable)
        assert there[name].units == variable.units
    assert here["denergy_dmomentum"].units == "J/kg m/s" and here["angle"].units == "rad"
    np.testing.assert_array_equal(here["momentum"], new["momentum"])
    again = gp.predict(one_fit, np.array([[0.0, 5.0], [1.0, 5.01]]), mean=bowl, slope=True)
    np.testing.assert_array_equal(again["curve"], here["curve"])


def test_stored_log_densities_are_those_of_the_model_draw_by_draw(one_fit):
    named, y, error = columns()
    x, y = named.to_dataarray().values.T, y.values
    problem = gp.rebuild(one_fit, bowl)
    for chain, draw in ((0, 0), (3, 99)):
        theta = {n: v[chain, draw].values for n, v in one_fit["posterior"].data_vars.items()}
        theta["power"] = 2.0
        expected = stats.multivariate_normal(*moments("matern52", problem, theta, x, error))
        stored = one_fit["sample_stats"]["log_likelihood"][chain, draw]
        assert float(stored) == pytest.approx(expected.logpdf(y), rel=1e-9)


def test_slopes_are_those_of_the_curves_drawn_with_them(one_fit):
    at = np.array([[0.5, 5.011]])
    steps = np.array([[4e-3, 0.0], [0.0, 1e-5]])
    sites = np.concatenate([at, *(at + s for s in steps), *(at - s for s in steps)])
    found = gp.predict(one_fit, sites, mean=bowl, slope=True, most=100)
    for k, name in enumerate(("denergy_dangle", "denergy_dmomentum")):
        width = 2 * steps[k, k]
        by_hand = (found["curve"][..., 1 + k] - found["curve"][..., 3 + k]) / width
        drawn = found[name][..., 0]
        assert float(drawn.std()) > 0.05 * float(np.abs(drawn).mean())
        np.testing.assert_allclose(drawn, by_hand, rtol=2e-2, atol=4e-2 * float(drawn.std()))


def test_a_column_alone_is_one_coordinate():
    x, y, error = points()
    plain, column = (gp.fit(a, y, error, settings=SHORT) for a in (x[:, 0], x[:, :1]))
    named = gp.fit({"q": x[:, 0]}, y, error, settings=SHORT)
    for name, variable in plain["posterior"].data_vars.items():
        assert variable.dims == ("chain", "draw")
        np.testing.assert_array_equal(column["posterior"][name], variable)
        np.testing.assert_array_equal(named["posterior"][name], variable)
    assert "q" in named["constant_data"]


def test_places_may_be_an_array_a_labelled_array_or_columns():
    x, y, error = points()
    labelled = xr.DataArray(
        x, dims=("row", "input"), coords={"input": ["q", "p"]}, attrs={"units": "m"}
    )
    forms = {
        "array": (x, ("x1", "x2"), "1"),
        "labelled": (labelled, ("q", "p"), "m"),
        "columns": ({"q": x[:, 0], "p": x[:, 1]}, ("q", "p"), "1"),
        "odd names": ({"q/Å": x[:, 0], "draw": x[:, 1]}, ("q_Å", "draw_x"), "1"),
    }
    for form, inputs, unit in forms.values():
        problem = gp.process(gp.data(form, y, error, name="H"))
        assert problem.inputs == inputs and problem.y_name == "H"
        assert problem.parameters.units["length_scale"] == unit
        np.testing.assert_array_equal(problem.x, x)
        np.testing.assert_array_equal(problem.error, error)
        new, coords = problem.places([[1.0, 5.0]])
        np.testing.assert_array_equal(new, [[1.0, 5.0]])
        assert tuple(coords) == inputs
        np.testing.assert_array_equal(problem.places([1.0, 5.0])[0], new)  # one place
    assert set(gp.data(x[:, 0], y, name="H").data_vars) == {"x", "H"}


def test_an_input_that_does_not_matter_is_found_out():
    draw = rng(10)
    x = draw.uniform(-1, 1, (40, 3))
    y = np.sin(4 * x[:, 1]) + 0.5 * x[:, 2] ** 2 + 0.05 * draw.normal(size=40)
    fit = gp.fit(x, y, settings=Settings(draws=500, prior_draws=20))
    assert check(fit).believed
    scale = fit["posterior"]["length_scale"]
    assert float((scale[..., 0] > scale[..., 2]).mean()) > 0.95
    assert float((scale[..., 2] > scale[..., 1]).mean()) > 0.95
    assert float(scale[..., 0].median()) > 2  # the range of the input
    new = draw.uniform(-0.9, 0.9, (50, 3))
    found = gp.predict(fit, new)
    truth = np.sin(4 * new[:, 1]) + 0.5 * new[:, 2] ** 2
    assert np.sqrt(np.mean((found["curve"].mean(("chain", "draw")).values - truth) ** 2)) < 0.06


def test_units_change_nothing_but_the_numbers():
    x, y, error = points()
    fit = gp.fit(x, y, error, settings=SHORT)
    scale, of_y = np.array([1e-10, 1e7]), 1e-21
    moved = gp.fit(x * scale + [1e-9, 1e8], y * of_y, error * of_y, settings=SHORT)
    one, other = fit["posterior"], moved["posterior"]
    np.testing.assert_allclose(other["length_scale"], one["length_scale"] * scale, rtol=1e-3)
    np.testing.assert_allclose(other["amplitude"], one["amplitude"] * of_y, rtol=1e-3)


def test_the_seed_decides_the_draws_and_the_workers_do_not(monkeypatch):
    x, y, error = points()
    monkeypatch.setattr(marginal, "CHUNK", 50 * 14**2)
    monkeypatch.setattr(marginal, "LARGE", 5)
    monkeypatch.setattr(marginal, "TOGETHER", 2)
    first, threads, other = (
        gp.fit(x, y, error, settings=SHORT.replace(**changes))
        for changes in ({"workers": 1}, {"workers": 2}, {"seed": 2})
    )
    for group in ("posterior", "posterior_predictive", "log_likelihood", "prior"):
        for name, variable in first[group].data_vars.items():
            np.testing.assert_array_equal(variable, threads[group][name])
    assert not np.isin(first["posterior"]["length_scale"], other["posterior"]["length_scale"]).any()


def test_splits_of_several_inputs_are_scored():
    x, y, error = points(24, 3)
    problem = process(x, y, error=error)
    chosen = orders(rng(11), 6, 24)
    scores = integrated(problem, {16: chosen}, rng(12))[16]
    assert scores["crps"].shape == (6,) and np.isfinite(scores["log_density"]).all()
    assert 0 < scores["error"].mean() < 2 * y.std()


def test_laplace_agrees_with_the_draws_of_the_exact_route():
    draw = rng(13)
    x = draw.uniform(-1, 1, (25, 2))
    y = np.sin(3 * x[:, 0]) + x[:, 1] + 0.2 * draw.normal(size=25)
    priors = {"noise": LogNormal(0.2, 0.3), "length_scale": LogNormal(1.0, 0.4)}
    settings = Settings(draws=500, prior_draws=20)
    options = {"kernel": SE(amplitude=1.0), "priors": priors, "settings": settings}
    exact, other = (gp.fit(x, y, method=m, **options) for m in ("mcmc", "laplace"))
    assert check(exact).believed
    for name in ("length_scale", "noise"):
        ours, theirs = (np.log(f["posterior"][name].values) for f in (exact, other))
        away = np.abs(ours.mean(axis=(0, 1)) - theirs.mean(axis=(0, 1)))
        assert np.all(away < 0.3 * ours.std(axis=(0, 1)))
    assert list(other["sample_stats"]["parameter"].values) == [
        "length_scale[x1]",
        "length_scale[x2]",
        "noise",
    ]


def test_the_definition_has_the_vector_that_samplers_keep():
    x, y, error = points()
    model = process(x, y, SE() + M52(), error=error).pymc()
    vectors = {v.name: v.type.shape for v in model.deterministics}
    assert vectors == {"length_scale_1": (2,), "length_scale_2": (2,)}


@pytest.mark.slow
def test_ranks_of_the_truth_are_uniform():
    x = rng(14).uniform(0, 1, (10, 2))
    priors = {
        "length_scale": LogNormal(0.4, 0.5),
        "amplitude": LogNormal(1.0, 0.5),
        "noise": LogNormal(0.2, 0.4),
    }
    problem = process(x, x[:, 0], priors=priors)
    machine = calibration.of(problem, name="gp", settings=Settings(draws=50, prior_draws=4))
    found = calibration.calibrate(machine, 60, seed=1, workers=1)
    assert found["length_scale"].shape == (60, 2) and not (found["error"] != "").any()
    assert calibration.summary(found)["passed"].all(), calibration.summary(found)


# ── What cannot be ───────────────────────────────────────────────────────────────────────────────


def test_mistakes_are_said_in_one_line():
    x, y, error = points()
    with_nan = np.where(np.arange(28).reshape(14, 2) == 3, np.nan, x)
    still = np.stack([x[:, 0], np.ones(14)], axis=1)
    for changes, kind, words in (
        ({"x": x[:5]}, DataError, "length"),
        ({"x": with_nan}, DataError, "finite"),
        ({"x": still}, DataError, "x2 does not vary"),
        ({"x": x[:, :, None]}, DataError, "shape"),
        ({"x": x[:2], "y": y[:2], "error": None}, DataError, "rows"),
        ({"x": {"input": x[:, 0], "p": x[:, 1]}}, DataError, "cannot be called input"),
        ({"y": np.ones(14)}, DataError, "y does not vary"),
        ({"error": -error}, DataError, "error bar"),
        ({"error": 0.0}, DataError, "error bar"),
        ({"x": None}, DataError, "together"),
        ({"x": None, "y": None}, DataError, "no data"),
        ({"kernel": "periodic"}, FitError, "one input"),
        ({"mean": "repulsive"}, FitError, "one input"),
        ({"kernel": SE(length_scale=[1.0, -1.0])}, FitError, "length_scale cannot be fixed"),
        ({"kernel": SE(length_scale=[1.0, 2.0, 3.0])}, FitError, "needs 2 entries"),
        ({"kernel": SE(length_scale={"z": 1.0})}, FitError, "no input z"),
        ({"kernel": SE(length_scale={"x1": 1.0})}, FitError, "fixed for some"),
        ({"x": {"noise": x[:, 0], "p": x[:, 1]}}, FitError, "noise: rename"),
    ):
        with pytest.raises(kind, match=words) as caught:
            gp.fit(**({"x": x, "y": y, "error": error, "settings": SHORT} | changes))
        assert "\n" not in str(caught.value)


def test_new_places_must_name_the_inputs(one_fit):
    for wrong in ({"angle": [0.0]}, {"angle": [0.0], "p": [1.0]}, np.zeros((2, 3))):
        with pytest.raises(DataError, match="inputs do not agree"):
            gp.predict(one_fit, wrong, mean=bowl)
    assert json.loads(one_fit["constant_data"].attrs["inputs"]) == ["angle", "momentum"]
