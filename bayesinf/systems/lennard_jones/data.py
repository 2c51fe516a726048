"""Energies at distances: simulated, read from a file of the user's, or the shipped argon table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import axes, curve, curve_from_arrays
from bayesinf.data.units import spelled
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

FROM_ZERO = {"constant": 0, "level": 0.0}  # of energies that are known to be those of the pair

__all__ = ["argon", "argon_table", "checked", "read", "scales", "simulate"]


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
    a Dataset over ``point`` with ``distances``, ``energies``, the mask ``training``, and as
    ``truth.epsilon`` and ``truth.sigma`` what is true of a Lennard-Jones mean. The attribute
    ``potential`` names the potential of ``POTENTIALS`` that the energies are of.
    """
    r = np.linspace(0.9, 2.0, 50) if distances is None else np.sort(np.asarray(distances, float))
    rng = DEFAULT.generator("simulate") if rng is None else rng
    chosen = np.isin(np.arange(len(r)), rng.permutation(len(r))[: round(training * len(r))])
    energies = lennard_jones(r) + noise * rng.standard_normal(len(r))
    found = _labelled(r, energies, None, "σ", "ε").assign_attrs(
        case="Lennard-Jones pair", potential="lennard_jones", **FROM_ZERO
    )
    found["training"] = ("point", chosen, {"units": "1"})
    truth = {"epsilon": (1.0, "ε"), "sigma": (1.0, "σ")} | (
        {"noise": (noise, "ε")} if noise else {}
    )
    return found.assign(
        {f"truth.{name}": ((), value, {"units": unit}) for name, (value, unit) in truth.items()}
    )


def read(
    path: str | os.PathLike | xr.Dataset,
    distance: str | int | None = None,
    energy: str | int | None = None,
    error: str | int | None = None,
    *,
    distance_unit: str | None = None,
    energy_unit: str | None = None,
    decimal: str | None = None,
    windows: Sequence[tuple[float, float]] = (),
) -> xr.Dataset:
    """Read energies of a pair at some distances, with errors where the file has them.

    Parameters
    ----------
    path : what ``data.curve`` reads.
    distance, energy, error : columns, by name or position from 1; otherwise those of well-known
        names, else the first that does not only count the rows, the next, and what is called an
        error.
    distance_unit, energy_unit : where the file's header does not name them, as in ``r (Å)``.
    decimal, windows : as for ``data.curve``.

    Returns
    -------
    a Dataset as of ``simulate``, all points to train on, and nothing known of the truth.

    Raises
    ------
    DataError : what ``data.curve`` refuses, fewer than three points, r ≤ 0, energies all equal, a
        unit that is missing or unknown.
    """
    found = curve(
        path,
        distance,
        energy,
        error,
        x_names=("r", "distance", "distances", "separation"),
        y_names=("u", "v", "e", "energy", "energies", "potential"),
        index=False,
        decimal=decimal,
        windows=windows,
    )
    r, u, bars = axes(found)
    source = path.attrs.get("source", "") if hasattr(path, "attrs") else path
    of_r = _unit(source, r, distance_unit, "distance", DISTANCE_UNITS)
    of_u = _unit(source, u, energy_unit, "energy", ENERGY_UNITS)
    if bars is not None and bars.units not in (u.units, of_u):
        raise DataError(
            "the error bars have another unit than the energies",
            source=source,
            where=f"column {bars.attrs['long_name']}",
            expected=of_u,
            found=bars.units,
            remedy="convert the column",
        )
    result = _labelled(r, u, bars, of_r, of_u).assign_attrs(
        case=Path(source).name, read_as=found.attrs["read_as"]
    )
    checked(result, source)
    return result


def argon(path: str | Path) -> xr.Dataset:
    """Read the energies of ``data/lennard_jones/argon.csv``, Å and K; all are to train on."""
    return read(path).assign_attrs(case="Argon", potential="aziz", **FROM_ZERO)


def argon_table() -> np.ndarray:
    """Make the rows of the shipped file: distances in Å, energies in K to a thousandth."""
    r = np.round(np.r_[np.arange(2.8, 4.75, 0.1), np.arange(4.8, 10.1, 0.2)], 1)
    return np.column_stack([r, np.round(aziz(r), 3)])


def checked(dataset: xr.Dataset, source: object = None) -> xr.Dataset:
    """Return distances, energies and errors as a curve, sorted; refuse what no fit should see."""
    found = curve_from_arrays(
        dataset["distances"], dataset["energies"], dataset.get("error"), source=source
    )
    r, u = found["distances"].values, found["energies"].values
    if r[0] <= 0:
        raise DataError(
            "a distance is not positive",
            source=source,
            where="distances",
            expected="r > 0",
            found=f"{r[0]:g}",
            remedy="correct or remove the row",
        )
    if np.all(u == u[0]):
        raise DataError(
            "all energies are equal",
            source=source,
            expected="energies that depend on r",
            found=f"{u[0]:g} throughout",
            remedy="check which column holds the energies",
        )
    return found


def scales(distances: np.ndarray, energies: np.ndarray) -> tuple[float, float]:
    """Read the size σ and the well depth ε of a pair off its energies, roughly.

    In reduced units, which DataArrays may have, both are 1. Else they are those of a Lennard-Jones
    potential A/r¹² − B/r⁶ through the data, by least squares of relative errors; where that has no
    well, the lowest energy stands for −ε, at 2^(1/6) σ, or a tenth of the energies' sd if none is
    negative. Priors are wide around these scales, and the classical recipe's numbers are in units
    of them.
    """
    units = [getattr(a, "attrs", {}).get("units") for a in (distances, energies)]
    if units in (["σ", "ε"], ["sigma", "epsilon"]):
        return 1.0, 1.0
    r, u = np.asarray(distances, dtype=float), np.asarray(energies, dtype=float)
    weight = 1 / (np.abs(u) + np.median(np.abs(u)) + 1e-300)
    columns = np.column_stack([(r / r.min()) ** -12, -((r / r.min()) ** -6)])
    (a, b), *_ = np.linalg.lstsq(columns * weight[:, None], u * weight)
    if a > 0 and b > 0:
        return float(r.min() * (a / b) ** (1 / 6)), float(b**2 / (4 * a))
    depth = -u.min() if u.min() < 0 else 0.1 * u.std()
    return float(r[np.argmin(u)] / 2 ** (1 / 6)), float(depth)


def _labelled(r, energies, error, of_r, of_u):
    """Distances, energies and errors with their units, all points to train on."""
    import xarray as xr

    columns = {"distances": (r, of_r), "energies": (energies, of_u), "error": (error, of_u)}
    found = {
        name: ("point", np.asarray(values, dtype=float), {"units": unit})
        for name, (values, unit) in columns.items()
        if values is not None
    }
    return xr.Dataset(found | {"training": ("point", np.ones(len(r), bool), {"units": "1"})})


def _unit(path, column, given, what, table):
    """The unit of a column: the one given, else the header's; it must be known."""
    written = given or ("" if column.units == "1" else column.units)
    unit = spelled(written, table)
    if unit is None:
        raise DataError(
            f"the unit of the {what} is {'unknown' if written else 'missing'}",
            source=path,
            where=f"column {column.attrs['long_name']}",
            expected=f"one of {', '.join(table)}",
            found=written or "none",
            remedy=f"name it in the header, as in '{'r (Å)' if what == 'distance' else 'U (K)'}', "
            f"or by --{what}-unit",
        )
    return unit
