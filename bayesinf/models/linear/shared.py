"""Many regressions under a normal prior whose scale they share, exactly.

Given the scale they know nothing of each other, so the evidence of a scale is a product,

    p(y | scale) = Π_g ∫ p(y_g | scale, σ_g) p(σ_g) dσ_g,

of integrals over one σ each, and its posterior lies on one axis. Draws are independent: the scale,
then σ of every group, then its coefficients from its own singular value decomposition, which groups
with the same features share. The cost is that of the groups one by one, and no matrix knows two of
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy

from bayesinf.models.linear.design import Design
from bayesinf.models.linear.exact import (
    DEPTH,
    REACH,
    WIDENINGS,
    Grid,
    axis,
    bounds,
    open_ended,
    weighted_median,
    widened,
)
from bayesinf.models.linear.spectrum import Spectrum, moments

if TYPE_CHECKING:
    from bayesinf.models.linear.definition import Regression

__all__ = ["Posterior"]

# Cells along log scale and log σ. Sums over smooth peaks are as good as exact once a cell is no
# wider than their sd; draws, which are even within a cell, want narrower ones.
SEARCH = 256
SUMS = 64, 48
DRAWS = 128, 64
LATTICE = 512  # values of log ρ at which a group is first looked at
ROUNDS = 40  # of narrowing and widening σ at most


@dataclass(frozen=True)
class Rows:
    """The density of one group's σ at several scales, each on even cells of its own.

    Parameters
    ----------
    low, step : where the cells of log σ begin, and their width, (scale,).
    value : log density of the group's data and of log σ, (scale, cell).
    """

    low: np.ndarray
    step: np.ndarray
    value: np.ndarray

    @property
    def log_sigma(self) -> np.ndarray:
        """Centres of the cells, (scale, cell)."""
        return _centres(self.low, self.step, self.value.shape[1])

    @property
    def log_integral(self) -> np.ndarray:
        """log p(y_g | scale), (scale,)."""
        area = np.where(self.step > 0, self.step, 1.0)
        return scipy.special.logsumexp(self.value, axis=1) + np.log(area)

    @property
    def weight(self) -> np.ndarray:
        """Probability of each cell given the scale, (scale, cell)."""
        weight = np.exp(self.value - self.value.max(axis=1, keepdims=True))
        return weight / weight.sum(axis=1, keepdims=True)


class Member:
    """One of the regressions.

    Parameters
    ----------
    problem : all of them.
    design : of this one.
    like : spectrum of another one of the same features and columns; None where there is none.
    """

    def __init__(self, problem: Regression, design: Design, like: Spectrum | None):
        self.design, self.spectrum = design, Spectrum.of(design, like)
        self.noise = None if problem.noise_fixed else problem.noise
        self.log_sigma = np.log(float(problem.noise)) if problem.noise_fixed else None
        self.log_jacobian = design.total_log_jacobian

    @property
    def spread(self) -> float:
        """Log of the root mean square of the data."""
        return float(0.5 * np.log(self.design.square / self.design.count + np.finfo(float).tiny))

    def log_density(self, log_rho, log_sigma, seen=None) -> np.ndarray:
        """Log density of the data at some scales, and of log σ where it is inferred."""
        seen, sigma = seen or self.spectrum.products(log_rho), np.exp(log_sigma)
        value = seen.log_density(sigma, self.design.count) + self.log_jacobian
        return value if self.noise is None else value + self.noise.log_density(sigma) + log_sigma

    def window(self, log_scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where log σ lies at each scale, roughly: its ends, (scale,) each.

        On a lattice of ρ that all scales share, what costs the size of the data is paid once.
        """
        if self.noise is None:
            return np.full((2, len(log_scale)), self.log_sigma)
        ends = log_scale[[0, -1]] - self.spread
        log_rho = np.linspace(2 * ends[0] - 2 * REACH, 2 * ends[1] + 2 * REACH, LATTICE)
        log_sigma = log_scale[:, np.newaxis] - log_rho / 2
        value = self.log_density(log_rho, log_sigma, self.spectrum.products(log_rho))
        first, last = _ends(value)
        cells, index = np.arange(len(log_scale)), np.arange(LATTICE)
        # σ falls along ρ; one step further on either side, as peaks hide between the points.
        return (
            log_sigma[cells, np.minimum(last + 1, index[-1])],
            log_sigma[cells, np.maximum(first - 1, 0)],
        )

    def rows(self, log_scale: np.ndarray, low: np.ndarray, high: np.ndarray, cells: int) -> Rows:
        """The density of σ at each scale, on cells that hold it tightly.

        Parameters
        ----------
        log_scale : (scale,).
        low, high : where to look first, (scale,) each.
        cells : at each scale.

        Raises
        ------
        FitError : σ has no end within reach.
        """
        if self.noise is None:
            log_sigma = np.full((len(log_scale), 1), self.log_sigma)
            value = self.log_density(2 * (log_scale[:, np.newaxis] - log_sigma), log_sigma)
            return Rows(low, np.zeros(len(log_scale)), value)
        low, high = np.array(low), np.array(high)
        value, left = np.empty((len(low), cells)), np.arange(len(low))
        for _ in range(ROUNDS):
            length = high[left] - low[left]
            step = length / cells
            log_sigma = _centres(low[left], step, cells)
            log_rho = 2 * (log_scale[left, np.newaxis] - log_sigma)
            value[left] = found = self.log_density(log_rho, log_sigma)
            first, last = _ends(found)
            # A cell to spare on either side, so that what has been narrowed is not open again.
            below = np.where(first == 0, -length / 4, step * (first - 1))
            above = np.where(last == cells - 1, 1.25 * length, step * (last + 2))
            done = (first > 0) & (last < cells - 1) & (above - below >= 0.7 * length)
            if np.all(done):
                return Rows(low, (high - low) / cells, value)
            start, left = low[left[~done]], left[~done]
            low[left], high[left] = start + below[~done], start + above[~done]
        raise open_ended()


def _centres(low, step, cells):
    return low[:, np.newaxis] + step[:, np.newaxis] * (np.arange(cells) + 0.5)


def _ends(value):
    """First and last cell of each row that is not negligible."""
    inside = value > value.max(axis=1, keepdims=True) - DEPTH
    return inside.argmax(axis=1), inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)


class Posterior:
    """The posterior of regressions that share the scale of their normal prior, in closed form.

    Parameters
    ----------
    problem : with groups.
    near : the posterior of a problem that differs by little, on whose grid the search begins.
    """

    def __init__(self, problem: Regression, near: Posterior | None = None):
        self.problem, self.near, self.members = problem, near, []
        for design in problem.designs:
            alike = (m for m in self.members if m.design.alike(design))
            like = next(alike, None)
            self.members.append(Member(problem, design, like and like.spectrum))

    def _laid(self, log_scale, windows, cells) -> tuple[np.ndarray, list[Rows]]:
        """Log density of data and log scale, (scale,), and the σ of every group."""
        found = [
            member.rows(log_scale, *window, cells)
            for member, window in zip(self.members, windows, strict=True)
        ]
        value = sum(rows.log_integral for rows in found)
        prior = self.problem.prior
        if "scale" in prior.inferred:
            value = value + prior.scale.log_density(np.exp(log_scale)) + log_scale
        return value, found

    @cached_property
    def _sums(self) -> tuple[Grid, list[Rows]]:
        """The grid on which sums are taken: of the scale, and of σ of every group beside it.

        Raises
        ------
        FitError : the posterior does not end within reach.
        """
        if "scale" in self.problem.prior.fixed:
            a = np.log([self.problem.prior.fixed["scale"]])
            value, found = self._laid(a, [m.window(a) for m in self.members], SUMS[1])
            return _grid(a, 0.0, value), found
        box, cells, wide, a, found = self._box(), SEARCH, 0, None, None
        if self.near is not None:
            grid, found = self.near._sums
            a, half = grid.axes[0][:, 0], grid.steps[0] / 2
            box, cells = (a[0] - half, a[-1] + half), SUMS[0]
        while True:
            before = a, found
            a, step = axis(*box, cells)
            value, found = self._laid(a, self._windows(a, *before), SUMS[1])
            inside = value > value.max() - DEPTH
            if inside[0] or inside[-1]:
                wide += 1
                if wide > WIDENINGS:
                    raise open_ended()
                box, a = widened(box, inside), None
                continue
            # A cell to spare, as in ``rows``.
            low, high = bounds(a, step, inside)
            narrow = low - step / 2, high + step / 2
            if np.ptp(narrow) >= 0.7 * np.ptp(box):
                return _grid(a, step, value), found
            box, cells = narrow, SUMS[0]

    @cached_property
    def _draws(self) -> tuple[Grid, list[Rows]]:
        """The finer grid from which draws are made."""
        (grid, found), (cells, across) = self._sums, DRAWS
        a, step = grid.axes[0][:, 0], grid.steps[0]
        windows = self._windows(a, a, found)
        if step > 0:
            fine, step = axis(a[0] - step / 2, a[-1] + step / 2, cells)
            windows, a = self._windows(fine, a, found), fine
        value, found = self._laid(a, windows, across)
        return _grid(a, step, value), found

    def _windows(self, log_scale, before, found):
        """Where to look for σ of every group: near what is known, or anew."""
        if before is None:
            return [member.window(log_scale) for member in self.members]
        ends = [(rows.low, rows.low + rows.step * rows.value.shape[1]) for rows in found]
        return [tuple(np.interp(log_scale, before, end) for end in both) for both in ends]

    def _box(self):
        """Where the search begins: wherever a singular value begins or ceases to matter."""
        spread = [member.spread for member in self.members]
        s = np.log([member.spectrum.s[[0, -1]] for member in self.members])
        return np.min(spread - s[:, 0]) - REACH, np.max(spread - s[:, 1]) + REACH / 2

    @property
    def log_evidence(self) -> float:
        """Log p(y), all parameters integrated out."""
        return self._sums[0].log_evidence

    def draw(self, rng: np.random.Generator, size: int) -> tuple[dict, np.ndarray]:
        """Draw independently.

        Returns
        -------
        draws, (size, ...), as ``Regression.outer`` takes them; and the log density of each y_i
        given the others and the scales, (size, observation).
        """
        groups, (cell, log_scale) = len(self.members), self._scale(rng, size)
        beta = np.empty((size, groups, self.problem.weights))
        alpha, sigma = np.empty((size, groups, len(self.problem.free))), np.empty((size, groups))
        marginal = np.empty((size, len(self.problem.y)))
        for g, member in enumerate(self.members):
            log_sigma = self._log_sigma(rng, g, cell, log_scale)
            at = 2 * (log_scale - log_sigma), np.exp(log_sigma)
            sigma[:, g] = at[1]
            beta[:, g], alpha[:, g], seen = member.spectrum.draw(rng, *at)
            rows_of = self.problem.groups.rows[g]
            marginal[:, rows_of] = member.spectrum.leave_one_out(member.design, *at, seen)
        draws = {"beta": beta, "alpha": alpha}
        draws |= {"scale": np.exp(log_scale)} if "scale" in self.problem.prior.inferred else {}
        draws |= {} if self.problem.noise_fixed else {"sigma": sigma}
        return draws, marginal

    def draw_scales(self, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw the scale, (size,), and σ of every group, (size, group), coefficients aside."""
        cell, log_scale = self._scale(rng, size)
        log_sigma = [self._log_sigma(rng, g, cell, log_scale) for g in range(len(self.members))]
        return np.exp(log_scale), np.exp(np.stack(log_sigma, axis=1))

    def _scale(self, rng, size):
        """Draw log scale: its cell, and where it is in it."""
        grid, _ = self._draws
        a = grid.axes[0][:, 0]
        cell = rng.choice(len(a), size, p=grid.weight[:, 0])
        return cell, a[cell] + grid.steps[0] * rng.uniform(-0.5, 0.5, size)

    def _log_sigma(self, rng, g, cell, log_scale):
        """Draw log σ of one group given the scale."""
        grid, found = self._draws
        a, rows = grid.axes[0][:, 0], found[g]
        below = np.cumsum(rows.weight, axis=1)[cell] < rng.random((len(cell), 1))
        across = np.minimum(below.sum(axis=1), rows.value.shape[1] - 1)
        low, step = (np.interp(log_scale, a, x) for x in (rows.low, rows.step))
        return low + step * (across + rng.random(len(cell)))

    def moments(self, every: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Mean and sd of each coefficient f in closed form, (group, feature).

        Parameters
        ----------
        every : of the cells of scale and σ, which are narrow, only every so many-th is summed.
        """
        to_f, each = self.problem.coefficient_map(), []
        for member, at, weight in self._mixtures(*self._sums):
            at, weight = (x[::every, ::every] for x in at), weight[::every, ::every]
            weight = weight / weight.sum()
            each.append(moments(member.spectrum, to_f, *at, weight))
        return tuple(np.stack(part) for part in zip(*each, strict=True))

    @property
    def typical_scale(self) -> float:
        """Median of the scale."""
        grid = self._sums[0]
        return float(np.exp(weighted_median(grid.axes[0], grid.weight)))

    def condition_number(self) -> float:
        """Largest condition number of a group, at its median ratio of scale to noise."""
        return max(
            member.spectrum.condition_number(weighted_median(at[0], weight))
            for member, at, weight in self._mixtures(*self._draws)
        )

    def _mixtures(self, grid, found):
        """Of every group log ρ and log σ of the cells, and the probability of each."""
        for member, rows in zip(self.members, found, strict=True):
            log_sigma = rows.log_sigma
            yield member, (2 * (grid.axes[0] - log_sigma), log_sigma), grid.weight * rows.weight


def _grid(a, step, value):
    """A grid that has one axis."""
    return Grid((a[:, np.newaxis], np.zeros((1, 1))), (step, 0.0), value[:, np.newaxis])
