"""Evidence of a regression with several terms, or with a link, by importance sampling.

    p(y) = ⟨ p(y | θ) p(θ | h) p(h) / q(θ | h) q(h) ⟩_q

The coefficients θ come, given the logarithms h of noise and widths, from the normal of ``joint``:
of normal data they are integrated out at once. The h come from a t distribution with the
posterior's mean and covariance. But a posterior that decides a width well may still have a long
plateau where this width is next to nothing, and there a t distribution hardly goes: so in some
draws one or two elements of h come from their priors (defensive importance sampling: Hesterberg,
Technometrics 37, 185 (1995), doi:10.1080/00401706.1995.10484303). The weights' tail (Pareto k̂)
says whether the estimate may be used.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import scipy

from bayesinf.diagnostics import smoothed_weights
from bayesinf.errors import FitError
from bayesinf.inference.importance import log_mixture
from bayesinf.models.linear.joint import EXCESS, Chain
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.models.linear.definition import Regression

__all__ = ["log_evidence"]

DOF = 5.0
DRAWS = 2000
GUARDED = 0.6  # share of the draws in which an element or two come from their priors
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
    hyper = _hyper(chain)
    if hyper:
        h = np.log(np.stack([posterior[name].values.ravel() for name in hyper]))
        draws, log_q = _proposed(rng, h, list(hyper.values()))
    else:
        draws, log_q = np.zeros((1, 0)), np.zeros(1)
    constant = chain.seen.total_log_jacobian
    if chain.response is not None:
        constant = _constant(chain)
    log_weight = np.array([_weight(chain, rng, hyper, point) for point in draws]) - log_q + constant
    top = log_weight.max()
    if not np.isfinite(top):
        raise FitError("no evidence: no draw has a density")
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


def _hyper(chain):
    """Name to prior of the widths, and of the noise or the excess of counts."""
    terms = chain.widths.terms
    found = {
        chain.widths.named(k, "scale"): terms[k].prior.inferred["scale"]
        for k in chain.widths.moving
    }
    found |= {"sigma": chain.problem.noise} if chain.noisy else {}
    return found | ({} if chain.excess is None else {EXCESS: chain.excess})


def _proposed(rng, h, priors):
    """Draws about h, (hyperparameter, draw), and the log density of the mixture that they are of.

    A t distribution, and for each hyperparameter and each two of them one in which these come from
    their priors and the rest from the t distribution's marginal.
    """
    size, centre = len(h), h.mean(axis=1)
    covariance = np.atleast_2d(np.cov(h)) + 1e-12 * np.eye(size)
    guards = [own for many in (1, 2) for own in combinations(range(size), many)]
    counts = np.full(1 + len(guards), int(GUARDED * DRAWS / len(guards)))
    counts[0] = DRAWS - counts[1:].sum()
    white = rng.standard_normal((DRAWS, size)) * np.sqrt(DOF / rng.chisquare(DOF, (DRAWS, 1)))
    draws = centre + white @ np.linalg.cholesky(covariance).T
    for guard, of_it in zip(guards, np.split(draws, np.cumsum(counts)[:-1])[1:], strict=True):
        for k in guard:
            of_it[:, k] = np.log(priors[k].sample(rng, len(of_it)))
    own = [one.log_density(np.exp(x)) + x for one, x in zip(priors, draws.T, strict=True)]
    parts = []
    for guard in [(), *guards]:
        rest = np.delete(np.arange(size), guard)
        marginal = _log_t((draws - centre)[:, rest], covariance[np.ix_(rest, rest)])
        parts.append(sum((own[k] for k in guard), marginal))
    return draws, log_mixture(np.log(counts / DRAWS), np.stack(parts))


def _log_t(apart, covariance):
    """Log density of a t distribution, (draw,), at points (draw, element) from its centre."""
    size = apart.shape[1]
    root = np.linalg.cholesky(covariance)
    white = scipy.linalg.solve_triangular(root, apart.T, lower=True)
    half = (DOF + size) / 2
    density = scipy.special.gammaln(half) - scipy.special.gammaln(DOF / 2)
    density = density - size / 2 * np.log(DOF * np.pi) - np.sum(np.log(np.diag(root)))
    return density - half * np.log1p(np.sum(white**2, axis=0) / DOF)


def _weight(chain, rng, hyper, point):
    """Log of the data's density, or its estimate, times the prior's at a point."""
    terms = chain.widths.terms
    for name, value in zip(chain.widths.moving, point, strict=False):
        terms[name].scale = float(np.exp(value))
    if hyper:  # the last of them, where noise or excess is inferred
        chain.state |= {"log_sigma": float(point[-1])} if chain.noisy else {}
        chain.state |= {"log_excess": float(point[-1])} if chain.excess is not None else {}
    prior = sum(
        float(one.log_density(np.exp(value))) + value
        for one, value in zip(hyper.values(), point, strict=True)
    )
    try:
        return chain.log_density_of_data(rng) + prior
    except np.linalg.LinAlgError:  # so wide a prior that it is lost beside the data in 16 digits
        return -np.inf  # where it has a density of next to nothing
