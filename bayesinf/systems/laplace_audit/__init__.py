"""The Laplace audit: may the covariance of a fit be used?

    y_i ~ N(A exp(−(x_i − μ)² / 2σ²) + B, error_i²)

A peak is fitted by gradient descent, by Newton's method or by Levenberg and Marquardt's, the
inverse Hessian where that stopped is claimed for a covariance, and the claim is audited
(``bayesinf.audit``). Beside it stand cases that go wrong in other ways, and a map of which start
ends where.

Press, Teukolsky, Vetterling & Flannery, Numerical Recipes, 3rd ed., ch. 15 (2007).
"""

from bayesinf.systems.laplace_audit.calibration import calibration_problem
from bayesinf.systems.laplace_audit.data import peak, read, simulate
from bayesinf.systems.laplace_audit.known import CASES, cases
from bayesinf.systems.laplace_audit.model import OPTIMISERS, START, claim, classical, fit
from bayesinf.systems.laplace_audit.optimisers import basins
from bayesinf.systems.laplace_audit.story import story

__all__ = [
    "CASES",
    "OPTIMISERS",
    "START",
    "basins",
    "calibration_problem",
    "cases",
    "claim",
    "classical",
    "fit",
    "peak",
    "read",
    "simulate",
    "story",
]
