"""Calibration: a problem that is small, and whose priors do not look at the data."""

from __future__ import annotations

from functools import partial

import numpy as np

from bayesinf.calibration import Machine, variant_of
from bayesinf.models.binary import logistic
from bayesinf.models.binary.couplings import CouplingPrior
from bayesinf.priors import LogNormal, Normal
from bayesinf.settings import Settings
from bayesinf.systems.boltzmann_kinetic.data import evolve
from bayesinf.systems.boltzmann_kinetic.model import fit, transitions

__all__ = ["VARIANTS", "calibration_problem"]

SITES, FEWEST, MOST = 5, 200, 2000
# The prior of the couplings is that of their width.
PRIOR = CouplingPrior(h=Normal(0.0, 0.5), J=LogNormal(0.4, 0.5))
# Variant to whether couplings are symmetric, and to the method.
VARIANTS = {
    "asymmetric": (False, "mcmc"),
    "symmetric": (True, "mcmc"),
    "gibbs": (False, "gibbs"),
    "laplace": (False, "laplace"),
}


def calibration_problem(variant: str | None = None) -> Machine:
    """Five sites and 200 to 2000 transitions: ``asymmetric`` couplings by default.

    ``symmetric`` has others, ``gibbs`` and ``laplace`` the same by another method.
    """
    variant = variant_of(variant, VARIANTS)
    symmetric, method = VARIANTS[variant]
    return Machine(
        name="boltzmann_kinetic",
        simulate=partial(_simulate, symmetric=symmetric),
        fit=partial(_fit, symmetric=symmetric, method=method),
        settings=Settings(draws=100, tune=100, chains=4, prior_draws=20),
        log_likelihood=_log_likelihood,
    )


def _simulate(rng, symmetric):
    """Draw width, fields and couplings from the prior, and from one to four runs of them."""
    from bayesinf.data import raster_from_arrays

    scale = float(PRIOR.J.sample(rng))
    h = PRIOR.h.sample(rng, SITES)
    J = scale * rng.standard_normal((SITES, SITES))
    if symmetric:
        J = np.triu(J) + np.triu(J, 1).T
    repeats = int(rng.integers(1, 5))
    steps = int(rng.integers(FEWEST, MOST + 1)) // repeats
    first = rng.choice(np.array([-1, 1], np.int8), (repeats, SITES))
    states = evolve(h, J, first, steps, rng, encoding="±1")
    data = raster_from_arrays(states, axes="repeat,time,site", encoding="±1")
    return {"h": h, "J": J, "scale": np.array(scale)}, data


def _fit(data, settings, symmetric, method):
    return fit(data, symmetric=symmetric, prior=PRIOR, method=method, settings=settings)


def _log_likelihood(truth, data):
    return float(logistic.log_likelihood(transitions(data), truth["h"], truth["J"]).sum())
