"""What a user meets first: the map of the package, its types, and what prints itself."""

import ast
import inspect
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from straight_line import fit

import bayesinf
from bayesinf.checks import Check, Verdict

PACKAGE = Path(bayesinf.__file__).parent
ROOMS = [name for name in dir(bayesinf) if inspect.ismodule(getattr(bayesinf, name))]
MODULES = sorted(PACKAGE.rglob("*.py"))


def names_of(source):
    """What ``__all__`` of a module holds, and what it defines or imports at its top."""
    said, held, own = None, set(), set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign):
            targets = {t.id for t in ast.walk(node) if isinstance(t, ast.Name)}
            held |= targets
            if "__all__" in targets:
                said = node.value
        elif isinstance(node, ast.AnnAssign):
            held.add(node.target.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            held.add(node.name)
            own.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            held |= {alias.asname or alias.name for alias in node.names}
    return said, held, {name for name in own if not name.startswith("_")}


def test_each_module_says_what_it_offers():
    for path in set(MODULES) - {PACKAGE / "__init__.py"}:
        said, held, own = names_of(path.read_text())
        assert said is not None or not own, path
        offered = [] if said is None else ast.literal_eval(said)
        assert len(set(offered)) == len(offered), path
        assert set(offered) <= held | {each.stem for each in path.parent.iterdir()}, path


def test_the_map_shows_functions_families_and_rooms():
    assert {"fit", "check", "summary", "load", "save", "Verdict", "Settings"} <= set(dir(bayesinf))
    assert {"linear", "curve", "gp", "binary", "pairwise", "logistic", "density"} <= set(ROOMS)
    assert all(getattr(bayesinf, name) is not None for name in dir(bayesinf))
    assert bayesinf.__version__ == version("bayesinf")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = bayesinf.nothing


def test_type_checkers_see_the_same_map():
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text())
    seen = {"__version__"}
    for node in stub.body:
        if isinstance(node, ast.ImportFrom):
            (alias,) = node.names
            assert alias.asname == alias.name, "a name is exported by 'as'"
            seen.add(alias.name)
            home = bayesinf._NAMES.get(alias.name) or bayesinf._ROOMS[alias.name]
            parts = ["bayesinf", *home.split(".")]
            assert node.module == ".".join(parts[:-1] if alias.name in bayesinf._ROOMS else parts)
    assert seen == set(dir(bayesinf))
    assert (PACKAGE / "py.typed").exists()


@pytest.mark.parametrize("room", ["bayesinf", *ROOMS])
def test_signatures_are_typed(room):
    module = bayesinf if room == "bayesinf" else getattr(bayesinf, room)
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isfunction(thing) and thing.__module__.startswith("bayesinf"):
            signature = inspect.signature(thing)
            bare = [p.name for p in signature.parameters.values() if p.annotation is p.empty]
            assert not bare, f"{room}.{name} of {bare}"
            assert signature.return_annotation is not signature.empty, f"{room}.{name}"


@pytest.mark.parametrize("family", ["linear", "curve", "gp", "pairwise", "logistic", "density"])
def test_every_family_fits_and_predicts(family):
    assert {"fit", "predict"} <= set(getattr(bayesinf, family).__all__)


def check(passed, message="the <chains> mix"):
    return Check("R-hat", 1.0, "≤ 1.01", passed, True, message, "draw more")


def test_a_verdict_says_its_words():
    good, bad = Verdict("nuts", (check(True),)), Verdict("nuts", (check(False),))
    assert repr(good) == str(good) == good.words
    assert repr(bad).startswith("Do not believe yet")
    shown = bad._repr_html_()
    assert "the &lt;chains&gt; mix" in shown and "✗" in shown and "<chains>" not in shown
    assert "✓" in good._repr_html_() and "#00875F" in good._repr_html_()


def test_a_summary_leads_with_the_answer():
    found = fit()
    said = bayesinf.summary(found)
    lines = repr(said).splitlines()
    assert lines[0].split()[:2] == ["parameter", "estimate"]
    row = next(line for line in lines if "slope" in line)
    mean = float(found["posterior"]["slope"].mean())
    assert float(row.split()[1]) == pytest.approx(mean, rel=0.01)
    assert str(bayesinf.check(found)) in repr(said)
    assert said.verdict.believed == bayesinf.check(found).believed
    assert "<table" in said._repr_html_() and said.verdict.words.split(".")[0] in said._repr_html_()


def test_a_figure_shows_itself():
    figure, axis = bayesinf.figures.canvas()
    axis.plot(np.arange(3))
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_importing_all_systems_brings_nothing_heavy():
    """0.15 s of processor time beyond NumPy's, where SciPy's parts would bring 0.2 to 0.7 more."""
    script = "import sys\nfrom bayesinf.systems import names, system\n"
    script += "for name in names():\n    system(name)\n"
    script += (
        "heavy = 'numba pandas xarray matplotlib joblib arviz_stats pymc lmfit sklearn'.split()\n"
    )
    script += "heavy += [f'scipy.{part}' for part in 'linalg special optimize stats'.split()]\n"
    script += "print(*(name for name in heavy if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
