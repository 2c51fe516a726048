"""Motions: simulated springs and pendulums, or those of a file, with their rates where measured.

A Dataset of motions is one of series (``bayesinf.data.series``): ``q`` and ``p`` (repeat, step)
with the times, and ``dq_dt`` and ``dp_dt`` where rates of change were measured as well.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import data as reading
from bayesinf.data import series_from_arrays, times
from bayesinf.data.columns import known_name
from bayesinf.errors import DataError
from bayesinf.posterior import annotated, dataset
from bayesinf.settings import DEFAULT
from bayesinf.systems.hamiltonian.energies import Frame

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "RATES",
    "STATES",
    "SYSTEMS",
    "Record",
    "read",
    "simulate",
    "some",
    "split",
    "true_energy",
]

STATES, RATES = ("q", "p"), ("dq_dt", "dp_dt")
WINDOW = 60  # instants of a path; longer ones are cut, each part with an initial state of its own
NAMES = {
    "q": ("q", "x", "theta", "θ", "phi", "angle", "position", "o"),
    "p": ("p", "omega", "ω", "momentum", "velocity", "v"),
    "dq_dt": ("dq_dt", "q_dot", "qdot", "dq", "q̇"),
    "dp_dt": ("dp_dt", "p_dot", "pdot", "dp", "ṗ"),
}


@dataclass(frozen=True)
class System:
    """H = c V(q) + k p², and how it is looked at by default."""

    c: float
    k: float
    swing: bool  # V = 1 − cos q, else q²
    instants: int
    radius: tuple[float, float]

    def value(self, x: np.ndarray) -> np.ndarray:
        """Energy at states (..., 2)."""
        q, p = np.moveaxis(x, -1, 0)
        return self.c * (1 - np.cos(q) if self.swing else q**2) + self.k * p**2

    def rates(self, x: np.ndarray, gamma: float) -> np.ndarray:
        """(q̇, ṗ) at states (..., 2)."""
        q, p = np.moveaxis(x, -1, 0)
        force = self.c * (np.sin(q) if self.swing else 2 * q)
        return np.stack([2 * self.k * p, -force - gamma * p], axis=-1)


SYSTEMS = {
    "spring": System(1.0, 1.0, False, 30, (0.1, 1.0)),
    "pendulum": System(3.0, 1.0, True, 45, (1.3, 2.3)),
}


def simulate(
    system: str = "spring",
    trials: int = 50,
    *,
    noise: float = 0.1,
    rate_noise: float | None = 0.1,
    damping: float = 0.0,
    duration: float = 3.0,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Simulate a mass on a spring, H = q² + p², or a pendulum, H = 3 (1 − cos q) + p².

    Parameters
    ----------
    system : ``spring`` (30 instants, radius of the initial state 0.1 to 1) or ``pendulum`` (45
        instants, 1.3 to 2.3), in every direction of the phase plane alike.
    trials : motions; half of them are to be held out (``split``).
    noise : sd of the noise in q and p.
    rate_noise : sd of that in the rates; None where rates are not measured.
    damping : γ in ṗ = −∂H/∂q − γ p.
    duration : of each, from 0.
    rng : by default the stream "simulate" of the default settings.

    Returns
    -------
    Dataset of motions with the ``truth``, and in ``path`` the states without noise.

    Raises
    ------
    DataError : an unknown system, fewer than two trials.
    """
    rng = DEFAULT.generator("simulate") if rng is None else rng
    if system not in SYSTEMS or trials < 2:
        raise DataError(
            "no such motions",
            expected=f"one of {', '.join(SYSTEMS)} and two trials or more",
            found=f"{system} and {trials}",
        )
    kind = SYSTEMS[system]
    when = np.linspace(0.0, duration, kind.instants)
    radius, angle = rng.uniform(*kind.radius, trials), rng.uniform(0, 2 * np.pi, trials)
    x = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    fine, path = 20, [x]
    h = when[1] / fine
    for _ in range(fine * (len(when) - 1)):  # fourth order, its error far below the noise
        k1 = kind.rates(x, damping)
        k2 = kind.rates(x + h / 2 * k1, damping)
        k3 = kind.rates(x + h / 2 * k2, damping)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + kind.rates(x + h * k3, damping))
        path.append(x)
    path = np.stack(path[::fine], axis=1)
    rates = kind.rates(path, damping)
    columns = dict(zip(STATES, np.moveaxis(path, -1, 0), strict=True))
    columns = {n: v + noise * rng.standard_normal(v.shape) for n, v in columns.items()}
    sds = {"q": noise, "p": noise}
    if rate_noise is not None:
        pair = zip(RATES, np.moveaxis(rates, -1, 0), strict=True)
        columns |= {n: v + rate_noise * rng.standard_normal(v.shape) for n, v in pair}
        sds |= dict.fromkeys(RATES, rate_noise)
    found = series_from_arrays(np.tile(when, (trials, 1)), columns).rename(time="t")
    found = found.assign_attrs(time="t", system=system)
    for name in found.variables:
        found[name].attrs.setdefault("units", "1")
    return annotated(found, truth=_true(sds, damping, path, found))


def true_energy(motions: xr.Dataset) -> System | None:
    """The energy of simulated motions; None where it is not known."""
    return SYSTEMS.get(motions.attrs.get("system"))


def read(
    path: str | os.PathLike,
    *,
    q: str | int | None = None,
    p: str | int | None = None,
    rates: tuple[str | int, str | int] | None = None,
    time: str | int | None = None,
    trial: str | int | None = None,
    decimal: str | None = None,
) -> xr.Dataset:
    """Read motions: columns of times, q and p, of trials, and of rates where they were measured.

    Parameters
    ----------
    path : a table or arrays, as ``bayesinf.data.series`` reads them.
    q, p, rates : columns, by name or position from 1; by default found by well-known names.
    time, trial : likewise.
    decimal : decimal mark of a table of text.

    Raises
    ------
    DataError : what cannot be read; no column for q or p; fewer than five instants of a motion.
    """
    held = reading.read(path, decimal=decimal)
    if "truth.path" in held:
        return _stored(held)
    columns = {name: held[name] for name in held.variables if held[name].ndim == 1}
    wanted: dict[str, str | int] = {}
    for name, given in (("q", q), ("p", p)):
        found = known_name(columns, NAMES[name]) if given is None else given
        if found is None:
            raise DataError(
                f"there is no column for {name}",
                source=path,
                expected=f"one called {', '.join(NAMES[name][:4])}",
                found=", ".join(map(str, columns)),
                remedy=f"name it by --{name}",
            )
        wanted[name] = found
    pair = rates or tuple(known_name(columns, NAMES[name]) for name in RATES)
    if None not in pair:
        wanted |= dict(zip(RATES, pair, strict=True))
    return reading.series(path, time=time, repeat=trial, variables=wanted, decimal=decimal, least=5)


def _stored(held):
    """Motions of a file that ``simulate`` made, with what is true of them."""
    names = [name for name in (*STATES, *RATES) if name in held]
    columns = {name: held[name].values.astype(float) for name in names}
    found = series_from_arrays(held["t"].values, columns).rename(time="t")
    found = found.assign_attrs(time="t", system=held.attrs["system"])
    for name in found.variables:
        found[name].attrs.setdefault("units", "1")
    truth = {n.removeprefix("truth."): held[n] for n in map(str, held.variables) if "truth." in n}
    sds = dict(zip(map(str, truth["measured"].values), truth["noise"].values, strict=True))
    return annotated(found, truth=_true(sds, truth["gamma"].values, truth["path"].values, found))


def _true(sds, gamma, path, found):
    """What is known of simulated motions."""
    return dataset(
        {
            "noise": np.array(list(sds.values()), dtype=float),
            "gamma": np.float64(gamma),
            "path": np.asarray(path, dtype=float),
        },
        {"noise": ("measured",), "path": ("repeat", "step", "coordinate")},
        {"measured": list(sds), "coordinate": list(STATES), "repeat": found["repeat"].values},
        sampled=False,
    )


def split(motions: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Hold the second half of the trials out; of one trial its last fifth, where it is long.

    A trial shorter than two windows is not cut, and nothing is held out (None).
    """
    count, steps = motions.sizes["repeat"], motions.sizes["step"]
    if count < 2 and steps < 2 * WINDOW:
        return motions, None
    if count < 2:
        parts = slice(0, steps - steps // 5), slice(steps - steps // 5, None)
        first, last = (motions.isel(step=part) for part in parts)
        return tuple(
            part.assign_coords(length=("repeat", [part.sizes["step"]])) for part in (first, last)
        )
    half = (count + 1) // 2
    return some(motions, slice(0, half)), some(motions, slice(half, None))


def some(motions: xr.Dataset, trials: slice) -> xr.Dataset:
    """Take some of the trials, with what is true of them."""
    return motions.isel({"repeat": trials, "truth.repeat": trials}, missing_dims="ignore")


@dataclass(frozen=True)
class Record:
    """Motions as plain arrays: paths through instants, long ones cut into windows.

    Parameters
    ----------
    times : (path, instant), NaN beyond the end of a path.
    values : variable to (path, instant), NaN likewise.
    trial : (path,), label of the trial that a path belongs to.
    """

    times: np.ndarray
    values: Mapping[str, np.ndarray]
    trial: np.ndarray

    @classmethod
    def of(cls, motions: xr.Dataset) -> Record:
        """Take motions apart.

        Raises
        ------
        DataError : no q or p, or states that do not vary.
        """
        if missing := [name for name in STATES if name not in motions]:
            raise DataError(f"motions have no {' and no '.join(missing)}", expected="q and p")
        names = [name for name in (*STATES, *RATES) if name in motions]
        when, parts = times(motions), []
        for row, label in enumerate(motions["repeat"].values):
            count = int(np.sum(np.isfinite(when.values[row])))
            for part in np.array_split(np.arange(count), max(1, -(-count // WINDOW))):
                parts.append((label, row, part))
        longest = max(len(part) for *_, part in parts)

        def laid(values):
            found = np.full((len(parts), longest), np.nan)
            for k, (_, row, part) in enumerate(parts):
                found[k, : len(part)] = values[row, part]
            return found

        found = cls(
            laid(when.values),
            {name: laid(motions[name].values.astype(float)) for name in names},
            np.array([str(label) for label, *_ in parts]),
        )
        for name in STATES:
            if np.nanmax(found.values[name]) == np.nanmin(found.values[name]):
                raise DataError(f"{name} does not vary", expected="a motion")
        return found

    @cached_property
    def seen(self) -> np.ndarray:
        """Which instants there are, (path, instant)."""
        return np.isfinite(self.times)

    @property
    def rates(self) -> tuple[str, ...]:
        """Rates that were measured."""
        return tuple(name for name in RATES if name in self.values)

    @cached_property
    def states(self) -> np.ndarray:
        """Measured states of all rows, (row, 2)."""
        return np.stack([self.values[name][self.seen] for name in STATES], axis=-1)

    @cached_property
    def differences(self) -> np.ndarray:
        """Rates by differences between the neighbours of an instant, (row, 2)."""
        found = np.full((*self.times.shape, 2), np.nan)
        for k, count in enumerate(self.seen.sum(axis=1)):
            for i, name in enumerate(STATES):
                when, values = self.times[k, :count], self.values[name][k, :count]
                found[k, :count, i] = np.gradient(values, when)
        return found[self.seen]

    @cached_property
    def frame(self) -> Frame:
        """Where the data are."""
        low, high = self.states.min(axis=0), self.states.max(axis=0)
        half = (high - low) / 2
        if len(self.rates) == 2:
            rates = np.stack([self.values[name][self.seen] for name in RATES], axis=-1)
        else:
            rates = self.differences
        size = np.sqrt(np.mean(rates**2, axis=0))
        # One energy from q ṗ and one from p q̇; the times are those to cross half the range.
        energy = float(np.sqrt(half[0] * size[1] * half[1] * size[0]))
        return Frame((low + high) / 2, half, energy, float(np.sqrt(np.prod(half / size))))
