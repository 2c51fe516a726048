"""Noise of independent points: normal, growing with the signal, or with heavy tails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import scipy

from bayesinf.models.likelihoods.base import NOISE, Likelihood, log_density
from bayesinf.priors import Gamma, HalfCauchy, Prior

__all__ = ["NORMAL", "Normal", "Proportional", "Shot", "Student"]


@dataclass(frozen=True)
class Normal(Likelihood):
    """Independent normal noise, y_i ~ N(f_i, σ²) or N(f_i, error_i²)."""

    name = "normal"
    equation = r"y_i \sim \mathcal{N}(f(x_i), \sigma_i^2)"

    @classmethod
    def of(cls, x, y):  # noqa: D102
        return cls()

    def log_density(self, y, mean, scatter):  # noqa: D102
        return log_density(y, *self.expected(y, mean, scatter))

    def draw(self, mean, scatter, rng):  # noqa: D102
        _, sd = self.expected(None, mean, scatter)
        return mean + sd * rng.standard_normal(mean.shape)

    def expected(self, y, mean, scatter):  # noqa: D102
        return mean, scatter[NOISE]

    def pymc(self, name, mean, scatter, y):  # noqa: D102
        import pymc as pm

        return pm.Normal(name, mean, self.pymc_sd(mean, scatter), observed=y)

    def pymc_sd(self, mean, scatter):
        """Standard deviation of the noise, in PyTensor."""
        return scatter[NOISE]


NORMAL = Normal()


@dataclass(frozen=True)
class Proportional(Normal):
    """Normal noise with a part that is a share of the signal: σ_i² = noise² + (share · f_i)²."""

    own: Mapping[str, Prior] = field(default_factory=lambda: {"noise_share": HalfCauchy(0.1)})
    name = "proportional"
    equation = r"y_i \sim \mathcal{N}(f(x_i), \sigma_i^2 + (s\, f(x_i))^2)"

    def noise_prior(self, extent):
        """Return one that lets the noise vanish: what grows with the signal may be all of it."""
        return HalfCauchy(0.1 * extent)

    def start(self, y, mean, noise):  # noqa: D102
        return {"noise_share": 0.7 * float(np.std(y - mean) / np.sqrt(np.mean(mean**2)))}

    def expected(self, y, mean, scatter):  # noqa: D102
        return mean, np.hypot(scatter[NOISE], scatter["noise_share"] * mean)

    def pymc_sd(self, mean, scatter):  # noqa: D102
        return (scatter[NOISE] ** 2 + (scatter["noise_share"] * mean) ** 2) ** 0.5


@dataclass(frozen=True)
class Shot(Normal):
    """Normal noise whose variance grows with the signal: σ_i² = noise² + gain · max(f_i, 0).

    That of counts times a gain, as a detector's units are, plus what it reads in the dark.
    """

    own: Mapping[str, Prior]
    name = "shot"
    equation = r"y_i \sim \mathcal{N}(f(x_i), \sigma_i^2 + g\, f(x_i))"

    @classmethod
    def of(cls, x, y):  # noqa: D102
        return cls({"noise_gain": HalfCauchy(0.1 * float(np.ptp(y)))})

    def noise_prior(self, extent):
        """Return one that lets the noise vanish: what grows with the signal may be all of it."""
        return HalfCauchy(0.1 * extent)

    def start(self, y, mean, noise):  # noqa: D102
        return {"noise_gain": 0.5 * float(np.var(y - mean) / np.mean(np.abs(mean)))}

    def expected(self, y, mean, scatter):  # noqa: D102
        variance = scatter[NOISE] ** 2 + scatter["noise_gain"] * np.maximum(mean, 0)
        return mean, np.sqrt(variance)

    def pymc_sd(self, mean, scatter):  # noqa: D102
        return (scatter[NOISE] ** 2 + scatter["noise_gain"] * mean.clip(0, np.inf)) ** 0.5


@dataclass(frozen=True)
class Student(Likelihood):
    """Noise with heavy tails, y_i ~ t_ν(f_i, noise_i): a few points may lie far off.

    ``noise`` is the scale, not the standard deviation, of which there may be none. Lange, Little &
    Taylor, JASA 84, 881 (1989), doi:10.1080/01621459.1989.10478852; the prior of the degrees of
    freedom is that of Juárez & Steel, J. Appl. Econometrics 25, 1128 (2010), doi:10.1002/jae.1113.
    """

    own: Mapping[str, Prior] = field(default_factory=lambda: {"noise_dof": Gamma(2.0, 0.1)})
    name = "student"
    equation = r"y_i \sim t_\nu(f(x_i), \sigma_i^2)"

    @classmethod
    def of(cls, x, y):  # noqa: D102
        return cls()

    def start(self, y, mean, noise):  # noqa: D102
        return {"noise_dof": 5.0}

    def log_density(self, y, mean, scatter):  # noqa: D102
        noise, dof = scatter[NOISE], scatter["noise_dof"]
        z = (y - mean) / noise
        whole = scipy.special.gammaln((dof + 1) / 2) - scipy.special.gammaln(dof / 2)
        whole = whole - 0.5 * np.log(np.pi * dof) - np.log(noise)
        return whole - (dof + 1) / 2 * np.log1p(z * z / dof)

    def draw(self, mean, scatter, rng):  # noqa: D102
        dof = np.broadcast_to(scatter["noise_dof"], mean.shape)
        return mean + scatter[NOISE] * rng.standard_t(dof)

    def expected(self, y, mean, scatter):
        """Return mean and the scale at which a point weighs as in least squares.

        scale² = noise² (ν + z²) / (ν + 1),   z = (y − mean) / noise

        What lies far off, as this likelihood allows, has a large scale, and so bounded residuals.
        """
        noise, dof = scatter[NOISE], scatter["noise_dof"]
        return mean, noise * np.sqrt((dof + ((y - mean) / noise) ** 2) / (dof + 1))

    def pymc(self, name, mean, scatter, y):  # noqa: D102
        import pymc as pm

        return pm.StudentT(name, nu=scatter["noise_dof"], mu=mean, sigma=scatter[NOISE], observed=y)
