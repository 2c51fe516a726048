"""Tables: of a file of the user's, or simulated; rows with missing values are named and left out.

A Dataset of a table holds the columns that a formula uses, along ``row``; its attributes
``formula``, ``error`` and ``trials`` say what is fitted to what.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import data as reading
from bayesinf.data import rows as cells
from bayesinf.data.arrays import listing, refuse_codes, refuse_sizes
from bayesinf.data.bars import deviations
from bayesinf.data.columns import columns_of, said
from bayesinf.errors import DataError
from bayesinf.posterior import annotated, dataset
from bayesinf.settings import DEFAULT
from bayesinf.systems.regression.formula import Formula, quoted

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["diabetes", "from_columns", "new_rows", "read", "simulate"]

DIABETES = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6", "progression")
MOST_LEVELS = 100  # of a column of text, from which it is no category
LISTED = 8  # rows that a message names


def simulate(
    rows: int = 200,
    *,
    curve: float = 0.7,
    sites: int = 6,
    noise: float = 0.5,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Simulate a table: two columns that act, one that does not, a curve, and a group.

        y = 1 + a − b/2 + curve · sin(2π x) + effect of the site + ε,   ε ~ N(0, noise²)

    Parameters
    ----------
    rows : how many.
    curve : size of the curve along x.
    sites : number of groups, whose effects scatter by 0.5.
    noise : standard deviation.
    rng : by default the stream "simulate" of the default settings.

    Returns
    -------
    Dataset of a table with the columns a, b, c, x, site and y, and beside it the ``truth``.
    """
    rng = DEFAULT.generator("simulate") if rng is None else rng
    a, b, c = rng.standard_normal((3, rows))
    x, site = rng.uniform(size=rows), rng.integers(0, sites, rows)
    effect = 0.5 * rng.standard_normal(sites)
    y = 1 + a - b / 2 + curve * np.sin(2 * np.pi * x) + effect[site]
    columns = {"a": a, "b": b, "c": c, "x": x, "site": np.array([f"site {k}" for k in site])}
    columns["y"] = y + noise * rng.standard_normal(rows)
    truth = dataset({"sigma": np.float64(noise)}, sampled=False)
    table = from_columns(columns, "y ~ a + b + c + s(x) + (1|site)")
    return annotated(table, truth=truth)


def from_columns(
    columns,
    formula: str,
    error: str | None = None,
    rows=None,
    trials: str | None = None,
    **attrs,
) -> xr.Dataset:
    """Label columns, name to values (row,), as a table with a formula."""
    import xarray as xr

    units = {
        name: getattr(values, "attrs", {}).get("units", "1") for name, values in columns.items()
    }
    variables = {
        name: (("row",), np.asarray(values), {"units": units[name]})
        for name, values in columns.items()
    }
    count = len(next(iter(variables.values()))[1])
    rows = np.arange(count) if rows is None else rows
    attrs |= {"formula": formula} | ({"error": error} if error else {})
    attrs |= {"trials": trials} if trials else {}
    return xr.Dataset(variables, {"row": rows}, attrs)


def diabetes(formula: str | None = None) -> xr.Dataset:
    """Load the diabetes data as scikit-learn ships them, in their own units.

    Progression of the disease of 442 patients one year after ten variables were measured: Efron,
    Hastie, Johnstone & Tibshirani, Ann. Stat. 32, 407 (2004), doi:10.1214/009053604000000067.

    Parameters
    ----------
    formula : by default all ten columns, of the root of the progression: its noise is even, that
        of the progression itself grows with it.
    """
    # Their files alone: to import the library takes half of the time of a fit.
    folder = Path(distribution("scikit-learn").locate_file("sklearn/datasets/data"))
    files = [folder / f"diabetes_{part}.csv.gz" for part in ("data_raw", "target")]
    values = np.column_stack([np.loadtxt(path) for path in files])
    columns = dict(zip(DIABETES, values.T, strict=True))
    formula = formula or f"sqrt(progression) ~ {' + '.join(list(columns)[:-1])}"
    for name in Formula.parse(formula).variables:
        cells.known(columns, name, "diabetes")
    return from_columns(columns, formula)


def read(
    path: str | os.PathLike | xr.Dataset,
    formula: str | None = None,
    *,
    target: str | None = None,
    features: Sequence[str] | None = None,
    error: str | None = None,
    trials: str | None = None,
    others: Iterable[str] = (),
    response: str = "normal",
    decimal: str | None = None,
) -> xr.Dataset:
    """Read a table and what is asked of it.

    Parameters
    ----------
    path : any file that ``data.read`` knows, or what it returned.
    formula : such as ``y ~ a*b + C(site) + s(x) + (1|group)``.
    target, features : in its place; without features all other columns.
    error : column of error bars of the target.
    trials : column of the trials of which the target counts the successes.
    others : further formulas, whose columns must not be missing either.
    response : of the target; outcomes of a ``bernoulli`` one may be two words.
    decimal : decimal mark, where the file leaves it open.

    Returns
    -------
    Dataset of a table. ``read_as`` says which rows were left out, and why.

    Raises
    ------
    DataError : a column that is not there, no formula, fewer than three complete rows.
    """
    import xarray as xr

    found = path if isinstance(path, xr.Dataset) else reading.read(path, decimal=decimal)
    path = found.attrs.get("source") if path is found else path
    columns = {str(k): v for k, v in columns_of(found).items()}
    if not columns:
        raise DataError("the file holds no columns", source=path)
    formula, still = _stated(columns, path, formula, target, features, (error, trials))
    formulas = [Formula.parse(one) for one in (formula, *others)]
    if strange := [one.text for one in formulas if one.target != formulas[0].target]:
        raise DataError(
            "formulas of different targets cannot be compared",
            expected=f"a formula of {formulas[0].target}",
            found=strange[0],
        )
    wanted = dict.fromkeys(name for one in formulas for name in one.variables)
    wanted |= {name: None for name in (error, trials) if name}
    for name in wanted:
        cells.known(columns, name, path)
    comma = decimal == "," or "decimal commas" in found.attrs.get("read_as", "")
    values = {name: cells.numbers(columns[name], comma) for name in wanted}
    for name, column in values.items():
        if column.dtype.kind == "f":
            refuse_codes(column, columns[name], path)
            refuse_sizes(column, columns[name], path)
    numbers = cells.row_numbers(found, len(next(iter(values.values()))))
    kept, left_out = _complete(values, numbers, path)
    values = {name: column[kept] for name, column in values.items()}
    _refuse(values, formulas, error, trials, path, numbers[kept])
    cells.refuse_sums(values, numbers[kept], path)
    values, words = _outcome(values, formulas[0].source, response, path)
    labelled = {name: columns[name][kept].copy(data=column) for name, column in values.items()}
    if error:
        labelled[error], bars = deviations(labelled[error], labelled[formulas[0].source], path)
        words = [*words, *filter(None, [bars])]
    left_out += [f"not used, as the same in all rows: {listing(still)}"] if still else []
    attrs = said(found, formula, *left_out, *words)
    return from_columns(labelled, formula, error, numbers[kept], trials, **attrs)


def new_rows(path: str | os.PathLike, table: xr.Dataset, formula: str) -> xr.Dataset:
    """Read rows to predict: the columns of the formula, with its target where that is known too.

    Raises
    ------
    DataError : a column that is not there, a value that is missing, a category that the fit lacks.
    """
    parsed = Formula.parse(formula)
    names = [name for name in parsed.variables if name != parsed.source]
    names += [table.attrs[role] for role in ("error", "trials") if table.attrs.get(role)]
    words = [name for name in names if table[name].dtype.kind == "U"]
    found, rows = cells.wanted(path, names, parsed.source, words)
    return from_columns(found, formula, None, rows)


def _stated(columns, path, formula, target, features, known):
    """The formula that the options state, and columns that it leaves out, which never change."""
    if formula is not None:
        if target or features:
            raise DataError(
                "a formula says target and features itself",
                expected="--formula, or --target with --features",
                found="both",
            )
        return formula, []
    if target is None:
        raise DataError(
            "nobody says what is to be explained",
            source=path,
            expected="--target NAME, or --formula 'y ~ a + b'",
            remedy=f"columns are {listing(columns)}",
        )
    named = list(features or (name for name in columns if name not in (target, *known)))
    still = [] if features else [name for name in named if np.unique(columns[name]).size == 1]
    named = [name for name in named if name not in still]
    for name in (target, *named):
        cells.known(columns, name, path)
    if not named or target in named:
        raise DataError(
            "no features to explain the target by",
            source=path,
            expected="--features with other columns than the target",
            found=", ".join(named) or "none",
        )
    return f"{quoted(target)} ~ {' + '.join(map(quoted, named))}", still


def _odd(words):
    """Position of the first cell that is no number where most are numbers; None elsewhere."""
    number = np.array([bool(re.fullmatch(r"[-−+]?[\d.]+([eE][-+]?\d+)?", w)) for w in words])
    return int(np.argmin(number)) if 0.5 < number.mean() < 1 else None


def _complete(values, numbers, path):
    """Positions of complete rows, and which were left out, in words."""
    gone = {name: cells.absent(column) for name, column in values.items()}
    out = np.any(list(gone.values()), axis=0)
    kept = np.flatnonzero(~out)
    if len(kept) < 3:
        worst = max(gone, key=lambda name: gone[name].sum())
        raise DataError(
            "too few complete rows",
            source=path,
            expected="three at least",
            found=f"{len(kept)} of {len(out)}; {worst} is missing in {int(gone[worst].sum())}",
        )
    if not out.any():
        return kept, []
    listed = [str(k) for k in numbers[out][:LISTED]]
    more = f" and {int(out.sum()) - LISTED} more" if out.sum() > LISTED else ""
    which = ", ".join(f"{name} {int(one.sum())}" for name, one in gone.items() if one.any())
    return kept, [
        f"{int(out.sum())} of {len(out)} rows left out for missing values ({which}): "
        f"row {', '.join(listed)}{more}"
    ]


def _outcome(values, target, response, path):
    """Outcomes in words as 0 and 1."""
    y = values[target]
    if y.dtype.kind != "U":
        return values, []
    words = np.unique(y)
    if response == "bernoulli" and len(words) == 2:
        return {**values, target: (y == words[1]).astype(float)}, [f"{target} = 1 is {words[1]}"]
    raise DataError(
        "the target is no number",
        source=path,
        where=f"column {target}",
        expected="two words" if response == "bernoulli" else "numbers",
        found=", ".join(map(str, words[:4])) + (", ..." if len(words) > 4 else ""),
        remedy="take another --target, or --response bernoulli for an outcome of two words"
        if response != "bernoulli"
        else None,
    )


def _refuse(values, formulas, error, trials, path, rows):
    """Refuse columns of which nothing can be learnt."""
    for name, column in values.items():
        odd = _odd(column) if column.dtype.kind == "U" else None
        if odd is not None:
            raise DataError(
                "a cell is no number",
                source=path,
                where=f"row {rows[odd]}, column {name}",
                expected="numbers, as most of the column holds, or nothing",
                found=str(column[odd]),
                remedy="correct it, or leave it empty: rows with missing values are left out",
            )
        if column.dtype.kind == "U" and len(np.unique(column)) > min(MOST_LEVELS, len(column) / 2):
            grouped = any(name in one.groups for one in formulas)
            if not grouped or len(np.unique(column)) == len(column):
                raise DataError(
                    "words that hardly repeat are no category",
                    source=path,
                    where=f"column {name}",
                    expected="each word in two rows or more, on average",
                    found=f"{len(np.unique(column))} words in {len(column)} rows, such as "
                    f"{column[0]}",
                    remedy="leave the column out, or correct cells that are no numbers",
                )
    if trials and values[trials].dtype.kind == "U":
        raise DataError("trials are numbers", source=path, where=f"column {trials}")
    if error and (values[error].dtype.kind == "U" or not np.all(values[error] > 0)):
        raise DataError(
            "error bars are numbers above zero",
            source=path,
            where=f"column {error}",
            found=f"{values[error][0]}"
            if values[error].dtype.kind == "U"
            else f"{values[error].min():.6g}",
        )
