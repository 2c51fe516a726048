"""Truncated normals: closed forms in one and two dimensions, orthants, wrong targets, refusals."""

import numpy as np
import pytest
from scipy import stats

from bayesinf import diagnostics
from bayesinf.errors import FitError
from bayesinf.inference.truncated import Walls, sample


def close(draws, mean, sd):
    """Assert that draws, nearly independent, have a mean: within five standard errors."""
    assert abs(draws.mean() - mean) < 5 * sd / np.sqrt(len(draws) / 3)


@pytest.mark.parametrize(("mean", "sd"), [(1.0, 1.0), (-3.0, 1.0), (0.0, 0.2), (5.0, 0.5)])
def test_one_dimension_is_scipy_s(mean, sd):
    rng = np.random.default_rng(1)
    start = np.array([(0.1 - mean) / sd])
    draws = sample(np.array([mean]), np.array([[sd]]), start, rng, 4000)[:, 0]
    target = stats.truncnorm(-mean / sd, np.inf, mean, sd)
    # A wrong target, somewhat wider, must be told from it by the same statistic.
    wrong = stats.truncnorm(-mean / (1.3 * sd), np.inf, mean, 1.3 * sd)
    assert stats.kstest(draws[::2], target.cdf).pvalue > 1e-3
    assert stats.kstest(draws[::2], wrong.cdf).pvalue < 1e-3
    close(draws, target.mean(), target.std())


def test_an_interval_has_two_walls():
    rng, F = np.random.default_rng(2), np.array([[1.0], [-1.0]])
    found = sample(
        np.zeros(1),
        np.eye(1),
        np.array([0.5]),
        rng,
        4000,
        constraints=F,
        offset=np.array([-0.2, 1.0]),
    )[:, 0]
    target = stats.truncnorm(0.2, 1.0)
    assert found.min() >= 0.2 and found.max() <= 1.0
    assert stats.kstest(found, target.cdf).pvalue > 1e-3


def test_two_dimensions_by_quadrature():
    """Means and second moments of a correlated normal in a wedge, against a fine grid."""
    mean, factor = np.array([0.3, -0.8]), np.array([[1.0, 0.0], [0.7, 0.6]])
    F, g = np.array([[1.0, 1.0], [-1.0, 2.0]]), np.array([0.1, 0.5])
    rng = np.random.default_rng(3)
    start = np.linalg.solve(factor, np.array([1.0, 1.0]) - mean)
    draws = sample(mean, factor, start, rng, 20_000, constraints=F, offset=g)
    assert (draws @ F.T + g >= -1e-9).all()
    side = np.linspace(-7, 8, 1500)
    x = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1)
    weight = stats.multivariate_normal(mean, factor @ factor.T).pdf(x)
    weight *= (x @ F.T + g >= 0).all(axis=-1)
    weight /= weight.sum()
    for power in ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2)):
        of_grid = np.prod(x ** np.array(power), axis=-1)
        of_draws = np.prod(draws ** np.array(power), axis=-1)
        close(of_draws, np.sum(weight * of_grid), of_draws.std())
    unbounded = stats.multivariate_normal(mean, factor @ factor.T).rvs(20_000, random_state=1)
    with pytest.raises(AssertionError):  # the normal that is not cut off
        close(unbounded[:, 0], np.sum(weight * x[..., 0]), unbounded[:, 0].std())


def test_orthant_moments():
    """Given z > 0 in all of 30 dimensions each z_j is half normal, whatever else is correlated."""
    rng, size = np.random.default_rng(4), 30
    rotation = np.linalg.qr(rng.standard_normal((size, size)))[0]
    draws = sample(np.zeros(size), rotation, rotation.T @ np.ones(size), rng, 5000)
    for column in draws.T:
        close(column, np.sqrt(2 / np.pi), np.sqrt(1 - 2 / np.pi))
    assert stats.kstest(draws[::2].ravel(), stats.halfnorm.cdf).pvalue > 1e-3


def test_chains_agree_and_follow_their_seed():
    """A rough positive path of 60 steps: R-hat of four chains, from starts far apart."""
    C = np.tril(np.ones((60, 60)))
    far = [np.r_[level, np.zeros(59)] for level in (0.1, 1.0, 3.0, 6.0)]
    run = lambda k: sample(np.zeros(60), C, far[k], np.random.default_rng(k), 1500, tune=100)
    chains = np.stack([run(k) for k in range(4)])
    rhat = diagnostics.mixing(np.moveaxis(chains, -1, 0))[0]
    assert np.max(rhat) < 1.01
    np.testing.assert_array_equal(run(2), chains[2])


def test_what_cannot_be_is_refused():
    with pytest.raises(FitError, match="cannot start where a constraint is broken"):
        sample(np.zeros(2), np.eye(2), np.array([1.0, -1.0]), np.random.default_rng(1), 5)
    with pytest.raises(FitError, match="holds nowhere"):
        Walls(np.zeros((1, 2)), np.array([-1.0]))
