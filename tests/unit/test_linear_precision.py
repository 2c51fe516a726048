"""Digits: certified regressions, noise far below the spread of data, units that do not matter."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesinf.errors import DataError
from bayesinf.models import linear
from bayesinf.models.linear import exact, regression
from bayesinf.priors import (
    HalfCauchy,
    InverseChi,
    InverseGamma,
    LogUniform,
    Normal,
    OnVariance,
    StudentT,
)
from bayesinf.settings import Settings

SHORT = Settings(draws=50, chains=2, prior_draws=10, workers=1)

# ── NIST's sets that a rule makes: Wampler's polynomials, and lines through the origin ───────────

# What Wampler adds to his polynomials: no polynomial of degree five explains any of it.
HALF = [759, -2048, 2048, -2048, 2523, -2048, 2048, -2048, 1838, -2048]
RESIDUALS = np.array([*HALF, 2048, *HALF[::-1]], dtype=float)
STANDARD_ERRORS = np.array(
    [
        2152.32624678170,
        2363.55173469681,
        779.343524331583,
        101.475507550350,
        5.64566512170752,
        0.112324854679312,
    ]
)
X5 = np.vander(np.arange(21.0), 6, increasing=True)
SETS = {
    "Wampler3": (X5, X5 @ np.ones(6) + RESIDUALS, np.ones(6), STANDARD_ERRORS),
    "Wampler4": (X5, X5 @ np.ones(6) + 100 * RESIDUALS, np.ones(6), 100 * STANDARD_ERRORS),
    "Wampler5": (X5, X5 @ np.ones(6) + 1e4 * RESIDUALS, np.ones(6), 1e4 * STANDARD_ERRORS),
    "NoInt1": (
        np.arange(60.0, 71)[:, np.newaxis],
        np.arange(130.0, 141),
        [2.07438016528926],
        np.array([0.0165289256198347]),
    ),
    "NoInt2": (
        np.array([[4.0], [5.0], [6.0]]),
        np.array([3.0, 4.0, 4.0]),
        [0.727272727272727],
        np.array([0.0420827318078432]),
    ),
}


def moments(problem):
    """Mean and sd of each coefficient, and the mean of σ, in closed form."""
    posterior = exact.Posterior(problem)
    grid = posterior.scales.grid
    sigma = np.exp(posterior.scales.coordinates(*grid.axes)[1])
    return *posterior.moments(), np.sum(grid.weight * sigma)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("prior", ["flat", linear.Gaussian(1e14)], ids=["flat", "stated"])
def test_certified_parameters_and_standard_errors(name, prior):
    """Known noise gives the standard errors; where it is inferred they are those of Student's t."""
    X, y, parameters, errors = SETS[name]
    dof = len(y) - X.shape[1]
    residual = y - X @ parameters
    sd = np.sqrt(residual @ residual / dof)
    mean, found, _ = moments(regression(X, y, prior, noise=sd))
    np.testing.assert_allclose(mean, parameters, rtol=1e-6)
    np.testing.assert_allclose(found, errors, rtol=1e-4)
    if dof > 2:
        noise = LogUniform(1e-6 * sd, 1e6 * sd)
        mean, found, _ = moments(regression(X, y, prior, noise=noise))
        np.testing.assert_allclose(mean, parameters, rtol=1e-6)
        np.testing.assert_allclose(found, errors * np.sqrt(dof / (dof - 2)), rtol=1e-4)


@pytest.mark.parametrize("ratio", [1.0, 0.1], ids=["Wampler1", "Wampler2"])
@pytest.mark.parametrize("prior", ["flat", "normal"])
def test_certified_sets_without_noise_are_fitted(ratio, prior):
    parameters = ratio ** np.arange(6)
    y = X5 @ parameters
    found = linear.fit(X5, y, prior, settings=SHORT)
    mean = found["sample_stats"]["beta_closed_form_mean"]
    np.testing.assert_allclose(mean, parameters, rtol=1e-6)
    assert float(found["posterior"]["sigma"].max()) < 1e-12 * np.std(y)
    assert found["sample_stats"]["condition_number"] < 1e5


def test_the_condition_number_judges_the_design_and_not_the_prior():
    X, y, *_ = SETS["Wampler3"]
    wide = [
        exact.Posterior(regression(X, y, linear.Gaussian(scale), noise=1.0)).condition_number()
        for scale in (1e6, 1e12)
    ]
    unit = X / np.sqrt(np.sum(X**2, axis=0))
    assert wide == pytest.approx([np.linalg.cond(unit)] * 2)
    # Columns that are one and the same but for rounding are seen, whatever their units.
    same = np.stack([X[:, 1], 1e9 * X[:, 1] * (1 + 1e-15 * X[:, 2])], axis=1)
    twin = exact.Posterior(regression(same, y, linear.Gaussian(1e12), noise=1.0))
    assert twin.condition_number() > 1e12 or len(twin.spectrum.s) == 1


# ── Noise far below the spread ───────────────────────────────────────────────────────────────────


def by_quadrature(problem, log_scale, log_sigma):
    """Mean and sd of the weights, and mean of σ, in extended precision on a grid of the scales.

    Given the scales the density is that of least squares of data and prior stacked, by QR.
    """
    L, design = np.longdouble, problem.design
    X, t, free = design.stacked.astype(L), design.t.astype(L), design.Z.shape[1]
    count = X.shape[1]
    values, means, variances, sigmas = [], [], [], []
    for a, b in itertools.product(log_scale, log_sigma):
        scale, sigma = np.exp(L(a)), np.exp(L(b))
        sd = np.where(np.arange(count) < free, L(1), scale)
        Q, R = np.vstack([X / sigma, np.diag(1 / sd)]), np.zeros((count, count), L)
        stacked, target = Q.copy(), np.concatenate([t / sigma, np.zeros(count, L)])
        for j in range(count):  # Gram-Schmidt, each column twice
            for i in (*range(j), *range(j)):
                part = Q[:, i] @ Q[:, j]
                R[i, j] += part
                Q[:, j] -= part * Q[:, i]
            R[j, j] = np.sqrt(Q[:, j] @ Q[:, j])
            Q[:, j] /= R[j, j]
        inverse = np.zeros_like(R)
        for i in reversed(range(count)):
            unit = np.eye(count, dtype=L)[i]
            inverse[i] = (unit - R[i, i + 1 :] @ inverse[i + 1 :]) / R[i, i]
        mean = inverse @ (Q.T @ target)
        rest = target - stacked @ mean
        value = -0.5 * rest @ rest - np.sum(np.log(np.diag(R))) - np.sum(np.log(sd)) - len(t) * b
        value += problem.prior.scale.log_density(float(scale)) + a
        values.append(value + problem.noise.log_density(float(sigma)) + b)
        means.append(mean[free:])
        variances.append(np.sum(inverse**2, axis=1)[free:])
        sigmas.append(sigma)
    weight = np.exp(np.array(values) - max(values))
    weight /= weight.sum()
    mean = weight @ np.array(means)
    variance = weight @ (np.array(variances) + (np.array(means) - mean) ** 2)
    return mean.astype(float), np.sqrt(variance).astype(float), float(weight @ np.array(sigmas))


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("ratio", [1e-3, 1e-6, 1e-9])
def test_noise_far_below_the_spread_against_quadrature(ratio, intercept):
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, 8))
    y = 2 * x + ratio * noise + 5 * intercept
    problem = regression(x[:, np.newaxis], y, "normal", intercept=intercept)
    mean, sd, sigma = moments(problem)
    centre = np.log(problem.prior.scale.scale)
    grid = centre + np.linspace(-5, 9, 40), np.log(sigma) + np.linspace(-1.6, 2.4, 60)
    expected, spread, level = by_quadrature(problem, *grid)
    assert mean == pytest.approx(expected, abs=1e-4 * spread[0])
    assert sd == pytest.approx(spread, rel=3e-4)
    assert sigma == pytest.approx(level, rel=3e-4)
    # The stated prior is no constraint: σ is where the residuals are.
    assert 0.3 < sigma / (ratio * np.std(noise)) < 2


@pytest.mark.parametrize("prior", ["normal", "laplace", "student", "horseshoe", "spike_and_slab"])
def test_every_route_finds_noise_far_below_the_spread(prior):
    rng = np.random.default_rng(1)
    X, noise = rng.normal(size=(25, 2)), rng.normal(size=25)
    y = X @ [1.0, -2.0] + 1e-7 * noise
    own = SHORT.replace(draws=200, tune=500)
    found = linear.fit(X, y, prior, intercept=True, settings=own)["posterior"]
    assert float(found["sigma"].mean()) == pytest.approx(1e-7, rel=0.3)
    np.testing.assert_allclose(found["beta"].mean(("chain", "draw")), [1.0, -2.0], atol=1e-7)
    assert float(found["beta"].std(("chain", "draw")).max()) < 5e-8


# ── Units and origins ────────────────────────────────────────────────────────────────────────────

RNG = np.random.default_rng(2)
X3 = RNG.normal(size=(30, 3))
Y3 = X3 @ [1.0, -2.0, 0.5] + 3.0 + 0.2 * RNG.normal(size=30)


@given(
    scale=st.sampled_from([1e-20, 1e-3, 1.0, 1e12]),
    shift=st.sampled_from([0.0, 3.0, 1e6, 1e9]),
    units=st.lists(st.sampled_from([1e-8, 1.0, 1e8]), min_size=3, max_size=3),
    origin=st.sampled_from([0.0, 1e3, 1e6]),
)
@settings(max_examples=12, deadline=None)
def test_units_and_origins_do_not_matter(scale, shift, units, origin):
    """With an intercept the model maps into itself: so does the posterior, to a millionth."""
    units = np.array(units)
    mean, sd, sigma = moments(regression(X3, Y3, intercept=True))
    other = regression((X3 + origin) * units, (Y3 + shift) * scale, intercept=True)
    found, spread, noise = moments(other)
    np.testing.assert_allclose(found * units / scale, mean, atol=1e-6 * sd.min())
    np.testing.assert_allclose(spread * units / scale, sd, rtol=1e-6)
    assert noise / scale == pytest.approx(sigma, rel=1e-6)


@pytest.mark.parametrize("prior", ["normal", "laplace", "student", "horseshoe", "spike_and_slab"])
def test_draws_follow_units_and_origin(prior):
    """The same seed draws the same values in other units; chains agree for as long as rounding."""
    own = SHORT.replace(draws=20, tune=0 if prior != "normal" else 20)
    one = linear.fit(X3, Y3, prior, intercept=True, settings=own)["posterior"]
    far = linear.fit(X3, (Y3 + 1e6) * 1e-12, prior, intercept=True, settings=own)["posterior"]
    for name in ("beta", "sigma"):
        np.testing.assert_allclose(far[name][:, :3] * 1e12, one[name][:, :3], rtol=1e-6, atol=1e-9)


# ── Flat priors and columns of their own ─────────────────────────────────────────────────────────


def test_a_flat_prior_gives_least_squares_whatever_the_columns():
    X = X3 * [1e-6, 1.0, 1e6]
    problem = regression(X, Y3, "flat", intercept=Normal(0.0, 1e9), noise=0.2)
    design = np.column_stack([np.ones(30), X])
    unit = np.sqrt(np.sum(design**2, axis=0))
    expected = np.linalg.lstsq(design / unit, Y3, rcond=None)[0] / unit
    covariance = 0.04 * np.linalg.inv((design / unit).T @ (design / unit))
    mean, sd, _ = moments(problem)
    np.testing.assert_allclose(mean, expected[1:], rtol=1e-9)
    np.testing.assert_allclose(sd, (np.sqrt(np.diag(covariance)) / unit)[1:], rtol=1e-9)
    assert "Normal(0, scale²)" in problem.priors["beta"] and "fixed" in problem.priors["scale"]


def test_unshrunk_columns_that_repeat_each_other_are_decided_by_their_priors():
    column = X3[:, 0]
    columns = {"one": (column, Normal(0.0, 1.0)), "two": (column, Normal(1.0, 2.0))}
    problem = regression(X3[:, 1:], Y3, linear.Gaussian(1.0), unshrunk=columns, noise=0.2)
    draws, _ = exact.Posterior(problem).draw(np.random.default_rng(0), 4000)
    found = problem.outer(draws)
    A = np.column_stack([column, column, X3[:, 1:]])
    prior = np.diag([1.0, 0.25, 1.0, 1.0])
    covariance = np.linalg.inv(A.T @ A / 0.04 + prior)
    mean = covariance @ (A.T @ Y3 / 0.04 + prior @ [0.0, 1.0, 0.0, 0.0])
    sd = np.sqrt(np.diag(covariance))
    for k, name in enumerate(("one", "two")):
        assert found[name].mean() == pytest.approx(mean[k], abs=4 * sd[k] / 60)
        assert found[name].std() == pytest.approx(sd[k], rel=0.05)
    beta, spread = exact.Posterior(problem).moments()
    np.testing.assert_allclose(beta, mean[2:], rtol=1e-9)
    np.testing.assert_allclose(spread, sd[2:], rtol=1e-9)


def test_a_default_scale_is_unchanged_by_the_noise_prior():
    assert isinstance(regression(X3, Y3).prior.scale, HalfCauchy)


def test_a_prior_of_the_variance_is_the_same_as_one_of_the_standard_deviation():
    stated = OnVariance(InverseGamma(1.5, 1.5 * 0.3**2))
    one = moments(regression(X3, Y3, noise=stated, intercept=True))
    two = moments(regression(X3, Y3, noise=InverseChi(3.0, 0.3), intercept=True))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"noise": Normal(1.0, 0.1)}, "the prior of noise reaches below zero"),
        ({"prior": linear.Gaussian(StudentT(3.0))}, "the prior of scale reaches below zero"),
        ({"noise": LogUniform(0.0, 1.0)}, "lower of a prior cannot be 0.0"),
        ({"intercept": StudentT(3.0)}, "no such prior; expected a Normal"),
    ],
)
def test_priors_that_do_not_fit_are_refused(options, words):
    with pytest.raises(DataError, match=words):
        regression(X3, Y3, **options)
