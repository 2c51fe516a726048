"""Hamiltonian systems: which energy H(q, p) moves this, and how surely is it known where?

    q̇ = ∂H/∂p,   ṗ = −∂H/∂q − γ p

Motions are seen with noise in q and p, with their rates or without. H is a quadratic form and
Gaussian processes of q, of p and of both, in a finite basis, so that the rates are linear in its
weights. States that are taken as exact give a posterior in closed form, which is biased where they
have noise; here they are followed from initial states that are inferred (a likelihood of whole
paths), and the posterior is that of the linear problem around the optimum, corrected by importance
weights. Held-out motions are forecast by a symplectic scheme.

Greydanus, Dzamba & Yosinski, Advances in Neural Information Processing Systems 32 (2019),
arXiv:1906.01563, learn energies by networks from such data; Rath, Albert, Bischl & von Toussaint,
Chaos 31, 053121 (2021), doi:10.1063/5.0048129, by symplectic Gaussian-process regression.
"""

from bayesinf.systems.hamiltonian.calibration import calibration_problem
from bayesinf.systems.hamiltonian.classical import classical
from bayesinf.systems.hamiltonian.data import read, simulate, some, split
from bayesinf.systems.hamiltonian.faults import faults
from bayesinf.systems.hamiltonian.stating import FORMS, fit, plan, problem
from bayesinf.systems.hamiltonian.story import story

__all__ = [
    "FORMS",
    "calibration_problem",
    "classical",
    "faults",
    "fit",
    "plan",
    "problem",
    "read",
    "simulate",
    "some",
    "split",
    "story",
]
