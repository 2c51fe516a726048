"""Cholesky factors by either route, held to factors that are known."""

import numpy as np
import pytest

from bayesinf.inference import factors


def of_ones(size):
    """min(i, j) of numbers from 1, whose factor is a triangle of ones, to the last bit."""
    one = np.arange(1.0, size + 1)
    return np.minimum.outer(one, one)


@pytest.mark.parametrize("large", [3, 1000])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_both_routes_give_the_known_factor(large, shape, monkeypatch):
    monkeypatch.setattr(factors, "LARGE", large)
    matrix = np.broadcast_to(of_ones(30), (*shape, 30, 30)).copy()
    before = matrix.copy()
    np.testing.assert_array_equal(
        factors.cholesky(matrix), np.broadcast_to(np.tri(30), matrix.shape)
    )
    np.testing.assert_array_equal(matrix, before)


@pytest.mark.parametrize("large", [3, 1000])
def test_what_has_no_factor_is_an_error(large, monkeypatch):
    monkeypatch.setattr(factors, "LARGE", large)
    with pytest.raises(np.linalg.LinAlgError):
        factors.cholesky(-np.eye(5))
