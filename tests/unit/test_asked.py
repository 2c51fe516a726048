"""A system cannot weaken its verdict: what a family asks of its data, it asks always."""

import importlib
import inspect
import pkgutil

import lmfit
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesinf
import bayesinf.models
from bayesinf import data, systems
from bayesinf.checks import check
from bayesinf.diagnostics import TIMES, comparisons, neighbours
from bayesinf.errors import DataError
from bayesinf.models import curve, gp, linear, noise
from bayesinf.models import problem as driver
from bayesinf.models.density import LogDensity
from bayesinf.priors import Normal
from bayesinf.settings import Settings

SETTINGS = Settings(draws=500, chains=4, prior_draws=50)
ALWAYS = ["largest residual", "residual skewness", "residual tails", "residual spread"]
X = np.linspace(0, 5, 12)
Y = np.exp(-X) + 0.01 * np.sin(9 * X)


def line(x=X, y=Y, error=None):
    model = lmfit.models.LinearModel()
    points = data.curve_from_arrays(x, y, error, sort=False)
    return curve.problem(model, model.make_params(slope=0, intercept=1), points)


def process(x=X, y=Y):
    return gp.process(data.curve_from_arrays(x, y, sort=False))


def regression(x=X, y=Y, dim="time", coords=None, **options):
    coords = {dim: x} if coords is None else coords
    features = xr.DataArray(np.stack([x**0, x], axis=1), dims=(dim, "power"), coords=coords)
    return linear.regression(features, y, **options)


FAMILIES = {"linear": regression, "curve": line, "gp": process}
ordered = pytest.mark.parametrize("family", FAMILIES)


@ordered
def test_data_with_an_order_are_always_asked_the_memory_of_their_residuals(family):
    assert list(FAMILIES[family]().discrepancies) == [*ALWAYS, "residual memory"]


@pytest.mark.parametrize("prior", list(linear.PRIORS))
def test_whatever_the_prior(prior):
    assert list(regression(prior=prior).discrepancies) == [*ALWAYS, "residual memory"]


def test_the_data_may_tell_their_order_where_the_features_do_not():
    y = xr.DataArray(Y[::-1], {"time": X[::-1]}, ["time"])
    stated = linear.regression(np.stack([X**0, X], axis=1)[::-1], y)
    residual = np.sin(X)
    memory = stated.discrepancies["residual memory"]
    kept = np.mean(residual[1:] * residual[:-1]) / np.mean(residual**2)
    assert memory(residual[::-1], 0.0, 0.1) == pytest.approx(kept)
    fit = linear.fit(np.stack([X**0, X], axis=1)[::-1], y, settings=SETTINGS)
    assert "residual memory" in fit["sample_stats"]["statistic"].values
    assert fit["observed_data"]["y"].dims == ("observation",)


def test_a_noise_that_is_known_is_held_to_its_size():
    for stated in (regression(noise=0.1), line(error=np.full(12, 0.1))):
        assert list(stated.discrepancies) == [*ALWAYS, "residual memory", "chi-square"]


@ordered
def test_the_memory_runs_along_the_axis_however_the_rows_stand(family):
    order = np.random.default_rng(1).permutation(len(X))
    sorted_, shuffled = FAMILIES[family](), FAMILIES[family](X[order], Y[order])
    residual = 0.1 * np.sin(X)
    memory = sorted_.discrepancies["residual memory"](residual, 0.0, 0.01)
    square = np.mean(residual**2)
    assert memory == pytest.approx(np.mean(residual[1:] * residual[:-1]) / square)
    again = shuffled.discrepancies["residual memory"](residual[order], 0.0, 0.01)
    assert again == pytest.approx(memory)
    other = residual[order]
    assert again != pytest.approx(np.mean(other[1:] * other[:-1]) / square)


def smallest(y, mean, noise):
    return np.min(y - mean, axis=-1)


def test_a_caller_adds_and_replaces_nothing():
    stated = regression(discrepancies={"smallest": smallest})
    assert list(stated.discrepancies) == [*ALWAYS, "residual memory", "smallest"]
    for name in (*ALWAYS, "residual memory", "chi-square"):
        weakened = regression(noise=0.1, discrepancies={name: smallest})
        with pytest.raises(DataError, match=f"{name} is a statistic of the family's") as caught:
            driver.fit(weakened, settings=SETTINGS)
        assert "\n" not in str(caught.value)
    # Where the family finds no order, the caller who knows of one may ask for the memory.
    bare = regression(
        dim="row", coords={}, discrepancies={"residual memory": noise.residual_memory}
    )
    assert list(bare.discrepancies) == [*ALWAYS, "residual memory"]


def problems(kind=driver.Problem):
    for each in kind.__subclasses__():
        yield each
        yield from problems(each)


def test_no_system_states_the_statistics_of_a_family():
    """A contract of all families and systems that are found."""
    for package in (bayesinf.models, systems):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    stated = {each for each in problems() if "discrepancies" in vars(each)}
    families = {each.family for each in stated if each.__module__.startswith("bayesinf.models.")}
    assert families >= {"linear", "curve", "gp", "pairwise", "logistic", "density"}
    # A system with a problem of its own asks what every family does, and no less.
    own = [each for each in stated if each.__module__.startswith("bayesinf.systems.")]
    sources = [inspect.getsource(each) for each in own]
    assert all("noise.asked(" in source for source in sources)


def level_of(y, coords):
    """One level for all data, as a log density of the user's: the trend is left over."""
    return LogDensity(
        {"level": Normal(0, 10)},
        pointwise=lambda level: -0.5 * (y - level) ** 2 - 0.5 * np.log(2 * np.pi),
        replicate=lambda rng, level: level + rng.normal(size=len(y)),
        observed={"y": xr.DataArray(y, coords, dims=["x"])},
    )


def test_a_model_of_the_users_own_is_asked_wherever_its_data_have_an_order():
    rng, x = np.random.default_rng(4), np.linspace(0, 1, 200)
    white = rng.normal(size=200)
    drift = 0.75 * white + 0.9 * np.sin(2 * np.pi * x)  # as wide as the model says
    order = rng.permutation(200)
    for y, places, good in (
        (white, {"x": x}, True),
        (drift, {"x": x}, False),
        (drift[order], {"x": x[order]}, False),
        (drift, {}, True),  # nothing says that these stand in an order
    ):
        fit = bayesinf.fit(level_of(y, places), settings=SETTINGS)
        verdict = check(fit)
        assert verdict.believed == good, verdict.words
        assert good or "residual memory" in verdict.words
        bare = xr.DataTree.from_dict(
            {n: fit[n].to_dataset() for n in ("posterior", "posterior_predictive", "observed_data")}
        )
        assert ("predictive p" in {c.name for c in check(bare).checks if not c.passed}) != good


# --- what is an order -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dim", "labels"),
    [
        ("observation", {"observation": np.arange(6)}),
        ("observation", {"observation": np.array([5, 3, 4, 6, 7, 8])}),  # part of a table, shuffled
        ("row", {"row": np.array([2, 3, 5, 6, 8, 9])}),  # lines of a file
        ("site", {"site": np.array(list("abcdef"))}),
        ("site", {}),
        ("x", {"x": np.array([0, 1, 2, np.nan, 4, 5])}),
        ("time", {"time": np.arange(6), "trial": np.arange(6)}),  # each repeat has one row
    ],
)
def test_what_only_counts_is_no_order(dim, labels):
    assert neighbours(dim, 6, labels) is None


@pytest.mark.parametrize(
    ("dim", "labels"),
    [
        *[(dim, {}) for dim in sorted(TIMES)],
        ("time", {"time": np.arange(6)}),
        ("x", {"x": np.arange(6.0)}),
        ("wavelength", {"wavelength": np.array([400, 410, 420, 430, 440, 450])}),
        ("n", {"n": np.arange(6).astype("datetime64[D]")}),
        ("row", {"row": np.arange(6), "time": np.arange(6)}),
    ],
)
def test_what_is_an_order(dim, labels):
    found = neighbours(dim, 6, labels)
    np.testing.assert_array_equal(found.earlier, np.arange(5))
    np.testing.assert_array_equal(found.later, np.arange(1, 6))


def test_repeats_do_not_join_at_their_seams():
    time, trial = np.array([0.0, 1, 2, 0, 1, 2]), np.array([7, 7, 7, 3, 3, 3])
    labels = {"time": time, "trial": trial}
    found = neighbours("row", 6, labels)
    pairs = set(zip(found.earlier.tolist(), found.later.tolist(), strict=True))
    assert pairs == {(0, 1), (1, 2), (3, 4), (4, 5)}
    index = pd.MultiIndex.from_arrays([trial, time], names=["trial", "time"])
    coords = xr.Coordinates.from_pandas_multiindex(index, "row")
    jump = np.where(trial == 7, 10.0, -10.0) * np.array([1, 0, 1, 1, 0, 1])  # only seams correlate
    stated = regression(x=time, y=Y[:6], dim="row", coords=coords)
    assert stated.discrepancies["residual memory"](jump, 0.0, 1.0) == 0.0
    table = xr.Dataset({"y": ("row", jump)}, coords)
    steps = comparisons(table)["memory of steps"]
    assert steps({"y": jump}) == pytest.approx(-2 * 100 / (4 * 100))


def test_groups_of_a_regression_do_not_join_at_their_seams():
    time, groups = np.tile(np.arange(6.0), 2), np.repeat(["a", "b"], 6)
    rng = np.random.default_rng(3)
    stated = regression(x=time, y=rng.normal(size=12), groups=groups)
    residual = rng.normal(size=12)
    within = np.concatenate([residual[:5] * residual[1:6], residual[6:11] * residual[7:]])
    found = stated.discrepancies["residual memory"](residual, 0.0, 0.1)
    assert found == pytest.approx(within.mean() / np.mean(residual**2))


def test_the_memory_of_steps_is_that_of_the_sorted_rows():
    rng = np.random.default_rng(2)
    x, order = np.sort(rng.uniform(0, 1, 50)), rng.permutation(50)
    y = rng.normal(size=(3, 50))
    of = lambda x, y: comparisons(xr.Dataset({"y": ("x", y[0])}, {"x": x}))["memory of steps"](
        {"y": y}
    )
    np.testing.assert_allclose(of(x, y), of(x[order], y[:, order]))
    steps = np.diff(y, axis=1)
    expected = (steps[:, 1:] * steps[:, :-1]).sum(1) / (steps**2).sum(1)
    np.testing.assert_allclose(of(x, y), expected)


# --- a light curve --------------------------------------------------------------------------------

PERIOD = 0.1075


def light_curve(memory, seed=3, count=280):
    """A periodic star seen at uneven times, with scatter that is white or lasts for half a day."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(0, 60, count))
    phase = 2 * np.pi * np.outer(t / PERIOD, [1, 2])
    features = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
    lag = np.abs(t[:, np.newaxis] - t)
    root = np.linalg.cholesky(np.exp(-lag / 0.5) if memory else np.eye(count))
    scatter = root @ rng.normal(size=count)
    magnitude = features @ [0.3, 0.1, -0.1, 0.05] + 0.1 * scatter
    rows = rng.permutation(count)  # as a table sorted by something else
    X = xr.DataArray(features[rows], dims=("row", "harmonic"), coords={"time": ("row", t[rows])})
    return X, magnitude[rows]


def test_a_strictly_periodic_fit_of_a_source_with_memory_is_not_believed():
    """Its author lists statistics of his own, under which it looks well."""
    mine = {"smallest": smallest}
    fit = linear.fit(*light_curve(True), settings=SETTINGS, discrepancies=mine)
    verdict = check(fit)
    assert not verdict.believed
    assert "residual memory is not what the model predicts" in verdict.words
    fit["sample_stats"] = fit["sample_stats"].to_dataset().drop_sel(statistic="residual memory")
    assert check(fit).believed
    white = check(linear.fit(*light_curve(False), settings=SETTINGS, discrepancies=mine))
    assert white.believed, white.words


def test_the_p_value_of_the_memory_is_uniform_or_nearer_to_one_half():
    """It calls one fit in a hundred bad or fewer where the model is right, at random seeds."""
    low = 0
    for seed in range(40):
        fit = linear.fit(*light_curve(False, seed, 60), settings=SETTINGS.replace(draws=100))
        group = fit["sample_stats"].sel(statistic="residual memory")
        above = float((group["discrepancy"] > group["discrepancy_observed"]).mean())
        low += min(above, 1 - above) < 0.05
    assert low <= 9  # of 40, 4 expected; more than 9 by chance in one run of 200
