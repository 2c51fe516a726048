"""Evaluations of a function: made by a campaign on a known one, or read from a user's file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import optimisation
from bayesinf.data import read as read_table
from bayesinf.data.arrays import refuse_codes, refuse_sizes, to_numbers
from bayesinf.data.columns import columns_of, pick, said
from bayesinf.data.curve import variable_name
from bayesinf.errors import DataError
from bayesinf.optimisation import minimum, store
from bayesinf.posterior import annotated, dataset
from bayesinf.settings import DEFAULT
from bayesinf.systems.bayesian_optimisation.objectives import objective

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["campaign_of", "data_of", "read", "simulate"]

LIKELY = ("y", "value", "objective", "loss", "cost", "yield", "f", "result")  # names of a value


def data_of(campaign: optimisation.Campaign) -> xr.Dataset:
    """Return a campaign as data: ``minimum.evaluations``, with its terms as an attribute."""
    bare = replace(campaign, evaluations=(), pending=())
    return minimum.evaluations(campaign).assign_attrs(campaign=store.dumps(bare))


def campaign_of(data: xr.Dataset) -> optimisation.Campaign:
    """Return the campaign of data as ``data_of`` makes them."""
    campaign = store.loads(data.attrs["campaign"])
    columns = [data[one.name].values for one in campaign.inputs]
    told = [data[name].values for name in (campaign.name, *campaign.constraints)]
    found = []
    for k, x in enumerate(zip(*columns, strict=True)):
        y, *constraints = (column[k] for column in told)
        bad = np.isnan(y)
        numbers = () if bad else tuple(map(float, constraints))
        found.append(
            optimisation.Evaluation(tuple(map(float, x)), None if bad else float(y), numbers)
        )
    return replace(campaign, evaluations=tuple(found))


def simulate(
    name: str = "forrester",
    evaluations: int | None = None,
    *,
    noise: float = 0.0,
    rule: str = optimisation.RULES[0],
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Run a campaign on a function whose minimum is known.

    Parameters
    ----------
    name : of the objective: ``forrester``, ``branin`` or ``hartmann``.
    evaluations : how many, those that are spread evenly included; by default the objective's.
    noise : sd of normal noise, which the campaign then has to infer; 0 for exact values.
    rule : by which the next place is chosen.
    rng : generator; by default the stream "simulate" of the default settings.

    Returns
    -------
    a Dataset over ``evaluation``; beside it ``truth``: the depth of the minimum, its place where it
    has but one, and the noise.
    """
    rng = DEFAULT.generator("simulate") if rng is None else rng
    one = objective(name)
    count = one.evaluations if evaluations is None else evaluations
    campaign = optimisation.campaign(
        one.bounds, noise=None if noise else 0.0, seed=int(rng.integers(2**31))
    )
    for _ in range(count):
        asked = optimisation.ask(campaign, rule=rule)
        x = [float(asked[each][0]) for each in one.bounds]
        campaign = campaign.told(x, one(x) + noise * rng.standard_normal())
    truth = {"minimum": one.minimum} | ({"noise": noise} if noise else {})
    if len(one.minima) == 1:
        pairs = zip(one.bounds, one.minima[0], strict=True)
        truth |= {minimum.place_name(campaign, each): x for each, x in pairs}
    truth = {each: np.float64(value) for each, value in truth.items()}
    found = data_of(campaign).assign_attrs(objective=name)
    return annotated(found, truth=dataset(truth, sampled=False))


def read(
    path: str | os.PathLike,
    x: Sequence[str | int] | None = None,
    y: str | int | None = None,
    *,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    integers: Sequence[str] = (),
    logs: Sequence[str] = (),
    constraints: Sequence[str | int] = (),
    decimal: str | None = None,
    **options,
) -> xr.Dataset:
    """Read evaluations: a table with a column for each input and one for the value.

    Parameters
    ----------
    path : a table as ``bayesinf.data.read`` takes it, or the file of a campaign (``.json``). An
        entry of the value that is empty, or a word, is an evaluation that failed.
    x, y, constraints : columns. By default y is the one that is called so, or the last, and x all
        that are left.
    bounds : input to its lower and upper bound; by default the range of the column.
    integers, logs : inputs that take whole numbers, or of which ratios matter.
    decimal : decimal mark of a table of text.
    **options : ``goal``, ``noise`` and ``seed`` of a campaign.

    Raises
    ------
    DataError : columns that are not there, numbers that will not do, places outside the bounds.
    """
    if Path(path).suffix.lower() == ".json":
        known = store.load(path)
        words = f"a campaign of {len(known.evaluations)} evaluations of {known.name}"
        return data_of(known).assign_attrs(source=str(path), read_as=words)
    table = read_table(path, decimal=decimal)
    columns = columns_of(table)
    value = _value(columns, y, path)
    aside = [pick(columns, one, path) for one in constraints]
    names = [pick(columns, one, path) for one in x] if x else [*columns]
    names = [one for one in names if x or one not in (value, *aside)]
    if len({*names, value, *aside}) < len(names) + 1 + len(aside):
        raise DataError("a column is named twice", source=path, found=", ".join(names))
    if not names:
        raise DataError("no column is an input", source=path, expected="x beside the value")
    called, inputs = {}, {}
    for one in names:
        called[one] = variable_name(one, "x", taken=[*called.values()])
        numbers = _numbers(columns[one], one, path)
        if not np.isfinite(numbers).all():
            where = f"column {one}, row {int(np.argmin(np.isfinite(numbers))) + 1}"
            raise DataError("an input is missing", source=path, where=where)
        inputs[one] = numbers
    bounds, missing = dict(bounds or {}), []
    if unknown := {*bounds, *integers, *logs} - {*called.values()}:
        raise DataError(
            f"no input {', '.join(sorted(unknown))}",
            source=path,
            expected=", ".join(called.values()),
        )
    stated = {}
    for one, name in called.items():
        low, high = bounds.get(name, (inputs[one].min(), inputs[one].max()))
        missing += [] if name in bounds else [f"{name} from {low:g} to {high:g}"]
        units = columns[one].attrs.get("units", "1")
        ends = float(low), float(high)
        stated[name] = optimisation.Input(name, *ends, name in integers, name in logs, units)
    others = {one: variable_name(one, "c", taken=[*stated]) for one in aside}
    campaign = optimisation.campaign(
        stated,
        name=variable_name(value, "y", taken=[*stated]),
        units=columns[value].attrs.get("units", "1"),
        constraints=[*others.values()],
        starts=2,
        **options,
    )
    values = _numbers(columns[value], value, path)
    limits = [_numbers(columns[one], one, path) for one in aside]
    for k, y_k in enumerate(values):
        place = [inputs[one][k] for one in called]
        try:
            if np.isnan(y_k):
                campaign = campaign.failed(place)
            else:
                campaign = campaign.told(place, float(y_k), [float(c[k]) for c in limits])
        except DataError as error:
            raise DataError(str(error), source=path, where=f"row {k + 1}") from None
    words = f"the inputs are {', '.join(stated)}, and {campaign.name} is the value"
    bound = f"bounds taken from the data: {'; '.join(missing)}" if missing else ""
    failed = len(campaign.failures)
    failed = f"{failed} evaluation{'' if failed == 1 else 's'} failed" if failed else ""
    told = said(table, words, bound, failed)
    return data_of(campaign).assign_attrs(told, source=str(path))


def _value(columns, y, path):
    """The column of the value: as asked for, by its name, or the last."""
    if y is not None:
        return pick(columns, y, path)
    small = {str(name).lower(): name for name in columns}
    return next((small[name] for name in LIKELY if name in small), list(columns)[-1])


def _numbers(column, name, path):
    """A column as numbers; a word, or nothing, is NaN."""
    numbers = to_numbers(np.asarray(column.values)).astype(float)
    if not np.isfinite(numbers).any():
        raise DataError("a column holds no numbers", source=path, where=f"column {name}")
    refuse_codes(numbers, column, path)
    refuse_sizes(numbers, column, path)
    return numbers
