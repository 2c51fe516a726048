"""Forecasts of the held-out part: one target at a time, and free-running from many origins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf import diagnostics, forecasts
from bayesinf.data import rolling_origins
from bayesinf.inference import kinds
from bayesinf.posterior import annotated, dataset, noted
from bayesinf.systems.mackey_glass.data import even_step
from bayesinf.systems.mackey_glass.delay import Equation, trajectory

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.settings import Settings
    from bayesinf.systems.mackey_glass.model import Readout

__all__ = ["beside", "goes_on"]

HORIZON = 100
FAR = 1e3  # times the largest value: where a draw that runs away is held
REMEMBERED = 2000  # values of the past that forecasts without a model draw from
FOLLOWED = 200  # draws that go their own way
OFF = 0.4  # spreads of the series by which a median forecast may be off while it is valid
LONG, SETTLED = 3000, 300  # steps of a long free run, and those before the attractor is reached
RUNS, BINS = 8, 48  # draws that run long, and bins of where they are
TOGETHER = 2000  # held-out targets that are predicted


def beside(
    fit: xr.DataTree, readout: Readout, horizon: int | None, origins: int, settings: Settings
) -> xr.DataTree:
    """Put forecasts and their scores beside a fit."""
    notes = {}
    notes["ahead"], covered = _ahead(fit, readout, settings)
    if readout.ahead == 1:  # errors of targets farther ahead overlap, and count for fewer
        question = _held_out(covered.fewest, notes["ahead"].sizes["target"])
        fit = kinds.asked(fit, question, covered.covered)
    room = len(readout.values) - readout.cut
    horizon = min(HORIZON, room // 2) if horizon is None else horizon
    if readout.ahead == 1 and horizon > 0:
        notes |= _free(fit, readout, min(horizon, room), origins, settings)
        notes["measure"] = _measure(fit, readout, settings)
    return annotated(fit, **notes)


def _held_out(fewest, count):
    """What a fit is asked of the held-out values, one step ahead each."""
    return kinds.Question(
        "held out",
        "held_out_covered",
        "min",
        float(fewest),
        "≥",
        True,
        f"{{value:.0f}} of {count} held-out values lie within their 95 % intervals",
        "look for what changes along the series: what is held out is not as what was learnt from",
    )


def _ahead(fit, readout, settings):
    """Forecasts of each held-out target from what is seen ``ahead`` before it, and how many of
    their intervals hold what came.
    """
    from bayesinf.models import linear

    X, target = readout.tested()
    X, target = X[:TOGETHER], target[:TOGETHER]
    some = fit["posterior"].sizes
    thin = max(1, some["chain"] * some["draw"] * len(target) // 2_000_000)
    chosen = fit.isel(draw=slice(None, None, thin)) if thin > 1 else fit
    predicted = linear.predict(chosen, X, name="weight", settings=settings)
    draws, mean = predicted[readout.values.name], predicted["mean"].values
    y = readout.values.values[target]
    values = draws.values.reshape(-1, len(y))
    low, middle, high = np.quantile(values, [0.025, 0.5, 0.975], axis=0)
    error, spread = values.mean(axis=0) - y, np.std(y)
    sigma = chosen["posterior"]["sigma"].values.ravel()[:, np.newaxis]
    terms = -0.5 * ((y - mean.reshape(-1, len(y))) / sigma) ** 2 - np.log(sigma)
    arrays = {
        "low": low,
        "middle": middle,
        "high": high,
        "came": y,
        "rmse": np.sqrt(np.mean(error**2)),
        "r_squared": 1 - np.mean(error**2) / spread**2,
        "coverage": np.mean((low <= y) & (y <= high)),
        "crps": np.mean(forecasts.crps(values.T, y)),
        "log_score": np.mean(_log_mean_exp(terms) - 0.5 * np.log(2 * np.pi)),
    }
    unit = readout.values.attrs["units"]
    dims = dict.fromkeys(("low", "middle", "high", "came"), ("target",))
    units = dict.fromkeys((*dims, "rmse", "crps"), unit)
    times = readout.values["time"].values[target]
    note = dataset(
        {name: np.asarray(value) for name, value in arrays.items()},
        dims,
        {"target": times},
        units,
        sampled=False,
    )
    return note, diagnostics.coverage(values.T, y)


def _log_mean_exp(terms):
    from scipy.special import logsumexp

    return logsumexp(terms, axis=0) - np.log(len(terms))


def goes_on(readout: Readout):
    """Functions of ``forecasts.forecast`` for states of features: step, observe and density."""
    features = readout.features

    def mean(state, draws):
        seen = features.read(state["seen"])
        return np.einsum("df,df->d", seen, draws["weight"]) + draws["intercept"]

    def step(state, draws, rng):
        noise = draws["sigma"] * rng.standard_normal(len(draws["sigma"]))
        value = mean(state, draws) + noise
        return {"seen": features.advance(state["seen"], value), "value": value}

    def observe(state, draws, rng):
        return {readout.values.name: state["value"]}

    def density(state, draws, value):
        z = (value[readout.values.name] - mean(state, draws)) / draws["sigma"]
        return -0.5 * z**2 - np.log(draws["sigma"]) - 0.5 * np.log(2 * np.pi)

    return step, observe, density


def _free(fit, readout, horizon, origins, settings):
    """Free-running forecasts from origins all along the held-out part, and their scores."""
    import xarray as xr

    step, observe, density = goes_on(readout)
    name, values, dt = readout.values.name, readout.values, even_step(readout.series)
    count = len(values) - readout.cut - horizon + 1
    apart = max(1, (count - 1) // max(origins - 1, 1))
    splits = rolling_origins(
        readout.series, horizon=horizon * dt, least=(readout.cut - 1) * dt, step=apart * dt
    )
    draws, logs, came, valid, others, past = [], [], [], [], [], None
    spread = float(np.std(values.values[: readout.cut]))
    for split in list(splits)[:origins]:
        before = split.past(readout.series)[name].values.ravel()
        future = split.future(readout.series)[name].values.ravel()[:horizon]
        state = {"seen": readout.features.state(before), "value": np.float64(before[-1])}
        found = forecasts.forecast(
            fit,
            step,
            state,
            horizon,
            observe=observe,
            density=density,
            observed={name: future},
            spacing=dt,
            units={"horizon": values["time"].attrs.get("units", "1"), name: values.attrs["units"]},
            most=FOLLOWED,
            settings=settings.replace(seed=settings.seed + len(draws)),
        )
        # A draw that has run away is still a draw: far off, and counted as such by the scores.
        far = FAR * np.abs(before).max()
        found[name] = found[name].fillna(far).clip(-far, far)
        past = before if past is None else past
        if len(before) >= horizon + 2:
            others.append(forecasts.references(before[-REMEMBERED:], horizon))
        draws.append(found[name])
        logs.append(found["log_density"].fillna(-np.inf))
        came.append(future)
        off = np.abs(found[name].median(("chain", "draw")).values - future) > OFF * spread
        valid.append(int(np.argmax(off)) if off.any() else horizon)
    references = {
        key: xr.concat([each[key] for each in others], "origin", join="outer")
        for key in (others[0] if len(others) == len(draws) else ())
    }
    units = values.attrs["units"]
    joined = xr.concat(draws, "origin").assign_attrs(units=units)
    scored = forecasts.scores(
        joined,
        np.stack(came),
        log_densities=xr.concat(logs, "origin"),
        references=references,
        block=-(-horizon // apart),
    )
    fan = xr.Dataset({"draws": draws[0], "came": ("horizon", came[0], {"units": units})})
    fan["before"] = ("past", past[-horizon:], {"units": units})
    reach = dataset(
        {"steps": np.array(valid), "times": dt * np.array(valid)},
        {"steps": ("origin",), "times": ("origin",)},
        sampled=False,
    )
    return {"scores": scored, "fan": fan.rename(chain="fan_chain", draw="fan_draw"), "reach": reach}


def _measure(fit, readout, settings):
    """How often a free run is where, beside the series, and the equation where it is known."""
    step, observe, _ = goes_on(readout)
    values = readout.values.values
    before = values[: readout.cut]
    state = {"seen": readout.features.state(before), "value": np.float64(before[-1])}
    long = forecasts.forecast(
        fit, step, state, LONG, observe=observe, most=RUNS, settings=settings
    )[readout.values.name].values.reshape(-1, LONG)
    low, high = before.min(), before.max()
    margin = 0.15 * (high - low)
    edges = np.linspace(low - margin, high + margin, BINS + 1)
    stays = np.isfinite(long).all(axis=1) & (np.abs(long - before.mean()) < 10 * (high - low)).all(
        1
    )
    found = {"series": values, "free": long[stays][:, SETTLED:].ravel()}
    truth = noted(readout.series, "truth")
    if truth is not None and "beta" in truth:
        known = {name: float(truth[name]) for name in ("beta", "gamma", "n", "tau")}
        times = 100 * known["tau"] + even_step(readout.series) * np.arange(20 * LONG)
        noise, rng = float(truth["dynamical"]), settings.generator("measure")
        x = trajectory(Equation(**known), times, noise=noise, rng=rng)
        found["truth"] = x + float(truth["noise"]) * rng.standard_normal(len(x))
    arrays = {name: _density(one, edges) for name, one in found.items()}
    width, beside = edges[1] - edges[0], arrays.get("truth", arrays["series"])
    arrays["overlap"] = width * np.minimum(arrays["free"], beside).sum()
    arrays["stays"] = stays.mean()
    dims = dict.fromkeys(found, ("place",))
    unit = readout.values.attrs["units"]
    per = "1" if unit == "1" else f"1/{unit}"
    units = dict.fromkeys(found, per)
    places = (edges[1:] + edges[:-1]) / 2
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    return dataset(arrays, dims, {"place": places}, units, sampled=False)


def _density(values, edges):
    """How often values are in each bin, over its width; those beyond all bins are nowhere."""
    return np.histogram(values, edges)[0] / (max(values.size, 1) * np.diff(edges))
