"""Where to measure next: acquisition rules, each averaged over the posterior of hyperparameters.

A rule scores candidate places x by what a curve f given the data and θ is worth there:

    expected improvement     ⟨max(f* − f(x), 0)⟩ = σ h(z),   z = (f* − μ)/σ,   h(z) = φ(z) + z Φ(z)
    lower confidence bound   μ − κ σ, the Φ(−κ) quantile of f(x)
    thompson                 whether x is where one drawn curve is lowest

with the mean μ(x; θ) and the sd σ(x; θ) of the curve, without noise. Scores are averaged over draws
of θ, so that what is not known of the hyperparameters counts: an average of acquisitions, and no
acquisition at an average θ (Snoek, Larochelle & Adams, Advances in Neural Information Processing
Systems 25, 2951, 2012). Where data are noisy the smallest of them is no record to beat: the
incumbent f*(θ) is the smallest mean of the curve at the places of the data, draw by draw (the
plug-in of Picheny, Wagner & Ginsbourger, Structural and Multidisciplinary Optimization 48, 607,
2013, doi:10.1007/s00158-013-0919-4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import scipy

from bayesinf import parallel
from bayesinf.errors import FitError
from bayesinf.models.gp.means import Mean
from bayesinf.models.gp.predictions import followed, rebuild, thinned
from bayesinf.posterior import dataset
from bayesinf.settings import Settings

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike

__all__ = ["RULES", "acquire", "log_improvement"]

RULES = ("expected improvement", "lower confidence bound", "thompson")
CHUNK = 2**22  # numbers in the covariances with the candidates that are held together
FAR = 100.0  # |z| from which a series is closer than a difference of numbers near one


def acquire(
    posterior: xr.DataTree,
    candidates: ArrayLike | Mapping[str, np.ndarray],
    rule: str = "expected improvement",
    *,
    maximise: bool = False,
    width: float = 2.0,
    mean: Callable | Mean | None = None,
    most: int = 400,
    settings: Settings | None = None,
) -> xr.Dataset:
    """Score places by what a measurement there promises, and choose one.

    Parameters
    ----------
    posterior : what ``fit`` returned, of values or of values and slopes.
    candidates : (candidate,), or (candidate, input) of several inputs: as x of ``predict``.
    rule : ``expected improvement`` (Jones, Schonlau & Welch 1998, doi:10.1023/A:1008306431147),
        ``lower confidence bound`` (Srinivas et al. 2012, doi:10.1109/TIT.2011.2182033), or
        ``thompson`` (Russo et al. 2018, doi:10.1561/2200000070), the lowest place of a drawn curve.
    maximise : whether the curve's largest value is sought, and not its smallest.
    width : κ of the lower confidence bound.
    mean : the function that was the mean, where it was one: a file cannot hold it.
    most : draws of the posterior, taken evenly, over which scores are averaged.
    settings : its seed; by default that of the fit.

    Returns
    -------
    a Dataset over ``candidate``, with the places as coordinates. ``score``: the larger, the better;
    the logarithm of the expected improvement over the unit of y, which has a value where the
    improvement itself is too small for one; minus the bound (of −f, where f is maximised); the
    share of drawn curves whose lowest place it is. Beside it ``expected_improvement`` or
    ``bound``; of ``thompson`` the curves drawn, ``curve``, (chain, draw, candidate). Further
    ``mean`` and ``sd`` of the curve over all draws, ``incumbent``, (chain, draw), and ``chosen``,
    the number of the candidate with the largest score; of ``thompson`` of one draw, as it is meant.

    Each draw costs O(n³ + n² candidates) for n data; ``thompson`` O((n + candidates)³).

    Raises
    ------
    FitError : an unknown rule; a posterior of slopes alone, which do not tell how low a curve is.
    """
    if rule not in RULES:
        raise FitError(f"unknown rule {rule!r}: use one of {', '.join(RULES)}")
    problem = rebuild(posterior, mean)
    if problem.y_name not in problem.data.dims:
        raise FitError("slopes alone do not tell how low a curve is: add a value to the data")
    places, coords = problem.places(candidates)
    chosen = thinned(posterior, most)
    shape, theta = followed(problem, chosen)
    seed = posterior.attrs["seed"] if settings is None else settings.seed
    rng = Settings(seed=int(seed)).generator("acquisition")
    side = -1.0 if maximise else 1.0
    with parallel.one_blas_thread():
        found, sampled = _scored(problem, theta, places, rule, side, width, rng)
    of_y = problem.unit(problem.y_name)
    units = dict.fromkeys((*found, *sampled), of_y) | {"chosen": "1"}
    units |= {"score": of_y if rule == "lower confidence bound" else "1"}
    coords = {name: ("candidate", *rest) for name, (_, *rest) in coords.items()}
    dims = dict.fromkeys(found.keys() - {"chosen"}, ("candidate",))
    result = dataset(found, dims, coords, units, sampled=False)
    sampled = {n: v.reshape(*shape, *v.shape[1:]) for n, v in sampled.items()}
    drawn = {dim: chosen[dim] for dim in ("chain", "draw")}
    beside = dataset(sampled, {"curve": ("candidate",)}, drawn, units)
    return result.merge(beside).assign_attrs(rule=rule, maximise=int(maximise))


def log_improvement(z: np.ndarray) -> np.ndarray:
    """Return log h(z), h(z) = φ(z) + z Φ(z), without loss for any z.

    Below −1 it is log φ(z) + log(1 − √(π/2) |z| erfcx(|z|/√2)), and far below, where that is a
    difference of numbers near one, log φ(z) + log(z⁻² − 3 z⁻⁴ + 15 z⁻⁶ − 105 z⁻⁸).

    References
    ----------
    Ament, Daulton, Eriksson, Balandat & Bakshy, Unexpected improvements to expected improvement for
    Bayesian optimization, Advances in Neural Information Processing Systems 36 (2023),
    doi:10.48550/arXiv.2310.20708, who take the first term of the series from 10⁶ on.
    """
    z = np.asarray(z, dtype=float)
    log_phi = -0.5 * z**2 - 0.5 * np.log(2 * np.pi)
    near = np.maximum(z, -1.0)
    above = np.log(np.exp(-0.5 * near**2) / np.sqrt(2 * np.pi) + near * scipy.special.ndtr(near))
    size = np.clip(-z, 1.0, FAR)
    below = np.log(1 - np.sqrt(np.pi / 2) * size * scipy.special.erfcx(size / np.sqrt(2)))
    size = np.maximum(-z, FAR)
    inverse = 1 / size**2
    far = np.log1p(inverse * (-3 + inverse * (15 - 105 * inverse))) - 2 * np.log(size)
    return np.where(z > -1, above, log_phi + np.where(z > -FAR, below, far))


def _scored(problem, theta, places, rule, side, width, rng):
    """What a rule says of each place, and of each draw; ``side`` is −1 where f is maximised."""
    known = len(problem.coordinates)
    centre, sd = _curves(problem, theta, np.concatenate([problem.coordinates, places]))
    incumbent = np.min(side * centre[:, :known], axis=1)
    centre, sd = side * centre[:, known:], sd[:, known:]
    sampled = {"incumbent": side * incumbent}
    if rule == "thompson":
        sampled["curve"] = _drawn(problem, theta, places, rng)
        found = _thompson(side * sampled["curve"], rng)
    elif rule == "expected improvement":
        found = _expected_improvement(centre, sd, incumbent)
    else:
        bound = np.mean(centre - width * sd, axis=0)
        found = {"score": -bound, "bound": side * bound}
    found = {"chosen": np.argmax(found["score"])} | found
    found["mean"] = side * centre.mean(axis=0)
    found["sd"] = np.sqrt(np.mean(sd**2, axis=0) + np.var(centre, axis=0))
    return found, sampled


def _curves(problem, theta, x):
    """Mean and sd of the curve at each x, (draw, x), a memory's worth at a time."""
    (count,) = problem.lead(theta)
    step = max(1, CHUNK // (len(problem.y) * (len(problem.y) + len(x))))
    parts = [
        problem.pointwise_curve({n: v[i : i + step] for n, v in theta.items()}, x)
        for i in range(0, count, step)
    ]
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _drawn(problem, theta, x, rng):
    """One curve of each draw, jointly over all x, (draw, x)."""
    (count,) = problem.lead(theta)
    step = max(1, CHUNK // (len(problem.y) + len(x)) ** 2)
    parts = []
    for i in range(0, count, step):
        centre, root, _ = problem.conditional({n: v[i : i + step] for n, v in theta.items()}, x)
        z = rng.standard_normal(centre.shape)
        parts.append(centre + np.einsum("nij,nj->ni", root, z))
    return np.concatenate(parts)


def _expected_improvement(centre, sd, incumbent):
    """Average over draws, in logarithms: log (1/S) Σ_s σ_s h(z_s)."""
    ahead = incumbent[:, None] - centre
    with np.errstate(divide="ignore", invalid="ignore"):
        uncertain = np.log(sd) + log_improvement(ahead / sd)
        certain = np.log(np.maximum(ahead, 0.0))  # of a place where the curve is known
    found = np.where(sd > 0, uncertain, certain)
    score = scipy.special.logsumexp(found, axis=0) - np.log(len(found))
    return {"score": score, "expected_improvement": np.exp(score)}


def _thompson(curves, rng):
    """Share of curves whose lowest place each is; the place of one of them."""
    lowest = np.argmin(curves, axis=1)
    share = np.bincount(lowest, minlength=curves.shape[1]) / len(lowest)
    return {"score": share, "chosen": lowest[rng.integers(len(lowest))]}
