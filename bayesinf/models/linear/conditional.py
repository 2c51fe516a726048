"""The coefficients given all scales: a normal, drawn and integrated out by one Cholesky factor.

With y = Xβ + ε, ε ~ N(0, σ²) and β ~ N(0, diag(v)), the marginal is y ~ N(0, K),
K = X diag(v) Xᵀ + σ² I. All that a Gibbs sampler needs follows from the factor of the smaller of

    dual,   observations < features:   M = I + X diag(v) Xᵀ / σ²           (n × n)
    primal, observations ≥ features:   M = I + diag(√v) XᵀX diag(√v) / σ²  (p × p)

whose smallest eigenvalue is one, so neither form divides by a variance that a shrinking prior sends
to zero. The dual draw is that of Bhattacharya, Chakraborty & Mallick, Biometrika 103, 985 (2016),
doi:10.1093/biomet/asw042.

A sampler may ask for the dual form in single precision, which takes half the time. Its factor is
then a preconditioner: weights K⁻¹r are mended until K times them, in double precision, is r, and
only log |K| is rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy

from bayesinf.errors import FitError
from bayesinf.inference import factors

__all__ = ["LEAST", "Conditional", "Factors", "indefinite", "solved"]

LEAST = 1e-32  # rounding of the data, squared

# What a factor in single precision may leave of the data, for each of their length: log |K| is then
# off by about as much.
FINE = 1e-3
# What is left of r by mending, in the length of the noise that r has; and turns at the most.
MENDED, TURNS = 1e-3, 10
# Noise up to which, and down to its inverse, squares are in the range of single precision.
HUGE = 1e12


def indefinite(sigma: float) -> FitError:
    """The error of a covariance that has lost its positive-definiteness, at this noise."""
    return FitError(
        "the covariance of the data has lost its positive-definiteness: features or scales span"
        " more than floating point holds; rescale X and y",
        sigma=float(sigma),
    )


def solved(factor: np.ndarray, b: np.ndarray, trans: bool = False) -> np.ndarray:
    """Solve L x = b, or Lᵀ x = b, for a lower factor L by rows.

    LAPACK is called by its name: what SciPy does around it takes longer, of a dozen coefficients.
    """
    single = factor.dtype == b.dtype == np.float32
    solve = scipy.linalg.lapack.strtrs if single else scipy.linalg.lapack.dtrtrs
    # To its eye, by columns, the factor is an upper one.
    found, fault = solve(factor.T, b, lower=0, trans=0 if trans else 1)
    if fault:
        raise np.linalg.LinAlgError("singular factor")
    return found[:, 0] if b.ndim < found.ndim else found


class Factors:
    """Features and data, with the products that every draw uses."""

    def __init__(self, X: np.ndarray, y: np.ndarray):
        self.X, self.y = np.ascontiguousarray(X), y
        self.dual = X.shape[0] < X.shape[1]
        if self.dual:
            # Fresh megabytes at every sweep cost page faults, which chains side by side queue for.
            self._scaled = np.empty_like(self.X)
            self._single = self.X.astype(np.float32)
            self._scaled_single = np.empty_like(self._single)
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

    def kernel(self, variances: np.ndarray, single: bool = False) -> np.ndarray:
        """Return X diag(v) Xᵀ in the dual form, diag(√v) XᵀX diag(√v) in the primal.

        Parameters
        ----------
        variances : v, (feature,).
        single : whether the dual form may be in single precision.
        """
        root = np.sqrt(variances)
        if self.dual:
            X, scaled = (self._single, self._scaled_single) if single else (self.X, self._scaled)
            np.multiply(X, root.astype(X.dtype, copy=False), out=scaled)
            return scaled @ scaled.T
        return self.gram * root * root[:, np.newaxis]

    def condition(self, kernel: np.ndarray, variances: np.ndarray, sigma: float) -> Conditional:
        """Factorise at one noise level; ``kernel`` is that of these variances.

        Where single precision will not do, double precision is taken in its place.
        """
        found = self._factorised(kernel, variances, sigma)
        if kernel.dtype != float and not (found and found.fine):
            found = self._factorised(self.kernel(variances), variances, sigma)
        if found is None:
            raise indefinite(sigma)
        return found

    def _factorised(self, kernel, variances, sigma):
        """The conditional, or None where rounding has left no positive-definite matrix."""
        if kernel.dtype != float and not 1 / HUGE < sigma < HUGE:
            return None
        with np.errstate(over="ignore"):
            M = kernel * kernel.dtype.type(sigma**-2)
        M.flat[:: len(M) + 1] += 1.0
        # LAPACK's own, which copies nothing: to its eye, by columns, the factor is an upper one.
        factorise = scipy.linalg.lapack.get_lapack_funcs("potrf", [M])
        factor, fault = factorise(M.T, lower=0, overwrite_a=1)
        return None if fault else Conditional(self, factor.T, variances, sigma)


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
            # Correct to second order in what is wrong with the weights.
            quadratic = self._of_data @ (design.y + self._left_of_data)
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
        white = solved(self.factor, rng.standard_normal(p), trans=True)
        return self.mean() + np.sqrt(self.variances) * white

    def leave_one_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each y_i given the others and the scales, each (observation,).

        mean_i = y_i - [K⁻¹y]_i / [K⁻¹]_ii,    variance_i = 1 / [K⁻¹]_ii
        """
        design, sigma = self.design, self.sigma
        if design.dual:
            # The transpose is in LAPACK's order: no copy on the way in.
            invert = scipy.linalg.lapack.get_lapack_funcs("trtri", [self.factor])
            half = invert(self.factor.T, lower=0)[0]
            diagonal = np.einsum("ik,ik->i", half, half) / sigma**2
            weighted = self._mended(design.y, self._of_data)
        else:
            half = solved(self.factor, (design.X * np.sqrt(self.variances)).T) / sigma
            diagonal = (1 - np.sum(half**2, axis=0)) / sigma**2
            weighted = (design.y - design.X @ self.mean()) / sigma**2
        return design.y - weighted / diagonal, 1 / diagonal

    def _pull(self, residual):
        """v Xᵀ K⁻¹ residual."""
        design, variances = self.design, self.variances
        if design.dual:
            weights = self._mended(residual, self._weights(residual))
            return variances * (design.X.T @ weights)
        root = np.sqrt(variances)
        correlation = design.correlation if residual is design.y else design.X.T @ residual
        inner = solved(self.factor, root * correlation / self.sigma**2)
        return root * solved(self.factor, inner, trans=True)

    # Of the dual form

    @cached_property
    def _of_data(self):
        """K⁻¹y, as precise as the factor is."""
        return self._weights(self.design.y)

    @cached_property
    def _left_of_data(self):
        """What these weights leave of y."""
        return self._left(self.design.y, self._of_data)

    @property
    def fine(self) -> bool:
        """Whether the factor is precise enough to tell a density by, and to be mended."""
        left, y = self._left_of_data, self.design.y
        return bool(left @ left <= FINE**2 * (y @ y))

    def _weights(self, residual):
        """K⁻¹ residual, as precise as the factor is."""
        right = (residual / self.sigma**2).astype(self.factor.dtype)
        found = solved(self.factor, solved(self.factor, right), trans=True)
        return found.astype(float, copy=False)

    def _left(self, residual, weights):
        """Return residual - K weights; nothing where the factor is precise."""
        if self.factor.dtype == float:
            return np.zeros_like(residual)
        X = self.design.X
        return residual - X @ (self.variances * (X.T @ weights)) - self.sigma**2 * weights

    def _mended(self, residual, weights):
        """Weights K⁻¹ residual made precise, by iterative refinement."""
        enough = (MENDED * self.sigma) ** 2 * len(residual)
        for _ in range(TURNS):
            left = self._left(residual, weights)
            if left @ left <= enough:
                break
            weights = weights + self._weights(left)
        return weights
