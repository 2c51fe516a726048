"""Three features of a spectrum: how far its peaks are apart, how unequal, how deep the dip between.

The counts, less their pedestal, are smoothed nearly as wide as the instrument is. Left and right of
their middle stand the peaks, x_r, y_r and x_b, y_b at the tops of parabolas through logarithms, and
between them the lowest value, y_0:

    separation = x_r − x_b,   asymmetry = (y_r − y_b) / (y_r + y_b),   dip = 1 − 2 y_0 / (y_r + y_b)

Of a noisy spectrum they scatter, and lean a little: replicas of the counts say how much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesinf.systems.thomson_surrogate.spectrum import FULL, Spectrometer

__all__ = ["FEATURES", "Features", "Seen"]

FEATURES = {"separation": "nm", "asymmetry": "1", "dip": "1"}
EDGE = 0.08  # share of the channels, at either end, that say what the pedestal is
REPLICAS = 1000
KERNEL = 0.7  # sd of the smoothing, in sds of the instrument
LEAST = 1e-12  # of what has a logarithm


@dataclass(frozen=True)
class Seen:
    """The features of a noisy spectrum.

    Parameters
    ----------
    value : without what the noise adds on average, (feature,).
    covariance : of the photons' noise, (feature, feature).
    height : of the lower peak above the pedestal, in sds of the photons' noise there.
    """

    value: np.ndarray
    covariance: np.ndarray
    height: float


class Features:
    """The features of spectra that one spectrometer sees.

    Parameters
    ----------
    spectrometer : its channels and its instrument.
    """

    def __init__(self, spectrometer: Spectrometer):
        self.shift = spectrometer.shift
        sd = KERNEL * spectrometer.setup.width / FULL
        kernel = np.exp(-0.5 * ((self.shift[:, None] - self.shift) / sd) ** 2)
        self.kernel = kernel / kernel.sum(axis=1, keepdims=True)
        self.edge = max(2, int(EDGE * len(self.shift)))

    def of(self, counts: np.ndarray) -> np.ndarray:
        """Return the features of counts, (..., channel): (..., feature)."""
        (x_b, y_b, at_b), (x_r, y_r, at_r), y = self._peaks(np.asarray(counts, dtype=float))
        place = np.arange(len(self.shift))
        between = (place >= at_b[..., None]) & (place <= at_r[..., None])
        low = np.min(np.where(between, y, np.inf), axis=-1)
        total = np.maximum(y_r + y_b, np.finfo(float).tiny)
        return np.stack([x_r - x_b, (y_r - y_b) / total, 1 - 2 * low / total], axis=-1)

    def _peaks(self, counts):
        """Place, height and channel of either peak, and the smoothed counts above the pedestal."""
        ends = np.concatenate([counts[..., : self.edge], counts[..., -self.edge :]], axis=-1)
        y = (counts - ends.mean(axis=-1, keepdims=True)) @ self.kernel.T
        above = np.sqrt(np.maximum(y, 0.0))  # the root, lest a strong peak draw the middle to it
        middle = above @ self.shift / np.maximum(above.sum(axis=-1), np.finfo(float).tiny)
        red = self.shift > middle[..., None]
        blue, top = (self._top(np.where(side, y, -np.inf), y) for side in (~red, red))
        return blue, top, y

    def _top(self, side, y):
        """The top of the parabola through the highest point and its neighbours, and which it is."""
        at = np.clip(np.argmax(side, axis=-1), 1, len(self.shift) - 2)
        x = self.shift[at[..., None] + np.arange(-1, 2)]
        v = np.take_along_axis(y, at[..., None] + np.arange(-1, 2), axis=-1)
        v = np.log(np.maximum(v, LEAST))  # of a Gaussian, a parabola
        first = (v[..., 1] - v[..., 0]) / (x[..., 1] - x[..., 0])
        second = (v[..., 2] - v[..., 1]) / (x[..., 2] - x[..., 1])
        bend = (second - first) / (x[..., 2] - x[..., 0])
        curved = bend < 0
        bend = np.where(curved, bend, -1.0)
        slope = first - bend * (x[..., 0] + x[..., 1])
        vertex = np.clip(-slope / (2 * bend), x[..., 0], x[..., 2])
        vertex = np.where(curved, vertex, x[..., 1])
        height = v[..., 1] + (vertex - x[..., 1]) * (first + bend * (vertex - x[..., 0]))
        return vertex, np.exp(np.where(curved, height, v[..., 1])), at

    def seen(self, counts: np.ndarray, rng: np.random.Generator) -> Seen:
        """Return the features of one noisy spectrum, (channel,), with their covariance."""
        replicas = self.of(rng.poisson(counts, (REPLICAS, len(counts))))
        lean = replicas.mean(axis=0) - self.of(counts)
        *peaks, y = self._peaks(np.asarray(counts, dtype=float))
        noise = np.sqrt(self.kernel**2 @ np.maximum(counts, 1.0))
        height = min(float(y[at] / noise[at]) for _, _, at in peaks)
        return Seen(self.of(counts) - lean, np.cov(replicas.T), height)
