"""Sampled states and annealed log Z against sums over all states."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import signal, stats

from bayesinf.errors import DataError
from bayesinf.models import binary as coding
from bayesinf.models.binary.pairwise import enumeration
from bayesinf.models.binary.pairwise.large import sampling
from bayesinf.models.binary.pairwise.large import sampling_kernel as kernel
from bayesinf.models.binary.pairwise.large.annealing import annealed_log_partition
from bayesinf.models.binary.pairwise.large.autocorrelation import (
    autocorrelation_time,
    watched_series,
)
from bayesinf.models.binary.pairwise.large.tuning import DEFAULT

both = pytest.mark.parametrize("encoding", ["±1", "0/1"])

P_LEAST = 1e-6  # of a chi-square test, the two-sided p of five standard errors


def rng(*key):
    return np.random.default_rng(key)


def parameters(sites, key=0, width=0.4):
    """Random fields and couplings, packed."""
    return rng(key, sites).normal(0, width, sites * (sites + 1) // 2)


# ── Random words ─────────────────────────────────────────────────────────────────────────────────


def drawn_words(seed, count):
    result = np.empty(count, np.uint64)
    kernel.words(np.array(seed, np.uint64), result)
    return result


def test_random_words_are_those_of_the_published_generator():
    # The first outputs of xoshiro256++ from the state 1, 2, 3, 4, as the test of rand_xoshiro has.
    expected = [
        41943041,
        58720359,
        3588806011781223,
        3591011842654386,
        9228616714210784205,
        9973669472204895162,
        14011001112246962877,
        12406186145184390807,
        15849039046786891736,
        10450023813501588000,
    ]
    assert drawn_words([1, 2, 3, 4], 10).tolist() == expected


def test_bytes_are_uniform_and_chains_independent():
    seeds = sampling.chain_seeds(rng(1), 2)
    one, two = (drawn_words(seed, 100_000).view(np.uint8).astype(int) for seed in seeds)
    for a, b in ((one[:-1], one[1:]), (one[:-8], one[8:]), (one, two)):
        found = np.bincount(16 * (a >> 4) + (b >> 4), minlength=256)
        assert stats.chisquare(found).pvalue > P_LEAST
        found = np.bincount(16 * (a & 15) + (b & 15), minlength=256)
        assert stats.chisquare(found).pvalue > P_LEAST
    assert stats.chisquare(np.bincount(one, minlength=256)).pvalue > P_LEAST
    assert len({tuple(seed) for seed in sampling.chain_seeds(rng(2), 1000)}) == 1000


# ── Single visits and sweeps ─────────────────────────────────────────────────────────────────────


def chance(gain):
    """Probability of a flip."""
    return 1 / (1 + math.exp(-gain))


def test_a_flip_has_its_probability():
    seed, tries = sampling.chain_seeds(rng(3), 1)[0], 4000
    for gain in (-9.0, -5.6, -2.0, -0.7, -1e-3, 0.0, 0.4, 3.0, 6.0):
        p = chance(gain)
        found = np.array(
            [
                np.mean(
                    [
                        kernel.accepts(gain, np.uint64(byte), seed)
                        for _ in range(tries if abs(256 * p - byte - 0.5) < 2 else 3)
                    ]
                )
                for byte in range(256)
            ]
        )
        # One byte at most leaves it open, and by as much as p has beyond whole bytes.
        whole, part = divmod(256 * p, 1.0)
        expected = np.where(np.arange(256) < whole, 1.0, 0.0)
        if whole < 256:
            place, error = int(whole), math.sqrt(part * (1 - part) / tries)
            assert abs(found[place] - part) <= 5 * error + 1e-9, gain
            found[place] = expected[place]
        np.testing.assert_array_equal(found, expected, err_msg=f"{gain}")
    for byte in (0, 255):
        assert kernel.accepts(2000.0, np.uint64(byte), seed)
        assert not kernel.accepts(-2000.0, np.uint64(byte), seed)


def transitions(theta, encoding):
    """Probabilities (from, to) of one sweep, written out."""
    sites = coding.sites_of(theta.size)
    size = 1 << sites
    states = coding.decoded(np.arange(size), sites, encoding).astype(float)
    i, j = coding.pairs(sites)
    exponent = np.concatenate([states, states[:, i] * states[:, j]], axis=1) @ theta
    visits = []
    for site in range(sites):
        visit = np.zeros((size, size))
        for state in range(size):
            other = state ^ (1 << site)
            p = chance(exponent[other] - exponent[state])
            visit[state, other], visit[state, state] = p, 1 - p
        visits.append(visit)
    return np.linalg.multi_dot(visits)


@both
def test_a_sweep_has_the_transitions_that_leave_the_target_as_it_is(encoding):
    theta = parameters(3, 1, 0.8)
    expected = transitions(theta, encoding)
    _, p = enumeration.probabilities(theta, encoding)
    np.testing.assert_allclose(p @ expected, p, atol=1e-14)
    chains = 20_000
    for state in range(8):
        start = np.tile(coding.decoded([state], 3, encoding), (chains, 1))
        found = sampling.sample(
            theta, encoding, chains, rng=rng(state), thin=1, burn=0, start=start
        )
        counts = np.bincount(coding.codes(found.states), minlength=8)
        assert stats.chisquare(counts, chains * expected[state]).pvalue > P_LEAST
        np.testing.assert_array_equal(found.states, found.last)


# ── Samples ──────────────────────────────────────────────────────────────────────────────────────


@both
def test_samples_have_the_probabilities_of_enumeration(encoding):
    theta = parameters(6, 2)
    found = sampling.sample(theta, encoding, 60_000, rng=rng(4))
    counts = np.bincount(coding.codes(found.states), minlength=64)
    total = len(found.states)
    assert total >= 60_000 and total % 64 == 0 and found.states.dtype == np.int8
    assert coding.validated(found.states, encoding) is not None

    def p_value(theta):
        expected = total * enumeration.probabilities(theta, encoding)[1]
        statistic = np.sum((counts - expected) ** 2 / expected)
        return stats.chi2.sf(statistic / found.inefficiency, 63)

    assert p_value(theta) > P_LEAST
    wrong = theta.copy()
    wrong[9] += 0.3  # of one coupling
    assert p_value(wrong) < P_LEAST
    # Of the other encoding, which is the classical mistake.
    other = "0/1" if encoding == "±1" else "±1"
    mistaken = enumeration.probabilities(theta, other)[1]
    assert stats.chisquare(counts, total * mistaken).pvalue < P_LEAST


def spread_of_chains(found):
    """Standard errors of the moments, (parameter,): chains are independent, whatever τ."""
    chains = found.states.reshape(found.chains, -1, found.states.shape[1])
    phi = np.array([coding.of_states(part, found.encoding).statistics for part in chains])
    return phi.std(axis=0, ddof=1) / math.sqrt(found.chains)


@both
def test_moments_are_those_of_enumeration_within_their_errors(encoding):
    theta = parameters(10, 3, 0.3)
    found = sampling.sample(theta, encoding, 40_000, rng=rng(5))
    phi = coding.of_states(found.states, encoding).statistics
    exact = enumeration.expectations(theta, encoding)[1]
    square = 1.0 if encoding == "±1" else exact
    spread = spread_of_chains(found)
    for error in (spread, np.sqrt((square - exact**2) / found.effective)):
        assert np.max(np.abs(phi - exact) / error) < 6  # t of 63 degrees, 55 of them
    wrong = theta.copy()
    wrong[12] += 0.2
    wrong = enumeration.expectations(wrong, encoding)[1]
    assert np.max(np.abs(phi - wrong) / spread) > 8


def test_sites_without_couplings_are_independent_after_a_sweep():
    theta = enumeration.pack(rng(9).normal(0, 1, 30), np.zeros(435))
    found = sampling.sample(theta, "±1", 20_000, rng=rng(10))
    # 11 series at most 5 standard errors above 1, of 2048 states and a window of 5.
    assert found.thin <= 2 and 1 <= found.tau < 1 + 5 * math.sqrt(4 * 5 / 2048)
    h = theta[:30]
    exact = np.tanh(h)
    error = np.sqrt((1 - exact**2) / found.effective)
    assert np.max(np.abs(found.states.mean(axis=0) - exact) / error) < 5
    share = np.mean(2 / (1 + np.exp(2 * h)) / (1 + np.exp(-2 * h)))  # drawn anew, 2 p (1 − p)
    visits = len(found.states) * found.thin * 30
    assert abs(found.flips - share) < 5 / math.sqrt(visits)


def test_thinning_follows_the_memory_of_the_chains():
    # A ring of like-minded spins remembers for long, and the longer the stronger they are coupled.
    i, j = coding.pairs(8)
    ring = (j - i == 1) | (j - i == 7)
    taus = []
    for strength in (0.2, 0.7):
        theta = enumeration.pack(np.zeros(8), strength * ring)
        found = sampling.sample(theta, "±1", 30_000, rng=rng(11))
        taus.append(found.tau)
        kept = found.states.reshape(found.chains, -1, 8).sum(axis=2)
        correlation = np.mean(kept[:, 1:] * kept[:, :-1]) / np.mean(kept**2)
        assert correlation < 0.1 + 5 / math.sqrt(kept.size)
        assert found.inefficiency < 1.3 + 5 * math.sqrt(20 / kept.size)
        every = sampling.sample(theta, "±1", 30_000, rng=rng(12), thin=1, burn=100)
        assert every.tau == every.inefficiency == pytest.approx(found.tau, rel=0.5)
        assert every.effective == pytest.approx(len(every.states) / every.tau)
    assert taus[1] > 3 * taus[0]


def test_chains_go_on_and_begin_where_they_are_told():
    # So strongly coupled that a chain keeps its sign for good.
    theta = enumeration.pack(np.zeros(6), np.full(15, 3.0))
    up = np.ones((5, 6), int)
    first = sampling.sample(theta, "±1", 40, rng=rng(13), start=up, thin=2, burn=0)
    assert first.chains == 5 and len(first.states) == 40 and (first.states == 1).all()
    down = sampling.sample(theta, "±1", 40, rng=rng(13), start=-first.last, thin=2, burn=3)
    assert (down.last == -1).all()
    # Chains that do not find together are told by their memory.
    apart = sampling.sample(theta, "±1", 640, rng=rng(14))
    assert apart.tau > DEFAULT.most_pilot_sweeps / 10
    # Where a sample ends, the next one begins: frozen sites stay, one by one.
    mixed = np.where(rng(15).random((7, 12)) < 0.5, 1, -1)
    ring = enumeration.pack(50.0 * mixed[0], np.zeros(66))
    found = sampling.sample(ring, "±1", 21, rng=rng(16), start=mixed, thin=1, burn=0)
    np.testing.assert_array_equal(found.last, np.tile(mixed[0], (7, 1)))
    np.testing.assert_array_equal(found.states.reshape(7, 3, 12)[:, -1], found.last)


def test_neither_workers_nor_calls_change_a_state():
    theta, threaded = parameters(9, 4), {"tuning": replace(DEFAULT, serial_visits=0)}

    def draw(workers):
        return sampling.sample(theta, "0/1", 2000, rng=rng(17), workers=workers, **threaded)

    alone, together = draw(workers=1), draw(workers=3)
    np.testing.assert_array_equal(alone.states, together.states)
    assert (alone.tau, alone.flips, alone.thin) == (together.tau, together.flips, together.thin)
    np.testing.assert_array_equal(alone.last, together.last)
    assert (draw(workers=1).states == alone.states).all()
    other = sampling.sample(theta, "0/1", 2000, rng=rng(18))
    assert other.states.shape != alone.states.shape or (other.states != alone.states).any()
    z = [
        annealed_log_partition(theta, "0/1", rng=rng(19), workers=workers, **threaded)
        for workers in (1, 3)
    ]
    assert z[0] == z[1]


# ── Autocorrelation ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("chains", [1, 20])
def test_the_time_of_an_autoregression_is_nineteen(chains):
    phi, count = 0.9, 1_600_000
    noise = rng(20, chains).standard_normal((1, chains, count // chains))
    start = phi * rng(21, chains).standard_normal((1, chains, 1)) / math.sqrt(1 - phi**2)
    series = signal.lfilter([1], [1, -phi], noise, zi=start)[0]
    tau = (1 + phi) / (1 - phi)
    # The relative variance is 2 (2 W + 1) / n with a window W of 5 τ (Sokal); beyond lies e⁻¹⁰.
    error = tau * math.sqrt(2 * (2 * 5 * tau + 1) / count)
    assert autocorrelation_time(series)[0] == pytest.approx(tau, abs=5 * error)
    white = autocorrelation_time(noise)[0]
    assert white == pytest.approx(1, abs=5 * math.sqrt(22 / count))
    assert autocorrelation_time(np.full((1, 2, 30), 0.1)).tolist() == [1.0]


def test_the_series_that_are_watched_hold_energy_and_number():
    theta = parameters(5, 5)
    states = coding.decoded(rng(21).integers(0, 32, (2, 7)), 5, "±1")
    found = watched_series(states, theta)
    i, j = coding.pairs(5)
    phi = np.concatenate([states, states[..., i] * states[..., j]], axis=-1)
    np.testing.assert_allclose(found[-1], phi @ theta, atol=1e-13)
    np.testing.assert_array_equal(found[0], states.sum(axis=-1))
    assert found.shape == (11, 2, 7)
    single = watched_series(states[..., :1], theta[:1])
    np.testing.assert_allclose(single[-1], theta[0] * states[..., 0])


# ── log Z ────────────────────────────────────────────────────────────────────────────────────────


@both
def test_annealing_finds_log_z(encoding):
    for sites, width in ((1, 1.0), (2, 1.0), (7, 0.5), (12, 0.3)):
        theta = parameters(sites, 7, width)
        exact = float(enumeration.log_partition(theta, encoding))
        found, error, effective = annealed_log_partition(theta, encoding, rng=rng(25, sites))
        assert error <= DEFAULT.log_z_error and 500 <= effective <= 1000 + 1e-6
        assert abs(found - exact) <= 5 * error + 1e-3 * error, sites
    wrong = theta.copy()
    wrong[3] += 3.0
    assert abs(found - float(enumeration.log_partition(wrong, encoding))) > 8 * error


@both
@pytest.mark.parametrize("steps", [1, 8])  # one step is importance sampling from independent sites
def test_annealing_knows_its_error(encoding, steps):
    theta = parameters(8, 8, 0.3 if steps > 1 else 0.1)
    theta[:8] += 1.0
    exact = float(enumeration.log_partition(theta, encoding))
    mean = enumeration.expectations(theta, encoding)[1][:8]
    how = {"means": mean, "steps": steps, "chains": 400}
    runs = [annealed_log_partition(theta, encoding, rng=rng(26, key), **how) for key in range(60)]
    z = [(found - exact) / error for found, error, _ in runs]
    assert np.mean(np.square(z)) == pytest.approx(1, abs=5 * math.sqrt(2 / 60))
    # More steps make better weights.
    short = runs[0][2]
    assert (
        annealed_log_partition(theta, encoding, rng=rng(27), means=mean, steps=200, chains=400)[2]
        > short
    )


def test_annealing_from_the_target_itself_is_exact():
    h = rng(28).normal(0, 1, 70)
    theta = enumeration.pack(h, np.zeros(70 * 69 // 2))
    exact = np.sum(np.log(2 * np.cosh(h)))
    found, error, effective = annealed_log_partition(
        theta, "±1", rng=rng(29), means=np.tanh(h), steps=3
    )
    assert found == pytest.approx(exact, rel=1e-12)
    assert error < 1e-12 and effective == pytest.approx(1000)


def test_forty_sites_have_one_log_z_in_both_encodings():
    theta = rng(30).normal(0, 40**-0.5, 820)
    spins = annealed_log_partition(theta, "±1", rng=rng(31))
    h, J, constant = coding.convert(*enumeration.unpack(theta), "±1", "0/1")
    counts = annealed_log_partition(enumeration.pack(h, J), "0/1", rng=rng(32))
    error = math.hypot(spins[1], counts[1])
    assert max(spins[1], counts[1]) <= 0.02
    assert abs(counts[0] - constant - spins[0]) < 5 * error


# ── Bad input ────────────────────────────────────────────────────────────────────────────────────


def test_bad_input_is_refused():
    theta = parameters(3)

    def draw(theta=theta, encoding="±1", count=9, **how):
        return sampling.sample(theta, encoding, count, rng=rng(33), **how)

    for start in (np.zeros((2, 3)), np.ones((2, 4)), np.ones(3)):
        with pytest.raises(DataError, match=r"cannot start there; expected -1 or 1, \(chain, 3\)"):
            draw(start=start)
    for how in ({"count": 0}, {"thin": 0}, {"burn": -1}, {"chains": 0}, {"count": 1.5}):
        with pytest.raises(DataError, match=f"{next(iter(how))} is out of range"):
            draw(**how)
    with pytest.raises(DataError, match=r"cannot be sampled at.*not finite$"):
        draw(np.full(6, np.nan))
    with pytest.raises(DataError, match="do not fit together"):
        draw(np.ones(5))
    with pytest.raises(DataError, match="unknown encoding"):
        draw(encoding="spins")
    with pytest.raises(DataError, match="cannot have these means; expected"):
        annealed_log_partition(theta, "0/1", rng=rng(34), means=-np.ones(3))
    with pytest.raises(DataError, match="no spread"):
        annealed_log_partition(theta, "0/1", rng=rng(34), chains=1)


@pytest.mark.parametrize("encoding", ["±1", "0/1"])
def test_a_bias_multiplies_the_weight_of_its_levels(encoding):
    sites = 7
    rng = np.random.default_rng(21)
    theta = rng.normal(0, 0.5, sites * (sites + 1) // 2)
    bias = sampling.Bias(rng.random(sites) < 0.5, rng.normal(0, 1.5, sites + 1))
    drawn = sampling.sample(theta, encoding, 40_000, rng=rng, bias=bias)
    _, p = enumeration.probabilities(theta, encoding)
    states = coding.decoded(np.arange(2**sites), sites, encoding)
    level = bias.level(states)
    np.testing.assert_array_equal(
        level,
        [sum((s == 1) == on for s, on in zip(row, bias.pattern, strict=True)) for row in states],
    )
    expected = p * np.exp(bias.levels[level])
    expected /= expected.sum()
    seen = np.bincount(coding.codes(drawn.states), minlength=2**sites) / len(drawn.states)
    error = np.sqrt(expected * (1 - expected) * drawn.inefficiency / len(drawn.states))
    assert np.abs(seen - expected).max() < 6 * error.max()
    # Without it, or with its pattern turned round, they come otherwise.
    for other in (p, p * np.exp(bias.levels[sites - level])):
        other = other / other.sum()
        assert np.abs(seen - other).max() > 12 * error.max()
