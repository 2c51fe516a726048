"""What a period leaves over: one frequency more, or noise that lasts.

A second period, a harmonic too few, or a period beyond the range of the search whose alias was
found instead are taken up by the jitter, and so is red noise: neighbours in uneven data hardly
remember each other. What shows them is the highest peak among the residuals' frequencies, which
every replica is held to, and the evidence of one sinusoid more, and of noise that lasts, which the
jitter cannot hide. Of data that the model itself made, no other model has fifty times its evidence
in more than one set of fifty (Markov's inequality: on average the ratio is one).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import scipy

from bayesinf.inference.kinds import FIFTYFOLD, Question
from bayesinf.priors import LogNormal

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.systems.spectral_analysis.model import Curve

__all__ = ["SHARE", "HighestPeak", "lasting", "leftover", "slower"]

MOST = 1500  # frequencies; of a record with more cycles a peak may fall between two of them
PER_CYCLE = 3.0  # steps for each cycle over the record
BEYOND = 4.0  # times the highest frequency of the search
CHUNK = 500  # draws at a time

DRAWS = 6  # of the period, beside which something more is tried
SIZES = (0.1, 0.3, 1.0)  # of another sinusoid's amplitudes, in those of the period
NODES = 13  # of a quadrature over the jitter,
REACH = 4.0  # so many of its standard deviations to either side
BLOCK, MOST_BLOCKS = 50, 20  # points that may remember each other, and how many such blocks

SLOWEST = 0.05  # of the lowest frequency of the search: slower changes are tried from there
FEWEST_SLOW, MOST_SLOW = 10, 40
LOG_SIZES = np.linspace(-3.0, 4.0, 9)  # of a slow change, in the spread of the values

SHARE = LogNormal(0.3, 1.0)  # of red noise, in the amplitudes' scale
# Of its share and time that are tried.
QUANTILES = np.array([NormalDist().inv_cdf((k + 0.5) / 4) for k in range(4)])

ANOTHER = Question(
    "another period",
    "another_period",
    "max",
    FIFTYFOLD,
    "≤",
    True,
    "that one sinusoid more is in the data has a log Bayes factor of {value:.3g}",
    "ask for more harmonics, or look for a second period, or for one shorter than those searched",
)
RED = Question(
    "red noise",
    "red_noise",
    "max",
    FIFTYFOLD,
    "≤",
    True,
    "that noise lasts from one value to the next has a log Bayes factor of {value:.3g}",
    "let the noise have memory (--memory)",
)

SLOWER = Question(
    "a slower change",
    "slower_change",
    "max",
    FIFTYFOLD,
    "≤",
    True,
    "that what changes is slower than all periods searched has a log Bayes factor of {value:.3g}",
    "search for longer periods (--longest), or take a trend off first",
)


def lasting(curve: Curve) -> LogNormal:
    """Return the prior of the time that red noise lasts, in the unit of the times."""
    gaps = np.diff(np.sort(curve.t))
    return LogNormal(float(np.sqrt(np.median(gaps[gaps > 0]) * curve.span)), 1.5)


def leftover(curve: Curve, harmonics: int, posterior: xr.Dataset) -> dict[Question, float]:
    """Log Bayes factor of a period with something more against the period alone.

        ⟨∫ p(y | θ, jitter, more) p(jitter) d jitter / ∫ p(y | θ, jitter) p(jitter) d jitter⟩

    Averaged over draws of θ, the frequency and the amplitudes' scale, from the posterior of the
    period alone, and over what is more: a sinusoid of any frequency, or an Ornstein-Uhlenbeck
    process, which of long records is asked of some stretches. Amplitudes are integrated in closed
    form, and the jitter anew in either model, as what is missed has made it larger.

    Parameters
    ----------
    curve, harmonics : the data, and the model fitted to them.
    posterior : its draws of ``frequency``, ``scale`` and ``jitter``, (chain, draw).
    """
    frequency, scale, jitter = (
        posterior[name].values.ravel() for name in ("frequency", "scale", "jitter")
    )
    picked = np.linspace(0, len(frequency) - 1, DRAWS).astype(int)
    least = max(float(curve.priors["jitter"].from_normal(np.array(-4.0))), 1e-6 * np.min(jitter))
    span = np.log(least), np.log(np.max(jitter)) + 0.1
    sinusoids, stretches = _sinusoids(curve), _Stretches.of(curve)
    found = []
    for f, s in zip(frequency[picked], scale[picked], strict=True):
        beside = _Beside(curve, curve.features(f, harmonics), float(s))
        alone = _integrated(beside.alone, span)
        more = partial(beside.another, *sinusoids), partial(beside.lasting, stretches)
        found.append([_integrated(one, span) - alone for one in more])
    averages = scipy.special.logsumexp(found, axis=0) - np.log(len(found))
    return dict(zip((ANOTHER, RED), map(float, averages), strict=True))


def slower(curve: Curve, log_evidence: float) -> dict[Question, float]:
    """Log Bayes factor of one sinusoid below the range of the search against the period found.

    A part of a slow wave, or a trend, looks like a period about as long as the record, or like an
    alias; its frequency is uniform below the range, all else as the period has it.

    Parameters
    ----------
    curve : the data.
    log_evidence : of the model with a period.
    """
    lowest = curve.range[0]
    count = int(np.clip(PER_CYCLE * lowest * curve.span, FEWEST_SLOW, MOST_SLOW))
    log_scale = np.log(np.std(curve.y)) + LOG_SIZES
    density = curve.priors["scale"].log_density(np.exp(log_scale)) + log_scale
    density = density + np.log(LOG_SIZES[1] - LOG_SIZES[0])
    jitter = np.log(curve.priors["jitter"].from_normal(np.array([-4.0, 4.0])))
    found = []
    for frequency in np.linspace(SLOWEST, 1.0, count, endpoint=False) * lowest:
        features = curve.features(frequency, 1)
        for scale, weight in zip(np.exp(log_scale), density, strict=True):
            beside = _Beside(curve, features, float(scale))
            found.append(_integrated(beside.alone, tuple(jitter)) + weight)
    return {SLOWER: float(scipy.special.logsumexp(found) - np.log(count) - log_evidence)}


def _sinusoids(curve):
    """Cosines and sines of all frequencies that are tried, (point, frequency) each."""
    frequency = _frequencies(curve.t, curve.range[1])
    angle = 2 * np.pi * np.multiply.outer(curve.t, frequency)
    return np.cos(angle), np.sin(angle)


def _frequencies(t, highest):
    span, top = np.ptp(t), BEYOND * highest
    return np.linspace(1 / span, top, int(min(MOST, max(8, PER_CYCLE * top * span))))


def _integrated(log_density, span):
    """Log of ∫ exp(log_density(u)) du over a line on which it has one mode."""
    top = scipy.optimize.minimize_scalar(
        lambda u: -log_density(u), bounds=span, method="bounded", options={"xatol": 0.01}
    ).x
    step = 0.05
    peak, *sides = (log_density(top + shift) for shift in (0.0, -step, step))
    bend = max(2 * peak - sum(sides), 1e-4) / step**2
    u = top + np.linspace(-REACH, REACH, NODES) / np.sqrt(bend)
    return scipy.special.logsumexp([log_density(each) for each in u]) + np.log(u[1] - u[0])


@dataclass(frozen=True, eq=False)
class _Stretches:
    """Stretches of neighbours: their points (stretch, point), and cov(g, g') of each time.

    What the last one lacks is filled up with points of no weight.
    """

    order: np.ndarray
    kept: np.ndarray
    correlations: list[np.ndarray]

    @classmethod
    def of(cls, curve):
        count = -(-len(curve.t) // BLOCK)
        order = np.full(count * BLOCK, -1)
        order[: len(curve.t)] = np.argsort(curve.t, kind="stable")
        order = order.reshape(count, BLOCK)
        if count > MOST_BLOCKS:
            order = order[np.linspace(0, count - 1, MOST_BLOCKS).astype(int)]
        kept = order >= 0
        t, both = curve.t[order], kept[:, :, None] & kept[:, None, :]
        apart = np.abs(t[:, :, None] - t[:, None, :])
        times = lasting(curve).from_normal(QUANTILES)
        correlations = [np.where(both, np.exp(-apart / time), 0.0) for time in times]
        return cls(order, kept, correlations)


@dataclass(frozen=True, eq=False)
class _Beside:
    """Data at one frequency and scale: log densities with a log jitter, amplitudes integrated."""

    curve: Curve
    features: np.ndarray
    scale: float

    @cached_property
    def design(self):
        """Columns times the sds of their priors, and what they are to explain."""
        level = self.curve.priors["level"]
        sd = self.scale / np.tile(np.arange(1, self.features.shape[1] // 2 + 1), 2)
        ones = np.full(len(self.curve.y), level.sd)
        return np.column_stack([ones, sd * self.features]), self.curve.y - level.mean

    def _prior(self, log_jitter):
        return self.curve.priors["jitter"].log_density(np.exp(log_jitter)) + log_jitter

    def _noise(self, log_jitter):
        return np.hypot(self.curve.error, np.exp(log_jitter))

    def alone(self, log_jitter):
        """The period alone."""
        noise = self._noise(log_jitter)
        X, y = (each / noise.reshape(-1, *[1] * (each.ndim - 1)) for each in self.design)
        return _evidence(X.T @ X, X.T @ y, y @ y)[0] - _norm(noise) + self._prior(log_jitter)

    def another(self, cosine, sine, log_jitter):
        """With one sinusoid more, of any frequency, size and phase."""
        noise = self._noise(log_jitter)
        X, y, c, s = (
            each / noise.reshape(-1, *[1] * (each.ndim - 1))
            for each in (*self.design, cosine, sine)
        )
        alone, root, u = _evidence(X.T @ X, X.T @ y, y @ y)
        v, w = (scipy.linalg.solve_triangular(root, X.T @ each, lower=True) for each in (c, s))
        cc, ss, cs = (
            np.sum(a * b, axis=0) - np.sum(p * q, axis=0)
            for a, b, p, q in ((c, c, v, v), (s, s, w, w), (c, s, v, w))
        )
        yc, ys = y @ c - u @ v, y @ s - u @ w
        gains = []
        for size in SIZES:
            a = (size * self.scale) ** 2
            determinant = (1 + a * cc) * (1 + a * ss) - (a * cs) ** 2
            square = yc**2 * (1 + a * ss) - 2 * a * cs * yc * ys + ys**2 * (1 + a * cc)
            gains.append(0.5 * a * square / determinant - 0.5 * np.log(determinant))
        gain = scipy.special.logsumexp(gains) - np.log(np.size(gains))
        return alone - _norm(noise) + self._prior(log_jitter) + gain

    def lasting(self, stretches, log_jitter):
        """With noise that lasts, of any share and time, within each stretch."""
        noise, (X, y) = self._noise(log_jitter), self.design
        order, kept = stretches.order, stretches.kept
        variance = np.where(kept, noise[order] ** 2, 1.0)
        columns = np.concatenate([X, y[:, None]], axis=1)
        near = np.where(kept[..., None], columns[order], 0.0)
        rest = np.ones(len(y), dtype=bool)
        rest[order[kept]] = False
        far = columns[rest] / noise[rest, None]
        base, white = far.T @ far, -_norm(noise[rest]) - 0.5 * np.log(2 * np.pi) * np.sum(kept)
        found = []
        for size in SHARE.from_normal(QUANTILES) * self.scale:
            for correlation in stretches.correlations:
                covariance = size**2 * correlation
                covariance[:, np.arange(BLOCK), np.arange(BLOCK)] += variance
                root = np.linalg.cholesky(covariance)
                inner = np.linalg.solve(root, near)
                gram = base + np.einsum("bki,bkj->ij", inner, inner)
                value = _evidence(gram[:-1, :-1], gram[:-1, -1], gram[-1, -1])[0]
                spread = np.log(np.diagonal(root, axis1=1, axis2=2))
                found.append(value + white - np.sum(spread[kept]))
        return scipy.special.logsumexp(found) - np.log(len(found)) + self._prior(log_jitter)


def _norm(noise):
    """What a normal of white noise is divided by, its logarithm."""
    return np.sum(np.log(noise)) + 0.5 * len(noise) * np.log(2 * np.pi)


def _evidence(gram, target, square):
    """Log evidence of white data up to its norm, from XᵀX, Xᵀy and yᵀy, weights ~ N(0, 1)."""
    root = scipy.linalg.cholesky(np.eye(len(gram)) + gram, lower=True)
    u = scipy.linalg.solve_triangular(root, target, lower=True)
    return -0.5 * (square - u @ u) - np.sum(np.log(np.diag(root))), root, u


@dataclass(frozen=True, eq=False)
class HighestPeak:
    """Largest share of the residuals' squares that one frequency takes up.

        T = max_f |Σ_j z_j exp(2πi f t_j)|² / (n/2 Σ_j z_j²),   z = (y − mean) / noise

    Parameters
    ----------
    t : times, (point,).
    highest : frequency of the search.
    """

    t: np.ndarray
    highest: float

    def __call__(self, y: np.ndarray, mean: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return T, (...), of arrays that broadcast to (..., point)."""
        z = (y - mean) / noise
        flat = z.reshape(-1, z.shape[-1])
        angle = 2 * np.pi * np.multiply.outer(self.t, _frequencies(self.t, self.highest))
        cosine, sine = np.cos(angle), np.sin(angle)
        parts = np.split(flat, range(CHUNK, len(flat), CHUNK))
        peak = [np.max((part @ cosine) ** 2 + (part @ sine) ** 2, axis=-1) for part in parts]
        size = np.maximum(np.sum(flat**2, axis=-1), np.finfo(float).tiny)
        return (np.concatenate(peak) / (0.5 * z.shape[-1] * size)).reshape(z.shape[:-1])
