"""Curves: y = f(x; θ) + ε with any lmfit Model as f, and independent normal noise ε.

lmfit finds the optimum. ``method="laplace"`` takes the posterior for the normal that curvature and
noise define there, ``method="emcee"`` samples the posterior itself. The noise is either known point
by point (``error``) or one standard deviation that is inferred with the rest.

The model is defined once, by ``definition``, in PyMC. Both that and the fast route call the user's
lmfit functions, which are written for numbers: they are re-bound so that their ``max``, ``exp`` and
the like take arrays of walkers, or PyTensor variables. A function that resists is called point by
point instead, which is right, only slower.
"""

from __future__ import annotations

import ast
import copy
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from inspect import signature
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError, FitError
from bayesinf.models import noise as measurement
from bayesinf.models.priors import InverseChi, LogUniform, Prior, Uniform
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import lmfit
    import pymc as pm
    import xarray as xr

NOISE = "noise"
WALKERS = 64  # or four times the number of parameters, if that is more
RESTARTS = 4  # besides the starts given, from 5 standard errors around the best of them
INFERENCE = {"laplace": "laplace", "emcee": "ensemble"}


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
    if method not in INFERENCE:
        raise FitError(f"unknown method {method!r}: use one of {', '.join(INFERENCE)}")
    problem = _problem(model, params, x, y, error, priors, starts, ordered, settings)
    data = problem.data
    of_y, inferred = data["y"].units, "error" not in data
    units = {NOISE: of_y} | dict(units or {})
    draws, evidence = getattr(problem, method)(settings)
    names = problem.names
    prior_draws = problem.sample_prior(settings.generator("prior"), settings.prior_draws)
    columns = lambda values: {name: values[..., i] for i, name in enumerate(names)}
    label = partial(_label, stacked=stacked or {}, units=units, dataset=dataset)
    # A prior draw may lie where the curve is not a number of this world; the picture leaves it out.
    with np.errstate(all="ignore"):
        prior_mean, prior_noise = problem.mean(prior_draws), problem.noise(prior_draws)
        replicas = prior_mean + prior_noise * settings.generator("prior predictive").normal(
            size=prior_mean.shape
        )
        prior = label(problem.derived(prior_draws) | columns(prior_draws))
    noise = problem.noise(draws)
    groups = measurement.predictive_groups(
        problem.y,
        problem.mean(draws),
        noise[..., 0] if inferred else noise,
        settings.generator("replicas"),
        dim="point",
        units=of_y,
        discrepancies=measurement.RESIDUALS
        | {"residual memory": measurement.residual_memory}
        | ({} if inferred else {"chi-square": measurement.chi_square}),
    )
    classical = problem.classical()
    groups["sample_stats"] = groups["sample_stats"].merge(evidence)
    for suffix, values in classical.items():
        found = label(values, sampled=False)
        groups["sample_stats"].update(found.rename({n: f"{n}_{suffix}" for n in found.data_vars}))
    groups["sample_stats"].update(
        dataset(
            {
                "residual_sum_of_squares": problem.rss,
                "degrees_of_freedom": problem.dof,
                "correlation": problem.correlation,
            },
            {"correlation": ("fitted", "fitted_other")},
            {"fitted": problem.free, "fitted_other": problem.free},
            sampled=False,
        )
    )
    constants = data.drop_vars("y")
    groups |= {
        "posterior": label(problem.derived(draws) | columns(draws)),
        "log_prior": label(problem.log_priors(draws)).map(_without_unit),
        "prior": prior,
        "prior_predictive": dataset({"y": replicas}, {"y": ("point",)}, None, {"y": of_y}),
        "observed_data": data[["y"]],
        "constant_data": constants if reference is None else constants.merge(reference),
    }
    return assemble(
        groups,
        system=system,
        model=model.name,
        inference=INFERENCE[method],
        settings=settings,
        data=data,
        started=started,
        attrs={"priors": json.dumps({k: str(v) for k, v in problem.priors.items()})}
        | dict(attrs or {}),
    )


def evaluate(
    model: lmfit.Model, params: lmfit.Parameters, x: np.ndarray, values: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Evaluate a model, or a component of one, for many parameters at once.

    Parameters
    ----------
    model, params : of lmfit; ``params`` gives what is fixed and what is tied.
    x : (point,).
    values : name of a free parameter to an array; f(x) is returned in their shape + (point,).
    """
    values = {name: np.asarray(value)[..., None] for name, value in values.items()}
    shape = np.broadcast_shapes(*(value.shape[:-1] for value in values.values()))
    curve = _Evaluator(model, params, _numpy_words)(x, values)
    return np.broadcast_to(curve, (*shape, len(x)))


def definition(
    model: lmfit.Model,
    params: lmfit.Parameters,
    x: np.ndarray,
    y: np.ndarray,
    error: np.ndarray | None = None,
    *,
    priors: Mapping[str, Prior] | None = None,
    ordered: Sequence[Sequence[str]] = (),
) -> pm.Model:
    """State the model in PyMC; arguments as for ``fit``.

    The curve is lmfit's own expression in PyTensor. Where that has no PyTensor form (the Voigt
    profile's error function of a complex number), the NumPy function stands in, without gradients.
    """
    import pymc as pm
    import pytensor.tensor as pt

    problem = _problem(model, params, x, y, error, priors, ({},), ordered, DEFAULT)
    with pm.Model() as result:
        variables = {name: prior.pymc(name) for name, prior in problem.priors.items()}
        theta = {name: variables[name] for name in problem.free}
        try:
            mean = _Evaluator(model, params, _pytensor_words)(problem.x, theta)
        except Exception:  # whatever a function does that was never meant for symbols
            from pytensor.compile.ops import wrap_py

            pointwise = wrap_py([pt.dvector], [pt.dvector])(problem.mean)
            mean = pointwise(pt.stack(list(theta.values())))
        sd = variables[NOISE] if error is None else problem.error
        pm.Normal("y", mean, sd, observed=problem.y)
        if len(ordered) > 1:
            values = pt.stack([variables[name] for name in problem.keys])
            ascending = pt.all(values[1:] > values[:-1])
            log_orders = np.sum(np.log(np.arange(1, len(ordered) + 1)))
            pm.Potential("order", pt.switch(ascending, log_orders, -np.inf))
    return result


def _without_unit(variable):
    return variable.assign_attrs(units="1")


def _label(values, *, stacked, units, dataset, sampled=True):
    """Gather the parameters of like components into one variable each."""
    arrays, dims, gathered, coords = dict(values), {}, {}, {}
    for name, (dim, parts) in stacked.items():
        if all(part in arrays for part in parts):
            gathered[name] = np.stack([arrays.pop(part) for part in parts], axis=-1)
            dims[name], coords[dim] = (dim,), np.arange(1, len(parts) + 1)
    return dataset(gathered | arrays, dims, coords, units, sampled=sampled)


def _problem(model, params, x, y, error, priors, starts, ordered, settings) -> Problem:
    from bayesinf.data import curve_from_arrays

    if error is not None and np.ndim(error) == 0:
        error = np.full(np.shape(y), float(error))
    free = [name for name, p in params.items() if p.vary and p.expr is None]
    data = curve_from_arrays(x, y, error, least=len(free) + 1)
    problem = Problem(
        model, params, data, dict(priors or {}), tuple(starts), tuple(ordered), settings
    )
    problem.validate()
    return problem


@dataclass(frozen=True)
class Problem:
    """One curve on one data set: its arrays, its density and its optimum.

    A point θ holds the free parameters in lmfit's order and, where it is inferred, the noise.
    """

    model: lmfit.Model
    params: lmfit.Parameters
    data: xr.Dataset
    given_priors: Mapping[str, Prior]
    starts: Sequence[Mapping[str, float]]
    ordered: Sequence[Sequence[str]]
    settings: Settings

    def validate(self):
        """Refuse what cannot be fitted, in a line each."""
        if NOISE in self.params:
            raise FitError(f"a parameter may not be called {NOISE!r}: rename it in the lmfit model")
        for word, given in (
            ("prior", self.given_priors),
            *(("start", start) for start in self.starts),
            *(("place", component) for component in self.ordered),
        ):
            for name in given:
                if name not in self.free and not (word == "prior" and name == NOISE):
                    raise FitError(
                        f"a {word} is given for {name!r}, which is not a free parameter: these are "
                        f"{', '.join(self.free)}"
                    )
        if np.ptp(self.y) == 0:
            raise DataError("y does not vary", expected="a curve", found=f"{self.y[0]} throughout")
        if len({self.priors[name] for name in self.keys}) > 1:
            raise FitError(
                f"{', '.join(self.keys)} are ordered, so they need one and the same prior"
            )

    @cached_property
    def x(self) -> np.ndarray:
        """Where the curve was measured, ascending."""
        return self.data["x"].values.astype(float)

    @cached_property
    def y(self) -> np.ndarray:
        """What was measured."""
        return self.data["y"].values.astype(float)

    @cached_property
    def error(self) -> np.ndarray | None:
        """Sd of the noise, where it is known."""
        return self.data["error"].values.astype(float) if "error" in self.data else None

    @cached_property
    def free(self) -> list[str]:
        """Names of the free parameters."""
        return [n for n, p in self.params.items() if p.vary and p.expr is None]

    @cached_property
    def names(self) -> list[str]:
        """Names of all that is inferred."""
        return self.free + ([NOISE] if self.error is None else [])

    @cached_property
    def dof(self) -> int:
        """Degrees of freedom, n − k."""
        return len(self.y) - len(self.free)

    @cached_property
    def keys(self) -> list[str]:
        """The parameters that are kept ascending."""
        return [component[0] for component in self.ordered]

    def log_order(self, theta: np.ndarray) -> np.ndarray:
        """log N! where the N keys ascend, by which order raises their joint density; else -inf."""
        values = theta[..., [self.free.index(name) for name in self.keys]]
        ascending = np.all(np.diff(values) > 0, axis=-1)
        return np.where(ascending, np.sum(np.log(np.arange(1, len(self.keys) + 1))), -np.inf)

    # The curve

    @cached_property
    def _evaluator(self) -> Callable:
        """The curve on arrays of points, if lmfit's function allows it, else None."""
        base = np.array([self.params[name].value for name in self.free])
        probes = base * (1 + 0.01 * np.array([[0.0], [1.0], [-0.7]])) + [[0.0], [1e-3], [2e-3]]
        try:
            evaluator = _Evaluator(self.model, self.params, _numpy_words)
            with np.errstate(all="ignore"):
                fast = evaluator(self.x, dict(zip(self.free, probes.T[..., None], strict=True)))
                slow = self._pointwise(probes)
            fast = np.broadcast_to(fast, slow.shape)
            return evaluator if np.allclose(fast, slow, 1e-10, 0, equal_nan=True) else None
        except Exception:  # whatever a function does that was never meant for arrays
            return None

    def _pointwise(self, theta: np.ndarray) -> np.ndarray:
        params, curves = copy.deepcopy(self.params), []
        for name in self.free:  # a value outside lmfit's bounds would be moved onto them
            params[name].set(min=-np.inf, max=np.inf)
        for point in theta.reshape(-1, theta.shape[-1]):
            for name, value in zip(self.free, point, strict=False):
                params[name].value = value
            curve = self.model.eval(params, **{self.model.independent_vars[0]: self.x})
            curves.append(np.broadcast_to(curve, self.x.shape))
        return np.reshape(curves, (*theta.shape[:-1], -1))

    def mean(self, theta: np.ndarray) -> np.ndarray:
        """f(x; θ): (..., parameter) -> (..., point)."""
        if self._evaluator is None:
            return self._pointwise(theta)
        values = {name: theta[..., i, None] for i, name in enumerate(self.free)}
        return np.broadcast_to(self._evaluator(self.x, values), (*theta.shape[:-1], len(self.x)))

    def noise(self, theta: np.ndarray) -> np.ndarray:
        """Sd of the noise, to be broadcast against the mean."""
        return theta[..., -1:] if self.error is None else self.error

    def derived(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Values of the parameters that are tied to free ones."""
        values = {name: theta[..., i] for i, name in enumerate(self.free)}
        tied = [name for name, parameter in self.params.items() if parameter.expr is not None]
        try:
            found = _Expressions(self.params, tied, _numpy_words)(values)
            return {name: np.broadcast_to(found[name], theta.shape[:-1]) for name in tied}
        except Exception:  # an expression that only takes numbers
            params, points = copy.deepcopy(self.params), theta.reshape(-1, theta.shape[-1])
            rows = []
            for point in points:
                for name, value in zip(self.free, point, strict=False):
                    params[name].value = value
                rows.append([params[name].value for name in tied])
            return dict(
                zip(tied, np.reshape(np.transpose(rows), (-1, *theta.shape[:-1])), strict=True)
            )

    # The density

    @cached_property
    def priors(self) -> dict[str, Prior]:
        """Name to prior of all that is inferred, the defaults filled in."""
        given, extent = self.given_priors, np.ptp(self.y)
        result = {name: given[name] for name in self.free if name in given}
        if len(result) < len(self.free):
            best, covariance = self.optimum, self.covariance
            errors = np.sqrt(np.diag(covariance)) * (self.s if self.error is None else 1.0)
            for name, value, sd in zip(self.free, best, errors, strict=True):
                bounds = (self.params[name].min, self.params[name].max)
                lower, upper = (
                    bound if np.isfinite(bound) else float(value + sign * 100 * sd)
                    for bound, sign in zip(bounds, (-1, 1), strict=True)
                )
                result.setdefault(name, Uniform(lower, upper))
        if self.error is None:
            result[NOISE] = given.get(NOISE, LogUniform(1e-6 * extent, 10 * extent))
        return {name: result[name] for name in self.names}

    def log_priors(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Log density of each factor of the prior."""
        terms = {
            name: prior.log_density(theta[..., i])
            for i, (name, prior) in enumerate(self.priors.items())
        }
        return terms | ({"order": self.log_order(theta)} if len(self.keys) > 1 else {})

    def log_density(self, theta: np.ndarray) -> np.ndarray:
        """Log of likelihood times prior, normalised: (..., parameter) -> (...)."""
        with np.errstate(all="ignore"):
            noise = self.noise(theta)
            z = (self.y - self.mean(theta)) / noise
            scale = np.sum(np.log(noise), axis=-1) * (1 if self.error is not None else len(self.y))
            log_likelihood = (
                -0.5 * np.einsum("...i,...i", z, z) - scale - 0.5 * len(self.y) * np.log(2 * np.pi)
            )
            total = log_likelihood + self._log_prior(theta)
        return np.where(np.isfinite(total), total, -np.inf)

    def _log_prior(self, theta):
        # Flat priors, the usual case, in one step: a call for each would cost as much as the curve.
        lower, upper, constant, others = self._flat
        inside = np.all((theta >= lower) & (theta <= upper), axis=-1)
        total = np.where(inside, constant, -np.inf)
        for i, prior in others:
            total = total + prior.log_density(theta[..., i])
        return total + self.log_order(theta) if len(self.keys) > 1 else total

    @cached_property
    def _flat(self):
        lower, upper = np.full((2, len(self.names)), np.inf) * [[-1], [1]]
        constant, others = 0.0, []
        for i, prior in enumerate(self.priors.values()):
            if isinstance(prior, Uniform):
                lower[i], upper[i] = prior.lower, prior.upper
                constant -= np.log(prior.upper - prior.lower)
            else:
                others.append((i, prior))
        return lower, upper, constant, others

    def sample_prior(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Draw points from the prior, (1, size, parameter)."""
        theta = np.stack([prior.sample(rng, size) for prior in self.priors.values()], axis=-1)
        columns = [self.free.index(name) for name in self.keys]
        theta[:, columns] = np.sort(theta[:, columns], axis=-1)
        return theta[None]

    # The optimum

    def _residual(self, theta):
        with np.errstate(all="ignore"):
            residual = self.y - self.mean(theta)
            return np.nan_to_num(
                residual if self.error is None else residual / self.error, nan=1e100
            )

    def _minimise(self, start):
        """One run of lmfit from one start: where it ends, and its sum of squares."""
        import lmfit

        at = lambda params: np.array([params[name].value for name in self.free])
        params = copy.deepcopy(self.params)

        def run():
            return at(
                lmfit.minimize(
                    lambda p: self._residual(at(p)), params, method="leastsq", calc_covar=False,
                    xtol=1e-14, ftol=1e-14, max_nfev=1000 * (1 + len(self.free)),
                ).params
            )  # fmt: skip

        for name, value in zip(self.free, start, strict=True):
            params[name].value = value
        end = run()
        priors = {name: self.given_priors[name] for name in self.free if name in self.given_priors}
        inside = [priors[n].log_density(v) > -np.inf
                  for n, v in zip(self.free, end, strict=True) if n in priors]  # fmt: skip
        if not all(inside):
            # Only an end beyond the prior is worth bending lmfit's path by the prior's bounds.
            for name, prior in priors.items():
                if hasattr(prior, "lower"):
                    margin = 1e-3 * (prior.upper - prior.lower)
                    lower, upper = (
                        max(params[name].min, prior.lower),
                        min(params[name].max, prior.upper),
                    )
                    value = np.clip(params[name].value, lower + margin, upper - margin)
                    params[name].set(value=value, min=lower, max=upper)
            end = run()
        return end, float(np.sum(self._residual(end) ** 2))

    @cached_property
    def _ends(self):
        """Where the starts led: the best point, and the sum of squares at the end of each."""
        values = {name: self.params[name].value for name in self.free}
        ends = [
            self._minimise([(values | dict(start))[name] for name in self.free])
            for start in self.starts
        ]
        best, rss = min(ends, key=lambda end: end[1])
        spread = np.linalg.cholesky(self._covariance(best))
        spread *= np.sqrt(rss / self.dof) if self.error is None else 1.0
        rng = self.settings.generator("starts")
        lower, upper = np.array([(self.params[n].min, self.params[n].max) for n in self.free]).T
        for _ in range(RESTARTS):
            start = best + 5 * spread @ rng.standard_normal(len(best))
            ends.append(self._minimise(np.where((start > lower) & (start < upper), start, best)))
        best = min(ends, key=lambda end: end[1])[0]
        return self._sorted(best), np.array([end[1] for end in ends])

    def _sorted(self, theta):
        """Exchange whole components so that their keys ascend."""
        places = [[self.free.index(name) for name in component] for component in self.ordered]
        result = theta.copy()
        for place, source in zip(places, sorted(places, key=lambda p: theta[p[0]]), strict=True):
            result[place] = theta[source]
        return result

    @cached_property
    def optimum(self) -> np.ndarray:
        """Least squares, (free parameter,)."""
        return self._ends[0]

    @cached_property
    def rss(self) -> float:
        """Residual sum of squares at the optimum, in units of error² where that is known."""
        return float(np.sum(self._residual(self.optimum) ** 2))

    @cached_property
    def s(self) -> float:
        """Residual standard deviation, √(RSS/ν)."""
        return float(np.sqrt(self.rss / self.dof))

    @cached_property
    def covariance(self) -> np.ndarray:
        """(JᵀWJ)⁻¹ at the optimum; times the noise's variance where that is inferred."""
        return self._covariance(self.optimum)

    @property
    def correlation(self) -> np.ndarray:
        """Correlation of the errors of the free parameters."""
        sd = np.sqrt(np.diag(self.covariance))
        return self.covariance / np.outer(sd, sd)

    def _covariance(self, theta):
        jacobian = self._jacobian(theta, 6e-6 * np.maximum(np.abs(theta), 1e-6))
        # Once more with steps of 1/1000 of what the noise would hide: these suit each parameter.
        lengths = np.linalg.norm(jacobian, axis=0)
        spread = np.sqrt(np.sum(self._residual(theta) ** 2) / self.dof)
        with np.errstate(divide="ignore"):
            step = 1e-3 * spread / lengths
        usable = np.isfinite(step) & (step > 1e-9 * np.abs(theta)) & (step > 0)
        jacobian = self._jacobian(
            theta, np.where(usable, step, 6e-6 * np.maximum(np.abs(theta), 1e-6))
        )
        lengths = np.linalg.norm(jacobian, axis=0)
        if not np.all(np.isfinite(lengths)) or lengths.min() == 0:
            blind = [
                n for n, v in zip(self.free, lengths, strict=True) if not (np.isfinite(v) and v > 0)
            ]
            raise FitError(f"the curve does not depend on {', '.join(blind)} at the optimum: "
                           "fix it, or start elsewhere", optimum=theta)  # fmt: skip
        _, values, rows = np.linalg.svd(jacobian / lengths, full_matrices=False)
        if values[-1] < 1e-10 * values[0]:
            worst = [n for n, v in zip(self.free, rows[-1], strict=True) if abs(v) > 0.3]
            raise FitError(f"the data do not tell {' from '.join(worst)}: fix or drop one of them",
                           optimum=theta, singular_values=values)  # fmt: skip
        root = (rows.T / values) / lengths[:, None]
        return root @ root.T

    def _jacobian(self, theta, step):
        points = theta + np.vstack([np.diag(step), -np.diag(step)])
        with np.errstate(all="ignore"):
            up, down = np.split(self.mean(points), 2)
        slope = ((up - down) / (2 * step[:, None])).T
        return slope if self.error is None else slope / self.error[:, None]

    def classical(self) -> dict[str, dict[str, np.ndarray]]:
        """Optimum and standard error, those of tied parameters by propagation."""
        best, root = self.optimum, np.linalg.cholesky(self.covariance)
        root = root * (self.s if self.error is None else 1.0)
        shifts = 1e-3 * np.vstack([root.T, -root.T])
        optimum = dict(zip(self.free, best, strict=True))
        errors = dict(zip(self.free, np.sqrt(np.sum(root**2, axis=1)), strict=True))
        if self.error is None:
            optimum[NOISE], errors[NOISE] = self.s, self.s / np.sqrt(2 * self.dof)
        with np.errstate(all="ignore"):
            optimum |= self.derived(best)
            for name, values in self.derived(best + shifts).items():
                up, down = np.split(values, 2)
                errors[name] = np.linalg.norm((up - down) / 2e-3)
        as_arrays = lambda values: {
            name: np.asarray(value, float) for name, value in values.items()
        }
        return {"optimum": as_arrays(optimum), "standard_error": as_arrays(errors)}

    # The two routes

    def _approximation(self, settings):
        from bayesinf.inference import laplace

        scale, rng = None, settings.generator("laplace")
        if self.error is None:
            scale = InverseChi(self.dof, self.s)
            if not np.isfinite(self.priors[NOISE].log_density(scale.sample(rng, 1000))).any():
                raise FitError(
                    f"the residuals' standard deviation, {self.s:.3g}, lies outside the prior of "
                    f"the noise, {self.priors[NOISE]}: state a wider prior, or error bars",
                    residual_sd=self.s,
                )
        return laplace.sample(
            self.log_density, self.optimum, self.covariance, rng,
            (settings.chains, settings.draws), scale,
        )  # fmt: skip

    def laplace(self, settings: Settings):
        """Draws of the quadratic approximation, with their evidence."""
        from bayesinf.posterior import dataset

        found = self._approximation(settings)
        rss = self._ends[1]
        # Flat in its logarithm, the noise leaves −n/2 log RSS; where it is known, −RSS/2.
        excess = len(self.y) * np.log(rss / rss.min()) if self.error is None else rss - rss.min()
        evidence = dataset(
            {
                "gradient": found.gradient,
                "hessian_eigenvalue": found.hessian_eigenvalue,
                "start_excess": excess / 2,
            },
            {"gradient": ("parameter",), "hessian_eigenvalue": ("parameter",),
             "start_excess": ("start",)},
            {"parameter": self.free},
            sampled=False,
        )  # fmt: skip
        return found.draws, evidence.merge(dataset({"log_weight": found.log_weight}))

    def emcee(self, settings: Settings):
        """Draws of the posterior by an ensemble that starts from the approximation."""
        from bayesinf.inference import ensemble
        from bayesinf.posterior import dataset

        walkers = max(WALKERS, 4 * len(self.names))
        start = self._approximation(settings.replace(chains=1, draws=walkers)).draws[0]
        inferred = self.error is None

        def log_density(point):  # in log noise, whose posterior is nearer to a normal
            if not inferred:
                return self.log_density(point)
            with np.errstate(over="ignore"):
                theta = np.column_stack([point[:, :-1], np.exp(point[:, -1])])
            return self.log_density(theta) + point[:, -1]

        if inferred:
            start[:, -1] = np.log(start[:, -1])
        kept = -(-settings.draws * settings.chains // walkers)
        found = ensemble.sample(log_density, start, settings.generator("ensemble"), kept)
        draws = found.draws.copy()
        if inferred:
            draws[..., -1] = np.exp(draws[..., -1])
        evidence = dataset(
            {"autocorrelation_time": found.autocorrelation_time, "steps": found.steps,
             "acceptance_rate": found.acceptance_rate},
            {"autocorrelation_time": ("parameter",), "acceptance_rate": ("chain",)},
            {"parameter": self.names, "chain": np.arange(walkers)},
            {"autocorrelation_time": "steps", "steps": "steps"},
            sampled=False,
        )  # fmt: skip
        return draws, evidence


# Re-binding: lmfit's functions in the language of arrays, or of PyTensor


def _numpy_words(scope):
    """What scalar built-ins become on arrays."""
    return {"max": np.maximum, "min": np.minimum, "float": np.asarray}


def _pytensor_words(scope):
    """What NumPy's functions, and NumPy itself, become on PyTensor variables."""
    import pytensor.tensor as pt
    from pytensor.graph.basic import Variable

    def either(plain, symbolic):
        # Plain numbers stay with NumPy: PyTensor takes log(2) in single precision.
        return lambda *args: (symbolic if any(isinstance(a, Variable) for a in args) else plain)(
            *args
        )

    translate = lambda names: {
        name: either(value, getattr(pt, name))
        for name, value in names.items()
        if isinstance(value, np.ufunc) and hasattr(pt, name)
    }
    words = translate(scope)
    words |= {
        name: SimpleNamespace(**(vars(np) | translate(vars(np))))
        for name, value in scope.items()
        if value is np
    }
    return words | {
        "max": either(np.maximum, pt.maximum),
        "min": either(np.minimum, pt.minimum),
        "float": either(float, pt.as_tensor),
    }


def _rebound(function, words):
    """The same code, with other meanings of the names that it looks up in its module."""
    if not isinstance(function, FunctionType):
        return function
    scope = {**function.__globals__, **words(function.__globals__)}

    def bind(f):
        bound = FunctionType(f.__code__, scope, f.__name__, f.__defaults__, f.__closure__)
        bound.__kwdefaults__ = f.__kwdefaults__
        return bound

    for name, value in function.__globals__.items():  # its neighbours, which it may call
        if isinstance(value, FunctionType) and value.__module__ == function.__module__:
            scope[name] = bind(value)
    return bind(function)


class _Expressions:
    """Tied parameters from free ones, in asteval, the language of lmfit's ``expr``."""

    def __init__(self, params, wanted, words):
        # lmfit keeps its interpreter, with the user's own symbols in it, under a private name.
        self.interpreter = copy.deepcopy(params)._asteval
        self.interpreter.symtable.update(words(self.interpreter.symtable))
        self.trees, self.wanted = {}, wanted
        for name in wanted:
            self._add(name, params)

    def _add(self, name, params):
        if name not in params or params[name].expr is None or name in self.trees:
            return
        tree = ast.parse(params[name].expr, mode="eval")
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                self._add(node.id, params)
        self.trees[name] = self.interpreter.parse(params[name].expr)  # after what it rests on

    def __call__(self, values):
        values = dict(values)
        self.interpreter.symtable.update(values)
        for name, tree in self.trees.items():
            value = self.interpreter.run(tree, with_raise=True)
            self.interpreter.symtable[name] = values[name] = value
        return values


class _Evaluator:
    """f(x; θ) of an lmfit model, composite or not, with θ as arrays or as PyTensor variables."""

    def __init__(self, model, params, words):
        self.fixed = {n: p.value for n, p in params.items() if not p.vary and p.expr is None}
        self.needed = []
        self.curve = self._compile(model, params, words)
        self.tied = _Expressions(params, self.needed, words)

    def _compile(self, model, params, words):
        if hasattr(model, "left"):
            left, right = (self._compile(m, params, words) for m in (model.left, model.right))
            return lambda x, values: model.op(left(x, values), right(x, values))
        function, independent = _rebound(model.func, words), model.independent_vars[0]
        # model.param_names counts what lmfit reports besides (fwhm), and leaves out what has no
        # number for a default (a Voigt profile's gamma): the function knows better what it takes.
        known = signature(model.func).parameters.values()
        takes = [p.name for p in known if p.kind is not p.VAR_KEYWORD]
        if len(takes) < len(known):
            takes += [name.removeprefix(model.prefix) for name in model.param_names]
        arguments = {k: model.prefix + k for k in takes if model.prefix + k in params}
        self.needed += arguments.values()
        return lambda x, values: function(
            **model.opts, **{independent: x}, **{k: values[n] for k, n in arguments.items()}
        )

    def __call__(self, x, theta):
        return self.curve(x, self.tied(self.fixed | dict(theta)))
