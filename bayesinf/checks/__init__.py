"""May this posterior be believed? One verdict, read from the InferenceData alone.

What there is to check depends on how the posterior was made: chains must agree, an ensemble must be
long against its memory, a Laplace approximation must sit on the optimum and resemble the posterior,
a closed form must be well conditioned and its draws must follow it. Every posterior must moreover
predict data like those that it was fitted to. How far single observations and the prior decide the
answer is advice: it qualifies the words, and does not make a posterior unbelieved.

A module a kind of question, its thresholds at its top. A question is a function from the
InferenceData to ``Check`` objects, known by its name in the table in ``questions``.
"""

from bayesinf.checks.asking import element_name, elements
from bayesinf.checks.chains import RHAT
from bayesinf.checks.closed_forms import MOMENTS_P
from bayesinf.checks.known import OF_TRUTH, TRUTH_P, inside
from bayesinf.checks.predictive import PREDICTIVE_P, loo, p_values
from bayesinf.checks.questions import EVERY_FIT, QUESTIONS, check
from bayesinf.checks.verdict import Check, Verdict

__all__ = [
    "EVERY_FIT",
    "MOMENTS_P",
    "OF_TRUTH",
    "PREDICTIVE_P",
    "QUESTIONS",
    "RHAT",
    "TRUTH_P",
    "Check",
    "Verdict",
    "check",
    "element_name",
    "elements",
    "inside",
    "loo",
    "p_values",
]
