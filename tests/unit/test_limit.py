"""Likelihoods without a maximum, beyond enumeration: the limit by the states that are left."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from bayesinf.models import binary
from bayesinf.models.binary.pairwise import enumeration
from bayesinf.models.binary.pairwise.large import sampling
from bayesinf.models.binary.pairwise.large.limit import Unseen
from bayesinf.models.binary.pairwise.large.long_run import draw_sample
from bayesinf.settings import Settings

classical = importlib.import_module("bayesinf.systems.boltzmann_equilibrium.classical")

SITES, SHORT = 7, Settings(draws=20, chains=2, prior_draws=4, workers=1)


def never(case, samples=4000):
    """States 0/1 in which something never occurs."""
    rng = np.random.default_rng(SITES)
    theta = rng.normal(0, SITES**-0.5, SITES * (SITES + 1) // 2)
    states = (sampling.sample(theta, "±1", samples, rng=rng).states[:samples] + 1) // 2
    a, b = states[:, 0], states[:, 5]
    kept = {
        "together": ~((a == 1) & (b == 1)),
        "off together": ~((a == 0) & (b == 0)),
        "without": ~((a == 1) & (b == 0)),
        "two pairs": ~((a == 1) & (b == 1)) & ~((states[:, 2] == 0) & (states[:, 4] == 1)),
    }
    if case in kept:
        return states[kept[case]]
    states = states.copy()
    states[:, 5] = {"silent": 0, "constant": 1, "identical": a, "opposite": 1 - a}[case]
    return states


def estimate(states, encoding):
    spins = states if encoding == "0/1" else 2 * states - 1
    data = xr.Dataset(
        {"states": (("sample", "site"), spins, {"encoding": encoding})},
        coords={"site": np.arange(SITES)},
    )
    return classical.optimum(data, None, None, SHORT)


@pytest.mark.parametrize(
    ("case", "encoding"),
    [
        ("together", "0/1"),
        ("together", "±1"),
        ("off together", "0/1"),
        ("without", "±1"),
        ("two pairs", "±1"),
        ("silent", "0/1"),
        ("constant", "±1"),
        # Chains that hardly ever part two sites take their time.
        pytest.param("identical", "0/1", marks=pytest.mark.slow),
        pytest.param("opposite", "±1", marks=pytest.mark.slow),
        pytest.param("opposite", "0/1", marks=pytest.mark.slow),
    ],
)
def test_the_supremum_by_sampled_states_is_that_of_all_states(case, encoding, monkeypatch):
    states = never(case)
    exact = estimate(states, encoding)
    monkeypatch.setattr(enumeration, "LARGEST", 5)
    found = estimate(states, encoding)
    assert found.called == exact.called == "supremum of the likelihood"
    assert found.lacking == exact.lacking
    open_, other = (one.open @ one.open.T for one in (found, exact))
    np.testing.assert_allclose(open_, other, atol=1e-6)
    # What the data determine agrees but for the error of the long run, a fifth of a standard error.
    determined = np.eye(len(open_)) - other
    off = determined @ (found.top.theta - exact.top.theta)
    error = np.sqrt(np.diag(determined @ np.linalg.pinv(exact.top.precision) @ determined))
    known = ~exact.undetermined
    assert np.abs(off[known] / error[known]).max() < 1.0
    np.testing.assert_array_equal(found.undetermined, exact.undetermined)
    # Fresh states agree with the data, and never show what these never did.
    assert np.abs(found.top.residual).max() < 6 * max(found.top.residual_error, 0.2)
    # Minus the log likelihood of a state, by sums over all states, what never occurred and all.
    monkeypatch.setattr(enumeration, "LARGEST", 20)
    data = binary.of_states(states if encoding == "0/1" else 2 * states - 1, encoding)
    there, here = (
        enumeration.log_partition(one.top.theta, encoding) - one.top.theta @ data.statistics
        for one in (exact, found)
    )
    assert here == pytest.approx(there, abs=1e-3)


@pytest.mark.parametrize("encoding", binary.ENCODINGS)
def test_statistics_of_what_is_unseen_tell_states_that_show_it(encoding):
    states = never("two pairs")
    spins = states if encoding == "0/1" else 2 * states - 1
    unseen = Unseen(binary.of_states(spins, encoding))
    every = binary.decoded(np.arange(1 << SITES), SITES, encoding).astype(float)
    i, j = binary.pairs(SITES)
    features = np.hstack([every, every[:, i] * every[:, j]])
    values = features @ unseen.statistics.T
    values -= values.min(axis=0)
    np.testing.assert_allclose(np.unique(values), [0, 1], atol=1e-12)
    on = (every > 0).astype(np.int8)
    np.testing.assert_array_equal(values.max(axis=1) > 0.5, unseen.shown(on))
    assert not unseen.shown(states.astype(np.int8)).any() and unseen.shown(on).sum() == 56
    assert unseen.directions.shape[1] == 2


@pytest.mark.parametrize("encoding", binary.ENCODINGS)
@pytest.mark.parametrize("case", ["silent", "constant", "identical", "opposite", "two pairs"])
def test_along_its_directions_nothing_changes_and_along_no_other(case, encoding):
    states = np.unique(never(case), axis=0)
    spins = states if encoding == "0/1" else 2 * states - 1
    unseen = Unseen(binary.of_states(spins, encoding))
    i, j = binary.pairs(SITES)
    features = np.hstack([spins, spins[:, i] * spins[:, j]]).astype(float)
    centred = features - features.mean(axis=0)
    rank = np.linalg.matrix_rank(centred)
    np.testing.assert_allclose(centred @ unseen.directions, 0, atol=1e-12)
    assert unseen.directions.shape[1] == features.shape[1] - rank


@pytest.mark.parametrize("encoding", binary.ENCODINGS)
def test_averages_of_the_states_that_are_left_are_those_over_them(encoding):
    states = never("two pairs")
    spins = states if encoding == "0/1" else 2 * states - 1
    unseen = Unseen(binary.of_states(spins, encoding))
    theta = np.random.default_rng(2).normal(0, 0.3, SITES * (SITES + 1) // 2)
    sample = draw_sample(theta, encoding, 200_000, np.random.default_rng(3), workers=1)
    # A long run knows moments other than those of the states that are kept.
    sample = replace(sample, moments=sample.moments + 1e-3)
    left = unseen.left_out(sample)
    every = binary.decoded(np.arange(1 << SITES), SITES, encoding).astype(float)
    _, p = enumeration.probabilities(theta, encoding)
    on = (every > 0).astype(np.int8)
    p = np.where(unseen.shown(on), 0.0, p)
    assert left.log_z - sample.log_z == pytest.approx(
        np.log(p.sum()) - (theta - left.centre) @ unseen.data.statistics, abs=0.02
    )
    p /= p.sum()
    i, j = binary.pairs(SITES)
    moments = p @ np.hstack([every, every[:, i] * every[:, j]])
    np.testing.assert_allclose(left.moments, moments, atol=0.02)
    # What these states share they have exactly: an error would push parameters without end.
    off = left.moments - unseen.data.statistics
    np.testing.assert_allclose(unseen.directions.T @ off, 0, atol=1e-14)
    triples = p @ np.prod(every[:, sample.triples], axis=2)
    np.testing.assert_allclose(left.triple_means, triples, atol=0.02)
    population = np.bincount(on.sum(axis=1), p, SITES + 1)
    np.testing.assert_allclose(left.population, population, atol=0.01)
