"""Peaks in a spectrum: how many counts, where and how wide, on what background?

    y_i = background(x_i) + Σ_k height_k · shape((x_i − center_k) / sigma_k) + ε_i

The line shapes are lmfit's, so ``sigma`` is what lmfit means by it (standard deviation of a
Gaussian, half width at half maximum of a Lorentzian). Free are height, centre and sigma of each
peak; area (``amplitude``) and full width (``fwhm``) follow. Peaks are numbered by their centres:
centres ascend in the prior, so peaks cannot change places within a posterior.

The question beyond the numbers: may the errors be read from the curvature at the optimum, as every
fitting program does, or does the posterior have another shape? ``story`` lays both side by side.

    data.py         simulated spectra, files of the user's, NIST's certified sets
    lines.py        shapes and backgrounds
    guesses.py      where to start
    statement.py    priors, and what is inferred
    choice.py       how the data scatter, which rows stand alone
    support.py      whether the data hold the peaks
    model.py        the fit
    remedies.py     which other model is like the data, and how many peaks there are
    classical.py    least squares, and the quadratic approximation held against the posterior
    figures.py      the spectrum, and the posterior of each parameter
    story.py        the report
    calibration.py  a spectrum drawn from the prior
    faults.py       spectra with a fault that a verdict should see
    batch/          many spectra at once
"""

from bayesinf.data.spectra import spectra as several
from bayesinf.systems.gaussian_peaks import batch
from bayesinf.systems.gaussian_peaks.calibration import calibration_problem
from bayesinf.systems.gaussian_peaks.choice import chosen
from bayesinf.systems.gaussian_peaks.classical import (
    certified_table,
    classical,
    comparison,
    correlations,
    quadratic_verdict,
)
from bayesinf.systems.gaussian_peaks.data import (
    nist,
    nist_options,
    nist_starts,
    overlap,
    read,
    simulate,
    within,
)
from bayesinf.systems.gaussian_peaks.faults import faults
from bayesinf.systems.gaussian_peaks.lines import BACKGROUNDS, SHAPES, Lines
from bayesinf.systems.gaussian_peaks.model import curves, fit
from bayesinf.systems.gaussian_peaks.remedies import best_count, counts, explained
from bayesinf.systems.gaussian_peaks.statement import default_priors, problem
from bayesinf.systems.gaussian_peaks.story import story

__all__ = [
    "BACKGROUNDS",
    "SHAPES",
    "Lines",
    "batch",
    "best_count",
    "calibration_problem",
    "certified_table",
    "chosen",
    "classical",
    "comparison",
    "correlations",
    "counts",
    "curves",
    "default_priors",
    "explained",
    "faults",
    "fit",
    "nist",
    "nist_options",
    "nist_starts",
    "overlap",
    "problem",
    "quadratic_verdict",
    "read",
    "several",
    "simulate",
    "story",
    "within",
]
