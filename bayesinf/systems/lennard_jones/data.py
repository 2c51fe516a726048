"""Energies at distances: simulated, read from a file of the user's, or the shipped argon table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.settings import DEFAULT
from bayesinf.systems.lennard_jones.potentials import (
    DISTANCE_UNITS,
    ENERGY_UNITS,
    aziz,
    lennard_jones,
)

if TYPE_CHECKING:
    import xarray as xr


def simulate(
    distances: np.ndarray | None = None,
    *,
    noise: float = 0.0,
    training: float = 0.5,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Make Lennard-Jones energies in reduced units.

    Parameters
    ----------
    distances : (point,), in σ; by default 50 from 0.9 to 2.0.
    noise : sd of the energies' noise, in ε.
    training : share of the points, chosen at random, to train on.
    rng : generator; by default the stream "simulate" of the default settings.

    Returns
    -------
    a Dataset over ``point`` with ``distances``, ``energies`` and the mask ``training``.
    """
    r = np.linspace(0.9, 2.0, 50) if distances is None else np.asarray(distances, dtype=float)
    rng = DEFAULT.generator("simulate") if rng is None else rng
    chosen = np.isin(np.arange(len(r)), rng.permutation(len(r))[: round(training * len(r))])
    energies = lennard_jones(r) + noise * rng.standard_normal(len(r))
    return _labelled(r, energies, None, "σ", "ε", chosen, "Lennard-Jones pair", "lennard_jones")


def read(
    path: str | Path,
    distance: str | int | None = None,
    energy: str | int | None = None,
    error: str | int | None = None,
    *,
    distance_unit: str | None = None,
    energy_unit: str | None = None,
) -> xr.Dataset:
    """Read energies of a pair at some distances, with errors where the file has them.

    Parameters
    ----------
    path : a file that ``data.read`` reads.
    distance, energy, error : columns, by name or position from 1; otherwise those of well-known
        names, else the first, the second, and what is called an error.
    distance_unit, energy_unit : where the file's header does not name them, as in ``r (Å)``.

    Returns
    -------
    a Dataset as of ``simulate``, all points to train on.

    Raises
    ------
    DataError : what ``data.curve`` refuses, fewer than three points, r ≤ 0, energies all equal, a
        unit that is missing or unknown.
    """
    from bayesinf import data

    found = data.curve(
        path,
        distance,
        energy,
        error,
        x_names=("r", "distance", "distances", "separation"),
        y_names=("u", "v", "e", "energy", "energies", "potential"),
    )
    r, u, bars = data.axes(found)
    units = [
        _unit(path, r, distance_unit, DISTANCE_UNITS),
        _unit(path, u, energy_unit, ENERGY_UNITS),
    ]
    validated(r.values, u.values, path)
    if bars is not None and bars.units not in (u.units, units[1]):
        raise DataError(
            "the error bars have another unit than the energies", source=path,
            where=f"column {bars.attrs['long_name']}",
            expected=units[1], found=bars.units, remedy="convert the column",
        )  # fmt: skip
    every = np.ones(found.sizes["point"], dtype=bool)
    return _labelled(r, u, bars, *units, every, Path(path).name, "")


def argon(path: str | Path) -> xr.Dataset:
    """Read the argon energies of ``data/lennard_jones/argon.csv``, Å and K; all points are to train on."""
    return read(path).assign_attrs(case="Argon", truth="aziz")


def argon_table() -> np.ndarray:
    """Make the rows of the shipped file: distances in Å, energies in K to a thousandth."""
    r = np.round(np.r_[np.arange(2.8, 4.75, 0.1), np.arange(4.8, 10.1, 0.2)], 1)
    return np.column_stack([r, np.round(aziz(r), 3)])


def _labelled(r, energies, error, of_r, of_u, training, case, truth):
    import xarray as xr

    columns = {"distances": (r, of_r), "energies": (energies, of_u), "error": (error, of_u)}
    found = {name: ("point", np.asarray(values, dtype=float), {"units": unit})
             for name, (values, unit) in columns.items() if values is not None}  # fmt: skip
    found["training"] = ("point", training, {"units": "1"})
    return xr.Dataset(found, attrs={"case": case, "truth": truth})


def _unit(path, column, given, table):
    """The unit of a column: the one given, else the header's; it must be known."""
    header = "" if column.units == "1" else column.units
    unit = given or header
    if unit not in table:
        what = "distance" if table is DISTANCE_UNITS else "energy"
        raise DataError(
            f"the unit of the {what} is {'unknown' if unit else 'missing'}",
            source=path,
            where=f"column {column.attrs['long_name']}",
            expected=f"one of {', '.join(table)}",
            found=unit or "none",
            remedy=f"name it in the header, as in '{'r (Å)' if what == 'distance' else 'U (K)'}', "
            f"or by --{what}-unit",
        )
    return unit


def validated(r: np.ndarray, energies: np.ndarray, source: object = None) -> None:
    """Refuse distances that are not positive, and energies that are all equal."""
    r, energies = np.asarray(r, dtype=float), np.asarray(energies, dtype=float)
    if (r <= 0).any():
        raise DataError(
            "a distance is not positive", source=source, where="distances", expected="r > 0",
            found=f"{r[r <= 0][0]:g}", remedy="correct or remove the row",
        )  # fmt: skip
    if len(energies) and np.all(energies == energies[0]):
        raise DataError(
            "all energies are equal", source=source, expected="energies that depend on r",
            found=f"{energies[0]:g} throughout", remedy="check which column holds the energies",
        )  # fmt: skip


def scales(
    distances: np.ndarray, energies: np.ndarray, units: Sequence[str] = ()
) -> tuple[float, float]:
    """Read the size σ and the well depth ε of a pair off its energies, roughly.

    In reduced units both are 1. Else they are those of a Lennard-Jones potential A/r¹² − B/r⁶
    through the data, by least squares of relative errors; where that has no well, the lowest energy
    stands for −ε, at 2^(1/6) σ, or a tenth of the energies' sd if none is negative. Priors are wide
    around these scales, and the classical recipe's numbers are in units of them.
    """
    if tuple(units) in (("σ", "ε"), ("sigma", "epsilon")):
        return 1.0, 1.0
    r, u = np.asarray(distances, dtype=float), np.asarray(energies, dtype=float)
    weight = 1 / (np.abs(u) + np.median(np.abs(u)) + 1e-300)
    columns = np.column_stack([(r / r.min()) ** -12, -((r / r.min()) ** -6)])
    (a, b), *_ = np.linalg.lstsq(columns * weight[:, None], u * weight)
    if a > 0 and b > 0:
        return float(r.min() * (a / b) ** (1 / 6)), float(b**2 / (4 * a))
    depth = -u.min() if u.min() < 0 else 0.1 * u.std()
    return float(r[np.argmin(u)] / 2 ** (1 / 6)), float(depth)
