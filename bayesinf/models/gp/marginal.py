"""The numbers of a process: densities, leave-one-out predictions and curves, for many θ at once.

    y ~ N(m(θ), K(θ)),   K = covariance of the curve at the data + diag(error² + noise²)

A family says its prior mean and its covariance; all else follows from the Cholesky factor of K, of
which every draw of θ takes one, at a cost of O(n³) for n data. Parameters live in two coordinates:
θ, what they are called and measured in, and u, in which each prior is N(0, 1); samplers walk in u.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bayesinf import parallel
from bayesinf.inference import factors
from bayesinf.models.gp.cholesky import BORDER, cholesky, log_conditional
from bayesinf.models.gp.kernels import Kernel, Sum
from bayesinf.models.problem import Draws, Problem
from bayesinf.priors import Prior

__all__ = ["LeftOut", "Marginal", "Theta"]

Theta = Mapping[str, np.ndarray]

CHUNK = 2**17  # numbers in the matrices that are factorised together: what a cache holds
LARGE = 150  # observations from which threads are worth their while,
TOGETHER = 16  # so many chunks to each


@dataclass(frozen=True)
class LeftOut:
    """Each observation against the others, all (draw, point).

    Parameters
    ----------
    residual, replica : standardised leave-one-out residuals of y, and of replicas of it.
    expected, replica_expected : what the others say of each, of y and of the replicas.
    log_density : log p(y_i | y_{−i}, θ).
    log_conditional : log p(y_i | y_1, ..., y_{i−1}, θ), whose sum is the marginal likelihood.
    mean, sd : of a new observation at x_i, given all of the data.
    jitter : (draw,), relative, that the covariance took.
    """

    residual: np.ndarray
    replica: np.ndarray
    expected: np.ndarray
    replica_expected: np.ndarray
    log_density: np.ndarray
    log_conditional: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    jitter: np.ndarray


class Marginal(Problem):
    """Data that are normal given θ, the curve behind them integrated out.

    Attributes
    ----------
    y : data, (point,).
    error : sd of what is known of their noise, (point,), or None.
    inferred, fixed : name of a parameter to its prior, or to its value.
    workers : threads for large matrices.
    shapes : name to the shape of a parameter that is no single number.
    kernel : covariance of the curve.
    exact : whether all of the noise stands for rounding, which the data do not have.
    """

    kernel: Kernel
    y: np.ndarray
    error: np.ndarray | None
    inferred: Mapping[str, Prior]
    fixed: Mapping[str, float]
    workers: int | None
    shapes: Mapping[str, tuple[int, ...]] = {}
    exact: bool = False

    # What a family says

    @abstractmethod
    def expected(self, theta: Theta) -> np.ndarray:
        """Prior mean of the data, (..., point) or (point,)."""

    @abstractmethod
    def covariance(self, theta: Theta) -> np.ndarray:
        """Covariance of the data, (..., point, point)."""

    @abstractmethod
    def noise_variance(self, theta: Theta) -> np.ndarray:
        """Variance of the noise of each datum, (..., point)."""

    @abstractmethod
    def pull(self, theta: Theta, outer: np.ndarray, alpha: np.ndarray) -> Mapping[str, np.ndarray]:
        """½ Σ_ij outer_ij ∂K_ij/∂θ + Σ_i alpha_i ∂m_i/∂θ for each parameter θ, at one point."""

    @abstractmethod
    def joint(self, theta: Theta, x: np.ndarray, slope: bool) -> tuple[np.ndarray, ...]:
        """Prior of the curve at new x, its slopes after its values where asked.

        Returns
        -------
        mean, (draw, new) or (new,); covariance with the data, (draw, new, point); covariance among
        themselves, (draw, new, new).
        """

    @abstractmethod
    def level(self, theta: Theta, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Prior of the curve at new x, point by point.

        Returns
        -------
        mean, (draw, new) or (new,); covariance with the data, (draw, new, point); variance,
        (draw, new), or (draw, 1) where it is the same everywhere.
        """

    @cached_property
    def _below(self) -> np.ndarray:
        """Where a covariance of the data has its lower triangle, (point, point)."""
        return np.tri(len(self.y), dtype=bool)

    # Coordinates

    @property
    def columns(self) -> list[tuple[str, int | None, Prior]]:
        """What each standardised parameter is: a name, its place in a vector, and its prior."""
        return [(name, None, prior) for name, prior in self.inferred.items()]

    @property
    def names(self) -> list[str]:
        """What the standardised parameters are called."""
        return list(self.inferred)

    @cached_property
    def widths(self) -> dict[str, float]:
        """Half of what the middle two thirds of each single parameter's prior span."""
        return {
            name: float(prior.from_normal(1.0) - prior.from_normal(-1.0)) / 2
            for name, prior in self.inferred.items()
            if name not in self.shapes
        }

    @cached_property
    def variance(self) -> np.ndarray:
        """What is known of the noise, (point,)."""
        return np.zeros_like(self.y) if self.error is None else self.error**2

    def theta(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Parameters by name, fixed ones included, from standardised ones: (..., parameter)."""
        found, place = {}, 0
        with np.errstate(all="ignore"):
            for name, prior in self.inferred.items():
                if own := self.shapes.get(name):
                    found[name] = prior.from_normal(u[..., place : place + own[0]])
                    place += own[0]
                else:
                    found[name] = prior.from_normal(u[..., place])
                    place += 1
        return self.complete(found, u.shape[:-1])

    def lead(self, draws: Draws) -> tuple[int, ...]:
        """Shape of the draws of a single number."""
        return np.broadcast_shapes(
            *(np.shape(v)[: np.ndim(v) - len(self.shapes.get(n, ()))] for n, v in draws.items())
        )

    def complete(self, draws: Draws, shape: tuple[int, ...] | None = None) -> dict[str, np.ndarray]:
        """Add the fixed parameters to draws of the others."""
        shape = self.lead(draws) if shape is None else shape
        return dict(draws) | {
            name: np.full(shape + self.shapes.get(name, ()), value)
            for name, value in self.fixed.items()
        }

    def flat(self, theta: Theta, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        """Parameters of a shape as (draw,), vectors as (draw, place)."""
        own = {name: self.shapes.get(name, ()) for name in theta}
        return {
            name: np.broadcast_to(value, shape + own[name]).reshape(-1, *own[name])
            for name, value in theta.items()
        }

    # Densities

    def factors(self, theta: Theta) -> tuple[np.ndarray, ...]:
        """Cholesky factor L, (..., point, point), z = L⁻¹(y − m), and the relative jitter."""
        matrix, size = self.covariance(theta), len(self.y)
        residual = self.y - self.expected(theta)
        bordered = np.empty((*matrix.shape[:-2], size + 1, size + 1))
        bordered[..., :size, :size] = matrix
        bordered[..., size, :size] = residual
        bordered[..., size, size] = BORDER
        lower, jitter = cholesky(bordered, size)
        return lower[..., :size, :size], lower[..., size, :size], jitter

    def log_marginal(self, theta: Theta) -> np.ndarray:
        """log N(y; m, K), for parameters of shape (...); -inf where that is no number."""
        shape = self.lead(theta)
        count = np.prod(shape, dtype=int)
        return self.in_chunks(self._log_marginal, self.flat(theta, shape), count).reshape(shape)

    def _log_marginal(self, theta):
        with np.errstate(all="ignore"):
            lower, z, _ = self.factors(theta)
            found = np.sum(log_conditional(lower, z), axis=-1)
        return np.where(np.isfinite(found), found, -np.inf)

    def in_chunks(self, function: Callable, theta: Theta, count: int) -> np.ndarray:
        """Apply a function to the points of θ, a memory's worth at a time, in threads if large."""
        step = max(1, CHUNK // len(self.y) ** 2)
        parts = [
            {name: value[i : i + step] for name, value in theta.items()}
            for i in range(0, count, step)
        ]
        if len(self.y) < LARGE or len(parts) <= TOGETHER:
            return np.concatenate([function(part) for part in parts])

        def in_turn(some):
            return np.concatenate([function(part) for part in some])

        groups = [parts[i : i + TOGETHER] for i in range(0, len(parts), TOGETHER)]
        return np.concatenate(
            parallel.map(in_turn, groups, workers=self.workers, threads=True, label="Covariances")
        )

    def by_draw(self, function: Callable, draws: Draws, **more: np.ndarray) -> np.ndarray:
        """Apply a function of flat parameters to draws of any shape: (..., point)."""
        shape = self.lead(draws)
        theta = self.flat(self.complete(draws), shape)
        beside = {name: value.reshape(-1, value.shape[-1]) for name, value in more.items()}
        found = self.in_chunks(function, theta | beside, np.prod(shape, dtype=int))
        return found.reshape(*shape, -1)

    def log_density(self, u: np.ndarray) -> np.ndarray:
        """Log of marginal likelihood times prior in standardised coordinates, normalised."""
        prior = -0.5 * np.sum(u**2 + np.log(2 * np.pi), axis=-1)
        return self.log_marginal(self.theta(u)) + prior

    def gradient(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density and its gradient at one point, (parameter,).

        ∂ log N(y; m, K)/∂θ = ½ tr((αᵀα − K⁻¹) ∂K/∂θ) + αᵀ ∂m/∂θ,   α = K⁻¹(y − m)
        """
        from scipy.linalg.lapack import dpotri, dtrtrs

        theta = self.theta(u)
        nowhere = -np.inf, np.zeros(len(u))
        with np.errstate(all="ignore"):  # what comes of numbers beyond all bounds is sorted out
            lower, z, _ = self.factors(theta)
            value = np.sum(log_conditional(lower, z)) - 0.5 * np.sum(u**2 + np.log(2 * np.pi))
            if not np.isfinite(value):
                return nowhere
            precision, _ = dpotri(lower, lower=1)  # its lower triangle
            precision = np.where(self._below, precision, precision.T)
            alpha, _ = dtrtrs(lower, z, lower=1, trans=1)
            slopes = self.pull(theta, np.multiply.outer(alpha, alpha) - precision, alpha)
            # du is to dθ as the prior's density is to that of N(0, 1).
            at = [theta[name] if k is None else theta[name][k] for name, k, _ in self.columns]
            rate = [
                np.exp(-0.5 * u[i] ** 2 - 0.5 * np.log(2 * np.pi) - prior.log_density(at[i]))
                for i, (_, _, prior) in enumerate(self.columns)
            ]
            along = [slopes[name] if k is None else slopes[name][k] for name, k, _ in self.columns]
            gradient = np.array(along) * rate - u
        return (float(value), gradient) if np.isfinite(gradient).all() else nowhere

    # What follows from the data at given θ

    def left_out(self, theta: Theta, rng: np.random.Generator) -> LeftOut:
        """Predict each observation from all the others, for parameters of shape (draw,).

            y_i − μ_{−i} = α_i / q_i,   s²_{−i} = 1 / q_i,   q = diag K⁻¹,   α = K⁻¹(y − m)

        Rasmussen & Williams, equations 5.10 to 5.12. With W = L⁻¹ it is α = Wᵀz, q_i = Σ_k W²_ki;
        and residuals of data that the model itself would bring about, Wᵀε with ε ~ N(0, 1).
        Exact data are rounded first as the model takes them to be, lest they look too smooth for
        it: of a smooth kernel most directions in which they could scatter have rounding alone.
        """
        from scipy.linalg.lapack import dtrtri

        (count,), size = self.lead(theta), len(self.y)
        noise = rng.standard_normal((count, size))
        rounding = np.zeros((count, size))
        if self.exact:
            rounding = np.sqrt(self.noise_variance(theta)) * rng.standard_normal((count, size))

        def solve(part):
            part = dict(part)
            drawing = part.pop("replica"), part.pop("rounding")
            lower, z, jitter = self.factors(part)
            rows = []
            for factor, row, replica, rounded in zip(lower, z, *drawing, strict=True):
                inverse, _ = dtrtri(factor, lower=1)
                q = np.sum(inverse**2, axis=0)
                alpha, drawn = row @ inverse, factor @ replica
                seen = alpha + (inverse @ rounded) @ inverse if self.exact else alpha
                rows.append(np.stack([seen, alpha, replica @ inverse, drawn, q]))
            conditional = log_conditional(lower, z)
            edge = np.zeros_like(conditional)
            edge[:, 0] = jitter
            return np.concatenate([rows, conditional[:, None], edge[:, None]], axis=1)

        beside = {"replica": noise, "rounding": rounding}
        parts = self.in_chunks(solve, dict(theta) | beside, count)
        *found, edge = np.moveaxis(parts, 1, 0)
        return self.judged(theta, *found, edge[:, 0])

    def judged(self, theta: Theta, seen, alpha, replica, drawn, q, conditional, jitter) -> LeftOut:
        """Leave-one-out from α = K⁻¹(y − m), that of data ``seen`` with their rounding, that of a
        replica, itself ``drawn`` about m, and q = diag K⁻¹, (draw, point).
        """
        variance = self.noise_variance(theta)
        # The mean and the variance of f_i + a new ε_i, given all of the data.
        smooth = np.maximum(variance - variance**2 * q, 0)
        return LeftOut(
            residual=seen / np.sqrt(q),
            replica=replica / np.sqrt(q),
            expected=self.y - alpha / q,
            replica_expected=self.expected(theta) + drawn - replica / q,
            log_density=-0.5 * alpha**2 / q + 0.5 * np.log(q) - 0.5 * np.log(2 * np.pi),
            log_conditional=conditional,
            mean=self.y - variance * alpha,
            sd=np.sqrt(smooth + variance),
            jitter=jitter,
        )

    def conditional(self, theta: Theta, x: np.ndarray, slope: bool = False):
        """Condition the curve f at x, and its slope where asked, on the data at θ of shape (draw,).

        Returns
        -------
        mean (draw, point), and the lower root of the covariance, (draw, point, point); the slopes
        come after the values.
        """
        mean, across, among = self.joint(theta, x, slope)
        (count,), size, more = self.lead(theta), len(self.y), among.shape[-1]
        matrix = np.zeros((count, size + more + 1, size + more + 1))
        matrix[:, :size, :size] = self.covariance(theta)
        matrix[:, size:-1, :size], matrix[:, size:-1, size:-1] = across, among
        matrix[:, -1, :size], matrix[:, -1, -1] = self.y - self.expected(theta), BORDER
        lower, jitter = cholesky(matrix, size + more)
        mean = mean + np.einsum("nij,nj->ni", lower[:, size:-1, :size], lower[:, -1, :size])
        return mean, lower[:, size:-1, size:-1], jitter

    def curves(self, theta: Theta, x: np.ndarray, slope: bool, rng: np.random.Generator):
        """Mean, sd and a joint draw of the curve at x given the data, at θ of shape (draw,).

        Returns
        -------
        three arrays (draw, point); where slopes are asked for they come after the values.
        """
        centre, root, _ = self.conditional(theta, x, slope)
        drawn = centre + np.einsum("nij,nj->ni", root, rng.standard_normal(centre.shape))
        return centre, np.linalg.norm(root, axis=-1), drawn

    def condition(self, theta: Theta) -> float | None:
        """Condition number of the covariance, its rows scaled to one; None where there is none."""
        matrix = self.covariance(theta)
        size = np.sqrt(np.diag(matrix))
        values = factors.eigvalsh(matrix / np.outer(size, size))
        return values[-1] / max(values[0], 1e-300)

    def pointwise_curve(self, theta: Theta, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and sd of the curve at each x given the data, (draw, new), for θ of shape (draw,).

        One factor for each draw, and one triangular solution for all x: O(n³ + n² new).
        """
        lower, z, _ = self.factors(theta)
        mean, *prior = self.level(theta, x)
        rise, sd = _given(lower, z, *prior)
        return mean + rise, sd

    def pointwise_parts(
        self, theta: Theta, x: np.ndarray, centred: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and sd of each term of the kernel's sum given the data, (part, draw, new).

            f_k(x) | y ~ N(k_k(x, ·) K⁻¹ (y − m), k_k(x, x) − k_k(x, ·) K⁻¹ k_k(·, x))

        The terms, whose sum is the curve less its prior mean, are not independent given the data.
        Where they are ``centred`` it is each less its average over x: the level of a term, which
        others share, is hardly known.
        """
        lower, z, _ = self.factors(theta)
        found = []
        for part in _terms([self.kernel]):
            alone = replace(self, kernel=part)
            if not centred:
                found.append(_given(lower, z, *alone.level(theta, x)[1:]))
                continue
            _, across, among = alone.joint(theta, x, False)
            share = _shares(lower, across)
            mean = np.einsum("nij,nj->ni", share, z)
            own = np.einsum("nii->ni", among) - np.sum(share**2, axis=-1)
            beside = among.mean(axis=-1) - np.einsum("nij,nj->ni", share, share.mean(axis=-2))
            left = own - 2 * beside + beside.mean(axis=-1, keepdims=True)
            found.append((mean - mean.mean(axis=-1, keepdims=True), np.sqrt(np.maximum(left, 0))))
        return tuple(map(np.array, zip(*found, strict=True)))


def _terms(parts):
    """Terms of a sum of sums."""
    for part in parts:
        yield from _terms(part.parts) if isinstance(part, Sum) else (part,)


def _given(lower, z, across, variance):
    """Shift of the mean and sd of a curve at places, given data with factors L and z = L⁻¹(y − m).

    ``across`` is its covariance with the data, (draw, new, point), ``variance`` its own.
    """
    share = _shares(lower, across)
    left = variance - np.sum(share**2, axis=-1)
    return np.einsum("nij,nj->ni", share, z), np.sqrt(np.maximum(left, 0.0))


def _shares(lower, across):
    """Covariances with the data in terms of their innovations, L⁻¹ k, (draw, new, point)."""
    from scipy.linalg import solve_triangular

    share = np.empty_like(across)
    for k, factor in enumerate(lower):
        share[k] = solve_triangular(factor, across[k].T, lower=True, check_finite=False).T
    return share
