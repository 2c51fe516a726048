"""Priors of the fields and couplings of binary data, in the encoding of the fit.

    h_i ~ N(mean, sd²),   J_k | τ ~ one of ``priors.weights``, or N(mean, sd²)

The width τ of the couplings is a number or is inferred, as ``scale``. A prior knows nothing of
sites: how many couplings there are, of pairs or directed, is what their last axis says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError, FitError
from bayesinf.inference.slice import slice_sample
from bayesinf.models.binary import ENCODINGS, known
from bayesinf.priors import HalfCauchy, LogNormal, Normal
from bayesinf.priors.weights import Gaussian, Horseshoe, Laplace

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["HELD", "NAMES", "CouplingPrior", "default", "held_by_prior", "named", "stated"]

# Points of a grid in log τ.
GRID = 400
# Log density below the peak that is left out of it.
REACH = 40.0
# How far the search for its ends goes, in log τ.
BELOW, ABOVE = 20.0, 14.0
# Slice sampling steps of a width whose density is too dear for a grid.
SLICES = 2

# By default a site alone, or one partner, may move the log odds of a site by about 4; what a
# coupling does to them is 2 J in ±1 and J in 0/1.
WIDE = {"±1": 2.0, "0/1": 4.0}

# A coupling whose posterior is wider than this share of its prior is held by the prior.
HELD = 0.9


@dataclass(frozen=True)
class CouplingPrior:
    """Priors of the fields and of the couplings, in the encoding of the fit.

    Parameters
    ----------
    h : of each field.
    J : of each coupling; a ``HalfCauchy`` or ``LogNormal`` alone stands for the ``Gaussian`` whose
        width has that prior.
    """

    h: Normal
    J: Normal | HalfCauchy | LogNormal | Gaussian | Laplace | Horseshoe

    def __post_init__(self):
        if not isinstance(self.h, Normal):
            raise DataError("no such prior of the fields", expected="a Normal", found=self.h)
        if not isinstance(self.J, Normal | HalfCauchy | LogNormal | Gaussian | Laplace | Horseshoe):
            raise DataError(
                "no such prior of the couplings",
                expected="a Normal, Gaussian, Laplace or Horseshoe, or the HalfCauchy "
                "or LogNormal of the width of a Gaussian",
                found=self.J,
            )
        width = self.kind.scale
        if not isinstance(width, int | float | HalfCauchy | LogNormal):
            raise DataError(
                "no such width of the couplings",
                expected="a number, a HalfCauchy or a LogNormal",
                found=width,
            )
        widths = {"h": self.h.sd, "J": 1.0 if self.inferred else width}
        for name, sd in widths.items():
            if not (np.isfinite(sd) and sd > 0):
                raise DataError(
                    f"the prior of {name} is not proper",
                    expected="a standard deviation above zero",
                    found=sd,
                )
        if not self.slab > 0:
            raise DataError(
                "the slab of the couplings has no width",
                expected="a number above zero",
                found=self.slab,
            )

    @property
    def kind(self) -> Gaussian | Laplace | Horseshoe:
        """The form of p(J − mean | τ), and its width."""
        if isinstance(self.J, Normal):
            return Gaussian(self.J.sd)
        return Gaussian(self.J) if isinstance(self.J, HalfCauchy | LogNormal) else self.J

    @property
    def mean(self) -> float:
        """Mean of each coupling."""
        return getattr(self.J, "mean", 0.0)

    @property
    def slab(self) -> float:
        """Width beyond which no coupling is far, infinite where there is none."""
        slab = getattr(self.J, "slab", None)
        return np.inf if slab is None else slab

    @property
    def inferred(self) -> bool:
        """Whether the width of the couplings is."""
        return not isinstance(self.kind.scale, int | float)

    @property
    def hyperparameters(self) -> list[str]:
        """Factors whose power prior sensitivity scales: the width's where it is inferred."""
        return ["h", "scale"] if self.inferred else ["h", "J"]

    @property
    def local(self) -> bool:
        """Whether couplings have variances of their own, given which they are normal."""
        return self.kind.local

    @property
    def typical(self) -> float:
        """The width, or the median of its prior."""
        width = self.kind.scale
        return float(width.from_normal(0.0) if self.inferred else width)

    def _width(self, scale):
        return np.asarray(scale if self.inferred else self.kind.scale, dtype=float)

    def precision(
        self, count: int, scale: np.ndarray | float = 1.0, local: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the precision of each coupling given the width and the local variances.

            1 / (τ² v) + 1 / c²

        Parameters
        ----------
        count : number of couplings.
        scale : width, (...); ignored where it is stated.
        local : local variances v, (..., coupling); None for 1.

        Returns
        -------
        (..., coupling).
        """
        width = self._width(scale)[..., None]
        if local is None:
            return np.broadcast_to(width**-2.0, (*width.shape[:-1], count))
        return width**-2.0 / local + self.slab**-2.0

    def moments(
        self,
        fields: int,
        count: int,
        scale: np.ndarray | float = 1.0,
        local: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Means (parameter,) and precisions (..., parameter) of fields, then couplings.

        Parameters
        ----------
        fields, count : number of fields and of couplings.
        scale, local : as of ``precision``.

        Raises
        ------
        FitError : a shrinking prior without its local variances, given which alone it is normal.
        """
        if self.local and local is None:
            raise FitError(
                f"the prior J ~ {self.words()['J']} is normal only given its local "
                "variances: use the method mcmc"
            )
        means = np.append(np.full(fields, self.h.mean), np.full(count, self.mean))
        J = self.precision(count, scale, local)
        return means, np.concatenate([np.full((*J.shape[:-1], fields), self.h.sd**-2.0), J], -1)

    def log_factors(self, h: np.ndarray, J: np.ndarray, scale: np.ndarray | float = 1.0):
        """Name to the log density of each factor, (...), local variances integrated out.

        Parameters
        ----------
        h, J : (..., field) and (..., coupling).
        scale : width, (...); ignored where it is stated.

        Returns
        -------
        ``h``, ``J`` given the width, and ``scale`` where that is inferred.
        """
        width = self._width(scale)
        factors = {
            "h": self.h.log_density(h).sum(axis=-1),
            "J": self.kind.log_sum(J - self.mean, width[..., None])[..., 0],
        }
        return factors | ({"scale": self.log_scale(width)} if self.inferred else {})

    def log_density(self, h: np.ndarray, J: np.ndarray, scale: np.ndarray | float = 1.0):
        """Log density of fields and couplings, and of the width where it is inferred, (...)."""
        return sum(self.log_factors(h, J, scale).values())

    def log_given(self, h: np.ndarray, J: np.ndarray, scale, local):
        """Log density of fields and couplings, (...), given width and local variances."""
        precision = self.precision(J.shape[-1], scale, local)
        square = precision * (J - self.mean) ** 2
        normal = 0.5 * (np.log(precision) - square - np.log(2 * np.pi)).sum(axis=-1)
        return self.h.log_density(h).sum(axis=-1) + normal

    def log_scale(self, scale: np.ndarray | float) -> np.ndarray:
        """Log density of the width, where it is inferred."""
        return self.kind.scale.log_density(scale)

    def log_marginal(self, h: np.ndarray, J: np.ndarray) -> np.ndarray:
        """Log density of fields and couplings, (...), the width integrated out."""
        if not self.inferred:
            return self.log_density(h, J)
        log_tau, height = self._grid(J)
        top = height.max(axis=-1)
        area = np.trapezoid(np.exp(height - top[..., None]), log_tau, axis=-1)
        return self.h.log_density(h).sum(axis=-1) + top + np.log(area)

    def sample_scale(self, J: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """Draw the width given the couplings, by inverting its distribution at ``uniform``."""
        log_tau, height = self._grid(J)
        density = np.exp(height - height.max(axis=-1, keepdims=True))
        steps = 0.5 * (density[..., 1:] + density[..., :-1]) * np.diff(log_tau, axis=-1)
        below = np.cumsum(steps, axis=-1)
        below = np.concatenate([np.zeros_like(below[..., :1]), below], axis=-1) / below[..., -1:]
        flat = zip(
            np.ravel(uniform), below.reshape(-1, GRID), log_tau.reshape(-1, GRID), strict=True
        )
        return np.exp([np.interp(u, b, t) for u, b, t in flat]).reshape(np.shape(uniform))

    def _grid(self, J):
        """Points in log τ, and log p(J, τ) + log τ there, (..., GRID) both."""
        typical = np.log(self.typical)
        # Without couplings, as of one site, this is the prior of the width.
        peak = np.full(J.shape[:-1], typical)
        if J.shape[-1]:
            peak = np.log(np.maximum(np.mean(np.abs(J), axis=-1), 1e-100))
        log_tau = np.linspace(
            np.minimum(peak, typical) - BELOW, np.maximum(peak, typical) + ABOVE, GRID, axis=-1
        )
        height = self._height(log_tau, J)
        inside = height > height.max(axis=-1, keepdims=True) - REACH
        first = np.maximum(np.argmax(inside, axis=-1) - 1, 0)
        last = np.minimum(GRID - np.argmax(inside[..., ::-1], axis=-1), GRID - 1)
        ends = [np.take_along_axis(log_tau, k[..., None], -1)[..., 0] for k in (first, last)]
        log_tau = np.linspace(*ends, GRID, axis=-1)
        return log_tau, self._height(log_tau, J)

    def _height(self, log_tau, J):
        tau = np.exp(log_tau)
        return self.log_scale(tau) + log_tau + self.kind.log_sum(J, tau)

    def update(self, rng, J: np.ndarray, scale: np.ndarray, local: np.ndarray | None = None):
        """Draw the width given the couplings alone, then the local variances given both.

        The width is drawn on a grid, or moved by slice sampling where there is a density for each
        coupling (the horseshoe); the local variances are independent of those before.

        Parameters
        ----------
        rng : the generator.
        J : couplings, (..., coupling).
        scale : width, (...).
        local : (..., coupling); None where there are none. Its values do not matter.

        Returns
        -------
        scale and local, of the shapes that came in.
        """
        scale = np.asarray(scale, dtype=float)
        if self.inferred and isinstance(self.kind, Horseshoe):

            def height(log_tau):
                return self._height(log_tau[..., None], J)[..., 0]

            log_scale = np.log(scale)
            for _ in range(SLICES):
                log_scale = slice_sample(rng, height, log_scale, 3.0)
            scale = np.exp(log_scale)
        elif self.inferred:
            scale = self.sample_scale(J, rng.random(scale.shape))
        if self.local:
            local = self.kind.local_given(rng, J / self._width(scale)[..., None])
        return scale, local

    def sample(self, rng: np.random.Generator, fields: int, count: int, size: int):
        """Draw fields (size, field), couplings (size, coupling) and widths (size,)."""
        h = self.h.sample(rng, (size, fields))
        scale = self.kind.scale.sample(rng, size) if self.inferred else np.ones(size)
        local = None
        if self.local:
            local = self.kind.sample_local(rng, self._width(scale) * np.ones(size), count)
        sd = self.precision(count, scale, local) ** -0.5
        return h, self.mean + sd * rng.standard_normal((size, count)), scale

    def pymc(self, fields="site", couplings="pair", centred: bool = True):
        """Add ``h``, ``J`` and, where it is inferred, ``scale`` to the open PyMC model.

        Parameters
        ----------
        fields, couplings : their dimensions.
        centred : False writes the couplings of shrinking priors as products of their scales and a
            standard normal, which NUTS finds easier to sample.

        Returns
        -------
        the variables h and J.
        """
        h = self.h.pymc("h", dims=fields)
        if isinstance(self.J, Normal):
            return h, self.J.pymc("J", dims=couplings)
        width = self.kind.scale
        scale = width.pymc("scale") if self.inferred else np.float64(width)
        return h, self.kind.pymc("J", scale, couplings, centred)

    def words(self) -> dict[str, str]:
        """Say every prior, parameter to words."""
        if isinstance(self.J, Normal):
            return {"h": str(self.h), "J": str(self.J)}
        width = self.kind.scale
        said = str(self.kind).format("scale" if self.inferred else f"{width:.4g}")
        return {"h": str(self.h), "J": said} | ({"scale": str(width)} if self.inferred else {})


NAMES = ("normal", "inferred", "laplace", "horseshoe")


def named(name: str, encoding: str) -> CouplingPrior:
    """Return the default prior of a name.

    Parameters
    ----------
    name : ``normal``: h ~ N(0, w²), J ~ N(0, (w / 2)²) in ±1 and N(0, w²) in 0/1; ``inferred``,
        ``laplace`` and ``horseshoe`` (its slab twice as wide): the couplings' width has a
        half-Cauchy prior of that size.
    encoding : "±1", where w = 2, or "0/1", where w = 4.

    Raises
    ------
    DataError : an unknown encoding.
    FitError : an unknown name.
    """
    wide = WIDE[known(encoding)]
    width = wide / (2 if ENCODINGS[encoding] == -1 else 1)
    free = HalfCauchy(width)
    kinds = {
        "normal": Normal(0.0, width),
        "inferred": free,
        "laplace": Laplace(free),
        "horseshoe": Horseshoe(free, 2 * width),
    }
    if name not in kinds:
        raise FitError(f"unknown prior {name!r}: use one of {', '.join(NAMES)}, or a CouplingPrior")
    return CouplingPrior(Normal(0.0, wide), kinds[name])


def stated(prior: str | CouplingPrior, encoding: str) -> CouplingPrior:
    """Return a prior as it is, or the default one of that name."""
    return prior if isinstance(prior, CouplingPrior) else named(prior, encoding)


def default(encoding: str, inferred: bool = False) -> CouplingPrior:
    """Return the prior ``normal``, or ``inferred``, of ``named``."""
    return named("inferred" if inferred else "normal", encoding)


def held_by_prior(posterior: xr.DataTree) -> np.ndarray:
    """Say which couplings the prior holds: the data have hardly narrowed them.

        w(J_k | data) ≥ 0.9 w(J | τ),   w half of the central 68 % interval

    Parameters
    ----------
    posterior : a fit with draws of ``J`` and of its prior. Where the width ``scale`` is inferred, τ
        is its posterior median.

    Returns
    -------
    bool, in the shape of J; False for couplings that never move.
    """
    after, before = (_rows(posterior[group]["J"]) for group in ("posterior", "prior"))
    typical = 1.0
    if "scale" in posterior["posterior"]:
        before = before / _rows(posterior["prior"]["scale"])
        typical = float(posterior["posterior"]["scale"].median())
    width, free = _half_width(after), np.any(before != before[:1], axis=0)
    held = (width > 0) & (width >= HELD * typical * _half_width(before[:, free].ravel()))
    return held.reshape(posterior["posterior"]["J"].shape[2:])


def _rows(draws):
    """Draws (chain, draw, ...) as (draw, element)."""
    values = draws.transpose("chain", "draw", ...).values
    return values.reshape(values.shape[0] * values.shape[1], -1)


def _half_width(draws):
    """Half of the central 68 % interval over the first axis; 0 of nothing."""
    return 0.5 * np.subtract(*np.quantile(draws, [0.84, 0.16], axis=0)) if draws.size else 0.0
