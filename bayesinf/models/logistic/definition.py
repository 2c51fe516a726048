"""The definition: the logistic model of transitions in PyMC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models.logistic.likelihood import Logistic

if TYPE_CHECKING:
    import pymc as pm


def definition(problem: Logistic, centred: bool = True) -> pm.Model:
    """State the model in PyMC, with variables ``h``, ``J``, and ``scale`` where it is inferred.

    ``J`` holds the couplings in a row: all targets and sources, or the pairs i ≤ j where J is
    symmetric, without the diagonal where there is no self-coupling.

    Parameters
    ----------
    problem : data and prior.
    centred : as of ``Prior.pymc``.

    Raises
    ------
    FitError : no prior.
    """
    import pymc as pm
    import pytensor.tensor as pt

    if problem.prior is None:
        raise FitError("a model without a prior has no posterior")
    data, (i, j) = problem.data, problem.pairs
    coords = {"site": np.arange(problem.sites), "coupling": np.arange(problem.couplings)}
    now, then = data.now.astype(float), data.next.astype(float)
    with pm.Model(coords=coords) as model:
        h, J = problem.prior.pymc("site", "coupling", centred)
        full = pt.zeros((problem.sites, problem.sites))
        full = pt.set_subtensor(full[i, j], J)
        if problem.symmetric:
            full = pt.set_subtensor(full[j, i], J)
        theta = h + pt.dot(now, full.T)
        if problem.encoding == "±1":
            log_z = pt.log(pt.cosh(theta)) + np.log(2.0)
        else:
            log_z = pt.softplus(theta)
        pm.Potential("states", pt.sum(then * theta - log_z))
    return model
