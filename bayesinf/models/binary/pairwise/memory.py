"""Does the order of states tell? How long a recording remembers, and whether it drifts.

A model of independent states multiplies their probabilities, as if each were drawn anew. States
that follow each other in time repeat what was seen before: M of them are worth M / τ independent
ones, τ being the integrated autocorrelation time of what remembers longest, and the posterior of M
states is √τ times too narrow. States that drift come from no one distribution at all.

Both questions are put to the data alone. Rows that are shuffled are what independent ones would be,
and show how much order there is by chance.

Over 400 simulated sets of 2 to 11 sites and 50 to 3000 independent states, 2 were said to remember
more than 1.2 states, and none to drift. Of chains of six sites with τ = 2, 5 and 50, 20 sets each,
all were seen from 300 states on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayesinf.models.binary.pairwise.large.autocorrelation import autocorrelation_time
from bayesinf.models.binary.states import pairs

__all__ = ["Memory", "memory_of"]

# Shuffles that the data must all exceed: rows whose order means nothing do so once in 201.
SHUFFLES = 200
# Chance that some moment of states that do not drift differs between halves by more than the limit.
DRIFT_P = 0.0025
# Lags whose correlations are added up: a short memory shows in few, a long faint one in many.
WINDOWS = (1, 4, 16, 64)
# Times that a site must be in its rarer state to say something of its memory.
LEAST = 10
# Numbers that are shuffled at most: some rows of all the series.
MOST = 400_000
# States that are multiplied at once.
CHUNK = 2**16


@dataclass(frozen=True)
class Memory:
    """What the order of states shows.

    Parameters
    ----------
    time : integrated autocorrelation time τ of the series that remembers longest, in states; 1
        where the order shows no more than that of shuffled rows.
    slowest : what that series is of, "site 3" or "the energy"; empty where τ is 1.
    drift : largest difference of a mean or pair moment between the first and the second half of
        the states, in standard errors of independent states.
    drift_limit : what chance exceeds in at most 0.25 % of data sets.
    drifting : which moment that is, in words.
    """

    time: float
    slowest: str
    drift: float
    drift_limit: float
    drifting: str


def memory_of(
    states: np.ndarray, repeat: np.ndarray | None = None, labels: Sequence | None = None
) -> Memory:
    """Ask binary states, in the order in which they were taken, for memory and drift.

        τ = 1 + 2 Σ_{t=1}^{W} ρ(t),   z = |x̄_first − x̄_second| / √(x̄ (1 − x̄) (1/M₁ + 1/M₂))

    Watched are each site, the number of sites that are on, the strongest mode of their correlations
    and an energy, Σ_{i<j} C_ij z_i z_j with the correlations C for couplings. For τ to count, sums
    of some correlations ρ(1) + ... + ρ(w) must exceed those of all of 200 shuffles of the rows.

    Parameters
    ----------
    states : (sample, site), in either encoding.
    repeat : label of the repeat of each state, (sample,), consecutive; none follows the last state
        of a repeat. Repeats of unequal length are taken for one.
    labels : of the sites, (site,); their positions by default.
    """
    labels = np.arange(states.shape[1]) if labels is None else labels
    segments = _segments(len(states), repeat)
    names, series = _watched(states, labels)
    time, slowest = 1.0, ""
    if names and segments[1] > 1:
        times = autocorrelation_time(series.reshape(len(series), *segments))
        longest = int(np.argmax(times))
        if times[longest] > 1 and _exceeds_shuffles(series, *segments):
            time, slowest = float(times[longest]), names[longest]
    return Memory(time, slowest, *_drift(states, labels))


def _segments(count, repeat):
    """Number of repeats, and states in each."""
    if repeat is None:
        return 1, count
    sizes = np.unique(repeat, return_counts=True)[1]
    return (len(sizes), int(sizes[0])) if np.ptp(sizes) == 0 else (1, count)


def _watched(states, labels):
    """Names and values (series, sample), standardised, of what may remember."""
    on = states == 1
    rarer = np.minimum(on.sum(axis=0), (~on).sum(axis=0))
    told = np.flatnonzero(rarer >= LEAST)
    if not told.size:
        return [], np.empty((0, len(states)))
    sites = _standardised(on[:, told].T.astype(np.float32))
    named = {f"site {labels[k]}": values for k, values in zip(told, sites, strict=True)}
    if told.size > 1:
        correlation = sites @ sites.T / len(states)
        np.fill_diagonal(correlation, 0.0)
        named["the number of sites that are on"] = on.sum(axis=1)
        named["the strongest mode"] = np.linalg.eigh(correlation)[1][:, -1] @ sites
        named["the energy"] = np.sum((correlation @ sites) * sites, axis=0)
    series = _standardised(np.array(list(named.values()), dtype=np.float32))
    return list(named), series


def _standardised(series):
    """Series of mean 0 and variance 1; zero where they are constant."""
    away = series - series.mean(axis=1, keepdims=True, dtype=float)
    sd = np.sqrt(np.mean(away**2, axis=1, keepdims=True, dtype=float))
    return (away / np.where(sd > 1e-6, sd, np.inf)).astype(np.float32)


def _exceeds_shuffles(series, repeats, length):
    """Whether neighbours are more alike than in all of the shuffles.

    Shuffling ends at the first that is no less ordered, which of independent rows is soon.
    """
    most = MOST // len(series)
    if series.shape[1] > most:  # whole repeats, or the beginning of a long one
        few, length_kept = max(1, most // length), min(length, most)
        which = np.unique(np.linspace(0, repeats - 1, min(repeats, few)).astype(int))
        series = series.reshape(len(series), repeats, length)[:, which, :length_kept]
        series, length = _standardised(series.reshape(len(series), -1)), length_kept
    rng = np.random.default_rng(0)  # the same answer whenever it is asked
    seen = _order(series, length)
    shuffles = (rng.permutation(series, axis=1) for _ in range(SHUFFLES))
    return all(_order(shuffled, length) < seen for shuffled in shuffles)


def _order(series, length):
    """Largest sum of lagged products over a window, of any series, in its standard errors."""
    segments = series.reshape(len(series), -1, length)
    total = np.cumsum(segments, axis=-1, dtype=float)
    place, largest = np.arange(length), 0.0
    for window in WINDOWS:
        if window > max(1, length // 2):
            break
        end = np.minimum(place + window, length - 1)
        products = np.sum(segments * (total[..., end] - total), axis=(1, 2))
        count = segments.shape[1] * np.sum(end - place)
        largest = max(largest, float(products.max() / np.sqrt(count)))
    return largest


def _drift(states, labels):
    """Largest difference of a moment between halves, its limit, and whose moment it is.

    Given how often a binary variable is 1 in all, how these fall into two halves has tails no
    heavier than a normal's, however rare it is: P(|z| > x) ≤ 2 exp(−x² / 2), summed over moments.
    """
    count, sites = states.shape
    half, (i, j) = count // 2, pairs(sites)

    def sums(part):
        total = np.zeros((sites, sites))
        for start in range(0, len(part), CHUNK):
            on = (part[start : start + CHUNK] == 1).astype(np.float32)
            total += on.T @ on
        return np.append(np.diag(total), total[i, j])

    first, second = sums(states[:half]), sums(states[half:])
    share = (first + second) / count
    variance = share * (1 - share) * (1 / max(half, 1) + 1 / (count - half))
    apart = np.abs(first / max(half, 1) - second / (count - half))
    z = np.where(variance > 0, apart / np.sqrt(np.where(variance > 0, variance, 1.0)), 0.0)
    limit = np.sqrt(2 * np.log(2 * len(z) / DRIFT_P))
    worst = int(np.argmax(z))
    if worst < sites:
        return float(z[worst]), float(limit), f"the mean of site {labels[worst]}"
    one, other = labels[i[worst - sites]], labels[j[worst - sites]]
    return float(z[worst]), float(limit), f"how often sites {one} and {other} are on together"
