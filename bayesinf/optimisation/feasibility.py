"""Where measuring is possible and allowed: the probability of it, with its gradient.

A constraint that is told as a number has a surrogate of its own, and is met with the probability
Φ(−μ/σ) that the number is ≤ 0. Failures are classes, a value or none, with Φ(f(x)) the probability
of a value and f a Gaussian process: given the kernel f is normal by Laplace's method, and kernels
are averaged over a grid by their evidence. All of these are taken as independent.

Gardner et al., Bayesian optimization with inequality constraints, ICML 937 (2014); Rasmussen &
Williams, Gaussian Processes for Machine Learning, MIT Press (2006), chapter 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import log_ndtr, logsumexp

from bayesinf.optimisation.surrogate import LEVEL, Nodes, Surrogate

__all__ = ["Classes", "classes", "log_feasible"]

TINY = 1e-12  # variance, below which a constraint counts as known
STEPS, ENOUGH = 60, 1e-9  # Newton steps to the mode, and a step that is none
GRID = np.linspace(-1.5, 1.5, 5)  # of the kernel's logarithms, in sds of their priors
SIZE, SPREAD = 2.0, 0.7  # prior median of the amplitude of f, and the sd of its logarithm


@dataclass(frozen=True)
class Classes:
    """Probability of a value, given where there were values and where not.

    Parameters
    ----------
    nodes : the latent process at several kernels; its ``y`` are classes, ±1.
    modes : the most probable f at the data, (node, point).
    weight : of each node, (node,); they add up to 1.
    """

    nodes: Nodes
    modes: np.ndarray
    weight: np.ndarray

    @cached_property
    def solved(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Roots √W, factors of 1 + √W K √W, and ∇ log p(y|f), as ``kernel.moments`` takes them."""
        gradient, curve = _likelihood(self.nodes.y, self.modes)
        root = np.sqrt(curve)
        lower = np.stack(
            [
                np.linalg.cholesky(np.eye(len(r)) + r[:, None] * K * r)
                for r, K in zip(root, _covariances(self.nodes), strict=True)
            ]
        )
        return root, lower, gradient

    def moments(self, points: np.ndarray, slopes: bool = False) -> tuple[np.ndarray, ...]:
        """Mean and variance of f, (node, place), and their gradients where asked."""
        from bayesinf.optimisation import kernel

        of = self.nodes
        kernels = of.kinds, of.scales, of.squares, of.level
        return kernel.moments(points, of.X, *kernels, *self.solved, slopes)


def classes(X: np.ndarray, done: np.ndarray) -> Classes:
    """Infer where measuring is possible.

    Parameters
    ----------
    X : places in the unit cube, (point, input).
    done : whether there was a value, (point,).
    """
    size = X.shape[1]
    scale, amplitude = (one.ravel() for one in np.meshgrid(GRID, GRID, indexing="ij"))
    count = len(scale)
    y = np.tile(np.where(done, 1.0, -1.0), (count, 1))
    scales = (size / 6) ** 0.5 * np.exp(scale)
    squares = (SIZE * np.exp(SPREAD * amplitude)) ** 2
    kinds = np.ones(count, dtype=int)  # rough: a border may be sharp
    scales = np.tile(scales[:, None], (1, size))
    nodes = Nodes(X, y, np.zeros_like(y), kinds, scales, squares, LEVEL)
    modes, evidence = zip(*map(_mode, y, _covariances(nodes)), strict=True)
    log_weight = np.array(evidence) - 0.5 * (scale**2 + amplitude**2)
    return Classes(nodes, np.array(modes), np.exp(log_weight - logsumexp(log_weight)))


def _covariances(nodes):
    """Covariance of f at the data, one for each node, with a trace on the diagonal."""
    from bayesinf.optimisation import kernel

    for kind, scale, square in zip(nodes.kinds, nodes.scales, nodes.squares, strict=True):
        step = (nodes.X[:, None] - nodes.X) / scale
        rho = kernel.correlations(kind, np.sum(step**2, axis=-1))
        yield square * (rho + 1e-9 * np.eye(len(rho))) + nodes.level


def _likelihood(y, f):
    """Gradient of log Φ(y f) in f, and minus its second derivative."""
    ratio = np.exp(-0.5 * f**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(y * f))
    return y * ratio, ratio**2 + y * f * ratio


def _mode(y, K):
    """The most probable f and the log evidence; Rasmussen & Williams, algorithm 3.1."""
    from scipy.linalg import cho_solve

    f = np.zeros(len(y))
    for _ in range(STEPS):
        gradient, curve = _likelihood(y, f)
        root = np.sqrt(curve)
        lower = np.linalg.cholesky(np.eye(len(y)) + root[:, None] * K * root)
        b = curve * f + gradient
        a = b - root * cho_solve((lower, True), root * (K @ b))
        step = K @ a - f
        f = f + step
        if np.max(np.abs(step)) < ENOUGH:
            break
    evidence = -0.5 * a @ f + np.sum(log_ndtr(y * f)) - np.sum(np.log(np.diag(lower)))
    return f, evidence


def log_feasible(
    parts: Sequence[Surrogate | Classes], points: np.ndarray, slopes: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log probability that all is possible and allowed.

    Parameters
    ----------
    parts : surrogates of constraints, and classes.
    points : in the unit cube, (place, input).
    slopes : whether gradients are wanted.

    Returns
    -------
    log probabilities, (place,), and gradients, (place, input), zero where not asked.
    """
    value, gradient = np.zeros(len(points)), np.zeros(points.shape)
    for part in parts:
        if isinstance(part, Classes):
            mean, variance, of_mean, of_variance = part.moments(points, slopes)
            ahead, variance, weight = mean, 1 + variance, part.weight
        else:
            mean, variance, of_mean, of_variance = part.nodes.moments(points, slopes)
            ahead, of_mean = -part.centre / part.spread - mean, -of_mean
            variance = np.maximum(variance, TINY)
            weight = np.full(len(mean), 1 / len(mean))
        sd = np.sqrt(variance)
        z = ahead / sd
        each = log_ndtr(z) + np.log(weight)[:, None]
        total = logsumexp(each, axis=0)
        value += total
        if slopes:
            # ∂ log Φ(z) = φ/Φ (∂ahead/sd − z ∂variance/(2 variance)), averaged by share.
            share = np.exp(each - total)
            ratio = np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(z)) * share
            gradient += np.einsum("sc,scd->cd", ratio / sd, of_mean)
            gradient -= np.einsum("sc,scd->cd", ratio * z / (2 * variance), of_variance)
    return value, gradient
