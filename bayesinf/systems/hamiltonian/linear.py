"""The problem around a point, where the data are linear: evidence and draws in closed form.

Given the hyperparameters all is normal. What the data enter by are sums over the rows of each
variable, formed once, so that another noise or another width of the prior costs one Cholesky root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy

from bayesinf.errors import FitError

if TYPE_CHECKING:
    from bayesinf.systems.hamiltonian.model import Motion

__all__ = ["Linear"]


@dataclass(frozen=True)
class Linear:
    """Data that are linear around a point, in sums over the rows of each variable.

    z = y − f(θ*) + X (θ* − μ) = X δ + ε,   δ = θ − μ ~ N(0, Λ⁻¹):   A = Σ XᵀX / σ² + Λ

    Counted from the prior mean μ, which weights of a narrow prior hardly leave.

    Parameters
    ----------
    problem : whose data they are.
    theta : the point, (parameter,).
    gram, cross, square, count : XᵀX, Xᵀz, zᵀz and rows of each variable.
    least : least squares of each variable, below which no residual can be.
    """

    problem: Motion
    theta: np.ndarray
    gram: np.ndarray
    cross: np.ndarray
    square: np.ndarray
    count: np.ndarray
    least: np.ndarray

    @classmethod
    def of(cls, problem: Motion, theta: np.ndarray) -> Linear:
        """Linearise a problem around a point."""
        mean, slope = problem.design(theta)
        X = [slope[name] for name in problem.measured]
        off = theta - problem.prior_mean
        z = [problem.rows[n] - mean[n] + x @ off for n, x in zip(problem.measured, X, strict=True)]
        if not all(np.isfinite(part).all() for part in (*z, *X)):
            raise FitError("the motion runs away from its initial states: nothing can be fitted")
        return cls(
            problem,
            theta,
            np.stack([x.T @ x for x in X]),
            np.stack([x.T @ r for x, r in zip(X, z, strict=True)]),
            np.array([r @ r for r in z]),
            np.array([len(r) for r in z]),
            np.array([_least_squares(x, r) for x, r in zip(X, z, strict=True)]),
        )

    def _solved(self, points):
        """Root of A, its solution for b, prior sds and −2 log likelihood, point by point.

        In units of the prior's sd A has ones on its diagonal at least. A root that is not there,
        where nothing is that far out, is None.
        """
        hyper = self.problem.values(points)
        sds = self.problem.prior_sd(hyper)
        noise = np.stack([hyper[f"noise[{n}]"] for n in self.problem.measured], axis=-1)
        precisions = noise**-2.0
        crosses, squares = precisions @ self.cross, precisions @ self.square
        # Noise far below any residual leaves differences of large numbers, which are bounded here.
        bounds = precisions @ self.least
        constants = (2 * np.log(noise) + np.log(2 * np.pi)) @ self.count
        size, grams = len(self.theta), self.gram.reshape(len(self.gram), -1)
        for k, sd in enumerate(sds):
            A = (precisions[k] @ grams).reshape(size, size)
            A *= sd
            A *= sd[:, np.newaxis]
            A.flat[:: size + 1] += 1.0
            if not np.isfinite(A[0, 0]):
                yield None, None, sd, np.inf
                continue
            root, fault = scipy.linalg.lapack.dpotrf(A.T, lower=1, overwrite_a=1)
            if fault:
                yield None, None, sd, np.inf
                continue
            half, _ = scipy.linalg.lapack.dtrtrs(root, sd * crosses[k], lower=1)
            square = max(squares[k] - half @ half, bounds[k])
            yield root, half, sd, square + 2 * np.sum(np.log(np.diag(root))) + constants[k]

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Log of marginal likelihood times prior at standardised points, (point, hyper)."""
        with np.errstate(all="ignore"):
            found = -0.5 * np.array([deviance for *_, deviance in self._solved(points)])
        prior = -0.5 * np.sum(points**2, axis=1) - 0.5 * points.shape[1] * np.log(2 * np.pi)
        return np.where(np.isfinite(found), found + prior, -np.inf)

    def optimum(self, u: np.ndarray) -> np.ndarray:
        """Most probable parameters at one standardised point, (parameter,)."""
        root, half, sd, _ = next(self._solved(u[np.newaxis]))
        delta = scipy.linalg.solve_triangular(root, half, lower=True, trans="T", check_finite=False)
        return self.problem.prior_mean + sd * delta

    def sd(self, u: np.ndarray) -> np.ndarray:
        """Posterior sd of each parameter at one standardised point."""
        root, _, sd, _ = next(self._solved(u[np.newaxis]))
        inverse = scipy.linalg.cho_solve((root, True), np.eye(len(root)), check_finite=False)
        return sd * np.sqrt(np.diag(inverse))

    def sd_along(self, u: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Posterior sd of sums of the first parameters, rows (sum, parameter), at one point."""
        root, _, sd, _ = next(self._solved(u[np.newaxis]))
        wide = np.zeros((len(rows), len(sd)))
        wide[:, : rows.shape[1]] = rows * sd[: rows.shape[1]]
        half = scipy.linalg.solve_triangular(root, wide.T, lower=True, check_finite=False)
        return np.sqrt(np.sum(half**2, axis=0))

    def draw(self, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw parameters at standardised points, (point, hyper) -> (point, parameter)."""
        return self.placed(points, rng.standard_normal((len(points), len(self.theta))))

    def placed(self, points: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Parameters of standard normal z at standardised points, (point, parameter) each."""
        found = np.empty_like(z)
        for k, (root, half, sd, _) in enumerate(self._solved(points)):
            turned = scipy.linalg.solve_triangular(
                root, half + z[k], lower=True, trans="T", check_finite=False
            )
            found[k] = self.problem.prior_mean + sd * turned
        return found

    def log_likelihood(self, points: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """Log likelihood of the linear model at hyperparameters and parameters, (point,)."""
        hyper, delta = self.problem.values(points), theta - self.problem.prior_mean
        found = np.zeros(len(points))
        for k, name in enumerate(self.problem.measured):
            sigma = hyper[f"noise[{name}]"]
            square = self.square[k] - 2 * delta @ self.cross[k]
            square = square + np.sum((delta @ self.gram[k]) * delta, axis=1)
            found -= 0.5 * square / sigma**2 + self.count[k] * np.log(sigma)
        return found - 0.5 * self.count.sum() * np.log(2 * np.pi)


def _least_squares(X, z):
    """Sum of squares that no linear fit of z by X goes below."""
    root, _ = scipy.linalg.qr(X, mode="economic", check_finite=False)
    return max(0.0, float(z @ z - np.sum((root.T @ z) ** 2)))
