"""From a reference to a density near it: normal ones in closed form, and what leaves them."""

import numpy as np
import pytest

from bayesinf.inference import tempering
from bayesinf.inference.tempering import tempered

CENTRE, SD = 0.7, 0.6  # of the density in each coordinate, whose reference is N(0, 1)


def density(x):
    """log N(x; CENTRE, SD²) − log N(x; 0, 1) up to a constant."""
    return np.sum(-0.5 * ((x - CENTRE) / SD) ** 2 + 0.5 * x**2, axis=1)


def propose(x, width, rng):
    return np.sqrt(1 - width**2) * x + width * rng.standard_normal(x.shape)


def unmoved(x):
    return x


def turned(size=8, log_ratio=density, move=propose, offered=4000, count=2000):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((offered, size))
    return tempered(
        x, log_ratio(x), count, density=log_ratio, propose=move, judged=unmoved, rng=rng
    )


def test_far_from_the_reference_steps_and_moves_bring_the_density():
    found = turned()
    assert found.steps > 3 and found.moves > 5 and found.pareto_k < 0.7
    assert 1000 <= found.effective <= 2000
    error = SD / np.sqrt(found.effective)
    assert np.abs(found.points.mean(axis=0) - CENTRE).max() < 3.5 * error
    np.testing.assert_allclose(found.points.std(axis=0), SD, rtol=4 / np.sqrt(2 * found.effective))


def test_moves_on_the_way_keep_the_density_of_their_step(monkeypatch):
    """Moved at the first step alone: what follows are weights, which take that step as done."""
    monkeypatch.setattr(tempering, "MOVES", 6)
    monkeypatch.setattr(tempering, "WORTH", 0.7)
    found = turned(4, offered=20000, count=20000)
    assert found.steps > 1 and found.moves == 6
    error = SD / np.sqrt(found.effective)
    assert np.abs(found.points.mean(axis=0) - CENTRE).max() < 3.5 * error


def test_where_the_reference_is_the_density_draws_stay_as_they_are():
    def none(x):
        return np.zeros(len(x))

    found = turned(log_ratio=none)
    assert (found.steps, found.moves, found.effective) == (1, 0, pytest.approx(2000))
    assert len(np.unique(found.points[:, 0])) == 2000


def test_nothing_is_drawn_where_the_density_has_nothing():
    def half(x):
        return np.where(x[:, 0] > 0, 0.0, -np.inf)

    found = turned(log_ratio=half, offered=2000)
    assert (found.points[:, 0] > 0).all() and found.moves > 0
    # |x| of a standard normal x.
    assert found.points[:, 0].mean() == pytest.approx(np.sqrt(2 / np.pi), abs=0.06)


def test_draws_that_never_move_are_worth_what_the_weights_leave():
    found = turned(4, move=lambda x, width, rng: x)
    distinct = len(np.unique(found.points[:, 0]))
    assert found.effective < 1000 and found.effective < 1.5 * distinct


def test_draws_that_were_one_are_apart_before_they_are_weighed_again():
    """A reference without wide tails: few draws weigh much, and would again if they stood twice."""

    def lacking(x):
        return np.logaddexp(0.0, np.log(0.1) + np.sum(0.35 * x**2, axis=1))

    found = turned(1, log_ratio=lacking, count=3800)
    assert found.steps > 1 and found.moves > 0 and found.pareto_k < tempering.SMOOTH
    # N(0, 1) and, 0.18 times as much of it, N(0, 1.83²).
    assert found.points.var() == pytest.approx(1.36, abs=0.1)
