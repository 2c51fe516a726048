"""Figures of this system: InferenceData in, matplotlib Figure out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.figures import COLORS, abscissa, axis_label, band, canvas, key, styled, with_units
from bayesinf.posterior import noted, true_values
from bayesinf.report import short

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["aliases", "folded", "harmonics", "periodogram", "signal", "spectrum"]

LEAST = -60.0  # powers of ten below which a mass is drawn at the edge


@styled
def folded(fit: xr.DataTree) -> Figure:
    """Draw data and curve by phase, two periods of them, and the posterior of the period."""
    source, by_phase = noted(fit, "source"), noted(fit, "folded")
    _, y = abscissa(fit)
    period = source["period"]
    fig, (left, right) = canvas(1, 2, height=3.3, width_ratios=(2.2, 1))
    posterior, bars = fit["posterior"], fit["constant_data"]["stated_error"].values
    if "jitter" in posterior:
        bars = np.hypot(bars, float(posterior["jitter"].mean()))
    phase, curve = by_phase["phase"].values, by_phase["curve"].values
    for shift in (0, 1):
        band(left, phase + shift, curve, "posterior", alpha=0.35)
        values = by_phase["value_of_point"]
        style = {"fmt": "o", "ms": 2.2, "lw": 0.6, "color": COLORS["data"], "zorder": 1.9}
        left.errorbar(by_phase["phase_of_point"] + shift, values, bars, **style)
    if y.attrs["units"] == "mag":
        left.invert_yaxis()
    left.set_xlabel("phase (cycles)")
    left.set_ylabel(axis_label(y))
    key(left, [("data", "data"), ("curve, 95 %", "posterior")], "above")
    middle, sd = float(source["main_period"]), float(source["main_sd"])
    near = period.values.ravel()
    near = near[np.abs(near - middle) < 8 * sd]
    size = 10.0 ** np.floor(np.log10(sd))
    look = {"color": COLORS["posterior"], "alpha": 0.6}
    right.hist((near - middle) / size, 40, histtype="stepfilled", **look)
    truth = true_values(fit)
    if "frequency" in truth:
        scale = float((period * fit["posterior"]["frequency"]).mean())
        right.axvline((scale / truth["frequency"] - middle) / size, color=COLORS["truth"])
        key(right, [("posterior", "posterior"), ("truth", "truth")], "above")
    unit = period.attrs["units"]
    right.set_xlabel(f"period − {middle:.8g}\n({short(size)}{'' if unit == '1' else f' {unit}'})")
    right.yaxis.set_visible(False)
    right.spines["left"].set_visible(False)
    right.locator_params(axis="x", nbins=3)
    return fig


@styled
def periodogram(fit: xr.DataTree) -> Figure:
    """Draw Lomb-Scargle power with the period found, and the spectral window."""
    classical = noted(fit, "classical")
    fig, (above, below) = canvas(2, 1, height=4.4)
    unit = classical["frequency"].attrs["units"]
    above.plot(classical["trial"], classical["power"], color=COLORS["classical"], lw=0.6)
    found = float(noted(fit, "candidates")["frequency"][0])
    above.plot(found, 1.04, "v", color=COLORS["posterior"], ms=5, clip_on=False)
    above.set_ylim(0, 1.04)
    above.set_ylabel("power")
    key(above, [("least squares", "classical"), ("period found", "posterior")], "upper right")
    below.plot(classical["lag"], classical["window"], color=COLORS["data"], lw=0.6)
    below.set_ylim(0, 1.02)
    below.set_ylabel("window")
    below.set_xlabel(with_units("frequency", unit))
    above.set_xlabel(with_units("frequency", unit))
    return fig


def _share(mass):
    """Powers of ten of the mass of each candidate, all numbers of harmonics together."""
    return np.logaddexp.reduce(mass["log_mass"].values, axis=0) / np.log(10)


@styled
def aliases(fit: xr.DataTree) -> Figure:
    """Draw the posterior mass at the period, its half and double, and its aliases."""
    mass = noted(fit, "candidates")
    share = np.maximum(_share(mass), LEAST)
    names = [str(name) for name in mass["candidate"].values]
    order = np.argsort(mass["frequency"].values)
    fig, axis = canvas(height=0.9 + 0.27 * len(names))
    rows = np.arange(len(names))
    axis.hlines(rows, LEAST, share[order], color=COLORS["posterior"], lw=2)
    axis.plot(share[order], rows, "o", color=COLORS["posterior"], ms=4)
    unit = mass["period"].attrs["units"]
    labels = [
        f"{names[k]}, {mass['period'].values[k]:.4g} {unit if unit != '1' else ''}" for k in order
    ]
    axis.set_yticks(rows, [label.strip() for label in labels])
    axis.set_xlim(LEAST, 2)
    axis.set_xlabel(f"log₁₀ posterior mass (those below −{-LEAST:.0f} at the edge)")
    return fig


@styled
def harmonics(fit: xr.DataTree) -> Figure:
    """Draw the evidence of each number of harmonics over that of no period."""
    models = noted(fit, "models")
    value = models["log_evidence"].values
    fig, axis = canvas(height=2.6)
    x = np.arange(len(value))
    axis.plot(x, value - value[0], "o-", color=COLORS["posterior"], ms=5)
    axis.axhline(0, color=COLORS["prior"], lw=0.8)
    axis.set_xticks(x, [str(name) for name in models["model"].values])
    axis.set_xlabel("harmonics")
    axis.set_ylabel("log Bayes factor\nover no period")
    return fig


@styled
def spectrum(fit: xr.DataTree) -> Figure:
    """Draw the power of each mode with its interval, and that of the Fourier transform."""
    found = noted(fit, "spectrum")
    limits = noted(fit, "limits")
    fig, axis = canvas(height=3.4)
    axis.vlines(
        found["mode"], found["low"], found["high"], color=COLORS["posterior"], lw=2.5, alpha=0.5
    )
    axis.plot(found["mode"], found["power"], "o", ms=3.5, color=COLORS["posterior"])
    words = [("posterior, 95 %", "posterior")]
    if "fourier" in found:
        axis.plot(found["bin"], found["fourier"], "_", ms=7, mew=1.5, color=COLORS["classical"])
        words.append(("Fourier transform", "classical"))
    for end in limits["highest"].values[1:]:
        axis.axvline(end, color=COLORS["prior"], lw=1, ls="--")
    floor = max(float(found["power"].max()) * 1e-6, 1e-12)
    axis.set_yscale("log")
    axis.set_ylim(bottom=floor)
    x, _ = abscissa(fit)
    unit = x.attrs["units"]
    axis.set_xlabel("frequency (cycles per unit of t)" if unit == "1" else f"frequency (1/{unit})")
    axis.set_ylabel(with_units("power a² + b²", found["power"].attrs["units"]))
    key(axis, words, "above")
    return fig


@styled
def signal(fit: xr.DataTree) -> Figure:
    """Draw the data and the replicas' band."""
    x, y = abscissa(fit)
    replicas = fit["posterior_predictive"][y.name].values
    fig, axis = canvas(height=3.0)
    band(axis, x.values, replicas, "posterior", alpha=0.3)
    axis.plot(x, y, ".", ms=3, color=COLORS["data"])
    axis.set_xlabel(axis_label(x))
    axis.set_ylabel(axis_label(y))
    key(axis, [("data", "data"), ("95 % of replicas", "posterior")], "above")
    return fig
