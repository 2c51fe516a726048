"""The curve family, defined: data about f(x; θ), any lmfit Model, with normal noise or another.

A ``NonlinearRegression`` holds what is fitted and answers all that a ``Problem`` is asked; its
``pymc`` is the model. Inside this package a point θ is an array (..., parameter): the free
parameters in lmfit's order and then those of the likelihood, the noise first where it is inferred,
all of which are positive. To the outside draws bear the names of the posterior, where like
parameters are stacked along a dimension and tied ones follow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import axes
from bayesinf.diagnostics import Neighbours
from bayesinf.errors import DataError, FitError
from bayesinf.inference.kinds import Question
from bayesinf.models.curve.evaluation import Curve
from bayesinf.models.curve.least_squares import LeastSquares, least_squares
from bayesinf.models.curve.maximum import Maximum, maximum_likelihood
from bayesinf.models.likelihoods import NOISE, NORMAL, Likelihood, Normal, likelihood_of
from bayesinf.models.noise import Discrepancy, Measured, Spread, asked
from bayesinf.models.problem import Draws, Labels, Route
from bayesinf.posterior import dataset
from bayesinf.priors import Prior, Uniform

if TYPE_CHECKING:
    import lmfit
    import pymc as pm
    import xarray as xr

__all__ = ["NOISE", "NonlinearRegression", "problem"]


@dataclass(frozen=True, eq=False)
class NonlinearRegression(Measured):
    """A curve, its data and the priors of its parameters.

    Parameters
    ----------
    curve : f(x; θ), with what of θ is free, fixed and tied.
    points : x, and error bars where there are some, as of ``bayesinf.data.curve``.
    y : data, (point,).
    noise : its sd, a number or a prior; None for the default prior, or where there are error bars.
    given : free parameter to its prior; the others are flat.
    unstated : which edges of those priors are a default's, as in ``problem``.
    starts : where the descents to the optimum begin, besides independent ones.
    search : "starts", or "global" for differential evolution before the descents.
    ordered : components that could change places, each as the names of its parameters.
    stacked : posterior variable to its dimension and, by label along it, the parameters it holds.
    units : posterior variable to unit.
    attrs : further root attributes of a fit.
    likelihood : how the data scatter about the curve.
    """

    curve: Curve
    points: xr.Dataset
    y: np.ndarray
    noise: float | Prior | None = None
    given: Mapping[str, Prior] = field(default_factory=dict)
    starts: Sequence[Mapping[str, float]] = ({},)
    search: str = "starts"
    ordered: Sequence[Sequence[str]] = ()
    stacked: Mapping[str, tuple[str, Mapping[object, str]]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    attrs: Mapping[str, object] = field(default_factory=dict)
    likelihood: Likelihood = NORMAL
    unstated: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)

    family = "curve"
    questions = (
        Question(
            "box",
            "box_shift",
            "max",
            0.1,
            "≤",
            True,
            "a default box half as wide moves {name} by {value:.2g} sd",
            "the box decides what nobody stated: give a prior, or bounds, for it",
        ),
        Question(
            "stated box",
            "stated_shift",
            "max",
            0.1,
            "≤",
            False,
            "edges that were stated, moved halfway in, move {name} by {value:.2g} sd",
            "be ready to defend these edges, since the answer hangs on them",
        ),
    )

    @property
    def model(self) -> str:
        """What lmfit calls the model."""
        return self.curve.model.name

    @cached_property
    def error(self) -> np.ndarray | float | None:
        """Sd of the noise where it is known, (point,) or one number for all points."""
        if not self.likelihood.noisy:
            return None
        if "error" in self.points:
            return self.points["error"].values
        return float(self.noise) if isinstance(self.noise, int | float) else None

    @property
    def inferred(self) -> bool:
        """Whether the noise is inferred."""
        return self.likelihood.noisy and self.error is None

    @property
    def free(self) -> list[str]:
        """Names of the free parameters, in lmfit's order."""
        return self.curve.free

    @property
    def scattering(self) -> list[str]:
        """Names of what is inferred of the scatter about the curve, all positive."""
        return [NOISE] * self.inferred + list(self.likelihood.own)

    def called(self, names: Sequence[str], between: str = ", ") -> str:
        """List parameters by the names that their elements have in the posterior."""
        stacks = self.stacked.items()
        own = {part: f"{name}[{k}]" for name, (_, held) in stacks for k, part in held.items()}
        return between.join(own.get(name, name) for name in names)

    @property
    def names(self) -> list[str]:
        """Names along the last axis of θ."""
        return self.free + self.scattering

    # What things are called

    @property
    def parameters(self) -> Labels:
        """Labels of the parameters, as ``stacked`` and ``units`` say."""
        of_x, of_y = (self.points[self.points.attrs[role]].units for role in ("x", "y"))
        scatter = {NOISE: of_y, "noise_gain": of_y, "noise_length": of_x}
        return Labels(
            {name: (dim,) for name, (dim, _) in self.stacked.items()},
            {dim: list(parts) for dim, parts in self.stacked.values()},
            scatter | dict(self.units),
        )

    @property
    def data(self) -> Labels:
        """Labels of the data: the user's names, with x as a coordinate."""
        x, y, _ = axes(self.points)
        return Labels({y.name: ("point",)}, {x.name: x.variable}, {y.name: y.attrs["units"]})

    @property
    def observed(self) -> xr.Dataset:
        """The data."""
        x, y, _ = axes(self.points)
        found = self.points.set_coords(x.name)[[y.name]].drop_attrs(deep=False)
        return found.assign({y.name: y.copy(data=self.y)})

    @property
    def constants(self) -> xr.Dataset:
        """X, and error bars where there are some."""
        return self.points.drop_vars(self.points.attrs["y"]).drop_attrs(deep=False)

    @property
    def priors(self) -> dict[str, str]:
        """Every prior in words, one for all stacked parameters that share it."""
        words, stacks = {name: str(prior) for name, prior in self.prior.items()}, {}
        for name, (_, parts) in self.stacked.items():
            stated = {label: part for label, part in parts.items() if part in words}
            own = {f"{name}[{label}]": words.pop(part) for label, part in stated.items()}
            if len(set(own.values())) == 1:
                own = {name: next(iter(own.values()))}
            stacks |= own
        known = {name: f"{value:.6g} (fixed)" for name, value in self.fixed.items()}
        return stacks | words | known

    @property
    def fixed(self) -> dict[str, float]:
        """What the caller has fixed."""
        known = {NOISE: self.error} if isinstance(self.error, float) else {}
        params = self.curve.params.items()
        return {n: p.value for n, p in params if not p.vary and p.expr is None} | known

    @property
    def discrepancies(self) -> dict[str, Discrepancy]:
        """Statistics of the residuals; of their size where that is known."""
        x, _, _ = axes(self.points)
        return asked(Neighbours.along(x.values), known=not self.scattering)

    @property
    def routes(self) -> dict[str, Route]:
        """The quadratic approximation, and an ensemble of walkers."""
        from bayesinf.models.curve import routes

        return {
            "laplace": Route(routes.laplace, "resampled" if self.is_normal else "laplace"),
            "emcee": Route(routes.emcee, "ensemble"),
        }

    # Points θ inside, draws by name outside

    def draws(self, theta: np.ndarray) -> Draws:
        """Name the parameters of points, (..., parameter), and those that are tied to them."""
        with np.errstate(all="ignore"):  # a draw from the prior may be no number of this world
            tied = self.curve.tied(theta)
        return self._stacked(tied | {name: theta[..., i] for i, name in enumerate(self.names)})

    def _stacked(self, loose):
        """Arrays by lmfit's names as arrays by the posterior's."""
        loose, found = dict(loose), {}
        for name, (_, parts) in self.stacked.items():
            if all(part in loose for part in parts.values()):
                found[name] = np.stack([loose.pop(part) for part in parts.values()], axis=-1)
        return found | loose

    def theta(self, draws: Draws) -> np.ndarray:
        """Return draws as points, (..., parameter)."""
        loose = dict(draws)
        for name, (_, parts) in self.stacked.items():
            if name in draws:
                loose |= zip(parts.values(), np.moveaxis(draws[name], -1, 0), strict=True)
        return np.stack(np.broadcast_arrays(*(loose[name] for name in self.names)), axis=-1)

    # What a descent asks: see ``inference.scoring``

    def score(self, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return deviance (...), residuals and weights (..., point) of a mean, (..., point).

        Of normal noise: the deviance is −2 log likelihood, up to a constant, where the noise is
        known, and the sum of squares where it is inferred; inf where it is no number.
        """
        weight = np.ones_like(mean) if self.error is None else 1 / (self.error + 0 * mean)
        with np.errstate(all="ignore"):
            residual = (self.y - mean) * weight
            deviance = np.sum(residual**2, axis=-1)
        finite = np.isfinite(deviance)
        residual, weight = (np.where(finite[..., None], a, 0.0) for a in (residual, weight))
        return np.where(finite, deviance, np.inf), residual, weight

    def log_ratio(self, deviance: np.ndarray, best: float) -> np.ndarray:
        """Log density by which points of a deviance, (...), lie below one of the ``best``.

        Noise that is inferred, flat in its logarithm, is integrated out: n/2 log RSS.
        """
        if not (self.inferred and self.is_normal):
            return (deviance - best) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            found = len(self.y) / 2 * np.log(deviance / best)
        return np.where(deviance == best, 0.0, found)

    # Densities and draws

    @cached_property
    def optimum(self) -> LeastSquares:
        """Least squares; maximum likelihood where the data scatter in another way."""
        return least_squares(self) if self.is_normal else maximum_likelihood(self)

    @property
    def is_normal(self) -> bool:
        """Whether the noise is normal, independent and of a known shape, so that squares count."""
        return type(self.likelihood) is Normal

    @cached_property
    def prior(self) -> dict[str, Prior]:
        """Prior of all that is inferred, by lmfit's names, the defaults filled in."""
        found = {name: self.given.get(name) or self._flat(i) for i, name in enumerate(self.free)}
        if self.inferred:
            found[NOISE] = self.noise or self.likelihood.noise_prior(float(np.ptp(self.y)))
        return found | dict(self.likelihood.own)

    def _flat(self, i):
        """Flat between lmfit's bounds; an open side ends 100 standard errors from the optimum."""
        p, best = self.curve.params[self.free[i]], self.optimum
        reach = 100 * best.standard_error[i]
        lower = p.min if np.isfinite(p.min) else float(best.theta[i] - reach)
        upper = p.max if np.isfinite(p.max) else float(best.theta[i] + reach)
        return Uniform(lower, upper)

    @property
    def keys(self) -> list[str]:
        """The parameters that are kept ascending, the first of each ordered component."""
        return [component[0] for component in self.ordered]

    @property
    def _columns(self):
        return [self.free.index(name) for name in self.keys]

    @property
    def _log_orders(self):
        """By this, log N!, keeping one order of N raises the density of these."""
        return np.sum(np.log(np.arange(1, len(self.keys) + 1)))

    def pymc(self) -> pm.Model:
        """Define the model in PyMC.

        The curve is lmfit's own expression in PyTensor. Where that has no PyTensor form (the Voigt
        profile's error function of a complex number), the NumPy function stands in, without
        gradients. Parameters that are stacked and share a prior are one variable.
        """
        import pymc as pm
        import pytensor.tensor as pt

        with pm.Model() as model:
            theta = {}
            for name, (_, parts) in self.stacked.items():
                shared = {self.prior.get(part) for part in parts.values()}
                if len(shared) == 1 and None not in shared:
                    stack = shared.pop().pymc(name, shape=len(parts))
                    theta |= {part: stack[i] for i, part in enumerate(parts.values())}
            theta |= {n: prior.pymc(n) for n, prior in self.prior.items() if n not in theta}
            by_name = {name: theta[name] for name in self.free}
            try:
                mean = self.curve.symbolic(by_name)
            except Exception:  # whatever a function does that was never meant for symbols
                from pytensor.compile.ops import wrap_py

                pointwise = wrap_py([pt.dvector], [pt.dvector])(self.curve.__call__)
                mean = pointwise(pt.stack(list(by_name.values())))
            scatter = theta if self.inferred else theta | {NOISE: self.error}
            self.likelihood.pymc(self.measured, mean, scatter, self.y)
            if len(self.keys) > 1:
                values = pt.stack([theta[name] for name in self.keys])
                ascending = pt.all(values[1:] > values[:-1])
                pm.Potential("order", pt.switch(ascending, self._log_orders, -np.inf))
        return model

    def sample_prior(self, rng: np.random.Generator, size: int) -> Draws:
        """Draw all parameters from the prior, (size, ...)."""
        theta = np.stack([prior.sample(rng, size) for prior in self.prior.values()], axis=-1)
        theta[:, self._columns] = np.sort(theta[:, self._columns], axis=-1)
        return self.draws(theta)

    def log_factors(self, draws: Draws) -> Draws:
        """Log density of each factor of the prior at each draw."""
        factors, found = self._log_priors(self.theta(draws)), {}
        for name, (_, parts) in self.stacked.items():
            own = [factors.pop(part) for part in parts.values() if part in factors]
            found |= {name: sum(own)} if own else {}
        return found | factors

    def log_prior(self, theta: np.ndarray) -> np.ndarray:
        """Log density of the prior at points, normalised: (..., parameter) -> (...)."""
        return sum(self._log_priors(theta).values())

    def _log_priors(self, theta):
        factors = enumerate(self.prior.items())
        terms = {name: prior.log_density(theta[..., i]) for i, (name, prior) in factors}
        if len(self.keys) > 1:
            ascend = np.all(np.diff(theta[..., self._columns]) > 0, axis=-1)
            terms["order"] = np.where(ascend, self._log_orders, -np.inf)
        return terms

    def mean(self, draws: Draws) -> np.ndarray:
        """Mean of y, f(x; θ), (..., point)."""
        return self.curve(self.theta(draws))

    def noise_sd(self, draws: Draws) -> np.ndarray:
        """Standard deviation of the noise, (..., 1) or (point,)."""
        return draws[NOISE][..., np.newaxis] if self.inferred else np.asarray(self.error)

    def goodness(self, spread: Spread) -> dict[str, float]:
        """Return χ² at the optimum and ν = n − k, as every fitting program prints them.

        Of counts it is Pearson's. Where the data say themselves how they scatter, other than by one
        width, it would say nothing, and there is none.
        """
        if list(self.likelihood.own):
            return {}
        best = self.optimum
        name = "residual_sum_of_squares" if self.inferred else "chi_square"
        return {"observations": len(self.y), "degrees_of_freedom": best.dof, name: best.rss}

    def scatter(self, draws: Draws) -> Draws:
        """Parameters of the scatter, (..., 1), and the noise where it is known."""
        known = {} if self.error is None else {NOISE: np.asarray(self.error)}
        return known | {name: np.asarray(draws[name])[..., None] for name in self.scattering}

    def log_likelihoods(self, theta: np.ndarray) -> np.ndarray:
        """Log likelihood at points: (..., parameter) -> (...), -inf where there is none."""
        named = {name: theta[..., i] for i, name in enumerate(self.names)}
        with np.errstate(all="ignore"):
            terms = self.likelihood.log_density(self.y, self.curve(theta), self.scatter(named))
            total = np.sum(terms, axis=-1)
        return np.where(np.isfinite(total), total, -np.inf)

    def log_density(self, theta: np.ndarray) -> np.ndarray:
        """Log of likelihood times prior at points, normalised: (..., parameter) -> (...)."""
        with np.errstate(all="ignore"):
            total = self.log_likelihoods(theta) + self.log_prior(theta)
        return np.where(np.isfinite(total), total, -np.inf)

    def sorted(self, theta: np.ndarray) -> np.ndarray:
        """Exchange whole components of one point so that their keys ascend."""
        places = [[self.free.index(name) for name in component] for component in self.ordered]
        result = theta.copy()
        by_key = sorted(places, key=lambda place: theta[place[0]])
        for place, source in zip(places, by_key, strict=True):
            result[place] = theta[source]
        return result

    def notes(self) -> Mapping[str, xr.Dataset]:
        """The classical answer travels beside every fit."""
        return {"classical": self.classical()}

    def classical(self) -> xr.Dataset:
        """Return the classical answer: least squares, as every fitting program prints it.

        Returns
        -------
        a Dataset over the posterior's names with NAME at the optimum and NAME_error, its standard
        error (by propagation where it is tied); the ``correlation`` of the errors (fitted,
        fitted_other), the ``residual_sum_of_squares``, in units of error² where that is known, and
        the ``degrees_of_freedom``.
        """
        import xarray as xr

        best, curve = self.optimum, self.curve
        optimum = dict(zip(self.free, best.theta, strict=True))
        errors = dict(zip(self.free, best.standard_error, strict=True))
        if isinstance(best, Maximum):
            optimum, errors = optimum | best.scatter, errors | best.scatter_error
        elif self.inferred:
            optimum[NOISE], errors[NOISE] = best.scale, best.scale / np.sqrt(2 * best.dof)
        shifts = 1e-3 * best.scale * np.linalg.cholesky(best.covariance).T
        with np.errstate(all="ignore"):
            optimum |= curve.tied(best.theta)
            up, down = (curve.tied(best.theta + side * shifts) for side in (1, -1))
        errors |= {name: np.linalg.norm((up[name] - down[name]) / 2e-3) for name in up}
        found, error = (
            self.parameters.group(self._stacked(one), sampled=False) for one in (optimum, errors)
        )
        whole = {
            "correlation": best.correlation,
            "residual_sum_of_squares": best.rss,
            "degrees_of_freedom": best.dof,
        }
        dims = ("fitted", "fitted_other")
        whole = dataset(whole, {"correlation": dims}, dict.fromkeys(dims, self.free), sampled=False)
        return xr.merge([found, error.rename({n: f"{n}_error" for n in error.data_vars}), whole])


def problem(
    model: lmfit.Model,
    params: lmfit.Parameters,
    data: xr.Dataset,
    *,
    noise: float | Prior | None = None,
    priors: Mapping[str, Prior] | None = None,
    starts: Sequence[Mapping[str, float]] = ({},),
    search: str = "starts",
    ordered: Sequence[Sequence[str]] = (),
    stacked: Mapping[str, tuple[str, Sequence[str] | Mapping[object, str]]] | None = None,
    units: Mapping[str, str] | None = None,
    attrs: Mapping[str, object] | None = None,
    likelihood: str | Likelihood = "normal",
    unstated: Mapping[str, tuple[bool, bool]] | None = None,
) -> NonlinearRegression:
    """State what is inferred from a curve.

        y_i ~ N(f(x_i; θ), error_i² or noise²),   θ ~ priors

    Parameters
    ----------
    model, params : of lmfit; ``vary``, ``min``, ``max`` and ``expr`` are respected.
    data : x, y and, where the noise is known point by point, ``error``, as of
        ``bayesinf.data.curve`` or ``curve_from_arrays``; their names and units label the result.
    noise : sd of the noise, a number or a prior; by default flat in its logarithm from 1e-6 to 10
        times the range of y. None where there are error bars.
    priors : name of a free parameter to its prior. By default flat between lmfit's bounds, an open
        side being closed 100 standard errors from the optimum.
    starts : where descents begin, each on top of the values in ``params``; as many independent
        starts join them, and the best end is used.
    search : "global" lets differential evolution look for the optimum first; "starts" does not.
    ordered : components that could change places, each as the names of its parameters; the first
        of these, whose priors must be equal, are kept ascending.
    stacked : posterior variable to (its dimension, the parameters that it holds); these are
        labelled 1, 2, ... along it, or by the keys of a mapping.
    units : posterior variable to unit, else "1"; the noise has that of y.
    attrs : further root attributes of a fit.
    likelihood : how the data scatter about the curve, one of ``likelihoods.LIKELIHOODS`` by name,
        or with priors of the caller's.
    unstated : parameter with a flat prior to whether its lower and its upper edge are a default's
        and nobody's knowledge: a check asks whether such an edge decides the answer.

    Raises
    ------
    DataError : no more points than parameters, y all equal, a noise that cannot be, data that are
        no counts.
    FitError : a prior, start or place of something that is not free; ordered priors that differ;
        an unknown likelihood.
    """
    x, y, error = axes(data)
    points = data[[one.name for one in (x, y, error) if one is not None]]
    parts = {
        name: (dim, held if isinstance(held, Mapping) else dict(enumerate(held, 1)))
        for name, (dim, held) in (stacked or {}).items()
    }
    chosen = likelihood_of(likelihood, x.values.astype(float), y.values.astype(float))
    stated = NonlinearRegression(
        Curve(model, params, x.values.astype(float)),
        points,
        y.values.astype(float),
        noise,
        dict(priors or {}),
        tuple(starts),
        search,
        tuple(ordered),
        parts,
        dict(units or {}),
        {"likelihood": str(chosen), **_kept(parts, chosen), **(attrs or {})},
        chosen,
        dict(unstated or {}),
    )
    _refuse(stated)
    return stated


def _kept(stacked, likelihood):
    """Root attributes without which a file could not be predicted from."""
    unit = getattr(likelihood, "unit", 1.0)
    names = {name: (dim, list(held.values())) for name, (dim, held) in stacked.items()}
    said = {"stacked": json.dumps(names)} if names else {}
    return said if unit == 1.0 else said | {"unit": float(unit)}


def _refuse(stated):
    """Raise DataError or FitError where the parts do not go together."""
    known, count = isinstance(stated.noise, int | float), len(stated.names)
    if stated.search not in ("starts", "global"):
        raise FitError(f"unknown search {stated.search!r}: use 'starts' or 'global'")
    if len(stated.y) <= count:
        raise DataError(
            f"{len(stated.y)} points cannot determine {count} parameters",
            source=stated.points.attrs.get("source"),
            expected=f"at least {count + 1} rows for {stated.called(stated.names)}",
            found=f"{len(stated.y)} rows",
            remedy="measure more points, or fit a simpler curve",
        )
    if stated.noise is not None and not stated.likelihood.noisy:
        raise DataError(
            f"a {stated.likelihood.name} likelihood has no noise",
            expected="no argument 'noise'",
            found=stated.noise,
        )
    if NOISE in stated.curve.params:
        raise FitError(f"a parameter may not be called {NOISE!r}: rename it in the lmfit model")
    if stated.noise is not None and "error" in stated.points:
        raise DataError(
            "the noise is known twice over",
            expected="error bars, or a noise",
            found=f"error bars and noise = {stated.noise}",
            remedy="leave one of them out",
        )
    if known and not stated.noise > 0:
        raise DataError(f"the noise is fixed at {stated.noise}", expected="a number above zero")
    for word, names in (
        ("prior", stated.given),
        *(("start", start) for start in stated.starts),
        *(("place", component) for component in stated.ordered),
    ):
        for name in names:
            if name not in stated.free:
                hint = f"; that of the noise is the argument {NOISE!r}" * (name == NOISE)
                raise FitError(
                    f"a {word} is given for {name!r}, which is not a free parameter: these are "
                    f"{', '.join(stated.free)}{hint}"
                )
    if np.ptp(stated.y) == 0:
        called = stated.points[stated.measured].attrs.get("long_name", stated.measured)
        raise DataError(
            "y does not vary",
            source=stated.points.attrs.get("source"),
            where=f"column {called}",
            expected="a curve",
            found=f"{stated.y[0]:g} in every row",
            remedy="choose another column for y",
        )
    if len({stated.prior[name] for name in stated.keys}) > 1:
        raise FitError(f"{', '.join(stated.keys)} are ordered, so they need one and the same prior")
