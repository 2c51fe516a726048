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
    # What was measured travels with the chain, as the last columns of θ.
    problem = SimpleNamespace(
        prior=prior,
        split=lambda theta: (theta[:, 0, :1], theta[:, 0, 1 : 1 + COUPLINGS]),
        scaled=lambda theta, f: (
            theta
            * np.stack([np.ones_like(f), *[f] * COUPLINGS, *[np.ones_like(f)] * COUPLINGS], -1)[
                :, None
            ]
        ),
    )

    def evaluate(theta):
        J, measured = theta[..., 1 : 1 + COUPLINGS], theta[..., 1 + COUPLINGS :]
        return (-0.5 * np.sum(((J - measured) / 0.3) ** 2, axis=-1),)

    theta = np.concatenate([h, J, measured], axis=1)[:, None]
    carried, scaling, before = (theta, *evaluate(theta)), CommonScaling(problem, 2.0), scale
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
    right = CommonScaling._log_density

    def without_one_coupling(self, carried, scale):
        return right(self, carried, scale) - np.log(scale)

    monkeypatch.setattr(CommonScaling, "_log_density", without_one_coupling)
    assert p_value(moved_widths(kind)) < 1e-4


def test_a_width_that_data_leave_free_is_crossed_in_a_few_moves():
    """Flat likelihood, log f normal with sd 3: five slices of length 20 forget where they began."""
    flat = SimpleNamespace(log_density=lambda h, J, scale: -0.5 * (np.log(scale) / 3) ** 2)
    problem = SimpleNamespace(
        prior=flat,
        split=lambda theta: (theta[:, 0, :1], theta[:, 0, :0]),
        scaled=lambda theta, factor: theta,
    )
    scaling = CommonScaling(problem, 20.0)
    rngs = [np.random.default_rng(seed) for seed in np.random.SeedSequence(3).spawn(CHAINS)]
    carried, scale = (np.ones((CHAINS, 1, 1)), np.zeros((CHAINS, 1))), np.exp(np.full(CHAINS, 6.0))
    for _ in range(5):
        carried, scale = scaling.move(
            rngs, carried, scale, lambda theta: (np.zeros((len(theta), 1)),)
        )
    # The volume factor of the width alone, one power of it, moves the mean of log f to 9.
    assert abs(np.log(scale).mean() - 9.0) < 5 * 3 / np.sqrt(CHAINS)
    assert stats.kstest((np.log(scale) - 9.0) / 3, "norm").pvalue > 1e-3
