"""The documentation: its code blocks run, its notebooks run, its links lead somewhere, it is whole
without the network.

Run by ``make test-docs``; not collected by itself, for its name. One build, which runs all
notebooks, serves the tests of its pages; one report stands beside it, the others are absent.
"""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pandas as pd
import pytest
from blocks import blocks

from bayesinf import systems
from bayesinf.checks import QUESTIONS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("**/*.md"))
NOTEBOOKS = [page for page in PAGES if page.read_text(encoding="utf-8").startswith("---\nfile_f")]
TOLD = [page for page in PAGES if page not in NOTEBOOKS]
REPORTED = "regression"
# What is run of pages, what is shown, and pages whose blocks have a test of their own.
RUN, SHOWN = ("python", "sh"), ("text", "bibtex", "bash")
ELSEWHERE = {"add-a-system.md": "tests/systems/test_add_a_system.py"}
HEADINGS = [
    "What goes in",
    "The model",
    "What comes out",
    "When it is not believed",
    "Try it",
    "Options",
]
pytestmark = pytest.mark.timeout(1800)


def names(pages):
    return [str(page.relative_to(DOCS)) for page in pages]


# --- blocks of code -------------------------------------------------------------------------------


@pytest.fixture
def shell(tmp_path):
    """Runs lines of a shell where ``bayesinf`` and ``python`` are those of the tests."""
    commands = tmp_path / ".bin"
    commands.mkdir()
    for name, words in {"python": "", "bayesinf": "-m bayesinf"}.items():
        script = commands / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        script.chmod(0o755)
    search = os.pathsep.join([str(commands), os.environ["PATH"]])
    env = os.environ | {"PATH": search, "PYTHONPATH": str(ROOT)}

    def run(code):
        done = subprocess.run(
            ["bash", "-e", "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stdout + done.stderr

    return run


def test_every_block_is_run_or_shown_for_a_reason():
    for page in TOLD:
        for language, code in blocks(page):
            known = language in (*RUN, *SHOWN) or language.startswith("{")
            assert known, f"{page.name}: a block of {language!r} is not run:\n{code}"
    for page, test in ELSEWHERE.items():
        assert page in (ROOT / test).read_text(encoding="utf-8")


WITH_CODE = [
    page
    for page in TOLD
    if page.name not in ELSEWHERE and any(language in RUN for language, _ in blocks(page))
]


@pytest.mark.parametrize("page", WITH_CODE, ids=names(WITH_CODE))
def test_its_blocks_run_as_they_stand(page, shell, tmp_path, monkeypatch):
    """In their order, in a folder that holds data/ as a clone does."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(ROOT / "data")
    space = {"__name__": "page"}
    for language, code in blocks(page):
        if language == "sh":
            shell(code)
        elif language == "python":
            exec(compile(code, str(page), "exec"), space)


def test_each_workflow_has_its_page_of_one_form():
    pages = {page.stem: page for page in (DOCS / "workflows").glob("*.md")}
    assert set(pages) == {"index", *systems.names()}
    for name in systems.names():
        text = pages[name].read_text(encoding="utf-8")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS, name
        for directive in ("report", "priors", "faults", "options"):
            assert f":::{{{directive}}} {name}\n" in text


# --- what pages take from the package, and what they say of it ----------------------------------


@pytest.fixture(scope="session")
def extension():
    """The parts of ``docs/extension``."""
    pytest.importorskip("sphinx", reason="the documentation needs its extra")
    sys.path.insert(0, str(DOCS))
    return lambda name: import_module(f"extension.{name}")


def test_every_question_has_a_fit_that_passes_and_one_that_fails(extension):
    examples = extension("examples").EXAMPLES
    assert list(examples) == list(QUESTIONS)
    for name, made in examples.items():
        passing, failing = (list(QUESTIONS[name](fit)) for fit in made())
        assert passing and all(check.passed for check in passing), name
        assert not all(check.passed for check in failing), name


def test_the_questions_of_families_are_found(extension):
    found = {question.name for question in extension("verdicts").declared()}
    assert found > {"box", "grid", "true curve", "history", "optimum", "reweighting sample"}


def test_docstrings_become_sections(extension):
    told = extension("docstrings").told
    lines = ["Draw |x|.", "", "    y = a * x", "", "Parameters", "----------", "x : where, *any*."]
    assert told(lines) == [
        *["Draw \\|x\\|.", "", "::", "", "    y = a * x", "", "Parameters", "----------"],
        *["x", "    Where, \\*any\\*."],
    ]


def test_benchmarks_that_are_told_are_there():
    text = (DOCS / "results" / "benchmarks.md").read_text(encoding="utf-8")
    told = re.findall(r"`python (benchmarks/\w+\.py)(?: --case (\w+))?`", text)
    assert len(told) > 10
    for script, case in told:
        assert f"def {case}(" in (ROOT / script).read_text(encoding="utf-8") or not case


def test_every_system_is_calibrated_with_data_sets_enough():
    table = pd.read_csv(DOCS / "results" / "calibration.csv")
    assert {command.split()[2] for command in table["command"]} >= set(systems.names())
    assert (table["replications"] + table["failed"] >= 100).all()


# --- the site -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """All pages, every notebook run, with a report of one workflow and without the others."""
    home = tmp_path_factory.mktemp("docs")
    reports = home / "reports"
    env = os.environ | {"PYTHONPATH": str(ROOT), "BAYESINF_REPORTS": str(reports)}
    script = [sys.executable, "-m", "bayesinf", REPORTED, "--quick"]
    done = subprocess.run(
        [*script, "--output", str(reports / REPORTED)], env=env, capture_output=True, text=True
    )
    assert done.returncode in (0, 3), done.stderr
    words = ["--quiet", "--fail-on-warning", "--keep-going", "-d", str(home / "doctrees")]
    words += ["-D", f"nb_execution_cache_path={home / 'notebooks'}"]
    words += ["-D", "nb_execution_mode=force"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, str(DOCS), str(home / "site")],
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return home / "site"


class Read(HTMLParser):
    """Anchors of a page, its links, and all that it loads by itself."""

    def __init__(self, page):
        super().__init__()
        self.anchors, self.links, self.loads = set(), [], []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors.add(attrs.get("id"))
        if tag == "a" and "href" in attrs:
            self.links.append(attrs["href"])
        elif tag == "link" and attrs.get("rel") not in ("index", "search", "next", "prev"):
            self.loads.append(attrs["href"])
        for name in ("src", "data", "poster"):
            if name in attrs:
                self.loads.append(attrs[name])


@pytest.fixture(scope="session")
def read(site):
    """Each page, read."""
    return {page: Read(page) for page in site.glob("**/*.html") if page.parent.name != "reports"}


def test_links_lead_somewhere(site, read):
    """Into a page of the site and to an anchor of it; others have the form of an address."""
    assert len(read) > 40
    for page, told in read.items():
        for link in told.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                assert parts.scheme == "https" and re.fullmatch(r"[\w.-]+\.\w+", parts.netloc), link
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert target.is_file(), f"{page.relative_to(site)} -> {link}"
            if parts.fragment and target in read:
                assert unquote(parts.fragment) in read[target].anchors, f"{page} -> {link}"


def test_nothing_is_loaded_from_elsewhere(site, read):
    for page, told in read.items():
        for address in told.loads:
            parts = urlsplit(address)
            assert parts.scheme in ("", "data") and not parts.netloc, f"{page}: {address}"
            if not parts.scheme:
                assert (page.parent / unquote(parts.path)).is_file(), f"{page}: {address}"
    for sheet in site.glob("**/*.css"):
        text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", text), sheet


def test_a_report_is_shown_where_there_is_one(site):
    told = (site / "workflows" / f"{REPORTED}.html").read_text(encoding="utf-8")
    assert f'href="../reports/{REPORTED}.html"' in told and "Priors of" in told
    assert (site / "reports" / f"{REPORTED}.html").is_file()
    bare = (site / "workflows" / "kuramoto.html").read_text(encoding="utf-8")
    assert "reports/kuramoto.html" not in bare and "makes its report" in bare


def test_the_public_surface_is_in_the_reference(read, site):
    import bayesinf

    anchors = set().union(
        *(told.anchors for page, told in read.items() if "reference" in page.parts)
    )
    ends = {anchor.rpartition(".")[2] for anchor in anchors if anchor}
    homes = ["models.curve", "models.gp", "models.linear", "checks", "priors", "posterior"]
    for home in [bayesinf, *(import_module(f"bayesinf.{home}") for home in homes)]:
        for name in home.__all__:
            if callable(getattr(home, name)):
                assert name in ends, f"{home.__name__}.{name}"


def test_a_browser_loads_it_without_a_network(site):
    """No complaint, nothing asked of a server, nothing wider than a screen or a phone."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    options.add_argument("--disable-background-networking")
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    asked = "return performance.getEntriesByType('resource').map(e => e.name)"
    width = "return [document.documentElement.scrollWidth, window.innerWidth]"
    try:
        for page in sorted(site.glob("**/*.html")):
            if page.parent.name == "reports":
                continue
            for wide in (1280, 390):
                browser.execute_cdp_cmd(
                    "Emulation.setDeviceMetricsOverride",
                    {"width": wide, "height": 900, "deviceScaleFactor": 1, "mobile": wide < 600},
                )
                browser.get(page.as_uri())
                assert all(n.startswith(("file:", "data:")) for n in browser.execute_script(asked))
                needed, given = browser.execute_script(width)
                assert needed <= given, f"{page.relative_to(site)}: {needed} > {given} pixels"
            assert not browser.get_log("browser"), page
    finally:
        browser.quit()
