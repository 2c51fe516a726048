"""What travels beside the fit of a period: source, models, candidates, the folded curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.inference import kinds
from bayesinf.models import linear
from bayesinf.posterior import annotated, dataset, noted
from bayesinf.systems.spectral_analysis import search
from bayesinf.systems.spectral_analysis.classical import of_curve, window_peaks
from bayesinf.systems.spectral_analysis.model import WIDTHS, Curve

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["STRONG", "advised", "beside", "folded", "source", "stands_out"]

PHASES = np.linspace(0.0, 1.0, 101)
FOLDED = 200  # draws whose curve is kept
REACH = 1.5  # cycles over the record around a candidate that count as it
PER_WIDTH = 2.0  # steps to the standard deviation of the frequency there
HALVINGS = 3  # from the first steps to those
DEPTH = 30.0  # log evidence below the largest at which frequencies count no more
AGREED = 0.01  # log integrals of two steps that are called alike
NODES = 24  # of a quadrature over scale, and over jitter
STRONG = 5.0  # log Bayes factor from which a period is said to be there
OF_THE_SURVEY = ("screen", "grid", "modes")  # questions that ask whether a peak was resolved
NEAR = 7.0  # log evidence below the best at which a number of harmonics is left out


def beside(
    fit: xr.DataTree,
    curve: Curve,
    tried: Mapping[int, linear.Varying],
    without: linear.Varying,
    factor: float,
    unit: str,
) -> xr.DataTree:
    """Put what the story needs beside a fit.

    Parameters
    ----------
    fit : of the model with the largest evidence.
    curve, tried, without : the data, models by their number of harmonics, and that of no period.
    factor, unit : from the unit of the times to that of the period, and its name.
    """
    posterior, harmonics = fit["posterior"], int(fit.attrs["harmonics"])
    boxes = tried[harmonics].survey.boxes
    mode = float(boxes.centre[np.argmax(boxes.value), 0])
    return annotated(
        fit,
        source=source(curve, posterior, harmonics, factor, unit, mode),
        folded=folded(curve, posterior, harmonics, mode),
        models=_models(fit, curve, tried, without),
        candidates=_candidates(fit, curve, tried, boxes, factor, unit, mode),
        classical=of_curve(curve, harmonics),
    )


def stands_out(fit: xr.DataTree) -> bool:
    """Whether a period is there, whatever the width of the level's prior."""
    return bool(noted(fit, "models")["log_bayes_factor"].min() >= STRONG)


def advised(fit: xr.DataTree) -> xr.DataTree:
    """Say what to do about a survey that failed, where the data show no period.

    Without one the posterior is spread over all frequencies, and no number of steps resolves it.
    What the screen has left out counts for the period.
    """
    factor = float(noted(fit, "models")["log_bayes_factor"].max())
    seen = 1 - float(fit["sample_stats"]["skipped_mass"])
    most = factor - float(np.log(seen)) if seen > 0 else np.inf
    if not most < STRONG:
        return fit
    advice = (
        f"there may be no period: over noise alone it has a log Bayes factor of {most:.1f} at "
        f"most, and {STRONG:g} would show one; where one is known of, narrow the range to it "
        "(--shortest, --longest)"
    )
    questions = [
        replace(question, remedy=advice) if question.name in OF_THE_SURVEY else question
        for question in kinds.declared(fit.attrs)
    ]
    told = fit.copy()
    told.attrs |= kinds.declare(*questions)
    return told


def _components(phase, harmonics):
    angle = 2 * np.pi * np.multiply.outer(phase, np.arange(1, harmonics + 1))
    return np.concatenate([np.cos(angle), np.sin(angle)], axis=-1)


def source(curve, posterior, harmonics, factor, unit, mode) -> xr.Dataset:
    """Period and highest less lowest value of the curve, of each draw, (chain, draw); and mean and
    sd of the period in the mode that is highest, ``main_period`` and ``main_sd``. Where all times
    stand on a grid, its ``grid`` and the longest periods, shorter than those searched, that give
    the same data: ``hidden``, (alias,).
    """
    amplitude = posterior["amplitude"].values[..., : 2 * harmonics]
    swing = np.ptp(amplitude @ _components(PHASES, harmonics).T, axis=-1)
    frequency = posterior["frequency"].values
    main = factor / frequency[np.abs(frequency - mode) < REACH / curve.span]
    drawn = dataset(
        {"period": factor / frequency, "peak_to_peak": swing},
        units={"period": unit, "peak_to_peak": curve.values.attrs["units"]},
    )
    told = {"main_period": np.mean(main), "main_sd": np.std(main)}
    if curve.grid is not None:
        same = np.array([1 / curve.grid - mode, 1 / curve.grid + mode])
        told |= {"grid": factor * curve.grid, "hidden": factor / same[same > curve.range[1]]}
    dims, units = {"hidden": ("alias",)}, dict.fromkeys(told, unit)
    return drawn.merge(dataset(told, dims, units=units, sampled=False))


def folded(curve, posterior, harmonics, mode) -> xr.Dataset:
    """Data and curve by phase in the highest mode; phase zero is the middle of the record.

    Where there is red noise its mean is taken off the data.
    """
    draws = posterior["frequency"].values.ravel()
    main = np.flatnonzero(np.abs(draws - mode) < REACH / curve.span)
    frequency = float(np.mean(draws[main]))
    every = posterior["amplitude"].values.reshape(-1, posterior.sizes["component"])[main]
    amplitude, red = every[:, : 2 * harmonics], every[:, 2 * harmonics :]
    kept = np.linspace(0, len(amplitude) - 1, min(FOLDED, len(amplitude))).astype(int)
    level = posterior["level"].values.ravel()[main][kept, np.newaxis]
    arrays = {
        "curve": level + amplitude[kept] @ _components(PHASES, harmonics).T,
        "phase_of_point": (frequency * curve.t) % 1.0,
        "value_of_point": curve.y - (red.mean(axis=0) if red.size else 0.0),
    }
    dims = {"curve": ("sample", "phase")}
    dims |= dict.fromkeys(("phase_of_point", "value_of_point"), ("point",))
    units = dict.fromkeys(("curve", "value_of_point"), curve.values.attrs["units"])
    return dataset(arrays, dims, {"phase": PHASES}, units, sampled=False)


def _models(fit, curve, tried, without):
    """Evidence of each model, and Bayes factors for three widths of the level's prior."""
    names = ["no period", *(f"{count}" for count in tried)]
    log_evidence = [without.log_evidence(), *(each.log_evidence() for each in tried.values())]
    top = fit["posterior"].mean(("chain", "draw"))
    theta = {name: float(top[name]) for name in ("frequency", "jitter")}
    periodic = tried[int(fit.attrs["harmonics"])].at(theta)
    level = curve.priors["level"]
    quiet_jitter = without.survey.moments()[0][0]
    quiet = without.at({"jitter": quiet_jitter})
    factors = []
    for width in WIDTHS:
        wide = linear.regression(
            quiet.X,
            quiet.y,
            linear.Gaussian(width * level.sd),
            means=quiet.means,
            error=quiet.error,
        )
        shift = periodic.widened(width).log_evidence() - periodic.log_evidence()
        shift -= wide.log_evidence() - quiet.log_evidence()
        factors.append(max(log_evidence[1:]) - log_evidence[0] + shift)
    arrays = {"log_evidence": np.array(log_evidence), "log_bayes_factor": np.array(factors)}
    dims = {"log_evidence": ("model",), "log_bayes_factor": ("width",)}
    return dataset(arrays, dims, {"model": names, "width": list(WIDTHS)}, sampled=False)


def _candidates(fit, curve, tried, boxes, factor, unit, mode):
    """Posterior mass at the frequency found, at its half and double, and at its aliases."""
    here = fit["posterior"]["frequency"].values
    here = here[np.abs(here - mode) < REACH / curve.span]
    frequency, daily = float(np.mean(here)), [*window_peaks(curve)]
    if curve.grid is not None and not np.any(np.isclose(daily, 1 / curve.grid, rtol=1e-3)):
        daily.append(1 / curve.grid)
    places = {"the period": frequency, "half": 2 * frequency, "double": frequency / 2}
    places |= {"third": 3 * frequency, "triple": frequency / 3}
    for shift in daily:
        places[f"alias +{shift:.4g}"] = frequency + shift
        places[f"alias −{shift:.4g}"] = abs(frequency - shift)
    low, high = curve.range
    places = {name: place for name, place in places.items() if low < place < high}
    step = float(np.std(here)) / PER_WIDTH
    log_evidence = {count: each.log_evidence() for count, each in tried.items()}
    counts = [n for n, each in log_evidence.items() if each > max(log_evidence.values()) - NEAR]
    mass = np.array(
        [[_log_mass(curve, place, count, step) for place in places.values()] for count in counts]
    )
    # The boxes say how much the period holds; quadratures, what the others do beside it.
    near = np.abs(boxes.centre[:, 0] - mode) < REACH / curve.span
    own = np.log(boxes.share[near].sum()) - np.logaddexp.reduce(mass[:, 0])
    arrays = {
        "log_mass": mass + own,
        "frequency": np.array(list(places.values())),
        "period": factor / np.array(list(places.values())),
    }
    dims = dict.fromkeys(("frequency", "period"), ("candidate",))
    dims |= {"log_mass": ("harmonics", "candidate")}
    units = {"frequency": curve.frequency_unit, "period": unit}
    coords = {"candidate": list(places), "harmonics": counts}
    return dataset(arrays, dims, coords, units, sampled=False)


def _log_mass(curve, place, harmonics, step):
    """Log of the evidence integrated around a frequency, jitter and scale over quadratures.

    Frequencies stand closer by halves, where the evidence is within ``e^−DEPTH`` of its largest,
    until the integral stays as it is or they are a ``step`` apart.
    """
    low, high = np.clip(place + np.array([-1, 1]) * REACH / curve.span, *curve.range)
    step = max(step, (high - low) / 20_000)
    found = -np.inf
    for spacing in step * 2.0 ** np.arange(HALVINGS, -1, -1):
        spacing = min(spacing, (high - low) / 4)
        frequencies = np.arange(low + spacing / 2, high, spacing)
        evidence = _log_evidence(curve, frequencies[0], spacing, len(frequencies), harmonics)
        last, found = found, float(np.logaddexp.reduce(evidence) + np.log(spacing))
        if abs(found - last) < AGREED:
            break
        near = frequencies[evidence > evidence.max() - DEPTH]
        low, high = max(low, near[0] - spacing), min(high, near[-1] + spacing)
    return found + float(curve.priors["frequency"].log_density(place))


def _log_evidence(curve, start, step, count, harmonics):
    """Log evidence of each of some frequencies, jitter and scale over quadratures."""
    k = np.arange(1, harmonics + 1)
    level, scale, jitter = (curve.priors[name] for name in ("level", "scale", "jitter"))
    log_scale = np.log(np.std(curve.y)) + np.linspace(-5, 2, NODES)
    scales = np.exp(log_scale)
    weights = scale.log_density(scales) + log_scale + np.log(log_scale[1] - log_scale[0])
    amplitudes = np.multiply.outer(scales**2, np.tile(1 / k**2, 2))
    variances = np.column_stack([np.full(NODES, level.sd**2), amplitudes])
    top = np.log(np.std(curve.y))
    log_jitter = np.linspace(np.log(np.median(curve.noise) / 10), top + 0.5, NODES)
    each = []
    for node in log_jitter:
        noise = np.hypot(curve.error, np.exp(node))
        value = search.log_evidence(
            curve.t, curve.y - level.mean, noise, start, step, count, variances, weights
        )
        each.append(value + jitter.log_density(np.exp(node)) + node)
    return np.logaddexp.reduce(each, axis=0) + np.log(log_jitter[1] - log_jitter[0])
