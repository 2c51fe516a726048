"""Many spectra of one kind: a map, a folder, a table, fitted at once and kept in one file.

``write`` goes through a source portion by portion and writes one InferenceData and a table, in
bounded memory; ``told`` reads off that file what the page shows.

    statement.py  the model of a single fit, stated once for all
    kernel.py     the compiled loops: curve and slopes, descents, draws
    fitting.py    the fit of a portion, and what of it is to be doubted
    results.py    the InferenceData
    running.py    the way through a source, and the page
"""

from bayesinf.systems.gaussian_peaks.batch.fitting import fit_portion
from bayesinf.systems.gaussian_peaks.batch.running import opened, refine, stated, tell, told, write
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
