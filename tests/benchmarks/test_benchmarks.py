"""Every case of every script in benchmarks/, run as a user runs it, at toy size.

Nothing here names a script or a case, so a new one is tested by being there.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
SCRIPTS = {
    path.stem: path
    for path in sorted(FOLDER.glob("[a-z]*.py"))
    if "__main__" in path.read_text(encoding="utf-8")
}


def numbers(result):
    """Every number in what a case left."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, list):
        return [number for part in result for number in numbers(part)]
    return [] if isinstance(result, str) else [result]


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_case_runs_prints_and_is_kept(name, tmp_path):
    command = [sys.executable, SCRIPTS[name], "--toy", "--json", "results.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    tables = dict(part.split("\n", 1) for part in ("\n" + done.stdout).split("\n== ")[1:])
    assert list(tables) == list(results) != []
    for case, result in results.items():
        assert numbers(result) and np.isfinite(numbers(result)).all(), case
        assert re.search(r"\d", tables[case]), case
