"""The wheel: built, installed in a fresh environment, and used from another folder.

Run by ``make test-wheel``; not collected by itself, for its name. Without a registry of packages to
install from it is skipped.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.timeout(1800)


def call(*words, cwd):
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(list(map(str, words)), cwd=cwd, env=env, capture_output=True, text=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of commands of an environment that holds the wheel and what it needs."""
    home = tmp_path_factory.mktemp("wheel")
    built = call(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", home, ROOT, cwd=home)
    if built.returncode:
        pytest.skip(f"the wheel needs its build backend: {built.stderr.splitlines()[-1]}")
    (wheel,) = home.glob("*.whl")
    venv.create(home / "env", with_pip=True)
    commands = home / "env" / "bin"
    pip = [commands / "python", "-m", "pip", "install", "--constraint", ROOT / "constraints.txt"]
    done = call(*pip, wheel, cwd=home)
    assert done.returncode == 0, done.stderr[-2000:]
    return commands


def test_it_knows_its_scripts_and_version(installed, tmp_path):
    listed = call(installed / "bayesinf", "list", cwd=tmp_path).stdout
    scripts = {file.stem for file in (ROOT / "workflows").glob("[a-z]*.py")}
    assert scripts == {line.split()[0] for line in listed.splitlines()}
    said = call(installed / "python", "-m", "bayesinf", "--version", cwd=tmp_path).stdout
    assert said.startswith("bayesinf 0.")


def test_a_script_runs_on_shipped_data_and_on_a_file(installed, tmp_path):
    done = call(installed / "bayesinf", "regression", "--quick", cwd=tmp_path)
    assert done.returncode in (0, 3), done.stderr
    assert (tmp_path / "reports" / "regression" / "index.html").is_file()
    peak = "x,y\n" + "\n".join(
        f"{x / 10},{1 + 5 * 2.718281828 ** (-((x / 10 - 3) ** 2)) + 0.1 * (-1) ** x:.4f}"
        for x in range(60)
    )
    (tmp_path / "peak.csv").write_text(peak, encoding="utf-8")
    words = ["gaussian-peaks", "--data", "peak.csv", "--quick", "--output", "out"]
    done = call(installed / "bayesinf", *words, cwd=tmp_path)
    assert done.returncode in (0, 3), done.stderr
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "bayesinf gaussian-peaks --data peak.csv" in page
    done = call(installed / "bayesinf", "check", *(tmp_path / "out").glob("*.nc"), cwd=tmp_path)
    assert done.returncode in (0, 3), done.stderr


def test_a_bad_file_is_one_line(installed, tmp_path):
    (tmp_path / "bad.csv").write_text("nothing\n", encoding="utf-8")
    done = call(installed / "bayesinf", "gaussian_peaks", "--data", "bad.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "reports").exists()
