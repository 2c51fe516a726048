"""Prediction: do the data look like their replicas, and does a single one of them decide?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from bayesinf import diagnostics
from bayesinf.checks.asking import MissingEvidence, answer, elements, evidence, exact
from bayesinf.checks.verdict import Check
from bayesinf.checks.weights import pareto_limit
from bayesinf.posterior import observation_names

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["LEFT_OUT", "PREDICTIVE_P", "leave_one_out", "loo", "p_values", "predictive"]

TOGETHER = 2**17  # log densities that are looked at together, so that they stay in the cache

PREDICTIVE_P = 0.01  # smallest predictive p-value, times the number of statistics
COUNTED = 10  # replicas beyond the data, below which they are too few to count,
TAIL = 0.02  # and share of the replicas, at the least LEAST, whose tail is asked instead
LEAST = 20
# What a model is likely to leave out where the data's residuals are not like those of replicas.
LEFT_OUT = {
    "largest residual": "look for outliers, or let the noise have heavy tails",
    "residual skewness": "look for outliers to one side, or for counts taken for a measurement",
    "residual tails": "let the noise have heavy tails, or look for values that are cut off",
    "residual spread": "let the noise grow with the signal",
    "residual memory": "look for a trend that the model leaves out, or let the noise have memory",
    "noise that series share": "look for what acts upon several of them at once, such as a drive "
    "or a clock that jitters: what is said of them together is less sure than it looks",
    "chi-square": "check the error bars",
    "dispersion": "where counts scatter more than they may, let their rate vary: by a negative "
    "binomial response (negbinomial), or by effects of groups",
}


def predictive(posterior) -> Iterator[Check]:
    """Posterior predictive p-values of the stored statistics, two-sided (Gelman et al. 1996)."""
    if exact(posterior):
        said = "the data are met to rounding, and nothing scatters that replicas could show"
        yield answer("predictive p", math.nan, "none", True, said, said, "")
        return
    found = p_values(posterior)
    names, two_sided = np.array(list(found)), np.array(list(found.values()))
    draws = evidence(posterior, "discrepancy").isel(statistic=0).size
    limit = PREDICTIVE_P / two_sided.size
    # How far below what can be counted a value is, no tail says: of these the first is named.
    worst = int(np.argmin(np.maximum(two_sided, min(limit, 1 / draws))))
    value = two_sided[worst]
    said = f"= {value:.2g}" if value > 1 / draws else f"< {2 / draws:.1g}"
    good = f"the data look like their replicas (predictive p-values from {value:.2g})"
    others = [name for name, p in zip(names, two_sided, strict=True) if p < limit]
    others = _also([name for name in others if name != names[worst]])
    bad = (
        f"the data's {names[worst]}{others} is not what the model predicts "
        f"(p {said}, limit {limit:.2g})"
    )
    remedy = posterior.attrs.get("cause") or LEFT_OUT.get(
        names[worst], "see in the predictive figures what the model leaves out"
    )
    yield answer("predictive p", value, f"≥ {limit:.2g}", value >= limit, good, bad, remedy)


def p_values(posterior: xr.DataTree) -> dict[str, float]:
    """Return the predictive p-value of each stored statistic, two-sided.

        p = 2 P(T' > T),   beyond most replicas   P(T' − T > 0) = s exp(−u / m)

    T' is the statistic of a replica, T that of the data, and ties count half. No replica beyond the
    data is what one right fit of 500 would show of each statistic, were 1000 replicas counted;
    so where they are few the tail is continued: s is the share of replicas in it, u how far the
    data are beyond its begin, and m the mean of what replicas are beyond it. An exponential is as
    heavy a tail as a statistic of normal or counted data has, and p is never less than is counted.

    Raises
    ------
    MissingEvidence : the posterior has no replicas.

    References
    ----------
    Knijnenburg, Wessels, Reinders & Shmulevich, Bioinformatics 25, i161 (2009),
    doi:10.1093/bioinformatics/btp211.
    """
    replica, data = (
        evidence(posterior, name).transpose("statistic", "chain", "draw")
        for name in ("discrepancy", "discrepancy_observed")
    )
    names, replica, data = replica["statistic"].values.tolist(), replica.values, data.values
    with np.errstate(invalid="ignore"):  # ∞ − ∞, which is no number, is refused below
        gap = (replica - data).reshape(len(names), -1)
    above = np.mean((gap > 0) + 0.5 * (gap == 0), axis=1)
    two_sided = 2 * np.minimum(above, 1 - above)
    for k in np.flatnonzero(two_sided < 2 * COUNTED / gap.shape[1]):
        two_sided[k] = max(two_sided[k], 2 * _beyond(gap[k] if above[k] < 0.5 else -gap[k]))
    two_sided[~np.isfinite(gap).all(axis=1)] = 0.0
    return dict(zip(names, two_sided.tolist(), strict=True))


def _beyond(gap):
    """Share of a distribution above zero, by the exponential that continues its upper tail."""
    size = max(LEAST, int(TAIL * len(gap)))
    if len(gap) <= size:
        return 0.0
    gap = np.sort(gap)
    begin = gap[-size - 1]
    excess = np.mean(gap[-size:] - begin)
    if begin >= 0 or not excess > 0:
        return 0.0
    return size / len(gap) * np.exp(begin / excess)


def _also(names):
    return f" (and {', '.join(names)})" if names else ""


def leave_one_out(posterior) -> Iterator[Check]:
    """Whether any single observation decides the answer (advice)."""
    result = loo(posterior)
    shape, limit = result["pareto_k"], pareto_limit(result["draws"])
    worst, count = np.max(shape), np.sum(shape > limit)
    good = f"no single observation decides (LOO k̂ at most {worst:.2f})"
    bad = (
        f"{count} of {shape.size} observations are too influential for LOO "
        f"(k̂ {worst:.2f} at {result['names'][int(np.argmax(shape))]})"
    )
    remedy = "look at these observations"
    limit = f"≤ {limit:.2f}"
    yield answer("LOO k̂", worst, limit, count == 0, good, bad, remedy, required=False)


def _log_sums(values):
    """log Σ exp along rows; SciPy's, which knows signs and infinities, is slower."""
    top = np.max(values, axis=1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.sum(np.exp(values - top), axis=1)) + top[:, 0]


def loo(posterior: xr.DataTree) -> dict:
    """Leave-one-out cross-validation by Pareto-smoothed importance sampling.

        elpd = Σ_i log p(y_i | y_{-i})

    Where coefficients can be integrated out a fit's ``log_likelihood`` is that of each observation
    given the others, whose importance ratios have far lighter tails.

    Parameters
    ----------
    posterior : an InferenceData.

    Returns
    -------
    ``elpd`` and its standard error ``se``, ``p`` (effective number of parameters), the arrays
    ``pointwise`` and ``pareto_k`` (observation), the observations' ``names`` and the number of
    ``draws``.

    References
    ----------
    Vehtari, Gelman & Gabry, Statistics and Computing 27, 1413 (2017),
    doi:10.1007/s11222-016-9696-4.
    """
    group = posterior["log_likelihood"].data_vars
    if not group:
        raise MissingEvidence("log_likelihood")
    chosen = [group[name] for name in group if f"{name}_marginal" not in group]
    names = [name for one in chosen for name in observation_names(one)]
    values = np.concatenate([elements(variable) for variable in chosen])
    values = values.reshape(len(values), -1)
    pointwise, within, shape = (np.empty(len(values)) for _ in range(3))
    together = max(1, TOGETHER // values.shape[1])
    for start in range(0, len(values), together):
        part = slice(start, start + together)
        weights, shape[part] = diagnostics.smoothed_weights(-values[part])
        weights += values[part]
        pointwise[part], within[part] = _log_sums(weights), _log_sums(values[part])
    within -= math.log(values.shape[1])
    return {
        "elpd": float(pointwise.sum()),
        "se": float(np.sqrt(pointwise.size) * np.std(pointwise)),
        "p": float(np.sum(within - pointwise)),
        "pointwise": pointwise,
        "pareto_k": shape,
        "names": names,
        "draws": values.shape[1],
    }
