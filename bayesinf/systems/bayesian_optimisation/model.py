"""The fit: the posterior of the minimum, and beside it what the report tells."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import optimisation
from bayesinf.models import gp
from bayesinf.optimisation import asking, minimum, rules
from bayesinf.optimisation.campaign import Campaign
from bayesinf.posterior import annotated, dataset, noted
from bayesinf.settings import DEFAULT, Settings
from bayesinf.systems.bayesian_optimisation.data import campaign_of
from bayesinf.systems.bayesian_optimisation.objectives import OBJECTIVES

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["classical", "fit", "plan"]

GRID, ALONG = 300, 61  # places at which a curve is drawn, and of those along one of several inputs
FOLLOWED = 400  # draws behind a band
PANELS = 9  # most steps that are drawn
MOST = 2000  # draws of which each curve is followed to its minimum, in a run by default
LEVEL = 0.95


def fit(
    data: xr.Dataset,
    kernel: str | None = None,
    *,
    rule: str = optimisation.RULES[0],
    batch: int = 1,
    method: str | None = None,
    settings: Settings = DEFAULT,
) -> xr.DataTree:
    """Infer where a function is lowest, how deep it is there, and where to measure next.

    Parameters
    ----------
    data : as of ``simulate`` or ``read``.
    kernel : ``squared_exponential`` or ``matern52``; by default that of the larger evidence.
    rule, batch : by which the next places are chosen, and how many.
    method : as for ``gp.fit``.
    settings : length and seed.

    Returns
    -------
    InferenceData of ``optimisation.minimum.posterior``. Beside it stand ``evaluations``, all of
    them; ``recommended``; ``next``, what to measure next; ``classical``; of one input ``curve``,
    and ``steps``, how it became known, else ``slices`` along each input; ``truth``, where known.

    Raises
    ------
    DataError : fewer than three values, or values that are all alike.
    """
    campaign = campaign_of(data)
    asked = optimisation.ask(campaign, batch, rule)  # which also refuses what cannot be asked
    attrs = {name: data.attrs[name] for name in ("objective", "campaign") if name in data.attrs}
    notes = {"truth": noted(data, "truth"), "classical": classical(data)}
    found = minimum.posterior(
        campaign,
        kernel,
        method=method,
        settings=settings,
        system="bayesian_optimisation",
        notes=notes,
        attrs=attrs,
    )
    found.attrs["word"] = asked.attrs["word"]
    whole = {name: np.float64(asked.attrs[name]) for name in ("expected_improvement", "scale")}
    whole = {"improvement": whole["expected_improvement"], "scale": whole["scale"]}
    whole["stop"] = np.float64(asked.attrs["stop"])
    units = dict.fromkeys(("improvement", "scale"), campaign.units)
    beside = {"next": asked.reset_coords().merge(dataset(whole, units=units, sampled=False))}
    if len(campaign.inputs) == 1:
        beside["curve"] = _curve(found, campaign)
        beside["steps"] = _steps(campaign, settings)
    else:
        beside["slices"] = _slices(found, campaign)
    return annotated(found, **{n: one.drop_attrs(deep=False) for n, one in beside.items()})


def plan(
    data: xr.Dataset, method: str | None = None, settings: Settings = DEFAULT
) -> tuple[str | None, Settings]:
    """Return method and settings of a length at which each curve can be followed: fewer draws."""
    return method, settings.replace(draws=min(settings.draws, MOST // settings.chains))


def classical(data: xr.Dataset) -> xr.Dataset:
    """Return the lowest value that was measured, and where: the classical answer.

    Returns
    -------
    Dataset of ``minimum``, or ``maximum``, and ``NAME_at_minimum`` for each input; NaN where no
    value meets the constraints.
    """
    campaign = campaign_of(data)
    best, names = campaign.best, [one.name for one in campaign.inputs]
    y, x = (np.nan, [np.nan] * len(names)) if best is None else (best.y, best.x)
    arrays = {minimum.least(campaign): np.float64(y)}
    units = {minimum.least(campaign): campaign.units}
    for one, value in zip(campaign.inputs, x, strict=True):
        name = minimum.place_name(campaign, one.name)
        arrays[name], units[name] = np.float64(value), one.units
    return dataset(arrays, units=units, sampled=False)


def _band(draws):
    """Mean and ends of the 95 % band of draws, over their first two axes."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=(0, 1))
    return {"mean": draws.mean(axis=(0, 1)), "low": low, "high": high}


def _curve(found, campaign):
    """The curve over its input, and the true one where it is known."""
    (one,) = campaign.inputs
    grid = one.from_unit(np.linspace(0.0, 1.0, GRID))
    grid = np.unique(grid)
    drawn = gp.predict(found, one.scaled(grid), most=FOLLOWED)["curve"].values
    arrays = _band(drawn)
    if (known := OBJECTIVES.get(found.attrs.get("objective"))) is not None:
        arrays["truth"] = known.function(grid[:, None])
    return _over(arrays, campaign, grid)


def _over(arrays, campaign, grid, **dims):
    """Label arrays over a grid of the one input."""
    (one,) = campaign.inputs
    dims = {name: dims.get(name, ("new",)) for name in arrays}
    units = dict.fromkeys(arrays, campaign.units) | {one.name: one.units}
    coords = {one.name: ("new", grid, {"units": one.units})}
    return dataset(arrays, dims, coords, units, sampled=False)


def _steps(campaign: Campaign, settings: Settings):
    """How the curve became known: what was known of it before each of the last evaluations."""
    (one,) = campaign.inputs
    grid = one.from_unit(np.linspace(0.0, 1.0, GRID))
    known = np.cumsum([not one.failed for one in campaign.evaluations])
    counts = [k for k, n in enumerate(known, 1) if n > 1 and k >= campaign.starts][-PANELS:]
    arrays = {name: [] for name in ("mean", "sd", "improvement")}
    for count in counts:
        part = replace(campaign, evaluations=campaign.evaluations[:count])
        knowledge = asking.known(part, settings.generator("steps", count))
        of, points = knowledge.values, one.to_unit(grid)[:, None]
        mean, variance, *_ = of.nodes.moments(points)
        arrays["mean"].append(campaign.sign * (of.centre + of.spread * mean.mean(axis=0)))
        arrays["sd"].append(of.spread * np.sqrt(variance.mean(axis=0) + mean.var(axis=0)))
        improvement = np.zeros(len(grid))
        if knowledge.allowed.any():
            level = rules.incumbents(of.nodes, campaign.noise != 0, knowledge.allowed)
            score = rules.Improvement(of.nodes, level, knowledge.parts)(points)[0]
            improvement = of.spread * np.exp(score)
        arrays["improvement"].append(improvement)
    arrays = {name: np.array(value) for name, value in arrays.items()}
    found = _over(arrays, campaign, grid, **dict.fromkeys(arrays, ("count", "new")))
    return found.assign_coords(count=counts)


def _slices(found, campaign):
    """The curve along each input, the others at the recommended place."""
    middle = noted(found, "recommended")
    names = [one.name for one in campaign.inputs]
    units = np.linspace(0.0, 1.0, ALONG)
    at = np.stack([one.from_unit(units) for one in campaign.inputs])
    places = np.tile([float(middle[name]) for name in names], (len(names), ALONG, 1))
    for k in range(len(names)):
        places[k, :, k] = at[k]
    scaled = np.stack([o.scaled(places[..., k]) for k, o in enumerate(campaign.inputs)], axis=-1)
    drawn = gp.predict(found, scaled.reshape(-1, len(names)), most=FOLLOWED // 4)["curve"].values
    arrays = {n: v.reshape(len(names), ALONG) for n, v in _band(drawn).items()} | {"at": at}
    dims, of = dict.fromkeys(arrays, ("along", "new")), dict.fromkeys(arrays, campaign.units)
    return dataset(arrays, dims, {"along": names}, of, sampled=False)
