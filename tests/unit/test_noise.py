"""The measurement: its density, its replicas, and statistics that know the truth."""

from dataclasses import dataclass

import lmfit
import numpy as np
import pytest
import xarray as xr
from scipy import integrate, stats

from bayesinf import report
from bayesinf.models import curve, linear, noise
from bayesinf.settings import Settings

STATISTICS = noise.RESIDUALS | {
    "residual memory": noise.residual_memory,
    "chi-square": noise.chi_square,
}
SHORT = Settings(draws=1000, chains=2, tune=100)
EVERY = pytest.mark.parametrize("name", STATISTICS)


def slow(name, y, mean, sd):
    """Each statistic for one draw, observation by observation."""
    z = [(y[i] - mean[i]) / sd[i] for i in range(len(y))]
    rms = (sum(value**2 for value in z) / len(z)) ** 0.5
    if name == "residual memory":  # residuals far below the noise are measured by the noise
        rms = max(rms, 0.5)
    if name in ("largest residual", "residual skewness", "residual memory"):
        z = [value / rms for value in z]
    match name:
        case "largest residual":
            return max(abs(value) for value in z)
        case "residual skewness":
            return sum(value**3 for value in z) / len(z)
        case "residual tails":
            return rms * len(z) / sum(abs(value) for value in z)
        case "residual memory":
            return sum(z[i + 1] * z[i] for i in range(len(z) - 1)) / (len(z) - 1)
        case "residual spread":
            return np.corrcoef([abs(value) for value in z], mean)[0, 1]
        case "chi-square":
            return sum(value**2 for value in z)


@dataclass
class Known(noise.Measured):
    """A mean and a noise that each draw tells: nothing is fitted."""

    y: np.ndarray
    discrepancies: dict
    observed = xr.Dataset({"voltage": ((), 0.0)})

    def mean(self, draws):
        return draws["mean"]

    def noise_sd(self, draws):
        return draws["sd"]

    def sample_prior(self, rng, size):
        return {}

    def log_factors(self, draws):
        return {}


def p_values(y, mean, sd, statistics, seed):
    """Name of each statistic to its predictive p-value."""
    draws = {"mean": mean, "sd": np.broadcast_to(sd, np.shape(mean))}
    found = Known(y, statistics).outlook(draws, Settings(seed=seed))
    replica, observed = found.discrepancy, found.discrepancy_observed
    p = ((replica > observed) + 0.5 * (replica == observed)).mean((0, 1))
    return dict(zip(statistics, p, strict=True))


@pytest.mark.parametrize(("mean", "sd"), [(0.0, 1.0), (-3.0, 0.02), (1e5, 40.0)])
def test_the_density_is_normalised(mean, sd):
    density = lambda y: np.exp(noise.log_density(y, mean, sd))
    area, _ = integrate.quad(density, mean - 12 * sd, mean + 12 * sd, points=[mean])
    assert area == pytest.approx(1, abs=1e-10)
    y = mean + sd * np.linspace(-4, 4, 9)
    np.testing.assert_allclose(noise.log_density(y, mean, sd), stats.norm.logpdf(y, mean, sd))


@EVERY
def test_a_statistic_is_its_slow_twin(name):
    rng = np.random.default_rng(1)
    y, mean = rng.normal(size=7), rng.normal(size=(2, 3, 7))
    for sd in (rng.uniform(0.5, 2, (2, 3, 1)), rng.uniform(0.5, 2, 7)):
        for data in (y, rng.normal(size=(2, 3, 7))):
            fast = STATISTICS[name](data, mean, sd)
            assert fast.shape == (2, 3)
            full, sds = np.broadcast_to(data, mean.shape), np.broadcast_to(sd, mean.shape)
            for c, d in np.ndindex(2, 3):
                expected = slow(name, full[c, d], mean[c, d], sds[c, d])
                assert fast[c, d] == pytest.approx(expected, rel=1e-12)


@EVERY
def test_p_values_are_uniform_under_the_truth(name):
    """Mean and noise known exactly: nothing is fitted, so each p-value is uniform."""
    rng = np.random.default_rng(2)
    mean, sd = np.full((2, 200, 20), 3.0 + np.arange(20)), np.full((2, 200, 1), 0.5)
    statistics = {name: STATISTICS[name]}
    data = mean[0, 0] + 0.5 * rng.normal(size=(300, 20))
    found = [p_values(y, mean, sd, statistics, seed)[name] for seed, y in enumerate(data)]
    assert stats.kstest(found, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("largest residual", lambda z: np.where(np.arange(z.size) == 7, 6.0, z)),
        ("residual skewness", lambda z: np.abs(z) * 1.3),
        ("residual tails", lambda z: np.where(np.abs(z) > 1, 2.0 * z, 0.5 * z)),
        ("residual memory", lambda z: np.sort(z)),
        ("residual spread", lambda z: np.linspace(0.1, 2, z.size) * z),
        ("chi-square", lambda z: 2.0 * z),
    ],
)
def test_each_statistic_sees_what_it_is_for(name, make):
    rng = np.random.default_rng(3)
    mean = np.full((2, 500, 60), np.arange(60.0))
    y = mean[0, 0] + make(rng.normal(size=60))
    found = p_values(y, mean, np.ones((2, 500, 1)), STATISTICS, 3)
    assert found[name] < 0.01


@pytest.mark.parametrize("mean", [0.0, 7.0, np.full(9, 1e9) + 1e-7 * np.arange(9)])
def test_of_a_mean_that_is_the_same_everywhere_the_spread_says_nothing(mean):
    z = np.random.default_rng(1).normal(size=(4, 9))
    assert noise.residual_spread(z, mean, 1.0).tolist() == [0.0] * 4


@pytest.mark.parametrize("known", [False, True])
def test_the_outlook_holds_replicas_and_likelihood(known):
    rng = np.random.default_rng(4)
    y, mean = rng.normal(size=5), rng.normal(size=(3, 4000, 5))
    sd = rng.uniform(0.5, 2, 5) if known else rng.uniform(0.5, 2, (3, 4000, 1))
    problem = Known(y, noise.RESIDUALS)
    draws = {"mean": mean, "sd": np.broadcast_to(sd, mean.shape)}
    found, again = (problem.outlook(draws, Settings(seed=5)) for _ in range(2))
    replicas, likelihood = found.replicas["voltage"], found.log_likelihood["voltage"]
    np.testing.assert_array_equal(replicas, again.replicas["voltage"])
    assert stats.kstest(((replicas - mean) / sd).ravel(), "norm").pvalue > 1e-3
    np.testing.assert_allclose(likelihood, stats.norm.logpdf(y, mean, sd))
    np.testing.assert_allclose(likelihood, problem.log_likelihood(draws)["voltage"])
    assert next(iter(noise.RESIDUALS)) == "largest residual"
    for data, of in ((replicas, found.discrepancy), (y, found.discrepancy_observed)):
        np.testing.assert_allclose(of[..., 0], noise.largest_residual(data, mean, sd))


def test_goodness_of_a_linear_fit_is_that_of_least_squares():
    """Under a prior that is as good as flat ν = n − k and χ² is that of the best line."""
    rng = np.random.default_rng(4)
    x, error = np.linspace(-1, 1, 40), rng.uniform(0.5, 2.0, 40)
    y = 3.0 + 2.0 * x + error * rng.standard_normal(40)
    design = np.column_stack([np.ones(40), x])
    best, *_ = np.linalg.lstsq(design / error[:, None], y / error, rcond=None)
    square = np.sum(((y - design @ best) / error) ** 2)
    prior = linear.Gaussian(1e3)
    fit = linear.fit(design, y, prior=prior, error=error, noise=1.0, settings=SHORT)
    found = fit["sample_stats"]
    assert int(found["observations"]) == 40
    assert float(found["chi_square"]) == pytest.approx(square, abs=0.05)
    assert float(found["degrees_of_freedom"]) == pytest.approx(38, abs=0.2)
    said = report.goodness(fit)
    assert said.startswith("χ²_red = χ²/ν = ") and "n = 40, ν = 38" in said
    assert float(said.split(" = ")[2].split()[0]) == pytest.approx(square / 38, rel=0.01)
    # A prior that holds both weights leaves nearly all degrees of freedom.
    held = linear.fit(
        design, y, prior=linear.Gaussian(1e-6), error=error, noise=1.0, settings=SHORT
    )
    assert float(held["sample_stats"]["degrees_of_freedom"]) == pytest.approx(40, abs=1e-3)
    # Without error bars there is no χ², and the residuals say how large the noise is.
    bare = report.goodness(linear.fit(design, y, prior=prior, settings=SHORT))
    size = np.sqrt(np.sum((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2) / 38)
    assert bare.startswith("Residuals s = √(RSS/ν) = ") and "no error bars" in bare
    assert float(bare.split(" = ")[2].split()[0]) == pytest.approx(size, rel=0.01)


def test_goodness_of_a_curve_is_what_lmfit_prints():
    rng = np.random.default_rng(5)
    x = np.linspace(0, 4, 30)
    y = 100 * np.exp(-x / 1.5) + 2.0 * rng.standard_normal(30)
    model = lmfit.models.ExponentialModel()
    start = model.make_params(amplitude=80, decay=1)
    known = model.fit(y, start, x=x, weights=0.5, scale_covar=False)
    fit = curve.fit(model, start, x, y, 2.0, method="laplace", settings=SHORT)
    found = fit["sample_stats"]
    assert float(found["chi_square"]) == pytest.approx(known.chisqr, rel=1e-8)
    assert int(found["degrees_of_freedom"]) == known.nfree == 28
    assert f"{known.redchi:.3g}" in report.goodness(fit) and "n = 30, ν = 28" in report.goodness(
        fit
    )


def test_batches_of_draws_are_as_good_as_one(monkeypatch):
    rng = np.random.default_rng(8)
    y, mean = rng.normal(size=6), rng.normal(size=(2, 50, 6))
    draws = {"mean": mean, "sd": rng.uniform(0.5, 2, (2, 50, 6))}
    problem = Known(y, noise.RESIDUALS)
    whole = problem.outlook(draws, Settings(seed=3))
    monkeypatch.setattr(noise, "TOGETHER", 42)
    parts = problem.outlook(draws, Settings(seed=3))
    for name in ("discrepancy", "discrepancy_observed"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    for group in ("replicas", "log_likelihood"):
        np.testing.assert_array_equal(
            getattr(parts, group)["voltage"], getattr(whole, group)["voltage"]
        )
    assert parts.whole == pytest.approx(whole.whole, rel=1e-12)
    monkeypatch.setattr(Known, "most_replicas", 60)
    few = problem.outlook(draws, Settings(seed=3))
    assert len(few.kept) == 5
    np.testing.assert_array_equal(few.replicas["voltage"], whole.replicas["voltage"][:, few.kept])


def test_likelihoods_of_blocks_are_sums(monkeypatch):
    rng = np.random.default_rng(8)
    y, mean = rng.normal(size=6), rng.normal(size=(2, 10, 6))
    draws = {"mean": mean, "sd": np.ones((2, 10, 6))}
    problem, blocks = Known(y, noise.RESIDUALS), np.array([1, 0, 1, 2, 2, 2])
    every = problem.outlook(draws, Settings()).log_likelihood["voltage"]
    monkeypatch.setattr(Known, "together", blocks)
    found = problem.outlook(draws, Settings()).log_likelihood["voltage"]
    expected = np.stack([every[..., blocks == k].sum(axis=-1) for k in range(3)], axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_what_series_share_is_their_largest_principal_part():
    rng = np.random.default_rng(11)
    pattern, together = np.array([1.0, -0.5, 0.8, 0.0]), rng.standard_normal(60)
    z = np.outer(pattern, together) + 0.2 * rng.standard_normal((4, 60))
    mean, sd = rng.standard_normal((3, 240)), np.exp(rng.standard_normal(240))
    y = mean + sd * z.ravel()
    values = np.linalg.svd(z, compute_uv=False) ** 2
    found = noise.Shared(4)(y, mean, sd)
    assert found == pytest.approx(np.full(3, values[0] / values.sum()), rel=1e-6)
    alone = noise.Shared(4)(rng.standard_normal(240), 0.0, 1.0)
    assert alone < 0.45 < 0.9 < found[0]
