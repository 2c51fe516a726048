"""How much the prior decides: advice, which leaves the posterior believed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from bayesinf import diagnostics
from bayesinf.checks.asking import MissingEvidence, answer, element_name, elements
from bayesinf.checks.verdict import Check
from bayesinf.posterior import log_likelihood, reported

__all__ = ["PRIOR_SENSITIVITY", "SMALL", "prior_sensitivity"]

PRIOR_SENSITIVITY = 0.05  # power-scaling sensitivity from which a prior matters
SMALL = 32  # elements up to which a variable's prior sensitivity is looked at


def prior_sensitivity(posterior) -> Iterator[Check]:
    """Power-scaling sensitivity of the small variables, to the prior and to the likelihood.

    Kallioinen, Paananen, Bürkner & Vehtari, Statistics and Computing 34, 57 (2024),
    doi:10.1007/s11222-023-10366-5.
    """
    likelihood, factors = log_likelihood(posterior), posterior["log_prior"].data_vars
    if likelihood is None or not factors:
        raise MissingEvidence("log_prior" if likelihood is not None else "log_likelihood")
    top = json.loads(posterior.attrs.get("hyperparameters", "null")) or list(factors)
    to_data = _power_scaling(elements(likelihood)[0])
    to_prior = _power_scaling(sum(elements(factors[name]).sum(axis=0) for name in top))
    found = [
        (to_prior(draws), to_data(draws), element_name(variable, i))
        for variable in (posterior["posterior"][name] for name in reported(posterior))
        if variable[0, 0].size <= SMALL
        for i, draws in enumerate(elements(variable))
        if np.ptp(draws) > 0
    ]
    if found:
        worst, data, name = max(found)
        why = "pulls against the data" if data >= PRIOR_SENSITIVITY else "outweighs the data"
        more = sum(prior >= PRIOR_SENSITIVITY for prior, _, _ in found) - 1
        others = f" and of {more} more" if more > 0 else ""
        good = f"the priors hardly matter (sensitivity at most {worst:.2g})"
        bad = f"the prior of {name}{others} {why} (sensitivity {worst:.2g})"
        limit, passed = f"< {PRIOR_SENSITIVITY}", worst < PRIOR_SENSITIVITY
        remedy = "be ready to defend the prior"
        yield answer("prior", worst, limit, passed, good, bad, remedy, required=False)


def _power_scaling(log_factor, step=0.01):
    """A function from draws to how much a power of one factor moves their distribution."""
    if np.ptp(log_factor) < 1e-9:  # raising a flat factor to a power changes nothing
        return lambda draws: 0.0
    powers = 1 / (1 + step), 1 + step
    weights = [
        np.exp(diagnostics.smoothed_weights((power - 1) * log_factor.ravel())[0])
        for power in powers
    ]
    return lambda draws: float(
        np.mean([_distance(draws.ravel(), weight) for weight in weights]) / np.log2(1 + step)
    )


def _distance(draws, weight):
    """Cumulative Jensen-Shannon distance of draws, (draw,), from the same with weights.

    Of distribution functions P and Q, and of 1 − P and 1 − Q, the larger of

        [∫ P log₂ (2 P/(P + Q)) + Q log₂ (2 Q/(P + Q)) dx / ∫ (P + Q) dx]^½

    Nguyen & Vreeken, ECML PKDD 2015, doi:10.1007/978-3-319-23525-7_11.
    """
    order = np.argsort(draws)
    width, count = np.diff(draws[order]), len(draws)
    below = np.stack([np.arange(1, count) / count, np.cumsum(weight[order])[:-1] / weight.sum()])
    found = 0.0
    for both in (below, np.clip(1 - below, 0.0, 1.0)):
        mean = both.mean(axis=0)
        ratio = np.divide(both, mean, out=np.ones_like(both), where=both > 0)
        found = max(found, np.sum(width * both * np.log2(ratio)) / np.sum(width * both))
    return np.sqrt(found)
