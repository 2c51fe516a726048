"""The Markov form of Matérn processes: the numbers of the dense form, whose cost grows with n."""

from dataclasses import fields

import numpy as np
import pytest

from bayesinf.models import gp
from bayesinf.models import problem as driver
from bayesinf.models.gp.definition import Process
from bayesinf.models.gp.markov import LEAST, Series
from bayesinf.models.gp.routes import optima
from bayesinf.settings import Settings

FORMS = {
    "exponential": {"kernel": "exponential"},
    "matern32": {"kernel": "matern32", "mean": "constant", "noise": "grows"},
    "matern52": {"kernel": "matern52", "mean": "trend(x) + constant"},
    "sum": {"kernel": "matern52 + exponential + matern32"},
    "log": {"kernel": "matern52", "coordinate": "log", "envelope": "power"},
    "inverse": {"kernel": "matern32", "coordinate": "inverse"},
}


def both(form, count=60, error=True):
    """The same process in both forms, on points of which some coincide."""
    rng = np.random.default_rng(7)
    x = np.sort(np.round(rng.uniform(1, 4, count), 2))
    x[5] = x[6]
    y = np.sin(3 * x) + 0.1 * rng.standard_normal(count)
    bars = rng.uniform(0.05, 0.2, count) if error else None
    dense = gp.process(gp.data(x, y, bars), **FORMS[form])
    return dense, Series(**{f.name: getattr(dense, f.name) for f in fields(Process)})


@pytest.mark.parametrize("form", FORMS)
def test_it_is_the_dense_form_to_rounding(form):
    dense, series = both(form)
    rng = np.random.default_rng(1)
    u = 0.7 * rng.standard_normal((5, len(dense.names)))
    theta = dense.theta(u)
    np.testing.assert_allclose(series.log_density(u), dense.log_density(u), rtol=0, atol=1e-8)
    np.testing.assert_allclose(
        series.gradient(u[0])[1], dense.gradient(u[0])[1], rtol=1e-5, atol=1e-3
    )
    one, other = (p.left_out(theta, np.random.default_rng(3)) for p in (series, dense))
    for name in ("residual", "expected", "log_density", "mean", "sd"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-6, atol=1e-7)
    if form != "inverse":  # whose data come in the other order
        for name in ("replica", "replica_expected"):
            np.testing.assert_allclose(
                getattr(one, name), getattr(other, name), rtol=1e-5, atol=1e-6
            )
        np.testing.assert_allclose(one.log_conditional, other.log_conditional, atol=1e-7)
        draws = {n: theta[n] for n in dense.inferred}
        made = [p.replicate(draws, np.random.default_rng(2))["y"] for p in (series, dense)]
        np.testing.assert_allclose(*made, rtol=1e-6, atol=1e-7)
    at = np.array([1.5, 0.5, 2.0, 5.0, *dense.x[:2]])
    for ours, theirs in zip(
        series.pointwise_curve(theta, at), dense.pointwise_curve(theta, at), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


def test_drawn_curves_have_the_covariance_of_the_dense_form():
    dense, series = both("sum")
    u = np.zeros((1, len(dense.names)))
    at = np.array([0.5, 1.5, 1.5, 1.6, 5.0])
    mean, root, _ = dense.conditional(dense.theta(u), at)
    theta = {name: np.repeat(value, 4_000) for name, value in dense.theta(u).items()}
    centre, sd, drawn = series.curves(theta, at, False, np.random.default_rng(1))
    expected = root[0] @ root[0].T
    np.testing.assert_allclose(centre[0], mean[0], atol=1e-7)
    np.testing.assert_allclose(sd[0] ** 2, np.diag(expected), atol=1e-7)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_allclose(np.cov(drawn.T) / scale, expected / scale, atol=0.09)
    np.testing.assert_allclose(drawn[:, 1], drawn[:, 2], atol=1e-6)
    np.testing.assert_allclose(drawn.mean(0), mean[0], atol=5 * sd[0].max() / np.sqrt(4_000))


def test_many_data_take_it_by_themselves_and_are_fitted_whole():
    rng = np.random.default_rng(2)
    x = np.sort(rng.uniform(0, 30, LEAST))
    y = np.sin(x) + 0.2 * rng.standard_normal(LEAST)
    data = gp.data(x, y)
    assert type(gp.process(data, "matern52 + matern32")) is Series
    for kernel in ("se", "matern52 * matern32", "matern52 + periodic"):
        assert type(gp.process(data, kernel)) is Process
    assert type(gp.process(gp.data(x[1:], y[1:]), "matern52")) is Process
    stated = gp.process(data, "matern52")
    found = driver.fit(stated, settings=Settings(draws=100, chains=2, prior_draws=5))
    noise = found["posterior"]["noise"]
    assert abs(float(noise.mean()) - 0.2) < 4 * float(noise.std()) < 0.1
    told = gp.predict(found, np.array([10.0, 20.0]))
    np.testing.assert_allclose(told["mean"].mean(("chain", "draw")), np.sin([10.0, 20.0]), atol=0.3)


def test_a_curve_of_many_turns_is_not_taken_for_noise():
    """A prior around a fifth of the range would find the optimum in which all is noise."""
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(0, 1000, 6000))
    y = np.sin(2 * x) + 0.1 * rng.standard_normal(6000)
    stated = gp.process(gp.data(x, y), "matern52", "constant")
    best = stated.theta(optima(stated, np.random.default_rng(1)).points[0])
    assert 0.09 < best["noise"] < 0.11 and 1 < best["length_scale"] < 5


def test_of_very_many_points_the_file_holds_stretches_and_some_replicas(monkeypatch):
    from bayesinf.models.gp import outlook

    rng = np.random.default_rng(6)
    x = np.linspace(0, 10, 600)
    y = np.sin(x) + 0.2 * rng.standard_normal(600)
    settings = Settings(draws=60, chains=2, prior_draws=20, workers=1)
    options = {"kernel": "matern32", "mean": "constant", "settings": settings}
    whole = gp.fit(x, y, **options)
    for name, value in (("MANY", 500), ("STRETCHES", 12), ("TOGETHER", 6000)):
        monkeypatch.setattr(outlook, name, value)
    monkeypatch.setattr(outlook, "REPLICAS", 600 * 40)
    found = gp.fit(x, y, **options)
    assert found["log_likelihood"]["y"].dims == ("chain", "draw", "stretch")
    summed = found["log_likelihood"]["y"].sum("stretch")
    np.testing.assert_allclose(summed, whole["log_likelihood"]["y"].sum("point"))
    total = (one["sample_stats"]["log_likelihood"] for one in (found, whole))
    np.testing.assert_allclose(*total)
    assert found["posterior_predictive"]["y"].shape == (2, 20, 600)
    observed = found["sample_stats"]["discrepancy_observed"]
    np.testing.assert_allclose(observed, whole["sample_stats"]["discrepancy_observed"], rtol=1e-6)
    drawn, before = (one["sample_stats"]["discrepancy"].values for one in (found, whole))
    np.testing.assert_allclose(drawn.mean(), before.mean(), atol=0.2)
    skew = drawn[..., 1].ravel()  # of ten draws at a time, none of which has another's noise
    assert abs(np.corrcoef(skew[10:], skew[:-10])[0, 1]) < 0.5
