"""Surrogates of the features: a network and a Gaussian process that have learnt the forward model.

    features = W₃ h₂(z) + b + ε,   z = standardised parameters,   ε_k ~ N(0, σ_k² e^(2 c_k·(z, z²)))

Both learn from spectra without noise of plasmas that are drawn somewhat wider than the prior. The
hidden layers of the network, 7-32-32-3, are an optimum; given them the last layer is a linear
model, whose posterior is exact, from other spectra, so that σ is no fit to what the hidden layers
have seen. Its bands hold what the last layer does not know, and what the network cannot follow,
which grows towards the edge of the range, in some directions more than in others: one growth in
all of them would leave tails, and bands too wide in the middle (last-layer Laplace: Kristiadi, Hein
& Hennig, ICML 2020, arXiv:2002.10118).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy

from bayesinf.models import gp, linear
from bayesinf.models import problem as driver
from bayesinf.models.layers import Layers
from bayesinf.priors import LogNormal
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.thomson_surrogate.features import FEATURES, Features
from bayesinf.systems.thomson_surrogate.model import PRIORS
from bayesinf.systems.thomson_surrogate.plasma import UNITS
from bayesinf.systems.thomson_surrogate.spectrum import Spectrometer

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Lessons", "Network", "inside", "process", "reach", "standardised", "train"]

WIDER = 1.3  # sd of the training inputs, in those of the prior
HIDDEN = 32
STEPS = 800  # of the search for the hidden layers
BEGUN = 0.4  # share of the prior's width at which it begins, where the network is nearly linear
EQUAL = 0.03  # sds of a feature, to which all are learnt before one is learnt finer
NOISE = LogNormal(0.003, 2.0)  # of the features, where z = 0
GROWTH = 0.5  # sd of the prior of how its logarithm grows along an input, or its square
LAST, LAST_DRAWS = 600, 100  # spectra of the last layer, and draws of each chain there


@cache
def reach() -> float:
    """Return the radius that holds 99.9 % of the prior, in its sds."""
    return float(np.sqrt(2 * scipy.special.gammaincinv(len(UNITS) / 2, 0.999)))


def standardised(draws: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return parameters in sds of the default prior, (..., input); logarithms of positive ones.

    Parameters
    ----------
    draws : parameter to (...).
    """
    columns = []
    for name in UNITS:
        prior, value = PRIORS[name], np.asarray(draws[name], dtype=float)
        if hasattr(prior, "median"):
            with np.errstate(all="ignore"):
                columns.append(np.log(value / prior.median) / prior.spread)
        else:
            columns.append((value - prior.mean) / prior.sd)
    return np.stack(columns, axis=-1)


def inside(z: np.ndarray) -> np.ndarray:
    """Whether standardised parameters, (..., input), lie where a surrogate was trained."""
    return np.sum(z**2, axis=-1) <= reach() ** 2


@dataclass(frozen=True)
class Lessons:
    """Plasmas with the features of their spectra, without noise.

    Parameters
    ----------
    z : standardised parameters, (plasma, input).
    y : features, (plasma, feature).
    """

    z: np.ndarray
    y: np.ndarray

    @classmethod
    def drawn(
        cls,
        spectrometer: Spectrometer,
        count: int,
        rng: np.random.Generator,
        wider: float = WIDER,
        shell: tuple[float, float] | None = None,
    ) -> Lessons:
        """Draw stable plasmas within the range.

        Parameters
        ----------
        spectrometer : that sees them.
        count : of plasmas.
        rng : generator.
        wider : than the prior; 1 for the prior itself.
        shell : from which part of the range's radius to which, in place of that.
        """
        asked, found = Features(spectrometer), ([], [])
        while sum(map(len, found[0])) < count:
            z = wider * rng.standard_normal((count, len(UNITS)))
            if shell is not None:
                radius = reach() * rng.uniform(*shell, (count, 1))
                z = z / np.linalg.norm(z, axis=1, keepdims=True) * radius
            z = z[inside(z)] if shell is None else z
            draws = {n: PRIORS[n].from_normal(z[:, k]) for k, n in enumerate(UNITS)}
            shapes = spectrometer.shapes(draws)
            stable = np.isfinite(shapes).all(axis=-1)
            found[0].append(z[stable])
            found[1].append(asked.of(shapes[stable]))
        return cls(*(np.concatenate(part)[:count] for part in found))


@dataclass(frozen=True)
class Network:
    """A trained network with bands.

    Parameters
    ----------
    weight : of the hidden layers, as of ``Layers``.
    growth : c of each feature, (feature, 2 inputs), as of ``_growth``.
    posterior : InferenceData of the last layer.
    """

    weight: np.ndarray
    growth: np.ndarray
    posterior: xr.DataTree

    def columns(self, z: np.ndarray) -> np.ndarray:
        """What the last layer takes, (..., unit + 1): the second hidden layer, and 1."""
        _, h2 = LAYERS.hidden(z, self.weight)
        return np.concatenate([h2, np.ones((*h2.shape[:-1], 1))], axis=-1)

    @cached_property
    def moments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean (feature, unit + 1) and root of the covariance of the last layer; σ², (feature,)."""
        draws = self.posterior["posterior"].to_dataset().sel(output=list(FEATURES))
        last = [draws["beta"].values, draws["intercept"].values[..., None]]
        last = np.concatenate(last, axis=-1).reshape(-1, len(FEATURES), HIDDEN + 1)
        off = last - last.mean(axis=0)
        root = np.stack([np.linalg.qr(o, mode="r") for o in np.moveaxis(off, 1, 0)])
        variance = np.mean(draws["sigma"].values ** 2, axis=(0, 1))
        return last.mean(axis=0), root / np.sqrt(len(last)), variance

    def predict(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance of the features, (..., feature), at (..., input)."""
        last, root, variance = self.moments
        columns = self.columns(z)
        spread = np.sum(np.einsum("...j,fij->...fi", columns, root) ** 2, axis=-1)
        return columns @ last.T, spread + variance * np.exp(2 * _bent(z) @ self.growth.T)


LAYERS = Layers(len(UNITS), HIDDEN, len(FEATURES))


def train(
    spectrometer: Spectrometer,
    count: int = 3000,
    *,
    steps: int = STEPS,
    settings: Settings = DEFAULT,
) -> Network:
    """Teach a network the features that a spectrometer sees.

    Parameters
    ----------
    spectrometer : that sees the spectra.
    count : of spectra from which the hidden layers are learnt.
    steps : of the search.
    settings : length and seed.

    Returns
    -------
    the network; its ``posterior`` is InferenceData.
    """
    rng = settings.generator("training")
    first = Lessons.drawn(spectrometer, count, rng)
    weight = _descended(first, rng, steps)
    short = settings.replace(draws=min(settings.draws, LAST_DRAWS), prior_draws=20)
    return last_layer(weight, Lessons.drawn(spectrometer, LAST, rng), short)


def last_layer(weight: np.ndarray, lessons: Lessons, settings: Settings) -> Network:
    """Return a network with the posterior of its last layer, exact given the hidden ones."""
    import xarray as xr

    _, h2 = LAYERS.hidden(lessons.z, weight)
    size = len(FEATURES)
    growth = _growth(lessons, np.column_stack([h2, np.ones(len(h2))]))
    groups = xr.DataArray(np.repeat(list(FEATURES), len(h2)), dims="row", name="output")
    stated = linear.regression(
        np.tile(h2, (size, 1)),
        lessons.y.T.ravel(),
        groups=groups,
        intercept=True,
        error=np.exp(growth @ _bent(lessons.z).T).ravel(),
        noise=NOISE,
    )
    found = driver.fit(stated, settings=settings, system="thomson_surrogate")
    return Network(weight, growth, found)


def _bent(z):
    """Inputs and their squares, (..., 2 inputs)."""
    return np.concatenate([z, z**2], axis=-1)


def _growth(lessons, columns):
    """How the size of each feature's residuals grows away from z = 0, (feature, 2 inputs).

    The most probable c of residuals of N(0, σ² e^(2 c·(z, z²))) at c ~ N(0, GROWTH²), σ free; no
    smaller ones further out. Residuals are those of spectra that were left out.
    """
    from scipy.optimize import minimize

    bent, found = _bent(lessons.z), []
    bounds = [(None, None)] * (1 + lessons.z.shape[1]) + [(0.0, None)] * lessons.z.shape[1]
    for y in lessons.y.T:
        log_sd = np.zeros(len(y))
        for _ in range(2):  # the second time the fit knows which residuals are small
            weight = np.exp(-log_sd)
            basis, _ = np.linalg.qr(columns * weight[:, None])
            off = y * weight - basis @ (basis.T @ (y * weight))
            off = off / (weight * np.sqrt(1 - np.sum(basis**2, axis=1)))

            def downhill(c, off=off):
                scale = c[0] + bent @ c[1:]
                square = off**2 * np.exp(-2 * scale)
                slope = np.concatenate([[np.sum(1 - square)], bent.T @ (1 - square)])
                slope[1:] += c[1:] / GROWTH**2
                return np.sum(scale + square / 2) + np.sum((c[1:] / GROWTH) ** 2) / 2, slope

            start = np.append(np.log(np.std(off)), np.zeros(bent.shape[1]))
            c = minimize(downhill, start, jac=True, method="L-BFGS-B", bounds=bounds).x
            log_sd = bent @ c[1:]
        found.append(c[1:])
    return np.array(found)


def _descended(lessons, rng, steps):
    """Most probable weights, with the noise of each feature inferred beside them."""
    from scipy.optimize import minimize

    z, y = lessons.z, (lessons.y - lessons.y.mean(axis=0)) / lessons.y.std(axis=0)
    size, count = LAYERS.size, len(z)

    def downhill(point):
        weight, log_noise = point[:size], point[size:]
        hidden = LAYERS.hidden(z, weight)
        off = hidden[1] @ LAYERS.split(weight)[-1].T - y
        precision = np.exp(-2 * log_noise)
        square = np.sum(off**2, axis=0)
        scaled = weight / LAYERS.unit_sd
        cost = count * log_noise.sum() + 0.5 * square @ precision + 0.5 * scaled @ scaled
        slope = LAYERS.pulled(z, hidden, weight, off * precision) + scaled / LAYERS.unit_sd
        return cost, np.concatenate([slope, count - square * precision])

    start = np.concatenate([BEGUN * LAYERS.begun(rng), np.full(y.shape[1], np.log(0.3))])
    bounds = [(None, None)] * size + [(np.log(EQUAL), None)] * y.shape[1]
    found = minimize(
        downhill, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": steps}
    )
    return found.x[:size]


def process(lessons: Lessons, feature: int, *, settings: Settings = DEFAULT) -> xr.DataTree:
    """Fit a Gaussian process of seven inputs to one of the features; the answer is its posterior.

    Parameters
    ----------
    lessons : some hundred, since the cost grows with their cube.
    feature : which.
    settings : length and seed.
    """
    x = {name: lessons.z[:, k] for k, name in enumerate(UNITS)}
    return gp.fit(
        x, lessons.y[:, feature], name=list(FEATURES)[feature], method="laplace", settings=settings
    )
