"""Normals of independent blocks, by the roots of their precisions: coordinates, draws, densities.

    θ_b ~ N(mean_b, (L_b L_bᵀ)⁻¹),   z_b = L_bᵀ (θ_b − mean_b) ~ N(0, 1)

A Laplace approximation is one, and so is the normal nearest to a posterior, whose mean and
precision ``variational_mean`` finds.

Opper & Archambeau, Neural Comput. 21, 786 (2009), doi:10.1162/neco.2008.08-07-592.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

__all__ = ["AtWidth", "BlockNormal", "ByChain", "expectations", "variational_mean"]

COLUMNS = 256  # columns of a large covariance that are made at once


@dataclass(frozen=True)
class BlockNormal:
    """A normal of independent blocks.

    Parameters
    ----------
    mean : (block, dim).
    root : lower root L of each block's precision, (block, dim, dim).
    inverse : L⁻¹, made of the root where there are several blocks: a product with all of them at
        once is faster than solving block by block.
    """

    mean: np.ndarray
    root: np.ndarray
    inverse: np.ndarray | None = None

    def __post_init__(self):
        from scipy.linalg import solve_triangular

        if self.inverse is None and len(self.root) > 1:
            one = np.eye(self.mean.shape[1])
            inverse = np.array([solve_triangular(each, one, lower=True) for each in self.root])
            object.__setattr__(self, "inverse", inverse)

    @property
    def log_volume(self) -> float:
        """Logarithm of the volume in θ of a unit of z, −Σ log L_kk."""
        return -float(np.log(np.diagonal(self.root, axis1=1, axis2=2)).sum())

    def _divided(self, x, transposed):
        """L⁻¹ x, or L⁻ᵀ x, of x (..., block, dim)."""
        from scipy.linalg import solve_triangular

        blocks, dim = self.mean.shape
        if blocks == 1:
            trans, flat = "T" if transposed else "N", x.reshape(-1, dim).T
            moved = solve_triangular(self.root[0], flat, trans, lower=True, check_finite=False)
            return moved.T.reshape(x.shape)
        left = np.swapaxes(self.inverse, 1, 2) if transposed else self.inverse
        moved = np.matmul(left, np.moveaxis(x.reshape(-1, blocks, dim), 0, -1))
        return np.moveaxis(moved, -1, 0).reshape(x.shape)

    def place(self, z: np.ndarray) -> np.ndarray:
        """Parameters θ = mean + L⁻ᵀ z of coordinates z, (..., block, dim)."""
        return self.mean + self._divided(z, True)

    def whiten(self, slope: np.ndarray) -> np.ndarray:
        """Gradients in z, L⁻¹ ∇, of gradients in the parameters, (..., block, dim)."""
        return self._divided(slope, False)

    def coordinates(self, theta: np.ndarray) -> np.ndarray:
        """Coordinates z = Lᵀ (θ − mean), (..., block, dim)."""
        away = theta - self.mean
        if len(self.mean) == 1:
            return away @ self.root[0]
        away = np.moveaxis(away.reshape(-1, *self.mean.shape), 0, -1)
        z = np.matmul(np.swapaxes(self.root, 1, 2), away)
        return np.moveaxis(z, -1, 0).reshape(theta.shape)

    def solve(self, slope: np.ndarray) -> np.ndarray:
        """Covariance times a gradient, P⁻¹ ∇, (..., block, dim)."""
        return self._divided(self._divided(slope, False), True)

    def draws(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw θ − mean, (count, block, dim)."""
        return self._divided(rng.standard_normal((count, *self.mean.shape)), True)

    def exponent(self, away: np.ndarray) -> np.ndarray:
        """½ (θ − mean)ᵀ P (θ − mean) of each block, (..., block), of θ − mean."""
        return 0.5 * np.sum(self.coordinates(self.mean + away) ** 2, axis=-1)

    def log_density(self, theta: np.ndarray) -> np.ndarray:
        """Log density of all blocks, (...), up to (2π)^(−P/2)."""
        return -self.log_volume - self.exponent(theta - self.mean).sum(axis=-1)

    def spread(self, first: int, rng: np.random.Generator | None = None) -> tuple[float, float]:
        """Σ of the variances of the parameters from ``first`` on, and Σ of their covariances²."""
        if len(self.mean) > 1:
            half = self.inverse[:, :, first:]
            square = np.sum(np.matmul(np.swapaxes(half, 1, 2), half) ** 2)
            return float(np.sum(half**2)), float(square)
        # Columns of P⁻¹, a few at a time, since all of them would take as much room again.
        total, square, size = 0.0, 0.0, self.mean.size
        for begin in range(first, size, COLUMNS):
            place = begin + np.arange(min(COLUMNS, size - begin))
            unit = np.zeros((len(place), 1, size))
            unit[np.arange(len(place)), 0, place] = 1.0
            column = self.solve(unit)[:, 0]
            total += column[np.arange(len(place)), place].sum()
            square += np.sum(column[:, first:] ** 2)
        return float(total), float(square)


class ByChain:
    """Coordinates of chains side by side, each in those of a normal of its own.

    Parameters
    ----------
    groups : normals, each with the positions of its chains.
    """

    def __init__(self, groups: Sequence[tuple[BlockNormal, np.ndarray | slice | list[int]]]):
        self.groups = groups

    def _each(self, method, points):
        if len(self.groups) == 1:
            return method(self.groups[0][0], points)
        result = np.empty_like(points)
        for normal, chains in self.groups:
            result[chains] = method(normal, points[chains])
        return result

    def place(self, z: np.ndarray) -> np.ndarray:
        """Parameters of coordinates, (chain, block, dim)."""
        return self._each(BlockNormal.place, z)

    def whiten(self, slope: np.ndarray) -> np.ndarray:
        """Gradients in the coordinates, (chain, block, dim)."""
        return self._each(BlockNormal.whiten, slope)

    def coordinates(self, theta: np.ndarray) -> np.ndarray:
        """Coordinates of parameters, (chain, block, dim)."""
        return self._each(BlockNormal.coordinates, theta)

    def log_volume(self, chains: int) -> np.ndarray:
        """Log volume in θ of a unit of z, (chain,)."""
        result = np.empty(chains)
        for normal, some in self.groups:
            result[some] = normal.log_volume
        return result


@dataclass(frozen=True)
class AtWidth:
    """The Laplace approximation at one width of a prior, or the normal nearest to the posterior.

    Parameters
    ----------
    scale : the width.
    normal : the approximation; one whose roots are never written offers ``mean``, ``solve``,
        ``draws``, ``exponent`` and ``spread``.
    gradient : of the log density at the centre, or its mean under the normal, (block, dim).
    log_density : of each block at the centre, or what makes ``log_evidence`` right, (block,).
    """

    scale: float
    normal: BlockNormal
    gradient: np.ndarray
    log_density: np.ndarray

    @property
    def theta(self) -> np.ndarray:
        """The centre, (block, dim)."""
        return self.normal.mean

    @property
    def log_evidence(self) -> float:
        """Laplace's approximation of log ∫ p(data, θ | width) dθ, up to (2π)^(P/2)."""
        return float(np.sum(self.log_density)) + self.normal.log_volume


def expectations(
    look: Callable[[np.ndarray], Sequence[np.ndarray]], mean: np.ndarray, away: np.ndarray
) -> list[np.ndarray]:
    """Average what is seen at points on both sides of a centre.

    Odd moments vanish exactly, so that a few pairs tell where the mean slope is zero.

    Parameters
    ----------
    look : θ (block, dim) -> arrays.
    mean : the centre, (block, dim).
    away : draws of θ − mean, (pair, block, dim).

    Returns
    -------
    the mean of each array.
    """
    totals = None
    for side in np.concatenate([away, -away]):
        arrays = look(mean + side)
        totals = arrays if totals is None else [t + a for t, a in zip(totals, arrays, strict=True)]
    return [total / (2 * len(away)) for total in totals]


def variational_mean(
    approximation: AtWidth, expect: Callable[[AtWidth], AtWidth], rounds: int
) -> AtWidth:
    """Move a Laplace approximation from the optimum to the mean of the posterior.

        E ∇ log p(θ) = 0,   P = −E ∇∇ log p(θ),   θ ~ N(mean, P⁻¹)

    It is the normal nearest to the posterior. With many parameters it is another one than that at
    the optimum: each of them moves all others a little when it is off its optimum.

    Parameters
    ----------
    approximation : a normal near it.
    expect : a normal -> the same one with its mean slope as ``gradient`` and with the mean
        curvature as its precision (or that of the optimum, where it is good enough).
    rounds : steps, mean ← mean + P⁻¹ E ∇.
    """
    for _ in range(rounds):
        approximation = expect(approximation)
        normal = approximation.normal
        mean = normal.mean + normal.solve(approximation.gradient)
        approximation = replace(approximation, normal=replace(normal, mean=mean))
    return approximation
