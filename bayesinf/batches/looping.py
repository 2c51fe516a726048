"""A batch by the single fit itself: each data set is fitted and checked as it is alone, and a row
of the batch is what is kept of it.

This is the road of every system that has no compiled fit of many data sets: it brings a function
from data and settings to InferenceData, as a ``Loop``. What its posterior holds, names, dimensions
and units, is read off the first data set that can be fitted; one that comes out otherwise, as where
a category is missing, is a row with a reason.
"""

from __future__ import annotations

import csv
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.batches import figures, page
from bayesinf.batches.store import EACH, Held, Store
from bayesinf.batches.streaming import stream
from bayesinf.batches.verdict import (
    BELIEVED,
    DOUBTED,
    FAILED,
    NOT_ASKED,
    QUESTIONS,
    Tally,
    evidence,
)
from bayesinf.checks import Verdict, check, p_values
from bayesinf.data.several import One, Sets
from bayesinf.errors import DataError, FitError, one_line
from bayesinf.inference import kinds
from bayesinf.posterior import log_likelihood, noted, provenance
from bayesinf.settings import Settings

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Loop", "tell", "write"]

KEPT = 16  # draws of each
WAITING = 4096  # data sets at most that are sent to a cluster before the first rows are written
LARGEST = 1000  # numbers of a draw, above which a variable is not kept
# What a fit says of its model, which is that of all.
TOLD = ("family", "model", "method", "priors", "hyperparameters", "equation")


@dataclass(frozen=True)
class Loop:
    """What a system says of its batches.

    Parameters
    ----------
    system : its name.
    title, question : of the page.
    fit : from a Dataset and the keyword ``settings`` to InferenceData; it can be pickled.
    draws : from a fit to what is kept of it, over (chain, draw, ...), and with it
        ``log_likelihood`` where these are not all draws; None for its posterior. What a draw does
        not have is NaN there, and a row is of those that have it.
    numbers : from a fit to numbers that stand beside, by name, as a Bayes factor; None for none.
    portion : data sets that a worker fits before it is asked again: the fewer, the longer a fit.
    """

    system: str
    title: str
    question: str
    fit: Callable[..., xr.DataTree]
    draws: Callable[[xr.DataTree], xr.Dataset] | None = None
    numbers: Callable[[xr.DataTree], Mapping[str, float]] | None = None
    portion: int = 8


@dataclass(frozen=True)
class _Form:
    """What is kept of each fit: variable to its dimensions, sizes and unit, and what goes along.

    Parameters
    ----------
    dims, shapes, units : of the variables of the posterior, a draw's.
    coords : dimension to its coordinate.
    statistics : names of the p-values.
    numbers : names of what stands beside.
    attrs : of all fits alike.
    """

    dims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    coords: Mapping[str, tuple] = field(default_factory=dict)
    statistics: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    attrs: Mapping[str, str] = field(default_factory=dict)

    @property
    def same(self) -> tuple:
        """What two fits of one batch have in common."""
        sizes = dict(self.shapes), dict(self.units)
        return dict(self.dims), *sizes, dict(self.coords), self.statistics


def _form(fit, posterior, statistics, numbers):
    """Read the form off a fit, and what is kept of it."""
    kept = {
        str(name): variable
        for name, variable in posterior.data_vars.items()
        if variable.isel(chain=0, draw=0).size <= LARGEST
    }
    dims = {n: tuple(d for d in v.dims if d not in ("chain", "draw")) for n, v in kept.items()}
    along = dict.fromkeys(dim for each in dims.values() for dim in each)
    return _Form(
        dims,
        {name: tuple(kept[name].sizes[dim] for dim in each) for name, each in dims.items()},
        {name: variable.attrs.get("units", "1") for name, variable in kept.items()},
        {d: tuple(posterior[d].values.tolist()) if d in posterior.coords else None for d in along},
        tuple(statistics),
        tuple(numbers),
        {name: str(fit.attrs[name]) for name in TOLD if name in fit.attrs},
    )


def _row(one: One, loop: Loop, settings: Settings, place: int) -> dict:
    """Fit one data set, and keep what its row holds."""
    if one.reason:
        return {"code": FAILED, "reason": one.reason}
    own = settings.replace(seed=int(settings.generator("batch", place).integers(2**31)))
    try:
        fit = loop.fit(one.data, settings=own)
        verdict = check(fit)
    except (DataError, FitError) as error:
        return {"code": FAILED, "reason": one_line(str(error))}
    except Exception as error:  # whatever one of thousands may do, the others go on
        return {"code": FAILED, "reason": f"cannot be fitted ({type(error).__name__})"}
    bad = [each.message for each in verdict.checks if each.required and not each.passed]
    p = p_values(fit) if "discrepancy" in fit["sample_stats"] else {}
    posterior = fit["posterior"].dataset if loop.draws is None else loop.draws(fit)
    likelihood = posterior.get("log_likelihood", log_likelihood(fit))
    posterior = posterior.drop_vars("log_likelihood", errors="ignore")
    numbers = {} if loop.numbers is None else dict(loop.numbers(fit))
    form = _form(fit, posterior, p, numbers)
    draws = {}
    for name, dims in form.dims.items():
        values = posterior[name].transpose("chain", "draw", *dims).values
        draws[name] = values.reshape(-1, *values.shape[2:]).astype(float)
    count = len(next(iter(draws.values())))
    at = np.linspace(0, count - 1, KEPT).astype(int)
    return {
        "code": DOUBTED if bad else BELIEVED,
        "reason": "; ".join(bad),
        "form": form,
        "draws": {name: values[at] for name, values in draws.items()},
        "mean": {name: _of_known(values, np.ma.mean) for name, values in draws.items()},
        "sd": {
            name: _of_known(values, partial(np.ma.std, ddof=1)) for name, values in draws.items()
        },
        "log_likelihood": likelihood.transpose("chain", "draw").values.ravel()[at],
        "p_value": np.array(list(p.values())),
        "numbers": numbers,
        "sha256": str(fit.attrs.get("data_sha256", "")),
    }


def _of_known(values, summary):
    """A summary over draws that have the number; NaN where none has."""
    return np.ma.filled(summary(np.ma.masked_invalid(values), axis=0), np.nan)


def _portion(items, *, number, loop, settings):
    """Fit a portion: a list of rows."""
    return [_row(one, loop, settings, number * loop.portion + k) for k, one in enumerate(items)]


def write(
    source: Sets,
    loop: Loop,
    settings: Settings,
    folder: Path,
    mapped: Callable[..., list],
    *,
    here: bool = False,
    stem: str = "batch",
    run: str = "",
) -> Path:
    """Fit all data sets of a source; write ``batch.nc`` and a table named by their dimension.

    Parameters
    ----------
    source : of the data sets.
    loop : the system's.
    settings : of each fit; its seed and the place among all decide the draws.
    folder : where to.
    mapped : as ``Run.map``.
    here : whether to read the data here, where workers do not see the files.
    stem : of the file.
    run : id of the run, which the file bears.

    Raises
    ------
    DataError : no data set could be fitted.
    """
    started, digest, waiting, form, tally = time.perf_counter(), hashlib.sha256(), [], None, None
    (dim,) = source.dims
    file, store = folder / f"{stem}.nc", None
    fit = partial(_portion, loop=loop, settings=settings)
    opened = (folder / f"{page.plural(dim)}.csv").open("w", newline="", encoding="utf-8")
    try:
        table = csv.writer(opened)
        together = max(1, WAITING // loop.portion) if here else None
        portions = stream(source, fit, loop.portion, mapped, here=here, together=together)
        for first, names, rows in portions:
            waiting.append((first, names, rows))
            if form is None:
                form = next((row["form"] for row in rows if "form" in row), None)
                if form is None:
                    continue
                store = Store(file, source.dims, _layout(form), *_axes(form, source)).__enter__()
                tally = Tally(form.statistics)
                table.writerow(_heading(form, dim))
            for first, names, rows in waiting:
                rows = [_fitting(row, form) for row in rows]
                arrays = _arrays(rows, form)
                store.put(first, arrays)
                tally.add(arrays["sample_stats", "code"], arrays["sample_stats", "p_value"])
                digest.update("".join(row.get("sha256", "") for row in rows).encode())
                table.writerows(
                    _line(name, row, form) for name, row in zip(names, rows, strict=True)
                )
            waiting.clear()
        if store is None:
            reason = waiting[0][2][0]["reason"]
            raise DataError(f"no data set can be fitted: {reason}", source=source.path)
        store.whole("sample_stats", evidence(tally))
        elapsed = time.perf_counter() - started
        told = _attributes(form, loop, source, settings, digest.hexdigest(), elapsed)
        store.attrs(told | ({"run": run} if run else {}))
    finally:
        opened.close()
        if store is not None:
            store.__exit__()
    return file


def _fitting(row, form):
    """A row as it is; one that came out in another form is none."""
    if "form" not in row or row["form"].same == form.same:
        return row
    return {"code": FAILED, "reason": _difference(row["form"], form)}


def _difference(own, first):
    """What keeps a row of one form from standing beside those of another, in words."""
    for name, unit in own.units.items():
        if unit != first.units.get(name, unit):
            return f"{name} is in {unit}, and in the first in {first.units[name]}"
    for dim, along in own.coords.items():
        if along != first.coords.get(dim):
            return f"another {dim} than in the first"
    return "other parameters than the first has"


def _layout(form):
    each = {n: Held((EACH, *form.dims[n]), units=form.units[n]) for n in form.dims}
    draws = {
        n: Held(("chain", "draw", EACH, *form.dims[n]), units=form.units[n]) for n in form.dims
    }
    known = {f"moments.{name}": held for name, held in each.items()}
    known |= {f"moments.{name}_sd": held for name, held in each.items()}
    return {
        "posterior": draws,
        "log_likelihood": {"data": Held(("chain", "draw", EACH))},
        "sample_stats": {
            "p_value": Held((EACH, "statistic")),
            "code": Held(kind="i4"),
            **dict.fromkeys(form.numbers, Held()),
        },
        "constant_data": known | {"reason": Held(kind="str")},
    }


def _axes(form, source):
    """Sizes and coordinates of what the file holds along."""
    (dim,) = source.dims
    sizes = {"chain": 1, "draw": KEPT, "statistic": len(form.statistics)}
    coords = {"statistic": (list(form.statistics), "1"), dim: (list(source.names), "1")}
    for name, dims in form.dims.items():
        sizes |= dict(zip(dims, form.shapes[name], strict=True))
    coords |= {d: (list(values), "1") for d, values in form.coords.items() if values is not None}
    return sizes, coords


def _arrays(rows, form):
    """Rows under the names of the layout, NaN where a fit failed."""

    def stacked(get, shape):
        return np.stack([get(row) if "form" in row else np.full(shape, np.nan) for row in rows])

    found = {}
    for name, shape in form.shapes.items():
        draws = stacked(lambda row, name=name: row["draws"][name], (KEPT, *shape))
        found["posterior", name] = np.expand_dims(draws, 1)
        for key, ending in (("mean", ""), ("sd", "_sd")):
            values = stacked(lambda row, key=key, name=name: row[key][name], shape)
            found["constant_data", f"moments.{name}{ending}"] = values
    likelihood = stacked(lambda row: row["log_likelihood"], (KEPT,))
    found["log_likelihood", "data"] = likelihood[:, None]
    count = len(form.statistics)
    found["sample_stats", "p_value"] = stacked(lambda row: row["p_value"], (count,))
    for name in form.numbers:
        found["sample_stats", name] = stacked(lambda row, name=name: row["numbers"][name], ())
    found["sample_stats", "code"] = np.array([row["code"] for row in rows])
    found["constant_data", "reason"] = np.array([row["reason"] for row in rows], dtype=object)
    return found


def _elements(form):
    """Each number of a draw: its variable, its place, and what it is called."""
    for name, shape in form.shapes.items():
        for at in np.ndindex(*shape):
            along = [form.coords[dim] for dim in form.dims[name]]
            words = [str(c[k] if c else k) for c, k in zip(along, at, strict=True)]
            yield name, at, f"{name}[{', '.join(words)}]" if words else name


def _heading(form, dim):
    names = [called for _, _, called in _elements(form)]
    pairs = [word for name in names for word in (name, f"{name} sd")]
    return [dim, "verdict", "reason", *pairs, *form.numbers, "p_least"]


def _line(name, row, form):
    numbers = []
    for variable, at, _ in _elements(form):
        known = "form" in row
        numbers += [row[key][variable][at] if known else np.nan for key in ("mean", "sd")]
    numbers += [row.get("numbers", {}).get(name, np.nan) for name in form.numbers]
    p = row.get("p_value", np.empty(0))
    numbers.append(p.min() if len(p) else np.nan)
    cells = ["" if not np.isfinite(number) else f"{number:.10g}" for number in numbers]
    return [name, figures.VERDICTS[row["code"]], row["reason"], *cells]


def _attributes(form, loop, source, settings, sha256, elapsed):
    return {
        **form.attrs,
        "system": loop.system,
        "inference": "batch",
        "seed": settings.seed,
        "settings": settings.replace(draws=KEPT, chains=1).to_json(),
        "fitted_with": settings.to_json(),
        "data_sha256": sha256,
        "data_read_as": source.said,
        "elapsed_seconds": elapsed,
        "not_asked": json.dumps(NOT_ASKED),
        **provenance(),
        **kinds.declare(*QUESTIONS),
    }


# --- the page -------------------------------------------------------------------------------------

ASKED = (
    "Each data set is fitted and checked as it is alone, with every question that a single fit is "
    "asked. About one right fit in a hundred is doubted by chance: here about {chance:.0f}."
)
MOST = 40  # quantities that a page draws


def tell(
    folder: Path, source: Sets, loop: Loop, command: str, run: str, stem: str = "batch"
) -> tuple[str, Verdict]:
    """Write the page of a batch; return the answer in a sentence, and the verdict."""
    import xarray as xr

    fit = xr.open_datatree(folder / f"{stem}.nc", engine="netcdf4")
    verdict = check(fit)
    return page.write(folder, _told(fit, source, loop, command, stem), verdict, run=run), verdict


def _told(fit, source, loop, command, stem):
    statistics, moments = fit["sample_stats"], noted(fit, "moments")
    (dim,), code = source.dims, statistics["code"].values
    least = np.nanmin(statistics["p_value"].values, axis=-1, initial=1.0)
    quantities = []
    for name in moments.data_vars:
        if name.endswith("_sd") and name.removesuffix("_sd") in moments:
            continue
        value, sd = (moments[each].transpose(dim, ...) for each in (name, f"{name}_sd"))
        units = fit["posterior"][name].attrs.get("units", "1")
        others = value.dims[1:]
        for at in np.ndindex(*value.shape[1:]):
            words = [str(value[d].values[k]) for d, k in zip(others, at, strict=True)]
            called = f"{name}[{', '.join(words)}]" if words else name
            each = (array.values[(slice(None), *at)] for array in (value, sd))
            group = name if words else "parameters"
            quantities.append(figures.Quantity(called, units, *each, group))
    return page.Told(
        title=loop.title,
        question=loop.question,
        equation=fit.attrs.get("equation", ""),
        priors=json.loads(fit.attrs.get("priors", "{}")),
        read_as=source.said,
        quantities=quantities[:MOST],
        code=code,
        reason=fit["constant_data"]["reason"].values,
        badness=np.where(code == FAILED, -1.0, -np.log10(np.maximum(least, 1e-300))),
        p_value={
            str(name): statistics["p_value"].sel(statistic=name).values
            for name in statistics["statistic"].values
        },
        axes={dim: figures.Axis(np.arange(len(code), dtype=float), names=source.names)},
        name=source.names,
        file=stem,
        command=command,
        each=dim,
        asked=ASKED.format(chance=0.01 * np.sum(code != FAILED)),
    )
