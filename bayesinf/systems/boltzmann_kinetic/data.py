"""Where the data come from: simulation in compiled code, and a file of the user's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import data as reading
from bayesinf.errors import DataError
from bayesinf.models.binary import ENCODINGS, convert_directed, known
from bayesinf.posterior import annotated, dataset
from bayesinf.settings import DEFAULT

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["evolve", "read", "simulate"]

STARTS = ("ones", "random")
CHUNK = 2**20  # random numbers that are held at once


def simulate(
    sites: int = 12,
    steps: int = 500,
    repeats: int = 8,
    *,
    width: float = 1.0,
    field: tuple[float, float] = (0.0, 0.0),
    asymmetry: float = 1.0,
    self_coupling: bool = True,
    start: str = "random",
    encoding: str = "±1",
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Draw couplings at random and run parallel Glauber dynamics with them.

        P(s_i(t+1)) = exp(s_i(t+1) θ_i(t)) / 2 cosh θ_i(t),   θ_i(t) = h_i + Σ_j J_ij s_j(t),
        J_ij ~ N(0, g²/N),   h_i ~ N(mean, sd²),   s = ±1

    Parameters
    ----------
    sites : N.
    steps : transitions of each repeat, which has one state more.
    repeats : runs with the same couplings.
    width : g.
    field : mean and sd of the fields.
    asymmetry : a of J = √(1 − a²) S + a A, where S is symmetric and A is not: 0 makes J symmetric,
        1 leaves J_ij and J_ji independent.
    self_coupling : whether J_ii differs from zero.
    start : ``ones`` or ``random``.
    encoding : "±1" or "0/1", to which states, fields and couplings are brought at the end.
    rng : of couplings and states.

    Returns
    -------
    a Dataset with ``states`` (repeat, time, site) as of ``read``, and the truth beside them:
    ``truth.h`` (site) and ``truth.J`` (target, source).

    Raises
    ------
    DataError : sizes, a width, a start or an encoding that cannot be.

    References
    ----------
    Glauber, J. Math. Phys. 4, 294 (1963), doi:10.1063/1.1703954.
    """
    size = min(sites, steps, repeats)
    if size < 1 or not width >= 0 or not 0 <= asymmetry <= 1 or start not in STARTS:
        raise DataError(
            "no such population",
            expected="sites, steps and repeats ≥ 1, width ≥ 0, asymmetry 0 to 1, "
            f"start one of {', '.join(STARTS)}",
            found=(sites, steps, repeats, width, asymmetry, start),
        )
    rng = DEFAULT.generator("simulate") if rng is None else rng
    J = asymmetry * rng.standard_normal((sites, sites))
    if asymmetry < 1:
        upper = rng.standard_normal((sites, sites))
        J += np.sqrt(1 - asymmetry**2) * (np.triu(upper) + np.triu(upper, 1).T)
    J *= width / np.sqrt(sites)
    if not self_coupling:
        np.fill_diagonal(J, 0.0)
    h = field[0] + field[1] * rng.standard_normal(sites)
    first = np.ones((repeats, sites), np.int8)
    if start == "random":
        first = rng.choice(np.array([-1, 1], np.int8), (repeats, sites))
    states = evolve(h, J, first, steps, rng, encoding="±1")
    if encoding != "±1":
        h, J = convert_directed(h, J, "±1", encoding)
        states = np.where(states == 1, 1, ENCODINGS[encoding]).astype(np.int8)
    found = reading.raster_from_arrays(states, axes="repeat,time,site", encoding=encoding)
    return _with_truth(found.assign_attrs(case=f"{sites} simulated sites"), h, J)


def evolve(
    h: np.ndarray,
    J: np.ndarray,
    start: np.ndarray,
    steps: int,
    rng: np.random.Generator,
    *,
    encoding: str,
) -> np.ndarray:
    """Run the dynamics freely.

    Parameters
    ----------
    h, J : fields (site,) and couplings (target, source).
    start : first state of each repeat, (repeat, site).
    steps : transitions of each.
    rng : of the states.
    encoding : "±1" or "0/1", of all of these.

    Returns
    -------
    states, int8 (repeat, steps + 1, site), the first included.
    """
    from bayesinf.systems.boltzmann_kinetic.kernel import advance

    bias, weight = convert_directed(h, J, known(encoding), "0/1")
    weight = np.ascontiguousarray(weight.T)
    state = np.asarray(start == 1, dtype=np.int8)
    states = np.empty((len(state), steps + 1, state.shape[1]), np.int8)
    states[:, 0] = state
    most = max(1, CHUNK // state.size)
    for done in range(0, steps, most):
        part = states[:, done + 1 : done + 1 + most]
        written = np.empty(part.shape, np.int8)
        advance(bias, weight, state, rng.random(part.shape), written)
        part[...] = written
    return states if encoding == "0/1" else 2 * states - 1


def read(
    path: str | os.PathLike,
    *,
    cells: str | None = None,
    repeats: str | None = None,
    encoding: str | None = None,
    axes: str | None = None,
    bin: float | None = None,
) -> xr.Dataset:
    """Read who was on at which time, and the couplings behind it where the file has them.

    Parameters
    ----------
    path, repeats, encoding, axes, bin : as for ``bayesinf.data.raster``. A file may hold the truth
        beside the states: ``h`` (site) and ``J`` (target, source), in the encoding of the file. It
        is left out where sites are, since couplings among some differ from those among all.
    cells : which sites to keep, as ``sites`` of ``raster``.

    Returns
    -------
    a Dataset with ``states`` (repeat, time, site), and ``truth.h`` and ``truth.J`` where they are
    known.

    Raises
    ------
    DataError : as of ``bayesinf.data.raster``; a single time, or steps of unlike length.
    """
    # In a file that a Dataset of ``simulate`` was written to, the names are the longer ones.
    names = ("h", "J", "truth.h", "truth.J")
    found = reading.raster(
        path,
        sites=cells,
        repeats=repeats,
        encoding=encoding,
        axes=axes,
        bin=bin,
        also=names,
        even=True,
    )
    truth = {key.removeprefix("truth."): found[key].values for key in names if key in found}
    name = Path(path).name
    found = found[["states"]].assign_attrs(source=name, case=name)
    count = found.sizes["site"]
    if {key: value.shape for key, value in truth.items()} != {"h": (count,), "J": (count, count)}:
        return found
    order, label = found["site"].values, found["states"].attrs
    h, J = truth["h"][order], truth["J"][np.ix_(order, order)]
    return _with_truth(found, *convert_directed(h, J, label["encoding_read"], label["encoding"]))


def _with_truth(data, h, J):
    """Put the fields and couplings that made the states beside them."""
    site = data["site"].values
    dims = {"h": ("site",), "J": ("target", "source")}
    coords = {"site": site, "target": site, "source": site}
    return annotated(data, truth=dataset({"h": h, "J": J}, dims, coords, sampled=False))
