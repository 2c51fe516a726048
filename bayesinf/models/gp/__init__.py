"""Gaussian processes: y = m(x) + f(x) + ε with f ~ GP(0, k), and all hyperparameters inferred.

``process`` states the problem and ``fit`` its posterior; ``predict`` reads curves, slopes and new
data from that. ``kernels`` are the covariance functions, ``means`` the prior means; ``definition``
holds the problem and its model in PyMC, ``routes`` draw from it, and ``splits`` score
its predictions over many splits of one data set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import curve_from_arrays
from bayesinf.errors import FitError
from bayesinf.models import problem as driver
from bayesinf.models.gp.definition import NOISE, Process, ratio
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
from bayesinf.models.gp.predictions import predict, rebuild, thinned
from bayesinf.models.gp.statement import process
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


def _curve(x, y, error):
    """Validate arrays; one error is that of each point."""
    if error is not None and np.ndim(error) == 0:
        error = np.full(np.shape(y), float(error))
    return curve_from_arrays(x, y, error)
