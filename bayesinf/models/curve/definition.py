"""The definition: a curve's model in PyMC, to which the fast routes are held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesinf.models.curve.problem import NOISE, Problem
from bayesinf.priors import Prior

if TYPE_CHECKING:
    import lmfit
    import pymc as pm


def definition(
    model: lmfit.Model,
    params: lmfit.Parameters,
    x: np.ndarray,
    y: np.ndarray,
    error: np.ndarray | None = None,
    *,
    priors: Mapping[str, Prior] | None = None,
    ordered: Sequence[Sequence[str]] = (),
) -> pm.Model:
    """State the model in PyMC; arguments as for ``fit``.

    The curve is lmfit's own expression in PyTensor. Where that has no PyTensor form (the Voigt
    profile's error function of a complex number), the NumPy function stands in, without gradients.
    """
    import pymc as pm
    import pytensor.tensor as pt

    problem = Problem(model, params, x, y, error, priors=priors, ordered=ordered)
    with pm.Model() as result:
        variables = {name: prior.pymc(name) for name, prior in problem.priors.items()}
        theta = {name: variables[name] for name in problem.free}
        try:
            mean = problem.curve.symbolic(theta)
        except Exception:  # whatever a function does that was never meant for symbols
            from pytensor.compile.ops import wrap_py

            pointwise = wrap_py([pt.dvector], [pt.dvector])(problem.curve.__call__)
            mean = pointwise(pt.stack(list(theta.values())))
        pm.Normal("y", mean, variables.get(NOISE, problem.error), observed=problem.y)
        if len(problem.keys) > 1:
            values = pt.stack([variables[name] for name in problem.keys])
            ascending = pt.all(values[1:] > values[:-1])
            pm.Potential("order", pt.switch(ascending, problem.log_orders, -np.inf))
    return result
