"""Does a system's whole machine give honest intervals? Simulate, fit, rank, repeat."""

from dataclasses import replace
from typing import Annotated

import typer

from bayesinf import workflow
from bayesinf.errors import DataError

REPLICATIONS, QUICK_REPLICATIONS = 200, 40


@workflow.script(without=("data", "read_bytes", "draws", "tune", "chains"))
def main(
    run: workflow.Run,
    name: Annotated[str | None, typer.Argument(help="A system; default: all, in turn.")] = None,
    replications: Annotated[int | None, typer.Option(min=10, help="Simulated data sets.")] = None,
    variant: Annotated[
        str | None, typer.Option(help="Where NAME has several: as ising_couplings has priors.")
    ] = None,
):
    """Does a system's whole machine give honest intervals?

    Parameters are drawn from its prior, data from the parameters, and the data fitted, many times:
    the truth must rank evenly among the draws, and intervals must cover it as often as they say.
    """
    replications = replications or (QUICK_REPLICATIONS if run.quick else REPLICATIONS)
    if variant is not None and name is None:
        raise DataError("a variant of which system?", expected="NAME before --variant")
    status = 0
    for system, make in systems(name).items():
        machine = make(variant)
        title = f"calibrate_{system}" + (f"_{variant}" if variant else "")
        if "output" in run.given:
            folder = run.output if name else run.output / title
        else:
            folder = workflow.REPORTS / title
        try:
            calibrate(replace(run, name=title, output=folder, seconds={}), machine, replications)
        except typer.Exit as verdict:  # the other systems still have their turn
            status = max(status, verdict.exit_code)
    raise typer.Exit(status)


def systems(name=None):
    """The systems that can be calibrated, by name; or the one that is asked for."""
    from bayesinf.systems import names, system

    modules = {each: system(each) for each in names()}
    found = {
        each: module.calibration_problem
        for each, module in modules.items()
        if hasattr(module, "calibration_problem")
    }
    if name is not None and name not in found:
        raise DataError(
            "no such system, or it cannot be calibrated",
            expected=f"one of {', '.join(found)}",
            found=name,
        )
    return found if name is None else {name: found[name]}


def calibrate(run, machine, replications):
    """Calibrate one system, print the summary, and write everything into its folder."""
    from bayesinf import calibration

    with run.step("fits"):
        result = calibration.calibrate(
            machine, replications, seed=run.settings.seed, scheduler=run.scheduler
        )
    with run.step("report"), workflow.staged(run.output) as folder:
        calibration.write(folder, result, command=run.command)
    verdict = calibration.verdict(result)
    run.say(
        verdict["words"],
        verdict["believed"],
        answer=f"Calibration of {machine.name}",
        numbers=calibration.readable(calibration.summary(result)),
    )


if __name__ == "__main__":
    workflow.cli(main)
