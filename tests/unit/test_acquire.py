"""Where to measure next: each rule against Monte Carlo, quantiles or a closed form."""

import numpy as np
import pytest
import xarray as xr
from scipy import integrate, stats

from bayesinf.errors import DataError, FitError
from bayesinf.models import gp
from bayesinf.models.gp.acquisition import RULES, log_improvement
from bayesinf.posterior import load, save
from bayesinf.priors import LogNormal, Normal
from bayesinf.settings import Settings

SHORT = Settings(draws=100, chains=4, prior_draws=50)
every_rule = pytest.mark.parametrize("rule", RULES)


def rng(*key):
    return np.random.default_rng(key)


def hill(x, height=Normal(0.0, 1.0)):
    return height + 0.1 * x


# ── The improvement of a normal ──────────────────────────────────────────────────────────────────


def slow_log_improvement(z):
    """log ∫ (z − t)₊ φ(t) dt, its tail taken in units of its own width."""
    if z > -1:
        part, _ = integrate.quad(lambda t: (z - t) * stats.norm.pdf(t), -40, z, epsrel=1e-12)
        return np.log(part)
    tail = lambda w: w * np.exp(-w - 0.5 * (w / z) ** 2)
    part, _ = integrate.quad(tail, 0, 60, epsabs=0, epsrel=1e-13, limit=200)
    return stats.norm.logpdf(z) + np.log(part) - 2 * np.log(-z)


@pytest.mark.parametrize(
    "z", [8.0, 1.0, 0.0, -0.5, -0.999, -1.0, -1.001, -3.0, -12.0, -60.0, -99.99, -100.01, -1e4]
)
def test_the_logarithm_of_an_improvement_loses_nothing(z):
    assert log_improvement(z) == pytest.approx(slow_log_improvement(z), rel=1e-13, abs=1e-12)


def test_improvements_far_below_all_numbers_are_still_ordered():
    z = -np.logspace(0, 100, 400)
    found = log_improvement(z)
    assert np.isfinite(found).all() and np.all(np.diff(found) < 0)
    assert np.exp(found[-1]) == 0  # which a plain formula could not tell from its neighbours
    # No step where one formula takes over from another, in value and in slope.
    for edge in (-1.0, -100.0):
        near = edge + np.linspace(-1e-3, 1e-3, 9) * abs(edge)
        bends = np.diff(log_improvement(near), 2)
        assert np.ptp(bends) < 1e-6 * abs(bends).max() + 1e-9


# ── The rules ────────────────────────────────────────────────────────────────────────────────────


def noisy(count=9):
    """Few noisy data, of which one is low by chance."""
    draw = rng(1)
    x = np.sort(draw.uniform(0, 6, count))
    y = np.sin(x) + 0.3 * draw.normal(size=count)
    y[2] -= 1.5
    return x, y


@pytest.fixture(scope="module")
def fit():
    x, y = noisy()
    priors = {
        "length_scale": LogNormal(1.2, 0.4),
        "amplitude": LogNormal(1.0, 0.4),
        "noise": LogNormal(0.4, 0.3),
    }
    return gp.fit(x, y, kernel="matern52", mean=hill, priors=priors, settings=SHORT)


def dense(fit, new, count):
    """Mean and covariance of the curve at the data and at new places, draw by draw, by hand."""
    draws = fit["posterior"].dataset
    step = draws.sizes["draw"] * draws.sizes["chain"] // count
    x, y = fit["constant_data"]["x"].values, fit["observed_data"]["y"].values
    sites = np.concatenate([x, new])
    r = np.abs(sites[:, None] - sites)
    for chain in draws["chain"]:
        for place in range(step - 1, draws.sizes["draw"], step):
            one = {n: float(v.sel(chain=chain)[place]) for n, v in draws.data_vars.items()}
            s = np.sqrt(5) * r / one["length_scale"]
            k = one["amplitude"] ** 2 * (1 + s + s**2 / 3) * np.exp(-s)
            noise = one["noise"] ** 2 * np.eye(len(x))
            across, mean = k[:, : len(x)], one["height"] + 0.1 * sites
            pull = np.linalg.solve(k[: len(x), : len(x)] + noise, across.T).T
            yield mean + pull @ (y - mean[: len(x)]), k - pull @ across.T, len(x)


NEW = np.array([0.2, 1.0, 2.1, 3.3, 4.6, 5.0, 5.9])


@pytest.mark.parametrize("maximise", [False, True])
def test_expected_improvement_is_that_of_monte_carlo(fit, maximise):
    found = gp.acquire(fit, NEW, mean=hill, maximise=maximise, most=40)
    side = -1 if maximise else 1
    draw, gains, records = rng(2), [], []
    for mean, covariance, size in dense(fit, NEW, 40):
        record = (side * mean[:size]).min()  # of the curve, and not of the noisy data
        sd = np.sqrt(np.diag(covariance))[size:]
        curves = side * (mean[size:] + sd * draw.normal(size=(20_000, len(NEW))))
        gains.append(np.maximum(record - curves, 0).mean(axis=0))
        records.append(side * record)
    assert len(gains) == 40
    # The average of the improvements, and not the improvement at an average.
    average = np.mean(gains, axis=0)
    np.testing.assert_allclose(found["expected_improvement"], average, rtol=0.05, atol=1e-4)
    np.testing.assert_allclose(found["score"], np.log(found["expected_improvement"]))
    np.testing.assert_allclose(
        np.sort(found["incumbent"].values.ravel()), np.sort(records), rtol=1e-6
    )
    assert int(found["chosen"]) == np.argmax(average)


def test_the_incumbent_is_no_noisy_datum(fit):
    found = gp.acquire(fit, NEW, mean=hill)
    assert float(found["incumbent"].max()) > fit["observed_data"]["y"].values.min() + 0.2


@pytest.mark.parametrize("maximise", [False, True])
def test_the_bound_is_the_average_of_quantiles(fit, maximise):
    width = 1.7
    found = gp.acquire(
        fit, NEW, "lower confidence bound", mean=hill, maximise=maximise, width=width, most=40
    )
    level = stats.norm.cdf(width if maximise else -width)
    quantiles = [
        stats.norm.ppf(level, m[size:], np.sqrt(np.diag(c))[size:])
        for m, c, size in dense(fit, NEW, 40)
    ]
    np.testing.assert_allclose(found["bound"], np.mean(quantiles, axis=0), rtol=1e-6, atol=1e-7)
    best = np.argmax if maximise else np.argmin
    assert int(found["chosen"]) == best(np.mean(quantiles, axis=0))
    assert int(found["chosen"]) == int(np.argmax(found["score"].values))


def test_mean_and_sd_are_those_over_all_draws(fit):
    found = gp.acquire(fit, NEW, mean=hill, most=40)
    parts = [(m[size:], np.diag(c)[size:]) for m, c, size in dense(fit, NEW, 40)]
    means, variances = (np.array(part) for part in zip(*parts, strict=True))
    np.testing.assert_allclose(found["mean"], means.mean(axis=0), rtol=1e-6, atol=1e-8)
    total = np.sqrt(variances.mean(axis=0) + means.var(axis=0))
    np.testing.assert_allclose(found["sd"], total, rtol=1e-6)


def test_drawn_curves_are_joint_draws_of_their_own_normal(fit):
    found = gp.acquire(fit, NEW, "thompson", mean=hill, most=400)
    curves = found["curve"].values.reshape(400, len(NEW))
    z = []
    for curve, (mean, covariance, size) in zip(curves, dense(fit, NEW, 400), strict=True):
        root = np.linalg.cholesky(covariance[size:, size:] + 1e-10 * np.eye(len(NEW)))
        z.append(np.linalg.solve(root, curve - mean[size:]))
    z = np.array(z)
    # Whitened by its own covariance each curve is N(0, 1), each place apart from the others;
    # curves drawn place by place would not be.
    assert np.abs(z.mean(axis=0)).max() < 4 / np.sqrt(400)
    assert np.abs(np.cov(z.T) - np.eye(len(NEW))).max() < 5 / np.sqrt(400)
    share = np.bincount(curves.argmin(axis=1), minlength=len(NEW)) / 400
    np.testing.assert_array_equal(found["score"], share)
    assert share[int(found["chosen"])] > 0


def test_thompson_chooses_as_often_as_curves_are_lowest_there(fit):
    chosen = np.zeros(len(NEW))
    for seed in range(60):
        one = gp.acquire(fit, NEW, "thompson", mean=hill, most=8, settings=Settings(seed=seed))
        chosen[int(one["chosen"])] += 1
    share = gp.acquire(fit, NEW, "thompson", mean=hill)["score"].values
    assert np.abs(chosen / 60 - share).max() < 4 * np.sqrt(0.25 / 60)
    assert np.count_nonzero(chosen) > 1
    highest = gp.acquire(fit, NEW, "thompson", mean=hill, maximise=True)
    curves = highest["curve"].values.reshape(-1, len(NEW))
    counted = np.bincount(curves.argmax(axis=1), minlength=len(NEW)) / len(curves)
    np.testing.assert_array_equal(highest["score"], counted)


@every_rule
def test_the_seed_decides_and_a_file_does_as_well(fit, rule, tmp_path):
    back = load(save(fit, tmp_path / "fit.nc"))
    first, again = (gp.acquire(f, NEW, rule, mean=hill) for f in (fit, back))
    xr.testing.assert_identical(first, again)
    other = gp.acquire(fit, NEW, rule, mean=hill, settings=Settings(seed=9))
    if rule == "thompson":
        assert not np.isin(other["curve"], first["curve"]).any()
    else:
        np.testing.assert_array_equal(other["score"], first["score"])


@every_rule
def test_chunks_change_nothing(fit, rule, monkeypatch):
    whole = gp.acquire(fit, NEW, rule, mean=hill)
    monkeypatch.setattr("bayesinf.models.gp.acquisition.CHUNK", 7 * 9 * 16)
    chunked = gp.acquire(fit, NEW, rule, mean=hill)
    xr.testing.assert_allclose(chunked, whole, rtol=1e-12)


def test_where_the_curve_is_known_there_is_nothing_to_gain():
    x = np.arange(5.0)
    y = np.array([1.0, 0.2, 0.5, 0.9, 0.4])
    fit = gp.fit(x, y, noise=0.0, settings=SHORT)
    found = gp.acquire(fit, np.append(x, 1.4))
    score = found["score"].values
    assert not np.isnan(score).any() and np.all(score[:5] < score[5])
    assert int(found["chosen"]) == 5
    np.testing.assert_allclose(found["incumbent"], 0.2, atol=1e-4)


# ── Several inputs ───────────────────────────────────────────────────────────────────────────────


def test_a_search_in_two_inputs_finds_the_lowest_place():
    draw = rng(3)
    valley = lambda x: (x[:, 0] - 0.3) ** 2 + 0.5 * (x[:, 1] + 0.4) ** 2 + 0.1 * np.sin(9 * x[:, 0])
    x = draw.uniform(-1, 1, (8, 2))
    y = valley(x) + 0.01 * draw.normal(size=8)
    settings = Settings(draws=50, prior_draws=4)
    for _ in range(8):
        fit = gp.fit(x, y, settings=settings)
        candidates = draw.uniform(-1, 1, (150, 2))
        chosen = candidates[int(gp.acquire(fit, candidates)["chosen"])]
        x = np.vstack([x, chosen])
        y = np.append(y, valley(x[-1:]) + 0.01 * draw.normal(size=1))
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 201)] * 2), axis=-1).reshape(-1, 2)
    lowest = valley(grid).min()
    assert valley(x[8:]).min() - lowest < 0.03
    # Which as many places taken at random reach seldom.
    others = [valley(rng(4, k).uniform(-1, 1, (16, 2))).min() for k in range(200)]
    assert np.mean(np.array(others) < valley(x[8:]).min()) < 0.25


def test_places_keep_names_and_units_and_slopes_sharpen_the_search():
    draw = rng(5)
    x = xr.Dataset(
        {
            "q": ("point", draw.uniform(-1, 1, 6), {"units": "m"}),
            "p": ("point", draw.uniform(-1, 1, 6), {"units": "s"}),
        }
    )
    bowl = lambda x: (x["q"].values - 0.2) ** 2 + x["p"].values ** 2
    y = xr.DataArray(bowl(x), dims="point", name="cost", attrs={"units": "eV"})
    slopes = {"q": (x, 2 * (x["q"].values - 0.2), 0.01), "p": (x, 2 * x["p"].values, 0.01)}
    fit = gp.fit(x, y, 0.01, slopes=slopes, settings=SHORT)
    places = {"q": np.linspace(-1, 1, 11), "p": np.zeros(11)}
    found = gp.acquire(fit, places, "lower confidence bound")
    assert found["score"].dims == ("candidate",) and found["q"].dims == ("candidate",)
    assert found["q"].units == "m" and found["bound"].units == "eV"
    assert float(found["q"][int(found["chosen"])]) == pytest.approx(0.2)
    blunt = gp.acquire(gp.fit(x, y, 0.01, settings=SHORT), places, "lower confidence bound")
    assert float(found["sd"].mean()) < 0.5 * float(blunt["sd"].mean())


def test_mistakes_are_said_in_one_line(fit):
    for options, kind, words in (
        ({"rule": "magic", "mean": hill}, FitError, "expected improvement, lower confidence bound"),
        ({}, FitError, "pass it as mean="),
        ({"mean": hill, "candidates": [0.0, np.nan]}, DataError, "finite"),
    ):
        with pytest.raises(kind, match=words) as caught:
            gp.acquire(fit, **{"candidates": NEW} | options)
        assert "\n" not in str(caught.value)
