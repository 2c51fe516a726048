"""Files of others are data: whatever they hold, a page, a table and a terminal only show it."""

import json
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from straight_line import fit

import bayesinf
from bayesinf import report
from bayesinf.errors import DataError

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
HARMLESS = {
    "src": ("data:image/png;base64,", "./"),
    "href": ("#", "figures/", "./", "summary.csv", "verdict.json", "posterior.nc", "gibbs.nc"),
}


class Page(HTMLParser):
    """Refuses a script, a handler, and an address that leaves the folder."""

    def handle_starttag(self, tag, attributes):
        assert tag not in ("script", "iframe", "object", "embed", "base", "link", "form"), tag
        for name, value in attributes:
            assert not name.startswith("on"), (tag, name)
            if name in HARMLESS:
                assert value.startswith(HARMLESS[name]), (tag, value)


def harmless(path):
    Page().feed(path.read_text(encoding="utf-8"))


def attribute(name, value):
    def change(tree):
        tree.attrs[name] = value
        return tree

    return change


def renamed(to):
    def change(tree):
        groups = {path: node.to_dataset() for path, node in tree.children.items()}
        for path in ("posterior", "prior"):
            groups[path] = groups[path].rename({"slope": to})
        new = type(tree).from_dict(groups)
        new.attrs = tree.attrs | {"quantities": json.dumps([to])}
        return new

    return change


def group(path, change):
    def apply(tree):
        tree = tree.copy(deep=True)
        tree[path] = type(tree)(change(tree[path].to_dataset()))
        return tree

    return apply


def units(value):
    def change(tree):
        tree["posterior"]["slope"].attrs["units"] = value
        return tree

    return change


def several(*changes):
    def change(tree):
        for each in changes:
            tree = each(tree)
        return tree

    return change


HARMLESS_FILES = {
    "mark-up": several(
        attribute("model", SCRIPT),
        attribute("system", IMAGE),
        attribute("equation", rf"\text{{{SCRIPT}}}"),
        attribute("priors", json.dumps({"slope": SCRIPT})),
        attribute("not_asked", json.dumps({SCRIPT: IMAGE})),
        attribute("library_versions", json.dumps({"numpy": SCRIPT, IMAGE: SCRIPT})),
        *(attribute(name, IMAGE) for name in ("created_at", "git_commit", "why", "plan", "method")),
        group("posterior", lambda d: d.assign_coords(chain=[SCRIPT] * d.sizes["chain"])),
        units(SCRIPT),
    ),
    "handlers": several(
        attribute("equation", r"\text{<img src=x onerror=alert(1)>}"),
        attribute("model", "\x1b[2J\x1b]0;owned\x07 \u202etxt"),
        renamed(IMAGE),
    ),
    "mathtext and links": several(
        attribute("equation", r"\href{javascript:alert(1)}{x}"),
        units(r"$\undefined{"),
        renamed(r"$\frac{"),
    ),
    "formulas": several(
        attribute("equation", r"\frac{"), units("@SUM(A1)"), renamed('=cmd|" C calc"!A0')
    ),
}
REFUSED_FILES = {
    "units that are an array": units(np.array([1.0, 2.0])),
    "quantities that are no JSON": attribute("quantities", "[slope"),
    "quantities that are not there": attribute("quantities", '["absent"]'),
    "quantities of another kind": attribute("quantities", '[{"a": 1}]'),
    "priors of another kind": attribute("priors", "7"),
    "settings of another kind": attribute("settings", "[]"),
    "settings without end": attribute("settings", "[" * 50_000),
    "an inference of another kind": attribute("inference", SCRIPT),
    "an inference that is a number": attribute("inference", 7),
    "a model that is an array": attribute("model", np.array([1.0, 2.0])),
    "an equation that is an array": attribute("equation", np.array([1.0, 2.0])),
    "a time that is an array": attribute("elapsed_seconds", np.array([1.0, 2.0])),
    "priors that are no words": attribute("priors", json.dumps({"slope": {"a": [1]}})),
    "no quantities": attribute("quantities", "[]"),
    "a unit without end": units("V" * 100_000),
    "draws of text": group("posterior", lambda d: d.astype(str)),
    "draws that are complex": group("posterior", lambda d: d * 1j),
    "no draws": group("posterior", lambda d: d.isel(draw=slice(0, 0))),
    "no chains": group("posterior", lambda d: d.isel(chain=0, drop=True)),
    "no variables": group("posterior", lambda d: d.drop_vars(list(d.data_vars))),
    "statistics of text": group("sample_stats", lambda d: d.astype(str)),
    "replicas of other data": group("posterior_predictive", lambda d: d.isel(point=slice(0, 3))),
    "a truth that is text": group("constant_data", lambda d: d.assign({"truth.slope": "evil"})),
}


@pytest.mark.parametrize("what", HARMLESS_FILES)
def test_a_hostile_file_is_shown_and_harmless(what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree = HARMLESS_FILES[what](fit().copy(deep=True))
    posterior = bayesinf.load(bayesinf.save(tree, tmp_path / "a.nc"))
    bayesinf.write_report(posterior, tmp_path / "page")
    bayesinf.retell(tmp_path / "page")
    harmless(tmp_path / "page" / "index.html")
    table = pd.read_csv(tmp_path / "page" / "summary.csv")
    cells = [*table["variable"], *table["units"].astype(str)]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nc", "page"]


@pytest.mark.parametrize("what", REFUSED_FILES)
def test_a_file_of_strange_attributes_is_refused(what, tmp_path):
    tree = REFUSED_FILES[what](fit().copy(deep=True))
    path = bayesinf.save(tree, tmp_path / "a.nc")
    with pytest.raises(DataError) as caught:
        bayesinf.check(bayesinf.load(path))
    assert str(caught.value).isprintable() and len(str(caught.value)) <= 400


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_draws_that_no_figure_shows_are_no_report(value, tmp_path):
    tree = fit().copy(deep=True)
    tree["posterior"]["slope"][0, 3] = value
    with pytest.raises(DataError, match=r"posterior, slope: the draws hold NaN or infinity"):
        bayesinf.write_report(tree, tmp_path / "page")
    assert not list(tmp_path.iterdir())


GOOD = {
    "title": "A wire",
    "question": "What?",
    "believed": True,
    "words": "Believed.",
    "picture": "figures/line.png",
    "alt": "A line.",
}


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"title": SCRIPT, "alt": IMAGE, "words": IMAGE}, True),
        ({"picture": "javascript:alert(1)"}, True),  # a file of that name, beside the page
        ({"picture": 'x" onerror="alert(1)'}, True),
        ({"picture": "//host/x.png"}, False),
        ({"picture": "../../secret.png"}, False),
        ({"picture": "/etc/hostname"}, False),
        ({"picture": ["a"]}, False),
        ({"title": {"a": 1}}, False),
        ({"believed": "yes"}, False),
        ({"words": None}, False),
    ],
)
def test_the_gallery_shows_a_strange_verdict_or_names_it(changes, shown, tmp_path):
    home = tmp_path / "javascript:alert(1)"
    home.mkdir()
    (home / "verdict.json").write_text(json.dumps(GOOD | changes))
    page = report.gallery(tmp_path)
    harmless(page)
    text = page.read_text(encoding="utf-8")
    assert ("Left out" not in text) == shown
    assert shown or "javascript:alert(1): no readable verdict.json" in text


@pytest.mark.parametrize("text", ["[]", "7", "null", '"a"', "[" * 100_000, "\x00", "{"])
def test_a_verdict_that_is_none_is_left_out(text, tmp_path):
    (tmp_path / "wire").mkdir()
    (tmp_path / "wire" / "verdict.json").write_text(text)
    assert "wire: no readable verdict.json" in report.gallery(tmp_path).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "fits",
    [{"../secret": {}}, {"/etc/hostname": {}}, {"javascript:alert(1)": {}}, {".hidden": {}}, {}, 7],
)
def test_a_verdict_reaches_no_file_outside(fits, tmp_path):
    (tmp_path / "verdict.json").write_text(json.dumps({"command": "python a.py", "fits": fits}))
    with pytest.raises(DataError, match="no report to tell again"):
        bayesinf.retell(tmp_path)


def test_fits_of_two_runs_are_told_apart(tmp_path):
    for name, seed in (("one", 1), ("other", 2)):
        bayesinf.write_report(fit(seed=seed), tmp_path / name)
    (tmp_path / "one" / "posterior.nc").write_bytes(
        (tmp_path / "other" / "posterior.nc").read_bytes()
    )
    with pytest.raises(DataError, match="mixes files of several runs"):
        bayesinf.retell(tmp_path / "one")
