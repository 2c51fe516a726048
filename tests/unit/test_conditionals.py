"""A normal approximation held against the exact posterior of each parameter given the others."""

from dataclasses import replace

import numpy as np
import pytest

from bayesinf.checks import check
from bayesinf.errors import FitError
from bayesinf.inference import factors
from bayesinf.inference.normal import BlockNormal
from bayesinf.models import binary
from bayesinf.models.binary import pairwise
from bayesinf.models.binary.couplings import CouplingPrior
from bayesinf.models.binary.pairwise import conditionals, enumeration, large, routes
from bayesinf.models.binary.pairwise.conditionals import beside_normal
from bayesinf.models.binary.pairwise.likelihood import Pairwise
from bayesinf.models.binary.pairwise.widths import PairwiseWidths
from bayesinf.priors import Normal
from bayesinf.settings import Settings

PRIOR = CouplingPrior(Normal(0.0, 2.0), Normal(0.0, 1.5))


def posed(sites, samples, encoding, key=0):
    rng = np.random.default_rng((sites, samples, key))
    theta = rng.normal(0, 0.4, sites * (sites + 1) // 2)
    theta[:sites] -= 0.3  # pairs that are on together are rare, and their posteriors lopsided
    _, p = enumeration.probabilities(theta, "±1")
    states = binary.decoded(rng.choice(len(p), samples, p=p), sites, "±1")
    data = binary.moments(states, "±1").encoded(encoding)
    problem = Pairwise(data, PRIOR)
    return problem, PairwiseWidths(problem).best


@pytest.mark.parametrize("encoding", binary.ENCODINGS)
def test_of_one_parameter_mean_and_sd_are_those_of_the_posterior(encoding):
    problem, near = posed(1, 9, encoding)
    moved, log_ratio = beside_normal(problem, near, np.random.default_rng(1))
    grid = np.linspace(-12, 12, 40_001)
    height = problem.log_density(grid[:, None])
    weight = np.exp(height - height.max())
    weight /= weight.sum()
    mean = weight @ grid
    sd = np.sqrt(weight @ (grid - mean) ** 2)
    assert moved[0] == pytest.approx(mean - near.theta[0, 0], rel=2e-3)
    assert log_ratio[0] == pytest.approx(np.log(sd * near.normal.root[0, 0, 0]), abs=1e-3)
    assert abs(moved[0]) > 0.02 * sd  # there is something to see


@pytest.mark.parametrize("encoding", binary.ENCODINGS)
def test_how_far_a_normal_is_off_is_what_weights_say(encoding, monkeypatch):
    """Of few parameters importance weights tell the true mean."""
    monkeypatch.setattr(conditionals, "PAIRS", 1000)
    problem, near = posed(4, 400, encoding)
    moved, log_ratio = beside_normal(problem, near, np.random.default_rng(2))
    draws = near.normal.place(np.random.default_rng(3).standard_normal((60_000, 1, problem.size)))
    log_w = problem.log_density(draws[:, 0]) - near.normal.log_density(draws)
    weight = np.exp(log_w - log_w.max())
    weight /= weight.sum()
    theta = draws[:, 0]
    sd = theta.std(axis=0)
    true = (weight @ theta - near.theta[0]) / sd
    assert np.abs(true).max() > 0.1  # the mode is not the mean
    assert np.abs(moved / sd - true).max() < 0.03
    after = np.sqrt(weight @ (theta - weight @ theta) ** 2) / sd
    assert np.abs(log_ratio).max() < 0.05 and np.abs(np.log(after)).max() < 0.05


def test_a_normal_that_is_wrong_is_found_out():
    problem, near = posed(4, 4000, "0/1")
    rng = np.random.default_rng(4)
    root, sd = near.normal.root, np.sqrt(np.diag(np.linalg.inv(near.optimum.precision)))

    def off(normal):
        moved, log_ratio = beside_normal(problem, replace(near, normal=normal), rng)
        return moved / sd, log_ratio

    right, ratio = off(near.normal)
    assert np.abs(right).max() < 0.1 and np.abs(ratio).max() < 0.05
    away = np.zeros(problem.size)
    away[5] = 0.5 * sd[5]
    shifted, _ = off(BlockNormal(near.theta + away, root))
    assert shifted[5] == pytest.approx(-0.5, abs=0.1)
    assert np.abs(np.delete(shifted, 5)).max() < 0.1
    _, narrow = off(BlockNormal(near.theta, 2 * root))
    np.testing.assert_allclose(narrow, np.log(2), atol=0.1)
    _, wide = off(BlockNormal(near.theta, root / 300))
    assert np.all(wide < -3)  # and no warning


def test_parameters_are_taken_as_independent_where_they_are_not():
    """Conditionals are wider than the posterior's, though all means and sds are right."""
    problem, near = posed(4, 4000, "0/1")
    marginal = np.diag(1 / np.sqrt(np.diag(np.linalg.inv(near.optimum.precision))) ** 2)
    normal = BlockNormal(near.theta, factors.cholesky(marginal)[None])
    _, log_ratio = beside_normal(problem, replace(near, normal=normal), np.random.default_rng(5))
    assert np.expm1(np.abs(log_ratio)).max() > conditionals.OFF


def test_the_route_beyond_enumeration_asks_for_conditionals(monkeypatch):
    problem, _ = posed(6, 3000, "±1")
    monkeypatch.setattr(enumeration, "LARGEST", 5)
    settings = Settings(draws=100, chains=4, prior_draws=4, workers=1)
    how = {"encoding": "±1", "prior": "inferred", "method": "laplace", "settings": settings}
    fit = pairwise.fit(problem.data, **how)
    assert fit.attrs["inference"] == "normal"
    found = fit["sample_stats"]
    assert 0 <= found["conditional_shift"].max() < 0.25 and "log_weight" not in found
    verdict = check(fit)
    asked = {one.name: one for one in verdict.checks if one.required}
    assert asked["means"].passed and asked["spreads"].passed
    assert "Pareto k̂" not in asked and verdict.believed


def test_the_width_of_the_couplings_is_that_of_its_evidence(monkeypatch):
    """Beyond enumeration it is drawn around the lower bound's highest point, not where EM ends."""
    problem, _ = posed(12, 250, "±1")
    settings = Settings(draws=1000, chains=4, workers=1)
    prior = pairwise.named("inferred", "±1")
    theta, scale, _ = routes.laplace(Pairwise(problem.data, prior), settings)
    monkeypatch.setattr(enumeration, "LARGEST", 5)
    sums = large.make_likelihood(problem.data, prior, np.random.default_rng(1), 1)
    found, width, _ = routes.nearest(sums, settings)
    log, other = np.log(scale), np.log(width)
    assert abs(other.mean() - log.mean()) < 0.7 * log.std()
    assert other.std() == pytest.approx(log.std(), rel=0.2)
    assert np.log(sums.known_width) < log.mean() - 1.5 * log.std()  # as EM's is
    sd, exact = (x[..., 12:].std(axis=(0, 1)) for x in (found, theta))
    assert np.mean(sd / exact) == pytest.approx(1.0, abs=0.04)
    # Couplings follow their width.
    together, true = (
        np.corrcoef(np.log(w).ravel(), np.mean(x[..., 12:] ** 2, axis=-1).ravel())[0, 1]
        for w, x in ((width, found), (scale, theta))
    )
    assert together == pytest.approx(true, abs=0.15)


def test_a_start_that_comes_to_no_end_is_one_the_less_and_no_error(monkeypatch):
    problem, near = posed(4, 400, "±1")
    climb, calls = routes.maximum, []

    def sometimes(*how):
        calls.append(how)
        if len(calls) == 2:
            raise FitError("no optimum was found")
        return climb(*how)

    monkeypatch.setattr(routes, "maximum", sometimes)
    found = routes._optimum_evidence(problem, near, np.random.default_rng(1))
    excess = found["start_excess"].values
    assert np.isinf(excess[1]) and np.abs(np.delete(excess, 1)).max() < 1e-6


@pytest.mark.parametrize("encoding", binary.ENCODINGS)
def test_moments_just_beyond_their_range_are_those_of_what_never_changes(encoding):
    problem, _ = posed(2, 50, encoding)
    low, t = binary.ENCODINGS[encoding], np.linspace(-900, 900, 7)
    found = conditionals._log_mean(np.array([low - 1e-9, 1 + 1e-9]), np.array([t, t]), problem)
    np.testing.assert_allclose(found, [low * t, t])
