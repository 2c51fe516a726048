"""Priors of fields and couplings: normal, the couplings' width fixed or inferred.

    h_i ~ N(mean, sd²),   J_ij ~ N(mean, sd²)   or   J_ij ~ N(0, τ²), τ ~ half-Cauchy or log-normal

Given the couplings, τ has a density of one dimension that depends on them through Σ J² alone, so it
is drawn, or integrated out, on a grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesinf.errors import DataError
from bayesinf.models.binary import ENCODINGS, known, sites_of
from bayesinf.models.priors import HalfCauchy, LogNormal, Normal

GRID = 400  # points in log τ
REACH = 40.0  # log density below the peak that is left out
BELOW, ABOVE = 5.0, 14.0  # in log τ, how far the search for those points goes

# By default a site alone, or one partner, may move the log odds of a site by about 4; what a
# coupling does to them is 2 J in ±1 and J in 0/1.
WIDE = {"±1": 2.0, "0/1": 4.0}


@dataclass(frozen=True)
class Prior:
    """Priors of the fields and of the couplings, in the encoding of the fit.

    Parameters
    ----------
    h : of each field.
    J : of each coupling; a ``HalfCauchy`` or ``LogNormal`` is that of the width τ of N(0, τ²),
        which is then inferred as ``scale``.
    """

    h: Normal
    J: Normal | HalfCauchy | LogNormal

    def __post_init__(self):
        if not isinstance(self.h, Normal):
            raise DataError("no such prior of the fields", expected="a Normal", found=self.h)
        if not isinstance(self.J, Normal | HalfCauchy | LogNormal):
            raise DataError("no such prior of the couplings",
                            expected="a Normal, or the HalfCauchy or LogNormal of its width",
                            found=self.J)  # fmt: skip
        widths = {"h": self.h.sd, "J": getattr(self.J, "sd", 1.0)}
        for name, sd in widths.items():
            if not (np.isfinite(sd) and sd > 0):
                raise DataError(f"the prior of {name} is not proper",
                                expected="a standard deviation above zero", found=sd)  # fmt: skip

    @property
    def inferred(self) -> bool:
        """Whether the width of the couplings is."""
        return not isinstance(self.J, Normal)

    def moments(self, sites: int, scale: float | np.ndarray = 1.0):
        """Means and precisions of all parameters, (..., parameter), at a width (...)."""
        count = sites * (sites - 1) // 2
        scale = np.asarray(scale if self.inferred else self.J.sd, dtype=float)[..., None]
        means = np.append(np.full(sites, self.h.mean), np.full(count, getattr(self.J, "mean", 0.0)))
        shape = scale.shape[:-1]
        precision = np.concatenate(
            [np.full((*shape, sites), self.h.sd**-2.0),
             np.broadcast_to(scale**-2.0, (*shape, count))],
            axis=-1,
        )  # fmt: skip
        return means, precision

    def log_factors(self, theta: np.ndarray, scale: np.ndarray | float = 1.0):
        """Name to the log density of each factor at draws: ``h``, ``J``, and the ``scale``'s."""
        sites = sites_of(theta.shape[-1])
        h, J = theta[..., :sites], theta[..., sites:]
        factors = {"h": self.h.log_density(h).sum(axis=-1)}
        if not self.inferred:
            return factors | {"J": self.J.log_density(J).sum(axis=-1)}
        tau = np.asarray(scale)[..., None]
        normal = -0.5 * (J / tau) ** 2 - np.log(tau) - 0.5 * np.log(2 * np.pi)
        return factors | {"J": normal.sum(axis=-1), "scale": self.J.log_density(scale)}

    def log_density(self, theta: np.ndarray, scale: np.ndarray | float = 1.0) -> np.ndarray:
        """Log density of the parameters, and of the width where it is inferred."""
        return sum(self.log_factors(theta, scale).values())

    def log_marginal(self, theta: np.ndarray) -> np.ndarray:
        """Log density of the parameters, the width integrated out."""
        if not self.inferred:
            return self.log_density(theta)
        sites = sites_of(theta.shape[-1])
        J = theta[..., sites:]
        log_tau, height = self._grid(np.sum(J**2, axis=-1), J.shape[-1])
        top = height.max(axis=-1)
        area = np.trapezoid(np.exp(height - top[..., None]), log_tau, axis=-1)
        return self.h.log_density(theta[..., :sites]).sum(axis=-1) + top + np.log(area)

    def sample_scale(self, theta: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """Draw the width given the couplings, by inverting its distribution at ``uniform``."""
        J = theta[..., sites_of(theta.shape[-1]) :]
        log_tau, height = self._grid(np.sum(J**2, axis=-1), J.shape[-1])
        density = np.exp(height - height.max(axis=-1, keepdims=True))
        steps = 0.5 * (density[..., 1:] + density[..., :-1]) * np.diff(log_tau, axis=-1)
        below = np.cumsum(steps, axis=-1)
        below = np.concatenate([np.zeros_like(below[..., :1]), below], axis=-1) / below[..., -1:]
        flat = zip(np.ravel(uniform), below.reshape(-1, GRID), log_tau.reshape(-1, GRID),
                   strict=True)  # fmt: skip
        return np.exp([np.interp(u, b, t) for u, b, t in flat]).reshape(np.shape(uniform))

    def _grid(self, square, count):
        """Points in log τ, and log p(J, τ) + log τ there, (..., GRID) both."""
        typical = np.log(self.J.from_normal(0.0))
        # A model of one site has no couplings: then this is the prior of the width.
        peak = 0.5 * np.log(np.maximum(square, 1e-200) / count) if count else 0.0 * square + typical
        log_tau = np.linspace(np.minimum(peak, typical) - BELOW, np.maximum(peak, typical) + ABOVE,
                              GRID, axis=-1)  # fmt: skip
        height = self._height(log_tau, square, count)
        inside = height > height.max(axis=-1, keepdims=True) - REACH
        first = np.maximum(np.argmax(inside, axis=-1) - 1, 0)
        last = np.minimum(GRID - np.argmax(inside[..., ::-1], axis=-1), GRID - 1)
        ends = [np.take_along_axis(log_tau, k[..., None], -1)[..., 0] for k in (first, last)]
        log_tau = np.linspace(*ends, GRID, axis=-1)
        return log_tau, self._height(log_tau, square, count)

    def _height(self, log_tau, square, count):
        with np.errstate(over="ignore"):
            away = 0.5 * square[..., None] * np.exp(-2 * log_tau)
        own = self.J.log_density(np.exp(log_tau)) + log_tau
        return own - away - count * (log_tau + 0.5 * np.log(2 * np.pi))

    def sample(self, rng: np.random.Generator, sites: int, size: int):
        """Draw parameters (size, parameter) and widths (size,) from the prior."""
        h = self.h.sample(rng, (size, sites))
        shape = (size, sites * (sites - 1) // 2)
        if not self.inferred:
            return np.concatenate([h, self.J.sample(rng, shape)], axis=1), np.ones(size)
        scale = self.J.sample(rng, size)
        J = scale[:, None] * rng.standard_normal(shape)
        return np.concatenate([h, J], axis=1), scale

    def sentences(self) -> list[str]:
        """Say every prior, one line a parameter."""
        if not self.inferred:
            return [f"h ~ {self.h}", f"J ~ {self.J}"]
        return [f"h ~ {self.h}", "J ~ Normal(0, scale²)", f"scale ~ {self.J}"]


def default(encoding: str, inferred: bool = False) -> Prior:
    """Return the default prior: h ~ N(0, w²), J ~ N(0, (w / 2)²) in ±1 and N(0, w²) in 0/1.

    Parameters
    ----------
    encoding : "±1", where w = 2, or "0/1", where w = 4.
    inferred : whether the couplings' width is inferred, with a half-Cauchy prior of that size.
    """
    wide = WIDE[known(encoding)]
    width = wide / (2 if ENCODINGS[encoding] == -1 else 1)
    return Prior(Normal(0.0, wide), HalfCauchy(width) if inferred else Normal(0.0, width))
