"""The report as a reader meets it: what stands where, and that nothing else is needed."""

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from straight_line import TRUTH, fit
from uncertainties import ufloat

from bayesinf import figures, report
from bayesinf.checks import Check, Verdict, check
from bayesinf.posterior import annotated, dataset, prior_words, save, true_values
from bayesinf.report import sections
from bayesinf.report.page import _table
from bayesinf.workflow import summary

FITS = {"gibbs": fit(), "exact": fit("exact")}
COMMAND = "python workflows/straight_line.py --seed 1"
BAD = Verdict(
    "gibbs",
    (Check("R-hat", 1.2, "≤ 1.01", False, True, "the chains disagree about slope", "run longer"),),
)


@figures.styled
def line(fits, name="line"):
    fig, axis = figures.canvas()
    axis.plot([0, 1], [0, 1], color=figures.COLORS["posterior"])
    return report.Picture(name, fig, "The line's slope is 95 % certain.", f"A line <{name}>.")


def story(fits):
    section = report.Section
    table = report.Table(report.estimates(fits["gibbs"], truth=TRUTH), "Mean and interval.")
    return report.Story(
        "A wire & its resistance",
        "What is the wire's resistance?",
        section("It is 47 V/A", ("Said <b>plainly</b>.",), (line(fits),)),
        section("Slope and offset", tables=(table,)),
        section("Replicas look like data", pictures=(line(fits, "replicas"),)),
        section("Least squares agrees"),
        section("Priors are wide"),
        (section("One more thing"),),
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wire")
    verdicts = {name: check(tree) for name, tree in FITS.items()}
    page = report.write(folder, story(FITS), FITS, verdicts, command=COMMAND)
    for name, tree in FITS.items():
        save(tree, folder / f"{name}.nc")
    summary(FITS).to_csv(folder / "summary.csv")
    return folder, page.read_text(encoding="utf-8"), verdicts


class Reader(HTMLParser):
    """Checks that tags close in order, and keeps texts and images."""

    VOID = ("meta", "img", "link", "br")

    def __init__(self, page):
        super().__init__()
        self.open, self.texts, self.images, self.tags = [], [], [], set()
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and not {"style", "title"} & set(self.open):
            self.texts.append(" ".join(data.split()))


def test_page_is_read_from_the_top(written):
    _, page, verdicts = written
    texts = Reader(page).texts
    required = sum(one.required for one in verdicts["gibbs"].checks)
    answered = "Believed: the fit gibbs, which carries the answer, passed every one of its "
    order = [
        "A wire & its resistance",
        "What is the wire’s resistance?",
        "Said <b>plainly</b>.",
        f"{answered}{required} required checks.",
        "It is 47 V/A",
        "Slope and offset",
        "Replicas look like data",
        "Least squares agrees",
        "Priors are wide",
        "One more thing",
        "Diagnostics",
        "Take it further",
        "Provenance",
    ]
    # The last place of each: the contents name some of them first.
    places = [len(texts) - 1 - texts[::-1].index(text) for text in order]
    assert places == sorted(places)
    assert texts[0] == order[0] and texts.count(order[2]) == 1


def test_links_lead_somewhere(written):
    folder, page, _ = written
    links = re.findall(r'href="([^"]+)"', page)
    places = re.findall(r' id="([^"]+)"', page)
    assert len(places) == len(set(places))
    for link in links:
        assert link[1:] in places if link.startswith("#") else (folder / link).is_file(), link
    assert {"gibbs.nc", "exact.nc", "summary.csv", "verdict.json"} <= set(links)


def test_the_model_stands_as_an_equation(written):
    _, page, _ = written
    assert page.count("<math") == 1 and "&#x003C3;" in page


def test_page_needs_nothing_else(written):
    _, page, _ = written
    reader = Reader(page)
    assert "script" not in reader.tags and "link" not in reader.tags
    page_alone = page.replace('xmlns="http://www.w3.org/1998/Math/MathML"', "")
    assert not re.search(r"https?:|url\(|@import", page_alone)
    assert all(image["src"].startswith("data:image/png;base64,") for image in reader.images)
    assert len(page.encode()) < report.MOST_BYTES
    assert "prefers-color-scheme: dark" in page and "@media print" in page


def test_every_picture_has_alt_text_and_a_file(written):
    folder, page, _ = written
    images = Reader(page).images
    assert all(image["alt"] for image in images)
    files = {path.stem for path in (folder / "figures").glob("*.png")}
    assert files == {"line", "replicas", "diagnostics_gibbs", "diagnostics_exact"}
    assert len(images) == len(files)
    assert (folder / "figures" / "line.png").read_bytes().startswith(b"\x89PNG")


def test_what_a_system_says_is_text_not_markup(written):
    _, page, _ = written
    assert "Said &lt;b&gt;plainly&lt;/b&gt;." in page
    assert "A wire &amp; its resistance" in page
    assert "A line <line>." in [image["alt"] for image in Reader(page).images]


def test_every_check_stands_in_a_table(written):
    _, page, verdicts = written
    texts = Reader(page).texts
    for verdict in verdicts.values():
        for one in verdict.checks:
            assert one.name in texts and one.threshold in texts
    assert texts.count("passed") == sum(c.passed for v in verdicts.values() for c in v.checks)


def test_reload_lines_run_as_they_stand(written, monkeypatch, capsys):
    folder, page, _ = written
    texts = re.findall(r"<pre><code>(.*?)</code></pre>", page, re.S)
    code, command = (text.replace("&#34;", '"') for text in texts)
    assert len(code.splitlines()) == 3
    monkeypatch.chdir(folder)
    exec(code, {})
    shown = capsys.readouterr().out
    assert f"{float(FITS['gibbs']['posterior']['slope'].mean()):.2f}" in shown
    assert command == COMMAND


def test_provenance_is_complete_and_says_equal_things_once(written):
    _, page, _ = written
    texts = Reader(page).texts
    place = texts.index("Provenance")
    rest = texts[place:]
    for key in set(FITS["gibbs"].attrs) - {"equation"}:
        assert key.replace("_", " ") in rest
    assert rest.count(FITS["gibbs"].attrs["data_sha256"]) == 1
    assert "seed 1, draws 500, tune 300, chains 4, prior_draws 500" in rest
    assert rest[rest.index("inference") + 1 :][:2] == ["gibbs", "exact"]


def test_verdict_file_says_what_the_page_says(written):
    folder, _, verdicts = written
    verdict = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    assert verdict["title"] == "A wire & its resistance"
    assert verdict["question"] == "What is the wire's resistance?"
    assert verdict["believed"] is True
    assert verdict["words"].startswith("Believed")
    assert verdict["picture"] == "figures/line.png" and verdict["alt"] == "A line <line>."
    assert verdict["command"] == COMMAND
    assert list(verdict["fits"]) == ["gibbs", "exact"]
    assert len(verdict["fits"]["exact"]["checks"]) == len(verdicts["exact"].checks)


def test_a_failed_check_is_the_first_line(tmp_path):
    verdicts = {"gibbs": BAD, "exact": check(FITS["exact"])}
    page = report.write(tmp_path, story(FITS), FITS, verdicts, command=COMMAND)
    texts = Reader(page.read_text(encoding="utf-8")).texts
    said = "Not to be believed as it stands: a check failed in the fit gibbs, which carries the "
    assert texts[0] == f"{said}answer."
    assert BAD.words in texts
    assert "FAILED" in texts
    explained = texts.index("R-hat:")
    assert texts[explained + 1] == "the chains disagree about slope; run longer."
    assert json.loads((tmp_path / "verdict.json").read_text())["believed"] is False


def test_one_fit_carries_the_answer_and_its_verdict_is_the_page_s(tmp_path):
    """A fit that failed beside the answer is named, and costs the answer nothing."""
    verdicts = {"gibbs": BAD, "exact": check(FITS["exact"])}
    told = replace(story(FITS), best="exact")
    page = report.write(tmp_path, told, FITS, verdicts, command=COMMAND).read_text("utf-8")
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert verdict["believed"] is True and verdict["answer"] == "exact"
    assert verdict["words"].endswith("beside it a check failed in gibbs.")
    assert 'bayesinf.load("exact.nc")' in page.replace("&#34;", '"')
    assert 'role="alert"' not in page
    first, why = report.beside(verdicts, "exact").splitlines()
    assert first == "Answered by exact; beside it gibbs (not believed)."
    assert why == f"  gibbs: {BAD.words}"


def test_a_look_is_no_result_and_draws_diagnostics_of_the_answer_alone(tmp_path, written):
    fits = {name: tree.copy() for name, tree in FITS.items()}
    for tree in fits.values():
        tree.attrs["look"] = "half of it is read"
    page = report.write(tmp_path, story(fits), fits, written[2], command=COMMAND)
    assert "A look (--quick), not a result: half of it is read." in page.read_text("utf-8")
    drawn = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert drawn == {"line", "replicas", "diagnostics_gibbs"}


def test_two_pictures_of_one_name_are_refused(tmp_path):
    same = replace(story(FITS), priors=report.Section("Again", pictures=(line(FITS),)))
    with pytest.raises(ValueError, match="share a name"):
        report.write(tmp_path, same, FITS, {}, command=COMMAND)
    assert not list(tmp_path.iterdir())


def test_few_words_keep_their_colour_beside_a_heat_map():
    """A picture has 256 colours, and none of those that stand for something is lost among many."""
    figure, (left, right) = figures.canvas(1, 2)
    left.imshow(np.random.default_rng(2).normal(size=(40, 40)), cmap="RdBu_r")
    for k, color in enumerate(figures.COLORS.values()):
        right.text(0.1, 0.1 + 0.12 * k, "l", color=color, fontsize=9)
    seen = imread(io.BytesIO(report.png(figure)))[..., :3].reshape(-1, 3)
    assert 200 < len(np.unique(seen, axis=0)) <= 256
    for name, color in figures.COLORS.items():
        apart = np.abs(seen - to_rgb(color)).max(axis=1)
        assert apart.min() < 10 / 255, name


def test_a_heavy_page_is_drawn_coarser(tmp_path, written, monkeypatch):
    _, page, verdicts = written
    monkeypatch.setattr(report.page, "MOST_BYTES", int(0.8 * len(page.encode())))
    lighter = report.write(tmp_path, story(FITS), FITS, verdicts, command=COMMAND)
    assert lighter.stat().st_size < report.MOST_BYTES


@pytest.mark.parametrize(
    ("mean", "sd", "text"),
    [
        (67.48132, 0.10517, "67.481 ± 0.105"),
        (67.48132, 0.42, "67.48 ± 0.42"),
        (-1.00004, 0.0032, "−1.0000 ± 0.0032"),
        (0.0, 0.25, "0.00 ± 0.25"),
        (-0.0004, 0.25, "0.00 ± 0.25"),
        (12345.678, 1234.0, "12350 ± 1230"),
        (3.0, 99.6, "3 ± 100"),
        (1.23456e-9, 1.2e-11, "(1.2346 ± 0.0120) × 10⁻⁹"),
        (-4.2e12, 3e11, "(−4.20 ± 0.30) × 10¹²"),
        (98.7784, 0.0, "98.7784"),
        (-1.0, 1.234e-11, "−1.0000000000000 ± 1.2 × 10⁻¹¹"),
        (1.5, None, "1.5"),
        (1.5, float("nan"), "1.5"),
        (float("nan"), 1.0, "–"),
    ],
)
def test_number_stops_where_its_uncertainty_begins(mean, sd, text):
    assert report.number(mean, sd) == text


def test_a_skewed_marginal_is_told_by_its_median():
    rng = np.random.default_rng(2)
    normal = 3.0 + 0.2 * rng.standard_normal(4000)
    assert report.described(normal) == report.number(float(normal.mean()), float(normal.std()))
    # Quantiles of the exponential at 15.9, 50 and 84.1 %: 0.173, 0.693, 1.841.
    exact = -np.log1p(-(np.arange(100_000) + 0.5) / 100_000)
    assert report.described(exact) == "0.69 +1.15 −0.52"
    assert report.described(np.full(10, 2.0)) == "2"
    assert "× 10¹²" in report.described(1e12 * rng.exponential(1.0, 4000))


def test_heavy_tails_are_told_by_quantiles_and_the_interval_has_their_digits():
    # Quantiles of Cauchy's distribution at 15.9, 50 and 84.1 %: −1.84, 0, 1.84; its sd is anything.
    draws = np.tan(np.pi * ((np.arange(100_000) + 0.5) / 100_000 - 0.5))
    row = report.numbers.estimate(draws, "1")
    assert draws.std() > 100
    assert row["estimate"] == "0.00 +1.84 −1.84" and row["95 % interval"] == "−12.70 to 12.70"


@pytest.mark.parametrize(
    ("value", "sd", "text"),
    [
        (8.1e-17, 0.0089, "0.0000"),
        (47.0, 0.05, "47"),
        (0.109283, 0.0085, "0.1093"),
        (3.5, 0, "3.5"),
    ],
)
def test_a_known_value_has_no_more_digits_than_the_estimate_beside_it(value, sd, text):
    assert report.exact(value, sd) == text


def test_a_difference_has_a_sign_unless_it_is_nothing():
    assert [report.signed(x, 2) for x in (-0.42, 0.12, -0.004)] == ["−0.42", "+0.12", "0.00"]


def test_digits_are_those_of_uncertainties():
    """The library of the field rounds alike, at three digits where the first is a 1."""
    rng = np.random.default_rng(6)
    for _ in range(100):
        sd = 10 ** rng.uniform(-3, 2)
        mean = rng.normal(0, 100)
        if float(f"{sd:e}"[:4]) > 9.9:  # carries to a digit more, which we keep
            continue
        digits = 3 if f"{sd:e}"[0] == "1" else 2
        value = f"{ufloat(mean, sd):.{digits}uf}".replace("+/-", " ± ").replace("-", "−")
        assert report.number(mean, sd) == value


def test_how_well_error_bars_are_met_stands_with_the_numbers(tmp_path):
    tree, bare = fit().copy(), report.goodness(fit())
    assert bare.startswith("Residuals s = ") and " V (n = 30, ν = 2" in bare
    stats = tree["sample_stats"].dataset
    met = stats.assign(observations=40, degrees_of_freedom=38.0, chi_square=39.9)
    tree["sample_stats"] = xr.DataTree(met)
    said = "χ²_red = χ²/ν = 1.05 (χ² = 39.9, n = 40, ν = 38)."
    assert report.goodness(tree) == said
    tree["sample_stats"] = xr.DataTree(met.assign(chi_square=76.0))
    assert report.goodness(tree) == "χ²_red = χ²/ν = 2.00 (χ² = 76, n = 40, ν = 38)."
    tree["sample_stats"] = xr.DataTree(stats.drop_vars("degrees_of_freedom"))
    assert report.goodness(tree) == ""
    tree["sample_stats"] = xr.DataTree(met)
    page = report.write(tmp_path, story(FITS), {"gibbs": tree}, {"gibbs": BAD}, command=COMMAND)
    assert said in Reader(page.read_text("utf-8")).texts


def test_the_terminal_is_told_what_follows_first_and_no_places_of_a_curve():
    tree = fit().copy(deep=True)
    draws = np.random.default_rng(1).normal(size=(4, 500, 40)) + 50
    place = {"position": np.linspace(0, 1, 40)}
    field = dataset({"signal": draws}, {"signal": ("position",)}, place)
    tree["posterior"] = tree["posterior"].dataset.merge(field)
    height = field["signal"].max("position").assign_attrs(units="K")
    table = report.brief(tree, {"height": height})
    assert list(table.index) == ["height", "slope", "offset", "noise", "… 40 more in summary.csv"]
    assert table.loc["height", "unit"] == "K"
    assert report.quantity(height) == f"({table.loc['height', 'estimate']}) K"


def test_number_is_right_to_a_twentieth_of_its_uncertainty():
    rng = np.random.default_rng(3)
    for _ in range(300):
        sd = 10 ** rng.uniform(-12, 12)
        mean = sd * rng.normal() * 10 ** rng.uniform(0, 3)
        text = report.number(mean, sd).replace("−", "-")
        body, _, power = text.replace("(", "").replace(")", "").partition(" × 10")
        power = power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
        read = [float(part) * 10.0 ** int(power or 0) for part in body.split(" ± ")]
        assert read[0] == pytest.approx(mean, abs=0.051 * sd)
        assert read[1] == pytest.approx(sd, rel=0.051)


def test_interval_shares_the_digits_of_the_uncertainty():
    assert report.interval(67.2761, 67.6862, 0.105) == "67.276 to 67.686"
    assert report.interval(-1.2e-9, 3.4e-9, 1e-9) == "(−1.20 to 3.40) × 10⁻⁹"
    assert report.interval(2.0, 2.0, 0.0) == "2 to 2"


def test_estimates_are_the_moments_of_the_draws():
    table = report.estimates(FITS["gibbs"], ["slope", "offset"], {"slope": 47.0})
    slope = FITS["gibbs"]["posterior"]["slope"]
    assert table.loc["slope", "estimate"] == report.number(float(slope.mean()), float(slope.std()))
    low, high = map(float, table.loc["slope", "95 % interval"].split(" to "))
    assert np.mean((slope > low) & (slope < high)) == pytest.approx(0.95, abs=0.01)
    assert list(table["unit"]) == ["V/A", "V"]
    assert list(table["truth"]) == ["47", ""]


def test_table_cells_are_written_for_people():
    frame = pd.DataFrame(
        {
            "name": ["a", "b"],
            "x": [1.23456e-9, np.nan],
            "n": [3, -4],
            "sure": [True, False],
            "value": ["1.0 ± 0.1", "(2 ± 1) × 10⁹"],
        }
    )
    content = _table(frame)
    assert [[cell for cell, _ in row] for row in content["rows"]] == [
        ["a", "1.235 × 10⁻⁹", "3", "yes", "1.0 ± 0.1"],
        ["b", "–", "−4", "no", "(2 ± 1) × 10⁹"],
    ]
    assert [numeric for _, numeric in content["head"]] == [False, True, True, False, True]
    assert not content["labelled"]
    named = _table(frame.set_index("name"))
    assert named["labelled"] and named["head"][0] == ("name", False)


def test_gallery_shows_each_report_and_says_what_it_left_out(written, tmp_path):
    folder, _, _ = written
    good = (folder / "verdict.json").read_text(encoding="utf-8")
    bad = json.dumps(json.loads(good) | {"believed": False, "words": "Not to be believed."})
    for name, text in (
        ("wire", good),
        ("second", bad),
        ("torn", good[:50]),
        ("old", "{}"),
        (".hidden.partial", good),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "verdict.json").write_text(text, encoding="utf-8")
    (tmp_path / "silent").mkdir()
    (tmp_path / "silent" / "index.html").write_text("")
    (tmp_path / "pictures").mkdir()
    page = report.gallery(tmp_path).read_text(encoding="utf-8")
    reader = Reader(page)
    assert [image["src"] for image in reader.images] == [
        "./second/figures/line.png",
        "./wire/figures/line.png",
    ]
    assert all(image["alt"] for image in reader.images)
    assert "Not to be believed." in reader.texts
    (note,) = (text for text in reader.texts if text.startswith("Left out"))
    assert all(name in note for name in ("torn", "old", "silent"))
    assert "pictures" not in note and "hidden" not in page
    assert 'href="./wire/index.html"' in page


def test_gallery_of_nothing_says_so(tmp_path):
    assert "no report here yet" in report.gallery(tmp_path).read_text(encoding="utf-8")


# --- what any fit can be told by ------------------------------------------------------------------


def with_truth(tree):
    truth = {name: np.array(value) for name, value in TRUTH.items()}
    return annotated(tree, truth=dataset(truth, sampled=False))


def test_priors_in_words_are_those_of_the_file():
    assert prior_words(fit())["slope"] == "Normal(0, 100²)"
    tree = fit().copy()
    del tree.attrs["priors"]
    assert prior_words(tree) == {}


def test_true_values_are_those_of_the_posterior_by_label():
    assert true_values(fit()) == {}
    values = dataset({"slope": np.array(47.0), "other": np.array(1.0)}, sampled=False)
    assert true_values(annotated(fit(), truth=values)) == {"slope": 47.0}


def test_a_unit_is_of_the_whole_value():
    assert report.value_with_unit(67.48132, 0.42, "K") == "(67.48 ± 0.42) K"
    assert report.value_with_unit(67.48132, 0.42, "1") == "67.48 ± 0.42"
    assert report.value_with_unit(1.5, None, "V") == "1.5 V"


def test_the_shared_sections_tell_truth_priors_and_replicas():
    tree = with_truth(fit())
    tree.attrs["priors"] = json.dumps({"slope": "Normal(0, 100²)"})
    (table,) = sections.numbers(tree).tables
    assert dict(table.frame["truth"]) == {"slope": "47", "offset": "0.3", "noise": "0.8"}
    told = sections.priors({"gibbs": tree, "again": tree})
    assert told.tables[0].frame.to_dict() == {"prior": {"slope": "Normal(0, 100²)"}}
    words = [text.get_text() for text in told.pictures[0].figure.axes[0].texts]
    assert words[0].endswith(" × narrower") and words[1:] == ["posterior", "prior", "truth"]
    same = sections.priors({"gibbs": tree, "exact": fit("exact")})
    assert list(same.tables[0].frame) == ["prior"]
    tree.attrs["priors"] = json.dumps({"slope": "Normal(0, 1²)"})
    differing = sections.priors({"gibbs": tree, "exact": fit("exact")}, None, (), "First words.")
    assert list(differing.tables[0].frame) == ["gibbs", "exact"]
    assert dict(differing.tables[0].frame["gibbs"]) == {"slope": "Normal(0, 1²)", "offset": "–"}
    assert differing.paragraphs[0] == "First words."
    assert len(sections.predictive(tree).pictures) == 1


def test_a_derived_quantity_has_its_unit_and_truth():
    slope = FITS["gibbs"]["posterior"]["slope"].values
    table = sections.derived(
        {"twice": 2 * slope, "ratio": slope / 47}, units={"twice": "V/A"}, truth={"twice": 94.0}
    )
    assert list(table.frame["unit"]) == ["V/A", ""] and list(table.frame["truth"]) == ["94", ""]
    mean = 2 * slope.mean()
    assert table.frame.loc["twice", "estimate"] == report.number(mean, 2 * slope.std())


@pytest.mark.usefixtures("undrawn")
def test_a_plain_story_tells_any_fit_and_the_best_one_is_reloaded(tmp_path):
    verdicts = {name: check(tree) for name, tree in FITS.items()}
    plain = report.plain_story(FITS, "A wire", "What is its resistance?")
    page = report.write(tmp_path, plain, FITS, verdicts, command=COMMAND)
    texts = Reader(page.read_text(encoding="utf-8")).texts
    assert any(text.startswith("slope = (4") and text.endswith(" V/A") for text in texts)
    for title in (
        "In numbers",
        "The data, and replicas of them",
        "What was believed before",
        "In numbers: exact",
    ):
        assert title in texts
    assert "The classical answer" not in texts
    other = replace(plain, best="exact")
    page = report.write(tmp_path, other, FITS, verdicts, command=COMMAND)
    assert "exact.nc&#34;" in page.read_text(encoding="utf-8")


@pytest.mark.usefixtures("undrawn")
def test_a_fit_of_many_parameters_without_an_abscissa_is_told_too(tmp_path):
    tree = fit().copy(deep=True)
    draws = np.random.default_rng(1).normal(size=(4, 500, 40)) + np.arange(40)
    tree["posterior"] = tree["posterior"].dataset.merge(dataset({"J": draws}, {"J": ("pair",)}))
    tree["constant_data"] = tree["constant_data"].dataset.drop_vars("x")
    fits = {"gibbs": tree}
    plain = report.plain_story(fits, "A wire", "What is its resistance?")
    report.write(tmp_path, plain, fits, {"gibbs": check(tree)}, command=COMMAND)
    (table,) = sections.numbers(tree).tables
    assert "24 of 43" in table.caption and "J[39]" in table.frame.index
    assert "J[0]" not in table.frame.index
