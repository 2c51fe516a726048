"""Priors of couplings: mixtures against quadrature, updates against their targets, posteriors."""

import math

import arviz
import numpy as np
import pytest
import xarray as xr
from scipy import integrate, stats
from threadpoolctl import threadpool_limits

from bayesinf.checks import check
from bayesinf.errors import DataError, FitError
from bayesinf.models import binary as coding
from bayesinf.models.binary import couplings, pairwise
from bayesinf.models.binary.couplings import CouplingPrior, named
from bayesinf.models.binary.pairwise import enumeration, routes
from bayesinf.models.binary.pairwise.likelihood import Pairwise
from bayesinf.models.problem import nuts
from bayesinf.priors import HalfCauchy, LogNormal, Normal, Uniform, weights
from bayesinf.priors.weights import Gaussian, Horseshoe, Laplace
from bayesinf.settings import Settings

KINDS = [Gaussian, Laplace, Horseshoe, lambda scale: Horseshoe(scale, 0.8)]
NAMES = ["Gaussian", "Laplace", "Horseshoe", "slab"]
kinds = pytest.mark.parametrize("kind", KINDS, ids=NAMES)
shrinking = pytest.mark.parametrize("kind", KINDS[1:], ids=NAMES[1:])
FIELD = Normal(0.0, 1.0)


def rng(*key):
    return np.random.default_rng(key)


def half_cauchy(x):
    return 2 / (math.pi * (1 + x * x))


def normal(x, sd):
    return math.exp(-0.5 * (x / sd) ** 2) / (sd * math.sqrt(2 * math.pi))


def quad(function, low, high, **kwargs):
    return integrate.quad(function, low, high, limit=500, epsabs=1e-13, epsrel=1e-10, **kwargs)[0]


def of_local(kind):
    """Density of the square root of the local variance, up to a constant, without the slab's."""
    return half_cauchy if isinstance(kind, Horseshoe) else lambda r: r * math.exp(-0.5 * r * r)


def mixture(kind, J, tau):
    """p(J | τ) as an integral over the local scale, in its logarithm."""
    slab = getattr(kind, "slab", None) or math.inf
    own = of_local(kind)

    # The slab multiplies the normal of J; the constant that then is missing is an integral, too.
    def tail(r):
        return 1 / math.sqrt(1 + (tau * r / slab) ** 2)

    def area(f):
        return quad(lambda t: f(math.exp(t)) * math.exp(t), -60, 60, points=[-5, 0, 5])

    def sd(r):
        return tau * r * tail(r)

    joint = area(lambda r: own(r) * tail(r) * normal(J, sd(r)))
    return joint / area(lambda r: own(r) * tail(r))


# ── Densities ────────────────────────────────────────────────────────────────────────────────────


@shrinking
@pytest.mark.parametrize("tau", [0.3, 0.8, 5.0])
def test_the_density_is_that_of_the_mixture(kind, tau):
    kind = kind(tau)
    for J in (1e-3, 0.05, 0.7, -3.0):
        found = kind.log_density(np.array(J), np.array(tau))
        assert found == pytest.approx(math.log(mixture(kind, J, tau)), abs=1e-7)


@kinds
def test_the_density_is_normalised_and_smooth_where_its_formula_changes(kind):
    for tau in (0.1, 0.8 - 1e-12, 0.8, 0.8 + 1e-12, 40.0):

        def one(t, tau=tau):
            return math.exp(kind(tau).log_density(math.exp(t), tau) + t)

        assert 2 * quad(one, -60, 40, points=[-5, 0, 5]) == pytest.approx(1.0, abs=1e-8)
    edge = math.sqrt(2 * weights.FAR)
    near, far = (kind(1.0).log_density(edge * (1 + side), 1.0) for side in (-1e-13, 1e-13))
    assert near == pytest.approx(far, abs=5e-10)
    assert np.isfinite(kind(1.0).log_density(np.array([0.0, 1e-300, 1e6]), 1.0)).all()


def test_known_forms_are_met():
    x = np.array([-2.0, 0.3, 1.1])
    np.testing.assert_allclose(Laplace(2.0).log_density(x, 2.0), stats.laplace(scale=2).logpdf(x))
    np.testing.assert_allclose(Gaussian(2.0).log_density(x, 2.0), stats.norm(scale=2).logpdf(x))
    # The bounds of Carvalho, Polson & Scott, theorem 1.
    found, K = np.exp(Horseshoe(1.0).log_density(x, 1.0)), 1 / math.sqrt(2 * math.pi**3)
    assert np.all(0.5 * K * np.log1p(4 / x**2) < found)
    assert np.all(found < K * np.log1p(2 / x**2))


@kinds
@pytest.mark.parametrize("width", [HalfCauchy(0.5), LogNormal(0.8, 0.6), 0.7], ids=str)
def test_factors_add_up(kind, width):
    prior = CouplingPrior(Normal(0.2, 1.5), kind(width))
    h, J, scale = prior.sample(rng(1), 3, 5, 4)
    assert h.shape == (4, 3) and J.shape == (4, 5) and scale.shape == (4,)
    one = [prior.log_density(h[k], J[k], scale[k]) for k in range(4)]
    np.testing.assert_allclose(prior.log_density(h, J, scale), one, rtol=1e-12)
    tau = scale if prior.inferred else np.full(4, 0.7)
    expected = stats.norm(0.2, 1.5).logpdf(h).sum(axis=1)
    expected = expected + kind(width).log_density(J, tau[:, None]).sum(axis=1)
    if prior.inferred:
        expected = expected + width.log_density(scale)
    np.testing.assert_allclose(one, expected, rtol=1e-12)
    assert prior.local == (kind is not Gaussian)
    mean, precision = prior.moments(3, 5, scale, np.full((4, 5), 2.0) if prior.local else None)
    assert mean.tolist() == [0.2] * 3 + [0.0] * 5 and precision.shape[-1] == 8
    slab = getattr(prior.J, "slab", None) or math.inf
    expected = 1 / (tau**2 * (2 if prior.local else 1)) + slab**-2
    np.testing.assert_allclose(np.broadcast_to(precision, (4, 8))[:, 5], expected)
    # What samplers follow: the normal given all scales.
    local = rng(2).random((4, 5)) + 0.5 if prior.local else None
    own = prior.precision(5, scale, local) ** -0.5
    given = stats.norm(0.2, 1.5).logpdf(h).sum(axis=1) + stats.norm(0, own).logpdf(J).sum(axis=1)
    np.testing.assert_allclose(prior.log_given(h, J, scale, local), given, rtol=1e-12)


@shrinking
@pytest.mark.parametrize("count", [1, 6])
def test_the_width_is_integrated_out_and_drawn(kind, count):
    prior = CouplingPrior(FIELD, kind(HalfCauchy(0.5)))
    h, J = np.zeros(2), rng(3, count).normal(0, 0.3, count)
    level = prior.log_density(h, J, 0.3)

    def density(t):
        return math.exp(prior.log_density(h, J, math.exp(t)) + t - level)

    def inner(high):
        return [point for point in (-4, -1, 1, 4) if point < high]

    def area(low, high):
        return quad(density, low, high, points=inner(high))

    whole = area(-25, 25)
    assert prior.log_marginal(h, J) == pytest.approx(math.log(whole) + level, abs=1e-5)
    for u in (0.05, 0.5, 0.9):
        drawn = prior.sample_scale(J[None], np.array([u])).item()
        assert area(-25, math.log(drawn)) / whole == pytest.approx(u, abs=2e-3)


# ── Draws ────────────────────────────────────────────────────────────────────────────────────────


def uniform(values):
    """p value that values are uniform in (0, 1)."""
    return stats.kstest(np.ravel(values), "uniform").pvalue


def distribution(density, low=-30.0, high=30.0):
    """Cumulative distribution of a positive x from its density, on a grid in log x."""
    t = np.linspace(low, high, 20_001)
    with np.errstate(all="ignore"):
        below = integrate.cumulative_simpson(density(np.exp(t)) * np.exp(t), x=t, initial=0.0)
    return lambda x: np.interp(np.log(x), t, below / below[-1])


@shrinking
@pytest.mark.parametrize("tau", [0.2, 0.8, 30.0])
def test_draws_of_the_prior_have_its_density(kind, tau):
    prior = CouplingPrior(FIELD, kind(tau))
    _, J, _ = prior.sample(rng(4), 2, 2, 3000)
    below = distribution(lambda x: np.exp(prior.kind.log_density(x, tau)))
    assert uniform(below(np.abs(J))) > 1e-4
    assert uniform(below(1.15 * np.abs(J))) < 1e-4
    assert abs(np.mean(J > 0) - 0.5) < 5 * 0.5 / math.sqrt(J.size)


@shrinking
@pytest.mark.parametrize("x", [0.0, 1e-8, 0.02, 0.7, 1.4, 1.5, 4.0])
def test_local_variances_are_drawn_given_the_coupling(kind, x):
    found = kind(1.0).local_given(rng(5), np.full(5000, -x))
    own = np.vectorize(of_local(kind(1.0)))
    least = max(x, 1e-150) if isinstance(kind(1.0), Horseshoe) else x

    def density(r):
        return own(r) * np.exp(-0.5 * (least / r) ** 2) / r

    below = distribution(density, -350.0, 350.0) if x < 1e-6 else distribution(density)
    assert uniform(below(np.sqrt(found))) > 1e-4
    if x > 1e-6:
        assert uniform(below(1.1 * np.sqrt(found))) < 1e-4


@kinds
@pytest.mark.parametrize("inferred", [True, False])
def test_an_update_leaves_its_target_alone(kind, inferred):
    # Couplings and width from the prior; then scales given the couplings, then couplings given the
    # scales. What comes out has the prior's distribution, and its parts fit each other.
    width, count, size = LogNormal(0.6, 0.8), 4, 1500
    prior = CouplingPrior(FIELD, kind(width if inferred else 0.6))
    _, J, scale = prior.sample(rng(6), 2, count, size)
    assert_kept(prior, J, scale)
    if inferred or prior.local:
        with pytest.raises(AssertionError):
            assert_kept(prior, 1.3 * J, scale)


def assert_kept(prior, J, scale):
    stream = rng(7)
    local = np.ones(J.shape) if prior.local else None
    scale, local = prior.update(stream, J, scale, local)
    if prior.inferred:
        assert uniform(stats.norm.cdf(np.log(scale / 0.6) / 0.8)) > 1e-4
    # Given the scales the couplings are normal.
    assert uniform(stats.norm.cdf(J * np.sqrt(prior.precision(J.shape[1], scale, local)))) > 1e-4
    if prior.local:
        alone = rng(8)
        _, _, other_scale = prior.sample(alone, 1, J.shape[1], len(J))
        tau = other_scale if prior.inferred else np.full(len(J), 0.6)
        fresh = prior.kind.sample_local(alone, tau, J.shape[1])
        assert stats.ks_2samp(local.ravel(), fresh.ravel()).pvalue > 1e-4
        assert stats.ks_2samp((local[:, 0] * scale), (fresh[:, 0] * other_scale)).pvalue > 1e-4


def test_an_update_does_not_need_more_than_one_chain():
    prior = named("horseshoe", "±1")
    one = prior.update(rng(9), np.array([0.3, -0.1]), np.float64(0.5), np.ones(2))
    assert one[0].shape == () and one[1].shape == (2,)
    many = prior.update(rng(9), np.full((2, 3, 4), 0.1), np.full((2, 3), 0.5))
    assert many[0].shape == (2, 3) and many[1].shape == (2, 3, 4)


# ── Definition ───────────────────────────────────────────────────────────────────────────────────


def data(sites, samples, key=0, width=0.5, encoding="±1", truth=None):
    theta = truth
    if truth is None:
        theta = rng(10, key, sites).normal(0, width, sites * (sites + 1) // 2)
    _, p = enumeration.probabilities(theta, "±1")
    states = rng(11, key, samples).choice(p.size, samples, p=p)
    return coding.moments(coding.decoded(states, sites, encoding), encoding)


def log_local(prior, r, tau):
    """Log density given the width of local scales r, (coupling,), as PyMC's ``local``."""
    if isinstance(prior.kind, Laplace):
        return stats.expon(scale=2).logpdf(r**2).sum()

    def tail(x):
        return np.log(half_cauchy(x)) - 0.5 * np.log1p((tau * x / prior.slab) ** 2)

    return np.sum(tail(r)) - r.size * math.log(quad(lambda x: math.exp(tail(x)), 0, math.inf))


@shrinking
@pytest.mark.parametrize("width", [HalfCauchy(0.5), 0.7], ids=str)
def test_the_density_is_the_definitions(kind, width):
    prior, stream = CouplingPrior(Normal(-0.3, 1.5), kind(width)), rng(12)
    problem = Pairwise(data(3, 80), prior)
    ours, centred, products = [], [], []
    stated = pairwise.problem(problem.data, encoding="±1", prior=prior)
    models = [stated.pymc(centred=centred) for centred in (True, False)]
    log_p = [m.compile_logp(jacobian=False, mode="FAST_COMPILE") for m in models]
    for _ in range(4):
        h, J, scale = stream.normal(size=3), stream.normal(size=3), stream.uniform(0.3, 1.5)
        r, tau = stream.uniform(0.3, 2, 3), scale if prior.inferred else 0.7
        # The joint density of couplings and local scales; a test above integrates over them.
        rest = problem.log_likelihood(enumeration.pack(h, J))
        rest += prior.log_scale(scale) if prior.inferred else 0.0
        joint = rest + prior.log_given(h, J, scale, r**2) + log_local(prior, r, tau)
        at = {"h": h, "scale_log__": np.log(scale)} if prior.inferred else {"h": h}
        if isinstance(prior.kind, Laplace):
            own = prior.log_density(h, J, scale) + problem.log_likelihood(enumeration.pack(h, J))
            among = {"local_log__": 2 * np.log(r)}
            centred.append(log_p[0](at | {"J": J}))
        else:
            own, among = joint, {"local_log__": np.log(r)}
            centred.append(log_p[0](at | among | {"J": J}))
        sd = prior.precision(3, scale, r**2) ** -0.5
        product = log_p[1](at | among | {"J_unit": J / sd}) - np.sum(np.log(sd))
        ours.append([own, joint])
        products.append(product)
    ours = np.diff(ours, axis=0).T
    np.testing.assert_allclose(ours[0], np.diff(centred), rtol=1e-8)
    np.testing.assert_allclose(ours[1], np.diff(products), rtol=1e-8)


# ── Posteriors ───────────────────────────────────────────────────────────────────────────────────


def assert_same(draws, mean, sd, other=None, slack=0.01):
    """Mean and variance of draws (chain, draw) are these, within five standard errors."""
    for power, expected in ((1, 0.0), (2, 1.0)):
        value = ((draws - mean) / sd) ** power
        error = value.std() / math.sqrt(float(arviz.ess(value)))
        if other is not None:
            twin = ((other - mean) / sd) ** power
            expected = twin.mean()
            error = math.hypot(error, twin.std() / math.sqrt(float(arviz.ess(twin))))
        assert error < 0.2
        assert abs(value.mean() - expected) < 5 * error + slack, (power, value.mean(), expected)


def draws_of(problem, route=routes.mcmc, **settings):
    with threadpool_limits(1):
        theta, scale, stats_ = route(problem, Settings(**{"chains": 4, "tune": 200} | settings))
    return theta, scale, stats_


@pytest.fixture(
    scope="module",
    params=["laplace", pytest.param("horseshoe", marks=pytest.mark.slow), "fixed"],
)
def two_sites(request):
    """A posterior of three parameters, and its mean and sd by quadrature."""
    prior = {
        "laplace": CouplingPrior(FIELD, Laplace(LogNormal(0.4, 0.5))),
        "horseshoe": CouplingPrior(FIELD, Horseshoe(HalfCauchy(0.5), 1.5)),
        "fixed": CouplingPrior(FIELD, Horseshoe(0.4)),
    }[request.param]
    problem = Pairwise(data(2, 25, key=3), prior)
    h = np.linspace(-2.7, 2.7, 31)
    # The horseshoe is infinite at zero: there the points are dense.
    t = np.linspace(-2.2, 2.2, 402)
    J, spacing = np.sinh(2 * t) / 10, np.cosh(2 * t) / 5
    grid = np.stack(np.meshgrid(h, h, J, indexing="ij"), axis=-1).reshape(-1, 3)
    own = prior.log_marginal(np.zeros((402, 2)), J[:, None]) + np.log(spacing)
    log_p = (
        problem.log_likelihood(grid)
        + np.tile(own, h.size**2)
        - 0.5 * np.sum(grid[:, :2] ** 2, axis=1)
    )
    weight = np.exp(log_p - log_p.max())
    weight /= weight.sum()
    mean = weight @ grid
    return problem, mean, np.sqrt(weight @ (grid - mean) ** 2)


def test_two_sites_have_the_posterior_of_quadrature(two_sites):
    problem, mean, sd = two_sites
    theta, _, _ = draws_of(problem, draws=1000)
    for k in range(3):
        assert_same(theta[..., k], mean[k], sd[k])


def test_a_wrong_prior_is_told_apart(two_sites):
    problem, mean, sd = two_sites
    wrong = Pairwise(problem.data, CouplingPrior(FIELD, Gaussian(1.0)))
    theta, _, _ = draws_of(wrong, draws=1000)
    with pytest.raises(AssertionError):
        assert_same(theta[..., 2], mean[2], sd[2])


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [Laplace, lambda scale: Horseshoe(scale, 1.0)], ids=["laplace", "horseshoe"]
)
def test_own_sampler_and_nuts_agree(kind):
    problem = Pairwise(data(3, 60, key=4), CouplingPrior(FIELD, kind(LogNormal(0.4, 0.5))))
    theta, scale, found = draws_of(problem, draws=1200)
    stated = pairwise.problem(problem.data, encoding="±1", prior=problem.prior)
    found_by_nuts = nuts(stated, Settings(chains=4, draws=600, tune=300)).draws
    other = enumeration.pack(found_by_nuts["h"], found_by_nuts["J"])
    width = found_by_nuts["scale"]
    assert not found["diverging"].any()
    pairs = [(theta[..., k], other[..., k]) for k in range(6)]
    for own, twin in [*pairs, (np.log(scale), np.log(width))]:
        assert_same(own, own.mean(), own.std(), twin)


def test_a_sparse_truth_is_found_sparse():
    truth = np.zeros(36)
    truth[8 + np.array([0, 9, 20])] = 0.6, -0.5, 0.7
    null = np.delete(np.arange(8, 36), [0, 9, 20])
    seen = data(8, 600, key=5, truth=truth)
    size, close = {}, {}
    for name in ("inferred", "horseshoe"):
        theta, _, found = draws_of(Pairwise(seen, named(name, "±1")), draws=500)
        assert not found["diverging"].any()
        assert found["n_steps"].mean() < 3  # the coordinates follow the local variances
        size[name] = np.sqrt(np.mean(theta[..., null] ** 2))
        away = np.abs(theta.mean(axis=(0, 1)) - truth)
        assert np.all(away < 4 * theta.std(axis=(0, 1)))
        close[name] = away[[8, 17, 28]]
    assert size["horseshoe"] < 0.75 * size["inferred"]
    # What is there is not shrunk away.
    assert np.all(close["horseshoe"] < 0.25)


@pytest.mark.parametrize(
    "kind",
    [Laplace, lambda scale: Horseshoe(scale, 1.0)],
    ids=["laplace", "horseshoe"],
)
@pytest.mark.slow  # the contract asks the same of a system whose couplings are drawn so
def test_ranks_of_the_truth_are_uniform(kind):
    prior, ranks = CouplingPrior(Normal(0, 0.7), kind(HalfCauchy(0.3))), []
    for seed in range(40):
        settings = Settings(seed=seed, draws=45, tune=40, chains=2)
        h, J, scale = prior.sample(settings.generator("truth"), 3, 3, 1)
        seen = data(3, 80, seed, truth=enumeration.pack(h, J)[0])
        theta, found, _ = routes.mcmc(Pairwise(seen, prior), settings)
        every = np.concatenate([theta, found[..., None]], axis=-1)[:, ::3].reshape(-1, 7)
        ranks.append(np.mean(every < np.concatenate([h[0], J[0], scale]), axis=0))
    # Loose: forty replications see gross errors only.
    worst = min(stats.kstest(np.array(ranks)[:, k], "uniform").pvalue for k in range(7))
    assert worst > 1e-3


@pytest.mark.parametrize("name", ["laplace", pytest.param("horseshoe", marks=pytest.mark.slow)])
def test_a_fit_under_a_shrinking_prior_is_complete(name):
    # The second site follows the first, the others go their own way.
    states = rng(13).integers(0, 2, (600, 4))
    states[:, 1] ^= (states[:, 0] ^ states[:, 1]) & (rng(14).random(600) < 0.7)
    settings = Settings(draws=800, tune=200, chains=4, prior_draws=30)
    found = pairwise.fit(states, encoding="0/1", prior=name, settings=settings)
    verdict = check(found)
    assert verdict.believed, verdict.words
    draws = found["posterior"]
    assert set(draws.data_vars) == {"h", "J", "scale"}
    h, J, scale = (draws[v].values for v in ("h", "J", "scale"))
    factors = sum(found["log_prior"][v] for v in found["log_prior"])
    np.testing.assert_allclose(factors, named(name, "0/1").log_density(h, J, scale))


# ── What the prior holds ──────────────────────────────────────────────────────────────────────────


def drawn(J, prior, **scales):
    """A fit of these draws of couplings, (draw, ...), alone."""
    dims = ("chain", "draw", "target", "source")[: J.ndim + 1]

    def group(draws, **scale):
        return xr.Dataset(
            {"J": (dims, draws[np.newaxis])}
            | {name: (("chain", "draw"), of[np.newaxis]) for name, of in scale.items()}
        )

    after, before = ({name: pair[k] for name, pair in scales.items()} for k in (0, 1))
    return xr.DataTree.from_dict({"posterior": group(J, **after), "prior": group(prior, **before)})


def test_a_coupling_is_held_by_the_prior_where_the_data_hardly_narrow_it():
    z, before = rng(30).standard_normal((4000, 2, 3)), rng(31).standard_normal((4000, 2, 3))
    width = 0.3 * np.array([[1.0, 0.95, 0.85], [0.5, 0.0, 1.2]])
    before[:, 1, 1] = 0.0  # as a coupling of a site to itself that is left out
    fit = drawn(2.0 + width * z, 0.3 * before)
    held = [[True, True, False], [False, False, True]]
    np.testing.assert_array_equal(couplings.held_by_prior(fit), held)


@pytest.mark.parametrize("kind", ["normal", "laplace", "horseshoe"])
def test_an_inferred_width_stands_at_its_posterior_median(kind):
    prior = named(kind if kind != "normal" else "inferred", "±1")
    _, before, scale = prior.sample(rng(32), 1, 3, 4000)
    found = 0.02 * np.exp(0.1 * rng(33).standard_normal(4000))
    unit = np.quantile(np.abs(before / scale[:, None]), 0.68) * 0.02
    z = rng(34).standard_normal((4000, 3))
    fit = drawn(unit * np.array([1.0, 0.8, 0.2]) * z, before, scale=(found, scale))
    np.testing.assert_array_equal(couplings.held_by_prior(fit), [True, False, False])


# ── Names and errors ─────────────────────────────────────────────────────────────────────────────


def test_names():
    assert [named(name, "±1").words()["J"] for name in couplings.NAMES] == [
        "Normal(0, 1²)",
        "Normal(0, scale²)",
        "Laplace(0, scale)",
        "Normal(0, (scale λ)²) × Normal(0, 2²), λ ~ half-Cauchy(1)",
    ]
    assert named("laplace", "0/1").words()["scale"] == "half-Cauchy(4)"
    assert CouplingPrior(FIELD, Horseshoe(0.5)).words() == {
        "h": "Normal(0, 1²)",
        "J": "Normal(0, (0.5 λ)²), λ ~ half-Cauchy(1)",
    }
    assert "× Normal(0, slab²)" in str(Horseshoe(0.5, HalfCauchy(2.0)))
    assert couplings.default("0/1", inferred=True) == named("inferred", "0/1")
    assert CouplingPrior(FIELD, HalfCauchy(2.0)).kind == Gaussian(HalfCauchy(2.0))


def test_what_cannot_be():
    with pytest.raises(FitError, match="unknown prior 'lasso': use one of normal, inferred, lap"):
        named("lasso", "±1")
    with pytest.raises(DataError, match="unknown encoding"):
        named("laplace", "spins")
    with pytest.raises(DataError, match="no such prior of the couplings"):
        CouplingPrior(FIELD, Uniform())
    with pytest.raises(DataError, match="no such width of the couplings"):
        CouplingPrior(FIELD, Laplace(Normal()))
    with pytest.raises(DataError, match="prior of J is not proper"):
        CouplingPrior(FIELD, Horseshoe(0.0))
    with pytest.raises(DataError, match="the slab of the couplings has no width"):
        CouplingPrior(FIELD, Horseshoe(1.0, 0.0))
    states = rng(14).integers(0, 2, (60, 3))
    words = r"Laplace\(0, scale\) is normal only given its local variances: use the method mcmc"
    with pytest.raises(FitError, match=words):
        pairwise.fit(states, encoding="0/1", prior="laplace", method="laplace")
    with pytest.raises(FitError, match="normal only given its local"):
        pairwise.maximum_likelihood(
            states, encoding="0/1", prior=CouplingPrior(FIELD, Laplace(1.0))
        )
