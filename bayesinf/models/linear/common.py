"""Regressions in groups that have one angle in common: y_g = X_g(α) f_g + Z_g γ_g + ε_g.

Given the angle everything is in closed form (``shared``), the evidence p(y | α) too, so its
posterior lies on even cells of its turn, of which only those are evaluated that hold any of it:
they are found from the peaks of the evidence at one scale, wherever on the turn these are. Draws
are independent: a cell by its probability, α in the cell, the scales from the grid of the cell's
centre, then the coefficients at the drawn α and scales. The last step is taken at α itself because
where coefficients and α make up for each other, those of the centre would not fit the data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from bayesinf.models.linear import boxes, shared
from bayesinf.models.linear.definition import Regression
from bayesinf.models.linear.exact import DEPTH

__all__ = ["Peak", "Posterior", "peaks"]

SCAN = 24  # angles of a turn at which peaks are looked for: the log evidence is smooth, not sharp
STEP = 0.5  # width of a cell, in sd of the narrowest peak; draws follow the slope within it
FEWEST = 32  # cells of a turn
SHARP = 1e-9  # share of a turn to which a peak is found
NEGLIGIBLE = 1e-7  # probability of cells that moments leave out
THIN = 2  # of the scales' cells, about a quarter of an sd wide: half an sd sums as well
KEPT = 2**29  # bytes of posteriors that are kept

At = Callable[[float], Regression]


@dataclass(frozen=True)
class Peak:
    """A peak of the evidence at one scale of the prior.

    Parameters
    ----------
    angle : where it is.
    log_evidence : there.
    sd : of the normal density that is as sharp.
    """

    angle: float
    log_evidence: float
    sd: float


def peaks(at: At, turn: float) -> list[Peak]:
    """Find the peaks of the evidence along the turn, the highest first.

    The scale is held, which makes an evaluation cheap and moves peaks by little.

    Parameters
    ----------
    at : angle to the regression in groups, its prior normal.
    turn : the length after which the evidence repeats.
    """
    from scipy.optimize import minimize_scalar

    one = at(0.0).prior
    if "scale" in one.inferred:
        # At a wrong angle coefficients are small: of two far apart the one where they are larger.
        ends = shared.Posterior(at(0.0)), shared.Posterior(at(turn / 2))
        one = replace(one, scale=float(max(end.typical_scale for end in ends)))

    def value(angle):
        return shared.Posterior(replace(at(angle), prior=one)).log_evidence

    step = turn / SCAN
    angles = step * np.arange(SCAN)
    values = np.array([value(angle) for angle in angles])
    high = (values >= np.roll(values, 1)) & (values >= np.roll(values, -1))
    found = []
    for angle in angles[high]:
        best = minimize_scalar(
            lambda x: -value(x),
            bounds=(angle - step, angle + step),
            method="bounded",
            options={"xatol": SHARP * turn},
        )
        found.append(Peak(float(best.x), -float(best.fun), _sd(value, best.x, -best.fun, step)))
    return sorted(found, key=lambda peak: -peak.log_evidence)


def _sd(value, angle, top, width):
    """Width of a peak at which it has fallen by about as much as a normal density at its sd."""
    most = width
    for _ in range(8):
        fall = top - (value(angle - width) + value(angle + width)) / 2
        if 0.1 < fall < 2.0 or (width == most and fall < 0.1):
            break
        width = min(width / np.sqrt(2 * max(fall, 1e-2)), most)
    return width / np.sqrt(2 * max(fall, 1e-2))


class Posterior:
    """The posterior of regressions in groups with an angle in common, flat in its prior.

    Parameters
    ----------
    at : angle to the regression in groups, of as many rows each.
    low : where the turn begins on which α is laid.
    turn : its length; beyond it the evidence repeats.
    tops : peaks of the evidence, the highest first.
    """

    def __init__(self, at: At, low: float, turn: float, tops: list[Peak]):
        self.at, self.low, self.turn, self.tops = at, low, turn, tops
        relevant = [t.sd for t in tops if t.log_evidence > tops[0].log_evidence - 2 * DEPTH]
        self.count = max(FEWEST, int(np.ceil(turn / (STEP * min(relevant)))))
        self.step = turn / self.count
        one = at(low)
        grids = np.prod(shared.SUMS) + np.prod(shared.DRAWS)
        size = 3 * one.X.size + len(one.designs) * (one.weights**2 + grids)
        self._given = lru_cache(max(2, int(KEPT // (8 * size))))(self._of_cell)

    @cached_property
    def _start(self):
        """The posterior at the highest peak, near which all others begin their search."""
        return shared.Posterior(self.at(self.tops[0].angle))

    def _centre(self, cell):
        return self.low + self.step * (cell + 0.5)

    def _of_cell(self, cell):
        """The posterior given α in the middle of a cell."""
        centre, half = self._centre(cell), self.turn / 2
        apart = abs((centre - self.tops[0].angle + half) % self.turn - half)
        near = self._start if apart < self.turn / SCAN else None
        return shared.Posterior(self.at(centre), near)

    @cached_property
    def _laid(self):
        """Cells that hold the posterior, and their boxes."""
        waiting = [int((t.angle - self.low) % self.turn / self.step) for t in self.tops]
        waiting, values, top = waiting[::-1], {}, -np.inf
        while waiting:
            cell = waiting.pop() % self.count
            if cell in values:
                continue
            values[cell] = self._given(cell).log_evidence
            top = max(top, values[cell])
            if values[cell] > top - DEPTH:
                waiting += [cell - 1, cell + 1]
        cells = np.array(sorted(values))
        value = np.array([values[cell] for cell in cells])
        centre = self._centre(cells)[:, np.newaxis]
        width = np.full_like(centre, self.step)
        return cells, boxes.laid(lambda _: value, centre, width)

    @property
    def log_evidence(self) -> float:
        """Log p(y), all parameters integrated out."""
        # Even cells sum a smooth density that ends, or is periodic, to many more digits than boxes.
        value = self._laid[1].value
        return float(np.logaddexp.reduce(value) + np.log(self.step / self.turn))

    def draw(self, rng: np.random.Generator, size: int) -> dict[str, np.ndarray]:
        """Draw independently: ``angle`` (size,), and all else as ``Regression.outer`` takes it."""
        cells, laid = self._laid
        box, points, _ = laid.draw(rng, size)
        draws, problem = {"angle": points[:, 0]}, self.at(self.low)
        groups = len(problem.designs)
        scale, sigma = np.empty(size), np.empty((size, groups))
        for one in np.unique(box):
            here = np.flatnonzero(box == one)
            scale[here], sigma[here] = self._given(cells[one]).draw_scales(rng, len(here))
        beta = np.empty((size, groups, problem.weights))
        alpha = np.empty((size, groups, len(problem.free)))
        for k, angle in enumerate(draws["angle"]):
            alpha[k], beta[k] = _conditional(self.at(angle), scale[k], sigma[k], rng)
        draws |= {"beta": beta, "alpha": alpha}
        draws |= {"scale": scale} if "scale" in problem.prior.inferred else {}
        return draws | ({} if problem.noise_fixed else {"sigma": sigma})

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and sd of each coefficient f, mixed over the cells, (group, feature)."""
        cells, laid = self._laid
        kept = laid.share > NEGLIGIBLE
        weight = laid.share[kept] / laid.share[kept].sum()
        each = [self._given(cell).moments(THIN) for cell in cells[kept]]
        means, sds = (np.stack(part) for part in zip(*each, strict=True))
        mean = np.tensordot(weight, means, 1)
        # About the overall mean, never as a difference of squares.
        return mean, np.sqrt(np.tensordot(weight, sds**2 + (means - mean) ** 2, 1))

    def angle_moments(self) -> tuple[float, float]:
        """Mean and sd of the angle."""
        mean, sd = self._laid[1].moments()
        return float(mean[0]), float(sd[0])

    def condition_number(self) -> float:
        """Largest condition number of a group in the most probable cell."""
        cells, laid = self._laid
        return self._given(cells[np.argmax(laid.share)]).condition_number()


def _conditional(problem, scale, sigma, rng):
    """Draw the coefficients of every group given angle and scales: α, (group, free), and β.

    With prior rows below the data M x = t is a least squares problem; R x = Qᵀt + z, z ~ N(0, 1).
    """
    designs = problem.designs
    M = np.stack([np.column_stack([d.stacked, d.t]) for d in designs]) / sigma[:, None, None]
    free, columns = len(problem.free), M.shape[2] - 1
    prior = np.eye(columns, columns + 1)
    prior[np.arange(free, columns), np.arange(free, columns)] = 1 / scale
    prior = np.broadcast_to(prior, (len(M), *prior.shape))
    R = np.linalg.qr(np.concatenate([M, prior], axis=1), mode="r")[:, :columns]
    target = R[..., columns] + rng.standard_normal((len(M), columns))
    x = np.linalg.solve(R[..., :columns], target[..., np.newaxis])[..., 0]
    return x[:, :free], x[:, free:]
