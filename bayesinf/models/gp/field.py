"""The family of several inputs, and of slopes: y and ∂y/∂x_k at points x, as data side by side.

    y_i = m(x_i) + f(x_i) + ε_i,   s_j = ∂(m + f)/∂x_{k(j)} at x_j + ε_j,   f ~ GP(0, k)

A ``Field`` is a ``Process`` whose data are values, slopes, or both, with noise of their own:
error² + noise² of the values, error² + noise_dy_dx² of the slopes along x. Inside they stand in one
row, values first, with the input along which each is a slope; outside each is a variable with its
own unit. The curve's values and slopes are jointly normal (``slopes``), so all else is as ever.

Slopes alone leave the level of the curve to its prior, N(0, amplitude²) about the mean at each
point; one value, measured or agreed on, pins it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.diagnostics import Neighbours
from bayesinf.models.gp.cholesky import diagonal
from bayesinf.models.gp.definition import NOISE, Process, ratio, unsymbolic
from bayesinf.models.gp.means import slope_slopes, steps
from bayesinf.models.gp.places import Data, places, slope_name
from bayesinf.models.gp.slopes import VALUE, Between, Pairs, Sites, jet
from bayesinf.models.problem import Labels
from bayesinf.priors import Prior

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

__all__ = ["Field", "PerInput", "noise_name"]


@dataclass(frozen=True)
class PerInput:
    """Independent priors of a vector, one for each input.

    Parameters
    ----------
    inputs : their names.
    priors : in that order.
    """

    inputs: tuple[str, ...]
    priors: tuple[Prior, ...]

    def from_normal(self, u):
        """Return the values that stand in these priors where u, (..., input), stands in N(0, 1)."""
        parts = [prior.from_normal(u[..., k]) for k, prior in enumerate(self.priors)]
        return np.stack(parts, axis=-1)

    def log_density(self, x):
        """Normalised log density at x, (..., input)."""
        return sum(prior.log_density(x[..., k]) for k, prior in enumerate(self.priors))

    def pymc(self, name):
        """Add the variables NAME_INPUT and, as a vector, ``name`` to the open PyMC model."""
        import pymc as pm

        pairs = zip(self.inputs, self.priors, strict=True)
        return pm.Deterministic(name, pm.math.stack([p.pymc(f"{name}_{i}") for i, p in pairs]))

    def __str__(self):
        pairs = zip(self.inputs, self.priors, strict=True)
        return "; ".join(f"{name}: {prior}" for name, prior in pairs)


def noise_name(variable: str, y_name: str) -> str:
    """Return what the noise of a variable of the data is called."""
    return NOISE if variable == y_name else f"{NOISE}_{variable}"


@dataclass(frozen=True, kw_only=True)
class Field(Process):
    """A process of several inputs or of slopes; ``process`` states one.

    Parameters
    ----------
    x : places of the data, (point, input), those of values first.
    y : values and slopes, (point,).
    error : as for ``Process``; 0 where it is not known.
    along : the input along which each datum is a slope, (point,); ``slopes.VALUE`` for values.
    inputs : what they are called; where there is only one, ``x_name``.
    """

    along: np.ndarray
    inputs: tuple[str, ...]

    # What things are called

    @property
    def several(self) -> bool:
        """Whether there are several inputs, each with its own length scale."""
        return len(self.inputs) > 1

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of the parameters that each input has its own of."""
        measured = self.kernel.measured().items() if self.several else ()
        return {name: (len(self.inputs),) for name, kind in measured if kind == "x"}

    @property
    def order(self) -> Neighbours | None:
        """Neighbours along the one input, values and slopes each among themselves."""
        return None if self.several else Neighbours.along(self.x[:, 0], self.along)

    @property
    def columns(self):
        """Name, place in a vector, and prior of each standardised parameter."""
        found = []
        for name, prior in self.inferred.items():
            if isinstance(prior, PerInput):
                found += [(name, k, one) for k, one in enumerate(prior.priors)]
            else:
                found.append((name, None, prior))
        return found

    @property
    def names(self) -> list[str]:
        """What the standardised parameters are called."""
        return [name if k is None else f"{name}[{self.inputs[k]}]" for name, k, _ in self.columns]

    @cached_property
    def variables(self) -> dict[str, np.ndarray]:
        """Each variable of the data to the places it has in the row, in their order."""
        called = {VALUE: self.y_name}
        called |= {k: slope_name(self.y_name, one) for k, one in enumerate(self.inputs)}
        found = {name: np.flatnonzero(self.along == k) for k, name in called.items()}
        return {name: where for name, where in found.items() if len(where)}

    @property
    def noises(self) -> list[str]:
        """The noise of each variable of the data."""
        return [noise_name(one, self.y_name) for one in self.variables]

    @property
    def parameters(self) -> Labels:
        """Labels of the hyperparameters; a vector whose inputs differ in unit lists their units."""
        of_inputs = [self.unit(name) for name in self.inputs]
        of_x = of_inputs[0] if len(set(of_inputs)) == 1 else ", ".join(of_inputs)
        of = {"x": of_x, "y": self.unit(self.y_name), "1": "1"}
        units = {name: of[kind] for name, kind in self.kernel.measured().items()}
        units |= {noise_name(one, self.y_name): self.unit(one) for one in self.variables}
        if not self.several:
            units = super().parameters.units | units
        return Labels(
            dict.fromkeys(self.shapes, ("input",)),
            {"input": list(self.inputs)},
            units | dict(self.given),
        )

    @cached_property
    def _table(self) -> xr.Dataset:
        """The data as variables, with their places as coordinates."""
        row = self.x, self.y, self.error, self.along
        return Data(*row, self.inputs, self.y_name, self.attributes).dataset()

    @property
    def data(self) -> Labels:
        """Labels of values and slopes, with their places as coordinates."""
        found = self.observed
        return Labels(
            {name: found[name].dims for name in self.variables},
            {name: one.variable for name, one in found.coords.items()},
            {name: self.unit(name) for name in self.variables},
        )

    @property
    def observed(self) -> xr.Dataset:
        """Values and slopes, with their places as coordinates."""
        return self._table[list(self.variables)].drop_attrs(deep=False)

    @property
    def constants(self) -> xr.Dataset:
        """Places and, where they are known, errors; attributes say which variable is which."""
        found = self._table
        bars = [name for name in found.data_vars if name not in self.variables]
        return found.reset_coords()[[*found.coords, *bars]]

    @property
    def priors(self) -> dict[str, str]:
        """Every prior in words, that of the level too where only slopes were measured."""
        found = super().priors
        if self.y_name not in self.variables:
            found[f"level of {self.y_name}"] = "N(mean, amplitude²) at each point: slopes tell none"
        return found

    # The model

    def pymc(self) -> pm.Model:
        """Define the model in PyMC: a normal vector, whose covariance of values is PyMC's own."""
        import pymc as pm
        import pytensor.tensor as pt

        with pm.Model() as model:
            theta = {name: prior.pymc(name) for name, prior in self.inferred.items()}
            theta |= {name: np.float64(value) for name, value in self.fixed.items()}
            try:
                mean = self._symbolic_mean(theta)
            except Exception as error:  # whatever a function does that was never meant for symbols
                raise unsymbolic(self.mean, error) from error
            if np.all(self.along == VALUE):
                covariance = self.kernel.pymc(theta, len(self.inputs))(self.x)
            else:
                covariance = self._between.matrix(self.kernel, theta, join=pt.concatenate)
            covariance = covariance + pt.diag(self.noise_variance(theta))
            pm.MvNormal(self.y_name, mean, cov=covariance, observed=self.y)
        return model

    def _symbolic_mean(self, theta):
        """Prior mean in symbols; a slope is a difference over a small step."""
        import pytensor.tensor as pt

        parts = []
        for slope, x, along in self._sides(self.x, self.along):
            if slope:
                step = steps(x, along)
                up, down = (self.mean.pymc(x + side * step, theta) for side in (1, -1))
                value = (up - down) / (2 * np.atleast_2d(step).sum(axis=0))
            else:
                value = self.mean.pymc(x, theta)
            parts.append(pt.as_tensor_variable(value) + np.zeros(len(along)))
        return pt.concatenate(parts)

    def apart(self, of_data):
        """Return what belongs to each variable of the data, of an array (..., point)."""
        return {name: of_data[..., where] for name, where in self.variables.items()}

    def observing(self, data) -> Field:
        """Return the same process, priors and all, of other data."""
        y = np.empty_like(self.y)
        for name, where in self.variables.items():
            y[where] = data[name]
        return replace(self, y=y)

    def part(self, seen) -> Field:
        """Return the same process, priors and all, on part of the data."""
        return replace(super().part(seen), along=self.along[seen])

    # Mean and covariance

    def _sides(self, x, along):
        """Values and slopes, where there are any: whether slopes, x as a mean takes it, along."""
        for slope in (False, True):
            chosen = (along != VALUE) == slope
            if chosen.any():
                yield slope, x[chosen].T if self.several else x[chosen, 0], along[chosen]

    def _prior_mean(self, x, along, theta):
        parts = [
            self.mean.slope(one, theta, k) if slope else self.mean.value(one, theta)
            for slope, one, k in self._sides(x, along)
        ]
        return np.concatenate(parts, axis=-1)

    @cached_property
    def _sites(self) -> Sites:
        return Sites(self.x, self.along)

    @cached_property
    def _between(self) -> Between:
        return Between(self._sites, self._sites)

    @cached_property
    def _noises(self) -> dict[str, np.ndarray]:
        """Noise to where it belongs, 0 or 1, (point,)."""
        members = np.arange(len(self.y))
        return {
            noise_name(one, self.y_name): np.isin(members, where).astype(float)
            for one, where in self.variables.items()
        }

    def expected(self, theta):
        """Prior mean of the data, (..., point) or (point,)."""
        return self._prior_mean(self.x, self.along, theta)

    def noise_variance(self, theta):
        """error² + noise² of the variable that each datum belongs to, (..., point)."""
        return self.variance + sum(
            theta[name][..., None] ** 2 * where for name, where in self._noises.items()
        )

    def covariance(self, theta):
        """Covariance of the data, (..., point, point)."""
        matrix, noise = self._between.matrix(self.kernel, theta), self.noise_variance(theta)
        matrix = np.broadcast_to(matrix, (*noise.shape, noise.shape[-1])).copy()
        diagonal(matrix)[...] += noise
        return matrix

    def pull(self, theta, outer, alpha):
        """½ Σ outer ∂K/∂θ + alpha ∂m/∂θ, by name of the parameter."""
        found = {name: np.zeros(shape) for name, shape in self.shapes.items()}
        for (name, k), change in self._between.traces(self.kernel, theta, outer).items():
            if k is None or name not in self.shapes:
                found[name] = 0.5 * change / theta[name]
            else:
                found[name][k] = 0.5 * change / theta[name][k]
        of_noise = diagonal(outer)
        found |= {n: np.sum(of_noise[w == 1]) * theta[n] for n, w in self._noises.items()}
        place = 0
        for slope, x, along in self._sides(self.x, self.along):
            weight = alpha[place : place + len(along)]
            place += len(along)
            if slope:
                slopes = slope_slopes(self.mean, x, theta, along, self.widths)
            else:
                slopes = self.mean.slopes(x, theta, self.widths)
            for name, change in slopes.items():
                found[name] = found.get(name, 0.0) + weight @ change
        return found

    def joint(self, theta, x, slope):
        """Prior of the curve at x, (new, input), and of its slopes there: mean, covariances."""
        new = Sites.of(x, slope)
        return (
            self._prior_mean(new.x, new.along, theta),
            Between(new, self._sites).matrix(self.kernel, theta),
            Between(new, new).matrix(self.kernel, theta),
        )

    def level(self, theta, x):
        """Prior of the curve at each x, (new, input): mean, covariance with the data, variance."""
        new = Sites.of(x)
        (here,) = jet(self.kernel, Pairs(np.zeros((len(self.inputs), 1, 1))), theta)
        across = Between(new, self._sites).matrix(self.kernel, theta)
        return self._prior_mean(new.x, new.along, theta), across, here[..., 0]

    # Predictions

    @property
    def coordinates(self):
        """Where the data are, (point, input)."""
        return np.unique(self.x, axis=0)

    def places(self, x):
        """New places, (new, input), and these as coordinates of a Dataset over ``new``."""
        found = places(x, self.inputs)
        units = {name: {"units": self.unit(name)} for name in self.inputs}
        return found, {n: ("new", found[:, k], units[n]) for k, n in enumerate(self.inputs)}

    def slopes_called(self):
        """What each slope of the curve is called in predictions, and its unit."""
        if not self.several:
            return super().slopes_called()
        of_y = self.unit(self.y_name)
        found = {slope_name(self.y_name, one): ratio(of_y, self.unit(one)) for one in self.inputs}
        return {name: self.attributes.get(name, {}).get("units", u) for name, u in found.items()}
