"""Mackey-Glass: how far is a chaotic series foretold, and which delay equation made it?

    dx/dt = β x(t − τ) / (1 + x(t − τ)ⁿ) − γ x(t)

Readouts of lags, of products of them, of random features and of a reservoir forecast the series;
each is linear in its weights, so that its posterior is exact and a forecast has intervals. And the
equation itself has a posterior: its numbers, the delay among them, and the noise, the history
before the data being unknown (``fit_equation``).

Mackey & Glass, Science 197, 287 (1977), doi:10.1126/science.267326.
"""

from bayesinf.systems.mackey_glass.calibration import calibration_problem
from bayesinf.systems.mackey_glass.classical import classical, with_classical
from bayesinf.systems.mackey_glass.data import read, simulate
from bayesinf.systems.mackey_glass.delay import LITERATURE, TWO, Equation, exponent, trajectory
from bayesinf.systems.mackey_glass.faults import faults
from bayesinf.systems.mackey_glass.mechanism import fit_equation
from bayesinf.systems.mackey_glass.model import best, fit
from bayesinf.systems.mackey_glass.story import story

__all__ = [
    "LITERATURE",
    "TWO",
    "Equation",
    "best",
    "calibration_problem",
    "classical",
    "exponent",
    "faults",
    "fit",
    "fit_equation",
    "read",
    "simulate",
    "story",
    "trajectory",
    "with_classical",
]
