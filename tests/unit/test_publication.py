"""A folder is one run's: whatever ends the run, at whatever step, and whoever looks."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from crashes import NEW, OLD, prepared, publish

from bayesinf import publication
from bayesinf.errors import DataError

HERE = Path(__file__).resolve().parent
MINE = {"notes.txt": "mine", "figures/own.png": "mine"}


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != publication.MANIFEST
    }


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Every step of a publication × each way to end it: signal, step, status, folder."""
    root = tmp_path_factory.mktemp("crashes")
    done = subprocess.run(
        [sys.executable, str(HERE / "crashes.py"), str(root), "500"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        (number, step, status, Path(home)) for number, step, status, home in json.loads(done.stdout)
    ]


def test_every_step_was_tried(cases):
    tried = [number for number, *_ in cases]
    assert min(map(tried.count, (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, 0))) >= 30
    assert {status for number, _, status, _ in cases if number == signal.SIGKILL} == {-9}
    # A request during the moves waits for their end, and is then heard.
    assert {status for number, _, status, _ in cases if number == signal.SIGTERM} == {143}
    assert {status for number, _, status, _ in cases if number == signal.SIGINT} == {130}


def test_whatever_ends_it_the_folder_is_one_run(cases):
    """At once where it is not killed outright; else when it is next looked at."""
    runs = {"0" * 16: OLD | MINE, "1" * 16: NEW | MINE}
    met = set()
    for number, step, status, home in cases:
        if not (home / publication.COMING).exists():
            listed = json.loads((home / publication.MANIFEST).read_text())
            assert contents(home) == runs[listed["run"]], (number, step)
        found = publication.settled(home)
        assert contents(home) == runs[found["run"]], (number, step)
        assert not publication.changed(home, found["files"]), (number, step)
        met.add((number == 0, status == 1, found["run"]))
    assert {run for _, _, run in met} == set(runs)


def test_no_hidden_folder_outlives_the_next_run(cases):
    for number, step, _, home in cases:
        hidden = [path.name for path in home.parent.iterdir() if path != home]
        if number in (signal.SIGTERM, signal.SIGINT):
            assert not hidden, (number, step)
        publish(home, NEW, "2" * 16)
        assert [path.name for path in home.parent.iterdir()] == ["wire"], (number, step)
        assert contents(home) == NEW | MINE
        assert publication.settled(home)["run"] == "2" * 16


@pytest.mark.parametrize("name", ["index.html", "new.nc", "files.json", "figures"])
def test_what_is_in_the_way_is_refused_before_anything_moves(tmp_path, name):
    home = tmp_path / "wire"
    home.mkdir()
    if name == "figures":
        (home / name).write_text("mine")
    else:
        (home / name).mkdir()
    with pytest.raises(DataError, match=f"{name}: the output cannot be written; expected the pl"):
        publish(home, NEW, None)
    assert [path.name for path in home.iterdir()] == [name]
    assert [path.name for path in tmp_path.iterdir()] == ["wire"]


def test_a_link_in_the_place_of_a_folder_is_not_written_through(tmp_path):
    home, other = tmp_path / "wire", tmp_path / "other"
    home.mkdir(), other.mkdir()
    (home / "figures").symlink_to(other)
    with pytest.raises(DataError, match="found a file or a link"):
        publish(home, NEW, None)
    assert not list(other.iterdir())


def test_runs_into_one_folder_take_turns(tmp_path):
    home = tmp_path / "wire"
    texts = [{"index.html": str(k), f"{k}.nc": str(k), "verdict.json": str(k)} for k in range(8)]
    threads = [threading.Thread(target=publish, args=(home, text, None)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert contents(home) in texts and not list(tmp_path.glob(".*"))
    assert not publication.changed(home, publication.settled(home)["files"])


def test_the_hidden_folder_of_a_living_run_is_left_alone(tmp_path):
    home = tmp_path / "wire"
    with publication.staged(home) as folder:
        publish(home, OLD, None)
        assert folder.is_dir()
        (folder / "late.nc").write_text("late")
    assert contents(home) == {"late.nc": "late"}


def test_a_change_is_noticed(tmp_path):
    home = tmp_path / "wire"
    prepared(home)
    (home / "old.nc").write_text("other")
    (home / "index.html").unlink()
    files = publication.settled(home)["files"]
    assert publication.changed(home, files) == ["index.html", "old.nc"]


@pytest.mark.parametrize("name", ["../kept", "/etc/hostname", "notes.txt/../../kept"])
def test_a_manifest_of_others_reaches_nothing_outside(tmp_path, name):
    home = tmp_path / "wire"
    prepared(home)
    (tmp_path / "kept").write_text("mine")
    hostile = {"written_by": "bayesinf", "run": "x", "files": {name: "0"}}
    (home / publication.MANIFEST).write_text(json.dumps(hostile))
    coming = home / publication.COMING
    coming.mkdir()
    (coming / publication.MANIFEST).write_text(json.dumps(hostile))
    assert publication.settled(home)["files"] == {}
    assert (tmp_path / "kept").read_text() == "mine" and (home / "old.nc").exists()
