"""The way to the optimum beyond enumeration, on states that pass freely between phases.

    θ ← θ + t F⁻¹ ∇

Gradient and Fisher information are averages over sampled states. On its way to strongly coupled
sites a model has phases that neither data nor optimum show: many sites are on at once and hold each
other there. Chains of the model itself meet such a phase when it has long outweighed all else, and
then do not leave it. So the chains here are multicanonical: their states are spread over levels,
the numbers of sites that are as in the main pattern of correlation, far beyond those of the data,
by a bias that is known and taken back by weights. A phase is then seen while its weight is nothing
yet, and a step that would raise it is not taken.

Berg & Neuhaus, Phys. Rev. Lett. 68, 9 (1992), doi:10.1103/PhysRevLett.68.9; Ferrari, Phys. Rev. E
94, 023301 (2016), doi:10.1103/PhysRevE.94.023301.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesinf.models.binary import ENCODINGS, Moments, matrix
from bayesinf.models.couplings import Prior
from bayesinf.models.pairwise import bank as banks
from bayesinf.models.pairwise.bank import Banked, Centred
from bayesinf.models.pairwise.likelihood import Pairwise
from bayesinf.models.pairwise.optimum import independent, refused
from bayesinf.models.pairwise.sampling import Bias, SampledStates, sample
from bayesinf.priors import Normal

CHAINS = 64
FEW, EACH = 20_000, 5  # states of a step at first: at least, and for each parameter
ENOUGH = 40  # states of the last steps for each parameter, where the data are fewer
TAILS = 10.0  # sd of the data's level up to which levels are visited
WALL = 1e5  # what the bias loses with each level beyond
SEEN = 10  # states of a level that tell its spread
SPARE = 5.0  # states added to a level before it is compared to what is wanted
FLAT = 0.3  # how near to what is wanted levels must come before a step is taken
THIN, SLOWEST = 10, 80  # sweeps between states
SLOW = 0.1  # autocorrelation time of chains, in their length, that asks for more of them
BURN = 20  # states not kept
WORK = 2e7  # additions that a sum over the states of a step may cost
REACH = 0.5  # sd of Δ · φ of a step
SPREAD = 1.5  # the same at a level, which the bias must follow
TURNED = -0.3  # slope along a step at its end, relative to that at its start, that was too far
NOISY = (
    8.0  # what is left to climb, over what sampling error makes of it, that asks for more states
)
SETTLED = 2.0  # the same where the search is over
ROUNDS = 10  # steps of 1, 1/2, 1/3, ..., whose errors average out, that end it
CAUTION = 1.0  # states that are taken to show each pair
STEPS = 300
FIXED = 30  # rounds in which the width settles


@dataclass(frozen=True)
class Found:
    """Where the search ended.

    Parameters
    ----------
    theta : (parameter,).
    effective : how many independent states θ rests on.
    last : where the chains ended, (chain, site).
    bias : theirs, now without walls.
    """

    theta: np.ndarray
    effective: float
    last: np.ndarray
    bias: Bias


def locate(
    data: Moments, prior: Prior | None, rng: np.random.Generator, workers: int | None = None
) -> Found:
    """Look for the optimum of many sites.

    A step goes as far as Newton's, unless the sd of Δ · φ is above a half then, or above 1.5 among
    states of one level. Where the slope along a step has turned round, it was too far: it is
    undone, bias and chains too, and halved. States are few at first and become more where what is
    left to climb is what their sampling error makes of it. Where they are enough, ten more steps of
    1, 1/2, 1/3, ... average these errors out: of a single step they would not only move θ, but
    raise all activity, since log Z is convex.

    Parameters
    ----------
    data : moments.
    prior : of the parameters, or None. Where its width is to be inferred, that is updated on the
        way; in place of a Laplace or horseshoe prior a normal one of the same width stands.
    rng : the generator.
    workers : threads; None takes all cores.

    Returns
    -------
    θ, nearer to the optimum than sampling errors of the data are large, and what led there.

    Raises
    ------
    FitError : no optimum was found.
    """
    size, theta = data.statistics.size, independent(data)
    on = rng.random((CHAINS, data.sites)) < data.encoded("0/1").mean
    last, levels = np.where(on, 1, ENCODINGS[data.encoding]), _Levels(data)
    count = max(FEW, EACH * size)
    most = max(count, data.samples, ENOUGH * size)
    before, moved, gained, limit, thin, rounds = None, None, 0.0, 1.0, THIN, 0
    problem, step, gradient = Pairwise(data, prior), np.zeros(size), np.zeros(size)
    for _ in range(STEPS):
        drawn = sample(theta, data.encoding, count, start=last, thin=thin, burn=BURN * thin,
                       bias=levels.bias, rng=rng, workers=workers)  # fmt: skip
        last = drawn.last
        if drawn.inefficiency > SLOW * count / CHAINS:
            thin = min(2 * thin, SLOWEST)
        states = _Weighed(drawn, levels)
        if levels.flatness(states.level) < FLAT:
            levels.follow(states.level)
            continue
        held = None
        if prior is not None:
            held = Prior(prior.h, Normal(prior.mean, settled_width(prior, data, theta)))
        problem = Banked(data, held, workers, states.bank(theta, rng, workers))
        _, gradient = problem.gradient(theta)
        if moved is not None and not rounds and gradient @ moved < TURNED * gained:
            moved, gained, limit = moved / 2, gained / 2, limit / 2
            last, levels.bias, theta = *before[:2], before[2] + moved
            continue
        step = problem.newton(theta, 1.0, gradient, CAUTION)
        rise = gradient @ step / data.samples
        if rounds == ROUNDS:
            return Found(theta, ROUNDS * states.worth, last, levels.open)
        if rounds:
            rounds += 1
        elif rise < NOISY * size / states.worth:
            halves = states.half_difference()
            noise = halves @ problem.newton(theta, 1.0, data.samples * halves, CAUTION) / 4
            if count >= most and rise <= SETTLED * noise:
                rounds = 1
            count = min(2 * count, most)
        along = states.features.exponents(*_fields(step, data.encoding), 0, states.count)
        before = last, levels.bias, theta
        part = min(
            1 / rounds if rounds else limit,
            REACH / max(np.sqrt(rise), 1e-12),
            SPREAD / max(levels.spread(states.level, along), 1e-12),
        )
        moved, gained, limit = part * step, part * gradient @ step, min(1.0, 1.5 * limit)
        levels.follow(states.level, part * along)
        theta = theta + moved
    raise refused(problem, theta, step, gradient)


def _fields(delta, encoding):
    """Fields and couplings (site, site) above the diagonal for 0/1."""
    h, J, _ = banks.off_on(delta[None], encoding)
    return h[0], J[0]


class _Weighed:
    """Multicanonical states, and what each weighs in the model: ``weight`` adds up to one."""

    def __init__(self, drawn: SampledStates, levels: _Levels):
        self.encoding = drawn.encoding
        self.on = (drawn.states == 1).astype(np.int8)
        self.features = banks.features_of(self.on)
        self.count = len(self.on)
        self.level = levels.bias.level(self.on)
        weight = -levels.bias.levels[self.level]
        weight = np.exp(weight - weight.max())
        self.weight = weight / weight.sum()

    @property
    def worth(self) -> float:
        """How many states of equal weight would be worth as much."""
        return float(1 / np.sum(self.weight**2))

    def bank(self, theta, rng, workers):
        """These states as a bank, those of little weight by chance only."""
        weight, none = self.weight * self.count, np.zeros(0)
        keep, inflate = banks.thinned(self.on, weight, WORK, rng)
        sites = self.on.shape[1]
        phi = self._moments(slice(None))
        mean = Moments("0/1", self.count, phi[:sites], phi[sites:]).encoded(self.encoding)
        return banks.Bank(theta, self.encoding, self.on[keep], np.ones(keep.size),
                          weight[keep] * inflate[keep], mean.statistics, self.worth, none, none,
                          none, none, workers)  # fmt: skip

    def half_difference(self):
        """Moments of the last half of the chains less those of the first, (parameter,)."""
        half = self.count // 2
        return banks.encoded(
            self._moments(slice(half, None)) - self._moments(slice(half)), self.encoding
        )

    def _moments(self, part):
        """Moments of the states of a part as 0/1, (parameter,)."""
        weight = self.weight[part]
        first = part.start or 0
        blocks = range(0, len(weight), banks.BLOCK)
        second = sum(
            self.features.moments(
                weight[k : k + banks.BLOCK], first + k, first + min(k + banks.BLOCK, len(weight))
            )
            for k in blocks
        )
        return banks.packed(second / weight.sum())


class _Levels:
    """The bias under which levels come as wanted, and which follows a model that moves.

    Wanted is a Cauchy distribution with the mean and the standard deviation that the data have,
    which their moments tell.
    """

    def __init__(self, data: Moments):
        on, sites = data.encoded("0/1"), data.sites
        covariance = matrix(on.pair, sites) - np.outer(on.mean, on.mean)
        np.fill_diagonal(covariance, np.maximum(on.mean * (1 - on.mean), 1 / data.samples))
        sd = np.sqrt(np.diag(covariance))
        main = np.linalg.eigh(covariance / np.outer(sd, sd))[1][:, -1]
        pattern = main * np.sign(main.sum()) >= 0
        toward = np.where(pattern, 1.0, -1.0)
        alike = np.where(pattern, on.mean, 1 - on.mean)
        independent = np.ones(1)
        for chance in alike:
            independent = np.convolve(independent, [1 - chance, chance])
        away = (np.arange(sites + 1) - alike.sum()) / np.sqrt(toward @ covariance @ toward)
        self.inside = np.abs(away) <= TAILS
        self.wanted = np.where(self.inside, 1 / (1 + away**2), 0.0)
        self.wanted /= self.wanted.sum()
        self._set(
            pattern, np.log(np.maximum(self.wanted, 1e-300) / np.maximum(independent, 1e-300))
        )

    def _set(self, pattern, levels):
        first, last = np.flatnonzero(self.inside)[[0, -1]]
        number = np.arange(len(levels))
        beyond = np.maximum(first - number, 0) + np.maximum(number - last, 0)
        self.bias = Bias(pattern, np.where(self.inside, levels - levels[self.inside].max(), 0.0)
                         - WALL * beyond)  # fmt: skip

    @property
    def open(self) -> Bias:
        """The bias, constant beyond the levels that were visited."""
        inside = np.flatnonzero(self.inside)
        number = np.clip(np.arange(len(self.wanted)), inside[0], inside[-1])
        return Bias(self.bias.pattern, self.bias.levels[number])

    def follow(self, level: np.ndarray, rise: np.ndarray | None = None) -> None:
        """Correct the bias by how often levels came, and by how a step raises them.

        Parameters
        ----------
        level : of each state, (state,).
        rise : Δ · φ of each, (state,); None for no step.
        """
        size = len(self.wanted)
        came = np.bincount(level, minlength=size)
        seen = np.flatnonzero(came)
        change = np.log((came + SPARE) / (len(level) * self.wanted + SPARE))
        if rise is not None:
            top = np.full(size, -np.inf)
            np.maximum.at(top, level, rise)
            total = np.bincount(level, np.exp(rise - top[level]), minlength=size)[seen]
            raised = top[seen] + np.log(total / came[seen])
            change = change + np.interp(np.arange(size), seen, raised)
        self._set(self.bias.pattern, self.bias.levels - change)

    def flatness(self, level: np.ndarray) -> float:
        """How near to what is wanted levels (state,) came: 1 / Σ share² / wanted, at most one."""
        share = np.bincount(level, minlength=len(self.wanted)) / len(level)
        return float(1 / np.sum(share[self.inside] ** 2 / self.wanted[self.inside]))

    def spread(self, level: np.ndarray, rise: np.ndarray) -> float:
        """Largest standard deviation of Δ · φ (state,) among the states of a level."""
        came = np.bincount(level)
        some = np.maximum(came, 1)
        mean = np.bincount(level, rise) / some
        square = np.bincount(level, (rise - mean[level]) ** 2) / some
        return float(np.sqrt(square[came > SEEN].max()))


def settled_width(prior: Prior, data: Moments, theta: np.ndarray) -> float:
    """Return the width at which couplings are as wide as they and their errors are found to be.

        τ² = ⟨(J − mean)² + 1 / (M var c_ij + τ⁻²)⟩

    That of the prior where it is stated.

    MacKay, Neural Comput. 4, 415 (1992), doi:10.1162/neco.1992.4.3.415.
    """
    width, sites = prior.typical, data.sites
    if not prior.inferred:
        return width
    information = data.samples * Centred(data).wanted[sites:]
    square = (theta[sites:] - prior.mean) ** 2
    for _ in range(FIXED):
        width = float(np.sqrt(np.mean(square + 1 / (information + width**-2.0))))
    return width
