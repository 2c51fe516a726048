"""The best end of several descents of each spectrum, with covariance, and what it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from bayesinf.data.spectra import Spectrum
from bayesinf.settings import DEFAULT
from bayesinf.systems.gaussian_peaks.batch import residuals
from bayesinf.systems.gaussian_peaks.batch.statement import Model

__all__ = ["Flat", "factors", "looked", "optima"]

ROUGH = 1e-9  # share of the misfit that a step must promise, in the search for the best end
SCATTERED = 8  # starts in the box, at most, that join where guesses disagree
THOROUGH = 24  # likewise where residuals say that the best end may not be the best
COARSE = 1e-3  # likewise in the search for a start from which counts can be made
LIFTED = 0.02  # share of the mean of counts, below which no curve begins
STEP = 1e-3  # standard errors, of differences of the exact slope
NEWTON = 4  # steps of the observed curvature at most
NEAR_ENOUGH = 0.1  # standard errors that the first of them may be long
FLAT = 1e-6  # curvature, in Fisher's, below which the data leave a direction open
ROUNDING = 1e-15  # least eigenvalue of a correlation matrix
SAME, NEAR = 0.01, 3.0  # log density below the best: the same end, and a rival


@dataclass(frozen=True)
class Flat:
    """Spectra one after the other, as the compiled loops take them.

    Parameters
    ----------
    spectra : those.
    x, y, weight : of all, (point,); the weight is one over the error bars, 1 where there are none,
        and of counts.
    counted : whether y are counts.
    at : where each spectrum begins and ends, (spectrum + 1,).
    design : columns of the background, (parameter, point).
    exponential : whether the background is one.
    origin : x at which a background begins, (spectrum,).
    shape, slots : of the peaks.
    lower, upper : (spectrum, parameter).
    """

    spectra: Sequence[Spectrum]
    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    counted: bool
    at: np.ndarray
    design: np.ndarray
    exponential: bool
    origin: np.ndarray
    shape: int
    slots: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def of(cls, spectra: Sequence[Spectrum], model: Model) -> Flat:
        """Lay out spectra, all with error bars or all without."""
        from bayesinf.systems.gaussian_peaks.batch.evaluation import SHAPES

        sizes = [len(one.x) for one in spectra]
        bars = [
            np.ones(len(one.x)) if one.error is None or model.counted else 1 / one.error
            for one in spectra
        ]
        parts = [one.x for one in spectra], [one.y for one in spectra], bars
        return cls(
            spectra,
            *(np.concatenate(part).astype(float) for part in parts),
            model.counted,
            np.concatenate([[0], np.cumsum(sizes)]),
            model.design(spectra),
            model.background == "exponential",
            np.array([one.x[0] for one in spectra], dtype=float),
            SHAPES[model.shape],
            model.slots,
            *model.boxes(spectra),
        )

    @property
    def curves(self) -> tuple:
        """What the compiled loops take of every spectrum, its bounds aside."""
        return tuple(getattr(self, one.name) for one in fields(self)[1:-2])


def optima(
    flat: Flat,
    model: Model,
    inferred: bool,
    starts: np.ndarray | None = None,
    thorough: bool = False,
) -> dict[str, np.ndarray]:
    """Return optimum, inverse curvature there and how the search went, of each spectrum.

    The curvature is that of half the misfit: JᵀWJ of normal noise, and the observed one of counts.

    Parameters
    ----------
    flat, model : the spectra, and what is fitted to each.
    inferred : whether the size of the residuals says how large the noise is.
    starts : (start, parameter) of the caller's, the same for all; None guesses for each, and where
        guesses disagree some starts in the box join.
    thorough : whether to search from many starts in the box as well.

    Returns
    -------
    ``theta`` (spectrum, parameter), ``covariance`` (spectrum, parameter, parameter), and
    (spectrum,) each: ``rss``, the least misfit; ``step``, how long the last step was;
    ``agreeing`` starts, and ``rivals``, those that ended nearly as well elsewhere; ``exists``,
    whether there is a covariance.
    """
    from bayesinf.systems.gaussian_peaks.batch.descent import descend, polish
    from bayesinf.systems.gaussian_peaks.batch.starting import scattered

    (count, size), points = flat.lower.shape, np.diff(flat.at)
    begun = _guessed(flat, model) if starts is None else np.repeat(starts[:, None], count, axis=1)
    more = np.empty((0, size))
    if starts is None:
        more = DEFAULT.generator("starts").random((THOROUGH if thorough else SCATTERED, size))
    every, given = np.arange(count), len(begun)
    ends = np.full((given + len(more), count), np.inf)
    theta, box = begun[0].copy(), (flat.lower, flat.upper)
    best = np.full(count, np.inf)
    for k in range(len(ends)):
        chosen = every
        if k >= given and not thorough:  # guesses are alike, and where they agree they are believed
            agreeing = np.sum(_below(ends, best, points, inferred) <= SAME, axis=0)
            chosen = np.flatnonzero(agreeing < 2)
        if not len(chosen):
            break
        if k < given:
            tried = np.ascontiguousarray(begun[k], dtype=float)
        else:
            tried = theta.copy()
            scattered(*flat.curves, *box, chosen, more[k - given], tried)
        descend(*flat.curves, *box, chosen, ROUGH, tried, ends[k])
        better = ends[k] < best
        theta[better], best[better] = tried[better], ends[k][better]
    below = _below(ends, best, points, inferred)
    if model.ascending:
        _order(theta, flat.slots)
    step, covariance = np.empty(count), np.full((count, size, size), np.nan)
    polish(*flat.curves, *box, theta, best, step, covariance)
    if flat.counted:
        covariance = _observed(flat, theta, covariance)
        _newton(flat, theta, covariance, step)
    return {
        "theta": theta,
        "covariance": covariance,
        "rss": best,
        "step": step,
        "agreeing": np.sum(below <= SAME, axis=0),
        "rivals": np.sum((below > SAME) & (below <= NEAR), axis=0),
        "exists": np.isfinite(covariance).all(axis=(1, 2)),
    }


def _guessed(flat, model):
    """Starts read off the data, (way, spectrum, parameter)."""
    from bayesinf.systems.gaussian_peaks.batch.starting import guesses

    count, size = flat.lower.shape
    centers = np.array(sorted(model.centers), dtype=float)
    found = np.zeros((count, 2 if len(centers) or model.peaks == 1 else 4, size))
    sign = -1.0 if model.negative else 1.0
    curve = flat.at, flat.design, flat.exponential, flat.origin, flat.slots
    guesses(flat.x, flat.y, *curve, sign, centers, found)
    found = np.moveaxis(found, 1, 0)
    return np.array([_countable(flat, each) for each in found]) if flat.counted else found


def _countable(flat, starts):
    """Starts from which counts can be made: where least squares on weights of their own end.

    A mean below zero has made no counts, so levels are raised where the line would dip there.
    """
    from bayesinf.systems.gaussian_peaks.batch.descent import descend
    from bayesinf.systems.gaussian_peaks.batch.influence import influence

    least = replace(flat, counted=False, weight=1 / np.sqrt(np.maximum(flat.y, 1.0)))
    count, size = starts.shape
    found, ends = np.array(starts), np.empty(count)
    every = np.arange(count)
    descend(*least.curves, flat.lower, flat.upper, every, COARSE, found, ends)
    mean, *rest = np.empty((4, len(flat.x)))
    influence(
        *least.curves, found, mean, *rest, np.empty((count, size, size)), np.empty_like(found)
    )
    begins = flat.at[:-1]
    lowest = np.minimum.reduceat(mean, begins)
    wanted = LIFTED * np.add.reduceat(flat.y, begins) / np.diff(flat.at)
    constant = np.ptp(flat.design[:1], axis=1) == 0 if len(flat.design) else np.zeros(0, bool)
    rows = slice(0, 1) if constant.any() else slice(0, len(flat.design))
    found[:, rows] += np.where(lowest < wanted, wanted - lowest, 0.0)[:, None]
    return found


def _observed(flat, theta, expected):
    """Inverse of the observed curvature: differences of the exact slope along Fisher's axes."""
    from bayesinf.systems.gaussian_peaks.batch.descent import gradients

    roots, sides = factors(expected), []
    found = np.empty_like(theta)
    curvature = np.empty_like(expected)
    for a in range(theta.shape[1]):
        sides = []
        for side in (STEP, -STEP):
            gradients(*flat.curves, theta + side * roots[:, :, a], found)
            sides.append(np.einsum("sba,sb->sa", roots, found))
        curvature[:, a] = (sides[1] - sides[0]) / (2 * STEP)
    with np.errstate(all="ignore"):
        curvature = (curvature + np.swapaxes(curvature, 1, 2)) / 2
        lost = ~np.isfinite(curvature).all(axis=(1, 2))
        curvature[lost] = np.eye(theta.shape[1])
        values, axes = np.linalg.eigh(curvature)
        lost |= values[:, 0] <= FLAT
        across = np.einsum("sab,sbc->sac", roots, axes / np.sqrt(np.maximum(values, FLAT))[:, None])
    found = np.einsum("sac,sbc->sab", across, across)
    return np.where(lost[:, None, None], expected, found)


def _newton(flat, theta, covariance, step):
    """Take steps of the observed curvature, in place, where they shrink: Fisher's take many."""
    from bayesinf.systems.gaussian_peaks.batch.descent import gradients

    slope = np.empty_like(theta)
    for _ in range(NEWTON):
        gradients(*flat.curves, theta, slope)
        moves = np.einsum("sab,sb->sa", covariance, slope)
        with np.errstate(invalid="ignore"):
            length = np.sqrt(np.sum(moves * slope, axis=1))
            inside = (theta + moves >= flat.lower) & (theta + moves <= flat.upper)
        better = (length < np.minimum(step, NEAR_ENOUGH)) & inside.all(axis=1)
        theta[better] += moves[better]
        step[better] = length[better]


def factors(covariance: np.ndarray) -> np.ndarray:
    """Return Cholesky's factors of covariances whose parameters have units of their own.

    Parameters
    ----------
    covariance : (spectrum, parameter, parameter), NaN where there is none.

    Returns
    -------
    the same shape, NaN where a covariance is not positive definite.
    """
    with np.errstate(all="ignore"):
        unit = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
        scaled = covariance / (unit[:, :, None] * unit[:, None, :])
        lost = ~np.isfinite(scaled).all(axis=(1, 2))
        scaled[lost] = np.eye(scaled.shape[-1])
        lost |= np.linalg.eigvalsh(scaled)[:, 0] <= ROUNDING
        scaled[lost] = np.eye(scaled.shape[-1])
        return np.where(lost[:, None, None], np.nan, unit[:, :, None] * np.linalg.cholesky(scaled))


def _below(ends, best, points, inferred):
    """Log density by which ends lie below the best, (start, spectrum); inf where there is none."""
    with np.errstate(all="ignore"):
        if inferred:
            found = points / 2 * np.log(np.maximum(ends, 1e-300) / np.maximum(best, 1e-300))
        else:
            found = (ends - best) / 2
    return np.where(ends < np.inf, found, np.inf)


def _order(theta, slots):
    """Exchange whole peaks, in place, so that their centres ascend."""
    order = np.argsort(theta[:, slots[:, 1]], axis=1, kind="stable")
    for at in slots.T:
        if len(set(at)) == len(at):  # what peaks share stays
            theta[:, at] = np.take_along_axis(theta[:, at], order, axis=1)


def looked(
    flat: Flat, model: Model, inferred: bool, best: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return statistics of the residuals, p-values, and the condition of the slopes, each of length
    one; (spectrum, 4), (spectrum, statistic) and (spectrum,).
    """
    from bayesinf.systems.gaussian_peaks.batch.influence import influence

    count, size = best["theta"].shape
    mean, residual, leverage, beside = np.full((4, len(flat.x)), np.nan)
    gram = np.empty((count, size, size))
    by = best["theta"], mean, residual, leverage, beside, gram, np.empty((count, size))
    influence(*flat.curves, *by)
    with np.errstate(all="ignore"):
        lost = ~np.isfinite(gram).all(axis=(1, 2))
        values = np.linalg.eigvalsh(np.where(lost[:, None, None], np.eye(size), gram))
        condition = np.sqrt(values[:, -1] / np.maximum(values[:, 0], 1e-300))
    condition[lost | np.isnan(leverage[flat.at[:-1]])] = np.inf
    points = flat.y, mean, residual, flat.weight, leverage, beside
    held = residuals.Residuals(*points, flat.at, best["rss"], size)
    z, p = residuals.counts(held) if flat.counted else residuals.normal(held, inferred)
    return z, p, condition
