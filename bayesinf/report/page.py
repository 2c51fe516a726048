"""The page: verdict, story, diagnostics, how to reload, provenance; and the gallery of pages."""

from __future__ import annotations

import base64
import io
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

from bayesinf.figures import representative, trace_rank
from bayesinf.inference import kinds
from bayesinf.posterior import reported
from bayesinf.publication import settled
from bayesinf.report import sections
from bayesinf.report.numbers import goodness, short
from bayesinf.report.story import Picture, Section, Story

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from bayesinf.checks import Verdict

__all__ = [
    "MOST_BYTES",
    "answering",
    "beside",
    "gallery",
    "known",
    "overall",
    "png",
    "render",
    "write",
    "write_text",
    "write_verdict",
]


MOST_BYTES = 5_000_000


DPI, LOOK_DPI = 150, 100  # of a result, of a look

# Attributes that the page tells outside its provenance.
ELSEWHERE = ("questions", "not_asked", "equation", "data_used", "data_read_as", "look", "stacked")
ELSEWHERE += ("stated",)


def write(
    folder: str | os.PathLike,
    story: Story,
    fits: Mapping[str, xr.DataTree],
    verdicts: Mapping[str, Verdict],
    *,
    command: str,
) -> Path:
    """Write a report: ``index.html``, ``verdict.json`` and ``figures/*.png``.

    Parameters
    ----------
    folder : where to; made where it is missing.
    story : the system's part.
    fits : file stem to InferenceData.
    verdicts : the same names to what the checks say.
    command : the command line that makes this report again.

    Returns
    -------
    the path of the page, which embeds its pictures and stays under 5 MB.
    """
    folder = Path(folder)
    carries = answering(story, fits)
    best = story.answer.pictures[0]
    look = fits[carries].attrs.get("look", "")
    # Of the fits beside the answer's a look says what the checks found, and draws nothing.
    traces = {
        name: _trace_picture(name, fit) if not look or name == carries else None
        for name, fit in fits.items()
    }
    chapters = _chapters(story, fits)
    pictures = [picture for chapter in chapters for picture in chapter.section.pictures]
    pictures += [picture for picture in traces.values() if picture]
    names = [picture.name for picture in pictures]
    if len(set(names)) < len(names):
        raise ValueError(f"two pictures of one report share a name: {sorted(names)}")
    content = {
        "story": story,
        "lead": next(iter(story.answer.paragraphs), ""),
        "chapters": chapters,
        "contents": _contents(chapters),
        "fits": fits,
        "verdicts": verdicts,
        "carries": carries,
        "believed": verdicts[carries].believed,
        "words": overall(verdicts, carries),
        "remark": _remark(verdicts[carries]),
        "read_as": fits[carries].attrs.get("data_read_as", ""),
        "look": look,
        "known": known(verdicts[carries]),
        "traces": traces,
        "sampling": {name: _sampling(fit) for name, fit in fits.items()},
        "provenance": _provenance(fits),
        "reload": _reload(carries),
        "command": command,
    }
    dpi = LOOK_DPI if look else DPI
    images = {picture.name: png(picture.figure, dpi) for picture in pictures}
    # A page of many busy pictures is drawn coarser rather than sent heavier: bytes go about with
    # the area, and a third is added by base64.
    weight = sum(map(len, images.values())) * 4 / 3
    if weight > 0.9 * MOST_BYTES:
        dpi *= math.sqrt(0.8 * MOST_BYTES / weight)
        images = {picture.name: png(picture.figure, dpi) for picture in pictures}
    page = render("report.html", **content, images=images)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        (folder / "figures" / f"{name}.png").write_bytes(image)
    best_picture = {"picture": f"figures/{best.name}.png", "alt": best.alt}
    told = {"title": story.title, "question": story.question} | best_picture
    told["run"] = fits[carries].attrs.get("run")
    told |= {"data_read_as": content["read_as"]} if content["read_as"] else {}
    write_verdict(folder, verdicts, carries, command=command, **told)
    return write_text(folder / "index.html", page)


def answering(story: Story, fits: Mapping[str, xr.DataTree]) -> str:
    """Name the fit that carries the answer: the one the story says, or the first."""
    return story.best or next(iter(fits))


def write_verdict(
    folder: Path, verdicts: Mapping[str, Verdict], carries: str, *, command: str, **told: str
) -> Path:
    """Write ``verdict.json``: whether to believe the answer, and what the checks say of each fit.

    Parameters
    ----------
    folder : of the report.
    verdicts : name of a fit to its verdict.
    carries : the fit that carries the answer, whose verdict is the report's.
    command : what makes the report again.
    **told : what else is known, as the title.
    """
    content = told | {
        "believed": verdicts[carries].believed,
        "words": overall(verdicts, carries),
        "answer": carries,
        "command": command,
        "fits": {name: verdict.to_dict() for name, verdict in verdicts.items()},
    }
    text = json.dumps(content, indent=2, ensure_ascii=False, default=_plain)
    return write_text(folder / "verdict.json", text)


def _plain(number):
    """A number of NumPy's as one of Python's."""
    return number.item()


def gallery(folder: str | os.PathLike) -> Path:
    """Write the page that shows each report of a folder by its picture, question and verdict.

    Parameters
    ----------
    folder : holds the reports, each a folder with a ``verdict.json``. A report whose verdict is
        missing or cannot be read is left out, and the page says so.

    Returns
    -------
    the path of ``index.html``.
    """
    folder = Path(folder)
    cards, skipped = [], []
    for home in sorted({page.parent for page in folder.glob("*/*") if page.name in _REPORT_FILES}):
        if home.name.startswith("."):
            continue
        try:
            cards.append(_card(home))
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            skipped.append(f"{home.name}: no readable verdict.json ({type(error).__name__})")
    return write_text(folder / "index.html", render("gallery.html", cards=cards, skipped=skipped))


_REPORT_FILES = ("verdict.json", "index.html")


def _card(home):
    """What the gallery shows of a report; its ``verdict.json`` may be anybody's."""
    settled(home)
    verdict = json.loads((home / "verdict.json").read_text(encoding="utf-8"))
    card = {key: verdict[key] for key in ("title", "question", "believed", "words", "alt")}
    picture = (home / verdict["picture"]).resolve()
    plain = all(isinstance(value, str) for key, value in card.items() if key != "believed")
    if not plain or not isinstance(card["believed"], bool) or home.resolve() not in picture.parents:
        raise TypeError("text, yes or no, and a picture of this folder")
    inside = picture.relative_to(home.resolve()).as_posix()
    # After "./" no name can pass for an address of its own.
    return card | {"home": f"./{quote(home.name)}", "picture": quote(inside)}


@dataclass(frozen=True)
class _Chapter:
    """A section in its place on the page.

    Parameters
    ----------
    eyebrow : what it is, over its title; None where the title says it.
    section : what is told.
    place : its anchor.
    paragraphs : of the section, without what the page says at its top.
    equation : of the model, in LaTeX, where it is shown here.
    folded : whether it opens at a click.
    """

    eyebrow: str | None
    section: Section
    place: str
    paragraphs: tuple[str, ...]
    equation: str = ""
    folded: bool = False


def _chapters(story, fits):
    """The sections in order, what the story leaves out told by the fit that carries the answer."""
    best = answering(story, fits)
    numbers = story.numbers or sections.numbers(fits[best])
    met = tuple(filter(None, [goodness(fits[best])]))
    told = [
        ("The answer", story.answer),
        ("In numbers", replace(numbers, paragraphs=(*met, *numbers.paragraphs))),
        ("The data under the posterior", story.predictive or sections.predictive(fits[best])),
        ("The classical answer", story.classical),
        ("Priors", story.priors or sections.priors(fits, best)),
        *((None, section) for section in story.extra),
    ]
    model = sections.model(fits[best])
    told.insert(1, ("The model", model))
    return [
        _Chapter(
            eyebrow,
            section,
            f"section-{k}",
            section.paragraphs[1:] if section is story.answer else section.paragraphs,
            fits[best].attrs.get("equation", "") if section is model else "",
            section.folded,
        )
        for k, (eyebrow, section) in enumerate(told, 1)
        if section is not None
    ]


def _contents(chapters):
    """Anchor and name of all that the page holds."""
    named = [(one.place, one.eyebrow or one.section.title) for one in chapters]
    ends = {"diagnostics": "Diagnostics", "further": "Take it further", "provenance": "Provenance"}
    return [*named, *ends.items()]


def _trace_picture(name, fit):
    shown = representative(fit)
    if not shown:
        return None
    kind = kinds.of(fit.attrs)
    caption = kind.caption.format(name=name)
    total = sum(fit["posterior"][variable][0, 0].size for variable in reported(fit))
    if len(shown) < total:
        rule = "mix worst" if kind.chains else "stand clearest of zero"
        caption += f" Shown are {len(shown)} of {total}: scalars first, then of each vector in "
        caption += f"turn the elements that {rule}."
    alt = f"Diagnostic plots of the fit {name}, a row for each of {', '.join(shown)}."
    return Picture(f"diagnostics_{name}", trace_rank(fit, shown), caption, alt)


def overall(verdicts: Mapping[str, Verdict], carries: str) -> str:
    """Say whether to believe the answer, and how the fits beside it did.

    Parameters
    ----------
    verdicts : name of a fit to its verdict.
    carries : the fit that carries the answer.
    """
    others = [name for name in verdicts if name != carries]
    failed = [name for name in others if not verdicts[name].believed]
    fit = f"the fit {carries}, which carries the answer" if others else "the fit"
    if verdicts[carries].believed:
        count = sum(check.required for check in verdicts[carries].checks)
        said = (
            f"Believed: {fit}{',' * bool(others)} passed every one of its {count} required checks"
        )
        rest = f"; beside it a check failed in {_join(failed)}" if failed else ""
    else:
        said = f"Not to be believed as it stands: a check failed in {fit}"
        rest = f", and in {_join(failed)}" if failed else ""
    return f"{said}{rest}."


def beside(verdicts: Mapping[str, Verdict], carries: str) -> str:
    """Say which of the fits beside the answer's are believed, and why not; "" without any."""
    sides = {
        said: [n for n in verdicts if n != carries and verdicts[n].believed == believed]
        for said, believed in (("believed", True), ("not believed", False))
    }
    parts = [f"{_join(names)} ({said})" for said, names in sides.items() if names]
    why = [f"  {name}: {verdicts[name].words}" for name in sides["not believed"]]
    said = f"Answered by {carries}; beside it {', '.join(parts)}."
    return "\n".join([said, *why]) if parts else ""


def known(verdict: Verdict) -> str:
    """Say what a truth that is known, and data that were held out, say of the answer."""
    openings = {"truth": "The truth is known here", "held out": "Some data were held out"}
    said = {check.name: check.message for check in verdict.checks if check.name in openings}
    return " ".join(f"{openings[name]}: {message}." for name, message in said.items())


def _remark(verdict):
    """What to keep in mind of the answer; a verdict without a remark stands in the diagnostics."""
    plain = not verdict.unasked and all(check.passed for check in verdict.checks)
    if plain:
        return ""
    # That it is believed stands above.
    _, keep, rest = verdict.words.partition("Keep in mind ")
    return keep + rest if verdict.believed and keep else verdict.words


def _join(words):
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _sampling(fit):
    sizes = fit["posterior"].sizes
    return kinds.of(fit.attrs).said(sizes["chain"], sizes["draw"])


def _provenance(fits):
    """Attribute to its values, one a fit, or a single one where all fits agree."""
    rows = []
    for key in sorted({key for fit in fits.values() for key in fit.attrs}.difference(ELSEWHERE)):
        values = [_attribute(key, fit.attrs.get(key)) for fit in fits.values()]
        rows.append((key.replace("_", " "), values[:1] if len(set(values)) == 1 else values))
    return rows


def _attribute(key, value):
    if isinstance(value, str) and value[:1] in "[{":
        try:
            value = json.loads(value)
        except ValueError:
            return value
        if isinstance(value, dict):
            return ", ".join(f"{name} {entry}" for name, entry in value.items())
        return ", ".join(map(str, value))
    return "–" if value is None else short(value)


def _reload(best):
    """Three lines that print the posterior means from the file of the fit with the answer."""
    return (
        "import bayesinf\n"
        f'fit = bayesinf.load("{best}.nc")\n'
        'print(fit.posterior.dataset.mean(["chain", "draw"]))'
    )


def _prose(text):
    """Set apostrophes as such, and keep a percentage on one line."""
    return text.replace("'", "’").replace(" %", "\N{NO-BREAK SPACE}%")


def png(figure: Figure, dpi: float = DPI) -> bytes:
    """Return a figure as the bytes of a PNG of 256 colours, without a word of what wrote it.

    Lines and areas of a dozen colours and their soft edges look the same in so many, and a heat
    map nearly so, at a third of the bytes; they are chosen such that the colour farthest from all
    is near, as few words may have one of their own. The figure is laid out and drawn once, where
    ``Figure.savefig`` does both twice.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    buffer = io.BytesIO()
    few = picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(buffer, format="png", compress_level=7)  # 8: 2.5 times as long, for five per cent
    return buffer.getvalue()


def _mathml(equation):
    """An equation in LaTeX as MathML, which browsers set without a script.

    One that does not become MathML and nothing else, as of a file of others, stands as it is.
    """
    from xml.etree import ElementTree

    from latex2mathml.converter import convert
    from markupsafe import Markup

    try:
        text = convert(equation, display="block")
        nodes = list(ElementTree.fromstring(text).iter())
    except Exception:  # the converter raises a dozen kinds, one for each way to be no LaTeX
        return equation
    fine = {f"{{{_MATHML}}}{name}" for name in _MATHML_TAGS.split()}
    attributes = {name for node in nodes for name in node.attrib}
    unsafe = {
        name for name in attributes if name.startswith("on") or name.endswith(("href", "src"))
    }
    return equation if unsafe or {node.tag for node in nodes} - fine else Markup(text)


_MATHML = "http://www.w3.org/1998/Math/MathML"
_MATHML_TAGS = """math mrow mi mo mn mtext mspace mfrac msqrt mroot msub msup msubsup munder mover
munderover mtable mtr mtd mstyle mpadded mphantom menclose mmultiscripts mprescripts none"""


def _share(picture):
    """Width of a picture, as a share of the page's."""
    return f"{min(1, picture.figure.get_figwidth() / 7.2):.3g}"


def _base64(image):
    return base64.b64encode(image).decode()


def _table(frame):
    """Head and rows of a DataFrame as text, and which columns hold numbers."""
    import pandas as pd

    counted = isinstance(frame.index, pd.RangeIndex) and frame.index.name is None
    frame = frame if counted else frame.reset_index()
    columns = [[short(cell) for cell in frame.iloc[:, k].tolist()] for k in range(frame.shape[1])]
    numeric = [
        any(column) and all(cell[:1] in "0123456789-−+(<>≤≥≈–∞" for cell in column)
        for column in columns
    ]
    columns = [
        [re.sub(r"(?<!\w)-(?=\d)", "−", cell) for cell in column] if right else column
        for column, right in zip(columns, numeric, strict=True)
    ]
    names = ["" if name == "index" else str(name) for name in frame.columns]
    return {
        "head": list(zip(names, numeric, strict=True)),
        "rows": [list(zip(row, numeric, strict=True)) for row in zip(*columns, strict=True)],
        "labelled": not counted,
    }


def render(template: str, **content: object) -> str:
    """Fill a template of this folder with what it asks for."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "mathml": _mathml,
        "table": _table,
        "short": short,
        "prose": _prose,
        "share": _share,
        "base64": _base64,
    }
    return environment.get_template(template).render(content)


def write_text(path: Path, text: str) -> Path:
    """Write all of a text or nothing."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
    return path
