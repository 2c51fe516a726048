"""The register of problems with known answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from posteriors.marginals import Marginal

__all__ = ["PROBLEMS", "Reference", "reference"]


@dataclass(frozen=True)
class Reference:
    """A problem with a known answer.

    Parameters
    ----------
    words : what it is.
    how : how its answer is known.
    make : generator -> data, name to array.
    stated : data -> the ``Problem`` of the package.
    known : (data, generator) -> label of a parameter, as the posterior has it, to ``Marginal``.
    """

    words: str
    how: str
    make: Callable[[np.random.Generator], Mapping[str, np.ndarray]]
    stated: Callable
    known: Callable[[Mapping[str, np.ndarray], np.random.Generator], dict[str, Marginal]]


PROBLEMS: dict[str, Reference] = {}


def reference(words: str, how: str):
    """Register a class of three functions under its name in small letters."""

    def taken(cls):
        name = "".join(f"_{c.lower()}" if c.isupper() else c for c in cls.__name__).lstrip("_")
        PROBLEMS[name] = Reference(words, how, cls.make, cls.stated, cls.known)
        return cls

    return taken
