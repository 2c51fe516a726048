"""Splits of one data set: every score against a slow twin, every integral against quadrature."""

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from bayesinf.data import curve_from_arrays
from bayesinf.models import gp
from bayesinf.models.gp import splits
from bayesinf.priors import LogNormal


def rng(*key):
    return np.random.default_rng(key)


def process(x, y, kernel, mean="zero", error=None, **options):
    """A process on arrays."""
    return gp.process(curve_from_arrays(x, y, error), kernel, mean, **options)


def points(key=1, size=12):
    draw = rng(key)
    x = np.sort(draw.uniform(0, 5, size))
    return x, np.sin(1.5 * x) + 0.2 * draw.normal(size=size), draw.uniform(0.1, 0.4, size)


# ── Slow twins, in plain numbers ─────────────────────────────────────────────────────────────────


def conditioned(x, y, order, training, covariance, mean=None):
    """Means and sds of the held-out data, and log N of the training data, by explicit solves."""
    mean = np.zeros_like(y) if mean is None else mean
    seen, unseen = order[:training], order[training:]
    inside = covariance[np.ix_(seen, seen)]
    centre, sd = [], []
    for i in unseen:
        weight = np.linalg.solve(inside, covariance[seen, i])
        centre.append(mean[i] + weight @ (y[seen] - mean[seen]))
        sd.append(np.sqrt(covariance[i, i] - weight @ covariance[seen, i]))
    evidence = stats.multivariate_normal(mean[seen], inside).logpdf(y[seen])
    return np.array(centre), np.array(sd), evidence


def crps_by_integration(cdf, y, low, high):
    """∫ (F(t) − [t ≥ y])² dt."""
    below, _ = integrate.quad(lambda t: cdf(t) ** 2, low, y, limit=200)
    above, _ = integrate.quad(lambda t: (1 - cdf(t)) ** 2, y, high, limit=200)
    return below + above


def scores_of_normals(y, centre, sd):
    """What each score is called, by its definition, averaged over the data."""
    found = {
        "error": np.abs(y - centre),
        "z2": (y - centre) ** 2 / sd**2,
        "log_density": stats.norm(centre, sd).logpdf(y),
        "crps": [
            crps_by_integration(stats.norm(m, s).cdf, v, min(v, m - 9 * s), max(v, m + 9 * s))
            for v, m, s in zip(y, centre, sd, strict=True)
        ],
    }
    for level in (0.5, 0.8, 0.95):
        low, high = stats.norm(centre, sd).interval(level)
        found[f"coverage_{100 * level:.0f}"] = (low <= y) & (y <= high)
    return {name: np.mean(values) for name, values in found.items()}


def covariance_by_hand(x, scale, amplitude, variance):
    away = np.abs(x[:, None] - x)
    return amplitude**2 * np.exp(-away / scale) + np.diag(variance + 0 * x)


# ── Fixed hyperparameters ────────────────────────────────────────────────────────────────────────


def test_orders_are_random_and_hold_each_observation_once():
    found = splits.orders(rng(2), 400, 7)
    np.testing.assert_array_equal(np.sort(found, axis=1), np.tile(np.arange(7), (400, 1)))
    # Any observation is as likely to come first: 400/7 ± 4 sd of a binomial.
    assert np.abs(np.bincount(found[:, 0], minlength=7) - 400 / 7).max() < 4 * 7


@pytest.mark.parametrize("training", [1, 5, 11])
@pytest.mark.parametrize("known", [False, True])
def test_fixed_scores_are_those_of_explicit_conditioning(training, known):
    x, y, error = points()
    numbers = {"length_scale": 0.8, "amplitude": 1.1, "noise": 0.15, "r0": 2.0}
    error = error if known else None
    problem = process(x, y, "exponential", "repulsive", error)
    theta = {name: np.full(2, value) for name, value in numbers.items()}
    theta["gamma"] = np.array([0.0, 1.5])
    order = splits.orders(rng(3), 6, len(x))
    found = splits.fixed(problem, theta, order, training)
    assert set(found) == set(splits.SCORES)
    variance = 0.15**2 + (error**2 if known else 0)
    matrix = covariance_by_hand(x, 0.8, 1.1, variance)
    for k, gamma in enumerate((0.0, 1.5)):
        wall = gamma * np.where(x < 2.0, 2.0 - x, 0.0)
        for i, row in enumerate(order):
            centre, sd, _ = conditioned(x, y, row, training, matrix, wall)
            for name, expected in scores_of_normals(y[row[training:]], centre, sd).items():
                assert found[name].shape == (2, 6)
                assert found[name][k, i] == pytest.approx(expected, rel=1e-7, abs=1e-9), name


def test_a_zero_mean_is_scored_like_a_wall_without_height():
    x, y, _ = points()
    theta = {"length_scale": [0.8], "amplitude": [1.1], "noise": [0.1]}
    flat = {name: np.array(value) for name, value in theta.items()}
    wall = flat | {"gamma": np.zeros(1), "r0": np.ones(1)}
    order = splits.orders(rng(4), 3, len(x))
    found = splits.fixed(process(x, y, "exponential"), flat, order, 6)
    walled = splits.fixed(process(x, y, "exponential", "repulsive"), wall, order, 6)
    for name, expected in walled.items():
        assert found[name].shape == (1, 3)
        np.testing.assert_allclose(found[name], expected, rtol=1e-12)


@pytest.mark.parametrize("workers", [1, 2])
def test_parts_and_threads_change_no_score(monkeypatch, workers):
    x, y, _ = points()
    numbers = {"length_scale": 0.8, "amplitude": 1.1, "noise": 0.1, "gamma": 1.0, "r0": 1.0}
    theta = {name: np.array([value]) for name, value in numbers.items()}

    def on(workers):
        return process(x, y, "exponential", "repulsive", workers=workers)

    order = splits.orders(rng(4), 30, len(x))
    at_once = splits.fixed(on(1), theta, order, 6)
    monkeypatch.setattr(splits, "CHUNK", 4 * len(x) ** 2)  # four splits at a time, the last two
    in_parts = splits.fixed(on(workers), theta, order, 6)
    for name, expected in at_once.items():
        np.testing.assert_allclose(in_parts[name], expected, rtol=1e-12)
    alone, found = (splits.integrated(on(n), {6: order[:3]}, rng(5))[6] for n in (1, workers))
    for name, expected in alone.items():
        np.testing.assert_array_equal(found[name], expected)


# ── Mixtures ─────────────────────────────────────────────────────────────────────────────────────


def mixture(key=6, parts=8, size=4):
    draw = rng(key)
    return (
        1.5 * draw.normal(size=size),
        draw.normal(size=(parts, size)),
        draw.uniform(0.2, 1.0, (parts, size)),
    )


def test_the_crps_of_a_mixture_is_the_integral_over_its_distribution():
    y, centre, sd = mixture()
    found = splits.mixture_scores(y, centre, sd)
    expected = [
        crps_by_integration(
            lambda t, i=i: stats.norm(centre[:, i], sd[:, i]).cdf(t).mean(), y[i], -15, 15
        )
        for i in range(4)
    ]
    assert found["crps"] == pytest.approx(np.mean(expected), rel=1e-6)


@pytest.mark.parametrize("key", range(3))
def test_scores_of_a_mixture_are_those_of_its_density(key):
    y, centre, sd = mixture(key)
    found = splits.mixture_scores(y, centre, sd)
    expected = {name: [] for name in ("error", "z2", "log_density", *splits.SCORES[4:])}
    for i in range(4):

        def density(t, i=i):
            return stats.norm(centre[:, i], sd[:, i]).pdf(t).mean()

        def cdf(t, i=i):
            return stats.norm(centre[:, i], sd[:, i]).cdf(t).mean()

        def moment(k, f=density):
            return integrate.quad(lambda t: t**k * f(t), -15, 15, limit=200)[0]

        mean, square = moment(1), moment(2)
        expected["error"].append(abs(y[i] - mean))
        expected["z2"].append((y[i] - mean) ** 2 / (square - mean**2))
        expected["log_density"].append(np.log(density(y[i])))
        for level in splits.LEVELS:
            low, high = (
                optimize.brentq(lambda t, p=p, F=cdf: F(t) - p, -20, 20)
                for p in ((1 - level) / 2, (1 + level) / 2)
            )
            expected[f"coverage_{100 * level:.0f}"].append(low <= y[i] <= high)
    for name, values in expected.items():
        assert found[name] == pytest.approx(np.mean(values), rel=1e-6, abs=1e-9), name


def test_a_mixture_of_one_normal_is_that_normal():
    y, centre, sd = mixture(parts=1)
    alone = splits.mixture_scores(y, np.tile(centre, (3, 1)), np.tile(sd, (3, 1)))
    normal = splits.normal_scores(y - centre[0], sd[0])
    assert set(alone) == set(normal)
    for name, expected in normal.items():
        assert alone[name] == pytest.approx(expected, rel=1e-9), name


# ── Integrated hyperparameters ───────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def one_free():
    """A process of which only the noise is inferred, and its splits of two sizes."""
    x, y, _ = points(8, 16)
    prior = LogNormal(0.3, 1.0)
    kernel = gp.Exponential(length_scale=1.5, amplitude=1.0)
    problem = process(x, y, kernel, priors={"noise": prior})
    order = {size: splits.orders(rng(9, size), 8, 16) for size in (6, 12)}
    return problem, prior, order, splits.integrated(problem, order, rng(10))


@pytest.mark.parametrize("training", [6, 12])
def test_scores_over_an_uncertain_noise_are_those_of_quadrature(one_free, training):
    problem, prior, orders, found = one_free
    x, y = problem.x, problem.y
    grid = prior.median * np.exp(prior.spread * np.linspace(-5, 5, 161))
    off = {name: [] for name in ("log_density", "error", "crps")}
    for i, row in enumerate(orders[training]):
        held_out = y[row[training:]]
        twins = [
            conditioned(x, y, row, training, covariance_by_hand(x, 1.5, 1.0, s**2)) for s in grid
        ]
        centre, sd, evidence = (np.array(part) for part in zip(*twins, strict=True))
        # Even steps in log σ, where the prior is normal.
        log_weight = evidence - 0.5 * (np.log(grid / prior.median) / prior.spread) ** 2
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        density = weight @ stats.norm(centre, sd).pdf(held_out)
        off["log_density"].append(found[training]["log_density"][i] - np.log(density).mean())
        error = np.abs(held_out - weight @ centre).mean()
        off["error"].append(found[training]["error"][i] / error - 1)

        def cdf(t, k, w=weight, c=centre, s=sd):
            return w @ stats.norm(c[:, k], s[:, k]).cdf(t)

        t = np.linspace(-8, 8, 3201)
        square = (
            [
                (cdf(t[:, None, None], [k])[:, 0] - (t >= value)) ** 2
                for k, value in enumerate(held_out)
            ]
            if i < 3
            else []
        )
        if square:
            crps = np.trapezoid(square, t, axis=1).mean()
            off["crps"].append(found[training]["crps"][i] / crps - 1)
    # Some 100 effective points of θ, of which two dozen are mixed.
    for name, values in off.items():
        assert np.abs(values).max() < 0.12, name
        assert abs(np.mean(values)) < 0.04, name


def test_averages_over_three_uncertain_hyperparameters_are_those_of_quadrature():
    # Sixty splits show a bias that the points of θ of one would hide.
    x, y, _ = points(8, 16)
    training, count = 12, 60
    names = ("length_scale", "amplitude", "noise")
    priors = {name: LogNormal(median, 1.0) for name, median in zip(names, (1, 1, 0.3), strict=True)}
    problem = process(x, y, "exponential", priors=priors)
    order = splits.orders(rng(9), count, 16)
    found = splits.integrated(problem, {training: order}, rng(10))[training]
    u = np.stack(np.meshgrid(*[np.linspace(-4, 4, 17)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    scale, amplitude, noise = (np.exp(u) * [1, 1, 0.3]).T[..., None, None]
    matrix = amplitude**2 * np.exp(-np.abs(x[:, None] - x) / scale) + noise**2 * np.eye(16)
    rows = []
    for row in order:
        seen, unseen = row[:training], row[training:]
        inside, across = matrix[:, seen[:, None], seen], matrix[:, seen[:, None], unseen]
        weight = np.linalg.solve(inside, across)
        centre = y[seen] @ weight
        variance = matrix[:, unseen, unseen] - np.sum(weight * across, axis=1)
        square = y[seen] @ np.linalg.solve(inside, y[seen][:, None])[..., 0].T
        log_post = -0.5 * (square + np.linalg.slogdet(inside)[1] + np.sum(u**2, axis=1))
        share = np.exp(log_post - log_post.max())
        share /= share.sum()
        mean = share @ centre
        spread = share @ (variance + centre**2) - mean**2
        density = share @ stats.norm(centre, np.sqrt(variance)).pdf(y[unseen])
        rows.append(
            [
                np.log(density).mean(),
                ((y[unseen] - mean) ** 2 / spread).mean(),
                np.abs(y[unseen] - mean).mean(),
            ]
        )
    log_density, z2, error = np.mean(rows, axis=0)
    assert found["log_density"].mean() == pytest.approx(log_density, abs=0.02)
    assert found["z2"].mean() == pytest.approx(z2, rel=0.1)
    assert found["error"].mean() == pytest.approx(error, rel=0.02)


def test_the_effective_number_is_between_one_and_all_points(one_free):
    *_, found = one_free
    for scores in found.values():
        assert set(scores) == {*splits.SCORES, "effective"}
        assert scores["effective"].shape == scores["error"].shape == (8,)
        effective = scores["effective"]
        assert np.all((effective >= 1) & (effective <= splits.SHARED + splits.OWN))
        assert np.median(effective) > 20


def test_sizes_come_back_as_they_were_asked_for(one_free):
    problem, _, orders, found = one_free
    assert list(found) == [6, 12]
    again = splits.integrated(problem, orders, rng(10))
    np.testing.assert_array_equal(again[6]["crps"], found[6]["crps"])


def test_intervals_cover_what_they_say_when_the_truth_is_drawn_from_the_prior():
    priors = {
        "length_scale": LogNormal(1.0, 0.5),
        "amplitude": LogNormal(1.0, 0.5),
        "noise": LogNormal(0.3, 0.5),
    }
    x, count = np.linspace(0, 5, 15), 40
    covered = {level: np.empty(count) for level in (50, 80, 95)}
    z2 = np.empty(count)
    for k in range(count):
        draw = rng(11, k)
        theta = {name: prior.sample(draw) for name, prior in priors.items()}
        matrix = covariance_by_hand(
            x, theta["length_scale"], theta["amplitude"], theta["noise"] ** 2
        )
        y = np.linalg.cholesky(matrix) @ draw.standard_normal(15)
        problem = process(x, y, "exponential", priors=priors, workers=1)
        scores = splits.integrated(problem, {9: splits.orders(draw, 2, 15)}, draw)[9]
        for level, values in covered.items():
            values[k] = scores[f"coverage_{level}"].mean()
        z2[k] = scores["z2"].mean()
    # Twelve predictions a data set, which are correlated: the band is that of 40 to 480 trials.
    for level, values in covered.items():
        p = level / 100
        assert values.mean() == pytest.approx(p, abs=3 * np.sqrt(p * (1 - p) / (3 * count))), level
    assert z2.mean() == pytest.approx(1, abs=4 * z2.std() / np.sqrt(count))
