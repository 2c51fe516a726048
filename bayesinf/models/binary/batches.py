"""Something of each draw, made on all cores: replicas of the data, most of all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bayesinf import parallel
from bayesinf.settings import Settings

__all__ = ["by_draw"]

# Draws that one worker takes from one stream of random numbers.
TOGETHER = 25


def by_draw[Result](
    make: Callable[[range, np.random.Generator], list[Result]],
    count: int,
    settings: Settings,
    stream: str,
    worthwhile: bool,
) -> list[Result]:
    """Make something of each of ``count`` draws, the same whatever the workers.

    Parameters
    ----------
    make : positions of some draws, and the generator of these -> a result for each.
    settings, stream : seed, workers, and the name of the random streams.
    worthwhile : whether threads bring more than they cost.
    """

    def run(start):
        rng = settings.generator(stream, start)
        return make(range(start, min(start + TOGETHER, count)), rng)

    workers = settings.workers if worthwhile else 1
    starts = range(0, count, TOGETHER)
    parts = parallel.map(run, starts, workers=workers, threads=True, label=stream)
    return [result for part in parts for result in part]
