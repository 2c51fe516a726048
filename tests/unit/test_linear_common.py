"""One angle in common: cells against sums over the whole turn, and draws against both."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayesinf.models import linear
from bayesinf.models.linear import common, shared
from bayesinf.priors import LogNormal, Normal

ROWS, FEATURES, LOW = 25, 2, -1.0
FINE = 240  # angles of a brute sum


def family(noise, angles, sigma=None, features=None):
    """From an angle to the regression, of data that each group has at an angle of its own."""
    rng = np.random.default_rng(3)
    groups = len(angles)
    sine, cosine = rng.normal(size=(2, groups * ROWS, FEATURES)) if features is None else features
    group = np.repeat(np.arange(groups), ROWS)
    along = np.asarray(angles)[group, np.newaxis]
    weights, kicks = rng.normal(0.7, 0.3, FEATURES), np.tile(rng.normal(size=ROWS), groups)
    y = 0.2 + np.sum((sine * np.cos(along) - cosine * np.sin(along)) * weights, axis=1)
    reference = linear.regression(
        rng.normal(size=sine.shape),
        y + noise * kicks,
        linear.Gaussian(0.7),
        unshrunk={"omega": (np.ones(len(y)), Normal(0.0, 1.0))},
        scales=1.0,
        noise=LogNormal(noise, 1.0) if sigma is None else sigma,
        groups=xr.DataArray(group, dims="observation", name="group"),
    )
    return lambda alpha: replace(reference, X=sine * np.cos(alpha) - cosine * np.sin(alpha))


def posterior(at):
    return common.Posterior(at, LOW, np.pi, common.peaks(at, np.pi))


def by_hand(problem):
    """log p(y), and means and sds of the weights, from the normal density of all data at once."""
    value, means, sds = 0.0, [], []
    for design in problem.designs:
        scale = problem.prior.scale
        pull = scale**2 * design.A.T
        cov = design.A @ pull + design.Z @ design.Z.T + problem.noise**2 * np.eye(len(design.t))
        value += stats.multivariate_normal(cov=cov).logpdf(design.t)
        means.append(pull @ np.linalg.solve(cov, design.t))
        sds.append(np.sqrt(scale**2 - np.diag(pull @ np.linalg.solve(cov, pull.T))))
    return value, np.array(means), np.array(sds)


def summed(values, length):
    """Probabilities of even cells of a length together, and the log evidence of a turn."""
    weight = np.exp(values - values.max())
    total = values.max() + np.log(weight.mean() * length / np.pi)
    return weight / weight.sum(), total


def follow(draws, angles, weight):
    """Chance of angles so far from those of the cells, by Kolmogorov and Smirnov."""
    edges = np.append(angles - np.diff(angles)[0] / 2, angles[-1] + np.diff(angles)[0] / 2)
    below = np.insert(np.cumsum(weight), 0, 0.0)
    return stats.kstest(draws, lambda x: np.interp(x, edges, below)).pvalue


@pytest.mark.parametrize(
    ("noise", "low", "length"),
    [(0.05, 0.33, 0.13), (1.0, LOW, np.pi), (30.0, LOW, np.pi)],
    ids=["sharp", "wide", "open"],
)
def test_cells_and_draws_are_those_of_the_whole_turn(noise, low, length):
    at = family(noise, [0.4] * 3, sigma=noise)
    found = posterior(at)
    angles = low + length * (np.arange(FINE) + 0.5) / FINE
    each = [by_hand(at(angle)) for angle in angles]
    values, means, sds = (np.array(part) for part in zip(*each, strict=True))
    weight, total = summed(values, length)
    assert found.log_evidence == pytest.approx(total, abs=1e-6)

    mean = weight @ angles
    sd = np.sqrt(weight @ (angles - mean) ** 2)
    np.testing.assert_allclose(found.angle_moments(), (mean, sd), rtol=1e-3, atol=1e-3 * sd)
    centre = np.tensordot(weight, means, 1)
    spread = np.sqrt(np.tensordot(weight, sds**2 + (means - centre) ** 2, 1))
    np.testing.assert_allclose(found.moments()[0], centre, atol=2e-3 * spread.max())
    np.testing.assert_allclose(found.moments()[1], spread, rtol=2e-3)

    draws = found.draw(np.random.default_rng(1), 4000)
    assert follow(draws["angle"], angles, weight) > 1e-3
    z = (draws["beta"] - centre) / spread
    assert np.abs(z.mean(axis=0)).max() < 4 / np.sqrt(4000)
    assert np.abs(np.mean(z**2, axis=0) - 1).max() < 4 * np.sqrt(2 / 4000)


def test_neither_of_two_modes_is_missed():
    # The second group has the first one's columns a quarter of a circle on.
    sine, cosine = np.random.default_rng(7).normal(size=(2, ROWS, FEATURES))
    features = np.concatenate([sine, cosine]), np.concatenate([cosine, -sine])
    at = family(0.3, [0.1, 0.1 + np.pi / 2], features=features)
    angles = LOW + np.pi * (np.arange(FINE) + 0.5) / FINE
    values = np.array([shared.Posterior(at(angle)).log_evidence for angle in angles])
    weight, total = summed(values, np.pi)
    near = [weight[np.abs(angles - angle) < 0.6].sum() for angle in (0.1, 0.1 + np.pi / 2)]
    assert min(near) > 0.05 and sum(near) > 0.99
    found = posterior(at)
    assert found.log_evidence == pytest.approx(total, abs=1e-6)
    draws = found.draw(np.random.default_rng(2), 2000)
    assert follow(draws["angle"], angles, weight) > 1e-3
    assert draws["sigma"].shape == (2000, 2)


def test_coefficients_belong_to_the_angle_that_is_drawn():
    # Columns that hardly vary: at every angle the free coefficient makes up for the weights.
    rng = np.random.default_rng(5)
    features = 1 + 1e-3 * rng.normal(size=(2, ROWS, FEATURES))
    at = family(1e-2, [0.4], sigma=1e-2, features=features)
    draws = posterior(at).draw(np.random.default_rng(3), 300)
    assert np.ptp(draws["angle"]) > 1.0
    square = []
    for angle, beta, alpha in zip(draws["angle"], draws["beta"], draws["alpha"], strict=True):
        (design,) = at(angle).designs
        square.append(np.sum((design.t - design.A @ beta[0] - design.Z @ alpha[0]) ** 2) / 1e-4)
    assert abs(np.mean(square) - ROWS) < 8
