"""States and energies: a simulated ring, a file of the user's, and what is held out of either."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import data as reading
from bayesinf.errors import DataError
from bayesinf.posterior import annotated, dataset
from bayesinf.settings import DEFAULT

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["read", "simulate", "split", "with_truth"]


def simulate(
    sites: int = 40,
    samples: int = 10_000,
    noise: float = 0.1,
    *,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Draw random states of a ring of spins and measure their energies.

        E = -Σ_j s_j s_{j+1} + noise · z,   z ~ N(0, 1)

    Parameters
    ----------
    sites : spins on the ring.
    samples : states.
    noise : standard deviation of the measurement, in units of the coupling; zero is allowed.
    rng : of states and noise; by default the stream "simulate" of the default settings.

    Returns
    -------
    Dataset with ``states`` (sample, site), int8 of ±1, ``energies`` (sample), and beside them the
    ``truth``: ``J`` (pair), in the convention of the fit.

    Raises
    ------
    DataError : fewer than 3 sites or 2 samples, noise below zero.
    """
    if sites < 3 or samples < 2 or noise < 0:
        raise DataError(
            "no such ring",
            expected="sites ≥ 3, samples ≥ 2 and noise ≥ 0",
            found=f"{sites}, {samples} and {noise}",
        )
    rng = DEFAULT.generator("simulate") if rng is None else rng
    states = rng.choice(np.array([-1, 1], np.int8), (samples, sites))
    bonds = np.sum(states * np.roll(states, -1, axis=1), axis=1, dtype=float)
    energies = -bonds + noise * rng.standard_normal(samples)
    i, j = np.triu_indices(sites, 1)
    neighbours = (j - i == 1) | (j - i == sites - 1)
    return with_truth(reading.spins_from_arrays(states, energies), -1.0 * neighbours)


def read(path: str | os.PathLike) -> xr.Dataset:
    """Read states and energies, and the truth where the file has the matrix ``couplings``.

    Parameters
    ----------
    path : NPZ, MAT, netCDF or CSV, as ``bayesinf.data.spins`` reads them. Of ``couplings`` (site,
        site) both triangles count, as J_ij + J_ji.

    Returns
    -------
    a Dataset as of ``simulate``.
    """
    spins = reading.spins(path, also=("couplings",))
    matrix = spins["couplings"].values.astype(float) if "couplings" in spins else np.empty(0)
    spins = spins.drop_vars("couplings", errors="ignore")
    sites = spins.sizes["site"]
    if matrix.shape != (sites, sites):
        return spins
    return with_truth(spins, (matrix + matrix.T)[np.triu_indices(sites, 1)])


def with_truth(spins: xr.Dataset, couplings: np.ndarray) -> xr.Dataset:
    """Put the true couplings of pairs i < j, (pair,), beside states and energies."""
    i, j = np.triu_indices(spins.sizes["site"], 1)
    coords = {"i": ("pair", i), "j": ("pair", j)}
    unit = {"J": spins["energies"].attrs.get("units", "1")}
    truth = dataset({"J": couplings}, {"J": ("pair",)}, coords, unit, sampled=False)
    return annotated(spins, truth=truth)


def split(
    spins: xr.Dataset,
    train: int | None = 400,
    held_out: int = 400,
    *,
    rng: np.random.Generator | None = None,
) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Draw states to learn from and states to predict, without overlap.

    A file with fewer states than asked for is divided in the same proportion.

    Parameters
    ----------
    spins : as of ``simulate``.
    train, held_out : states of either part; None for all that are not held out.
    rng : by default the stream "split" of the default settings.

    Returns
    -------
    Dataset along ``sample``, and Dataset along ``held_out``; None where nothing is held out.

    Raises
    ------
    DataError : fewer than 8 states to be split, or none left to learn from.
    """
    count = spins.sizes["sample"]
    if held_out and count < 8:
        raise DataError(
            "too few states", expected="at least 8, to learn from and to predict", found=count
        )
    if train is None:
        train = count - held_out
    if train + held_out > count:
        train = max(4, count * train // (train + held_out))
        held_out = min(held_out, count - train)
    if train < 2:
        raise DataError(
            "too few states are left to learn from", expected="at least 2", found=max(train, 0)
        )
    order = (DEFAULT.generator("split") if rng is None else rng).permutation(count)
    known, unseen = (np.sort(part) for part in np.split(order[: train + held_out], [train]))
    if not held_out:
        return spins.isel(sample=known), None
    return spins.isel(sample=known), spins.isel(sample=unseen).rename(sample="held_out")
