"""Where measuring is possible and allowed: the probability of it, with its gradient.

A constraint that is told as a number has a surrogate of its own, and is met with the probability
Φ(−μ/σ) that the number is ≤ 0. Failures are classes, a value or none, with Φ(f(x)) the probability
of a value and f a Gaussian process: given the kernel f is normal by expectation propagation, and
kernels are averaged over a grid by their evidence. All of these are taken as independent.

Gardner et al., Bayesian optimization with inequality constraints, ICML 937 (2014); Rasmussen &
Williams, Gaussian Processes for Machine Learning, MIT Press (2006), section 3.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy

from bayesinf.optimisation.surrogate import LEVEL, Nodes, Surrogate

__all__ = ["Classes", "classes", "log_feasible"]

TINY = 1e-12  # variance, below which a constraint counts as known
SWEEPS, DAMPING, ENOUGH = 100, 0.7, 1e-6  # of expectation propagation: most, share, and end
GRID = np.linspace(-1.5, 1.5, 5)  # of the kernel's logarithms, in sds of their priors
SIZE, SPREAD = 5.0, 0.7  # prior median of the amplitude of f, and the sd of its logarithm


@dataclass(frozen=True)
class Classes:
    """Probability of a value, given where there were values and where not.

    Parameters
    ----------
    nodes : the latent process at several kernels; its ``y`` are classes, ±1.
    precision, shift : of the normal numbers that stand for the classes, (node, point).
    weight : of each node, (node,); they add up to 1.
    """

    nodes: Nodes
    precision: np.ndarray
    shift: np.ndarray
    weight: np.ndarray

    @cached_property
    def solved(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Roots √τ, factors of 1 + √τ K √τ, and (K + τ⁻¹)⁻¹ ν/τ, as ``kernel.moments`` has it."""
        K, root = _covariances(self.nodes), np.sqrt(self.precision)
        lower = _factors(K, root)
        inner = root * np.einsum("nij,nj->ni", K, self.shift)
        half = np.linalg.solve(lower, inner[..., None])
        back = np.linalg.solve(lower.swapaxes(1, 2), half)[..., 0]
        return root, lower, self.shift - root * back

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
    precision, shift, evidence = _propagated(y, _covariances(nodes))
    log_weight = evidence - 0.5 * (scale**2 + amplitude**2)
    return Classes(
        nodes, precision, shift, np.exp(log_weight - scipy.special.logsumexp(log_weight))
    )


def _covariances(nodes):
    """Covariance of f at the data, one for each node, with a trace on the diagonal."""
    from bayesinf.optimisation import kernel

    found = []
    for kind, scale, square in zip(nodes.kinds, nodes.scales, nodes.squares, strict=True):
        step = (nodes.X[:, None] - nodes.X) / scale
        rho = kernel.correlations(kind, np.sum(step**2, axis=-1))
        found.append(square * (rho + 1e-9 * np.eye(len(rho))) + nodes.level)
    return np.array(found)


def _factors(K, root):
    """Cholesky factors of 1 + √τ K √τ."""
    return np.linalg.cholesky(np.eye(K.shape[-1]) + root[:, :, None] * K * root[:, None, :])


def _propagated(y, K):
    """Normal numbers in place of classes, τ and ν, (node, point), and log evidence, (node,).

    Each stands for its class given all the others (Rasmussen & Williams, equations 3.53 to 3.59 and
    3.65), all at once and damped.
    """
    precision, shift = np.zeros_like(y), np.zeros_like(y)
    for _ in range(SWEEPS):
        root = np.sqrt(precision)
        lower = _factors(K, root)
        inner = np.linalg.solve(lower, root[:, :, None] * K)
        spread = K - np.einsum("nki,nkj->nij", inner, inner)
        variance = np.einsum("nii->ni", spread)
        centre = np.einsum("nij,nj->ni", spread, shift)
        others = 1 / variance - precision
        mean = (centre / variance - shift) / others
        width = 1 + 1 / others
        z = y * mean / np.sqrt(width)
        ratio = np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - scipy.special.log_ndtr(z))
        tilted = mean + y * ratio / (others * np.sqrt(width))
        narrow = 1 / others - ratio * (z + ratio) / (others**2 * width)
        new = np.maximum(1 / narrow - others, 1e-12)
        change = new - precision, tilted / narrow - others * mean - shift
        precision, shift = precision + DAMPING * change[0], shift + DAMPING * change[1]
        if max(np.max(np.abs(part)) for part in change) < ENOUGH:
            break
    both = precision + others
    evidence = np.sum(scipy.special.log_ndtr(z) + 0.5 * np.log1p(precision / others), axis=1)
    evidence -= np.sum(np.log(np.einsum("nii->ni", lower)), axis=1)
    evidence += 0.5 * np.einsum("ni,nij,nj->n", shift, spread, shift)
    evidence -= 0.5 * np.sum(shift**2 / both, axis=1)
    evidence += 0.5 * np.sum(mean * others / both * (precision * mean - 2 * shift), axis=1)
    return precision, shift, evidence


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
        each = scipy.special.log_ndtr(z) + np.log(weight)[:, None]
        total = scipy.special.logsumexp(each, axis=0)
        value += total
        if slopes:
            # ∂ log Φ(z) = φ/Φ (∂ahead/sd − z ∂variance/(2 variance)), averaged by share.
            share = np.exp(each - total)
            ratio = (
                np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - scipy.special.log_ndtr(z)) * share
            )
            gradient += np.einsum("sc,scd->cd", ratio / sd, of_mean)
            gradient -= np.einsum("sc,scd->cd", ratio * z / (2 * variance), of_variance)
    return value, gradient
