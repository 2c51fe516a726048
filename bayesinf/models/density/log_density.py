"""A log density of the user's, in NumPy: functions of named numbers, and a prior for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import scipy

from bayesinf.errors import DataError, FitError
from bayesinf.models.density import routes
from bayesinf.models.density.definition import Density
from bayesinf.models.problem import Draws, Labels, Route
from bayesinf.posterior import dataset
from bayesinf.priors import Normal, Prior

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["LogDensity", "Target"]

STEP = 1e-5  # of differences, in unconstrained coordinates


@dataclass(frozen=True)
class LogDensity:
    """A log density of named parameters: a prior for each, and a likelihood.

        log p(θ) = Σ_k log prior_k(θ_k) + log likelihood(θ)

    All functions take the parameters by name: ``log_likelihood(slope=2.0, noise=0.1)``. Where
    ``vectorised``, each comes as an array (point,), results lead with that axis, and one call
    serves all points.

    Parameters
    ----------
    priors : parameter to its prior, of ``bayesinf.priors``.
    log_likelihood : parameters to a number, without the priors; None for the sum of ``pointwise``.
    bounds : parameter to (low, high), within the support of its prior, which is cut there.
    gradient : parameters to the derivatives of ``log_likelihood`` in the order of ``priors``,
        (parameter,), where vectorised (point, parameter); None takes differences.
    pointwise : parameters to the log likelihood of each observation, in the shape of the data; a
        mapping, variable to array, where there are several variables.
    replicate : (generator, parameters) to data like those observed, as ``pointwise``.
    observed : the data: an array, variable to array, or a Dataset.
    observing : variable to array to the ``LogDensity`` of these data in place of those observed,
        for calibration.
    starts : (generator, count) to parameter to values, (count,), from which the optimum is sought;
        None for draws from the priors.
    vectorised : whether the functions take arrays.
    """

    priors: Mapping[str, Prior]
    log_likelihood: Callable | None = None
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    gradient: Callable | None = None
    pointwise: Callable | None = None
    replicate: Callable | None = None
    observed: object = None
    observing: Callable | None = None
    starts: Callable | None = None
    vectorised: bool = False

    def __post_init__(self):
        if not self.priors:
            raise DataError("no parameters", where="priors", expected="parameter to its prior")
        if self.log_likelihood is None and self.pointwise is None:
            raise DataError("no likelihood", expected="log_likelihood or pointwise")
        if self.observed is None and (self.replicate is not None or self.pointwise is not None):
            raise DataError("no data", where="observed", expected="what is replicated or observed")
        for name, (low, high) in self.bounds.items():
            if name not in self.priors or not low < high:
                raise DataError(
                    "no such bounds",
                    where="bounds",
                    expected=f"low < high of one of {', '.join(self.priors)}",
                    found=f"{name}: {low} to {high}",
                )


class Target(Density):
    """A ``LogDensity`` as a problem.

    Parameters
    ----------
    stated : what the user states.
    name : of it.
    units : variable to unit.
    """

    routes: Mapping[str, Route] = {
        "laplace": Route(routes.laplace, "laplace"),
        "ensemble": Route(routes.walkers, "ensemble"),
        "population": Route(routes.chains, "mle+mcmc"),
    }

    def __init__(self, stated: LogDensity, name: str | None = None, units: Mapping[str, str] = {}):
        self.stated = stated
        self.model = name or "log density"
        self.variables = self.coordinates = list(stated.priors)
        self.spans = {k: _Span.of(p, stated.bounds.get(k)) for k, p in stated.priors.items()}
        self.priors = {k: self.spans[k].said(p) for k, p in stated.priors.items()}
        self.parameters = Labels(units=units)
        self.observed = _data(stated.observed)
        for variable in self.observed.data_vars:
            self.observed[variable].attrs["units"] = units.get(variable, "1")
        self.constants = dataset({}, sampled=False)
        dims = {k: v.dims for k, v in self.observed.data_vars.items()}
        self.data = Labels(dims, dict(self.observed.coords), units)
        self.unasked = {}
        if stated.replicate is None:
            self.unasked["predictive check"] = "the model has no function that replicates the data"
        if stated.pointwise is None:
            self.unasked["leave-one-out"] = "the likelihood is not given observation by observation"

    def sample_prior(self, rng: np.random.Generator, size: int) -> Draws:
        """Draw the parameters from their priors, within the bounds."""
        return {k: self.spans[k].sample(p, rng, size) for k, p in self.stated.priors.items()}

    def log_factors(self, draws: Draws) -> Draws:
        """Log prior density of each parameter, normalised within its bounds."""
        return {
            k: self.spans[k].log_density(p, np.asarray(draws[k]))
            for k, p in self.stated.priors.items()
        }

    def log_likelihood(self, draws: Draws) -> Draws:
        """Pointwise log likelihood; the whole as one number where that is all there is."""
        if self.stated.pointwise is None:
            return {"log_likelihood": self._likelihood(draws)}
        return self._by_variable(self.stated.pointwise, draws, "pointwise")

    def replicate(self, draws: Draws, rng: np.random.Generator) -> Draws:
        """Draw data like those observed."""
        if self.stated.replicate is None:
            return {}

        def drawn(**values):
            return self.stated.replicate(rng, **values)

        return self._by_variable(drawn, draws, "replicate")

    def observing(self, data: Draws) -> Target:
        """Return the same density of other data, where the user states it."""
        if self.stated.observing is None:
            raise FitError(
                f"the model {self.model} cannot be stated of other data: give its LogDensity "
                "observing=, a function from data to the LogDensity of these"
            )
        return Target(self.stated.observing(dict(data)), self.model, self.parameters.units)

    # --- unconstrained coordinates ----------------------------------------------------------------

    def starts(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draws from the priors, or where the user has the search begin."""
        draws = (self.stated.starts or self.sample_prior)(rng, count)
        return np.stack([self.spans[k].to_real(draws[k]) for k in self.variables], axis=1)

    def at(self, points: np.ndarray) -> Draws:
        """Values of the parameters."""
        return {k: self.spans[k].to_value(points[..., i]) for i, k in enumerate(self.variables)}

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Log density at many points; what is not a number is no density."""
        with np.errstate(all="ignore"):
            values = self._log_prior(points).sum(axis=-1) + self._likelihood(self.at(points))
        return np.where(np.isnan(values), -np.inf, values)

    def value_and_gradient(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density and its gradient, by differences where none is given."""
        steps = STEP * np.maximum(1.0, np.abs(point))
        around = np.stack([point, *(point + np.diag(steps)), *(point - np.diag(steps))])
        if self.stated.gradient is None:
            values = self.log_density(around)
            up, down = np.split(values[1:], 2)
            return float(values[0]), (up - down) / (2 * steps)
        value, spans = float(self.log_density(point[np.newaxis])[0]), self.spans.values()
        up, down = self._log_prior(np.stack([point + steps, point - steps]))
        slopes = self._called(self.stated.gradient, self.at(point[np.newaxis]))[0]
        stretch = np.exp([span.log_slope(x) for span, x in zip(spans, point, strict=True)])
        return value, (up - down) / (2 * steps) + np.asarray(slopes) * stretch

    def _log_prior(self, points):
        """Log prior density of the coordinates, (..., coordinate), each with its Jacobian."""
        values, columns = self.at(points), []
        for i, (k, prior) in enumerate(self.stated.priors.items()):
            density = self.spans[k].log_density(prior, values[k])
            columns.append(density + self.spans[k].log_slope(points[..., i]))
        return np.stack(columns, axis=-1)

    # --- the user's functions ---------------------------------------------------------------------

    def _likelihood(self, draws):
        """Log likelihood, with the axes of the draws."""
        lead = np.shape(draws[self.variables[0]])
        if self.stated.log_likelihood is not None:
            values = self._called(self.stated.log_likelihood, draws)
            if values.size != np.prod(lead):
                raise DataError(
                    "no log likelihood",
                    where="log_likelihood",
                    expected="a number for each point",
                    found=f"an array of shape {values.shape[1:]}",
                )
            return values.reshape(lead)
        found = self._by_variable(self.stated.pointwise, draws, "pointwise")
        return sum(values.reshape(*lead, -1).sum(axis=-1) for values in found.values())

    def _called(self, function, draws):
        """Values of a function at all draws, their axes flattened into the first."""
        flat = {k: np.ravel(draws[k]) for k in self.variables}
        if self.stated.vectorised:
            found = function(**flat)
            return found if isinstance(found, Mapping) else np.asarray(found, dtype=float)
        points = [
            function(**dict(zip(flat, map(float, p), strict=True)))
            for p in zip(*flat.values(), strict=True)
        ]
        if isinstance(points[0], Mapping):
            return {k: np.stack([np.asarray(p[k]) for p in points]) for k in points[0]}
        return np.stack([np.asarray(p, dtype=float) for p in points])

    def _by_variable(self, function, draws, where):
        """What a function says of each observed variable, with the axes of the draws."""
        lead = np.shape(draws[self.variables[0]])
        found = self._called(function, draws)
        found = found if isinstance(found, Mapping) else {next(iter(self.observed)): found}
        shaped = {k: np.reshape(v, (*lead, *np.shape(v)[1:])) for k, v in found.items()}
        for name, values in shaped.items():
            own = values.shape[len(lead) :]
            expected = self.observed[name].shape if name in self.observed else "no such data"
            if own != expected:
                raise DataError(
                    f"{name} has another shape than the data",
                    where=where,
                    expected=expected,
                    found=own,
                )
        return shaped


@dataclass(frozen=True)
class _Span:
    """Where a parameter may be, and its unconstrained coordinate x.

    Unbounded: θ = centre + width x; bounded on one side: by exp(x); on both: by 1 / (1 + exp(−x)).
    """

    low: float
    high: float
    centre: float = 0.0
    width: float = 1.0
    shares: tuple[float, float] = (0.0, 1.0)  # of the prior below low, and below high

    @classmethod
    def of(cls, prior, bounds):
        low, high = prior.support
        if bounds is None:
            unbounded = (prior.mean, prior.sd) if isinstance(prior, Normal) else ()
            return cls(low, high, *unbounded)
        inside = max(low, bounds[0]), min(high, bounds[1])
        shares = tuple(_share_below(prior, end, (low, high)) for end in inside)
        if not shares[0] < shares[1]:
            raise DataError(
                "the bounds leave nothing of the prior",
                where="bounds",
                expected=prior,
                found=bounds,
            )
        return cls(*inside, shares=shares)

    def said(self, prior):
        """The prior in words."""
        cut = f" within {self.low:.4g} to {self.high:.4g}" if self.shares != (0.0, 1.0) else ""
        return f"{prior}{cut}"

    def sample(self, prior, rng, size):
        if self.shares == (0.0, 1.0):
            return prior.sample(rng, size)
        drawn = prior.from_normal(scipy.special.ndtri(rng.uniform(*self.shares, size)))
        return np.clip(drawn, self.low, self.high)

    def log_density(self, prior, value):
        inside = (value >= self.low) & (value <= self.high)
        with np.errstate(all="ignore"):
            density = prior.log_density(value) - np.log(self.shares[1] - self.shares[0])
        return np.where(inside, density, -np.inf)

    def to_value(self, x):
        with np.errstate(over="ignore"):
            if np.isfinite(self.low) and np.isfinite(self.high):
                return self.low + (self.high - self.low) * scipy.special.expit(x)
            if np.isfinite(self.low):
                return self.low + np.exp(x)
            if np.isfinite(self.high):
                return self.high - np.exp(-x)
        return self.centre + self.width * x

    def to_real(self, value):
        with np.errstate(divide="ignore"):
            if np.isfinite(self.low) and np.isfinite(self.high):
                return scipy.special.logit((value - self.low) / (self.high - self.low))
            if np.isfinite(self.low):
                return np.log(value - self.low)
            if np.isfinite(self.high):
                return -np.log(self.high - value)
        return (value - self.centre) / self.width

    def log_slope(self, x):
        """log dθ/dx."""
        if np.isfinite(self.low) and np.isfinite(self.high):
            return (
                np.log(self.high - self.low)
                + scipy.special.log_expit(x)
                + scipy.special.log_expit(-x)
            )
        if np.isfinite(self.low):
            return x
        if np.isfinite(self.high):
            return -x
        return np.full(np.shape(x), np.log(self.width))


def _share_below(prior, value, support):
    """Prior probability below a value, by bisection of the map from a standard normal."""
    if value <= support[0] or value >= support[1]:
        return float(value >= support[1])
    low, high = -38.0, 38.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if prior.from_normal(middle) < value else (low, middle)
    return float(scipy.special.ndtr(low))


def _data(observed) -> xr.Dataset:
    """The observed data as a Dataset."""
    import xarray as xr

    if isinstance(observed, xr.Dataset):
        return observed.copy()
    given = {} if observed is None else observed
    given = given if isinstance(given, Mapping) else {"y": given}
    return xr.Dataset(
        {
            name: value
            if isinstance(value, xr.DataArray)
            else ([f"{name}_dim_{k}" for k in range(np.ndim(value))], np.asarray(value))
            for name, value in given.items()
        }
    )
