"""Damped Newton steps on blocks, and conjugate gradients: against closed forms."""

import numpy as np
import pytest

from bayesinf.inference import conjugate
from bayesinf.inference.optimum import newton


def rng(*key):
    return np.random.default_rng(key)


class LogGamma:
    """Σ_k a_k θ_k − b_k e^θ_k of each block: concave, its top at log(a / b)."""

    def __init__(self, a, b):
        self.a, self.b = np.asarray(a, float), np.asarray(b, float)

    def look(self, theta, blocks):
        a, b = self.a[blocks], self.b[blocks]
        with np.errstate(over="ignore"):
            grown = b * np.exp(theta)
        value = np.sum(a * theta - grown, axis=1)
        curvature = np.zeros((*theta.shape, theta.shape[1]))
        curvature[:, np.arange(theta.shape[1]), np.arange(theta.shape[1])] = grown
        return value, a - grown, curvature

    def steps(self, _, slope, curvature, some):
        return np.linalg.solve(curvature[some], slope[some, :, None])[..., 0]

    def climb(self, start, most=100, solve=None):
        return newton(
            self.look,
            solve or self.steps,
            lambda slope, step: np.abs(slope).max(axis=1) < 1e-10,
            np.asarray(start, float),
            size=1.0,
            most=most,
        )


def test_every_block_comes_to_its_own_top():
    target = LogGamma([[3.0, 2.0], [5.0, 1.0], [4.0, 4.0]], [[1.0, 2.0], [1.0, 1.0], [4.0, 4.0]])
    start = np.array([[-6.0, 4.0], [0.0, 0.0], [0.0, 0.0]])
    before = start.copy()
    top = target.climb(start)
    np.testing.assert_allclose(top.theta, np.log(target.a / target.b), atol=1e-10)
    np.testing.assert_allclose(
        top.log_density, np.sum(target.a * np.log(target.a / target.b) - target.a, axis=1)
    )
    np.testing.assert_allclose(np.diagonal(top.curvature, axis1=1, axis2=2), target.a, atol=1e-8)
    assert not top.unfinished.size and not top.singular and top.steps > 5
    np.testing.assert_array_equal(start, before)
    # Those of another function are elsewhere.
    other = LogGamma(target.a + 0.5, target.b).climb(start)
    assert np.abs(other.theta - top.theta).min() > 0.05


def test_undamped_steps_would_overflow():
    # From −6 Newton's step is 400 long; halving it is what keeps the climb.
    target, steps = LogGamma([[3.0]], [[1.0]]), []
    full = target.look(np.array([[-6.0]]), slice(None))
    assert full[1][0, 0] / full[2][0, 0, 0] > 400
    top = target.climb(
        [[-6.0]], solve=lambda _, slope, H, some: steps.append(1) or slope[some] / H[some, 0]
    )
    assert top.theta[0, 0] == pytest.approx(np.log(3.0)) and len(steps) < 40


@pytest.mark.parametrize("most", [0, 2])
def test_blocks_that_come_to_no_end_are_reported(most):
    # The second has no top: its log density rises for ever.
    target = LogGamma([[3.0], [0.0]], [[3.0], [1.0]])
    top = target.climb([[0.0], [0.0]], most=most)
    assert top.unfinished.tolist() == [1] and not top.singular and top.steps == most


def test_a_curvature_that_is_not_positive_is_reported():
    def refuse(*_):
        raise np.linalg.LinAlgError

    top = LogGamma([[3.0]], [[1.0]]).climb([[0.0]], solve=refuse)
    assert top.singular and top.unfinished.tolist() == [0]


def test_a_step_that_never_rises_ends_the_climb():
    target = LogGamma([[3.0], [2.0]], [[1.0], [2.0]])

    def downhill(_, slope, __, some):
        return -1e3 * slope[some]

    top = target.climb([[0.0], [0.0]], solve=downhill)
    assert top.unfinished.tolist() == [0]  # the second stands at its top already
    assert top.theta.tolist() == [[0.0], [0.0]]


def matrix(size):
    a = rng(1).standard_normal((size, size))
    return a @ a.T + 0.1 * np.eye(size)


@pytest.mark.parametrize("vectors", [None, 3])
def test_conjugate_gradients_solve(vectors):
    P = matrix(30)
    b = rng(2).standard_normal((30,) if vectors is None else (30, vectors))
    scale = 1 / np.diag(P)
    scale = scale if vectors is None else scale[:, None]
    products = []
    x = conjugate.solve(lambda v: products.append(1) or P @ v, lambda v: scale * v, b, 1e-8)
    np.testing.assert_allclose(x, np.linalg.solve(P, b), rtol=1e-4, atol=1e-6)
    assert np.abs(P @ x - 1.01 * b).max() > 1e-3
    # An exact preconditioner needs one product, a loose goal fewer than a tight one.
    exact, count = np.linalg.inv(P), len(products)
    products.clear()
    conjugate.solve(lambda v: products.append(1) or P @ v, lambda v: exact @ v, b, 1e-8)
    assert len(products) == 1
    products.clear()
    rough = conjugate.solve(lambda v: products.append(1) or P @ v, lambda v: scale * v, b, 0.1)
    assert len(products) < count
    assert np.abs(P @ rough - b).max() > 1e-6


def test_conjugate_gradients_stop_after_so_many_products_and_take_zero():
    P, products = matrix(30), []
    b = np.column_stack([np.zeros(30), rng(3).standard_normal(30)])
    x = conjugate.solve(lambda v: products.append(1) or P @ v, lambda v: v, b, 1e-12, most=4)
    assert len(products) == 4 and not x[:, 0].any() and x[:, 1].any()


def test_conjugate_gradients_refuse_a_matrix_that_is_not_positive():
    P = -matrix(5)
    with pytest.raises(np.linalg.LinAlgError, match="no curvature"):
        conjugate.solve(lambda v: P @ v, lambda v: v, np.ones(5), 1e-6)
