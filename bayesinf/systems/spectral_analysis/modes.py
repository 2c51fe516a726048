"""Cosine and sine modes up to a limit: the spectrum of a signal, with a posterior for each mode.

    y_i = level + Σ_k a_k cos(2πk t_i / T) + b_k sin(2πk t_i / T) + ε_i,   k = 1 ... modes − 1

with T the length of the record. A limit that stops short of a line in the signal leaves it in the
residuals, and the evidence tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import axes, curve_from_arrays
from bayesinf.errors import DataError
from bayesinf.figures import interval
from bayesinf.models import linear
from bayesinf.models import problem as driver
from bayesinf.posterior import annotated, dataset, noted
from bayesinf.priors import HalfCauchy, Normal
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["fit_modes", "modes_problem", "simulate_modes"]

MODES = (45, 25)
EVEN = 1e-6  # of a step: times so far from even still have a Fourier transform


def simulate_modes(
    count: int = 400, noise: float = 0.05, *, rng: np.random.Generator | None = None
) -> xr.Dataset:
    """Sample two lines under an envelope: y = (cos 8πt + cos 4πt) exp(−t²) on [−4, 4], with noise.

    Parameters
    ----------
    count : of evenly spaced times.
    noise : standard deviation; zero is allowed.
    rng : of the noise; by default the stream "modes" of the default settings.

    Returns
    -------
    a Dataset over ``point`` with ``t`` and ``y``, and the truth ``truth.sigma``.
    """
    rng = DEFAULT.generator("modes") if rng is None else rng
    t = np.linspace(-4.0, 4.0, count)
    signal = (np.cos(8 * np.pi * t) + np.cos(4 * np.pi * t)) * np.exp(-(t**2))
    found = curve_from_arrays(
        _named(t, "t"), _named(signal + noise * rng.standard_normal(count), "y")
    )
    return annotated(found, truth=dataset({"sigma": np.float64(noise)}, sampled=False))


def _named(values, name):
    import xarray as xr

    return xr.DataArray(values, dims="point", name=name)


def modes_problem(dataset: xr.Dataset, modes: int, priors: dict | None = None) -> linear.Regression:
    """State the modes 0 ... modes − 1 of k cycles over the record; 0 is the level."""
    import xarray as xr

    t, y, error = axes(dataset)
    if not 2 <= modes <= (len(y) - 2) // 2:
        raise DataError(
            "modes that the data cannot tell apart",
            expected=f"2 to {(len(y) - 2) // 2} modes of {len(y)} values",
            found=modes,
        )
    k = np.arange(1, modes)
    angle = 2 * np.pi * np.multiply.outer(t.values - t.values.min(), k) / np.ptp(t.values)
    X = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    names = [f"cos {m}" for m in k] + [f"sin {m}" for m in k]
    spread = float(np.std(y))
    if spread == 0.0:
        raise DataError("there is nothing to fit", expected="values that vary", found="all equal")
    own = {"scale": HalfCauchy(spread), "level": Normal(float(np.mean(y)), 10 * spread)}
    own |= priors or {}
    return linear.regression(
        xr.DataArray(
            X,
            dims=("point", "component"),
            coords={"component": names, "order": ("point", t.values)},
        ),
        y,
        linear.Gaussian(own["scale"]),
        unshrunk={"level": (np.ones(len(y)), own["level"])},
        error=None if error is None else error.values,
        noise=own.get("sigma"),
        name="amplitude",
        constants=xr.Dataset({t.name: t}),
    )


def fit_modes(
    dataset: xr.Dataset,
    modes: Sequence[int] = MODES,
    *,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer the spectrum of a signal from its modes, and say whether fewer would have done.

    Parameters
    ----------
    dataset : a curve; error bars, where it has them, are taken as they are.
    modes : of the fit, and of others to compare it with.
    settings : length and seed.

    Returns
    -------
    InferenceData of the first number of modes, with ``amplitude`` (component), ``level``, ``scale``
    and ``sigma``. Beside it stand ``spectrum`` (power of each mode, its 95 % interval, and that of
    the discrete Fourier transform where the times are even), and ``limits`` (evidence, residuals
    and condition number for each number of modes).
    """
    fits = {
        count: driver.fit(
            modes_problem(dataset, count),
            settings=settings,
            system="spectral_analysis",
            notes={"truth": noted(dataset, "truth")},
            attrs={"signal": "modes", "equation": _equation(count, axes(dataset)[2] is not None)},
        )
        for count in modes
    }
    best = fits[modes[0]]
    return annotated(best, spectrum=_spectrum(best, dataset), limits=_limits(fits, dataset))


def _equation(modes, bars):
    """The model in LaTeX; T is the length of the record."""
    return (
        rf"y_j = c + \sum_{{k=1}}^{{{modes - 1}}} \left( a_k \cos\frac{{2\pi k t_j}}{{T}} + "
        rf"b_k \sin\frac{{2\pi k t_j}}{{T}} \right) + \varepsilon_j,\quad "
        rf"\varepsilon_j \sim N(0, \sigma^2{' e_j^2' * bars})"
    )


def _spectrum(fit, data):
    """Power a² + b² of each mode, (mode,): lower end, median and upper end of its interval."""
    t, y, _ = axes(data)
    amplitude = fit["posterior"]["amplitude"].values
    cosine, sine = np.split(amplitude, 2, axis=-1)
    low, middle, high = interval(cosine**2 + sine**2, axis=(0, 1))
    arrays = {"low": low, "power": middle, "high": high}
    count = len(middle)
    coords = {"mode": np.arange(1, count + 1) / np.ptp(t.values)}
    dims = dict.fromkeys(arrays, ("mode",))
    steps = np.diff(t.values)
    if np.ptp(steps) < EVEN * steps.mean():
        found = np.abs(2 * np.fft.rfft(y.values - y.values.mean()) / len(y)) ** 2
        frequency = np.fft.rfftfreq(len(y), steps.mean())
        inside = (frequency > 0) & (frequency <= 1.2 * coords["mode"][-1])
        arrays["fourier"], dims["fourier"] = found[inside], ("bin",)
        coords["bin"] = frequency[inside]
    units = dict.fromkeys(arrays, _squared(y.attrs["units"]))
    return dataset(arrays, dims, coords, units, sampled=False)


def _squared(unit):
    return unit if unit == "1" else f"{unit}²"


def _limits(fits, data):
    """What each number of modes leaves: evidence, residuals, and how well they are told apart."""
    t, y, _ = axes(data)
    rows = {name: [] for name in ("log_evidence", "residual", "memory_p", "condition", "highest")}
    for count, fit in fits.items():
        X = modes_problem(data, count).X
        design = np.column_stack([np.ones(len(y)), X])
        Q, R = np.linalg.qr(design)
        rest = y.values - Q @ (Q.T @ y.values)
        compared = fit["sample_stats"].to_dataset().sel(statistic="residual memory")
        above = compared["discrepancy"] > compared["discrepancy_observed"]
        rows["log_evidence"].append(float(fit["sample_stats"]["log_evidence"]))
        rows["residual"].append(np.sqrt(np.mean(rest**2)))
        rows["memory_p"].append(float(above.mean()))
        rows["condition"].append(np.linalg.cond(R))
        rows["highest"].append((count - 1) / np.ptp(t.values))
    arrays = {name: np.array(values, dtype=float) for name, values in rows.items()}
    unit = {"residual": y.attrs["units"]}
    dims = dict.fromkeys(arrays, ("modes",))
    return dataset(arrays, dims, {"modes": list(fits)}, unit, sampled=False)
