"""From a spectrum to draws: an optimum, a mixture fitted to the posterior there, and weights.

In coordinates z ~ N(0, 1), of which each parameter is a function by its prior, positive ones the
exponential of a line, counts are nearly linear in z. Fisher scoring finds the optimum from several
starts; the normal there, widened, is fitted to the density in a few rounds of expectation
maximisation, as population Monte Carlo does it, and draws of the last mixture are resampled by the
ratio of the density to it. Where the largest of these weigh too much, the mixture has missed
something: it is fitted to these draws too, and drawn from anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy

from bayesinf.errors import FitError
from bayesinf.inference import population, scoring
from bayesinf.inference.derivatives import central
from bayesinf.inference.importance import evidence, resampled
from bayesinf.models.problem import Sample
from bayesinf.systems.thomson_surrogate import plasma as physics

if TYPE_CHECKING:
    from bayesinf.settings import Settings
    from bayesinf.systems.thomson_surrogate.model import Spectrum

__all__ = ["Space", "importance"]

SOLVED = "electron_temperature"
STARTS, TRIED = 4, 100  # where the search begins, and points that each is the best of
NARROWER = (0.5, 0.25)  # prior sds about the best, where the next are tried
FAR = 8.0  # prior sds, beyond which nothing is looked for
SPAN = 1e-4  # of the differences
SETTLED = 1e-9  # share of the deviance that a further step does not gain
WIDER = 2.0  # than the curvature says: the part of the mixture that stays
LEAST, ROUNDS = 3, 8  # of fitting the mixture,
POINTS = 150  # with so many points for each parameter,
ENOUGH = 0.55  # up to the share of the points that they are worth, at which it fits
SAFE, TRIES = 0.6, 6  # k̂ above which the mixture is fitted anew, so many times at the most
OFFERED = 3  # draws of the mixture for each that is kept


class Space:
    """Coordinates in which the posterior is nearly normal.

    The inner ones, z, are standard normal under the prior. In the outer ones the logarithm of the
    acoustic speed stands in for the electron temperature: the peaks fix the speed far better than
    any parameter that it is made of, and in those its surface is bent.

    Parameters
    ----------
    problem : a spectrum.
    """

    def __init__(self, problem: Spectrum):
        self.problem, self.priors = problem, problem.stated_priors
        self.size = len(self.priors)
        self.k = problem.spectrometer.setup.wave_number
        self.place = list(self.priors).index(SOLVED)

    def inner(self, z: np.ndarray) -> dict[str, np.ndarray]:
        """Parameters at inner coordinates, (..., coordinate)."""
        named = zip(self.priors.items(), np.moveaxis(z, -1, 0), strict=True)
        return {name: prior.from_normal(each) for (name, prior), each in named}

    def mean(self, z: np.ndarray) -> np.ndarray:
        """Expected photons, and z, which the prior expects to be zero: (..., datum)."""
        return np.concatenate([self.problem.mean(self.inner(z)), z], axis=-1)

    def outer(self, z: np.ndarray) -> np.ndarray:
        """Outer coordinates of inner ones."""
        speed = physics.acoustic_speed(self.k, self.inner(z))
        return np.where(np.arange(self.size) == self.place, np.log(speed)[..., None], z)

    def at(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """Parameters at outer coordinates, (..., coordinate); NaN where there is no temperature."""
        found = self.inner(points)
        speed = np.exp(points[..., self.place])
        return found | {SOLVED: physics.temperature_at(speed, self.k, found)}

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Log density of likelihood and prior at outer coordinates, up to a constant."""
        draws = self.at(points)
        others = np.delete(points, self.place, axis=-1)
        hot = draws[SOLVED]
        square = physics.alpha(self.k, draws) ** 2
        moved = physics.acoustic_speed(self.k, draws) ** 2 * draws["ion_mass"]
        log_slope = np.log(moved / draws["charge"]) + 2 * np.log1p(1 / square)
        found = self.problem.total(draws) + self.priors[SOLVED].log_density(hot) + log_slope
        found = found - 0.5 * np.sum(others**2, axis=-1)
        return np.where(np.isfinite(found), found, -np.inf)


def importance(problem: Spectrum, settings: Settings) -> Sample:
    """Draw from a mixture fitted to the posterior, and resample by the posterior itself."""
    space, kept, _ = _weighted(problem, settings)
    told = evidence(kept.pareto_k, kept.effective, kept.shift, kept.log_ratio, space.priors)
    draws = kept.draws[::OFFERED].reshape(settings.chains, settings.draws, -1)
    return Sample(space.at(draws), told)


def log_evidence(problem: Spectrum, settings: Settings) -> float:
    """Log evidence of a spectrum, but for a constant that it has under all priors.

    Raises
    ------
    FitError : as of ``importance``.
    """
    return _weighted(problem, settings)[2]


def _weighted(problem, settings):
    """The coordinates, draws resampled by their weights, and the log of the mean weight."""
    space = Space(problem)
    best, root = _optimum(problem.y, space.mean, space.size, settings.generator("starts"))
    rng, size = settings.generator("mixture"), len(best)
    slope = central(space.outer, best, np.full(size, SPAN))
    if not np.isfinite([*root, *slope]).all():
        away = int(np.argmax(np.abs(best)))
        raise FitError(
            f"the best fit lies where plasmas cease to be stable, with {[*space.priors][away]} "
            f"{abs(best[away]):.0f} standard deviations of its prior away: look for what the model "
            "lacks, as a background, or state other priors"
        )
    spread = np.linalg.solve(root.T, slope.T)
    best, covariance = space.outer(best), spread.T @ spread
    mixture = population.initial_mixture([best], [covariance], (best, WIDER**2 * covariance))
    for turn in range(ROUNDS):
        z = mixture.sample(rng, POINTS * size)
        weight = np.exp(_log_weight(space.log_density, mixture, z)[0])
        if turn >= LEAST and 1 / np.sum(weight**2) > ENOUGH * len(z):
            break
        mixture = population.em_step(mixture, z, weight)
    for turn in range(TRIES):
        z = mixture.sample(rng, OFFERED * settings.chains * settings.draws)
        log_weight, log_mean = _log_weight(space.log_density, mixture, z)
        kept = resampled(z, log_weight, rng)
        if kept.pareto_k < SAFE or turn == TRIES - 1:
            break
        mixture = population.em_step(mixture, z, np.exp(log_weight))
    return space, kept, log_mean


def _log_weight(log_density, mixture, z):
    """Log weights of points, which add up to one, and the log of their mean before that."""
    found = log_density(z) - mixture.log_density(z)
    if not np.isfinite(found).any():
        raise FitError("no plasma near the optimum is stable: state other priors")
    found = np.maximum(found, np.max(found) - 700.0)
    total = np.logaddexp.reduce(found)
    return found - total, total - np.log(len(found))


def _optimum(y, mean, size, rng):
    """The best optimum, and the root of its Fisher information, the prior's among it."""

    def score(mean):
        rate, z = mean[..., :-size], mean[..., -size:]
        weight = np.concatenate([1 / np.sqrt(rate), np.ones_like(z)], axis=-1)
        residual = np.concatenate([(y - rate) * weight[..., :-size], -z], axis=-1)
        deviance = 2 * np.sum(scipy.special.kl_div(y, rate), axis=-1) + np.sum(z**2, axis=-1)
        return np.where(np.isfinite(deviance), deviance, np.inf), residual, weight

    # Peaks that do not overlap with those seen are led nowhere: first some are found that do.
    tried = rng.standard_normal((STARTS * TRIED, size))
    tried[0] = 0.0
    for width in NARROWER:
        best = tried[np.argsort(score(mean(tried))[0])[: len(tried) // 10]]
        about = rng.choice(best, len(tried) - len(best))
        tried = np.concatenate([best, about + width * rng.standard_normal(about.shape)])
    starts = tried[np.argsort(score(mean(tried))[0])[:STARTS]]
    edge = np.full(size, FAR)
    span = np.full(size, SPAN)
    ends, deviance = scoring.descend(mean, score, starts, -edge, edge, span=span, tolerance=SETTLED)
    k = int(np.argmin(deviance))
    if not np.isfinite(deviance[k]):
        raise FitError("no start leads to a stable plasma: state priors of one")
    _, _, weight = score(mean(ends[k]))
    return ends[k], np.linalg.qr(weight[:, None] * central(mean, ends[k], span), mode="r")
