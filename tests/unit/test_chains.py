"""Width and couplings scaled together: the move leaves every prior's posterior as it is."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from bayesinf.models.binary.chains import CommonScaling
from bayesinf.models.binary.couplings import CouplingPrior
from bayesinf.priors import LogNormal, Normal
from bayesinf.priors.weights import Gaussian, Horseshoe, Laplace

WIDTH = LogNormal(0.5, 0.8)
COUPLINGS, CHAINS = 3, 4000

kinds = pytest.mark.parametrize(
    "kind",
    [Gaussian(WIDTH), Laplace(WIDTH), Horseshoe(WIDTH, 1.0)],
    ids=["gaussian", "laplace", "horseshoe"],
)


def moved_widths(kind, turns=5):
    """Widths and couplings of the prior, measured with noise, and the widths after some moves.

    The moves have the posterior given the measurement as target, so that over all measurements the
    widths stay distributed as in the prior.
    """
    rngs = [np.random.default_rng(seed) for seed in np.random.SeedSequence(1).spawn(CHAINS)]
    rng = np.random.default_rng(2)
    prior = CouplingPrior(Normal(0.0, 1.0), kind)
    h, J, scale = prior.sample(rng, 1, COUPLINGS, CHAINS)
    measured = J + 0.3 * rng.standard_normal(J.shape)
    problem = SimpleNamespace(
        prior=prior,
        split=lambda theta: (theta[:, 0, :1], theta[:, 0, 1:]),
        scaled=lambda theta, f: np.concatenate(
            [theta[..., :1], f[:, None, None] * theta[..., 1:]], axis=-1
        ),
    )

    def evaluate(theta):
        return (-0.5 * np.sum(((theta[..., 1:] - measured[:, None]) / 0.3) ** 2, axis=-1),)

    theta = np.concatenate([h, J], axis=1)[:, None]
    carried, scaling, before = (theta, *evaluate(theta)), CommonScaling(problem, 0.4), scale
    for _ in range(turns):
        carried, scale = scaling.move(rngs, carried, scale, evaluate)
    assert np.mean(scale != before) > 0.5
    np.testing.assert_allclose(carried[1], evaluate(carried[0])[0])
    return scale


def p_value(scale):
    return stats.kstest(np.log(scale / 0.5) / 0.8, "norm").pvalue


@kinds
def test_moves_leave_the_distribution_of_the_width(kind):
    assert p_value(moved_widths(kind)) > 1e-3


@kinds
def test_a_move_without_its_volume_factor_does_not(kind, monkeypatch):
    right = CommonScaling._log_prior

    def without_one_coupling(self, theta, scale):
        return right(self, theta, scale) - np.log(scale)

    monkeypatch.setattr(CommonScaling, "_log_prior", without_one_coupling)
    assert p_value(moved_widths(kind)) < 1e-4


def test_the_size_is_tuned_to_the_acceptance():
    prior = CouplingPrior(Normal(0.0, 1.0), Gaussian(WIDTH))
    problem = SimpleNamespace(
        prior=prior,
        split=lambda theta: (theta[:, 0, :1], theta[:, 0, 1:]),
        scaled=lambda theta, f: theta * np.stack([np.ones_like(f), f, f], axis=-1)[:, None],
    )
    scaling, rngs = CommonScaling(problem, 30.0), [np.random.default_rng(k) for k in range(50)]
    start = np.ones((50, 1, 3)), np.zeros((50, 1))
    for turn in range(100):
        scaling.move(rngs, start, np.ones(50), lambda theta: (np.zeros((50, 1)),), turn)
    assert 0.1 < scaling.size < 10.0
