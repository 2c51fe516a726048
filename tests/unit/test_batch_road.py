"""The way of a batch: one file, a table, a page; cut off and gone on; the same on a cluster."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import bayesinf
from bayesinf import kept, parallel
from bayesinf.batches import DOUBTED, FAILED
from bayesinf.data.spectra import spectra
from bayesinf.errors import DataError
from bayesinf.posterior import noted
from bayesinf.settings import Settings
from bayesinf.systems import gaussian_peaks as system
from bayesinf.systems.gaussian_peaks.batch import fitting, running

SCRIPT = Path(__file__).resolve().parents[2] / "workflows" / "gaussian_peaks.py"
X = np.linspace(700.0, 730.0, 80)
SETTINGS = Settings(seed=3)


def mapped(path, rows=5, columns=7, seed=1, x=X):
    """A map with one peak, of which one place is empty and one has another peak."""
    rng = np.random.default_rng(seed)
    center = 712 + 3 * np.add.outer(np.arange(rows) / rows, np.arange(columns) / columns)
    y = 2 + 8 * np.exp(-0.5 * ((x - center[..., None]) / 1.5) ** 2)
    y[1, 2] += 6 * np.exp(-0.5 * ((x - 725) / 1.0) ** 2)
    y = y + 0.4 * rng.standard_normal(y.shape)
    y[2, 3] = np.nan
    coords = {"energy": ("energy", x, {"units": "eV"}), "y": ("y", np.arange(rows) * 0.5)}
    counts = {"counts": (("y", "x", "energy"), y, {"units": "k"})}
    xr.Dataset(counts, coords).to_netcdf(path, engine="h5netcdf")
    return path, center


def wrote(source, folder, map_=partial(parallel.map, workers=1), **more):
    """Write a batch; return its file, opened."""
    folder.mkdir(exist_ok=True)
    model, _ = running.stated(source, {"peaks": 1})
    return bayesinf.load(running.write(source, model, SETTINGS, folder, map_, **more))


def same(one, other):
    """Whether two batches are equal to the last bit."""
    for node in one.subtree:
        for name, variable in node.dataset.variables.items():
            found = other[node.path].dataset.variables[name]
            kind = variable.dtype.kind == "f"
            assert np.array_equal(variable.values, found.values, equal_nan=kind), (node.path, name)
    assert one.attrs["data_sha256"] == other.attrs["data_sha256"]


@pytest.fixture
def short(monkeypatch):
    """Portions of ten, and two of them a round."""
    monkeypatch.setattr(fitting, "PORTION", 10)
    monkeypatch.setattr(running, "PORTION", 10)
    monkeypatch.setattr("bayesinf.batches.streaming.ROUND", 2)


def test_one_file_holds_all_fits_over_the_map(tmp_path, short):
    path, center = mapped(tmp_path / "map.nc")
    fit = wrote(spectra(path), tmp_path / "out")
    assert fit["posterior"]["center"].dims == ("chain", "draw", "y", "x", "peak")
    assert fit["posterior"]["center"].attrs["units"] == "eV"
    assert fit["posterior"]["y"].values.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    code = fit["sample_stats"]["code"].values
    assert code[2, 3] == FAILED and code[1, 2] == DOUBTED
    reason = fit["constant_data"]["reason"].values
    assert reason[2, 3] == "80 of 80 points hold no finite number"
    assert "residual memory" in reason[1, 2]
    known, moments = noted(fit, "classical"), noted(fit, "moments")
    off = (known["center"].sel(peak=1) - center) / known["center_error"].sel(peak=1)
    fine = code == 0
    assert np.abs(off.values[fine]).max() < 4 and np.std(off.values[fine]) > 0.5
    assert moments["center_sd"].values[fine] == pytest.approx(
        known["center_error"].values[fine], rel=0.15
    )
    # Each place is fitted as it is by itself.
    one = spectra(path).single("4,6")
    best = system.problem(one).optimum
    assert known["center"].values[4, 6, 0] == pytest.approx(best.theta[2], rel=1e-9)
    covariance = known["covariance"].values[4, 6]
    assert covariance == pytest.approx(best.covariance * best.scale**2, rel=1e-4, abs=1e-9)
    of_single = system.problem(one).classical()
    for name in ("amplitude", "fwhm", "noise", "background_level"):
        for kind in (name, f"{name}_error"):
            assert known[kind].values[4, 6] == pytest.approx(of_single[kind].values, rel=1e-4)


def test_checks_and_arviz_take_the_file(tmp_path, short):
    import arviz

    fit = wrote(spectra(mapped(tmp_path / "map.nc")[0]), tmp_path / "out")
    verdict = bayesinf.check(fit)
    assert verdict.believed and "Not asked" in verdict.words
    assert {check.name for check in verdict.checks} == {"fitted", "doubted", "residuals"}
    assert len(arviz.summary(fit, var_names=["noise"], kind="stats")) == 35
    assert json.loads(fit.attrs["settings"])["seed"] == 3


def test_the_table_has_a_row_for_every_spectrum(tmp_path, short):
    fit = wrote(spectra(mapped(tmp_path / "map.nc")[0]), tmp_path / "out")
    with (tmp_path / "out" / "spectra.csv").open(encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["spectrum"] for row in rows][:9] == [f"0,{k}" for k in range(7)] + ["1,0", "1,1"]
    assert [row["verdict"] for row in rows].count("not fitted") == 1
    value = noted(fit, "classical")["center"].values[4, 5, 0]
    assert float(rows[33]["center[1]"]) == pytest.approx(value, rel=1e-9)
    assert rows[17]["center[1]"] == "" and rows[17]["reason"]


def test_a_batch_that_is_cut_off_goes_on_and_is_the_same_to_the_bit(tmp_path, short, monkeypatch):
    monkeypatch.setenv(kept.ROOT, str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "WORTH", 0.0)
    source = spectra(mapped(tmp_path / "map.nc")[0])
    whole, rounds = wrote(source, tmp_path / "whole"), []

    def cut(fit, items, label):
        rounds.append(len(items))
        if len(rounds) == 2:
            raise KeyboardInterrupt
        return parallel.map(fit, items, workers=1)

    with kept.keeping(["batch"]), pytest.raises(KeyboardInterrupt):
        wrote(source, tmp_path / "out", cut)
    with kept.keeping(["batch"]) as folder:
        assert len(list(folder.rglob("*.kept"))) == 2
        again = wrote(source, tmp_path / "out")
        assert "2 finished" in kept.taken(folder)
        assert len(list(folder.rglob("*.kept"))) == 4
    same(whole, again)


def test_spectra_may_be_read_here_and_fitted_elsewhere(tmp_path, short):
    source = spectra(mapped(tmp_path / "map.nc")[0])
    here = wrote(source, tmp_path / "here", here=True)
    same(wrote(source, tmp_path / "there"), here)


def run(*options, cwd, wait=True):
    """The script, as a user runs it."""
    environment = os.environ | {kept.ROOT: str(cwd / "cache")}
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, options)],
        cwd=cwd,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    return (process, *process.communicate(timeout=280)) if wait else process


def test_the_script_tells_a_batch_and_one_of_it(tmp_path):
    mapped(tmp_path / "map.nc")
    process, out, err = run("--data", "map.nc", "--output", "out", cwd=tmp_path)
    assert process.returncode == 0, err
    assert re.search(r"3\d of 35 spectra are fitted, and their fits are believed; ", out), out
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "--only 1,2 --output" in page and "Posterior" not in err
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"batch.nc", "spectra.csv", "index.html", "verdict.json", "figures"} <= written
    verdict = json.loads((tmp_path / "out" / "verdict.json").read_text())
    assert verdict["believed"] and verdict["answer"] == "batch"
    command = ["--data", "map.nc", "--output", "none", "--peaks", "1-3"]
    process, out, err = run(*command, cwd=tmp_path)
    assert process.returncode == 2 and "--peaks cannot be read" in err
    assert len(err.splitlines()) == 1 and not (tmp_path / "none").exists()


def test_options_that_no_batch_knows_are_refused(tmp_path):
    source = spectra(mapped(tmp_path / "map.nc")[0])
    for options, said in (
        ({"shape": "voigt"}, "a batch has no voigt shape"),
        ({"likelihood": "student"}, "a batch has no student likelihood"),
        ({"search": "global"}, "a batch has no global search"),
    ):
        with pytest.raises(DataError, match=said):
            running.stated(source, options)


@pytest.mark.slow  # guarded above, where a run is cut off between two rounds
@pytest.mark.timeout(900)
def test_a_killed_script_goes_on_where_it_stood(tmp_path):
    mapped(tmp_path / "map.nc", rows=50, columns=60, x=np.linspace(700.0, 730.0, 300))
    command = ["--data", "map.nc", "--output", "out"]
    process = run(*command, cwd=tmp_path, wait=False)
    for _ in range(2000):
        time.sleep(0.05)
        if len(list((tmp_path / "cache").rglob("*.kept"))) > 0 or process.poll() is not None:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL and not (tmp_path / "out").exists()
    again, out, _ = run(*command, cwd=tmp_path)
    assert "Taken up from an earlier run of this command" in out
    whole, _, _ = run(*command[:2], "--output", "whole", cwd=tmp_path)
    assert again.returncode == whole.returncode
    same(*(bayesinf.load(tmp_path / name / "batch.nc") for name in ("out", "whole")))


@pytest.mark.slow  # guarded above, where workers are processes of this machine
def test_a_cluster_fits_the_same(tmp_path, short):
    from distributed import LocalCluster

    source = spectra(mapped(tmp_path / "map.nc")[0])
    here = wrote(source, tmp_path / "here")
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs=60
    ) as cluster:
        there = partial(parallel.map, scheduler=cluster.scheduler_address)
        found = wrote(source, tmp_path / "there", there, here=True)
    same(found, here)
    same(wrote(source, tmp_path / "two", partial(parallel.map, workers=2)), here)
