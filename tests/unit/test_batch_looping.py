"""Batches by the single fit: rows as of single fits, failures as reasons, cut off and gone on."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

import bayesinf
from bayesinf import kept, parallel
from bayesinf.batches import BELIEVED, DOUBTED, FAILED, looping
from bayesinf.data.several import sets
from bayesinf.errors import DataError
from bayesinf.posterior import noted
from bayesinf.settings import Settings
from bayesinf.systems import lennard_jones, regression, spectral_analysis

SETTINGS = Settings(seed=2, draws=50, chains=2)
HERE = partial(parallel.map, workers=1)
FORMULA = "y ~ a + b"


def frames(count=5, rows=30):
    """Tables of known coefficients; that of place 2 has curvature which the formula lacks."""
    rng, found = np.random.default_rng(1), []
    for k in range(count):
        a, b = rng.standard_normal((2, rows))
        y = k + (1 + k) * a - b + 0.3 * rng.standard_normal(rows) + 3 * (k == 2) * a**2
        found.append(pd.DataFrame({"a": a, "b": b, "y": y}))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five files, and three that cannot be fitted as the others."""
    path = tmp_path_factory.mktemp("runs")
    for k, frame in enumerate(frames()):
        frame.to_csv(path / f"run{k}.csv", index=False)
    (path / "a_empty.csv").write_text("")
    (path / "run9.csv").write_text("a,b\n1,2\n3,4\n5,6\n")
    words = frames(1)[0].assign(b=["few", "many", "many"] * 10)
    words.to_csv(path / "run10.csv", index=False)
    return path


@pytest.fixture(scope="module")
def written(folder, tmp_path_factory):
    """The batch of that folder, and where it is."""
    out = tmp_path_factory.mktemp("out")
    source = regression.tables(folder, FORMULA)
    looping.write(source, regression.loop(), SETTINGS, out, HERE)
    return bayesinf.load(out / "batch.nc"), out, source


def test_rows_are_those_of_single_fits_and_failures_have_reasons(folder, written):
    fit, _, source = written
    said = dict(zip(source.names, fit["constant_data"]["reason"].values, strict=True))
    code = dict(zip(source.names, fit["sample_stats"]["code"].values.tolist(), strict=True))
    assert list(source.names)[:2] == ["a_empty", "run0"] and source.names[-1] == "run10"
    assert said["a_empty"] == "the file is empty" and said["run9"] == "there is no column y"
    assert said["run10"] == "another feature than in the first"
    assert [code[n] for n in ("a_empty", "run9", "run10")] == [FAILED] * 3
    assert code["run2"] == DOUBTED and "curvature or interaction" in said["run2"]
    assert [code[f"run{k}"] for k in (0, 1, 3, 4)] == [BELIEVED] * 4
    assert fit["posterior"]["beta"].dims == ("chain", "draw", "table", "feature")
    moments = noted(fit, "moments")
    for k in (0, 4):
        exact = regression.fit(regression.read(folder / f"run{k}.csv", FORMULA), settings=SETTINGS)
        mean = exact["sample_stats"]["beta_closed_form_mean"].values
        sd = exact["sample_stats"]["beta_closed_form_sd"].values
        found = moments["beta"].sel(table=f"run{k}").values
        assert np.all(np.abs(found - mean) < 5 * sd / np.sqrt(100))
        assert moments["beta_sd"].sel(table=f"run{k}").values == pytest.approx(sd, rel=0.4)
        assert mean == pytest.approx([1 + k, -1], abs=6 * sd.max())


def test_the_table_and_the_page(written, monkeypatch):
    _, out, source = written
    monkeypatch.setattr("bayesinf.batches.page.png", lambda figure: b"")  # to draw takes seconds
    said, verdict = looping.tell(out, source, regression.loop(), "regression --data runs", "id")
    assert said.startswith("4 of 8 tables are fitted") and not verdict.believed
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "--only run2" in page and "spectr" not in page
    assert json.loads((out / "verdict.json").read_text())["answer"] == "batch"
    rows = pd.read_csv(out / "tables.csv", index_col="table")
    assert rows.loc["run3", "beta[a]"] == pytest.approx(4, abs=0.5)
    assert np.isnan(rows.loc["run9", "sigma"]) and rows.loc["run9", "verdict"] == "not fitted"


def test_a_table_with_a_column_that_names_each(tmp_path, written):
    whole = pd.concat(f.assign(lab=f"run{k}") for k, f in enumerate(frames()))
    whole.sample(frac=1.0, random_state=1).to_csv(tmp_path / "all.csv", index=False)
    source = regression.tables(tmp_path / "all.csv", FORMULA, each="lab")
    assert sorted(source.names) == [f"run{k}" for k in range(5)]
    own = source.single("run4")
    exact = regression.fit(own, settings=SETTINGS)["sample_stats"]["beta_closed_form_mean"].values
    of_file = noted(written[0], "moments")["beta"].sel(table="run4").values
    assert of_file == pytest.approx(exact, abs=0.2) and "lab" not in own
    with pytest.raises(DataError, match="there is no data set run7"):
        source.single("run7")
    assert regression.tables(tmp_path / "all.csv", FORMULA) is None


def test_nothing_that_can_be_fitted_is_an_error(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n3,4\n5,6\n")
    source = regression.tables(tmp_path, FORMULA)
    with pytest.raises(DataError, match="no data set can be fitted: there is no column y"):
        looping.write(source, regression.loop(), SETTINGS, tmp_path, HERE)
    with pytest.raises(DataError, match="there are no files to read"):
        sets(tmp_path / "none" / "*.csv", regression.read, "table")


def test_a_batch_that_is_cut_off_goes_on_and_is_the_same(folder, written, tmp_path, monkeypatch):
    monkeypatch.setenv(kept.ROOT, str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "WORTH", 0.0)
    monkeypatch.setattr("bayesinf.batches.streaming.ROUND", 1)
    source, rounds = regression.tables(folder, FORMULA), []
    loop = replace(regression.loop(), portion=4)

    def cut(fit, items, label):
        rounds.append(label)
        if len(rounds) == 2:
            raise KeyboardInterrupt
        return HERE(fit, items)

    with kept.keeping(["loop"]), pytest.raises(KeyboardInterrupt):
        looping.write(source, loop, SETTINGS, tmp_path, cut)
    with kept.keeping(["loop"]) as place:
        looping.write(source, loop, SETTINGS, tmp_path, HERE)
        assert "1 finished" in kept.taken(place)
    again = bayesinf.load(tmp_path / "batch.nc")
    for name, values in written[0]["posterior"].data_vars.items():
        assert np.array_equal(values.values, again["posterior"][name].values, equal_nan=True)


def curves(path):
    """Two light curves in a table, with a period and without."""
    rng, parts = np.random.default_rng(4), []
    for name, swing in (("HD 1", 0.5), ("HD 2", 0.0)):
        t = np.sort(rng.uniform(0, 12, 40))
        y = 10 + swing * np.sin(2 * np.pi * t / 1.5) + 0.1 * rng.standard_normal(40)
        columns = {"star": name, "time (d)": t, "mag": y, "mag_err": 0.1}
        parts.append(pd.DataFrame(columns))
    pd.concat(parts).to_csv(path, index=False)
    return spectral_analysis.light_curves(path, each="star")


def test_light_curves_of_a_table(tmp_path):
    source = curves(tmp_path / "stars.csv")
    assert list(source.names) == ["HD 1", "HD 2"] and dict(source.dims) == {"series": 2}
    own = source.single("HD 2")
    assert own.sizes["point"] == 40 and own.attrs["y"] == "mag" and own["time"].units == "d"


@pytest.mark.slow  # its road is guarded above; here is what of a light curve is kept
@pytest.mark.timeout(300)
def test_light_curves_have_periods_and_bayes_factors(tmp_path):
    source = curves(tmp_path / "stars.csv")
    loop = spectral_analysis.loop(shortest=1.0, longest=3.0)
    looping.write(source, loop, SETTINGS, tmp_path, HERE)
    rows = pd.read_csv(tmp_path / "series.csv", index_col="series")
    off = (rows.loc["HD 1", "period"] - 1.5) / rows.loc["HD 1", "period sd"]
    assert abs(off) < 4 and rows.loc["HD 1", "log_bayes_factor"] > 10
    assert rows.loc["HD 2", "log_bayes_factor"] < 3 and rows.loc["HD 1", "harmonics"] == 1
    fit = bayesinf.load(tmp_path / "batch.nc")
    assert fit["posterior"]["peak_to_peak"].dims == ("chain", "draw", "series")


def dimers(folder):
    """Energies of two pairs with a well, of a wall alone, and of a pair in another unit."""
    rng, found = np.random.default_rng(7), []
    for name, depth, size, far in (
        ("Ar2", 140.0, 3.4, 2.5),
        ("Ne2", 42.0, 2.8, 2.5),
        ("wall", 90.0, 3.0, 1.0),
    ):
        r = size * np.geomspace(0.9, far, 18)
        u = 4 * depth * ((size / r) ** 12 - (size / r) ** 6)
        noisy = u + 0.004 * depth * rng.standard_normal(18)
        found.append(pd.DataFrame({"pair": name, "r (Å)": r, "U (K)": noisy}))
        found[-1].drop(columns="pair").to_csv(folder / f"{name}.csv", index=False)
    other = found[0].drop(columns="pair").rename(columns={"U (K)": "U (meV)"})
    other.to_csv(folder / "eV.csv", index=False)
    whole = pd.concat(found)
    whole.to_csv(folder / "all.txt", index=False)
    return whole


@pytest.mark.timeout(300)
def test_wells_of_many_pairs(tmp_path, monkeypatch):
    dimers(tmp_path)
    source = lennard_jones.pairs(tmp_path / "*.csv")
    assert list(source.names) == ["Ar2", "Ne2", "eV", "wall"]
    settings = replace(SETTINGS, draws=120)  # of which 200 have a curve
    looping.write(source, lennard_jones.loop(), settings, tmp_path, HERE)
    rows = pd.read_csv(tmp_path / "pairs.csv", index_col="pair")
    for name, depth, size in (("Ar2", 140, 3.4), ("Ne2", 42, 2.8)):
        assert abs(rows.loc[name, "depth"] - depth) < 4 * rows.loc[name, "depth sd"] < depth / 20
        off = rows.loc[name, "minimum"] - 2 ** (1 / 6) * size
        assert abs(off) < 4 * rows.loc[name, "minimum sd"] < size / 20
    assert rows.loc["eV", "reason"] == "depth is in meV, and in the first in K"
    # Where no row is lower than its neighbours there is no well, which is no fault.
    assert np.isnan(rows.loc["wall", "depth"]) and rows.loc["wall", "noise"] > 0
    fit = bayesinf.load(tmp_path / "batch.nc")
    assert fit["posterior"]["depth"].attrs["units"] == "K"
    known = np.isfinite(fit["log_likelihood"]["data"].values).all(axis=(0, 1))
    assert known.tolist() == [True, True, False, True]
    # Each draw that is kept stands beside its own likelihood.
    seed = int(settings.generator("batch", 0).integers(2**31))
    whole = lennard_jones.fit(source.single("Ar2"), settings=replace(settings, seed=seed))
    kept, likelihood = (
        fit[group].dataset[name].sel(pair="Ar2").values.ravel()
        for group, name in (("posterior", "noise"), ("log_likelihood", "data"))
    )
    place = np.argmin(np.abs(whole["posterior"]["noise"].values.ravel() - kept[:, None]), axis=1)
    expected = whole["sample_stats"]["log_likelihood"].values.ravel()[place]
    np.testing.assert_allclose(likelihood, expected, rtol=1e-6)
    # The page calls few by their names.
    said = []
    monkeypatch.setattr("bayesinf.batches.page.png", lambda figure: b"")
    monkeypatch.setattr("bayesinf.batches.figures._in_order", lambda axis, axes: said.append(axes))
    looping.tell(tmp_path, source, lennard_jones.loop(), "lennard_jones --data *.csv", "id")
    assert {tuple(each["pair"].names) for each in said} == {("Ar2", "Ne2", "eV", "wall")}


def test_pairs_of_a_table(tmp_path):
    whole = dimers(tmp_path)
    source = lennard_jones.pairs(tmp_path / "all.txt", each="pair")
    own = source.single("Ne2")
    expected = whole[whole["pair"] == "Ne2"]
    np.testing.assert_array_equal(own["energies"], expected["U (K)"])
    assert own.attrs["case"] == "all.txt" and own["distances"].units == "Å"
    assert lennard_jones.pairs(tmp_path / "all.txt") is None
    unit = whole.rename(columns={"U (K)": "U"})
    unit.to_csv(tmp_path / "bare.txt", index=False)
    with pytest.raises(DataError, match="the unit of the energy is missing"):
        lennard_jones.pairs(tmp_path / "bare.txt", each="pair").single("Ne2")


def test_a_row_is_of_the_draws_that_have_a_number():
    values = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(looping._of_known(values, np.ma.mean), [2.0, np.nan])
