"""Curves: y = f(x; θ) + ε with any lmfit Model or expression as f, and independent noise ε.

lmfit states the curve. Descents from the starts given and from independent ones find the
optimum, in whatever unit. ``method="laplace"`` draws a normal in the plane that touches the curve
there, and resamples the draws by importance; ``method="emcee"`` samples the posterior itself. The
noise is either known point by point (``error``) or one standard deviation, known or inferred with
the rest (``noise``).

``problem`` states what is fitted and ``fit`` is its posterior, which ``predict`` follows to new x.
``formula`` reads a curve as it is written, ``columns`` which of a table are x and y. ``definition``
holds the problem and its model in PyMC; ``evaluation`` lets lmfit's functions take arrays;
``starts`` and ``least_squares`` find the optimum; ``routes`` draw; ``edges`` say what a box
decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bayesinf.errors import FitError
from bayesinf.models import problem as driver
from bayesinf.models.curve import columns, formula
from bayesinf.models.curve.definition import NonlinearRegression, problem
from bayesinf.models.curve.evaluation import Curve, evaluate
from bayesinf.models.curve.maximum import without_outliers
from bayesinf.models.curve.predictions import predict
from bayesinf.models.likelihoods import NOISE
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import lmfit
    import pandas as pd
    import xarray as xr
    from numpy.typing import ArrayLike

    from bayesinf.priors import Prior

__all__ = [
    "NOISE",
    "Curve",
    "NonlinearRegression",
    "evaluate",
    "fit",
    "predict",
    "problem",
    "without_outliers",
]


def fit(
    model: lmfit.Model | str | None = None,
    params: lmfit.Parameters | Mapping[str, float | Prior] | None = None,
    x: ArrayLike | str | None = None,
    y: ArrayLike | str | None = None,
    error: ArrayLike | str | None = None,
    *,
    expression: str | None = None,
    data: Mapping[str, ArrayLike] | xr.Dataset | pd.DataFrame | None = None,
    independent: str | None = None,
    method: str | None = None,
    settings: Settings = DEFAULT,
    **options: Any,
) -> xr.DataTree:
    """Infer the free parameters of a curve, and those tied to them.

        y_i ~ N(f(x_i; θ), error_i² or noise²),   θ ~ priors

    ``fit(expression="a*exp(-t/tau) + c", data=table, y="counts", params={"a": 100, "tau": 2, "c":
    LogNormal(5, 1)})`` takes the curve as it is written.

    Parameters
    ----------
    model, params : of lmfit; ``vary``, ``min``, ``max`` and ``expr`` are respected. Of an
        expression, name of each parameter to a starting value or a prior.
    x, y : (point,), arrays or DataArrays, whose names and units are kept; they are sorted by x. Or
        names of columns of ``data``.
    error : (point,) or one number, sd of the noise where it is known; else ``noise`` is inferred.
    expression : the curve as it is written, in place of ``model``: names, numbers, + - * / **,
        brackets and the functions of ``formula.FUNCTIONS``.
    data : a table of columns, or a Dataset as of ``bayesinf.data.curve``.
    independent : which name of the expression is x; by default the one that x has in the data,
        else ``x``, else the one that is no parameter.
    method : "laplace" (the default) or "emcee".
    settings : length and seed.
    **options : as for ``problem``: ``noise``, ``priors``, ``starts``, ``units``, ...

    Returns
    -------
    InferenceData; beside it the classical answer, ``noted(fit, "classical")``, as of
    ``NonlinearRegression.classical``.

    Raises
    ------
    DataError : x, y or error do not fit together, are not finite, or too few; no such column.
    FitError : the data do not determine the parameters; an unknown method, prior, start or
        function; an expression of which it is not clear which name is x.
    """
    text = model if isinstance(model, str) else expression
    if model is not None and expression is not None:
        raise FitError("the curve is given twice over, as a model and as an expression")
    known = [] if text is None else formula.names(text)
    points, x_name, others = columns.points(x, y, error, data, known)
    if text is not None:
        priors = options.pop("priors", None)
        curve, start, priors = formula.stated(text, x_name, params, priors, independent, others)
        said = {"expression": text.strip(), "independent": curve.independent_vars[0]}
        options |= {"priors": priors, "attrs": said | dict(options.get("attrs") or {})}
    elif isinstance(model, str) or model is None:
        raise FitError("no curve to fit: give an lmfit model, or expression='a*exp(-t/tau) + c'")
    else:
        curve, start = model, model.make_params() if params is None else params
    return driver.fit(problem(curve, start, points, **options), method, settings)
