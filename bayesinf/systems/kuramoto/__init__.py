"""Kuramoto oscillators: who couples to whom, how strongly, and with which lag?

    dθ_i = [ω_i + (1/N) Σ_{j≠i} K_ij sin(θ_j − θ_i − α)] dt + σ_i dW_i

Phases are seen at instants. Of each oscillator the mean velocity between two of them is a
regression on what the others did meanwhile, all of them sharing the width of the couplings' prior:
frequencies, couplings and noise have a posterior in closed form given the lag, and the one lag of
all lies on an axis (``lag``). What the others did between two instants is taken along the path that
the fit itself predicts from the first of them (``drift``), so that the sampling interval may be
long.

Kuramoto, Chemical Oscillations, Waves, and Turbulence, Springer 1984,
doi:10.1007/978-3-642-69689-3; Shandilya & Timme, New J. Phys. 13, 013004 (2011),
doi:10.1088/1367-2630/13/1/013004, infer networks from such time series.
"""

from bayesinf.systems.kuramoto.calibration import calibration_problem
from bayesinf.systems.kuramoto.classical import classical, with_classical
from bayesinf.systems.kuramoto.data import chimera, read, simulate
from bayesinf.systems.kuramoto.faults import faults
from bayesinf.systems.kuramoto.results import best
from bayesinf.systems.kuramoto.stating import PRIORS, fit
from bayesinf.systems.kuramoto.story import story

__all__ = [
    "PRIORS",
    "best",
    "calibration_problem",
    "chimera",
    "classical",
    "faults",
    "fit",
    "read",
    "simulate",
    "story",
    "with_classical",
]
