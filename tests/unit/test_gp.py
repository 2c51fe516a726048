"""Gaussian processes: each formula against a slow twin, each route against quadrature and NUTS."""

import json
import math
import warnings
from dataclasses import replace

import density
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from bayesinf.checks import check, loo
from bayesinf.data import curve_from_arrays
from bayesinf.errors import DataError, FitError
from bayesinf.models import gp
from bayesinf.models.gp import cholesky, kernels, marginal, means
from bayesinf.posterior import REQUIRED_GROUPS, load, save
from bayesinf.priors import InverseChi, LogNormal, Normal, Uniform
from bayesinf.settings import Settings

SHORT = Settings(draws=100, chains=4, prior_draws=50)
LONG = Settings(draws=2500, chains=4, prior_draws=50)

SE, RQ, Periodic = gp.SquaredExponential, gp.RationalQuadratic, gp.Periodic
M12, M32, M52 = gp.Exponential, gp.Matern32, gp.Matern52


def rng(*key):
    return np.random.default_rng(key)


def process(x, y, kernel="squared_exponential", mean="zero", error=None, **options):
    """A process on arrays."""
    return gp.process(curve_from_arrays(x, y, error), kernel, mean, **options)


# ── Textbook twins ───────────────────────────────────────────────────────────────────────────────


def matern(order):
    """The Matérn class as it is written with Bessel functions, equation 4.14."""

    def rho(r, length_scale):
        s = math.sqrt(2 * order) * abs(r) / length_scale
        if s == 0:
            return 1.0
        return 2 ** (1 - order) / math.gamma(order) * s**order * special.kv(order, s)

    return rho


def squared_exponential(r, length_scale):
    return math.exp(-(r**2) / (2 * length_scale**2))


def rational_quadratic(r, length_scale, alpha):
    return (1 + r**2 / (2 * alpha * length_scale**2)) ** (-alpha)


def on_a_circle(r, length_scale, period):
    """A squared exponential of the distance between two points on the circle of one period."""
    angle = 2 * math.pi * r / period
    return math.exp(-((math.cos(angle) - 1) ** 2 + math.sin(angle) ** 2) / (2 * length_scale**2))


def twin(rho, suffix="", own=("length_scale",)):
    """k(r, θ) of one leaf, all in plain numbers."""
    return lambda r, theta: (
        theta[f"amplitude{suffix}"] ** 2 * rho(r, *(theta[f"{name}{suffix}"] for name in own))
    )


def cases():
    """Name to a kernel and its twin."""
    scale_and_alpha, scale_and_period = ("length_scale", "alpha"), ("length_scale", "period")
    leaves = {
        "exponential": (M12(), matern(0.5)),
        "squared_exponential": (SE(), squared_exponential),
        "matern32": (M32(), matern(1.5)),
        "matern52": (M52(), matern(2.5)),
    }
    found = {name: (kernel, twin(rho)) for name, (kernel, rho) in leaves.items()}
    found["rational_quadratic"] = RQ(), twin(rational_quadratic, own=scale_and_alpha)
    found["periodic"] = Periodic(), twin(on_a_circle, own=scale_and_period)
    a, b = twin(squared_exponential, "_1"), twin(matern(0.5), "_2")
    found["sum"] = SE() + M12(), lambda r, t: a(r, t) + b(r, t)
    c, d = twin(on_a_circle, "_1", scale_and_period), twin(squared_exponential, "_2")
    found["product"] = Periodic() * SE(), lambda r, t: c(r, t) * d(r, t)
    e, f = twin(matern(2.5), "_1"), twin(rational_quadratic, "_2", scale_and_alpha)
    g = twin(on_a_circle, "_3", scale_and_period)
    found["both"] = M52() + RQ() * Periodic(), lambda r, t: e(r, t) + f(r, t) * g(r, t)
    h, i, j = (
        twin(rho, f"_{k}")
        for k, rho in ((1, squared_exponential), (2, matern(1.5)), (3, matern(2.5)))
    )
    found["product of a sum"] = (SE() + M32()) * M52(), lambda r, t: (h(r, t) + i(r, t)) * j(r, t)
    found["product of three"] = SE() * M32() * M52(), lambda r, t: h(r, t) * i(r, t) * j(r, t)
    return found


CASES = cases()
SMOOTH = [name for name in CASES if name not in ("exponential", "sum")]
KINKED = ("matern32", "product of a sum", "product of three")
every_kernel = pytest.mark.parametrize("name", CASES)


def ready(name):
    return kernels.kernel(CASES[name][0])


def parameters(kernel, key=(0,), shape=()):
    """Values for all parameters of a kernel, the fixed ones as they are."""
    draw = rng(*key).uniform
    return {
        name: np.full(shape, value) if isinstance(value, float) else draw(0.6, 2.5, shape)[()]
        for name, value in kernel.parameters().items()
    }


def dense(name, x, other, theta):
    """The covariance matrix by the twin, entry by entry."""
    return np.array([[CASES[name][1](a - b, theta) for b in other] for a in x])


def finite_difference(function, at, step):
    return (function(at + step) - function(at - step)) / (2 * step)


# ── Kernels ──────────────────────────────────────────────────────────────────────────────────────


@every_kernel
def test_a_kernel_is_the_textbooks_formula(name):
    kernel, x, other = ready(name), rng(1).uniform(-3, 7, 9), rng(2).uniform(-3, 7, 6)
    other[:2] = x[:2]  # the distance zero among them
    for key in range(3):
        theta = parameters(kernel, (3, key))
        found = kernel.value(x[:, None] - other, theta)
        np.testing.assert_allclose(found, dense(name, x, other, theta), rtol=1e-10, atol=1e-13)


@every_kernel
def test_a_kernel_takes_arrays_of_parameters(name):
    kernel, d = ready(name), rng(4).uniform(-5, 5, (4, 3))
    theta = parameters(kernel, (5,), (5,))
    one_by_one = [{k: v[i] for k, v in theta.items()} for i in range(5)]
    of_all = kernel.value(d, theta)
    assert of_all.shape == (5, 4, 3)
    np.testing.assert_allclose(of_all, [kernel.value(d, t) for t in one_by_one], rtol=1e-13)
    slopes = kernel.slopes(d, theta)
    assert set(slopes) == set(theta)
    for parameter, found in slopes.items():
        expected = [kernel.slopes(d, t)[parameter] for t in one_by_one]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    if kernel.smooth:
        for i, found in enumerate(kernel.derivatives(d, theta)):
            expected = [kernel.derivatives(d, t)[i] for t in one_by_one]
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@every_kernel
def test_the_slopes_of_a_kernel_are_differences_in_the_logarithms(name):
    kernel, d = ready(name), np.append(rng(6).uniform(-5, 5, 11), 0.0)[None]
    theta = parameters(kernel, (7,))
    for parameter, found in kernel.slopes(d, theta).items():

        def at(shift, p=parameter):
            return kernel.value(d, theta | {p: theta[p] * np.exp(shift)})

        np.testing.assert_allclose(found, finite_difference(at, 0.0, 1e-5), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", SMOOTH)
def test_the_derivatives_of_a_kernel_are_differences_in_the_distance(name):
    kernel, d = ready(name), rng(8).uniform(-5, 5, 12)[None]
    theta = parameters(kernel, (9,))
    value, first, second = kernel.derivatives(d, theta)
    np.testing.assert_allclose(value, kernel.value(d, theta), rtol=1e-12)
    of_value = finite_difference(lambda d: kernel.value(d, theta), d, 1e-5)
    of_first = finite_difference(lambda d: kernel.derivatives(d, theta)[1], d, 1e-5)
    np.testing.assert_allclose(first, of_value, atol=1e-8)
    np.testing.assert_allclose(second, of_first, atol=1e-8)
    # At zero, where a Matérn of order 3/2 has a kink in its second derivative.
    value, first, second = (part.item() for part in kernel.derivatives(np.zeros((1, 1)), theta))
    near = finite_difference(lambda d: kernel.derivatives(d, theta)[1], np.zeros((1, 1)), 1e-6)
    assert first == 0 and second == pytest.approx(near.item(), rel=1e-5)
    assert value == pytest.approx(CASES[name][1](0.0, theta), rel=1e-12)


@every_kernel
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=6), st.integers(0, 10**6))
def test_no_combination_of_values_and_slopes_has_a_negative_variance(name, x, seed):
    kernel, x = ready(name), np.array(x)
    theta, d = parameters(kernel, (seed,)), x[:, None] - x
    matrix = kernel.value(d, theta)
    if kernel.smooth:
        value, first, second = kernel.derivatives(d, theta)
        matrix = np.block([[value, first.T], [first, -second]])
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12 * np.abs(matrix).max())
    assert np.linalg.eigvalsh(matrix).min() > -1e-11 * np.abs(matrix).max()


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("periodic", ["length_scale", "period", "amplitude"]),
        ("sum", ["length_scale_1", "amplitude_1", "length_scale_2", "amplitude_2"]),
        (
            "both",
            [
                "length_scale_1",
                "amplitude_1",
                "length_scale_2",
                "alpha_2",
                "amplitude_2",
                "length_scale_3",
                "period_3",
            ],
        ),
        ("product", ["length_scale_1", "period_1", "amplitude_1", "length_scale_2"]),
        (
            "product of a sum",
            ["length_scale_1", "amplitude_1", "length_scale_2", "amplitude_2", "length_scale_3"],
        ),
        ("product of three", ["length_scale_1", "amplitude_1", "length_scale_2", "length_scale_3"]),
    ],
)
def test_several_leaves_are_numbered_and_a_product_has_one_amplitude(name, names):
    asked = ready(name).parameters()
    assert [parameter for parameter, value in asked.items() if value is None] == names
    assert set(asked.values()) <= {None, 1.0}
    problem = process(np.arange(4), [1.0, 3.0, 2.0, 5.0], CASES[name][0])
    assert problem.names == [*names, "noise"]


def test_brackets_in_a_product_change_nothing():
    left, right = (kernels.kernel(k) for k in ((SE() * M32()) * M52(), SE() * (M32() * M52())))
    assert left.parameters() == right.parameters()
    theta, d = parameters(left, (12,)), rng(13).uniform(-5, 5, (3, 4))
    np.testing.assert_allclose(left.value(d, theta), right.value(d, theta), rtol=1e-13)
    # A sum of one kernel twice has parameters of its own for each.
    one = SE()
    assert len(kernels.kernel(one + one).parameters()) == 4


def test_a_leaf_keeps_what_it_was_given():
    kernel = kernels.kernel(SE(length_scale=2.0) * Periodic(amplitude=3.0, period=Normal(5, 1)))
    assert kernel.parameters() == {
        "length_scale_1": 2.0,
        "amplitude_1": None,
        "length_scale_2": None,
        "period_2": Normal(5, 1),
        "amplitude_2": 1.0,
    }
    assert kernel.measured() == {
        "length_scale_1": "x",
        "amplitude_1": "y",
        "length_scale_2": "1",
        "period_2": "x",
        "amplitude_2": "y",
    }


@every_kernel
def test_a_kernel_survives_as_plain_values(name):
    kernel = ready(name)
    back = kernels.from_dict(json.loads(json.dumps(kernels.to_dict(kernel))))
    theta, d = parameters(kernel, (10,)), rng(11).uniform(-5, 5, (3, 4))
    assert list(back.parameters()) == list(kernel.parameters())
    np.testing.assert_array_equal(back.value(d, theta), kernel.value(d, theta))
    assert type(back) is type(kernel) and back.smooth == kernel.smooth


def test_an_unknown_kernel_is_refused_in_one_line():
    for wrong in ("matern", SE, None, 3.0):
        with pytest.raises(FitError, match=r"kernel|covariance") as caught:
            kernels.kernel(wrong)
        assert "\n" not in str(caught.value)
    with pytest.raises(FitError, match=r"unknown kernel 'matern'.*matern32"):
        kernels.kernel("matern")
    for name, cls in gp.KERNELS.items():
        assert kernels.kernel(name) == cls()


# ── Means ────────────────────────────────────────────────────────────────────────────────────────


def wall(x, height=LogNormal(1.0, 0.5), power=1.5, tilt=Normal(0.0, 1.0)):
    """A mean of every kind of argument, written so that PyMC can read it too."""
    return height * (1 + x / 4) ** (-power) + tilt * np.sin(x)


def line(x, offset=Normal(0.0, 2.0), rate=Normal(0.0, 1.0)):
    return offset + rate * x


def naked(x, offset):
    return offset + x


MEANS = {"zero": "zero", "repulsive": "repulsive", "function": wall}


def test_a_repulsive_mean_is_a_wall_inside_r0():
    x, theta = np.array([0.0, 1.0, 1.999, 2.0, 3.5]), {"gamma": 3.0, "r0": 2.0}
    repulsive = means.mean("repulsive")
    np.testing.assert_allclose(repulsive.value(x, theta), [6.0, 3.0, 0.003, 0.0, 0.0], rtol=1e-12)
    np.testing.assert_array_equal(repulsive.slope(x, theta), [-3.0, -3.0, -3.0, 0.0, 0.0])
    many = {"gamma": np.array([3.0, 1.0]), "r0": np.array([2.0, 4.0])}
    expected = [repulsive.value(x, {"gamma": 3.0, "r0": 2.0}), 4 - x]
    np.testing.assert_allclose(repulsive.value(x, many), expected)


@pytest.mark.parametrize("name", MEANS)
def test_the_slopes_of_a_mean_are_differences(name):
    mean, x = means.mean(MEANS[name]), rng(12).uniform(0, 8, 10)
    values = rng(13).uniform(1, 3, (len(mean.parameters()), 3))
    theta = dict(zip(mean.parameters(), values, strict=True))
    found = mean.slopes(x, theta, {})
    assert set(found) == set(theta)
    for parameter in theta:

        def at(value, p=parameter):
            return mean.value(x, theta | {p: value})

        expected = finite_difference(at, theta[parameter], 1e-6)
        np.testing.assert_allclose(found[parameter], expected, atol=1e-8)
    along = finite_difference(lambda x: mean.value(x, theta), x, 1e-6)
    np.testing.assert_allclose(np.broadcast_to(mean.slope(x, theta), along.shape), along, atol=1e-7)


def test_a_function_states_its_parameters_by_its_defaults():
    problem = process([0, 1, 2, 3], [1.0, 3.0, 2.0, 5.0], "matern32", wall)
    assert problem.names[-2:] == ["height", "tilt"] and problem.fixed == {"power": 1.5}
    assert problem.inferred["height"] == LogNormal(1.0, 0.5)
    x, theta = np.array([0.0, 4.0]), {"height": 2.0, "power": 2.0, "tilt": np.array([0.0, 1.0])}
    expected = [[2.0, 0.5], [2.0, 0.5 + np.sin(4)]]
    np.testing.assert_allclose(problem.mean.value(x, theta), expected)


def test_a_constant_function_is_as_long_as_x():
    constant = means.mean(lambda x, level=Normal(0, 1): level)
    assert constant.value(np.arange(5.0), {"level": np.array([1.0, 2.0])}).shape == (2, 5)


def test_a_mean_that_cannot_be_read_is_refused_in_one_line():
    x, y = [0, 1, 2, 3], [1.0, 3.0, 2.0, 5.0]
    for wrong, words in (
        (naked, "'offset'.*default"),
        ("wall", "unknown mean 'wall'.*zero, repulsive"),
        (3.0, "unknown mean"),
        (lambda x, noise=Normal(0, 1): noise * x, "noise"),
        (lambda x, amplitude=Normal(0, 1): amplitude * x, "amplitude"),
    ):
        with pytest.raises(FitError, match=words) as caught:
            process(x, y, "matern32", wrong)
        assert "\n" not in str(caught.value)


# ── The marginal likelihood ──────────────────────────────────────────────────────────────────────


def points(n=13, key=0):
    """Data with a repeated x and errors of many sizes."""
    draw = rng(20, key)
    x = np.sort(draw.uniform(0, 8, n))
    x[4] = x[5]
    error = draw.uniform(0.05, 0.6, n)
    return x, np.sin(x) + 0.05 * x + error * draw.normal(size=n), error


def some_theta(problem, key=(0,), shape=()):
    """Parameters of a problem, not far from the middle of their priors."""
    u = 0.5 * rng(21, *key).normal(size=(*shape, len(problem.names)))
    return problem.theta(u)


def dense_moments(name, mean, theta, x, error):
    """Mean and covariance of the data at x, by the twins; with no noise where error is None."""
    m = means.mean(mean).value(x, theta)
    variance = 0 * x if error is None else theta["noise"] ** 2 + error**2
    return m, dense(name, x, x, theta) + np.diag(variance)


@pytest.mark.parametrize("mean", MEANS)
@every_kernel
def test_the_marginal_likelihood_is_that_of_a_multivariate_normal(name, mean):
    x, y, error = points()
    for known in (error, 0 * x):
        problem = process(
            x,
            y,
            CASES[name][0],
            MEANS[mean],
            known if known.any() else None,
            noise=LogNormal(0.3, 0.3),
        )
        for key in range(2):
            theta = some_theta(problem, (key,))
            m, K = dense_moments(name, MEANS[mean], theta, x, known)
            expected = stats.multivariate_normal(m, K).logpdf(y)
            assert problem.log_marginal(theta) == pytest.approx(expected, rel=1e-9)


@every_kernel
def test_many_marginal_likelihoods_at_once_are_those_one_by_one(name):
    x, y, error = points()
    problem = process(x, y, CASES[name][0], wall, error)
    theta = some_theta(problem, (3,), (2, 5))
    at_once = problem.log_marginal(theta)
    assert at_once.shape == (2, 5)
    for place in np.ndindex(2, 5):
        one = problem.log_marginal({k: v[place] for k, v in theta.items()})
        assert at_once[place] == pytest.approx(float(one), rel=1e-11)


@pytest.mark.parametrize("workers", [1, 2])
def test_chunks_and_threads_change_nothing(monkeypatch, workers):
    x, y, error = points()
    problem = process(x, y, "matern52", "repulsive", error, workers=workers)
    u = rng(22).normal(size=(23, len(problem.names)))
    whole = problem.log_density(u), problem.left_out(problem.theta(u), rng(23))
    monkeypatch.setattr(marginal, "CHUNK", 5 * 13**2)
    monkeypatch.setattr(marginal, "LARGE", 5)
    monkeypatch.setattr(marginal, "TOGETHER", 2)
    np.testing.assert_array_equal(problem.log_density(u), whole[0])
    chunked = problem.left_out(problem.theta(u), rng(23))
    for field in ("replica", "log_density", "mean", "jitter"):
        np.testing.assert_array_equal(getattr(chunked, field), getattr(whole[1], field))


@pytest.mark.parametrize("mean", MEANS)
@every_kernel
def test_the_gradient_is_that_of_the_log_density(name, mean):
    x, y, error = points()
    priors = {"gamma": Normal(2, 1), "r0": Uniform(1, 5)} if mean == "repulsive" else {}
    problem = process(x, y, CASES[name][0], MEANS[mean], error, priors=priors)
    for key in range(2):
        u = 0.6 * rng(24, key).normal(size=len(problem.names))
        value, gradient = problem.gradient(u)
        assert value == pytest.approx(problem.log_density(u), rel=1e-12)
        shifts = 1e-5 * np.eye(len(u))
        expected = (problem.log_density(u + shifts) - problem.log_density(u - shifts)) / 2e-5
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-5)


def test_the_density_in_standardised_parameters_is_that_of_the_parameters():
    # p(θ | y) dθ = p(u | y) du, with dθ/du by differences.
    x, y, error = points()
    problem = process(x, y, "rational_quadratic", "repulsive", error)
    for key in range(5):
        u = rng(25, key).normal(size=len(problem.names))
        theta, step = problem.theta(u), 1e-5 * np.eye(len(u))
        up, down = problem.theta(u + step), problem.theta(u - step)
        volume = [(up[n][i] - down[n][i]) / 2e-5 for i, n in enumerate(problem.names)]
        in_theta = problem.log_marginal(theta) + sum(problem.log_factors(theta).values())
        expected = in_theta + np.sum(np.log(volume))
        assert problem.log_density(u) == pytest.approx(float(expected), abs=1e-6)


def test_stated_hyperparameters_give_a_number_and_arrays_an_array():
    x, y, error = points()
    stated = {"length_scale": 1.3, "amplitude": 0.9, "noise": 0.2}
    found = gp.log_marginal_likelihood(x, y, error, kernel="matern32", **stated)
    m, K = dense_moments("matern32", "zero", stated, x, error)
    assert np.ndim(found) == 0
    assert found == pytest.approx(stats.multivariate_normal(m, K).logpdf(y), rel=1e-10)
    # The order of the points does not matter, and one number is an error for each of them.
    turned = gp.log_marginal_likelihood(x[::-1], y[::-1], error[::-1], kernel="matern32", **stated)
    assert turned == pytest.approx(found, rel=1e-12)
    same = gp.log_marginal_likelihood(x, y, 0.3, kernel="matern32", **stated)
    as_array = gp.log_marginal_likelihood(x, y, np.full(13, 0.3), kernel="matern32", **stated)
    assert same == as_array != found
    # Without noise there are the errors alone; what the kernel fixes need not be stated.
    bare = gp.log_marginal_likelihood(x, y, error, kernel=M32(amplitude=0.9), length_scale=1.3)
    quiet = gp.log_marginal_likelihood(x, y, error, kernel="matern32", **stated | {"noise": 0.0})
    assert bare == quiet != found
    grid = gp.log_marginal_likelihood(
        x,
        y,
        error,
        kernel="matern32",
        amplitude=np.array([0.5, 0.9]),
        noise=0.2,
        length_scale=np.array([[1.0], [1.3], [2.0]]),
    )
    assert grid.shape == (3, 2) and grid[1, 1] == pytest.approx(float(found), rel=1e-12)
    with_mean = gp.log_marginal_likelihood(x, y, error, mean=wall, height=1.0, tilt=0.5, **stated)
    m, K = dense_moments(
        "squared_exponential", wall, stated | {"height": 1.0, "power": 1.5, "tilt": 0.5}, x, error
    )
    assert with_mean == pytest.approx(stats.multivariate_normal(m, K).logpdf(y), rel=1e-10)


@pytest.mark.parametrize(
    "stated",
    [
        {"length_scale": 1.0},
        {"length_scale": 1.0, "amplitude": 1.0, "period": 1.0},
        {"length_scale_1": 1.0, "amplitude": 1.0},
    ],
)
def test_hyperparameters_missing_or_unknown_are_refused(stated):
    x, y, _ = points()
    with pytest.raises(FitError, match="amplitude, length_scale, noise") as caught:
        gp.log_marginal_likelihood(x, y, **stated)
    assert "\n" not in str(caught.value)


def test_scikit_learn_agrees():
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    x, y, _ = points()
    stated = {"length_scale": 1.3, "amplitude": 0.9, "noise": 0.2}
    theirs = GaussianProcessRegressor(
        ConstantKernel(0.9**2) * RBF(1.3) + WhiteKernel(0.2**2), alpha=0.0, optimizer=None
    ).fit(x[:, None], y)
    found = gp.log_marginal_likelihood(x, y, **stated)
    assert found == pytest.approx(theirs.log_marginal_likelihood_value_, rel=1e-9)
    new = np.linspace(-1, 9, 15)
    mean, sd = theirs.predict(new[:, None], return_std=True)
    one = {name: np.array([value]) for name, value in stated.items()}
    ours, root, jitter = process(x, y).conditional(one, new)
    assert jitter == 0
    np.testing.assert_allclose(ours[0], mean, rtol=1e-8, atol=1e-10)
    # Theirs is of new data, noise and all.
    spread = np.sqrt(np.sum(root[0] ** 2, axis=-1) + 0.2**2)
    np.testing.assert_allclose(spread, sd, rtol=1e-8)


# ── The definition ───────────────────────────────────────────────────────────────────────────────

# PyMC measures distances as √(d² + 1e-12). What has a kink at zero feels that in every entry of the
# diagonal; the noise is far above it, and the tolerance says what is left.
DEFINED = [
    (M32() * M52() + RQ(amplitude=0.7), "repulsive", True, 1e-9),
    (M12() + Periodic() * SE(), wall, False, 2e-6),
    (SE(length_scale=1.5), "zero", True, 1e-9),
]


@pytest.mark.parametrize(("kernel", "mean", "known", "tolerance"), DEFINED)
def test_the_pymc_definition_is_the_density_of_the_fast_route(kernel, mean, known, tolerance):
    x, y, error = points()
    error = error if known else None
    problem = process(x, y, kernel, mean, error, noise=LogNormal(0.4, 0.2))
    assert {variable.name for variable in problem.pymc().free_RVs} == set(problem.names)
    theta = some_theta(problem, (30,), (4,))
    draws = {name: theta[name] for name in problem.names}
    density.holds(problem, draws, rel=tolerance)
    fast = problem.log_marginal(theta) + sum(problem.log_factors(theta).values())
    np.testing.assert_allclose(density.stored(problem, draws), fast, rtol=1e-10)


def test_a_wrong_density_does_not_hold():
    x, y, error = points()
    density.must_fail(process(x, y, "matern52", "repulsive", error))


def test_a_mean_that_symbols_cannot_pass_has_no_definition():
    x, y, _ = points()

    def only_numbers(x, rate=Normal(1, 1)):
        return np.interp(x, [0, 1 / float(rate)], [0, 1])

    with pytest.raises(FitError, match="no form in PyMC"):
        process(x, y, "matern32", only_numbers).pymc()


# ── The fit ──────────────────────────────────────────────────────────────────────────────────────


def flat(fit, name):
    return fit["posterior"][name].values.ravel()


def moments_on_a_grid(log_density, *axes):
    """Means and sds of coordinates under a density on a grid that covers it."""
    mesh = np.meshgrid(*axes, indexing="ij")
    height = log_density(*mesh)
    weight = np.exp(height - height.max())
    for axis in range(weight.ndim):  # the grid reaches to where nothing is left
        ends = np.take(weight, [0, -1], axis=axis)
        assert ends.max() < 1e-3
    weight /= weight.sum()
    mean = [np.sum(weight * m) for m in mesh]
    return mean, [np.sqrt(np.sum(weight * (m - c) ** 2)) for m, c in zip(mesh, mean, strict=True)]


def slow_log_marginal(name, x, y, error, **theta):
    """log N(y; 0, K) on a mesh of parameters, from the eigenvalues of K."""
    found = np.empty(np.shape(next(iter(theta.values()))))
    for place in np.ndindex(found.shape):
        at = {k: v[place] if np.ndim(v) else v for k, v in theta.items()}
        values, vectors = np.linalg.eigh(dense_moments(name, "zero", at, x, error)[1])
        found[place] = -0.5 * np.sum((vectors.T @ y) ** 2 / values + np.log(2 * np.pi * values))
    return found


@pytest.fixture(scope="module")
def one_fit():
    """A short fit of data with errors and a repeated x, with all that can be looked at."""
    x, y, error = points()
    return gp.fit(x, y, error, kernel="matern52", mean="repulsive", settings=SHORT)


def test_stored_log_densities_are_those_of_the_model_draw_by_draw(one_fit):
    x, y, error = points()
    problem = gp.rebuild(one_fit)
    for chain, draw in ((0, 0), (1, 40), (3, 99)):
        theta = {n: float(v[chain, draw]) for n, v in one_fit["posterior"].data_vars.items()}
        m, K = dense_moments("matern52", "repulsive", theta, x, error)
        stored = one_fit["sample_stats"]["log_likelihood"][chain, draw]
        total = stats.multivariate_normal(m, K).logpdf(y)
        assert float(stored) == pytest.approx(total, rel=1e-9)
    # log_prior holds the priors that the fit says it used, by name.
    for name in problem.names:
        prior = process(x, y, "matern52", "repulsive", error).inferred[name]
        np.testing.assert_allclose(
            one_fit["log_prior"][name], prior.log_density(one_fit["posterior"][name].values)
        )
        assert json.loads(one_fit.attrs["priors"])[name] == str(prior)


def test_each_point_against_the_others_is_what_deleting_it_says(one_fit):
    x, y, error = points()
    for chain, draw in ((0, 3), (2, 77)):
        theta = {n: float(v[chain, draw]) for n, v in one_fit["posterior"].data_vars.items()}
        m, K = dense_moments("matern52", "repulsive", theta, x, error)
        for i in range(len(x)):
            rest = np.arange(len(x)) != i
            weights = np.linalg.solve(K[np.ix_(rest, rest)], K[rest, i])
            mean = m[i] + weights @ (y - m)[rest]
            expected = stats.norm.logpdf(y[i], mean, np.sqrt(K[i, i] - weights @ K[rest, i]))
            found = one_fit["log_likelihood"]["y"][chain, draw, i]
            assert float(found) == pytest.approx(expected, rel=1e-8)
    elpd = loo(one_fit)["pointwise"]
    plain = special.logsumexp(-one_fit["log_likelihood"]["y"].values, axis=(0, 1))
    np.testing.assert_allclose(elpd, np.log(400) - plain, atol=0.1)


def test_a_replica_is_expected_from_its_own_others():
    """What is said of a replica's point is what would be said of it, were the replica the data."""
    x, y, error = points()
    problem = process(x, y, "matern52", "repulsive", error)
    theta = problem.theta(rng(51).normal(size=(1, len(problem.names))))
    found = problem.left_out(theta, rng(52))
    sd = np.sqrt(1 / np.diag(np.linalg.inv(problem.covariance(theta)[0])))
    replica = found.replica_expected[0] + sd * found.replica[0]
    again = replace(problem, y=replica).left_out(theta, rng(53))
    np.testing.assert_allclose(again.residual[0], found.replica[0], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(again.expected[0], found.replica_expected[0], rtol=1e-6, atol=1e-8)


def test_new_data_at_x_are_the_curve_there_and_new_noise(one_fit):
    problem = gp.rebuild(one_fit)
    theta = {n: v.values.ravel() for n, v in one_fit["posterior"].data_vars.items()}
    left_out = problem.left_out(theta, rng(40))
    mean, root, _ = problem.conditional(theta, problem.x)
    noise = theta["noise"][:, None] ** 2 + problem.variance
    np.testing.assert_allclose(left_out.mean, mean, atol=1e-5)
    np.testing.assert_allclose(left_out.sd**2, np.sum(root**2, axis=-1) + noise, rtol=1e-5)
    replicas = one_fit["posterior_predictive"]["y"].values.reshape(left_out.mean.shape)
    z = (replicas - left_out.mean) / left_out.sd
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    assert not np.array_equal(left_out.replica, left_out.residual)


def test_replicas_of_the_residuals_are_those_of_data_from_the_model():
    # Standardised leave-one-out residuals of data y ~ N(m, K) have the covariance D⁻½K⁻¹D⁻½.
    x, y, error = points(6)
    problem = process(x, y, "matern32", "zero", error)
    theta = {"length_scale": 1.0, "amplitude": 1.0, "noise": 0.3}
    many = {name: np.full(40_000, value) for name, value in theta.items()}
    precision = np.linalg.inv(dense_moments("matern32", "zero", theta, x, error)[1])
    root = np.sqrt(np.diag(precision))
    left_out = problem.left_out(many, rng(41))
    expected = precision / np.outer(root, root)
    np.testing.assert_allclose(np.cov(left_out.replica.T), expected, atol=0.03)
    np.testing.assert_allclose(left_out.residual[0], precision @ y / root, rtol=1e-9)


def test_every_group_is_there_with_its_units(one_fit):
    assert set(REQUIRED_GROUPS) <= set(one_fit.children)
    assert one_fit.attrs["inference"] == "mle+mcmc" and one_fit.attrs["mean"] == "repulsive"
    for group in ("posterior", "log_prior", "prior"):
        names = {"length_scale", "amplitude", "noise", "gamma", "r0"}
        assert set(one_fit[group].data_vars) == names
    x, y, error = points()
    meant = {
        "x": xr.DataArray(x, attrs={"units": "nm"}),
        "y": xr.DataArray(y, attrs={"units": "eV"}),
    }
    fit = gp.fit(**meant, error=error, kernel=Periodic() + RQ(), mean="repulsive", settings=SHORT)
    units = {name: v.units for name, v in fit["posterior"].data_vars.items()}
    assert units == {
        "length_scale_1": "1",
        "period_1": "nm",
        "amplitude_1": "eV",
        "length_scale_2": "nm",
        "alpha_2": "1",
        "amplitude_2": "eV",
        "noise": "eV",
        "gamma": "eV/nm",
        "r0": "nm",
    }
    predicted = gp.predict(fit, [1.0, 2.0], slope=True)
    assert predicted["curve"].units == "eV" and predicted["slope_sd"].units == "eV/nm"
    assert predicted["x"].units == "nm"
    assert fit["sample_stats"]["gamma_optimum"].units == "eV/nm"


def test_prior_draws_are_the_priors_and_their_curves():
    x, y, _ = points()
    settings = Settings(draws=20, prior_draws=4000)
    fit = gp.fit(
        x,
        y,
        kernel=SE(length_scale=1.5),
        mean=line,
        noise=0.1,
        priors={"amplitude": LogNormal(0.8, 0.1)},
        settings=settings,
    )
    drawn = np.log(fit["prior"]["amplitude"].values.ravel() / 0.8) / 0.1
    assert stats.kstest(drawn, "norm").pvalue > 1e-3
    # Var y = E[a²] k + noise² + 2² + x².
    expected = np.cov(fit["prior_predictive"]["y"].values[0].T)
    exact = (
        0.8**2
        * np.exp(2 * 0.1**2)
        * dense("squared_exponential", x, x, {"length_scale": 1.5, "amplitude": 1.0})
    )
    exact += 0.1**2 * np.eye(len(x)) + 4 + np.outer(x, x)
    np.testing.assert_allclose(expected, exact, atol=0.09 * exact.max())


def test_replicas_are_draws_of_the_model_with_no_curve_seen():
    x, y, error = points(6)
    problem = process(x, y, "matern32", line, error)
    theta = {"length_scale": 1.0, "amplitude": 1.0, "noise": 0.3, "offset": 2.0, "rate": -1.0}
    many = {name: np.full((4, 10_000), theta[name]) for name in problem.names}
    drawn = problem.replicate(many, rng(42))["y"]
    assert drawn.shape == (4, 10_000, 6)
    flat_ = drawn.reshape(-1, 6)
    m, K = dense_moments("matern32", line, theta, x, error)
    np.testing.assert_allclose(flat_.mean(axis=0), m, atol=0.03)
    np.testing.assert_allclose(np.cov(flat_.T), K, atol=0.05)
    # The same process, priors and all, of those data.
    other = problem.observing({"y": drawn[0, 0]})
    assert other.inferred == problem.inferred
    expected = stats.multivariate_normal(m, K).logpdf(drawn[0, 0])
    one = {name: np.array(theta[name]) for name in problem.names}
    assert other.log_likelihood(one)["y"].sum() == pytest.approx(expected, rel=1e-9)
    np.testing.assert_array_equal(other.observed["y"], drawn[0, 0])


def test_the_outlook_tells_the_likelihood_that_the_process_tells(one_fit):
    problem = gp.rebuild(one_fit)
    draws = {name: one_fit["posterior"][name].values for name in problem.names}
    (told,) = problem.log_likelihood(draws).values()
    stored = one_fit["sample_stats"]["log_likelihood"]
    np.testing.assert_allclose(stored, told.sum(axis=-1), rtol=1e-9, atol=1e-9)


def test_the_names_of_the_data_stand_in_the_result(tmp_path):
    x, y, error = points()
    r = xr.DataArray(x, name="distances", attrs={"units": "nm"})
    u = xr.DataArray(y, name="energies", attrs={"units": "eV"})
    fit = gp.fit(r, u, error, noise=0.1, settings=SHORT)
    assert set(fit["observed_data"].data_vars) == {"energies"}
    assert set(fit["constant_data"].data_vars) == {"distances", "error", "noise"}
    assert set(fit["log_likelihood"].data_vars) == {"energies"}
    for group in ("posterior_predictive", "prior_predictive", "log_likelihood"):
        assert fit[group]["energies"].dims == ("chain", "draw", "point")
    assert fit["posterior_predictive"]["energies"].units == "eV"
    assert json.loads(fit.attrs["priors"])["noise"] == "0.1 (fixed)"
    assert fit.attrs["method"] == "mcmc" and fit.attrs["system"] == "gp"
    back = load(save(fit, tmp_path / "fit.nc"))
    for one in (fit, back):
        found = gp.predict(one, [1.0, 2.0])
        assert found["distances"].dims == ("new",) and found["distances"].units == "nm"
        assert set(found.data_vars) == {"mean", "sd", "curve", "energies"}
    with pytest.raises(FitError, match="noise: rename") as caught:
        gp.fit(r.rename("noise"), u, settings=SHORT)
    assert "\n" not in str(caught.value)


def small():
    """Ten points, so that quadrature is quick and the posterior wide."""
    draw = rng(50)
    x = np.sort(draw.uniform(0, 5, 10))
    return x, np.sin(1.5 * x) + 0.3 * draw.normal(size=10)


def distance(draws, mean, sd):
    """Error of mean and of sd, in sds."""
    return max(abs(draws.mean() - mean) / sd, abs(draws.std() / sd - 1))


def test_one_free_parameter_has_the_posterior_of_quadrature():
    x, y = small()
    fit = gp.fit(x, y, kernel=M32(length_scale=1.0, amplitude=1.0), settings=LONG)
    prior = InverseChi(1.0, 0.01 * np.std(y))

    def log_density(u):
        return (
            slow_log_marginal(
                "matern32", x, y, 0 * x, length_scale=1.0 + 0 * u, amplitude=1.0, noise=np.exp(u)
            )
            + prior.log_density(np.exp(u))
            + u
        )

    mean, sd = moments_on_a_grid(log_density, np.linspace(-16, 2, 400))
    assert distance(np.log(flat(fit, "noise")), mean[0], sd[0]) < 0.06


def test_three_free_parameters_have_the_posterior_of_quadrature():
    x, y = small()
    priors = {
        "length_scale": LogNormal(1.0, 0.5),
        "amplitude": LogNormal(1.0, 0.5),
        "noise": LogNormal(0.3, 0.5),
    }
    fit = gp.fit(x, y, kernel="squared_exponential", priors=priors, settings=LONG)
    # The twin entry by entry would take minutes on a grid of three dimensions.
    d = x[:, None] - x
    z = [np.linspace(-4, 4, 26)] * 3
    scale, amplitude, noise = np.exp(0.5 * np.array(np.meshgrid(*z, indexing="ij")))
    matrix = amplitude[..., None, None] ** 2 * np.exp(-0.5 * (d / scale[..., None, None]) ** 2)
    matrix = matrix + (0.3 * noise[..., None, None]) ** 2 * np.eye(10)
    sign, volume = np.linalg.slogdet(matrix)
    square = np.einsum("i,...i->...", y, np.linalg.solve(matrix, y[:, None])[..., 0])
    log_marginal = -0.5 * (square + volume)

    def density(*u):
        return log_marginal - 0.5 * sum(v**2 for v in u)

    means_, sds = moments_on_a_grid(density, *z)
    drawn = {name: (np.log(flat(fit, name)) - np.log(priors[name].median)) / 0.5 for name in priors}
    for (name, draws), mean, sd in zip(drawn.items(), means_, sds, strict=True):
        assert distance(draws, mean, sd) < 0.06, name
        # Draws a tenth of an sd off, or a tenth too wide, would not pass.
        assert distance(draws + 0.1 * sd, mean, sd) > 0.06 or distance(1.1 * draws, mean, sd) > 0.06
    assert np.all(sign > 0) and check(fit).believed


@pytest.mark.parametrize("method", ["mcmc", "laplace"])
def test_a_straight_mean_with_all_else_known_has_its_closed_form(method):
    x, y, error = points()
    kernel = M52(length_scale=1.0, amplitude=0.5)
    fit = gp.fit(x, y, error, kernel=kernel, mean=line, noise=0.2, method=method, settings=LONG)
    theta = {"length_scale": 1.0, "amplitude": 0.5, "noise": 0.2, "offset": 0.0, "rate": 0.0}
    precision = np.linalg.inv(dense_moments("matern52", line, theta, x, error)[1])
    design = np.stack([np.ones_like(x), x], axis=1)
    covariance = np.linalg.inv(design.T @ precision @ design + np.diag([1 / 4, 1.0]))
    mean = covariance @ design.T @ precision @ y
    assert list(fit["posterior"].data_vars) == ["offset", "rate"]
    for i, name in enumerate(("offset", "rate")):
        sd = np.sqrt(covariance[i, i])
        assert distance(flat(fit, name), mean[i], sd) < 0.05
        assert float(fit["sample_stats"][f"{name}_optimum"]) == pytest.approx(mean[i], abs=1e-4)
    joint = np.corrcoef(flat(fit, "offset"), flat(fit, "rate"))[0, 1]
    expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert joint == pytest.approx(expected, abs=0.03)
    assert fit["constant_data"]["length_scale"] == 1.0 and fit["constant_data"]["noise"] == 0.2
    assert check(fit).believed
    if method == "laplace":  # it is the posterior, so no draw weighs more than another
        assert np.ptp(fit["sample_stats"]["log_weight"].values) < 1e-3
        np.testing.assert_allclose(fit["sample_stats"]["hessian_eigenvalue"], 1, rtol=1e-4)


def test_laplace_is_close_on_many_points_and_says_where_it_is_not():
    draw = rng(52)
    x = np.linspace(0, 30, 90)
    y = np.sin(x) + 0.3 * draw.normal(size=90)
    options = {"kernel": SE(amplitude=0.8), "priors": {"noise": LogNormal(0.3, 1.0)}}
    settings = Settings(draws=1000, prior_draws=20)
    near, exact = (
        gp.fit(x, y, method=method, **options, settings=settings) for method in ("laplace", "mcmc")
    )
    assert check(near).believed
    for name in ("length_scale", "noise"):
        reference = np.log(flat(exact, name))
        assert distance(np.log(flat(near, name)), reference.mean(), reference.std()) < 0.15
    # A few points with noise of unknown size leave a long tail, and a wall that may begin on either
    # side of a point two optima.

    def failed(fit):
        return {c.name for c in check(fit).checks if c.required and not c.passed}

    tail = gp.fit(*small(), method="laplace", settings=settings)
    walls = gp.fit(
        [0.0, 1.0, 2.0, 3.0],
        [9.0, 0.3, -0.2, 0.1],
        0.2,
        method="laplace",
        mean="repulsive",
        settings=settings,
    )
    assert "Pareto k̂" in failed(tail) and "starts" in failed(walls)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of PyMC's and nutpie's own
def test_nuts_on_the_definition_agrees():
    x, y = small()
    priors = {"noise": LogNormal(0.3, 0.7)}
    settings = Settings(draws=700, tune=300, chains=4, prior_draws=20, workers=2)
    fits = {
        method: gp.fit(
            x, y, kernel=SE(amplitude=1.0), priors=priors, method=method, settings=settings
        )
        for method in ("mcmc", "nuts")
    }
    assert fits["nuts"].attrs["inference"] == "nuts"
    for name in ("length_scale", "noise"):
        ours, theirs = (np.log(flat(fits[method], name)) for method in ("mcmc", "nuts"))
        assert distance(ours, theirs.mean(), theirs.std()) < 0.15
    likelihood = [fit["sample_stats"]["log_likelihood"].mean() for fit in fits.values()]
    assert float(likelihood[0]) == pytest.approx(float(likelihood[1]), abs=0.15)
    assert set(fits["nuts"]["sample_stats"]) >= {"diverging", "energy", "discrepancy"}


def test_the_seed_decides_the_draws_and_the_workers_do_not(monkeypatch):
    x, y, error = points()
    monkeypatch.setattr(marginal, "CHUNK", 50 * 13**2)
    monkeypatch.setattr(marginal, "LARGE", 5)
    monkeypatch.setattr(marginal, "TOGETHER", 2)

    def fit(**changes):
        return gp.fit(x, y, error, settings=SHORT.replace(**changes))

    first, threads, other = fit(workers=1), fit(workers=2), fit(seed=2)
    for group in ("posterior", "posterior_predictive", "log_likelihood", "sample_stats", "prior"):
        for name, variable in first[group].data_vars.items():
            np.testing.assert_array_equal(variable, threads[group][name])
    assert not np.isin(first["posterior"]["noise"], other["posterior"]["noise"]).any()
    chains = first["posterior"]["noise"].values
    assert not np.isin(chains[0], chains[1]).any()


def test_the_order_of_the_points_does_not_matter():
    x, y, error = points()
    order = rng(52).permutation(len(x))
    there, back = (
        gp.fit(x[k], y[k], error[k], settings=SHORT) for k in (np.argsort(x, kind="stable"), order)
    )
    np.testing.assert_array_equal(back["constant_data"]["x"], np.sort(x))
    mean = back["posterior"]["length_scale"].mean(), there["posterior"]["length_scale"].mean()
    assert float(mean[0]) == pytest.approx(float(mean[1]), rel=1e-3)


def test_a_fit_of_ordinary_data_is_believed():
    draw = rng(53)
    x = np.repeat(np.linspace(0, 10, 20), 2)
    error = draw.uniform(0.05, 0.3, 40)
    y = np.sin(x) + error * draw.normal(size=40)
    fit = gp.fit(x, y, error, settings=Settings(draws=1000, prior_draws=20))
    verdict = check(fit)
    assert verdict.believed, verdict.words
    curve = gp.predict(fit, x)["curve"].mean(("chain", "draw"))
    assert np.sqrt(np.mean((curve.values - np.sin(x)) ** 2)) < 0.1
    # Errors stated three times too small are found in the noise beyond them.
    narrow = gp.fit(x, y, error / 3, settings=SHORT)["posterior"]["noise"]
    assert float(narrow.mean()) > 3 * float(fit["posterior"]["noise"].mean())


@pytest.mark.parametrize("method", ["mcmc", "laplace", "nuts"])
def test_a_fit_with_nothing_to_infer_says_so(method):
    x, y, _ = points()
    kernel = SE(length_scale=1.0, amplitude=1.0)
    with pytest.raises(FitError, match="all parameters are fixed"):
        gp.fit(x, y, kernel=kernel, noise=0.1, method=method, settings=SHORT)


def test_mistakes_are_said_in_one_line():
    x, y, error = points()
    with_nan = np.where(np.arange(13) == 3, np.nan, y)
    for changes, kind, words in (
        ({"method": "magic"}, FitError, "mcmc, laplace, nuts"),
        ({"kernel": "magic"}, FitError, "unknown kernel 'magic'"),
        ({"mean": "magic"}, FitError, "unknown mean 'magic'"),
        ({"mean": naked}, FitError, "'offset'"),
        ({"priors": {"lengthscale": Normal()}}, FitError, "length_scale, amplitude, noise"),
        ({"kernel": SE(length_scale=0.0)}, FitError, "length_scale cannot be fixed"),
        ({"kernel": SE(amplitude=-1.0)}, FitError, "amplitude cannot be fixed"),
        ({"noise": -0.1}, FitError, "noise cannot be fixed"),
        ({"noise": np.inf}, FitError, "noise cannot be fixed"),
        ({"x": x[:2], "y": y[:2], "error": None}, DataError, "rows"),
        ({"x": x[:5]}, DataError, "length"),
        ({"y": with_nan}, DataError, "finite|not a number|NaN|nan"),
        ({"x": with_nan}, DataError, "finite|not a number|NaN|nan"),
        ({"y": np.ones(13)}, DataError, "y does not vary"),
        ({"x": np.ones(13)}, DataError, "all x are equal"),
        ({"error": 0.0}, DataError, "error bar"),
        ({"error": -error}, DataError, "error bar"),
    ):
        with pytest.raises(kind, match=words) as caught:
            gp.fit(**({"x": x, "y": y, "error": error, "settings": SHORT} | changes))
        assert "\n" not in str(caught.value)


# ── Predictions ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("name", ["exponential", "product", "both"])
def test_the_curve_at_given_parameters_is_the_closed_form(name, mean):
    x, y, error = points()
    problem = process(x, y, CASES[name][0], MEANS[mean], error)
    new = np.array([-2.0, 0.3, x[2], 4.4, 4.4001, 11.0])
    theta = some_theta(problem, (60,), (3,))
    means_, roots, _ = problem.conditional(theta, new)
    for i in range(3):
        one = {k: v[i] for k, v in theta.items()}
        m, K = dense_moments(name, MEANS[mean], one, x, error)
        across = dense(name, new, x, one)
        at_new = means.mean(MEANS[mean]).value(new, one)
        expected = at_new + across @ np.linalg.solve(K, y - m)
        covariance = dense(name, new, new, one) - across @ np.linalg.solve(K, across.T)
        scale = CASES[name][1](0.0, one)
        np.testing.assert_allclose(means_[i], expected, atol=1e-8 * np.sqrt(scale))
        np.testing.assert_allclose(roots[i] @ roots[i].T, covariance, atol=1e-9 * scale)


@pytest.mark.parametrize("name", SMOOTH)
def test_the_slope_at_given_parameters_is_the_closed_form(name):
    # cov(f′, ·) by differences of the twin in its points.
    x, y, error = points()
    problem = process(x, y, CASES[name][0], wall, error)
    new, h = np.array([0.3, 2.2, 5.1]), 1e-3
    theta = some_theta(problem, (61,), (2,))
    means_, roots, _ = problem.conditional(theta, new, slope=True)
    for i in range(2):
        one = {k: v[i] for k, v in theta.items()}
        m, K = dense_moments(name, wall, one, x, error)
        alpha = np.linalg.solve(K, y - m)
        sides = np.concatenate([new, new - h, new + h])
        across = dense(name, sides, x, one)
        spread = dense(name, sides, sides, one) - across @ np.linalg.solve(K, across.T)
        at = means.mean(wall).value(sides, one) + across @ alpha
        rates = np.block([-np.eye(3), np.eye(3)]) / (2 * h)
        differ = np.block([[np.eye(3), np.zeros((3, 6))], [np.zeros((3, 3)), rates]])
        size = np.sqrt(CASES[name][1](0.0, one))
        np.testing.assert_allclose(means_[i], differ @ at, atol=1e-4 * size)
        # A Matérn of order 3/2 has a kink in its second derivative, which differences feel as h.
        tolerance = 2e-2 if name in KINKED else 1e-3
        expected = differ @ spread @ differ.T
        np.testing.assert_allclose(
            roots[i] @ roots[i].T, expected, atol=tolerance * np.abs(expected).max()
        )


def test_curves_are_drawn_with_the_mean_and_the_covariance_of_their_draw():
    x, y, error = points()
    fit = gp.fit(x, y, error, kernel=SE(length_scale=1.2), mean=wall, settings=SHORT)
    new = np.array([-1.0, 0.5, 0.6, 3.0, 9.5])
    found = gp.predict(fit, new, mean=wall, most=400)
    assert found["curve"].dims == ("chain", "draw", "new") and found["curve"].size == 2000
    np.testing.assert_array_equal(found["x"], new)
    theta = {n: v.values.ravel() for n, v in fit["posterior"].data_vars.items()}
    for n in ("length_scale", "power"):
        theta[n] = np.full(400, float(fit["constant_data"][n]))
    z = []
    for i, (mean_, sd, curve) in enumerate(
        zip(*(found[n].values.reshape(400, 5) for n in ("mean", "sd", "curve")), strict=True)
    ):
        one = {k: v[i] for k, v in theta.items()}
        m, K = dense_moments("squared_exponential", wall, one, x, error)
        across = dense("squared_exponential", new, x, one)
        expected = means.mean(wall).value(new, one) + across @ np.linalg.solve(K, y - m)
        spread = dense("squared_exponential", new, new, one)
        spread = spread - across @ np.linalg.solve(K, across.T)
        np.testing.assert_allclose(mean_, expected, atol=1e-7)
        np.testing.assert_allclose(sd, np.sqrt(np.diag(spread)), atol=1e-5)
        z.append(np.linalg.solve(np.linalg.cholesky(spread + 1e-10 * np.eye(5)), curve - expected))
    z = np.array(z)
    # Whitened by its own covariance each draw is N(0, 1), each x apart from the others.
    assert np.abs(z.mean(axis=0)).max() < 4 / np.sqrt(400)
    assert np.abs(np.cov(z.T) - np.eye(5)).max() < 5 / np.sqrt(400)
    noise = (found["y"] - found["curve"]).values.reshape(400, 5) / theta["noise"][:, None]
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-3
    assert noise.std() == pytest.approx(1, abs=4 / np.sqrt(2 * 2000))


def test_slopes_are_those_of_the_curves_drawn_with_them():
    draw = rng(62)
    x = np.linspace(0, 6, 15)
    y = np.sin(x) + 0.1 * draw.normal(size=15)
    fit = gp.fit(x, y, kernel=SE(length_scale=1.2), mean=line, settings=SHORT)
    new, h = np.linspace(1.0, 2.0, 11), 0.1
    found = gp.predict(fit, new, mean=line, slope=True, most=100)
    curve, slope = found["curve"].values, found["slope"].values
    # Five-point differences of each drawn curve.
    by_hand = curve[..., :-4] - 8 * curve[..., 1:-3] + 8 * curve[..., 3:-1] - curve[..., 4:]
    np.testing.assert_allclose(slope[..., 2:-2], by_hand / (12 * h), atol=5e-3)
    assert slope.std(axis=(0, 1)).min() > 0.05  # which is far below their spread
    for side in ("mean", "slope_mean"):
        assert found[side].shape == curve.shape
    up, down = (gp.predict(fit, new + s, mean=line, most=100)["mean"] for s in (1e-4, -1e-4))
    np.testing.assert_allclose(found["slope_mean"], (up - down) / 2e-4, atol=1e-4)
    z = (found["slope"] - found["slope_mean"]) / found["slope_sd"]
    assert float(z.mean()) == pytest.approx(0, abs=0.25)
    assert float(z.std()) == pytest.approx(1, abs=0.15)
    # The curve is the same draw whether its slope is asked for or not, but for the seed's order.
    np.testing.assert_allclose(
        found["sd"], gp.predict(fit, new, mean=line, most=100)["sd"], atol=1e-5
    )


def test_predictions_have_a_seed():
    x, y, _ = points()
    fit = gp.fit(x, y, settings=SHORT)
    first, again = gp.predict(fit, [1.0, 2.0]), gp.predict(fit, [1.0, 2.0])
    other = gp.predict(fit, [1.0, 2.0], settings=SHORT.replace(seed=7))
    np.testing.assert_array_equal(first["curve"], again["curve"])
    np.testing.assert_array_equal(first["mean"], other["mean"])
    assert not np.isin(first["curve"], other["curve"]).any()


@pytest.mark.parametrize("most", [1, 7, 100, 399, 400, 10**6])
def test_draws_are_thinned_evenly_to_at_most_so_many(most):
    x, y, _ = points()
    fit = gp.fit(x, y, kernel=SE(amplitude=0.9), settings=SHORT)
    kept = gp.thinned(fit, most)
    # Every chain is followed, so there are never fewer than chains.
    count = kept.sizes["chain"] * kept.sizes["draw"]
    assert min(4, most) <= count <= max(4, most) and count >= min(most, 400) / 2
    assert float(kept["amplitude"]) == 0.9
    assert np.isin(kept["noise"], fit["posterior"]["noise"]).all()
    assert np.ptp(np.diff(kept["draw"].values)) == 0 if kept.sizes["draw"] > 1 else True
    assert gp.predict(fit, [1.0], most=most)["curve"].size == count


def test_a_file_predicts_what_the_fit_in_memory_does(tmp_path):
    x, y, error = points()
    kernel = Periodic(period=4.0) * SE() + M52(amplitude=0.3)
    fit = gp.fit(x, y, error, kernel=kernel, mean="repulsive", settings=SHORT)
    back = load(save(fit, tmp_path / "fit.nc"))
    new = np.linspace(-1, 9, 7)
    there, here = (gp.predict(f, new, slope=True) for f in (back, fit))
    for name, variable in here.data_vars.items():
        np.testing.assert_array_equal(there[name], variable)
        assert there[name].units == variable.units
    assert check(back).to_dict() == check(fit).to_dict()


def test_a_mean_that_a_file_cannot_hold_is_asked_for(tmp_path):
    x, y, _ = points()
    fit = gp.fit(x, y, mean=wall, units={"height": "eV"}, settings=SHORT)
    assert fit["posterior"]["height"].units == "eV"
    back = load(save(fit, tmp_path / "fit.nc"))
    with pytest.raises(FitError, match=r"'wall'.*pass it as mean=") as caught:
        gp.predict(back, [1.0])
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(
        gp.predict(back, [1.0], mean=wall)["curve"], gp.predict(fit, [1.0], mean=wall)["curve"]
    )


def test_a_function_with_the_name_of_a_mean_is_still_a_function():
    def zero(x, level=Normal(3.0, 1.0)):
        return level + 0 * x

    x, y, _ = points()
    fit = gp.fit(x, y + 5, mean=zero, settings=SHORT)
    with pytest.raises(FitError, match="mean="):  # and not the mean 0 far from all data
        gp.predict(fit, [1000.0])
    assert float(gp.predict(fit, [1000.0], mean=zero)["mean"].mean()) > 3


@pytest.mark.parametrize("name", ["exponential", "sum"])
def test_a_path_without_slope_is_not_asked_for_one(name):
    x, y, _ = points()
    fit = gp.fit(x, y, kernel=CASES[name][0], settings=SHORT)
    with pytest.raises(FitError, match="exponential kernel have no slope") as caught:
        gp.predict(fit, [1.0], slope=True)
    assert "\n" not in str(caught.value)
    assert "slope" not in gp.predict(fit, [1.0])


# ── Singular matrices ────────────────────────────────────────────────────────────────────────────


def test_good_matrices_have_their_exact_factors():
    roots = np.tril(rng(70).normal(size=(2, 3, 5, 5))) + 3 * np.eye(5)
    matrices = roots @ np.swapaxes(roots, -1, -2)
    lower, jitter = cholesky.cholesky(matrices.copy(), 5)
    np.testing.assert_array_equal(lower, np.linalg.cholesky(matrices))
    assert jitter.shape == (2, 3) and not jitter.any()


def test_a_singular_matrix_takes_jitter_and_leaves_its_neighbours_alone():
    good = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, 0.0], [0.0, 0.0, 2.0]])
    singular = np.array([[1.0, 1.0 + 1e-9, 0.0], [1.0 + 1e-9, 1.0, 0.0], [0.0, 0.0, 4.0]])
    hopeless = np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    not_numbers = np.full((3, 3), np.nan)
    stack = np.stack([good, singular, hopeless, not_numbers, good])
    lower, jitter = cholesky.cholesky(stack.copy(), 3)
    np.testing.assert_array_equal(lower[[0, 4]], [np.linalg.cholesky(good)] * 2)
    np.testing.assert_array_equal(jitter[[0, 2, 3, 4]], 0)
    assert np.isnan(lower[[2, 3]][:, *np.tril_indices(3)]).all()
    # The least of the powers of ten that does, relative to the diagonal.
    assert jitter[1] == pytest.approx(1e-8)
    raised = singular + 1e-8 * np.diag(np.diag(singular))
    np.testing.assert_allclose(lower[1] @ lower[1].T, raised, rtol=1e-14)


def test_rows_beyond_the_size_are_not_raised():
    singular = np.ones((3, 3))
    singular[2, 2] = 5.0
    lower, jitter = cholesky.cholesky(singular.copy(), 2)
    raised = singular + np.diag([jitter, jitter, 0.0])
    assert jitter > 0
    np.testing.assert_allclose(lower @ lower.T, raised, rtol=1e-15)


TWICE = np.repeat(np.arange(6.0), 2), np.repeat([0.1, 0.9, 0.8, 0.2, -0.7, -0.9], 2)


def test_repeated_x_without_noise_are_fitted_with_jitter_that_is_on_record():
    x, y = TWICE
    fit = gp.fit(x, y, noise=0.0, settings=SHORT)
    # All draws: a pivot that rounding alone keeps above zero is as singular as one below, and would
    # have the posterior seek out the parameters where rounding happens to do so.
    jitter = fit["sample_stats"]["jitter"]
    assert (jitter > 0).all() and jitter.max() <= 1e-9
    assert fit["sample_stats"]["efficiency"] > 0.3
    for group in ("posterior", "log_likelihood", "posterior_predictive"):
        for variable in fit[group].data_vars.values():
            assert np.isfinite(variable).all()
    found = gp.predict(fit, [1.0, 2.5], slope=True)
    np.testing.assert_allclose(found["curve"][..., 0], 0.9, atol=0.01)
    assert all(np.isfinite(v).all() for v in found.data_vars.values())
    # With noise there is nothing to raise.
    assert not gp.fit(x, y, noise=0.1, settings=SHORT)["sample_stats"]["jitter"].any()


def test_points_that_say_the_same_twice_say_no_more_than_once():
    x, y = TWICE
    once, twice = (
        np.log(
            flat(
                gp.fit(
                    x[::k],
                    y[::k],
                    kernel=SE(amplitude=0.8),
                    noise=0.0,
                    settings=Settings(draws=1000, prior_draws=20),
                ),
                "length_scale",
            )
        )
        for k in (2, 1)
    )
    assert distance(twice, once.mean(), once.std()) < 0.08


def test_parameters_beyond_all_bounds_have_no_density_and_no_warning():
    x, y, _ = points()
    problem = process(x, y, "rational_quadratic", "repulsive")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        far = 300.0 * np.vstack([np.eye(6), -np.eye(6)])
        height = problem.log_density(np.vstack([far, np.zeros((1, 6))]))
        assert not np.isnan(height).any() and np.isfinite(height[-1])
        assert np.all(height[:-1] < height[-1])
        for point in far:
            value, gradient = problem.gradient(point)
            assert not np.isnan(value) and np.isfinite(gradient).all()


def test_an_observation_is_called_by_the_datas_name_and_its_place():
    """Not by its number, nor as the marginal density by which leave-one-out goes."""
    distances = xr.DataArray(np.array([3.0, 3.5, 4.25, 5.0]), dims="point", name="distances")
    energies = xr.DataArray(np.array([2.0, -1.0, -0.5, -0.1]), dims="point", name="energies")
    short = Settings(draws=30, chains=2, prior_draws=10)
    fit = gp.fit(distances, energies, method="laplace", settings=short)
    names = [f"energies at distances = {r}" for r in ("3", "3.5", "4.25", "5")]
    assert loo(fit)["names"] == names
    for group in ("observed_data", "posterior_predictive", "log_likelihood"):
        np.testing.assert_array_equal(fit[group]["distances"], distances)


def test_exact_values_are_rounded_before_a_smooth_curve_judges_them():
    """Of two dozen values a dozen directions hold rounding alone, which exact values lack.

    Where they are rounded as the model takes them to be, their left-out residuals are sized like
    those of replicas; as they are, far smaller.
    """
    x = np.linspace(0, 1, 24)
    apart = (x[:, None] - x) / 0.2
    values, directions = np.linalg.eigh(np.exp(-0.5 * apart**2))
    y = directions @ (
        np.sqrt(np.maximum(values, 0)) * np.random.default_rng(2).standard_normal(len(x))
    )
    process = gp.process(
        curve_from_arrays(x, y), mean="zero", noise=1e-6, priors={"length_scale": 0.2}
    )
    theta = process.complete({"amplitude": np.ones(400), "length_scale": np.full(400, 0.2)})

    def size(one):
        seen = replace(process, exact=one).left_out(theta, np.random.default_rng(3))
        return np.median(np.sum(seen.residual**2, axis=1) / np.sum(seen.replica**2, axis=1))

    assert 0.5 < size(True) < 2
    assert size(False) < 0.6 * size(True)
