"""Slopes as data: covariances against differences of values, answers against a joint normal."""

import warnings

import density
import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayesinf.checks import check, loo
from bayesinf.errors import DataError, FitError
from bayesinf.models import gp
from bayesinf.models.gp import slopes
from bayesinf.models.gp.slopes import VALUE, Between, Sites
from bayesinf.posterior import load, save
from bayesinf.priors import LogNormal, Normal
from bayesinf.settings import Settings

SHORT = Settings(draws=100, chains=4, prior_draws=50)

SE, RQ, Periodic = gp.SquaredExponential, gp.RationalQuadratic, gp.Periodic
M32, M52 = gp.Matern32, gp.Matern52

KERNELS = {
    "squared_exponential": SE(),
    "matern32": M32(),
    "matern52": M52(),
    "rational_quadratic": RQ(),
    "sum": SE() + M52(),
    "product": M52() * RQ(),
    "product of three": SE() * (M52() + RQ()) * SE(),
}
SINGLE = {**KERNELS, "periodic": Periodic(), "periodic product": Periodic() * SE()}


def rng(*key):
    return np.random.default_rng(key)


def theta_of(kernel, inputs, key=0):
    """Values for all parameters of a kernel, one number or one for each input."""
    draw, found = rng(1, key).uniform, {}
    kinds = kernel.measured()
    for name, value in kernel.parameters().items():
        size = inputs if kinds[name] == "x" and inputs > 1 else None
        found[name] = np.float64(value) if isinstance(value, float) else draw(0.8, 2.5, size)
        found[name] = np.asarray(found[name])
    return found


def ready(kernel):
    return gp.kernels.kernel(kernel)


CASES = [
    pytest.param(ready(kernels[name]), inputs, id=f"{name} of {inputs}")
    for inputs, kernels in ((1, SINGLE), (2, KERNELS), (3, KERNELS))
    for name in kernels
]


def values(kernel, theta, x, other):
    """Covariance of values, which other tests hold to the textbook."""
    return Between(Sites.of(x), Sites.of(other)).matrix(kernel, theta)


def differences(x, along, h):
    """Weights by which values at moved places become values and slopes: (site, place), places."""
    places, weights = [], []
    for k, (site, one) in enumerate(zip(x, along, strict=True)):
        if one == VALUE:
            places.append(site)
            weights.append((k, 1.0))
        else:
            for side in (-1, 1):
                places.append(site + side * h * np.eye(x.shape[1])[one])
                weights.append((k, side / (2 * h)))
    matrix = np.zeros((len(x), len(places)))
    for column, (row, weight) in enumerate(weights):
        matrix[row, column] = weight
    return matrix, np.array(places)


def some_sites(inputs, key, values=4, each=3):
    draw = rng(2, key)
    along = np.repeat([VALUE, *range(inputs)], [values, *[each] * inputs])
    return Sites(draw.uniform(-2, 2, (len(along), inputs)), along)


def covariances_are_those_of_differences(kernel, inputs, tolerance=2e-6, h=1e-3):
    """Hold covariances among values and slopes to differences of covariances of values."""
    theta = theta_of(kernel, inputs)
    one, other = some_sites(inputs, 1), some_sites(inputs, 2, 3, 2)
    other.x[:2], other.x[-1] = one.x[:2], one.x[5]  # the distance zero among them
    left, places = differences(one.x, one.along, h)
    right, others = differences(other.x, other.along, h)
    expected = left @ values(kernel, theta, places, others) @ right.T
    found = Between(one, other).matrix(kernel, theta)
    np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())
    # Of sites with themselves a side is the other side's mirror image.
    own = Between(one, one).matrix(kernel, theta)
    np.testing.assert_allclose(
        own,
        Between(one, Sites(one.x, one.along)).matrix(kernel, theta),
        atol=1e-13 * np.abs(own).max(),
    )
    np.testing.assert_allclose(own, own.T, atol=1e-13 * np.abs(own).max())
    assert np.linalg.eigvalsh(own).min() > -1e-11 * np.abs(own).max()


# ── Covariances ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("kernel", "inputs"), CASES)
def test_covariances_with_slopes_are_those_of_differences(kernel, inputs):
    # Paths with one derivative alone: differences of their covariances converge slowly.
    kinked = any(isinstance(leaf, M32) for leaf in kernel.leaves())
    covariances_are_those_of_differences(kernel, inputs, 5e-3 if kinked else 5e-6)


@pytest.mark.parametrize("wrong", ["value with slope", "slope with slope", "two inputs"])
def test_a_wrong_sign_does_not_hold(monkeypatch, wrong):
    right = slopes.Radial.spread

    def spread(self, *shapes):
        found = list(right(self, *shapes))
        if self.pairs.order == 1 and wrong == "value with slope":
            found[1] = -found[1]
        if self.pairs.order == 2 and wrong == "slope with slope":
            found[3] = -found[3]
        if self.pairs.order == 2 and wrong == "two inputs":
            found[3] = np.where(self.pairs.same, found[3], -found[3])
        return tuple(found)

    covariances_are_those_of_differences(SE(), 2)
    monkeypatch.setattr(slopes.Radial, "spread", spread)
    with pytest.raises(AssertionError):
        covariances_are_those_of_differences(SE(), 2)


@pytest.mark.parametrize(("kernel", "inputs"), CASES)
def test_the_traces_are_slopes_in_the_logarithm_of_each_parameter(kernel, inputs):
    sites = some_sites(inputs, 3)
    sites.x[6] = sites.x[0]
    theta, between = theta_of(kernel, inputs, 1), Between(sites, sites)
    weight = rng(4).normal(size=(len(sites.x), len(sites.x)))
    weight = weight + weight.T
    found = between.traces(kernel, theta, weight)
    sizes = sum(value.size for name, value in theta.items())
    assert len(found) == sizes

    def total(name, k, shift):
        moved = theta[name].copy()
        moved[() if k is None else k] *= np.exp(shift)
        return np.sum(weight * between.matrix(kernel, theta | {name: moved}))

    for (name, k), value in found.items():
        expected = (total(name, k, 1e-5) - total(name, k, -1e-5)) / 2e-5
        assert value == pytest.approx(expected, rel=1e-6, abs=1e-6 * np.abs(weight).sum())


# ── The problem ──────────────────────────────────────────────────────────────────────────────────


def surface(q, p):
    return np.sin(q) + 0.5 * p**2 + 0.3 * q * p


def bowl(x, height=Normal(0.0, 2.0), tilt=Normal(0.0, 1.0)):
    """A mean of two inputs."""
    q, p = x
    return height + 0.4 * p**2 + tilt * np.sin(q) * p


def wave(x, height=Normal(0.0, 2.0), rate=Normal(0.0, 1.0)):
    """A mean of one input."""
    return height + rate * np.sin(x)


def measured(key=0, count=7):
    """Values and slopes of a surface at places of their own, with errors of many sizes."""
    draw = rng(5, key)
    places = draw.uniform(-2, 2, (3, count, 2))
    error = draw.uniform(0.05, 0.3, (3, count))
    noise = error * draw.normal(size=(3, count))
    (q, p) = np.moveaxis(places, -1, 0)
    truth = np.stack([surface(q[0], p[0]), np.cos(q[1]) + 0.3 * p[1], p[2] + 0.3 * q[2]])
    data = truth + noise
    x = [{"q": q[k], "p": p[k]} for k in range(3)]
    slopes = {"q": (x[1], data[1], error[1]), "p": (x[2], data[2])}  # in p the noise is inferred
    return {"x": x[0], "y": data[0], "error": error[0], "slopes": slopes, "name": "H"}


def process(kernel="squared_exponential", mean="zero", given=None, **options):
    return gp.process(gp.data(**(measured() if given is None else given)), kernel, mean, **options)


def line(count=6, key=0):
    """Values and slopes on one coordinate."""
    draw = rng(6, key)
    x, at = np.sort(draw.uniform(0, 6, (2, count)))
    slopes = {"x": (at, np.cos(at) + 0.1 * draw.normal(size=count), 0.1)}
    return {"x": x, "y": np.sin(x) + 0.1 * draw.normal(size=count), "slopes": slopes}


def some_theta(problem, key=(0,), shape=()):
    return problem.theta(0.5 * rng(7, *key).normal(size=(*shape, len(problem.names))))


def dense(problem, theta, new=None, h=1e-4):
    """Mean and covariance of all data, then of the curve at new places, slopes by differences."""
    x = problem.x if new is None else np.concatenate([problem.x, new])
    along = problem.along if new is None else np.append(problem.along, [VALUE] * len(new))
    weights, places = differences(x, along, h)
    at = places.T if problem.several else places[:, 0]
    mean = weights @ np.broadcast_to(problem.mean.value(at, theta), len(places))
    covariance = weights @ values(problem.kernel, theta, places, places) @ weights.T
    size = len(problem.y)
    covariance[:size, :size] += np.diag(noises(problem, theta))
    return mean, covariance


def noises(problem, theta):
    """Variance of the noise of each datum, put together by hand."""
    names = {VALUE: "noise", 0: "noise_dH_dq", 1: "noise_dH_dp"}
    if not problem.several:
        names = {VALUE: "noise", 0: "noise_dy_dx"}
    known = np.zeros(len(problem.y)) if problem.error is None else problem.error
    return np.array([theta[names[k]] ** 2 for k in problem.along]) + known**2


PROBLEMS = {
    "surface": lambda: process(M52() + RQ(), bowl),
    "slopes alone": lambda: process(given={"slopes": measured()["slopes"], "name": "H"}),
    "line": lambda: process(given=line(), kernel=SE(), mean=wave),
    "periodic line": lambda: process(given=line(), kernel=Periodic() * SE()),
    "wall": lambda: process(given=line(), kernel=M52(), mean="repulsive"),
}
every_problem = pytest.mark.parametrize("name", PROBLEMS)


@every_problem
def test_the_marginal_likelihood_is_that_of_a_multivariate_normal(name):
    problem = PROBLEMS[name]()
    for key in range(2):
        theta = some_theta(problem, (key,))
        expected = stats.multivariate_normal(*dense(problem, theta)).logpdf(problem.y)
        assert problem.log_marginal(theta) == pytest.approx(expected, rel=1e-4, abs=1e-3)
        # The same, with the covariances that other tests hold to those differences.
        exact = stats.multivariate_normal(problem.expected(theta), problem.covariance(theta))
        assert problem.log_marginal(theta) == pytest.approx(exact.logpdf(problem.y), rel=1e-8)


@every_problem
def test_the_gradient_is_that_of_the_log_density(name):
    problem = PROBLEMS[name]()
    u = 0.5 * rng(8).normal(size=len(problem.names))
    value, gradient = problem.gradient(u)
    assert value == pytest.approx(problem.log_density(u), rel=1e-12)
    shifts = 1e-5 * np.eye(len(u))
    expected = (problem.log_density(u + shifts) - problem.log_density(u - shifts)) / 2e-5
    np.testing.assert_allclose(gradient, expected, rtol=2e-5, atol=2e-5)


@every_problem
def test_curves_given_values_and_slopes_are_those_of_the_joint_normal(name):
    problem = PROBLEMS[name]()
    theta = some_theta(problem, (9,), (2,))
    new = rng(10).uniform(0.3, 2, (3, problem.x.shape[1]))
    found, roots, _ = problem.conditional(theta, new, slope=True)
    inputs = problem.x.shape[1]
    assert found.shape == (2, 3 * (1 + inputs))
    sides = np.concatenate(
        [new, *(new + s * 1e-3 * np.eye(inputs)[k] for k in range(inputs) for s in (-1, 1))]
    )
    size = len(problem.y)
    rates = np.zeros((len(found[0]), len(sides)))
    rates[:3, :3] = np.eye(3)
    for k in range(inputs):
        rows, first = slice(3 * (1 + k), 3 * (2 + k)), 3 + 6 * k
        rates[rows, first : first + 3] = -np.eye(3) / 2e-3
        rates[rows, first + 3 : first + 6] = np.eye(3) / 2e-3
    for i in range(2):
        one = {n: v[i] for n, v in theta.items()}
        mean, joint = dense(problem, one, sides)
        pull = np.linalg.solve(joint[:size, :size], joint[:size, size:]).T
        expected = rates @ (mean[size:] + pull @ (problem.y - mean[:size]))
        left = rates @ (joint[size:, size:] - pull @ joint[:size, size:]) @ rates.T
        scale = one["amplitude" if "amplitude" in one else "amplitude_1"]
        np.testing.assert_allclose(found[i], expected, rtol=1e-3, atol=2e-3 * scale)
        np.testing.assert_allclose(roots[i] @ roots[i].T, left, atol=2e-3 * np.abs(left).max())
        # Value by value, as rules of acquisition ask.
        centre, sd = problem.pointwise_curve(theta, new)
        np.testing.assert_allclose(centre[i], found[i, :3], atol=1e-5 * scale)
        np.testing.assert_allclose(sd[i], np.linalg.norm(roots[i], axis=1)[:3], atol=1e-4 * scale)


@pytest.mark.parametrize("name", ["surface", "slopes alone", "line"])
def test_the_pymc_definition_is_the_density_of_the_fast_route(name):
    problem = PROBLEMS[name]()

    def apart(one):
        found = {n: v for n, v in one.items() if np.ndim(v) == 0}
        vectors = {n: v for n, v in one.items() if np.ndim(v)}
        return found | {
            f"{n}_{i}": v[k] for n, v in vectors.items() for k, i in enumerate(problem.inputs)
        }

    theta = some_theta(problem, (11,), (4,))
    draws = {n: theta[n] for n in problem.inferred}
    density.holds(problem, draws, values=apart, rel=1e-7)


def test_a_slope_of_the_other_sign_is_another_datum():
    # Far from any symmetry: with its slopes turned round the surface is hardly possible.
    given = measured()
    turned = {k: (x, -s, *e) for k, (x, s, *e) in given["slopes"].items()}
    stated = {"length_scale": [1.5, 2.0], "amplitude": 2.0, "noise_dH_dp": 0.1}
    right = gp.log_marginal_likelihood(**given, **stated)
    wrong = gp.log_marginal_likelihood(**given | {"slopes": turned}, **stated)
    assert right - wrong > 30


def test_replicas_and_the_likelihood_are_those_of_each_variable():
    problem = process("matern52", bowl)
    theta = some_theta(problem, (12,))
    many = {n: np.broadcast_to(theta[n], (3, 7000, *theta[n].shape)) for n in problem.inferred}
    drawn = problem.replicate(many, rng(13))
    assert {n: v.shape for n, v in drawn.items()} == dict.fromkeys(
        ("H", "dH_dq", "dH_dp"), (3, 7000, 7)
    )
    row = np.concatenate(list(drawn.values()), axis=-1).reshape(-1, 21)
    covariance = problem.covariance(theta)
    sd = np.sqrt(np.diag(covariance))
    z = (row - problem.expected(theta)) / sd
    assert np.abs(z.mean(axis=0)).max() < 5 / np.sqrt(21_000)
    np.testing.assert_allclose(np.cov(z.T), covariance / np.outer(sd, sd), atol=0.05)
    one = {n: theta[n] for n in problem.inferred}
    told = problem.log_likelihood(one)
    total = sum(v.sum() for v in told.values())
    assert list(told) == ["H", "dH_dq", "dH_dp"]
    assert total == pytest.approx(float(problem.log_marginal(theta)), rel=1e-10)
    other = problem.observing({n: v[0, 0] for n, v in drawn.items()})
    exact = stats.multivariate_normal(problem.expected(theta), covariance).logpdf(row[0])
    assert other.log_marginal(theta) == pytest.approx(exact, rel=1e-8)


def test_each_datum_against_the_others_is_what_deleting_it_says():
    problem = process("matern52", bowl)
    theta = some_theta(problem, (14,), (1,))
    one = {n: v[0] for n, v in theta.items()}
    m, K, y = problem.expected(one), problem.covariance(one), problem.y
    left_out = problem.left_out(theta, rng(15))
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        weights = np.linalg.solve(K[np.ix_(rest, rest)], K[rest, i])
        sd = np.sqrt(K[i, i] - weights @ K[rest, i])
        expected = stats.norm.logpdf(y[i], m[i] + weights @ (y - m)[rest], sd)
        assert left_out.log_density[0, i] == pytest.approx(expected, rel=1e-7)
        part = problem.part(np.flatnonzero(rest))
        gone = float(problem.log_marginal(one) - part.log_marginal(one))
        assert gone == pytest.approx(expected, rel=1e-7)


# ── The fit ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def one_fit():
    return gp.fit(**measured(count=12), settings=SHORT)


def test_names_and_units_stand_in_the_result(tmp_path):
    given = measured(count=12)
    inputs = xr.Dataset(
        {
            "q": ("point", given["x"]["q"], {"units": "m"}),
            "p": ("point", given["x"]["p"], {"units": "kg m/s"}),
        }
    )
    y = xr.DataArray(given["y"], dims="point", name="H", attrs={"units": "J"})
    rate = xr.DataArray(given["slopes"]["p"][1], dims="point", attrs={"units": "m/s"})
    given |= {"x": inputs, "y": y}
    given["slopes"] = given["slopes"] | {"p": (given["slopes"]["p"][0], rate)}
    fit = gp.fit(**given, settings=SHORT)
    units = {n: v.units for n, v in fit["posterior"].data_vars.items()}
    assert units == {
        "length_scale": "m, kg m/s",
        "amplitude": "J",
        "noise": "J",
        "noise_dH_dq": "J/m",
        "noise_dH_dp": "m/s",
    }
    assert set(fit["observed_data"].data_vars) == {"H", "dH_dq", "dH_dp"}
    assert set(fit["log_likelihood"].data_vars) == {"H", "dH_dq", "dH_dp"}
    assert set(fit["constant_data"].data_vars) == {
        "q",
        "p",
        "error",
        "dH_dq_error",
        *(f"dH_d{a}_at_{b}" for a in "qp" for b in "qp"),
    }
    at = fit["posterior_predictive"]["dH_dp"]
    np.testing.assert_array_equal(at["dH_dp_at_q"], given["slopes"]["p"][0]["q"])
    assert at.units == "m/s" and fit["prior_predictive"]["dH_dq"].units == "J/m"
    names = loo(fit)["names"]
    assert len(names) == 36 and names[-1].startswith("dH_dp[")
    back = load(save(fit, tmp_path / "fit.nc"))
    here, there = (gp.predict(f, {"q": [0, 1.0], "p": [1.0, 0]}, slope=True) for f in (fit, back))
    for name, variable in here.data_vars.items():
        np.testing.assert_array_equal(there[name], variable)
    assert here["dH_dp"].units == "m/s" and here["dH_dq_sd"].units == "J/m"
    assert check(back).to_dict() == check(fit).to_dict()


def test_the_unit_of_y_follows_from_its_slopes_or_is_said():
    x, s, _ = measured()["slopes"]["q"]
    slope = xr.DataArray(s, dims="point", attrs={"units": "N"})
    q, p = (xr.DataArray(x[n], dims="point", attrs={"units": "m"}) for n in "qp")
    slopes = {"q": ({"q": q, "p": p}, slope)}
    for unit, given in (("N m", {}), ("J", {"units": {"H": "J"}})):
        fit = gp.fit(slopes=slopes, name="H", settings=SHORT, **given)
        assert fit["posterior"]["amplitude"].units == unit
        assert fit["posterior"]["noise_dH_dq"].units == "N"
        found = gp.predict(fit, {"q": [0.0], "p": [0.0]}, slope=True)
        assert found["curve"].units == unit and found["dH_dp"].units == f"{unit}/m"


def test_stored_log_densities_are_those_of_the_model_draw_by_draw(one_fit):
    problem = gp.rebuild(one_fit)
    for chain, draw in ((0, 0), (3, 99)):
        theta = {n: v[chain, draw].values for n, v in one_fit["posterior"].data_vars.items()}
        normal = stats.multivariate_normal(problem.expected(theta), problem.covariance(theta))
        stored = float(one_fit["sample_stats"]["log_likelihood"][chain, draw])
        assert stored == pytest.approx(normal.logpdf(problem.y), rel=1e-8)


def trajectory(noise=0.02):
    """A pendulum: q, p and their rates at times far apart, H = p²/2 + 1 − cos q."""
    draw = rng(16)
    q, p = draw.uniform(-2.5, 2.5, 40), draw.uniform(-1.8, 1.8, 40)
    dq = p + noise * draw.normal(size=40)
    dp = -np.sin(q) + noise * draw.normal(size=40)
    return {"q": q, "p": p}, dq, dp


def hamiltonian(q, p):
    return p**2 / 2 + 1 - np.cos(q)


def test_a_hamiltonian_is_learnt_from_its_slopes_alone():
    x, dq, dp = trajectory()
    slopes = {"p": (x, dq), "q": (x, -dp)}
    settings = Settings(draws=250, prior_draws=20)
    fit = gp.fit(slopes=slopes, name="H", settings=settings)
    assert "noise" not in fit["posterior"] and "level of H" in fit.attrs["priors"]
    assert check(fit).believed, check(fit).words
    noise = fit["posterior"]["noise_dH_dp"]
    assert 0.012 < float(noise.median()) < 0.03
    draw = rng(17)
    new = {"q": draw.uniform(-2, 2, 40), "p": draw.uniform(-1.5, 1.5, 40)}
    found = gp.predict(fit, new, slope=True)
    truth = hamiltonian(**new)
    # Differences of H are known, its level is not: N(0, amplitude²) beforehand and afterwards.
    curve = found["curve"] - found["curve"].mean("new")
    away = curve.mean(("chain", "draw")) - (truth - truth.mean())
    assert np.sqrt(np.mean(away.values**2)) < 0.02 * truth.std()
    amplitude = fit["posterior"]["amplitude"]
    level = found["curve"].mean("new")
    assert float(level.std()) > 20 * float(curve.std(("chain", "draw")).mean())
    assert float(level.std()) > 0.3 * float(amplitude.median())
    for name, slope in (("dH_dq", np.sin(new["q"])), ("dH_dp", new["p"])):
        z = (slope - found[name].mean(("chain", "draw"))) / found[name].std(("chain", "draw"))
        assert np.sqrt(np.mean(z.values**2)) < 2
        assert float(np.abs(found[name].mean(("chain", "draw")) - slope).max()) < 0.15
    # No value, no noise of one: new data of H are not drawn.
    assert "H" not in found
    with pytest.raises(FitError, match="slopes alone") as caught:
        gp.acquire(fit, new)
    assert "\n" not in str(caught.value)


def test_one_value_pins_the_level():
    x, dq, dp = trajectory()
    origin = {"q": [0.0], "p": [0.0]}
    priors = {"noise_dH_dq": LogNormal(0.02, 0.5), "noise_dH_dp": LogNormal(0.02, 0.5)}
    fit = gp.fit(
        origin,
        [0.0],
        slopes={"p": (x, dq), "q": (x, -dp)},
        name="H",
        noise=0.0,
        priors=priors,
        settings=SHORT,
    )
    found = gp.predict(fit, {"q": [0.0, 1.0, -1.5], "p": [0.0, 1.0, 0.5]})
    truth = hamiltonian(np.array([0.0, 1.0, -1.5]), np.array([0.0, 1.0, 0.5]))
    np.testing.assert_allclose(found["curve"].mean(("chain", "draw")), truth, atol=0.03)
    assert float(found["curve"].std(("chain", "draw")).max()) < 0.05
    # Where the one value says nothing of how it varies, H = 7 there is as good as H = 0.
    assert float(found["curve"][..., 0].std()) < 1e-3


def test_slopes_sharpen_a_curve_of_one_coordinate():
    given = line()
    with_slopes = gp.fit(**given, kernel=SE(length_scale=1.5, amplitude=1.0), settings=SHORT)
    alone = gp.fit(
        given["x"], given["y"], kernel=SE(length_scale=1.5, amplitude=1.0), settings=SHORT
    )
    new = np.linspace(1, 5, 30)
    sharp, blunt = (gp.predict(f, new, slope=True) for f in (with_slopes, alone))
    assert set(sharp.data_vars) == set(blunt.data_vars)  # the names of one coordinate
    assert with_slopes["posterior"]["noise_dy_dx"].dims == ("chain", "draw")
    assert float(sharp["sd"].mean()) < 0.8 * float(blunt["sd"].mean())
    away = sharp["mean"].mean(("chain", "draw")).values - np.sin(new)
    assert np.sqrt(np.mean(away**2)) < 0.12
    np.testing.assert_allclose(sharp["slope_mean"].mean(("chain", "draw")), np.cos(new), atol=0.4)


def test_units_change_nothing_but_the_numbers():
    given = measured(count=12)
    fit = gp.fit(**given, settings=SHORT)
    a, b, c = 1e-10, 1e7, 1e-21  # of q, p and H

    def turn(x):
        return {"q": x["q"] * a + 3 * a, "p": x["p"] * b - 5 * b}

    (x, dq, eq), (z, dp) = given["slopes"]["q"], given["slopes"]["p"]
    moved = gp.fit(
        turn(given["x"]),
        given["y"] * c,
        given["error"] * c,
        name="H",
        settings=SHORT,
        slopes={"q": (turn(x), dq * c / a, eq * c / a), "p": (turn(z), dp * c / b)},
    )
    one, other = fit["posterior"], moved["posterior"]
    for name, scale in (
        ("length_scale", np.array([a, b])),
        ("amplitude", c),
        ("noise", c),
        ("noise_dH_dq", c / a),
        ("noise_dH_dp", c / b),
    ):
        np.testing.assert_allclose(other[name], one[name] * scale, rtol=1e-2)
    jitter = moved["sample_stats"]["jitter"]
    np.testing.assert_array_equal(jitter, fit["sample_stats"]["jitter"])


def test_exact_values_and_slopes_are_met_whatever_their_units():
    x = np.linspace(0, 3e-9, 4)
    y, slope = 1e-20 * np.sin(x / 1e-9), 1e-11 * np.cos(x / 1e-9)
    kernel = SE(length_scale=1.5e-9, amplitude=1e-20)
    priors = {"noise_dy_dx": 0.0, "noise": LogNormal(1e-27, 0.1)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = gp.fit(x, y, slopes={"x": (x, slope)}, kernel=kernel, priors=priors, settings=SHORT)
        found = gp.predict(fit, x, slope=True)
    np.testing.assert_allclose(found["curve"].mean(("chain", "draw")), y, atol=1e-25)
    np.testing.assert_allclose(found["slope"].mean(("chain", "draw")), slope, atol=1e-15)


# ── What cannot be ───────────────────────────────────────────────────────────────────────────────


def test_mistakes_are_said_in_one_line():
    given = measured()
    x, s, e = given["slopes"]["q"]
    nan = np.where(np.arange(7) == 3, np.nan, s)

    def q(*entry):
        return {"slopes": {"q": entry}}

    for changes, kind, words in (
        ({"kernel": "exponential"}, FitError, "exponential kernel have no slope"),
        ({"kernel": SE() + gp.Exponential()}, FitError, "exponential kernel have no slope"),
        ({"kernel": "periodic"}, FitError, "one input"),
        ({"slopes": {"z": (x, s)}}, DataError, "no input 'z'.*one of q, p"),
        ({"slopes": {"q": s}}, DataError, r"\(x, values\)"),
        (q(x, s[:3]), DataError, "length"),
        (q(x, nan), DataError, "finite"),
        (q(x, s, -e), DataError, "error bar"),
        (q(x, s, 0.0), DataError, "error bar"),
        (q({"q": x["q"]}, s), DataError, "inputs do not agree"),
        (q(x, 0 * s), DataError, "slopes are zero"),
        ({"x": None, "y": None, "error": None, "noise": 0.1}, FitError, "noise_dH_dq"),
        ({"priors": {"noise_dH_dz": 0.0}}, FitError, "noise_dH_dp"),
        ({"priors": {"noise_dH_dq": -1.0}}, FitError, "noise_dH_dq cannot be fixed"),
        (
            {
                "name": "amplitude",
                "x": None,
                "y": None,
                "error": None,
                "slopes": {"q": (x, s)},
                "priors": {"damplitude_dq": 0.0},
            },
            FitError,
            "no parameter",
        ),
    ):
        with pytest.raises(kind, match=words) as caught:
            gp.fit(**(given | {"settings": SHORT} | changes))
        assert "\n" not in str(caught.value)
