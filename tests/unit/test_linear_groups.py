"""Many regressions that share a prior's scale: each route against quadrature, enumeration, NUTS."""

import itertools

import arviz as az
import density
import numpy as np
import pytest
from regressions import beside, free_values
from scipy import stats

from bayesinf import calibration
from bayesinf.errors import FitError
from bayesinf.models import linear
from bayesinf.models.linear import (
    blocks,
    blocks_kernel,
    exact,
    regression,
    scales_kernel,
    shared,
    spike,
)
from bayesinf.models.linear.conditional import Factors
from bayesinf.models.problem import fit
from bayesinf.priors import Beta, HalfCauchy, InverseChi
from bayesinf.priors import Normal as Level
from bayesinf.settings import Settings

SHORT = Settings(draws=40, tune=40, chains=2, prior_draws=10, workers=1)

PRIORS = {
    "normal": linear.Gaussian(HalfCauchy(1.0)),
    "laplace": linear.Laplace(HalfCauchy(0.5)),
    "relative laplace": linear.Laplace(HalfCauchy(2.0), relative=True),
    "spike_and_slab": linear.SpikeAndSlab(Beta(1.0, 2.0), HalfCauchy(1.0)),
    "horseshoe": linear.Horseshoe(HalfCauchy(0.5), InverseChi(4.0, 1.0)),
}
# A group with fewer rows than features, and groups of unlike size and noise.
SIZES = (9, 3, 14)


def toy(sizes=SIZES, p=4, seed=0, noise=0.5):
    """Features, data and labels of groups whose rows are shuffled."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    X, beta = rng.normal(size=(len(codes), p)), rng.laplace(size=(len(sizes), p))
    sigma = noise * (1 + np.arange(len(sizes)))
    y = np.sum(X * beta[codes], axis=1) + sigma[codes] * rng.normal(size=len(codes))
    return X, y, np.array(["c", "a", "b", "d"])[codes]


def flat(posterior, name):
    values = posterior["posterior"][name].values
    return values.reshape(-1, *values.shape[2:])


# ── The definition ───────────────────────────────────────────────────────────────────────────────

STRUCTURE = {
    "plain": {},
    "fixed": {"noise": 0.4},
    "error": {"error": np.linspace(0.5, 2.0, sum(SIZES)), "noise": HalfCauchy(1.0)},
    "intercept": {"intercept": True},
    "unshrunk": {"unshrunk": {"trend": np.linspace(-1, 1, sum(SIZES))}},
}
STRUCTURE["most"] = {
    k: v for each in ("error", "intercept", "unshrunk") for k, v in STRUCTURE[each].items()
}
STRUCTURE["all"] = STRUCTURE["most"] | {
    "basis": linear.differences(4),
    "scales": [1.0, 2.0, 0.5],
    "means": 0.1,
}


# A basis gives the weights back to rounding alone, which beside a slab's atoms is not zero.
CASES = [(name, "most" if name == "spike_and_slab" else "all") for name in PRIORS]


@pytest.mark.parametrize(
    ("name", "structure"), [*CASES, *((name, "plain") for name in PRIORS), ("laplace", "fixed")]
)
def test_densities_are_those_of_the_definition(name, structure):
    X, y, groups = toy()
    problem = regression(X, y, PRIORS[name], groups=groups, **STRUCTURE[structure])
    density.holds(problem, values=free_values(problem), extra=beside(problem), centred=True)


def test_a_density_with_a_wrong_factor_is_seen():
    X, y, groups = toy()
    problem = regression(X, y, PRIORS["laplace"], groups=groups)
    density.must_fail(problem, values=free_values(problem), centred=True)


# ── Exact ────────────────────────────────────────────────────────────────────────────────────────


def log_marginal(problem, g, scale, sigma):
    """log p(y_g | scale, σ_g) by ``Factors``, which are held to the dense normal elsewhere."""
    rows = problem.groups.rows[g]
    X, y = problem.X[rows], problem.y[rows]
    variances = np.full(X.shape[1], scale**2)
    for column, prior in problem.unshrunk.values():
        X = np.column_stack([X, column[rows]])
        variances, y = np.append(variances, prior.sd**2), y - prior.mean * column[rows]
    factors = Factors(X, y)
    return factors.condition(factors.kernel(variances), variances, sigma).log_marginal()


def quadrature(problem, axes):
    """Evidence, and p(scale, σ_g | y) of every group on axes of log scale and log σ."""
    a, b = axes
    tables = []
    for g in range(len(problem.groups.labels)):
        table = np.array([[log_marginal(problem, g, np.exp(x), np.exp(z)) for z in b] for x in a])
        if not problem.noise_fixed:
            table = table + problem.noise.log_density(np.exp(b)) + b
        tables.append(table)
    inner = [np.logaddexp.reduce(t, axis=1) for t in tables]
    prior = 0.0
    if "scale" in problem.prior.inferred:
        prior = problem.prior.scale.log_density(np.exp(a)) + a
    total = sum(inner) + prior
    posterior = [
        np.exp(total - total.max())[:, None] * np.exp(t - i[:, None])
        for t, i in zip(tables, inner, strict=True)
    ]
    cells = [np.log(b[1] - b[0])] * len(tables) if len(b) > 1 else []
    cells += [np.log(a[1] - a[0])] if len(a) > 1 else []
    evidence = np.logaddexp.reduce(total) + sum(cells)
    return evidence, [p / p.sum() for p in posterior]


FIXED = [{}, {"scale": 0.7}, {"noise": 0.4}, {"scale": 0.7, "noise": 0.4}]


@pytest.mark.parametrize("fixed", FIXED)
@pytest.mark.parametrize("structure", ["plain", "unshrunk"])
def test_exact_against_quadrature_over_scale_and_noise(fixed, structure):
    X, y, groups = toy((7, 3), 3)
    options = {"unshrunk": {"trend": (np.linspace(-1, 1, 10), Level(0.3, 2.0))}}
    prior = linear.Gaussian(fixed.get("scale", HalfCauchy(1.0)))
    noise = fixed.get("noise", InverseChi(2.0, 0.4))
    problem = regression(
        X, y, prior, groups=groups, noise=noise, **(options if structure == "unshrunk" else {})
    )
    a = np.log([0.7]) if "scale" in fixed else np.linspace(-14, 12, 60)
    b = np.log([0.4]) if "noise" in fixed else np.linspace(-5, 12, 60)
    evidence, posterior = quadrature(problem, (a, b))
    found = shared.Posterior(problem)
    assert found.log_evidence == pytest.approx(evidence, abs=2e-4)
    assert problem.log_evidence() == found.log_evidence
    mean, sd = found.moments()
    draws, _ = found.draw(np.random.default_rng(0), 20_000)
    drawn = problem.outer(draws)["beta"]
    for g, weight in enumerate(posterior):
        rows = problem.groups.rows[g]
        first = second = 0.0
        for (i, x), (j, z) in itertools.product(enumerate(a), enumerate(b)):
            if weight[i, j] > 1e-9:
                one, variance = conditional(problem, rows, np.exp(x), np.exp(z))
                first = first + weight[i, j] * one
                second = second + weight[i, j] * (variance + one**2)
        np.testing.assert_allclose(mean[g], first, atol=2e-3 * sd[g].max())
        np.testing.assert_allclose(sd[g], np.sqrt(second - first**2), rtol=2e-3)
        if "noise" not in fixed:
            expected = np.average(b, weights=weight.sum(0))
            spread = np.sqrt(np.average((b - expected) ** 2, weights=weight.sum(0)))
            logs = np.log(draws["sigma"][:, g])
            assert logs.mean() == pytest.approx(expected, abs=0.03 * spread)
            assert logs.std() == pytest.approx(spread, rel=0.03)
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.03 * sd.max())
    np.testing.assert_allclose(drawn.std(0), sd, rtol=0.06)


def conditional(problem, rows, scale, sigma):
    """Mean and variance of β of one group given the scales, by dense algebra."""
    X, y = problem.X[rows], problem.y[rows]
    variances = np.full(X.shape[1], scale**2)
    for column, prior in problem.unshrunk.values():
        X = np.column_stack([X, column[rows]])
        variances, y = np.append(variances, prior.sd**2), y - prior.mean * column[rows]
    gain = variances[:, None] * X.T @ np.linalg.inv(X * variances @ X.T + sigma**2 * np.eye(len(y)))
    covariance = np.diag(variances) - gain @ X * variances
    count = problem.shape[1]
    return (gain @ y)[:count], np.diag(covariance)[:count]


@pytest.mark.parametrize("structure", ["plain", "intercept", "fixed", "error"])
def test_a_single_group_is_the_ungrouped_regression(structure):
    X, y, _ = toy((12,))
    options = {k: v[:12] if k == "error" else v for k, v in STRUCTURE[structure].items()}
    one = exact.Posterior(regression(X, y, "normal", **options))
    many = shared.Posterior(regression(X, y, "normal", groups=np.zeros(12), **options))
    assert many.log_evidence == pytest.approx(one.log_evidence, abs=1e-5)
    np.testing.assert_allclose(np.array(many.moments())[:, 0], one.moments(), rtol=1e-5, atol=1e-6)
    assert many.condition_number() == pytest.approx(one.condition_number(), rel=0.01)


@pytest.mark.parametrize("structure", ["plain", "unshrunk"])
def test_marginal_log_likelihood_is_that_of_the_left_out_point(structure):
    X, y, groups = toy()
    problem = regression(
        X, y, linear.Gaussian(0.6), groups=groups, noise=0.4, **STRUCTURE[structure]
    )
    found = fit(problem, settings=SHORT)["log_likelihood"]["y"]
    for g, rows in enumerate(problem.groups.rows):
        whole = log_marginal(problem, g, 0.6, 0.4)
        for i in rows:
            rest = np.delete(np.arange(len(y)), i)
            without = regression(
                X[rest],
                y[rest],
                linear.Gaussian(0.6),
                groups=groups[rest],
                noise=0.4,
                unshrunk={k: (c[rest], p) for k, (c, p) in problem.unshrunk.items()},
            )
            expected = whole - log_marginal(without, g, 0.6, 0.4)
            np.testing.assert_allclose(found[..., i], expected, rtol=1e-6, atol=1e-8)


def test_groups_with_the_same_features_share_their_decomposition():
    rng = np.random.default_rng(2)
    X, other = rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
    groups, y = np.repeat([0, 1, 2], 6), rng.normal(size=18)
    problem = regression(np.vstack([X, other, X]), y, "normal", groups=groups)
    one, two, three = (member.spectrum for member in shared.Posterior(problem).members)
    assert one.V is three.V and one.V is not two.V
    assert not np.allclose(one.y, three.y)


def test_the_scale_of_many_groups_is_found_wherever_it_lies():
    """The search begins wide and with cells far wider than the posterior of 360 coefficients."""
    rng = np.random.default_rng(3)
    for scale in (1e-3, 1e4):
        X, groups = rng.normal(size=(600, 30)), np.repeat(np.arange(12), 50)
        beta = scale * rng.normal(size=(12, 30))
        y = np.sum(X * beta[groups], axis=1) + scale * rng.normal(size=600)
        found = shared.Posterior(regression(X, y, "normal", groups=groups))
        draws, _ = found.draw(rng, 400)
        assert np.mean(draws["scale"]) == pytest.approx(scale, rel=0.2)
        assert np.std(draws["scale"]) == pytest.approx(scale / np.sqrt(2 * 360), rel=0.3)
        np.testing.assert_allclose(np.mean(draws["sigma"], axis=0), scale, rtol=0.5)


# ── Gibbs ────────────────────────────────────────────────────────────────────────────────────────


def test_inverse_gaussian_and_truncated_draws_are_what_they_say():
    rng = np.random.default_rng(0)
    for mean in (0.1, 2.0, 1e8):
        draws = [scales_kernel.inverse_gaussian(rng, mean) for _ in range(4000)]
        exact_cdf = stats.invgauss(mean).cdf if mean < 1e6 else stats.invgamma(0.5, scale=0.5).cdf
        assert stats.kstest(draws, exact_cdf).pvalue > 1e-3
    cases = [(0.1, 0.5), (-2.0, 0.2), (0.6, 2.5), (-0.6, 2.5), (-0.5, 1e-3), (-30.0, 2.0)]
    for m, width in cases:
        draws = [blocks_kernel._normal_times_laplace(rng, 4.0, m, width) for _ in range(4000)]
        x = np.linspace(min(draws) - 3 * width, max(draws) + 3 * width, 200_001)
        log_density = -2 * (x - m) ** 2 - np.abs(x) / width
        cdf = np.cumsum(np.exp(log_density - log_density.max()))
        assert stats.kstest(draws, lambda z, x=x, c=cdf: np.interp(z, x, c / c[-1])).pvalue > 1e-3


def mixed(own, other, names):
    """Largest distance of means and of log sds between two fits, in standard errors of both."""
    worst = 0.0
    for name in names:
        logs = [np.log(np.abs(f["posterior"][name]) + 1e-3) for f in (own, other)]
        for x in (lambda v: v, np.exp):
            pair = [x(v) for v in logs]
            count = [np.minimum(az.ess(v).values, az.ess(v, method="sd").values) for v in pair]
            mean, sd = (
                [getattr(v, m)(("chain", "draw")).values for v in pair] for m in ("mean", "std")
            )
            error = np.hypot(sd[0] / np.sqrt(count[0]), sd[1] / np.sqrt(count[1]))
            worst = max(worst, np.max(np.abs(mean[0] - mean[1]) / error))
    return worst


@pytest.mark.slow
def test_fast_route_and_nuts_draw_from_the_same_posterior():
    """Groups drawn a few coefficients at a time, and one drawn jointly."""
    X, y, groups = toy((12, 3), 3)
    options = {"groups": groups, "unshrunk": {"trend": (np.linspace(-1, 1, 15), Level(0.0, 1.0))}}
    settings = Settings(draws=1500, tune=500, chains=2, prior_draws=4)
    prior = PRIORS["relative laplace"]
    own = linear.fit(X, y, prior, settings=settings, **options)
    nuts = linear.fit(X, y, prior, method="nuts", settings=settings, **options)
    assert own["posterior"]["sigma"].dims == ("chain", "draw", "group")
    assert mixed(own, nuts, own["posterior"].data_vars) < 6


@pytest.mark.parametrize("rows", [pytest.param(12, marks=pytest.mark.slow), 3])
def test_a_horseshoe_of_one_group_is_that_of_one_regression(rows):
    """A few coefficients at a time (12 rows) or jointly (3): either way as ``gibbs`` draws them,
    where NUTS, stuck in the funnel, is no witness.
    """
    X, y, _ = toy((rows,), 3)
    settings = Settings(draws=1000, tune=300, chains=2, prior_draws=4)
    alone = linear.fit(X, y, PRIORS["horseshoe"], settings=settings)
    of_one = linear.fit(X, y, PRIORS["horseshoe"], groups=np.zeros(rows, int), settings=settings)
    for name in ("beta", "sigma"):
        of_one["posterior"][name] = of_one["posterior"][name].isel(group=0, drop=True)
    assert mixed(of_one, alone, alone["posterior"].data_vars) < 4


def by_quadrature(problem, width):
    """Of Laplace priors, one coefficient a group, σ known: mean and sd of log scale, and its
    covariance with the summed sizes of the coefficients.
    """
    beta, a = np.linspace(-12, 12, 4001), np.linspace(-7, 5, 400)
    total, size = problem.prior.scale.log_density(np.exp(a)) + a, 0.0
    for rows in problem.groups.rows:
        X, y = problem.X[rows, 0], problem.y[rows]
        fit_of = -0.5 * np.sum((y[:, None] - X[:, None] * beta) ** 2, axis=0) / problem.noise**2
        inner = -np.abs(beta) / width(a)[:, None] - np.log(2 * width(a))[:, None] + fit_of
        evidence = np.logaddexp.reduce(inner, axis=1)
        total = total + evidence
        size = size + np.exp(inner - evidence[:, None]) @ np.abs(beta)
    weight = np.exp(total - total.max())
    mean = np.average(a, weights=weight)
    sd = np.sqrt(np.average((a - mean) ** 2, weights=weight))
    return mean, sd, np.average((a - mean) * size, weights=weight)


@pytest.mark.parametrize("relative", [False, True])
def test_the_scale_that_groups_share_against_quadrature_and_not_that_of_one(relative):
    X, y, groups = toy((6, 5, 7), 1, noise=1.5)
    prior, known = linear.Laplace(HalfCauchy(0.5), relative=relative), 2.0
    problem = regression(X, y, prior, groups=groups, noise=known)
    settings = Settings(draws=4000, tune=200, chains=2, prior_draws=4)
    drawn = fit(problem, settings=settings)
    found, size = np.log(flat(drawn, "scale")), np.abs(flat(drawn, "beta")).sum((1, 2))
    unit = known if relative else 1.0
    mean, sd, together = by_quadrature(problem, lambda a: unit * np.exp(a))
    assert found.mean() == pytest.approx(mean, abs=0.06 * sd)
    assert found.std() == pytest.approx(sd, rel=0.06)
    assert np.cov(found, size)[0, 1] == pytest.approx(together, abs=0.06 * sd * size.std())
    rows = problem.groups.rows[0]
    alone = regression(X[rows], y[rows], prior, groups=groups[rows], noise=known)
    other, *_ = by_quadrature(alone, lambda a: unit * np.exp(a))
    assert abs(found.mean() - other) > 0.15 * sd  # what it would be were it not shared


@pytest.mark.parametrize("tight", [False, True])
def test_both_ways_of_drawing_coefficients_find_the_normal_given_scales(tight, monkeypatch):
    """At known variances and noise the coefficients are normal, whichever way they are drawn."""
    monkeypatch.setattr(blocks, "APART", 2.0 if tight else 0.0)
    monkeypatch.setattr(blocks, "BLOCK", 2)
    X, y, groups = toy((9, 8), 3)
    problem = regression(X, y, linear.Horseshoe(0.5, 1.0), groups=groups, noise=0.6)
    products = blocks.Products(problem)
    assert len(products.tight) == (2 if tight else 0)
    state = blocks.Chain(problem, products, np.random.default_rng(1))
    kept = []
    monkeypatch.setattr(state.scales, "update", lambda *_: None)
    for number in range(6000):
        state.sweep(number, -1)
        kept.append(state.beta.copy())
    for g, rows in enumerate(problem.groups.rows):
        v = state.scales.variances(None)[g]
        factors = Factors(X[rows], y[rows])
        mean = factors.condition(factors.kernel(v), v, 0.6).mean()
        sd = np.sqrt(np.diag(np.linalg.inv(X[rows].T @ X[rows] / 0.36 + np.diag(1 / v))))
        np.testing.assert_allclose(np.mean(kept, axis=0)[g], mean, atol=0.08 * sd.max())
        np.testing.assert_allclose(np.std(kept, axis=0)[g], sd, rtol=0.06)


# ── Spike and slab ───────────────────────────────────────────────────────────────────────────────


def test_spike_and_slab_of_two_groups_against_enumeration():
    """Slab width and inclusion rate shared: a sum over the models of both groups at once."""
    X, y, groups = toy((8, 6), 2, noise=0.8)
    prior, axis = linear.SpikeAndSlab(Beta(2.0, 3.0), HalfCauchy(1.0)), np.linspace(-5, 4.5, 80)
    problem = regression(X, y, prior, groups=groups, noise=0.8)
    models = [np.array(m, dtype=bool) for m in itertools.product([0, 1], repeat=2)]
    each = np.empty((2, 4, len(axis)))
    for (g, rows), (k, on) in itertools.product(enumerate(problem.groups.rows), enumerate(models)):
        for i, a in enumerate(axis):
            K = 0.64 * np.eye(len(rows)) + np.exp(2 * a) * X[rows][:, on] @ X[rows][:, on].T
            each[g, k, i] = stats.multivariate_normal(cov=K).logpdf(y[rows])
    total, expected = 0.0, np.zeros(6)
    for (k, one), (m, two) in itertools.product(enumerate(models), repeat=2):
        inside = np.concatenate([one, two])
        count = inside.sum()
        # The inclusion rate integrates to a ratio of Beta functions, over all four coefficients.
        rate = stats.betabinom(4, 2.0, 3.0).pmf(count) / len(
            list(itertools.combinations(range(4), count))
        )
        weight = np.exp(each[0, k] + each[1, m] + 20) * rate * np.exp(axis)
        weight = weight * np.exp(prior.slab_width.log_density(np.exp(axis)))
        total = total + weight.sum()
        expected[:4] += inside * weight.sum()
        expected[4] += np.sum(weight * axis)
        expected[5] += (2 + count) / 9 * weight.sum()
    expected /= total
    settings = Settings(draws=8000, tune=100, chains=2, prior_draws=4)
    found = fit(problem, settings=settings)
    probability = flat(found, "included").mean(0).ravel()
    np.testing.assert_allclose(probability, expected[:4], atol=0.015)
    assert np.log(flat(found, "slab_width")).mean() == pytest.approx(expected[4], abs=0.05)
    assert flat(found, "inclusion_rate").mean() == pytest.approx(expected[5], abs=0.01)


def test_evidence_that_chooses_a_start_is_a_sum_over_groups():
    X, y, groups = toy((8, 6), 2)
    problem = regression(X, y, PRIORS["spike_and_slab"], groups=groups)
    beta, sigma, scales = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([0.4, 0.7]), (0.9, 0.3)
    found = spike._log_evidence(problem, spike.Gram(problem), beta, sigma, scales)
    first, second = problem.groups.rows
    K = 0.16 * np.eye(len(first)) + 0.81 * X[first][:, :1] @ X[first][:, :1].T
    expected = stats.multivariate_normal(cov=K).logpdf(y[first])
    expected += stats.norm.logpdf(y[second], 0, 0.7).sum() + np.log(0.3) + 3 * np.log(0.7)
    expected += problem.noise.log_density(sigma).sum()
    prior = problem.prior
    expected += prior.slab_width.log_density(0.9) + prior.inclusion_rate.log_density(0.3)
    assert found == pytest.approx(expected, rel=1e-9)


def test_a_group_in_which_a_feature_is_zero_is_named():
    X, y, groups = toy()
    X[groups == "b", 1] = 0.0
    with pytest.raises(FitError, match="zero throughout") as error:
        linear.fit(X, y, "spike_and_slab", groups=groups, settings=SHORT)
    assert error.value.evidence == {"column": 1, "group": "b"}


# ── As a user meets it ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", PRIORS)
def test_same_seed_same_draws_whatever_the_workers(name):
    X, y, groups = toy()
    one = linear.fit(X, y, PRIORS[name], groups=groups, settings=SHORT)
    two = linear.fit(X, y, PRIORS[name], groups=groups, settings=SHORT.replace(workers=2))
    other = linear.fit(X, y, PRIORS[name], groups=groups, settings=SHORT.replace(seed=2))
    for variable in one["posterior"].data_vars:
        np.testing.assert_array_equal(one["posterior"][variable], two["posterior"][variable])
    assert not np.array_equal(one["posterior"]["beta"], other["posterior"]["beta"])


@pytest.mark.parametrize("name", PRIORS)
def test_labels_and_units_come_from_the_arrays(name):
    import xarray as xr

    X, y, groups = toy()
    X = xr.DataArray(X, dims=("time", "mode"), coords={"mode": list("abcd")})
    y = xr.DataArray(y, dims="time", name="height", attrs={"units": "mm"})
    groups = xr.DataArray(groups, dims="time", name="site")
    found = linear.fit(X, y, PRIORS[name], groups=groups, intercept=True, settings=SHORT)
    posterior = found["posterior"]
    assert posterior["beta"].dims == ("chain", "draw", "site", "mode")
    assert posterior["sigma"].dims == posterior["intercept"].dims == ("chain", "draw", "site")
    assert list(posterior["site"].values) == ["a", "b", "c"]
    assert posterior["sigma"].attrs["units"] == posterior["beta"].attrs["units"] == "mm"
    shared_names = PRIORS[name].inferred
    assert all(posterior[each].dims == ("chain", "draw") for each in shared_names)


@pytest.mark.parametrize("name", ["normal", "laplace", "spike_and_slab", "horseshoe"])
def test_noise_free_data_neither_crash_nor_stick(name):
    X, _, groups = toy()
    y = X @ [1.0, 0.0, -0.5, 0.2]
    settings = Settings(draws=200, tune=300, chains=2, prior_draws=4)
    found = linear.fit(X, y, PRIORS[name], groups=groups, settings=settings)
    sigma, beta = flat(found, "sigma"), flat(found, "beta")
    assert np.all(np.isfinite(beta)) and np.all(sigma > 0)
    assert min(len(np.unique(one)) for one in sigma.T) > 50
    truth = np.tile([1.0, 0.0, -0.5, 0.2], (2, 1))  # of the groups with rows enough
    np.testing.assert_allclose(beta.mean(0)[1:], truth, atol=0.03)


# ── Calibration ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["normal", pytest.param("laplace", marks=pytest.mark.slow)])
def test_ranks_of_the_truth_are_uniform(name):
    X, y, groups = toy((8, 3), 2)
    problem = regression(X, y, PRIORS[name], groups=groups, noise=InverseChi(5.0, 0.5))
    settings = Settings(draws=150, tune=100, chains=2, prior_draws=4)
    machine = calibration.of(problem, name="linear", settings=settings)
    found = calibration.calibrate(machine, 30, workers=1)
    assert calibration.summary(found)["passed"].all(), calibration.verdict(found)["words"]
