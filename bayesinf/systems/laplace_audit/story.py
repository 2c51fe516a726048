"""The story of the audit: may the covariance be used, what was asked, and who fails how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import audits
from bayesinf.posterior import noted
from bayesinf.report import Picture, Section, Story, Table, number, short
from bayesinf.report.numbers import summarised
from bayesinf.systems.laplace_audit import figures
from bayesinf.systems.laplace_audit.data import NAMES
from bayesinf.systems.laplace_audit.optimisers import ENDS

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["story"]

OPTIMISER = {
    "levenberg-marquardt": "Levenberg and Marquardt's method",
    "newton": "Newton's method",
    "gradient-descent": "gradient descent",
}


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell the audits: the first carries the answer."""
    (name, fit), *others = fits.items()
    how = OPTIMISER.get(str(fit.attrs.get("optimiser")), "the optimiser")
    judged = audits.verdict(fit)
    on_draws = "The verdict of this page is on the draws that take the normal's place."
    answer = (str(fit.attrs["answer"]), *_stopped(fit), *_beside(others))
    answer += () if judged.believed else (on_draws,)
    return Story(
        title="May the covariance be used?",
        question=f"A peak was fitted by {how}: may the inverse Hessian where that stopped be used "
        "for the covariance of its parameters?",
        answer=Section(
            "Yes" if judged.believed else "No",
            answer,
            (
                Picture(
                    "claims",
                    figures.claims(fit),
                    "Is the normal the posterior? Vermilion: the normal that is claimed; blue: "
                    "draws of the posterior; dashed: the profile likelihood. All are drawn to "
                    "their maximum: where they lie apart, the claim is wrong."
                    + (" Green: the truth." if noted(fit, "truth") is not None else ""),
                    "For each parameter the claimed normal, the draws' density and the profile.",
                ),
            ),
        ),
        numbers=Section("In numbers", (), (), (_table(fit),)),
        extra=(
            *_curve(fit),
            _asked(fit),
            *(_other(*each) for each in others),
            *_basins(fit),
            *_cases(fit),
        ),
        best=name,
    )


def _stopped(fit):
    path = noted(fit, "path")
    if path is None or fit.attrs.get("optimiser") != "gradient-descent":
        return
    start = ", ".join(
        f"{n} = {short(v, 3)}" for n, v in zip(NAMES, path["start"].values, strict=True)
    )
    found = noted(fit, "audit")
    off = ", ".join(
        f"{n} {short(abs(v), 2)}" for n, v in zip(NAMES, found["from_mode"].values, strict=True)
    )
    yield (
        f"The descent began at {start} and was stopped after {int(path['steps'])} steps of "
        f"{short(float(path['rate']), 1)}. Where it stopped the parameters are so many standard "
        f"deviations from the mode: {off}."
    )


def _beside(others):
    for _, fit in others:
        how = OPTIMISER.get(str(fit.attrs.get("optimiser")), "another optimiser")
        yield f"By {how}, from a guess: {_lower(str(fit.attrs['answer']))}"


def _lower(text):
    return text[0].lower() + text[1:]


def _table(fit):
    found = noted(fit, "audit")
    rows = {}
    for name in found["parameter"].values:
        one = found.sel(parameter=name)
        get = {
            each: float(one[each])
            for each in found.data_vars
            if one[each].dtype.kind == "f" and not one[each].dims
        }
        within = [get[f"drawn_{end}"] for end in ("central_low", "median", "central_high")]
        rows[str(name)] = {
            "claimed": number(get["point"], get["sd"]),
            "use": summarised(get["drawn_mean"], get["drawn_sd"], *within),
            "from the mode": f"{short(get['from_mode'], 2)} sd",
            "draws, 95 %": _ends(get["drawn_low"], get["drawn_high"], get["drawn_sd"]),
            "profile, 95 %": _ends(get["profile_low"], get["profile_high"], get["mode_sd"]),
            "normal as": str(one["transformation"].values),
        }
    return Table.of(
        rows,
        "parameter",
        "What is claimed, and what draws and profile likelihood say: sd in the second and third "
        "column are of claim and posterior; the distance is in those of the posterior.",
    )


def _ends(low, high, sd):
    from bayesinf.report import interval

    if not (np.isfinite(low) and np.isfinite(high)):
        return "open"
    return interval(low, high, sd)


def _asked(fit):
    rows = {
        one.name: {
            "found": one.message,
            "limit": one.threshold,
            "": "passed" if one.passed else ("FAILED" if one.required else "keep in mind"),
        }
        for one in audits.verdict(fit).checks
    }
    return Section(
        "What was asked",
        (
            "A normal stands for a posterior where its point is the top, its covariance the "
            "inverse curvature there, and the density falls off as a normal does. Each can fail "
            "by itself, and each was asked.",
        ),
        (),
        (Table.of(rows, "question", "Lengths are in standard deviations."),),
    )


def _curve(fit):
    if not {*NAMES} <= set(fit["posterior"].data_vars):
        return
    yield Section(
        "The peak",
        (),
        (
            Picture(
                "curve",
                figures.curve(fit),
                "Would one see it? Data with error bars, the curve where the optimiser stopped, "
                "and the band that holds 95 % of the posterior's curves.",
                "Data, the curve at the point that is audited, and the posterior's band.",
            ),
        ),
    )


def _other(name, fit):
    how = OPTIMISER.get(str(fit.attrs.get("optimiser")), name)
    return Section(
        f"The same by {how}", (str(fit.attrs["answer"]),), (), (_table(fit),), folded=True
    )


def _basins(fit):
    found = noted(fit, "basins")
    if found is None:
        return
    shares = {}
    for name in found["optimiser"].values:
        end = found["end"].sel(optimiser=name).values
        shares[str(name)] = {
            words: f"{100 * np.mean(end == k):.0f} %"
            for k, words in enumerate(ENDS)
            if np.any(found["end"].values == k)
        }
    a, b = (short(float(value), 2) for value in found["start"].values)
    yield Section(
        "Which start ends where",
        (
            f"From a grid of starts in μ and σ, with A = {a} and B = {b} at the start, each way "
            "down was followed to its end. Newton's method goes to any place without slope, a "
            "saddle as well as a top, and Levenberg and Marquardt's goes down only; gradient "
            "descent does too, if its steps are short enough, and takes long.",
        ),
        (
            Picture(
                "basins",
                figures.map_of_basins(found),
                "From where does each method find the peak? Colour: where a start ends; cross: "
                "the mode.",
                "Maps of starts in μ and σ, coloured by where each optimiser ends.",
            ),
        ),
        (Table.of(shares, "method", "Share of the starts that end at each place."),),
    )


def _cases(fit):
    found = noted(fit, "cases")
    if found is None:
        return
    rows = {
        str(name): {
            "what it is": str(one["what"].values),
            "what was said": str(one["answer"].values),
            "failed": str(one["failed"].values) or "nothing",
            "right": "yes" if one["right"] else "NO",
        }
        for name, one in ((each, found.sel(case=each)) for each in found["case"].values)
    }
    right = int(found["right"].sum())
    yield Section(
        "Claims that go wrong in one way each",
        (
            f"Of {len(rows)} claims of which it is known whether they may be used, and what is "
            f"wrong with them, {right} are told right.",
        ),
        (),
        (Table.of(rows, "case", "The audit of each, and whether it is right."),),
    )
