"""Bayesian optimisation: where is an expensive function lowest, and how deep is it there?

    y_i = f(x_i) + ε_i,   f ~ GP(c, k),   x* = argmin f,   f* = f(x*)

A campaign on Forrester's, Branin's or Hartmann's function, or evaluations of the user's own. The
answer is a posterior of where the minimum is and how deep, from curves drawn through all
evaluations at all hyperparameters; the classical one is the lowest value that was measured.

Jones, Schonlau & Welch, Journal of Global Optimization 13, 455 (1998),
doi:10.1023/A:1008306431147.
"""

from bayesinf.systems.bayesian_optimisation.calibration import calibration_problem
from bayesinf.systems.bayesian_optimisation.data import campaign_of, data_of, read, simulate
from bayesinf.systems.bayesian_optimisation.faults import faults
from bayesinf.systems.bayesian_optimisation.model import classical, fit, plan
from bayesinf.systems.bayesian_optimisation.objectives import OBJECTIVES, Objective, objective
from bayesinf.systems.bayesian_optimisation.story import story

__all__ = [
    "OBJECTIVES",
    "Objective",
    "calibration_problem",
    "campaign_of",
    "classical",
    "data_of",
    "faults",
    "fit",
    "objective",
    "plan",
    "read",
    "simulate",
    "story",
]
