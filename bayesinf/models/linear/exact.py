"""The normal prior, exactly: closed form given the scales, the two scales by quadrature.

In the singular value decomposition A = U diag(s) Vᵀ everything that costs the size of the data
depends on the ratio ρ = (scale / σ)² alone,

    t | α ~ N(Zα, σ² R),   R = I + ρ A Aᵀ
    β | t, α, ρ, σ ~ N(V diag(ρ s / (1 + ρ s²)) Uᵀ(t - Zα), ...)

and so do the few unshrunk coefficients α ~ N(0, 1), once ZᵀR⁻¹Z is diagonal. The posterior of
(log ρ, log σ) is laid on a fine grid at the price of a line; its sum is the evidence. Draws are
independent: a cell of the grid by its probability, a point in the cell, then α and β. Nothing here
is a chain. The mixture over the grid also gives mean and variance of each coefficient in closed
form, to which the draws are held by the check of this kind of inference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models.linear.design import Design
from bayesinf.models.noise import log_density

if TYPE_CHECKING:
    from bayesinf.models.linear.definition import Regression

__all__ = ["Posterior", "log_evidence"]

GRID = 256  # cells a side, about 0.05 posterior sd each: a variance comes out 2e-4 too large
SEARCH = 1024  # cells along log ρ where the search begins, which no mode slips through
DEPTH = 20.0  # cells whose log density lies this far below the highest are outside the grid
REACH = 30.0  # where the search begins: e-folds around the data's own scales
ROUNDING = 1e-12  # a difference this small beside its parts is rounding
WIDENINGS = 8  # times that the search reaches further where the posterior touches its edge


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
    def of(cls, design: Design) -> Spectrum:
        """Decompose the features."""
        U, s, Vt = np.linalg.svd(design.A, full_matrices=False)
        kept = s > s[0] * np.finfo(float).eps * max(design.A.shape)
        U, s, V = U[:, kept], s[kept], Vt[kept].T
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
        turn = lambda v: np.einsum("...ji,...j->...i", vector, v)
        pull = turn(weight @ (self.z * self.y[:, np.newaxis]) + zt)
        return Products(yy, np.maximum(value, 0.0), pull, turn(self.start), vector, log_det)


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

    def free(self, sigma):
        """Mean and sd of α less its start, in the eigenvectors, (..., free)."""
        variance = np.square(sigma)[..., np.newaxis]
        precision = self.value + variance
        return (self.pull - variance * self.start) / precision, np.sqrt(variance / precision)


class Scales:
    """The posterior of (log ρ, log σ), on axes (a, b) in which it is compact.

    With both scales inferred a = log ρ and b is log σ less its profile at that ρ, which takes out
    the narrow ridge along which the data fix only the sum of signal and noise. With one of them
    fixed, one axis is left; with both, a point.
    """

    def __init__(self, problem: Regression, spectrum: Spectrum):
        self.problem, self.spectrum = problem, spectrum
        self.count = len(spectrum.t)
        self.log_jacobian = float(np.sum(problem.design.log_jacobian))
        self.scale = problem.prior.fixed.get("scale")
        self.sigma = float(problem.noise) if problem.noise_fixed else None

    def coordinates(self, a, b):
        """log ρ and log σ at the points (a, b), which broadcast."""
        if self.scale is None and self.sigma is None:
            return a, b + self._profile(a)
        log_sigma = b if self.sigma is None else np.log(self.sigma) + 0 * b
        if self.scale is None:
            return a, log_sigma
        return 2 * np.log(self.scale) - 2 * log_sigma, log_sigma

    def log_density(self, a, b) -> np.ndarray:
        """Log density of the data and the axes' values."""
        return self.log_joint(*self.coordinates(a, b))

    def log_joint(self, log_rho, log_sigma) -> np.ndarray:
        """Log density of the data, and of log ρ and log σ as far as they are inferred."""
        sigma = np.exp(log_sigma)
        seen = self.spectrum.products(log_rho)
        log_det = seen.log_det + 2 * self.count * log_sigma + seen.log_determinant(sigma)
        value = -0.5 * (seen.quadratic(sigma) + log_det + self.count * np.log(2 * np.pi))
        return value + self.log_jacobian + self.log_prior(self.problem, log_rho, log_sigma)

    @staticmethod
    def log_prior(problem: Regression, log_rho, log_sigma) -> np.ndarray:
        """Log prior density of log ρ and log σ, as far as they are inferred."""
        # The priors are densities of scale and σ; the axes are logarithms, of which a counts twice.
        value, sigma = 0.0 * log_sigma, np.exp(log_sigma)
        if "scale" not in problem.prior.fixed:
            scale = np.exp(log_sigma + log_rho / 2)
            value = value + problem.prior.scale.log_density(scale) + np.log(scale / 2)
        if not problem.noise_fixed:
            value = value + problem.noise.log_density(sigma) + log_sigma
        return value

    @cached_property
    def grid(self) -> Grid:
        """The grid that holds the posterior.

        Raises
        ------
        FitError : the posterior does not end within reach.
        """
        boxes, cells, widened = self._boxes(), (SEARCH, GRID), 0
        while True:
            (a, step_a), (b, step_b) = (_axis(*box, n) for box, n in zip(boxes, cells, strict=True))
            a, b = a[:, np.newaxis], b[np.newaxis, :]
            value = self.log_density(a, b)
            deep = value > np.max(value) - DEPTH
            along = deep.any(1), deep.any(0)
            touches = any(len(inside) > 1 and (inside[0] or inside[-1]) for inside in along)
            # What has been narrowed ends where the density is negligible, whatever rounding says.
            if touches and cells[0] == SEARCH:
                widened += 1
                if widened > WIDENINGS:
                    raise FitError(
                        "the posterior of scale and noise does not end within reach: data and "
                        "priors leave one of them open; state a narrower prior of it"
                    )
                boxes = [_widened(*one) for one in zip(boxes, along, strict=True)]
                continue
            found = [
                _bounds(a[:, 0], step_a, along[0]),
                _bounds(b[0], step_b, along[1]),
            ]
            if all(np.ptp(new) >= 0.7 * np.ptp(old) for new, old in zip(found, boxes, strict=True)):
                return Grid((a, b), (step_a, step_b), value)
            boxes, cells = found, (GRID, GRID)

    def draw(self, rng, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw log ρ and log σ independently, each (size,)."""
        grid = self.grid
        (a, b), (step_a, step_b), weight = grid.axes, grid.steps, grid.weight
        rows, columns = np.unravel_index(
            rng.choice(weight.size, size, p=weight.ravel()), weight.shape
        )
        jitter_a, jitter_b = rng.uniform(-0.5, 0.5, (2, size))
        return self.coordinates(a[rows, 0] + step_a * jitter_a, b[0, columns] + step_b * jitter_b)

    def _boxes(self):
        """Where the search begins: wherever a singular value begins or ceases to matter."""
        s, t = self.spectrum.s, self.problem.design.t
        spread = 0.5 * np.log(np.mean(t**2) + np.finfo(float).tiny)
        if self.scale is not None and self.sigma is not None:
            return [(0.0, 0.0), (0.0, 0.0)]
        if self.scale is not None:
            return [(0.0, 0.0), (spread - REACH, spread + REACH)]
        rho = (-2 * np.log(s[0]) - REACH, -2 * np.log(s[-1]) + REACH)
        if self.sigma is not None:
            return [rho, (0.0, 0.0)]
        return [rho, (-REACH / 6, REACH / 6 + 2 * DEPTH / self.count)]

    def _profile(self, log_rho):
        seen = self.spectrum.products(log_rho)
        inside = np.where(seen.value > 0, seen.value, 1.0)
        taken = np.sum(np.where(seen.value > 0, seen.pull**2 / inside, 0.0), axis=-1)
        # The prior's own floor joins in: without noise the data alone would send σ to zero.
        floor = getattr(self.problem.noise, "scale", 0.0) ** 2 + np.finfo(float).tiny
        return 0.5 * np.log((np.maximum(seen.tt - taken, 0.0) + floor) / self.count)


@dataclass(frozen=True)
class Grid:
    """The log density of the scales in the cells of a grid.

    Parameters
    ----------
    axes : centres a, (A, 1), and b, (1, B).
    steps : widths of the cells; zero along an axis that is a point.
    value : log density of the data and the axes' values, (A, B).
    """

    axes: tuple[np.ndarray, np.ndarray]
    steps: tuple[float, float]
    value: np.ndarray

    @cached_property
    def weight(self) -> np.ndarray:
        """Probability of each cell, (A, B)."""
        weight = np.exp(self.value - np.max(self.value))
        return weight / np.sum(weight)

    @property
    def log_evidence(self) -> float:
        """Log of the density's integral."""
        top = np.max(self.value)
        area = sum(np.log(step) for step in self.steps if step > 0)
        return float(top + np.log(np.sum(np.exp(self.value - top))) + area)


def _axis(low, high, cells):
    if low == high:
        return np.array([low]), 0.0
    edges = np.linspace(low, high, cells + 1)
    return (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]


def _bounds(centres, step, inside):
    kept = centres[inside]
    return kept[0] - step, kept[-1] + step


def _widened(box, inside):
    """The box, longer by its length at each end that the posterior touches."""
    low, high = box
    length = high - low if len(inside) > 1 else 0.0
    return low - length * inside[0], high + length * inside[-1]


class Posterior:
    """The posterior of a regression whose prior is ``Normal``, in closed form.

    Parameters
    ----------
    problem : one regression, no groups.
    """

    def __init__(self, problem: Regression):
        self.problem = problem
        self.spectrum = Spectrum.of(problem.design)
        self.scales = Scales(problem, self.spectrum)

    @property
    def log_evidence(self) -> float:
        """Log p(y), all parameters integrated out."""
        return self.scales.grid.log_evidence

    def draw(self, rng: np.random.Generator, size: int) -> tuple[dict, np.ndarray]:
        """Draw independently.

        Returns
        -------
        draws, (size, ...), as ``Regression.outer`` takes them; and the log density of each y_i
        given the others and the scales, (size, observation).
        """
        return self.draw_given(rng, *self.scales.draw(rng, size))

    def draw_given(
        self, rng: np.random.Generator, log_rho: np.ndarray, log_sigma: np.ndarray
    ) -> tuple[dict, np.ndarray]:
        """Draw all coefficients given the scales, log ρ and log σ, (size,) each; see ``draw``."""
        spectrum, scales, size = self.spectrum, self.scales, len(log_rho)
        rho, sigma = np.exp(log_rho), np.exp(log_sigma)
        scale = sigma * np.sqrt(rho)
        seen = spectrum.products(log_rho)
        centre, sd = seen.free(sigma)
        moved = centre + sd * rng.standard_normal(centre.shape)
        moved = np.einsum("dij,dj->di", seen.vector, moved)

        # β = prior draw, its part along V replaced by a draw of what the data say there.
        prior = scale[:, np.newaxis] * rng.standard_normal((size, self.problem.weights))
        shrink = np.multiply.outer(rho, spectrum.s**2)
        target = spectrum.y - moved @ spectrum.z.T
        along = prior @ spectrum.V
        found = (rho[:, np.newaxis] * spectrum.s * target) / (1 + shrink)
        found += along / np.sqrt(1 + shrink)
        draws = {"beta": prior + (found - along) @ spectrum.V.T, "alpha": spectrum.start + moved}
        draws |= {"scale": scale} if scales.scale is None else {}
        draws |= {"sigma": sigma} if scales.sigma is None else {}
        return draws, self._leave_one_out(rho, sigma, seen)

    def condition_number(self) -> float:
        """Ratio of the largest singular value of A to the smallest of those that the data decide,
        ρ s² > 1 at the median ρ; what the prior decides loses no digits, however small its s.
        """
        (a, b), weight, s = self.scales.grid.axes, self.scales.grid.weight, self.spectrum.s
        log_rho = np.broadcast_to(self.scales.coordinates(a, b)[0], weight.shape).ravel()
        order = np.argsort(log_rho)
        middle = np.searchsorted(np.cumsum(weight.ravel()[order]), 0.5)
        decided = s[np.exp(log_rho[order[middle]]) * s**2 > 1]
        return float(s[0] / decided[-1]) if len(decided) else 1.0

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and sd of each coefficient f in closed form, the scales summed over the grid."""
        spectrum, grid = self.spectrum, self.scales.grid
        log_rho, log_sigma = self.scales.coordinates(*grid.axes)
        sigma = np.broadcast_to(np.exp(log_sigma), grid.weight.shape)
        seen = spectrum.products(log_rho)
        rho, free = np.exp(log_rho).ravel(), len(spectrum.start)
        # Sum over σ first: all that remains is a function of ρ, of which there are few values.
        over = tuple(axis for axis in (0, 1) if log_rho.shape[axis] < grid.weight.shape[axis])

        def total(x, *own):
            weight = grid.weight.reshape(*grid.weight.shape, *(1,) * len(own))
            return np.sum(weight * x, axis=over).reshape(len(rho), *own)

        centre, sd = seen.free(sigma)
        outer = centre[..., :, np.newaxis] * centre[..., np.newaxis, :]
        outer = outer + sd[..., np.newaxis] ** 2 * np.eye(free)
        first, second = total(centre, free), total(outer, free, free)
        probability, variance = total(np.ones_like(sigma)), total(sigma**2)

        # f = T β + N α + offset; the mean of β is gain·t - (gain·Z) α, given α and the scales.
        T, N, offset = self.problem.coefficient_map()
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

    def _leave_one_out(self, rho, sigma, seen):
        """log p(y_i | the other y, scales), (draw, observation): everything else integrated out."""
        spectrum, design = self.spectrum, self.problem.design
        weight = 1 / (1 + np.multiply.outer(rho, spectrum.s**2)) - 1
        diagonal = 1 + weight @ (spectrum.U**2).T
        solved = spectrum.t + (weight * spectrum.y) @ spectrum.U.T
        centre, _ = seen.free(sigma)
        for k in range(
            centre.shape[-1]
        ):  # column k of R⁻¹Z in the eigenvectors, (draw, observation)
            turned = seen.vector[:, :, k]
            column = turned @ design.Z.T + (weight * (turned @ spectrum.z.T)) @ spectrum.U.T
            diagonal -= column**2 / (seen.value[:, k] + sigma**2)[:, np.newaxis]
            solved -= column * centre[:, k, np.newaxis]
        sd = sigma[:, np.newaxis] / np.sqrt(diagonal)
        return log_density(solved / diagonal, 0.0, sd) + design.log_jacobian


def log_evidence(problem: Regression) -> float:
    """Log p(y) of a regression whose prior is ``Normal``, all parameters integrated out."""
    return Posterior(problem).log_evidence


def _row_squares(T):
    """Squared length of each row of a map, a sparse diagonal or a dense matrix."""
    return np.ravel((T.multiply(T) if hasattr(T, "multiply") else T**2).sum(axis=1))
