"""Sections that any fit can be told by: its numbers, its replicas, its priors.

A ``Story`` that leaves one of them out gets it from here, and ``plain_story`` is made of nothing
else, so that a new system can be read before it has a story of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import figures
from bayesinf.posterior import prior_words, reported, true_values
from bayesinf.report.numbers import (
    ESTIMATED,
    described,
    estimate,
    estimates,
    interval,
    value_with_unit,
)
from bayesinf.report.story import Picture, Section, Story, Table

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["derived", "model", "new_rows", "numbers", "plain_story", "predictive", "priors"]

MOST_ROWS = 24  # of a table of parameters


def numbers(fit: xr.DataTree, title: str = "In numbers") -> Section:
    """Tell the parameters, with the truth where it is known.

    Of a fit with many parameters those are told that stand clearest of zero.
    """
    shown = figures.representative(fit, MOST_ROWS, clearest=True)
    total = sum(fit["posterior"][name][0, 0].size for name in reported(fit))
    some = f", {len(shown)} of {total}" if len(shown) < total else ""
    caption = f"Parameters{some}: {ESTIMATED}; and the interval that holds 95 %."
    return Section(title, tables=(Table(estimates(fit, shown, true_values(fit) or None), caption),))


def derived(
    draws: Mapping[str, np.ndarray],
    *,
    units: Mapping[str, str] | None = None,
    truth: Mapping[str, float] | None = None,
    caption: str = "Quantities that follow from the parameters.",
) -> Table:
    """Tabulate quantities that follow from the parameters, with the truth where it is known.

    Parameters
    ----------
    draws : name to draws of a number, any shape.
    units : name to unit; what is not named is dimensionless.
    truth : name to known value.
    caption : what to read from the table.

    Returns
    -------
    a row a quantity.
    """
    rows = {
        name: estimate(values, (units or {}).get(name, "1"), name, truth)
        for name, values in draws.items()
    }
    return Table.of(rows, "quantity", caption)


def model(fit: xr.DataTree) -> Section | None:
    """Tell the model as an equation, and which of the data it was fitted to; None where a fit says
    neither.

    Parameters
    ----------
    fit : InferenceData, with the root attributes ``equation`` (LaTeX) and ``data_used``, where
        there are any.
    """
    used = fit.attrs.get("data_used")
    if not (used or fit.attrs.get("equation")):
        return None
    return Section(str(fit.attrs["model"]), (used,) if used else ())


def predictive(fit: xr.DataTree, pictures: Sequence[Picture] = (), *words: str) -> Section | None:
    """Tell how the data look among data that the posterior replicates; None without replicas.

    Parameters
    ----------
    fit : InferenceData.
    pictures : what a system shows before the statistics that every fit has.
    *words : what it says first.
    """
    compared = fit["sample_stats"].get("discrepancy")
    if compared is None or not compared.size:
        return None
    names = [str(name) for name in compared["statistic"].values]
    statistics = Picture(
        "predictive_statistics",
        figures.predictive_statistics(fit),
        "Would replicas of the data show what the data show? Blue: replicas; black: the data. "
        "Where a statistic depends on the parameters too, each point is a draw, and the points "
        "should lie on both sides of the line, on which a replica has the value of the data. p "
        "near 0 or 1 is a misfit.",
        f"Distributions over replicas of {', '.join(names)}, with the data's values.",
    )
    shared = (
        "Data were drawn from the posterior as often as it has draws. A model that describes the "
        "data makes replicas among which they do not stand out; p is the share of replicas whose "
        "statistic is the larger one."
    )
    return Section("The data, and replicas of them", (*words, shared), (*pictures, statistics))


def new_rows(fit: xr.DataTree, target: str) -> tuple[Section, ...]:
    """Tell what is foretold of the rows of a new file; nothing where there was none.

    Parameters
    ----------
    fit : whose ``predictions``, over ``new_row``, hold draws of ``mean`` and of new data.
    target : name of these.
    """
    if "predictions" not in fit.children or "new_row" not in fit["predictions"].dims:
        return ()
    group, rows = fit["predictions"], {}
    for k, row in enumerate(group["new_row"].values[:MOST_ROWS]):
        mean, new = group["mean"][..., k].values, group[target][..., k].values
        sd = float(new.std()) or 1.0
        bands = (interval(*map(float, np.quantile(v, [0.025, 0.975])), sd) for v in (mean, new))
        rows[str(row)] = dict(
            zip(("mean", "its 95 %", "95 % of new data"), (described(mean), *bands), strict=True)
        )
    first = "The first rows." if len(rows) < group.sizes["new_row"] else "."
    return (
        Section(
            "New rows",
            (f"{group.sizes['new_row']} rows are foretold; all of them stand in predictions.csv.",),
            (
                Picture(
                    "predictions",
                    figures.new_rows(fit, target),
                    "Narrow: where the mean of such rows lies; wide: where 95 % of such data lie.",
                    "Intervals of mean and data for each new row.",
                ),
            ),
            (Table.of(rows, "row", first),),
        ),
    )


def priors(
    fits: Mapping[str, xr.DataTree],
    best: str | None = None,
    pictures: Sequence[Picture] = (),
    *words: str,
) -> Section | None:
    """Tell what was believed before the data, and how much narrower the posterior is; None where
    the fits hold nothing of their priors.

    Parameters
    ----------
    fits : name to InferenceData; their priors stand side by side where they differ.
    best : whose posterior is drawn; None takes the first.
    pictures : what a system shows besides.
    *words : what it says first.
    """
    said: dict[str, dict[str, str]] = {}
    for fit, one in fits.items():
        for name, text in prior_words(one).items():
            said.setdefault(name, {})[fit] = text
    if all(len(set(texts.values())) == 1 for texts in said.values()):
        said = {name: {"prior": next(iter(texts.values()))} for name, texts in said.items()}
    fit = fits[best or next(iter(fits))]
    known = figures.elements(fit, [n for n in fit["posterior"].data_vars if n in fit["prior"]])
    shown = [name for name in figures.representative(fit, clearest=True) if name in known]
    drawn = ()
    if shown:
        truth = {name: value for name, value in true_values(fit).items() if name in shown}
        drawn = (
            Picture(
                "prior_posterior",
                figures.prior_posterior(fit, shown, truth or None),
                "What the data add: prior (grey; where it would be a line on the axis, how many "
                "times narrower the posterior is) and posterior (blue)"
                + (", and the truth (green)." if truth else "."),
                f"Densities of prior and posterior of {', '.join(shown)}.",
            ),
        )
    if not (said or drawn or pictures or words):
        return None
    shared = "Where the posterior is much narrower than the prior, the data have spoken."
    tables = (Table.of(said, "parameter", "Priors."),) if said else ()
    return Section("What was believed before", (*words, shared), (*drawn, *pictures), tables)


def plain_story(fits: Mapping[str, xr.DataTree], title: str, question: str) -> Story:
    """Tell any fits: the first parameter for the answer, and the shared sections.

    Parameters
    ----------
    fits : name to InferenceData; the first carries the answer.
    title, question : of the report.

    Returns
    -------
    a Story.
    """
    best = next(iter(fits))
    fit, truth = fits[best], true_values(fits[best])
    shown = figures.representative(fit, 3, clearest=True) or list(figures.elements(fit))[:1]
    draws = figures.elements(fit, shown[:1])[shown[0]]
    value = value_with_unit(float(draws.mean()), float(draws.std()), draws.units)
    picture = Picture(
        "answer",
        figures.pair(fit, shown, truth),
        f"The posterior of {', '.join(shown)}: regions that hold 50 and 90 % of it.",
        f"Posterior densities of {', '.join(shown)}, alone and in pairs.",
    )
    extra = []
    if figures.abscissa(fit) is not None:
        extra = [Section("Parameters in pairs", pictures=(replace(picture, name="pairs"),))]
        picture = Picture(
            "answer",
            figures.predictive_band(fit),
            "The data, and the band that holds 95 % of data replicated from the posterior.",
            "Data with a predictive band.",
        )
    extra += _forests(fit, truth)
    extra += [numbers(one, f"In numbers: {name}") for name, one in fits.items() if name != best]
    answer = Section(f"{shown[0]} = {value}", pictures=(picture,))
    return Story(title, question, answer, extra=tuple(extra), best=best)


def _forests(fit, truth):
    """Intervals of the elements of each vector beside each other, which share a unit."""
    pictures = []
    for name in reported(fit):
        labels = list(figures.elements(fit, [name]))
        if len(labels) > 1:
            labels = labels[:MOST_ROWS]
            caption = f"{name}: median, and intervals that hold 50 and 95 % of the posterior"
            caption += ", with the truth (green)." if set(labels) & set(truth) else "."
            alt = f"Intervals of {', '.join(labels)}."
            stem = re.sub(r"\W+", "_", f"forest_{name}")
            pictures.append(Picture(stem, figures.forest(fit, labels, truth), caption, alt))
    return [Section("Side by side", pictures=tuple(pictures[:4]))] if pictures else []
