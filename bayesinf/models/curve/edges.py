"""What lies beyond the draws, out to the edge of each parameter's box, and what the box decides.

A likelihood need not fall to zero: where a rate is large enough, a curve that saturates has no more
to lose, and under a flat prior most of the posterior may lie far from every draw of an
approximation. So each parameter is moved out to its edge while all others follow the valley, and
the density found there is laid beside the draws. Where draws do reach the edges of a box, what they
say may be the box's word: then a smaller box says something else. A box that nobody stated may not
decide. Edges that the user stated are his knowledge, as a width above zero is: where they decide,
the answer is theirs by right, and is said to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesinf.inference.derivatives import central
from bayesinf.inference.scoring import descend
from bayesinf.models.curve.least_squares import bounds
from bayesinf.priors import Uniform

if TYPE_CHECKING:
    from bayesinf.models.curve.definition import NonlinearRegression

__all__ = ["beyond", "box_shift"]

NODES = np.array([1.0, 2, 3, 5, 8, 13, 21, 34, 55, 100])  # standard errors from the optimum
FOLLOWING = 60  # steps of the other parameters to each node
STEP = 0.01  # of differences, in standard errors
NEGLIGIBLE = -15.0  # log density below that of the optimum, where nobody goes farther
GRID = 400  # points of the integral over the density between nodes
SMALLER = 0.5  # of the way from the optimum to a default edge, where the smaller box ends


def beyond(problem: NonlinearRegression, theta: np.ndarray) -> np.ndarray:
    """Return by how much what lies farther out than any draw would move each mean, (parameter,).

        ∫ d p(d) dd  /  rms of d of the draws,   d the distance from the optimum,

    over both sides, from the outermost draw to the edge or to 100 standard errors. p is the profile
    of the posterior, times the volume that it leaves to the other parameters.

    Parameters
    ----------
    theta : draws, (draw, parameter).

    References
    ----------
    Tierney & Kadane, JASA 81, 82 (1986), doi:10.1080/01621459.1986.10478240, on such marginals.
    """
    best, size = problem.optimum, len(problem.free)
    se = best.standard_error
    off = (theta[:, :size] - best.theta) / se
    nodes, log_p = _profiles(problem, best, se)
    far = np.maximum(np.stack([-off.min(axis=0), off.max(axis=0)]), 0.0)
    outside, whole = np.zeros(size), np.zeros(size)
    for side in range(2):
        for i in range(size):
            edge, d = nodes[side, i, -1], nodes[side, i]
            if not edge > 0:
                continue
            grid = np.concatenate([np.linspace(0, 5, GRID), np.geomspace(5, 100, GRID)[1:]])
            grid = np.append(grid[grid < edge], edge)
            kept = np.append(np.flatnonzero(np.diff(d) > 0), len(d) - 1)
            found = np.interp(grid, np.append(0.0, d[kept]), np.append(0.0, log_p[side, i][kept]))
            p = np.exp(found)
            whole[i] += np.trapezoid(p, grid)
            outside[i] += np.trapezoid(np.where(grid > far[side, i], grid * p, 0.0), grid)
    return outside / np.maximum(whole, 1e-300) / np.sqrt(np.mean(off**2, axis=0))


def _profiles(problem, best, se):
    """Distances and log posterior along each side of each parameter, (side, parameter, node)."""
    size = len(best.theta)
    lower, upper = bounds(problem)
    support = [_support(problem, name) for name in problem.free]
    edges = np.array(
        [
            [(best.theta[i] - low) / se[i], (high - best.theta[i]) / se[i]]
            for i, (low, high) in enumerate(support)
        ]
    ).T
    nodes = np.minimum(NODES, np.maximum(edges, 0.0)[..., None])
    held = np.tile(np.eye(size, dtype=bool), (2, 1))
    which, sign = np.tile(np.arange(size), 2), np.repeat([-1.0, 1.0], size)
    at, rows = np.tile(best.theta, (2 * size, 1)), np.arange(2 * size)
    log_p = np.full((2 * size, len(NODES)), -np.inf)
    widths = np.array([high - low for low, high in support])
    at_best = _log_volume(problem, at, held, widths, STEP * se)
    span = STEP * se
    on = rows
    for k in range(len(NODES)):
        d = nodes.reshape(2 * size, -1)[on, k]
        start = at[on].copy()
        start[range(len(on)), which[on]] = best.theta[which[on]] + sign[on] * d * se[which[on]]
        start = np.clip(start, lower, upper)
        end, deviance = descend(
            problem.curve,
            problem.score,
            start,
            lower,
            upper,
            held=held[on],
            span=span,
            tolerance=1e-7,
            most=FOLLOWING,
        )
        found = _log_volume(problem, end, held[on], widths, span) - at_best[on]
        found += _log_prior(problem, end, best.theta) - _narrowed(problem, best, deviance)
        log_p[on, k] = np.where(np.isfinite(found), found, -np.inf)
        at[on] = end
        on = on[log_p[on, k] > NEGLIGIBLE]
        if not on.size:
            break
    # What rises again behind a valley is another optimum, which is a matter of the starts.
    return nodes, np.minimum.accumulate(log_p.reshape(2, size, -1), axis=-1)


@np.errstate(all="ignore")  # where the profile has left the curve's domain
def _log_volume(problem, theta, held, widths, span):
    """Log of the volume that is left to the parameters that are not held, at most their boxes'."""
    _, _, weight = problem.score(problem.curve(theta))
    slopes = weight[..., None] * central(problem.curve, theta, np.broadcast_to(span, theta.shape))
    slopes = np.where(np.isfinite(slopes), slopes, 0.0) / problem.optimum.scale
    slopes = np.where(held[:, None, :], 0.0, slopes * widths)
    inverse = np.einsum("kij,kil->kjl", slopes, slopes) + np.eye(len(widths))
    return -0.5 * np.linalg.slogdet(inverse)[1]


def _narrowed(problem, best, deviance):
    """Log density below the optimum, with the volume that others gain where the noise grows."""
    if not problem.inferred:
        return (deviance - best.rss) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return (best.dof + 1) / 2 * np.log(deviance / best.rss)


def _log_prior(problem, theta, origin):
    with np.errstate(all="ignore"):
        terms = [
            prior.log_density(theta[:, i]) - prior.log_density(origin[i])
            for i, prior in enumerate(problem.prior[name] for name in problem.free)
        ]
    found = np.sum(terms, axis=0)
    return np.where(np.isfinite(found), found, -np.inf)


def _support(problem, name):
    p, prior = problem.curve.params[name], problem.prior[name]
    return (
        max(p.min, getattr(prior, "lower", -np.inf)),
        min(p.max, getattr(prior, "upper", np.inf)),
    )


def box_shift(problem: NonlinearRegression, theta: np.ndarray, stated: bool = False) -> np.ndarray:
    """Return by how much half a box would change each parameter, (parameter,).

    The larger of the shift of the mean in sd and of the change of the logarithm of the sd, when
    edges of uniform priors are moved halfway to the optimum, or, where the optimum is at one of
    them, to the median of the draws. Nothing is sampled again, since the posterior in a smaller box
    is that part of the draws that lies in it.

    Parameters
    ----------
    theta : draws, (draw, parameter).
    stated : whether to move the edges that the user stated, as a uniform prior or as bounds of the
        model, or those that nobody did.
    """
    inside, best = np.ones(len(theta), dtype=bool), problem.optimum.theta
    for i, name in enumerate(problem.free):
        draws = theta[:, i]
        for side, edge in zip((-1, 1), _edges(problem, name, stated), strict=True):
            if edge is None:
                continue
            way = edge - best[i]
            # At an edge there is no half of the way to it: the middle of the draws stands for it.
            pressed = np.abs(way) < draws.std()
            limit = np.median(draws) if pressed else best[i] + SMALLER * way
            inside &= side * draws <= side * limit
    if inside.all():
        return np.zeros(len(problem.free))
    if np.sum(inside) < 2:
        return np.full(len(problem.free), np.inf)
    whole, part = theta[:, : len(best)], theta[inside, : len(best)]
    sd = whole.std(axis=0)
    shift = np.abs(part.mean(axis=0) - whole.mean(axis=0)) / sd
    return np.maximum(shift, np.abs(np.log(part.std(axis=0) / sd)))


def _edges(problem, name, stated):
    """Lower and upper edge of a uniform prior, as far as it was stated, or was not; else None."""
    prior, p = problem.prior[name], problem.curve.params[name]
    if not isinstance(prior, Uniform):
        return None, None
    bounded = [np.isfinite(p.min), np.isfinite(p.max)]
    loose = problem.unstated.get(name, (False, False))
    said = [not each for each in loose] if name in problem.given else bounded
    edges = zip((prior.lower, prior.upper), said, strict=True)
    return tuple(edge if known == stated else None for edge, known in edges)
