"""What is asked of PyMC and PyTensor besides a model: words, silence, and many points at once."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from contextlib import contextmanager

__all__ = ["quiet", "vectorised", "words"]


def vectorised(outputs: Sequence, inputs: Sequence, many: Sequence) -> list:
    """Return outputs, symbols, at many values of the inputs, which stand along a first axis."""
    import pytensor.tensor as pt
    from pytensor.graph.replace import vectorize_graph

    replaced = dict(zip(inputs, many, strict=True))
    # What depends on no parameter is the same at all points, and has to be said so.
    still = [vectorize_graph(output, replaced) for output in outputs]
    return [
        one if one.ndim > output.ndim else pt.broadcast_to(one, (many[0].shape[0], *output.shape))
        for one, output in zip(still, outputs, strict=True)
    ]


def words(rv) -> str:
    """Return the distribution of a variable as PyMC prints it; of missing data it prints none."""
    said = getattr(rv, "str_repr", None)
    return said().split("~", 1)[-1].strip() if said else "as the data that were observed"


@contextmanager
def quiet():
    """Let PyMC work without a word: what it says of potentials stands in the priors."""
    logger = logging.getLogger("pymc")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
