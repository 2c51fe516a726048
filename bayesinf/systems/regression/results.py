"""What stands beside a fit: effects, R², partial dependence, groups, predictions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.forecasts import foretold
from bayesinf.models import linear
from bayesinf.posterior import dataset
from bayesinf.systems.regression.classical import of_design
from bayesinf.systems.regression.design import Design

if TYPE_CHECKING:
    import xarray as xr

    from bayesinf.settings import Settings

__all__ = ["beside", "predicted"]

LOOKED = 1000  # draws that R² takes at the most
DRAWN, AVERAGED = 200, 100  # draws, and rows, behind a curve of partial dependence
GRID = 40
MOST_CURVES = 12


def beside(found: xr.DataTree, problem: linear.Regression, design: Design) -> dict[str, xr.Dataset]:
    """Return the notes of a fit, by name."""
    draws = _thinned(found, LOOKED)
    notes = {"explained": _explained(problem, draws)}
    effects = _effects(found, problem, design)
    if effects is not None:
        notes["effects"] = effects
    notes["curves"] = _curves(_thinned(found, DRAWN), problem, design)
    if design.effects:
        notes["groups"] = _groups(found, design)
    return notes


def predicted(
    found: xr.DataTree,
    problem: linear.Regression,
    design: Design,
    new: xr.Dataset,
    settings: Settings,
) -> xr.DataTree:
    """Return the fit with predictions of new rows; see ``model.predict``."""
    rng = settings.generator("new rows")
    draws = {
        str(k): v.transpose("chain", "draw", ...).values for k, v in found["posterior"].items()
    }
    there = at(problem, design, new)
    eta = linear.Regression.mean(there, draws)
    for term, (group, column) in design.effects.items():
        asked, code = np.unique(new[group].values, return_inverse=True)
        unknown = ~np.isin(asked, design.levels[group])
        width = draws[f"scale_{term}"][..., np.newaxis]
        width = width if column is None else width / design.spread[column][1]
        effect = width * rng.standard_normal((*eta.shape[:2], len(asked))) * unknown
        eta = eta + effect[..., code] * design.lever(term, new)
    mean = there.responding(eta) if isinstance(there, linear.Generalised) else eta
    target = design.formula.target
    values = problem.likelihood.draw(mean, there.scatter(draws), rng)
    arrays = {"mean": mean, target: values}
    unit = problem.data.units[target]
    known = {}
    if design.formula.source in new:
        known = {target: Design(new, design.text).target.values}
    return foretold(found, arrays, new["row"].values, unit, known)


def at(problem: linear.Regression, design: Design, table: xr.Dataset) -> linear.Regression:
    """Return the problem at other rows, whose data nobody knows."""
    lines = design.lines(table)
    rows = table.sizes["row"]
    columns = {
        name: (np.ones(rows) if name == "intercept" else lines[name], prior)
        for name, (_, prior) in problem.unshrunk.items()
    }
    error = design.table.attrs.get("error")
    bars = table[error].values if error and error in table else None
    bars = np.ones(rows) if bars is None and problem.error is not None else bars
    changes = {"X": design.columns(table), "y": np.zeros(rows), "unshrunk": columns}
    known = {} if problem.offset is None else {"offset": design.offset(table)}
    if getattr(problem, "trials", None) is not None:
        known["trials"] = table[design.table.attrs["trials"]].values
    return replace(problem, **changes, **known, error=bars)


def _thinned(found, most):
    """Some draws, (draw, ...)."""
    flat = {
        str(k): v.transpose("chain", "draw", ...).values.reshape(-1, *v.shape[2:])
        for k, v in found["posterior"].items()
    }
    total = len(next(iter(flat.values())))
    kept = np.unique(np.linspace(0, total - 1, min(total, most)).astype(int))
    return {name: values[kept] for name, values in flat.items()}


def _explained(problem, draws):
    """Share of the variance that the mean explains, draw by draw: var(mean) / (var(mean) + noise).

    Gelman, Goodrich, Gabry & Vehtari, Am. Stat. 73, 307 (2019),
    doi:10.1080/00031305.2018.1549100.
    """
    mean = problem.mean(draws)
    name = problem.likelihood.name
    if name == "normal":
        rest = np.mean(np.broadcast_to(problem.noise_sd(draws), mean.shape) ** 2, axis=-1)
    elif name == "student":  # whose variance need not exist: that of the residuals stands for it
        rest = np.var(problem.y - mean, axis=-1)
    else:
        scale = problem.likelihood.expected(problem.y, mean, problem.scatter(draws))[1]
        rest = np.mean(scale**2, axis=-1)
    signal = np.var(mean, axis=-1)
    return dataset({"r2": signal / (signal + rest)}, {"r2": ("looked",)}, sampled=False)


def _effects(found, problem, design):
    """Coefficients of plain columns and straight parts, in their unit and per sd of the column."""
    lines = design.lines()
    if not design.plain and not lines:
        return None
    posterior, count = found["posterior"], len(design.plain)
    own = posterior["beta"].transpose("chain", "draw", ...).values.reshape(-1, problem.shape[1])
    draws = [own[:, :count], *(posterior[name].values.reshape(-1, 1) for name in lines)]
    draws = np.concatenate(draws, axis=1)
    spread = np.r_[problem.X[:, :count].std(axis=0), [line.std() for line in lines.values()]]
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    arrays = {"mean": draws.mean(0), "sd": draws.std(0), "low": low, "high": high}
    arrays |= {"spread": spread}
    if "included" in posterior:
        share = posterior["included"].mean(("chain", "draw")).values[:count]
        arrays["included"] = np.r_[share, np.full(len(lines), np.nan)]
    estimates = of_design(design.table, design, problem.likelihood.name)
    arrays |= {str(name): values.values for name, values in estimates.items()}
    names = [*design.plain, *lines]
    return dataset(arrays, dict.fromkeys(arrays, ("feature",)), {"feature": names}, sampled=False)


def _groups(found, design):
    """Effects of the groups, intercepts and slopes ``along`` a column."""
    beta, rows = found["posterior"]["beta"], []
    for term, (_, column) in design.effects.items():
        for label in design.terms[term]:
            draws = beta.sel(feature=label).values
            low, high = np.quantile(draws, [0.025, 0.975])
            rows.append((term, column or "", label, draws.mean(), draws.std(), low, high))
    grouping, column, labels, *values = zip(*rows, strict=True)
    names = ("mean", "sd", "low", "high")
    arrays = {name: np.array(one) for name, one in zip(names, values, strict=True)}
    coords = {"effect": list(labels), "grouping": ("effect", list(grouping))}
    coords["along"] = ("effect", list(column))
    return dataset(arrays, dict.fromkeys(arrays, ("effect",)), coords, sampled=False)


def _curves(draws, problem, design):
    """Partial dependence: the mean of the data along one column, averaged over the other columns'
    rows, with its 95 % interval.

    Friedman, Ann. Stat. 29, 1189 (2001), doi:10.1214/aos/1013203451.
    """
    table, arrays, dims, coords = design.table, {}, {}, {}
    names = [name for name in design.formula.features if name not in design.levels]
    rows = np.unique(np.linspace(0, table.sizes["row"] - 1, AVERAGED).astype(int))
    some = table.isel(row=rows)
    for k, name in enumerate(names[:MOST_CURVES]):
        values = table[name].values
        words = values.dtype.kind == "U"
        grid = np.unique(values)
        if not words and len(grid) > 8:
            grid = np.linspace(grid[0], grid[-1], GRID)
        mean = _averaged(draws, problem, design, some, name, grid)
        low, high = np.quantile(mean, [0.025, 0.975], axis=0)
        for key, found in (("mean", mean.mean(0)), ("low", low), ("high", high)):
            arrays[f"{key}_{k}"], dims[f"{key}_{k}"] = found, (f"at_{k}",)
        coords[f"at_{k}"] = grid
    coords["column"] = names[:MOST_CURVES]
    arrays["known"] = np.ones(len(names[:MOST_CURVES]))
    return dataset(arrays, dims | {"known": ("column",)}, coords, sampled=False)


def _averaged(draws, problem, design, some, name, grid):
    """Mean of the data at each value of a column, averaged over rows: (draw, value)."""
    rows = some.sizes["row"]
    many = some.isel(row=np.tile(np.arange(rows), len(grid)))
    fixed = np.repeat(grid, rows).astype(some[name].dtype)
    there = at(problem, design, many.assign({name: ("row", fixed)}))
    mean = there.mean(draws)
    return mean.reshape(*mean.shape[:-1], len(grid), rows).mean(axis=-1)
