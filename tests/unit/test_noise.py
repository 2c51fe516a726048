"""The measurement: its density, its replicas, and statistics that know the truth."""

import numpy as np
import pytest
from scipy import integrate, stats

from bayesinf.models import noise

STATISTICS = noise.RESIDUALS | {
    "residual memory": noise.residual_memory,
    "chi-square": noise.chi_square,
}
EVERY = pytest.mark.parametrize("name", STATISTICS)


def slow(name, y, mean, sd):
    """Each statistic for one draw, observation by observation."""
    z = [(y[i] - mean[i]) / sd[i] for i in range(len(y))]
    if name in ("largest residual", "residual skewness"):
        rms = (sum(value**2 for value in z) / len(z)) ** 0.5
        z = [value / rms for value in z]
    match name:
        case "largest residual":
            return max(abs(value) for value in z)
        case "residual skewness":
            return sum(value**3 for value in z) / len(z)
        case "residual memory":
            return sum(z[i + 1] * z[i] for i in range(len(z) - 1)) / (len(z) - 1)
        case "chi-square":
            return sum(value**2 for value in z)


def p_values(discrepancies):
    stats_ = discrepancies["sample_stats"]
    replica, observed = stats_["discrepancy"], stats_["discrepancy_observed"]
    return ((replica > observed) + 0.5 * (replica == observed)).mean(("chain", "draw"))


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
    found = []
    for _ in range(300):
        y = 3.0 + 0.5 * rng.normal(size=20)
        groups = noise.predictive_groups(
            y, np.full((2, 200, 20), 3.0), np.full((2, 200), 0.5), rng, dim="point",
            discrepancies={name: STATISTICS[name]},
        )  # fmt: skip
        found.append(p_values(groups).item())
    assert stats.kstest(found, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("largest residual", lambda z: np.where(np.arange(z.size) == 7, 6.0, z)),
        ("residual skewness", lambda z: np.abs(z) * 1.3),
        ("residual memory", lambda z: np.sort(z)),
        ("chi-square", lambda z: 2.0 * z),
    ],
)
def test_each_statistic_sees_what_it_is_for(name, make):
    rng = np.random.default_rng(3)
    y = make(rng.normal(size=60))
    groups = noise.predictive_groups(
        y, np.zeros((2, 500, 60)), np.ones((2, 500)), rng, dim="point", discrepancies=STATISTICS
    )
    assert p_values(groups).sel(statistic=name) < 0.01


@pytest.mark.parametrize("known", [False, True])
def test_groups_hold_replicas_and_likelihood(known):
    rng = np.random.default_rng(4)
    y, mean = rng.normal(size=5), rng.normal(size=(3, 4000, 5))
    sd = rng.uniform(0.5, 2, 5) if known else rng.uniform(0.5, 2, (3, 4000))
    groups = noise.predictive_groups(
        y, mean, sd, np.random.default_rng(5), dim="time", coords={"time": [1, 2, 3, 5, 8]},
        units="mV", name="voltage",
    )  # fmt: skip
    replicas = groups["posterior_predictive"]["voltage"]
    assert replicas.dims == ("chain", "draw", "time") and replicas.attrs["units"] == "mV"
    assert list(replicas["time"].values) == [1, 2, 3, 5, 8]
    sds = np.broadcast_to(sd if known else sd[..., None], mean.shape)
    assert stats.kstest(((replicas.values - mean) / sds).ravel(), "norm").pvalue > 1e-3
    likelihood = groups["log_likelihood"]["voltage"]
    np.testing.assert_allclose(likelihood, stats.norm.logpdf(y, mean, sds))
    assert likelihood.attrs["units"] == "1"
    chosen = groups["sample_stats"]
    assert list(chosen["statistic"].values) == list(noise.RESIDUALS)
    np.testing.assert_allclose(
        chosen["discrepancy"].sel(statistic="largest residual"),
        noise.largest_residual(replicas.values, mean, sds),
    )
    np.testing.assert_allclose(
        chosen["discrepancy_observed"].sel(statistic="largest residual"),
        noise.largest_residual(y, mean, sds),
    )


def test_the_same_generator_gives_the_same_replicas():
    make = lambda: noise.predictive_groups(
        np.zeros(3), np.zeros((2, 4, 3)), np.ones((2, 4)), np.random.default_rng(6), dim="p"
    )
    assert make()["posterior_predictive"].identical(make()["posterior_predictive"])
