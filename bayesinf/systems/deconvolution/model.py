"""The fit: which prior the signal has, and what is read off its posterior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import data as reading
from bayesinf.errors import DataError
from bayesinf.figures import interval
from bayesinf.models import linear
from bayesinf.models import problem as driver
from bayesinf.posterior import annotated, dataset, noted
from bayesinf.priors import LogNormal, Normal, Prior
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.deconvolution.data import Shape

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.models.problem import Problem

__all__ = [
    "CALLED",
    "SMOOTH",
    "WIDTHS",
    "band",
    "compare",
    "directions",
    "fit",
    "noise_of",
    "plan",
    "problem",
    "shape_of",
]

CALLED = {
    "first_differences": "first differences",
    "second_differences": "second differences",
    "squared_exponential": "squared exponential",
}
SMOOTH = tuple(CALLED)
ORDERS = {"first_differences": 1, "second_differences": 2}

LEVEL_WIDTH = 10.0  # of the level's prior, in the level that alone would make data so large
WIDTHS = 0.1, 1.0, 10.0  # factors on the priors of level and slope, to see what they decide
LENGTH = 0.125, 1.0  # median of the length scale in lengths of the window, and spread of its log
LEAST_VARIANCE = 1e-12  # of a direction that the kernel keeps, beside the largest
NUMBERS = 200_000  # of the signal that a file keeps: draws × positions
LEAST_CHAIN = 400  # draws of a chain
LEVEL = 0.95  # of bands

EQUATION = (
    r"y_i = \int r(x_i - s)\, f(s)\, ds + \varepsilon_i,\quad "
    r"\varepsilon_i \sim N(0, \sigma^2%s)"
)


def problem(
    blurred: xr.Dataset,
    prior: str = "squared_exponential",
    *,
    positive: bool = False,
    length: float | Prior | None = None,
    width_spread: float = 0.0,
    noise: Prior | None = None,
    scale: Prior | None = None,
    level: Normal | None = None,
) -> Problem:
    """State y = A f + ε, ε_i ~ N(0, (σ e_i)²), with a smooth prior of f.

        first_differences    (f_{j+1} − f_j) / h ~ N(0, scale²),   level ~ N(0, ...)
        second_differences   (f_{j+1} − 2 f_j + f_{j−1}) / h² ~ N(0, scale²), level and slope
        squared_exponential  f = level + g, cov(g_i, g_j) = scale² exp(−(s_i − s_j)² / 2 length²)

    The level has one and the same prior in all, so that they can be compared by evidence.

    Parameters
    ----------
    blurred : as of ``simulate``; e are its error bars, 1 where there are none.
    prior : a name of ``SMOOTH``.
    positive : whether f ≥ 0, the prior cut off there; of differences only, for a kernel leaves
        directions out, and the share that the cut takes depends on its length scale.
    length : of the squared exponential, a number or a prior; by default log-normal about an eighth
        of the window, within a factor e.
    width_spread : of a log-normal prior of the response's width about that stated; 0 for a width
        that is known.
    noise, scale : priors; by default those of ``linear.regression``.
    level : prior of the level, by default ``level_prior``; the slope's is as wide over half the
        grid.

    Raises
    ------
    DataError : no such prior, or what does not go together.
    """
    if prior not in SMOOTH:
        raise DataError("no such prior", expected=f"one of {', '.join(SMOOTH)}", found=prior)
    if positive and (prior not in ORDERS or width_spread):
        raise DataError(
            "what does not go together: a signal above zero, and this prior or a width"
            " that is not known",
            expected=f"one of {', '.join(ORDERS)}",
        )
    varied = _varied(blurred, prior, length, width_spread)
    level = level_prior(blurred) if level is None else level
    known = {"length": float(length)} if prior not in ORDERS and "length" not in varied else {}
    build = partial(_regression, blurred, prior, noise=noise, scale=scale, level=level, **known)
    if varied:
        unit = blurred["position"].attrs["units"]
        return linear.varying(build, varied, units=dict.fromkeys(varied, unit))
    return linear.nonnegative(build()) if positive else build()


def _varied(blurred, prior, length, width_spread):
    """Priors of the length and the width, as far as they are to be inferred."""
    varied = {}
    if prior not in ORDERS and not isinstance(length, int | float):
        median = float(LENGTH[0] * np.ptp(blurred["position"].values))
        varied["length"] = LogNormal(median, LENGTH[1]) if length is None else length
    if width_spread and "shape" not in blurred.attrs:
        raise DataError(
            "the width of a response without a form cannot be inferred",
            expected="a response given as FORM:WIDTH",
        )
    if width_spread:
        width = Shape.parse(blurred.attrs["shape"]).width
        varied["width"] = LogNormal(width, float(width_spread))
    return varied


def _regression(blurred, prior, *, length=None, width=None, noise=None, scale=None, level):
    """The regression at given length and width."""
    x, y, bars = reading.axes(blurred)
    position = blurred["position"]
    # The family asks for memory of the residuals along this; under its own name x is a constant.
    A = blurred["response"].assign_coords(abscissa=("point", x.values))
    if width is not None:
        shape = Shape.parse(blurred.attrs["shape"])
        A = A.copy(data=shape.of_width(width).matrix(x.values, position.values))
    s, unit, of_x = position.values, blurred.attrs["signal_units"], position.attrs["units"]
    slope = Normal(0.0, 2 * level.sd / float(s[-1] - s[0]))
    if prior in ORDERS:
        step = float((s[-1] - s[0]) / (len(s) - 1))
        basis = linear.differences(len(s), ORDERS[prior], step, level=level, slope=slope)
    else:
        null = {"level": (np.ones(len(s)), level)}
        said = "level + g, roots of the covariance exp(−Δ² / 2 length²) times g"
        basis = linear.Basis(_root(s, length), null, said)
    per = "" if of_x in ("", "1") else of_x
    of_scale = {1: f"{unit}/{per}", 2: f"{unit}/{per}²"}.get(ORDERS.get(prior, 0), unit)
    return linear.regression(
        A,
        y,
        "normal" if scale is None else linear.Gaussian(scale),
        basis=basis,
        error=None if bars is None else bars.values,
        noise=noise,
        name="signal",
        units={
            "signal": unit,
            "level": unit,
            "scale": of_scale if per else unit,
            "slope": f"{unit}/{per}" if per else unit,
        },
        constants=blurred[[x.name] if width is not None else [x.name, "response"]],
    )


def level_prior(blurred: xr.Dataset, factor: float = 1.0) -> Normal:
    """Return the prior of the level: ten times what alone makes data as large as these."""
    y, A = reading.axes(blurred)[1].values, blurred["response"].values
    # A response whose integral is zero sees no level, which then is as wide as it is blind.
    seen = max(_rms(A.sum(axis=1)), 1e-6 * _rms(np.abs(A).sum(axis=1)))
    return Normal(0.0, float(factor * LEVEL_WIDTH * _rms(y) / seen))


def _rms(v):
    return np.sqrt(np.mean(v**2))


def _root(s, length):
    """C with C Cᵀ the squared exponential, by Cholesky with pivots, (position, weight)."""
    from scipy.linalg import lapack

    K = np.exp(-0.5 * ((s[:, np.newaxis] - s) / length) ** 2)
    factor, pivots, rank, _ = lapack.dpstrf(K, tol=LEAST_VARIANCE, lower=1)
    C = np.empty((len(s), rank))
    C[pivots - 1] = np.tril(factor)[:, :rank]
    return C


def plan(
    blurred: xr.Dataset,
    method: str | None,
    settings: Settings,
    *,
    exact: bool = False,
    positive: bool = False,
) -> tuple[str | None, Settings, str]:
    """Choose how many draws of a signal of this length a file can keep.

    Parameters
    ----------
    blurred : as for ``fit``.
    method : as for ``fit``.
    settings : of a fit of ordinary size.
    exact : whether to leave the number of draws as it is.
    positive : whether the draws are those of chains, of which some hundred are needed each.

    Returns
    -------
    the method; the settings; what was chosen, in words, or nothing.
    """
    least = LEAST_CHAIN if positive else 50
    keep = max(least, NUMBERS // (blurred.sizes["position"] * settings.chains))
    if exact or settings.draws <= keep:
        return method, settings, ""
    shorter = settings.replace(draws=keep, prior_draws=min(settings.prior_draws, 100))
    return method, shorter, f"{settings.chains * keep} draws are kept, to spare files"


def fit(
    blurred: xr.Dataset,
    prior: str = "squared_exponential",
    *,
    positive: bool = False,
    width_spread: float = 0.0,
    method: str | None = None,
    settings: Settings = DEFAULT,
    **options,
) -> xr.DataTree:
    """Infer the signal behind a blur.

    Parameters
    ----------
    blurred : as of ``simulate``.
    prior, positive, width_spread, **options : as for ``problem``.
    method : None for the problem's own route.
    settings : length and seed.

    Returns
    -------
    InferenceData. Beside it stand ``shape``, draws of the signal's height, centre, width and area,
    and the true ones where they are known; ``band``, its mean with point-wise and simultaneous
    bands; ``directions``, which of them the data decide; and of differences ``penalty``, draws of
    the λ of Tikhonov that their scales stand for.
    """
    stated = problem(blurred, prior, positive=positive, width_spread=width_spread, **options)
    attrs = {"prior": prior, "positive": int(positive), "edges": blurred.attrs["edges"]}
    attrs["equation"] = EQUATION % (" e_i^2" if reading.axes(blurred)[2] is not None else "")
    attrs["response"] = blurred.attrs.get("shape", "")
    truth = noted(blurred, "truth")
    found = driver.fit(
        stated, method, settings, system="deconvolution", notes={"truth": truth}, attrs=attrs
    )
    signal, unit = found["posterior"]["signal"], blurred["position"].attrs["units"]
    x = reading.axes(blurred)[0].values
    units = {"height": signal.units, "centre": unit, "width": unit}
    units["area"] = signal.units if unit in ("", "1") else f"{signal.units}·{unit}"
    notes = {
        "shape": dataset(shape_of(signal.values, signal["position"].values, x), {}, {}, units),
        "band": band(signal),
        "directions": directions(found, stated),
    }
    if truth is not None and "signal" in truth:
        true = shape_of(truth["signal"].values, truth["position"].values, x)
        notes["true_shape"] = dataset(true, {}, {}, units, sampled=False)
    if prior in ORDERS and "scale" in found["posterior"]:
        step = np.ptp(signal["position"].values) / (signal.sizes["position"] - 1)
        scale = found["posterior"]["scale"] * step ** ORDERS[prior]
        notes["penalty"] = dataset({"penalty": (noise_of(found) / scale).values ** 2})
    return annotated(found, **notes)


def noise_of(fit: xr.DataTree) -> xr.DataArray:
    """Return σ of a fit, draws or the number that the caller knew."""
    group = "posterior" if "sigma" in fit["posterior"] else "constant_data"
    return fit[group]["sigma"]


def shape_of(signal: np.ndarray, position: np.ndarray, x: np.ndarray) -> dict[str, np.ndarray]:
    """Read height, centre, width and area off a signal within the window of the data.

    Parameters
    ----------
    signal : (..., position).
    position, x : where the signal and the data stand.

    Returns
    -------
    ``height`` of the highest point; ``centre`` of what rises above half of it, and ``width``, the
    length over which the signal does; ``area``, its integral; (...) each.
    """
    step = (position[-1] - position[0]) / (len(position) - 1)
    inside = (position >= x[0] - step / 2) & (position <= x[-1] + step / 2)
    f, s = signal[..., inside], position[inside]
    height = np.max(f, axis=-1)
    above = f - 0.5 * height[..., np.newaxis]
    # Of a step across half the height counts the part above it, the signal taken as straight.
    over, size = np.maximum(above, 0.0), np.abs(above) + np.finfo(float).tiny
    # Where nothing is above zero, no part is above half the height: the highest point is told.
    total, top = np.sum(over, axis=-1), s[np.argmax(f, axis=-1)]
    share = (over[..., 1:] + over[..., :-1]) / (size[..., 1:] + size[..., :-1])
    return {
        "height": height,
        "centre": np.where(total > 0, over @ s / np.where(total > 0, total, 1.0), top),
        "width": step * np.sum(share, axis=-1),
        "area": step * np.sum(f, axis=-1),
    }


def band(signal: xr.DataArray) -> xr.Dataset:
    """Return bands that hold 95 % of the draws: at each position, and everywhere at once.

    Parameters
    ----------
    signal : draws, (chain, draw, position).

    Returns
    -------
    ``mean``, ``sd``, ``low`` and ``high``, point by point, (position); ``factor``, such that in
    95 % of the draws the signal lies within mean ± factor · sd everywhere.
    """
    draws = signal.values.reshape(-1, signal.sizes["position"])
    mean, sd = draws.mean(axis=0), draws.std(axis=0)
    low, _, high = interval(draws, LEVEL)
    away = np.max(np.abs(draws - mean) / np.maximum(sd, np.finfo(float).tiny), axis=1)
    arrays = {"mean": mean, "sd": sd, "low": low, "high": high}
    units = dict.fromkeys(arrays, signal.units)
    dims = dict.fromkeys(arrays, ("position",))
    arrays["factor"] = np.quantile(away, LEVEL)
    return dataset(arrays, dims, {"position": signal["position"]}, units, sampled=False)


def directions(found: xr.DataTree, stated: Problem) -> xr.Dataset:
    """Sort the directions of the prior by what the data say of each.

    With C the root of the prior and U diag(s) Vᵀ = A C / e, less what level and slope can make, the
    weight of C v_k is known from the data with precision (scale s_k / σ)², and from the prior with
    precision one. Where the first is the smaller one, the prior decides.

    Returns
    -------
    ``information`` (scale s_k / σ)² at the posterior's scales, (direction), falling; ``decided``,
    how many are above one; ``freedom``, the sum of information / (1 + information); ``vector``
    (shown, position), some of them at either side, their largest value one, and ``rank`` (shown);
    ``condition``, the condition number of the response.
    """
    draws = found["posterior"]

    def mean(name):
        """Geometric mean of a positive parameter, None where it is fixed."""
        return float(np.exp(np.log(draws[name]).mean())) if name in draws else None

    at = getattr(stated, "varied", {})
    regression = stated.at({name: mean(name) for name in at}) if at else stated
    ratio = (mean("scale") or regression.fixed["scale"]) / (mean("sigma") or regression.noise)
    Q = np.linalg.qr(regression.design.Z)[0]
    A = regression.design.A
    _, s, Vt = np.linalg.svd(A - Q @ (Q.T @ A))
    information = np.zeros(len(Vt))
    information[: len(s)] = (ratio * s) ** 2
    decided = int(np.sum(information > 1))
    rank = np.unique(np.clip([0, 1, 2, decided - 1, decided, decided + 1], 0, len(Vt) - 1))
    vector = (regression.basis.matrix @ Vt[rank].T).T
    vector /= np.abs(vector).max(axis=1, keepdims=True)
    arrays = {
        "information": information,
        "decided": np.int64(decided),
        "freedom": np.sum(information / (1 + information)),
        "vector": vector,
        "rank": rank + 1,
        "condition": np.linalg.cond(regression.X),
    }
    dims = {"information": ("direction",), "vector": ("shown", "position"), "rank": ("shown",)}
    return dataset(arrays, dims, {"position": draws["position"]}, sampled=False)


def best(fits: Mapping[str, xr.DataTree]) -> str:
    """Return the name of the fit that carries the answer: where it was asked for, the one above
    zero, else that of the smooth prior with the greatest evidence.
    """
    if "positive" in fits:
        return "positive"
    value = {
        name: float(fits[name]["sample_stats"].get("log_evidence", -np.inf))
        for name in SMOOTH
        if name in fits
    }
    return max(value, key=value.get) if value else next(iter(fits))


def compare(
    blurred: xr.Dataset,
    priors: Sequence[str] = SMOOTH,
    *,
    widths: Sequence[float] = WIDTHS,
    **options,
) -> xr.Dataset:
    """Compare smooth priors by their evidence, for some widths of the priors of level and slope.

    Parameters
    ----------
    blurred, **options : as for ``problem``.
    priors : names of ``SMOOTH``.
    widths : as for ``linear.evidences``; 1 among them.

    Returns
    -------
    Dataset as of ``linear.evidences``.
    """
    problems = {prior: problem(blurred, prior, **options) for prior in priors}
    return linear.evidences(problems, widths)
