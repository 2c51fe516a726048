"""The order of states: memory in closed form, drift, and rows whose order means nothing."""

import numpy as np
import pytest

from bayesinf.models.binary.pairwise.memory import memory_of


def sticky(stay, shape, seed=0):
    """Sites that keep their state with a chance: ρ(t) = stay^t, τ = (1 + stay) / (1 − stay)."""
    rng = np.random.default_rng(seed)
    keep, fresh = rng.random(shape) < stay, rng.choice([-1, 1], shape)
    for t in range(1, shape[-2]):
        fresh[..., t, :] = np.where(keep[..., t, :], fresh[..., t - 1, :], fresh[..., t, :])
    return fresh


@pytest.mark.parametrize(("stay", "time"), [(1 / 3, 2), (2 / 3, 5), (49 / 51, 50)])
def test_an_autocorrelation_time_is_that_of_its_closed_form(stay, time):
    """The longest of six series whose τ̂ has a relative error of √(20 τ / n), here 2 to 22 %."""
    found = memory_of(sticky(stay, (20_000, 3)))
    error = np.sqrt(20 * time / 20_000)
    assert 1 - 2 * error < found.time / time < 1 + 4 * error and found.slowest


@pytest.mark.parametrize("count", [60, 300, 2000])
def test_shuffled_rows_have_no_memory_and_do_not_drift(count):
    states = np.random.default_rng(1).permutation(sticky(0.9, (count, 4)))
    found = memory_of(states)
    assert (found.time, found.slowest) == (1.0, "") and found.drift < found.drift_limit


def test_false_alarms_are_as_rare_as_they_are_said_to_be():
    """One in 201 by memory, one in 400 by drift: of 300 sets more than 6 has a chance of 1e-3."""
    alarms = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        states = np.where(rng.random((150, 3)) < rng.uniform(0.05, 0.95, 3), 1, 0)
        found = memory_of(states)
        alarms += found.time > 1.2 or found.drift > found.drift_limit
    assert alarms <= 6


def test_a_seam_between_repeats_is_no_memory():
    """Repeats of two equal states: within each they are alike, and so is nothing across."""
    rng = np.random.default_rng(3)
    states = np.repeat(rng.choice([0, 1], (400, 3)), 2, axis=0)
    repeat = np.repeat(np.arange(400), 2)
    assert memory_of(states, repeat).time > 1.2
    assert memory_of(states[::2], np.arange(400)).time == 1.0


def test_a_drift_is_named_by_the_moment_that_moves():
    rng = np.random.default_rng(4)
    pair = rng.choice([0, 1], (2000, 3))
    pair[1000:, 2] = pair[1000:, 0]  # means stay, two sites become one
    found = memory_of(pair, labels=["a", "b", "c"])
    assert found.drift > found.drift_limit
    assert found.drifting == "how often sites a and c are on together"


def test_sites_that_hardly_change_say_nothing():
    states = np.zeros((200, 2), int)
    states[:5, 0] = 1
    assert memory_of(states).time == 1.0
