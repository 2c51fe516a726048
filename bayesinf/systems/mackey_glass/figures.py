"""Figures of this system: InferenceData in, matplotlib Figure out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import COLORS, canvas, forecast_fan, key, pair, styled, with_units
from bayesinf.posterior import noted, true_values

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["coefficients", "fan", "horizons", "measure", "numbers", "one_step", "solution"]


def fan(fit: xr.DataTree) -> Figure:
    """Draw the forecast from the first origin, and the scores of all."""
    found, scored = noted(fit, "fan"), noted(fit, "scores")
    draws = found["draws"].rename(fan_chain="chain", fan_draw="draw")
    name = next(iter(fit["observed_data"].data_vars))
    few = scored.isel(horizon=slice(0, None, max(1, scored.sizes["horizon"] // 20)))
    return forecast_fan(draws.rename(name), found["came"].values, few, found["before"].values)


@styled
def coefficients(fits: Mapping[str, xr.DataTree], step: float) -> Figure:
    """Draw coefficients against the time before the target, a panel a prior, with the delay."""
    fig, axes = canvas(len(fits), 1, height=0.6 + 1.45 * len(fits), sharex=True, squeeze=False)
    for axis, (name, fit) in zip(axes[:, 0], fits.items(), strict=True):
        weight = fit["posterior"]["weight"]
        lag = step * (weight["feature"].values.astype(float) + fit.attrs["steps_ahead"])
        low, middle, high = np.quantile(weight.values, [0.025, 0.5, 0.975], axis=(0, 1))
        axis.axhline(0, color=COLORS["prior"], lw=0.8)
        axis.vlines(lag, low, high, color=COLORS["posterior"], lw=2, alpha=0.5)
        axis.plot(lag, middle, "o", ms=2.5, color=COLORS["posterior"])
        beside, truth = noted(fit, "classical"), noted(fit, "truth")
        shown = {"normal": "ridge", "laplace": "lasso"}.get(fit.attrs["weight_prior"])
        words = [(name, "posterior")]
        if beside is not None and shown in beside["estimator"].values:
            axis.plot(
                lag, beside["weight"].sel(estimator=shown), "x", ms=3.5, color=COLORS["classical"]
            )
            words.append((shown, "classical"))
        if truth is not None and "tau" in truth:
            delays = _multiples(float(truth["tau"]), lag)
            for at in delays:
                axis.axvline(at, color=COLORS["truth"], lw=1, ls="--")
            words += [("multiples of the delay", "truth")] if delays else []
        key(axis, words, "above")
        axis.set_ylabel("coefficient")
    unit = noted(fit, "ahead")["target"].attrs.get("units", "1")
    axes[-1, 0].set_xlabel(with_units("time before the target", unit))
    return fig


def _multiples(tau, lag):
    return [k * tau for k in range(1, 100) if lag.min() <= k * tau <= lag.max()]


@styled
def horizons(fits: Mapping[str, xr.DataTree]) -> Figure:
    """Draw CRPS and coverage by horizon, a line a readout."""
    fig, (left, right) = canvas(1, 2, height=3.0)
    shades = ["posterior", "classical", "second", "data", "truth", "prior"]
    words = []
    for (name, fit), color in zip(fits.items(), shades, strict=False):
        scored = noted(fit, "scores")
        h = scored["horizon"].values
        left.plot(h, scored["crps"], color=COLORS[color])
        held = np.cumsum(scored["coverage"].sel(level=0.95).values) / np.arange(1, len(h) + 1)
        right.plot(h, 100 * held, color=COLORS[color])
        words.append((name, color))
    left.set_yscale("log")
    left.set_ylabel(with_units("CRPS", scored["crps"].attrs.get("units", "1")))
    right.axhline(95, color=COLORS["prior"], lw=0.8)
    right.set_ylabel("held by 95 % intervals\nup to this horizon (%)")
    right.set_ylim(top=101)
    for axis in (left, right):
        axis.set_xlabel(with_units("horizon", scored["horizon"].attrs.get("units", "1")))
    key(left, words, "lower right")
    return fig


@styled
def one_step(fit: xr.DataTree) -> Figure:
    """Draw errors of held-out targets one step ahead, with the intervals."""
    ahead = noted(fit, "ahead")
    shown = ahead.isel(target=slice(0, 400))
    fig, axis = canvas(height=2.6)
    middle = shown["middle"]
    axis.fill_between(
        shown["target"],
        shown["low"] - middle,
        shown["high"] - middle,
        color=COLORS["posterior"],
        alpha=0.25,
        lw=0,
    )
    axis.plot(shown["target"], shown["came"] - middle, ".", ms=3, color=COLORS["data"])
    axis.set_xlabel(with_units("time", shown["target"].attrs.get("units", "1")))
    axis.set_ylabel(with_units("error of the median", middle.attrs["units"]))
    key(axis, [("what came", "data"), ("95 % intervals", "posterior")], "above")
    return fig


@styled
def measure(fits: Mapping[str, xr.DataTree]) -> Figure:
    """Draw how often free runs are where, a panel a readout, beside series and equation."""
    rows = -(-len(fits) // 2)
    fig, axes = canvas(rows, 2, height=0.4 + 2.2 * rows, sharex=True, sharey=True, squeeze=False)
    for axis in axes.ravel()[len(fits) :]:
        axis.set_visible(False)
    for axis, (name, fit) in zip(axes.ravel(), fits.items(), strict=False):
        found = noted(fit, "measure")
        beside = "truth" if "truth" in found else "series"
        axis.fill_between(
            found["place"], found[beside], step="mid", color=COLORS["prior"], alpha=0.4, lw=0
        )
        axis.step(found["place"], found["free"], where="mid", color=COLORS["posterior"])
        what = "equation" if beside == "truth" else "series"
        key(axis, [(name, "posterior"), (what, "prior")], "above")
    name = next(iter(fit["observed_data"].data_vars))
    unit = fit["observed_data"][name].attrs["units"]
    for axis in axes[-1]:
        axis.set_xlabel(with_units(str(name), unit))
    for axis in axes[:, 0]:
        axis.set_ylabel("density")
    return fig


@styled
def solution(fit: xr.DataTree) -> Figure:
    """Draw observations with the band of solutions, and what is left of them."""
    (y,) = fit["observed_data"].data_vars.values()
    found, t = noted(fit, "windows"), y["time"].values
    at = t[0] + found["instant"].values
    fig, (above, below) = canvas(2, 1, height=4.2, sharex=True, height_ratios=(3, 1))
    above.fill_between(at, found["low"], found["high"], color=COLORS["posterior"], alpha=0.35, lw=0)
    above.plot(at, found["middle"], color=COLORS["posterior"], lw=0.8)
    above.plot(t, y, ".", ms=3, color=COLORS["data"])
    noise = float(fit["posterior"]["noise"].mean())
    below.plot(t, (y.values - found["middle"].values) / noise, ".", ms=3, color=COLORS["data"])
    below.axhline(0, color=COLORS["prior"], lw=0.8)
    for axis in (above, below):
        for start in found["start"].values[1:]:
            axis.axvline(t[0] + start, color=COLORS["prior"], lw=0.8, ls="--")
    below.set_ylabel("residual\n(noise)")
    above.set_ylabel(with_units(str(y.name), y.attrs["units"]))
    below.set_xlabel(with_units("time", y["time"].attrs.get("units", "1")))
    key(above, [("observations", "data"), ("solutions, 95 %", "posterior")], "above")
    return fig


def numbers(fit: xr.DataTree) -> Figure:
    """Draw the numbers of the equation in pairs."""
    return pair(fit, ["beta", "gamma", "n", "tau"], true_values(fit))
