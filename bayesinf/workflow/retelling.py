"""Pages from fits: of a run just done, of one in a folder, of any InferenceData."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bayesinf import parallel
from bayesinf.errors import DataError
from bayesinf.publication import MANIFEST, changed, new_run, settled, staged
from bayesinf.systems import names, system
from bayesinf.workflow.tables import summary

if TYPE_CHECKING:
    import xarray as xr


__all__ = ["of_run", "retell", "story_of", "tell", "write_report"]

# A fit's name becomes that of a file and a link on the page.
PLAIN = re.compile(r"\w[\w +.-]*")


def retell(folder: str | os.PathLike) -> Path:
    """Make the page of a report again from the files in its folder alone.

    Parameters
    ----------
    folder : of a run of a script.

    Returns
    -------
    the path of ``index.html``; fits and ``summary.csv`` stay as they are.

    Raises
    ------
    DataError : no run wrote this folder, or a fit cannot be read.
    """
    from bayesinf.checks import check
    from bayesinf.posterior import load

    folder = Path(folder)
    manifest = settled(folder) or {"files": {}}
    run = manifest.get("run")
    told, stems = _read_verdict(folder)
    fits = {name: load(folder / f"{name}.nc") for name in stems}
    _refuse_mixture(folder, {name: fit.attrs.get("run") for name, fit in fits.items()}, run, told)
    _refuse_batches(fits)
    _refuse_unfinite(fits)
    asked = str(next(iter(fits.values())).attrs["system"])
    title = told.get("title") or asked.replace("_", " ")
    question = told.get("question") or f"What do the data say about {title}?"
    verdicts = {name: check(fit) for name, fit in fits.items()}
    keep = [f"{name}.nc" for name in stems]
    keep += ["summary.csv", *(name for name in manifest["files"] if name.endswith(".csv"))]
    with staged(folder, keep=keep, run=run) as hidden:
        tell(hidden, story_of(asked, title, question), fits, verdicts, told["command"])
    return folder / "index.html"


def _read_verdict(folder):
    """The ``verdict.json`` of a run, and the names of its fits: text, and files of this folder."""
    found = "a verdict.json without fits, as a calibration has it"
    try:
        told = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
        stems = list(told["fits"])
        texts = [told["command"], *(told.get(key) or "" for key in ("title", "question"))]
        if stems and all(map(PLAIN.fullmatch, stems)):
            if all(isinstance(text, str) for text in texts):
                return told, stems
            found = "a verdict.json whose title, question or command is no text"
        elif stems:
            found = "a verdict.json with fits that are no plain names of files"
        problem = None
    except OSError as error:
        found, problem = "no verdict.json" if folder.is_dir() else "no such folder", error
    except (ValueError, RecursionError) as error:
        found, problem = "a verdict.json that is no JSON", error
    except (LookupError, TypeError, AttributeError) as error:
        problem = error
    raise DataError(
        "no report to tell again",
        source=folder,
        expected="a folder with the fits and the verdict.json of a run",
        found=found,
    ) from problem


def _refuse_mixture(folder, runs, run, told):
    """Refuse fits that are not of the run that wrote the folder, or no longer as it wrote them."""
    strange = [name for name, its in runs.items() if its != run]
    strange += ["verdict"] if told.get("run") != run else []
    edited = changed(folder, [f"{name}.nc" for name in runs])
    if strange or edited:
        raise DataError(
            "the folder mixes files of several runs",
            source=folder,
            expected=f"files of run {run}, as {MANIFEST} lists them",
            found=f"others: {', '.join(strange or edited)}",
            remedy="run the workflow again, or make a report of one file by bayesinf.write_report",
        )


def write_report(
    fits: xr.DataTree | Mapping[str, xr.DataTree],
    folder: str | os.PathLike,
    *,
    title: str | None = None,
    question: str | None = None,
    inference: str | None = None,
) -> Path:
    """Write a report of any InferenceData: files, tables, verdict and page.

    Parameters
    ----------
    fits : an InferenceData, or name to InferenceData, the first of which carries the answer; of
        bayesinf, or of whatever library (``foreign.adopted``).
    folder : where to; what a report before left there goes, anything else stays.
    title, question : of the page.
    inference : kind of inference; None for what each file says, or shows.

    Returns
    -------
    the path of ``index.html``.

    Raises
    ------
    DataError : there is no posterior, or it holds NaN; the kind of inference is unknown.
    """
    from bayesinf.checks import check
    from bayesinf.foreign import adopted
    from bayesinf.posterior import save

    several = isinstance(fits, Mapping) and not hasattr(fits, "children")
    named = fits if several else {"posterior": fits}
    run = new_run()
    named = {name: of_run(adopted(fit, inference), run) for name, fit in named.items()}
    _refuse_unfinite(named)
    title = title or str(next(iter(named.values())).attrs["model"])
    question = question or "What do the data say about the parameters?"
    verdicts = {name: check(fit) for name, fit in named.items()}
    command = f"bayesinf.write_report(fits, {str(folder)!r})"
    with staged(Path(folder), run=run) as hidden:
        for name, fit in named.items():
            save(fit, hidden / f"{name}.nc")
        summary(named).assign(run=run).to_csv(hidden / "summary.csv", index=False)
        plain = partial(_plain_story, title=title, question=question)
        tell(hidden, plain, named, verdicts, command)
    return Path(folder) / "index.html"


def of_run(fit: xr.DataTree, run: str) -> xr.DataTree:
    """Return a fit that bears the id of a run; the one given stays as it is."""
    fit = fit.copy()
    fit.attrs["run"] = run
    return fit


def _plain_story(fits, title, question):
    from bayesinf.report import plain_story

    return plain_story(fits, title, question)


def tell(folder, story, fits, verdicts, command):
    """Tell the story, write the page, and return what was told."""
    from bayesinf.report import write

    # Small matrices by the hundred: threads of BLAS that wait for each other cost more than they
    # bring, on a busy machine tenfold.
    with parallel.one_blas_thread():
        told = story(fits)
        write(folder, told, fits, verdicts, command=command)
    return told


def _refuse_batches(fits):
    """Refuse a batch, whose page is drawn of its source by its own script."""
    for name, fit in fits.items():
        if fit.attrs.get("inference") == "batch":
            raise DataError(
                "a batch has a page of its own, which its script makes",
                source=name,
                expected="the fit of one data set",
                remedy="run the script again, or --only NAME for the page of one of it",
            )


def _refuse_unfinite(fits):
    """Refuse draws that no figure can show."""
    from bayesinf.posterior import reported

    for name, fit in fits.items():
        for label in reported(fit):
            draws = fit["posterior"][label]
            if not bool((abs(draws) < float("inf")).all()):
                raise DataError(
                    "the draws hold NaN or infinity",
                    source=name,
                    where=label,
                    remedy="there is nothing to report: look at the fit",
                )


def story_of(name, title, question):
    """The story of a system of that name; a plain one where there is none."""
    from bayesinf.report import plain_story

    told = getattr(system(name), "story", None) if name in names() else None
    return told or partial(plain_story, title=title, question=question)
