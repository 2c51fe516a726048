"""What a kind of inference is: what it stores, is asked, shows and tables. One entry a kind.

A new kind is an entry here, a question in ``checks`` where it needs one of its own, and a way of
drawing in ``figures.traces`` where none of those that are there fits. A family that has something
to answer for beside its kind of inference declares a ``Question``, and stores it with the fit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from bayesinf.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "FIFTYFOLD",
    "KINDS",
    "Kind",
    "Question",
    "asked",
    "declare",
    "declared",
    "of",
    "unasked",
]


@dataclass(frozen=True)
class Kind:
    """One kind of inference.

    Parameters
    ----------
    words : how long it ran, with places for {chains}, {draws} and {total}.
    evidence : names that ``sample_stats`` must hold; one that is missing is a failed check.
    questions : what it is asked, by names that ``checks`` knows.
    drawn : how its draws are drawn, by a name that ``figures.traces`` knows.
    caption : of that picture, with a place for the {name} of the fit.
    chains : whether its draws are Markov chains, of which R-hat and effective sample size speak.
    """

    words: str
    evidence: tuple[str, ...]
    questions: tuple[str, ...]
    drawn: str
    caption: str
    chains: bool = False

    def said(self, chains: int, draws: int) -> str:
        """Say how long it ran: "NUTS, 4 chains of 1000 draws."."""
        return self.words.format(chains=chains, draws=draws, total=chains * draws)


def _chains(words):
    """Markov chains, whatever moves them."""
    return Kind(
        words=f"{words}, {{chains}} chains of {{draws}} draws.",
        evidence=(),
        questions=("mixing", "divergences", "energy"),
        drawn="chains",
        caption="Chains ({name}), one shade each. Left: they should overlap and show no drift. "
        "Right: the ranks of each chain's draws among all, relative to an even spread; the grey "
        "band holds 95 % of such steps for draws as correlated as these.",
        chains=True,
    )


KINDS = {
    "nuts": _chains("NUTS"),
    "gibbs": _chains("Gibbs sampling"),
    "mle+mcmc": _chains("mle+mcmc"),
    "mcmc": _chains("Markov chain Monte Carlo"),
    "ensemble": Kind(
        words="Ensemble of {chains} walkers, {draws} draws kept of each.",
        evidence=("autocorrelation_time", "steps", "acceptance_rate"),
        questions=("length", "acceptance", "agreement"),
        drawn="walkers",
        caption="Walkers of the ensemble ({name}). The band holds 90 % of them and should run "
        "level; the densities of the first and of the second half of the run should coincide.",
    ),
    "laplace": Kind(
        words="Laplace approximation, {total} independent draws.",
        evidence=("gradient", "hessian_eigenvalue", "start_excess", "log_weight"),
        questions=("gradient", "hessian", "starts", "importance weights"),
        drawn="weighted draws",
        caption="Laplace approximation ({name}). Filled: its draws; outline: the same draws "
        "reweighted to the posterior. Where the two differ, or weights rise far above the line at "
        "1, the quadratic approximation fails.",
    ),
    "normal": Kind(
        words="Normal approximation at the posterior's mean, {total} independent draws.",
        evidence=(
            "gradient",
            "hessian_eigenvalue",
            "start_excess",
            "conditional_shift",
            "conditional_ratio",
        ),
        questions=("gradient", "hessian", "starts"),
        drawn="independent draws",
        caption="Independent draws of a normal approximation at the posterior's mean ({name}), "
        "which is held against the posterior one parameter at a time, given draws of the others.",
    ),
    "resampled": Kind(
        words="Laplace approximation, {total} draws resampled by their importance weights.",
        evidence=(
            "gradient",
            "hessian_eigenvalue",
            "start_excess",
            "pareto_k",
            "effective_draws",
            "weight_shift",
            "weight_log_ratio",
            "beyond",
        ),
        questions=("gradient", "hessian", "starts", "resampling", "edges"),
        drawn="independent draws",
        caption="Draws of the Laplace approximation, resampled by their importance weights "
        "({name}): each is a draw of the posterior, and few stand for many others.",
    ),
    "linearised": Kind(
        words="Closed form of the problem linear around its optimum, {total} draws resampled by "
        "their importance weights, in steps and with moves where few would weigh most.",
        evidence=("pareto_k", "effective_draws", "weight_shift", "weight_log_ratio"),
        questions=("resampling",),
        drawn="independent draws",
        caption="Draws of the problem that is linear around the optimum, resampled by their "
        "importance weights ({name}): each is a draw of the posterior, and few stand for many.",
    ),
    "batch": Kind(
        words="Fits of a batch, {total} draws kept of each.",
        evidence=("code",),
        questions=(),
        drawn="independent draws",
        caption="Draws of the fits of a batch ({name}).",
    ),
    "importance": Kind(
        words="Importance sampling, {total} draws of a mixture that was fitted to the posterior, "
        "resampled by their weights.",
        evidence=("pareto_k", "effective_draws", "weight_shift", "weight_log_ratio"),
        questions=("resampling",),
        drawn="independent draws",
        caption="Draws of a mixture that was fitted to the posterior, resampled by their "
        "importance weights ({name}): each is a draw of the posterior, and few stand for many.",
    ),
    "exact": Kind(
        words="Closed form, {total} independent draws.",
        evidence=("condition_number",),
        questions=("conditioning", "moments"),
        drawn="closed form",
        caption="Independent draws from the closed form ({name}). Vertical lines, where the "
        "moments are known: closed-form mean, and one standard deviation on either side.",
    ),
    "boxes": Kind(
        words="Boxes for the non-linear parameters, closed form given them, {total} independent "
        "draws.",
        evidence=("condition_number", "log_weight"),
        questions=("conditioning",),
        drawn="closed form",
        caption="Independent draws from boxes and closed forms ({name}). Vertical lines, where the "
        "moments are known: their mean, and one standard deviation on either side.",
    ),
}


def of(attrs: Mapping[str, object]) -> Kind:
    """Return the kind of inference that a fit's root attributes name.

    Raises
    ------
    DataError : it is none of ``KINDS``.
    """
    name = attrs.get("inference")
    if name not in KINDS:
        raise DataError(
            "nothing is known about how to check this posterior",
            where="root attribute 'inference'",
            expected=f"one of {', '.join(KINDS)}",
            found=name,
        )
    return KINDS[name]


RELATIONS = ("≤", "<", "≥", ">")
# Of data that a model made, no other has fifty times its evidence in more than one set of fifty
# (Markov's inequality: on average the ratio is one).
FIFTYFOLD = math.log(50.0)


@dataclass(frozen=True)
class Question:
    """One number that a family answers for, beside what its kind of inference is asked.

    Parameters
    ----------
    name : of the check.
    variable : of ``sample_stats``.
    worst : "min" or "max": which of its values is looked at.
    limit : what it is held to.
    relation : of value to limit where all is well: ≤, <, ≥ or >.
    required : whether the posterior cannot be believed without.
    said : the finding as a clause, with places for the value, as in "… of {value:.2f}", and for the
        {name} of the element that has it.
    remedy : what to do where it failed.
    """

    name: str
    variable: str
    worst: str
    limit: float
    relation: str
    required: bool
    said: str
    remedy: str

    def __post_init__(self):
        if self.worst not in ("min", "max") or self.relation not in RELATIONS:
            raise ValueError(
                f"question {self.name!r}: worst is min or max, and the relation one of "
                f"{', '.join(RELATIONS)}; found {self.worst!r} and {self.relation!r}"
            )

    def answered(self, value: float) -> bool:
        """Whether a value is as it should be; what is not a number is not."""
        match self.relation:
            case "≤":
                return value <= self.limit
            case "<":
                return value < self.limit
            case "≥":
                return value >= self.limit
            case _:
                return value > self.limit


def declare(*questions: Question) -> dict[str, str]:
    """Return the root attribute ``questions`` of a fit that is to be asked them."""
    return {"questions": json.dumps([asdict(question) for question in questions])}


def asked(fit: xr.DataTree, question: Question, value: float) -> xr.DataTree:
    """Ask a fit one more question, whose answer was found beside it.

    Parameters
    ----------
    fit : InferenceData; a copy comes back.
    question, value : what is asked, and the number for its ``variable``.
    """
    import xarray as xr

    answered = fit.copy()
    statistics = fit["sample_stats"].to_dataset()
    statistics[question.variable] = ((), float(value), {"units": "1"})
    answered["sample_stats"] = xr.DataTree(statistics)
    answered.attrs |= declare(*declared(fit.attrs), question)
    return answered


def declared(attrs: Mapping[str, object]) -> tuple[Question, ...]:
    """Return the questions that a fit's root attributes declare."""
    return tuple(Question(**fields) for fields in json.loads(attrs.get("questions", "[]")))


def unasked(attrs: Mapping[str, object]) -> dict[str, str]:
    """Return what a fit cannot be asked, by the names of questions or of evidence, and why.

    It is the root attribute ``not_asked``, which a model of the user's has where it lacks a part
    (a likelihood observation by observation), and a posterior of another library's.
    """
    return json.loads(attrs.get("not_asked", "{}"))
