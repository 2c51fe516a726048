"""Split Hamiltonian steps: a known target is reached, a wrong one is not; kicks may be rough."""

import numpy as np
import pytest
from scipy import integrate, stats

from bayesinf.inference import hamiltonian
from bayesinf.inference.hamiltonian import State

CHAINS = 40


def rngs(seed, count=CHAINS):
    return [np.random.default_rng((seed, chain)) for chain in range(count)]


class Quartic:
    """log p = −z²/2 − b z⁴/4 in each of several blocks of one dimension, b of each block."""

    log_volume = np.zeros(CHAINS)

    def __init__(self, quartic, rough=None):
        self.quartic, self.rough = np.asarray(quartic), rough

    def start(self):
        return self.look(np.zeros((CHAINS, self.quartic.size, 1)))

    def look(self, z):
        value = -0.5 * z**2 - self.quartic[:, None] * z**4 / 4
        slope = -z - self.quartic[:, None] * z**3
        return State(z, value[..., 0], slope, (z.copy(),))

    def update(self, state, turn):
        return state


def sampled(target, draws=500, seed=1, **options):
    shared = np.random.default_rng(seed)
    options = {"size": 0.5, "wanted": 0.9} | options
    z = np.empty((CHAINS, draws, target.quartic.size, 1))

    def keep(draw, state):
        z[:, draw] = state.carried[0]

    return z, *hamiltonian.sample(target, keep, rngs(seed), shared, 50, draws, **options)


def cumulative(quartic):
    grid = np.linspace(-6, 6, 4001)
    density = np.exp(-0.5 * grid**2 - quartic * grid**4 / 4)
    below = integrate.cumulative_simpson(density, x=grid, initial=0.0)
    return lambda z: np.interp(z, grid, below / below[-1])


def p_values(z, quartic):
    """Of every tenth draw, which are nearly independent."""
    return [
        stats.kstest(z[:, ::10, block, 0].ravel(), cumulative(b)).pvalue
        for block, b in enumerate(quartic)
    ]


def coarse(z):
    """A gradient in single precision of a slightly other target."""
    return (-z - 0.8 * z**3).astype(np.float32)


@pytest.mark.parametrize("rough", [None, coarse], ids=["exact", "rough"])
def test_each_block_has_its_own_target_and_no_other(rough):
    blocks = [0.0, 0.3, 1.0]
    z, _, size = sampled(Quartic(blocks, rough), draws=1000)
    assert min(p_values(z, blocks)) > 1e-4
    assert max(p_values(z, [0.6, 0.0, 0.3])) < 1e-4
    assert hamiltonian.SHORTEST <= size <= hamiltonian.LONGEST


def test_a_target_that_is_normal_is_always_accepted():
    _, statistics, size = sampled(Quartic([0.0]), draws=50)
    assert statistics["acceptance_rate"].min() > 1 - 1e-12
    assert size == hamiltonian.LONGEST


def test_the_step_is_tuned_to_the_acceptance():
    _, statistics, _ = sampled(Quartic([1.0, 3.0]), draws=300, size=1.5, wanted=0.8)
    assert statistics["acceptance_rate"].mean() == pytest.approx(0.8, abs=0.1)


def test_blocks_accept_by_themselves_and_carry_what_is_theirs():
    target = Quartic([0.0, 40.0])
    state, seen = target.start(), []
    for _ in range(30):
        state, info = hamiltonian.step(rngs(3), state, target.look, 1.5, 0.75)
        np.testing.assert_array_equal(state.carried[0], state.z)
        np.testing.assert_allclose(state.log_density, target.look(state.z).log_density)
        np.testing.assert_allclose(
            info.chance, np.exp(-np.maximum(info.rise, 0)), rtol=1e-12, atol=1e-300
        )
        seen.append(info.chance.mean(axis=0))
    of_normal, of_quartic = np.mean(seen, axis=0)
    assert of_normal > 1 - 1e-12 and of_quartic < 0.9


def test_a_rise_that_is_not_a_number_is_a_divergence():
    class Edge(Quartic):
        def look(self, z):
            state = super().look(z)
            beyond = np.abs(z[..., 0]) > 1
            return state._replace(log_density=np.where(beyond, -np.inf, state.log_density))

    z, statistics, _ = sampled(Edge([0.0]), draws=50)
    assert np.abs(z).max() <= 1 and statistics["diverging"].any()


def test_the_energy_is_that_of_the_parameters():
    # −log p(z) has mean ½, the momentum ½; a volume shifts the energy and nothing else.
    target = Quartic([0.0])
    _, statistics, _ = sampled(target, draws=400)
    assert statistics["energy"].mean() == pytest.approx(1.0, abs=0.05)
    assert statistics["lp"].mean() == pytest.approx(-0.5, abs=0.03)
    target.log_volume = np.full(CHAINS, 7.0)
    _, shifted, _ = sampled(target, draws=400)
    np.testing.assert_allclose(shifted["energy"], statistics["energy"] - 7.0)


def test_halving_the_step_quarters_the_error():
    # As of every integrator that is its own mirror image in time.
    target = Quartic(np.full(50, 1.0))
    state = target.look(np.random.default_rng(2).standard_normal((CHAINS, 50, 1)))
    rises = [
        hamiltonian.step(rngs(4), state, target.look, 1.5, size)[1].rise for size in (0.1, 0.05)
    ]
    ratio = np.sqrt(np.mean(rises[0] ** 2) / np.mean(rises[1] ** 2))
    assert ratio == pytest.approx(4.0, rel=0.03)


def test_blocks_are_accepted_by_numbers_of_their_own():
    # With a common one a block of higher chance would be accepted whenever the other is.
    target = Quartic([3.0, 3.0])
    state, crossed = target.start(), 0
    streams = rngs(5)
    for _ in range(100):
        new, info = hamiltonian.step(streams, state, target.look, 1.5, 1.0)
        moved = (new.z != state.z)[..., 0]
        lower = np.argmin(info.chance, axis=1)[:, None]
        lower_moved = np.take_along_axis(moved, lower, 1)
        crossed += np.sum(lower_moved & ~np.take_along_axis(moved, 1 - lower, 1))
        state = new
    assert crossed > 10
