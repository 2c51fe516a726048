"""Whether the data hold the peaks that are asked for: a refusal names what is there instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError, FitError
from bayesinf.models import curve
from bayesinf.systems.gaussian_peaks.choice import row_of
from bayesinf.systems.gaussian_peaks.lines import Lines
from bayesinf.systems.gaussian_peaks.statement import problem

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["refuse_unsupported"]

CLEAR = 8.0  # standard errors from which the height of a peak is beyond doubt


def refuse_unsupported(
    stated: curve.NonlinearRegression, dataset: xr.Dataset, model: Mapping[str, object]
) -> None:
    """Raise FitError where the data do not hold the peaks that are asked for.

    Against the best curve with a peak less, each must gain what three parameters and a search over
    the spectrum would gain in noise by chance: k log n in −2 log likelihood for k parameters more,
    Schwarz's criterion (doi:10.1214/aos/1176344136). A caller who gives centres or heights a prior
    of their own knows that the peaks are there, and is asked nothing.
    """
    given = {name.partition("[")[0] for name in model.get("priors") or {}}
    if given & {"center", "height", "amplitude"} or model.get("starts") is not None:
        return
    lines = Lines.told(stated.attrs)
    options = dict(model) | {"likelihood": stated.likelihood}
    floor, failure = _background_only(stated, lines), None
    try:
        found = _deviance(stated)
    except FitError as error:  # whose cause may be one of these
        found, failure = floor, error
    doubtful = failure is not None or not _stand_out(stated, lines)
    well = failure is None and _fits_well(stated)
    if doubtful or not well:
        _refuse_upside_down(dataset, lines, options, floor, found, well)
    if doubtful:
        _refuse_too_many(stated, dataset, lines, options, floor, found)
    if failure is not None:
        raise failure
    _refuse_misplaced(stated, dataset, lines)


def _fits_well(stated):
    """Whether the residuals are no larger than neighbours differ."""
    y = stated.y
    change = np.abs(y[1:-1] - (y[:-2] + y[2:]) / 2) / np.sqrt(1.5)
    residual = np.abs(y - stated.curve(stated.optimum.theta))
    return np.quantile(residual, 0.9) < 2 * np.quantile(change, 0.9) and np.median(
        residual
    ) < 2 * np.median(change)


def _stand_out(stated, lines):
    """Whether each peak is many times as high as the error of its height."""
    best = stated.optimum
    ratio = dict(zip(stated.free, np.abs(best.theta) / best.standard_error, strict=True))
    return min(ratio[name] for name in lines.names("height")) > CLEAR


def _refuse_too_many(stated, dataset, lines, options, floor, found):
    chance = len(lines.of_peaks) * np.log(len(stated.y))
    held, best = lines.peaks, found
    while held:
        less = floor
        if held > 1:
            less = _deviance_of(dataset, options | {"peaks": held - 1, "centers": ()})
        if less - best > chance:
            break
        held, best = held - 1, less
    if held < lines.peaks:
        raise FitError(_not_there(lines.peaks, held, chance), peaks=held)


def _not_there(asked, held, chance):
    hold = {0: "no peak", 1: "one peak"}.get(held, f"{held} peaks")
    more = "one more" if held else "a peak"
    remedy = f"ask for {held} (--peaks {held}), or say" if held else "say"
    return (
        f"the data hold {hold}, and {asked} {'was' if asked == 1 else 'were'} asked for: {more} "
        f"gains less than the {chance:.0f} in −2 log likelihood that noise alone may gain; "
        f"{remedy} where it is by a prior such as center[{held + 1}] ~ Normal(…, …)"
    )


def _refuse_upside_down(dataset, lines, options, floor, found, well):
    """Peaks that point the other way explain far more, or all of what these leave over."""
    negative = bool(options.get("negative"))
    options = options | {"negative": not negative, "centers": ()}
    try:
        turned = problem(dataset, **options)
        other, better = _deviance(turned), not well and _fits_well(turned)
    except (DataError, FitError):
        return
    noise = len(lines.of_peaks) * np.log(len(turned.y))
    if other < found - noise and (better or floor - other > 3 * (floor - found) + noise):
        points = "up" if negative else "down"
        flag = "leave --negative out" if negative else "use --negative (negative=True)"
        raise FitError(
            f"the feature points {points}, and a peak that points the other way was asked for: "
            f"{flag}"
        )


def _refuse_misplaced(stated, dataset, lines):
    """Peaks that stand on the edge of the data, or on a single point."""
    x = stated.curve.x
    best = dict(zip(stated.free, stated.optimum.theta, strict=True))
    edge, narrowest = 1e-3 * float(np.ptp(x)), stated.prior[lines.free("sigma")[0]].support[0]
    for k in range(1, lines.peaks + 1):
        center, sigma = best[f"p{k}_center"], best[f"p{1 if lines.tied else k}_sigma"]
        if min(center - x.min(), x.max() - center) < edge:
            raise FitError(
                f"peak {k} stands at the edge of the data, at {center:.6g}: only its flank is "
                "there; widen the window, or give its centre a prior such as "
                f"center[{k}] ~ Normal(…, …)",
                optimum=stated.optimum.theta,
            )
        if sigma < 1.02 * narrowest:
            point = int(np.argmin(np.abs(x - center)))
            raise FitError(
                f"peak {k} is as narrow as it may be and stands on {row_of(dataset, point)} alone: "
                "an outlier? Take --likelihood student, leave the row out, or state a prior for "
                "sigma",
                optimum=stated.optimum.theta,
            )


def _background_only(stated, lines):
    """−2 log likelihood of the background alone."""
    import lmfit

    params = lmfit.Parameters()
    model, y = lines.lmfit_background(params), stated.y
    if model is None:
        if not stated.is_normal:
            return np.inf
        square = np.sum((y / (1.0 if stated.inferred else stated.error)) ** 2)
        return len(y) * np.log(square / len(y)) if stated.inferred else float(square)
    if lines.background == "exponential":
        start = [float(np.mean(y)), float(np.ptp(stated.curve.x))]
    else:
        start = np.linalg.lstsq(lines.design(stated.curve.x), y, rcond=None)[0].tolist()
    starts = [dict(zip(lines.of_background, start, strict=True))]
    try:
        alone = curve.problem(
            model,
            params,
            stated.points,
            noise=stated.noise,
            starts=starts,
            likelihood=stated.likelihood,
        )
        return _deviance(alone)
    except FitError:  # a decay that is none
        if lines.background == "exponential":
            return _background_only(stated, replace(lines, background="linear"))
        return np.inf


def _deviance_of(dataset, options):
    """−2 log likelihood of another curve; inf where there is none."""
    try:
        return _deviance(problem(dataset, **options))
    except (DataError, FitError):
        return np.inf


def _deviance(stated):
    best = stated.optimum
    if stated.is_normal and stated.inferred:
        return len(stated.y) * np.log(best.rss / len(stated.y))
    return best.rss if stated.is_normal else float(best.ends.min())
