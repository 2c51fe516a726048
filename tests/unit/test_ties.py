"""Values that observations share: saturation and repeats are seen, rounding and counts pass."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesinf import check
from bayesinf.data import curve_from_arrays
from bayesinf.models import gp, linear
from bayesinf.models.problem import fit
from bayesinf.models.ties import Ties
from bayesinf.settings import Settings
from bayesinf.systems import gaussian_peaks

SHORT = Settings(draws=250, chains=4, prior_draws=20)
X = np.linspace(0, 10, 100)
CURVE = 2 + 10 * np.exp(-0.5 * ((X - 4) / 0.8) ** 2)


def failed(found):
    return [one.name for one in check(found).checks if one.required and not one.passed]


@pytest.fixture
def spectrum():
    return CURVE + 0.2 * np.random.default_rng(3).standard_normal(X.size)


def of_peak(y, **model):
    return gaussian_peaks.fit(curve_from_arrays(X, y), settings=SHORT, **model)


def test_memory_of_the_noise_does_not_explain_a_saturated_peak(spectrum):
    found = of_peak(np.minimum(spectrum, 9.5), likelihood="correlated")
    assert "saturation" in failed(found) and "predictive p" not in failed(found)


def test_a_background_cut_off_at_zero_is_seen(spectrum):
    found = of_peak(np.maximum(spectrum - 2, 0.0), likelihood="normal")
    assert "saturation" in failed(found)
    assert "saturation" not in failed(of_peak(spectrum - 2, likelihood="normal"))


def test_a_process_and_a_line_see_it_too(spectrum):
    line = 3 * X[:, np.newaxis], 30 + 2 * X + np.random.default_rng(4).standard_normal(X.size)
    assert "saturation" in failed(
        linear.fit(line[0], np.minimum(line[1], 45), intercept=True, settings=SHORT)
    )
    process = gp.process(curve_from_arrays(X[::2], np.minimum(spectrum, 9.0)[::2]))
    assert "saturation" in failed(fit(process, "mcmc", SHORT.replace(draws=50)))


def test_rounded_values_share_their_ends_by_right():
    rng = np.random.default_rng(5)
    y = np.round(CURVE * 0 + 2 + 0.5 * rng.standard_normal(X.size), 0)
    assert Ties.of(y).ends
    found = linear.fit(X[:, np.newaxis], y, intercept=True, settings=SHORT)
    assert found["sample_stats"]["saturation_p"] > 0.001
    assert "saturation" not in failed(found)


def test_counts_share_their_zeros_by_right():
    rng = np.random.default_rng(6)
    ties = Ties.of(rng.poisson(0.2, 100).astype(float))
    ties.add(rng.poisson(0.2, (500, 100)).astype(float), np.full((500, 100), 0.2))
    assert ties.p["ends"] > 0.05 and ties.p["twins"] > 0.05


def test_exact_data_are_not_asked():
    y = np.array([1.0, 1.0, 1.0, 2.0, 3.0])
    ties = Ties.of(y)
    ties.add(np.tile(y, (7, 1)), np.tile(y, (7, 1)))
    assert ties.p == {} == ties.asked["whole"]


def test_rows_that_stand_there_twice_are_seen():
    rng = np.random.default_rng(7)
    a, b = rng.standard_normal((2, 60))
    rows, y = np.stack([a, b], axis=1), 1 + 2 * a - b + 0.5 * rng.standard_normal(60)
    twice = [np.concatenate([part, part[:30]]) for part in (rows, y)]
    assert failed(linear.fit(*twice, intercept=True, settings=SHORT)) == ["repeated rows"]
    assert failed(linear.fit(rows, y, intercept=True, settings=SHORT)) == []


def test_rounded_measurements_of_one_thing_repeat_themselves_by_right():
    rng = np.random.default_rng(8)
    rows = np.repeat(np.arange(5.0), 20)[:, np.newaxis]
    y = np.round(rows[:, 0] + 0.3 * rng.standard_normal(100), 1)
    found = linear.fit(rows, y, intercept=True, settings=SHORT)
    assert found["sample_stats"]["repeated_rows_p"] > 0.01
    assert failed(found) == []


@settings(derandomize=True, max_examples=100)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0]), st.booleans())
def test_data_like_their_replicas_are_seldom_refused(seed, step, logarithm):
    rng = np.random.default_rng(seed)
    mean = np.repeat(rng.standard_normal(12), 5)
    drawn = mean + rng.standard_normal((301, 60))
    y = np.round(drawn[0] / step) * step if step else drawn[0]
    y, drawn, mean = (np.exp(one) if logarithm else one for one in (y, drawn, mean))
    ties = Ties.of(y)
    if ties is not None:
        ties.add(drawn[1:], np.tile(mean, (300, 1)))
        assert all(p > 0 for p in ties.p.values())
