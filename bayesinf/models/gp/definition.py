"""The family, defined: y = m(x) + f(x) + ε with f ~ GP(0, k), on one data set.

    y_i = m(x_i) + f(x_i) + ε_i,   f ~ GP(0, k),   ε_i ~ N(0, error_i² + noise²)

so that y ~ N(m, K), K = k(x, x) + diag(error² + noise²): the curve is integrated out, and the
hyperparameters θ are what a ``Process`` infers. They live in two coordinates: θ, what they are
called and measured in, and u, in which each prior is N(0, 1); samplers walk in u. Densities are
evaluated for many θ at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import parallel
from bayesinf.data import axes
from bayesinf.diagnostics import Neighbours
from bayesinf.errors import DataError, FitError
from bayesinf.models import noise as measurement
from bayesinf.models.gp import kernels
from bayesinf.models.gp.cholesky import BORDER, cholesky, diagonal, log_conditional
from bayesinf.models.gp.kernels import Kernel
from bayesinf.models.gp.means import Mean, Repulsive
from bayesinf.models.gp.means import mean as named_mean
from bayesinf.models.gp.routes import ROUTES
from bayesinf.models.problem import Draws, Labels, Outlook, Problem, Route
from bayesinf.priors import InverseChi, LogNormal, Prior, Uniform
from bayesinf.settings import Settings

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

__all__ = ["NOISE", "LeftOut", "Process", "process", "ratio"]

NOISE = "noise"
CHUNK = 2**21  # numbers in the matrices that are factorised together
LARGE = 150  # observations from which chunks are worth a thread of their own


@dataclass(frozen=True)
class Process(Problem):
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

    family = "gp"

    @property
    def discrepancies(self) -> dict[str, measurement.Discrepancy]:
        """Statistics of the leave-one-out residuals, which are standardised, along x."""
        return measurement.asked(Neighbours.along(self.x))

    # What things are called

    @property
    def model(self) -> str:
        """The prior mean."""
        return f"{self.mean.name} mean"

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
        of = {"x": of_x, "y": of_y, "1": "1"}
        units = {name: of[kind] for name, kind in self.kernel.measured().items()} | {NOISE: of_y}
        if isinstance(self.mean, Repulsive):
            units |= {"gamma": ratio(of_y, of_x), "r0": of_x}
        return Labels(units=units | dict(self.given))

    @property
    def data(self) -> Labels:
        """Labels of y, with x as a coordinate."""
        (x,) = self._variables({self.x_name: self.x}).data_vars.values()
        units = {self.y_name: self.unit(self.y_name)}
        return Labels({self.y_name: ("point",)}, {self.x_name: x.variable}, units)

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
        return self._variables({self.x_name: self.x} | known).assign_attrs(roles)

    @property
    def priors(self) -> dict[str, str]:
        """Every prior in words."""
        fixed = {name: f"{value:.4g} (fixed)" for name, value in self.fixed.items()}
        return {name: str(prior) for name, prior in self.inferred.items()} | fixed

    @property
    def attrs(self) -> dict[str, str]:
        """What ``rebuild`` needs besides the data."""
        return {
            "kernel": json.dumps(kernels.to_dict(self.kernel)),
            "mean": self.mean.name,
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
                raise FitError(
                    f"the mean {self.mean.name!r} has no form in PyMC ({type(error).__name__}): "
                    "write it with operators and NumPy's functions, or use the method mcmc"
                ) from error
            noise = pm.gp.cov.WhiteNoise(pt.sqrt(theta[NOISE] ** 2 + self.variance))
            marginal = pm.gp.Marginal(mean_func=mean, cov_func=self.kernel.pymc(theta))
            X = self.x[:, None]
            marginal.marginal_likelihood(self.y_name, X=X, y=self.y, sigma=noise, jitter=0.0)
        return model

    def sample_prior(self, rng: np.random.Generator, size: int) -> Draws:
        """Draw the hyperparameters from their priors, (size,)."""
        theta = self.theta(rng.standard_normal((size, len(self.inferred))))
        return {name: theta[name] for name in self.inferred}

    def log_factors(self, draws: Draws) -> Draws:
        """Log density of each prior."""
        return {name: prior.log_density(draws[name]) for name, prior in self.inferred.items()}

    def log_likelihood(self, draws: Draws) -> Draws:
        """log p(y_i | y_1, ..., y_{i−1}), which add up to the log marginal likelihood."""

        def conditional(part):
            lower, z, _ = self.factors(part)
            return log_conditional(lower, z)

        return {self.y_name: self._by_draw(conditional, draws)}

    def replicate(self, draws: Draws, rng: np.random.Generator) -> Draws:
        """Draw data from N(m, K): those that the priors, with no curve seen, would make."""
        shape = np.shape(next(iter(draws.values())))

        def expect(part):
            lower, *_ = self.factors(part)
            noise = np.einsum("nij,nj->ni", lower, part["z"])
            return self.mean.value(self.x, part) + noise

        z = rng.standard_normal((*shape, len(self.x)))
        return {self.y_name: self._by_draw(expect, draws, z=z)}

    def observing(self, data: Draws) -> Process:
        """Return the same process, priors and all, of other data."""
        return replace(self, y=np.asarray(data[self.y_name], dtype=float))

    def outlook(self, draws: Draws, settings: Settings) -> Outlook:
        """Look at each observation from all the others; replicas are new data at x, one by one."""
        name, shape = self.y_name, np.shape(next(iter(draws.values())))
        theta = {key: np.ravel(value) for key, value in self.complete(draws).items()}
        left_out = self.left_out(theta, settings.generator("replicas"))
        z = settings.generator("posterior predictive").standard_normal(left_out.mean.shape)

        def by_draw(array):
            return array.reshape(*shape, *array.shape[1:])

        def judge(values):
            found = [t(values, 0.0, 1.0) for t in self.discrepancies.values()]
            return by_draw(np.stack(found, axis=-1))

        return Outlook(
            {name: by_draw(left_out.mean + left_out.sd * z)},
            {
                name: by_draw(left_out.log_conditional),
                f"{name}_marginal": by_draw(left_out.log_density),
            },
            judge(left_out.replica),
            judge(left_out.residual),
            {"jitter": by_draw(left_out.jitter)},
        )

    # Coordinates

    @property
    def names(self) -> list[str]:
        """Hyperparameters that are inferred."""
        return list(self.inferred)

    @cached_property
    def variance(self) -> np.ndarray:
        """What is known of the noise, (point,)."""
        return np.zeros_like(self.y) if self.error is None else self.error**2

    @cached_property
    def distances(self) -> np.ndarray:
        """x_i − x_j, (point, point)."""
        return self.x[:, None] - self.x

    def part(self, seen: np.ndarray) -> Process:
        """Return the same process, priors and all, on part of the data."""
        error = None if self.error is None else self.error[seen]
        return replace(self, x=self.x[seen], y=self.y[seen], error=error)

    def theta(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Parameters by name, fixed ones included, from standardised ones: (..., parameter)."""
        with np.errstate(all="ignore"):
            return self.complete(
                {
                    name: prior.from_normal(u[..., i])
                    for i, (name, prior) in enumerate(self.inferred.items())
                },
                u.shape[:-1],
            )

    def complete(self, draws: Draws, shape: tuple[int, ...] | None = None) -> dict[str, np.ndarray]:
        """Add the fixed parameters to draws of the others."""
        shape = np.shape(next(iter(draws.values()))) if shape is None else shape
        return dict(draws) | {name: np.full(shape, value) for name, value in self.fixed.items()}

    # Densities, for many θ at once

    def covariance(self, theta: Mapping[str, np.ndarray]) -> np.ndarray:
        """Covariance of the data, (..., point, point)."""
        matrix = self.kernel.value(self.distances, theta)
        noise = np.asarray(theta[NOISE], dtype=float)[..., None] ** 2 + self.variance
        matrix = np.broadcast_to(matrix, (*noise.shape, noise.shape[-1])).copy()
        diagonal(matrix)[...] += noise
        return matrix

    def factors(self, theta: Mapping[str, np.ndarray]):
        """Cholesky factor L, (..., point, point), z = L⁻¹(y − m), and the relative jitter."""
        matrix, size = self.covariance(theta), len(self.x)
        bordered = np.empty((*matrix.shape[:-2], size + 1, size + 1))
        bordered[..., :size, :size] = matrix
        bordered[..., size, :size] = self.y - self.mean.value(self.x, theta)
        bordered[..., size, size] = BORDER
        lower, jitter = cholesky(bordered, size)
        return lower[..., :size, :size], lower[..., size, :size], jitter

    def log_marginal(self, theta: Mapping[str, np.ndarray]) -> np.ndarray:
        """log N(y; m, K), for parameters of shape (...); -inf where that is no number."""
        shape = np.broadcast_shapes(*(np.shape(value) for value in theta.values()))
        flat = {name: np.broadcast_to(value, shape).ravel() for name, value in theta.items()}
        return self.in_chunks(self._log_marginal, flat, np.prod(shape, dtype=int)).reshape(shape)

    def _log_marginal(self, theta):
        with np.errstate(all="ignore"):
            lower, z, _ = self.factors(theta)
            found = np.sum(log_conditional(lower, z), axis=-1)
        return np.where(np.isfinite(found), found, -np.inf)

    def in_chunks(self, function, theta, count):
        """Apply a function to the points of θ, a memory's worth at a time, in threads if large."""
        step = max(1, CHUNK // len(self.x) ** 2)
        parts = [
            {name: value[i : i + step] for name, value in theta.items()}
            for i in range(0, count, step)
        ]
        if len(self.x) >= LARGE and len(parts) > 1:
            found = parallel.map(
                function, parts, workers=self.workers, threads=True, label="Covariances"
            )
            return np.concatenate(found)
        return np.concatenate([function(part) for part in parts])

    def _by_draw(self, function, draws, **more):
        """A function of flat parameters at draws of any shape, (..., point)."""
        shape = np.shape(next(iter(draws.values())))
        theta = {name: np.ravel(value) for name, value in self.complete(draws).items()}
        flat = {name: value.reshape(-1, value.shape[-1]) for name, value in more.items()}
        found = self.in_chunks(function, theta | flat, np.prod(shape, dtype=int))
        return found.reshape(*shape, -1)

    def log_density(self, u: np.ndarray) -> np.ndarray:
        """Log of marginal likelihood times prior in standardised coordinates, normalised."""
        prior = -0.5 * np.sum(u**2 + np.log(2 * np.pi), axis=-1)
        return self.log_marginal(self.theta(u)) + prior

    def gradient(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density and its gradient at one point, (parameter,).

        ∂ log N(y; m, K)/∂θ = ½ tr((αᵀα − K⁻¹) ∂K/∂θ) + αᵀ ∂m/∂θ,   α = K⁻¹(y − m)
        """
        from scipy.linalg import cho_solve
        from scipy.linalg.lapack import dpotri

        theta = self.theta(u)
        nowhere = -np.inf, np.zeros(len(u))
        with np.errstate(all="ignore"):  # what comes of numbers beyond all bounds is sorted out
            lower, z, _ = self.factors(theta)
            value = np.sum(log_conditional(lower, z)) - 0.5 * np.sum(u**2 + np.log(2 * np.pi))
            if not np.isfinite(value):
                return nowhere
            precision, _ = dpotri(lower, lower=1)  # its lower triangle
            precision = np.tril(precision) + np.tril(precision, -1).T
            alpha = cho_solve((lower, True), self.y - self.mean.value(self.x, theta))
            outer = np.multiply.outer(alpha, alpha) - precision
            slopes = {
                name: 0.5 * np.sum(outer * slope) / theta[name]
                for name, slope in self.kernel.slopes(self.distances, theta).items()
            }
            slopes[NOISE] = np.trace(outer) * theta[NOISE]
            slopes |= {n: alpha @ slope for n, slope in self.mean.slopes(self.x, theta).items()}
            # du is to dθ as the prior's density is to that of N(0, 1).
            rate = [
                np.exp(-0.5 * u[i] ** 2 - 0.5 * np.log(2 * np.pi) - prior.log_density(theta[name]))
                for i, (name, prior) in enumerate(self.inferred.items())
            ]
            gradient = np.array([slopes[name] for name in self.names]) * rate - u
        return (float(value), gradient) if np.isfinite(gradient).all() else nowhere

    # What follows from the data at given θ

    def left_out(self, theta: Mapping[str, np.ndarray], rng: np.random.Generator) -> LeftOut:
        """Predict each observation from all the others, for parameters of shape (draw,).

            y_i − μ_{−i} = α_i / q_i,   s²_{−i} = 1 / q_i,   q = diag K⁻¹,   α = K⁻¹(y − m)

        Rasmussen & Williams, equations 5.10 to 5.12. With W = L⁻¹ it is α = Wᵀz, q_i = Σ_k W²_ki;
        and residuals of data that the model itself would bring about, Wᵀε with ε ~ N(0, 1).
        """
        from scipy.linalg.lapack import dtrtri

        count, size = len(theta[NOISE]), len(self.x)
        noise = rng.standard_normal((count, size))

        def solve(part):
            lower, z, jitter = self.factors({k: v for k, v in part.items() if k != "replica"})
            rows = []
            for factor, row, replica in zip(lower, z, part["replica"], strict=True):
                inverse, _ = dtrtri(factor, lower=1)
                q = np.sum(inverse**2, axis=0)
                rows.append(np.stack([row @ inverse, replica @ inverse, q]))
            conditional = log_conditional(lower, z)
            edge = np.zeros_like(conditional)
            edge[:, 0] = jitter
            return np.concatenate([rows, conditional[:, None], edge[:, None]], axis=1)

        parts = self.in_chunks(solve, dict(theta) | {"replica": noise}, count)
        alpha, replica, q, conditional, edge = np.moveaxis(parts, 1, 0)
        variance = theta[NOISE][:, None] ** 2 + self.variance
        # The mean and the variance of f_i + a new ε_i, given all of the data.
        smooth = np.maximum(variance - variance**2 * q, 0)
        return LeftOut(
            residual=alpha / np.sqrt(q),
            replica=replica / np.sqrt(q),
            log_density=-0.5 * alpha**2 / q + 0.5 * np.log(q) - 0.5 * np.log(2 * np.pi),
            log_conditional=conditional,
            mean=self.y - variance * alpha,
            sd=np.sqrt(smooth + variance),
            jitter=edge[:, 0],
        )

    def conditional(self, theta: Mapping[str, np.ndarray], x: np.ndarray, slope: bool = False):
        """Condition the curve f at x, and its slope where asked, on the data at θ of shape (draw,).

        Returns
        -------
        mean (draw, point), and the lower root of the covariance, (draw, point, point); the slopes
        come after the values.
        """
        size, more = len(self.x), len(x) * (2 if slope else 1)
        away, among = x[:, None] - self.x, x[:, None] - x
        matrix = np.zeros((len(theta[NOISE]), size + more + 1, size + more + 1))
        matrix[:, :size, :size] = self.covariance(theta)
        new = slice(size, size + len(x))
        mean = self.mean.value(x, theta)
        scale = np.ones((len(matrix), more))
        if slope:
            late = slice(size + len(x), -1)
            k, k1, _ = self.kernel.derivatives(away, theta)
            matrix[:, late, :size] = k1
            own, own1, own2 = self.kernel.derivatives(among, theta)
            matrix[:, late, new], matrix[:, late, late] = own1, -own2
            mean = np.concatenate([mean, self.mean.slope(x, theta)], axis=-1)
        else:
            k, own = self.kernel.value(away, theta), self.kernel.value(among, theta)
        matrix[:, new, :size], matrix[:, new, new] = k, own
        # All new rows on one scale, so that jitter means the same to values and slopes.
        pivots = diagonal(matrix)
        scale = np.sqrt(pivots[:, size:-1] / pivots[:, size : size + 1])
        matrix[:, size:-1, :] /= scale[..., None]
        matrix[:, :, size:-1] /= scale[:, None, :]
        matrix[:, -1, :size] = self.y - self.mean.value(self.x, theta)
        matrix[:, -1, size:-1], matrix[:, -1, -1] = 0.0, BORDER
        lower, jitter = cholesky(matrix, size + more)
        across = lower[:, size:-1, :size]
        mean = mean + scale * np.einsum("nij,nj->ni", across, lower[:, -1, :size])
        return mean, scale[..., None] * lower[:, size:-1, size:-1], jitter


@dataclass(frozen=True)
class LeftOut:
    """Each observation against the others, all (draw, point).

    Parameters
    ----------
    residual, replica : standardised leave-one-out residuals of y, and of replicas of it.
    log_density : log p(y_i | y_{−i}, θ).
    log_conditional : log p(y_i | y_1, ..., y_{i−1}, θ), whose sum is the marginal likelihood.
    mean, sd : of a new observation at x_i, given all of the data.
    jitter : (draw,), relative, that the covariance took.
    """

    residual: np.ndarray
    replica: np.ndarray
    log_density: np.ndarray
    log_conditional: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    jitter: np.ndarray


def process(
    data: xr.Dataset,
    kernel: str | Kernel = "squared_exponential",
    mean: str | Callable | Mean = "zero",
    *,
    noise: Prior | float | None = None,
    priors: Mapping[str, Prior] | None = None,
    units: Mapping[str, str] | None = None,
    workers: int | None = None,
) -> Process:
    """State a Gaussian process on validated data, and every prior.

    Parameters
    ----------
    data : as of ``bayesinf.data.curve`` or ``curve_from_arrays``: x, y and, where they are known,
        errors under the user's names, sorted by x, which may repeat.
    kernel : ``exponential``, ``squared_exponential``, ``matern32``, ``matern52``,
        ``rational_quadratic``, ``periodic``, or sums and products of the classes of those names.
    mean : ``zero``, ``repulsive``, or a function of x whose further arguments, with priors or
        numbers as defaults, are parameters as well.
    noise : sd of the noise beyond the errors: a prior, a number, or None for the default prior.
    priors : name of a parameter to its prior; else wide ones around the extent of the data.
    units : of parameters of the mean, where that is a function.
    workers : threads for large matrices.

    Raises
    ------
    DataError : y does not vary.
    FitError : an unknown kernel, mean or parameter; a value that a parameter cannot have.
    """
    x, y, error = axes(data)
    columns = [column for column in (x, y, error) if column is not None]
    numbers = [column.values.astype(float) for column in columns]
    if np.ptp(numbers[1]) == 0:
        raise DataError("y does not vary", expected="a curve", found=f"{numbers[1][0]} throughout")
    kernel, mean = kernels.kernel(kernel), named_mean(mean)
    inferred, fixed = _parameters(kernel, mean, noise, dict(priors or {}), *numbers[:2])
    doubled = {x.name, y.name} & {*inferred, *fixed}
    if doubled:
        raise FitError(
            f"the data and a parameter are both called {', '.join(doubled)}: rename the data"
        )
    return Process(
        numbers[0],
        numbers[1],
        None if error is None else numbers[2],
        kernel,
        mean,
        inferred,
        fixed,
        str(x.name),
        str(y.name),
        {str(column.name): dict(column.attrs) for column in columns},
        dict(units or {}),
        workers,
    )


def ratio(of_y: str, of_x: str) -> str:
    """Return the unit of y per x."""
    return of_y if of_x == "1" else f"{of_y}/{of_x}"


def _parameters(kernel, mean, noise, given, x, y):
    """Priors of what is inferred and values of what is fixed, both by name."""
    asked = kernel.parameters() | {NOISE: noise} | mean.parameters()
    doubled = {*kernel.parameters(), NOISE} & mean.parameters().keys()
    if doubled:
        raise FitError(
            f"the mean may not call a parameter {', '.join(doubled)}: the kernel and "
            "the noise have those names"
        )
    unknown = given.keys() - asked.keys()
    if unknown:
        raise FitError(
            f"no parameter {', '.join(sorted(unknown))}: a prior can be given for "
            f"{', '.join(asked)}"
        )
    defaults = _defaults(kernel, x, y)
    filled = {n: defaults[n] if v is None else v for n, v in (asked | given).items()}
    fixed = {name: float(v) for name, v in filled.items() if not isinstance(v, Prior)}
    for name, value in fixed.items():
        positive = name in kernel.parameters() and not value > 0
        if not np.isfinite(value) or positive or (name == NOISE and value < 0):
            raise FitError(f"{name} cannot be fixed at {value}")
    return {name: v for name, v in filled.items() if name not in fixed}, fixed


def _defaults(kernel, x, y) -> dict[str, Prior]:
    """State the priors: wide, around the extent of the data.

    Length scales around a fifth of the range of x, periods a third, amplitudes around the sd of
    y, pure numbers around 1, all log-normal; the noise inverse-χ with one degree of freedom and
    a hundredth of the sd of y; the wall of a repulsive mean as steep as the range of y over a
    tenth of the range of x, beginning in the lower half of x.
    """
    width, spread, extent = np.ptp(x), np.std(y), np.ptp(y)
    of = {"x": LogNormal(width / 5, 1.0), "y": LogNormal(spread, 1.5), "1": LogNormal(1.0, 1.0)}
    found = {name: of[kind] for name, kind in kernel.measured().items()}
    found |= {n: LogNormal(width / 3, 1.0) for n in found if n.startswith("period")}
    return found | {
        NOISE: InverseChi(1.0, 0.01 * spread),
        "gamma": LogNormal(10 * extent / width, 1.5),
        "r0": Uniform(x[0], x[0] + width / 2),
    }
