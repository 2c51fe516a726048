"""Data flow one way: which part may import which, and what waits until it is used."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "bayesinf"
SCRIPTS = sorted((ROOT / "workflows").glob("*.py"))

# What each part may import; a folder is one part, and a dotted name is all of it that may be had.
# No system appears on the right: no part may import one. A new file in a folder needs no line here,
# a new module at the top does.
ALLOWED = {
    "codes": "",
    "errors": "",
    "settings": "errors",
    "sealed": "errors",
    "reader": "errors sealed",
    "data": "codes errors sealed reader",
    "publication": "errors",
    "progress": "errors",
    "capacity": "errors",
    "schema": "errors",
    "packing": "",
    "posterior": "errors settings packing reader schema",
    "rounding": "posterior",
    "kept": "posterior progress",
    "parallel": "errors kept progress",
    "priors": "errors",
    "diagnostics": "errors parallel",
    "inference": "errors settings kept progress parallel posterior diagnostics",
    "models": "errors settings parallel progress capacity kept posterior data priors inference "
    "diagnostics",
    "foreign": "errors posterior inference.kinds diagnostics",
    "checks": "errors posterior inference.kinds diagnostics foreign",
    "forecasts": "errors settings posterior",
    "figures": "errors settings posterior inference.kinds diagnostics foreign",
    "report": "errors publication posterior inference.kinds foreign checks figures",
    "batches": "errors settings posterior data inference.kinds checks figures report",
    "optimisation": "codes errors settings kept parallel posterior priors inference models",
    "calibration": "errors settings parallel posterior models.problem diagnostics checks figures "
    "report",
    "trials": "errors parallel checks",
    # Judges any fit, and so knows every kind of it; what it says is worded as a report words it.
    "audits": "errors settings posterior data inference models diagnostics foreign checks report",
    "systems": "errors settings parallel data posterior priors inference models diagnostics checks "
    "forecasts optimisation figures report calibration audits batches",
    "scripts": "",
    # The frame finds the system that a script is named after, by that name.
    "workflow": "errors settings parallel progress publication kept sealed posterior rounding "
    "priors inference.kinds diagnostics foreign checks figures report calibration trials "
    "systems.names systems.system scripts optimisation audits batches data.several",
    "__main__": "workflow",
}
# In these folders each entry stands for itself; what the others may lean on is named.
SHARED = ("problem", "likelihoods", "noise", "bits", "ties")
INDEPENDENT = {"systems": (), "models": SHARED, "inference": ("derivatives", "importance")}


def imported(source):
    """Every bayesinf module that a source imports, anywhere in it, as a tuple of names."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that they can be read"
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in found:
            head, *rest = name.split(".")
            if head == "bayesinf" and rest:
                yield tuple(rest)


def violations(path, source):
    """The imports that a file, given by its path in the package, may not make."""
    part, *below = Path(path).with_suffix("").parts
    for target in imported(source):
        if target[0] == part and part in INDEPENDENT:
            fine = not target[1:] or target[1] in (below[0], *INDEPENDENT[part])
        else:
            fine = {target[0], ".".join(target[:2])} & {part, *ALLOWED[part].split()}
        if not fine:
            yield f"{path} imports bayesinf.{'.'.join(target)}"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_each_file_imports_what_it_may(path):
    name = path.relative_to(PACKAGE)
    if str(name) == "__init__.py":
        assert not list(imported(path.read_text()))
    else:
        assert not list(violations(name, path.read_text()))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("systems/ising_couplings.py", "from bayesinf.systems import gaussian_peaks"),
        ("systems/ising_couplings.py", "import bayesinf.systems.gaussian_peaks as p"),
        ("systems/ising_couplings.py", "def f():\n    from bayesinf.workflow import run"),
        ("models/linear/gibbs.py", "from bayesinf.models.curve import fit"),
        ("models/curve.py", "from bayesinf import systems"),
        ("models/noise.py", "from bayesinf.figures import canvas"),
        ("inference/nuts.py", "from bayesinf.models import linear"),
        ("checks/chains.py", "from bayesinf.systems.ising_couplings import fit"),
        ("checks/chains.py", "from bayesinf.inference import laplace"),
        ("workflow/run.py", "from bayesinf.systems import ising_couplings"),
        ("posterior.py", "import bayesinf.report"),
        ("errors.py", "from bayesinf.settings import DEFAULT"),
    ],
)
def test_the_table_refuses(path, line):
    assert list(violations(path, line))


def test_the_table_has_no_circle():
    order = list(ALLOWED)
    for part, targets in ALLOWED.items():
        heads = [target.split(".")[0] for target in targets.split()]
        assert all(order.index(head) < order.index(part) for head in heads)


# --- what is slow to import waits until it is used ------------------------------------------------

HEAVY = {
    "arviz",
    "dask",
    "distributed",
    "emcee",
    "joblib",
    "lmfit",
    "matplotlib",
    "numba",
    "numpy",
    "nutpie",
    "pandas",
    "pymc",
    "pytensor",
    "scipy",
    "sklearn",
    "xarray",
}


def loaded_by(code):
    """The heavy packages that a fresh interpreter has loaded after some code."""
    report = f"import json, sys; print(json.dumps(sorted({HEAVY!r} & set(sys.modules))))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_question_can_be_answered_wrongly():
    assert loaded_by("import bayesinf.priors") == ["numpy", "scipy"]


@pytest.mark.parametrize("name", ["bayesinf", "bayesinf.workflow", "bayesinf.systems"])
def test_importing_is_light(name):
    assert loaded_by(f"import {name}") == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_help_is_light(script):
    code = f"""
import runpy, sys
sys.argv = [{str(script)!r}, "--help"]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as exit:
    assert not exit.code
else:
    raise AssertionError("the script went on")
"""
    assert loaded_by(code) == []
