"""The optimum of many sites, by Newton steps on states of multicanonical chains.

    θ ← θ + t F⁻¹ ∇

The gradient and the Fisher information F are averages over sampled states. Between the start and an
optimum of strongly coupled sites, a model may have phases that neither the data nor the optimum
show: many sites are on together and hold each other there. Chains of the model itself find such a
phase only when it has long outweighed all else, and then cannot leave it. So these chains run under
a bias over levels (``Levels``), which weights take back: a phase is seen while its weight is still
negligible, and a step that would raise it is not taken.

Ferrenberg & Swendsen, Phys. Rev. Lett. 61, 2635 (1988), doi:10.1103/PhysRevLett.61.2635; Ferrari,
Phys. Rev. E 94, 023301 (2016), doi:10.1103/PhysRevE.94.023301.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bayesinf import kept
from bayesinf.models.binary import ENCODINGS, Moments
from bayesinf.models.binary.couplings import CouplingPrior
from bayesinf.models.binary.pairwise.large.levels import Levels
from bayesinf.models.binary.pairwise.large.likelihood import (
    ReweightedLikelihood,
    with_inferred_width,
)
from bayesinf.models.binary.pairwise.large.long_run import thinned
from bayesinf.models.binary.pairwise.large.reweighting import ReweightingSample
from bayesinf.models.binary.pairwise.large.sampling import Bias, SampledStates, sample
from bayesinf.models.binary.pairwise.large.state_sums import (
    arranged,
    blocks,
    change_encoding,
    mean_and_pair,
    moments_in,
    on_off_differences,
)
from bayesinf.models.binary.pairwise.large.tuning import DEFAULT, Tuning
from bayesinf.models.binary.pairwise.likelihood import Pairwise
from bayesinf.models.binary.pairwise.optimum import independent, refused

__all__ = ["SearchResult", "find_optimum"]


@dataclass(frozen=True)
class SearchResult:
    """Where the search ended.

    Parameters
    ----------
    theta : (parameter,).
    effective : number of independent states that θ rests on.
    last : where the chains ended, (chain, site).
    bias : under which they ran, without walls.
    """

    theta: np.ndarray
    effective: float
    last: np.ndarray
    bias: Bias


def find_optimum(
    data: Moments,
    prior: CouplingPrior | None,
    rng: np.random.Generator,
    workers: int | None = None,
    tuning: Tuning = DEFAULT,
) -> SearchResult:
    """Search the optimum of many sites.

    Each round draws states, takes a Newton step from them, and lets the bias follow. Rounds begin
    with few states; these are doubled when sampling noise alone explains the expected gain. Once
    they are enough, ten steps of 1, 1/2, 1/3, ... average the noise out. The noise of a single step
    would not only move θ: since log Z is convex, it would also raise all activity.

    Parameters
    ----------
    data : moments.
    prior : of the parameters, or None. A width that is to be inferred is updated on the way; in
        place of a Laplace or horseshoe prior a normal one of the same width is used.
    rng : the generator.
    workers : threads; None takes all cores.

    Returns
    -------
    θ, nearer to the optimum than the data's sampling errors, and the chains that led there.

    Raises
    ------
    FitError : no optimum was found.
    """
    search = _Search(data, prior, rng, workers, tuning)
    problem = Pairwise(data, prior)
    step, gradient = np.zeros_like(search.theta), np.zeros_like(search.theta)
    for _ in kept.steps(
        range(tuning.most_steps),
        rng,
        search,
        fixed=(data, prior, tuning),
        shorter="fewer sites (--cells)",
    ):
        states = search.draw()
        if search.levels.flatness(states.level) < tuning.least_flatness:
            search.levels.follow(states.level)
            continue
        problem = search.reweighted(states)
        _, gradient = problem.gradient(search.theta)
        if search.overshot(gradient):
            search.halve_last_move()
            continue
        step = problem.newton(search.theta, 1.0, gradient, tuning.pair_prior)
        if search.averaged == tuning.averaging_steps:
            effective = tuning.averaging_steps * states.effective
            return SearchResult(search.theta, effective, search.last, search.levels.without_walls)
        gain = gradient @ step / data.samples
        search.choose_effort(problem, states, gain)
        search.move(states, step, gradient, gain)
    raise refused(problem, search.theta, step, gradient)


class _Move(NamedTuple):
    """The last step: what it started from, and its change of θ with the gain at its start."""

    last: np.ndarray
    bias: Bias
    theta: np.ndarray
    change: np.ndarray
    gain: float


class _Search:
    """θ, chains and bias on their way, with the number of states and the length of steps."""

    def __init__(self, data, prior, rng, workers, tuning):
        self.data, self.prior, self.rng = data, prior, rng
        self.workers, self.tuning = workers, tuning
        self.theta = independent(data)
        on = rng.random((tuning.chains, data.sites)) < data.encoded("0/1").mean
        self.last = np.where(on, 1, ENCODINGS[data.encoding])
        self.levels = Levels(data, tuning)
        parameters = self.theta.size
        self.count = max(tuning.step_states, tuning.step_states_each * parameters)
        self.most = max(self.count, data.samples, tuning.last_states_each * parameters)
        self.thin, self.limit, self.averaged, self.previous = tuning.step_thin, 1.0, 0, None

    def draw(self):
        """Continue the chains at θ under the bias."""
        tuning, thin = self.tuning, self.thin
        drawn = sample(
            self.theta,
            self.data.encoding,
            self.count,
            start=self.last,
            thin=thin,
            burn=tuning.step_burn * thin,
            bias=self.levels.bias,
            rng=self.rng,
            workers=self.workers,
            tuning=tuning,
        )
        self.last = drawn.last
        if drawn.inefficiency > tuning.slow_chain * self.count / tuning.chains:
            self.thin = min(2 * thin, tuning.most_step_thin)
        return _WeightedStates(drawn, self.levels.bias, tuning)

    def reweighted(self, states):
        """Return the likelihood by these states, with the prior's width where it now is."""
        prior = with_inferred_width(self.prior, self.data, self.theta, self.tuning)
        kept = states.keep(self.theta, self.rng, self.workers)
        return ReweightedLikelihood(self.data, prior, self.workers, kept)

    def overshot(self, gradient):
        """Whether the slope along the last move has clearly turned round at its end."""
        if self.previous is None or self.averaged:
            return False
        return gradient @ self.previous.change < self.tuning.overshoot * self.previous.gain

    def halve_last_move(self):
        """Undo the last move, of chains and bias too, and go half as far."""
        old = self.previous
        self.previous = old._replace(change=old.change / 2, gain=old.gain / 2)
        self.last, self.levels.bias = old.last, old.bias
        self.theta = old.theta + self.previous.change
        self.limit /= 2

    def choose_effort(self, problem, states, gain):
        """Double the states, or begin to average, when noise alone would explain the gain."""
        tuning = self.tuning
        if self.averaged:
            self.averaged += 1
        elif gain < tuning.noisy_gain * self.theta.size / states.effective:
            halves, samples = states.difference_of_halves(), self.data.samples
            response = problem.newton(self.theta, 1.0, samples * halves, tuning.pair_prior)
            noise = halves @ response / 4
            if self.count >= self.most and gain <= tuning.final_gain * noise:
                self.averaged = 1
            self.count = min(2 * self.count, self.most)

    def move(self, states, step, gradient, gain):
        """Move by as much of the step as the weights of the states allow."""
        tuning = self.tuning
        h, J, _ = on_off_differences(step[None], self.data.encoding)
        exponent = states.sums.exponents(h[0], J[0], 0, states.count)
        level_sd = self.levels.largest_sd(states.level, exponent)
        part = min(
            1 / self.averaged if self.averaged else self.limit,
            tuning.step_sd / max(np.sqrt(gain), 1e-12),
            tuning.step_level_sd / max(level_sd, 1e-12),
        )
        start = self.last, self.levels.bias, self.theta
        self.previous = _Move(*start, part * step, part * gradient @ step)
        self.limit = min(1.0, 1.5 * self.limit)
        self.levels.follow(states.level, part * exponent)
        self.theta = self.theta + self.previous.change


class _WeightedStates:
    """States of biased chains, with weights in the model that add up to one."""

    def __init__(self, drawn: SampledStates, bias: Bias, tuning: Tuning):
        self.encoding, self.bias, self.tuning = drawn.encoding, bias, tuning
        self.on = (drawn.states == 1).astype(np.int8)
        self.sums = arranged(self.on)
        self.count = len(self.on)
        self.level = bias.level(self.on)
        weight = -bias.levels[self.level]
        weight = np.exp(weight - weight.max())
        self.weight = weight / weight.sum()

    @property
    def effective(self) -> float:
        """Number of states of equal weight that would be worth as much."""
        return float(1 / np.sum(self.weight**2))

    def keep(self, theta, rng, workers):
        """Keep as many as a step can afford, those of little weight at random."""
        weight, none = self.weight * self.count, np.zeros(0)
        kept, inverse = thinned(self.on, weight, self.tuning.step_work, rng, self.tuning)
        return ReweightingSample(
            centre=theta,
            encoding=self.encoding,
            states=self.on[kept],
            count=np.ones(kept.size),
            importance=weight[kept] * inverse[kept],
            moments=moments_in(self.encoding, self._moments(0, self.count), self.count),
            effective=self.effective,
            population=none,
            triples=none,
            triple_means=none,
            last=none,
            bias=self.bias,
            workers=workers,
            tuning=self.tuning,
        )

    def difference_of_halves(self) -> np.ndarray:
        """Moments of the last half of the chains less those of the first, (parameter,)."""
        half = self.count // 2
        difference = self._moments(half, self.count) - self._moments(0, half)
        return change_encoding(difference, self.encoding)

    def _moments(self, first, last):
        """Moments of 0/1 of the states from first to last, (parameter,)."""
        weight = self.weight[first:last]
        pair_sums = sum(
            self.sums.pair_sums(weight[a:b], first + a, first + b)
            for a, b in blocks(last - first, self.tuning.block)
        )
        return mean_and_pair(pair_sums / weight.sum())
