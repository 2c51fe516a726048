"""The classical side: type-II maximum likelihood, its band, and how both bands do over designs.

The likelihood, with the curve integrated out, is maximised over length scale, noise and mean, the
amplitude profiled; the band is that of the curve at the one point found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy

from bayesinf import parallel
from bayesinf.models import gp
from bayesinf.posterior import dataset
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.gp_regression.data import CURVES, simulate

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["LEVEL", "classical", "designs", "maximum", "profile", "quantile"]

LEVEL = 0.95  # of the bands
BOX = 6.0  # standard deviations of the priors, within which the likelihood is maximised
FROM_PRIOR, STARTS = 64, 4  # draws of the prior a parameter, and the best of them that climb
REACH = np.linspace(-2.5, 2.5, 31)  # of a profile, in standard deviations of the prior
PLACES = 60  # at which bands are held against the true curve
GRID = np.linspace(-4, 4, 33)  # of each hyperparameter, in standard deviations of its prior
COARSE = GRID[::2]  # of three of them
NEGLIGIBLE = 1e-5  # weight, relative to the largest, below which a point of the grid is left out


def maximum(
    problem: gp.Process, rng: np.random.Generator, fixed: dict[int, float] | None = None, start=None
) -> tuple[np.ndarray, float]:
    """Maximise the likelihood of the hyperparameters, within six prior sds of the prior's middle.

    Parameters
    ----------
    problem : the process.
    rng : of the starts.
    fixed : place of a standardised parameter to the value that it is held at.
    start : (parameter,), where to begin instead of at the best draws of the prior.

    Returns
    -------
    the standardised parameters, (parameter,), and log p(y) there.
    """
    from scipy.optimize import minimize

    centred, fixed, size = problem.centred, fixed or {}, len(problem.names)
    bounds = [(fixed.get(k, -BOX), fixed.get(k, BOX)) for k in range(size)]
    constant = 0.5 * size * np.log(2 * np.pi)

    def downhill(u):
        value, gradient = centred.gradient(u)
        if not np.isfinite(value):
            return 1e10, 0 * u
        return -(value + 0.5 * u @ u + constant), -(gradient + u)

    if start is None:
        starts = rng.standard_normal((FROM_PRIOR * size, size))
        height = centred.log_density(starts) + 0.5 * np.sum(starts**2, axis=1)
        starts = starts[np.argsort(-height)[:STARTS]]
    else:
        starts = np.atleast_2d(start)
    starts = np.clip(starts, *np.transpose(bounds))
    ends = [minimize(downhill, u, jac=True, method="L-BFGS-B", bounds=bounds) for u in starts]
    best = min(ends, key=lambda end: end.fun)
    return best.x, -float(best.fun)


def classical(
    data: xr.Dataset,
    kernel: str | gp.kernels.Kernel = "se",
    *,
    settings: Settings = DEFAULT,
    **options,
) -> xr.Dataset:
    """Fit by type-II maximum likelihood.

    Parameters
    ----------
    data, kernel, settings, **options : as for ``fit``.

    Returns
    -------
    Dataset with each hyperparameter under its name and ``log_likelihood``.
    """
    from bayesinf.systems.gp_regression.model import problem

    stated = problem(data, kernel, **options)
    return estimates(stated, *maximum(stated, settings.generator("classical")))


def estimates(problem: gp.Process, u: np.ndarray, height: float) -> xr.Dataset:
    """Label what ``maximum`` found."""
    theta = problem.theta(u)
    labels = problem.parameters
    arrays = {name: theta[name] for name in problem.inferred} | {"log_likelihood": height}
    arrays = {name: np.asarray(value, dtype=float) for name, value in arrays.items()}
    return dataset(arrays, labels.dims, labels.coords, labels.units, sampled=False)


def profile(problem: gp.Process, u: np.ndarray, rng: np.random.Generator) -> xr.Dataset | None:
    """Profile the likelihood over the length scale: all else is maximised at each value of it.

    Returns
    -------
    ``log_likelihood`` less its maximum over ``length_scale``; None where there is none by that
    name, or several inputs have one each.
    """
    if "length_scale" not in problem.names:
        return None
    k = problem.names.index("length_scale")
    found, height = {}, maximum(problem, rng, start=u)[1]
    order = np.argsort(np.abs(REACH - u[k]))
    below, above = ([i for i in order if side * (REACH[i] - u[k]) >= 0] for side in (-1, 1))
    for way in (below, above):
        at = u
        for i in way:
            at, value = maximum(problem, rng, {k: float(REACH[i])}, at)
            found[i] = max(value, found.get(i, -np.inf))
    values = np.array([found[i] for i in range(len(REACH))])
    scale = problem.inferred["length_scale"].from_normal(REACH)
    unit = problem.parameters.units["length_scale"]
    return dataset(
        {"log_likelihood": values - max(height, values.max())},
        {"log_likelihood": ("length_scale",)},
        {"length_scale": ("length_scale", scale, {"units": unit})},
        sampled=False,
    )


def designs(
    count: int = 200,
    points: int = 8,
    noise: float = 0.0,
    kernel: str = "se",
    *,
    grid: np.ndarray | None = None,
    settings: Settings = DEFAULT,
) -> xr.Dataset:
    """Hold both bands against cos(20 x) e^(−2x), over many random designs.

    Hyperparameters are integrated out on a grid in standard deviations of their priors; places
    are as likely as the points'.

    Parameters
    ----------
    count, points, noise : designs, points of each, and their noise, as of ``simulate``.
    kernel : as for ``fit``.
    grid : standardised values of each hyperparameter; by default 33, of three of them 17.
    settings : seed, and workers.

    Returns
    -------
    Dataset over ``design``: ``posterior`` and ``likelihood``, the share of the true curve that each
    95 % band covers, and ``posterior_width`` and ``likelihood_width``, half its mean width.
    """
    grid = (COARSE if noise else GRID) if grid is None else grid
    rngs = [settings.generator("design", k) for k in range(count)]
    jobs = [(rng, points, noise, kernel, grid) for rng in rngs]
    with parallel.one_blas_thread():
        found = parallel.map(_design, jobs, workers=settings.workers, label="Designs")
    names = ("posterior", "likelihood", "posterior_width", "likelihood_width")
    arrays = dict(zip(names, np.transpose(found), strict=True))
    arrays["points"] = np.int64(points)
    return dataset(arrays, dict.fromkeys(names, ("design",)), sampled=False)


def _design(job):
    """Coverage and half width of both bands, of one random design."""
    from bayesinf.systems.gp_regression.model import problem

    rng, points, noise, kernel, grid = job
    data = simulate(points, noise=noise, rng=rng)
    stated = problem(data, kernel, noise=None if noise else 0.0)
    at = rng.random(PLACES)
    truth = CURVES["wave"](at)
    axes = np.meshgrid(*[grid] * len(stated.names), indexing="ij")
    u = np.stack([axis.ravel() for axis in axes], axis=-1)
    height = stated.log_marginal(stated.theta(u))
    best, _ = maximum(stated, rng, start=u[np.argmax(height)])
    log_weight = height - 0.5 * np.sum(u**2, axis=1)
    kept = log_weight > log_weight.max() + np.log(NEGLIGIBLE)
    weight = np.exp(log_weight[kept] - scipy.special.logsumexp(log_weight[kept]))
    found = []
    for points_u, share in ((u[kept], weight), (best[None], np.ones(1))):
        centre, sd = stated.pointwise_curve(stated.theta(points_u), at)
        below = share @ scipy.special.ndtr((truth - centre) / np.maximum(sd, 1e-12))
        low, high = (quantile(p, share, centre, sd) for p in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
        found.append((np.mean(np.abs(below - 0.5) <= LEVEL / 2), np.mean(high - low) / 2))
    (covered, width), (plain, plain_width) = found
    return covered, plain, width, plain_width


def quantile(p, share, centre, sd):
    """Return the quantile p of mixtures of normals, (place,), by bisection.

    ``share`` are the weights of the parts, (part,), ``centre`` and ``sd`` theirs, (part, place).
    """
    sd = np.maximum(sd, 1e-12 * (np.ptp(centre) or 1.0))
    low, high = (centre - 12 * sd).min(axis=0), (centre + 12 * sd).max(axis=0)
    for _ in range(35):
        middle = (low + high) / 2
        less = share @ scipy.special.ndtr((middle - centre) / sd) < p
        low, high = np.where(less, middle, low), np.where(less, high, middle)
    return (low + high) / 2
