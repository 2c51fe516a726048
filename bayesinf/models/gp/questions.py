"""What fits of the family are asked beside what their kind of inference is.

Every fit to values of one input, whether there is a jump that its process takes for smooth
(``jumps``). A system that knows the true curve holds drawn ones against it; one that is told the
noise compares the evidence with that of noise which is inferred.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bayesinf import diagnostics
from bayesinf.inference import kinds

__all__ = ["COVERING", "JUMP", "NOISE_BEYOND", "PLACES", "of_known_curve"]

COVERING, PLACES = 2000, 40  # draws of curves that are held against a known one, at so many places
CHANCE = 1e-3  # least chance with which a draw lies as far out as the truth does

LEFT_OUT = "look for what kernel, mean or coordinate leave out"
COVERED = kinds.Question(
    "true curve",
    "truth_covered",
    "min",
    0.0,
    "≥",
    True,
    "the 95 % band covers {value:.0%} of the true curve",
    LEFT_OUT,
)
STRAYED = kinds.Question(
    "farthest from the true curve",
    "truth_chance",
    "min",
    CHANCE,
    "≥",
    True,
    "a drawn curve strays as far as the true one does with a chance of {value:.2g}",
    LEFT_OUT,
)
NOISE_BEYOND = kinds.Question(
    "noise beyond what is stated",
    "noise_evidence",
    "max",
    kinds.FIFTYFOLD,
    "≤",
    True,
    "that the values scatter more than is stated has a log Bayes factor of {value:.2g}",
    "let the noise be inferred, or state larger errors",
)

JUMP = kinds.Question(
    "a jump",
    "jump_evidence",
    "max",
    kinds.FIFTYFOLD,
    "≤",
    True,
    "that the curve jumps somewhere has a log Bayes factor of {value:.2g}",
    "fit the data on either side of the jump apart",
)


def of_known_curve(drawn: np.ndarray, true: np.ndarray) -> dict[kinds.Question, float]:
    """Ask whether drawn curves cover the true one as they cover one another.

    Parameters
    ----------
    drawn : (..., place), curves of the posterior; ``COVERING`` of them are enough.
    true : (place,).

    Returns
    -------
    question to the value that answers it: the share of the true curve within the 95 % band, and the
    chance that a drawn curve strays as far (limits by ``diagnostics.coverage``).
    """
    cover = diagnostics.coverage(np.reshape(drawn, (-1, len(true))).T, np.asarray(true))
    due = replace(COVERED, limit=cover.fewest / len(true))
    return {due: cover.covered / len(true), STRAYED: cover.p_farthest}
