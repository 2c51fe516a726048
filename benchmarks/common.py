"""What the benchmarks share: options of the command line, timing by turns, tables.

A benchmark is a script of cases. A case is a function whose arguments are its sizes, and their
defaults the full size; it prints a table and returns what ``--json`` keeps. ``TOY`` names, case by
case, sizes at which it takes about a second and only shows that it still runs: the tests do that.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

__all__ = ["Table", "alone", "by_turns", "main", "timed"]


def main(
    description: str,
    cases: Sequence[Callable],
    toy: Mapping[str, Mapping],
    options: Mapping[str, Mapping] | None = None,
    parts: Sequence[Callable] = (),
) -> None:
    """Run the cases that the command line asks for, all by default.

    Parameters
    ----------
    description : the script's docstring, for ``--help``.
    cases : functions, named on the command line by their names.
    toy : name of each case to its arguments at toy size.
    options : name to keywords of ``add_argument``; what is given goes to every case that has an
        argument of this name.
    parts : functions that ``alone`` may call.
    """
    if sys.argv[1:2] == ["--alone"]:
        part = next(part for part in parts if part.__name__ == sys.argv[2])
        print(json.dumps(part(**json.loads(sys.argv[3])), default=float))
        return
    named, options = {case.__name__: case for case in cases}, options or {}
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=named, action="append", help="default: all")
    parser.add_argument("--toy", action="store_true", help="only show that it runs, in seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the results")
    for name, keywords in options.items():
        parser.add_argument(f"--{name}", **keywords)
    arguments = vars(parser.parse_args())
    given = {name: arguments[name] for name in options if arguments[name] is not None}
    results = {}
    for name in arguments["case"] or named:
        sizes = {**(toy[name] if arguments["toy"] else {}), **given}
        known = inspect.signature(named[name]).parameters
        print(f"== {name}")
        results[name] = named[name](**{key: sizes[key] for key in sizes if key in known})
    if arguments["json"]:
        arguments["json"].write_text(json.dumps(results, indent=1, default=float) + "\n")


def timed(run: Callable, clock: Callable = time.perf_counter) -> tuple[float, object]:
    """Call a function; return the seconds that it took by a clock, and what it returned."""
    started = clock()
    found = run()
    return clock() - started, found


def by_turns(
    sides: Mapping[str, Callable], turns: int, clock: Callable = time.perf_counter
) -> Iterator[tuple[dict, dict]]:
    """Time every side once a turn, so that what else the machine does hits all alike.

    Yields
    ------
    name to seconds, and name to what the side returned.
    """
    for _ in range(turns):
        times = {name: timed(run, clock) for name, run in sides.items()}
        yield tuple({name: each[part] for name, each in times.items()} for part in (0, 1))


class Table:
    """A table printed row by row, as they come.

    Parameters
    ----------
    columns : heading to format, which begins with the width of the column, as ``"7.2f"``.
    """

    def __init__(self, columns: Mapping[str, str]):
        self.widths = {
            name: max(len(name), int(re.match(r"\d+", form)[0])) for name, form in columns.items()
        }
        self.columns = columns
        self.row({name: name for name in columns})

    def row(self, values: Mapping, remark: str = "") -> None:
        """Print a row; a column without a value stays blank, and words are printed as they are."""
        cells = []
        for name, form in self.columns.items():
            value = values.get(name, "")
            text = value if isinstance(value, str) else format(value, form)
            cells.append(f"{text:>{self.widths[name]}}")
        print(f"{' '.join(cells)}   {remark}".rstrip(), flush=True)

    def turns(self, rows: Sequence[Mapping[str, float]], remark: str = "", **same) -> dict:
        """Print the rows of all turns and their medians; return these.

        Parameters
        ----------
        rows : of one turn each.
        remark : beside the medians.
        same : what stands in each of these lines.
        """
        middle = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
        for turn, row in enumerate(rows, 1):
            self.row({"turn": turn, **same, **row})
        self.row({"turn": "median", **same, **middle}, remark)
        return middle


def alone(part: Callable, **arguments) -> dict:
    """Call one of the script's parts in a fresh interpreter.

    Returns
    -------
    what the part returned, the clock when its interpreter was ``started``, and the ``processor``
    seconds that it and the processes that it started used.
    """
    command = [sys.executable, sys.argv[0], "--alone", part.__name__, json.dumps(arguments)]
    started, before = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout.splitlines()[-1]) | {"started": started, "processor": used}
