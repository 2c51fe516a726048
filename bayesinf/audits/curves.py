"""Claims about least squares: what SciPy's curve_fit or lmfit says of its own answer.

    y_i ~ N(f(x_i; θ), σ_i²)      or, where nobody knows the noise,  σ_i → s σ_i, s inferred

All of them become one ``curve`` problem: the curve family finds the optimum anew from many starts,
knows its curvature, and draws. Parameters are flat between their bounds.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import scipy

from bayesinf.audits.claims import Claim, matrix, point_of
from bayesinf.audits.valleys import population
from bayesinf.data import curve_from_arrays
from bayesinf.errors import DataError, FitError
from bayesinf.inference.scoring import descend
from bayesinf.models import curve
from bayesinf.models.curve import NOISE
from bayesinf.models.problem import Route

__all__ = ["of_curve_fit", "of_lmfit", "parameter_names"]

MOVES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)  # sd, by which starts are moved
FACTORS = (0.1, 0.3, 3.0, 10.0)  # likewise
PLACES = 9  # along x, likewise
SMALLEST_PLACE = 1e-6  # of the range of x
ON_A_BOUND = 1e-6  # sd from a bound, within which a point lies on it
NO_NOISE = 1e-14  # share of the data, below which residuals are rounding
ALIKE = 0.01  # noise, by which two curves may differ that say the same


def of_curve_fit(
    f: Callable,
    x,
    y,
    popt,
    pcov,
    sigma=None,
    *,
    absolute_sigma: bool | None = None,
    bounds=(-np.inf, np.inf),
    names: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
) -> Claim:
    """State what SciPy's curve_fit claims, in its own arguments.

    Parameters
    ----------
    f, x, y, sigma, bounds : as of ``scipy.optimize.curve_fit``; sigma may be a matrix.
    popt, pcov : what it returned.
    absolute_sigma : whether sigma are the error bars, and not only shares of an unknown noise. By
        default they are where they are given, whatever curve_fit was told.
    names : of the parameters; by default the arguments of f.
    units : of the parameters.

    Raises
    ------
    DataError : arguments that do not go together, or a function that gives no curve.
    """
    import lmfit

    point = point_of(popt)
    names = parameter_names(f, point.size) if names is None else list(names)
    names = [f"{name}_" if name == NOISE else name for name in names]  # ours is that of the data
    point, covariance = point_of(point, names), matrix(pcov, point.size)
    y = _numbers(y, "y").ravel()
    absolute = sigma is not None if absolute_sigma is None else absolute_sigma
    if absolute and sigma is None:
        raise DataError("no error bars", where="sigma", expected="sigma with absolute_sigma=True")
    whiten, error = _weights(sigma, len(y), absolute)
    given = np.asarray(x) if not isinstance(x, tuple) else x
    _refuse_curve(f, given, point, y)
    own = isinstance(given, np.ndarray) and given.shape == y.shape and given.dtype.kind in "iuf"
    own = own and whiten is None and np.all(np.diff(given) >= 0) and np.ptp(given) > 0

    many = _many(f, given, point, len(y))

    def model(x, **values):
        found = many(*(values[name] for name in names))
        return found if whiten is None else whiten(found)

    model.argnames, model.kwargs = (
        ["x", *names],
        [],
    )  # as lmfit asks of a function without arguments
    bare = lmfit.Model(model, independent_vars=["x"], param_names=names)
    bare._name = getattr(f, "__name__", "curve")
    params = lmfit.Parameters()
    low, high = (np.broadcast_to(np.asarray(each, dtype=float), point.shape) for each in bounds)
    _refuse_bounds(names, point, low, high)
    point = _snapped(point, covariance, low, high)
    for name, value, least, most in zip(names, point, low, high, strict=True):
        params.add(name, value=value, min=least, max=most)
    y = y if whiten is None else whiten(y)
    places = given.astype(float) if own else np.arange(len(y), dtype=float)
    data = curve_from_arrays(places, y, error)
    return _claimed(bare, params, data, point, covariance, units)


def _many(f, x, point, size):
    """The curve at many points in one call: (..., 1) of each parameter -> (..., datum).

    By the user's function itself where it gives the same on arrays as on numbers.
    """

    def one_by_one(*columns):
        columns = np.broadcast_arrays(*columns)
        lead = columns[0].shape[:-1] if columns[0].ndim else ()
        rows = np.stack([np.ravel(each) for each in columns], axis=-1)
        return np.reshape([one(row) for row in rows], (*lead, size))

    def one(row):
        try:
            return np.broadcast_to(np.asarray(f(x, *row), dtype=float), (size,))
        except (ValueError, ArithmeticError):  # a search looks where a curve has no value
            return np.full(size, np.nan)

    def at_once(*columns):
        return np.asarray(f(x, *columns), dtype=float)

    def either(*columns):
        try:
            return at_once(*columns)
        except (ValueError, ArithmeticError):
            return one_by_one(*columns)

    probes = (point * (1 + 0.01 * np.array([[0.0], [1.0], [-0.7]])))[..., None]
    columns = [probes[:, k] for k in range(len(point))]
    try:
        with np.errstate(all="ignore"):
            fast, slow = at_once(*columns), one_by_one(*columns)
        same = np.allclose(np.broadcast_to(fast, slow.shape), slow, 1e-10, 0, equal_nan=True)
    except Exception:  # whatever a function does that was never meant for arrays
        same = False
    return either if same else one_by_one


def parameter_names(f: Callable, count: int) -> list[str]:
    """Names of a curve's parameters: its arguments after the first, or p1, p2, ..."""
    try:
        known = list(inspect.signature(f).parameters.values())[1:]
    except (TypeError, ValueError):
        known = []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [each.name for each in known if each.kind in kinds]
    spread = any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in known)
    if len(names) == count or (len(names) > count and not spread):
        return names[:count]
    if spread or not names:
        return [*names, *(f"p{k + 1}" for k in range(len(names), count))]
    raise DataError(
        "the curve has other parameters than the fit",
        where="popt",
        expected=f"values of {', '.join(names)}",
        found=f"{count} values",
    )


def _numbers(given, where):
    """The argument as an array of at least one number, or say that it is none."""
    try:
        found = np.asarray(given, dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError("not all are numbers", where=where, found=error) from None
    if not found.size:
        raise DataError("no data", where=where, expected="numbers", found="none")
    return found


def _weights(sigma, count, absolute):
    """What makes the noise equal where sigma does not go into error bars, and the error bars."""
    if sigma is None:
        return None, None
    sigma = _numbers(sigma, "sigma")
    if sigma.ndim == 0:
        sigma = np.full(count, float(sigma))
    if sigma.shape not in ((count,), (count, count)):
        raise DataError(
            "sigma does not go with the data",
            where="sigma",
            expected=f"a number, ({count},) or ({count}, {count})",
            found=sigma.shape,
        )
    if sigma.ndim == 1:
        if not (np.isfinite(sigma) & (sigma > 0)).all():
            raise DataError("error bars must be above zero", where="sigma", found=sigma.min())
        if absolute:
            return None, sigma
        return (lambda values: values / sigma), None
    try:
        root = scipy.linalg.cholesky(sigma, lower=True)
    except (scipy.linalg.LinAlgError, ValueError) as error:
        raise DataError("sigma is no covariance", where="sigma") from error

    def whiten(values):
        values = np.broadcast_to(values, (*np.shape(values)[:-1], count))
        flat = scipy.linalg.solve_triangular(root, values.reshape(-1, count).T, lower=True)
        return flat.T.reshape(values.shape)

    return whiten, np.ones(count) if absolute else None


def _refuse_curve(f, x, point, y):
    try:
        with np.errstate(all="ignore"):
            found = np.asarray(f(x, *point), dtype=float)
    except Exception as error:  # whatever a function of the user's does
        raise DataError(f"the curve fails at popt ({error})", where="f") from error
    if found.shape not in ((), y.shape) or not np.isfinite(found).all():
        raise DataError(
            "the curve at popt does not go with y",
            where="f",
            expected=f"{y.size} finite values",
            found=f"shape {found.shape}" if found.shape != y.shape else "some that are not finite",
        )


def _refuse_bounds(names, point, low, high):
    for name, value, least, most in zip(names, point, low, high, strict=True):
        if not least < most or not least <= value <= most:
            raise DataError(
                f"{name} is not within its bounds",
                where="bounds",
                expected=f"{least:g} ≤ {name} ≤ {most:g}, the one below the other",
                found=f"{value:g}",
            )


def _snapped(point, covariance, low, high):
    """The point, on a bound where it is as good as on it: SciPy stops just inside."""
    with np.errstate(invalid="ignore"):
        near = ON_A_BOUND * np.sqrt(np.abs(np.diag(covariance)))
    near = np.where(np.isfinite(near), near, 0.0)
    return np.where(point - low <= near, low, np.where(high - point <= near, high, point))


# --- lmfit ----------------------------------------------------------------------------------------


def of_lmfit(
    result,
    *,
    function: Callable | None = None,
    args: Sequence = (),
    kws: Mapping | None = None,
    absolute_sigma: bool | None = None,
    units: Mapping[str, str] | None = None,
) -> Claim:
    """State what a fit of lmfit's claims.

    Parameters
    ----------
    result : a ModelResult, a Minimizer that has fitted, or the MinimizerResult of one.
    function, args, kws : of a MinimizerResult, which does not keep them: its residual and what it
        takes besides the parameters.
    absolute_sigma : whether weights are 1 over the error bars (residuals in units of the noise);
        by default they are where a ModelResult has weights.
    units : of the parameters.
    """
    import lmfit

    if isinstance(result, lmfit.model.ModelResult):
        return _of_model(result, absolute_sigma, units)
    if isinstance(result, lmfit.Minimizer):
        function, args, kws = result.userfcn, result.userargs, result.userkws
        result = result.result
    if function is None or not hasattr(result, "var_names"):
        raise DataError(
            "a MinimizerResult does not keep its function",
            where="function",
            expected="audit(result, function=residual, args=(...)), or the Minimizer itself",
        )

    def residual(params):
        return np.asarray(function(params, *args, **(kws or {})), dtype=float).ravel()

    at = residual(result.params)
    # The residual at the answer stands for the data, so that data less curve are the residuals.
    f, names = _by_params(lambda params: at - residual(params), result.params)
    sigma = np.ones(len(at)) if absolute_sigma else None
    return _of_params(result, f, names, at, sigma, bool(absolute_sigma), units)


def _of_model(result, absolute_sigma, units):
    model, weights = result.model, result.weights
    y = np.asarray(result.data, dtype=float).ravel()
    kws = {name: result.userkws[name] for name in model.independent_vars if name in result.userkws}
    absolute = weights is not None if absolute_sigma is None else absolute_sigma
    sigma = None if weights is None else 1 / np.broadcast_to(np.asarray(weights, float), y.shape)
    x = np.asarray(next(iter(kws.values())))
    plain = len(kws) == 1 and x.shape == y.shape and np.all(np.diff(x) >= 0)
    if plain and (sigma is None or absolute):
        data = curve_from_arrays(x, y, sigma)
        names = curve.evaluation.free(result.params)
        point = np.array([result.params[name].value for name in names])
        covariance = _covariance(result, names)
        return _claimed(model, result.params, data, point, covariance, units)
    f, names = _by_params(lambda params: model.eval(params, **kws), result.params)
    return _of_params(result, f, names, y, sigma, absolute, units)


def _by_params(function, params):
    """f(x, *values) of the free parameters, which fills in what is fixed and what is tied."""
    import copy

    names, params = curve.evaluation.free(params), copy.deepcopy(params)
    for name in names:  # a value outside lmfit's bounds would be moved onto them
        params[name].set(min=-np.inf, max=np.inf)

    def f(_, *values):
        for name, value in zip(names, values, strict=True):
            params[name].value = float(value)
        return function(params)

    return f, names


def _of_params(result, f, names, y, sigma, absolute, units):
    params = result.params
    return of_curve_fit(
        f,
        np.arange(len(y)),
        y,
        [params[name].value for name in names],
        _covariance(result, names),
        sigma,
        absolute_sigma=absolute,
        bounds=([params[n].min for n in names], [params[n].max for n in names]),
        names=names,
        units=units,
    )


def _covariance(result, names):
    covariance = getattr(result, "covar", None)
    if covariance is None:
        raise DataError(
            "lmfit found no covariance",
            where="covar",
            expected="a fit with error bars (result.errorbars)",
            remedy="a parameter is at its bound, or the data do not determine it: fix or drop it",
        )
    order = [list(result.var_names).index(name) for name in names]
    return np.asarray(covariance)[np.ix_(order, order)]


# --- one problem ----------------------------------------------------------------------------------


def _claimed(model, params, data, point, covariance, units):
    names = curve.evaluation.free(params)
    places = data[data.attrs["x"]].values
    starts = [{}, *_elsewhere(names, point, covariance, places)]
    problem = curve.problem(model, params, data, units=units, starts=starts)
    best = problem.optimum
    size = len(best.theta)
    low, high = (
        np.array([getattr(params[name], side) for name in problem.free]) for side in ("min", "max")
    )

    def log_density(theta):
        deviance = problem.score(problem.curve(theta))[0]
        inside = np.all((theta >= low) & (theta <= high), axis=-1)
        return np.where(inside, -problem.log_ratio(deviance, best.rss), -np.inf)

    if best.scale <= NO_NOISE * np.max(np.abs(problem.y)):
        raise FitError(
            "the curve goes through the data to rounding: there is no noise, and no covariance",
            residual_sd=best.scale,
        )
    noise = best.scale * (1.0 if problem.error is None else np.asarray(problem.error))

    def alike(a, b):
        off = (problem.curve(a[None]) - problem.curve(b[None])) / noise
        return bool(np.sqrt(np.mean(off**2)) < ALIKE)

    clipped = np.clip(point, low, high)
    end, _ = descend(problem.curve, problem.score, clipped[None], low, high)
    inferred = problem.inferred
    return Claim(
        names=problem.free,
        point=point,
        covariance=covariance,
        log_density=log_density,
        lower=low,
        upper=high,
        problem=problem,
        routes=("laplace", Route(population, "mle+mcmc")),
        theta=lambda draws: problem.theta(draws)[..., :size],
        mode=best.theta,
        spread=best.covariance * best.scale**2,
        ends=np.vstack([end, best.points]),
        alike=alike,
        curvature=len(problem.y) / best.dof if inferred else 1.0,
        chi_square=best.rss / best.dof,
        dof=best.dof,
        inferred=inferred,
        units=[(units or {}).get(name, "1") for name in problem.free],
    )


def _elsewhere(names, point, covariance, x):
    """Starts far from the point, one parameter moved at a time: for an optimum that nobody saw.

    By up to a thousand of its sds, by factors, and to places along x, where a peak may stand: not
    what is smaller than any place, as an amplitude of 1e-20 is, whose descent would not come back.
    """
    with np.errstate(invalid="ignore"):
        sd = np.sqrt(np.abs(np.diag(covariance)))
    sd = np.where(np.isfinite(sd) & (sd > 0), sd, np.maximum(np.abs(point), 1.0))
    for name, value, width in zip(names, point, sd, strict=True):
        moved = [value + side * step * width for step in MOVES for side in (-1.0, 1.0)]
        moved += [value * factor for factor in FACTORS]
        if max(abs(value), width) > SMALLEST_PLACE * np.ptp(x):
            moved += list(np.linspace(x.min(), x.max(), PLACES))
        yield from ({name: float(each)} for each in moved)
