"""How far a run is, and how long it will be: said where a person sees it, before and while it is.

Where stderr is no terminal a line every ``BEAT`` seconds says what all those that are at work have
to say (``heartbeat``, ``telling``). Work that will be long says so when it begins, with what the
estimate rests on and what would be shorter (``foresee``).
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bayesinf.errors import FitError

__all__ = ["duration", "foresee", "foresee_loop", "heartbeat", "left", "telling"]

BEAT = 30.0  # seconds between two lines where the output is no terminal
SAID = 120.0  # seconds from which an estimate is said
SOON = 600.0  # seconds that somebody waits: how much could be done in them is said
LONGEST = 48 * 3600.0  # seconds from which work is refused

MEASURED = 10.0  # seconds of a loop from which its length is estimated

_foreseen: set[int] = set()  # lengths of the loops of which that was said
_told: list[Callable[[], str]] = []  # what those at work, one inside the other, have to say


@contextmanager
def heartbeat(told: Callable[[], str]) -> Iterator[None]:
    """Print a line every ``BEAT`` seconds where stderr is no terminal, which would show a bar.

    Parameters
    ----------
    told : says how far the work is; of several, one inside the other, all speak in one line.
    """
    ended = threading.Event()
    outermost = not _told and not sys.stderr.isatty()
    try:
        with telling(told):
            if outermost:
                threading.Thread(target=_beat, args=[ended], daemon=True).start()
            yield
    finally:
        ended.set()


@contextmanager
def telling(told: Callable[[], str]) -> Iterator[None]:
    """Join the lines that another prints, if there is one."""
    _told.append(told)
    try:
        yield
    finally:
        _told.remove(told)


def _beat(ended):
    while not ended.wait(BEAT):
        said = dict.fromkeys(each() for each in list(_told))
        print("; ".join(filter(None, said)), file=sys.stderr, flush=True)


def left(done: int, total: int, started: float) -> str:
    """Say how long the rest will take, if it goes on as before.

    Parameters
    ----------
    done, total : pieces of work.
    started : ``time.monotonic()`` when the first of them began.
    """
    if not 0 < done < total:
        return ""
    return f", about {duration((time.monotonic() - started) * (total - done) / done)} to go"


def duration(seconds: float) -> str:
    """Say how long something takes."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def foresee(seconds: float, what: str, remedy: str) -> None:
    """Say before work that will be long how long it will be; refuse what would take days.

    Parameters
    ----------
    seconds : it will take, by an estimate.
    what : the estimate rests on, in words.
    remedy : what would be shorter.

    Raises
    ------
    FitError : it would take more than ``LONGEST``.
    """
    if seconds > LONGEST:
        raise FitError(f"this would take about {duration(seconds)}, {what}: {remedy}")
    _say(seconds, what, remedy)


def foresee_loop(done: int, total: int, started: float, shorter: str = "") -> None:
    """Say of a loop that has begun how long it will be, once and where lines are printed.

    Parameters
    ----------
    done, total, started : as of ``left``.
    shorter : what makes such a loop shorter; "" for fewer draws.
    """
    seconds = time.monotonic() - started
    if not done or seconds < MEASURED or total in _foreseen or len(_told) < 2:
        return
    _foreseen.add(total)
    each = seconds / done
    what = f"for {total} steps of {each:.2g} s, as {done} of them took"
    if shorter:
        _say(each * total, f"{what}, if it needs all of them", shorter)
        return
    remedy = "fewer draws (--draws, --tune, --quick), fewer data or features"
    if each * total > SOON:
        remedy += f"; {SOON / each:.0f} steps take {duration(SOON)}"
    what += ", in each chain"
    _say(each * total, what, remedy)


def _say(seconds, what, remedy):
    if seconds > SAID:
        said = f"This will take about {duration(seconds)}, {what}. Shorter: {remedy}."
        print(said, file=sys.stderr, flush=True)
