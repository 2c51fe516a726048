"""Priors, each stated once: of single numbers, and of the weights that share a width.

``scalar`` has the proper priors of single parameters. Families bring the priors of their weights
themselves for now: ``models.linear.priors`` those of coefficients, ``models.couplings`` those of
fields and couplings.
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
