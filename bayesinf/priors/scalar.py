"""Proper priors of single parameters, each stated once and read four ways.

Each is a frozen dataclass that can draw itself with NumPy (``sample``), give its normalised log
density (``log_density``), map a standard normal onto itself (``from_normal``), put itself into a
PyMC model (``pymc``) and say itself in words (``str``). The PyMC variable is the definition; a test
holds the others to it. Fast routes use those, so that no fit pays for PyMC's start-up unless it
samples with PyMC.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special


def _doubles(*numbers):
    """PyTensor reads a Python float as float32 where that seems enough; these it leaves alone."""
    return [np.float64(number) for number in numbers]


def _positive(x):
    """Return where x is positive, and x with one in place of what is not: it has a logarithm."""
    x = np.asarray(x, dtype=float)
    return x > 0, np.where(x > 0, x, 1.0)


@dataclass(frozen=True)
class Normal:
    """N(mean, sd²)."""

    mean: float = 0.0
    sd: float = 1.0

    def sample(self, rng, size=None):
        """Draw from the prior."""
        return rng.normal(self.mean, self.sd, size)

    def log_density(self, x):
        """Normalised log density at x."""
        return -0.5 * ((x - self.mean) / self.sd) ** 2 - np.log(self.sd) - 0.5 * np.log(2 * np.pi)

    def from_normal(self, u):
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return self.mean + self.sd * np.asarray(u)

    def pymc(self, name, **kwargs):
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        return pm.Normal(name, *_doubles(self.mean, self.sd), **kwargs)

    def __str__(self):
        return f"Normal({self.mean:.4g}, {self.sd:.4g}²)"


@dataclass(frozen=True)
class LogNormal:
    """Normal in the logarithm: log x ~ N(log median, spread²), the default for positive scales."""

    median: float = 1.0
    spread: float = 1.0

    def sample(self, rng, size=None):
        """Draw from the prior."""
        return self.median * np.exp(self.spread * rng.standard_normal(size))

    def log_density(self, x):
        """Normalised log density at x; -inf where x is not positive."""
        inside, x = _positive(x)
        z = np.log(x / self.median) / self.spread
        found = -0.5 * z**2 - np.log(x) - np.log(self.spread) - 0.5 * np.log(2 * np.pi)
        return np.where(inside, found, -np.inf)

    def from_normal(self, u):
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return self.median * np.exp(self.spread * np.asarray(u))

    def pymc(self, name, **kwargs):
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        return pm.LogNormal(name, *_doubles(np.log(self.median), self.spread), **kwargs)

    def __str__(self):
        return f"log-normal({self.median:.4g}, ×/÷ {np.exp(self.spread):.3g})"


@dataclass(frozen=True)
class Uniform:
    """Flat between two bounds."""

    lower: float = 0.0
    upper: float = 1.0

    def sample(self, rng, size=None):
        """Draw from the prior."""
        return rng.uniform(self.lower, self.upper, size)

    def log_density(self, x):
        """Normalised log density at x; -inf outside the bounds."""
        inside = (x >= self.lower) & (x <= self.upper)
        return np.where(inside, -np.log(self.upper - self.lower), -np.inf)

    def from_normal(self, u):
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return self.lower + (self.upper - self.lower) * special.ndtr(u)

    def pymc(self, name, **kwargs):
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        return pm.Uniform(name, *_doubles(self.lower, self.upper), **kwargs)

    def __str__(self):
        return f"Uniform({self.lower:.4g}, {self.upper:.4g})"


@dataclass(frozen=True)
class LogUniform:
    """Flat in the logarithm between two positive bounds: p(x) = 1 / (x log(upper / lower))."""

    lower: float
    upper: float

    def sample(self, rng, size=None):
        """Draw from the prior."""
        return np.exp(rng.uniform(np.log(self.lower), np.log(self.upper), size))

    def log_density(self, x):
        """Normalised log density at x; -inf outside the bounds."""
        x = np.asarray(x, dtype=float)
        inside = (x >= self.lower) & (x <= self.upper)
        log_x = np.log(np.where(inside, x, 1.0))
        return np.where(inside, -log_x - np.log(np.log(self.upper / self.lower)), -np.inf)

    def from_normal(self, u):
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return self.lower * (self.upper / self.lower) ** special.ndtr(u)

    def pymc(self, name, **kwargs):
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        lower, upper = _doubles(np.log(self.lower), np.log(self.upper))
        return pm.CustomDist(
            name,
            dist=lambda size: pm.math.exp(pm.Uniform.dist(lower, upper, size=size)),
            transform=pm.distributions.transforms.Interval(self.lower, self.upper),
            **kwargs,
        )

    def __str__(self):
        return f"log-uniform({self.lower:.4g}, {self.upper:.4g})"


@dataclass(frozen=True)
class Beta:
    """Beta(a, b) on a probability."""

    a: float = 1.0
    b: float = 1.0

    def sample(self, rng, size=None):
        """Draw from the prior."""
        return rng.beta(self.a, self.b, size)

    def log_density(self, x):
        """Normalised log density at x; -inf outside [0, 1]."""
        x = np.asarray(x, dtype=float)
        found = (
            special.xlogy(self.a - 1, x)
            + special.xlog1py(self.b - 1, -x)
            - special.betaln(self.a, self.b)
        )
        return np.where((x >= 0) & (x <= 1), found, -np.inf)

    def from_normal(self, u):
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return special.betaincinv(self.a, self.b, special.ndtr(u))

    def pymc(self, name, **kwargs):
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        return pm.Beta(name, *_doubles(self.a, self.b), **kwargs)

    def __str__(self):
        return f"Beta({self.a:.4g}, {self.b:.4g})"


@dataclass(frozen=True)
class HalfCauchy:
    """Half-Cauchy on a scale: p(x) = 2 / (π s (1 + x²/s²)), the default for prior widths.

    It is flat near zero, so it lets a scale shrink, and heavy-tailed, so it lets one grow: Gelman,
    Bayesian Analysis 1, 515 (2006), doi:10.1214/06-BA117A.
    """

    scale: float = 1.0

    def sample(self, rng, size=None):
        """Draw from the prior."""
        return self.scale * np.abs(rng.standard_cauchy(size))

    def log_density(self, x):
        """Normalised log density at x; -inf where x is negative."""
        x = np.asarray(x, dtype=float)
        found = np.log(2 / (np.pi * self.scale)) - np.log1p((x / self.scale) ** 2)
        return np.where(x >= 0, found, -np.inf)

    def from_normal(self, u):
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return self.scale * np.tan(0.5 * np.pi * special.ndtr(u))

    def pymc(self, name, **kwargs):
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        return pm.HalfCauchy(name, *_doubles(self.scale), **kwargs)

    def __str__(self):
        return f"half-Cauchy({self.scale:.4g})"


@dataclass(frozen=True)
class InverseChi:
    """Scaled inverse χ on a standard deviation: σ² ~ Inv-χ²(ν, s²), the default for noise.

        p(σ) ∝ σ^{-(ν+1)} exp(-ν s² / 2σ²)

    It weighs as much as ν observations of size s, keeps σ away from zero when the data show no
    noise at all, and has a heavy upper tail.
    """

    dof: float = 1.0
    scale: float = 1.0

    def sample(self, rng, size=None):
        """Draw from the prior."""
        return self.scale * np.sqrt(self.dof / rng.chisquare(self.dof, size))

    def log_density(self, x):
        """Normalised log density at x; -inf where x is not positive."""
        inside, x = _positive(x)
        half, rate = self.dof / 2, self.dof * self.scale**2 / 2
        found = (
            np.log(2)
            + half * np.log(rate)
            - special.gammaln(half)
            - (self.dof + 1) * np.log(x)
            - rate / np.square(x)
        )
        return np.where(inside, found, -np.inf)

    def from_normal(self, u):
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return self.scale * np.sqrt(self.dof / special.chdtri(self.dof, special.ndtr(u)))

    def pymc(self, name, **kwargs):
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        half, rate = _doubles(self.dof / 2, self.dof * self.scale**2 / 2)
        return pm.CustomDist(
            name,
            dist=lambda size: pm.math.sqrt(pm.InverseGamma.dist(half, rate, size=size)),
            transform=pm.distributions.transforms.log,
            **kwargs,
        )

    def __str__(self):
        return f"inverse-χ({self.dof:.4g}, {self.scale:.4g})"


Prior = Normal | LogNormal | Uniform | LogUniform | Beta | HalfCauchy | InverseChi
