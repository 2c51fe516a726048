"""Finished fits are taken up by the same command alone; what cannot fit is refused."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from straight_line import StraightLine

from bayesinf import capacity, kept
from bayesinf.errors import FitError
from bayesinf.models.problem import fit
from bayesinf.settings import Settings

SHORT = Settings(draws=20, chains=2, prior_draws=10)
X = np.linspace(0, 1, 9)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv(kept.ROOT, str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "WORTH", 0.0)
    return tmp_path / "cache"


def made(calls, value=1):
    calls.append(value)
    return {"value": np.arange(value)}


def files(home):
    return sorted(home.rglob("*.fit"))


def test_what_was_finished_is_taken_up(home):
    calls = []
    for _ in range(2):
        started = time.time()
        with kept.keeping(["a.py"]) as folder:
            found = kept.fit(lambda: made(calls, 3), "problem", 1)
            assert list(found["value"]) == [0, 1, 2]
    assert calls == [3] and len(files(home)) == 1 and kept.reused(folder, started) == 1
    assert folder.stat().st_mode & 0o077 == 0
    kept.forget(folder)
    assert not files(home)


def test_nothing_is_kept_outside_a_script(home):
    calls = []
    kept.fit(lambda: made(calls), "problem"), kept.fit(lambda: made(calls), "problem")
    assert len(calls) == 2 and not home.exists()


@pytest.mark.parametrize("fresh", [False, True])
def test_another_command_and_a_fresh_start_begin_anew(home, fresh):
    calls = []
    for command in (["a.py"], ["a.py"] if fresh else ["a.py", "--seed", "2"]):
        with kept.keeping(command, fresh=fresh):
            kept.fit(lambda: made(calls), "problem")
    assert len(calls) == 2


def test_whatever_decides_a_fit_is_in_its_key():
    def key(y=X, settings=SHORT, method="gibbs", **known):
        return kept._key((StraightLine(X, y, **known), method, settings))

    same = key()
    assert same == key(y=X.copy()) and same is not None
    seeded = SHORT.replace(seed=2)
    others = [key(y=np.nextafter(X, 2)), key(method="nuts"), key(noise=0.8), key(settings=seeded)]
    assert len({same, *others}) == 5


def test_a_function_is_known_by_its_name_and_by_what_it_closes_over():
    def closure(value):
        return lambda x: x + value

    assert kept._key(closure(1)) == kept._key(closure(1)) != kept._key(closure(2))


def test_what_cannot_be_pickled_is_made_again(home):
    calls = []
    with kept.keeping(["a.py"]):
        for _ in range(2):
            kept.fit(lambda: made(calls), (k for k in range(3)))
    assert len(calls) == 2 and not files(home)


def test_what_is_damaged_or_open_to_others_is_made_again(home):
    calls = []
    with kept.keeping(["a.py"]) as folder:
        kept.fit(lambda: made(calls), "problem")
        (file,) = files(home)
        whole = file.read_bytes()
        file.write_bytes(whole[:20])
        kept.fit(lambda: made(calls), "problem")
        assert file.read_bytes() == whole
        folder.chmod(0o777)
        kept.fit(lambda: made(calls), "problem")
    assert len(calls) == 3


def test_the_oldest_goes_when_there_is_too_much(home, monkeypatch):
    monkeypatch.setattr(kept, "MOST", 20_000)
    for k in range(5):
        with kept.keeping([f"{k}.py"]):
            kept.fit(lambda: np.zeros(1000), "problem")
        os.utime(files(home)[-1])
        time.sleep(0.01)
    assert len(files(home)) == 2


def test_a_command_says_what_is_kept_and_clears_it(home, monkeypatch, capsys):
    with kept.keeping(["a.py"]):
        kept.fit(lambda: np.zeros(1000), "problem")
    monkeypatch.setattr("sys.argv", ["kept.py"])
    kept.main()
    assert "1 fits of runs that were cut off" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["kept.py", "clear"])
    kept.main()
    assert ": 0 fits" in capsys.readouterr().out and not home.exists()


def test_the_driver_takes_up_a_fit_to_the_bit(home):
    problem = StraightLine(X, 2 * X, 0.8)
    with kept.keeping(["a.py"]):
        first, again = (fit(problem, "exact", SHORT) for _ in range(2))
    for name, group in first.children.items():
        assert again[name].to_dataset().identical(group.to_dataset()), name
    assert again.attrs == first.attrs  # created_at and elapsed_seconds with the rest


# --- memory ---------------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused_before_it_starts(monkeypatch):
    monkeypatch.setattr(capacity, "available", lambda: 2e9)
    problem = StraightLine(np.linspace(0, 1, 100_000), np.zeros(100_000), 0.8)
    started = time.monotonic()
    with pytest.raises(FitError, match=r"4 chains of 1000 draws would take about 16 GB.*--draws"):
        fit(problem, "exact", Settings(prior_draws=10))
    assert time.monotonic() - started < 1


def test_small_work_asks_nothing(monkeypatch):
    monkeypatch.setattr(capacity, "available", lambda: 1 / 0)
    capacity.require(1e6, "a fit", "nothing")


def test_something_is_available():
    assert capacity.available() > 1e7


# --- a run that was killed ------------------------------------------------------------------------

SCRIPT = f'''
import hashlib, sys, time
sys.path.insert(0, {os.path.dirname(__file__)!r})
import numpy as np
from straight_line import StraightLine
from bayesinf import kept, workflow
from bayesinf.models.problem import fit
kept.WORTH = 0.0
X = np.linspace(0, 1, 9)

@workflow.script(name="lines")
def main(run):
    """Three lines, and time to be killed."""
    digest = hashlib.sha256()
    for k in range(3):
        found = fit(StraightLine(X, k * X, 0.8), "exact", run.settings)
        for name, variable in sorted(found["posterior"].data_vars.items()):
            digest.update(variable.values.tobytes())
        if WAIT and k == 1:
            print("ready", flush=True)
            time.sleep(600)
    run.say(digest.hexdigest(), True)

if __name__ == "__main__":
    sys.argv[0] = "lines.py"
    workflow.cli(main)
'''


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_was_killed_goes_on_to_the_same_bits(number, tmp_path, monkeypatch):
    env = os.environ | {kept.ROOT: str(tmp_path / "cache")}

    def start(wait):
        code = f"WAIT = {wait}\n{SCRIPT}"
        return subprocess.Popen(
            [sys.executable, "-c", code, "--quick"],
            cwd=tmp_path,
            env=env,
            stdout=subprocess.PIPE,
            text=True,
        )

    undisturbed = start(False).communicate()[0]
    process = start(True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    process.communicate()
    assert len(files(tmp_path / "cache")) == 2
    resumed = start(False).communicate()[0]
    assert "Taken up: 2 fits that an earlier run" in resumed and "Taken up" not in undisturbed
    assert resumed.splitlines()[1] == undisturbed.splitlines()[1] and len(undisturbed) > 64
    assert not files(tmp_path / "cache")
