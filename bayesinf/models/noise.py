"""The measurement: data about a mean, shared by every family that has one.

A ``Measured`` problem says its mean and its scatter at some draws, normal noise unless it has
another of ``likelihoods``; from these follow the replicated data, the pointwise log likelihood and
the discrepancies, that is the statistics T(y, θ) of the data and of their replicas from which
posterior predictive p-values are read (Gelman, Meng & Stern 1996). They are stored beside the
replicas, so a posterior can be checked from its file alone. ``asked`` says which they are: a family
is always asked its own, and whoever uses it can only add to them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bayesinf.diagnostics import Neighbours, neighbours
from bayesinf.errors import DataError
from bayesinf.models.likelihoods import NOISE, NORMAL, Likelihood, log_density
from bayesinf.models.problem import Draws, Outlook, Problem
from bayesinf.settings import Settings

__all__ = [
    "MEMORY",
    "RESIDUALS",
    "Discrepancy",
    "Measured",
    "ResidualMemory",
    "asked",
    "chi_square",
    "largest_residual",
    "log_density",
    "neighbours_of",
    "residual_memory",
    "residual_skewness",
    "residual_spread",
]

# Takes y, the mean and the noise, broadcast to (..., observation), and drops the last axis.
Discrepancy = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _in_units_of_their_spread(y, mean, noise):
    """Residuals over the noise, divided by their own rms.

    So the shape of the residuals is judged and not their size, which an inferred noise follows
    anyway; with stated error bars ``chi_square`` judges the size.
    """
    z = (y - mean) / noise
    rms = np.sqrt(np.mean(z * z, axis=-1, keepdims=True))
    return z / np.maximum(rms, np.finfo(float).tiny)


def largest_residual(y, mean, noise):
    """Largest absolute residual, in units of their rms: outliers show here."""
    return np.max(np.abs(_in_units_of_their_spread(y, mean, noise)), axis=-1)


def residual_skewness(y, mean, noise):
    """Third moment of the residuals, in units of their rms: lopsided noise shows here."""
    z = _in_units_of_their_spread(y, mean, noise)
    return np.mean(z * z * z, axis=-1)


def residual_spread(y, mean, noise):
    """Correlation of the residuals' size with the mean: noise that grows with it shows here.

    T = corr(|y_i − mean_i| / noise_i, mean_i),   0 where the mean is the same everywhere
    """
    size = np.abs((y - mean) / noise)
    size, along = size - size.mean(axis=-1, keepdims=True), np.broadcast_to(mean, size.shape)
    # Of a mean that varies by rounding alone, nothing can be said.
    even = np.ptp(along, axis=-1) <= 1e-9 * np.max(np.abs(along), axis=-1)
    along = along - along.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(size, axis=-1) * np.linalg.norm(along, axis=-1)
    found = np.sum(size * along, axis=-1) / np.maximum(length, np.finfo(float).tiny)
    return np.where(even, 0.0, found)


QUIET = 0.25  # mean square of residuals over the noise from which they are measured by themselves


@dataclass(frozen=True, eq=False)
class ResidualMemory:
    """Correlation of neighbouring residuals: a trend left over shows here.

        T = mean of z_i z_j over neighbours i, j  /  max(mean of z², ¼),   z = (y − mean) / noise

    Residuals below half the noise, as of data without any, are smooth, and no trend is left over in
    them that such noise would show: they are measured by the noise and not by themselves.

    Parameters
    ----------
    order : which observations are neighbours, whatever the order in which they stand.
    """

    order: Neighbours

    def __call__(self, y: np.ndarray, mean: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return T, (...), of arrays that broadcast to (..., observation)."""
        z = (y - mean) / noise
        products = np.mean(z[..., self.order.earlier] * z[..., self.order.later], axis=-1)
        return products / np.maximum(np.mean(z * z, axis=-1), QUIET)


def residual_memory(y, mean, noise):
    """The same along the rows as they stand, for data whose order no coordinate tells."""
    z = (y - mean) / noise
    return np.mean(z[..., 1:] * z[..., :-1], axis=-1) / np.maximum(np.mean(z * z, axis=-1), QUIET)


def chi_square(y, mean, noise):
    """Sum of squared standardised residuals: wrongly stated error bars show here."""
    return np.sum(((y - mean) / noise) ** 2, axis=-1)


# Over 200 simulated spectra of 120 points each, all statistics together refused 0.5 % of right fits
# (95 % interval 0 to 2.8 %) and caught noise of 10 % of the signal in all, noise whose neighbours
# correlate by 0.6 in 99.5 % of them (``workflows/trials.py gaussian_peaks``). The floor ``QUIET``
# of the memory was chosen by two data sets, and these shares are the same with it. It has a trial
# of its own, energies without noise, rounded and with slow noise (``... lennard_jones``): in a
# first look at 15 right tables, 4 without noise and 4 rounded, the memory refused none with any
# floor from 0 to 1, and caught slow noise of full size in 2 of 2 with each of them.
MEMORY = "residual memory"
RESIDUALS: Mapping[str, Discrepancy] = {
    "largest residual": largest_residual,
    "residual skewness": residual_skewness,
    "residual spread": residual_spread,
}


def asked(
    order: Neighbours | None = None,
    *,
    known: bool = False,
    fitted: bool = True,
    further: Mapping[str, Discrepancy] | None = None,
) -> dict[str, Discrepancy]:
    """Return all discrepancies that a fit with normal noise is asked, the caller's among them.

    Parameters
    ----------
    order : neighbours among the observations where these have an order, as of ``neighbours_of``;
        then the memory of the residuals is asked.
    known : whether the noise is known; then χ² judges its size.
    fitted : whether the statistics are given fitted values; of residuals alone, as those of
        leave-one-out are, it cannot be asked whether they spread with the signal.
    further : the caller's own, T(y, mean, noise) by name; they join the family's.

    Raises
    ------
    DataError : one of them bears a name of the family's, which it would replace.
    """
    own = {name: t for name, t in RESIDUALS.items() if fitted or t is not residual_spread}
    own |= {} if order is None else {MEMORY: ResidualMemory(order)}
    own |= {"chi-square": chi_square} if known else {}
    taken = own.keys() & (further or {}).keys()
    if taken:
        raise DataError(
            f"{', '.join(sorted(taken))} is a statistic of the family's, which cannot be replaced",
            where="discrepancies",
            expected="statistics that join those of every fit",
            remedy="give it another name",
        )
    return own | dict(further or {})


def neighbours_of(
    coords: Mapping[str, object], dim: str, groups: np.ndarray | None = None
) -> Neighbours | None:
    """Return which observations are neighbours, as ``diagnostics.neighbours`` tells it.

    Parameters
    ----------
    coords : name to coordinate, an array under the name of ``dim``, a DataArray under any other.
    dim : of the observations.
    groups : label of each observation, (observation,), where those of two groups are no neighbours.

    Returns
    -------
    the neighbours along the coordinate that is an order, within each repeat where a coordinate
    tells repeats apart; None where there is no order.
    """
    along = {name: c for name, c in coords.items() if name == dim or _along(c, dim)}
    along |= {} if groups is None else {"group": groups}
    size = max((np.size(c) for c in along.values()), default=0)
    return neighbours(dim, size, along)


def _along(coordinate, dim):
    return getattr(coordinate, "dims", None) == (dim,)


class Measured(Problem):
    """A problem whose data are a mean plus noise, normal unless it says otherwise.

        y_i ~ N(mean_i, noise_i²)

    A family, a dataclass with the field ``y``, writes ``mean`` and ``noise_sd``; one that knows
    other likelihoods than the normal also ``likelihood`` and ``scatter``. Here T of
    ``discrepancies`` takes (y, mean, noise), each given the observations before it.
    """

    y: np.ndarray
    likelihood: Likelihood = NORMAL

    @abstractmethod
    def mean(self, draws: Draws) -> np.ndarray:
        """Mean of the data, (..., observation)."""

    @abstractmethod
    def noise_sd(self, draws: Draws) -> np.ndarray:
        """Standard deviation of the noise, in a shape that broadcasts against the mean."""

    def scatter(self, draws: Draws) -> Draws:
        """Return what the likelihood needs besides the mean, which it broadcasts against."""
        return {NOISE: self.noise_sd(draws)}

    @property
    def measured(self) -> str:
        """Name of the data."""
        return next(iter(self.observed.data_vars))

    def log_likelihood(self, draws: Draws) -> Draws:
        """Pointwise log likelihood, log N(y; mean, noise²) or what the likelihood says."""
        mean, scatter = self.mean(draws), self.scatter(draws)
        return {self.measured: self.likelihood.log_density(self.y, mean, scatter)}

    def replicate(self, draws: Draws, rng: np.random.Generator) -> Draws:
        """Draw data like those observed."""
        return {self.measured: self.likelihood.draw(self.mean(draws), self.scatter(draws), rng)}

    def observing(self, data: Draws) -> Measured:
        """Return the same model of other data."""
        return replace(self, y=np.asarray(data[self.measured]))

    def memory(self, settings: Settings) -> float:
        """Mean, scatter, replicas, their expectation and density: five numbers a draw and point."""
        return 5.0 * 8.0 * settings.chains * settings.draws * np.size(self.y)

    def outlook(self, draws: Draws, settings: Settings) -> Outlook:
        """Look at the data from draws; the mean, which may be dear, is evaluated once."""
        mean, scatter, name = self.mean(draws), self.scatter(draws), self.measured
        replicas = self.likelihood.draw(mean, scatter, settings.generator("posterior predictive"))
        of_replicas, of_data = (
            np.stack([t(y, *expected) for t in self.discrepancies.values()], axis=-1)
            for y in (replicas, self.y)
            for expected in [self.likelihood.expected(y, mean, scatter)]
        )
        density = {name: self.likelihood.log_density(self.y, mean, scatter)}
        left_out = self.likelihood.left_out(self.y, mean, scatter)
        density |= {} if left_out is None else {f"{name}_marginal": left_out}
        return Outlook({name: replicas}, density, of_replicas, of_data)
