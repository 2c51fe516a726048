"""One page that a physicist can show, made from InferenceData, Verdicts and Figures.

A system tells its ``Story``: question, answer, numbers, data under the posterior, classical answer,
priors. This module adds what every report has (verdict, diagnostics, how to reload, provenance) and
writes one self-contained HTML page, read from the top, that needs neither script nor network.
"""

from __future__ import annotations

import base64
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

    from bayesinf.checks import Verdict

MOST_BYTES = 5_000_000
DPI = 150


@dataclass(frozen=True)
class Picture:
    """A figure with what to see in it.

    Parameters
    ----------
    name : file name without suffix; unique within a report.
    figure : a matplotlib Figure.
    caption : what to see, in a sentence or two.
    alt : the same for a reader who cannot see it: what is drawn, and what it shows.
    """

    name: str
    figure: Figure
    caption: str
    alt: str


@dataclass(frozen=True)
class Table:
    """A table with what to read from it; text cells stand as they are, numbers get four digits.

    Parameters
    ----------
    frame : a DataFrame; its index is shown unless it only counts the rows.
    caption : what to read, in a sentence.
    """

    frame: pd.DataFrame
    caption: str


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs, then pictures, then tables."""

    title: str
    paragraphs: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Story:
    """What a system has to say about its fits; the rest of the report is the same for all.

    Parameters
    ----------
    title : of the report.
    question : one sentence.
    answer : its first picture is the report's best one, shown in the gallery.
    numbers : the answer in numbers, with units and intervals.
    predictive : how the data look under the posterior.
    classical : how the classical answer compares.
    priors : what they are, and how much they matter.
    extra : whatever else the system has to show.
    """

    title: str
    question: str
    answer: Section
    numbers: Section
    predictive: Section
    classical: Section
    priors: Section
    extra: tuple[Section, ...] = ()


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
    believed = all(verdict.believed for verdict in verdicts.values())
    best = story.answer.pictures[0]
    traces = {name: _trace_picture(name, fit) for name, fit in fits.items()}
    chapters = [
        ("The answer", story.answer),
        ("In numbers", story.numbers),
        ("The data under the posterior", story.predictive),
        ("The classical answer", story.classical),
        ("Priors", story.priors),
        *((None, section) for section in story.extra),
    ]
    pictures = [picture for _, section in chapters for picture in section.pictures]
    pictures += [picture for picture in traces.values() if picture]
    names = [picture.name for picture in pictures]
    if len(set(names)) < len(names):
        raise ValueError(f"two pictures of one report share a name: {sorted(names)}")
    content = {
        "story": story,
        "chapters": chapters,
        "fits": fits,
        "verdicts": verdicts,
        "believed": believed,
        "words": _overall(verdicts),
        # A verdict without a remark is said in full in the diagnostics, where it is at home.
        "remarks": {
            name: verdict.words
            for name, verdict in verdicts.items()
            if not all(check.passed for check in verdict.checks)
        },
        "traces": traces,
        "sampling": {name: _sampling(fit) for name, fit in fits.items()},
        "provenance": _provenance(fits),
        "reload": _reload(fits),
        "command": command,
    }
    images = {picture.name: _png(picture.figure, DPI) for picture in pictures}
    # A page of many busy pictures is drawn coarser rather than sent heavier: bytes go about with
    # the area, and a third is added by base64.
    weight = sum(map(len, images.values())) * 4 / 3
    if weight > 0.9 * MOST_BYTES:
        dpi = DPI * math.sqrt(0.8 * MOST_BYTES / weight)
        images = {picture.name: _png(picture.figure, dpi) for picture in pictures}
    page = _render("report.html", **content, images=images)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        (folder / "figures" / f"{name}.png").write_bytes(image)
    summary = {
        "title": story.title,
        "question": story.question,
        "believed": believed,
        "words": _overall(verdicts),
        "picture": f"figures/{best.name}.png",
        "alt": best.alt,
        "command": command,
        "fits": {name: verdict.to_dict() for name, verdict in verdicts.items()},
    }
    plain = json.dumps(summary, indent=2, ensure_ascii=False, default=lambda number: number.item())
    _write_text(folder / "verdict.json", plain)
    return _write_text(folder / "index.html", page)


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
            verdict = json.loads((home / "verdict.json").read_text(encoding="utf-8"))
            keys = ("title", "question", "believed", "words", "picture", "alt")
            cards.append({key: verdict[key] for key in keys} | {"home": home.name})
        except (OSError, ValueError, KeyError, TypeError) as error:
            skipped.append(f"{home.name}: no readable verdict.json ({type(error).__name__})")
    return _write_text(folder / "index.html", _render("gallery.html", cards=cards, skipped=skipped))


def number(mean: float, sd: float | None = None) -> str:
    """Print a value with the digits that its uncertainty leaves.

    The uncertainty keeps two digits, three where the first is a 1, and the value stops at the same
    place: ``number(67.48132, 0.10517)`` is ``67.481 ± 0.105``. Very large and very small ones share
    a power of ten.

    Parameters
    ----------
    mean : the value.
    sd : its standard deviation; None, or 0 for a value known exactly, prints the value alone.
    """
    if sd is None or sd == 0 or not math.isfinite(sd) or not math.isfinite(mean):
        return _short(mean, 6)
    texts, power = _aligned([mean, sd], sd)
    if not power and len(texts[1]) > 11:  # a row of zeros says less than a power of ten
        texts[1] = _short(sd, 2)
    return f"({' ± '.join(texts)}){power}" if power else " ± ".join(texts)


def interval(low: float, high: float, sd: float) -> str:
    """Print an interval with the digits that the standard deviation leaves."""
    if not (sd > 0 and math.isfinite(sd) and math.isfinite(low) and math.isfinite(high)):
        return f"{_short(low, 6)} to {_short(high, 6)}"
    texts, power = _aligned([low, high], sd)
    return f"({' to '.join(texts)}){power}" if power else " to ".join(texts)


def estimates(
    fit: xr.DataTree,
    var_names: Sequence[str] | None = None,
    truth: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Tabulate parameters for a report: mean ± sd, 95 % interval; unit and truth where known.

    Parameters
    ----------
    fit : InferenceData.
    var_names : variables or elements, as in ``bayesinf.figures``; None takes all.
    truth : label to known value.

    Returns
    -------
    one row a scalar, ready for a ``Table``.
    """
    import pandas as pd

    from bayesinf.figures import elements

    rows = {}
    for label, array in elements(fit, var_names).items():
        mean, sd = float(array.mean()), float(array.std())
        low, high = (float(bound) for bound in array.quantile([0.025, 0.975]))
        rows[label] = {"mean ± sd": number(mean, sd), "95 % interval": interval(low, high, sd)}
        rows[label]["unit"] = "" if array.units == "1" else array.units
        if truth is not None:
            rows[label]["truth"] = _short(truth[label], 6) if label in truth else ""
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("parameter")
    return frame if any(frame["unit"]) else frame.drop(columns="unit")


_REPORT_FILES = ("verdict.json", "index.html")

_CAPTIONS = {
    "ensemble": "Walkers of the ensemble ({name}). The band holds 90 % of them and should run "
    "level; the densities of the first and of the second half of the run should coincide.",
    "laplace": "Laplace approximation ({name}). Filled: its draws; outline: the same draws "
    "reweighted to the posterior. Where the two differ, or weights rise far above the line at 1, "
    "the quadratic approximation fails.",
    "exact": "Independent draws from the closed form ({name}). Vertical lines, where the moments "
    "are known: closed-form mean, and one standard deviation on either side.",
}
_CHAIN_CAPTION = (
    "Chains ({name}), one shade each. Left: they should overlap and show no drift. Right: the "
    "ranks of each chain's draws among all, relative to an even spread; the grey band holds 95 % "
    "of such steps for draws as correlated as these."
)


def _trace_picture(name, fit):
    from bayesinf.figures import representative, trace_rank

    shown = representative(fit)
    if not shown:
        return None
    caption = _CAPTIONS.get(fit.attrs["inference"], _CHAIN_CAPTION).format(name=name)
    alt = f"Diagnostic plots of the fit {name}, a row for each of {', '.join(shown)}."
    return Picture(f"diagnostics_{name}", trace_rank(fit, shown), caption, alt)


def _overall(verdicts):
    failed = [name for name, verdict in verdicts.items() if not verdict.believed]
    if not failed:
        count = sum(check.required for verdict in verdicts.values() for check in verdict.checks)
        fits = "the fit" if len(verdicts) == 1 else f"all {len(verdicts)} fits"
        return f"Believed: {fits} passed every one of the {count} required checks."
    sound = [name for name in verdicts if name not in failed]
    rest = f"; {_join(sound)} passed" if sound else ""
    return f"Not to be believed as it stands: a check failed in {_join(failed)}{rest}."


def _join(words):
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _sampling(fit):
    sizes = fit["posterior"].sizes
    chains, draws = sizes["chain"], sizes["draw"]
    match fit.attrs["inference"]:
        case "ensemble":
            return f"Ensemble of {chains} walkers, {draws} draws kept of each."
        case "exact":
            return f"Closed form, {chains * draws} independent draws."
        case "laplace":
            return f"Laplace approximation, {chains * draws} independent draws."
        case kind:
            name = {"nuts": "NUTS", "gibbs": "Gibbs sampling"}.get(kind, kind)
            return f"{name}, {chains} chains of {draws} draws."


def _provenance(fits):
    """Attribute to its values, one a fit, or a single one where all fits agree."""
    keys = list(dict.fromkeys(key for fit in fits.values() for key in fit.attrs))
    rows = []
    for key in keys:
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
    return "–" if value is None else _short(value)


def _reload(fits):
    """Three lines that print the posterior means from the first fit's file."""
    return (
        "import bayesinf\n"
        f'fit = bayesinf.load("{next(iter(fits))}.nc")\n'
        'print(fit.posterior.dataset.mean(["chain", "draw"]))'
    )


def _prose(text):
    """Set apostrophes as such, and keep a percentage on one line."""
    return text.replace("'", "’").replace(" %", "\N{NO-BREAK SPACE}%")


def _png(figure, dpi):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def _table(frame):
    """Head and rows of a DataFrame as text, and which columns hold numbers."""
    import pandas as pd

    counted = isinstance(frame.index, pd.RangeIndex) and frame.index.name is None
    frame = frame if counted else frame.reset_index()
    columns = [[_short(cell) for cell in frame.iloc[:, k].tolist()] for k in range(frame.shape[1])]
    numeric = [
        any(column) and all(cell[:1] in "0123456789−+(<>≤≥≈–∞" for cell in column)
        for column in columns
    ]
    names = ["" if name == "index" else str(name) for name in frame.columns]
    return {
        "head": list(zip(names, numeric, strict=True)),
        "rows": [list(zip(row, numeric, strict=True)) for row in zip(*columns, strict=True)],
        "labelled": not counted,
    }


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _short(value, digits=4):
    """A cell: numbers with so many digits and a real minus sign, anything else as it stands."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return "yes" if value else "no"
    if hasattr(value, "__index__"):
        return str(int(value)).replace("-", "−")
    try:
        value = float(value)
    except (TypeError, ValueError):
        return str(value)
    if math.isnan(value):
        return "–"
    text = f"{value:.{digits}g}".replace("inf", "∞")
    mantissa, _, exponent = text.partition("e")
    power = f" × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}" if exponent else ""
    return mantissa.replace("-", "−") + power


def _aligned(values, sd):
    """The values as text down to the last digit that sd leaves, and their power of ten."""
    lead = math.floor(math.log10(sd))
    last = lead - (2 if sd / 10.0**lead < 2 else 1)
    size = math.floor(math.log10(max(map(abs, values)) or sd))
    power = 0 if -3 <= size <= 5 else size
    places = power - last
    scaled = [value / 10.0**power for value in values]
    texts = [
        f"{round(value, places) + 0.0:.{max(places, 0)}f}".replace("-", "−") for value in scaled
    ]
    return texts, f" × 10{str(power).translate(_SUPERSCRIPTS)}" if power else ""


def _render(template, **content):
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "table": _table,
        "short": _short,
        "prose": _prose,
        "share": lambda picture: f"{min(100, 100 * picture.figure.get_figwidth() / 7.2):.3g}",
        "base64": lambda image: base64.b64encode(image).decode(),
    }
    return environment.get_template(template).render(content)


def _write_text(path, text):
    """Write all of a text or nothing."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
    return path
