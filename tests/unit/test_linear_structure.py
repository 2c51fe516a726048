"""Structure in the linear family: bases, null spaces, unshrunk columns, error bars, evidence."""

import itertools

import density
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from regressions import beside, free_values
from scipy import sparse, stats
from test_linear import flat

from bayesinf.errors import DataError, FitError
from bayesinf.models import linear
from bayesinf.models.linear import exact, regression, spike
from bayesinf.priors import HalfCauchy, InverseChi, Normal
from bayesinf.settings import Settings

SHORT = Settings(draws=50, tune=50, chains=2, prior_draws=20, workers=1)
LONG = Settings(draws=4000, tune=200, chains=4, prior_draws=4)
LEVEL, SLOPE = Normal(0.5, 2.0), Normal(-0.2, 3.0)


def second(count):
    """The second difference operator."""
    return np.diff(np.eye(count), 2, axis=0)


def toy(n=14, p=6, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    f = np.sin(np.arange(p) / 2.0)
    return X, X @ f + 0.2 * rng.normal(size=n), rng.uniform(0.5, 2.0, n)


BASES = {
    "first": lambda p: linear.differences(p, 1, 0.5, level=LEVEL),
    "second": lambda p: linear.differences(p, 2, 0.5, level=LEVEL, slope=SLOPE),
    "covariance": lambda p: linear.covariance(
        np.exp(-0.5 * np.subtract.outer(np.arange(p), np.arange(p)) ** 2), level=LEVEL
    ),
    "precision": lambda p: linear.precision(
        sparse.csr_array(second(p).T @ second(p)),
        null={"level": (np.ones(p), LEVEL), "slope": (np.arange(p) - (p - 1) / 2, SLOPE)},
    ),
    "matrix": lambda p: np.random.default_rng(7).normal(size=(p, p - 2)),
}
PRIORS = {
    "normal": linear.Gaussian(HalfCauchy(1.0)),
    "laplace": linear.Laplace(HalfCauchy(0.5)),
    "spike_and_slab": linear.SpikeAndSlab(0.4, HalfCauchy(1.0)),
    "horseshoe": linear.Horseshoe(HalfCauchy(0.5), InverseChi(4.0, 1.0)),
}


def structured(prior, name, **options):
    """A regression with everything that one can have."""
    X, y, error = toy()
    basis = BASES[name](X.shape[1]) if name else None
    count = X.shape[1] if basis is None else np.shape(getattr(basis, "matrix", basis))[1]
    options = {
        "unshrunk": {"trend": (np.linspace(-1, 1, len(y)), Normal(0.3, 1.5))},
        "means": np.linspace(0.0, 0.3, X.shape[1]),
        "scales": np.linspace(0.5, 2.0, count),
        "error": error,
        "noise": InverseChi(3.0, 0.3),
        "intercept": True,
        "name": "f",
    } | options
    return regression(X, y, prior, basis=basis, **options)


def dense(problem, scale, sigma):
    """Prior mean and covariance of f and of the data, all written out."""
    X, free = problem.X - (0.0 if problem.centre is None else problem.centre), problem.free
    T, N, offset = problem.coefficient_map()
    T = T.toarray() if hasattr(T, "toarray") else T
    covariance = scale**2 * T @ T.T + N @ N.T
    mean = X @ offset
    K = X @ covariance @ X.T
    cross = covariance @ X.T
    for name, (column, prior) in problem.unshrunk.items():
        mean = mean + prior.mean * column
        K = K + free[name].sd ** 2 * np.outer(column, column)
    error = np.ones(len(problem.y)) if problem.error is None else problem.error
    return mean, K + np.diag((sigma * error) ** 2), offset, covariance, cross


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("name", [None, *BASES])
def test_densities_are_those_of_the_definition(prior, name):
    problem = structured(PRIORS[prior], name)

    extra = beside(problem)
    density.holds(problem, values=free_values(problem), extra=extra, centred=True, rel=1e-7)


def test_a_wrong_density_is_seen():
    problem = structured(PRIORS["normal"], "second")
    density.must_fail(problem, values=free_values(problem), centred=True)


@pytest.mark.parametrize("name", [None, *BASES])
@given(seed=st.integers(0, 1000))
@settings(max_examples=5, deadline=None)
def test_weights_come_back_from_coefficients(name, seed):
    problem = structured(PRIORS["normal"], name)
    rng = np.random.default_rng(seed)
    draws = {
        "beta": rng.normal(size=(3, problem.weights)),
        "alpha": rng.normal(size=(3, len(problem.free))),
    }
    inner = problem.inner(problem.outer(draws))
    np.testing.assert_allclose(inner["beta"], draws["beta"], atol=1e-9)
    for k, (name, prior) in enumerate(problem.free.items()):
        np.testing.assert_allclose(inner[name], prior.mean + prior.sd * draws["alpha"][:, k])


# ── Bases ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("order", [1, 2])
def test_differences_of_the_basis_are_the_weights(order):
    basis = linear.differences(9, order, 0.25)
    operator = np.diff(np.eye(9), order, axis=0) / 0.25**order
    np.testing.assert_allclose(operator @ basis.matrix, np.eye(9 - order), atol=1e-10)
    np.testing.assert_allclose(operator @ basis.columns, 0.0, atol=1e-10)
    np.testing.assert_allclose(basis.matrix.T @ basis.columns, 0.0, atol=1e-10)
    np.testing.assert_allclose(basis.matrix, np.linalg.pinv(operator), atol=1e-10)


def test_a_precision_and_its_differences_are_one_prior():
    one, other = (BASES[name](8).matrix for name in ("second", "precision"))
    np.testing.assert_allclose(0.5**-4 * one @ one.T, other @ other.T, rtol=1e-7, atol=1e-9)


def test_a_covariance_is_that_of_its_basis():
    K = np.exp(-0.5 * np.subtract.outer(np.arange(8), np.arange(8)) ** 2 / 9)
    C = linear.covariance(K).matrix
    np.testing.assert_allclose(C @ C.T, K, atol=1e-10)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: linear.differences(9, 3), "order of differences"),
        (lambda: linear.differences(2, 1), "too few"),
        (lambda: linear.Basis(np.ones((4, 2))), "depend on each other"),
        (lambda: linear.Basis(np.eye(3, 5)), "depend on each other"),
        (lambda: linear.Basis(np.eye(3), {"level": (np.ones(2), None)}), "does not fit together"),
        (lambda: linear.covariance(np.arange(6.0).reshape(2, 3)), "symmetric"),
        (lambda: linear.precision(second(6).T @ second(6)), "no prior"),
        (
            lambda: linear.precision(np.eye(3), null={"level": (np.ones(3), None)}),
            "no prior",
        ),
    ],
)
def test_a_basis_that_is_none_is_refused(make, words):
    with pytest.raises(DataError, match=words):
        make()


# ── The exact route ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [None, *BASES])
@pytest.mark.parametrize("known", [True, False])
def test_moments_of_coefficients_against_the_dense_normal(name, known):
    prior = linear.Gaussian(0.7 if known else HalfCauchy(1.0))
    problem = structured(prior, name, noise=0.4 if known else InverseChi(3.0, 0.3))
    mean, sd = exact.Posterior(problem).moments()

    def conditional(scale, sigma):
        centre, K, offset, covariance, cross = dense(problem, scale, sigma)
        gain = np.linalg.solve(K, cross.T).T
        first = offset + gain @ (problem.y - centre)
        return np.stack([first, np.diag(covariance) - np.sum(gain * cross, axis=1) + first**2])

    grid = [(0.7, 0.4)]
    if not known:
        axes = np.exp(np.linspace(np.log(1e-2), np.log(1e2), 40)), np.exp(np.linspace(-4, 1, 40))
        grid = list(itertools.product(*axes))
    weight = np.array([joint(problem, *at) + (0 if known else np.log(at).sum()) for at in grid])
    weight = np.exp(weight - weight.max())
    first, square = np.tensordot(weight / weight.sum(), [conditional(*at) for at in grid], 1)
    tolerance = {"rtol": 1e-8, "atol": 1e-10} if known else {"rtol": 0.01, "atol": 3e-3}
    np.testing.assert_allclose(mean, first, **tolerance)
    np.testing.assert_allclose(sd, np.sqrt(square - first**2), **tolerance)


def joint(problem, scale, sigma):
    """log p(y, scale, σ) by the dense covariance."""
    mean, K, *_ = dense(problem, scale, sigma)
    factor = np.linalg.cholesky(K)
    z = np.linalg.solve(factor, problem.y - mean)
    value = -0.5 * z @ z - np.sum(np.log(np.diag(factor))) - 0.5 * len(z) * np.log(2 * np.pi)
    if "scale" in problem.prior.inferred:
        value += problem.prior.scale.log_density(scale)
    return value if problem.noise_fixed else value + problem.noise.log_density(sigma)


@pytest.mark.parametrize("name", [None, "second", "matrix"])
def test_evidence_against_the_dense_normal(name):
    problem = structured(linear.Gaussian(0.7), name, noise=0.4)
    assert problem.log_evidence() == pytest.approx(joint(problem, 0.7, 0.4), rel=1e-10)


@pytest.mark.parametrize("fixed", ["scale", "noise", None])
@pytest.mark.parametrize("name", [None, "second"])
def test_evidence_against_quadrature(name, fixed):
    prior = linear.Gaussian(0.7 if fixed == "scale" else HalfCauchy(1.0))
    problem = structured(prior, name, noise=0.4 if fixed == "noise" else InverseChi(3.0, 0.3))
    scales, step = np.linspace(-7, 7, 120, retstep=True)
    noises, tick = np.linspace(-4, 2, 80, retstep=True)
    scales, step = (np.log([0.7]), None) if fixed == "scale" else (scales, step)
    noises, tick = (np.log([0.4]), None) if fixed == "noise" else (noises, tick)
    area = np.prod([one for one in (step, tick) if one])
    value = [
        joint(problem, np.exp(a), np.exp(b)) + (a if step else 0) + (b if tick else 0)
        for a, b in itertools.product(scales, noises)
    ]
    expected = np.logaddexp.reduce(value) + np.log(area)
    assert problem.log_evidence() == pytest.approx(expected, abs=2e-3)


def test_evidence_is_a_density_of_the_data_in_their_unit():
    X, y, _ = toy()
    first = regression(X, y, "normal", intercept=True).log_evidence()
    other = regression(X, 1000 * y, "normal", intercept=True).log_evidence()
    assert other == pytest.approx(first - len(y) * np.log(1000), abs=1e-6)


def test_evidence_is_stored_and_named_where_there_is_none():
    X, y, _ = toy()
    fit = linear.fit(X, y, basis=linear.differences(6, 1), settings=SHORT)
    problem = regression(X, y, basis=linear.differences(6, 1))
    assert float(fit["sample_stats"]["log_evidence"]) == pytest.approx(problem.log_evidence())
    with pytest.raises(FitError, match="use the normal prior"):
        regression(X, y, "laplace").log_evidence()


def test_leave_one_out_against_the_dense_normal():
    problem = structured(linear.Gaussian(0.7), "second", noise=0.4)
    _, marginal = exact.Posterior(problem).draw(np.random.default_rng(0), 3)
    mean, K, *_ = dense(problem, 0.7, 0.4)
    for i in range(len(mean)):
        rest = np.arange(len(mean)) != i
        weights = np.linalg.solve(K[np.ix_(rest, rest)], K[rest, i])
        centre = mean[i] + weights @ (problem.y - mean)[rest]
        sd = np.sqrt(K[i, i] - weights @ K[rest, i])
        np.testing.assert_allclose(marginal[:, i], stats.norm.logpdf(problem.y[i], centre, sd))


@pytest.mark.parametrize("width", [0.0, 1.0, 15.0])
def test_leave_one_out_of_many_draws_is_that_of_each(width):
    """Many draws share Chebyshev nodes; few are solved one by one."""
    problem = structured(linear.Gaussian(HalfCauchy(1.0)), "second")
    spectrum, rng = exact.Posterior(problem).spectrum, np.random.default_rng(0)
    log_rho, sigma = rng.uniform(-width, width, 2000) + 1.0, rng.uniform(0.2, 1.0, 2000)

    def left_out(part):
        at = log_rho[part], sigma[part]
        return spectrum.leave_one_out(problem.design, *at, spectrum.products(at[0]))

    few = slice(0, 8 if width else 1)
    np.testing.assert_allclose(left_out(slice(None))[few], left_out(few), rtol=1e-9)


def test_draws_have_the_covariance_of_the_dense_normal():
    problem = structured(linear.Gaussian(0.7), "second", noise=0.4)
    draws, _ = exact.Posterior(problem).draw(np.random.default_rng(0), 40_000)
    f = problem.outer(draws)["f"]
    mean, K, offset, covariance, cross = dense(problem, 0.7, 0.4)
    gain = np.linalg.solve(K, cross.T).T
    expected = covariance - gain @ cross.T
    np.testing.assert_allclose(np.cov(f.T), expected, atol=0.03 * np.diag(expected).max())
    centre = offset + gain @ (problem.y - mean)
    np.testing.assert_allclose(f.mean(0), centre, atol=5 * np.sqrt(np.diag(expected).max() / 4e4))


def test_data_far_from_zero_lose_no_digits():
    """A level of a million, known to a millionth: least squares takes it out first."""
    X, y, _ = toy()
    level = {"level": (np.ones(len(y)), Normal(0.0, 1e7))}
    near = exact.Posterior(regression(X, y, linear.Gaussian(0.7), noise=0.2, unshrunk=level))
    far = exact.Posterior(regression(X, y + 1e6, linear.Gaussian(0.7), noise=0.2, unshrunk=level))
    np.testing.assert_allclose(far.moments()[0], near.moments()[0], atol=1e-7)
    shift = -0.5 * ((1e6 / 1e7) ** 2)
    assert far.log_evidence - near.log_evidence == pytest.approx(shift, abs=1e-4)


@pytest.mark.parametrize("ratio", [1.0, 1e3, 1e7, 1e8])
@pytest.mark.parametrize("stated", [True, False])
def test_columns_of_unlike_size_against_quadrature(ratio, stated):
    """y = 2a + noise, and a second column that is larger by a factor."""
    rng = np.random.default_rng(3)
    a, b, noise = rng.normal(size=(3, 40))
    X, y = np.stack([a, ratio * b], axis=1), 2 * a + 0.05 * noise
    prior = linear.Gaussian(HalfCauchy(1.0)) if stated else "normal"
    problem = regression(X, y, prior)
    fit = linear.fit(X, y, prior, settings=LONG)

    def conditional(scale, sigma):
        widths = scale * (np.ones(2) if problem.scales is None else problem.scales)
        unit = 1 / np.sqrt(np.sum(X**2, axis=0))  # the same algebra in columns of length one
        A = X * unit
        precision = A.T @ A / sigma**2 + np.diag((unit / widths) ** 2)
        factor = np.linalg.cholesky(precision)
        mean = np.linalg.solve(precision, A.T @ y / sigma**2)
        value = -0.5 * (y @ y / sigma**2 - mean @ precision @ mean)
        value -= np.sum(np.log(np.diag(factor))) + np.sum(np.log(widths / unit))
        value -= len(y) * np.log(sigma)
        value += problem.prior.scale.log_density(scale) + problem.noise.log_density(sigma)
        return value + np.log(scale * sigma), unit * mean, sigma

    centre = np.log(2.0 if problem.scales is None else 2.0 / problem.scales[0])
    grid = itertools.product(
        np.exp(centre + np.linspace(-25, 12, 300)), np.exp(np.linspace(-3.6, -2.4, 80))
    )
    values, means, sigmas = zip(*(conditional(*at) for at in grid), strict=True)
    weight = np.exp(np.array(values) - max(values))
    weight /= weight.sum()
    stored = fit["sample_stats"]
    np.testing.assert_allclose(
        stored["beta_closed_form_mean"], weight @ np.array(means), rtol=2e-4, atol=1e-6 / ratio
    )
    sigma = flat(fit, "sigma")
    assert sigma.mean() == pytest.approx(weight @ np.array(sigmas), rel=0.01)
    assert flat(fit, "beta")[:, 0].mean() == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize(
    "name",
    ["normal", "laplace", pytest.param("horseshoe", marks=pytest.mark.slow), "spike_and_slab"],
)
def test_the_unit_of_a_column_does_not_matter_by_default(name):
    X, y, _ = toy()
    unit = np.array([1.0, 1e-7, 1e7, 1.0, 1e3, 1.0])
    sizes = [
        np.sqrt(np.mean((X * u * regression(X * u, y, name).scales) ** 2, axis=0))
        for u in (1.0, unit)
    ]
    for rms in sizes:
        np.testing.assert_allclose(rms, rms[0])
    fits = [linear.fit(X * u, y, name, settings=LONG.replace(draws=500)) for u in (1.0, unit)]
    one, other = (flat(fit, "beta") for fit in fits)
    np.testing.assert_allclose(other.mean(0) * unit, one.mean(0), atol=0.1 * one.std(0).max())


# ── Sampled routes ───────────────────────────────────────────────────────────────────────────────


def test_spike_and_slab_with_structure_against_enumeration():
    problem = structured(
        linear.SpikeAndSlab(0.3, 0.8), "matrix", noise=0.4, scales=None, intercept=False
    )
    fit = linear.driver.fit(problem, None, LONG.replace(draws=8000))
    C, weights, means = problem.basis.matrix, [], []
    for model in itertools.product([0, 1], repeat=C.shape[1]):
        on = np.array(model, dtype=bool)
        part = (
            regression(
                problem.X,
                problem.y,
                linear.Gaussian(0.8),
                basis=linear.Basis(C[:, on]),
                unshrunk=problem.unshrunk,
                means=problem.means,
                error=problem.error,
                noise=0.4,
            )
            if on.any()
            else None
        )
        if part is None:
            part = regression(
                problem.X,
                problem.y,
                linear.Gaussian(1e-9),
                unshrunk=problem.unshrunk,
                means=problem.means,
                error=problem.error,
                noise=0.4,
            )
        posterior = exact.Posterior(part)
        prior = on.sum() * np.log(0.3) + (~on).sum() * np.log(0.7)
        weights.append(posterior.log_evidence + prior)
        means.append(posterior.moments()[0])
    weights = np.exp(np.array(weights) - max(weights))
    weights /= weights.sum()
    models = np.array(list(itertools.product([0, 1], repeat=C.shape[1])))
    np.testing.assert_allclose(flat(fit, "included").mean(0), weights @ models, atol=0.02)
    np.testing.assert_allclose(flat(fit, "f").mean(0), weights @ np.array(means), atol=0.02)


def test_evidence_of_a_start_with_structure_against_the_dense_normal():
    problem = structured(linear.SpikeAndSlab(0.3, 0.8), "second", noise=0.4)
    inside = np.array([True, False, True, False])
    columns = spike.Gram(problem)
    coefficients = np.concatenate([np.ones(columns.free), inside.astype(float)])
    found = spike._log_evidence(problem, columns, coefficients[np.newaxis], [0.4], (0.8, 0.3))
    design = problem.design
    K = design.Z @ design.Z.T + 0.64 * design.A[:, inside] @ design.A[:, inside].T
    K = K + 0.16 * np.eye(len(design.t))
    expected = stats.multivariate_normal(cov=K).logpdf(design.t) + 2 * np.log(0.3 * 0.7)
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
def test_own_route_and_nuts_agree_with_structure():
    problem = structured(PRIORS["laplace"], "first", intercept=False)
    run = Settings(draws=1500, tune=500, chains=2, prior_draws=4)
    own, nuts = (linear.driver.fit(problem, method, run) for method in (None, "nuts"))
    for name in ("f", "trend", "level", "sigma"):
        one, other = flat(own, name), flat(nuts, name)
        error = 0.15 * np.atleast_1d(one.std(0)).max()
        np.testing.assert_allclose(one.mean(0), other.mean(0), atol=error)


# ── Evidence compared ────────────────────────────────────────────────────────────────────────────


def test_a_smooth_truth_is_found_smooth_at_every_width():
    rng = np.random.default_rng(1)
    x = np.linspace(-1, 1, 40)
    y = np.exp(-4 * x**2) + 0.02 * rng.normal(size=40)
    level = Normal(0.0, 2.0)
    kernel = np.exp(-0.5 * np.subtract.outer(x, x) ** 2 / 0.3**2)
    problems = {
        "rough": regression(np.eye(40), y, basis=linear.differences(40, 1, level=level)),
        "smooth": regression(np.eye(40), y, basis=linear.covariance(kernel, level=level)),
    }
    found = linear.evidences(problems)
    assert found["log_evidence"].dims == ("model", "width")
    assert np.all(found["log_bayes_factor"].sel(model="smooth") > 3.0)
    wide = found["log_bayes_factor"].sel(model="smooth", width=[1.0, 10.0])
    assert float(np.ptp(wide.values)) < 0.1  # a prior that both share does not decide
    np.testing.assert_allclose(
        found["log_evidence"].sel(width=1.0), [one.log_evidence() for one in problems.values()]
    )
    assert problems["rough"].widened(10.0).free["level"] == Normal(0.0, 20.0)


def test_models_that_cannot_be_compared_are_refused():
    X, y, error = toy()
    one = regression(X, y, basis=linear.differences(6, 1, level=LEVEL))
    with pytest.raises(DataError, match="disagree about the prior of level"):
        other = regression(X, y, basis=linear.differences(6, 2, level=Normal(0, 9)))
        linear.evidences({"one": one, "other": other})
    for other in (regression(X, y + 1), regression(X, y, error=error)):
        with pytest.raises(DataError, match="different data"):
            linear.evidences({"one": one, "other": other})


# ── As a user meets it ───────────────────────────────────────────────────────────────────────────


def test_known_errors_are_taken_as_they_are_or_times_a_factor():
    X, y, error = toy()
    stated = linear.fit(X, y, error=0.2 * error, settings=SHORT)
    assert "sigma" not in stated["posterior"]
    assert float(stated["constant_data"]["sigma"]) == 1.0
    assert "chi-square" in stated["sample_stats"]["statistic"].values
    np.testing.assert_array_equal(stated["constant_data"]["error"], 0.2 * error)
    scaled = linear.fit(X, y, error=0.02 * error, noise=HalfCauchy(10.0), settings=SHORT)
    assert 3 < float(scaled["posterior"]["sigma"].mean()) < 30
    assert scaled["posterior"]["sigma"].attrs["units"] == "1"


def test_prediction_uses_columns_and_errors():
    rng = np.random.default_rng(0)
    X, trend = rng.normal(size=(200, 2)), np.linspace(0, 1, 200)
    y = X @ [1.0, -1.0] + 5 * trend + 0.1 * rng.normal(size=200)
    fit = linear.fit(X, y, unshrunk={"trend": trend}, error=np.full(200, 0.1), settings=LONG)
    new = {"unshrunk": {"trend": np.array([0.0, 2.0])}, "error": np.array([0.1, 1.0])}
    found = linear.predict(fit, np.zeros((2, 2)), **new)
    np.testing.assert_allclose(found["mean"].mean(("chain", "draw")), [0.0, 10.0], atol=0.1)
    spread = np.sqrt(found["y"].var(("chain", "draw")) - found["mean"].var(("chain", "draw")))
    np.testing.assert_allclose(spread, [0.1, 1.0], rtol=0.05)
    with pytest.raises(DataError, match="columns are not those of the fit"):
        linear.predict(fit, np.zeros((2, 2)))


@pytest.mark.parametrize("name", PRIORS)
def test_every_route_goes_with_everything(name):
    fit = linear.driver.fit(structured(PRIORS[name], "second"), None, SHORT)
    assert {"f", "level", "slope", "trend", "intercept"} <= set(fit["posterior"].data_vars)
    assert fit["posterior"]["f"].dims == ("chain", "draw", "feature")
    if "included" in fit["posterior"]:
        assert fit["posterior"]["included"].dims == ("chain", "draw", "weight")
    assert "second differences" in fit.attrs["priors"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"error": np.r_[0.0, np.ones(13)]}, "row 0: an error bar is not positive"),
        ({"error": np.r_[1.0, -1.0, np.ones(12)]}, "row 1"),
        ({"error": np.ones(3)}, "errors do not fit"),
        ({"unshrunk": {"trend": np.ones(3)}}, "trend does not fit"),
        ({"unshrunk": {"trend": np.zeros(14)}}, "zero throughout"),
        ({"unshrunk": {"sigma": np.ones(14)}}, "name sigma is taken"),
        ({"unshrunk": {"level": np.ones(14)}, "basis": linear.differences(6)}, "level is taken"),
        ({"basis": np.eye(4)}, "basis does not fit the features"),
        ({"scales": np.zeros(6)}, "width is not positive"),
        ({"means": np.ones(4)}, "means do not fit"),
        ({"groups": np.ones(4)}, "groups do not fit"),
    ],
)
def test_bad_structure_is_named(options, words):
    X, y, _ = toy()
    with pytest.raises(DataError, match=words):
        linear.fit(X, y, **options)
