"""The well, read off drawn curves where the data bracket it, and what its checks ask.

The lowest energies of a table lie between two rows that are surely higher: there the well is read.
Elsewhere, in a gap or far outside, drawn curves may dip as low as the amplitude of the process lets
them, and no row says otherwise. Such dips are no well; where many curves have one, or one that is
far deeper than the lowest row, the process does not know the potential and is not to be believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.inference.kinds import Question
from bayesinf.posterior import dataset as labelled
from bayesinf.systems.lennard_jones.level import constant_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["QUESTIONS", "Bracket", "bracket", "judged", "well"]

SURELY = 4.0  # noise sds by which a row lies above the lowest one to bound the well
ELSEWHERE = 0.05  # largest share of curves whose lowest point lies outside the bracket
DEEPER = 2.0  # largest depth of a curve in depths of the lowest row, 97.5 % quantile
FINER = 20  # places between two of the grid at which cubics are followed

# How often a right fit fails them, and how often they catch what they are for, is measured by
# ``workflows/trials.py lennard_jones``.
QUESTIONS = (
    Question(
        "place of the well",
        "well_elsewhere",
        "max",
        ELSEWHERE,
        "≤",
        True,
        "a share of {value:.2g} of the curves is lowest elsewhere than around the lowest energies",
        "add energies where the bands are wide, or choose another form: the curve between and "
        "beyond the rows is not known",
    ),
    Question(
        "depth of the well",
        "well_deeper",
        "max",
        DEEPER,
        "≤",
        True,
        "the curves reach {value:.2g} times as deep as the lowest energy",
        "add energies where the bands are wide, or choose another form",
    ),
)


@dataclass(frozen=True)
class Bracket:
    """Where the lowest energies are.

    Parameters
    ----------
    left, right : distances of the rows around them.
    closed : whether rows on both sides are surely higher, so that a well is there to be read.
    depth : of the lowest row below the level of the pair apart; 0 where it is not below.
    """

    left: float
    right: float
    closed: bool
    depth: float


def bracket(
    distances: np.ndarray, energies: np.ndarray, sd: np.ndarray, level: float = 0.0
) -> Bracket:
    """Find the rows around the lowest energies that are surely higher.

    Parameters
    ----------
    distances, energies : (point,), ascending in distance.
    sd : of the energies' noise, (point,).
    level : energy of the pair apart.
    """
    r, u = np.asarray(distances), np.asarray(energies)
    k = int(np.argmin(u))
    higher = np.flatnonzero(u - u[k] > SURELY * np.hypot(sd, sd[k]))
    left, right = higher[r[higher] < r[k]], higher[r[higher] > r[k]]
    return Bracket(
        float(r[left[-1]] if left.size else r[0]),
        float(r[right[0]] if right.size else r[-1]),
        bool(left.size and right.size),
        float(max(level - u[k], 0.0)),
    )


def well(drawn: xr.Dataset, within: Bracket) -> xr.Dataset:
    """Read the well's depth, the distance of its minimum, and the zero crossing off drawn curves.

    Each curve is followed between the grid's points by the cubic in log r that meets its values and
    slopes (straight lines for an exponential kernel, whose paths have no slopes).

    Parameters
    ----------
    drawn : as of ``curves``.
    within : where the data have the well.

    Returns
    -------
    a Dataset over chain and draw with ``depth`` below the pair apart, ``minimum`` and ``crossing``,
    NaN where a curve has none; none has a well where the rows do not bracket one. Further
    ``lowest``, where each curve is lowest, and ``deepest``, how deep that is.
    """
    t, fine, flat = _followed(drawn)
    level = np.reshape(np.broadcast_to(_level(drawn), drawn["curve"].shape[:2]), -1)
    flat = flat - level[:, None]
    row, everywhere = np.arange(len(flat)), np.argmin(flat, axis=1)
    slack = 1e-9 * abs(t[-1] - t[0])
    inside = (fine >= np.log(within.left) - slack) & (fine <= np.log(within.right) + slack)
    low = np.argmin(np.where(inside, flat, np.inf), axis=1)
    # A minimum above the pair apart, on the way down the wall, is no well.
    here = inside[np.clip(low - 1, 0, None)] & inside[np.clip(low + 1, None, len(fine) - 1)]
    here &= (low > 0) & (low < len(fine) - 1) & (flat[row, low] < 0) & within.closed
    low = np.clip(low, 1, len(fine) - 2)
    left, middle, right = flat[row, low - 1], flat[row, low], flat[row, low + 1]
    bend = np.maximum(left - 2 * middle + right, 1e-300)
    shift, step = np.clip(0.5 * (left - right) / bend, -1, 1), fine[1] - fine[0]
    falls = (flat[:, :-1] > 0) & (flat[:, 1:] <= 0)
    falls &= np.arange(len(fine) - 1) <= np.where(within.closed, low, everywhere)[:, None]
    k = falls.shape[1] - 1 - np.argmax(falls[:, ::-1], axis=1)  # the last fall before the minimum
    crosses = falls.any(axis=1)
    drop = np.where(crosses, flat[row, k] - flat[row, k + 1], 1.0)
    share = np.where(crosses, flat[row, k], 0.0) / drop
    found = {
        "depth": np.where(here, -(middle - 0.125 * (left - right) ** 2 / bend), np.nan),
        "minimum": np.where(here, np.exp(fine[low] + shift * step), np.nan),
        "crossing": np.where(crosses, np.exp(fine[k] + share * step), np.nan),
        "lowest": np.exp(fine[everywhere]),
        "deepest": -flat[row, everywhere],
    }
    of_r, of_u = drawn["distances"].units, drawn["curve"].units
    units = dict.fromkeys(found, of_r) | {"depth": of_u, "deepest": of_u}
    shape = drawn["curve"].shape[:2]
    return labelled({n: v.reshape(shape) for n, v in found.items()}, units=units)


def judged(read: xr.Dataset, within: Bracket) -> dict[str, float]:
    """Return what ``QUESTIONS`` look at: the share of curves lowest elsewhere, and how much deeper.

    Where no row lies below the pair apart there is no well that curves could exceed.
    """
    lowest, deepest = read["lowest"].values, read["deepest"].values
    near = 1e-6 * within.right
    outside = (lowest < within.left - near) | (lowest > within.right + near)
    deeper = np.quantile(deepest, 0.975) / within.depth if within.depth > 0 else 0.0
    return {"well_elsewhere": float(np.mean(outside)), "well_deeper": float(deeper)}


def _followed(drawn):
    """log r of the grid, log r between its places, and the curves there, (curve, place)."""
    from scipy.interpolate import CubicHermiteSpline

    r, energy = drawn["distances"].values, drawn["curve"].values
    t, flat = np.log(r), energy.reshape(-1, len(r))
    fine = np.linspace(t[0], t[-1], FINER * (len(r) - 1) + 1)
    if "slope" in drawn:
        slope = drawn["slope"].values.reshape(-1, len(r)) * r
        return t, fine, CubicHermiteSpline(t, flat, slope, axis=1)(fine)
    return t, fine, np.array([np.interp(fine, t, row) for row in flat])


def _level(drawn):
    """The constant of each curve, (chain, draw) or 0."""
    level = constant_of(drawn)
    return getattr(level, "values", level)
