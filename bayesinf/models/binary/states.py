"""Binary data in two encodings, and how to go from one to the other.

A site that is on or off is written +1 and −1 by whoever thinks of spins, 1 and 0 by whoever counts
spikes. The distributions are the same, the parameters and the moments are not, and a coupling of
one encoding compared to one of the other is the classical mistake. So every function takes its
encoding as an argument.

All pairs are in the order (0, 1), (0, 2), ..., (1, 2), ..., that of ``numpy.triu_indices``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "ENCODINGS",
    "codes",
    "convert",
    "convert_directed",
    "decoded",
    "distinct",
    "known",
    "logit_slope",
    "matrix",
    "pair_coords",
    "pairs",
    "sites_of",
    "validated",
]

# What a site shows when it is off; when it is on it shows 1.
ENCODINGS = {"±1": -1, "0/1": 0}


def known(encoding: str) -> str:
    """Return the encoding itself; DataError where there is none of that name."""
    if encoding not in ENCODINGS:
        raise DataError(
            "unknown encoding", expected=" or ".join(map(repr, ENCODINGS)), found=repr(encoding)
        )
    return encoding


def logit_slope(encoding: str) -> float:
    """Return what θ is multiplied by to be the log odds of a site: 2 for ±1, 1 for 0/1."""
    return 1.0 - ENCODINGS[known(encoding)]


@lru_cache(maxsize=32)
def pairs(sites: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the sites i and j of each pair i < j, both (pair,), which are not to be changed."""
    found = np.triu_indices(sites, 1)
    for part in found:  # every caller gets the same
        part.flags.writeable = False
    return found


def pair_coords(sites: np.ndarray) -> dict[str, object]:
    """Return the coordinates of all pairs of sites called so: "i-j", and each by itself."""
    sites = np.asarray(sites)
    i, j = (sites[of] for of in pairs(len(sites)))
    labels = [f"{a}-{b}" for a, b in zip(i, j, strict=True)]
    return {"pair": labels, "i": ("pair", i), "j": ("pair", j)}


def sites_of(parameters: int) -> int:
    """Return the number of sites that so many fields and couplings belong to."""
    return (int(np.sqrt(8 * parameters + 1)) - 1) // 2


def matrix(J: np.ndarray, sites: int) -> np.ndarray:
    """Write couplings (..., pair) as symmetric matrices (..., site, site) of zero diagonal."""
    i, j = pairs(sites)
    J = np.asarray(J, dtype=float)
    result = np.zeros((*J.shape[:-1], sites, sites))
    result[..., i, j] = result[..., j, i] = J
    return result


def convert(
    h: np.ndarray, J: np.ndarray, source: str, target: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rewrite fields and couplings in another encoding, for the same distribution.

    With s = 2n − 1 the exponent Σ h_i s_i + Σ_{i<j} J_ij s_i s_j is that of n with

        J' = 4 J,   h'_i = 2 h_i − 2 Σ_j J_ij,   log Z' = log Z + Σ_i h_i − Σ_{i<j} J_ij

    Parameters
    ----------
    h, J : (..., site) and (..., pair), in the source encoding.
    source, target : "±1" or "0/1".

    Returns
    -------
    h and J in the target encoding, and log Z of the target − log Z of the source, (...).

    Raises
    ------
    DataError : an unknown encoding; as many couplings as no number of sites has.
    """
    h, J = np.asarray(h, dtype=float), np.asarray(J, dtype=float)
    sites = h.shape[-1] if h.ndim else 0
    if not sites or J.ndim == 0 or J.shape[-1] != sites * (sites - 1) // 2:
        raise DataError(
            "fields and couplings do not fit together",
            expected="h (..., N) and J (..., N (N − 1) / 2)",
            found=f"shapes {h.shape} and {J.shape}",
        )
    new_h, full = convert_directed(h, matrix(J, sites), source, target)
    new_J = full[(..., *pairs(sites))]
    if source == target:
        shift = np.zeros(np.broadcast_shapes(h.shape[:-1], J.shape[:-1]))
    elif target == "0/1":
        shift = h.sum(axis=-1) - J.sum(axis=-1)
    else:
        shift = new_J.sum(axis=-1) - new_h.sum(axis=-1)
    return new_h, new_J, shift


def convert_directed(
    h: np.ndarray, J: np.ndarray, source: str, target: str
) -> tuple[np.ndarray, np.ndarray]:
    """Rewrite fields and a full matrix of couplings in another encoding, as ``convert`` does.

        J' = 4 J,   h'_i = 2 h_i − 2 Σ_j J_ij

    It is the same map whether s_i and s_j are of one time or of two, and whatever the diagonal.

    Parameters
    ----------
    h, J : (..., site) and (..., target, source), in the source encoding.
    source, target : "±1" or "0/1".

    Raises
    ------
    DataError : an unknown encoding.
    """
    h, J = np.array(h, dtype=float), np.array(J, dtype=float)
    if known(source) == known(target):
        return h, J
    if target == "0/1":
        return 2 * h - 2 * J.sum(axis=-1), 4 * J
    return h / 2 + J.sum(axis=-1) / 4, J / 4


def validated(states: np.ndarray | xr.DataArray, encoding: str) -> np.ndarray:
    """Check binary data and return them as int8, (sample, site).

    Parameters
    ----------
    states : (sample, site); a DataArray with a dimension ``site`` may have its axes in any order.
    encoding : "±1" or "0/1".

    Raises
    ------
    DataError : wrong shape, values of another encoding, NaN, fewer
        samples than sites in an array whose axes have no names.
    """
    low = ENCODINGS[known(encoding)]
    labelled = "site" in getattr(states, "dims", ())
    values = states.transpose(..., "site") if labelled else states
    values = np.asarray(getattr(values, "values", values))
    if values.ndim != 2 or min(values.shape) == 0 or values.dtype.kind not in "biuf":
        raise DataError(
            "states have the wrong form",
            expected="numbers (sample, site)",
            found=f"{values.dtype} of shape {values.shape}",
        )
    wrong = ~((values == low) | (values == 1))
    if wrong.any():
        row, site = (int(k) for k in np.argwhere(wrong)[0])
        other = next(name for name in ENCODINGS if name != encoding)
        fits = np.isin(values, (ENCODINGS[other], 1)).all()
        raise DataError(
            f"a state is not of the encoding {encoding}",
            where=f"row {row}, site {site}",
            expected=f"{low} or 1",
            found=f"{values[row, site]:g}" if values.dtype.kind == "f" else values[row, site],
            remedy=f"say encoding={other!r}" if fits else None,
        )
    samples, sites = values.shape
    if not labelled and samples < sites:
        raise DataError(
            "fewer samples than sites",
            expected="axes (sample, site)",
            found=f"shape {values.shape}",
            remedy="transpose states, or where samples are so few indeed, pass a DataArray with "
            "dimensions sample and site",
        )
    return values.astype(np.int8)


def codes(states: np.ndarray) -> np.ndarray:
    """Number states (..., site) by their sites that are on: Σ_i 2^i [s_i = 1]."""
    return np.sum((np.asarray(states) == 1) * (1 << np.arange(states.shape[-1])), axis=-1)


def decoded(numbers: np.ndarray, sites: int, encoding: str) -> np.ndarray:
    """Return the states of these numbers, int8 (..., site)."""
    on = (np.asarray(numbers)[..., None] >> np.arange(sites)) & 1
    return np.where(on, 1, ENCODINGS[known(encoding)]).astype(np.int8)


def distinct(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the states (state, site) that occur, in the order of their numbers, and how often."""
    on = np.packbits(states[:, ::-1] == 1, axis=1)
    keys = np.ascontiguousarray(on).view(f"V{on.shape[1]}").ravel()
    _, first, count = np.unique(keys, return_index=True, return_counts=True)
    return states[first], count
