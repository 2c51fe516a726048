"""Couplings under a normal prior with one lag α to be inferred, as the model's equation has it.

The triangle of each oscillator is that of 1, all sines and all cosines, made once; at an α its
columns are sines · cos α − cosines · sin α, and the regression is that of a known lag. So α is the
one angle in common of ``linear.common``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.models import linear
from bayesinf.models import problem as driver
from bayesinf.models.linear import common, shared
from bayesinf.models.problem import Draws, Labels, Route, Sample
from bayesinf.priors import Uniform
from bayesinf.settings import Settings
from bayesinf.systems.kuramoto.model import Network, mean_columns

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CommonLag"]

# Couplings have either sign, and (α + π, −K) is the same model as (α, K): half a circle holds all.
TURN = np.pi


@dataclass(frozen=True, eq=False)
class CommonLag(Network):
    """Frequencies, couplings, noise and one lag of oscillators, given their phases."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the couplings."""
        return ("K",)

    @cached_property
    def regression(self) -> linear.Regression:
        """The regression at a lag of zero, which lends the labels."""
        return self.at(0.0)

    def at(self, alpha: float) -> linear.Regression:
        """The regression at a lag."""
        both = self.triangles
        sine, minus_cosine = np.split(both.X, 2, axis=1)
        X = sine * np.cos(alpha) + minus_cosine * np.sin(alpha)
        return replace(both, X=X)

    @cached_property
    def _peaks(self):
        return common.peaks(self.at, TURN)

    @cached_property
    def alpha(self) -> Uniform:
        """The prior of α: even on the circle, told on half of it.

        Which half is a way of telling and no knowledge: about the highest peak of the evidence, so
        that the posterior is seldom cut, and with a mean coupling above zero there.
        """
        if "alpha" in self.given:
            return self.given["alpha"]
        middle = self._peaks[0].angle
        mean, _ = shared.Posterior(self.at(middle)).moments(2)
        middle = middle if np.mean(mean) > 0 else middle + np.pi
        middle = float(np.angle(np.exp(1j * middle)))
        return Uniform(middle - TURN / 2, middle + TURN / 2)

    def told(self, truth: xr.Dataset) -> xr.Dataset:
        """What is true, α told on the same half of the circle and couplings with their sign."""
        if not {"K", "alpha"} <= {*truth}:
            return truth
        halves = np.floor((truth["alpha"] - self.alpha.lower) / TURN)
        turned = truth.assign(alpha=truth["alpha"] - halves * TURN)
        turned = turned.assign(K=truth["K"] * (1 - 2 * (halves % 2)))
        for name in ("K", "alpha"):
            turned[name].attrs = truth[name].attrs
        return turned

    def _pulls(self, draws):
        turned = np.exp(-1j * np.asarray(draws["alpha"]))
        return np.asarray(draws["K"]) * turned[..., np.newaxis]

    # What a problem is asked

    @property
    def parameters_known(self) -> tuple[str, ...]:
        """Parameters of which a truth can be known."""
        return (*super().parameters_known, "alpha")

    @property
    def parameters(self) -> Labels:
        """Labels of frequencies, couplings, noise and lag."""
        every = super().parameters
        return replace(every, units={**every.units, "alpha": "rad"})

    @property
    def priors(self) -> dict[str, str]:
        """Every prior in words."""
        words = f"{self.alpha}, half the circle, as (α + π, −K) is the same as (α, K)"
        return super().priors | {"alpha": words}

    @property
    def hyperparameters(self) -> list[str]:
        """Factors of the prior that are none of the couplings'."""
        return [*super().hyperparameters, "alpha"]

    @property
    def routes(self) -> Mapping[str, Route]:
        """Closed form, and NUTS."""
        return {"exact": Route(closed_form, "exact"), "nuts": Route(driver.nuts, "nuts")}

    def sample_prior(self, rng: np.random.Generator, size: int) -> Draws:
        """Draw the parameters from their prior, (size, ...)."""
        return {**super().sample_prior(rng, size), "alpha": self.alpha.sample(rng, size)}

    def log_factors(self, draws: Draws) -> Draws:
        """Log density of each factor of the prior."""
        return {**super().log_factors(draws), "alpha": self.alpha.log_density(draws["alpha"])}

    @cached_property
    def posterior(self) -> common.Posterior:
        """The posterior in closed form given α, α on cells."""
        return common.Posterior(self.at, self.alpha.lower, TURN, self._peaks)

    def draw(self, rng: np.random.Generator, size: int) -> Draws:
        """Draw all parameters independently from the posterior, (size, ...)."""
        flat = self.posterior.draw(rng, size)
        alpha = flat.pop("angle")
        return self.outer(self.regression.outer(flat)) | {"alpha": alpha}

    def pymc(self):
        """Define the model: mean velocities of all rows at one lag."""
        import pymc as pm

        data, one = self.data_rows, self.regression
        columns = [mean_columns(self.path, i, None, self.pattern) for i in range(self.count)]
        both = np.split(np.stack(columns)[..., 1:], 2, axis=2)
        coords = {"oscillator": self.names.astype(str), "source": np.arange(one.weights)}
        with pm.Model(coords=coords) as model:
            alpha = self.alpha.pymc("alpha")
            sigma = one.noise.pymc("sigma", dims="oscillator")
            omega = one.free["omega"].pymc("omega", dims="oscillator")
            K = one.prior.define("coupling", sigma[:, np.newaxis], ("oscillator", "source"), False)
            pm.Deterministic("K", K.flatten())
            X = both[0] * pm.math.cos(alpha) + both[1] * pm.math.sin(alpha)
            mean = omega[:, np.newaxis] + pm.math.sum(X * K[:, np.newaxis], axis=2)
            noise = sigma[:, np.newaxis] / np.sqrt(data.interval)
            pm.Normal("velocity", mean, noise, observed=data.velocity.T)
        return model


def closed_form(problem: CommonLag, settings: Settings) -> Sample:
    """Draw independently from the posterior: cells for α, closed form given it."""
    shape, posterior = (settings.chains, settings.draws), problem.posterior
    draws = problem.draw(settings.generator("exact"), shape[0] * shape[1])
    draws = {name: v.reshape(*shape, *v.shape[1:]) for name, v in draws.items()}
    moments = dict(zip(("mean", "sd"), posterior.moments(), strict=True))
    of_lag = dict(zip(("mean", "sd"), posterior.angle_moments(), strict=True))
    arrays = {f"K_closed_form_{name}": value.ravel() for name, value in moments.items()}
    arrays |= {f"alpha_closed_form_{name}": np.float64(v) for name, v in of_lag.items()}
    own = problem.parameters
    units = {name: own.units[name.split("_")[0]] for name in arrays}
    dims = {name: own.dims["K"] for name in arrays if name.startswith("K")}
    arrays["condition_number"] = np.float64(posterior.condition_number())
    arrays["log_evidence"] = np.float64(posterior.log_evidence)
    return Sample(draws, Labels(dims, own.coords, units).group(arrays, sampled=False))
