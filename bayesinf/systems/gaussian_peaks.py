"""Peaks in a spectrum: how many counts, where and how wide, on what background?

    y_i = background(x_i) + Σ_k height_k · shape((x_i − center_k) / sigma_k) + ε_i

The line shapes are lmfit's, so ``sigma`` is what lmfit means by it (standard deviation of a
Gaussian, half width at half maximum of a Lorentzian). Free are height, centre and sigma of each
peak; area (``amplitude``) and full width (``fwhm``) follow. Peaks are numbered by their centres:
centres ascend in the prior, so peaks cannot change places within a posterior.

The question beyond the numbers: may the errors be read from the curvature at the optimum, as every
fitting program does, or does the posterior have another shape? ``story`` lays both side by side.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError, FitError
from bayesinf.figures import (
    COLORS,
    canvas,
    density,
    elements,
    pair,
    predictive_statistics,
    prior_posterior,
    styled,
    with_units,
)
from bayesinf.models import curve
from bayesinf.priors import LogUniform, Prior, Uniform
from bayesinf.report import Picture, Section, Story, Table, estimates, number
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

    from bayesinf.calibration import Machine


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


def fit(
    x: np.ndarray,
    y: np.ndarray,
    error: np.ndarray | None = None,
    *,
    peaks: int = 1,
    background: str = "constant",
    shape: str = "gaussian",
    method: str = "laplace",
    starts: Sequence[Mapping[str, object]] | None = None,
    priors: Mapping[str, Prior] | None = None,
    origin: float | None = None,
    reference: xr.Dataset | None = None,
    case: str = "",
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer the peaks of a spectrum.

    Parameters
    ----------
    x, y : (point,), arrays, or DataArrays that carry units.
    error : (point,) or one number, sd of the noise where it is known; else ``noise`` is inferred.
    peaks : how many.
    background : "constant" (``background_level``), "linear" (with ``background_slope``),
        "exponential" (with ``background_decay``) or "none".
    shape : "gaussian", "lorentzian", "voigt" (with ``gamma``) or "pseudo-voigt" (``fraction``).
    method : "laplace" or "emcee".
    starts : each from free posterior variable to a number, or one for each peak; None guesses.
    priors : free posterior variable to its prior, the same for all peaks; else ``default_priors``.
    origin : x at which the background has its ``level``; None takes the smallest x.
    reference : known values, NAME_truth or NAME_certified; joins ``constant_data``.
    case : what the data are called in a report.
    settings : length and seed.

    Returns
    -------
    InferenceData with ``height``, ``center``, ``sigma``, ``amplitude`` (area), ``fwhm`` (peak,),
    the background's parameters, and ``noise`` where it is inferred.

    Raises
    ------
    DataError : data that cannot be used. FitError : peaks that the data do not determine.
    """
    from bayesinf.data import curve_from_arrays

    _choice("shape", shape, SHAPES)
    _choice("background", background, BACKGROUNDS)
    if not 1 <= peaks == int(peaks):
        raise FitError(f"the number of peaks must be a positive integer, not {peaks}")
    if error is not None and np.size(error) == 1:
        error = np.full(np.shape(y), float(error))
    data = curve_from_arrays(x, y, error)
    data = data.rename({data.attrs["x"]: "x", data.attrs["y"]: "y"})
    origin = float(data["x"].min()) if origin is None else float(origin)
    model, params = lmfit_model(peaks, background, shape, origin)
    of_kind = default_priors(data, background, shape)
    unknown = set(priors or {}) - set(of_kind)
    if unknown:
        raise FitError(f"no free parameter {', '.join(sorted(unknown))}: a prior can be given for "
                       f"{', '.join(of_kind)}")  # fmt: skip
    of_kind |= priors or {}
    extra = SHAPES[shape].extra
    if starts is None:
        starts = guesses(data, peaks, background, shape, origin, of_kind)
    return curve.fit(
        model,
        params,
        data["x"],
        data["y"],
        data.get("error"),
        method,
        priors={flat: prior for name, prior in of_kind.items() for flat in _names(name, peaks)},
        starts=[_flat_start(start, peaks) for start in starts],
        ordered=list(
            zip(*(_names(v, peaks) for v in ("center", "height", "sigma", *extra)), strict=True)
        ),
        stacked={
            name: ("peak", _names(name, peaks))
            for name in ("height", "center", "sigma", *extra, "amplitude", "fwhm")
        },
        units=_units(data["x"].units, data["y"].units),
        reference=reference,
        system="gaussian_peaks",
        settings=settings,
        attrs={"case": case, "peaks": peaks, "background": background, "shape": shape,
               "origin": origin},
    )  # fmt: skip


def lmfit_model(peaks: int, background: str, shape: str, origin: float = 0.0):
    """Return the lmfit Model, and its Parameters with heights free and areas tied to them."""
    import lmfit

    form = SHAPES[shape]
    function, names = BACKGROUNDS[background]
    params, model = lmfit.Parameters(), None
    if function is not None:
        model = lmfit.Model(function, prefix="background_")
        for name in names:
            params.add(f"background_{name}", value=1.0)
        if background != "constant":
            params.add("background_origin", value=origin, vary=False)
        if background == "exponential":
            params["background_decay"].set(min=0)
    for k in range(1, peaks + 1):
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


def default_priors(data: xr.Dataset, background: str, shape: str) -> dict[str, Prior]:
    """State the priors: flat over all that a spectrum of this extent could show.

    Heights up to twice the range of y, upwards; centres within x; sigma from half the mean distance
    of the points (a narrower peak would stand on one point alone) to half the range of x; levels
    within the range of y beyond its ends; the noise log-uniform over seven decades.
    """
    low, high = float(data["y"].min()), float(data["y"].max())
    left, right = float(data["x"].min()), float(data["x"].max())
    extent, width = high - low, right - left
    narrowest = 0.5 * width / (data.sizes["point"] - 1)
    priors = {
        "height": Uniform(0.0, 2 * extent),
        "center": Uniform(left, right),
        "sigma": Uniform(narrowest, width / 2),
        "gamma": Uniform(0.0, width / 2),
        "fraction": Uniform(0.0, 1.0),
        "background_level": Uniform(low - extent, high + extent),
        "background_slope": Uniform(-4 * extent / width, 4 * extent / width),
        "background_decay": Uniform(0.0, 10 * width),
        curve.NOISE: LogUniform(1e-6 * extent, 10 * extent),
    }
    used = {"height", "center", "sigma", *SHAPES[shape].extra}
    used |= {f"background_{name}" for name in BACKGROUNDS[background][1]}
    used |= set() if "error" in data else {curve.NOISE}
    return {name: prior for name, prior in priors.items() if name in used}


def guesses(data, peaks, background, shape, origin, priors) -> list[dict[str, object]]:
    """Guess where lmfit should start, in a few ways.

    A background is laid under the data; then the highest of what stands above it, smoothed, is
    taken for a peak as wide as its steeper side, subtracted, and so on. The ways differ in the
    smoothing, and in splitting the broadest peak into two.
    """
    x, y = data["x"].to_numpy(), data["y"].to_numpy()
    sign = -1.0 if getattr(priors["height"], "upper", 1.0) <= 0 else 1.0
    found = []
    for share in (1 / 80, 1 / 25):
        window = max(1, int(share * len(x)))
        smooth = np.convolve(np.pad(y, window, "edge"), np.ones(2 * window + 1), "valid")
        smooth = sign * smooth / (2 * window + 1)
        floor, start = _floor(x, smooth, background, origin, sign)
        lines = _peel(x, smooth - floor, peaks)
        found.append(_start(lines, sign, start))
        if peaks > 1:
            lines = sorted(_peel(x, smooth - floor, peaks - 1), key=lambda line: line[2])
            height, center, sigma = lines.pop()
            halves = [(0.7 * height, center + side * 0.7 * sigma, 0.7 * sigma) for side in (-1, 1)]
            found.append(_start([*lines, *halves], sign, start))
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


def _floor(x, smooth, background, origin, sign):
    """Lay a background under smoothed data that point upwards; also as starting values."""
    if background == "none":
        return np.zeros(len(x)), {}
    blocks = np.array_split(np.arange(len(x)), min(12, len(x)))
    low = np.array([block[np.argmin(smooth[block])] for block in blocks])
    if background == "constant":
        level = float(np.quantile(smooth[low], 0.25))
        return np.full(len(x), level), {"background_level": sign * level}
    # A line through the lowest points, dropping again and again those that stand above it: of the
    # logarithm for an exponential.
    exponential = background == "exponential"
    value = np.log(np.maximum(smooth, 1e-3 * np.ptp(smooth))) if exponential else smooth
    for _ in range(4):
        slope, level = np.polyfit(x[low] - origin, value[low], 1)
        above = value[low] - level - slope * (x[low] - origin)
        if len(low) <= 4:
            break
        low = low[above < np.quantile(above, 0.8)]
    line = level + slope * (x - origin)
    if not exponential:
        return line, {"background_level": sign * level, "background_slope": sign * slope}
    decay = float(np.clip(-1 / min(slope, -1e-300), np.ptp(x) / len(x), 3 * np.ptp(x)))
    return np.exp(line), {"background_level": sign * np.exp(level), "background_decay": decay}


def _names(variable, peaks):
    """What lmfit calls a posterior variable, or the elements of one over peaks."""
    if variable.startswith("background_") or variable == curve.NOISE:
        return [variable]
    return [f"p{k}_{variable}" for k in range(1, peaks + 1)]


def _flat_start(start, peaks):
    """From posterior variables to lmfit's parameters."""
    result = {}
    for variable, value in start.items():
        names = _names(variable, peaks)
        if np.size(value) not in (1, len(names)):
            raise FitError(
                f"a start for {variable} needs one number or {len(names)}, not {np.size(value)}"
            )
        result |= zip(names, np.broadcast_to(value, len(names)).tolist(), strict=True)
    return result


def _units(of_x, of_y):
    of_x, of_y = ("" if unit == "1" else unit for unit in (of_x, of_y))
    ratio = f"{of_y or 1}/{of_x}" if of_x else of_y
    units = {name: of_x for name in ("center", "sigma", "fwhm", "gamma", "background_decay")}
    units |= {"height": of_y, "background_level": of_y, "background_slope": ratio}
    units["amplitude"] = " ".join(unit for unit in (of_y, of_x) if unit)
    return {name: unit or "1" for name, unit in units.items()}


def _choice(what, given, known):
    if given not in known:
        raise FitError(f"unknown {what} {given!r}: use one of {', '.join(known)}")


# Data: simulated, and certified


def simulate(
    x: np.ndarray | None = None,
    *,
    height: Sequence[float] = (10.0,),
    center: Sequence[float] = (4.0,),
    sigma: Sequence[float] = (0.8,),
    background: str = "constant",
    shape: str = "gaussian",
    noise: float = 0.5,
    rng: np.random.Generator | None = None,
    **parameters,
) -> xr.Dataset:
    """Make a spectrum whose parameters are known.

    Parameters
    ----------
    x : (point,); by default 0 to 10 in 101 steps.
    height, center, sigma : (peak,), centres ascending.
    background, shape : as for ``fit``; the background has its level at the smallest x.
    noise : sd of the noise.
    rng : generator of the noise; by default the stream "simulate" of the default settings.
    **parameters : the other parameters by name, as ``background_level`` or ``gamma``.

    Returns
    -------
    a Dataset with ``x``, ``y`` (point,) and NAME_truth for every parameter.
    """
    x = np.linspace(0, 10, 101) if x is None else np.asarray(x, dtype=float)
    rng = DEFAULT.generator("simulate") if rng is None else rng
    needed = [f"background_{name}" for name in BACKGROUNDS[background][1]] + [*SHAPES[shape].extra]
    if sorted(parameters) != sorted(needed):
        raise FitError(f"a {background} background and {shape} peaks need {needed or 'nothing'} "
                       f"besides height, center and sigma, not {sorted(parameters)}")  # fmt: skip
    truth = {"height": height, "center": center, "sigma": sigma} | parameters
    truth = {k: np.asarray(v, float) for k, v in truth.items()}
    peaks = len(truth["height"])
    model, params = lmfit_model(peaks, background, shape, float(x.min()))
    for name, value in _flat_start(truth, peaks).items():
        params[name].value = value
    y = model.eval(params, x=x) + noise * rng.standard_normal(len(x))
    truth["noise"] = np.asarray(noise, float)
    for name in ("amplitude", "fwhm"):
        truth[name] = np.array([params[flat].value for flat in _names(name, peaks)])
    known = _reference(truth, "truth", peaks)
    return known.assign(x=("point", x, {"units": "1"}), y=("point", y, {"units": "1"}))


def _reference(values, suffix, peaks, units=None):
    """Known values as NAME_suffix, (peak,) or scalars."""
    from bayesinf.posterior import dataset

    arrays = {f"{name}_{suffix}": np.asarray(value) for name, value in values.items()}
    dims = {name: ("peak",) for name, array in arrays.items() if array.ndim}
    units = {f"{name}_{suffix}": unit for name, unit in (units or {}).items()}
    return dataset(arrays, dims, {"peak": np.arange(1, peaks + 1)}, units, sampled=False)


def overlap(rng: np.random.Generator | None = None) -> xr.Dataset:
    """Simulate two peaks two widths apart: too close for the quadratic approximation."""
    return simulate(
        np.linspace(0, 10, 101), height=(5.0, 4.0), center=(4.0, 6.0), sigma=(0.9, 0.9),
        background_level=1.0, noise=0.4, rng=rng,
    )  # fmt: skip


def nist(path: str | Path) -> xr.Dataset:
    """Read a data set of the NIST StRD for non-linear regression.

    Parameters
    ----------
    path : one of the files in ``data/gaussian_peaks``, as NIST distributes them.

    Returns
    -------
    a Dataset with ``x``, ``y`` (point,), ``start`` (start, parameter), ``certified`` and
    ``certified_sd`` (parameter,) in NIST's b1, b2, ..., the certified ``residual_sum_of_squares``
    and ``degrees_of_freedom``; attribute ``name``.

    Raises
    ------
    DataError : the file is missing, or is not of this form.
    """
    import xarray as xr

    path = Path(path)
    if not path.is_file():
        raise DataError("no such file", source=path, expected="a .dat file of the NIST StRD")
    text = path.read_text()
    number = r"([-+.\dEe]+)"
    table = re.findall(rf"^ *b\d+ *= +{number} +{number} +{number} +{number} *$", text, re.M)
    name = re.search(r"Dataset Name: +(\S+)", text)
    rss = re.search(rf"Residual Sum of Squares: +{number}", text)
    dof = re.search(r"Degrees of Freedom: +(\d+)", text)
    rows = re.split(r"^Data: +y +x *$", text, flags=re.M)
    try:
        values = np.array([line.split() for line in rows[1].strip().splitlines()], dtype=float)
        parameters = np.array(table, dtype=float)
        name, rss, dof = name[1], float(rss[1]), int(dof[1])
        if len(values) != dof + len(parameters) or values.shape[1] != 2:
            raise ValueError("rows are missing")
    except (IndexError, TypeError, ValueError) as error:
        raise DataError(
            "not a complete file of the NIST StRD", source=path, found=error,
            expected="starting and certified values, sum of squares and the data as y, x",
        ) from error  # fmt: skip
    units = {"units": "nm" if name == "Eckerle4" else "1"}
    return xr.Dataset(
        {
            "x": ("point", values[:, 1], units),
            "y": ("point", values[:, 0], {"units": "1"}),
            "start": (("start", "parameter"), parameters[:, :2].T),
            "certified": ("parameter", parameters[:, 2]),
            "certified_sd": ("parameter", parameters[:, 3]),
            "residual_sum_of_squares": rss,
            "degrees_of_freedom": dof,
        },
        {"parameter": [f"b{i}" for i in range(1, len(parameters) + 1)]},
        {"name": name},
    )


def nist_options(data: xr.Dataset) -> dict[str, object]:
    """What ``fit`` needs to be told about a data set that ``nist`` read.

    Returns
    -------
    ``peaks``, ``background``, ``origin``, ``case``; ``starts``, the two published ones;
    ``reference`` with the certified values and their sds in our parameters, NAME_certified and
    NAME_certified_sd.
    """
    if data.name.startswith("Gauss"):
        # Ours from NIST's b, with the derivative by which the sd is carried over.
        convert = lambda b: {
            "background_level": b[0], "background_decay": 1 / b[1], "height": b[[2, 5]],
            "center": b[[3, 6]], "sigma": b[[4, 7]] / np.sqrt(2),
        }  # fmt: skip
        model = {"peaks": 2, "background": "exponential"}
    else:
        convert = lambda b: {
            "amplitude": b[[0]] * np.sqrt(2 * np.pi), "sigma": b[[1]], "center": b[[2]]
        }  # fmt: skip
        model = {"peaks": 1, "background": "none"}
    certified, sd = data["certified"].to_numpy(), data["certified_sd"].to_numpy()
    values, errors = convert(certified), convert(sd)
    if "background_decay" in values:
        errors["background_decay"] = sd[1] / certified[1] ** 2
    starts = [convert(start) for start in data["start"].to_numpy()]
    for start in starts:
        if "amplitude" in start:
            start["height"] = start.pop("amplitude") / (np.sqrt(2 * np.pi) * start["sigma"])
    units = _units(data["x"].units, data["y"].units)
    whole = {n: data[n].item() for n in ("residual_sum_of_squares", "degrees_of_freedom")}
    reference = _reference(values | whole, "certified", model["peaks"], units)
    return model | {
        "origin": 0.0,
        "case": f"NIST {data.name}",
        "starts": starts,
        "reference": reference.merge(_reference(errors, "certified_sd", model["peaks"], units)),
    }


# Calibration: a problem that is small, and whose prior does not look at the data

_CALIBRATION_X = np.linspace(0, 10, 40)
_CALIBRATION_PRIORS = {
    "height": Uniform(4.0, 12.0),
    "center": Uniform(3.0, 7.0),
    "sigma": Uniform(0.5, 1.5),
    "background_level": Uniform(0.0, 2.0),
    "noise": LogUniform(0.3, 1.5),
}


def calibration_problem(variant: str | None = None) -> Machine:
    """One Gaussian on a constant background, by emcee (variant ``emcee``, the only one)."""
    from bayesinf.calibration import Machine

    if variant not in (None, "emcee"):
        raise DataError("unknown variant", expected="emcee", found=variant)
    return Machine(
        name="gaussian_peaks",
        simulate=_calibration_simulate,
        fit=_calibration_fit,
        settings=Settings(draws=100, chains=4, prior_draws=20),
    )


def _calibration_simulate(rng):
    drawn = {name: float(prior.sample(rng)) for name, prior in _CALIBRATION_PRIORS.items()}
    level, noise = drawn.pop("background_level"), drawn.pop("noise")
    peak = {name: (value,) for name, value in drawn.items()}
    data = simulate(_CALIBRATION_X, **peak, background_level=level, noise=noise, rng=rng)
    truth = {name: data[f"{name}_truth"].to_numpy() for name in _CALIBRATION_PRIORS}
    return truth, data[["x", "y"]]


def _calibration_fit(data, settings):
    return fit(data["x"], data["y"], method="emcee", priors=_CALIBRATION_PRIORS, settings=settings)


# Reading a fit: the curve, and the quadratic approximation held against the posterior

SHIFT, RATIO, CORRELATION = 0.1, 0.1, 0.1  # what nobody would see in a quoted result


def curves(fit: xr.DataTree, x: np.ndarray, most: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate a posterior's background, (draw, point), and peaks, (draw, peak, point).

    Parameters
    ----------
    fit : what ``fit`` returned.
    x : (point,).
    most : draws, taken evenly from all of them.
    """
    attrs = fit.attrs
    model, params = lmfit_model(
        int(attrs["peaks"]), attrs["background"], attrs["shape"], attrs["origin"]
    )
    values = {_flat_name(label): array.ravel() for label, array, *_ in _scalars(fit, _fitted(fit))}
    chosen = np.linspace(0, len(values["p1_center"]) - 1, most).astype(int)
    values = {name: array[chosen] for name, array in values.items()}
    parts = [curve.evaluate(component, params, x, values) for component in model.components]
    background = np.zeros((most, len(x))) if attrs["background"] == "none" else parts.pop(0)
    return background, np.stack(parts, axis=1)


def comparison(fit: xr.DataTree) -> pd.DataFrame:
    """Hold the posterior that emcee sampled against the quadratic approximation at the optimum.

    Parameters
    ----------
    fit : made with ``method="emcee"``.

    Returns
    -------
    one row a fitted parameter: mean and sd of the approximation (for inferred noise the standard
    error times √(ν/(ν−2)), the sd of Student's t) and of the posterior, the ``shift`` of the mean
    in posterior sds, the ``ratio`` of the sds, Laplace / emcee.
    """
    import pandas as pd

    columns = ["Laplace mean", "Laplace sd", "emcee mean", "emcee sd", "shift", "ratio"]
    rows = {}
    for label, draws, best, error, _ in _scalars(fit, _fitted(fit)):
        mean, sd, error = draws.mean(), draws.std(), error * _widening(fit)
        rows[label] = best, error, mean, sd, (mean - best) / sd, error / sd
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return frame.rename_axis("parameter")


def correlations(fit: xr.DataTree) -> pd.DataFrame:
    """Correlations of the quadratic approximation and of the posterior, the strongest first."""
    import pandas as pd

    labels, draws = zip(*[(label, d.ravel()) for label, d, *_ in _scalars(fit, _fitted(fit))],
                        strict=True)  # fmt: skip
    flat = [_flat_name(label) for label in labels]
    classical = fit["sample_stats"]["correlation"].sel(fitted=flat, fitted_other=flat).to_numpy()
    i, j = np.triu_indices(len(labels), 1)
    laplace, emcee = classical[i, j], np.corrcoef(draws)[i, j]
    return pd.DataFrame(
        {"Laplace": laplace, "emcee": emcee, "difference": laplace - emcee,
         "ratio": laplace / emcee},
        pd.Index([f"{labels[a]}, {labels[b]}" for a, b in zip(i, j, strict=True)], name="pair"),
    ).iloc[np.argsort(-np.abs(emcee))]  # fmt: skip


def quadratic_verdict(fit: xr.DataTree) -> tuple[bool, str]:
    """Say whether the quadratic approximation may stand in for a posterior that emcee sampled.

    It may where no mean is off by more than 0.1 posterior sd, no sd by more than 10 %, and no
    correlation by more than 0.1.
    """
    table, pairs = comparison(fit), correlations(fit)
    shift, off, gap = table["shift"].abs(), table["ratio"] - 1, pairs["difference"].abs()
    worst = off.abs().idxmax()
    good = shift.max() <= SHIFT and abs(off[worst]) <= RATIO and gap.max() <= CORRELATION
    words = "may be used" if good else "may not be used; take the sampled posterior"
    size = "small" if off[worst] < 0 else "large"
    return bool(good), (
        f"The quadratic approximation {words}: largest shift of a mean {shift.max():.2f} posterior "
        f"sd ({shift.idxmax()}), sd of {worst} {abs(off[worst]):.0%} too {size}, correlation off "
        f"by {gap.max():.2f} ({gap.idxmax()})."
    )


def certified_table(fit: xr.DataTree) -> pd.DataFrame:
    """Certified values against optimum, standard error and posterior, a row each."""
    import pandas as pd

    values, sds, rows = _known(fit, "certified"), _known(fit, "certified_sd"), {}
    for label, draws, best, error, _ in _scalars(fit):
        if label in values:
            value, sd = values[label], sds[label]
            rows[label] = {
                "certified": f"{value:.8g}",
                "certified sd": f"{sd:.6g}",
                "optimum, relative error": f"{best / value - 1:.0e}",
                "standard error, relative error": f"{error / sd - 1:.0e}",
                "posterior mean, shift in sd": f"{(draws.mean() - value) / draws.std():+.3f}",
                "posterior sd / (certified sd · √(ν/(ν−2)))":
                    f"{draws.std() / sd / _widening(fit):.3f}",
            }  # fmt: skip
    found, known = (
        float(fit[group][f"residual_sum_of_squares{suffix}"])
        for group, suffix in (("sample_stats", ""), ("constant_data", "_certified"))
    )
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("parameter")
    row = [f"{known:.10g}", "", f"{found / known - 1:.0e}", "", "", ""]
    frame.loc["residual sum of squares"] = row
    return frame


def _scalars(fit, names=None):
    """Each scalar's label, draws, optimum, standard error and unit."""
    statistics = fit["sample_stats"]
    for label, array in elements(fit, names).items():
        at = {"peak": array["peak"]} if "peak" in array.coords else {}
        best, error = (
            float(statistics[f"{array.name}_{what}"].sel(at))
            for what in ("optimum", "standard_error")
        )
        yield label, array.to_numpy(), best, error, array.units


def _widening(fit):
    """Sd of the posterior over the standard error: Student's t where the noise is inferred."""
    dof = float(fit["sample_stats"]["degrees_of_freedom"])
    return np.sqrt(dof / (dof - 2)) if "noise" in fit["posterior"] and dof > 2 else 1.0


def _fitted(fit):
    """Posterior variables that lmfit fitted, the noise aside."""
    background = [f"background_{name}" for name in BACKGROUNDS[fit.attrs["background"]][1]]
    return ["height", "center", "sigma", *SHAPES[fit.attrs["shape"]].extra, *background]


def _ordered(fit):
    """Posterior variables in the order in which a reader wants them."""
    first = ["center", "height", "amplitude", "sigma", "fwhm"]
    return first + [name for name in fit["posterior"].data_vars if name not in first]


def _flat_name(label):
    name, _, index = label.partition("[")
    return f"p{index[:-1]}_{name}" if index else name


def _known(fit, *suffixes):
    """Label to true or certified value."""
    found = {}
    for suffix in suffixes or ("truth", "certified"):
        names = [f"{name}_{suffix}" for name in fit["posterior"].data_vars]
        names = [name for name in names if name in fit["constant_data"]]
        for label, value in elements(fit, names, "constant_data").items():
            found[label.replace(f"_{suffix}", "")] = float(value)
    return found


# Story


def story(fits: Mapping[str, xr.DataTree]) -> Story:
    """Tell what the spectra say, from the fits alone.

    Parameters
    ----------
    fits : ``laplace`` and ``emcee`` of the main spectrum; of further ones ``NAME_laplace`` and
        ``NAME_emcee``. Of each pair one will do.
    """
    spectra: dict[str, dict[str, xr.DataTree]] = {}
    for name, fit in fits.items():
        spectra.setdefault(name.rpartition("_")[0], {})[name.rpartition("_")[2]] = fit
    (_, main), *others = spectra.items()
    best = _best(main)
    title, noisy = _called(best), "noise" in best["posterior"]
    first, *more = _pictures("", main)
    return Story(
        title="Peaks in a spectrum",
        question=f"Which peaks does {title} hold, and may their errors be read from the curvature "
        "at the optimum?",
        answer=Section("Answer", _answer(main), (first,)),
        numbers=Section(
            "Numbers",
            ("Amplitude is the area under a peak, sigma its width as lmfit defines it.",),
            tuple(more),
            (_estimates(best), *_side_by_side(main)),
        ),
        predictive=Section(
            "Data under the posterior",
            ("Statistics of the residuals, among those of data replicated from the posterior.",),
            (
                Picture(
                    "predictive",
                    predictive_statistics(best),
                    "Largest residual, skewness, and memory, the correlation of neighbouring "
                    "residuals: a missed peak or a line shape that does not fit shows as memory.",
                    "Observed and replicated statistics of the residuals.",
                ),
            ),
        ),
        classical=Section(
            "The classical answer",
            (
                "The classical answer: lmfit's optimum and its standard errors, √diag(s²(JᵀJ)⁻¹), "
                + ("s² = RSS/ν." if noisy else "residuals in units of the error bars and s = 1."),
            ),
            (),
            (Table(_classical_table(best), f"Least squares and posterior: {title}."),
             *_certified(best)),
        ),
        priors=Section(
            "Priors",
            ("All priors are proper. By default they are flat over far more than the data leave "
             "open, the noise's is flat in its logarithm. Peaks are ordered by their centres.",),
            (
                Picture(
                    "prior_predictive",
                    prior_predictive(best),
                    "What the priors expect before any data: median and regions of 50 and 90 % at "
                    "each x. The data should lie well inside.",
                    "Prior predictive bands, with the data inside them.",
                ),
                Picture(
                    "prior_posterior",
                    prior_posterior(
                        best, _fitted(best) + ["noise"] * noisy, _known(best, "truth") or None
                    ),
                    "What the data add: prior and posterior of each parameter.",
                    "Densities of prior and posterior of each fitted parameter.",
                ),
            ),
            (Table(_prior_table(best), "Prior of each free parameter."),),
        ),
        extra=tuple(
            Section(
                _called(_best(of)),
                _answer(of),
                tuple(_pictures(f"{name}_", of)),
                (_estimates(_best(of)), *_side_by_side(of), *_certified(_best(of))),
            )
            for name, of in others
        ),
    )  # fmt: skip


def _best(of):
    return of.get("emcee", next(iter(of.values())))


def _called(fit):
    return fit.attrs["case"] or "the spectrum"


def _answer(of):
    """The peaks, and whether the curvature would have told them, in a sentence each."""
    posterior, said = _best(of)["posterior"], []
    for k in posterior["peak"].to_numpy():
        center, width, area = (
            f"{number(float(draws.mean()), float(draws.std()))} {draws.units}".removesuffix(" 1")
            for draws in (posterior[name].sel(peak=k) for name in ("center", "fwhm", "amplitude"))
        )
        said.append(f"peak {k} at {center}, {width} wide (FWHM), of area {area}")
    text = "; ".join(said)
    answer = f"{text[0].upper()}{text[1:]} (posterior mean ± sd)."
    return (answer, quadratic_verdict(of["emcee"])[1]) if "emcee" in of else (answer,)


def _pictures(stem, of):
    fit = _best(of)
    known, truth = _known(fit), _known(fit, "truth")
    called = _called(fit)
    yield Picture(
        f"{stem}spectrum",
        spectrum(fit),
        f"{called}. Points: data; line: posterior mean; band: where 95 % of new data would lie; "
        "dashed: each peak on the background. Below, residuals in units of the noise: they should "
        "scatter evenly, 95 % of them within the band.",
        f"{called}: data with fitted curve, predictive band and components; residuals below.",
    )
    if len(of) > 1 and not stem:  # one corner plot to a page: of the others, marginals
        shown = _corner_names(fit)
        truth = {label: truth[label] for label in elements(fit, shown) if label in truth}
        yield Picture(
            f"{stem}corner",
            pair({"emcee": of["emcee"], "Laplace": of["laplace"]}, shown, truth),
            f"{called}: regions of highest density with 50 and 90 %, sampled (filled) and in the "
            "quadratic approximation (lines). Where both coincide, errors may be read from the "
            "curvature; bent regions are what it cannot follow.",
            f"{called}: corner plot of peak parameters with emcee and Laplace overlaid.",
        )
    if "emcee" in of:
        yield Picture(
            f"{stem}marginals",
            marginals(of["emcee"]),
            f"{called}: posterior of each fitted parameter (filled) and its quadratic "
            "approximation (line)" + ("; dashed, the known value." if known else "."),
            f"{called}: densities of each parameter. {quadratic_verdict(of['emcee'])[1]}",
        )


def _corner_names(fit):
    """At most six: all of one peak, or of the two peaks that are closest for their widths."""
    mean = fit["posterior"].to_dataset().mean(("chain", "draw"))
    center, sigma = mean["center"].to_numpy(), mean["sigma"].to_numpy()
    if len(center) == 1:
        return [*_fitted(fit), *(["noise"] if "noise" in fit["posterior"] else [])][:6]
    first = int(np.argmin(np.diff(center) / (sigma[1:] + sigma[:-1]))) + 1
    return [f"{name}[{k}]" for k in (first, first + 1) for name in ("height", "center", "sigma")]


def _estimates(fit):
    table = estimates(fit, _ordered(fit), _known(fit, "truth") or None)
    return Table(table, f"Posterior: {_called(fit)}.")


def _side_by_side(of):
    if "emcee" not in of:
        return
    table, pairs = comparison(of["emcee"]), correlations(of["emcee"])
    printed = {
        method: [number(*row) for row in table[[f"{method} mean", f"{method} sd"]].to_numpy()]
        for method in ("Laplace", "emcee")
    }
    yield Table(
        table.assign(**printed, shift=table["shift"].map("{:+.2f}".format),
                     ratio=table["ratio"].map("{:.3f}".format))[[*printed, "shift", "ratio"]],
        "Laplace (optimum and curvature) and emcee side by side, mean ± sd; shift of the mean in "
        "posterior sd, and ratio of the sds.",
    )  # fmt: skip
    yield Table(
        pairs.head(8).map("{:.3f}".format),
        f"Correlations: the strongest {min(8, len(pairs))} of {len(pairs)} pairs.",
    )


def _certified(fit):
    if "residual_sum_of_squares_certified" in fit["constant_data"]:
        yield Table(
            certified_table(fit),
            "Against NIST's certified values, in our parameters. Under flat priors the posterior's "
            "sd is the certified one times √(ν/(ν−2)), as far as the model is linear over it.",
        )


def _classical_table(fit):
    import pandas as pd

    rows = {
        label: {
            "lmfit": number(best, error),
            "posterior": number(draws.mean(), draws.std()),
            "unit": "" if unit == "1" else unit,
        }
        for label, draws, best, error, unit in _scalars(fit, _ordered(fit))
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("parameter")


def _prior_table(fit):
    import pandas as pd

    return pd.DataFrame({"prior": json.loads(fit.attrs["priors"])}).rename_axis("parameter")


# Figures


@styled
def spectrum(fit: xr.DataTree) -> Figure:
    """Draw the data with predictive band, curve and components, and the residuals below."""
    x, y = fit["constant_data"]["x"], fit["observed_data"]["y"]
    color, constants = COLORS["posterior"], fit["constant_data"]
    fig, (above, below) = canvas(2, 1, height=4.6, sharex=True, height_ratios=[3, 1])
    grid = np.linspace(float(x.min()), float(x.max()), 600)
    background, peaks = curves(fit, grid)
    floor, lines = background.mean(axis=0), peaks.mean(axis=0)
    replicas = fit["posterior_predictive"]["y"].to_numpy().reshape(-1, len(x))
    low, high = np.quantile(replicas, [0.025, 0.975], axis=0)
    above.fill_between(x, low, high, color=color, alpha=0.18, lw=0)
    label = partial(above.annotate, textcoords="offset points", color=color, va="top")
    if fit.attrs["background"] != "none":
        # Under the highest peak the data are far away.
        above.plot(grid, floor, color=color, lw=1, ls=(0, (1, 1.5)))
        top = int(np.argmax(lines.sum(axis=0)))
        label("background", (grid[top], floor[top]), (-4, -4), ha="right")
    for k, line in enumerate(lines, 1):
        top = int(np.argmax(line))
        above.plot(grid, floor + line, color=color, lw=1, ls=(0, (4, 2)))
        label(f"peak {k}", (grid[top], floor[top] + 0.5 * line[top]), (0, 5), ha="center")
    above.plot(grid, floor + lines.sum(axis=0), color=color)
    bars = constants["error"].to_numpy() if "error" in constants else None
    above.errorbar(x, y, bars, fmt="o", ms=2.5, lw=0.7, color=COLORS["data"], zorder=1.9)
    above.set_ylabel(with_units("y", y.units))
    background, peaks = curves(fit, x.to_numpy())
    mean = (background + peaks.sum(axis=1)).mean(axis=0)
    noise = float(fit["posterior"]["noise"].mean()) if bars is None else bars
    below.axhspan(-1.96, 1.96, color=color, alpha=0.18, lw=0)
    below.axhline(0, color=color, lw=1)
    below.plot(x, (y.to_numpy() - mean) / noise, "o", ms=2.5, color=COLORS["data"])
    below.set_ylabel("residual / noise")
    below.set_xlabel(with_units("x", x.units))
    fig.align_ylabels()
    return fig


@styled
def marginals(fit: xr.DataTree) -> Figure:
    """Draw the posterior of each fitted parameter with its quadratic approximation."""
    from matplotlib.ticker import MaxNLocator

    scalars, truth = list(_scalars(fit, _fitted(fit))), _known(fit)
    columns = min(4, len(scalars))
    rows = -(-len(scalars) // columns)
    fig, axes = canvas(rows, columns, height=0.4 + 1.7 * rows, squeeze=False)
    for axis in axes.flat[len(scalars) :]:
        axis.set_axis_off()
    for axis, (label, draws, best, error, unit) in zip(axes.flat, scalars, strict=False):
        sd = error * _widening(fit)
        low, high = np.quantile(draws, [0.001, 0.999])
        grid = np.linspace(min(low, best - 3.3 * sd), max(high, best + 3.3 * sd), 300)
        sampled = density(draws.ravel(), grid)
        normal = np.exp(-0.5 * ((grid - best) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
        axis.fill_between(grid, sampled, color=COLORS["posterior"], alpha=0.3, lw=0)
        axis.plot(grid, normal, color=COLORS["second"])
        if label in truth:
            axis.axvline(truth[label], color=COLORS["truth"], lw=1, ls=(0, (4, 2)))
        axis.set_ylim(0, 1.12 * max(sampled.max(), normal.max()))
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        axis.xaxis.set_major_locator(MaxNLocator(3))
        axis.set_xlabel(with_units(label.replace("background_", "background "), unit))
    known = "certified" if _known(fit, "certified") else "truth"
    words = [("emcee", "posterior"), ("Laplace", "second")] + [(known, "truth")] * bool(truth)
    for k, (word, role) in enumerate(words):
        axes[0, 0].annotate(word, (0, 1), (0, -12 * k), color=COLORS[role], va="top",
                            xycoords="axes fraction", textcoords="offset points")  # fmt: skip
    return fig


@styled
def prior_predictive(fit: xr.DataTree) -> Figure:
    """Draw the spectra that the priors expect, with the data."""
    x, y = fit["constant_data"]["x"], fit["observed_data"]["y"]
    values = fit["prior_predictive"]["y"].to_numpy().reshape(-1, len(x))
    values = values[np.isfinite(values).all(axis=1)]
    fig, axis = canvas(height=3.2)
    for share, alpha in ((0.9, 0.2), (0.5, 0.35)):
        low, high = np.quantile(values, [(1 - share) / 2, (1 + share) / 2], axis=0)
        axis.fill_between(x, low, high, color=COLORS["prior"], alpha=alpha, lw=0)
        axis.annotate(f"{share:.0%}", (float(x[-1]), high[-1]), (3, 0), va="center",
                      color=COLORS["prior"], textcoords="offset points",
                      annotation_clip=False)  # fmt: skip
    axis.plot(x, np.median(values, axis=0), color=COLORS["prior"])
    axis.plot(x, y, "o", ms=2, color=COLORS["data"])
    axis.set_xlabel(with_units("x", x.units))
    axis.set_ylabel(with_units("y", y.units))
    return fig
