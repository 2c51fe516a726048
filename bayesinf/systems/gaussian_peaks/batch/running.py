"""The way through a source of spectra: one file and one table, written as the fits come."""

from __future__ import annotations

import csv
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.batches import DOUBTED, FAILED, Store, Tally, evidence, figures, page, stream
from bayesinf.checks import Verdict, check
from bayesinf.data.spectra import Source
from bayesinf.errors import DataError, FitError
from bayesinf.posterior import noted, save
from bayesinf.settings import Settings
from bayesinf.systems.gaussian_peaks.batch import results
from bayesinf.systems.gaussian_peaks.batch.choice import FIRST, chosen
from bayesinf.systems.gaussian_peaks.batch.fitting import PORTION, fit_portion
from bayesinf.systems.gaussian_peaks.batch.residuals import STATISTICS
from bayesinf.systems.gaussian_peaks.batch.statement import Model
from bayesinf.systems.gaussian_peaks.model import fit as fit_one

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["opened", "refine", "stated", "tell", "told", "write"]

TITLE = "Peaks of many spectra"
QUESTION = "Where are the peaks of each spectrum, how high and how wide, and whose fit may be used?"
ASKED = (
    "Each fit is asked whether its descent ended inside its box and was found from more than one "
    "start, whether its peaks are more than noise makes, whether its residuals are those of the "
    "model, and whether the normal around its optimum is the posterior. About one right fit in a "
    "hundred is doubted by chance: here about {chance:.0f}."
)
RESERVED = ("chain", "draw", "peak", "statistic", "fitted", "fitted_other")


def write(
    source: Source,
    model: Model,
    settings: Settings,
    folder: Path,
    mapped: Callable[..., list],
    *,
    here: bool = False,
    stem: str = "batch",
    run: str = "",
) -> Path:
    """Fit all spectra of a source; write ``batch.nc`` and ``spectra.csv``.

    Parameters
    ----------
    source : of the spectra.
    model : of each.
    settings : its seed decides the draws.
    folder : where to.
    mapped : as ``Run.map``.
    here : whether to read the spectra here, where workers do not see the files.
    stem : of the file.
    run : id of the run, which the file bears.
    """
    started, tally = time.perf_counter(), Tally(STATISTICS)
    noisy = _noisy(source, model)
    each = {f"{dim}_" if dim in RESERVED else dim: size for dim, size in source.dims.items()}
    file, digest = folder / f"{stem}.nc", hashlib.sha256()
    fit = partial(fit_portion, model=model, settings=settings)
    kept = Store(
        file,
        each,
        results.layout(model, noisy),
        results.sizes(model),
        results.coords(model, source),
    )
    with kept as store, (folder / "spectra.csv").open("w", newline="", encoding="utf-8") as opened:
        table = csv.writer(opened)
        table.writerow(_heading(model, noisy))
        for first, names, rows in stream(source, fit, PORTION, mapped, here=here):
            arrays = results.arrays(rows, model, noisy)
            store.put(first, arrays)
            tally.add(rows["code"], rows["p_value"])
            digest.update(rows["sha256"].tobytes())
            table.writerows(_lines(names, rows, arrays, model, noisy))
        store.whole("sample_stats", evidence(tally))
        elapsed = time.perf_counter() - started
        told = results.attributes(model, source, settings, digest.hexdigest(), elapsed)
        store.attrs(told | ({"run": run} if run else {}))
    return file


def _noisy(source, model):
    """Whether the noise is inferred, of the first spectra that can be read."""
    if model.counted:
        return False
    some = source.part(0, min(len(source), FIRST)).read()
    return any(one.error is None for one in some if not one.reason) or not any(
        not one.reason for one in some
    )


def _columns(model, noisy):
    """Elements of the parameters, (variable, place or None)."""
    found = []
    for name, per_peak in results.variables(model, noisy).items():
        found += [(name, k) for k in range(model.peaks)] if per_peak else [(name, None)]
    return found


def _called(name, k):
    return name if k is None else f"{name}[{k + 1}]"


def _heading(model, noisy):
    names = [_called(*each) for each in _columns(model, noisy)]
    pairs = [word for name in names for word in (name, f"{name} error")]
    return ["spectrum", "verdict", "reason", *pairs, "k_hat", "p_least"]


def _lines(names, rows, arrays, model, noisy):
    columns = []
    for name, k in _columns(model, noisy):
        for ending in ("", "_error"):
            values = arrays["constant_data", f"classical.{name}{ending}"]
            columns.append(values if k is None else values[:, k])
    least = np.nanmin(rows["p_value"], axis=1, initial=1.0)
    for s, name in enumerate(names):
        said = figures.VERDICTS[int(rows["code"][s])], rows["reason"][s]
        numbers = [*(column[s] for column in columns), rows["pareto_k"][s], least[s]]
        cells = ["" if not np.isfinite(number) else f"{number:.10g}" for number in numbers]
        yield [name, *said, *cells]


def stated(source: Source, options: Mapping[str, object]) -> tuple[Model, str]:
    """Return the model of a batch under the options of a single fit, and what was noticed.

    Parameters
    ----------
    source : of the spectra, for the names and units of x and y.
    options : as for ``gaussian_peaks.problem``, with ``likelihood`` and ``search``; without a
        likelihood the first spectra say which, as of ``chosen``.

    Raises
    ------
    DataError : an option that no batch knows.
    """
    given = dict(options)
    likelihood, search = given.pop("likelihood", None), given.pop("search", "starts")
    if search != "starts":
        raise DataError(
            "a batch has no global search",
            where="option 'search'",
            expected="starts",
            found=search,
        )
    (x_name, x_unit), (y_name, y_unit) = source.labels["x"], source.labels["y"]
    labels = {"x_name": x_name, "y_name": y_name, "x_unit": x_unit, "y_unit": y_unit}
    model = Model(**given, **labels, likelihood=likelihood or "normal")
    model.stated  # noqa: B018  # what cannot be stated is refused before anything is read
    if likelihood is not None:
        return model, ""
    likelihood, said = chosen(source, given)
    return replace(model, likelihood=likelihood), said


# --- the page -------------------------------------------------------------------------------------


def refine(
    folder: Path,
    source: Source,
    options: Mapping[str, object],
    settings: Settings,
    mapped: Callable[..., list],
    count: int,
    *,
    run: str = "",
    stem: str = "batch",
) -> dict[str, str]:
    """Sample the worst of the doubted spectra by emcee, as single fits, each into a file.

    Parameters
    ----------
    folder : where the batch is, and the files go.
    source, settings, mapped, run, stem : as for ``write``.
    options : of a single fit.
    count : how many.

    Returns
    -------
    name of a spectrum to what its checks say, or why it could not be fitted, in words.
    """
    code, badness = _judged(opened(folder / f"{stem}.nc"))
    doubted = np.where(code == DOUBTED, badness, -np.inf)
    chosen = [k for k in page.worst(code, doubted, count) if code.ravel()[k] == DOUBTED]
    names = [source.names[k] for k in chosen]
    jobs = [(source.single(name), dict(options)) for name in names]
    sampled = mapped(partial(_sampled, settings=settings), jobs, label="Sampling the doubted")
    found = {}
    for name, fit in zip(names, sampled, strict=True):
        if isinstance(fit, str):
            found[name] = fit
            continue
        found[name] = check(fit).words
        fit.attrs |= {"run": run} if run else {}
        save(fit, folder / f"spectrum_{page.plain(name)}.nc")
    return found


def _sampled(job, settings):
    """The fit of one spectrum by emcee, or why there is none."""
    spectrum, options = job
    try:
        return fit_one(spectrum, method="emcee", settings=settings, **options)
    except (DataError, FitError) as error:
        return str(error)


def tell(
    folder: Path,
    source: Source,
    command: str,
    run: str,
    refined: Mapping[str, str] | None = None,
    stem: str = "batch",
    why: str = "",
) -> tuple[str, Verdict]:
    """Write the page of a batch; return the answer in a sentence, and the verdict.

    ``why`` says what was noticed before.
    """
    fit = opened(folder / f"{stem}.nc")
    verdict = check(fit)
    content = told(fit, source, command, stem)
    read_as = "; ".join(filter(None, (content.read_as, why)))
    content = replace(content, refined=refined or {}, read_as=read_as)
    return page.write(folder, content, verdict, run=run), verdict


def _judged(fit):
    """Code of each spectrum, and how bad it is."""
    statistics = fit["sample_stats"]
    code = statistics["code"].values
    least = np.nanmin(statistics["p_value"].values, axis=-1, initial=1.0)
    badness = -np.log10(np.maximum(least, 1e-300)) + statistics["pareto_k"].fillna(0).values
    return code, np.where(code == FAILED, -1.0, badness)


def opened(path: Path) -> xr.DataTree:
    """Open the file of a batch; its draws and covariances stay on the disk until asked for."""
    import xarray as xr

    return xr.open_datatree(path, engine="netcdf4")


def told(fit: xr.DataTree, source: Source, command: str, stem: str = "batch") -> page.Told:
    """Return what the page shows of a batch.

    Parameters
    ----------
    fit : the batch, opened from its file.
    source : of the spectra.
    command : what makes the page again.
    stem : of the file.
    """
    statistics, known = fit["sample_stats"], noted(fit, "classical")
    code, badness = _judged(fit)
    moments, quantities = noted(fit, "moments"), []
    free = [name for name in moments.data_vars if not name.endswith("_sd")]
    for name in [*free, "noise"]:
        if name not in moments and name not in known:
            continue
        value = moments[name] if name in moments else known[name]
        sd = moments[f"{name}_sd"] if name in moments else known[f"{name}_error"]
        units = fit["posterior"][name].attrs.get("units", "1")
        if "peak" in value.dims:
            for k in value["peak"].values.tolist():
                each = (array.sel(peak=k).values for array in (value, sd))
                quantities.append(figures.Quantity(f"{name}[{k}]", units, *each, f"peak {k}"))
        else:
            each = value.values, sd.values
            quantities.append(figures.Quantity(name, units, *each, "background and noise"))
    dims = [dim for dim in statistics["code"].dims]
    axes, names = {}, source.names if len(dims) == 1 else ()
    for dim, size in zip(dims, code.shape, strict=True):
        values, unit = source.coords.get(dim, (np.arange(size), "1"))
        axes[dim] = figures.Axis(np.asarray(values, dtype=float), unit, names)
    return page.Told(
        title=TITLE,
        question=QUESTION,
        equation=fit.attrs["equation"],
        priors=json.loads(fit.attrs["priors"]),
        read_as=source.said,
        quantities=quantities,
        code=code,
        reason=fit["constant_data"]["reason"].values,
        badness=badness,
        p_value={
            str(name): statistics["p_value"].sel(statistic=name).values.ravel()
            for name in statistics["statistic"].values
        },
        axes=axes,
        name=source.names,
        file=stem,
        command=command,
        asked=ASKED.format(chance=0.01 * np.sum(code != FAILED)),
    )
