"""Is there a jump in a curve that the process takes for smooth? The evidence for one, at any gap.

    y = m + f + c·[x > x_g] + ε,   c ~ N(0, s²),   g one of the gaps between neighbours, all alike

Given θ the Bayes factor of a jump in gap g is that of one more column h = [x > x_g], in closed
form; over all gaps it takes reverse cumulative sums of the rows of L⁻¹:

    log B_g = ½ s² b²/(1 + s² q) − ½ log(1 + s² q),   b = hᵀK⁻¹(y − m),   q = hᵀK⁻¹h

A process that meets a jump shortens its length scale until the jump looks smooth, so θ is found
again for the model with the jump, and both evidences are Laplace's. Of many points θ is that of the
posterior, and the mean of B over stretches of neighbouring points is taken. Either has mean one
over data that the process made (of Laplace's evidences nearly), so that one set in fifty at most
has more than fifty (Markov's inequality). With the unit vectors for columns, h = [x = x_i], the
same asks whether a single value is off, an outlier.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy

from bayesinf.models.gp import routes
from bayesinf.models.problem import Draws
from bayesinf.settings import Settings

if TYPE_CHECKING:
    from bayesinf.models.gp.definition import Process

__all__ = ["FEW", "log_evidence_for", "possible"]

# Of 80 points with a step of twice the curve's size it saw 50 of 50 under a squared exponential and
# 45 of 50 under Matérn 3/2; of 400 right fits it refused none (``workflows/trials.py``).
LEAST = 5  # points from which a jump is looked for
FEW = 200  # points up to which θ is found again; beyond, they are as many in a stretch
FROM_PRIOR = 32  # draws of the prior a parameter, the best of which a descent begins at
WORK = 2**12  # stretches times draws, at most
CLOSE = 1e-6  # relative gain at which a descent ends: of evidences a hundredth is enough
STEP = 1e-4  # of differences of the log density, in standardised parameters


@dataclass(frozen=True)
class Jumping:
    """A process with a jump in one of its gaps, as ``routes.descend`` takes it.

    Parameters
    ----------
    process : without the jump.
    size : s, standard deviation of the jump.
    single : whether it is of one value alone, any of them, instead of all after a gap.
    """

    process: Process
    size: float
    single: bool = False

    @cached_property
    def gaps(self) -> np.ndarray:
        """First points after a gap."""
        return 1 + np.flatnonzero(np.diff(self.process.x) > 0)

    def log_factor(self, theta) -> np.ndarray:
        """log of the mean of B over the gaps, or values, (draw,), for θ of shape (draw,)."""
        from scipy.linalg.lapack import dtrtri

        found = []
        lower, z, _ = self.process.factors(theta)
        for factor, row in zip(lower, z, strict=True):
            inverse, _ = dtrtri(factor, lower=1)
            after = inverse
            if not self.single:
                after = np.cumsum(inverse[:, ::-1], axis=1)[:, ::-1][:, self.gaps]
            told = self.size**2 * np.sum(after**2, axis=0)
            each = 0.5 * (self.size * (row @ after)) ** 2 / (1 + told) - 0.5 * np.log1p(told)
            # SciPy's logsumexp takes longer than all the rest of the loop.
            found.append(np.logaddexp.reduce(each) - np.log(each.size))
        return np.array(found)

    def log_density(self, u: np.ndarray) -> np.ndarray:
        """Log of marginal likelihood times prior in standardised parameters, (draw, parameter)."""
        found = self.process.log_density(u)
        fine = np.isfinite(found)
        if fine.any():
            with np.errstate(all="ignore"):
                factor = self.log_factor(self.process.theta(u[fine]))
            found[fine] += np.where(np.isfinite(factor), factor, -np.inf)
        return found

    def gradient(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density and its gradient at one point, by central differences."""
        unit = STEP * np.eye(len(u))
        value, *around = self.log_density(u + np.concatenate([0 * unit[:1], unit, -unit]))
        around = np.array(around)
        if not (np.isfinite(value) and np.isfinite(around).all()):
            return -np.inf, np.zeros(len(u))
        return float(value), (around[: len(u)] - around[len(u) :]) / (2 * STEP)


def possible(process: Process) -> bool:
    """Whether a jump can be looked for: values of one input, at five places and more."""
    return process.x.ndim == 1 and len(np.unique(process.x)) >= LEAST


def log_evidence_for(
    process: Process, draws: Draws, settings: Settings, *, single: bool = False
) -> float:
    """Return the log Bayes factor of a jump, the hyperparameters integrated out.

    Parameters
    ----------
    process : without a jump, on values of one input.
    draws : of its posterior, (chain, draw); they count where the points are many.
    settings : its seed.
    single : whether to ask for an outlier instead.
    """
    size = 2 * float(np.std(process.y))
    if len(process.y) > FEW:
        return _in_stretches(process, size, draws, single)
    found, rng = process.optima(settings), settings.generator("jump")
    process = process.centred
    jumping = Jumping(process, size, single)
    plain = _laplace(process.log_density(found.points), found.covariances)
    starts = rng.standard_normal((FROM_PRIOR * len(process.names), len(process.names)))
    other = starts[np.argmax(jumping.log_density(starts))]
    ends = [routes.descend(jumping, start, CLOSE) for start in (found.points[0], other)]
    value, point = max(ends, key=lambda end: end[0])
    covariance = routes.curvature(jumping, point)
    return _laplace(np.array([value]), covariance[None]) - plain


def _laplace(heights, covariances):
    """Laplace's log evidence, from optima and the inverse curvatures there."""
    _, volume = np.linalg.slogdet(2 * np.pi * covariances)
    return float(scipy.special.logsumexp(heights + 0.5 * volume))


def _in_stretches(process, size, draws, single):
    """log of the mean of B over gaps, over stretches that overlap by half, and over some draws."""
    count, half = len(process.y), FEW // 2
    flat = process.flat(process.complete(draws), process.lead(draws))
    of_draws = len(next(iter(flat.values())))
    starts = range(0, count - half, half)
    taken = np.linspace(0, of_draws - 1, int(np.clip(WORK / len(starts), 1, 16))).astype(int)
    theta, found = {name: value[taken] for name, value in flat.items()}, []
    for start in starts:
        part = Jumping(process.part(np.arange(start, min(start + FEW, count))), size, single)
        found.append(part.log_factor(theta) if single or part.gaps.size else np.zeros(len(taken)))
    return float(scipy.special.logsumexp(found) - np.log(np.size(found)))
