"""Phases: of simulated oscillators, of a file of the user's, or of its signals.

A Dataset of phases holds ``phase`` (run, step, oscillator), unwrapped, in radians, and the times
``time`` (run, step); runs of unequal ``length`` end in NaN.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import data as reading
from bayesinf.errors import DataError
from bayesinf.posterior import annotated, dataset
from bayesinf.settings import DEFAULT
from bayesinf.systems.kuramoto.drift import Drift

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["chimera", "from_arrays", "read", "simulate"]

WITHIN, BETWEEN = 0.12, 0.08  # couplings in a block and between blocks
EDGE = 0.05  # share of a signal at either end where its Hilbert transform is not trusted
WHOLE = {"degrees": 360.0, "turns": 1.0}  # a turn in units that are not taken
EVEN = 1e-9  # of a speed, by which rounding alone may change it
FAST = 2.6  # advance of a phase between samples, from which its sense of rotation is a guess


def simulate(
    oscillators: int = 30,
    samples: int = 2000,
    step: float = 1.0,
    *,
    couplings: np.ndarray | None = None,
    spread: float = np.sqrt(0.02),
    lag: float = 0.3,
    noise: float = 2e-4,
    measurement: float = 0.0,
    runs: int = 1,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Simulate oscillators from random phases, with noise in their dynamics.

        dθ_i = [ω_i + (1/N) Σ_j K_ij sin(θ_j − θ_i − α)] dt + σ dW_i,   ω_i ~ N(1, spread²)

    Parameters
    ----------
    oscillators, samples : N, and instants of each run.
    step : time between two instants.
    couplings : K, (target, source); by default two blocks, 0.12 within and 0.08 between. With
        ``spread`` = 0.02 these synchronise, with √0.02 they do not.
    spread : standard deviation of the natural frequencies.
    lag : α, in radians.
    noise : σ, in radians per √time.
    measurement : standard deviation of the noise in each phase that is read off.
    runs : from different phases, of the same oscillators.
    rng : by default the stream "simulate" of the default settings.

    Returns
    -------
    Dataset of phases, and beside it the ``truth``.

    Raises
    ------
    DataError : fewer than two oscillators or ten samples, couplings of another shape.
    """
    rng = DEFAULT.generator("simulate") if rng is None else rng
    K = blocks(oscillators) if couplings is None else np.asarray(couplings, dtype=float)
    if oscillators < 2 or samples < 10 or step <= 0 or K.shape != (oscillators, oscillators):
        raise DataError(
            "no such oscillators",
            expected="two or more, ten samples, a step above zero, couplings (target, source)",
            found=f"{oscillators}, {samples}, {step}, couplings {K.shape}",
        )
    K = K - np.diag(np.diag(K))
    omega = rng.normal(1.0, spread, oscillators)
    drift = Drift.of(omega, K * np.exp(-1j * lag))
    finer = max(1, int(np.ceil(step / 0.05)))
    phases = np.empty((runs, samples, oscillators))
    state = rng.uniform(0, 2 * np.pi, (runs, oscillators))
    for k in range(samples):
        phases[:, k] = state
        for _ in range(finer):
            kicks = noise * np.sqrt(step / finer) * rng.standard_normal(state.shape)
            # Stochastic Heun: of second order where the noise is small.
            first = drift.velocity(state)
            guess = state + first * (step / finer) + kicks
            state = state + 0.5 * (first + drift.velocity(guess)) * (step / finer) + kicks
    phases += measurement * rng.standard_normal(phases.shape)
    times = np.broadcast_to(step * np.arange(samples), (runs, samples))
    found = from_arrays(times, phases)
    truth = {"omega": omega, "alpha": np.float64(lag), "sigma": np.full(oscillators, noise)}
    truth |= {"K": pairs(K), "sine": pairs(K) * np.cos(lag), "cosine": pairs(K) * np.sin(lag)}
    return annotated(found, truth=labelled(truth, found["oscillator"].values))


def blocks(oscillators: int, within: float = WITHIN, between: float = BETWEEN) -> np.ndarray:
    """Couplings of two halves, (target, source)."""
    half = np.arange(oscillators) < oscillators // 2
    return np.where(half[:, np.newaxis] == half, within, between)


def pairs(matrix: np.ndarray) -> np.ndarray:
    """Off-diagonal elements of (..., target, source), target by target: (..., pair)."""
    count = matrix.shape[-1]
    return matrix[..., ~np.eye(count, dtype=bool)]


def labelled(arrays: Mapping[str, np.ndarray], names: np.ndarray, **options) -> xr.Dataset:
    """Label arrays of all oscillators or all pairs by name."""
    dims = {"omega": ("oscillator",), "sigma": ("oscillator",)}
    dims |= dict.fromkeys(("K", "sine", "cosine"), ("pair",))
    return dataset(arrays, dims, coordinates(names), {"alpha": "rad"}, sampled=False, **options)


def per_time(phases: xr.Dataset, power: str = "") -> str:
    """Unit of radians over the time, or over its root where ``power`` is √."""
    unit = phases["time"].attrs.get("units", "1")
    return "rad" if unit == "1" else f"rad/{power}{unit}"


def coordinates(names: np.ndarray) -> dict[str, object]:
    """Coordinates of oscillators and of pairs, "target-source"."""
    names = np.asarray(names, dtype=str)
    target, source = (names[k] for k in np.nonzero(~np.eye(len(names), dtype=bool)))
    return {
        "oscillator": names,
        "pair": [f"{i}-{j}" for i, j in zip(target, source, strict=True)],
        "target": ("pair", target),
        "source": ("pair", source),
    }


def from_arrays(times: np.ndarray, phases: np.ndarray, names=None, **attrs: str) -> xr.Dataset:
    """Label phases, (run, step, oscillator), at times, (run, step); they are unwrapped.

    Raises
    ------
    DataError : fewer than two oscillators, phases that begin anew at 360 or at 1 as wrapped degrees
        or turns do, or such that advance by nearly half a turn between samples, so that their sense
        of rotation is not known.
    """
    import xarray as xr

    phases, times = np.array(phases, dtype=float), np.asarray(times, dtype=float)
    if phases.shape[-1] < 2:
        raise DataError(
            "there are too few oscillators",
            expected="two or more columns of phases",
            found=phases.shape[-1],
        )
    names = np.arange(phases.shape[-1]) if names is None else np.asarray(names)
    for column, name in enumerate(names):
        own = phases[..., column]
        if (unit := _other_unit(own)) is not None:
            raise DataError(
                f"phases that begin anew at {WHOLE[unit]:g} are {unit}",
                where=f"oscillator {name}",
                expected="radians",
                found=f"{np.nanmin(own):.4g} to {np.nanmax(own):.4g}",
                remedy=f"multiply them by 2π / {WHOLE[unit]:g}",
            )
    turns = np.nanmax(phases, axis=(0, 1)) - np.nanmin(phases, axis=(0, 1))
    wrapped = np.flatnonzero(turns <= 2 * np.pi * (1 + 1e-6))
    phases[..., wrapped] = np.unwrap(phases[..., wrapped], axis=1)
    for column in wrapped:
        advance = np.nanquantile(np.abs(np.diff(phases[..., column], axis=1)), 0.99)
        if advance > FAST:
            raise DataError(
                "a phase moves by nearly half a turn between samples",
                where=f"oscillator {names[column]}",
                expected=f"steps below {FAST:.1f} rad, so that its sense of rotation is known",
                found=f"{advance:.2f} rad",
                remedy="sample more often, or give phases that are unwrapped already",
            )
    lengths = np.sum(np.isfinite(times), axis=1)
    return xr.Dataset(
        {"phase": (("run", "step", "oscillator"), phases, {"units": "rad"})},
        {
            "run": np.arange(len(phases)),
            "oscillator": names.astype(str),
            "time": (("run", "step"), times, {"units": attrs.pop("time_unit", "1")}),
            "length": ("run", lengths, {"units": "1"}),
        },
        attrs,
    )


def _other_unit(phase):
    """The unit, one of ``WHOLE``, that wrapped phases (run, step) are in; None for radians."""
    size = np.nanmax(phase) - np.nanmin(phase)
    steps = np.abs(np.diff(phase, axis=-1))
    anew = steps > 0.8 * size
    smooth = np.nanquantile(np.where(anew, 0.0, steps), 0.99) < 0.4 * size
    units = [unit for unit, whole in WHOLE.items() if 0.8 < size / whole <= 1 + 1e-6]
    return units[0] if units and smooth and np.count_nonzero(anew) > 1 else None


def read(
    path: str | os.PathLike,
    *,
    signal: bool = False,
    time: str | int | None = None,
    decimal: str | None = None,
) -> xr.Dataset:
    """Read phases, a column an oscillator beside one of times, wrapped or not.

    Parameters
    ----------
    path : a table or arrays, as ``bayesinf.data.series`` reads them; a column ``repeat`` tells runs
        apart. Phases in degrees say so by their unit.
    signal : whether columns are signals, whose phases are those of the analytic signal (by Hilbert
        transform; a twentieth at either end is left out).
    time : column of times: name, or position from 1.
    decimal : the decimal mark of a table of text, where its numbers do not show it.

    Returns
    -------
    Dataset of phases; the attribute ``read_as`` says what was taken.

    Raises
    ------
    DataError : what cannot be read, fewer than two oscillators, uneven samples of signals, columns
        that move evenly or as another one does, to the last digit.
    """
    held = reading.read(path, decimal=decimal)
    if "phase" in held and held["phase"].ndim == 3:
        return _stored(held)
    series = reading.series(path, time=time, decimal=decimal, least=10)
    when, names = series.attrs["time"], list(series.data_vars)
    values = np.stack([series[name].values for name in names], axis=-1)
    degrees = [
        name for name in names if series[name].attrs.get("units", "") in ("deg", "°", "degree")
    ]
    values[..., [names.index(name) for name in degrees]] *= np.pi / 180
    times, said = series[when].values, [series.attrs.get("read_as", "")]
    said += [f"{', '.join(degrees)} turned from degrees to radians"] if degrees else []
    if signal:
        values, times = _analytic(values, times, path)
        said.append(
            "signals turned into phases by the Hilbert transform, a twentieth at either end left "
            "out"
        )
    attrs = {name: value for name, value in series.attrs.items() if name in ("source",)}
    unit = series[when].attrs.get("units", "1")
    told = "; ".join(part for part in said if part)
    found = from_arrays(times, values, names, read_as=told, time_unit=unit, **attrs)
    _refuse_unmeasured(found, path)
    return found


def _refuse_unmeasured(phases, source):
    """Refuse columns that move evenly, or as another one does, to the last digit."""
    steps = np.diff(phases["phase"].values, axis=1)
    speed = steps / np.diff(phases["time"].values, axis=1)[..., np.newaxis]
    seen = {}
    for k, name in enumerate(phases["oscillator"].values):
        own = speed[..., k][np.isfinite(speed[..., k])]
        if np.ptp(own) <= EVEN * np.max(np.abs(own)):
            raise DataError(
                "a phase moves evenly to the last digit",
                source=source,
                where=f"column {name}",
                expected="the phase of an oscillator, as it was measured",
                found=f"{own[0]:.6g} in each unit of time",
                remedy="leave the column out, or name that of the times (--time)",
            )
        other = seen.setdefault(steps[..., k].tobytes(), name)
        if other != name:
            raise DataError(
                "two phases move alike to the last digit",
                source=source,
                where=f"columns {other} and {name}",
                expected="each oscillator once",
                remedy="leave one of them out: nothing tells which of two such acts",
            )


def _stored(held):
    """Phases of a file that ``simulate`` made, with what is true of them."""
    truth = {name.removeprefix("truth."): held[name].values for name in held if "truth." in name}
    found = from_arrays(held["time"].values, held["phase"].values, held["oscillator"].values)
    if not {"K", "omega", "alpha"} <= truth.keys():
        return found
    truth = {name: truth[name] for name in ("omega", "sigma", "K", "sine", "cosine", "alpha")}
    truth["alpha"] = np.float64(truth["alpha"])
    return annotated(found, truth=labelled(truth, found["oscillator"].values))


def _analytic(values, times, source):
    """Phases of signals, (run, step, oscillator), at even times."""
    from scipy.signal import hilbert

    kept_values, kept_times = np.full_like(values, np.nan), np.full_like(times, np.nan)
    for run, (signals, when) in enumerate(zip(values, times, strict=True)):
        count = int(np.sum(np.isfinite(when)))
        gaps = np.diff(when[:count])
        if np.ptp(gaps) > 1e-3 * np.mean(gaps):
            raise DataError(
                "the samples of a signal are not even in time",
                source=source,
                expected="one interval between samples",
                found=f"{gaps.min():.4g} to {gaps.max():.4g}",
                remedy="interpolate it to even times",
            )
        centred = signals[:count] - signals[:count].mean(axis=0)
        phases = np.unwrap(np.angle(hilbert(centred, axis=0)), axis=0)
        edge = int(np.ceil(EDGE * count))
        kept_values[run, : count - 2 * edge] = phases[edge : count - edge]
        kept_times[run, : count - 2 * edge] = when[edge : count - edge]
    longest = int(np.max(np.sum(np.isfinite(kept_times), axis=1)))
    return kept_values[:, :longest], kept_times[:, :longest]


def chimera(
    oscillators: int = 1024,
    duration: float = 200.0,
    *,
    lag: float = np.pi / 2 - 0.1,
    within: float = 0.6,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Simulate two populations of which one may synchronise and the other not (a chimera).

        θ̇_i = Σ_b κ_ab r_b sin(ψ_b − θ_i − α),   κ = ``within`` or 1 − ``within``

    Each feels the mean fields r_b e^{iψ_b} of both populations, so that a step costs N sines
    (Abrams, Mirollo, Strogatz & Wiley, Phys. Rev. Lett. 101, 084103 (2008),
    doi:10.1103/PhysRevLett.101.084103). One population starts together, the other apart.

    Returns
    -------
    Dataset of ``order`` (population, time), r of each against time, and ``phase`` at the end.
    """
    import xarray as xr
    from scipy.integrate import solve_ivp

    rng = DEFAULT.generator("chimera") if rng is None else rng
    half = oscillators // 2
    coupling = np.array([[within, 1 - within], [1 - within, within]]) * np.exp(-1j * lag)

    def fields(theta):
        return np.exp(1j * theta).reshape(2, half)

    def velocity(_, theta):
        turned = fields(theta)
        return np.imag(turned.conj() * (coupling @ turned.mean(axis=1))[:, np.newaxis]).ravel()

    # Spread as a wrapped Cauchy of r = 0.73, 0.2 ahead, about where the chimera rests: from no
    # order at all this population would synchronise as well.
    apart = 0.2 - np.log(0.73) * np.tan(np.pi * (rng.random(half) - 0.5))
    start = np.concatenate([0.05 * rng.standard_normal(half), apart])
    times = np.linspace(0.0, duration, 400)
    found = solve_ivp(velocity, (0.0, duration), start, "DOP853", times, rtol=1e-8, atol=1e-8)
    order = np.abs([fields(theta).mean(axis=1) for theta in found.y.T]).T
    return xr.Dataset(
        {
            "order": (("population", "time"), order, {"units": "1"}),
            "phase": (("population", "member"), found.y[:, -1].reshape(2, half), {"units": "rad"}),
        },
        {"population": [1, 2], "time": times},
    )
