"""Maximum likelihood and maximum a posteriori by Newton's method, and the classical descent.

The log density is concave and falls apart into blocks: the rows of the couplings, or, of symmetric
ones, a single block of all parameters. Many symmetric couplings make a large matrix that is never
written out: its products with a vector are those of the rows' small ones, by which conjugate
gradients solve for Newton's step.

Without a prior there is no optimum where the data let the likelihood rise for ever: a site that
never changes, two that always do so together, a source after which a target never fires.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesinf import parallel
from bayesinf.errors import FitError
from bayesinf.inference import factors
from bayesinf.inference.optimum import Optimum, newton
from bayesinf.models.binary import constant_sites, identical_pairs, listed, of_states
from bayesinf.models.binary.couplings import CouplingPrior
from bayesinf.models.binary.logistic.design import HEAVY
from bayesinf.models.binary.logistic.joint import Joint
from bayesinf.models.binary.logistic.likelihood import Logistic
from bayesinf.models.binary.logistic.transitions import Transitions

__all__ = [
    "TOGETHER",
    "LogisticOptimum",
    "Path",
    "decided",
    "gradient_descent",
    "independent",
    "maximum",
    "maximum_likelihood",
    "refuse_edges",
    "written",
]

# Largest slope at the optimum, for each transition.
TOLERANCE = 1e-9
# Largest Newton step there; along a ray to infinity it stays about one.
SHORT = 1e-6
# Curvature below which a direction is flat: a millionth of what one transition tells.
FLAT = 1e-6
# Weights and margins of a plane between states that are more than rounding.
PARTED = 1e-6
# Entries of a linear programme that is still quick.
MOST_ASKED = 1_000_000
# Newton steps at most.
STEPS = 100
# Parameters of a block up to which its matrix is written out.
WRITTEN = 1500
# Rows that one worker takes to their optimum at a time.
TOGETHER = 32
# Share of a step that conjugate gradients may leave to the next one.
ROUGH = 1e-3


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
    prior: CouplingPrior | None = None,
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
    if prior is not None and (prior.inferred or prior.local):
        raise FitError(
            "couplings under this prior have no common optimum: state a normal one of "
            "fixed width, or fit"
        )
    with parallel.one_blas_thread():
        problem = Logistic(
            transitions, prior, symmetric=symmetric, self_coupling=self_coupling, workers=workers
        )
        top = maximum(problem)
        value = float(problem.log_likelihood(top.theta).sum())
    return LogisticOptimum(
        h=problem.split(top.theta)[0],
        J=problem.matrix(top.theta),
        log_likelihood=value,
        gradient=float(np.abs(top.gradient).max() / problem.samples),
        steps=top.steps,
        precision=None if symmetric else top.curvature,
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
    with parallel.one_blas_thread():
        problem = Logistic(transitions, symmetric=symmetric, self_coupling=self_coupling)
        theta, path = np.zeros(problem.shape), []
        for _ in range(iterations):
            value, slope = problem.likelihood_gradient(theta)
            path.append(value.sum())
            theta = theta + rate / problem.samples * slope
        path.append(problem.log_likelihood(theta).sum())
    return Path(problem.split(theta)[0], problem.matrix(theta), np.array(path))


def maximum(
    problem: Logistic, scale: float = 1.0, start: np.ndarray | None = None, looseness: float = 1.0
) -> Optimum:
    """Climb to the optimum at a width, every block by itself.

    Parameters
    ----------
    problem : likelihood, with its normal prior or without.
    scale : width of the couplings, where that is inferred.
    start : (block, dim); by default sites that follow nothing.
    looseness : factor on how small slope and step have to be at its end.

    Returns
    -------
    the optimum; its ``curvature`` is that of ``Logistic.curvature``.

    Raises
    ------
    FitError : as of ``maximum_likelihood``.
    """
    if problem.prior is None:
        refuse_edges(problem)
    start = independent(problem) if start is None else np.asarray(start, dtype=float)

    def climb(blocks):
        return _climb(problem, scale, start[blocks], blocks, looseness)

    blocks = np.arange(problem.blocks)
    if problem.symmetric or problem.work < HEAVY:
        return climb(blocks)
    parts = np.split(blocks, blocks[TOGETHER::TOGETHER])
    tops = parallel.map(climb, parts, workers=problem.workers, threads=True, label="rows")
    names = ("theta", "log_density", "gradient", "curvature", "step", "unfinished")
    arrays = {name: np.concatenate([getattr(top, name) for top in tops]) for name in names}
    return Optimum(**arrays, steps=max(top.steps for top in tops))


def _climb(problem, scale, theta, blocks, looseness):
    """The optimum of these blocks, from their parameters on."""

    def look(point, some):
        return problem.curvature(point, scale, blocks[some])

    def solve(_, gradient, precision, some):
        return _steps(problem, scale, precision, gradient, some)

    def done(gradient, step):
        flat = np.abs(gradient).max(axis=1) <= looseness * TOLERANCE * problem.samples
        return flat & (np.abs(step).max(axis=1) <= looseness * SHORT)

    top = newton(look, solve, done, theta, size=problem.samples, most=STEPS)
    lost = top.unfinished
    if top.singular:
        smallest = np.zeros(1) if problem.symmetric else np.linalg.eigvalsh(top.curvature)[:, 0]
        lost = smallest <= 1e-12 * problem.samples
    elif problem.prior is None and not lost.size:
        lost = _flat(problem, scale, top)
    if top.singular or top.unfinished.size or np.any(lost):
        _refuse(problem, top.theta, blocks[lost])
    return top


def _flat(problem, scale, top):
    """Blocks whose optimum is none: along some direction the log density is flat to rounding."""
    push = np.random.default_rng(0).standard_normal(top.theta.shape)
    every = np.arange(len(push))
    try:
        far = _steps(problem, scale, top.curvature, push, every)
    except np.linalg.LinAlgError:
        return np.ones(len(every), dtype=bool)
    return np.abs(far).max(axis=1) > 1 / FLAT


def _steps(problem, scale, precision, gradient, some):
    """Newton's steps of some blocks, (block, dim).

    Raises
    ------
    LinAlgError : a precision that is not positive definite.
    """
    if not problem.symmetric:
        root = factors.cholesky(precision[some])
        half = np.linalg.solve(root, gradient[some, :, None])
        return np.linalg.solve(np.swapaxes(root, 1, 2), half)[..., 0]
    if problem.dim <= WRITTEN:
        from scipy.linalg import cho_factor, cho_solve

        factor = cho_factor(written(problem, precision, scale), lower=True, check_finite=False)
        return cho_solve(factor, gradient[0])[None]
    return Joint(problem, precision, scale).solve(gradient.T, ROUGH).T


def written(problem: Logistic, precision: np.ndarray, scale: float) -> np.ndarray:
    """Minus the Hessian of symmetric couplings, (dim, dim), from its parts by rows."""
    matrix = problem.joint(precision)
    if problem.prior is not None:
        matrix[np.diag_indices(problem.dim)] += problem.normal(scale)[1]
    return matrix


def independent(problem: Logistic) -> np.ndarray:
    """Return the parameters (block, dim) of sites that follow nothing, half a step added to each
    of on and off.
    """
    on = (problem.data.next == 1).sum(axis=0) + 0.5
    field = np.log(on / (problem.samples + 1 - on)) / problem.design.slope
    return problem.join(field, np.zeros(problem.couplings))


def refuse_edges(problem: Logistic) -> None:
    """Raise FitError where sites or pairs are seen not to be determined by the data alone."""
    data, said = problem.data, []
    still, silent = constant_sites(data.now), constant_sites(data.next)
    sites = np.union1d(still, silent)
    labels = [str(name) for name in data.labels]
    if sites.size:
        said.append(f"site {listed([labels[k] for k in sites])} never or always on")
    same = identical_pairs(of_states(data.now, data.encoding))
    if len(same):
        names = [f"({labels[a]}, {labels[b]})" for a, b in same]
        said.append(f"sites {listed(names)} always equal or always opposite")
    empty = _never(problem, sites)
    if len(empty):
        each = "{} and {} after each other" if problem.symmetric else "{} after {}"
        names = [each.format(labels[a], labels[b]) for a, b in empty]
        said.append(f"site {listed(names)} without one of the four combinations")
    if said:
        raise FitError(
            f"the maximum likelihood lies at infinity or is not one ({'; '.join(said)}): state a "
            "prior, or leave these sites out",
            sites=sites,
            pairs=np.concatenate([same, empty]),
        )


def _never(problem, constant):
    """Targets and sources (pair, 2) whose coupling one of the four combinations, which never
    occurs, lets rise or fall for ever. A symmetric one does so where both directions let it.
    """
    now = (problem.data.now == 1).sum(axis=0)
    then = (problem.data.next == 1).sum(axis=0)
    slope, low = problem.design.slope, problem.design.low
    both = problem.sums[:, 1:] / slope  # Σ y s, of which Σ y n follows
    both = np.rint((both - low * then[:, None]) / (1 - low))
    neither = problem.samples - then[:, None] - now + both
    falling = np.minimum(both, neither) < 0.5
    rising = np.minimum(then[:, None] - both, now - both) < 0.5
    if problem.symmetric:
        falling, rising = falling & falling.T, rising & rising.T
    lacking = falling | rising
    lacking[constant] = lacking[:, constant] = False
    coupled = np.zeros_like(lacking)
    coupled[problem.pairs] = True
    return np.argwhere(lacking & coupled)


def _refuse(problem, theta, blocks):
    """Say that the climb of these blocks came to no end, and why."""
    labels = [str(name) for name in problem.data.labels]
    where = f"site {listed([labels[k] for k in blocks])}"
    where = "symmetric couplings" if problem.symmetric else where
    why = "some combination of sites foretells the next state without fail, or sites determine each"
    why += " other"
    parted = (
        [] if problem.symmetric else [(k, *found) for k in blocks if (found := decided(problem, k))]
    )
    if parted:
        (k, sources, count), more = parted[0], len(parted) - 1
        by = listed([labels[j] for j in sources])
        why = (
            f"present states of {by} decide the next one of {labels[k]} in {count} of "
            f"{problem.samples} transitions and contradict it in none, so that the likelihood "
            "rises for ever with their couplings"
        )
        why += f"; {more} more sites likewise" if more else ""
    raise FitError(
        f"no optimum was found ({where}): {why}; state a prior, or leave sites out",
        sites=np.arange(problem.sites) if problem.symmetric else blocks,
        theta=theta,
    )


def decided(problem: Logistic, target: int) -> tuple[np.ndarray, int] | None:
    """Find present states of which a combination decides the next state of a site.

    The likelihood of a row has no maximum where a plane parts the present states after which the
    site is on from those after which it is off: where some w has y_t w·x_t ≥ 0 for all t, and more
    than zero for some, y_t = ±1 the next state. Linear programmes find a plane that parts all, or
    the one of the largest sum, |w_j| ≤ 1, and of those like it the one on the fewest sites
    (Albert & Anderson, Biometrika 71, 1 (1984), doi:10.1093/biomet/71.1.1).

    Returns
    -------
    positions of the sites that take part, and the number of transitions that they decide; None
    where there is no such plane, or where the data are too many to ask.
    """
    from scipy.optimize import linprog

    targets, sources = problem.pairs
    sources = sources[targets == target]
    now = problem.data.now[:, sources].astype(float)
    sign = np.where(problem.data.next[:, target] == 1, 1.0, -1.0)
    rows = sign[:, np.newaxis] * np.column_stack([np.ones(len(now)), now])
    rows, counts = np.unique(rows, axis=0, return_counts=True)
    if rows.size > MOST_ASKED:
        return None
    told, weights = np.ones(len(rows), dtype=bool), _fewest(rows, np.ones(len(rows)))
    if weights is None:
        found = linprog(-rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=(-1, 1))
        told = np.zeros(len(rows), dtype=bool) if found.x is None else rows @ found.x > PARTED
        weights = _fewest(rows, told.astype(float)) if told.any() else None
    if weights is None:
        return None
    return sources[np.abs(weights[1:]) > PARTED], int(counts[told].sum())


def _fewest(rows, margin):
    """Weights of the smallest Σ|w|, and so on few sites, with margins of at least so much."""
    from scipy.optimize import linprog

    both = np.hstack([-rows, rows])  # w is the difference of two that are positive
    found = linprog(np.ones(both.shape[1]), A_ub=both, b_ub=-margin, bounds=(0, None))
    return None if found.x is None else np.subtract(*np.split(found.x, 2))
