"""Spectral analysis by least squares: which periods are in uneven data, and is there one at all?

A source is observed at uneven times, with error bars that may be too small. Given a frequency the
model (a mean, cosines and sines of a few harmonics) is linear, so its evidence is in closed form
and the period's posterior is laid on boxes: half and double periods and the aliases of the gaps
compete in it by their mass. Without a period in mind, cosine and sine modes up to a limit give the
spectrum of a signal, with a posterior for the power of each mode.

VanderPlas, Astrophys. J. Suppl. 236, 16 (2018), doi:10.3847/1538-4365/aab766, explains the
classical side.
"""

from bayesinf.systems.spectral_analysis.batch import light_curves, loop
from bayesinf.systems.spectral_analysis.calibration import calibration_problem
from bayesinf.systems.spectral_analysis.classical import classical
from bayesinf.systems.spectral_analysis.data import read, simulate
from bayesinf.systems.spectral_analysis.faults import faults
from bayesinf.systems.spectral_analysis.memory import with_memory
from bayesinf.systems.spectral_analysis.model import fit
from bayesinf.systems.spectral_analysis.modes import fit_modes, simulate_modes
from bayesinf.systems.spectral_analysis.story import story

__all__ = [
    "calibration_problem",
    "classical",
    "faults",
    "fit",
    "fit_modes",
    "light_curves",
    "loop",
    "read",
    "simulate",
    "simulate_modes",
    "story",
    "with_memory",
]
