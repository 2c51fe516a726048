"""The family, defined: y = m(x) + f(x) + ε with f ~ GP(0, k), on one data set.

    y_i = m(x_i) + f(x_i) + ε_i,   f ~ GP(0, k),   ε_i ~ N(0, error_i² + noise²)

so that y ~ N(m, K), K = k(x, x) + diag(error² + noise²): the curve is integrated out, and the
hyperparameters θ are what a ``Process`` infers. The kernel may measure distances in a coordinate
c(x), and the curve's size may fall off as a power of x (``coordinates``). What it is called and
what it is in PyMC stands here, its numbers in ``marginal``; ``field`` is the same of several inputs
and of slopes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.diagnostics import Neighbours
from bayesinf.errors import DataError, FitError
from bayesinf.inference.kinds import Question
from bayesinf.models import noise as measurement
from bayesinf.models.gp import jumps, kernels
from bayesinf.models.gp.cholesky import diagonal, log_conditional
from bayesinf.models.gp.coordinates import (
    COORDINATES,
    Coordinate,
    Envelope,
    Shape,
    Weights,
)
from bayesinf.models.gp.kernels import Kernel
from bayesinf.models.gp.marginal import Marginal
from bayesinf.models.gp.means import CONSTANT, Mean
from bayesinf.models.gp.outlook import REPLICAS, look, stretches
from bayesinf.models.gp.questions import JUMP
from bayesinf.models.gp.routes import ROUTES, Optima, optima
from bayesinf.models.gp.signal import SIZE, Signal
from bayesinf.models.problem import Draws, Labels, Outlook, Route
from bayesinf.priors import Normal, Prior
from bayesinf.settings import Settings

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

__all__ = ["NOISE", "Process", "ratio", "unsymbolic"]

NOISE = "noise"


@dataclass(frozen=True)
class Process(Marginal):
    """A Gaussian process and the data that it is conditioned on; ``process`` states one.

    Parameters
    ----------
    x, y : data, (point,), sorted by x.
    error : sd of what is known of the noise, (point,), or None.
    kernel, mean : covariance of the curve, and its prior mean.
    inferred : name of a hyperparameter to its prior.
    fixed : name of a hyperparameter to its value.
    x_name, y_name : what they are called in the result.
    attributes : name of a variable of the data to its attributes.
    given : units of parameters of the mean, where that is a function.
    workers : threads for large matrices.
    coordinate : in which the kernel measures distances.
    envelope : how the curve's size falls off with x, or None.
    growth : how the noise grows along x or with the signal, or None.
    exact : whether all of the noise stands for rounding, which the data do not have.
    """

    x: np.ndarray
    y: np.ndarray
    error: np.ndarray | None
    kernel: Kernel
    mean: Mean
    inferred: Mapping[str, Prior]
    fixed: Mapping[str, float] = field(default_factory=dict)
    x_name: str = "x"
    y_name: str = "y"
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    workers: int | None = None
    coordinate: Coordinate = COORDINATES["x"]
    envelope: Envelope | None = None
    growth: Shape | None = None
    exact: bool = False

    family = "gp"
    power = 3  # with which the cost of one likelihood grows with the number of data

    @property
    def order(self) -> Neighbours | None:
        """Which data are neighbours; None where they have no order."""
        return Neighbours.along(self.x)

    @property
    def discrepancies(self) -> dict[str, measurement.Discrepancy]:
        """Statistics of the leave-one-out residuals, standardised, and of what the others say.

        Where all of the noise is stated, how large they are is asked as well.
        """
        known = all(name in self.fixed for name in self.noises)
        return measurement.asked(self.order, known=known)

    # What things are called

    @property
    def noises(self) -> list[str]:
        """The noise of each variable of the data."""
        return [NOISE]

    @property
    def equation(self) -> str:
        """The model, in LaTeX."""
        noise = r"\sigma^2" if self.growth is None else rf"\sigma^2 {self.growth.square}"
        return (
            r"y_i = m(x_i) + f(x_i) + \varepsilon_i,\quad f \sim \mathrm{GP}(0, k),\quad "
            rf"\varepsilon_i \sim N(0, e_i^2 + {noise})"
        )

    @property
    def model(self) -> str:
        """The prior mean, where the curve is stationary, and what its noise grows with."""
        said = f"{self.mean.name} mean"
        said += "" if self.coordinate.name == "x" else f", coordinate {self.coordinate.name}"
        said += "" if self.envelope is None else ", size a power of x"
        return said + ("" if self.growth is None else f", noise that grows {self.growth.said}")

    def memory(self, settings: Settings) -> float:
        """Beside what draws take, the covariance with its factor and its slopes."""
        return super().memory(settings) + 8.0 * (len(self.names) + 3) * len(self.y) ** 2

    @property
    def routes(self) -> dict[str, Route]:
        """Population Monte Carlo, Laplace and NUTS, where anything is left to infer."""
        if not self.inferred:
            raise FitError("nothing is left to infer: all parameters are fixed")
        return ROUTES

    @property
    def parameters(self) -> Labels:
        """Labels of the hyperparameters."""
        of_x, of_y = self.unit(self.x_name), self.unit(self.y_name)
        of = {"x": self.coordinate.unit_of(of_x), "y": of_y, "1": "1"}
        units = {name: of[kind] for name, kind in self.kernel.measured().items()} | {NOISE: of_y}
        of |= {"x": of_x, "y/x": ratio(of_y, of_x)}
        units |= {name: of[kind] for name, kind in self.mean.measured().items()}
        return Labels(units=units | dict(self.given))

    @property
    def data(self) -> Labels:
        """Labels of y, with x as a coordinate."""
        (x,) = self._variables({self.x_name: self.x}).data_vars.values()
        units = {self.y_name: self.unit(self.y_name)}
        return Labels({self.y_name: ("point",)}, {self.x_name: x.variable}, units)

    @property
    def pointwise(self) -> Labels:
        """Labels of the log likelihood: of each datum, or of stretches where there are many."""
        if stretches(len(self.y)) is None:
            return self.data
        return Labels({self.y_name: ("stretch",)})

    def prior_predictive(self, draws: Draws, settings: Settings) -> Draws:
        """Draw data from draws of the prior, of many data for some of them."""
        few = max(1, int(REPLICAS // (4 * len(self.y))))
        some = {name: value[:few] for name, value in draws.items()}
        return super().prior_predictive(some, settings)

    @property
    def observed(self) -> xr.Dataset:
        """y, with x as a coordinate."""
        found = self._variables({self.x_name: self.x, self.y_name: self.y})
        return found.set_coords(self.x_name)

    @property
    def constants(self) -> xr.Dataset:
        """x and, where they are known, the errors; attributes say which variable is which."""
        known = {} if self.error is None else {"error": self.error}
        roles = {"x": self.x_name, "y": self.y_name} | {name: name for name in known}
        known |= {SIZE: self.growth.size} if isinstance(self.growth, Signal) else {}
        return self._variables({self.x_name: self.x} | known).assign_attrs(roles)

    @property
    def priors(self) -> dict[str, str]:
        """Every prior in words."""
        numbers = {name: np.atleast_1d(value) for name, value in self.fixed.items()}
        fixed = {n: f"{', '.join(f'{v:.4g}' for v in one)} (fixed)" for n, one in numbers.items()}
        return {name: str(prior) for name, prior in self.inferred.items()} | fixed

    @property
    def attrs(self) -> dict[str, str]:
        """What ``rebuild`` needs besides the data."""
        return {
            "kernel": json.dumps(kernels.to_dict(self.kernel)),
            "mean": self.mean.name,
            "coordinate": self.coordinate.name,
            **({} if self.envelope is None else {"envelope": self.envelope.origin}),
            **({} if self.growth is None else {"noise": self.growth.word}),
            "fixed": json.dumps(list(self.fixed)),
        }

    def unit(self, name: str) -> str:
        """Return the unit of x, y or the error, by its name."""
        return self.attributes.get(name, {}).get("units", "1")

    def _variables(self, arrays):
        import xarray as xr

        attributes = {name: {"units": "1"} | dict(self.attributes.get(name, {})) for name in arrays}
        return xr.Dataset({n: ("point", a, attributes[n]) for n, a in arrays.items()})

    # The model

    def pymc(self) -> pm.Model:
        """Define the model in PyMC, as a ``gp.Marginal`` without jitter.

        PyMC measures distances as √(d² + 1e-12), which kernels with a kink at zero can feel.
        """
        import pymc as pm
        import pytensor.tensor as pt

        problem = self

        class PriorMean(pm.gp.mean.Mean):
            def __init__(self, theta):
                self.theta = theta

            def __call__(self, X):
                return problem.mean.pymc(problem.x, self.theta)

        with pm.Model() as model:
            theta = {name: prior.pymc(name) for name, prior in self.inferred.items()}
            theta |= {name: np.float64(value) for name, value in self.fixed.items()}
            try:
                mean = PriorMean(theta)
                pt.as_tensor_variable(mean(None))
            except Exception as error:  # whatever a function does that was never meant for symbols
                raise unsymbolic(self.mean, error) from error
            growth = 1.0 if self.growth is None else self.growth.pymc(self.x, theta)
            sd = pt.sqrt((theta[NOISE] * growth) ** 2 + self.variance)
            noise = pm.gp.cov.WhiteNoise(sd)
            covariance = self.kernel.pymc(theta)
            if self.envelope is not None:
                size = self.envelope.pymc(self.x, theta)
                covariance = pm.gp.cov.ScaledCov(1, covariance, lambda X: size[:, None])
            marginal = pm.gp.Marginal(mean_func=mean, cov_func=covariance)
            X = self.measured[:, None]
            marginal.marginal_likelihood(self.y_name, X=X, y=self.y, sigma=noise, jitter=0.0)
        return model

    def sample_prior(self, rng: np.random.Generator, size: int) -> Draws:
        """Draw the hyperparameters from their priors, (size,)."""
        theta = self.theta(rng.standard_normal((size, len(self.names))))
        return {name: theta[name] for name in self.inferred}

    def log_factors(self, draws: Draws) -> Draws:
        """Log density of each prior."""
        return {name: prior.log_density(draws[name]) for name, prior in self.inferred.items()}

    def log_likelihood(self, draws: Draws) -> Draws:
        """log p(y_i | y_1, ..., y_{i−1}), which add up to the log marginal likelihood."""

        def conditional(part):
            lower, z, _ = self.factors(part)
            return log_conditional(lower, z)

        return self.apart(self.by_draw(conditional, draws))

    def replicate(self, draws: Draws, rng: np.random.Generator) -> Draws:
        """Draw data from N(m, K): those that the priors, with no curve seen, would make."""

        def expect(part):
            lower, *_ = self.factors(part)
            noise = np.einsum("nij,nj->ni", lower, part["z"])
            return self.expected(part) + noise

        z = rng.standard_normal((*self.lead(draws), len(self.y)))
        return self.apart(self.by_draw(expect, draws, z=z))

    def apart(self, of_data: np.ndarray) -> dict[str, np.ndarray]:
        """Return what belongs to each variable of the data, of an array (..., point)."""
        return {self.y_name: of_data}

    def observing(self, data: Draws) -> Process:
        """Return the same process, priors and all, of other data."""
        return replace(self, y=np.asarray(data[self.y_name], dtype=float))

    @property
    def centred(self) -> Process:
        """The same process of y counted from where its constant is expected, for what samples it.

        Standardised parameters are the same. Of energies near −1000 whose differences are 1e-6
        nothing but those differences would be left to rounding.
        """
        prior = self.inferred.get(CONSTANT)
        if not isinstance(prior, Normal):
            return self
        inferred = {**self.inferred, CONSTANT: Normal(0.0, prior.sd)}
        return replace(self, y=self.y - prior.mean, inferred=inferred)

    @cached_property
    def _optima(self) -> dict[int, Optima]:
        """What was found already, by seed."""
        return {}

    def optima(self, settings: Settings) -> Optima:
        """Find where the posterior density is highest, once for route, checks and evidence."""
        if settings.seed not in self._optima:
            rng = settings.generator("optima")
            self._optima[settings.seed] = optima(self.centred, rng)
        return self._optima[settings.seed]

    def outlook(self, draws: Draws, settings: Settings) -> Outlook:
        """Look at each observation from all the others, and at whether there is a jump."""
        found = look(self, draws, settings)
        return replace(found, whole=self._jump(draws, settings) | dict(found.whole))

    def _jump(self, draws, settings):
        """The evidence for a jump, where one can be looked for."""
        if not jumps.possible(self):
            return {}
        found = jumps.log_evidence_for(self, draws, settings)
        return {JUMP.variable: found}

    @property
    def questions(self) -> tuple[Question, ...]:
        """Whether the curve jumps, of values of one input."""
        return (JUMP,) if jumps.possible(self) else ()

    # Mean and covariance

    @cached_property
    def measured(self) -> np.ndarray:
        """c(x), (point,)."""
        return self.coordinate.of(self.x, self.x_name)

    @cached_property
    def distances(self) -> np.ndarray:
        """c(x_i) − c(x_j), (point, point)."""
        return self.measured[:, None] - self.measured

    def part(self, seen: np.ndarray) -> Process:
        """Return the same process, priors and all, on part of the data."""
        error = None if self.error is None else self.error[seen]
        return replace(self, x=self.x[seen], y=self.y[seen], error=error)

    def expected(self, theta):
        """Prior mean of the data, (..., point) or (point,)."""
        return self.mean.value(self.x, theta)

    def noise_at(self, theta, x):
        """Sd of the noise that no error bar states at x, (..., new) or (..., 1)."""
        noise = np.asarray(theta[NOISE], dtype=float)[..., None]
        return noise if self.growth is None else noise * self.growth.value(x, theta)

    def noise_variance(self, theta):
        """error² + noise², (..., point)."""
        return self.noise_at(theta, self.x) ** 2 + self.variance

    def covariance(self, theta):
        """Covariance of the data, (..., point, point)."""
        matrix = self._curves_covariance(theta)
        noise = self.noise_variance(theta)
        matrix = np.broadcast_to(matrix, (*noise.shape, noise.shape[-1])).copy()
        diagonal(matrix)[...] += noise
        return matrix

    def _curves_covariance(self, theta):
        """Covariance of the curve at the data."""
        matrix = self.kernel.value(self.distances, theta)
        if self.envelope is None:
            return matrix
        size = self.envelope.value(self.x, theta)
        return size[..., :, None] * matrix * size[..., None, :]

    def pull(self, theta, outer, alpha):
        """½ Σ outer ∂K/∂θ + alpha ∂m/∂θ, by name of the parameter."""
        of_noise = diagonal(outer) * self.noise_at(theta, self.x) ** 2
        pulls = {NOISE: np.sum(diagonal(outer)) * theta[NOISE]}
        if self.growth is not None:
            pulls[NOISE] = np.sum(of_noise) / theta[NOISE]
            pulls[self.growth.name] = of_noise @ self.growth.along(self.x)
        on_kernel = outer
        if self.envelope is not None:
            size = self.envelope.value(self.x, theta)
            on_kernel = outer * np.multiply.outer(size, size)
            shared = np.sum(outer * self._curves_covariance(theta), axis=0)
            pulls |= {n: shared @ rate for n, rate in self.envelope.log_slopes(self.x).items()}
        for name, slope in self.kernel.slopes(self.distances, theta).items():
            pulls[name] = 0.5 * np.sum(on_kernel * slope) / theta[name]
        for name, slope in self.mean.slopes(self.x, theta, self.widths).items():
            pulls[name] = alpha @ slope
        return pulls

    def joint(self, theta, x, slope):
        """Prior of the curve at x, (new,), and of its slope there: mean, covariances."""
        c = self.coordinate.of(x, self.x_name)
        away, among = c[:, None] - self.measured, c[:, None] - c
        mean = self.mean.value(x, theta)
        here, there = (Weights.at(at, self.coordinate, self.envelope, theta) for at in (x, self.x))
        data_size = there.size[..., None, :]
        if not slope:
            size = here.size[..., :, None]
            across = size * self.kernel.value(away, theta) * data_size
            return mean, across, size * self.kernel.value(among, theta) * here.size[..., None, :]
        k, k1, _ = self.kernel.derivatives(away, theta)
        own, own1, own2 = self.kernel.derivatives(among, theta)
        return (
            np.concatenate([mean, self.mean.slope(x, theta, extent=np.ptp(self.x))], axis=-1),
            here.rows(k, k1) * data_size,
            here.columns(here.rows(own, own1), here.rows(-own1, -own2)),
        )

    def level(self, theta, x):
        """Prior of the curve at each x, (new,): mean, covariance with the data, variance."""
        mean, c = self.mean.value(x, theta), self.coordinate.of(x, self.x_name)
        variance = self.kernel.value(np.zeros((1, 1)), theta)[..., 0]
        across = self.kernel.value(c[:, None] - self.measured, theta)
        if self.envelope is None:
            return mean, across, variance
        size, of_data = (self.envelope.value(at, theta) for at in (x, self.x))
        return mean, size[..., :, None] * across * of_data[..., None, :], size**2 * variance

    # Predictions

    @property
    def coordinates(self) -> np.ndarray:
        """Where the data are, as new places are given, (point,)."""
        return self.x

    def places(self, x) -> tuple[np.ndarray, dict[str, object]]:
        """New places as ``joint`` takes them, and as coordinates of a Dataset over ``new``."""
        x = np.atleast_1d(np.asarray(x, dtype=float))
        if not np.isfinite(x).all():
            raise DataError("a place is not a finite number", expected="numbers", found="NaN or ∞")
        return x, {self.x_name: ("new", x, {"units": self.unit(self.x_name)})}

    def slopes_called(self) -> dict[str, str]:
        """What each slope of the curve is called in predictions, and its unit."""
        return {"slope": ratio(self.unit(self.y_name), self.unit(self.x_name))}


def ratio(of_y: str, of_x: str) -> str:
    """Return the unit of y per x."""
    return of_y if of_x == "1" else f"{of_y}/{of_x}"


def unsymbolic(mean: Mean, error: Exception) -> FitError:
    """Say that a mean, a function of the user's, cannot be written in PyMC's symbols."""
    return FitError(
        f"the mean {mean.name!r} has no form in PyMC ({type(error).__name__}): "
        "write it with operators and NumPy's functions, or use the method mcmc"
    )
