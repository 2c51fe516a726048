"""How data scatter about their mean: normal, heavy-tailed, growing with the signal, with memory, or
counted.

A ``Likelihood`` is p(y | mean, scatter), stated once for the fast routes and once for PyMC. Its
scatter is the standard deviation ``noise``, known or inferred, where it has one, and parameters of
its own, all positive. Every family whose data are a mean plus something may take one;
``models.noise`` holds residuals against replicas in the same terms for all of them.

The mean of counts must not be negative: where it is at any point, the density is zero, so the
posterior lives where the whole curve is a rate.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from scipy import special

from bayesinf.errors import DataError, FitError
from bayesinf.priors import Gamma, HalfCauchy, LogNormal, LogUniform, Prior

__all__ = [
    "LIKELIHOODS",
    "NOISE",
    "NORMAL",
    "Correlated",
    "Likelihood",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "Proportional",
    "Shot",
    "Student",
    "likelihood_of",
    "log_density",
]

NOISE = "noise"
Scatter = Mapping[str, np.ndarray]  # noise and own parameters, each broadcast against the mean


def log_density(y, mean, noise):
    """Pointwise log density of y under N(mean, noise²), normalised."""
    return -0.5 * ((y - mean) / noise) ** 2 - np.log(noise) - 0.5 * np.log(2 * np.pi)


class Likelihood(ABC):
    """p(y | mean, scatter), pointwise.

    Attributes
    ----------
    name : as an option spells it.
    equation : in LaTeX, for a report.
    noisy : whether it has the standard deviation ``noise``; counts have none.
    own : further parameters, all positive, to their priors.
    """

    name: ClassVar[str]
    equation: ClassVar[str]
    noisy: ClassVar[bool] = True
    own: Mapping[str, Prior] = MappingProxyType({})

    def __str__(self):
        return self.name

    @classmethod
    @abstractmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> Likelihood:
        """Return the likelihood with default priors for data of this extent.

        Raises
        ------
        DataError : data that cannot be of this kind.
        """

    def noise_prior(self, extent: float) -> Prior:
        """Return the default prior of the noise, for data that extend over so much."""
        return LogUniform(1e-15 * extent, 10 * extent)

    def start(self, y: np.ndarray, mean: np.ndarray, noise: np.ndarray) -> dict[str, float]:
        """Guess its own parameters from residuals of least squares and their noise."""
        return {}

    @abstractmethod
    def log_density(self, y: np.ndarray, mean: np.ndarray, scatter: Scatter) -> np.ndarray:
        """Log density of each observation, (..., observation); their sum is that of all."""

    @abstractmethod
    def draw(self, mean: np.ndarray, scatter: Scatter, rng: np.random.Generator) -> np.ndarray:
        """Draw data, (..., observation)."""

    @abstractmethod
    def expected(
        self, y: np.ndarray, mean: np.ndarray, scatter: Scatter
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale of each observation given those before it.

        (y − mean) / scale are the residuals that should be alike and know nothing of each other.
        """

    @abstractmethod
    def pymc(self, name: str, mean, scatter: Mapping[str, object], y: np.ndarray):
        """Add the observed variable ``name`` to the open PyMC model."""

    def left_out(self, y: np.ndarray, mean: np.ndarray, scatter: Scatter) -> np.ndarray | None:
        """Log density of each observation given all others; None where these say nothing of it."""
        return None


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
        whole = special.gammaln((dof + 1) / 2) - special.gammaln(dof / 2)
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


@dataclass(frozen=True)
class Poisson(Likelihood):
    """Counts, y_i / unit ~ Poisson(f_i / unit); the rate f must not be negative.

    Parameters
    ----------
    unit : of y for each count: 1 for counts, 1 / time for rates over a known time.
    """

    unit: float = 1.0
    name = "poisson"
    equation = r"y_i \sim \mathrm{Poisson}(f(x_i)),\ f \geq 0"
    noisy = False

    @classmethod
    def of(cls, x, y):
        """Return it; of data that are no counts there is none."""
        counted = (y >= 0) & (y == np.round(y))
        if not counted.all():
            first = int(np.argmin(counted))
            raise DataError(
                f"a {cls.name} likelihood is for counts",
                where=f"y at x = {x[first]:.6g}",
                expected="whole numbers that are not negative",
                found=f"{y[first]:.6g}",
                remedy="use the raw counts, or --likelihood normal, student or shot",
            )
        return cls()

    def _counts(self, y, mean):
        return np.round(np.asarray(y) / self.unit), np.asarray(mean) / self.unit

    def log_density(self, y, mean, scatter):  # noqa: D102
        count, mean = self._counts(y, mean)
        with np.errstate(all="ignore"):
            found = special.xlogy(count, mean) - mean - special.gammaln(count + 1)
        return np.where(mean >= 0, found, -np.inf)

    def draw(self, mean, scatter, rng):  # noqa: D102
        return self.unit * rng.poisson(_countable(mean / self.unit))

    def expected(self, y, mean, scatter):  # noqa: D102
        return mean, np.sqrt(np.maximum(mean, 1e-12 * self.unit) * self.unit)

    def pymc(self, name, mean, scatter, y):  # noqa: D102
        import pymc as pm

        counts, _ = self._counts(y, 0.0)
        return pm.Poisson(name, mean / self.unit, observed=counts.astype(int))


@dataclass(frozen=True)
class NegativeBinomial(Poisson):
    """Counts that scatter more than Poisson's: var y_i = f_i + excess · f_i², a rate that varies.

    The rate of each point is the curve times a gamma variable of mean 1 and variance ``excess``.
    """

    own: Mapping[str, Prior] = field(default_factory=lambda: {"noise_excess": HalfCauchy(0.3)})
    name = "negbinomial"
    equation = r"y_i \sim \mathrm{NegBin}(f(x_i)),\ \mathrm{var}(y_i) = f + \alpha f^2,\ f \geq 0"

    def start(self, y, mean, noise):  # noqa: D102
        count, mean = self._counts(y, mean)
        rate = np.maximum(mean, 1e-3)
        excess = np.mean((count - rate) ** 2 / rate - 1) / np.mean(rate)
        return {"noise_excess": float(max(excess, 1e-3))}

    def log_density(self, y, mean, scatter):  # noqa: D102
        count, mean = self._counts(y, mean)
        shape = 1 / scatter["noise_excess"]
        with np.errstate(all="ignore"):
            # Γ(y + shape) / Γ(shape) by its logarithm cancels where the excess vanishes.
            rising = np.where(
                shape > 1e6,
                count * np.log(shape) + count * (count - 1) / (2 * shape),
                special.gammaln(count + shape) - special.gammaln(shape),
            )
            found = rising - special.gammaln(count + 1) - shape * np.log1p(mean / shape)
            found = found + special.xlogy(count, mean) - count * np.log(mean + shape)
        return np.where(mean >= 0, found, -np.inf)

    def draw(self, mean, scatter, rng):  # noqa: D102
        excess = np.broadcast_to(scatter["noise_excess"], mean.shape)
        rate = _countable(mean / self.unit) * rng.gamma(1 / excess) * excess
        return self.unit * rng.poisson(_countable(rate))

    def expected(self, y, mean, scatter):  # noqa: D102
        rate = np.maximum(mean / self.unit, 1e-12)
        return mean, self.unit * np.sqrt(rate + scatter["noise_excess"] * rate**2)

    def pymc(self, name, mean, scatter, y):  # noqa: D102
        import pymc as pm

        counts, _ = self._counts(y, 0.0)
        shape = 1 / scatter["noise_excess"]
        mean = mean / self.unit
        return pm.NegativeBinomial(name, mu=mean, alpha=shape, observed=counts.astype(int))


def _countable(rate):
    """A rate of which NumPy can draw: a draw from a wide prior may be none."""
    return np.clip(np.nan_to_num(rate, nan=0.0, posinf=1e18), 0, 1e18)


LIKELIHOODS = {
    one.name: one
    for one in (Normal, Student, Poisson, NegativeBinomial, Proportional, Shot, Correlated)
}
AND_MEMORY = "+correlated"  # behind the name of a normal likelihood


def likelihood_of(name: str | Likelihood, x: np.ndarray, y: np.ndarray) -> Likelihood:
    """Return the likelihood of that name for data of this extent; one that stands already as it is.

    Parameters
    ----------
    name : one of ``LIKELIHOODS``; ``proportional+correlated`` and ``shot+correlated`` have memory
        besides.
    x, y : (point,), sorted by x.

    Raises
    ------
    FitError : an unknown name. DataError : data that cannot be of this kind.
    """
    if isinstance(name, Likelihood):
        return name
    first = name.removesuffix(AND_MEMORY)
    kind = LIKELIHOODS.get(first)
    if kind is None or (first != name and kind not in (Proportional, Shot)):
        raise FitError(
            f"unknown likelihood {name!r}: use one of {', '.join(LIKELIHOODS)}, "
            f"{', '.join(one.name + AND_MEMORY for one in (Proportional, Shot))}"
        )
    return kind.of(x, y) if first == name else Correlated.of(x, y, kind.of(x, y))
