"""What was done is taken up by the same command alone; what cannot fit is refused."""

import os
import re
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
from straight_line import StraightLine

from bayesinf import capacity, kept, parallel, progress
from bayesinf.data import curve_from_arrays
from bayesinf.errors import FitError, MachineError
from bayesinf.inference import ensemble
from bayesinf.models import gp, linear
from bayesinf.models.binary import pairwise
from bayesinf.models.problem import fit
from bayesinf.settings import Settings
from bayesinf.systems import gaussian_peaks

SHORT = Settings(draws=20, chains=2, prior_draws=10)
X = np.linspace(0, 1, 9)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv(kept.ROOT, str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "WORTH", 0.0)
    monkeypatch.setattr(kept, "EVERY", 0.0)
    monkeypatch.setattr(kept, "PATIENCE", 0.0)
    return tmp_path / "cache"


def made(calls, value=1):
    calls.append(value)
    return {"value": np.arange(value)}


def files(home):
    return sorted(home.rglob("*.kept"))


def test_what_was_finished_is_taken_up(home):
    calls = []
    for _ in range(2):
        with kept.keeping(["a.py"]) as folder:
            found = kept.once(lambda: made(calls, 3), "problem", 1)
            assert list(found["value"]) == [0, 1, 2]
    assert calls == [3] and len(files(home)) == 1 and "1 finished" in kept.taken(folder)
    assert folder.stat().st_mode & 0o077 == 0
    kept.forget(folder)
    assert not files(home)


def test_nothing_is_kept_outside_a_script(home):
    calls = []
    kept.once(lambda: made(calls), "problem"), kept.once(lambda: made(calls), "problem")
    assert len(calls) == 2 and not home.exists()


@pytest.mark.parametrize("fresh", [False, True])
def test_another_command_and_a_fresh_start_begin_anew(home, fresh):
    calls = []
    for command in (["a.py"], ["a.py"] if fresh else ["a.py", "--seed", "2"]):
        with kept.keeping(command, fresh=fresh):
            kept.once(lambda: made(calls), "problem")
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
    one, other = (lambda x: x + 1), (lambda x: x + 2)
    assert one.__qualname__ == other.__qualname__ and kept._key(one) != kept._key(other)


def test_what_cannot_be_pickled_is_made_again(home):
    calls = []
    with kept.keeping(["a.py"]):
        for _ in range(2):
            kept.once(lambda: made(calls), (k for k in range(3)))
    assert len(calls) == 2 and not files(home)


def test_what_is_damaged_or_open_to_others_is_made_again(home):
    calls = []
    with kept.keeping(["a.py"]) as folder:
        kept.once(lambda: made(calls), "problem")
        (file,) = files(home)
        whole = file.read_bytes()
        file.write_bytes(whole[:20])
        kept.once(lambda: made(calls), "problem")
        assert file.read_bytes() == whole
        folder.chmod(0o777)
        kept.once(lambda: made(calls), "problem")
    assert len(calls) == 3


def test_the_oldest_goes_when_there_is_too_much(home, monkeypatch):
    monkeypatch.setattr(kept, "MOST", 20_000)
    for k in range(5):
        with kept.keeping([f"{k}.py"]):
            kept.once(lambda: np.zeros(1000), "problem")
        os.utime(files(home)[-1])
        time.sleep(0.01)
    assert len(files(home)) == 2


def test_a_command_says_what_is_kept_and_clears_it(home, monkeypatch, capsys):
    with kept.keeping(["a.py"]):
        kept.once(lambda: np.zeros(1000), "problem")
    monkeypatch.setattr("sys.argv", ["kept.py"])
    kept.main()
    assert "1 files of runs that were cut off" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["kept.py", "clear"])
    kept.main()
    assert ": 0 files" in capsys.readouterr().out and not home.exists()


def test_the_driver_takes_up_a_fit_to_the_bit(home):
    problem = StraightLine(X, 2 * X, 0.8)
    with kept.keeping(["a.py"]):
        first, again = (fit(problem, "exact", SHORT) for _ in range(2))
    for name, group in first.children.items():
        assert again[name].to_dataset().identical(group.to_dataset()), name
    assert again.attrs == first.attrs  # created_at and elapsed_seconds with the rest


def test_what_is_inside_of_a_piece_is_known_by_its_number_and_goes_when_the_piece_is_whole(home):
    calls = []

    def pieces(ends=True):
        found = [kept.once(lambda k=k: made(calls, k)) for k in range(3)]
        if not ends:
            raise ValueError("cut off")
        return [len(one["value"]) for one in found]

    with kept.keeping(["a.py"]) as folder:
        with pytest.raises(ValueError, match="cut off"):
            kept.once(lambda: pieces(ends=False), "all")
        assert calls == [0, 1, 2] and len(files(home)) == 3
        assert kept.once(pieces, "all") == [0, 1, 2]
        assert calls == [0, 1, 2] and len(files(home)) == 1 and "3 finished" in kept.taken(folder)


def walk(turns, cut=None):
    """Sum up random numbers in all the ways that a state can be held."""
    rng, place, seen = np.random.default_rng(1), {"at": 0.0}, []
    array, data, one = np.zeros(3), np.arange(3.0), Walker()
    one.rng, one.data = rng, data  # held twice, as samplers do
    changing = rng, place, seen, array, one
    for turn in kept.steps(range(20), *changing, fixed=(data,)):
        turns.append(turn)
        place["at"] += one.rng.random()
        array += data * rng.random()
        one.total += rng.standard_normal()
        seen.append(float(place["at"]))
        assert one.data is data
        if turn == cut:
            raise ValueError("cut off")
    return place["at"], seen, array.tolist(), one.total


class Walker:
    total = 0.0


@pytest.mark.parametrize("cut", [0, 7, 19])
def test_a_loop_goes_on_where_it_stood(home, cut):
    whole, turns = walk([]), []
    with kept.keeping(["a.py"]) as folder:
        with pytest.raises(ValueError, match="cut off"):
            kept.once(lambda: walk(turns, cut), "walk")
        assert kept.once(lambda: walk(turns), "walk") == whole
        assert ("1 begun" in kept.taken(folder)) == (cut > 0)
    # The step that it was cut off in is the one that is made again.
    assert turns == [*range(cut + 1), *range(cut, 20)]


def test_a_loop_that_would_cost_too_much_is_not_kept(home, monkeypatch):
    monkeypatch.setattr(kept, "RATE", 1e3)
    turns = []
    with kept.keeping(["a.py"]):
        for cut in (7, None):
            try:
                kept.once(lambda c=cut: walk_of(turns, np.zeros(1000), c), "walk")
            except ValueError:
                assert not files(home)
    assert turns == [*range(8), *range(20)]


def walk_of(turns, array, cut):
    for turn in kept.steps(range(20), array):
        turns.append(turn)
        if turn == cut:
            raise ValueError("cut off")


@pytest.mark.parametrize("workers", [1, 2])
def test_items_of_a_map_that_were_done_are_not_done_again(home, tmp_path, workers):
    items = [(str(tmp_path), x) for x in range(5)]
    with kept.keeping(["a.py"]) as folder:
        with pytest.raises(ValueError, match="cut off"):
            parallel.map(partial(cut_off, 4), items, workers=workers)
        done = len(files(home))
        assert done >= 3
        (tmp_path / "calm").touch()
        assert parallel.map(partial(cut_off, 4), items, workers=workers) == [0, 1, 4, 9, 16]
        assert f"{done} finished" in kept.taken(folder)
    assert len((tmp_path / "done").read_text().split()) <= 5 + 1 + (workers - 1)


def cut_off(last, item):
    """Square, and note that it was done; the last one cuts the run off, if it is not calm."""
    folder, x = item
    with open(f"{folder}/done", "a") as opened:
        opened.write(f"{x}\n")
    if x == last and not os.path.exists(f"{folder}/calm"):
        time.sleep(0.5)
        raise ValueError("cut off")
    return x * x


# --- memory ---------------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused_before_it_starts(monkeypatch):
    monkeypatch.setattr(capacity, "available", lambda: 2e9)
    problem = StraightLine(np.linspace(0, 1, 100_000), np.zeros(100_000), 0.8)
    started = time.monotonic()
    with pytest.raises(
        MachineError, match=r"4 chains of 1000 draws would take about 6.95 GB.*--draws"
    ):
        fit(problem, "exact", Settings(prior_draws=10))
    assert time.monotonic() - started < 1


def test_the_draws_of_many_parameters_and_a_large_covariance_count_too(monkeypatch):
    monkeypatch.setattr(capacity, "available", lambda: 1e8)
    y = np.sin(np.arange(3000.0))
    many = linear.regression(np.eye(30, 3000), y[:30], "normal", intercept=False)
    with pytest.raises(MachineError, match=r"4 chains of 1000 draws would take about 0\.19\d GB"):
        fit(many, "exact", Settings(prior_draws=10))
    process = gp.process(curve_from_arrays(np.arange(3000.0), y))
    with pytest.raises(MachineError, match=r"2 chains of 20 draws would take about 0\.\d+ GB"):
        fit(process, "laplace", SHORT)


def test_more_points_than_memory_holds_are_refused_before_an_optimum_is_sought(monkeypatch):
    monkeypatch.setattr(capacity, "available", lambda: 2e9)
    x = np.linspace(0, 1, 1_000_000)
    started = time.monotonic()
    with pytest.raises(MachineError, match=r"every 52th of them .* at most 18 draws in each of 4"):
        gaussian_peaks.fit(curve_from_arrays(x, np.sin(x)), peaks=1)
    assert time.monotonic() - started < 10


def test_more_sites_than_memory_holds_are_refused_before_states_are_drawn(monkeypatch):
    monkeypatch.setattr(capacity, "available", lambda: 8e9)
    states = np.where(np.random.default_rng(1).random((400, 300)) < 0.5, 1, -1)
    with pytest.raises(
        MachineError, match=r"300 sites would take about 48.9 GB.*at most 185 sites"
    ):
        pairwise.draw_reweighting_sample(states, encoding="±1")


def test_small_work_asks_nothing(monkeypatch):
    monkeypatch.setattr(capacity, "available", lambda: 1 / 0)
    capacity.require(1e6, "a fit", "nothing")


def test_something_is_available():
    assert capacity.available() > 1e7


# --- time -----------------------------------------------------------------------------------------


def test_long_work_says_so_before_it_begins_and_what_would_be_shorter(capsys):
    progress.foresee(60, "for 3 fits", "make 1 fit")
    assert capsys.readouterr().err == ""
    progress.foresee(7200, "for 3 fits", "make 1 fit")
    said = "This will take about 2 h, for 3 fits. Shorter: make 1 fit.\n"
    assert capsys.readouterr().err == said
    with pytest.raises(FitError, match="about 58 d, for 3 fits: make 1 fit"):
        progress.foresee(5e6, "for 3 fits", "make 1 fit")


def test_a_long_loop_says_once_how_long_it_will_be(home, capsys, monkeypatch):
    monkeypatch.setattr(progress, "MEASURED", 0.02)
    monkeypatch.setattr(progress, "SAID", 0.1)
    with progress.telling(lambda: "fit"):
        for _ in kept.steps(range(31)):
            time.sleep(0.01)
    (said,) = capsys.readouterr().err.splitlines()
    assert re.search(r"about \d+ s, for 31 steps of [\d.]+ s, as \d+ of them took, .*--draws", said)
    assert not list(kept.steps(range(0)))
    with progress.telling(lambda: "search"):
        for _ in kept.steps(range(34), shorter="fewer sites"):
            time.sleep(0.01)
    (said,) = capsys.readouterr().err.splitlines()
    assert re.search(r"for 34 steps .* if it needs all of them. Shorter: fewer sites.$", said)


def test_of_several_workers_the_first_says_how_long_its_loop_will_be(capsys, monkeypatch):
    monkeypatch.setattr(progress, "MEASURED", 0.02)
    monkeypatch.setattr(progress, "SAID", 0.1)
    monkeypatch.setattr(progress, "SOON", 0.2)
    monkeypatch.setattr(parallel._Worker, "following", True)

    def sweep(item):
        for _ in kept.steps(range(item)):
            time.sleep(0.01)

    call = parallel._Worker(parallel._Inside(sweep), os.getpid(), 3)
    call((4, None, 32))
    assert capsys.readouterr().err == ""
    call((3, None, 33))
    (said,) = capsys.readouterr().err.splitlines()
    assert re.search(r"for 33 steps of .*--draws.*; \d+ steps take 0 s", said)


def test_a_first_step_that_compiles_does_not_say_how_long_the_others_take(capsys, monkeypatch):
    monkeypatch.setattr(progress, "MEASURED", 0.02)
    monkeypatch.setattr(progress, "SAID", 3.0)
    monkeypatch.setattr(parallel._Worker, "following", True)

    def sweep(item):
        for step in kept.steps(range(item)):
            time.sleep(0.002 if step else 0.3)

    parallel._Worker(parallel._Inside(sweep), os.getpid(), 3)((3, None, 35))
    assert capsys.readouterr().err == ""


def test_emcee_says_once_how_long_it_will_be(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SAID", 0.0)
    rng = np.random.default_rng(1)

    def density(points):
        return -0.5 * np.sum(points**2, axis=1)

    found = ensemble.sample(density, rng.normal(size=(20, 3)), rng, 10, length=100)
    (said,) = capsys.readouterr().err.splitlines()
    more = int(re.search(r"for (\d+) more steps of \S+ s of emcee, as 500 .* laplace\)", said)[1])
    assert more == pytest.approx(found.steps + 5 * found.autocorrelation_time.max() - 500, rel=0.3)


def test_a_process_of_many_points_is_foreseen(capsys, monkeypatch):
    x = np.arange(1200.0)
    problem = gp.process(curve_from_arrays(x, np.sin(x)))

    def stop(problem, rng):
        raise ValueError("enough")

    monkeypatch.setattr(progress, "SAID", 0.0)
    monkeypatch.setattr(gp.definition, "optima", stop)
    with pytest.raises(ValueError, match="enough"):
        fit(problem, "mcmc", SHORT)
    said = capsys.readouterr().err
    assert re.search(r"about \d+ (s|min|h), for \d+ covariances of 1200 points, .* thin the", said)


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


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
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
    assert (
        "Taken up from an earlier run of this command: 2 finished and 0 begun" in resumed
        and "Taken up" not in undisturbed
    )
    assert resumed.splitlines()[1] == undisturbed.splitlines()[1] and len(undisturbed) > 64
    assert not files(tmp_path / "cache")
