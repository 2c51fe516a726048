"""One curve on one data set: what is inferred, and the density of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError, FitError
from bayesinf.models import noise as measurement
from bayesinf.models.curve.evaluation import Curve, free
from bayesinf.models.curve.optimum import Optimum, least_squares
from bayesinf.priors import LogUniform, Prior, Uniform
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import lmfit

NOISE = "noise"


class Problem:
    """The posterior of a curve's parameters as a density, and least squares.

    A point θ holds the free parameters in lmfit's order and then, where it is inferred, the noise.
    Arguments are as for ``fit``.
    """

    def __init__(
        self,
        model: lmfit.Model,
        params: lmfit.Parameters,
        x: np.ndarray,
        y: np.ndarray,
        error: np.ndarray | None = None,
        *,
        priors: Mapping[str, Prior] | None = None,
        starts: Sequence[Mapping[str, float]] = ({},),
        ordered: Sequence[Sequence[str]] = (),
        settings: Settings = DEFAULT,
    ):
        from bayesinf.data import curve_from_arrays

        if error is not None and np.ndim(error) == 0:
            error = np.full(np.shape(y), float(error))
        self.inferred = error is None  # the noise
        self.free = free(params)
        found = curve_from_arrays(x, y, error, least=len(self.free) + 1)
        self.data = found.rename({found.attrs["x"]: "x", found.attrs["y"]: "y"})
        x, self.y, self.error = (
            self.data[name].values.astype(float) if name in self.data else None
            for name in ("x", "y", "error")
        )
        self.curve = Curve(model, params, x)
        self.names = self.free + [NOISE] * self.inferred
        self.given, self.starts, self.ordered = dict(priors or {}), starts, ordered
        self.settings = settings
        self.keys = [component[0] for component in ordered]  # these are kept ascending
        self._validate()
        self.columns = [self.free.index(name) for name in self.keys]
        # By which keeping one order of N raises the density of these.
        self.log_orders = np.sum(np.log(np.arange(1, len(self.keys) + 1)))

    def _validate(self):
        if NOISE in self.curve.params:
            raise FitError(f"a parameter may not be called {NOISE!r}: rename it in the lmfit model")
        for word, names in (
            ("prior", [name for name in self.given if name != NOISE]),
            *(("start", start) for start in self.starts),
            *(("place", component) for component in self.ordered),
        ):
            for name in names:
                if name not in self.free:
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
    def optimum(self) -> Optimum:
        """Least squares."""
        return least_squares(self)

    def classical(self) -> dict[str, dict[str, np.ndarray]]:
        """Optimum and standard error, those of tied parameters by propagation."""
        best = self.optimum
        optimum = dict(zip(self.free, best.theta, strict=True))
        errors = dict(zip(self.free, best.standard_error, strict=True))
        if self.inferred:
            optimum[NOISE], errors[NOISE] = best.scale, best.scale / np.sqrt(2 * best.dof)
        shifts = 1e-3 * best.scale * np.linalg.cholesky(best.covariance).T
        with np.errstate(all="ignore"):
            optimum |= self.curve.tied(best.theta)
            up, down = (self.curve.tied(best.theta + side * shifts) for side in (1, -1))
        errors |= {name: np.linalg.norm((up[name] - down[name]) / 2e-3) for name in up}
        return {"optimum": optimum, "standard_error": errors}

    # The density

    @cached_property
    def priors(self) -> dict[str, Prior]:
        """Name to prior of all that is inferred, the defaults filled in."""
        given, extent = self.given, np.ptp(self.y)
        priors = {name: given.get(name) or self._flat(i) for i, name in enumerate(self.free)}
        if self.inferred:
            priors[NOISE] = given.get(NOISE, LogUniform(1e-6 * extent, 10 * extent))
        return priors

    def _flat(self, i):
        """Flat between lmfit's bounds; an open side ends 100 standard errors from the optimum."""
        p, best = self.curve.params[self.free[i]], self.optimum
        reach = 100 * best.standard_error[i]
        lower = p.min if np.isfinite(p.min) else float(best.theta[i] - reach)
        upper = p.max if np.isfinite(p.max) else float(best.theta[i] + reach)
        return Uniform(lower, upper)

    def noise(self, theta: np.ndarray) -> np.ndarray:
        """Sd of the noise, to be broadcast against the mean."""
        return theta[..., -1:] if self.inferred else self.error

    def log_priors(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Log density of each factor of the prior."""
        factors = enumerate(self.priors.items())
        terms = {name: prior.log_density(theta[..., i]) for i, (name, prior) in factors}
        if len(self.keys) > 1:
            ascend = np.all(np.diff(theta[..., self.columns]) > 0, axis=-1)
            terms["order"] = np.where(ascend, self.log_orders, -np.inf)
        return terms

    def log_density(self, theta: np.ndarray) -> np.ndarray:
        """Log of likelihood times prior, normalised: (..., parameter) -> (...)."""
        with np.errstate(all="ignore"):
            terms = measurement.log_density(self.y, self.curve(theta), self.noise(theta))
            total = np.sum(terms, axis=-1) + sum(self.log_priors(theta).values())
        return np.where(np.isfinite(total), total, -np.inf)

    def sorted(self, theta: np.ndarray) -> np.ndarray:
        """Exchange whole components of a point so that their keys ascend."""
        places = [[self.free.index(name) for name in component] for component in self.ordered]
        result = theta.copy()
        by_key = sorted(places, key=lambda place: theta[place[0]])
        for place, source in zip(places, by_key, strict=True):
            result[place] = theta[source]
        return result

    def sample_prior(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Draw points from the prior, (1, size, parameter)."""
        theta = np.stack([prior.sample(rng, size) for prior in self.priors.values()], axis=-1)
        theta[:, self.columns] = np.sort(theta[:, self.columns], axis=-1)
        return theta[None]
