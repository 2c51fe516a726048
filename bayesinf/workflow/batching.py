"""A run on many data sets of one kind: fitted one by one, kept in one file, told on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayesinf.publication import staged

if TYPE_CHECKING:
    from bayesinf.batches.looping import Loop
    from bayesinf.data.several import Sets
    from bayesinf.workflow.run import Run

__all__ = ["batch"]


def batch(run: Run, source: Sets, loop: Loop) -> None:
    """Fit all data sets of a source, tell them on one page, and end the run.

    Parameters
    ----------
    run : the run.
    source : of the data sets.
    loop : how the system fits one.

    Raises
    ------
    typer.Exit : with status 3 where the batch as a whole is not to be believed.
    """
    from bayesinf.batches import looping

    with staged(run.output, run=run.id) as folder:
        with run.step("fit"):
            here = run.scheduler is not None
            looping.write(source, loop, run.settings, folder, run.map, here=here, run=run.id)
        with run.step("report"):
            said, verdict = looping.tell(folder, source, loop, run.command, run.id)
    run.say(verdict.words, verdict.believed, answer=said)
