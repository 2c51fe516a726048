"""A campaign in one file that people can read, and that no kill can harm.

The file is JSON. A change is written under a temporary name beside it, flushed to the disk, and
renamed: at every moment the file is the state before or the state after, whole. Whoever changes it
holds a lock beside it from reading to renaming, so that of two changes at once neither is lost; the
lock ends with its process.

    create(path, campaign)              the file, where there is none
    ask(path, count, rule)              places to measure; they are pending from then on
    tell(path, x, y, constraints)       a value
    fail(path, x), withdraw(path, x)    no value could be had; or none will come

``main`` does what the words of a command line say, and returns what there is to print.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.codes import coded
from bayesinf.errors import DataError
from bayesinf.optimisation import asking
from bayesinf.optimisation.campaign import Campaign, Evaluation, Input, campaign
from bayesinf.optimisation.rules import RULES

if TYPE_CHECKING:
    import xarray as xr

try:
    import fcntl
except ImportError:  # Windows has no such locks: there two changes at once are not held apart
    fcntl = None

__all__ = [
    "ask",
    "create",
    "dumps",
    "fail",
    "input_of",
    "load",
    "loads",
    "main",
    "rule_of",
    "said",
    "tell",
    "withdraw",
]

FORM = "bayesinf campaign 1"  # first entry of the file
FAILED, WITHDRAWN = "failed", "withdrawn"  # words in place of a value
SHORT = {rule: rule for rule in RULES} | {"ei": RULES[0], "lcb": RULES[1]}
USAGE = {
    "ask": "ask FILE [--batch Q] [--rule ei|lcb|thompson], or ask FILE x=LOW:HIGH ... to begin",
    "tell": "tell FILE x ... y [constraint ...], or tell FILE x ... failed|withdrawn",
}


# The file


def create(path: str | os.PathLike, stated: Campaign) -> Campaign:
    """Write a campaign to a new file.

    Raises
    ------
    DataError : there is such a file already.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise DataError("no such folder", source=path.parent, remedy="make it first")
    with _held(path):
        if path.exists():
            raise DataError(
                "the file is there already", source=path, remedy="choose another name, or remove it"
            )
        _write(path, stated)
    return stated


def load(path: str | os.PathLike) -> Campaign:
    """Read a campaign.

    Raises
    ------
    DataError : no such file, or none that holds a campaign.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(
            "no such file", source=path, remedy="begin one: ask FILE x=LOW:HIGH ..."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("the file cannot be read", source=path, found=error) from None
    return loads(text, path)


def dumps(known: Campaign) -> str:
    """Write a campaign as the text of its file."""
    return json.dumps(_to_dict(known), indent=1, ensure_ascii=False, allow_nan=False)


def loads(text: str, source: object = None) -> Campaign:
    """Read a campaign from the text of its file.

    Raises
    ------
    DataError : it holds none; ``source`` is named.
    """
    try:
        return _from_dict(json.loads(text))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}"
        raise DataError("no JSON", source=source, where=where, expected="a campaign") from None
    except DataError as error:
        raise DataError(f"no campaign that can be: {error}", source=source) from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        found = f"{type(error).__name__} {error}"
        raise DataError("no campaign", source=source, expected=FORM, found=found) from None


def ask(path: str | os.PathLike, count: int = 1, rule: str = RULES[0], **options) -> xr.Dataset:
    """Ask where to measure next, and keep in mind that these places are pending.

    Parameters
    ----------
    path : the file.
    count, rule, **options : as for ``optimisation.ask``.

    Returns
    -------
    Dataset of ``optimisation.ask``.
    """
    found = None

    def asked(known):
        nonlocal found
        found = asking.ask(known, count, rule, **options)
        columns = [found[one.name].values for one in known.inputs]
        return known.expecting(list(zip(*columns, strict=True)))

    _change(path, asked)
    return found


def tell(path: str | os.PathLike, x, y, constraints=()) -> Campaign:
    """Add a value to the file; arguments as for ``Campaign.told``."""
    return _change(path, lambda known: known.told(x, y, constraints))


def fail(path: str | os.PathLike, x) -> Campaign:
    """Note in the file that no value could be had somewhere."""
    return _change(path, lambda known: known.failed(x))


def withdraw(path: str | os.PathLike, x) -> Campaign:
    """Note in the file that a place that was asked for will not be measured."""
    return _change(path, lambda known: known.withdrawn(x))


def _change(path: str | os.PathLike, change: Callable[[Campaign], Campaign]) -> Campaign:
    """Read, change and write, with no other change in between."""
    path = Path(path)
    if not path.exists():
        load(path)  # says what is wrong
    with _held(path):
        changed = change(load(path))
        _write(path, changed)
    return changed


@contextmanager
def _held(path):
    """Hold the lock of a file: ``.NAME.lock`` beside it, since the file itself is replaced."""
    if fcntl is None:
        yield
        return
    path = path.resolve()
    handle = os.open(path.with_name(f".{path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(path, known):
    """Write under a temporary name, flush, and rename; what a killed write left is written over."""
    path = path.resolve()
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "w", encoding="utf-8") as file:
        file.write(f"{dumps(known)}\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    if fcntl is not None:  # the renaming, too, is on the disk only with its folder
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _to_dict(known):
    names = [one.name for one in known.inputs]
    evaluations = []
    for one in known.evaluations:
        entry = dict(zip(names, one.x, strict=True))
        entry |= {known.name: one.y}
        entry |= {} if one.failed else dict(zip(known.constraints, one.constraints, strict=True))
        evaluations.append(entry)
    plain = {f.name: getattr(known, f.name) for f in fields(Campaign)}
    return (
        {"form": FORM}
        | plain
        | {
            "inputs": [asdict(one) for one in known.inputs],
            "evaluations": evaluations,
            "pending": [dict(zip(names, x, strict=True)) for x in known.pending],
        }
    )


def _from_dict(entries):
    if entries.get("form") != FORM:
        raise DataError("another form of file", expected=FORM, found=repr(entries.get("form")))
    given = {name: value for name, value in entries.items() if name != "form"}
    evaluations, pending = given.pop("evaluations"), given.pop("pending")
    given["inputs"] = tuple(Input(**one) for one in given["inputs"])
    given["constraints"] = tuple(given["constraints"])
    known = Campaign(**given)
    names = [one.name for one in known.inputs]
    found = []
    for number, entry in enumerate(evaluations, 1):
        x = known.place({name: entry[name] for name in names})
        y = entry[known.name]
        constraints = () if y is None else tuple(float(entry[c]) for c in known.constraints)
        if y is not None and not all(map(math.isfinite, (y, *constraints))):
            raise DataError("no finite number", where=f"evaluation {number}")
        found.append(Evaluation(x, None if y is None else float(y), constraints))
    known = replace(known, evaluations=tuple(found))
    return known.expecting([[entry[name] for name in names] for entry in pending])


# Words


def main(command: str, words: Sequence[str], **options) -> str:
    """Do what ``bayesinf ask`` or ``bayesinf tell`` says, and return what there is to print.

    Parameters
    ----------
    command : ``ask`` or ``tell``.
    words : the file and what follows. ``ask FILE x=LOW:HIGH ...`` begins a campaign where there is
        no such file; a bound may end in ``:integer``, ``:log`` or ``:log:integer``.
        ``tell FILE x ... y`` tells a value, with the constraints after it; ``failed`` or
        ``withdrawn`` may stand in its place.
    **options : of ``ask``, ``batch`` and ``rule``; where it begins one, the fields of ``Campaign``
        (``name``, ``goal``, ``noise``, ``constraints``, ``starts``, ``seed``). None is not given.

    Raises
    ------
    DataError : words that mean nothing, or what is wrong with them.
    """
    options = {name: value for name, value in options.items() if value is not None}
    if command not in USAGE:
        raise DataError("unknown command", expected=" or ".join(USAGE), found=command)
    if not words:
        raise DataError("no file is named", expected=USAGE[command])
    path, *rest = words
    if command == "tell":
        if options:
            raise DataError("tell has no options", found=", ".join(options))
        return _told(path, rest)
    asked = {name: options.pop(name) for name in ("batch", "rule") if name in options}
    rule = rule_of(asked.get("rule", RULES[0]))
    if rest or options:
        create(path, _stated(rest, options))
    return said(load(path), ask(path, asked.get("batch", 1), rule))


def _stated(words, options):
    """The campaign that words such as ``x=0:1`` state."""
    inputs = {}
    for word in words:
        name, one = input_of(word)
        if name in inputs:
            raise DataError("an input is given twice", found=name)
        inputs[name] = one
    return campaign(inputs, **options)


def input_of(word: str) -> tuple[str, Input]:
    """Read an input such as ``x=0:1``, ``n=1:9:integer`` or ``rate=1e-6:1:log``.

    Raises
    ------
    DataError : it is none, or its bounds bound nothing.
    """
    name, _, bounds = word.partition("=")
    low, *more = bounds.split(":")
    if not more or {*more[1:]} - {"integer", "log"}:
        expected = "NAME=LOW:HIGH[:integer][:log]"
        raise DataError("an input cannot be read", expected=expected, found=word)
    ends = _number(low, f"bound of {name}"), _number(more[0], f"bound of {name}")
    return name, Input(name, *ends, integer="integer" in more, log="log" in more)


def rule_of(word: str) -> str:
    """Return the rule of a name, or of ``ei`` or ``lcb``.

    Raises
    ------
    DataError : there is none.
    """
    if word not in SHORT:
        raise DataError("unknown rule", expected=", ".join(SHORT), found=repr(word))
    return SHORT[word]


def _number(word, what):
    try:
        return float(word)
    except ValueError:
        raise DataError(f"the {what} cannot be read", expected="a number", found=word) from None


def _told(path, words):
    known = load(path)
    size, told = len(known.inputs), len(known.constraints) + 1
    names = [*(one.name for one in known.inputs), known.name, *known.constraints]
    alone = len(words) == size + 1 and words[-1] in (FAILED, WITHDRAWN)
    if len(words) != size + told and not alone:
        raise DataError(
            "the wrong number of words",
            source=path,
            expected=f"{size + told} ({', '.join(names)}), or {FAILED} in place of {known.name}",
            found=len(words),
        )
    x = [_number(w, f"value of {n}") for w, n in zip(words[:size], names, strict=False)]
    if alone:
        known = (fail if words[-1] == FAILED else withdraw)(path, x)
    else:
        numbers = [
            _number(w, f"value of {n}") for w, n in zip(words[size:], names[size:], strict=True)
        ]
        _refuse_codes(path, known, numbers)
        known = tell(path, x, numbers[0], numbers[1:])
    count, best = len(known.evaluations), known.best
    words = [f"{count} evaluation{'' if count == 1 else 's'}"]
    words += [f"{len(known.pending)} pending"] if known.pending else []
    if best is not None:
        at = ", ".join(f"{o.name} = {v:.6g}" for o, v in zip(known.inputs, best.x, strict=True))
        least = "largest" if known.goal == "maximise" else "smallest"
        words.append(f"{least} {known.name} measured {best.y:.6g} at {at}")
    return f"{'; '.join(words)}."


def _refuse_codes(path, known, numbers):
    """Refuse a code for a missing value, which as a value would be the best of all, or the worst.

    In words alone: who tells numbers from Python knows what they are.
    """
    before = [(one.y, *one.constraints) for one in known.measured]
    for k, name in enumerate((known.name, *known.constraints)):
        others = [told[k] for told in before]
        if coded(np.array([*others, numbers[k]]))[-1]:
            raise DataError(
                "a code for a missing value",
                source=path,
                where=name,
                expected=f"a measured value (the others lie from {min(others):.4g} to "
                f"{max(others):.4g})",
                found=f"{numbers[k]:g}",
                remedy=f"say {FAILED}, or {WITHDRAWN} to measure there again; if it was measured, "
                "tell it from Python",
            )


def said(known: Campaign, asked: xr.Dataset) -> str:
    """Say what was asked, a line a place, and whether to go on."""
    lines = []
    for k in range(asked.sizes["candidate"]):
        one = asked.isel(candidate=k)
        place = " ".join(repr(float(one[i.name])) for i in known.inputs)
        place = " ".join(
            str(int(one[i.name])) if i.integer else word
            for i, word in zip(known.inputs, place.split(), strict=True)
        )
        if math.isfinite(one["mean"]):
            place += (
                f"   # {known.name} = {float(one['mean']):.4g} ± {float(one['sd']):.2g} expected"
            )
            if float(one["feasible"]) < 1:
                place += f", possible with {float(one['feasible']):.0%}"
        lines.append(place)
    return "\n".join([*lines, f"# {asked.attrs['word']}"])
