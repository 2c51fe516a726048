"""Proper priors of single parameters, each stated once and read four ways.

Each is a frozen dataclass that can draw itself with NumPy (``sample``), give its normalised log
density (``log_density``), map a standard normal onto itself (``from_normal``), put itself into a
PyMC model (``pymc``) and say itself in words (``str``). The PyMC variable is the definition; a test
holds the others to it. Fast routes use those, so that no fit pays for PyMC's start-up unless it
samples with PyMC. Here are the priors of any number and of one between bounds; those of positive
numbers stand in ``positive``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import scipy

from bayesinf.errors import DataError

__all__ = [
    "Beta",
    "Interval",
    "LogUniform",
    "Normal",
    "Number",
    "Prior",
    "Size",
    "StudentT",
    "Uniform",
    "doubles",
]

Number = float | np.ndarray  # or an array of them
Size = int | tuple[int, ...] | None  # of draws, as NumPy takes it


def doubles(*numbers):
    """Numbers as PyTensor keeps them: a Python float it may read as float32."""
    return [np.float64(number) for number in numbers]


@dataclass(frozen=True)
class Prior:
    """A proper prior of one number: what every one of them can be asked.

    A subclass brings its formula: ``log_density``, ``from_normal``, ``pymc`` and its words.
    """

    positive: ClassVar[tuple[str, ...]] = ()  # those of its numbers that are above zero

    def checked(self) -> Self:
        """Return the prior itself.

        Raises
        ------
        DataError : a number that it cannot have.
        """
        for name, value in vars(self).items():
            lowest = 0.0 if name in self.positive else -np.inf
            if not lowest < value < np.inf:
                raise DataError(
                    f"{name} of a prior cannot be {value}",
                    source=type(self).__name__,
                    expected="a finite number" + " above zero" * (name in self.positive),
                )
        return self

    @property
    def support(self) -> tuple[float, float]:
        """Ends of where the density is not zero."""
        return -np.inf, np.inf

    def sample(self, rng: np.random.Generator, size: Size = None) -> Number:
        """Draw from the prior."""
        return self.from_normal(rng.standard_normal(size))

    def log_density(self, x: Number) -> Number:
        """Normalised log density at x; -inf outside the support."""
        raise NotImplementedError

    def from_normal(self, u: Number) -> Number:
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        raise NotImplementedError

    def pymc(self, name: str, **kwargs: Any) -> Any:
        """Add the variable ``name`` to the open PyMC model."""
        raise NotImplementedError


@dataclass(frozen=True)
class Interval(Prior):
    """A prior between two bounds, ``lower`` and ``upper``."""

    if TYPE_CHECKING:  # a subclass says where among its numbers they stand
        lower: float
        upper: float

    def checked(self) -> Self:
        """Return the prior itself, or raise DataError."""
        if not self.lower < self.upper:
            raise DataError(
                "the bounds of a prior leave nothing between them",
                source=type(self).__name__,
                expected="lower below upper",
                found=f"{self.lower:g} and {self.upper:g}",
            )
        return super().checked()

    @property
    def support(self) -> tuple[float, float]:
        """Ends of where the density is not zero."""
        return self.lower, self.upper


@dataclass(frozen=True)
class Normal(Prior):
    """N(mean, sd²)."""

    mean: float = 0.0
    sd: float = 1.0
    positive = ("sd",)

    def sample(self, rng: np.random.Generator, size: Size = None) -> Number:
        """Draw from the prior."""
        return rng.normal(self.mean, self.sd, size)

    def log_density(self, x: Number) -> Number:
        """Normalised log density at x."""
        return -0.5 * ((x - self.mean) / self.sd) ** 2 - np.log(self.sd) - 0.5 * np.log(2 * np.pi)

    def from_normal(self, u: Number) -> Number:
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return self.mean + self.sd * np.asarray(u)

    def pymc(self, name: str, **kwargs: Any) -> Any:
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        return pm.Normal(name, *doubles(self.mean, self.sd), **kwargs)

    def __str__(self):
        return f"Normal({self.mean:.4g}, {self.sd:.4g}²)"


@dataclass(frozen=True)
class StudentT(Prior):
    """Student's t of ``dof`` degrees of freedom about ``location``: heavier tails than a normal."""

    dof: float
    location: float = 0.0
    scale: float = 1.0
    positive = ("dof", "scale")

    def log_density(self, x: Number) -> Number:
        """Normalised log density at x."""
        z, half = (x - self.location) / self.scale, self.dof / 2
        constant = scipy.special.gammaln(half + 0.5) - scipy.special.gammaln(half)
        constant -= 0.5 * np.log(self.dof * np.pi) + np.log(self.scale)
        return constant - (half + 0.5) * np.log1p(z**2 / self.dof)

    def from_normal(self, u: Number) -> Number:
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        u = np.asarray(u, dtype=float)
        # From the lower tail, where a share has its digits.
        size = -scipy.special.stdtrit(self.dof, scipy.special.ndtr(-np.abs(u)))
        return self.location + self.scale * np.sign(u) * size

    def pymc(self, name: str, **kwargs: Any) -> Any:
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        dof, location, scale = doubles(self.dof, self.location, self.scale)
        return pm.StudentT(name, dof, mu=location, sigma=scale, **kwargs)

    def __str__(self):
        return f"Student-t({self.dof:.4g} dof, {self.location:.4g}, {self.scale:.4g})"


@dataclass(frozen=True)
class Uniform(Interval):
    """Flat between two bounds."""

    lower: float = 0.0
    upper: float = 1.0

    def sample(self, rng: np.random.Generator, size: Size = None) -> Number:
        """Draw from the prior."""
        return rng.uniform(self.lower, self.upper, size)

    def log_density(self, x: Number) -> Number:
        """Normalised log density at x; -inf outside the bounds."""
        inside = (x >= self.lower) & (x <= self.upper)
        return np.where(inside, -np.log(self.upper - self.lower), -np.inf)

    def from_normal(self, u: Number) -> Number:
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return self.lower + (self.upper - self.lower) * scipy.special.ndtr(u)

    def pymc(self, name: str, **kwargs: Any) -> Any:
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        return pm.Uniform(name, *doubles(self.lower, self.upper), **kwargs)

    def __str__(self):
        return f"Uniform({self.lower:.4g}, {self.upper:.4g})"


@dataclass(frozen=True)
class LogUniform(Interval):
    """Flat in the logarithm between two positive bounds: p(x) = 1 / (x log(upper / lower))."""

    lower: float
    upper: float
    positive = ("lower", "upper")

    def sample(self, rng: np.random.Generator, size: Size = None) -> Number:
        """Draw from the prior."""
        return np.exp(rng.uniform(np.log(self.lower), np.log(self.upper), size))

    def log_density(self, x: Number) -> Number:
        """Normalised log density at x; -inf outside the bounds."""
        x = np.asarray(x, dtype=float)
        inside = (x >= self.lower) & (x <= self.upper)
        log_x = np.log(np.where(inside, x, 1.0))
        return np.where(inside, -log_x - np.log(np.log(self.upper / self.lower)), -np.inf)

    def from_normal(self, u: Number) -> Number:
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return self.lower * (self.upper / self.lower) ** scipy.special.ndtr(u)

    def pymc(self, name: str, **kwargs: Any) -> Any:
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        lower, upper = doubles(np.log(self.lower), np.log(self.upper))
        return pm.CustomDist(
            name,
            dist=lambda size: pm.math.exp(pm.Uniform.dist(lower, upper, size=size)),
            transform=pm.distributions.transforms.Interval(self.lower, self.upper),
            **kwargs,
        )

    def __str__(self):
        return f"log-uniform({self.lower:.4g}, {self.upper:.4g})"


@dataclass(frozen=True)
class Beta(Prior):
    """Beta(a, b) on a probability."""

    a: float = 1.0
    b: float = 1.0
    positive = ("a", "b")

    def sample(self, rng: np.random.Generator, size: Size = None) -> Number:
        """Draw from the prior."""
        return rng.beta(self.a, self.b, size)

    def log_density(self, x: Number) -> Number:
        """Normalised log density at x; -inf outside [0, 1]."""
        x = np.asarray(x, dtype=float)
        found = (
            scipy.special.xlogy(self.a - 1, x)
            + scipy.special.xlog1py(self.b - 1, -x)
            - scipy.special.betaln(self.a, self.b)
        )
        return np.where((x >= 0) & (x <= 1), found, -np.inf)

    def from_normal(self, u: Number) -> Number:
        """Return the value that stands in this prior where u stands in N(0, 1)."""
        return scipy.special.betaincinv(self.a, self.b, scipy.special.ndtr(u))

    def pymc(self, name: str, **kwargs: Any) -> Any:
        """Add the variable ``name`` to the open PyMC model."""
        import pymc as pm

        return pm.Beta(name, *doubles(self.a, self.b), **kwargs)

    def __str__(self):
        return f"Beta({self.a:.4g}, {self.b:.4g})"

    @property
    def support(self) -> tuple[float, float]:
        """Ends of where the density is not zero."""
        return 0.0, 1.0
