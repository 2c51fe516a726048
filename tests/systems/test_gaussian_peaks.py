from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayesinf.checks import check
from bayesinf.errors import DataError, FitError
from bayesinf.posterior import REQUIRED_GROUPS, load, noted, save
from bayesinf.priors import Uniform
from bayesinf.settings import Settings
from bayesinf.systems import gaussian_peaks as peaks

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
    assert check(fit).believed


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
        told = known.loc[f"{name}[1]", "posterior sd / (certified sd · √(ν/(ν−2)))"]
        assert float(told) == pytest.approx(ratio.item(), abs=6e-4)


def test_the_quadratic_approximation_has_the_standard_error_where_the_noise_is_known():
    data = peaks.simulate(np.linspace(0, 8, 12), background_level=1.0, noise=0.3)
    fit = peaks.fit(data.assign(error=0.3), method="emcee", settings=SHORT)
    error = float(noted(fit, "classical")["center_error"][0])
    table = peaks.comparison(fit)
    assert table.loc["center[1]", "Laplace sd"] == pytest.approx(error, rel=1e-9)


def test_overlapping_peaks_defeat_the_quadratic_approximation_and_isolated_ones_do_not():
    good, words = peaks.quadratic_verdict(overlap("emcee"))
    assert not good and "may not be used" in words
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
    [(shape, "linear") for shape in peaks.SHAPES] + [("gaussian", b) for b in peaks.BACKGROUNDS],
)
def test_every_shape_and_background_is_found_by_itself(shape, background):
    extra = {"gamma": (0.4, 0.3), "fraction": (0.4, 0.6)}
    extra = {name: extra[name] for name in peaks.SHAPES[shape].extra}
    levels = {"background_level": 4.0, "background_slope": 0.3, "background_decay": 4.0}
    levels = {n: v for n, v in levels.items() if n[11:] in peaks.BACKGROUNDS[background][1]}
    data = peaks.simulate(
        np.linspace(50, 62, 241), height=(10.0, 7.0), center=(54.0, 58.5), sigma=(0.5, 0.4),
        shape=shape, background=background, noise=0.05, **extra, **levels,
    )  # fmt: skip
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


def test_a_dip_is_a_matter_of_the_prior():
    data = peaks.simulate(height=(-6.0,), background_level=9.0, noise=0.2)
    fit = peaks.fit(data, priors={"height": Uniform(-20, 0)}, settings=SHORT)
    assert float(noted(fit, "classical")["height"][0]) == pytest.approx(-6, abs=0.5)


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
    assert units == {"height": "V", "center": "nm", "sigma": "nm", "amplitude": "V nm",
                     "fwhm": "nm", "background_level": "V", "background_slope": "V/nm",
                     "noise": "V"}  # fmt: skip
    assert fit["posterior"]["height"].dims == ("chain", "draw", "peak")
    assert fit.attrs["system"] == "gaussian_peaks"
    assert fit["observed_data"]["y"].units == "V"


def test_the_story_is_told_from_files_alone(tmp_path):
    fits = {"laplace": eckerle("laplace"), "emcee": eckerle("emcee"),
            "overlap_emcee": overlap("emcee")}  # fmt: skip
    fits = {name: load(save(fit, tmp_path / f"{name}.nc")) for name, fit in fits.items()}
    story = peaks.story(fits)
    assert "may be used" in story.answer.paragraphs[1]
    assert "may not be used" in story.extra[0].paragraphs[1]
    assert story.best == "emcee"
    sections = (story.answer, story.numbers, story.classical, story.priors, *story.extra)
    pictures = [picture for section in sections for picture in section.pictures]
    assert len({picture.name for picture in pictures}) == len(pictures) >= 7
    assert all(picture.alt and picture.caption for picture in pictures)
    assert story.classical.tables[-1].frame.index[-1] == "residual sum of squares"
    assert peaks.story({"laplace": fits["laplace"]}).answer.pictures  # one fit alone will do


@pytest.mark.parametrize("variant", [None, "known_noise"])
def test_calibration_draws_from_the_prior_it_fits_with(variant):
    problem = peaks.calibration_problem(variant)
    truth, data = problem.simulate(np.random.default_rng(1))
    fit = problem.fit(data, problem.settings)
    assert set(truth) <= set(fit["posterior"].data_vars)
    assert ("noise" in truth) == (variant is None)
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
