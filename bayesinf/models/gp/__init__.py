"""Gaussian processes: y = m(x) + f(x) + ε with f ~ GP(0, k), and all hyperparameters inferred.

``fit`` is the entry and ``predict`` reads curves, slopes and new data from what it returns.
``kernels`` are the covariance functions, ``means`` the prior means; ``regression`` is the density
of one process on one data set, ``definition`` the same in PyMC, ``routes`` draw from it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models import noise as measurement
from bayesinf.models.gp import kernels
from bayesinf.models.gp.definition import definition
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
from bayesinf.models.gp.regression import NOISE, Regression
from bayesinf.models.gp.routes import ROUTES
from bayesinf.priors import Prior
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["KERNELS", "MEANS", "NOISE", "Exponential", "Function", "Matern32", "Matern52",
           "Periodic", "RationalQuadratic", "Regression", "Repulsive", "SquaredExponential", "Zero",
           "definition", "fit", "log_marginal_likelihood", "predict", "rebuild",
           "thinned"]  # fmt: skip

# Statistics of the leave-one-out residuals, which are standardised already.
DISCREPANCIES = measurement.RESIDUALS | {"residual memory": measurement.residual_memory}


def fit(
    x: np.ndarray,
    y: np.ndarray,
    error: np.ndarray | None = None,
    *,
    kernel: str | Kernel = "squared_exponential",
    mean: str | Callable | Mean = "zero",
    method: str = "mcmc",
    noise: Prior | float | None = None,
    priors: Mapping[str, Prior] | None = None,
    units: Mapping[str, str] | None = None,
    reference: xr.Dataset | None = None,
    system: str = "gp",
    attrs: Mapping[str, object] | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer the hyperparameters of a Gaussian process from data on one coordinate.

        y_i = m(x_i) + f(x_i) + ε_i,  f ~ GP(0, k),  ε_i ~ N(0, error_i² + noise²),  θ ~ priors

    The curve f is integrated out, so θ is what is sampled; ``predict`` brings f back.

    Parameters
    ----------
    x, y : (point,), arrays or DataArrays, which keep their units; x may repeat. They are sorted.
    error : (point,) or one number, the sd of what is known of the noise.
    kernel : ``exponential``, ``squared_exponential``, ``matern32``, ``matern52``,
        ``rational_quadratic``, ``periodic``, or sums and products of the classes of those names.
    mean : ``zero``, ``repulsive``, or a function of x whose further arguments, with priors or
        numbers as defaults, are parameters as well.
    method : ``mcmc`` (population Monte Carlo), ``laplace``, or ``nuts`` (PyMC).
    noise : sd of the noise beyond ``error``: a prior, a number, or None for the default prior.
    priors : name of a parameter to its prior; else wide ones around the extent of the data.
    units : of parameters of the mean, where that is a function.
    reference : joins ``constant_data``.
    system, attrs : for the provenance.
    settings : length and seed.

    Returns
    -------
    InferenceData with ``length_scale``, ``amplitude``, ``noise`` and the mean's parameters.
    ``log_likelihood`` holds log p(y_i | y_1, ..., y_{i−1}, θ), which add up to the marginal
    likelihood, and as ``y_marginal`` log p(y_i | y_{−i}, θ), from which leave-one-out follows.
    ``posterior_predictive`` holds, point by point, new data at x.

    Raises
    ------
    DataError : x, y or error do not fit together, are not finite, or too few.
    FitError : an unknown kernel, mean, method or parameter; no density anywhere.

    References
    ----------
    Rasmussen & Williams, Gaussian Processes for Machine Learning, MIT Press (2006).
    """
    from threadpoolctl import threadpool_limits

    from bayesinf.posterior import assemble, dataset

    started = time.perf_counter()
    if method not in ROUTES:
        raise FitError(f"unknown method {method!r}: use one of {', '.join(ROUTES)}")
    problem = Regression(x, y, kernel, mean, error, noise=noise, priors=priors,
                         workers=settings.workers)  # fmt: skip
    if not problem.names:
        raise FitError("nothing is left to infer: all parameters are fixed")
    route, inference = ROUTES[method]
    # One BLAS thread: on matrices of this size threads that wait for each other cost more than
    # they bring, and on large ones several matrices are worked on side by side.
    with threadpool_limits(1):
        theta, evidence = route(problem, settings)
        shape = np.shape(theta[NOISE])
        flat = {name: np.ravel(value) for name, value in theta.items()}
        left_out = problem.left_out(flat, settings.generator("replicas"))
        prior, expected = _prior(problem, settings)
    data, of = problem.data, _units(problem, units or {})
    of_y = {"y": of["y"], "y_marginal": "1"}
    z = settings.generator("posterior predictive").standard_normal(left_out.mean.shape)
    by_draw = lambda array: array.reshape(*shape, *array.shape[1:])

    def pointwise(arrays, units=None):
        dims = dict.fromkeys(arrays, ("point",))
        return dataset({name: by_draw(a) for name, a in arrays.items()}, dims, None, units)

    judge = lambda values: np.stack([t(values, 0.0, 1.0) for t in DISCREPANCIES.values()], axis=-1)
    stats = dataset(
        {"discrepancy": by_draw(judge(left_out.replica)),
         "discrepancy_observed": by_draw(judge(left_out.residual)),
         "jitter": by_draw(left_out.jitter)},
        dict.fromkeys(("discrepancy", "discrepancy_observed"), ("statistic",)),
        {"statistic": list(DISCREPANCIES)},
    )  # fmt: skip
    stats = stats.merge(evidence)
    for name in set(problem.names) & {str(n).removesuffix("_optimum") for n in stats.data_vars}:
        stats[f"{name}_optimum"].attrs["units"] = of[name]
    free = {name: theta[name] for name in problem.names}
    constants = data.drop_vars("y").merge(dataset(
        {name: np.float64(v) for name, v in problem.fixed.items()}, None, None, of, sampled=False
    ))  # fmt: skip
    groups = {
        "posterior": dataset(free, None, None, of),
        "sample_stats": stats,
        "posterior_predictive": pointwise({"y": left_out.mean + left_out.sd * z}, of_y),
        "log_likelihood": pointwise(
            {"y": left_out.log_conditional, "y_marginal": left_out.log_density}
        ),
        "log_prior": dataset(problem.log_priors(theta)),
        "prior": dataset({n: prior[n][None] for n in problem.names}, None, None, of),
        "prior_predictive": dataset({"y": expected[None]}, {"y": ("point",)}, None, of_y),
        "observed_data": data[["y"]],
        "constant_data": constants if reference is None else constants.merge(reference),
    }
    return assemble(
        groups,
        system=system,
        model=f"{problem.mean.name} mean",
        inference=inference,
        settings=settings,
        data=data,
        started=started,
        attrs={
            "kernel": json.dumps(kernels.to_dict(problem.kernel)),
            "mean": problem.mean.name,
            "fixed": json.dumps(list(problem.fixed)),
            "priors": json.dumps({name: str(prior) for name, prior in problem.priors.items()}),
        }
        | dict(attrs or {}),
    )


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
    problem = Regression(x, y, kernel, mean, error)
    given = {NOISE: 0.0} | problem.fixed | hyperparameters
    needed = {*problem.names, *problem.fixed}
    if set(given) != needed:
        raise FitError(f"hyperparameters needed are {', '.join(sorted(needed))}, not "
                       f"{', '.join(sorted(given))}")  # fmt: skip
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
    a Dataset over chain, draw and ``new``, with coordinate ``x``: ``mean`` and ``sd`` of the curve
    at the hyperparameters of each draw, ``curve`` and (where asked) ``slope``, drawn jointly over
    all x, and ``y``, curve plus noise (without errors of measurement, which new data do not state).

    Raises
    ------
    FitError : the mean is missing; a slope of a process whose paths have none.
    """
    from threadpoolctl import threadpool_limits

    from bayesinf.posterior import dataset

    x = np.atleast_1d(np.asarray(x, dtype=float))
    problem = rebuild(posterior, mean)
    if slope and not problem.kernel.smooth:
        raise FitError("the paths of an exponential kernel have no slope anywhere: use "
                       "squared_exponential, matern32 or matern52")  # fmt: skip
    chosen = thinned(posterior, most)
    shape = (chosen.sizes["chain"], chosen.sizes["draw"])
    theta = {n: np.broadcast_to(value.values, shape).ravel() for n, value in chosen.items()}
    seed = posterior.attrs["seed"] if settings is None else settings.seed
    rng = Settings(seed=int(seed)).generator("predictions")
    size = len(x) * (2 if slope else 1)
    step = max(1, 2**21 // (len(problem.x) + size) ** 2)
    means, sds, curves = [], [], []
    with threadpool_limits(1):
        for start in range(0, len(theta[NOISE]), step):
            part = {name: value[start : start + step] for name, value in theta.items()}
            centre, root, _ = problem.conditional(part, x, slope)
            means.append(centre)
            sds.append(np.linalg.norm(root, axis=-1))
            curves.append(centre + np.einsum("nij,nj->ni", root, rng.standard_normal(centre.shape)))
    by_draw = lambda parts: np.concatenate(parts).reshape(*shape, size)
    mean_, sd, curve = by_draw(means), by_draw(sds), by_draw(curves)
    values = slice(0, len(x))
    noise = theta[NOISE].reshape(*shape, 1) * rng.standard_normal((*shape, len(x)))
    arrays = {"mean": mean_[..., values], "sd": sd[..., values], "curve": curve[..., values],
              "y": curve[..., values] + noise}  # fmt: skip
    if slope:
        arrays |= {"slope": curve[..., len(x) :], "slope_mean": mean_[..., len(x) :],
                   "slope_sd": sd[..., len(x) :]}  # fmt: skip
    of_x, of_y = problem.data["x"].units, problem.data["y"].units
    units = {n: ratio(of_y, of_x) if n.startswith("slope") else of_y for n in arrays}
    coords = {"x": ("new", x, {"units": of_x})} | {dim: chosen[dim] for dim in ("chain", "draw")}
    return dataset(arrays, dict.fromkeys(arrays, ("new",)), coords, units)


def rebuild(posterior: xr.DataTree, mean: Callable | Mean | None = None) -> Regression:
    """Return the process and the data of a posterior; ``mean`` as for ``predict``."""
    named = posterior.attrs["mean"]
    if mean is None and named not in MEANS:
        raise FitError(
            f"the prior mean of this posterior is the function {named!r}, which its file cannot "
            "hold: pass it as mean="
        )
    constants = posterior["constant_data"].dataset
    return Regression(
        constants["x"],
        posterior["observed_data"]["y"],
        kernels.from_dict(json.loads(posterior.attrs["kernel"])),
        named if mean is None else mean,
        constants.get("error"),
    )


def thinned(posterior: xr.DataTree, most: int) -> xr.Dataset:
    """Take draws of all parameters evenly, at most so many; fixed ones join them."""
    draws = posterior["posterior"].dataset
    step = -(-draws.sizes["chain"] * draws.sizes["draw"] // most)
    step = min(step, draws.sizes["draw"])
    constants = posterior["constant_data"].dataset
    fixed = {name: constants[name] for name in json.loads(posterior.attrs["fixed"])}
    return draws.isel(draw=slice(step - 1, None, step)).assign(fixed)


def ratio(of_y: str, of_x: str) -> str:
    """Return the unit of y per x."""
    return of_y if of_x == "1" else f"{of_y}/{of_x}"


def _units(problem, given):
    of_x, of_y = problem.data["x"].units, problem.data["y"].units
    of = {"x": of_x, "y": of_y, "1": "1"}
    units = {name: of[kind] for name, kind in problem.kernel.measured().items()}
    units |= {"x": of_x, "y": of_y, NOISE: of_y}
    if isinstance(problem.mean, Repulsive):
        units |= {"gamma": ratio(of_y, of_x), "r0": of_x}
    return units | dict.fromkeys(problem.mean.parameters().keys() - units.keys(), "1") | dict(given)


def _prior(problem, settings):
    """Draws of θ from the prior, and the data that they expect, (draw, point)."""
    size, rng = settings.prior_draws, settings.generator("prior")
    theta = problem.theta(rng.standard_normal((size, len(problem.names))))
    z = settings.generator("prior predictive").standard_normal((size, len(problem.x)))

    def expect(part):
        with np.errstate(all="ignore"):  # a draw beyond all bounds is left out of the picture
            lower, *_ = problem.factors({k: v for k, v in part.items() if k != "z"})
            noise = np.einsum("nij,nj->ni", lower, part["z"])
            return problem.mean.value(problem.x, part) + noise

    return theta, problem.in_chunks(expect, theta | {"z": z}, size)
