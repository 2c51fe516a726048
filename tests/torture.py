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

from bayesinf import publication
from bayesinf.posterior import load

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "workflows" / "gaussian_peaks.py"
OPTIONS = ("--quick", "--draws", "100", "--chains", "2")
pytestmark = pytest.mark.timeout(1200)


def start(folder):
    env = os.environ | {"BAYESINF_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *OPTIONS],
        cwd=work,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def arrays(folder):
    """Every array of every fit of the report, by its path."""
    (home,) = (folder / "work" / "reports").iterdir()
    return {
        f"{file.name}{node.path}/{name}": variable.values
        for file in sorted(home.glob("*.nc"))
        for node in load(file).subtree
        for name, variable in node.dataset.variables.items()
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What a run that nobody disturbs writes, and how long it takes."""
    folder = tmp_path_factory.mktemp("whole")
    started = time.monotonic()
    process = start(folder)
    process.communicate()
    assert process.returncode in (0, 3)
    return arrays(folder), time.monotonic() - started


def test_a_run_that_was_killed_goes_on_to_the_same_bits(whole, tmp_path):
    """Killed at ten random moments, one after the other; then left alone."""
    wanted, seconds = whole
    dice = random.Random(1)
    for _ in range(10):
        process = start(tmp_path)
        try:
            process.communicate(timeout=dice.uniform(0.1, 0.6) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(dice.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
            process.communicate()
    process = start(tmp_path)
    out, err = process.communicate()
    assert process.returncode in (0, 3), err
    found = arrays(tmp_path)
    assert found.keys() == wanted.keys()
    same = [
        np.array_equal(found[name], wanted[name], equal_nan=found[name].dtype.kind == "f")
        for name in wanted
    ]
    print(f"{sum(same)} of {len(same)} arrays the same to the bit after ten kills; {out[-400:]}")
    assert all(same)
    (home,) = (tmp_path / "work" / "reports").iterdir()
    assert not publication.changed(home, publication.settled(home)["files"])


LARGE = """
import sys, numpy as np
from threadpoolctl import threadpool_limits
from bayesinf.inference import factors
one = np.arange(1.0, int(sys.argv[1]) + 1)
with threadpool_limits(1):
    lower = factors.cholesky(np.minimum.outer(one, one))
assert np.array_equal(lower, np.tri(len(one)))
"""


@pytest.mark.parametrize("size", [9_000, 11_000])
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


def test_a_scheduler_that_is_killed_is_one_line(tmp_path):
    """And what was there before stays."""
    distributed = pytest.importorskip("distributed")
    assert distributed
    script = f"""
import os, signal, sys, time, threading
sys.path.insert(0, {str(ROOT)!r})
import subprocess
from bayesinf import parallel, workflow
file = "scheduler.json"
command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1",
           "--port", "0", "--no-dashboard", "--scheduler-file", file]
quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
scheduler = subprocess.Popen(command, **quiet)
worker = subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_worker",
                           "--scheduler-file", file, "--no-dashboard"], **quiet)
import json
while not os.path.exists(file) or not open(file).read().strip():
    time.sleep(0.1)
address = json.load(open(file))["address"]

parallel.CONNECT = 60.0  # the machine may be busy

@workflow.script(name="lost")
def main(run):
    "What is lost?"
    threading.Timer(8, scheduler.kill).start()
    parallel.map(time.sleep, [30] * 4, scheduler=address)

try:
    workflow.cli(main)
finally:
    scheduler.kill(); worker.kill()
"""
    (tmp_path / "lost.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "lost.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    print(json.dumps(done.stderr[-600:]))
    assert done.returncode == 2 and len(lines) == 1 and "was lost" in lines[0]
    assert "Traceback" not in done.stderr
