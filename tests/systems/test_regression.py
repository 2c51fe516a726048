"""Regression of a table: formulas, missing values, closed forms, predictions, what is refused."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bayesinf import workflow
from bayesinf.checks import check
from bayesinf.errors import DataError
from bayesinf.models import linear
from bayesinf.models import problem as driver
from bayesinf.posterior import noted
from bayesinf.priors import LogUniform
from bayesinf.settings import Settings
from bayesinf.systems import regression as system
from bayesinf.systems.regression.design import Design
from bayesinf.systems.regression.doubts import COMPUTED, Doubts
from bayesinf.systems.regression.formula import Formula

SETTINGS = Settings(draws=400, tune=300, chains=2, prior_draws=20, workers=1)


def table(count=60, formula="y ~ a*site + b", **columns):
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((2, count))
    site = np.array(["north", "south", "west"])[np.arange(count) % 3]
    y = 1 + a - 0.5 * b + (site == "south") * (1 + a) + 0.3 * rng.standard_normal(count)
    return system.from_columns({"a": a, "b": b, "site": site, "y": y} | columns, formula)


# --- what a table is asked besides its fit --------------------------------------------------------

BRIEF = Settings(draws=50, chains=2, prior_draws=4, workers=1)


def lined(change=None, count=40, **columns):
    """A line with noise of which one row may be changed: (a, y) at row 7."""
    rng = np.random.default_rng(8)
    a = rng.standard_normal(count)
    y = 1 + 2 * a + 0.3 * rng.standard_normal(count)
    if change is not None:
        a[7], y[7] = change(a[7], y[7])
    return system.from_columns({"a": a, "y": y} | columns, "y ~ a")


def asked_of(data):
    """Name to check of a short fit."""
    found = system.fit(data, settings=BRIEF)
    return {one.name: one for one in check(found).checks}


@pytest.mark.parametrize("change", [lambda a, y: (1e6 * a, y), lambda a, y: (a, y + 2.5)])
def test_a_row_that_nothing_else_supports_is_named(change):
    """However far its columns lie off: the chance is that of the row left out by hand."""
    data = lined(change)
    one = asked_of(data)["outlying row"]
    assert not one.passed and "row 7 " in one.message and "student" in one.remedy
    a, y = (np.delete(data[name].values, 7) for name in "ay")
    X = np.column_stack([np.ones(39), a])
    best, square, *_ = np.linalg.lstsq(X, y)
    row = np.array([1.0, data["a"].values[7]])
    error = np.sqrt(square[0] / 37 * (1 + row @ np.linalg.solve(X.T @ X, row)))
    t = (data["y"].values[7] - row @ best) / error
    assert one.value == pytest.approx(40 * 2 * stats.t.sf(abs(t), 37), rel=1e-3)


def test_a_row_in_its_place_is_no_doubt_and_student_allows_outliers():
    assert asked_of(lined())["outlying row"].passed
    off = lined(lambda a, y: (a, y + 3))
    stated, design = system.problem(off)
    found = Doubts.of(design).asked(driver.fit(stated, settings=BRIEF), "student")
    assert (
        "outlying_row_p" not in found["sample_stats"] and "target_values" in found["sample_stats"]
    )


@pytest.mark.parametrize(
    ("response", "factor"),
    [("bernoulli", 1.0), ("bernoulli", 300.0), ("bernoulli", 1e9), ("normal", 1e9)],
)
def test_a_cell_in_another_unit_stands_alone_whatever_the_response(response, factor):
    """Of outcomes no residual says so, nor of a row that has a direction for itself."""
    data = lined(lambda a, y: (factor * a, y))
    if response == "bernoulli":
        data = data.assign(y=("row", (data["y"].values > 1) * 1.0))
    stated, design = system.problem(data, response=response)
    found = Doubts.of(design).asked(driver.fit(stated, settings=BRIEF), response)
    one = {one.name: one for one in check(found).checks}["row that stands alone"]
    share = 1 / 40 + (data["a"] - data["a"].mean()) ** 2 / (40 * data["a"].var())
    assert one.value == pytest.approx(float(share.max()), rel=1e-6)
    assert one.passed == (factor == 1) and (one.passed or "row 7 " in one.message)


def test_the_one_row_of_a_label_is_as_it_must_be():
    data = lined(site=np.where(np.arange(40) == 11, "rare", "common"))
    outcome = data.assign(y=("row", (data["y"].values > 1) * 1.0))
    stated, design = system.problem(outcome, "y ~ a + site", response="bernoulli")
    found = Doubts.of(design).asked(driver.fit(stated, settings=BRIEF), "bernoulli")
    assert {one.name: one for one in check(found).checks}["row that stands alone"].passed


def test_an_outcome_taken_for_a_measurement_is_not_believed():
    data = lined()
    outcome = data.assign(y=("row", (data["y"].values > 1) * 1.0))
    one = asked_of(outcome)["values of the target"]
    assert not one.passed and "bernoulli" in one.remedy
    assert asked_of(data)["values of the target"].passed


@pytest.mark.parametrize("change", [lambda a: 3 - 0.1 * a, lambda a: 1e3 + a])
def test_a_target_that_columns_give_exactly_is_right_and_remarked(change):
    data = lined()
    a = data["a"].values
    found = system.fit(data.assign(y=("row", change(a))), settings=BRIEF)
    verdict = check(found)
    assert verdict.believed and "computed from" in verdict.words
    slope = (change(1.0) - change(0.0)) / 1
    np.testing.assert_allclose(found["posterior"]["beta"], slope, rtol=1e-9)
    assert COMPUTED.name not in asked_of(data)


def test_exact_powers_are_believed_though_their_last_digits_follow_no_law():
    x = np.arange(21.0)
    formula = "y ~ x + x**2 + x**3 + x**4 + x**5"
    data = system.from_columns({"x": x, "y": sum(x**k for k in range(6))}, formula)
    found = system.fit(data, settings=BRIEF)
    assert check(found).believed
    np.testing.assert_allclose(found["posterior"]["beta"].mean(("chain", "draw")), 1, rtol=1e-8)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("y ~ a + a**2", ["a", "I(a**2)"]),
        ("y ~ a + a^3", ["a", "I(a**3)"]),
        ("y ~ (a + b)**2", ["a", "b", "a:b"]),
        ("y ~ log(a**2) + b", ["log(a**2)", "b"]),
        ("y ~ (a**2 + b)", ["I(a**2)", "b"]),
    ],
)
def test_a_power_of_a_column_is_its_power(text, columns):
    rng = np.random.default_rng(3)
    a, b, y = 1 + rng.random((3, 20))
    design = Design(system.from_columns({"a": a, "b": b, "y": y}, text), text)
    names = [str(name).replace(" ", "") for name in design.names]
    assert names == columns
    values = {"a": a, "b": b, "a:b": a * b, "I(a**2)": a**2, "I(a**3)": a**3}
    values["log(a**2)"] = np.log(a**2)
    np.testing.assert_allclose(design.columns(), np.stack([values[n] for n in columns], axis=1))


def test_a_row_of_sums_and_numbers_without_squares_are_refused(tmp_path):
    rng = np.random.default_rng(9)
    values = np.round(rng.uniform(1, 9, (12, 2)), 2)
    rows = [f"{a},{y}" for a, y in values]

    def read(*rows):
        path = written(tmp_path / "t.csv", "\n".join(["a,y", *rows]) + "\n")
        return system.read(path, target="y")

    total = "{:.1f},{:.1f}".format(*values.sum(axis=0))
    with pytest.raises(DataError, match="row 14: the last row is the sum"):
        read(*rows, total)
    assert read(*rows, f"{values[:, 0].sum():.1f},5.0").sizes["row"] == 13
    assert read(total, *rows).sizes["row"] == 13
    with pytest.raises(DataError, match="column a: numbers whose squares are none"):
        read(*rows, "1e180,3.0")


# --- formulas -------------------------------------------------------------------------------------


def test_a_formula_is_taken_apart():
    found = Formula.parse(
        "sqrt(y) ~ a*`b c` + C(site) + poly(x, 3) + s(x, k=20) + s(z) + (1|group)"
    )
    assert (found.target, found.source, found.function) == ("sqrt(y)", "y", "sqrt")
    assert found.smooth == {"x": 20, "z": None} and found.groups == ("group",)
    assert set(found.features) == {"a", "b c", "site", "x", "z", "group"}
    assert found.effects == {"group": ("group", None)} and found.offset is None
    assert Formula.parse("y ~ s(x)").plain == "1" and Formula.parse("y ~ 0 + a").plain == "0 + a"


@pytest.mark.parametrize(
    "text",
    [
        *("y", "y ~", "y ~ a ~ b", "exp(y) ~ a", "y ~ a*s(b)", "y ~ foo(", "y ~ y + a"),
        *("y ~ (a*b|g)", "y ~ (C(a)|g)", "y ~ (a||g)", "y ~ (1|g) + (a|g)", "y ~ a + (0|g)"),
        *("y ~ (1|g/h)", "y ~ offset(a) + offset(b)", "y ~ a - offset(b)", "y ~ offset(a*b)"),
        "y ~ offset(exp(a))",
    ],
)
def test_what_is_no_formula_is_one_line(text):
    with pytest.raises(DataError, match="formula") as caught:
        Formula.parse(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("text", "effects"),
    [
        ("(x|g)", {"g": None, "x|g": "x"}),
        ("(1 + x | g)", {"g": None, "x|g": "x"}),
        ("(0 + x|g)", {"x|g": "x"}),
        ("(x - 1|`g`)", {"x|g": "x"}),
        ("(x + `b c`|g)", {"g": None, "x|g": "x", "b c|g": "b c"}),
        ("(1|g) + (0 + x|g)", {"g": None, "x|g": "x"}),
    ],
)
def test_slopes_by_group_are_read_as_bambi_reads_them(text, effects):
    found = Formula.parse(f"y ~ a + {text} + offset(log(time))")
    assert found.effects == {term: ("g", column) for term, column in effects.items()}
    assert found.offset == ("log", "time") and found.groups == ("g",) and found.plain == "a"
    assert set(found.features) == {"a", "g", "time", *(c for c in effects.values() if c)}
    assert Formula.parse("y ~ offset(np.log(a))").offset == ("log", "a")
    assert Formula.parse("y ~ offset(`b c`)").offset == ("", "b c")


def test_columns_are_those_of_the_formula():
    data = table(12, "y ~ a*site + poly(b, 2)")
    design = Design(data, data.attrs["formula"])
    a, south = data["a"].values, (data["site"].values == "south").astype(float)
    columns = dict(zip(design.names, design.columns().T, strict=True))
    np.testing.assert_allclose(columns["a:site[T.south]"], a * south)
    poly = np.column_stack([columns[f"poly(b, 2)[{k}]"] for k in (1, 2)])
    np.testing.assert_allclose(poly.T @ poly, np.eye(2), atol=1e-12)
    # New rows are laid by what the old ones said: the same row gives the same columns.
    np.testing.assert_allclose(design.columns(data.isel(row=[4])), design.columns()[[4]])
    with pytest.raises(DataError, match=r"column site.*does not know|does not know"):
        design.columns(data.isel(row=[0]).assign(site=("row", np.array(["east"]))))
    with pytest.raises(DataError, match="there is no log"):
        Design(table(12, "log(y) ~ a"), "log(y) ~ a").target  # noqa: B018 (some y are negative)
    with pytest.raises(DataError, match="no column zz"):
        Design(data, "y ~ s(zz)").names  # noqa: B018
    taken = data.rename(y="mean")
    with pytest.raises(DataError, match="name mean is taken"):
        Design(taken, "mean ~ a").target  # noqa: B018
    with pytest.raises(DataError, match="cannot be evaluated"):
        Design(data, "y ~ nothing(a)").plain  # noqa: B018
    alike = data.isel(row=data["site"].values == "north")
    assert Design(alike, "y ~ a").names == ["a"]
    for text in ("y ~ a*site", "y ~ a + (1|site)"):  # what has no effect that could be seen
        with pytest.raises(DataError, match="column site: a column that is the same in all rows"):
            Design(alike, text).names  # noqa: B018
    known = alike.assign(time=("row", np.ones(alike.sizes["row"])))
    assert Design(known, "y ~ a + offset(time)").names == ["a"]


# --- files ----------------------------------------------------------------------------------------


def written(path, text):
    path.write_text(text)
    return path


HOLES = "y,a,site,e\n" + "".join(
    f"{v},{k},{'us'[k % 2]},0.5\n" for k, v in enumerate(np.linspace(1, 3, 12))
)


def test_rows_with_missing_values_are_named(tmp_path):
    head, *lines = HOLES.splitlines(keepends=True)
    text = head + "".join(lines[:5]) + "NA,3,u,0.5\n1.5,,s,0.5\n1.5,2,,0.5\n" + "".join(lines[5:])
    found = system.read(written(tmp_path / "t.csv", text), "y ~ a + site")
    assert found.sizes["row"] == 12 and found["a"].dtype == float
    np.testing.assert_array_equal(found["row"], [2, 3, 4, 5, 6, *range(10, 17)])
    said = found.attrs["read_as"]
    assert "3 of 15 rows left out" in said and "row 7, 8, 9" in said and "site 1" in said
    halves = "".join(f"{k},5;{2 * k},25;{k}\n" for k in range(1, 9))
    path = written(tmp_path / "c.csv", "y;a;b\n" + halves + "1,5;;2\n")
    assert system.read(path, "y ~ a")["a"].values.tolist() == [2 * k + 0.25 for k in range(1, 9)]
    # A column that the formula does not use may have holes.
    assert system.read(tmp_path / "t.csv", "y ~ a").sizes["row"] == 13
    assert system.read(tmp_path / "t.csv", "y ~ a", others=["y ~ site"]).sizes["row"] == 12


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "--target"),
        ({"target": "z"}, "no column z"),
        ({"formula": "y ~ a + zz"}, "no column zz"),
        ({"target": "y", "features": ["a", "q"]}, "no column q"),
        ({"formula": "y ~ a", "target": "y"}, "formula says target"),
        ({"target": "y", "features": ["y"]}, "no features"),
        ({"target": "site", "features": ["a"]}, "no number"),
        ({"formula": "y ~ a", "error": "site"}, "above zero"),
        ({"formula": "y ~ a", "others": ["a ~ y"]}, "formulas of different targets"),
    ],
)
def test_bad_questions_are_one_line(tmp_path, options, said):
    path = written(tmp_path / "t.csv", HOLES)
    with pytest.raises(DataError, match=said) as caught:
        system.read(path, **options)
    assert ("\n" not in str(caught.value) and "t.csv" in str(caught.value)) or "formula" in said


def test_words_and_outcomes(tmp_path):
    path = written(tmp_path / "t.csv", HOLES.replace(",0.5", ",yes").replace("3,s,yes", "3,s,no"))
    found = system.read(path, "e ~ a", response="bernoulli")
    assert sorted(np.unique(found["e"])) == [0.0, 1.0] and "e = 1 is yes" in found.attrs["read_as"]
    names = "y,a,id\n" + "".join(f"{k},{k % 3},word{k}\n" for k in range(9))
    with pytest.raises(DataError, match="no category"):
        system.read(written(tmp_path / "w.csv", names), "y ~ a + id")


# --- fits -----------------------------------------------------------------------------------------


def test_a_flat_prior_gives_least_squares():
    data = table()
    found = system.fit(data, prior="flat", settings=SETTINGS)
    effects, estimates = noted(found, "effects"), system.classical(data)
    np.testing.assert_array_equal(effects["feature"], estimates["feature"])
    np.testing.assert_allclose(
        found["sample_stats"]["beta_closed_form_mean"], estimates["ols"], rtol=1e-6, atol=1e-9
    )
    np.testing.assert_allclose(effects["ols"], estimates["ols"])
    # R² of a draw is that of its own mean and noise.
    draws = {k: v.values[0, :1] for k, v in found["posterior"].items()}
    problem, _ = system.problem(data, prior="flat")
    signal = np.var(problem.mean(draws))
    first = float(noted(found, "explained")["r2"][0])
    assert first == pytest.approx(signal / (signal + draws["sigma"][0] ** 2))
    # Along a straight column the mean is straight, with the slope that rows have on average.
    curves = noted(found, "curves")
    k = curves["column"].values.tolist().index("b")
    slope = np.polyfit(curves[f"at_{k}"], curves[f"mean_{k}"], 1)[0]
    assert slope == pytest.approx(float(effects["mean"].sel(feature="b")), abs=0.02)


def test_a_curve_and_groups_are_found_with_their_noise():
    data = system.simulate(150, rng=np.random.default_rng(4))
    found = system.fit(data, settings=SETTINGS)
    x = np.linspace(0.1, 0.9, 30)
    curves = noted(found, "curves")
    k = curves["column"].values.tolist().index("x")
    at = curves[f"at_{k}"].values
    low, high = (np.interp(x, at, curves[f"{name}_{k}"].values) for name in ("low", "high"))
    mean = np.interp(x, at, curves[f"mean_{k}"].values)
    truth = 0.7 * np.sin(2 * np.pi * x)
    shift = np.mean(mean - truth)
    assert np.mean((low - shift < truth) & (truth < high - shift)) > 0.8
    assert abs(float(found["posterior"]["sigma"].mean()) - 0.5) < 0.12
    assert 0.15 < float(found["posterior"]["scale_site"].median()) < 1.5
    clear = noted(found, "effects").sel(feature=["a", "b"])
    assert np.all(clear["low"] * clear["high"] > 0)


def sloped(count=90, origin=0.0, **columns):
    """Rows whose groups have slopes of their own."""
    rng = np.random.default_rng(12)
    x, group = rng.standard_normal(count), np.arange(count) % 5
    slope = np.array([-1.0, -0.5, 0.0, 0.5, 1.5])[group]
    y = 1 + (0.5 + slope) * x + 0.3 * group + 0.4 * rng.standard_normal(count)
    columns |= {"x": x + origin, "g": np.array([f"g{k}" for k in group]), "y": y}
    return system.from_columns(columns, "y ~ x + (x|g)")


def test_slopes_by_group_are_those_of_the_closed_form():
    """With widths and noise known the posterior is normal, written here with one-hot columns."""
    data = sloped()
    stated, design = system.problem(data)
    widths = {"": 2.0, "g": 0.7, "x|g": 0.9}
    terms = {
        name: (linear.Gaussian(widths[name]), n) for name, (_, n) in stated.prior.terms.items()
    }
    known = replace(stated, prior=linear.Terms(terms), noise=0.4)
    draws = driver.fit(known, settings=SETTINGS)["posterior"]["beta"].values.reshape(-1, 11)
    x, g = data["x"].values, data["g"].values[:, np.newaxis] == np.unique(data["g"].values)
    columns = np.column_stack([np.ones(90), x, g, g * (x - x.mean())[:, np.newaxis]])
    (middle,) = (prior for name, (_, prior) in stated.unshrunk.items() if name == "intercept")
    sd = np.r_[middle.sd, 2 / x.std(), np.full(5, 0.7), np.full(5, 0.9 / x.std())]
    mean = np.zeros(12)
    mean[0] = middle.mean
    if stated.centre is not None:  # the intercept's prior is that at the mean of the features
        columns[:, 1:] -= stated.centre
    precision = columns.T @ columns / 0.4**2 + np.diag(sd**-2)
    covariance = np.linalg.inv(precision)[1:, 1:]
    right = columns.T @ data["y"].values / 0.4**2 + mean / sd**2
    exact, spread = np.linalg.solve(precision, right)[1:], np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(draws.mean(axis=0), exact, atol=4.5 * spread.max() / np.sqrt(800))
    np.testing.assert_allclose(draws.std(axis=0), spread, rtol=0.12)
    assert design.names[1:] == [*(f"g g{k}" for k in range(5)), *(f"x|g g{k}" for k in range(5))]


def test_slopes_by_group_know_no_origin_and_reach_new_groups():
    data, far = sloped(), sloped(origin=1000.0)
    found, other = (system.fit(one, settings=SETTINGS) for one in (data, far))
    for name in ("beta", "scale_g", "scale_x|g", "sigma"):
        np.testing.assert_allclose(found["posterior"][name], other["posterior"][name], atol=1e-6)
    groups = noted(found, "groups")
    slopes = groups.isel(effect=groups["along"].values == "x")
    assert list(slopes["grouping"].values) == ["x|g"] * 5
    assert np.all(np.diff(slopes["mean"]) > 0) and slopes["mean"][-1] - slopes["mean"][0] > 2
    said = system.story({"normal": found}).extra
    (told,) = (one for one in said if one.title == "Groups")
    assert "slopes of x by g" in told.paragraphs[0]
    # A new group has a slope that nobody knows: its mean is the less sure the farther x.
    new = system.from_columns({"x": [0.0, 3.0, 3.0], "g": ["other", "other", "g1"]}, "y ~ x")
    sd = system.predict(found, data, new)["predictions"]["mean"].std(("chain", "draw")).values
    posterior = found["posterior"]
    slope = float(np.mean((posterior["scale_x|g"].values * 3 / data["x"].values.std()) ** 2))
    apart = float(np.mean(posterior["scale_g"].values ** 2))
    assert sd[1] ** 2 - sd[0] ** 2 == pytest.approx(slope, rel=0.4)
    assert sd[0] ** 2 > 0.5 * apart and sd[2] < 0.3 * sd[1]


def test_an_exposure_multiplies_the_rate():
    rng = np.random.default_rng(3)
    time = np.exp(rng.uniform(-2, 4, 90))
    a = rng.standard_normal(90)
    columns = {"a": a, "time": time, "n": rng.poisson(time * np.exp(0.3 + 0.5 * a)).astype(float)}
    columns |= {"minutes": 60 * time}
    data = sloped(**columns)
    options = {"response": "poisson", "settings": SETTINGS.replace(draws=150, tune=150)}
    formula = "n ~ a + (1|g) + offset(log(time))"
    found = system.fit(data, formula, **options)
    slope = found["posterior"]["beta"].sel(feature="a")
    assert abs(float(slope.mean()) - 0.5) < 4 * float(slope.std()) < 0.4
    # Another unit of the exposure is another intercept.
    other = system.fit(data, formula.replace("time", "minutes"), **options)["posterior"]
    np.testing.assert_allclose(other["beta"], found["posterior"]["beta"], atol=1e-5)
    moved = found["posterior"]["intercept"] - other["intercept"]
    np.testing.assert_allclose(moved, np.log(60), atol=1e-5)
    # Twice the exposure, twice the count, in new rows and along the column.
    new = system.from_columns({"a": [0.0, 0.0], "g": ["g1", "g1"], "time": [1.0, 2.0]}, formula)
    told = system.predict(found, data, new, formula=formula, response="poisson")
    mean = told["predictions"]["mean"].values
    np.testing.assert_allclose(mean[..., 1], 2 * mean[..., 0])
    # Maximum likelihood has no gradient left: groups as categories, exposures as weights.
    slope = float(noted(found, "effects")["ml"].sel(feature="a"))
    level = data["g"].values[:, np.newaxis] == np.unique(data["g"].values)
    share = time * np.exp(slope * a)
    rate = (level.T @ data["n"].values) / (level.T @ share)
    assert a @ (data["n"].values - share * (level @ rate)) == pytest.approx(0, abs=0.02 * 90)


def test_counts_that_scatter_more_are_refused_by_poisson_and_its_remedy_holds():
    rng = np.random.default_rng(5)
    a = rng.standard_normal(150)
    rate = np.exp(1.0 + 0.5 * a) * rng.gamma(2.0, 0.5, 150)
    data = system.from_columns({"a": a, "n": rng.poisson(rate) * 1.0}, "n ~ a")
    brief = SETTINGS.replace(draws=150, tune=80)
    asked = {}
    for response in ("poisson", "negbinomial"):
        found = system.fit(data, response=response, settings=brief)
        asked[response] = {one.name: one for one in check(found).checks}["predictive p"]
    refused = asked["poisson"]
    assert not refused.passed and "dispersion" in refused.message
    assert "(negbinomial)" in refused.remedy and asked["negbinomial"].passed
    excess = found["posterior"]["noise_excess"]
    assert abs(float(excess.mean()) - 0.5) < 4 * float(excess.std()) < 0.8
    assert list(noted(found, "effects").data_vars)[-1] == "quasi_poisson"


def test_trials_are_read_fitted_and_foretold(tmp_path):
    rng = np.random.default_rng(6)
    a, n = rng.standard_normal(80), rng.integers(1, 12, 80)
    k = rng.binomial(n, 1 / (1 + np.exp(-0.4 - 0.8 * a)))
    rows = "\n".join(f"{x:.6f},{t},{s}" for x, t, s in zip(a, n, k, strict=True))
    path = written(tmp_path / "t.csv", f"a,n,k\n{rows}\n")
    data = system.read(path, target="k", trials="n", response="binomial")
    assert data.attrs["formula"] == "k ~ a"
    options = {"response": "binomial", "settings": SETTINGS.replace(draws=150, tune=100)}
    found = system.fit(data, **options)
    slope = found["posterior"]["beta"].sel(feature="a")
    assert abs(float(slope.mean()) - 0.8) < 4 * float(slope.std()) < 1.0
    # Its maximum of the likelihood has no gradient left; the posterior is near it.
    ml = float(noted(found, "effects")["ml"].sel(feature="a"))
    assert abs(float(slope.mean()) - ml) < 0.5 * float(slope.std())
    np.testing.assert_array_equal(found["constant_data"]["trials"], n)
    assert found["posterior_predictive"]["k"].max() <= n.max()
    new = system.new_rows(written(tmp_path / "n.csv", "a,n\n0.0,1\n0.0,10\n"), data, "k ~ a")
    told = system.predict(found, data, new, **options)["predictions"]
    np.testing.assert_allclose(told["mean"][..., 1], 10 * told["mean"][..., 0])
    assert set(np.unique(told["k"][..., 0])) == {0.0, 1.0} and told["k"][..., 1].max() > 5
    with pytest.raises(DataError, match="--trials"):
        system.problem(data.drop_attrs().assign_attrs(formula="k ~ a"), response="binomial")
    with pytest.raises(DataError, match="a poisson response has no trials"):
        system.problem(data, response="poisson")


@pytest.mark.parametrize(
    ("formula", "options", "said"),
    [
        ("y ~ x + offset(x)", {}, "a normal response has no offset.*poisson or .*binomial"),
        ("n ~ x + offset(log(x))", {"response": "poisson"}, "no log.x.*numbers above zero"),
        ("n ~ x + offset(g)", {"response": "poisson"}, "an offset is a number.*g0"),
        ("y ~ x + (g|x)", {}, "slopes by group are along numbers.*words such as g0"),
        ("y ~ x + (zz|g)", {}, "no column zz"),
    ],
)
def test_slopes_and_offsets_that_cannot_be_are_one_line(formula, options, said):
    with pytest.raises(DataError, match=said) as caught:
        system.problem(sloped(n=np.arange(90.0)), formula, **options)
    assert "\n" not in str(caught.value)


def test_the_diabetes_data_are_those_of_scikit_learn():
    from sklearn.datasets import load_diabetes

    frame = load_diabetes(as_frame=True, scaled=False).frame.rename(
        columns={"target": "progression"}
    )
    data = system.diabetes()
    assert list(data.data_vars) == list(frame.columns)
    np.testing.assert_array_equal(np.stack([data[name] for name in frame]), frame.to_numpy().T)


def test_new_rows_are_foretold_for_the_mean_and_for_data(tmp_path):
    data = system.simulate(80, rng=np.random.default_rng(6))
    found = system.fit(data, "y ~ a + b + (1|site)", settings=SETTINGS)
    text = "a,b,site,y\n1,0,site 0,2\n1,0,elsewhere,2\n"
    new = system.new_rows(written(tmp_path / "n.csv", text), data, found.attrs["formula"])
    told = system.predict(found, data, new, formula=found.attrs["formula"])
    frame = system.predictions(told)
    assert list(frame["row"]) == [2, 3]
    shape = told["predictions"]["mean"].values
    base = found["posterior"]["intercept"] + found["posterior"]["beta"].sel(feature="a")
    among = float(np.mean(found["posterior"]["scale_site"].values ** 2))
    assert np.var(shape[..., 1]) == pytest.approx(np.var(base.values) + among, rel=0.3)
    widths = {n: frame[f"{n}_high_95"] - frame[f"{n}_low_95"] for n in ("mean", "new")}
    assert np.all(widths["new"] > widths["mean"])
    # Of a known row the mean is what the posterior says, and the known target is held against it.
    posterior = found["posterior"]
    by_hand = posterior["intercept"] + posterior["beta"].sel(feature=["a", "site site 0"]).sum(
        "feature"
    )
    np.testing.assert_allclose(told["predictions"]["mean"][..., 0], by_hand)
    assert "held out" in [one.name for one in check(told).checks]
    with pytest.raises(DataError, match="missing"):
        system.new_rows(
            written(tmp_path / "m.csv", "a,b,site\n1,,s\n"), data, found.attrs["formula"]
        )


def test_formulas_are_compared_on_the_same_rows():
    data = table()
    found = system.fit(data, settings=SETTINGS)
    told = noted(
        system.compared(found, data, ["y ~ a + b", "y ~ b"], settings=SETTINGS), "comparison"
    )
    assert told["formula"].values[int(np.argmax(told["elpd"].values))] == "y ~ a*site + b"
    assert np.all(np.diff(told["elpd_behind"]) < 0) and np.isfinite(told["log_evidence"]).all()
    problem, _ = system.problem(data, "y ~ b")
    assert float(told["log_evidence"][2]) == pytest.approx(problem.log_evidence())
    with pytest.raises(DataError, match="different targets"):
        system.compared(found, data, ["a ~ b"], settings=SETTINGS)


@pytest.mark.parametrize(
    ("formula", "options", "fault"),
    [
        ("y ~ a + site + b", {}, "curvature or interaction"),
        ("y ~ a*site + b", {}, None),
    ],
)
def test_an_interaction_that_is_left_out_is_seen(formula, options, fault):
    verdict = check(system.fit(table(150), formula, settings=SETTINGS, **options))
    assert verdict.believed == (fault is None), verdict.words
    assert fault is None or fault in verdict.words


def test_columns_that_repeat_one_another_are_named_and_the_fit_is_believed():
    rng = np.random.default_rng(1)
    a, b, noise = rng.standard_normal((3, 100))
    columns = {"a": a, "b": b, "c": a + b + 1e-6 * noise, "y": 1 + a - b + rng.standard_normal(100)}
    found = system.fit(system.from_columns(columns, "y ~ a + b + c"), settings=SETTINGS)
    assert check(found).believed, check(found).words
    told = " ".join(system.story({"normal": found}).answer.paragraphs)
    assert "The columns a, b, c repeat one another" in told
    plain = system.fit(system.from_columns(columns, "y ~ a + b"), settings=SETTINGS)
    assert "repeat" not in " ".join(system.story({"normal": plain}).answer.paragraphs)


def test_a_column_that_never_changes_is_left_out_aloud(tmp_path):
    rows = "".join(f"{x},20,{2 * x + x % 3}\n" for x in range(12))
    (tmp_path / "a.csv").write_text(f"dose,n,y\n{rows}")
    data = system.read(tmp_path / "a.csv", target="y")
    assert data.attrs["formula"] == "y ~ dose"
    assert "not used, as the same in all rows: n" in data.attrs["read_as"]


def test_spike_and_slab_says_which_columns_are_in():
    data = system.simulate(100, sites=3, curve=0.0, rng=np.random.default_rng(8))
    found = system.fit(data, "y ~ a + b + c", prior="spike_and_slab", settings=SETTINGS)
    included = noted(found, "effects")["included"]
    assert float(included.sel(feature="a")) > 0.99 > float(included.sel(feature="c")) + 0.2
    with pytest.raises(DataError, match="spike and slab"):
        system.fit(data, prior="spike_and_slab", settings=SETTINGS)


def test_the_bayesian_lasso_is_that_of_park_and_casella():
    """Their Gibbs sampler, written from the paper alone, at a fixed λ: the same posterior."""
    data = system.diabetes("progression ~ bmi + bp + s5 + age")
    ratio, noise = 0.4, 54.0
    prior = linear.Laplace(ratio, relative=True)
    problem, design = system.problem(data, prior=prior)
    Z = problem.X * problem.scales
    Z, y = Z - Z.mean(axis=0), problem.y - problem.y.mean()
    fixed = linear.regression(Z, y, prior, noise=noise, scales=np.ones(4))
    found = driver.fit(fixed, settings=SETTINGS)["posterior"]["beta"].values.reshape(-1, 4)
    rng, tau2, draws = np.random.default_rng(0), np.ones(4), []
    lam = 1 / ratio  # p(β | σ) ∝ exp(−λ |β| / σ)
    for sweep in range(3000):
        precision = Z.T @ Z + np.diag(1 / tau2)
        root = np.linalg.cholesky(precision)
        mean = np.linalg.solve(precision, Z.T @ y)
        beta = mean + noise * np.linalg.solve(root.T, rng.standard_normal(4))
        tau2 = 1 / rng.wald(lam * noise / np.abs(beta), lam**2)
        if sweep >= 500:
            draws.append(beta)
    draws = np.array(draws)
    np.testing.assert_allclose(
        found.mean(axis=0), draws.mean(axis=0), atol=0.15 * draws.std(axis=0).max()
    )
    np.testing.assert_allclose(found.std(axis=0), draws.std(axis=0), rtol=0.15)
    assert design.plain == ["bmi", "bp", "s5", "age"]


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("filip", "y ~ " + " + ".join(["x", *(f"I(x**{k})" for k in range(2, 11))])),
        ("longley", "y ~ x1 + x2 + x3 + x4 + x5 + x6"),
    ],
)
def test_certified_polynomials_are_right_or_refused(reference_data, name, formula):
    folder = reference_data / "nist"
    certified = json.loads((folder / "linear_certified.json").read_text())[name]
    values = np.loadtxt(folder / f"{name}.csv", delimiter=",", skiprows=1).T
    names = ["y", *(["x"] if name == "filip" else [f"x{k}" for k in range(1, 7)])]
    data = system.from_columns(dict(zip(names, values, strict=True)), formula)
    problem, _ = system.problem(data, prior="flat")
    sd = float(certified["resid_sd"])
    posterior = linear.exact.Posterior(replace(problem, noise=LogUniform(1e-6 * sd, 1e6 * sd)))
    mean, _ = posterior.moments()
    np.testing.assert_allclose(mean, np.array(certified["beta"], dtype=float)[1:], rtol=1e-5)
    assert posterior.condition_number() > (1e6 if name == "filip" else 1.0)


@pytest.mark.slow  # make test runs the script on its own table
def test_the_script_writes_predictions_beside_the_page(tmp_path, monkeypatch):
    path = Path(__file__).resolve().parents[2] / "workflows" / "regression.py"
    (tmp_path / "new.csv").write_text("a,site\n4,u\n5,s\n")
    written(tmp_path / "t.csv", HOLES + "NA,3,u,0.5\n3.5,2.2,u,0.5\n")
    monkeypatch.chdir(tmp_path)
    options = ["--formula", "y ~ a + site", "--new", "new.csv", "--compare", "y ~ a"]
    options += ["--data", "t.csv", "--quick", "--output", "out"]
    monkeypatch.setattr("sys.argv", [str(path), *options])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    assert ended.value.code in (0, 3, None)
    rows = (tmp_path / "out" / "predictions.csv").read_text().splitlines()
    assert rows[0].startswith("row,mean,") and len(rows) == 3
    page = (tmp_path / "out" / "index.html").read_text()
    assert "1 of 14 rows left out" in page and "New rows" in page and "Formulas compared" in page
    workflow.retell(tmp_path / "out")
    assert (tmp_path / "out" / "predictions.csv").read_text().splitlines() == rows
