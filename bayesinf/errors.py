"""What can go wrong, said once.

Every error a user can cause is one of these. Each is a single line that names what was expected,
what came, where, and the remedy, and each carries its evidence as attributes, so that a caller can
decide rather than parse. A workflow script turns them into one line on stderr and exit status 2, or
1 where the command is right and the machine could not do it.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "MOST",
    "BayesinfError",
    "CheckFailed",
    "DataError",
    "FitError",
    "MachineError",
    "one_line",
    "printable",
]

MOST = 400  # characters of a message


def printable(text: str) -> str:
    """Return a text without what moves a terminal's cursor or turns its letters; lines stay."""
    return "\n".join(
        "".join(letter if letter.isprintable() else " " for letter in line)
        for line in str(text).split("\n")
    )


def one_line(text: str) -> str:
    """Return a text as one printable line of at most ``MOST`` characters, cut in its middle."""
    line = " ".join(printable(text).split())
    end = MOST // 3
    return line if len(line) <= MOST else f"{line[: MOST - end - 3]} … {line[-end:]}"


class BayesinfError(Exception):
    """The root of every error that bayesinf raises on purpose."""


class DataError(BayesinfError):
    """The input cannot be used as it is.

    The message reads ``source, where: problem; expected ..., found ...; remedy``, leaving out the
    parts that are not given.

    Parameters
    ----------
    problem : what is wrong, in a few words.
    source : the file or object that holds it.
    where : row, column or variable.
    expected, found : what should stand there, and what does.
    remedy : what the reader can do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        source: object = None,
        where: str | None = None,
        expected: str | None = None,
        found: object = None,
        remedy: str | None = None,
    ):
        self.problem, self.source, self.where = problem, source, where
        self.expected, self.found, self.remedy = expected, found, remedy
        place = ", ".join(str(part) for part in (source, where) if part is not None)
        contrast = ", ".join(
            f"{word} {part}"
            for word, part in (("expected", expected), ("found", found))
            if part is not None
        )
        message = f"{place}: {problem}" if place else problem
        super().__init__(one_line("; ".join(part for part in (message, contrast, remedy) if part)))


class FitError(BayesinfError):
    """The fit could not be carried out on data that are valid in themselves.

    ``evidence`` holds what the method knew when it gave up (an optimiser's message, an
    autocorrelation time, a condition number).
    """

    def __init__(self, message: str, **evidence: Any):
        self.evidence = evidence
        super().__init__(message)


class MachineError(BayesinfError):
    """What was asked is right, and the machine could not do it: no memory, a lost scheduler.

    Not a ``FitError``: whoever tries one model after another must not take it for a bad one.
    ``evidence`` holds what was known, such as the bytes that there are.
    """

    def __init__(self, message: str, **evidence: Any):
        self.evidence = evidence
        super().__init__(message)


class CheckFailed(BayesinfError):
    """A posterior did not pass its checks; ``verdict`` says which, and what to do."""

    def __init__(self, verdict: Any):
        self.verdict = verdict
        super().__init__(verdict.words)

    def __reduce__(self):
        # An exception is pickled by its message; this one is made from its verdict.
        return type(self), (self.verdict,)
