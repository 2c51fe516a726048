"""Spins with their energies: states (sample, site) of ±1, a sample for each measured energy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data.arrays import enough, finite, labelled, labels, listing, place, vector
from bayesinf.data.columns import columns_of, known_name, said
from bayesinf.data.states import NAMES, beside, read_states, sites_of, stack
from bayesinf.data.tables import read
from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

__all__ = ["spins", "spins_from_arrays"]

ENERGIES_NAMES = ("energies", "energy")


def spins(
    path: str | os.PathLike,
    *,
    energies: bool = True,
    also: Sequence[str] = (),
    least: int = 2,
) -> xr.Dataset:
    """Read spin configurations, with their energies.

    A file of arrays names them ``states``, (sample, site), and ``energies``, (sample,). In a table
    the column ``energy`` (or, where columns have no names, the last one) is the energy, and each
    other column a spin.

    Parameters
    ----------
    path : a file that ``read`` reads.
    energies : whether the file holds energies, and they are wanted.
    also : names of other arrays that are wanted where a file of arrays has them.
    least : fewest samples that will do.

    Returns
    -------
    a Dataset with ``states`` (sample, site), ±1 as int8, whose attribute ``encoding_read`` says
    whether the file held "±1" or "0/1", ``energies`` (sample,) where they are
    wanted, and what is found of ``also``, as it is, on axes NAME_dim_0, NAME_dim_1.

    Raises
    ------
    DataError : the file cannot be read, an array is missing, or the numbers will not do.
    """
    data = read(path)
    states = known_name(data.variables, NAMES)
    energy = known_name(data.variables, ENERGIES_NAMES)
    table = states is None and all(variable.ndim == 1 for variable in data.variables.values())
    columns = columns_of(data) if table else {}
    last = next(reversed(columns), None)
    if energies and energy is None and last == f"column_{len(columns)}":
        energy = last
    sites, left = sites_of({name: c for name, c in columns.items() if name != energy})
    missing = "states" if not (states or sites) else "energies" if energies and not energy else ""
    if missing:
        raise DataError(
            f"there is no array or column of {missing}",
            source=path,
            expected="arrays states and energies, or columns of spins and a column energy",
            found=listing(data.data_vars),
            remedy=f"give that name to what holds the {missing}",
        )
    result = spins_from_arrays(
        data[states] if states else stack(list(sites.values()), path),
        data[energy] if energies else None,
        least=least,
        source=path,
    )
    result = result.assign({} if table else beside(data, also))
    told = [f"spins are in {listing(sites) if table else states}"]
    told += [f"energies are in {energy}"] if energies else []
    told += [f"not used: {listing(left)}"] if table and left else []
    return result.assign_attrs(source=data.attrs["source"], **said(data, *told))


def spins_from_arrays(
    states: ArrayLike,
    energies: ArrayLike | None = None,
    *,
    least: int = 2,
    source: object = None,
) -> xr.Dataset:
    """Validate and label spins and energies held in memory; 0/1 becomes ±1 by s = 2 n − 1.

    Parameters
    ----------
    states : (sample, site), all ±1 or all 0/1.
    energies : (sample,), in the unit of their attribute, else dimensionless.
    least : fewest samples that will do.
    source : what an error message calls the origin of the arrays.

    Returns
    -------
    a Dataset as of ``spins``.

    Raises
    ------
    DataError : wrong or differing shapes, too few samples, a spin that is neither ±1 nor 0/1, an
        energy that is NaN or infinite.
    """
    import xarray as xr

    states = labelled(states, "states", source)
    if states.ndim != 2 or states.shape[1] == 0:
        raise DataError(
            "states has the wrong shape",
            source=source,
            expected="two axes (sample, site)",
            found=f"shape {states.shape}",
        )
    count, sites = states.shape
    if energies is not None:
        energies = vector(energies, "energies", source)
        if energies.size != count:
            raise DataError(
                "states and energies differ in length",
                source=source,
                expected=f"{count} energies, one for each row of states",
                found=f"{energies.size} energies for states of shape {states.shape}",
                remedy="states lies on its side: transpose it to (sample, site)"
                if energies.size == sites
                else "give one energy for each row of states",
            )
    enough(count, least, source)

    def where(row, site):
        return place(states, row, site)

    up, read_as = read_states(states.to_numpy(), "spin", where, source)
    values = np.where(up, np.int8(1), np.int8(-1))
    attrs = {**labels(states), "encoding_read": read_as or "±1"}
    variables = {"states": (("sample", "site"), values, attrs)}
    if energies is not None:
        variables["energies"] = ("sample", finite(energies, source), labels(energies))
    return xr.Dataset(variables)
