"""Prior means: what a curve is taken to be before the data, and where the process stands far off.

A mean has parameters like a kernel's (a prior, a number, or None for the default), a value at x,
the derivatives of that in its parameters, and its slope in x. Of several inputs x is (input, n), so
that a function can take it apart: ``q, p = x``. Any mean may stand on a constant that is inferred,
as "repulsive + constant" does, so that the zero of y means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from inspect import Parameter as Argument
from inspect import signature
from typing import ClassVar, Union

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models.gp import expressions
from bayesinf.models.gp.kernels import Parameter, Theta
from bayesinf.priors import Prior

__all__ = [
    "CONSTANT",
    "MEANS",
    "Function",
    "Lifted",
    "Mean",
    "Repulsive",
    "Trend",
    "Zero",
    "mean",
    "seen",
    "slope_slopes",
    "steps",
]

STEP = 1e-5  # of central differences, relative: errors of both kinds are near 1e-10
CONSTANT = "constant"


@dataclass(frozen=True)
class Zero:
    """m(x) = 0."""

    name: ClassVar[str] = "zero"

    def parameters(self) -> dict[str, Parameter]:
        """None."""
        return {}

    def measured(self) -> dict[str, str]:
        """Name to what a parameter is measured in: "x", "y" or "y/x", as far as that is known."""
        return {}

    def value(self, x: np.ndarray, theta: Theta):
        """Mean at x, (..., n), for parameters of shape (...)."""
        return np.zeros(np.shape(x)[-1:])

    def slopes(
        self, x: np.ndarray, theta: Theta, widths: Mapping[str, float]
    ) -> dict[str, np.ndarray]:
        """Derivatives in each parameter, by name; ``widths`` are those of their priors."""
        return {}

    def slope(
        self,
        x: np.ndarray,
        theta: Theta,
        along: np.ndarray | None = None,
        extent: float = np.inf,
    ):
        """Derivative in x; of several inputs in that which ``along``, (n,), says for each point.

        ``extent`` is how far the data of one input reach, over which the mean varies.
        """
        return np.zeros(np.shape(x)[-1:])

    def pymc(self, x: np.ndarray, theta):
        """Mean at x in PyMC, for parameters by name."""
        return np.zeros(np.shape(x)[-1:])


@dataclass(frozen=True)
class Repulsive:
    """m(r) = −γ (r − r₀) θ(r₀ − r): a wall that rises linearly inside r₀.

    Parameters
    ----------
    gamma : γ, its steepness, in units of y per unit of x.
    r0 : r₀, where it begins.
    """

    gamma: Parameter = None
    r0: Parameter = None
    name: ClassVar[str] = "repulsive"

    def parameters(self) -> dict[str, Parameter]:
        """``gamma`` and ``r0``."""
        return {"gamma": self.gamma, "r0": self.r0}

    def measured(self):
        """γ in y per x, r₀ as x."""
        return {"gamma": "y/x", "r0": "x"}

    def value(self, x, theta):
        """Mean at x."""
        return _column(theta["gamma"]) * np.maximum(_column(theta["r0"]) - x, 0)

    def slopes(self, x, theta, widths):
        """Derivatives in γ and r₀."""
        gamma, inside = _column(theta["gamma"]), _column(theta["r0"]) - x
        return {"gamma": np.maximum(inside, 0), "r0": gamma * (inside > 0)}

    def slope(self, x, theta, along=None, extent=np.inf):
        """Derivative in x."""
        return -_column(theta["gamma"]) * (_column(theta["r0"]) > x)

    def pymc(self, x, theta):
        """Mean at x in PyMC."""
        import pytensor.tensor as pt

        return theta["gamma"] * pt.maximum(theta["r0"] - x, 0)


@dataclass(frozen=True)
class Function:
    """m(x) = f(x, ...) for a function of the user's, whose further arguments are parameters.

    The default of an argument is its prior or its value:
    ``def wall(r, height=LogNormal(50, 1), power=12.0): return height * r**-power``. It is called
    with arrays that broadcast; of several inputs x is (input, n). Derivatives are taken by central
    differences.
    """

    function: Callable

    @property
    def name(self) -> str:
        """What the function is called."""
        called = getattr(self.function, "__name__", type(self.function).__name__)
        return f"{called}()" if called in MEANS else called  # not to be taken for one of these

    @cached_property
    def _arguments(self):
        _, *others = signature(self.function).parameters.values()
        return [
            a for a in others if a.kind in (Argument.POSITIONAL_OR_KEYWORD, Argument.KEYWORD_ONLY)
        ]

    def parameters(self) -> dict[str, Parameter]:
        """Those of the function."""
        for argument in self._arguments:
            if not isinstance(argument.default, Prior | int | float):
                raise FitError(
                    f"the argument {argument.name!r} of the mean {self.name!r} needs a prior or a "
                    f"number as its default, as in {argument.name}=Normal(0, 1)"
                )
        return {argument.name: argument.default for argument in self._arguments}

    def measured(self):
        """Nothing is known of a function's units."""
        return {}

    def value(self, x, theta):
        """Mean at x."""
        values = {argument.name: _column(theta[argument.name]) for argument in self._arguments}
        found = np.asarray(self.function(x, **values), dtype=float)
        lead = np.broadcast_shapes((), *(value.shape[:-1] for value in values.values()))
        return np.broadcast_to(found, lead + np.shape(x)[-1:])

    def slopes(self, x, theta, widths):
        """Derivatives in each parameter."""
        return _differences(lambda moved: self.value(x, moved), self._names, theta, widths, STEP)

    def slope(self, x, theta, along=None, extent=np.inf):
        """Derivative in x, or in the inputs ``along``."""
        return _climb(self.value, x, theta, along, extent)

    @property
    def _names(self):
        return [argument.name for argument in self._arguments]

    def pymc(self, x, theta):
        """Mean at x in PyMC."""
        values = {argument.name: theta[argument.name] for argument in self._arguments}
        return self.function(x, **values)


@dataclass(frozen=True)
class Trend:
    """m(x) = Σ_j β_j (h_j(x) − mean of h_j over the data): a trend by formula, such as "t + t**2".

    Parameters
    ----------
    text : the formula; ``seen`` takes it apart.
    inputs : names of the inputs.
    terms : h_j, as they are written.
    centres, spreads : mean and sd of each over the data.
    """

    text: str
    inputs: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    centres: tuple[float, ...] = ()
    spreads: tuple[float, ...] = ()

    def seen(self, x: np.ndarray, inputs: tuple[str, ...]) -> Trend:
        """Return itself as it is on data, x (n,), or (input, n) of several inputs.

        Raises
        ------
        FitError : what is no trend, or a term that is the same, or no number, at all data.
        """
        found = replace(self, inputs=inputs, terms=tuple(expressions.terms(self.text, inputs)))
        columns = found.columns(x)
        for term, column in zip(found.terms, columns, strict=True):
            if not np.isfinite(column).all() or np.ptp(column) == 0:
                raise FitError(
                    f"the trend's term {term} is "
                    f"{'the same' if np.isfinite(column).all() else 'no number'} at "
                    "all or some of the data: leave it out"
                )
        centres, spreads = columns.mean(axis=-1), columns.std(axis=-1)
        return replace(found, centres=tuple(centres), spreads=tuple(spreads))

    def columns(self, x):
        """h_j(x), (term, n)."""
        rows = np.atleast_2d(x)
        known = dict(zip(self.inputs, rows, strict=True))
        known |= {"x": rows[0]} if len(rows) == 1 else {}
        return np.array([expressions.value(term, known) + 0 * rows[0] for term in self.terms])

    @property
    def name(self) -> str:
        """``trend(t+t**2)``, from which it can be stated again."""
        return f"trend({self.text.replace(' ', '')})"

    @property
    def coefficients(self) -> list[str]:
        """What the β_j are called."""
        return [f"trend_{k}" for k in range(1, len(self.terms) + 1)]

    def parameters(self) -> dict[str, Parameter]:
        """A coefficient for each term."""
        return dict.fromkeys(self.coefficients)

    def measured(self):
        """Nothing is known of a term's units."""
        return {}

    def value(self, x, theta):
        """Mean at x."""
        parts = zip(self.coefficients, self.columns(x), self.centres, strict=True)
        return sum(_column(theta[name]) * (column - centre) for name, column, centre in parts)

    def slopes(self, x, theta, widths):
        """Derivatives in each parameter."""
        parts = zip(self.coefficients, self.columns(x), self.centres, strict=True)
        return {name: column - centre for name, column, centre in parts}

    def slope(self, x, theta, along=None, extent=np.inf):
        """Derivative in x, or in the inputs ``along``."""
        return _climb(self.value, x, theta, along, extent)

    def pymc(self, x, theta):
        """Mean at x in PyMC."""
        parts = zip(self.coefficients, self.columns(x), self.centres, strict=True)
        return sum(theta[name] * (column - centre) for name, column, centre in parts)


@dataclass(frozen=True)
class Lifted:
    """m(x) = constant + another mean: y from a zero that nobody knows.

    Parameters
    ----------
    base : the other mean.
    constant : in units of y.
    """

    base: Mean
    constant: Parameter = None

    @property
    def name(self) -> str:
        """``constant`` of a zero mean, else that of the other and it."""
        return CONSTANT if isinstance(self.base, Zero) else f"{self.base.name} + {CONSTANT}"

    def parameters(self) -> dict[str, Parameter]:
        """Those of the other mean, and ``constant``."""
        return self.base.parameters() | {CONSTANT: self.constant}

    def measured(self):
        """As the other mean says, and the constant as y."""
        return self.base.measured() | {CONSTANT: "y"}

    def value(self, x, theta):
        """Mean at x."""
        return self.base.value(x, theta) + _column(theta[CONSTANT])

    def slopes(self, x, theta, widths):
        """Derivatives in each parameter."""
        return self.base.slopes(x, theta, widths) | {CONSTANT: np.ones(np.shape(x)[-1:])}

    def slope(self, x, theta, along=None, extent=np.inf):
        """Derivative in x: that of the other mean, in the shape of the value."""
        return self.base.slope(x, theta, along, extent) + 0 * _column(theta[CONSTANT])

    def pymc(self, x, theta):
        """Mean at x in PyMC."""
        return self.base.pymc(x, theta) + theta[CONSTANT]


Mean = Union[Zero, Repulsive, Function, Trend, Lifted]  # noqa: UP007 (Lifted names it above)

MEANS = {"zero": Zero, "repulsive": Repulsive}


def mean(given: str | Callable | Mean) -> Mean:
    """Return the mean of a name, of a function, or the one given.

    Names are those of ``MEANS``, ``constant``, a formula as ``trend(t+t**2)``, and ``NAME +
    constant``.

    Raises
    ------
    FitError : no such mean.
    """
    if isinstance(given, str):
        base = given.removesuffix(f" + {CONSTANT}")
        found = Zero() if given == CONSTANT else MEANS.get(base, lambda: None)()
        if base.startswith("trend(") and base.endswith(")"):
            found = Trend(base[len("trend(") : -1])
        if found is not None:
            return Lifted(found) if given.endswith(CONSTANT) else found
    elif isinstance(given, Zero | Repulsive | Function | Trend | Lifted):
        return given
    elif callable(given):
        return Function(given)
    raise FitError(
        f"unknown mean {given!r}: use one of {', '.join(MEANS)}, constant, one of those "
        "'+ constant', or a function of x"
    )


def seen(mean: Mean, x: np.ndarray, inputs: tuple[str, ...]) -> Mean:
    """Return a mean as it is on data: a trend, alone or on a constant, is centred over them."""
    if isinstance(mean, Lifted):
        return replace(mean, base=seen(mean.base, x, inputs))
    return mean.seen(x, inputs) if isinstance(mean, Trend) else mean


def steps(x: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Return small steps of points x, (input, n) or (n,), each in its own input, in that shape."""
    rows = np.atleast_2d(x)
    extent, size = np.ptp(rows, axis=1), np.max(np.abs(rows), axis=1)
    found = np.zeros(rows.shape)
    scale = np.where(extent > 0, extent, np.where(size > 0, size, 1.0))
    found[along, np.arange(rows.shape[1])] = STEP * scale[along]
    return found.reshape(np.shape(x))


def slope_slopes(
    mean: Mean, x, theta: Theta, along: np.ndarray, widths: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Return derivatives of a mean's slope in each of its parameters, by central differences."""
    of_slope = partial(mean.slope, x, along=along)
    return _differences(of_slope, mean.parameters(), theta, widths, 10 * STEP)


def _differences(function, names, theta, widths, share):
    """Central differences of a function of all parameters in each of some.

    The step follows the width of the parameter's prior, so that units do not matter; of one that
    is fixed, its own size.
    """
    slopes = {}
    for name in names:
        at = np.asarray(theta[name], dtype=float)
        step = share * np.minimum(widths.get(name, np.inf), np.maximum(np.abs(at), 1e-300))
        step = np.maximum(step, 1e-3 * share * widths.get(name, 1.0))
        up, down = (function({**theta, name: at + side * step}) for side in (1, -1))
        slopes[name] = (up - down) / (2 * step[..., None])
    return slopes


def _climb(value, x, theta, along, extent):
    """Derivative of a mean in x, by central differences."""
    step = _near(x, extent) if along is None else steps(x, along)
    width = 2 * step if along is None else 2 * np.atleast_2d(step).sum(axis=0)
    return (value(x + step, theta) - value(x - step, theta)) / width


def _near(x, extent):
    """Small steps of x: relative to it, but no larger than the extent of the data asks for."""
    size = np.abs(x)
    widest = np.where(np.isfinite(extent), extent, np.maximum(size, 1e-3))
    return STEP * np.clip(size, 1e-3 * widest, widest)


def _column(value):
    """A parameter, shaped to meet x."""
    return np.asarray(value, dtype=float)[..., None]
