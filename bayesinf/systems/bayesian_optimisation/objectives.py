"""Functions whose minimum is known, on which optimisers are held against each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from bayesinf.errors import DataError

__all__ = ["OBJECTIVES", "Objective", "objective"]

# Hartmann's function of six inputs.
WEIGHT = np.array([1.0, 1.2, 3.0, 3.2])
STEEPNESS = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
CENTRE = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def forrester(x: np.ndarray) -> np.ndarray:
    """Return (6x − 2)² sin(12x − 4), x of shape (..., 1)."""
    x = x[..., 0]
    return (6 * x - 2) ** 2 * np.sin(12 * x - 4)


def branin(x: np.ndarray) -> np.ndarray:
    """Return Branin's function at x, (..., 2), which has three minima of one depth."""
    a, b = x[..., 0], x[..., 1]
    bent = b - 5.1 / (4 * np.pi**2) * a**2 + 5 / np.pi * a - 6
    return bent**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10


def hartmann(x: np.ndarray) -> np.ndarray:
    """Return Hartmann's function at x, (..., 6), which has six minima of different depth."""
    square = np.sum(STEEPNESS * (x[..., None, :] - CENTRE) ** 2, axis=-1)
    return -np.sum(WEIGHT * np.exp(-square), axis=-1)


@dataclass(frozen=True)
class Objective:
    """A function to minimise.

    Parameters
    ----------
    name, title : what it is called, here and on a page.
    function : from places, (..., input), to values, (...).
    bounds : input to its lower and upper bound.
    near : about where it is lowest, (minimum, input).
    evaluations : how many a run makes by default, the first of them spread evenly.
    """

    name: str
    title: str
    function: Callable[[np.ndarray], np.ndarray]
    bounds: dict[str, tuple[float, float]]
    near: tuple[tuple[float, ...], ...]
    evaluations: int

    def __call__(self, x) -> float:
        """Value at one place."""
        return float(self.function(np.asarray(x, dtype=float)))

    def __hash__(self):
        return hash(self.name)

    @property
    def minima(self) -> np.ndarray:
        """Where it is lowest, to rounding, (minimum, input)."""
        return _minima(self)

    @property
    def minimum(self) -> float:
        """How deep it is there."""
        return min(map(self, self.minima))


@cache
def _minima(one):
    from scipy.optimize import minimize

    options = {"xatol": 1e-12, "fatol": 1e-14, "maxiter": 10_000, "maxfev": 10_000}
    ends = [minimize(one, x, method="Nelder-Mead", options=options).x for x in one.near]
    return np.array(ends)


OBJECTIVES = {
    "forrester": Objective(
        "forrester", "Forrester’s function", forrester, {"x": (0.0, 1.0)}, ((0.757,),), 9
    ),
    "branin": Objective(
        "branin",
        "Branin’s function",
        branin,
        {"a": (-5.0, 10.0), "b": (0.0, 15.0)},
        ((-np.pi, 12.275), (np.pi, 2.275), (3 * np.pi, 2.475)),
        25,
    ),
    "hartmann": Objective(
        "hartmann",
        "Hartmann’s function of six inputs",
        hartmann,
        {f"x{k}": (0.0, 1.0) for k in range(1, 7)},
        ((0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573),),
        45,
    ),
}


def objective(name: str) -> Objective:
    """Return the objective of a name.

    Raises
    ------
    DataError : there is none.
    """
    if name not in OBJECTIVES:
        raise DataError("unknown objective", expected=", ".join(OBJECTIVES), found=repr(name))
    return OBJECTIVES[name]
