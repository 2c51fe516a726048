"""Many spectra of one kind: a map, a folder, a table, fitted at once and kept in one file.

``write`` goes through a source portion by portion and writes one InferenceData and a table, in
bounded memory; ``told`` reads off that file what the page shows.

    statement.py  the model of a single fit, stated once for all
    evaluation.py the curve and its slopes, and how far data lie off it (compiled)
    algebra.py    small symmetric matrices (compiled)
    starting.py   where descents begin (compiled)
    descent.py    to the least misfit (compiled)
    influence.py  leverages, and the condition of the slopes (compiled)
    weighing.py   draws around the optimum, and their weights (compiled)
    tails.py      how heavy the tail of those weights is
    choice.py     how the data scatter
    search.py     the best end of several descents
    residuals.py  what residuals are asked
    fitting.py    the fit of a portion, and what of it is to be doubted
    results.py    the InferenceData
    running.py    the way through a source, and the page
"""

from bayesinf.systems.gaussian_peaks.batch.fitting import fit_portion
from bayesinf.systems.gaussian_peaks.batch.running import (
    opened,
    refine,
    stated,
    tell,
    told,
    write,
)
from bayesinf.systems.gaussian_peaks.batch.statement import COMPILED, Model

__all__ = [
    "COMPILED",
    "Model",
    "fit_portion",
    "opened",
    "refine",
    "stated",
    "tell",
    "told",
    "write",
]
