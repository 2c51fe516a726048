"""The normal prior, exactly: closed form given the scales, the two scales by quadrature.

Given the scales everything is closed (``spectrum``) and depends on their ratio ρ = (scale / σ)²
alone. The posterior of (log ρ, log σ) is laid on a fine grid at the price of a line; its sum is the
evidence. Draws are independent: a cell of the grid by its probability, a point in the cell, then
the unshrunk coefficients α and the weights β. Nothing here is a chain. The mixture over the grid
also gives mean and variance of each coefficient in closed form, to which the draws are held by the
check of this kind of inference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models.linear.singular import loses_digits
from bayesinf.models.linear.spectrum import Spectrum, moments

if TYPE_CHECKING:
    from bayesinf.models.linear.definition import Regression

__all__ = [
    "DEPTH",
    "REACH",
    "WIDENINGS",
    "Posterior",
    "Spectrum",
    "axis",
    "bounds",
    "open_ended",
    "weighted_median",
    "widened",
]

GRID = 256  # cells a side, about 0.05 posterior sd each: a variance comes out 2e-4 too large
SEARCH = 1024  # cells along log ρ where the search begins, which no mode slips through
DEPTH = 20.0  # cells whose log density lies this far below the highest are outside the grid
REACH = 30.0  # where the search begins: e-folds around the data's own scales
FLOOR = -3.0  # sd of the noise prior below its median, where the profile of σ ends
WIDENINGS = 8  # times that the search reaches further where the posterior touches its edge


class Scales:
    """The posterior of (log ρ, log σ), on axes (a, b) in which it is compact.

    With both scales inferred a = log ρ and b is log σ less its profile at that ρ, which takes out
    the narrow ridge along which the data fix only the sum of signal and noise. With one of them
    fixed, one axis is left; with both, a point.
    """

    def __init__(self, problem: Regression, spectrum: Spectrum):
        self.problem, self.spectrum = problem, spectrum
        self.count = problem.design.count
        self.log_jacobian = problem.design.total_log_jacobian
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
        value = self.spectrum.products(log_rho).log_density(np.exp(log_sigma), self.count)
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
        boxes, cells, wide = self._boxes(), (SEARCH, GRID), 0
        while True:
            (a, step_a), (b, step_b) = (axis(*box, n) for box, n in zip(boxes, cells, strict=True))
            a, b = a[:, np.newaxis], b[np.newaxis, :]
            value = self.log_density(a, b)
            deep = value > np.max(value) - DEPTH
            along = deep.any(1), deep.any(0)
            touches = any(len(inside) > 1 and (inside[0] or inside[-1]) for inside in along)
            # What has been narrowed ends where the density is negligible, whatever rounding says.
            if touches and cells[0] == SEARCH:
                wide += 1
                if wide > WIDENINGS:
                    raise open_ended()
                boxes = [widened(*one) for one in zip(boxes, along, strict=True)]
                continue
            found = [
                bounds(a[:, 0], step_a, along[0]),
                bounds(b[0], step_b, along[1]),
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
        s, design = self.spectrum.s, self.problem.design
        spread = 0.5 * np.log(design.square / design.count + np.finfo(float).tiny)
        if self.scale is not None and self.sigma is not None:
            return [(0.0, 0.0), (0.0, 0.0)]
        if self.scale is not None:
            return [(0.0, 0.0), (spread - REACH, spread + REACH)]
        rho = (-2 * np.log(s[0]) - REACH, -2 * np.log(s[-1]) + REACH)
        if self.sigma is not None:
            return [rho, (0.0, 0.0)]
        return [rho, (-REACH / 6, REACH / 6 + 2 * DEPTH / self.count)]

    def _profile(self, log_rho):
        # Where the data alone would send σ to zero, the far end of its prior holds it.
        floor = float(self.problem.noise.from_normal(FLOOR)) ** 2
        return 0.5 * np.log((self.spectrum.products(log_rho).square + floor) / self.count)


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


def open_ended() -> FitError:
    """What is raised where a posterior of scales has no end."""
    return FitError(
        "the posterior of scale and noise does not end within reach: data and "
        "priors leave one of them open; state a narrower prior of it"
    )


def weighted_median(x: np.ndarray, weight: np.ndarray) -> float:
    """The value with half of the weight on either side; x broadcasts against the weight."""
    x = np.broadcast_to(x, weight.shape).ravel()
    order = np.argsort(x)
    return float(x[order[np.searchsorted(np.cumsum(weight.ravel()[order]), 0.5)]])


def axis(low: float, high: float, cells: int) -> tuple[np.ndarray, float]:
    """Centres and width of even cells; one point of width zero where the ends meet."""
    if low == high:
        return np.array([low]), 0.0
    edges = np.linspace(low, high, cells + 1)
    return (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]


def bounds(centres: np.ndarray, step: float, inside: np.ndarray) -> tuple[float, float]:
    """Ends of what lies inside, a step further on either side."""
    kept = centres[inside]
    return kept[0] - step, kept[-1] + step


def widened(box: tuple[float, float], inside: np.ndarray) -> tuple[float, float]:
    """The box, longer by its length at each end that the posterior touches."""
    low, high = box
    length = high - low if len(inside) > 1 else 0.0
    return low - length * inside[0], high + length * inside[-1]


class Posterior:
    """The posterior of a regression whose prior is ``Normal``, in closed form.

    Parameters
    ----------
    problem : one regression, no groups.
    fully : whether features are decomposed to the last digit of each column where the data decide
        nearly dependent ones.
    """

    def __init__(self, problem: Regression, *, fully: bool = True):
        self.problem = problem
        self.spectrum = Spectrum.of(problem.design)
        self.scales = Scales(problem, self.spectrum)
        if fully and self._loses_digits():
            self.spectrum = Spectrum.of(problem.design, fully=True)
            self.scales = Scales(problem, self.spectrum)

    def _loses_digits(self):
        shape, s = self.problem.design.A.shape, self.spectrum.s
        if not loses_digits(shape, s, np.inf):
            return False
        try:
            log_rho = self.scales.coordinates(*self.scales.grid.axes)[0]
        except FitError:  # of what is rounding there may be no end
            return True
        return loses_digits(shape, s, np.max(log_rho))

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
        scales, sigma = self.scales, np.exp(log_sigma)
        beta, alpha, seen = self.spectrum.draw(rng, log_rho, sigma)
        draws = {"beta": beta, "alpha": alpha}
        draws |= {"scale": sigma * np.exp(log_rho / 2)} if scales.scale is None else {}
        draws |= {"sigma": sigma} if scales.sigma is None else {}
        return draws, self.spectrum.leave_one_out(self.problem.design, log_rho, sigma, seen)

    def condition_number(self) -> float:
        """Condition number of what the data decide, at the median ratio of scale to noise."""
        grid = self.scales.grid
        log_rho = self.scales.coordinates(*grid.axes)[0]
        return self.spectrum.condition_number(weighted_median(log_rho, grid.weight))

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and sd of each coefficient f in closed form, the scales summed over the grid."""
        grid = self.scales.grid
        at = self.scales.coordinates(*grid.axes)
        return moments(self.spectrum, self.problem.coefficient_map(), *at, grid.weight)
