"""Curves that are stationary in another coordinate, fall off in size, or stand on a constant."""

import density
import numpy as np
import pytest
from scipy import stats

from bayesinf.data import curve_from_arrays
from bayesinf.errors import DataError, FitError
from bayesinf.models import gp
from bayesinf.models.gp import coordinates, means
from bayesinf.posterior import load, save
from bayesinf.priors import LogNormal, Normal
from bayesinf.settings import Settings

SHORT = Settings(draws=100, chains=4, prior_draws=20, workers=1)


def rng(*key):
    return np.random.default_rng(key)


def squeezed(x):
    return np.sqrt(x)


def squeezed_slope(x):
    return 0.5 / np.sqrt(x)


# Coordinate to its formula, written again.
FORMULAS = {
    "x": lambda x: x,
    "log": np.log,
    "inverse": lambda x: 1 / x,
    "inverse_cube": lambda x: 1 / x**3,
    (squeezed, squeezed_slope): squeezed,
}
EVERY = pytest.mark.parametrize("coordinate", FORMULAS, ids=("x", "log", "inverse", "cube", "own"))
ENVELOPES = (None, 5.0, LogNormal(5.0, 0.3))


def points(n=9, key=0):
    draw = rng(20, key)
    x = np.sort(draw.uniform(0.8, 4, n))
    error = draw.uniform(0.01, 0.1, n)
    return x, 2 / x**6 - 3 / x**3 + error * draw.normal(size=n), error


def process(x, y, error=None, **options):
    return gp.process(curve_from_arrays(x, y, error), workers=1, **options)


def twin(coordinate, decay, origin, theta, x, other):
    """Covariance of the curve by the formula, squared exponential."""
    c = FORMULAS[coordinate]
    s, t = (1.0, 1.0) if decay is None else ((x / origin) ** -decay, (other / origin) ** -decay)
    d = (c(x)[:, None] - c(other)) / theta["length_scale"]
    return (
        theta["amplitude"] ** 2 * np.exp(-0.5 * d**2) * np.multiply.outer(s + 0 * x, t + 0 * other)
    )


def case(coordinate, envelope, mean="zero", key=(0,)):
    """A process, parameters of it, and its decay and origin."""
    x, y, error = points()
    problem = process(x, y, error, coordinate=coordinate, envelope=envelope, mean=mean)
    theta = problem.theta(0.5 * rng(21, *key).normal(size=len(problem.names)))
    decay = None if envelope is None else float(theta["decay"])
    return problem, theta, decay, np.sqrt(x[0] * x[-1])


@EVERY
@pytest.mark.parametrize("envelope", ENVELOPES, ids=str)
def test_the_marginal_likelihood_is_that_of_a_multivariate_normal(coordinate, envelope):
    problem, theta, decay, origin = case(coordinate, envelope, "repulsive + constant")
    x, y, error = points()
    K = twin(coordinate, decay, origin, theta, x, x) + np.diag(theta["noise"] ** 2 + error**2)
    m = theta["constant"] + theta["gamma"] * np.maximum(theta["r0"] - x, 0)
    expected = stats.multivariate_normal(m, K).logpdf(y)
    assert problem.log_marginal(theta) == pytest.approx(expected, rel=1e-9)


@EVERY
@pytest.mark.parametrize("envelope", ENVELOPES, ids=str)
def test_the_gradient_is_that_of_the_log_density(coordinate, envelope):
    problem, *_ = case(coordinate, envelope, "constant")
    u = 0.6 * rng(24).normal(size=len(problem.names))
    _, gradient = problem.gradient(u)
    shifts = 1e-5 * np.eye(len(u))
    expected = (problem.log_density(u + shifts) - problem.log_density(u - shifts)) / 2e-5
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-5)


def test_the_pymc_definition_is_the_density_of_the_fast_route():
    x, y, error = points()
    options = {"coordinate": "log", "envelope": "power", "noise": LogNormal(0.2, 0.2)}
    problem = process(x, y, error, mean="repulsive + constant", **options)
    names = {"length_scale", "amplitude", "noise", "decay", "gamma", "r0", "constant"}
    assert {variable.name for variable in problem.pymc().free_RVs} == names == set(problem.names)
    theta = problem.theta(0.5 * rng(30).normal(size=(4, len(names))))
    density.holds(problem, theta, rel=1e-9)


@EVERY
@pytest.mark.parametrize("envelope", (None, LogNormal(5.0, 0.3)), ids=str)
def test_curve_and_force_at_given_parameters_are_the_closed_form(coordinate, envelope):
    problem, theta, decay, origin = case(coordinate, envelope, "constant")
    x, y, error = points()
    at, h = np.array([0.9, 1.7, 3.3]), 3e-5
    theta = {name: np.atleast_1d(value) for name, value in theta.items()}
    one = {name: value[0] for name, value in theta.items()}

    def cov(a, b):
        return twin(coordinate, decay, origin, one, a, b)

    K = cov(x, x) + np.diag(one["noise"] ** 2 + error**2)
    weight = np.linalg.solve(K, y - one["constant"])
    centre, root, _ = problem.conditional(theta, at, slope=True)
    value = one["constant"] + cov(at, x) @ weight
    force = (cov(at + h, x) - cov(at - h, x)) @ weight / (2 * h)
    np.testing.assert_allclose(centre[0], np.r_[value, force], rtol=1e-6, atol=1e-7)
    both = np.r_[at, at + h, at - h]  # values, and differences that make slopes
    joint = cov(both, both) - cov(both, x) @ np.linalg.solve(K, cov(x, both))
    eye, nil = np.eye(3), np.zeros((3, 3))
    turn = np.block([[eye, nil, nil], [nil, eye / (2 * h), -eye / (2 * h)]])
    expected = turn @ joint @ turn.T
    found = root[0] @ root[0].T
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_allclose(found / scale, expected / scale, atol=5e-4)
    mean, sd = problem.pointwise_curve(theta, at)
    np.testing.assert_allclose(mean[0], value, rtol=1e-9)
    np.testing.assert_allclose(sd[0], np.sqrt(np.diag(expected)[:3]), rtol=1e-6)


def test_a_file_predicts_what_the_fit_in_memory_does(tmp_path):
    x, y, error = points()
    options = {"coordinate": "log", "envelope": "power", "mean": "constant"}
    fit = gp.fit(x, y, error, settings=SHORT, **options)
    back = load(save(fit, tmp_path / "fit.nc"))
    assert {"decay", "constant"} <= set(fit["posterior"].data_vars)
    for one in ("curve", "slope", "mean"):
        there, here = (gp.predict(f, [0.9, 2.2], slope=True)[one] for f in (back, fit))
        np.testing.assert_allclose(there, here, rtol=1e-12)
    own = gp.fit(x, y, error, settings=SHORT, coordinate=(squeezed, squeezed_slope))
    with pytest.raises(FitError, match=r"coordinate of this posterior.*squeezed.*coordinate="):
        gp.predict(own, [2.0])
    told = gp.predict(own, [2.0], coordinate=(squeezed, squeezed_slope))
    assert np.isfinite(told["curve"]).all()


def test_units_of_the_parameters_are_those_of_the_coordinate():
    import xarray as xr

    x, y, _ = points()
    columns = (xr.DataArray(v, dims="point", attrs={"units": u}) for v, u in ((x, "Å"), (y, "K")))
    data = curve_from_arrays(*columns)
    of = {"x": "Å", "log": "1", "inverse": "Å⁻¹", "inverse_cube": "Å⁻³"}
    for name, unit in of.items():
        units = gp.process(data, mean="repulsive + constant", coordinate=name).parameters.units
        assert units["length_scale"] == unit
        assert (units["gamma"], units["r0"], units["constant"]) == ("K/Å", "Å", "K")


SCALED = {
    "constant in x": ({"mean": "constant"}, 1e-8, 1e6, 1e-20, 1e9),
    "power of log x": ({"coordinate": "log", "envelope": "power"}, 1e-10, 0.0, 1e20, 0.0),
    "inverse": ({"coordinate": "inverse", "mean": "constant"}, 1e9, 0.0, 1e-3, 1e6),
}


@pytest.mark.parametrize("name", SCALED)
def test_units_and_origins_change_nothing_but_the_numbers(name):
    # Where the model maps into itself: x to a x + b, y to c y + d, with draws alike to 1e-6.
    options, a, b, c, d = SCALED[name]
    x, y, _ = points(14)
    # Powers of two near the scales, so that the numbers themselves lose nothing.
    a, c = 2.0 ** np.round(np.log2([a, c]))
    b, d = np.array([b * a, d * c]) if name != "constant in x" else np.array([2**20 * a, 2**30 * c])
    x, y = np.round(x * 2**20) / 2**20, np.round(y * 2**18) / 2**18
    at = np.array([1.0, 2.0, 3.0])
    plain, moved = (
        gp.predict(gp.fit(*data, settings=SHORT, **options), new)["mean"].values
        for data, new in (((x, y), at), ((a * x + b, c * y + d), a * at + b))
    )
    np.testing.assert_allclose((moved - d) / c, plain, rtol=1e-6, atol=1e-6 * np.ptp(y))


def hill(x, height=LogNormal(1.0, 1.0), place=LogNormal(2.0, 0.3)):
    return height * (place / x) ** 6


def test_derivatives_of_a_function_do_not_depend_on_the_units():
    # In metres and joules as in Å and K: the steps follow the priors, and the extent of x.
    x, theta = np.linspace(1, 4, 7), {"height": 1.3, "place": 2.2}
    widths = {"height": 1.0, "place": 0.6}
    mean = means.Function(hill)
    tiny = {"height": 1.3e-23, "place": 2.2e-10}
    small = {"height": 1e-23, "place": 0.6e-10}
    here, there = mean.slopes(x, theta, widths), mean.slopes(1e-10 * x, tiny, small)
    np.testing.assert_allclose(there["height"], here["height"], rtol=1e-7)
    np.testing.assert_allclose(there["place"] * 1e13, here["place"], rtol=1e-7)
    exact = -6 * hill(x, **theta) / x
    for scale in (1.0, 1e-10, 1e10):
        slope = mean.slope(scale * x, {**theta, "place": 2.2 * scale}, extent=3 * scale)
        np.testing.assert_allclose(slope * scale, exact, rtol=1e-7)


def test_mistakes_are_said_in_one_line():
    x, y, _ = points()
    several = {"x": np.column_stack([x, x**2]), "y": y}
    for changes, kind, words in (
        ({"coordinate": "cube"}, FitError, "unknown coordinate 'cube'.*inverse_cube"),
        ({"envelope": "steep"}, FitError, "unknown envelope 'steep'.*power"),
        ({"mean": "flat"}, FitError, "unknown mean 'flat'.*constant"),
        ({"mean": "zero + linear"}, FitError, "unknown mean"),
        ({"x": x - 2, "coordinate": "log"}, DataError, "no value in the coordinate log"),
        ({"x": x - 2, "envelope": "power"}, DataError, "not positive"),
        ({**several, "coordinate": "log"}, FitError, "one input"),
        ({"coordinate": (np.sign, np.sign)}, DataError, "does not vary in the coordinate sign"),
    ):
        arguments = {"x": x, "y": y} | changes
        with pytest.raises(kind, match=words) as caught:
            gp.fit(**arguments, settings=SHORT)
        assert "\n" not in str(caught.value)


def test_evidence_is_that_of_quadrature():
    x, y, _ = points()
    kernel = gp.SquaredExponential(length_scale=1.0, amplitude=2.0)
    problem = process(x, y, kernel=kernel, mean="constant", noise=0.1)
    assert problem.names == ["constant"]
    # One normal parameter, in which all is linear: Laplace's method is exact.
    u = np.linspace(-9, 9, 4001)
    height = problem.log_density(u[:, None])
    exact = np.log(np.trapezoid(np.exp(height - height.max()), u)) + height.max()
    assert gp.log_evidence(problem, Settings(seed=1)) == pytest.approx(exact, abs=1e-4)


def test_an_envelope_is_a_power_about_the_middle():
    fall = coordinates.envelope("power", np.array([1.0, 2.0, 16.0]))
    assert fall.origin == 4.0 and fall.parameters() == {"decay": None}
    theta = {"decay": np.array([0.0, 2.0])}
    np.testing.assert_allclose(fall.value(np.array([2.0, 8.0]), theta), [[1, 1], [4, 0.25]])
    stated = coordinates.envelope(Normal(3.0, 1.0), np.array([1.0, 2.0]))
    assert stated.decay == Normal(3.0, 1.0)
