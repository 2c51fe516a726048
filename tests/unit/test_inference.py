"""The two routes that know nothing but a log density, on densities whose answer is known."""

import emcee
import numpy as np
import pytest

from bayesinf.errors import FitError
from bayesinf.inference import ensemble, laplace
from bayesinf.priors import InverseChi

SIZE = 5
MEAN = np.array([3.0, -1.0, 0.0, 40.0, 0.1])


def rng(*key):
    return np.random.default_rng(key)


def covariance():
    root = np.diag([1.0, 10.0, 0.1, 3.0, 1.0]) @ rng(1).normal(size=(SIZE, SIZE))
    return root @ root.T


def normal(theta, mean=MEAN):
    z = np.linalg.solve(np.linalg.cholesky(covariance()), (theta - mean).T)
    return -0.5 * np.sum(z**2, axis=0)


def whitened(draws):
    flat = draws.reshape(-1, SIZE) - MEAN
    return np.linalg.solve(np.linalg.cholesky(covariance()), flat.T).T


def distance(draws):
    """Worst error of mean (in sd) or sd, against the known normal."""
    z = whitened(draws)
    return max(np.abs(z.mean(axis=0)).max(), np.abs(z.std(axis=0) - 1).max())


def walk(log_density, **options):
    start = MEAN + 0.1 * rng(2).normal(size=(64, SIZE)) @ np.linalg.cholesky(covariance()).T
    return ensemble.sample(log_density, start, rng(3), 200, **options)


def test_an_ensemble_finds_a_known_normal_and_its_own_length():
    found = walk(normal, length=200)
    assert distance(found.draws) < 0.04
    assert found.draws.shape == (64, 200, SIZE)
    assert found.steps / found.autocorrelation_time.max() >= 200
    assert 0.1 < found.acceptance_rate.min() < found.acceptance_rate.max() < 0.9


def test_an_ensemble_on_a_wrong_target_is_found_out():
    shifted = MEAN + 0.1 * np.sqrt(np.diag(covariance()))
    found = walk(lambda theta: normal(theta, shifted), length=200)
    assert distance(found.draws) > 0.08


@pytest.mark.slow
def test_emcees_snooker_is_no_move_for_us():
    found = walk(normal, moves=emcee.moves.DESnookerMove(), maximum=1500)
    assert distance(found.draws) > 0.1


def test_a_run_that_is_cut_short_says_so():
    found = walk(normal, maximum=300)
    assert found.steps / found.autocorrelation_time.max() < 50


def test_an_ensemble_is_seeded_and_leaves_numpys_own_state_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = walk(normal, maximum=300), walk(normal, maximum=300)
    np.testing.assert_array_equal(first.draws, second.draws)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def around(mean=MEAN, cov=None, scale=None):
    """The quadratic approximation with that mean and covariance."""
    return laplace.Quadratic(mean, np.linalg.cholesky(covariance() if cov is None else cov), scale)


def test_laplace_of_a_normal_is_the_normal():
    found = laplace.sample(normal, around(), rng(4), (4, 1000))
    assert distance(found.draws) < 0.05
    assert np.ptp(found.log_weight) < 1e-8
    np.testing.assert_allclose(found.gradient, 0, atol=1e-6)
    np.testing.assert_allclose(found.hessian_eigenvalue, 1, rtol=1e-6)


def test_laplace_with_a_scale_is_students_t():
    scale, root = InverseChi(7, 2.0), np.linalg.cholesky(covariance())

    def log_density(theta):
        z = np.linalg.solve(root, (theta[:, :-1] - MEAN).T) / theta[:, -1]
        log_prior = scale.log_density(theta[:, -1])
        return -0.5 * np.sum(z**2, axis=0) - SIZE * np.log(theta[:, -1]) + log_prior

    found = laplace.sample(log_density, around(scale=scale), rng(5), (4, 20_000))
    assert np.ptp(found.log_weight) < 1e-8
    spread = whitened(found.draws[..., :-1]).std(axis=0)
    np.testing.assert_allclose(spread, 2 * np.sqrt(7 / 5), rtol=0.05)


def test_laplace_shows_a_wrong_optimum_a_wrong_width_and_a_saddle():
    elsewhere = around(MEAN + np.sqrt(np.diag(covariance())))
    shifted = laplace.sample(normal, elsewhere, rng(6), (2, 500))
    assert np.abs(shifted.gradient).max() > 0.5
    narrow = laplace.sample(normal, around(cov=0.25 * covariance()), rng(7), (2, 500))
    np.testing.assert_allclose(narrow.hessian_eigenvalue, 0.25, rtol=1e-6)
    assert np.ptp(narrow.log_weight) > 1
    saddle = laplace.sample(
        lambda t: t[:, 0] ** 2 - t[:, 1] ** 2, around(np.zeros(2), np.eye(2)), rng(8), (2, 50)
    )
    assert saddle.hessian_eigenvalue.min() == pytest.approx(-2)


def test_laplace_stays_in_the_support():
    inside = lambda theta: np.where(theta[:, 0] > MEAN[0], normal(theta), -np.inf)
    found = laplace.sample(inside, around(), rng(9), (2, 500))
    assert found.draws[..., 0].min() > MEAN[0]
    assert not np.isfinite(found.gradient).all()  # the edge is no optimum
    nowhere = lambda theta: np.full(len(theta), -np.inf)
    with pytest.raises(FitError, match="support"):
        laplace.sample(nowhere, around(), rng(9), (2, 50))
