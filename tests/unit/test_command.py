"""The ``bayesinf`` command: scripts by their names, files judged and told, mistakes in a line."""

import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr
from straight_line import fit
from typer.testing import CliRunner

from bayesinf import scripts
from bayesinf.errors import DataError, MachineError
from bayesinf.posterior import load, save
from bayesinf.workflow import warming
from bayesinf.workflow.command import app
from bayesinf.workflow.run import Run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """A file of a straight line's posterior."""
    return save(fit(), tmp_path_factory.mktemp("files") / "line.nc")


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=True)


def test_every_script_is_a_command():
    assert set(scripts.names()) == {file.stem for file in (ROOT / "workflows").glob("[a-z]*.py")}
    listed = run("list").output
    for name in scripts.names():
        assert name in listed
        assert run(name.replace("_", "-"), "--help").exit_code == 0


def test_scripts_are_warmed_by_running_them(monkeypatch):
    """Each runs as a user runs it, quickly; one that fails is said in a line."""
    calls, status = [], [0, 3, 2]

    def ran(command, **_):
        calls.append(command)
        return subprocess.CompletedProcess(command, status[len(calls) - 1], "", "error: no disk\n")

    monkeypatch.setattr(warming.subprocess, "run", ran)
    monkeypatch.setattr(warming.compileall, "compile_dir", lambda *_, **__: True)
    done = run("warm", "gp-regression", "kuramoto")
    assert done.exit_code == 0 and [line.split(":")[0] for line in done.output.splitlines()] == [
        "gp_regression",
        "kuramoto",
    ]
    assert [call[3:5] for call in calls] == [["gp_regression", "--quick"], ["kuramoto", "--quick"]]
    failed = run("warm", "regression")
    assert isinstance(failed.exception, MachineError) and "no disk" in str(failed.exception)
    assert isinstance(run("warm", "nothing").exception, DataError)
    assert len(calls) == 3


def test_help_costs_little():
    script = "import resource, sys; from bayesinf.workflow.command import app\n"
    script += "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
    script += "used = resource.getrusage(resource.RUSAGE_SELF)\n"
    script += "print(used.ru_utime + used.ru_stime)\n"
    script += "print(sorted({'numpy', 'pymc', 'arviz', 'matplotlib'} & set(sys.modules)))"
    said = subprocess.check_output([sys.executable, "-c", script], text=True)
    *_, seconds, heavy = said.splitlines()
    assert heavy == "[]"
    assert float(seconds) < 1.0, "0.2 s on a quiet machine"


def test_a_file_is_judged(line, tmp_path):
    done = run("check", line)
    assert done.exit_code == 0
    assert done.output.startswith("Believed")
    stuck = load(line)
    stuck["posterior"] = xr.DataTree(
        stuck["posterior"].to_dataset() + xr.DataArray([0.0, 1e3, 0.0, 0.0], dims="chain")
    )
    stuck.attrs["inference"] = "mcmc"
    other = save(stuck, tmp_path / "stuck.nc")
    done = run("check", line, other)
    assert done.exit_code == 3
    assert "Do not believe yet" in done.output


def test_a_file_of_another_library_is_judged(line, tmp_path):
    tree = load(line)
    plain = xr.DataTree.from_dict({"posterior": tree["posterior"].to_dataset()})
    plain.to_netcdf(tmp_path / "plain.nc", engine="h5netcdf")
    assert "Not asked" in run("check", tmp_path / "plain.nc").output


@pytest.mark.usefixtures("undrawn")
def test_pages_are_written_and_told_again(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("report", line)
    assert done.output == f"Report: {Path('reports/line/index.html')}\n"
    page = tmp_path / "reports" / "line" / "index.html"
    page.unlink()
    assert run("report", "reports/line").exit_code == 0
    assert page.is_file()
    assert run("gallery", "reports").exit_code == 0
    assert "line/index.html" in (tmp_path / "reports" / "index.html").read_text("utf-8")


def test_a_campaign_is_asked_and_told(tmp_path):
    file = tmp_path / "campaign.json"
    first = run("ask", file, "x=-5:5", "--noise", "0").output.splitlines()
    assert -5 <= float(first[0]) <= 5 and first[-1].startswith("# go on")
    assert "1 evaluation" in run("tell", file, "-1.5", "-2").output
    assert isinstance(run("tell", file, "-7", "1").exception, DataError)
    assert "2 evaluations" in run("tell", file, "2", "failed").output


def test_a_file_is_audited(line, tmp_path):
    done = run("audit", line, "--output", tmp_path / "audit.nc")
    assert done.exit_code in (0, 3)
    assert done.output.startswith("The covariance may ")
    assert (done.exit_code == 0) == ("may be used" in done.output)
    assert "audit.slope" not in load(line)["constant_data"] and load(tmp_path / "audit.nc")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "nowhere.nc"], "no such file"),
        (["gallery", "nowhere"], "no such folder"),
        (["check", "empty.nc"], "no posterior to look at"),
        (["report", "line.nc", "deeper/line.nc"], "two files of one name"),
    ],
)
def test_a_mistake_is_one_line(words, said, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    xr.DataTree.from_dict({"data": xr.Dataset()}).to_netcdf("empty.nc", engine="h5netcdf")
    Path("deeper").mkdir()
    for file in ("line.nc", "deeper/line.nc"):
        Path(file).write_bytes(line.read_bytes())
    done = run(*words)
    assert isinstance(done.exception, DataError)
    assert said in str(done.exception)
    assert str(words[-1]) in str(done.exception)
    assert not Path("reports").exists()


@pytest.mark.parametrize(
    ("typed", "again"),
    [
        (["/usr/bin/bayesinf", "check", "a b.nc"], "bayesinf check 'a b.nc'"),
        (["/lib/bayesinf/__main__.py", "list"], "python -m bayesinf list"),
        (["workflows/x.py", "--quick"], "python workflows/x.py --quick"),
        ([""], "x"),
    ],
)
def test_a_command_can_be_typed_again(typed, again, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", typed)
    assert Run("x", None, tmp_path / "x").command == again
