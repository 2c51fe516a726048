"""What the data themselves say before anything is sampled: how they scatter, and which rows stand
alone.

Each finding is a clause that names what was seen. A likelihood that the caller names is taken; else
counts are counted, and points that stand alone get heavy tails.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import axes
from bayesinf.models import curve
from bayesinf.models.likelihoods import NOISE, Poisson
from bayesinf.systems.gaussian_peaks.statement import problem

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["bars_shift", "chosen", "counted", "lone_points", "row_of"]

DISPERSION = 4.0  # standard errors by which Pearson's χ² may miss that of counts
LOCAL_DISPERSION = 2.5  # likewise for the differences of neighbours
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
