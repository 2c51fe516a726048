"""The table of questions, and who is asked which of them.

``inference.kinds`` says which a kind of inference is asked; some are asked of every fit; what a
family answers for itself it declares as a ``kinds.Question``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.checks import (
    chains,
    closed_forms,
    ensembles,
    known,
    optima,
    predictive,
    sensitivity,
    weights,
)
from bayesinf.checks.asking import MissingEvidence, answer, element_name, evidence
from bayesinf.checks.verdict import Check, Verdict
from bayesinf.foreign import adopted
from bayesinf.inference import kinds

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["EVERY_FIT", "OF_AN_OPTIMUM", "QUESTIONS", "check"]

# All that a classical estimate must pass.
OF_AN_OPTIMUM = ("gradient", "Hessian", "starts", "maximum")
QUESTIONS = {
    "mixing": chains.mixing,
    "divergences": chains.divergences,
    "energy": chains.energy,
    "length": ensembles.length,
    "acceptance": ensembles.acceptance,
    "agreement": ensembles.agreement,
    "gradient": optima.gradient,
    "hessian": optima.hessian,
    "starts": optima.starts,
    "importance weights": weights.importance_weights,
    "resampling": weights.resampling,
    "edges": optima.edges,
    "conditioning": closed_forms.conditioning,
    "moments": closed_forms.moments,
    "predictive check": predictive.predictive,
    "leave-one-out": predictive.leave_one_out,
    "truth": known.truth,
    "held out": known.held_out,
    "prior sensitivity": sensitivity.prior_sensitivity,
}
EVERY_FIT = ("predictive check", "truth", "held out", "leave-one-out", "prior sensitivity")


def check(posterior: xr.DataTree, inference: str | None = None) -> Verdict:
    """Ask a posterior every question that its kind of inference calls for.

    Parameters
    ----------
    posterior : an InferenceData. Of a fit of bayesinf's the root attribute ``inference`` says how
        it was made; one that has a root attribute ``classical`` is a classical estimate for
        comparison, of which only that it is an optimum is required. Any other InferenceData will
        do, of PyMC, emcee or others: see ``foreign.adopted``.
    inference : its kind, a name of ``inference.kinds``; None for what the file says, or shows.

    Returns
    -------
    the verdict; evidence that is missing is a check that failed, but for what a file of another
    library's cannot hold, which is not asked, and said to be so.

    Raises
    ------
    DataError : the kind of inference is unknown; there is no posterior.
    """
    posterior = adopted(posterior, inference)
    kind, unasked = kinds.of(posterior.attrs), kinds.unasked(posterior.attrs)
    missing = [name for name in kind.evidence if name not in posterior["sample_stats"]]
    names = [name for name in (*kind.questions, *EVERY_FIT) if name not in unasked]
    asked = [QUESTIONS[name] for name in names]
    asked += [partial(_declared, question) for question in kinds.declared(posterior.attrs)]
    checks = []
    for question in asked:
        try:
            checks.extend(question(posterior))
        except MissingEvidence as found:
            missing.append(str(found))
    for name in dict.fromkeys(name for name in missing if name not in unasked):
        finding = f"the posterior carries no {name}, which its checks need"
        checks.append(answer(name, math.nan, "present", False, "", finding, "refit"))
    if "classical" in posterior.attrs:
        # An optimum and its curvature, shown beside a posterior: that must be an optimum, and what
        # else it misses is what the posterior is there for.
        checks = [
            replace(check, required=check.required and check.name in OF_AN_OPTIMUM)
            for check in checks
        ]
    return Verdict(posterior.attrs["inference"], tuple(checks), unasked)


def _declared(question, posterior) -> Iterator[Check]:
    """A question that the family declared and stored with the fit."""
    values = evidence(posterior, question.variable)
    values = values.transpose("chain", "draw", ..., missing_dims="ignore")
    worst = int((np.argmin if question.worst == "min" else np.argmax)(values.values))
    each = math.prod(n for dim, n in values.sizes.items() if dim not in ("chain", "draw"))
    value, name = float(values.values.ravel()[worst]), element_name(values, worst % each, bare=True)
    good, limit = question.said.format(value=value, name=name), f"{question.limit:g}"
    passed, bad = question.answered(value), f"{good} (limit {limit})"
    yield answer(
        question.name,
        value,
        f"{question.relation} {limit}",
        passed,
        good,
        bad,
        question.remedy,
        question.required,
    )
