from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayesinf.checks import check
from bayesinf.data import curve_from_arrays
from bayesinf.errors import DataError, FitError
from bayesinf.posterior import REQUIRED_GROUPS, load, noted, save
from bayesinf.priors import Normal, Uniform
from bayesinf.settings import Settings
from bayesinf.systems import gaussian_peaks as peaks
from bayesinf.systems.gaussian_peaks.calibration import VARIANTS
from bayesinf.systems.gaussian_peaks.choice import counted, lone_points

NIST = Path(__file__).parents[2] / "data" / "gaussian_peaks"
SHORT = Settings(draws=250, chains=4, prior_draws=50)
NAMES = ("Gauss1", "Gauss2", "Eckerle4")


@cache
def certified(name):
    return peaks.nist(NIST / f"{name}.dat")


@cache
def eckerle(method):
    data = certified("Eckerle4")
    return peaks.fit(data, method=method, **peaks.nist_options(data))


@cache
def overlap(method):
    return peaks.fit(peaks.overlap(), peaks=2, method=method)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("start", [0, 1, "guess"])
def test_least_squares_meets_nists_certified_values(name, start):
    data = certified(name)
    starts = None if start == "guess" else [peaks.nist_starts(data)[start]]
    found = peaks.classical(data, starts=starts, **peaks.nist_options(data))
    values, sds = noted(data, "certified"), noted(data, "certified_sd")
    assert len(sds.data_vars) >= 3
    for variable in sds.data_vars:
        np.testing.assert_allclose(found[variable], values[variable], rtol=1e-6)
        np.testing.assert_allclose(found[f"{variable}_error"], sds[variable], rtol=1e-4)
    for variable in ("residual_sum_of_squares", "degrees_of_freedom"):
        assert float(found[variable]) == pytest.approx(float(values[variable]), rel=1e-8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("start", [0, 1])
def test_the_curve_family_meets_them_in_nists_own_parameters(name, start):
    import lmfit

    from bayesinf.models import curve

    def gauss(x, b1, b2, b3, b4, b5, b6, b7, b8):
        lines = b3 * np.exp(-((x - b4) ** 2) / b5**2) + b6 * np.exp(-((x - b7) ** 2) / b8**2)
        return b1 * np.exp(-b2 * x) + lines

    def eckerle4(x, b1, b2, b3):
        return b1 / b2 * np.exp(-0.5 * ((x - b3) / b2) ** 2)

    data = certified(name)
    known = noted(data, "nist")
    model = lmfit.Model(eckerle4 if name == "Eckerle4" else gauss)
    given = dict(zip(known["parameter"].values, known["start"].values[start], strict=True))
    fit = curve.fit(model, model.make_params(**given), data["x"], data["y"], settings=SHORT)
    found = noted(fit, "classical")
    for parameter in known["parameter"].values:
        value = known.sel(parameter=parameter)
        assert float(found[parameter]) == pytest.approx(float(value["certified"]), rel=1e-6)
        assert float(found[f"{parameter}_error"]) == pytest.approx(
            float(value["certified_sd"]), rel=1e-4
        )
    rss = float(found["residual_sum_of_squares"])
    assert rss == pytest.approx(
        float(noted(data, "certified")["residual_sum_of_squares"]), rel=1e-8
    )


def test_emcee_agrees_with_the_certified_values_of_eckerle4():
    # The report prints this for all three sets.
    fit = eckerle("emcee")
    values, sds = noted(fit, "certified"), noted(fit, "certified_sd")
    for name in ("center", "sigma", "amplitude"):
        draws = fit["posterior"][name]
        mean, sd = values[name].item(), sds[name].item()
        sd *= np.sqrt(32 / 30)
        assert float(draws.mean()) == pytest.approx(mean, abs=0.1 * sd)
        assert float(draws.std()) == pytest.approx(sd, rel=0.05)
    # NIST's model is no description of these data: neighbours agree, and noise grows with the line.
    assert "residual memory" in check(fit).words


def test_the_quadratic_approximation_has_students_width_where_the_noise_is_inferred():
    fit = eckerle("emcee")
    width = stats.t(35 - 3).std()  # in standard errors: 35 points, 3 parameters
    table, errors = peaks.comparison(fit), noted(fit, "classical")
    for name in ("center", "sigma", "height"):
        error = float(errors[f"{name}_error"][0])
        assert table.loc[f"{name}[1]", "Laplace sd"] == pytest.approx(error * width, rel=1e-9)
    known = peaks.certified_table(fit)
    for name in ("center", "sigma", "amplitude"):
        ratio = fit["posterior"][name].std() / noted(fit, "certified_sd")[name] / width
        told = known.loc[f"{name}[1]", "ratio of sds"]
        assert float(told) == pytest.approx(ratio.item(), abs=6e-4)


def test_the_quadratic_approximation_has_the_standard_error_where_the_noise_is_known():
    data = peaks.simulate(np.linspace(0, 8, 12), background_level=1.0, noise=0.3)
    fit = peaks.fit(data.assign(error=0.3), method="emcee", settings=SHORT)
    error = float(noted(fit, "classical")["center_error"][0])
    table = peaks.comparison(fit)
    assert table.loc["center[1]", "Laplace sd"] == pytest.approx(error, rel=1e-9)


@pytest.mark.slow
def test_overlapping_peaks_defeat_the_quadratic_approximation_and_isolated_ones_do_not():
    good, words = peaks.quadratic_verdict(overlap("emcee"))
    assert not good and "may not be read from the curvature" in words
    table = peaks.comparison(overlap("emcee"))
    assert table["shift"].abs().max() > 0.2
    assert table["ratio"].min() < 0.8
    assert peaks.quadratic_verdict(eckerle("emcee"))[0]


def test_peaks_are_ordered_by_their_centres_whatever_the_start():
    data = peaks.simulate(
        height=(8.0, 5.0), center=(3.0, 7.0), sigma=(0.6, 0.9), background_level=1.0
    )
    starts = [{"height": [5, 8], "center": [7, 3], "sigma": [1, 1], "background_level": 1}]
    fit = peaks.fit(data, peaks=2, starts=starts, settings=SHORT)
    centers = fit["posterior"]["center"]
    assert bool((centers.diff("peak") > 0).all())
    np.testing.assert_allclose(noted(fit, "classical")["height"], [8, 5], rtol=0.1)
    assert bool((fit["prior"]["center"].diff("peak") > 0).all())


@pytest.mark.parametrize(
    ("shape", "background"),
    [
        pytest.param(shape, "linear", marks=[pytest.mark.slow] * (shape == "voigt"))
        for shape in peaks.SHAPES
    ]
    + [("gaussian", b) for b in peaks.BACKGROUNDS],
)
def test_every_shape_and_background_is_found_by_itself(shape, background):
    extra = {"gamma": (0.4, 0.3), "fraction": (0.4, 0.6)}
    extra = {name: extra[name] for name in peaks.SHAPES[shape].extra}
    levels = {"background_level": 4.0, "background_slope": 0.3, "background_decay": 4.0}
    levels |= {f"background_knot{k}": 2.0 + np.sin(k) for k in range(1, 7)}
    levels |= {"background_curvature": -0.02, "background_cubic": 0.003}
    own = peaks.Lines(background=background, end=1.0).of_background
    levels = {name: value for name, value in levels.items() if name in own}
    data = peaks.simulate(
        np.linspace(50, 62, 241),
        height=(10.0, 7.0),
        center=(54.0, 58.5),
        sigma=(0.5, 0.4),
        shape=shape,
        background=background,
        noise=0.05,
        **extra,
        **levels,
    )
    fit = peaks.fit(
        data.assign(error=0.05), peaks=2, shape=shape, background=background, settings=SHORT
    )
    found, truth = noted(fit, "classical"), noted(fit, "truth")
    for name in ("height", "center", "amplitude", "fwhm", *levels):
        off = found[name] - truth[name]
        assert float(np.abs(off / found[f"{name}_error"]).max()) < 4.5, name
    # The curve has the height and the width that its parameters claim.
    grid = np.linspace(50, 62, 20001)
    base, lines = peaks.curves(fit, grid, most=3)
    drawn = fit["posterior"].to_dataset().stack(sample=("chain", "draw")).isel(sample=[0, 499, 999])
    np.testing.assert_allclose(lines.max(axis=-1), drawn["height"].T, rtol=1e-4)
    widths = (lines > lines.max(axis=-1, keepdims=True) / 2).sum(axis=-1) * (grid[1] - grid[0])
    np.testing.assert_allclose(widths, drawn["fwhm"].T, rtol=3e-3)
    assert base.shape == (3, len(grid))


@pytest.mark.parametrize("options", [{"negative": True}, {"priors": {"height": Uniform(-20, 0)}}])
def test_a_dip_is_a_matter_of_the_prior(options):
    data = peaks.simulate(height=(-6.0,), background_level=9.0, noise=0.2)
    fit = peaks.fit(data, settings=SHORT, **options)
    assert float(noted(fit, "classical")["height"][0]) == pytest.approx(-6, abs=0.5)
    assert peaks.story({"laplace": fit}).answer.paragraphs[0].startswith("Dip 1 at 3.99")


def test_a_file_of_the_users_is_fitted_under_its_names(tmp_path):
    data = peaks.simulate(background_level=1.0)
    path = tmp_path / "lamp.csv"
    frame = pd.DataFrame({"wavelength [nm]": data["x"], "counts": data["y"], "sigma": 0.5})
    frame.to_csv(path, index=False)
    spectrum = peaks.read(path)
    fit = peaks.fit(spectrum, settings=SHORT)
    assert fit.attrs["case"] == "lamp.csv"
    assert fit["observed_data"]["counts"].dims == ("point",)
    assert fit["constant_data"]["wavelength"].units == fit["posterior"]["center"].units == "nm"
    assert "noise" not in fit["posterior"]
    assert peaks.fit(peaks.read(path, error="none"), settings=SHORT)["posterior"]["noise"].size
    assert peaks.story({"laplace": fit}).answer.pictures


def test_the_mean_curve_and_its_parts_stand_beside_the_fit():
    fit = overlap("emcee")
    mean = noted(fit, "curve")
    base, lines = peaks.curves(fit, mean["grid"].values)
    np.testing.assert_allclose(mean["background"], base.mean(axis=0))
    np.testing.assert_allclose(mean["peaks"], lines.mean(axis=0))
    at_data = np.interp(fit["constant_data"]["x"], mean["grid"], (base + lines.sum(axis=1)).mean(0))
    np.testing.assert_allclose(mean["mean"], at_data, atol=1e-3)


def test_units_groups_and_names(tmp_path):
    data = peaks.simulate(background="linear", background_level=1.0, background_slope=0.2)
    data["x"].attrs["units"], data["y"].attrs["units"] = "nm", "V"
    fit = peaks.fit(data, background="linear", settings=SHORT)
    fit = load(save(fit, tmp_path / "a.nc"))
    assert set(REQUIRED_GROUPS) <= set(fit.children)
    units = {name: variable.units for name, variable in fit["posterior"].data_vars.items()}
    assert units == {
        "height": "V",
        "center": "nm",
        "sigma": "nm",
        "amplitude": "V nm",
        "fwhm": "nm",
        "background_level": "V",
        "background_slope": "V/nm",
        "noise": "V",
    }
    assert fit["posterior"]["height"].dims == ("chain", "draw", "peak")
    assert fit.attrs["system"] == "gaussian_peaks"
    assert fit["observed_data"]["y"].units == "V"


def test_the_story_is_told_from_files_alone(tmp_path):
    fits = {
        "laplace": eckerle("laplace"),
        "emcee": eckerle("emcee"),
        "overlap_emcee": overlap("emcee"),
    }
    fits = {name: load(save(fit, tmp_path / f"{name}.nc")) for name, fit in fits.items()}
    story = peaks.story(fits)
    assert "Errors may be read from the curvature" in story.answer.paragraphs[0]
    assert "Errors may not be read" in story.extra[0].paragraphs[0]
    assert story.best == "emcee"
    sections = (story.answer, story.numbers, story.classical, story.priors, *story.extra)
    pictures = [picture for section in sections for picture in section.pictures]
    assert len({picture.name for picture in pictures}) == len(pictures) >= 7
    assert all(picture.alt and picture.caption for picture in pictures)
    assert story.classical.tables[-1].frame.index[-1] == "residual sum of squares"
    assert peaks.story({"laplace": fits["laplace"]}).answer.pictures  # one fit alone will do


@pytest.mark.parametrize("variant", [None, *VARIANTS[1:]])
def test_calibration_draws_from_the_prior_it_fits_with(variant):
    problem = peaks.calibration_problem(variant)
    truth, data = problem.simulate(np.random.default_rng(1))
    fit = problem.fit(data, problem.settings)
    assert set(truth) <= set(fit["posterior"].data_vars)
    assert ("noise" in truth) == (variant not in ("known_noise", "poisson"))
    for name, value in truth.items():
        assert value.shape == fit["posterior"][name].shape[2:]
        z = (value - fit["posterior"][name].mean(("chain", "draw"))) / fit["posterior"][name].std()
        assert float(np.abs(z).max()) < 5
    assert fit["prior"]["height"].values.min() >= 4 and fit["prior"]["height"].values.max() <= 12
    assert check(fit).believed


def test_mistakes_are_said_in_one_line(tmp_path):
    data = peaks.simulate(background_level=1.0)
    (tmp_path / "cut.dat").write_text((NIST / "Eckerle4.dat").read_text()[:-60])
    for call, kind, words in (
        (lambda: peaks.fit(data, shape="round"), FitError, "gaussian, lorentzian"),
        (lambda: peaks.fit(data, background="no"), FitError, "none"),
        (lambda: peaks.fit(data, peaks=0), FitError, "positive"),
        (lambda: peaks.fit(data, priors={"hight": Uniform()}), FitError, "height"),
        (lambda: peaks.fit(data, starts=[{"center": [1, 2]}]), FitError, "or 1"),
        (lambda: peaks.simulate(gamma=1.0), FitError, "background_level"),
        (lambda: peaks.calibration_problem("foo"), DataError, "inferred_noise, known_noise"),
        (lambda: peaks.fit(data.assign(error=0.0)), DataError, "error bar"),
        (lambda: peaks.nist(tmp_path / "none.dat"), DataError, "no such file"),
        (lambda: peaks.nist(tmp_path / "cut.dat"), DataError, "StRD"),
    ):
        with pytest.raises(kind, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)


# --- what the data say before anything is sampled -------------------------------------------------

X = np.linspace(0, 100, 101)


def line(height=20.0, center=50.0, sigma=3.0, level=2.0, x=X):
    return level + height * np.exp(-0.5 * ((x - center) / sigma) ** 2)


def gamma_spectrum(rng):
    """Counts of a source on a slope of Compton scatter."""
    return X, rng.poisson(line(300, 66, 2.5, 40 - 0.3 * X)), {"background": "linear"}


def photons(rng):
    """Few photons in each channel."""
    return X, rng.poisson(line(6, 50, 3, 0.3)), {}


def diffraction(rng):
    """Counts at angles two hundredths of a degree apart."""
    x = 20 + 0.02 * np.arange(200)
    return x, rng.poisson(line(900, 22, 0.08, 60, x)), {}


@pytest.mark.parametrize("made", [gamma_spectrum, photons, diffraction])
@pytest.mark.parametrize("bars", [None, np.sqrt, lambda y: 1 + np.sqrt(y + 0.75)])
def test_counts_are_noticed(made, bars):
    x, y, options = made(np.random.default_rng(5))
    error = None if bars is None else np.maximum(bars(y), 1)
    fit = peaks.fit(curve_from_arrays(x, y, error), settings=SHORT, **options)
    assert (
        fit.attrs["likelihood"] == "poisson" and "Poisson likelihood is taken" in fit.attrs["why"]
    )
    assert ("set aside" in fit.attrs["why"]) == (bars is not None)
    assert check(fit).believed


def test_rates_over_a_known_time_are_counts_in_a_unit():
    y = np.random.default_rng(6).poisson(line(40)) / 8.0
    spectrum = curve_from_arrays(X, y, np.sqrt(np.maximum(y, 1 / 8) / 8))
    assert counted(spectrum)[0] == pytest.approx(1 / 8)
    fit = peaks.fit(spectrum, settings=SHORT)
    level = fit["posterior"]["background_level"]
    assert float(level.mean()) == pytest.approx(0.25, abs=0.06)
    assert 0.015 < float(level.std()) < 0.03  # √(2 / 85) / 8


@pytest.mark.parametrize(
    "values",
    [
        lambda rng, mean: np.round(25 * rng.poisson(mean)),  # units of a detector
        lambda rng, mean: np.round(1000 + 3 * mean + 2 * rng.normal(size=mean.size)),  # a converter
        lambda rng, mean: mean + 0.3 * rng.normal(size=mean.size),
    ],
)
def test_what_does_not_scatter_as_counts_is_not_taken_for_them(values):
    spectrum = curve_from_arrays(X, values(np.random.default_rng(7), line()))
    stated, why = peaks.chosen(spectrum)
    assert stated.likelihood.name == "normal"
    whole = np.all(stated.y == np.round(stated.y))
    assert ("no plain counts" in why) == whole


@pytest.mark.slow
def test_the_area_of_counts_scatters_as_its_posterior_says():
    """The sd of the area over repeats, which √N bars and a common noise get wrong."""
    rng = np.random.default_rng(8)
    areas, sds = [], []
    for _ in range(60):
        y = rng.poisson(line(20, 50, 3, 0.25))
        found = peaks.classical(curve_from_arrays(X, y))
        areas.append(float(found["amplitude"][0]))
        sds.append(float(found["amplitude_error"][0]))
    true = 20 * 3 * np.sqrt(2 * np.pi)
    assert np.mean(areas) == pytest.approx(true, abs=4 * np.std(areas) / np.sqrt(60))
    assert np.std(areas) == pytest.approx(np.mean(sds), rel=0.25)  # 12.6


@pytest.mark.parametrize("position", [[15], [70, 71], [47], [15, 80]])
@pytest.mark.parametrize("size", [20.0, -20.0])
def test_points_that_stand_alone_are_named(position, size):
    y = line() + 0.3 * np.random.default_rng(9).normal(size=101)
    assert not len(lone_points(y))
    y[position] += size
    np.testing.assert_array_equal(lone_points(y), position)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.5])
@pytest.mark.parametrize("sigma", [0.8, 1.0, 3.0, 12.0])
def test_no_peak_that_is_resolved_stands_alone(noise, sigma):
    rng = np.random.default_rng(10)
    for _ in range(20):
        y = line(sigma=sigma, center=rng.uniform(30, 70)) + noise * rng.normal(size=101)
        assert not len(lone_points(y))
    assert not len(lone_points(rng.poisson(line(sigma=max(sigma, 1.0)))))


def test_an_outlier_is_named_by_its_row_and_kept_from_the_peak(tmp_path):
    y = line() + 0.3 * np.random.default_rng(11).normal(size=101)
    y[80] += 60
    path = tmp_path / "raman.csv"
    pd.DataFrame({"shift": X, "intensity": y}).iloc[::-1].to_csv(path, index=False)
    fit = peaks.fit(peaks.read(path), settings=SHORT)
    assert fit.attrs["likelihood"] == "student"
    assert "row 22 (shift = 80" in fit.attrs["why"]  # the file is in descending order
    assert float(fit["posterior"]["center"].mean()) == pytest.approx(50, abs=0.3)
    with pytest.raises(FitError, match=r"row 22 .* alone: an outlier.*--likelihood student"):
        peaks.fit(peaks.read(path), likelihood="normal", settings=SHORT)


@pytest.mark.parametrize("shape", ["gaussian", "lorentzian"])
@pytest.mark.parametrize("level", [1.0, 50.0])
def test_a_feature_that_points_down_is_named(shape, level):
    data = peaks.simulate(height=(-6.0,), shape=shape, background_level=level, noise=0.2)
    with pytest.raises(FitError, match=r"points down.*--negative"):
        peaks.fit(data, shape=shape, settings=SHORT)
    up = peaks.simulate(height=(6.0,), shape=shape, background_level=level, noise=0.2)
    with pytest.raises(FitError, match=r"points up.*leave --negative out"):
        peaks.fit(up, shape=shape, negative=True, settings=SHORT)


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (lambda: peaks.simulate(noise=0.3), {"peaks": 2}, "hold one peak, and 2 were asked for"),
        pytest.param(
            *(lambda: peaks.simulate(noise=0.3), {"peaks": 3}),
            "hold one peak, and 3 were asked for",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *(lambda: peaks.overlap(), {"peaks": 3}),
            "hold 2 peaks, and 3 were asked for",
            marks=pytest.mark.slow,
        ),
        (lambda: peaks.simulate(height=(0.0,), noise=0.3), {}, "hold no peak, and 1 was asked for"),
    ],
)
def test_peaks_that_are_not_there_are_named(data, options, words):
    with pytest.raises(FitError, match=words) as caught:
        peaks.fit(data(), settings=SHORT, **options)
    assert "\n" not in str(caught.value) and "prior" in str(caught.value)


def test_whoever_knows_where_a_peak_is_may_ask_how_high_it_can_be():
    priors = {"center[2]": Normal(8.0, 0.1), "sigma": Uniform(0.5, 1.0)}
    data = peaks.simulate(noise=0.3)
    few = SHORT.replace(draws=50)
    fit = peaks.fit(data, peaks=2, priors=priors, method="laplace", settings=few)
    assert float(fit["posterior"]["height"].sel(peak=2).quantile(0.95)) < 1.0
    assert float(fit["prior"]["center"].sel(peak=2).std()) == pytest.approx(0.1, rel=0.4)
    assert "center[2]" in fit.attrs["priors"]


def test_a_peak_on_the_edge_is_named():
    data = peaks.simulate(center=(10.6,), noise=0.2)
    with pytest.raises(FitError, match="peak 1 stands at the edge of the data"):
        peaks.fit(data, settings=SHORT)


@pytest.mark.parametrize("model", [{}, {"background": "linear"}, {"peaks": 2}])
def test_no_more_points_than_parameters_is_one_line_at_once(model):
    x = np.arange(5.0 if not model else 6.0 if "background" in model else 8.0)
    with pytest.raises(DataError, match=f"{len(x)} points cannot determine {len(x)} parameters"):
        peaks.fit(curve_from_arrays(x, [1.1, 3.2, 8.9, 3.0, 1.2, 1.0, 1.3, 0.9][: len(x)]), **model)


def test_square_root_bars_that_are_insisted_on_are_not_believed():
    fit = peaks.faults()["counts with √N bars"](np.random.default_rng(12))
    assert not check(fit).believed and "square roots of the data shift" in check(fit).words
    many = np.random.default_rng(13).poisson(line(1e5, level=4e4)).astype(float)
    stated = curve_from_arrays(X, many, np.sqrt(many))
    assert check(peaks.fit(stated, likelihood="normal", settings=SHORT)).believed


@pytest.mark.slow
def test_faults_are_caught_and_the_right_fit_is_not_refused():
    for name, fault in peaks.faults().items():
        try:
            believed = check(fault(np.random.default_rng(14))).believed
        except FitError:
            believed = False
        # Rounding by twice the noise is a fault that no check sees.
        seen = not (name.startswith("none") or name.startswith("readings rounded"))
        assert believed == (not seen), name


# --- what explains --------------------------------------------------------------------------------


def explained(y, **model):
    spectrum = curve_from_arrays(X, y)
    fit = peaks.fit(spectrum, method="emcee", settings=SHORT, **model)
    return peaks.explained(spectrum, fit, model, SHORT)


@pytest.mark.slow
def test_noise_that_grows_with_the_signal_is_explained_by_a_likelihood():
    rng = np.random.default_rng(15)
    first, others = explained(line() * (1 + 0.08 * rng.normal(size=101)))
    (name,) = others
    assert name in ("proportional", "shot") and check(others[name]).believed
    assert f"take the {name} likelihood" in check(first).words
    story = peaks.story({"emcee": first, **others})
    assert story.best == name and "residual spread" in story.answer.paragraphs[1]


@pytest.mark.slow
def test_a_second_peak_is_named_and_not_taken_for_noise():
    y = line() + line(8, 58, 3, 0) + 0.3 * np.random.default_rng(16).normal(size=101)
    first, others = explained(y)
    assert not others and "one more peak (--peaks 2) explains it" in check(first).words


def test_the_number_of_peaks_is_that_which_predicts_best():
    data = peaks.simulate(height=(9.0, 6.0), center=(3.0, 6.5), sigma=(0.6, 0.7), noise=0.3)
    found = peaks.counts(data, range(1, 4), {}, SHORT)
    assert isinstance(found[3], str) and "hold 2 peaks" in found[3]
    fits = {number: fit for number, fit in found.items() if number < 3}
    assert peaks.best_count(fits) == 2
    told = peaks.story({"emcee": fits[2], "peaks1": fits[1]})
    (section,) = (one for one in told.extra if one.title == "How many peaks")
    assert section.paragraphs[0] == "Of 1, 2 peaks, 2 predict best."
    assert section.pictures and len(section.tables[0].frame) == 2


def test_a_shared_width_is_one_parameter():
    data = peaks.simulate(height=(8.0, 5.0), center=(3.0, 7.0), sigma=(0.7, 0.7), noise=0.2)
    fit = peaks.fit(data, peaks=2, tied=True, settings=SHORT)
    sigma = fit["posterior"]["sigma"]
    np.testing.assert_array_equal(sigma.sel(peak=1), sigma.sel(peak=2))
    assert "sigma" in fit["log_prior"] and '"sigma"' in fit.attrs["priors"]
    free = peaks.fit(data, peaks=2, settings=SHORT)["posterior"]["sigma"]
    assert float(sigma.sel(peak=2).std()) < 0.8 * float(free.sel(peak=2).std())


def test_windows_keep_what_lies_in_them():
    data = peaks.simulate()
    kept = peaks.within(data, [(0.0, 1.0), (3.0, 6.0)])
    x = kept["x"].to_numpy()
    assert len(x) == 11 + 31 and "42 of 101 rows" in kept.attrs["read_as"]
    for window in ((20.0, 30.0), (5.0, 4.0)):
        with pytest.raises(DataError, match="no points in the window"):
            peaks.within(data, [window])


def test_centres_say_where_to_start():
    data = peaks.simulate(height=(9.0, 1.2), center=(3.0, 3.9), sigma=(0.3, 0.3), noise=0.1)
    fit = peaks.fit(data, peaks=2, centers=(3.0, 3.9), settings=SHORT)
    np.testing.assert_allclose(noted(fit, "classical")["center"], [3.0, 3.9], atol=0.1)
    with pytest.raises(DataError, match="as many as there are peaks, 2"):
        peaks.fit(data, peaks=2, centers=(3.0,))


def test_edges_that_are_guesses_are_told_from_those_that_are_knowledge():
    x = np.linspace(0, 10, 50)
    y = 5 + 20 * np.exp(-((x - 5) ** 2)) + np.sin(np.arange(50.0))
    free = peaks.problem(curve_from_arrays(x, y)).unstated
    assert free == {
        "p1_height": (False, True),
        "p1_center": (False, False),
        "p1_sigma": (False, True),
        "background_level": (True, True),
    }
    level = {"background_level": Uniform(0.0, 10.0)}
    assert "background_level" not in peaks.problem(curve_from_arrays(x, y), priors=level).unstated
