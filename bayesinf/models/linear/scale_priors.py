"""How priors are told to compiled code, which knows no classes: by kinds and numbers.

The prior of a scale s is told as (kind, power, a, b): s to this power has the density that the kind
names, with the numbers a and b. The densities themselves stand in ``scales_kernel``.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from bayesinf.errors import FitError
from bayesinf.priors import (
    Beta,
    Exponential,
    Gamma,
    HalfCauchy,
    HalfNormal,
    InverseChi,
    InverseGamma,
    LogNormal,
    LogUniform,
    OnVariance,
    Prior,
    Uniform,
)
from bayesinf.priors.weights import Gaussian, Horseshoe, Laplace, Scaled, Student

__all__ = ["told", "told_weights"]

KINDS = range(9)
FIXED, INVERSE_GAMMA, HALF_CAUCHY, LOG_NORMAL, LOG_UNIFORM, HALF_NORMAL, GAMMA, UNIFORM, BETA = (
    KINDS
)
NORMAL, LAPLACE, STUDENT, HORSESHOE = range(4)

Told = tuple[int, float, float, float]


@cache
def told(prior: float | Prior) -> Told:
    """Tell the prior of a scale, or that it is fixed.

    Raises
    ------
    FitError : a prior of the caller's own, which compiled code does not know.
    """
    power = 1.0
    match prior:
        case int() | float():
            kind, *numbers = FIXED, 0.0, 0.0
        case OnVariance(variance):
            kind, power, *numbers = told(variance)
            power *= 2.0
        case InverseChi(dof, scale):
            kind, power, *numbers = INVERSE_GAMMA, 2.0, dof / 2, dof * scale**2 / 2
        case InverseGamma(shape, scale):
            kind, *numbers = INVERSE_GAMMA, shape, scale
        case HalfCauchy(scale):
            kind, *numbers = HALF_CAUCHY, 0.0, scale
        case LogNormal(median, spread):
            kind, *numbers = LOG_NORMAL, np.log(median), spread
        case LogUniform(lower, upper):
            kind, *numbers = LOG_UNIFORM, np.log(lower), np.log(upper)
        case HalfNormal(sd):
            kind, *numbers = HALF_NORMAL, sd, 0.0
        case Gamma(shape, rate):
            kind, *numbers = GAMMA, shape, rate
        case Exponential(rate):
            kind, *numbers = GAMMA, 1.0, rate
        case Uniform(lower, upper):
            kind, *numbers = UNIFORM, np.log(lower) if lower > 0 else -np.inf, np.log(upper)
        case Beta(a, b):
            kind, *numbers = BETA, a, b
        case _:
            raise FitError(
                f"this sampler takes no prior of a scale such as {prior}: state one of "
                "bayesinf.priors, or use the method nuts"
            )
    return kind, float(power), *(float(number) for number in numbers)


@cache
def told_weights(prior: Scaled) -> tuple[int, float, Told, Told]:
    """Tell the prior of weights: its kind, degrees of freedom, and the priors of scale and slab.

    Raises
    ------
    FitError : a prior of the caller's own.
    """
    kinds = {Gaussian: NORMAL, Laplace: LAPLACE, Student: STUDENT, Horseshoe: HORSESHOE}
    kind = next((kinds[one] for one in type(prior).__mro__ if one in kinds), None)
    if kind is None:
        raise FitError(
            f"this sampler takes no prior of weights such as {type(prior).__name__}: use nuts"
        )
    hyper = prior.hyperparameters
    dof = float(getattr(prior, "dof", 0.0))
    return kind, dof, told(hyper["scale"]), told(hyper.get("slab", np.inf))
