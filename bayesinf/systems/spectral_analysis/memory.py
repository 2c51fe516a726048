"""Red noise beside a period: residuals that remember each other are modelled, not suffered.

    y_i = level + harmonics(t_i) + g(t_i) + σ error_i ε_i,
    cov(g(t), g(t')) = (share · scale)² exp(−|t − t'| / correlation_time)

An Ornstein-Uhlenbeck process g takes the place of the jitter: scatter that lasts. Its share of the
amplitudes' scale and its time are on boxes together with the frequency, within the peak that the
model without it has found: half a cycle over the record to either side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.models import linear
from bayesinf.models import problem as driver
from bayesinf.models.linear import Regression
from bayesinf.posterior import annotated, dataset, noted
from bayesinf.priors import InverseChi, Uniform
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.spectral_analysis.leftover import SHARE, lasting
from bayesinf.systems.spectral_analysis.model import Curve
from bayesinf.systems.spectral_analysis.results import folded, source

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["remembering", "with_memory"]

PEAK = 0.5  # cycles over the record to either side of the frequency found
NOISE = InverseChi(4.0, 1.0)  # factor on the error bars
MOST_DRAWS = 250  # in each chain, of matrices as large as the data


@dataclass(frozen=True)
class Remembering:
    """The regression with red noise at each frequency, share and time."""

    curve: Curve
    harmonics: int
    template: Regression

    def __call__(self, frequency: float, share: float, correlation_time: float) -> Regression:
        t, count = self.curve.t, len(self.curve.t)
        apart = np.abs(t[:, np.newaxis] - t) / correlation_time
        # Times that repeat have one value of g: what is added is far below any error bar.
        root = np.linalg.cholesky(np.exp(-apart) + 1e-9 * np.eye(count))
        X = np.hstack([self.curve.features(frequency, self.harmonics), np.eye(count)])
        own = np.tile(1 / np.arange(1, self.harmonics + 1), 2)
        matrix = np.zeros((len(own) + count, len(own) + count))
        matrix[: len(own), : len(own)] = np.diag(own)
        matrix[len(own) :, len(own) :] = share * root
        basis = linear.Basis(matrix, said="amplitudes, and red noise made white")
        return replace(self.template, X=X, basis=basis, scales=None)


def remembering(curve: Curve, harmonics: int, centre: float, scale: float) -> linear.Varying:
    """State a period near a frequency, with red noise in the place of jitter, and the amplitudes'
    scale that the model without it has found: one quadrature less at each point of the boxes.
    """
    from bayesinf.systems.spectral_analysis.model import periodic

    plain = periodic(curve, harmonics).reference
    error = curve.error if np.all(curve.error) else np.full(len(curve.y), np.std(curve.y) / 3)
    names = [*plain.names.coords["component"].values]
    coords = dict(plain.names.coords)
    coords["component"] = names + [f"g {k}" for k in range(1, len(curve.y) + 1)]
    labels = replace(plain.names, coords=coords, units={**plain.names.units, "sigma": "1"})
    prior = linear.Gaussian(scale)
    template = replace(plain, prior=prior, noise=NOISE, error=error, names=labels)
    reach = PEAK / curve.span
    low, high = max(centre - reach, curve.range[0]), min(centre + reach, curve.range[1])
    priors = {
        "frequency": Uniform(low, high),
        "share": SHARE,
        "correlation_time": lasting(curve),
    }
    per_cycle = curve.steps["frequency"] / (curve.span * np.ptp(curve.range))
    return linear.varying(
        Remembering(curve, harmonics, template),
        priors,
        steps={"frequency": max(6, int(np.ceil(per_cycle))), "share": 12, "correlation_time": 12},
        units={"frequency": curve.frequency_unit, "correlation_time": curve.time.attrs["units"]},
    )


def with_memory(
    found: xr.DataTree,
    dataset_of: xr.Dataset,
    *,
    shortest: float | None = None,
    longest: float | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Fit the same period with red noise, and put beside it what was found without.

    Parameters
    ----------
    found : what ``fit`` returned.
    dataset_of : the data that it is of.
    shortest, longest : as for ``fit``.
    settings : length and seed; no more than 250 draws a chain are made.

    Returns
    -------
    InferenceData as of ``fit``, where ``amplitude`` has the red noise at each time after the
    harmonics, ``share`` and ``correlation_time`` are its own, and ``sigma`` multiplies the error
    bars. All notes of ``found`` travel with it, with ``white`` besides: the period without red
    noise, the predictive p-value of its residuals' memory, and the log Bayes factor against it.
    """
    curve, harmonics = Curve(dataset_of, shortest, longest), int(found.attrs["harmonics"])
    highest = noted(found, "candidates")["frequency"].values[0]
    scale = float(found["posterior"]["scale"].mean())
    problem = remembering(curve, harmonics, float(highest), scale)
    fit = driver.fit(
        problem,
        settings=settings.replace(draws=min(settings.draws, MOST_DRAWS)),
        system="spectral_analysis",
        attrs={"harmonics": harmonics, "memory": 1},
    )
    before = noted(found, "source")["period"]
    unit, mode = before.attrs["units"], float(fit["posterior"]["frequency"].median())
    factor = float((before * found["posterior"]["frequency"]).mean())
    statistics = found["sample_stats"].to_dataset().sel(statistic="residual memory")
    above = statistics["discrepancy"] > statistics["discrepancy_observed"]
    # Its prior of the frequency is that of the whole range, cut down to the peak.
    narrower = np.ptp(problem.varied["frequency"].from_normal(np.array([-np.inf, np.inf])))
    gain = float(fit["sample_stats"]["log_evidence"] - found["sample_stats"]["log_evidence"])
    white = {
        "period": before.values,
        "memory_p": np.float64(above.mean()),
        "log_bayes_factor": np.float64(gain + np.log(narrower / np.ptp(curve.range))),
    }
    shared = ("truth", "models", "candidates", "classical")
    notes = {name: noted(found, name) for name in shared}
    return annotated(
        fit,
        source=source(curve, fit["posterior"], harmonics, factor, unit, mode),
        folded=folded(curve, fit["posterior"], harmonics, mode),
        white=dataset(
            white,
            {"period": ("chain_of_white", "draw_of_white")},
            {},
            {"period": unit},
            sampled=False,
        ),
        **{name: note for name, note in notes.items() if note is not None},
    )
