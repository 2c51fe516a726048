from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bayesinf.checks import check
from bayesinf.errors import DataError, FitError
from bayesinf.posterior import REQUIRED_GROUPS, load, save
from bayesinf.priors import Uniform
from bayesinf.settings import Settings
from bayesinf.systems import gaussian_peaks as peaks

NIST = Path(__file__).parents[2] / "data" / "gaussian_peaks"
SHORT = Settings(draws=250, chains=4, prior_draws=50)
NAMES = ("Gauss1", "Gauss2", "Eckerle4")


@cache
def certified(name):
    data = peaks.nist(NIST / f"{name}.dat")
    return data, peaks.nist_options(data)


@cache
def eckerle(method):
    data, options = certified("Eckerle4")
    return peaks.fit(data["x"], data["y"], method=method, **options)


@cache
def overlap(method):
    data = peaks.overlap()
    truth = data[[name for name in data.data_vars if name.endswith("_truth")]]
    return peaks.fit(data["x"], data["y"], peaks=2, method=method, reference=truth, case="overlap")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("start", [0, 1, "guess"])
def test_least_squares_meets_nists_certified_values(name, start):
    data, options = certified(name)
    starts = None if start == "guess" else [options["starts"][start]]
    fit = peaks.fit(data["x"], data["y"], settings=SHORT, **(options | {"starts": starts}))
    found, reference = fit["sample_stats"], options["reference"]
    compared = [n[: -len("_certified")] for n in reference if f"{n}_sd" in reference]
    assert len(compared) >= 3
    for variable in compared:
        np.testing.assert_allclose(found[f"{variable}_optimum"], reference[f"{variable}_certified"],
                                   rtol=1e-6)  # fmt: skip
        np.testing.assert_allclose(
            found[f"{variable}_standard_error"], reference[f"{variable}_certified_sd"], rtol=1e-4
        )
    for variable in ("residual_sum_of_squares", "degrees_of_freedom"):
        assert float(found[variable]) == pytest.approx(float(data[variable]), rel=1e-8)


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

    data, _ = certified(name)
    model = lmfit.Model(eckerle4 if name == "Eckerle4" else gauss)
    given = dict(zip(data["parameter"].values, data["start"].values[start], strict=True))
    fit = curve.fit(model, model.make_params(**given), data["x"], data["y"], settings=SHORT)
    for i, parameter in enumerate(data["parameter"].values):
        optimum, error = (
            fit["sample_stats"][f"{parameter}_{what}"] for what in ("optimum", "standard_error")
        )
        assert float(optimum) == pytest.approx(float(data["certified"][i]), rel=1e-6)
        assert float(error) == pytest.approx(float(data["certified_sd"][i]), rel=1e-4)
    rss = float(fit["sample_stats"]["residual_sum_of_squares"])
    assert rss == pytest.approx(float(data["residual_sum_of_squares"]), rel=1e-8)


def test_emcee_agrees_with_the_certified_values_of_eckerle4():
    # The report prints this for all three sets.
    fit = eckerle("emcee")
    known = fit["constant_data"]
    for name in ("center", "sigma", "amplitude"):
        draws = fit["posterior"][name]
        mean, sd = known[f"{name}_certified"].item(), known[f"{name}_certified_sd"].item()
        sd *= np.sqrt(32 / 30)
        assert float(draws.mean()) == pytest.approx(mean, abs=0.1 * sd)
        assert float(draws.std()) == pytest.approx(sd, rel=0.05)
    assert check(fit).believed


def test_the_quadratic_approximation_has_students_width_where_the_noise_is_inferred():
    fit = eckerle("emcee")
    width = stats.t(35 - 3).std()  # in standard errors: 35 points, 3 parameters
    table, errors = peaks.comparison(fit), fit["sample_stats"]
    for name in ("center", "sigma", "height"):
        error = float(errors[f"{name}_standard_error"][0])
        assert table.loc[f"{name}[1]", "Laplace sd"] == pytest.approx(error * width, rel=1e-9)
    known = peaks.certified_table(fit)
    for name in ("center", "sigma", "amplitude"):
        ratio = fit["posterior"][name].std() / fit["constant_data"][f"{name}_certified_sd"] / width
        told = known.loc[f"{name}[1]", "posterior sd / (certified sd · √(ν/(ν−2)))"]
        assert float(told) == pytest.approx(ratio.item(), abs=6e-4)


def test_the_quadratic_approximation_has_the_standard_error_where_the_noise_is_known():
    data = peaks.simulate(np.linspace(0, 8, 12), background_level=1.0, noise=0.3)
    fit = peaks.fit(data["x"], data["y"], 0.3, method="emcee", settings=SHORT)
    table = peaks.comparison(fit)
    error = float(fit["sample_stats"]["center_standard_error"][0])
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
    fit = peaks.fit(data["x"], data["y"], peaks=2, starts=starts, settings=SHORT)
    centers = fit["posterior"]["center"]
    assert bool((centers.diff("peak") > 0).all())
    np.testing.assert_allclose(fit["sample_stats"]["height_optimum"], [8, 5], rtol=0.1)
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
        data["x"], data["y"], 0.05, peaks=2, shape=shape, background=background, settings=SHORT
    )
    found = fit["sample_stats"]
    for name in ("height", "center", "amplitude", "fwhm", *levels):
        off = found[f"{name}_optimum"] - data[f"{name}_truth"]
        assert float(np.abs(off / found[f"{name}_standard_error"]).max()) < 4.5, name
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
    fit = peaks.fit(data["x"], data["y"], priors={"height": Uniform(-20, 0)}, settings=SHORT)
    assert float(fit["sample_stats"]["height_optimum"][0]) == pytest.approx(-6, abs=0.5)


def test_units_groups_and_names(tmp_path):
    data = peaks.simulate(background="linear", background_level=1.0, background_slope=0.2)
    data["x"].attrs["units"], data["y"].attrs["units"] = "nm", "V"
    fit = peaks.fit(data["x"], data["y"], background="linear", settings=SHORT)
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
    sections = (story.answer, story.numbers, story.predictive, story.classical, story.priors,
                *story.extra)  # fmt: skip
    pictures = [picture for section in sections for picture in section.pictures]
    assert len({picture.name for picture in pictures}) == len(pictures) >= 8
    assert all(picture.alt and picture.caption for picture in pictures)
    assert story.classical.tables[-1].frame.index[-1] == "residual sum of squares"
    assert peaks.story({"laplace": fits["laplace"]}).answer.pictures  # one fit alone will do


def test_calibration_draws_from_the_prior_it_fits_with():
    problem = peaks.calibration_problem()
    truth, data = problem.simulate(np.random.default_rng(1))
    fit = problem.fit(data, problem.settings)
    assert set(truth) <= set(fit["posterior"].data_vars)
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
        (lambda: peaks.fit(data["x"], data["y"], shape="round"), FitError, "gaussian, lorentzian"),
        (lambda: peaks.fit(data["x"], data["y"], background="no"), FitError, "none"),
        (lambda: peaks.fit(data["x"], data["y"], peaks=0), FitError, "positive"),
        (lambda: peaks.fit(data["x"], data["y"], priors={"hight": Uniform()}), FitError, "height"),
        (lambda: peaks.fit(data["x"], data["y"], starts=[{"center": [1, 2]}]), FitError, "or 1"),
        (lambda: peaks.simulate(), FitError, "background_level"),
        (lambda: peaks.nist(tmp_path / "none.dat"), DataError, "no such file"),
        (lambda: peaks.nist(tmp_path / "cut.dat"), DataError, "StRD"),
    ):
        with pytest.raises(kind, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)
