"""A pair potential from a few energies, by a Gaussian process with a wall for its prior mean.

    U(r) = m(r) + f(r),   f ~ GP(0, k),   m(r) = 0,  −γ (r − r₀) θ(r₀ − r),  or 4ε((σ/r)¹² − (σ/r)⁶)

The steep wall at short range is what a stationary kernel learns worst. A prior mean that rises
inside r₀ takes the wall over, or a Lennard-Jones potential whose ε and σ are uncertain; the
posterior says how sure each of them is, everywhere. Everything is inferred: length scale and
amplitude of the kernel, noise, and the parameters of the mean.

The questions beyond the curve: what are the well's depth and place, the force and the second virial
coefficient; does the wall make learning faster, or only start better; and are the error bars of the
classical recipe, with its fixed numbers, worth anything? ``story`` answers them from what ``fit``,
``compare``, ``from_the_wall_inward`` and ``learning_curves`` have found.
"""

from bayesinf.systems.lennard_jones.calibration import calibration_problem
from bayesinf.systems.lennard_jones.classical import classical, kernel_ridge
from bayesinf.systems.lennard_jones.comparison import compare, from_the_wall_inward
from bayesinf.systems.lennard_jones.data import argon, argon_table, read, scales, simulate
from bayesinf.systems.lennard_jones.learning import learning_curves, learning_rates
from bayesinf.systems.lennard_jones.model import (
    MEANS,
    curves,
    default_priors,
    fit,
    predict,
    problem,
    truth,
    virial,
    well,
)
from bayesinf.systems.lennard_jones.potentials import aziz, lennard_jones, second_virial
from bayesinf.systems.lennard_jones.story import story

__all__ = [
    "MEANS",
    "argon",
    "argon_table",
    "aziz",
    "calibration_problem",
    "classical",
    "compare",
    "curves",
    "default_priors",
    "fit",
    "from_the_wall_inward",
    "kernel_ridge",
    "learning_curves",
    "learning_rates",
    "lennard_jones",
    "predict",
    "problem",
    "read",
    "scales",
    "second_virial",
    "simulate",
    "story",
    "truth",
    "virial",
    "well",
]
