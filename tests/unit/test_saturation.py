"""Values that pile up at an end of the scale are seen; rounding and counts share them by right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesinf import check
from bayesinf.data import curve_from_arrays
from bayesinf.models import gp, linear
from bayesinf.models.problem import fit
from bayesinf.models.saturation import Ends, step_of
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
    assert Ends.of(y).shared
    found = linear.fit(X[:, np.newaxis], y, intercept=True, settings=SHORT)
    assert found["sample_stats"]["saturation_p"] > 0.001
    assert "saturation" not in failed(found)


def test_counts_share_their_zeros_by_right():
    rng = np.random.default_rng(6)
    ends = Ends.of(rng.poisson(0.2, 100).astype(float))
    ends.add(rng.poisson(0.2, (500, 100)).astype(float))
    assert ends.p > 0.05


def test_exact_data_are_not_asked():
    ends = Ends.of(np.array([1.0, 1.0, 1.0, 2.0, 3.0]))
    ends.add(np.array([[1.0, 1.0, 1.0, 2.0, 3.0]] * 7))
    assert ends.p == 1.0


@given(st.floats(1e-6, 1e6), st.lists(st.integers(-1000, 1000), min_size=3, max_size=30))
def test_the_step_of_rounded_values(step, whole):
    found = step_of(step * np.array(whole, dtype=float))
    gaps = np.diff(np.unique(whole))
    assert (
        found == pytest.approx(step * gaps.min() if np.all(gaps % gaps.min() == 0) else 0.0)
        if (gaps.size)
        else found == 0.0
    )
