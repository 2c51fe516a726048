"""Proper priors of positive numbers, above all of standard deviations and widths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy

from bayesinf.errors import DataError
from bayesinf.priors.scalar import Number, Prior, Size, doubles

__all__ = [
    "Exponential",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "InverseChi",
    "InverseGamma",
    "LogNormal",
    "OnVariance",
    "Positive",
]


def _inside(x: Number) -> tuple[np.ndarray, np.ndarray]:
    """Return where x is positive, and x with one in place of what is not: it has a logarithm."""
    x = np.asarray(x, dtype=float)
    return x > 0, np.where(x > 0, x, 1.0)


@dataclass(frozen=True)
class Positive(Prior):
    """A prior of a number above zero, without an end."""

    @property
    def support(self) -> tuple[float, float]:
        """Ends of where the density is not zero."""
        return 0.0, np.inf


@dataclass(frozen=True)
class LogNormal(Positive):
    """Normal in the logarithm: log x ~ N(log median, spread²), the default for positive scales."""

    median: float = 1.0
    spread: float = 1.0
    positive = ("median", "spread")

    def sample(self, rng: np.random.Generator, size: Size = None) -> Number:
        """Draw from the prior."""
        return self.median * np.exp(self.spread * rng.standard_normal(size))

    def log_density(self, x: Number) -> Number:
        """Normalised log density at x; -inf where x is not positive."""
        inside, x = _inside(x)
        z = np.log(x / self.median) / self.spread
        found = -0.5 * z**2 - np.log(x) - np.log(self.spread) - 0.5 * np.log(2 * np.pi)
        return np.where(inside, found, -np.inf)

    def from_normal(self, u: Number) -> Number:
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return self.median * np.exp(self.spread * np.asarray(u))

    def pymc(self, name: str, **kwargs: Any) -> Any:
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        return pm.LogNormal(name, *doubles(np.log(self.median), self.spread), **kwargs)

    def __str__(self):
        return f"log-normal({self.median:.4g}, ×/÷ {np.exp(self.spread):.3g})"


@dataclass(frozen=True)
class HalfNormal(Positive):
    """|x| of x ~ N(0, sd²)."""

    sd: float = 1.0
    positive = ("sd",)

    def log_density(self, x: Number) -> Number:
        """Normalised log density at x; -inf where x is negative."""
        x = np.asarray(x, dtype=float)
        found = -0.5 * (x / self.sd) ** 2 - np.log(self.sd) + 0.5 * np.log(2 / np.pi)
        return np.where(x >= 0, found, -np.inf)

    def from_normal(self, u: Number) -> Number:
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return -self.sd * scipy.special.ndtri(scipy.special.ndtr(-np.asarray(u)) / 2)

    def pymc(self, name: str, **kwargs: Any) -> Any:
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        return pm.HalfNormal(name, *doubles(self.sd), **kwargs)

    def __str__(self):
        return f"half-Normal({self.sd:.4g}²)"


@dataclass(frozen=True)
class HalfCauchy(Positive):
    """Half-Cauchy on a scale: p(x) = 2 / (π s (1 + x²/s²)), the default for prior widths.

    It is flat near zero, so it lets a scale shrink, and heavy-tailed, so it lets one grow: Gelman,
    Bayesian Analysis 1, 515 (2006), doi:10.1214/06-BA117A.
    """

    scale: float = 1.0
    positive = ("scale",)

    def sample(self, rng: np.random.Generator, size: Size = None) -> Number:
        """Draw from the prior."""
        return self.scale * np.abs(rng.standard_cauchy(size))

    def log_density(self, x: Number) -> Number:
        """Normalised log density at x; -inf where x is negative."""
        x = np.asarray(x, dtype=float)
        found = np.log(2 / (np.pi * self.scale)) - np.log1p((x / self.scale) ** 2)
        return np.where(x >= 0, found, -np.inf)

    def from_normal(self, u: Number) -> Number:
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return self.scale * np.tan(0.5 * np.pi * scipy.special.ndtr(u))

    def pymc(self, name: str, **kwargs: Any) -> Any:
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        return pm.HalfCauchy(name, *doubles(self.scale), **kwargs)

    def __str__(self):
        return f"half-Cauchy({self.scale:.4g})"


@dataclass(frozen=True)
class Exponential(Positive):
    """p(x) = rate exp(-rate x), of mean 1 / rate."""

    rate: float = 1.0
    positive = ("rate",)

    def log_density(self, x: Number) -> Number:
        """Normalised log density at x; -inf where x is negative."""
        x = np.asarray(x, dtype=float)
        return np.where(x >= 0, np.log(self.rate) - self.rate * x, -np.inf)

    def from_normal(self, u: Number) -> Number:
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return -scipy.special.log_ndtr(-np.asarray(u)) / self.rate

    def pymc(self, name: str, **kwargs: Any) -> Any:
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        return pm.Exponential(name, *doubles(self.rate), **kwargs)

    def __str__(self):
        return f"exponential(rate {self.rate:.4g})"


@dataclass(frozen=True)
class Gamma(Positive):
    """p(x) ∝ x^(shape - 1) exp(-rate x), of mean shape / rate."""

    shape: float
    rate: float = 1.0
    positive = ("shape", "rate")

    def log_density(self, x: Number) -> Number:
        """Normalised log density at x; -inf where x is not positive."""
        inside, x = _inside(x)
        constant = self.shape * np.log(self.rate) - scipy.special.gammaln(self.shape)
        return np.where(inside, constant + (self.shape - 1) * np.log(x) - self.rate * x, -np.inf)

    def from_normal(self, u: Number) -> Number:
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return _unit_gamma(self.shape, u) / self.rate

    def pymc(self, name: str, **kwargs: Any) -> Any:
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        return pm.Gamma(name, *doubles(self.shape, self.rate), **kwargs)

    def __str__(self):
        return f"Gamma({self.shape:.4g}, rate {self.rate:.4g})"


@dataclass(frozen=True)
class InverseGamma(Positive):
    """1 / x of x ~ Gamma(shape, scale): p(x) ∝ x^-(shape + 1) exp(-scale / x)."""

    shape: float
    scale: float = 1.0
    positive = ("shape", "scale")

    def log_density(self, x: Number) -> Number:
        """Normalised log density at x; -inf where x is not positive."""
        inside, x = _inside(x)
        constant = self.shape * np.log(self.scale) - scipy.special.gammaln(self.shape)
        return np.where(inside, constant - (self.shape + 1) * np.log(x) - self.scale / x, -np.inf)

    def from_normal(self, u: Number) -> Number:
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return self.scale / _unit_gamma(self.shape, -np.asarray(u))

    def pymc(self, name: str, **kwargs: Any) -> Any:
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        return pm.InverseGamma(name, *doubles(self.shape, self.scale), **kwargs)

    def __str__(self):
        return f"inverse-Gamma({self.shape:.4g}, scale {self.scale:.4g})"


@dataclass(frozen=True)
class InverseChi(Positive):
    """Scaled inverse χ on a standard deviation: σ² ~ Inv-χ²(ν, s²), the default for noise.

        p(σ) ∝ σ^{-(ν+1)} exp(-ν s² / 2σ²)

    It weighs as much as ν observations of size s, keeps σ away from zero when the data show no
    noise at all, and has a heavy upper tail.
    """

    dof: float = 1.0
    scale: float = 1.0
    positive = ("dof", "scale")

    def sample(self, rng: np.random.Generator, size: Size = None) -> Number:
        """Draw from the prior."""
        return self.scale * np.sqrt(self.dof / rng.chisquare(self.dof, size))

    def log_density(self, x: Number) -> Number:
        """Normalised log density at x; -inf where x is not positive."""
        inside, x = _inside(x)
        half, rate = self.dof / 2, self.dof * self.scale**2 / 2
        found = (
            np.log(2)
            + half * np.log(rate)
            - scipy.special.gammaln(half)
            - (self.dof + 1) * np.log(x)
            - rate / np.square(x)
        )
        return np.where(inside, found, -np.inf)

    def from_normal(self, u: Number) -> Number:
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return self.scale * np.sqrt(
            self.dof / scipy.special.chdtri(self.dof, scipy.special.ndtr(u))
        )

    def pymc(self, name: str, **kwargs: Any) -> Any:
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        half, rate = doubles(self.dof / 2, self.dof * self.scale**2 / 2)
        return pm.CustomDist(
            name,
            dist=lambda size: pm.math.sqrt(pm.InverseGamma.dist(half, rate, size=size)),
            transform=pm.distributions.transforms.log,
            **kwargs,
        )

    def __str__(self):
        return f"inverse-χ({self.dof:.4g}, {self.scale:.4g})"


@dataclass(frozen=True)
class OnVariance(Positive):
    """A prior of a standard deviation x, stated of its variance: x² ~ ``variance``.

    p(x) = 2 x p_variance(x²)
    """

    variance: Prior

    def checked(self) -> Self:
        """Return the prior itself, or raise DataError."""
        if self.variance.support[0] < 0:
            raise DataError(
                "a prior of a variance reaches below zero",
                expected="a prior of positive numbers",
                found=self.variance,
            )
        self.variance.checked()
        return self

    @property
    def support(self) -> tuple[float, float]:
        """Ends of where the density is not zero."""
        low, high = self.variance.support
        return low**0.5, high**0.5

    def log_density(self, x: Number) -> Number:
        """Normalised log density at x; -inf where x is not positive."""
        inside, x = _inside(x)
        return np.where(inside, self.variance.log_density(x**2) + np.log(2 * x), -np.inf)

    def from_normal(self, u: Number) -> Number:
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return np.sqrt(self.variance.from_normal(u))

    def pymc(self, name: str, **kwargs: Any) -> Any:
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        def dist(size):
            with pm.Model(model=None):  # the square is no variable of the open model
                return pm.math.sqrt(self.variance.pymc("square", shape=size))

        log = pm.distributions.transforms.log
        return pm.CustomDist(name, dist=dist, transform=log, **kwargs)

    def __str__(self):
        return f"square ~ {self.variance}"


def _unit_gamma(shape, u):
    """The value that stands in Gamma(shape, 1) where u stands in N(0, 1), from the nearer tail."""
    u = np.asarray(u, dtype=float)
    tail = scipy.special.ndtr(-np.abs(u))
    upper = scipy.special.gammainccinv(shape, tail)
    return np.where(u > 0, upper, scipy.special.gammaincinv(shape, tail))
