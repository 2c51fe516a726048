"""The frame of a script, around a toy: what is written, what is said, which exit status."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import numpy as np
import pandas as pd
import pytest
import typer
from straight_line import fit

import bayesinf
from bayesinf import data as reading
from bayesinf import figures, report, sealed, systems, workflow
from bayesinf.errors import DataError, FitError
from bayesinf.posterior import load
from bayesinf.rounding import compact
from bayesinf.settings import DEFAULT, QUICK
from bayesinf.workflow import retelling

HERE = Path(__file__).resolve().parent
WRITTEN = {"files.json", "index.html", "summary.csv", "verdict.json", "figures"}


@figures.styled
def picture(name="line"):
    fig, axis = figures.canvas()
    axis.plot([0, 1], [0, 1])
    return report.Picture(name, fig, "A line.", "A rising line.")


def story(fits, pictures=("line",)):
    plain = report.Section("Plainly")
    answer = report.Section("47 V/A", pictures=tuple(map(picture, pictures)))
    return report.Story("A wire", "What is its resistance?", answer, *[plain] * 4)


def stuck():
    """A posterior whose chains disagree."""
    tree = fit().copy(deep=True)
    tree["posterior"]["slope"][0] += 100.0
    return tree


def tell(fits):
    """The story, or what may go wrong while it is told."""
    fail = fits["gibbs"].attrs["fail"]
    if fail == "interrupt":
        raise KeyboardInterrupt
    if fail == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fail == "story":
        raise ZeroDivisionError("a slip\nof the pen")
    return story(fits, ("line", "second") if "exact" in fits else ("line",))


@workflow.script(name="wire", story=tell)
def main(
    run,
    fail: Annotated[str, typer.Option()] = "",
    extra: Annotated[bool, typer.Option()] = False,
):
    """What is a wire's resistance?"""
    with run.step("read"):
        if run.data is not None:
            run.report_reading(reading.curve(run.data))
    with run.step("fit"):
        if fail == "fit":
            raise FitError("the line\nis a circle")
        if fail == "bug":
            raise ZeroDivisionError("a bug")
        fits = {"gibbs": stuck() if fail in ("check", "both") else fit().copy()}
        fits["gibbs"].attrs["fail"] = "story" if fail == "both" else fail
        return fits | ({"exact": fit("exact")} if extra else {})


@pytest.fixture
def wire(tmp_path, monkeypatch, capsys, undrawn):
    """Run the script in an empty folder: exit status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["wire.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            workflow.cli(main)
        captured = capsys.readouterr()
        return exit.value.code, captured.out, captured.err

    return run


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def refused(result):
    status, out, err = result
    assert status == 2 and out == ""
    assert err.startswith("error: ") and err.count("\n") == 1 and err.endswith("\n")
    return err


# --- what is written ------------------------------------------------------------------------------


def test_a_good_run_writes_everything_and_says_so(wire):
    status, out, err = wire()
    assert status == 0 and err == ""
    assert out.splitlines()[0] == "Believed."
    assert "reports/wire/index.html" in out and "Time:" in out and "fit" in out
    assert "A look" not in (Path("reports/wire") / "index.html").read_text()
    # The answer and its numbers come before the path of the report.
    told = out[: out.index("Report:")]
    assert "47 V/A." in told and "slope" in told and "±" in told and "V/A" in told
    folder = Path("reports/wire")
    assert {path.name for path in folder.iterdir()} == WRITTEN | {"gibbs.nc"}
    assert [path.name for path in Path("reports").iterdir()] == ["wire"]
    assert load(folder / "gibbs.nc")["posterior"].equals(compact(fit())["posterior"])
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["believed"] and verdict["command"] == "python wire.py"
    listed = json.loads((folder / "files.json").read_text())["files"]
    assert sorted([*listed, "files.json"]) == sorted(contents(folder))


def test_a_look_says_so_on_its_page(wire):
    said = "A look (--quick), not a result: few draws are made"
    folder = Path("reports/wire")
    wire("--quick")
    assert said in (folder / "index.html").read_text()
    (folder / "index.html").unlink()
    bayesinf.retell(folder)
    assert said in (folder / "index.html").read_text()


def test_how_the_users_file_was_read_stands_in_terminal_page_verdict_and_fit(wire):
    Path("mine.csv").write_text(
        "made by hand\n\nwavelength (nm),sample,reference\n1,2,9\n2,3,9\n3,5,9\n"
    )
    status, out, _ = wire("--data", "mine.csv")
    said = (
        "x is wavelength, by its name; y is sample, by its name; no error bars; "
        "not used: reference; row 1 before the numbers is left out"
    )
    assert status == 0 and out.splitlines()[0] == f"Read mine.csv: {said}."
    folder = Path("reports/wire")
    assert f"How your file was read: {said}." in (folder / "index.html").read_text()
    assert json.loads((folder / "verdict.json").read_text())["data_read_as"] == said
    assert load(folder / "gibbs.nc").attrs["data_read_as"] == said
    bayesinf.retell(folder)
    assert said in (folder / "index.html").read_text()
    wire()
    assert "your file" not in (folder / "index.html").read_text()


def test_a_failed_check_is_status_3_and_the_first_words_of_everything(wire):
    status, out, err = wire("--output", "here", "--fail", "check")
    assert status == 3 and err == ""
    assert out.startswith("NOT BELIEVED")
    verdict = json.loads(Path("here/verdict.json").read_text())
    assert not verdict["believed"] and "Not to be believed" in verdict["words"]
    assert "Not to be believed" in Path("here/index.html").read_text()
    assert load("here/gibbs.nc")


def test_a_second_run_removes_what_the_first_one_left_and_nothing_else(wire):
    wire("--output", "here", "--extra")
    assert {"exact.nc", "figures/second.png"} <= set(contents("here"))
    Path("here/notes.txt").write_text("mine")
    Path("here/figures/own.png").write_text("mine")
    assert wire("--output", "here")[0] == 0
    after = contents("here")
    assert not {"exact.nc", "figures/second.png"} & set(after)
    assert after["notes.txt"] == after["figures/own.png"] == b"mine"


@pytest.mark.parametrize(
    "foreign",
    [
        '["keep.txt"]',
        '{"files": ["keep.txt"]}',
        "7",
        "not json",
        '{"written_by": "bayesinf", "files": ["../keep.txt", "figures"]}',
        '{"written_by": "bayesinf", "files": ["keep.txt", 3]}',
    ],
)
def test_a_list_that_is_not_ours_deletes_nothing(wire, foreign):
    for folder in (Path("here"), Path()):
        folder.mkdir(exist_ok=True)
        (folder / "keep.txt").write_text("mine")
    Path("here/files.json").write_text(foreign)
    assert wire("--output", "here")[0] == 0
    assert Path("here/keep.txt").read_text() == Path("keep.txt").read_text() == "mine"


def test_the_folder_may_be_the_one_we_stand_in(wire, monkeypatch):
    Path("here").mkdir()
    monkeypatch.chdir("here")
    assert wire("--output", ".")[0] == 0
    assert set(os.listdir()) == WRITTEN | {"gibbs.nc"}
    assert os.listdir("..") == ["here"]


# --- what is not written --------------------------------------------------------------------------


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("fail", ["data", "fit", "interrupt", "bug"])
def test_a_run_that_fails_leaves_everything_as_it_was(
    wire, earlier, fail, monkeypatch, tmp_path_factory
):
    if earlier:
        wire("--output", "here", "--extra")
    Path("bad.csv").write_text("x,y\n1,2\n2,nan\n3,4\n")
    before = contents(".")
    arguments = ["--data", "bad.csv"] if fail == "data" else ["--fail", fail]
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("traces")))
    if fail == "bug":  # ours, not the user's: its trace is kept
        status, out, err = wire("--output", "here", *arguments)
        assert status == 1 and out == "" and err.count("\n") == 1
        assert err.startswith("error: a fault of the program, ZeroDivisionError: a bug (test_wor")
        trace = Path(err.split("its trace is in ")[1].strip()).read_text()
        assert "Traceback" in trace and 'raise ZeroDivisionError("a bug")' in trace
    elif fail == "interrupt":
        assert wire("--output", "here", *arguments) == (130, "", "error: stopped by SIGINT\n")
    else:
        message = refused(wire("--output", "here", *arguments))
        assert ("bad.csv, row 3" if fail == "data" else "the line is a circle") in message
    assert contents(".") == before
    assert Path("here").exists() == earlier and not list(Path().glob(".here*"))


@pytest.mark.slow  # test_publication kills the writing itself
def test_a_killed_run_leaves_the_output_as_it_was(tmp_path):
    script = f"import sys; sys.path.insert(0, {str(HERE)!r})\nimport test_workflow as t\n"
    script += "t.workflow.cli(t.main)"
    run = lambda *arguments: subprocess.run(
        [sys.executable, "-c", script, "--output", "here", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run().returncode == 0
    before = contents(tmp_path / "here")
    assert run("--extra", "--fail", "kill").returncode == -9
    assert contents(tmp_path / "here") == before


@pytest.mark.parametrize("fail", ["story", "both"])
def test_a_story_that_cannot_be_told_does_not_cost_the_fits(wire, fail):
    wire("--output", "here", "--extra")
    status, out, err = wire("--output", "here", "--fail", fail)
    assert status == 1 and out == ""
    assert err.startswith(
        "error: the report could not be told, ZeroDivisionError: a slip of the pen"
    )
    assert err.count("\n") == 1 and "(test_workflow.py:" in err and "in here" in err
    there = set(contents("here"))
    assert there == {"gibbs.nc", "summary.csv", "verdict.json", "files.json"}
    verdict = json.loads(Path("here/verdict.json").read_text())
    assert verdict["believed"] is (fail == "story") and set(verdict["fits"]) == {"gibbs"}
    assert verdict["command"] == f"python wire.py --output here --fail {fail}"
    assert load("here/gibbs.nc")["posterior"]["slope"].shape == (4, 500)
    assert [path.name for path in Path().iterdir()] == ["here"]


def test_a_report_is_told_again_from_its_folder_alone(wire, monkeypatch):
    wire("--output", "here", "--extra", "--fail", "story")
    before = contents("here")
    monkeypatch.setattr(retelling, "names", lambda: ["straight_line"])
    monkeypatch.setattr(retelling, "system", lambda name: SimpleNamespace(story=story))
    page = bayesinf.retell("here")
    after = contents("here")
    assert page.name == "index.html" and "47 V/A" in page.read_text()
    assert set(after) - set(before) == {
        "index.html",
        "figures/line.png",
        "figures/diagnostics_gibbs.png",
        "figures/diagnostics_exact.png",
    }
    for name in ("gibbs.nc", "exact.nc", "summary.csv"):
        assert after[name] == before[name]
    verdict = json.loads(after["verdict.json"])
    assert list(verdict["fits"]) == ["gibbs", "exact"] and verdict["title"] == "A wire"
    assert verdict["command"] == "python wire.py --output here --extra --fail story"
    assert sorted(json.loads(after["files.json"])["files"]) == sorted(set(after) - {"files.json"})
    bayesinf.retell("here")
    assert set(contents("here")) == set(after)


def test_what_has_no_story_is_told_plainly(wire):
    wire("--output", "here")
    assert "straight_line" not in systems.names()
    text = bayesinf.retell("here").read_text()
    assert "The data, and replicas of them" in text and "What is its resistance?" in text


def test_only_what_a_run_wrote_can_be_told_again(tmp_path):
    def refused():
        words = r"no report to tell again.*verdict\.json of a run"
        with pytest.raises(DataError, match=words) as caught:
            bayesinf.retell(tmp_path / "here")
        return str(caught.value).split(", found ")[-1]

    assert refused() == "no such folder"
    (tmp_path / "here").mkdir()
    assert refused() == "no verdict.json"
    (tmp_path / "here/verdict.json").write_text("{")
    assert refused() == "a verdict.json that is no JSON"
    (tmp_path / "here/verdict.json").write_text('{"command": "python calibrate.py"}')
    assert refused() == "a verdict.json without fits, as a calibration has it"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--draws", "many"],
        ["--draws", "3"],
        ["--seed", "-1"],
        ["--chains", "0"],
        ["--colour", "red"],
        ["stray"],
        ["--data"],
        ["--data", "missing.csv"],
    ],
)
def test_bad_usage_is_one_line(wire, arguments):
    message = refused(wire(*arguments))
    assert any(word in message for word in (arguments[0], arguments[-1]))
    assert not list(Path().iterdir())


@pytest.mark.parametrize("output", ["file", "file/below"])
def test_an_output_that_cannot_be_is_refused_before_any_work(wire, output, monkeypatch):
    Path("file").write_text("mine")
    monkeypatch.setattr(sys.modules[__name__], "fit", None)
    assert output in refused(wire("--output", output))
    assert contents(".") == {"file": b"mine"}


# --- the parts ------------------------------------------------------------------------------------


def seen(arguments=(), **options):
    """The run and the arguments that a script's function gets, from the command line."""
    found = []

    @workflow.script(**options)
    def main(run, recording: workflow.Recording, count: int = 3):
        """How many?"""
        found.extend((run, recording, count))

    with pytest.raises(SystemExit) as exit, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["many.py", *arguments])
        workflow.cli(main)
    assert exit.value.code == 0
    return found


def test_options_become_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, recording, count = seen(["--seed", "5", "--tune", "0", "--quick", "--scheduler", "a:1"])
    assert run.settings == QUICK.replace(seed=5, tune=0)
    assert run.output == Path("reports/test_workflow") and run.scheduler == "a:1"
    assert run.quick and run.given == {"seed", "tune", "quick", "scheduler"}
    assert recording == workflow.Recording() and count == 3
    run, _, _ = seen(
        ["--output", "there", "--draws", "7", "--chains", "2", "--data", "a.csv"], name="wire"
    )
    assert run.settings == DEFAULT.replace(draws=7, chains=2)
    assert run.output == Path("there") and run.data == Path("a.csv") and not run.quick
    # A look at what is shipped starts no workers; at data of one's own it may well be worth it.
    shipped, own = (seen(["--quick", *data])[0] for data in ((), ("--data", "a.csv")))
    assert shipped.settings.workers == 1 and shipped.look
    assert own.settings.workers is None and not own.look and not run.look
    assert run.shipped("a.npz") == HERE.parent / "data" / "wire" / "a.npz"


def test_options_of_a_dataclass_are_options_of_the_script():
    _, recording, count = seen(["--cells", "0-9", "--axes", "time,site", "--count", "4"])
    assert recording == workflow.Recording(cells="0-9", axes="time,site") and count == 4


def test_a_file_unfolds_to_what_the_option_allows(wire, tmp_path, monkeypatch):
    monkeypatch.delenv(sealed.MOST, raising=False)
    np.savez(tmp_path / "a.npz", x=np.arange(50.0), y=2 * np.arange(50.0) + np.sin(np.arange(50)))
    status, _, err = wire("--data", "a.npz", "--read-bytes", "700")
    assert status == 2 and "expected at most 700 bytes in all" in err and "--read-bytes or" in err
    assert not Path("reports").exists() and sealed.MOST not in os.environ
    status, out, _ = wire("--data", "a.npz", "--read-bytes", "1e6")
    assert status in (0, 3) and "Read a.npz" in out


def test_what_means_nothing_to_a_script_is_no_option_of_it(monkeypatch, capsys):
    run, _, _ = seen(without=("draws", "data"))
    assert run.settings == DEFAULT and run.data is None
    main = workflow.script(lambda run: None, without=("draws",))
    monkeypatch.setattr(sys, "argv", ["many.py", "--draws", "5"])
    with pytest.raises(SystemExit) as exit:
        workflow.cli(main)
    assert exit.value.code == 2 and "--draws" in capsys.readouterr().err


def test_a_map_goes_where_the_run_goes(monkeypatch):
    from bayesinf import parallel

    calls = []
    monkeypatch.setattr(parallel, "map", lambda function, items, **rest: calls.append(rest))
    run, _, _ = seen(["--scheduler", "a:1"])
    run.map(abs, [1, 2], label="Taking", threads=True)
    assert calls == [{"workers": None, "scheduler": "a:1", "threads": True, "label": "Taking"}]


def test_systems_are_found_by_their_files():
    names = systems.names()
    assert "gaussian_peaks" in names and names == sorted(names)
    assert systems.system("gaussian_peaks").__name__ == "bayesinf.systems.gaussian_peaks"
    with pytest.raises(DataError, match="no such system; expected one of bayesian"):
        systems.system("atlantis")


def test_the_summary_has_a_row_for_each_scalar():
    table = workflow.summary({"gibbs": fit(), "ensemble": fit("ensemble")})
    assert list(table["fit"]) == ["gibbs"] * 3 + ["ensemble"] * 3
    assert list(table["variable"]) == ["slope", "offset", "noise"] * 2
    row = table.iloc[0]
    slope = fit()["posterior"]["slope"].to_numpy()
    assert row["mean"] == pytest.approx(slope.mean()) and row["sd"] == pytest.approx(slope.std())
    assert row["q2.5"] == pytest.approx(np.quantile(slope, 0.025))
    assert row["median"] == pytest.approx(np.median(slope))
    page = report.estimates(fit())["estimate"]  # what the page and the terminal print
    assert list(table["estimate"][:3]) == list(page)
    assert row["units"] == "V/A" and row["r_hat"] < 1.01 and row["ess_bulk"] > 400
    # Walkers are no chains: nothing is said about their agreement.
    assert table.loc[3:, ["r_hat", "ess_bulk", "ess_tail"]].isna().to_numpy().all()


def test_the_summary_is_read_back_as_it_was(wire):
    wire("--output", "here")
    table = pd.read_csv("here/summary.csv")
    run = json.loads(Path("here/files.json").read_text())["run"]
    pd.testing.assert_frame_equal(
        table, workflow.summary({"gibbs": compact(fit())}).assign(run=run)
    )


def test_help_is_not_an_error(wire):
    status, out, err = wire("--help")
    assert status == 0 and err == "" and "resistance" in out


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("1.5,1e300,0.1", ["column y", "numbers whose squares are none", "1e+300"]),
        ("1.5,2.0,1e-300", ["numbers of error are too small", "1e-300"]),
        ("1.5,2.0,1e308", ["column error", "numbers whose squares are none"]),
        ("1e200,2.0,0.1", ["column x", "numbers whose squares are none"]),
    ],
)
def test_numbers_that_no_fit_can_square_are_refused(wire, row, words):
    Path("a.csv").write_text(f"x,y,error\n0.5,1.0,0.1\n1.0,0.0,0.2\n{row}\n")
    err = refused(wire("--data", "a.csv"))
    assert all(word in err for word in [*words, "another unit"]), err


def test_windows_priors_and_numbers_of_the_command_line():
    assert workflow.windows(["1,2.5", "−3,4"]) == [(1.0, 2.5), (-3.0, 4.0)]
    assert workflow.windows(None) == [] and workflow.priors(None) == {}
    assert str(workflow.priors(["a ~ Normal(1, 2)"])["a"]) == "Normal(1, 2²)"
    assert workflow.numbers("centers", "1,2,3") == [1.0, 2.0, 3.0]
    for text in ("1", "1,2,3", "a,b", ""):
        with pytest.raises(DataError, match=r"--window cannot be read; expected LOW,HIGH"):
            workflow.windows([text])
