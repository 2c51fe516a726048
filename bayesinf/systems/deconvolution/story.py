"""The story of the report: question, answer, numbers, and what is left to the prior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import noted, true_values
from bayesinf.report import (
    ESTIMATED,
    Picture,
    Section,
    Story,
    Table,
    estimates,
    exact,
    number,
    quantity,
    sections,
    short,
)
from bayesinf.systems.deconvolution import figures
from bayesinf.systems.deconvolution.data import Shape
from bayesinf.systems.deconvolution.model import CALLED, SMOOTH, best

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["story"]

NAMES = {
    **CALLED,
    "positive": "second differences, f ≥ 0",
    "open_edges": "open edges",
    "shaw": "Shaw's problem",
}


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell what the signal is, from the fits alone.

    Parameters
    ----------
    fits : names of ``SMOOTH``, ``positive``, ``open_edges`` and ``shaw``; those of one data set
        have the answer among them, with what ``with_comparison`` puts beside it.
    """
    name = best(fits)
    main = fits[name]
    same = {n: fit for n, fit in fits.items() if n in SMOOTH or n in ("positive", name)}
    extra = (_directions(main), *_edges(fits, name), *_shaw(fits, name))
    return Story(
        title="A signal behind a blur",
        question="What is the signal behind the blur, and how much of it do the data decide?",
        answer=Section("The signal", (_answer(main, name),), (_signal(main, "signal"),)),
        numbers=_numbers(same, main, name),
        predictive=sections.predictive(main),
        classical=_classical(same, main),
        priors=sections.priors(
            same,
            name,
            (),
            "The level has one and the same proper prior under every smooth prior. Scale and noise "
            "are inferred, and so is the length over which the squared exponential is smooth.",
        ),
        extra=extra,
        best=name,
        derived=dict(noted(main, "shape").data_vars),
    )


def _answer(fit, name):
    shape, found, true = noted(fit, "shape"), noted(fit, "directions"), noted(fit, "truth")
    said = ", ".join(
        f"{what} {quantity(shape[key])}"
        for what, key in (
            ("height", "height"),
            ("width at half its height", "width"),
            ("area", "area"),
        )
    )
    count = fit["posterior"].sizes["position"]
    decided = int(found["decided"])
    opening = "" if decided else "The data decide nothing of the signal, its prior all of it. "
    text = opening + (
        f"The signal has {said} (prior: {NAMES.get(name, name)}). Of the {count} numbers that "
        f"make it up the data decide {decided} combinations; the rest is left to the "
        "prior."
    )
    if true is not None and "signal" in true:
        band = noted(fit, "band")
        away = np.abs(true["signal"].values - band["mean"].values) / band["sd"].values
        out = away > float(band["factor"])
        rms = _rms(band["mean"].values, fit)
        where = "lies within the simultaneous band everywhere"
        if out.any():
            places = band["position"].values[out]
            where = (
                f"leaves the simultaneous band at {out.sum()} of {out.size} positions, between "
                f"{short(places[0])} and {short(places[-1])}"
            )
        text += f" The true signal {where}; the rms error of the posterior mean is {short(rms, 2)}."
    return text + _peaked(fit)


def _peaked(fit):
    """That a form is one at its peak, where a blur that loses nothing has an area of one."""
    stated = fit.attrs.get("response", "")
    if not stated or (shape := Shape.parse(stated)).area:
        return ""
    size = short(shape.size, 4)
    return (
        f" The response {shape} is one at its peak, and its area {size}: of a blur that takes "
        f"nothing away ({shape}:area) the signal is {size} times as large."
    )


def _rms(signal, fit):
    """Rms distance of a signal from the truth."""
    return float(np.sqrt(np.mean((signal - noted(fit, "truth")["signal"].values) ** 2)))


def _signal(fit, stem):
    lines = "; dashed: the truth" if figures.true_signal(fit) is not None else ""
    if noted(fit, "classical") is not None:
        lines += "; vermilion: Tikhonov's answer"
    return Picture(
        stem,
        figures.signal(fit),
        "Above: the signal; the inner band holds it with 95 % probability at each position, the "
        f"outer one everywhere at once{lines}. Below: the data, and the band of data replicated "
        "from the posterior.",
        "A signal with two bands over its position, above the blurred data.",
    )


def _numbers(fits, main, name):
    tables = [_shapes(fits, main)]
    evidence = noted(main, "evidence")
    words = ["Height, centre, width and area are read off each drawn signal."]
    if evidence is not None and evidence.sizes["model"] > 1:
        value = evidence["log_evidence"]
        away = value - value.max("model")
        order = away.sel(width=1.0).values.argsort()[::-1]
        (first, second) = (str(evidence["model"].values[k]) for k in order[:2])
        gap = -float(away.sel(width=1.0, model=second))
        words.append(
            f"By evidence {CALLED[first]} beats {CALLED[second]} by {gap:.1f} in its logarithm, "
            f"odds of {short(np.exp(gap), 2)} to one, if both were as likely before."
        )
        rows = {
            CALLED[str(one.values)]: {
                f"level's prior × {w:g}": f"{float(away.sel(model=one, width=w)):.1f}".replace(
                    "-", "−"
                )
                for w in evidence["width"].values
            }
            for one in evidence["model"]
        }
        caption = (
            "Log evidence below that of the best, by the width of the priors of level and slope: "
            "where the order depends on the width, it is the width that decides."
        )
        tables.append(Table.of(rows, "prior of the signal", caption))
    scalars = [n for n, v in main["posterior"].data_vars.items() if v.ndim == 2]
    frame = estimates(main, scalars, true_values(main) or None)
    tables.append(Table(frame, f"Parameters, {NAMES.get(name, name)}: {ESTIMATED}."))
    less = "" if figures.true_signal(main) is None else ", less the truth"
    errors = Picture(
        "priors_compared",
        figures.side_by_side(fits, NAMES),
        f"The signal under each prior{less}: mean, 95 % band and six draws. Waves that a draw has "
        "and the next one has not are left by the prior: the data do not see them.",
        "Bands of the signal under each prior, side by side.",
    )
    return Section("The signal in numbers, and which prior", tuple(words), (errors,), tuple(tables))


def _shapes(fits, main):
    rows = {}
    for name, fit in fits.items():
        shape = noted(fit, "shape")
        rows[NAMES.get(name, name)] = {key: quantity(draws) for key, draws in shape.items()}
    if (true := noted(main, "true_shape")) is not None:
        known = noted(main, "shape")
        rows["truth"] = {
            key: exact(float(value), float(known[key].std())) for key, value in true.items()
        }
    caption = f"Of each drawn signal: {ESTIMATED}. Width is that at half the height."
    return Table.of(rows, "prior of the signal", caption)


def _classical(fits, main):
    textbook = noted(main, "classical")
    if textbook is None:
        return None
    known = noted(main, "truth") is not None
    rows = {}
    for order, name in ((1, "classical"), (2, "classical_second")):
        for one in noted(main, name).transpose("rule", ...)["rule"].values:
            found = noted(main, name).sel(rule=one)
            label = f"Tikhonov, differences of order {order}, {one}"
            rows[label] = {
                "λ": short(float(found["penalty"]), 3),
                "degrees of freedom": f"{float(found['freedom']):.1f}",
            }
            if known:
                rows[label]["rms error"] = f"{_rms(found['signal'].values, main):.4f}"
    for name, fit in fits.items():
        label, cells = f"posterior mean, {NAMES.get(name, name)}", {}
        if (drawn := noted(fit, "penalty")) is not None:
            values = drawn["penalty"].values
            cells["λ"] = number(float(values.mean()), float(values.std()))
        cells["degrees of freedom"] = f"{float(noted(fit, 'directions')['freedom']):.1f}"
        if known:
            cells["rms error"] = f"{_rms(noted(fit, 'band')['mean'].values, main):.4f}"
        rows[label] = cells
    pictures = ()
    if (first := fits.get("first_differences")) is not None:
        pictures = (
            Picture(
                "penalty",
                figures.penalties(first, textbook),
                "Tikhonov's λ for first differences. Top: what the posterior of scale and noise "
                "says of it, and what the rules choose. Bottom: the score of generalised "
                "cross-validation, and the L-curve, with the rules' places on them.",
                "Posterior density of lambda, cross-validation score and L-curve.",
            ),
        )
    words = (
        "Tikhonov's answer is the mode of the posterior at one λ = (σ / scale hᵏ)², h the step of "
        "the grid and k the order of the differences. A rule has to choose λ, and gives no band; "
        "the posterior averages over all λ that the data allow."
    )
    return Section(
        "Tikhonov regularisation",
        (words,),
        pictures,
        (Table.of(rows, "method", "λ, degrees of freedom, and the error."),),
    )


def _directions(fit):
    found = noted(fit, "directions")
    condition = float(fit["sample_stats"].get("condition_number", np.nan))
    words = (
        f"In the directions of the prior the data are worth {float(found['freedom']):.1f} degrees "
        f"of freedom; {int(found['decided'])} directions are known better from the data than "
        "beforehand."
    )
    words += f" The response has condition number {short(float(found['condition']), 1)}"
    words += f", with the prior {short(condition, 1)}." if np.isfinite(condition) else "."
    return Section(
        "What the data decide",
        (words,),
        (
            Picture(
                "directions",
                figures.directions(fit),
                "Left: information on each direction, the data's over the prior's. Right: some of "
                "the directions, the smallest numbers the best known: the blue ones the data "
                "decide; on the grey ones only the prior keeps the signal from waving.",
                "Falling information against the number of the direction, and their shapes.",
            ),
        ),
    )


def _edges(fits, name):
    """How much it matters what one knows about the signal outside the window."""
    if "open_edges" not in fits:
        return
    closed, opened = (noted(fits[n], "shape") for n in (name, "open_edges"))
    box = str(fits["open_edges"].attrs.get("response", "")).startswith("box")
    blind = (
        " A box of width 2w does not see a wave of period 2w at all, unless the wave ends." * box
    )
    yield Section(
        "What is known beyond the edges",
        (
            "The fits above know that there is no signal outside the window of the data. Where it "
            "may go on, as far as the response reaches, the same data say less: height "
            f"{quantity(opened['height'])} in place of {quantity(closed['height'])}.{blind}",
        ),
        (_signal(fits["open_edges"], "open_edges"),),
    )


def _shaw(fits, name):
    if "shaw" not in fits or name == "shaw":
        return
    fit = fits["shaw"]
    seen, size = noted(fit, "directions"), fit["posterior"].sizes["position"]
    inside = _answer(fit, "squared_exponential").split("The true")[1]
    yield Section(
        "Shaw's problem",
        (
            f"The image of a slit under diffraction, {size} data of {size} numbers, their noise "
            f"known: the condition number is {short(float(seen['condition']), 1)}, and the data "
            f"decide {int(seen['decided'])} directions. The true{inside}",
        ),
        (_signal(fit, "shaw"),),
    )
