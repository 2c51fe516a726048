"""Every script in workflows/, run as a user runs it: what it leaves, and what it refuses.

Each runs with ``--quick`` and few draws; ``make test-reports`` runs each as its report is shipped,
and that report must be believed. Nothing here names a script but ``OPTIONS``, and the contract of
file and variable names at the end, so a new one is tested by being there. Those that are asked for
start together, two at a time, and each test waits for its own: ``pytest -k NAME`` starts that one.
"""

import inspect
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from blocks import python_blocks
from matplotlib.image import imread

import bayesinf
from bayesinf import report
from bayesinf.posterior import PROVENANCE, REQUIRED_GROUPS
from bayesinf.settings import DEFAULT

ROOT = Path(__file__).resolve().parents[2]
# What runs on no data of its own is tested in tests/unit: test_trials.py, test_compare.py.
SCRIPTS = {
    path.stem: path
    for path in sorted((ROOT / "workflows").glob("*.py"))
    if path.stem not in ("compare", "trials")
}
READERS = [
    name
    for name, path in SCRIPTS.items()
    if "data" in inspect.signature(runpy.run_path(str(path))["main"]).parameters
]
MOST_BYTES = 5_000_000
MANY_FITS = ("gaussian_peaks", "ising_couplings", "lennard_jones", "mackey_glass")

WHOLE = "BAYESINF_WHOLE" in os.environ
# Whose default would take too long, and whose answer is then only a look.
OPTIONS = {"calibrate": ("boltzmann_equilibrium", "--replications", "15", "--seed", "3")}
SHIPPED = [name for name in SCRIPTS if name not in OPTIONS]
if not WHOLE:
    OPTIONS |= dict.fromkeys(SHIPPED, ("--quick", "--draws", "50", "--tune", "100"))
    # To try up to six takes 10 s, and is tested in tests/systems.
    OPTIONS["spectral_analysis"] += ("--harmonics", "2")

every = pytest.mark.parametrize("name", SCRIPTS)
pytestmark = pytest.mark.timeout(900)


def start(name, *arguments, cwd):
    """Run a script in a folder of its own."""
    command = [sys.executable, str(SCRIPTS[name]), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600)


# Runs scripts with arguments in turn, each in a folder: hundreds of starts cost what one costs.
IN_TURN = """
import contextlib, io, json, os, runpy, sys
answers = []
for script, folder, arguments in json.load(sys.stdin):
    os.chdir(folder)
    sys.argv[:], said, complained = [script, *arguments], io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
        try:
            runpy.run_path(script, run_name="__main__")
            status = 0
        except SystemExit as ended:
            status = ended.code
    answers.append([status, said.getvalue(), complained.getvalue()])
print(json.dumps(answers))
"""


@pytest.fixture(scope="session")
def refused(request, tmp_path_factory):
    """Test and script to a folder, lists of arguments, and exit status, output and complaints.

    All that the tests selected here want is asked of one process.
    """
    asked, jobs = {}, []
    for item in request.session.items:
        if item.path == Path(__file__) and "refused" in item.fixturenames:
            name = item.callspec.params["name"]
            folder = tmp_path_factory.mktemp(name)
            lists = WRONG[item.originalname](folder)
            asked[item.originalname, name] = folder, lists
            jobs += [(str(SCRIPTS[name]), str(folder), arguments) for arguments in lists]
    command = [sys.executable, "-X", "faulthandler", "-c", IN_TURN]
    done = subprocess.run(
        command, input=json.dumps(jobs), capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    answers = iter(json.loads(done.stdout))
    return {
        key: (folder, [(one, next(answers)) for one in lists])
        for key, (folder, lists) in asked.items()
    }


@pytest.fixture(scope="session")
def runs(request, tmp_path_factory):
    """Name to what its script returned, and to the reports that it wrote."""

    def run(name):
        folder = tmp_path_factory.mktemp(name)
        done = start(name, *OPTIONS.get(name, ()), cwd=folder)
        assert done.returncode in (0, 3), done.stderr
        found = sorted((folder / "reports").iterdir())
        assert found and not [path.name for path in found if path.name.startswith(".")]
        return done, found

    tmp_path_factory.getbasetemp()  # made here, for two threads would both make it
    with ThreadPoolExecutor(2) as pool:
        jobs = {}

        def job(name):
            if name not in jobs:
                jobs[name] = pool.submit(run, name)
            return jobs[name]

        for name in asked_for(request.session):
            job(name)
        yield lambda name: job(name).result()


def asked_for(session):
    """Names of the scripts whose runs the tests selected here will want."""
    return [
        item.callspec.params["name"]
        for item in session.items
        if item.path == Path(__file__) and "runs" in item.fixturenames and hasattr(item, "callspec")
    ]


@every
def test_it_ends_well_and_says_where_and_how_long(runs, name):
    done, reports = runs(name)
    assert "Warning" not in done.stderr and "Traceback" not in done.stderr
    for folder in reports:
        assert str(Path("reports", folder.name, "index.html")) in done.stdout
    assert "Time: " in done.stdout
    believed = [json.loads((folder / "verdict.json").read_text())["believed"] for folder in reports]
    assert done.returncode == (0 if all(believed) else 3)
    assert ("NOT BELIEVED" in done.stdout) == (not all(believed))


@pytest.mark.skipif(not WHOLE, reason="a short run is a look: make test-reports")
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_report_is_believed(runs, name):
    """The fit that carries the answer is; one beside it may fail, and is then named."""
    done, (folder,) = runs(name)
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["believed"], verdict["fits"][verdict["answer"]]["words"]
    distrusted = [name for name, fit in verdict["fits"].items() if not fit["believed"]]
    assert all(name in verdict["words"] for name in distrusted)
    assert done.returncode == 0


@every
def test_each_posterior_is_whole(runs, name):
    """The groups and the provenance are there, and the checks need nothing but the file."""
    for folder in runs(name)[1]:
        verdict = json.loads((folder / "verdict.json").read_text())
        fits = sorted(verdict.get("fits", {}))
        files = {path.stem for path in folder.glob("*.nc")}
        assert set(fits) <= files and files
        for fit in fits:
            tree = bayesinf.load(folder / f"{fit}.nc")
            assert set(REQUIRED_GROUPS) <= set(tree.children)
            assert set(PROVENANCE) <= set(tree.attrs)
            assert tree.attrs["seed"] == (DEFAULT.seed if name in SHIPPED else 3)
            for group, node in tree.children.items():
                for variable, values in node.data_vars.items():
                    assert values.attrs.get("units"), f"{fit}: {group}.{variable} has no units"
                    assert values.size, f"{fit}: {group}.{variable} is empty"
            for values in tree["posterior"].data_vars.values():
                assert values.dims[:2] == ("chain", "draw") and np.isfinite(values).all()
            again = bayesinf.check(tree)
            assert again.to_dict() == verdict["fits"][fit]


@every
def test_each_table_and_verdict_can_be_read(runs, name):
    for folder in runs(name)[1]:
        table = pd.read_csv(folder / "summary.csv")
        assert len(table) and not table.isna().all(axis=None)
        verdict = json.loads((folder / "verdict.json").read_text())
        for key in ("title", "question", "words", "alt", "command"):
            assert verdict[key].strip(), key
        assert " ".join([f"workflows/{name}.py", *OPTIONS.get(name, ())]) in verdict["command"]
        assert (folder / verdict["picture"]).is_file()
        written = json.loads((folder / "files.json").read_text())["files"]
        there = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
        assert there == {*written, "files.json"}
        if "fits" in verdict:
            assert set(table["fit"]) == set(verdict["fits"])
            assert table["units"].notna().all() and np.isfinite(table[["mean", "sd"]]).all(
                axis=None
            )


@every
def test_each_picture_shows_something(runs, name):
    for folder in runs(name)[1]:
        pictures = list(folder.rglob("*.png"))
        assert pictures
        for path in pictures:
            pixels = imread(path)
            height, width = (200, 600) if WHOLE else (130, 400)  # a look is drawn coarser
            assert pixels.shape[0] >= height and pixels.shape[1] >= width, path.name
            assert np.ptp(pixels[..., :3]) > 0.5, f"{path.name} is blank"


class Page(HTMLParser):
    """Attributes of every element that could fetch something, and the text."""

    def __init__(self, path):
        super().__init__()
        self.images, self.tags, self.addresses, self.text = [], set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.add(tag)
        self.addresses += [attrs[key] for key in ("src", "href", "srcset", "data") if key in attrs]
        if tag == "img":
            self.images.append(attrs)

    def handle_data(self, data):
        self.text.append(data)


@every
def test_each_page_stands_alone(runs, name):
    for folder in runs(name)[1]:
        path = folder / "index.html"
        assert path.stat().st_size < MOST_BYTES
        page = Page(path)
        assert page.images and not {"script", "link", "iframe"} & page.tags
        for image in page.images:
            assert image["alt"].strip() and image["src"].startswith("data:image/png;base64,")
        for address in page.addresses:  # nothing is fetched; links lead to files beside the page
            own = address.startswith(("data:", "#")) or (folder / address).is_file()
            assert own, address[:80]
        text = " ".join(" ".join(page.text).split())
        assert json.loads((folder / "verdict.json").read_text())["question"] in text
        assert "nan" not in text.lower().split()


@pytest.mark.parametrize(
    "name",
    # Those of many fits redraw some dozens of figures.
    [pytest.param(n, marks=[pytest.mark.slow] * (n in MANY_FITS)) for n in SCRIPTS],
)
def test_the_story_computes_nothing(runs, name, tmp_path, monkeypatch):
    """The page can be told again from its folder, with all that fits and predicts out of reach."""

    def out_of_reach(*_, **__):
        raise AssertionError("a story tells what stands in the fits, and computes nothing")

    models = "bayesinf.models"
    for place in ("problem.fit", "linear.predict", "gp.predict", "gp.rebuild", "curve.evaluate"):
        monkeypatch.setattr(f"{models}.{place}", out_of_reach)
    if name not in MANY_FITS:  # of these the pictures are compared too
        monkeypatch.setattr("bayesinf.report.page.png", lambda *_: b"")
    for folder in runs(name)[1]:
        verdict = json.loads((folder / "verdict.json").read_text())
        if "fits" not in verdict:
            continue  # a calibration has no story
        copy = tmp_path / folder.name
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("index.html", "figures"))
        bayesinf.retell(copy)
        told, again = (text(one, drawn=name in MANY_FITS) for one in (folder, copy))
        assert told == again


def text(folder, drawn):
    """What a report says, with the bytes of its pictures or without them."""
    page = (folder / "index.html").read_text(encoding="utf-8")
    return page if drawn else re.sub('(?<=;base64,)[^"]*', "", page)


@every
def test_the_gallery_links_each_report(runs, name):
    reports = runs(name)[1]
    page = Page(report.gallery(reports[0].parent))
    for folder in reports:
        assert any(address.startswith(f"./{folder.name}/index.html") for address in page.addresses)
    for image in page.images:
        assert image["alt"].strip() and (reports[0].parent / image["src"]).is_file()


@pytest.mark.slow
def test_the_readme_tells_the_truth(runs, monkeypatch):
    """Its lines of Python run as they stand, on the files that its commands make."""
    (folder,) = runs("ising_couplings")[1]
    monkeypatch.chdir(folder.parents[1])
    found = python_blocks(ROOT / "README.md")
    assert len(found) >= 3
    for block in found:
        exec(block, {})


# --- what is refused ------------------------------------------------------------------------------


def cut(path, share=0.5):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])


def truncated_npz(path):
    np.savez(path, states=np.ones((50, 4)), energies=np.zeros(50), x=np.arange(50.0))
    cut(path)


def truncated_netcdf(path):
    xr.Dataset({"x": ("row", np.arange(500.0)), "y": ("row", np.ones(500))}).to_netcdf(path)
    cut(path)


BAD = {
    "missing.csv": lambda path: None,
    "folder.csv": lambda path: path.mkdir(),
    "empty.csv": lambda path: path.write_text(""),
    "header.csv": lambda path: path.write_text("x,y\n"),
    "holes.csv": lambda path: path.write_text("a,b,energy\n1,-1,0.5\n1,nan,inf\n-1,1,0.5\n" * 9),
    "words.tsv": lambda path: path.write_text("one\ttwo\nthree\tfour\n"),
    "ragged.txt": lambda path: path.write_text("1 2 3\n4 5\n6 7 8\n"),
    "binary.dat": lambda path: path.write_bytes(bytes(range(256))),
    "unknown.xyz": lambda path: path.write_text("1,2\n3,4\n"),
    "truncated.npz": truncated_npz,
    "foreign.npy": lambda path: path.write_bytes(b"PK\x03\x04 not numpy"),
    "foreign.mat": lambda path: path.write_text("not MATLAB"),
    "truncated.nc": truncated_netcdf,
}


def bad_files(folder):
    """Make them, and return the arguments of a script that is to read each."""
    for file, make in BAD.items():
        make(folder / file)
    return [["--quick", "--output", "out", "--data", file] for file in BAD]


WRONG = {
    "test_a_bad_file_is_one_line_and_nothing_written": bad_files,
    "test_bad_usage_is_one_line_and_nothing_written": lambda _: [
        ["--no-such-option"],
        ["--seed", "minus one"],
    ],
}


@pytest.mark.parametrize("name", READERS)
def test_a_bad_file_is_one_line_and_nothing_written(refused, name):
    folder, answers = refused["test_a_bad_file_is_one_line_and_nothing_written", name]
    for (*_, file), (status, said, complained) in answers:
        assert status == 2, (file, complained)
        assert said == "" and complained.startswith("error: "), (file, complained)
        assert complained.count("\n") == 1 and file in complained, complained
    assert len(answers) == len(BAD)
    assert set(os.listdir(folder)) == set(BAD) - {"missing.csv"}


@every
def test_bad_usage_is_one_line_and_nothing_written(refused, name):
    folder, answers = refused["test_bad_usage_is_one_line_and_nothing_written", name]
    for _, (status, said, complained) in answers:
        assert status == 2 and said == ""
        assert complained.startswith("error: ") and complained.count("\n") == 1
    assert len(answers) == 2 and not os.listdir(folder)


# --- names that others rely on --------------------------------------------------------------------

PEAK = {name: ("peak",) for name in ("amplitude", "height", "center", "sigma", "fwhm")}
CURVE = {name: () for name in ("length_scale", "amplitude", "noise")}
CONTRACT = {
    "ising_couplings": {
        "laplace": {"J": ("pair",), "sigma": ()},
        "normal": {"J": ("pair",), "sigma": ()},
        "spike_and_slab": {"J": ("pair",), "sigma": (), "included": ("pair",)},
    },
    "gaussian_peaks": {"laplace": PEAK | {"noise": ()}, "emcee": PEAK | {"noise": ()}},
    "lennard_jones": {
        "zero_mean": CURVE,
        "repulsive_mean": CURVE | {"gamma": (), "r0": ()},
        "learning_curve": {"beta": ("wall",), "nu": ("wall",), "noise": ()},
    },
    "deconvolution": {
        "first_differences": {"signal": ("position",), "level": (), "scale": (), "sigma": ()},
        "squared_exponential": {"signal": ("position",), "length": (), "scale": (), "sigma": ()},
    },
    "spectral_analysis": {
        "period": {"frequency": (), "jitter": (), "amplitude": ("component",), "level": ()},
    },
    "hamiltonian": {
        "paths": {"energy": ("site",), "noise": ("measured",), "start": ("path", "coordinate")},
        "ignored": {"energy": ("site",), "weight": ("term",), "length_scale": ("input",)},
    },
    "kuramoto": {
        "normal": {"K": ("pair",), "alpha": (), "scale": ()}
        | dict.fromkeys(("omega", "sigma"), ("oscillator",)),
    },
    "regression": {
        "normal": {"beta": ("feature",), "intercept": (), "scale": (), "sigma": ()},
        "bayesian_lasso": {"beta": ("feature",), "intercept": (), "scale": (), "sigma": ()},
    },
    "boltzmann_equilibrium": {
        "mle": {"h": ("site",), "J": ("pair",)},
        "posterior": {"h": ("site",), "J": ("pair",), "scale": ()},
    },
    "boltzmann_kinetic": {
        "symmetric": {"h": ("site",), "J": ("target", "source"), "scale": ()},
        "asymmetric": {"h": ("site",), "J": ("target", "source"), "scale": ()},
    },
}


# What a look leaves out, and says so.
LEFT_OUT = {
    "ising_couplings": "normal",
    "lennard_jones": "learning_curve",
    "hamiltonian": "ignored",
}


@pytest.mark.parametrize("name", CONTRACT)
def test_files_and_variables_have_the_names_that_were_promised(runs, name):
    (folder,) = runs(name)[1]
    for stem, variables in CONTRACT[name].items():
        if not WHOLE and stem == LEFT_OUT.get(name):
            assert not (folder / f"{stem}.nc").exists()
            assert (
                "left out"
                in bayesinf.load(folder / f"{next(iter(CONTRACT[name]))}.nc").attrs["look"]
            )
            continue
        fit = bayesinf.load(folder / f"{stem}.nc")["posterior"]
        for variable, dims in variables.items():
            assert fit[variable].dims == ("chain", "draw", *dims)
    if name == "ising_couplings":
        assert {"i", "j"} <= set(fit["J"].coords) and set(np.unique(fit["included"])) <= {0, 1}
