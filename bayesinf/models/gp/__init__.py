"""Gaussian processes: y = m(x) + f(x) + ε with f ~ GP(0, k), and all hyperparameters inferred.

``process`` states the problem and ``fit`` its posterior; ``predict`` reads curves, slopes and new
data from that. ``kernels`` are the covariance functions, ``means`` the prior means; ``definition``
holds the problem and its model in PyMC, ``routes`` draw from it, and ``splits`` score
its predictions over many splits of one data set.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import curve_from_arrays
from bayesinf.errors import FitError
from bayesinf.models import problem as driver
from bayesinf.models.gp import kernels
from bayesinf.models.gp.definition import NOISE, Process, process, ratio
from bayesinf.models.gp.kernels import (
    KERNELS,
    Exponential,
    Kernel,
    Matern32,
    Matern52,
    Periodic,
    RationalQuadratic,
    SquaredExponential,
)
from bayesinf.models.gp.means import MEANS, Function, Mean, Repulsive, Zero
from bayesinf.posterior import dataset
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "KERNELS",
    "MEANS",
    "NOISE",
    "Exponential",
    "Function",
    "Matern32",
    "Matern52",
    "Periodic",
    "Process",
    "RationalQuadratic",
    "Repulsive",
    "SquaredExponential",
    "Zero",
    "fit",
    "log_marginal_likelihood",
    "predict",
    "process",
    "ratio",
    "rebuild",
    "thinned",
]


def fit(
    x: np.ndarray | xr.DataArray,
    y: np.ndarray | xr.DataArray,
    error: np.ndarray | xr.DataArray | float | None = None,
    *,
    kernel: str | Kernel = "squared_exponential",
    mean: str | Callable | Mean = "zero",
    method: str | None = None,
    settings: Settings = DEFAULT,
    **options,
) -> xr.DataTree:
    """Infer the hyperparameters of a Gaussian process from data on one coordinate.

        y_i = m(x_i) + f(x_i) + ε_i,  f ~ GP(0, k),  ε_i ~ N(0, error_i² + noise²),  θ ~ priors

    The curve f is integrated out, so θ is what is sampled; ``predict`` brings f back.

    Parameters
    ----------
    x, y : (point,), arrays or DataArrays, which keep names and units; x may repeat. They are
        sorted.
    error : (point,) or one number, the sd of what is known of the noise.
    kernel, mean : as for ``process``.
    method : ``mcmc`` (population Monte Carlo, the default), ``laplace``, or ``nuts`` (PyMC).
    settings : length and seed.
    **options : as for ``process``: ``noise``, ``priors``, ``units``.

    Returns
    -------
    InferenceData with ``length_scale``, ``amplitude``, ``noise`` and the mean's parameters.
    ``log_likelihood`` holds, under the name of y, log p(y_i | y_1, ..., y_{i−1}, θ), which add up
    to the marginal likelihood, and as NAME_marginal log p(y_i | y_{−i}, θ), from which
    leave-one-out follows. ``posterior_predictive`` holds, point by point, new data at x.

    Raises
    ------
    DataError : x, y or error do not fit together, are not finite, or too few.
    FitError : an unknown kernel, mean, method or parameter; no density anywhere.

    References
    ----------
    Rasmussen & Williams, Gaussian Processes for Machine Learning, MIT Press (2006).
    """
    data = _curve(x, y, error)
    problem = process(data, kernel, mean, workers=settings.workers, **options)
    return driver.fit(problem, method, settings)


def log_marginal_likelihood(
    x: np.ndarray,
    y: np.ndarray,
    error: np.ndarray | None = None,
    *,
    kernel: str | Kernel = "squared_exponential",
    mean: str | Callable | Mean = "zero",
    **hyperparameters,
) -> np.ndarray:
    """Return log N(y; m, K) at stated hyperparameters.

        log p(y) = −½ (y − m)ᵀ K⁻¹ (y − m) − ½ log |K| − ½ n log 2π,   K = k + diag(error² + noise²)

    Parameters
    ----------
    x, y, error, kernel, mean : as for ``fit``.
    **hyperparameters : all that kernel and mean do not fix, by name, and ``noise`` (0 if left out):
        numbers, or arrays that broadcast.

    Returns
    -------
    a number, or an array in their shape.

    Raises
    ------
    FitError : a hyperparameter is missing or unknown.
    """
    problem = process(_curve(x, y, error), kernel, mean)
    given = {NOISE: 0.0} | problem.fixed | hyperparameters
    needed = {*problem.names, *problem.fixed}
    if set(given) != needed:
        raise FitError(
            f"hyperparameters needed are {', '.join(sorted(needed))}, not "
            f"{', '.join(sorted(given))}"
        )
    values = {name: np.asarray(value, dtype=float) for name, value in given.items()}
    return problem.log_marginal(values)[()]


def predict(
    posterior: xr.DataTree,
    x: np.ndarray,
    *,
    mean: Callable | Mean | None = None,
    slope: bool = False,
    most: int = 400,
    settings: Settings | None = None,
) -> xr.Dataset:
    """Draw curves, their slopes and new data at x from a posterior.

        f(x) + m(x) | y, θ ~ N(m + k* K⁻¹ (y − m), k** − k* K⁻¹ k*ᵀ)

    Parameters
    ----------
    posterior : what ``fit`` returned, or its file reloaded.
    x : (new,).
    mean : the function that was the mean, where it was one: a file cannot hold it.
    slope : whether to draw the slopes, jointly with the values.
    most : draws of the posterior, taken evenly, that are followed.
    settings : its seed; by default that of the fit.

    Returns
    -------
    a Dataset over chain, draw and ``new``, with x under its name as coordinate: ``mean`` and ``sd``
    of the curve at the hyperparameters of each draw, ``curve`` and (where asked) ``slope``, drawn
    jointly over all x, and under the name of y new data, curve plus noise (without errors of
    measurement, which new data do not state).

    Raises
    ------
    FitError : the mean is missing; a slope of a process whose paths have none.
    """
    from threadpoolctl import threadpool_limits

    x = np.atleast_1d(np.asarray(x, dtype=float))
    problem = rebuild(posterior, mean)
    if slope and not problem.kernel.smooth:
        raise FitError(
            "the paths of an exponential kernel have no slope anywhere: use "
            "squared_exponential, matern32 or matern52"
        )
    chosen = thinned(posterior, most)
    shape = (chosen.sizes["chain"], chosen.sizes["draw"])
    theta = {n: np.broadcast_to(value.values, shape).ravel() for n, value in chosen.items()}
    seed = posterior.attrs["seed"] if settings is None else settings.seed
    rng = Settings(seed=int(seed)).generator("predictions")
    step = max(1, 2**21 // (len(problem.x) + len(x) * (2 if slope else 1)) ** 2)
    parts = []
    with threadpool_limits(1):
        for start in range(0, len(theta[NOISE]), step):
            part = {name: value[start : start + step] for name, value in theta.items()}
            centre, root, _ = problem.conditional(part, x, slope)
            curve = centre + np.einsum("nij,nj->ni", root, rng.standard_normal(centre.shape))
            parts.append(np.stack([centre, np.linalg.norm(root, axis=-1), curve]))
    found = np.concatenate(parts, axis=1).reshape(3, *shape, -1)
    of_x, of_y = problem.unit(problem.x_name), problem.unit(problem.y_name)
    arrays = dict(zip(("mean", "sd", "curve"), found[..., : len(x)], strict=True))
    noise = theta[NOISE].reshape(*shape, 1) * rng.standard_normal((*shape, len(x)))
    arrays[problem.y_name] = arrays["curve"] + noise
    units = dict.fromkeys(arrays, of_y)
    if slope:
        slopes = ("slope_mean", "slope_sd", "slope")
        arrays |= dict(zip(slopes, found[..., len(x) :], strict=True))
        units |= dict.fromkeys(slopes, ratio(of_y, of_x))
    coords = {dim: chosen[dim] for dim in ("chain", "draw")}
    coords |= {problem.x_name: ("new", x, {"units": of_x})}
    return dataset(arrays, dict.fromkeys(arrays, ("new",)), coords, units)


def rebuild(posterior: xr.DataTree, mean: Callable | Mean | None = None) -> Process:
    """Return the process and the data of a posterior; ``mean`` as for ``predict``."""
    named = posterior.attrs["mean"]
    if mean is None and named not in MEANS:
        raise FitError(
            f"the prior mean of this posterior is the function {named!r}, which its file cannot "
            "hold: pass it as mean="
        )
    data = posterior["constant_data"].to_dataset()
    return process(
        data.assign(posterior["observed_data"].to_dataset().reset_coords(drop=True).data_vars),
        kernels.from_dict(json.loads(posterior.attrs["kernel"])),
        named if mean is None else mean,
    )


def thinned(posterior: xr.DataTree, most: int) -> xr.Dataset:
    """Take draws of all parameters evenly, at most so many; fixed ones join them."""
    draws = posterior["posterior"].dataset
    step = -(-draws.sizes["chain"] * draws.sizes["draw"] // most)
    step = min(step, draws.sizes["draw"])
    constants = posterior["constant_data"].dataset
    fixed = {name: constants[name] for name in json.loads(posterior.attrs["fixed"])}
    return draws.isel(draw=slice(step - 1, None, step)).assign(fixed)


def _curve(x, y, error):
    """Validate arrays; one error is that of each point."""
    if error is not None and np.ndim(error) == 0:
        error = np.full(np.shape(y), float(error))
    return curve_from_arrays(x, y, error)
