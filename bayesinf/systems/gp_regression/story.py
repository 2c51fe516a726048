"""The story of the report: the curve and its length scale, which kernel, and who is honest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import element_names, noted
from bayesinf.report import (
    ESTIMATED,
    Picture,
    Section,
    Story,
    Table,
    estimates,
    exact,
    quantity,
    sections,
    short,
    value_with_unit,
)
from bayesinf.systems.gp_regression import figures

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["story"]

DECISIVE = 20.0  # Bayes factor from which one kernel is preferred to another
TITLES = {"noisy": "Twenty noisy points", "co2": "Carbon dioxide at Mauna Loa"}


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell the fits: the first carries the answer, the others stand beside it."""
    (name, fit), *others = fits.items()
    y = _y(fit)
    return Story(
        title=f"A curve through {y.size} points",
        question=f"What curve of {_inputs(fit)} do {y.size} values of {y.name} follow, and how "
        "surely is it known between them?",
        answer=Section(_title(fit), tuple(_answer(fit)), (_drawn("", fit),)),
        numbers=Section("In numbers", (), (), (_table(fit),)),
        predictive=sections.predictive(
            fit,
            (),
            "Each value is predicted from all the others, and the statistics are of these "
            "residuals, in units of their predicted sd.",
        ),
        classical=_classical(fit),
        priors=sections.priors({name: fit}, None, tuple(_prior_curves(fit))),
        extra=(
            *sections.new_rows(fit, str(y.name)),
            *_forecast("", fit),
            *_parts("", fit),
            *_comparison(fit),
            *_steps(fit),
            *(section for other in others for section in _other(*other)),
        ),
        best=name,
    )


def _y(fit):
    return next(iter(fit["observed_data"].data_vars.values()))


def _inputs(fit):
    found = noted(fit, "slices")
    if found is not None:
        return ", ".join(map(str, found["along"].values))
    return str(figures.along(noted(fit, "curve")).name)


def _scales(fit):
    """Length scales in words, by their names."""
    posterior = fit["posterior"].dataset
    for name, draws in posterior.data_vars.items():
        if not str(name).startswith("length_scale"):
            continue
        if draws.ndim == 2:
            yield str(name), quantity(draws)
            continue
        units = dict(zip(draws["input"].values, draws.attrs["units"].split(", "), strict=False))
        for label, at in element_names(draws).items():
            one = draws[at]
            unit = units.get(one["input"].item(), draws.attrs["units"])
            yield label, quantity(one.assign_attrs(units=unit))


def _title(fit):
    words = [f"{name.replace('_', ' ')} {said}" for name, said in _scales(fit)]
    return f"{words[0][0].upper()}{words[0][1:]}" if len(words) == 1 else "The curve and its parts"


def _answer(fit):
    y, written = _y(fit), fit.attrs["written"]
    unit = y.attrs.get("units", "1")
    scales = dict(_scales(fit))
    band = noted(fit, "curve") if noted(fit, "curve") is not None else noted(fit, "slices")
    if "at" not in band:
        x, seen = figures.along(band), fit["observed_data"][figures.along(band).name]
        band = band.isel(new=(x.values >= float(seen.min())) & (x.values <= float(seen.max())))
    half = float((band["high"] - band["low"]).mean()) / 2
    width = _rough(half, unit)
    if len(scales) == 1:
        said = f"The curve varies over a length scale of {next(iter(scales.values()))}"
    elif scales:
        named = "; ".join(f"{name} {value}" for name, value in scales.items())
        said = f"The curve varies over length scales of {named}"
    else:
        said = "The curve's length scales are given"
    found = noted(fit, "parts")
    if found is not None:
        moves = dict(zip(found["part"].values, found["mean"].std("new").values, strict=True))
        moves |= {"the trend": float(found["trend_mean"].std())} if _has_trend(fit) else {}
        order = sorted(moves, key=moves.get, reverse=True)
        told = "; ".join(f"{name} by {_rough(moves[name], unit)}" for name in order)
        said = f"The curve is a sum, whose parts move it, as sd over the picture: {told}"
    yield (
        f"{said}; over the data it is known to ± {width}, half of what its 95 % band is wide on "
        f"average (kernel {written})."
    )
    if "at" not in band and float(band["low"].max()) < float(band["high"].min()):
        yield (
            "A constant lies within the band all along the data: that the curve varies at all is "
            "not shown, and what is said of its length scale is mostly the prior's."
        )
    if "noise_power" in fit["posterior"]:
        size, power = (quantity(fit["posterior"][name]) for name in ("noise", "noise_power"))
        yield (
            f"The noise grows with the signal: its sd is {size} where the curve has its typical "
            f"size s, and elsewhere times (|μ̂| / s)^p, p = {power}; μ̂ is the curve as first "
            "estimated, s the geometric mean of its size over the data, which counts for no less "
            "than the noise."
        )
    if told := _preferred(fit):
        yield told
    if (scores := noted(fit, "scores")) is not None:
        yield (
            f"Of {int(scores['count'])} values that were held out the 95 % interval holds "
            f"{_percent(scores['covered'])}; the forecast is off by "
            f"{_rough(scores['rmse'], unit)} (rms)."
        )
    if "truth_covered" in fit["sample_stats"]:
        known = fit["sample_stats"]["truth_covered"]
        yield f"The 95 % band covers {_percent(known)} of the true curve."
    if (found := noted(fit, "designs")) is not None:
        yield _over_designs(found)


def _has_trend(fit):
    return "trend" in fit.attrs["mean"]


def _rough(value, unit):
    """A number with two digits and its unit."""
    return value_with_unit(float(f"{float(value):.2g}"), None, unit)


def _percent(value):
    return f"{100 * float(value):.0f} %"


def _over_designs(found):
    count = found.sizes["design"]
    told = [
        f"{100 * float(found[n].mean()):.1f} ± {100 * float(found[n].std()) / count**0.5:.1f} %"
        for n in ("posterior", "likelihood")
    ]
    ratio = float(np.median(found["posterior_width"] / found["likelihood_width"]))
    return (
        f"Over {count} random designs of {int(found['points'])} points the posterior's "
        f"95 % band covers {told[0]} of the true curve, that of maximum likelihood {told[1]}: "
        f"the posterior's is {ratio:.2f} times as wide, for it does not take the hyperparameters "
        "for known."
    )


def _preferred(fit):
    """Which kernel the data prefer, or that they do not tell."""
    found = noted(fit, "comparison")
    if found is None:
        return None
    order = np.argsort(-found["log_evidence"].values)
    first, second = (str(found["rival"].values[k]) for k in order[:2])
    gap = float(found["log_evidence"][order[0]] - found["log_evidence"][order[1]])
    if gap < np.log(DECISIVE):
        return (
            f"The data hardly tell the kernels apart: the evidence is largest for {first}, by a "
            f"Bayes factor of {short(np.exp(gap), 2)} over {second}."
        )
    return f"The data prefer {first}: its Bayes factor over {second} is {short(np.exp(gap), 2)}."


def _drawn(stem, fit):
    if noted(fit, "slices") is not None:
        return Picture(
            f"{stem}curve",
            figures.slices(fit),
            "The curve along each input, the others at the middle of their data: posterior mean "
            "and 95 % band. Ticks at the bottom are where data lie.",
            "Curves along each input with bands.",
        )
    found = noted(fit, "curve")
    known, also = "truth" in found, ""
    if "likelihood" in found:
        also = ", and the ends of that of maximum likelihood"
    x, seen = figures.along(found), fit["observed_data"][figures.along(found).name]
    if float(x.min()) > float(seen.min()):
        also += "; a stretch in the middle, since all would have more turns than a picture shows"
    return Picture(
        f"{stem}curve",
        figures.bands(fit),
        f"The curve: posterior mean and 95 % band{also}"
        f"{'; dashed: the true curve' if known else ''}.",
        "Data with a curve and its band.",
    )


def _table(fit):
    frame = estimates(fit)
    found = noted(fit, "classical")
    if found is not None:
        elements = fit["posterior"].dataset
        rows = {}
        for name, draws in elements.data_vars.items():
            for label, at in element_names(draws).items():
                value = found[name][at] if at else found[name]
                rows[label] = exact(float(value), float(draws[at].std() if at else draws.std()))
        frame = frame.assign(**{"maximum likelihood": [rows[label] for label in frame.index]})
    return Table(frame, f"Hyperparameters: {ESTIMATED}; and what maximum likelihood makes of them.")


def _classical(fit):
    found = noted(fit, "classical")
    if found is None:
        return Section(
            "Maximum likelihood", ("Of so many points the likelihood is not maximised as well.",)
        )
    words = [
        "The classical way maximises the likelihood, the curve integrated out, over length scale, "
        "noise and mean, with the amplitude profiled, and takes what it finds for known. The "
        "posterior weighs all hyperparameters that the data leave possible."
    ]
    pictures = []
    if noted(fit, "profile") is not None:
        pictures.append(
            Picture(
                "profile",
                figures.profile(fit),
                "What is known of the length scale: posterior, prior, and the likelihood, "
                "maximised over all else at each length scale. Where the line stays high, one "
                "number for the length scale says too much.",
                "Densities and profile likelihood of the length scale.",
            )
        )
    if (over := noted(fit, "designs")) is not None:
        words.append(_over_designs(over))
        words.append(
            "The true curve is cos(20 x) e^(−2x), which is no draw of the prior: a band owes it "
            "95 % only as far as the prior suits it."
        )
        pictures += _designs("", fit)
    return Section("Maximum likelihood, and what it leaves out", tuple(words), tuple(pictures))


def _designs(stem, fit):
    if noted(fit, "designs") is None:
        return
    yield Picture(
        f"{stem}designs",
        figures.designs(fit),
        "Left: share of the true curve inside each 95 % band, one count a design; lines: the "
        "means; dashed: 95 %. Right: half the width of both bands, design by design.",
        "Histograms of coverage and a scatter of widths of both bands.",
    )


def _prior_curves(fit):
    if noted(fit, "prior_curves") is not None:
        yield Picture(
            "prior_curves",
            figures.prior_curves(fit),
            "What the prior of the length scale means: curves drawn before any data at its 5 %, "
            "50 % and 95 % points, amplitude and noise at their posterior medians.",
            "Curves drawn from the prior at three length scales.",
        )


def _steps(fit):
    if noted(fit, "steps") is None:
        return
    yield Section(
        "A normal vector, conditioned step by step",
        (
            "The curve at many places is one vector of normal numbers. Each point that comes in "
            "is conditioned on, and the vector stays normal, with another mean and a smaller "
            "covariance.",
        ),
        (
            Picture(
                "steps",
                figures.steps(fit),
                "Band and three draws of the curve as the points come in, hyperparameters at "
                "their posterior medians.",
                "Panels of bands and draws with more and more points.",
            ),
        ),
    )


def _parts(stem, fit):
    found = noted(fit, "parts")
    if found is None:
        return
    yield Section(
        "The curve in its parts",
        (
            "Each term of the kernel's sum is a curve of its own, and so is the trend: here is "
            "what the data say of each. They are not independent given the data: what one part "
            "takes the others lose. Each is drawn less its average, for the level of the curve "
            "cannot be shared out.",
        ),
        (
            Picture(
                f"{stem}parts",
                figures.parts(fit),
                "Mean and 95 % band of each part.",
                "One panel with a band for each part of the curve.",
            ),
        ),
    )


def _forecast(stem, fit):
    scores = noted(fit, "scores")
    if scores is None:
        return
    unit = _y(fit).attrs.get("units", "1")
    rows = {
        "values held out": str(int(scores["count"])),
        "rms error": _rough(scores["rmse"], unit),
        "CRPS": _rough(scores["crps"], unit),
        "CRPS of the last value seen": _rough(scores["naive"], unit),
        "held by the 50 % interval": _percent(scores["covered_50"]),
        "held by the 95 % interval": _percent(scores["covered"]),
    }
    frame = {name: {"value": value} for name, value in rows.items()}
    yield Section(
        "The forecast, and what came",
        ("Nothing of what is foretold here was seen by the fit.",),
        (
            Picture(
                f"{stem}forecast",
                figures.held_out(fit),
                "Above: the forecast with its 95 % interval for data, and what came. Below: the "
                "same less the forecast.",
                "Forecast with interval against held-out data.",
            ),
        ),
        (Table.of(frame, "score", "Small is good, of the CRPS as of the error."),),
    )


def _comparison(fit):
    found = noted(fit, "comparison")
    if found is None:
        return
    best = float(found["log_evidence"].max())
    rows = {
        str(name): {
            "log evidence": f"{float(one['log_evidence']):.2f}".replace("-", "−"),
            "Bayes factor to the best": short(np.exp(float(one["log_evidence"]) - best), 2),
            "log score of left-out values": f"{float(one['elpd']):.2f}".replace("-", "−"),
            "behind the best": f"{float(one['behind']):.2f} ± {float(one['behind_se']):.2f}"
            if float(one["behind"])
            else "best",
            "largest k̂": f"{float(one['pareto_k']):.2f}",
        }
        for name, one in ((n, found.sel(rival=n)) for n in found["rival"].values)
    }
    yield Section(
        "Kernels compared",
        (_preferred(fit),),
        (),
        (
            Table.of(
                rows,
                "kernel",
                "Evidence: Laplace's approximation, hyperparameters integrated out; leave-one-out "
                "by PSIS, not to be trusted where k̂ is above 0.7.",
            ),
        ),
    )


def _other(name, fit):
    """A further fit: its answer, its curve, its numbers."""
    title = TITLES.get(name, name.replace("_", " "))
    pictures = (_drawn(f"{name}_", fit), *_designs(f"{name}_", fit))
    yield Section(title, tuple(_answer(fit)), pictures, (_table(fit),))
    yield from _forecast(f"{name}_", fit)
    yield from _parts(f"{name}_", fit)
