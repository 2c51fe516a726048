"""The linear family, defined.

    y = Xf + Σ_k z_k α_k + o + ε,   f = m + C(wβ) + Nγ,   ε_i ~ N(0, (σ e_i)²)

A ``Regression`` holds what is fitted with every prior stated, and answers all that a ``Problem`` is
asked. Its ``pymc`` is the model; everything else in this package is a faster way to the same
posterior, and sees no more of it than its ``designs``. The log likelihood and the prior's factors
that a fit stores add up to this model's log density, which the tests check draw by draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models import noise as measurement
from bayesinf.models.linear import routes
from bayesinf.models.linear.basis import Basis
from bayesinf.models.linear.design import Design, Rest
from bayesinf.models.linear.statement import statement
from bayesinf.models.noise import Discrepancy, Measured
from bayesinf.models.problem import Draws, Labels, Route
from bayesinf.priors import Normal, Prior
from bayesinf.priors.weights import Gaussian, WeightPrior
from bayesinf.settings import Settings

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

__all__ = ["Groups", "Names", "Regression"]

FEWEST = 50  # draws from the prior that are always looked at
PICTURE = 2**30  # products of a feature and a weight that the prior predictive picture may take
SELDOM = 0.1  # share of draws up to which a product of a column goes draw by draw


@dataclass(frozen=True)
class Names:
    """What a regression's arrays are called in its result.

    Parameters
    ----------
    coefficient : the coefficients.
    data : the data.
    dims : dimensions of observations and of features.
    coords : coordinates along them.
    units : unit of every variable that has one, and of the data by their name.
    """

    coefficient: str = "beta"
    data: str = "y"
    dims: tuple[str, str] = ("observation", "feature")
    coords: Mapping[str, object] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Groups:
    """Which rows belong to which of several regressions that share the prior's scale.

    Parameters
    ----------
    dim : what the groups are, the dimension of the result.
    labels : of the groups, (group,).
    codes : group of each row, (observation,).
    """

    dim: str
    labels: np.ndarray
    codes: np.ndarray

    @cached_property
    def rows(self) -> list[np.ndarray]:
        """The rows of each group."""
        return [np.flatnonzero(self.codes == g) for g in range(len(self.labels))]


@dataclass(frozen=True)
class Regression(Measured):
    """Data and priors of one linear fit, or of many that share the prior's scale.

    Parameters
    ----------
    X : features, (observation, feature).
    y : data, (observation,).
    prior : the prior of the weights β, resolved.
    noise : σ, a number or a prior.
    unshrunk : name to column (observation,) and normal prior; the intercept is one.
    basis : C and its null space, the priors resolved; None where f are the weights themselves.
    means : m, the prior means of f, (feature,); None for zero.
    scales : w, widths of the weights relative to each other, (weight,); None for ones.
    error : e, the known part of the noise, (observation,); None for ones.
    groups : which rows belong together; None for one regression.
    centre : what is taken off the features for the prior of the intercept, (feature,); None for
        nothing.
    names : what all this is called in the result.
    known : what goes into ``constant_data`` in place of the features.
    further : discrepancies besides those of every linear fit.
    offset : o, the known part of the mean, or of what a link makes the mean of, (observation,);
        None for nothing.
    rests : of each group, data beyond its rows that no feature reaches, as ``design.compressed``
        leaves them; none for none.
    first : how many of the rows the defaults of its priors looked at; None for all.
    weights_read : whether the weights themselves are an answer; where only predictions are, weights
        that are not like draws from their prior are a remark, and no fault.
    """

    X: np.ndarray
    y: np.ndarray
    prior: WeightPrior
    noise: float | Prior
    unshrunk: Mapping[str, tuple[np.ndarray, Normal]] = field(default_factory=dict)
    basis: Basis | None = None
    means: np.ndarray | None = None
    scales: np.ndarray | None = None
    error: np.ndarray | None = None
    groups: Groups | None = None
    centre: np.ndarray | None = None
    names: Names = Names()
    known: xr.Dataset | None = None
    further: Mapping[str, Discrepancy] = field(default_factory=dict)
    offset: np.ndarray | None = None
    rests: tuple[Rest, ...] = ()
    first: int | None = None
    weights_read: bool = True

    family = "linear"

    @property
    def model(self) -> str:
        """Name of the prior's class."""
        return type(self.prior).__name__

    @property
    def equation(self) -> str:
        """The model in LaTeX."""
        rest = r" + Z\alpha" if self.unshrunk else ""
        signal = rf"X\beta{rest}" if self.basis is None else rf"Xf{rest},\; f = C\beta"
        known = r"e_i^2" if self.error is not None else ""
        spread = rf"\sigma^2 {known}".strip()
        return rf"y = {signal} + \varepsilon,\quad \varepsilon_i \sim N(0, {spread})"

    @property
    def shape(self) -> tuple[int, int]:
        """Observations and features."""
        return self.X.shape

    @property
    def weights(self) -> int:
        """Number of weights β of one regression."""
        return self.shape[1] if self.basis is None else self.basis.matrix.shape[1]

    @property
    def noise_fixed(self) -> bool:
        """Whether the caller knows σ."""
        return isinstance(self.noise, int | float)

    @property
    def free(self) -> dict[str, Normal]:
        """Names and priors of all coefficients that have a normal prior of their own."""
        null = {} if self.basis is None else self.basis.null
        return {name: prior for name, (_, prior) in {**self.unshrunk, **null}.items()}

    # What the routes see, and the way back

    @cached_property
    def designs(self) -> tuple[Design, ...]:
        """The regression as its routes see it, one design for each group."""
        X = self.X if self.centre is None else self.X - self.centre
        columns = [column for column, _ in self.unshrunk.values()]
        features = X
        offset = np.zeros(len(X)) if self.offset is None else self.offset
        if self.means is not None:
            offset = offset + X @ self.means
        if self.basis is not None:
            columns += list((X @ self.basis.columns).T)
            features = X @ self.basis.matrix
        if self.scales is not None:
            features = features * self.scales
        columns = np.stack(columns, axis=1) if columns else np.zeros((len(X), 0))
        sd = np.array([prior.sd for prior in self.free.values()])
        offset = offset + columns @ np.array([prior.mean for prior in self.free.values()])
        columns, target, log_jacobian = columns * sd, self.y - offset, np.zeros(len(X))
        if self.error is not None:
            per = self.error[:, np.newaxis]
            features, columns, target = features / per, columns / per, target / self.error
            log_jacobian = -np.log(self.error)
        parts = features, columns, target, log_jacobian
        every = [slice(None)] if self.groups is None else self.groups.rows
        rests = self.rests or (Rest(),) * len(every)
        return tuple(
            Design(*(part[rows] for part in parts), rest)
            for rows, rest in zip(every, rests, strict=True)
        )

    @property
    def design(self) -> Design:
        """The design of the one regression.

        Raises
        ------
        FitError : there are several.
        """
        if len(self.designs) > 1:
            raise FitError("this way is for one regression, and there are several groups")
        return self.designs[0]

    def inner(self, draws: Draws) -> dict[str, np.ndarray]:
        """Draws with the weights called ``beta``, as the modules of this package do, and the
        intercept at the centre of the features.
        """
        found = {k: v for k, v in draws.items() if k != self.names.coefficient}
        f = draws[self.names.coefficient]
        if self.centre is not None:
            found["intercept"] = found["intercept"] + f @ self.centre
        if self.means is not None:
            f = f - self.means
        if self.basis is not None:
            for name, (column, _) in self.basis.null.items():
                f = f - found[name][..., np.newaxis] * column
            f = self.basis.weights(f)
        return found | {"beta": f if self.scales is None else f / self.scales}

    def outer(self, draws: Draws) -> dict[str, np.ndarray]:
        """Draws with the coefficients as the caller calls and scales them, of those that a route
        makes: ``beta``, and ``alpha`` (..., free) that are standard normal in the prior.
        """
        found = {k: v for k, v in draws.items() if k not in ("beta", "alpha")}
        for k, (name, prior) in enumerate(self.free.items()):
            found[name] = prior.mean + prior.sd * draws["alpha"][..., k]
        f = draws["beta"] if self.scales is None else draws["beta"] * self.scales
        if self.basis is not None:
            f = f @ self.basis.matrix.T
            for name, (column, _) in self.basis.null.items():
                f = f + found[name][..., np.newaxis] * column
        if self.means is not None:
            f = f + self.means
        if self.centre is not None:
            found["intercept"] = found["intercept"] - f @ self.centre
        return {self.names.coefficient: f} | found

    def coefficient_map(self):
        """The map from weights and unshrunk coefficients to f.

        Returns
        -------
        T, (feature, weight), sparse where it is diagonal, N, (feature, free), and an offset
        (feature,): f = T β + N α + offset, with β and α as routes draw them.
        """
        from scipy import sparse

        count, names = self.shape[1], list(self.free)
        widths = np.ones(self.weights) if self.scales is None else self.scales
        diagonal = self.basis is None
        # By rows: a product of diagonals goes through the columns of the other matrix one by one.
        T = sparse.diags_array(widths).tocsr() if diagonal else self.basis.matrix * widths
        N, offset = np.zeros((count, len(names))), np.zeros(count)
        offset = offset if self.means is None else offset + self.means
        if self.basis is not None:
            for name, (column, prior) in self.basis.null.items():
                N[:, names.index(name)] = prior.sd * column
                offset = offset + prior.mean * column
        return T, N, offset

    # What things are called

    @property
    def _own(self) -> tuple[str, ...]:
        """Dimensions of what every group has of its own."""
        return () if self.groups is None else (self.groups.dim,)

    @property
    def parameters(self) -> Labels:
        """Labels of coefficients, scales and noise."""
        names, (_, column) = self.names, self.names.dims
        weight = column if self.basis is None else "weight"
        dims = {names.coefficient: (*self._own, column)}
        dims |= {"included": (*self._own, weight)}
        dims |= dict.fromkeys((*self.free, "sigma"), self._own)
        if self.noise_fixed:
            del dims["sigma"]
        coords = dict(names.coords) | ({self._own[0]: self.groups.labels} if self._own else {})
        units = dict(names.units)
        if getattr(self.prior, "relative", False):  # to the noise: a pure number
            units["scale"] = "1"
        return Labels(dims, coords, units)

    @property
    def data(self) -> Labels:
        """Labels of the data."""
        name, row = self.names.data, self.names.dims[0]
        coords = {row: self.names.coords[row]} if row in self.names.coords else {}
        return Labels({name: (row,)}, coords, {name: self.names.units.get(name, "1")})

    @property
    def observed(self) -> xr.Dataset:
        """The data."""
        return self.data.group({self.names.data: self.y}, sampled=False)

    @property
    def constants(self) -> xr.Dataset:
        """The features, or what the caller wants kept in their place, and what else is known."""
        row, of_y = self.names.dims[0], self.names.units.get(self.names.data, "1")
        arrays = {} if self.known is not None else {"X": self.X}
        arrays |= {
            f"{name}_column": column
            for name, (column, _) in self.unshrunk.items()
            if name != "intercept"
        }
        arrays |= {} if self.error is None else {"error": self.error}
        arrays |= {} if self.offset is None else {"offset": self.offset}
        arrays |= {} if self.groups is None else {"group_of_row": self.groups.codes}
        dims = {name: (row,) for name in arrays} | {"X": self.names.dims}
        found = Labels(dims, self.names.coords, {"error": of_y}).group(arrays, sampled=False)
        return found if self.known is None else self.known.merge(found)

    @property
    def priors(self) -> dict[str, str]:
        """Every prior in words."""
        words = self.prior.words()
        if self.scales is not None:
            words = (
                f"width × {words}, width from {self.scales.min():.3g} to {self.scales.max():.3g}"
            )
        if self.means is not None:
            words = f"its mean + {words}"
        if self.basis is not None:
            words = f"{self.basis.said} ~ {words}"
        said = {self.names.coefficient: words} | self.prior.hyperparameters
        said |= {"sigma": self.noise} | self.free
        fixed = self.prior.fixed | ({"sigma": self.noise} if self.noise_fixed else {})
        found = {k: f"{v} (fixed)" if k in fixed else str(v) for k, v in said.items()}
        if self.centre is not None:
            found["intercept"] += " at the mean of the features"
        return found

    @property
    def fixed(self) -> dict[str, float]:
        """What the caller has fixed."""
        return self.prior.fixed | ({"sigma": float(self.noise)} if self.noise_fixed else {})

    @property
    def hyperparameters(self) -> list[str]:
        """Factors of the prior that are none of the coefficients'."""
        inferred = list(self.prior.inferred) + ([] if self.noise_fixed else ["sigma"])
        return inferred + list(self.free)

    @property
    def attrs(self) -> dict[str, object]:
        """The priors to the last digit, where data can be added; whether the scale of a Laplace
        prior is in units of the noise.
        """
        relative = getattr(self.prior, "relative", None)
        said = statement(self) if type(self) is Regression else {}
        return said | ({} if relative is None else {"relative": int(relative)})

    @property
    def discrepancies(self) -> dict[str, Discrepancy]:
        """Statistics of the residuals, their memory where rows have an order; the caller's join."""
        groups = None if self.groups is None else self.groups.codes
        order = measurement.neighbours_of(self.names.coords, self.names.dims[0], groups)
        return measurement.asked(order, known=self.noise_fixed, further=self.further)

    @property
    def routes(self) -> dict[str, Route]:
        """The prior's own route, and NUTS where the prior is continuous."""
        return routes.of_prior(self.prior)

    # Evidence

    def log_evidence(self) -> float:
        """Log probability of the data, all parameters integrated out: log p(y).

        Returns
        -------
        the log of the density of y in the caller's unit.

        Raises
        ------
        FitError : the prior is not normal, so that there is no closed form.
        """
        if not isinstance(self.prior, Gaussian):
            raise FitError(f"no evidence in closed form under {self.model}: use the normal prior")
        return routes.closed(self).log_evidence

    def widened(self, factor: float) -> Regression:
        """Return the same regression with every unshrunk and null prior wider by a factor."""

        def wide(columns):
            return {
                name: (column, replace(prior, sd=factor * prior.sd))
                for name, (column, prior) in columns.items()
            }

        basis = self.basis and replace(self.basis, null=wide(self.basis.null))
        return replace(self, unshrunk=wide(self.unshrunk), basis=basis)

    # Densities and draws

    def pymc(self, *, centred: bool = False) -> pm.Model:
        """Define the model in PyMC.

        Parameters
        ----------
        centred : whether the weights themselves are the free variables; with weak data the samplers
            of PyMC move better on standardised ones.

        Returns
        -------
        a ``pymc.Model`` with the coefficients, those that are unshrunk, ``sigma`` and the prior's
        hyperparameters.
        """
        import pymc as pm

        name, own, mapped = self.names.coefficient, self._own, self._is_mapped
        coords = {"feature": np.arange(self.shape[1]), "weight": np.arange(self.weights)}
        coords |= {own[0]: self.groups.labels} if own else {}
        with pm.Model(coords=coords) as model:
            sigma = float(self.noise) if self.noise_fixed else self.noise.pymc("sigma", dims=own)
            per_row = sigma if self.noise_fixed or not own else sigma[self.groups.codes]
            wide = sigma[:, np.newaxis] if own and not self.noise_fixed else sigma
            dims = (*own, "weight" if self.basis is not None else "feature")
            f = self.prior.define(f"{name}_weight" if mapped else name, wide, dims, centred)
            free = {}
            for each, prior in self.free.items():
                label = (
                    f"{each}_centred" if each == "intercept" and self.centre is not None else each
                )
                free[each] = prior.pymc(label, dims=own)
            f = f if self.scales is None else f * self.scales
            if self.basis is not None:
                f = pm.math.dot(f, self.basis.matrix.T)
                for each, (column, _) in self.basis.null.items():
                    f = f + free[each][..., np.newaxis] * column
            f = f if self.means is None else f + self.means
            f = pm.Deterministic(name, f, dims=(*own, "feature")) if mapped else f
            if self.centre is not None:
                shifted = free["intercept"] - pm.math.dot(f, self.centre)
                free["intercept"] = pm.Deterministic("intercept", shifted, dims=own)
            mean = pm.math.sum(f[self.groups.codes] * self.X, axis=1) if own else self.X @ f
            for each, (column, _) in self.unshrunk.items():
                mean = mean + (free[each][self.groups.codes] if own else free[each]) * column
            mean = mean if self.offset is None else mean + self.offset
            self._observe(mean, per_row if self.error is None else per_row * self.error)
        return model

    def _observe(self, mean, noise):
        """Add the data to the open PyMC model."""
        import pymc as pm

        pm.Normal("y", mean, noise, observed=self.y)

    @property
    def _is_mapped(self) -> bool:
        """Whether f is anything but the weights themselves."""
        return any(part is not None for part in (self.basis, self.means, self.scales))

    def sample_prior(self, rng: np.random.Generator, size: int) -> Draws:
        """Draw all parameters from the prior, (size, ...)."""
        own = () if self.groups is None else (len(self.groups.labels),)
        fixed, shape = self.noise_fixed, (size, *own)
        sigma = np.full(shape, float(self.noise)) if fixed else self.noise.sample(rng, shape)
        draws = self.prior.sample(rng, size, (*own, self.weights), sigma)
        draws["alpha"] = rng.standard_normal((*shape, len(self.free)))
        return self.outer(draws if fixed else draws | {"sigma": sigma})

    def log_factors(self, draws: Draws) -> Draws:
        """Log density of each factor of the prior at each draw."""
        draws = self.inner(draws)
        own = (-1,) if self.groups is not None else ()
        draws = {"sigma": np.float64(self.noise), **draws} if self.noise_fixed else draws
        factors = self.prior.log_factors(draws, 1 + len(own))
        priors = self.free if self.noise_fixed else self.free | {"sigma": self.noise}
        for name, prior in priors.items():
            factors[name] = np.sum(prior.log_density(draws[name]), axis=own)
        name = self.names.coefficient
        return {name if k == "beta" else k: v for k, v in factors.items()}

    def prior_predictive(self, draws: Draws, settings: Settings) -> Draws:
        """Draw data from draws of the prior; of many rows and features from some of them."""
        some = max(FEWEST, PICTURE // self.X.size)
        return super().prior_predictive({k: v[:some] for k, v in draws.items()}, settings)

    def mean(self, draws: Draws) -> np.ndarray:
        """Mean of y, Xf + Σ z α, (..., observation)."""
        f = draws[self.names.coefficient]
        if self.groups is None:
            mean = self._fitted(f, draws.get("included"), self.X)
        else:
            mean = np.empty((*f.shape[:-2], len(self.y)))
            for g, rows in enumerate(self.groups.rows):
                mean[..., rows] = f[..., g, :] @ self.X[rows].T
        for name, (column, _) in self.unshrunk.items():
            mean = mean + self._of_rows(draws[name]) * column
        return mean if self.offset is None else mean + self.offset

    def _fitted(self, f, included, X):
        if included is None or self._is_mapped:
            return f @ X.T
        # Most columns are in no draw at all, and most others in few.
        share = np.mean(included, axis=tuple(range(f.ndim - 1)))
        often, seldom = share > SELDOM, (share > 0) & (share <= SELDOM)
        fitted = f[..., often] @ X[:, often].T
        if not seldom.any():
            return fitted
        from scipy import sparse

        rest = sparse.csr_array(f[..., seldom].reshape(-1, np.count_nonzero(seldom)))
        return fitted + (rest @ np.ascontiguousarray(X[:, seldom].T)).reshape(fitted.shape)

    def _of_rows(self, values):
        """What a parameter is in each row, (..., observation) or (..., 1)."""
        if self.groups is None:
            return np.asarray(values)[..., np.newaxis]
        return values[..., self.groups.codes]

    @property
    def stated(self) -> np.ndarray | None:
        """Error bars as stated; None where σ alone is the noise, and inferred."""
        if self.error is None:
            return np.float64(self.noise) if self.noise_fixed else None
        return self.error * (self.noise if self.noise_fixed else 1.0)

    def noise_sd(self, draws: Draws) -> np.ndarray:
        """Standard deviation of the noise, (..., 1) or (..., observation)."""
        sigma = np.float64(self.noise) if self.noise_fixed else self._of_rows(draws["sigma"])
        return sigma if self.error is None else sigma * self.error
