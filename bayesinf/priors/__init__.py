"""Priors, each stated once: of single numbers, and of the weights that share a width.

``scalar`` has the proper priors of single parameters, ``weights`` those of many weights with a
common width. Families bring what is theirs alone: ``models.binary.couplings`` the prior of fields
and couplings in an encoding, ``models.linear.priors`` those of regression coefficients.
"""

from bayesinf.priors.scalar import (
    Beta,
    HalfCauchy,
    InverseChi,
    LogNormal,
    LogUniform,
    Normal,
    Prior,
    Uniform,
)

__all__ = ["Beta", "HalfCauchy", "InverseChi", "LogNormal", "LogUniform", "Normal", "Prior",
           "Uniform"]  # fmt: skip
