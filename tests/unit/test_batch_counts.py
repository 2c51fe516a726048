"""Batches of counts: the single fit's maximum, honest intervals, and wrong batches refused."""

from functools import partial

import numpy as np
import pytest
import xarray as xr
from scipy import special, stats

import bayesinf
from bayesinf import parallel
from bayesinf.batches import BELIEVED, FAILED, QUESTIONS, Tally, evidence
from bayesinf.data import curve_from_arrays
from bayesinf.data.spectra import Spectrum, spectra
from bayesinf.posterior import noted
from bayesinf.settings import DEFAULT
from bayesinf.systems import gaussian_peaks as system
from bayesinf.systems.gaussian_peaks.batch import Model, fit_portion, running
from bayesinf.systems.gaussian_peaks.batch.residuals import STATISTICS, Residuals, counts

X = np.linspace(0.0, 10.0, 60)
ONE = Model(peaks=1, likelihood="poisson")


def peak(theta, x=X):
    """A Gaussian on a constant, (spectrum, point), of θ (spectrum, 4)."""
    level, height, center, sigma = np.asarray(theta).T[:, :, None]
    return level + height * np.exp(-0.5 * ((x - center) / sigma) ** 2)


def truths(rng, count):
    """Parameters of one peak, (spectrum, 4)."""
    return rng.uniform([3, 30, 4, 0.6], [10, 90, 6, 1.2], (count, 4))


def batch(y, error=None):
    """Spectra of rows of y."""
    return [Spectrum(str(k), X, each, error) for k, each in enumerate(y)]


def refused(rows):
    """Names of the questions that a batch of these rows fails."""
    tally = Tally(STATISTICS)
    tally.add(rows["code"], rows["p_value"])
    found = evidence(tally)
    return [q.name for q in QUESTIONS if not q.answered(np.max(found[q.variable][1]))]


MODELS = [
    {"peaks": 1},
    {"peaks": 2, "background": "linear"},
    {"peaks": 2, "shape": "lorentzian", "tied": True},
]


@pytest.mark.parametrize(
    "options", MODELS, ids=lambda options: "-".join(map(str, options.values()))
)
def test_the_optimum_is_the_maximum_of_a_single_fits_likelihood(options):
    rng = np.random.default_rng(3)
    y = rng.poisson(peak(truths(rng, 1)) + 25 * np.exp(-0.5 * ((X - 8) / 0.5) ** 2)).astype(float)
    rows = fit_portion(batch(y), Model(likelihood="poisson", **options))
    stated = system.problem(curve_from_arrays(X, y[0]), likelihood="poisson", **options)
    at, covariance = rows["theta"][0], rows["covariance"][0]
    root, step = np.linalg.cholesky(covariance), 0.05 * np.eye(len(at))

    def density(z):
        return stated.log_likelihoods(at + z @ root.T)

    near, far = (density(k * step) - density(-k * step) for k in (1, 2))
    # In standard errors the slope is how far the maximum is, as the curvature there is one.
    assert np.abs((8 * near - far) / 0.6).max() < 1e-6
    best = stated.optimum  # climbs by differences of the density, to a few 1e-6 standard errors
    sd = best.standard_error
    assert np.abs((at - best.theta) / sd).max() < 5e-5
    assert np.abs((covariance - best.covariance) / np.outer(sd, sd)).max() < 1e-4
    held = rows["draws"][0]
    assert rows["log_likelihood"][0] == pytest.approx(stated.log_likelihoods(held), abs=1e-6)


@pytest.fixture(scope="module")
def right():
    """Two thousand spectra of known parameters."""
    rng = np.random.default_rng(5)
    theta = truths(rng, 2000)
    return theta, fit_portion(batch(rng.poisson(peak(theta)).astype(float)), ONE)


def test_intervals_of_95_per_cent_hold_95_per_cent(right):
    theta, rows = right
    inside = np.abs(rows["mean"] - theta) < 1.96 * rows["sd"]
    assert np.all(np.abs(inside.mean(axis=0) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 2000))
    rank = np.sum(rows["draws"] < theta[:, None, :], axis=1)
    count = np.stack([np.bincount(rank[:, a], minlength=17) for a in range(4)])
    assert np.all(np.abs(count / 2000 - 1 / 17) < 5 * np.sqrt(1 / 17 / 2000))


def test_p_values_are_even_and_few_right_fits_are_doubted(right):
    _, rows = right
    for k in (0, 1, 2, 4):
        assert abs(np.mean(rows["p_value"][:, k] < 0.05) - 0.05) < 0.03
    assert np.mean(rows["p_value"][:, 3] < 0.05) < 0.06  # of discrete data it is cautious
    assert np.mean(rows["code"] == BELIEVED) > 0.96 and np.isnan(rows["noise"]).all()
    assert refused(rows) == []


@pytest.mark.parametrize("kind", ["overdispersed", "missing peak", "rounded"])
def test_a_wrong_batch_is_refused(kind):
    rng = np.random.default_rng(6)
    mean = peak(truths(rng, 200))
    if kind == "overdispersed":  # by a fifth in the variance of a count of twenty
        mean = rng.gamma(100.0, mean / 100.0)
    if kind == "missing peak":
        mean = mean + 6 * np.exp(-0.5 * ((X - 8.5) / 0.4) ** 2)
    y = rng.poisson(mean).astype(float)
    if kind == "rounded":  # summed over two channels and halved: too little scatter
        y = np.round((y + rng.poisson(mean)) / 2)
    assert "residuals" in refused(fit_portion(batch(y), ONE))


@pytest.mark.parametrize("mean", [0.3, 2.0, 40.0])
def test_statistics_of_counts_are_of_mean_zero_and_variance_one(mean):
    # By the Poisson law itself: moments of the polynomials that the statistics sum.
    n = np.arange(stats.poisson(mean).ppf(1 - 1e-14) + 1)
    share, d = np.exp(special.xlogy(n, mean) - mean - special.gammaln(n + 1)), n - mean
    for k, polynomial in ((2, d**2 - n), (3, d**3 - 3 * d * n + 2 * n)):
        assert share @ polynomial == pytest.approx(0, abs=1e-9 * mean**k + 1e-10)
        expected = special.factorial(k) * mean**k
        assert share @ polynomial**2 == pytest.approx(expected, rel=1e-6)
    rng, size, sets = np.random.default_rng(7), 50, 2000
    means = mean * np.tile(np.linspace(0.5, 1.5, size), sets)
    y, none = rng.poisson(means).astype(float), np.zeros(size * sets)
    off = (y - means) / np.sqrt(means)
    at = np.arange(0, size * sets + 1, size)
    z, p = counts(Residuals(y, means, off, none + 1, none, none, at, np.zeros(sets), 0))
    assert np.abs(z[:, :3].mean(axis=0)).max() < 5 / np.sqrt(sets)
    assert np.abs(z[:, :3].var(axis=0) - 1).max() < 0.2
    assert np.all(np.abs(np.mean(p[:, [0, 1, 2, 4]] < 0.05, axis=0) - 0.05) < 0.03)


def test_what_is_no_count_is_a_row_with_a_reason():
    y = np.random.default_rng(8).poisson(peak(truths(np.random.default_rng(8), 3))).astype(float)
    y[1, 4] = -1.0
    y[2, 5] = 2.5
    rows = fit_portion(batch(y, np.zeros(len(X))), ONE)  # error bars are set aside
    assert rows["code"][0] == BELIEVED and list(rows["code"][1:]) == [FAILED] * 2
    assert list(rows["reason"][1:]) == ["1 of 60 points hold no counts"] * 2


def test_counts_are_noticed_and_other_whole_numbers_are_none(tmp_path):
    rng = np.random.default_rng(9)
    y = rng.poisson(peak(truths(rng, 6))).reshape(2, 3, -1)
    for name, values in (("counts", y), ("gained", 7 * y)):
        whole = xr.Dataset({"counts": (("y", "x", "energy"), values)}, {"energy": X})
        whole.to_netcdf(tmp_path / f"{name}.nc", engine="h5netcdf")
    model, said = running.stated(spectra(tmp_path / "counts.nc"), {"peaks": 1})
    assert model.counted and "scatter about their curves as counts" in said
    other, said = running.stated(spectra(tmp_path / "gained.nc"), {"peaks": 1})
    assert not other.counted and "times as counts do" in said
    assert running.stated(spectra(tmp_path / "gained.nc"), {"likelihood": "normal"})[1] == ""
    here = partial(parallel.map, workers=1)
    file = running.write(spectra(tmp_path / "counts.nc"), model, DEFAULT, tmp_path, here)
    fit = bayesinf.load(file)
    assert fit.attrs["likelihood"] == "poisson" and "Poisson" in fit.attrs["equation"]
    assert "noise" not in fit["posterior"] and "noise" not in noted(fit, "classical")
    assert noted(fit, "classical")["height"].shape == (2, 3, 1)
