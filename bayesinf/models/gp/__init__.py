"""Gaussian processes: y = m(x) + f(x) + ε with f ~ GP(0, k), and all hyperparameters inferred.

``process`` states the problem and ``fit`` its posterior; ``predict`` reads curves, slopes and new
data from that, and ``acquire`` where to measure next. ``kernels`` are the covariance functions,
``means`` the prior means, ``coordinates`` in what a curve is stationary, and how its size falls
off, ``signal`` noise that grows with it. ``definition`` holds the problem of one input and its
model in PyMC, ``field`` that of several inputs and of slopes (its data are ``places``, its
covariances ``slopes``), ``marginal`` the numbers of both, and ``statement`` their priors;
``markov`` has the numbers of many points of one input at a cost that grows with their number;
``expressions`` reads kernels and trends as they are written; ``routes`` draw from all of them,
``splits`` score predictions over many splits of one data set, and ``questions`` are what a fit is
asked besides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesinf.data import curve_from_arrays
from bayesinf.data.arrays import vector
from bayesinf.errors import FitError
from bayesinf.models import problem as driver
from bayesinf.models.gp import places, questions
from bayesinf.models.gp.acquisition import acquire
from bayesinf.models.gp.coordinates import COORDINATES, Coordinate, Envelope
from bayesinf.models.gp.definition import NOISE, Process, ratio
from bayesinf.models.gp.expressions import parse
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
from bayesinf.models.gp.means import MEANS, Function, Lifted, Mean, Repulsive, Zero
from bayesinf.models.gp.predictions import parts, predict, rebuild, thinned
from bayesinf.models.gp.routes import log_evidence
from bayesinf.models.gp.signal import WithSignal
from bayesinf.models.gp.statement import process
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

__all__ = [
    "COORDINATES",
    "KERNELS",
    "MEANS",
    "NOISE",
    "Coordinate",
    "Envelope",
    "Exponential",
    "Function",
    "Lifted",
    "Matern32",
    "Matern52",
    "Periodic",
    "Process",
    "RationalQuadratic",
    "Repulsive",
    "SquaredExponential",
    "WithSignal",
    "Zero",
    "acquire",
    "data",
    "fit",
    "log_evidence",
    "log_marginal_likelihood",
    "parse",
    "parts",
    "predict",
    "process",
    "questions",
    "ratio",
    "rebuild",
    "thinned",
]


def data(
    x: ArrayLike | Mapping[str, np.ndarray] | None = None,
    y: ArrayLike | None = None,
    error: ArrayLike | None = None,
    *,
    slopes: Mapping[str, tuple] | None = None,
    name: str = "y",
) -> xr.Dataset:
    """Validate and label what ``process`` takes, held in memory.

    Parameters
    ----------
    x, y, error, slopes, name : as for ``fit``.

    Returns
    -------
    a Dataset: of one input without slopes that of ``bayesinf.data.curve_from_arrays``, else one
    with inputs, values and slopes under their names.

    Raises
    ------
    DataError : x, y, error or slopes do not fit together, are not finite, or too few.
    """
    if slopes or places.several(x) or x is None or y is None:
        return places.table(x, y, error, slopes=slopes, name=name).dataset().reset_coords()
    if isinstance(x, Mapping):
        (x,) = places.columns(x).values()
    if error is not None and np.ndim(error) == 0:
        error = np.full(np.shape(y), error, dtype=float)
    return curve_from_arrays(x, vector(y, name, None), error)


def fit(
    x: np.ndarray | xr.DataArray | Mapping[str, np.ndarray] | None = None,
    y: np.ndarray | xr.DataArray | None = None,
    error: np.ndarray | xr.DataArray | float | None = None,
    *,
    slopes: Mapping[str, tuple] | None = None,
    name: str = "y",
    kernel: str | Kernel = "squared_exponential",
    mean: str | Callable | Mean = "zero",
    method: str | None = None,
    settings: Settings = DEFAULT,
    **options: Any,
) -> xr.DataTree:
    """Infer the hyperparameters of a Gaussian process from values, slopes, or both.

        y_i = m(x_i) + f(x_i) + ε_i,  f ~ GP(0, k),  ε_i ~ N(0, error_i² + noise²),  θ ~ priors
        s_j = ∂(m + f)/∂x_k at x_j + ε_j,            ε_j ~ N(0, error_j² + noise_dy_dx_k²)

    The curve f is integrated out, so θ is what is sampled; ``predict`` brings f back. Each draw of
    θ costs O(n³) for n values and slopes.

    Parameters
    ----------
    x : (point,), or (point, input) of several inputs: an array, a DataArray whose second coordinate
        names the inputs, or a mapping or Dataset of columns, which keep names and units. x may
        repeat; of one input it is sorted. None where there are slopes alone.
    y : (point,), an array or a DataArray, which keeps name and unit.
    error : (point,) or one number, the sd of what is known of the noise.
    slopes : input to (x, values) or (x, values, error): measured slopes of y along that input,
        (slope,), at x as above; the slopes along an input are one variable of the data, ``dy_dx``.
        Slopes alone leave the level of y to its prior, N(mean, amplitude²) at each point; one value
        pins it. So H(q, p) is learnt from rates of change, q̇ = ∂H/∂p and ṗ = −∂H/∂q, by
        ``slopes={"p": (x, q_dot), "q": (x, -p_dot)}, name="H"`` with ``x={"q": q, "p": p}``.
    name : what y is called where no values say.
    kernel, mean : as for ``process``.
    method : ``mcmc`` (population Monte Carlo, the default), ``laplace``, or ``nuts`` (PyMC).
    settings : length and seed.
    **options : as for ``process``: ``coordinate``, ``envelope``, ``noise``, ``priors``, ``units``.

    Returns
    -------
    InferenceData with ``length_scale``, a vector over ``input`` where there are several,
    ``amplitude``, ``noise`` of the values, ``noise_dy_dx`` of slopes, and the mean's parameters.
    ``log_likelihood`` holds, under the name of y, log p(y_i | y_{−i}, θ), from which leave-one-out
    follows, and ``sample_stats`` the marginal likelihood, log p(y | θ), as ``log_likelihood``.
    ``posterior_predictive`` holds, point by point, new data at x.

    Raises
    ------
    DataError : x, y, error or slopes do not fit together, are not finite, or too few.
    FitError : an unknown kernel, mean, method or parameter; no density anywhere; slopes of a
        process whose paths have none.

    References
    ----------
    Rasmussen & Williams, Gaussian Processes for Machine Learning, MIT Press (2006).
    """
    table = data(x, y, error, slopes=slopes, name=name)
    problem = process(table, kernel, mean, workers=settings.workers, **options)
    return driver.fit(problem, method, settings)


def log_marginal_likelihood(
    x: np.ndarray | None = None,
    y: np.ndarray | None = None,
    error: np.ndarray | None = None,
    *,
    slopes: Mapping[str, tuple] | None = None,
    name: str = "y",
    kernel: str | Kernel = "squared_exponential",
    mean: str | Callable | Mean = "zero",
    **hyperparameters: Any,
) -> np.ndarray:
    """Return log N(y; m, K) at stated hyperparameters.

        log p(y) = −½ (y − m)ᵀ K⁻¹ (y − m) − ½ log |K| − ½ n log 2π,   K = k + diag(error² + noise²)

    Parameters
    ----------
    x, y, error, slopes, name, kernel, mean : as for ``fit``.
    **hyperparameters : all that kernel and mean do not fix, by name, and the noises (0 if left
        out): numbers, or arrays that broadcast; length scales of several inputs are (..., input).

    Returns
    -------
    a number, or an array in their shape.

    Raises
    ------
    FitError : a hyperparameter is missing or unknown.
    """
    problem = process(data(x, y, error, slopes=slopes, name=name), kernel, mean)
    silent = {one: 0.0 for one in problem.noises if one not in problem.fixed}
    given = {**silent, **problem.fixed, **hyperparameters}
    needed = {*problem.inferred, *problem.fixed}
    if set(given) != needed:
        raise FitError(
            f"hyperparameters needed are {', '.join(sorted(needed))}, not "
            f"{', '.join(sorted(given))}"
        )
    values = {one: np.asarray(value, dtype=float) for one, value in given.items()}
    return problem.log_marginal(values)[()]
