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
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bayesinf import capacity
from bayesinf.diagnostics import Neighbours, neighbours
from bayesinf.errors import DataError
from bayesinf.models import ties
from bayesinf.models.likelihoods import NOISE, NORMAL, Likelihood, log_density
from bayesinf.models.problem import Draws, Outlook, Problem
from bayesinf.settings import Settings

__all__ = [
    "MEMORY",
    "RESIDUALS",
    "SHARED",
    "Discrepancy",
    "Measured",
    "ResidualMemory",
    "Shared",
    "Spread",
    "asked",
    "chi_square",
    "kept_draws",
    "largest_residual",
    "log_density",
    "neighbours_of",
    "refuse_unless_fits",
    "residual_memory",
    "residual_skewness",
    "residual_spread",
    "residual_tails",
    "summed",
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


def residual_tails(y, mean, noise):
    """Rms of the residuals over their mean size: noise of heavier tails shows here, or of lighter.

        T = √⟨z²⟩ / ⟨|z|⟩,   z = (y − mean) / noise,   about √(π/2) where z is normal

    The largest residual is one of them all; here all together say how heavy the tails are. The
    inverse of Geary's ratio, Biometrika 27, 310 (1935), doi:10.1093/biomet/27.3-4.310.
    """
    size = np.abs((y - mean) / noise)
    rms = np.sqrt(np.mean(size * size, axis=-1))
    return rms / np.maximum(np.mean(size, axis=-1), np.finfo(float).tiny)


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


# Numbers that one look at the data makes at a time: about as many as a processor's cache holds.
TOGETHER = 2**18
REPLICAS = 2**25  # numbers of replicas that are kept, unless a problem says otherwise

SWEEPS = 4  # of the power method: a pattern that stands out is found, others do not matter
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


@dataclass(frozen=True)
class Shared:
    """Share of the residuals' squares that one pattern across series carries, the same in time.

        T = |Σ_i u_i z_i|² / Σ_i |z_i|²,   z = (y − mean) / noise

    with u the unit vector that makes it largest, as near as ``SWEEPS`` steps of the power method
    come. What acts upon several series at once, and is not in the model, shows here: noise or a
    drive that they have in common, a clock that jitters.

    Parameters
    ----------
    count : series, whose observations stand one series after the other, instant by instant.
    """

    count: int

    def __call__(self, y: np.ndarray, mean: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return T, (...), of arrays that broadcast to (..., observation)."""
        z = (y - mean) / noise
        z = z.reshape(*z.shape[:-1], self.count, -1)
        together = z.sum(axis=-2)
        for _ in range(SWEEPS):
            pattern = np.einsum("...it,...t->...i", z, together)
            pattern /= np.maximum(np.linalg.norm(pattern, axis=-1, keepdims=True), 1e-300)
            together = np.einsum("...it,...i->...t", z, pattern)
        return np.sum(together**2, axis=-1) / np.sum(z * z, axis=(-2, -1))


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
MEMORY, SHARED = "residual memory", "noise that series share"
RESIDUALS: Mapping[str, Discrepancy] = {
    "largest residual": largest_residual,
    "residual skewness": residual_skewness,
    "residual tails": residual_tails,
    "residual spread": residual_spread,
}


def asked(
    order: Neighbours | None = None,
    *,
    known: bool = False,
    further: Mapping[str, Discrepancy] | None = None,
) -> dict[str, Discrepancy]:
    """Return all discrepancies that a fit with normal noise is asked, the caller's among them.

    Parameters
    ----------
    order : neighbours among the observations where these have an order, as of ``neighbours_of``;
        then the memory of the residuals is asked.
    known : whether the noise is known; then χ² judges its size.
    further : the caller's own, T(y, mean, noise) by name; they join the family's.

    Raises
    ------
    DataError : one of them bears a name of the family's, which it would replace.
    """
    own = dict(RESIDUALS)
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
    most_replicas = REPLICAS

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

    @property
    def stated(self) -> np.ndarray | None:
        """Error bars as the data state them; None where they state none."""
        return None

    def goodness(self, spread: Spread) -> dict[str, float]:
        """Return χ² of the posterior mean, and the degrees of freedom that it leaves.

            χ² = Σ (y_i − ⟨mean_i⟩)² / e_i²,   ν = n − Σ ⟨(mean_i − ⟨mean_i⟩)² / noise_i²⟩

        What is taken off n are the effective parameters (Spiegelhalter, Best, Carlin & van der
        Linde, JRSS B 64, 583 (2002), doi:10.1111/1467-9868.00353): of a linear model their number
        under a flat prior, and fewer under one that holds them.

        Parameters
        ----------
        spread : of the mean over the draws.

        Returns
        -------
        ``observations``, ``degrees_of_freedom`` and ``chi_square``, which without error bars is
        the ``residual_sum_of_squares``.
        """
        bars = 1.0 if self.stated is None else self.stated
        name = "residual_sum_of_squares" if self.stated is None else "chi_square"
        squares, size = float(np.sum(((self.y - spread.centre) / bars) ** 2)), self.y.size
        return {"observations": size, "degrees_of_freedom": size - spread.parameters, name: squares}

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

    @property
    def together(self) -> np.ndarray | None:
        """Block of each observation, (observation,), where the pointwise log likelihood is that of
        blocks, which leave-one-out then leaves out whole; None where each observation is one.
        """
        return None

    def memory(self, settings: Settings) -> float:
        """Bytes of one look at the data, and of what is kept of several."""
        blocks = None if self.together is None else int(np.max(self.together) + 1)
        return _of_points(np.size(self.y), settings, self.most_replicas, blocks)

    def outlook(self, draws: Draws, settings: Settings) -> Outlook:
        """Look at the data from draws, some at a time; the mean, which may be dear, is evaluated
        once. Of many draws of many data, replicas are kept of some draws.
        """
        shape = np.shape(next(iter(draws.values())))[:2]
        flat = {k: np.reshape(v, (-1, *np.shape(v)[2:])) for k, v in draws.items()}
        total, size = shape[0] * shape[1], np.size(self.y)
        batch = max(1, min(total, TOGETHER // size))
        kept = kept_draws(shape, size, self.most_replicas)
        rng, name, parts = settings.generator("posterior predictive"), self.measured, []
        spread, tied = Spread(), ties.Ties.of(self.y)
        for start in range(0, total, batch):
            some = {key: values[start : start + batch] for key, values in flat.items()}
            places = np.arange(start, min(start + batch, total)) % shape[1]
            shown = slice(None) if kept is None else np.isin(places, kept)
            parts.append(self._looked(some, rng, shown, spread, tied))
        replicas, of_replicas, of_data, density = ([part[k] for part in parts] for k in range(4))

        def joined(arrays):
            whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
            return whole.reshape(shape[0], -1, *whole.shape[1:])

        density = {key: joined([one[key] for one in density]) for key in density[0]}
        shared = {} if tied is None else tied.asked
        return Outlook(
            {name: joined(replicas)},
            density,
            joined(of_replicas),
            joined(of_data),
            whole=self.goodness(spread) | shared.get("whole", {}),
            kept=kept,
            questions=shared.get("questions", ()),
        )

    def _looked(self, draws, rng, kept, spread, tied):
        """Replicas of the draws that are kept, discrepancies of all and of the data, (draw, ...),
        and the density of the data.
        """
        mean, scatter, name = self.mean(draws), self.scatter(draws), self.measured
        if NOISE in scatter:
            spread.add(mean, np.asarray(scatter[NOISE]))
        replicas = self.likelihood.draw(mean, scatter, rng)
        if tied is not None:
            tied.add(replicas, mean)
        of_replicas, of_data = (
            np.stack([t(y, *expected) for t in self.discrepancies.values()], axis=-1)
            for y in (replicas, self.y)
            for expected in [self.likelihood.expected(y, mean, scatter)]
        )
        density = {name: self.likelihood.log_density(self.y, mean, scatter)}
        left_out = self.likelihood.left_out(self.y, mean, scatter)
        density |= {} if left_out is None else {f"{name}_marginal": left_out}
        if self.together is not None:
            density = {key: summed(values, self.together) for key, values in density.items()}
        return replicas[kept], of_replicas, of_data, density


class Spread:
    """How far the mean of the data moves from draw to draw, summed up batch by batch."""

    def __init__(self):
        self.count, self.start, self.sums = 0, None, 0.0

    def add(self, mean: np.ndarray, noise: np.ndarray) -> None:
        """Count some draws of mean and noise, (draw, observation)."""
        # From the first draw, so that nothing large cancels.
        self.start = mean[0] if self.start is None else self.start
        away, weight = mean - self.start, np.broadcast_to(1 / np.square(noise), mean.shape)
        self.count += len(mean)
        parts = away, weight, weight * away, weight * away**2
        self.sums = self.sums + np.stack([part.sum(axis=0) for part in parts])

    @property
    def centre(self) -> np.ndarray:
        """Mean over the draws, (observation,)."""
        return self.start + self.sums[0] / self.count

    @property
    def parameters(self) -> float:
        """Σ ⟨(mean_i − ⟨mean_i⟩)² / noise_i²⟩, the effective parameters."""
        away, weight, first, second = self.sums / self.count
        return float(np.sum(second - 2 * away * first + away**2 * weight))


def kept_draws(shape: tuple[int, int], size: int, limit: float = REPLICAS) -> np.ndarray | None:
    """Return positions of the draws of each chain whose replicas are kept; None for all.

    Parameters
    ----------
    shape : chains and draws.
    size : observations.
    limit : numbers that may be kept.
    """
    most = max(1, int(limit // (shape[0] * size)))
    if most >= shape[1]:
        return None
    return np.unique(np.linspace(0, shape[1] - 1, most).astype(int))


def summed(values: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Return sums over the observations of each block, (draw, block).

    Parameters
    ----------
    values : (draw, observation).
    blocks : of each observation, (observation,).
    """
    order = np.argsort(blocks, kind="stable")
    first = np.searchsorted(blocks[order], np.arange(blocks.max() + 1))
    ordered = values if np.array_equal(order, np.arange(len(order))) else values[..., order]
    return np.add.reduceat(ordered, first, axis=-1)


def _of_points(points, settings, replicas=REPLICAS, blocks=None):
    """Bytes of mean, scatter, replicas, expectation and density of the draws looked at together; of
    several batches also of what is kept of each, and once more as it is joined.
    """
    draws, size = settings.chains * settings.draws, float(points)
    if draws * size <= TOGETHER:
        return 5.0 * 8.0 * draws * size
    kept = min(draws * size, replicas) + draws * (size if blocks is None else blocks)
    return 8.0 * (5.0 * (TOGETHER + size) + 2.0 * kept)


def refuse_unless_fits(points: int, settings: Settings) -> None:
    """Refuse more data than a fit has memory for, before a search for its optimum begins.

    Raises
    ------
    MachineError : how many draws, or how many of the data, would fit.
    """
    limit = capacity.SHARE * capacity.available()

    def of_draws(draws):
        return _of_points(points, settings.replace(draws=max(4, draws)))

    def of_every(step):
        return -_of_points(points // step, settings)

    fewer = bisect_right(range(settings.draws), limit, key=of_draws)
    step = 1 + bisect_left(range(1, points), -limit, key=of_every)
    capacity.require(
        _of_points(points, settings),
        f"{settings.chains * settings.draws} draws of {points} points",
        f"average the data in bins, or take every {step}th of them or a part, "
        f"or at most {max(0, fewer - 1)} draws in each of {settings.chains} chains",
    )
