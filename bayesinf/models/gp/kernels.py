"""Covariance functions: a formula a leaf, sums and products above them.

A leaf is a correlation ρ of the distance d = x − x′ times the square of an amplitude. It states ρ,
how ρ changes with the logarithm of each of its parameters, and the first two derivatives in d, from
which the covariances of the process's slope follow:

    cov(f(x), f(x′)) = a² ρ(d),   cov(f′(x), f(x′)) = a² ρ′(d),   cov(f′(x), f′(x′)) = −a² ρ″(d)

Of several inputs a leaf takes a distance in which each has its own length scale: see ``slopes``.

A parameter is given as its prior, as a number that fixes it, or as None for the default prior; a
length scale of several inputs also as a mapping from inputs to those, or as a number for each.
Parameters of several leaves are numbered: ``length_scale_1``, ``length_scale_2``, ... In a product
only the first factor keeps its amplitude, since the data know the product of amplitudes alone; a
factor that is a sum keeps those of its terms.

Rasmussen & Williams, Gaussian Processes for Machine Learning, MIT Press (2006), chapter 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add, mul
from typing import ClassVar

import numpy as np

from bayesinf.errors import FitError
from bayesinf.priors import Prior

__all__ = [
    "KERNELS",
    "Combined",
    "Exponential",
    "Kernel",
    "Leaf",
    "Matern32",
    "Matern52",
    "Operators",
    "Parameter",
    "Periodic",
    "Product",
    "RationalQuadratic",
    "SquaredExponential",
    "Sum",
    "Theta",
    "from_dict",
    "kernel",
    "to_dict",
]

Parameter = Prior | float | None
Theta = Mapping[str, np.ndarray]


class Operators:
    """What every kernel can do: ``+`` and ``*``."""

    def __add__(self, other: Kernel) -> Sum:
        """Covariance of the sum of two independent processes."""
        return Sum((self, other))

    def __mul__(self, other: Kernel) -> Product:
        """Covariance of the product of two independent processes."""
        return Product((self, other.normalised()))


@dataclass(frozen=True, kw_only=True)
class Leaf(Operators):
    """A stationary covariance a² ρ(x − x′); each subclass gives ρ."""

    length_scale: Parameter = None
    amplitude: Parameter = None
    suffix: str = field(default="", repr=False)

    # The parameters of ρ, and what each is measured in: units of x, or none ("1").
    own: ClassVar[Mapping[str, str]] = {"length_scale": "x"}
    smooth: ClassVar[bool] = True  # whether its paths have a slope

    def parameters(self) -> dict[str, Parameter]:
        """Name to prior, number or None."""
        return {f"{name}{self.suffix}": getattr(self, name) for name in (*self.own, "amplitude")}

    def measured(self) -> dict[str, str]:
        """Name to what a parameter is measured in: "x", "y" or "1"."""
        return {f"{k}{self.suffix}": v for k, v in (self.own | {"amplitude": "y"}).items()}

    def normalised(self) -> Leaf:
        """Itself with an amplitude of one."""
        return replace(self, amplitude=1.0)

    def leaves(self) -> list[Leaf]:
        """Itself."""
        return [self]

    def rebuilt(self, leaves) -> Leaf:
        """Take the next of some leaves in its place."""
        return next(leaves)

    def _of(self, theta):
        """Square of the amplitude, and the other parameters, shaped to meet distances."""
        amplitude, *own = (
            np.asarray(theta[f"{name}{self.suffix}"])[..., None, None]
            for name in ("amplitude", *self.own)
        )
        return amplitude**2, own

    def value(self, d: np.ndarray, theta: Theta) -> np.ndarray:
        """Covariance at the distances d, (..., n, m), for parameters of shape (...)."""
        square, own = self._of(theta)
        return square * self.correlation(d, *own)

    def slopes(self, d: np.ndarray, theta: Theta) -> dict[str, np.ndarray]:
        """Derivatives of the covariance in the logarithm of each parameter."""
        square, own = self._of(theta)
        found = {
            f"{name}{self.suffix}": square * slope
            for name, slope in zip(self.own, self.log_slopes(d, *own), strict=True)
        }
        return found | {f"amplitude{self.suffix}": 2 * square * self.correlation(d, *own)}

    def derivatives(self, d: np.ndarray, theta: Theta) -> tuple[np.ndarray, ...]:
        """Covariance with its first and second derivative in d."""
        square, own = self._of(theta)
        return tuple(square * part for part in (self.correlation(d, *own), *self.bends(d, *own)))

    def pymc(self, theta: Mapping[str, object], inputs: int = 1):
        """Return the covariance function in PyMC, for parameters by name."""
        own = [theta[f"{name}{self.suffix}"] for name in self.own]
        return theta[f"amplitude{self.suffix}"] ** 2 * self.pymc_correlation(inputs, *own)


class Exponential(Leaf):
    """ρ = exp(−|d|/ℓ): paths that are continuous and nowhere smooth."""

    smooth = False

    def correlation(self, d, scale):  # noqa: D102
        return np.exp(-np.abs(d) / scale)

    def log_slopes(self, d, scale):  # noqa: D102
        s = np.abs(d) / scale
        return (s * np.exp(-s),)

    def pymc_correlation(self, inputs, scale):  # noqa: D102
        from pymc.gp import cov

        return cov.Matern12(inputs, ls=scale)


class SquaredExponential(Leaf):
    """ρ = exp(−d²/2ℓ²): paths with all derivatives."""

    def correlation(self, d, scale):  # noqa: D102
        return np.exp(-0.5 * (d / scale) ** 2)

    def log_slopes(self, d, scale):  # noqa: D102
        s = (d / scale) ** 2
        return (s * np.exp(-0.5 * s),)

    def bends(self, d, scale):  # noqa: D102
        s = (d / scale) ** 2
        rho = np.exp(-0.5 * s)
        return -d / scale**2 * rho, (s - 1) / scale**2 * rho

    def pymc_correlation(self, inputs, scale):  # noqa: D102
        from pymc.gp import cov

        return cov.ExpQuad(inputs, ls=scale)


class Matern32(Leaf):
    """ρ = (1 + s) e^{−s}, s = √3 |d|/ℓ: paths with one derivative."""

    def correlation(self, d, scale):  # noqa: D102
        s = np.sqrt(3) * np.abs(d) / scale
        return (1 + s) * np.exp(-s)

    def log_slopes(self, d, scale):  # noqa: D102
        s = np.sqrt(3) * np.abs(d) / scale
        return (s**2 * np.exp(-s),)

    def bends(self, d, scale):  # noqa: D102
        s = np.sqrt(3) * np.abs(d) / scale
        common = -3 / scale**2 * np.exp(-s)
        return d * common, (1 - s) * common

    def pymc_correlation(self, inputs, scale):  # noqa: D102
        from pymc.gp import cov

        return cov.Matern32(inputs, ls=scale)


class Matern52(Leaf):
    """ρ = (1 + s + s²/3) e^{−s}, s = √5 |d|/ℓ: paths with two derivatives."""

    def correlation(self, d, scale):  # noqa: D102
        s = np.sqrt(5) * np.abs(d) / scale
        return (1 + s + s**2 / 3) * np.exp(-s)

    def log_slopes(self, d, scale):  # noqa: D102
        s = np.sqrt(5) * np.abs(d) / scale
        return (s**2 * (1 + s) / 3 * np.exp(-s),)

    def bends(self, d, scale):  # noqa: D102
        s = np.sqrt(5) * np.abs(d) / scale
        common = -5 / (3 * scale**2) * np.exp(-s)
        return d * (1 + s) * common, (1 + s - s**2) * common

    def pymc_correlation(self, inputs, scale):  # noqa: D102
        from pymc.gp import cov

        return cov.Matern52(inputs, ls=scale)


@dataclass(frozen=True, kw_only=True)
class RationalQuadratic(Leaf):
    """ρ = (1 + d²/2αℓ²)^{−α}: squared exponentials of many length scales."""

    alpha: Parameter = None

    own = {"length_scale": "x", "alpha": "1"}  # noqa: RUF012

    def correlation(self, d, scale, alpha):  # noqa: D102
        return (1 + (d / scale) ** 2 / (2 * alpha)) ** -alpha

    def log_slopes(self, d, scale, alpha):  # noqa: D102
        s = (d / scale) ** 2
        base = 1 + s / (2 * alpha)
        return s * base ** (-alpha - 1), (0.5 * s / base - alpha * np.log(base)) * base**-alpha

    def bends(self, d, scale, alpha):  # noqa: D102
        s = (d / scale) ** 2
        base = 1 + s / (2 * alpha)
        first = -d / scale**2 * base ** (-alpha - 1)
        return first, (s * (1 + 1 / alpha) / base - 1) / scale**2 * base ** (-alpha - 1)

    def pymc_correlation(self, inputs, scale, alpha):  # noqa: D102
        from pymc.gp import cov

        return cov.RatQuad(inputs, ls=scale, alpha=alpha)


@dataclass(frozen=True, kw_only=True)
class Periodic(Leaf):
    """ρ = exp(−2 sin²(πd/p)/ℓ²): paths of period p; the length scale ℓ is a pure number here."""

    period: Parameter = None

    own = {"length_scale": "1", "period": "x"}  # noqa: RUF012

    def correlation(self, d, scale, period):  # noqa: D102
        return np.exp(-2 * (np.sin(np.pi * d / period) / scale) ** 2)

    def log_slopes(self, d, scale, period):  # noqa: D102
        angle, rho = np.pi * d / period, self.correlation(d, scale, period)
        return (
            4 * (np.sin(angle) / scale) ** 2 * rho,
            2 * angle * np.sin(2 * angle) / scale**2 * rho,
        )

    def bends(self, d, scale, period):  # noqa: D102
        rate = 2 * np.pi / period
        rho = self.correlation(d, scale, period)
        slope = -rate * np.sin(rate * d) / scale**2
        return slope * rho, (slope**2 - (rate / scale) ** 2 * np.cos(rate * d)) * rho

    def pymc_correlation(self, inputs, scale, period):  # noqa: D102
        from pymc.gp import cov

        # PyMC writes exp(−½ (sin(πd/p)/ls)²).
        return cov.Periodic(inputs, period=period, ls=0.5 * scale)


@dataclass(frozen=True)
class Combined(Operators):
    """Kernels put together; a subclass says how."""

    parts: tuple[Kernel, ...]

    def leaves(self) -> list[Leaf]:
        """Leaves below, from left to right."""
        return [leaf for part in self.parts for leaf in part.leaves()]

    def rebuilt(self, leaves) -> Kernel:
        """Itself over other leaves, an iterator."""
        return type(self)(tuple(part.rebuilt(leaves) for part in self.parts))

    @property
    def smooth(self) -> bool:
        """Whether its paths have a slope."""
        return all(part.smooth for part in self.parts)

    def parameters(self) -> dict[str, Parameter]:
        """Name to prior, number or None, of all parameters below."""
        return {k: v for leaf in self.leaves() for k, v in leaf.parameters().items()}

    def measured(self) -> dict[str, str]:
        """Name to what a parameter is measured in: "x", "y" or "1"."""
        return {k: v for leaf in self.leaves() for k, v in leaf.measured().items()}


class Sum(Combined):
    """k₁ + k₂."""

    def normalised(self) -> Kernel:
        """Itself: the weights of its parts are theirs."""
        return self

    def value(self, d, theta):
        """Covariance."""
        return sum(part.value(d, theta) for part in self.parts)

    def slopes(self, d, theta):
        """Derivatives in the logarithm of each parameter."""
        return {k: v for part in self.parts for k, v in part.slopes(d, theta).items()}

    def derivatives(self, d, theta):
        """Covariance with its first and second derivative in d."""
        return tuple(
            map(sum, zip(*(part.derivatives(d, theta) for part in self.parts), strict=True))
        )

    def pymc(self, theta, inputs=1):
        """Covariance function in PyMC."""
        return reduce(add, (part.pymc(theta, inputs) for part in self.parts))


class Product(Combined):
    """k₁ k₂."""

    def normalised(self) -> Kernel:
        """Itself with an amplitude of one."""
        return Product((self.parts[0].normalised(), *self.parts[1:]))

    def value(self, d, theta):
        """Covariance."""
        return reduce(mul, (part.value(d, theta) for part in self.parts))

    def slopes(self, d, theta):
        """Derivatives in the logarithm of each parameter."""
        left, right = self.parts
        k, m = left.value(d, theta), right.value(d, theta)
        found = {name: slope * m for name, slope in left.slopes(d, theta).items()}
        return found | {name: k * slope for name, slope in right.slopes(d, theta).items()}

    def derivatives(self, d, theta):
        """Covariance with its first and second derivative in d."""
        left, right = self.parts
        (k, k1, k2), (m, m1, m2) = left.derivatives(d, theta), right.derivatives(d, theta)
        return k * m, k1 * m + k * m1, k2 * m + 2 * k1 * m1 + k * m2

    def pymc(self, theta, inputs=1):
        """Covariance function in PyMC."""
        return reduce(mul, (part.pymc(theta, inputs) for part in self.parts))


Kernel = Leaf | Combined

KERNELS = {
    "exponential": Exponential,
    "squared_exponential": SquaredExponential,
    "matern32": Matern32,
    "matern52": Matern52,
    "rational_quadratic": RationalQuadratic,
    "periodic": Periodic,
}
_COMBINED = {"sum": Sum, "product": Product}


def kernel(given: str | Kernel) -> Kernel:
    """Return the kernel of a name, or the one given, its leaves numbered where there are several.

    Raises
    ------
    FitError : no such kernel.
    """
    if isinstance(given, str):
        if given not in KERNELS:
            raise FitError(
                f"unknown kernel {given!r}: use one of {', '.join(KERNELS)}, or sums "
                "and products of their classes in bayesinf.models.gp"
            )
        return KERNELS[given]()
    if not isinstance(given, Operators):
        raise FitError(f"a kernel is a name or a covariance of bayesinf.models.gp, not {given!r}")
    leaves = given.leaves()
    if len(leaves) == 1:
        return given
    return given.rebuilt(replace(leaf, suffix=f"_{k}") for k, leaf in enumerate(leaves, 1))


def to_dict(kernel: Kernel) -> dict:
    """Write a kernel's form as plain values; what was fixed or inferred stands in the posterior."""
    kind = next(k for k, cls in (KERNELS | _COMBINED).items() if type(kernel) is cls)
    if isinstance(kernel, Combined):
        return {"kernel": kind, "parts": [to_dict(part) for part in kernel.parts]}
    return {"kernel": kind, "suffix": kernel.suffix}


def from_dict(form: Mapping) -> Kernel:
    """Read a kernel's form as ``to_dict`` wrote it."""
    if form["kernel"] in _COMBINED:
        return _COMBINED[form["kernel"]](tuple(from_dict(part) for part in form["parts"]))
    return KERNELS[form["kernel"]](suffix=form["suffix"])
