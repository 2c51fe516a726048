"""Curves: y = f(x; θ) + ε with any lmfit Model as f, and independent normal noise ε.

lmfit finds the optimum. ``method="laplace"`` takes the posterior for the normal that curvature and
noise define there, ``method="emcee"`` samples the posterior itself. The noise is either known point
by point (``error``) or one standard deviation that is inferred with the rest.

``fit`` is the entry. ``definition`` states the model in PyMC; ``evaluation`` lets lmfit's functions
take arrays, ``optimum`` is least squares, ``problem`` the density, ``routes`` draw from it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models import noise as measurement
from bayesinf.models.curve import routes
from bayesinf.models.curve.definition import definition
from bayesinf.models.curve.evaluation import Curve, evaluate
from bayesinf.models.curve.problem import NOISE, Problem
from bayesinf.priors import Prior
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import lmfit
    import xarray as xr

__all__ = ["NOISE", "Curve", "Problem", "definition", "evaluate", "fit"]

METHODS = {"laplace": (routes.laplace, "laplace"), "emcee": (routes.emcee, "ensemble")}


def fit(
    model: lmfit.Model,
    params: lmfit.Parameters,
    x: np.ndarray,
    y: np.ndarray,
    error: np.ndarray | None = None,
    method: str = "laplace",
    *,
    priors: Mapping[str, Prior] | None = None,
    starts: Sequence[Mapping[str, float]] = ({},),
    ordered: Sequence[Sequence[str]] = (),
    stacked: Mapping[str, tuple[str, Sequence[str]]] | None = None,
    units: Mapping[str, str] | None = None,
    reference: xr.Dataset | None = None,
    system: str = "curve",
    attrs: Mapping[str, object] | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer the free parameters of a curve, and those tied to them.

        y_i ~ N(f(x_i; θ), error_i² or noise²),   θ ~ priors

    Laplace: θ | noise ~ N(θ̂, noise² (JᵀJ)⁻¹) and noise ~ inverse-χ(ν, s), s² = RSS/ν, ν = n − k;
    with error bars θ ~ N(θ̂, (JᵀWJ)⁻¹). For a linear f and flat priors this is the posterior.

    Parameters
    ----------
    model, params : of lmfit; ``vary``, ``min``, ``max`` and ``expr`` are respected.
    x, y : (point,), arrays or DataArrays; they are sorted by x.
    error : (point,) or one number, sd of the noise where it is known; else ``noise`` is inferred.
    method : "laplace" or "emcee".
    priors : name of a free parameter, or "noise", to its prior. Default: flat between lmfit's
        bounds, an open side being closed 100 standard errors from the optimum; noise flat in its
        logarithm from 1e-6 to 10 times the range of y.
    starts : where lmfit begins, each on top of the values in ``params``; the best end is used.
    ordered : components that could change places, each as the names of its parameters; the first
        of these, whose priors must be equal, are kept ascending.
    stacked : posterior variable to (its dimension, the parameters that it holds).
    units : of posterior variables; else "1". Those of x and y come with them, as DataArrays.
    reference : joins ``constant_data``.
    system, attrs : for the provenance.

    Returns
    -------
    InferenceData. ``sample_stats`` holds beside the evidence NAME_optimum and NAME_standard_error,
    the classical answer, with the ``correlation`` of the errors (fitted, fitted_other), the
    ``residual_sum_of_squares`` (in units of error² where that is known) and ``degrees_of_freedom``.

    Raises
    ------
    DataError : x, y or error do not fit together, are not finite, or too few.
    FitError : the data do not determine the parameters; an unknown method, prior or start.
    """
    from bayesinf.posterior import assemble, dataset

    started = time.perf_counter()
    if method not in METHODS:
        raise FitError(f"unknown method {method!r}: use one of {', '.join(METHODS)}")
    problem = Problem(model, params, x, y, error, priors=priors, starts=starts, ordered=ordered,
                      settings=settings)  # fmt: skip
    sample, inference = METHODS[method]
    draws, evidence = sample(problem, settings)
    data, best = problem.data, problem.optimum
    of_y = {"y": data["y"].units}
    units = {NOISE: of_y["y"]} | dict(units or {})

    def label(values, units=units, **kwargs):
        values, dims, coords = _stack(values, stacked or {})
        return dataset(values, dims, coords, units, **kwargs)

    def parameters(theta):
        columns = {name: theta[..., i] for i, name in enumerate(problem.names)}
        return label(problem.curve.tied(theta) | columns)

    at_prior = problem.sample_prior(settings.generator("prior"), settings.prior_draws)
    # A prior draw may lie where the curve is not a number of this world; the picture leaves it out.
    with np.errstate(all="ignore"):
        prior, replicas = parameters(at_prior), problem.curve(at_prior)
        z = settings.generator("prior predictive").standard_normal(replicas.shape)
        replicas = replicas + problem.noise(at_prior) * z
    groups = measurement.predictive_groups(
        problem.y,
        problem.curve(draws),
        draws[..., -1] if problem.inferred else problem.error,
        settings.generator("replicas"),
        dim="point",
        units=of_y["y"],
        discrepancies=measurement.RESIDUALS
        | {"residual memory": measurement.residual_memory}
        | ({} if problem.inferred else {"chi-square": measurement.chi_square}),
    )
    stats = groups["sample_stats"].merge(evidence)
    for suffix, values in problem.classical().items():
        found = label(values, sampled=False)
        stats.update(found.rename({name: f"{name}_{suffix}" for name in found.data_vars}))
    stats.update(
        dataset(
            {
                "residual_sum_of_squares": best.rss,
                "degrees_of_freedom": best.dof,
                "correlation": best.correlation,
            },
            {"correlation": ("fitted", "fitted_other")},
            {"fitted": problem.free, "fitted_other": problem.free},
            sampled=False,
        )
    )
    constants = data.drop_vars("y")
    groups |= {
        "sample_stats": stats,
        "posterior": parameters(draws),
        "log_prior": label(problem.log_priors(draws), units={}),
        "prior": prior,
        "prior_predictive": dataset({"y": replicas}, {"y": ("point",)}, None, of_y),
        "observed_data": data[["y"]],
        "constant_data": constants if reference is None else constants.merge(reference),
    }
    return assemble(
        groups,
        system=system,
        model=model.name,
        inference=inference,
        settings=settings,
        data=data,
        started=started,
        attrs={"priors": json.dumps({k: str(v) for k, v in problem.priors.items()})}
        | dict(attrs or {}),
    )


def _stack(values, stacked):
    """Gather the parameters of like components into one variable each, with dims and coords."""
    arrays, dims, gathered, coords = dict(values), {}, {}, {}
    for name, (dim, parts) in stacked.items():
        if all(part in arrays for part in parts):
            gathered[name] = np.stack([arrays.pop(part) for part in parts], axis=-1)
            dims[name], coords[dim] = (dim,), np.arange(1, len(parts) + 1)
    return gathered | arrays, dims, coords
