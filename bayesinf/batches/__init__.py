"""Many fits of one model: a map, a folder of spectra, a table of them.

A family fits a portion of a batch at once, and a source gives it portion by portion. Here is what
such batches share: ``store`` writes one InferenceData as the portions come, with a dimension for
the spectra or those of the map; ``streaming`` goes through the portions, keeps what is done for a
run that is cut off, and knows no more of the batch than the portions at work; ``verdict`` says
whether the batch as a whole may be believed, and ``page`` shows its maps.
"""

from bayesinf.batches.store import Held, Store
from bayesinf.batches.streaming import stream
from bayesinf.batches.verdict import (
    BELIEVED,
    DOUBTED,
    FAILED,
    NOT_ASKED,
    QUESTIONS,
    Tally,
    evidence,
)

__all__ = [
    "BELIEVED",
    "DOUBTED",
    "FAILED",
    "NOT_ASKED",
    "QUESTIONS",
    "Held",
    "Store",
    "Tally",
    "evidence",
    "stream",
]
