"""Kernels and trends as they are written, by Python's grammar, of which nothing is ever run.

    matern52 + periodic(1.0) * se        a kernel: names, their numbers, sums and products
    t + t**2 + sin(2*pi*t)               a trend: terms, each of which gets a coefficient

A number fixes what it stands for: the first of a kernel is its length scale, of ``periodic`` its
period, others go by name, as in ``rq(0.3, alpha=2)``.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from operator import add, mul, pow, sub, truediv

import numpy as np

from bayesinf.errors import FitError
from bayesinf.models.gp.kernels import KERNELS, Kernel

__all__ = ["NAMES", "parse", "terms", "value"]

SHORT = {
    "se": "squared_exponential",
    "rbf": "squared_exponential",
    "matern12": "exponential",
    "rq": "rational_quadratic",
}
NAMES = (*KERNELS, *SHORT)
FUNCTIONS = {name: getattr(np, name) for name in ("sin", "cos", "exp", "log", "sqrt")}
OPERATORS = {ast.Add: add, ast.Sub: sub, ast.Mult: mul, ast.Div: truediv, ast.Pow: pow}


def parse(text: str) -> Kernel:
    """Read a kernel: ``matern52 + periodic(1.0) * se``.

    Raises
    ------
    FitError : what is no kernel, with the names of those that there are.
    """
    return _kernel(_tree(text, "kernel"), text)


def _tree(text, what):
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        known = f": names are {', '.join(NAMES)}" if what == "kernel" else ""
        raise FitError(f"the {what} {text!r} cannot be read{known}") from error


def _kernel(node, text):
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult):
        combine = OPERATORS[type(node.op)]
        return combine(_kernel(node.left, text), _kernel(node.right, text))
    call = node if isinstance(node, ast.Call) else None
    name = node.func if call else node
    if not isinstance(name, ast.Name):
        raise FitError(
            f"the kernel {text!r} holds {ast.unparse(node)!r}: a kernel is made of names, as "
            f"periodic(1.0), of + and *; its size is inferred. Names are {', '.join(NAMES)}"
        )
    called = SHORT.get(name.id, name.id)
    if called == "linear":
        raise FitError("a straight line is no kernel here but a trend: --trend x beside the kernel")
    if called not in KERNELS:
        raise FitError(f"unknown kernel {name.id!r}: use one of {', '.join(NAMES)}, with + and *")
    leaf = KERNELS[called]
    own = [*leaf.own, "amplitude"]
    places = ["period", "length_scale"] if "period" in own else own
    if call is None:
        return leaf()
    if len(call.args) > len(places):
        raise FitError(f"{name.id} takes {', '.join(places)}, not {len(call.args)} numbers")
    given = dict(zip(places, call.args, strict=False))
    for word in call.keywords:
        if word.arg not in own or word.arg in given:
            raise FitError(f"{name.id} takes {', '.join(own)}, each once, not {word.arg!r}")
        given[word.arg] = word.value
    return leaf(**{key: _positive(one, name.id) for key, one in given.items()})


def _positive(node, name):
    number = node.value if isinstance(node, ast.Constant) else None
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < np.inf:
        raise FitError(f"{name} takes numbers above zero, not {ast.unparse(node)!r}")
    return float(number)


def terms(text: str, inputs: tuple[str, ...]) -> list[str]:
    """Return the terms of a trend, each in Python's spelling.

    Parameters
    ----------
    text : such as ``t + t**2``.
    inputs : what the terms may be functions of; of one input ``x`` will do for its name.

    Raises
    ------
    FitError : what is no trend; a term without an input.
    """
    found, open_ = [], [_tree(text, "trend")]
    while open_:
        node = open_.pop()
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            open_ += [node.right, node.left]
        else:
            found.append(ast.unparse(node))
    known = {*inputs} | ({"x"} if len(inputs) == 1 else set())
    for term in found:
        used = {n.id for n in ast.walk(ast.parse(term)) if isinstance(n, ast.Name)}
        if unknown := used - known - {"pi"} - FUNCTIONS.keys():
            raise FitError(
                f"the trend {text!r} holds {', '.join(sorted(unknown))}: it is a sum of functions "
                f"of {', '.join(inputs)}, with {', '.join(FUNCTIONS)}, + - * / ** and numbers"
            )
        if not used & known:
            raise FitError(f"the trend's term {term} is a number: a constant is there anyway")
        value(term, dict.fromkeys(known, np.ones(1)))  # its grammar
    return found


def value(term: str, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Evaluate a term at inputs by name, (n,) each.

    Raises
    ------
    FitError : what a term may not hold.
    """
    with np.errstate(all="ignore"):
        return np.asarray(_value(_tree(term, "trend"), columns), dtype=float)


def _value(node, columns):
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return np.float64(number)
        case ast.Name(id="pi"):
            return np.pi
        case ast.Name(id=name) if name in columns:
            return columns[name]
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand, columns)
        case ast.BinOp() if type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](_value(node.left, columns), _value(node.right, columns))
        case ast.Call(func=ast.Name(id=name), args=[one], keywords=[]) if name in FUNCTIONS:
            return FUNCTIONS[name](_value(one, columns))
    raise FitError(
        f"a trend may not hold {ast.unparse(node)!r}: it is made of inputs, numbers, + - * / ** "
        f"and {', '.join(FUNCTIONS)}"
    )
