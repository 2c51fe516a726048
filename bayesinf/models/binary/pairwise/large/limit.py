"""Where a likelihood rises for ever: the limit, of states that show no combination never seen.

Two sites that are never on together, or one that never is without another: the likelihood of the
data rises as the probability of what never occurred goes to nothing, and has no maximum. Its
supremum is the maximum over the other states (Barndorff-Nielsen, Information and Exponential
Families, Wiley 1978), on which a sum of fields and couplings is constant for each combination that
is missing. So states of a reweighting sample that show one are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models.binary import NEVER, Moments, pairs
from bayesinf.models.binary.pairwise.large.reweighting import ReweightingSample
from bayesinf.models.binary.pairwise.large.state_sums import (
    blocks,
    change_encoding,
    mean_and_pair,
)

__all__ = ["Unseen"]

FAR = 30.0  # log probability that what never occurred loses where parameters must be finite
ZERO = 1e-9  # size of what rounding leaves of a direction that others make up


@dataclass(frozen=True)
class Unseen:
    """Combinations of two sites that data never show.

    Parameters
    ----------
    data : moments of the states.
    """

    data: Moments

    @cached_property
    def combinations(self) -> np.ndarray:
        """Whether a pair is never on-on, on-off, off-on, off-off, (4, pair)."""
        return self.data.tables < NEVER

    @cached_property
    def statistics(self) -> np.ndarray:
        """What is 1 in states that show one of them and 0 elsewhere, up to a constant.

        A row a combination, (combination, parameter), of coefficients of the states' statistics.
        """
        i, j = pairs(self.data.sites)
        which, pair = np.nonzero(self.combinations)
        row, first, second = np.arange(len(pair)), i[pair], j[pair]
        both = np.zeros((len(pair), self.data.statistics.size))
        # n_i n_j, n_i − n_i n_j, n_j − n_i n_j, 1 − n_i − n_j + n_i n_j, in 0/1.
        both[row, self.data.sites + pair] = np.array([1.0, -1.0, -1.0, 1.0])[which]
        both[row, first] += np.array([0.0, 1.0, 0.0, -1.0])[which]
        both[row, second] += np.array([0.0, 0.0, 1.0, -1.0])[which]
        if self.data.encoding == "0/1":
            return both
        # n = (1 + s) / 2, so that n_i n_j = (1 + s_i + s_j + s_i s_j) / 4.
        quarter = both[row, self.data.sites + pair] / 4
        both[:, : self.data.sites] /= 2
        both[row, first] += quarter
        both[row, second] += quarter
        both[row, self.data.sites + pair] = quarter
        return both

    @cached_property
    def directions(self) -> np.ndarray:
        """Orthonormal directions (parameter, direction) of parameters that change nothing."""
        from scipy.linalg import qr

        rows = np.vstack([self.statistics, *self._of_alike()])
        basis, triangle, _ = qr(rows.T, mode="economic", pivoting=True)
        return basis[:, np.abs(np.diag(triangle)) > ZERO]

    def _of_alike(self):
        """Of two sites that are one and the same, or opposites, s_i s_k ∓ s_j s_k of others k.

        In 0/1 opposites have n_i n_k + n_j n_k − n_k, which is none as well.
        """
        on_on, on_off, off_on, off_off = self.combinations
        i, j = pairs(self.data.sites)
        number = np.zeros((self.data.sites, self.data.sites), dtype=int)
        number[i, j] = number[j, i] = self.data.sites + np.arange(i.size)
        for same, which in ((True, on_off & off_on), (False, on_on & off_off)):
            for first, second in zip(i[which], j[which], strict=True):
                others = np.setdiff1d(np.arange(self.data.sites), [first, second])
                row = np.arange(others.size)
                rows = np.zeros((others.size, self.data.statistics.size))
                rows[row, number[first, others]] = 1.0
                rows[row, number[second, others]] = -1.0 if same else 1.0
                if not same and self.data.encoding == "0/1":
                    rows[row, others] = -1.0
                yield rows

    def far(self, theta: np.ndarray) -> np.ndarray:
        """Move parameters (parameter,) to where these combinations have no probability left."""
        return theta - FAR * self.statistics.sum(axis=0)

    def along(self, theta: np.ndarray, other: np.ndarray) -> np.ndarray:
        """The same parameters but for what changes nothing, which others have, (parameter,)."""
        return theta + self.directions @ (self.directions.T @ (other - theta))

    def shown(self, states: np.ndarray) -> np.ndarray:
        """Whether states (state, site), 0/1, show one of them, (state,)."""
        i, j = pairs(self.data.sites)
        on_on, on_off, off_on, off_off = self.combinations
        matrices = np.zeros((3, self.data.sites, self.data.sites), dtype=np.float32)
        matrices[0, i, j], matrices[1, i, j], matrices[1, j, i] = on_on, on_off, off_on
        matrices[2, i, j] = off_off
        on = states.astype(np.float32)
        off = 1 - on
        together, alone, neither = matrices
        count = (on @ together) * on + (on @ alone) * off + (off @ neither) * off
        return count.sum(axis=1) > 0

    def left_out(self, sample: ReweightingSample) -> ReweightingSample:
        """Leave states that show one of them out of a sample, and out of its averages.

        The averages are those of the long run less what the sample has of these states, and along
        the directions that change nothing those of the data, which all states that are left share.

        Raises
        ------
        FitError : hardly any state is left.
        """
        parts = blocks(len(sample.states), sample.tuning.block)
        shown = np.concatenate([self.shown(sample.states[a:b]) for a, b in parts])
        weight = np.where(shown, sample.central_weights, 0.0)
        gone, rest = weight.sum(), np.flatnonzero(~shown)
        left = int(sample.count[rest].sum())
        if left < sample.tuning.least_size:
            raise FitError(f"only {left} of the sampled states show nothing that data never do")
        of_gone = change_encoding(mean_and_pair(sample.pair_sums(weight)), sample.encoding)
        spins = sample.states[shown]
        if sample.encoding == "±1":
            spins = 2 * spins - 1
            of_gone += gone * np.sign(np.arange(of_gone.size) - sample.sites + 0.5)
        triples = weight[shown] @ np.prod(spins[:, sample.triples], axis=2, dtype=np.int8)
        active = np.count_nonzero(sample.states[shown], axis=1)
        population = np.bincount(active, weight[shown], sample.sites + 1)
        moments = (sample.moments - of_gone) / (1 - gone)
        off = self.directions.T @ (moments - self.data.statistics)
        # Where it stands along them is as good as nowhere.
        along = self.directions.T @ sample.centre
        log_z = sample.log_z + np.log1p(-gone) - along @ (self.directions.T @ self.data.statistics)
        return replace(
            sample,
            centre=sample.centre - self.directions @ along,
            states=sample.states[rest],
            count=sample.count[rest],
            importance=sample.importance[rest],
            moments=moments - self.directions @ off,
            population=np.maximum(sample.population - population, 0.0) / (1 - gone),
            triple_means=(sample.triple_means - triples) / (1 - gone),
            log_z=float(log_z),
        )
