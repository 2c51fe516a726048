"""Maximum likelihood and maximum a posteriori, by Newton's method on a concave function.

Gradient and Hessian are exact, so a handful of steps match the model's moments to those of the data
to 1e-10. With a proper prior there is always one optimum. Without, there is none where the data lie
on the edge of what moments can be: a site that never or always is on, a pair of which one of the
four combinations never occurs. There the likelihood rises for ever along a ray: the error names the
sites and pairs, instead of returning whatever large number a budget of steps ends at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.inference import factors
from bayesinf.inference.optimum import newton
from bayesinf.models.binary import NEVER, Moments, listed, pairs
from bayesinf.models.binary.pairwise import enumeration
from bayesinf.models.binary.pairwise.likelihood import Pairwise

if TYPE_CHECKING:
    from bayesinf.models.binary.pairwise.large.limit import Unseen

__all__ = [
    "FLAT",
    "MaximumLikelihood",
    "at_supremum",
    "edges",
    "independent",
    "maximum",
    "refuse_edges",
    "refused",
    "undetermined",
    "with_residuals",
]

# Largest slope at the optimum, for each sample.
TOLERANCE = 1e-10
# Largest Newton step there; along a ray to infinity it stays about one.
SHORT = 1e-6
# Independent fresh states, for each state of the data, by which an optimum is checked.
FRESH = 9.0
# Log density that may be left to climb where states are sampled.
FLAT = 1e-4
# Newton steps at most.
STEPS = 200
# Information on a direction, in states, below which the data do not determine it.
LITTLE = 1e-3
# Newton steps in the limit, from within 1e-5 of it.
POLISHED = 3


@dataclass(frozen=True)
class MaximumLikelihood:
    """The top of a log density.

    Parameters
    ----------
    theta : fields and couplings, (parameter,).
    log_density : there.
    gradient : (parameter,).
    make_precision : what makes ``precision``.
    steps : of Newton's method.
    residual : moments of fresh states at θ less those of the data, in standard errors of the data,
        (parameter,), where states are sampled; None where they are enumerated and agree.
    residual_error : rms of what sampling error of the fresh states adds to it.
    """

    theta: np.ndarray
    log_density: float
    gradient: np.ndarray
    make_precision: Callable[[], np.ndarray]
    steps: int
    residual: np.ndarray | None = None
    residual_error: float = 0.0

    @cached_property
    def precision(self) -> np.ndarray:
        """Minus the Hessian, (parameter, parameter); of 160 sites 1.3 GB."""
        return self.make_precision()

    @property
    def h(self) -> np.ndarray:
        """Fields, (site,)."""
        return enumeration.unpack(self.theta)[0]

    @property
    def J(self) -> np.ndarray:
        """Couplings, (pair,)."""
        return enumeration.unpack(self.theta)[1]


def maximum(
    problem: Pairwise, scale: float = 1.0, start: np.ndarray | None = None
) -> MaximumLikelihood:
    """Climb to the optimum.

        θ ← θ + t H⁻¹ ∇,   t halved until the log density rises

    Parameters
    ----------
    problem : likelihood, with its prior or without.
    scale : width of the couplings, where that is inferred.
    start : (parameter,); by default independent sites with the means of the data.

    Returns
    -------
    the optimum, moments matched to 1e-10 where there is no prior.

    Raises
    ------
    FitError : without a prior, data that do not determine all parameters; named in the message and
        in the evidence ``sites`` and ``pairs``.
    """
    from bayesinf.models.binary.pairwise.large.likelihood import ReweightedLikelihood

    if problem.prior is None:
        refuse_edges(problem.data)
    sampled = isinstance(problem, ReweightedLikelihood)
    if start is None:
        theta = problem.sample.centre if sampled else independent(problem.data)
    else:
        theta = np.array(start, dtype=float)
        theta = problem.near(theta) if sampled else theta
    pieces = _of_sample(problem, scale) if sampled else _of_all_states(problem, scale)
    top = newton(*pieces, theta[None], size=problem.samples, most=STEPS)
    if top.unfinished.size:
        raise refused(problem, top.theta[0], top.step[0], top.gradient[0])
    height = float(top.log_density[0])

    def precision():
        if top.curvature is not None:
            return top.curvature
        return problem.curvature(top.theta[0], scale)[2]

    return MaximumLikelihood(top.theta[0], height, top.gradient[0], precision, top.steps)


def _of_all_states(problem, scale):
    """What ``newton`` asks for, by sums over all states."""
    from scipy.linalg import cho_factor, cho_solve

    def look(theta, _):
        value, gradient, precision = problem.curvature(theta[0], scale)
        return np.array([value]), gradient[None], precision

    def solve(_, gradient, precision, __):
        factor = cho_factor(precision, lower=True, check_finite=False)
        return cho_solve(factor, gradient[0])[None]

    def done(gradient, step):
        flat = np.abs(gradient).max(axis=1) <= TOLERANCE * problem.samples
        return flat & (np.abs(step).max(axis=1) <= SHORT)

    return look, solve, done


def _of_sample(problem, scale):
    """The same by sums over a reweighting sample, for which no matrix is made."""

    def look(theta, _):
        value, gradient = problem.gradient(theta[0], scale)
        return np.array([value]), gradient[None], None

    def solve(theta, gradient, _, __):
        return problem.newton(theta[0], scale, gradient[0])[None]

    def done(gradient, step):
        return np.sum(gradient * step, axis=1) <= FLAT

    return look, solve, done


def with_residuals(
    top: MaximumLikelihood,
    problem: Pairwise,
    rng: np.random.Generator,
    *,
    at: np.ndarray | None = None,
    unseen: Unseen | None = None,
) -> MaximumLikelihood:
    """Compare moments at an optimum to those of the data, by states drawn there anew.

    Parameters
    ----------
    top : of a reweighting sample.
    problem : the sample and the data.
    rng : of the fresh states: as many as are worth nine times the data, so that their own error is
        a third of a standard error.
    at, unseen : where they are drawn, (parameter,), if not at the optimum, and what then must not
        show for them to be states of it.
    """
    from bayesinf.models.binary.pairwise.large.long_run import draw_sample

    data = problem.data
    sample = problem.sample
    chains = {"start": sample.last, "bias": sample.bias, "workers": problem.workers}
    at = top.theta if at is None else at
    fresh = draw_sample(at, data.encoding, FRESH * data.samples, rng, **chains)
    fresh = fresh if unseen is None else unseen.left_out(fresh)
    # Errors are those of the model: the data have none where a pair was never on together.
    square = 1.0 if data.encoding == "±1" else fresh.moments
    error = np.sqrt(np.maximum(square - fresh.moments**2, 1 / fresh.effective) / data.samples)
    return replace(
        top,
        residual=(fresh.moments - data.statistics) / error,
        residual_error=float(np.sqrt(data.samples / fresh.effective)),
    )


def independent(data: Moments) -> np.ndarray:
    """Return the parameters (parameter,) of independent sites, half a sample added to each side."""
    on = data.encoded("0/1").mean
    on = (on * data.samples + 0.5) / (data.samples + 1)
    fields = np.log(on / (1 - on)) / (2 if data.encoding == "±1" else 1)
    return enumeration.pack(fields, np.zeros(data.pair.size))


def edges(data: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return the sites that never or always are on, and the pairs, numbered, that lack one of the
    four combinations.
    """
    on = data.encoded("0/1").mean
    constant = (on < NEVER) | (on > 1 - NEVER)
    i, j = pairs(data.sites)
    empty = (data.tables < NEVER).any(axis=0) & ~constant[i] & ~constant[j]
    return np.flatnonzero(constant), np.flatnonzero(empty)


def undetermined(top: MaximumLikelihood) -> np.ndarray:
    """Return directions (parameter, direction) in which an optimum owes its place to its prior.

    They are the eigenvectors of the precision, M F + 1 / sd², along which M states say less than a
    thousandth of one would. Under a prior that is almost flat the optimum is, in all other
    directions, where the likelihood comes nearest to its supremum: the limit distribution, in which
    the combinations that never occur have no probability (Barndorff-Nielsen 1978).

    Parameters
    ----------
    top : of at most a few thousand parameters.
    """
    from scipy.linalg import eigh

    return eigh(top.precision, subset_by_value=(-np.inf, LITTLE))[1]


def at_supremum(
    problem: Pairwise, top: MaximumLikelihood, directions: np.ndarray
) -> MaximumLikelihood:
    """Go on to the limit where the likelihood has no maximum, by sums over all states.

    Under a prior that is almost flat an optimum lies far out along the directions that the data
    leave open. As far again, and what never occurred has no probability left. In all others
    Newton's method then matches the moments, as it does where there is a maximum.

    Parameters
    ----------
    problem : the likelihood alone.
    top : the optimum under the almost flat prior.
    directions : of ``undetermined``, orthonormal, (parameter, direction).

    Returns
    -------
    a point of the limit, with the precision of what the data determine.
    """
    held = directions @ directions.T
    theta = top.theta + held @ top.theta
    for _ in range(POLISHED):
        value, gradient, precision = problem.curvature(theta)
        precision = precision + problem.samples * held
        gradient = gradient - held @ gradient
        theta = theta + factors.solve(precision, gradient)
    return replace(
        top,
        theta=theta,
        log_density=float(value),
        gradient=gradient,
        make_precision=partial(np.asarray, precision),
    )


def refuse_edges(data: Moments) -> None:
    """Raise FitError where sites or pairs are not determined by the data alone."""
    sites, empty = edges(data)
    i, j = pairs(data.sites)
    said = []
    if sites.size:
        said.append(f"site {listed(sites)} never or always on")
    if empty.size:
        names = [f"({a}, {b})" for a, b in zip(i[empty], j[empty], strict=True)]
        said.append(f"pair {listed(names)} without one of its four combinations")
    if said:
        raise FitError(
            f"the maximum likelihood lies at infinity ({'; '.join(said)}): state a prior, or leave "
            "these sites out",
            sites=sites,
            pairs=np.column_stack([i[empty], j[empty]]),
        )


def refused(problem: Pairwise, theta: np.ndarray, step: np.ndarray, gradient: np.ndarray):
    """The error that says that no optimum was found, and along which parameters it may be far."""
    names = enumeration.names(problem.sites)
    order = np.argsort(-np.abs(theta))
    return FitError(
        f"no optimum was found; the largest parameters are {listed([names[k] for k in order])}: "
        "state a narrower prior, or leave sites out that the data do not constrain",
        theta=theta,
        step=step,
        gradient=gradient,
    )
