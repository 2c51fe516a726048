"""Counts, whose mean, a rate, must not be negative, and outcomes, whose mean is a probability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import scipy

from bayesinf.errors import DataError
from bayesinf.models.likelihoods.base import TRIALS, Likelihood
from bayesinf.priors import HalfCauchy, Prior

__all__ = ["Bernoulli", "Binomial", "NegativeBinomial", "Poisson"]


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
            found = scipy.special.xlogy(count, mean) - mean - scipy.special.gammaln(count + 1)
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
                scipy.special.gammaln(count + shape) - scipy.special.gammaln(shape),
            )
            found = rising - scipy.special.gammaln(count + 1) - shape * np.log1p(mean / shape)
            found = found + scipy.special.xlogy(count, mean) - count * np.log(mean + shape)
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


@dataclass(frozen=True)
class Bernoulli(Likelihood):
    """Outcomes 0 or 1, y_i = 1 with probability f_i."""

    name = "bernoulli"
    equation = r"y_i \sim \mathrm{Bernoulli}(f(x_i))"
    noisy = False

    @classmethod
    def of(cls, x, y):
        """Return it; of data that are not 0 or 1 there is none."""
        other = (y != 0) & (y != 1)
        if np.any(other):
            row = int(np.argmax(other))
            raise DataError(
                "outcomes are 0 or 1",
                where=f"row {row}",
                expected="0 or 1 in each row",
                found=f"{y[row]:.6g}",
            )
        return cls()

    def log_density(self, y, mean, scatter):  # noqa: D102
        return scipy.special.xlogy(y, mean) + scipy.special.xlog1py(1 - y, -mean)

    def draw(self, mean, scatter, rng):  # noqa: D102
        return (rng.random(np.shape(mean)) < mean).astype(float)

    def expected(self, y, mean, scatter):  # noqa: D102
        return mean, np.sqrt(np.maximum(mean * (1 - mean), 1e-12))

    def pymc(self, name, mean, scatter, y):  # noqa: D102
        import pymc as pm

        return pm.Bernoulli(name, p=mean, observed=np.asarray(y).astype(int))


@dataclass(frozen=True)
class Binomial(Likelihood):
    """How many of n_i trials succeed, y_i ~ Binomial(n_i, f_i), with the mean n_i f_i.

    The trials are known, and stand in ``scatter``.
    """

    name = "binomial"
    equation = r"y_i \sim \mathrm{Binomial}(n_i, f(x_i))"
    noisy = False

    @classmethod
    def of(cls, x, y):
        """Return it."""
        return cls()

    def log_density(self, y, mean, scatter):  # noqa: D102
        trials, gammaln = scatter[TRIALS], scipy.special.gammaln
        ways = gammaln(trials + 1) - gammaln(y + 1) - gammaln(trials - y + 1)
        chance = mean / trials
        return ways + scipy.special.xlogy(y, chance) + scipy.special.xlog1py(trials - y, -chance)

    def draw(self, mean, scatter, rng):  # noqa: D102
        trials = scatter[TRIALS]
        return rng.binomial(trials.astype(int), mean / trials).astype(float)

    def expected(self, y, mean, scatter):  # noqa: D102
        trials = scatter[TRIALS]
        return mean, np.sqrt(np.maximum(mean * (1 - mean / trials), 1e-12))

    def pymc(self, name, mean, scatter, y):  # noqa: D102
        import pymc as pm

        trials = scatter[TRIALS]
        return pm.Binomial(
            name, n=trials.astype(int), p=mean / trials, observed=np.asarray(y).astype(int)
        )
