"""Curves: y = f(x; θ) + ε with any lmfit Model as f, and independent normal noise ε.

lmfit states the curve. Descents from the starts given and from independent ones find the
optimum, in whatever unit. ``method="laplace"`` draws a normal in the plane that touches the curve
there, and resamples the draws by importance; ``method="emcee"`` samples the posterior itself. The
noise is either known point by point (``error``) or one standard deviation, known or inferred with
the rest (``noise``).

``problem`` states what is fitted and ``fit`` is its posterior. ``definition`` holds the problem and
its model in PyMC; ``evaluation`` lets lmfit's functions take arrays; ``starts`` and
``least_squares`` find the optimum; ``routes`` draw; ``edges`` say what a box decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesinf.data import curve_from_arrays
from bayesinf.models import problem as driver
from bayesinf.models.curve.definition import NonlinearRegression, problem
from bayesinf.models.curve.evaluation import Curve, evaluate
from bayesinf.models.curve.maximum import without_outliers
from bayesinf.models.likelihoods import NOISE
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import lmfit
    import xarray as xr

__all__ = [
    "NOISE",
    "Curve",
    "NonlinearRegression",
    "evaluate",
    "fit",
    "problem",
    "without_outliers",
]


def fit(
    model: lmfit.Model,
    params: lmfit.Parameters,
    x: np.ndarray,
    y: np.ndarray,
    error: np.ndarray | float | None = None,
    *,
    method: str | None = None,
    settings: Settings = DEFAULT,
    **options: Any,
) -> xr.DataTree:
    """Infer the free parameters of a curve, and those tied to them.

        y_i ~ N(f(x_i; θ), error_i² or noise²),   θ ~ priors

    Parameters
    ----------
    model, params : of lmfit; ``vary``, ``min``, ``max`` and ``expr`` are respected.
    x, y : (point,), arrays or DataArrays, whose names and units are kept; they are sorted by x.
    error : (point,) or one number, sd of the noise where it is known; else ``noise`` is inferred.
    method : "laplace" (the default) or "emcee".
    settings : length and seed.
    **options : as for ``problem``: ``noise``, ``priors``, ``starts``, ``units``, ...

    Returns
    -------
    InferenceData; beside it the classical answer, ``noted(fit, "classical")``, as of
    ``NonlinearRegression.classical``.

    Raises
    ------
    DataError : x, y or error do not fit together, are not finite, or too few.
    FitError : the data do not determine the parameters; an unknown method, prior or start.
    """
    if error is not None and np.ndim(error) == 0:
        error = np.full(np.shape(y), float(error))
    stated = problem(model, params, curve_from_arrays(x, y, error), **options)
    return driver.fit(stated, method, settings)
