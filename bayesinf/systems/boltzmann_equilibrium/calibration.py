"""Calibration: five sites, or more than can be enumerated, and priors that do not see the data."""

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

ENCODING, SAMPLES = "±1", (200, 2000)
FEW, MANY = 5, enumeration.LARGEST + 1
PRIORS = {  # many couplings of a size would freeze the sites
    FEW: CouplingPrior(Normal(0.0, 0.5), LogNormal(0.4, 0.5)),
    MANY: CouplingPrior(Normal(0.0, 0.5), LogNormal(0.15, 0.3)),
}
VARIANTS = {
    "exact": ("mcmc", FEW),
    "laplace": ("laplace", FEW),
    "pseudo": ("pseudo", FEW),
    "sampled": ("laplace", MANY),
}


def calibration_problem(variant: str | None = None) -> Machine:
    """Fields, couplings and their width from 200 to 2000 states of five sites.

    Variants are ``exact`` (MCMC with all states summed over; None too), ``laplace``, ``pseudo``,
    whose intervals are not those of a posterior, which is to be seen, and ``sampled``: the normal
    of 21 sites, whose sums rest on sampled states. What those miss of log Z, a number that all
    draws share, makes log likelihoods of theirs no ranks.
    """
    variant = variant_of(variant, VARIANTS)
    method, sites = VARIANTS[variant]
    return Machine(
        name="boltzmann_equilibrium",
        simulate=partial(simulated, sites=sites),
        fit=partial(fitted, method=method),
        settings=Settings(draws=100, tune=100, chains=4, prior_draws=10),
        log_likelihood=log_likelihood if variant in ("exact", "laplace") else None,
    )


def simulated(
    rng: np.random.Generator, sites: int = FEW
) -> tuple[dict[str, np.ndarray], xr.Dataset]:
    """Draw a width, fields and couplings from the prior, a number of states, and the states."""
    h, J, scale = (of[0] for of in PRIORS[sites].sample(rng, sites, sites * (sites - 1) // 2, 1))
    count = round(float(np.exp(rng.uniform(*np.log(SAMPLES)))))
    states = draw_states(h, J, ENCODING, count, rng)
    labels = Labels({"states": ("sample", "site")}, {"site": np.arange(sites)})
    data = labels.group({"states": states}, sampled=False)
    data["states"].attrs["encoding"] = ENCODING
    return {"h": h, "J": J, "scale": scale}, data


def fitted(data: xr.Dataset, settings: Settings, method: str) -> xr.DataTree:
    """Fit one of them, without what only a report needs."""
    prior = PRIORS[data.sizes["site"]]
    if method == "pseudo":
        method = pseudo.route(data, prior)
    options = {"prior": prior, "method": method, "settings": settings}
    return pairwise.fit(data["states"], encoding=ENCODING, **options)


def log_likelihood(truth: dict[str, np.ndarray], data: xr.Dataset) -> float:
    """Log likelihood of all states at the truth."""
    moments = binary.of_states(data["states"].values, ENCODING)
    return float(Pairwise(moments).log_likelihood(enumeration.pack(truth["h"], truth["J"])))
