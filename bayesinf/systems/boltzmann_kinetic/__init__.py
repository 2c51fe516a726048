"""Spins out of equilibrium: parallel Glauber dynamics, and the couplings behind it.

    P(s_i(t+1)) = exp(s_i(t+1) θ_i(t)) / 2 cosh θ_i(t),   θ_i(t) = h_i + Σ_j J_ij s_j(t)

All sites step at once: spins, neurons that fire or are silent, votes. The effect of j on i need
not be that of i on j, and only data with an order in time can tell. Data are repeats of such runs;
where one ends and the next begins is a seam and no transition.

The questions: what are the fields and couplings and how sure are they; are the couplings symmetric;
does either model bring about the means, the correlations at one time and one step apart and the
number of sites on at once that the data show; and what is the classical answer, maximum likelihood
after 150 steps of gradient descent, worth? ``story`` answers them.
"""

from bayesinf.systems.boltzmann_kinetic.calibration import calibration_problem
from bayesinf.systems.boltzmann_kinetic.classical import classical, with_classical
from bayesinf.systems.boltzmann_kinetic.comparison import better, compared, reproduce
from bayesinf.systems.boltzmann_kinetic.data import evolve, read, simulate
from bayesinf.systems.boltzmann_kinetic.faults import faults
from bayesinf.systems.boltzmann_kinetic.model import fit, fit_both, plan, split, transitions
from bayesinf.systems.boltzmann_kinetic.story import story

__all__ = [
    "better",
    "calibration_problem",
    "classical",
    "compared",
    "evolve",
    "faults",
    "fit",
    "fit_both",
    "plan",
    "read",
    "reproduce",
    "simulate",
    "split",
    "story",
    "transitions",
    "with_classical",
]
