"""Do the checks refuse what is wrong, and only that? Many simulated data sets, right and faulty.

A verdict is a classifier, and is judged as one. A system plants its faults: each is a function from
a generator to a fit of data that have the fault, such as counts fitted with normal noise. Under the
name ``none``, or one that begins with "none,", stands a right model of its own data. Over many data
sets the share of right fits that are refused, and of each fault that is caught, are binomial
proportions, given with their 95 % intervals (Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404).
Data that are refused in words count as caught: nobody believes them.

A fault that is not caught may do no harm. So where the truth is known it is held against those fits
that are believed, though it takes no part in their refusal, since nobody's own measurements come
with a truth: how much of it their 95 % intervals hold, and how many of them it contradicts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import parallel
from bayesinf.checks import OF_TRUTH, check, inside
from bayesinf.errors import BayesinfError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["MOST_REFUSED", "NONE", "Faults", "Trial", "readable", "tried"]

NONE = "none"  # the name of the right model of its own data, alone or before a comma
MOST_REFUSED = 0.02  # share of right fits that the checks may refuse

Faults = Mapping[str, Callable[[np.random.Generator], "xr.DataTree"]]


@dataclass(frozen=True)
class Trial:
    """What the checks said of many data sets with one fault.

    Parameters
    ----------
    fault : its name; ``none`` or "none, ..." for right fits.
    tried : data sets.
    refused : how many were not believed, or refused in words; the truth takes no part.
    by : required check to how often it failed; the name of an error where data were refused.
    misled : how many were believed though the truth, where it is known, contradicts them.
    inside : share of the true values that the 95 % intervals of those believed hold; NaN where no
        truth is known.
    """

    fault: str
    tried: int
    refused: int
    by: Mapping[str, int]
    misled: int = 0
    inside: float = math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share that is refused."""
        from scipy.stats import binomtest

        found = binomtest(self.refused, self.tried).proportion_ci(0.95, "exact")
        return float(found.low), float(found.high)

    @property
    def held(self) -> bool:
        """Whether right fits are refused no more often than they may be; of a fault, always.

        More refusals than ``MOST_REFUSED`` allows with 99.9 % probability are too many.
        """
        from scipy.stats import binom

        return not _right(self.fault) or self.refused <= binom.ppf(0.999, self.tried, MOST_REFUSED)


def tried(
    faults: Faults,
    repeats: int,
    seed: int = 1,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
) -> list[Trial]:
    """Fit data with each fault many times, and count what the checks say.

    Parameters
    ----------
    faults : name to (rng) -> InferenceData; that of a right model is ``none`` or "none, ...".
    repeats : data sets of each.
    seed : each data set has its own generator, whatever the number of workers.
    workers, scheduler : as of ``parallel.map``.

    Returns
    -------
    a ``Trial`` a fault, the right models first.
    """
    names = sorted(faults, key=lambda name: not _right(name))
    seeds = np.random.SeedSequence(seed).spawn(len(names) * repeats)
    jobs = [(name, seeds[k * repeats + i]) for k, name in enumerate(names) for i in range(repeats)]
    said = parallel.map(partial(_judged, faults), jobs, workers=workers, scheduler=scheduler)
    return [_counted(name, said[k * repeats : (k + 1) * repeats]) for k, name in enumerate(names)]


def _right(fault):
    return fault == NONE or fault.startswith(f"{NONE},")


@dataclass(frozen=True)
class Judged:
    """One data set: the required checks that fail, whether its truth does, and its share inside."""

    failed: tuple[str, ...]
    contradicted: bool = False
    inside: float = math.nan


def _judged(faults, job):
    """Fit one data set, and judge the fit."""
    name, seed = job
    try:
        fit = faults[name](np.random.default_rng(seed))
    except BayesinfError as error:
        return Judged((type(error).__name__,))
    failed = tuple(one.name for one in check(fit).checks if one.required and not one.passed)
    seen = tuple(name for name in failed if name not in OF_TRUTH)
    return Judged(seen, len(seen) < len(failed), inside(fit))


def _counted(name: str, judged: Iterable[Judged]) -> Trial:
    every = list(judged)
    believed = [one for one in every if not one.failed]
    by = Counter(check for one in every for check in dict.fromkeys(one.failed))
    shares = [one.inside for one in believed if math.isfinite(one.inside)]
    return Trial(
        name,
        tried=len(every),
        refused=len(every) - len(believed),
        by=dict(by.most_common()),
        misled=sum(one.contradicted for one in believed),
        inside=float(np.mean(shares)) if shares else math.nan,
    )


def readable(trials: Iterable[Trial]) -> pd.DataFrame:
    """Tabulate trials: a row a fault: the share refused, by which checks, and who is misled."""
    import pandas as pd

    rows = {}
    for one in trials:
        low, high = one.interval
        rows[one.fault] = {
            "tried": str(one.tried),
            "refused": str(one.refused),
            "share": f"{one.refused / one.tried:.1%}",
            "95 % interval": f"{low:.1%} to {high:.1%}",
            "believed, truth in 95 %": "" if math.isnan(one.inside) else f"{one.inside:.1%}",
            "misled": "" if math.isnan(one.inside) else str(one.misled),
            "by": ", ".join(f"{check} {count}" for check, count in list(one.by.items())[:4]),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fault")
