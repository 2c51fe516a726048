"""What takes too long for ``make test``: run by ``make torture``, which runs the fast part too.

Not collected by itself, for its name. Random moments are drawn with a fixed seed; each test prints
how many cases it tried and how many held.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from bayesinf import publication

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = ROOT / "workflows"
pytestmark = pytest.mark.timeout(3600)  # on a busy machine too

# Three long fits by themselves; what they drew is said as a hash.
LONG = f"""
import hashlib, sys
sys.path.insert(0, {str(ROOT)!r})
import lmfit, numpy as np
from bayesinf import kept, workflow
from bayesinf.models import curve, linear
from bayesinf.models.binary import pairwise
from bayesinf.models.binary.pairwise.large import sampling
kept.EVERY, kept.PATIENCE = 0.5, 10.0
rng = np.random.default_rng(3)

def emcee(settings):
    x = np.linspace(0, 4, 2000)
    model = lmfit.models.ExponentialModel()
    y = 3 * np.exp(-x) + rng.normal(size=len(x))
    params = model.make_params(amplitude=dict(value=3, min=0, max=9), decay=1.0)
    return curve.fit(model, params, x, y, method="emcee", settings=settings)

def nuts(settings):
    X = rng.normal(size=(300, 8))
    y = X @ rng.normal(size=8) + rng.normal(size=300)
    return linear.fit(X, y, "laplace", method="nuts", settings=settings.replace(workers=1))

def pairs(settings):
    states = sampling.sample(rng.normal(0, 0.2, 231), "±1", 1000, rng=rng).states
    return pairwise.fit(states, encoding="±1", settings=settings)

@workflow.script(name="long")
def main(run, kind: str = "emcee"):
    "What is drawn?"
    found, digest = globals()[kind](run.settings), hashlib.sha256()
    for node in found.subtree:
        for _, one in sorted(node.dataset.variables.items()):
            digest.update(one.values.tobytes())
    run.say("drawn " + digest.hexdigest(), True)

if __name__ == "__main__":
    workflow.cli(main)
"""
KILLS = 10  # of each command
COMMANDS = {
    "peaks": [str(WORKFLOWS / "gaussian_peaks.py"), "--quick", "--draws", "100", "--chains", "2"],
    "calibrate": [
        str(WORKFLOWS / "calibrate.py"),
        "deconvolution",
        "--quick",
        "--replications",
        "10",
    ],
    "emcee": ["long.py", "--kind", "emcee"],
    "NUTS": ["long.py", "--kind", "nuts"],
    "pairwise, large": ["long.py", "--kind", "pairs", "--quick"],
}


def start(command, folder, **more):
    """A command, in a folder of its own, with a cache of its own."""
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    (work / "long.py").write_text(LONG)
    env = os.environ | {"BAYESINF_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *command], cwd=work, env=env | more, **pipes)


def written(folder, out):
    """Every array of every file of the report, by its path, and what the run said it drew."""
    found = {"said": np.array([line for line in out.splitlines() if line.startswith("drawn ")])}
    for file in sorted(folder.glob("work/reports/*/*.nc")):
        with xr.open_datatree(file) as tree:
            for node in tree.subtree:
                for name, one in node.dataset.variables.items():
                    found[f"{file.name}{node.path}/{name}"] = one.values
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_a_run_that_was_killed_goes_on_to_the_same_bits(name, tmp_path):
    """Killed at ten random moments, one after the other; then left alone."""
    command, started = COMMANDS[name], time.monotonic()
    process = start(command, tmp_path / "whole")
    out, err = process.communicate()
    assert process.returncode in (0, 3), err
    wanted, seconds = written(tmp_path / "whole", out), time.monotonic() - started
    assert len(wanted) > 1 or len(wanted["said"])
    dice, folder, killed = random.Random(name), tmp_path / "killed", 0
    for _ in range(30):  # a run that ends in time starts anew, and is no kill
        if killed == KILLS:
            break
        process = start(command, folder)
        try:
            process.communicate(timeout=dice.uniform(0.1, 0.6) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(dice.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
            process.communicate()
            killed += 1
    process = start(command, folder)
    out, err = process.communicate()
    assert process.returncode in (0, 3), err
    found = written(folder, out)
    assert found.keys() == wanted.keys()
    same = [
        np.array_equal(found[key], wanted[key], equal_nan=found[key].dtype.kind == "f")
        for key in wanted
    ]
    taken = [line for line in out.splitlines() if line.startswith("Taken up")]
    print(f"{name}: {sum(same)} of {len(same)} the same to the bit after {killed} kills; {taken}")
    assert all(same) and killed == KILLS
    for home in folder.glob("work/reports/*/"):
        assert not publication.changed(home, publication.settled(home)["files"])


# --- what a kill leaves behind --------------------------------------------------------------------

BUSY = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
import numpy as np
from bayesinf import parallel, workflow
from bayesinf.publication import staged

def busy(item):
    time.sleep(0.02)
    return item[0] + item[1].sum()

@workflow.script(name="busy")
def main(run):
    "What is left?"
    array = np.ones(1_000_000)
    with staged(run.output) as folder:
        (folder / "index.html").write_text("half")
        parallel.map(busy, [(k, array) for k in range(100_000)], workers=2)

if __name__ == "__main__":
    workflow.cli(main)
"""


def marked(mark):
    """The processes whose environment holds a mark."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            pass
    return found


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="asks /proc who lives")
def test_a_kill_leaves_nothing(tmp_path):
    """Twenty kills, ten requests to end and ten interrupts, at random moments, four at once."""
    dice, alone = random.Random(5), Path("/dev/shm")
    numbers = [signal.SIGKILL] * 20 + [signal.SIGTERM] * 10 + [signal.SIGINT] * 10
    held, wrong, ours = {number.name: 0 for number in numbers}, [], []
    for first in range(0, len(numbers), 4):
        runs = []
        for k, number in enumerate(numbers[first : first + 4], first):
            folder = tmp_path / str(k)
            folder.mkdir()
            (folder / "busy.py").write_text(BUSY)
            env = os.environ | {"TMPDIR": str(folder), "BAYESINF_CACHE": str(folder / "cache")}
            with (folder / "err").open("w") as err:
                run = subprocess.Popen([sys.executable, "busy.py"], cwd=folder, env=env, stderr=err)
            runs.append((run, number, folder))
            ours += [f"-{run.pid}-", f"_{run.pid}_"]  # as loky and joblib name what they share
        for *_, folder in runs:
            while not (folder / "reports").exists():
                time.sleep(0.05)
        for run, number, _ in runs:
            time.sleep(dice.uniform(0.0, 2.0))
            run.send_signal(number)
        for run, number, folder in runs:
            status, patience = run.wait(60), time.monotonic() + 15
            while (left := marked(str(folder))) and time.monotonic() < patience:
                time.sleep(0.1)
            hidden = [one.name for one in (folder / "reports").iterdir()]
            lines = [line for line in (folder / "err").read_text().splitlines() if line]
            errors = [line for line in lines if line.startswith("error: ")]
            fine = not left
            if number != signal.SIGKILL:
                said = [f"error: stopped by {number.name}"]
                fine &= status == 128 + number and not hidden and errors == said
                fine &= "Traceback" not in "".join(lines)
            held[number.name] += fine
            wrong += [] if fine else [(number.name, status, left, hidden, lines[-5:])]
    there = os.listdir(alone) if alone.exists() else []
    shared = [name for name in there if any(mark in name for mark in ours)]
    print(f"held: {held} of 20, 10 and 10; in shared memory: {shared}; {wrong}")
    assert not wrong and not shared


# --- large matrices -------------------------------------------------------------------------------

LARGE = """
import sys, numpy as np
from threadpoolctl import threadpool_limits
from bayesinf.inference import factors
size = int(sys.argv[1])
one = np.arange(1.0, size + 1)
with threadpool_limits(1):
    lower = factors.cholesky(np.minimum.outer(one, one))
for row in range(size):
    assert np.array_equal(lower[row], one <= row + 1)
"""


@pytest.mark.parametrize("size", [9_000, 11_000, 13_000, 20_000])
def test_a_large_cholesky_gives_the_known_factor(size):
    """min(i, j), whose factor is a triangle of ones, on one thread and in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LARGE, str(size)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-300:]
    print(f"{size} x {size}: exact")


# --- Dask -----------------------------------------------------------------------------------------

SPREAD = f"""
import os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from bayesinf import parallel, workflow
parallel.CONNECT = 60.0  # the machine may be busy

def slow(item):
    place, k = item
    time.sleep(1.0)
    with open(f"{{place}}/done", "a") as opened:
        opened.write(f"{{k}} {{os.getpid()}}\\n")
    return k * k

@workflow.script(name="spread")
def main(run):
    "What is spread?"
    place = os.getcwd()
    found = run.map(slow, [(place, k) for k in range(12)])
    run.say(f"drawn {{sum(found)}}", True)

if __name__ == "__main__":
    workflow.cli(main)
"""
DISTRIBUTED = [sys.executable, "-m", "distributed.cli.dask_"]
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Cluster:
    """A scheduler and two workers, each a process."""

    def __init__(self, folder):
        self.file = folder / "scheduler.json"
        self.file.unlink(missing_ok=True)
        self.scheduler = self.begin(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"
        )
        while not self.file.exists() or not self.file.read_text().strip():
            time.sleep(0.1)
        self.address = json.loads(self.file.read_text())["address"]
        how = "--no-dashboard", "--no-nanny", "--nthreads", "1"
        self.workers = [self.begin("worker", *how) for _ in range(2)]

    def begin(self, what, *options):
        command = [*DISTRIBUTED[:-1], DISTRIBUTED[-1] + what, "--scheduler-file", str(self.file)]
        return subprocess.Popen([*command, *options], cwd=self.file.parent, **QUIET)

    def end(self):
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


def spread(folder, cluster):
    (folder / "work").mkdir(exist_ok=True)
    (folder / "work" / "spread.py").write_text(SPREAD)
    return start(["spread.py", "--scheduler", cluster.address], folder)


def wait_for_lines(file, count):
    while not file.exists() or len(file.read_text().splitlines()) < count:
        time.sleep(0.05)


def test_a_worker_that_is_killed_is_made_up_for(tmp_path):
    pytest.importorskip("distributed")
    cluster, done = Cluster(tmp_path), tmp_path / "work" / "done"
    try:
        process = spread(tmp_path, cluster)
        wait_for_lines(done, 3)
        cluster.workers[0].kill()
        out, err = process.communicate(timeout=120)
    finally:
        cluster.end()
    assert process.returncode == 0 and "drawn 506" in out, err
    by = [line.split()[1] for line in done.read_text().splitlines()]
    print(f"12 items by {len(set(by))} workers, of which one was killed: {by}")
    assert len(set(by)) == 2


def test_a_scheduler_that_is_killed_is_one_line_and_what_was_done_is_taken_up(tmp_path):
    pytest.importorskip("distributed")
    done = tmp_path / "work" / "done"
    for lost in (True, False):
        cluster = Cluster(tmp_path)
        try:
            process = spread(tmp_path, cluster)
            if lost:
                wait_for_lines(done, 5)
                time.sleep(0.5)
                cluster.scheduler.kill()
            out, err = process.communicate(timeout=120)
        finally:
            cluster.end()
        lines = [line for line in err.splitlines() if line.startswith("error: ")]
        assert "Traceback" not in err
        if lost:
            assert process.returncode == 1 and len(lines) == 1 and "was lost" in lines[0], err
        else:
            assert process.returncode == 0 and "drawn 506" in out, err
    again = len(done.read_text().splitlines()) - 12
    (taken,) = [line for line in out.splitlines() if line.startswith("Taken up")]
    print(f"{lines}; {taken}; {again} items were made twice")
    assert again <= 4 and int(taken.split(": ")[1].split()[0]) >= 4
