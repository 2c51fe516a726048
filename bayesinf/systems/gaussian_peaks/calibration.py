"""A spectrum drawn from a prior that does not look at the data, small enough to fit often."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.calibration import Machine, variant_of
from bayesinf.data import axes
from bayesinf.models.likelihoods import likelihood_of
from bayesinf.posterior import noted
from bayesinf.priors import Gamma, LogNormal, LogUniform, Uniform
from bayesinf.settings import Settings
from bayesinf.systems.gaussian_peaks.data import simulate
from bayesinf.systems.gaussian_peaks.model import fit

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["VARIANTS", "calibration_problem"]

VARIANTS = ("inferred_noise", "known_noise", "poisson", "student", "proportional", "correlated")
PRIORS = {
    "height": Uniform(4.0, 12.0),
    "center": Uniform(3.0, 7.0),
    "sigma": Uniform(0.5, 1.5),
    "background_level": Uniform(0.0, 2.0),
}
NOISE = LogUniform(0.3, 1.5)
# Of what else the scatter is made.
SCATTER = {
    "student": {"noise_dof": Gamma(8.0, 2.0)},
    "proportional": {"noise_share": LogUniform(0.02, 0.3)},
    "correlated": {"noise_length": LogNormal(0.5, 0.5)},
}


def calibration_problem(variant: str | None = None) -> Machine:
    """One Gaussian on a constant background, by emcee, with priors that know no data.

    Parameters
    ----------
    variant : of ``VARIANTS``; None takes the first.

    Raises
    ------
    DataError : an unknown variant.
    """
    variant = variant_of(variant, VARIANTS)
    return Machine(
        name="gaussian_peaks",
        simulate=partial(_simulate, variant=variant),
        fit=partial(_fit, variant=variant),
        settings=Settings(draws=100, chains=4, prior_draws=20),
    )


def _priors(variant):
    """Priors of all that is inferred."""
    noise = {} if variant in ("known_noise", "poisson") else {"noise": NOISE}
    return PRIORS | noise | SCATTER.get(variant, {})


def _likelihood(variant):
    return "normal" if variant.endswith("_noise") else variant


def _simulate(rng, variant):
    drawn = {name: float(prior.sample(rng)) for name, prior in _priors(variant).items()}
    curve = {name: drawn[name] for name in PRIORS}
    noise = float(NOISE.sample(rng)) if variant == "known_noise" else drawn.get("noise", 1.0)
    data = simulate(np.linspace(0, 10, 40), **curve, noise=noise, rng=rng)
    error = {"error": np.float64(noise)} if variant == "known_noise" else {}
    if error or variant == "inferred_noise":
        return {name: truth_of(data, name) for name in _priors(variant)}, data.assign(error)
    # Another likelihood draws the data itself, about the same curve.
    clean = simulate(np.linspace(0, 10, 40), **curve, noise=0.0, rng=rng)
    x, y, _ = axes(clean)
    scatter = {name: np.array(drawn[name]) for name in drawn if name not in PRIORS}
    made = likelihood_of(variant, x.to_numpy(), np.round(y.to_numpy()))
    return (
        {n: truth_of(data, n) if n in PRIORS else np.asarray(v) for n, v in drawn.items()},
        clean.assign({y.name: y.copy(data=made.draw(y.to_numpy(), scatter, rng))}),
    )


def truth_of(data: xr.Dataset, name: str) -> np.ndarray:
    """Return what a simulated spectrum knows of a variable."""
    return noted(data, "truth")[name].to_numpy()


def _fit(data, settings, variant):
    return fit(
        data,
        method="emcee",
        priors=_priors(variant),
        likelihood=_likelihood(variant),
        settings=settings,
    )
