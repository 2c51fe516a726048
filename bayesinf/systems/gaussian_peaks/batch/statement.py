"""What is fitted to each spectrum of a batch: the model of a single fit, stated once for all.

The curve, its parameters' names, ties and priors are those of ``gaussian_peaks.problem``, stated
for one spectrum; the default boxes, which follow from the data, are made for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from bayesinf.data import curve_from_arrays
from bayesinf.data.spectra import Spectrum
from bayesinf.errors import DataError
from bayesinf.models.curve import NonlinearRegression
from bayesinf.models.likelihoods import NOISE
from bayesinf.priors import Prior
from bayesinf.systems.gaussian_peaks.lines import SHAPES, Lines
from bayesinf.systems.gaussian_peaks.statement import default_boxes, problem

__all__ = ["COMPILED", "Model"]

COMPILED = ("gaussian", "lorentzian", "pseudo-voigt")  # shapes whose slopes the batch knows


@dataclass(frozen=True)
class Model:
    """The model of every spectrum of a batch.

    Parameters
    ----------
    peaks, background, shape, tied, knots, negative, centers, priors : as for
        ``gaussian_peaks.problem``.
    likelihood : normal, or poisson of counts, whose error bars are set aside.
    x_name, y_name, x_unit, y_unit : what x and y are called.

    Raises
    ------
    DataError, FitError : what no batch can fit.
    """

    peaks: int = 1
    background: str = "constant"
    shape: str = "gaussian"
    tied: bool = False
    knots: int = 6
    negative: bool = False
    centers: Sequence[float] = ()
    priors: Mapping[str, Prior] = field(default_factory=dict)
    likelihood: str = "normal"
    x_name: str = "x"
    y_name: str = "y"
    x_unit: str = "1"
    y_unit: str = "1"

    def __post_init__(self):
        if self.likelihood not in ("normal", "poisson"):
            raise DataError(
                f"a batch has no {self.likelihood} likelihood",
                where="option 'likelihood'",
                expected="normal or poisson",
                found=self.likelihood,
                remedy="fit the spectra one by one, by --only NAME",
            )
        if self.shape in SHAPES and self.shape not in COMPILED:
            raise DataError(
                f"a batch has no {self.shape} shape",
                where="option 'shape'",
                expected=" or ".join(COMPILED),
                found=self.shape,
                remedy="take pseudo-voigt, or fit the spectra one by one",
            )
        if self.lines.background == "exponential" and self.negative:
            raise DataError(
                "a batch lays no exponential background over dips",
                where="option 'negative'",
                expected="a polynomial background, or peaks that point up",
            )

    @cached_property
    def lines(self) -> Lines:
        """Which curve it is; ``origin`` and ``end`` are those of each spectrum."""
        return Lines(
            self.peaks, self.background, self.shape, 0.0, 1.0, tied=self.tied, knots=self.knots
        )

    def template(self) -> NonlinearRegression:
        """Return the problem of one spectrum that looks like the model, for names and priors."""
        import xarray as xr

        lines = self.lines
        at = np.linspace(0.0, 1.0, 20 + 4 * (len(lines.fitted) + 4 * lines.peaks))
        name = self.x_name if self.x_name != self.y_name else f"{self.x_name}_axis"
        x = xr.DataArray(at, dims="point", name=name, attrs={"units": self.x_unit})
        y = xr.DataArray(at**2, dims="point", name=self.y_name, attrs={"units": self.y_unit})
        y = y if not self.counted else (100 * y).round()
        options = {
            name: getattr(self, name)
            for name in (
                *("peaks", "background", "shape", "tied", "knots", "negative", "likelihood"),
            )
        }
        start = {"height": 1.0, "center": np.linspace(0.2, 0.8, self.peaks)}
        return problem(curve_from_arrays(x, y), starts=[start], priors=dict(self.priors), **options)

    @cached_property
    def stated(self) -> NonlinearRegression:
        """The problem of that spectrum."""
        return self.template()

    @property
    def free(self) -> list[str]:
        """Names along θ, as lmfit calls them."""
        return self.stated.free

    @cached_property
    def given(self) -> dict[str, Prior]:
        """The priors that the caller stated, by names along θ."""
        default = self.stated.unstated
        return {n: prior for n, prior in self.stated.given.items() if n not in default}

    @property
    def counted(self) -> bool:
        """Whether the data are counts."""
        return self.likelihood == "poisson"

    @property
    def noise(self) -> Prior | None:
        """The prior of the noise that the caller stated."""
        return self.priors.get(NOISE)

    @property
    def ascending(self) -> bool:
        """Whether centres are kept ascending."""
        return self.peaks > 1 and bool(self.stated.ordered)

    @cached_property
    def slots(self) -> np.ndarray:
        """Where in θ each peak keeps height, centre, sigma and fraction, (peak, 4)."""
        at = {name: place for place, name in enumerate(self.free)}
        return np.array(
            [
                [
                    at[f"p{k}_height"],
                    at[f"p{k}_center"],
                    at[f"p{1 if self.tied else k}_sigma"],
                    at.get(f"p{k}_fraction", -1),
                ]
                for k in range(1, self.peaks + 1)
            ]
        )

    def design(self, spectra: Sequence[Spectrum]) -> np.ndarray:
        """Columns of a linear background at the points of all spectra, (parameter, point)."""
        total = sum(len(one.x) for one in spectra)
        if self.background in ("none", "exponential"):
            return np.empty((0, total))
        known, parts = {}, []
        for one in spectra:
            key = id(one.x)
            if key not in known:
                lines = replace(self.lines, origin=float(one.x[0]), end=float(one.x[-1]))
                known[key] = lines.design(one.x).T
            parts.append(known[key])
        return np.ascontiguousarray(np.concatenate(parts, axis=1))

    def boxes(self, spectra: Sequence[Spectrum]) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds of each spectrum's parameters, (spectrum, parameter) each."""
        ends = [(one.y.min(), one.y.max(), one.x[0], one.x[-1], len(one.x)) for one in spectra]
        found = default_boxes(*np.array(ends).T, self.lines, self.negative, not self.counted)
        by_name = {
            name: found[variable] for variable in found for name in self.lines.free(variable)
        }
        shape = len(spectra), len(self.free)
        lower, upper = np.empty(shape), np.empty(shape)
        for a, name in enumerate(self.free):
            low, high = by_name[name]
            if name in self.given:
                prior = self.given[name]
                low = getattr(prior, "lower", -np.inf)
                high = getattr(prior, "upper", np.inf)
            own = self.stated.curve.params[name]
            lower[:, a], upper[:, a] = np.maximum(low, own.min), np.minimum(high, own.max)
        return lower, upper

    def log_prior(self, theta: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Log density of the caller's priors, up to constants: (..., parameter), (...) -> (...).

        That of the noise is over the default's, which is flat in the logarithm.
        """
        total = np.zeros(theta.shape[:-1])
        for a, name in enumerate(self.free):
            if name in self.given:
                total = total + self.given[name].log_density(theta[..., a])
        if self.noise is not None:
            total = total + self.noise.log_density(noise) + np.log(noise)
        return total
