"""The story of the report: is there a period, which, and what else could it be?"""

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
    interval,
    number,
    sections,
    short,
    signed,
    value_with_unit,
)
from bayesinf.systems.spectral_analysis import figures
from bayesinf.systems.spectral_analysis.results import STRONG, stands_out

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["story"]

SHOWN = 3  # lines in a sentence
SURE = 0.99  # posterior mass from which the period is told without it
MEMORY = 0.005  # predictive p-value below which the residuals of a limit have memory


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell what was found, from the fits alone: a period, or the modes of a signal."""
    name, fit = next(iter(fits.items()))
    return _modes(name, fit) if fit.attrs.get("signal") == "modes" else _period(name, fit)


def _period(name, fit):
    models, mass = noted(fit, "models"), noted(fit, "candidates")
    bars = ", jitter in their bars" if "jitter" in fit["posterior"] else ""
    return Story(
        title="The period of a source",
        question="Is there a period in these observations, and which is it?",
        answer=Section(
            _headline(fit),
            (_is_there(fit), _which(mass), *_hidden(fit), *_red(fit)),
            (
                Picture(
                    "folded",
                    figures.folded(fit),
                    f"Left: the data folded at the period, drawn twice{bars}, and the 95 % band of "
                    "the curve. Right: the posterior of the period.",
                    "Data against phase with the fitted curve, and a histogram of the period.",
                ),
            ),
        ),
        numbers=_numbers(fit, models),
        classical=_classical(fit),
        extra=(_aliases(mass, fit),),
        best=name,
        derived={
            "period": noted(fit, "source")["period"],
            "peak to peak": noted(fit, "source")["peak_to_peak"],
        },
    )


def _headline(fit):
    if not stands_out(fit):
        return "No period stands out"
    value = _found(fit)
    share = shares(noted(fit, "candidates"))[0]
    return f"Period {value}" + ("" if share > SURE else f", with probability {share:.2f}")


def _found(fit):
    """The period that holds most of the posterior."""
    source = noted(fit, "source")
    unit = source["period"].attrs["units"]
    return value_with_unit(float(source["main_period"]), float(source["main_sd"]), unit)


def _is_there(fit):
    models, found = noted(fit, "models"), noted(fit, "classical")
    factor = models["log_bayes_factor"].values
    narrow, stated, wide = (_fixed(value) for value in factor)
    alarm = float(found["false_alarm"])
    chance = f"is {short(alarm, 2)}" if alarm > 1e-300 else "is below 10⁻³⁰⁰"
    share = shares(noted(fit, "candidates"))[0]
    unsure = "" if share > SURE else f" with probability {share:.2f}"
    verdict = (
        f"There is a period, {_found(fit)}{unsure}" if stands_out(fit) else "A period is not shown"
    )
    return (
        f"{verdict}: the log Bayes factor over noise with a floating mean is {stated} "
        f"({narrow} and {wide} with a prior of the mean 0.1 and 10 times as wide). "
        f"The classical false-alarm probability of the highest peak of a sine {chance}."
    )


def _fixed(value):
    """A number with one decimal and a real minus sign."""
    return f"{value:.1f}".replace("-", "−")


def _red(fit):
    """What red noise makes of the period, where it is modelled."""
    white = noted(fit, "white")
    if white is None:
        return
    before, share, time = (
        white["period"],
        *(fit["posterior"][n] for n in ("share", "correlation_time")),
    )
    value = value_with_unit(float(before.mean()), float(before.std()), before.attrs["units"])
    last = value_with_unit(float(time.mean()), float(time.std()), time.attrs["units"])
    yield (
        f"With noise that is new at each observation the period is {value}, but its residuals "
        f"remember their neighbours (predictive p {_p(float(white['memory_p']))}). Here red noise "
        f"stands in the place of the jitter, {number(float(share.mean()), float(share.std()))} "
        f"times the scale of the amplitudes and lasting {last}; the log Bayes factor in its favour "
        f"is {_fixed(float(white['log_bayes_factor']))}. The data above are drawn less its mean."
    )


def _which(mass):
    share = shares(mass)
    own = share[0]
    others = np.delete(share, 0)
    text = f"The period holds {100 * own:.2f} % of the posterior"
    if len(others):
        rival = int(np.argmax(others)) + 1
        rival_name = str(mass["candidate"].values[rival])
        text += (
            f"; of its half, double, third, triple and aliases the best ({rival_name}) has "
            f"{_small(np.log10(np.maximum(others, 1e-300)).max())}"
        )
    return f"{text}."


def _hidden(fit):
    """Periods that even sampling makes one with the period, and that were not searched."""
    source = noted(fit, "source")
    if not stands_out(fit) or not source.sizes.get("alias", 0):
        return
    unit, grid = source["hidden"].attrs["units"], float(source["grid"])
    digits = float(source["main_sd"] / source["main_period"]) * source["hidden"].values
    every = zip(source["hidden"].values, digits, strict=True)
    told = " or ".join(value_with_unit(float(p), float(sd), unit) for p, sd in every)
    yield (
        f"All observations stand on a grid of {value_with_unit(float(f'{grid:.6g}'), None, unit)}: "
        f"a period of {told} would give the same data, and shorter ones still. None shorter than "
        "those searched was weighed; only observations off the grid, or knowledge of the source, "
        "rule them out."
    )


def _small(power):
    """A share, given by its power of ten."""
    if power > -4:
        return f"{100 * 10**power:.2f} %"
    return short(10.0**power, 1) if power > -299 else "less than 10⁻³⁰⁰"


def shares(mass):
    """Posterior mass of each candidate, all numbers of harmonics together.

    They are at most one in all, which quadratures of their own may miss by a per cent.
    """
    share = np.exp(np.logaddexp.reduce(mass["log_mass"].values, axis=0))
    return share / max(1.0, float(np.sum(share)))


def _harmonics(fit):
    count = int(fit.attrs["harmonics"])
    return "1 harmonic" if count == 1 else f"{count} harmonics"


def _numbers(fit, models):
    source, truth = noted(fit, "source"), true_values(fit)
    draws = {"period": source["period"].values, "peak to peak": source["peak_to_peak"].values}
    units = {
        "period": source["period"].attrs["units"],
        "peak to peak": source["peak_to_peak"].attrs["units"],
    }
    known = {}
    if "frequency" in truth:
        scale = float((source["period"] * fit["posterior"]["frequency"]).mean())
        known["period"] = scale / truth["frequency"]
    derived = sections.derived(
        draws, units=units, truth=known or None, caption=f"The source: {ESTIMATED}."
    )
    scalars = [n for n, v in fit["posterior"].data_vars.items() if v.ndim == 2]
    first, white = models["log_evidence"].values[0], "jitter" in fit["posterior"]
    rows = {
        str(model): {
            "log evidence": _fixed(value),
            "log Bayes factor over no period": _fixed(value - first),
        }
        for model, value in zip(models["model"].values, models["log_evidence"].values, strict=True)
    }
    stated = bool(np.any(fit["constant_data"]["stated_error"])) if white else True
    return Section(
        "The source in numbers",
        (
            f"The curve has {_harmonics(fit)}, "
            + ("the number with the largest evidence" if len(rows) > 2 else "as was asked for")
            + ("." if white else " without red noise."),
            ("Jitter is scatter beyond the stated error bars, in quadrature with them." * stated)
            or "The data state no error bars: jitter is all of their scatter."
            if white
            else "sigma is a factor on the stated error bars.",
        ),
        (
            Picture(
                "harmonics",
                figures.harmonics(fit),
                "Evidence of a period with each number of harmonics, over that of noise alone with "
                "a floating mean: it rises while a harmonic explains more than its prior costs.",
                "Log Bayes factor against the number of harmonics.",
            ),
        ),
        (
            derived,
            Table(estimates(fit, scalars, truth or None), f"Parameters of the model: {ESTIMATED}."),
            Table.of(rows, "harmonics", "Evidence of each model."),
        ),
    )


def _classical(fit):
    found, source = noted(fit, "classical"), noted(fit, "source")
    period, main = source["period"], (float(source["main_period"]), float(source["main_sd"]))
    scale = float((period * fit["posterior"]["frequency"]).mean())
    unit = period.attrs["units"]
    best, sine = scale / float(found["frequency"]), scale / float(found["sine_frequency"])
    return Section(
        "Lomb-Scargle",
        (
            f"Least squares with {fit.attrs['harmonics']} harmonics and a floating mean has its "
            f"highest peak at {value_with_unit(best, None, unit)}, a sine alone at "
            f"{value_with_unit(sine, None, unit)} (power {float(found['sine_power']):.3f}). It "
            "says where the peak is; how wide, and what other peaks weigh, the posterior says: "
            f"{value_with_unit(*main, unit)}.",
        ),
        (
            Picture(
                "periodogram",
                figures.periodogram(fit),
                "Above: the share of the data's variance that a period explains at each trial "
                "frequency. Below: the spectral window, what a constant would show: at its peaks "
                "periods hide behind each other.",
                "Least-squares power and the spectral window against frequency.",
            ),
        ),
    )


def _aliases(mass, fit):
    ten = np.logaddexp.reduce(mass["log_mass"].values, axis=0) / np.log(10)
    unit = mass["period"].attrs["units"]
    rows = {
        str(candidate): {
            f"period ({unit})" if unit != "1" else "period": short(float(period), 6),
            "posterior mass": _small(power),
        }
        for candidate, period, power in zip(
            mass["candidate"].values, mass["period"].values, np.minimum(ten, 0.0), strict=True
        )
    }
    return Section(
        "Half, double or an alias?",
        (
            "Gaps in the data let other periods fit as well: half and double, a third and three "
            "times, and those that gain or lose a cycle between observations (the shifts are the "
            "highest peaks of the spectral window). Each is weighed by the posterior mass around "
            "it, all numbers of harmonics together; they compete with everything else in the range "
            "of periods.",
        ),
        (
            Picture(
                "aliases",
                figures.aliases(fit),
                "Posterior mass of the period and of those that it could be mistaken for, in "
                "powers of ten.",
                "Posterior mass of each candidate period.",
            ),
        ),
        (Table.of(rows, "candidate", "Posterior mass within 1.5 cycles over the record."),),
    )


def _modes(name, fit):
    limits, spectrum = noted(fit, "limits"), noted(fit, "spectrum")
    top = spectrum["mode"].values[np.argsort(-spectrum["power"].values)[:1]]
    said = [_limit_said(limits, k, spectrum) for k in range(1, limits.sizes["modes"])]
    count = int(limits["modes"][0])
    beside = ", with the discrete Fourier transform" if "fourier" in spectrum else ""
    beside += ". Dashed: where fewer modes would stop" if limits.sizes["modes"] > 1 else ""
    said = [" ".join([_strongest(spectrum, count), *said[:1]]), *said[1:]]
    return Story(
        title="The spectrum of a signal",
        question="Which modes make up this signal, and how many are enough?",
        answer=Section(
            f"{count} modes, the strongest at {top[0]:.4g} cycles per unit",
            tuple(said),
            (
                Picture(
                    "spectrum",
                    figures.spectrum(fit),
                    f"Power of each mode: posterior median and 95 % interval{beside}.",
                    "Power of each mode against frequency, with intervals.",
                ),
            ),
        ),
        predictive=sections.predictive(
            fit,
            (
                Picture(
                    "signal",
                    figures.signal(fit),
                    "The data, and the band that holds 95 % of their replicas.",
                    "Data against time with the band of replicas.",
                ),
            ),
        ),
        classical=_least_squares(limits),
        best=name,
    )


def _strongest(spectrum, count):
    """The modes that stand out, with their power."""
    power, unit = spectrum["power"].values, spectrum["power"].attrs["units"]
    padded = np.concatenate([[0.0], power, [0.0]])
    crests = np.flatnonzero((padded[1:-1] > padded[:-2]) & (padded[1:-1] > padded[2:]))
    # A line is a mode above its neighbours whose interval lies above what most modes have.
    floor = np.median(spectrum["high"].values)
    lines = sorted(
        (k for k in crests if spectrum["low"].values[k] > floor), key=lambda k: -power[k]
    )
    if not len(lines):
        return f"No line stands out among {count} modes."
    unit = "" if unit == "1" else f" {unit}"
    told = [
        f"{spectrum['mode'].values[k]:.4g} (power {_between(spectrum, k)}{unit})"
        for k in lines[:SHOWN]
    ]
    told += [f"{len(lines) - SHOWN} more"] * (len(lines) > SHOWN)
    opening = "One line stands" if len(lines) == 1 else f"{len(lines)} lines stand"
    return f"{opening} out of {count} modes, at {' and '.join(told)} cycles per unit."


def _between(spectrum, k):
    low, middle, high = (float(spectrum[name].values[k]) for name in ("low", "power", "high"))
    return f"{exact(middle, (high - low) / 4)}, 95 %: {interval(low, high, (high - low) / 4)}"


def _limit_said(limits, k, spectrum):
    one, best = limits.isel(modes=k), limits.isel(modes=0)
    gap = float(best["log_evidence"] - one["log_evidence"])
    beyond = spectrum.sel(mode=spectrum["mode"] > float(one["highest"]) + 1e-9)
    count, end = int(one["modes"]), float(one["highest"])
    if gap > STRONG and float(one["memory_p"]) < MEMORY:
        where = float(beyond["mode"][int(np.argmax(beyond["power"].values))])
        return (
            f"{count} modes, which end at {end:.4g}, are not enough: the log evidence is {gap:.0f} "
            f"lower, the residuals remember their neighbours (predictive p "
            f"{_p(float(one['memory_p']))}), and the strongest mode beyond stands at {where:.4g}."
        )
    return (
        f"{count} modes, which end at {end:.4g}, are enough (log evidence {signed(gap, 1)} in "
        "favour of more)."
    )


def _p(value):
    return f"= {value:.2g}" if value > 0 else "< 0.001"


def _least_squares(limits):
    rows = {
        f"{int(one['modes'])}": {
            "highest frequency": float(one["highest"]),
            "residual rms": float(one["residual"]),
            "log evidence": number(float(one["log_evidence"])),
            "memory of residuals, p": f"{float(one['memory_p']):.3f}",
            "condition number": float(one["condition"]),
        }
        for one in (limits.isel(modes=k) for k in range(limits.sizes["modes"]))
    }
    return Section(
        "Least squares by QR",
        (
            "Without a prior the amplitudes follow from a QR factor of the design. Its condition "
            "number says how well the modes are told apart: about one at even times, and large "
            "where gaps let one mode stand for another.",
        ),
        tables=(Table.of(rows, "modes", "What each number of modes leaves."),),
    )
