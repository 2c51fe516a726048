"""Streams of random numbers: named, independent, and blind to the order in which they are asked."""

import json
import pickle

import numpy as np
import pytest
from scipy import stats

from bayesinf.errors import DataError
from bayesinf.settings import DEFAULT, QUICK, Settings


def numbers(settings, *names, size=4000):
    return settings.generator(*names).standard_normal(size)


def test_the_same_name_gives_the_same_numbers_in_any_order():
    names = [("prior",), ("chain", 0), ("chain", 1), ("posterior predictive",)]
    forward = {name: numbers(Settings(seed=7), *name) for name in names}
    settings = Settings(seed=7, draws=9, workers=3)
    backward = {name: numbers(settings, *name) for name in reversed(names)}
    for name in names:
        np.testing.assert_array_equal(forward[name], backward[name])


def test_the_numbers_stay_what_they_were():
    """Frozen: a release that changes them changes everybody's draws."""
    assert Settings(seed=1).generator("prior").integers(10**9) == 159411528


def test_streams_are_independent():
    streams = [("a",), ("b",), ("a", "b"), ("b", "a"), ("ab",), ("a", 0), ("a", 1), (0,), (1,), ()]
    draws = np.stack([numbers(Settings(seed=s), *n) for s in (0, 1, 2) for n in streams])
    correlation = np.corrcoef(draws)[np.triu_indices(len(draws), 1)]
    # 435 correlations of 4000 pairs: the largest should not pass 4.5 standard errors.
    assert np.max(np.abs(correlation)) < 4.5 / np.sqrt(4000)
    assert stats.kstest(correlation * np.sqrt(4000), "norm").pvalue > 1e-3


def test_settings_are_checked():
    for wrong in ({"seed": -1}, {"draws": 3}, {"draws": 10.5}, {"tune": -1}, {"chains": 0}):
        with pytest.raises(DataError, match=next(iter(wrong))):
            Settings(**wrong)
        with pytest.raises(DataError):
            DEFAULT.replace(**wrong)


def test_settings_are_values():
    assert Settings() == DEFAULT and hash(Settings()) == hash(DEFAULT)
    assert DEFAULT.replace(draws=7).draws == 7 and DEFAULT.draws != 7
    assert pickle.loads(pickle.dumps(QUICK)) == QUICK
    with pytest.raises(AttributeError):
        DEFAULT.seed = 2


def test_json_holds_what_decides_the_draws():
    assert Settings(workers=1).to_json() == Settings(workers=8).to_json()
    assert Settings(**json.loads(QUICK.to_json())) == QUICK
