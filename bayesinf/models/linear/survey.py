"""The posterior of a few parameters whose evidence is known point by point, surveyed on boxes.

An axis for each parameter, a first grid of boxes, and ``boxes`` refines it. A screen may rule out
most of the first grid beforehand. How much it may have left out, whether the first steps could have
stepped over a mode, and how much of the posterior stands at the ends of an axis is told with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bayesinf import parallel
from bayesinf.models.linear.boxes import ERROR, Boxes, LogDensity, laid, refined
from bayesinf.priors import LogUniform, Prior

__all__ = ["STEPS", "Axis", "Survey", "surveyed"]

STEPS = 24  # boxes along each axis to begin with
TAIL = 5.0  # standard normal quantile at which the axis of a prior without end is cut
LEFT = 1e-5  # share of a screen's guess that may be left out
MOST_FIRST = 3_000  # boxes of the first grid that a screen may let through
AUDITED = 12  # steps ruled out by a screen that are evaluated all the same
TASK = 16  # points that a thread takes at a time
FEW = 64  # points below which threads cost more than they bring
SEEN = 0.01  # share of the posterior from which a step of the first grid is looked at


@dataclass(frozen=True)
class Axis:
    """One parameter, laid out as it is or, where it is positive without end, in its logarithm.

    Parameters
    ----------
    name : of the parameter.
    prior : its prior.
    steps : boxes to begin with.
    """

    name: str
    prior: Prior
    steps: int

    @property
    def logarithmic(self) -> bool:
        """Whether the axis is that of the logarithm."""
        low, high = self.prior.support
        return (low == 0 and np.isinf(high)) or isinstance(self.prior, LogUniform)

    @property
    def endless(self) -> bool:
        """Whether the prior goes on where the axis is cut."""
        return not np.all(np.isfinite(self.prior.support))

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """Ends of the axis."""
        ends = self.prior.from_normal(np.array([-1, 1]) * (TAIL if self.endless else np.inf))
        return tuple(np.log(ends) if self.logarithmic else ends)

    @property
    def step(self) -> float:
        """Width of a box to begin with."""
        return (self.bounds[1] - self.bounds[0]) / self.steps

    @property
    def centres(self) -> np.ndarray:
        """Centres of the boxes to begin with, (step,)."""
        return self.bounds[0] + self.step * (np.arange(self.steps) + 0.5)

    def value(self, place):
        """The parameter at places along the axis."""
        return np.exp(place) if self.logarithmic else place

    def log_density(self, place):
        """Log prior density along the axis."""
        return self.prior.log_density(self.value(place)) + (place if self.logarithmic else 0.0)


@dataclass(frozen=True)
class Survey:
    """The posterior on boxes, and what was left out.

    Parameters
    ----------
    axes : of the boxes.
    boxes : the posterior, not normalised: its total is the evidence.
    skipped : largest share of it that may stand where the screen has ruled it out.
    log_density : of points (point, axis), what the boxes are of.
    error : variance of the draws' log weights that the boxes aim at.
    """

    axes: tuple[Axis, ...]
    boxes: Boxes
    skipped: float
    log_density: LogDensity
    error: float = ERROR

    def finer(self) -> Survey:
        """The same on boxes about half as wide."""
        error = self.error / 16
        return replace(self, boxes=refined(self.log_density, self.boxes, error), error=error)

    def theta(self, point: np.ndarray) -> dict[str, float]:
        """The parameters by name at a point of the boxes, (axis,)."""
        return {a.name: float(a.value(x)) for a, x in zip(self.axes, point, strict=True)}

    def log_prior(self, point: np.ndarray) -> float:
        """Log prior density at a point of the boxes, (axis,), along their axes."""
        return float(sum(a.log_density(x) for a, x in zip(self.axes, point, strict=True)))

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each parameter, (axis,)."""
        mean, sd = self.boxes.moments()
        inner, variance = self.boxes.inner
        for k, axis in enumerate(self.axes):
            if axis.logarithmic:  # to second order within a box, which is narrow
                share, middle = self.boxes.share, np.exp(inner[:, k])
                mean[k] = share @ (middle * (1 + variance[:, k] / 2))
                square = share @ (middle**2 * (1 + 2 * variance[:, k]))
                sd[k] = np.sqrt(max(square - mean[k] ** 2, 0.0))
        return mean, sd

    def edge_mass(self) -> float:
        """Largest share of the posterior in the last step of an axis whose prior goes on there."""
        found = [0.0]
        for k, axis in enumerate(self.axes):
            place = self.boxes.centre[:, k]
            low, high = axis.bounds[0] + axis.step, axis.bounds[1] - axis.step
            if axis.endless:
                found += [self.boxes.share @ (place < low), self.boxes.share @ (place > high)]
        return float(max(found))

    def step_per_width(self) -> float:
        """Largest ratio of a first step to the standard deviation of a mode that it must find."""
        step = np.array([axis.step for axis in self.axes])
        low = np.array([axis.bounds[0] for axis in self.axes])
        cell = np.floor((self.boxes.centre - low) / step).astype(int)
        cells, which = np.unique(cell, axis=0, return_inverse=True)
        held = np.bincount(which.ravel(), self.boxes.share)
        ratios = [0.0]
        for one in cells[held > SEEN]:
            around = np.all(np.abs(cell - one) <= 1, axis=1)
            ratios.append(np.max(step / self.boxes.moments(around)[1]))
        return float(max(ratios))


def surveyed(
    log_evidence: Callable[[Mapping[str, float]], float],
    axes: Sequence[Axis],
    screen: Mapping[str, Callable[[np.ndarray], np.ndarray]],
) -> Survey:
    """Survey the posterior p(θ) p(y | θ).

    Parameters
    ----------
    log_evidence : from the parameters by name to log p(y | θ).
    axes : of the parameters.
    screen : name of one parameter to about the log evidence at many of its values; or nothing.
    """
    plain = Survey(tuple(axes), None, 0.0, None)

    def of_some(points):
        return np.array([log_evidence(plain.theta(one)) + plain.log_prior(one) for one in points])

    def log_density(points):
        if len(points) < FEW:
            return of_some(points)
        tasks = [points[k : k + TASK] for k in range(0, len(points), TASK)]
        return np.concatenate(parallel.map(of_some, tasks, threads=True, label="surveying"))

    step = np.array([axis.step for axis in axes])
    ruled = {name: _ruled_out(axes, name, function) for name, function in screen.items()}
    kept = [
        axis.centres[~ruled[axis.name][0]] if axis.name in ruled else axis.centres for axis in axes
    ]
    first = _product(kept)
    boxes = refined(log_density, laid(log_density, first, np.tile(step, (len(first), 1))))
    skipped = 0.0
    for name, (out, guess) in ruled.items():
        skipped = _left_out(axes, name, out, guess, log_density, boxes)
    return Survey(tuple(axes), boxes, skipped, log_density)


def _ruled_out(axes, name, function):
    """Which steps of an axis its screen rules out, and what it guesses of each."""
    axis = next(axis for axis in axes if axis.name == name)
    guess = np.asarray(function(axis.value(axis.centres)), dtype=float)
    guess = guess + axis.log_density(axis.centres)
    order = np.argsort(guess)
    mass = np.exp(guess[order] - np.max(guess))
    most = MOST_FIRST // int(np.prod([other.steps for other in axes if other is not axis]))
    likely = order[np.cumsum(mass) > LEFT * np.sum(mass)][-most:]
    near = np.zeros(len(guess), dtype=bool)
    near[np.clip(np.add.outer([-1, 0, 1], likely), 0, len(guess) - 1)] = True
    return ~near, guess


def _left_out(axes, name, out, guess, log_density, boxes):
    """Largest share of the posterior in what a screen has ruled out.

    Some of it, evenly spaced and where the guess is highest, is evaluated; the rest is taken to
    exceed the screen's guess by as much as the worst of these.
    """
    if not np.any(out):
        return 0.0
    k = [axis.name for axis in axes].index(name)
    step, where = np.array([axis.step for axis in axes]), np.flatnonzero(out)
    high = where[np.argsort(-guess[where])[: AUDITED // 2]]
    even = where[np.linspace(0, len(where) - 1, AUDITED // 2).astype(int)]
    excess = []
    for one in np.unique([*high, *even]):
        centres = [axis.centres for axis in axes]
        centres[k] = centres[k][one : one + 1]
        found = np.logaddexp.reduce(log_density(_product(centres)))
        excess.append(found + np.sum(np.log(np.delete(step, k))) - guess[one])
    log_mass = np.logaddexp.reduce(guess[out]) + np.log(step[k]) + max(excess)
    return float(np.exp(min(log_mass - np.logaddexp(log_mass, boxes.log_total), 0.0)))


def _product(along):
    """All points of a grid, (point, axis)."""
    return np.stack([each.ravel() for each in np.meshgrid(*along, indexing="ij")], axis=1)
