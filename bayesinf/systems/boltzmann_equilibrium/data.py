"""States of binary sites: simulated at known fields and couplings, or read from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import data
from bayesinf.errors import DataError
from bayesinf.models import binary
from bayesinf.models.binary.pairwise import enumeration
from bayesinf.models.problem import Labels
from bayesinf.posterior import annotated
from bayesinf.settings import DEFAULT

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["draw_states", "parameters", "read", "simulate"]

TRUTH = ("h", "J")


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
    a Dataset with ``states`` (sample, site), whose attribute ``encoding`` says how to read them,
    and the truth in that encoding, ``truth.h`` (site) and ``truth.J`` (pair).

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
    states = draw_states(h, J, encoding, samples, rng)
    return _labelled(states, np.arange(sites), encoding, case="simulated population", truth=(h, J))


def draw_states(
    h: np.ndarray, J: np.ndarray, encoding: str, samples: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw states (sample, site), int8, at fields (site,) and couplings (pair,)."""
    theta = enumeration.pack(h, J)
    if h.size > enumeration.LARGEST:
        from bayesinf.models.binary.pairwise.large import sampling

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
    bin: float | None = None,
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
    bin : width of a bin of spike times, in their unit.

    Rows in which a state is missing are left out; ``read_as`` says how many.

    Returns
    -------
    a Dataset as of ``simulate``, whose states have coordinates ``repeat`` and ``time`` as well, and
    whose attribute ``encoding_read`` says how the file was written.

    Raises
    ------
    DataError : what ``data.raster`` refuses; a single site.
    """
    names = [lead + name for lead in ("", "truth.") for name in TRUTH]
    raster = data.raster(
        path,
        sites=cells,
        repeats=repeats,
        encoding=encoding,
        axes=axes,
        bin=bin,
        missing="drop",
        also=names,
    )
    states = raster["states"]
    count, times, sites = states.shape
    if sites < 2:
        raise DataError(
            "a single site has nothing to be coupled to",
            source=path,
            expected="at least 2 sites, a column each",
            found=sites,
            remedy="choose more with --cells" if cells else None,
        )
    read_as, target = states.attrs["encoding_read"], states.attrs["encoding"]
    found = [raster[name].values for name in names if name in raster]
    known = [array.shape for array in found] == [(sites,), (sites * (sites - 1) // 2,)]
    result = _labelled(
        states.values.reshape(count * times, sites),
        raster["site"].values,
        target,
        read_as,
        case=Path(path).name,
        truth=binary.convert(*found, read_as, target)[:2] if known else None,
    )
    told = {key: raster.attrs[key] for key in ("read_as",) if key in raster.attrs}
    return result.assign_attrs(told).assign_coords(
        repeat=("sample", np.repeat(raster["repeat"].values, times)),
        time=("sample", np.tile(raster["time"].values, count)),
    )


def _labelled(states, site, encoding, encoding_read=None, *, case, truth=None):
    attrs = {"encoding": encoding, "encoding_read": encoding_read or encoding}
    labels = Labels({"states": ("sample", "site")}, {"site": site})
    found = labels.group({"states": states}, sampled=False).assign_attrs(case=case)
    found["states"].attrs |= attrs
    if truth is None:
        return found
    return annotated(found, truth=parameters(site, enumeration.pack(*truth)))


def parameters(site: np.ndarray, theta: np.ndarray, **more: np.ndarray) -> xr.Dataset:
    """Label fields and couplings, and what else there is of each.

    Parameters
    ----------
    site : labels of the sites.
    theta : both, (parameter,).
    more : name to (parameter,): of ``error`` come ``h_error`` and ``J_error``.
    """
    coords = {"site": site, **binary.pair_coords(site)}
    arrays, dims = {}, {}
    for suffix, values in {"": theta, **{f"_{name}": of for name, of in more.items()}}.items():
        arrays |= dict(zip((f"h{suffix}", f"J{suffix}"), enumeration.unpack(values), strict=True))
        dims |= {f"h{suffix}": ("site",), f"J{suffix}": ("pair",)}
    return Labels(dims, coords).group(arrays, sampled=False)
