"""Gaussian-process regression: bands, kernels as they are written, parts, forecasts, bad input."""

from pathlib import Path

import numpy as np
import pytest

from bayesinf.data import curve_from_arrays
from bayesinf.errors import BayesinfError, DataError
from bayesinf.models import gp
from bayesinf.settings import Settings
from bayesinf.systems import gp_regression as system

SHORT = Settings(draws=200, chains=2, prior_draws=20, workers=1)
EXACT = {"noise": 0.0}
CO2 = Path(__file__).resolve().parents[2] / "data" / "gp_regression" / "co2.csv"


def points(count=15, noise=0.1, seed=4):
    return system.simulate(count, noise=noise, rng=np.random.default_rng(seed))


# --- the fit --------------------------------------------------------------------------------------


def test_a_trend_and_noise_that_grows_are_found_and_kept_in_the_file():
    rng = np.random.default_rng(8)
    x = np.linspace(0, 10, 80)
    y = 2 * x + np.sin(x) + 0.05 * np.exp(0.3 * x) * rng.standard_normal(80)
    found = system.fit(curve_from_arrays(x, y), trend="x", noise="grows", settings=SHORT)
    draws = found["posterior"]
    growth = draws["noise_growth"]
    assert abs(float(growth.mean()) - 3.0) < 4 * float(growth.std()) and float(growth.std()) < 1
    assert abs(float(draws["trend_1"].mean()) - 2.0) < 4 * float(draws["trend_1"].std())
    again = gp.rebuild(found)
    assert again.mean.name == "trend(x) + constant" and again.growth is not None
    told = gp.predict(found, np.array([0.0, 10.0]))
    wide = (told["y"] - told["curve"]).std(("chain", "draw")).values
    assert wide[1] > 5 * wide[0]


def test_noise_that_grows_with_the_signal_is_found_and_kept_in_the_file():
    rng = np.random.default_rng(0)
    x = np.linspace(0, 10, 120)
    curve = 3 + 2.5 * np.sin(x)
    y = curve * (1 + 0.1 * rng.standard_normal(120))
    found = system.fit(curve_from_arrays(x, y), noise="signal", settings=SHORT)
    power = found["posterior"]["noise_power"]
    assert abs(float(power.mean()) - 1) < 3 * float(power.std()) < 0.6
    assert "with the signal" in system.story({"posterior": found}).answer.paragraphs[1]
    again, stored = gp.rebuild(found), found["constant_data"]["noise_signal"]
    np.testing.assert_array_equal(again.growth.size, stored)
    np.testing.assert_allclose(np.exp(np.mean(np.log(stored))), 1)
    np.testing.assert_allclose(stored / stored[0], curve / curve[0], rtol=0.2)
    told = gp.predict(found, np.array([np.pi / 2, 1.5 * np.pi]))
    wide = (told["y"] - told["curve"]).std(("chain", "draw")).values
    assert wide[0] == pytest.approx(0.55, rel=0.25) and wide[1] == pytest.approx(0.05, rel=0.5)


def test_exact_values_are_met_and_the_band_reopens_between_them():
    data = points(8, 0.0)
    found = system.fit(data, noise=0.0, settings=SHORT)
    x, y = data["x"].values, data["y"].values
    told = gp.predict(found, np.sort(np.append(x, (x[:-1] + x[1:]) / 2)))
    np.testing.assert_allclose(told["mean"][..., ::2], np.broadcast_to(y, (2, 200, 8)), atol=1e-5)
    assert float(told["sd"][..., ::2].max()) < 1e-5 < float(told["sd"][..., 1::2].mean())
    assert "noise" not in found["posterior"] and float(found["constant_data"]["noise"]) == 0


def test_maximum_likelihood_is_that_of_the_profiled_amplitude():
    """With zero mean and no noise the best amplitude is a² = yᵀ R⁻¹ y / n at each length scale."""
    data = points(8, 0.0)
    found = system.classical(data, **EXACT)
    scale, y = float(found["length_scale"]), data["y"].values
    d = data["x"].values[:, None] - data["x"].values

    def profiled(at):
        R = np.exp(-0.5 * (d / at) ** 2)
        square = y @ np.linalg.solve(R, y) / len(y)
        _, volume = np.linalg.slogdet(R)
        return square, -0.5 * len(y) * (np.log(2 * np.pi * square) + 1) - 0.5 * volume

    square, height = profiled(scale)
    np.testing.assert_allclose(float(found["amplitude"]) ** 2, square, rtol=1e-3)
    np.testing.assert_allclose(float(found["log_likelihood"]), height, atol=1e-6)
    assert height >= max(profiled(at)[1] for at in np.geomspace(0.02, 0.3, 200)) - 1e-6


def test_the_marginal_likelihood_is_scikit_learns():
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import (
        RBF,
        ConstantKernel,
        ExpSineSquared,
        Matern,
        WhiteKernel,
    )

    data = points(25)
    theirs = ConstantKernel(0.8**2) * Matern(0.3, nu=2.5)
    theirs += ConstantKernel(0.5**2) * ExpSineSquared(0.7, 0.25) * RBF(0.9) + WhiteKernel(0.1**2)
    x, y = data["x"].values, data["y"].values
    model = GaussianProcessRegressor(theirs, alpha=0, optimizer=None).fit(x[:, None], y)
    ours = gp.log_marginal_likelihood(
        x,
        y,
        kernel=gp.parse("matern52 + periodic(0.25) * se"),
        length_scale_1=0.3,
        amplitude_1=0.8,
        length_scale_2=0.7,
        amplitude_2=0.5,
        length_scale_3=0.9,
        noise=0.1,
    )
    np.testing.assert_allclose(ours, model.log_marginal_likelihood_value_, atol=1e-8)


def test_the_marginal_likelihood_of_carbon_dioxide_is_scikit_learns():
    """The default's kernel, and a rational quadratic; all months: benchmarks/gp_regression.py."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import (
        ConstantKernel,
        ExpSineSquared,
        Matern,
        RationalQuadratic,
        WhiteKernel,
    )

    data = system.read(CO2).isel(point=slice(60))
    x, y = data["time"].values, data["CO2"].values - 316.0
    theirs = ConstantKernel(3.0**2) * ExpSineSquared(1.2, 1.0) + ConstantKernel(2.0**2) * Matern(
        4.0, nu=2.5
    )
    theirs += ConstantKernel(0.6**2) * RationalQuadratic(1.1, 0.8) + WhiteKernel(0.3**2)
    model = GaussianProcessRegressor(theirs, alpha=0, optimizer=None).fit(x[:, None], y)
    theta = {"amplitude_1": 3.0, "length_scale_1": 1.2, "amplitude_2": 2.0, "length_scale_2": 4.0}
    theta |= {"amplitude_3": 0.6, "length_scale_3": 1.1, "alpha_3": 0.8, "noise": 0.3}
    kernel = gp.parse("periodic(1.0) + matern52 + rq")
    ours = gp.log_marginal_likelihood(x, y, kernel=kernel, **theta)
    np.testing.assert_allclose(ours, model.log_marginal_likelihood_value_, rtol=0, atol=1e-8)


@pytest.mark.slow
def test_the_posterior_band_is_the_wider_and_the_more_honest_over_designs():
    found = system.designs(24, settings=SHORT)
    assert float(found["posterior"].mean()) > float(found["likelihood"].mean()) + 0.02
    assert float((found["posterior_width"] > found["likelihood_width"]).mean()) > 0.9
    assert found.equals(system.designs(24, settings=SHORT.replace(workers=2)))


def test_a_band_on_the_grid_is_that_of_the_posterior_drawn():
    data = points(8, 0.0)
    from bayesinf.systems.gp_regression.classical import quantile

    fit = system.fit(data, noise=0.0, settings=SHORT.replace(draws=1000))
    at = np.array([0.15, 0.5, 0.9])
    drawn = gp.predict(fit, at, most=2000)["curve"].values.reshape(-1, 3)
    stated = system.problem(data, noise=0.0)
    axis = np.linspace(-4, 4, 33)
    u = np.stack([a.ravel() for a in np.meshgrid(axis, axis)], axis=-1)
    weight = np.exp(stated.log_density(u) - stated.log_density(u).max())
    centre, sd = stated.pointwise_curve(stated.theta(u), at)
    for p in (0.1, 0.5, 0.9):
        exact = quantile(p, weight / weight.sum(), centre, sd)
        np.testing.assert_allclose(
            np.quantile(drawn, p, axis=0), exact, atol=0.15 * drawn.std(axis=0).max()
        )


def test_several_inputs_are_told_apart_by_their_length_scales(tmp_path):
    rng = np.random.default_rng(3)
    a, b = rng.uniform(size=(2, 40))
    rows = "\n".join(
        f"{p},{q},{np.sin(6 * p) + 0.05 * e}"
        for p, q, e in zip(a, b, rng.standard_normal(40), strict=True)
    )
    path = tmp_path / "two.csv"
    path.write_text(f"a (m),b (s),y\n{rows}\n")
    data = system.read(path, ["a", "b"], "y")
    found = system.fit(data, settings=SHORT)
    scale = found["posterior"]["length_scale"].median(("chain", "draw"))
    assert float(scale.sel(input="b")) > 3 * float(scale.sel(input="a"))
    told = system.story({"posterior": found})
    assert "length_scale[a]" in told.answer.paragraphs[0]


def test_a_forecast_is_scored_and_a_wrong_one_is_not_believed():
    from bayesinf.checks import check

    x = np.arange(60.0)
    y = np.sin(x / 3) + np.where(x > 40, 5.0, 0.0)
    y = y + 0.1 * np.random.default_rng(1).standard_normal(60)
    seen, later = system.split(curve_from_arrays(x, y), 40.0)
    assert seen.sizes["point"] == 41
    found = system.fit(seen, held_out=later, settings=SHORT)
    assert not check(found).believed
    told = system.story({"posterior": found}).answer.paragraphs
    assert any(text.startswith("Of 19 values that were held out") for text in told)


@pytest.mark.parametrize("size", [0.0, 3.0])
def test_a_constant_within_the_band_says_that_no_curve_is_shown(size):
    x = np.linspace(0, 6, 40)
    noise = np.random.default_rng(5).standard_normal(40)
    found = system.fit(curve_from_arrays(x, size * np.sin(x) + noise), settings=SHORT)
    told = system.story({"posterior": found}).answer.paragraphs
    assert any("that the curve varies at all is not shown" in text for text in told) == (size == 0)


def test_kernels_are_compared_by_evidence_and_the_best_carries_the_answer():
    rng = np.random.default_rng(5)
    x = np.linspace(0, 6, 60)
    data = curve_from_arrays(x, np.sin(2 * np.pi * x) + 0.1 * rng.standard_normal(60))
    options = {"data": data, "settings": SHORT}
    fits = {k: system.fit(kernel=k, **options) for k in ("periodic(1)", "exponential")}
    best = system.chosen({"data": data}, fits)
    assert best.attrs["written"] == "periodic(1)"
    told = system.story({"posterior": best}).answer.paragraphs
    assert any("prefer periodic(1)" in text for text in told)


def test_new_places_are_foretold_from_a_file_for_the_curve_and_for_data(tmp_path):
    x = np.linspace(0.1, 6, 40)
    y = np.exp(np.sin(x) + 0.1 * np.random.default_rng(2).standard_normal(40))
    path, new = tmp_path / "a.csv", tmp_path / "new.csv"
    path.write_text("t (s),U (V)\n" + "".join(f"{a},{b}\n" for a, b in zip(x, y, strict=True)))
    new.write_text("U,t (s)\n1.2,3\n2.4,1\n0.5,4.4\n")
    data = system.read(path, log=True)
    found = system.fit(data, settings=SHORT)
    told = system.predict(found, system.new_rows(new, data))
    frame = system.predictions(told)
    assert list(frame["row"]) == [2, 3, 4] and list(frame["t"]) == [3, 1, 4.4]
    draws = np.exp(gp.predict(found, frame["t"].values, most=400)["curve"].values)
    np.testing.assert_allclose(frame["mean"], draws.mean(axis=(0, 1)), rtol=0.02)
    np.testing.assert_allclose(frame["mean"], np.exp(np.sin(frame["t"])), rtol=0.25)
    assert np.all(frame["new_high_95"] > 1.1 * frame["mean_high_95"])
    group, beside = told["predictions"], told["predictions_constant_data"]
    assert group["U"].attrs["units"] == "V" and beside["t"].attrs["units"] == "s"
    np.testing.assert_allclose(beside["U"], [1.2, 2.4, 0.5])
    titles = [one.title for one in system.story({"posterior": told}).extra]
    assert "New rows" in titles and "The forecast, and what came" not in titles
    for text, said in (
        ("time\n3\n", "no column t"),
        ("t (ms)\n3\n", "another unit"),
        ("t\n3\nNA\n5\n", "missing"),
    ):
        new.write_text(text)
        with pytest.raises(DataError, match=said):
            system.new_rows(new, data)


def test_new_places_of_several_inputs_keep_their_columns(tmp_path):
    a, b = np.random.default_rng(3).uniform(size=(2, 25))
    data = gp.data({"a": a, "b": b}, np.sin(6 * a) + b)
    found = system.fit(data, noise=0.0, settings=SHORT)
    new = tmp_path / "new.csv"
    new.write_text(f"b,a\n{b[4]},{a[4]}\n{b[7]},{a[7]}\n")
    frame = system.predictions(system.predict(found, system.new_rows(new, data)))
    np.testing.assert_allclose(frame["a"], a[[4, 7]])
    np.testing.assert_allclose(frame["mean"], data["y"].values[[4, 7]], atol=1e-3)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["little", "-1", "nan", "inf"])
def test_a_noise_that_is_none_is_refused(given):
    with pytest.raises(DataError, match="--noise cannot be read"):
        system.noise_of(given)


def test_files_that_will_not_do_are_refused_in_one_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b,y\n1,2,3\n2,3,-4\n3,5,6\n4,7,1\n")
    for call, said in (
        (lambda: system.read(path, ["a", "b"]), "which column is y"),
        (lambda: system.read(path, ["a", "q"], "y"), "no column q"),
        (lambda: system.read(path, ["a", "a"], "y"), "named twice"),
        (lambda: system.read(path, ["a", "b"], "y", windows=[(0, 1)]), "--window"),
        (lambda: system.read(path, "a", "y", log=True), "above zero"),
        (lambda: system.split(system.read(path, "a", "y"), 9.0), "nothing to"),
        (lambda: system.split(system.read(path, ["a", "b"], "y"), 2.0), "--forecast"),
    ):
        with pytest.raises(BayesinfError) as caught:
            call()
        assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_logarithm_makes_relative_errors_absolute(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("t (s),y (V),error\n1,10,1\n2,20,4\n3,5,1\n")
    found = system.read(path, log=True)
    np.testing.assert_allclose(found["y"], np.log([10, 20, 5]))
    np.testing.assert_allclose(found["error"], [0.1, 0.2, 0.2])
    assert found["y"].attrs["long_name"] == "log(y / V)" and found["y"].attrs["units"] == "1"


def test_noise_that_nobody_stated_is_not_believed():
    """A curve of tiny length scale meets noisy values exactly: only the evidence knows better."""
    from bayesinf.checks import check

    found = system.fit(points(60, 0.15), noise=0.0, settings=SHORT)
    assert float(found["sample_stats"]["noise_evidence"]) > np.log(50)
    assert not check(found).believed


@pytest.mark.slow
def test_of_a_curve_with_very_many_turns_a_stretch_is_drawn(monkeypatch):
    from bayesinf.posterior import noted
    from bayesinf.systems.gp_regression import results

    monkeypatch.setattr(results, "STRETCH", 100)
    x = np.arange(450) / 3
    y = np.sin(2 * x) + 0.2 * np.random.default_rng(1).standard_normal(450)
    found = system.fit(curve_from_arrays(x, y), "matern32", settings=SHORT)
    drawn = noted(found, "curve")["x"].values
    np.testing.assert_allclose(drawn[[0, -1]], x[[175, 274]])
    assert (
        "a stretch in the middle" in system.story({"posterior": found}).answer.pictures[0].caption
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [([0, 3, 1, 7, 12, 5], True), ([0.5, 3, 1, 7, 12, 5], False), ([-1, 3, 1, 7, 12, 5], False)],
)
def test_of_whole_numbers_the_noise_of_counts_is_spoken_of(values, said, tmp_path):
    rows = "\n".join(f"{x},{y}" for x, y in enumerate(values))
    (tmp_path / "t.csv").write_text(f"x,y\n{rows}\n")
    assert ("--noise signal" in system.read(tmp_path / "t.csv").attrs["read_as"]) is said
