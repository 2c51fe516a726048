"""One function over many items: on the local cores, or on a Dask cluster.

``map`` is the only way in which bayesinf runs things at once. The items carry their own seeds, and
numerical libraries are held to one thread inside, so the results do not depend on where or on how
many workers they were made. A map inside a map runs serially: the outer one has the cores already.
Items that were finished before the run was cut off are taken up (``bayesinf.kept``).
"""

from __future__ import annotations

import builtins
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from urllib.parse import urlsplit

from bayesinf import kept, progress
from bayesinf.errors import DataError, MachineError

__all__ = ["map", "one_blas_thread", "stop"]

PATIENCE = 2.0  # seconds that pass before a progress bar appears
CONNECT = 5.0  # seconds that a Dask scheduler has to answer

FOLLOW = 1.0  # seconds after which a worker notices that the process it works for is dead

_here = threading.local()  # .inside: this thread is already working for a map


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold numerical libraries to one thread: on small matrices theirs would wait for each other.

    Sums keep their order too, so that results are the same to the last bit on any number of cores.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def map[Item, Result](
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    threads: bool = False,
    label: str | None = None,
) -> list[Result]:
    """Apply a function to each item, several at a time.

    Parameters
    ----------
    function : of one item; picklable, and without effects but its result, unless ``threads``.
    items : what it is applied to.
    workers : how many at a time; None for one per core, 1 for none beside this process.
    scheduler : address of a Dask scheduler, "host:port", that takes the place of the local cores.
    threads : use threads instead of processes, for code that releases the GIL.
    label : what the progress bar says.

    Returns
    -------
    the results, in the order of the items.

    Raises
    ------
    DataError : the scheduler cannot be used.
    MachineError : a worker died, or the scheduler was lost.
    whatever ``function`` raised, as it was raised.
    """
    items = list(items)
    places = kept.places(function, items, pure=not threads)
    found = {} if threads else {k: kept.read(place) for k, place in enumerate(places)}
    found = {k: one[0] for k, one in found.items() if one is not None}
    jobs = [(k, places[k], item) for k, item in enumerate(items) if k not in found]
    call = _Inside(function)

    def collected(results, advance):
        for k, seconds, result in results:
            found[k] = result
            if not threads:
                kept.write(places[k], result, seconds)
            advance()
        return [found[k] for k in range(len(items))]

    if getattr(_here, "inside", False):
        return collected(builtins.map(call, jobs), int)
    with _progress(label, len(items)) as advance:
        for _ in found:
            advance()
        if not jobs:
            return collected([], advance)
        if scheduler is not None:
            return collected(_on_cluster(call, jobs, scheduler), advance)
        return collected(_on_cores(call, jobs, workers, threads), advance)


def stop() -> None:
    """End the worker processes of this process at once, with what they are doing."""
    loky = sys.modules.get("joblib.externals.loky.reusable_executor")
    executor = getattr(loky, "_executor", None)
    if executor is not None:
        executor.shutdown(wait=True, kill_workers=True)


class _Inside:
    """A function that tells the maps it calls that they are inside one already.

    It takes an item with its number and the place where it is kept, and returns the number, how
    many seconds it took, and the result.
    """

    def __init__(self, function):
        self.function = function

    def __call__(self, job):
        number, place, item = job
        before, _here.inside = getattr(_here, "inside", False), True
        started = time.perf_counter()
        try:
            with kept.within(place):
                result = self.function(item)
            return number, time.perf_counter() - started, result
        finally:
            _here.inside = before


class _Worker:
    """A function called in a worker process, which ends when the process it works for has.

    What bayesinf's own environment variables say there holds in the worker too. Of the items that
    are at work one alone says how long its loops will be, the ``first``.
    """

    following = False  # of the worker process

    def __init__(self, function, parent, first):
        self.function, self.parent, self.first = function, parent, first
        self.environment = {k: v for k, v in os.environ.items() if k.startswith("BAYESINF_")}

    def __call__(self, item):
        os.environ.update(self.environment)
        if not _Worker.following:
            _Worker.following = True
            # An interrupt from the terminal reaches all processes; the first of them sees to it.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            threading.Thread(target=_follow, args=[self.parent], daemon=True).start()
        with progress.telling(str) if item[0] == self.first else nullcontext():
            return self.function(item)


def _follow(parent):
    while os.getppid() == parent:
        time.sleep(FOLLOW)
    os._exit(1)


def _on_cores(call, jobs, workers, threads) -> Iterator:
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    workers = min(workers or joblib.cpu_count(), len(jobs))
    how = {"return_as": "generator_unordered"}
    if workers <= 1 or threads:
        with one_blas_thread():
            if workers <= 1:
                yield from (call(job) for job in jobs)
            else:
                pool = joblib.Parallel(workers, backend="threading", **how)
                yield from pool(joblib.delayed(call)(job) for job in jobs)
        return
    call = _Worker(call, os.getpid(), jobs[0][0])
    try:
        with joblib.parallel_config("loky", inner_max_num_threads=1):
            yield from joblib.Parallel(workers, **how)(joblib.delayed(call)(job) for job in jobs)
    except TerminatedWorkerError as error:
        raise MachineError(
            f"one of {workers} worker processes died, most often for lack of memory; "
            "run with fewer workers, or with fewer draws"
        ) from error


def _knock(address):
    """Raise an error where nothing listens at an address."""
    place = urlsplit(address if "://" in address else f"//{address}")
    socket.create_connection((place.hostname, place.port), CONNECT).close()


def _on_cluster(call, jobs, address) -> Iterator:
    try:
        from distributed import Client, as_completed
        from distributed.client import FutureCancelledError
        from distributed.comm import CommClosedError
        from distributed.scheduler import KilledWorker
    except ImportError as error:
        raise DataError(
            "a Dask scheduler was given, but dask is not installed",
            source=address,
            remedy="pip install 'bayesinf[dask]'",
        ) from error
    try:
        _knock(address)  # a client that found nobody would take ten seconds to be collected
        client = Client(address, timeout=CONNECT, set_as_default=False)
    except Exception as error:  # whatever else may be listening there, it fails in its own way
        raise DataError(
            f"no Dask scheduler answers within {CONNECT:g} s",
            source=address,
            expected="host:port of a running scheduler",
            remedy="start one with `dask scheduler`, or leave --scheduler away for the local cores",
        ) from error
    try:
        try:
            client.wait_for_workers(1, timeout=CONNECT)
        except TimeoutError as error:
            raise DataError(
                "the Dask scheduler has no workers",
                source=address,
                remedy=f"start some with `dask worker {address}`",
            ) from error
        # What is kept is kept here, as it comes: a worker there need not see this disk.
        there = [(number, None, item) for number, _, item in jobs]
        futures = client.map(call, there, pure=False)
        for future in as_completed(futures, loop=client.loop):
            yield future.result()
    except KilledWorker as error:
        raise MachineError(f"a worker of {address} died, most often for lack of memory") from error
    except (FutureCancelledError, CommClosedError) as error:
        # What the client goes on to log of it, trace by trace, says no more than this.
        for name in ("distributed", "distributed.client", "tornado.application", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        raise MachineError(f"the Dask scheduler {address} was lost while it worked") from error
    finally:
        client.close(timeout=CONNECT)  # its futures are cancelled with it


@contextmanager
def _progress(label, total) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr that appears only when the work outlasts our patience."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(file=sys.stderr)
    # A file holds its last state alone: to draw it ten times a second would be for nobody.
    bar = Progress(*columns, console=console, auto_refresh=console.is_terminal)
    task, started = bar.add_task(label or "working", total=total), time.monotonic()

    def told():
        done = int(bar.tasks[0].completed)
        return f"{label or 'working'}: {done} of {total}{progress.left(done, total, started)}"

    timer = threading.Timer(PATIENCE, bar.start)
    timer.daemon = True
    timer.start()
    try:
        with progress.heartbeat(told):
            yield lambda: bar.advance(task)
    except BaseException:
        # What failed is said in one line, not below a bar that stands still.
        bar.live.transient = True
        bar.console.quiet = not bar.console.is_terminal
        raise
    finally:
        timer.cancel()
        timer.join()
        if bar.live.is_started:
            bar.stop()
