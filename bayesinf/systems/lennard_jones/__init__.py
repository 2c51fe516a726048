"""A pair potential from a few energies, by a Gaussian process that knows walls.

    U(r) = m(r) + r^−decay g(log r),   g ~ GP(0, k),   m = 0
    U(r) = m(r) + f(r),   f ~ GP(0, k),   m(r) = 0,  −γ (r − r₀) θ(r₀ − r),  or 4ε((σ/r)¹² − (σ/r)⁶)

The steep wall at short range is what a kernel that is stationary in r learns worst. In log r, with
a size that falls off as a power of r, wall and tail are alike, and that is the form taken where no
other is asked for. The classical ways stay: a prior mean that rises inside r₀ and takes the wall
over, or a Lennard-Jones potential whose ε and σ are uncertain. Everything is inferred: length scale
and amplitude of the kernel, noise, the parameters of the mean, and the energy of the pair apart
where the table counts from elsewhere (``level``).

The questions beyond the curve: what are the well's depth and place (``wells``), the force and the
second virial coefficient (``derived``); which form predicts best; does a wall make learning faster,
or only start better; and are the error bars of the classical recipe, with its fixed numbers, worth
anything? ``story`` answers them from what ``fit``, ``compare``, ``from_the_wall_inward`` and
``learning_curves`` have found.
"""

from bayesinf.systems.lennard_jones.batch import loop, pairs
from bayesinf.systems.lennard_jones.calibration import calibration_problem
from bayesinf.systems.lennard_jones.classical import classical, kernel_ridge
from bayesinf.systems.lennard_jones.comparison import KERNELS, best, compare, from_the_wall_inward
from bayesinf.systems.lennard_jones.data import argon, argon_table, read, scales, simulate
from bayesinf.systems.lennard_jones.derived import curves, rows_around, truth, virial
from bayesinf.systems.lennard_jones.faults import faults
from bayesinf.systems.lennard_jones.learning import FRACTIONS, learning_curves, learning_rates
from bayesinf.systems.lennard_jones.level import above, noticed
from bayesinf.systems.lennard_jones.model import (
    FORMS,
    MEANS,
    default_priors,
    fit,
    predict,
    problem,
)
from bayesinf.systems.lennard_jones.potentials import aziz, lennard_jones, second_virial
from bayesinf.systems.lennard_jones.story import STEMS, story
from bayesinf.systems.lennard_jones.wells import bracket, judged, well

__all__ = [
    "FORMS",
    "FRACTIONS",
    "KERNELS",
    "MEANS",
    "STEMS",
    "above",
    "argon",
    "argon_table",
    "aziz",
    "best",
    "bracket",
    "calibration_problem",
    "classical",
    "compare",
    "curves",
    "default_priors",
    "faults",
    "fit",
    "from_the_wall_inward",
    "judged",
    "kernel_ridge",
    "learning_curves",
    "learning_rates",
    "lennard_jones",
    "loop",
    "noticed",
    "pairs",
    "predict",
    "problem",
    "read",
    "rows_around",
    "scales",
    "second_virial",
    "simulate",
    "story",
    "truth",
    "virial",
    "well",
]
