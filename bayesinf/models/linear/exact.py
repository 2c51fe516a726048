"""The normal prior, exactly: closed form given the scales, the two scales by quadrature.

In the singular value decomposition X = U diag(s) Vᵀ everything that costs the size of the data
depends on the ratio ρ = (scale / σ)² alone,

    y ~ N(0, σ² (I + ρ X Xᵀ)),   β | y, ρ, σ ~ N(V diag(ρ s / (1 + ρ s²)) Uᵀy, ...)

so the posterior of (log ρ, log σ) is laid on a fine grid at the price of a line. Draws are
independent: a cell of the grid by its probability, a point in the cell, then β. Nothing here is a
chain. The mixture over the grid also gives mean and variance of each β_j in closed form, to which
the draws are held by the check of this kind of inference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.models.noise import log_density

if TYPE_CHECKING:
    from bayesinf.models.linear.definition import Regression

GRID = 256  # cells a side, about 0.05 posterior sd each: a variance comes out 2e-4 too large
DEPTH = 20.0  # cells whose log density lies this far below the highest are outside the grid
REACH = 30.0  # where the search begins: e-folds around the data's own scales


@dataclass(frozen=True)
class Spectrum:
    """What of X, y and the intercept's column of ones the posterior needs.

    ``y`` and ``one`` are Uᵀ(y - intercept mean) and Uᵀ1; ``rest`` holds y·y, 1·y and 1·1 of what
    lies outside U.
    """

    s: np.ndarray
    U: np.ndarray
    V: np.ndarray
    y: np.ndarray
    one: np.ndarray
    rest: tuple[float, float, float]

    @classmethod
    def of(cls, problem: Regression) -> Spectrum:
        """Decompose the features."""
        U, s, Vt = np.linalg.svd(problem.X, full_matrices=False)
        kept = s > s[0] * np.finfo(float).eps * max(problem.shape)
        U, s, V = U[:, kept], s[kept], Vt[kept].T
        y = problem.y - (problem.intercept.mean if problem.intercept else 0.0)
        one = np.ones(len(y))
        y_out, one_out = y - U @ (U.T @ y), one - U @ (U.T @ one)
        rest = (y_out @ y_out, one_out @ y_out, one_out @ one_out)
        return cls(s, U, V, U.T @ y, U.T @ one, rest)

    def products(self, log_rho: np.ndarray) -> tuple[np.ndarray, ...]:
        """yᵀR⁻¹y, 1ᵀR⁻¹y, 1ᵀR⁻¹1 and log det R, R = I + ρ X Xᵀ, each in the shape of ρ."""
        weight = 1 / (1 + np.multiply.outer(np.exp(log_rho), self.s**2))
        inside = (weight @ self.y**2, weight @ (self.one * self.y), weight @ self.one**2)
        yy, oy, oo = (part + rest for part, rest in zip(inside, self.rest, strict=True))
        return yy, oy, oo, -np.sum(np.log(weight), axis=-1)


class Scales:
    """The posterior of (log ρ, log σ), on axes (a, b) in which it is compact.

    With both scales inferred a = log ρ and b is log σ less its profile at that ρ, which takes out
    the narrow ridge along which the data fix only the sum of signal and noise. With one of them
    fixed, one axis is left; with both, a point.
    """

    def __init__(self, problem: Regression, spectrum: Spectrum):
        self.problem, self.spectrum = problem, spectrum
        self.count = len(problem.y)
        self.scale = problem.prior.fixed.get("scale")
        self.sigma = float(problem.noise) if problem.noise_fixed else None

    def coordinates(self, a, b):
        """log ρ and log σ at the points (a, b), which broadcast."""
        if self.scale is None and self.sigma is None:
            return a, b + self._profile(a)
        log_sigma = b if self.sigma is None else np.log(self.sigma) + 0 * b
        return (a, log_sigma) if self.scale is None else (2 * np.log(self.scale) - 2 * log_sigma,
                                                         log_sigma)  # fmt: skip

    def log_density(self, a, b) -> np.ndarray:
        """Log density of the data and the axes' values."""
        problem = self.problem
        log_rho, log_sigma = self.coordinates(a, b)
        sigma, scale = np.exp(log_sigma), np.exp(log_sigma + log_rho / 2)
        yy, oy, oo, log_det = self.spectrum.products(log_rho)
        quadratic, log_det = yy / sigma**2, log_det + 2 * self.count * log_sigma
        if problem.intercept:
            width = problem.intercept.sd**2 / sigma**2
            quadratic = quadratic - width * (oy / sigma) ** 2 / (1 + width * oo)
            log_det = log_det + np.log1p(width * oo)
        value = -0.5 * (quadratic + log_det + self.count * np.log(2 * np.pi))
        # The priors are densities of scale and σ; the axes are logarithms, of which a counts twice.
        if self.scale is None:
            value = value + problem.prior.scale.log_density(scale) + np.log(scale / 2)
        if self.sigma is None:
            value = value + problem.noise.log_density(sigma) + log_sigma
        return value

    def grid(self):
        """Lay the grid that holds the posterior.

        Returns
        -------
        the axes a, (A, 1), and b, (1, B), their steps, and the probability of each cell, (A, B).
        """
        centre = -np.log(np.mean(self.spectrum.s**2))
        spread = 0.5 * np.log(np.mean(self.problem.y**2))
        boxes = [(centre - REACH, centre + REACH), (spread - REACH, spread + REACH)]
        if self.scale is not None:
            boxes[0] = (0.0, 0.0)
        elif self.sigma is None:
            boxes[1] = (-REACH / 6, REACH / 6 + 2 * DEPTH / self.count)
        if self.sigma is not None:
            boxes[1] = (0.0, 0.0)
        while True:
            (a, step_a), (b, step_b) = (_axis(*box) for box in boxes)
            a, b = a[:, np.newaxis], b[np.newaxis, :]
            value = self.log_density(a, b)
            deep = value > np.max(value) - DEPTH
            found = [_bounds(a[:, 0], step_a, deep.any(1)), _bounds(b[0], step_b, deep.any(0))]
            if all(np.ptp(new) >= 0.7 * np.ptp(old) for new, old in zip(found, boxes, strict=True)):
                weight = np.exp(value - np.max(value))
                return (a, b), (step_a, step_b), weight / np.sum(weight)
            boxes = found

    def draw(self, rng, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw log ρ and log σ independently, each (size,)."""
        (a, b), (step_a, step_b), weight = self.grid()
        rows, columns = np.unravel_index(
            rng.choice(weight.size, size, p=weight.ravel()), weight.shape
        )
        jitter_a, jitter_b = rng.uniform(-0.5, 0.5, (2, size))
        return self.coordinates(a[rows, 0] + step_a * jitter_a, b[0, columns] + step_b * jitter_b)

    def _profile(self, log_rho):
        yy, oy, oo, _ = self.spectrum.products(log_rho)
        if self.problem.intercept:
            yy = yy - oy**2 / oo
        # The prior's own floor joins in: without noise the data alone would send σ to zero.
        return 0.5 * np.log((yy + getattr(self.problem.noise, "scale", 0.0) ** 2) / self.count)


def _axis(low, high):
    if low == high:
        return np.array([low]), 0.0
    edges = np.linspace(low, high, GRID + 1)
    return (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]


def _bounds(centres, step, inside):
    kept = centres[inside]
    return kept[0] - step, kept[-1] + step


def draw(problem: Regression, rng: np.random.Generator, size: int) -> tuple[dict, dict]:
    """Draw independently from the posterior.

    Parameters
    ----------
    problem : a regression whose prior is ``Normal``.
    rng : generator.
    size : number of draws.

    Returns
    -------
    the draws, (size, ...); and the evidence for the checks: ``condition_number`` of the data's
    covariance, ``beta_closed_form_mean`` and ``_sd``, and ``log_marginal``, (size, observation),
    the log density of each y_i given the others and the scales.
    """
    spectrum = Spectrum.of(problem)
    scales = Scales(problem, spectrum)
    log_rho, log_sigma = scales.draw(rng, size)
    rho, sigma = np.exp(log_rho), np.exp(log_sigma)
    scale = sigma * np.sqrt(rho)
    intercept, alpha = np.zeros(size), np.zeros(size)
    if problem.intercept:
        mean, sd = _intercept(problem, spectrum, log_rho, log_sigma)
        alpha = mean + sd * rng.standard_normal(size)
        intercept = alpha + problem.intercept.mean

    # β = prior draw, its part along V replaced by a draw of what the data say there.
    prior = scale[:, np.newaxis] * rng.standard_normal((size, problem.shape[1]))
    shrink = np.multiply.outer(rho, spectrum.s**2)
    target = spectrum.y - np.multiply.outer(alpha, spectrum.one)
    along = prior @ spectrum.V
    found = (rho[:, np.newaxis] * spectrum.s * target) / (1 + shrink) + along / np.sqrt(1 + shrink)
    beta = prior + (found - along) @ spectrum.V.T

    draws = {"beta": beta}
    draws |= {"scale": scale} if scales.scale is None else {}
    draws |= {"sigma": sigma} if scales.sigma is None else {}
    draws |= {"intercept": intercept} if problem.intercept else {}
    largest = 1 + np.median(rho) * spectrum.s[0] ** 2
    full_rank = len(spectrum.s) >= problem.shape[0]
    smallest = 1 + np.median(rho) * spectrum.s[-1] ** 2 if full_rank else 1.0
    mean, sd = moments(problem, spectrum, scales)
    return draws, {
        "condition_number": np.float64(largest / smallest),
        "beta_closed_form_mean": mean,
        "beta_closed_form_sd": sd,
        "log_marginal": _leave_one_out(problem, spectrum, rho, sigma),
    }


def moments(problem: Regression, spectrum: Spectrum, scales: Scales):
    """Mean and sd of each coefficient in closed form, the scales summed over the grid."""
    (a, b), _, weight = scales.grid()
    log_rho, log_sigma = scales.coordinates(a, b)
    log_rho, log_sigma = log_rho + 0 * a, log_sigma + 0 * a + 0 * b
    # Sum over σ first: all that remains is a function of ρ, of which there are few values.
    over = tuple(axis for axis in (0, 1) if log_rho.shape[axis] == 1)
    marginal = lambda value: np.sum(weight * value, axis=over).ravel()
    if log_rho.shape == (1, 1):
        over = ()
    probability = marginal(np.ones_like(weight))
    variance = marginal(np.exp(2 * log_sigma))
    rho, s = np.exp(log_rho).ravel(), spectrum.s[:, np.newaxis]
    gain = spectrum.V @ (rho * s * spectrum.y[:, np.newaxis] / (1 + rho * s**2))
    mean, square = gain @ probability, gain**2 @ probability
    if problem.intercept:
        centre, spread = _intercept(problem, spectrum, log_rho, log_sigma)
        per_unit = spectrum.V @ (rho * s * spectrum.one[:, np.newaxis] / (1 + rho * s**2))
        first, second = marginal(centre), marginal(centre**2 + spread**2)
        mean = mean - per_unit @ first
        square = square - 2 * (gain * per_unit) @ first + per_unit**2 @ second
    free = 1 - np.sum(spectrum.V**2, axis=1)
    inner = spectrum.V**2 @ (rho / (1 + rho * s**2)) + np.multiply.outer(free, rho)
    return mean, np.sqrt(inner @ variance + square - mean**2)


def _intercept(problem, spectrum, log_rho, log_sigma):
    """Mean and sd of (intercept - its prior mean) given the scales."""
    _, oy, oo, _ = spectrum.products(log_rho)
    precision = np.exp(2 * log_sigma) / problem.intercept.sd**2 + oo
    return oy / precision, np.exp(log_sigma) / np.sqrt(precision)


def _leave_one_out(problem, spectrum, rho, sigma):
    """log p(y_i | the other y, scales), (draw, observation): everything else integrated out."""
    weight = 1 / (1 + np.multiply.outer(rho, spectrum.s**2)) - 1
    y = problem.y - (problem.intercept.mean if problem.intercept else 0.0)
    diagonal = 1 + weight @ (spectrum.U**2).T
    solved = y + (weight * spectrum.y) @ spectrum.U.T
    if problem.intercept:
        one = 1 + (weight * spectrum.one) @ spectrum.U.T
        _, oy, oo, _ = spectrum.products(np.log(rho))
        precision = sigma**2 / problem.intercept.sd**2 + oo
        diagonal = diagonal - one**2 / precision[:, np.newaxis]
        solved = solved - one * (oy / precision)[:, np.newaxis]
    sd = sigma[:, np.newaxis] / np.sqrt(diagonal)
    return log_density(solved / diagonal, 0.0, sd)
