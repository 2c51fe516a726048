"""The problem, stated: data, kernel and mean by name, and a proper prior of every parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import axes
from bayesinf.errors import DataError, FitError
from bayesinf.models.gp import kernels
from bayesinf.models.gp import places as table
from bayesinf.models.gp.coordinates import GROWS, Coordinate, Envelope, Growth
from bayesinf.models.gp.coordinates import coordinate as named_coordinate
from bayesinf.models.gp.coordinates import envelope as stated_envelope
from bayesinf.models.gp.definition import NOISE, Process
from bayesinf.models.gp.expressions import parse
from bayesinf.models.gp.field import Field, PerInput, noise_name
from bayesinf.models.gp.kernels import Kernel, Periodic
from bayesinf.models.gp.markov import LEAST, Series, possible
from bayesinf.models.gp.means import CONSTANT, Lifted, Mean, Trend, seen
from bayesinf.models.gp.means import mean as named_mean
from bayesinf.models.gp.signal import SIGNAL, SIZE, Signal, WithSignal, estimated
from bayesinf.models.gp.slopes import VALUE
from bayesinf.priors import InverseChi, LogNormal, Normal, Prior, Uniform

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["process"]


def process(
    data: xr.Dataset,
    kernel: str | Kernel = "squared_exponential",
    mean: str | Callable | Mean = "zero",
    *,
    coordinate: str | Coordinate | tuple[Callable, Callable] = "x",
    envelope: str | float | Prior | Envelope | None = None,
    noise: Prior | float | str | WithSignal | None = None,
    priors: Mapping[str, Prior] | None = None,
    units: Mapping[str, str] | None = None,
    workers: int | None = None,
) -> Process:
    """State a Gaussian process on validated data, and every prior.

    Of some hundred points and more, one input and a kernel that is a Matérn of order 1/2, 3/2 or
    5/2, or a sum of those, the problem is a ``markov.Series``, whose cost grows with their number.

    Parameters
    ----------
    data : as of ``bayesinf.data.curve`` or ``curve_from_arrays``: x, y and, where they are known,
        errors under the user's names, sorted by x, which may repeat; or as of ``gp.data``: several
        inputs, or slopes.
    kernel : ``exponential``, ``squared_exponential``, ``matern32``, ``matern52``,
        ``rational_quadratic``, ``periodic``, or sums and products of the classes of those names, or
        as they are written: ``matern52 + periodic(1.0) * se``.
    mean : ``zero``, ``repulsive``, or a function of x whose further arguments, with priors or
        numbers as defaults, are parameters as well; a trend by formula, ``trend(t + t**2)``;
        ``constant``, and ``repulsive + constant``, stand on a constant that is inferred.
    coordinate : in which the kernel measures distances, of one input: ``x``, ``log``, ``inverse``,
        ``inverse_cube``, or (function, derivative) of the caller's, both from arrays to arrays.
    envelope : whether the curve's size falls off as a power of x, (x/x₀)^−decay, x₀ in the middle
        of the data: ``power`` with the default prior of ``decay``, a prior of it, or a number;
        None for a curve as large everywhere.
    noise : sd of the noise beyond the errors: a prior, a number, or None for the default prior;
        ``grows`` for one that grows, or shrinks, exponentially along the one input; ``signal``, or
        a ``signal.WithSignal``, for one that grows as a power of the size of the signal, of one
        input as well.
    priors : name of a parameter to its prior; else wide ones around the extent of the data. Of
        several inputs a length scale takes one for all, or a mapping from inputs to priors.
    units : of parameters of the mean, where that is a function; of y, where slopes alone do not
        say it.
    workers : threads for large matrices.

    Raises
    ------
    DataError : y does not vary.
    FitError : an unknown kernel, mean or parameter; a value that a parameter cannot have.
    """
    kernel = kernels.kernel(parse(kernel) if isinstance(kernel, str) else kernel)
    mean = named_mean(mean)
    coordinate = named_coordinate(coordinate)
    given = dict(priors or {}), dict(units or {}), workers
    noise = WithSignal() if noise == SIGNAL else noise
    grows = noise == GROWS or isinstance(noise, WithSignal)
    if isinstance(noise, str) and not grows:
        raise FitError(f"noise is a number, a prior, {GROWS!r} or {SIGNAL!r}, not {noise!r}")
    if "inputs" in data.attrs:
        if coordinate.name != "x" or envelope is not None:
            raise FitError("a coordinate or an envelope takes values of one input, without slopes")
        if grows:
            raise FitError("noise that grows takes values of one input, without slopes")
        return _field(table.read(data), kernel, mean, noise, *given)
    x, y, error = axes(data)
    columns = [column for column in (x, y, error) if column is not None]
    numbers = [column.values.astype(float) for column in columns]
    if np.ptp(numbers[1]) == 0:
        raise DataError("y does not vary", expected="a curve", found=f"{numbers[1][0]} throughout")
    envelope = stated_envelope(envelope, numbers[0])
    measured = coordinate.of(numbers[0], str(x.name))
    if np.ptp(measured) == 0:
        raise DataError(f"{x.name} does not vary in the coordinate {coordinate.name}")
    mean, lifted = seen(mean, numbers[0], (str(x.name),)), CONSTANT in mean.parameters()
    defaults = _defaults(kernel, *numbers[:2], measured, envelope, lifted)
    defaults |= _of_trend(mean, numbers[1])
    many = len(numbers[0]) >= LEAST and possible(kernel)
    shapes = {Growth.name, Signal.name}

    def stated(growth):
        own = set() if growth is None else {growth.name}
        asked = {NOISE: None if grows else noise} | dict.fromkeys(own)
        asked |= {} if envelope is None else envelope.parameters()
        of_growth = shapes - own if grows else set()
        priors = {name: one for name, one in given[0].items() if name not in of_growth}
        inferred, fixed = _parameters(kernel, mean, asked, priors, defaults)
        _distinct({x.name, y.name}, {*inferred, *fixed})
        return (Series if many else Process)(
            numbers[0],
            numbers[1],
            None if error is None else numbers[2],
            kernel,
            mean,
            inferred,
            fixed,
            str(x.name),
            str(y.name),
            {str(column.name): dict(column.attrs) for column in columns},
            *given[1:],
            coordinate,
            envelope,
            growth,
        )

    if not isinstance(noise, WithSignal):
        return stated(Growth.of(numbers[0]) if grows else None)
    known = Signal(numbers[0], data[SIZE].values) if SIZE in data else None
    return stated(estimated(stated(None), stated, noise) if known is None else known)


def _field(data, kernel, mean, noise, priors, units, workers):
    """State a process of several inputs, or of slopes."""
    several = len(data.inputs) > 1
    variables = {
        k: data.y_name if k == VALUE else table.slope_name(data.y_name, data.inputs[k])
        for k in map(int, np.unique(data.along))
    }
    slopes = [name for k, name in variables.items() if k != VALUE]
    if slopes and not kernel.smooth:
        raise FitError(
            "the paths of an exponential kernel have no slope anywhere, so none can be data: use "
            "squared_exponential, matern52 or rational_quadratic"
        )
    if several and any(isinstance(leaf, Periodic) for leaf in kernel.leaves()):
        raise FitError("a periodic kernel takes one input: use another for several")
    if several and "x" in mean.measured().values():
        raise FitError(f"a {mean.name} mean takes one input: state a function of the inputs")
    if noise is not None and VALUE not in variables:
        raise FitError(
            "noise is that of values, and there are none: give that of the slopes as "
            f"priors={{{noise_name(slopes[0], data.y_name)!r}: ...}}"
        )
    if data.y_name in units:
        of_y = {data.y_name: {"units": units.pop(data.y_name)}}
        data = replace(data, attributes={**data.attributes, **of_y})
    noises = {noise_name(name, data.y_name): None for name in variables.values()}
    noises |= {NOISE: noise} if VALUE in variables else {}
    mean = seen(mean, data.x.T if several else data.x[:, 0], data.inputs)
    defaults = _field_defaults(kernel, data, variables)
    defaults |= _of_trend(mean, data.y[data.along == VALUE])
    vectors = [n for n, kind in kernel.measured().items() if kind == "x"] if several else []
    inferred, fixed = _parameters(kernel, mean, noises, priors, defaults, vectors, data.inputs)
    _distinct({*data.inputs, *variables.values()}, {*inferred, *fixed})
    return Field(
        data.x,
        data.y,
        data.error,
        kernel,
        mean,
        inferred,
        fixed,
        data.inputs[0],
        data.y_name,
        data.attributes,
        units,
        workers,
        along=data.along,
        inputs=data.inputs,
    )


def _of_trend(mean, y):
    """Prior of each coefficient of a trend: what moves y by twice its sd, as its term moves."""
    trend = mean.base if isinstance(mean, Lifted) else mean
    if not isinstance(trend, Trend):
        return {}
    spread = 2 * (float(np.std(y)) if len(y) else 1.0)
    pairs = zip(trend.coefficients, trend.spreads, strict=True)
    return {name: Normal(0.0, spread / sd) for name, sd in pairs}


def _distinct(variables, parameters):
    """Refuse data that are called as a parameter is."""
    if doubled := variables & parameters:
        raise FitError(
            f"the data and a parameter are both called {', '.join(doubled)}: rename the data"
        )


def _parameters(kernel, mean, noises, given, defaults, vectors=(), inputs=()):
    """Priors of what is inferred and values of what is fixed, both by name."""
    asked = kernel.parameters() | noises | mean.parameters()
    doubled = {*kernel.parameters(), *noises} & mean.parameters().keys()
    if doubled:
        raise FitError(
            f"the mean may not call a parameter {', '.join(doubled)}: the kernel, the envelope "
            "and the noise have those names"
        )
    unknown = given.keys() - asked.keys()
    if unknown:
        raise FitError(
            f"no parameter {', '.join(sorted(unknown))}: a prior can be given for "
            f"{', '.join(asked)}"
        )
    filled = {
        name: _each(name, value, inputs, defaults[name])
        if name in vectors
        else defaults[name]
        if value is None
        else value
        for name, value in (asked | given).items()
    }
    fixed = {
        name: value if isinstance(value, np.ndarray) else float(value)
        for name, value in filled.items()
        if not isinstance(value, Prior | PerInput)
    }
    for name, value in fixed.items():
        positive = name in kernel.parameters() and not np.all(value > 0)
        negative = name.startswith(NOISE) and np.any(value < 0)
        if not np.all(np.isfinite(value)) or positive or negative:
            raise FitError(f"{name} cannot be fixed at {value}")
    return {name: v for name, v in filled.items() if name not in fixed}, fixed


def _each(name, value, inputs, defaults):
    """One prior for each input, or one number: from one for all, a mapping, or a sequence."""
    if isinstance(value, PerInput):
        value = dict(zip(value.inputs, value.priors, strict=True))
    if isinstance(value, Mapping):
        if unknown := value.keys() - set(inputs):
            raise FitError(
                f"{name} of no input {', '.join(map(str, sorted(unknown)))}: the "
                f"inputs are {', '.join(inputs)}"
            )
        value = [value.get(one) for one in inputs]
    elif value is None or isinstance(value, Prior) or np.ndim(value) == 0:
        value = [value] * len(inputs)
    if len(value) != len(inputs):
        raise FitError(f"{name} needs {len(inputs)} entries, one for each input, not {len(value)}")
    filled = [d if v is None else v for v, d in zip(value, defaults, strict=True)]
    priors = [isinstance(one, Prior) for one in filled]
    if all(priors):
        return PerInput(tuple(inputs), tuple(filled))
    if any(priors):
        raise FitError(f"{name} is fixed for some inputs and inferred for others: fix all or none")
    return np.array(filled, dtype=float)


def _defaults(kernel, x, y, measured=None, envelope=None, lifted=False) -> dict[str, Prior]:
    """State the priors: wide, around the extent of the data.

    Length scales around a fifth of the range of x in the kernel's coordinate, periods a third; of
    some hundred points n and more, that may see many turns of a curve, both around 1/√n of the
    range, so wide that two sds reach from the range to the gap between neighbours. Amplitudes
    around the sd of y, pure numbers around 1, all log-normal; the noise inverse-χ with one degree
    of freedom and a hundredth of the sd of y; the wall of a repulsive mean as steep as the range of
    y over a tenth of the range of x, beginning in the lower half of x; a constant around the mean
    of y, with twice its sd. Under an envelope the decay is N(0, 6²), or what is given, and the
    amplitude is around the rms of y over it, at the decay's median, y being counted from where the
    envelope is least if the mean has a constant. Noise that grows has N(0, 1.5²) for the log of its
    ratio from end to end; the power with which it grows with the signal N(½, ½²).
    """
    width, spread, extent = np.ptp(x), np.std(y), np.ptp(y)
    decay = Normal(0.0, 6.0)
    sized = spread
    if envelope is not None:
        given = decay if envelope.decay is None else envelope.decay
        median = float(given.from_normal(0.0)) if isinstance(given, Prior) else given
        size = envelope.value(x, {"decay": median})
        level = y[np.argmin(size)] if lifted else 0.0
        sized = np.sqrt(np.mean(((y - level) / size) ** 2))
    across = width if measured is None else np.ptp(measured)
    scale, period = LogNormal(across / 5, 1.0), LogNormal(across / 3, 1.0)
    if len(x) >= LEAST:
        scale = period = LogNormal(across / np.sqrt(len(x)), np.log(len(x)) / 4)
    of = {"x": scale, "y": LogNormal(sized, 1.5), "1": LogNormal(1.0, 1.0)}
    found = {name: of[kind] for name, kind in kernel.measured().items()}
    found |= {n: period for n in found if n.startswith("period")}
    return found | {
        NOISE: InverseChi(1.0, 0.01 * spread),
        "gamma": LogNormal(10 * extent / width, 1.5),
        "r0": Uniform(x[0], x[0] + width / 2),
        CONSTANT: Normal(float(np.mean(y)), 2 * spread),
        "decay": decay,
        Growth.name: Normal(0.0, 1.5),
        Signal.name: Normal(0.5, 0.5),
    }


def _field_defaults(kernel, data, variables):
    """State the priors of several inputs, or of slopes: wide, around the extent of the data.

    Length scales around half the range of each input, to a factor of 4.5, so that an input that
    does not matter may have ten times its range; of one input as ever. Amplitudes around the sd of
    the values, or of what the slopes make over the sds of the inputs, whichever is larger; the
    noise of each variable inverse-χ with one degree of freedom and a hundredth of its size.
    """
    values = data.y[data.along == VALUE]
    level = float(np.mean(values)) if len(values) else 0.0
    sizes = {k: np.sqrt(np.mean(data.y[data.along == k] ** 2)) for k in variables if k != VALUE}
    climbs = np.hypot.reduce([sizes[k] * np.std(data.x[:, k]) for k in sizes])
    spread = max(np.std(values) if len(values) else 0.0, climbs)
    if len(data.inputs) == 1:
        ends = np.array([data.x.min(), data.x.max()])
        found = _defaults(kernel, ends, spread * np.array([-1.0, 1.0]))
    else:
        each = [LogNormal(width / 2, 1.5) for width in np.ptp(data.x, axis=0)]
        of = {"x": each, "y": LogNormal(spread, 1.5), "1": LogNormal(1.0, 1.0)}
        found = {name: of[kind] for name, kind in kernel.measured().items()}
    called = {noise_name(variables[k], data.y_name): size for k, size in sizes.items()}
    called |= {NOISE: spread}
    found[CONSTANT] = Normal(level, 2 * spread)
    return found | {name: InverseChi(1.0, 0.01 * size) for name, size in called.items()}
