"""Optima: is this a maximum, the best one, and does the density fall off before the edges?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bayesinf.checks.asking import answer, element_name, evidence
from bayesinf.checks.verdict import Check

__all__ = [
    "BEYOND",
    "GRADIENT",
    "ROUNDING",
    "START_AGREES",
    "START_RIVALS",
    "edges",
    "gradient",
    "hessian",
    "starts",
]

GRADIENT = 0.01  # largest slope at an optimum, in log density per posterior sd
START_AGREES = 0.01  # log density that may part two starts that found the same optimum
START_RIVALS = 3.0  # log density below the best at which another optimum still counts (5 % of it)
ROUNDING = 1e-3  # share of the noise that a last digit of the curve may be
WITHOUT_NOISE = "take the parameters as they are, exact but for rounding, or state error bars"
BEYOND = 0.1  # sd of a mean, by which what lies beyond the draws may move it


def _blurred(posterior) -> str:
    """What rounding leaves to be said of slopes and bends; nothing where it is small."""
    if "rounding" not in posterior["sample_stats"]:
        return ""
    share = float(posterior["sample_stats"]["rounding"])
    if share <= ROUNDING:
        return ""
    return (
        f"the residuals are rounding (a last digit of the curve is {share:.1%} of them), and no "
        "noise can be read from them"
    )


def gradient(posterior) -> Iterator[Check]:
    """Whether the log density is flat where the approximation sits."""
    slopes = np.abs(evidence(posterior, "gradient"))
    # A step from an edge of the prior leads where there is no density, and so no slope.
    steepest = int(np.argmax(np.where(np.isfinite(slopes.values), slopes.values, np.inf)))
    slope, along = slopes.values[steepest], element_name(slopes, steepest, bare=True)
    good = f"the optimum is flat (slope at most {slope:.1g} a standard deviation)"
    bad = f"the optimum slopes by {slope:.2g} a standard deviation along {along}"
    remedy = "let the optimiser run on, or start elsewhere"
    if blurred := _blurred(posterior):
        bad, remedy = blurred, WITHOUT_NOISE
    elif not np.isfinite(slope):
        bad = f"{along} is at an edge of what its prior allows, and no optimum is there"
        remedy = f"widen the prior of {along}, fix it, or sample instead"
    passed = slope <= GRADIENT and not blurred
    yield answer("gradient", slope, f"≤ {GRADIENT}", passed, good, bad, remedy)


def hessian(posterior) -> Iterator[Check]:
    """Whether it falls off from there in every direction."""
    smallest = np.min(evidence(posterior, "hessian_eigenvalue").values)
    good = "the Hessian is positive definite"
    bad = f"the Hessian has an eigenvalue of {smallest:.2g}, so this is no maximum"
    remedy = "fix or drop a parameter that the data do not determine"
    if blurred := _blurred(posterior):
        bad, remedy = "nor is there a curvature to approximate by", WITHOUT_NOISE
    elif not np.isfinite(smallest):
        bad = "at an edge there is no curvature to approximate by"
    passed = smallest > 0 and not blurred
    yield answer("Hessian", smallest, "> 0", passed, good, bad, remedy)


def starts(posterior) -> Iterator[Check]:
    """Whether several starts found the best optimum, and none another that is nearly as good."""
    # A start that ends far below was caught in a side valley, which does no harm. What does is a
    # best optimum that was found only once, or another nearly as good, which is then left out.
    excess = np.abs(evidence(posterior, "start_excess").values.ravel())
    agree = np.sum(excess <= START_AGREES)
    rivals = np.sum((excess > START_AGREES) & (excess <= START_RIVALS))
    good = f"{agree} of {excess.size} starts found the best optimum"
    bad = f"{good}, and {rivals} one that is nearly as good" if rivals else f"only {good}"
    limit = f"≥ 2 within {START_AGREES}, no others within {START_RIVALS:g}"
    passed = agree >= 2 and rivals == 0
    yield answer("starts", agree, limit, passed, good, bad, "use more starts")


def edges(posterior) -> Iterator[Check]:
    """How far a mean would move by what lies beyond the draws, out to the edge of a box."""
    shares = evidence(posterior, "beyond")
    worst = int(np.argmax(shares.values))
    share, name = float(shares.values[worst]), element_name(shares, worst, bare=True)
    good = (
        f"the density falls off before the edges (what is beyond moves no mean by {share:.1g} sd)"
    )
    bad = (
        f"the likelihood does not fall to zero out to the edge of the box of {name}: what lies "
        f"beyond the draws moves its mean by {share:.2g} sd, so that the edge sets mean and sd"
    )
    limit, remedy = f"≤ {BEYOND}", f"state a prior of {name}, or quote a limit in place of a mean"
    yield answer("edges", share, limit, share <= BEYOND, good, bad, remedy)
