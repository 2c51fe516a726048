"""The long run of Markov chains at one θ, and the reweighting sample that is kept of it.

The run's sums are added up part by part, so it may be longer than memory holds. Distinct states are
kept once, with their count. If they are still too many, each is kept with a probability that grows
with its leverage φ · F⁻¹ φ, large for states with pairs that are rarely on together, and its weight
is divided by that probability.
"""

from __future__ import annotations

import itertools

import numpy as np

from bayesinf import kept
from bayesinf.models import binary
from bayesinf.models.binary import sites_of
from bayesinf.models.binary.pairwise.large.reweighting import ReweightingSample
from bayesinf.models.binary.pairwise.large.sampling import Bias, SampledStates, sample
from bayesinf.models.binary.pairwise.large.state_sums import (
    arranged,
    blocks,
    cost,
    mean_and_pair,
    moments_in,
)
from bayesinf.models.binary.pairwise.large.tuning import DEFAULT, Tuning

__all__ = ["draw_sample", "thinned"]


def draw_sample(
    theta: np.ndarray,
    encoding: str,
    effective: float,
    rng: np.random.Generator,
    *,
    start: np.ndarray | None = None,
    bias: Bias | None = None,
    keep: float | None = None,
    workers: int | None = None,
    tuning: Tuning = DEFAULT,
) -> ReweightingSample:
    """Run chains at θ until their moments are precise enough, and keep some of the states.

    Parameters
    ----------
    theta : (parameter,).
    encoding : "±1" or "0/1".
    effective : number of independent states that the run shall be worth, judged by how much the
        moments of its chains differ.
    rng : the generator.
    start : where other chains ended, (chain, site).
    bias : under which the chains run.
    keep : number of states to keep, if these cost on average as much as those drawn; by default
        ``tuning.kept_states``.
    workers : threads; None takes all cores.
    """
    bias, chains = bias or Bias.none(sites_of(theta.size)), tuning.chains
    how = {"bias": bias, "rng": rng, "workers": workers, "tuning": tuning}
    pilot = sample(theta, encoding, chains, chains=chains, start=start, **how)
    last, thin = pilot.last, min(pilot.thin, tuning.most_run_thin)
    run, walk = _LongRun(encoding, bias, tuning), {"last": last, "count": tuning.run_part // 8}
    for _ in kept.steps(itertools.count(), rng, run, walk):
        if run.effective >= effective:
            break
        drawn = sample(theta, encoding, walk["count"], start=walk["last"], thin=thin, burn=0, **how)
        run.add(drawn)
        missing = run.count * (effective / run.effective - 1)
        count = int(chains * np.ceil(np.clip(missing, chains, tuning.run_part) / chains))
        walk |= {"last": drawn.last, "count": count}
    keep = tuning.kept_states if keep is None else keep
    return run.keep(theta, walk["last"], keep, rng, workers)


class _LongRun:
    """Weighted sums over the parts of a run, chain by chain.

    Parameters
    ----------
    encoding : "±1" or "0/1".
    bias : under which the chains ran; each state weighs exp(−bias).
    """

    def __init__(self, encoding: str, bias: Bias, tuning: Tuning = DEFAULT):
        self.encoding, self.bias, self.tuning = encoding, bias, tuning
        self.sites = len(bias.pattern)
        self.triples = binary.triples(self.sites, tuning.triples)
        self.count, self.weight, self.pair_sums = 0, 0.0, 0.0
        self.population, self.triple_sums = 0.0, 0.0
        self.packed_states = []

    def add(self, drawn: SampledStates) -> None:
        """Add the states of one part."""
        on, length = (drawn.states == 1).astype(np.int8), len(drawn.states) // drawn.chains
        level = self.bias.level(on)
        weight = np.exp(-self.bias.levels[level])
        sums = arranged(on)
        chains = [
            sums.pair_sums(weight[first:last], first, last)
            for first, last in blocks(len(on), length)
        ]
        self.count += len(on)
        self.weight = self.weight + weight.reshape(drawn.chains, length).sum(axis=1)
        self.pair_sums = self.pair_sums + np.array(chains)
        active = np.count_nonzero(on, axis=1)
        self.population += np.bincount(active, weight, self.sites + 1)
        for value in np.unique(level):  # states of one level have one weight
            states, each = drawn.states[level == value], np.exp(-self.bias.levels[value])
            self.triple_sums += binary.triple_moments(states, self.triples) * len(states) * each
        ones = np.ones(len(on), dtype=np.int64)
        self.packed_states.append(_distinct_rows(np.packbits(on, axis=1), ones))

    @property
    def moments(self) -> np.ndarray:
        """Moments of 0/1, (parameter,)."""
        return mean_and_pair(self.pair_sums.sum(axis=0)) / self.weight.sum()

    @property
    def effective(self) -> float:
        """Number of independent states that the moments are worth, by the spread of the chains."""
        if not self.count:
            return 0.0
        phi, chains = self.moments, len(self.weight)
        away = mean_and_pair(self.pair_sums) - phi * self.weight[:, None]
        square = np.sum(away**2, axis=0) * chains / ((chains - 1) * self.weight.sum() ** 2)
        return float(1 / np.mean(square / np.maximum(phi - phi**2, 1 / self.count)))

    def keep(
        self,
        theta: np.ndarray,
        last: np.ndarray,
        most: float,
        rng: np.random.Generator,
        workers: int | None,
    ) -> ReweightingSample:
        """Keep distinct states as costly to sum over as ``most`` average ones."""
        packed, count = (np.concatenate(parts) for parts in zip(*self.packed_states, strict=True))
        packed, count = _distinct_rows(packed, count)
        states = np.unpackbits(packed, axis=1, count=self.sites).view(np.int8)
        weight = np.exp(-self.bias.levels[self.bias.level(states)])
        weight *= self.count / (count @ weight)
        work = most * np.average(cost(states), weights=count)
        kept, inverse = thinned(states, count * weight, work, rng, self.tuning)
        total = self.weight.sum()
        return ReweightingSample(
            centre=theta,
            encoding=self.encoding,
            states=states[kept],
            count=count[kept],
            importance=weight[kept] * inverse[kept],
            moments=moments_in(self.encoding, self.moments, self.count),
            effective=self.effective,
            population=self.population / total,
            triples=self.triples,
            triple_means=self.triple_sums / total,
            last=last,
            bias=self.bias,
            workers=workers,
            tuning=self.tuning,
        )


def _distinct_rows(packed, count):
    """Distinct rows of bytes, and the sums of their counts."""
    words = np.zeros((len(packed), -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
    words[:, : packed.shape[1]] = packed
    words = words.view(np.uint64)
    order = np.lexsort(words.T)
    ordered = words[order]
    new = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    return packed[order[new]], np.add.reduceat(count[order], np.flatnonzero(new))


def thinned(
    states: np.ndarray,
    weight: np.ndarray,
    work: float,
    rng: np.random.Generator,
    tuning: Tuning = DEFAULT,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose states at random so that a sum over them costs no more than ``work``.

    State k is kept with probability p_k = min(1, c w_k √(1 + leverage_k) / √(1 + cost_k)), which
    for given work makes the variance of weighted sums small.

    Parameters
    ----------
    states : distinct states, 1 where on, (state, site).
    weight : of each, (state,).
    work : allowed cost, in the units of ``cost``.
    rng : the generator.

    Returns
    -------
    the numbers of the kept states (kept,), and 1 / p_k of all states (state,).
    """
    costs = cost(states)
    if costs.sum() <= work:
        return np.arange(len(states)), np.ones(len(states))
    # The 1 keeps states without leverage, such as silence, among those that can be chosen.
    merit = weight * np.sqrt(1 + _leverage(states, weight, tuning)) / np.sqrt(1 + costs)
    low, high = 0.0, 1 / max(merit.min(), 1e-15 * merit.max())
    for _ in range(60):
        middle = 0.5 * (low + high)
        keep = np.minimum(1.0, middle * merit)
        low, high = (low, middle) if keep @ costs > work else (middle, high)
    probability = np.minimum(1.0, low * merit)
    kept = np.flatnonzero(rng.random(len(states)) < probability)
    return kept, 1 / np.maximum(probability, 1e-300)


def _leverage(states, weight, tuning):
    """Leverage Σ_a φ_a² / var φ_a of each state, with the off-diagonal of F left out."""
    sums, total = arranged(states), weight.sum()
    parts = blocks(len(states), tuning.block)
    pair_means = sum(sums.pair_sums(weight[a:b] / total, a, b) for a, b in parts)
    variance = np.maximum(np.triu(pair_means * (1 - pair_means)), 1 / total)
    inverse = np.triu(1 / variance)
    of_sites = np.diag(inverse).copy()
    np.fill_diagonal(inverse, 0.0)
    return np.concatenate([sums.exponents(of_sites, inverse, a, b) for a, b in parts])
