"""What a posterior of an energy says: held-out motions, the energy's map, errors, drift.

Everything that the story tells is computed here and travels with the fit as notes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.posterior import annotated, dataset
from bayesinf.systems.hamiltonian.data import STATES, Record, true_energy
from bayesinf.systems.hamiltonian.paths import Flow, forecast, steps_of

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.settings import Settings
    from bayesinf.systems.hamiltonian.model import Motion

__all__ = ["HORIZONS", "errors", "foretold", "mapped", "regressed"]

DRAWS = 200  # of the posterior that are followed,
FEWER = 4  # and every so many-th of them from the true initial states
HORIZONS = (1 / 6, 1 / 3, 2 / 3, 1.0)  # of the motions' duration: 0.5, 1, 2 and 3 of 3
STEP = 0.1  # of the midpoint rule, in typical times of the motion
STEPS = (0.8, 0.4, 0.2, 0.1)  # whose energy errors are compared, likewise
LONG = 12.0  # typical times of that comparison
GRID = 35
LEVELS = (0.5, 0.95)
TRENDS = ("constant", "linear", "quadratic")  # of the energy in time, in a regression


def parameters(problem: Motion, fit: xr.DataTree, count: int = DRAWS) -> np.ndarray:
    """Parameters of the flow, (draw, parameter), and noise, (draw, measured), of some draws."""
    stacked = fit["posterior"].to_dataset().stack(sample=("chain", "draw"))
    part = stacked.isel(sample=_chosen(stacked, count))
    theta = part["weight"].transpose("sample", "term").values
    if problem.damped:
        theta = np.column_stack([theta, part["gamma"].values])
    return theta, part["noise"].transpose("sample", "measured").values


def _chosen(stacked, count):
    return np.linspace(0, stacked.sizes["sample"] - 1, count).astype(int)


def start_sd(problem: Motion, noise: np.ndarray) -> np.ndarray:
    """Sd of the noise of a measured state, (draw, 2); states that were taken as exact have none."""
    if problem.treated:
        return noise[:, : len(STATES)]
    return np.zeros((len(noise), 2))


def foretold(
    problem: Motion, fit: xr.DataTree, held_out: xr.Dataset, settings: Settings
) -> xr.DataTree:
    """Forecast held-out motions from their first measured state alone, and hold them to the data.

    The initial state is N(measured, noise²), so that bands hold what is not known of it, of the
    energy and, for new data, the noise. ``predictions`` has the states at four horizons; the note
    ``forecast`` what share of the measured ones central intervals cover, and some motions to draw.
    Of simulated motions the note ``error`` has the mean squared error of the true energy along
    forecasts from the true initial states, (H(x̂(t)) − H(x(0)))², and of the rates.
    """
    import xarray as xr

    record = Record.of(held_out)
    theta, noise = parameters(problem, fit)
    rng = settings.generator("forecast")
    spread = start_sd(problem, noise)
    first = np.stack([record.values[name][:, 0] for name in STATES], axis=-1)
    start = first + spread[:, None] * rng.standard_normal((len(theta), *first.shape))
    steps = steps_of(record.times, problem.frame.time, STEP)
    x = forecast(problem.flow, record.times, start, theta, steps)
    seen = np.stack([record.values[name] for name in STATES], axis=-1)
    duration = np.nanmax(record.times - record.times[:, :1], axis=1)
    since = record.times - record.times[:, :1]
    places = np.stack(
        [np.nanargmin(np.abs(since - share * duration[:, None]), axis=1) for share in HORIZONS], 1
    )
    rows = np.arange(len(record.times))[:, None]
    new = x[:, rows, places]
    new = new + spread[:, None, None] * rng.standard_normal(new.shape)
    horizon = np.round(np.array(HORIZONS) * np.median(duration), 6)
    labels = {
        "path": [f"{name} ({k})" for k, name in enumerate(record.trial)],
        "horizon": horizon,
        "coordinate": list(STATES),
    }
    dims = dict.fromkeys(STATES, ("path", "horizon"))
    units = {name: problem.units.get(name, "1") for name in STATES}
    drawn = {name: new[None, ..., k] for k, name in enumerate(STATES)}
    actual = {name: seen[rows, places, k] for k, name in enumerate(STATES)}
    answered = fit.copy()
    answered["predictions"] = xr.DataTree(dataset(drawn, dims, labels, units))
    known = dataset(actual, dims, labels, units, sampled=False)
    answered["predictions_constant_data"] = xr.DataTree(known)
    inside = np.stack(
        [
            np.mean((low <= actual) & (actual <= high), axis=(0, 2))
            for actual, (low, high) in (
                (seen[rows, places], np.quantile(new, [0.5 - v / 2, 0.5 + v / 2], axis=0))
                for v in LEVELS
            )
        ]
    )
    shown = slice(0, 3)
    low, middle, high = np.quantile(x[:, shown], [0.025, 0.5, 0.975], axis=0)
    note = {
        "covered": inside,
        "count": np.int64(2 * len(seen)),
        "low": low,
        "middle": middle,
        "high": high,
        "seen": seen[shown],
        "since": since[shown],
    }
    of_paths = ("shown", "instant", "coordinate")
    note_dims = {"covered": ("level", "horizon"), "since": of_paths[:2]}
    note_dims |= dict.fromkeys(("low", "middle", "high", "seen"), of_paths)
    note_labels = labels | {"level": list(LEVELS)}
    notes = {"forecast": dataset(note, note_dims, note_labels, sampled=False)}
    found = _errors(problem, theta, held_out)
    if found is not None:
        notes["error"] = found
    return annotated(answered, **notes)


def errors(
    flow: Flow, theta: np.ndarray, held_out: xr.Dataset, typical: float
) -> dict[str, np.ndarray] | None:
    """Errors of forecasts from the true initial states of simulated motions; None of others.

    Returns
    -------
    ``energy``, mean of (H(x̂(t)) − H(x(t)))² with the true H, its standard error over the motions,
    ``energy_error``, ``states``, mean squared error of q and p, ``rates``, that of the rates at the
    true states, and of three motions the energies ``kept_energy`` along the forecast and
    ``true_energy``, (shown, instant), at times ``since``.
    """
    truth, path = true_energy(held_out), held_out.get("truth.path")
    if truth is None or path is None:
        return None
    record, path = Record.of(held_out), path.values
    steps = steps_of(record.times, typical, STEP)
    middle = forecast(flow, record.times, path[:, 0], theta, steps)
    target = truth.value(path)
    by_motion = np.mean((truth.value(middle) - target) ** 2, axis=1)
    flat = path.reshape(-1, 2)
    weight, _ = flow.split(theta)
    rates = Flow(flow.energy).rates(flat, weight) - truth.rates(flat, 0.0)
    return {
        "energy": np.float64(by_motion.mean()),
        "energy_error": np.float64(by_motion.std() / np.sqrt(len(by_motion))),
        "states": np.float64(np.mean((middle - path) ** 2)),
        "rates": np.float64(np.mean(rates**2)),
        "true_energy": target[:3],
        "kept_energy": truth.value(middle[:3]),
        "since": record.times[:3],
    }


def _errors(problem, theta, held_out):
    """Errors in the mean of the posterior, and of the energy draw by draw."""
    found = errors(problem.flow, theta.mean(axis=0), held_out, problem.frame.time)
    if found is None:
        return None
    record, path = Record.of(held_out), held_out["truth.path"].values
    truth, steps = true_energy(held_out), steps_of(record.times, problem.frame.time, STEP)
    followed = forecast(problem.flow, record.times, path[:, 0], theta[::FEWER], steps)
    off = truth.value(followed) - truth.value(path)
    found["energy_draws"] = np.mean(off**2, axis=(1, 2))
    dims = {"energy_draws": ("followed",)}
    dims |= dict.fromkeys(("true_energy", "kept_energy", "since"), ("shown", "instant"))
    return dataset(found, dims, sampled=False)


def regressed(motions: xr.Dataset) -> np.ndarray:
    """Ratio c/k of c (1 − cos q) + k p² by regression of p² on 1 − cos q within each motion.

        p² = E(t) / k − (c / k) (1 − cos q)

    Returns
    -------
    the ratio with E constant, linear and quadratic in time, (trend,); with E of each motion.
    """
    record = Record.of(motions)
    found = []
    for degree in range(len(TRENDS)):
        across, along = 0.0, 0.0
        for trial in dict.fromkeys(record.trial):
            seen = record.seen[record.trial == trial]
            t, q, p = (
                values[record.trial == trial][seen]
                for values in (record.times, *(record.values[name] for name in STATES))
            )
            trend = np.polynomial.legendre.legvander(
                2 * (t - t.min()) / max(np.ptp(t), np.finfo(float).tiny) - 1, degree
            )
            root, _ = np.linalg.qr(trend)
            height, square = (y - root @ (root.T @ y) for y in (1 - np.cos(q), p**2))
            across, along = across + height @ square, along + height @ height
        found.append(-across / along)
    return np.array(found)


def mapped(problem: Motion, fit: xr.DataTree, motions: xr.Dataset) -> xr.DataTree:
    """Put a map of the energy beside a fit, its change along the motions, and the scheme's errors.

    ``map``: mean and sd of the energy on a grid over the data, less its mean over the ring of
    sites, and the truth where it is known. ``drift``: energy per time that the measured states gain
    beyond their replicas, which is zero where the model is right. ``scheme``: largest energy error
    of the midpoint rule by its step.
    """
    theta, _ = parameters(problem, fit)
    weight, _ = problem.flow.split(theta)
    frame = problem.frame
    axes = [
        c + 1.1 * h * np.linspace(-1, 1, GRID)
        for c, h in zip(frame.centre, frame.half, strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    ring = problem.sites[:-1]

    energy = problem.energy.value(grid, weight)
    energy -= problem.energy.value(ring, weight).mean(axis=-1, keepdims=True)
    square = (GRID, GRID)
    note = {"mean": energy.mean(axis=0).reshape(square), "sd": energy.std(axis=0).reshape(square)}
    dims = dict.fromkeys(("mean", "sd", "truth"), ("q", "p"))
    truth = true_energy(motions)
    if truth is not None:
        here = truth.value(grid) - truth.value(ring).mean()
        note["truth"] = here.reshape(square)
    units = dict.fromkeys(("mean", "sd", "truth"), problem.parameters.units["energy"])
    labels = {"q": axes[0], "p": axes[1]}
    notes = {"map": dataset(note, dims, labels, units, sampled=False)}
    notes["scheme"] = _scheme(problem, theta.mean(axis=0))
    if problem.treated:
        notes["drift"] = _drift(problem, fit, weight)
    if fit.attrs.get("form") == "pendulum":
        dims, labels = {"ratio": ("trend",)}, {"trend": list(TRENDS)}
        notes["regression"] = dataset({"ratio": regressed(motions)}, dims, labels, sampled=False)
    return annotated(fit, **notes)


def _drift(problem, fit, weight):
    """Slope in time of the energy at the measured states less that at replicas, by draw."""
    record = problem.record
    when = record.times[record.seen]
    path = np.nonzero(record.seen)[0]
    mean = np.array([when[path == k].mean() for k in range(path.max() + 1)])
    late = when - mean[path]
    replicas = fit["posterior_predictive"].to_dataset().stack(sample=("chain", "draw"))
    replicas = replicas.isel(sample=_chosen(replicas, len(weight)))
    again = np.stack([replicas[name].transpose("sample", "row").values for name in STATES], -1)
    seen = np.broadcast_to(record.states, again.shape)
    gain = problem.energy.value(seen, weight) - problem.energy.value(again, weight)
    slope = gain @ late / np.sum(late**2)
    return dataset({"slope": slope}, {"slope": ("followed",)}, sampled=False)


def _scheme(problem, theta):
    """Largest error of the energy along a motion, by the step of the scheme, without damping."""
    weight, _ = problem.flow.split(theta)
    flow, typical, start = Flow(problem.energy), problem.frame.time, problem.sites[:1]
    found = []
    for step in STEPS:
        times = typical * np.arange(0.0, LONG + step / 2, step)[None]
        energy = problem.energy.value(forecast(flow, times, start, weight, 1)[0], weight)
        found.append(np.max(np.abs(energy - energy[0])))
    arrays = {"step": typical * np.array(STEPS), "energy": np.array(found)}
    return dataset(arrays, dict.fromkeys(arrays, ("tried",)), sampled=False)
