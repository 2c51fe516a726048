"""What next states the model expects after each present one, and how the data differ from that.

From the present states of the data one step ahead is drawn at each θ, so replicas are as large as
the data and depend on the model's law alone, not on where its own dynamics would have gone. In the
same pass each transition gets its log likelihood.

States of a kinetic model depend on each other by right, but what is left of them given the present
state must not: residuals are held against the state before that one, and the first half of them
against the second. Nor may those of one step: noise that sites share is small in each pair and has
one sign in all, so that the variance of their sum, Σ_t (Σ_i y_i)² / Σ_t Σ_i p (1 − p), shows it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesinf.models.binary import ENCODINGS, logit_slope, pairs
from bayesinf.models.binary.logistic.likelihood import Logistic
from bayesinf.models.binary.logistic.transitions import log_odds_density

__all__ = ["MOMENTS", "STATISTICS", "Predictive", "Seen", "statistics"]

STATISTICS = (
    "largest mean residual",
    "largest delayed residual",
    "largest equal-time residual",
    "residual that sites share",
    "variance of the number on",
    "all sites off",
    "largest residual after the state before",
    "largest drift of residuals",
)
MOMENTS = {
    "mean": ("site",),
    "delayed": ("target", "source"),
    "equal": ("pair",),
    "population": ("active",),
}
# Transitions that are looked at together.
PART = 2**10


def statistics(now: np.ndarray, next: np.ndarray, encoding: str) -> dict[str, np.ndarray]:
    """Summarise transitions, states (transition, site) each, in an encoding.

        delayed_ij = ⟨s_i(t+1) s_j(t)⟩ − ⟨s_i(t+1)⟩⟨s_j(t)⟩,   equal_ij the same of s(t+1) alone

    Returns
    -------
    ``mean`` (site,) of the next states, ``delayed`` (target, source), ``equal`` (pair,) in the
    order of ``binary.pairs``, and ``population``, the share in which K sites are on, (N + 1,).
    """
    sums, centre = _Sums(now.shape[1]), now.mean(axis=0)
    for start in range(0, len(now), PART):
        part = slice(start, start + PART)
        on = next[part] == 1
        sums.add(on.astype(np.float32), (now[part] - centre).astype(np.float32), on.sum(axis=1))
    return sums.moments(len(now), encoding)


class _Sums:
    """Sums over transitions of what sites do, y, or of how that differs from what was expected."""

    def __init__(self, sites):
        self.one, self.population = np.zeros(sites), np.zeros(sites + 1)
        self.delayed, self.equal = np.zeros((sites, sites)), np.zeros((sites, sites))
        self.earlier, self.drift = np.zeros((sites, sites)), np.zeros(sites)

    def add_order(self, y, before, half):
        """Add y by the states before the present ones, (transition, site), and by halves, ±1."""
        self.earlier += y.T @ before
        self.drift += half @ y

    def add(self, y, now, number):
        """Add y and present states (transition, site), and how many sites are on, (transition,)."""
        self.one += y.sum(axis=0, dtype=float)
        self.delayed += y.T @ now
        self.equal += y.T @ y
        self.population += np.bincount(number, minlength=self.population.size)

    def moments(self, count, encoding):
        """Moments of states in an encoding, of y that is 1 where a site is on."""
        step, (i, j), on = 1 - ENCODINGS[encoding], pairs(self.one.size), self.one / count
        equal = self.equal[i, j] / count - on[i] * on[j]
        return {
            "mean": 1 - step + step * on,
            "delayed": step * self.delayed / count,
            "equal": step**2 * equal,
            "population": self.population / count,
        }


@dataclass(frozen=True)
class Seen:
    """What one pass over the transitions tells of one draw.

    Parameters
    ----------
    log_likelihood : of the first transitions, (transition,).
    discrepancy, observed : statistics of the replica and of the data, (statistic,).
    moments : of the replica, name to array.
    """

    log_likelihood: np.ndarray
    discrepancy: np.ndarray
    observed: np.ndarray
    moments: dict[str, np.ndarray] | None


class Predictive:
    """Transitions on which draws are looked at.

    Parameters
    ----------
    problem : the data.
    which : positions of the transitions that are replicated, (transition,).
    pointwise : of how many of them, the first, the log likelihood is returned.
    """

    def __init__(self, problem: Logistic, which: np.ndarray, pointwise: int):
        self.pointwise, self.count = pointwise, len(which)
        self.sites, self.encoding, data = problem.sites, problem.encoding, problem.data
        self.now, self.on = data.now[which].astype(float), data.next[which] == 1
        self.away = (self.now - self.now.mean(axis=0)).astype(np.float32)
        self.square = np.sum(self.away**2, axis=0, dtype=float)
        self.before = _before(data, which)
        self.square_before = np.sum(self.before**2, axis=0, dtype=float)
        self.half = np.where(np.arange(self.count) < self.count // 2, -1, 1).astype(np.float32)
        self.parts = [slice(k, min(k + PART, self.count)) for k in range(0, self.count, PART)]

    def look(self, h: np.ndarray, J: np.ndarray, rng: np.random.Generator, moments: bool) -> Seen:
        """Draw a replica at fields (site,) and couplings (target, source), and compare.

        Its ``moments`` are returned only where they are kept.
        """
        sites, slope = self.sites, logit_slope(self.encoding)
        h, J = slope * h, slope * J.T
        replica, data, plain = _Sums(sites), _Sums(sites), _Sums(sites)
        variance, pointwise = np.zeros(sites), np.empty(self.pointwise)
        for part in self.parts:
            on, now, eta = self.on[part], self.away[part], self.now[part] @ J + h
            first = slice(part.start, min(part.stop, self.pointwise))
            if first.stop > first.start:
                count = first.stop - first.start
                pointwise[first] = log_odds_density(eta[:count], on[:count])
            p = np.float32(0.5) + np.float32(0.5) * np.tanh((0.5 * eta).astype(np.float32))
            variance += (p * (1 - p)).sum(axis=0, dtype=float)
            drawn = rng.random(p.shape, dtype=np.float32) < p
            number = drawn.sum(axis=1)
            replica.add(drawn - p, now, number)
            data.add(on - p, now, on.sum(axis=1))
            for sums, y in ((replica, drawn - p), (data, on - p)):
                sums.add_order(y, self.before[part], self.half[part])
            if moments:
                plain.add(drawn.astype(np.float32), now, number)
        kept = plain.moments(self.count, self.encoding) if moments else None
        return Seen(
            pointwise, self._statistics(replica, variance), self._statistics(data, variance), kept
        )

    def _statistics(self, sums, variance):
        """The statistics, (statistic,); residuals in units of nearly their standard errors."""
        sd = np.sqrt(np.maximum(variance, 1e-12))
        beside, earlier = (
            np.sqrt(np.maximum(square, 1e-12) / self.count)
            for square in (self.square, self.square_before)
        )
        (i, j), share = pairs(sd.size), sums.population / self.count
        pair = np.abs(sums.equal[i, j]) / (sd[i] * sd[j]) * np.sqrt(self.count)
        number = np.arange(share.size)
        return np.array(
            [
                np.max(np.abs(sums.one) / sd),
                np.max(np.abs(sums.delayed) / (sd[:, None] * beside)),
                np.max(pair, initial=0.0),
                np.sum(sums.equal) / max(np.sum(variance), 1e-12),
                share @ (number - share @ number) ** 2,
                share[0],
                np.max(np.abs(sums.earlier) / (sd[:, None] * earlier)),
                np.max(np.abs(sums.drift) / sd),
            ]
        )


def _before(data, which):
    """States before the present ones, less their mean; zero where a repeat begins."""
    last = np.maximum(which - 1, 0)
    known = (which > 0) & (data.repeat[last] == data.repeat[which])
    states = data.now[last].astype(np.float32)
    mean = states[known].mean(axis=0) if known.any() else 0.0
    return np.where(known[:, None], states - mean, np.float32(0.0))
