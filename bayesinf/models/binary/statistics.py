"""What binary data are summarised by: means, pair moments, triples, how many sites are on at once.

``Moments`` are all that the likelihood of a pairwise model needs; they carry their encoding. Here
are also the data that say nothing of some parameters: sites that never change, pairs that always
agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.models.binary.states import ENCODINGS, known, pairs, validated

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "NEVER",
    "Moments",
    "constant_sites",
    "identical_pairs",
    "listed",
    "moments",
    "nulls",
    "of_states",
    "population",
    "triple_moments",
    "triples",
]

# Share of the states below which a combination never occurs: once in 10⁸ states is more.
NEVER = 1e-8
# States that are multiplied at once.
CHUNK = 2**16


@dataclass(frozen=True)
class Moments:
    """Means and pair moments of data: all that the likelihood of a pairwise model needs.

    Parameters
    ----------
    encoding : "±1" or "0/1".
    samples : number of states M that they are averages over.
    mean : ⟨s_i⟩, (site,).
    pair : ⟨s_i s_j⟩, (pair,).

    Raises
    ------
    DataError : shapes that do not fit, values that no data have.
    """

    encoding: str
    samples: int
    mean: np.ndarray
    pair: np.ndarray

    def __post_init__(self):
        low = ENCODINGS[known(self.encoding)]
        mean, pair = (np.asarray(values, dtype=float) for values in (self.mean, self.pair))
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "pair", pair)
        sites = mean.size
        if mean.ndim != 1 or sites == 0 or pair.shape != (sites * (sites - 1) // 2,):
            raise DataError(
                "means and pair moments do not fit together",
                expected="means (N,) and pair moments (N (N − 1) / 2,)",
                found=f"shapes {mean.shape} and {pair.shape}",
            )
        if not self.samples >= 1:
            raise DataError("moments of no data", expected="samples ≥ 1", found=self.samples)
        slack = 1e-9
        for name, values in (("mean", mean), ("pair moment", pair)):
            bad = ~((values >= low - slack) & (values <= 1 + slack))
            if bad.any():
                place = int(np.argmax(bad))
                raise DataError(
                    f"a {name} is impossible in the encoding {self.encoding}",
                    where=f"{name} {place}",
                    expected=f"{low} to 1",
                    found=values[place],
                )
        smallest = self.tables.min(initial=0.0)
        if smallest < -slack:
            i, j = (site[np.argmin(self.tables.min(axis=0))] for site in pairs(sites))
            raise DataError(
                "means and pair moment contradict each other",
                where=f"pair {i}, {j}",
                expected="no negative probability",
                found=smallest,
            )

    @property
    def sites(self) -> int:
        """Number of sites."""
        return self.mean.size

    @property
    def statistics(self) -> np.ndarray:
        """Means, then pair moments, (parameter,)."""
        return np.concatenate([self.mean, self.pair])

    @property
    def tables(self) -> np.ndarray:
        """Share of the samples in which a pair is on-on, on-off, off-on, off-off, (4, pair)."""
        i, j = pairs(self.sites)
        if self.encoding == "±1":
            on, both = (1 + self.mean) / 2, (1 + self.mean[i] + self.mean[j] + self.pair) / 4
        else:
            on, both = self.mean, self.pair
        return np.stack([both, on[i] - both, on[j] - both, 1 - on[i] - on[j] + both])

    def encoded(self, target: str) -> Moments:
        """Return the same moments in an encoding, exactly."""
        if known(target) == self.encoding:
            return self
        i, j = pairs(self.sites)
        if target == "0/1":
            mean, pair = (1 + self.mean) / 2, self.tables[0]
        else:
            mean = 2 * self.mean - 1
            pair = 4 * self.pair - 2 * self.mean[i] - 2 * self.mean[j] + 1
        return Moments(target, self.samples, mean, pair)


def moments(states: np.ndarray | xr.DataArray, encoding: str) -> Moments:
    """Average states and products of their pairs.

        ⟨s_i⟩ = Σ_m s_im / M,   ⟨s_i s_j⟩ = Σ_m s_im s_jm / M

    Parameters
    ----------
    states : (sample, site), as for ``validated``.
    encoding : "±1" or "0/1".

    Returns
    -------
    the moments.

    Raises
    ------
    DataError : as of ``validated``.
    """
    return of_states(validated(states, encoding), encoding)


def of_states(states: np.ndarray, encoding: str) -> Moments:
    """Return the moments of states that have been checked."""
    count, sites = states.shape
    mean, pair = np.zeros(sites), np.zeros((sites, sites))
    for start in range(0, count, CHUNK):
        values = states[start : start + CHUNK].astype(float)
        # Sums of ±1 and 0/1 are whole numbers, so these are exact.
        mean += values.sum(axis=0)
        pair += values.T @ values
    return Moments(encoding, count, mean / count, pair[pairs(sites)] / count)


def constant_sites(states: np.ndarray) -> np.ndarray:
    """Return the sites, by position, that show the same in all of the states (sample, site)."""
    return np.flatnonzero((states == states[:1]).all(axis=0))


def identical_pairs(data: Moments) -> np.ndarray:
    """Return pairs of sites (pair, 2), by position, that always agree, or never do.

    Sites that are constant are left out: they agree with anything.
    """
    on = data.encoded("0/1").mean
    i, j = pairs(data.sites)
    both, first, second, none = data.tables
    same = ((first < NEVER) & (second < NEVER)) | ((both < NEVER) & (none < NEVER))
    varies = (on > NEVER) & (on < 1 - NEVER)
    keep = same & varies[i] & varies[j]
    return np.column_stack([i[keep], j[keep]])


def population(states: np.ndarray) -> np.ndarray:
    """Return the share of the states (sample, site) in which K sites are on, (N + 1,)."""
    active = np.sum(states == 1, axis=1)
    return np.bincount(active, minlength=states.shape[1] + 1) / len(states)


def triples(sites: int, most: int | None = None, seed: int = 0) -> np.ndarray:
    """Return triples of distinct sites i < j < k, (triple, 3): all, or ``most`` random ones."""
    count = comb(sites, 3)
    if most is None or count <= most:
        return np.array(list(combinations(range(sites), 3)), dtype=int).reshape(-1, 3)
    rng, chosen = np.random.default_rng(seed), np.empty((0, 3), dtype=int)
    while len(chosen) < most:
        drawn = np.sort(rng.integers(sites, size=(2 * most, 3)), axis=1)
        drawn = drawn[(drawn[:, 0] < drawn[:, 1]) & (drawn[:, 1] < drawn[:, 2])]
        chosen = np.unique(np.concatenate([chosen, drawn]), axis=0)
    return chosen[np.sort(rng.choice(len(chosen), most, replace=False))]


def triple_moments(states: np.ndarray, triples: np.ndarray) -> np.ndarray:
    """Average products of three sites, ⟨s_i s_j s_k⟩, (triple,), over states (sample, site)."""
    i, j, k = triples.T
    sums = np.zeros(len(triples))
    for start in range(0, len(states), CHUNK // 16):
        part = states[start : start + CHUNK // 16].T.astype(np.int8, order="C")
        # Products of ±1 and 0/1 are the same in int8, and their sums exact.
        sums += [
            np.sum(part[a] * part[b] * part[c], dtype=np.int64)
            for a, b, c in zip(i, j, k, strict=True)
        ]
    return sums / len(states)


def nulls(count: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Two ways to part data in two, between which only the sampling error differs.

    Parameters
    ----------
    count : states or repeats, in the order in which they were taken.

    Returns
    -------
    ``halves`` and ``even/odd``: positions of the two parts. Where the halves differ and even and
    odd do not, the data drift.
    """
    places = np.arange(count)
    middle = count // 2
    return {"halves": (places[:middle], places[middle:]), "even/odd": (places[::2], places[1::2])}


def listed(names: Iterable[object], most: int = 6) -> str:
    """Name sites or pairs in a sentence, the first few of them and how many more there are."""
    names = [str(name) for name in names]
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
