"""What a place promises: rules as functions over the unit cube, with their gradients.

    expected improvement     log (1/S) Σ_s σ_s h(z_s),  z_s = (f*_s − μ_s)/σ_s,  h(z) = φ(z) + zΦ(z)
    lower confidence bound   log(w − (1/S) Σ_s (μ_s − κ σ_s))
    thompson                 log(w − f(x)), f one drawn curve

averaged over the nodes s of ``surrogate``; w is above all values, so that each rule is the
logarithm of something positive, and the probability that a place is possible and allowed
multiplies it. The improvement is a logarithm because it underflows long before it stops telling
places apart (Ament et al. 2023, doi:10.48550/arXiv.2310.20708). Under noise the incumbent f*_s is
the least mean of the curve at the places measured, node by node, and no value measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bayesinf.models.gp.acquisition import RULES
from bayesinf.optimisation.feasibility import Classes, log_feasible
from bayesinf.optimisation.surrogate import Nodes, Surrogate

__all__ = [
    "LIKELY",
    "RULES",
    "Bound",
    "Curve",
    "Feasible",
    "Improvement",
    "Lowest",
    "Score",
    "incumbents",
    "shortage",
]

LEAST = 1e-20  # variance, of which the root is a number to divide by
LIKELY = 0.5  # probability of feasibility from which a place counts as allowed
STEEP = 100.0  # how fast a function climbs where that is smaller, against its logarithm
# Points, (place, input), which ascent each is of, and whether gradients are wanted -> values,
# (place,), and gradients, (place, input), zero where not asked.
Score = Callable[[np.ndarray, np.ndarray | None, bool], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Improvement:
    """Log of the expected improvement, averaged over nodes, times the probability of feasibility.

    Parameters
    ----------
    nodes : the process given the data.
    incumbent : what is to be improved on, (node,).
    parts : of feasibility.
    """

    nodes: Nodes
    incumbent: np.ndarray
    parts: Sequence[Surrogate | Classes] = ()

    def __call__(self, points, rows=None, slopes=False):
        """Values at points, (place,), and gradients, (place, input), zero where not asked."""
        value, gradient = self.nodes.improvement(points, self.incumbent, slopes)
        if self.parts:
            more, steep = log_feasible(self.parts, points, slopes)
            value, gradient = value + more, gradient + steep
        return value, gradient


@dataclass(frozen=True)
class Bound:
    """Log of how far the lower confidence bound is below ``above``, times that of feasibility."""

    nodes: Nodes
    width: float
    above: float
    parts: Sequence[Surrogate | Classes] = ()

    def __call__(self, points, rows=None, slopes=False):
        """Values at points, (place,), and gradients, (place, input), zero where not asked."""
        mean, variance, of_mean, of_variance = self.nodes.moments(points, slopes)
        sd = np.sqrt(np.maximum(variance, LEAST))
        bound, slope = self.nodes.plain(mean - self.width * sd)
        steep = np.zeros(points.shape)
        if slopes:
            along = of_mean - self.width * of_variance / (2 * sd)[..., None]
            steep = np.mean(slope[..., None] * along, axis=0)
        return _below(bound.mean(axis=0), steep, self.above, self.parts, points, slopes)


@dataclass(frozen=True)
class Curve:
    """Log of how far a drawn curve is below ``above``, times the probability of feasibility."""

    paths: Callable
    above: float
    parts: Sequence[Surrogate | Classes] = ()

    def __call__(self, points, rows=None, slopes=False):
        """Values at points, (place,), and gradients, (place, input), zero where not asked."""
        value, steep = self.paths(points, np.zeros(len(points), dtype=int), slopes)
        return _below(value, steep, self.above, self.parts, points, slopes)


@dataclass(frozen=True)
class Feasible:
    """Log probability of feasibility alone: what is sought while nothing feasible is known."""

    parts: Sequence[Surrogate | Classes]

    def __call__(self, points, rows=None, slopes=False):
        """Values at points, (place,), and gradients, (place, input), zero where not asked."""
        return log_feasible(self.parts, points, slopes)


@dataclass(frozen=True)
class Lowest:
    """Minus a function, among places that are possible and allowed with a fair probability.

    Parameters
    ----------
    function : as a ``Score``.
    parts : of feasibility.
    """

    function: Score
    parts: Sequence[Surrogate | Classes] = ()

    def __call__(self, points, rows=None, slopes=False):
        """Values at points, (place,), and gradients, (place, input), zero where not asked."""
        value, gradient = self.function(points, rows, slopes)
        if not self.parts:
            return -value, -gradient
        height, steep = shortage(self.parts, points, slopes)
        return height - value, steep - gradient


def shortage(
    parts: Sequence[Surrogate | Classes], points: np.ndarray, slopes: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return a penalty, 0 or less, where places are hardly possible, and its gradient, if asked."""
    log, steep = log_feasible(parts, points, slopes)
    short = np.minimum(log - np.log(LIKELY), 0.0)
    return STEEP * short, STEEP * steep * (short < 0)[:, None]


def _below(value, steep, above, parts, points, slopes):
    """log(above − value) + log feasible; falling on where value is above all."""
    gap = above - value
    near = np.maximum(gap, 1e-3)
    found, gradient = log_feasible(parts, points, slopes)
    found += np.log(near) + np.minimum(gap - 1e-3, 0.0) / 1e-3
    return found, gradient - steep / near[:, None]


def incumbents(nodes: Nodes, noisy: bool, allowed: np.ndarray) -> np.ndarray:
    """Return what is to be improved on, (node,).

    Parameters
    ----------
    nodes : the process given the data.
    noisy : whether values have noise: then means of the curve stand for them.
    allowed : which of the data count, (point,).
    """
    values = nodes.moments(nodes.X[allowed])[0] if noisy else nodes.y[:, allowed]
    return values.min(axis=1)
