"""Population Monte Carlo on densities whose answer is known."""

import numpy as np
import pytest
from scipy import integrate, stats

from bayesinf.errors import FitError
from bayesinf.inference import population

CHAINS, DRAWS = 4, 3000
MEAN = np.array([0.4, -0.6, 0.1])
SD = np.array([1.0, 0.3, 0.05])
CORRELATION = np.array([[1.0, 0.8, -0.3], [0.8, 1.0, 0.2], [-0.3, 0.2, 1.0]])
COVARIANCE = CORRELATION * np.outer(SD, SD)


def rngs(*key, chains=CHAINS):
    return [np.random.default_rng([*key, k]) for k in range(chains + 1)]


def on_points(log_density):
    """The density as ``sample`` documents it: points in a matrix, and nothing else."""

    def strict(points):
        assert points.ndim == 2
        found = log_density(points)
        assert found.shape == points.shape[:1]
        return found

    return strict


def normal(points, mean=MEAN, covariance=COVARIANCE):
    return stats.multivariate_normal(mean, covariance).logpdf(points)


def errors_of_a_normal(draws, mean=MEAN, covariance=COVARIANCE):
    """Worst error of whitened mean, sd and correlation: each about 0.01 where all is right."""
    flat = draws.reshape(-1, len(mean)) - mean
    z = np.linalg.solve(np.linalg.cholesky(covariance), flat.T)
    return max(np.abs(z.mean(axis=1)).max(), np.abs(np.cov(z) - np.eye(len(mean))).max())


def mixture(share, far, sd, first=0.3):
    """Log density of two normals in the plane, of which the second is small and elsewhere."""

    def log_density(points):
        near = -0.5 * np.sum(points**2, axis=-1) / first**2 - 2 * np.log(first)
        away = -0.5 * np.sum((points - far) ** 2, axis=-1) / sd**2 - 2 * np.log(sd)
        return np.logaddexp(np.log(1 - share) + near, np.log(share) + away)

    return log_density


def second_mode(draws, far):
    """Whether draws belong to the second mode, (chain, draw)."""
    return draws.sum(axis=-1) > far


def longest_stay(draws):
    """Draws during which a chain does not move, the most."""
    moved = np.any(np.diff(draws, axis=0) != 0, axis=1)
    return np.diff(np.flatnonzero(np.r_[True, moved, True])).max()


# ── Targets ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("width", [0.5, 1.0, 2.0])
def test_a_correlated_normal_is_found_whatever_width_it_began_with(width):
    found = population.sample(normal, [MEAN], [width**2 * COVARIANCE], rngs(1), DRAWS)
    assert found.draws.shape == (CHAINS, DRAWS, 3)
    assert errors_of_a_normal(found.draws) < 0.05
    assert 0.7 < found.efficiency <= 1
    assert found.acceptance_rate.shape == (CHAINS,) and found.acceptance_rate.min() > 0.6


@pytest.mark.parametrize(
    ("mean", "covariance"),
    [(MEAN + 0.15 * SD, COVARIANCE), (MEAN, 1.15**2 * COVARIANCE), (MEAN, np.diag(SD**2))],
    ids=["shifted", "wider", "uncorrelated"],
)
def test_the_same_tolerance_rejects_another_normal(mean, covariance):
    def wrong(points):
        return normal(points, mean, covariance)

    found = population.sample(wrong, [mean], [covariance], rngs(2), DRAWS)
    assert errors_of_a_normal(found.draws, mean, covariance) < 0.05
    assert errors_of_a_normal(found.draws) > 0.1


def test_a_mode_that_was_not_given_has_its_share():
    density = on_points(mixture(0.3, 2.0, 0.25))
    shares = []
    for seed in range(8):
        found = population.sample(density, [np.zeros(2)], [0.09 * np.eye(2)], rngs(3, seed), 1500)
        shares.append(second_mode(found.draws, 2.0).mean())
    # Of 6000 draws, some of them repeated, the share is known to about 0.008.
    assert np.mean(shares) == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(shares, 0.3, atol=0.04)


@pytest.mark.parametrize("given", [[0.0, 2.0], [2.0, 0.0]], ids=["in order", "the small one first"])
def test_modes_that_were_given_have_their_shares(given):
    centres, widths = np.array(given)[:, None] * np.ones(2), [0.3, 0.25]
    found = population.sample(
        mixture(0.15, 2.0, 0.25),
        centres,
        [w**2 * np.eye(2) for w in widths],
        rngs(4),
        DRAWS,
    )
    assert second_mode(found.draws, 2.0).mean() == pytest.approx(0.15, abs=0.02)


def test_a_chain_does_not_stay_where_the_first_proposal_had_missed_a_mode():
    # The second mode is so narrow that the fit of the proposal may miss it and the chains come upon
    # it: the point found there weighs a thousand times too much for the old proposal, and as much
    # as any other for the proposal that has since learnt of it.
    density, stays = mixture(0.3, 2.0, 0.05), []
    for seed in range(40):
        found = population.sample(density, [np.zeros(2)], [0.09 * np.eye(2)], rngs(seed), 500)
        stays.append(max(map(longest_stay, found.draws)))
    assert max(stays) < 40


def test_heavy_tails_are_reached():
    dof = 4.0

    def density(points):
        return np.sum(stats.t(dof).logpdf(points), axis=-1)

    found = population.sample(density, [np.zeros(2)], [np.eye(2)], rngs(5), DRAWS)
    for axis in range(2):
        draws = found.draws[..., axis].ravel()
        for share in (0.01, 0.05, 0.5, 0.95, 0.99):
            below = np.mean(draws < stats.t(dof).ppf(share))
            assert below == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / 5000))


def test_a_bent_density_has_the_moments_of_quadrature():
    def bent(x, y):
        return -0.5 * x**2 - 0.5 * ((y - 0.8 * (x**2 - 1)) / 0.4) ** 2

    def density(points):
        return bent(points[..., 0], points[..., 1])

    found = population.sample(density, [[0.0, -0.8]], [np.diag([1.0, 0.2])], rngs(6), DRAWS)
    x, y = np.linspace(-8, 8, 801), np.linspace(-8, 40, 2401)
    weight = np.exp(bent(x[:, None], y))

    def weigh(g):
        return integrate.simpson(integrate.simpson(g * weight, x=y), x=x)

    moments = {
        "x": x[:, None],
        "y": y + 0 * x[:, None],
        "y²": y**2 + 0 * x[:, None],
        "x²y": x[:, None] ** 2 * y,
    }
    drawn = dict(zip("xy", np.moveaxis(found.draws, -1, 0), strict=True))
    drawn |= {"y²": drawn["y"] ** 2, "x²y": drawn["x"] ** 2 * drawn["y"]}
    for name, g in moments.items():
        exact = weigh(g) / weigh(1.0)
        spread = np.sqrt(weigh(g**2) / weigh(1.0) - exact**2)
        assert drawn[name].mean() == pytest.approx(exact, abs=5 * spread / np.sqrt(5000)), name


def test_nothing_is_drawn_outside_the_support():
    def density(points):
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where((points > 0).all(axis=-1), -3 * np.sum(points, axis=-1), -np.inf)

    found = population.sample(density, [[0.1, 0.1]], [0.09 * np.eye(2)], rngs(7), DRAWS)
    assert found.draws.min() > 0 and np.isfinite(found.log_weight).all()
    np.testing.assert_allclose(found.draws.mean(axis=(0, 1)), 1 / 3, atol=0.02)
    np.testing.assert_allclose(found.draws.std(axis=(0, 1)), 1 / 3, atol=0.03)


def test_a_density_without_support_says_so():
    def nowhere(points):
        return np.full(points.shape[:-1], -np.inf)

    with pytest.raises(FitError, match="support") as caught:
        population.sample(nowhere, [MEAN], [COVARIANCE], rngs(8), 100)
    assert "\n" not in str(caught.value) and "centres" in caught.value.evidence


# ── What comes with the draws ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(6))
def test_the_density_is_asked_for_a_matrix_of_points_and_all_of_them_are_counted(seed):
    asked = []

    def density(points):
        asked.append(len(points))
        return mixture(0.3, 2.0, 0.1)(points)

    found = population.sample(
        on_points(density), [np.zeros(2)], [0.09 * np.eye(2)], rngs(9, seed), 500
    )
    assert len(asked) < 40  # a few calls for many points each, whatever the number of draws
    assert found.evaluations == sum(asked)


def test_weights_are_equal_but_for_the_tails_where_the_proposal_fits():
    found = population.sample(normal, [MEAN], [COVARIANCE], rngs(10), DRAWS)
    weight = np.exp(found.log_weight - found.log_weight.max())
    assert found.log_weight.shape == (CHAINS, DRAWS)
    # The proposal's share where the density is: all but most of the component that stays, 0.1.
    assert 0.87 < np.exp(-found.log_weight).mean() < 1.01
    assert weight.std() / weight.mean() < 0.4


def test_the_generators_decide_the_draws_and_each_its_own_chain():
    density = mixture(0.3, 2.0, 0.25)

    def run(generators):
        return population.sample(density, [np.zeros(2)], [0.09 * np.eye(2)], generators, 200)

    first, second, other = run(rngs(11)), run(rngs(11)), run(rngs(12))
    np.testing.assert_array_equal(first.draws, second.draws)
    np.testing.assert_array_equal(first.log_weight, second.log_weight)
    assert not np.array_equal(first.draws, other.draws)
    for a in range(CHAINS):
        for b in range(a):
            assert not np.isin(first.draws[a], first.draws[b]).all(axis=-1).any()


def test_chains_are_one_as_good_as_the_other():
    found = population.sample(normal, [MEAN], [COVARIANCE], rngs(13), DRAWS)
    scores = (found.draws.mean(axis=1) - MEAN) / (SD / np.sqrt(DRAWS / 2))
    assert np.abs(scores).max() < 4.5


@pytest.mark.parametrize("base", [None, (np.array([5.0, 5.0]), 4.0 * np.eye(2))])
def test_the_component_that_stays_is_where_it_was_said_to_be(base):
    # A mode between four and ten sds away from everything that is given, but well inside the base.
    far = 1.2 if base is None else 5.0
    density = mixture(0.5, far, 0.2, first=0.1)
    options = {} if base is None else {"base": base}
    found = population.sample(
        density, [np.zeros(2)], [0.01 * np.eye(2)], rngs(14), DRAWS, **options
    )
    assert second_mode(found.draws, far).mean() == pytest.approx(0.5, abs=0.04)
