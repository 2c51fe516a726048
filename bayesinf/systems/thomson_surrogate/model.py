"""The posterior of a plasma given a spectrum, by the forward model: every channel is asked.

    y_j ~ Poisson(photons · shape_j(plasma) + background)

An unstable plasma, whose waves grow, has no steady spectrum: its likelihood is zero, and draws of
the prior are of stable ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import data as shared
from bayesinf.diagnostics import Neighbours
from bayesinf.errors import DataError, FitError
from bayesinf.models import density, noise
from bayesinf.models.density import routes
from bayesinf.models.likelihoods import Likelihood, Poisson
from bayesinf.models.noise import Measured
from bayesinf.models.problem import Draws, Labels, Route
from bayesinf.posterior import dataset
from bayesinf.priors import LogNormal, Normal, Prior
from bayesinf.systems.thomson_surrogate.data import counts_of, spectrometer_of
from bayesinf.systems.thomson_surrogate.plasma import UNITS
from bayesinf.systems.thomson_surrogate.routes import importance
from bayesinf.systems.thomson_surrogate.spectrum import Spectrometer

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["PRIORS", "Spectrum", "priors_of"]

# What is known of the plasma before its light is seen: carbon or so, at some hundred eV.
PRIORS: Mapping[str, Prior] = {
    "electron_density": LogNormal(2.0, 0.3),
    "ion_mass": LogNormal(12.0, 0.1),
    "electron_temperature": LogNormal(500.0, 0.25),
    "ion_temperature": LogNormal(250.0, 0.2),
    "charge": LogNormal(5.0, 0.1),
    "ion_flow": Normal(0.0, 30.0),
    "electron_drift": Normal(0.0, 100.0),
}
LEAST_BACKGROUND = 1.0
PART = 32  # draws whose spectra are computed at once


def priors_of(data: xr.Dataset, given: Mapping[str, Prior] | None = None) -> dict[str, Prior]:
    """Return the prior of every parameter; those of photons and background look at their size.

    Parameters
    ----------
    data : a spectrum.
    given : parameter to its prior in place of the default.

    Raises
    ------
    DataError : a prior of no parameter.
    """
    counts = counts_of(data)
    low = np.mean(np.sort(counts)[: max(1, len(counts) // 10)])
    found = dict(PRIORS)
    found["photons"] = LogNormal(max(float(counts.sum()), 1.0), 1.0)
    found["background"] = LogNormal(max(float(low), LEAST_BACKGROUND), 1.0)
    for name in given or {}:
        if name not in found:
            raise DataError(
                "no such parameter",
                where="prior",
                expected=f"one of {', '.join(found)}",
                found=name,
            )
    return found | dict(given or {})


@dataclass(frozen=True, eq=False)
class Spectrum(Measured):
    """Counted photons of one plasma; a parameter has a value, a prior, and a unit.

    Parameters
    ----------
    source : the spectrum, as of ``data.simulate`` or ``data.read``.
    y : photons of each channel, (channel,).
    stated_priors : parameter to its prior, all of them.
    likelihood : how the photons scatter.
    finer : by how much the inner grid is finer than usual.
    """

    source: xr.Dataset
    y: np.ndarray
    stated_priors: Mapping[str, Prior]
    likelihood: Likelihood = Poisson()  # noqa: RUF009 (frozen)
    finer: int = 1

    family = "thomson_surrogate"
    model = "ion-acoustic spectrum"
    equation = (
        r"y_j \sim \mathrm{Poisson}(N\, s_j + b), \quad "
        r"s_j \propto \sum_f G_{jf}\, S(k_f, \omega_f) / \lambda_f^2"
    )

    @classmethod
    def of(cls, data: xr.Dataset, priors: Mapping[str, Prior] | None = None) -> Spectrum:
        """State the problem of a spectrum, with the default priors but for those that are given."""
        return cls(data, counts_of(data), priors_of(data, priors))

    @property
    def routes(self) -> dict[str, Route]:
        """Importance sampling; population Monte Carlo; walkers."""
        return {
            "importance": Route(importance, "importance"),
            "population": Route(_on_target(routes.chains), "mle+mcmc"),
            "ensemble": Route(_on_target(routes.walkers), "ensemble"),
        }

    @cached_property
    def spectrometer(self) -> Spectrometer:
        """Channels and setup."""
        return replace(spectrometer_of(self.source), finer=self.finer)

    @cached_property
    def target(self) -> density.Target:
        """The same as a log density of named numbers, which routes and priors are asked of."""
        return density.problem(
            density.LogDensity(self.stated_priors, self._named, vectorised=True), name=self.model
        )

    def total(self, draws: Draws) -> np.ndarray:
        """Log likelihood of the whole spectrum, (...)."""
        return np.sum(self.likelihood.log_density(self.y, self.mean(draws), {}), axis=-1)

    def _named(self, **draws):
        return self.total(draws)

    def mean(self, draws: Draws) -> np.ndarray:
        """Expected photons of each channel, (..., channel), some draws at a time."""
        shape = np.shape(next(iter(draws.values())))
        flat = {name: np.ravel(draws[name]) for name in self.stated_priors}
        size = flat["photons"].size
        parts = [
            self.spectrometer.counts({n: v[k : k + PART] for n, v in flat.items()})
            for k in range(0, size, PART)
        ]
        return np.concatenate(parts).reshape(*shape, -1)

    def noise_sd(self, draws: Draws) -> np.ndarray:
        """Nothing but the photons' own scatter."""
        return np.zeros(1)

    def scatter(self, draws: Draws) -> Draws:
        """The Poisson likelihood needs nothing besides the mean."""
        return {}

    def goodness(self, spread) -> dict[str, float]:
        """No sum of squares is known of counts."""
        return {}

    @property
    def discrepancies(self):
        """What residuals are always asked; their size too, since photons know their scatter."""
        return noise.asked(Neighbours.along(self.spectrometer.shift), known=True)

    def sample_prior(self, rng: np.random.Generator, size: int) -> Draws:
        """Draw the parameters from their priors, of stable plasmas alone."""
        parts, count = [], 0
        while count < size:
            draws = self.target.sample_prior(rng, size)
            stable = np.isfinite(self.mean(draws)).all(axis=-1)
            if not stable.any():
                raise FitError("the priors leave no stable plasma: state a slower electron_drift")
            parts.append({name: values[stable] for name, values in draws.items()})
            count += int(stable.sum())
        return {name: np.concatenate([part[name] for part in parts])[:size] for name in parts[0]}

    def log_factors(self, draws: Draws) -> Draws:
        """Log density of each prior."""
        return self.target.log_factors(draws)

    @property
    def priors(self) -> Mapping[str, str]:
        """Priors in words."""
        return self.target.priors

    @property
    def parameters(self) -> Labels:
        """Units of the parameters."""
        return Labels(units=UNITS)

    @property
    def data(self) -> Labels:
        """The user's names."""
        x, y, _ = shared.axes(self.source)
        return Labels({y.name: ("point",)}, {x.name: x.variable}, {y.name: "1"})

    @property
    def observed(self) -> xr.Dataset:
        """The photons."""
        _, y, _ = shared.axes(self.source)
        return self.data.group({y.name: self.y}, sampled=False)

    @property
    def constants(self) -> xr.Dataset:
        """Setup, and the shift of each channel."""
        setup = self.spectrometer.setup
        arrays = {"angle": setup.angle, "probe": setup.probe, "instrument": setup.width}
        arrays = {name: np.float64(value) for name, value in arrays.items()}
        units = {"angle": "degree", "probe": "nm", "instrument": "nm", "shift_of_channel": "nm"}
        arrays["shift_of_channel"] = self.spectrometer.shift
        return dataset(arrays, {"shift_of_channel": ("point",)}, units=units, sampled=False)


def _on_target(route):
    def run(problem, settings):
        return route(problem.target, settings)

    return run
