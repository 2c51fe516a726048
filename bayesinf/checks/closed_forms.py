"""Closed forms: are they well conditioned, and do the draws follow them?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bayesinf.checks.asking import (
    DIGITS,
    MissingEvidence,
    answer,
    element_name,
    elements,
    evidence,
    exact,
)
from bayesinf.checks.verdict import Check

__all__ = ["CONDITION", "MOMENTS_P", "conditioning", "moments"]

CONDITION = 1e12  # largest condition number
MOMENTS_P = 1e-3  # chance that right draws miss their closed form, all elements taken together
# Shape k̂ of a tail above which a fourth moment may be infinite (1/4, less what k̂ strays): no sample
# says how far its variance is off. What data leave to a prior of inferred width is such.
HEAVY = 0.15


def conditioning(posterior) -> Iterator[Check]:
    """How many digits the equations that were solved lose."""
    number = np.max(evidence(posterior, "condition_number").values)
    finding, limit = f"condition number {number:.1g}", f"≤ {CONDITION:.0e}"
    remedy = "rescale the features, or drop those that repeat others"
    yield answer("condition", number, limit, number <= CONDITION, finding, finding, remedy)


def moments(posterior) -> Iterator[Check]:
    """Means and variances of independent draws against the closed form, as z-scores.

    The variance of draws with a heavy tail says nothing, and is not asked; nor is anything where
    the data are exact, and the draws are rounding.
    """
    from scipy.special import ndtri

    if exact(posterior):
        return
    statistics, scores, owners = posterior["sample_stats"], [], []
    for name, variable in posterior["posterior"].data_vars.items():
        if f"{name}_closed_form_mean" not in statistics:
            continue
        draws = elements(variable)
        draws = draws.reshape(len(draws), -1)
        inner = [dim for dim in variable.dims if dim not in ("chain", "draw")]
        mean, sd = (
            statistics[f"{name}_closed_form_{moment}"].transpose(*inner).values.reshape(-1, 1)
            for moment in ("mean", "sd")
        )
        # Where digits end before so narrow a spread is resolved, draws need only be where it is.
        digits = DIGITS * np.max(np.abs(mean), initial=0.0)
        there = (sd <= digits) & (np.abs(draws - mean) <= 2 * digits)
        with np.errstate(invalid="ignore", divide="ignore"):
            z = np.where(there, 0.0, (draws - mean) / sd)
            variance = np.mean(z**2, axis=1)
            noise = np.sqrt((np.mean(z**4, axis=1) / variance**2 - 1) / z.shape[1])
            # The cube root makes a sample variance nearly normal (Wilson & Hilferty 1931).
            pair = np.sqrt(z.shape[1]) * z.mean(axis=1), 3 * (np.cbrt(variance) - 1) / noise
        scores.append(np.where((z == 0).all(axis=1), 0.0, pair))
        owners += [(variable, i) for i in range(len(draws))]
    if not scores:
        raise MissingEvidence("closed-form moments")
    scores = np.abs(np.nan_to_num(np.concatenate(scores, axis=1), nan=np.inf))
    limit = -ndtri(MOMENTS_P / (2 * scores.size))
    for element in np.flatnonzero(scores[1] > limit):
        if _tail(*owners[element]) > HEAVY:
            scores[1, element] = 0.0
    worst = scores.max()
    moment, element = np.unravel_index(np.argmax(scores), scores.shape)
    good = f"the draws follow the closed form (|z| at most {worst:.1f} of {scores.size})"
    bad = (
        f"the {('mean', 'variance')[moment]} of {element_name(*owners[element])} is {worst:.1f} "
        f"standard errors off its closed form (limit {limit:.1f})"
    )
    remedy = "report this, since either the draws or the formula are wrong"
    yield answer("moments", worst, f"|z| ≤ {limit:.1f}", worst <= limit, good, bad, remedy)


def _tail(variable, element) -> float:
    """Pareto k̂ of the heavier tail of an element's draws."""
    from arviz_stats.base import array_stats

    draws = elements(variable)
    draws = draws.reshape(len(draws), -1)[element]
    return float(array_stats.pareto_khat(draws[np.newaxis], r_eff=1.0))
