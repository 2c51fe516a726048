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


@pytest.mark.parametrize("large", [3, 1000])
def test_every_call_gives_the_known_answer_by_both_routes(large, monkeypatch):
    monkeypatch.setattr(factors, "LARGE", large)
    matrix = of_ones(30)
    one = np.arange(1.0, 31)
    known = np.sort(1 / (4 * np.sin((2 * one - 1) * np.pi / 122) ** 2))
    np.testing.assert_allclose(factors.eigvalsh(matrix), known, rtol=1e-9)
    np.testing.assert_allclose(factors.svd(matrix)[1], known[::-1], rtol=1e-9)
    np.testing.assert_array_equal(factors.solve(matrix, matrix @ one), one)
    for tall in (matrix[:, :7], matrix[:7]):
        U, s, Vt = factors.svd(tall)
        np.testing.assert_allclose(U * s @ Vt, tall, atol=1e-12)
        Q, R = factors.qr(tall)
        assert Q.shape == (len(tall), 7) and R.shape == (7, tall.shape[1])
        np.testing.assert_allclose(Q @ R, tall, atol=1e-12)
        np.testing.assert_array_equal(R, np.triu(R))
        np.testing.assert_allclose(Q.T @ Q, np.eye(7), atol=1e-14)
