"""The linear family, defined: y = Xβ (+ intercept) + ε, ε ~ N(0, σ²).

A ``Regression`` holds what is fitted with every prior stated, and answers all that a ``Problem`` is
asked. Its ``pymc`` is the model; everything else in this package is a faster way to the same
posterior. The log likelihood and the prior's factors that a fit stores add up to this model's log
density, which the tests check draw by draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.models import noise as measurement
from bayesinf.models.linear import routes
from bayesinf.models.linear.priors import PRIORS, CoefficientPrior
from bayesinf.models.noise import Discrepancy, Measured
from bayesinf.models.problem import Draws, Labels, Route
from bayesinf.priors import InverseChi, Normal, Prior

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

# The default noise prior weighs one observation of a hundredth of the data's spread: it lets σ be
# anything, and keeps it from collapsing to zero where the data have no noise at all.
NOISE_WEIGHT, NOISE_FRACTION = 1.0, 0.01

# The default prior of an intercept is this many times wider than the data.
INTERCEPT_WIDTH = 10.0

# Prior factors of the coefficients; the others are those of hyperparameters.
OF_COEFFICIENTS = ("beta", "included", "local")


@dataclass(frozen=True)
class Names:
    """What a regression's arrays are called in its result.

    Parameters
    ----------
    coefficient : the coefficients.
    data : the data.
    dims : dimensions of observations and of features.
    coords : coordinates along them.
    units : unit of ``coefficient`` and of ``data``.
    """

    coefficient: str = "beta"
    data: str = "y"
    dims: tuple[str, str] = ("observation", "feature")
    coords: Mapping[str, object] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Regression(Measured):
    """Data and priors of one linear fit.

    Parameters
    ----------
    X : features, (observation, feature).
    y : data, (observation,).
    prior : the coefficients' prior, resolved.
    noise : σ, a number or a prior.
    intercept : the intercept's prior, or None where there is no intercept.
    names : what all this is called in the result.
    known : what goes into ``constant_data`` in place of the features.
    further : discrepancies besides those of every linear fit.
    """

    X: np.ndarray
    y: np.ndarray
    prior: CoefficientPrior
    noise: float | Prior
    intercept: Normal | None = None
    names: Names = Names()
    known: xr.Dataset | None = None
    further: Mapping[str, Discrepancy] = field(default_factory=dict)

    family = "linear"

    @property
    def model(self) -> str:
        """Name of the prior's class."""
        return type(self.prior).__name__

    @property
    def shape(self) -> tuple[int, int]:
        """Observations and features."""
        return self.X.shape

    @property
    def noise_fixed(self) -> bool:
        """Whether the caller knows σ."""
        return isinstance(self.noise, int | float)

    # What things are called

    @property
    def parameters(self) -> Labels:
        """Labels of coefficients, scales and noise."""
        names, (_, column) = self.names, self.names.dims
        per_feature = (names.coefficient, "included", "local")
        of_y = names.units.get("data", "1")
        per_x = names.units.get("coefficient", of_y)
        units = {names.coefficient: per_x, "sigma": of_y, "intercept": of_y, "slab_width": per_x}
        # A scale that is relative to the noise is a pure number.
        units |= {} if getattr(self.prior, "relative", False) else {"scale": per_x}
        return Labels(dict.fromkeys(per_feature, (column,)), names.coords, units)

    @property
    def data(self) -> Labels:
        """Labels of the data."""
        name, row = self.names.data, self.names.dims[0]
        coords = {row: self.names.coords[row]} if row in self.names.coords else {}
        return Labels({name: (row,)}, coords, {name: self.names.units.get("data", "1")})

    @property
    def observed(self) -> xr.Dataset:
        """The data."""
        return self.data.group({self.names.data: self.y}, sampled=False)

    @property
    def constants(self) -> xr.Dataset:
        """The features, or what the caller wants kept in their place."""
        if self.known is not None:
            return self.known
        labels = Labels({"X": self.names.dims}, self.names.coords)
        return labels.group({"X": self.X}, sampled=False)

    @property
    def priors(self) -> dict[str, str]:
        """Every prior in words."""
        said = {self.names.coefficient: self.prior.words()} | self.prior.hyperparameters
        said["sigma"] = self.noise
        said |= {"intercept": self.intercept} if self.intercept else {}
        fixed = self.prior.fixed | ({"sigma": self.noise} if self.noise_fixed else {})
        return {k: f"{v} (fixed)" if k in fixed else str(v) for k, v in said.items()}

    @property
    def fixed(self) -> dict[str, float]:
        """What the caller has fixed."""
        return self.prior.fixed | ({"sigma": float(self.noise)} if self.noise_fixed else {})

    @property
    def hyperparameters(self) -> list[str]:
        """Factors of the prior that are none of the coefficients'."""
        inferred = list(self.prior.inferred) + ([] if self.noise_fixed else ["sigma"])
        return inferred + (["intercept"] if self.intercept else [])

    @property
    def attrs(self) -> dict[str, int]:
        """Whether the scale of a Laplace prior is in units of the noise."""
        relative = getattr(self.prior, "relative", None)
        return {} if relative is None else {"relative": int(relative)}

    @property
    def discrepancies(self) -> dict[str, Discrepancy]:
        """Statistics of the residuals, their memory where rows have an order; the caller's join."""
        order = measurement.neighbours_of(self.names.coords, self.names.dims[0])
        return measurement.asked(order, known=self.noise_fixed, further=self.further)

    @property
    def routes(self) -> dict[str, Route]:
        """The prior's own route, and NUTS where the prior is continuous."""
        return routes.of_prior(self.prior)

    def inner(self, draws: Draws) -> dict[str, np.ndarray]:
        """Draws with the coefficients called ``beta``, as the modules of this package do."""
        return {"beta" if k == self.names.coefficient else k: v for k, v in draws.items()}

    def outer(self, draws: Draws) -> dict[str, np.ndarray]:
        """Draws with the coefficients called as the caller calls them."""
        return {self.names.coefficient if k == "beta" else k: v for k, v in draws.items()}

    # Densities and draws

    def pymc(self, *, centred: bool = False) -> pm.Model:
        """Define the model in PyMC.

        Parameters
        ----------
        centred : whether the coefficients themselves are the free variables; with weak data the
            samplers of PyMC move better on standardised ones.

        Returns
        -------
        a ``pymc.Model`` with the coefficients, ``sigma`` and the prior's hyperparameters.
        """
        import pymc as pm

        with pm.Model(coords={"feature": np.arange(self.shape[1])}) as model:
            sigma = float(self.noise) if self.noise_fixed else self.noise.pymc("sigma")
            beta = self.prior.pymc(self.names.coefficient, sigma, "feature", centred)
            mean = pm.math.dot(self.X, beta)
            if self.intercept is not None:
                mean = mean + self.intercept.pymc("intercept")
            pm.Normal("y", mean, sigma, observed=self.y)
        return model

    def sample_prior(self, rng: np.random.Generator, size: int) -> Draws:
        """Draw all parameters from the prior, (size, ...)."""
        fixed = self.noise_fixed
        sigma = np.full(size, float(self.noise)) if fixed else self.noise.sample(rng, size)
        draws = self.prior.sample(rng, size, self.shape[1], sigma)
        if self.intercept is not None:
            draws["intercept"] = self.intercept.sample(rng, size)
        return self.outer(draws if fixed else draws | {"sigma": sigma})

    def log_factors(self, draws: Draws) -> Draws:
        """Log density of each factor of the prior at each draw."""
        draws = self.inner(draws)
        draws = {"sigma": np.float64(self.noise), **draws} if self.noise_fixed else draws
        factors = self.prior.log_factors(draws)
        if not self.noise_fixed:
            factors["sigma"] = self.noise.log_density(draws["sigma"])
        if self.intercept is not None:
            factors["intercept"] = self.intercept.log_density(draws["intercept"])
        return self.outer(factors)

    def mean(self, draws: Draws) -> np.ndarray:
        """Mean of y, Xβ (+ intercept), (..., observation)."""
        beta, X = draws[self.names.coefficient], self.X
        if "included" in draws:  # most columns are in no draw at all
            used = np.any(draws["included"], axis=tuple(range(beta.ndim - 1)))
            beta, X = beta[..., used], X[:, used]
        mean = beta @ X.T
        return mean + draws["intercept"][..., np.newaxis] if "intercept" in draws else mean

    def noise_sd(self, draws: Draws) -> np.ndarray:
        """Standard deviation of the noise, (..., 1)."""
        return np.float64(self.noise) if self.noise_fixed else draws["sigma"][..., np.newaxis]


def regression(
    X: np.ndarray | xr.DataArray,
    y: np.ndarray | xr.DataArray,
    prior: str | CoefficientPrior = "normal",
    *,
    noise: float | Prior | None = None,
    intercept: bool | Normal = False,
    name: str = "beta",
    units: Mapping[str, str] | None = None,
    constants: xr.Dataset | None = None,
    discrepancies: Mapping[str, Discrepancy] | None = None,
) -> Regression:
    """Check the data and state every prior.

    Parameters
    ----------
    X : features, (observation, feature): an array, or a DataArray whose dimensions and coordinates
        then label the result.
    y : data, (observation,): an array or a DataArray, whose name and ``units`` are kept.
    prior : a name of ``PRIORS`` or an instance.
    noise : σ, or its prior; by default inverse-χ, worth one observation of sd(y) / 100.
    intercept : whether there is one, or its prior; by default N(mean(y), (10 sd(y))²).
    name : what the coefficients are called in the result.
    units : unit of the coefficients by ``name``, where it is not that of y.
    constants : a Dataset to keep as ``constant_data`` in place of the features.
    discrepancies : statistics T(y, mean, noise) for predictive p-values, besides those of every
        linear fit.

    Raises
    ------
    DataError : shapes that do not fit, values that are not finite, y all equal, a bad scale.
    """
    names = _names(X, y, name, units or {})
    X, y = np.asarray(X, dtype=float), np.asarray(y, dtype=float)
    _refuse(X, y)
    if isinstance(prior, str):
        if prior not in PRIORS:
            raise DataError("unknown prior", expected=f"one of {', '.join(PRIORS)}", found=prior)
        prior = PRIORS[prior]()
    spread = float(np.std(y) if intercept else np.sqrt(np.mean(y**2)))
    size = float(np.sqrt(np.mean(X**2)))
    if spread == 0.0 or size == 0.0:
        raise DataError(
            "there is nothing to fit",
            expected="data and features that vary",
            found="y all equal" if spread == 0.0 else "X all zero",
        )
    if intercept is True:
        intercept = Normal(float(np.mean(y)), INTERCEPT_WIDTH * spread)
    noise = InverseChi(NOISE_WEIGHT, NOISE_FRACTION * spread) if noise is None else noise
    prior = prior.resolve(spread / size, X.shape[1])
    for scale, value in {"noise": noise, **prior.fixed}.items():
        if isinstance(value, int | float) and not value > 0:
            raise DataError(f"{scale} is fixed at {value}", expected="a number above zero")
    for scale, value in {"noise": noise, **prior.inferred}.items():
        if isinstance(value, Normal):
            raise DataError(
                f"the prior of {scale} reaches below zero",
                expected="a prior of positive numbers, such as HalfCauchy",
                found=value,
            )
    return Regression(
        X, y, prior, noise, intercept or None, names, constants, dict(discrepancies or {})
    )


def _refuse(X, y):
    """Raise DataError where X and y are no data of a regression."""
    if X.ndim != 2 or y.shape != X.shape[:1] or min(X.shape) == 0:
        raise DataError(
            "features and data do not fit together",
            expected="X of shape (observations, features) and y of shape (observations,)",
            found=f"{X.shape} and {y.shape}",
        )
    for name, array in (("X", X), ("y", y)):
        if not np.all(np.isfinite(array)):
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise DataError(
                f"{name} has a value that is not finite",
                where=f"row {row}",
                expected="finite numbers",
                remedy="remove the row or fill the value",
            )


def _names(X, y, name, units):
    """Names, dimensions, coordinates and units that labelled features and data bring along."""
    dims = getattr(X, "dims", ())
    dims = dims if len(dims) == 2 else Names.dims
    coords = dict(getattr(X, "coords", {}))
    for dim, count in zip(dims, np.shape(X), strict=False):
        coords.setdefault(dim, np.arange(count))
    of_y = getattr(y, "attrs", {}).get("units", "1")
    return Names(
        coefficient=name,
        data=getattr(y, "name", None) or "y",
        dims=dims,
        coords=coords,
        units={"data": of_y, "coefficient": units.get(name, of_y)},
    )
