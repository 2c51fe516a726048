"""Does a system's whole machine give honest intervals? Simulate, fit, rank, repeat."""

import shlex
import sys
import time
from importlib import import_module
from pkgutil import iter_modules
from typing import Annotated

import typer

from bayesinf import workflow
from bayesinf.errors import DataError

REPLICATIONS, QUICK_REPLICATIONS = 200, 40


def main(
    name: Annotated[str | None, typer.Argument(help="A system; default: all, in turn.")] = None,
    replications: Annotated[int | None, typer.Option(min=10, help="Simulated data sets.")] = None,
    output: workflow.Output = None,
    seed: workflow.Seed = 1,
    quick: workflow.Quick = False,
    scheduler: workflow.Scheduler = None,
    variant: Annotated[
        str | None, typer.Option(help="Where NAME has several: for ising a prior.")
    ] = None,
):
    """Does a system's whole machine give honest intervals?

    Parameters are drawn from its prior, data from the parameters, and the data fitted, many times:
    the truth must rank evenly among the draws, and intervals must cover it as often as they say.
    """
    replications = replications or (QUICK_REPLICATIONS if quick else REPLICATIONS)
    if variant is not None and name is None:
        raise DataError("a variant of which system?", expected="NAME before --variant")
    status = 0
    for system, make in systems(name).items():
        title = f"calibrate_{system}" + (f"_{variant}" if variant else "")
        problem = make(variant) if variant else make()
        folder = output / title if output and name is None else output
        with workflow.run(title, folder, seed=seed, quick=quick, scheduler=scheduler) as run:
            try:
                calibrate(run, problem, replications)
            except typer.Exit as verdict:  # the other systems still have their turn
                status = max(status, verdict.exit_code)
    raise typer.Exit(status)


def systems(name=None):
    """The systems that can be calibrated, by their file's name; or the one that is asked for."""
    import bayesinf.systems as home

    names = sorted(module.name for module in iter_modules(home.__path__))
    modules = {each: import_module(f"bayesinf.systems.{each}") for each in names}
    found = {each: module.calibration_problem for each, module in modules.items()
             if hasattr(module, "calibration_problem")}  # fmt: skip
    if name is not None and name not in found:
        raise DataError(
            "no such system, or it cannot be calibrated",
            expected=f"one of {', '.join(found)}",
            found=name,
        )
    return found if name is None else {name: found[name]}


def calibrate(run, problem, replications):
    """Calibrate one system, print the summary, and write everything into its folder."""
    from bayesinf import calibration

    started = time.perf_counter()
    result = calibration.calibrate(
        problem, replications, seed=run.settings.seed, scheduler=run.scheduler
    )
    run.seconds["fits"] = time.perf_counter() - started
    with run.step("report"), run.staging() as folder:
        calibration.write(folder, result, command=shlex.join(["python", *sys.argv]))
    show(calibration.readable(calibration.summary(result)), f"Calibration of {problem.name}")
    verdict = calibration.verdict(result)
    run.say({problem.name: verdict["words"]}, verdict["believed"])


def show(table, title):
    """Print a table."""
    from rich.console import Console
    from rich.table import Table

    printed = Table(title=title, box=None, title_justify="left")
    for column in (table.index.name, *table.columns):
        printed.add_column(column, no_wrap=True)
    for name, row in table.iterrows():
        printed.add_row(name, *row)
    Console().print(printed)


if __name__ == "__main__":
    workflow.cli(main)
