"""The verdict on trial: right fits counted, faults caught, the same for any number of workers."""

import runpy
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from straight_line import StraightLine

from bayesinf import trials, workflow
from bayesinf.errors import DataError
from bayesinf.models import problem
from bayesinf.posterior import annotated
from bayesinf.settings import Settings

SHORT = Settings(draws=250, chains=4, tune=50, prior_draws=20)


def line(rng, curved=0.0):
    x = np.linspace(-1.0, 1.0, 40)
    y = 3.0 + 47.0 * x + curved * x**2 + 0.8 * rng.normal(size=x.size)
    seed = int(rng.integers(2**31))
    return problem.fit(StraightLine(x, y, 0.8), "exact", replace(SHORT, seed=seed))


def bent(rng):
    return line(rng, curved=20.0)


def unreadable(rng):
    raise DataError("no line", expected="a line", found="a circle")


FAULTS = {"curved": bent, "none": line, "unreadable": unreadable}


@pytest.fixture(scope="module")
def found():
    return trials.tried(FAULTS, 12, seed=3, workers=1)


def test_right_fits_come_first_and_are_seldom_refused(found):
    right, *_ = found
    assert right.fault == "none" and right.tried == 12 and right.refused <= 1 and right.held


def test_faults_are_caught_by_a_check_or_in_words(found):
    _, curved, unreadable = found
    assert curved.refused == 12 and "predictive p" in curved.by
    assert unreadable.by == {"DataError": 12}


def test_the_interval_is_that_of_a_proportion():
    low, high = trials.Trial("none", 200, 0, {}).interval
    assert low == 0.0 and high == pytest.approx(1 - 0.025 ** (1 / 200))


def test_too_many_refusals_of_right_fits_are_called_so():
    assert trials.Trial("none", 200, 10, {}).held
    assert not trials.Trial("none", 200, 14, {}).held
    assert trials.Trial("curved", 200, 0, {}).held


def test_the_table_says_all(found):
    table = trials.readable(found)
    assert list(table.index) == ["none", "curved", "unreadable"]
    assert table.loc["curved", "share"] == "100.0%"


def test_a_truth_tells_who_is_misled_and_refuses_nothing():
    """Two lines one sd apart: one's fit is believed, and the other's line contradicts it."""

    def told(of, rng):
        truth = xr.Dataset({"offset": of["offset"], "slope": of["slope"]})
        return annotated(line(rng), truth=truth)

    right = {"offset": 3.0, "slope": 47.0}
    faults = {
        "none": partial(told, right),
        "another line": partial(told, right | {"offset": 9.0}),
        "half a truth": partial(told, right | {"slope": np.nan}),
        "bent": lambda rng: annotated(bent(rng), truth=xr.Dataset({"offset": 9.0})),
    }
    none, other, half, refused = trials.tried(faults, 12, seed=3, workers=1)
    assert none.refused == other.refused <= 1 and none.misled == 0
    assert other.misled == other.tried - other.refused and other.inside == pytest.approx(
        0.5, abs=0.1
    )
    assert none.inside > 0.8 and half.inside > 0.8
    assert refused.refused == 12 and refused.misled == 0 and np.isnan(refused.inside)
    table = trials.readable([none, other, refused])
    assert list(table["misled"]) == ["0", str(other.misled), ""]


@pytest.mark.slow  # the map that it goes through is guarded in test_parallel.py
def test_workers_change_nothing(found):
    assert trials.tried(FAULTS, 12, seed=3, workers=2) == found


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """The script's exit status, asked for five data sets of a line."""
    script = Path(__file__).parents[2] / "workflows" / "trials.py"
    main = runpy.run_path(str(script))["main"]
    monkeypatch.setattr("bayesinf.systems.names", lambda: ["line"])
    monkeypatch.setattr("bayesinf.systems.system", lambda name: Line)
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["trials.py", "line", "--repeats", "5", *words])
        with pytest.raises(SystemExit) as exit:
            workflow.cli(main)
        return exit.value.code

    return run


def test_the_script_asks_for_one_fault_alone(asked, capsys):
    assert asked("--fault", "curved") == 0
    said = capsys.readouterr().out
    assert "curved" in said and "none" not in said
    assert asked("--fault", "bend") == 2
    assert "no such fault; expected one of curved, none, found bend" in capsys.readouterr().err


def test_the_script_prints_a_table_and_keeps_it(asked, capsys):
    assert asked() == 0
    said = capsys.readouterr().out
    assert "none" in said and "curved" in said and "Table: reports/trials/trials.csv" in said
    assert "line,curved,5,5" in Path("reports/trials/trials.csv").read_text()


class Line:
    """A system that plants faults."""

    @staticmethod
    def faults():
        return {"none": line, "curved": bent}
