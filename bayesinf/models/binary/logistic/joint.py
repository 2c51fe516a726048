"""Minus the Hessian of symmetric couplings, which is never written out.

A coupling J_ij stands in two rows, that of i and that of j, so the matrix is

    P = Σ_i R_iᵀ H_i R_i + Λ

with the prior's precision Λ, the small matrices H_i of the rows and R_i, which picks the parameters
of row i. For N sites P has N⁴/4 entries and the rows N³, so its products with vectors, conjugate
gradients and, by noise of the covariance P, independent normal draws take no more than the rows.
``UnwrittenNormal`` is the normal of such a precision.

Papandreou & Yuille, NIPS 23, 1858 (2010).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesinf.inference import conjugate, factors

# Share of a vector that conjugate gradients may leave.
EXACT = 1e-6
# Share of a row's largest curvature that is added to its diagonal, so that roots exist.
FAINT = 1e-12
# Random sign vectors by which a trace of the covariance is estimated.
PROBES = 16

__all__ = ["Joint", "UnwrittenNormal"]


class Joint:
    """P by its products with vectors (dim, vector).

    Parameters
    ----------
    problem : of symmetric couplings.
    precision : H_i of the likelihood, (site, 1 + site, 1 + site).
    scale : width of the prior.
    """

    def __init__(self, problem, precision, scale):
        self.problem, self.precision = problem, precision
        prior = 0.0 if problem.prior is None else problem.normal(scale)[1]
        self.prior = np.broadcast_to(prior, problem.dim)[:, None]
        i, j = problem.pairs
        # A coupling that stands in two rows counts half in each.
        self.half = np.append(np.ones(problem.sites), np.where(i == j, 1.0, 0.5))[:, None]
        self.roots = None

    def rows(self, v):
        """Entries of vectors in the rows, (site, 1 + site, vector); zero where there is none."""
        return np.concatenate([v, np.zeros_like(v[:1])])[self.problem.index]

    def gathered(self, rows):
        """Sums over the rows of what stands there, (dim, vector): the transpose of ``rows``."""
        return np.moveaxis(self.problem.gathered(np.moveaxis(rows, -1, 0)), 0, -1)[0]

    def product(self, v: np.ndarray) -> np.ndarray:
        """P v."""
        return self.gathered(np.matmul(self.precision, self.rows(v))) + self.prior * v

    def parts(self, v: np.ndarray) -> np.ndarray:
        """½ vᵀ R_iᵀ H_i R_i v of each row, (site, vector)."""
        rows = self.rows(v)
        return 0.5 * np.sum(rows * np.matmul(self.precision, rows), axis=1)

    def conditioned(self, v: np.ndarray) -> np.ndarray:
        """Precondition: solve each row's own matrix; a coupling takes the mean of its two rows.

        Raises
        ------
        LinAlgError : a row whose matrix is not positive definite.
        """
        from scipy.linalg.lapack import dpotrs

        if self.roots is None:
            matrix, index = self.precision.copy(), self.problem.index
            dead, one = index < 0, np.arange(1 + self.problem.sites)
            matrix[:, one, one] += np.append(self.prior, 0.0)[index]
            matrix[dead] = 0.0
            np.swapaxes(matrix, 1, 2)[dead] = 0.0
            matrix[dead, np.nonzero(dead)[1]] = 1.0
            # LAPACK reads them in Fortran's order, as upper roots, and so need not copy them.
            self.roots = factors.cholesky(matrix)
        rows = self.rows(self.half * v)
        for k, root in enumerate(self.roots):
            rows[k] = dpotrs(root.T, rows[k])[0]
        return self.half * self.gathered(rows)

    def solve(self, b: np.ndarray, exact: float = EXACT) -> np.ndarray:
        """P⁻¹ b of vectors (dim, vector), by ``conjugate.solve``, which names what it raises."""
        return conjugate.solve(self.product, self.conditioned, b, exact)

    def noise(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw from N(0, P), (dim, count): P⁻¹ of it is a draw of the covariance P⁻¹."""
        size = self.precision.shape[1]
        faint = FAINT * (1.0 + np.abs(self.precision).max())
        root = factors.cholesky(self.precision + faint * np.eye(size))
        z = rng.standard_normal((len(root), size, count))
        of_prior = np.sqrt(self.prior) * rng.standard_normal((self.problem.dim, count))
        return self.gathered(np.matmul(root, z)) + of_prior


@dataclass(frozen=True)
class UnwrittenNormal:
    """A normal of many symmetric couplings; parameters and methods as of ``BlockNormal``."""

    mean: np.ndarray
    joint: Joint

    def solve(self, slope):
        """P⁻¹ ∇ of a gradient (block, dim)."""
        return self.joint.solve(slope.T).T

    def draws(self, rng, count):
        """Draw θ − mean, (count, block, dim)."""
        return self.joint.solve(self.joint.noise(rng, count)).T[:, None]

    def exponent(self, away):
        """½ (θ − mean)ᵀ P (θ − mean), (draw, block)."""
        v = away[:, 0].T
        return 0.5 * np.sum(v * self.joint.product(v), axis=0)[:, None]

    def spread(self, first, rng):
        """Estimate Σ of the variances of the parameters from ``first`` on, and of covariances²."""
        v = rng.choice(np.array([-1.0, 1.0]), (self.mean.size, PROBES))
        v[:first] = 0.0
        x = self.joint.solve(v)
        return float(np.sum(v * x) / PROBES), float(np.sum(x[first:] ** 2) / PROBES)
