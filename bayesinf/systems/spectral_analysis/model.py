"""A periodic source with floating mean, harmonics and jitter: is there a period, and which?

    y_i = level + Σ_k a_k cos(2πk f (t_i − t_0)) + b_k sin(2πk f (t_i − t_0)) + ε_i,   k = 1 ... H
    ε_i ~ N(0, error_i² + jitter²),   a_k, b_k ~ N(0, (scale / k)²)

Frequency f and jitter are on boxes (``linear.varying``), the rest is in closed form. The number of
harmonics is that of the largest evidence, and whether there is a period at all is the evidence
against the same model without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.data import axes
from bayesinf.errors import DataError, FitError
from bayesinf.inference import kinds
from bayesinf.models import linear
from bayesinf.models import problem as driver
from bayesinf.models.linear import Regression
from bayesinf.posterior import noted
from bayesinf.priors import HalfCauchy, LogNormal, Normal, Prior, Uniform
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.spectral_analysis import search
from bayesinf.systems.spectral_analysis.leftover import HighestPeak, leftover, slower

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["WIDTHS", "Curve", "fit", "periodic", "quiet"]

EQUATION = (
    r"y(t_j) = c + \sum_{k=1}^{K} \big(a_k \cos 2\pi k f t_j + b_k \sin 2\pi k f t_j\big) + "
    r"\varepsilon_j,\quad \varepsilon_j \sim N(0, e_j^2 + \mathrm{jitter}^2)"
)
MOST_HARMONICS = 6
DECLINE = 3.0  # log evidence below the best at which no further harmonic is tried
FINE, COARSE = 6.0, 8.0  # first steps, in the standard deviations expected: frequency, jitter
MOST_PARTS = 4  # of the least time between observations, which a grid may have for a step
MOST_STEPS = 4_000_000
LEAST_STEPS = 20  # of jitter: half a standard deviation of a prior that the data leave as it is
ROUGH = 9  # nodes over the scale in a first look
WIDTHS = (0.1, 1.0, 10.0)  # of the level's prior, at which each Bayes factor is told
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "yr": 31557600.0}


@dataclass(frozen=True)
class Curve:
    """A light curve with its priors, as the models take it.

    Parameters
    ----------
    dataset : as of ``simulate`` or ``read``.
    shortest, longest : periods between which to search; by default twice the median time between
        neighbours, and the whole span.
    stated : name to a prior, in place of the default ones.
    """

    dataset: xr.Dataset
    shortest: float | None = None
    longest: float | None = None
    stated: Mapping[str, Prior] | None = None

    def __post_init__(self):
        low, high = self.range
        if len(self.y) < 8 or np.ptp(self.y) == 0:
            raise DataError(
                "no light curve to search",
                expected="at least 8 values that vary",
                found="all values equal" if len(self.y) >= 8 else f"{len(self.y)}",
            )
        if not 0 < low < high:
            raise DataError(
                "no range of periods",
                expected="0 < shortest < longest",
                found=f"{1 / high:.4g} to {1 / low:.4g}",
                remedy="state --shortest and --longest in the unit of the times",
            )
        if (high - low) * self.span < 1:
            raise DataError(
                "the record is too short for these periods",
                expected="periods that differ by at least one cycle over the whole record",
                found=f"a record of {self.span:.4g} for periods from {1 / high:.4g} to "
                f"{1 / low:.4g}",
                remedy="widen the range of periods",
            )

    @property
    def t(self) -> np.ndarray:
        """Times from the middle of the record, where phases are stated."""
        return self.time.values - self.epoch

    @cached_property
    def time(self) -> xr.DataArray:
        """Times as they came."""
        return axes(self.dataset)[0]

    @cached_property
    def values(self) -> xr.DataArray:
        """What was measured, with its name and unit."""
        return axes(self.dataset)[1]

    @property
    def y(self) -> np.ndarray:
        """What was measured, (point,)."""
        return self.values.values

    @cached_property
    def error(self) -> np.ndarray:
        """Stated error bars, (point,); zero where there are none: jitter is all of the noise."""
        bars = axes(self.dataset)[2]
        return np.zeros(len(self.y)) if bars is None else bars.values

    @property
    def epoch(self) -> float:
        """The middle of the record."""
        return float(0.5 * (self.time.values.min() + self.time.values.max()))

    @property
    def span(self) -> float:
        """Length of the record."""
        return float(np.ptp(self.time.values))

    @cached_property
    def grid(self) -> float | None:
        """Step of the grid on which all times stand, to a thousandth of it; None without one.

        On a grid of step g the frequencies f and m/g ± f give the same data.
        """
        t = np.unique(self.time.values)
        for parts in range(1, 1 + MOST_PARTS):
            step = float(np.diff(t).min()) / parts
            step = self.span / np.rint(self.span / step)
            if np.max(np.abs((t - t[0]) / step - np.rint((t - t[0]) / step))) < 1e-3:
                return float(step)
        return None

    @cached_property
    def range(self) -> tuple[float, float]:
        """Lowest and highest frequency of the search."""
        gaps = np.diff(np.sort(self.time.values))
        shortest = self.shortest or 2 * float(np.median(gaps[gaps > 0]))
        return 1 / (self.longest or self.span), 1 / shortest

    @cached_property
    def priors(self) -> dict[str, Prior]:
        """Prior of each parameter."""
        spread = float(np.std(self.y))
        size = float(np.median(self.error)) or spread / 3
        usual = {
            "frequency": Uniform(*self.range),
            "jitter": LogNormal(size, 1.0 if np.any(self.error) else 2.0),
            "level": Normal(float(np.mean(self.y)), 10 * spread),
            "scale": HalfCauchy(spread),
        }
        stated = dict(self.stated or {})
        if unknown := stated.keys() - usual.keys():
            raise FitError(
                f"no parameter {', '.join(sorted(unknown))}: a prior can be given for "
                f"{', '.join(usual)}"
            )
        if not isinstance(stated.get("level", usual["level"]), Normal):
            raise FitError("the prior of level is a Normal, as level ~ Normal(0, 10)")
        return usual | stated

    @property
    def frequency_unit(self) -> str:
        """Cycles per unit of the times."""
        unit = self.time.attrs["units"]
        return "1" if unit == "1" else f"1/{unit}"

    def converted(self, unit: str | None) -> float:
        """Return what periods are multiplied by for another unit than that of the times."""
        own = self.time.attrs["units"]
        if unit in (None, own):
            return 1.0
        if unit not in SECONDS or own not in SECONDS:
            raise DataError(
                "no way from the unit of the times to that of the period",
                expected=f"both among {', '.join(SECONDS)}",
                found=f"{own} and {unit}",
                remedy="state --time-unit",
            )
        return SECONDS[own] / SECONDS[unit]

    def features(self, frequency: float, harmonics: int) -> np.ndarray:
        """Cosines, then sines, of all harmonics, (point, 2 harmonics)."""
        angle = 2 * np.pi * frequency * np.multiply.outer(self.t, np.arange(1, harmonics + 1))
        return np.concatenate([np.cos(angle), np.sin(angle)], axis=1)

    def power(self, count: int, harmonics: int, noise: np.ndarray | None = None) -> np.ndarray:
        """Least-squares power at the centres of so many steps of the search, (count,)."""
        (low, high), noise = self.range, self.noise if noise is None else noise
        step = (high - low) / count
        return search.power(self.t, self.y, noise, low + step / 2, step, count, harmonics)

    def evidence(self, values: np.ndarray, harmonics: int) -> np.ndarray:
        """About the log evidence at evenly spaced frequencies, (count,), but for a constant: the
        noise is known up to a factor, which stands for the jitter.
        """
        level, log_scale = self.priors["level"], np.log(np.std(self.y)) + np.linspace(-5, 2, ROUGH)
        density = self.priors["scale"].log_density(np.exp(log_scale)) + log_scale
        widths = np.exp(2 * log_scale)[:, np.newaxis] / np.tile(np.arange(1, harmonics + 1), 2) ** 2
        variances = np.column_stack([np.full(ROUGH, level.sd**2), widths])
        grid = values[0], values[1] - values[0], len(values)
        y = self.y - level.mean
        return search.log_evidence(self.t, y, self.noise, *grid, variances, density, scaled=True)

    @cached_property
    def noise(self) -> np.ndarray:
        """Error bars with the jitter that a first search leaves, (point,), for the searches."""
        flat = self.error if np.all(self.error) else np.full(len(self.y), np.std(self.y))
        best = np.max(self.power(self.steps_at(20), 2, flat))
        rest = (1 - best) * np.var(self.y) - np.mean(self.error**2)
        return np.sqrt(self.error**2 + max(rest, 1e-4 * np.var(self.y)))

    def steps_at(self, per_cycle: float) -> int:
        """Steps of the search, so many for each cycle over the record."""
        low, high = self.range
        return int(np.clip((high - low) * self.span * per_cycle, 64, MOST_STEPS))

    @cached_property
    def steps(self) -> dict[str, int]:
        """Steps of frequency and jitter that the widths to be expected of them call for."""
        best = np.max(self.power(self.steps_at(20), 3))
        signal = len(self.y) * best / max(1 - best, 1e-3)
        width = np.sqrt(3 / signal) / (2 * np.pi)  # in cycles over the record
        low, high = np.log(self.priors["jitter"].from_normal(np.array([-5.0, 5.0])))
        return {
            "frequency": self.steps_at(max(20, 1 / (FINE * width))),
            "jitter": max(
                LEAST_STEPS, int(np.ceil((high - low) * np.sqrt(2 * len(self.y)) / COARSE))
            ),
        }


@dataclass(frozen=True)
class Periodic:
    """The regression at each frequency and jitter; ``template`` has the priors and the labels."""

    curve: Curve
    harmonics: int
    template: Regression

    def __call__(self, frequency: float, jitter: float) -> Regression:
        X = self.curve.features(frequency, self.harmonics)
        return replace(self.template, X=X, error=np.hypot(self.curve.error, jitter))


@dataclass(frozen=True)
class Quiet:
    """The same without a period, at each jitter: a level alone."""

    curve: Curve

    def __call__(self, jitter: float) -> Regression:
        level, ones = self.curve.priors["level"], np.ones((len(self.curve.y), 1))
        return linear.regression(
            ones,
            self.curve.y,
            linear.Gaussian(level.sd),
            means=np.array([level.mean]),
            error=np.hypot(self.curve.error, jitter),
        )


def periodic(curve: Curve, harmonics: int) -> linear.Varying:
    """State a period with so many harmonics."""
    import xarray as xr

    k = np.arange(1, harmonics + 1)
    names = [f"cos {m}" for m in k] + [f"sin {m}" for m in k]
    dims, unit = ("point", "component"), curve.values.attrs["units"]
    start = np.sqrt(np.prod(curve.range))
    coords = {"component": names, "order": ("point", curve.time.values)}
    known = {curve.time.name: curve.time, "stated_error": ("point", curve.error, {"units": unit})}
    template = linear.regression(
        xr.DataArray(curve.features(start, harmonics), dims=dims, coords=coords),
        curve.values,
        linear.Gaussian(curve.priors["scale"]),
        scales=np.tile(1 / k, 2),
        unshrunk={"level": (np.ones(len(curve.y)), curve.priors["level"])},
        error=np.hypot(curve.error, curve.noise.min()),
        name="amplitude",
        constants=xr.Dataset(known),
        discrepancies={"highest residual peak": HighestPeak(curve.t, curve.range[1])},
    )

    def about(values):
        return curve.evidence(values, harmonics)

    return linear.varying(
        Periodic(curve, harmonics, template),
        {name: curve.priors[name] for name in ("frequency", "jitter")},
        steps=curve.steps,
        screen={"frequency": about},
        units={"frequency": curve.frequency_unit, "jitter": unit},
        bars=curve.error if np.all(curve.error > 0) else None,
    )


def quiet(curve: Curve) -> linear.Varying:
    """State the noise alone, the mean floating."""
    return linear.varying(Quiet(curve), {"jitter": curve.priors["jitter"]}, steps=64)


def fit(
    dataset: xr.Dataset,
    harmonics: int | None = None,
    *,
    shortest: float | None = None,
    longest: float | None = None,
    period_unit: str | None = None,
    priors: Mapping[str, Prior] | None = None,
    method: str | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer period, harmonics, mean and jitter of a light curve.

    Parameters
    ----------
    dataset : as of ``simulate`` or ``read``.
    harmonics : of the period; None for the number of the largest evidence.
    shortest, longest : periods between which to search; by default twice the median time between
        neighbours, and the length of the record.
    period_unit : s, min, h, d or yr, where the times have one of these; None for that of the times.
    priors : of ``frequency``, ``jitter``, ``level`` or ``scale``, in place of the default ones.
    method, settings : as for ``models.problem.fit``.

    Returns
    -------
    InferenceData with ``frequency``, ``jitter``, ``level``, ``amplitude`` (component) and
    ``scale``. Beside it stand ``source`` (period and peak-to-peak amplitude of each draw),
    ``models`` (evidence with no period and with each number of harmonics), ``candidates``
    (posterior mass at the period, its half and double, and its aliases), ``folded`` (the curve by
    phase), ``classical``, and the ``truth`` where the data know it.

    Raises
    ------
    DataError : too few or too short data, a range without periods, a unit that is not known.
    FitError : a prior of no parameter.
    """
    from bayesinf.systems.spectral_analysis.results import advised, beside

    curve = Curve(dataset, shortest, longest, priors)
    factor = curve.converted(period_unit)
    if len(curve.y) <= 2 * (harmonics or 1) + 3:
        raise DataError(
            "fewer values than the model has parameters",
            expected=f"more than {2 * (harmonics or 1) + 3}",
            found=len(curve.y),
            remedy="ask for fewer harmonics",
        )
    tried = _tried(curve, [harmonics] if harmonics else range(1, MOST_HARMONICS + 1))
    best = max(tried, key=lambda count: tried[count].log_evidence())
    found = driver.fit(
        tried[best],
        method,
        settings,
        system="spectral_analysis",
        notes={"truth": noted(dataset, "truth")},
        attrs={"harmonics": best, "equation": EQUATION},
    )
    asked = leftover(curve, best, found["posterior"]) | slower(curve, tried[best].log_evidence())
    for question, value in asked.items():
        found = kinds.asked(found, question, value)
    unit = period_unit or curve.time.attrs["units"]
    return advised(beside(found, curve, tried, quiet(curve), factor, unit))


def _tried(curve, counts):
    """Models with more and more harmonics, until the evidence has clearly passed its top."""
    tried, values = {}, []
    for count in counts:
        if len(curve.y) <= 2 * count + 3:
            break
        tried[count] = periodic(curve, count)
        values.append(tried[count].log_evidence())
        past = len(values) - 1 - int(np.argmax(values))
        if past > 1 or values[-1] < max(values) - DECLINE:
            break
    return tried
