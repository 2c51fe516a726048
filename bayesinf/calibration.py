"""Does the whole machine give honest intervals? Simulation-based calibration and coverage.

Parameters are drawn from the prior, data from the parameters, and the data fitted. Averaged over
the data, the truth is then one more draw of the posterior, so its rank among the draws is uniform,
and a central interval covers it as often as it says (Talts et al. 2018, arXiv:1804.06788; Modrák et
al. 2023, doi:10.1214/23-BA1404). A sampler that has not converged, a density with a slip in it, a
prior that is not the one drawn from: all of them bend the ranks.

Where a posterior has atoms, such as a coefficient that is exactly zero, truth and draws tie. The
rank is then drawn at random among the tied ones, which makes it uniform again, and an interval
covers the truth where that rank lies in its central part. Every rank is also spread over its step,
so that ranks among different numbers of draws are comparable numbers in [0, 1].
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import diagnostics, parallel, posterior
from bayesinf.checks import elements
from bayesinf.errors import DataError, FitError
from bayesinf.figures import COLORS, canvas, styled
from bayesinf.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

    from bayesinf.models.problem import Problem, Route

__all__ = [
    "LEAST",
    "SHORT",
    "Machine",
    "calibrate",
    "figure",
    "of",
    "readable",
    "summary",
    "variant_of",
    "verdict",
    "write",
]

LEVELS = (0.5, 0.8, 0.95)  # central intervals whose coverage is counted
ALPHA = 0.01  # chance that a calibrated machine is called uncalibrated, all quantities together
FAILED = 0.01  # share of fits that may fail
LEAST = 10  # replications below which nothing can be said
ENOUGH = 100  # from which no fault found says something: a coverage is known to 5 % or better
_NULL = 10_000  # simulated samples behind the ECDF's simultaneous band

SHORT = Settings(draws=200, chains=4, prior_draws=20)  # of each of many fits

Truth = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Machine:
    """All that is calibrated: a simulation from the prior, and a fit of what it makes. Picklable.

    Parameters
    ----------
    name : of the system.
    simulate : rng -> (truth, data): posterior variable to its true value, and what ``fit`` takes.
    fit : (data, settings) -> InferenceData.
    settings : length of each fit; its seed is replaced.
    log_likelihood : (truth, data) -> float, where given: the total log likelihood at the truth,
        which is ranked as well. It depends on data and parameters at once, and so finds posteriors
        that ignore part of the data, whose parameters' own ranks are uniform (Modrák et al. 2023).
    """

    name: str
    simulate: Callable[[np.random.Generator], tuple[Truth, xr.Dataset]]
    fit: Callable[[xr.Dataset, Settings], xr.DataTree]
    settings: Settings = Settings()  # noqa: RUF009 (frozen)
    log_likelihood: Callable[[Truth, xr.Dataset], float] | None = None


def of(
    problem: Problem,
    *,
    name: str,
    method: str | Route | None = None,
    settings: Settings = SHORT,
) -> Machine:
    """Make the machine of any problem: prior, replicated data, and the one driver.

    Parameters
    ----------
    problem : whose model is calibrated; its own data say only how many there are, and where.
    name : of the system.
    method : of the fit, as ``models.problem.fit`` takes it.
    settings : length of each fit.

    Returns
    -------
    the machine, which ranks the total log likelihood as well.
    """
    return Machine(
        name,
        functools.partial(_simulate, problem),
        functools.partial(_fit, problem, method),
        settings,
        functools.partial(_log_likelihood, problem),
    )


def variant_of(variant: str | None, variants: Iterable[str]) -> str:
    """Return the variant of a system that is asked for, the first where none is.

    Raises
    ------
    DataError : it is none of those that the system has.
    """
    known = list(variants)
    if variant is not None and variant not in known:
        raise DataError("unknown variant", expected=f"one of {', '.join(known)}", found=variant)
    return known[0] if variant is None else variant


def _simulate(problem, rng):
    draws = problem.sample_prior(rng, 1)
    data = problem.replicate(draws, rng)
    return ({name: values[0] for name, values in each.items()} for each in (draws, data))


def _fit(problem, method, data, settings):
    from bayesinf.models.problem import fit

    return fit(problem.observing(data), method, settings)


def _log_likelihood(problem, truth, data):
    pointwise = problem.observing(data).log_likelihood(truth)
    return float(sum(np.sum(values) for values in pointwise.values()))


def calibrate(
    machine: Machine,
    replications: int = 200,
    *,
    seed: int = 1,
    workers: int | None = None,
    scheduler: str | None = None,
) -> xr.Dataset:
    """Fit many simulated data sets and rank each truth among its draws.

        u = (#{draws < truth} + U{0, ..., #{draws = truth}} + U(0, 1)) / (draws + 1)

    Draws are thinned by their effective sample size first, since a rank counts independent draws.

    Parameters
    ----------
    machine : what to simulate and to fit.
    replications : simulated data sets; each has a seed of its own, which depends on nothing else.
    seed : of them all.
    workers, scheduler : as in ``parallel.map``; they do not change the result.

    Returns
    -------
    a Dataset with the ranks u of every quantity, (replication, ...), NaN where the fit failed, and
    ``error`` (replication), the message of a fit that failed, else empty.

    Raises
    ------
    DataError : fewer than ten replications, or a truth that the posterior does not hold.
    FitError : all fits failed; the message is the first one's.
    """
    import xarray as xr

    if replications < LEAST:
        raise DataError("too few replications", expected=f"at least {LEAST}", found=replications)
    children = np.random.SeedSequence(seed).spawn(replications)
    outcomes = parallel.map(
        functools.partial(_replicate, machine),
        children,
        workers=workers,
        scheduler=scheduler,
        label=f"calibrating {machine.name}",
    )
    good = [outcome for outcome in outcomes if isinstance(outcome, xr.Dataset)]
    if not good:
        raise FitError(f"all {replications} fits failed; the first: {outcomes[0]}")
    empty = xr.full_like(good[0], np.nan)
    ranks = xr.concat(
        [outcome if isinstance(outcome, xr.Dataset) else empty for outcome in outcomes],
        dim="replication",
        data_vars="all",
        coords="minimal",
        compat="override",
        join="override",
    )
    errors = ["" if isinstance(outcome, xr.Dataset) else outcome for outcome in outcomes]
    result = ranks.assign(error=("replication", errors))
    for variable in result.data_vars.values():
        variable.attrs = {"units": "1"}
    return result.assign_attrs(problem=machine.name, seed=seed, settings=machine.settings.to_json())


def _replicate(machine, child):
    """Ranks of one replication, or the message of its fit where that failed."""
    import xarray as xr

    for_data, for_fit, for_ties = child.spawn(3)
    truth, data = machine.simulate(np.random.default_rng(for_data))
    settings = machine.settings.replace(seed=int(for_fit.generate_state(1)[0]), workers=1)
    try:
        fit = machine.fit(data, settings)
    except Exception as error:  # whatever it is, it is reported
        return " ".join(f"{type(error).__name__}: {error}".split())
    sampled = {name: fit["posterior"][name] for name in truth if name in fit["posterior"]}
    if missing := sorted(set(truth) - set(sampled)):
        raise DataError(
            "the posterior does not hold what was simulated",
            source=machine.name,
            expected=f"the variables {', '.join(truth)}",
            found=f"no {', '.join(missing)}",
        )
    if machine.log_likelihood is not None:
        sampled["log_likelihood"] = posterior.log_likelihood(fit)
        truth = {**truth, "log_likelihood": machine.log_likelihood(truth, data)}
    rng = np.random.default_rng(for_ties)
    ranks = {}
    for name, variable in sampled.items():
        template = variable.isel(chain=0, draw=0, drop=True)
        rank = _rank(elements(variable), np.asarray(truth[name], dtype=float).ravel(), rng)
        ranks[name] = template.copy(data=rank.reshape(template.shape))
    return xr.Dataset(ranks)


def _rank(draws, truth, rng):
    """Normalised randomised rank of each truth among (element, chain, draw), thinned."""
    if truth.shape != draws.shape[:1]:
        raise ValueError(f"{truth.size} true values for {len(draws)} elements of the posterior")
    _, chains, length = draws.shape
    sizes = diagnostics.tie_weighted_mixing(draws)[1:]
    independent = np.min(sizes, axis=0, initial=chains * length, where=np.isfinite(sizes))
    stride = np.ceil(chains * length / np.maximum(independent, 1)).astype(int)
    kept = np.arange(length) % stride[:, np.newaxis] == 0
    truth = truth[:, np.newaxis, np.newaxis]
    below = np.sum((draws < truth).sum(axis=1) * kept, axis=1)
    tied = np.sum((draws == truth).sum(axis=1) * kept, axis=1)
    count = chains * kept.sum(axis=1)
    return (below + rng.integers(0, tied + 1) + rng.random(len(draws))) / (count + 1)


def summary(result: xr.Dataset) -> pd.DataFrame:
    """Test the ranks of each quantity for uniformity, and its intervals for coverage.

    A scalar's p-value joins four tests: the simultaneous band of the ECDF (Säilynoja, Bürkner &
    Vehtari 2022, doi:10.1007/s11222-022-10090-6), χ² on bins, and t-tests of shift, ⟨u⟩ = 1/2, and
    spread, ⟨(u − 1/2)²⟩ = 1/12. For a vector χ² is taken element by element, and shift and spread
    of the mean over the elements, which stays right where elements depend on each other, since
    replications do not. Each p-value is multiplied by the number of tests behind it (Bonferroni).

    Parameters
    ----------
    result : what ``calibrate`` returned.

    Returns
    -------
    a row a quantity: ``elements``; ``replications`` whose fit succeeded; ``p_value``; for each
    level ``coverage_50`` and the band ``low_50`` to ``high_50`` that a calibrated machine leaves
    with a probability of ``ALPHA`` over the whole table; ``finding`` in words; ``passed``.
    """
    import pandas as pd

    names = [name for name in result.data_vars if name != "error"]
    rows = {}
    for name in names:
        u = _matrix(result[name])
        found = _tests(u)
        p_value = min(1.0, len(found) * min(found.values()))
        row = {"elements": u.shape[1], "replications": len(u), "p_value": p_value}
        inside = p_value >= ALPHA / len(names)
        for level in LEVELS:
            percent = _percent(level)
            covered = np.mean(np.abs(u - 0.5) <= level / 2)
            low, high = _coverage_band(u, level, ALPHA / (len(LEVELS) * len(names)))
            row |= {f"coverage_{percent}": covered, f"low_{percent}": low, f"high_{percent}": high}
            inside &= low <= covered <= high
        rows[name] = row | {"finding": "calibrated" if inside else _finding(u), "passed": inside}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("quantity")


def verdict(result: xr.Dataset) -> dict:
    """Say whether the machine is calibrated.

    Returns
    -------
    ``believed``, ``words`` for people, and the counts ``replications`` and ``failed``. Fewer than
    ``ENOUGH`` replications are not believed, whatever they show.
    """
    table = summary(result)
    errors = [text for text in result["error"].to_numpy() if text]
    total, failed = result.sizes["replication"], len(errors)
    wrong = [
        f"{name} is {row['finding']} (p = {row['p_value']:.2g})"
        for name, row in table[~table["passed"]].iterrows()
    ]
    if failed > FAILED * total:
        wrong.append("too many fits failed")
    if wrong:
        words = f"Not calibrated: {'; '.join(wrong)}."
    elif total < ENOUGH:
        words = (
            f"Too few to tell: {total} simulated data sets show no fault, and would show none but "
            f"a gross one; take {ENOUGH} or more."
        )
    else:
        words = (
            f"Calibrated: over {total} simulated data sets the truth ranks evenly among the draws "
            f"of {', '.join(table.index)}, and intervals cover it as often as they say."
        )
    if failed:
        words += f" {failed} of {total} fits failed and are left out, the first with {errors[0]}."
    believed = not wrong and total >= ENOUGH
    return {"believed": believed, "words": words, "replications": total, "failed": failed}


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """Return a ``summary`` as people read it: coverage in per cent with its band in one cell."""
    import pandas as pd

    shown = {"p-value": [f"{p:.2g}" for p in table["p_value"]]}
    for level in LEVELS:
        columns = [100 * table[f"{what}_{_percent(level)}"] for what in ("coverage", "low", "high")]
        cells = zip(*columns, strict=True)
        shown[f"{level:.0%}"] = [
            f"{share:.1f} ({low:.0f}–{high:.0f})" for share, low, high in cells
        ]
    names = [f"{n} ({e})" if e > 1 else n for n, e in table["elements"].items()]
    return pd.DataFrame(shown | {"finding": list(table["finding"])}, index=names).rename_axis(
        table.index.name
    )


def write(folder: str | os.PathLike, result: xr.Dataset, *, command: str) -> Path:
    """Write a calibration: ranks, table, picture, verdict and a page that shows them.

    Parameters
    ----------
    folder : where to; made where it is missing.
    result : what ``calibrate`` returned.
    command : the command line that makes it again.

    Returns
    -------
    the path of ``index.html``; beside it are written ``calibration.nc``, its figure,
    ``summary.csv`` and ``verdict.json``.
    """
    from bayesinf import report

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table = summary(result)
    picture = report.Picture(
        "calibration",
        figure(result),
        "Left: share of true values that rank below, less what is expected; a line of a calibrated "
        "machine stays within the grey band all along with 95 % probability. Right: how often "
        "central intervals cover the truth, less what they say; dots belong on the grey bars.",
        f"Rank and coverage plots of {', '.join(table.index)}.",
    )
    found = verdict(result) | {
        "title": f"Calibration of {result.problem}",
        "question": "Do the intervals cover the truth as often as they say?",
        "picture": "figures/calibration.png",
        "alt": picture.alt,
        "command": command,
    }
    image = report.png(picture.figure)
    shown = report.Table(
        readable(table), "Coverage of central intervals in per cent, with its band."
    )
    page = report.render(
        "calibration.html",
        **found | {"picture": picture},
        table=shown,
        images={picture.name: image},
    )
    result.to_netcdf(folder / "calibration.nc", engine="netcdf4")
    table.to_csv(folder / "summary.csv")
    (folder / "figures").mkdir(exist_ok=True)
    (folder / "figures" / "calibration.png").write_bytes(image)
    (folder / "verdict.json").write_text(json.dumps(found, indent=2, ensure_ascii=False))
    return report.write_text(folder / "index.html", page)


@styled
def figure(result: xr.Dataset) -> Figure:
    """Draw, for each quantity, its ranks' ECDF less the diagonal, and its coverage.

    Grey is where a calibrated machine stays: the ECDF of one element with 95 % probability over its
    whole length, the coverage within the band of ``summary``.

    Parameters
    ----------
    result : what ``calibrate`` returned.

    Returns
    -------
    a Figure with a row a quantity.
    """
    table = summary(result)
    fig, axes = canvas(
        len(table),
        2,
        height=0.5 + 1.5 * len(table),
        squeeze=False,
        sharex="col",
        width_ratios=(3, 2),
    )
    for (left, right), (name, row) in zip(axes, table.iterrows(), strict=True):
        u = _matrix(result[name])
        grid, low, high = _band(len(u), 0.05)
        left.fill_between(grid, low - grid, high - grid, color=COLORS["prior"], alpha=0.25, lw=0)
        left.axhline(0, color=COLORS["prior"], lw=0.8)
        shown = u[:, :: max(1, u.shape[1] // 40)]  # more lines than these are a blot
        ecdf = np.mean(shown[:, np.newaxis, :] <= grid[:, np.newaxis], axis=0)
        many = shown.shape[1] > 1
        left.plot(
            grid,
            ecdf - grid[:, np.newaxis],
            color=COLORS["posterior"],
            lw=0.6 if many else 1.4,
            alpha=0.35 if many else 1,
        )
        noun = f" ({shown.shape[1]} of {u.shape[1]} elements)" if many else ""
        left.set_xlim(0, 1)
        left.set_title(f"{name}{noun}", loc="left")
        for position, level in enumerate(LEVELS):
            percent = _percent(level)
            off = [100 * (row[f"{what}_{percent}"] - level) for what in ("low", "high", "coverage")]
            right.vlines(position, *off[:2], color=COLORS["prior"], alpha=0.35, lw=9)
            right.plot(position, off[2], "o", color=COLORS["posterior"])
        right.axhline(0, color=COLORS["prior"], lw=0.8)
        right.set_xticks(range(len(LEVELS)), [f"{level:.0%}" for level in LEVELS])
        right.set_xlim(-0.6, len(LEVELS) - 0.4)
    axes[len(table) // 2, 0].set_ylabel("share of ranks below, less expected")
    axes[len(table) // 2, 1].set_ylabel("coverage − nominal (%)")
    axes[-1, 0].set_xlabel("normalised rank of the truth")
    axes[-1, 1].set_xlabel("central interval")
    return fig


def _percent(level) -> int:
    return round(100 * level)


def _matrix(ranks) -> np.ndarray:
    """Ranks of the fits that succeeded, (replication, element)."""
    u = ranks.transpose("replication", ...).to_numpy().reshape(ranks.sizes["replication"], -1)
    return u[np.isfinite(u).all(axis=1)]


def _tests(u) -> dict[str, float]:
    """P-values of the tests for uniformity, by name."""
    from scipy import special, stats

    count, width = u.shape
    bins = int(np.clip(count // 10, 2, 20))
    hits = np.stack([np.bincount(column, minlength=bins) for column in (u * bins).astype(int).T])
    statistic = np.sum((hits - count / bins) ** 2, axis=1) / (count / bins)
    found = {"χ²": width * special.chdtrc(bins - 1, statistic.max())}
    for name, moment in (("shift", u - 0.5), ("spread", (u - 0.5) ** 2 - 1 / 12)):
        found[name] = stats.ttest_1samp(moment.mean(axis=1), 0.0).pvalue
    if width == 1:
        null = _null_depths(count)
        found["ECDF"] = (1 + np.sum(null <= _depths(u.T)[0])) / (1 + null.size)
    return found


def _finding(u) -> str:
    found = _tests(u)
    worst = min(("shift", "spread"), key=found.__getitem__)
    if found[worst] > ALPHA:
        return "not uniform in rank"
    if worst == "shift":
        return "too low" if u.mean() > 0.5 else "too high"
    return "too narrow" if np.mean((u - 0.5) ** 2) > 1 / 12 else "too wide"


def _coverage_band(u, level, alpha):
    """Binomial band of a coverage, among as many cases as dependent elements are worth."""
    from scipy import stats

    count, width = u.shape
    distance = np.abs(u - 0.5)
    # Elements of one replication hang together; the factor by which that widens the mean's variance
    # is itself uncertain, and its upper end is taken.
    spread = width * distance.mean(axis=1).var() / distance.var() * (1 + np.sqrt(8 / count))
    cases = int(count * width / np.clip(spread, 1, width))
    low, high = stats.binom.ppf([alpha / 2, 1 - alpha / 2], cases, level) / cases
    return float(low), float(high)


# The simultaneous band: at each of some points the ECDF is binomial, and the depth of a sample is
# the smallest two-sided tail probability among them. The band of probability 1 − α holds the
# samples whose depth is above the α quantile of the depths of uniform samples.


@functools.cache
def _tails(count):
    """Grid, and two-sided binomial tail probability of each (grid point, number below it)."""
    from scipy import stats

    grid = np.arange(1, min(count, 100)) / min(count, 100)
    below = np.arange(count + 1)
    cdf = stats.binom.cdf(below, count, grid[:, np.newaxis])
    sf = stats.binom.sf(below - 1, count, grid[:, np.newaxis])
    return grid, 2 * np.minimum(cdf, sf)


def _depths(samples):
    count = samples.shape[1]
    grid, tails = _tails(count)
    below = np.stack([np.searchsorted(row, grid, side="right") for row in np.sort(samples, axis=1)])
    return tails[np.arange(len(grid)), below].min(axis=1)


@functools.cache
def _null_depths(count):
    return _depths(np.random.default_rng(count).random((_NULL, count)))


def _band(count, alpha):
    grid, tails = _tails(count)
    allowed = tails >= np.quantile(_null_depths(count), alpha)
    low = np.argmax(allowed, axis=1) / count
    high = (count - np.argmax(allowed[:, ::-1], axis=1)) / count
    return grid, low, high
