"""Maximum likelihood and maximum a posteriori by Newton's method, and the classical descent.

The log density is concave and falls apart into blocks: the rows of the couplings, or, of symmetric
ones, a single block of all parameters. Every block takes its own Newton steps until it is there.
Many symmetric couplings make a large matrix that is never written out: its products with a vector
are those of the rows' small ones, by which conjugate gradients solve for the step.

Without a prior there is no optimum where the data let the likelihood rise for ever: a site that
never changes, two that always do so together, a source after which a target never fires.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesinf import parallel
from bayesinf.errors import FitError
from bayesinf.models.binary import constant_sites, identical_pairs, of_states
from bayesinf.models.couplings import Prior
from bayesinf.models.logistic.design import HEAVY
from bayesinf.models.logistic.joint import Joint
from bayesinf.models.logistic.likelihood import Logistic
from bayesinf.models.logistic.transitions import Transitions

TOLERANCE = 1e-9  # largest slope at the optimum, for each transition
SHORT = 1e-6  # largest Newton step there; along a ray to infinity it stays about one
FLAT = 1e-6  # curvature that says less than a millionth of a transition would
STEPS = 100
HALVINGS = 40
WRITTEN = 1500  # parameters of a block up to which its matrix is written out
TOGETHER = 20  # rows that one worker takes to their optimum at a time
ROUGH = 1e-3  # what conjugate gradients may leave of a step, which the next one takes
NAMED = 6  # sites or pairs that an error lists


@dataclass(frozen=True)
class LogisticOptimum:
    """The top of a log density.

    Parameters
    ----------
    h, J : fields (site,) and couplings (target, source), in the encoding of the data.
    log_likelihood : of all transitions, there.
    gradient : largest slope of the log density in any one parameter, for each transition.
    steps : of Newton's method; of the row that took most.
    precision : without symmetry, minus the Hessian of each row (h_i, J_i1, ...), (site, dim, dim);
        else None.
    """

    h: np.ndarray
    J: np.ndarray
    log_likelihood: float
    gradient: float
    steps: int
    precision: np.ndarray | None


@dataclass(frozen=True)
class Path:
    """The way of a gradient descent.

    Parameters
    ----------
    h, J : fields (site,) and couplings (target, source) at its end.
    log_likelihood : of all transitions, before each step and after the last, (iteration + 1,).
    """

    h: np.ndarray
    J: np.ndarray
    log_likelihood: np.ndarray


def maximum_likelihood(
    transitions: Transitions,
    *,
    symmetric: bool = False,
    self_coupling: bool = True,
    prior: Prior | None = None,
    workers: int | None = None,
) -> LogisticOptimum:
    """Climb to the maximum of the likelihood, or of the posterior density under a prior.

        Σ_t [s_i(t+1) − ⟨s_i(t+1)⟩] s_j(t) = 0

    Parameters
    ----------
    transitions : the data.
    symmetric, self_coupling : whether J_ij = J_ji, and whether J_ii may differ from zero.
    prior : a normal one with fixed widths makes it maximum a posteriori.
    workers : cores; None takes all.

    Returns
    -------
    the optimum, of slope at most 1e-9 a transition in each parameter.

    Raises
    ------
    FitError : without a prior, data that do not determine all parameters; sites are named in the
        message and, by position, in the evidence ``sites`` and ``pairs`` (target, source). A prior
        whose width is to be inferred, or that is not normal.
    """
    from threadpoolctl import threadpool_limits

    if prior is not None and (prior.inferred or prior.local):
        raise FitError("couplings under this prior have no common optimum: state a normal one of "
                       "fixed width, or fit")  # fmt: skip
    with threadpool_limits(1):
        problem = Logistic(transitions, prior, symmetric=symmetric, self_coupling=self_coupling,
                           workers=workers)  # fmt: skip
        top = maximum(problem)
        value = float(problem.log_likelihood(top.theta).sum())
    return LogisticOptimum(
        h=problem.split(top.theta)[0],
        J=problem.matrix(top.theta),
        log_likelihood=value,
        gradient=float(np.abs(top.gradient).max() / problem.samples),
        steps=top.steps,
        precision=None if symmetric else top.precision,
    )


def gradient_descent(
    transitions: Transitions,
    rate: float = 0.1,
    iterations: int = 150,
    *,
    symmetric: bool = False,
    self_coupling: bool = True,
) -> Path:
    """Take a fixed number of small steps uphill from zero: the classical treatment.

        θ ← θ + rate × ∇ log p / transitions

    Parameters
    ----------
    transitions, symmetric, self_coupling : as of ``maximum_likelihood``.
    rate : η.
    iterations : steps.

    Returns
    -------
    where it ends, and the log likelihood on the way.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        problem = Logistic(transitions, symmetric=symmetric, self_coupling=self_coupling)
        theta, path = np.zeros(problem.shape), []
        for _ in range(iterations):
            value, slope = problem.likelihood_gradient(theta)
            path.append(value.sum())
            theta = theta + rate / problem.samples * slope
        path.append(problem.log_likelihood(theta).sum())
    return Path(problem.split(theta)[0], problem.matrix(theta), np.array(path))


@dataclass(frozen=True)
class Top:
    """The optimum in the layout of ``Logistic``.

    Parameters
    ----------
    theta : parameters, (block, dim).
    log_density : (block,), given the width.
    gradient : (block, dim).
    precision : minus the Hessian, (block, dim, dim), or of symmetric couplings the rows' parts of
        it, (site, 1 + site, 1 + site).
    steps : of the block that took most.
    """

    theta: np.ndarray
    log_density: np.ndarray
    gradient: np.ndarray
    precision: np.ndarray
    steps: int


def maximum(
    problem: Logistic, scale: float = 1.0, start: np.ndarray | None = None, looseness: float = 1.0
) -> Top:
    """Climb to the optimum at a width.

        θ ← θ + t H⁻¹ ∇,   t halved until the log density of the block rises

    Parameters
    ----------
    problem : likelihood, with its normal prior or without.
    scale : width of the couplings, where that is inferred.
    start : (block, dim); by default sites that follow nothing.
    looseness : factor on how small slope and step have to be at its end.

    Raises
    ------
    FitError : as of ``maximum_likelihood``.
    """
    if problem.prior is None:
        refuse_edges(problem)
    start = independent(problem) if start is None else np.asarray(start, dtype=float)
    climb = lambda blocks: _climb(problem, scale, start[blocks], blocks, looseness)
    blocks = np.arange(problem.blocks)
    if problem.symmetric or problem.work < HEAVY:
        return climb(blocks)
    parts = np.split(blocks, blocks[TOGETHER::TOGETHER])
    found = parallel.map(climb, parts, workers=problem.workers, threads=True, label="rows")
    arrays = [np.concatenate([getattr(top, name) for top in found])
              for name in ("theta", "log_density", "gradient", "precision")]  # fmt: skip
    return Top(*arrays, max(top.steps for top in found))


def _climb(problem, scale, theta, blocks, looseness):
    """The optimum of these blocks, from their parameters on."""
    theta = theta.copy()
    value, gradient, precision = problem.curvature(theta, scale, blocks)
    steps, open_ = 0, np.arange(blocks.size)
    while True:
        step = _solve(problem, scale, precision, gradient, open_)
        if step is None:
            flat = np.zeros(1) if problem.symmetric else np.linalg.eigvalsh(precision)[:, 0]
            _refuse(problem, theta, blocks[flat <= 1e-12 * problem.samples])
        flat = np.abs(gradient[open_]).max(axis=1) <= looseness * TOLERANCE * problem.samples
        there = flat & (np.abs(step).max(axis=1) <= looseness * SHORT)
        open_, step = open_[~there], step[~there]
        if not open_.size:
            _refuse_flat(problem, scale, theta, precision, blocks)
            return Top(theta, value, gradient, precision, steps)
        if steps == STEPS:
            _refuse(problem, theta, blocks[open_])
        steps += 1
        rise = np.sum(gradient[open_] * step, axis=1)
        # What rounding does to the sums that the log density is made of.
        least = value[open_] - 1e-13 * (np.abs(value[open_]) + problem.samples)
        length, left = np.ones(open_.size), np.arange(open_.size)
        for _ in range(HALVINGS):
            at = open_[left]
            point = theta[at] + length[left, None] * step[left]
            found = problem.curvature(point, scale, blocks[at])
            good = found[0] >= least[left] + 1e-4 * length[left] * rise[left]
            theta[at[good]] = point[good]
            value[at[good]], gradient[at[good]] = found[0][good], found[1][good]
            if not problem.symmetric:
                precision[at[good]] = found[2][good]
            elif good:
                precision = found[2]
            left = left[~good]
            length[left] /= 2
            if not left.size:
                break
        else:
            _refuse(problem, theta, blocks[open_[left]])


def _refuse_flat(problem, scale, theta, precision, blocks):
    """Say so where, without a prior, the climb has ended because all is flat to rounding."""
    if problem.prior is None:
        push = np.random.default_rng(0).standard_normal(theta.shape)
        far = _solve(problem, scale, precision, push, np.arange(blocks.size))
        lost = np.ones(blocks.size, bool) if far is None else np.abs(far).max(axis=1) > 1 / FLAT
        if lost.any():
            _refuse(problem, theta, blocks[lost])


def _solve(problem, scale, precision, gradient, open_):
    """Newton's steps of the open blocks, (open, dim); None where there are none."""
    try:
        if not problem.symmetric:
            root = np.linalg.cholesky(precision[open_])
            half = np.linalg.solve(root, gradient[open_, :, None])
            return np.linalg.solve(np.swapaxes(root, 1, 2), half)[..., 0]
        if problem.dim <= WRITTEN:
            from scipy.linalg import cho_factor, cho_solve

            factor = cho_factor(written(problem, precision, scale), lower=True, check_finite=False)
            return cho_solve(factor, gradient[0])[None]
        return Joint(problem, precision, scale).solve(gradient.T, ROUGH).T
    except np.linalg.LinAlgError:
        return None


def written(problem: Logistic, precision: np.ndarray, scale: float) -> np.ndarray:
    """Minus the Hessian of symmetric couplings, (dim, dim), from its parts by rows."""
    matrix = problem.joint(precision)
    if problem.prior is not None:
        matrix[np.diag_indices(problem.dim)] += problem.normal(scale)[1]
    return matrix


def independent(problem: Logistic) -> np.ndarray:
    """Return the parameters (block, dim) of sites that follow nothing, half a step added to each
    of on and off.
    """  # fmt: skip
    on = (problem.data.next == 1).sum(axis=0) + 0.5
    field = np.log(on / (problem.samples + 1 - on)) / problem.design.slope
    return problem.join(field, np.zeros(problem.couplings))


def refuse_edges(problem: Logistic) -> None:
    """Raise FitError where sites or pairs are seen not to be determined by the data alone."""
    data, said = problem.data, []
    still, silent = constant_sites(data.now), constant_sites(data.next)
    sites = np.union1d(still, silent)
    label = lambda site: str(data.labels[site])
    empty = np.empty((0, 2), dtype=int)
    if sites.size:
        said.append(f"site {_some([label(k) for k in sites])} never or always on")
    same = identical_pairs(of_states(data.now, data.encoding))
    if len(same):
        names = [f"({label(a)}, {label(b)})" for a, b in same]
        said.append(f"sites {_some(names)} always equal or always opposite")
    if not problem.symmetric:  # else the other direction may still determine the coupling
        empty = _never(problem, sites)
        if len(empty):
            names = [f"{label(a)} after {label(b)}" for a, b in empty]
            said.append(f"site {_some(names)} without one of the four combinations")
    if said:
        raise FitError(
            f"the maximum likelihood lies at infinity or is not one ({'; '.join(said)}): state a "
            "prior, or leave these sites out",
            sites=sites,
            pairs=np.concatenate([same, empty]),
        )


def _never(problem, constant):
    """Targets and sources (pair, 2) of which one of the four combinations never occurs."""
    now = (problem.data.now == 1).sum(axis=0)
    then = (problem.data.next == 1).sum(axis=0)
    slope, low = problem.design.slope, problem.design.low
    both = problem.sums[:, 1:] / slope  # Σ y s, of which Σ y n follows
    both = np.rint((both - low * then[:, None]) / (1 - low))
    tables = [both, then[:, None] - both, now - both,
              problem.samples - then[:, None] - now + both]  # fmt: skip
    lacking = np.min(tables, axis=0) < 0.5
    lacking[constant] = lacking[:, constant] = False
    coupled = np.zeros_like(lacking)
    coupled[problem.pairs] = True
    return np.argwhere(lacking & coupled)


def _refuse(problem, theta, blocks):
    """Say that the climb of these blocks came to no end."""
    labels = [str(name) for name in problem.data.labels]
    where = "symmetric couplings" if problem.symmetric else f"site {_some(
        [labels[k] for k in blocks])}"  # fmt: skip
    raise FitError(
        f"no optimum was found ({where}): some combination of sites foretells the next state "
        "without fail, or sites determine each other; state a prior, or leave sites out",
        sites=np.arange(problem.sites) if problem.symmetric else blocks,
        theta=theta,
    )


def _some(names):
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
