"""Priors, each stated once: of single numbers, and of the weights that share a width.

``scalar`` and ``positive`` have the proper priors of single parameters, ``weights`` those of many
weights with a common width, and ``words`` reads a prior from a line such as ``sd ~ HalfNormal(2)``.
A flat prior is ``Uniform``, with ends as far apart as one likes: without ends it is no probability,
and neither prior predictive draws nor an evidence exist. ``models.binary.couplings`` has the prior
of fields and couplings in an encoding.
"""

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
from bayesinf.priors.words import parse

__all__ = [
    "Beta",
    "Exponential",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "InverseChi",
    "InverseGamma",
    "LogNormal",
    "LogUniform",
    "Normal",
    "OnVariance",
    "Prior",
    "StudentT",
    "Uniform",
    "parse",
]
