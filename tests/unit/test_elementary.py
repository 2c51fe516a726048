"""Exponentials and logarithms in loops of vectors, against the library's."""

import numpy as np
import pytest

from bayesinf.inference.elementary import LOWEST, exponentials, logarithms


def test_exponentials_are_those_of_the_library():
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.uniform(-800, 700, 4000), rng.uniform(-2, 2, 1000), [0.0, -0.0]])
    exact = np.exp(np.maximum(x, LOWEST))
    exponentials(x, np.empty_like(x))
    assert x == pytest.approx(exact, rel=5e-16)


def test_logarithms_are_those_of_the_library():
    x = 10 ** np.random.default_rng(1).uniform(-300, 300, 5000)
    x[:2000] = np.linspace(0.5, 2.1, 2000)
    found, exact = np.empty(5000), np.log(x)
    logarithms(x, found)
    assert found == pytest.approx(exact, rel=6e-16, abs=3e-17)
    logarithms(x, x)  # in place
    assert np.array_equal(x, found)
