"""Evidence of a regression with several terms, or with a link, by importance sampling.

    p(y) = ⟨ p(y | θ) p(θ | h) p(h) / q(θ | h) q(h) ⟩_q

The logarithms h of noise and widths come from a t distribution with the posterior's mean and
covariance, the coefficients θ given them from the normal of ``joint``: of normal data they are
integrated out at once. The weights' tail (Pareto k̂) says whether the estimate may be used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy

from bayesinf.diagnostics import smoothed_weights
from bayesinf.errors import FitError
from bayesinf.models.linear.joint import EXCESS, Chain
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.models.linear.definition import Regression

__all__ = ["log_evidence"]

DOF = 5.0
DRAWS = 1000
HEAVY = 0.7  # Pareto k̂ from which the estimate is none


def log_evidence(
    problem: Regression, posterior: xr.Dataset, settings: Settings = DEFAULT
) -> tuple[float, float]:
    """Estimate log p(y), all parameters integrated out.

    Parameters
    ----------
    problem : with normal priors of all terms, and a response that is not Student's.
    posterior : draws of its noise and widths, (chain, draw).
    settings : its seed.

    Returns
    -------
    the logarithm, in the unit of y, and its standard error.

    Raises
    ------
    FitError : local variances or precisions, which are not integrated out; weights with a tail that
        is too heavy.
    """
    rng = settings.generator("evidence")
    chain = Chain(problem, rng)
    terms = chain.widths.terms
    if chain.dof is not None or any(one.prior.local for one in terms.values()):
        raise FitError("no evidence: the prior or the response has local variances")
    names = [chain.widths.named(k, "scale") for k in chain.widths.moving]
    names += ["sigma"] if chain.noisy else []
    names += [EXCESS] if chain.excess is not None else []
    if names:
        h = np.log(np.stack([posterior[name].values.ravel() for name in names]))
        draws, log_q = _around(rng, h)
    else:
        draws, log_q = np.zeros((1, 0)), np.zeros(1)
    constant = chain.seen.total_log_jacobian
    if chain.response is not None:
        constant = _constant(chain)
    log_weight = np.array([_weight(chain, rng, point) for point in draws]) - log_q + constant
    top = log_weight.max()
    weight = np.exp(log_weight - top)
    mean = weight.mean()
    error = weight.std() / mean / np.sqrt(len(weight))
    if len(weight) > 1:
        k = float(smoothed_weights(log_weight[np.newaxis])[1][0])
        if k > HEAVY:
            raise FitError(f"no evidence: its weights have too heavy a tail (k̂ {k:.2f})")
    return float(np.log(mean) + top), float(error)


def _constant(chain):
    """What the response's density leaves out, as it depends on the data alone."""
    seen, problem = chain.response, chain.problem
    eta = np.zeros(len(problem.y))
    whole = problem.likelihood.log_density(problem.y, problem.responding(eta), seen.known)
    return float(np.sum(whole - seen.of_eta(eta)))


def _around(rng, h):
    """Draws of a t distribution with mean and covariance of h, and their log density."""
    size, centre = len(h), h.mean(axis=1)
    root = np.linalg.cholesky(np.atleast_2d(np.cov(h)) + 1e-12 * np.eye(size))
    scale = np.sqrt(DOF / rng.chisquare(DOF, (DRAWS, 1)))
    white = scale * rng.standard_normal((DRAWS, size))
    half = (DOF + size) / 2
    density = (
        scipy.special.gammaln(half)
        - scipy.special.gammaln(DOF / 2)
        - size / 2 * np.log(DOF * np.pi)
    )
    density = density - half * np.log1p(np.sum(white**2, axis=1) / DOF)
    return centre + white @ root.T, density - np.sum(np.log(np.diag(root)))


def _weight(chain, rng, point):
    """Log of the data's density, or its estimate, times the prior's at a point."""
    prior = 0.0
    for name, value in zip(chain.widths.moving, point, strict=False):
        scales = chain.widths.terms[name]
        scales.scale = float(np.exp(value))
        prior += float(scales.prior.inferred["scale"].log_density(scales.scale)) + value
    if chain.noisy:
        chain.state["log_sigma"] = float(point[-1])
        prior += float(chain.problem.noise.log_density(np.exp(point[-1]))) + point[-1]
    if chain.excess is not None:
        chain.state["log_excess"] = float(point[-1])
        prior += float(chain.excess.log_density(np.exp(point[-1]))) + point[-1]
    return chain.log_density_of_data(rng) + prior
