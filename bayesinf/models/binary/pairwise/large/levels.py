"""A multicanonical bias over levels that follows a model on its way to the optimum.

A level is the number of sites that agree with the main pattern of correlation in the data. The bias
spreads the chains' states over levels far beyond those of the data, so that a phase in which many
sites hold each other on is seen while its weight is still negligible.

Berg & Neuhaus, Phys. Rev. Lett. 68, 9 (1992), doi:10.1103/PhysRevLett.68.9.
"""

from __future__ import annotations

import numpy as np

from bayesinf.models.binary import Moments, matrix
from bayesinf.models.binary.pairwise.large.sampling import Bias
from bayesinf.models.binary.pairwise.large.tuning import DEFAULT, Tuning

__all__ = ["Levels"]


class Levels:
    """The bias under which levels come with the wanted frequencies.

    These are a Cauchy distribution with the location of the data's levels and their standard
    deviation as width, both known from the moments; its heavy tails reach other phases.

    Parameters
    ----------
    data : moments.
    """

    def __init__(self, data: Moments, tuning: Tuning = DEFAULT):
        self.tuning = tuning
        on, sites = data.encoded("0/1"), data.sites
        covariance = matrix(on.pair, sites) - np.outer(on.mean, on.mean)
        np.fill_diagonal(covariance, np.maximum(on.mean * (1 - on.mean), 1 / data.samples))
        sd = np.sqrt(np.diag(covariance))
        main = np.linalg.eigh(covariance / np.outer(sd, sd))[1][:, -1]
        pattern = main * np.sign(main.sum()) >= 0
        sign = np.where(pattern, 1.0, -1.0)
        agrees = np.where(pattern, on.mean, 1 - on.mean)
        distance = np.arange(sites + 1) - agrees.sum()
        distance /= np.sqrt(sign @ covariance @ sign)
        self.inside = np.abs(distance) <= tuning.level_range
        self.wanted = np.where(self.inside, 1 / (1 + distance**2), 0.0)
        self.wanted /= self.wanted.sum()
        # The first model is that of independent sites, half a sample added to each side: of a site
        # that never is on, levels that need it have little probability there, but some.
        independent = np.ones(1)
        for probability in (agrees * data.samples + 0.5) / (data.samples + 1):
            independent = np.convolve(independent, [1 - probability, probability])
        first = np.log(np.maximum(self.wanted, 1e-300) / np.maximum(independent, 1e-300))
        self._set(pattern, first)

    def _set(self, pattern, levels):
        """Set the bias: these values inside the range, zero at the top of it, a wall beyond."""
        first, last = np.flatnonzero(self.inside)[[0, -1]]
        number = np.arange(len(levels))
        beyond = np.maximum(first - number, 0) + np.maximum(number - last, 0)
        inside = np.where(self.inside, levels - levels[self.inside].max(), 0.0)
        self.bias = Bias(pattern, inside - self.tuning.level_wall * beyond)

    @property
    def without_walls(self) -> Bias:
        """The bias, constant beyond the levels that were visited."""
        inside = np.flatnonzero(self.inside)
        number = np.clip(np.arange(len(self.wanted)), inside[0], inside[-1])
        return Bias(self.bias.pattern, self.bias.levels[number])

    def follow(self, level: np.ndarray, exponent: np.ndarray | None = None) -> None:
        """Correct the bias by how often levels were visited, and by what a step does to them.

        Parameters
        ----------
        level : of each state, (state,).
        exponent : Δ · φ of each state, (state,), for a step Δ that is taken now; None for no step.
        """
        size, least = len(self.wanted), self.tuning.level_prior
        visits = np.bincount(level, minlength=size)
        change = np.log((visits + least) / (len(level) * self.wanted + least))
        if exponent is not None:
            # The step multiplies the weight of a level by the mean of exp(Δ · φ) over its states.
            visited = np.flatnonzero(visits)
            top = np.full(size, -np.inf)
            np.maximum.at(top, level, exponent)
            total = np.bincount(level, np.exp(exponent - top[level]), minlength=size)[visited]
            log_mean = top[visited] + np.log(total / visits[visited])
            change = change + np.interp(np.arange(size), visited, log_mean)
        self._set(self.bias.pattern, self.bias.levels - change)

    def flatness(self, level: np.ndarray) -> float:
        """Return how near to the wanted frequencies levels (state,) came: 1 / Σ share² / wanted."""
        share = np.bincount(level, minlength=len(self.wanted)) / len(level)
        return float(1 / np.sum(share[self.inside] ** 2 / self.wanted[self.inside]))

    def largest_sd(self, level: np.ndarray, exponent: np.ndarray) -> float:
        """Return the largest standard deviation of Δ · φ (state,) among the states of a level."""
        visits = np.bincount(level)
        count = np.maximum(visits, 1)
        mean = np.bincount(level, exponent) / count
        variance = np.bincount(level, (exponent - mean[level]) ** 2) / count
        return float(np.sqrt(variance[visits > self.tuning.level_least].max()))
