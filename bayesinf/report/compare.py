"""Two runs side by side: what differs in data, settings, verdicts, numbers and predictions.

A comparison is a page like any other, told by two fits: those that carry the answer of two report
folders, or two files. Parameters that both have are drawn on one axis, in units of the first run's
posterior sd. Where both were fitted to the same data, leave-one-out says which predicts better.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import figures
from bayesinf.checks import Verdict, check, loo
from bayesinf.errors import DataError
from bayesinf.foreign import load
from bayesinf.posterior import reported
from bayesinf.publication import settled
from bayesinf.report.numbers import described, number, short, signed
from bayesinf.report.page import png, render, write_text
from bayesinf.report.story import Picture, Section, Table

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["Side", "differences", "opened", "write"]

MOST_ROWS = 30  # parameters that a figure and a table hold
APART = 3.0  # pooled standard deviations from which two values of a parameter disagree
SAME = ("settings", "seed", "method", "model", "inference", "bayesinf_version", "data_sha256")
# Attributes that differ between any two runs, or are told elsewhere.
PASSING = ("run", "created_at", "elapsed_seconds", "questions", "equation")


@dataclass(frozen=True)
class Side:
    """One of two runs: its name on the page, the fit that carries its answer, and the verdict."""

    name: str
    fit: xr.DataTree
    verdict: Verdict


def opened(path: str | os.PathLike) -> Side:
    """Open a run: a report folder, or a file of InferenceData.

    Raises
    ------
    DataError : there is neither.
    """
    path = Path(path)
    file = path
    if path.is_dir():
        settled(path)
        try:
            told = json.loads((path / "verdict.json").read_text(encoding="utf-8"))
            stem = Path(told.get("answer") or next(iter(told["fits"]))).name
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            StopIteration,
            RecursionError,
        ) as error:
            raise DataError(
                "no run to compare",
                source=path,
                expected="a report folder with its verdict.json, or a netCDF file",
                found="a folder without a readable verdict.json",
            ) from error
        file = path / f"{stem}.nc"
    fit = load(file)
    return Side(path.name or str(path), fit, check(fit))


def write(one: Side, other: Side, folder: Path, *, command: str) -> tuple[Path, str]:
    """Write the page on which two runs stand side by side.

    Parameters
    ----------
    one, other : the runs; differences are those of the second from the first.
    folder : where to.
    command : what makes the page again.

    Returns
    -------
    the path of ``index.html``, and how far the runs agree in a sentence.
    """
    if one.name == other.name:
        one, other = (Side(f"{s.name} ({k})", s.fit, s.verdict) for s, k in ((one, 1), (other, 2)))
    rows = differences(one, other)
    sections = [_numbers(one, other, rows), _data(one, other), _verdicts(one, other)]
    images = {picture.name: png(picture.figure) for s in sections for picture in s.pictures}
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        (folder / "figures" / f"{name}.png").write_bytes(image)
    said = _answer(rows)
    page = render(
        "compare.html",
        title=f"{one.name} and {other.name}",
        question="What differs between these two runs?",
        lead=said,
        sections=sections,
        images=images,
        command=command,
    )
    return write_text(folder / "index.html", page), said


def differences(one: Side, other: Side) -> dict[str, tuple[np.ndarray, np.ndarray, float, str]]:
    """Name of an element that both runs have to its draws in each, their distance, and the unit.

    The distance is (mean_2 − mean_1) / √(sd_1² + sd_2²). Where units differ an element is left out.
    """
    ours, theirs = (figures.elements(side.fit, reported(side.fit)) for side in (one, other))
    rows = {}
    for name in ours:
        if name not in theirs or ours[name].units != theirs[name].units:
            continue
        x, y = np.ravel(ours[name].values), np.ravel(theirs[name].values)
        spread = math.hypot(float(x.std()), float(y.std()))
        shift = float(y.mean() - x.mean())
        distance = shift / spread if spread > 0 else (0.0 if shift == 0 else math.inf)
        rows[name] = x, y, distance, ours[name].units
    return rows


def _answer(rows):
    """How far the runs agree, in a sentence."""
    if not rows:
        return "The runs share no parameter of the same name and unit."
    apart = [name for name, row in rows.items() if abs(row[2]) > APART]
    worst = max(rows, key=lambda name: abs(rows[name][2]))
    size = f"{abs(rows[worst][2]):.1f} pooled standard deviations ({worst})"
    if not apart:
        return f"The runs agree in all {len(rows)} parameters that they share: at most {size}."
    return (
        f"The runs disagree in {len(apart)} of {len(rows)} parameters that they share, "
        f"by up to {size}."
    )


def _numbers(one, other, rows):
    shown = sorted(rows, key=lambda name: -abs(rows[name][2]))[:MOST_ROWS]
    shown = [name for name in rows if name in shown]
    if not shown:
        return Section("Parameters", ("There are none that both runs have in the same unit.",))
    cells = {
        name: {
            one.name: described(rows[name][0]),
            other.name: described(rows[name][1]),
            "difference / sd": signed(rows[name][2], 2),
            "unit": "" if rows[name][3] == "1" else rows[name][3],
        }
        for name in shown
    }
    rest = f" Of {len(rows)}, the {len(shown)} that differ most." if len(rows) > len(shown) else ""
    caption = (
        "Each parameter in both runs, on one axis: the distance from the first run's mean in units "
        f"of its sd; intervals hold 50 and 95 %.{rest}"
    )
    picture = Picture(
        "parameters",
        _drawn(one, other, {name: rows[name] for name in shown}),
        caption,
        f"Intervals of {', '.join(shown)} in both runs.",
    )
    words = f"Estimates; the difference is in units of √(sd₁² + sd₂²).{rest}"
    return Section("Parameters", (), (picture,), (Table.of(cells, "parameter", words),))


@figures.styled
def _drawn(one: Side, other: Side, rows) -> Figure:
    fig, axis = figures.canvas(height=0.9 + 0.3 * len(rows))
    colours = {one.name: figures.COLORS["posterior"], other.name: figures.COLORS["second"]}
    for row, (x, y, _, _) in enumerate(rows.values()):
        mean, sd = x.mean(), x.std() or y.std() or 1.0
        for draws, offset, colour in zip((x, y), (-0.14, 0.14), colours.values(), strict=True):
            scaled = (draws - mean) / sd
            for level, width in ((0.95, 1.2), (0.5, 3.5)):
                low, middle, high = figures.interval(scaled, level)
                axis.plot([low, high], [row + offset] * 2, color=colour, lw=width)
            axis.plot(middle, row + offset, "o", ms=4, color=colour, mec="white", mew=0.6)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel(f"distance from the mean of {one.name}, in its sd")
    figures.key(axis, colours, "upper right")
    return fig


def _data(one, other):
    """Whether the data are the same, what was set otherwise, and which run predicts better."""
    same = one.fit.attrs.get("data_sha256") == other.fit.attrs.get("data_sha256")
    words = ["Both runs were fitted to the same data." if same else "The data differ."]
    rows = {}
    for key in dict.fromkeys((*SAME, *one.fit.attrs, *other.fit.attrs)):
        ours, theirs = one.fit.attrs.get(key), other.fit.attrs.get(key)
        if (
            key in ("run", "created_at", "elapsed_seconds", "questions", "equation")
            or ours == theirs
        ):
            continue
        rows[key.replace("_", " ")] = {one.name: _cell(ours), other.name: _cell(theirs)}
    if same:
        words.append(_predicts(one, other))
    tables = (Table.of(rows, "attribute", "What is not the same."),) if rows else ()
    return Section("Data and settings", tuple(filter(None, words)), (), tables)


def _cell(value):
    text = "–" if value is None else short(value)
    return text if len(text) <= 160 else f"{text[:157]}…"


def _predicts(one, other):
    """Leave-one-out of both, on the same data: which predicts better, if it can be told."""
    groups = [side.fit.children.get("log_likelihood") for side in (one, other)]
    if not all(group is not None and group.data_vars for group in groups):
        return ""
    ours, theirs = loo(one.fit), loo(other.fit)
    if ours["pointwise"].shape != theirs["pointwise"].shape:
        return ""
    gain = theirs["pointwise"] - ours["pointwise"]
    total, error = float(gain.sum()), float(np.sqrt(gain.size) * gain.std())
    if abs(total) <= 2 * error:
        said = "which of them predicts better cannot be told"
    else:
        said = f"{other.name if total > 0 else one.name} predicts better"
    return (
        f"By leave-one-out {said}: the expected log predictive density "
        f"of {other.name} less that of {one.name} is {number(total, error)}."
    )


def _verdicts(one, other):
    rows = {}
    for side in (one, other):
        failed = [c.name for c in side.verdict.checks if c.required and not c.passed]
        rows[side.name] = {
            "verdict": "believed" if side.verdict.believed else "not believed",
            "failed": ", ".join(failed),
            "words": side.verdict.words,
        }
    return Section("Verdicts", (), (), (Table.of(rows, "run", "What the checks say of each."),))
