"""What the data themselves say before anything is sampled: how they scatter, which rows stand
alone, and whether the peaks that are asked for are there.

Each finding is a clause that names what was seen. A likelihood that the caller names is taken; else
counts are counted, and points that stand alone get heavy tails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import axes
from bayesinf.errors import DataError, FitError
from bayesinf.models import curve
from bayesinf.models.likelihoods import NOISE, Poisson
from bayesinf.systems.gaussian_peaks.lines import Lines
from bayesinf.systems.gaussian_peaks.statement import problem

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["bars_shift", "chosen", "counted", "lone_points", "refuse_unsupported", "row_of"]

DISPERSION = 4.0  # standard errors by which Pearson's χ² may miss that of counts
LOCAL_DISPERSION = 2.5  # likewise for the differences of neighbours
CLEAR = 8.0  # standard errors from which the height of a peak is beyond doubt
LONE = 10.0  # standard deviations off what is around it at which a point stands alone
LONE_PAIR = 40.0  # likewise two together, which a narrow peak could be
SHOULDER = 0.07  # share of a lone point's height that its neighbours may have
ROOT = 0.03  # relative error of bars that are square roots of counts
# What programs write for them; of low counts they differ (Gehrels, doi:10.1086/164079, the last).
ROOTS = (
    lambda y: np.sqrt(np.maximum(y, 1.0)),
    lambda y: np.sqrt(y + 1.0),
    lambda y: np.sqrt(y + 0.25),
    lambda y: 1.0 + np.sqrt(y + 0.75),
)


def chosen(
    dataset: xr.Dataset, *, likelihood: str | None = None, **model
) -> tuple[curve.NonlinearRegression, str]:
    """State the problem under the likelihood that is asked for, else that which the data call for.

    Parameters
    ----------
    dataset : a spectrum.
    likelihood : one of ``likelihoods.LIKELIHOODS``; None looks at the data: whole numbers without
        error bars, or with bars that are their square roots, are counts where they scatter as such;
        where points stand alone the tails are heavy; else the noise is normal.
    **model : as for ``problem``.

    Returns
    -------
    the problem, and a sentence that says what was noticed ("" where nothing was).
    """
    if likelihood is not None:
        return problem(dataset, likelihood=likelihood, **model), ""
    unit, why = counted(dataset)
    lone = lone_points(axes(dataset)[1].to_numpy().astype(float), unit)
    free = NOISE not in (model.get("priors") or {}) and model.get("noise") is None
    if unit and free and not len(lone):
        stated = problem(dataset, likelihood=Poisson(unit), **model)
        agrees, said = _scatters_as_counts(stated, unit)
        if agrees:
            bars = ", and the error bars are set aside" if axes(dataset)[2] is not None else ""
            return stated, f"{why}, and {said}: a Poisson likelihood is taken{bars}."
        why = f"{why}, but {said}: they are no plain counts, and normal noise is taken."
        return problem(dataset, **model), why
    if len(lone):
        names = _listed([row_of(dataset, i) for i in lone])
        alone, kept = ("stands", "it is") if len(lone) == 1 else ("stand", "they are")
        why = (
            f"{names} {alone} alone, far off the neighbours: {kept} kept, and a Student "
            "likelihood, with heavy tails, is taken."
        )
        return problem(dataset, likelihood="student", **model), why
    return problem(dataset, **model), why and f"{why}."


# Counts


def counted(dataset: xr.Dataset) -> tuple[float | None, str]:
    """Return the unit in which y is counted, None where it is not, and what was seen.

    Without error bars whole numbers that are not negative are counts. With bars that are the square
    roots of y, error² = unit · y, and y / unit that are whole numbers, y is counts times a unit, as
    a rate over a known time is.
    """
    _, y, error = axes(dataset)
    name, values = y.attrs.get("long_name", y.name), y.to_numpy().astype(float)
    whole = bool(np.all((values >= 0) & (values == np.round(values))))
    if error is None:
        if whole:
            return 1.0, f"{name} holds whole numbers, none of them negative, and no error bars"
        return None, ""
    unit = _root(values, error.to_numpy().astype(float))
    if unit is None:
        return None, ""
    unit = 1.0 if whole and abs(unit - 1) < ROOT else unit
    counts = values / unit
    of_unit = "" if unit == 1 else f" times √{unit:.3g}"
    seen = f"the error bars are the square roots of {name}{of_unit}"
    if np.all(counts >= 0) and np.all(np.abs(counts - np.round(counts)) < 0.02 + 1e-3 * counts):
        return unit, seen
    return None, f"{seen}, which weighs low readings too much: the fit is biased low"


def _root(y, error):
    """The unit of error² = unit · y; None where the bars are not that."""
    if np.ptp(y) < 0.2 * np.mean(np.abs(y)):  # bars that hardly differ may be anything
        return None
    if any(np.allclose(error, bars(np.maximum(y, 0.0)), rtol=ROOT) for bars in ROOTS):
        return 1.0
    seen = y > 0.05 * np.max(y)
    ratio = error[seen] ** 2 / y[seen]
    unit = float(np.median(ratio))
    return unit if seen.sum() >= 5 and np.allclose(ratio, unit, rtol=ROOT) else None


def _scatters_as_counts(stated, unit):
    """Whether y scatters as counts do, about the curve or about its own neighbours."""
    y = stated.y / unit
    best = stated.optimum
    mean = np.maximum(stated.curve(best.theta) / unit, 1e-3)
    square = np.sum((y - mean) ** 2 / mean)
    error = np.sqrt(np.sum(2 + 1 / mean))
    said = f"their scatter is {square / best.dof:.2f} times that of counts"
    if abs(square - best.dof) < DISPERSION * error:
        return True, said
    # A curve that misses a peak scatters too much; neighbours do not know of the curve.
    middle, around = y[1:-1], (y[:-2] + y[2:]) / 2
    whole = np.sum(middle + around / 2)
    local = np.sum((middle - around) ** 2) / max(whole, 1.0)
    if abs(np.log(max(local, 1e-6))) < LOCAL_DISPERSION * np.sqrt(4 / len(y)):
        return True, f"neighbours scatter {local:.2f} times as counts do"
    return False, said


def bars_shift(stated: curve.NonlinearRegression) -> float | None:
    """Return how far bars that are square roots of y shift a least-squares fit, in standard errors.

    A reading that happens to be low has a small bar then, and too much weight. Bars from the fitted
    curve, error² = unit · f(x), have no such preference: the largest shift of a parameter from one
    fit to the other, over its standard error. None where the bars are no square roots of y.
    """
    if not stated.is_normal or "error" not in stated.points:
        return None
    unit = _root(stated.y, stated.points["error"].to_numpy().astype(float))
    if unit is None:
        return None
    first = other = stated.optimum
    for _ in range(2):
        mean = np.maximum(stated.curve(other.theta), 0.1 * unit)
        bars = stated.points["error"].copy(data=np.sqrt(unit * mean))
        at = dict(zip(stated.free, other.theta, strict=True))
        other = replace(stated, points=stated.points.assign(error=bars), starts=(at,)).optimum
    return float(np.max(np.abs(other.theta - first.theta) / first.standard_error))


# Points that stand alone


def lone_points(y: np.ndarray, unit: float | None = None) -> np.ndarray:
    """Return the positions of points that stand alone, one or two together, of y sorted by x.

    Such points lie many standard deviations off the cubic through the two on either side beyond
    their neighbours, and the neighbours do not: no peak that a few points resolve looks so. The
    standard deviation is that of second differences, the larger of the whole and of the
    neighbourhood, and of y that counts in a ``unit`` no less than that of counts.
    """
    if len(y) < 12:
        return np.array([], dtype=int)
    change = np.abs(y[1:-1] - (y[:-2] + y[2:]) / 2) / np.sqrt(1.5)
    near = np.lib.stride_tricks.sliding_window_view(np.pad(change, 9, "reflect"), 17)
    noise = 1.4826 * np.maximum(np.median(change), np.median(near, axis=-1)[: len(y)])
    if unit:
        around = np.lib.stride_tricks.sliding_window_view(np.pad(y, 3, "reflect"), 7)
        noise = np.maximum(noise, np.sqrt(unit * (np.median(around, axis=-1) + unit)))
    padded, at, found = np.pad(y, 4, "reflect"), np.arange(len(y)) + 4, set()
    for width, lone in ((1, LONE), (2, LONE_PAIR)):
        beyond = np.array([-3, -2, width + 1, width + 2])
        inside = np.arange(-1, width + 1)
        # Lagrange's weights of the cubic through the points beyond, at those inside.
        weights = np.linalg.solve(np.vander(beyond, 4).T, np.vander(inside, 4).T)
        values = np.stack([padded[at + k] for k in inside])
        off = values - weights.T @ np.stack([padded[at + k] for k in beyond])
        height = np.abs(off[1:-1].sum(axis=0)) / width
        least = np.min(np.abs(off[1:-1]), axis=0)
        beside = np.max(np.abs(off[[0, -1]]), axis=0)
        alone = (least > lone * noise) & (least > 0.5 * height) & (noise > 0)
        alone &= beside < SHOULDER * least + 3 * noise
        for start in np.flatnonzero(alone):
            found |= {i for i in range(start, start + width) if i < len(y)}
    return np.array(sorted(found), dtype=int)


def row_of(dataset: xr.Dataset, point: int) -> str:
    """Say which point it is: its row in the file, where that is known, and its x and y."""
    x, y, _ = axes(dataset)
    names = [one.attrs.get("long_name", one.name) for one in (x, y)]
    values = [one.to_numpy()[point] for one in (x, y)]
    at = ", ".join(f"{name} = {value:.6g}" for name, value in zip(names, values, strict=True))
    return f"row {int(dataset['row'][point])} ({at})" if "row" in dataset.coords else f"({at})"


def _listed(names, most=3):
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


# Peaks that are not there


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
        alone = curve.problem(model, params, stated.points, noise=stated.noise, starts=starts,
                              likelihood=stated.likelihood)  # fmt: skip
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
