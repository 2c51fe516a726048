"""What the benchmarks share: options of the command line, timing by turns, tables.

A benchmark is a script of cases. A case is a function whose arguments are its sizes, and their
defaults the full size; it prints a table and returns what ``--json`` keeps. ``TOY`` names, case by
case, sizes at which it takes about a second and only shows that it still runs: the tests do that.

Where a case grows, ``Growth`` fits the exponents of time and memory against size, and says which
fraction is reached of what this machine's arithmetic or memory allows, measured here by ``limits``.
``--growth FILE`` keeps a line of each in a table.
"""

from __future__ import annotations

import argparse
import csv
import inspect
import json
import math
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar

__all__ = ["Growth", "Table", "alone", "by_turns", "limits", "main", "timed"]


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
    parser.add_argument("--growth", type=Path, metavar="FILE", help="keep exponents in a table")
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
    if arguments["growth"]:
        Growth.keep(arguments["growth"])
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


@cache
def limits(seconds: float = 0.2) -> dict[str, float]:
    """Measure what one core can: products of matrices, and sums of arrays beyond its caches.

    Returns
    -------
    ``arithmetic``, operations a second, and ``memory``, bytes a second; the best of several turns.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    one, large = np.ones((512, 512)), np.ones((3, 2**22))

    def add():
        np.add(large[0], large[1], out=large[2])

    def best(run, work):
        until, fastest = time.perf_counter() + seconds, math.inf
        while time.perf_counter() < until:
            fastest = min(fastest, timed(run)[0])
        return work / fastest

    with threadpool_limits(1):
        return {
            "arithmetic": best(lambda: one @ one, 2 * 512**3),
            "memory": best(add, large.nbytes),
        }


class Growth:
    """Time and memory against size, with the exponents, and the share of the machine's limit.

    Parameters
    ----------
    name : of what grows.
    size : what its size is called.
    limit : ``arithmetic`` or ``memory``, which of ``limits`` bounds it.
    """

    found: ClassVar[list[dict]] = []  # of all that this script has printed

    def __init__(self, name: str, size: str, limit: str):
        self.name, self.size, self.limit = name, size, limit
        self.rows = []

    def add(self, size: float, seconds: float, work: float) -> None:
        """Note one size: the seconds, and operations or bytes that cannot be spared."""
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        self.rows.append((size, seconds, memory, work))

    def told(self) -> dict:
        """Print and return what was found."""
        size, seconds, memory, work = zip(*self.rows, strict=True)
        reached = work[-1] / seconds[-1] / limits()[self.limit]
        found = {
            "what": self.name,
            "size": self.size,
            "from": size[0],
            "to": size[-1],
            "seconds": seconds[-1],
            "time exponent": slope(size, seconds),
            "MiB": memory[-1],
            "memory exponent": slope(size, memory),
            "limit": self.limit,
            "of limit": reached,
        }
        print(
            f"time ∝ {self.size}^{found['time exponent']:.2f}, peak memory of the process ∝ "
            f"{self.size}^{found['memory exponent']:.2f}; {reached:.1%} of what the {self.limit} "
            f"of one core allows ({limits()[self.limit]:.3g} a second)"
        )
        Growth.found.append(found)
        return found

    @staticmethod
    def keep(path: Path) -> None:
        """Write all that was found into a table; lines of the same name are replaced."""
        lines = {}
        if path.exists():
            with path.open(encoding="utf-8", newline="") as file:
                lines = {line["what"]: line for line in csv.DictReader(file)}
        for found in Growth.found:
            lines[found["what"]] = {
                key: f"{value:.3g}" if isinstance(value, float) else value
                for key, value in found.items()
            }
        if lines:
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, list(next(iter(lines.values()))))
                writer.writeheader()
                writer.writerows(lines.values())


def slope(size: Sequence[float], value: Sequence[float]) -> float:
    """Exponent of a power law through all points: least squares of the logarithms."""
    x, y = ([math.log(each) for each in series] for series in (size, value))
    return statistics.linear_regression(x, y).slope


def alone(part: Callable, **arguments) -> dict:
    """Call one of the script's parts in a fresh interpreter.

    Returns
    -------
    what the part returned, the clock when its interpreter was ``started``, and the ``processor``
    seconds that it and the processes that it started used.
    """
    command = [sys.executable, sys.argv[0], "--alone", part.__name__, json.dumps(arguments)]
    # A package that is installed has its bytecode, as those of the peers have here.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    started, before = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout.splitlines()[-1]) | {"started": started, "processor": used}
