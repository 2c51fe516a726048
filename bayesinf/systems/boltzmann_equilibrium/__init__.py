"""A population in equilibrium: which of its sites are coupled, and how strongly?

    P(s) = exp(Σ_i h_i s_i + Σ_{i<j} J_ij s_i s_j) / Z

Spins, neurons that fire or are silent, votes: binary states, their means and their correlations in
pairs, and of all distributions that have those the one of largest entropy. ``fit`` infers fields h
and couplings J, ``maximum_likelihood_fit`` gives the classical answer, and ``story`` says whether
pairs are enough, by statistics that the model is not told, each beside its own sampling error.

A site that is on or off is written ±1 or 0/1, and fields and couplings differ between the two: each
result says in its attribute ``encoding`` which it is in.
"""

from bayesinf.models.binary.couplings import held_by_prior
from bayesinf.systems.boltzmann_equilibrium.calibration import calibration_problem
from bayesinf.systems.boltzmann_equilibrium.classical import (
    approximations,
    classical,
    coverage,
    information,
    maximum_likelihood_fit,
    mean_field,
)
from bayesinf.systems.boltzmann_equilibrium.data import read, simulate
from bayesinf.systems.boltzmann_equilibrium.faults import faults
from bayesinf.systems.boltzmann_equilibrium.learning import (
    gradient_ascent,
    learning_study,
    newton_ascent,
)
from bayesinf.systems.boltzmann_equilibrium.model import draw_reweighting_sample, fit, plan
from bayesinf.systems.boltzmann_equilibrium.statistics import (
    connected,
    differences,
    energies,
    nulls,
)
from bayesinf.systems.boltzmann_equilibrium.story import story

__all__ = [
    "approximations",
    "calibration_problem",
    "classical",
    "connected",
    "coverage",
    "differences",
    "draw_reweighting_sample",
    "energies",
    "faults",
    "fit",
    "gradient_ascent",
    "held_by_prior",
    "information",
    "learning_study",
    "maximum_likelihood_fit",
    "mean_field",
    "newton_ascent",
    "nulls",
    "plan",
    "read",
    "simulate",
    "story",
]
