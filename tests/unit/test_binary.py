"""Binary data: maps between encodings, and statistics against loops over the states."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesinf.errors import DataError
from bayesinf.models import binary


def spins(samples=400, sites=6, key=0):
    rng = np.random.default_rng((key, sites))
    common = rng.standard_normal((samples, 1))
    noise = rng.standard_normal((samples, sites))
    return np.where(common + noise > 0.3, 1, -1).astype(np.int8)


@given(st.integers(1, 6), st.integers(0, 100))
def test_directed_couplings_keep_the_log_odds_and_come_back(sites, key):
    rng = np.random.default_rng((key, sites))
    h, J = rng.normal(size=(2, sites)), rng.normal(size=(2, sites, sites))
    on = rng.integers(0, 2, (2, sites))

    def odds(h, J, s, factor):
        return factor * (h + np.einsum("kij,kj->ki", J, s))

    new_h, new_J = binary.convert_directed(h, J, "±1", "0/1")
    np.testing.assert_allclose(odds(new_h, new_J, on, 1), odds(h, J, 2 * on - 1, 2), atol=1e-12)
    back = binary.convert_directed(new_h, new_J, "0/1", "±1")
    np.testing.assert_allclose(back[0], h, atol=1e-12)
    np.testing.assert_allclose(back[1], J, atol=1e-12)


def test_symmetric_couplings_are_converted_as_directed_ones():
    rng = np.random.default_rng(1)
    h, J = rng.normal(size=5), rng.normal(size=10)
    new_h, new_J, _ = binary.convert(h, J, "±1", "0/1")
    full_h, full_J = binary.convert_directed(h, binary.matrix(J, 5), "±1", "0/1")
    np.testing.assert_allclose(new_h, full_h)
    np.testing.assert_allclose(binary.matrix(new_J, 5), full_J)
    with pytest.raises(DataError, match="unknown encoding"):
        binary.convert_directed(full_h, full_J, "0/1", "+1")


@pytest.mark.parametrize("encoding", ["±1", "0/1"])
def test_statistics_are_those_of_loops(encoding, monkeypatch):
    monkeypatch.setattr("bayesinf.models.binary.statistics.CHUNK", 64)
    states = spins() if encoding == "±1" else (spins() + 1) // 2
    found = binary.moments(states, encoding)
    pair = [np.mean(states[:, i] * 1.0 * states[:, j]) for i, j in combinations(range(6), 2)]
    np.testing.assert_allclose(found.pair, pair)
    np.testing.assert_allclose(found.mean, states.mean(axis=0))
    chosen = binary.triples(6)
    assert chosen.tolist() == [list(three) for three in combinations(range(6), 3)]
    expected = [np.mean(np.prod(states[:, t].astype(float), axis=1)) for t in chosen]
    np.testing.assert_allclose(binary.triple_moments(states, chosen), expected, atol=1e-15)
    on = np.sum(states == 1, axis=1)
    share = [np.mean(on == k) for k in range(7)]
    np.testing.assert_allclose(binary.population(states), share)


def test_some_of_many_triples_are_distinct_and_spread():
    some = binary.triples(40, most=500, seed=3)
    assert some.shape == (500, 3) and len(np.unique(some, axis=0)) == 500
    assert (np.diff(some, axis=1) > 0).all() and some.min() == 0 and some.max() == 39
    np.testing.assert_array_equal(some, binary.triples(40, most=500, seed=3))
    assert len(binary.triples(4, most=500)) == 4 and binary.triples(2).shape == (0, 3)
    # Each site is in 3 / 40 of the triples: within five standard deviations.
    counts = np.bincount(some.ravel(), minlength=40)
    assert np.all(np.abs(counts - 37.5) < 5 * np.sqrt(37.5))


def test_sites_that_say_nothing_are_named():
    states = spins(sites=5)
    assert binary.constant_sites(states).size == 0
    assert len(binary.identical_pairs(binary.moments(states, "±1"))) == 0
    states[:, 1] = states[:, 4]
    states[:, 2] = -states[:, 0]
    states[:, 3] = 1
    assert binary.constant_sites(states).tolist() == [3]
    for encoding, written in (("±1", states), ("0/1", (states + 1) // 2)):
        same = binary.identical_pairs(binary.moments(written, encoding))
        assert same.tolist() == [[0, 2], [1, 4]]


@pytest.mark.parametrize("count", [7, 10])
def test_nulls_part_the_data_in_two(count):
    for one, other in binary.nulls(count).values():
        assert sorted([*one, *other]) == list(range(count)) and abs(len(one) - len(other)) <= 1
    assert binary.nulls(4)["halves"][0].tolist() == [0, 1]
    assert binary.nulls(4)["even/odd"][0].tolist() == [0, 2]
