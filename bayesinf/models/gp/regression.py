"""One Gaussian process on one data set: what is inferred, its density, and what follows at given θ.

    y_i = m(x_i) + f(x_i) + ε_i,   f ~ GP(0, k),   ε_i ~ N(0, error_i² + noise²)

so that y ~ N(m, K), K = k(x, x) + diag(error² + noise²). Parameters live in two coordinates: θ,
what they are called and measured in, and u, in which each prior is N(0, 1); samplers walk in u.
Densities are evaluated for many θ at once. With L Lᵀ = K all comes from L: the row L⁻¹(y − m) is
found by bordering K with y − m, as one more row of the same factorisation. Where K is singular to
working precision, jitter is added to its diagonal, raised tenfold until the factorisation holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bayesinf import parallel
from bayesinf.errors import DataError, FitError
from bayesinf.models.gp.kernels import Kernel, kernel
from bayesinf.models.gp.means import Mean, mean
from bayesinf.priors import InverseChi, LogNormal, Prior, Uniform

NOISE = "noise"
JITTER = 10.0 ** np.arange(-14, -5)  # relative to the mean of the diagonal
BORDER = 1e300  # corner of the bordered matrix: above any square of the row beside it
CHUNK = 2**21  # numbers in the matrices that are factorised together
LARGE = 150  # observations from which chunks are worth a thread of their own


class Regression:
    """A Gaussian process and the data that it is conditioned on; arguments as for ``gp.fit``."""

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        kernel_: str | Kernel = "squared_exponential",
        mean_: str | Callable | Mean = "zero",
        error: np.ndarray | None = None,
        *,
        noise: Prior | float | None = None,
        priors: Mapping[str, Prior] | None = None,
        workers: int | None = None,
    ):
        from bayesinf.data import curve_from_arrays

        if error is not None and np.ndim(error) == 0:
            error = np.full(np.shape(y), float(error))
        found = curve_from_arrays(x, y, error)
        self.data = found.rename({found.attrs["x"]: "x", found.attrs["y"]: "y"})
        self.x, self.y = (self.data[name].values.astype(float) for name in ("x", "y"))
        if np.ptp(self.y) == 0:
            raise DataError("y does not vary", expected="a curve", found=f"{self.y[0]} throughout")
        known = self.data["error"].values.astype(float) if "error" in self.data else 0 * self.y
        self.variance = known**2  # what is known of the noise, (point,)
        self.distances = self.x[:, None] - self.x
        self.kernel, self.mean, self.workers = kernel(kernel_), mean(mean_), workers
        self.priors, self.fixed = self._parameters(noise, dict(priors or {}))

    def _parameters(self, noise, given):
        """Priors of what is inferred and values of what is fixed, both by name."""
        asked = self.kernel.parameters() | {NOISE: noise} | self.mean.parameters()
        doubled = set(self.kernel.parameters()) & set(self.mean.parameters())
        if doubled or NOISE in self.mean.parameters():
            raise FitError(f"the mean may not call a parameter {', '.join(doubled) or NOISE}: the "
                           "kernel and the noise have those names")  # fmt: skip
        unknown = set(given) - set(asked)
        if unknown:
            raise FitError(f"no parameter {', '.join(sorted(unknown))}: a prior can be given for "
                           f"{', '.join(asked)}")  # fmt: skip
        asked |= given
        defaults = self._defaults()
        filled = {name: defaults[name] if v is None else v for name, v in asked.items()}
        fixed = {name: float(v) for name, v in filled.items() if not isinstance(v, Prior)}
        for name, value in fixed.items():
            positive = name in self.kernel.parameters() and not value > 0
            if not np.isfinite(value) or positive or (name == NOISE and value < 0):
                raise FitError(f"{name} cannot be fixed at {value}")
        return {name: v for name, v in filled.items() if name not in fixed}, fixed

    def _defaults(self) -> dict[str, Prior]:
        """State the priors: wide, around the extent of the data.

        Length scales around a fifth of the range of x, periods a third, amplitudes around the sd of
        y, pure numbers around 1, all log-normal; the noise inverse-χ with one degree of freedom and
        a hundredth of the sd of y; the wall of a repulsive mean as steep as the range of y over a
        tenth of the range of x, beginning in the lower half of x.
        """
        width, spread, extent = np.ptp(self.x), np.std(self.y), np.ptp(self.y)
        of = {
            "x": LogNormal(width / 5, 1.0),
            "y": LogNormal(spread, 1.5),
            "1": LogNormal(1.0, 1.0),
        }
        found = {name: of[kind] for name, kind in self.kernel.measured().items()}
        found |= {n: LogNormal(width / 3, 1.0) for n in found if n.startswith("period")}
        return found | {
            NOISE: InverseChi(1.0, 0.01 * spread),
            "gamma": LogNormal(10 * extent / width, 1.5),
            "r0": Uniform(self.x[0], self.x[0] + width / 2),
        }

    @property
    def names(self) -> list[str]:
        """Parameters that are inferred."""
        return list(self.priors)

    # Coordinates

    def theta(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Parameters by name, fixed ones included, from standardised ones: (..., parameter)."""
        with np.errstate(all="ignore"):
            free = {name: prior.from_normal(u[..., i])
                    for i, (name, prior) in enumerate(self.priors.items())}  # fmt: skip
        return free | {name: np.full(u.shape[:-1], value) for name, value in self.fixed.items()}

    def log_priors(self, theta: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Log density of each prior."""
        return {name: prior.log_density(theta[name]) for name, prior in self.priors.items()}

    # Densities, for many θ at once

    def covariance(self, theta: Mapping[str, np.ndarray]) -> np.ndarray:
        """Covariance of the data, (..., point, point)."""
        matrix = self.kernel.value(self.distances, theta)
        noise = np.asarray(theta[NOISE], dtype=float)[..., None] ** 2 + self.variance
        matrix = np.broadcast_to(matrix, (*noise.shape, noise.shape[-1])).copy()
        _diagonal(matrix)[...] += noise
        return matrix

    def factors(self, theta: Mapping[str, np.ndarray]):
        """Cholesky factor L, (..., point, point), z = L⁻¹(y − m), and the relative jitter."""
        matrix, size = self.covariance(theta), len(self.x)
        bordered = np.empty((*matrix.shape[:-2], size + 1, size + 1))
        bordered[..., :size, :size] = matrix
        bordered[..., size, :size] = self.y - self.mean.value(self.x, theta)
        bordered[..., size, size] = BORDER
        lower, jitter = cholesky(bordered, size)
        return lower[..., :size, :size], lower[..., size, :size], jitter

    def log_marginal(self, theta: Mapping[str, np.ndarray]) -> np.ndarray:
        """log N(y; m, K), for parameters of shape (...); -inf where that is no number."""
        shape = np.broadcast_shapes(*(np.shape(value) for value in theta.values()))
        flat = {name: np.broadcast_to(value, shape).ravel() for name, value in theta.items()}
        return self.in_chunks(self._log_marginal, flat, np.prod(shape, dtype=int)).reshape(shape)

    def _log_marginal(self, theta):
        with np.errstate(all="ignore"):
            lower, z, _ = self.factors(theta)
            found = np.sum(log_conditional(lower, z), axis=-1)
        return np.where(np.isfinite(found), found, -np.inf)

    def in_chunks(self, function, theta, count):
        """Apply a function to the points of θ, a memory's worth at a time, in threads if large."""
        step = max(1, CHUNK // len(self.x) ** 2)
        parts = [{name: value[i : i + step] for name, value in theta.items()}
                 for i in range(0, count, step)]  # fmt: skip
        if len(self.x) >= LARGE and len(parts) > 1:
            found = parallel.map(
                function, parts, workers=self.workers, threads=True, label="Covariances"
            )
            return np.concatenate(found)
        return np.concatenate([function(part) for part in parts])

    def log_density(self, u: np.ndarray) -> np.ndarray:
        """Log of marginal likelihood times prior in standardised coordinates, normalised."""
        prior = -0.5 * np.sum(u**2 + np.log(2 * np.pi), axis=-1)
        return self.log_marginal(self.theta(u)) + prior

    def gradient(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density and its gradient at one point, (parameter,).

        ∂ log N(y; m, K)/∂θ = ½ tr((αᵀα − K⁻¹) ∂K/∂θ) + αᵀ ∂m/∂θ,   α = K⁻¹(y − m)
        """
        from scipy.linalg import cho_solve
        from scipy.linalg.lapack import dpotri

        theta = self.theta(u)
        nowhere = -np.inf, np.zeros(len(u))
        with np.errstate(all="ignore"):  # what comes of numbers beyond all bounds is sorted out
            lower, z, _ = self.factors(theta)
            value = np.sum(log_conditional(lower, z)) - 0.5 * np.sum(u**2 + np.log(2 * np.pi))
            if not np.isfinite(value):
                return nowhere
            precision, _ = dpotri(lower, lower=1)  # its lower triangle
            precision = np.tril(precision) + np.tril(precision, -1).T
            alpha = cho_solve((lower, True), self.y - self.mean.value(self.x, theta))
            outer = np.multiply.outer(alpha, alpha) - precision
            slopes = {
                name: 0.5 * np.sum(outer * slope) / theta[name]
                for name, slope in self.kernel.slopes(self.distances, theta).items()
            }
            slopes[NOISE] = np.trace(outer) * theta[NOISE]
            slopes |= {n: alpha @ slope for n, slope in self.mean.slopes(self.x, theta).items()}
            # du is to dθ as the prior's density is to that of N(0, 1).
            rate = [
                np.exp(-0.5 * u[i] ** 2 - 0.5 * np.log(2 * np.pi) - prior.log_density(theta[name]))
                for i, (name, prior) in enumerate(self.priors.items())
            ]
            gradient = np.array([slopes[name] for name in self.names]) * rate - u
        return (float(value), gradient) if np.isfinite(gradient).all() else nowhere

    # What follows from the data at given θ

    def left_out(self, theta: Mapping[str, np.ndarray], rng: np.random.Generator) -> LeftOut:
        """Predict each observation from all the others, for parameters of shape (draw,).

            y_i − μ_{−i} = α_i / q_i,   s²_{−i} = 1 / q_i,   q = diag K⁻¹,   α = K⁻¹(y − m)

        Rasmussen & Williams, equations 5.10 to 5.12. With W = L⁻¹ it is α = Wᵀz, q_i = Σ_k W²_ki;
        and residuals of data that the model itself would bring about, Wᵀε with ε ~ N(0, 1).
        """
        from scipy.linalg.lapack import dtrtri

        count, size = len(theta[NOISE]), len(self.x)
        noise = rng.standard_normal((count, size))

        def solve(part):
            lower, z, jitter = self.factors({k: v for k, v in part.items() if k != "replica"})
            rows = []
            for factor, row, replica in zip(lower, z, part["replica"], strict=True):
                inverse, _ = dtrtri(factor, lower=1)
                q = np.sum(inverse**2, axis=0)
                rows.append(np.stack([row @ inverse, replica @ inverse, q]))
            conditional = log_conditional(lower, z)
            edge = np.zeros_like(conditional)
            edge[:, 0] = jitter
            return np.concatenate([rows, conditional[:, None], edge[:, None]], axis=1)

        parts = self.in_chunks(solve, dict(theta) | {"replica": noise}, count)
        alpha, replica, q, conditional, edge = np.moveaxis(parts, 1, 0)
        variance = theta[NOISE][:, None] ** 2 + self.variance
        # The mean and the variance of f_i + a new ε_i, given all of the data.
        smooth = np.maximum(variance - variance**2 * q, 0)
        return LeftOut(
            residual=alpha / np.sqrt(q),
            replica=replica / np.sqrt(q),
            log_density=-0.5 * alpha**2 / q + 0.5 * np.log(q) - 0.5 * np.log(2 * np.pi),
            log_conditional=conditional,
            mean=self.y - variance * alpha,
            sd=np.sqrt(smooth + variance),
            jitter=edge[:, 0],
        )

    def conditional(self, theta: Mapping[str, np.ndarray], x: np.ndarray, slope: bool = False):
        """Condition the curve f at x, and its slope where asked, on the data at θ of shape (draw,).

        Returns
        -------
        mean (draw, point), and the lower root of the covariance, (draw, point, point); the slopes
        come after the values.
        """
        size, more = len(self.x), len(x) * (2 if slope else 1)
        away, among = x[:, None] - self.x, x[:, None] - x
        matrix = np.zeros((len(theta[NOISE]), size + more + 1, size + more + 1))
        matrix[:, :size, :size] = self.covariance(theta)
        new = slice(size, size + len(x))
        mean = self.mean.value(x, theta)
        scale = np.ones((len(matrix), more))
        if slope:
            late = slice(size + len(x), -1)
            k, k1, _ = self.kernel.derivatives(away, theta)
            matrix[:, late, :size] = k1
            own, own1, own2 = self.kernel.derivatives(among, theta)
            matrix[:, late, new], matrix[:, late, late] = own1, -own2
            mean = np.concatenate([mean, self.mean.slope(x, theta)], axis=-1)
        else:
            k, own = self.kernel.value(away, theta), self.kernel.value(among, theta)
        matrix[:, new, :size], matrix[:, new, new] = k, own
        # All new rows on one scale, so that jitter means the same to values and slopes.
        diagonal = _diagonal(matrix)
        scale = np.sqrt(diagonal[:, size:-1] / diagonal[:, size : size + 1])
        matrix[:, size:-1, :] /= scale[..., None]
        matrix[:, :, size:-1] /= scale[:, None, :]
        matrix[:, -1, :size] = self.y - self.mean.value(self.x, theta)
        matrix[:, -1, size:-1], matrix[:, -1, -1] = 0.0, BORDER
        lower, jitter = cholesky(matrix, size + more)
        across = lower[:, size:-1, :size]
        mean = mean + scale * np.einsum("nij,nj->ni", across, lower[:, -1, :size])
        return mean, scale[..., None] * lower[:, size:-1, size:-1], jitter


@dataclass(frozen=True)
class LeftOut:
    """Each observation against the others, all (draw, point).

    Parameters
    ----------
    residual, replica : standardised leave-one-out residuals of y, and of replicas of it.
    log_density : log p(y_i | y_{−i}, θ).
    log_conditional : log p(y_i | y_1, ..., y_{i−1}, θ), whose sum is the marginal likelihood.
    mean, sd : of a new observation at x_i, given all of the data.
    jitter : (draw,), relative, that the covariance took.
    """

    residual: np.ndarray
    replica: np.ndarray
    log_density: np.ndarray
    log_conditional: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    jitter: np.ndarray


def log_conditional(lower: np.ndarray, z: np.ndarray) -> np.ndarray:
    """log p(y_i | y_1, ..., y_{i−1}) of each point, whose sum is the log marginal likelihood."""
    return -0.5 * z**2 - np.log(_diagonal(lower)) - 0.5 * np.log(2 * np.pi)


def cholesky(matrix: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Factorise symmetric matrices, with as much jitter as that takes.

    Parameters
    ----------
    matrix : (..., n, n); it is overwritten.
    size : rows, from the first, whose diagonal may be raised.

    Returns
    -------
    lower factors, (..., n, n), NaN where even the largest jitter did not do; and the jitter, (...),
    relative to the mean of those rows' diagonal.
    """
    jitter = np.zeros(matrix.shape[:-2])
    try:
        lower = np.linalg.cholesky(matrix)
        poor = _at_rounding(lower, matrix)
    except np.linalg.LinAlgError:
        lower, poor = np.full_like(matrix, np.nan), np.ones(jitter.shape, dtype=bool)
    for index in map(tuple, np.argwhere(poor)):
        diagonal = _diagonal(matrix[index])[:size]
        bare = diagonal.copy()
        for relative in (0.0, *JITTER):
            diagonal[...] = bare + relative * bare.mean()
            try:
                found = np.linalg.cholesky(matrix[index])
            except np.linalg.LinAlgError:
                continue
            if not _at_rounding(found, matrix[index]):
                lower[index], jitter[index] = found, relative
                break
        else:
            lower[index] = np.nan
    return lower, jitter


def _at_rounding(lower, matrix):
    """Whether a pivot is what rounding left of the diagonal, and says nothing."""
    noise = 2 * np.sqrt(matrix.shape[-1]) * np.finfo(float).eps
    return np.any(_diagonal(lower) ** 2 < noise * _diagonal(matrix), axis=-1)


def _diagonal(matrix):
    """The diagonals as a view that can be written to, (..., n)."""
    return np.einsum("...ii->...i", matrix)
