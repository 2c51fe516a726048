"""Maximum likelihood, and the mode of the posterior, where the noise is not normal.

Least squares on a stand-in says where to begin and how wide the valley is: of counts on their
square roots, whose scatter is nearly the same everywhere (Anscombe 1948), so that a rate below zero
gains nothing; of data with heavy tails also on those data whose outliers a running median has
replaced. From there damped Newton steps climb, the parameters of the scatter by their logarithms.

The climbs follow the independent starts of least squares: each of its ends is climbed from, those
that are the same once, and a start counts by the end that it led to. Restarts beside the best end
may better it, and are no witnesses for it.

Anscombe, Biometrika 35, 246 (1948), doi:10.1093/biomet/35.3-4.246.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models.curve.evaluation import Curve
from bayesinf.models.curve.least_squares import LeastSquares, least_squares
from bayesinf.models.curve.starts import SAME
from bayesinf.models.likelihoods import Normal, Student
from bayesinf.settings import DEFAULT

if TYPE_CHECKING:
    from bayesinf.models.curve.definition import NonlinearRegression

__all__ = ["Maximum", "Mode", "maximum_likelihood", "mode", "walked"]

AROUND = 4  # climbs that begin 3 standard errors around the best
CLIMBED = 4  # different ends of least squares from which a climb begins, the best of them
STEPS = 100  # of Newton's method at most
STEP = 0.02  # of differences, in standard errors of least squares
LONGEST = 4.0  # step, likewise
GAIN = 1e-10  # of log density, below which a climb is over
OUTLIER = 8.0  # robust standard deviations from a running median


@dataclass(frozen=True)
class Maximum(LeastSquares):
    """Maximum likelihood; ``ends`` are −2 log likelihood, of independent starts alone, ``rss`` is
    Pearson's χ².

    Parameters
    ----------
    scatter, scatter_error : parameters of the scatter by name, and their standard errors.
    root : square root of the covariance in the coordinates of the walk, (parameter, parameter).
    """

    scatter: Mapping[str, float] = field(default_factory=dict)
    scatter_error: Mapping[str, float] = field(default_factory=dict)
    root: np.ndarray | None = None


@dataclass(frozen=True)
class Mode:
    """The highest posterior density per unit of θ and of the logarithms of the scatter.

    Parameters
    ----------
    point : (parameter,), in the coordinates of ``walked``.
    covariance : inverse of the curvature there, (parameter, parameter).
    """

    point: np.ndarray
    covariance: np.ndarray


def walked(problem: NonlinearRegression) -> tuple[Callable, Callable]:
    """Return the map from walking coordinates to θ, and the log density there.

    What the scatter is made of is positive, and walks by its logarithm, nearer to a normal.
    """
    free = len(problem.free)

    def theta(point):
        with np.errstate(over="ignore"):
            return np.concatenate([point[..., :free], np.exp(point[..., free:])], axis=-1)

    def log_density(point):
        return problem.log_density(theta(point)) + point[..., free:].sum(axis=-1)

    return theta, log_density


def maximum_likelihood(problem: NonlinearRegression) -> Maximum:
    """Climb to the maximum of the likelihood from the ends of least squares, and from around the
    best.

    Raises
    ------
    FitError : no curve among the starts can have made the data.
    """
    theta, _ = walked(problem)
    lower, upper = _bounds(problem)

    def log_likelihood(point):
        inside = np.all((point >= lower) & (point <= upper), axis=-1)
        return np.where(inside, problem.log_likelihoods(theta(point)), -np.inf)

    climbs, reached = [], []
    for one in _stand_ins(problem):
        found, which = least_squares(one), {}
        labels = _alike(one, found)
        for label in dict.fromkeys(labels[np.argsort(found.ends, kind="stable")].tolist()):
            if label >= 0 and len(which) < CLIMBED:
                there = found.theta if not which else found.points[label]
                point, root = _start(problem, replace(found, theta=there))
                which[label] = _climb(
                    log_likelihood, _possible(problem, log_likelihood, point, root), root
                )
        climbs += which.values()
        reached.append([which[k].height if k in which else -np.inf for k in labels.tolist()])
    # A start leads to the better of the ends that it has on either stand-in.
    heights = [max(each) for each in zip_longest(*reached, fillvalue=-np.inf)]
    best = max(climbs, key=lambda end: end.height)
    if not np.isfinite(best.height):
        raise FitError(
            "no curve near the starts can have made the data: counts need a rate above zero at "
            "each of them; add a background, or start elsewhere",
            optimum=best.point,
        )
    rng = DEFAULT.generator("starts")  # where priors rest on the optimum, no seed may move them
    for _ in range(AROUND):
        start = best.point + 3 * best.root @ rng.standard_normal(len(best.point))
        inside = np.isfinite(log_likelihood(start[None])[0])
        climbs.append(_climb(log_likelihood, start if inside else best.point, best.root))
    best = max(climbs, key=lambda end: end.height)
    free, names = len(problem.free), problem.scattering
    at = problem.sorted(theta(best.point))
    if not np.array_equal(at[:free], best.point[:free]):  # components changed places
        best = _climb(log_likelihood, np.concatenate([at[:free], best.point[free:]]), best.root)
    covariance, found = best.root @ best.root.T, theta(best.point)
    scatter = dict(zip(names, found[free:].tolist(), strict=True))
    errors = np.sqrt(np.diag(covariance)[free:]) * found[free:]
    named = {name: np.asarray(value) for name, value in scatter.items()}
    mean, sd = problem.likelihood.expected(problem.y, problem.curve(found), problem.scatter(named))
    return Maximum(
        found[:free],
        -2 * np.array(heights),
        float(np.sum(((problem.y - mean) / sd) ** 2)),
        len(problem.y) - free,
        1.0,
        covariance[:free, :free],
        theta(np.array([end.point for end in climbs]))[:, :free],
        scatter,
        dict(zip(names, errors.tolist(), strict=True)),
        best.root,
    )


def mode(problem: NonlinearRegression) -> Mode:
    """Climb from the maximum of the likelihood to that of the posterior density."""
    best: Maximum = problem.optimum
    _, log_density = walked(problem)
    start = np.concatenate([best.theta, np.log(list(best.scatter.values()))])
    if not np.isfinite(log_density(start[None])[0]):  # the likelihood's maximum may be at an edge
        rng = DEFAULT.generator("mode")
        tried = start + rng.standard_normal((1000, len(start))) @ best.root.T
        start = tried[np.argmax(log_density(tried))]
    end = _climb(log_density, start, best.root)
    if not np.isfinite(end.height):
        raise FitError(
            "the maximum of the likelihood lies outside the priors: widen them, or start elsewhere",
            optimum=best.theta,
        )
    return Mode(end.point, end.root @ end.root.T)


# Where to begin


def _alike(problem, found):
    """For each start the first that ended at the same place, (start,); −1 where it is lost."""
    labels = np.full(len(found.ends), -1)
    for k in np.flatnonzero(np.isfinite(found.ends)):
        # Their deviance tells: components that changed places are one end.
        ratio = np.abs(problem.log_ratio(found.ends[: k + 1], found.ends[k]))
        labels[k] = int(np.argmax(ratio <= SAME))
    return labels


class _Rooted(Curve):
    """2 √(f/u + 3/8), about which counts of mean f in units of u scatter with a sd near 1."""

    def __init__(self, curve: Curve, unit: float):
        super().__init__(curve.model, curve.params, curve.x)
        self.unit = unit

    def __call__(self, theta):
        return self._rooted(super().__call__(theta))

    def around(self, theta, step):
        return tuple(self._rooted(side) for side in super().around(theta, step))

    def _rooted(self, counts):
        return rooted(np.maximum(counts, 0.0) / self.unit)


def rooted(counts: np.ndarray) -> np.ndarray:
    """Stabilise the variance of counts."""
    return 2 * np.sqrt(counts + 3 / 8)


def _stand_ins(problem):
    """Problems of least squares whose optima are near that of the likelihood."""
    bare = problem.points.drop_vars("error", errors="ignore")
    if not problem.likelihood.noisy:
        unit = problem.likelihood.unit
        yield replace(
            problem,
            likelihood=Normal(),
            curve=_Rooted(problem.curve, unit),
            y=rooted(problem.y / unit),
            points=bare,
            noise=1.0,
        )
        return
    normal = replace(problem, likelihood=Normal(), noise=problem.error)
    normal = normal if "error" not in problem.points else replace(normal, noise=None)
    yield normal
    if isinstance(problem.likelihood, Student):
        yield replace(normal, y=without_outliers(problem.y))


def without_outliers(y: np.ndarray) -> np.ndarray:
    """Replace what stands alone, far off a running median over five points, by that median."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(y, 2, "edge"), 5)
    median = np.median(around, axis=-1)
    off = np.abs(y - median)
    return np.where(off > OUTLIER * 1.4826 * np.median(off), median, y)


def _start(problem, found):
    """Where a climb begins and a square root of the covariance there."""
    mean = problem.curve(found.theta)
    noise = np.asarray(found.scale if problem.error is None else problem.error)
    own = problem.likelihood.start(problem.y, mean, noise)
    scatter = np.log([found.scale] * problem.inferred + [own[n] for n in problem.likelihood.own])
    free = len(problem.free)
    root = np.zeros((free + len(scatter),) * 2)
    root[:free, :free] = np.linalg.cholesky(found.covariance) * found.scale
    root[range(free, len(root)), range(free, len(root))] = 0.3
    return np.concatenate([found.theta, scatter]), root


def _possible(problem, log_likelihood, point, root):
    """The point, or where it cannot have made the data the likeliest around it and the starts."""
    if np.isfinite(log_likelihood(point[None])[0]):
        return point
    rng, free = DEFAULT.generator("possible"), len(problem.free)
    z = rng.standard_normal((3000, len(point))) * np.repeat([[1.0], [4.0], [20.0]], 1000, axis=0)
    params = problem.curve.params
    values = {name: params[name].value for name in problem.free}
    starts = [values | dict(start) for start in problem.starts]
    begun = [[*(start[name] for name in problem.free), *point[free:]] for start in starts]
    tried = np.vstack([point + z @ root.T, begun])
    return tried[np.argmax(log_likelihood(tried))]


def _bounds(problem):
    """The box of lmfit's bounds and of the priors that have some, (parameter,) each."""
    lower, upper = (np.full(len(problem.names), side * np.inf) for side in (-1, 1))
    for i, name in enumerate(problem.free):
        p, prior = problem.curve.params[name], problem.given.get(name)
        low, high = (-np.inf, np.inf) if prior is None else prior.support
        lower[i], upper[i] = max(p.min, low), min(p.max, high)
    return lower, upper


# The climb


@dataclass(frozen=True)
class _End:
    """Where a climb ended: the point, its log density, a square root of the inverse curvature."""

    point: np.ndarray
    height: float
    root: np.ndarray


def _climb(log_density, start, root):
    """Climb by Newton steps in units of ``root``, shortened until the density rises."""
    point, size = start, len(start)
    height = float(log_density(point[None])[0])
    lengths = 0.5 ** np.arange(24)
    for _ in range(STEPS):
        gradient, values, axes = _look(log_density, point, root)
        step = axes @ ((axes.T @ gradient) / np.maximum(np.abs(values), 0.05))
        step *= min(1.0, LONGEST / max(np.linalg.norm(step), 1e-300))
        tried = point + lengths[:, None] * (root @ step)
        heights = log_density(tried)
        best = int(np.argmax(heights))
        if not heights[best] > height + GAIN:
            break
        point, gain, height = tried[best], heights[best] - height, float(heights[best])
        if gain < 1e3 * GAIN and size:
            break
    _, values, axes = _look(log_density, point, root)
    return _End(point, height, root @ (axes / np.sqrt(np.maximum(values, 1e-2))) @ axes.T)


def _look(log_density, point, root):
    """Gradient, and eigenvalues and -vectors of minus the Hessian, in units of ``root``.

    Beside an edge of the support, where a difference is no number, the slope is taken for zero and
    the curvature for that of the stand-in.
    """
    size = len(point)
    unit = STEP * np.eye(size)
    rows, columns = np.triu_indices(size, 1)
    plus, minus = unit[rows] + unit[columns], unit[rows] - unit[columns]
    z = np.vstack([np.zeros((1, size)), unit, -unit, plus, -plus, minus, -minus])
    values = log_density(point + z @ root.T)
    cuts = 1 + np.cumsum([0, size, size, *[len(rows)] * 3])
    with np.errstate(invalid="ignore"):
        centre, up, down, pp, mm, pm, mp = np.split(values, cuts)
        hessian = np.diag((up - 2 * centre + down) / STEP**2)
        hessian[rows, columns] = hessian[columns, rows] = (pp + mm - pm - mp) / (4 * STEP**2)
        gradient = (up - down) / (2 * STEP)
    hessian = np.where(np.isfinite(hessian), hessian, -np.eye(size))
    return (np.where(np.isfinite(gradient), gradient, 0.0), *np.linalg.eigh(-hessian))
