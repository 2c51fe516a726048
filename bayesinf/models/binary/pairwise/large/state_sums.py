"""Sums over many states of 0/1 sites, in the form that is fastest for them.

Where few sites are on, a state is the list of these (``SparseStates``) and costs as many additions
as it has pairs that are on together. Otherwise states are rows of a matrix (``DenseStates``), and
sums are matrix products, which may be in single precision. ``arranged`` chooses; both offer the
same three sums.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np

from bayesinf.models.binary import Moments, convert, matrix, pairs, sites_of

__all__ = [
    "DenseStates",
    "SparseStates",
    "arranged",
    "blocks",
    "change_encoding",
    "cost",
    "mean_and_pair",
    "moments_in",
    "on_off_differences",
]


class SparseStates:
    """States as lists of the sites that are on.

    Parameters
    ----------
    states : int8 (state, site), 1 where on.
    """

    def __init__(self, states: np.ndarray):
        self.sites = states.shape[1]
        self.active = np.nonzero(states)[1].astype(np.int16)
        self.starts = np.append(0, np.cumsum(np.count_nonzero(states, axis=1)))

    def exponents(
        self, h: np.ndarray, J: np.ndarray, first: int, last: int, single: bool = False
    ) -> np.ndarray:
        """Return Σ h_i n_i + Σ_{i<j} J_ij n_i n_j of states first to last; J is (site, site).

        Single precision would gain nothing here.
        """
        from bayesinf.models.binary.pairwise.large import state_sums_kernel as kernel

        result = np.empty(last - first)
        kernel.exponents(h, J, self.starts, self.active, first, last, result)
        return result

    def pair_sums(
        self, weight: np.ndarray, first: int, last: int, single: bool = False
    ) -> np.ndarray:
        """Return Σ_s w_s n_i n_j over states first to last, (site, site), upper triangle."""
        from bayesinf.models.binary.pairwise.large import state_sums_kernel as kernel

        result = np.zeros((self.sites, self.sites))
        kernel.moments(weight, self.starts, self.active, first, last, result)
        return result

    def add_products(self, weight: np.ndarray, result: np.ndarray, workers: int) -> None:
        """Add Σ_s w_s φ φᵀ to result (parameter, parameter), lower triangle."""
        from bayesinf.models.binary.pairwise.large import state_sums_kernel as kernel

        def add(part):
            states = self.starts, self.active, self.sites
            kernel.products(weight, *states, part, workers, result)

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(add, range(workers)))


class DenseStates:
    """States as rows of a matrix; the methods are those of ``SparseStates``."""

    def __init__(self, states: np.ndarray):
        self.states = states

    @cached_property
    def _single(self):
        return self.states.astype(np.float32)

    def _part(self, first, last, single):
        return (self._single if single else self.states)[first:last].astype(
            np.float32 if single else float, copy=False
        )

    def exponents(
        self, h: np.ndarray, J: np.ndarray, first: int, last: int, single: bool = False
    ) -> np.ndarray:
        """Return Σ h_i n_i + Σ_{i<j} J_ij n_i n_j of states first to last; J is (site, site)."""
        part = self._part(first, last, single)
        field = part @ J.astype(part.dtype, copy=False)
        field += h
        return np.einsum("si,si->s", field, part).astype(float, copy=False)

    def pair_sums(
        self, weight: np.ndarray, first: int, last: int, single: bool = False
    ) -> np.ndarray:
        """Return Σ_s w_s n_i n_j over states first to last, (site, site)."""
        part = self._part(first, last, single)
        return part.T @ (weight.astype(part.dtype, copy=False)[:, None] * part)

    def add_products(self, weight: np.ndarray, result: np.ndarray, workers: int) -> None:
        """Add Σ_s w_s φ φᵀ to result (parameter, parameter), lower triangle."""
        from scipy.linalg.blas import dsyrk

        i, j = pairs(self.states.shape[1])
        step = max(64, 2**22 // len(result))
        for first in range(0, len(weight), step):
            part = self.states[first : first + step].astype(float)
            part *= np.sqrt(weight[first : first + step, None])
            on = self.states[first : first + step]
            phi = np.concatenate([part, part[:, i] * on[:, j]], axis=1)
            # The upper triangle of the transpose is the lower one of the rows.
            dsyrk(1.0, phi.T, beta=1.0, c=result.T, overwrite_c=True)


def arranged(states: np.ndarray) -> SparseStates | DenseStates:
    """Arrange states (state, site), 1 where on, so that sums over them are fastest."""
    return SparseStates(states) if _few_are_on(states) else DenseStates(states)


def _few_are_on(states):
    on = np.count_nonzero(states, axis=1)
    return np.mean(on * (on + 1.0) / 2) < states.shape[1] ** 2 / 16


def cost(states: np.ndarray) -> np.ndarray:
    """Return the additions (state,) that each state costs in a sum."""
    if not _few_are_on(states):
        return np.full(len(states), states.shape[1] ** 2 / 8)
    on = np.count_nonzero(states, axis=1)
    return 4 + on * (on + 1) / 2


def blocks(count: int, size: int) -> list[tuple[int, int]]:
    """Return first and last of consecutive blocks of so many states."""
    return [(first, min(first + size, count)) for first in range(0, count, size)]


# ── Parameters and moments, between 0/1 and the encoding ─────────────────────────────────────────


def on_off_differences(
    delta: np.ndarray, encoding: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rewrite differences of parameters (row, parameter) for 0/1.

    Returns
    -------
    fields (row, site); couplings (row, site, site), above the diagonal; and both packed.
    """
    sites = sites_of(delta.shape[-1])
    h, J, _ = convert(delta[:, :sites], delta[:, sites:], encoding, "0/1")
    return h, np.triu(matrix(J, sites)), np.concatenate([h, J], axis=1)


def mean_and_pair(pair_sums: np.ndarray) -> np.ndarray:
    """Pack sums (..., site, site) of n_i n_j, the diagonal those of n_i, to (..., parameter)."""
    sites = pair_sums.shape[-1]
    site = np.arange(sites)
    return np.concatenate([pair_sums[..., site, site], pair_sums[(..., *pairs(sites))]], axis=-1)


def moments_in(encoding: str, phi: np.ndarray, samples: int) -> np.ndarray:
    """Rewrite moments of 0/1 states, (parameter,), in an encoding."""
    sites = sites_of(phi.size)
    return Moments("0/1", samples, phi[:sites], phi[sites:]).encoded(encoding).statistics


def change_encoding(difference: np.ndarray, encoding: str) -> np.ndarray:
    """Rewrite differences of moments of 0/1 states, (..., parameter), in an encoding."""
    if encoding == "0/1":
        return difference
    sites = sites_of(difference.shape[-1])
    i, j = pairs(sites)
    mean, pair = difference[..., :sites], difference[..., sites:]
    return np.concatenate([2 * mean, 4 * pair - 2 * mean[..., i] - 2 * mean[..., j]], axis=-1)
