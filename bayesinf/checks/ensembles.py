"""Ensembles of walkers: did they run long against their memory, move, and go to the same places?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bayesinf import diagnostics
from bayesinf.checks.asking import answer, element_name, elements, evidence, run_longer
from bayesinf.checks.verdict import Check
from bayesinf.posterior import element_names, reported

__all__ = ["ACCEPTANCE", "APART", "STEPS_PER_TAU", "acceptance", "agreement", "length"]

STEPS_PER_TAU = 50  # shortest run of an ensemble, in autocorrelation times
ACCEPTANCE = (0.1, 0.9)  # of each walker
APART = 1.1  # R-hat of the walkers; one of 50 autocorrelation times has about 1.02


def length(posterior) -> Iterator[Check]:
    """How many autocorrelation times of the slowest parameter the walkers ran for."""
    times, slowest, ratio = _lengths(posterior)
    good = f"the walkers ran for {ratio:.0f} autocorrelation times"
    where = element_name(times, slowest, bare=True)
    bad = f"{good} of {where} only (limit {STEPS_PER_TAU})"
    remedy = run_longer(posterior, STEPS_PER_TAU / max(ratio, 1))
    limit = f"≥ {STEPS_PER_TAU}"
    yield answer("length / τ", ratio, limit, ratio >= STEPS_PER_TAU, good, bad, remedy)


def _lengths(posterior):
    """Autocorrelation times, which is the longest, and how many of it the run has."""
    times = evidence(posterior, "autocorrelation_time")
    # Where quantities are named, those of the parameters that are among them.
    wanted = [
        i
        for i, name in enumerate(element_names(times))
        if name.removeprefix(f"{times.name}[").split("[")[0].removesuffix("]")
        in reported(posterior)
    ]
    times = times[wanted] if wanted and "quantities" in posterior.attrs else times
    slowest = int(np.argmax(times.values))
    return times, slowest, float(evidence(posterior, "steps").item() / times.values[slowest])


def acceptance(posterior) -> Iterator[Check]:
    """Share of the moves that the walkers accept, the worst of them."""
    rates = evidence(posterior, "acceptance_rate").values
    (low, high), lowest, highest = ACCEPTANCE, np.min(rates), np.max(rates)
    passed = low <= lowest and highest <= high
    good = f"walkers accept {lowest:.0%} to {highest:.0%} of their moves"
    bad = f"{good} (limits {low:.0%} and {high:.0%})"
    value = lowest if lowest - low < high - highest else highest
    remedy = "start the walkers nearer to the optimum"
    yield answer("acceptance", value, f"{low} to {high}", passed, good, bad, remedy)


def agreement(posterior) -> Iterator[Check]:
    """Whether every walker has been where the others are.

    An autocorrelation time is measured about each walker's own mean, and does not see walkers that
    stay in the mode in which they began. They are no independent chains: a small R-hat of theirs
    proves little, but a large one that they stay apart. Of a run that is too short by itself it is
    not asked, for there it says the same again.
    """
    draws = posterior["posterior"].sizes
    short = not _lengths(posterior)[2] >= STEPS_PER_TAU
    if short or draws["chain"] < 2 or draws["draw"] < 4:
        return
    variables = [posterior["posterior"][name] for name in reported(posterior)]
    found = [diagnostics.mixing(elements(variable))[0] for variable in variables]
    names = [(v, i) for v, part in zip(variables, found, strict=True) for i in range(len(part))]
    ratio = np.nan_to_num(np.concatenate(found), nan=0.0)
    worst = int(np.argmax(ratio))
    good = f"the walkers have been to the same places (R-hat {ratio[worst]:.2f})"
    bad = (
        f"walkers stay apart along {element_name(*names[worst])} (R-hat {ratio[worst]:.2f}), so "
        "that how many are where is what they began with"
    )
    remedy = "look for separate modes, and weigh them by another sampler"
    passed = ratio[worst] <= APART
    yield answer("walkers", ratio[worst], f"≤ {APART}", passed, good, bad, remedy)
