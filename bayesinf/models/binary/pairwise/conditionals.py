"""One parameter given all others: its exact posterior, beside that of a normal approximation.

Along one parameter no further sum over states is needed, since its moment m at θ says all,

    log p(θ + t e_k | data) − log p(θ | data) = M (t ⟨φ_k⟩_data − log E_θ e^{t φ_k}) + Δ log prior,
    E_θ e^{t φ} = 1 + m (e^t − 1) in 0/1,   cosh t + m sinh t in ±1

Among hundreds of parameters hardly two draws of a normal have weights alike, however good each of
its marginals is, so that importance weights say nothing. But a normal is the posterior if, at its
own draws, every parameter given the others has the posterior's distribution. Where the means of
these differ by d_k on average, the slopes do by P_kk d_k, and the mean of the posterior is to first
order elsewhere by P⁻¹ (P_kk d_k).
"""

from __future__ import annotations

import numpy as np

from bayesinf.inference.kinds import Question
from bayesinf.models.binary.pairwise.likelihood import Pairwise
from bayesinf.models.binary.pairwise.widths import PairwiseAtWidth

__all__ = ["QUESTIONS", "beside_normal"]

# Pairs of draws at which conditionals are compared.
PAIRS = 32
# Where they are evaluated, in sd of the normal's: a heap of a few states beside a wide prior too.
NODES = np.arange(-10.0, 10.01, 0.25)
# Sd of a mean, and share of an sd, by which the normal may be off, as importance weights may move
# draws elsewhere.
OFF = 0.25

QUESTIONS = (
    Question(
        "means",
        "conditional_shift",
        "max",
        OFF,
        "≤",
        True,
        "by the exact conditionals means are up to {value:.2f} sd off (that of {name})",
        "give a narrower prior or more data, or sample it instead (mcmc)",
    ),
    Question(
        "spreads",
        "conditional_ratio",
        "max",
        OFF,
        "≤",
        True,
        "by the exact conditionals sds are up to {value:.0%} off (that of {name})",
        "give a narrower prior or more data, or sample it instead (mcmc)",
    ),
)


def beside_normal(
    problem: Pairwise, near: PairwiseAtWidth, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Compare the conditionals of a normal approximation with those of the posterior.

    Parameters
    ----------
    problem, near : the likelihood, and the normal at one width of the prior.
    rng : of the draws of the others; each is taken on both sides, so that odd moments vanish.

    Returns
    -------
    by how much the posterior's mean lies above the normal's, in the parameters' units, and the log
    of its conditional sd over the normal's, (parameter,) both.
    """
    half = rng.standard_normal((PAIRS, problem.size))
    z = np.concatenate([half, -half])
    root, (mean, precision) = near.normal.root[0], near.prior
    theta = near.normal.place(z[:, None])[:, 0]
    steepness = np.einsum("kj,kj->k", root, root)  # P_kk
    sd = steepness**-0.5
    # Given the others the normal's mean lies here, as far from θ_k.
    off = -(z @ root.T) / steepness
    moments = problem.expectations(theta)[1]
    shift, variance = np.zeros(problem.size), np.zeros(problem.size)
    for point, to_mean, m in zip(theta, off, moments, strict=True):
        t = (to_mean + np.multiply.outer(NODES, sd)).T
        away = (point - mean)[:, None] + t
        height = problem.samples * (t * problem.statistics[:, None] - _log_mean(m, t, problem))
        height -= 0.5 * precision[:, None] * away**2
        weight = np.exp(height - height.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        centre = weight @ NODES
        shift += centre / len(theta)
        variance += (weight @ NODES**2 - centre**2) / len(theta)
    moved = near.normal.solve((steepness * sd * shift)[None])[0]
    with np.errstate(divide="ignore"):  # a posterior that falls between two nodes has no width
        return moved, 0.5 * np.log(variance)


def _log_mean(moment, t, problem):
    """log E e^{t φ} at a moment (parameter,), for steps t (parameter, node)."""
    spins = problem.encoding == "±1"
    # Sums over a sample may leave the range of moments by its error.
    share = np.clip((1 + moment) / 2 if spins else moment, 0.0, 1.0)[:, None]
    with np.errstate(divide="ignore"):  # what is always on is never off
        on, off = np.log(share), np.log1p(-share)
    return np.logaddexp(on + t, off - t if spins else off)
