"""The linear family, defined: y = Xβ (+ intercept) + ε, ε ~ N(0, σ²).

A ``Regression`` holds what is fitted with every prior stated. ``definition`` writes it in PyMC, and
that is the model; everything else in this package is a faster way to the same posterior. The log
likelihood and the prior's factors that a fit stores add up to this model's log density, which the
tests check draw by draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayesinf.errors import DataError
from bayesinf.models.linear.priors import PRIORS, CoefficientPrior
from bayesinf.priors import InverseChi, Normal, Prior

# The default noise prior weighs one observation of a hundredth of the data's spread: it lets σ be
# anything, and keeps it from collapsing to zero where the data have no noise at all.
NOISE_WEIGHT, NOISE_FRACTION = 1.0, 0.01

# The default prior of an intercept is this many times wider than the data.
INTERCEPT_WIDTH = 10.0


@dataclass(frozen=True)
class Regression:
    """Data and priors of one linear fit.

    Parameters
    ----------
    X : features, (observation, feature).
    y : data, (observation,).
    prior : the coefficients' prior, resolved.
    noise : σ, a number or a prior.
    intercept : the intercept's prior, or None where there is no intercept.
    """

    X: np.ndarray
    y: np.ndarray
    prior: CoefficientPrior
    noise: float | Prior
    intercept: Normal | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Observations and features."""
        return self.X.shape

    @property
    def noise_fixed(self) -> bool:
        """Whether the caller knows σ."""
        return isinstance(self.noise, int | float)

    def sample_prior(self, rng, size: int) -> dict[str, np.ndarray]:
        """Draw all parameters from the prior, (size, ...)."""
        sigma = (
            np.full(size, float(self.noise)) if self.noise_fixed else self.noise.sample(rng, size)
        )
        draws = self.prior.sample(rng, size, self.shape[1], sigma)
        if self.intercept is not None:
            draws["intercept"] = self.intercept.sample(rng, size)
        return draws if self.noise_fixed else draws | {"sigma": sigma}

    def mean(self, draws: Mapping[str, np.ndarray]) -> np.ndarray:
        """Mean of y, (..., observation), for draws of ``beta`` (..., feature) and intercept."""
        beta, X = draws["beta"], self.X
        if "included" in draws:  # most columns are in no draw at all
            used = np.any(draws["included"], axis=tuple(range(beta.ndim - 1)))
            beta, X = beta[..., used], X[:, used]
        mean = beta @ X.T
        return mean + draws["intercept"][..., np.newaxis] if "intercept" in draws else mean

    def sentences(self) -> list[str]:
        """Say every prior, one line a parameter."""
        noise = f"sigma {'=' if self.noise_fixed else '~'} {self.noise}"
        alpha = [f"intercept ~ {self.intercept}"] if self.intercept else []
        return [*self.prior.sentences(), noise, *alpha]

    def log_factors(self, draws: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Log density of each factor of the prior at each draw."""
        draws = {"sigma": np.float64(self.noise), **draws} if self.noise_fixed else draws
        factors = self.prior.log_factors(draws)
        if not self.noise_fixed:
            factors["sigma"] = self.noise.log_density(draws["sigma"])
        if self.intercept is not None:
            factors["intercept"] = self.intercept.log_density(draws["intercept"])
        return factors


def regression(
    X: np.ndarray,
    y: np.ndarray,
    prior: str | CoefficientPrior = "normal",
    *,
    noise: float | Prior | None = None,
    intercept: bool | Normal = False,
) -> Regression:
    """Check the data and state every prior.

    Parameters
    ----------
    X, y : features (observation, feature) and data (observation,).
    prior : a name of ``PRIORS`` or an instance.
    noise : σ, or its prior; by default inverse-χ, worth one observation of sd(y) / 100.
    intercept : whether there is one, or its prior; by default N(mean(y), (10 sd(y))²).

    Raises
    ------
    DataError : shapes that do not fit, values that are not finite, y all equal, a bad scale.
    """
    X, y = np.asarray(X, dtype=float), np.asarray(y, dtype=float)
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
    for name, value in {"noise": noise, **prior.fixed}.items():
        if isinstance(value, int | float) and not value > 0:
            raise DataError(f"{name} is fixed at {value}", expected="a number above zero")
    return Regression(X, y, prior, noise, intercept or None)


def definition(problem: Regression, *, centred: bool = True):
    """Write the model in PyMC.

    Parameters
    ----------
    problem : what is fitted.
    centred : whether the coefficients themselves are the free variables; with weak data the
        samplers of PyMC move better on standardised ones.

    Returns
    -------
    a ``pymc.Model`` with the variables ``beta``, ``sigma`` and the prior's hyperparameters.
    """
    import pymc as pm

    with pm.Model(coords={"feature": np.arange(problem.shape[1])}) as model:
        sigma = float(problem.noise) if problem.noise_fixed else problem.noise.pymc("sigma")
        mean = pm.math.dot(problem.X, problem.prior.pymc(sigma, "feature", centred))
        if problem.intercept is not None:
            mean = mean + problem.intercept.pymc("intercept")
        pm.Normal("y", mean, sigma, observed=problem.y)
    return model
