"""States of binary sites: simulated at known fields and couplings, or read from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.models import binary
from bayesinf.settings import DEFAULT

if TYPE_CHECKING:
    import xarray as xr

WITH_TRUTH = (".npz", ".nc")  # kinds of file that can hold fields and couplings beside states


def simulate(
    sites: int = 10,
    samples: int = 20_000,
    *,
    encoding: str = "±1",
    width: float | None = None,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Draw fields and couplings, and states in equilibrium with them.

        P(s) = exp(Σ_i h_i s_i + Σ_{i<j} J_ij s_i s_j) / Z,   h_i, J_ij ~ N(0, width²)

    Up to 20 sites the states are independent and exact, by enumeration; above, they come from
    heat-bath chains thinned by their measured autocorrelation time.

    Parameters
    ----------
    sites, samples : N and M.
    encoding : "±1" or "0/1", of states, fields and couplings.
    width : standard deviation of fields and couplings; by default 1/√N.
    rng : generator; by default the stream "simulate" of the default settings.

    Returns
    -------
    a Dataset with ``states`` (sample, site) and the truth, ``h`` (site) and ``J`` (pair) with
    coordinates i and j; the attribute ``encoding`` says how to read all three.

    Raises
    ------
    DataError : no sites or no samples, an unknown encoding.
    """
    binary.known(encoding)
    for name, value in (("sites", sites), ("samples", samples)):
        if value < 1:
            raise DataError(f"too few {name} to simulate", expected="at least 1", found=value)
    rng = DEFAULT.generator("simulate") if rng is None else rng
    width = sites**-0.5 if width is None else width
    h = width * rng.standard_normal(sites)
    J = width * rng.standard_normal(sites * (sites - 1) // 2)
    return _labelled(draw_states(h, J, encoding, samples, rng), np.arange(sites), encoding, h, J)


def draw_states(
    h: np.ndarray, J: np.ndarray, encoding: str, samples: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw states (sample, site), int8, at fields (site,) and couplings (pair,)."""
    from bayesinf.models.pairwise import enumeration

    theta = enumeration.pack(h, J)
    if h.size > enumeration.LARGEST:
        from bayesinf.models.pairwise import sampling

        states = sampling.sample(theta, encoding, samples, rng=rng).states
        return states[rng.permutation(len(states))[:samples]]  # chains follow each other there
    _, p = enumeration.probabilities(theta, encoding)
    counts = enumeration.sample(p, samples, rng)
    numbers = np.repeat(np.arange(counts.size), counts)
    return binary.decoded(rng.permutation(numbers), h.size, encoding)


def read(
    path: str | Path,
    *,
    cells: str | None = None,
    repeats: str | None = None,
    encoding: str | None = None,
    axes: str | None = None,
) -> xr.Dataset:
    """Read states, one repeat after the other, with the truth where the file has it.

    Fields ``h`` and couplings ``J``, in the encoding of the file's states and in the order
    (0, 1), (0, 2), ..., are taken for the truth if all sites are kept: those that are left out
    would change the fields and couplings of the others.

    Parameters
    ----------
    path : a file that ``data.raster`` reads.
    cells, repeats : which to keep, as in ``data.raster``.
    encoding : to which the states are brought, truth and all; by default the one they are in.
    axes : names of the axes in their order, where the file has none.

    Returns
    -------
    a Dataset as of ``simulate``, whose states have coordinates ``repeat`` and ``time`` as well, and
    whose attribute ``encoding_read`` says how the file was written.

    Raises
    ------
    DataError : what ``data.raster`` refuses; a single site.
    """
    from bayesinf import data

    also = ("h", "J") if Path(path).suffix.lower() in WITH_TRUTH else ()
    raster = data.raster(
        path, sites=cells, repeats=repeats, encoding=encoding, axes=axes, also=also
    )
    states = raster["states"]
    count, times, sites = states.shape
    if sites < 2:
        raise DataError("a single site has nothing to be coupled to", source=path,
                        expected="at least 2 sites, a column each", found=sites,
                        remedy="choose more with --cells" if cells else None)  # fmt: skip
    read_as, target = states.attrs["encoding_read"], states.attrs["encoding"]
    truth = (None, None)
    found = [raster[name].values for name in also if name in raster]
    if [array.shape for array in found] == [(sites,), (sites * (sites - 1) // 2,)]:
        truth = binary.convert(*found, read_as, target)[:2]
    flat = states.values.reshape(count * times, sites)
    result = _labelled(flat, raster["site"].values, target, *truth)
    return result.assign_coords(
        repeat=("sample", np.repeat(raster["repeat"].values, times)),
        time=("sample", np.tile(raster["time"].values, count)),
    ).assign_attrs(case=str(raster.attrs["source"]), encoding_read=read_as)


def _labelled(states, sites, encoding, h=None, J=None):
    import xarray as xr

    units = {"units": "1"}
    found = {"states": (("sample", "site"), states, units | {"encoding": encoding})}
    coords = {"site": sites}
    if h is not None:
        i, j = binary.pairs(len(sites))
        coords |= {"i": ("pair", sites[i]), "j": ("pair", sites[j])}
        found |= {"h": ("site", h, units), "J": ("pair", J, units)}
    attrs = {"encoding": encoding, "encoding_read": encoding, "case": "simulated population"}
    return xr.Dataset(found, coords, attrs)
