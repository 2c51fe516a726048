"""The best place of a score over the unit cube: a scan, then ascents by its gradient.

Integers stay whole all along: every place that is looked at has been snapped to them, ascents move
the other inputs alone, and between ascents each integer may take a step up or down.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bayesinf.inference.ascents import climb
from bayesinf.optimisation.campaign import Campaign
from bayesinf.optimisation.rules import Score

__all__ = ["apart", "ascents", "candidates", "climbed", "spread"]

SCAN, MORE, MOST = 256, 64, 1024  # places of a scan, more for each input, and most
AROUND, SCALES = 8, (0.1, 0.01, 0.001)  # places around each of the best, at each distance
CLOSE = 0.1  # of the cube's side, within which two places of a scan lead to the same ascent
ROUNDS = 5  # of ascents and integer steps, at most
EVALUATIONS = 60  # of one ascent


def spread(campaign: Campaign, count: int, rng: np.random.Generator) -> np.ndarray:
    """Spread places evenly over the unit cube, by a scrambled Sobol sequence; integers whole."""
    from scipy.stats import qmc

    power = int(np.ceil(np.log2(max(count, 1))))
    points = qmc.Sobol(len(campaign.inputs), rng=rng).random_base2(power)[:count]
    return campaign.snapped(points)


def candidates(
    campaign: Campaign,
    best: np.ndarray,
    rng: np.random.Generator,
    count: int | None = None,
    around: int = AROUND,
) -> np.ndarray:
    """Return places for a scan, (place, input): all over the cube, and around the best known.

    Parameters
    ----------
    campaign : which inputs there are.
    best : in the unit cube, (place, input).
    rng : generator.
    count : how many all over the cube.
    around : how many at each distance from each of the best.
    """
    size = len(campaign.inputs)
    count = min(SCAN + MORE * size, MOST) if count is None else count
    found = [spread(campaign, count, rng), best]
    for scale in SCALES:
        step = scale * rng.standard_normal((len(best), around, size))
        found.append((best[:, None] + step).reshape(-1, size))
    return campaign.snapped(np.vstack(found))


def apart(points: np.ndarray, height: np.ndarray, count: int) -> np.ndarray:
    """Return the numbers of the highest points that are apart from each other, so many at most."""
    left, chosen = np.where(np.isfinite(height), height, -np.inf), []
    while len(chosen) < count and left.max() > -np.inf:
        chosen.append(int(np.argmax(left)))
        left[np.max(np.abs(points - points[chosen[-1]]), axis=1) <= CLOSE] = -np.inf
    return np.array(chosen, dtype=int)


def climbed(
    score: Score, start: np.ndarray, campaign: Campaign, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Climb from several places side by side.

    Parameters
    ----------
    score : what is climbed.
    start : (ascent, input).
    campaign : which inputs are integers.
    rows : what ``score`` is told of each ascent, (ascent,).

    Returns
    -------
    scores, (ascent,), and places, (ascent, input).
    """
    rows = np.arange(len(start)) if rows is None else rows
    whole = campaign.integer
    point, moving = start.copy(), np.arange(len(start))
    value, _ = score(point, rows, False)
    value = value.copy()
    for _ in range(ROUNDS):
        if not whole.all():

            def steep(x, k, moving=moving):
                return score(x, rows[moving[k]], True)

            ends = climb(steep, point[moving], 0.0, 1.0, held=whole, most=EVALUATIONS)
            value[moving], point[moving] = ends
        if not whole.any():
            break
        around, of = _neighbours(point[moving], moving, campaign)
        heights, _ = score(around, rows[of], False)
        further = []
        for k in moving:
            mine = np.flatnonzero(of == k)
            best = mine[np.argmax(heights[mine])]
            if heights[best] > value[k]:
                value[k], point[k] = heights[best], around[best]
                further.append(k)
        moving = np.array(further, dtype=int)
        if not len(moving):
            break
    return value, point


def ascents(
    score: Score, points: np.ndarray, campaign: Campaign, starts: int
) -> Iterator[tuple[float, np.ndarray]]:
    """Climb from the best places of a scan, apart from each other, the best end first.

    Yields
    ------
    score and place; then, without ascent, the rest of the scan by its score.
    """
    height, _ = score(points, None, False)
    begun = apart(points, height, starts)
    if len(begun):
        values, ends = climbed(score, points[begun], campaign)
        for k in np.argsort(-values):
            yield float(values[k]), ends[k]
    for k in np.argsort(-height, kind="stable"):
        yield float(height[k]), points[k]


def _neighbours(points, numbers, campaign):
    """Places one step of an integer away, (place, input), and the number of where from."""
    x, found, of = campaign.from_unit(points), [], []
    for number, point, values in zip(numbers, points, x, strict=True):
        for k, one in enumerate(campaign.inputs):
            for step in (-1, 1):
                if one.integer and one.low <= values[k] + step <= one.high:
                    at = point.copy()
                    at[k] = one.to_unit(values[k] + step)
                    found.append(at)
                    of.append(number)
    return np.array(found), np.array(of)
