"""Priors read from a line of text, as a command line or a table of settings has them.

    name ~ Family(number, number)      or      name ~ Family(sd=number, ...)

The families are the classes of ``bayesinf.priors`` by their names, whatever the case and with or
without hyphens; the numbers are those of the class, in its order or by name.

    center[1] ~ Normal(656.3, 0.5)
    amplitude ~ half-normal(10)
    sigma^2 ~ InverseGamma(2, 0.1)          the prior is on the square of sigma
    slope ~ Flat(-100, 100)                 another word for Uniform
"""

from __future__ import annotations

import re
from dataclasses import MISSING, fields

from bayesinf.errors import DataError
from bayesinf.priors.positive import (
    Exponential,
    Gamma,
    HalfCauchy,
    HalfNormal,
    InverseChi,
    InverseGamma,
    LogNormal,
    OnVariance,
)
from bayesinf.priors.scalar import Beta, LogUniform, Normal, Prior, StudentT, Uniform

__all__ = ["FAMILIES", "parse"]

FAMILIES: dict[str, type[Prior]] = {
    family.__name__: family
    for family in (
        Normal,
        StudentT,
        Uniform,
        LogUniform,
        LogNormal,
        HalfNormal,
        HalfCauchy,
        Exponential,
        Gamma,
        InverseGamma,
        InverseChi,
        Beta,
    )
}
# What the literature also calls them.
SYNONYMS = {"gaussian": Normal, "student": StudentT, "flat": Uniform, "jeffreys": LogUniform}

FORM = re.compile(r"\s*(?P<family>[^\W\d][\w\s-]*?)\s*\((?P<numbers>[^()]*)\)\s*")
SQUARE = re.compile(r"(?P<name>.*?)\s*(?:\^2|\*\*2|²)")


def parse(text: str) -> tuple[str, Prior]:
    """Read one prior from words.

    Parameters
    ----------
    text : such as ``center[1] ~ Normal(656.3, 0.5)``. A name followed by ``^2`` states the prior of
        the square, as a prior on a variance does.

    Returns
    -------
    name of the parameter, as written, and its prior.

    Raises
    ------
    DataError : no such form, an unknown family, too many or too few numbers, or one that is none
        or that the family does not allow.

    Examples
    --------
    >>> parse("center[1] ~ Normal(656.3, 0.5)")
    ('center[1]', Normal(mean=656.3, sd=0.5))
    """
    name, tilde, rest = (part.strip() for part in text.partition("~"))
    form = FORM.fullmatch(rest)
    if not (name and tilde and form):
        raise DataError(
            "no prior can be read",
            source=f"prior {text!r}",
            expected="name ~ Family(numbers), such as center ~ Normal(656.3, 0.5)",
        )
    family = _family(text, form["family"])
    prior = _stated(text, family, _numbers(text, family, form["numbers"]))
    if square := SQUARE.fullmatch(name):
        return square["name"], _stated(text, OnVariance, {"variance": prior})
    return name, prior


def _plain(word):
    """A family's name without case, spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]", "", word).lower()


def _family(text, word):
    known = {_plain(name): family for name, family in FAMILIES.items()} | SYNONYMS
    if _plain(word) not in known:
        raise DataError(
            f"unknown prior {word}",
            source=f"prior {text!r}",
            expected=f"one of {', '.join(FAMILIES)}",
        )
    return known[_plain(word)]


def _numbers(text, family, said):
    """The family's numbers by name, of which some may be left to their defaults."""
    parts = [part.strip() for part in said.split(",")] if said.strip() else []
    names = [field.name for field in fields(family)]
    # A flat prior has no ends in the literature; here ends must be said.
    needed = (
        names if family is Uniform else [f.name for f in fields(family) if f.default is MISSING]
    )
    given = {}
    for place, part in enumerate(parts):
        word, equals, number = (each.strip() for each in part.rpartition("="))
        name = word if equals else names[place] if place < len(names) else None
        if name not in names or name in given:
            raise _misfit(text, family, f"{part!r}")
        given[name] = _number(text, name, number)
    if missing := [name for name in needed if name not in given]:
        raise _misfit(text, family, f"no {' and no '.join(missing)}")
    return given


def _number(text, name, word):
    try:
        return float(word.replace("−", "-"))
    except ValueError:
        raise DataError(
            f"{name} is no number",
            source=f"prior {text!r}",
            expected="a number such as 656.3 or 1e-3",
            found=repr(word),
        ) from None


def _misfit(text, family, found):
    return DataError(
        "the numbers do not fit",
        source=f"prior {text!r}",
        expected=f"{family.__name__}({', '.join(field.name for field in fields(family))})",
        found=found,
    )


def _stated(text, family, given):
    """The prior; what its class refuses is said of the text."""
    try:
        return family(**given).checked()
    except DataError as error:
        raise DataError(
            error.problem,
            source=f"prior {text!r}",
            where=error.source and str(error.source),
            expected=error.expected,
            found=error.found,
        ) from None
