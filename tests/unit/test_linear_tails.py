"""Coefficients that are not like draws from their normal prior, where the prior matters."""

import numpy as np
import pytest
from scipy import stats

import bayesinf
from bayesinf.models import linear
from bayesinf.models.linear import tails
from bayesinf.models.linear.spectrum import Spectrum
from bayesinf.settings import Settings

SHORT = Settings(draws=100, chains=4, prior_draws=5)
ROWS, COLUMNS, NOISE = 40, 80, 0.1


def _data(rng, coefficients, rows=ROWS):
    X = rng.standard_normal((rows, len(coefficients)))
    return X, X @ coefficients + NOISE * rng.standard_normal(rows)


def _sparse():
    return np.where(np.arange(COLUMNS) < 3, 1.0, 0.0)


def test_chances_are_uniform_where_scales_are_the_true_ones():
    found, log_rho = [], np.full(100, 2 * np.log(0.3 / NOISE))
    for k in range(100):
        rng = np.random.default_rng([7, k])
        X, y = _data(rng, 0.3 * rng.standard_normal(COLUMNS))
        spectrum = Spectrum.of(linear.regression(X, y, scales=1.0).design)
        found.append(tails.chance(spectrum, rng, log_rho))
    assert 0.4 < tails.decided(spectrum, log_rho) < 0.5  # rows are half as many as columns
    assert stats.kstest(found, "uniform").pvalue > 0.01


@pytest.mark.parametrize("read", [True, False])
def test_few_large_coefficients_under_a_normal_prior_are_seen(read):
    X, y = _data(np.random.default_rng(3), _sparse())
    verdict = bayesinf.check(linear.fit(X, y, settings=SHORT, weights_read=read))
    found = {check.name: check for check in verdict.checks}[tails.HEAVIER.name]
    assert not found.passed and found.required == read and "horseshoe" in verdict.words


def test_nothing_is_asked_of_the_prior_where_the_data_decide():
    X, y = _data(np.random.default_rng(3), _sparse(), rows=10 * COLUMNS)
    fit = linear.fit(X, y, settings=SHORT)
    assert tails.HEAVIER.variable not in fit["sample_stats"]
    assert bayesinf.check(fit).believed
