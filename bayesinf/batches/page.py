"""The page of a batch: the answer, maps with errors, the verdict of each spectrum, the worst."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bayesinf.batches import figures
from bayesinf.batches.verdict import BELIEVED, DOUBTED, FAILED
from bayesinf.checks import Verdict
from bayesinf.report.page import png, render, write_text, write_verdict
from bayesinf.report.story import Picture, Section, Table

__all__ = ["Told", "answer", "plain", "plural", "single", "worst", "write"]

WORST = 10
REASONS = 12  # that a table holds


@dataclass(frozen=True)
class Told:
    """What a page of a batch is told of.

    Parameters
    ----------
    title, question, equation, priors, read_as : as of any report.
    quantities : the parameters over the batch.
    code, reason : of each spectrum, over its dimensions.
    badness : how bad each is, over its dimensions: the larger, the worse.
    p_value : statistic to p-values, (spectrum,).
    axes : dimension to what stands along it.
    name : place among all spectra to name.
    file : stem of the file that holds the fits.
    command : what makes the page again.
    refined : name of a spectrum that was sampled to what its own checks say, in words.
    each : what one of the batch is called.
    asked : what each fit was asked, in words.
    """

    title: str
    question: str
    equation: str
    priors: Mapping[str, str]
    read_as: str
    quantities: Sequence[figures.Quantity]
    code: np.ndarray
    reason: np.ndarray
    badness: np.ndarray
    p_value: Mapping[str, np.ndarray]
    axes: Mapping[str, figures.Axis]
    name: Sequence[str]
    file: str
    command: str
    refined: Mapping[str, str] = field(default_factory=dict)
    each: str = "spectrum"
    asked: str = ""

    @property
    def several(self) -> str:
        """What more than one is called."""
        return plural(self.each)


def write(folder: Path, told: Told, verdict: Verdict, *, run: str) -> str:
    """Write ``index.html``, ``verdict.json`` and ``figures/*.png``; return the answer.

    Parameters
    ----------
    folder : where to.
    told : of the batch.
    verdict : of the batch as a whole.
    run : its id.
    """
    lead = answer(told)
    sections = [_values(told), _verdicts(told), _residuals(told), _worst(told)]
    sections += [_refined(told)] if told.refined else []
    sections.append(_model(told))
    pictures = [picture for section in sections for picture in section.pictures]
    images = {picture.name: png(picture.figure) for picture in pictures}
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        (folder / "figures" / f"{name}.png").write_bytes(image)
    page = render(
        "batch.html",
        title=told.title,
        question=told.question,
        lead=lead,
        believed=verdict.believed,
        words=verdict.words,
        read_as=told.read_as and f"Read: {told.read_as}.",
        equation=told.equation,
        sections=sections,
        images=images,
        reload=_reload(told),
        command=told.command,
    )
    write_text(folder / "index.html", page)
    first = pictures[0]
    write_verdict(
        folder,
        {told.file: verdict},
        told.file,
        command=told.command,
        title=told.title,
        question=told.question,
        picture=f"figures/{first.name}.png",
        alt=first.alt,
        run=run,
        **({"data_read_as": told.read_as} if told.read_as else {}),
    )
    return lead


def plural(word: str) -> str:
    """Return what several of a kind are called."""
    known = {"spectrum": "spectra", "series": "series"}
    return known.get(word, f"{word}s")


def answer(told: Told) -> str:
    """Return how many spectra are believed, in a sentence."""
    count = np.bincount(told.code.ravel(), minlength=3)
    total = int(count.sum())
    said = f"{count[BELIEVED]} of {total} {told.several} are fitted, and their fits are believed"
    rest = []
    if count[DOUBTED]:
        rest.append(f"{count[DOUBTED]} {_are(count[DOUBTED])} to be doubted")
    if count[FAILED]:
        rest.append(f"{count[FAILED]} could not be fitted")
    return said + (f"; {' and '.join(rest)}." if rest else ".")


def _are(count):
    return "is" if count == 1 else "are"


def _values(told):
    over = "over the map" if len(told.axes) == 2 else "along the list"
    groups = {}
    for each in told.quantities:
        groups.setdefault(each.group, []).append(each)
    pictures = []
    for title, some in groups.items():
        pictures.append(
            Picture(
                title.replace(" ", "_"),
                figures.values(some, told.code, told.axes),
                f"{title[0].upper()}{title[1:]} {over}: posterior mean"
                + (
                    " (left) and standard deviation (right). Blank where nothing was fitted; the "
                    "colours span 98 % of the fits that are believed."
                    if len(told.axes) == 2
                    else " and interval of 95 %, in vermilion where the fit is to be doubted."
                ),
                f"{', '.join(each.name for each in some)} {over}, with errors.",
            )
        )
    return Section("The parameters", (), tuple(pictures))


def _verdicts(told):
    kinds = Counter(
        part.split(" (")[0]
        for said in told.reason.ravel()
        if said
        for part in str(said).split("; ")
    )
    rows = {why: {told.several: count} for why, count in kinds.most_common(REASONS)}
    tables = ()
    if rows:
        said = f"Why fits are doubted or failed; a {told.each} may have several reasons."
        tables = (Table.of(rows, "reason", said),)
    said = told.asked
    picture = Picture(
        "verdicts",
        figures.verdicts(told.code, told.axes),
        f"The verdict of each {told.each}.",
        answer(told),
    )
    return Section("The verdicts", (said,), (picture,), tables)


def _residuals(told):
    shown = {name: p for name, p in told.p_value.items() if np.isfinite(p).any()}
    if not shown:
        return Section("The residuals", ("Too few points to ask the residuals anything.",))
    picture = Picture(
        "p_values",
        figures.p_values(shown),
        "How the p-values of the residuals' statistics are spread over the batch, beside an even "
        "spread (line). A pile at zero says that the model leaves something out of many.",
        "Histograms of p-values, one a statistic.",
    )
    return Section("The residuals", (), (picture,))


def worst(code: np.ndarray, badness: np.ndarray, count: int) -> list[int]:
    """Return the places of so many spectra that are not believed, the worst first."""
    order = np.argsort(-badness.ravel(), kind="stable")
    return [int(k) for k in order if code.ravel()[k] != BELIEVED][:count]


def _worst(told):
    code, reason = told.code.ravel(), told.reason.ravel()
    found = worst(told.code, told.badness, WORST)
    if not found:
        return Section("The worst", (f"No {told.each} is to be doubted.",))
    rows = {
        told.name[k]: {
            "verdict": figures.VERDICTS[int(code[k])],
            "why": str(reason[k]),
            "its own page": single(told.command, told.name[k]) if code[k] == DOUBTED else "",
        }
        for k in found
    }
    said = (
        "The ten that are worst; the command makes the page of one, with all that a fit is asked."
    )
    return Section("The worst", (), (), (Table.of(rows, told.each, said),))


def single(command: str, name: str) -> str:
    """Return the command that makes the page of one spectrum."""
    words, out = shlex.split(command), []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in ("--output", "--refine"):
            skip = True
        elif not word.startswith(("--output=", "--refine=")):
            out.append(word)
    return shlex.join([*out, "--only", name, "--output", f"reports/{plain(name)}"])


def plain(name: str) -> str:
    """Return the name of a spectrum as that of a file."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)


def _refined(told):
    rows = {
        name: {"file": f"spectrum_{plain(name)}.nc", "its checks": words}
        for name, words in told.refined.items()
    }
    said = "The worst of those to be doubted, sampled by themselves, each with a file of its own."
    return Section("Sampled again", (), (), (Table.of(rows, "spectrum", said),))


def _model(told):
    rows = {name: {"prior": said} for name, said in told.priors.items()}
    said = f"Each {told.each} is fitted by itself; none knows of its neighbours."
    return Section("The model", (said,), (), (Table.of(rows, "parameter", "The priors."),))


def _reload(told):
    first = told.quantities[0].name.partition("[")[0]
    return (
        "import bayesinf\n"
        "from bayesinf.posterior import noted\n"
        f'print(noted(bayesinf.load("{told.file}.nc"), "moments")["{first}"])'
    )
