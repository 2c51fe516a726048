"""Spectral analysis: the search against astropy, the period and its rivals, modes, files."""

import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

import bayesinf
from bayesinf.data import curve_from_arrays
from bayesinf.errors import DataError, FitError
from bayesinf.models.linear import survey
from bayesinf.posterior import noted
from bayesinf.priors import Normal, Uniform
from bayesinf.settings import Settings
from bayesinf.systems import spectral_analysis as spectral
from bayesinf.systems.spectral_analysis import results, search
from bayesinf.systems.spectral_analysis.data import light_curve
from bayesinf.systems.spectral_analysis.model import Curve, quiet
from bayesinf.systems.spectral_analysis.results import advised

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "data" / "spectral_analysis" / "star.nc"
SHARED = ROOT.parent / "shared" / "data" / "light_curve" / "LINEAR_11375941.csv"
SHORT = Settings(draws=200, chains=4, prior_draws=10)


def uneven(count=60, seed=0):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(0, 50, count))
    error = rng.uniform(0.05, 0.1, count)
    y = 3 + 0.2 * np.sin(2 * np.pi * 1.23 * t) + error * rng.standard_normal(count)
    return t, y, error


# ── The search ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("harmonics", [1, 3, 5])
def test_power_is_astropy_s(harmonics):
    from astropy.timeseries import LombScargle

    t, y, error = uneven()
    start, step, count = 0.3, 0.0137, 300  # no multiple of a block of frequencies
    frequency = start + step * np.arange(count)
    theirs = LombScargle(t, y, error, nterms=harmonics).power(frequency, method="chi2")
    ours = search.power(t, y, error, start, step, count, harmonics)
    np.testing.assert_allclose(ours, theirs, atol=1e-10)
    window = LombScargle(t, np.ones(len(t)), error, fit_mean=False, center_data=False)
    np.testing.assert_allclose(
        search.window(t, error, start, step, count), window.power(frequency), atol=1e-8
    )


def test_log_evidence_of_the_search_is_a_normal_s():
    t, y, error = uneven(25)
    y, harmonics = y - 3, 2
    variances = np.array([[4.0, 0.09, 0.02, 0.09, 0.02], [4.0, 0.01, 0.01, 0.01, 0.01]])
    weights, start, step = np.log([0.3, 0.7]), 0.9, 0.31
    ours = search.log_evidence(t, y, error, start, step, 4, variances, weights)
    t = t - 0.5 * (t[0] + t[-1])
    k = np.arange(1, harmonics + 1)
    for found, frequency in zip(ours, start + step * np.arange(4), strict=True):
        angle = 2 * np.pi * frequency * np.outer(t, k)
        X = np.column_stack([np.ones(len(t)), np.cos(angle), np.sin(angle)])
        each = [
            stats.multivariate_normal(np.zeros(len(t)), np.diag(error**2) + X * v @ X.T).logpdf(y)
            for v in variances
        ]
        assert found == pytest.approx(np.logaddexp.reduce(weights + each), abs=1e-6)


# ── The shipped star ─────────────────────────────────────────────────────────────────────────────


@cache
def star(harmonics=None):
    """To find how many harmonics it has takes 10 s of processor time, to be told 3."""
    return spectral.fit(spectral.read(SHIPPED), harmonics, period_unit="h", settings=SHORT)


@pytest.mark.parametrize("frequency", [1.23, 0.615, 2.4, 3.1])  # found, half, near twice, none
def test_mass_near_a_frequency_is_that_of_all_frequencies_there(frequency):
    """Steps that are halved where there is something, against small ones throughout."""
    curve, step = Curve(light_curve(*uneven(), "d"), shortest=0.3, longest=9), 2e-4
    low = frequency - results.REACH / curve.span
    count = round(2 * results.REACH / curve.span / step)
    each = results._log_evidence(curve, low + step / 2, step, count, 2)
    prior = curve.priors["frequency"].log_density(frequency)
    whole = logsumexp(each) + np.log(step) + prior
    assert results._log_mass(curve, frequency, 2, step) == pytest.approx(whole, abs=0.01)


@pytest.mark.slow
def test_the_shipped_star_has_its_period():
    fit = star()
    period, truth = noted(fit, "source")["period"], 24 * 0.5524
    assert period.attrs["units"] == "h"
    assert abs(float(period.mean()) - truth) < 4 * float(period.std()) < 0.01
    assert fit.attrs["harmonics"] == 4
    for name in ("level", "jitter"):
        draws = fit["posterior"][name]
        assert abs(float(draws.mean() - noted(fit, "truth")[name])) < 4 * float(draws.std())
    assert bayesinf.check(fit).believed
    assert "residual memory" in fit["sample_stats"]["statistic"]


@pytest.mark.slow
def test_its_rivals_are_weighed():
    mass, models = noted(star(), "candidates"), noted(star(), "models")
    share = np.logaddexp.reduce(mass["log_mass"].values, axis=0)
    assert share[0] == pytest.approx(0.0, abs=0.02)
    assert {"half", "double"} <= set(mass["candidate"].values)
    assert np.all(share[1:] < -20)
    # The highest peaks of the window of nights are whole cycles per day.
    shifts = [float(n.split("+")[1]) for n in mass["candidate"].values if "alias +" in n]
    np.testing.assert_allclose(np.sort(shifts), [1, 2], atol=0.02)
    assert models["log_bayes_factor"].values.min() > 100
    assert np.ptp(models["log_bayes_factor"].values) < 0.1


def test_the_classical_side_agrees_where_it_can():
    found = noted(star(4), "classical")
    frequency = star(4)["posterior"]["frequency"]
    assert float(found["frequency"]) == pytest.approx(float(frequency.mean()), abs=5e-3)
    assert float(found["false_alarm"]) < 1e-20
    alone = spectral.classical(spectral.read(SHIPPED))
    assert float(alone["frequency"]) == float(alone["sine_frequency"])


def test_the_story_tells_the_period_and_its_rivals():
    told = spectral.story({"period": star(4)})
    assert told.answer.title.startswith("Period (13.257") and told.best == "period"
    assert "There is a period" in told.answer.paragraphs[0]
    assert "of its half, double" in told.answer.paragraphs[1]


# ── What a search must not get wrong ─────────────────────────────────────────────────────────────


def test_noise_has_no_period():
    rng = np.random.default_rng(8)
    t, error = np.sort(rng.uniform(0, 15, 30)), np.full(30, 0.1)
    noise = light_curve(t, 5 + error * rng.standard_normal(30), error)
    fit = spectral.fit(noise, 1, shortest=3, longest=10, settings=SHORT)
    assert noted(fit, "models")["log_bayes_factor"].max() < 2
    told = spectral.story({"period": fit})
    assert told.answer.title == "No period stands out"
    assert "A period is not shown" in told.answer.paragraphs[0]


def test_a_screen_that_fails_on_noise_blames_no_steps(monkeypatch):
    """Where nothing stands out the posterior is everywhere: more steps are no remedy."""
    monkeypatch.setattr(survey, "MOST_FIRST", 400)
    rng = np.random.default_rng(100)
    t, error = np.sort(rng.uniform(0, 100, 50)), np.full(50, 0.1)
    noise = light_curve(t, 5 + error * rng.standard_normal(50), error)
    fit = spectral.fit(noise, 1, settings=SHORT.replace(draws=30))
    skipped = float(fit["sample_stats"]["skipped_mass"])
    factor = float(noted(fit, "models")["log_bayes_factor"].max())
    assert skipped > 0.1
    said = bayesinf.check(fit).words
    assert "give the screen more steps" not in said
    assert f"a log Bayes factor of {factor - np.log1p(-skipped):.1f} at most" in said
    # A period that stands out, or might in what was left out, keeps the remedy as it was.
    for change in ({"log_bayes_factor": 9.0}, {"skipped_mass": 1.0}):
        other = fit.copy(deep=True)
        for group in ("sample_stats", "constant_data"):
            for name, variable in other[group].data_vars.items():
                if name.split(".")[-1] in change:
                    variable.values[...] = change[name.split(".")[-1]]
        assert advised(other).attrs["questions"] == other.attrs["questions"]


def test_an_alias_that_nothing_tells_apart_has_half_of_the_posterior():
    """A value a day, always at the same hour: 0.3 and 0.7 cycles a day are one and the same."""
    rng = np.random.default_rng(3)
    t, error = np.arange(50.0), np.full(50, 0.1)
    y = np.cos(2 * np.pi * 0.3 * t) + error * rng.standard_normal(50)
    data = light_curve(t, y, error, "d")
    fit = spectral.fit(data, 1, shortest=1.05, longest=20, settings=SHORT)
    low = float((fit["posterior"]["frequency"] < 0.5).mean())
    assert low == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(800))
    mass = noted(fit, "candidates")
    share = np.exp(np.logaddexp.reduce(mass["log_mass"].values, axis=0))
    assert share[0] == pytest.approx(0.5, abs=0.02)
    rival = str(mass["candidate"].values[1 + np.argmax(share[1:])])
    assert rival == "alias −1" and max(share[1:]) == pytest.approx(0.5, abs=0.02)
    told = spectral.story({"period": fit}).answer
    assert ", with probability 0." in told.title
    # Both were searched; what was not, and gives the same data, is said: 1.3 or 1.7 cycles a day.
    hidden, found = noted(fit, "source")["hidden"].values, float(mass["frequency"][0])
    assert hidden == pytest.approx([1 / (1 + found)], rel=1e-3)
    assert any("stand on a grid of 1 d: a period of (0." in words for words in told.paragraphs)


@pytest.mark.parametrize(
    ("t", "grid"),
    [
        (np.arange(12) / 3 + 2455000.5, 1 / 3),
        (np.array([0.0, 2, 5, 6, 9, 13, 15, 17, 20]), 1.0),
        (np.array([0.0, 2, 5, 7, 9, 14, 16, 19, 21]), 1.0),  # no two of them one step apart
        (np.sort(np.random.default_rng(2).uniform(0, 50, 60)), None),
        (np.arange(40) + 0.02 * np.sin(np.arange(40)), None),
    ],
)
def test_a_grid_on_which_all_times_stand_hides_periods(t, grid):
    """There f and m/g ± f leave the same residuals, and else they do not."""
    rng = np.random.default_rng(5)
    y, error = rng.standard_normal(len(t)), np.full(len(t), 0.1)
    found = Curve(light_curve(t, y, error, "d"), shortest=1.5, longest=9).grid
    assert found == (None if grid is None else pytest.approx(grid, rel=1e-9))
    rate = 1 / (grid or np.median(np.diff(t)))
    power = [search.power(t - t[0], y, error, f, 1.0, 1, 1)[0] for f in (0.21, rate - 0.21)]
    assert (power[0] == pytest.approx(power[1], rel=1e-6)) == (grid is not None)


@pytest.mark.slow
def test_a_double_period_is_told_from_the_period():
    """Unlike halves make it the double; like halves leave no mass there."""
    rng = np.random.default_rng(4)
    t, error = np.sort(rng.uniform(0, 15, 60)), np.full(60, 0.05)
    for depth, truth in ((0.0, 2.0), (0.4, 1.0)):
        y = np.cos(4 * np.pi * t) + depth * np.cos(2 * np.pi * t + 0.5)
        y = y + error * rng.standard_normal(60)
        data = light_curve(t, y, error)
        fit = spectral.fit(data, 2, shortest=0.4, longest=1.5, settings=SHORT)
        assert float(fit["posterior"]["frequency"].median()) == pytest.approx(truth, abs=0.01)


def test_without_error_bars_the_jitter_is_the_noise():
    t, y, _ = uneven()
    data = curve_from_arrays(t, y)
    fit = spectral.fit(data, 1, shortest=0.5, longest=5, settings=SHORT)
    assert float(fit["posterior"]["jitter"].mean()) == pytest.approx(0.075, rel=0.3)
    assert float(fit["posterior"]["frequency"].mean()) == pytest.approx(1.23, abs=0.01)


@pytest.mark.slow
def test_red_noise_is_modelled_where_residuals_remember():
    """White residuals remember each other; with red noise the fit is believed and preferred."""
    rng = np.random.default_rng(1)
    t = np.sort(rng.integers(0, 15, 60) + rng.uniform(0, 0.3, 60))
    red = 0.15**2 * np.exp(-np.abs(t[:, np.newaxis] - t) / 0.4) + 0.03**2 * np.eye(60)
    y = 5 + 0.4 * np.sin(2 * np.pi * 1.7 * t) + np.linalg.cholesky(red) @ rng.standard_normal(60)
    data, ranges = light_curve(t, y, np.full(60, 0.03)), {"shortest": 0.4, "longest": 1.0}
    short = Settings(draws=100, prior_draws=5)
    white = spectral.fit(data, 1, **ranges, settings=short)
    fit = spectral.with_memory(white, data, **ranges, settings=short)
    frequency = fit["posterior"]["frequency"]
    assert abs(float(frequency.mean()) - 1.7) < 4 * float(frequency.std()) < 0.05
    assert bayesinf.check(fit).believed
    both = noted(fit, "white")
    assert float(both["log_bayes_factor"]) > 5 and float(both["memory_p"]) < 0.01
    told = spectral.story({"red_noise": fit}).answer.paragraphs
    assert "remember their neighbours" in told[-1]
    numbers = spectral.story({"red_noise": fit}).numbers.paragraphs
    assert numbers[0].startswith("The curve has 1 harmonic")


def test_what_a_period_leaves_over_is_looked_for_beyond_the_range():
    """A sine at thrice the highest frequency takes up all squares, noise of the same size few."""
    from bayesinf.systems.spectral_analysis.leftover import HighestPeak

    rng = np.random.default_rng(2)
    t = np.sort(rng.uniform(-25, 25, 200))
    peak, sine = HighestPeak(t, 1.0), np.sqrt(2) * np.sin(2 * np.pi * 3.01 * t)
    noise = rng.standard_normal((2, 30, 200))
    assert peak(3 + 0.1 * sine, np.full((1, 200), 3.0), 0.1)[0] > 0.9
    found = peak(3 + noise, np.full((2, 30, 200), 3.0), 1.0)
    assert found.shape == (2, 30) and np.all((found > 0.03) & (found < 0.2))


def test_shares_of_candidates_are_at_most_one_in_all():
    """Their quadratures err by a per cent, and a page must not sum to more than everything."""
    from bayesinf.systems.spectral_analysis.story import shares

    masses = {1: [0.4, 0.1], 2: [0.2, 0.05], 3: [1.0, 0.01]}
    told = [
        shares({"log_mass": SimpleNamespace(values=np.log([masses[n] for n in counts]))})
        for counts in ((1, 2), (3,))
    ]
    np.testing.assert_allclose(told[0], [0.6, 0.15])
    np.testing.assert_allclose(told[1], np.array([1.0, 0.01]) / 1.01)


# ── Modes ────────────────────────────────────────────────────────────────────────────────────────


@cache
def spectrum():
    return spectral.fit_modes(spectral.simulate_modes(), settings=SHORT)


def test_modes_find_both_lines_and_the_transform_agrees():
    found = noted(spectrum(), "spectrum")
    strongest = found["mode"].values[np.argsort(-found["power"].values)[:2]]
    np.testing.assert_allclose(np.sort(strongest), [2.0, 4.0])
    # Even times: the transform's bins are 1/8.02, so they agree at the lines, roughly.
    peak = float(found["fourier"].sel(bin=2.0, method="nearest"))
    assert peak == pytest.approx(float(found["power"].sel(mode=2.0)), rel=0.1)
    noise = spectrum()["posterior"]["sigma"]
    assert float(noise.mean()) == pytest.approx(0.05, rel=0.15)
    assert bayesinf.check(spectrum()).believed


def test_modes_that_stop_short_miss_a_line_and_say_so():
    limits = noted(spectrum(), "limits")
    short = limits.sel(modes=25)
    assert float(short["highest"]) == pytest.approx(3.0)
    assert float(limits["log_evidence"][0] - short["log_evidence"]) > 100
    assert float(short["memory_p"]) < 0.005 < float(limits["memory_p"][0])
    (said,) = spectral.story({"modes": spectrum()}).answer.paragraphs
    # How many digits are told turns on a rounding of the interval's ends.
    told = re.match(r"2 lines stand out of 45 modes, at 2 \(power ([\d.]+),", said)
    assert float(told[1]) == pytest.approx(0.051, abs=1e-4)
    assert "25 modes, which end at 3, are not enough" in said and "stands at 4" in said
    # Nothing beyond the limit: fewer modes are enough, and the page does not cry wolf.
    slow = spectral.simulate_modes()
    t = slow["t"].values
    y = np.cos(4 * np.pi * t) * np.exp(-(t**2))
    y += 0.05 * np.random.default_rng(0).standard_normal(len(t))
    fit = spectral.fit_modes(curve_from_arrays(t, y), settings=SHORT)
    (said,) = spectral.story({"modes": fit}).answer.paragraphs
    assert "are enough" in said and "not enough" not in said


def test_gaps_make_modes_hard_to_tell_apart():
    rng = np.random.default_rng(1)
    t = np.sort(np.concatenate([rng.uniform(0, 2, 60), rng.uniform(6, 8, 60)]))
    y = np.cos(2 * np.pi * t) + 0.1 * rng.standard_normal(120)
    fit = spectral.fit_modes(curve_from_arrays(t, y), (20, 10), settings=SHORT)
    limits = noted(fit, "limits")
    assert float(limits["condition"][0]) > 20 and "fourier" not in noted(fit, "spectrum")
    assert np.isfinite(limits["log_evidence"]).all()


# ── Files, and what is refused ───────────────────────────────────────────────────────────────────


def test_rows_need_no_order_and_times_may_repeat(tmp_path):
    t, y, error = uneven(30)
    t[4] = t[5]
    rows = [f"{a},{b},{c}" for a, b, c in zip(t, y, error, strict=True)]
    for name, lines in (("sorted", rows), ("unsorted", rows[::-1])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["MJD (d),Flux,FluxErr", *lines]) + "\n")
    one, two = (spectral.read(tmp_path / f"{name}.csv") for name in ("sorted", "unsorted"))
    np.testing.assert_array_equal(one["MJD"], two["MJD"])
    np.testing.assert_array_equal(np.sort(one["Flux"]), np.sort(two["Flux"]))
    assert one["MJD"].attrs["units"] == "d" and one.attrs["error"] == "error"
    assert Curve(one).range == Curve(two).range


def test_an_error_bar_that_is_not_positive_is_refused(tmp_path):
    t, y, error = uneven(12)
    error[7] = 0.0
    lines = [f"{a},{b},{c}" for a, b, c in zip(t, y, error, strict=True)]
    (tmp_path / "star.csv").write_text("\n".join(["t,mag,error", *lines]) + "\n")
    with pytest.raises(DataError, match=r"row 9, column error: an error bar is not positive"):
        spectral.read(tmp_path / "star.csv")


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (lambda t, y: (t, 0 * y), {}, "no light curve to search.*all values equal"),
        (lambda t, y: (t[:5], y[:5]), {}, "no light curve to search.*at least 8"),
        (lambda t, y: (t[:9], y[:9]), {"harmonics": 4}, "fewer values than the model has"),
        (lambda t, y: (t, y), {"shortest": 3, "longest": 2}, "no range of periods"),
        (lambda t, y: (t, y), {"shortest": 100, "longest": 1000}, "the record is too short"),
        (lambda t, y: (t, y), {"period_unit": "h"}, "no way from the unit of the times"),
    ],
)
def test_what_cannot_be_searched_is_refused_at_once(change, options, said):
    t, y, _ = uneven()
    with pytest.raises(DataError, match=said):
        spectral.fit(curve_from_arrays(*change(t, y)), **options)


def test_modes_beyond_the_data_are_refused():
    t, y, _ = uneven(20)
    with pytest.raises(DataError, match="modes that the data cannot tell apart"):
        spectral.fit_modes(curve_from_arrays(t, y))


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_file(), reason="needs the light curve of the shared data")
def test_a_real_star_has_the_published_period():
    """P = 2.58014 h (VanderPlas 2018); strictly periodic residuals have memory."""
    data = spectral.read(SHARED, time_unit="d")
    assert data.attrs["error"] == "error"
    fit = spectral.fit(data, 2, shortest=0.08, longest=0.2, period_unit="h", settings=SHORT)
    period = noted(fit, "source")["period"]
    assert float(period.mean()) == pytest.approx(2.58014, abs=4e-5)
    assert noted(fit, "models")["log_bayes_factor"].min() > 50


def test_priors_of_the_users_are_taken_and_others_refused():
    data = spectral.read(SHIPPED)
    stated = Curve(data, stated={"level": Normal(1.0, 0.5)}).priors
    assert stated["level"] == Normal(1.0, 0.5)
    assert {name: stated[name] for name in ("jitter", "scale")} == {
        name: Curve(data).priors[name] for name in ("jitter", "scale")
    }
    with pytest.raises(FitError, match=r"no parameter period: .*level, scale"):
        spectral.fit(data, priors={"period": Normal(1.0, 0.5)})
    with pytest.raises(FitError, match="the prior of level is a Normal"):
        spectral.fit(data, priors={"level": Uniform(0.0, 1.0)})


def test_what_is_left_over_has_the_evidence_of_the_normal_it_is():
    """A period, one sinusoid more, and noise that lasts: each with its covariance written out."""
    from scipy.stats import multivariate_normal

    from bayesinf.systems.spectral_analysis import leftover

    rng = np.random.default_rng(4)
    t = np.sort(rng.uniform(0.0, 30.0, 70))  # a full stretch, and one that is filled up
    y = 3.0 + np.sin(2 * np.pi * t / 1.7) + rng.normal(0.0, 0.2, 70)
    curve = Curve(curve_from_arrays(t, y, np.full(70, 0.1)))
    beside = leftover._Beside(curve, curve.features(1 / 1.7, 2), 0.7)
    level, log_jitter = curve.priors["level"], np.log(0.15)
    X = curve.features(1 / 1.7, 2) / np.array([1, 2, 1, 2])
    covariance = level.sd**2 + 0.7**2 * X @ X.T + np.eye(70) * (0.1**2 + 0.15**2)
    prior = curve.priors["jitter"].log_density(0.15) + log_jitter

    def density(covariance):
        return multivariate_normal(np.full(70, level.mean), covariance).logpdf(y) + prior

    np.testing.assert_allclose(beside.alone(log_jitter), density(covariance), rtol=1e-10)
    c, s = np.cos(2 * np.pi * 0.31 * curve.t)[:, None], np.sin(2 * np.pi * 0.31 * curve.t)[:, None]
    each = [density(covariance + (k * 0.7) ** 2 * (c @ c.T + s @ s.T)) for k in leftover.SIZES]
    np.testing.assert_allclose(beside.another(c, s, log_jitter), logsumexp(each) - np.log(3))
    apart, block = np.abs(t[:, None] - t), np.arange(70) // leftover.BLOCK
    near = block[:, None] == block
    shares, times = (
        prior.from_normal(leftover.QUANTILES) for prior in (leftover.SHARE, leftover.lasting(curve))
    )
    each = [
        density(covariance + near * (share * 0.7) ** 2 * np.exp(-apart / time))
        for share in shares
        for time in times
    ]
    lasting = beside.lasting(leftover._Stretches.of(curve), log_jitter)
    np.testing.assert_allclose(lasting, logsumexp(each) - np.log(len(each)))
    log_integral = leftover._integrated(lambda u: -0.5 * (u - 0.3) ** 2 / 0.2**2, (-3.0, 3.0))
    np.testing.assert_allclose(log_integral, 0.5 * np.log(2 * np.pi) + np.log(0.2), atol=1e-3)


def test_a_slower_change_has_the_evidence_of_no_period_where_it_is_too_small_to_be_seen():
    from bayesinf.systems.spectral_analysis import leftover

    rng = np.random.default_rng(5)
    t = np.sort(rng.uniform(0.0, 30.0, 60))
    noisy = curve_from_arrays(t, 3.0 + rng.normal(0.0, 0.2, 60), np.full(60, 0.15))
    curve = Curve(noisy)
    without = quiet(curve).log_evidence()
    (value,) = leftover.slower(curve, without).values()
    assert -6.0 < value < 1.0  # what a sinusoid that is not there costs
    wave = curve_from_arrays(t, np.sin(2 * np.pi * t / 70) + rng.normal(0.0, 0.2, 60))
    (value,) = leftover.slower(Curve(wave), quiet(Curve(wave)).log_evidence()).values()
    assert value > 20.0


@pytest.mark.parametrize(
    ("fault", "seed", "named"),
    [
        ("a harmonic is missing", 4, "another period"),
        ("a second period", 1, "another period"),
        ("red noise", 1, "red noise"),
        ("a period longer than those searched", 0, "a slower change"),
        ("none, no jitter and known error bars", 1, None),
    ],
)
def test_a_planted_fault_is_named(fault, seed, named):
    found = bayesinf.check(spectral.faults()[fault](np.random.default_rng(seed)))
    failed = {one.name for one in found.checks if one.required and not one.passed}
    assert found.believed if named is None else named in failed


def test_as_many_harmonics_are_taken_as_the_evidence_is_for(monkeypatch):
    """Of a short record: two harmonics, of up to three tried."""
    monkeypatch.setattr("bayesinf.systems.spectral_analysis.model.MOST_HARMONICS", 3)
    rng = np.random.default_rng(4)
    t = np.sort(rng.uniform(0, 12, 60))
    phase = 2 * np.pi * t / 2.3
    y = np.sin(phase) + 0.6 * np.cos(2 * phase) + 0.1 * rng.standard_normal(60)
    data = curve_from_arrays(t, y, np.full(60, 0.1))
    fit = spectral.fit(data, shortest=2.0, longest=3.0, settings=SHORT)
    assert fit.attrs["harmonics"] == 2
