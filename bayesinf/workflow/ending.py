"""How a script ends when it does not end well: one line, the right exit status, nothing left over.

A request to end (SIGTERM) or an interrupt (SIGINT) is raised as ``Stopped`` where the script
stands, so that everything on the way out tidies up behind itself. A fault of the program keeps its
trace in a file, as does a crash of a numerical library, after which a waiting shell says so.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bayesinf import parallel
from bayesinf.errors import one_line

__all__ = ["Stopped", "failed", "fault", "plain_streams", "silenced", "stoppable", "traced"]


class Stopped(BaseException):
    """A signal asked the script to end; not an ``Exception``, so that no library swallows it."""

    def __init__(self, number: int):
        self.number = number
        super().__init__(signal.Signals(number).name)


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise ``Stopped`` at the first SIGTERM or SIGINT; a second one ends the process at once."""

    def stop(number, frame):
        signal.signal(number, signal.SIG_DFL)
        raise Stopped(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except Stopped:
        parallel.stop()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def failed(text: str) -> None:
    """Say on stderr, in one line, what went wrong."""
    with suppress(OSError, ValueError):  # nobody may be listening
        print(f"error: {one_line(text)}", file=sys.stderr, flush=True)


def fault(error: Exception, script: str) -> None:
    """Keep the trace of an error that nobody foresaw in a file, and say so in one line."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    said = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
    kept = ""
    with suppress(OSError):
        handle, name = tempfile.mkstemp(prefix=f"{script}-", suffix=".trace")
        with open(handle, "w", encoding="utf-8", errors="replace") as opened:
            traceback.print_exception(error, file=opened)
        kept = f"; its trace is in {name}"
    failed(f"a fault of the program, {one_line(said)[:250]}{kept}")


def silenced() -> None:
    """Drop what standard output could not take, so that its end is not a second failure."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def plain_streams() -> None:
    """Let a terminal that lacks a letter show a question mark for it."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


# Waits for the end of its input, which is the end of the script, however it came.
WATCH = """read -r _
if [ -s "$1" ]; then echo "error: a numerical library crashed; its trace is in $1" >&2
else rm -f "$1"; fi"""


@contextmanager
def traced(script: str) -> Iterator[None]:
    """Keep the trace of a crash outside Python in a file, and have one line said of it.

    A process that dies so says nothing any more: a shell waits beside it and does. Where Python's
    own handler of crashes is on already, it is left as it is.
    """
    if faulthandler.is_enabled() or os.name != "posix":
        yield
        return
    handle, name = tempfile.mkstemp(prefix=f"{script}-", suffix=".trace")
    with open(handle, "w") as opened:
        watcher = subprocess.Popen(
            ["sh", "-c", WATCH, "sh", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        faulthandler.enable(opened)
        try:
            yield
        finally:
            faulthandler.disable()
            watcher.communicate()
