"""What data and models are compared by: means, correlations at one time and one step apart, P(K).

Sums over blocks of transitions are kept apart, so that halves, even and odd blocks, held-out ones
and bootstrap samples are all weighted sums of the same few arrays. A block is a repeat, or a piece
of one where repeats are few.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesinf.errors import DataError
from bayesinf.models.binary import ENCODINGS, convert_directed, known

__all__ = ["CHUNK", "Statistics", "Sums", "blocks", "held_out"]

LEAST_BLOCKS = 20  # repeats are cut into pieces where they are fewer
CHUNK = 2**13  # transitions that are multiplied at once


@dataclass(frozen=True)
class Statistics:
    """Means and connected correlations of some transitions.

    Parameters
    ----------
    encoding : "±1" or "0/1".
    mean : ⟨s_i(t+1)⟩, (site,).
    equal : ⟨s_i(t+1) s_j(t+1)⟩ − ⟨s_i(t+1)⟩⟨s_j(t+1)⟩, (site, site).
    delayed : ⟨s_i(t+1) s_j(t)⟩ − ⟨s_i(t+1)⟩⟨s_j(t)⟩, (target, source).
    population : share of the next states in which K sites are on, (N + 1,).
    """

    encoding: str
    mean: np.ndarray
    equal: np.ndarray
    delayed: np.ndarray
    population: np.ndarray

    def distance(self, other: Statistics) -> float:
        """Root mean square difference of the delayed correlations.

        Raises
        ------
        DataError : the other statistics are of another encoding.
        """
        if other.encoding != self.encoding:
            raise DataError(
                "correlations of different encodings cannot be compared",
                expected=f"correlations in {self.encoding}",
                found=f"correlations in {other.encoding}",
            )
        return float(np.sqrt(np.mean((self.delayed - other.delayed) ** 2)))


@dataclass(frozen=True)
class Sums:
    """Sums over blocks of transitions, each site counted as 1 when on and 0 when off.

    Parameters
    ----------
    encoding : in which statistics are returned.
    count : transitions of each block, (block,).
    now, then : (block, site).
    equal, delayed : (block, site, site) and (block, target, source).
    population : transitions after which K sites are on, (block, N + 1).
    """

    encoding: str
    count: np.ndarray
    now: np.ndarray
    then: np.ndarray
    equal: np.ndarray
    delayed: np.ndarray
    population: np.ndarray

    @classmethod
    def of(
        cls, now: np.ndarray, then: np.ndarray, encoding: str, block: np.ndarray | None = None
    ) -> Sums:
        """Sum transitions up.

        Parameters
        ----------
        now, then : present and next states, (transition, site).
        encoding : "±1" or "0/1", of the states.
        block : number of the block of each transition, ascending, (transition,); else one block.
        """

        def states(part, before):
            return 2 * ((then[part] == 1).astype(np.float32),)

        return cls._tallied(now, states, encoding, block)

    @classmethod
    def ahead(
        cls, now: np.ndarray, h: np.ndarray, J: np.ndarray, encoding: str, rng: np.random.Generator
    ) -> Sums:
        """Sum up what a model expects after each present state; of the population, a draw of it.

        Parameters
        ----------
        now : present states, (transition, site).
        h, J : fields (site,) and couplings (target, source).
        encoding : "±1" or "0/1", of all of these.
        rng : of the population.
        """
        bias, weight = convert_directed(h, J, encoding, "0/1")
        bias, weight = bias.astype(np.float32), weight.astype(np.float32)

        def chances(part, before):
            chance = 1 / (1 + np.exp(-(bias + before @ weight.T)))
            return chance, rng.random(chance.shape, dtype=np.float32) < chance

        with np.errstate(over="ignore"):
            return cls._tallied(now, chances, encoding, None)

    @classmethod
    def _tallied(cls, now, after, encoding, block):
        """Add up in chunks; ``after`` gives expected next states of one, and drawn ones."""
        known(encoding)
        count, sites = now.shape
        size = np.array([count]) if block is None else np.bincount(block)
        pair, ends = (len(size), sites, sites), np.concatenate([[0], np.cumsum(size)])
        before_sum, after_sum = np.zeros((2, *pair[:2]))
        equal, delayed = np.zeros((2, *pair))
        population = np.zeros((len(size), sites + 1))
        for b in range(len(size)):
            for start in range(ends[b], ends[b + 1], CHUNK):
                part = slice(start, min(start + CHUNK, ends[b + 1]))
                # Whole numbers up to 2¹³ are exact in single precision, which is twice as fast.
                before = (now[part] == 1).astype(np.float32)
                expected, drawn = after(part, before)
                before_sum[b] += before.sum(axis=0)
                after_sum[b] += expected.sum(axis=0)
                equal[b] += expected.T @ expected
                delayed[b] += expected.T @ before
                population[b] += np.bincount(drawn.sum(axis=1).astype(int), minlength=sites + 1)
        size = size.astype(float)
        return cls(encoding, size, before_sum, after_sum, equal, delayed, population)

    def statistics(self, weight: np.ndarray | None = None) -> Statistics:
        """Average over all transitions, blocks counting as often as ``weight`` (block,) says."""
        weight = np.ones(len(self.count)) if weight is None else np.asarray(weight, dtype=float)
        return self._averaged([np.tensordot(weight, part, 1) for part in self._parts()])

    def errors(self) -> Statistics:
        """Standard errors of the statistics, by the jackknife: each block left out in turn.

        se² = (B − 1)/B Σ_b (x_(b) − ⟨x_(b)⟩)²
        """
        parts, count = self._parts(), len(self.count)
        if count < 2:
            raise DataError("one block alone has no standard error", expected="at least 2 blocks")
        total = [part.sum(axis=0) for part in parts]
        names = ("mean", "equal", "delayed", "population")
        first, second = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
        centre = self._averaged(total)
        for b in range(count):
            without = self._averaged([t - part[b] for t, part in zip(total, parts, strict=True)])
            for name in names:
                # What little a block changes: sums of the values themselves would cancel.
                away = getattr(without, name) - getattr(centre, name)
                first[name], second[name] = first[name] + away, second[name] + away**2
        square = {n: (count - 1) / count * (second[n] - first[n] ** 2 / count) for n in names}
        return Statistics(self.encoding, *(np.sqrt(np.maximum(square[n], 0.0)) for n in names))

    def _parts(self):
        return self.count, self.now, self.then, self.equal, self.delayed, self.population

    def _averaged(self, parts):
        """Statistics of the sums of some blocks."""
        total, now, then, equal, delayed, population = parts
        if not total > 0:
            raise DataError("statistics of no data", expected="at least one transition", found=0)
        low, span = ENCODINGS[self.encoding], 1 - ENCODINGS[self.encoding]
        mean, before = then / total, now / total
        equal = equal / total - np.outer(mean, mean)
        # A site correlates with itself as any binary variable does, whatever its chances were.
        np.fill_diagonal(equal, mean * (1 - mean))
        delayed = delayed / total - np.outer(mean, before)
        return Statistics(
            self.encoding, low + span * mean, span**2 * equal, span**2 * delayed, population / total
        )

    def delayed_of(self, weight: np.ndarray) -> np.ndarray:
        """Delayed correlations under several weights (..., block): (..., target, source)."""
        total = (weight @ self.count)[..., None]
        then, now = weight @ self.then / total, weight @ self.now / total
        raw = (weight @ self.delayed.reshape(len(self.count), -1)) / total
        raw = raw.reshape(*weight.shape[:-1], *self.delayed.shape[1:])
        return (1 - ENCODINGS[self.encoding]) ** 2 * (raw - then[..., :, None] * now[..., None, :])

    def take(self, which: np.ndarray) -> Sums:
        """Return those of some blocks."""
        return Sums(self.encoding, *(part[which] for part in self._parts()))


def blocks(repeat: np.ndarray) -> np.ndarray:
    """Number the blocks of transitions: repeats, cut into equal pieces where these are few.

    Parameters
    ----------
    repeat : number of the repeat of each transition, ascending, (transition,).

    Returns
    -------
    number of the block of each transition, (transition,).
    """
    _, code, size = np.unique(repeat, return_inverse=True, return_counts=True)
    pieces = np.minimum(-(-LEAST_BLOCKS // len(size)), size)
    place = np.arange(len(repeat)) - np.concatenate([[0], np.cumsum(size)[:-1]])[code]
    first = np.concatenate([[0], np.cumsum(pieces)[:-1]])
    return first[code] + place * pieces[code] // size[code]


def held_out(repeat: np.ndarray) -> np.ndarray:
    """Choose about a fifth of the repeats, evenly spread; of the blocks where repeats are few.

    Parameters
    ----------
    repeat : number of the repeat of each transition, ascending, (transition,).

    Returns
    -------
    true for the transitions that are chosen, (transition,).
    """
    unit = np.unique(repeat, return_inverse=True)[1]
    if unit[-1] < 4:
        unit = blocks(repeat)
    count = unit[-1] + 1
    picks = max(1, round(count / 5))
    return np.isin(unit, ((np.arange(picks) + 0.5) * count / picks).astype(int))
