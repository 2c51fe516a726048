"""Fits of a batch: those of a single fit, honest intervals, and wrong batches that are refused."""

import numpy as np
import pytest

from bayesinf.batches import BELIEVED, DOUBTED, FAILED, QUESTIONS, Tally, evidence
from bayesinf.data import curve_from_arrays
from bayesinf.data.spectra import Spectrum
from bayesinf.errors import DataError, FitError
from bayesinf.priors import Normal, Uniform
from bayesinf.settings import Settings
from bayesinf.systems import gaussian_peaks as system
from bayesinf.systems.gaussian_peaks.batch import Model, fit_portion
from bayesinf.systems.gaussian_peaks.batch.residuals import STATISTICS

X = np.linspace(0.0, 10.0, 120)


def mean(theta, x=X):
    """Two Gaussians on a constant, (spectrum, point), of θ (spectrum, 7)."""
    level, *lines = np.asarray(theta).T[:, :, None]
    parts = (h * np.exp(-0.5 * ((x - c) / s) ** 2) for h, c, s in (lines[:3], lines[3:]))
    return level + sum(parts)


def truths(rng, count):
    """Parameters of two peaks apart, (spectrum, 7)."""
    return rng.uniform([0.5, 5, 3, 0.4, 5, 6, 0.4], [2, 15, 4, 0.7, 15, 7, 0.8], (count, 7))


def batch(y, error=None):
    """Spectra of rows of y."""
    return [Spectrum(str(k), X, each, error) for k, each in enumerate(y)]


def refused(rows):
    """Names of the questions that a batch of these rows fails."""
    tally = Tally(STATISTICS)
    tally.add(rows["code"], rows["p_value"])
    found = evidence(tally)
    return [q.name for q in QUESTIONS if not q.answered(np.max(found[q.variable][1]))]


# --- one definition -------------------------------------------------------------------------------

MODELS = [
    {"peaks": 2},
    {"peaks": 2, "tied": True, "shape": "lorentzian", "background": "linear"},
    {"peaks": 1, "shape": "pseudo-voigt", "background": "quadratic"},
    {"peaks": 1, "background": "exponential"},
    {"peaks": 1, "negative": True, "background": "spline"},
    {"peaks": 2, "priors": {"center[1]": Normal(3.5, 0.1)}},
]


@pytest.mark.parametrize(
    "options", MODELS, ids=lambda options: "-".join(map(str, options.values()))
)
def test_optimum_and_covariance_are_those_of_a_single_fit(options):
    rng, peaks = np.random.default_rng(7), options["peaks"]
    spectra = []
    for k in range(2):  # of uneven x, of other lengths, without error bars and with
        x = np.sort(rng.uniform(0, 10, 70 + 30 * k))
        sign = -1 if options.get("negative") else 1
        known = {
            "height": sign * rng.uniform(5, 15, peaks),
            "center": np.array([3.5, 6.8])[:peaks] + rng.uniform(-0.3, 0.3, peaks),
            "sigma": np.full(peaks, 0.6),
        }
        shape = {name: options[name] for name in ("background", "shape") if name in options}
        made = system.simulate(x, **known, **shape, noise=0.3, rng=rng)
        error = 0.3 * rng.uniform(0.8, 1.2, len(x)) if k else None
        spectra.append(Spectrum(str(k), x, made["y"].to_numpy(), error))
    model = Model(**options)
    rows = fit_portion(spectra, model)
    for k, one in enumerate(spectra):
        stated = system.problem(curve_from_arrays(one.x, one.y, one.error), **options)
        best = stated.optimum
        assert model.free == stated.free
        sd = best.standard_error
        assert np.all(np.abs(rows["theta"][k] - best.theta) < 1e-5 * sd)
        apart = rows["covariance"][k] - best.covariance * best.scale**2
        assert np.all(np.abs(apart) < 1e-5 * np.outer(sd, sd))
        assert rows["rss"][k] == pytest.approx(best.rss, rel=1e-9)
        assert rows["noise"][k] == pytest.approx(best.scale, rel=1e-9) or one.error is not None


def test_boxes_are_those_of_a_single_fit():
    from bayesinf.models.curve.least_squares import bounds

    y = mean(truths(np.random.default_rng(1), 1))[0]
    for options in ({"peaks": 2, "background": "cubic"}, {"priors": {"height": Uniform(0.0, 9.0)}}):
        model = Model(**options)
        stated = system.problem(curve_from_arrays(X, y), **options)
        found = [side[0] for side in model.boxes(batch([y]))]
        assert np.array(found) == pytest.approx(np.array(bounds(stated)), rel=1e-14)


def test_an_optimum_at_an_edge_is_found_and_doubted():
    y = mean(truths(np.random.default_rng(2), 4)) + 0.3 * np.random.default_rng(3).standard_normal(
        (4, len(X))
    )
    prior = {"height": Uniform(0.0, 4.0)}
    rows = fit_portion(batch(y), Model(peaks=2, priors=prior))
    assert np.all(rows["code"] == DOUBTED)
    assert all("at the edge of what is allowed" in reason for reason in rows["reason"])
    best = system.problem(curve_from_arrays(X, y[0]), peaks=2, priors=prior).optimum
    assert rows["rss"][0] <= best.rss * (1 + 1e-9)
    assert rows["theta"][0] == pytest.approx(best.theta, abs=0.01 * best.standard_error.max())


def test_a_wrong_valley_is_left():
    # On a cubic the guesses of two tied peaks lead to a side valley; residuals say so.
    rng = np.random.default_rng(11)
    theta = truths(rng, 60)
    y = mean(theta) + 0.4 * rng.standard_normal((60, len(X)))
    y += 0.8 * (X - 5) + 0.03 * (X - 5) ** 3
    model = Model(peaks=2, background="cubic")
    rows = fit_portion(batch(y), model)
    center = rows["theta"][:, [model.free.index(f"p{k}_center") for k in (1, 2)]]
    assert np.mean(np.abs(center - theta[:, [2, 5]]).max(axis=1) < 0.5) > 0.95


def test_a_narrow_prior_moves_mean_and_sd_as_in_closed_form():
    rng = np.random.default_rng(5)
    theta = truths(rng, 40)
    y = mean(theta) + 0.5 * rng.standard_normal((40, len(X)))
    flat = fit_portion(batch(y), Model(peaks=2))
    a = Model(peaks=2).free.index("p1_center")
    sd, prior = flat["sd"][:, a], 0.06
    rows = fit_portion(batch(y), Model(peaks=2, priors={"center[1]": Normal(3.5, prior)}))
    share = prior**2 / (prior**2 + sd**2)
    exact = share * flat["mean"][:, a] + (1 - share) * 3.5
    assert np.abs(rows["mean"][:, a] - exact).mean() < 0.2 * sd.mean()
    assert rows["sd"][:, a].mean() == pytest.approx((sd * np.sqrt(share)).mean(), rel=0.1)
    assert np.abs(flat["mean"][:, a] - exact).mean() > 0.4 * sd.mean()


# --- calibration ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def right():
    """A thousand spectra each without error bars and with, of known parameters."""
    rng = np.random.default_rng(6)
    theta = truths(rng, 2000)
    y = mean(theta) + 0.5 * rng.standard_normal((2000, len(X)))
    model, bars = Model(peaks=2), np.full(len(X), 0.5)
    parts = [
        fit_portion(batch(y[first : first + 250], bars if first >= 1000 else None), model, number=k)
        for k, first in enumerate(range(0, 2000, 250))
    ]
    return theta, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def test_intervals_of_95_per_cent_hold_95_per_cent(right):
    theta, rows = right
    inside = np.abs(rows["mean"] - theta) < 1.96 * rows["sd"]
    assert np.all(np.abs(inside.mean(axis=0) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 2000))
    # The draws that are kept hold the truth evenly.
    rank = np.sum(rows["draws"] < theta[:, None, :], axis=1)
    count = np.stack([np.bincount(rank[:, a], minlength=17) for a in range(7)])
    assert np.all(np.abs(count / 2000 - 1 / 17) < 5 * np.sqrt(1 / 17 / 2000))


def test_p_values_are_even_and_few_right_fits_are_doubted(right):
    _, rows = right
    p = rows["p_value"]
    assert np.isnan(p[:1000, 4]).all() and np.isfinite(p[1000:]).all()
    for level in (0.05, 0.5):
        for k in range(4):
            assert abs(np.mean(p[:, k] < level) - level) < 0.03 + 4 * np.sqrt(0.25 / 2000)
    assert abs(np.mean(p[1000:, 4] < 0.1) - 0.1) < 4 * np.sqrt(0.09 / 1000)
    assert np.mean(rows["code"] == BELIEVED) > 0.97
    assert not np.any(rows["code"] == FAILED)
    assert refused(rows) == []


def test_the_same_whatever_stands_beside_and_wherever(right):
    y = mean(truths(np.random.default_rng(8), 20)) + 0.1
    y += 0.3 * np.random.default_rng(9).standard_normal(y.shape)
    model = Model(peaks=2)
    one, other = (fit_portion(batch(y), model, number=3) for _ in range(2))
    for name in one:
        assert np.array_equal(one[name], other[name], equal_nan=name != "reason")
    seed = fit_portion(batch(y), model, Settings(seed=2), number=3)
    assert np.array_equal(seed["theta"], one["theta"])
    assert not np.array_equal(seed["draws"], one["draws"])


# --- wrong batches --------------------------------------------------------------------------------


def wrong(kind, rng, count=200):
    """Spectra that two peaks and even noise do not describe, each but faintly."""
    y = mean(truths(rng, count))
    noise = rng.standard_normal(y.shape)
    if kind == "growing noise":
        return y + (0.3 + 0.05 * y) * noise
    if kind == "missing peak":
        y = y + 0.8 * np.exp(-0.5 * ((X - 8.8) / 0.3) ** 2)
    if kind == "noise with memory":
        for i in range(1, y.shape[1]):
            noise[:, i] = 0.35 * noise[:, i - 1] + np.sqrt(1 - 0.35**2) * noise[:, i]
    if kind == "heavy tails":
        noise = rng.standard_t(4, y.shape) / np.sqrt(2)
    return y + 0.5 * noise


@pytest.mark.parametrize(
    "kind", ["growing noise", "missing peak", "noise with memory", "heavy tails"]
)
def test_a_wrong_batch_is_refused(kind):
    rows = fit_portion(batch(wrong(kind, np.random.default_rng(10))), Model(peaks=2))
    assert "residuals" in refused(rows)


@pytest.mark.parametrize("bars", [0.4, 0.6])
def test_wrong_error_bars_are_refused(bars):
    y = wrong("", np.random.default_rng(12))
    rows = fit_portion(batch(y, np.full(len(X), bars)), Model(peaks=2))
    assert "residuals" in refused(rows)
    assert np.mean(rows["p_value"][:, 4] < 0.05) > 0.5


def test_a_peak_that_is_not_there_is_doubted():
    rng = np.random.default_rng(13)
    theta = truths(rng, 60)
    theta[:, 4] = 0.0
    rows = fit_portion(batch(mean(theta) + 0.5 * rng.standard_normal((60, len(X)))), Model(peaks=2))
    assert np.mean(rows["code"] != BELIEVED) > 0.9
    assert "doubted" in refused(rows)


# --- rows with a reason ---------------------------------------------------------------------------


def test_what_cannot_be_fitted_is_a_row_with_a_reason():
    y = mean(truths(np.random.default_rng(14), 1))[0]
    y = y + 0.3 * np.random.default_rng(15).standard_normal(len(X))
    holed, bars = y.copy(), np.full(len(X), 0.3)
    holed[7] = np.nan
    spectra = [
        Spectrum("fine", X, y),
        Spectrum("few", X[:6], y[:6]),
        Spectrum("holed", X, holed),
        Spectrum("flat", X, np.ones(len(X))),
        Spectrum("bars", X, y, np.where(np.arange(len(X)) == 3, 0.0, bars)),
        Spectrum("broken", reason="the file is empty"),
        Spectrum("one x", np.ones(len(X)), y),
        Spectrum("known", X, y, bars),
    ]
    rows = fit_portion(spectra, Model(peaks=2))
    said = [
        "",
        "6 points cannot determine 8 parameters",
        "1 of 120 points hold no finite number",
        "y does not vary: 1 at every point",
        "1 error bars are not above zero",
        "the file is empty",
        "x does not vary: 1 at every point",
        "",
    ]
    assert list(rows["reason"]) == said
    assert list(rows["code"]) == [FAILED if reason else BELIEVED for reason in said]
    failed = rows["code"] == FAILED
    assert np.isnan(rows["theta"][failed]).all() and np.isfinite(rows["theta"][~failed]).all()
    alone = fit_portion([spectra[0]], Model(peaks=2))
    assert rows["theta"][0] == pytest.approx(alone["theta"][0], rel=1e-9)


def test_data_without_noise_are_doubted():
    rows = fit_portion(batch(mean(truths(np.random.default_rng(16), 3))), Model(peaks=2))
    assert np.all(rows["code"] == DOUBTED)
    assert all("rounding" in reason for reason in rows["reason"])


def test_what_no_batch_can_fit_is_refused_before():
    with pytest.raises(DataError, match="a batch has no voigt shape"):
        Model(shape="voigt")
    with pytest.raises(FitError, match="unknown shape"):
        Model(shape="bell")
    with pytest.raises(FitError, match="no free parameter width"):
        Model(priors={"width": Normal(0.0, 1.0)}).template()
