"""Do the checks refuse what is wrong, and only that? Right and faulty data, fitted and judged."""

from typing import Annotated

import typer

from bayesinf import workflow
from bayesinf.errors import DataError

REPEATS, QUICK_REPEATS = 200, 20


@workflow.script(without=("data", "read_bytes", "draws", "tune", "chains"))
def main(
    run: workflow.Run,
    name: Annotated[str | None, typer.Argument(help="A system; default: all, in turn.")] = None,
    repeats: Annotated[int | None, typer.Option(min=5, help="Data sets of each fault.")] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help="Only this one ('none': right fits); repeat.")
    ] = None,
):
    """Do the checks refuse what is wrong, and only that?

    Data of each system are simulated, right ones and such with a fault that its checks should see,
    and fitted: right fits may be refused in one data set of fifty.
    """
    from bayesinf import trials
    from bayesinf.report import aligned

    repeats = repeats or (QUICK_REPEATS if run.quick else REPEATS)
    tables, held = {}, True
    for system, faults in systems(name, fault).items():
        with run.step(system):
            found = trials.tried(faults, repeats, run.settings.seed, scheduler=run.scheduler)
        tables[system] = trials.readable(found)
        held &= all(one.held for one in found)
        print(f"{system}\n{aligned(tables[system])}\n")
    write(run, tables)
    said = "no more often than" if held else "MORE often than"
    if run.taken_up:
        print(run.taken_up)
    print(f"Right fits are refused {said} they may be (2 %).")
    raise typer.Exit(0 if held else 3)


def systems(name=None, only=None):
    """The systems that plant faults, by name, or the one that is asked for; and which faults."""
    from bayesinf.systems import names, system

    modules = {each: system(each) for each in names()}
    found = {each: one.faults() for each, one in modules.items() if hasattr(one, "faults")}
    if name is not None and name not in found:
        raise DataError(
            "no such system, or it plants no faults",
            expected=f"one of {', '.join(found)}",
            found=name,
        )
    found = found if name is None else {name: found[name]}
    if not only:
        return found
    known = {fault for faults in found.values() for fault in faults}
    if unknown := set(only) - known:
        raise DataError(
            "no such fault",
            where="--fault",
            expected=f"one of {', '.join(sorted(known))}",
            found=", ".join(sorted(unknown)),
        )
    chosen = {
        each: {k: fault for k, fault in faults.items() if k in only}
        for each, faults in found.items()
    }
    return {each: faults for each, faults in chosen.items() if faults}


def write(run, tables):
    """Write all tables as one CSV."""
    import pandas as pd

    with workflow.staged(run.output) as folder:
        table = pd.concat(tables, names=["system"]).assign(command=run.command)
        table.to_csv(folder / "trials.csv")
    print(f"Table: {run.output / 'trials.csv'}")


if __name__ == "__main__":
    workflow.cli(main)
