"""Ising couplings from spin configurations and their energies.

Random states of L spins on a ring have energies E = -Σ s_j s_{j+1} plus measurement noise. The fit
is not told that the couplings are those of a ring: its model is all-to-all,

    E = Σ_{i<j} J_ij s_i s_j + ε,   ε ~ N(0, σ²)

without a minus sign, so the ring reads J = -1 on 40 of 780 pairs. It is linear in J, and what
decides is the prior: a normal prior is ridge regression with error bars, a Laplace prior the lasso
with error bars, and spike and slab asks of each pair whether it is coupled at all.

In the full gauge all L² products are features. Then s_i s_j stands there twice and the data see
only J_ij + J_ji; on the diagonal s_i² = 1 they see only a constant.

Mehta et al., Phys. Rep. 810, 1 (2019), doi:10.1016/j.physrep.2019.03.001, treat the same data by
least squares, ridge and lasso.
"""

from bayesinf.systems.ising_couplings.calibration import calibration_problem
from bayesinf.systems.ising_couplings.classical import classical, modes, with_classical
from bayesinf.systems.ising_couplings.data import read, simulate, split
from bayesinf.systems.ising_couplings.faults import faults
from bayesinf.systems.ising_couplings.model import (
    PRIORS,
    equivalent_penalty,
    features,
    fit,
    halves,
    mean_score,
    true_score,
)
from bayesinf.systems.ising_couplings.story import story

__all__ = [
    "PRIORS",
    "calibration_problem",
    "classical",
    "equivalent_penalty",
    "faults",
    "features",
    "fit",
    "halves",
    "mean_score",
    "modes",
    "read",
    "simulate",
    "split",
    "story",
    "true_score",
    "with_classical",
]
