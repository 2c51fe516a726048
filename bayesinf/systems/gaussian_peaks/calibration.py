"""A spectrum drawn from a prior that does not look at the data, small enough to fit often."""

from __future__ import annotations

from functools import partial

import numpy as np

from bayesinf.calibration import Machine, variant_of
from bayesinf.posterior import noted
from bayesinf.priors import LogUniform, Uniform
from bayesinf.settings import Settings
from bayesinf.systems.gaussian_peaks.data import simulate
from bayesinf.systems.gaussian_peaks.model import fit

__all__ = ["VARIANTS", "calibration_problem"]

VARIANTS = ("inferred_noise", "known_noise")
PRIORS = {
    "height": Uniform(4.0, 12.0),
    "center": Uniform(3.0, 7.0),
    "sigma": Uniform(0.5, 1.5),
    "background_level": Uniform(0.0, 2.0),
}
NOISE = LogUniform(0.3, 1.5)


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
    known = variant == "known_noise"
    return Machine(
        name="gaussian_peaks",
        simulate=partial(_simulate, known=known),
        fit=partial(_fit, known=known),
        settings=Settings(draws=100, chains=4, prior_draws=20),
    )


def _simulate(rng, known):
    drawn = {name: float(prior.sample(rng)) for name, prior in PRIORS.items()}
    drawn |= {"noise": float(NOISE.sample(rng))}
    data = simulate(np.linspace(0, 10, 40), **drawn, rng=rng)
    truth = noted(data, "truth")
    names = [*PRIORS, *(() if known else ("noise",))]
    data = data.assign(error=truth["noise"]) if known else data
    return {name: truth[name].to_numpy() for name in names}, data


def _fit(data, settings, known):
    noise = {} if known else {"noise": NOISE}
    return fit(data, method="emcee", priors=PRIORS, settings=settings, **noise)
