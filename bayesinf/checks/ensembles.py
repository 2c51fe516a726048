"""Ensembles of walkers: did they run long against their memory, and do they move?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bayesinf.checks.asking import answer, element_name, evidence, run_longer
from bayesinf.checks.verdict import Check
from bayesinf.posterior import element_names, reported

__all__ = ["ACCEPTANCE", "STEPS_PER_TAU", "acceptance", "length"]

STEPS_PER_TAU = 50  # shortest run of an ensemble, in autocorrelation times
ACCEPTANCE = (0.1, 0.9)  # of each walker


def length(posterior) -> Iterator[Check]:
    """How many autocorrelation times of the slowest parameter the walkers ran for."""
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
    ratio = float(evidence(posterior, "steps").item() / times.values[slowest])
    good = f"the walkers ran for {ratio:.0f} autocorrelation times"
    where = element_name(times, slowest, bare=True)
    bad = f"{good} of {where} only (limit {STEPS_PER_TAU})"
    remedy = run_longer(posterior, STEPS_PER_TAU / max(ratio, 1))
    limit = f"≥ {STEPS_PER_TAU}"
    yield answer("length / τ", ratio, limit, ratio >= STEPS_PER_TAU, good, bad, remedy)


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
