"""Thomson scattering by ion-acoustic waves: what does the spectrum say of a plasma?

    y_j ~ Poisson(photons · Σ_f G_jf S(k_f, ω_f) / λ_f² + background)

Light that a plasma scatters has two peaks, where the ion-acoustic waves run towards the detector
and away from it. Their form factor S(k, ω) has seven parameters. Their posterior is found from all
channels by the forward model, and from three features of the peaks by a network and by a Gaussian
process that have learnt these features from simulated spectra.

Salpeter, Physical Review 120, 1528 (1960), doi:10.1103/PhysRev.120.1528.
"""

from bayesinf.systems.thomson_surrogate.calibration import calibration_problem
from bayesinf.systems.thomson_surrogate.data import read, simulate, spectrometer_of
from bayesinf.systems.thomson_surrogate.faults import faults
from bayesinf.systems.thomson_surrogate.fitting import fit, plan, problem
from bayesinf.systems.thomson_surrogate.inverse import fit_features
from bayesinf.systems.thomson_surrogate.judging import judged
from bayesinf.systems.thomson_surrogate.knowledge import classical
from bayesinf.systems.thomson_surrogate.spectrum import Setup
from bayesinf.systems.thomson_surrogate.story import story
from bayesinf.systems.thomson_surrogate.surrogate import train

__all__ = [
    "Setup",
    "calibration_problem",
    "classical",
    "faults",
    "fit",
    "fit_features",
    "judged",
    "plan",
    "problem",
    "read",
    "simulate",
    "spectrometer_of",
    "story",
    "train",
]
