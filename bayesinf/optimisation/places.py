"""The best place of a score over the unit cube: a scan, then ascents by its gradient.

Integers stay whole all along: every place that is looked at has been snapped to them, ascents move
the other inputs alone, and between ascents each integer may take a step up or down.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bayesinf.optimisation.campaign import Campaign
from bayesinf.optimisation.rules import Score

__all__ = ["ascents", "candidates", "spread"]

SCAN, MORE, MOST = 256, 64, 1024  # places of a scan, more for each input, and most
AROUND, SCALES = 8, (0.1, 0.01, 0.001)  # places around each of the best, at each distance
CLOSE = 0.05  # of the cube's side, within which two places of a scan lead to the same ascent
ROUNDS = 5  # of ascents and integer steps, at most
EVALUATIONS = 60  # of one ascent


def spread(campaign: Campaign, count: int, rng: np.random.Generator) -> np.ndarray:
    """Spread places evenly over the unit cube, by a scrambled Sobol sequence; integers whole."""
    from scipy.stats import qmc

    power = int(np.ceil(np.log2(max(count, 1))))
    points = qmc.Sobol(len(campaign.inputs), rng=rng).random_base2(power)[:count]
    return campaign.snapped(points)


def candidates(
    campaign: Campaign, best: np.ndarray, rng: np.random.Generator, count: int | None = None
) -> np.ndarray:
    """Return places for a scan, (place, input): all over the cube, and around the best known.

    Parameters
    ----------
    campaign : which inputs there are.
    best : in the unit cube, (place, input).
    rng : generator.
    count : how many all over the cube.
    """
    size = len(campaign.inputs)
    count = min(SCAN + MORE * size, MOST) if count is None else count
    found = [spread(campaign, count, rng), best]
    for scale in SCALES:
        step = scale * rng.standard_normal((len(best), AROUND, size))
        found.append((best[:, None] + step).reshape(-1, size))
    return campaign.snapped(np.vstack(found))


def ascents(
    score: Score, points: np.ndarray, campaign: Campaign, starts: int
) -> Iterator[tuple[float, np.ndarray]]:
    """Climb from the best places of a scan, apart from each other, the best end first.

    Parameters
    ----------
    score : points, (place, input), and whether slopes are wanted -> values and gradients.
    points : of the scan.
    campaign : which inputs are integers.
    starts : ascents.

    Yields
    ------
    score and place; then, without ascent, the rest of the scan by its score.
    """
    height, _ = score(points, False)
    order = np.argsort(-height, kind="stable")
    begun: list[np.ndarray] = []
    for k in order:
        if len(begun) == starts or not np.isfinite(height[k]):
            break
        if all(np.max(np.abs(points[k] - other)) > CLOSE for other in begun) or not begun:
            begun.append(points[k])
    ends = [_climbed(score, start, campaign) for start in begun]
    yield from sorted(ends, key=lambda end: -end[0])
    for k in order:
        yield float(height[k]), points[k]


def _climbed(score, start, campaign):
    """Climb from one place: score and place of the end."""
    whole = campaign.integer
    free = ~whole
    point = start.copy()
    value = float(score(point[None], False)[0][0])
    for _ in range(ROUNDS):
        if free.any():
            value, point = _ascent(score, point, value, free)
        if not whole.any():
            break
        around = _neighbours(point, campaign)
        heights, _ = score(around, False)
        if heights.max() <= value:
            break
        value, point = float(heights.max()), around[np.argmax(heights)]
    return value, point


def _ascent(score, point, value, free):
    """Climb along the inputs that are free, within the cube."""
    from scipy.optimize import minimize

    def downhill(x):
        at = point.copy()
        at[free] = x
        height, slope = score(at[None], True)
        if not np.isfinite(height[0]):
            return 1e10, np.zeros(len(x))
        return -float(height[0]), -slope[0][free]

    end = minimize(
        downhill,
        point[free],
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, 1.0)] * int(free.sum()),
        options={"maxfun": EVALUATIONS, "ftol": 1e-10, "gtol": 1e-8},
    )
    if -end.fun <= value:
        return value, point
    found = point.copy()
    found[free] = np.clip(end.x, 0.0, 1.0)
    return -float(end.fun), found


def _neighbours(point, campaign):
    """Places one step of an integer away, each."""
    x = campaign.from_unit(point[None])[0]
    found = []
    for k, one in enumerate(campaign.inputs):
        for step in (-1, 1):
            if one.integer and one.low <= x[k] + step <= one.high:
                at = point.copy()
                at[k] = one.to_unit(x[k] + step)
                found.append(at)
    return np.array(found)
