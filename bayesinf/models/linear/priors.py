"""Priors of regression coefficients, one class each: its density, its forward draws, its PyMC form.

Every hyperparameter is a number, which fixes it, a prior from ``bayesinf.priors``, or None,
which takes the default: a half-Cauchy whose scale is one coefficient's share of the data,
sd(y) / (rms(X) √p), at which the prior predicts data about as large as those seen. ``resolve``
fills the defaults in, so that what a fit reports is a stated prior.

==================  =====================================================================
``Normal``          β_j ~ N(0, scale²); its mode is ridge regression
``Laplace``         β_j ~ Laplace(0, scale); its mode is the lasso
``SpikeAndSlab``    β_j = included_j · N(0, slab_width²), included_j ~ Bernoulli(inclusion_rate)
``Horseshoe``       β_j ~ N(0, c² τ²λ_j² / (c² + τ²λ_j²)), λ_j ~ half-Cauchy(1)
==================  =====================================================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from bayesinf.priors import Beta, HalfCauchy, InverseChi, Prior

Hyper = float | Prior | None


def log_normal(beta, sd):
    """Log density of N(0, sd²)."""
    return -0.5 * (beta / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)


@dataclass(frozen=True)
class CoefficientPrior(ABC):
    """What the priors of coefficients share: their hyperparameters are their fields."""

    @property
    def hyperparameters(self) -> dict[str, float | Prior]:
        """Name to number or prior."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "relative"}

    @property
    def inferred(self) -> dict[str, Prior]:
        """Those hyperparameters that are inferred."""
        return {k: v for k, v in self.hyperparameters.items() if not isinstance(v, int | float)}

    @property
    def fixed(self) -> dict[str, float]:
        """Those hyperparameters that the caller has fixed."""
        return {k: float(v) for k, v in self.hyperparameters.items() if k not in self.inferred}

    def resolve(self, reach: float, count: int) -> CoefficientPrior:
        """Return the prior with its defaults filled in.

        ``reach`` is the size at which one coefficient alone explains the data, sd(y) / rms(X), and
        ``count`` how many share them.
        """
        missing = [k for k, v in self.hyperparameters.items() if v is None]
        return replace(self, **{k: self._default(k, reach, reach / count**0.5) for k in missing})

    def _default(self, name: str, reach: float, share: float) -> Prior:
        return HalfCauchy(share)

    @property
    def by_default(self) -> bool:
        """Whether every hyperparameter is left to its default."""
        return all(value is None for value in self.hyperparameters.values())

    def sample(
        self, rng, size: int, shape: tuple[int, ...], sigma: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Draw hyperparameters, (size,), and coefficients, (size, *shape), from the prior.

        ``sigma``, (size,) or (size, group), is the noise drawn beside them; only a relative scale
        looks at it.
        """
        draws = {k: v.sample(rng, size) for k, v in self.inferred.items()}
        aside = (-1,) + (1,) * len(shape)
        hyper = {k: np.reshape(v, aside) for k, v in (self.fixed | draws).items()}
        return draws | self._sample(rng, hyper, (size, *shape), np.asarray(sigma)[..., np.newaxis])

    def log_factors(self, draws: Mapping[str, np.ndarray], axes: int = 1) -> dict[str, np.ndarray]:
        """Log density of each factor of the prior, for draws in the posterior's layout.

        Parameters
        ----------
        draws : hyperparameters (chain, draw), ``sigma`` (chain, draw) or (chain, draw, group),
            ``beta`` and other variables of features (chain, draw, feature) or (chain, draw, group,
            feature).
        axes : how many axes the variables of features have of their own, one or two.

        Returns
        -------
        one (chain, draw) array for each hyperparameter inferred, and those of the coefficients.
        """
        factors = {k: v.log_density(draws[k]) for k, v in self.inferred.items()}
        own = tuple(range(-axes, 0))
        hyper = {
            k: np.expand_dims(np.asarray(v), own)
            for k, v in (self.fixed | {k: draws[k] for k in self.inferred}).items()
        }
        elements = self._log_elements(hyper, draws)
        return factors | {k: np.sum(v, axis=own) for k, v in elements.items()}

    def pymc_hyperparameters(self) -> dict[str, object]:
        """Add the hyperparameters that are inferred to the open PyMC model; return all of them."""
        return self.fixed | {k: v.pymc(k) for k, v in self.inferred.items()}

    @abstractmethod
    def words(self) -> str:
        """Say the prior of a coefficient, given its hyperparameters."""


@dataclass(frozen=True)
class Normal(CoefficientPrior):
    """β_j ~ N(0, scale²).

    Its mode at given scale and σ is ridge regression with λ = (σ / scale)².
    """

    scale: Hyper = None

    def words(self):
        """Say the prior of a coefficient."""
        return "N(0, scale²)"

    def _sample(self, rng, hyper, shape, sigma):
        return {"beta": hyper["scale"] * rng.standard_normal(shape)}

    def _log_elements(self, hyper, draws):
        return {"beta": log_normal(draws["beta"], hyper["scale"])}

    def pymc(self, name, sigma, dim, centred=True):
        """Add the coefficients to the open PyMC model."""
        import pymc as pm

        scale = self.pymc_hyperparameters()["scale"]
        if centred:
            return pm.Normal(name, 0.0, scale, dims=dim)
        return pm.Deterministic(name, scale * pm.Normal(f"{name}_raw", dims=dim), dims=dim)


@dataclass(frozen=True)
class Laplace(CoefficientPrior):
    """β_j ~ Laplace(0, scale), or Laplace(0, scale · σ) where ``relative``.

    Its mode at given scale b and σ is the lasso, ½|y - Xβ|² + (σ²/b) |β|₁; the relative form is
    that of Park & Casella, JASA 103, 681 (2008), doi:10.1198/016214508000000337.
    """

    scale: Hyper = None
    relative: bool = False

    def _default(self, name, reach, share):
        # In units of the noise a coefficient may be of any size: a hundred leaves it that freedom.
        return HalfCauchy(100.0 if self.relative else share)

    def width(self, scale, sigma):
        """The Laplace scale in the units of β."""
        return scale * sigma if self.relative else scale

    def words(self):
        """Say the prior of a coefficient."""
        return f"Laplace(0, {'scale · sigma' if self.relative else 'scale'})"

    def _sample(self, rng, hyper, shape, sigma):
        return {"beta": self.width(hyper["scale"], sigma) * rng.laplace(size=shape)}

    def _log_elements(self, hyper, draws):
        width = self.width(hyper["scale"], np.asarray(draws["sigma"])[..., np.newaxis])
        return {"beta": -np.abs(draws["beta"]) / width - np.log(2 * width)}

    def pymc(self, name, sigma, dim, centred=True):
        """Add the coefficients to the open PyMC model."""
        import pymc as pm

        width = self.width(self.pymc_hyperparameters()["scale"], sigma)
        if centred:
            return pm.Laplace(name, 0.0, width, dims=dim)
        unit = pm.Laplace(f"{name}_raw", 0.0, 1.0, dims=dim)
        return pm.Deterministic(name, width * unit, dims=dim)


@dataclass(frozen=True)
class SpikeAndSlab(CoefficientPrior):
    """β_j = included_j · slab_j: a point mass at zero, and a normal slab.

        included_j ~ Bernoulli(inclusion_rate),   slab_j ~ N(0, slab_width²)

    Mitchell & Beauchamp, JASA 83, 1023 (1988), doi:10.1080/01621459.1988.10478694.
    """

    inclusion_rate: Hyper = None
    slab_width: Hyper = None

    def _default(self, name, reach, share):
        return Beta(1.0, 1.0) if name == "inclusion_rate" else HalfCauchy(share)

    def words(self):
        """Say the prior of a coefficient."""
        return "0, or N(0, slab_width²) with probability inclusion_rate"

    def _sample(self, rng, hyper, shape, sigma):
        included = rng.random(shape) < hyper["inclusion_rate"]
        slab = hyper["slab_width"] * rng.standard_normal(shape)
        return {"beta": np.where(included, slab, 0.0), "included": included.astype(np.int8)}

    def _log_elements(self, hyper, draws):
        # The density of β is with respect to a point mass at zero plus Lebesgue measure.
        included, rate = np.asarray(draws["included"], dtype=bool), hyper["inclusion_rate"]
        width = np.broadcast_to(hyper["slab_width"], included.shape)[included]
        slab = np.zeros(included.shape)
        slab[included] = log_normal(np.asarray(draws["beta"])[included], width)
        return {"included": np.where(included, np.log(rate), np.log1p(-rate)), "beta": slab}

    def pymc(self, name, sigma, dim, centred=True):
        """Add the coefficients to the open PyMC model; ``slab`` is free where included is 0."""
        import pymc as pm

        hyper = self.pymc_hyperparameters()
        included = pm.Bernoulli("included", hyper["inclusion_rate"], dims=dim)
        slab = pm.Normal("slab", 0.0, hyper["slab_width"], dims=dim)
        return pm.Deterministic(name, included * slab, dims=dim)


@dataclass(frozen=True)
class Horseshoe(CoefficientPrior):
    """β_j ~ N(0, v_j) with 1 / v_j = 1 / (τ λ_j)² + 1 / c²: the regularised horseshoe.

        λ_j ~ half-Cauchy(1),   τ = scale,   c = slab_width ~ inverse-χ(4, sd(y) / rms(X))

    Piironen & Vehtari, Electron. J. Stat. 11, 5018 (2017), doi:10.1214/17-EJS1337SI.
    """

    scale: Hyper = None
    slab_width: Hyper = None

    def _default(self, name, reach, share):
        return HalfCauchy(share) if name == "scale" else InverseChi(4.0, reach)

    @staticmethod
    def sd(local, scale, slab_width):
        """Standard deviation of β_j given the scales."""
        wide = scale * local
        return wide / np.sqrt(1 + (wide / slab_width) ** 2)

    def words(self):
        """Say the prior of a coefficient."""
        return "N(0, v), 1/v = 1/(scale · local)² + 1/slab_width², local ~ half-Cauchy(1)"

    def _sample(self, rng, hyper, shape, sigma):
        local = HalfCauchy(1.0).sample(rng, shape)
        sd = self.sd(local, hyper["scale"], hyper["slab_width"])
        return {"beta": sd * rng.standard_normal(shape), "local": local}

    def _log_elements(self, hyper, draws):
        sd = self.sd(draws["local"], hyper["scale"], hyper["slab_width"])
        return {
            "local": HalfCauchy(1.0).log_density(draws["local"]),
            "beta": log_normal(draws["beta"], sd),
        }

    def pymc(self, name, sigma, dim, centred=True):
        """Add the coefficients to the open PyMC model."""
        import pymc as pm

        hyper = self.pymc_hyperparameters()
        local = pm.HalfCauchy("local", 1.0, dims=dim)
        wide = hyper["scale"] * local
        sd = wide / pm.math.sqrt(1 + (wide / hyper["slab_width"]) ** 2)
        if centred:
            return pm.Normal(name, 0.0, sd, dims=dim)
        return pm.Deterministic(name, sd * pm.Normal(f"{name}_raw", dims=dim), dims=dim)


PRIORS: dict[str, type[CoefficientPrior]] = {
    "normal": Normal,
    "laplace": Laplace,
    "spike_and_slab": SpikeAndSlab,
    "horseshoe": Horseshoe,
}
