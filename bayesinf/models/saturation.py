"""Values that pile up at an end of the scale: an instrument that was full, or cut off at zero.

Where a detector saturates, several observations bear one and the same largest value, which noise
that is spread continuously gives to one of them alone. A curve through such a plateau is too low
and too wide, and memory of the noise explains the plateau away. Data that are rounded share values
by right, so replicas are rounded to the step of the data before theirs are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from bayesinf.inference.kinds import Question

__all__ = ["QUESTION", "Ends", "step_of"]

FEWEST = 3  # observations of one largest value from which it is asked
EXACT = 1e-4  # scatter, in the range of the data, below which they are as good as without noise
WHOLE = 1e-3  # of a step, by which a difference may be off its multiple

# A chance of one in a thousand at each end, as replicas have it.
QUESTION = Question(
    "saturation",
    "saturation_p",
    "min",
    1e-3,
    "≥",
    True,
    "so many observations share the largest or the smallest value that {value:.2g} of the replicas "
    "have as many",
    "leave out the rows where the instrument was full or cut off, and those that stand there twice",
)


@dataclass
class Ends:
    """Data of which several are the largest or the smallest, counted against their replicas."""

    step: float
    shared: dict[Callable, int]  # np.max, np.min to how many observations have that value
    size: float  # range of the data
    seen: int = 0
    as_many: dict[Callable, int] = field(default_factory=dict)

    @classmethod
    def of(cls, y: np.ndarray) -> Ends | None:
        """Return the ends of data, (observation,); None where neither is shared by several."""
        if y.ndim != 1 or not np.all(np.isfinite(y)):
            return None
        shared = {end: int(np.sum(y == end(y))) for end in (np.max, np.min)}
        shared = {end: count for end, count in shared.items() if FEWEST <= count < y.size}
        return cls(step_of(y), shared, float(np.ptp(y))) if shared else None

    def add(self, replicas: np.ndarray) -> None:
        """Count replicas, (draw, observation), that share their ends as the data do."""
        if np.std(replicas - replicas.mean(axis=0)) < EXACT * self.size:
            return  # without noise, observations of one kind are alike
        rounded = np.round(replicas / self.step) if self.step else replicas
        self.seen += len(rounded)
        for end, count in self.shared.items():
            sharing = np.sum(rounded == end(rounded, axis=-1, keepdims=True), axis=-1)
            self.as_many[end] = self.as_many.get(end, 0) + int(np.sum(sharing >= count))

    @property
    def p(self) -> float:
        """The smaller share, of the two ends, of replicas that share theirs as the data do."""
        return min(self.as_many.values()) / self.seen if self.seen else 1.0

    @property
    def asked(self) -> dict[str, object]:
        """The question and its answer, as an ``Outlook`` takes them."""
        return {"whole": {QUESTION.variable: self.p}, "questions": (QUESTION,)}


def step_of(y: np.ndarray) -> float:
    """Return the step of data that are rounded, of which all differences are multiples; else 0.

    Parameters
    ----------
    y : (observation,).
    """
    steps = np.diff(np.unique(y))
    if not steps.size:
        return 0.0
    least = float(steps.min())
    parts = steps / least
    return least if np.all(np.abs(parts - np.round(parts)) < WHOLE) else 0.0
