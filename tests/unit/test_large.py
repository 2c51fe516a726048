"""Beyond enumeration: a reweighting sample against the sums over all that it replaces."""

from dataclasses import replace

import numpy as np
import pytest

from bayesinf.checks import check
from bayesinf.errors import FitError
from bayesinf.models import binary
from bayesinf.models.binary import pairwise
from bayesinf.models.binary.pairwise import enumeration, large, optimum, predictive, routes
from bayesinf.models.binary.pairwise.large import ReweightedLikelihood, sampling, search
from bayesinf.models.binary.pairwise.large.long_run import draw_sample
from bayesinf.models.binary.pairwise.large.tuning import DEFAULT
from bayesinf.models.binary.pairwise.likelihood import Pairwise
from bayesinf.settings import Settings

both = pytest.mark.parametrize("encoding", ["±1", "0/1"])


def population(sites, samples, encoding="±1", key=0):
    rng = np.random.default_rng((key, sites))
    theta = rng.normal(0, sites**-0.5, sites * (sites + 1) // 2)
    theta[sites:] *= 0.7
    states = sampling.sample(theta, "±1", samples, rng=rng).states[:samples]
    return theta, states if encoding == "±1" else (states + 1) // 2


@pytest.fixture
def few(monkeypatch):
    """Call eight sites too many for enumeration."""
    monkeypatch.setattr(enumeration, "LARGEST", 5)


def sampled(states, encoding, prior="inferred"):
    rng = np.random.default_rng(1)
    data = binary.moments(states, encoding)
    return large.make_likelihood(data, pairwise.named(prior, encoding), rng, workers=2)


@both
def test_a_reweighting_sample_answers_like_all_states(encoding, monkeypatch):
    _, states = population(8, 2000, encoding)
    exact = Pairwise(binary.moments(states, encoding), pairwise.named("inferred", encoding))
    monkeypatch.setattr(enumeration, "LARGEST", 5)
    problem = sampled(states, encoding)
    monkeypatch.setattr(enumeration, "LARGEST", 20)
    assert isinstance(problem, ReweightedLikelihood)
    top = pairwise.maximum(exact, problem.known_width)
    root, count = np.linalg.cholesky(top.precision), len(top.theta)
    z = np.random.default_rng(2).normal(size=(15, count))
    theta = (top.theta + np.linalg.solve(root.T, z.T).T).reshape(3, 5, count)
    log_z, phi = problem.expectations(theta)
    true_z, true_phi = exact.expectations(theta)
    # Errors of log Z at the centre are common to all; five of its standard errors.
    assert np.abs(np.mean(log_z - true_z)) < 5 * problem.sample.log_z_error + 1e-3
    # Of the likelihood's differences, which matter: a shift of a fifth of an sd at most is meant.
    rest = problem.samples * (log_z - true_z - np.mean(log_z - true_z))
    assert (
        np.abs(rest).max() < 5 * problem.evidence(theta)[0]["reweighting_shift"].max() * count**0.5
    )
    error = np.sqrt(np.maximum(np.diag(exact.state_curvature(top.theta)[2]), 0) / problem.samples)
    assert np.abs((phi - true_phi) / error).max() < 1.0
    np.testing.assert_allclose(
        np.diag(problem.state_curvature(top.theta)[2]),
        np.diag(exact.state_curvature(top.theta)[2]),
        rtol=0.1,
    )
    found = problem.evidence(theta)[0]
    assert found["reweighting_size"].shape == (3, 5) and found["reweighting_size"].min() > 10_000
    assert found["reweighting_k"].max() < 0.5 and found["log_z_error"].max() < 0.05


@both
def test_replicas_from_a_reweighting_sample_are_those_of_the_model(encoding, few):
    _, states = population(8, 3000, encoding)
    problem = sampled(states, encoding)
    theta = np.repeat(problem.sample.centre[None] + 0.02, 60, axis=0)
    replicas = predictive.replicas(problem, theta, np.random.default_rng(3))
    enumeration.LARGEST = 20
    _, p = enumeration.probabilities(theta[0], encoding)
    true = predictive.Summary.of(p, encoding)
    q = enumeration.products(p, encoding)
    for name in ("phi", "triple", "population"):
        seen = np.array([getattr(summary, name) for summary in replicas])
        expected = getattr(true, name)
        spread = seen.std(axis=0, ddof=1)
        off = np.abs(seen.mean(axis=0) - expected)
        shift = np.sqrt(problem.samples / problem.sample.effective)
        assert np.all(off < (6 / 60**0.5 + 6 * shift) * np.maximum(spread, 1e-4)), name
    fisher = np.diag(enumeration.fisher(q, encoding))
    spread = np.std([summary.phi for summary in replicas], axis=0, ddof=1)
    ratio = spread / np.sqrt(fisher / problem.samples)
    assert np.all(np.abs(np.log(ratio)) < 6 / np.sqrt(2 * 60))
    square = 1.0 if encoding == "±1" else true.triple
    spread = np.std([summary.triple for summary in replicas], axis=0, ddof=1)
    ratio = spread / np.sqrt((square - true.triple**2) / problem.samples)
    assert np.all(np.abs(np.log(ratio)) < 6 / np.sqrt(2 * 60))


@pytest.mark.parametrize("runs", [1, 6])
def test_a_centre_that_is_no_optimum_is_left_or_refused(few, monkeypatch, runs):
    _, states = population(8, 2000)
    data, prior = binary.moments(states, "±1"), pairwise.named("inferred", "±1")

    def nowhere(data, *_):
        bias = sampling.Bias.none(data.sites)
        return search.SearchResult(optimum.independent(data), np.inf, None, bias)

    monkeypatch.setattr(large, "find_optimum", nowhere)
    tuned = replace(DEFAULT, long_runs=runs)
    rng = np.random.default_rng(1)
    if runs == 1:
        with pytest.raises(FitError, match=r"moments of the model are off by .* standard errors"):
            large.make_likelihood(data, prior, rng, 1, None, tuned)
        return
    found = large.make_likelihood(data, prior, rng, 1, None, tuned)
    enumeration.LARGEST = 20
    best = pairwise.maximum(Pairwise(data, prior), found.known_width)
    error = np.sqrt(np.diag(np.linalg.inv(best.precision)))
    top = pairwise.maximum(found, found.known_width)
    assert np.abs((top.theta - best.theta) / error).max() < 1.0


@pytest.mark.slow
def test_a_sample_that_does_not_cover_the_posterior_is_drawn_anew(few, monkeypatch):
    _, states = population(8, 2000)
    data = binary.moments(states, "±1")
    centre = sampled(states, "±1").sample.centre
    away = draw_sample(centre + 0.45, "±1", 30_000, np.random.default_rng(5), workers=2)
    settings = Settings(draws=50, chains=4, prior_draws=8)
    options = {"encoding": "±1", "prior": "inferred", "method": "laplace", "settings": settings}

    def size(fit):
        return float(fit["sample_stats"]["reweighting_size"].min())

    fit = pairwise.fit(states, reweighting=away, **options)
    monkeypatch.setattr(routes, "REDRAWN", 0)
    assert size(pairwise.fit(states, reweighting=away, **options)) < DEFAULT.least_size < size(fit)
    assert large.covers(Pairwise(data).evidence(centre)[0])  # all states: nothing to cover


@pytest.mark.slow
def test_many_sites_are_fitted_and_believed():
    truth, states = population(22, 4000, key=4)
    settings = Settings(draws=50, chains=4, prior_draws=8)
    fit = pairwise.fit(states, encoding="±1", prior="inferred", method="laplace", settings=settings)
    draws = np.concatenate(
        [fit["posterior"][name].values.reshape(200, -1) for name in "hJ"], axis=1
    )
    z = (truth - draws.mean(axis=0)) / draws.std(axis=0)
    # 253 z-scores: their mean square is one, with a standard deviation of 0.09.
    assert 0.5 < np.mean(z**2) < 1.6
    names = {item.name: item for item in check(fit).checks}
    assert {"reweighting sample", "reweighting k̂", "reweighting shift"} <= set(names)
    assert names["reweighting sample"].passed and names["predictive p"].passed
    assert fit["observed_data"]["count"].sum() == 4000
    for name in ("mean", "pair_mean", "triple_mean", "population"):
        seen, replica = fit["observed_data"][name], fit["posterior_predictive"][name]
        assert np.abs(replica.mean(("chain", "draw")) - seen).max() < 0.1, name


@pytest.mark.slow
def test_maximum_likelihood_of_independent_halves_is_that_of_each():
    _, left = population(11, 6000, key=5)
    _, right = population(11, 6000, key=6)
    whole = np.concatenate([left, np.random.default_rng(0).permutation(right)], axis=1)
    found = pairwise.maximum_likelihood(whole, encoding="±1")
    data = binary.moments(whole, "±1")
    drawn = sampling.sample(found.theta, "±1", 200_000, rng=np.random.default_rng(7))
    model = binary.of_states(drawn.states, "±1").statistics
    error = np.sqrt((1 - data.statistics**2) / data.samples)
    noise = np.sqrt((1 - model**2) / drawn.effective)
    # Moments are matched to well below the sampling error of the data.
    assert np.all(np.abs(model - data.statistics) < 0.5 * error + 6 * noise)
