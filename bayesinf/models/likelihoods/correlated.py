"""Normal noise with memory along x."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayesinf.errors import DataError
from bayesinf.models.likelihoods.base import log_density
from bayesinf.models.likelihoods.normal import NORMAL, Normal
from bayesinf.priors import LogNormal, Prior

__all__ = ["AND_MEMORY", "Correlated"]

AND_MEMORY = "+correlated"  # behind the name of the normal likelihood that says how large it is


@dataclass(frozen=True)
class Correlated(Normal):
    """Normal noise with memory along x, an Ornstein-Uhlenbeck process (AR(1) where x is even).

        corr(ε_i, ε_j) = exp(−|x_i − x_j| / noise_length)

    Parameters
    ----------
    gap : x_i − x_{i−1} of data sorted by x, (observation − 1,).
    own : prior of the length, and those of ``sized``.
    sized : the normal likelihood that says how large the noise is at each point.
    """

    gap: np.ndarray
    own: Mapping[str, Prior]
    sized: Normal = NORMAL
    name = "correlated"

    @classmethod
    def of(cls, x, y, sized=NORMAL):  # noqa: D102
        gap = np.diff(x)
        if not np.all(gap > 0):
            raise DataError(
                "noise with memory needs points that differ in x",
                expected="one point at each x",
                found=f"several at x = {x[int(np.argmin(gap))]:.6g}",
                remedy="average them, or choose another likelihood",
            )
        length = LogNormal(2 * float(np.median(gap)), 1.0)
        return cls(gap, {**sized.own, "noise_length": length}, sized)

    def __str__(self):
        return self.name if self.sized is NORMAL else f"{self.sized}{AND_MEMORY}"

    @property
    def equation(self):
        """In LaTeX."""
        memory = r"\mathrm{corr}(y_i - f_i, y_j - f_j) = e^{-|x_i - x_j|/\ell}"
        return rf"{self.sized.equation},\ {memory}"

    def noise_prior(self, extent):  # noqa: D102
        return self.sized.noise_prior(extent)

    def start(self, y, mean, noise):  # noqa: D102
        z = (y - mean) / noise
        kept = np.clip(np.mean(z[1:] * z[:-1]) / np.mean(z * z), 0.05, 0.95)
        length = float(np.median(self.gap) / -np.log(kept))
        return {**self.sized.start(y, mean, noise), "noise_length": length}

    def _kept(self, scatter):
        """Share φ_i of the noise that the next point keeps, and the sd of what is new in it."""
        ratio = -self.gap / scatter["noise_length"]
        return np.exp(ratio), np.sqrt(-np.expm1(2 * ratio))

    def _standard(self, y, mean, scatter):
        """Residuals over the sd of the noise, that sd, φ and the sd of what is new."""
        _, sd = self.sized.expected(y, mean, scatter)
        z, sd = np.broadcast_arrays((y - mean) / sd, sd)
        kept, fresh = (np.broadcast_to(one, z[..., 1:].shape) for one in self._kept(scatter))
        return z, sd, kept, fresh

    def expected(self, y, mean, scatter):  # noqa: D102
        z, sd, kept, fresh = self._standard(y, mean, scatter)
        none = np.zeros_like(z[..., :1])
        ahead = np.concatenate([none, kept * z[..., :-1]], axis=-1)
        return mean + sd * ahead, sd * np.concatenate([none + 1, fresh], axis=-1)

    def draw(self, mean, scatter, rng):  # noqa: D102
        z, sd, kept, fresh = self._standard(mean, mean, scatter)
        z = rng.standard_normal(z.shape)
        for i in range(1, z.shape[-1]):
            z[..., i] = kept[..., i - 1] * z[..., i - 1] + fresh[..., i - 1] * z[..., i]
        return mean + sd * z

    def left_out(self, y, mean, scatter):
        """Log density of each point given all others, from its two neighbours.

        The inverse covariance Q of the noise is tridiagonal, and ε_i | ε_{−i} has variance 1/Q_ii
        and lies (Qε)_i / Q_ii below ε_i.
        """
        z, sd, kept, fresh = self._standard(y, mean, scatter)
        none, weight, link = np.zeros_like(z[..., :1]), (kept / fresh) ** 2, kept / fresh**2
        precision = 1 + np.concatenate([none, weight], -1) + np.concatenate([weight, none], -1)
        before = np.concatenate([none, link * z[..., :-1]], axis=-1)
        after = np.concatenate([link * z[..., 1:], none], axis=-1)
        off = z - (before + after) / precision
        return log_density(off, 0.0, 1 / np.sqrt(precision)) - np.log(sd)

    def pymc(self, name, mean, scatter, y):  # noqa: D102
        import pymc as pm
        import pytensor.tensor as pt

        ratio, sd = -self.gap / scatter["noise_length"], self.sized.pymc_sd(mean, scatter)
        sd = sd * pt.ones(len(y))
        ahead = pt.exp(ratio) * ((y - mean) / sd)[:-1]
        none = pt.zeros(1)
        fresh = pt.concatenate([none + 1, pt.sqrt(-pt.expm1(2 * ratio))])
        return pm.Normal(name, mean + sd * pt.concatenate([none, ahead]), sd * fresh, observed=y)
