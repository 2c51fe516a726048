"""Coefficients cut off at zero: against rejection from the closed form, the density, refusals."""

import numpy as np
import pytest
from density import holds
from scipy import stats

from bayesinf import diagnostics
from bayesinf.errors import DataError, FitError
from bayesinf.models import linear
from bayesinf.models import problem as driver
from bayesinf.models.linear import exact
from bayesinf.priors import HalfCauchy, InverseChi
from bayesinf.settings import Settings

LONG = Settings(draws=400, tune=200, chains=4, prior_draws=50)


def posed(count=8, order=1, **options):
    """Few blurred and noisy data of a signal near zero: the cut takes most of the posterior."""
    rng = np.random.default_rng(3)
    x = np.linspace(-2, 2, count)
    X = np.exp(-((x[:, np.newaxis] - x) ** 2)) / 2
    y = X @ np.exp(-4 * x**2) + 0.1 * rng.standard_normal(count)
    basis = linear.differences(count, order, x[1] - x[0])
    return linear.nonnegative(linear.regression(X, y, basis=basis, name="f", **options))


def known(problem, size=100_000):
    """Draws of the uncut posterior, in closed form, of which those are kept that the cut leaves."""
    draws, _ = exact.Posterior(problem).draw(np.random.default_rng(4), size)
    draws = problem.outer(draws)
    kept = (draws["f"] >= 0).all(axis=1)
    assert 800 < kept.sum() < 0.8 * size
    return {name: values[kept] for name, values in draws.items()}


def apart(one, other):
    """Largest distance in mean and in log sd, of many quantities, in standard errors of 400."""
    mean = (one.mean(0) - other.mean(0)) / other.std(0) * np.sqrt(400)
    spread = np.log(one.std(0) / other.std(0)) * np.sqrt(800)
    return np.abs(np.r_[np.ravel(mean), np.ravel(spread)]).max()


@pytest.mark.parametrize("order", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_it_draws_what_rejection_leaves(order):
    problem = posed(order=order)
    sample = problem.routes["hamiltonian"].run(problem, LONG)
    target = known(problem)
    for name, draws in sample.draws.items():
        elements = draws[..., np.newaxis] if draws.ndim == 2 else draws
        rhat, bulk, _ = diagnostics.mixing(np.moveaxis(elements, -1, 0))
        assert rhat.max() < 1.01 and bulk.min() > 400, name
        change = np.log if name in ("scale", "sigma") else np.asarray
        assert (
            apart(
                change(elements).reshape(-1, elements.shape[-1]),
                change(target[name]).reshape(-1, elements.shape[-1]),
            )
            < 4.5
        ), name
    assert sample.draws["f"].min() >= 0
    # A wrong target, the posterior that is not cut off, is told from it.
    uncut = problem.outer(exact.Posterior(problem).draw(np.random.default_rng(5), 4000)[0])
    assert apart(uncut["f"], target["f"]) > 9


def test_scales_may_be_known():
    problem = posed(prior=linear.Gaussian(scale=0.5), noise=0.1)
    sample = problem.routes["hamiltonian"].run(problem, LONG)
    assert set(sample.draws) == {"f"}
    assert apart(sample.draws["f"].reshape(-1, 8), known(problem, 400_000)["f"]) < 4.5


def test_stored_densities_are_those_of_the_model():
    problem = posed(5)
    weights = lambda one: one | {"f_weight": problem.basis.weights(one["f"])}
    holds(problem, values=weights, rel=1e-7, centred=True)


def test_the_prior_is_cut_off_and_its_scale_is_not():
    """The share of the cone is the same at every scale, so that of the scale is as stated."""
    problem = posed(prior=linear.Gaussian(scale=HalfCauchy(2.0)), noise=InverseChi(5.0, 0.1))
    draws = problem.sample_prior(np.random.default_rng(6), 3000)
    assert draws["f"].min() >= 0
    assert stats.kstest(draws["scale"], stats.halfcauchy(scale=2.0).cdf).pvalue > 1e-3
    z = np.random.default_rng(7).standard_normal((400_000, 8)) @ problem.basis.matrix.T
    z = z[(z >= 0).all(axis=1)]
    assert apart(draws["f"] / draws["scale"][:, np.newaxis], z) < 5


def test_a_fit_is_whole_and_follows_its_seed():
    problem, short = posed(), Settings(draws=60, tune=50, chains=2, prior_draws=20)
    fit, again = (driver.fit(problem, None, short) for _ in range(2))
    assert fit["posterior"].to_dataset().identical(again["posterior"].to_dataset())
    assert fit["posterior"]["f"].min() >= 0 and "cut off at f ≥ 0" in fit.attrs["priors"]


def test_what_cannot_be_cut_off_is_refused():
    X, y = np.eye(6), np.arange(6.0)
    with pytest.raises(DataError, match="no prior that can be cut off at zero"):
        linear.nonnegative(linear.regression(X, y))
    with pytest.raises(DataError, match="no prior that can be cut off at zero"):
        linear.nonnegative(linear.regression(X, y, basis=linear.differences(6), intercept=True))
    with pytest.raises(FitError, match="no evidence in closed form"):
        posed().log_evidence()
