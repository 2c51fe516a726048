"""The model of a spectrum: peaks of one shape on a background, stated in lmfit's terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import axes, curve_from_arrays
from bayesinf.errors import FitError
from bayesinf.models import curve
from bayesinf.models import problem as driver
from bayesinf.posterior import annotated, dataset, noted
from bayesinf.priors import Prior, Uniform
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import lmfit
    import xarray as xr

__all__ = [
    "BACKGROUNDS",
    "KNOWN",
    "SHAPES",
    "Lines",
    "curves",
    "default_priors",
    "fit",
    "guesses",
    "problem",
    "units_of",
]

KNOWN = ("truth", "certified", "certified_sd")  # notes that a spectrum passes on to its fit


@dataclass(frozen=True)
class Shape:
    """A line shape of lmfit.

    Parameters
    ----------
    model : its class in ``lmfit.models``.
    area : area of a peak of height 1, in the peak's parameters.
    fwhm : full width at half maximum.
    extra : parameters besides height, centre and sigma.
    """

    model: str
    area: str
    fwhm: str
    extra: tuple[str, ...] = ()


SHAPES = {
    "gaussian": Shape("GaussianModel", "sqrt(2*pi)*{p}sigma", "2*sqrt(2*log(2))*{p}sigma"),
    "lorentzian": Shape("LorentzianModel", "pi*{p}sigma", "2*{p}sigma"),
    "voigt": Shape(
        "VoigtModel",
        "sqrt(2*pi)*{p}sigma/real(wofz(1j*{p}gamma/(sqrt(2)*{p}sigma)))",
        # Kielkopf's form of the width, right to 0.02 %: doi:10.1364/JOSA.63.000987
        "1.0692*{p}gamma+sqrt(0.8664*{p}gamma**2+8*log(2)*{p}sigma**2)",
        ("gamma",),
    ),
    "pseudo-voigt": Shape(
        "PseudoVoigtModel",
        "{p}sigma/((1-{p}fraction)*sqrt(log(2)/pi)+{p}fraction/pi)",
        "2*{p}sigma",
        ("fraction",),
    ),
}


def _constant(x, level):
    return level + np.zeros(len(x))


def _linear(x, level, slope, origin):
    return level + slope * (x - origin)


def _exponential(x, level, decay, origin):
    return level * np.exp(-(x - origin) / decay)


BACKGROUNDS = {
    "constant": (_constant, ("level",)),
    "linear": (_linear, ("level", "slope")),
    "exponential": (_exponential, ("level", "decay")),
    "none": (None, ()),
}


@dataclass(frozen=True)
class Lines:
    """Which curve it is.

    Parameters
    ----------
    peaks : how many.
    background : "constant" (``background_level``), "linear" (with ``background_slope``),
        "exponential" (with ``background_decay``) or "none".
    shape : "gaussian", "lorentzian", "voigt" (with ``gamma``) or "pseudo-voigt" (``fraction``).
    origin : x at which the background has its level.

    Raises
    ------
    FitError : an unknown shape or background, no peaks.
    """

    peaks: int = 1
    background: str = "constant"
    shape: str = "gaussian"
    origin: float = 0.0

    def __post_init__(self):
        known = {"shape": SHAPES, "background": BACKGROUNDS}
        for what, names in known.items():
            given = getattr(self, what)
            if given not in names:
                raise FitError(f"unknown {what} {given!r}: use one of {', '.join(names)}")
        if not 1 <= self.peaks == int(self.peaks):
            raise FitError(f"the number of peaks must be a positive integer, not {self.peaks}")

    @classmethod
    def of(cls, fit: xr.DataTree) -> Lines:
        """Return what a fit says of itself."""
        peaks, *rest = (fit.attrs[name] for name in cls.__dataclass_fields__)
        return cls(int(peaks), *rest)

    @property
    def of_peaks(self) -> list[str]:
        """Free variables with an entry for each peak."""
        return ["center", "height", "sigma", *SHAPES[self.shape].extra]

    @property
    def of_background(self) -> list[str]:
        """Free variables of the background."""
        return [f"background_{name}" for name in BACKGROUNDS[self.background][1]]

    @property
    def fitted(self) -> list[str]:
        """All free variables, the noise aside."""
        return ["height", "center", *self.of_peaks[2:], *self.of_background]

    def names(self, variable: str) -> list[str]:
        """Return what lmfit calls a posterior variable, or the elements of one over peaks."""
        if variable.startswith("background_"):
            return [variable]
        return [f"p{k}_{variable}" for k in range(1, self.peaks + 1)]

    def flat(self, values: Mapping[str, object]) -> dict[str, float]:
        """From posterior variables, a number or one for each peak, to lmfit's parameters."""
        result = {}
        for variable, value in values.items():
            names = self.names(variable)
            if np.size(value) not in (1, len(names)):
                raise FitError(
                    f"a start for {variable} needs one number or {len(names)}, not {np.size(value)}"
                )
            result |= zip(names, np.broadcast_to(value, len(names)).tolist(), strict=True)
        return result

    def lmfit(self) -> tuple[lmfit.Model, lmfit.Parameters]:
        """Return lmfit's Model, and its Parameters with heights free and areas tied to them."""
        import lmfit

        form, params, model = SHAPES[self.shape], lmfit.Parameters(), None
        function, _ = BACKGROUNDS[self.background]
        if function is not None:
            model = lmfit.Model(function, prefix="background_")
            for name in self.of_background:
                params.add(name, value=1.0)
            if self.background != "constant":
                params.add("background_origin", value=self.origin, vary=False)
            if self.background == "exponential":
                params["background_decay"].set(min=0)
        for k in range(1, self.peaks + 1):
            p = f"p{k}_"
            peak = getattr(lmfit.models, form.model)(prefix=p)
            model = peak if model is None else model + peak
            params.add(f"{p}height", value=1.0)
            params.add(f"{p}center", value=float(k))
            params.add(f"{p}sigma", value=1.0, min=0)
            for name in form.extra:
                params.add(f"{p}{name}", value=0.5, min=0, max=1 if name == "fraction" else np.inf)
            params.add(f"{p}amplitude", expr=f"{p}height*{form.area.format(p=p)}")
            params.add(f"{p}fwhm", expr=form.fwhm.format(p=p))
        return model, params


def fit(
    dataset: xr.Dataset,
    *,
    method: str | None = None,
    case: str | None = None,
    settings: Settings = DEFAULT,
    **model,
) -> xr.DataTree:
    """Infer the peaks of a spectrum.

    Parameters
    ----------
    dataset : as ``simulate``, ``read`` or ``nist`` return it; what it knows beforehand, ``truth``
        or certified values, goes with the fit.
    method : "laplace" (the default) or "emcee".
    case : what the data are called in a report; by default what they call themselves.
    settings : length and seed.
    **model : as for ``problem``: ``peaks``, ``background``, ``shape``, ``priors``, ...

    Returns
    -------
    InferenceData with ``height``, ``center``, ``sigma``, ``amplitude`` (area), ``fwhm`` (peak,),
    the background's parameters, and ``noise`` where it is inferred. Beside it stand ``classical``,
    the classical answer, and ``curve``, the mean curve with its components.

    Raises
    ------
    DataError : data that cannot be used. FitError : peaks that the data do not determine.
    """
    stated = problem(dataset, **model)
    found = driver.fit(
        stated,
        method,
        settings,
        system="gaussian_peaks",
        notes={name: noted(dataset, name) for name in KNOWN},
        attrs={"case": dataset.attrs.get("case", "") if case is None else case},
    )
    return annotated(found, curve=_mean_curve(found, stated.curve.x))


def problem(
    dataset: xr.Dataset,
    *,
    peaks: int = 1,
    background: str = "constant",
    shape: str = "gaussian",
    origin: float | None = None,
    starts: Sequence[Mapping[str, object]] | None = None,
    priors: Mapping[str, Prior] | None = None,
    noise: float | Prior | None = None,
) -> curve.NonlinearRegression:
    """State what is inferred from a spectrum.

    Parameters
    ----------
    dataset : x, y and perhaps ``error``, sd of the noise where it is known, at each point or one
        for all; else the noise is inferred.
    peaks, background, shape : as for ``Lines``.
    origin : x at which the background has its ``level``; None takes the smallest x.
    starts : each from free posterior variable to a number, or one for each peak; None guesses.
    priors : free posterior variable to its prior, the same for all peaks; else ``default_priors``.
    noise : as for ``curve.problem``.
    """
    x, y, error = axes(dataset)
    if error is None and "error" in dataset:
        dataset = curve_from_arrays(x, y, dataset["error"].broadcast_like(y))
        x, y, error = axes(dataset)
    origin = float(x.min()) if origin is None else float(origin)
    lines = Lines(peaks, background, shape, origin)
    of_kind = default_priors(x, y, lines)
    unknown = set(priors or {}) - set(of_kind)
    if unknown:
        raise FitError(
            f"no free parameter {', '.join(sorted(unknown))}: a prior can be given for "
            f"{', '.join(of_kind)}, and that of the noise as the argument 'noise'"
        )
    of_kind |= priors or {}
    if starts is None:
        starts = guesses(x.to_numpy(), y.to_numpy(), lines, of_kind["height"])
    model, params = lines.lmfit()
    return curve.problem(
        model,
        params,
        dataset,
        noise=noise,
        priors={flat: prior for name, prior in of_kind.items() for flat in lines.names(name)},
        starts=[lines.flat(start) for start in starts],
        ordered=list(zip(*map(lines.names, lines.of_peaks), strict=True)),
        stacked={
            name: ("peak", lines.names(name))
            for name in ("height", "center", *lines.of_peaks[2:], "amplitude", "fwhm")
        },
        units=units_of(x.units, y.units),
        attrs={"peaks": peaks, "background": background, "shape": shape, "origin": origin},
    )


def default_priors(x: xr.DataArray, y: xr.DataArray, lines: Lines) -> dict[str, Prior]:
    """State the priors: flat over all that a spectrum of this extent could show.

    Heights up to twice the range of y, upwards; centres within x; sigma from half the mean distance
    of the points (a narrower peak would stand on one point alone) to half the range of x; levels
    within the range of y beyond its ends. The noise's is log-uniform over seven decades.
    """
    low, high, left, right = float(y.min()), float(y.max()), float(x.min()), float(x.max())
    extent, width = high - low, right - left
    priors = {
        "height": Uniform(0.0, 2 * extent),
        "center": Uniform(left, right),
        "sigma": Uniform(0.5 * width / (x.size - 1), width / 2),
        "gamma": Uniform(0.0, width / 2),
        "fraction": Uniform(0.0, 1.0),
        "background_level": Uniform(low - extent, high + extent),
        "background_slope": Uniform(-4 * extent / width, 4 * extent / width),
        "background_decay": Uniform(0.0, 10 * width),
    }
    return {name: priors[name] for name in lines.fitted}


def units_of(of_x: str, of_y: str) -> dict[str, str]:
    """Return the unit of each posterior variable, from those of x and y."""
    of_x, of_y = ("" if unit == "1" else unit for unit in (of_x, of_y))
    ratio = f"{of_y or 1}/{of_x}" if of_x else of_y
    along_x = ("center", "sigma", "fwhm", "gamma", "background_decay", "background_origin")
    units = dict.fromkeys(along_x, of_x)
    units |= {"height": of_y, "background_level": of_y, "background_slope": ratio}
    units["amplitude"] = " ".join(unit for unit in (of_y, of_x) if unit)
    return {name: unit or "1" for name, unit in units.items()}


# The curve of a fit


def curves(fit: xr.DataTree, x: np.ndarray, most: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate a posterior's background, (draw, point), and peaks, (draw, peak, point).

    Parameters
    ----------
    fit : what ``fit`` returned.
    x : (point,).
    most : draws, taken evenly from all of them.
    """
    lines, posterior = Lines.of(fit), fit["posterior"]
    model, params = lines.lmfit()
    total = posterior.sizes["chain"] * posterior.sizes["draw"]
    chosen, values = np.linspace(0, total - 1, most).astype(int), {}
    for variable in lines.fitted:
        draws = posterior[variable].to_numpy().reshape(total, -1)[chosen]
        values |= zip(lines.names(variable), draws.T, strict=True)
    parts = [curve.evaluate(component, params, x, values) for component in model.components]
    background = np.zeros((most, len(x))) if lines.background == "none" else parts.pop(0)
    return background, np.stack(parts, axis=1)


def _mean_curve(fit, x):
    """Mean of the posterior's curve at the data, and of its components on a fine grid."""
    grid = np.linspace(x.min(), x.max(), 600)
    background, peaks = curves(fit, grid)
    at_data, peaks_at_data = curves(fit, x)
    (y,) = fit["observed_data"].data_vars.values()
    arrays = {
        "grid": grid,
        "background": background.mean(axis=0),
        "peaks": peaks.mean(axis=0),
        "mean": (at_data + peaks_at_data.sum(axis=1)).mean(axis=0),
    }
    dims = {"background": ("grid",), "peaks": ("peak", "grid"), "mean": ("point",)}
    units = dict.fromkeys(dims, y.units)
    numbers = fit["posterior"]["peak"].values
    coords = {"grid": arrays.pop("grid"), "peak": numbers}
    return dataset(arrays, dims, coords, units, sampled=False)


# Where lmfit starts


def guesses(
    x: np.ndarray, y: np.ndarray, lines: Lines, height: Prior | None = None
) -> list[dict[str, object]]:
    """Guess where lmfit should start, in a few ways.

    A background is laid under the data; then the highest of what stands above it, smoothed, is
    taken for a peak as wide as its steeper side, subtracted, and so on. The ways differ in the
    smoothing, and in splitting the broadest peak into two. Peaks point down where the prior of
    their height ends below zero.
    """
    sign = -1.0 if getattr(height, "upper", 1.0) <= 0 else 1.0
    found = []
    for share in (1 / 80, 1 / 25):
        window = max(1, int(share * len(x)))
        smooth = np.convolve(np.pad(y, window, "edge"), np.ones(2 * window + 1), "valid")
        smooth = sign * smooth / (2 * window + 1)
        floor, start = _floor(x, smooth, lines, sign)
        peeled = _peel(x, smooth - floor, lines.peaks)
        found.append(_start(peeled, sign, start))
        if lines.peaks > 1:
            peeled = sorted(_peel(x, smooth - floor, lines.peaks - 1), key=lambda line: line[2])
            height, center, sigma = peeled.pop()
            halves = [(0.7 * height, center + side * 0.7 * sigma, 0.7 * sigma) for side in (-1, 1)]
            found.append(_start([*peeled, *halves], sign, start))
    return found


def _start(lines, sign, background):
    height, center, sigma = np.array(sorted(lines, key=lambda line: line[1])).T
    return {"height": sign * height, "center": center, "sigma": sigma} | background


def _peel(x, y, count):
    """Take the highest peaks off one by one, as (height, centre, sigma) of Gaussians."""
    rest, lines = y.copy(), []
    for _ in range(count):
        top = int(np.argmax(rest))
        height = max(rest[top], 1e-3 * np.ptp(y), 1e-300)
        below = np.flatnonzero(rest < height / 2)
        sides = [
            abs(x[top] - x[i]) for i in (below[below < top][-1:], below[below > top][:1]) if len(i)
        ]
        half_width = min((float(side[0]) for side in sides), default=np.ptp(x) / 10)
        sigma = max(half_width / np.sqrt(2 * np.log(2)), np.ptp(x) / len(x) / 2)
        lines.append((height, x[top], sigma))
        rest = rest - height * np.exp(-0.5 * ((x - x[top]) / sigma) ** 2)
    return lines


def _floor(x, smooth, lines, sign):
    """Lay a background under smoothed data that point upwards; also as starting values."""
    if lines.background == "none":
        return np.zeros(len(x)), {}
    blocks = np.array_split(np.arange(len(x)), min(12, len(x)))
    low = np.array([block[np.argmin(smooth[block])] for block in blocks])
    if lines.background == "constant":
        level = float(np.quantile(smooth[low], 0.25))
        return np.full(len(x), level), {"background_level": sign * level}
    # A line through the lowest points, dropping again and again those that stand above it: of the
    # logarithm for an exponential.
    exponential = lines.background == "exponential"
    value = np.log(np.maximum(smooth, 1e-3 * np.ptp(smooth))) if exponential else smooth
    for _ in range(4):
        slope, level = np.polyfit(x[low] - lines.origin, value[low], 1)
        above = value[low] - level - slope * (x[low] - lines.origin)
        if len(low) <= 4:
            break
        low = low[above < np.quantile(above, 0.8)]
    line = level + slope * (x - lines.origin)
    if not exponential:
        return line, {"background_level": sign * level, "background_slope": sign * slope}
    decay = float(np.clip(-1 / min(slope, -1e-300), np.ptp(x) / len(x), 3 * np.ptp(x)))
    return np.exp(line), {"background_level": sign * np.exp(level), "background_decay": decay}
