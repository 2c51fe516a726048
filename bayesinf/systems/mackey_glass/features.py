"""What a forecast sees of the past: lags, products of them, random features, a reservoir.

Each kind turns the values up to a sample into features from which the next is read off linearly,
and goes on from there one value at a time, for many futures at once. Features that are not lags see
the series less its mean and in units of its spread, both of the past alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from math import comb

import numpy as np

from bayesinf.errors import DataError

__all__ = ["KINDS", "Features", "Lags", "Polynomial", "RandomFeatures", "Reservoir", "named"]

MOST = 2000  # features of a kind
MARGIN = 0.1  # share of the range of the past by which values may lie beyond it


@dataclass(frozen=True)
class Features(ABC):
    """Features of a series, sample by sample.

    A state is an array (..., number), from which features are read off; ``advance`` takes it on by
    a value. States of many futures lead with an axis of theirs.

    Parameters
    ----------
    centre, scale : of the series, by which values are standardised.
    bounds : least and largest standardised value that features see: nothing was learnt beyond, and
        a free run that is shown no more does not run away.
    """

    centre: float = 0.0
    scale: float = 1.0
    bounds: tuple[float, float] = field(default=(-np.inf, np.inf), kw_only=True)

    @property
    @abstractmethod
    def reach(self) -> int:
        """Samples that must be seen before the first features."""

    @property
    @abstractmethod
    def labels(self) -> np.ndarray:
        """A label for each feature."""

    @abstractmethod
    def rows(self, values: np.ndarray) -> np.ndarray:
        """Features after each sample from ``reach`` on: (time,) -> (time − reach + 1, feature)."""

    @abstractmethod
    def state(self, values: np.ndarray) -> np.ndarray:
        """State after all values, (time,) -> (number,)."""

    @abstractmethod
    def read(self, state: np.ndarray) -> np.ndarray:
        """Features of states, (..., number) -> (..., feature)."""

    @abstractmethod
    def advance(self, state: np.ndarray, value: np.ndarray) -> np.ndarray:
        """States after a further value each, (..., number) and (...)."""

    def standard(self, values):
        """Values less the mean, in units of the spread, within the bounds."""
        return np.clip((values - self.centre) / self.scale, *self.bounds)


@dataclass(frozen=True)
class Lags(Features):
    """y_k, y_{k−1}, ..., newest first, less their mean; of ``lookback`` in steps of ``spacing``."""

    lookback: int = 50
    spacing: int = 1

    def __post_init__(self):
        if self.lookback < 1 or self.spacing < 1:
            raise DataError(
                "no lags to see", expected="lookback and spacing from 1", found=self.lookback
            )

    @property
    def reach(self):
        """As of ``Features``."""
        return (self.lookback - 1) * self.spacing + 1

    @property
    def labels(self):
        """Samples from the newest."""
        return self.spacing * np.arange(self.lookback)

    def rows(self, values):
        """As of ``Features``."""
        return self.read(np.ascontiguousarray(self._windows(values)))

    def _windows(self, values):
        """The values within reach of each sample, newest first, (time − reach + 1, reach)."""
        if len(values) < self.reach:
            raise DataError(
                "the series is shorter than what a forecast looks back",
                expected=f"more than {self.reach} values",
                found=len(values),
                remedy="look back less (--lookback)",
            )
        seen = np.lib.stride_tricks.sliding_window_view(self.standard(values), self.reach)
        return seen[:, ::-1]

    def state(self, values):
        """As of ``Features``: the standardised values, newest first."""
        return self._windows(values)[-1].copy()

    def read(self, state):
        """As of ``Features``."""
        return state[..., :: self.spacing]

    def advance(self, state, value):
        """As of ``Features``."""
        return np.concatenate([self.standard(value)[..., np.newaxis], state[..., :-1]], axis=-1)


@dataclass(frozen=True)
class Polynomial(Lags):
    """Lags and their products up to a degree: nonlinear vector autoregression.

    Gauthier, Bollt, Griffith & Barbosa, Nat. Commun. 12, 5564 (2021),
    doi:10.1038/s41467-021-25801-2.
    """

    lookback: int = 8
    spacing: int = 2
    degree: int = 3

    def __post_init__(self):
        super().__post_init__()
        count = comb(self.lookback + self.degree, self.degree) - 1
        if self.degree < 1 or count > MOST:
            raise DataError(
                "too many products of lags", expected=f"{MOST} features at most", found=count
            )

    @property
    def products(self) -> list[tuple[int, ...]]:
        """Positions of the lags in each product."""
        degrees, lags = range(1, self.degree + 1), range(self.lookback)
        return [one for d in degrees for one in combinations_with_replacement(lags, d)]

    @property
    def labels(self):
        """Lags in each product, in samples."""
        return np.array(["·".join(str(self.spacing * k) for k in one) for one in self.products])

    def read(self, state):
        """As of ``Features``; each product takes up a shorter one."""
        lags, found = super().read(state), {(): 1.0}
        for one in self.products:
            found[one] = found[one[:-1]] * lags[..., one[-1]]
        return np.stack([found[one] for one in self.products], axis=-1)


@dataclass(frozen=True)
class RandomFeatures(Lags):
    """Lags, and tanh(w · lags + b) with weights drawn once and for all.

    Parameters
    ----------
    count : of random features.
    width : of their argument, root mean square, which is at most about that strongly nonlinear.
    seed : of weights and offsets.

    Huang, Zhu & Siew, Neurocomputing 70, 489 (2006), doi:10.1016/j.neucom.2005.12.126.
    """

    lookback: int = 20
    spacing: int = 1
    count: int = 300
    width: float = 1.0
    seed: int = 1

    def __post_init__(self):
        super().__post_init__()
        rng = np.random.default_rng(self.seed)
        shape = self.lookback, self.count
        object.__setattr__(
            self, "weights", self.width * rng.standard_normal(shape) / shape[0] ** 0.5
        )
        object.__setattr__(self, "offsets", rng.uniform(-1.0, 1.0, self.count))

    @property
    def labels(self):
        """Lags by their samples, then random features by number."""
        lags = [f"lag {k}" for k in super().labels]
        return np.array(lags + [f"random {k}" for k in range(self.count)])

    def read(self, state):
        """As of ``Features``."""
        lags = super().read(state)
        return np.concatenate([lags, np.tanh(lags @ self.weights + self.offsets)], axis=-1)


@dataclass(frozen=True)
class Reservoir(Features):
    """A recurrent network with fixed random weights, which the series drives.

        r ← (1 − leak) r + leak tanh(W r + w_in z + b),   features: z, r and r² of every other unit

    Parameters
    ----------
    units : of the network.
    radius : spectral radius of W.
    leak : share of a state that is new.
    drive : size of w_in, and half of that of b.
    links : non-zero weights of a unit.
    washout : samples before the first that is learnt from, until the start is forgotten.
    seed : of all weights.

    Jaeger & Haas, Science 304, 78 (2004), doi:10.1126/science.1091277; Pathak, Hunt, Girvan, Lu &
    Ott, Phys. Rev. Lett. 120, 024102 (2018), doi:10.1103/PhysRevLett.120.024102, square half of
    the units, which breaks the symmetry of r → −r.
    """

    units: int = 300
    radius: float = 0.9
    leak: float = 0.5
    drive: float = 0.5
    links: int = 10
    washout: int = 100
    seed: int = 1

    def __post_init__(self):
        if not (1 <= self.units <= MOST and 0 < self.leak <= 1 and self.washout >= 1):
            raise DataError(
                "no such reservoir",
                expected=f"1 to {MOST} units, a leak up to 1, a washout from 1",
                found=f"{self.units}, {self.leak}, {self.washout}",
            )
        rng = np.random.default_rng(self.seed)
        W = rng.uniform(-1.0, 1.0, (self.units, self.units))
        W *= rng.random(W.shape) < min(self.links / self.units, 1.0)
        W *= self.radius / max(np.abs(np.linalg.eigvals(W)).max(), 1e-12)
        into = rng.uniform(-1.0, 1.0, self.units)
        offset = 0.5 * rng.uniform(-1.0, 1.0, self.units)
        for name, value in (("W", W.T.copy()), ("into", into), ("offset", self.drive * offset)):
            object.__setattr__(self, name, value)

    @property
    def reach(self):
        """As of ``Features``."""
        return self.washout

    @property
    def labels(self):
        """The value, units by number, squares of every other unit."""
        units = range(self.units)
        squares = [f"unit {k} squared" for k in units[::2]]
        return np.array(["value", *(f"unit {k}" for k in units), *squares])

    def rows(self, values):
        """As of ``Features``."""
        return self.read(self._states(values)[self.washout - 1 :])

    def state(self, values):
        """As of ``Features``: the value and the units."""
        return self._states(values)[-1]

    def _states(self, values):
        if len(values) < self.washout:
            raise DataError(
                "the series is shorter than the washout",
                expected=f"more than {self.washout} values",
                found=len(values),
            )
        states, state = np.empty((len(values), self.units + 1)), np.zeros(self.units + 1)
        for k, value in enumerate(values):
            states[k] = state = self.advance(state, value)
        return states

    def read(self, state):
        """As of ``Features``."""
        return np.concatenate([state, state[..., 1::2] ** 2], axis=-1)

    def advance(self, state, value):
        """As of ``Features``."""
        z, r = self.standard(np.asarray(value))[..., np.newaxis], state[..., 1:]
        new = np.tanh(r @ self.W + self.drive * z * self.into + self.offset)
        return np.concatenate([z, (1 - self.leak) * r + self.leak * new], axis=-1)


KINDS: dict[str, type[Features]] = {
    "lags": Lags,
    "polynomial": Polynomial,
    "random": RandomFeatures,
    "reservoir": Reservoir,
}


def named(kind: str | Features, values: np.ndarray, **options) -> Features:
    """Return features by name, standardised by the values of the past.

    Parameters
    ----------
    kind : a name of ``KINDS``, or features as they are.
    values : of the past alone, (time,).
    **options : of the kind; those that are None are left out.

    Raises
    ------
    DataError : no such kind.
    """
    if isinstance(kind, Features):
        return kind
    if kind not in KINDS:
        raise DataError("no such features", expected=f"one of {', '.join(KINDS)}", found=kind)
    options = {name: value for name, value in options.items() if value is not None}
    centre = float(np.mean(values))
    if kind == "lags":  # whose coefficients are then numbers without a unit
        return Lags(centre, **options)
    scale = float(np.std(values)) or 1.0
    low, high = (float(np.min(values)) - centre) / scale, (float(np.max(values)) - centre) / scale
    bounds = low - MARGIN * (high - low), high + MARGIN * (high - low)
    return KINDS[kind](centre, scale, bounds=bounds, **options)
