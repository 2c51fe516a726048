"""The page that adds a system tells the truth: its two files run as they stand."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from blocks import python_blocks

import bayesinf
from bayesinf.posterior import noted, true_values

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "add-a-system.md"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the system and the script of the page."""
    folder = tmp_path_factory.mktemp("mine")
    system, script = python_blocks(PAGE)
    (folder / "systems").mkdir()
    (folder / "systems" / "decay.py").write_text(system)
    (folder / "decay.py").write_text(script)
    return folder


def run(home, *command):
    environment = os.environ | {"BAYESINF_SYSTEMS": str(home / "systems"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_the_page_is_about_sixty_lines(home):
    lines = (home / "systems" / "decay.py").read_text().splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 60


def test_from_simulation_to_a_believed_report(home):
    done = run(home, "decay.py", "--seed", 2)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = home / "reports" / "decay"
    assert json.loads((folder / "verdict.json").read_text())["believed"]
    fit = bayesinf.load(folder / "posterior.nc")
    assert fit.attrs["system"] == "decay"
    assert set(true_values(fit)) == {"amplitude", "lifetime", "background"}
    assert set(noted(fit, "classical").data_vars) >= {"lifetime", "lifetime_error"}
    for name, value in true_values(fit).items():
        draws = fit["posterior"][name]
        assert abs(float(draws.mean()) - value) < 5 * float(draws.std())
    text = (folder / "index.html").read_text()
    for words in ("A decay with background", "The data, and replicas of them", "lifetime"):
        assert words in text
    assert {"posterior"} == set(pd.read_csv(folder / "summary.csv")["fit"])


@pytest.mark.slow
def test_a_file_of_the_users_and_a_broken_one(home):
    t = np.linspace(0, 12, 30)
    rate = 80 * np.exp(-t / 3) + 4 + np.random.default_rng(1).normal(size=t.size)
    pd.DataFrame({"rate (1/s)": rate, "t (h)": t}).to_csv(home / "own.csv", index=False)
    done = run(home, "decay.py", "--data", "own.csv", "--output", "own", "--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    fit = bayesinf.load(home / "own" / "posterior.nc")
    assert float(fit["posterior"]["lifetime"].mean()) == pytest.approx(3, rel=0.2)
    assert fit["observed_data"]["rate"].attrs["units"] == "1/s"
    assert fit["constant_data"]["t"].attrs["units"] == "h"
    (home / "broken.csv").write_text("t,rate\n1,2\n2,nan\n3,4\n")
    done = run(home, "decay.py", "--data", "broken.csv", "--output", "none")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: broken.csv, row 3") and not (home / "none").exists()


@pytest.mark.slow
def test_its_calibration(home):
    done = run(home, ROOT / "workflows" / "calibrate.py", "decay", "--replications", 10)
    assert done.returncode in (0, 3), done.stderr
    assert "lifetime" in done.stdout and "decay" in done.stdout
