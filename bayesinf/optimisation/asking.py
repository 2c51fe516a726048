"""Where to measure next, and whether to go on.

The first places are spread evenly. After that a surrogate of the values, and one of each constraint
and of failures, says what each place promises by a rule, and the best is found over the continuum.

An expected improvement looks one step ahead, and prefers a large one that may be to a small one
that is nearly sure: where several minima promise, it goes from one to the next and follows none
down. So of exact values every other place is where the mean is lowest, unless that promises next
to nothing beside the other (greedy steps among others: De Ath et al., ACM Transactions on
Evolutionary Learning and Optimization 1, 1 (2021), doi:10.1145/3425501). Under noise that would
measure one place again and again.

Several places are asked for one after the other, each as if those before it, and those that are
pending, had been measured: at each node of the hyperparameters a value is drawn of what would come
(Snoek, Larochelle & Adams, Advances in Neural Information Processing Systems 25, 2951, 2012). So
the improvement that remains is averaged over what the pending ones may bring, where a single
guessed value, as of a Kriging believer, would take that for known. By Thompson sampling each place
is where another drawn curve is lowest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.errors import DataError, FitError
from bayesinf.optimisation import paths, places, rules
from bayesinf.optimisation.campaign import Campaign
from bayesinf.optimisation.feasibility import Classes, classes, log_feasible
from bayesinf.optimisation.surrogate import Surrogate, surrogate
from bayesinf.posterior import dataset
from bayesinf.settings import Settings

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["BEST", "Knowledge", "ask", "known", "recommended"]

WIDTH = 2.0  # sds of the lower confidence bound
STARTS = 5  # ascents of a score
BEST = 5  # evaluations around which a scan looks closer
SURE = 0.01  # of the largest improvement, which the lowest mean must promise to be measured
APART = 1e-7  # of the cube's side, within which two places are one
# Below these shares an expected improvement is not worth a measurement: of the range of the values
# where they are exact; of the sd of the noise otherwise, since to see a tenth of it would take a
# hundred measurements.
EXACT, NOISY = 1e-3, 0.1


@dataclass(frozen=True)
class Knowledge:
    """What a campaign's evaluations tell.

    Parameters
    ----------
    values : surrogate of the value, signed so that the smallest is sought; None without any value.
    parts : of feasibility: surrogates of constraints, and classes of failures.
    allowed : which measured places count, (point,): those that met the constraints, or that are
        imagined where that is likely.
    """

    values: Surrogate | None
    parts: tuple[Surrogate | Classes, ...]
    allowed: np.ndarray

    def imagined(self, points: np.ndarray, rng: np.random.Generator) -> Knowledge:
        """Take measurements at places as if done; arguments as for ``Nodes.imagined``."""
        if self.values is None or not len(points):
            return self
        likely = log_feasible(self.parts, points)[0] >= np.log(rules.LIKELY)
        parts = (p.imagined(points, rng) if isinstance(p, Surrogate) else p for p in self.parts)
        allowed = np.append(self.allowed, likely)
        return Knowledge(self.values.imagined(points, rng), tuple(parts), allowed)


def known(campaign: Campaign, rng: np.random.Generator, **options) -> Knowledge:
    """Infer what the evaluations tell.

    Parameters
    ----------
    campaign : with its evaluations.
    rng : generator.
    **options : ``size``, ``kernels`` and ``bends`` of the surrogate of the values.
    """
    measured, noise = campaign.measured, campaign.noise
    parts = []
    if campaign.failures:
        X = campaign.to_unit([one.x for one in campaign.evaluations])
        parts.append(classes(X, np.array([not one.failed for one in campaign.evaluations])))
    if not measured:
        return Knowledge(None, tuple(parts), np.zeros(0, dtype=bool))
    X = campaign.to_unit([one.x for one in measured])
    y = campaign.sign * np.array([one.y for one in measured])
    values = surrogate(X, y, noise, rng, **options)
    for k in range(len(campaign.constraints)):
        told = np.array([one.constraints[k] for one in measured])
        parts.append(surrogate(X, told, 0.0 if noise == 0 else None, rng))
    return Knowledge(values, tuple(parts), np.array([one.feasible for one in measured]))


def ask(
    campaign: Campaign, count: int = 1, rule: str = rules.RULES[0], *, width: float = WIDTH
) -> xr.Dataset:
    """Say where to measure next.

    Parameters
    ----------
    campaign : with its evaluations; what is pending is taken as under way.
    count : places that are wanted, to be measured side by side.
    rule : ``expected improvement``, ``lower confidence bound`` or ``thompson``.
    width : κ of the lower confidence bound.

    Returns
    -------
    a Dataset over ``candidate``: the inputs by name; ``mean`` and ``sd`` of the value there (of the
    curve, without noise), its ``expected_improvement`` on the incumbent, and the probability that
    it is ``feasible``; NaN where there is no value yet. Attributes ``expected_improvement`` and
    ``scale``, the first place's and what it is compared with, ``stop`` (0 or 1), and ``word``, what
    to make of it. The same campaign gives the same places.

    Raises
    ------
    DataError : an unknown rule, no count.
    FitError : all places were evaluated; no hyperparameters give the evaluations a density.
    """
    if rule not in rules.RULES:
        raise DataError("unknown rule", expected=" or ".join(rules.RULES), found=repr(rule))
    if count != int(count) or count < 1:
        raise DataError("the number of places", expected="an integer from 1", found=count)
    done, waiting = len(campaign.evaluations), len(campaign.pending)
    rng = Settings(seed=campaign.seed).generator("ask", done, waiting)
    return _asked(campaign, int(count), rule, width, rng)


def recommended(campaign: Campaign, knowledge: Knowledge | None = None) -> tuple[float, ...]:
    """Return the place to use, as things stand.

    Of exact values that is where the best was measured; under noise where the mean of the curve is
    best, over all hyperparameters, among places that are possible and allowed with a probability of
    at least a half.

    Parameters
    ----------
    campaign : with its evaluations.
    knowledge : what they tell, where that is known already.

    Raises
    ------
    DataError : nothing was measured.
    """
    if campaign.noise == 0 and campaign.best is not None:
        return campaign.best.x
    rng = Settings(seed=campaign.seed).generator("recommended", len(campaign.evaluations))
    knowledge = known(campaign, rng) if knowledge is None else knowledge
    if knowledge.values is None:
        raise DataError("nothing was measured", expected="a value", found="none")
    point = _deepest(campaign, knowledge, _scan(campaign, knowledge, rng))
    return tuple(map(float, campaign.from_unit(point[None])[0]))


def _asked(campaign, count, rule, width, rng):
    taken = _taken(campaign)
    chosen = _evenly(campaign, min(count, _due(campaign)), taken)
    if done := [one.x for one in campaign.evaluations]:
        seen = campaign.to_unit(done)
    else:
        seen = np.empty((0, len(campaign.inputs)))
    knowledge = known(campaign, rng, bends=True)
    under_way = [*campaign.to_unit(campaign.pending)] if campaign.pending else []
    imagined = (
        knowledge.imagined(np.array(under_way + chosen), rng) if under_way + chosen else knowledge
    )
    scan = _scan(campaign, knowledge, rng)
    left = np.nan
    while len(chosen) < count:
        score = _score(imagined, campaign, rule, width, seen, rng)
        ends = places.ascents(score, scan, campaign, STARTS)
        odd = (len(campaign.evaluations) + len(under_way + chosen)) % 2
        point = None
        if isinstance(score, rules.Improvement) and odd and campaign.noise == 0:
            height, point = _sure(score, campaign, imagined, scan, taken + chosen)
        if point is None:
            height, point = next(ends)
        if isinstance(score, rules.Improvement):
            left = height if np.isnan(left) else left
        while point is not None and _among(point, taken + chosen):
            _, point = next(ends, (None, None))
        chosen.append(_another(campaign, taken + chosen, rng) if point is None else point)
        if len(chosen) < count:
            imagined = imagined.imagined(chosen[-1][None], rng)
            scan = np.vstack([scan, chosen[-1]])
    left = _left(knowledge, campaign, scan) if np.isnan(left) else left
    return _answer(campaign, knowledge, np.array(chosen), rule, left)


def _sure(score, campaign, knowledge, scan, taken):
    """The largest improvement that was seen, and where the mean is lowest, or None.

    None where that promises next to nothing beside the scan's best, or was measured. The scan's
    best stands for the highest ascent, which would cost as much as the rest of the step and hardly
    ever changes which of the two is larger by so much.
    """
    deepest = _deepest(campaign, knowledge, scan)
    best, here = np.max(score(scan)[0]), score(deepest[None])[0][0]
    worth = here >= best + np.log(SURE) and not _among(deepest, taken)
    return float(max(best, here)), deepest if worth else None


def _deepest(campaign, knowledge, scan):
    """Where the mean of the curve is lowest among places that are likely possible and allowed."""
    nodes = knowledge.values.nodes

    def mean(points, rows, slopes):
        value, _, steep, _ = nodes.moments(points, slopes)
        value, slope = nodes.plain(value)
        steep = np.mean(slope[..., None] * steep, axis=0) if slopes else np.zeros(points.shape)
        return value.mean(axis=0), steep

    _, point = next(places.ascents(rules.Lowest(mean, knowledge.parts), scan, campaign, STARTS))
    return point


def _due(campaign):
    """How many places are still to be spread evenly."""
    return max(0, campaign.starts - len(campaign.evaluations) - len(campaign.pending))


def _evenly(campaign, count, taken):
    """The next places of those that are spread evenly."""
    rng = Settings(seed=campaign.seed).generator("starts")
    points = places.spread(campaign, 4 * campaign.starts, rng)
    begin = len(campaign.evaluations) + len(campaign.pending)
    chosen = []
    for point in [*points[begin:], *points[:begin]]:
        if len(chosen) < count and not _among(point, taken + chosen):
            chosen.append(point)
    return chosen


def _taken(campaign):
    """Places that are not to be measured again: none is twice, but of noisy values."""
    once = campaign.evaluations if campaign.noise == 0 else campaign.failures
    taken = [one.x for one in once] + list(campaign.pending)
    return [*campaign.to_unit(taken)] if taken else []


def _among(point, others):
    return any(np.max(np.abs(point - other)) < APART for other in others)


def _another(campaign, taken, rng):
    """A place that is not taken, wherever it is."""
    total = np.prod([one.count for one in campaign.inputs])
    if total <= len(taken):
        raise FitError(f"all {int(total)} places were evaluated, or are pending")
    if np.isfinite(total) and total < 1e6:
        sides = [np.arange(one.low, one.high + 1) for one in campaign.inputs]
        every = np.stack([side.ravel() for side in np.meshgrid(*sides, indexing="ij")], axis=1)
        points = rng.permutation(campaign.to_unit(every))
    else:
        points = places.spread(campaign, 1024, rng)
    for point in points:
        if not _among(point, taken):
            return point
    raise FitError("no place was found that is not taken: all lie at those that were evaluated")


def _scan(campaign, knowledge, rng):
    """Places to begin from: all over, and around the best that are known."""
    if knowledge.values is None:
        return places.candidates(campaign, np.empty((0, len(campaign.inputs))), rng)
    nodes = knowledge.values.nodes
    mean = nodes.moments(nodes.X)[0].mean(axis=0)
    order = np.argsort(np.where(knowledge.allowed, mean, np.inf))[:BEST]
    return places.candidates(campaign, nodes.X[order], rng)


def _score(knowledge, campaign, rule, width, seen, rng):
    """The rule, as far as there is something to go by."""
    if knowledge.values is None:
        return _Away(seen, knowledge.parts)
    if not knowledge.allowed.any():
        return rules.Feasible(knowledge.parts)
    nodes, noisy = knowledge.values.nodes, campaign.noise != 0
    if rule == "expected improvement":
        incumbent = rules.incumbents(nodes, noisy, knowledge.allowed)
        return rules.Improvement(nodes, incumbent, knowledge.parts)
    if rule == "lower confidence bound":
        highest = float(nodes.plain(nodes.y)[0].max())
        return rules.Bound(nodes, width, highest + 1.0, knowledge.parts)
    one = _one(nodes, int(rng.integers(len(nodes.y))))
    return rules.Curve(paths.drawn(one, rng), float(one.y.max()) + 1.0, knowledge.parts)


def _one(nodes, s):
    """One of the nodes alone, its values as they were transformed."""
    names = ("y", "noises", "kinds", "scales", "squares")
    return replace(
        nodes, **{name: getattr(nodes, name)[s : s + 1] for name in names}, transform=None
    )


@dataclass(frozen=True)
class _Away:
    """While nothing but failures is known: far from them, where a value is likely."""

    seen: np.ndarray
    parts: Sequence[Classes]

    def __call__(self, points, rows=None, slopes=False):
        step = points[:, None] - self.seen
        square = np.maximum(np.sum(step**2, axis=-1), 1e-12)
        nearest = np.argmin(square, axis=1) if len(self.seen) else np.zeros(len(points), dtype=int)
        value, gradient = log_feasible(self.parts, points, slopes)
        if not len(self.seen):
            return value, gradient
        each = np.arange(len(points))
        found = 0.5 * np.log(square[each, nearest])
        return value + found, gradient + step[each, nearest] / square[each, nearest][:, None]


def _left(knowledge, campaign, scan):
    """Log of the largest expected improvement over a scan, standardised."""
    if knowledge.values is None or not knowledge.allowed.any():
        return np.nan
    nodes = knowledge.values.nodes
    incumbent = rules.incumbents(nodes, campaign.noise != 0, knowledge.allowed)
    return float(np.max(rules.Improvement(nodes, incumbent, knowledge.parts)(scan)[0]))


def _answer(campaign, knowledge, points, rule, left):
    """Label what was chosen, and say whether to go on."""
    x = campaign.from_unit(points)
    coords = {
        one.name: ("candidate", x[:, k], {"units": one.units})
        for k, one in enumerate(campaign.inputs)
    }
    arrays = {"feasible": np.exp(log_feasible(knowledge.parts, points)[0])}
    unknown = np.full(len(points), np.nan)
    values, scale, improvement = knowledge.values, np.nan, np.nan
    if values is None:
        arrays |= {"mean": unknown, "sd": unknown, "expected_improvement": unknown}
    else:
        mean, variance, *_ = values.nodes.moments(points)
        mean, slope = values.nodes.plain(mean)
        variance = slope**2 * variance
        arrays["mean"] = campaign.sign * (values.centre + values.spread * mean.mean(axis=0))
        arrays["sd"] = values.spread * np.sqrt(variance.mean(axis=0) + mean.var(axis=0))
        arrays["expected_improvement"] = unknown
        if knowledge.allowed.any():
            incumbent = rules.incumbents(values.nodes, campaign.noise != 0, knowledge.allowed)
            found, _ = rules.Improvement(values.nodes, incumbent, knowledge.parts)(points)
            arrays["expected_improvement"] = values.spread * np.exp(found)
        improvement = values.spread * np.exp(left)
        if campaign.noise == 0:
            scale = np.ptp([one.y for one in campaign.measured]) or values.spread
        else:
            scale = values.spread * np.sqrt(np.mean(values.noise))
    units = dict.fromkeys(("mean", "sd", "expected_improvement"), campaign.units)
    found = dataset(arrays, dict.fromkeys(arrays, ("candidate",)), coords, units, sampled=False)
    stop, word = _word(campaign, improvement, scale)
    return found.assign_attrs(
        rule=rule, expected_improvement=improvement, scale=scale, stop=int(stop), word=word
    )


def _word(campaign, improvement, scale):
    """Whether to stop, and why."""
    due = _due(campaign)
    if due:
        return False, f"go on: {due} of {campaign.starts} starts are still to be measured"
    if not np.isfinite(improvement):
        return False, "go on: no value is known yet that meets the constraints"
    exact = campaign.noise == 0
    limit, of = (EXACT, "the range of the values") if exact else (NOISY, "the sd of the noise")
    share = improvement / scale if scale > 0 else np.inf
    unit = "" if campaign.units == "1" else f" {campaign.units}"
    said = (
        f"one more measurement is expected to improve {campaign.name} by {improvement:.2g}{unit}, "
        f"{share:.2g} of {of}"
    )
    if share < limit:
        return True, f"stop: {said}, less than {limit:g}"
    return False, f"go on: {said}; stop below {limit:g}"
