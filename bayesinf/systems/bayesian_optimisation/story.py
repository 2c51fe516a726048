"""The story of the report: where the minimum is, how deep, and what to measure next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import noted
from bayesinf.report import (
    ESTIMATED,
    Picture,
    Section,
    Story,
    Table,
    estimates,
    quantity,
    sections,
    short,
    value_with_unit,
)
from bayesinf.systems.bayesian_optimisation import figures
from bayesinf.systems.bayesian_optimisation.objectives import OBJECTIVES

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["story"]

TWO = 0.05  # share of draws that a second place must have to be told
APART = 0.1  # of an input's range, from which two places are two


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell the fits: the first carries the answer, the others stand beside it."""
    (name, fit), *others = fits.items()
    kind = figures.least(fit)
    told = noted(fit, "evaluations")
    one = len(figures.inputs(fit)) == 1
    return Story(
        title=_title(fit),
        question=f"Where is {_called(fit)} {'largest' if kind == 'maximum' else 'smallest'}, how "
        f"{'high' if kind == 'maximum' else 'deep'} is it there, and what should be measured next "
        f"after {told.sizes['evaluation']} evaluations?",
        answer=Section(f"The {kind}", tuple(_answer(fit)), tuple(_pictures("", fit))),
        numbers=Section("In numbers", (), (), tuple(_tables(fit))),
        predictive=sections.predictive(
            fit,
            (),
            "Each value is predicted from all the others, and the statistics are of these "
            "residuals, in units of their predicted sd.",
        ),
        classical=_classical(fit),
        priors=sections.priors({name: fit}),
        extra=(
            *(_steps("", fit) if one else _slices("", fit)),
            _next(fit),
            *(section for other in others for section in _other(*other)),
        ),
        best=name,
    )


def _called(fit):
    known = OBJECTIVES.get(fit.attrs.get("objective"))
    return figures.terms(fit)["name"] if known is None else known.title


def _title(fit):
    called, kind = _called(fit), figures.least(fit)
    return f"The {kind} of {called}"


def _unit(fit):
    return figures.terms(fit)["units"]


def _rough(value, unit):
    """A number with two digits and its unit."""
    return value_with_unit(float(f"{float(value):.2g}"), None, unit)


def _place(fit):
    """Where the extremum is, in words, with its uncertainty."""
    kind = figures.least(fit)
    draws = fit["posterior"].dataset
    return ", ".join(f"{n} = {quantity(draws[f'{n}_at_{kind}'])}" for n in figures.inputs(fit))


def _clusters(fit):
    """Places of the extremum that are apart from each other, and the share of draws at each."""
    kind, known = figures.least(fit), figures.terms(fit)["inputs"]
    x = np.stack([fit["posterior"][f"{o['name']}_at_{kind}"].values.ravel() for o in known], axis=1)
    widths = np.array([one["high"] - one["low"] for one in known])
    left, found = np.ones(len(x), dtype=bool), []
    while left.any():
        near = np.abs(x[:, None] - x[None, np.flatnonzero(left)[:200]]) < APART * widths
        counts = (near.all(axis=2) & left[:, None]).sum(axis=0)
        centre = x[np.flatnonzero(left)[:200][np.argmax(counts)]]
        mine = left & np.all(np.abs(x - centre) < APART * widths, axis=1)
        found.append((np.median(x[mine], axis=0), mine.mean()))
        left &= ~mine
        if mine.mean() < TWO / 5:
            break
    return [one for one in found if one[1] >= TWO]


def _answer(fit):
    kind, unit = figures.least(fit), _unit(fit)
    depth = quantity(fit["posterior"][kind])
    names, clusters = figures.inputs(fit), _clusters(fit)
    if len(clusters) > 1:
        places = "; ".join(
            f"{', '.join(f'{n} ≈ {short(v, 3)}' for n, v in zip(names, at, strict=True))} "
            f"({share:.0%} of the posterior)"
            for at, share in clusters
        )
        said = f"The {kind} of {_called(fit)} is {depth}"
        yield f"{said}, at one of {len(clusters)} places: {places}."
    else:
        yield f"The {kind} of {_called(fit)} is {depth}, at {_place(fit)}."
    best, short_of = noted(fit, "recommended"), fit["sample_stats"]["shortfall"]
    at = ", ".join(f"{name} = {short(float(best[name]), 4)}" for name in names)
    exact = figures.terms(fit)["noise"] == 0
    value = value_with_unit(float(best["mean"]), None if exact else float(best["sd"]), unit)
    what = "the best that was measured" if exact else "where the mean of all curves is best"
    yield (
        f"To be used now: {at}, {what}, with {figures.terms(fit)['name']} = {value} there; "
        f"the {kind} may be better by {_rough(short_of.mean(), unit)} on average, and by more than "
        f"{_rough(np.quantile(short_of, 0.95), unit)} with a chance of 5 %."
    )
    asked = noted(fit, "next")
    places = "; ".join(
        ", ".join(f"{n} = {short(float(asked[n][k]), 5)}" for n in names)
        for k in range(asked.sizes["candidate"])
    )
    yield f"Next: {places}. {_word(fit)}."


def _word(fit):
    """Whether to go on, as a sentence."""
    return f"{fit.attrs['word'][0].upper()}{fit.attrs['word'][1:]}"


def _pictures(stem, fit):
    kind = figures.least(fit)
    if len(figures.inputs(fit)) == 1:
        yield Picture(
            f"{stem}minimum",
            figures.minimum(fit),
            f"Where is the {kind}, and how deep? The curve with its 95 % band; below, where its "
            f"{kind} is and how deep, one count for each drawn curve; vermilion: the best that was "
            "measured.",
            f"A curve with its band, and histograms of the place and the depth of its {kind}.",
        )
        return
    yield Picture(
        f"{stem}places",
        figures.places(fit),
        f"Where is the {kind}, and how deep? Along each input between its bounds, and last the "
        "depth: one count for each drawn curve. Several humps are several places.",
        f"Histograms of the place of the {kind} along each input, and of its depth.",
    )
    yield _progress(stem, fit)


def _progress(stem, fit):
    kind = figures.least(fit)
    return Picture(
        f"{stem}progress",
        figures.progress(fit),
        f"How did it come about? Evaluations in their order, the best so far, and the {kind} as it "
        "is known now: where the line meets the band, nothing is left to be gained. Hollow: a "
        "constraint was not met; crosses at the bottom: no value could be had.",
        f"Values by evaluation, with the best so far and the band of the {kind}.",
    )


def _tables(fit):
    yield Table(estimates(fit), f"Minimum and hyperparameters: {ESTIMATED}.")


def _classical(fit):
    found, kind = noted(fit, "classical"), figures.least(fit)
    name, unit = figures.terms(fit)["name"], _unit(fit)
    noisy = figures.terms(fit)["noise"] != 0
    best = "largest" if kind == "maximum" else "smallest"
    if not np.isfinite(found[kind]):
        return Section("The best value measured", ("No value met the constraints.",))
    words = [
        f"The classical answer is the {best} value that was measured, "
        f"{value_with_unit(float(found[kind]), None, unit)}."
    ]
    median = float(fit["posterior"][kind].median())
    gap = abs(median - float(found[kind]))
    if noisy:
        words.append(
            f"It has noise, and was chosen for being the {best}, so that it is too good by luck; "
            f"the posterior's median of the {kind} is {_rough(gap, unit)} away. The mean of the "
            "curve, which knows the neighbours as well, has no such luck."
        )
    else:
        words.append(
            f"Values of {name} are exact, so that the {kind} is at least as good; the posterior "
            "says by how much it may be better where nobody measured."
        )
    pictures = () if len(figures.inputs(fit)) > 1 else (_progress("", fit),)
    return Section("The best value measured", tuple(words), pictures)


def _steps(stem, fit):
    if noted(fit, "steps") is None or not noted(fit, "steps").sizes.get("count"):
        return
    yield Section(
        "Step by step",
        (
            "Each evaluation is made where most is to be gained: the expected improvement on the "
            "best so far weighs how low the curve may be against how little is known of it. Every "
            "other one, where values are exact, is made where the curve is expected to be lowest, "
            "unless that promises next to nothing.",
        ),
        (
            Picture(
                f"{stem}steps",
                figures.steps(fit),
                "What was known after so many evaluations: curve with its 95 % band, averaged over "
                "hyperparameters and kernels; below, the expected improvement (EI), as far as the "
                "title says; the line is where was measured next.",
                "Panels of curves with bands, each with its expected improvement.",
            ),
        ),
    )


def _slices(stem, fit):
    yield Section(
        "Along each input",
        ("What matters, and what does not? A curve that is flat along an input leaves it free.",),
        (
            Picture(
                f"{stem}slices",
                figures.slices(fit),
                "The curve along each input through the recommended place: mean and 95 % band. "
                "Ticks at the bottom are where was measured.",
                "Curves along each input with bands.",
            ),
        ),
    )


def _next(fit):
    asked, name = noted(fit, "next"), figures.terms(fit)["name"]
    rows = {}
    for k in range(asked.sizes["candidate"]):
        one = asked.isel(candidate=k)
        row = {n: short(float(one[n]), 6) for n in figures.inputs(fit)}
        if np.isfinite(one["mean"]):
            row[f"{name} expected"] = (
                f"{short(float(one['mean']), 4)} ± {short(float(one['sd']), 2)}"
            )
            row["expected improvement"] = short(float(one["expected_improvement"]), 2)
        if float(one["feasible"]) < 1:
            row["chance that it is possible"] = f"{float(one['feasible']):.0%}"
        rows[str(k + 1)] = row
    return Section(
        "What to measure next",
        (
            f"{_word(fit)}. Of several places each is chosen as if those before it had been "
            "measured, averaged over what they may bring.",
        ),
        (),
        (Table.of(rows, "place", "Places to measure, in this order or side by side."),),
    )


def _other(name, fit):
    """A further fit: its answer, its pictures, its numbers."""
    title = f"{_called(fit)[0].upper()}{_called(fit)[1:]}"
    noisy = figures.terms(fit)["noise"] != 0
    title += " with noise" if noisy else ""
    answer = tuple(_answer(fit))
    yield Section(title, answer, tuple(_pictures(f"{name}_", fit)), tuple(_tables(fit)))
