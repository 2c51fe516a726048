"""Densities of known moments on which samplers fail, each in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["BANANA", "FUNNEL", "MODES", "NORMAL", "TARGETS", "Target", "normal"]

NORMAL, BANANA, FUNNEL, MODES = 0, 1, 2, 3  # kinds of density
SHORT = 0.05  # of a normal's variances, that Metropolis' proposal has
BEND, WIDTH = 3.0, 0.1  # of the banana
NECK = 3.0  # sd of the funnel's first coordinate
APART, NARROW, SHARE = 4.0, 0.5, 0.7  # place of the modes, their width, the share of one


@dataclass(frozen=True)
class Target:
    """A density of known moments.

    Parameters
    ----------
    name : in words.
    kind, known : as the kernel has it.
    names : of the coordinates.
    mean, sd : of those coordinates that are judged, (coordinate,); NaN for one that is not.
    spread : sd of the chains' starts; of a normal in its own sds, around its mean.
    begin : where they start around: one place, or two that chains share in turn.
    proposal : variances of Metropolis' proposal; () for the samplers' own.
    trap : what is hard about it, in a sentence.
    box : of the flat prior that makes it a posterior.
    """

    name: str
    kind: int
    known: np.ndarray
    names: Sequence[str]
    mean: np.ndarray
    sd: np.ndarray
    spread: float = 1.0
    begin: tuple[float, ...] = (0.0,)
    trap: str = ""
    proposal: tuple[float, ...] = ()
    box: float = 1e4

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return len(self.names)

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Log density at points, (..., coordinate) -> (...)."""
        from bayesinf.systems.metropolis import kernel

        points = np.asarray(points, dtype=float)
        flat = np.ascontiguousarray(points.reshape(-1, points.shape[-1]))
        with np.errstate(all="ignore"):
            found = kernel.log_densities(self.kind, self.known, flat)
        return np.where(np.isnan(found), -np.inf, found).reshape(points.shape[:-1])

    def starts(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Where chains begin, (chain, coordinate)."""
        if self.kind == NORMAL:  # known without a search, and left by some sds
            middle, spread = self.mean, self.spread * self.sd
            return middle + spread * rng.standard_normal((count, self.size))
        middle = np.resize(self.begin, count)[:, None]
        return middle + self.spread * rng.standard_normal((count, self.size))


def normal(mean: np.ndarray, covariance: np.ndarray, names: Sequence[str]) -> Target:
    """Return a normal as a target; its chains begin up to some sds away."""
    mean = np.asarray(mean, dtype=float)
    precision = np.linalg.inv(covariance)
    sd = np.sqrt(np.diag(covariance))
    known = np.concatenate([mean, precision.ravel()])
    return Target(
        "normal",
        NORMAL,
        known,
        tuple(names),
        mean,
        sd,
        spread=3.0,
        proposal=tuple(SHORT * sd**2),
        trap="correlated, and easy",
    )


def _modes(name, begin, trap):
    return Target(
        name,
        MODES,
        np.array([APART, NARROW, SHARE]),
        ("x", "y"),
        np.full(2, APART * (2 * SHARE - 1)),
        np.full(2, np.sqrt(NARROW**2 + 4 * APART**2 * SHARE * (1 - SHARE))),
        spread=0.5,
        begin=begin,
        trap=trap,
        box=50.0,
    )


TARGETS = {
    "banana": Target(
        "banana",
        BANANA,
        np.array([BEND, WIDTH]),
        ("x", "y"),
        np.zeros(2),
        np.array([1.0, np.sqrt(WIDTH**2 + 2 * BEND**2)]),
        trap="a thin bent ridge: no one covariance fits its arms and its middle",
    ),
    "funnel": Target(
        "funnel",
        FUNNEL,
        np.array([NECK]),
        ("v", "x1", "x2", "x3", "x4"),
        np.array([0.0, *[np.nan] * 4]),
        np.array([NECK, *[np.nan] * 4]),
        trap="a neck whose width changes by orders of magnitude: no one step fits all of it",
        box=1e7,
    ),
    "two modes, begun at both": _modes(
        "two modes, begun at both",
        (APART, -APART),
        "modes of 70 and 30 %, 23 widths apart: nothing passes; chains begin at either",
    ),
    "two modes, begun at one": _modes(
        "two modes, begun at one",
        (APART,),
        "the same, and every chain begins at one of them",
    ),
}
