"""Where a curve is alike throughout: the coordinate it varies in, and how its size falls off.

    f(x) = s(x) g(c(x)),   g ~ GP(0, k),   s(x) = (x / x₀)^−decay

A stationary kernel takes a curve to be as rough and as large here as there. A potential beside a
wall is neither in r, but nearly so in r⁻³, or in log r with a size that falls as a power of r. The
slope of the curve follows by the chain rule, f′ = s′ g + s c′ g′.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bayesinf.errors import DataError, FitError
from bayesinf.models.gp.kernels import Parameter, Theta
from bayesinf.priors import Prior

__all__ = ["COORDINATES", "GROWS", "Coordinate", "Envelope", "Growth", "Shape", "Weights"]
__all__ += ["coordinate", "envelope"]

GROWS = "grows"  # said of a noise that grows, or shrinks, along x


@dataclass(frozen=True)
class Coordinate:
    """A coordinate c(x) in which a curve's kernel measures distances.

    Parameters
    ----------
    name : what it is called.
    value, slope : functions of x, (n,), to c and to dc/dx.
    unit : of c, with a place for that of {x}; "1" where c has none.
    """

    name: str
    value: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]
    unit: str = "1"

    def unit_of(self, of_x: str) -> str:
        """Return the unit of c where x has the unit ``of_x``."""
        return "1" if of_x == "1" and "{x}" in self.unit else self.unit.format(x=of_x)

    def of(self, x: np.ndarray, called: str = "x") -> np.ndarray:
        """Return c at x, or refuse x that has none.

        Raises
        ------
        DataError : c is not finite somewhere.
        """
        with np.errstate(all="ignore"):
            found = np.asarray(self.value(x), dtype=float)
        if found.shape != np.shape(x) or not np.isfinite(found).all():
            nowhere = np.ravel(x)[np.argmin(np.isfinite(np.ravel(found)))]
            raise DataError(
                f"{called} has no value in the coordinate {self.name}",
                where=f"{called} = {nowhere:g}",
                expected=f"a finite number for each {called}",
                found=f"shape {found.shape}" if found.shape != np.shape(x) else "none",
                remedy="choose another coordinate",
            )
        return found


def _power(exponent):
    """x to a whole power, and its derivative."""

    def value(x):
        return np.asarray(x, dtype=float) ** exponent

    def slope(x):
        return exponent * np.asarray(x, dtype=float) ** (exponent - 1)

    return value, slope


COORDINATES = {
    "x": Coordinate("x", *_power(1), "{x}"),
    "log": Coordinate("log", np.log, np.reciprocal),
    "inverse": Coordinate("inverse", *_power(-1), "{x}⁻¹"),
    "inverse_cube": Coordinate("inverse_cube", *_power(-3), "{x}⁻³"),
}


def coordinate(given: str | Coordinate | tuple[Callable, Callable]) -> Coordinate:
    """Return the coordinate of a name, of a function and its derivative, or the one given.

    Raises
    ------
    FitError : no such coordinate.
    """
    if isinstance(given, str) and given in COORDINATES:
        return COORDINATES[given]
    if isinstance(given, Coordinate):
        return given
    if isinstance(given, tuple) and len(given) == 2 and all(map(callable, given)):
        called = getattr(given[0], "__name__", "a function")
        return Coordinate(f"{called}()" if called in COORDINATES else called, *given)
    raise FitError(
        f"unknown coordinate {given!r}: use one of {', '.join(COORDINATES)}, or a function of x "
        "with its derivative, (function, derivative)"
    )


@dataclass(frozen=True)
class Envelope:
    """s(x) = (x / x₀)^−decay: how the size of a curve falls off; its amplitude is that at x₀.

    Parameters
    ----------
    origin : x₀, in units of x.
    decay : a prior, a number, or None for the default prior.
    """

    origin: float
    decay: Parameter = None

    def parameters(self) -> dict[str, Parameter]:
        """``decay``."""
        return {"decay": self.decay}

    def value(self, x: np.ndarray, theta: Theta):
        """s at x, (..., n), for parameters of shape (...)."""
        return np.exp(-_column(theta["decay"]) * np.log(x / self.origin))

    def slope(self, x: np.ndarray, theta: Theta):
        """ds/dx, (..., n)."""
        return -_column(theta["decay"]) / x * self.value(x, theta)

    def pymc(self, x: np.ndarray, theta):
        """s at x in PyMC, for parameters by name."""
        import pytensor.tensor as pt

        return pt.exp(-theta["decay"] * np.log(x / self.origin))

    def log_slopes(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Derivatives of log s in each parameter, (n,)."""
        return {"decay": -np.log(x / self.origin)}


def envelope(given: str | float | Prior | Envelope | None, x: np.ndarray) -> Envelope | None:
    """Return an envelope around the middle of x on a logarithmic axis, or the one given.

    Parameters
    ----------
    given : a decay, its prior, or ``power`` for the default prior; None for no envelope.
    x : data, (point,).

    Raises
    ------
    DataError : an x that is not positive. FitError : no such envelope.
    """
    if given is None or isinstance(given, Envelope):
        return given
    if not isinstance(given, Prior | int | float) and given != "power":
        raise FitError(
            f"unknown envelope {given!r}: use 'power', a number or a prior for its decay"
        )
    if np.min(x) <= 0:
        raise DataError(
            "x is not positive, so no power of it is an envelope",
            expected="x > 0",
            found=f"{np.min(x):g}",
        )
    return Envelope(float(np.sqrt(np.min(x) * np.max(x))), None if given == "power" else given)


class Shape:
    """g(x) = exp(θ · along(x)): where noise is larger and where smaller, by one parameter θ.

    Attributes
    ----------
    name : of the parameter.
    word : by which such noise is asked for.
    said, square : with what it grows, in words, and g² in LaTeX.
    """

    name: ClassVar[str]
    word: ClassVar[str]
    said: ClassVar[str]
    square: ClassVar[str]

    @abstractmethod
    def along(self, x: np.ndarray) -> np.ndarray:
        """Derivative of log g in the parameter, (n,)."""

    def value(self, x: np.ndarray, theta: Theta):
        """g at x, (..., n), for parameters of shape (...)."""
        return np.exp(_column(theta[self.name]) * self.along(x))

    def pymc(self, x: np.ndarray, theta):
        """g at x in PyMC, for parameters by name."""
        import pytensor.tensor as pt

        return pt.exp(theta[self.name] * self.along(x))


@dataclass(frozen=True)
class Growth(Shape):
    """g(x) = exp(noise_growth · (x − x₀)/width): noise that grows along x, e^noise_growth in all.

    Parameters
    ----------
    origin, width : x₀ in the middle of the data, and how far they reach, in units of x.
    """

    origin: float
    width: float
    name: ClassVar[str] = "noise_growth"
    word: ClassVar[str] = GROWS
    said: ClassVar[str] = "along x"
    square: ClassVar[str] = r"e^{2 \gamma (x_i - x_0) / w}"

    @classmethod
    def of(cls, x: np.ndarray) -> Growth:
        """Return that over some data, (point,)."""
        return cls(float(np.min(x) + np.max(x)) / 2, float(np.ptp(x)))

    def along(self, x):
        """(x − x₀)/width, from −½ to ½ over the data."""
        return (x - self.origin) / self.width


@dataclass(frozen=True)
class Weights:
    """What turns covariances of g in c into those of f and f′ in x, at some places.

    Parameters
    ----------
    size, size_slope : s and s′, (..., n).
    pace : c′, (n,).
    """

    size: np.ndarray
    size_slope: np.ndarray
    pace: np.ndarray

    @classmethod
    def at(cls, x: np.ndarray, measure: Coordinate, fall: Envelope | None, theta: Theta) -> Weights:
        """Return those at x, (n,), of a coordinate and an envelope."""
        one = np.ones(np.shape(x))
        size = (one, 0 * one) if fall is None else (fall.value(x, theta), fall.slope(x, theta))
        return cls(*size, one * measure.slope(x))

    def rows(self, k: np.ndarray, k1: np.ndarray) -> np.ndarray:
        """Values and then slopes in place of the rows of k, whose derivative along them is k1."""
        s, s1, pace = (w[..., :, None] for w in (self.size, self.size_slope, self.pace))
        return np.concatenate([s * k, s1 * k + s * pace * k1], axis=-2)

    def columns(self, k: np.ndarray, k1: np.ndarray) -> np.ndarray:
        """Values and then slopes in place of the columns of k, likewise."""
        s, s1, pace = (w[..., None, :] for w in (self.size, self.size_slope, self.pace))
        return np.concatenate([s * k, s1 * k + s * pace * k1], axis=-1)


def _column(value):
    """A parameter, shaped to meet x."""
    return np.asarray(value, dtype=float)[..., None]
