"""A signal behind a blur: what was it, and how much of it do the data decide?

An instrument with the response r measures

    y_i = ∫ r(x_i − s) f(s) ds + ε_i,   ε_i ~ N(0, σ²)

and the signal f is wanted. Fine detail of f hardly reaches y, so inverting the blur inverts the
noise; some prior that f is smooth decides what the data leave open. Tikhonov's regularisation
states it as a penalty λ on the differences of f, and has to choose λ; here λ = (σ / scale)² is
inferred, with its uncertainty, and how smooth f is (first differences, second differences, a
squared-exponential covariance of inferred length) is compared by evidence.

Hansen, Rank-Deficient and Discrete Ill-Posed Problems, SIAM 1998, doi:10.1137/1.9780898719697.
"""

from bayesinf.systems.deconvolution.calibration import calibration_problem
from bayesinf.systems.deconvolution.classical import classical, with_comparison
from bayesinf.systems.deconvolution.data import read, shaw, simulate
from bayesinf.systems.deconvolution.faults import faults
from bayesinf.systems.deconvolution.model import SMOOTH, WIDTHS, best, compare, fit, plan, problem
from bayesinf.systems.deconvolution.story import story

__all__ = [
    "SMOOTH",
    "WIDTHS",
    "best",
    "calibration_problem",
    "classical",
    "compare",
    "faults",
    "fit",
    "plan",
    "problem",
    "read",
    "shaw",
    "simulate",
    "story",
    "with_comparison",
]
