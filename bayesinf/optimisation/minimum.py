"""The answer of a campaign: a posterior of where a function is lowest, and how deep it is there.

The values are fitted by a Gaussian process of the ``gp`` family, hyperparameters and all. Of each
draw of the hyperparameters a curve is drawn that goes through the data (``paths``), and followed to
where it is lowest. So the places and depths have a distribution, which knows that the function may
be lower where nobody measured, and that the lowest of noisy values is low by luck.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import kept, parallel
from bayesinf.errors import DataError
from bayesinf.inference import kinds
from bayesinf.models import gp
from bayesinf.models import problem as driver
from bayesinf.models.gp import jumps
from bayesinf.optimisation import asking, paths, places, rules
from bayesinf.optimisation.campaign import Campaign
from bayesinf.optimisation.feasibility import log_feasible
from bayesinf.optimisation.surrogate import KERNELS, Nodes, priors
from bayesinf.posterior import annotated, dataset
from bayesinf.priors import LogNormal, Normal, Prior
from bayesinf.settings import DEFAULT, Settings

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["evaluations", "least", "place_name", "posterior", "problem"]

LEAST = 3  # values without which there is nothing to fit
POOL, SCAN = 1024, 64  # places all over, and those of them where the function may be lowest
# Of exact values, the sd that stands for rounding, in units of theirs. Smooth curves through many
# of them have covariances that are singular to rounding, and a density that is all steps.
NUGGET = 1e-6
AROUND = 4  # places at each distance from the best known
DEEP = 3.0  # sds below the mean by which that is judged
STARTS = 3  # places from which each curve is followed
MEANS = 100  # draws of the hyperparameters over which the mean curve is taken
NOISE = kinds.Question(
    "noise beyond what is stated",
    "noise_evidence",
    "max",
    float(np.log(50.0)),
    "≤",
    True,
    "that the values scatter more than is stated has a log Bayes factor of {value:.2g}",
    "let the noise be inferred: state none",
)
OUTLIER = kinds.Question(
    "an outlier",
    "outlier_evidence",
    "max",
    kinds.FIFTYFOLD,
    "≤",
    True,
    "that a single value is off has a log Bayes factor of {value:.2g}",
    "look at the value that is farthest from the curve, and measure there again",
)
LOG = "log_"  # what stands before the name of an input of which ratios matter


def place_name(campaign: Campaign, name: str) -> str:
    """Return what the place of the extremum is called along an input."""
    return f"{name}_at_{least(campaign)}"


def least(campaign: Campaign) -> str:
    """Return what the extremum is called: ``minimum``, or ``maximum`` where that is sought."""
    return "maximum" if campaign.goal == "maximise" else "minimum"


def problem(
    campaign: Campaign,
    kernel: str = KERNELS[0],
    given: Mapping[str, Prior] | None = None,
    workers: int | None = None,
) -> gp.Process:
    """State the Gaussian process of the values that were measured.

    Parameters
    ----------
    campaign : with its evaluations.
    kernel : of ``KERNELS``.
    given : priors by name; else those of ``surrogate.priors``, in the units of the data.
    workers : threads for large matrices.

    Raises
    ------
    DataError : fewer than three values, or values that are all alike.
    """
    measured = campaign.measured
    if len(measured) < LEAST:
        raise DataError(
            "too few values to say where the function is lowest",
            expected=f"{LEAST} at least",
            found=len(measured),
        )
    import xarray as xr

    x = np.array([one.x for one in measured])
    y = np.array([one.y for one in measured])
    columns, widths = {}, {}
    for k, one in enumerate(campaign.inputs):
        name = f"{LOG}{one.name}" if one.log else one.name
        column = one.scaled(x[:, k])
        attrs = {"units": "1" if one.log else one.units}
        columns[name] = xr.DataArray(column, dims="point", name=name, attrs=attrs)
        widths[name] = np.ptp(one.ends)
    values = xr.DataArray(y, dims="point", name=campaign.name, attrs={"units": campaign.units})
    table = gp.data(columns, values)
    noisy = campaign.noise is None
    stated = _in_units(priors(len(columns), noisy), widths, float(np.mean(y)), float(np.std(y)))
    stated |= {} if noisy else {"noise": max(campaign.noise, NUGGET * float(np.std(y)))}
    stated |= given or {}
    noise = stated.pop("noise")
    options = {"noise": noise, "priors": stated, "workers": workers}
    return replace(gp.process(table, kernel, "constant", **options), exact=campaign.noise == 0)


def _in_units(unit, widths, centre, spread):
    """Priors of the unit cube and of standardised values, in the units of the data."""

    def scaled(prior, by):
        return LogNormal(prior.median * by, prior.spread)

    scale = {name: scaled(unit["length_scale"], width) for name, width in widths.items()}
    found = {"length_scale": scale if len(scale) > 1 else next(iter(scale.values()))}
    found |= {n: scaled(unit[n], spread) for n in ("amplitude", "noise") if n in unit}
    return found | {"constant": Normal(centre, unit["constant"].sd * spread)}


def posterior(
    campaign: Campaign,
    kernel: str | None = None,
    *,
    given: Mapping[str, Prior] | None = None,
    method: str | None = None,
    settings: Settings = DEFAULT,
    system: str | None = None,
    notes: Mapping[str, xr.Dataset | None] | None = None,
    attrs: Mapping[str, object] | None = None,
) -> xr.DataTree:
    """Infer where the function is lowest, and how deep it is there.

        x* = argmin f,   f* = f(x*),   f ~ p(f | y, θ),   θ ~ p(θ | y)

    Parameters
    ----------
    campaign : with its evaluations.
    kernel : of ``surrogate.KERNELS``; by default that of the larger evidence.
    given, method : priors, and as for ``gp.fit``.
    settings : length and seed; each draw is followed to its minimum.
    system, notes, attrs : as for ``models.problem.fit``.

    Returns
    -------
    InferenceData of the Gaussian process. Its posterior also has ``minimum`` (or ``maximum``, where
    that is sought) and, for each input, ``NAME_at_minimum``. ``sample_stats`` has ``shortfall``,
    how far the recommended place is above the minimum of each curve. Beside it stand
    ``evaluations``, all of them in their order, and ``recommended``: under noise the place where
    the mean of all curves is lowest, else the best that was measured. Where there are failures or
    constraints, minima are those among places that are possible and allowed with a probability of
    at least a half. Where the noise is stated, the checks ask whether the evidence is for more, and
    of noisy values whether a single one is off.

    Raises
    ------
    DataError : fewer than three values, or values that are all alike.
    """
    problem(campaign, given=given)  # refuses what cannot be fitted
    rng = settings.generator("minimum")
    knowledge = asking.known(campaign, rng, size=MEANS)
    odds = dict(zip(KERNELS, knowledge.values.odds, strict=True))
    kernel = max(odds, key=odds.get) if kernel is None else kernel
    stated = problem(campaign, kernel, given, settings.workers)
    said = {"kernel_odds": float(odds[kernel]), "goal": campaign.goal, **(attrs or {})}
    found = driver.fit(stated, method, settings, system=system, notes=notes, attrs=said)
    nodes, units = _nodes(campaign, found)
    with parallel.one_blas_thread():
        lowest = _Lowest.of(campaign, knowledge, nodes, units, rng)
        drawn = kept.once(lowest.found)
    shape = found["posterior"].sizes["chain"], found["posterior"].sizes["draw"]
    names = [place_name(campaign, one.name) for one in campaign.inputs]
    arrays = {least(campaign): drawn[:, 0].reshape(shape)}
    arrays |= {name: drawn[:, k + 2].reshape(shape) for k, name in enumerate(names)}
    of = {least(campaign): campaign.units} | {
        name: one.units for name, one in zip(names, campaign.inputs, strict=True)
    }
    import xarray as xr

    result = found.copy()
    result["posterior"] = xr.DataTree(
        found["posterior"].to_dataset().merge(dataset(arrays, units=of))
    )
    beside = dataset({"shortfall": drawn[:, 1].reshape(shape)}, units={"shortfall": campaign.units})
    result["sample_stats"] = xr.DataTree(found["sample_stats"].to_dataset().merge(beside))
    if campaign.noise is not None:
        result = kinds.asked(result, NOISE, _beyond(campaign, knowledge, rng))
    if campaign.noise != 0 and len(campaign.measured) <= jumps.FEW:
        off = jumps.log_evidence_for(stated, {}, settings, single=True)
        result = kinds.asked(result, OUTLIER, off)
    return annotated(result, evaluations=evaluations(campaign), recommended=lowest.told())


def _beyond(campaign, knowledge, rng):
    """Log Bayes factor of noise that is inferred over that which is stated."""
    free = asking.known(replace(campaign, noise=None), rng).values
    return free.log_evidence - knowledge.values.log_evidence


def _nodes(campaign, found):
    """The process at each draw, in the unit cube and of standardised values; centre and spread."""
    draws = gp.thinned(found, found["posterior"].sizes["chain"] * found["posterior"].sizes["draw"])
    measured = campaign.measured
    y = np.array([one.y for one in measured])
    spread = float(np.std(y))
    flat = {name: v.values.reshape(-1, *v.shape[2:]) for name, v in draws.items() if v.ndim > 1}
    count = len(flat["constant"])
    widths = np.array([np.ptp(one.ends) for one in campaign.inputs])
    noise = flat["noise"] if "noise" in flat else np.full(count, float(draws["noise"]))
    nodes = Nodes(
        campaign.to_unit([one.x for one in measured]),
        campaign.sign * (y - flat["constant"][:, None]) / spread,
        np.tile((noise[:, None] / spread) ** 2, (1, len(y))),
        np.full(count, KERNELS.index(_kernel_name(found))),
        flat["length_scale"].reshape(count, -1) / widths,
        (flat["amplitude"] / spread) ** 2,
        0.0,
    )
    return nodes, (flat["constant"], spread)


def _kernel_name(found):
    import json

    return json.loads(found.attrs["kernel"])["kernel"]


@dataclass(frozen=True)
class _Lowest:
    """Drawn curves, followed to where they are lowest.

    Parameters
    ----------
    campaign, knowledge : what is known.
    nodes : the process at each draw.
    units : the constant of each draw, and the spread, by which values are standardised.
    curves : one of each draw.
    scan : places from which the curves are followed.
    """

    campaign: Campaign
    knowledge: asking.Knowledge
    nodes: Nodes
    units: tuple[np.ndarray, float]
    curves: paths.Paths
    scan: np.ndarray

    @classmethod
    def of(cls, campaign, knowledge, nodes, units, rng):
        """Draw the curves, and find the places where a minimum may be."""
        known = knowledge.values.nodes
        mean = known.moments(known.X)[0].mean(axis=0)
        order = np.argsort(np.where(knowledge.allowed, mean, np.inf))[: asking.BEST]
        pool = places.candidates(campaign, known.X[order], rng, POOL, AROUND)
        mean, variance, *_ = known.moments(pool[:POOL])
        bound = np.mean(mean - DEEP * np.sqrt(variance), axis=0)
        bound -= rules.shortage(knowledge.parts, pool[:POOL])[0]
        scan = np.vstack([pool[np.argsort(bound)[:SCAN]], pool[POOL:]])
        return cls(campaign, knowledge, nodes, units, paths.drawn(nodes, rng), scan)

    @cached_property
    def best(self) -> np.ndarray:
        """The place to recommend, in the unit cube."""
        return self.campaign.to_unit([asking.recommended(self.campaign, self.knowledge)])[0]

    def found(self) -> np.ndarray:
        """Depth, shortfall of the recommended place, and place, (curve, 2 + input)."""
        level, spread = self.units
        penalty, _ = rules.shortage(self.knowledge.parts, self.scan)
        score, rows, starts = rules.Lowest(self.curves, self.knowledge.parts), [], []
        for s in range(len(self.curves)):
            values, _ = self.curves(self.scan, np.full(len(self.scan), s))
            begun = places.apart(self.scan, penalty - values, STARTS)
            rows.append(np.full(len(begun), s))
            starts.append(self.scan[begun])
        rows, starts = np.concatenate(rows), np.concatenate(starts)
        values, ends = places.climbed(score, starts, self.campaign, rows)
        order = np.lexsort((-values, rows))
        ends = ends[order[np.searchsorted(rows[order], np.arange(len(self.curves)))]]
        every = np.arange(len(self.curves))
        at, _ = self.curves(ends, every)
        here, _ = self.curves(np.tile(self.best, (len(every), 1)), every)
        depth = level + self.campaign.sign * spread * at
        short = spread * np.maximum(here - at, 0.0)
        return np.column_stack([depth, short, self.campaign.from_unit(ends)])

    def told(self):
        """The recommended place, labelled, with the value there over all draws."""
        level, spread = self.units
        mean, variance, *_ = self.nodes.moments(self.best[None])
        value = level + self.campaign.sign * spread * mean[:, 0]
        sd = np.sqrt(np.mean(variance) * spread**2 + np.var(value))
        x = self.campaign.from_unit(self.best[None])[0]
        arrays = {one.name: v for one, v in zip(self.campaign.inputs, x, strict=True)}
        arrays |= {"mean": value.mean(), "sd": sd}
        arrays["feasible"] = np.exp(log_feasible(self.knowledge.parts, self.best[None])[0][0])
        units = {one.name: one.units for one in self.campaign.inputs}
        units |= dict.fromkeys(("mean", "sd"), self.campaign.units)
        return dataset({n: np.float64(v) for n, v in arrays.items()}, units=units, sampled=False)


def evaluations(campaign: Campaign) -> xr.Dataset:
    """Return every evaluation in its order, over ``evaluation``.

    Returns
    -------
    the inputs; the value and the constraints, NaN where there is none; ``measured`` and
    ``feasible``, 0 or 1; ``best``, the best value so far that met the constraints.
    """
    told = campaign.evaluations
    arrays = {o.name: np.array([e.x[k] for e in told]) for k, o in enumerate(campaign.inputs)}
    arrays[campaign.name] = np.array([np.nan if e.failed else e.y for e in told])
    for k, name in enumerate(campaign.constraints):
        arrays[name] = np.array([np.nan if e.failed else e.constraints[k] for e in told])
    arrays["measured"] = np.array([int(not e.failed) for e in told])
    arrays["feasible"] = np.array([int(e.feasible) for e in told])
    signed = np.where(arrays["feasible"] == 1, campaign.sign * arrays[campaign.name], np.inf)
    best = np.minimum.accumulate(signed)
    arrays["best"] = np.where(np.isfinite(best), campaign.sign * best, np.nan)
    units = {one.name: one.units for one in campaign.inputs}
    units |= dict.fromkeys((campaign.name, "best"), campaign.units)
    dims = dict.fromkeys(arrays, ("evaluation",))
    return dataset(arrays, dims, units=units, sampled=False)
