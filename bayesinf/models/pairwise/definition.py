"""The definition: the pairwise model in PyMC, with all states written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models.binary import decoded, pairs
from bayesinf.models.pairwise.likelihood import Pairwise

if TYPE_CHECKING:
    import pymc as pm

LARGEST = 12  # sites whose states PyMC holds as one matrix


def features(sites: int, encoding: str) -> np.ndarray:
    """Return the statistics of every state, (state, parameter)."""
    states = decoded(np.arange(1 << sites), sites, encoding).astype(float)
    i, j = pairs(sites)
    return np.concatenate([states, states[:, i] * states[:, j]], axis=1)


def definition(problem: Pairwise, centred: bool = True) -> pm.Model:
    """State the model in PyMC, with variables ``h``, ``J``, and ``scale`` where it is inferred.

    Parameters
    ----------
    problem : data and prior.
    centred : as of ``Prior.pymc``.

    Raises
    ------
    FitError : too many sites, or no prior.
    """
    import pymc as pm
    import pytensor.tensor as pt

    if problem.sites > LARGEST:
        raise FitError(f"PyMC holds all states of at most {LARGEST} sites, not of {problem.sites}: "
                       "use the method mcmc or laplace")  # fmt: skip
    if problem.prior is None:
        raise FitError("a model without a prior has no posterior")
    count = problem.size - problem.sites
    coords = {"site": np.arange(problem.sites), "pair": np.arange(count)}
    with pm.Model(coords=coords) as model:
        theta = pt.concatenate(problem.prior.pymc("site", "pair", centred))
        log_z = pt.logsumexp(pt.dot(features(problem.sites, problem.encoding), theta))
        seen = pt.dot(problem.statistics, theta) - log_z
        pm.Potential("states", np.float64(problem.samples) * seen)
    return model
