"""Block normals, their move to the mean of the posterior, importance weights: closed forms."""

import numpy as np
import pytest
from scipy import special, stats

from bayesinf.inference.importance import Weights, log_mean, log_mixture, shares
from bayesinf.inference.normal import (
    AtWidth,
    BlockNormal,
    ByChain,
    expectations,
    variational_mean,
)


def rng(*key):
    return np.random.default_rng(key)


def normal(blocks, dim, key=0):
    stream = rng(key, blocks, dim)
    a = stream.standard_normal((blocks, dim, dim))
    precision = a @ np.swapaxes(a, 1, 2) + np.eye(dim)
    mean = stream.standard_normal((blocks, dim))
    return BlockNormal(mean, np.linalg.cholesky(precision)), precision


@pytest.mark.parametrize(("blocks", "dim"), [(1, 4), (1, 300), (3, 4), (4, 1)])
def test_coordinates_are_those_in_which_it_is_standard(blocks, dim):
    near, precision = normal(blocks, dim)
    z = rng(1).standard_normal((2, 5, blocks, dim))
    theta = near.place(z)
    np.testing.assert_allclose(near.coordinates(theta), z, atol=1e-9)
    covariance = np.linalg.inv(precision)
    each = [
        [
            stats.multivariate_normal(m, c).logpdf(t)
            for m, c, t in zip(near.mean, covariance, row, strict=True)
        ]
        for row in theta[0]
    ]
    constant = 0.5 * blocks * dim * np.log(2 * np.pi)
    found = near.log_density(theta)[0]
    np.testing.assert_allclose(found - constant, np.sum(each, axis=1), rtol=1e-9)
    np.testing.assert_allclose(near.exponent(theta - near.mean), 0.5 * np.sum(z**2, axis=-1))
    assert near.log_volume == pytest.approx(-0.5 * np.linalg.slogdet(precision)[1].sum())
    # Of a gradient in θ, that in z by the chain rule, and the covariance times it.
    slope = rng(2).standard_normal((2, blocks, dim))
    whitened = np.stack([np.linalg.solve(r, slope[:, b].T).T for b, r in enumerate(near.root)], 1)
    np.testing.assert_allclose(near.whiten(slope), whitened, atol=1e-9)
    solved = np.einsum("bij,nbj->nbi", covariance, slope)
    np.testing.assert_allclose(near.solve(slope), solved, atol=1e-9)
    first = dim // 2
    part = covariance[:, first:, first:]
    exact = np.trace(part, axis1=1, axis2=2).sum(), np.sum(part**2)
    np.testing.assert_allclose(near.spread(first), exact)


def test_draws_have_its_covariance_and_not_another():
    near, precision = normal(2, 3)
    away = near.draws(rng(3), 40_000)
    for block in range(2):
        covariance = np.linalg.inv(precision[block])
        found = np.cov(away[:, block].T)
        error = np.sqrt((covariance**2 + np.outer(*[np.diag(covariance)] * 2)) / len(away))
        assert np.abs((found - covariance) / error).max() < 5
        assert np.abs((found - 1.1 * covariance) / error).max() > 5


def test_chains_have_coordinates_of_their_own():
    one, other = normal(2, 3)[0], normal(2, 3, key=1)[0]
    mixed = ByChain([(one, [0, 2]), (other, [1])])
    z = rng(4).standard_normal((3, 2, 3))
    theta = mixed.place(z)
    for chain, near in enumerate((one, other, one)):
        np.testing.assert_allclose(theta[chain], near.place(z[chain]))
        assert mixed.log_volume(3)[chain] == near.log_volume
        np.testing.assert_allclose(mixed.whiten(z)[chain], near.whiten(z[chain]))
    np.testing.assert_allclose(mixed.coordinates(theta), z)


A, B = np.array([[3.0, 8.0]]), np.array([[1.0, 0.5]])


def log_gamma(theta):
    """Gradient and minus the Hessian of a θ − b e^θ."""
    grown = B * np.exp(theta)
    return A - grown, grown[..., None] * np.eye(2)


def moved(rounds, pairs=4000):
    mode = np.log(A / B)
    near = BlockNormal(mode, np.linalg.cholesky(log_gamma(mode)[1]))
    start = AtWidth(1.0, near, np.zeros((1, 2)), np.zeros(1))

    def expect(at):
        away = at.normal.draws(rng(5), pairs)
        slope, precision = expectations(log_gamma, at.theta, away)
        return AtWidth(
            1.0, BlockNormal(at.theta, np.linalg.cholesky(precision)), slope, np.zeros(1)
        )

    return variational_mean(start, expect, rounds)


def test_the_variational_mean_is_that_of_the_log_gamma():
    # E (a − b e^θ) = 0 and P = b E e^θ = a: mean log(a/b) − 1/(2a), variance 1/a.
    at = moved(8)
    exact = np.log(A / B) - 1 / (2 * A)
    np.testing.assert_allclose(at.theta, exact, atol=0.01)
    np.testing.assert_allclose(at.normal.root[0] @ at.normal.root[0].T, np.diag(A[0]), atol=0.2)
    # It is nearer to the mean of the density, ψ(a) − log b, than the mode is.
    mean = special.digamma(A) - np.log(B)
    assert (np.abs(at.theta - mean) < 0.3 * np.abs(np.log(A / B) - mean)).all()
    assert np.abs(moved(0).theta - exact).max() > 0.1


def test_odd_moments_of_pairs_vanish():
    (cube,) = expectations(lambda x: [(x - 2.0) ** 3], np.array(2.0), rng(6).standard_normal(5))
    assert abs(cube) < 1e-15


def test_laplace_is_exact_for_a_normal():
    near, precision = normal(2, 3)
    at = AtWidth(1.0, near, np.zeros((2, 3)), np.array([-1.0, 2.5]))
    volume = np.prod([(2 * np.pi) ** 1.5 / np.sqrt(np.linalg.det(p)) for p in precision])
    exact = 1.5 + np.log(volume) - 3 * np.log(2 * np.pi)
    assert at.log_evidence == pytest.approx(exact)


# ── Importance weights ───────────────────────────────────────────────────────────────────────────


def test_weighed_draws_have_the_evidence_and_the_moments_of_the_target():
    # N(0.4, 0.8²) times e³, by draws of N(0, 1).
    x = rng(7).standard_normal((3, 20_000))
    log_ratio = 3 + stats.norm(0.4, 0.8).logpdf(x) - stats.norm.logpdf(x)
    np.testing.assert_allclose(log_mean(log_ratio), 3.0, atol=0.03)
    weights = Weights.of(log_ratio)
    assert (weights.pareto_k < 0.5).all()
    np.testing.assert_allclose(weights.mean(x), 0.4, atol=0.03)
    np.testing.assert_allclose(weights.mean(x**2), 0.4**2 + 0.8**2, atol=0.05)


def test_a_proposal_too_narrow_is_told_by_its_tail():
    x = 0.5 * rng(8).standard_normal(4000)
    assert Weights.of(stats.norm.logpdf(x) - stats.norm(0, 0.5).logpdf(x)).pareto_k > 0.5


def test_a_mixture_adds_its_components():
    log_share = shares(np.array([1.0, 1.0 + np.log(3.0)]))
    np.testing.assert_allclose(np.exp(log_share), [0.25, 0.75])
    x = np.linspace(-2, 2, 6).reshape(2, 3)
    parts = [stats.norm.logpdf(x), stats.norm(1, 2).logpdf(x)]
    exact = 0.25 * stats.norm.pdf(x) + 0.75 * stats.norm(1, 2).pdf(x)
    np.testing.assert_allclose(log_mixture(log_share, parts), np.log(exact))
