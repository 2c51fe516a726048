"""Pseudo-likelihood: each site given all others, which needs no sum over states.

    log PL(h, J) = Σ_m Σ_i log P(s_i | s_j, j ≠ i),   log odds of s_i: h_i + Σ_j J_ij s_j

It is the logistic regression of every site on the others at the same time, with couplings that are
the same both ways. Its optimum tends to the truth as the likelihood's does, but it is no
likelihood: each pair is counted from both of its ends, and the width of what comes out is not that
of a posterior. Every fit made by it says so in its attributes.

Besag, J. R. Stat. Soc. D 24, 179 (1975), doi:10.2307/2987782; Aurell & Ekeberg, Phys. Rev. Lett.
108, 090201 (2012), doi:10.1103/PhysRevLett.108.090201.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.models.binary import pairwise
from bayesinf.models.binary.couplings import stated

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.models.binary.couplings import CouplingPrior
    from bayesinf.models.binary.logistic.likelihood import Logistic
    from bayesinf.models.problem import Route

__all__ = ["ATTRS", "conditional", "optimum", "route"]

ATTRS = {"model": "pairwise by pseudo-likelihood", "method": "pseudo-likelihood"}


def conditional(data: xr.Dataset, prior: str | CouplingPrior) -> Logistic:
    """State the logistic regression of each site on all others at the same time.

    Its parameters are, in this order, the fields and the couplings of pairs i < j.
    """
    from bayesinf.models.binary import logistic
    from bayesinf.models.binary.logistic.likelihood import Logistic

    encoding = data["states"].attrs["encoding"]
    steps = logistic.same_time(data["states"], encoding)
    return Logistic(steps, stated(prior, encoding), symmetric=True, self_coupling=False)


def optimum(
    data: xr.Dataset, prior: str | CouplingPrior = "normal"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the optimum, and the standard errors that its curvature claims, (parameter,) both.

    Parameters
    ----------
    data : ``states`` (sample, site).
    prior : one that is normal and of fixed width.
    """
    from scipy.linalg import solve_triangular

    from bayesinf.models.binary.logistic import widths

    top = widths.at_width(conditional(data, prior), 1.0)
    inverse = solve_triangular(top.normal.root[0], np.eye(top.theta.size), lower=True)
    return top.theta[0], np.sqrt(np.sum(inverse**2, axis=0))


def route(data: xr.Dataset, prior: str | CouplingPrior) -> Route:
    """Return a route of the pairwise family whose draws are those of the pseudo-likelihood.

    Everything else in the fit, the log likelihood and the replicas, is then that of the joint
    distribution at these draws.
    """

    def of_conditionals(_, settings):
        from bayesinf.models.binary.logistic import routes

        theta, scale, evidence = routes.laplace(conditional(data, prior), settings)
        return theta[..., 0, :], scale, evidence

    return pairwise.route(of_conditionals, "laplace")
