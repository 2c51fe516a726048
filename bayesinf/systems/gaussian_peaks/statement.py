"""What is inferred from a spectrum: the curve, its priors, and how the data scatter about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import axes, curve_from_arrays
from bayesinf.errors import DataError, FitError
from bayesinf.models import curve
from bayesinf.models.likelihoods import NOISE, Likelihood, likelihood_of
from bayesinf.priors import Prior, Uniform
from bayesinf.systems.gaussian_peaks.guesses import guesses
from bayesinf.systems.gaussian_peaks.lines import Lines

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["default_boxes", "default_priors", "problem", "units_of"]

MOST_KNOTS = 60  # of a spline
ELEMENT = re.compile(r"(\w+)\[(\d+)\]")


def problem(
    dataset: xr.Dataset,
    *,
    peaks: int = 1,
    background: str = "constant",
    shape: str = "gaussian",
    origin: float | None = None,
    tied: bool = False,
    knots: int = 6,
    negative: bool = False,
    centers: Sequence[float] = (),
    starts: Sequence[Mapping[str, object]] | None = None,
    search: str = "starts",
    priors: Mapping[str, Prior] | None = None,
    noise: float | Prior | None = None,
    likelihood: str | Likelihood = "normal",
) -> curve.NonlinearRegression:
    """State what is inferred from a spectrum.

    Parameters
    ----------
    dataset : x, y and perhaps ``error``, sd of the noise where it is known, at each point or one
        for all; else the noise is inferred. Counts know their scatter, and set error bars aside.
    peaks, background, shape, tied, knots : as for ``Lines``.
    origin : x at which the background has its ``level``; None takes the smallest x.
    negative : whether the peaks point down.
    centers : where to start looking for the peaks, one for each.
    starts : each from free posterior variable to a number, or one for each peak; None guesses.
    search : "global" looks for the optimum by differential evolution first, as ``curve.problem``.
    priors : by the names of the posterior, ``center`` for all peaks or ``center[2]`` for one, to a
        prior; those of the scatter too (``noise``, ``noise_dof``). Else ``default_priors``. Peaks
        of which one has a prior of its own are told apart by it, and not kept ascending.
    noise : as for ``curve.problem``.
    likelihood : how the data scatter about the curve, as for ``curve.problem``.

    Raises
    ------
    DataError : data, or a number of centres, that will not do.
    FitError : no such curve, likelihood or parameter.
    """
    dataset = dataset.drop_vars("row", errors="ignore")
    x, y, error = axes(dataset)
    if error is None and "error" in dataset:
        dataset = curve_from_arrays(x, y, dataset["error"].broadcast_like(y))
        x, y, error = axes(dataset)
    origin = float(x.min()) if origin is None else float(origin)
    lines = Lines(peaks, background, shape, origin, float(x.max()), tied, knots)
    scattered = likelihood_of(likelihood, x.to_numpy().astype(float), y.to_numpy().astype(float))
    if not scattered.noisy and error is not None:
        dataset = dataset.drop_vars("error").assign_attrs(error=None)
        dataset.attrs.pop("error")
    if len(centers) not in (0, peaks):
        raise DataError(
            "the starting centres do not go with the peaks",
            expected=f"as many as there are peaks, {peaks}",
            found=f"{len(centers)}: {', '.join(f'{center:g}' for center in centers)}",
        )
    given = dict(priors or {})
    noise = given.pop(NOISE, noise)
    own = {name: given.pop(name, prior) for name, prior in scattered.own.items()}
    of_peaks = default_priors(x, y, lines, negative, scattered.noisy)
    flat = {free: prior for name, prior in of_peaks.items() for free in lines.free(name)}
    alone = _given(given, flat, lines, [*of_peaks, *own, *([NOISE] if scattered.noisy else [])])
    if starts is None:
        arrays = x.to_numpy().astype(float), y.to_numpy().astype(float)
        downward = negative or flat["p1_height"].support[1] <= 0
        starts = guesses(*arrays, lines, negative=downward, centers=centers)
    model, params = lines.lmfit()
    of_each = [name for name in lines.of_peaks if len(lines.free(name)) == peaks]
    return curve.problem(
        model,
        params,
        dataset,
        noise=noise,
        priors=flat,
        starts=[lines.flat(start) for start in starts],
        search=search,
        ordered=() if alone else list(zip(*map(lines.names, of_each), strict=True)),
        stacked={
            name: ("peak", lines.names(name))
            for name in ("height", "center", *lines.of_peaks[2:], "amplitude", "fwhm")
        },
        units=units_of(x.units, y.units),
        attrs=lines.attrs,
        likelihood=replace(scattered, own=own) if own else scattered,
        unstated={
            free: _unstated(name, prior, negative)
            for name, prior in of_peaks.items()
            for free in lines.free(name)
            if flat[free] is prior
        },
    )


def _unstated(name, prior, negative):
    """Whether the edges of a default prior are no more than a guess at what is wide enough."""
    if name in ("center", "fraction"):
        return False, False
    if name == "height":
        return negative, not negative
    # Widths and decays have a lowest value, as have the levels of counts.
    return name.startswith("background") and prior.lower != 0, True


def _given(given, flat, lines, known):
    """Put priors of the caller's in place; return whether one is that of a single peak."""
    alone = False
    for name, prior in sorted(given.items(), key=lambda item: "[" in item[0]):
        element = ELEMENT.fullmatch(name)
        variable, number = (element[1], int(element[2])) if element else (name, 1)
        if variable not in known or variable.startswith(NOISE) or number > lines.peaks:
            raise FitError(
                f"no free parameter {name}: a prior can be given for {', '.join(known)}, and for "
                f"one of {lines.peaks} peaks as in center[1]"
            )
        names = lines.free(variable)
        if element and variable in lines.of_peaks and len(names) == lines.peaks:
            names, alone = names[number - 1 : number], lines.peaks > 1
        flat |= dict.fromkeys(names, prior)
    return alone


def default_priors(
    x: xr.DataArray,
    y: xr.DataArray,
    lines: Lines,
    negative: bool = False,
    noisy: bool = True,
) -> dict[str, Prior]:
    """State the priors: flat over all that a spectrum of this extent could show.

    Heights up to twice the range of y, upwards unless ``negative``; centres within x; sigma from
    half the mean distance of the points (a narrower peak would stand on one point alone) to half
    the range of x; levels within the range of y beyond its ends, and of counts, which are not
    ``noisy``, not below zero; other coefficients such that they alone could span the data four
    times. The noise's is log-uniform over seven decades.
    """
    ends = [float(end) for end in (y.min(), y.max(), x.min(), x.max())]
    return {
        name: Uniform(*map(float, box))
        for name, box in default_boxes(*ends, x.size, lines, negative, noisy).items()
    }


def default_boxes(
    low: np.ndarray,
    high: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    size: np.ndarray,
    lines: Lines,
    negative: bool = False,
    noisy: bool = True,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the edges of the default priors, of one spectrum or of many.

    Parameters
    ----------
    low, high, left, right, size : smallest and largest y and x, and the number of points, numbers
        or (spectrum,).
    lines, negative, noisy : as for ``default_priors``.
    """
    extent, width = high - low, right - left
    floor = low - extent
    level = floor if noisy else np.maximum(floor, 0.0), high + extent
    boxes = {
        "height": (-2 * extent, 0.0 * extent) if negative else (0.0 * extent, 2 * extent),
        "center": (left, right),
        "sigma": (0.5 * width / (size - 1), width / 2),
        "gamma": (0.0 * width, width / 2),
        "fraction": (0.0 * width, 1.0 + 0.0 * width),
        "background_level": level,
        "background_decay": (0.0 * width, 10 * width),
    }
    for power, name in ((1, "slope"), (2, "curvature"), (3, "cubic")):
        reach = 4 ** (power if power > 1 else 1) * extent / width**power
        boxes[f"background_{name}"] = -reach, reach
    boxes |= dict.fromkeys((f"background_knot{k}" for k in range(1, lines.knots + 1)), level)
    return {name: boxes[name] for name in lines.fitted}


def units_of(of_x: str, of_y: str) -> dict[str, str]:
    """Return the unit of each posterior variable, from those of x and y."""
    of_x, of_y = ("" if unit == "1" else unit for unit in (of_x, of_y))
    ratio = f"{of_y or 1}/{of_x}" if of_x else of_y
    along_x = ("center", "sigma", "fwhm", "gamma", "background_decay", "background_origin")
    units = dict.fromkeys(along_x, of_x)
    units |= {"height": of_y, "background_level": of_y, "background_slope": ratio}
    units |= {f"background_knot{k}": of_y for k in range(1, 1 + MOST_KNOTS)}
    for power, name in ((2, "curvature"), (3, "cubic")):
        units[f"background_{name}"] = f"{of_y or 1}/{of_x}^{power}" if of_x else of_y
    units["amplitude"] = " ".join(unit for unit in (of_y, of_x) if unit)
    return {name: unit or "1" for name, unit in units.items()}
