"""Whether a batch may be believed as a whole: do more of its fits fail than chance lets fail?

A single fit is doubted where a p-value is below what one right fit in a hundred has. Over a batch
such p-values are many: where the model is right they are even, and where it is wrong in a way too
faint to be seen in one spectrum, too many of them are small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bayesinf.inference.kinds import Question

__all__ = ["BELIEVED", "DOUBTED", "FAILED", "NOT_ASKED", "QUESTIONS", "Tally", "evidence"]

BELIEVED, DOUBTED, FAILED = 0, 1, 2
LEVEL = 0.05  # p-value below which a right model leaves this share
TWICE = 2.0  # times that share, which is borne in a batch however large
ERRORS = 4.0  # binomial standard deviations that are borne besides
MOST = 0.1  # share of doubted spectra, and of those that could not be fitted, that is borne

NOT_ASKED = {
    "predictive check": "a batch keeps p-values of each fit in place of replicas",
    "leave-one-out": "log likelihoods are summed over each",
    "prior sensitivity": "a batch keeps too few draws of each",
}

QUESTIONS = (
    Question(
        "fitted",
        "share_failed",
        "max",
        MOST,
        "≤",
        True,
        "{value:.1%} could not be fitted",
        "see their reasons in the table",
    ),
    Question(
        "doubted",
        "share_doubted",
        "max",
        MOST,
        "≤",
        True,
        "{value:.1%} of the fits are to be doubted",
        "see their reasons in the table, and the worst of them one by one",
    ),
    Question(
        "residuals",
        "excess",
        "max",
        1.0,
        "≤",
        True,
        "small p-values of the {name} are {value:.2g} times as many as a right model bears",
        "fit one of the worst by itself: the model leaves something out of many",
    ),
)


@dataclass
class Tally:
    """What is counted of a batch while it is written.

    Parameters
    ----------
    statistics : names of the statistics.
    codes : how many spectra are believed, doubted and failed.
    small, asked : how many p-values of each statistic are below ``LEVEL``, and how many there are.
    """

    statistics: Sequence[str]
    codes: np.ndarray = field(default_factory=lambda: np.zeros(3, dtype=int))
    small: np.ndarray | None = None
    asked: np.ndarray | None = None

    def add(self, code: np.ndarray, p_value: np.ndarray) -> None:
        """Count a portion: codes (spectrum,) and p-values (spectrum, statistic)."""
        known = np.isfinite(p_value)
        small = np.sum(known & (p_value < LEVEL), axis=0)
        self.codes += np.bincount(code, minlength=3)
        self.small = small if self.small is None else self.small + small
        self.asked = known.sum(axis=0) if self.asked is None else self.asked + known.sum(axis=0)

    @property
    def excess(self) -> np.ndarray:
        """Share of small p-values over what is borne of a right model, (statistic,)."""
        asked = np.maximum(self.asked, 1)
        borne = TWICE * LEVEL + ERRORS * np.sqrt(LEVEL * (1 - LEVEL) / asked)
        return self.small / asked / borne


def evidence(tally: Tally) -> Mapping[str, tuple[tuple[str, ...], object]]:
    """Return what the checks ask of a batch, name to dimensions and values."""
    total = max(int(tally.codes.sum()), 1)
    fitted = max(total - int(tally.codes[FAILED]), 1)
    return {
        "share_failed": ((), tally.codes[FAILED] / total),
        "share_doubted": ((), tally.codes[DOUBTED] / fitted),
        "excess": (("statistic",), tally.excess),
    }
