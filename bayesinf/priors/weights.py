"""Priors of weights that share a width: coefficients, fields, couplings; normal given their scales.

    w_k | τ, v_k ~ N(0, τ² v_k)

==============  =====================================================================
``Gaussian``    v = 1: w ~ N(0, τ²)
``Laplace``     v ~ Exponential, of mean 2: w ~ Laplace(0, τ)
``Horseshoe``   v = λ², λ ~ half-Cauchy(1), and no weight is far beyond a slab's width
==============  =====================================================================

The width τ is a number or has a prior of its own. The local variances v make the weights normal,
which samplers use; no result keeps them, for p(w | τ) has a closed form, and v given w and τ is
drawn at once.

Carvalho, Polson & Scott, Biometrika 97, 465 (2010), doi:10.1093/biomet/asq017; Park & Casella, J.
Am. Stat. Assoc. 103, 681 (2008), doi:10.1198/016214508000000337.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesinf.priors.positive import HalfCauchy, LogNormal

__all__ = ["Gaussian", "Horseshoe", "Laplace", "Width"]

# From where the exponential integral is its asymptotic series.
FAR = 300.0

Width = float | HalfCauchy | LogNormal


@dataclass(frozen=True)
class Gaussian:
    """w ~ N(0, τ²), of width τ = ``scale``: a number, or the prior of one to be inferred."""

    scale: Width
    local = False

    def log_density(self, w: np.ndarray, tau: np.ndarray) -> np.ndarray:
        """Log density of each weight at a width."""
        return -0.5 * (w / tau) ** 2 - np.log(tau) - 0.5 * np.log(2 * np.pi)

    def log_sum(self, w: np.ndarray, tau: np.ndarray) -> np.ndarray:
        """Sum of ``log_density`` over the weights (..., weight) at widths (..., width)."""
        square = np.sum(w**2, axis=-1)[..., None]
        return -0.5 * square / tau**2 - w.shape[-1] * (np.log(tau) + 0.5 * np.log(2 * np.pi))

    def pymc(self, name, scale, dims, centred):
        """Add the weights to the open PyMC model under a name."""
        import pymc as pm

        return pm.Normal(name, np.float64(0), scale, dims=dims)

    def __str__(self):
        return "Normal(0, {}²)"


@dataclass(frozen=True)
class Laplace:
    """w ~ Laplace(0, τ), of width τ = ``scale``: a number, or the prior of one to be inferred."""

    scale: Width
    local = True

    def log_density(self, w: np.ndarray, tau: np.ndarray) -> np.ndarray:
        """Log density of each weight at a width."""
        return -np.abs(w) / tau - np.log(2 * tau)

    def log_sum(self, w: np.ndarray, tau: np.ndarray) -> np.ndarray:
        """Sum of ``log_density`` over the weights (..., weight) at widths (..., width)."""
        size = np.sum(np.abs(w), axis=-1)[..., None]
        return -size / tau - w.shape[-1] * np.log(2 * tau)

    def sample_local(self, rng, tau, count):
        """Draw local variances (..., weight) from the prior at widths (...)."""
        return rng.exponential(2.0, (*np.shape(tau), count))

    def local_given(self, rng, x):
        """Draw local variances given x = w / τ.

        1 / v is inverse normal of mean 1 / |x| and shape 1; this is the transformation of Michael,
        Schucany & Haas, Am. Stat. 30, 88 (1976), doi:10.2307/2683801, written for v, so that it is
        exact down to x = 0.
        """
        size, y = np.abs(x), rng.standard_normal(np.shape(x)) ** 2
        v = size + 0.5 * y + np.sqrt(size * y + 0.25 * y**2)
        return np.where(rng.random(np.shape(x)) * (v + size) <= v, v, size**2 / v)

    def pymc(self, name, scale, dims, centred):
        """Add the weights to the open PyMC model under a name."""
        import pymc as pm

        if centred:
            return pm.Laplace(name, np.float64(0), scale, dims=dims)
        sd = scale * pm.math.sqrt(pm.Exponential("local", np.float64(0.5), dims=dims))
        unit = pm.Normal(f"{name}_unit", np.float64(0), np.float64(1), dims=dims)
        return pm.Deterministic(name, sd * unit, dims=dims)

    def __str__(self):
        return "Laplace(0, {})"


@dataclass(frozen=True)
class Horseshoe:
    """N(0, τ² λ²), λ ~ half-Cauchy(1), times a normal of the slab's width c.

        p(w | τ) = exp(x²/2) E₁(x²/2) / √(2π³) · exp(−w²/2c²) / (τ Z),   x = w / τ

    with the exponential integral E₁ and Z = ⟨(1 + a λ²)^(−1/2)⟩ over the half-Cauchy, which is
    2 arccos(√a) / (π √(1 − a)), a = (τ/c)². Without the slab the tail is 1/w², and weights that
    the data leave unbounded have no mean.

    Nishimura & Suchard, Bayesian Anal. 18, 367 (2023), doi:10.1214/22-BA1308; Piironen & Vehtari,
    Electron. J. Stat. 11, 5018 (2017), doi:10.1214/17-EJS1337SI.

    Parameters
    ----------
    scale : τ: a number, or the prior of one to be inferred.
    slab : c; infinite by default.
    """

    scale: Width
    slab: float = np.inf
    local = True

    def log_density(self, w: np.ndarray, tau: np.ndarray) -> np.ndarray:
        """Log density of each weight at a width, infinite at zero."""
        from scipy.special import exp1

        z = np.maximum(0.5 * (w / tau) ** 2, 1e-300)
        near, far = np.minimum(z, FAR), np.maximum(z, FAR)
        series = np.log1p(-(1 - 2 / far * (1 - 3 / far * (1 - 4 / far))) / far) - np.log(far)
        log_e1 = np.where(z < FAR, near + np.log(exp1(near)), series)
        slab = -0.5 * (w / self.slab) ** 2 - self._log_z(tau)
        return log_e1 - 0.5 * np.log(2 * np.pi**3) - np.log(tau) + slab

    def _angle(self, tau):
        """Whether τ is below c, √|1 − a|, and arccos √a or its hyperbolic twin."""
        ratio = tau / self.slab
        below = ratio < 1
        root = np.maximum(np.sqrt(np.abs(1 - ratio**2)), 1e-9)
        return below, root, np.where(below, np.arctan2(root, ratio), np.arcsinh(root))

    def _log_z(self, tau):
        _, root, angle = self._angle(tau)
        return np.log(2 / np.pi * angle / root)

    def log_sum(self, w: np.ndarray, tau: np.ndarray) -> np.ndarray:
        """Sum of ``log_density`` over the weights (..., weight) at widths (..., width)."""
        return self.log_density(w[..., None, :], tau[..., None]).sum(axis=-1)

    def sample_local(self, rng, tau, count):
        """Draw local variances (..., weight) from the prior at widths (...)."""
        below, root, angle = (part[..., None] for part in self._angle(np.asarray(tau)))
        angle = angle * rng.random((*np.shape(tau), count))
        square = np.where(below, np.sin(angle), np.sinh(np.where(below, 0.0, angle))) ** 2
        return square / np.maximum(root**2 - square, 1e-300)

    def local_given(self, rng, x):
        """Draw local variances given x = w / τ.

        With z = x²/2 the density of u = 1 / v is exp(−z u) / (1 + u). For z > 1 it is exponential
        but for a factor; else t = log(1 + u) is flat up to log(1 / z) or so and has an exponential
        tail. Three of five proposals are accepted at least, at z = 1.
        """
        z = np.maximum(0.5 * np.square(x, dtype=float), 1e-300)
        u, open_ = np.empty_like(z), np.ones(z.shape, dtype=bool)
        while np.any(open_):
            now = z[open_]
            far, flat = now > 1, np.maximum(-np.log(now) - 1 + now, 0.0)
            tail = rng.exponential(size=now.shape)
            in_flat = rng.random(now.shape) * (flat + 1) < flat
            t = np.where(in_flat, flat * rng.random(now.shape), flat + tail)
            proposal = np.where(far, tail / now, np.expm1(np.where(far, 0.0, t)))
            height = np.where(far, -np.log1p(proposal), -now * proposal + np.maximum(t - flat, 0.0))
            accepted = np.log(rng.random(now.shape)) < height
            place = np.flatnonzero(open_)[accepted]
            u.flat[place] = proposal[accepted]
            open_.flat[place] = False
        return 1 / np.maximum(u, 1e-300)

    def pymc(self, name, scale, dims, centred):
        """Add the weights to the open PyMC model under a name, and ``local``, which is λ."""
        import pymc as pm
        import pytensor.tensor as pt

        wide = scale * pm.HalfCauchy("local", np.float64(1), dims=dims)
        tail = 1 + (wide / np.float64(self.slab)) ** 2
        ratio = scale / np.float64(self.slab)
        root = pt.sqrt(pt.abs(1 - ratio**2))
        angle = pt.switch(ratio < 1, pt.arctan2(root, ratio), pt.arcsinh(root))
        pm.Potential("slab", -pt.sum(0.5 * pt.log(tail) + pt.log(2 / np.pi * angle / root)))
        sd = wide / pt.sqrt(tail)
        if centred:
            return pm.Normal(name, np.float64(0), sd, dims=dims)
        unit = pm.Normal(f"{name}_unit", np.float64(0), np.float64(1), dims=dims)
        return pm.Deterministic(name, sd * unit, dims=dims)

    def __str__(self):
        slab = f" × Normal(0, {self.slab:.4g}²)" if np.isfinite(self.slab) else ""
        return "Normal(0, ({} λ)²)" + slab + ", λ ~ half-Cauchy(1)"
