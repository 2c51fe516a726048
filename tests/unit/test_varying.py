"""Regressions with non-linear parameters: boxes, modes, evidence, what the checks catch."""

import pickle

import numpy as np
import pytest
from scipy import stats

from bayesinf.checks import check
from bayesinf.errors import DataError, FitError
from bayesinf.models import linear
from bayesinf.models import problem as driver
from bayesinf.models.linear.boxes import laid, refined
from bayesinf.priors import Beta, HalfCauchy, InverseChi, LogNormal, LogUniform, Normal, Uniform
from bayesinf.settings import Settings

SHORT = Settings(draws=500, chains=4, prior_draws=20)


# ── Boxes: densities whose integral is known ─────────────────────────────────────────────────────


def boxed(log_density, low, high, steps):
    """Boxes of a density over a cube, from a first grid of as many steps along each axis."""
    axes = [
        np.linspace(a, b, n + 1)[:-1] + (b - a) / (2 * n)
        for a, b, n in zip(low, high, steps, strict=True)
    ]
    centre = np.stack([each.ravel() for each in np.meshgrid(*axes, indexing="ij")], axis=1)
    width = np.tile((np.array(high) - low) / steps, (len(centre), 1))
    return refined(log_density, laid(log_density, centre, width))


def weights(boxes, log_density, size=4000):
    _, points, proposal = boxes.draw(np.random.default_rng(1), size)
    weight = np.exp(log_density(points) - proposal)
    return points, weight


NORMAL = np.array([[1.0, 0.9], [0.9, 1.0]])
CASES = {
    "one axis": (stats.norm(0.3137, 0.002).logpdf, 1, 40, None),
    "correlated": (stats.multivariate_normal([0.4, 0.6], 1e-4 * NORMAL).logpdf, 2, 16, None),
    "unlike widths": (
        stats.multivariate_normal([0.4, 0.5, 0.6], np.diag([0.01, 0.02, 0.1]) ** 2).logpdf,
        3,
        10,
        None,
    ),
    "at an end": (stats.expon(scale=0.02).logpdf, 1, 20, (0.02, 0.02)),
}


@pytest.mark.parametrize("name", CASES)
def test_boxes_hold_a_known_density(name):
    density, axes, steps, moments = CASES[name]
    log_density = lambda x: np.ravel(density(x if axes > 1 else x[:, 0]))
    boxes = boxed(log_density, [0.0] * axes, [1.0] * axes, [steps] * axes)
    assert boxes.log_total == pytest.approx(0.0, abs=5e-3)
    points, weight = weights(boxes, log_density)
    assert weight.sum() ** 2 / (weight**2).sum() > 0.98 * len(weight)
    assert np.log(weight.mean()) == pytest.approx(0.0, abs=5e-3)
    mean, sd = boxes.moments()
    if moments:
        assert (mean[0], sd[0]) == pytest.approx(moments, rel=0.01)
    np.testing.assert_allclose(points.mean(axis=0), mean, atol=4 * sd.max() / np.sqrt(4000))
    np.testing.assert_allclose(points.std(axis=0), sd, rtol=0.06)


def test_modes_compete_however_narrow():
    def density(x):
        wide, narrow = stats.norm(0.2011, 0.003), stats.norm(0.7313, 0.001)
        return np.logaddexp(np.log(0.7) + wide.logpdf(x), np.log(0.3) + narrow.logpdf(x))[:, 0]

    boxes = boxed(density, [0.0], [1.0], [120])
    assert boxes.share[boxes.centre[:, 0] < 0.5].sum() == pytest.approx(0.7, abs=2e-3)
    assert boxes.log_total == pytest.approx(0.0, abs=3e-3)


def leaning(x):
    """A density that is steepest at an end of its first axis, and broad along the second."""
    return -x[:, 0] / 1e-3 + stats.norm(0.45, 0.2).logpdf(x[:, 1])


def test_pairs_of_boxes_are_all_that_touch():
    """However unlike their widths: the pairs follow the cuts, brute force looks at all."""
    narrow = stats.multivariate_normal([0.31, 0.62], np.diag([3e-4, 0.02]) ** 2).logpdf
    boxes = boxed(narrow, [0.0, 0.0], [1.0, 1.0], [20, 10])
    assert np.all(boxes.width.max(axis=0) > [100 * boxes.width[:, 0].min(), 2 * 0.03])
    reach = 0.5 * (boxes.width[:, np.newaxis] + boxes.width) * (1 + 1e-6)
    touch = np.all(np.abs(boxes.centre[:, np.newaxis] - boxes.centre) <= reach, axis=-1)
    expected = {tuple(pair) for pair in np.argwhere(np.triu(touch, 1))}
    found = [tuple(sorted(pair)) for pair in boxes.pairs.T]
    assert len(found) == len(expected) and set(found) == expected


def test_a_steep_end_is_cut_along_its_slope():
    """Neighbours on one side show no curvature: the other axis would be cut for ever."""
    boxes = boxed(leaning, [0.0, 0.0], [1.0, 1.0], [40, 8])
    assert len(boxes.value) < 600
    exact = np.log(1e-3) + np.log(np.diff(stats.norm(0.45, 0.2).cdf([0, 1]))[0])
    assert boxes.log_total == pytest.approx(exact, abs=0.02)


# ── A wave of unknown frequency, against brute force ─────────────────────────────────────────────


class Wave:
    """y = level + a cos 2πft + b sin 2πft + ε with known noise, as a builder that pickles."""

    def __init__(self, seed=0, count=30, frequency=0.62, amplitude=1.0, noise=0.5):
        rng = np.random.default_rng(seed)
        self.t = np.sort(rng.uniform(0, 12, count))
        self.error = noise * rng.uniform(0.8, 1.2, count)
        signal = amplitude * np.cos(2 * np.pi * frequency * self.t)
        self.y = 2 + signal + self.error * rng.standard_normal(count)

    def features(self, frequency):
        angle = 2 * np.pi * frequency * self.t
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def __call__(self, frequency, jitter=0.0, scale=None, noise=None):
        return linear.regression(
            self.features(frequency),
            self.y,
            linear.Gaussian(scale or HalfCauchy(1.0)),
            unshrunk={"level": (np.ones(len(self.y)), Normal(1.5, 3.0))},
            error=np.hypot(self.error, jitter),
            noise=noise,
        )


def brute_force(wave, frequency, scale):
    """log p(y | frequency, scale) as one multivariate normal, nothing shared with the engine."""
    X = wave.features(frequency)
    K = np.diag(wave.error**2) + scale**2 * X @ X.T + 9.0
    return stats.multivariate_normal(np.full(len(wave.y), 1.5), K).logpdf(wave.y)


@pytest.fixture(scope="module")
def wave():
    return Wave()


@pytest.fixture(scope="module")
def fitted(wave):
    problem = linear.varying(
        wave, {"frequency": Uniform(0.3, 1.2)}, steps=50, units={"frequency": "1/d"}
    )
    return problem, driver.fit(problem, settings=SHORT)


def test_evidence_and_posterior_are_those_of_quadrature(wave, fitted):
    problem, fit = fitted
    f = np.linspace(0.3, 1.2, 120)
    log_scale = np.linspace(-5, 5, 30)
    prior = HalfCauchy(1.0).log_density(np.exp(log_scale)) + log_scale
    inner = np.array([[brute_force(wave, a, np.exp(b)) for b in log_scale] for a in f])
    joint = inner + prior + Uniform(0.3, 1.2).log_density(f)[:, np.newaxis]
    weight = np.exp(joint - joint.max())
    log_evidence = joint.max() + np.log(weight.sum() * (f[1] - f[0]) * np.diff(log_scale)[0])
    assert problem.log_evidence() == pytest.approx(log_evidence, abs=5e-3)
    assert float(fit["sample_stats"]["log_evidence"]) == pytest.approx(log_evidence, abs=5e-3)
    weight /= weight.sum()
    mean, scale = weight.sum(axis=1) @ f, weight.sum(axis=0) @ np.exp(log_scale)
    sd = np.sqrt(weight.sum(axis=1) @ (f - mean) ** 2)
    draws = fit["posterior"]
    assert float(draws["frequency"].mean()) == pytest.approx(mean, abs=4 * sd / np.sqrt(2000))
    assert float(draws["frequency"].std()) == pytest.approx(sd, rel=0.1)
    assert float(draws["scale"].median()) < scale  # skew to the right
    assert float(draws["scale"].mean()) == pytest.approx(scale, rel=0.2)
    statistics = fit["sample_stats"]
    assert float(statistics["frequency_closed_form_mean"]) == pytest.approx(mean, rel=1e-3)
    assert float(statistics["frequency_closed_form_sd"]) == pytest.approx(sd, rel=0.02)


def test_densities_that_are_stored_are_the_model_s(wave, fitted):
    """Prior and likelihood of a draw, written out by hand."""
    _, fit = fitted
    for k in (0, 77, 400):
        one = {name: values.values[1, k] for name, values in fit["posterior"].data_vars.items()}
        mean = one["level"] + wave.features(one["frequency"]) @ one["beta"]
        likelihood = stats.norm(mean, wave.error).logpdf(wave.y)
        total = fit["sample_stats"]["log_likelihood"][1, k]
        np.testing.assert_allclose(total, likelihood.sum())
        factors = {
            "frequency": -np.log(0.9),
            "level": stats.norm(1.5, 3.0).logpdf(one["level"]),
            "scale": stats.halfcauchy(scale=1.0).logpdf(one["scale"]),
            "beta": stats.norm(0, one["scale"]).logpdf(one["beta"]).sum(),
        }
        assert set(fit["log_prior"].data_vars) == set(factors)
        for name, value in factors.items():
            assert float(fit["log_prior"][name][1, k]) == pytest.approx(value), name


def test_a_fit_is_whole_and_believed(fitted):
    problem, fit = fitted
    verdict = check(fit)
    assert verdict.believed, verdict.words
    assert {"grid", "modes", "edges"} <= {one.name for one in verdict.checks}
    assert fit["posterior"]["frequency"].attrs["units"] == "1/d"
    assert fit["sample_stats"]["weight_efficiency"] > 0.98
    assert "frequency" in problem.priors and fit.attrs["inference"] == "boxes"


def test_the_same_seed_gives_the_same_draws_whatever_the_workers(wave):
    problem = linear.varying(wave, {"frequency": Uniform(0.1, 2.0)}, steps=60)
    short = Settings(draws=50, chains=2, prior_draws=5)
    one, two = (driver.fit(problem, settings=short.replace(workers=n)) for n in (1, 2))
    assert one["posterior"].to_dataset().identical(two["posterior"].to_dataset())


def test_noise_and_error_bars_vary_with_theta(wave):
    """σ inferred, and an error bar that depends on θ: the weights are as even as before."""
    build = lambda frequency, jitter: wave(frequency, jitter, noise=InverseChi(4.0, 1.0))
    priors = {"frequency": Uniform(0.58, 0.66), "jitter": HalfCauchy(0.2)}
    problem = linear.varying(build, priors, steps={"frequency": 4, "jitter": 8})
    fit = driver.fit(problem, settings=Settings(draws=50, prior_draws=5))
    assert {"sigma", "jitter", "scale"} <= set(fit["posterior"].data_vars)
    assert fit["sample_stats"]["weight_efficiency"] > 0.95


def test_the_prior_and_new_data(wave):
    problem = linear.varying(wave, {"frequency": Uniform(0.1, 2.0)}, steps=60)
    rng = np.random.default_rng(3)
    draws = problem.sample_prior(rng, 400)
    assert draws["beta"].shape == (400, 2)
    assert stats.kstest(draws["frequency"], stats.uniform(0.1, 1.9).cdf).pvalue > 1e-3
    other = problem.observing({"y": wave.y + 1})
    assert other.log_evidence() != problem.log_evidence()
    np.testing.assert_array_equal(other.observed["y"], wave.y + 1)


# ── Modes, edges, screens: right where they can be, caught where they cannot ─────────────────────


class Aliased(Wave):
    """Whole-numbered times: f and 1 - f make the same data, and only the prior parts them."""

    def __init__(self):
        super().__init__(count=40, amplitude=2.0)
        self.t = np.arange(40.0)
        rng = np.random.default_rng(2)
        self.y = 2 + 2 * np.cos(2 * np.pi * 0.3 * self.t) + self.error * rng.standard_normal(40)


def test_aliases_share_the_mass_as_the_prior_does():
    """Beta(2, 1) is 2f: two modes at 0.3 and 0.7 hold 30 and 70 %, and the draws go there."""
    problem = linear.varying(Aliased(), {"frequency": Beta(2.0, 1.0)}, steps=400)
    boxes = problem.survey.boxes
    high = boxes.centre[:, 0] > 0.5
    assert boxes.share[high].sum() == pytest.approx(0.7, abs=2e-3)
    fit = driver.fit(problem, settings=SHORT)
    share = float((fit["posterior"]["frequency"] > 0.5).mean())
    assert share == pytest.approx(0.7, abs=4 * np.sqrt(0.21 / 2000))
    assert check(fit).believed


class Long(Wave):
    """A long record, whose mode is narrow beside the prior."""

    def __init__(self):
        super().__init__(count=60)
        rng = np.random.default_rng(5)
        self.t = np.sort(rng.uniform(0, 100, 60))
        self.y = 2 + 2 * np.cos(2 * np.pi * 0.62 * self.t) + self.error * rng.standard_normal(60)


def failed(fit):
    return {one.name for one in check(fit).checks if one.required and not one.passed}


def test_too_few_steps_are_caught():
    prior, short = {"frequency": Uniform(0.1, 2.0)}, Settings(draws=100, prior_draws=5)
    fine = driver.fit(linear.varying(Long(), prior, steps=900), settings=short)
    assert float(fine["posterior"]["frequency"].mean()) == pytest.approx(0.62, abs=1e-3)
    assert "modes" not in failed(fine)
    coarse = driver.fit(linear.varying(Long(), prior, steps=30), settings=short)
    assert "modes" in failed(coarse)


def test_a_prior_that_the_data_pull_away_from_is_caught():
    loud = Wave(amplitude=10.0)
    build = lambda width: loud(0.62, scale=width)
    problem = linear.varying(build, {"width": LogNormal(0.01, 0.4)})
    fit = driver.fit(problem, settings=Settings(draws=50, prior_draws=5))
    assert "edges" in failed(fit)


def test_a_screen_changes_nothing_but_the_time(wave):
    priors, asked = {"frequency": Uniform(0.1, 2.0)}, []

    def build(frequency):
        asked.append(frequency)
        return Long.__call__(long, frequency)

    long = Long()
    about = lambda values: np.array([brute_force(long, f, 1.0) for f in values])
    plain = linear.varying(build, priors, steps=500)
    value, paid = plain.log_evidence(), len(asked)
    asked.clear()
    screened = linear.varying(build, priors, steps=500, screen={"frequency": about})
    assert screened.log_evidence() == pytest.approx(value, abs=1e-6)
    assert len(asked) < paid / 10
    assert screened.survey.skipped < 1e-6
    lying = linear.varying(
        build, priors, steps=500, screen={"frequency": lambda f: -((f - 1.5) ** 2) / 1e-4}
    )
    fit = driver.fit(lying, settings=Settings(draws=50, prior_draws=5))
    assert "screen" in failed(fit)


# ── What is refused ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"priors": {}}, "no non-linear parameter"),
        ({"priors": dict.fromkeys("abcd", Normal())}, "too many non-linear parameters"),
        ({"steps": {"phase": 3}}, "steps of no non-linear parameter"),
        ({"screen": {"phase": np.sin}}, "a screen of no non-linear parameter"),
        ({"units": {"phase": "s"}}, "a unit of no non-linear parameter"),
    ],
)
def test_what_cannot_be_stated_is_refused(wave, options, said):
    options = {"priors": {"frequency": LogUniform(0.1, 2.0)}} | options
    with pytest.raises(DataError, match=said):
        linear.varying(wave, **options)


def test_names_and_priors_of_the_regression_are_minded(wave):
    def build(level):
        return wave(0.6)

    with pytest.raises(DataError, match="the name level is taken"):
        linear.varying(build, {"level": Normal()})
    lasso = lambda frequency: linear.regression(wave.features(frequency), wave.y, "laplace")
    with pytest.raises(FitError, match="use the normal prior"):
        linear.varying(lasso, {"frequency": Uniform(0.1, 2.0)})


# ── What is built is kept ────────────────────────────────────────────────────────────────────────

T = np.linspace(0.0, 1.0, 30)


def decay(rate):
    return linear.regression(np.exp(-rate * T)[:, np.newaxis], 2 * np.exp(-3 * T) + 0.01)


def test_a_point_is_built_once_and_anew_for_other_data_or_in_another_process():
    built = []

    def counted(rate):
        built.append(rate)
        return decay(rate)

    problem = linear.varying(counted, {"rate": LogNormal(3.0, 0.5)})
    rates = {"rate": np.array([2.0, 2.5, 3.0])}
    draws = rates | {"beta": np.ones((3, 1)), "sigma": np.full(3, 0.1)}
    problem.mean(draws)
    once = len(built)
    problem.mean(draws), problem.noise_sd(draws)
    assert len(built) == once
    other = problem.observing({"y": problem.y + 1.0})
    assert other.at({"rate": 2.0}).y[0] == problem.at({"rate": 2.0}).y[0] + 1.0
    plain = linear.varying(decay, {"rate": LogNormal(3.0, 0.5)})
    plain.at({"rate": 2.0})
    again = pickle.loads(pickle.dumps(plain))
    np.testing.assert_array_equal(again.at({"rate": 2.0}).y, plain.y)
