"""The fit: mean velocities between instants as regressions that share the couplings' width.

A ``Network`` is the problem that is fitted. What its routes need of many instants is a triangular
matrix of each oscillator (``linear.compressed``), so that a million velocities cost no more than
the couplings; the velocities themselves stand in the result, their likelihood by blocks of time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import parallel
from bayesinf.diagnostics import Neighbours
from bayesinf.models import linear, noise
from bayesinf.models import problem as driver
from bayesinf.models.problem import Draws, Labels, Route, Sample
from bayesinf.posterior import dataset
from bayesinf.priors import HalfCauchy, LogNormal, Normal
from bayesinf.settings import Settings
from bayesinf.systems.kuramoto.data import coordinates
from bayesinf.systems.kuramoto.drift import Drift, Increments, Path

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Network", "least_squares", "mean_columns"]

# Stretches of time whose likelihood is kept one by one: so many for each column of an oscillator,
# that none decides much alone, and not more in all.
PER_COLUMN, BLOCKS = 5, 20_000
RIDGE = 1e-9  # of the largest squared column, in the fits that find the path


def _reduced(path, data, lag, pattern=None):
    """The regression of each oscillator in few rows: columns (1, features), velocities, rest."""

    def of_one(target):
        columns = mean_columns(path, target, lag, pattern)
        root = np.sqrt(data.interval)
        return linear.compressed(columns * root[:, np.newaxis], data.velocity[:, target] * root)

    targets = range(data.shape[1])
    return parallel.map(of_one, targets, threads=True, label="features")


def mean_columns(path, target, lag, pattern=None):
    """What an oscillator's mean velocities are linear in: 1, then its couplings, (row, column)."""
    sine, cosine = path.features(target)
    if pattern is not None:
        sine, cosine = sine @ pattern, cosine @ pattern
    known = lag is not None
    parts = [sine * np.cos(lag) - cosine * np.sin(lag)] if known else [sine, -cosine]
    return np.hstack([np.ones((len(sine), 1)), *parts])


def least_squares(path: Path, data: Increments, lag: float | None) -> Drift:
    """Return the drift that fits velocities best, a lag of None inferred: where a path goes."""
    from scipy import linalg

    omega, coupling, sigma = [], [], []
    for target, (columns, y, rest) in enumerate(_reduced(path, data, lag)):
        weight = np.sqrt(RIDGE) * np.linalg.norm(columns, axis=0).max()
        held = np.vstack([columns, weight * np.eye(columns.shape[1])])
        value = linalg.lstsq(held, np.append(y, np.zeros(columns.shape[1])))[0]
        omega.append(value[0])
        parts = value[1:] if lag is not None else value[1:].reshape(2, -1)
        complex_ = parts * np.exp(-1j * lag) if lag is not None else parts[0] - 1j * parts[1]
        coupling.append(np.insert(complex_, target, 0.0))
        square = np.sum((y - columns @ value) ** 2) + rest.square
        sigma.append(np.sqrt(square / max(1, data.shape[0] - len(value))))
    return Drift.of(np.array(omega), np.array(coupling), np.array(sigma))


@dataclass(frozen=True, eq=False)
class Network(noise.Measured):
    """Frequencies, couplings and noise of oscillators, given their phases.

    Parameters
    ----------
    data_rows : increments of the phases.
    path : of the phases between two instants.
    prior : of the couplings.
    lag : α where it is known.
    pattern : couplings of an oscillator as sums of few, (source, pattern); None for all apart.
    names : of the oscillators.
    units : of velocities, and of the noise.
    given : priors that the caller states.
    """

    data_rows: Increments
    path: Path
    prior: object
    lag: float | None
    pattern: np.ndarray | None
    names: np.ndarray
    units: tuple[str, str] = ("rad", "rad")
    given: Mapping[str, object] = field(default_factory=dict)

    family = "linear"
    most_replicas = 2**20

    @property
    def count(self) -> int:
        """Number of oscillators."""
        return self.data_rows.shape[1]

    @cached_property
    def y(self) -> np.ndarray:
        """Mean velocities, oscillator by oscillator, (observation,)."""
        return self.data_rows.velocity.T.ravel()

    @property
    def regression(self) -> linear.Regression:
        """The same problem in few rows, which the routes see."""
        return self.triangles

    @cached_property
    def triangles(self) -> linear.Regression:
        """The regression on all columns, in as many rows: of sine and cosine where α is open."""
        reduced = _reduced(self.path, self.data_rows, self.lag, self.pattern)
        interval = 0.5 * float(np.sum(np.log(self.data_rows.interval)))
        columns, y, rests = (list(part) for part in zip(*reduced, strict=True))
        rests = [linear.Rest(rest.count, rest.square, interval) for rest in rests]
        return self._stated(columns, y, tuple(rests))

    def _stated(self, columns, y, rests=(), error=None):
        """The regression of given rows, (oscillator, row, column), priors stated."""
        import xarray as xr

        group = np.repeat(np.arange(self.count), [len(one) for one in y])
        velocity = self.data_rows.velocity
        size = float(np.std(velocity - velocity.mean(axis=0)))
        prior = "normal" if self.prior == "mean_field" else self.prior
        typical = float(np.sqrt(np.median(self.data_rows.interval)))
        reach = size * np.sqrt(self.count)
        if prior == "normal":
            prior = linear.Gaussian(self.given.get("scale", HalfCauchy(reach)))
        elif prior == "spike_and_slab":
            prior = linear.SpikeAndSlab(slab_width=HalfCauchy(reach))
        centre = float(np.mean(velocity))
        wide = 10 * max(size, float(np.std(velocity.mean(axis=0))), 1e-3 * abs(centre))
        omega = self.given.get("omega", Normal(centre, wide))
        sigma = self.given.get("sigma", LogNormal(0.01 * size * typical, 3 * np.log(10.0)))
        stacked = np.concatenate(columns)
        problem = linear.regression(
            stacked[:, 1:],
            np.concatenate(y),
            prior,
            unshrunk={"omega": (stacked[:, 0], omega)},
            scales=1.0,
            noise=sigma,
            error=error,
            groups=xr.DataArray(group, dims="observation", name="oscillator"),
            name="coupling",
        )
        return replace(problem, rests=rests)

    # Draws of the regression carry couplings as (oscillator, feature), those of a fit as pairs.

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the couplings."""
        return ("K",) if self.lag is not None else ("sine", "cosine")

    @property
    def parameters_known(self) -> tuple[str, ...]:
        """Parameters of which a truth can be known."""
        own = () if self.pattern is not None else self.parts
        return ("omega", "sigma", *own, *self.regression.prior.inferred)

    def told(self, truth: xr.Dataset) -> xr.Dataset:
        """What is true, as a fit tells it."""
        return truth

    def outer(self, draws: Draws) -> Draws:
        """Draws of a fit, of draws of the regression."""
        found = {
            name: value for name, value in draws.items() if name not in ("coupling", "included")
        }
        for name in ("coupling", "included"):
            if name in draws:
                found |= self.split(draws[name], "" if name == "coupling" else "_included")
        return found

    def split(self, values, suffix=""):
        """Couplings (..., oscillator, feature) by part: (..., pair) or (..., oscillator)."""
        split = np.split(values, len(self.parts), axis=-1)
        names = [f"{part}{suffix}" for part in self.parts]
        return {
            name: value.reshape(*value.shape[:-2], -1)
            for name, value in zip(names, split, strict=True)
        }

    def inner(self, draws: Draws) -> Draws:
        """Draws of the regression, of draws of a fit."""

        def joined(suffix):
            parts = [draws[f"{part}{suffix}"] for part in self.parts]
            shaped = [np.reshape(p, (*np.shape(p)[:-1], self.count, -1)) for p in parts]
            return np.concatenate(shaped, axis=-1)

        own = {f"{part}{suffix}" for part in self.parts for suffix in ("", "_included")}
        found = {name: value for name, value in draws.items() if name not in own}
        found["coupling"] = joined("")
        if f"{self.parts[0]}_included" in draws:
            found["included"] = joined("_included")
        return found

    def matrix(self, draws: Draws) -> np.ndarray:
        """C_ij = K_ij e^{−iα}, (..., target, source), complex."""
        one = self._pulls(draws)
        lead = one.shape[:-1]
        one = one.reshape(*lead, self.count, -1)
        if self.pattern is not None:
            one = one @ self.pattern.T
        found = np.zeros((*lead, self.count, self.count), complex)
        found[..., ~np.eye(self.count, dtype=bool)] = one.reshape(*lead, -1)
        return found

    def _pulls(self, draws):
        """The same of every pair, as draws have it."""
        parts = [np.asarray(draws[name]) for name in self.parts]
        return (
            parts[0] * np.exp(-1j * self.lag) if self.lag is not None else parts[0] - 1j * parts[1]
        )

    # What a problem is asked

    @property
    def model(self) -> str:
        """The prior's class, or that it is a mean field."""
        return "MeanField" if self.pattern is not None else self.regression.model

    @property
    def equation(self) -> str:
        """The model in LaTeX."""
        shift = r" - \alpha"
        return (
            r"d\theta_i = \Big[\omega_i + \frac{1}{N} \sum_{j \neq i} K_{ij} "
            rf"\sin(\theta_j - \theta_i{shift})\Big] dt + \sigma_i\, dW_i"
        )

    @property
    def parameters(self) -> Labels:
        """Labels of frequencies, couplings and noise."""
        along = ("pair",) if self.pattern is None else ("oscillator",)
        dims = {"omega": ("oscillator",), "sigma": ("oscillator",)}
        every = [*self.parts, *(f"{part}_included" for part in self.parts)]
        dims |= dict.fromkeys(every, along)
        units = dict.fromkeys(("omega", *self.parts, "scale", "slab_width"), self.units[0])
        units["sigma"] = self.units[1]
        return Labels(dims, coordinates(self.names), units)

    @property
    def data(self) -> Labels:
        """Labels of the velocities."""
        rows = self.data_rows
        coords = {
            "of": ("increment", np.repeat(self.names.astype(str), rows.shape[0])),
            "at": ("increment", np.tile(rows.time, self.count)),
        }
        return Labels({"velocity": ("increment",)}, coords, {"velocity": self.units[0]})

    @property
    def pointwise(self) -> Labels:
        """Labels of the log likelihood, by block of time and oscillator."""
        return Labels({"velocity": ("block",)}, {}, {})

    @cached_property
    def together(self) -> np.ndarray:
        """Block of each velocity: a stretch of time of one oscillator."""
        rows, columns = self.data_rows.shape[0], self.regression.shape[1] + 1
        blocks = max(1, min(rows, PER_COLUMN * columns, BLOCKS // self.count))
        stretch = np.arange(rows) * blocks // rows
        return (np.arange(self.count)[:, np.newaxis] * blocks + stretch).ravel()

    @property
    def observed(self) -> xr.Dataset:
        """The velocities."""
        return self.data.group({"velocity": self.y}, sampled=False)

    @property
    def constants(self) -> xr.Dataset:
        """Phases at the first instants, and the intervals."""
        rows = self.data_rows
        dims = {"phase": ("instant", "oscillator"), "interval": ("instant",)}
        coords = {"oscillator": self.names.astype(str)}
        arrays = {"phase": rows.theta, "interval": rows.interval}
        return dataset(arrays, dims, coords, {"phase": "rad"}, sampled=False)

    @property
    def priors(self) -> dict[str, str]:
        """Every prior in words."""
        words = dict(self.regression.priors)
        coupling = words.pop("coupling")
        said = dict.fromkeys(self.parts, coupling)
        if self.pattern is not None:
            said = {name: f"{text}, the same of all sources" for name, text in said.items()}
        return said | words

    @property
    def fixed(self) -> dict[str, float]:
        """The lag, where it is known."""
        return {} if self.lag is None else {"alpha": float(self.lag)}

    @property
    def hyperparameters(self) -> list[str]:
        """Factors of the prior that are none of the couplings'."""
        return self.regression.hyperparameters

    @property
    def discrepancies(self) -> Mapping[str, noise.Discrepancy]:
        """Those of every fit, the memory within each oscillator's run, and what they share."""
        rows = self.data_rows
        run = (np.arange(self.count)[:, np.newaxis] * (rows.run.max() + 1) + rows.run).ravel()
        order = Neighbours.along(np.tile(rows.time, self.count), run)
        return noise.asked(order, further={noise.SHARED: noise.Shared(self.count)})

    @property
    def routes(self) -> dict[str, Route]:
        """Those of the regression."""
        return {
            name: Route(_Through(route), route.kind)
            for name, route in self.regression.routes.items()
            if name != "nuts"
        } | {"nuts": Route(driver.nuts, "nuts")}

    def sample_prior(self, rng: np.random.Generator, size: int) -> Draws:
        """Draw the parameters from their prior, (size, ...)."""
        return self.outer(self.regression.sample_prior(rng, size))

    def log_factors(self, draws: Draws) -> Draws:
        """Log density of each factor of the prior."""
        return self.regression.log_factors(self.inner(draws))

    def mean(self, draws: Draws) -> np.ndarray:
        """Mean velocities, (..., observation)."""
        coupling, omega = self.matrix(draws), np.asarray(draws["omega"])
        lead = omega.shape[:-1]
        found = np.empty((*lead, len(self.y)))
        for place in np.ndindex(lead):
            found[place] = self.path.mean(omega[place], coupling[place]).T.ravel()
        return found

    def prior_predictive(self, draws: Draws, settings: Settings) -> Draws:
        """Draw the velocities that some draws from the prior would make."""
        some = max(4, self.most_replicas // len(self.y))
        return super().prior_predictive({k: v[:some] for k, v in draws.items()}, settings)

    def noise_sd(self, draws: Draws) -> np.ndarray:
        """σ_i over the root of the interval, (..., observation)."""
        per = 1 / np.sqrt(self.data_rows.interval)
        sd = np.asarray(draws["sigma"])[..., np.newaxis] * per
        return sd.reshape(*sd.shape[:-2], -1)

    def pymc(self):
        """Define the model: a regression of all rows, its couplings by the names of the fit."""
        import pymc as pm

        data = self.data_rows
        columns = [mean_columns(self.path, i, self.lag, self.pattern) for i in range(self.count)]
        y = list(data.velocity.T)
        error = np.tile(1 / np.sqrt(data.interval), self.count)
        model = self._stated(columns, y, error=error).pymc()
        with model:
            half = model["coupling"].reshape((self.count, len(self.parts), -1))
            for k, name in enumerate(self.parts):
                pm.Deterministic(name, half[:, k].flatten())
        return model


@dataclass(frozen=True)
class _Through:
    """A route of the regression, its draws and evidence under the names of the fit."""

    route: Route

    def __call__(self, problem: Network, settings: Settings) -> Sample:
        sample = self.route.run(problem.regression, settings)
        evidence = {}
        for name, variable in sample.evidence.data_vars.items():
            if not name.startswith("coupling_closed_form"):
                evidence[name] = variable.dims, variable.values
                continue
            ending = name.removeprefix("coupling")
            for part, value in problem.split(variable.values).items():
                evidence[f"{part}{ending}"] = (problem.parameters.dims[part], value)
        dims = {name: d for name, (d, _) in evidence.items()}
        units = {
            f"{part}_closed_form_{moment}": problem.parameters.units[part]
            for part in problem.parts
            for moment in ("mean", "sd")
        }
        labels = Labels(dims, problem.parameters.coords, units)
        arrays = {name: value for name, (_, value) in evidence.items()}
        return Sample(problem.outer(sample.draws), labels.group(arrays, sampled=False))
