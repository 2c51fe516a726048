"""Boxes that resolve a density of one to three variables: fine where its mass is, coarse elsewhere.

The density is known point by point, and each point costs. It is evaluated at the centres of boxes;
in each box its logarithm is taken to be linear, with the slope that the neighbours show, and a box
is cut in three along one axis (the middle third keeps its centre, so two new points are paid for)
while the neighbours show a curvature by which that would be wrong. What the mistake weighs is the
mass that the box may hold, so all modes compete, and the one that is right takes the points. Draws
come from a box by its mass, then from the exponential in it: they are independent, and the density
at a draw over that which it was drawn from is a weight that says how well the boxes do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

__all__ = ["ERROR", "Boxes", "LogDensity", "laid", "refined"]

LogDensity = Callable[[np.ndarray], np.ndarray]  # of points (point, axis)

ERROR = 0.01  # variance of the draws' log weights at which boxes are fine enough
SHARE = 0.006  # variance in a box of the log weight, over the square of what a neighbour is off
MOST = 20_000  # boxes beyond the first at which it is given up
STEEP = 6.0  # largest fall across a box, in log density, that a slope may describe
NEAR = 1e-6  # of a width: boxes so near each other touch
FIRM, SOFT = 1e-9, 1e-4  # what holds slope and curvature at zero where neighbours do not tell them


@dataclass(frozen=True)
class Boxes:
    """Boxes side by side, and the log density at their centres.

    Parameters
    ----------
    centre, width : (box, axis).
    value : log density at the centres, (box,).
    slope : of the log density, (box, axis).
    bend : its curvature times the squared width, as the neighbours show it, (box, axis).
    error : what each box adds to the variance of the log weights, (box,).
    pairs : boxes that touch, at corners as well, each pair once, (2, pair).
    axis : along which each is to be cut, (box,).
    """

    centre: np.ndarray
    width: np.ndarray
    value: np.ndarray
    slope: np.ndarray
    bend: np.ndarray
    error: np.ndarray
    pairs: np.ndarray
    axis: np.ndarray

    @cached_property
    def log_mass(self) -> np.ndarray:
        """Log of the integral over each box, (box,)."""
        half = 0.5 * self.slope * self.width
        with np.errstate(invalid="ignore", divide="ignore"):
            tilt = np.where(np.abs(half) < 1e-4, half**2 / 6, np.log(np.sinh(half) / half))
        return self.value + self.rise + np.sum(np.log(self.width) + tilt, axis=1)

    @cached_property
    def rise(self) -> np.ndarray:
        """What the curvature adds to the log of a box's mean density, to first order, (box,)."""
        return np.sum(np.clip(self.bend, -STEEP, STEEP), axis=1) / 24

    @cached_property
    def log_total(self) -> float:
        """Log of the integral over all boxes."""
        return float(np.logaddexp.reduce(self.log_mass))

    @cached_property
    def share(self) -> np.ndarray:
        """Probability of each box, (box,)."""
        return np.exp(self.log_mass - self.log_total)

    def draw(self, rng: np.random.Generator, size: int) -> tuple[np.ndarray, ...]:
        """Draw independently.

        Returns
        -------
        which box, (size,); the points, (size, axis); and their log density, not normalised: where
        the boxes are right, that of the density itself but for its curvature, (size,).
        """
        share = self.share
        box = rng.choice(len(share), size, p=share / share.sum())
        width, slope, u = self.width[box], self.slope[box], rng.random((size, self.width.shape[1]))
        fall = slope * width
        flat = np.abs(fall) < 1e-6
        steep = np.where(flat, 1.0, fall)
        place = np.where(flat, u, np.log1p(u * np.expm1(steep)) / steep) - 0.5
        offset = place * width
        log_density = (self.value + self.rise)[box] + np.sum(slope * offset, axis=1)
        return box, self.centre[box] + offset, log_density

    @cached_property
    def inner(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance within each box, (box, axis) each."""
        half = 0.5 * self.slope * self.width
        flat = np.abs(half) < 1e-3
        safe = np.where(flat, 1.0, half)
        # Those of an exponential on [-1, 1], and their series about a slope of zero.
        mean = np.where(flat, half / 3, 1 / np.tanh(safe) - 1 / safe)
        variance = np.where(flat, 1 / 3 - half**2 / 15, 1 / safe**2 - 1 / np.sinh(safe) ** 2)
        return self.centre + 0.5 * self.width * mean, 0.25 * self.width**2 * variance

    def moments(self, chosen: np.ndarray | slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation along each axis, (axis,), of all boxes or of some."""
        mean, variance, share = self.inner[0][chosen], self.inner[1][chosen], self.share[chosen]
        share = share / np.sum(share)
        overall = share @ mean
        return overall, np.sqrt(share @ (variance + (mean - overall) ** 2))


def laid(log_density: LogDensity, centre: np.ndarray, width: np.ndarray) -> Boxes:
    """Boxes of given centres and widths, (box, axis) each, as a first grid lays them."""
    from scipy.spatial import cKDTree

    near = cKDTree(centre / width.max(axis=0))
    pairs = near.query_pairs(1 + NEAR, p=np.inf, output_type="ndarray").T
    return _described(centre, width, log_density(centre), _touching(centre, width, pairs))


def refined(log_density: LogDensity, boxes: Boxes, error: float = ERROR, most: int = MOST) -> Boxes:
    """Cut boxes until the log density is resolved.

    Parameters
    ----------
    log_density : from points (point, axis) to its values, (point,).
    boxes : to begin with.
    error : variance of the draws' log weights to reach.
    most : boxes to add at which to stop all the same.

    Returns
    -------
    the boxes.
    """
    most = most + len(boxes.value)
    while np.sum(boxes.error) > error and len(boxes.value) < most:
        # The boxes that carry most of the error, all at once: points are cheaper together.
        order = np.argsort(-boxes.error)
        carried = np.cumsum(boxes.error[order])
        chosen = order[: 1 + np.searchsorted(carried, 0.7 * carried[-1])]
        boxes = _cut(boxes, chosen, log_density)
    return boxes


def _cut(boxes, chosen, log_density):
    """Cut the chosen boxes in three, and describe all anew."""
    rows, axis = np.arange(len(chosen)), boxes.axis[chosen]
    width = boxes.width.copy()
    width[chosen, axis] /= 3
    thirds, shift = width[chosen], np.zeros_like(width[chosen])
    shift[rows, axis] = thirds[rows, axis]
    new = np.concatenate([boxes.centre[chosen] - shift, boxes.centre[chosen] + shift])
    centre, width = np.concatenate([boxes.centre, new]), np.concatenate([width, thirds, thirds])
    pairs = _touching(centre, width, _candidates(boxes, chosen))
    return _described(centre, width, np.concatenate([boxes.value, log_density(new)]), pairs)


def _candidates(boxes, chosen):
    """Pairs that may touch once the chosen boxes are cut, (2, pair).

    Two boxes that touch are of one box that was, or of two that touched: so no pair is searched
    for, and the work grows with the boxes, however fine some are beside others.
    """
    count, cut = len(boxes.value), len(chosen)
    thirds = np.full((count, 3), -1)  # an uncut box has its own place alone
    thirds[:, 0] = np.arange(count)
    thirds[chosen, 1:] = count + np.arange(2 * cut).reshape(2, cut).T
    one, other = (thirds[side] for side in boxes.pairs)
    across = np.broadcast_arrays(one[:, :, np.newaxis], other[:, np.newaxis, :])
    across = np.stack([side.ravel() for side in across])
    outer = thirds[chosen, 1:].T
    within = np.stack([np.tile(chosen, 2), outer.ravel()])
    return np.concatenate([across[:, np.all(across >= 0, axis=0)], within], axis=1)


def _touching(centre, width, pairs):
    """Those of the pairs, (2, pair), that touch."""
    one, other = pairs
    apart = np.abs(centre[one] - centre[other]) / (0.5 * (width[one] + width[other]))
    return pairs[:, np.all(apart <= 1 + NEAR, axis=1)]


def _described(centre, width, value, pairs):
    """Boxes with the slopes, curvatures and errors that their neighbours show.

    Each box fits v_j - v_i = Σ_a s_a δ_a + ½ b_a δ_a² to its neighbours j by least squares, δ their
    distance in its own widths and the weight of each 1 / |δ|².
    """
    count, axes = centre.shape
    one, other = np.concatenate([pairs, pairs[::-1]], axis=1)
    delta, rise = (centre[other] - centre[one]) / width[one], value[other] - value[one]
    terms = np.concatenate([delta, 0.5 * delta**2], axis=1)
    weight = 1 / np.sum(delta**2, axis=1)
    A, b = np.empty((count, 2 * axes, 2 * axes)), np.empty((count, 2 * axes))
    for k in range(2 * axes):
        b[:, k] = np.bincount(one, weight * terms[:, k] * rise, count)
        for m in range(2 * axes):
            A[:, k, m] = np.bincount(one, weight * terms[:, k] * terms[:, m], count)
    A += np.diag(np.repeat([FIRM, SOFT], axes))
    found = np.linalg.solve(A, b[..., np.newaxis])[..., 0]
    fall, bend = np.clip(found[:, :axes], -STEEP, STEEP), found[:, axes:]

    missed = (rise - np.sum(fall[one] * delta, axis=1)) / np.max(np.abs(delta), axis=1) ** 2
    known = np.bincount(one, minlength=count)
    lack = np.bincount(one, missed**2, count) / np.maximum(known, 1)
    bending = np.abs(bend)
    for k in range(axes):  # neighbours on one side alone say nothing of a curvature
        sides = [np.bincount(one, side * delta[:, k] > 0.4, count) for side in (-1, 1)]
        unseen = np.where(np.minimum(*sides) > 0, 0.0, np.abs(fall[:, k]))
        lack += (0.5 * unseen) ** 2
        bending[:, k] = np.maximum(bending[:, k], unseen)
    lack = np.where(known > 0, np.minimum(SHARE * lack, 1.0), 1.0)
    # A box may hold more than its centre says: the top that its own parabola has inside it, and as
    # much as a neighbour.
    steepest = np.maximum(np.maximum(-2 * bend, np.abs(fall)), np.finfo(float).tiny)
    top = np.where(bend < 0, fall**2 / steepest, 0.0)
    high = value + np.sum(top, axis=1)
    np.maximum.at(high, one, value[other])
    plain = Boxes(centre, width, value, fall / width, bend, lack, pairs, bending.argmax(axis=1))
    held = np.exp(np.minimum(high + np.sum(np.log(width), axis=1) - plain.log_total, 0.0))
    return replace(plain, error=held * lack)
