"""Binary data in two encodings, and how to go from one to the other.

A site that is on or off is written +1 and −1 by whoever thinks of spins, 1 and 0 by whoever counts
spikes. The distributions are the same, the parameters and the moments are not, and a coupling of
one encoding compared to one of the other is the classical mistake. So every function takes its
encoding as an argument, and moments carry theirs with them.

All pairs are in the order (0, 1), (0, 2), ..., (1, 2), ..., that of ``numpy.triu_indices``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

# What a site shows when it is off; when it is on it shows 1.
ENCODINGS = {"±1": -1, "0/1": 0}

# Share of the states below which a combination never occurs: once in 10⁸ states is more.
NEVER = 1e-8

# States that are multiplied at once.
CHUNK = 2**16


def known(encoding: str) -> str:
    """Return the encoding itself; DataError where there is none of that name."""
    if encoding not in ENCODINGS:
        raise DataError(
            "unknown encoding", expected=" or ".join(map(repr, ENCODINGS)), found=repr(encoding)
        )
    return encoding


def pairs(sites: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the sites i and j of each pair i < j, both (pair,)."""
    return np.triu_indices(sites, 1)


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


# What the data show beyond means and pairs, and what keeps them from saying anything


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
    from math import comb

    count = comb(sites, 3)
    if most is None or count <= most:
        from itertools import combinations

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


def listed(names: Iterable[object], most: int = 6) -> str:
    """Name sites or pairs in a sentence, the first few of them and how many more there are."""
    names = [str(name) for name in names]
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


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
