"""The way through a batch: portion by portion, in rounds, each written before the next begins.

Within a round portions are fitted where ``map`` puts them, cores or a cluster; a portion's fit
follows from its spectra, the model, the seed and its number alone, so that it is the same to the
bit wherever it was made. What is done is kept as ``parallel.map`` keeps its items, and a run that
was cut off goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bayesinf.data.spectra import Several, Source

__all__ = ["stream"]

ROUND = 16  # portions that are fitted before they are written


@dataclass(frozen=True)
class _Fit:
    """What is done with a portion: read it where it is fitted."""

    fit: Callable

    def __call__(self, item):
        number, part = item
        return self.fit(part.read(), number=number)


def stream(
    source: Source,
    fit: Callable[..., dict],
    portion: int,
    mapped: Callable[..., list],
    *,
    here: bool = False,
    together: int | None = None,
) -> Iterator[tuple[int, Sequence[str], dict]]:
    """Fit a batch portion by portion.

    Parameters
    ----------
    source : of the spectra.
    fit : from a list of spectra and the keyword ``number`` to rows.
    portion : spectra of each.
    mapped : as ``Run.map``.
    here : whether to read the spectra here, where others do not see the files.
    together : portions that are fitted before they are written, as many as may be in memory; None
        for sixteen. No more workers are busy at a time.

    Yields
    ------
    where the portion begins, the names of its spectra, and its rows.
    """
    total, together = len(source), together or ROUND
    firsts = range(0, total, portion)
    for begin in range(0, len(firsts), together):
        some = firsts[begin : begin + together]
        items = []
        for first in some:
            part = source.part(first, min(first + portion, total))
            items.append((first // portion, Several(tuple(part.read())) if here else part))
        label = f"Fitting {some[0] + 1} to {min(some[-1] + portion, total)} of {total}"
        for first, rows in zip(some, mapped(_Fit(fit), items, label=label), strict=True):
            names = source.names[first : min(first + portion, total)]
            yield first, names, rows
