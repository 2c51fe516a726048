"""Chains: do they agree, are they long enough, and could they go everywhere?"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bayesinf import diagnostics
from bayesinf.checks.asking import DIGITS, answer, element_name, elements, option, run_longer
from bayesinf.checks.verdict import Check
from bayesinf.posterior import reported

__all__ = ["EBFMI", "ESS_PER_CHAIN", "RHAT", "divergences", "energy", "mixing"]

RHAT = 1.01  # largest rank-normalised split R-hat
ESS_PER_CHAIN = 100  # smallest bulk and tail effective sample size, in each chain
EBFMI = 0.3  # smallest energy fraction of missing information


def mixing(posterior) -> Iterator[Check]:
    """R-hat and effective sample sizes, the worst over all elements of all variables."""
    variables = [posterior["posterior"][name] for name in reported(posterior)]
    found = [diagnostics.tie_weighted_mixing(_moving(elements(variable))) for variable in variables]
    owners = [
        (v, i) for v, part in zip(variables, found, strict=True) for i in range(part.shape[1])
    ]
    rhat, bulk, tail = np.concatenate(found, axis=1)
    chains = posterior["posterior"].sizes["chain"]
    needed, worst = ESS_PER_CHAIN * chains, int(np.argmax(rhat))
    name = element_name(*owners[worst])
    fewest = np.min([bulk, tail], initial=needed, where=np.isfinite([bulk, tail]))
    longer = run_longer(posterior, max(needed / max(fewest, 1), 2 if rhat[worst] > RHAT else 1))
    longer = "start the chains elsewhere" if math.isinf(rhat[worst]) else longer

    if chains < 2:
        finding = "one chain alone cannot show that it has mixed"
        remedy = f"use {option(posterior, 'chains')} 4"
    elif math.isinf(rhat[worst]):
        finding, remedy = f"{name} is stuck at different values, or not finite", longer
    else:
        finding, remedy = f"R-hat of {name} is {rhat[worst]:.3f} (limit {RHAT})", longer
    agreed = f"the chains agree (R-hat at most {rhat[worst]:.4f})"
    passed = chains >= 2 and rhat[worst] <= RHAT
    yield answer("R-hat", rhat[worst], f"≤ {RHAT}", passed, agreed, finding, remedy)

    for name, sizes in (("bulk ESS", bulk), ("tail ESS", tail)):
        known = np.isfinite(sizes)
        if known.any():
            worst = int(np.nanargmin(sizes))
            size, where = sizes[worst], element_name(*owners[worst])
            aside = f" (undefined for {np.sum(~known)} elements)" * bool(not known.all())
            good = f"{name} at least {size:.0f}{aside}"
            bad = f"{name} of {where} is {size:.0f} (limit {needed}){aside}"
            yield answer(name, size, f"≥ {needed}", size >= needed, good, bad, longer)


def _moving(draws):
    """The draws, those of an element that moves by less than its digits tell taken as still."""
    size = np.max(np.abs(draws), axis=(1, 2), keepdims=True)
    still = np.ptp(draws, axis=(1, 2), keepdims=True) <= DIGITS * size
    return np.where(still, draws[:, :1, :1], draws) if still.any() else draws


def divergences(posterior) -> Iterator[Check]:
    """Whether the integrator could follow the energy, where the chains are Hamiltonian."""
    if "diverging" in posterior["sample_stats"]:
        count = int(posterior["sample_stats"]["diverging"].sum())
        good, bad = "no divergences", f"{count} transition{'s' if count > 1 else ''} diverged"
        remedy = "reparametrise the model or raise the target acceptance"
        yield answer("divergences", count, "none", count == 0, good, bad, remedy)


def energy(posterior) -> Iterator[Check]:
    """Whether the momenta reach all energies, where they are stored (Betancourt 2016)."""
    if "energy" in posterior["sample_stats"]:
        energy = posterior["sample_stats"]["energy"].transpose("chain", "draw").values
        steps = np.mean(np.diff(energy, axis=1) ** 2, axis=1)
        lowest = np.min(steps / np.var(energy, axis=1))
        good, bad = f"E-BFMI at least {lowest:.2f}", f"E-BFMI is {lowest:.2f} (limit {EBFMI})"
        remedy = "reparametrise what has heavy tails"
        yield answer("E-BFMI", lowest, f"≥ {EBFMI}", lowest >= EBFMI, good, bad, remedy)
