"""Values that several observations share: an instrument that was full, rows that stand there twice.

Where a detector saturates, or is cut off at zero, several observations bear one and the same value
at an end of the scale. A curve through such a plateau is too low and too wide, and memory of the
noise explains the plateau away. Where a table holds the same measurement twice, it is counted
twice. Noise that is spread continuously gives no two observations one value; data that are rounded,
or counts, share values by right: then replicas are put on the grid of the data before theirs are
counted, and the shares in which they have as many are what is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesinf.inference.kinds import Question

__all__ = ["QUESTIONS", "Ties"]

FEWEST = 3  # observations that share a value from which it is asked
EXACT = 1e-4  # scatter, in the range of the data, below which they are as good as without noise
SAME = 1e-9  # of the range, by which values and expectations that are alike differ by rounding
WHOLE = 1e-3  # of the least difference, by which others may be off its multiples
ROUNDED = 0.98  # distinct values for each observation, ends aside, below which data are on a grid
LOOKED_AT = 200  # replicas of a batch in which rows that are alike are sought

# A chance of one in a thousand, as replicas have it.
QUESTIONS = {
    "ends": Question(
        "saturation",
        "saturation_p",
        "min",
        1e-3,
        "≥",
        True,
        "more observations share the largest or the smallest value than rounding explains (as many "
        "in a share of {value:.2g} of the replicas)",
        "leave out the rows where the instrument was full or cut off",
    ),
    "twins": Question(
        "repeated rows",
        "repeated_rows_p",
        "min",
        1e-3,
        "≥",
        True,
        "more rows are equal than rounding explains (as many in a share of {value:.2g} of the "
        "replicas)",
        "keep one of the rows that stand there twice",
    ),
}


@dataclass
class Ties:
    """Data of which several are equal, counted against their replicas.

    Parameters
    ----------
    y : data, (observation,).
    """

    y: np.ndarray

    def __post_init__(self):
        self.size = float(np.ptp(self.y))
        ordered = np.sort(self.y)
        apart = np.append(True, np.diff(ordered) > SAME * self.size)
        self.levels = ordered[apart]  # the distinct values
        counts = np.diff(np.append(np.flatnonzero(apart), len(ordered)))
        within = counts[1:-1]
        gap = np.diff(self.levels)
        steps = gap / gap.min()
        even = bool(np.all(np.abs(steps - np.round(steps)) < WHOLE))
        self.gridded = even or len(within) < ROUNDED * within.sum()
        self.ends = {  # side to its count, its value, and the step of the grid there
            side: (int(counts[k]), self.levels[k], gap[k] if self.gridded else 0.0)
            for side, k in ((1, -1), (-1, 0))
            if counts[k] >= FEWEST
        }
        self.alike = None  # which observations are expected to be equal, once a mean is there
        self.twins = 0
        self.seen = {name: 0 for name in QUESTIONS}
        self.as_many = {1: 0, -1: 0, "twins": 0}

    @classmethod
    def of(cls, y: np.ndarray) -> Ties | None:
        """Return the ties of data, (observation,); None where hardly a value is shared."""
        y = np.asarray(y)
        if y.ndim != 1 or not np.all(np.isfinite(y)) or np.ptp(y) == 0:
            return None
        shared = y.size - np.sum(np.diff(np.sort(y)) > SAME * np.ptp(y)) - 1
        return cls(y) if shared >= FEWEST - 1 else None

    def add(self, replicas: np.ndarray, mean: np.ndarray) -> None:
        """Count ties of replicas, (draw, observation), whose expectation is ``mean``."""
        if np.std(replicas - replicas.mean(axis=0)) < EXACT * self.size:
            return  # without noise, observations of one kind are alike
        for side, (count, value, step) in self.ends.items():
            shown = np.round((replicas - value) / step) if step else replicas
            end = side * np.max(side * shown, axis=-1, keepdims=True)
            self.as_many[side] += int(np.sum(np.sum(shown == end, axis=-1) >= count))
        self.seen["ends"] += len(replicas)
        if self.alike is None:
            scale = max(float(np.ptp(mean[0])), SAME * self.size)
            self.alike = np.unique(np.round(mean[0] / (SAME * scale)), return_inverse=True)[1]
            self.twins = int(self._twins(self._level(self.y))[0])
        if self.twins >= FEWEST:
            some = replicas[:: max(1, len(replicas) // LOOKED_AT)]
            self.seen["twins"] += len(some)
            if self.gridded:
                self.as_many["twins"] += int(np.sum(self._twins(self._level(some)) >= self.twins))

    def _level(self, values):
        """The distinct value of the data that is nearest, (..., observation)."""
        return np.searchsorted((self.levels[1:] + self.levels[:-1]) / 2, values)

    def _twins(self, level):
        """How many observations have another of the same expectation and value, (...)."""
        code = np.sort(np.atleast_2d(self.alike * len(self.levels) + level), axis=-1)
        after = np.diff(code, axis=-1) == 0
        edge = np.zeros((len(code), 1), bool)
        return np.sum(np.hstack([after, edge]) | np.hstack([edge, after]), axis=-1)

    @property
    def p(self) -> dict[str, float]:
        """Share of the replicas that share values as the data do, of what is to be asked."""
        found = {}
        if self.ends and self.seen["ends"]:
            found["ends"] = min(self.as_many[side] for side in self.ends) / self.seen["ends"]
        if self.seen["twins"]:
            found["twins"] = self.as_many["twins"] / self.seen["twins"]
        return found

    @property
    def asked(self) -> dict[str, object]:
        """The questions and their answers, as an ``Outlook`` takes them."""
        found = self.p
        return {
            "whole": {QUESTIONS[name].variable: value for name, value in found.items()},
            "questions": tuple(QUESTIONS[name] for name in found),
        }
