"""Slice sampling: the target is kept, a wrong one is told from it, each element has its own."""

import numpy as np
import pytest
from scipy import stats

from bayesinf.inference.slice import slice_sample


def log_of_gamma(v):
    """Log density of the logarithm of a gamma variate of shape 2."""
    return stats.gamma.logpdf(np.exp(v), 2.0) + v


@pytest.mark.parametrize("width", [0.7, 8.0])
def test_a_target_is_reached_and_not_another(width):
    rng, x = np.random.default_rng(0), np.zeros(4000)
    for _ in range(120):
        x = slice_sample(rng, log_of_gamma, x, width)
    assert stats.kstest(np.exp(x), stats.gamma(2.0).cdf).pvalue > 1e-4
    assert stats.kstest(np.exp(x), stats.gamma(2.3).cdf).pvalue < 1e-4


def test_an_edge_is_kept():
    """Exponential variates stay so, none beyond the edge where the density ends."""
    rng = np.random.default_rng(1)
    x = rng.exponential(size=20_000)
    for _ in range(10):
        x = slice_sample(rng, lambda x: np.where(x > 0, -x, -np.inf), x, 2.0)
    assert x.min() > 0 and stats.kstest(x, stats.expon.cdf).pvalue > 1e-4


def test_each_element_has_a_density_of_its_own():
    rng, sd = np.random.default_rng(2), np.array([[0.1], [1.0], [3.0]])
    start = sd * rng.standard_normal((3, 5000))
    x, before = start, start.copy()
    for _ in range(20):
        x = slice_sample(rng, lambda x: -0.5 * (x / sd) ** 2, x, 4.0)
    assert np.array_equal(start, before)  # what came in is left as it was
    for row, scale in zip(x, sd.ravel(), strict=True):
        assert stats.kstest(row, stats.norm(scale=scale).cdf).pvalue > 1e-4
    assert np.abs(np.corrcoef(start.ravel(), x.ravel())[0, 1]) < 0.1  # and x has moved


def test_one_number_moves_too():
    one = slice_sample(np.random.default_rng(3), lambda x: -0.5 * x**2, np.float64(0.3), 2.0)
    assert np.shape(one) == () and one != 0.3
