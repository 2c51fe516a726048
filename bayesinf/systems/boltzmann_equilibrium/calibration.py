"""Calibration: five sites, a few hundred states, and priors that do not look at the data."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.calibration import Machine, variant_of
from bayesinf.models import binary
from bayesinf.models.binary import pairwise
from bayesinf.models.binary.couplings import CouplingPrior
from bayesinf.models.binary.pairwise import Pairwise, enumeration
from bayesinf.models.problem import Labels
from bayesinf.priors import LogNormal, Normal
from bayesinf.settings import Settings
from bayesinf.systems.boltzmann_equilibrium import pseudo
from bayesinf.systems.boltzmann_equilibrium.data import draw_states

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["calibration_problem", "fitted", "log_likelihood", "simulated"]

ENCODING, SITES, SAMPLES = "±1", 5, (200, 2000)
PRIOR = CouplingPrior(Normal(0.0, 0.5), LogNormal(0.4, 0.5))
VARIANTS = {"exact": "mcmc", "laplace": "laplace", "pseudo": "pseudo"}


def calibration_problem(variant: str | None = None) -> Machine:
    """Fields, couplings and their width from 200 to 2000 states of five sites.

    Variants are ``exact`` (MCMC with all states summed over; None too), ``laplace`` and ``pseudo``,
    whose intervals are not those of a posterior, which is to be seen.
    """
    variant = variant_of(variant, VARIANTS)
    return Machine(
        name="boltzmann_equilibrium",
        simulate=simulated,
        fit=partial(fitted, method=VARIANTS[variant]),
        settings=Settings(draws=100, tune=100, chains=4, prior_draws=10),
        log_likelihood=None if variant == "pseudo" else log_likelihood,
    )


def simulated(rng: np.random.Generator) -> tuple[dict[str, np.ndarray], xr.Dataset]:
    """Draw a width, fields and couplings from the prior, a number of states, and the states."""
    h, J, scale = (of[0] for of in PRIOR.sample(rng, SITES, SITES * (SITES - 1) // 2, 1))
    count = round(float(np.exp(rng.uniform(*np.log(SAMPLES)))))
    states = draw_states(h, J, ENCODING, count, rng)
    labels = Labels({"states": ("sample", "site")}, {"site": np.arange(SITES)})
    data = labels.group({"states": states}, sampled=False)
    data["states"].attrs["encoding"] = ENCODING
    return {"h": h, "J": J, "scale": scale}, data


def fitted(data: xr.Dataset, settings: Settings, method: str) -> xr.DataTree:
    """Fit one of them, without what only a report needs."""
    if method == "pseudo":
        method = pseudo.route(data, PRIOR)
    options = {"prior": PRIOR, "method": method, "settings": settings}
    return pairwise.fit(data["states"], encoding=ENCODING, **options)


def log_likelihood(truth: dict[str, np.ndarray], data: xr.Dataset) -> float:
    """Log likelihood of all states at the truth."""
    moments = binary.of_states(data["states"].values, ENCODING)
    return float(Pairwise(moments).log_likelihood(enumeration.pack(truth["h"], truth["J"])))
