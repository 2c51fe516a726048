"""Importance weights: do the draws of an approximation cover the posterior?"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bayesinf import diagnostics
from bayesinf.checks.asking import answer, element_name, elements, evidence
from bayesinf.checks.chains import ESS_PER_CHAIN
from bayesinf.checks.verdict import Check
from bayesinf.posterior import reported

__all__ = [
    "AGREEING",
    "CORRECTED",
    "PARETO_K",
    "SAME",
    "importance_weights",
    "pareto_limit",
    "resampling",
]

PARETO_K = 0.7  # largest Pareto k̂; less where the draws are few
AGREEING = 0.25  # sd of a mean, and share of an sd, by which weights may move raw draws
SAME = 0.05  # likewise, where k̂ is above its limit
CORRECTED = 0.5  # likewise draws that were resampled by them


def importance_weights(posterior) -> Iterator[Check]:
    """How heavy the tail of the weights is, and whether they say anything else than the draws do.

    A k̂ somewhat above its limit, which another seed puts below it, does no harm where weighted and
    unweighted moments are the same.
    """
    weights = evidence(posterior, "log_weight").transpose("chain", "draw", ...).values
    # Blocks that were drawn apart have weights of their own, each of an unknown size.
    weights = weights.reshape(weights.shape[0] * weights.shape[1], -1)
    limit, blocks = pareto_limit(len(weights)), weights.shape[1]
    weights = weights - np.logaddexp.reduce(weights, axis=0)
    shape = float(diagnostics.smoothed_weights(weights.ravel())[1])
    shift, ratio = _weighted_moments(posterior, weights) if blocks == 1 else (np.nan, np.nan)
    same = shape < 1 and shift <= SAME and ratio <= SAME
    good = f"the approximation covers the posterior (Pareto k̂ {shape:.2f})"
    bad = f"the quadratic approximation misses the posterior (Pareto k̂ {shape:.2f})"
    passed = shape <= limit or same
    yield answer("Pareto k̂", shape, f"≤ {limit:.2f}", passed, good, bad, "sample it instead")
    if blocks == 1:
        said = f"weights move a mean by {shift:.2f} sd and an sd by {np.expm1(ratio):.0%} at most"
        passed, worst = max(shift, ratio) <= AGREEING, max(shift, ratio)
        limit = f"≤ {AGREEING} sd and {AGREEING:.0%}"
        yield answer("moments", worst, limit, passed, said, said, "sample it instead")


def _weighted_moments(posterior, weights) -> tuple[float, float]:
    """How far weights (chain, draw) move a mean, in sd, and how much they change an sd, as a log.

    The largest over all elements of all variables that vary.
    """
    weight = np.exp(diagnostics.smoothed_weights(weights.ravel())[0])
    shift = ratio = 0.0
    for name in reported(posterior):
        draws = elements(posterior["posterior"][name])
        draws = draws.reshape(len(draws), -1)
        draws = draws[draws.std(axis=1) > 0]
        mean = draws @ weight
        sd = np.sqrt((draws - mean[:, None]) ** 2 @ weight)
        shift = np.max(np.abs(draws.mean(axis=1) - mean) / sd, initial=shift)
        ratio = np.max(np.abs(np.log(draws.std(axis=1) / sd)), initial=ratio)
    return float(shift), float(ratio)


def resampling(posterior) -> Iterator[Check]:
    """Whether weights correct the approximation, and do not make up the posterior from few draws.

    Their moments are compared with those of the draws as they were: weights that move a mean by
    half an sd, or make an sd half as large again, are those of a tail that the next seed weighs
    otherwise. Draws that were spread too wide cover all there is, and cost only their number.
    """
    shape, effective = (
        float(evidence(posterior, name).values) for name in ("pareto_k", "effective_draws")
    )
    moved = np.abs(evidence(posterior, "weight_shift"))
    changed = np.maximum(-evidence(posterior, "weight_log_ratio"), 0.0)
    chains, draws = (posterior["posterior"].sizes[dim] for dim in ("chain", "draw"))
    limit, needed = pareto_limit(chains * draws), min(ESS_PER_CHAIN, draws / 2) * chains
    good = f"weighted draws carry the posterior (Pareto k̂ {shape:.2f}, worth {effective:.0f})"
    bad = f"the approximation misses the posterior (Pareto k̂ {shape:.2f}, worth {effective:.0f})"
    passed = shape <= limit and effective >= needed
    yield answer("Pareto k̂", shape, f"≤ {limit:.2f}", passed, good, bad, "sample it instead")
    where = int(np.argmax(np.maximum(moved, changed).values))
    shift, ratio = float(moved.max()), float(np.exp(changed.max()))
    name = element_name(moved, where, bare=True)
    good = (
        f"weights move no mean by more than {shift:.2f} sd and widen no sd by more than "
        f"{ratio - 1:.0%}"
    )
    made = f"{shift:.3g} sd, {100 * (ratio - 1):.3g} %"
    bad = f"weights alone make the answer, that for {name} most ({made})"
    passed = shift <= CORRECTED and ratio <= 1 + CORRECTED
    limit = f"≤ {CORRECTED:g} sd and {CORRECTED:.0%}"
    worst = max(shift, ratio - 1)
    yield answer("moments", worst, limit, passed, good, bad, "sample it instead")


def pareto_limit(draws) -> float:
    """The k̂ up to which so many draws can be trusted (Vehtari et al. 2024)."""
    return min(1 - 1 / math.log10(draws), PARETO_K)
