"""A curve as it is written: ``a*exp(-t/tau) + c``.

The text is read by Python's grammar and refused unless it is made of names, numbers, + - * / ** and
a few functions; what is left becomes an lmfit model, and so anything that such a model can be.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from keyword import iskeyword
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

import numpy as np
import scipy

from bayesinf.errors import DataError, FitError
from bayesinf.priors import Prior

if TYPE_CHECKING:
    import lmfit

__all__ = ["FUNCTIONS", "names", "stated"]


def _erf(x):
    return scipy.special.erf(x)


def _erfc(x):
    return scipy.special.erfc(x)


FUNCTIONS = {
    name: getattr(np, name)
    for name in [
        "exp",
        "expm1",
        "log",
        "log10",
        "log1p",
        "sqrt",
        "abs",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "arcsin",
        "arccos",
        "arctan",
        "arctan2",
        "maximum",
        "minimum",
    ]
} | {"erf": _erf, "erfc": _erfc}
CONSTANTS = {"pi": np.pi}
OPERATORS = ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow


def names(text: str) -> list[str]:
    """Return the names of an expression in the order in which they come, without functions.

    Raises
    ------
    FitError : what is no expression of a curve, or holds an unknown function.
    """
    return list(dict.fromkeys(n.id for n in _leaves(_tree(text), text) if n.id not in CONSTANTS))


def _tree(text):
    if not isinstance(text, str) or not text.strip():
        raise FitError(f"a curve is written such as a*exp(-t/tau) + c, not {text!r}")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        words = [word for word in re.findall(r"\w+", text) if iskeyword(word)]
        hint = f": {words[0]!r} is a word of Python's" if words else ""
        raise FitError(f"the expression {text!r} cannot be read{hint}") from error


def _leaves(node, text):
    """The names that a tree is a function of; FitError where it holds anything else."""
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            if not abs(number) < 1e300:
                raise FitError(f"the expression {text!r} holds a number that is too large")
        case ast.Name() if not node.id.startswith("_"):
            if node.id in FUNCTIONS:
                raise FitError(f"the expression {text!r} holds {node.id} without its brackets")
            yield node
        case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
            yield from _leaves(node.operand, text)
        case ast.BinOp() if isinstance(node.op, OPERATORS):
            yield from _leaves(node.left, text)
            yield from _leaves(node.right, text)
        case ast.BinOp(op=ast.BitXor()):
            raise FitError(f"the expression {text!r} holds ^: a power is written **")
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in FUNCTIONS:
            due = getattr(FUNCTIONS[name], "nin", 1)
            if len(node.args) != due:
                raise FitError(
                    f"{name} takes {due} argument{'s' * (due > 1)}, not {len(node.args)}"
                )
            for one in node.args:
                yield from _leaves(one, text)
        case ast.Call(func=ast.Name(id=name)):
            raise FitError(
                f"the expression {text!r} holds the unknown function {name}: "
                f"use {', '.join(FUNCTIONS)}"
            )
        case _:
            raise FitError(
                f"the expression {text!r} holds {ast.unparse(node)!r}: it is made of names, "
                "numbers, + - * / **, brackets and functions"
            )


class _Numbers(ast.NodeTransformer):
    """Numbers as NumPy's by name: 9**9**9 of Python's whole numbers would never end."""

    def __init__(self):
        self.found = {}

    def visit_Constant(self, node):
        """Keep a number, and name it."""
        name = f"_{len(self.found)}"
        self.found[name] = np.float64(node.value)
        return ast.Name(name, ast.Load())


def stated(
    text: str,
    x_name: str | None = None,
    params: Mapping[str, Any] | None = None,
    priors: Mapping[str, Prior] | None = None,
    independent: str | None = None,
    columns: Iterable[str] = (),
) -> tuple[lmfit.Model, lmfit.Parameters, dict[str, Prior]]:
    """State an expression as an lmfit model with starting values and priors.

    Parameters
    ----------
    text : of the curve.
    x_name : what the data call x, where they have a name for it.
    params : name of a parameter to a starting value or a prior, whose median is the start; an
        ``lmfit.Parameters`` is taken as it is.
    priors : further priors, by name.
    independent : which name is x; by default the one that x has, else ``x``, else the one that no
        parameter is.
    columns : names of the other columns of the data, which no parameter may have.

    Raises
    ------
    FitError : an unknown function; no name or several that may be x; a parameter without a
        starting value or prior, or one that is not there. DataError : x is no column of the data.
    """
    import lmfit

    known = names(text)
    given: dict[str, Any] = dict(params or {}) | dict(priors or {})
    if not isinstance(params, lmfit.Parameters):  # as Python reads names
        given = {normalize("NFKC", name): value for name, value in given.items()}
    x = _independent(text, known, x_name, independent, given)
    free = [name for name in known if name != x]
    if not free:
        raise FitError(f"the expression {text!r} has no parameters: nothing to infer")
    for name in given:
        if name not in free and not isinstance(params, lmfit.Parameters):
            raise FitError(
                f"the expression {text!r} has no parameter {name!r}: it has {', '.join(free)}"
            )
    lost = [name for name in free if name not in given]
    taken = [name for name in lost if name in set(columns)]
    if taken:
        raise FitError(
            f"the expression {text!r} holds two columns of the data, {x} and {taken[0]}: "
            "a curve has one independent variable; give the other a value, or rename it"
        )
    if lost:
        raise FitError(
            f"no starting value or prior of {', '.join(lost)}: give params, such as "
            f"{{{lost[0]!r}: 1.0}} or {{{lost[0]!r}: LogNormal(1, 1)}}"
        )
    if isinstance(params, lmfit.Parameters):
        return _model(text, x, free), params, dict(priors or {})
    try:
        model = _model(text, x, free)
        starts = model.make_params(**{name: _start(name, given[name]) for name in free})
    except (ValueError, KeyError, NameError, SyntaxError) as error:
        raise FitError(f"the expression {text!r} makes no model: {error}") from error
    for name, prior in given.items():
        if isinstance(prior, Prior):
            starts[name].set(min=prior.support[0], max=prior.support[1])
    return model, starts, {k: v for k, v in given.items() if isinstance(v, Prior)}


def _start(name, given):
    """A starting value: a number, or the median of a prior."""
    if isinstance(given, Prior):
        return float(given.checked().from_normal(0.0))
    try:
        number = float(given)
    except (TypeError, ValueError) as error:
        raise FitError(f"{name} starts at a number or has a prior, not {given!r}") from error
    if not np.isfinite(number):
        raise FitError(f"{name} cannot start at {number}")
    return number


def _independent(text, known, x_name, independent, given):
    """Which name is x."""
    if independent is not None:
        if independent not in known:
            raise FitError(
                f"the expression {text!r} does not hold {independent!r}: its names are "
                f"{', '.join(known)}"
            )
        return independent
    for name in (x_name, "x"):
        if name in known and name not in given:
            return name
    rest = [name for name in known if name not in given]
    if len(rest) == 1 and given:
        return rest[0]
    if x_name is not None and x_name != "x":
        raise DataError(
            f"no such column in the expression {text!r}",
            expected=f"x, which the data call {x_name}, among its names {', '.join(known)}",
            remedy="rename it there, or say which name is x by independent=",
        )
    raise FitError(
        f"which name of {text!r} is x: {', '.join(rest or known)}? Say so by independent=, or give "
        "all others a starting value or prior in params"
    )


def _model(text, x, free):
    import lmfit

    numbers = _Numbers()
    tree = numbers.visit(_tree(text))
    scope = FUNCTIONS | CONSTANTS | numbers.found | {"__builtins__": {}}
    code = f"def curve({', '.join([x, *free])}):\n    return {ast.unparse(tree)}\n"
    exec(compile(code, "<expression>", "exec"), scope)  # of names and functions that were checked
    return lmfit.Model(scope["curve"], independent_vars=[x], name=text.strip())
