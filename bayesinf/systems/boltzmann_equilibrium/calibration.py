"""Calibration: five sites, a few hundred states, and priors that do not look at the data."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError
from bayesinf.models import binary, pairwise
from bayesinf.models.couplings import Prior
from bayesinf.models.pairwise import enumeration
from bayesinf.priors import LogNormal, Normal
from bayesinf.settings import Settings
from bayesinf.systems.boltzmann_equilibrium import pseudo
from bayesinf.systems.boltzmann_equilibrium.data import draw_states

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.calibration import Machine

ENCODING, SITES, SAMPLES = "±1", 5, (200, 2000)
PRIOR = Prior(Normal(0.0, 0.5), LogNormal(0.4, 0.5))
VARIANTS = {"exact": "mcmc", "laplace": "laplace", "pseudo": "pseudo"}


def calibration_problem(variant: str | None = None) -> Machine:
    """Fields, couplings and their width from 200 to 2000 states of five sites.

    Variants are ``exact`` (MCMC with all states summed over), ``laplace`` and ``pseudo``, whose
    intervals are not those of a posterior, which is to be seen.
    """
    from bayesinf.calibration import Machine

    variant = variant or "exact"
    if variant not in VARIANTS:
        raise DataError("unknown variant", expected=f"one of {', '.join(VARIANTS)}", found=variant)
    return Machine(
        name="boltzmann_equilibrium",
        simulate=simulated,
        fit=partial(fitted, method=VARIANTS[variant]),
        settings=Settings(draws=100, tune=100, chains=4, prior_draws=10),
        log_likelihood=None if variant == "pseudo" else log_likelihood,
    )


def simulated(rng: np.random.Generator) -> tuple[dict[str, np.ndarray], xr.Dataset]:
    """Draw a width, fields and couplings from the prior, a number of states, and the states."""
    import xarray as xr

    h, J, scale = PRIOR.sample(rng, SITES, SITES * (SITES - 1) // 2, 1)
    low, high = np.log(SAMPLES)
    count = round(float(np.exp(rng.uniform(low, high))))
    states = draw_states(h[0], J[0], ENCODING, count, rng)
    truth = {"h": h[0], "J": J[0], "scale": scale[0]}
    data = xr.Dataset({"states": (("sample", "site"), states)}, {"site": np.arange(SITES)},
                      {"encoding": ENCODING})  # fmt: skip
    return truth, data


def fitted(data: xr.Dataset, settings: Settings, method: str) -> xr.DataTree:
    """Fit one of them, without what only a report needs."""
    if method != "pseudo":
        return pairwise.fit(data["states"], encoding=ENCODING, prior=PRIOR, method=method,
                            settings=settings)  # fmt: skip
    import xarray as xr

    from bayesinf.posterior import dataset

    theta, scale, _ = pseudo.route(data, PRIOR)(None, settings)
    h, J = enumeration.unpack(theta)
    found = dataset({"h": h, "J": J, "scale": scale}, {"h": ("site",), "J": ("pair",)})
    return xr.DataTree.from_dict({"posterior": found})


def log_likelihood(truth: dict[str, np.ndarray], data: xr.Dataset) -> float:
    """Log likelihood of all states at the truth."""
    moments = binary.of_states(data["states"].values, ENCODING)
    theta = enumeration.pack(truth["h"], truth["J"])
    log_z = enumeration.log_partition(theta, ENCODING)
    return float(moments.samples * (theta @ moments.statistics - log_z))
