"""Priors of weights that share a width: regression coefficients, fields, couplings.

    w_k | τ, v_k ~ N(0, τ² v_k)

================  =====================================================================
``Gaussian``      v = 1: w ~ N(0, τ²); its mode is ridge regression
``Flat``          the same, so wide that double precision cannot tell
``Laplace``       v ~ Exponential, of mean 2: w ~ Laplace(0, τ); its mode is the lasso
``Student``       v ~ inverse gamma: w ~ τ t of few degrees of freedom
``Horseshoe``     v = λ², λ ~ half-Cauchy(1), and no weight is far beyond a slab's width
``SpikeAndSlab``  w = 0, or N(0, slab_width²) with a probability
================  =====================================================================

The width τ is a number or has a prior of its own. The local variances v make the weights normal,
which samplers use; no result keeps them, for p(w | τ) has a closed form, and v given w and τ is
drawn at once.

Carvalho, Polson & Scott, Biometrika 97, 465 (2010), doi:10.1093/biomet/asq017; Park & Casella, J.
Am. Stat. Assoc. 103, 681 (2008), doi:10.1198/016214508000000337.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesinf.priors.hyper import Hyper, WeightPrior, log_normal
from bayesinf.priors.positive import HalfCauchy, InverseChi
from bayesinf.priors.scalar import Beta

__all__ = ["Flat", "Gaussian", "Horseshoe", "Laplace", "Scaled", "SpikeAndSlab", "Student"]

# From where the exponential integral is its asymptotic series.
FAR = 300.0

# Width of a flat prior beside the size at which one weight alone explains the data.
FLAT = 1e16


@dataclass(frozen=True)
class Scaled(WeightPrior):
    """Weights with a common width τ = ``scale``, normal given it and their local variances."""

    scale: Hyper = None
    local = False  # whether there are local variances

    def log_density(self, w: np.ndarray, tau: np.ndarray, **hyper) -> np.ndarray:
        """Log density of each weight at a width, local variances integrated out."""
        raise NotImplementedError

    def log_sum(self, w: np.ndarray, tau: np.ndarray, **hyper) -> np.ndarray:
        """Sum of ``log_density`` over the weights (..., weight) at widths (..., width)."""
        return self.log_density(w[..., None, :], tau[..., None], **hyper).sum(axis=-1)

    def sample_local(self, rng, tau, count, **hyper):
        """Draw local variances (..., weight) from the prior at widths (...)."""
        return np.ones((*np.shape(tau), count))

    def local_given(self, rng, x):
        """Draw local variances given x = w / τ."""
        return np.ones_like(x)

    def log_local(self, tau, local, **hyper):
        """Log density of local variances at a width, but for what does not depend on it."""
        return 0.0

    def variances(self, tau, local, **hyper):
        """Variances of the weights given width and local variances."""
        return tau**2 * local

    def width(self, scale, sigma):
        """τ in the unit of the weights, at a noise."""
        return scale

    def sample_weights(self, rng, hyper, shape, sigma):
        """Draw the weights given hyperparameters."""
        scale, rest = hyper["scale"], {k: v for k, v in hyper.items() if k != "scale"}
        tau = np.broadcast_to(self.width(scale, sigma), shape[:-1])
        local = self.sample_local(rng, tau, shape[-1], **rest)
        rest = {k: v[..., np.newaxis] for k, v in rest.items()}
        variances = self.variances(tau[..., np.newaxis], local, **rest)
        return {"beta": np.sqrt(variances) * rng.standard_normal(shape)}

    def log_elements(self, hyper, draws):
        """Log density of each weight."""
        rest = {k: v for k, v in hyper.items() if k != "scale"}
        tau = self.width(hyper["scale"], np.asarray(draws["sigma"])[..., np.newaxis])
        return {"beta": self.log_density(draws["beta"], tau, **rest)}

    def define(self, name, sigma, dims, centred):
        """Add hyperparameters and weights to the open PyMC model, these under a name."""
        hyper = self.define_hyperparameters()
        return self.pymc(name, self.width(hyper.pop("scale"), sigma), dims, centred, **hyper)

    def pymc(self, name, scale, dims, centred, **hyper):
        """Add the weights to the open PyMC model under a name."""
        raise NotImplementedError

    def words(self):
        """Say the prior of a weight."""
        return str(self).format("scale")


@dataclass(frozen=True)
class Gaussian(Scaled):
    """w ~ N(0, τ²), of width τ = ``scale``: a number, or the prior of one to be inferred.

    Its mode at given scale and σ is ridge regression with λ = (σ / scale)².
    """

    def log_density(self, w, tau):
        """Log density of each weight at a width."""
        return log_normal(w, tau)

    def log_sum(self, w, tau):
        """Sum of ``log_density`` over the weights (..., weight) at widths (..., width)."""
        square = np.sum(w**2, axis=-1)[..., None]
        return -0.5 * square / tau**2 - w.shape[-1] * (np.log(tau) + 0.5 * np.log(2 * np.pi))

    def pymc(self, name, scale, dims, centred):
        """Add the weights to the open PyMC model under a name."""
        import pymc as pm

        if centred:
            return pm.Normal(name, np.float64(0), scale, dims=dims)
        return pm.Deterministic(name, scale * _unit(name, dims), dims=dims)

    def __str__(self):
        return "Normal(0, {}²)"


@dataclass(frozen=True)
class Flat(Gaussian):
    """w ~ N(0, τ²), τ = 10¹⁶ times the size at which one weight alone explains the data.

    It is as good as flat wherever the data decide, and proper: there is a posterior, a prior
    predictive, an evidence. Coefficients are those of least squares.
    """

    def default(self, name, reach, share):
        """The width, a number."""
        return FLAT * reach


@dataclass(frozen=True)
class Laplace(Scaled):
    """w ~ Laplace(0, τ), of width τ = ``scale``, or τ = ``scale`` σ where ``relative``.

    Its mode at given scale b and σ is the lasso, ½|y - Xw|² + (σ²/b) |w|₁; the relative form is
    that of Park & Casella.
    """

    relative: bool = False
    local, options = True, ("relative",)

    def default(self, name, reach, share):
        """Default of the scale."""
        # In units of the noise a coefficient may be of any size: a hundred leaves it that freedom.
        return HalfCauchy(100.0 if self.relative else share)

    def width(self, scale, sigma):
        """τ in the unit of the weights."""
        return scale * sigma if self.relative else scale

    def log_density(self, w, tau):
        """Log density of each weight at a width."""
        return -np.abs(w) / tau - np.log(2 * tau)

    def log_sum(self, w, tau):
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
        return pm.Deterministic(name, sd * _unit(name, dims), dims=dims)

    def words(self):
        """Say the prior of a weight."""
        return str(self).format("scale · sigma" if self.relative else "scale")

    def __str__(self):
        return "Laplace(0, {})"


@dataclass(frozen=True)
class Student(Scaled):
    """w / τ ~ Student's t of ``dof`` degrees of freedom: v ~ Inv-Gamma(ν/2, ν/2)."""

    dof: float = 3.0
    local, options = True, ("dof",)

    def log_density(self, w, tau):
        """Log density of each weight at a width."""
        from scipy.special import gammaln

        half = self.dof / 2
        constant = gammaln(half + 0.5) - gammaln(half) - 0.5 * np.log(self.dof * np.pi)
        return constant - np.log(tau) - (half + 0.5) * np.log1p((w / tau) ** 2 / self.dof)

    def sample_local(self, rng, tau, count):
        """Draw local variances (..., weight) from the prior at widths (...)."""
        return self.dof / rng.chisquare(self.dof, (*np.shape(tau), count))

    def local_given(self, rng, x):
        """Draw local variances given x = w / τ: inverse gamma again."""
        return (self.dof + np.square(x)) / rng.chisquare(self.dof + 1, np.shape(x))

    def pymc(self, name, scale, dims, centred):
        """Add the weights to the open PyMC model under a name."""
        import pymc as pm

        dof = np.float64(self.dof)
        if centred:
            return pm.StudentT(name, dof, mu=np.float64(0), sigma=scale, dims=dims)
        unit = pm.StudentT(f"{name}_unit", dof, mu=np.float64(0), sigma=np.float64(1), dims=dims)
        return pm.Deterministic(name, scale * unit, dims=dims)

    def __str__(self):
        return f"{{}} × Student-t({self.dof:.4g} dof)"


@dataclass(frozen=True)
class Horseshoe(Scaled):
    """N(0, τ² λ²), λ ~ half-Cauchy(1), times a normal of the slab's width c.

        p(w | τ) = exp(x²/2) E₁(x²/2) / √(2π³) · exp(−w²/2c²) / (τ Z),   x = w / τ

    with the exponential integral E₁ and Z = ⟨(1 + a λ²)^(−1/2)⟩ over the half-Cauchy, which is
    2 arccos(√a) / (π √(1 − a)), a = (τ/c)². Given λ a weight is N(0, c²τ²λ² / (c² + τ²λ²)).
    Without the slab the tail is 1/w², and weights that the data leave unbounded have no mean.

    Nishimura & Suchard, Bayesian Anal. 18, 367 (2023), doi:10.1214/22-BA1308; Piironen & Vehtari,
    Electron. J. Stat. 11, 5018 (2017), doi:10.1214/17-EJS1337SI.

    Parameters
    ----------
    scale : τ: a number, or the prior of one to be inferred.
    slab : c, likewise; by default a regression infers it, and couplings have none, as of infinity.
    """

    slab: Hyper = None
    local = True

    def default(self, name, reach, share):
        """Default of a hyperparameter."""
        return HalfCauchy(share) if name == "scale" else InverseChi(4.0, reach)

    def _slab(self, slab):
        """The slab's width: the one given, else the prior's own."""
        own = np.inf if self.slab is None else self.slab
        return own if slab is None else slab

    def log_density(self, w, tau, slab=None):
        """Log density of each weight at a width, infinite at zero."""
        from scipy.special import exp1

        z = np.maximum(0.5 * (w / tau) ** 2, 1e-300)
        near, far = np.minimum(z, FAR), np.maximum(z, FAR)
        series = np.log1p(-(1 - 2 / far * (1 - 3 / far * (1 - 4 / far))) / far) - np.log(far)
        log_e1 = np.where(z < FAR, near + np.log(exp1(near)), series)
        cut = self.log_cut(w, tau, slab)
        return log_e1 - 0.5 * np.log(2 * np.pi**3) - np.log(tau) + cut

    def log_cut(self, w, tau, slab=None):
        """What the slab adds to the log density of each weight."""
        return -0.5 * (w / self._slab(slab)) ** 2 - self._log_z(tau, slab)

    def log_local(self, tau, local, slab=None):
        """Log density of local variances at a width, but for what does not depend on it."""
        tail = np.log1p(tau**2 * local / self._slab(slab) ** 2)
        return -np.sum(0.5 * tail + self._log_z(tau, slab))

    def _angle(self, tau, slab):
        """Whether τ is below c, √|1 − a|, and arccos √a or its hyperbolic twin."""
        ratio = tau / self._slab(slab)
        below = ratio < 1
        root = np.maximum(np.sqrt(np.abs(1 - ratio**2)), 1e-9)
        return below, root, np.where(below, np.arctan2(root, ratio), np.arcsinh(root))

    def _log_z(self, tau, slab):
        _, root, angle = self._angle(tau, slab)
        return np.log(2 / np.pi * angle / root)

    def sample_local(self, rng, tau, count, slab=None):
        """Draw local variances (..., weight) from the prior at widths (...)."""
        below, root, angle = (part[..., None] for part in self._angle(np.asarray(tau), slab))
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

    def variances(self, tau, local, slab=None):
        """Variances of the weights given width, local variances and slab."""
        wide = tau**2 * local
        return wide / (1 + wide / self._slab(slab) ** 2)

    def pymc(self, name, scale, dims, centred, slab=None):
        """Add the weights to the open PyMC model under a name, and ``local``, which is λ."""
        import pymc as pm
        import pytensor.tensor as pt

        slab = np.float64(self._slab(slab)) if isinstance(slab, float | None) else slab
        wide = scale * pm.HalfCauchy("local", np.float64(1), dims=dims)
        tail = 1 + (wide / slab) ** 2
        ratio = scale / slab
        root = pt.sqrt(pt.abs(1 - ratio**2))
        angle = pt.switch(ratio < 1, pt.arctan2(root, ratio), pt.arcsinh(root))
        share = pt.log(2 / np.pi * angle / root)
        pm.Potential(f"{name}_slab", -pt.sum(0.5 * pt.log(tail) + share))
        sd = wide / pt.sqrt(tail)
        if centred:
            return pm.Normal(name, np.float64(0), sd, dims=dims)
        return pm.Deterministic(name, sd * _unit(name, dims), dims=dims)

    def words(self):
        """Say the prior of a weight."""
        return "Normal(0, (scale λ)²) × Normal(0, slab²), λ ~ half-Cauchy(1)"

    def __str__(self):
        bare = self.slab is None or self.slab == np.inf
        width = f"{self.slab:.4g}" if isinstance(self.slab, int | float) else "slab"
        slab = "" if bare else f" × Normal(0, {width}²)"
        return "Normal(0, ({} λ)²)" + slab + ", λ ~ half-Cauchy(1)"


def _unit(name, dims):
    """Standard normal weights beside those under a name."""
    import pymc as pm

    return pm.Normal(f"{name}_unit", np.float64(0), np.float64(1), dims=dims)


@dataclass(frozen=True)
class SpikeAndSlab(WeightPrior):
    """w_k = included_k · slab_k: a point mass at zero, and a normal slab.

        included_k ~ Bernoulli(inclusion_rate),   slab_k ~ N(0, slab_width²)

    Mitchell & Beauchamp, JASA 83, 1023 (1988), doi:10.1080/01621459.1988.10478694.
    """

    inclusion_rate: Hyper = None
    slab_width: Hyper = None

    def default(self, name, reach, share):
        """Default of a hyperparameter."""
        return Beta(1.0, 1.0) if name == "inclusion_rate" else HalfCauchy(share)

    def words(self):
        """Say the prior of a weight."""
        return "0, or N(0, slab_width²) with probability inclusion_rate"

    def sample_weights(self, rng, hyper, shape, sigma):
        """Draw weights, and which of them are included."""
        hyper = {k: v[..., np.newaxis] for k, v in hyper.items()}
        included = rng.random(shape) < hyper["inclusion_rate"]
        slab = hyper["slab_width"] * rng.standard_normal(shape)
        return {"beta": np.where(included, slab, 0.0), "included": included.astype(np.int8)}

    def log_elements(self, hyper, draws):
        """Log density with respect to a point mass at zero plus Lebesgue measure, summed over the
        weights: those that are out are many, and alike.
        """
        included, rate, width = draws["included"], hyper["inclusion_rate"], hyper["slab_width"]
        inside = np.count_nonzero(included, axis=-1, keepdims=True)
        outside = np.shape(included)[-1] - inside
        beta = np.asarray(draws["beta"])
        square = np.einsum("...k,...k->...", beta, beta)[..., np.newaxis]
        slab = -0.5 * square / width**2 - inside * (np.log(width) + 0.5 * np.log(2 * np.pi))
        return {"included": inside * np.log(rate) + outside * np.log1p(-rate), "beta": slab}

    def define(self, name, sigma, dims, centred):
        """Add the weights to the open PyMC model; ``slab`` is free where included is 0."""
        import pymc as pm

        hyper = self.define_hyperparameters()
        included = pm.Bernoulli("included", hyper["inclusion_rate"], dims=dims)
        slab = pm.Normal("slab", 0.0, hyper["slab_width"], dims=dims)
        return pm.Deterministic(name, included * slab, dims=dims)
