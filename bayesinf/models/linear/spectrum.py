"""The normal prior given its two scales: one singular value decomposition serves them all.

In A = U diag(s) Vᵀ everything that costs the size of the data depends on the ratio
ρ = (scale / σ)² alone,

    t | α ~ N(Zα, σ² R),   R = I + ρ A Aᵀ
    β | t, α, ρ, σ ~ N(V diag(ρ s / (1 + ρ s²)) Uᵀ(t - Zα), ...)

and so do the few unshrunk coefficients α ~ N(0, 1), once ZᵀR⁻¹Z is diagonal. Here are density,
draws, moments and leave-one-out, for many pairs of scales at once; where the pairs come from,
``exact`` and ``shared`` know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesinf.models.linear.design import Design

__all__ = ["Products", "Spectrum", "between", "moments"]

ACCURACY = 1e-13  # of what is interpolated between nodes, beside its largest value
ROUNDING = 1e-12  # a difference this small beside its parts is rounding


@dataclass(frozen=True)
class Spectrum:
    """What of a design the posterior needs.

    Data stand less their least squares fit by Z, ``t = target - Z start``: what is left does not
    cancel. ``y`` and ``z`` are Uᵀt and UᵀZ; ``rest`` holds t·t, Zᵀt and ZᵀZ of what lies outside U.
    """

    s: np.ndarray
    U: np.ndarray
    V: np.ndarray
    y: np.ndarray
    z: np.ndarray
    rest: tuple[float, np.ndarray, np.ndarray]
    t: np.ndarray
    start: np.ndarray

    @classmethod
    def of(cls, design: Design, like: Spectrum | None = None) -> Spectrum:
        """Decompose the features, or take over the decomposition of another design that has the
        same ones.
        """
        if like is None:
            U, s, Vt = np.linalg.svd(design.A, full_matrices=False)
            kept = s > s[0] * np.finfo(float).eps * max(design.A.shape)
            U, s, V = U[:, kept], s[kept], Vt[kept].T
        else:
            U, s, V = like.U, like.s, like.V
        Z, start = design.Z, np.zeros(design.Z.shape[1])
        if len(start):
            start = np.linalg.lstsq(Z, design.t, rcond=None)[0]
        t = design.t - Z @ start
        y, z = U.T @ t, U.T @ Z
        t_out, z_out = t - U @ y, Z - U @ z
        rest = (t_out @ t_out, z_out.T @ t_out, z_out.T @ z_out)
        return cls(s, U, V, y, z, rest, t, start)

    def products(self, log_rho: np.ndarray) -> Products:
        """What R = I + ρ A Aᵀ makes of data and unshrunk columns, each led by the shape of ρ."""
        weight = 1 / (1 + np.multiply.outer(np.exp(log_rho), self.s**2))
        tt, zt, zz = self.rest
        yy = weight @ self.y**2 + tt
        log_det = -np.sum(np.log(weight), axis=-1)
        if not len(self.start):
            none = np.zeros((*yy.shape, 0))
            return Products(yy, none, none, none, np.zeros((*yy.shape, 0, 0)), log_det)
        inner = weight @ (self.z[:, :, np.newaxis] * self.z[:, np.newaxis]).reshape(len(self.s), -1)
        value, vector = np.linalg.eigh(inner.reshape(*yy.shape, *zz.shape) + zz)

        def turn(v):
            return np.einsum("...ji,...j->...i", vector, v)

        pull = turn(weight @ (self.z * self.y[:, np.newaxis]) + zt)
        return Products(yy, np.maximum(value, 0.0), pull, turn(self.start), vector, log_det)

    def draw(self, rng, log_rho, sigma) -> tuple[np.ndarray, np.ndarray, Products]:
        """Draw the weights β, (draw, weight), and α, (draw, free), one of each pair of scales.

        Returns
        -------
        β, α, and what was seen at these scales, as ``leave_one_out`` takes it.
        """
        seen, rho = self.products(log_rho), np.exp(log_rho)
        centre, sd = seen.free(sigma)
        moved = centre + sd * rng.standard_normal(centre.shape)
        moved = np.einsum("dij,dj->di", seen.vector, moved)
        # β = prior draw, its part along V replaced by a draw of what the data say there.
        scale = sigma * np.sqrt(rho)
        prior = scale[:, np.newaxis] * rng.standard_normal((len(rho), len(self.V)))
        shrink = np.multiply.outer(rho, self.s**2)
        target = self.y - moved @ self.z.T
        whole = len(self.s) == len(self.V)  # then the parts along V are as good a prior draw
        along = prior if whole else prior @ self.V
        found = (rho[:, np.newaxis] * self.s * target) / (1 + shrink)
        found += along / np.sqrt(1 + shrink)
        beta = found @ self.V.T if whole else prior + (found - along) @ self.V.T
        return beta, self.start + moved, seen

    def leave_one_out(self, design: Design, log_rho, sigma, seen: Products) -> np.ndarray:
        """log p(y_i | the other y, scales), (draw, observation): everything else integrated out."""
        nodes, shares = between(log_rho)
        parts = self._solved(design, nodes)
        diagonal, solved, *columns = parts if shares is None else shares @ parts
        centre, _ = seen.free(sigma)
        for k in range(centre.shape[-1]):  # in the eigenvectors of ZᵀR⁻¹Z
            column = sum(seen.vector[:, j, k, np.newaxis] * one for j, one in enumerate(columns))
            diagonal = diagonal - column**2 / (seen.value[:, k] + sigma**2)[:, np.newaxis]
            solved = solved - column * centre[:, k, np.newaxis]
        # log N(solved / diagonal; 0, σ² / diagonal), in place: fresh megabytes cost more than sums.
        value = np.square(solved, out=solved)
        value /= diagonal
        value *= -0.5 / np.square(sigma)[:, np.newaxis]
        value += np.log(diagonal, out=diagonal) / 2
        value -= (np.log(sigma) + 0.5 * np.log(2 * np.pi))[:, np.newaxis]
        value += design.log_jacobian
        return value

    def _solved(self, design, log_rho):
        """The diagonal of R⁻¹, R⁻¹t and R⁻¹Z, (2 + free, ρ, observation)."""
        weight = 1 / (1 + np.multiply.outer(np.exp(log_rho), self.s**2)) - 1
        parts = [1 + weight @ (self.U**2).T, self.t + (weight * self.y) @ self.U.T]
        parts += [Z + (weight * z) @ self.U.T for Z, z in zip(design.Z.T, self.z.T, strict=True)]
        return np.stack(parts)

    def condition_number(self, log_rho: float) -> float:
        """Ratio of the largest singular value of A to the smallest of those that the data decide,
        ρ s² > 1; what the prior decides loses no digits, however small its s.
        """
        decided = self.s[np.exp(log_rho) * self.s**2 > 1]
        return float(self.s[0] / decided[-1]) if len(decided) else 1.0


@dataclass(frozen=True)
class Products:
    """Data and unshrunk columns as R sees them, in the eigenvectors of ZᵀR⁻¹Z.

    Parameters
    ----------
    tt : tᵀR⁻¹t.
    value : eigenvalues of ZᵀR⁻¹Z, (..., free).
    pull : ZᵀR⁻¹t in its eigenvectors, (..., free).
    start : the least squares fit, in the eigenvectors, (..., free): α is start plus what follows.
    vector : the eigenvectors, (..., free, free).
    log_det : log det R.
    """

    tt: np.ndarray
    value: np.ndarray
    pull: np.ndarray
    start: np.ndarray
    vector: np.ndarray
    log_det: np.ndarray

    def quadratic(self, sigma):
        """-2 log density of the data at noise σ, its determinants apart, α integrated out."""
        variance = np.square(sigma)[..., np.newaxis]
        moved = self.start**2 * self.value + 2 * self.pull * self.start - self.pull**2 / variance
        return self.tt / np.square(sigma) + np.sum(moved / (self.value + variance), axis=-1)

    def log_determinant(self, sigma):
        """What α adds to log det of the data's covariance."""
        return np.sum(np.log1p(self.value / np.square(sigma)[..., np.newaxis]), axis=-1)

    def log_density(self, sigma, count):
        """Log density of ``count`` data at noise σ, α integrated out."""
        log_det = self.log_det + 2 * count * np.log(sigma) + self.log_determinant(sigma)
        return -0.5 * (self.quadratic(sigma) + log_det + count * np.log(2 * np.pi))

    def free(self, sigma):
        """Mean and sd of α less its start, in the eigenvectors, (..., free)."""
        variance = np.square(sigma)[..., np.newaxis]
        precision = self.value + variance
        return (self.pull - variance * self.start) / precision, np.sqrt(variance / precision)


def between(x: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return Chebyshev nodes that stand for many points, and the share of each in each point.

    What depends on log ρ by 1 / (1 + ρ s²) is analytic up to π from the real axis, so that n nodes
    over a length 2h leave an error of about r⁻ⁿ, r = π/h + √(1 + π²/h²) (Trefethen, Approximation
    Theory and Approximation Practice, ch. 8).

    Returns
    -------
    nodes (node,) and shares (point, node); where there are no fewer nodes than points, these
    themselves and None.
    """
    from numpy.polynomial import chebyshev

    middle, half = (np.max(x) + np.min(x)) / 2, (np.max(x) - np.min(x)) / 2
    steep = np.pi / max(half, 1e-3)
    count = int(np.ceil(-np.log(ACCURACY) / np.log(steep + np.sqrt(1 + steep**2)))) + 2
    if count >= len(x):
        return x, None
    unit = chebyshev.chebpts1(count)
    at_nodes = chebyshev.chebvander(unit, count - 1)
    at_points = chebyshev.chebvander((x - middle) / max(half, 1e-3), count - 1)
    return middle + max(half, 1e-3) * unit, np.linalg.solve(at_nodes.T, at_points.T).T


def moments(spectrum: Spectrum, coefficient_map, log_rho, log_sigma, weight):
    """Mean and sd of each coefficient f in closed form, mixed over a grid of scales.

    Parameters
    ----------
    spectrum : of one regression.
    coefficient_map : T, N and an offset, as of ``Regression.coefficient_map``.
    log_rho, log_sigma : of the cells of a grid, which broadcast against ``weight``.
    weight : probability of each cell, (A, B).
    """
    sigma = np.broadcast_to(np.exp(log_sigma), weight.shape)
    seen = spectrum.products(log_rho)
    rho, free = np.exp(log_rho).ravel(), len(spectrum.start)
    # Sum over σ first: all that remains is a function of ρ, of which there may be few values.
    over = tuple(axis for axis in (0, 1) if log_rho.shape[axis] < weight.shape[axis])

    def total(x, *own):
        weighted = weight.reshape(*weight.shape, *(1,) * len(own)) * x
        return np.sum(weighted, axis=over).reshape(len(rho), *own)

    centre, sd = seen.free(sigma)
    outer = centre[..., :, np.newaxis] * centre[..., np.newaxis, :]
    outer = outer + sd[..., np.newaxis] ** 2 * np.eye(free)
    first, second = total(centre, free), total(outer, free, free)
    probability, variance = total(np.ones_like(sigma)), total(sigma**2)

    # f = T β + N α + offset; the mean of β is gain·t - (gain·Z) α, given α and the scales.
    T, N, offset = coefficient_map
    TV, s = T @ spectrum.V, spectrum.s[:, np.newaxis]
    gain = rho * s / (1 + rho * s**2)
    fixed = (TV @ (gain * spectrum.y[:, np.newaxis])).T + offset + N @ spectrum.start
    per = N - np.einsum("fr,ra,rq->afq", TV, gain, spectrum.z, optimize=True)
    per = per @ seen.vector.reshape(len(rho), free, free)
    moved = np.einsum("afq,aq->af", per, first)
    mean = probability @ fixed + moved.sum(axis=0)
    square = probability @ fixed**2 + 2 * np.sum(fixed * moved, axis=0)
    square = square + np.einsum("afp,apq,afq->f", per, second, per, optimize=True)
    # What V leaves of T; where it leaves nothing, rounding must not pass for a variance.
    whole = _row_squares(T)
    unseen = whole - np.sum(TV**2, axis=1)
    unseen[unseen < ROUNDING * whole] = 0.0
    inner = TV**2 @ (rho / (1 + rho * s**2)) + np.multiply.outer(unseen, rho)
    return mean, np.sqrt(np.maximum(inner @ variance + square - mean**2, 0.0))


def _row_squares(T):
    """Squared length of each row of a map, a sparse diagonal or a dense matrix."""
    return np.ravel((T.multiply(T) if hasattr(T, "multiply") else T**2).sum(axis=1))
