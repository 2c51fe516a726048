"""lmfit's models on arrays: the curves of many parameter points in one call.

lmfit's functions are written for numbers. They are re-bound here, so that their ``max``, ``exp``
and the like take arrays of points, or PyTensor variables. A function that resists is called point
by point instead, which is right, only slower.
"""

from __future__ import annotations

import ast
import copy
import operator
from collections.abc import Mapping
from functools import cached_property
from inspect import signature
from itertools import accumulate
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import lmfit

__all__ = ["Curve", "evaluate", "free"]

# Of an expression that is arithmetic: nodes of Python's syntax.
PLAIN = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.IfExp, ast.Call, ast.Name, ast.Constant, ast.Load)
PLAIN += (ast.operator, ast.unaryop, ast.cmpop)


def free(params: lmfit.Parameters) -> list[str]:
    """Name the free parameters."""
    return [name for name, p in params.items() if p.vary and p.expr is None]


def evaluate(
    model: lmfit.Model, params: lmfit.Parameters, x: np.ndarray, values: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Evaluate a model, or a component of one, for many parameters at once.

    Parameters
    ----------
    model, params : of lmfit; ``params`` gives what is fixed and what is tied.
    x : (point,).
    values : name of a free parameter to an array; f(x) is returned in their shape + (point,).
    """
    curve = Curve(model, params, x)
    columns = [values.get(name, params[name].value) for name in curve.free]
    return curve(np.stack(np.broadcast_arrays(*columns), axis=-1))


class Curve:
    """f(x; θ) of an lmfit model, composite or not.

    A point θ begins with the free parameters in lmfit's order; what follows them is not read.

    Parameters
    ----------
    model, params : of lmfit; ``params`` says what is free, fixed and tied.
    x : (point,).
    """

    def __init__(self, model: lmfit.Model, params: lmfit.Parameters, x: np.ndarray):
        self.model, self.params, self.x = model, params, x
        self.free = free(params)

    def __reduce__(self):
        # By what it is made of: not by what it has compiled, nor by lmfit's interpreter.
        return type(self), (self.model, self.params, self.x)

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        """Evaluate: (..., parameter) -> (..., point)."""
        return self._whole(theta)

    def _whole(self, theta):
        with np.errstate(all="ignore"):  # a search looks where the function has no value
            if self.vectorised is None:
                return self.one_by_one(theta)
            curve = self.vectorised(self.x, self._named(theta[..., None, :]))
        return np.broadcast_to(curve, (*theta.shape[:-1], len(self.x)))

    def around(self, theta: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Evaluate with each parameter moved up, and down, by its step, the others as they are.

        Of a sum only the summand is evaluated anew that the parameter is in: of twelve peaks one.

        Parameters
        ----------
        theta, step : (..., parameter).

        Returns
        -------
        two arrays, (..., parameter, point).
        """
        moved = step[..., None, :] * np.eye(theta.shape[-1])
        if len(self.summands) < 3:
            return tuple(self._whole(theta[..., None, :] + side * moved) for side in (1.0, -1.0))
        shape = (*theta.shape[:-1], len(self.x))
        with np.errstate(all="ignore"):
            here = self._named(theta[..., None, :])
            each = [np.broadcast_to(part(self.x, here), shape) for part, _ in self.summands]
            below, above = [0, *accumulate(each)], [0, *accumulate(each[::-1])][::-1]
            return tuple(self._moved(theta, side * moved, below, above[1:]) for side in (1.0, -1.0))

    def _moved(self, theta, moved, below, above):
        """The sum with each parameter moved; ``below`` and ``above`` sum all but one summand."""
        found = np.empty((*moved.shape[:-1], len(self.x)))
        found[...] = below[-1][..., None, :]
        shared = list(range(theta.shape[-1]))
        for (part, columns), less, more in zip(self.summands, below, above, strict=False):
            there = self._named((theta[..., None, :] + moved[..., columns, :])[..., None, :])
            found[..., columns, :] = (less + more)[..., None, :] + part(self.x, there)
            shared = [column for column in shared if column not in columns]
        shared = [column for column in shared if column < len(self.free)]
        if shared:  # in several summands, or in none
            found[..., shared, :] = self._whole(theta[..., None, :] + moved[..., shared, :])
        return found

    @cached_property
    def summands(self):
        """The functions that the curve is a sum of, with the parameters that are in one alone.

        A list of f(x, name to array) and columns of θ; empty where there are none on arrays.
        """
        if self.vectorised is None:
            return []
        parts = list(_summands(self.model))
        within = [_rests_on(part, self.params) for part in parts]
        owners = {
            name: [k for k, names in enumerate(within) if name in names] for name in self.free
        }
        words = _unitless(_numpy_words)
        return [
            (
                _bound(part, self.params, words),
                [i for i, name in enumerate(self.free) if owners[name] == [k]],
            )
            for k, part in enumerate(parts)
        ]

    @cached_property
    def vectorised(self):
        """f(x, name to array), or None where lmfit's function gives other values on arrays."""
        base = np.array([self.params[name].value for name in self.free])
        probes = base * (1 + 0.01 * np.array([[0.0], [1.0], [-0.7]])) + [[0.0], [1e-3], [2e-3]]
        try:
            bound = _bound(self.model, self.params, _numpy_words)
            with np.errstate(all="ignore"):
                fast = bound(self.x, self._named(probes[..., None, :]))
                slow = self.one_by_one(probes)
            same = np.allclose(np.broadcast_to(fast, slow.shape), slow, 1e-10, 0, equal_nan=True)
            return _bound(self.model, self.params, _unitless(_numpy_words)) if same else None
        except Exception:  # whatever a function does that was never meant for arrays
            return None

    def one_by_one(self, theta: np.ndarray) -> np.ndarray:
        """Do as ``__call__`` does, by lmfit itself."""
        x = {self.model.independent_vars[0]: self.x}
        curves = [
            np.broadcast_to(self.model.eval(params, **x), self.x.shape)
            for params in self._params_at(theta)
        ]
        return np.reshape(curves, (*theta.shape[:-1], -1))

    def symbolic(self, values: Mapping[str, object]):
        """Evaluate for PyTensor variables by name, as a PyTensor expression."""
        return _bound(self.model, self.params, _unitless(_pytensor_words))(self.x, values)

    def tied(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Values of the parameters that are tied to free ones: (..., parameter) -> (...) each."""
        names, shape = [n for n, p in self.params.items() if p.expr is not None], theta.shape[:-1]
        try:
            values = _expressions(self.params, names, _numpy_words)(self._named(theta))
            return {name: np.broadcast_to(values[name], shape) for name in names}
        except Exception:  # an expression that only takes numbers
            rows = [[params[name].value for name in names] for params in self._params_at(theta)]
            return dict(zip(names, np.reshape(np.transpose(rows), (-1, *shape)), strict=True))

    def _named(self, theta):
        return {name: theta[..., i] for i, name in enumerate(self.free)}

    def _params_at(self, theta):
        params = copy.deepcopy(self.params)
        for name in self.free:  # a value outside lmfit's bounds would be moved onto them
            params[name].set(min=-np.inf, max=np.inf)
        for point in theta.reshape(-1, theta.shape[-1]):
            for name, value in zip(self.free, point, strict=False):
                params[name].value = value
            yield params


# Re-binding: lmfit's functions in the language of arrays, or of PyTensor. ``words`` gives, for the
# names that a piece of code can look up, those that are to mean something else.


def _numpy_words(scope):
    """What scalar built-ins become on arrays."""
    return {"max": np.maximum, "min": np.minimum, "float": np.asarray}


def _pytensor_words(scope):
    """What NumPy's functions, and NumPy itself, become on PyTensor variables."""
    import pytensor.tensor as pt
    from pytensor.graph.basic import Variable

    def either(plain, symbolic):
        # Plain numbers stay with NumPy: PyTensor takes log(2) in single precision.
        def word(*args):
            return (symbolic if any(isinstance(a, Variable) for a in args) else plain)(*args)

        return word

    def translated(names):
        return {
            name: either(value, getattr(pt, name))
            for name, value in names.items()
            if isinstance(value, np.ufunc) and hasattr(pt, name)
        }

    module = SimpleNamespace(**(vars(np) | translated(vars(np))))
    return (
        translated(scope)
        | {name: module for name, value in scope.items() if value is np}
        | {
            "max": either(np.maximum, pt.maximum),
            "min": either(np.minimum, pt.minimum),
            "float": either(float, pt.as_tensor),
        }
    )


def _unitless(words):
    """The same words, and without the floor under widths of lmfit's line shapes.

    It is 1e-15 in whatever unit, and so takes the width of a line in metres for zero.
    """

    def found(scope):
        floor = (
            {"tiny": np.finfo(float).tiny} if scope.get("__name__") == "lmfit.lineshapes" else {}
        )
        return words(scope) | floor

    return found


def _rebound(function, words):
    """The same code, with other meanings of the names that it looks up in its module."""
    if not isinstance(function, FunctionType):
        return function
    scope = {**function.__globals__, **words(function.__globals__)}

    def bind(f):
        bound = FunctionType(f.__code__, scope, f.__name__, f.__defaults__, f.__closure__)
        bound.__kwdefaults__ = f.__kwdefaults__
        return bound

    for name, value in function.__globals__.items():  # its neighbours, which it may call
        if isinstance(value, FunctionType) and value.__module__ == function.__module__:
            scope[name] = bind(value)
    return bind(function)


def _expressions(params, wanted, words):
    """A function that adds wanted parameters, where they are tied, to the values of free ones.

    Ties are written in asteval, the language of lmfit's ``expr``.
    """
    from asteval import get_ast_names

    # lmfit keeps its interpreter, with the user's own symbols in it, under a private name.
    interpreter = copy.deepcopy(params)._asteval
    interpreter.symtable.update(words(interpreter.symtable))
    trees = {}

    def add(names):
        for name in names:
            if name in params and params[name].expr is not None and name not in trees:
                tree = interpreter.parse(params[name].expr)
                add(get_ast_names(tree))
                trees[name] = tree  # after what it rests on

    def complete(values):
        found = dict(values)
        for name, code in codes.items():
            found[name] = eval(code, scope, found)
        return found

    def interpreted(values):
        interpreter.symtable.update(values)
        found = {}
        for name, tree in trees.items():
            found[name] = interpreter.symtable[name] = interpreter.run(tree, with_raise=True)
        return values | found

    add(wanted)
    codes = {name: _code(tree) for name, tree in trees.items()}
    # The names that asteval knows, and no others.
    scope = {**interpreter.symtable, "__builtins__": {}}
    return interpreted if None in codes.values() else complete


def _code(tree):
    """Python's own code of an expression, which runs many times as fast as asteval's tree.

    None for what is more than numbers, names, operators and functions of them.
    """
    (node,) = tree.body if len(tree.body) == 1 else (None,)
    if isinstance(node, ast.Expr) and all(isinstance(n, PLAIN) for n in ast.walk(node.value)):
        return compile(ast.Expression(node.value), "<a tie>", "eval")
    return None


def _summands(model):
    """The models that a model is a sum of, itself where it is none."""
    if getattr(model, "op", None) is operator.add:
        yield from _summands(model.left)
        yield from _summands(model.right)
    else:
        yield model


def _arguments(part, params):
    """Arguments of a model's function to the parameters that they are."""
    # part.param_names counts what lmfit reports besides (fwhm), and leaves out what has no
    # number for a default (a Voigt profile's gamma): the function knows better what it takes.
    known = signature(part.func).parameters.values()
    takes = [p.name for p in known if p.kind is not p.VAR_KEYWORD]
    if len(takes) < len(known):
        takes += [name.removeprefix(part.prefix) for name in part.param_names]
    return {k: part.prefix + k for k in takes if part.prefix + k in params}


def _rests_on(model, params):
    """Names of all parameters that a model is a function of, through ties too."""
    from asteval import get_ast_names

    names = [n for part in model.components for n in _arguments(part, params).values()]
    found, interpreter = set(), params._asteval  # which lmfit keeps under a private name
    while names:
        name = names.pop()
        if name in params and name not in found:
            found.add(name)
            if params[name].expr is not None:
                names += get_ast_names(interpreter.parse(params[name].expr))
    return found


def _bound(model, params, words):
    """The model as f(x, values by name), its functions and the ties re-bound."""
    needed = []

    def compiled(part):
        if hasattr(part, "left"):
            left, right = compiled(part.left), compiled(part.right)
            return lambda x, values: part.op(left(x, values), right(x, values))
        function, independent = _rebound(part.func, words), part.independent_vars[0]
        arguments = _arguments(part, params)
        needed.extend(arguments.values())
        return lambda x, values: function(
            **part.opts, **{independent: x}, **{k: values[n] for k, n in arguments.items()}
        )

    function = compiled(model)
    complete = _expressions(params, needed, words)
    fixed = {n: p.value for n, p in params.items() if not p.vary and p.expr is None}
    return lambda x, values: function(x, complete(fixed | values))
