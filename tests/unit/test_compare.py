"""Two runs side by side: what agrees, what does not, and what cannot be compared."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from straight_line import fit

import bayesinf
from bayesinf import workflow
from bayesinf.errors import DataError
from bayesinf.posterior import save
from bayesinf.report import compare

SCRIPT = Path(__file__).parents[2] / "workflows" / "compare.py"


def moved(shift):
    """The straight line with its slope elsewhere, in posterior sd."""
    tree = fit("exact").copy(deep=True)
    slope = tree["posterior"]["slope"]
    slope += shift * slope.std().item()
    return tree


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    home = tmp_path_factory.mktemp("runs")
    bayesinf.write_report({"gibbs": fit()}, home / "first")
    save(moved(6.0), home / "second.nc")
    return home / "first", home / "second.nc"


def test_distances_are_in_pooled_standard_deviations(runs):
    rows = compare.differences(*map(compare.opened, runs))
    assert set(rows) == {"slope", "offset"}
    assert rows["slope"][2] == pytest.approx(6.0 / np.sqrt(2.0), abs=0.5)
    assert abs(rows["offset"][2]) < 0.2


def test_the_page_says_what_differs(runs, tmp_path):
    page, said = compare.write(*map(compare.opened, runs), tmp_path, command="again")
    text = page.read_text(encoding="utf-8")
    assert said.startswith("The runs disagree in 1 of 2 parameters") and "(slope)" in said
    assert "Both runs were fitted to the same data." in text
    assert "By leave-one-out" in text
    assert "gibbs" in text and "exact" in text and (tmp_path / "figures/parameters.png").is_file()


def test_a_run_agrees_with_itself(runs, tmp_path):
    side = compare.opened(runs[0])
    _, said = compare.write(side, side, tmp_path, command="again")
    assert said.startswith("The runs agree in all 3 parameters")


def test_what_has_another_unit_is_left_out(runs):
    one, other = map(compare.opened, runs)
    other.fit["posterior"]["slope"].attrs["units"] = "mV/A"
    assert "slope" not in compare.differences(one, other)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="no run to compare"):
        compare.opened(tmp_path)


def test_the_script_writes_the_page(runs, tmp_path, monkeypatch, capsys):
    main = runpy.run_path(str(SCRIPT))["main"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["compare.py", *map(str, runs)])
    with pytest.raises(SystemExit) as exit:
        workflow.cli(main)
    assert exit.value.code == 0 and Path("reports/compare/index.html").is_file()
    assert capsys.readouterr().out.startswith("The runs disagree")
