"""What differs between two runs? Data, settings, verdicts, numbers and predictions on one page."""

from pathlib import Path
from typing import Annotated

import typer

from bayesinf import workflow


@workflow.script(without=("data", "seed", "draws", "tune", "chains", "quick", "fresh", "scheduler"))
def main(
    run: workflow.Run,
    one: Annotated[Path, typer.Argument(help="A report folder, or a file of InferenceData.")],
    other: Annotated[Path, typer.Argument(help="Another.")],
):
    """What differs between two runs?"""
    from bayesinf.report import compare

    with run.step("load"):
        sides = [compare.opened(path) for path in (one, other)]
    with run.step("report"), workflow.staged(run.output) as folder:
        page, said = compare.write(*sides, folder, command=run.command)
    print(f"{said}\nReport: {run.output / page.name}")


if __name__ == "__main__":
    workflow.cli(main)
