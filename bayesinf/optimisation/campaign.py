"""A campaign: what is to be minimised, over which inputs, and every evaluation so far.

A ``Campaign`` is plain data and never changes; ``told``, ``failed``, ``expecting`` and
``withdrawn`` return the next one. An evaluation that failed is one without a value: it tells where
measuring is possible. A constraint is a number that is measured beside the value, and is met where
it is ≤ 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from bayesinf.codes import LARGEST
from bayesinf.errors import DataError

__all__ = ["GOALS", "Campaign", "Evaluation", "Input", "campaign"]

GOALS = ("minimise", "maximise")
SAME = 1e-9  # of an input's range, within which two places are one
MOST_INTEGERS = 2**53  # beyond which they are no longer numbers of their own
# What the variables of a result are called, or its dimensions.
RESERVED = ("point", "chain", "draw", "error", "input", "new", "candidate", "constant", "amplitude")
RESERVED += ("length_scale", "noise", "minimum", "maximum", "status", "evaluation", "place")


def _is_name(name):
    return isinstance(name, str) and re.fullmatch(r"\w+", name) is not None


@dataclass(frozen=True)
class Input:
    """A number that can be set, between bounds.

    Parameters
    ----------
    name : what it is called.
    low, high : the bounds, both allowed.
    integer : whether it takes whole numbers alone.
    log : whether ratios of it matter rather than differences: a scale from 1e-6 to 1, say.
    units : its unit.
    """

    name: str
    low: float
    high: float
    integer: bool = False
    log: bool = False
    units: str = "1"

    def __post_init__(self):
        words = {"where": f"input {self.name}"}
        if not _is_name(self.name):
            raise DataError("an input needs a name of letters, digits and _", found=repr(self.name))
        if self.name in RESERVED:
            raise DataError(f"an input cannot be called {self.name}", remedy="rename it")
        ends = np.array([self.low, self.high], dtype=float)
        if not np.isfinite(ends).all() or not self.low < self.high:
            found = f"{self.low:g} and {self.high:g}"
            raise DataError(
                "bounds that bound nothing", expected="low < high", found=found, **words
            )
        if self.integer and (np.any(ends % 1) or np.any(abs(ends) > MOST_INTEGERS)):
            found = f"{self.low:g} and {self.high:g}"
            raise DataError("bounds of an integer", expected="whole numbers", found=found, **words)
        if self.log and self.low <= 0:
            raise DataError("a logarithm takes bounds above zero", found=f"{self.low:g}", **words)

    @property
    def count(self) -> float:
        """How many values it can take."""
        return self.high - self.low + 1 if self.integer else math.inf

    @property
    def ends(self) -> np.ndarray:
        """The bounds on the scale on which the input is even: their logarithms, if ``log``."""
        return self.scaled(np.array([self.low, self.high]))

    def scaled(self, x: np.ndarray) -> np.ndarray:
        """Return values on that scale."""
        return np.log(x) if self.log else np.asarray(x, dtype=float)

    def to_unit(self, x: np.ndarray) -> np.ndarray:
        """Return where values lie between the bounds, from 0 to 1."""
        low, high = self.ends
        return (self.scaled(x) - low) / (high - low)

    def from_unit(self, u: np.ndarray) -> np.ndarray:
        """Return the values at places from 0 to 1, whole numbers of an integer."""
        low, high = self.ends
        x = low + (high - low) * np.asarray(u, dtype=float)
        x = np.exp(x) if self.log else x
        return np.clip(np.round(x) if self.integer else x, self.low, self.high)


@dataclass(frozen=True)
class Evaluation:
    """One measurement: where, what came, and what the constraints were.

    Parameters
    ----------
    x : an entry for each input.
    y : the value; None where the measurement failed.
    constraints : an entry for each constraint; none where the measurement failed.
    """

    x: tuple[float, ...]
    y: float | None
    constraints: tuple[float, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether there is no value."""
        return self.y is None

    @property
    def feasible(self) -> bool:
        """Whether there is a value that meets all constraints."""
        return not self.failed and all(c <= 0 for c in self.constraints)


@dataclass(frozen=True)
class Campaign:
    """What is sought, and all that is known; ``campaign`` states one.

    Parameters
    ----------
    inputs : what can be set.
    name, units : what the value is called and measured in.
    goal : of ``GOALS``.
    noise : sd of the noise of a value; 0 for values that are exact, None where it is inferred.
    constraints : names of numbers that are told with each value, and must be ≤ 0.
    starts : evaluations that are spread evenly before any model is asked.
    seed : from which all randomness follows.
    evaluations : in the order in which they were told.
    pending : places that were asked for and not told yet.
    """

    inputs: tuple[Input, ...]
    name: str = "y"
    units: str = "1"
    goal: str = "minimise"
    noise: float | None = None
    constraints: tuple[str, ...] = ()
    starts: int = 3
    seed: int = 1
    evaluations: tuple[Evaluation, ...] = ()
    pending: tuple[tuple[float, ...], ...] = field(default=())

    def __post_init__(self):
        names = [one.name for one in self.inputs]
        if not names:
            raise DataError("a campaign needs an input", expected="a name with two bounds")
        taken = [*names, self.name, *self.constraints]
        if len(set(taken)) < len(taken):
            raise DataError("a name is given twice", found=", ".join(taken))
        if not _is_name(self.name) or self.name in RESERVED:
            raise DataError("the value needs another name", found=repr(self.name))
        if self.goal not in GOALS:
            raise DataError("unknown goal", expected=" or ".join(GOALS), found=repr(self.goal))
        if self.noise is not None and not 0 <= self.noise < math.inf:
            raise DataError("the noise of a value", expected="an sd from 0", found=self.noise)
        if self.starts != int(self.starts) or self.starts < 2:
            raise DataError("too few starts", expected="an integer from 2", found=self.starts)
        if self.seed != int(self.seed) or self.seed < 0:
            raise DataError("the seed", expected="an integer from 0", found=self.seed)

    # What is told

    def place(self, x: Sequence[float] | Mapping[str, float] | float) -> tuple[float, ...]:
        """Return a place as a tuple, one entry for each input.

        Raises
        ------
        DataError : the wrong number of inputs, one that is no number or outside its bounds.
        """
        names = [one.name for one in self.inputs]
        if isinstance(x, Mapping):
            if set(map(str, x)) != set(names):
                raise DataError(
                    "the inputs do not agree",
                    expected=", ".join(names),
                    found=", ".join(map(str, x)),
                )
            x = [x[name] for name in names]
        x = np.atleast_1d(np.asarray(x, dtype=float))
        if x.shape != (len(names),):
            raise DataError(
                "the wrong number of inputs",
                expected=f"{len(names)} ({', '.join(names)})",
                found=x.size,
            )
        for one, value in zip(self.inputs, x, strict=True):
            if not one.low <= value <= one.high:
                raise DataError(
                    "a place outside the bounds" if np.isfinite(value) else "no number",
                    where=f"input {one.name}",
                    expected=f"{one.low:g} to {one.high:g}",
                    found=f"{value:g}",
                )
            if one.integer and value % 1:
                raise DataError(
                    "an integer", where=f"input {one.name}", expected="a whole number", found=value
                )
        return tuple(map(float, x))

    def told(
        self,
        x: Sequence[float] | Mapping[str, float] | float,
        y: float,
        constraints: Sequence[float] | Mapping[str, float] = (),
    ) -> Campaign:
        """Return the campaign that knows one more value.

        Parameters
        ----------
        x : where; it need not have been asked for.
        y : the value.
        constraints : what was measured of each constraint.

        Raises
        ------
        DataError : as of ``place``; y or a constraint is no finite number, or one is missing; an
            exact value differs from one that is known at the same place.
        """
        place = self.place(x)
        if isinstance(constraints, Mapping):
            if set(constraints) != set(self.constraints):
                raise DataError(
                    "the constraints do not agree",
                    expected=", ".join(self.constraints) or "none",
                    found=", ".join(map(str, constraints)) or "none",
                )
            constraints = [constraints[name] for name in self.constraints]
        if len(constraints) != len(self.constraints):
            raise DataError(
                "the wrong number of constraints",
                expected=f"{len(self.constraints)}"
                + (f" ({', '.join(self.constraints)})" if self.constraints else ""),
                found=len(constraints),
            )
        numbers = {self.name: y, **dict(zip(self.constraints, constraints, strict=True))}
        for name, value in numbers.items():
            if not isinstance(value, int | float | np.number) or not np.isfinite(value):
                raise DataError(
                    f"the value of {name} is no finite number",
                    found=value,
                    remedy="tell a measurement that gave none as failed",
                )
            if abs(value) >= LARGEST:
                raise DataError(
                    f"the value of {name} is too large for sums of squares",
                    expected=f"a size below {LARGEST:g}",
                    found=value,
                    remedy="give it in another unit",
                )
        if self.noise == 0:
            for known in self.evaluations:
                if not known.failed and self._same(known.x, place) and known.y != y:
                    raise DataError(
                        f"{self.name} is exact, and has two values at one place",
                        expected=f"{known.y:g}, as told before",
                        found=f"{y:g}",
                        remedy="state the noise when the campaign is made",
                    )
        return self._with(Evaluation(place, float(y), tuple(map(float, constraints))))

    def failed(self, x: Sequence[float] | Mapping[str, float] | float) -> Campaign:
        """Return the campaign that knows that measuring somewhere gave no value."""
        return self._with(Evaluation(self.place(x), None))

    def expecting(self, places: Sequence[Sequence[float]]) -> Campaign:
        """Return the campaign that waits for values at places that were asked for."""
        return replace(self, pending=(*self.pending, *(self.place(x) for x in places)))

    def withdrawn(self, x: Sequence[float] | Mapping[str, float] | float) -> Campaign:
        """Return the campaign that no longer waits for a value somewhere.

        Raises
        ------
        DataError : it did not.
        """
        place = self.place(x)
        left = self._without(place)
        if len(left) == len(self.pending):
            raise DataError(
                "nobody waits for a value there",
                expected="; ".join(" ".join(f"{v:.10g}" for v in x) for x in self.pending)
                or "nothing is pending",
                found=" ".join(f"{v:.10g}" for v in place),
            )
        return replace(self, pending=left)

    def _with(self, evaluation):
        return replace(
            self,
            evaluations=(*self.evaluations, evaluation),
            pending=self._without(evaluation.x),
        )

    def _without(self, place):
        """What is pending but for one place."""
        for k, one in enumerate(self.pending):
            if self._same(one, place):
                return self.pending[:k] + self.pending[k + 1 :]
        return self.pending

    def _same(self, one, other):
        return all(
            abs(a - b) <= SAME * (each.high - each.low)
            for a, b, each in zip(one, other, self.inputs, strict=True)
        )

    # What is known

    @property
    def sign(self) -> float:
        """What values are multiplied by, so that the smallest is sought."""
        return -1.0 if self.goal == "maximise" else 1.0

    @cached_property
    def integer(self) -> np.ndarray:
        """Which inputs are integers, (input,)."""
        return np.array([one.integer for one in self.inputs])

    def to_unit(self, places: np.ndarray) -> np.ndarray:
        """Return places, (place, input), in the unit cube."""
        places = np.asarray(places, dtype=float).reshape(-1, len(self.inputs))
        return np.stack([o.to_unit(places[:, k]) for k, o in enumerate(self.inputs)], axis=1)

    def from_unit(self, points: np.ndarray) -> np.ndarray:
        """Return what points of the unit cube, (place, input), mean; whole numbers of integers."""
        return np.stack([o.from_unit(points[:, k]) for k, o in enumerate(self.inputs)], axis=1)

    def snapped(self, points: np.ndarray) -> np.ndarray:
        """Return points of the unit cube moved to where integers are whole, and into the cube."""
        points = np.clip(points, 0.0, 1.0)
        return self.to_unit(self.from_unit(points)) if self.integer.any() else points

    @property
    def measured(self) -> list[Evaluation]:
        """Evaluations that have a value."""
        return [one for one in self.evaluations if not one.failed]

    @property
    def failures(self) -> list[Evaluation]:
        """Evaluations that have none."""
        return [one for one in self.evaluations if one.failed]

    @property
    def best(self) -> Evaluation | None:
        """The best value that was measured and meets the constraints; None where there is none."""
        found = [one for one in self.evaluations if one.feasible]
        return min(found, key=lambda one: self.sign * one.y, default=None)


def campaign(
    bounds: Mapping[str, tuple[float, float] | Input],
    *,
    integers: Sequence[str] = (),
    logs: Sequence[str] = (),
    starts: int | None = None,
    **options,
) -> Campaign:
    """State a campaign by the bounds of its inputs.

    Parameters
    ----------
    bounds : input to (low, high), or to an ``Input``.
    integers, logs : names of inputs that take whole numbers, or of which ratios matter.
    starts : evaluations before any model is asked; by default two for each input, three at least.
    **options : further fields of ``Campaign``.

    Raises
    ------
    DataError : bounds, names or options that will not do.
    """
    for name in (*integers, *logs):
        if name not in bounds:
            raise DataError(f"no input {name}", expected=", ".join(bounds))
    inputs = tuple(
        ends
        if isinstance(ends, Input)
        else Input(name, *map(float, ends), integer=name in integers, log=name in logs)
        for name, ends in bounds.items()
    )
    starts = max(3, 2 * len(inputs)) if starts is None else starts
    options["constraints"] = tuple(options.get("constraints", ()))
    return Campaign(inputs, starts=starts, **options)
