"""The normal prior given its two scales: one singular value decomposition serves them all.

The unshrunk columns Z take their part of the data first: with an orthonormal basis Q of them,

    t - QQᵀt = A′β + σε,   A′ = A - QQᵀA = U diag(s) Vᵀ

knows nothing of α, and what it says depends on the ratio ρ = (scale / σ)² alone. Given that, Qᵀt
is a measurement of the few α ~ N(0, 1), whose least squares estimate at a ratio is c with
covariance σ²M:

    log p(t) = log N(Uᵀt; 0, σ²(1 + ρs²)) + log N(c; 0, 1 + σ²M) + ...

All that is summed here is a square of residuals, nothing a difference of large numbers, so that
noise may be smaller than the data by as much as double precision holds. Here are density, draws,
moments and leave-one-out, for many pairs of scales at once; where the pairs come from, ``exact``
and ``shared`` know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from bayesinf.inference import factors
from bayesinf.models.linear.design import Design
from bayesinf.models.linear.singular import decomposed

__all__ = ["Products", "Spectrum", "between", "moments"]

ACCURACY = 1e-13  # of what is interpolated between nodes, beside its largest value
PANEL = 10.0  # of log ρ, along which nothing interpolated falls by more than a factor of 2e4
ROUNDING = 1e-12  # a difference this small beside its parts is rounding
DEPENDENT = 1e-13  # columns of length one of which this is left are sums of the others
UNLIKE = 10.0  # columns that differ by less need no common length to be judged


@dataclass(frozen=True)
class Spectrum:
    """What of a design the posterior needs.

    Parameters
    ----------
    s, U, V : of A′; (rank,), (observation, rank), (weight, rank).
    Q, G : Z = QG, (observation, level) and (level, free).
    H : α = Hη + what Z does not see, η ~ N(0, 1), (free, level).
    inverse : of L, QᵀZα = Lη, (level, level).
    log_det : log |det L|.
    B, N : QᵀA along V, (level, rank), and outside V, (level, weight).
    y, q : Uᵀt and Qᵀt.
    beyond : t less what is along Q and U, (observation,).
    outside : its squared length.
    lost : share of each observation that is along neither Q nor U, (observation,).
    """

    s: np.ndarray
    U: np.ndarray
    V: np.ndarray
    Q: np.ndarray
    G: np.ndarray
    H: np.ndarray
    inverse: np.ndarray
    log_det: float
    B: np.ndarray
    N: np.ndarray
    lost: np.ndarray
    y: np.ndarray
    q: np.ndarray
    beyond: np.ndarray
    outside: float

    @classmethod
    def of(cls, design: Design, like: Spectrum | None = None, *, fully: bool = False) -> Spectrum:
        """Decompose a design, ``fully`` to the last digit of each column, or take over the
        decomposition of another one that has the same features and columns.
        """
        if like is None:
            parts = _unshrunk(design.Z)
            Q = parts["Q"]
            along = Q.T @ design.A
            U, s, V, y = decomposed(_without(Q, design.A), _without(Q, design.t), fully=fully)
            B = along @ V
            whole = V.shape[0] == V.shape[1]
            N = np.zeros_like(along) if whole else along - B @ V.T
            lost = 1 - np.sum(Q**2, axis=1) - np.sum(U**2, axis=1)
            lost[lost < ROUNDING] = 0.0
            parts |= {"s": s, "U": U, "V": V, "B": B, "N": N, "lost": lost}
        else:
            kept = ("s", "U", "V", "Q", "G", "H", "inverse", "log_det", "B", "N", "lost")
            parts = {name: getattr(like, name) for name in kept}
            Q, U = parts["Q"], parts["U"]
            y = U.T @ _without(Q, design.t)
        residual = _without(Q, design.t)
        beyond = residual - U @ y
        beyond = _without(Q, beyond - U @ (U.T @ beyond))
        # Data are rounded: what is smaller than that is not known to be nothing.
        left = max(design.count - Q.shape[1] - U.shape[1], 0)
        floor = left * np.finfo(float).eps ** 2 * design.square / design.count
        outside = float(max(beyond @ beyond + design.rest.square, floor)) if left else 0.0
        return cls(**parts, y=y, q=Q.T @ design.t, beyond=beyond, outside=outside)

    @property
    def levels(self) -> int:
        """How many directions the unshrunk columns have."""
        return len(self.q)

    def products(self, log_rho: np.ndarray) -> Products:
        """What the data say at each ratio of scale to noise, led by the shape of ρ."""
        rho = np.exp(log_rho)
        weight = 1 / (1 + np.multiply.outer(rho, self.s**2))
        square = weight @ self.y**2 + self.outside
        log_det = -np.sum(np.log(weight), axis=-1) + 2 * self.log_det
        shape = np.shape(rho)
        if not self.levels:
            none = np.zeros((*shape, 0))
            return Products(square, none, none, np.zeros((*shape, 0, 0)), log_det)
        gain = rho[..., np.newaxis] * weight  # of β along V, over s y
        B = self.B
        pairs = (B.T[:, :, np.newaxis] * B.T[:, np.newaxis]).reshape(len(self.s), -1)
        spread = (gain @ pairs).reshape(*shape, self.levels, self.levels)
        spread = spread + np.multiply.outer(rho, self.N @ self.N.T) + np.eye(self.levels)
        value, vector = np.linalg.eigh(self.inverse @ spread @ self.inverse.T)
        c = (self.q - (gain * (self.s * self.y)) @ B.T) @ self.inverse.T
        c = np.einsum("...ji,...j->...i", vector, c)
        return Products(square, np.maximum(value, np.finfo(float).tiny), c, vector, log_det)

    def pulled(self, rho, weight, vector):
        """How β follows α less its least squares estimate, per unit of 1 / M in the eigenvectors:
        along V, (..., rank, level), and outside V, (..., weight, level).
        """
        turned = self.inverse.T @ vector
        along = (rho[..., np.newaxis] * weight)[..., np.newaxis] * (self.B.T @ turned)
        return along, rho[..., np.newaxis, np.newaxis] * (self.N.T @ turned)

    def draw(self, rng, log_rho, sigma) -> tuple[np.ndarray, np.ndarray, Products]:
        """Draw the weights β, (draw, weight), and α, (draw, free), one of each pair of scales.

        Returns
        -------
        β, α, and what was seen at these scales, as ``leave_one_out`` takes it.
        """
        seen, rho = self.products(log_rho), np.exp(log_rho)
        weight = 1 / (1 + np.multiply.outer(rho, self.s**2))
        centre, sd = seen.free(sigma)
        eta = centre + sd * rng.standard_normal(centre.shape)
        # β given t - QQᵀt: a prior draw, its part along V replaced by a draw of what the data say.
        scale = (sigma * np.sqrt(rho))[:, np.newaxis]
        prior = scale * rng.standard_normal((len(rho), len(self.V)))
        whole = self.V.shape[0] == self.V.shape[1]  # then the parts along V are as good a draw
        before = prior if whole else prior @ self.V
        along = (rho[:, np.newaxis] * self.s * self.y) * weight + before * np.sqrt(weight)
        outside = None if whole else prior - before @ self.V.T
        if self.levels:
            # Qᵀt less Lη is a noisy measurement of QᵀAβ: the draw moves by what it misses.
            fitted = along @ self.B.T + (0.0 if whole else outside @ self.N.T)
            fitted += sigma[:, np.newaxis] * rng.standard_normal(fitted.shape)
            missed = np.einsum("dji,dj->di", seen.vector, (self.q - fitted) @ self.inverse.T) - eta
            towards, aside = self.pulled(rho, weight, seen.vector)
            along += np.einsum("dri,di->dr", towards, missed / seen.value)
            if not whole:
                outside += np.einsum("dpi,di->dp", aside, missed / seen.value)
        beta = along @ self.V.T if whole else outside + along @ self.V.T
        alpha = np.einsum("dij,dj->di", seen.vector, eta) @ self.H.T
        if self.H.shape[0] > self.H.shape[1]:
            unseen = rng.standard_normal((len(rho), len(self.H)))
            alpha += unseen - unseen @ self.H @ self.H.T
        return beta, alpha, seen

    def leave_one_out(self, design: Design, log_rho, sigma, seen: Products) -> np.ndarray:
        """log p(y_i | the other y, scales), (draw, observation): everything else integrated out."""
        value = np.empty((len(log_rho), len(self.lost)))
        panel = np.floor((log_rho - np.min(log_rho)) / PANEL)
        for each in np.unique(panel):
            here = panel == each
            value[here] = self._left_out(log_rho[here], sigma[here], seen.at(here))
        return value + design.log_jacobian

    def _left_out(self, log_rho, sigma, seen):
        """The same for ratios within a panel, in units of the design."""
        nodes, shares = between(log_rho)
        parts = self._solved(nodes)
        diagonal, solved, *columns = parts if shares is None else shares @ parts
        variance = np.square(sigma)[:, np.newaxis]
        turned = self.inverse.T @ seen.vector
        for k in range(self.levels):  # in the eigenvectors of M
            column = sum(turned[:, j, k, np.newaxis] * one for j, one in enumerate(columns))
            share = variance / (1 + variance * seen.value[:, k, np.newaxis])
            diagonal = diagonal + share * column**2
            solved = solved + share * seen.estimate[:, k, np.newaxis] * column
        # log N(solved / diagonal; 0, σ² / diagonal), in place: fresh megabytes cost more than sums.
        value = np.square(solved, out=solved)
        value /= diagonal
        value *= -0.5 / variance
        value += np.log(diagonal, out=diagonal) / 2
        value -= (np.log(sigma) + 0.5 * np.log(2 * np.pi))[:, np.newaxis]
        return value

    def _solved(self, log_rho):
        """σ²K⁻¹ of t - QQᵀt: its diagonal and what it makes of t; and Q less its part that A′
        explains, (2 + level, ρ, observation).
        """
        rho = np.exp(log_rho)
        weight = 1 / (1 + np.multiply.outer(rho, self.s**2))
        parts = [self.lost + weight @ (self.U**2).T, self.beyond + (weight * self.y) @ self.U.T]
        gain = rho[:, np.newaxis] * weight * self.s
        parts += [q - (gain * b) @ self.U.T for q, b in zip(self.Q.T, self.B, strict=True)]
        return np.stack(parts)

    def condition_number(self, log_rho: float) -> float:
        """Condition number of the features, their columns brought to one length, in the directions
        that the data decide.

        What the prior decides loses no digits, however small its singular value; nor does it matter
        how wide the prior is, or in which units the columns are.
        """
        rho, size = np.exp(log_rho), np.sqrt(np.sum((self.V * self.s) ** 2, axis=1))
        size = np.hypot(size, np.sqrt(np.sum((self.B @ self.V.T + self.N) ** 2, axis=0)))
        live = size[size > 0]
        if not len(live):
            return 1.0
        if live.max() < UNLIKE * live.min():
            s, decided = self.s, rho * self.s**2 > 1
        else:
            unit = 1 / np.where(size > 0, size, np.inf)
            s, right = factors.svd((self.s[:, np.newaxis] * self.V.T) * unit)[1:]
            prior = np.sum((right[: len(s)] * unit) ** 2, axis=1) / rho
            decided = s**2 > prior
        return float(s.max() / s[decided].min()) if decided.any() else 1.0


def _unshrunk(Z):
    """What the unshrunk columns are to a ``Spectrum``: Q, G, H, the inverse of L and its log det.

    Columns are brought to one length first, so that rank is no matter of their units.
    """
    free = Z.shape[1]
    length = np.sqrt(np.sum(Z**2, axis=0))
    unit = np.where(length > 0, length, 1.0)
    Q, R, order = (
        scipy.linalg.qr(Z / unit, mode="economic", pivoting=True) if free else (Z, Z[:0], [])
    )
    rank = int(np.sum(np.abs(np.diag(R)) > DEPENDENT)) if free else 0
    Q, G = Q[:, :rank], np.empty((rank, free))
    G[:, order] = R[:rank]
    G *= unit
    H = np.eye(free) if rank == free else scipy.linalg.qr(G.T, mode="economic")[0]
    L = G @ H
    inverse = np.linalg.inv(L) if rank else np.zeros((0, 0))
    log_det = float(np.linalg.slogdet(L)[1]) if rank else 0.0
    return {"Q": Q, "G": G, "H": H, "inverse": inverse, "log_det": log_det}


def _without(Q, x):
    """x less its part along Q; taken off twice, so that rounding leaves none of it."""
    for _ in range(2 if Q.shape[1] else 0):
        x = x - Q @ (Q.T @ x)
    return x


@dataclass(frozen=True)
class Products:
    """What the data say at some ratios ρ, in the eigenvectors of M.

    Parameters
    ----------
    square : squared residuals, each over 1 + ρ s².
    value : eigenvalues of M, (..., level).
    estimate : c, the least squares estimate of η, (..., level).
    vector : the eigenvectors, (..., level, level).
    log_det : log det of all that is not σ².
    """

    square: np.ndarray
    value: np.ndarray
    estimate: np.ndarray
    vector: np.ndarray
    log_det: np.ndarray

    def at(self, draws: np.ndarray) -> Products:
        """Those of some draws."""
        parts = self.square, self.value, self.estimate, self.vector, self.log_det
        return Products(*(part[draws] for part in parts))

    def log_density(self, sigma, count):
        """Log density of ``count`` data at noise σ, α integrated out."""
        variance = np.square(sigma)
        total = 1 + variance[..., np.newaxis] * self.value
        levels = np.sum(self.estimate**2 / total + np.log(total), axis=-1)
        apart = count - self.value.shape[-1]
        value = self.square / variance + self.log_det + 2 * apart * np.log(sigma) + levels
        return -0.5 * (value + count * np.log(2 * np.pi))

    def share(self, sigma):
        """Share σ²m / (1 + σ²m) of the prior in each η, (..., level)."""
        spread = np.square(sigma)[..., np.newaxis] * self.value
        return spread / (1 + spread)

    def free(self, sigma):
        """Mean and sd of η, (..., level)."""
        share = self.share(sigma)
        return self.estimate * (1 - share), np.sqrt(share)


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

    Given the scales f = F + slope·η′ + ..., with η′ ~ N(c (1 - h), h), h its share of the prior.
    Means of cells differ by little where the data are precise; so variances are taken about the
    overall mean, cell by cell, and never as differences of squares.

    Parameters
    ----------
    spectrum : of one regression.
    coefficient_map : T, N and an offset, as of ``Regression.coefficient_map``.
    log_rho, log_sigma : of the cells of a grid, which broadcast against ``weight``.
    weight : probability of each cell, (A, B).
    """
    sigma = np.broadcast_to(np.exp(log_sigma), weight.shape)
    seen = spectrum.products(log_rho)
    rho, levels = np.exp(log_rho).ravel(), spectrum.levels
    # Sum over σ first: all that remains is a function of ρ, of which there may be few values.
    over = tuple(axis for axis in (0, 1) if log_rho.shape[axis] < weight.shape[axis])
    probability = np.sum(weight, axis=over).ravel()
    share_of = np.where(probability > 0, probability, 1.0)

    def average(x, *own):
        """Mean of x at each ρ."""
        weighted = weight.reshape(*weight.shape, *(1,) * len(own)) * x
        return np.sum(weighted, axis=over).reshape(len(rho), *own) / share_of.reshape(
            -1, *(1,) * len(own)
        )

    share = np.broadcast_to(seen.share(sigma), (*weight.shape, levels))
    taken = share * seen.estimate
    first, mean_share = average(taken, levels), average(share, levels)
    about = taken - _as_grid(first, log_rho.shape)
    second = average(about[..., :, np.newaxis] * about[..., np.newaxis, :], levels, levels)
    variance = average(sigma**2)

    # f = T β + N α + offset, α = Hη; ``slope`` is how f follows η′.
    T, N, offset = coefficient_map
    TV, s = T @ spectrum.V, spectrum.s
    shrunk = 1 / (1 + np.multiply.outer(rho, s**2))
    vector = seen.vector.reshape(len(rho), levels, levels)
    value = seen.value.reshape(len(rho), levels)
    along, aside = spectrum.pulled(rho, shrunk, vector)
    per = np.einsum("fr,ari->afi", TV, along) + _each(T, aside)
    own = (N @ spectrum.H) @ vector
    slope = own - per / value[:, np.newaxis]
    fixed = offset + (rho[:, np.newaxis] * shrunk * (s * spectrum.y)) @ TV.T
    fixed = fixed + np.einsum("afi,ai->af", own, seen.estimate.reshape(len(rho), levels))
    given = fixed - np.einsum("afi,ai->af", slope, first)
    mean = probability @ given
    # What V leaves of T; where it leaves nothing, rounding must not pass for a variance.
    whole = _row_squares(T)
    unseen = whole - np.sum(TV**2, axis=1)
    unseen[unseen < ROUNDING * whole] = 0.0
    inner = (rho[:, np.newaxis] * shrunk) @ (TV**2).T + np.multiply.outer(rho, unseen)
    inner = np.maximum(inner - np.sum(per**2 / value[:, np.newaxis], axis=-1), 0.0)
    spread = variance[:, np.newaxis] * inner
    spread = spread + np.einsum("afi,ai->af", slope**2, mean_share)
    spread = spread + np.einsum("afi,aij,afj->af", slope, second, slope, optimize=True)
    spread = spread + (given - mean) ** 2
    unseen_free = N - N @ spectrum.H @ spectrum.H.T
    return mean, np.sqrt(probability @ spread + np.sum(unseen_free**2, axis=1))


def _as_grid(x, shape):
    """What is one value for each ρ, beside cells of the grid."""
    return x.reshape(*shape, *x.shape[1:])


def _each(T, stack):
    """The product of a map, sparse or dense, with each matrix of a stack, (stack, row, column)."""
    if not hasattr(T, "multiply"):
        return T @ stack
    many, inner, columns = stack.shape
    wide = T @ np.moveaxis(stack, 1, 0).reshape(inner, many * columns)
    return np.moveaxis(wide.reshape(len(wide), many, columns), 0, 1)


def _row_squares(T):
    """Squared length of each row of a map, a sparse diagonal or a dense matrix."""
    return np.ravel((T.multiply(T) if hasattr(T, "multiply") else T**2).sum(axis=1))
