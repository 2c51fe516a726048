"""The coefficients given all scales: a normal, drawn and integrated out by one Cholesky factor.

With y = Xβ + ε, ε ~ N(0, σ²) and β ~ N(0, diag(v)), the marginal is y ~ N(0, K),
K = X diag(v) Xᵀ + σ² I. All that a Gibbs sampler needs follows from the factor of the smaller of

    dual,   observations < features:   M = I + X diag(v) Xᵀ / σ²           (n × n)
    primal, observations ≥ features:   M = I + diag(√v) XᵀX diag(√v) / σ²  (p × p)

whose smallest eigenvalue is one, so neither form divides by a variance that a shrinking prior sends
to zero. The dual draw is that of Bhattacharya, Chakraborty & Mallick, Biometrika 103, 985 (2016),
doi:10.1093/biomet/asw042.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from bayesinf.errors import FitError
from bayesinf.inference import factors

__all__ = ["LEAST", "Conditional", "Factors", "indefinite"]

LEAST = 1e-32  # rounding of the data, squared


def indefinite(sigma: float) -> FitError:
    """The error of a covariance that has lost its positive-definiteness, at this noise."""
    return FitError(
        "the covariance of the data has lost its positive-definiteness: features or scales span"
        " more than floating point holds; rescale X and y",
        sigma=float(sigma),
    )


def _solve(factor, b, trans=0):
    return scipy.linalg.solve_triangular(factor, b, lower=True, trans=trans, check_finite=False)


class Factors:
    """Features and data, with the products that every draw uses."""

    def __init__(self, X: np.ndarray, y: np.ndarray):
        self.X, self.y = np.ascontiguousarray(X), y
        self.dual = X.shape[0] < X.shape[1]
        if self.dual:
            # Fresh megabytes at every sweep cost page faults, which chains side by side queue for.
            self._scaled = np.empty_like(self.X)
        else:
            self.gram, self.correlation = X.T @ X, X.T @ y
            # |y - Xβ|² = |Qᵀy - Rβ|² + floor: no cancellation, and a cost that forgets n.
            Q, self.R = factors.qr(X)
            self.Qty = Q.T @ y
            rest = float(np.sum((y - Q @ self.Qty) ** 2))
            # Data are rounded: what is smaller than that is not known to be nothing.
            self.floor = max(rest, LEAST * float(y @ y)) if X.shape[0] > X.shape[1] else rest

    def residual_square(self, beta: np.ndarray) -> float:
        """|y - Xβ|²."""
        if self.dual:
            return float(np.sum((self.y - self.X @ beta) ** 2))
        return float(np.sum((self.Qty - self.R @ beta) ** 2)) + self.floor

    def kernel(self, variances: np.ndarray) -> np.ndarray:
        """Return X diag(v) Xᵀ in the dual form, diag(√v) XᵀX diag(√v) in the primal."""
        root = np.sqrt(variances)
        if self.dual:
            np.multiply(self.X, root, out=self._scaled)
            return self._scaled @ self._scaled.T
        return self.gram * root * root[:, np.newaxis]

    def condition(self, kernel: np.ndarray, variances: np.ndarray, sigma: float) -> Conditional:
        """Factorise at one noise level; ``kernel`` is that of these variances."""
        M = kernel / sigma**2
        M.flat[:: len(M) + 1] += 1.0
        try:
            factor = factors.cholesky(M)
        except np.linalg.LinAlgError as error:
            raise indefinite(sigma) from error
        return Conditional(self, factor, variances, sigma)


@dataclass(frozen=True)
class Conditional:
    """The normal of β given scales."""

    design: Factors
    factor: np.ndarray
    variances: np.ndarray
    sigma: float

    def log_marginal(self) -> float:
        """log N(y; 0, K), normalised."""
        design, sigma, n = self.design, self.sigma, len(self.design.y)
        if design.dual:
            z = _solve(self.factor, design.y / sigma)
            quadratic = z @ z
        else:
            # yᵀK⁻¹y is the penalised residual at the mode: a sum of squares, nothing to cancel.
            mode = self.mean()
            live = self.variances > 0
            quadratic = design.residual_square(mode) / sigma**2
            quadratic += np.sum(mode[live] ** 2 / self.variances[live])
        return (
            -0.5 * quadratic
            - np.sum(np.log(np.diag(self.factor)))
            - n * (np.log(sigma) + 0.5 * np.log(2 * np.pi))
        )

    def mean(self) -> np.ndarray:
        """E[β | y, scales], (feature,)."""
        return self._pull(self.design.y)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw β from N(mean, covariance), (feature,)."""
        design, sigma = self.design, self.sigma
        n, p = design.X.shape
        if design.dual:
            prior = np.sqrt(self.variances) * rng.standard_normal(p)
            noise = sigma * rng.standard_normal(n)
            return prior + self._pull(design.y - design.X @ prior - noise)
        white = _solve(self.factor, rng.standard_normal(p), trans=1)
        return self.mean() + np.sqrt(self.variances) * white

    def leave_one_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each y_i given the others and the scales, each (observation,).

        mean_i = y_i - [K⁻¹y]_i / [K⁻¹]_ii,    variance_i = 1 / [K⁻¹]_ii
        """
        design, sigma = self.design, self.sigma
        if design.dual:
            # The transpose is in LAPACK's order: no copy on the way in.
            half = scipy.linalg.lapack.dtrtri(self.factor.T, lower=0)[0]
            diagonal = np.einsum("ik,ik->i", half, half) / sigma**2
            weighted = _solve(self.factor, _solve(self.factor, design.y), trans=1) / sigma**2
        else:
            half = _solve(self.factor, (design.X * np.sqrt(self.variances)).T) / sigma
            diagonal = (1 - np.sum(half**2, axis=0)) / sigma**2
            weighted = (design.y - design.X @ self.mean()) / sigma**2
        return design.y - weighted / diagonal, 1 / diagonal

    def _pull(self, residual):
        """v Xᵀ K⁻¹ residual."""
        design, variances = self.design, self.variances
        if design.dual:
            weights = _solve(self.factor, _solve(self.factor, residual / self.sigma**2), trans=1)
            return variances * (design.X.T @ weights)
        root = np.sqrt(variances)
        correlation = design.correlation if residual is design.y else design.X.T @ residual
        inner = _solve(self.factor, root * correlation / self.sigma**2)
        return root * _solve(self.factor, inner, trans=1)
