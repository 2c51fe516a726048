"""Derivatives, descents and the tangent plane, held to what is known in closed form."""

import numpy as np
import pytest

from bayesinf.inference.derivatives import central, extrapolated, steps
from bayesinf.inference.importance import resampled
from bayesinf.inference.laplace import Quadratic
from bayesinf.inference.scoring import descend
from bayesinf.inference.tangent import Tangent

X = np.linspace(0.1, 3, 25)
OPEN = np.full(2, -np.inf), np.full(2, np.inf)


def decay(theta):
    return theta[..., :1] * np.exp(-theta[..., 1:2] * X)


def slopes(theta):
    a, k = theta
    return np.stack([np.exp(-k * X), -a * X * np.exp(-k * X)], axis=-1)


def squares(y):
    def score(mean):
        residual = y - mean
        return np.sum(residual**2, axis=-1), residual, np.ones_like(mean)

    return score


@pytest.mark.parametrize("unit", [1.0, 1e-15, 1e9])
def test_derivatives_are_exact_in_any_unit(unit):
    theta, scale = np.array([2.0, 0.7]), np.array([unit, 1.0])

    def stated(point):
        return decay(point / scale)

    step = steps(stated, theta * scale)
    np.testing.assert_allclose(
        central(stated, theta * scale, step) * scale, slopes(theta), rtol=1e-4
    )
    found = extrapolated(stated, theta * scale, 16 * step) * scale
    np.testing.assert_allclose(found, slopes(theta), rtol=0, atol=1e-9)


def test_derivatives_are_exact_far_from_the_origin():
    far = 1.7e9

    def bump(theta):
        return np.exp(-0.5 * (X + far - theta) ** 2)

    theta = np.array([far + 1.0])
    found = extrapolated(bump, theta, 16 * steps(bump, theta))[:, 0]
    np.testing.assert_allclose(found, (X - 1) * np.exp(-0.5 * (X - 1) ** 2), atol=1e-5)


def test_a_parameter_that_is_zero_has_a_derivative():
    """Steps so small that only the point at x = 0 changes agree with each other, and are wrong."""

    def line(theta):
        return theta[..., :1] * np.arange(5.0) + theta[..., 1:2]

    theta = np.array([1.0, 0.0])
    found = central(line, theta, steps(line, theta))
    np.testing.assert_allclose(
        found, np.stack([np.arange(5.0), np.ones(5)], -1), rtol=1e-9, atol=1e-9
    )


def test_descents_from_afar_end_together_at_the_truth_and_do_not_pass_bounds():
    truth = np.array([2.0, 0.7])
    begin = np.array([[50.0, 3.0], [0.1, 0.01], [2.0, 0.7]])
    ends, deviance = descend(decay, squares(decay(truth)), begin, *OPEN)
    np.testing.assert_allclose(ends, np.tile(truth, (3, 1)), rtol=1e-7)
    assert np.all(deviance < 1e-12)
    upper = np.array([np.inf, 0.5])
    (bounded,), _ = descend(decay, squares(decay(truth)), begin[1:2], OPEN[0], upper)
    assert bounded[1] == 0.5
    held = np.array([[False, True]])
    (kept,), _ = descend(decay, squares(decay(truth)), begin[1:2], *OPEN, held=held)
    assert kept[1] == 0.01


def test_a_narrow_curved_valley_is_followed():
    """Rosenbrock's, a thousand times narrower."""

    def mean(theta):
        a, b = theta[..., :1], theta[..., 1:2]
        return np.concatenate([1e3 * (b - a**2), 1 - a], axis=-1)

    ends, _ = descend(mean, squares(np.zeros(2)), np.array([[-1.2, 1.0]]), *OPEN)
    np.testing.assert_allclose(ends, [[1.0, 1.0]], rtol=1e-6)


def test_points_of_the_plane_have_their_coordinates_and_their_density():
    theta = np.array([2.0, 0.7])
    plane = Tangent.at(decay, np.full(len(X), 1 / 0.3), theta)
    rng = np.random.default_rng(1)
    u = rng.standard_normal((200, 2))
    points, solved = plane.points(u, np.ones(200))
    assert solved.all()
    np.testing.assert_allclose(plane.coordinates(points), u, atol=1e-5)
    by_differences = np.log(
        np.abs(np.linalg.det(central(plane.coordinates, points, np.full(points.shape, 1e-5))))
    )
    np.testing.assert_allclose(plane.log_volume(points), by_differences, atol=1e-5)


def test_the_density_of_draws_in_the_plane_is_the_one_that_they_were_drawn_from():
    """A normal in log θ of a curve that is linear in it: θ is lognormal."""

    def mean(theta):
        return np.log(theta) * np.array([1.0, 1.0, 1.0])

    plane = Tangent.at(mean, np.ones(3), np.array([2.0]))
    approximation = Quadratic(np.array([2.0]), np.array([[2 / np.sqrt(3)]]), None, plane)
    points, log_q = approximation.draw(np.random.default_rng(2), 500)
    log = np.log(points[:, 0])
    exact = -1.5 * (log - np.log(2)) ** 2 - log
    # The slope at a draw is a central difference: (artanh h/θ) / (h/θ) of the true one, here.
    share = plane.step[0] / points[:, 0]
    assert np.ptp(log_q - exact - np.log(np.arctanh(share) / share)) < 1e-6
    np.testing.assert_allclose(approximation.log_density(points), log_q, atol=1e-5)


def test_resampling_keeps_even_weights_whole_and_corrects_a_wrong_normal():
    rng = np.random.default_rng(3)
    draws = rng.standard_normal((4000, 1))
    even = resampled(draws, np.zeros(4000), rng)
    np.testing.assert_array_equal(np.sort(even.draws, axis=0), np.sort(draws, axis=0))
    to_narrow = resampled(
        draws, -0.5 * (draws[:, 0] - 0.3) ** 2 / 0.64 + 0.5 * draws[:, 0] ** 2, rng
    )
    assert to_narrow.draws.shape == draws.shape
    assert to_narrow.draws.mean() == pytest.approx(0.3, abs=0.04)
    assert to_narrow.draws.std() == pytest.approx(0.8, abs=0.03)
    assert to_narrow.pareto_k < 0.7 and to_narrow.shift[0] == pytest.approx(-0.3 / 0.8, abs=0.06)
