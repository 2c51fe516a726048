"""Minus the Hessian of symmetric couplings, which is never written out.

A coupling J_ij stands in two rows, that of i and that of j, so the matrix is

    P = Σ_i R_iᵀ H_i R_i + Λ

with the prior's precision Λ, the small matrices H_i of the rows and R_i, which picks the parameters
of row i. For N sites P has N⁴/4 entries and the rows N³, so its products with vectors, conjugate
gradients and, by noise of the covariance P, independent normal draws take no more than the rows.

Hestenes & Stiefel, J. Res. Nat. Bur. Stand. 49, 409 (1952), doi:10.6028/jres.049.044; Papandreou &
Yuille, NIPS 23, 1858 (2010).
"""

from __future__ import annotations

import numpy as np

STEPS = 500  # of conjugate gradients
EXACT = 1e-6  # what they leave of a vector
FAINT = 1e-12  # of the largest curvature of a row, added so that roots exist


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
        """Solve each row as if it were alone, and take of a coupling the mean of its two rows.

        Raises
        ------
        LinAlgError : a row whose matrix is not positive definite.
        """
        from scipy.linalg.lapack import dpotrs

        if self.roots is None:
            own, index = self.precision.copy(), self.problem.index
            dead, one = index < 0, np.arange(1 + self.problem.sites)
            own[:, one, one] += np.append(self.prior, 0.0)[index]
            own[dead] = 0.0
            np.swapaxes(own, 1, 2)[dead] = 0.0
            own[dead, np.nonzero(dead)[1]] = 1.0
            # In Fortran's order these are upper roots, for what LAPACK would otherwise copy.
            self.roots = np.linalg.cholesky(own)
        rows = self.rows(self.half * v)
        for k, root in enumerate(self.roots):
            rows[k] = dpotrs(root.T, rows[k])[0]
        return self.half * self.gathered(rows)

    def solve(self, b: np.ndarray, exact: float = EXACT) -> np.ndarray:
        """P⁻¹ b by conjugate gradients, side by side.

        Parameters
        ----------
        b : (dim, vector).
        exact : what may be left of each, as a share, in the norm of the preconditioner.

        Raises
        ------
        LinAlgError : P is not positive definite.
        """
        x, rest = np.zeros_like(b), b.copy()
        z = self.conditioned(rest)
        way, level = z, np.sum(rest * z, axis=0)
        enough = exact**2 * level
        for _ in range(STEPS):
            if not (level > enough).any():
                break
            along = self.product(way)
            bend = np.sum(way * along, axis=0)
            if not ((bend > 0) | (level == 0)).all():
                raise np.linalg.LinAlgError("no step along a direction of no curvature")
            length = level / np.where(level > 0, bend, 1.0)
            x, rest = x + length * way, rest - length * along
            z = self.conditioned(rest)
            before, level = level, np.sum(rest * z, axis=0)
            way = z + level / np.where(before > 0, before, 1.0) * way
        return x

    def noise(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw from N(0, P), (dim, count): P⁻¹ of it is a draw of the covariance P⁻¹."""
        size = self.precision.shape[1]
        faint = FAINT * (1.0 + np.abs(self.precision).max())
        root = np.linalg.cholesky(self.precision + faint * np.eye(size))
        z = rng.standard_normal((len(root), size, count))
        own = np.sqrt(self.prior) * rng.standard_normal((self.problem.dim, count))
        return self.gathered(np.matmul(root, z)) + own
